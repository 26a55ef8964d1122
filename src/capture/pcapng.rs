//! pcapng: sections of blocks, each with its own byte order and interfaces.

use super::input::{Stop, Walk};
use super::{CAPTURED_MAX, LinkType, Slot};
use crate::units::Timestamp;

/// Type of a section header block; reads the same in both byte orders.
const SECTION: u32 = 0x0a0d_0d0a;
const INTERFACE: u32 = 1;
const PACKET: u32 = 2;
const SIMPLE_PACKET: u32 = 3;
const ENHANCED_PACKET: u32 = 6;
/// An entry of systemd's journal.
const JOURNAL: u32 = 9;
/// Somebody's own block, the second not to be copied by editors.
const CUSTOM: u32 = 0xbad;
const CUSTOM_NO_COPY: u32 = 0x4000_0bad;

/// Most interfaces of one section.
const INTERFACES_MAX: usize = 65_536;
/// Longest block that is held in memory: the largest frame, its header and its options.
const BLOCK_MAX: usize = CAPTURED_MAX + (1 << 20);

/// Blocks of other kinds that are longer than this are not brought into memory.
const PASSED_BY: usize = 64 << 10;

/// What one unit of an interface's time stamps is.
#[derive(Clone, Copy)]
enum Unit {
    /// So many nanoseconds.
    Times(u64),
    /// So many to one nanosecond.
    Per(u64),
    /// 2^-n seconds.
    Binary(u32),
}

impl Unit {
    const MICRO: Self = Self::Times(1_000);

    /// From the option `if_tsresol`.
    const fn from_option(value: u8) -> Self {
        let exponent = (value & 0x7f) as u32;
        if value & 0x80 != 0 {
            return Self::Binary(exponent);
        }
        match exponent {
            0..=9 => Self::Times(10u64.pow(9 - exponent)),
            10..=28 => Self::Per(10u64.pow(exponent - 9)),
            // Finer than that, all 64 bits together are less than ten nanoseconds.
            _ => Self::Per(u64::MAX),
        }
    }

    fn nanos(self, stamp: u64) -> i64 {
        let nanos = match self {
            Self::Times(n) => stamp.saturating_mul(n),
            Self::Per(n) => stamp / n,
            Self::Binary(n) => {
                let wide = (u128::from(stamp) * 1_000_000_000) >> n;
                u64::try_from(wide).unwrap_or(u64::MAX)
            }
        };
        i64::try_from(nanos).unwrap_or(i64::MAX)
    }
}

/// What an interface description said.
#[derive(Clone, Copy)]
struct Interface {
    link: LinkType,
    /// 0: no limit.
    snaplen: u32,
    unit: Unit,
    /// Seconds to add to every stamp.
    offset: i64,
}

/// The section being read.
#[derive(Default)]
pub(super) struct Pcapng {
    big: bool,
    interfaces: Vec<Interface>,
    /// Time of the last frame, for those that have none; 0 in front of the first. (Looking ahead for the first
    /// stamp would make the result depend on how a pipe hands out its bytes.)
    last: Timestamp,
}

/// True where the first four bytes are those of a pcapng file.
pub(super) fn is_magic(magic: [u8; 4]) -> bool {
    u32::from_be_bytes(magic) == SECTION
}

/// Reads fields of a block in the section's byte order.
struct Fields<'a> {
    body: &'a [u8],
    big: bool,
}

impl Fields<'_> {
    fn u16(&self, at: usize) -> Option<u16> {
        let b = self.body.get(at..)?.first_chunk::<2>()?;
        Some(if self.big { u16::from_be_bytes(*b) } else { u16::from_le_bytes(*b) })
    }

    fn u32(&self, at: usize) -> Option<u32> {
        let b = self.body.get(at..)?.first_chunk::<4>()?;
        Some(if self.big { u32::from_be_bytes(*b) } else { u32::from_le_bytes(*b) })
    }

    fn u64(&self, at: usize) -> Option<u64> {
        let b = self.body.get(at..)?.first_chunk::<8>()?;
        Some(if self.big { u64::from_be_bytes(*b) } else { u64::from_le_bytes(*b) })
    }
}

/// Where the packet data of a block lies, and what is known of it.
struct Packet {
    interface: u32,
    /// None: the block has no stamp.
    stamp: Option<u64>,
    captured: u32,
    wire_len: u32,
    /// Position of the data in the block's body.
    data: usize,
}

impl Pcapng {
    /// Lists the frames of the whole blocks of `bytes` from `start` on.
    pub(super) fn walk(&mut self, bytes: &[u8], start: usize, slots: &mut Vec<Slot>) -> Walk {
        let mut used = start;
        loop {
            let rest = bytes.get(used..).unwrap_or(&[]);
            match self.block(rest, used, slots) {
                Ok(length) => used += length,
                Err(stop) => return Walk { used, stop },
            }
        }
    }

    /// Reads the block at the start of `rest`, which is byte `base` of its batch. Gives the block's length.
    fn block(&mut self, rest: &[u8], base: usize, slots: &mut Vec<Slot>) -> Result<usize, Stop> {
        let (kind, length) = self.measure(rest)?;
        let wanted = matches!(
            kind,
            SECTION
                | INTERFACE
                | PACKET
                | SIMPLE_PACKET
                | ENHANCED_PACKET
                | JOURNAL
                | CUSTOM
                | CUSTOM_NO_COPY
        );
        if !wanted && length > PASSED_BY {
            // Its end is not looked at, whether or not it is in memory: the same file gives the same result however
            // it is cut into pieces.
            return if length > rest.len() { Err(Stop::Skip(length as u64)) } else { Ok(length) };
        }
        if length > BLOCK_MAX {
            return Err(Stop::Broken(format!("a block claims {length} bytes")));
        }
        if length > rest.len() {
            return Err(Stop::Need(length));
        }
        let fields = Fields { body: rest.get(8..length - 4).unwrap_or(&[]), big: self.big };
        let tail = Fields { body: rest, big: self.big }.u32(length - 4);
        if tail.map(|n| n as usize) != Some(length) {
            let tail = tail.unwrap_or(0);
            return Err(Stop::Broken(format!("a block is {length} bytes at its head, {tail} at its end")));
        }
        if !wanted {
            return Ok(length);
        }
        let short = || Stop::Broken(format!("a block of type {kind} with only {length} bytes"));
        match kind {
            SECTION => self.section(&fields).ok_or_else(short)??,
            INTERFACE => self.interface(&fields).ok_or_else(short)??,
            JOURNAL => slots.push(self.no_frame(&fields, 0, base)),
            // Behind the number of whoever it belongs to.
            CUSTOM | CUSTOM_NO_COPY => slots.push(self.no_frame(&fields, 4, base)),
            _ => {
                let packet = match kind {
                    ENHANCED_PACKET => enhanced(&fields),
                    PACKET => obsolete(&fields),
                    _ => self.simple(&fields),
                };
                let packet = packet.ok_or_else(short)?;
                let slot = self.slot(&packet, &fields, base)?;
                slots.push(slot);
            }
        }
        Ok(length)
    }

    /// Type and length of a block. A section header turns the byte order before its own length is read.
    fn measure(&mut self, rest: &[u8]) -> Result<(u32, usize), Stop> {
        let first = |at: usize| rest.get(at..).and_then(<[u8]>::first_chunk::<4>);
        let kind = first(0).ok_or(Stop::Need(12))?;
        if is_magic(*kind) {
            self.big = match first(8).ok_or(Stop::Need(12))? {
                [0x1a, 0x2b, 0x3c, 0x4d] => true,
                [0x4d, 0x3c, 0x2b, 0x1a] => false,
                _ => return Err(Stop::Broken("a section header without its byte-order mark".into())),
            };
        }
        let fields = Fields { body: rest, big: self.big };
        let (Some(kind), Some(length)) = (fields.u32(0), fields.u32(4)) else { return Err(Stop::Need(12)) };
        if length < 12 || length % 4 != 0 {
            return Err(Stop::Broken(format!(
                "a block claims {length} bytes; the file is damaged from here on"
            )));
        }
        Ok((kind, length as usize))
    }

    fn section(&mut self, fields: &Fields<'_>) -> Option<Result<(), Stop>> {
        let (major, minor) = (fields.u16(4)?, fields.u16(6)?);
        // The section's own length is not needed: its blocks say where they end.
        fields.u64(8)?;
        self.interfaces.clear();
        Some(match (major, minor) {
            (1, 0 | 2) => Ok(()),
            _ => Err(Stop::Broken(format!("unknown pcapng version {major}.{minor}"))),
        })
    }

    fn interface(&mut self, fields: &Fields<'_>) -> Option<Result<(), Stop>> {
        let (link, snaplen) = (fields.u16(0)?, fields.u32(4)?);
        let link = LinkType::from_header(link.into());
        let mut found = Interface { link, snaplen, unit: Unit::MICRO, offset: 0 };
        let mut at = 8;
        while let (Some(code), Some(length)) = (fields.u16(at), fields.u16(at + 2)) {
            match (code, length) {
                (0, _) => break,
                (9, 1) => found.unit = Unit::from_option(*fields.body.get(at + 4)?),
                (14, 8) => found.offset = fields.u64(at + 4)? as i64,
                _ => {}
            }
            at += 4 + (length as usize).next_multiple_of(4);
        }
        if self.interfaces.len() >= INTERFACES_MAX {
            return Some(Err(Stop::Broken(format!("more than {INTERFACES_MAX} interfaces"))));
        }
        self.interfaces.push(found);
        Some(Ok(()))
    }

    fn simple(&self, fields: &Fields<'_>) -> Option<Packet> {
        let wire_len = fields.u32(0)?;
        let snaplen = self.interfaces.first().map_or(0, |i| i.snaplen);
        let captured = if snaplen == 0 { wire_len } else { wire_len.min(snaplen) };
        Some(Packet { interface: 0, stamp: None, captured, wire_len, data: 4 })
    }

    fn slot(&mut self, packet: &Packet, fields: &Fields<'_>, base: usize) -> Result<Slot, Stop> {
        let Some(interface) = self.interfaces.get(packet.interface as usize) else {
            let what = format!("a frame of interface {}, which is nowhere described", packet.interface);
            return Err(Stop::Broken(what));
        };
        let captured = packet.captured as usize;
        if captured > CAPTURED_MAX || captured > fields.body.len().saturating_sub(packet.data) {
            let what = format!("a frame claims {captured} bytes, more than its block has");
            return Err(Stop::Broken(what));
        }
        if let Some(stamp) = packet.stamp {
            let offset = interface.offset.saturating_mul(1_000_000_000);
            let at = Timestamp::from_nanos(interface.unit.nanos(stamp).saturating_add(offset));
            self.last = at;
        }
        Ok(Slot {
            at: self.last,
            offset: (base + 8 + packet.data) as u32,
            captured: packet.captured,
            wire_len: packet.wire_len,
            link: interface.link,
            vlan: 0xffff,
        })
    }

    /// A record that is no frame; its contents begin at `data` of the block's body.
    fn no_frame(&self, fields: &Fields<'_>, data: usize, base: usize) -> Slot {
        let length = fields.body.len().saturating_sub(data) as u32;
        Slot {
            at: self.last,
            offset: (base + 8 + data) as u32,
            captured: length,
            wire_len: length,
            link: LinkType::NOT_A_FRAME,
            vlan: 0xffff,
        }
    }
}

fn enhanced(fields: &Fields<'_>) -> Option<Packet> {
    let stamp = u64::from(fields.u32(4)?) << 32 | u64::from(fields.u32(8)?);
    let (captured, wire_len) = (fields.u32(12)?, fields.u32(16)?);
    Some(Packet { interface: fields.u32(0)?, stamp: Some(stamp), captured, wire_len, data: 20 })
}

/// The packet block of early drafts: a 16-bit interface and a count of drops where the interface stands now.
fn obsolete(fields: &Fields<'_>) -> Option<Packet> {
    Some(Packet { interface: fields.u16(0)?.into(), ..enhanced(fields)? })
}
