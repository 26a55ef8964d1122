//! Initial keys of QUIC (RFC 9001, 5; RFC 9369, 3.3), which anyone who sees the first packet can derive.

use aes::Aes128;
use aes::cipher::{BlockCipherEncrypt, KeyInit};
use aes_gcm::Aes128Gcm;
use aes_gcm::aead::AeadInOut;
use hkdf::Hkdf;
use sha2::Sha256;

const V1: [u8; 20] = [
    0x38, 0x76, 0x2c, 0xf7, 0xf5, 0x59, 0x34, 0xb3, 0x4d, 0x17, 0x9a, 0xe6, 0xa4, 0xc8, 0x0c, 0xad, 0xcc,
    0xbb, 0x7f, 0x0a,
];
const V2: [u8; 20] = [
    0x0d, 0xed, 0xe3, 0xde, 0xf7, 0x00, 0xa6, 0xdb, 0x81, 0x93, 0x81, 0xbe, 0x6e, 0x26, 0x9d, 0xcb, 0xf9,
    0xbd, 0x2e, 0xd9,
];
const DRAFT_29: [u8; 20] = [
    0xaf, 0xbf, 0xec, 0x28, 0x99, 0x93, 0xd2, 0x4c, 0x9e, 0x97, 0x86, 0xf1, 0x9c, 0x61, 0x11, 0xe0, 0x43,
    0x90, 0xa8, 0x99,
];
const DRAFT_23: [u8; 20] = [
    0xc3, 0xee, 0xf7, 0x12, 0xc7, 0x2e, 0xbb, 0x5a, 0x11, 0xa7, 0xd2, 0x43, 0x2b, 0xb4, 0x63, 0x65, 0xbe,
    0xf9, 0xf5, 0x02,
];
const DRAFT_22: [u8; 20] = [
    0x7f, 0xbc, 0xdb, 0x0e, 0x7c, 0x66, 0xbb, 0xe9, 0x19, 0x3a, 0x96, 0xcd, 0x21, 0x51, 0x9e, 0xbd, 0x7a,
    0x02, 0x64, 0x4a,
];
const Q050: [u8; 20] = [
    0x50, 0x45, 0x74, 0xef, 0xd0, 0x66, 0xfe, 0x2f, 0x9d, 0x94, 0x5c, 0xfc, 0xdb, 0xd3, 0xa7, 0xf0, 0xd3,
    0xb5, 0x6b, 0x45,
];
const T050: [u8; 20] = [
    0x7f, 0xf5, 0x79, 0xe5, 0xac, 0xd0, 0x72, 0x91, 0x55, 0x80, 0x30, 0x4c, 0x43, 0xa2, 0x36, 0x7c, 0x60,
    0x48, 0x83, 0x10,
];
const T051: [u8; 20] = [
    0x7a, 0x4e, 0xde, 0xf4, 0xe7, 0xcc, 0xee, 0x5f, 0xa4, 0x50, 0x6c, 0x19, 0x12, 0x4f, 0xc8, 0xcc, 0xda,
    0x6e, 0x03, 0x3d,
];

/// QUIC version 2.
pub(super) const VERSION_2: u32 = 0x6b33_43cf;

/// The salt of a version whose Initials we can open.
fn salt(version: u32) -> Option<&'static [u8; 20]> {
    Some(match version {
        1 | 0xff00_0021..=0xff00_0022 => &V1,
        VERSION_2 => &V2,
        0xff00_001d..=0xff00_0020 => &DRAFT_29,
        // Facebook's mvfst stands on draft 22, then on 27.
        0xff00_0016 | 0xface_b001 => &DRAFT_22,
        0xff00_0017..=0xff00_001c | 0xface_b002 | 0xface_b00e => &DRAFT_23,
        0x5130_3530 => &Q050,
        0x5430_3530 => &T050,
        0x5430_3531 => &T051,
        // Reserved to force a negotiation (RFC 9000, 15): sent with the keys of version 1.
        v if v & 0x0f0f_0f0f == 0x0a0a_0a0a => &V1,
        _ => return None,
    })
}

/// Whether [`Keys::derive`] knows this version.
pub(super) fn is_known(version: u32) -> bool {
    salt(version).is_some()
}

/// The client's Initial keys of one connection.
pub(super) struct Keys {
    aead: Aes128Gcm,
    iv: [u8; 12],
    header: Aes128,
}

impl Keys {
    /// From the connection id that the client chose for the server.
    pub(super) fn derive(version: u32, dcid: &[u8]) -> Option<Self> {
        let initial = Hkdf::<Sha256>::new(Some(salt(version)?), dcid);
        let client = Hkdf::<Sha256>::from_prk(&expand::<32>(&initial, b"client in")?).ok()?;
        let labels: [&[u8]; 3] = if version == VERSION_2 {
            [b"quicv2 key", b"quicv2 iv", b"quicv2 hp"]
        } else {
            [b"quic key", b"quic iv", b"quic hp"]
        };
        let [key, iv, header] = labels;
        Some(Self {
            aead: Aes128Gcm::new(&expand::<16>(&client, key)?.into()),
            iv: expand::<12>(&client, iv)?,
            header: Aes128::new(&expand::<16>(&client, header)?.into()),
        })
    }

    /// Opens one packet in place: `packet` is header and sealed payload, `number_at` the offset of the packet number.
    /// Gives the plaintext. On failure the packet is as it was.
    pub(super) fn open<'a>(&self, packet: &'a mut [u8], number_at: usize) -> Option<&'a [u8]> {
        let sample: [u8; 16] = packet.get(number_at + 4..number_at + 20)?.try_into().ok()?;
        let mut mask = sample.into();
        self.header.encrypt_block(&mut mask);
        let mask: [u8; 16] = mask.into();
        let [first_mask, number_mask @ ..] = mask;
        let first = *packet.first()? ^ (first_mask & 0x0f);
        let number_len = usize::from(first & 3) + 1;
        let mut header: Vec<u8> = packet.get(..number_at + number_len)?.to_vec();
        *header.first_mut()? = first;
        let mut nonce = self.iv;
        let number = header.iter_mut().skip(number_at);
        for (byte, mask) in number.zip(number_mask) {
            *byte ^= mask;
        }
        let number = header.get(number_at..)?;
        for (n, byte) in nonce.iter_mut().rev().zip(number.iter().rev()) {
            *n ^= byte;
        }
        let body = packet.get_mut(number_at + number_len..)?;
        let (sealed, tag) = body.split_last_chunk_mut::<16>()?;
        let tag: [u8; 16] = *tag;
        self.aead.decrypt_inout_detached(&nonce.into(), &header, (&mut *sealed).into(), &tag.into()).ok()?;
        Some(sealed)
    }
}

/// HKDF-Expand-Label of TLS 1.3 with an empty context (RFC 8446, 7.1).
fn expand<const N: usize>(from: &Hkdf<Sha256>, label: &[u8]) -> Option<[u8; N]> {
    let mut out = [0; N];
    let len = (N as u16).to_be_bytes();
    let label_len = [(label.len() + 6) as u8];
    from.expand_multi_info(&[&len, &label_len, b"tls13 ", label, &[0]], &mut out).ok()?;
    Some(out)
}
