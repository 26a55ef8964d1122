//! JA3, JA3S (Salesforce, BSD) and JA4 (FoxIO, the BSD part only: TLS clients) of hellos.

use super::hello::{Carrier, ClientHello, Extensions, ServerHello, is_grease, pairs};
use super::text::{digit, hex};
use md5::{Digest, Md5};
use sha2::Sha256;

/// JA3: MD5 over version, ciphers, extensions, groups and point formats in decimal, grease left out.
pub fn ja3(hello: &ClientHello<'_>, extensions: &Extensions<'_>) -> String {
    let mut text = Vec::with_capacity(512);
    decimals(&mut text, std::iter::once(hello.version));
    text.push(b',');
    decimals(&mut text, pairs(hello.ciphers));
    text.push(b',');
    decimals(&mut text, extensions.types.iter().copied());
    text.push(b',');
    decimals(&mut text, pairs(extensions.groups));
    text.push(b',');
    decimals(&mut text, extensions.formats.iter().map(|f| u16::from(*f)));
    hex(&Md5::digest(text))
}

/// JA3S: MD5 over version, cipher and extensions of the server.
pub fn ja3s(hello: &ServerHello<'_>, extensions: &Extensions<'_>) -> String {
    let mut text = Vec::with_capacity(64);
    decimals(&mut text, std::iter::once(hello.legacy));
    text.push(b',');
    decimals(&mut text, std::iter::once(hello.cipher));
    text.push(b',');
    decimals(&mut text, extensions.types.iter().copied());
    hex(&Md5::digest(text))
}

/// JA4: a readable head and two cut SHA-256 over the sorted ciphers and over the sorted extensions with the
/// signature algorithms as sent.
pub fn ja4(hello: &ClientHello<'_>, extensions: &Extensions<'_>, carrier: Carrier) -> String {
    let mut values: Vec<u16> = Vec::with_capacity(64);
    let mut out = String::with_capacity(36);
    out.push(match carrier {
        Carrier::Tcp => 't',
        Carrier::Quic => 'q',
        Carrier::Datagram => 'd',
    });
    out.push_str(version_digits(hello.highest(extensions, carrier)));
    out.push(if extensions.types.contains(&0) { 'd' } else { 'i' });
    values.extend(pairs(hello.ciphers).filter(|c| !is_grease(*c)));
    push_count(&mut out, values.len());
    push_count(&mut out, extensions.types.iter().filter(|e| !is_grease(**e)).count());
    let (first, last) = alpn_ends(extensions.alpns);
    out.push(first);
    out.push(last);
    out.push('_');
    values.sort_unstable();
    let mut text = Vec::with_capacity(256);
    hexes(&mut text, values.iter().copied());
    push_cut_hash(&mut out, &text);
    out.push('_');
    values.clear();
    values.extend(extensions.types.iter().filter(|e| !is_grease(**e) && !matches!(e, 0 | 16)));
    values.sort_unstable();
    text.clear();
    hexes(&mut text, values.iter().copied());
    let mut signatures = pairs(extensions.signatures).filter(|s| !is_grease(*s)).peekable();
    if !text.is_empty() && signatures.peek().is_some() {
        text.push(b'_');
        hexes(&mut text, signatures);
    }
    push_cut_hash(&mut out, &text);
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
    (digit(a >> 4) as char, digit(*z) as char)
}

/// Two decimal digits.
fn push_count(out: &mut String, count: usize) {
    let count = count.min(99) as u8;
    out.push((b'0' + count / 10) as char);
    out.push((b'0' + count % 10) as char);
}

/// The first twelve digits of the SHA-256.
fn push_cut_hash(out: &mut String, text: &[u8]) {
    if text.is_empty() {
        out.push_str("000000000000");
    } else {
        out.push_str(&hex(Sha256::digest(text).get(..6).unwrap_or_default()));
    }
}

/// Four hex digits each, with commas between.
fn hexes(out: &mut Vec<u8>, values: impl Iterator<Item = u16>) {
    for (i, v) in values.enumerate() {
        if i > 0 {
            out.push(b',');
        }
        let [high, low] = v.to_be_bytes();
        out.extend([digit(high >> 4), digit(high), digit(low >> 4), digit(low)]);
    }
}

/// Decimal numbers with hyphens between, grease left out.
fn decimals(out: &mut Vec<u8>, values: impl Iterator<Item = u16>) {
    for (i, v) in values.filter(|v| !is_grease(*v)).enumerate() {
        if i > 0 {
            out.push(b'-');
        }
        let mut scale = 10_000;
        while scale > 1 && v < scale {
            scale /= 10;
        }
        while scale > 0 {
            out.push(b'0' + (v / scale % 10) as u8);
            scale /= 10;
        }
    }
}
