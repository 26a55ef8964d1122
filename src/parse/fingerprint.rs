//! JA3, JA3S (Salesforce, BSD) and JA4 (FoxIO, the BSD part only: TLS clients) of hellos.
//!
//! The parsers only take down the numbers that a fingerprint is made of. Texts and hashes are made when somebody asks
//! for them, once for each hello: where its record is written, or where a rule wants them. Never on the packet path.

use super::hello::{Carrier, ClientHello, Extensions, ServerHello, is_grease, pairs};
use super::text::{digit, hex};
use md5::{Digest, Md5};
use serde::{Deserialize, Serialize};
use sha2::Sha256;
use std::sync::OnceLock;

/// Numbers carried of one hello. Clients have about a hundred; what has more is hashed at once, so that nobody can
/// make a flow large.
const MAX_NUMBERS: usize = 512;

/// What the fingerprints of a ClientHello are made of: its lists, grease left out.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ClientPrint {
    carrier: Carrier,
    /// The version field.
    version: u16,
    /// The highest version offered.
    highest: u16,
    /// First and last character of the first protocol of ALPN, as JA4 writes them.
    alpn: [u8; 2],
    /// Where in `numbers` the ciphers, extensions, groups and point formats end; the signature algorithms follow.
    ends: [u16; 4],
    numbers: Vec<u16>,
    #[serde(with = "super::once")]
    hashes: OnceLock<Hashes>,
}

#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
struct Hashes {
    ja3: Box<str>,
    ja4: Box<str>,
}

impl ClientPrint {
    /// Takes down the lists of a hello.
    pub(super) fn of(hello: &ClientHello<'_>, extensions: &Extensions<'_>, carrier: Carrier) -> Self {
        let most = [hello.ciphers, extensions.groups, extensions.signatures].map(|l| l.len() / 2);
        let most = most.iter().sum::<usize>() + extensions.types().count() + extensions.formats.len();
        let mut numbers = Vec::with_capacity(most);
        let mut ends = [0; 4];
        numbers.extend(pairs(hello.ciphers).filter(|v| !is_grease(*v)));
        ends[0] = numbers.len() as u16;
        numbers.extend(extensions.types().filter(|v| !is_grease(*v)));
        ends[1] = numbers.len() as u16;
        numbers.extend(pairs(extensions.groups).filter(|v| !is_grease(*v)));
        ends[2] = numbers.len() as u16;
        numbers.extend(extensions.formats.iter().map(|f| u16::from(*f)));
        ends[3] = numbers.len() as u16;
        numbers.extend(pairs(extensions.signatures).filter(|v| !is_grease(*v)));
        let mut print = Self {
            carrier,
            version: hello.version,
            highest: hello.highest(extensions, carrier),
            alpn: alpn_ends(extensions.alpns),
            ends,
            numbers,
            hashes: OnceLock::new(),
        };
        if print.numbers.len() > MAX_NUMBERS {
            print.hashes();
            print.numbers = Vec::new();
        }
        print
    }

    /// Fingerprints that somebody else has worked out: a log.
    pub fn known(ja3: &str, ja4: &str) -> Self {
        let hashes = OnceLock::from(Hashes { ja3: ja3.into(), ja4: ja4.into() });
        let (version, ends, numbers) = (0, [0; 4], Vec::new());
        Self { carrier: Carrier::Tcp, version, highest: version, alpn: *b"00", ends, numbers, hashes }
    }

    /// JA3: MD5 over version, ciphers, extensions, groups and point formats in decimal.
    pub fn ja3(&self) -> &str {
        &self.hashes().ja3
    }

    /// JA4: a readable head and two cut SHA-256 over the sorted ciphers and over the sorted extensions with the
    /// signature algorithms as sent.
    pub fn ja4(&self) -> &str {
        &self.hashes().ja4
    }

    fn hashes(&self) -> &Hashes {
        self.hashes.get_or_init(|| Hashes { ja3: self.make_ja3().into(), ja4: self.make_ja4().into() })
    }

    /// Ciphers, extensions, groups, point formats, signature algorithms.
    fn list(&self, i: usize) -> &[u16] {
        let place = |i: usize| self.ends.get(i).map_or(self.numbers.len(), |end| usize::from(*end));
        let from = i.checked_sub(1).map_or(0, place);
        self.numbers.get(from..place(i)).unwrap_or_default()
    }

    fn make_ja3(&self) -> String {
        let mut text = Vec::with_capacity(512);
        decimals(&mut text, &[self.version]);
        for i in 0..4 {
            text.push(b',');
            decimals(&mut text, self.list(i));
        }
        hex(&Md5::digest(text))
    }

    fn make_ja4(&self) -> String {
        let (ciphers, types, signatures) = (self.list(0), self.list(1), self.list(4));
        let mut out = String::with_capacity(36);
        out.push(match self.carrier {
            Carrier::Tcp => 't',
            Carrier::Quic => 'q',
            Carrier::Datagram => 'd',
        });
        out.push_str(version_digits(self.highest));
        out.push(if types.contains(&0) { 'd' } else { 'i' });
        push_count(&mut out, ciphers.len());
        push_count(&mut out, types.len());
        out.extend(self.alpn.map(char::from));
        out.push('_');
        let mut values = ciphers.to_vec();
        values.sort_unstable();
        let mut text = Vec::with_capacity(256);
        hexes(&mut text, &values);
        push_cut_hash(&mut out, &text);
        out.push('_');
        values.clear();
        values.extend(types.iter().filter(|e| !matches!(e, 0 | 16)));
        values.sort_unstable();
        text.clear();
        hexes(&mut text, &values);
        if !text.is_empty() && !signatures.is_empty() {
            text.push(b'_');
            hexes(&mut text, signatures);
        }
        push_cut_hash(&mut out, &text);
        out
    }
}

/// The same hello, whether or not anybody has asked for its hashes.
impl PartialEq for ClientPrint {
    fn eq(&self, other: &Self) -> bool {
        let head = |p: &Self| (p.carrier, p.version, p.highest, p.alpn, p.ends);
        head(self) == head(other)
            && self.numbers == other.numbers
            && (!self.numbers.is_empty() || self.hashes() == other.hashes())
    }
}

impl Eq for ClientPrint {}

/// What the fingerprint of a ServerHello is made of.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ServerPrint {
    /// Version field, cipher, extensions.
    numbers: Vec<u16>,
    #[serde(with = "super::once")]
    hash: OnceLock<Box<str>>,
}

impl ServerPrint {
    /// Takes down the numbers of a hello.
    pub(super) fn of(hello: &ServerHello<'_>, extensions: &Extensions<'_>) -> Self {
        let mut numbers = Vec::with_capacity(2 + extensions.types().count());
        numbers.extend([hello.legacy, hello.cipher]);
        numbers.extend(extensions.types().filter(|v| !is_grease(*v)));
        Self { numbers, hash: OnceLock::new() }
    }

    /// A fingerprint that somebody else has worked out: a log.
    pub fn known(ja3s: &str) -> Self {
        Self { numbers: Vec::new(), hash: OnceLock::from(Box::from(ja3s)) }
    }

    /// JA3S: MD5 over version, cipher and extensions of the server.
    pub fn ja3s(&self) -> &str {
        self.hash.get_or_init(|| {
            let mut text = Vec::with_capacity(64);
            let (head, types) = self.numbers.split_at(self.numbers.len().min(2));
            for number in head {
                decimals(&mut text, &[*number]);
                text.push(b',');
            }
            decimals(&mut text, types);
            hex(&Md5::digest(text)).into()
        })
    }
}

impl PartialEq for ServerPrint {
    fn eq(&self, other: &Self) -> bool {
        self.numbers == other.numbers && (!self.numbers.is_empty() || self.ja3s() == other.ja3s())
    }
}

impl Eq for ServerPrint {}

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
fn alpn_ends(list: &[u8]) -> [u8; 2] {
    let first = crate::bytes::Reader::new(list).vec8().unwrap_or_default();
    let (Some(&a), Some(&z)) = (first.first(), first.last()) else { return *b"00" };
    if a.is_ascii_alphanumeric() && z.is_ascii_alphanumeric() {
        return [a, z];
    }
    [digit(a >> 4), digit(z)]
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
fn hexes(out: &mut Vec<u8>, values: &[u16]) {
    for (i, v) in values.iter().enumerate() {
        if i > 0 {
            out.push(b',');
        }
        let [high, low] = v.to_be_bytes();
        out.extend([digit(high >> 4), digit(high), digit(low >> 4), digit(low)]);
    }
}

/// Decimal numbers with hyphens between.
fn decimals(out: &mut Vec<u8>, values: &[u16]) {
    for (i, &v) in values.iter().enumerate() {
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

#[cfg(test)]
mod tests {
    use super::*;

    fn print(ciphers: &[u8]) -> ClientPrint {
        let extensions = [0, 10, 0, 4, 0, 2, 0, 29, 0x1a, 0x1a, 0, 0];
        let hello = ClientHello {
            version: 0x0303,
            ciphers,
            extensions: &extensions,
            whole: true,
            ..ClientHello::default()
        };
        ClientPrint::of(&hello, &hello.read_extensions(), Carrier::Tcp)
    }

    #[test]
    fn a_print_is_the_same_before_and_after_it_is_hashed_and_kept() {
        let (fresh, read) = (print(&[0x13, 1, 0x2a, 0x2a, 0x13, 2]), print(&[0x13, 1, 0x13, 2]));
        // MD5 of 771,4865-4866,10,29, : grease counts for nothing.
        assert_eq!(read.ja3(), "4c6d55617d64ac9909c6f54b57920668");
        assert_eq!(read.ja4(), "t12i020100_62ed6f6ca7ad_a8f3e973773c");
        assert_eq!(fresh, read);
        assert_ne!(fresh, print(&[0x13, 1]));
        let kept: ClientPrint = serde_json::from_str(&serde_json::to_string(&fresh).unwrap()).unwrap();
        assert_eq!((kept.ja3(), kept.ja4()), (read.ja3(), read.ja4()));
    }

    #[test]
    fn a_long_hello_is_hashed_at_once() {
        let ciphers: Vec<u8> = (1..=600u16).flat_map(u16::to_be_bytes).collect();
        let long = print(&ciphers);
        assert!(long.numbers.is_empty());
        assert!(long.ja4().starts_with("t12i990100_"), "{}", long.ja4());
        assert_eq!(long, print(&ciphers));
        assert_ne!(long, print(&ciphers[..1198]));
        let kept: ClientPrint = serde_json::from_str(&serde_json::to_string(&long).unwrap()).unwrap();
        assert_eq!(kept.ja3(), long.ja3());
    }
}
