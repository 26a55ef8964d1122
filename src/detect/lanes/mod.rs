//! The five lanes: what the evidence adds up to, on one scale of false alerts to be expected.
//!
//! The weights were fitted on synthetic networks (docs/detection.md says how, and what that is worth). A score is
//! -log10 of the false alerts expected per 1,000 hosts and day at this strength: 0 means one, 1 means one in ten days.

mod forest;
mod words;

pub use forest::Forest;

use super::learn::evidence::{EVIDENCE, Values};
use super::learn::kind::Kind;
use crate::output::Evidence;
use serde::{Deserialize, Serialize};
use std::sync::OnceLock;

/// Trees as text.
static SHIPPED: &str = include_str!("shipped.txt");
/// log odds and the score they stand for, rising: measured on networks that the trees had not seen.
const SCALE: &[(f32, f32)] = &include!("scale.in");
/// Values that the trees ask: the evidence, the kind of destination, the part of the host.
const FEATURES: usize = EVIDENCE + Kind::ALL.len() + 3;

/// In what situation a score was reached. Each lane has its share of the budget when a site calibrates.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
pub enum Lane {
    /// Much at once.
    Bulk,
    /// A little every day.
    Slow,
    /// Text sites, hooks, less than a few megabytes.
    Small,
    /// Over several destinations.
    Spread,
    /// To the site's own or sanctioned tenants.
    Sanctioned,
}

impl Lane {
    /// Every lane.
    pub const ALL: [Self; 5] = [Self::Bulk, Self::Slow, Self::Small, Self::Spread, Self::Sanctioned];

    /// The word in records.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Bulk => "bulk",
            Self::Slow => "slow",
            Self::Small => "small",
            Self::Spread => "spread",
            Self::Sanctioned => "sanctioned",
        }
    }

    /// The lane of a situation.
    fn of(values: &Values, kind: Kind) -> Self {
        let at = |name: &str| super::learn::NAMES.iter().position(|n| *n == name).map_or(0.0, |i| values[i]);
        if kind == Kind::Own {
            Self::Sanctioned
        } else if matches!(kind, Kind::Text | Kind::Hook) || at("size") < 0.3 {
            Self::Small
        } else if at("other_destinations") >= 2.0 && at("spread") >= 2.0 {
            Self::Spread
        } else if at("slow_days") >= 3.0 && at("slow") >= 2.0 {
            Self::Slow
        } else {
            Self::Bulk
        }
    }
}

/// What the host is.
#[derive(Clone, Copy, Default, Debug, Serialize, Deserialize)]
pub struct Circumstance {
    /// Kind of destination.
    pub kind: Option<Kind>,
    /// Part of the host.
    pub part: super::learn::host::Part,
}

/// What the lanes say.
#[derive(Clone, Copy, PartialEq, Debug, Serialize, Deserialize)]
pub struct Verdict {
    /// The lane.
    pub lane: Lane,
    /// Log odds.
    pub raw: f32,
    /// -log10 of the false alerts expected per 1,000 hosts and day.
    pub score: f64,
}

fn forest() -> &'static Forest {
    static FOREST: OnceLock<Forest> = OnceLock::new();
    // The shipped text is tested to be well formed; without it nothing scores.
    FOREST.get_or_init(|| Forest::read(SHIPPED, FEATURES).unwrap_or_default())
}

fn features(values: &Values, c: Circumstance) -> [f32; FEATURES] {
    let mut x = [0.0; FEATURES];
    x[..EVIDENCE].copy_from_slice(values);
    if let Some(kind) = c.kind {
        x[EVIDENCE + kind.index()] = 1.0;
    }
    let part = [c.part.gateway, c.part.server, c.part.hypervisor];
    for (slot, is) in x[EVIDENCE + Kind::ALL.len()..].iter_mut().zip(part) {
        *slot = f32::from(u8::from(is));
    }
    x
}

/// The score of log odds: linear between the points, gently rising beyond them.
fn scale(raw: f32) -> f64 {
    let (Some(first), Some(last)) = (SCALE.first(), SCALE.last()) else { return f64::MIN };
    if raw <= first.0 {
        return f64::from(first.1) - f64::from(first.0 - raw);
    }
    if raw >= last.0 {
        return f64::from(last.1) + 0.3 * f64::from(raw - last.0);
    }
    let i = SCALE.partition_point(|p| p.0 <= raw).clamp(1, SCALE.len() - 1);
    let (a, b) = (SCALE[i - 1], SCALE[i]);
    let part = (raw - a.0) / (b.0 - a.0).max(1e-6);
    f64::from(a.1) + f64::from(part) * f64::from(b.1 - a.1)
}

/// Adds the evidence up.
pub fn judge(values: &Values, c: Circumstance) -> Verdict {
    let raw = forest().score(&features(values, c));
    Verdict { lane: Lane::of(values, c.kind.unwrap_or(Kind::Unknown)), raw, score: scale(raw) }
}

/// What is usual for the host and the service, in words.
pub fn typical(values: &Values) -> Vec<String> {
    words::typical(values)
}

/// What each kind of evidence added, the largest first.
pub fn explain(values: &Values, c: Circumstance, most: usize) -> Vec<Evidence> {
    let x = features(values, c);
    let mut parts = [0.0; FEATURES];
    forest().explain(&x, &mut parts);
    let (evidence, rest) = parts.split_at(EVIDENCE);
    let kind: f32 = rest[..Kind::ALL.len()].iter().sum();
    let host: f32 = rest[Kind::ALL.len()..].iter().sum();
    let mut list: Vec<Evidence> =
        evidence.iter().enumerate().map(|(i, c)| words::evidence(i, values, *c)).collect();
    list.push(words::kind(c, kind));
    list.push(words::part(c, host));
    list.retain(|e| e.contribution.abs() >= 0.05);
    list.sort_by(|a, b| b.contribution.abs().total_cmp(&a.contribution.abs()).then(a.name.cmp(b.name)));
    list.truncate(most);
    list
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_shipped_weights_are_well_formed() {
        let forest = Forest::read(SHIPPED, FEATURES).expect("well formed");
        assert!(forest.size().0 > 0);
        assert!(SCALE.len() > 1 && SCALE.windows(2).all(|w| w[0].0 < w[1].0 && w[0].1 <= w[1].1));
    }

    #[test]
    fn more_volume_never_lowers_a_score() {
        let c = Circumstance { kind: Some(Kind::Storage), ..Circumstance::default() };
        let mut values: Values = [1.0; EVIDENCE];
        let mut before = f64::MIN;
        for step in 0..60 {
            (values[1], values[2]) = (step as f32 * 0.1, step as f32 * 0.1 - 1.0);
            let now = judge(&values, c).score;
            assert!(now >= before, "{step}: {now} after {before}");
            before = now;
        }
    }

    #[test]
    fn explained_in_full() {
        let c = Circumstance { kind: Some(Kind::Anonymous), ..Circumstance::default() };
        let values: Values = [0.7; EVIDENCE];
        let x = features(&values, c);
        let mut parts = [0.0; FEATURES];
        let base = forest().explain(&x, &mut parts);
        assert!((base + parts.iter().sum::<f32>() - judge(&values, c).raw).abs() < 1e-2);
        assert!(!explain(&values, c, 5).is_empty());
    }
}
