//! The flow record: a hot part that every packet touches (one cache line with an IPv4 key) and a cold part for the rest.
//!
//! The hot part *is* what has not been told yet: 32-bit counters that are added to the 64-bit totals of the cold part
//! and cleared whenever the flow is told, or before one could overflow.

use super::follow::Follower;
use super::key::{Key, KeyV4, KeyV6, Side};
use super::sequence::Holes;
use super::starts::Starts;
use crate::decode::Path;
use crate::observe::Counts;
use crate::parse::{Facts, datagrams};
use crate::units::Timestamp;
use std::sync::Arc;

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
    /// TLS records are followed.
    pub const TLS: Self = Self(1 << 26);
    /// Side A has shown plain data and plain acknowledgements: nothing new for the history.
    pub const PLAIN: [Self; 2] = [Self(1 << 27), Self(1 << 28)];
    /// The sequence position of the side is known.
    pub const PLACED: [Self; 2] = [Self(1 << 29), Self(1 << 30)];

    const fn or(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
}

const INDEX: u32 = (1 << 22) - 1;
const UNUSUAL: Flag = Flag::DISORDER.or(Flag::NAMING).or(Flag::CLOSING);

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
    pub const fn cold(&self) -> u32 {
        self.bits & INDEX
    }

    /// The flag is set.
    pub const fn has(&self, flag: Flag) -> bool {
        self.bits & flag.0 != 0
    }

    /// Sets or clears a flag.
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

/// Totals of one direction, less what is still in the hot part.
#[derive(Clone, Copy, Default, Debug)]
pub struct ColdSide {
    /// Told or folded totals.
    pub counts: Counts,
    /// Payload + gap that the detector has been told.
    pub told: u64,
    /// Highest acknowledgement that the other side sent.
    pub acked: u32,
    /// Lowest sequence number that counts.
    pub base: u32,
    /// `base` comes from a SYN.
    pub anchored: bool,
    /// `acked` is valid.
    pub has_ack: bool,
    /// Flags of [`Seen`].
    pub seen: u8,
}

/// Bits of [`ColdSide::seen`].
#[derive(Clone, Copy, Debug)]
pub struct Seen;

impl Seen {
    /// SYN without ACK.
    pub const SYN: u8 = 1;
    /// SYN with ACK.
    pub const SYN_ACK: u8 = 2;
    /// FIN.
    pub const FIN: u8 = 4;
    /// RST.
    pub const RST: u8 = 8;
    /// Pure acknowledgement.
    pub const ACK: u8 = 16;
    /// Payload.
    pub const DATA: u8 = 32;
    /// Repeated payload.
    pub const REPEATED: u8 = 64;
    /// Missing payload.
    pub const GAP: u8 = 128;
}

/// The part of a flow that most packets do not touch.
pub struct Cold {
    /// First stamp.
    pub first: Timestamp,
    /// Number of the first frame.
    pub ordinal: u64,
    /// Last time that a summary of the open flow was written, or its start.
    pub reported: Timestamp,
    /// Totals per side.
    pub sides: [ColdSide; 2],
    /// Holes per side, boxed on first disorder.
    pub holes: [Option<Box<Holes>>; 2],
    /// Starts of both directions of a TCP flow while the parsers want them.
    pub starts: Option<Box<Starts>>,
    /// State over the datagrams of a UDP flow while the parsers want them.
    pub datagrams: Option<datagrams::Starts>,
    /// Datagrams that the parsers have seen.
    pub datagrams_seen: u8,
    /// Where the worker counts this flow while it holds starts.
    pub crowd: u16,
    /// What the parsers found.
    pub facts: Option<Arc<Facts>>,
    /// Totals at the last report of the open flow.
    pub at_report: Option<Box<[Counts; 2]>>,
    /// Order of first events, 5 bits each.
    pub history: u64,
    /// Who opened it.
    pub originator: Side,
    /// The beginning was not in the capture.
    pub midstream: bool,
    /// Initial sequence number of each side, where its SYN was seen.
    pub isn: [Option<u32>; 2],
    /// Outer facts of the first frame.
    pub path: Path,
    /// Cipher overhead per TLS record.
    pub tls_overhead: u16,
    /// Payload bytes that passed while no TLS record could be followed, up to the last time that one was found again.
    pub unfollowed: [u64; 2],
    /// Payload bytes of the side when its follower was lost last.
    pub lost_at: [u64; 2],
}

impl<K: Key> Flow<K> {
    /// Payload bytes of `side` so far.
    pub fn payload(&self, cold: &Cold, side: Side) -> u64 {
        cold.sides[side.index()].counts.payload + u64::from(self.hot.sides[side.index()].payload)
    }

    /// Payload bytes of `side` that passed while no TLS record could be followed.
    pub fn unfollowed(&self, cold: &Cold, side: Side) -> u64 {
        let i = side.index();
        let now = if self.hot.follow[i].is_lost() {
            self.payload(cold, side).saturating_sub(cold.lost_at[i])
        } else {
            0
        };
        cold.unfollowed[i] + now
    }

    /// The place among the TLS records of `side` is lost; `unknown` bytes have passed since.
    pub fn lose(&mut self, cold: &mut Cold, side: Side, unknown: u32) {
        let i = side.index();
        cold.lost_at[i] = self.payload(cold, side).saturating_sub(u64::from(unknown));
        self.hot.follow[i] = Follower::LOST;
    }

    /// Moves the untold counters to the totals.
    pub fn fold(&mut self, cold: &mut Cold) {
        for (hot, side) in self.hot.sides.iter_mut().zip(&mut cold.sides) {
            side.counts.packets += u64::from(hot.packets);
            side.counts.ip += u64::from(hot.ip);
            side.counts.wire += u64::from(hot.ip) + u64::from(hot.over);
            side.counts.payload += u64::from(hot.payload);
            (hot.packets, hot.ip, hot.over, hot.payload) = (0, 0, 0, 0);
        }
    }

    /// Bytes of `side` that are proven and were never seen. Call after [`Flow::fold`].
    pub fn gap(&self, cold: &Cold, side: Side) -> u64 {
        let i = side.index();
        let holes = cold.holes[i].as_ref().map_or(0, |h| h.missing());
        let position = self.hot.sides[i].next;
        let ahead = cold.sides[i].acked.wrapping_sub(position) as i32;
        let unseen = if cold.sides[i].has_ack && self.hot.has(Flag::PLACED[i]) && ahead > 0 {
            ahead as u64
        } else {
            0
        };
        holes + unseen
    }
}

impl Cold {
    /// The client turned out to be the other side: turns the flow round.
    pub fn turn_round(&mut self) {
        self.originator = self.originator.other();
        let mut place = 0;
        while self.history >> place != 0 && place < 60 {
            self.history ^= 16 << place;
            place += 5;
        }
    }

    /// Notes the first occurrence of an event of `side` for the history.
    pub fn note(&mut self, side: Side, bit: u8) {
        let seen = &mut self.sides[side.index()].seen;
        if *seen & bit != 0 {
            return;
        }
        *seen |= bit;
        // Five bits: the event's number + 1, and 16 for the originator.
        let code = u64::from(bit.trailing_zeros() + 1) | if side == self.originator { 16 } else { 0 };
        if self.history >> 55 == 0 {
            self.history = self.history << 5 | code;
        }
    }

    /// The history in Zeek's letters, oldest first, zero-filled.
    pub fn history_text(&self) -> [u8; 16] {
        const LETTERS: &[u8; 8] = b"SHFRADTG";
        let mut codes = self.history;
        let mut text = [0u8; 16];
        let mut used = 0;
        while codes != 0 && used < text.len() {
            let code = codes & 31;
            let letter = LETTERS[((code & 15) as usize).wrapping_sub(1) % 8];
            text[used] = if code & 16 != 0 { letter } else { letter.to_ascii_lowercase() };
            used += 1;
            codes >>= 5;
        }
        text[..used].reverse();
        text
    }
}
