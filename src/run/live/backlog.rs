//! Tellings that wait with their worker because the detector's queue is full, and what becomes of them when they are
//! many: deltas of a flow become one (nothing is lost, it is only known later), then reports of open flows go, then
//! records of flows that moved no payload. Names, the bytes of every flow and the records of flows with payload stay:
//! beyond the last step the worker waits, the ring fills, and the kernel counts what it drops.

use crate::observe::{FlowId, FlowSummary, Telling, Told};
use std::collections::HashMap;

/// From here on deltas are put together and reports of open flows left out.
const MANY: usize = 8 * 1024;
/// From here on records of flows without payload are left out.
const TOO_MANY: usize = 32 * 1024;
/// From here on the worker waits.
const FULL: usize = 128 * 1024;

/// See the module.
#[derive(Default)]
pub(super) struct Backlog {
    told: Vec<Told>,
    /// Length from which thinning is worth another try.
    next: usize,
    thinned: u64,
}

impl Backlog {
    /// Adds what a worker told, and thins if it is too much.
    pub(super) fn add(&mut self, told: Vec<Told>) {
        if self.told.is_empty() {
            self.told = told;
        } else {
            self.told.extend(told);
        }
        if self.told.len() >= self.next.max(MANY) {
            self.thin();
            // Thinning costs a pass over all of it: again only when a quarter has come in addition.
            self.next = self.told.len() + self.told.len() / 4;
        }
    }

    /// Takes everything, for sending.
    pub(super) fn take(&mut self) -> Vec<Told> {
        self.next = 0;
        std::mem::take(&mut self.told)
    }

    /// What could not be sent comes back.
    pub(super) fn put_back(&mut self, told: Vec<Told>) {
        self.told = told;
        self.next = self.told.len() + self.told.len() / 4;
    }

    pub(super) fn is_empty(&self) -> bool {
        self.told.is_empty()
    }

    /// No more must come before some of it has gone.
    pub(super) fn is_full(&self) -> bool {
        self.told.len() >= FULL
    }

    /// Tellings left out so far.
    pub(super) fn thinned(&self) -> u64 {
        self.thinned
    }

    fn thin(&mut self) {
        self.join_deltas();
        let before = self.told.len();
        self.told.retain(|t| !matches!(&t.what, Telling::Summary(s) if s.end.is_none()));
        if self.told.len() >= TOO_MANY {
            self.told.retain(|t| !matches!(&t.what, Telling::Summary(s) if is_empty(s)));
        }
        self.thinned += (before - self.told.len()) as u64;
    }

    /// The last delta of each flow takes in the earlier ones.
    fn join_deltas(&mut self) {
        let mut sums: HashMap<FlowId, (u64, u64)> = HashMap::new();
        for told in &self.told {
            if let Telling::Delta(delta) = &told.what {
                let sum = sums.entry(delta.flow).or_default();
                *sum = (sum.0 + delta.bytes.up, sum.1 + delta.bytes.down);
            }
        }
        let mut kept: Vec<Told> = Vec::with_capacity(self.told.len());
        for mut told in std::mem::take(&mut self.told).into_iter().rev() {
            if let Telling::Delta(delta) = &mut told.what {
                let Some((up, down)) = sums.remove(&delta.flow) else { continue };
                (delta.bytes.up, delta.bytes.down) = (up, down);
            }
            kept.push(told);
        }
        kept.reverse();
        self.told = kept;
    }
}

fn is_empty(summary: &FlowSummary) -> bool {
    let moved = |c: &crate::observe::Counts| c.payload + c.gap;
    moved(&summary.counts.up) + moved(&summary.counts.down) == 0
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::observe::{Place, tests::delta};
    use crate::units::Timestamp;

    fn told(flow: u64, up: u64) -> Told {
        let place = Place { ordinal: 0, flow_ordinal: 0, turn: 0 };
        let mut delta = delta(FlowId(flow));
        delta.bytes.up = up;
        Told { place, now: Timestamp::default(), what: Telling::Delta(delta) }
    }

    #[test]
    fn no_byte_is_lost_when_deltas_are_put_together() {
        let mut backlog = Backlog::default();
        let mut sum = 0;
        for i in 0..40_000u64 {
            backlog.add(vec![told(i % 100, i)]);
            sum += i;
        }
        assert!(backlog.told.len() <= MANY + MANY / 4);
        let up = |t: &Told| match &t.what {
            Telling::Delta(d) => d.bytes.up,
            _ => 0,
        };
        assert_eq!(backlog.take().iter().map(up).sum::<u64>(), sum);
        assert_eq!(backlog.thinned(), 0);
        assert!(backlog.is_empty());
    }
}
