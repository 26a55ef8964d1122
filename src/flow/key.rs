//! The identity of a flow: two ends, sorted, so that both directions have one key.

use crate::decode::{Packet, Pair, Transport};
use crate::observe::{Ends, FlowId};
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
    /// By whether the ends had to be turned round to be sorted: 0 or 1.
    #[inline]
    const fn of(turn: u32) -> Self {
        if turn == 0 { Self::A } else { Self::B }
    }

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

/// IPv4 key: 16 bytes in two words, so that making, hashing and comparing one takes no branch.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub struct KeyV4 {
    /// Both addresses, the lower end's in the upper half.
    addr: u64,
    /// Their ports in the upper half, in that order; the transport in the lowest byte. What lies between is the number of
    /// the declared network, 0 where none is declared.
    tail: u64,
}

/// IPv6 key: 40 bytes. Addresses as pairs of words, so that the alignment stays 8.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(C)]
pub struct KeyV6 {
    addr: [[u64; 2]; 2],
    /// As in [`KeyV4`].
    tail: u64,
}

const _: () = assert!(size_of::<KeyV4>() == 16);
const _: () = assert!(size_of::<KeyV6>() == 40);

/// The word of a key that holds ports (the lower end's in the upper half) and transport.
const fn tail_of(ports: u32, transport: Transport) -> u64 {
    (ports as u64) << 32 | transport as u64
}

fn transport_of(tail: u64) -> Transport {
    if tail & 0xff == Transport::Tcp as u64 { Transport::Tcp } else { Transport::Udp }
}

const fn port_of(tail: u64, side: Side) -> u16 {
    match side {
        Side::A => (tail >> 48) as u16,
        Side::B => (tail >> 32) as u16,
    }
}

/// Both ports of a packet, the source in the upper half.
const fn ports_of(packet: &Packet<'_>) -> u32 {
    (packet.src_port as u32) << 16 | packet.dst_port as u32
}

impl PartialEq for KeyV4 {
    #[inline]
    fn eq(&self, other: &Self) -> bool {
        (self.addr ^ other.addr) | (self.tail ^ other.tail) == 0
    }
}

impl Eq for KeyV4 {}

impl KeyV4 {
    /// The key of a packet and the side that sent it.
    #[inline]
    pub fn new(src: u32, dst: u32, packet: &Packet<'_>) -> (Self, Side) {
        Self::sorted(src, dst, ports_of(packet), packet.transport)
    }

    /// The key of both ends and the side of the source. `ports`: the source's in the upper half.
    #[inline]
    pub fn sorted(src: u32, dst: u32, ports: u32, transport: Transport) -> (Self, Side) {
        let from = u64::from(src) << 16 | u64::from(ports >> 16);
        let to = u64::from(dst) << 16 | u64::from(ports & 0xffff);
        // Which end is lower is chance: turned round, not branched on.
        let turn = u32::from(from > to);
        let addr = (u64::from(src) << 32 | u64::from(dst)).rotate_left(32 * turn);
        let ports = ports.rotate_left(16 * turn);
        (Self { addr, tail: tail_of(ports, transport) }, Side::of(turn))
    }

    /// A key from its words.
    pub(crate) const fn of(words: [u64; 2]) -> Self {
        Self { addr: words[0], tail: words[1] }
    }

    /// Its words.
    pub(crate) const fn words(&self) -> [u64; 2] {
        [self.addr, self.tail]
    }
}

impl KeyV6 {
    /// The key of a packet and the side that sent it.
    #[inline]
    pub fn new(src: u128, dst: u128, packet: &Packet<'_>) -> (Self, Side) {
        Self::sorted(src, dst, ports_of(packet), packet.transport)
    }

    /// The key of both ends and the side of the source. `ports`: the source's in the upper half.
    #[allow(clippy::needless_bitwise_bool)] // no branch
    #[inline]
    pub fn sorted(src: u128, dst: u128, ports: u32, transport: Transport) -> (Self, Side) {
        let split = |a: u128| [(a >> 64) as u64, a as u64];
        let turned = (src > dst) | ((src == dst) & (ports >> 16 > ports & 0xffff));
        let turn = u32::from(turned);
        let flip = u128::from(turn).wrapping_neg() & (src ^ dst);
        let addr = [split(src ^ flip), split(dst ^ flip)];
        let ports = ports.rotate_left(16 * turn);
        (Self { addr, tail: tail_of(ports, transport) }, Side::of(turn))
    }
}

impl Key for KeyV4 {
    const QUARTERS: usize = 3;

    #[inline]
    fn hash(&self, seeds: &Seeds) -> u64 {
        fold(self.addr ^ seeds.0[0], self.tail ^ seeds.0[1])
    }

    fn end(&self, side: Side) -> (IpAddr, u16) {
        let addr = match side {
            Side::A => (self.addr >> 32) as u32,
            Side::B => self.addr as u32,
        };
        (IpAddr::V4(Ipv4Addr::from_bits(addr)), port_of(self.tail, side))
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
        let x = fold(a ^ seeds.0[0], b ^ seeds.0[1]);
        let y = fold(c ^ seeds.0[2], d ^ seeds.0[3]);
        fold(x ^ self.tail, y ^ seeds.0[0])
    }

    fn end(&self, side: Side) -> (IpAddr, u16) {
        let [hi, lo] = self.addr[side.index()];
        let bits = u128::from(hi) << 64 | u128::from(lo);
        (IpAddr::V6(Ipv6Addr::from_bits(bits)), port_of(self.tail, side))
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

    /// Whichever end speaks, the key is the same and the side the other.
    #[test]
    fn both_directions_have_one_key() {
        let seeds = Seeds::from_seed(7);
        for (a, b) in [(1u32, 2), (2, 1), (5, 5), (0, u32::MAX), (u32::MAX, 0), (0x8000_0000, 0x7fff_ffff)] {
            for (x, y) in [(1u32, 2), (2, 1), (7, 7), (0, 65_535), (65_535, 0)] {
                let (there, back) = (x << 16 | y, y << 16 | x);
                let (key, side) = KeyV4::sorted(a, b, there, Transport::Tcp);
                let (same, other) = KeyV4::sorted(b, a, back, Transport::Tcp);
                assert_eq!((key, key.hash(&seeds)), (same, same.hash(&seeds)));
                assert_eq!(key.end(side), (IpAddr::V4(Ipv4Addr::from_bits(a)), x as u16));
                assert_eq!(key.end(side.other()), (IpAddr::V4(Ipv4Addr::from_bits(b)), y as u16));
                assert_eq!(side == other, (a, x) == (b, y));
                let (v6, w6) = (u128::from(a) << 64 | 9, u128::from(b) << 64 | 9);
                let (key, side) = KeyV6::sorted(v6, w6, there, Transport::Udp);
                let (same, other) = KeyV6::sorted(w6, v6, back, Transport::Udp);
                assert_eq!((key, key.hash(&seeds)), (same, same.hash(&seeds)));
                assert_eq!(key.end(side), (IpAddr::V6(Ipv6Addr::from_bits(v6)), x as u16));
                assert_eq!(side == other, (a, x) == (b, y));
                assert_eq!(key.transport(), Transport::Udp);
            }
        }
    }

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
