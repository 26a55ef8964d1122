//! The learner's part of a checkpoint: its rows, and what stands beside them.

use super::entry::Entry;
use super::host::{Host, Part};
use super::population::{Population, RATIOS};
use super::{Learner, Target};
use crate::detect::Map;
use crate::state::kept::{Cell, Id, Kept, Row};
use crate::state::{Batch, DESTINATION, Damage, HABIT, PAIR, SERVICE, Store, Table};
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// Name of the part.
const PART: &str = "learner";

/// What stands beside the rows.
#[derive(Serialize, Deserialize)]
struct Rest {
    day: u32,
    first: Option<i64>,
    global_ratio: [f64; RATIOS],
    both: Vec<u32>,
    free: Vec<u32>,
    hand: u64,
    evicted: u64,
}

impl Kept for Host {
    const TABLE: &'static Table = &HABIT;

    fn shown(&self) -> Vec<Cell> {
        let (first, last) = (i64::from(self.first_day), i64::from(self.day));
        vec![Cell::Int(first), Cell::Int(last), Cell::Int(self.day_bytes() as i64)]
    }
}

impl Kept for Target {
    const TABLE: &'static Table = &DESTINATION;

    fn shown(&self) -> Vec<Cell> {
        let kind = Cell::Text(self.kind.words().to_owned());
        vec![Cell::Text(self.key.to_string()), kind, Cell::Int(self.first), Cell::Int(i64::from(self.hosts))]
    }
}

impl Kept for Population {
    const TABLE: &'static Table = &SERVICE;

    fn shown(&self) -> Vec<Cell> {
        vec![Cell::Text(self.kind.words().to_owned()), Cell::Int(i64::from(self.hosts))]
    }
}

impl Kept for Entry {
    const TABLE: &'static Table = &PAIR;

    fn shown(&self) -> Vec<Cell> {
        [self.host, self.target, self.first_day(), self.day()]
            .into_iter()
            .map(|n| Cell::Int(i64::from(n)))
            .chain([Cell::Int(self.today() as i64)])
            .collect()
    }
}

impl Learner {
    /// What has changed so far is due; adds what stands beside the rows.
    pub(in super::super) fn freeze(&mut self, batch: &mut Batch) {
        self.hosts.freeze();
        self.targets.freeze();
        self.populations.freeze();
        self.entries.freeze();
        let rest = Rest {
            day: self.day,
            first: self.first,
            global_ratio: self.global_ratio,
            both: self.both.clone(),
            free: self.free.clone(),
            hand: self.hand as u64,
            evicted: self.evicted,
        };
        batch.part(PART, &rest);
    }

    /// Hands over at most `most` rows of what is due.
    pub(in super::super) fn hand_over(&mut self, most: &mut usize, out: &mut Vec<Row>) {
        self.hosts.hand_over(most, out);
        self.targets.hand_over(most, out);
        self.populations.hand_over(most, out);
        self.entries.hand_over(most, out);
    }

    /// What a state file has kept. Its rows are taken as they are only where they fit each other: a file is no more to
    /// be trusted than any other input.
    pub(in super::super) fn restore(store: &Store) -> Result<Self, Damage> {
        let mut new = Self::default();
        let Some(rest) = store.part::<Rest>(PART)? else { return Ok(new) };
        store.rows(|at, host: Host| in_order(&at, new.hosts.len()).map(|()| new.hosts.push_known(host)))?;
        store.rows(|at, p: Population| {
            in_order(&at, new.populations.len()).map(|()| new.populations.push_known(p))
        })?;
        let populations = new.populations.len();
        store.rows(|at, target: Target| {
            in_order(&at, new.targets.len())?;
            if target.population.iter().flatten().any(|p| *p as usize >= populations) {
                return Err("its service is missing");
            }
            new.targets.push_known(target);
            Ok(())
        })?;
        let (hosts, targets) = (new.hosts.len(), new.targets.len());
        store.rows(|at, entry: Entry| {
            in_order(&at, new.entries.len())?;
            if entry.host as usize >= hosts || entry.target as usize >= targets {
                return Err("its host or its destination is missing");
            }
            new.entries.push_known(entry);
            Ok(())
        })?;
        (new.day, new.first, new.global_ratio) = (rest.day, rest.first, rest.global_ratio);
        (new.hand, new.evicted, new.both) = (rest.hand as usize, rest.evicted, rest.both);
        new.free = rest.free;
        if new.free.iter().any(|id| *id as usize >= new.entries.len()) {
            return Err(store.nonsense("a pair that was given up is missing"));
        }
        new.index();
        Ok(new)
    }

    /// Hosts that are known.
    pub fn hosts(&self) -> usize {
        self.hosts.len()
    }

    /// Destinations that are known.
    pub fn targets(&self) -> usize {
        self.targets.len()
    }

    /// First telling in seconds, and the newest day.
    pub fn span(&self) -> (Option<i64>, u32) {
        (self.first, self.day)
    }

    /// First day and number of destinations of each host.
    pub fn destinations_by_host(&self) -> Vec<(u32, usize)> {
        let mut counts: Vec<(u32, usize)> = self.hosts.iter().map(|h| (h.first_day, 0)).collect();
        for entry in self.entry_of.places().filter_map(|id| self.entries.get(id as usize)) {
            if let Some(count) = counts.get_mut(entry.host as usize) {
                count.1 += 1;
            }
        }
        counts
    }

    /// What a host sends where.
    pub fn entries_of(&self, host: u32) -> impl Iterator<Item = (&Target, &Entry)> {
        let entries = self.entry_of.places().filter_map(|id| self.entries.get(id as usize));
        entries
            .filter(move |entry| entry.host == host)
            .filter_map(|entry| Some((self.targets.get(entry.target as usize)?, entry)))
    }

    /// There is a destination at this place.
    pub fn has_target(&self, place: u32) -> bool {
        (place as usize) < self.targets.len()
    }

    /// What the site says of hosts may have changed since they were kept.
    pub(in super::super) fn reassign(&mut self, part: impl Fn(u32) -> Option<Part>) {
        for place in 0..self.hosts.len() {
            if let Some(part) = part(place as u32)
                && self.hosts[place].part != part
            {
                self.hosts[place].part = part;
            }
        }
    }

    /// What is found by key, from the rows.
    fn index(&mut self) {
        self.target_of =
            self.targets.iter().enumerate().map(|(i, t)| (Arc::clone(&t.key), i as u32)).collect();
        let mut population_of = Map::default();
        for target in &self.targets {
            for (gateways, place) in [(false, target.population[0]), (true, target.population[1])] {
                if let Some(place) = place {
                    population_of.insert((Arc::clone(&target.service), gateways), place);
                }
            }
        }
        self.population_of = population_of;
        let free: std::collections::HashSet<u32> = self.free.iter().copied().collect();
        for (id, entry) in self.entries.iter().enumerate() {
            let id = id as u32;
            if !free.contains(&id) {
                self.entry_of.insert(id, &self.entries);
            }
            if entry.touched {
                self.touched.push(id);
            }
        }
    }
}

fn in_order(at: &Id, next: usize) -> Result<(), &'static str> {
    if *at == Id::Number(next as i64) { Ok(()) } else { Err("the row before it is missing") }
}
