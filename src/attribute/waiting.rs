//! Flows that alerts are about, until their event has come or the time for it is over.

use crate::detect::Map;
use crate::observe::FlowId;
use std::collections::{BTreeMap, BTreeSet};

/// Flows waited for.
const MAX_WAITING: usize = 4_096;

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Waiting {
    /// Until when.
    flows: BTreeMap<FlowId, i64>,
    by_far: Map<(u128, u16), Vec<FlowId>>,
    by_process: Map<u64, Vec<FlowId>>,
    changed: BTreeSet<FlowId>,
    next: i64,
    /// Found no room.
    pub refused: u64,
}

impl Waiting {
    pub(super) fn add(&mut self, flow: FlowId, far: (u128, u16), until: i64) {
        if self.flows.contains_key(&flow) {
            return;
        }
        if self.flows.len() >= MAX_WAITING {
            self.refused += 1;
            return;
        }
        self.next = if self.flows.is_empty() { until } else { self.next.min(until) };
        self.flows.insert(flow, until);
        self.by_far.entry(far).or_default().push(flow);
    }

    /// What was said of a flow rests on this process: when that is known better, so is the flow.
    pub(super) fn rests_on(&mut self, flow: FlowId, process: u64) {
        if self.flows.contains_key(&flow) {
            let list = self.by_process.entry(process).or_default();
            if !list.contains(&flow) {
                list.push(flow);
            }
        }
    }

    pub(super) fn flow_changed(&mut self, flow: FlowId) {
        if self.flows.contains_key(&flow) {
            self.changed.insert(flow);
        }
    }

    pub(super) fn destination_changed(&mut self, remote: u128, port: u16) {
        if !self.flows.is_empty() {
            self.changed.extend(self.by_far.get(&(remote, port)).into_iter().flatten());
        }
    }

    pub(super) fn process_changed(&mut self, process: u64) {
        if !self.by_process.is_empty() {
            self.changed.extend(self.by_process.get(&process).into_iter().flatten());
        }
    }

    pub(super) fn all_changed(&mut self) {
        self.changed.extend(self.flows.keys());
    }

    pub(super) fn take_changed(&mut self) -> Vec<FlowId> {
        std::mem::take(&mut self.changed).into_iter().collect()
    }

    pub(super) fn expire(&mut self, now: i64) {
        if self.flows.is_empty() || now < self.next {
            return;
        }
        self.flows.retain(|_, until| *until > now);
        self.next = self.flows.values().min().copied().unwrap_or(i64::MAX);
        let flows = &self.flows;
        let keep = |list: &mut Vec<FlowId>| {
            list.retain(|f| flows.contains_key(f));
            !list.is_empty()
        };
        self.by_process.retain(|_, list| keep(list));
        self.by_far.retain(|_, list| keep(list));
        self.changed.retain(|f| flows.contains_key(f));
    }
}
