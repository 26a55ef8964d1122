//! What a layer hands to the next: the bytes that were captured with the length they had on the wire, and the facts
//! gathered on the way down.

use super::{Path, Skip};
use crate::units::Timestamp;

/// Layers followed before a frame is given up: deeper than any real network nests, and the walk still fits any stack.
const LAYERS: u8 = 64;

/// Part of a frame: what was captured of it, and how long it was on the wire (`len >= bytes.len()`, always).
#[derive(Clone, Copy, Debug)]
pub(super) struct Piece<'a> {
    bytes: &'a [u8],
    len: usize,
}

impl<'a> Piece<'a> {
    /// `bytes` of something that was `len` bytes long; never shorter than what is there.
    pub(super) fn new(bytes: &'a [u8], len: usize) -> Self {
        Self { bytes, len: len.max(bytes.len()) }
    }

    /// What was captured.
    pub(super) const fn bytes(self) -> &'a [u8] {
        self.bytes
    }

    /// Length on the wire.
    pub(super) const fn len(self) -> usize {
        self.len
    }

    /// What follows the first `n` bytes, all of which must have been captured.
    pub(super) fn after(self, n: usize) -> Result<Self, Skip> {
        let bytes = self.bytes.get(n..).ok_or(Skip::Cut)?;
        Ok(Self { bytes, len: self.len - n })
    }

    /// What follows the first `n` bytes, captured or not; empty past the end.
    pub(super) fn beyond(self, n: usize) -> Self {
        Self { bytes: self.bytes.get(n..).unwrap_or(&[]), len: self.len.saturating_sub(n) }
    }

    /// At most the first `n` bytes: drops padding and trailers.
    pub(super) fn limit(self, n: usize) -> Self {
        Self { bytes: self.bytes.get(..n).unwrap_or(self.bytes), len: self.len.min(n) }
    }

    /// Without the last `n` bytes on the wire (a frame check sequence).
    pub(super) fn without_tail(self, n: usize) -> Self {
        self.limit(self.len.saturating_sub(n))
    }

    /// The first `N` bytes.
    pub(super) fn head<const N: usize>(self) -> Result<&'a [u8; N], Skip> {
        self.bytes.first_chunk::<N>().ok_or(Skip::Cut)
    }

    /// `N` bytes at `at`.
    pub(super) fn chunk<const N: usize>(self, at: usize) -> Result<[u8; N], Skip> {
        self.bytes.get(at..).and_then(|rest| rest.first_chunk::<N>()).copied().ok_or(Skip::Cut)
    }

    /// The byte at `at`.
    pub(super) fn u8(self, at: usize) -> Result<u8, Skip> {
        self.bytes.get(at).copied().ok_or(Skip::Cut)
    }

    /// Two bytes at `at`, big-endian.
    pub(super) fn be16(self, at: usize) -> Result<u16, Skip> {
        self.chunk(at).map(u16::from_be_bytes)
    }

    /// Four bytes at `at`, big-endian.
    pub(super) fn be32(self, at: usize) -> Result<u32, Skip> {
        self.chunk(at).map(u32::from_be_bytes)
    }

    /// Two bytes at `at`, little-endian.
    pub(super) fn le16(self, at: usize) -> Result<u16, Skip> {
        self.chunk(at).map(u16::from_le_bytes)
    }

    /// Four bytes at `at`, little-endian.
    pub(super) fn le32(self, at: usize) -> Result<u32, Skip> {
        self.chunk(at).map(u32::from_le_bytes)
    }
}

/// The way down through one frame.
#[derive(Clone, Copy, Debug)]
pub(super) struct Walk {
    /// Capture time.
    pub(super) at: Timestamp,
    /// The pipeline's clock.
    pub(super) now: Timestamp,
    /// Frame number.
    pub(super) ordinal: u64,
    /// Frame length on the wire.
    pub(super) wire_len: u32,
    /// Tags and addresses so far.
    pub(super) path: Path,
    /// IP headers passed so far.
    pub(super) ips: u8,
    /// Layers passed so far.
    pub(super) depth: u8,
}

impl Walk {
    /// One layer further down, or too deep.
    pub(super) fn deeper(&mut self) -> Result<(), Skip> {
        self.depth += 1;
        if self.depth > LAYERS { Err(Skip::TooDeep) } else { Ok(()) }
    }

    /// Notes a VLAN tag; beyond three only the number is of interest to nobody.
    pub(super) fn vlan(&mut self, tag: u16) {
        self.path.push_vlan(tag);
    }

    /// Notes the link addresses of a header that begins with destination and source, as Ethernet does.
    pub(super) fn mac(&mut self, destination: [u8; 6], source: [u8; 6]) {
        self.path.mac = Some((source, destination));
    }

    /// The path as it is below the IP header just passed.
    pub(super) fn path_here(&self) -> Path {
        Path { tunnels: self.ips.saturating_sub(1), ..self.path }
    }
}
