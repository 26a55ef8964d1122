//! IP fragments put together again, within bounds.
//!
//! A fragment waits here until its datagram is whole; then the datagram is decoded and comes out as one packet that
//! stands for all its frames, whichever came first. What never becomes whole comes out too, when it is too old or has
//! to make room, if its first piece (the one with the ports) was seen: its bytes were on the wire and belong to that
//! flow. Frames of datagrams without a first piece belong to no flow and stay counted as held.

use crate::decode::{self, Decoded, Fragment, Pair};
use crate::units::{Span, Timestamp};
use std::collections::VecDeque;

/// The largest datagram (RFC 791; a fragment reaching beyond it is an attack or an accident).
const MAX_DATAGRAM: u32 = 65_535;
/// Pieces of one datagram that are kept; a datagram in the smallest pieces that links make has under 1,400.
const MAX_PIECES: usize = 2_048;
/// Fragments within reassembled fragments that are followed.
const MAX_NESTING: u8 = 4;

/// What the table may hold.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Datagrams that wait at the same time.
    pub datagrams: usize,
    /// Bytes kept for all of them.
    pub bytes: usize,
    /// Time after the first piece at which a datagram is given up.
    pub age: Span,
}

impl Default for Limits {
    fn default() -> Self {
        Self { datagrams: 4_096, bytes: 8 << 20, age: Span::from_secs(60) }
    }
}

/// What happened so far, in frames except where said otherwise.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct Tally {
    /// Fragments that came in.
    pub seen: u64,
    /// Fragments that wait, or waited in vain because their first piece never came.
    pub held: u64,
    /// Datagrams put together.
    pub whole: u64,
    /// Datagrams given up by age or at the end.
    pub expired: u64,
    /// Datagrams given up to make room.
    pub evicted: u64,
    /// Fragments that repeat or contradict bytes already there.
    pub overlapping: u64,
    /// Fragments that reach beyond the largest datagram.
    pub oversize: u64,
}

/// Which pieces belong together. Without the VLAN: on real taps it differs by direction and by path.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
struct Key {
    pair: Pair,
    id: u32,
    protocol: u8,
}

/// Where a piece lies in its datagram and in the bytes kept.
#[derive(Clone, Copy, Debug)]
struct Part {
    /// Offset in the datagram.
    offset: u32,
    /// Length by the header.
    len: u32,
    /// First byte in `Waiting::bytes`.
    start: u32,
    /// Bytes kept: fewer than `len` where the capture is cut.
    kept: u32,
}

/// A datagram that is not whole yet.
#[derive(Debug)]
struct Waiting {
    serial: u64,
    born: Timestamp,
    since: Timestamp,
    head: Option<Fragment<'static>>,
    total: Option<u32>,
    parts: Vec<Part>,
    bytes: Vec<u8>,
    /// Sum of the lengths of `parts`: below `total` nothing can be whole.
    covered: u32,
    frames: u32,
    wire_len: u32,
    ip_len: u32,
}

/// The bounded table of datagrams that are not whole yet.
#[derive(Debug)]
pub struct Fragments {
    limits: Limits,
    table: hashbrown::HashMap<Key, Waiting, foldhash::fast::RandomState>,
    /// Keys by age. An entry whose serial is not that of the table's has been dealt with.
    queue: VecDeque<(Key, u64)>,
    serial: u64,
    bytes: usize,
    scratch: Vec<u8>,
    tally: Tally,
}

impl Default for Fragments {
    fn default() -> Self {
        Self::new(Limits::default())
    }
}

impl Fragments {
    /// An empty table.
    pub fn new(limits: Limits) -> Self {
        Self {
            limits,
            table: hashbrown::HashMap::default(),
            queue: VecDeque::new(),
            serial: 0,
            bytes: 0,
            scratch: Vec::new(),
            tally: Tally::default(),
        }
    }

    /// Takes a fragment in. Whatever it completes, replaces or pushes out goes to `give` with the number of frames it
    /// stands for: a packet to book, or a skip to count.
    pub fn push(&mut self, fragment: &Fragment<'_>, give: &mut dyn FnMut(u32, Decoded<'_>)) {
        self.tally.seen += u64::from(fragment.frames);
        self.take(fragment, give, 0);
    }

    /// Gives up what has waited too long, oldest first.
    pub fn expire(&mut self, now: Timestamp, give: &mut dyn FnMut(u32, Decoded<'_>)) {
        while let Some(&(key, serial)) = self.queue.front() {
            let live = self.table.get(&key).filter(|w| w.serial == serial);
            if live.is_some_and(|w| now.since(w.born) <= self.limits.age) {
                break;
            }
            let live = live.is_some();
            self.queue.pop_front();
            if live {
                self.tally.expired += 1;
                self.finish(key, give, 0);
            }
        }
    }

    /// Gives up everything: the end of the run.
    pub fn drain(&mut self, give: &mut dyn FnMut(u32, Decoded<'_>)) {
        while let Some((key, serial)) = self.queue.pop_front() {
            if self.table.get(&key).is_some_and(|w| w.serial == serial) {
                self.tally.expired += 1;
                self.finish(key, give, 0);
            }
        }
    }

    /// The counters.
    pub const fn tally(&self) -> Tally {
        self.tally
    }

    /// Datagrams that wait.
    pub fn len(&self) -> usize {
        self.table.len()
    }

    /// True when nothing waits.
    pub fn is_empty(&self) -> bool {
        self.table.is_empty()
    }

    fn take(&mut self, f: &Fragment<'_>, give: &mut dyn FnMut(u32, Decoded<'_>), nesting: u8) {
        let end = u64::from(f.offset) + u64::from(f.payload_len);
        if end > u64::from(MAX_DATAGRAM) || nesting > MAX_NESTING {
            self.tally.oversize += u64::from(f.frames);
            give(f.frames, Decoded::Skip(decode::Skip::Malformed));
            return;
        }
        let key = Key { pair: f.pair, id: f.id, protocol: f.protocol };
        if self.table.get(&key).is_some_and(|w| f.now.since(w.born) > self.limits.age) {
            self.tally.expired += 1;
            self.finish(key, give, nesting);
        }
        self.tally.held += u64::from(f.frames);
        let serial = self.serial;
        let waiting = self.table.entry(key).or_insert_with(|| Waiting::new(f, serial));
        let fresh = waiting.serial == serial && waiting.frames == 0;
        let before = waiting.bytes.len();
        if !waiting.add(f) {
            self.tally.overlapping += u64::from(f.frames);
        }
        self.bytes += waiting.bytes.len() - before;
        let whole = waiting.is_whole();
        if fresh {
            self.serial += 1;
            self.queue.push_back((key, serial));
            self.tidy_queue();
        }
        if whole {
            self.tally.whole += 1;
            self.finish(key, give, nesting);
        } else {
            self.make_room(give);
        }
    }

    /// Evicts the oldest until the table is within its limits.
    fn make_room(&mut self, give: &mut dyn FnMut(u32, Decoded<'_>)) {
        while self.table.len() > self.limits.datagrams || self.bytes > self.limits.bytes {
            let Some((key, serial)) = self.queue.pop_front() else { return };
            if self.table.get(&key).is_some_and(|w| w.serial == serial) {
                self.tally.evicted += 1;
                self.finish(key, give, MAX_NESTING);
            }
        }
    }

    /// Drops dealt-with entries once they are the larger part, so that the queue stays in proportion to the table.
    fn tidy_queue(&mut self) {
        if self.queue.len() > 64 + 2 * self.table.len() {
            let table = &self.table;
            self.queue.retain(|(key, serial)| table.get(key).is_some_and(|w| w.serial == *serial));
        }
    }

    /// Takes a datagram out, as far as it has come, and decodes it.
    fn finish(&mut self, key: Key, give: &mut dyn FnMut(u32, Decoded<'_>), nesting: u8) {
        let Some(waiting) = self.table.remove(&key) else { return };
        self.bytes -= waiting.bytes.len();
        let Some(mut head) = waiting.head else { return };
        self.tally.held -= u64::from(waiting.frames);
        let mut datagram = std::mem::take(&mut self.scratch);
        waiting.assemble(&mut datagram);
        head.payload_len = match waiting.total {
            Some(total) if waiting.is_whole() => total,
            _ => waiting.seen(),
        };
        match decode::resume(&head, &datagram, waiting.ip_len, waiting.wire_len) {
            Decoded::Packet(packet) => {
                let packet = decode::Packet { frames: waiting.frames, since: waiting.since, ..packet };
                give(waiting.frames, Decoded::Packet(packet));
            }
            Decoded::Fragment(inner) => {
                let inner = Fragment { frames: waiting.frames, since: waiting.since, ..inner };
                self.take(&inner, give, nesting + 1);
            }
            skip @ Decoded::Skip(_) => give(waiting.frames, skip),
        }
        self.scratch = datagram;
    }
}

impl Waiting {
    fn new(f: &Fragment<'_>, serial: u64) -> Self {
        Self {
            serial,
            born: f.now,
            since: f.since,
            head: None,
            total: None,
            parts: Vec::new(),
            bytes: Vec::new(),
            covered: 0,
            frames: 0,
            wire_len: 0,
            ip_len: 0,
        }
    }

    /// Books a fragment, and keeps its bytes unless they are there already. False if they were, all or some.
    fn add(&mut self, f: &Fragment<'_>) -> bool {
        self.frames = self.frames.saturating_add(f.frames);
        self.wire_len = self.wire_len.saturating_add(f.wire_len);
        self.ip_len = self.ip_len.saturating_add(f.ip_len);
        self.since = self.since.min(f.since);
        if f.offset == 0 && self.head.is_none() {
            self.head = Some(facts(f));
        }
        if let Some(head) = &mut self.head {
            // The packet counts when its last frame comes.
            (head.at, head.now, head.ordinal) = (head.at.max(f.at), f.now, f.ordinal);
        }
        let end = f.offset + f.payload_len;
        if !f.more && self.total.is_none() {
            self.total = Some(end);
        }
        let at = self.parts.partition_point(|p| p.offset <= f.offset);
        let before = at.checked_sub(1).and_then(|i| self.parts.get(i)).map_or(0, Part::end);
        let after = self.parts.get(at).map_or(u32::MAX, |p| p.offset);
        if end <= before && f.payload_len > 0 {
            return false;
        }
        if self.parts.len() < MAX_PIECES {
            let part = Part {
                offset: f.offset,
                len: f.payload_len,
                start: self.bytes.len() as u32,
                kept: f.payload.len() as u32,
            };
            self.bytes.extend_from_slice(f.payload);
            self.parts.insert(at, part);
            self.covered = self.covered.saturating_add(f.payload_len);
        }
        before <= f.offset && end <= after
    }

    fn is_whole(&self) -> bool {
        let Some(total) = self.total else { return false };
        if self.head.is_none() || self.covered < total {
            return false;
        }
        let mut end = 0;
        for part in &self.parts {
            if part.offset > end {
                return false;
            }
            end = end.max(part.end());
        }
        end >= total
    }

    /// Bytes of the datagram that were seen, by the headers.
    fn seen(&self) -> u32 {
        let (mut seen, mut end) = (0, 0);
        for part in &self.parts {
            seen += part.end().saturating_sub(end.max(part.offset));
            end = end.max(part.end());
        }
        seen
    }

    /// Copies what is there from the start up to the first byte that is not. Where pieces overlap, the one that begins
    /// first wins, as in TShark.
    fn assemble(&self, datagram: &mut Vec<u8>) {
        datagram.clear();
        let limit = self.total.unwrap_or(u32::MAX) as usize;
        for part in &self.parts {
            let Some(known) = datagram.len().checked_sub(part.offset as usize) else { break };
            let kept = self.bytes.get(part.start as usize..).and_then(|b| b.get(..part.kept as usize));
            let fresh = kept.and_then(|b| b.get(known..)).unwrap_or(&[]);
            let room = limit.saturating_sub(datagram.len());
            datagram.extend_from_slice(fresh.get(..room).unwrap_or(fresh));
        }
    }
}

impl Part {
    const fn end(&self) -> u32 {
        self.offset + self.len
    }
}

/// A fragment without its bytes.
const fn facts(f: &Fragment<'_>) -> Fragment<'static> {
    Fragment {
        pair: f.pair,
        id: f.id,
        protocol: f.protocol,
        offset: f.offset,
        more: f.more,
        payload: &[],
        payload_len: f.payload_len,
        ip_len: f.ip_len,
        wire_len: f.wire_len,
        at: f.at,
        since: f.since,
        frames: f.frames,
        now: f.now,
        ordinal: f.ordinal,
        ttl: f.ttl,
        path: f.path,
    }
}
