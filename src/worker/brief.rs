//! The short form of an ordinary packet: one cache line, without a lifetime, made once where the frame is decoded.
//!
//! It holds what a packet that is simply next in order has to be booked with. Whoever needs more reads the frame again.

use super::short::{Step, Way, follow, plain};
use super::{AHEAD, AnyKey, Context, Share, Worker};
use crate::capture::{Lent, Slot};
use crate::decode::{self, Lean, Packet, Pair, Take};
use crate::flow::key::{Key, KeyV4, KeyV6, Seeds};
use crate::flow::table::{Spot, Table};
use crate::units::Timestamp;

/// See the module.
#[derive(Clone, Copy, Debug)]
struct Brief {
    /// Hash of the key.
    hash: u64,
    /// The key, for IPv4; the place of the key in [`Briefs::wide`] otherwise.
    key: [u64; 2],
    /// The pipeline's clock.
    now: Timestamp,
    step: Step,
    /// The frame within its batch.
    slot: u32,
}

const _: () = assert!(size_of::<Brief>() == 64);

/// Packets in their short form, in order, of one batch. Nothing else that has a number happens between them.
#[derive(Clone, Debug)]
pub struct Briefs {
    list: Vec<Brief>,
    /// The keys that are too long for a [`Brief`].
    wide: Vec<KeyV6>,
    /// What the number of a packet is more than that of its slot.
    numbers: u64,
    seeds: Seeds,
    /// What is taken; all if there is none.
    pub(super) share: Option<Share>,
}

impl Briefs {
    /// For tables with these seeds.
    pub fn new(seeds: Seeds) -> Self {
        Self { list: Vec::new(), wide: Vec::new(), numbers: 0, seeds, share: None }
    }

    /// Number of packets.
    pub fn len(&self) -> usize {
        self.list.len()
    }

    /// No packet.
    pub fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    /// Room for so many packets, whatever their addresses.
    pub fn reserve(&mut self, packets: usize) {
        self.list.reserve(packets);
        self.wide.reserve(packets);
    }

    /// Forgets the packets, keeps the memory.
    pub fn clear(&mut self) {
        self.list.clear();
        self.wide.clear();
    }

    /// The next packet has this number and lies in slot `nth`.
    pub fn begin(&mut self, ordinal: u64, nth: usize) {
        self.numbers = ordinal.wrapping_sub(nth as u64);
    }

    /// Takes the packet of a frame, which lies in slot `nth`, if it is an ordinary one; what is another's share is passed
    /// by. False: it is no ordinary one. Not inlined: what it holds needs all registers there are.
    #[inline(never)]
    pub fn push(&mut self, bytes: &[u8], slot: &Slot, nth: u32, now: Timestamp) -> bool {
        decode::lean(slot.link, bytes, slot.wire_len, Keep { briefs: self, slot, nth, now }).is_some()
    }
}

/// Keeps the short form of a packet.
struct Keep<'k> {
    briefs: &'k mut Briefs,
    slot: &'k Slot,
    nth: u32,
    now: Timestamp,
}

impl Take for Keep<'_> {
    type Out = ();

    #[allow(clippy::inline_always)] // see `Take`
    #[inline(always)]
    fn take(self, lean: Lean) {
        let Keep { briefs, slot, nth, now } = self;
        if briefs.share.is_some_and(|share| !share.has(&lean.pair)) {
            return;
        }
        let step = Step::of_lean(&lean, slot);
        match lean.pair {
            Pair::V4 { src, dst } => {
                let (key, side) = KeyV4::sorted(src, dst, lean.ports, lean.transport);
                let (hash, key, step) = (key.hash(&briefs.seeds), key.words(), step.by(side));
                briefs.list.push(Brief { hash, key, now, step, slot: nth });
            }
            Pair::V6 { src, dst } => {
                let (key, side) = KeyV6::sorted(src, dst, lean.ports, lean.transport);
                let (hash, step) = (key.hash(&briefs.seeds), step.by(side).with_wide_key());
                briefs.list.push(Brief { hash, key: [briefs.wide.len() as u64, 0], now, step, slot: nth });
                briefs.wide.push(key);
            }
        }
    }
}

impl Brief {
    const fn v4(&self) -> KeyV4 {
        KeyV4::of(self.key)
    }

    /// The captured payload.
    fn payload<'b>(&self, lent: &Lent<'b>) -> &'b [u8] {
        let Some(slot) = lent.slots.get(self.slot as usize) else { return &[] };
        let (at, end) =
            (slot.offset as usize + self.step.payload_at(), slot.offset as usize + slot.captured as usize);
        lent.bytes.get(at..end.min(at + self.step.payload_len() as usize)).unwrap_or(&[])
    }

    /// The whole packet, read again from its frame.
    fn packet<'b>(&self, lent: &Lent<'b>, numbers: u64) -> Option<Packet<'b>> {
        let slot = lent.slots.get(self.slot as usize)?;
        let ordinal = numbers.wrapping_add(u64::from(self.slot));
        decode::ordinary(&lent.frame(slot, self.now, ordinal))
    }
}

impl Worker {
    /// Takes packets in their short form, in the order of their frames. `lent`: the batch that they were made of.
    pub fn take(&mut self, briefs: &Briefs, lent: &Lent<'_>) {
        let list = &*briefs.list;
        let (mut here, mut next) = ([Spot::NONE; AHEAD], [Spot::NONE; AHEAD]);
        let mut blocks = list.chunks(AHEAD);
        self.touch(list.get(..2 * AHEAD).unwrap_or(list));
        self.ask_for(blocks.next().unwrap_or(&[]), &mut next);
        for (i, block) in list.chunks(AHEAD).enumerate() {
            std::mem::swap(&mut here, &mut next);
            self.touch(list.get((i + 2) * AHEAD..).map_or(&[], |rest| rest.get(..AHEAD).unwrap_or(rest)));
            self.ask_for(blocks.next().unwrap_or(&[]), &mut next);
            self.look_ahead(block, &briefs.wide);
            for (brief, &spot) in block.iter().zip(&here) {
                if brief.step.is_wide() {
                    if let Some(&key) = briefs.wide.get(brief.key[0] as usize) {
                        self.context.brief(&mut self.v6, key, spot, brief, briefs.numbers, lent);
                    }
                } else {
                    self.context.brief(&mut self.v4, brief.v4(), spot, brief, briefs.numbers, lent);
                }
            }
            if let Some(last) = block.last() {
                self.make_room(last.now, briefs.numbers.wrapping_add(u64::from(last.slot)));
            }
        }
    }

    /// First step: begins to load where the flows are looked up.
    fn touch(&mut self, block: &[Brief]) {
        let mut found = 0;
        for brief in block {
            let wide = brief.step.is_wide();
            let there = if wide { self.v6.touch(brief.hash) } else { self.v4.touch(brief.hash) };
            found += usize::from(there);
        }
        self.context.touched = self.context.touched.wrapping_add(found);
    }

    /// Second step: begins to load the flows.
    fn ask_for(&self, block: &[Brief], spots: &mut [Spot; AHEAD]) {
        for (brief, spot) in block.iter().zip(spots) {
            let wide = brief.step.is_wide();
            *spot = if wide { self.v6.prefetch(brief.hash) } else { self.v4.prefetch(brief.hash) };
        }
    }

    /// Once in [`AHEAD`] packets. When many of the last ones needed the cold halves, the next ones will: asks for
    /// those too.
    fn look_ahead(&mut self, next: &[Brief], wide: &[KeyV6]) {
        if self.context.long_ways * 8 >= AHEAD {
            for brief in next {
                let side = brief.step.side();
                if !brief.step.is_wide() {
                    self.v4.prefetch_cold(brief.hash, &brief.v4(), side);
                } else if let Some(key) = wide.get(brief.key[0] as usize) {
                    self.v6.prefetch_cold(brief.hash, key, side);
                }
            }
        }
        self.context.long_ways = 0;
    }
}

impl Context {
    #[inline]
    fn brief<K: Key + Into<AnyKey>>(
        &mut self,
        table: &mut Table<K>,
        key: K,
        spot: Spot,
        brief: &Brief,
        numbers: u64,
        lent: &Lent<'_>,
    ) {
        if let Some(flow) = table.find_near(spot, brief.hash, &key) {
            match plain(flow, &brief.step) {
                Way::Short => return,
                Way::Follow => {
                    if follow(table, brief.hash, &key, &brief.step, brief.payload(lent)) {
                        return;
                    }
                }
                Way::Long => {}
            }
        }
        self.long_ways += 1;
        if let Some(packet) = brief.packet(lent, numbers) {
            self.packet(table, key, brief.step.side(), brief.hash, &packet);
        }
    }
}
