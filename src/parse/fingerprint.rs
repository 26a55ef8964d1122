//! JA3, JA3S (Salesforce, BSD) and JA4 (FoxIO, the BSD part only: TLS clients) of hellos.

use super::hello::{Carrier, ClientHello, Extensions, ServerHello, is_grease, pairs};
use super::text::hex;
use md5::{Digest, Md5};
use sha2::Sha256;
use std::fmt::Write;

/// JA3: MD5 over version, ciphers, extensions, groups and point formats in decimal, grease left out.
pub fn ja3(hello: &ClientHello<'_>, extensions: &Extensions<'_>) -> String {
    let mut text = String::with_capacity(384);
    let _ = write!(text, "{},", hello.version);
    decimals(&mut text, pairs(hello.ciphers));
    text.push(',');
    decimals(&mut text, extensions.types.iter().copied());
    text.push(',');
    decimals(&mut text, pairs(extensions.groups));
    text.push(',');
    decimals(&mut text, extensions.formats.iter().map(|f| u16::from(*f)));
    hex(&Md5::digest(text))
}

/// JA3S: MD5 over version, cipher and extensions of the server.
pub fn ja3s(hello: &ServerHello<'_>, extensions: &Extensions<'_>) -> String {
    let mut text = String::with_capacity(64);
    let _ = write!(text, "{},{},", hello.legacy, hello.cipher);
    decimals(&mut text, extensions.types.iter().copied());
    hex(&Md5::digest(text))
}

/// JA4: a readable head and two cut SHA-256 over the sorted ciphers and over the sorted extensions with the
/// signature algorithms as sent.
pub fn ja4(hello: &ClientHello<'_>, extensions: &Extensions<'_>, carrier: Carrier) -> String {
    let mut ciphers: Vec<u16> = pairs(hello.ciphers).filter(|c| !is_grease(*c)).collect();
    let mut types: Vec<u16> = extensions.types.iter().copied().filter(|e| !is_grease(*e)).collect();
    let mut out = String::with_capacity(36);
    let letter = match carrier {
        Carrier::Tcp => 't',
        Carrier::Quic => 'q',
        Carrier::Datagram => 'd',
    };
    let named = if types.contains(&0) { 'd' } else { 'i' };
    let (first, last) = alpn_ends(extensions.alpns);
    let _ = write!(
        out,
        "{letter}{}{named}{:02}{:02}{first}{last}_",
        version_digits(hello.highest(extensions, carrier)),
        ciphers.len().min(99),
        types.len().min(99),
    );
    ciphers.sort_unstable();
    out.push_str(&cut_hash(&hexes(ciphers.into_iter())));
    out.push('_');
    types.retain(|e| !matches!(e, 0 | 16));
    types.sort_unstable();
    let mut tail = hexes(types.into_iter());
    let signatures = hexes(pairs(extensions.signatures).filter(|s| !is_grease(*s)));
    if !tail.is_empty() && !signatures.is_empty() {
        tail.push('_');
        tail.push_str(&signatures);
    }
    out.push_str(&cut_hash(&tail));
    out
}

fn version_digits(version: u16) -> &'static str {
    match version {
        0x0304 => "13",
        0x0303 => "12",
        0x0302 => "11",
        0x0301 => "10",
        0x0300 => "s3",
        0x0002 => "s2",
        0xfeff => "d1",
        0xfefd => "d2",
        0xfefc => "d3",
        _ => "00",
    }
}

/// First and last character of the first protocol, or the outer nibbles of its bytes where it is not alphanumeric.
fn alpn_ends(list: &[u8]) -> (char, char) {
    let first = crate::bytes::Reader::new(list).vec8().unwrap_or_default();
    let (Some(a), Some(z)) = (first.first(), first.last()) else { return ('0', '0') };
    if a.is_ascii_alphanumeric() && z.is_ascii_alphanumeric() {
        return (*a as char, *z as char);
    }
    let nibble = |n: u8| char::from_digit(u32::from(n), 16).unwrap_or('0');
    (nibble(a >> 4), nibble(z & 15))
}

fn cut_hash(text: &str) -> String {
    if text.is_empty() {
        return "000000000000".into();
    }
    hex(Sha256::digest(text).get(..6).unwrap_or_default())
}

fn hexes(values: impl Iterator<Item = u16>) -> String {
    let mut out = String::with_capacity(160);
    for v in values {
        if !out.is_empty() {
            out.push(',');
        }
        for shift in [12, 8, 4, 0] {
            out.push(char::from_digit(u32::from(v >> shift) & 15, 16).unwrap_or('0'));
        }
    }
    out
}

fn decimals(out: &mut String, values: impl Iterator<Item = u16>) {
    let mut first = true;
    for v in values.filter(|v| !is_grease(*v)) {
        if !first {
            out.push('-');
        }
        first = false;
        let _ = write!(out, "{v}");
    }
}
