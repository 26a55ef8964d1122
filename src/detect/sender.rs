//! Books what flows send to the programs that send it, and has pairs looked at again when a log says more.
//!
//! A log comes late, often after the connection has ended: flows that moved something are remembered for a while.

use super::attribution::Attributing;
use super::learn::kind::Kind;
use super::process::{Activity, View, Watch};
use super::{Detector, Map, OpenFlow};
use crate::attribute::Level;
use crate::config::DetectConfig;
use crate::endpoint::EndpointEvent;
use crate::observe::FlowId;
use crate::signatures::Catalogue;
use crate::units::Timestamp;
use std::collections::VecDeque;
use std::sync::Arc;

/// Flows that have ended and wait for their log.
const MAX_ENDED: usize = 1 << 14;
/// Smaller flows do not wait: so much is told by the destination alone.
const WAITS_FROM: u64 = 100_000;
/// To text sites and web hooks a little is much.
const WAITS_FROM_SMALL: u64 = 4_000;
/// Flows of a process that are looked at again when something of its host is told.
const PER_HOST: usize = 8;
/// Hosts of which flows are remembered.
const MAX_HOSTS: usize = 50_000;

/// See the module.
#[derive(Debug)]
pub(super) struct Senders {
    pub(super) watch: Watch,
    ended: Map<FlowId, OpenFlow>,
    order: VecDeque<FlowId>,
    /// Newest flows of each host, as its log calls it.
    recent: Map<Arc<str>, VecDeque<FlowId>>,
}

impl Senders {
    pub(super) fn new(catalogue: &Catalogue, config: &DetectConfig) -> Self {
        Self {
            watch: Watch::new(catalogue, config),
            ended: Map::default(),
            order: VecDeque::new(),
            recent: Map::default(),
        }
    }

    fn keep(&mut self, flow: FlowId, open: &OpenFlow) {
        if self.ended.len() >= MAX_ENDED
            && let Some(oldest) = self.order.pop_front()
        {
            self.ended.remove(&oldest);
        }
        if self.ended.insert(flow, open.clone()).is_none() {
            self.order.push_back(flow);
        }
    }

    fn note(&mut self, host: Arc<str>, flow: FlowId) {
        if self.recent.len() >= MAX_HOSTS && !self.recent.contains_key(&host) {
            self.recent.clear();
        }
        let flows = self.recent.entry(host).or_default();
        if flows.contains(&flow) {
            return;
        }
        if flows.len() >= PER_HOST {
            flows.pop_front();
        }
        flows.push_back(flow);
    }
}

impl Detector {
    /// A flow that is open, or has ended and waits for its log.
    pub(super) fn flow_of(&self, flow: FlowId) -> Option<&OpenFlow> {
        let ended = || self.attributing.as_ref()?.senders.ended.get(&flow);
        self.flows.get(&flow).or_else(ended)
    }

    pub(super) fn flow_of_mut(&mut self, flow: FlowId) -> Option<&mut OpenFlow> {
        match self.flows.get_mut(&flow) {
            Some(open) => Some(open),
            None => self.attributing.as_mut()?.senders.ended.get_mut(&flow),
        }
    }

    /// A flow has ended. What it sent waits for the log that says who did.
    pub(super) fn end_flow(&mut self, flow: FlowId, now: Timestamp) -> Option<OpenFlow> {
        self.attribute(flow, now);
        if self.sent_by(flow, now) {
            self.look_again(flow, now);
        }
        let open = self.flows.remove(&flow)?;
        let Some(attributing) = self.attributing.as_mut() else { return Some(open) };
        let kind = open.place.map(|p| self.base.learner.target_at(p.1).kind);
        let from = match kind {
            None | Some(Kind::Noise | Kind::Own) => u64::MAX,
            Some(Kind::Text | Kind::Hook | Kind::Chat) => WAITS_FROM_SMALL,
            Some(_) => WAITS_FROM,
        };
        if open.total.0 >= from {
            attributing.senders.keep(flow, &open);
            if open.identity.attribution.as_ref().is_none_or(|a| a.level < Level::L1) {
                attributing.joiner.wait_for(flow);
            }
        }
        Some(open)
    }

    /// Books to its program what a flow has sent since the last time. True when that is worth a look.
    pub(super) fn sent_by(&mut self, flow: FlowId, now: Timestamp) -> bool {
        if self.attributing.is_none() {
            return false;
        }
        let Some(open) = self.flow_of(flow) else { return false };
        let (Some((host, target)), Some(said)) = (open.place, open.identity.attribution.clone()) else {
            return false;
        };
        let (total, booked) = (open.total.0, open.sent_by);
        let service = self.base.learner.target_at(target).service();
        let Some(senders) = self.attributing.as_mut().map(|a| &mut a.senders) else { return false };
        let Some(place) = senders.watch.place(&said) else { return false };
        let mut bytes = total;
        match booked {
            Some((old, sum)) if old == place => bytes = total.saturating_sub(sum),
            Some((old, sum)) => senders.watch.withdraw(host, target, old, sum),
            None => {}
        }
        if bytes == 0 {
            return false;
        }
        let activity =
            Activity { host, target, service: &service, service_id: None, said: &said, bytes, now };
        let worth = senders.watch.sent(&activity);
        if let Some(log_host) = said.process.as_ref().and_then(|p| senders.watch.host_of(p.key)) {
            senders.note(log_host, flow);
        }
        if let Some(open) = self.flow_of_mut(flow) {
            open.sent_by = Some((place, total));
        }
        worth
    }

    /// What the analytics of processes look at.
    pub(super) fn view(&self, flow: FlowId, now: Timestamp) -> Option<View> {
        let attributing: &Attributing = self.attributing.as_ref()?;
        let open = self.flow_of(flow)?;
        let (host, target) = open.place?;
        let service = self.base.learner.target_at(target).service();
        let activity = Activity {
            host,
            target,
            service: &service,
            service_id: open.inferred_known.as_ref().map(|k| k.service),
            said: open.identity.attribution.as_deref()?,
            bytes: 0,
            now,
        };
        attributing.senders.watch.view(&activity, self.config.time_window)
    }

    /// A log told of a process: uploads of its host may look different now.
    pub(super) fn told_of(&mut self, event: &EndpointEvent, process: u64, now: Timestamp) {
        let Some(senders) = self.attributing.as_mut().map(|a| &mut a.senders) else { return };
        if !senders.watch.event(event, process, now) {
            return;
        }
        let flows = senders.recent.get(&event.common().host.id).cloned().unwrap_or_default();
        for flow in flows {
            self.look_again(flow, now);
        }
    }

    /// Looks at the pair of a flow, though no byte has moved.
    pub(super) fn look_again(&mut self, flow: FlowId, now: Timestamp) {
        let Some(key) = self.flow_of(flow).and_then(|open| open.place) else { return };
        if let Some(values) = self.base.learner.look_again(key.0, key.1, now.secs()) {
            self.judge_case(flow, key, &values, false, now);
        }
    }
}
