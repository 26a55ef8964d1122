//! Numbers, times, addresses and escapes as logs write them, read by hand: no allocation, no panic, any bytes.

use crate::units::{Span, Timestamp};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Earliest time that a log line may tell: 1980, before anything that could have been logged.
const EARLIEST_SECS: i64 = 315_532_800;
/// Latest time that a log line may tell: 2200.
const LATEST_SECS: i64 = 7_258_118_400;
/// Nothing that a log tells lasts longer.
const LONGEST_SECS: i64 = 366 * 86_400;

/// A whole number; nothing beyond 64 bits.
#[inline]
pub fn number(text: &[u8]) -> Option<u64> {
    // 18 digits cannot overflow, and no log has more in earnest.
    if text.is_empty() || text.len() > 18 {
        return None;
    }
    let mut value = 0u64;
    for b in text {
        let digit = b.wrapping_sub(b'0');
        if digit > 9 {
            return None;
        }
        value = value * 10 + u64::from(digit);
    }
    Some(value)
}

/// A port number.
#[inline]
pub fn port(text: &[u8]) -> Option<u16> {
    number(text).and_then(|n| u16::try_from(n).ok())
}

/// Seconds with up to nine decimals, as nanoseconds; also `1e-06`, which some writers of JSON use.
#[inline]
pub fn seconds(text: &[u8]) -> Option<i64> {
    let dot = text.iter().position(|b| *b == b'.').unwrap_or(text.len());
    let (whole, fraction) = text.split_at(dot);
    let (Some(whole), true) = (number(whole), fraction.len() <= 19) else { return exponent(text) };
    let whole = i64::try_from(whole).ok()?.checked_mul(1_000_000_000)?;
    let mut nanos = 0i64;
    let mut unit = 100_000_000i64;
    for b in fraction.iter().skip(1) {
        let digit = b.wrapping_sub(b'0');
        if digit > 9 {
            return exponent(text);
        }
        nanos += i64::from(digit) * unit;
        unit /= 10;
    }
    whole.checked_add(nanos)
}

#[cold]
fn exponent(text: &[u8]) -> Option<i64> {
    let text = std::str::from_utf8(text).ok().filter(|t| t.len() <= 40)?;
    let nanos = text.parse::<f64>().ok()? * 1e9;
    (nanos.is_finite() && (0.0..9e18).contains(&nanos)).then_some(nanos as i64)
}

/// A point in time: seconds since the epoch, or a date and time of day.
#[inline]
pub fn time(text: &[u8]) -> Option<Timestamp> {
    let at = match text.get(4) {
        Some(b'-' | b'/') => date(text)?,
        _ => Timestamp::from_nanos(seconds(text)?),
    };
    (EARLIEST_SECS..LATEST_SECS).contains(&at.secs()).then_some(at)
}

/// How long something took; what is longer than a year is no length of a connection.
#[inline]
pub fn span(text: &[u8]) -> Option<Span> {
    let nanos = seconds(text)?;
    let span = Span::from_nanos(nanos);
    (span.secs() <= LONGEST_SECS).then_some(span)
}

/// `2026-01-31T23:59:59.123456+0000`, with `T`, `t` or a space, a zone or none (UTC), `/` for `-`.
fn date(text: &[u8]) -> Option<Timestamp> {
    let two = |at: usize| number(text.get(at..at + 2)?).map(|n| n as i64);
    let (year, month, day) = (number(text.get(..4)?)? as i64, two(5)?, two(8)?);
    let (hour, minute, second) = (two(11)?, two(14)?, two(17)?);
    let marks = [text.get(7)?, text.get(10)?, text.get(13)?, text.get(16)?];
    let [b'-' | b'/', b'T' | b't' | b' ' | b'_', b':', b':'] = marks else { return None };
    if !(1..=12).contains(&month) || !(1..=31).contains(&day) || hour > 24 || minute > 59 || second > 60 {
        return None;
    }
    let rest = text.get(19..).unwrap_or_default();
    let digits = match rest {
        [b'.' | b',', more @ ..] => more.iter().take_while(|b| b.is_ascii_digit()).count(),
        _ => 0,
    };
    let mut nanos = 0;
    if digits > 0 {
        let kept = digits.min(9);
        let fraction = number(rest.get(1..=kept)?)? as i64;
        nanos = fraction * 10i64.pow(9 - kept as u32);
    }
    let zone = rest.get(if digits > 0 { digits + 1 } else { 0 }..).unwrap_or_default();
    let secs = days(year, month, day) * 86_400 + hour * 3_600 + minute * 60 + second - offset(zone)?;
    Some(Timestamp::new(secs, nanos))
}

/// Seconds that a zone (`Z`, `+0000`, `+00:00`, `+02`, ` +0200`) is ahead of UTC.
pub(super) fn offset(zone: &[u8]) -> Option<i64> {
    let zone = zone.trim_ascii();
    let (sign, digits) = match zone {
        [] | [b'Z' | b'z'] => return Some(0),
        [b'+', digits @ ..] => (1, digits),
        [b'-', digits @ ..] => (-1, digits),
        _ => return None,
    };
    let hours = number(digits.get(..2)?)? as i64;
    let minutes = match digits.get(2..)? {
        [] => 0,
        [b':', rest @ ..] | rest => number(rest)? as i64,
    };
    (hours < 24 && minutes < 60).then_some(sign * (hours * 3_600 + minutes * 60))
}

/// Days from 1970-01-01 to a date of the Gregorian calendar (years from March on, in eras of 400 years).
pub(super) const fn days(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let of_era = year - era * 400;
    let of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    era * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719_468
}

/// An address of either family. An IPv4 address mapped into IPv6 is IPv4.
#[inline]
pub fn address(text: &[u8]) -> Option<IpAddr> {
    match v4(text) {
        Some(ip) => Some(IpAddr::V4(ip)),
        None => v6(text),
    }
}

#[inline]
fn v4(text: &[u8]) -> Option<Ipv4Addr> {
    if text.len() > 15 {
        return None;
    }
    let (mut octets, mut at, mut value, mut digits) = ([0u8; 4], 0usize, 0u32, 0u32);
    for b in text {
        let digit = b.wrapping_sub(b'0');
        if digit <= 9 {
            value = value * 10 + u32::from(digit);
            digits += 1;
            if digits > 3 || value > 255 {
                return None;
            }
        } else if *b == b'.' && digits > 0 {
            *octets.get_mut(at)? = value as u8;
            (at, value, digits) = (at + 1, 0, 0);
        } else {
            return None;
        }
    }
    if at != 3 || digits == 0 {
        return None;
    }
    octets[3] = value as u8;
    Some(Ipv4Addr::from(octets))
}

fn v6(text: &[u8]) -> Option<IpAddr> {
    if text.len() > 45 || text.len() < 2 {
        return None;
    }
    if text.contains(&b'.') || text.contains(&b'%') {
        return odd_v6(text);
    }
    let (mut groups, mut at, mut gap) = ([0u16; 8], 0usize, None);
    let mut rest = text;
    if let [b':', b':', ..] = rest {
        gap = Some(0);
        rest = rest.get(2..)?;
    }
    while !rest.is_empty() {
        let end = rest.iter().position(|b| *b == b':').unwrap_or(rest.len());
        let group = rest.get(..end)?;
        if group.is_empty() || group.len() > 4 {
            return None;
        }
        let mut value = 0u16;
        for b in group {
            value = value << 4 | (*b as char).to_digit(16)? as u16;
        }
        *groups.get_mut(at)? = value;
        at += 1;
        rest = match rest.get(end..)? {
            all @ [] => all,
            [b':', b':', more @ ..] if gap.is_none() => {
                gap = Some(at);
                more
            }
            [b':', more @ ..] if !more.is_empty() => more,
            _ => return None,
        };
    }
    match gap {
        None if at == 8 => {}
        // `::` stands for one group at least; some writers put it where nothing is left out.
        Some(gap) if at <= 8 => {
            groups.get_mut(gap..)?.rotate_right(8 - at);
        }
        _ => return None,
    }
    Some(IpAddr::V6(Ipv6Addr::from(groups)).to_canonical())
}

#[cold]
fn odd_v6(text: &[u8]) -> Option<IpAddr> {
    let text = std::str::from_utf8(text).ok()?;
    let text = text.split_once('%').map_or(text, |(ip, _zone)| ip);
    text.parse::<Ipv6Addr>().ok().map(|ip| IpAddr::V6(ip).to_canonical())
}

/// A link address: `02:a6:27:99:99:47`, also with `-` or without marks.
pub fn mac(text: &[u8]) -> Option<[u8; 6]> {
    let (mut out, mut nibbles) = ([0u8; 6], 0usize);
    for b in text {
        if matches!(b, b':' | b'-' | b'.') {
            continue;
        }
        let digit = (*b as char).to_digit(16)? as u8;
        let slot = out.get_mut(nibbles / 2)?;
        *slot = *slot << 4 | digit;
        nibbles += 1;
    }
    (nibbles == 12).then_some(out)
}

/// Undoes `\x09` and `\\`, as Zeek escapes what would break a line.
pub fn unescape(text: &[u8], out: &mut Vec<u8>) {
    let mut rest = text;
    while let Some((first, more)) = rest.split_first() {
        rest = match (first, more) {
            (b'\\', [b'x', high, low, after @ ..]) => {
                let digit = |b: &u8| (*b as char).to_digit(16).map(|d| d as u8);
                if let (Some(high), Some(low)) = (digit(high), digit(low)) {
                    out.push(high << 4 | low);
                    after
                } else {
                    out.push(b'\\');
                    more
                }
            }
            (b'\\', [b'\\', after @ ..]) => {
                out.push(b'\\');
                after
            }
            _ => {
                out.push(*first);
                more
            }
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_and_times() {
        assert_eq!((number(b"0"), number(b"4294967296")), (Some(0), Some(4_294_967_296)));
        for bad in [&b""[..], b"-", b"-1", b"+1", b"1.5", b"9999999999999999999", b"1 "] {
            assert_eq!(number(bad), None, "{bad:?}");
        }
        let nanos = |text: &[u8]| time(text).map(Timestamp::nanos);
        assert_eq!(nanos(b"1767571230.634313"), Some(1_767_571_230_634_313_000));
        assert_eq!(nanos(b"1767571230"), Some(1_767_571_230_000_000_000));
        assert_eq!(nanos(b"1.7675712e9"), Some(1_767_571_200_000_000_000));
        assert_eq!(span(b"1e-06"), Some(Span::from_nanos(1_000)));
        assert_eq!(span(b"0.000001"), Some(Span::from_nanos(1_000)));
        for bad in
            [&b"-"[..], b"", b".", b"1e30", b"-5", b"99999999999", b"12", b"nan", b"inf", b"1767571230.x"]
        {
            assert_eq!(time(bad), None, "{:?}", String::from_utf8_lossy(bad));
        }
        assert_eq!(span(b"99999999"), None);
    }

    #[test]
    fn dates() {
        let want = Timestamp::new(1_769_903_999, 123_456_000);
        for text in [
            "2026-01-31T23:59:59.123456+0000",
            "2026-01-31T23:59:59.123456Z",
            "2026-02-01T01:59:59.123456+02:00",
            "2026/01/31 18:59:59.123456 -0500",
        ] {
            assert_eq!(time(text.as_bytes()), Some(want), "{text}");
        }
        assert_eq!(time(b"2024-02-29 00:00:00"), Some(Timestamp::new(1_709_164_800, 0)));
        for bad in ["2026-01-31", "2026-13-01T00:00:00", "2026-01-31T23:59:59+xx", "2026-01-31T2x:59:59Z"] {
            assert_eq!(time(bad.as_bytes()), None, "{bad}");
        }
    }

    #[test]
    fn addresses_agree_with_the_standard_library() {
        for text in [
            "10.20.0.34",
            "0.0.0.0",
            "255.255.255.255",
            "256.1.1.1",
            "1.2.3",
            "1.2.3.4.5",
            "1..2.3",
            "",
            ".",
            "::",
            "::1",
            "1::",
            "2001:db8:20:2::1102",
            "2001:db8:f:0::2",
            "1:2:3:4:5:6:7:8",
            "1:2:3:4:5:6:7",
            "1:2:3:4:5:6:7:8:9",
            "fe80::1:",
            ":1::2",
            "1::2::3",
            "12345::",
            "g::",
            ":::",
            ":",
            "::ffff:1.2.3.4",
            "64:ff9b::1.2.3.4",
            "1:2:3:4:5:6:1.2.3.4",
        ] {
            let want = text.parse::<IpAddr>().ok().map(|ip| ip.to_canonical());
            assert_eq!(address(text.as_bytes()), want, "{text}");
        }
        assert_eq!(address(b"fe80::1%eth0"), "fe80::1".parse().ok());
    }

    #[test]
    fn link_addresses_and_escapes() {
        let want = Some([2, 0xa6, 0x27, 0x99, 0x99, 0x47]);
        for text in ["02:a6:27:99:99:47", "02-A6-27-99-99-47", "02a6.2799.9947"] {
            assert_eq!(mac(text.as_bytes()), want);
        }
        assert_eq!(
            (mac(b"02:a6"), mac(b"02:a6:27:99:99:47:00"), mac(b"zz:a6:27:99:99:47")),
            (None, None, None)
        );
        let mut out = Vec::new();
        unescape(br"a\x09b\\c\xzz\x4", &mut out);
        assert_eq!(out, b"a\tb\\c\\xzz\\x4");
    }
}
