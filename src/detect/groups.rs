//! What belongs together is one incident: the destinations of one host within a day, the hosts of one campaign, a
//! gateway and the client it speaks for.
//!
//! Each host and destination keeps a case of its own; cases of one incident share its id. So nothing has to be kept
//! beside the cases, and what an incident is made of is read off them.

use super::cases::Case;
use super::{Detector, OpenFlow};
use crate::incident::Incident;
use crate::output::{Evidence, IncidentRecord, Severity};
use crate::units::{Bytes, Span, Timestamp};
use std::collections::BTreeSet;

/// An incident takes in more while it is younger than this.
const JOIN: Span = Span::from_secs(86_400);
/// Flows, destinations and hosts named in a record.
const NAMED: usize = super::pair::MAX_LISTED;

/// The cases that a case shares its incident with.
#[derive(Debug, Default)]
pub(super) struct Group {
    /// Id of the incident and when it was opened; `None`: there is no such incident.
    pub incident: Option<(String, Timestamp)>,
    /// Highest severity so far.
    pub severity: Option<Severity>,
    /// Records written so far.
    pub seq: u32,
    /// Probability that none of the others is right.
    innocent: f64,
    others: Vec<(u32, u32)>,
}

impl Group {
    /// The score of the whole incident: each part is a chance of its own that something is wrong (noisy-or).
    pub(super) fn joined(&self, own: f64) -> f64 {
        if self.others.is_empty() { own } else { score_of((1.0 - chance(own)) * self.innocent) }
    }
}

/// Odds on the scale of the lanes as a probability.
pub(super) fn chance(score: f64) -> f64 {
    1.0 / (1.0 + 10f64.powf(-score))
}

/// The score at which the probability of innocence is this.
pub(super) fn score_of(innocent: f64) -> f64 {
    ((1.0 - innocent) / innocent.max(1e-12)).log10()
}

impl Detector {
    /// The cases that the case of `key` shares its incident with; while it has none, those it would join.
    pub(super) fn group(&self, key: (u32, u32), flow: Option<&OpenFlow>, now: Timestamp) -> Group {
        let own = self.base.cases.get(&key).and_then(|c| c.pair.incident.as_deref());
        let id = own.map(|i| i.id.clone()).or_else(|| self.joins(key, flow?, now));
        let mut group = Group { innocent: 1.0, ..Group::default() };
        let Some(id) = id else { return group };
        for other in &self.base.open {
            let Some((case, incident)) = self.open_case(*other).filter(|(_, i)| i.id == id) else { continue };
            group.seq = group.seq.max(incident.seq);
            group.severity = group.severity.max(Some(incident.severity));
            if *other != key {
                group.innocent *= 1.0 - chance(case.score());
                group.others.push(*other);
            }
            group.incident = Some((id.clone(), incident.opened));
        }
        group
    }

    fn open_case(&self, key: (u32, u32)) -> Option<(&Case, &Incident)> {
        let case = self.base.cases.get(&key)?;
        Some((case, case.pair.incident.as_deref()?))
    }

    /// The incident that an upload would be part of: the oldest of those it fits.
    fn joins(&self, key: (u32, u32), flow: &OpenFlow, now: Timestamp) -> Option<String> {
        let learner = &self.base.learner;
        let out = learner.day_out(key.0, key.1);
        let is_campaign = learner.is_new_tenant(key.1, now.secs());
        let gateway = learner.part(key.0).gateway.then(|| flow.home_side()).flatten();
        let fits = |other: &(u32, u32), i: &Incident| {
            let same_target = other.1 == key.1;
            let client = gateway.is_some_and(|ip| i.ends.responder == ip) && i.up_bytes >= out / 2;
            other.0 == key.0 || (same_target && (is_campaign || client))
        };
        let mut oldest: Option<(Timestamp, &str)> = None;
        for other in &self.base.open {
            let Some((_, incident)) = self.open_case(*other) else { continue };
            let young = now.since(incident.opened) < JOIN;
            if young && fits(other, incident) && oldest.is_none_or(|o| incident.opened < o.0) {
                oldest = Some((incident.opened, &incident.id));
            }
        }
        oldest.map(|o| o.1.to_owned())
    }

    /// Adds to a record what the other cases of its incident have sent.
    pub(super) fn add_others(&self, record: &mut IncidentRecord, key: (u32, u32), group: &Group) {
        if group.others.is_empty() {
            return;
        }
        let mut hosts: BTreeSet<u32> = BTreeSet::from([key.0]);
        let mut names = Vec::new();
        for other in &group.others {
            let Some((case, incident)) = self.open_case(*other) else { continue };
            hosts.insert(other.0);
            let (flows, destinations) = case.pair.listed();
            record.flows.extend(flows);
            record.destinations.extend(destinations);
            record.uploads.add(&case.pair.uploads());
            record.flows_total = record.flows_total.saturating_add(case.pair.flows_total);
            record.up_bytes = record.up_bytes.saturating_add(incident.up_bytes);
            if names.len() < NAMED {
                let host = incident.identity.host.as_ref().map_or_else(String::new, |h| h.ip.to_string());
                let target = &self.base.learner.target_at(other.1).key;
                names.push(format!(
                    "{host} to {} {}",
                    target.trim_start_matches('~'),
                    Bytes(incident.up_bytes)
                ));
            }
        }
        record.flows.sort_by(|a, b| b.up_bytes.cmp(&a.up_bytes).then(a.flow.cmp(&b.flow)));
        record.destinations.sort_by(|a, b| b.1.cmp(&a.1).then(a.0.cmp(&b.0)));
        record.destinations.dedup_by(|a, b| a.0 == b.0);
        record.flows.truncate(NAMED);
        record.destinations.truncate(NAMED);
        let (what, n) =
            if hosts.len() > 1 { ("hosts", hosts.len()) } else { ("destinations", group.others.len() + 1) };
        let text = format!("{n} {what} in one incident; besides this: {}", names.join(", "));
        record.text = format!("{} One of {n} {what} of the incident.", record.text);
        let value = n as f64;
        record.evidence.push(Evidence { name: "incident", value, weight: 0.0, contribution: 0.0, text });
    }

    /// Incidents none of whose cases has sent anything for `idle`; with each the case that speaks for it, and all of
    /// them.
    pub(super) fn incidents_over(&self, is_over: impl Fn(&Incident) -> bool) -> Vec<Vec<(u32, u32)>> {
        let mut ended: Vec<(&str, bool, Vec<(u32, u32)>)> = Vec::new();
        let mut place = super::Map::default();
        for key in &self.base.open {
            let (id, over) = self.open_case(*key).map_or(("", true), |(_, i)| (i.id.as_str(), is_over(i)));
            let at = *place.entry(id).or_insert(ended.len());
            if at == ended.len() {
                ended.push((id, true, Vec::new()));
            }
            let Some(row) = ended.get_mut(at) else { continue };
            row.1 &= over;
            row.2.push(*key);
        }
        let score = |k: &(u32, u32)| self.base.cases.get(k).map_or(f64::MIN, Case::score);
        let best_first = |mut keys: Vec<(u32, u32)>| {
            keys.sort_by(|a, b| score(b).total_cmp(&score(a)).then(a.cmp(b)));
            keys
        };
        ended.into_iter().filter(|(_, over, _)| *over).map(|(_, _, keys)| best_first(keys)).collect()
    }
}
