//! Merges the tellings of several workers into their one order.

use crate::observe::Told;
use std::collections::VecDeque;

/// How far a worker has come: number of the cause, number of the flow's first packet.
pub(super) type Mark = (u64, u64);

/// Queues of tellings, one per worker, each in order.
#[derive(Debug)]
pub(super) struct Merge {
    queues: Vec<VecDeque<Told>>,
    /// Everything before this place (number of the cause, then of the flow) has been told by the worker.
    told_to: Vec<Mark>,
}

impl Merge {
    pub(super) fn new(workers: usize) -> Self {
        Self { queues: (0..workers).map(|_| VecDeque::new()).collect(), told_to: vec![(0, 0); workers] }
    }

    /// Takes what a worker told, and how far it has come.
    pub(super) fn push(&mut self, worker: usize, told: Vec<Told>, to: Mark) {
        if let (Some(queue), Some(mark)) = (self.queues.get_mut(worker), self.told_to.get_mut(worker)) {
            queue.extend(told);
            *mark = to;
        }
    }

    /// The next telling, unless a worker that is behind may still have an earlier one.
    pub(super) fn pop(&mut self) -> Option<Told> {
        let heads = self.queues.iter().enumerate().filter_map(|(i, q)| q.front().map(|t| (t.place, i)));
        let (place, first) = heads.min()?;
        let waits = |i: usize, queue: &VecDeque<Told>| {
            queue.is_empty()
                && self.told_to.get(i).is_some_and(|to| *to <= (place.ordinal, place.flow_ordinal))
        };
        let must_wait = self.queues.iter().enumerate().any(|(i, q)| i != first && waits(i, q));
        if must_wait { None } else { self.queues.get_mut(first)?.pop_front() }
    }

    /// The next telling when no worker will tell more.
    pub(super) fn pop_last(&mut self) -> Option<Told> {
        self.told_to.fill((u64::MAX, u64::MAX));
        let heads = self.queues.iter().enumerate().filter_map(|(i, q)| q.front().map(|t| (t.place, i)));
        let (_, first) = heads.min()?;
        self.queues.get_mut(first)?.pop_front()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::observe::{DnsAnswer, Ends, FlowId, Place, Telling};
    use crate::units::Timestamp;
    use std::net::{IpAddr, Ipv4Addr};

    fn told(ordinal: u64) -> Told {
        let ip = IpAddr::V4(Ipv4Addr::LOCALHOST);
        let answer = DnsAnswer {
            flow: FlowId(ordinal),
            ends: Ends {
                originator: ip,
                responder: ip,
                originator_port: 1,
                responder_port: 2,
                transport: crate::decode::Transport::Udp,
            },
            at: Timestamp::default(),
            id: 0,
            response: false,
            query: "".into(),
            qtype: 1,
            rcode: 0,
            addresses: vec![],
            cnames: vec![],
            ech: false,
        };
        let place = Place { ordinal, flow_ordinal: 0, turn: 0 };
        Told { place, now: Timestamp::default(), what: Telling::Dns(Box::new(answer)) }
    }

    #[test]
    fn waits_for_the_worker_that_is_behind() {
        let mut m = Merge::new(2);
        m.push(0, vec![told(1), told(5)], (10, 0));
        assert!(m.pop().is_none());
        m.push(1, vec![told(3)], (4, 0));
        let order: Vec<u64> = std::iter::from_fn(|| m.pop()).map(|t| t.place.ordinal).collect();
        assert_eq!(order, [1, 3]);
        m.push(1, vec![], (6, 0));
        assert_eq!(m.pop().map(|t| t.place.ordinal), Some(5));
        m.push(1, vec![told(9)], (10, 0));
        assert_eq!(m.pop_last().map(|t| t.place.ordinal), Some(9));
    }
}
