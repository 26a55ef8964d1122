//! What one host sent to one service: the trailing window, and who contributed.

use super::identity::Known;
use super::window::Window;
use crate::attribute::Attribution;
use crate::incident::Incident;
use crate::observe::{Ends, FlowId, Mux, Tally};
use crate::output::{Identity, IncidentFlow, Sign};
use crate::signatures::ServiceId;
use crate::units::{Span, Timestamp};
use serde::{Deserialize, Serialize};
use std::net::IpAddr;
use std::sync::Arc;

/// Flows and destinations named in a record.
pub const MAX_LISTED: usize = 16;

/// Identity of a pair.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
pub struct PairKey {
    /// The home side.
    pub host: IpAddr,
    /// The service.
    pub service: ServiceId,
    /// The site's own or a sanctioned tenant: counted apart, so that it neither hides nor raises the rest.
    pub calm: bool,
    /// Names of the service that are not for uploads (web, cdn, auth): judged with a higher level.
    pub aside: bool,
}

/// Sums and contributors of one pair.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Pair {
    /// Bytes of the trailing window.
    pub window: Window,
    /// First and last frame that counted.
    pub seen: (Timestamp, Timestamp),
    /// Largest contributing flows.
    pub flows: Vec<IncidentFlow>,
    /// Number of contributing flows.
    pub flows_total: u32,
    /// Uploads of flows that were listed and are not any more.
    pub unlisted: Tally,
    /// Largest destinations by name.
    pub destinations: Vec<(Arc<str>, u64)>,
    /// Gap bytes among what went out.
    pub gap: u64,
    /// A contributing flow was seen from the middle on.
    pub midstream: bool,
    /// A contributing flow was seen one way only.
    pub one_way: bool,
    /// What was odd about the names of contributing flows; one of a kind.
    pub signs: Vec<Sign>,
    /// When bytes were booked last.
    pub touched: Timestamp,
    /// The incident that is open.
    pub incident: Option<Box<Incident>>,
    /// What is known of the service, from the flow that opened the incident.
    pub known: Option<Arc<Known>>,
}

/// Bytes of one flow that count for a pair.
#[derive(Clone, Copy, Debug)]
pub struct Contribution<'a> {
    /// The flow.
    pub flow: FlowId,
    /// Its ends.
    pub ends: &'a Ends,
    /// Its names.
    pub identity: &'a Identity,
    /// New bytes out that count as upload.
    pub out: u64,
    /// New bytes in.
    pub into: u64,
    /// First and newest frame of the flow.
    pub at: (Timestamp, Timestamp),
    /// The flow's gap in the outgoing direction since the last contribution.
    pub gap: u64,
    /// It was seen from the middle on.
    pub midstream: bool,
    /// It was seen one way only.
    pub one_way: bool,
    /// Its uploads since it began.
    pub uploads: Tally,
}

impl Pair {
    /// A pair that begins now.
    pub fn new(now: Timestamp, window: Span) -> Self {
        Self {
            window: Window::new(now, window),
            seen: (now, now),
            flows: Vec::new(),
            flows_total: 0,
            unlisted: Tally::default(),
            destinations: Vec::new(),
            gap: 0,
            midstream: false,
            one_way: false,
            signs: Vec::new(),
            touched: now,
            incident: None,
            known: None,
        }
    }

    /// Books bytes of a flow.
    pub fn add(&mut self, part: &Contribution<'_>, now: Timestamp, window: Span) {
        self.window.advance(now, window);
        self.window.add(part.out, part.into);
        self.touched = now;
        if part.out == 0 {
            return;
        }
        if self.flows_total == 0 {
            self.seen = part.at;
        }
        self.seen = (self.seen.0.min(part.at.0), self.seen.1.max(part.at.1));
        self.gap = self.gap.saturating_add(part.gap);
        self.midstream |= part.midstream;
        self.one_way |= part.one_way;
        self.list_flow(part);
        for sign in &part.identity.signs {
            Sign::add(&mut self.signs, sign.clone());
        }
        if let Some(name) = &part.identity.name {
            self.list_destination(name, part.out);
        }
        if let Some(incident) = &mut self.incident {
            incident.grow(part.out, now);
        }
    }

    fn list_flow(&mut self, part: &Contribution<'_>) {
        if let Some(flow) = self.flows.iter_mut().find(|f| f.flow == part.flow) {
            flow.up_bytes = flow.up_bytes.saturating_add(part.out);
            flow.uploads = part.uploads;
            flow.name.clone_from(&part.identity.name);
            flow.attribution.clone_from(&part.identity.attribution);
            return;
        }
        self.flows_total = self.flows_total.saturating_add(1);
        let new = IncidentFlow {
            flow: part.flow,
            ends: *part.ends,
            name: part.identity.name.clone(),
            up_bytes: part.out,
            attribution: part.identity.attribution.clone(),
            uploads: part.uploads,
        };
        if self.flows.len() < MAX_LISTED {
            self.flows.push(new);
        } else if let Some(least) = self.flows.iter_mut().min_by_key(|f| f.up_bytes)
            && least.up_bytes < new.up_bytes
        {
            let gone = std::mem::replace(least, new);
            self.unlisted.add(&gone.uploads);
        }
    }

    fn list_destination(&mut self, name: &Arc<str>, out: u64) {
        if let Some((_, bytes)) = self.destinations.iter_mut().find(|(n, _)| n == name) {
            *bytes = bytes.saturating_add(out);
        } else if self.destinations.len() < MAX_LISTED {
            self.destinations.push((Arc::clone(name), out));
        } else if let Some(least) = self.destinations.iter_mut().min_by_key(|d| d.1)
            && least.1 < out
        {
            *least = (Arc::clone(name), out);
        }
    }

    /// Takes back what a flow had booked here before its real name was known.
    pub fn withdraw(&mut self, flow: FlowId, out: u64, into: u64) {
        self.window.withdraw(out, into);
        if out == 0 {
            return;
        }
        self.flows_total = self.flows_total.saturating_sub(1);
        if let Some(at) = self.flows.iter().position(|f| f.flow == flow) {
            let name = self.flows.swap_remove(at).name;
            for (_, bytes) in self.destinations.iter_mut().filter(|(n, _)| Some(n) == name.as_ref()) {
                *bytes = bytes.saturating_sub(out);
            }
            self.destinations.retain(|(_, bytes)| *bytes > 0);
        }
        if let Some(incident) = &mut self.incident {
            incident.shrink(out);
        }
    }

    /// What is known now of who caused a flow.
    pub fn attribute(&mut self, flow: FlowId, said: &Arc<Attribution>) {
        for listed in self.flows.iter_mut().filter(|f| f.flow == flow) {
            listed.attribution = Some(Arc::clone(said));
        }
    }

    /// The one program that caused all of it, as the site's policy is asked for it; `None` when there are several, or
    /// one flow's is not certain.
    pub fn sole_program(&self) -> Option<&str> {
        if self.flows.is_empty() || self.flows_total as usize > self.flows.len() {
            return None;
        }
        let mut programs = self.flows.iter().map(|f| f.attribution.as_ref()?.calming_program());
        let first = programs.next()??;
        programs.all(|p| p == Some(first)).then_some(first)
    }

    /// Uploads of all flows that were ever among the largest: at least so many.
    pub fn uploads(&self) -> Tally {
        let mut all = self.unlisted;
        self.flows.iter().for_each(|flow| all.add(&flow.uploads));
        if self.flows_total as usize > self.flows.len() {
            all.mux = all.mux.max(Mux::Unknown);
        }
        all
    }

    /// Contributing flows and destinations, the largest first.
    pub fn listed(&self) -> (Vec<IncidentFlow>, Vec<(Arc<str>, u64)>) {
        let (mut flows, mut destinations) = (self.flows.clone(), self.destinations.clone());
        flows.sort_by(|a, b| b.up_bytes.cmp(&a.up_bytes).then(a.flow.cmp(&b.flow)));
        destinations.sort_by(|a, b| b.1.cmp(&a.1).then(a.0.cmp(&b.0)));
        (flows, destinations)
    }
}
