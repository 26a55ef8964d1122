//! Points in time as text: days are turned into dates once and kept, since nearly all records fall on one day.

use crate::units::Timestamp;

const SECS_PER_DAY: i64 = 86_400;

/// Year, month and day of the day number `days` since 1970-01-01 (proleptic Gregorian calendar, any sign).
pub fn civil_from_days(days: i64) -> (i64, u32, u32) {
    // Years begin in March here, so that the leap day is the last of its year. 719,468 days lie between
    // 0000-03-01 and 1970-01-01; 146,097 days make 400 years.
    let shifted = days.saturating_add(719_468);
    let era = shifted.div_euclid(146_097);
    let day_of_era = shifted.rem_euclid(146_097);
    let year_of_era =
        (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096).div_euclid(365);
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let march_month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * march_month + 2) / 5 + 1;
    let month = if march_month < 10 { march_month + 3 } else { march_month - 9 };
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    (year, month as u32, day as u32)
}

/// Writes times; remembers the newest date.
#[derive(Clone, Debug)]
pub struct Clock {
    day: i64,
    date: [u8; 10],
}

impl Default for Clock {
    fn default() -> Self {
        Self { day: 0, date: *b"1970-01-01" }
    }
}

impl Clock {
    /// `2026-01-31T23:59:59.123456+0000`, as Suricata writes it.
    pub fn eve(&mut self, at: Timestamp, out: &mut Vec<u8>) {
        let micros = at.micros();
        let secs = micros.div_euclid(1_000_000);
        self.seconds(secs, b'T', b':', out);
        let mut tail = *b".000000+0000";
        let mut rest = micros.rem_euclid(1_000_000) as u32;
        for digit in tail[1..7].iter_mut().rev() {
            *digit = b'0' + (rest % 10) as u8;
            rest /= 10;
        }
        out.extend_from_slice(&tail);
    }

    /// `2026-01-31T23:59:59` for seconds since the epoch. `None` outside the years 1000 to 2999, which no reader
    /// of Suricata's certificate dates expects.
    pub fn certificate(&mut self, secs: i64, out: &mut Vec<u8>) -> Option<()> {
        let (year, ..) = civil_from_days(secs.div_euclid(SECS_PER_DAY));
        (1_000..3_000).contains(&year).then(|| self.seconds(secs, b'T', b':', out))
    }

    /// `2026-01-31 23:59:59`, for people.
    pub fn people(&mut self, at: Timestamp, out: &mut Vec<u8>) {
        self.seconds(at.secs(), b' ', b':', out);
    }

    /// `2026-01-31-23-59-59`, as Zeek's `#open` and `#close` have it.
    pub fn zeek(&mut self, at: Timestamp, out: &mut Vec<u8>) {
        self.seconds(at.secs(), b'-', b'-', out);
    }

    fn seconds(&mut self, secs: i64, joint: u8, colon: u8, out: &mut Vec<u8>) {
        self.turn_to(secs.div_euclid(SECS_PER_DAY));
        let of_day = secs.rem_euclid(SECS_PER_DAY) as u32;
        let [h, m, s] = [of_day / 3_600, of_day / 60 % 60, of_day % 60].map(two);
        out.extend_from_slice(&self.date);
        out.extend_from_slice(&[joint, h[0], h[1], colon, m[0], m[1], colon, s[0], s[1]]);
    }

    fn turn_to(&mut self, day: i64) {
        if day == self.day {
            return;
        }
        let (year, month, of_month) = civil_from_days(day);
        // Timestamps reach from 1677 to 2262 and certificates are bounded above: four digits always do.
        let year = year.clamp(0, 9_999) as u32;
        let ([a, b], [c, d]) = (two(year / 100), two(year % 100));
        let ([e, f], [g, h]) = (two(month), two(of_month));
        self.date = [a, b, c, d, b'-', e, f, b'-', g, h];
        self.day = day;
    }
}

fn two(n: u32) -> [u8; 2] {
    [b'0' + (n / 10 % 10) as u8, b'0' + (n % 10) as u8]
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn eve(nanos: i64) -> String {
        let mut out = Vec::new();
        Clock::default().eve(Timestamp::from_nanos(nanos), &mut out);
        String::from_utf8(out).unwrap_or_default()
    }

    #[test]
    fn known_times() {
        assert_eq!(eve(0), "1970-01-01T00:00:00.000000+0000");
        assert_eq!(eve(1_769_903_999_123_456_789), "2026-01-31T23:59:59.123456+0000");
        assert_eq!(eve(-1), "1969-12-31T23:59:59.999999+0000");
        assert_eq!(eve(951_782_400_000_000_000), "2000-02-29T00:00:00.000000+0000");
        assert_eq!(eve(i64::MIN), "1677-09-21T00:12:43.145224+0000");
        assert_eq!(eve(i64::MAX), "2262-04-11T23:47:16.854775+0000");
    }

    #[test]
    fn certificates_outside_four_digit_years_are_left_out() {
        let mut out = Vec::new();
        for (secs, ok) in [(0, true), (253_402_300_799, false), (i64::MIN, false), (i64::MAX, false)] {
            assert_eq!(Clock::default().certificate(secs, &mut out).is_some(), ok, "{secs}");
        }
        assert_eq!(out, b"1970-01-01T00:00:00");
    }

    proptest! {
        #[test]
        fn agrees_with_jiff(nanos: i64) {
            let theirs = jiff::Timestamp::from_nanosecond(i128::from(nanos));
            let theirs = theirs.map(|t| t.strftime("%Y-%m-%dT%H:%M:%S").to_string()).unwrap_or_default();
            prop_assert_eq!(&eve(nanos)[..19], theirs);
        }
    }
}
