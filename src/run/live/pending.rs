//! Records that wait for the writer. When it is behind (a slow disk, a pipe that nobody reads) they are thinned in a
//! stated order, so that detection goes on and alerts are written as soon as anything can be: first reports of open
//! flows, then flows without payload are summed, then what hellos and requests said, then flows. Alerts, incidents and
//! `stats` stay. What is left out is counted.

use super::empty::{Allowance, EmptySums, has_no_payload};
use crate::config::Rate;
use crate::output::{FlowRecord, Record};
use crate::units::Timestamp;
use crossbeam_channel::Sender;
use std::collections::VecDeque;
use std::time::Duration;

/// Records in one list for the writer.
const LIST_LEN: usize = 256;
/// From so many records on, reports of open flows go.
const MANY: usize = 4 * 1_024;
/// From so many on, flows without payload are summed.
const MORE: usize = 8 * 1_024;
/// From so many on, records of hellos, requests and answers go.
const TOO_MANY: usize = 16 * 1_024;
/// From so many on, flows go.
const FAR_TOO_MANY: usize = 32 * 1_024;
/// From so many on, the oldest go whatever they are.
const FULL: usize = 64 * 1_024;

/// See the module.
pub(super) struct Pending {
    to_writer: Sender<Vec<Record>>,
    waiting: VecDeque<Record>,
    /// Length from which thinning is worth another try.
    next: usize,
    allowance: Allowance,
    sums: EmptySums,
    left_out: u64,
    /// The writer has been waited for once in vain.
    gave_up: bool,
}

impl Pending {
    pub(super) fn new(to_writer: Sender<Vec<Record>>, rate: Rate) -> Self {
        Self {
            to_writer,
            waiting: VecDeque::new(),
            next: MANY,
            allowance: Allowance::new(rate),
            sums: EmptySums::default(),
            left_out: 0,
            gave_up: false,
        }
    }

    /// Adds a record, or its flow to the sum of its host. `patience`: waits so long for a writer that is behind before
    /// anything is left out.
    pub(super) fn push(&mut self, record: Record, now: Timestamp, patience: Option<Duration>) {
        if let Record::Flow(flow) = &record
            && is_ended_empty(flow)
            && !self.allowance.take(now)
        {
            self.sum(flow);
            return;
        }
        self.waiting.push_back(record);
        if let Some(patience) = patience
            && self.waiting.len() >= MANY
        {
            self.hand_over(patience);
        }
        if self.waiting.len() >= self.next {
            self.thin();
            // Thinning costs a pass over all of it: again only when a quarter has come in addition.
            self.next = MANY.max(self.waiting.len() + self.waiting.len() / 4);
        }
    }

    /// Adds flows that were summed earlier.
    pub(super) fn add_sums(&mut self, sums: EmptySums) {
        self.sums.add_all(sums);
    }

    /// Hands the writer what it takes.
    pub(super) fn pass_on(&mut self, now: Option<Timestamp>) {
        for record in now.map(|now| self.sums.take_settled(now)).unwrap_or_default() {
            self.waiting.push_back(record);
        }
        while !self.waiting.is_empty() && !self.to_writer.is_full() {
            let list = self.list();
            // Nobody else sends, so there is room; a writer that is gone has told why.
            let _ = self.to_writer.try_send(list);
        }
        if self.waiting.is_empty() {
            self.next = MANY;
        }
    }

    /// The end: everything, as long as the writer takes something every now and then.
    pub(super) fn finish(&mut self, patience: Duration) {
        let sums = self.sums.take_all();
        self.waiting.extend(sums);
        self.hand_over(patience);
        self.left_out += self.waiting.len() as u64;
        self.waiting.clear();
    }

    /// Hands over all that waits, unless the writer takes nothing for so long; it is not waited for again then.
    fn hand_over(&mut self, patience: Duration) {
        let patience = if self.gave_up { Duration::ZERO } else { patience };
        while !self.waiting.is_empty() {
            let list = self.list();
            if let Err(unsent) = self.to_writer.send_timeout(list, patience) {
                for record in unsent.into_inner().into_iter().rev() {
                    self.waiting.push_front(record);
                }
                self.gave_up = true;
                return;
            }
        }
    }

    /// Records left out so far.
    pub(super) const fn left_out(&self) -> u64 {
        self.left_out
    }

    fn list(&mut self) -> Vec<Record> {
        let len = self.waiting.len().min(LIST_LEN);
        self.waiting.drain(..len).collect()
    }

    fn sum(&mut self, flow: &FlowRecord) {
        let host = flow.identity.host.as_ref().map_or(flow.summary.ends.originator, |host| host.ip);
        self.sums.add(&flow.summary, Some(host), flow.summary.last);
    }

    fn thin(&mut self) {
        let before = self.waiting.len();
        self.waiting.retain(|r| !matches!(r, Record::Flow(f) if f.summary.end.is_none()));
        let mut summed = 0;
        if self.waiting.len() >= MORE {
            let (empty, rest): (VecDeque<_>, _) = std::mem::take(&mut self.waiting)
                .into_iter()
                .partition(|r| matches!(r, Record::Flow(f) if is_ended_empty(f)));
            self.waiting = rest;
            summed = empty.len();
            for record in empty {
                if let Record::Flow(flow) = record {
                    self.sum(&flow);
                }
            }
        }
        if self.waiting.len() >= TOO_MANY {
            self.waiting.retain(|r| !matches!(r, Record::Facts(_) | Record::Dns(_)));
        }
        if self.waiting.len() >= FAR_TOO_MANY {
            self.waiting.retain(|r| !matches!(r, Record::Flow(_)));
        }
        let over = self.waiting.len().saturating_sub(FULL);
        self.waiting.drain(..over);
        self.left_out += (before - summed - self.waiting.len()) as u64;
    }
}

/// A flow that has ended, moved no payload, and belongs to no alert.
fn is_ended_empty(flow: &FlowRecord) -> bool {
    flow.summary.end.is_some() && !flow.alerted && has_no_payload(&flow.summary)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::output::samples;
    use crate::units::Span;
    use crossbeam_channel::bounded;

    const RATE: Rate = Rate { count: 1_000_000, per: Span::from_secs(1) };

    fn empty_flow() -> Record {
        let Record::Flow(mut flow) = samples::flow() else { unreachable!() };
        for counts in [&mut flow.summary.counts.up, &mut flow.summary.counts.down] {
            (counts.payload, counts.gap) = (0, 0);
        }
        flow.alerted = false;
        Record::Flow(flow)
    }

    /// A writer that takes nothing: alerts are there when it does again, and each record is there, summed or counted.
    #[test]
    fn alerts_outlast_a_writer_that_stands_still() {
        let (to_writer, records) = bounded(2);
        let mut pending = Pending::new(to_writer, RATE);
        let at = samples::at();
        let kinds = [samples::flow_update(), empty_flow(), samples::tls(), samples::flow()];
        let mut pushed = 0;
        for i in 0..200_000u32 {
            if i % 5_000 == 0 {
                pending.push(samples::alert(), at, None);
            }
            pending.push(kinds[i as usize % kinds.len()].clone(), at, None);
            pending.pass_on(None);
            pushed += 1;
            assert!(pending.waiting.len() <= FULL + FULL / 4);
        }
        let reader = std::thread::spawn(move || records.into_iter().flatten().collect::<Vec<Record>>());
        pending.finish(Duration::from_secs(20));
        let left_out = pending.left_out();
        drop(pending);
        let got = reader.join().unwrap();
        let alerts = got.iter().filter(|r| matches!(r, Record::Incident(_))).count();
        let summed: u64 =
            got.iter().filter_map(|r| if let Record::FlowSum(s) = r { Some(s.flows) } else { None }).sum();
        let sums = got.iter().filter(|r| matches!(r, Record::FlowSum(_))).count();
        assert_eq!(alerts, 40);
        assert_eq!((got.len() - alerts - sums) as u64 + summed + left_out, pushed);
        assert!(summed > 0 && left_out > 0);
    }

    #[test]
    fn beyond_the_rate_flows_without_payload_are_summed_and_others_are_not() {
        let (to_writer, records) = bounded(64);
        let mut pending = Pending::new(to_writer, Rate { count: 1, per: Span::from_secs(1) });
        let at = samples::at();
        for _ in 0..1_000 {
            pending.push(empty_flow(), at, None);
            pending.push(samples::flow(), at, None);
        }
        pending.finish(Duration::from_secs(20));
        let got: Vec<Record> = records.try_iter().flatten().collect();
        let flows = got.iter().filter(|r| matches!(r, Record::Flow(_))).count();
        assert_eq!(flows, 1_000 + 60, "a minute's worth may come at once");
        assert!(matches!(got.last(), Some(Record::FlowSum(s)) if s.flows == 940 && s.host.is_some()));
        assert_eq!(pending.left_out(), 0);
    }
}
