//! What is known, for people.

use super::Detector;
use super::learn::entry::VOLUME_UNIT;
use crate::units::Timestamp;

/// An overview of what is learned.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Known {
    /// The first telling.
    pub since: Option<Timestamp>,
    /// Days since then.
    pub days: u32,
    /// Destinations.
    pub destinations: usize,
    /// Pairs of host and destination.
    pub pairs: usize,
    /// Hosts, those with most destinations first.
    pub hosts: Vec<KnownHost>,
}

/// A host in an overview.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct KnownHost {
    /// Its name or address.
    pub name: String,
    /// The day it was first seen.
    pub first_day: String,
    /// Destinations it has used.
    pub destinations: usize,
}

/// What is usual between a host and a destination.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Habit {
    /// The destination.
    pub destination: String,
    /// What kind it is.
    pub kind: &'static str,
    /// First day.
    pub first_day: String,
    /// Newest day.
    pub last_day: String,
    /// Days within memory on which it was used.
    pub days: usize,
    /// Bytes of the middle one of these days.
    pub median: u64,
    /// Bytes of the largest.
    pub max: u64,
}

impl Detector {
    /// An overview of what is learned.
    pub fn known(&self) -> Known {
        let learner = &self.base.learner;
        let counts = learner.destinations_by_host();
        let mut hosts: Vec<KnownHost> = counts
            .iter()
            .enumerate()
            .map(|(place, (first_day, destinations))| KnownHost {
                name: self.base.roster.name_at(place as u32).unwrap_or_else(|| format!("host {place}")),
                first_day: date(*first_day),
                destinations: *destinations,
            })
            .collect();
        hosts.sort_by(|a, b| b.destinations.cmp(&a.destinations).then_with(|| a.name.cmp(&b.name)));
        let (since, day) = learner.span();
        let first = since.map_or(0, |secs| secs.div_euclid(86_400) as u32);
        Known {
            since: since.map(|secs| Timestamp::new(secs, 0)),
            days: if since.is_some() { day.saturating_sub(first) } else { 0 },
            destinations: learner.targets(),
            pairs: learner.len(),
            hosts,
        }
    }

    /// What is usual for a host, those with most volume first; `None`: it is not known.
    pub fn habits(&self, host: &str) -> Option<Vec<Habit>> {
        let learner = &self.base.learner;
        let place = (0..learner.hosts() as u32)
            .find(|place| {
                self.base.roster.name_at(*place).is_some_and(|name| name.eq_ignore_ascii_case(host))
            })
            .or_else(|| self.base.roster.known_place(host.parse().ok()?))?;
        let bytes = |log: f64| if log > 0.0 { (10f64.powf(log) * VOLUME_UNIT as f64) as u64 } else { 0 };
        let mut habits: Vec<Habit> = learner
            .entries_of(place)
            .map(|(target, entry)| {
                let stats = entry.days.stats(0, entry.day() + 1);
                let max = bytes(stats.max).max(entry.today());
                Habit {
                    destination: target.key.to_string(),
                    kind: target.kind.words(),
                    first_day: date(entry.first_day()),
                    last_day: date(entry.day()),
                    days: stats.n + usize::from(entry.today() > 0),
                    median: if stats.n == 0 { entry.today() } else { bytes(stats.median) },
                    max,
                }
            })
            .collect();
        habits.sort_by(|a, b| b.max.cmp(&a.max).then_with(|| a.destination.cmp(&b.destination)));
        Some(habits)
    }
}

/// A day for people.
fn date(day: u32) -> String {
    let mut out = Vec::new();
    crate::output::stamp::Clock::default().people(Timestamp::new(i64::from(day) * 86_400, 0), &mut out);
    out.truncate(10);
    String::from_utf8(out).unwrap_or_default()
}
