//! Times as logs write them. All are taken for UTC where no offset stands beside them.

use crate::units::Timestamp;

/// A time and how finely it was written.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Stamp {
    /// The time.
    pub at: Timestamp,
    /// What one step of its last digit is, in nanoseconds.
    pub grain_ns: u32,
}

const SECOND: u32 = 1_000_000_000;
/// From the epoch of FILETIME (1601) to that of Unix, in steps of 100 ns.
const FILETIME_EPOCH: i64 = 116_444_736_000_000_000;

/// A time in any of the layouts that stand for themselves: RFC 3339 with up to nine digits, with a space or `T`, with
/// `Z`, an offset, Go's `+0000 UTC` or nothing; seconds, milliseconds, microseconds or nanoseconds since 1970;
/// FILETIME; `M/D/YYYY h:mm:ss AM` and `Mon D, YYYY h:mm:ss AM` of Microsoft's portals.
pub(super) fn any(text: &str) -> Option<Stamp> {
    let text = text.trim();
    let first = *text.as_bytes().first()?;
    if text.len() > 64 {
        return None;
    }
    if first.is_ascii_digit() && text.as_bytes().get(4) == Some(&b'-') {
        return civil(text);
    }
    if text.bytes().all(|b| b.is_ascii_digit() || b == b'.') {
        return epoch(text);
    }
    if text.contains('e') || text.contains('E') {
        // A number that a JSON writer made short: 1.6648111e9.
        if let Some(secs) = text.parse::<f64>().ok().filter(|secs| (1e8..1e11).contains(secs)) {
            let at = Timestamp::from_nanos((secs * 1e9) as i64);
            return Some(Stamp { at, grain_ns: 1_000 });
        }
    }
    portal(text)
}

/// `YYYY-MM-DD` and a time of day.
fn civil(text: &str) -> Option<Stamp> {
    let mut read = Digits { rest: text };
    let (year, month, day) = (read.number(4)?, read.after(b'-')?, read.after(b'-')?);
    if !(read.take(b'T') || read.take(b't') || read.take(b' ')) {
        return None;
    }
    let (hour, minute, second) = (read.number(2)?, read.after(b':')?, read.after(b':')?);
    let (nanos, grain_ns) = read.fraction()?;
    let offset = offset(read.rest)?;
    let secs = seconds(year, month, day)? + time_of_day(hour, minute, second)? - offset;
    Some(Stamp { at: Timestamp::new(secs, nanos), grain_ns })
}

/// What stands behind a time: seconds east of UTC.
fn offset(text: &str) -> Option<i64> {
    let text = text.trim();
    let text = text.strip_suffix("UTC").map_or(text, str::trim_end);
    if matches!(text, "" | "Z" | "z") {
        return Some(0);
    }
    let (sign, text) = match text.as_bytes().first()? {
        b'+' => (1, text.get(1..)?),
        b'-' => (-1, text.get(1..)?),
        _ => return None,
    };
    let mut read = Digits { rest: text };
    let hours = read.number(2)?;
    read.take(b':');
    let minutes = if read.rest.is_empty() { 0 } else { read.number(2)? };
    (read.rest.is_empty() && hours <= 14 && minutes < 60).then_some(sign * (hours * 3_600 + minutes * 60))
}

/// A number since 1970 (or 1601), its unit told by its size.
fn epoch(text: &str) -> Option<Stamp> {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    let number: i64 = whole.parse().ok()?;
    // Between 1973 and 2286 in each unit, so that no two can be taken for each other.
    let (nanos, mut grain) = match number {
        100_000_000..=9_999_999_999 => (number.checked_mul(1_000_000_000)?, SECOND),
        100_000_000_000..=9_999_999_999_999 => (number.checked_mul(1_000_000)?, 1_000_000),
        100_000_000_000_000..=9_999_999_999_999_999 => (number.checked_mul(1_000)?, 1_000),
        FILETIME_EPOCH..=999_999_999_999_999_999 => ((number - FILETIME_EPOCH).checked_mul(100)?, 100),
        1_000_000_000_000_000_000.. => (number, 1),
        _ => return None,
    };
    let mut added = 0i64;
    for digit in fraction.bytes().take(9) {
        if !digit.is_ascii_digit() {
            return None;
        }
        if grain < 10 {
            break;
        }
        grain /= 10;
        added += i64::from(digit - b'0') * i64::from(grain);
    }
    Some(Stamp { at: Timestamp::from_nanos(nanos.checked_add(added)?), grain_ns: grain })
}

/// As Microsoft's portals write CSV for Americans: `7/19/2023 12:17:42 PM`, `Jul 19, 2023 12:17:42 PM`.
fn portal(text: &str) -> Option<Stamp> {
    let mut read = Digits { rest: text };
    let (month, day, year) = if text.as_bytes().first()?.is_ascii_digit() {
        (read.short()?, read.after_short(b'/')?, {
            read.take(b'/').then_some(())?;
            read.number(4)?
        })
    } else {
        let month = month_of(text.get(..3)?)?;
        read.rest = text.get(3..)?.trim_start();
        let day = read.short()?;
        read.take(b',');
        read.rest = read.rest.trim_start();
        (month, day, read.number(4)?)
    };
    read.take(b',');
    read.rest = read.rest.trim_start();
    let (hour, minute, second) = (read.short()?, read.after(b':')?, read.after(b':')?);
    let (nanos, grain_ns) = read.fraction()?;
    // U+202F stands before AM and PM in what newer browsers format.
    let half = read.rest.trim_start_matches(|c: char| c.is_whitespace());
    let hour = match half {
        "AM" | "am" if hour == 12 => 0,
        "PM" | "pm" if hour < 12 => hour + 12,
        "AM" | "am" | "PM" | "pm" | "" | "Z" => hour,
        _ => return None,
    };
    let secs = seconds(year, month, day)? + time_of_day(hour, minute, second)?;
    Some(Stamp { at: Timestamp::new(secs, nanos), grain_ns })
}

/// `Mon dd HH:MM:SS` of old syslog: the year is that which puts it nearest to `near`.
pub(super) fn syslog(text: &str, near: Timestamp) -> Option<Stamp> {
    let month = month_of(text.get(..3)?)?;
    let mut read = Digits { rest: text.get(3..)?.trim_start() };
    let day = read.short()?;
    read.rest = read.rest.trim_start();
    let (hour, minute, second) = (read.number(2)?, read.after(b':')?, read.after(b':')?);
    let time = time_of_day(hour, minute, second)?;
    let year = 1970 + near.secs().div_euclid(31_556_952);
    let years = [year - 1, year, year + 1];
    let near = near.secs();
    let secs = years
        .into_iter()
        .filter_map(|year| seconds(year, month, day))
        .map(|date| date + time)
        .min_by_key(|secs| secs.abs_diff(near))?;
    Some(Stamp { at: Timestamp::new(secs, 0), grain_ns: SECOND })
}

/// `MM/DD/YY` and `HH:MM:SS` of Windows DHCP, local time that is `east` seconds before UTC.
pub(super) fn dhcp(date: &str, time: &str, east: i64) -> Option<Stamp> {
    let mut read = Digits { rest: date.trim() };
    let (month, day) = (read.number(2)?, read.after(b'/')?);
    read.take(b'/').then_some(())?;
    let year = match read.rest.len() {
        2 => 2000 + read.number(2)?,
        _ => read.number(4)?,
    };
    let mut read = Digits { rest: time.trim() };
    let (hour, minute, second) = (read.number(2)?, read.after(b':')?, read.after(b':')?);
    let secs = seconds(year, month, day)? + time_of_day(hour, minute, second)?;
    read.rest.is_empty().then_some(Stamp { at: Timestamp::new(secs - east, 0), grain_ns: SECOND })
}

fn month_of(name: &str) -> Option<i64> {
    const MONTHS: &str = "janfebmaraprmayjunjulaugsepoctnovdec";
    let at = MONTHS.find(&name.to_ascii_lowercase()).filter(|at| at % 3 == 0)?;
    Some(at as i64 / 3 + 1)
}

/// Seconds from 1970 to the start of a day.
fn seconds(year: i64, month: i64, day: i64) -> Option<i64> {
    const LENGTHS: [i64; 12] = [31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];
    let length = *LENGTHS.get(usize::try_from(month - 1).ok()?)?;
    if !(1601..=2262).contains(&year) || !(1..=length).contains(&day) {
        return None;
    }
    // Years counted from March, so that the odd day comes last.
    let (y, m) = if month > 2 { (year, month - 3) } else { (year - 1, month + 9) };
    let days =
        365 * y + y.div_euclid(4) - y.div_euclid(100) + y.div_euclid(400) + (153 * m + 2) / 5 + day - 1;
    Some((days - 719_468) * 86_400)
}

fn time_of_day(hour: i64, minute: i64, second: i64) -> Option<i64> {
    // 60 is a leap second.
    (hour < 24 && minute < 60 && second <= 60).then_some(hour * 3_600 + minute * 60 + second)
}

struct Digits<'t> {
    rest: &'t str,
}

impl Digits<'_> {
    /// A number of exactly `n` digits.
    fn number(&mut self, n: usize) -> Option<i64> {
        let digits = self.rest.get(..n)?;
        if !digits.bytes().all(|b| b.is_ascii_digit()) {
            return None;
        }
        self.rest = self.rest.get(n..)?;
        digits.parse().ok()
    }

    /// A number of one or two digits.
    fn short(&mut self) -> Option<i64> {
        let n = self.rest.bytes().take(2).take_while(u8::is_ascii_digit).count();
        self.number(n.max(1))
    }

    fn take(&mut self, wanted: u8) -> bool {
        let there = self.rest.as_bytes().first() == Some(&wanted);
        if there {
            self.rest = self.rest.get(1..).unwrap_or("");
        }
        there
    }

    /// Two digits behind a sign.
    fn after(&mut self, sign: u8) -> Option<i64> {
        self.take(sign).then_some(())?;
        self.number(2)
    }

    fn after_short(&mut self, sign: u8) -> Option<i64> {
        self.take(sign).then_some(())?;
        self.short()
    }

    /// Nanoseconds of a fraction and its grain. No fraction: zero, whole seconds.
    fn fraction(&mut self) -> Option<(i64, u32)> {
        if !(self.take(b'.') || self.take(b',')) {
            return Some((0, SECOND));
        }
        let (mut nanos, mut grain, mut any) = (0, SECOND, false);
        while let Some(digit) = self.rest.bytes().next().filter(u8::is_ascii_digit) {
            any = true;
            if grain > 1 {
                grain /= 10;
                nanos += i64::from(digit - b'0') * i64::from(grain);
            }
            self.rest = self.rest.get(1..)?;
        }
        any.then_some((nanos, grain))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_layout() {
        for (text, nanos, grain) in [
            ("2023-07-19T12:17:42.7782364Z", 1_689_769_062_778_236_400, 100),
            ("2023-08-16 04:53:48.446", 1_692_161_628_446_000_000, 1_000_000),
            ("2022-05-13T08:54:05.1230000Z", 1_652_432_045_123_000_000, 100),
            ("2022-02-10 11:48:14.2785426 +0000 UTC", 1_644_493_694_278_542_600, 100),
            ("2022-02-10 11:50:50 +0000 UTC", 1_644_493_850_000_000_000, SECOND),
            ("2022-07-19T07:18:04-07:00", 1_658_240_284_000_000_000, SECOND),
            ("2020-02-07T16:44:21", 1_581_093_861_000_000_000, SECOND),
            ("1527895541", 1_527_895_541_000_000_000, SECOND),
            ("1625677535.068", 1_625_677_535_068_000_000, 1_000_000),
            ("1664811149466", 1_664_811_149_466_000_000, 1_000_000),
            ("1696255674450496178", 1_696_255_674_450_496_178, 1),
            ("132889673341074652", 1_644_493_734_107_465_200, 100),
            ("7/19/2023 12:17:42 PM", 1_689_769_062_000_000_000, SECOND),
            ("Jul 19, 2023 12:17:42.5 AM", 1_689_725_862_500_000_000, 100_000_000),
            ("2000-02-29 00:00:00", 951_782_400_000_000_000, SECOND),
            ("1969-12-31T23:59:59.5Z", -500_000_000, 100_000_000),
        ] {
            let stamp = any(text).unwrap_or_else(|| panic!("{text} is a time"));
            assert_eq!((stamp.at.nanos(), stamp.grain_ns), (nanos, grain), "{text}");
        }
    }

    #[test]
    fn what_is_no_time_is_none() {
        for text in [
            "",
            "-",
            "18:32:29.466",
            "2023-13-01 00:00:00",
            "2023-02-30",
            "2023-01-01T25:00:00",
            "12",
            "2023-01-01T00:00:00+99:00",
            "99999999999999999999",
            "1.2.3",
            "Foo 1, 2023 1:00:00 AM",
            "2023-01-01T00:00:00.Z",
            "é023-01-01T00:00:00Z",
            "2023-01-0é",
            "0",
            "10000001",
        ] {
            assert_eq!(any(text), None, "{text}");
        }
    }

    #[test]
    fn syslog_takes_the_nearest_year() {
        let january = any("2022-01-01T00:10:00Z").expect("time").at;
        let stamp = syslog("Dec 31 23:59:58 host x", january).expect("time");
        assert_eq!(stamp.at, any("2021-12-31T23:59:58Z").expect("time").at);
        let stamp = syslog("Jan  1 00:00:01", january).expect("time");
        assert_eq!(stamp.at, any("2022-01-01T00:00:01Z").expect("time").at);
        assert_eq!(syslog("Bad  1 00:00:01", january), None);
    }

    #[test]
    fn dhcp_in_local_time() {
        let stamp = dhcp("09/20/21", "09:16:15", 3_600).expect("time");
        assert_eq!(stamp.at, any("2021-09-20T08:16:15Z").expect("time").at);
        assert_eq!(dhcp("9/20/21", "09:16:15", 0), None);
    }
}
