//! How far each clock of each host is off, learned from flows whose ports and addresses an event gives in full.
//!
//! One log may hold several clocks, and a virtual machine that is resumed or synchronised steps. A clock keeps its last
//! pairs (start of the flow, event less that start); its offset at a time is the median of the pairs nearest to it, so
//! that a drift is followed. Three pairs in a row that agree with each other and not with the rest are a step.

use super::MILLI;
use crate::detect::Map;
use crate::endpoint::{ClockClass, SourceKind};
use std::collections::VecDeque;

/// Pairs kept of one clock.
const RING: usize = 31;
/// Pairs nearest in time that give the offset.
const NEAREST: usize = 5;
/// Pairs that agree make a clock certain, and make a step.
const AGREE: usize = 3;
/// So near is agreement.
const AGREE_WITHIN: i64 = 2_000 * MILLI;
/// Least spread that is believed of a clock.
const SPREAD_MIN: i64 = 20 * MILLI;
/// Clocks remembered; the one idle longest goes.
const MAX_CLOCKS: usize = 200_000;
/// Differences without ports that are kept of a clock and an address.
const VOTES: usize = 48;
/// Spread of a clock that was guessed.
const GUESSED_SPREAD: i64 = 250 * MILLI;

/// Which clock.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(super) struct ClockKey {
    pub host: u32,
    pub source: SourceKind,
    pub class: ClockClass,
}

/// A flow and an event that belong together.
#[derive(Clone, Copy, Debug)]
struct Pair {
    /// Start of the flow.
    at: i64,
    /// Event less start.
    off: i64,
}

/// One clock.
#[derive(Clone, Debug)]
pub(super) struct Clock {
    pub key: ClockKey,
    pairs: VecDeque<Pair>,
    /// The newest pairs, as long as they disagree with the others.
    strays: Vec<Pair>,
    /// Learned by destinations, without ports.
    by_votes: bool,
    steps: u32,
    /// Spread of the pairs about their neighbours.
    sigma: i64,
}

/// What a clock says of a time.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Reading {
    /// Event time less true time.
    pub offset: i64,
    /// Half the width within which an event is believed to belong to a time.
    pub within: i64,
    /// How well it is known.
    pub known: Known,
}

/// How well a clock is known.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(super) enum Known {
    /// Not at all: it is taken to be right.
    Not,
    /// By one or two pairs.
    Once,
    /// By three that agree, or more.
    Surely,
}

impl Clock {
    fn new(key: ClockKey) -> Self {
        Self { key, pairs: VecDeque::new(), strays: Vec::new(), by_votes: false, steps: 0, sigma: SPREAD_MIN }
    }

    /// How far it is off about the time `at`, which is the sensor's.
    pub(super) fn reading(&self, at: i64) -> Reading {
        let known = match self.pairs.len() {
            0 => Known::Not,
            n if n >= AGREE => Known::Surely,
            _ if self.by_votes => Known::Surely,
            _ => Known::Once,
        };
        // The header of the Security log is written when the machine gets round to it.
        let late = self.key.source == SourceKind::WindowsSecurity;
        let least = if late { 60_000 } else { 2_000 };
        let within = (4 * self.sigma).max(least * MILLI);
        Reading { offset: self.offset_near(at), within, known }
    }

    fn offset_near(&self, at: i64) -> i64 {
        if self.by_votes {
            // Each guess stands for the time about it: a clock that was set has two.
            return self.pairs.iter().min_by_key(|p| p.at.abs_diff(at)).map_or(0, |p| p.off);
        }
        median(nearest(&self.pairs, at).iter().map(|p| p.off))
    }

    /// A pair proven by ports. True when the clock says something else than before: what waits should be looked at again.
    pub(super) fn learn(&mut self, at: i64, off: i64) -> bool {
        let pair = Pair { at, off };
        if self.by_votes {
            // Ports know better than destinations.
            self.by_votes = false;
            self.pairs.clear();
        }
        if self.pairs.is_empty() {
            self.pairs.push_back(pair);
            return true;
        }
        let stray = (off - self.offset_near(at)).abs();
        if stray > (6 * self.sigma).max(1_000 * MILLI) && self.pairs.len() + self.strays.len() >= AGREE
            || stray > AGREE_WITHIN && self.pairs.len() < AGREE
        {
            return self.stray(pair);
        }
        self.strays.clear();
        if self.pairs.len() == RING {
            self.pairs.pop_front();
        }
        self.pairs.push_back(pair);
        self.sigma = self.spread();
        self.pairs.len() <= AGREE
    }

    /// A pair that does not fit: the third of a kind is a step.
    fn stray(&mut self, pair: Pair) -> bool {
        if self.strays.iter().any(|s| (s.off - pair.off).abs() > AGREE_WITHIN) {
            self.strays.clear();
        }
        self.strays.push(pair);
        if self.strays.len() < AGREE {
            return false;
        }
        self.steps += u32::from(self.pairs.len() >= AGREE);
        self.pairs = self.strays.drain(..).collect();
        self.sigma = self.spread();
        true
    }

    fn spread(&self) -> i64 {
        let off = |p: &Pair| {
            let others: Vec<i64> = nearest(&self.pairs, p.at).iter().map(|q| q.off).collect();
            (p.off - median(others.iter().copied())).abs()
        };
        let mad = median(self.pairs.iter().map(off));
        (mad.saturating_mul(148) / 100).max(SPREAD_MIN)
    }

    /// An offset guessed without ports. Ports know better. True when the clock says something else than before.
    pub(super) fn guess(&mut self, at: i64, off: i64) -> bool {
        if !self.pairs.is_empty() && !self.by_votes {
            return false;
        }
        let differs = self.pairs.is_empty() || (self.offset_near(at) - off).abs() > GUESSED_SPREAD;
        self.steps +=
            u32::from(differs && self.pairs.back().is_some_and(|p| (p.off - off).abs() > AGREE_WITHIN));
        if differs {
            if self.pairs.len() == RING {
                self.pairs.pop_front();
            }
            self.pairs.push_back(Pair { at, off });
        }
        (self.by_votes, self.sigma) = (true, GUESSED_SPREAD);
        differs
    }

    /// Where the offset looks like a time zone or a 12-hour clock read as 24: that many quarters of an hour.
    pub(super) fn zone_hint(&self) -> Option<i64> {
        let offset = self.pairs.back()?.off;
        let quarter = 900_000 * MILLI;
        let quarters = (offset + offset.signum() * quarter / 2) / quarter;
        let near = (offset - quarters * quarter).abs() <= 5_000 * MILLI;
        (near && quarters != 0 && quarters.abs() <= 104 && self.pairs.len() >= AGREE).then_some(quarters)
    }

    /// Times that the clock was set anew.
    pub(super) const fn steps(&self) -> u32 {
        self.steps
    }
}

/// The pairs nearest to a time. They stand in the order in which they came, which is nearly that of time.
fn nearest(pairs: &VecDeque<Pair>, at: i64) -> Vec<Pair> {
    let mut all: Vec<Pair> = pairs.iter().copied().collect();
    all.sort_by_key(|p| p.at.abs_diff(at));
    all.truncate(NEAREST);
    all
}

fn median(values: impl Iterator<Item = i64>) -> i64 {
    let mut all: Vec<i64> = values.collect();
    all.sort_unstable();
    all.get(all.len().saturating_sub(1) / 2).copied().unwrap_or(0)
}

/// Differences between events and flows that may belong together, for one clock and one address.
#[derive(Debug, Default)]
pub(super) struct Ballot {
    votes: VecDeque<(i64, (u128, u16))>,
}

impl Ballot {
    /// Takes a difference at a destination; offset and number of destinations that agree, when differences at [`AGREE`] destinations agree, and no other
    /// difference has half as many.
    pub(super) fn vote(&mut self, off: i64, destination: (u128, u16)) -> Option<(i64, usize)> {
        if self.votes.len() >= VOTES {
            self.votes.pop_front();
        }
        self.votes.push_back((off, destination));
        let support = |centre: i64| {
            let mut seen: Vec<(u128, u16)> = Vec::new();
            for (o, d) in &self.votes {
                if (o - centre).abs() <= AGREE_WITHIN / 2 && !seen.contains(d) {
                    seen.push(*d);
                }
            }
            seen.len()
        };
        let best = support(off);
        let others = self.votes.iter().filter(|v| (v.0 - off).abs() > AGREE_WITHIN);
        let second = others.map(|v| support(v.0)).max().unwrap_or(0);
        if best < AGREE || best < 2 * second {
            return None;
        }
        let agreed = self.votes.iter().filter(|v| (v.0 - off).abs() <= AGREE_WITHIN / 2).map(|v| v.0);
        Some((median(agreed), best))
    }
}

/// All clocks.
#[derive(Debug, Default)]
pub(super) struct Clocks {
    all: Vec<Clock>,
    by_key: Map<ClockKey, u32>,
    /// Clocks of each host.
    of_host: Map<u32, Vec<u32>>,
    /// Clocks that found no room.
    pub refused: u64,
}

impl Clocks {
    /// The clock of an event; `None` when there are too many.
    pub(super) fn at(&mut self, key: ClockKey) -> Option<u32> {
        if let Some(id) = self.by_key.get(&key) {
            return Some(*id);
        }
        if self.all.len() >= MAX_CLOCKS {
            self.refused += 1;
            return None;
        }
        let id = self.all.len() as u32;
        self.all.push(Clock::new(key));
        self.by_key.insert(key, id);
        self.of_host.entry(key.host).or_default().push(id);
        Some(id)
    }

    pub(super) fn find(&self, key: ClockKey) -> Option<u32> {
        self.by_key.get(&key).copied()
    }

    pub(super) fn clock(&self, id: u32) -> Option<&Clock> {
        self.all.get(id as usize)
    }

    pub(super) fn clock_mut(&mut self, id: u32) -> Option<&mut Clock> {
        self.all.get_mut(id as usize)
    }

    /// What the clock of an event says.
    pub(super) fn reading(&self, id: u32, at: i64) -> Reading {
        let unknown = Reading { offset: 0, within: 2_000 * MILLI, known: Known::Not };
        self.clock(id).map_or(unknown, |c| c.reading(at))
    }

    /// The clocks of a host.
    pub(super) fn of_host(&self, host: u32) -> &[u32] {
        self.of_host.get(&host).map_or(&[], Vec::as_slice)
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &Clock> {
        self.all.iter()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SEC: i64 = 1_000 * MILLI;

    fn clock() -> Clock {
        Clock::new(ClockKey { host: 0, source: SourceKind::Sysmon, class: ClockClass::Network })
    }

    #[test]
    fn one_pair_is_taken_three_are_sure() {
        let mut c = clock();
        assert_eq!(c.reading(0).known, Known::Not);
        for (n, known) in [(1, Known::Once), (2, Known::Once), (3, Known::Surely)] {
            c.learn(n * SEC, -500_107 * SEC + n * MILLI);
            assert_eq!(c.reading(n * SEC).known, known);
        }
        assert!((c.reading(3 * SEC).offset + 500_107 * SEC).abs() < 10 * MILLI);
    }

    #[test]
    fn a_false_first_pair_is_forgotten() {
        let mut c = clock();
        c.learn(0, 7_000 * SEC);
        for n in 1..=3 {
            c.learn(n * SEC, 0);
        }
        assert_eq!(c.reading(4 * SEC).offset, 0);
        assert_eq!(c.steps(), 0);
    }

    #[test]
    fn a_step_needs_three_that_agree() {
        let mut c = clock();
        (0..10).for_each(|n| {
            let _ = c.learn(n * SEC, 5 * MILLI);
        });
        for n in 10..12 {
            assert!(!c.learn(n * SEC, 3_600 * SEC));
            assert_eq!(c.reading(n * SEC).offset, 5 * MILLI);
        }
        assert!(c.learn(12 * SEC, 3_600 * SEC + SEC));
        assert!((c.reading(12 * SEC).offset - 3_600 * SEC).abs() <= SEC);
        assert_eq!(c.steps(), 1);
    }

    #[test]
    fn a_drift_is_followed() {
        let mut c = clock();
        // 80 ms a second: the clock of a virtual machine under load.
        (0..60).for_each(|n| {
            let _ = c.learn(n * 5 * SEC, n * 400 * MILLI);
        });
        let reading = c.reading(59 * 5 * SEC);
        assert!((reading.offset - 59 * 400 * MILLI).abs() <= reading.within, "{reading:?}");
    }

    #[test]
    fn hints_at_time_zones() {
        for (offset, quarters) in
            [(-25_200, Some(-28)), (-68_399, Some(-76)), (20_700, Some(23)), (176, None), (-500_107, None)]
        {
            let mut c = clock();
            (0..3).for_each(|n| {
                let _ = c.learn(n * SEC, offset * SEC);
            });
            assert_eq!(c.zone_hint(), quarters, "{offset}");
        }
    }

    #[test]
    fn votes_need_three_destinations_and_no_rival() {
        let mut ballot = Ballot::default();
        assert_eq!(ballot.vote(176 * SEC, (1, 443)), None);
        assert_eq!(ballot.vote(176 * SEC, (1, 443)), None);
        assert_eq!(ballot.vote(9 * SEC, (4, 443)), None);
        assert_eq!(ballot.vote(176 * SEC + 300 * MILLI, (2, 443)), None);
        let (offset, agree) = ballot.vote(176 * SEC - 300 * MILLI, (3, 443)).expect("decided");
        assert_eq!(agree, 3);
        let mut c = clock();
        c.guess(0, offset);
        assert_eq!(c.reading(0).known, Known::Surely);
        // Ports correct it.
        c.learn(0, 20 * SEC);
        assert_eq!(c.reading(0).offset, 20 * SEC);
    }
}
