//! The cold half of a flow: one cache line for what every flow has, and a box for what few have.

use super::follow::{Followed, Follower};
use super::key::{Key, Side};
use super::record::{Flag, Flow, Hot};
use super::sequence::Holes;
use super::starts::Starts;
use super::uploads::{self, Bursts, Glance};
use crate::decode::Path;
use crate::observe::Counts;
use crate::parse::{Facts, datagrams};
use crate::units::Timestamp;
use std::collections::HashMap;
use std::sync::Arc;

/// Totals of one direction, less what is still in the hot part: what a counter here cannot hold is in [`More`].
#[derive(Clone, Copy, Default, Debug)]
pub struct ColdSide {
    /// Bytes of the innermost IP packets.
    ip: u32,
    /// Payload that has been told.
    payload: u32,
    /// Lowest sequence number that counts.
    pub base: u32,
    /// Frames.
    packets: u16,
    /// Wire bytes less IP bytes.
    over: u16,
}

/// Bits of what [`Cold::seen()`] gives.
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

/// The part of a flow that most packets do not touch: one cache line too.
pub struct Cold {
    /// First stamp.
    pub first: Timestamp,
    /// Number of the first frame (48 bits) and of the path (16 bits).
    numbers: u64,
    /// What few flows have.
    more: Option<Box<More>>,
    /// Totals per side.
    pub sides: [ColdSide; 2],
    /// Order of the first eight events, four bits each.
    history: u32,
    /// Flags of [`Seen`] per side.
    seen: [u8; 2],
    /// See [`Known`].
    bits: u8,
    /// Who opened it.
    pub originator: Side,
}

const _: () = assert!(size_of::<Cold>() == 64);
const _: () = assert!(size_of::<Option<Cold>>() == 64);

/// Bits of [`Cold::bits`].
struct Known;

impl Known {
    /// [`ColdSide::base`] comes from a SYN.
    const ANCHORED: [u8; 2] = [1, 2];
    /// The SYN of the side was seen.
    const ISN: [u8; 2] = [4, 8];
    /// The beginning was not in the capture.
    const MIDSTREAM: u8 = 16;
    /// Datagrams that the parsers have seen: the upper three bits.
    const DATAGRAM: u8 = 32;
}

/// Datagrams that a flow can count for the parsers.
pub const DATAGRAMS_MAX: u8 = 7;
/// Paths that are known by a number; see [`Paths`].
const NO_PATH: u16 = u16::MAX;
const ORDINAL_BITS: u32 = 48;

/// What few flows have: those with a name, with holes, with more traffic than small counters hold.
#[derive(Default)]
pub struct More {
    /// What the small counters could not hold, retransmissions, gaps told and application bytes, per side.
    spill: [Counts; 2],
    /// Payload and gap told, less the payload told: a gap that was told and has been filled since stays told.
    told_beyond: [u64; 2],
    /// Highest acknowledgement that the other side sent beyond what was seen.
    pub acked: [Option<u32>; 2],
    /// Initial sequence numbers of sides whose lowest sequence number is no longer the one behind it.
    isn: [Option<u32>; 2],
    /// Holes per side, boxed on first disorder.
    pub holes: [Option<Box<Holes>>; 2],
    /// Starts of both directions of a TCP flow while the parsers want them.
    pub starts: Option<Box<Starts>>,
    /// State over the datagrams of a UDP flow while the parsers want them.
    pub datagrams: Option<datagrams::Starts>,
    /// Where the worker counts this flow while it holds starts.
    pub crowd: u16,
    /// What the parsers found.
    pub facts: Option<Arc<Facts>>,
    /// When the open flow was reported last, and its totals then.
    pub reported: Option<(Timestamp, [Counts; 2])>,
    /// Order of the ninth and later events, four bits each.
    history: u32,
    /// Outer facts of the first frame, where they have no number.
    path: Option<Path>,
    /// Cipher overhead per TLS record.
    pub tls_overhead: u16,
    /// Payload bytes that passed while no TLS record could be followed, up to the last time that one was found again.
    pub unfollowed: [u64; 2],
    /// Payload bytes of the side when its follower was lost last.
    pub lost_at: [u64; 2],
    /// Application bytes and payload of the client at the last answer, until something was uploaded.
    pub answered_at: [u32; 2],
    /// Uploads of the client.
    pub bursts: Option<Box<Bursts>>,
}

/// The outer facts of flows by number: few paths lead through one tap.
#[derive(Default, Debug)]
pub struct Paths {
    list: Vec<Path>,
    numbers: HashMap<Path, u16, foldhash::fast::RandomState>,
    /// The newest, since flows come in runs from the same path.
    last: Option<(Path, u16)>,
}

impl Paths {
    /// The number of a path, if there is one left.
    fn number(&mut self, path: &Path) -> Option<u16> {
        if let Some((last, number)) = &self.last
            && last == path
        {
            return Some(*number);
        }
        let number = match self.numbers.get(path) {
            Some(number) => *number,
            None => {
                let number = u16::try_from(self.list.len()).ok().filter(|n| *n != NO_PATH)?;
                self.list.push(*path);
                self.numbers.insert(*path, number);
                number
            }
        };
        self.last = Some((*path, number));
        Some(number)
    }
}

impl<K: Key> Flow<K> {
    /// Payload bytes of `side` so far.
    pub fn payload(&self, cold: &Cold, side: Side) -> u64 {
        cold.payload_told(side) + u64::from(self.hot.sides[side.index()].payload)
    }

    /// Totals of `side`, its gap excepted. Call after [`Flow::fold`].
    pub fn counts(&self, cold: &Cold, side: Side) -> Counts {
        let i = side.index();
        let spill = cold.more.as_ref().map_or(Counts::default(), |more| more.spill[i]);
        let small = &cold.sides[i];
        let ip = spill.ip + u64::from(small.ip);
        Counts {
            packets: spill.packets + u64::from(small.packets),
            // What is spilled is less the IP bytes too.
            wire: spill.wire.wrapping_add(u64::from(small.over)).wrapping_add(ip),
            ip,
            payload: self.payload(cold, side),
            ..spill
        }
    }

    /// Payload and gap of `side` that have not been told. Call after [`Flow::fold`].
    pub fn untold(&self, cold: &Cold, side: Side) -> u64 {
        let i = side.index();
        let all = u64::from(self.hot.sides[i].payload) + self.gap(cold, side);
        all.saturating_sub(cold.more.as_ref().map_or(0, |more| more.told_beyond[i]))
    }

    /// Takes what has not been told of `side`: it counts as told from here on. Call after [`Flow::fold`].
    pub fn tell(&mut self, cold: &mut Cold, side: Side) -> u64 {
        let i = side.index();
        let (new, gap) = (self.untold(cold, side), self.gap(cold, side));
        let payload = std::mem::take(&mut self.hot.sides[i].payload);
        // A hole that was told as a gap and filled later must not count twice: the level only rises.
        let before = cold.more.as_ref().map_or(0, |more| more.told_beyond[i]);
        let beyond = gap.max(before.saturating_sub(u64::from(payload)));
        if beyond != before {
            cold.more().told_beyond[i] = beyond;
        }
        cold.add_payload(side, payload);
        new
    }

    /// Payload bytes of `side` that passed while no TLS record could be followed.
    pub fn unfollowed(&self, cold: &Cold, side: Side) -> u64 {
        let (i, more) = (side.index(), cold.more.as_deref());
        let now = if self.hot.follow[i].is_lost() {
            self.payload(cold, side).saturating_sub(more.map_or(0, |more| more.lost_at[i]))
        } else {
            0
        };
        more.map_or(0, |more| more.unfollowed[i]) + now
    }

    /// The place among the TLS records of `side` is lost; `unknown` bytes have passed since.
    pub fn lose(&mut self, cold: &mut Cold, side: Side, unknown: u32) {
        let i = side.index();
        cold.more().lost_at[i] = self.payload(cold, side).saturating_sub(u64::from(unknown));
        self.hot.follow[i] = Follower::LOST;
    }

    /// Moves the untold counters to the totals, except the payload, which waits until it is told.
    pub fn fold(&mut self, cold: &mut Cold) {
        for side in [Side::A, Side::B] {
            let hot = &mut self.hot.sides[side.index()];
            let (packets, ip, over) = (hot.packets, hot.ip, hot.over);
            (hot.packets, hot.ip, hot.over) = (0, 0, 0);
            cold.add(side, u32::from(packets), ip, i64::from(over));
        }
    }

    /// Bytes of `side` that are proven and were never seen.
    pub fn gap(&self, cold: &Cold, side: Side) -> u64 {
        let Some(more) = cold.more.as_deref() else { return 0 };
        let i = side.index();
        let holes = more.holes[i].as_ref().map_or(0, |h| h.missing());
        let position = self.hot.sides[i].next;
        let ahead = more.acked[i].map_or(0, |acked| acked.wrapping_sub(position) as i32);
        let unseen = if self.hot.has(Flag::PLACED[i]) && ahead > 0 { ahead as u64 } else { 0 };
        holes + unseen
    }
}

impl Cold {
    /// The cold half of a flow that begins now.
    pub fn new(
        first: Timestamp,
        ordinal: u64,
        originator: Side,
        midstream: bool,
        path: &Path,
        paths: &mut Paths,
    ) -> Self {
        let number = paths.number(path);
        let mut cold = Self {
            first,
            numbers: ordinal | u64::from(number.unwrap_or(NO_PATH)) << ORDINAL_BITS,
            more: None,
            sides: [ColdSide::default(); 2],
            history: 0,
            seen: [0; 2],
            bits: if midstream { Known::MIDSTREAM } else { 0 },
            originator,
        };
        if number.is_none() {
            cold.more().path = Some(*path);
        }
        cold
    }

    /// Number of the first frame.
    pub const fn ordinal(&self) -> u64 {
        self.numbers & ((1 << ORDINAL_BITS) - 1)
    }

    /// Outer facts of the first frame.
    pub fn path(&self, paths: &Paths) -> Path {
        let numbered = paths.list.get((self.numbers >> ORDINAL_BITS) as usize);
        let own = self.more.as_ref().and_then(|more| more.path);
        own.or(numbered.copied()).unwrap_or_default()
    }

    /// What few flows have, made on first use.
    pub fn more(&mut self) -> &mut More {
        self.more.get_or_insert_default()
    }

    /// What few flows have, if this one has any of it.
    pub fn has_more(&self) -> Option<&More> {
        self.more.as_deref()
    }

    /// The same, to be changed.
    pub fn has_more_mut(&mut self) -> Option<&mut More> {
        self.more.as_deref_mut()
    }

    /// What the parsers found.
    pub fn facts(&self) -> Option<&Arc<Facts>> {
        self.more.as_ref()?.facts.as_ref()
    }

    /// Starts of a TCP flow that the parsers want.
    pub fn starts(&self) -> Option<&Starts> {
        self.more.as_ref()?.starts.as_deref()
    }

    /// The same, to be added to.
    pub fn starts_mut(&mut self) -> Option<&mut Starts> {
        self.more.as_mut()?.starts.as_deref_mut()
    }

    /// What the parsers keep of the datagrams of a UDP flow.
    pub fn datagrams_mut(&mut self) -> Option<&mut datagrams::Starts> {
        self.more.as_mut()?.datagrams.as_mut()
    }

    /// The parsers hold bytes of the flow.
    pub fn holds_starts(&self) -> bool {
        self.more.as_ref().is_some_and(|more| more.starts.is_some() || more.datagrams.is_some())
    }

    /// Lets go of [`More`] where nothing is in it any more.
    pub fn tidy(&mut self) {
        if self.more.as_deref().is_some_and(More::is_empty) {
            self.more = None;
        }
    }

    /// Counts frames and bytes. `over`: wire bytes less IP bytes.
    pub fn add(&mut self, side: Side, packets: u32, ip: u32, over: i64) {
        let i = side.index();
        let small = &mut self.sides[i];
        let sums = (
            u16::try_from(u32::from(small.packets) + packets),
            small.ip.checked_add(ip),
            u16::try_from(i64::from(small.over) + over),
        );
        if let (Ok(packets), Some(ip), Ok(over)) = sums {
            (small.packets, small.ip, small.over) = (packets, ip, over);
            return;
        }
        let old = std::mem::replace(small, ColdSide { packets: 0, ip: 0, over: 0, ..*small });
        let spill = &mut self.more().spill[i];
        spill.packets += u64::from(old.packets) + u64::from(packets);
        spill.ip += u64::from(old.ip) + u64::from(ip);
        // Wire bytes less IP bytes; fewer than none only in frames that contradict themselves.
        spill.wire = spill.wire.wrapping_add_signed(i64::from(old.over) + over);
    }

    fn add_payload(&mut self, side: Side, payload: u32) {
        let i = side.index();
        if let Some(sum) = self.sides[i].payload.checked_add(payload) {
            self.sides[i].payload = sum;
        } else {
            let old = std::mem::take(&mut self.sides[i].payload);
            self.more().spill[i].payload += u64::from(old) + u64::from(payload);
        }
    }

    /// Counts payload that was seen before.
    pub fn add_retransmitted(&mut self, side: Side, bytes: u32) {
        self.more().spill[side.index()].retransmitted += u64::from(bytes);
    }

    /// Counts application bytes of TLS.
    pub fn add_app(&mut self, side: Side, bytes: u32) {
        if bytes > 0 {
            self.more().spill[side.index()].app += u64::from(bytes);
        }
    }

    /// Application bytes of TLS of `side`.
    pub fn app(&self, side: Side) -> u64 {
        self.more.as_ref().map_or(0, |more| more.spill[side.index()].app)
    }

    /// Books what a segment on the short way showed of TLS records, whose lengths are with what the cipher
    /// adds, and of uploads.
    pub fn booked(&mut self, hot: &Hot, side: Side, done: Followed, ack: u32) {
        self.add_records(side, done.app, done.records);
        let overhead = self.has_more().map_or(0, |more| u32::from(more.tls_overhead));
        let followed = done.records > 0;
        let largest = if followed { done.largest.saturating_sub(overhead) } else { done.largest };
        uploads::glance(hot, self, Glance { side, largest, followed, ack: Some(ack) });
    }

    /// Counts so many TLS records that hold `bytes` together, with what the cipher adds.
    #[inline]
    pub fn add_records(&mut self, side: Side, bytes: u32, records: u32) {
        // Who follows records has a hello, and so the box.
        if let Some(more) = self.more.as_deref_mut() {
            let overhead = records * u32::from(more.tls_overhead);
            more.spill[side.index()].app += u64::from(bytes.saturating_sub(overhead));
        }
    }

    /// Frames of `side` that have been folded.
    pub fn packets(&self, side: Side) -> u64 {
        let i = side.index();
        u64::from(self.sides[i].packets) + self.more.as_ref().map_or(0, |more| more.spill[i].packets)
    }

    /// Payload of `side` that has been told.
    pub fn payload_told(&self, side: Side) -> u64 {
        let i = side.index();
        u64::from(self.sides[i].payload) + self.more.as_ref().map_or(0, |more| more.spill[i].payload)
    }

    /// The beginning was not in the capture.
    pub const fn midstream(&self) -> bool {
        self.bits & Known::MIDSTREAM != 0
    }

    /// The lowest sequence number of `side` comes from a SYN.
    pub const fn anchored(&self, side: Side) -> bool {
        self.bits & Known::ANCHORED[side.index()] != 0
    }

    /// Initial sequence number of `side`, where its SYN was seen.
    pub fn isn(&self, side: Side) -> Option<u32> {
        let i = side.index();
        if self.bits & Known::ISN[i] == 0 {
            return None;
        }
        let moved = self.more.as_ref().and_then(|more| more.isn[i]);
        Some(moved.unwrap_or(self.sides[i].base.wrapping_sub(1)))
    }

    /// The SYN of `side` was seen: its data begin behind it.
    pub fn anchor(&mut self, side: Side, isn: u32) {
        let i = side.index();
        self.bits |= Known::ANCHORED[i] | Known::ISN[i];
        self.sides[i].base = isn.wrapping_add(1);
        if let Some(more) = &mut self.more {
            (more.isn[i], more.acked[i]) = (None, None);
        }
    }

    /// Sets the lowest sequence number of `side`.
    pub fn set_base(&mut self, side: Side, base: u32) {
        let i = side.index();
        if self.sides[i].base != base
            && let Some(isn) = self.isn(side)
        {
            self.more().isn[i] = Some(isn);
        }
        self.sides[i].base = base;
    }

    /// Flags of [`Seen`] of one side.
    pub const fn seen(&self, side: Side) -> u8 {
        self.seen[side.index()]
    }

    /// One more datagram that told nothing to the parsers. Gives their number, [`DATAGRAMS_MAX`] at most.
    pub fn count_datagram(&mut self) -> u8 {
        if self.datagrams_seen() < DATAGRAMS_MAX {
            self.bits += Known::DATAGRAM;
        }
        self.datagrams_seen()
    }

    /// Datagrams that told nothing to the parsers.
    pub const fn datagrams_seen(&self) -> u8 {
        self.bits / Known::DATAGRAM
    }

    /// The client turned out to be the other side: turns the flow round.
    pub fn turn_round(&mut self) {
        self.originator = self.originator.other();
        for event in 0..self.events() {
            self.set_code(event, self.code(event) ^ 8);
        }
    }

    /// Number of events noted.
    fn events(&self) -> u32 {
        (self.seen[0].count_ones() + self.seen[1].count_ones()).min(EVENTS_MAX)
    }

    fn code(&self, event: u32) -> u32 {
        match event {
            0..8 => self.history >> (4 * event) & 15,
            _ => self.more.as_ref().map_or(0, |more| more.history) >> (4 * (event - 8)) & 15,
        }
    }

    fn set_code(&mut self, event: u32, code: u32) {
        let (word, event) =
            if event < 8 { (&mut self.history, event) } else { (&mut self.more().history, event - 8) };
        *word = *word & !(15 << (4 * event)) | code << (4 * event);
    }

    /// Notes the first occurrence of an event of `side` for the history.
    pub fn note(&mut self, side: Side, bit: u8) {
        if self.seen(side) & bit != 0 {
            return;
        }
        let event = self.seen[0].count_ones() + self.seen[1].count_ones();
        self.seen[side.index()] |= bit;
        if event < EVENTS_MAX {
            let code = bit.trailing_zeros() | if side == self.originator { 8 } else { 0 };
            self.set_code(event, code);
        }
    }

    /// The history in Zeek's letters, oldest first, zero-filled.
    pub fn history_text(&self) -> [u8; 16] {
        const LETTERS: &[u8; 8] = b"SHFRADTG";
        let mut text = [0u8; 16];
        for (event, place) in (0..self.events()).zip(&mut text) {
            let code = self.code(event);
            let letter = LETTERS[(code & 7) as usize];
            *place = if code & 8 != 0 { letter } else { letter.to_ascii_lowercase() };
        }
        text
    }
}

/// Events that a history tells.
const EVENTS_MAX: u32 = 12;

impl More {
    /// Nothing is in it that the flow would miss.
    fn is_empty(&self) -> bool {
        self.spill == [Counts::default(); 2]
            && self.told_beyond == [0; 2]
            && (self.acked, self.isn) == ([None; 2], [None; 2])
            && self.holes.iter().all(Option::is_none)
            && self.starts.is_none()
            && self.datagrams.is_none()
            && self.facts.is_none()
            && self.reported.is_none()
            && self.history == 0
            && self.path.is_none()
            && self.tls_overhead == 0
            && (self.unfollowed, self.lost_at, self.answered_at) == ([0; 2], [0; 2], [0; 2])
            && self.bursts.is_none()
    }
}
