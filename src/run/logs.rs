//! `egret logs`: flow logs instead of packets, through the same detector and outputs.

use super::{End, Error, Progress, Setup};
use crate::counters::{LogCounters, Stats};
use crate::history::History;
use crate::output::{Record, RunSummary};
use std::path::PathBuf;
use std::time::Instant;

/// What a run over logs needs.
pub struct LogSetup {
    /// Configuration, catalogue, outputs.
    pub setup: Setup,
    /// Write flows, names and DNS answers as well, not only what was found: the input holds them already.
    pub echo: bool,
}

/// Reads flow logs to their end.
pub fn logs(setup: LogSetup, paths: &[PathBuf], progress: Progress<'_>) -> Result<RunSummary, Error> {
    let began = Instant::now();
    let LogSetup { setup, echo } = setup;
    let mut hearing = setup.hearing();
    let mut outputs = setup.outputs;
    let mut history = History::open(paths, echo);
    let mut told = Vec::new();
    while history.fill(&mut told) {
        for told in told.drain(..) {
            hearing.observe(told);
        }
        for record in hearing.take_records() {
            if echo || is_finding(&record) {
                outputs.write(&record);
            }
        }
        let (read, of) = history.progress();
        progress(read, of);
    }
    hearing.finish(history.now());
    hearing.take_records().iter().for_each(|record| outputs.write(record));
    let tally = history.tally();
    let counters = LogCounters { lines: tally.lines, bad: tally.bad, held: history.counters() };
    let stats = Stats { logs: Some(counters), ..Stats::default() };
    let end =
        End { stats, span: history.span(), now: history.now(), hearing, outputs, remarks: tally.remarks() };
    end.finish(history.faults(), began)
}

/// What is new in the output of a run over logs.
fn is_finding(record: &Record) -> bool {
    match record {
        Record::Incident(_) | Record::Stats(..) => true,
        Record::Flow(_) | Record::FlowSum(_) | Record::Facts(_) | Record::Dns(_) => false,
    }
}
