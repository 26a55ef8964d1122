//! Writes pcap and pcapng byte by byte, in every dialect that the reader has to understand.
#![allow(dead_code)] // each test program uses a part of it

/// A frame to write, and to find again.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Frame {
    /// Nanoseconds since the epoch.
    pub(crate) nanos: i64,
    pub(crate) bytes: Vec<u8>,
    pub(crate) wire_len: u32,
    pub(crate) link: u16,
}

/// Byte order of what is written.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Order {
    Little,
    Big,
}

impl Order {
    pub(crate) fn u16(self, n: u16) -> [u8; 2] {
        if self == Self::Big { n.to_be_bytes() } else { n.to_le_bytes() }
    }

    pub(crate) fn u32(self, n: u32) -> [u8; 4] {
        if self == Self::Big { n.to_be_bytes() } else { n.to_le_bytes() }
    }

    pub(crate) fn u64(self, n: u64) -> [u8; 8] {
        if self == Self::Big { n.to_be_bytes() } else { n.to_le_bytes() }
    }
}

/// A classic file: what its magic means and how it is laid out.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Classic {
    pub(crate) order: Order,
    pub(crate) magic: u32,
    pub(crate) minor: u16,
    pub(crate) snaplen: u32,
    /// The whole field, check sequence bits included.
    pub(crate) link: u32,
}

impl Classic {
    pub(crate) const MICRO: Self =
        Self { order: Order::Little, magic: 0xa1b2_c3d4, minor: 4, snaplen: 65_535, link: 1 };

    fn unit(self) -> i64 {
        if matches!(self.magic, 0xa1b2_3c4d | 0x1c00_01ac) { 1 } else { 1_000 }
    }

    pub(crate) fn header(self) -> Vec<u8> {
        let o = self.order;
        let mut out = o.u32(self.magic).to_vec();
        out.extend(o.u16(2).into_iter().chain(o.u16(self.minor)));
        for word in [0, 0, self.snaplen, self.link] {
            out.extend(o.u32(word));
        }
        if self.magic >> 8 == 0x001c_0001 {
            out.extend(o.u32(0));
        }
        out
    }

    pub(crate) fn record(self, frame: &Frame) -> Vec<u8> {
        let o = self.order;
        let secs = frame.nanos.div_euclid(1_000_000_000);
        let fraction = frame.nanos.rem_euclid(1_000_000_000) / self.unit();
        let mut lengths = [frame.bytes.len() as u32, frame.wire_len];
        if self.minor < 3 {
            lengths.reverse();
        }
        let mut out = Vec::new();
        for word in [secs as u32, fraction as u32, lengths[0], lengths[1]] {
            out.extend(o.u32(word));
        }
        if self.magic == 0xa1b2_cd34 {
            out.extend([1, 2, 3, 4, 5, 6, 7, 8]);
        }
        out.extend(&frame.bytes);
        out
    }

    pub(crate) fn file(self, frames: &[Frame]) -> Vec<u8> {
        let mut out = self.header();
        for frame in frames {
            out.extend(self.record(frame));
        }
        out
    }
}

/// A pcapng block of any type.
pub(crate) fn block(o: Order, kind: u32, body: &[u8]) -> Vec<u8> {
    let padded = body.len().next_multiple_of(4);
    let length = o.u32(padded as u32 + 12);
    let mut out = o.u32(kind).to_vec();
    out.extend(length);
    out.extend(body);
    out.resize(8 + padded, 0);
    out.extend(length);
    out
}

/// An option; `opt_endofopt` is not written by itself.
pub(crate) fn option(o: Order, code: u16, value: &[u8]) -> Vec<u8> {
    let mut out = o.u16(code).to_vec();
    out.extend(o.u16(value.len() as u16));
    out.extend(value);
    out.resize(4 + value.len().next_multiple_of(4), 0);
    out
}

pub(crate) fn section(o: Order, length: i64, options: &[u8]) -> Vec<u8> {
    let mut body = o.u32(0x1a2b_3c4d).to_vec();
    body.extend(o.u16(1).into_iter().chain(o.u16(0)));
    body.extend(o.u64(length as u64));
    body.extend(options);
    block(o, 0x0a0d_0d0a, &body)
}

pub(crate) fn interface(o: Order, link: u16, snaplen: u32, options: &[u8]) -> Vec<u8> {
    let mut body = o.u16(link).to_vec();
    body.extend(o.u16(0).into_iter().chain(o.u32(snaplen)));
    body.extend(options);
    block(o, 1, &body)
}

/// An enhanced packet block whose stamp is `units`.
pub(crate) fn enhanced(o: Order, interface: u32, units: u64, frame: &Frame, options: &[u8]) -> Vec<u8> {
    let mut body = o.u32(interface).to_vec();
    let captured = frame.bytes.len() as u32;
    for word in [(units >> 32) as u32, units as u32, captured, frame.wire_len] {
        body.extend(o.u32(word));
    }
    body.extend(&frame.bytes);
    body.resize(body.len().next_multiple_of(4), 0);
    body.extend(options);
    block(o, 6, &body)
}

/// The packet block of early drafts.
pub(crate) fn obsolete(o: Order, interface: u16, units: u64, frame: &Frame) -> Vec<u8> {
    let mut body = o.u16(interface).to_vec();
    body.extend(o.u16(7));
    let captured = frame.bytes.len() as u32;
    for word in [(units >> 32) as u32, units as u32, captured, frame.wire_len] {
        body.extend(o.u32(word));
    }
    body.extend(&frame.bytes);
    block(o, 2, &body)
}

pub(crate) fn simple(o: Order, frame: &Frame) -> Vec<u8> {
    let mut body = o.u32(frame.wire_len).to_vec();
    body.extend(&frame.bytes);
    block(o, 3, &body)
}
