//! A live worker's thread: rings → front → worker → tellings, without a pause and without anybody else's memory.

use super::backlog::Backlog;
use super::{BEAT, Counts, Message};
use crate::capture::live::{Notice, Tap};
use crate::capture::{Lent, Slot};
use crate::decode::{self, Neighbour, Packet, Pair};
use crate::front::{Front, Sink};
use crate::net::Nets;
use crate::observe::Told;
use crate::shard::Shards;
use crate::units::{Span, Timestamp};
use crate::worker::{Direct, Worker, WorkerConfig};
use crossbeam_channel::{Receiver, Sender, TrySendError};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// How often counters are read from the kernel and told.
const COUNT_EVERY: Duration = Duration::from_millis(500);
/// How long the rings are emptied after the end has been asked for, at most.
const DRAIN: Duration = Duration::from_secs(60);
/// Tellings in a message at the end.
const LAST: usize = 4_096;
/// Packets given to the worker at a time.
const BATCH: usize = 256;

/// No frames.
const NOTHING: Lent<'static> = Lent { bytes: &[], slots: &[] };

/// A packet that belongs to another worker, with its payload.
pub(super) struct Handed {
    packet: Packet<'static>,
    payload: Box<[u8]>,
}

/// All that a station has to do with the rest of the run.
pub(super) struct Reach<'r> {
    pub(super) number: usize,
    pub(super) shards: Shards,
    /// Every station's door, ours included.
    pub(super) others: Vec<Sender<Handed>>,
    pub(super) tell: Sender<Message>,
    pub(super) show: Sender<Notice>,
    pub(super) stop: &'r AtomicBool,
    /// Frames taken by all.
    pub(super) taken: &'r AtomicU64,
    /// How many are to be taken by all.
    pub(super) limit: Option<u64>,
    /// A frame may come this much later than its stamp says.
    pub(super) lag: Span,
}

/// See the module.
pub(super) struct Station<'r> {
    tap: Tap,
    front: Front,
    worker: Worker,
    reach: Reach<'r>,
    backlog: Backlog,
    /// When the last block came, and what the clock was then.
    heard: Option<(Instant, Timestamp)>,
    told_at: Instant,
    counted_at: Instant,
    channel_max: u64,
    handing: Handing,
}

/// Counters of what was handed over.
#[derive(Default)]
struct Handing {
    handed: u64,
    misplaced: u64,
}

impl<'r> Station<'r> {
    pub(super) fn new(config: WorkerConfig, tap: Tap, reach: Reach<'r>, home: Nets) -> Self {
        let now = Instant::now();
        Self {
            tap,
            front: Front::default(),
            worker: Worker::new(config),
            reach,
            backlog: Backlog::new(home),
            heard: None,
            told_at: now,
            counted_at: now,
            channel_max: 0,
            handing: Handing::default(),
        }
    }

    /// Works until the end is asked for, then empties the rings, and closes every flow.
    pub(super) fn work(mut self, handed: &Receiver<Handed>) -> Counts {
        while !self.reach.stop.load(Ordering::Relaxed) {
            if self.turn(handed) > 0 {
                continue;
            }
            if self.backlog.is_full() {
                std::thread::sleep(Duration::from_millis(1));
            } else if !self.tap.wait(BEAT) {
                self.quiet();
            }
        }
        self.tap.stop();
        self.drain(handed);
        self.close(handed)
    }

    /// One block of each interface. Gives their number.
    fn turn(&mut self, handed: &Receiver<Handed>) -> usize {
        let read = if self.backlog.is_full() { 0 } else { self.read() };
        if read > 0 {
            self.heard = Some((Instant::now(), self.front.now()));
        } else {
            let show = &self.reach.show;
            self.tap.look_after(&mut |notice| drop(show.try_send(notice)));
        }
        for packet in handed.try_iter().take(BATCH) {
            self.take_in(&packet);
        }
        self.tell();
        read
    }

    fn read(&mut self) -> usize {
        let Self { tap, front, worker, reach, handing, .. } = self;
        tap.read(|lent| {
            let lent = Lent { slots: within_limit(lent, reach), ..lent };
            let mut sink = Dealing { direct: Direct::new(worker, lent), reach, handing };
            front.lent(lent, &mut sink);
            sink.direct.finish();
        })
    }

    /// A quiet wire: time passes all the same. No frame to come can have an earlier stamp than this.
    fn quiet(&mut self) {
        let Some((at, clock)) = self.heard else { return };
        let passed = Span::from_nanos(i64::try_from(at.elapsed().as_nanos()).unwrap_or(i64::MAX));
        let lag = Span::from_nanos(passed.nanos().saturating_sub(self.reach.lag.nanos()));
        let Self { front, worker, reach, handing, .. } = self;
        let mut sink = Dealing { direct: Direct::new(worker, NOTHING), reach, handing };
        front.idle(clock.plus(lag), &mut sink);
        sink.direct.finish();
    }

    /// A packet that another worker handed over.
    fn take_in(&mut self, handed: &Handed) {
        if self.heard.is_none() {
            // No frame of our own yet: the clock starts with the other's.
            let Self { front, worker, reach, handing, .. } = self;
            let mut sink = Dealing { direct: Direct::new(worker, NOTHING), reach, handing };
            front.idle(handed.packet.now, &mut sink);
            self.heard = Some((Instant::now(), self.front.now()));
        }
        let (now, ordinal) = (self.front.now(), self.front.take_number());
        let packet = Packet { payload: &handed.payload, now, ordinal, ..handed.packet };
        self.worker.packets(std::slice::from_ref(&packet));
    }

    /// Sends what there is to tell, or the time, as far as the detector takes it.
    fn tell(&mut self) {
        if self.worker.has_told() {
            self.backlog.add(self.worker.take_told());
        }
        let now = Instant::now();
        let counts = now.duration_since(self.counted_at) >= COUNT_EVERY;
        if self.backlog.is_empty() && !counts && now.duration_since(self.told_at) < BEAT {
            return;
        }
        let counts = counts.then(|| {
            self.counted_at = now;
            Box::new(self.counts())
        });
        self.channel_max = self.channel_max.max(self.reach.tell.len() as u64);
        let message = Message { counts, ..self.message() };
        match self.reach.tell.try_send(message) {
            Ok(()) => self.told_at = now,
            // The detector is gone only when something is very wrong; its thread's end says so.
            Err(TrySendError::Full(message) | TrySendError::Disconnected(message)) => {
                self.backlog.put_back(message.told, message.sums);
            }
        }
    }

    fn message(&mut self) -> Message {
        let mark = (self.front.now() > Timestamp::MIN).then(|| self.front.now());
        Message {
            worker: self.reach.number,
            told: self.backlog.take(),
            mark,
            counts: None,
            sums: self.backlog.take_sums(),
        }
    }

    /// Empties the rings: what was taken in before the end comes within the retire time of a block.
    fn drain(&mut self, handed: &Receiver<Handed>) {
        let began = Instant::now();
        let last_block = Duration::from_nanos(self.reach.lag.nanos().unsigned_abs()) * 2;
        let mut quiet = Instant::now();
        while quiet.elapsed() < last_block && began.elapsed() < DRAIN {
            if self.turn(handed) > 0 {
                quiet = Instant::now();
            } else {
                self.tap.wait(BEAT);
            }
        }
    }

    /// The end: what others still hand over, then every flow, then the last word to the detector.
    fn close(mut self, handed: &Receiver<Handed>) -> Counts {
        self.reach.others.clear();
        for packet in handed {
            self.take_in(&packet);
            if self.worker.has_told() {
                self.backlog.add(self.worker.take_told());
            }
        }
        let Self { front, worker, reach, handing, .. } = &mut self;
        let mut sink = Dealing { direct: Direct::new(worker, NOTHING), reach, handing };
        front.finish(&mut sink);
        sink.direct.finish();
        let now = self.front.now();
        self.worker.finish(now, u64::MAX);
        let counts = self.counts();
        // Nothing can be lost any more by waiting: nothing is thinned.
        let mut left = self.backlog.take();
        left.extend(self.worker.take_told());
        let mut left = left.into_iter();
        loop {
            let told: Vec<Told> = left.by_ref().take(LAST).collect();
            let last = told.len() < LAST;
            let mark = last.then_some(Timestamp::MAX).or((now > Timestamp::MIN).then_some(now));
            let message = Message { told, mark, ..self.message() };
            if self.reach.tell.send(message).is_err() || last {
                return counts;
            }
        }
    }

    fn counts(&mut self) -> Counts {
        let kernel = self.tap.counters();
        let mut front = self.front.counters();
        front.kernel_frames = kernel.frames;
        front.kernel_drops = kernel.drops;
        front.freezes = kernel.freezes;
        let mut worker = self.worker.counters();
        worker.thinned = self.backlog.thinned();
        worker.channel_max = self.channel_max;
        worker.handed = self.handing.handed;
        worker.misplaced = self.handing.misplaced;
        Counts { front, worker, span: self.front.span(), now: self.front.now() }
    }
}

/// The frames of a block that may still be taken, where their number is limited; ends the run with the last.
fn within_limit<'b>(lent: Lent<'b>, reach: &Reach<'_>) -> &'b [Slot] {
    let Some(limit) = reach.limit else { return lent.slots };
    let before = reach.taken.fetch_add(lent.slots.len() as u64, Ordering::Relaxed);
    let left = usize::try_from(limit.saturating_sub(before)).unwrap_or(usize::MAX);
    if lent.slots.len() >= left {
        reach.stop.store(true, Ordering::Relaxed);
    }
    lent.slots.get(..left.min(lent.slots.len())).unwrap_or(lent.slots)
}

/// Gives packets to the worker, or to the one they belong to.
struct Dealing<'s, 'r, 'b> {
    direct: Direct<'s, 'b>,
    reach: &'s Reach<'r>,
    handing: &'s mut Handing,
}

impl Dealing<'_, '_, '_> {
    fn is_ours(&self, pair: &Pair) -> bool {
        self.reach.shards.owner(pair, self.reach.others.len()) == self.reach.number
    }

    /// True: another worker has it now.
    fn is_elsewhere(&mut self, packet: &Packet<'_>) -> bool {
        let workers = self.reach.others.len();
        if workers < 2 {
            return false;
        }
        let owner = self.reach.shards.owner(&packet.pair, workers);
        if owner == self.reach.number {
            return false;
        }
        let Some(door) = self.reach.others.get(owner) else { return false };
        let handed = Handed { packet: packet.without_payload(), payload: packet.payload.into() };
        let taken = door.try_send(handed).is_ok();
        if taken {
            self.handing.handed += 1;
        } else {
            // Better in the wrong table than lost.
            self.handing.misplaced += 1;
        }
        taken
    }
}

impl<'b> Sink<'b> for Dealing<'_, '_, 'b> {
    fn ordinary(&mut self, batch: &Lent<'b>, nth: usize, slot: &Slot, now: Timestamp, ordinal: u64) -> bool {
        if self.reach.others.len() < 2 {
            return self.direct.ordinary(batch, nth, slot, now, ordinal);
        }
        let bytes = batch.frame_bytes(slot);
        let lean = decode::facts(slot.link, bytes, slot.wire_len);
        let ours = lean.map(|lean| self.is_ours(&lean.pair));
        match ours {
            Some(true) => self.direct.ordinary(batch, nth, slot, now, ordinal),
            Some(false) => {
                let packet = decode::ordinary(&batch.frame(slot, now, ordinal));
                packet.into_iter().for_each(|packet| self.lent(packet));
                true
            }
            None => false,
        }
    }

    fn lent(&mut self, packet: Packet<'b>) {
        if !self.is_elsewhere(&packet) {
            self.direct.lent(packet);
        }
    }

    fn passing(&mut self, packet: &Packet<'_>) {
        if self.is_elsewhere(packet) {
            // It had a number all the same.
            self.direct.hand_over();
        } else {
            self.direct.passing(packet);
        }
    }

    fn neighbour(&mut self, seen: Neighbour) {
        self.direct.neighbour(seen);
    }

    fn tick(&mut self, now: Timestamp, ordinal: u64) {
        self.direct.tick(now, ordinal);
    }
}
