//! How all hosts together use a service: what is usual for somebody who begins, and how rare that is.

use super::kind::Kind;
use serde::{Deserialize, Serialize};
use std::collections::VecDeque;

/// Bins of the volume histogram: eighths of a decade.
const BINS: usize = 96;
/// Bins per decade.
const PER_DECADE: f64 = 8.0;
/// Bins of the ratio of bytes in to bytes out.
pub const RATIOS: usize = 8;
/// Beginners remembered for the fleet evidence.
const MAX_RECENT: usize = 512;

/// A histogram of log10 values from 0 to 12. Each host-day has one vote, so that one loud host moves no median.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Histogram {
    #[serde(with = "crate::state::forms::array")]
    bins: [f32; BINS],
    total: f64,
}

impl Histogram {
    /// An empty histogram.
    pub const fn new() -> Self {
        Self { bins: [0.0; BINS], total: 0.0 }
    }

    /// One vote.
    pub fn add(&mut self, log10: f64) {
        let bin = (log10 * PER_DECADE).clamp(0.0, BINS as f64 - 1.0) as usize;
        self.bins[bin] += 1.0;
        self.total += 1.0;
    }

    /// Votes.
    pub fn total(&self) -> f64 {
        self.total
    }

    /// The value below which a share `q` of the votes lies.
    pub fn quantile(&self, q: f64) -> f64 {
        let wanted = q * self.total;
        let mut sum = 0.0;
        for (i, n) in self.bins.iter().enumerate() {
            let n = f64::from(*n);
            if n > 0.0 && sum + n >= wanted {
                return (i as f64 + ((wanted - sum) / n).clamp(0.0, 1.0)) / PER_DECADE;
            }
            sum += n;
        }
        BINS as f64 / PER_DECADE
    }

    /// Share of the votes above a value, never quite nothing.
    pub fn above(&self, log10: f64) -> f64 {
        let bin = (log10 * PER_DECADE).clamp(0.0, BINS as f64 - 1.0) as usize;
        let sum: f64 = self.bins[bin..].iter().map(|n| f64::from(*n)).sum();
        (sum + 0.5) / (self.total + 1.0)
    }

    /// Old votes weigh half: once in four weeks.
    pub fn halve(&mut self) {
        self.bins.iter_mut().for_each(|n| *n *= 0.5);
        self.total *= 0.5;
    }
}

/// Hosts that began of late.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Beginners(VecDeque<(i64, u32)>);

impl Beginners {
    /// A host begins.
    pub fn note(&mut self, secs: i64, host: u32) {
        if self.0.len() == MAX_RECENT {
            self.0.pop_front();
        }
        self.0.push_back((secs, host));
    }

    /// Other hosts that began in the last two days, and how many would be expected from the ten days before.
    pub fn recent(&self, secs: i64, host: u32, known_days: f64) -> (f64, f64) {
        let (mut recent, mut before) = (0u32, 0u32);
        // One loop without branches: this is asked for every judgement, of a thousand hosts.
        for (began, other) in &self.0 {
            let (age, other) = (secs - began, *other != host);
            recent += u32::from(other && age < 2 * 86_400);
            before += u32::from(other && (2 * 86_400..12 * 86_400).contains(&age));
        }
        let span = (known_days - 2.0).clamp(1.0, 10.0);
        (f64::from(recent), f64::from(before) * 2.0 / span)
    }
}

impl Default for Histogram {
    fn default() -> Self {
        Self::new()
    }
}

/// See the module.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Population {
    /// The kind of service.
    pub kind: Kind,
    /// Gateways only: they are judged among themselves.
    pub gateways: bool,
    /// Volumes of active host-days.
    pub volume: Histogram,
    /// Connections of active host-days.
    pub counts: Histogram,
    /// Busiest hours of active host-days, in connections.
    pub hours: Histogram,
    /// Ratios of host-days with volume.
    pub ratio: [f64; RATIOS],
    /// Hosts that began, and host-days on which one could have.
    pub starts: (f64, f64),
    /// Hosts that use it.
    pub hosts: u32,
    /// Who began of late.
    pub beginners: Beginners,
}

impl Population {
    /// Nothing learned yet.
    pub fn new(kind: Kind, gateways: bool) -> Self {
        Self {
            kind,
            gateways,
            volume: Histogram::new(),
            counts: Histogram::new(),
            hours: Histogram::new(),
            ratio: [0.0; RATIOS],
            starts: (0.0, 0.0),
            hosts: 0,
            beginners: Beginners::default(),
        }
    }

    /// Probability that a host that has never used it begins on a day.
    pub fn start_rate(&self) -> f64 {
        (self.starts.0 + 0.3) / (self.starts.1 + 300.0)
    }

    /// Median and spread of volumes, in decades, drawn towards what is usual for any service while little is known.
    pub fn usual(&self) -> (f64, f64) {
        let n = self.volume.total();
        let (prior, weight) = ((5.5, 0.8), 5.0);
        if n < 1.0 {
            return prior;
        }
        let median = self.volume.quantile(0.5);
        let spread = (self.volume.quantile(0.84) - self.volume.quantile(0.16)) / 2.0;
        let blend = |own: f64, prior: f64| (n * own + weight * prior) / (n + weight);
        (blend(median, prior.0), blend(spread, prior.1).clamp(0.4, 1.2))
    }
}

/// The bin of a ratio of bytes in to bytes out: half decades from a hundredth up.
pub fn ratio_bin(up: u64, down: u64) -> usize {
    let log = ((down as f64 + 1.0) / (up as f64 + 1.0)).log10();
    ((log + 2.0) * 2.0 + 1.0).floor().clamp(0.0, RATIOS as f64 - 1.0) as usize
}
