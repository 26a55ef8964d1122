//! The identity of a flow: two ends, sorted, so that both directions have one key.

use crate::decode::{Packet, Pair, Transport};
use crate::observe::{Ends, FlowId};
use std::hash::Hash;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Which of the two sorted ends a packet comes from.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u8)]
pub enum Side {
    /// The lower end.
    A = 0,
    /// The higher end.
    B = 1,
}

impl Side {
    /// The opposite end.
    #[inline]
    pub const fn other(self) -> Self {
        match self {
            Self::A => Self::B,
            Self::B => Self::A,
        }
    }

    /// For arrays of two.
    #[inline]
    pub const fn index(self) -> usize {
        self as usize
    }
}

/// Seeds of the hash, one set a run, so that nobody can aim for collisions.
#[derive(Clone, Copy, Debug)]
pub struct Seeds(pub [u64; 4]);

impl Seeds {
    /// Spreads one number over the seeds (SplitMix64).
    pub fn from_seed(seed: u64) -> Self {
        let mut state = seed;
        Self(std::array::from_fn(|_| {
            state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
            let mut z = state;
            z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
            z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
            (z ^ (z >> 31)) | 1
        }))
    }
}

/// Multiplies to 128 bits and folds: the cheapest mixing that passes (see docs/performance.md).
#[inline]
fn fold(a: u64, b: u64) -> u64 {
    let wide = u128::from(a).wrapping_mul(u128::from(b));
    (wide as u64) ^ ((wide >> 64) as u64)
}

/// What a flow table needs of a key.
pub trait Key: Copy + Eq {
    /// Quarters of all flows that this family keeps when both want more.
    const QUARTERS: usize;
    /// Seeded hash.
    fn hash(&self, seeds: &Seeds) -> u64;
    /// Address and port of one end.
    fn end(&self, side: Side) -> (IpAddr, u16);
    /// TCP or UDP.
    fn transport(&self) -> Transport;

    /// The ends, originator first.
    fn ends(&self, originator: Side) -> Ends {
        let (from, to) = (self.end(originator), self.end(originator.other()));
        Ends {
            originator: from.0,
            responder: to.0,
            originator_port: from.1,
            responder_port: to.1,
            transport: self.transport(),
        }
    }

    /// Stable identity of the flow that began with frame `ordinal`. Uses fixed seeds, so that records of two runs can
    /// be compared; 53 bits, so that JSON readers keep it.
    fn flow_id(&self, ordinal: u64, seed: u64) -> FlowId {
        let seeds = Seeds::from_seed(seed);
        FlowId(fold(self.hash(&seeds) ^ seeds.0[2], ordinal.wrapping_add(seeds.0[3])) >> 11)
    }
}

/// IPv4 key: 16 bytes.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[repr(C)]
pub struct KeyV4 {
    addr: [u32; 2],
    port: [u16; 2],
    /// Transport in the low byte; the rest is the number of the declared network, 0 where none is declared.
    tail: u32,
}

/// IPv6 key: 40 bytes. Addresses as pairs of words, so that the alignment stays 8.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[repr(C)]
pub struct KeyV6 {
    addr: [[u64; 2]; 2],
    port: [u16; 2],
    tail: u32,
}

const _: () = assert!(size_of::<KeyV4>() == 16);
const _: () = assert!(size_of::<KeyV6>() == 40);

fn transport_of(tail: u32) -> Transport {
    if tail & 0xff == Transport::Tcp as u32 { Transport::Tcp } else { Transport::Udp }
}

impl KeyV4 {
    /// The key of a packet and the side that sent it.
    #[inline]
    pub fn new(src: u32, dst: u32, packet: &Packet<'_>) -> (Self, Side) {
        let tail = packet.transport as u32;
        if (src, packet.src_port) <= (dst, packet.dst_port) {
            (Self { addr: [src, dst], port: [packet.src_port, packet.dst_port], tail }, Side::A)
        } else {
            (Self { addr: [dst, src], port: [packet.dst_port, packet.src_port], tail }, Side::B)
        }
    }
}

impl KeyV4 {
    /// A key from its sorted parts.
    pub const fn of(addresses: u64, port: [u16; 2], transport: Transport) -> Self {
        Self { addr: [(addresses >> 32) as u32, addresses as u32], port, tail: transport as u32 }
    }

    /// Both addresses, sorted.
    pub const fn addresses(&self) -> u64 {
        (self.addr[0] as u64) << 32 | self.addr[1] as u64
    }

    /// Both ports, in the order of the addresses.
    pub const fn ports(&self) -> [u16; 2] {
        self.port
    }
}

impl KeyV6 {
    /// The key of a packet and the side that sent it.
    #[inline]
    pub fn new(src: u128, dst: u128, packet: &Packet<'_>) -> (Self, Side) {
        let split = |a: u128| [(a >> 64) as u64, a as u64];
        let tail = packet.transport as u32;
        if (src, packet.src_port) <= (dst, packet.dst_port) {
            (Self { addr: [split(src), split(dst)], port: [packet.src_port, packet.dst_port], tail }, Side::A)
        } else {
            (Self { addr: [split(dst), split(src)], port: [packet.dst_port, packet.src_port], tail }, Side::B)
        }
    }
}

impl Key for KeyV4 {
    const QUARTERS: usize = 3;

    #[inline]
    fn hash(&self, seeds: &Seeds) -> u64 {
        let a = u64::from(self.addr[0]) << 32 | u64::from(self.addr[1]);
        let b = u64::from(self.port[0]) << 48 | u64::from(self.port[1]) << 32 | u64::from(self.tail);
        fold(a ^ seeds.0[0], b ^ seeds.0[1])
    }

    fn end(&self, side: Side) -> (IpAddr, u16) {
        (IpAddr::V4(Ipv4Addr::from_bits(self.addr[side.index()])), self.port[side.index()])
    }

    fn transport(&self) -> Transport {
        transport_of(self.tail)
    }
}

impl Key for KeyV6 {
    const QUARTERS: usize = 1;

    #[inline]
    fn hash(&self, seeds: &Seeds) -> u64 {
        let [[a, b], [c, d]] = self.addr;
        let e = u64::from(self.port[0]) << 48 | u64::from(self.port[1]) << 32 | u64::from(self.tail);
        let x = fold(a ^ seeds.0[0], b ^ seeds.0[1]);
        let y = fold(c ^ seeds.0[2], d ^ seeds.0[3]);
        fold(x ^ e, y ^ seeds.0[0])
    }

    fn end(&self, side: Side) -> (IpAddr, u16) {
        let [hi, lo] = self.addr[side.index()];
        let bits = u128::from(hi) << 64 | u128::from(lo);
        (IpAddr::V6(Ipv6Addr::from_bits(bits)), self.port[side.index()])
    }

    fn transport(&self) -> Transport {
        transport_of(self.tail)
    }
}

/// Number of the worker for a pair of hosts: symmetric, by the innermost addresses only, so that fragments, port
/// reuse and a client that changed its port stay with one worker.
#[inline]
pub fn shard(pair: &Pair, seeds: &Seeds, workers: usize) -> usize {
    let mixed = match *pair {
        Pair::V4 { src, dst } => {
            let (lo, hi) = if src <= dst { (src, dst) } else { (dst, src) };
            fold(u64::from(lo) << 32 | u64::from(hi) ^ seeds.0[0], seeds.0[1])
        }
        Pair::V6 { src, dst } => {
            let (lo, hi) = if src <= dst { (src, dst) } else { (dst, src) };
            let half = |a: u128, s: u64| fold((a >> 64) as u64 ^ s, a as u64 ^ seeds.0[3]);
            fold(half(lo, seeds.0[0]) ^ seeds.0[2], half(hi, seeds.0[1]))
        }
    };
    // The high half of the product spreads the hash over any number of workers without a division.
    ((u128::from(mixed) * workers as u128) >> 64) as usize
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shard_is_symmetric_and_in_range() {
        let seeds = Seeds::from_seed(7);
        for i in 0..1000u32 {
            let (a, b) = (i.wrapping_mul(2_654_435_761), i.wrapping_mul(40_503) ^ 0xffff);
            for n in [1, 2, 3, 7] {
                let there = shard(&Pair::V4 { src: a, dst: b }, &seeds, n);
                assert_eq!(there, shard(&Pair::V4 { src: b, dst: a }, &seeds, n));
                assert!(there < n);
                let (x, y) = (u128::from(a) << 90 | 1, u128::from(b));
                let there = shard(&Pair::V6 { src: x, dst: y }, &seeds, n);
                assert_eq!(there, shard(&Pair::V6 { src: y, dst: x }, &seeds, n));
            }
        }
    }
}
