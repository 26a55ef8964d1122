//! Events and flows played to the joiner in the order in which a sensor would hear of them, and what it said in the end.

use egret::attribute::{Attribution, JoinConfig, Joiner, Level, Seen};
use egret::endpoint::EndpointEvent;
use egret::observe::{Ends, FlowId};
use egret::units::{Direction, Span, Timestamp};
use std::collections::BTreeMap;
use std::sync::Arc;

/// When every play begins.
pub(crate) const DAY: i64 = 1_790_000_000_000_000_000;

/// Seconds after the beginning.
pub(crate) fn at(secs: f64) -> Timestamp {
    Timestamp::from_nanos(DAY + (secs * 1e9) as i64)
}

/// Numbers that are the same in every run.
pub(crate) struct Dice(pub(crate) u64);

impl Dice {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let x = self.0 >> 22;
        x ^ (x >> 17)
    }

    pub(crate) fn below(&mut self, n: u64) -> u64 {
        self.next() % n
    }

    pub(crate) fn share(&mut self) -> f64 {
        self.below(1 << 20) as f64 / f64::from(1 << 20)
    }
}

/// A flow, when it began, and the program that is right.
pub(crate) struct Made {
    pub(crate) flow: FlowId,
    pub(crate) ends: Ends,
    pub(crate) secs: f64,
    pub(crate) program: String,
}

/// What was said at one level.
#[derive(Default)]
pub(crate) struct Row {
    pub(crate) said: u32,
    pub(crate) right: u32,
    pub(crate) brier: f64,
    /// Wrong, and would have calmed something.
    pub(crate) wrong_calm: u32,
    /// Wrong at 0.9 or above.
    pub(crate) wrong_sure: u32,
}

/// What came of a play.
pub(crate) struct Played {
    pub(crate) rows: BTreeMap<Level, Row>,
    pub(crate) nothing: u32,
    /// Seconds until a flow was known at L2 or better, in order.
    pub(crate) soon: Vec<f64>,
}

impl Played {
    /// Share of the flows for which the right program was said, and the Brier score; nothing said counts as neither.
    pub(crate) fn right(&self) -> (f64, f64) {
        let sum = |of: fn(&Row) -> f64| self.rows.values().map(of).sum::<f64>();
        let all = sum(|r| f64::from(r.said)) + f64::from(self.nothing);
        (sum(|r| f64::from(r.right)) / all, sum(|r| r.brier) / all)
    }

    /// A quantile of the times.
    pub(crate) fn time(&self, share: f64) -> f64 {
        self.soon.get(((self.soon.len() as f64 - 1.0) * share) as usize).copied().unwrap_or(0.0)
    }
}

enum Step<'w> {
    Event(&'w EndpointEvent),
    Begins(&'w Made),
    Ends(&'w Made),
}

/// Flows as they begin, events as they are heard; one flow in `asked` is asked about a minute after it began, and again
/// when something came late. What was said best counts.
pub(crate) fn play(events: &[(f64, EndpointEvent)], flows: &[Made], asked: u64) -> Played {
    let mut steps: Vec<(f64, Step<'_>)> = events.iter().map(|(t, e)| (*t, Step::Event(e))).collect();
    steps.extend(flows.iter().map(|f| (f.secs, Step::Begins(f))));
    let wanted = flows.iter().filter(|f| f.flow.0.is_multiple_of(asked));
    steps.extend(wanted.map(|f| (f.secs + 60.0, Step::Ends(f))));
    steps.sort_by(|a, b| a.0.total_cmp(&b.0));
    let mut joiner = Joiner::new(JoinConfig { late_window: Span::from_secs(9_000), ..JoinConfig::default() });
    let mut soon = Vec::new();
    let mut best: BTreeMap<FlowId, Arc<Attribution>> = BTreeMap::new();
    for (secs, step) in steps {
        let mut ask = Vec::new();
        match step {
            Step::Event(event) => {
                joiner.event(event, at(secs));
                ask = joiner.take_updates();
            }
            Step::Begins(made) => {
                let span = (at(made.secs), at(made.secs + 1.0));
                let (flow, ends, side) = (made.flow, made.ends, Direction::Up);
                joiner
                    .flow(&Seen { flow, ends, side, span, opened: true, name: None, ended: true }, at(secs));
            }
            Step::Ends(made) => {
                joiner.wait_for(made.flow);
                ask.push(made.flow);
            }
        }
        for flow in ask {
            let said = joiner.attribute(flow, at(secs)).expect("known");
            let old = best.get(&flow);
            if said.level >= Level::L2 && old.is_none_or(|old| old.level < Level::L2) {
                soon.push(secs - flows[flow.0 as usize].secs);
            }
            if old.is_none_or(|old| !old.is_better_than(&said)) {
                best.insert(flow, said);
            }
        }
    }
    soon.sort_by(f64::total_cmp);
    let (rows, nothing) = count(&best, flows);
    Played { rows, nothing, soon }
}

fn count(best: &BTreeMap<FlowId, Arc<Attribution>>, flows: &[Made]) -> (BTreeMap<Level, Row>, u32) {
    let (mut rows, mut nothing) = (BTreeMap::<Level, Row>::new(), 0);
    for (flow, said) in best {
        let Some(process) = &said.process else {
            nothing += 1;
            continue;
        };
        let right = *process.name == *flows[flow.0 as usize].program;
        let row = rows.entry(said.level).or_default();
        row.said += 1;
        row.right += u32::from(right);
        row.brier += (f64::from(said.confidence) - f64::from(u8::from(right))).powi(2);
        row.wrong_calm += u32::from(said.may_calm() && !right);
        row.wrong_sure += u32::from(said.confidence >= 0.9 && !right);
    }
    (rows, nothing)
}
