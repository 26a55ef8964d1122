//! What speaks for and against an upload being an exfiltration, each in powers of ten.

use super::entry::{Entry, VOLUME_UNIT};
use super::host::Host;
use super::kind::Kind;
use super::population::{Population, RATIOS, ratio_bin};
use super::ring::DAYS;

/// Number of kinds of evidence.
pub const EVIDENCE: usize = 30;
/// Values by kind of evidence.
pub type Values = [f32; EVIDENCE];

/// Weight of the prior in "does this host use it today".
const ACTIVE_PRIOR: f64 = 3.0;
/// Weight of the population in a host's own median and spread, in days.
const OWN_PRIOR: f64 = 2.0;
/// Days by which the baseline of the slow lane lags.
const LAG: u32 = 6;

/// All that is looked at for one judgement.
#[derive(Debug)]
pub(super) struct Scene<'s> {
    pub entry: &'s Entry,
    pub host: &'s Host,
    pub population: &'s Population,
    pub global_ratio: &'s [f64; RATIOS],
    pub secs: i64,
    /// First day of the sensor: hosts of that day are of unknown age.
    pub first_day: u32,
    pub hosts: u32,
    /// Of the destination: hosts, first seen, beginners (recent, expected).
    pub target_hosts: u32,
    pub target_first: i64,
    pub beginners: (f64, f64),
    pub peer: f64,
}

/// log10 of (1 + 10^(2z/ln 10...)): the tail of a log-logistic distribution, zero at the median.
fn tail(z: f64) -> f64 {
    let e = (2.0 * z).clamp(-40.0, 60.0).exp();
    f64::midpoint(1.0, e).log10()
}

/// What is usual for a host and service: location, scale, probability of any activity on a day.
#[derive(Clone, Copy, Debug)]
struct Usual {
    median: f64,
    scale: f64,
    active: f64,
}

fn usual(s: &Scene<'_>, to: u32) -> Usual {
    let from = to.saturating_sub(DAYS as u32);
    let typical = Typical::of(s.entry, s.population, to);
    let n = typical.own_days as f64;
    let days = f64::from(to.saturating_sub(s.host.first_day.max(from)));
    let active = (n + ACTIVE_PRIOR * s.population.start_rate()) / (days + ACTIVE_PRIOR);
    Usual { median: typical.median, scale: typical.spread.clamp(0.3, 1.2), active: active.clamp(1e-5, 1.0) }
}

/// What is usual on a day of use: the host's own days, and the days of all hosts where it has few.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Typical {
    /// Median, log10 of bytes.
    pub median: f64,
    /// MAD as a standard deviation, in decades.
    pub spread: f64,
    /// Days of the host itself.
    pub own_days: usize,
    /// Days of all hosts.
    pub all_days: u64,
}

impl Typical {
    /// Of the days before `to`.
    pub(super) fn of(entry: &Entry, population: &Population, to: u32) -> Self {
        let stats = entry.days.stats(to.saturating_sub(DAYS as u32), to);
        let n = stats.n as f64;
        let (pm, ps) = population.usual();
        let own = stats.median + (VOLUME_UNIT as f64).log10();
        let median = if stats.n == 0 { pm } else { (n * own + OWN_PRIOR * pm) / (n + OWN_PRIOR) };
        let variance = (n * stats.spread * stats.spread + OWN_PRIOR * ps * ps) / (n + OWN_PRIOR);
        let all_days = population.volume.total() as u64;
        Self { median, spread: variance.sqrt(), own_days: stats.n, all_days }
    }
}

impl Scene<'_> {
    fn slow(&self, log_bytes: f64) -> (f64, u32) {
        let day = self.entry.day();
        let lagged = usual(self, day.saturating_sub(LAG));
        let surprise = |log: f64| {
            let scale = lagged.scale.max(0.4);
            (-lagged.active.log10() + tail((log - lagged.median) / scale) - 1.2).clamp(0.0, 4.0)
        };
        let unit = (VOLUME_UNIT as f64).log10();
        let (mut sum, mut active) = (surprise(log_bytes), 1);
        for d in day.saturating_sub(7)..day {
            let Some(log) = self.entry.days.get(d) else { continue };
            if log + unit >= 3.5 {
                sum += surprise(log + unit);
                active += 1;
            }
        }
        (sum, active)
    }

    /// The evidence. Order and meaning stand in [`super::NAMES`].
    // tidy: long because the thirty values stand in one order, each beside what it is made of
    pub(super) fn values(&self) -> Values {
        let (e, p) = (self.entry, self.population);
        let (up, down) = e.day_bytes();
        let (push_up, push_down) = e.push_bytes();
        let log = (up.max(1) as f64).log10();
        let usual_now = usual(self, e.day());
        let novelty = -usual_now.active.log10();
        let volume = tail((log - usual_now.median) / usual_now.scale);
        let (slow, slow_days) = self.slow(log);
        let total: f64 = p.ratio.iter().sum();
        let global: f64 = self.global_ratio.iter().sum::<f64>() + RATIOS as f64;
        let share = |bin: usize| {
            let g = (self.global_ratio[bin] + 1.0) / global;
            ((p.ratio[bin] + 50.0 * g) / (total + 50.0)).max(1e-4)
        };
        let bin = ratio_bin(push_up, push_down);
        let fleet = ((self.beginners.0 + 1.0) / (self.beginners.1 + 1.0)).log10().clamp(0.0, 2.0);
        // A host that was there when the sensor came may be of any age.
        let young = self.host.first_day > self.first_day;
        let age = if young { f64::from(e.day().saturating_sub(self.host.first_day)) } else { DAYS as f64 };
        let prevalence = -((f64::from(p.hosts) + 0.3) / f64::from(self.hosts.max(10))).min(1.0).log10();
        let rare = -((f64::from(self.target_hosts) + 0.3) / f64::from(self.hosts.max(10))).min(1.0).log10();
        let name_age = (self.secs - self.target_first) as f64 / 86_400.0;
        let hour = f64::from(e.hour_count());
        let own_hour = e.hours.max();
        let usual_hour = p.hours.quantile(0.995).max(13f64.log10()).max(own_hour);
        let nup = (((hour + 1.0).log10() - usual_hour) / 0.25).clamp(0.0, 4.0) * 0.5;
        let count = (f64::from(e.day_count()) + 1.0).log10();
        let own_count = e.counts.max();
        let count_above = -p.counts.above(count).log10();
        let host_stats = self.host.days.stats(e.day().saturating_sub(DAYS as u32), e.day());
        let host_log = (self.host.day_bytes().max(1) as f64).log10() - (VOLUME_UNIT as f64).log10();
        let host_volume = if host_stats.n < 3 {
            0.0
        } else {
            tail((host_log - host_stats.median) / host_stats.spread.clamp(0.3, 1.0)).min(5.0)
        };
        let (spread, spread_n) = self.host.others(e.target, self.secs);
        let active = |days: u32| {
            (e.day().saturating_sub(days)..e.day()).filter(|d| e.days.get(*d).is_some()).count() as f64
        };
        let v = [
            novelty,
            volume,
            log - 6.5,
            -share(bin).log10(),
            bin as f64,
            ratio_bin(up, down) as f64,
            (push_up as f64 + 1.0).log10() - log,
            fleet,
            age.min(28.0),
            prevalence,
            rare,
            name_age.min(28.0),
            self.host.odd_hour(self.secs),
            host_volume,
            slow,
            f64::from(slow_days),
            nup,
            count,
            own_count,
            count_above,
            spread,
            f64::from(spread_n),
            self.peer,
            active(7),
            active(28),
            (e.hour_bytes().max(1) as f64).log10() - log,
            log - count,
            f64::from(self.target_hosts.min(1000)),
            e.days.stats(e.day().saturating_sub(DAYS as u32), e.day()).max + (VOLUME_UNIT as f64).log10(),
            self.beginners.0,
        ];
        v.map(|x| x as f32)
    }

    /// Odd enough by itself to count as one of several destinations.
    pub(super) fn surprise(&self, values: &Values) -> f64 {
        if matches!(self.population.kind, Kind::Own | Kind::Noise) {
            return 0.0;
        }
        (f64::from(values[0] + values[1]) - 1.5).clamp(0.0, 3.0)
    }
}
