//! What is known of a host: its age, its hours, its usual total, and which services it uses.

use super::entry::day_of;
use super::ring::{DAYS, Ring};
use serde::{Deserialize, Serialize};

/// Services remembered of one host.
const MAX_USES: usize = 256;
/// Destinations with a surprise in the trailing day.
const MAX_SPREAD: usize = 12;
/// Cells of the activity profile: hours of working days, hours of week-ends.
const CELLS: usize = 48;
/// Length of a slot of the total.
const SLOT_SECS: i64 = 3 * 3_600;

/// Names new to the network that one host may bring up in a day.
const MAX_MET: u32 = 2_000;
/// A surprise that only a destination never used before, or a thousandfold volume, has.
const NEW_SURPRISE: f32 = 2.0;

/// What the site says of a host.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug, Serialize, Deserialize)]
pub struct Part {
    /// Many users behind one address.
    pub gateway: bool,
    /// A server.
    pub server: bool,
    /// A hypervisor or its manager.
    pub hypervisor: bool,
}

/// A service that a host uses.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub struct Use {
    /// The population.
    pub population: u32,
    /// First and newest day.
    pub days: (u32, u32),
}

/// See the module.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Host {
    /// What the site says of it.
    pub part: Part,
    /// First day seen.
    pub first_day: u32,
    /// Newest day seen.
    pub day: u32,
    /// Bytes out to everything that is no noise and no call, per slot.
    slots: [u64; 8],
    newest: i64,
    /// Bytes fetched from inside the network, per slot of [`Host::slots`]' kind.
    pulled: [u64; 8],
    pulled_newest: i64,
    /// The same of that day.
    today: u64,
    /// The same of earlier days.
    pub days: Ring,
    /// Names that nobody had met, of that day.
    met: (u32, u32),
    #[serde(with = "crate::state::forms::array")]
    cells: [u16; CELLS],
    cells_total: u32,
    /// Services used, in the order of first use.
    pub uses: Vec<Use>,
    /// (destination, time, surprise) of the trailing day.
    spread: Vec<(u32, i64, f32)>,
}

impl Host {
    /// A host that is seen for the first time.
    pub fn new(part: Part, secs: i64) -> Self {
        let day = day_of(secs);
        Self {
            part,
            first_day: day,
            day,
            slots: [0; 8],
            newest: secs.div_euclid(SLOT_SECS),
            pulled: [0; 8],
            pulled_newest: secs.div_euclid(SLOT_SECS),
            today: 0,
            days: Ring::new(),
            met: (day, 0),
            cells: [0; CELLS],
            cells_total: 0,
            uses: Vec::new(),
            spread: Vec::new(),
        }
    }

    /// Ends the day if a new one has begun.
    pub fn roll(&mut self, day: u32) {
        if day > self.day {
            self.days.store(self.day, self.today.max(1), super::entry::VOLUME_UNIT);
            (self.day, self.today) = (day, 0);
        }
    }

    /// Books bytes to the total. The day must have been rolled.
    pub fn add(&mut self, secs: i64, up: u64) {
        let number = secs.div_euclid(SLOT_SECS);
        for step in 1..=number.saturating_sub(self.newest).clamp(0, 8) {
            self.slots[self.newest.saturating_add(step).rem_euclid(8) as usize] = 0;
        }
        self.newest = self.newest.max(number);
        let slot = &mut self.slots[self.newest.rem_euclid(8) as usize];
        *slot = slot.saturating_add(up);
        self.today = self.today.saturating_add(up);
    }

    /// Bytes were fetched from inside the network.
    pub fn pull(&mut self, secs: i64, bytes: u64) {
        let number = secs.div_euclid(SLOT_SECS);
        for step in 1..=number.saturating_sub(self.pulled_newest).clamp(0, 8) {
            self.pulled[self.pulled_newest.saturating_add(step).rem_euclid(8) as usize] = 0;
        }
        self.pulled_newest = self.pulled_newest.max(number);
        let slot = &mut self.pulled[self.pulled_newest.rem_euclid(8) as usize];
        *slot = slot.saturating_add(bytes);
    }

    /// Bytes fetched from inside the network in the day before.
    pub fn pulled(&self, secs: i64) -> u64 {
        if secs.div_euclid(SLOT_SECS) - self.pulled_newest > 8 {
            return 0;
        }
        self.pulled.iter().fold(0, |a, b| a.saturating_add(*b))
    }

    /// Destinations of the trailing day that were new to the host or far above its past, others than this.
    pub fn new_others(&self, target: u32, secs: i64) -> u32 {
        let new = |s: &&(u32, i64, f32)| s.0 != target && secs - s.1 < 86_400 && s.2 >= NEW_SURPRISE;
        self.spread.iter().filter(new).count() as u32
    }

    /// Bytes out in the trailing day.
    pub fn day_bytes(&self) -> u64 {
        self.slots.iter().fold(0, |a, b| a.saturating_add(*b))
    }

    /// Meets a name that nobody has met. False: it has met too many today.
    pub fn meets(&mut self, day: u32) -> bool {
        if self.met.0 != day {
            self.met = (day, 0);
        }
        self.met.1 = self.met.1.saturating_add(1);
        self.met.1 <= MAX_MET
    }

    /// A connection was opened: the host is awake.
    pub fn awake(&mut self, secs: i64) {
        let cell = &mut self.cells[cell(secs)];
        *cell = cell.saturating_add(1);
        self.cells_total = self.cells_total.saturating_add(1);
    }

    /// -log10 of how usual it is that this host is awake now, against an even day: positive at odd hours.
    pub fn odd_hour(&self, secs: i64) -> f64 {
        if self.cells_total < 200 {
            return 0.0;
        }
        let half = if cell(secs) >= 24 { 24 } else { 0 };
        let hour = cell(secs) % 24;
        let at = |h: usize| f64::from(self.cells[half + h % 24]);
        let total: f64 = (0..24).map(at).sum();
        let here = at(hour) + 0.5 * at(hour + 1) + 0.5 * at(hour + 23);
        // A week-end that has no life yet looks like the working days at night: everything is odd, a little.
        let p = (here + 1.0) / (2.0 * total + 24.0);
        (-(p * 24.0).log10()).clamp(-0.3, 1.3)
    }

    /// Notes that the host uses a service today. Says whether it had never before.
    pub fn uses(&mut self, population: u32, day: u32) -> bool {
        if let Some(known) = self.uses.iter_mut().find(|u| u.population == population) {
            known.days.1 = known.days.1.max(day);
            return false;
        }
        if self.uses.len() < MAX_USES {
            self.uses.push(Use { population, days: (day, day) });
        }
        true
    }

    /// Uses it, and did so within the memory.
    pub fn has_used(&self, population: u32, day: u32) -> bool {
        self.uses.iter().any(|u| u.population == population && u.days.1 + DAYS as u32 > day)
    }

    /// Notes the surprise of a destination, the largest of the day.
    pub fn surprised(&mut self, target: u32, secs: i64, surprise: f64) {
        self.spread.retain(|s| secs - s.1 < 86_400);
        if let Some(old) = self.spread.iter_mut().find(|s| s.0 == target) {
            *old = (target, secs, old.2.max(surprise as f32));
        } else if self.spread.len() < MAX_SPREAD {
            self.spread.push((target, secs, surprise as f32));
        } else if let Some(least) = self.spread.iter_mut().min_by(|a, b| a.2.total_cmp(&b.2))
            && f64::from(least.2) < surprise
        {
            *least = (target, secs, surprise as f32);
        }
    }

    /// Surprises of other destinations in the trailing day: their sum, the largest four, and their number.
    pub fn others(&self, target: u32, secs: i64) -> (f64, u32) {
        let mut values: Vec<f32> =
            self.spread.iter().filter(|s| s.0 != target && secs - s.1 < 86_400).map(|s| s.2).collect();
        values.sort_by(|a, b| b.total_cmp(a));
        (values.iter().take(4).map(|v| f64::from(*v)).sum(), values.len() as u32)
    }
}

/// The cell of the profile. Days are counted in UTC; the first of January 1970 was a Thursday.
fn cell(secs: i64) -> usize {
    let day = secs.div_euclid(86_400);
    let weekend = matches!((day + 3).rem_euclid(7), 5 | 6);
    secs.rem_euclid(86_400) as usize / 3_600 + if weekend { 24 } else { 0 }
}
