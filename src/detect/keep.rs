//! The detector's part of a checkpoint, and its way back.
//!
//! Rows (what is learned, what hosts have sent) are handed over a few at a time; what stands beside them is small and is
//! written as a whole. What only bridges a stop of the program (flows under way, names by DNS) is written when the whole
//! is asked for: with logs, whose reader goes on where it was, and at the end.

use super::home::HomeKept;
use super::identity::Known;
use super::learn::Learner;
use super::pair::{Pair, PairKey};
use super::{Detector, Map, OpenFlow, agents, cases, dns, hosts};
use crate::observe::FlowId;
use crate::output::{Evidence, Identity};
use crate::signatures::ServiceId;
use crate::state::kept::{Cell, Id, Kept as KeptRow, Key, decode, encode};
use crate::state::policy::{Heard, Silences};
use crate::state::{Batch, CASE, Damage, Store, Table, UPLOAD};
use crate::units::{Span, Timestamp};
use serde::{Deserialize, Serialize};
use std::collections::VecDeque;
use std::hash::BuildHasher;
use std::net::IpAddr;
use std::sync::Arc;

/// A change of the configuration is a recent one for so long.
const LATELY: Span = Span::from_secs(86_400);

/// What keeping needs to remember.
#[derive(Debug, Default)]
pub(super) struct Memo {
    /// Hashes of the parts as they were written last.
    written: Map<&'static str, u64>,
    /// The run has a state file.
    outlives: bool,
    silences: Silences,
    /// When the configuration was changed last, and what in it.
    changed: Option<(Timestamp, String)>,
    /// The file was written with another catalogue: its rows by service are to be written anew.
    renumbered: bool,
}

/// Adds parts to a batch, but for those that have not changed.
pub(super) struct Keeping<'k> {
    batch: &'k mut Batch,
    written: &'k mut Map<&'static str, u64>,
}

impl Keeping<'_> {
    /// Adds a part if it has changed.
    pub(super) fn part<T: Serialize>(&mut self, name: &'static str, value: &T) {
        let bytes = encode(value);
        let hash = foldhash::quality::FixedState::with_seed(1567).hash_one(&bytes);
        if self.written.insert(name, hash) != Some(hash) {
            self.batch.parts.push((name, bytes));
        }
    }
}

/// Small things of the detector.
#[derive(Serialize, Deserialize)]
struct Rest {
    /// Services by number: rows name them so, and another catalogue numbers them otherwise.
    services: Vec<String>,
    open: Vec<PairKey>,
    open_cases: Vec<(u32, u32)>,
    checked: Timestamp,
    proxies: VecDeque<IpAddr>,
}

impl KeptRow for Pair {
    const TABLE: &'static Table = &UPLOAD;

    fn shown(&self) -> Vec<Cell> {
        let host = self.flows.first().map_or_else(String::new, |f| f.ends.originator.to_string());
        let (out, into) = (self.window.out() as i64, self.window.inward() as i64);
        let mut cells = vec![Cell::Text(host), Cell::Int(out), Cell::Int(into)];
        cells.extend(incident(self));
        cells
    }
}

impl KeptRow for cases::Case {
    const TABLE: &'static Table = &CASE;

    fn shown(&self) -> Vec<Cell> {
        let mut cells = vec![Cell::Int(self.pair.window.out() as i64)];
        cells.extend(incident(&self.pair));
        cells
    }
}

/// The incident that is open, and what has gone out since it began: records tell that at intervals only.
fn incident(pair: &Pair) -> [Cell; 2] {
    let open = pair.incident.as_ref();
    let id = open.map_or_else(String::new, |i| i.id.clone());
    [Cell::Text(id), Cell::Int(open.map_or(0, |i| i.up_bytes as i64))]
}

impl Key for PairKey {
    fn id(&self) -> Id {
        Id::Bytes(encode(self))
    }
}

impl Key for (u32, u32) {
    fn id(&self) -> Id {
        Id::Number(i64::from(self.0) << 32 | i64::from(self.1))
    }
}

impl Detector {
    /// Follows changes from now on, for checkpoints.
    ///
    /// Incidents then stay open at the end of a run: the next one goes on with them. `silences`: what analysts have
    /// said; `changed`: when the configuration was changed last, and what in it.
    pub fn keep_track(&mut self, silences: Silences, changed: Option<(Timestamp, String)>) {
        self.pairs.follow(self.kept.renumbered);
        self.base.cases.follow(false);
        (self.kept.outlives, self.kept.silences, self.kept.changed) = (true, silences, changed);
    }

    /// What outlives this run.
    pub fn is_kept(&self) -> bool {
        self.kept.outlives
    }

    /// What an analyst has said of such an upload.
    pub(super) fn silenced(
        &self,
        identity: &Identity,
        out: u64,
        now: Timestamp,
        count: bool,
    ) -> Option<Evidence> {
        if !self.kept.outlives {
            return None;
        }
        let service = identity.class.as_ref().map(|c| &*c.service);
        let host = identity.host.as_ref().map(|h| h.ip);
        self.kept.silences.cover(&Heard { host, service, name: identity.name.as_deref(), out, now }, count)
    }

    /// The newest change of the configuration, if it was within a day.
    pub(super) fn changed_lately(&self, now: Timestamp) -> Option<&str> {
        let (at, keys) = self.kept.changed.as_ref()?;
        (now.since(*at) < LATELY && now >= *at).then_some(keys.as_str())
    }

    /// A checkpoint of this moment begins; its rows come from [`Detector::hand_over`]. `whole`: with what only bridges a
    /// stop of the program.
    pub fn freeze(&mut self, whole: bool, now: Timestamp) -> Batch {
        let mut batch = Batch { now: now.nanos(), ..Batch::default() };
        if std::mem::take(&mut self.kept.renumbered) {
            batch.emptied.push(&UPLOAD);
        }
        self.pairs.freeze();
        self.base.cases.freeze();
        self.base.learner.freeze(&mut batch);
        let mut written = std::mem::take(&mut self.kept.written);
        let mut keep = Keeping { batch: &mut batch, written: &mut written };
        self.base.roster.freeze(&mut keep);
        keep.part("home", &self.home.kept());
        keep.part("machines", &self.memory.hosts);
        let rest = Rest {
            services: self.namer.catalogue().services().map(|s| s.slug.clone()).collect(),
            open: self.open.clone(),
            open_cases: self.base.open.clone(),
            checked: self.checked,
            proxies: self.memory.proxies().clone(),
        };
        keep.part("detector", &rest);
        keep.part("calibration", &self.base.calibration);
        if whole {
            keep.part("flows", &self.flows);
            if let Some(attributing) = &self.attributing {
                keep.part("habits", attributing.senders.watch.habits());
            }
            keep.part("answers", &self.resolved);
            keep.part("names", &self.base.names);
            keep.part("agents", self.memory.agents());
        }
        self.kept.written = written;
        batch
    }

    /// Adds at most `most` rows to a checkpoint. True: it is complete.
    pub fn hand_over(&mut self, most: usize, batch: &mut Batch) -> bool {
        let (mut left, out) = (most, &mut batch.rows);
        self.base.learner.hand_over(&mut left, out);
        self.base.roster.hand_over(&mut left, out);
        self.pairs.hand_over(&mut left, out);
        self.base.cases.hand_over(&mut left, out);
        left > 0
    }

    /// Goes on where a state file ends.
    pub fn restore(&mut self, store: &Store) -> Result<(), Damage> {
        let Some(rest) = store.part::<Rest>("detector")? else { return Ok(()) };
        self.base.learner = Learner::restore(store)?;
        self.base.learner.levels = super::rules::levels(&self.config);
        let hosts = self.base.learner.hosts();
        self.base.roster.restore(store, hosts)?;
        self.base.learner.reassign(|place| self.base.roster.part_at(place));
        if let Some(home) = store.part::<HomeKept>("home")? {
            self.home.restore(home);
        }
        self.memory.hosts = store.part::<hosts::Hosts>("machines")?.unwrap_or_default();
        let agents = store.part::<agents::Agents>("agents")?.unwrap_or_default();
        self.memory.restore(rest.proxies, agents);
        self.resolved = store.part::<dns::Resolved>("answers")?.unwrap_or_default();
        self.base.names = store.part("names")?.unwrap_or_default();
        self.base.calibration = store.part("calibration")?.unwrap_or_default();
        self.checked = rest.checked;
        let numbers = self.numbers(&rest.services);
        self.restore_pairs(store, &numbers, rest.open)?;
        self.restore_cases(store, rest.open_cases)?;
        if let Some(attributing) = self.attributing.as_mut() {
            attributing.senders.watch.restore(store.part("habits")?.unwrap_or_default());
        }
        let flows: Map<FlowId, OpenFlow> = store.part("flows")?.unwrap_or_default();
        for (id, mut flow) in flows {
            renumber(&mut flow.known, &numbers);
            renumber(&mut flow.inferred_known, &numbers);
            flow.pair = flow.pair.and_then(|key| renumbered(key, &numbers));
            let inside = |p: &(u32, u32)| (p.0 as usize) < hosts && self.base.learner.has_target(p.1);
            flow.place = flow.place.filter(inside);
            self.flows.insert(id, flow);
        }
        Ok(())
    }

    fn restore_pairs(&mut self, store: &Store, numbers: &Numbers, open: Vec<PairKey>) -> Result<(), Damage> {
        store.rows(|id, mut pair: Pair| {
            let Id::Bytes(bytes) = id else { return Err("its key is none") };
            let key = decode::<PairKey>(&bytes).ok_or("its key is none")?;
            renumber(&mut pair.known, numbers);
            if let Some(key) = renumbered(key, numbers) {
                self.pairs.put_known(key, pair);
            }
            Ok(())
        })?;
        self.open = open.into_iter().filter_map(|key| renumbered(key, numbers)).collect();
        self.open.retain(|key| self.pairs.contains_key(key));
        self.kept.renumbered = numbers.changed;
        Ok(())
    }

    fn restore_cases(&mut self, store: &Store, open: Vec<(u32, u32)>) -> Result<(), Damage> {
        let (hosts, learner) = (self.base.learner.hosts(), &self.base.learner);
        let cases = &mut self.base.cases;
        store.rows(|id, case: cases::Case| {
            let Id::Number(number) = id else { return Err("its key is none") };
            let key = ((number >> 32) as u32, number as u32);
            if key.0 as usize >= hosts || !learner.has_target(key.1) {
                return Err("its host or its destination is missing");
            }
            cases.put_known(key, case);
            Ok(())
        })?;
        self.base.open = open;
        self.base.open.retain(|key| self.base.cases.contains_key(key));
        Ok(())
    }

    /// What the numbers of services in the file are here.
    fn numbers(&self, slugs: &[String]) -> Numbers {
        let catalogue = self.namer.catalogue();
        let here: Vec<Option<ServiceId>> = slugs.iter().map(|slug| catalogue.find(slug)).collect();
        let same = |(i, id): (usize, &Option<ServiceId>)| id.is_some_and(|id| id.index() == i);
        let changed = !here.iter().enumerate().all(same);
        Numbers { here, changed }
    }
}

/// Numbers of services in a file as numbers of the catalogue in use.
struct Numbers {
    here: Vec<Option<ServiceId>>,
    changed: bool,
}

fn renumbered(key: PairKey, numbers: &Numbers) -> Option<PairKey> {
    let service = numbers.here.get(key.service.index()).copied().flatten()?;
    Some(PairKey { service, ..key })
}

fn renumber(known: &mut Option<Arc<Known>>, numbers: &Numbers) {
    let Some(old) = known else { return };
    let Some(service) = numbers.here.get(old.service.index()).copied().flatten() else {
        *known = None;
        return;
    };
    if old.service != service {
        Arc::make_mut(old).service = service;
    }
}
