//! The front: batch → clock → decode → fragments → packets, in frame order. One for each merged stream.
//!
//! Whoever takes the packets is a [`Sink`]: the one worker that runs inline, or lists for several.

use crate::capture::{Batch, Frame, Lent, Slot};
use crate::clock::Clock;
use crate::counters::FrontCounters;
use crate::decode::{self, Decoded, Neighbour, Packet, Skip};
use crate::flow::fragments::Fragments;
use crate::flow::prefetch::prefetch;
use crate::units::Timestamp;

/// How many frames ahead the bytes are asked for.
const AHEAD: usize = 24;

/// Takes what the front gives, in order.
pub trait Sink<'b> {
    /// Frame `nth` of the batch, which it lies in as `slot` says: takes it if it is an ordinary one that
    /// [`decode::lean`] can read. False: the front walks it.
    #[inline]
    fn ordinary(&mut self, batch: &Lent<'b>, nth: usize, slot: &Slot, now: Timestamp, ordinal: u64) -> bool {
        let _ = nth;
        let packet = decode::ordinary(&batch.frame(slot, now, ordinal));
        let taken = packet.is_some();
        packet.into_iter().for_each(|packet| self.lent(packet));
        taken
    }
    /// A packet whose bytes lie in the batch.
    fn lent(&mut self, packet: Packet<'b>);
    /// A packet put together from fragments: its bytes are gone after the call.
    fn passing(&mut self, packet: &Packet<'_>);
    /// A machine was seen to use an address. Whoever keeps no such thing need not.
    fn neighbour(&mut self, seen: Neighbour) {
        let _ = seen;
    }
    /// The clock has passed a second. `ordinal`: place in the order of all frames and ticks.
    fn tick(&mut self, now: Timestamp, ordinal: u64);
}

/// See the module.
#[derive(Debug, Default)]
pub struct Front {
    clock: Clock,
    fragments: Fragments,
    counters: FrontCounters,
    /// Number of the next thing that happens. Each packet and tick has its own, so that the order of what they cause
    /// is the same on any number of workers.
    next: u64,
    /// The clock at the first frame.
    first: Option<Timestamp>,
}

impl Front {
    /// Passes the frames of a batch on.
    pub fn batch<'b>(&mut self, batch: &'b Batch, sink: &mut impl Sink<'b>) {
        self.lent(batch.lend(), sink);
    }

    /// Passes on the frames in any piece of memory.
    pub fn lent<'b>(&mut self, batch: Lent<'b>, sink: &mut impl Sink<'b>) {
        let (mut bytes, mut ordinary) = (0, 0);
        for (i, slot) in batch.slots.iter().enumerate() {
            if let Some(next) = batch.slots.get(i + AHEAD)
                && let Some(byte) = batch.bytes.get(next.offset as usize)
            {
                prefetch(byte);
            }
            let now = if self.clock.step(slot.at) { slot.at } else { self.advance(slot.at, sink) };
            let ordinal = number(&mut self.next);
            bytes += u64::from(slot.wire_len);
            if sink.ordinary(&batch, i, slot, now, ordinal) {
                ordinary += 1;
            } else {
                self.walk(&batch.frame(slot, now, ordinal), sink);
            }
        }
        self.counters.frames += batch.slots.len() as u64;
        self.counters.bytes += bytes;
        self.counters.decoded += ordinary;
        if let Some(slot) = batch.slots.first() {
            self.first.get_or_insert(slot.at);
        }
    }

    /// A stamp that the clock does not simply follow.
    #[cold]
    fn advance<'b>(&mut self, at: Timestamp, sink: &mut impl Sink<'b>) -> Timestamp {
        let now = self.clock.advance(at);
        if let Some(second) = self.clock.ticks_due() {
            self.tick(second, sink);
        }
        now
    }

    /// A frame that is not an ordinary one.
    #[inline(never)]
    fn walk<'b>(&mut self, frame: &Frame<'b>, sink: &mut impl Sink<'b>) {
        match decode::walk(frame) {
            Decoded::Packet(packet) => {
                self.counters.decoded += 1;
                sink.lent(packet);
            }
            Decoded::Skip(why) => {
                skip(&mut self.counters, why as usize, 1);
                if matches!(why, Skip::Arp | Skip::Icmp)
                    && let Some(seen) = decode::neighbour(frame)
                {
                    sink.neighbour(seen);
                }
            }
            Decoded::Fragment(fragment) => {
                let (counters, next) = (&mut self.counters, &mut self.next);
                self.fragments
                    .push(&fragment, &mut |n, decoded| pass(counters, next, sink, n, decoded, frame.now));
            }
        }
    }

    /// Lets time pass without frames, as it does on a quiet wire. Never past the stamp of a frame to come.
    pub fn idle<'b>(&mut self, now: Timestamp, sink: &mut impl Sink<'b>) {
        if now <= self.clock.now() {
            return;
        }
        self.clock.advance(now);
        if let Some(second) = self.clock.ticks_due() {
            self.tick(second, sink);
        }
    }

    /// The end of the input: fragments that still wait are given as far as they can be.
    pub fn finish<'b>(&mut self, sink: &mut impl Sink<'b>) {
        let (now, counters, next) = (self.clock.now(), &mut self.counters, &mut self.next);
        self.fragments.drain(&mut |n, decoded| pass(counters, next, sink, n, decoded, now));
    }

    /// What was counted so far.
    pub fn counters(&self) -> FrontCounters {
        FrontCounters {
            time_back: self.clock.time_back(),
            time_jump: self.clock.time_jump(),
            fragments_held: self.fragments.tally().held,
            ..self.counters.clone()
        }
    }

    /// The clock.
    pub fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// Takes a number for something that comes from elsewhere.
    pub fn take_number(&mut self) -> u64 {
        number(&mut self.next)
    }

    /// Number of the next thing that happens.
    pub fn ordinal(&self) -> u64 {
        self.next
    }

    /// The clock at the first frame and now. Not the lowest and highest stamp: one wild stamp would stretch it, and
    /// how frames come in batches must not matter.
    pub fn span(&self) -> Option<(Timestamp, Timestamp)> {
        Some((self.first?, self.now()))
    }

    fn tick<'b>(&mut self, second: Timestamp, sink: &mut impl Sink<'b>) {
        let (counters, next) = (&mut self.counters, &mut self.next);
        self.fragments.expire(second, &mut |n, decoded| pass(counters, next, sink, n, decoded, second));
        sink.tick(second, number(next));
    }
}

/// Takes the next number.
fn number(next: &mut u64) -> u64 {
    let number = *next;
    *next += 1;
    number
}

/// What the fragments gave: `frames` of them in one.
fn pass<'b>(
    counters: &mut FrontCounters,
    next: &mut u64,
    sink: &mut impl Sink<'b>,
    frames: u32,
    decoded: Decoded<'_>,
    now: Timestamp,
) {
    match decoded {
        Decoded::Packet(packet) => {
            counters.decoded += u64::from(frames);
            // It is told where it became known: places in the order of tellings must not go back.
            sink.passing(&Packet { now, ordinal: number(next), ..packet });
        }
        Decoded::Skip(why) => skip(counters, why as usize, u64::from(frames)),
        // A fragment of an inner layer that still waits is held, and counted so by the table.
        Decoded::Fragment(_) => {}
    }
}

fn skip(counters: &mut FrontCounters, why: usize, frames: u64) {
    if let Some(n) = counters.skipped.get_mut(why) {
        *n += frames;
    }
}
