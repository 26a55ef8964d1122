//! A run and its state file: woken from it, written into it now and then, left in it at the end.

use super::{Error, Setup};
use crate::config::Config;
use crate::detect::Detector;
use crate::history::keep::{self as reading, Earlier};
use crate::output::Record;
use crate::output::file::Outputs;
use crate::signatures::Catalogue;
use crate::state::journal::Journal;
use crate::state::policy::Silences;
use crate::state::{Batch, Damage, Store};
use crate::units::Timestamp;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Rows handed over at a time while packets wait.
pub(super) const SLICE: usize = 2_048;
/// Silences that another program has written are fetched so often.
const FETCH_EVERY: Duration = Duration::from_secs(2);

impl Setup {
    /// The detector of a run that reads no logs: woken from the state file, where there is one, with all that an
    /// earlier run over logs had read and not told yet.
    pub(super) fn woken(&mut self) -> Result<Detector, Error> {
        let mut detector = self.woken_bare()?;
        let Some(journal) = self.outputs.journal() else { return Ok(detector) };
        let earlier = Earlier::read(journal.store())?;
        if !earlier.holds_back() {
            return Ok(detector);
        }
        let mut told = Vec::new();
        let now = reading::drain(earlier, &mut told).unwrap_or_default();
        told.into_iter().for_each(|told| detector.observe(told));
        for record in detector.take_records() {
            if matches!(record, Record::Incident(_)) {
                self.outputs.write(&record);
            }
        }
        let mut batch = whole(&mut detector, now);
        reading::taken(&mut batch);
        self.outputs.write_with(&batch, &[]);
        Ok(detector)
    }

    /// The same without what logs have left: who reads them goes on there.
    pub(super) fn woken_bare(&mut self) -> Result<Detector, Error> {
        let mut detector = self.detector();
        let facts = crate::config::in_words(&self.config);
        let Some(journal) = self.outputs.journal() else { return Ok(detector) };
        let silences = Silences::default();
        journal.watch(silences.clone());
        let store = journal.store();
        detector.restore(store)?;
        let now = store.now()?.unwrap_or_else(wall);
        store.note_configuration(&facts.hash, &facts.text, now)?;
        detector.keep_track(silences, store.last_change()?);
        journal.fetch()?;
        Ok(detector)
    }
}

/// Books what logs have left in a state file, so that its rows hold everything.
pub fn settle(config: &Config, catalogue: Arc<Catalogue>, store: &mut Store) -> Result<(), Error> {
    let now = store.now()?.unwrap_or_default();
    let mut detector = asleep(config, catalogue, store)?;
    let mut batch = whole(&mut detector, now);
    reading::taken(&mut batch);
    Ok(store.commit(&batch, |_| Ok(()))?)
}

/// The detector that a state file holds, to be looked at: with what logs have left, and nothing written.
pub fn asleep(config: &Config, catalogue: Arc<Catalogue>, store: &Store) -> Result<Detector, Error> {
    let home = config.home_net.clone();
    let mut detector = Detector::new(config.detect.clone(), &config.sensor, config.seed, home, catalogue)
        .with_site(config.facts.clone(), super::assets_of(config));
    detector.restore(store)?;
    detector.keep_track(Silences::default(), None);
    let mut told = Vec::new();
    reading::drain(Earlier::read(store)?, &mut told);
    told.into_iter().for_each(|told| detector.observe(told));
    Ok(detector)
}

/// The one place where the clock on the wall stands for packet time: the configuration of a state without any time.
fn wall() -> Timestamp {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    Timestamp::new(since.as_secs() as i64, 0)
}

/// A checkpoint at once, with everything.
pub(super) fn whole(detector: &mut Detector, now: Timestamp) -> Batch {
    let mut batch = detector.freeze(true, now);
    while !detector.hand_over(usize::MAX, &mut batch) {}
    batch
}

/// A checkpoint, and the records that must not be without it, nor it without them.
pub(super) struct Keep {
    pub(super) batch: Batch,
    pub(super) records: Vec<Record>,
}

/// Checkpoints while packets wait: a moment is frozen, its rows are taken a slice at a time.
pub(super) struct Checkpoints {
    every: Duration,
    last: Instant,
    begun: Option<Batch>,
}

impl Checkpoints {
    pub(super) fn new(every: Duration) -> Self {
        Self { every, last: Instant::now(), begun: None }
    }

    /// A slice of work; a checkpoint when it is complete. `more` adds what else belongs to its moment.
    pub(super) fn turn(
        &mut self,
        detector: &mut Detector,
        more: &dyn Fn(&mut Batch),
        now: Timestamp,
        at: Instant,
    ) -> Option<Keep> {
        if self.begun.is_none() {
            if at.duration_since(self.last) < self.every {
                return None;
            }
            self.last = at;
            let mut batch = detector.freeze(false, now);
            more(&mut batch);
            self.begun = Some(batch);
        }
        let batch = self.begun.as_mut()?;
        if !detector.hand_over(SLICE, batch) {
            return None;
        }
        self.begun.take().map(|batch| Keep { batch, records: Vec::new() })
    }

    /// The moment of now, and what was begun before: an incident must not be forgotten once it has been told.
    pub(super) fn at_once(
        &mut self,
        detector: &mut Detector,
        more: &dyn Fn(&mut Batch),
        now: Timestamp,
        all: bool,
        records: Vec<Record>,
    ) -> Vec<Keep> {
        let mut keeps = Vec::new();
        if let Some(mut batch) = self.begun.take() {
            while !detector.hand_over(usize::MAX, &mut batch) {}
            keeps.push(Keep { batch, records: Vec::new() });
        }
        let mut batch = detector.freeze(all, now);
        more(&mut batch);
        while !detector.hand_over(usize::MAX, &mut batch) {}
        keeps.push(Keep { batch, records });
        keeps
    }
}

/// What the writer does beside writing: hits of silences are counted, new ones fetched.
pub(super) struct Fetcher(Instant);

impl Fetcher {
    pub(super) fn new() -> Self {
        Self(Instant::now())
    }

    pub(super) fn turn(&mut self, outputs: &mut Outputs) {
        if self.0.elapsed() >= FETCH_EVERY
            && let Some(journal) = outputs.journal()
        {
            self.0 = Instant::now();
            journal.fetch_if_changed();
        }
    }
}

/// Lines that were noted before a crash and may not have been written. A live run has no input to make them again.
pub(super) fn catch_up(outputs: &mut Outputs) -> Result<(), Error> {
    let Some(unwritten) = outputs.journal().map(|journal| Journal::unwritten(journal)) else { return Ok(()) };
    for record in unwritten? {
        outputs.repeat(&record.line);
        outputs.flush();
        if let Some(journal) = outputs.journal() {
            journal.settle(&record);
        }
    }
    Ok(())
}

impl From<Damage> for Error {
    fn from(damage: Damage) -> Self {
        Self::State(damage.to_string())
    }
}
