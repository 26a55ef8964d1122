//! Twenty-eight days of one quantity, a byte a day.

use serde::{Deserialize, Serialize};

/// Days remembered.
pub const DAYS: usize = 28;

/// Daily values on a logarithmic scale (9 % a step), the oldest forgotten day by day. Zero: nothing that day.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Ring {
    days: [u8; DAYS],
    /// The day after the newest stored one.
    next: u16,
}

/// Steps per doubling.
const STEPS: f64 = 8.0;
/// Decades per step.
const DECADES: f64 = std::f64::consts::LOG10_2 / STEPS;

/// A value as a byte; `unit` is the smallest that can be told.
pub(super) fn quantise(value: u64, unit: u64) -> u8 {
    if value == 0 {
        return 0;
    }
    let steps = STEPS * ((value as f64 / unit as f64) + 1.0).log2();
    steps.round().clamp(1.0, 255.0) as u8
}

/// The value that a byte stands for.
pub(super) fn value(byte: u8, unit: u64) -> u64 {
    if byte == 0 { 0 } else { (((f64::from(byte) / STEPS).exp2() - 1.0) * unit as f64).round() as u64 }
}

/// The largest of each of the last four times eight days.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug, Serialize, Deserialize)]
pub struct Peaks([u8; 4]);

/// Days of a peak.
const PEAK_DAYS: u32 = 8;

impl Peaks {
    /// Notes the value of a day; `known` is the day up to which there are values.
    pub(super) fn store(&mut self, known: u32, day: u32, value: u64) {
        let (old, new) = (known.saturating_sub(1) / PEAK_DAYS, day / PEAK_DAYS);
        for over in (old + 1..=new).take(self.0.len()) {
            self.0[over as usize % self.0.len()] = 0;
        }
        let peak = &mut self.0[new as usize % self.0.len()];
        *peak = (*peak).max(quantise(value, 1));
    }

    /// log10 of one more than the largest of all.
    pub fn max(&self) -> f64 {
        f64::from(self.0.iter().copied().max().unwrap_or(0)) * DECADES
    }
}

impl Ring {
    /// An empty ring.
    pub const fn new() -> Self {
        Self { days: [0; DAYS], next: 0 }
    }

    /// Stores the value of `day`; days between are empty. A day that lies before the newest is dropped.
    pub fn store(&mut self, day: u32, value: u64, unit: u64) {
        let next = self.next();
        if day < next {
            return;
        }
        let gap = (day - next) as usize;
        for skipped in 0..gap.min(DAYS) {
            self.days[(next as usize + skipped) % DAYS] = 0;
        }
        self.days[day as usize % DAYS] = quantise(value, unit);
        self.next = (day + 1).min(u32::from(u16::MAX)) as u16;
    }

    /// The day after the newest stored one.
    pub fn next(&self) -> u32 {
        u32::from(self.next)
    }

    /// log10 of the value of `day` in units of `unit`; `None`: nothing, or no longer known.
    pub fn get(&self, day: u32) -> Option<f64> {
        if day >= self.next() || (day as usize) + DAYS < self.next as usize {
            return None;
        }
        match self.days[day as usize % DAYS] {
            0 => None,
            steps => Some(f64::from(steps) * DECADES),
        }
    }

    /// The values of the days `from..to` that had any, as log10 in units, sorted.
    pub fn values(&self, from: u32, to: u32, into: &mut [f64; DAYS]) -> usize {
        let mut n = 0;
        for day in from.max(to.saturating_sub(DAYS as u32))..to {
            if let Some(value) = self.get(day) {
                into[n] = value;
                n += 1;
            }
        }
        into[..n].sort_by(f64::total_cmp);
        n
    }

    /// How steadily active days grew: see [`Growth`].
    pub fn growth(&self, from: u32, to: u32) -> Growth {
        let mut values = [0.0; DAYS];
        let mut n = 0;
        for day in from.max(to.saturating_sub(DAYS as u32))..to {
            if let Some(value) = self.get(day) {
                values[n] = value;
                n += 1;
            }
        }
        Growth::of(&values[..n])
    }

    /// Number of active days, their median and their spread (MAD as a standard deviation), in decades.
    pub fn stats(&self, from: u32, to: u32) -> Stats {
        let mut values = [0.0; DAYS];
        let n = self.values(from, to, &mut values);
        Stats::of(&mut values[..n])
    }
}

impl Default for Ring {
    fn default() -> Self {
        Self::new()
    }
}

/// Number, median and robust spread of log10 values.
#[derive(Clone, Copy, PartialEq, Debug, Default)]
pub struct Stats {
    /// How many.
    pub n: usize,
    /// Median; zero without values.
    pub median: f64,
    /// MAD times 1.4826.
    pub spread: f64,
    /// Largest.
    pub max: f64,
}

impl Stats {
    fn of(values: &mut [f64]) -> Self {
        let n = values.len();
        if n == 0 {
            return Self::default();
        }
        let median = middle(values);
        let max = values[n - 1];
        for value in values.iter_mut() {
            *value = (*value - median).abs();
        }
        values.sort_by(f64::total_cmp);
        Self { n, median, spread: 1.4826 * middle(values), max }
    }
}

/// Growth from active day to active day.
#[derive(Clone, Copy, PartialEq, Debug, Default)]
pub struct Growth {
    /// Active days.
    pub n: usize,
    /// Kendall's tau: 1 when every day is larger than all before, 0 by chance.
    pub tau: f64,
    /// Median of the first five, log10 in units.
    pub early: f64,
    /// Median of the last three, log10 in units.
    pub late: f64,
    /// Sum of what lies above twice the early median, in units.
    pub excess: f64,
}

impl Growth {
    fn of(values: &[f64]) -> Self {
        let n = values.len();
        if n < 3 {
            return Self { n, ..Self::default() };
        }
        let mut concordant = 0i32;
        for (i, a) in values.iter().enumerate() {
            for b in &values[i + 1..] {
                concordant += i32::from(b > a) - i32::from(b < a);
            }
        }
        let sorted = |part: &[f64]| {
            let mut part = part.to_vec();
            part.sort_by(f64::total_cmp);
            middle(&part)
        };
        let early = sorted(&values[..n.min(5)]);
        let level = 2.0 * 10f64.powf(early);
        let excess = values.iter().map(|v| (10f64.powf(*v) - level).max(0.0)).sum();
        let pairs = (n * (n - 1) / 2) as f64;
        Self { n, tau: f64::from(concordant) / pairs, early, late: sorted(&values[n - 3..]), excess }
    }
}

/// Median of sorted values.
fn middle(sorted: &[f64]) -> f64 {
    let n = sorted.len();
    if n % 2 == 1 { sorted[n / 2] } else { f64::midpoint(sorted[n / 2 - 1], sorted[n / 2]) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_month_and_no_more() {
        let mut ring = Ring::new();
        for day in 0..40 {
            ring.store(day, 1_000_000 * u64::from(day + 1), 64);
        }
        assert_eq!(ring.get(11), None);
        let value = |day| 64.0 * 10f64.powf(ring.get(day).expect("known"));
        assert!((value(39) / 40e6 - 1.0).abs() < 0.05, "{}", value(39));
        assert_eq!(ring.stats(0, 40).n, 28);
        ring.store(50, 5, 64);
        assert_eq!((ring.get(45), ring.get(50).is_some()), (None, true));
        assert_eq!(ring.stats(0, 51).n, 18);
        ring.store(3, 5, 64);
        assert_eq!(ring.get(3), None);
    }

    #[test]
    fn robust() {
        let mut ring = Ring::new();
        for day in 0..9 {
            ring.store(day, if day == 4 { 1 << 40 } else { 1 << 20 }, 1);
        }
        let stats = ring.stats(0, 9);
        assert!((stats.median - 20.0 * std::f64::consts::LOG10_2).abs() < 0.02 && stats.spread < 0.02);
        assert_eq!(Ring::new().stats(0, 9), Stats::default());
    }
}
