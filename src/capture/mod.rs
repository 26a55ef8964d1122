//! Where frames come from: capture files now, live interfaces beside them.
//!
//! A [`Source`] fills a [`Batch`] with large pieces of bytes and a list of the frames that lie in them. The bytes
//! are lent from there on: no stage copies a packet.

#[cfg(target_os = "linux")]
mod block;
pub mod bpf;
#[cfg(live)]
mod door;
mod foreign;
#[cfg(all(live, feature = "libpcap"))]
mod handle;
mod input;
#[cfg(live)]
pub mod interface;
pub(crate) mod listing;
#[cfg(live)]
pub mod live;
mod pcap;
mod pcapng;
#[cfg(live)]
mod poll;
pub mod replay;
#[cfg(target_os = "linux")]
pub mod ring;
pub mod sample;
pub(crate) mod stream;

pub use replay::Replay;

use crate::units::Timestamp;
use std::path::PathBuf;

/// Most bytes one frame may have captured. A length beyond it is damage, whatever the file says.
pub const CAPTURED_MAX: usize = 16 << 20;

/// A link-layer type as the tcpdump.org registry numbers it (`LINKTYPE_*`).
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct LinkType(pub u16);

impl LinkType {
    /// Ethernet II / 802.3.
    pub const ETHERNET: Self = Self(1);

    /// A record that a capture file has among its frames and that is none (pcapng's custom and journal blocks). It
    /// has a frame's number, so that numbers agree with those of other tools, and there is nothing in it to decode.
    pub const NOT_A_FRAME: Self = Self(0xffff);

    /// The link type in a file header's field: bits that tell of a frame check sequence are dropped, and numbers
    /// which BSD systems wrote for their own `DLT_*` become those of the registry.
    pub const fn from_header(field: u32) -> Self {
        Self(match field as u16 {
            11 => 100,
            12 | 14 => 101,
            15 => 102,
            16 => 103,
            19 => 106,
            other => other,
        })
    }
}

/// One captured frame, lent by its source.
#[derive(Clone, Copy, Debug)]
pub struct Frame<'a> {
    /// Capture time as recorded (raw, may go backwards).
    pub at: Timestamp,
    /// The pipeline's clock at this frame: never goes backwards (see `clock`).
    pub now: Timestamp,
    /// Number of this frame in the one order of all that happens: frames over all files, ticks, datagrams put together.
    pub ordinal: u64,
    /// The bytes that were captured.
    pub bytes: &'a [u8],
    /// Length on the wire, snap length notwithstanding.
    pub wire_len: u32,
    /// Link-layer type of the interface.
    pub link: LinkType,
    /// VLAN tag that the network card took out of the frame, where the source reports one.
    pub vlan: Option<u16>,
}

/// Where one frame lies within its batch.
#[derive(Clone, Copy, Debug)]
pub struct Slot {
    /// Capture time as recorded.
    pub at: Timestamp,
    /// First byte of the frame in [`Batch::bytes`].
    pub offset: u32,
    /// Number of bytes captured.
    pub captured: u32,
    /// Length on the wire.
    pub wire_len: u32,
    /// Link-layer type.
    pub link: LinkType,
    /// VLAN tag taken out by the card; 0xffff where there was none.
    pub vlan: u16,
}

impl Slot {
    /// The VLAN tag that the card took out.
    pub const fn tag(&self) -> Option<u16> {
        if self.vlan == u16::MAX { None } else { Some(self.vlan) }
    }
}

/// A piece of traffic: bytes as read, and the frames in it. Reused between reads.
#[derive(Default, Debug)]
pub struct Batch {
    /// File bytes, record headers included; only `slots` say what is what. Kept at its full length between reads
    /// (what lies outside the slots is left over from before), so that no read pays for zeroing it.
    pub bytes: Vec<u8>,
    /// The frames, in capture order. Every slot lies within `bytes`: sources see to it.
    pub slots: Vec<Slot>,
}

impl Batch {
    /// The bytes and the frames, lent.
    pub fn lend(&self) -> Lent<'_> {
        Lent { bytes: &self.bytes, slots: &self.slots }
    }

    /// Forgets the frames, keeps the memory.
    pub fn clear(&mut self) {
        self.slots.clear();
    }

    /// At least `len` bytes of room, old contents and all.
    fn room(&mut self, len: usize) -> &mut [u8] {
        if self.bytes.len() < len {
            self.bytes.resize(len, 0);
        }
        &mut self.bytes
    }

    /// The bytes of one slot; empty for a slot that does not lie within this batch.
    pub fn frame_bytes(&self, slot: &Slot) -> &[u8] {
        self.lend().frame_bytes(slot)
    }
}

/// Bytes and the frames in them, whoever they belong to: a [`Batch`], or memory shared with the kernel.
#[derive(Clone, Copy, Debug)]
pub struct Lent<'b> {
    /// The bytes.
    pub bytes: &'b [u8],
    /// The frames, in capture order.
    pub slots: &'b [Slot],
}

impl<'b> Lent<'b> {
    /// The bytes of one slot; empty for a slot that does not lie within.
    pub fn frame_bytes(&self, slot: &Slot) -> &'b [u8] {
        let start = slot.offset as usize;
        self.bytes.get(start..start + slot.captured as usize).unwrap_or(&[])
    }

    /// The frame of a slot, at a time of the pipeline's clock and with its number.
    pub fn frame(&self, slot: &Slot, now: Timestamp, ordinal: u64) -> Frame<'b> {
        Frame {
            at: slot.at,
            now,
            ordinal,
            bytes: self.frame_bytes(slot),
            wire_len: slot.wire_len,
            link: slot.link,
            vlan: slot.tag(),
        }
    }
}

/// Something wrong with the input that a person should know of; what was readable has been processed.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Fault {
    /// The file (`-` for standard input).
    pub file: PathBuf,
    /// Byte offset of the trouble within the (decompressed) file, where known.
    pub offset: Option<u64>,
    /// What is wrong and what helps, one line.
    pub what: String,
}

impl std::fmt::Display for Fault {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.offset {
            Some(at) => write!(f, "{} at byte {at}: {}", self.file.display(), self.what),
            None => write!(f, "{}: {}", self.file.display(), self.what),
        }
    }
}

/// Gives frames in batches.
pub trait Source: Send {
    /// Clears `batch` and fills it with the next frames. False: the end, and the batch is empty.
    /// Trouble in the input ends that input and is told by [`Source::faults`].
    fn fill(&mut self, batch: &mut Batch) -> bool;

    /// What was wrong with the input so far.
    fn faults(&self) -> &[Fault];

    /// Bytes read and bytes expected in all (where known), for the progress bar.
    fn progress(&self) -> (u64, Option<u64>);
}
