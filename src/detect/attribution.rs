//! Who did it: hands flows and events to the joiner, and keeps what it says on flows and incidents.

use super::cases::Case;
use super::pair::{Pair, PairKey};
use super::{Detector, Map, OpenFlow};
use crate::attribute::{Attribution, JoinConfig, JoinCounters, Joiner, Level, Process, Seen, Status};
use crate::endpoint::{Common, EndpointEvent};
use crate::incident::{Due, Incident};
use crate::observe::{FlowId, FlowSummary, Lease};
use crate::output::{FlowRecord, Identity, Phase, Record, Severity};
use crate::state::Shelf;
use crate::units::{Direction, Span, Timestamp};
use std::collections::VecDeque;
use std::net::IpAddr;
use std::sync::Arc;

use super::home::Sides;

/// Records of ended flows wait so long for a clock to become known, and so many of them.
const HELD_FOR: Span = Span::from_secs(300);
const HELD_MAX: usize = 65_536;
/// Incidents of a flow that are remembered.
const PER_FLOW: usize = 8;

/// Which incident an alert belongs to.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Matter {
    /// Of the volume rule.
    Pair(PairKey),
    /// Of lanes and rules.
    Case((u32, u32)),
}

/// The joiner, and the incidents that wait for it.
#[derive(Debug)]
pub(super) struct Attributing {
    pub(super) joiner: Joiner,
    matters: Map<FlowId, Vec<Matter>>,
    pub(super) senders: super::sender::Senders,
    /// Records of flows whose event is there and whose clock is not known yet.
    held: VecDeque<(Timestamp, Box<FlowRecord>)>,
    /// Records of flows whose neighbours in time are still to come.
    settling: VecDeque<(Timestamp, Box<FlowRecord>)>,
    lessons: u64,
}

impl Attributing {
    /// A record that has waited, with what is known of it now.
    fn let_go(&mut self, mut record: Box<FlowRecord>, now: Timestamp) -> Record {
        if let Some(said) = self.joiner.attribute(record.summary.flow, now) {
            let said = better(record.identity.attribution.take(), said);
            record.identity.attribution = said.process.is_some().then_some(said);
        }
        Record::Flow(record)
    }
}

impl Detector {
    /// The same detector, which hears endpoint logs too.
    #[must_use]
    pub fn with_endpoint(mut self, config: Option<JoinConfig>) -> Self {
        let Some(config) = config else { return self };
        let joiner = Joiner::new(JoinConfig { watched: self.namer.catalogue().program_names(), ..config });
        let senders = super::sender::Senders::new(self.namer.catalogue(), &self.config);
        self.attributing = Some(Box::new(Attributing {
            joiner,
            matters: Map::default(),
            held: VecDeque::new(),
            settling: VecDeque::new(),
            lessons: 0,
            senders,
        }));
        self
    }

    /// Takes an event of an endpoint log, whenever it comes.
    pub fn endpoint(&mut self, event: &EndpointEvent, now: Timestamp) {
        let Some(attributing) = self.attributing.as_mut() else { return };
        let process = attributing.joiner.event(event, now);
        let changed = attributing.joiner.take_updates();
        for flow in changed {
            self.attribution_changed(flow, now);
        }
        if let Some(process) = process {
            self.told_of(event, process, now);
        }
    }

    /// What is known of who caused a flow that is open. For rules and analytics.
    pub fn attribution(&self, flow: FlowId) -> Option<&Arc<Attribution>> {
        self.flows.get(&flow)?.identity.attribution.as_ref()
    }

    /// The process of a flow that is open, however sure. For rules and analytics: to calm, ask
    /// [`Attribution::may_calm`].
    pub fn process(&self, flow: FlowId) -> Option<&Arc<Process>> {
        self.attribution(flow)?.process.as_ref()
    }

    /// What the joiner counted; `None` without endpoint logs.
    pub fn join_counters(&self) -> Option<JoinCounters> {
        Some(self.attributing.as_ref()?.joiner.counters())
    }

    /// How far the clock of an event is ahead, in nanoseconds, where it is known.
    pub fn clock_offset(&self, common: &Common) -> Option<i64> {
        self.attributing.as_ref()?.joiner.clock_offset(common)
    }

    /// What people should know of the clocks of endpoint logs.
    pub fn clock_remarks(&self) -> Vec<String> {
        self.attributing.as_ref().map_or_else(Vec::new, |a| a.joiner.remarks())
    }

    /// Tells the joiner of a flow; `ended` with its last frame.
    pub(super) fn seat(&mut self, flow: FlowId, ended: bool, now: Timestamp) {
        let Some(attributing) = self.attributing.as_mut() else { return };
        let Some(open) = self.flows.get(&flow) else { return };
        attributing.joiner.flow(&seen(flow, open, ended, now), now);
    }

    /// The network saw a lease.
    pub(super) fn lease_for_joiner(&mut self, lease: &Lease) {
        if let Some(attributing) = self.attributing.as_mut() {
            attributing.joiner.lease(lease);
        }
    }

    /// The last that is said of a flow, or of one that is open for long. Where nothing is known the record stays as it
    /// is without endpoint logs.
    pub(super) fn attribute_summary(
        &mut self,
        identity: &mut Identity,
        summary: &FlowSummary,
        sides: Sides,
        now: Timestamp,
    ) {
        let Some(attributing) = self.attributing.as_mut() else { return };
        let seen = Seen {
            flow: summary.flow,
            ends: summary.ends,
            side: side_of(sides),
            span: (summary.first, summary.last),
            opened: !summary.midstream,
            name: identity.name.as_ref(),
            ended: summary.end.is_some(),
        };
        attributing.joiner.flow(&seen, now);
        if let Some(said) = attributing.joiner.attribute(summary.flow, now) {
            let said = better(identity.attribution.take(), said);
            identity.attribution = said.process.is_some().then_some(said);
        }
    }

    /// Writes the record of a flow, at once or when it can be attributed.
    pub(super) fn record_flow(&mut self, record: Box<FlowRecord>, now: Timestamp) {
        if let Some(attributing) = self.attributing.as_mut() {
            let flow = record.summary.flow;
            let ended = record.summary.end.is_some();
            let exact = record.identity.attribution.as_ref().is_some_and(|a| a.level >= Level::L1);
            let room = attributing.held.len() + attributing.settling.len() < HELD_MAX;
            if ended && !exact && room {
                if let Some(until) = attributing.joiner.settles_at(flow) {
                    attributing.settling.push_back((until, record));
                    return;
                }
                if attributing.joiner.is_in_doubt(flow) {
                    attributing.held.push_back((now.plus(HELD_FOR), record));
                    return;
                }
            }
        }
        self.records.push(Record::Flow(record));
    }

    /// Lets go of records whose clock is known by now, or that have waited long enough; `all`: the end of the run.
    pub(super) fn release_records(&mut self, all: bool, now: Timestamp) {
        let Some(attributing) = self.attributing.as_mut() else { return };
        let over = |until: Timestamp| all || until <= now;
        while attributing.settling.front().is_some_and(|(until, _)| over(*until))
            && let Some((_, record)) = attributing.settling.pop_front()
        {
            if !all && attributing.joiner.is_in_doubt(record.summary.flow) {
                attributing.held.push_back((now.plus(HELD_FOR), record));
            } else {
                self.records.push(attributing.let_go(record, now));
            }
        }
        let lessons = attributing.joiner.lessons();
        let news = std::mem::replace(&mut attributing.lessons, lessons) != lessons;
        let late = attributing.held.front().is_some_and(|h| h.0 <= now);
        if attributing.held.is_empty() || !(all || news || late) {
            return;
        }
        for (until, record) in std::mem::take(&mut attributing.held) {
            let flow = record.summary.flow;
            if !all && until > now && attributing.joiner.is_in_doubt(flow) {
                attributing.held.push_back((until, record));
                continue;
            }
            self.records.push(attributing.let_go(record, now));
        }
    }

    /// Asks the joiner about a flow whose process is not certain yet.
    pub(super) fn attribute(&mut self, flow: FlowId, now: Timestamp) {
        let Some(attributing) = self.attributing.as_mut() else { return };
        let Some(open) = self.flows.get_mut(&flow) else { return };
        if open.identity.attribution.as_ref().is_some_and(|a| a.level >= Level::L1) {
            return;
        }
        if let Some(said) = attributing.joiner.attribute(flow, now) {
            open.identity.attribution = Some(better(open.identity.attribution.take(), said));
        }
    }

    /// What is known now of the flow that an incident is about, for its next record. While more may come, it is waited
    /// for.
    pub(super) fn attribute_incident(&mut self, matter: Matter, now: Timestamp) {
        let Some(flow) = self.incident_of(matter).map(|i| i.flow) else { return };
        let Some(attributing) = self.attributing.as_mut() else { return };
        let said = attributing.joiner.attribute(flow, now);
        attributing.joiner.wait_for(flow);
        let matters = attributing.matters.entry(flow).or_default();
        if !matters.contains(&matter) && matters.len() < PER_FLOW {
            matters.push(matter);
        }
        let Some(said) = said else { return };
        if let Some(incident) = self.incident_of(matter) {
            let known = incident.identity.attribution.take();
            incident.identity.attribution = Some(better(known, said));
        }
    }

    /// An incident is over: nothing is waited for any more.
    pub(super) fn forget_matter(&mut self, flow: FlowId, matter: Matter) {
        if let Some(attributing) = self.attributing.as_mut()
            && let Some(matters) = attributing.matters.get_mut(&flow)
        {
            matters.retain(|m| *m != matter);
            if matters.is_empty() {
                attributing.matters.remove(&flow);
            }
        }
    }

    fn incident_of(&mut self, matter: Matter) -> Option<&mut Incident> {
        pair_of(&mut self.pairs, &mut self.base.cases, matter)?.incident.as_deref_mut()
    }

    /// The log of a flow has come, or says it better than before: its incidents say so under their ids.
    fn attribution_changed(&mut self, flow: FlowId, now: Timestamp) {
        let Some(attributing) = self.attributing.as_mut() else { return };
        let Some(said) = attributing.joiner.attribute(flow, now) else { return };
        let matters = attributing.matters.get(&flow).cloned().unwrap_or_default();
        if let Some(open) = self.flow_of_mut(flow) {
            open.identity.attribution = Some(better(open.identity.attribution.take(), Arc::clone(&said)));
        }
        for matter in &matters {
            if let Some(pair) = pair_of(&mut self.pairs, &mut self.base.cases, *matter) {
                pair.attribute(flow, &said);
            }
        }
        for matter in matters {
            let Some(incident) = self.incident_of(matter).filter(|i| i.flow == flow) else { continue };
            let old = incident.identity.attribution.clone();
            let new = better(old.clone(), Arc::clone(&said));
            let tells = old.as_deref().is_none_or(|old| says_more(old, &new));
            incident.identity.attribution = Some(new);
            if tells {
                self.write_attribution(matter, now);
            }
        }
        if self.sent_by(flow, now) {
            self.look_again(flow, now);
        }
    }

    fn write_attribution(&mut self, matter: Matter, now: Timestamp) {
        let due = Due { phase: Phase::Update, alert: false };
        match matter {
            Matter::Pair(key) => self.update_incident(key, due, now),
            Matter::Case(key) => self.write_case(key, Severity::Low, due, now),
        }
    }
}

fn seen(flow: FlowId, open: &OpenFlow, ended: bool, now: Timestamp) -> Seen<'_> {
    // Until bytes are told of, the first frame is not known.
    let told = open.at.1 > Timestamp::default();
    Seen {
        flow,
        ends: open.ends,
        side: side_of(open.sides),
        span: if told { open.at } else { (now, now) },
        opened: told && !open.midstream,
        name: open.identity.name.as_ref(),
        ended,
    }
}

/// The side whose process is wanted: the home side, or who opened the connection.
fn side_of(sides: Sides) -> Direction {
    match sides {
        Sides::Out(direction) => direction,
        Sides::Inside | Sides::Transit => Direction::Up,
    }
}

/// The surer of two. What was matched once stays when the event that proved it has been forgotten.
fn better(old: Option<Arc<Attribution>>, new: Arc<Attribution>) -> Arc<Attribution> {
    match old {
        Some(old) if old.process.is_some() && old.is_better_than(&new) => old,
        _ => new,
    }
}

/// Worth a record of its own.
fn says_more(old: &Attribution, new: &Attribution) -> bool {
    let counts = |level: Level| level.is_exact() || level == Level::L2;
    new.process.is_some()
        && (old.process.as_ref().map(|p| p.key) != new.process.as_ref().map(|p| p.key)
            || (counts(new.level) && !counts(old.level))
            || (old.status != Status::Matched && new.status == Status::Matched)
            || old.process != new.process)
}

/// Sums and contributors of an incident.
fn pair_of<'d>(
    pairs: &'d mut Shelf<PairKey, Pair>,
    cases: &'d mut Shelf<(u32, u32), Case>,
    matter: Matter,
) -> Option<&'d mut Pair> {
    match matter {
        Matter::Pair(key) => pairs.get_mut(&key),
        Matter::Case(key) => Some(&mut cases.get_mut(&key)?.pair),
    }
}

/// Who sent, for a sentence: `rclone (CORP\ann) on 10.1.2.3`, as far as it is known.
pub(super) fn sender(identity: &Identity, host: Option<IpAddr>) -> String {
    let host = host.or_else(|| identity.host.as_ref().map(|h| h.ip));
    let host = host.map_or_else(|| "a host".to_owned(), |ip| ip.to_string());
    let said = identity.attribution.as_deref();
    let Some(process) = said.and_then(|a| a.process.as_deref()) else { return host };
    let sure = said.is_some_and(|a| a.level >= Level::L2 && a.candidates == 1);
    let perhaps = if sure { "" } else { ", perhaps" };
    match &process.user {
        Some(user) => format!("{} ({user}{perhaps}) on {host}", process.name),
        None if sure => format!("{} on {host}", process.name),
        None => format!("{} (perhaps) on {host}", process.name),
    }
}
