//! How far logs have been read, kept in the state file: a run that was stopped or killed goes on where it was, and a
//! log that has been read is not read twice, whatever it is called or packed with by then.

use super::entry::Entry;
use super::hold::HoldKept;
use super::input::{Input, Mark};
use super::{History, Source, State};
use crate::detect::Map;
use crate::state::kept::{Cell, Id, Kept, Row};
use crate::state::{Batch, Damage, INPUT, Store, Table};
use serde::{Deserialize, Serialize};

/// Name of the part.
const PART: &str = "reading";

/// A log, by its first entry, and how far it has been read.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Progress {
    path: String,
    /// Bytes on the disk when it was read to its end.
    size: u64,
    done: bool,
    mark: Mark,
    /// Read already, and not used yet.
    first: Option<Entry>,
}

impl Kept for Progress {
    const TABLE: &'static Table = &INPUT;

    fn shown(&self) -> Vec<Cell> {
        let lines = Cell::Int(self.mark.lines as i64);
        vec![Cell::Text(self.path.clone()), lines, Cell::Int(i64::from(self.done))]
    }
}

/// What is common to all logs of a run.
#[derive(Serialize, Deserialize)]
struct Reading {
    hold: HoldKept,
    lines: u64,
    bad: Vec<u64>,
}

/// What an earlier run has left.
#[derive(Default)]
pub struct Earlier {
    reading: Option<Reading>,
    inputs: Map<u64, Progress>,
}

impl Earlier {
    /// Reads it from a state file.
    pub fn read(store: &Store) -> Result<Self, Damage> {
        let mut inputs = Map::default();
        store.rows(|id, progress: Progress| {
            let Id::Number(identity) = id else { return Err("its key is none") };
            inputs.insert(identity as u64, progress);
            Ok(())
        })?;
        Ok(Self { reading: store.part(PART)?, inputs })
    }

    /// Something was read, but not everything of it has been told.
    pub fn holds_back(&self) -> bool {
        self.reading.as_ref().is_some_and(|r| r.hold.holds())
    }

    /// Nothing was ever read.
    pub fn is_empty(&self) -> bool {
        self.reading.is_none()
    }
}

/// What is known of a log.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Known {
    /// Nothing.
    New,
    /// A part of it has been read.
    Begun,
    /// It has been read.
    Done,
}

impl History {
    /// Goes on where an earlier run was.
    pub(super) fn resume(&mut self, earlier: Earlier) {
        let Earlier { reading, inputs } = earlier;
        if let Some(reading) = reading {
            self.hold.restore(reading.hold);
            self.tally.lines += reading.lines;
            for (count, more) in self.tally.bad.iter_mut().zip(reading.bad) {
                *count += more;
            }
        }
        self.inputs = inputs;
    }

    /// The source of a log that has been opened and looked at, if there is anything left to read.
    pub(super) fn known(&self, size: u64, input: &mut Input) -> Known {
        let Some(progress) = input.identity().and_then(|identity| self.inputs.get(&identity)) else {
            return Known::New;
        };
        if progress.done && progress.size == size && size > 0 {
            return Known::Done;
        }
        let progress = progress.clone();
        input.skip(progress.mark, progress.first);
        Known::Begun
    }

    /// Adds to a checkpoint how far everything has been read.
    pub fn freeze(&mut self, batch: &mut Batch) {
        let bad = self.tally.bad.to_vec();
        batch.part(PART, &Reading { hold: self.hold.kept(), lines: self.tally.lines, bad });
        for source in &mut self.sources {
            if let Some((identity, progress)) = source.progress() {
                batch.rows.push(Row::put(Id::Number(identity as i64), &progress));
                self.inputs.insert(identity, progress);
            }
        }
    }

    /// A log is read to its end.
    pub(super) fn note_done(&mut self, at: usize, input: &Input) {
        if let (Some(source), Some(identity)) = (self.sources.get_mut(at), input.identity()) {
            source.ended = Some((identity, source.progress_of(input, true)));
        }
    }

    /// Tells everything that is held, as at the end of all logs.
    pub fn drain(&mut self, out: &mut Vec<crate::observe::Told>) {
        self.hold.tell(None, &mut self.maker.names, out);
    }
}

impl Source {
    fn progress(&mut self) -> Option<(u64, Progress)> {
        match &self.state {
            State::Open(input) => Some((input.identity()?, self.progress_of(input, false))),
            State::Done => self.ended.take(),
            State::Waiting(_) => None,
        }
    }

    fn progress_of(&self, input: &Input, done: bool) -> Progress {
        let (mark, first) = input.mark();
        Progress { path: self.path.display().to_string(), size: self.size, done, mark, first }
    }
}

/// Nothing is held back any more: who has taken it over says so in its first checkpoint.
pub fn taken(batch: &mut Batch) {
    let hold = super::hold::Hold::default().kept();
    batch.part(PART, &Reading { hold, lines: 0, bad: Vec::new() });
}

/// What is held back, told at once: a sensor that takes a state over has no more logs to wait for.
pub fn drain(earlier: Earlier, out: &mut Vec<crate::observe::Told>) -> Option<crate::units::Timestamp> {
    let mut history = History::open(&[], false);
    history.resume(earlier);
    history.drain(out);
    history.span().map(|(_, now)| now)
}
