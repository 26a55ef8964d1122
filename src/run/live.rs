//! The run on live interfaces: every worker has its own rings, front and flow tables, and tells the one detector.
//!
//! Nothing is shared by the workers but what the kernel deals between them. The detector hears them in the order of
//! packet time: each says how far its clock has come, also on a quiet wire, and a worker that says nothing for a
//! quarter of a second is waited for no longer. When the detector or the logs are behind, tellings wait with the
//! worker and are thinned in a stated order (`backlog`); when that does not help, the rings fill, and the kernel
//! counts what it drops.

mod backlog;
mod merge;
mod station;

use super::keep::{self, Checkpoints, Fetcher};
use super::{End, Error, Setup, write};
use crate::capture::live::{self, LiveConfig, Notice};
use crate::counters::{FrontCounters, Stats, WorkerCounters};
use crate::detect::Detector;
use crate::observe::Told;
use crate::output::file::Outputs;
use crate::output::{Record, RunSummary};
use crate::shard::Shards;
use crate::state::Batch;
use crate::units::{Span, Timestamp};
use crossbeam_channel::{Receiver, RecvTimeoutError, Sender, bounded};
use merge::Merge;
use station::{Handed, Reach, Station};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

/// Messages that may wait for the detector.
const TOLD: usize = 256;
/// Lists of records that may wait for the writer.
const RECORDS: usize = 64;
/// Packets that may wait for the worker they were handed to.
const HANDED: usize = 4096;
/// Notices that may wait to be shown. More are not worth showing.
const NOTICES: usize = 64;
/// How often a quiet worker tells its time.
pub(super) const BEAT: Duration = Duration::from_millis(10);
/// How often logs are handed to the operating system.
const FLUSH: Duration = Duration::from_secs(1);
/// At most one warning of a kind in this time.
const WARN_EVERY: Duration = Duration::from_secs(60);

/// What to capture, and for how long.
#[derive(Clone, Debug)]
pub struct Live {
    /// Interfaces, rings, filter.
    pub capture: LiveConfig,
    /// Ends after this time.
    pub duration: Option<Duration>,
    /// Ends after exactly so many frames.
    pub packets: Option<u64>,
    /// Time between two `stats` records.
    pub stats_every: Duration,
    /// Set from outside to end the run; see [`stop_on_signals`].
    pub stop: Arc<AtomicBool>,
}

impl Default for Live {
    fn default() -> Self {
        Self {
            capture: LiveConfig::default(),
            duration: None,
            packets: None,
            stats_every: Duration::from_secs(10),
            stop: Arc::default(),
        }
    }
}

/// What a worker tells the detector.
struct Message {
    worker: usize,
    told: Vec<Told>,
    /// Everything before this time has been told; `None`: there has been no frame yet.
    mark: Option<Timestamp>,
    /// What was counted, now and then.
    counts: Option<Box<Counts>>,
}

/// Counters of one worker.
#[derive(Clone, Default)]
struct Counts {
    front: FrontCounters,
    worker: WorkerCounters,
    span: Option<(Timestamp, Timestamp)>,
    now: Timestamp,
}

/// SIGINT and SIGTERM set `stop`, for [`Live::stop`]; a second one ends the program at once.
pub fn stop_on_signals(stop: &Arc<AtomicBool>) -> std::io::Result<()> {
    use signal_hook::consts::{SIGINT, SIGTERM};
    for signal in [SIGINT, SIGTERM] {
        // In this order: the first signal finds `stop` unset.
        signal_hook::flag::register_conditional_shutdown(signal, 128 + signal, Arc::clone(stop))?;
        signal_hook::flag::register(signal, Arc::clone(stop))?;
    }
    Ok(())
}

/// Captures until the end is asked for. `notice` hears what an operator should know.
pub fn run(mut setup: Setup, live: &Live, notice: &mut dyn FnMut(Notice)) -> Result<RunSummary, Error> {
    let began = Instant::now();
    let workers = setup.config.workers.max(1);
    let shards = Shards::from_seed(setup.config.seed ^ began_seed());
    let taps = live::open(&live.capture, shards, workers).map_err(Error::Capture)?;
    let detector = setup.woken()?;
    keep::catch_up(&mut setup.outputs)?;
    let every = Duration::from_nanos(setup.config.checkpoint_every.nanos().unsigned_abs());
    let worker_config = setup.worker_config();
    let outputs = setup.outputs;
    let (tell, hear) = bounded::<Message>(TOLD);
    let (to_writer, records) = bounded::<Job>(RECORDS);
    let (show, shown) = bounded::<Notice>(NOTICES);
    let (givers, takers): (Vec<Sender<Handed>>, Vec<_>) = (0..workers).map(|_| bounded(HANDED)).unzip();
    let taken = AtomicU64::new(0);
    // All rings are open before any takes in frames: else the kernel would deal by a number that still grows.
    for tap in &taps {
        tap.start().map_err(|error| Error::Capture(format!("capture cannot be started: {error}")))?;
    }
    notice(Notice::Ready);
    let end = thread::scope(|scope| {
        let mut hands = Vec::with_capacity(workers);
        for (number, (tap, handed)) in taps.into_iter().zip(takers).enumerate() {
            let reach = Reach {
                number,
                shards,
                others: givers.clone(),
                tell: tell.clone(),
                show: show.clone(),
                stop: &live.stop,
                taken: &taken,
                limit: live.packets,
                lag: Span::from_millis(i64::from(live.capture.ring.retire_ms) + 10),
            };
            hands.push(scope.spawn(move || Station::new(worker_config, tap, reach).work(&handed)));
        }
        drop((tell, givers));
        let checkpoints = Checkpoints::new(every);
        let ear = Ear { workers, stats_every: live.stats_every, to_writer, show, checkpoints };
        let detecting = scope.spawn(move || ear.detect(detector, &hear));
        let writing = scope.spawn(move || write_all(outputs, &records));
        watch(live, &shown, notice);
        let counts = hands.into_iter().map(thread::ScopedJoinHandle::join).collect::<Result<Vec<_>, _>>();
        let detector = detecting.join().map_err(|_| Error::Thread("detector"));
        let outputs = writing.join().map_err(|_| Error::Thread("writer"));
        let counts = counts.map_err(|_| Error::Thread("worker"))?;
        let fronts = counts.iter().map(|c| (c.front.clone(), c.span, c.now)).collect();
        let workers = counts.iter().map(|c| c.worker.clone()).collect();
        Ok::<End, Error>(End::of_live(fronts, workers, detector?, outputs?))
    })?;
    end.finish(&[], began)
}

/// Nobody outside can know it: the split of hosts over workers shows in no record.
fn began_seed() -> u64 {
    use std::hash::{BuildHasher, Hasher};
    std::hash::RandomState::new().build_hasher().finish()
}

/// Shows notices until the workers are gone; ends the run when its time is over.
fn watch(live: &Live, shown: &Receiver<Notice>, notice: &mut dyn FnMut(Notice)) {
    let began = Instant::now();
    loop {
        match shown.recv_timeout(BEAT) {
            Ok(what) => notice(what),
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => return,
        }
        if live.duration.is_some_and(|duration| began.elapsed() >= duration) {
            live.stop.store(true, Ordering::Relaxed);
        }
    }
}

/// The detector's thread.
struct Ear {
    workers: usize,
    stats_every: Duration,
    to_writer: Sender<Job>,
    show: Sender<Notice>,
    checkpoints: Checkpoints,
}

/// What the writer is to do.
enum Job {
    Write(Vec<Record>),
    /// A checkpoint, and the records that must not be without it, nor it without them.
    Keep(Box<Batch>, Vec<Record>),
}

impl Ear {
    fn detect(mut self, mut detector: Detector, hear: &Receiver<Message>) -> Detector {
        let mut merge = Merge::new(self.workers);
        let mut counts = vec![Counts::default(); self.workers];
        let mut watch = Watch::new();
        let mut told_stats = Instant::now();
        loop {
            let message = hear.recv_timeout(BEAT);
            let at = Instant::now();
            match message {
                Ok(message) => {
                    if let (Some(new), Some(old)) = (message.counts, counts.get_mut(message.worker)) {
                        *old = *new;
                    }
                    merge.push(message.worker, message.told, message.mark, at);
                }
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => break,
            }
            while let Some(told) = merge.pop(at) {
                detector.observe(told);
            }
            detector.count_late(merge.take_late());
            if let Some(now) = merge.now() {
                detector.idle(now);
            }
            self.pass_on(&mut detector, merge.now(), at);
            if at.duration_since(told_stats) >= self.stats_every {
                told_stats = at;
                let stats = stats_of(&counts, &detector);
                watch.look(&stats, at, &self.show);
                let now = merge.now().unwrap_or_default();
                let _ = self.to_writer.send(Job::Write(vec![Record::Stats(Box::new(stats), now)]));
            }
        }
        while let Some(told) = merge.pop_last() {
            detector.observe(told);
        }
        detector.count_late(merge.take_late());
        let now = merge.now().unwrap_or_default();
        detector.finish(now);
        let records = detector.take_records();
        if detector.is_kept() && merge.now().is_some() {
            self.keep(&mut detector, now, true, records);
        } else {
            let _ = self.to_writer.send(Job::Write(records));
        }
        detector
    }

    fn pass_on(&mut self, detector: &mut Detector, now: Option<Timestamp>, at: Instant) {
        let records = detector.take_records();
        let kept = now.filter(|_| detector.is_kept());
        if let Some(now) = kept.filter(|_| records.iter().any(|r| matches!(r, Record::Incident(_)))) {
            return self.keep(detector, now, false, records);
        }
        if !records.is_empty() {
            let _ = self.to_writer.send(Job::Write(records));
        }
        if let Some(batch) = kept.and_then(|now| self.checkpoints.turn(detector, now, at)) {
            let _ = self.to_writer.send(Job::Keep(Box::new(batch), Vec::new()));
        }
    }

    /// A checkpoint of now with the records that came of it.
    fn keep(&mut self, detector: &mut Detector, now: Timestamp, all: bool, mut records: Vec<Record>) {
        let mut batches = self.checkpoints.at_once(detector, now, all);
        let last = batches.pop().unwrap_or_default();
        for batch in batches {
            let _ = self.to_writer.send(Job::Keep(Box::new(batch), Vec::new()));
        }
        let _ = self.to_writer.send(Job::Keep(Box::new(last), std::mem::take(&mut records)));
    }
}

fn stats_of(counts: &[Counts], detector: &Detector) -> Stats {
    let mut front = FrontCounters::default();
    counts.iter().for_each(|c| front.add(&c.front));
    let spans = counts.iter().filter_map(|c| c.span);
    let span = spans.reduce(|a, b| (a.0.min(b.0), a.1.max(b.1)));
    Stats {
        logs: None,
        uptime_secs: span.map_or(0, |(first, last)| last.since(first).secs() as u64),
        front,
        fronts: counts.iter().map(|c| c.front.clone()).collect(),
        workers: counts.iter().map(|c| c.worker.clone()).collect(),
        detect: detector.counters(),
        // The writer puts in what it knows.
        lines: 0,
        dropped: 0,
    }
}

/// Warns of losses, once a minute at most.
struct Watch {
    warned: Option<Instant>,
    frames: u64,
    drops: u64,
    thinned: u64,
}

impl Watch {
    const fn new() -> Self {
        Self { warned: None, frames: 0, drops: 0, thinned: 0 }
    }

    fn look(&mut self, stats: &Stats, at: Instant, show: &Sender<Notice>) {
        if self.warned.is_some_and(|w| at.duration_since(w) < WARN_EVERY) {
            return;
        }
        let (frames, drops) = (stats.front.kernel_frames, stats.front.kernel_drops);
        let thinned = stats.total().thinned;
        if drops > self.drops {
            let _ = show.try_send(Notice::Drops(drops - self.drops, frames.saturating_sub(self.frames)));
            self.warned = Some(at);
        }
        if thinned > self.thinned {
            let _ = show.try_send(Notice::Behind(thinned - self.thinned));
            self.warned = Some(at);
        }
        (self.frames, self.drops, self.thinned) = (frames, drops, thinned);
    }
}

/// The writer: formats and writes, and lets readers of the files see it soon.
fn write_all(mut outputs: Outputs, records: &Receiver<Job>) -> Outputs {
    let (mut flushed, mut fetcher) = (Instant::now(), Fetcher::new());
    loop {
        match records.recv_timeout(FLUSH) {
            Ok(Job::Keep(batch, list)) => outputs.write_with(&batch, &list),
            Ok(Job::Write(mut list)) => {
                for record in &mut list {
                    if let Record::Stats(stats, _) = record {
                        (stats.lines, stats.dropped) = outputs.counters();
                    }
                }
                write(&mut outputs, list);
            }
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => return outputs,
        }
        fetcher.turn(&mut outputs);
        if flushed.elapsed() >= FLUSH {
            flushed = Instant::now();
            outputs.flush();
        }
    }
}
