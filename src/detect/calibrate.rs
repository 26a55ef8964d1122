//! Levels of the lanes, calibrated on site within bounds.
//!
//! The scale of the lanes was measured on other networks. After fourteen days the sensor knows how often each lane speaks
//! here, and moves the lane's scores by how far that is from what the scale promises: never by more than the bounds, so
//! that neither a quiet nor a poisoned time of learning makes it deaf or loud.

use super::Map;
use super::lanes::Lane;
use serde::{Deserialize, Serialize};

/// Days after which levels are set, from what these days held.
const PERIOD_DAYS: i64 = 14;
/// Host-days are counted from this score on: few enough to be worth somebody's time, enough to count.
const LEVEL: f64 = -0.7;
/// Host-days per 1,000 with such a score, lane by lane, on networks without attackers: in the first fourteen days, when
/// much is new, and later (docs/detection.md).
const EXPECTED: [[f64; 5]; 2] = [[4.35, 1.2, 0.55, 1.57, 0.77], [2.4, 0.2, 0.3, 0.1, 0.45]];
/// Weight of what is expected, in host-days with such a score: few say little.
const PRIOR: f64 = 20.0;
/// Bounds: scores rise by no more than the former, fall by no more than the latter (a fifth and three tenths of a level's
/// log odds).
const BOUNDS: (f64, f64) = (-0.3, 0.6);
/// Hosts that may speak on one day; further ones are not counted.
const MAX_HOSTS: usize = 1 << 16;

/// See the module.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Calibration {
    /// The newest day, and the first of the period.
    day: i64,
    since: i64,
    /// Lanes and scores of the day, where they reach the level: the strongest of each host.
    best: Map<u32, (Lane, f32)>,
    /// Host-days with such a score, lane by lane.
    counts: [u32; 5],
    /// Host-days in all.
    host_days: f64,
    /// Periods that are over.
    periods: u32,
    /// What is taken off the scores of a lane.
    shift: [f32; 5],
}

impl Calibration {
    /// What is taken off the scores of a lane.
    pub fn shift(&self, lane: Lane) -> f64 {
        f64::from(self.shift[lane as usize])
    }

    /// A lane has judged a host; `score` as the scale has it, `hosts` as many as are known.
    pub fn note(&mut self, host: u32, lane: Lane, score: f64, secs: i64, hosts: usize) {
        let day = secs.div_euclid(86_400);
        if self.since == 0 {
            (self.day, self.since) = (day, day);
        }
        if day > self.day {
            self.end_days(day, hosts);
        }
        if score < LEVEL || (self.best.len() >= MAX_HOSTS && !self.best.contains_key(&host)) {
            return;
        }
        let best = self.best.entry(host).or_insert((lane, f32::MIN));
        if score as f32 > best.1 {
            *best = (lane, score as f32);
        }
    }

    fn end_days(&mut self, day: i64, hosts: usize) {
        for (lane, _) in self.best.values() {
            self.counts[*lane as usize] += 1;
        }
        self.best.clear();
        self.host_days += hosts as f64 * (day - self.day).min(PERIOD_DAYS) as f64;
        self.day = day;
        if day - self.since < PERIOD_DAYS {
            return;
        }
        let expected = &EXPECTED[usize::from(self.periods > 0)];
        for ((shift, count), rate) in self.shift.iter_mut().zip(self.counts).zip(expected) {
            let promised = rate * self.host_days / 1_000.0;
            let over = ((f64::from(count) + PRIOR) / (promised + PRIOR)).log10();
            *shift = over.clamp(BOUNDS.0, BOUNDS.1) as f32;
        }
        (self.counts, self.host_days, self.since) = ([0; 5], 0.0, day);
        self.periods = self.periods.saturating_add(1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A site of `hosts` of which so many speak each day.
    fn lived(hosts: usize, speak: u32, days: i64) -> Calibration {
        let mut site = Calibration::default();
        for day in 1..=days {
            site.note(0, Lane::Bulk, -3.0, day * 86_400, hosts);
            for host in 0..speak {
                site.note(host, Lane::Bulk, -1.5, day * 86_400 + 5, hosts);
                site.note(host, Lane::Bulk, 0.2, day * 86_400 + 9, hosts);
            }
        }
        site
    }

    #[test]
    fn fourteen_days_decide_and_not_before() {
        assert!(lived(2_000, 60, 14).shift(Lane::Bulk).abs() < 1e-9);
        // About seven times what is expected: up, and the other lanes a little down for want of a word.
        let loud = lived(2_000, 60, 15);
        assert!((0.5..=0.6 + 1e-6).contains(&loud.shift(Lane::Bulk)), "{loud:?}");
        assert!((-0.3 - 1e-6..0.0).contains(&loud.shift(Lane::Spread)), "{loud:?}");
        // As expected: hardly any change.
        assert!(lived(2_000, 9, 15).shift(Lane::Bulk).abs() < 0.05);
    }

    #[test]
    fn neither_silence_nor_poison_goes_beyond_the_bounds() {
        for (speak, days) in [(0, 15), (2_000, 15), (0, 100), (2_000, 100)] {
            let site = lived(2_000, speak, days);
            for lane in Lane::ALL {
                let shift = site.shift(lane);
                assert!((BOUNDS.0 - 1e-6..=BOUNDS.1 + 1e-6).contains(&shift), "{lane:?} {shift}");
            }
        }
        assert_eq!(lived(1 << 20, 100_000, 2).best.len(), MAX_HOSTS);
    }

    #[test]
    fn few_hosts_say_little() {
        assert!(lived(20, 1, 15).shift(Lane::Bulk) < 0.25);
    }
}
