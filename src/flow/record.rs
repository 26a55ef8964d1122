//! The flow record: a hot part that every packet touches (one cache line with an IPv4 key) and a cold part for the rest.
//!
//! The hot part *is* what has not been told yet: 32-bit counters that are added to the 64-bit totals of the cold part
//! and cleared whenever the flow is told, or before one could overflow.

use super::follow::Follower;
use super::key::{KeyV4, KeyV6, Side};
use crate::units::Timestamp;

pub use super::cold::{Cold, ColdSide, DATAGRAMS_MAX, More, Paths, Seen};

/// Untold counters and sequence position of one direction.
#[derive(Clone, Copy, Default, Debug)]
#[repr(C)]
pub struct HotSide {
    /// IP bytes.
    pub ip: u32,
    /// New payload bytes.
    pub payload: u32,
    /// Next sequence number expected.
    pub next: u32,
    /// Frames.
    pub packets: u16,
    /// Wire bytes less IP bytes.
    pub over: u16,
}

/// What every packet touches beside the key.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub struct Hot {
    /// Newest stamp.
    pub last: Timestamp,
    /// Per direction.
    pub sides: [HotSide; 2],
    /// TLS record followers.
    pub follow: [Follower; 2],
    /// Index of the cold part (22 bits) and flags (10 bits).
    bits: u32,
}

/// A flow as the table keeps it.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub struct Flow<K> {
    /// Both ends.
    pub key: K,
    /// The rest.
    pub hot: Hot,
}

const _: () = assert!(size_of::<Hot>() == 48);
const _: () = assert!(size_of::<Flow<KeyV4>>() == 64);
const _: () = assert!(size_of::<Flow<KeyV6>>() <= 128);

/// States in which a packet needs more than the hot part.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Flag(u32);

impl Flag {
    /// Something is out of order or missing.
    pub const DISORDER: Self = Self(1 << 22);
    /// The parsers still want bytes.
    pub const NAMING: Self = Self(1 << 23);
    /// FIN or RST has been seen.
    pub const CLOSING: Self = Self(1 << 24);
    /// Waits in the queue of flows to be told within a second.
    pub const QUEUED: Self = Self(1 << 25);
    /// TLS records are followed, or datagrams of QUIC.
    pub const TLS: Self = Self(1 << 26);
    /// Side A has shown plain data and plain acknowledgements: nothing new for the history.
    pub const PLAIN: [Self; 2] = [Self(1 << 27), Self(1 << 28)];
    /// The sequence position of the side is known.
    pub const PLACED: [Self; 2] = [Self(1 << 29), Self(1 << 30)];

    /// Its packets come twice: each has to be looked at.
    pub const DOUBLED: Self = Self(1 << 31);

    #[inline]
    const fn or(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
}

const INDEX: u32 = (1 << 22) - 1;
const UNUSUAL: Flag = Flag::DISORDER.or(Flag::NAMING).or(Flag::CLOSING).or(Flag::DOUBLED);

/// Most flows that one worker can hold (22 bits of index).
pub const MAX_FLOWS: usize = INDEX as usize;

impl Hot {
    /// A flow that begins at `at`.
    pub fn new(at: Timestamp, cold: u32) -> Self {
        Self {
            last: at,
            sides: [HotSide::default(); 2],
            follow: [Follower::LOST; 2],
            bits: (cold & INDEX) | Flag::NAMING.0,
        }
    }

    /// Index of the cold part.
    #[inline]
    pub const fn cold(&self) -> u32 {
        self.bits & INDEX
    }

    /// The flag is set.
    #[inline]
    pub const fn has(&self, flag: Flag) -> bool {
        self.bits & flag.0 != 0
    }

    /// Sets or clears a flag.
    #[inline]
    pub fn set(&mut self, flag: Flag, on: bool) {
        if on {
            self.bits |= flag.0;
        } else {
            self.bits &= !flag.0;
        }
    }

    /// All is in order, both positions are known, and nothing is new for the history of `side`.
    #[inline]
    pub const fn is_plain(&self, side: Side) -> bool {
        let wanted = Flag::PLACED[0].or(Flag::PLACED[1]).or(Flag::PLAIN[side.index()]).0;
        self.bits & (UNUSUAL.0 | wanted) == wanted
    }
}
