//! The bytes of a connection spread evenly over its life, in a bounded number of steps.
//!
//! A log tells only the sum at the end. Steps end just before lines of a grid that hours and days lie on, so that what
//! moved before midnight is booked before midnight.

use crate::units::{Both, Timestamp};

/// Shortest step.
const SHORTEST: i64 = 300 * 1_000_000_000;
/// Minutes between the lines of the grid: each divides a day.
const MINUTES: &[i64] = &[5, 10, 15, 20, 30, 60, 120, 180, 240, 360, 480, 720, 1_440];
/// Steps of one connection.
const STEPS_MAX: i64 = 24;
/// A connection that moved less than this both ways is told in one step.
const SMALL: u64 = 16 << 10;
/// A step ends so much before its line, in the hour in which its bytes moved.
const BEFORE: i64 = 1_000;

/// The distance of grid lines for a connection; `None`: one step will do.
pub(super) fn stride(first: Timestamp, last: Timestamp, bytes: Both<u64>) -> Option<i64> {
    let life = last.since(first).nanos();
    if life < SHORTEST || bytes.up.saturating_add(bytes.down) < SMALL {
        return None;
    }
    // The first and the last step may be parts.
    let fits = |stride: &i64| life / stride <= STEPS_MAX - 2;
    let day = 1_440 * 60_000_000_000i64;
    let short = MINUTES.iter().map(|m| m * 60_000_000_000).find(fits);
    short.or_else(|| (1..=32).map(|days| day * days).find(fits))
}

/// Where the step that is under way at `at` ends.
pub(super) fn step_end(at: Timestamp, last: Timestamp, stride: i64) -> Timestamp {
    let line = at.nanos().div_euclid(stride).saturating_add(1).saturating_mul(stride).saturating_sub(BEFORE);
    let line = if line <= at.nanos() { line.saturating_add(stride) } else { line };
    // A life that ends with a line needs no step for the last microsecond.
    if line.saturating_add(BEFORE) >= last.nanos() { last } else { Timestamp::from_nanos(line) }
}

/// The part of `bytes` that has moved by `at`.
pub(super) fn share(bytes: Both<u64>, first: Timestamp, last: Timestamp, at: Timestamp) -> Both<u64> {
    if at >= last {
        return bytes;
    }
    let (gone, life) = (at.since(first).nanos() as u128, last.since(first).nanos().max(1) as u128);
    let part = |n: u64| (u128::from(n) * gone / life) as u64;
    Both { up: part(bytes.up), down: part(bytes.down) }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LOTS: Both<u64> = Both { up: 1_000_000_007, down: 12_345_677 };

    fn steps(first: i64, secs: i64) -> Vec<(Timestamp, Both<u64>)> {
        let (first, last) = (Timestamp::new(first, 0), Timestamp::new(first + secs, 0));
        let Some(stride) = stride(first, last, LOTS) else { return vec![(last, LOTS)] };
        let (mut at, mut out) = (first, Vec::new());
        while at < last {
            at = step_end(at, last, stride);
            out.push((at, share(LOTS, first, last, at)));
        }
        out
    }

    #[test]
    fn every_length_in_a_few_steps_and_nothing_lost() {
        for secs in [0, 1, 299, 300, 301, 3_600, 7_201, 86_400, 86_399 * 7, 366 * 86_400] {
            for first in [1_767_571_200, 1_767_571_199, 1_767_574_801] {
                let steps = steps(first, secs);
                assert!((1..=STEPS_MAX as usize).contains(&steps.len()), "{secs}: {}", steps.len());
                assert!(steps.windows(2).all(|w| w[0].0 < w[1].0 && w[0].1.up <= w[1].1.up));
                assert_eq!(steps.last().map(|s| s.1), Some(LOTS), "{secs}");
            }
        }
    }

    #[test]
    fn what_moved_before_midnight_is_booked_before_midnight() {
        let midnight = 1_767_571_200;
        let steps = steps(midnight - 1_800, 3_600);
        let before = steps.iter().filter(|s| s.0 < Timestamp::new(midnight, 0)).map(|s| s.1.up).max();
        let half = LOTS.up / 2;
        assert!(before.is_some_and(|up| up.abs_diff(half) < half / 1_000), "{before:?}");
    }

    #[test]
    fn little_and_short_stay_whole() {
        let at = |s| Timestamp::new(s, 0);
        assert_eq!(stride(at(0), at(86_400), Both { up: 10, down: 10 }), None);
        assert_eq!(stride(at(0), at(299), LOTS), None);
    }
}
