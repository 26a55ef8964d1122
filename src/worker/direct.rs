//! From the front straight into one worker, in the same thread: everything, or its share.

use super::{Briefs, Worker};
use crate::capture::{Lent, Slot};
use crate::decode::{Neighbour, Packet, Pair};
use crate::flow::key::{Seeds, shard};
use crate::front::Sink;
use crate::units::Timestamp;

/// Packets handed to the worker at a time: few enough to stay in the second cache, and so many that the first block of
/// them, which is asked for late, does not count.
const HANDED: usize = 512;

/// The part of the traffic that is a worker's: the packets whose two innermost hosts are dealt to it.
#[derive(Clone, Copy, Debug)]
pub struct Share {
    /// Which worker.
    pub number: usize,
    /// How many there are.
    pub of: usize,
    /// Of the hash by which hosts are dealt.
    pub seeds: Seeds,
}

impl Share {
    #[inline]
    pub(super) fn has(&self, pair: &Pair) -> bool {
        shard(pair, &self.seeds, self.of) == self.number
    }
}

/// Takes what the front gives of one batch. Call [`Direct::finish`] at its end.
pub struct Direct<'w, 'b> {
    worker: &'w mut Worker,
    lent: Lent<'b>,
    briefs: Briefs,
    /// Packets that took the long way through the decoder. Only one of the two lists ever holds any, so that order is kept.
    packets: Vec<Packet<'b>>,
}

impl<'w, 'b> Direct<'w, 'b> {
    /// For the batch that is lent.
    pub fn new(worker: &'w mut Worker, lent: Lent<'b>) -> Self {
        let mut briefs = std::mem::replace(&mut worker.briefs, Briefs::new(worker.seeds));
        briefs.reserve(HANDED);
        Self { worker, lent, briefs, packets: Vec::new() }
    }

    /// For the batch that is lent, of which only a share is taken.
    pub fn of(worker: &'w mut Worker, lent: Lent<'b>, share: Share) -> Self {
        let mut direct = Self::new(worker, lent);
        direct.briefs.share = Some(share);
        direct
    }

    #[inline]
    fn is_ours(&self, pair: &Pair) -> bool {
        self.briefs.share.is_none_or(|share| share.has(pair))
    }

    /// Works on what is left, and gives the memory back.
    pub fn finish(mut self) {
        self.hand_over();
        self.worker.briefs = self.briefs;
    }

    /// Works on what has been gathered.
    pub fn hand_over(&mut self) {
        self.worker.take(&self.briefs, &self.lent);
        self.briefs.clear();
        self.worker.packets(&self.packets);
        self.packets.clear();
    }
}

impl<'b> Sink<'b> for Direct<'_, 'b> {
    #[inline]
    fn ordinary(&mut self, batch: &Lent<'b>, nth: usize, slot: &Slot, now: Timestamp, ordinal: u64) -> bool {
        if !self.packets.is_empty() || self.briefs.len() >= HANDED {
            self.hand_over();
        }
        if self.briefs.is_empty() {
            self.briefs.begin(ordinal, nth);
        }
        self.briefs.push(batch.frame_bytes(slot), slot, nth as u32, now)
    }

    fn lent(&mut self, packet: Packet<'b>) {
        if !self.is_ours(&packet.pair) {
            return;
        }
        if !self.briefs.is_empty() || self.packets.len() >= HANDED {
            self.hand_over();
        }
        self.packets.push(packet);
    }

    fn passing(&mut self, packet: &Packet<'_>) {
        // It has a number of its own, whoever it is for: those of the short forms do not go on behind it.
        self.hand_over();
        if self.is_ours(&packet.pair) {
            self.worker.packets(std::slice::from_ref(packet));
        }
    }

    fn neighbour(&mut self, seen: Neighbour) {
        // It belongs to no pair of hosts: any worker may pass it on.
        if self.briefs.share.is_some_and(|share| share.number != 0) {
            return;
        }
        self.hand_over();
        self.worker.neighbour(&seen);
    }

    fn tick(&mut self, now: Timestamp, ordinal: u64) {
        self.hand_over();
        self.worker.tick(now, ordinal);
    }
}
