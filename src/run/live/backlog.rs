//! Tellings that wait with their worker because the detector's queue is full, and what becomes of them when they are
//! many: deltas of a flow become one (nothing is lost, it is only known later), then reports of open flows go, then
//! flows that moved no payload are summed per host and minute. Names, the bytes of every flow and the records of flows
//! with payload stay: beyond the last step the worker waits, the ring fills, and the kernel counts what it drops.

use super::empty::{EmptySums, has_no_payload, host_of};
use crate::net::Nets;
use crate::observe::{FlowId, Telling, Told};
use std::collections::{HashMap, HashSet};

/// From here on deltas are put together and reports of open flows left out.
const MANY: usize = 8 * 1024;
/// From here on records of flows without payload are left out.
const TOO_MANY: usize = 32 * 1024;
/// From here on the worker waits.
const FULL: usize = 128 * 1024;

/// See the module.
pub(super) struct Backlog {
    told: Vec<Told>,
    sums: EmptySums,
    home: Nets,
    /// Length from which thinning is worth another try.
    next: usize,
    thinned: u64,
}

impl Backlog {
    /// An empty one. `home` says which end of a flow is the host.
    pub(super) fn new(home: Nets) -> Self {
        Self { told: Vec::new(), sums: EmptySums::default(), home, next: 0, thinned: 0 }
    }

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

    /// Takes the sums of what is not told one by one.
    pub(super) fn take_sums(&mut self) -> Option<EmptySums> {
        self.sums.take()
    }

    /// What could not be sent comes back.
    pub(super) fn put_back(&mut self, told: Vec<Told>, sums: Option<EmptySums>) {
        self.told = told;
        self.sums.add_all(sums.unwrap_or_default());
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
            self.sum_empty();
        }
        self.thinned += (before - self.told.len()) as u64;
    }

    /// Flows without payload become a part of their host's sum: nothing is told of them any more.
    fn sum_empty(&mut self) {
        let mut gone: HashSet<FlowId> = HashSet::new();
        let Self { told, sums, home, .. } = self;
        told.retain(|t| {
            let Telling::Summary(s) = &t.what else { return true };
            if !has_no_payload(s) {
                return true;
            }
            gone.insert(s.flow);
            sums.add(s, Some(host_of(s, home)), t.now);
            false
        });
        // The detector forgets a flow with its summary: it must not hear of the end alone.
        told.retain(|t| !matches!(&t.what, Telling::Delta(d) if gone.contains(&d.flow)));
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::net::default_home;
    use crate::observe::{Place, tests::delta};
    use crate::output::{Record, samples};
    use crate::units::Timestamp;

    fn told(flow: u64, up: u64) -> Told {
        let place = Place { ordinal: 0, flow_ordinal: 0, turn: 0 };
        let mut delta = delta(FlowId(flow));
        delta.bytes.up = up;
        Told { place, now: Timestamp::default(), what: Telling::Delta(delta) }
    }

    #[test]
    fn no_byte_is_lost_when_deltas_are_put_together() {
        let mut backlog = Backlog::new(Nets::default());
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

    /// A flood: its flows are summed, nothing is heard of their end alone, and flows with payload stay.
    #[test]
    fn flows_without_payload_become_sums_and_others_stay() {
        let Record::Flow(sample) = samples::flow() else { unreachable!() };
        let mut backlog = Backlog::new(default_home());
        for i in 0..40_000u64 {
            let mut summary = sample.summary.clone();
            summary.flow = FlowId(i);
            if i % 100 > 0 {
                for counts in [&mut summary.counts.up, &mut summary.counts.down] {
                    (counts.payload, counts.gap) = (0, 0);
                }
            }
            let end = told(i, if i % 100 > 0 { 0 } else { 7 });
            let whole = Told { what: Telling::Summary(summary), ..end.clone() };
            backlog.add(vec![end, whole]);
        }
        let mut sums = backlog.take_sums().unwrap();
        let summed: u64 =
            sums.take_all().iter().map(|r| if let Record::FlowSum(s) = r { s.flows } else { 0 }).sum();
        let left = backlog.take();
        let of = |wanted: fn(&Telling) -> bool| left.iter().filter(|t| wanted(&t.what)).count() as u64;
        let (deltas, summaries) =
            (of(|t| matches!(t, Telling::Delta(_))), of(|t| matches!(t, Telling::Summary(_))));
        assert_eq!(deltas, summaries);
        assert_eq!(summed + summaries, 40_000);
        assert!(summed > 10_000 && left.len() < TOO_MANY);
        let kept = left.iter().filter(|t| matches!(&t.what, Telling::Delta(d) if d.bytes.up == 7)).count();
        assert_eq!(kept, 400);
    }
}
