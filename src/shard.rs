//! Which worker a pair of hosts belongs to, in live capture: as a function, and as the program that has the kernel
//! deal frames the same way.
//!
//! The program is classic BPF for `PACKET_FANOUT_CBPF`. It walks VLAN tags and PPPoE to IP, and through one layer of
//! IP-in-IP, GRE, VXLAN, Geneve or GTP-U, and hashes the innermost two addresses it gets to. What it cannot walk lies
//! with another worker than its pair's, who finds that out after decoding and hands it over (`run::live`): the program
//! is there for speed, never for truth.

mod assembler;

pub use assembler::Instruction;

use crate::decode::Pair;
use assembler::{Assembler, Label};

/// Constants of the hash. Drawn from the seed of the run, so that nobody outside can aim at one worker.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Shards {
    add: [u32; 3],
    times: [u32; 4],
}

impl Shards {
    /// The constants for a seed.
    pub fn from_seed(seed: u64) -> Self {
        let mut state = seed;
        // SplitMix64; multipliers are odd.
        let mut draw = || {
            state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
            let mut z = (state ^ (state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
            z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
            ((z ^ (z >> 31)) >> 16) as u32
        };
        Self { add: [draw(), draw(), draw()], times: [draw() | 1, draw() | 1, draw() | 1, draw() | 1] }
    }

    /// Number of the worker, of `workers`, for a pair of hosts: the same both ways.
    #[inline]
    pub fn owner(&self, pair: &Pair, workers: usize) -> usize {
        let (a, b) = match *pair {
            Pair::V4 { src, dst } => (src, dst),
            Pair::V6 { src, dst } => (self.fold(src), self.fold(dst)),
        };
        self.mix(a, b) as usize % workers.max(1)
    }

    #[inline]
    fn mix(&self, a: u32, b: u32) -> u32 {
        let x = (a ^ b).wrapping_add(self.add[0]).wrapping_mul(self.times[0]);
        let s = a.wrapping_add(b).wrapping_add(self.add[1]).wrapping_mul(self.times[1]);
        let h = x ^ s;
        let h = (h ^ (h >> 16)).wrapping_mul(self.times[2]);
        h ^ (h >> 15)
    }

    #[inline]
    fn fold(&self, address: u128) -> u32 {
        let mut f = self.add[2];
        for shift in [96, 64, 32, 0] {
            f = (f ^ (address >> shift) as u32).wrapping_mul(self.times[3]);
        }
        f
    }

    /// The program that deals frames to the workers of a fanout group. `link_len`: bytes before the network header in
    /// frames that the machine itself sends (received ones come without it).
    pub fn program(&self, link_len: u32) -> Vec<Instruction> {
        Generator::new(*self).program(link_len)
    }
}

/// Places in the program's memory.
mod cell {
    /// The two addresses, or what they were folded to.
    pub(super) const A: u32 = 0;
    pub(super) const B: u32 = 1;
    /// For a moment.
    pub(super) const TEMP: u32 = 2;
    /// Offset of the header at hand, while X is used for something else.
    pub(super) const HERE: u32 = 3;
    /// The words of an IPv6 address.
    pub(super) const WORDS: u32 = 4;
}

/// Ancillary loads (linux/filter.h): the frame's protocol, and whether it is an outgoing one.
pub(crate) const AD_PROTOCOL: u32 = -0x1000i32 as u32;
pub(crate) const AD_PKTTYPE: u32 = AD_PROTOCOL + 4;
const OUTGOING: u32 = 4;

/// Layers: the outermost IP header, and the one within a tunnel.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Layer {
    Outer,
    Inner,
}

/// Where the walk goes on within a tunnel. Every such place wants X at its first byte.
#[derive(Clone, Copy)]
struct Inside {
    ethernet: Label,
    v4: Label,
    v6: Label,
    /// By the version number.
    ip: Label,
}

struct Generator {
    shards: Shards,
    asm: Assembler,
    /// Hashes the addresses in `cell::A` and `cell::B`.
    end: Label,
    inside: Inside,
}

impl Generator {
    fn new(shards: Shards) -> Self {
        let mut asm = Assembler::default();
        let mut label = || asm.label();
        let (end, ethernet, v4, v6, ip) = (label(), label(), label(), label(), label());
        Self { shards, asm, end, inside: Inside { ethernet, v4, v6, ip } }
    }

    fn program(mut self, link_len: u32) -> Vec<Instruction> {
        let (v4, v6, sent) = (self.asm.label(), self.asm.label(), self.asm.label());
        // The kernel wants every cell written before it is read.
        self.asm.a_const(0);
        self.asm.store(cell::A);
        self.asm.store(cell::B);
        self.asm.store(cell::TEMP);
        // The data of a received frame begins at its network header, of a sent one at its link header.
        self.asm.x_const(0);
        self.asm.load_abs_byte(AD_PKTTYPE);
        self.asm.unless_equal(OUTGOING, sent);
        self.asm.x_const(link_len);
        self.asm.place(sent);
        self.asm.load_abs_half(AD_PROTOCOL);
        self.by_type(v4, v6);
        self.asm.place(v4);
        self.v4(Layer::Outer);
        self.asm.place(v6);
        self.v6(Layer::Outer);
        self.inner();
        self.asm.place(self.end);
        self.hash();
        self.asm.finish()
    }

    /// What lies in a tunnel.
    fn inner(&mut self) {
        let Inside { ethernet, v4, v6, ip } = self.inside;
        self.asm.place(ethernet);
        self.need(14 + 20);
        self.asm.load_half(12);
        self.forward(14);
        self.by_type_keeping(v4, v6);
        self.asm.place(ip);
        self.need(20);
        self.asm.load_byte(0);
        self.asm.shift_right(4);
        self.asm.if_equal(4, v4);
        self.asm.if_equal(6, v6);
        self.asm.jump(self.end);
        self.asm.place(v4);
        self.need(20);
        self.v4(Layer::Inner);
        self.asm.place(v6);
        self.need(40);
        self.v6(Layer::Inner);
    }

    /// A holds an EtherType, X is at what follows it: through up to three tags and PPPoE to IP.
    fn by_type(&mut self, v4: Label, v6: Label) {
        for _ in 0..3 {
            let (tag, other) = (self.asm.label(), self.asm.label());
            self.asm.if_equal(0x0800, v4);
            self.asm.if_equal(0x86dd, v6);
            for kind in [0x8100, 0x88a8, 0x9100, 0x9200] {
                self.asm.if_equal(kind, tag);
            }
            self.asm.unless_equal(0x8864, other);
            self.asm.load_half(6);
            self.forward(8);
            self.asm.if_equal(0x0021, v4);
            self.asm.if_equal(0x0057, v6);
            self.asm.place(other);
            self.asm.jump(self.end);
            self.asm.place(tag);
            self.asm.load_half(2);
            self.forward(4);
        }
        self.asm.if_equal(0x0800, v4);
        self.asm.if_equal(0x86dd, v6);
        self.asm.jump(self.end);
    }

    /// The same within a tunnel, where one tag is enough.
    fn by_type_keeping(&mut self, v4: Label, v6: Label) {
        let tag = self.asm.label();
        self.asm.if_equal(0x0800, v4);
        self.asm.if_equal(0x86dd, v6);
        self.asm.if_equal(0x8100, tag);
        self.asm.jump(self.end);
        self.asm.place(tag);
        self.need(4 + 20);
        self.asm.load_half(2);
        self.forward(4);
        self.asm.if_equal(0x0800, v4);
        self.asm.if_equal(0x86dd, v6);
        self.asm.jump(self.end);
    }

    fn v4(&mut self, layer: Layer) {
        self.asm.load_word(12);
        self.asm.store(cell::A);
        self.asm.load_word(16);
        self.asm.store(cell::B);
        if layer == Layer::Inner {
            self.asm.jump(self.end);
            return;
        }
        // A fragment has no header of what lies above, or has it alone: all of them go by their own addresses.
        self.asm.load_half(6);
        self.asm.if_any(0x3fff, self.end);
        self.asm.load_byte(0);
        self.asm.and(15);
        self.asm.shift_left(2);
        self.asm.store(cell::TEMP);
        self.asm.load_byte(9);
        self.above(Some(cell::TEMP));
    }

    fn v6(&mut self, layer: Layer) {
        self.asm.store_x(cell::HERE);
        for (at, into) in [(8, cell::A), (24, cell::B)] {
            for word in 0..4 {
                self.asm.load_word(at + 4 * word);
                self.asm.store(cell::WORDS + word);
            }
            self.asm.a_const(self.shards.add[2]);
            for word in 0..4 {
                self.asm.load_x(cell::WORDS + word);
                self.asm.xor_x();
                self.asm.times(self.shards.times[3]);
            }
            self.asm.store(into);
            self.asm.load_x(cell::HERE);
        }
        if layer == Layer::Inner {
            self.asm.jump(self.end);
            return;
        }
        self.asm.load_byte(6);
        self.above(None);
    }

    /// A holds the protocol above the outer IP header, whose length stands in a cell (or is that of IPv6).
    fn above(&mut self, header_len: Option<u32>) {
        let (udp, gre, four, six) = (self.asm.label(), self.asm.label(), self.asm.label(), self.asm.label());
        self.asm.if_equal(17, udp);
        self.asm.if_equal(47, gre);
        self.asm.if_equal(4, four);
        self.asm.if_equal(41, six);
        self.asm.jump(self.end);
        for (label, to) in [(four, self.inside.v4), (six, self.inside.v6)] {
            self.asm.place(label);
            self.behind(header_len);
            self.asm.jump(to);
        }
        self.asm.place(gre);
        self.behind(header_len);
        self.gre();
        self.asm.place(udp);
        self.behind(header_len);
        self.udp();
    }

    /// RFC 2784 and 2890, ERSPAN I and II. Version 1 and routing are left to the decoder.
    fn gre(&mut self) {
        let (plain, erspan) = (self.asm.label(), self.asm.label());
        self.need(4);
        self.asm.load_half(0);
        self.asm.if_any(0x4007, self.end);
        // Four bytes each for checksum (0x8000), key (0x2000) and sequence (0x1000).
        self.asm.a_const(4);
        self.asm.store(cell::TEMP);
        self.asm.store_x(cell::HERE);
        for shift in [13, 11, 10] {
            self.asm.load_half(0);
            self.asm.and(4 << shift);
            self.asm.shift_right(shift);
            self.asm.load_x(cell::TEMP);
            self.asm.plus_x();
            self.asm.store(cell::TEMP);
            self.asm.load_x(cell::HERE);
        }
        self.asm.load_half(2);
        self.asm.store(cell::WORDS);
        self.asm.unless_equal(0x88be, plain);
        self.asm.load_half(0);
        self.asm.if_any(0x1000, erspan);
        self.asm.place(plain);
        self.behind(Some(cell::TEMP));
        self.asm.load(cell::WORDS);
        let Inside { ethernet, v4, v6, .. } = self.inside;
        self.asm.if_equal(0x0800, v4);
        self.asm.if_equal(0x86dd, v6);
        self.asm.if_equal(0x6558, ethernet);
        self.asm.if_equal(0x88be, ethernet);
        self.asm.jump(self.end);
        self.asm.place(erspan);
        self.behind(Some(cell::TEMP));
        self.forward(8);
        self.asm.jump(ethernet);
    }

    /// Tunnels by port, the destination's first, as the decoder does.
    fn udp(&mut self) {
        let (vxlan, geneve, gtp) = (self.asm.label(), self.asm.label(), self.asm.label());
        self.need(16);
        for at in [2, 0] {
            self.asm.load_half(at);
            self.asm.if_equal(4789, vxlan);
            self.asm.if_equal(8472, vxlan);
            self.asm.if_equal(6081, geneve);
            self.asm.if_equal(2152, gtp);
        }
        self.asm.jump(self.end);

        self.asm.place(vxlan);
        self.asm.load_byte(8);
        self.asm.if_equal(0x0c, self.end); // GPE
        self.asm.unless_any(0x08, self.end);
        self.forward(16);
        self.asm.jump(self.inside.ethernet);

        self.asm.place(geneve);
        self.asm.load_byte(8);
        self.asm.if_any(0xc0, self.end);
        self.asm.shift_left(2);
        self.asm.plus(16);
        self.asm.store(cell::TEMP);
        self.asm.load_half(10);
        self.asm.store(cell::WORDS);
        self.behind(Some(cell::TEMP));
        self.asm.load(cell::WORDS);
        self.asm.if_equal(0x6558, self.inside.ethernet);
        self.asm.if_equal(0x0800, self.inside.v4);
        self.asm.if_equal(0x86dd, self.inside.v6);
        self.asm.jump(self.end);

        self.asm.place(gtp);
        self.gtp();
    }

    /// GTP-U version 1, with up to two extension headers.
    fn gtp(&mut self) {
        let (long, extended) = (self.asm.label(), self.asm.label());
        self.asm.load_half(8);
        self.asm.and(0xe0ff);
        self.asm.unless_equal(0x20ff, self.end);
        self.asm.load_byte(8);
        self.asm.if_any(7, long);
        self.forward(16);
        self.asm.jump(self.inside.ip);
        self.asm.place(long);
        self.need(20 + 20);
        self.asm.load_byte(8);
        self.asm.if_any(4, extended);
        self.forward(20);
        self.asm.jump(self.inside.ip);
        self.asm.place(extended);
        // X stands four bytes before each extension, whose type is the last byte of what came before.
        self.forward(16);
        for _ in 0..2 {
            let more = self.asm.label();
            self.need(4 + 20);
            self.asm.load_byte(3);
            self.asm.unless_equal(0, more);
            self.forward(4);
            self.asm.jump(self.inside.ip);
            self.asm.place(more);
            self.asm.load_byte(4);
            self.asm.if_equal(0, self.end);
            self.asm.shift_left(2);
            self.asm.plus_x();
            self.asm.x_of_a();
        }
        self.need(4 + 20);
        self.asm.load_byte(3);
        self.asm.unless_equal(0, self.end);
        self.forward(4);
        self.asm.jump(self.inside.ip);
    }

    /// Goes to the end, with the addresses found so far, where less than `len` bytes are left. Loses A.
    fn need(&mut self, len: u32) {
        let enough = self.asm.label();
        self.asm.store_x(cell::HERE);
        self.asm.a_of_x();
        self.asm.plus(len);
        self.asm.x_of_a();
        self.asm.load_len();
        self.asm.if_at_least_x(enough);
        self.asm.jump(self.end);
        self.asm.place(enough);
        self.asm.load_x(cell::HERE);
    }

    /// X moves on. A stays.
    fn forward(&mut self, len: u32) {
        self.asm.store(cell::TEMP);
        self.asm.a_of_x();
        self.asm.plus(len);
        self.asm.x_of_a();
        self.asm.load(cell::TEMP);
    }

    /// X moves behind a header. Loses A.
    fn behind(&mut self, len: Option<u32>) {
        match len {
            Some(cell) => self.asm.load(cell),
            None => self.asm.a_const(40),
        }
        self.asm.plus_x();
        self.asm.x_of_a();
    }

    /// [`Shards::mix`].
    fn hash(&mut self) {
        let Shards { add, times } = self.shards;
        self.asm.load_x(cell::B);
        self.asm.load(cell::A);
        self.asm.xor_x();
        self.asm.plus(add[0]);
        self.asm.times(times[0]);
        self.asm.store(cell::TEMP);
        self.asm.load(cell::A);
        self.asm.plus_x();
        self.asm.plus(add[1]);
        self.asm.times(times[1]);
        self.asm.load_x(cell::TEMP);
        self.asm.xor_x();
        self.asm.x_of_a();
        self.asm.shift_right(16);
        self.asm.xor_x();
        self.asm.times(times[2]);
        self.asm.x_of_a();
        self.asm.shift_right(15);
        self.asm.xor_x();
        self.asm.give_a();
    }
}

#[cfg(test)]
mod tests;
