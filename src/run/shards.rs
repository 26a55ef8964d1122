//! The run with several workers, one detector and one writer behind them.
//!
//! Nobody reads only: a worker whose queue runs low takes the reader, fills one chunk and gives it to every worker. Each
//! of them then walks all of it with a front of its own (the same clock, the same numbers, the same fragments) and keeps
//! the packets that are its own. Decoding twice is cheaper than dealing: nothing is written for another core to read, and
//! what is done by one at a time is the copy that reading makes.

use super::endpoint::Hearing;
use super::merge::{Mark, Merge};
use super::{End, Error, Progress, Setup, write};
use crate::capture::{Batch, Lent, Source};
use crate::counters::WorkerCounters;
use crate::detect::Detector;
use crate::flow::key::Seeds;
use crate::front::Front;
use crate::observe::Told;
use crate::output::Record;
use crate::output::file::Outputs;
use crate::units::Timestamp;
use crate::worker::{Direct, Share, Worker};
use crossbeam_channel::{Receiver, Sender, TryRecvError, bounded};
use std::sync::{Arc, Mutex, TryLockError};
use std::thread;

/// Chunks that may wait for a worker.
const CHUNKS: usize = 8;
/// A worker with fewer chunks waiting reads, if nobody else does: so that none waits for a chunk being read.
const LOW: usize = 2;
/// Lists of records that may wait for the writer.
const RECORDS: usize = 64;
/// A worker with nothing to tell says how far it has come once in so many chunks.
const QUIET_CHUNKS: u32 = 8;

/// What a worker tells the detector.
struct Message {
    worker: usize,
    told: Vec<Told>,
    /// Everything before this place has been told.
    to: Mark,
    /// The clock.
    now: Timestamp,
}

/// Whoever holds it reads.
struct Reader<'s> {
    source: &'s mut dyn Source,
    /// One for each worker; none once the source has ended.
    queues: Vec<Sender<Arc<Batch>>>,
    /// Chunks are used again once every worker is done with them.
    used: Vec<Arc<Batch>>,
}

/// Runs a source with the workers that the configuration asks for.
pub(super) fn run(mut setup: Setup, source: &mut dyn Source, progress: Progress<'_>) -> Result<End, Error> {
    let workers = setup.config.workers;
    let (tell, hear) = bounded::<Message>(setup.config.told_max.max(1));
    let (to_writer, records) = bounded::<Vec<Record>>(RECORDS);
    let woken = setup.woken()?;
    let detector = setup.hearing(woken);
    let config = setup.worker_config();
    let seeds = Seeds::from_seed(setup.config.seed.wrapping_add(1));
    let outputs = setup.outputs;
    let (queues, takes): (Vec<_>, Vec<_>) = (0..workers).map(|_| bounded(CHUNKS)).unzip();
    let reader = Mutex::new(Reader { source, queues, used: Vec::new() });
    let (detector, outputs, fronts, counters) = thread::scope(|scope| {
        let detecting = scope.spawn(move || detect(detector, workers, &hear, &to_writer));
        let writing = scope.spawn(move || write_all(outputs, &records));
        let mut hands = Vec::with_capacity(workers);
        let mut first = None;
        for (number, take) in takes.into_iter().enumerate() {
            let share = Share { number, of: workers, seeds };
            let hand = Hand { share, take, tell: tell.clone(), reader: &reader, front: Front::default() };
            if number == 0 {
                first = Some(hand);
            } else {
                hands.push(scope.spawn(move || hand.work(Worker::new(config), &mut |_, _| {})));
            }
        }
        drop(tell);
        let (mut fronts, mut counters): (Vec<Front>, Vec<WorkerCounters>) =
            first.into_iter().map(|hand| hand.work(Worker::new(config), progress)).unzip();
        for hand in hands {
            let (front, worker) = hand.join().map_err(|_| Error::Thread("worker"))?;
            fronts.push(front);
            counters.push(worker);
        }
        let detector = detecting.join().map_err(|_| Error::Thread("detector"))?;
        let outputs = writing.join().map_err(|_| Error::Thread("writer"))?;
        Ok::<_, Error>((detector, outputs, fronts, counters))
    })?;
    // Every front has seen every frame: one of them counts.
    let front = fronts.into_iter().next().unwrap_or_default();
    Ok(End::of_packets(&front, counters, detector, outputs))
}

impl Reader<'_> {
    /// Fills one chunk and gives it to all, or ends the run.
    fn turn(&mut self) {
        if self.queues.is_empty() {
            return;
        }
        let free = self.used.iter_mut().position(|chunk| Arc::get_mut(chunk).is_some());
        let mut chunk = free.map_or_else(Arc::default, |i| self.used.swap_remove(i));
        let filled = Arc::get_mut(&mut chunk).is_some_and(|batch| self.source.fill(batch));
        // The end of the source, or a worker has died: the others come to an end.
        if !filled || self.queues.iter().any(|queue| queue.send(Arc::clone(&chunk)).is_err()) {
            self.queues.clear();
        }
        self.used.push(chunk);
    }
}

/// A worker's thread.
struct Hand<'r, 's> {
    share: Share,
    take: Receiver<Arc<Batch>>,
    tell: Sender<Message>,
    reader: &'r Mutex<Reader<'s>>,
    front: Front,
}

impl Hand<'_, '_> {
    /// Works until the source has ended.
    fn work(mut self, mut worker: Worker, progress: Progress<'_>) -> (Front, WorkerCounters) {
        let mut quiet = 0;
        while let Some(chunk) = self.next(progress) {
            let mut sink = Direct::of(&mut worker, chunk.lend(), self.share);
            self.front.batch(&chunk, &mut sink);
            sink.finish();
            // Let the reader have the chunk back before waiting for the detector.
            drop(chunk);
            quiet += 1;
            if worker.has_told() || quiet >= QUIET_CHUNKS {
                quiet = 0;
                if !self.say(&mut worker, (self.front.ordinal(), 0)) {
                    break;
                }
            }
        }
        let nothing = Lent { bytes: &[], slots: &[] };
        let mut sink = Direct::of(&mut worker, nothing, self.share);
        self.front.finish(&mut sink);
        sink.finish();
        self.say(&mut worker, (u64::MAX, 0));
        let mut closing = worker.closing();
        while let Some(flow) = worker.close_some(&mut closing, self.front.now(), u64::MAX) {
            self.say(&mut worker, (u64::MAX, flow + 1));
        }
        self.say(&mut worker, (u64::MAX, u64::MAX));
        (self.front, worker.counters())
    }

    /// False: nobody hears any more.
    fn say(&self, worker: &mut Worker, to: Mark) -> bool {
        let (worker, told, now) = (self.share.number, worker.take_told(), self.front.now());
        self.tell.send(Message { worker, told, to, now }).is_ok()
    }

    /// The next chunk. Reads when few are waiting and nobody else does.
    fn next(&self, progress: Progress<'_>) -> Option<Arc<Batch>> {
        loop {
            let mut reading = false;
            if self.take.len() < LOW {
                match self.reader.try_lock() {
                    Ok(mut reader) => {
                        reader.turn();
                        let (done, of) = reader.source.progress();
                        progress(done, of);
                    }
                    Err(TryLockError::WouldBlock) => reading = true,
                    Err(TryLockError::Poisoned(_)) => return None,
                }
            }
            match self.take.try_recv() {
                Ok(chunk) => return Some(chunk),
                Err(TryRecvError::Disconnected) => return None,
                // Whoever reads gives a chunk to all.
                Err(TryRecvError::Empty) if reading => return self.take.recv().ok(),
                Err(TryRecvError::Empty) => {}
            }
        }
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
