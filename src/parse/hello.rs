//! ClientHello and ServerHello bodies (RFC 5246, RFC 8446, RFC 9147), shared by TLS, QUIC and DTLS.
//!
//! A scanner, not a validator: it works on a hello whose end is missing and stops where bytes make no sense.

use super::fingerprint::ClientPrint;
use super::text::{MAX_NAME, is_name, printable};
use super::{Ech, NameSource, TlsFacts};
use crate::bytes::Reader;
use serde::{Deserialize, Serialize};

/// What carries the hello; the first letter of its JA4.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum Carrier {
    /// TLS over TCP.
    Tcp,
    /// CRYPTO frames of QUIC.
    Quic,
    /// DTLS.
    Datagram,
}

/// Application protocols kept of one hello.
const MAX_ALPNS: usize = 16;

/// Extensions looked at in one hello; no real one has a third of it.
const MAX_EXTENSIONS: usize = 128;

/// Server names that ECH deployments publish as their outer name, found in public ECHConfigs. A hello to one of
/// them with the extension is meant for someone behind it; a browser that greases sends the true name.
const PUBLIC_NAMES: &[&str] =
    &["cloudflare-ech.com", "cloudflare-esni.com", "public.tls-ech.dev", "cover.defo.ie", "encryptedsni.com"];

/// Sealed lengths that BoringSSL draws for its grease: 128 + 32 × (0…3) and 16 for the tag.
const BORING_GREASE: &[usize] = &[144, 176, 208, 240];

/// A ClientHello as far as it is there, borrowed.
#[derive(Clone, Copy, Debug, Default)]
pub struct ClientHello<'a> {
    /// The version field of the body, which TLS 1.3 froze at 0x0303.
    pub version: u16,
    /// Session id: a wish to resume up to TLS 1.2, noise after.
    pub session_id: &'a [u8],
    /// Cipher suites, two bytes each.
    pub ciphers: &'a [u8],
    /// The extension block.
    pub extensions: &'a [u8],
    /// Everything up to the announced end is there.
    pub whole: bool,
}

/// The extensions that we read, found in one pass.
#[derive(Clone, Debug, Default)]
pub struct Extensions<'a> {
    /// All of them as sent.
    block: &'a [u8],
    /// First host name.
    pub name: Option<&'a [u8]>,
    /// Protocol list of ALPN without its length.
    pub alpns: &'a [u8],
    /// Supported groups.
    pub groups: &'a [u8],
    /// Point formats.
    pub formats: &'a [u8],
    /// Signature algorithms.
    pub signatures: &'a [u8],
    /// Supported versions: the client's list, or the server's choice.
    pub versions: &'a [u8],
    /// Encrypted ClientHello.
    pub ech: Option<&'a [u8]>,
    /// The draft before it, which encrypted the name only.
    pub esni: bool,
    /// Pre-shared key: offered by the client, taken by the server.
    pub psk: bool,
    /// QUIC transport parameters.
    pub quic: &'a [u8],
}

impl<'a> ClientHello<'a> {
    /// Reads a body of `len` announced bytes of which `body` is there. `None` where it cannot be a ClientHello.
    pub fn read(body: &'a [u8], len: usize, carrier: Carrier) -> Option<Self> {
        let whole = body.len() >= len;
        let mut r = Reader::new(body.get(..len).unwrap_or(body));
        let mut hello = Self { whole, ..Self::default() };
        let Some(version) = r.u16() else { return (!whole).then_some(hello) };
        if !matches!(version >> 8, 0x03 | 0xfe | 0x7f) && version != 0x0100 && version != 0x0002 {
            return None;
        }
        hello.version = version;
        hello.fill(&mut r, carrier);
        Some(hello)
    }

    /// Takes what is there of the rest. Where a whole hello contradicts itself, its fields stay empty from there on.
    fn fill(&mut self, r: &mut Reader<'a>, carrier: Carrier) -> Option<()> {
        r.skip(32)?;
        self.session_id = r.vec8()?;
        if carrier == Carrier::Datagram {
            r.vec8()?;
        }
        self.ciphers = if self.whole { r.vec16()? } else { up_to_vec16(r)? };
        r.vec8()?;
        self.extensions = up_to_vec16(r)?;
        Some(())
    }

    /// The extensions of interest.
    pub fn read_extensions(&self) -> Extensions<'a> {
        read_extensions(self.extensions, true)
    }

    /// Facts for the record; what fingerprints are made of only where `prints`, and only of a whole hello.
    pub fn facts(&self, extensions: &Extensions<'a>, carrier: Carrier, prints: bool) -> TlsFacts {
        let mut facts = TlsFacts {
            sni: extensions.name.filter(|n| !n.is_empty()).map(printable),
            version: self.highest(extensions, carrier),
            client_alpns: alpns(extensions.alpns),
            ech: ech(extensions),
            cut: !self.whole,
            ..TlsFacts::default()
        };
        if prints && self.whole {
            facts.client_print = Some(Box::new(ClientPrint::of(self, extensions, carrier)));
        }
        facts
    }

    /// The highest version offered, grease left out. DTLS numbers run downwards.
    pub fn highest(&self, extensions: &Extensions<'_>, carrier: Carrier) -> u16 {
        let offered = pairs(extensions.versions).filter(|v| !is_grease(*v));
        let best = if carrier == Carrier::Datagram { offered.min() } else { offered.max() };
        best.unwrap_or(self.version)
    }
}

/// The name a hello gives its flow, and from where.
pub fn name_of(extensions: &Extensions<'_>, ech: Ech, carrier: Carrier) -> Option<(Box<str>, NameSource)> {
    let name = extensions.name.filter(|n| is_name(n))?;
    let source = match (ech, carrier) {
        (Ech::RealLikely, _) => NameSource::EchOuterSni,
        (_, Carrier::Quic) => NameSource::QuicSni,
        _ => NameSource::Sni,
    };
    let name = printable(name);
    (name.len() <= MAX_NAME).then_some((name, source))
}

/// A ServerHello as far as it is there.
#[derive(Clone, Copy, Debug, Default)]
pub struct ServerHello<'a> {
    /// The version field of the body.
    pub legacy: u16,
    /// The version agreed on.
    pub version: u16,
    /// Session id: an echo.
    pub session_id: &'a [u8],
    /// Cipher suite chosen.
    pub cipher: u16,
    /// The extension block.
    pub extensions: &'a [u8],
    /// It only asks for another ClientHello (RFC 8446, 4.1.4).
    pub retry: bool,
}

/// SHA-256 of "HelloRetryRequest", which stands in the place of the random.
const RETRY: [u8; 32] = [
    0xcf, 0x21, 0xad, 0x74, 0xe5, 0x9a, 0x61, 0x11, 0xbe, 0x1d, 0x8c, 0x02, 0x1e, 0x65, 0xb8, 0x91, 0xc2,
    0xa2, 0x11, 0x16, 0x7a, 0xbb, 0x8c, 0x5e, 0x07, 0x9e, 0x09, 0xe2, 0xc8, 0xa8, 0x33, 0x9c,
];

impl<'a> ServerHello<'a> {
    /// Reads a body; `None` where it is cut within the fixed part or cannot be a ServerHello.
    pub fn read(body: &'a [u8]) -> Option<Self> {
        let mut r = Reader::new(body);
        let legacy = r.u16().filter(|v| matches!(v >> 8, 0x03 | 0xfe | 0x7f) || *v == 0x0100)?;
        let random = r.array::<32>()?;
        // The drafts of TLS 1.3 before 22 (0x7fNN or 0x0304 in this place) have neither session id nor compression.
        let early = legacy >> 8 == 0x7f || legacy == 0x0304;
        let session_id = if early { &[][..] } else { r.vec8()? };
        let cipher = r.u16()?;
        if !early {
            r.skip(1)?;
        }
        let extensions = up_to_vec16(&mut r).unwrap_or_default();
        let chosen = Reader::new(read_extensions(extensions, false).versions).u16();
        let version = chosen.unwrap_or(legacy);
        Some(Self { legacy, version, session_id, cipher, extensions, retry: random == RETRY })
    }

    /// The extensions of interest.
    pub fn read_extensions(&self) -> Extensions<'a> {
        read_extensions(self.extensions, false)
    }

    /// TLS 1.3 or later: what follows is encrypted.
    pub fn is_13(&self) -> bool {
        matches!(self.version, 0x0304 | 0xfefc) || self.version >> 8 == 0x7f
    }
}

/// Whether this is one of the sixteen reserved values (RFC 8701).
pub const fn is_grease(v: u16) -> bool {
    v & 0x0f0f == 0x0a0a && v >> 8 == v & 0xff
}

/// Two-byte numbers of a list; an odd byte at the end is left.
pub fn pairs(list: &[u8]) -> impl Iterator<Item = u16> + '_ {
    list.as_chunks::<2>().0.iter().map(|pair| u16::from_be_bytes(*pair))
}

/// Names in an ALPN list.
pub fn alpns(list: &[u8]) -> Vec<Box<str>> {
    let mut r = Reader::new(list);
    std::iter::from_fn(|| r.vec8()).take(MAX_ALPNS).map(printable).collect()
}

fn up_to_vec16<'a>(r: &mut Reader<'a>) -> Option<&'a [u8]> {
    let n = r.u16()? as usize;
    Some(r.take_up_to(n))
}

fn read_extensions(block: &[u8], of_client: bool) -> Extensions<'_> {
    let mut found = Extensions { block, ..Extensions::default() };
    let mut r = Reader::new(block);
    for _ in 0..MAX_EXTENSIONS {
        let (Some(kind), Some(len)) = (r.u16(), r.u16()) else { break };
        let whole = r.len() >= len as usize;
        let body = r.take_up_to(len as usize);
        // Of a cut extension only the name is of use, if all of it lies in what is there.
        if whole || kind == 0 {
            found.note(kind, body, of_client);
        }
    }
    found
}

impl<'a> Extensions<'a> {
    /// Types of the whole ones in the order sent, grease included.
    pub fn types(&self) -> impl Iterator<Item = u16> + 'a {
        let mut r = Reader::new(self.block);
        let next = move || {
            let kind = r.u16()?;
            r.vec16().map(|_| kind)
        };
        std::iter::from_fn(next).take(MAX_EXTENSIONS)
    }

    fn note(&mut self, kind: u16, body: &'a [u8], of_client: bool) {
        let mut r = Reader::new(body);
        match kind {
            0 => self.name = self.name.or_else(|| host_name(body)),
            10 => self.groups = r.vec16().unwrap_or_default(),
            11 => self.formats = r.vec8().unwrap_or_default(),
            13 => self.signatures = r.vec16().unwrap_or_default(),
            16 => self.alpns = r.vec16().unwrap_or_default(),
            41 => self.psk = true,
            43 if of_client => self.versions = r.vec8().unwrap_or_default(),
            43 => self.versions = body,
            // RFC 9001 and its drafts.
            57 | 0xffa5 => self.quic = body,
            0xfe0d => self.ech = Some(body),
            0xffce => self.esni = true,
            _ => {}
        }
    }
}

/// The first host name of a server_name extension (RFC 6066, 3).
fn host_name(body: &[u8]) -> Option<&[u8]> {
    let mut r = Reader::new(body);
    r.u16()?;
    while let Some(kind) = r.u8() {
        let name = r.vec16()?;
        if kind == 0 {
            return Some(name);
        }
    }
    None
}

/// Tells grease from real by form and outer name (draft-ietf-tls-esni, 6.2). In this order: a known public name is
/// real; a body that no ECHConfig could ask for, or one of the lengths that BoringSSL draws, is grease; the rest may
/// be either, and only what DNS gave this client decides it later.
fn ech(extensions: &Extensions<'_>) -> Ech {
    let Some(body) = extensions.ech else {
        return match (extensions.esni, extensions.name) {
            (false, _) => Ech::None,
            (true, None) => Ech::RealLikely,
            (true, Some(_)) => Ech::GreaseOrReal,
        };
    };
    if extensions.name.is_some_and(|n| PUBLIC_NAMES.iter().any(|p| n.eq_ignore_ascii_case(p.as_bytes()))) {
        return Ech::RealLikely;
    }
    match sealed_len(body) {
        None => Ech::GreaseLikely,
        Some(len) if BORING_GREASE.contains(&len) && extensions.name.is_some() => Ech::GreaseLikely,
        Some(_) => Ech::GreaseOrReal,
    }
}

/// Length of the sealed inner hello in a well-formed outer extension.
fn sealed_len(body: &[u8]) -> Option<usize> {
    let mut r = Reader::new(body);
    // ECHClientHelloType outer; the inner form stands in no hello on the wire.
    if r.u8()? != 0 {
        return None;
    }
    let (kdf, aead) = (r.u16()?, r.u16()?);
    r.skip(1)?;
    let key = r.vec16()?;
    let sealed = r.vec16()?;
    // HPKE (RFC 9180): KDF 1–3, AEAD 1–3; the encapsulated key is empty in the hello after a retry.
    let possible = (1..=3).contains(&kdf) && (1..=3).contains(&aead) && r.is_empty();
    (possible && (key.is_empty() || key.len() >= 32) && sealed.len() > 16).then_some(sealed.len())
}
