//! From the front straight into one worker, in the same thread.

use super::{Briefs, Worker};
use crate::capture::Lent;
use crate::decode::{Neighbour, Packet};
use crate::front::Sink;
use crate::units::Timestamp;

/// Packets handed to the worker at a time: few enough to stay in the second cache, and so many that the first block of
/// them, which is asked for late, does not count.
const HANDED: usize = 512;

/// Takes what the front gives of one batch. Call [`Direct::finish`] at its end.
pub struct Direct<'w, 'b> {
    worker: &'w mut Worker,
    lent: Lent<'b>,
    briefs: Briefs,
    /// Packets that have no short form. Only one of the two lists ever holds any, so that order is kept.
    packets: Vec<Packet<'b>>,
}

impl<'w, 'b> Direct<'w, 'b> {
    /// For the batch that is lent.
    pub fn new(worker: &'w mut Worker, lent: Lent<'b>) -> Self {
        let mut briefs = std::mem::take(&mut worker.briefs);
        briefs.reserve(HANDED);
        Self { worker, lent, briefs, packets: Vec::new() }
    }

    /// Works on what is left, and gives the memory back.
    pub fn finish(mut self) {
        self.hand_over();
        self.worker.briefs = self.briefs;
    }

    fn hand_over(&mut self) {
        self.worker.take(&self.briefs, 0..self.briefs.len(), &self.lent);
        self.briefs.clear();
        self.worker.packets(&self.packets);
        self.packets.clear();
    }
}

impl<'b> Sink<'b> for Direct<'_, 'b> {
    #[allow(clippy::inline_always)] // a packet is never written as a whole
    #[inline(always)]
    fn lean(&mut self, packet: Packet<'b>, slot: usize) {
        if !self.packets.is_empty() || self.briefs.len() >= HANDED {
            self.hand_over();
        }
        let base = self.lent.bytes.as_ptr() as usize;
        if !self.briefs.push(&packet, slot, base, &self.worker.seeds) {
            self.lent(packet);
        }
    }

    fn lent(&mut self, packet: Packet<'b>) {
        if !self.briefs.is_empty() || self.packets.len() >= HANDED {
            self.hand_over();
        }
        self.packets.push(packet);
    }

    fn passing(&mut self, packet: &Packet<'_>) {
        self.hand_over();
        self.worker.packets(std::slice::from_ref(packet));
    }

    fn neighbour(&mut self, seen: Neighbour) {
        self.hand_over();
        self.worker.neighbour(&seen);
    }

    fn tick(&mut self, now: Timestamp, ordinal: u64) {
        self.hand_over();
        self.worker.tick(now, ordinal);
    }
}
