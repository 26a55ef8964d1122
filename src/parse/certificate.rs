//! The leaf certificate of a handshake in the clear (X.509, RFC 5280), read with a bounded DER walk.
//!
//! The packet path looks at its outer form and keeps it as it is ([`Leaf`]). Its texts are made when somebody asks for
//! them: where the record is written, or where the flow has no better name.

use super::Certificate;
use super::text::{hex_colons, push_readable};
use crate::bytes::Reader;
use serde::{Deserialize, Serialize};
use sha1::{Digest, Sha1};
use std::borrow::Cow;
use std::sync::OnceLock;

/// Bytes of a certificate that are kept to be read later. Most have one to two thousand; a larger one is read at once,
/// so that nobody can make a flow large.
const MAX_KEPT: usize = 4096;

/// Names kept of one certificate.
const MAX_NAMES: usize = 256;

/// Attributes kept of one distinguished name.
const MAX_ATTRIBUTES: usize = 32;

/// Object identifiers of name attributes, in DER, and the letters Suricata prints for them.
const ATTRIBUTES: &[(&[u8], &str)] = &[
    (&[0x55, 4, 3], "CN"),
    (&[0x55, 4, 4], "SN"),
    (&[0x55, 4, 5], "serialNumber"),
    (&[0x55, 4, 6], "C"),
    (&[0x55, 4, 7], "L"),
    (&[0x55, 4, 8], "ST"),
    (&[0x55, 4, 9], "STREET"),
    (&[0x55, 4, 10], "O"),
    (&[0x55, 4, 11], "OU"),
    (&[0x55, 4, 12], "title"),
    (&[0x55, 4, 13], "description"),
    (&[0x55, 4, 15], "businessCategory"),
    (&[0x55, 4, 17], "postalCode"),
    (&[0x55, 4, 42], "GN"),
    (&[0x09, 0x92, 0x26, 0x89, 0x93, 0xf2, 0x2c, 0x64, 1, 1], "UID"),
    (&[0x09, 0x92, 0x26, 0x89, 0x93, 0xf2, 0x2c, 0x64, 1, 25], "DC"),
    (&[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 9, 1], "emailAddress"),
];

const SEQUENCE: u8 = 0x30;
const SUBJECT_ALT_NAME: &[u8] = &[0x55, 0x1d, 0x11];

/// A certificate that is read when somebody asks.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Leaf {
    /// As sent; empty where it was too long to keep and has been read.
    der: Box<[u8]>,
    #[serde(with = "super::once")]
    read: OnceLock<Certificate>,
}

impl Leaf {
    /// Keeps a DER certificate. `None` where its outer form is wrong.
    pub fn keep(der: &[u8]) -> Option<Self> {
        let outline = Outline::of(der)?;
        if der.len() <= MAX_KEPT {
            return Some(Self { der: der.into(), read: OnceLock::new() });
        }
        Some(Self::known(outline.read(der)))
    }

    /// One that has been read already.
    pub fn known(certificate: Certificate) -> Self {
        Self { der: Box::default(), read: OnceLock::from(certificate) }
    }

    /// What it says.
    pub fn read(&self) -> &Certificate {
        self.read.get_or_init(|| read(&self.der).unwrap_or_default())
    }

    /// As it was sent, where that was kept.
    pub fn der(&self) -> Option<&[u8]> {
        Some(&*self.der).filter(|der| !der.is_empty())
    }
}

/// The same certificate, whether or not anybody has read it.
impl PartialEq for Leaf {
    fn eq(&self, other: &Self) -> bool {
        self.der == other.der && (!self.der.is_empty() || self.read == other.read)
    }
}

impl Eq for Leaf {}

/// Reads one DER certificate. `None` where its outer form is wrong; fields that are wrong inside stay empty.
pub fn read(der: &[u8]) -> Option<Certificate> {
    Outline::of(der).map(|outline| outline.read(der))
}

/// Where the parts of a certificate are.
struct Outline<'a> {
    serial: &'a [u8],
    issuer: &'a [u8],
    validity: &'a [u8],
    subject: &'a [u8],
    /// What follows the key.
    rest: Reader<'a>,
}

impl<'a> Outline<'a> {
    fn of(der: &'a [u8]) -> Option<Self> {
        let mut outer = Reader::new(expect(&mut Reader::new(der), SEQUENCE)?);
        let mut body = Reader::new(expect(&mut outer, SEQUENCE)?);
        let mut probe = body;
        // [0] version, absent in version 1.
        if element(&mut probe)?.0 == 0xa0 {
            body = probe;
        }
        let serial = expect(&mut body, 0x02)?;
        expect(&mut body, SEQUENCE)?;
        let issuer = expect(&mut body, SEQUENCE)?;
        let validity = expect(&mut body, SEQUENCE)?;
        let subject = expect(&mut body, SEQUENCE)?;
        expect(&mut body, SEQUENCE)?;
        Some(Self { serial, issuer, validity, subject, rest: body })
    }

    fn read(&self, der: &[u8]) -> Certificate {
        let mut times = Reader::new(self.validity);
        let mut serial = hex_colons(self.serial.get(..64).unwrap_or(self.serial));
        serial.make_ascii_uppercase();
        let mut certificate = Certificate {
            subject: distinguished(self.subject),
            issuer: distinguished(self.issuer),
            serial: serial.into(),
            fingerprint: hex_colons(&Sha1::digest(der)).into(),
            not_before: element(&mut times).and_then(time).unwrap_or_default(),
            not_after: element(&mut times).and_then(time).unwrap_or_default(),
            ..Certificate::default()
        };
        // [1] and [2] unique ids may precede [3] extensions.
        let mut body = self.rest;
        while let Some((tag, content)) = element(&mut body) {
            if tag == 0xa3 {
                certificate.names = alternative_names(content);
            }
        }
        certificate
    }
}

/// The name by which a certificate may stand for the host: the common name where it looks like one, else the first
/// alternative name; a leading `*.` is left out, so that the suffix remains.
pub fn host_name(certificate: &Certificate) -> Option<Box<str>> {
    let common = certificate.subject.split(", ").find_map(|part| part.strip_prefix("CN="));
    common
        .into_iter()
        .chain(certificate.names.iter().map(|n| &**n))
        .map(|n| n.strip_prefix("*.").unwrap_or(n))
        .find(|n| is_host(n))
        .map(Into::into)
}

fn is_host(name: &str) -> bool {
    let fits = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-' | b'_');
    name.len() <= super::text::MAX_NAME && name.trim_matches('.').contains('.') && name.bytes().all(fits)
}

/// One tag, length, value. Indefinite and over-long lengths are refused; tags above 30 do not occur here.
#[inline]
fn element<'a>(r: &mut Reader<'a>) -> Option<(u8, &'a [u8])> {
    let mut probe = *r;
    let tag = probe.u8().filter(|t| t & 0x1f != 0x1f)?;
    let len = match probe.u8()? {
        short @ 0..=0x7f => short as usize,
        0x81 => probe.u8()? as usize,
        0x82 => probe.u16()? as usize,
        0x83 => probe.u24()? as usize,
        _ => return None,
    };
    let content = probe.take(len)?;
    *r = probe;
    Some((tag, content))
}

#[inline]
fn expect<'a>(r: &mut Reader<'a>, tag: u8) -> Option<&'a [u8]> {
    element(r).filter(|(t, _)| *t == tag).map(|(_, content)| content)
}

/// `C=…, O=…, CN=…` in the order of the certificate.
fn distinguished(name: &[u8]) -> Box<str> {
    let mut out = String::new();
    let mut sets = Reader::new(name);
    for _ in 0..MAX_ATTRIBUTES {
        let Some(set) = expect(&mut sets, 0x31) else { break };
        let mut attributes = Reader::new(set);
        while let Some((label, value)) = expect(&mut attributes, SEQUENCE).and_then(attribute) {
            if out.len() > super::text::MAX_TEXT {
                return out.into();
            }
            if !out.is_empty() {
                out.push_str(", ");
            }
            out.push_str(&label);
            out.push('=');
            push_readable(&mut out, &value);
        }
    }
    out.into()
}

/// Label and value of an attribute of a distinguished name.
fn attribute(pair: &[u8]) -> Option<(Cow<'static, str>, Cow<'_, str>)> {
    let mut r = Reader::new(pair);
    let oid = expect(&mut r, 0x06)?;
    let (tag, value) = element(&mut r)?;
    let label = match ATTRIBUTES.iter().find(|(known, _)| *known == oid) {
        Some((_, label)) => Cow::Borrowed(*label),
        None => Cow::Owned(dotted(oid)),
    };
    let text = match tag {
        // BMPString is UTF-16; T61 and the rest are taken as Latin-1 where they are not UTF-8.
        0x1e => char::decode_utf16(super::hello::pairs(value)).map(|c| c.unwrap_or('\u{fffd}')).collect(),
        _ => match std::str::from_utf8(value) {
            Ok(text) => Cow::Borrowed(text),
            Err(_) => value.iter().map(|b| *b as char).collect(),
        },
    };
    Some((label, text))
}

fn dotted(oid: &[u8]) -> String {
    use std::fmt::Write;
    let mut out = String::new();
    let mut arc = 0u64;
    for (i, b) in oid.iter().take(32).enumerate() {
        arc = (arc << 7) | u64::from(b & 0x7f);
        if b & 0x80 != 0 {
            continue;
        }
        if out.is_empty() && i < 10 {
            let first = (arc / 40).min(2);
            let _ = write!(out, "{first}.{}", arc - first * 40);
        } else {
            let _ = write!(out, ".{arc}");
        }
        arc = 0;
    }
    out
}

/// UTCTime or GeneralizedTime in Zulu form, as seconds since the epoch.
fn time((tag, text): (u8, &[u8])) -> Option<i64> {
    let mut r = Reader::new(text);
    let mut two = || {
        let [a, b] = r.array::<2>()?;
        (a.is_ascii_digit() && b.is_ascii_digit()).then(|| i64::from(a - b'0') * 10 + i64::from(b - b'0'))
    };
    let year = match tag {
        0x17 => {
            let y = two()?;
            if y < 50 { 2000 + y } else { 1900 + y }
        }
        0x18 => two()? * 100 + two()?,
        _ => return None,
    };
    let (month, day, hour, minute) = (two()?, two()?, two()?, two()?);
    let second = two().unwrap_or(0);
    if !(1..=12).contains(&month) || !(1..=31).contains(&day) || hour > 23 || minute > 59 || second > 60 {
        return None;
    }
    Some(days(year, month, day) * 86_400 + hour * 3_600 + minute * 60 + second)
}

/// Days since the epoch of a proleptic Gregorian date (Hinnant's algorithm: years begin in March).
const fn days(year: i64, month: i64, day: i64) -> i64 {
    let y = if month <= 2 { year - 1 } else { year };
    let era = y.div_euclid(400);
    let of_era = y - era * 400;
    let of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    era * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719_468
}

fn alternative_names(wrapped: &[u8]) -> Vec<Box<str>> {
    let mut list = Reader::new(expect(&mut Reader::new(wrapped), SEQUENCE).unwrap_or_default());
    while let Some(extension) = expect(&mut list, SEQUENCE) {
        let mut r = Reader::new(extension);
        if expect(&mut r, 0x06) != Some(SUBJECT_ALT_NAME) {
            continue;
        }
        // An optional BOOLEAN "critical" stands before the value.
        let value = std::iter::from_fn(|| element(&mut r)).find(|(tag, _)| *tag == 0x04);
        let Some(names) = value.and_then(|(_, v)| expect(&mut Reader::new(v), SEQUENCE)) else { break };
        let mut names = Reader::new(names);
        return std::iter::from_fn(|| element(&mut names))
            .filter(|(tag, _)| *tag == 0x82)
            .take(MAX_NAMES)
            .map(|(_, name)| super::text::printable(name))
            .collect();
    }
    Vec::new()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_and_identifiers() {
        assert_eq!(time((0x17, b"700101000000Z")), Some(0));
        assert_eq!(time((0x18, b"20260131235959Z")), Some(1_769_903_999));
        assert_eq!(time((0x17, b"701301000000Z")), None);
        assert_eq!(dotted(&[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d]), "1.2.840.113549");
    }
}
