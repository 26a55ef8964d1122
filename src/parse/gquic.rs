//! Google's QUIC before TLS (Q024–Q050): the CHLO message, a table of tags and values in the clear.

use super::text::{find, is_name, printable};
use super::{AppProto, Facts, NameSource, TlsFacts};
use crate::bytes::Reader;

/// Bytes that packet number, hash, flags and frame header may take before the message.
const BEFORE_MESSAGE: usize = 80;

/// Tags in one message; real ones have about thirty.
const MAX_TAGS: usize = 128;

/// The version in a public header with an 8-byte connection id, as up to Q043.
pub fn version(datagram: &[u8]) -> Option<u32> {
    let mut r = Reader::new(datagram);
    let flags = r.u8()?;
    if flags & 0xc9 != 0x09 && flags & 0xc9 != 0x49 {
        return None;
    }
    r.skip(8)?;
    r.u32().filter(|v| is_version(*v))
}

/// `Q024` … `Q050`.
pub fn is_version(version: u32) -> bool {
    let [q, zero, tens, ones] = version.to_be_bytes();
    q == b'Q' && zero == b'0' && (b'0'..=b'5').contains(&tens) && ones.is_ascii_digit()
}

/// Facts from bytes that hold a CHLO near their beginning: a datagram up to Q046, or the opened payload of Q050.
pub fn client_hello(bytes: &[u8], version: u32) -> Option<Facts> {
    let window = bytes.get(..BEFORE_MESSAGE).unwrap_or(bytes);
    let mut r = Reader::new(bytes.get(find(window, b"CHLO")? + 4..)?);
    let count = usize::from(r.array().map(u16::from_le_bytes)?);
    r.skip(2)?;
    if count > MAX_TAGS {
        return None;
    }
    let table = r.take_up_to(count * 8);
    let values = r.rest();
    let (mut name, mut agent) = (None, None);
    let mut from = 0;
    for entry in table.as_chunks::<8>().0 {
        let mut e = Reader::new(entry);
        let tag = e.array::<4>()?;
        let to = e.array().map(u32::from_le_bytes)? as usize;
        let Some(value) = values.get(from..to) else { break };
        match &tag {
            b"SNI\0" => name = Some(value),
            b"UAID" => agent = Some(printable(value)),
            _ => {}
        }
        from = to;
    }
    let tls = TlsFacts { sni: name.filter(|n| !n.is_empty()).map(printable), ..TlsFacts::default() };
    Some(Facts {
        app: AppProto::Quic,
        name: name.filter(|n| is_name(n)).map(|n| (printable(n), NameSource::QuicSni)),
        tls: Some(Box::new(tls)),
        quic_version: Some(version),
        user_agent: agent,
        ..Facts::default()
    })
}
