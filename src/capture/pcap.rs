//! Classic pcap: a file header, then records one behind the other.

use super::input::{Stop, Walk};
use super::{CAPTURED_MAX, LinkType, Slot};
use crate::units::Timestamp;

/// Length of the file header, magic included.
const HEADER: usize = 24;
/// What every writer keeps to without saying so (libpcap's `MAXIMUM_SNAPLEN`).
const SNAPLEN_USUAL: u32 = 262_144;

/// Length and order of the fields that a magic stands for.
#[derive(Clone, Copy)]
struct Kind {
    magic: u32,
    /// Nanoseconds in one unit of the fraction.
    unit: i64,
    /// Bytes between the file header and the first record.
    extra: usize,
    /// Length of a record header.
    record: usize,
}

const KINDS: [Kind; 5] = [
    Kind { magic: 0xa1b2_c3d4, unit: 1_000, extra: 0, record: 16 },
    Kind { magic: 0xa1b2_3c4d, unit: 1, extra: 0, record: 16 },
    // Kuznetsov's patch: interface index, protocol and packet type behind the usual header.
    Kind { magic: 0xa1b2_cd34, unit: 1_000, extra: 0, record: 24 },
    // Ixia's lcap, hardware and software: four bytes of total length behind the file header.
    Kind { magic: 0x1c00_01ac, unit: 1, extra: 4, record: 16 },
    Kind { magic: 0x1c00_01ab, unit: 1_000, extra: 4, record: 16 },
];

/// How the two lengths of a record stand in old versions of the format.
#[derive(Clone, Copy, PartialEq)]
enum Lengths {
    Usual,
    Swapped,
    /// Version 2.3: by writer; the captured length is the smaller.
    Either,
}

/// What a file header said.
pub(super) struct Pcap {
    kind: Kind,
    big: bool,
    lengths: Lengths,
    link: LinkType,
    captured_max: u32,
}

/// True where the first four bytes are those of a classic pcap file.
pub(super) fn is_magic(magic: [u8; 4]) -> bool {
    kind_of(magic).is_some()
}

fn kind_of(magic: [u8; 4]) -> Option<(Kind, bool)> {
    let (big, little) = (u32::from_be_bytes(magic), u32::from_le_bytes(magic));
    KINDS.iter().find_map(|kind| match kind.magic {
        m if m == big => Some((*kind, true)),
        m if m == little => Some((*kind, false)),
        _ => None,
    })
}

impl Pcap {
    /// Reads the file header. Gives the state and the header's length.
    pub(super) fn open(bytes: &[u8]) -> Result<(Self, usize), Stop> {
        let need = || Stop::Need(HEADER);
        let header = bytes.first_chunk::<HEADER>().ok_or_else(need)?;
        let (fields, _) = header.as_chunks::<4>();
        let [magic, version, _, _, snaplen, network] = fields else { return Err(need()) };
        let Some((kind, big)) = kind_of(*magic) else { return Err(Stop::Broken("no pcap magic".into())) };
        let word = |b: &[u8; 4]| if big { u32::from_be_bytes(*b) } else { u32::from_le_bytes(*b) };
        // Two 16-bit fields: one 32-bit read turns them around in little-endian files.
        let (major, minor) = match (word(version), big) {
            (v, true) => ((v >> 16) as u16, v as u16),
            (v, false) => (v as u16, (v >> 16) as u16),
        };
        let lengths = match (major, minor) {
            (2, 0..=2) | (543, 0) => Lengths::Swapped,
            (2, 3) => Lengths::Either,
            (2, _) => Lengths::Usual,
            _ => return Err(Stop::Broken(format!("unknown pcap version {major}.{minor}"))),
        };
        if bytes.len() < HEADER + kind.extra {
            return Err(Stop::Need(HEADER + kind.extra));
        }
        let captured_max = word(snaplen).clamp(SNAPLEN_USUAL, CAPTURED_MAX as u32);
        let link = LinkType::from_header(word(network));
        Ok((Self { kind, big, lengths, link, captured_max }, HEADER + kind.extra))
    }

    /// Lists the whole records of `bytes` from `start` on.
    pub(super) fn walk(&self, bytes: &[u8], start: usize, slots: &mut Vec<Slot>) -> Walk {
        if self.big {
            self.records::<true>(bytes, start, slots)
        } else {
            self.records::<false>(bytes, start, slots)
        }
    }

    fn records<const BIG: bool>(&self, bytes: &[u8], start: usize, slots: &mut Vec<Slot>) -> Walk {
        let mut used = start;
        let header = self.kind.record;
        loop {
            let Some(head) = bytes.get(used..).and_then(<[u8]>::first_chunk::<16>) else {
                return Walk { used, stop: Stop::Need(header) };
            };
            let [secs, fraction, mut captured, mut wire_len] = words::<BIG>(head);
            let swap = match self.lengths {
                Lengths::Usual => false,
                Lengths::Swapped => true,
                Lengths::Either => captured > wire_len,
            };
            if swap {
                (captured, wire_len) = (wire_len, captured);
            }
            if captured > self.captured_max {
                let what = format!("a record claims {captured} bytes; the file is damaged from here on");
                return Walk { used, stop: Stop::Broken(what) };
            }
            let end = used + header + captured as usize;
            if end > bytes.len() {
                return Walk { used, stop: Stop::Need(end - used) };
            }
            // Below 2^63 for every value of both fields.
            let at = Timestamp::from_nanos(secs as i64 * 1_000_000_000 + fraction as i64 * self.kind.unit);
            let offset = (used + header) as u32;
            slots.push(Slot { at, offset, captured, wire_len, link: self.link, vlan: 0xffff });
            used = end;
        }
    }
}

/// The four fields of a record header.
fn words<const BIG: bool>(head: &[u8; 16]) -> [u32; 4] {
    let all = u128::from_le_bytes(*head);
    let words = [all as u32, (all >> 32) as u32, (all >> 64) as u32, (all >> 96) as u32];
    if BIG { words.map(u32::swap_bytes) } else { words }
}
