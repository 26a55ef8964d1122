//! A small JSON writer into a byte buffer: no intermediate value, no allocation, one line.
//!
//! Text comes in as `&str`, so that the result is always UTF-8; keys are ours and need no escaping; numbers that
//! JSON cannot hold are left out.

use super::stamp::Clock;
use crate::units::Timestamp;
use std::io::Write as _;
use std::net::IpAddr;

/// Writes the members of one object or the items of one array.
pub struct Json<'a> {
    out: &'a mut Vec<u8>,
    clock: &'a mut Clock,
    first: bool,
}

impl<'a> Json<'a> {
    /// Writes one object to the end of `out`.
    pub fn line(out: &'a mut Vec<u8>, clock: &'a mut Clock, fill: impl FnOnce(&mut Json<'_>)) {
        Json { out, clock, first: true }.nest(*b"{}", fill);
    }

    fn nest(&mut self, braces: [u8; 2], fill: impl FnOnce(&mut Json<'_>)) {
        self.out.push(braces[0]);
        fill(&mut Json { out: self.out, clock: self.clock, first: true });
        self.out.push(braces[1]);
    }

    fn comma(&mut self) {
        if !self.first {
            self.out.push(b',');
        }
        self.first = false;
    }

    /// Writes a key of ours: plain letters, nothing to escape.
    fn key(&mut self, key: &str) {
        self.comma();
        self.out.push(b'"');
        self.out.extend_from_slice(key.as_bytes());
        self.out.extend_from_slice(b"\":");
    }

    /// A member that is an object.
    pub fn object(&mut self, key: &str, fill: impl FnOnce(&mut Json<'_>)) {
        self.key(key);
        self.nest(*b"{}", fill);
    }

    /// A member that is an array.
    pub fn array(&mut self, key: &str, fill: impl FnOnce(&mut Json<'_>)) {
        self.key(key);
        self.nest(*b"[]", fill);
    }

    /// A member that is text.
    pub fn str(&mut self, key: &str, value: &str) {
        self.key(key);
        quoted(value, self.out);
    }

    /// A member that is text, if known.
    pub fn opt_str(&mut self, key: &str, value: Option<&str>) {
        if let Some(value) = value {
            self.str(key, value);
        }
    }

    /// A member that is text of our own making without anything to escape, appended by `fill`.
    pub fn plain(&mut self, key: &str, fill: impl FnOnce(&mut Vec<u8>)) {
        self.key(key);
        self.out.push(b'"');
        fill(self.out);
        self.out.push(b'"');
    }

    /// A member that is an array of texts; left out when there is none.
    pub fn strs<T: AsRef<str>>(&mut self, key: &str, values: &[T]) {
        if !values.is_empty() {
            self.array(key, |j| values.iter().for_each(|v| j.item_str(v.as_ref())));
        }
    }

    /// A member that is a whole number.
    pub fn uint(&mut self, key: &str, value: u64) {
        self.key(key);
        decimal(value, self.out);
    }

    /// A member that is a whole number, perhaps below zero.
    pub fn int(&mut self, key: &str, value: i64) {
        self.key(key);
        if value < 0 {
            self.out.push(b'-');
        }
        decimal(value.unsigned_abs(), self.out);
    }

    /// A member that is a whole number, if known.
    pub fn opt_uint(&mut self, key: &str, value: Option<u64>) {
        if let Some(value) = value {
            self.uint(key, value);
        }
    }

    /// A member that is true or false.
    pub fn bool(&mut self, key: &str, value: bool) {
        self.key(key);
        self.out.extend_from_slice(if value { b"true" } else { b"false" });
    }

    /// A member with a fraction, at most four decimals and always at least one, so that no index takes it for a
    /// whole number. Left out when it is not finite.
    pub fn float(&mut self, key: &str, value: f64) {
        if value.is_finite() {
            self.key(key);
            float(value, self.out);
        }
    }

    /// A member that is an address.
    pub fn ip(&mut self, key: &str, value: IpAddr) {
        self.plain(key, |out| address(value, out));
    }

    /// A member that is a point in time in Suricata's form.
    pub fn time(&mut self, key: &str, at: Timestamp) {
        self.key(key);
        self.out.push(b'"');
        self.clock.eve(at, self.out);
        self.out.push(b'"');
    }

    /// A member that is the date of a certificate (seconds since the epoch); left out when absurd.
    pub fn date(&mut self, key: &str, secs: i64) {
        let (start, first) = (self.out.len(), self.first);
        self.key(key);
        self.out.push(b'"');
        if self.clock.certificate(secs, self.out).is_none() {
            self.out.truncate(start);
            self.first = first;
            return;
        }
        self.out.push(b'"');
    }

    /// An item that is text.
    pub fn item_str(&mut self, value: &str) {
        self.comma();
        quoted(value, self.out);
    }

    /// An item that is text of our own making without anything to escape, appended by `fill`.
    pub fn item_plain(&mut self, fill: impl FnOnce(&mut Vec<u8>)) {
        self.comma();
        self.out.push(b'"');
        fill(self.out);
        self.out.push(b'"');
    }

    /// An item that is a whole number.
    pub fn item_uint(&mut self, value: u64) {
        self.comma();
        decimal(value, self.out);
    }

    /// An item that is an object.
    pub fn item(&mut self, fill: impl FnOnce(&mut Json<'_>)) {
        self.comma();
        self.nest(*b"{}", fill);
    }
}

/// Appends `value` in decimal digits.
pub fn decimal(mut value: u64, out: &mut Vec<u8>) {
    let mut digits = [0u8; 20];
    let mut at = digits.len();
    loop {
        at -= 1;
        digits[at] = b'0' + (value % 10) as u8;
        value /= 10;
        if value == 0 {
            break;
        }
    }
    out.extend_from_slice(&digits[at..]);
}

/// Appends a finite number with one to four decimals (huge ones with an exponent).
pub fn float(value: f64, out: &mut Vec<u8>) {
    if value.abs() >= 1e14 {
        // Cannot fail: a Vec takes everything.
        let _ = write!(out, "{value:e}");
        return;
    }
    let scaled = (value * 1e4).round() as i64;
    if scaled < 0 {
        out.push(b'-');
    }
    let scaled = scaled.unsigned_abs();
    decimal(scaled / 10_000, out);
    let mut fraction = scaled % 10_000;
    let mut places = 4;
    while places > 1 && fraction.is_multiple_of(10) {
        fraction /= 10;
        places -= 1;
    }
    out.push(b'.');
    let mut digits = [b'0'; 4];
    for digit in digits[..places].iter_mut().rev() {
        *digit = b'0' + (fraction % 10) as u8;
        fraction /= 10;
    }
    out.extend_from_slice(&digits[..places]);
}

/// Appends an address in its usual short form.
pub fn address(value: IpAddr, out: &mut Vec<u8>) {
    match value {
        IpAddr::V4(v4) => {
            for (i, octet) in v4.octets().into_iter().enumerate() {
                if i > 0 {
                    out.push(b'.');
                }
                decimal(u64::from(octet), out);
            }
        }
        // Cannot fail: a Vec takes everything.
        IpAddr::V6(v6) => drop(write!(out, "{v6}")),
    }
}

/// Appends bytes in lower-case hex, joined by `joint` if there is one.
pub fn hex(bytes: &[u8], joint: Option<u8>, out: &mut Vec<u8>) {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    for (i, byte) in bytes.iter().enumerate() {
        out.extend(joint.filter(|_| i > 0));
        out.push(DIGITS[usize::from(byte >> 4)]);
        out.push(DIGITS[usize::from(byte & 15)]);
    }
}

/// Appends text between quotes. Control characters become escapes: a line stays a line whatever a peer sends.
pub fn quoted(text: &str, out: &mut Vec<u8>) {
    out.push(b'"');
    let bytes = text.as_bytes();
    let mut done = 0;
    for (i, &byte) in bytes.iter().enumerate() {
        if byte >= 0x20 && byte != b'"' && byte != b'\\' && byte != 0x7f {
            continue;
        }
        out.extend_from_slice(&bytes[done..i]);
        done = i + 1;
        match byte {
            b'"' => out.extend_from_slice(b"\\\""),
            b'\\' => out.extend_from_slice(b"\\\\"),
            b'\n' => out.extend_from_slice(b"\\n"),
            b'\r' => out.extend_from_slice(b"\\r"),
            b'\t' => out.extend_from_slice(b"\\t"),
            other => {
                out.extend_from_slice(b"\\u00");
                hex(&[other], None, out);
            }
        }
    }
    out.extend_from_slice(&bytes[done..]);
    out.push(b'"');
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::Value;

    fn parsed(fill: impl FnOnce(&mut Json<'_>)) -> Value {
        let (mut out, mut clock) = (Vec::new(), Clock::default());
        Json::line(&mut out, &mut clock, fill);
        assert!(!out.contains(&b'\n'));
        serde_json::from_slice(&out).unwrap_or_else(|e| panic!("{e}: {}", String::from_utf8_lossy(&out)))
    }

    #[test]
    fn nesting_and_commas() {
        let mut out = Vec::new();
        Json::line(&mut out, &mut Clock::default(), |j| {
            j.object("a", |j| j.uint("b", 1));
            j.array("c", |j| {
                j.item(|j| j.bool("d", true));
                j.item(|_| ());
                j.item_uint(u64::MAX);
            });
            j.date("no", i64::MAX);
            j.float("nor", f64::NAN);
            j.strs::<&str>("neither", &[]);
            j.ip("e", IpAddr::from([10, 0, 0, 255]));
        });
        let want = r#"{"a":{"b":1},"c":[{"d":true},{},18446744073709551615],"e":"10.0.0.255"}"#;
        assert_eq!(String::from_utf8_lossy(&out), want);
    }

    #[test]
    fn a_rejected_first_member_leaves_no_comma() {
        let mut out = Vec::new();
        Json::line(&mut out, &mut Clock::default(), |j| {
            j.date("no", i64::MAX);
            j.uint("a", 0);
        });
        assert_eq!(out, br#"{"a":0}"#);
    }

    #[test]
    fn floats_keep_a_point() {
        for (value, want) in [
            (0.0, "0.0"),
            (-0.0, "0.0"),
            (1.0, "1.0"),
            (-2.5, "-2.5"),
            (0.00004, "0.0"),
            (0.00005, "0.0001"),
            (12.34567, "12.3457"),
            (99.99999, "100.0"),
            (-1e300, "-1e300"),
        ] {
            let mut out = Vec::new();
            float(value, &mut out);
            assert_eq!(String::from_utf8_lossy(&out), want);
        }
    }

    proptest! {
        #[test]
        fn any_text_survives(text: String, ascii in "[\\x00-\\x7f]*") {
            let v = parsed(|j| { j.str("a", &text); j.strs("b", &[&ascii]); });
            prop_assert_eq!(v["a"].as_str(), Some(text.as_str()));
            prop_assert_eq!(v["b"][0].as_str(), Some(ascii.as_str()));
        }

        #[test]
        fn any_number_survives(n: u64, f: f64, v4: u32, v6: u128) {
            let v = parsed(|j| {
                j.uint("n", n);
                j.float("f", f);
                j.ip("v4", IpAddr::from(v4.to_be_bytes()));
                j.ip("v6", IpAddr::from(v6.to_be_bytes()));
            });
            prop_assert_eq!(v["n"].as_u64(), Some(n));
            prop_assert!(v["f"].as_f64().is_some_and(|got| (got - f).abs() <= 1e-4 + f.abs() * 1e-12));
            let ip = |k: &str| v[k].as_str().and_then(|s| s.parse::<IpAddr>().ok());
            prop_assert_eq!(ip("v4"), Some(IpAddr::from(v4.to_be_bytes())));
            prop_assert_eq!(ip("v6"), Some(IpAddr::from(v6.to_be_bytes())));
        }
    }
}
