//! Puts the rooms together: the only place with threads and channels.
//!
//! With one worker everything runs inline, in one thread. With more, they take turns at reading and each walks what was
//! read and keeps its share; each tells the detector, which merges the tellings into their one order; a writer formats
//! the records. Both ways run the same `Worker` and `Detector` and give the same records.

mod endpoint;
mod keep;
#[cfg(live)]
pub mod live;
mod logs;
mod merge;
mod shards;

pub use keep::{asleep, settle};
pub use logs::{LogSetup, logs};

use crate::capture::bpf::{Filter, Sieve};
use crate::capture::replay::Replay;
use crate::capture::{Batch, Fault, Source};
use crate::config::Config;
use crate::counters::{FrontCounters, Stats, WorkerCounters};
use crate::detect::Detector;
use crate::detect::roster::Assets;
use crate::endpoint::Context;
use crate::front::Front;
use crate::observe::Told;
use crate::output::file::Outputs;
use crate::output::{Record, RunSummary};
use crate::signatures::Catalogue;
use crate::units::{Both, Timestamp};
use crate::worker::{Direct, Worker, WorkerConfig};
use endpoint::{EndpointLogs, Hearing};
use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Instant;

/// Rows in the table of uploads.
const UPLOAD_ROWS: usize = 20;
/// Prefixes outside home that are named.
const OUTSIDE_ROWS: usize = 3;

/// Why a run could not be made.
#[derive(Debug)]
pub enum Error {
    /// The output directory cannot be used.
    Output(std::io::Error),
    /// An interface cannot be captured from; with what helps.
    Capture(String),
    /// The state file cannot be used.
    State(String),
    /// A thread died: a bug of ours.
    Thread(&'static str),
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Output(e) => write!(f, "{e}"),
            Self::Capture(what) | Self::State(what) => f.write_str(what),
            Self::Thread(which) => write!(f, "the {which} thread ended unexpectedly; please report this"),
        }
    }
}

/// Called now and then with bytes read and expected.
pub type Progress<'p> = &'p mut dyn FnMut(u64, Option<u64>);

/// What a run needs beside its source.
pub struct Setup {
    /// The configuration.
    pub config: Config,
    /// Services and site policy.
    pub catalogue: Arc<Catalogue>,
    /// Where records go.
    pub outputs: Outputs,
}

impl Setup {
    fn worker_config(&self) -> WorkerConfig {
        let (config, workers) = (&self.config, self.config.workers.max(1));
        WorkerConfig {
            seed: config.seed,
            flows: (config.flows.table / workers).max(1),
            timeouts: config.flows.timeouts,
            report_every: config.flows.report_every,
            sent_twice: config.capture.sent_twice,
        }
    }

    /// The asset list. That it can be read was seen when the configuration was loaded.
    fn assets(&self) -> Assets {
        assets_of(&self.config)
    }

    /// A detector with the endpoint logs that it hears.
    fn hearing(&self, detector: Detector) -> Hearing {
        Hearing { detector, logs: EndpointLogs::open(&self.config.endpoint.logs) }
    }

    fn detector(&self) -> Detector {
        let c = &self.config;
        let home = c.home_net.clone();
        Detector::new(c.detect.clone(), &c.sensor, c.seed, home, Arc::clone(&self.catalogue))
            .with_site(c.facts.clone(), self.assets())
            .with_addresses(c.geo.clone(), c.facts.gateways.nets.clone())
            .with_endpoint(c.endpoint.join())
            .with_context(context_of(c))
    }
}

fn context_of(config: &Config) -> Context {
    let mut context = Context::default();
    for path in &config.endpoint.context {
        context.read(path);
    }
    context
}

fn assets_of(config: &Config) -> Assets {
    config.facts.assets.as_deref().and_then(|path| Assets::read(path).ok()).unwrap_or_default()
}

/// Replays capture files: the frames that the filter of the configuration lets through.
pub fn replay(setup: Setup, paths: &[PathBuf], progress: Progress<'_>) -> Result<RunSummary, Error> {
    let filter = setup.config.capture.bpf.as_deref().map(Filter::parse).transpose();
    let filter = filter.map_err(|bad| Error::Capture(bad.to_string()))?;
    let mut files = Replay::open(paths);
    match filter {
        None => run(setup, &mut files, progress),
        Some(filter) => run(setup, &mut Sifted { source: files, sieve: Sieve::new(filter) }, progress),
    }
}

/// A source of which only some frames are wanted.
struct Sifted<S> {
    source: S,
    sieve: Sieve,
}

impl<S: Source> Source for Sifted<S> {
    fn fill(&mut self, batch: &mut Batch) -> bool {
        while self.source.fill(batch) {
            let Batch { bytes, slots } = batch;
            slots.retain(|slot| {
                let start = slot.offset as usize;
                let frame = bytes.get(start..start + slot.captured as usize).unwrap_or_default();
                self.sieve.passes(slot, frame)
            });
            if !batch.slots.is_empty() {
                return true;
            }
        }
        false
    }

    fn faults(&self) -> &[Fault] {
        self.source.faults()
    }

    fn progress(&self) -> (u64, Option<u64>) {
        self.source.progress()
    }
}

/// Runs a source to its end.
pub fn run(setup: Setup, source: &mut dyn Source, progress: Progress<'_>) -> Result<RunSummary, Error> {
    let began = Instant::now();
    let end = if setup.config.workers > 1 {
        shards::run(setup, source, progress)?
    } else {
        inline(setup, source, progress)?
    };
    end.finish(source.faults(), began)
}

/// Everything in this thread.
fn inline(mut setup: Setup, source: &mut dyn Source, progress: Progress<'_>) -> Result<End, Error> {
    let mut front = Front::default();
    let mut worker = Worker::new(setup.worker_config());
    let woken = setup.woken()?;
    let mut detector = setup.hearing(woken);
    let (mut batch, mut ear) = (Batch::default(), Ear::default());
    while source.fill(&mut batch) {
        let mut sink = Direct::new(&mut worker, batch.lend());
        front.batch(&batch, &mut sink);
        sink.finish();
        ear.hear(&mut worker, &mut detector, &mut setup.outputs);
        let (read, of) = source.progress();
        progress(read, of);
    }
    batch.clear();
    let mut sink = Direct::new(&mut worker, batch.lend());
    front.finish(&mut sink);
    sink.finish();
    let mut closing = worker.closing();
    while worker.close_some(&mut closing, front.now(), u64::MAX).is_some() {
        ear.hear(&mut worker, &mut detector, &mut setup.outputs);
    }
    ear.hear(&mut worker, &mut detector, &mut setup.outputs);
    detector.finish(front.now());
    write(&mut setup.outputs, detector.take_records());
    Ok(End::of_packets(&front, vec![worker.counters()], detector, setup.outputs))
}

/// The ear of a run in one thread. Its lists are used again and again.
#[derive(Default)]
struct Ear {
    told: Vec<Told>,
    records: Vec<Record>,
}

impl Ear {
    fn hear(&mut self, worker: &mut Worker, detector: &mut Hearing, outputs: &mut Outputs) {
        if !worker.has_told() {
            return;
        }
        worker.swap_told(&mut self.told);
        for told in self.told.drain(..) {
            detector.observe(told);
        }
        detector.swap_records(&mut self.records);
        self.records.drain(..).for_each(|record| outputs.write(&record));
    }
}

fn write(outputs: &mut Outputs, records: Vec<Record>) {
    for record in records {
        outputs.write(&record);
    }
}

/// What is left when the last frame or line has been dealt with.
struct End {
    stats: Stats,
    /// First and last time.
    span: Option<(Timestamp, Timestamp)>,
    /// When the run ends, for the last record.
    now: Timestamp,
    detector: Hearing,
    outputs: Outputs,
    /// What people should know of single lines of the input.
    remarks: Vec<String>,
    /// The state file has been left as it is to be.
    left: bool,
}

impl End {
    /// The end of a live run: each worker had a front of its own.
    #[cfg(live)]
    fn of_live(
        fronts: Vec<(FrontCounters, Option<(Timestamp, Timestamp)>, Timestamp)>,
        workers: Vec<WorkerCounters>,
        detector: Hearing,
        outputs: Outputs,
        left_out: u64,
    ) -> Self {
        let spans = fronts.iter().filter_map(|f| f.1);
        let span = spans.reduce(|a, b| (a.0.min(b.0), a.1.max(b.1)));
        let now = fronts.iter().filter(|f| f.0.frames > 0).map(|f| f.2).max().unwrap_or_default();
        let fronts: Vec<FrontCounters> = fronts.into_iter().map(|f| f.0).collect();
        let mut front = FrontCounters::default();
        fronts.iter().for_each(|c| front.add(c));
        let stats = Stats { front, fronts, workers, dropped: left_out, ..Stats::default() };
        Self { stats, span, now, detector, outputs, remarks: Vec::new(), left: true }
    }

    fn of_packets(front: &Front, workers: Vec<WorkerCounters>, detector: Hearing, outputs: Outputs) -> Self {
        let stats = Stats { front: front.counters(), workers, ..Stats::default() };
        let now = if stats.front.frames > 0 { front.now() } else { Timestamp::default() };
        Self { stats, span: front.span(), now, detector, outputs, remarks: Vec::new(), left: false }
    }

    /// Writes the last `stats`, ends the files, sums up.
    fn finish(self, faults: &[Fault], began: Instant) -> Result<RunSummary, Error> {
        let Self { stats, span, now, mut detector, mut outputs, mut remarks, left } = self;
        if !left && outputs.journal().is_some() {
            let batch = keep::whole(&mut detector, now);
            outputs.write_with(&batch, &[]);
        }
        remarks.extend(detector.blindness());
        remarks.extend_from_slice(detector.context_remarks());
        if let Some(journal) = outputs.journal() {
            journal.fetch_if_changed();
            remarks.extend(journal.fault().map(|damage| damage.to_string()));
        }
        let Hearing { detector, logs } = detector;
        let has_logs = logs.is_any();
        let (broken, more, endpoint) = logs.finish(&detector);
        remarks.extend(more);
        let (lines, dropped) = outputs.counters();
        let stats = Stats {
            uptime_secs: span.map_or(0, |(first, last)| last.since(first).secs() as u64),
            detect: detector.counters(),
            lines,
            dropped: stats.dropped + dropped,
            ..stats
        };
        outputs.write(&Record::Stats(Box::new(stats.clone()), now));
        let files = outputs.finish().map_err(Error::Output)?;
        let totals = detector.totals();
        Ok(RunSummary {
            stats,
            span,
            uploads: totals.largest(UPLOAD_ROWS),
            incidents: totals.incidents.clone(),
            home_bytes: Both { up: totals.home.0, down: totals.home.1 },
            endpoint: has_logs.then_some(endpoint),
            flows_by_side: totals.flows,
            outside_prefixes: totals.outside_prefixes(OUTSIDE_ROWS),
            learned_home: detector.home().learned().iter().map(ToString::to_string).collect(),
            wall_secs: began.elapsed().as_secs_f64(),
            files,
            faults: faults.iter().chain(&broken).map(ToString::to_string).collect(),
            remarks,
        })
    }
}
