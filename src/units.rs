//! Quantities with their units in the type: points in time, spans, byte counts, directions.

use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;

/// A point in packet time: nanoseconds since 1970-01-01 00:00:00 UTC.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Debug, Serialize, Deserialize)]
pub struct Timestamp(i64);

impl Timestamp {
    /// The earliest time that can be told.
    pub const MIN: Self = Self(i64::MIN);

    /// Later than any.
    pub const MAX: Self = Self(i64::MAX);

    /// From nanoseconds since the Unix epoch.
    #[inline]
    pub const fn from_nanos(nanos: i64) -> Self {
        Self(nanos)
    }

    /// From whole seconds and nanoseconds since the epoch, saturating.
    pub const fn new(secs: i64, nanos: i64) -> Self {
        Self(secs.saturating_mul(1_000_000_000).saturating_add(nanos))
    }

    /// Nanoseconds since the epoch.
    #[inline]
    pub const fn nanos(self) -> i64 {
        self.0
    }

    /// Whole microseconds since the epoch, rounded down.
    pub const fn micros(self) -> i64 {
        self.0.div_euclid(1_000)
    }

    /// Whole seconds since the epoch, rounded down.
    pub const fn secs(self) -> i64 {
        self.0.div_euclid(1_000_000_000)
    }

    /// Time passed since `earlier`; zero when `earlier` is later.
    #[inline]
    pub const fn since(self, earlier: Self) -> Span {
        let d = self.0.saturating_sub(earlier.0);
        Span(if d < 0 { 0 } else { d })
    }

    /// This time moved forward, saturating.
    pub const fn plus(self, span: Span) -> Self {
        Self(self.0.saturating_add(span.0))
    }
}

/// A length of time in nanoseconds, never negative.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Debug, Serialize, Deserialize)]
pub struct Span(i64);

impl Span {
    /// From nanoseconds; negative lengths become zero.
    pub const fn from_nanos(nanos: i64) -> Self {
        Self(if nanos < 0 { 0 } else { nanos })
    }

    /// From whole seconds, saturating.
    pub const fn from_secs(secs: i64) -> Self {
        Self::from_nanos(secs.saturating_mul(1_000_000_000))
    }

    /// From milliseconds, saturating.
    pub const fn from_millis(ms: i64) -> Self {
        Self::from_nanos(ms.saturating_mul(1_000_000))
    }

    /// Nanoseconds.
    pub const fn nanos(self) -> i64 {
        self.0
    }

    /// Whole seconds, rounded down.
    pub const fn secs(self) -> i64 {
        self.0 / 1_000_000_000
    }

    /// Seconds with fraction.
    pub fn as_secs_f64(self) -> f64 {
        self.0 as f64 / 1e9
    }
}

impl fmt::Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ms = self.0 / 1_000_000;
        for (unit, len) in [("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1_000)] {
            if ms >= len && ms % len == 0 {
                return write!(f, "{}{unit}", ms / len);
            }
        }
        if ms >= 1_000 { write!(f, "{:.1}s", self.as_secs_f64()) } else { write!(f, "{ms}ms") }
    }
}

impl FromStr for Span {
    type Err = String;

    /// Reads `90s`, `10m`, `24h`, `7d`, `250ms`. A bare number is refused: its unit would be a guess.
    fn from_str(text: &str) -> Result<Self, String> {
        let (number, unit) = split_unit(text);
        let scale = match unit {
            "ms" => 1e6,
            "s" | "sec" => 1e9,
            "m" | "min" => 60e9,
            "h" => 3_600e9,
            "d" => 86_400e9,
            "w" => 604_800e9,
            _ => {
                return Err(format!(
                    "'{text}' is no length of time; write for example \"10m\", \"24h\" or \"7d\""
                ));
            }
        };
        scaled(number, scale).map(|n| Self(n as i64)).ok_or_else(|| format!("'{text}' is no length of time"))
    }
}

/// A number of bytes.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Debug)]
pub struct Bytes(pub u64);

impl fmt::Display for Bytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut value = self.0 as f64;
        if self.0 < 1_000 {
            return write!(f, "{} B", self.0);
        }
        for unit in ["kB", "MB", "GB", "TB", "PB"] {
            value /= 1_000.0;
            if value < 999.5 || unit == "PB" {
                let places = usize::from(value < 99.95);
                return write!(f, "{value:.places$} {unit}");
            }
        }
        Ok(())
    }
}

impl FromStr for Bytes {
    type Err = String;

    /// Reads `"20 kB"`, `"3MB"`, `"1 GiB"`. A bare number is refused: its unit would be a guess.
    fn from_str(text: &str) -> Result<Self, String> {
        let (number, unit) = split_unit(text);
        let scale = match unit.to_ascii_lowercase().as_str() {
            "b" => 1e0,
            "kb" => 1e3,
            "mb" => 1e6,
            "gb" => 1e9,
            "tb" => 1e12,
            "kib" => 1024e0,
            "mib" => 1_048_576e0,
            "gib" => 1_073_741_824e0,
            "tib" => 1_099_511_627_776e0,
            _ => {
                return Err(format!(
                    "'{text}' is no size; write for example \"20 kB\", \"100 MB\" or \"1 GiB\""
                ));
            }
        };
        scaled(number, scale).map(|n| Self(n as u64)).ok_or_else(|| format!("'{text}' is no size"))
    }
}

fn split_unit(text: &str) -> (&str, &str) {
    let text = text.trim();
    let at = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
    let (number, unit) = text.split_at(at);
    (number, unit.trim())
}

fn scaled(number: &str, scale: f64) -> Option<f64> {
    let value: f64 = number.parse().ok()?;
    let value = value * scale;
    (value.is_finite() && value < 9e18).then_some(value)
}

/// Which way bytes go, seen from the originator of the connection.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub enum Direction {
    /// From the originator to the responder.
    Up,
    /// From the responder to the originator.
    Down,
}

/// A pair of values, one for each direction.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug, Serialize, Deserialize)]
pub struct Both<T> {
    /// Originator to responder.
    pub up: T,
    /// Responder to originator.
    pub down: T,
}

impl<T> Both<T> {
    /// The value of one direction.
    pub fn of(&self, direction: Direction) -> &T {
        match direction {
            Direction::Up => &self.up,
            Direction::Down => &self.down,
        }
    }

    /// The value of one direction, to change.
    pub fn of_mut(&mut self, direction: Direction) -> &mut T {
        match direction {
            Direction::Up => &mut self.up,
            Direction::Down => &mut self.down,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_need_a_unit() {
        assert_eq!("3 MB".parse(), Ok(Bytes(3_000_000)));
        assert_eq!("1GiB".parse(), Ok(Bytes(1 << 30)));
        for bad in ["", "10", "ten MB", "1 QB", "9999999999 TB", "-1 MB"] {
            assert!(bad.parse::<Bytes>().is_err(), "{bad}");
        }
    }

    #[test]
    fn spans_need_a_unit_and_print_as_written() {
        for good in ["24h", "7d", "10m", "250ms", "30s"] {
            assert_eq!(good.parse::<Span>().map(|s| s.to_string()), Ok(good.replace("24h", "1d")));
        }
        assert!("10".parse::<Span>().is_err());
    }

    #[test]
    fn bytes_print_short() {
        assert_eq!(Bytes(999).to_string(), "999 B");
        assert_eq!(Bytes(1_500_000).to_string(), "1.5 MB");
        assert_eq!(Bytes(312_000_000).to_string(), "312 MB");
    }

    #[test]
    fn time_never_wraps() {
        assert_eq!(Timestamp::new(i64::MAX, 1).nanos(), i64::MAX);
        assert_eq!(Timestamp::from_nanos(5).since(Timestamp::from_nanos(9)), Span::default());
        assert_eq!(Timestamp::from_nanos(-1).micros(), -1);
    }
}
