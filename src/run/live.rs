//! The run on live interfaces: every worker has its own rings, front and flow tables, and tells the one detector.
//!
//! Nothing is shared by the workers but what the kernel deals between them. The detector hears them in the order of
//! packet time: each says how far its clock has come, also on a quiet wire, and a worker that says nothing for a
//! quarter of a second is waited for no longer. When the detector or the logs are behind, tellings wait with the
//! worker and are thinned in a stated order (`backlog`); when that does not help, the rings fill, and the kernel
//! counts what it drops.

mod backlog;
mod ear;
mod empty;
mod feeds;
mod merge;
mod pending;
mod scribe;
mod station;

use super::keep::{self, Checkpoints, Keep};
use super::{End, Error, Setup};
use crate::capture::live::{self, LiveConfig, Notice};
use crate::config::Config;
use crate::counters::{FrontCounters, WorkerCounters};
use crate::net::default_home;
use crate::observe::Told;
use crate::output::archive::Archive;
use crate::output::file::Outputs;
use crate::output::{OUTPUTS, Record, RunSummary};
use crate::shard::Shards;
use crate::units::{Span, Timestamp};
use crossbeam_channel::{Receiver, RecvTimeoutError, Sender, bounded};
use ear::Ear;
use empty::EmptySums;
use feeds::Feeds;
use pending::Pending;
use scribe::{Keeper, Scribe};
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
/// Files that may wait to be compressed; more are found by their names later.
const AWAY: usize = 256;
/// Checkpoints that may wait for the writer.
const KEEPS: usize = 4;
/// Notices that may wait to be shown. More are not worth showing.
const NOTICES: usize = 64;
/// How often a quiet worker tells its time.
pub(super) const BEAT: Duration = Duration::from_millis(10);
/// At most one warning of a kind in this time.
const WARN_EVERY: Duration = Duration::from_secs(60);
/// How long a writer that stands still is waited for at the end.
const LAST_LINES: Duration = Duration::from_secs(30);

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
    /// Set from outside when somebody has moved the logs: they are opened anew; see [`reopen_on_hangup`].
    pub reopen: Arc<AtomicBool>,
    /// The outputs put logs away ([`crate::output::file::Keeping::Rotate`]).
    pub rotates: bool,
}

impl Default for Live {
    fn default() -> Self {
        Self {
            capture: LiveConfig::default(),
            duration: None,
            packets: None,
            stats_every: Duration::from_secs(10),
            stop: Arc::default(),
            reopen: Arc::default(),
            rotates: false,
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
    /// Flows without payload that the worker summed instead of telling of each.
    sums: Option<EmptySums>,
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

/// SIGHUP sets `reopen`, for [`Live::reopen`].
pub fn reopen_on_hangup(reopen: &Arc<AtomicBool>) -> std::io::Result<()> {
    signal_hook::flag::register(signal_hook::consts::SIGHUP, Arc::clone(reopen)).map(drop)
}

/// Captures until the end is asked for. `notice` hears what an operator should know.
pub fn run(mut setup: Setup, live: &Live, notice: &mut dyn FnMut(Notice)) -> Result<RunSummary, Error> {
    let began = Instant::now();
    let workers = setup.config.workers.max(1);
    let shards = Shards::from_seed(setup.config.seed);
    let mut taps = live::open(&live.capture, shards, workers).map_err(Error::Capture)?;
    let detector = setup.woken()?;
    keep::catch_up(&mut setup.outputs)?;
    let every = Duration::from_nanos(setup.config.checkpoint_every.nanos().unsigned_abs());
    let (to_state, keeps) = bounded::<Keep>(KEEPS);
    let worker_config = setup.worker_config();
    let home = setup.config.home_net.clone().unwrap_or_else(default_home);
    let (tell, hear) = bounded::<Message>(TOLD);
    let (to_writer, records) = bounded::<Vec<Record>>(RECORDS);
    let (show, shown) = bounded::<Notice>(NOTICES);
    let (givers, takers): (Vec<Sender<Handed>>, Vec<_>) = (0..workers).map(|_| bounded(HANDED)).unzip();
    let taken = AtomicU64::new(0);
    let pending = Pending::new(to_writer, setup.config.output.empty_flow_rate);
    let places = setup.outputs.journal().map(|journal| feeds::kept(journal.store())).transpose()?;
    let feeds = Feeds::start(&setup.config, places, &live.stop, &show).map_err(Error::Capture)?;
    let logs = Logs::start(setup, live, records, keeps, &show);
    // All rings are open before any takes in frames: else the kernel would deal by a number that still grows.
    for tap in &mut taps {
        tap.start().map_err(|error| Error::Capture(format!("capture cannot be started: {error}")))?;
    }
    notice(Notice::Ready);
    let (detector, left_out, counts) = thread::scope(|scope| {
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
            let home = home.clone();
            hands.push(scope.spawn(move || Station::new(worker_config, tap, reach, home).work(&handed)));
        }
        drop((tell, givers));
        let checkpoints = Checkpoints::new(every);
        let (stats_every, last_lines, stop) = (live.stats_every, LAST_LINES, Arc::clone(&live.stop));
        let ear = Ear { workers, stats_every, pending, show, stop, last_lines, to_state, checkpoints, feeds };
        let detecting = scope.spawn(move || ear.detect(detector, &hear));
        watch(live, &shown, notice, || detecting.is_finished());
        let counts = hands.into_iter().map(thread::ScopedJoinHandle::join).collect::<Result<Vec<_>, _>>();
        let (detector, left_out) = detecting.join().map_err(|_| Error::Thread("detector"))?;
        let counts = counts.map_err(|_| Error::Thread("worker"))?;
        Ok::<_, Error>((detector, left_out, counts))
    })?;
    let outputs = logs.finish()?;
    shown.try_iter().for_each(notice);
    let fronts = counts.iter().map(|c| (c.front.clone(), c.span, c.now)).collect();
    let workers = counts.into_iter().map(|c| c.worker).collect();
    End::of_live(fronts, workers, detector.into(), outputs, left_out).finish(&[], began)
}

/// The threads that write: not of the scope, since a pipe that nobody reads would hold up its end for ever.
struct Logs {
    written: Receiver<Outputs>,
    kept: Receiver<()>,
}

impl Logs {
    fn start(
        setup: Setup,
        live: &Live,
        records: Receiver<Vec<Record>>,
        keeps: Receiver<Keep>,
        show: &Sender<Notice>,
    ) -> Self {
        let Setup { config, outputs, .. } = setup;
        let (away, put_away) = bounded(AWAY);
        let (done, written) = bounded(1);
        let scribe =
            Scribe { outputs, show: show.clone(), reopen: Arc::clone(&live.reopen), away, warned: None };
        thread::spawn(move || done.send(scribe.write(records, keeps)));
        let (done, kept) = bounded(1);
        if live.rotates {
            let keeper =
                Keeper { archive: archive(&config), show: show.clone(), stop: Arc::clone(&live.stop) };
            thread::spawn(move || {
                keeper.keep(&put_away);
                done.send(())
            });
        }
        Self { written, kept }
    }

    fn finish(self) -> Result<Outputs, Error> {
        let outputs = self.written.recv_timeout(LAST_LINES).map_err(|error| match error {
            RecvTimeoutError::Timeout => Error::Output(std::io::Error::new(
                std::io::ErrorKind::TimedOut,
                "the logs take nothing any more; the last lines are lost",
            )),
            RecvTimeoutError::Disconnected => Error::Thread("writer"),
        })?;
        // What it leaves, the next run finishes.
        let _ = self.kept.recv_timeout(LAST_LINES);
        Ok(outputs)
    }
}

fn archive(config: &Config) -> Archive {
    let output = &config.output;
    let kinds = output.kinds.iter().filter_map(|name| OUTPUTS.iter().find(|kind| kind.name == *name));
    Archive {
        dir: output.dir.clone(),
        names: kinds.flat_map(|kind| kind.files).copied().collect(),
        mode: output.mode,
        keep_days: output.keep_days,
        max_bytes: output.max_bytes,
    }
}

/// Shows notices until the workers and the detector are gone; ends the run when its time is over.
fn watch(live: &Live, shown: &Receiver<Notice>, notice: &mut dyn FnMut(Notice), gone: impl Fn() -> bool) {
    let began = Instant::now();
    while !gone() {
        if let Ok(what) = shown.recv_timeout(BEAT) {
            notice(what);
        }
        if live.duration.is_some_and(|duration| began.elapsed() >= duration) {
            live.stop.store(true, Ordering::Relaxed);
        }
    }
}
