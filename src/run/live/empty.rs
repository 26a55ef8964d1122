//! Flows without payload when there are too many to be written one by one (a scan, a flood): summed per host and
//! minute, so that the disk holds what the flood was and not each packet of it.

use crate::config::Rate;
use crate::net::Nets;
use crate::observe::{Counts, FlowSummary};
use crate::output::{FlowSum, Record};
use crate::units::{Both, Span, Timestamp};
use std::collections::BTreeMap;
use std::net::IpAddr;

/// Hosts that a minute has sums for; the rest is summed in one without a host.
const MAX_HOSTS: usize = 4_096;
/// Minutes that are summed at a time; what is older joins the oldest.
const MAX_MINUTES: usize = 16;
/// Flows may end this much later than their minute: idle ones are found by a sweep.
const SETTLED: Span = Span::from_secs(10);
/// At the permitted rate for so many seconds, flows may come at once.
const BURST_SECS: f64 = 60.0;

type Hosts = BTreeMap<Option<IpAddr>, FlowSum>;

/// Sums by minute, then by host.
#[derive(Clone, PartialEq, Default, Debug)]
pub(super) struct EmptySums {
    minutes: BTreeMap<i64, Hosts>,
}

impl EmptySums {
    /// Adds a flow of `host`, which ended at `now`.
    pub(super) fn add(&mut self, flow: &FlowSummary, host: Option<IpAddr>, now: Timestamp) {
        let span = (flow.first, flow.last);
        self.join(now.secs().div_euclid(60), host, &FlowSum { host, flows: 1, counts: flow.counts, span });
    }

    /// Adds the sums of another.
    pub(super) fn add_all(&mut self, other: Self) {
        for (minute, hosts) in other.minutes {
            hosts.into_iter().for_each(|(host, sum)| self.join(minute, host, &sum));
        }
    }

    fn join(&mut self, minute: i64, host: Option<IpAddr>, more: &FlowSum) {
        let minute = match self.minutes.first_key_value() {
            Some((oldest, _)) if self.minutes.len() >= MAX_MINUTES => minute.max(*oldest),
            _ => minute,
        };
        let hosts = self.minutes.entry(minute).or_default();
        let host = host.filter(|_| hosts.len() < MAX_HOSTS || hosts.contains_key(&host));
        let new = FlowSum { host, flows: 0, counts: Both::default(), span: more.span };
        let sum = hosts.entry(host).or_insert(new);
        sum.flows += more.flows;
        sum.counts = Both {
            up: added(&sum.counts.up, &more.counts.up),
            down: added(&sum.counts.down, &more.counts.down),
        };
        sum.span = (sum.span.0.min(more.span.0), sum.span.1.max(more.span.1));
    }

    /// The records of minutes that are over.
    pub(super) fn take_settled(&mut self, now: Timestamp) -> Vec<Record> {
        let over = (now.secs() - SETTLED.secs()).div_euclid(60);
        if self.minutes.first_key_value().is_none_or(|(minute, _)| *minute >= over) {
            return Vec::new();
        }
        let open = self.minutes.split_off(&over);
        records(std::mem::replace(&mut self.minutes, open))
    }

    /// The records of every minute.
    pub(super) fn take_all(&mut self) -> Vec<Record> {
        records(std::mem::take(&mut self.minutes))
    }

    /// Takes everything to hand it on; nothing if there is nothing.
    pub(super) fn take(&mut self) -> Option<Self> {
        (!self.minutes.is_empty()).then(|| std::mem::take(self))
    }
}

fn records(minutes: BTreeMap<i64, Hosts>) -> Vec<Record> {
    let sums = minutes.into_values().flat_map(BTreeMap::into_values);
    sums.map(|sum| Record::FlowSum(Box::new(sum))).collect()
}

fn added(a: &Counts, b: &Counts) -> Counts {
    Counts { packets: a.packets + b.packets, wire: a.wire + b.wire, ip: a.ip + b.ip, ..Counts::default() }
}

/// Moved no payload, as far as anybody knows.
pub(super) fn has_no_payload(flow: &FlowSummary) -> bool {
    let moved = |c: &Counts| c.payload + c.gap;
    moved(&flow.counts.up) + moved(&flow.counts.down) == 0
}

/// The home side of a flow, else who opened it.
pub(super) fn host_of(flow: &FlowSummary, home: &Nets) -> IpAddr {
    let ends = &flow.ends;
    let theirs = !home.contains(ends.originator) && home.contains(ends.responder);
    if theirs { ends.responder } else { ends.originator }
}

/// How many may be written one by one.
#[derive(Clone, Copy, Debug)]
pub(super) struct Allowance {
    per_sec: f64,
    left: f64,
    at: Timestamp,
}

impl Allowance {
    pub(super) fn new(rate: Rate) -> Self {
        let per_sec = f64::from(rate.count) / rate.per.as_secs_f64().max(1e-9);
        Self { per_sec, left: per_sec * BURST_SECS, at: Timestamp::MIN }
    }

    /// One more at `now`: whether it may.
    pub(super) fn take(&mut self, now: Timestamp) -> bool {
        if now > self.at {
            let passed = if self.at == Timestamp::MIN { 0.0 } else { now.since(self.at).as_secs_f64() };
            self.left = (self.left + passed * self.per_sec).min(self.per_sec * BURST_SECS);
            self.at = now;
        }
        let may = self.left >= 1.0;
        self.left -= f64::from(u8::from(may));
        may
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::output::samples;
    use std::net::Ipv4Addr;

    fn flow() -> FlowSummary {
        let Record::Flow(flow) = samples::flow() else { unreachable!() };
        *flow.summary
    }

    fn ip(n: u32) -> IpAddr {
        Ipv4Addr::from(0x0a00_0000 + n).into()
    }

    fn sum(record: &Record) -> &FlowSum {
        let Record::FlowSum(sum) = record else { panic!("{record:?}") };
        sum
    }

    #[test]
    fn every_flow_is_in_one_sum_and_hosts_are_bounded() {
        let (mut all, mut part) = (EmptySums::default(), EmptySums::default());
        let flow = flow();
        for n in 0..10_000 {
            let at = Timestamp::new(i64::from(n) / 100, 0);
            (if n % 2 == 0 { &mut all } else { &mut part }).add(&flow, Some(ip(n % 5_000)), at);
        }
        all.add_all(part.take().unwrap());
        assert!(part.take().is_none());
        assert!(all.take_settled(Timestamp::new(69, 0)).is_empty(), "the first minute may still grow");
        let first = all.take_settled(Timestamp::new(70, 0));
        assert_eq!(first.len(), MAX_HOSTS + 1);
        assert_eq!(first.iter().map(|r| sum(r).flows).sum::<u64>(), 6_000);
        let none = first.iter().find(|r| sum(r).host.is_none()).map(|r| sum(r).flows);
        assert!(none.is_some_and(|flows| flows >= 900), "{none:?}");
        let rest = all.take_all();
        assert_eq!(rest.iter().map(|r| sum(r).flows).sum::<u64>(), 4_000);
        let packets: u64 = first.iter().chain(&rest).map(|r| sum(r).counts.up.packets).sum();
        assert_eq!(packets, flow.counts.up.packets * 10_000);
    }

    #[test]
    fn a_burst_passes_and_then_the_rate_holds() {
        let rate = Rate { count: 100, per: Span::from_secs(1) };
        let mut allowance = Allowance::new(rate);
        let taken =
            |a: &mut Allowance, secs: i64| (0..10_000).filter(|_| a.take(Timestamp::new(secs, 0))).count();
        assert_eq!(taken(&mut allowance, 50), 6_000);
        assert_eq!(taken(&mut allowance, 51), 100);
        assert_eq!(taken(&mut allowance, 40), 0, "time that goes back gives nothing");
        assert_eq!(taken(&mut allowance, 500), 6_000);
    }
}
