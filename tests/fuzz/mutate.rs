//! Seeded mutations: bits, bytes, numbers, pieces moved, cut, doubled and crossed.

/// Numbers at the edges of things.
const EDGES: [u32; 12] = [0, 1, 2, 0x7f, 0x80, 0xff, 0x100, 0x7fff, 0xffff, 0x1_0000, 0x7fff_ffff, u32::MAX];
/// Inputs do not grow beyond this.
const MAX_LEN: usize = 1 << 16;

/// FNV-1a: the same on every machine.
pub(crate) fn hash(bytes: &[u8]) -> u64 {
    bytes
        .iter()
        .fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3))
}

/// Makes bad input of good.
pub(crate) struct Mutator(u64);

impl Mutator {
    /// The name seeds it.
    pub(crate) fn new(name: &str) -> Self {
        Self(hash(name.as_bytes()) | 1)
    }

    fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        // The high bits are the better ones.
        (self.0 >> 11) as usize % bound.max(1)
    }

    /// One of the seeds, changed in one to eight places.
    pub(crate) fn mutate(&mut self, seeds: &[Vec<u8>]) -> Vec<u8> {
        let mut bytes = seeds[self.below(seeds.len())].clone();
        for _ in 0..=self.below(8) {
            self.change(&mut bytes, seeds);
        }
        bytes.truncate(MAX_LEN);
        bytes
    }

    fn change(&mut self, bytes: &mut Vec<u8>, seeds: &[Vec<u8>]) {
        let at = self.below(bytes.len());
        let to = (at + 1 + self.below(32)).min(bytes.len());
        let at = at.min(to);
        match self.below(10) {
            0 | 1 => self.each(bytes, at, at + 1, |random, byte| byte ^ (1 << (random % 8))),
            2 => self.each(bytes, at, at + 1, |random, _| random as u8),
            3 => self.each(bytes, at, to, |random, _| random as u8),
            4 => self.number(bytes, at),
            5 => drop(bytes.drain(at..to)),
            6 => {
                let piece = bytes[at..to].to_vec();
                let to = self.below(bytes.len() + 1);
                bytes.splice(to..to, piece);
            }
            7 => bytes.truncate(at),
            8 => {
                let edge = EDGES[self.below(EDGES.len())] as u8;
                bytes.insert(at, edge);
            }
            _ => {
                let other = &seeds[self.below(seeds.len())];
                let from = self.below(other.len());
                bytes.truncate(at);
                bytes.extend(&other[from.min(other.len())..]);
            }
        }
    }

    fn each(&mut self, bytes: &mut [u8], at: usize, to: usize, change: fn(usize, u8) -> u8) {
        for at in at..to.min(bytes.len()) {
            bytes[at] = change(self.below(256), bytes[at]);
        }
    }

    /// Writes a number of one, two or four bytes in either order over what is there.
    fn number(&mut self, bytes: &mut [u8], at: usize) {
        let edge = EDGES[self.below(EDGES.len())];
        let (big, width) = (self.below(2) == 0, 1 << self.below(3));
        let digits = if big { edge.to_be_bytes() } else { edge.to_le_bytes() };
        let digits = if big { &digits[4 - width..] } else { &digits[..width] };
        for (byte, digit) in bytes[at..].iter_mut().zip(digits) {
            *byte = *digit;
        }
    }
}
