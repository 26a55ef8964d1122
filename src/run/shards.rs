//! The run with several workers, one detector and one writer behind them.
//!
//! Nobody reads only: a worker that has nothing to do takes the reader, makes one chunk (reads, stamps, decodes, deals
//! the packets) and gives every worker its list of it. So the work of reading goes to whoever has time for it, and the
//! thread that calls is the first worker.

use super::endpoint::Hearing;
use super::merge::{Mark, Merge};
use super::{End, Error, Progress, Setup, write};
use crate::capture::{Batch, Source};
use crate::counters::WorkerCounters;
use crate::decode::{Neighbour, Packet};
use crate::detect::Detector;
use crate::flow::key::{Seeds, shard};
use crate::front::{Front, Sink};
use crate::observe::Told;
use crate::output::Record;
use crate::output::file::Outputs;
use crate::units::Timestamp;
use crate::worker::{Briefs, Worker};
use crossbeam_channel::{Receiver, Sender, TryRecvError, bounded};
use std::sync::{Arc, Mutex, TryLockError};
use std::thread;

/// Chunks that may wait for a worker.
const CHUNKS: usize = 8;
/// Lists of records that may wait for the writer.
const RECORDS: usize = 64;
/// A worker with nothing to tell says how far it has come once in so many chunks.
const QUIET_CHUNKS: u32 = 8;

/// What a worker does beside ordinary packets.
#[derive(Clone, Copy, Debug)]
enum Event {
    /// A packet without a short form. Its payload lies at `at..at + len` of the batch, or of the copied bytes.
    Packet { packet: Packet<'static>, at: u32, len: u32, copied: bool },
    /// A machine was seen to use an address.
    Neighbour(Neighbour),
    /// A tick.
    Tick { now: Timestamp, ordinal: u64 },
    /// The end, and what time it is then.
    End { now: Timestamp },
}

/// A batch with what each worker has to do, counted once for all of them.
#[derive(Debug, Default)]
struct Chunk {
    batch: Batch,
    deals: Vec<Deal>,
    /// Payload of packets that were put together from fragments.
    copied: Vec<u8>,
    /// Number of what happens after the last.
    next: u64,
}

/// The part of one worker.
#[derive(Clone, Debug, Default)]
struct Deal {
    briefs: Briefs,
    /// What happens between them: each after so many.
    events: Vec<(usize, Event)>,
}

/// What a worker tells the detector.
struct Message {
    worker: usize,
    told: Vec<Told>,
    /// Everything before this place has been told.
    to: Mark,
    /// The clock at the last tick.
    now: Timestamp,
}

/// Whoever holds it reads.
struct Reader<'s> {
    front: Front,
    source: &'s mut dyn Source,
    /// One for each worker; none once the source has ended.
    queues: Vec<Sender<Arc<Chunk>>>,
    /// Chunks are used again once every worker is done with them.
    used: Vec<Arc<Chunk>>,
    /// For the owner of a packet.
    owners: Seeds,
    /// For the table.
    seeds: Seeds,
}

/// Runs a source with the workers that the configuration asks for.
pub(super) fn run(mut setup: Setup, source: &mut dyn Source, progress: Progress<'_>) -> Result<End, Error> {
    let workers = setup.config.workers;
    let (tell, hear) = bounded::<Message>(setup.config.told_max.max(1));
    let (to_writer, records) = bounded::<Vec<Record>>(RECORDS);
    let woken = setup.woken()?;
    let detector = setup.hearing(woken);
    let config = setup.worker_config();
    let seed = setup.config.seed;
    let outputs = setup.outputs;
    let (queues, takes): (Vec<_>, Vec<_>) = (0..workers).map(|_| bounded(CHUNKS)).unzip();
    let reader = Mutex::new(Reader {
        front: Front::default(),
        source,
        queues,
        used: Vec::new(),
        owners: Seeds::from_seed(seed.wrapping_add(1)),
        seeds: Seeds::from_seed(seed),
    });
    let (detector, outputs, counters) = thread::scope(|scope| {
        let detecting = scope.spawn(move || detect(detector, workers, &hear, &to_writer));
        let writing = scope.spawn(move || write_all(outputs, &records));
        let mut hands = Vec::with_capacity(workers);
        let mut first = None;
        for (number, take) in takes.into_iter().enumerate() {
            let hand = Hand { number, take, tell: tell.clone(), reader: &reader };
            if number == 0 {
                first = Some(hand);
            } else {
                hands.push(scope.spawn(move || hand.work(Worker::new(config), &mut |_, _| {})));
            }
        }
        drop(tell);
        let mut counters: Vec<WorkerCounters> =
            first.into_iter().map(|hand| hand.work(Worker::new(config), progress)).collect();
        for hand in hands {
            counters.push(hand.join().map_err(|_| Error::Thread("worker"))?);
        }
        let detector = detecting.join().map_err(|_| Error::Thread("detector"))?;
        let outputs = writing.join().map_err(|_| Error::Thread("writer"))?;
        Ok::<_, Error>((detector, outputs, counters))
    })?;
    let reader = reader.into_inner().map_err(|_| Error::Thread("worker"))?;
    Ok(End::of_packets(&reader.front, counters, detector, outputs))
}

impl Reader<'_> {
    /// Makes one chunk and gives it to all, or ends the run.
    fn turn(&mut self) {
        let free = self.used.iter_mut().position(|c| Arc::get_mut(c).is_some());
        let mut arc = free.map_or_else(Arc::default, |i| self.used.swap_remove(i));
        let Some(chunk) = Arc::get_mut(&mut arc) else { return };
        chunk.clear(self.queues.len());
        if !self.source.fill(&mut chunk.batch) {
            return self.end(arc);
        }
        let base = chunk.batch.bytes.as_ptr() as usize;
        let (deals, copied) = (&mut chunk.deals, &mut chunk.copied);
        let mut sink = Dealer { deals, copied, base, owners: self.owners, seeds: self.seeds };
        self.front.batch(&chunk.batch, &mut sink);
        chunk.next = self.front.ordinal();
        self.give(&arc);
        self.used.push(arc);
    }

    /// The last of the fragments, then the end: the last word of a worker needs the clock.
    fn end(&mut self, mut arc: Arc<Chunk>) {
        if let Some(chunk) = Arc::get_mut(&mut arc) {
            let (deals, copied) = (&mut chunk.deals, &mut chunk.copied);
            let mut sink = Dealer { deals, copied, base: 0, owners: self.owners, seeds: self.seeds };
            self.front.finish(&mut sink);
            let now = self.front.now();
            sink.deals.iter_mut().for_each(|deal| deal.push(Event::End { now }));
            chunk.next = u64::MAX;
        }
        self.give(&arc);
        self.queues.clear();
    }

    fn give(&mut self, chunk: &Arc<Chunk>) {
        let dead = self.queues.iter().any(|queue| queue.send(Arc::clone(chunk)).is_err());
        if dead {
            // A worker has died; the others come to an end.
            self.queues.clear();
        }
    }
}

/// A worker's thread.
struct Hand<'r, 's> {
    number: usize,
    take: Receiver<Arc<Chunk>>,
    tell: Sender<Message>,
    reader: &'r Mutex<Reader<'s>>,
}

impl Hand<'_, '_> {
    /// Works until the source has ended.
    fn work(self, mut worker: Worker, progress: Progress<'_>) -> WorkerCounters {
        let mut clock = Timestamp::MIN;
        let mut quiet = 0;
        while let Some(chunk) = self.next(progress) {
            if let Some(deal) = chunk.deals.get(self.number) {
                clock = deal.work(&mut worker, &chunk).unwrap_or(clock);
            }
            let to = chunk.next;
            // Let the reader have the chunk back before waiting for the detector.
            drop(chunk);
            quiet += 1;
            if worker.has_told() || quiet >= QUIET_CHUNKS || to == u64::MAX {
                quiet = 0;
                if !self.say(&mut worker, (to, 0), clock) {
                    break;
                }
            }
        }
        let mut closing = worker.closing();
        while let Some(flow) = worker.close_some(&mut closing, clock, u64::MAX) {
            self.say(&mut worker, (u64::MAX, flow + 1), clock);
        }
        self.say(&mut worker, (u64::MAX, u64::MAX), clock);
        worker.counters()
    }

    /// False: nobody hears any more.
    fn say(&self, worker: &mut Worker, to: Mark, now: Timestamp) -> bool {
        self.tell.send(Message { worker: self.number, told: worker.take_told(), to, now }).is_ok()
    }

    /// The next chunk. Reads as long as there is none and nobody else does.
    fn next(&self, progress: Progress<'_>) -> Option<Arc<Chunk>> {
        loop {
            match self.take.try_recv() {
                Ok(chunk) => return Some(chunk),
                Err(TryRecvError::Disconnected) => return None,
                Err(TryRecvError::Empty) => {}
            }
            match self.reader.try_lock() {
                // Another may have read between the two looks.
                Ok(mut reader) if self.take.is_empty() => {
                    reader.turn();
                    let (done, of) = reader.source.progress();
                    progress(done, of);
                }
                Ok(_) => {}
                // Whoever reads gives a chunk to all.
                Err(TryLockError::WouldBlock) => return self.take.recv().ok(),
                Err(TryLockError::Poisoned(_)) => return None,
            }
        }
    }
}

impl Deal {
    /// Does everything in order. Gives the time of the last tick.
    fn work(&self, worker: &mut Worker, chunk: &Chunk) -> Option<Timestamp> {
        let lent = chunk.batch.lend();
        let mut clock = None;
        let mut done = 0;
        let mut packets: Vec<Packet<'_>> = Vec::new();
        for (at, event) in &self.events {
            if *at > done {
                worker.packets(&packets);
                packets.clear();
                worker.take(&self.briefs, done..*at, &lent);
                done = *at;
            }
            if let Event::Packet { packet, at, len, copied } = *event {
                let from = if copied { &chunk.copied } else { &chunk.batch.bytes };
                let payload = from.get(at as usize..(at + len) as usize).unwrap_or(&[]);
                packets.push(Packet { payload, ..packet });
                continue;
            }
            worker.packets(&packets);
            packets.clear();
            match *event {
                Event::Neighbour(seen) => worker.neighbour(&seen),
                Event::Tick { now, ordinal } => {
                    clock = Some(now);
                    worker.tick(now, ordinal);
                }
                Event::End { now } => clock = Some(now),
                Event::Packet { .. } => {}
            }
        }
        worker.packets(&packets);
        worker.take(&self.briefs, done..self.briefs.len(), &lent);
        clock
    }
}

/// The detector: hears the workers in the one order.
fn detect(
    mut detector: Hearing,
    workers: usize,
    hear: &Receiver<Message>,
    to_writer: &Sender<Vec<Record>>,
) -> Hearing {
    let mut merge = Merge::new(workers);
    let mut now = Timestamp::MIN;
    for message in hear {
        // The last word of every worker brings the reader's last time.
        now = now.max(message.now);
        merge.push(message.worker, message.told, message.to);
        while let Some(told) = merge.pop() {
            detector.observe(told);
        }
        pass_on(&mut detector, to_writer);
    }
    while let Some(told) = merge.pop_last() {
        detector.observe(told);
    }
    detector.finish(now);
    pass_on(&mut detector, to_writer);
    detector
}

fn pass_on(detector: &mut Detector, to_writer: &Sender<Vec<Record>>) {
    let records = detector.take_records();
    if !records.is_empty() {
        let _ = to_writer.send(records);
    }
}

/// The writer: formats and writes.
fn write_all(mut outputs: Outputs, records: &Receiver<Vec<Record>>) -> Outputs {
    for list in records {
        write(&mut outputs, list);
    }
    outputs
}

impl Chunk {
    fn clear(&mut self, workers: usize) {
        self.deals.resize_with(workers, Deal::default);
        for deal in &mut self.deals {
            deal.briefs.clear();
            deal.events.clear();
        }
        self.copied.clear();
        self.batch.clear();
    }
}

/// Deals packets to lists by the hash of their addresses.
struct Dealer<'d> {
    deals: &'d mut Vec<Deal>,
    copied: &'d mut Vec<u8>,
    /// Address of the batch's first byte.
    base: usize,
    owners: Seeds,
    seeds: Seeds,
}

impl Dealer<'_> {
    fn owner(&mut self, packet: &Packet<'_>) -> Option<&mut Deal> {
        let owner = shard(&packet.pair, &self.owners, self.deals.len());
        self.deals.get_mut(owner)
    }

    fn push(&mut self, packet: &Packet<'_>, at: u32, copied: bool) {
        if let Some(deal) = self.owner(packet) {
            let len = packet.payload.len() as u32;
            let event = Event::Packet { packet: packet.without_payload(), at, len, copied };
            deal.push(event);
        }
    }
}

impl Deal {
    fn push(&mut self, event: Event) {
        self.events.push((self.briefs.len(), event));
    }
}

impl<'b> Sink<'b> for Dealer<'_> {
    #[allow(clippy::inline_always)] // a packet is never written as a whole
    #[inline(always)]
    fn lean(&mut self, packet: Packet<'b>, slot: usize) {
        let (base, seeds) = (self.base, self.seeds);
        if let Some(deal) = self.owner(&packet)
            && !deal.briefs.push(&packet, slot, base, &seeds)
        {
            self.lent(packet);
        }
    }

    fn lent(&mut self, packet: Packet<'b>) {
        // The payload lies within the batch: its place there is all that has to cross.
        let at = (packet.payload.as_ptr() as usize).wrapping_sub(self.base);
        self.push(&packet, at as u32, false);
    }

    fn passing(&mut self, packet: &Packet<'_>) {
        let at = self.copied.len() as u32;
        self.copied.extend_from_slice(packet.payload);
        self.push(packet, at, true);
    }

    fn neighbour(&mut self, seen: Neighbour) {
        // It belongs to no pair of hosts: any worker may pass it on.
        if let Some(deal) = self.deals.first_mut() {
            deal.push(Event::Neighbour(seen));
        }
    }

    fn tick(&mut self, now: Timestamp, ordinal: u64) {
        for deal in &mut *self.deals {
            deal.push(Event::Tick { now, ordinal });
        }
    }
}
