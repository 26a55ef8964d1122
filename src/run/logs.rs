//! `egret logs`: flow logs instead of packets, through the same detector and outputs.

use super::{End, Error, Progress, Setup, keep};
use crate::counters::{LogCounters, Stats};
use crate::detect::Detector;
use crate::history::History;
use crate::history::keep::Earlier;
use crate::output::file::Outputs;
use crate::output::{Record, RunSummary};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// What a run over logs needs.
pub struct LogSetup {
    /// Configuration, catalogue, outputs.
    pub setup: Setup,
    /// Write flows, names and DNS answers as well, not only what was found: the input holds them already.
    pub echo: bool,
    /// Set from outside to stop: with a state file the next run goes on from here.
    pub stop: Arc<AtomicBool>,
}

/// Reads flow logs to their end.
pub fn logs(setup: LogSetup, paths: &[PathBuf], progress: Progress<'_>) -> Result<RunSummary, Error> {
    let began = Instant::now();
    let LogSetup { mut setup, echo, stop } = setup;
    let woken = setup.woken_bare()?;
    let mut detector = setup.hearing(woken);
    if !echo {
        detector.only_findings();
    }
    let every = Duration::from_nanos(setup.config.checkpoint_every.nanos().unsigned_abs());
    let mut outputs = setup.outputs;
    let earlier = outputs.journal().map(|journal| Earlier::read(journal.store())).transpose()?;
    let mut history = History::go_on(paths, echo, earlier.unwrap_or_default());
    let (mut told, mut last, mut flushing) = (Vec::new(), Instant::now(), false);
    loop {
        let stopped = stop.load(Ordering::Relaxed);
        // What is told when all has been read is told again, the same, when there turns out to be more: the state is that
        // of before. So a run over half of the logs and one over the rest give what one over all gives.
        let is_last = history.is_read() && !flushing;
        if detector.is_kept() && !flushing && (stopped || is_last || last.elapsed() >= every) {
            checkpoint(&mut detector, &mut history, &mut outputs);
            last = Instant::now();
        }
        flushing |= is_last;
        if stopped || !history.fill(&mut told) {
            break;
        }
        for told in told.drain(..) {
            detector.observe(told);
        }
        for record in detector.take_records() {
            if echo || is_finding(&record) {
                outputs.write(&record);
            }
        }
        let (read, of) = history.progress();
        progress(read, of);
    }
    detector.finish(history.now());
    detector.take_records().iter().for_each(|record| outputs.write(record));
    let tally = history.tally();
    let counters = LogCounters { lines: tally.lines, bad: tally.bad, held: history.counters() };
    let stats = Stats { logs: Some(counters), ..Stats::default() };
    let (span, now, remarks) = (history.span(), history.now(), tally.remarks());
    let end = End { stats, span, now, detector, outputs, remarks, left: true };
    end.finish(history.faults(), began)
}

/// The state of the detector and the place in the logs, in one transaction.
fn checkpoint(detector: &mut Detector, history: &mut History, outputs: &mut Outputs) {
    let mut batch = keep::whole(detector, history.now());
    history.freeze(&mut batch);
    // For people, and for what they say of the future, the state is of the time that has been read.
    batch.now = history.read_to().nanos();
    outputs.write_with(&batch, &[]);
}

/// What is new in the output of a run over logs.
fn is_finding(record: &Record) -> bool {
    match record {
        Record::Incident(_) | Record::Stats(..) => true,
        Record::Flow(_) | Record::FlowSum(_) | Record::Facts(_) | Record::Dns(_) => false,
    }
}
