//! What is usual: state per (host, destination), per host and per service, and the evidence that comes of it.
//!
//! Plain calls with the time in them; the order of calls decides everything, the order of hash maps nothing.

pub mod entry;
pub mod evidence;
pub mod host;
mod index;
mod keep;
pub mod kind;
pub mod population;
pub mod ring;
pub mod shared;

/// Names of the kinds of evidence, in the order of [`Values`].
pub const NAMES: [&str; evidence::EVIDENCE] = [
    "novelty",
    "volume",
    "size",
    "ratio_rarity",
    "push_ratio",
    "all_ratio",
    "push_share",
    "fleet",
    "age",
    "prevalence",
    "rarity",
    "name_age",
    "odd_hour",
    "host_volume",
    "slow",
    "slow_days",
    "uploads",
    "count",
    "own_count",
    "count_rarity",
    "spread",
    "other_destinations",
    "peers",
    "days_7",
    "days_28",
    "burst",
    "per_connection",
    "target_hosts",
    "own_max",
    "beginners",
];

use super::Map;
use super::rules::Sight;
use crate::config::DetectConfig;
use crate::state::Rows;
use entry::{Entry, day_of};
use evidence::{Scene, Values};
use host::{Host, Part};
use kind::Kind;
use population::{Beginners, Population, RATIOS, ratio_bin};
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// Bytes out in a day below which there is nothing to look at, however many connections.
const LEAST: u64 = 1_000;
/// Services that peers are compared by.
const MAX_PEER: usize = 128;
/// Destinations at most.
const MAX_TARGETS: usize = 1 << 20;
/// Pairs at most unless said otherwise.
const MAX_ENTRIES: usize = 1 << 22;
/// Pairs looked at to find one to give up.
const LOOKED_AT: usize = 64;
/// The name of all names beyond what is remembered.
const MANY: &str = "~many";
/// Bytes (log10) from which a day counts as one of upload: 3 MB.
const HABITUAL: f64 = 6.477;
/// Active days of a host after which "never before" means something.
const SETTLED: u32 = 8;
/// A host tells something of its habits from this many services on.
const PEER_HOSTS: u32 = 20;

/// A destination.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Target {
    /// Its name for people and keys.
    pub key: Arc<str>,
    /// Place of its population.
    pub population: [Option<u32>; 2],
    /// What kind it is.
    pub kind: Kind,
    /// When it was first seen.
    pub first: i64,
    /// Hosts that ever used it.
    pub hosts: u32,
    /// Who began of late.
    pub beginners: Beginners,
    service: Arc<str>,
}

impl Target {
    /// The service that it belongs to, as its population is called; itself, where nothing is known of it.
    pub fn service(&self) -> Arc<str> {
        if self.kind == Kind::Unknown { Arc::clone(&self.key) } else { Arc::clone(&self.service) }
    }
}

/// Bytes of a connection.
#[derive(Clone, Copy, Debug)]
pub struct Moved {
    /// Place of the host.
    pub host: u32,
    /// Place of the destination.
    pub target: u32,
    /// When, in seconds.
    pub secs: i64,
    /// Bytes out and in.
    pub bytes: (u64, u64),
    /// Its connection has sent more than it fetched so far.
    pub push: bool,
    /// Its connection is new.
    pub opened: bool,
}

/// See the module.
#[derive(Debug, Default)]
pub struct Learner {
    hosts: Rows<Host>,
    targets: Rows<Target>,
    target_of: Map<Arc<str>, u32>,
    populations: Rows<Population>,
    population_of: Map<(Arc<str>, bool), u32>,
    entries: Rows<Entry>,
    entry_of: index::Index,
    /// Places of entries that were given up.
    free: Vec<u32>,
    /// Where the search for an entry to give up goes on.
    hand: usize,
    /// Bytes of a day at which rules begin to speak.
    pub levels: Vec<u64>,
    /// Most entries; 0: the default.
    max_entries: usize,
    /// Entries given up.
    pub evicted: u64,
    /// Entries that were used today.
    touched: Vec<u32>,
    day: u32,
    first: Option<i64>,
    global_ratio: [f64; RATIOS],
    /// How many hosts use both of two services, of [`MAX_PEER`] populations.
    both: Vec<u32>,
}

impl Learner {
    /// A new host.
    pub fn add_host(&mut self, part: Part, secs: i64) -> u32 {
        self.hosts.push(Host::new(part, secs));
        self.hosts.len() as u32 - 1
    }

    /// Seconds since the first telling.
    pub fn age(&self, secs: i64) -> i64 {
        self.first.map_or(0, |first| secs - first)
    }

    /// What the site says of a host.
    pub fn part(&self, host: u32) -> Part {
        self.hosts.get(host as usize).map_or_else(Part::default, |h| h.part)
    }

    /// Bytes were fetched from inside the network.
    pub fn pulled(&mut self, host: u32, secs: i64, bytes: u64) {
        if let Some(host) = self.hosts.get_mut(host as usize) {
            host.pull(secs, bytes);
        }
    }

    /// What the rules may look at.
    pub fn sight<'s>(
        &self,
        host: u32,
        target: u32,
        secs: i64,
        config: &'s DetectConfig,
    ) -> Option<Sight<'s>> {
        let entry = self.entry_at(host, target)?;
        let (h, t) = (self.hosts.get(host as usize)?, self.targets.get(target as usize)?);
        let from = entry.day().saturating_sub(ring::DAYS as u32);
        let unit = (entry::VOLUME_UNIT as f64).log10();
        let largest = h.days.stats(from, entry.day());
        let own_count = 10f64.powf(entry.counts.max()) - 1.0;
        let (recent, _) = t.beginners.recent(secs, host, f64::MAX);
        let own = entry.days.stats(from, entry.day());
        let busy = |d: &u32| entry.days.get(*d).is_some_and(|log| log + unit >= HABITUAL);
        let before = if largest.n == 0 { 0.0 } else { 10f64.powf(largest.max + unit) };
        Some(Sight {
            config,
            kind: t.kind,
            part: h.part,
            day: entry.day_bytes(),
            connection: (0, 0),
            pushed: entry.push_bytes().0,
            count: entry.day_count(),
            own_count: own_count.round() as u32,
            days_used: own.n as u32,
            week: (entry.day().saturating_sub(7)..entry.day()).filter(busy).count() as u32,
            largest: if own.n == 0 { 0 } else { 10f64.powf(own.max + unit) as u64 },
            host_days: largest.n as u32,
            settled: largest.n as u32 >= SETTLED,
            hosts: (t.hosts, recent as u32 + 1),
            name_age: (secs - t.first) as f64 / 86_400.0,
            others: h.new_others(target, secs),
            pulled: h.pulled(secs),
            rhythm: entry.rhythm(),
            host_total: (h.day_bytes(), before as u64),
            guest: false,
            strange_address: false,
            from_hypervisor: 0,
            process: None,
            growth: entry.days.growth(from, entry.day()),
            unit: entry::VOLUME_UNIT as f64,
        })
    }

    /// A pair that may soon be worth a look: who contributes is to be kept.
    pub fn is_material(&self, host: u32, target: u32) -> bool {
        let Some(entry) = self.entry_at(host, target) else { return false };
        entry.day_out() >= self.targets[target as usize].kind.floor() / 4 || entry.hour_count() >= 10
    }

    /// Days before today on which a host used a destination.
    pub fn days_used(&self, host: u32, target: u32) -> usize {
        self.entry_at(host, target)
            .map_or(0, |e| e.days.stats(e.day().saturating_sub(ring::DAYS as u32), e.day()).n)
    }

    /// Bytes out of the trailing day.
    pub fn day_out(&self, host: u32, target: u32) -> u64 {
        self.entry_at(host, target).map_or(0, Entry::day_out)
    }

    /// What is usual between a host and a destination.
    pub fn typical(&self, host: u32, target: u32) -> Option<evidence::Typical> {
        let entry = self.entry_at(host, target)?;
        let gateway = self.part(host).gateway;
        let population = self.targets[target as usize].population[usize::from(gateway)]?;
        Some(evidence::Typical::of(entry, &self.populations[population as usize], entry.day()))
    }

    /// The destination is one tenant of a service, and the network has not known it for two days.
    pub fn is_new_tenant(&self, target: u32, secs: i64) -> bool {
        let target = &self.targets[target as usize];
        let tenant = target.key.contains('/') && target.kind != Kind::Own && target.kind != Kind::Hook;
        tenant && secs - target.first < 2 * 86_400 && target.first > self.first.unwrap_or(0) + 86_400
    }

    fn entry_at(&self, host: u32, target: u32) -> Option<&Entry> {
        Some(&self.entries[self.entry_of.get(host, target, &self.entries)? as usize])
    }

    /// Pairs in memory.
    pub fn len(&self) -> usize {
        self.entry_of.len()
    }

    /// Nothing is known.
    pub fn is_empty(&self) -> bool {
        self.entry_of.len() == 0
    }

    /// Takes back bytes that were booked to the wrong destination.
    pub fn withdraw(&mut self, host: u32, target: u32, bytes: (u64, u64)) {
        if let Some(id) = self.entry_of.get(host, target, &self.entries) {
            self.entries[id as usize].withdraw(bytes);
        }
    }

    /// With room for `entries` pairs of host and destination; 0: as many as by default.
    pub fn with_room(entries: usize) -> Self {
        Self { max_entries: entries, ..Self::default() }
    }

    /// The place of a destination as `host` meets it. `service`: its population; `key`: itself. A host that meets more
    /// new names in a day than anybody works with meets the rest under one name: who scans names harms nobody's
    /// memory but his own.
    pub fn target(&mut self, host: u32, key: &str, service: &str, kind: Kind, secs: i64) -> u32 {
        if let Some(place) = self.target_of.get(key) {
            return *place;
        }
        let full = self.targets.len() >= MAX_TARGETS;
        let many = self.hosts.get_mut(host as usize).is_some_and(|h| !h.meets(day_of(secs)));
        if (full || many) && key != MANY {
            return self.target(host, MANY, "~", Kind::Unknown, secs);
        }
        let key: Arc<str> = Arc::from(key);
        let place = self.targets.len() as u32;
        self.target_of.insert(Arc::clone(&key), place);
        self.targets.push(Target {
            key,
            population: [None; 2],
            kind,
            first: secs,
            hosts: 0,
            beginners: Beginners::default(),
            service: Arc::from(service),
        });
        place
    }

    /// A destination.
    pub fn target_at(&self, place: u32) -> &Target {
        &self.targets[place as usize]
    }

    fn population(&mut self, target: u32, gateways: bool) -> u32 {
        let t = &self.targets[target as usize];
        if let Some(place) = t.population[usize::from(gateways)] {
            return place;
        }
        let key = (Arc::clone(&t.service), gateways);
        let place = *self.population_of.entry(key).or_insert_with(|| {
            self.populations.push(Population::new(t.kind, gateways));
            self.populations.len() as u32 - 1
        });
        self.targets[target as usize].population[usize::from(gateways)] = Some(place);
        place
    }

    /// Books bytes. The evidence, when it is worth a look.
    pub fn observe(&mut self, m: &Moved) -> Option<Values> {
        let day = day_of(m.secs);
        self.first.get_or_insert(m.secs);
        if day > self.day {
            self.end_day(day);
        }
        let gateway = self.hosts[m.host as usize].part.gateway;
        let population = self.population(m.target, gateway);
        let kind = self.targets[m.target as usize].kind;
        let host = &mut self.hosts[m.host as usize];
        host.roll(day);
        if !matches!(kind, Kind::Noise) {
            host.add(m.secs, m.bytes.0);
            if m.opened && kind != Kind::Backup {
                host.awake(m.secs);
            }
        }
        let id = self.entry(m, kind.floor());
        let entry = &mut self.entries[id as usize];
        let first_today = !std::mem::replace(&mut entry.touched, true);
        entry.add(m.secs, m.bytes.0, m.bytes.1, m.push, u32::from(m.opened));
        let due = entry.is_due();
        if first_today {
            self.touched.push(id);
            self.begins(population, day, m);
        }
        if due { self.judge(id, population, m, false) } else { None }
    }

    /// The evidence of a pair as it stands now, however little has moved: something else than bytes gives reason to look.
    pub fn look_again(&mut self, host: u32, target: u32, secs: i64) -> Option<Values> {
        let id = self.entry_of.get(host, target, &self.entries)?;
        let gateway = self.hosts.get(host as usize)?.part.gateway;
        let population = self.population(target, gateway);
        let m = Moved { host, target, secs, bytes: (0, 0), push: false, opened: false };
        self.judge(id, population, &m, true)
    }

    /// The host uses the service today; it may never have before.
    fn begins(&mut self, population: u32, day: u32, m: &Moved) {
        let host = &mut self.hosts[m.host as usize];
        let old = day >= host.first_day + 3;
        if host.uses(population, day) {
            let p = &mut self.populations[population as usize];
            p.hosts += 1;
            if old {
                p.starts.0 += 1.0;
            }
            p.beginners.note(m.secs, m.host);
        }
    }

    fn entry(&mut self, m: &Moved, floor: u64) -> u32 {
        if let Some(id) = self.entry_of.get(m.host, m.target, &self.entries) {
            self.entries[id as usize].roll(m.secs, floor);
            return id;
        }
        let new = Entry::new(m.host, m.target, m.secs, floor);
        let room = if self.max_entries == 0 { MAX_ENTRIES } else { self.max_entries };
        if self.entries.len() - self.free.len() >= room {
            self.give_up(day_of(m.secs));
        }
        let id = if let Some(id) = self.free.pop() {
            self.entries[id as usize] = new;
            id
        } else {
            self.entries.push(new);
            self.entries.len() as u32 - 1
        };
        self.entry_of.insert(id, &self.entries);
        let target = &mut self.targets[m.target as usize];
        target.hosts += 1;
        target.beginners.note(m.secs, m.host);
        id
    }

    /// Makes room. What never moved a material volume goes first, then what was used longest ago: names that are only
    /// scanned push out each other, never the memory of what a host uses.
    fn give_up(&mut self, day: u32) {
        let n = self.entries.len();
        let mut worst: Option<((bool, u32), usize)> = None;
        for step in 0..LOOKED_AT.min(n) {
            let i = (self.hand + step) % n;
            let entry = &self.entries[i];
            if self.entry_of.get(entry.host, entry.target, &self.entries) != Some(i as u32) {
                continue;
            }
            let rank = (entry.is_light(day), day.saturating_sub(entry.day()));
            if worst.is_none_or(|w| rank > w.0) {
                worst = Some((rank, i));
            }
        }
        self.hand = (self.hand + LOOKED_AT) % n.max(1);
        if let Some((_, i)) = worst {
            let entry = &self.entries[i];
            let (host, target) = (entry.host, entry.target);
            self.entry_of.remove(host, target, &self.entries);
            self.free.push(i as u32);
            self.evicted += 1;
        }
    }

    fn judge(&mut self, id: u32, population: u32, m: &Moved, anyhow: bool) -> Option<Values> {
        let entry = &self.entries[id as usize];
        let target = &self.targets[m.target as usize];
        if !anyhow && entry.day_out() < LEAST {
            return None;
        }
        let first = self.first.unwrap_or(m.secs);
        let known_days = (m.secs - first) as f64 / 86_400.0;
        let p = &self.populations[population as usize];
        let own_beginners = matches!(target.kind, Kind::Unknown | Kind::Object);
        let beginners = if own_beginners { &target.beginners } else { &p.beginners };
        let scene = Scene {
            entry,
            host: &self.hosts[m.host as usize],
            population: p,
            global_ratio: &self.global_ratio,
            secs: m.secs,
            first_day: day_of(first),
            hosts: self.hosts.len() as u32,
            target_hosts: target.hosts,
            target_first: target.first,
            beginners: beginners.recent(m.secs, m.host, known_days),
            peer: self.peer(m.host, population),
        };
        let values = scene.values();
        let surprise = scene.surprise(&values);
        let entry = &mut self.entries[id as usize];
        entry.judged(&self.levels);
        if surprise > 0.0 {
            self.hosts[m.host as usize].surprised(m.target, m.secs, surprise);
        }
        Some(values)
    }

    /// How much rarer a service is among hosts that live like this one than among all, in powers of ten.
    fn peer(&self, host: u32, population: u32) -> f64 {
        let n = self.populations.len().min(MAX_PEER);
        let t = population as usize;
        let all = self.hosts.len() as f64;
        if t >= n || self.both.len() < MAX_PEER * MAX_PEER || (self.hosts.len() as u32) < PEER_HOSTS {
            return 0.0;
        }
        let users = f64::from(self.both[t * MAX_PEER + t]);
        let mut uses = [false; MAX_PEER];
        for u in &self.hosts[host as usize].uses {
            if let Some(x) = uses.get_mut(u.population as usize) {
                *x = u.days.0 < self.day;
            }
        }
        let mut sum = 0.0;
        for s in (0..n).filter(|s| *s != t) {
            let with = f64::from(self.both[s * MAX_PEER + s]);
            let share = with / all;
            if !(0.03..0.97).contains(&share) {
                continue;
            }
            let both = f64::from(self.both[t * MAX_PEER + s]);
            let (yes, no) =
                ((both + 3.0 * share) / (users + 3.0), (with - both + 3.0 * share) / (all - users + 3.0));
            let (yes, no) = (yes.clamp(0.01, 0.99), no.clamp(0.01, 0.99));
            sum += if uses[s] { (yes / no).ln() } else { ((1.0 - yes) / (1.0 - no)).ln() };
        }
        (-0.5 * sum / std::f64::consts::LN_10).clamp(-2.0, 2.0)
    }

    /// The day is over: what it brought becomes what is usual.
    fn end_day(&mut self, day: u32) {
        for id in std::mem::take(&mut self.touched) {
            let entry = &mut self.entries[id as usize];
            entry.touched = false;
            let bytes = entry.today();
            let (count, hour) = (entry.today_count() as f64, f64::from(entry.today_hour()));
            let (up, down) = entry.push_bytes();
            let target = entry.target as usize;
            let gateway = self.hosts[entry.host as usize].part.gateway;
            if !entry.roll(i64::from(day) * 86_400, self.targets[target].kind.floor()) {
                continue;
            }
            let Some(population) = self.targets[target].population[usize::from(gateway)] else { continue };
            let p = &mut self.populations[population as usize];
            p.volume.add((bytes.max(1) as f64).log10());
            p.counts.add((count + 1.0).log10());
            p.hours.add((hour + 1.0).log10());
            if up > 3_000_000 {
                let bin = ratio_bin(up, down);
                p.ratio[bin] += 1.0;
                self.global_ratio[bin] += 1.0;
            }
        }
        self.count_users(day);
        self.day = day;
    }

    fn count_users(&mut self, day: u32) {
        self.both.clear();
        self.both.resize(MAX_PEER * MAX_PEER, 0);
        let mut hosts = [0u32; 2];
        for p in &mut self.populations {
            p.hosts = 0;
        }
        for host in &self.hosts {
            hosts[usize::from(host.part.gateway)] += 1;
            let used: Vec<usize> = host
                .uses
                .iter()
                .filter(|u| u.days.1 + ring::DAYS as u32 > day)
                .map(|u| u.population as usize)
                .collect();
            for &a in &used {
                self.populations[a].hosts += 1;
                for &b in used.iter().filter(|b| **b < MAX_PEER && a < MAX_PEER) {
                    self.both[a * MAX_PEER + b] += 1;
                }
            }
        }
        for p in &mut self.populations {
            p.starts.1 += f64::from(hosts[usize::from(p.gateways)].saturating_sub(p.hosts));
        }
    }
}
