//! Endpoint logs beside a run over files: read as far ahead as the packets have come, and handed to the detector before
//! the tellings of that time.
//!
//! How far a log has come is told by its own times, corrected where its clock is known. Of all files the one that is
//! furthest behind is read next, until all are [`AHEAD`] of the packets. That is enough for logs that were written late,
//! and little enough for a log of a month. While no clock of a log is known it may be hours or days off: as many as
//! [`BLIND`] events of all such logs are read further ahead, so that the first connections are found wherever the clock
//! puts them, and teach it. What is read depends on the packets' time alone, so that every run gives the same.

use crate::capture::{Fault, listing};
use crate::config::EndpointInput;
use crate::detect::Detector;
use crate::endpoint::{EndpointEvent, Formats, Hint, Read, Tally};
use crate::observe::Told;
use crate::output::EndpointTotals;
use crate::units::{Span, Timestamp};
use std::collections::VecDeque;
use std::ops::{Deref, DerefMut};
use std::path::{Path, PathBuf};

/// Logs are read so far ahead of the packets.
const AHEAD: Span = Span::from_secs(3_600);
/// Events read ahead of logs of which no clock is known.
const BLIND: u64 = 200_000;
/// Times of a file whose median tells how far it has come.
const TIMES: usize = 33;
/// How often a file that waits is asked for its time anew.
const LOOK_EVERY: Span = Span::from_secs(60);
/// Events handed on before all files are asked again.
const TURN: usize = 256;
/// Files open at a time; those whose time is far off are opened again.
const OPEN_MAX: usize = 128;

/// A log file.
struct Log {
    path: PathBuf,
    format: Option<String>,
    named: bool,
    read: Option<Box<Read<'static>>>,
    /// Read and not handed on yet.
    next: VecDeque<EndpointEvent>,
    /// Events handed on, for telling the clocks of its times.
    last: VecDeque<EndpointEvent>,
    /// The time up to which it has been handed on; while it is closed, where it begins; the earliest for one that nobody
    /// has looked into.
    reached: i64,
    /// The clock of some event that it had last is known.
    knows_a_clock: bool,
    /// Why it could not be opened.
    broken: Option<String>,
    opened: bool,
    ended: bool,
}

/// See the module.
#[derive(Default)]
pub(super) struct EndpointLogs {
    logs: Vec<Log>,
    /// Packet time up to which the logs have been read.
    now: Option<Timestamp>,
    /// When all files were last asked how far they have come: clocks may have been learned since.
    looked: Option<Timestamp>,
    blind: u64,
    faults: Vec<Fault>,
    remarks: Vec<String>,
    totals: EndpointTotals,
}

impl EndpointLogs {
    /// Finds the files; none is read yet.
    pub(super) fn open(inputs: &[EndpointInput]) -> Self {
        let mut logs = Self::default();
        for input in inputs {
            let found = listing::list(std::slice::from_ref(&input.path), &mut logs.faults);
            for file in found {
                logs.logs.push(Log::new(file.path, input.format.clone(), file.named));
            }
        }
        logs
    }

    /// There are files to read.
    pub(super) fn is_any(&self) -> bool {
        !self.logs.is_empty()
    }

    /// Reads on to what belongs to a time.
    pub(super) fn advance(&mut self, now: Timestamp, detector: &mut Detector) {
        if self.logs.is_empty() || self.now.is_some_and(|old| now.since(old) < Span::from_secs(1)) {
            return;
        }
        self.now = Some(now);
        let horizon = now.plus(AHEAD).nanos();
        if self.looked.is_none_or(|looked| now.since(looked) >= LOOK_EVERY) {
            self.looked = Some(now);
            self.logs.iter_mut().filter(|log| !log.ended).for_each(|log| log.look(detector));
        }
        loop {
            // One whose clock is not known is read on, wherever it says it is.
            let seeks = |log: &Log| !log.knows_a_clock && self.blind < BLIND;
            let wanted = |log: &Log| !log.ended && (log.reached <= horizon || seeks(log));
            let behind = self.logs.iter().enumerate().filter(|(_, log)| wanted(log));
            let Some((reached, at)) = behind.map(|(i, log)| (log.reached, i)).min() else { return };
            let blind = reached > horizon;
            let open = self.logs.iter().filter(|l| l.read.is_some()).count();
            let Some(log) = self.logs.get_mut(at) else { return };
            let handed = log.hand_on(now, detector);
            log.look(detector);
            self.totals.events += handed;
            self.blind += if blind { handed } else { 0 };
            if log.ended || (log.next.is_empty() && log.read.is_none()) {
                log.end(&mut self.faults, &mut self.remarks);
            } else if open > OPEN_MAX {
                self.close_the_furthest(at);
            }
        }
    }

    fn close_the_furthest(&mut self, but: usize) {
        let fresh = |(i, log): &(usize, &mut Log)| *i != but && log.read.is_some() && log.last.is_empty();
        let furthest = self.logs.iter_mut().enumerate().filter(fresh).max_by_key(|(_, l)| l.reached);
        if let Some((_, log)) = furthest {
            log.close();
        }
    }

    /// What was wrong with files, and what people should know; call it when the run is over.
    pub(super) fn finish(mut self, detector: &Detector) -> (Vec<Fault>, Vec<String>, EndpointTotals) {
        for log in self.logs.iter_mut().filter(|l| !l.ended && l.opened) {
            log.end(&mut self.faults, &mut self.remarks);
        }
        self.remarks.extend(detector.clock_remarks());
        if let Some(counters) = detector.join_counters() {
            self.totals.counters = counters;
        }
        self.totals.files = self.logs.iter().filter(|l| l.opened).count() as u64;
        (self.faults, self.remarks, self.totals)
    }
}

impl Log {
    fn new(path: PathBuf, format: Option<String>, named: bool) -> Self {
        Self {
            path,
            format,
            named,
            read: None,
            next: VecDeque::new(),
            last: VecDeque::new(),
            reached: i64::MIN,
            knows_a_clock: false,
            broken: None,
            opened: false,
            ended: false,
        }
    }

    /// Finds out how far it has come, by the clocks as they are known now.
    fn look(&mut self, detector: &Detector) {
        let of = |e: &EndpointEvent| {
            let common = e.common();
            let at = common.at.nanos();
            at.saturating_sub(detector.clock_offset(common).unwrap_or(0))
        };
        let from = if self.last.is_empty() { &self.next } else { &self.last };
        self.knows_a_clock |= from.iter().any(|e| detector.clock_offset(e.common()).is_some());
        let mut times: Vec<i64> = from.iter().take(TIMES).map(of).collect();
        times.sort_unstable();
        self.reached = times.get(times.len() / 2).copied().unwrap_or(self.reached);
    }

    /// Hands on some events; how many.
    fn hand_on(&mut self, now: Timestamp, detector: &mut Detector) -> u64 {
        if self.read.is_none() && !self.opened_again() {
            self.ended = true;
            return 0;
        }
        let Some(read) = self.read.as_mut() else { return 0 };
        // At first only its times are wanted.
        if self.last.is_empty() && self.next.is_empty() {
            self.next.extend(read.by_ref().take(TIMES));
            self.ended = self.next.is_empty();
            return 0;
        }
        let mut handed = 0;
        while handed < TURN {
            let Some(event) = self.next.pop_front().or_else(|| read.next()) else {
                self.ended = true;
                break;
            };
            detector.endpoint(&event, now);
            if self.last.len() >= TIMES {
                self.last.pop_front();
            }
            self.last.push_back(event);
            handed += 1;
        }
        handed as u64
    }

    fn opened_again(&mut self) -> bool {
        let path = if self.path == Path::new("-") { Path::new("/dev/stdin") } else { &self.path };
        self.opened = true;
        match Read::open(path, Formats::built_in(), self.format.as_deref(), Hint::default()) {
            Ok(read) => self.read = Some(Box::new(read)),
            Err(error) => self.broken = Some(error.to_string()),
        }
        self.read.is_some()
    }

    /// Its time is far off: it is read from its beginning when it has come.
    fn close(&mut self) {
        (self.read, self.next) = (None, VecDeque::new());
    }

    /// Says what was wrong with it.
    fn end(&mut self, faults: &mut Vec<Fault>, remarks: &mut Vec<String>) {
        self.ended = true;
        let Some(mut read) = self.read.take() else {
            if let Some(what) = self.broken.take() {
                faults.push(Fault { file: self.path.clone(), offset: None, what });
            }
            return;
        };
        if let Some(error) = read.error.take() {
            faults.push(Fault { file: self.path.clone(), offset: None, what: error.to_string() });
        }
        remarks.extend(remark(&self.path, self.named, read.tally()));
        (self.next, self.last) = (VecDeque::new(), VecDeque::new());
    }
}

/// What people should know of the records of a file.
fn remark(path: &Path, named: bool, tally: &Tally) -> Option<String> {
    let path = path.display();
    let first = tally.first_bad.as_ref();
    if tally.events == 0 {
        // What only lies in a directory may be anything.
        let why = first.map_or("there is nothing in it", |f| f.reason.told());
        return named.then(|| {
            format!("{path}: no event of a known endpoint log ({why}); FORMAT= before the path names one")
        });
    }
    let first = first?;
    Some(format!(
        "{path}: {} of {} records could not be used, the first is number {} ({}): {}",
        tally.bad(),
        tally.records,
        first.record,
        first.reason.told(),
        first.quoted
    ))
}

/// A detector that hears endpoint logs before it hears of flows.
pub(super) struct Hearing {
    pub(super) detector: Detector,
    pub(super) logs: EndpointLogs,
}

impl Deref for Hearing {
    type Target = Detector;

    fn deref(&self) -> &Detector {
        &self.detector
    }
}

impl DerefMut for Hearing {
    fn deref_mut(&mut self) -> &mut Detector {
        &mut self.detector
    }
}

impl From<Detector> for Hearing {
    fn from(detector: Detector) -> Self {
        Self { detector, logs: EndpointLogs::default() }
    }
}

impl Hearing {
    pub(super) fn observe(&mut self, told: Told) {
        self.logs.advance(told.now, &mut self.detector);
        self.detector.observe(told);
    }

    pub(super) fn finish(&mut self, now: Timestamp) {
        self.logs.advance(now, &mut self.detector);
        self.detector.finish(now);
    }
}
