//! The run with several workers: one reader in front of them, one detector and one writer behind.

use super::endpoint::Hearing;
use super::merge::Merge;
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
use crate::worker::Worker;
use crossbeam_channel::{Receiver, Sender, bounded};
use std::sync::Arc;
use std::thread;

/// Chunks that may wait for a worker.
const CHUNKS: usize = 4;
/// Lists of records that may wait for the writer.
const RECORDS: usize = 64;

/// What a worker does next.
#[derive(Clone, Copy, Debug)]
enum Item {
    /// A packet whose payload lies at `at..at + len` of the batch, or of the copied bytes.
    Packet { packet: Packet<'static>, at: u32, len: u32, copied: bool },
    /// A machine was seen to use an address.
    Neighbour(Neighbour),
    /// A tick.
    Tick { now: Timestamp, ordinal: u64 },
}

/// A batch with what each worker has to do, counted once for all of them.
#[derive(Debug, Default)]
struct Chunk {
    batch: Batch,
    deal: Deal,
    /// Number of what happens after the last.
    next: u64,
}

/// Lists of items per worker.
#[derive(Debug, Default)]
struct Deal {
    lists: Vec<Vec<Item>>,
    copied: Vec<u8>,
}

/// What a worker tells the detector.
struct Message {
    worker: usize,
    told: Vec<Told>,
    /// Everything before this place has been told.
    to: u64,
    /// The clock at the last tick.
    now: Timestamp,
}

/// Reads in this thread, works in others.
pub(super) fn run(mut setup: Setup, source: &mut dyn Source, progress: Progress<'_>) -> Result<End, Error> {
    let workers = setup.config.workers;
    let (tell, hear) = bounded::<Message>(setup.config.told_max.max(1));
    let (to_writer, records) = bounded::<Vec<Record>>(RECORDS);
    let woken = setup.woken()?;
    let detector = setup.hearing(woken);
    let worker_config = setup.worker_config();
    let seed = setup.config.seed;
    let outputs = setup.outputs;
    thread::scope(|scope| {
        let mut queues = Vec::with_capacity(workers);
        let mut hands = Vec::with_capacity(workers);
        for i in 0..workers {
            let (give, take) = bounded::<Arc<Chunk>>(CHUNKS);
            let tell = tell.clone();
            queues.push(give);
            hands.push(scope.spawn(move || work(Worker::new(worker_config), i, &take, &tell)));
        }
        drop(tell);
        let detecting = scope.spawn(move || detect(detector, workers, &hear, &to_writer));
        let writing = scope.spawn(move || write_all(outputs, &records));
        let mut front = Front::default();
        read(&mut front, source, &queues, seed, progress);
        let now = front.now();
        // The last word of a worker needs the clock of the reader: it comes as a tick behind the last frame.
        let last = Chunk { batch: Batch::default(), deal: Deal::last(workers, now), next: u64::MAX };
        let last = Arc::new(last);
        for queue in queues {
            let _ = queue.send(Arc::clone(&last));
        }
        let workers = hands.into_iter().map(thread::ScopedJoinHandle::join).collect::<Result<Vec<_>, _>>();
        let workers = workers.map_err(|_| Error::Thread("worker"))?;
        let detector = detecting.join().map_err(|_| Error::Thread("detector"))?;
        let outputs = writing.join().map_err(|_| Error::Thread("writer"))?;
        Ok(End::of_packets(&front, workers, detector, outputs))
    })
}

/// The reader: fills chunks, deals packets, hands over. Chunks are used again once every worker is done with them.
fn read(
    front: &mut Front,
    source: &mut dyn Source,
    queues: &[Sender<Arc<Chunk>>],
    seed: u64,
    progress: Progress<'_>,
) {
    let seeds = Seeds::from_seed(seed.wrapping_add(1));
    let mut used: Vec<Arc<Chunk>> = Vec::new();
    loop {
        let free = used.iter_mut().position(|c| Arc::get_mut(c).is_some());
        let mut arc = free.map_or_else(Arc::default, |i| used.swap_remove(i));
        let Some(chunk) = Arc::get_mut(&mut arc) else { continue };
        if !source.fill(&mut chunk.batch) {
            break;
        }
        chunk.deal.clear(queues.len());
        let base = chunk.batch.bytes.as_ptr() as usize;
        let mut sink = Dealer { deal: &mut chunk.deal, base, seeds };
        front.batch(&chunk.batch, &mut sink);
        chunk.next = front.ordinal();
        for queue in queues {
            if queue.send(Arc::clone(&arc)).is_err() {
                return;
            }
        }
        used.push(arc);
        let (done, of) = source.progress();
        progress(done, of);
    }
    let mut chunk = Chunk::default();
    chunk.deal.clear(queues.len());
    front.finish(&mut Dealer { deal: &mut chunk.deal, base: 0, seeds });
    chunk.next = front.ordinal();
    let chunk = Arc::new(chunk);
    for queue in queues {
        let _ = queue.send(Arc::clone(&chunk));
    }
}

/// A worker: takes its list of each chunk, tells.
fn work(
    mut worker: Worker,
    number: usize,
    take: &Receiver<Arc<Chunk>>,
    tell: &Sender<Message>,
) -> WorkerCounters {
    let mut clock = Timestamp::MIN;
    for chunk in take {
        let mut packets: Vec<Packet<'_>> = Vec::new();
        for item in chunk.deal.lists.get(number).into_iter().flatten() {
            match *item {
                Item::Packet { packet, at, len, copied } => {
                    let from = if copied { &chunk.deal.copied } else { &chunk.batch.bytes };
                    let payload = from.get(at as usize..(at + len) as usize).unwrap_or(&[]);
                    packets.push(Packet { payload, ..packet });
                }
                Item::Neighbour(seen) => {
                    worker.packets(&packets);
                    packets.clear();
                    worker.neighbour(&seen);
                }
                Item::Tick { now, ordinal } => {
                    worker.packets(&packets);
                    packets.clear();
                    clock = now;
                    if ordinal == u64::MAX {
                        worker.finish(now, ordinal);
                    } else {
                        worker.tick(now, ordinal);
                    }
                }
            }
        }
        worker.packets(&packets);
        drop(packets);
        let message = Message { worker: number, told: worker.take_told(), to: chunk.next, now: clock };
        // Let the reader have the chunk back before waiting for the detector.
        drop(chunk);
        if tell.send(message).is_err() {
            break;
        }
    }
    worker.counters()
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

impl Deal {
    fn clear(&mut self, workers: usize) {
        self.lists.resize_with(workers, Vec::new);
        self.lists.iter_mut().for_each(Vec::clear);
        self.copied.clear();
    }

    fn last(workers: usize, now: Timestamp) -> Self {
        let list = vec![Item::Tick { now, ordinal: u64::MAX }];
        Self { lists: vec![list; workers], copied: Vec::new() }
    }
}

/// Deals packets to lists by the hash of their addresses.
struct Dealer<'d> {
    deal: &'d mut Deal,
    /// Address of the batch's first byte.
    base: usize,
    seeds: Seeds,
}

impl Dealer<'_> {
    fn push(&mut self, packet: &Packet<'_>, at: u32, copied: bool) {
        let lists = &mut self.deal.lists;
        let to = shard(&packet.pair, &self.seeds, lists.len());
        if let Some(list) = lists.get_mut(to) {
            let len = packet.payload.len() as u32;
            list.push(Item::Packet { packet: packet.without_payload(), at, len, copied });
        }
    }
}

impl<'b> Sink<'b> for Dealer<'_> {
    fn lent(&mut self, packet: Packet<'b>) {
        // The payload lies within the batch: its place there is all that has to cross.
        let at = (packet.payload.as_ptr() as usize).wrapping_sub(self.base);
        self.push(&packet, at as u32, false);
    }

    fn passing(&mut self, packet: &Packet<'_>) {
        let at = self.deal.copied.len() as u32;
        self.deal.copied.extend_from_slice(packet.payload);
        self.push(packet, at, true);
    }

    fn neighbour(&mut self, seen: Neighbour) {
        // It belongs to no pair of hosts: any worker may pass it on.
        if let Some(list) = self.deal.lists.first_mut() {
            list.push(Item::Neighbour(seen));
        }
    }

    fn tick(&mut self, now: Timestamp, ordinal: u64) {
        for list in &mut self.deal.lists {
            list.push(Item::Tick { now, ordinal });
        }
    }
}
