//! Asks the analytics when a pair has grown, and keeps its incident.

use super::attribution::Matter;
use super::identity::Known;
use super::learn::evidence::Values;
use super::pair::{Pair, PairKey};
use super::{Detector, answers, policy, upload_volume};
use crate::incident::{self, Due, Incident};
use crate::observe::{FlowId, Tally};
use crate::output::{Answers, Escalation, Evidence, IncidentRecord, Phase, Record, Severity};
use crate::signatures::Category;
use crate::units::{Bytes, Span, Timestamp};
use std::sync::Arc;

/// Idle incidents are looked for this often.
const CHECK_EVERY: Span = Span::from_secs(60);

impl Detector {
    /// A pair has grown by bytes of `flow`.
    pub(super) fn judge(&mut self, key: PairKey, flow: FlowId, now: Timestamp) {
        if self.case_speaks(key, flow, now) {
            return;
        }
        let Some(open) = self.flows.get(&flow) else { return };
        let Some(known) = open.known.clone() else { return };
        let Some(threshold) = upload_volume::threshold(known.category, key.aside, &self.config) else {
            return;
        };
        if !self.is_monitored(&known) {
            return;
        }
        let learned = self.is_learned(now);
        let (budget, cap) = (self.budget(&known, key, now), self.hard_cap(&known, key));
        let Some(pair) = self.pairs.get(&key) else { return };
        let out = pair.window.out();
        // Once the site has been watched for a day, what is usual there decides: volume alone would spend the budget.
        // The site's own caps hold for ever, and what has been opened is told to its end.
        let broken = cap.is_some_and(|cap| out > cap);
        if out < threshold || (learned && pair.incident.is_none() && !broken) {
            return;
        }
        let silent = self.silenced(&open.identity, out, now, false).is_some();
        let Some(pair) = self.pairs.get_mut(&key) else { return };
        let severity = upload_volume::severity(&known, out, threshold, &self.config);
        let loud = || upload_volume::loudness(&known, out, threshold, &self.config);
        let severity = policy::weigh(severity, loud, out, budget, cap);
        let severity = if silent { Severity::Low } else { severity };
        let due = if let Some(incident) = &pair.incident {
            incident.due(severity, now)
        } else {
            let facts = [self.seed, flow.0, key.service.index() as u64, now.nanos() as u64];
            let id = incident::id(&self.sensor, now, &facts);
            let (ends, path, identity) = (open.ends, open.path, open.identity.clone());
            pair.incident =
                Some(Box::new(Incident::open(id, now, severity, out, flow, ends, path, identity)));
            pair.known = Some(Arc::clone(&known));
            self.open.push(key);
            self.counters.incidents += 1;
            Some(Due { phase: Phase::Open, alert: true })
        };
        if let Some(due) = due {
            self.write_incident(key, &known, threshold, severity, due, now);
        }
    }

    /// A rule has an incident of this upload already, or of others of the host and destination: volume has no word of
    /// its own beside it.
    fn case_speaks(&mut self, key: PairKey, flow: FlowId, now: Timestamp) -> bool {
        if self.pairs.get(&key).is_some_and(|p| p.incident.is_some()) {
            return false;
        }
        let place = self.place(flow, now.secs());
        place.and_then(|p| self.base.cases.get(&p)).is_some_and(|c| c.pair.incident.is_some())
    }

    /// A rule speaks of an upload that volume has an incident of: that incident is the rule's from now on.
    pub(super) fn take_over(&mut self, flow: FlowId) -> Option<Box<Incident>> {
        let key = self.flows.get(&flow)?.pair?;
        let incident = self.pairs.get_mut(&key)?.incident.take()?;
        self.open.retain(|k| *k != key);
        Some(incident)
    }

    /// Closes incidents whose hosts have been quiet.
    pub(super) fn close_idle_incidents(&mut self, now: Timestamp) {
        if (self.open.is_empty() && self.base.cases.is_empty()) || now.since(self.checked) < CHECK_EVERY {
            return;
        }
        if self.checked.secs().div_euclid(3_600) != now.secs().div_euclid(3_600) {
            self.forget_cases(now);
        }
        self.checked = now;
        self.close_cases(now, false);
        let idle = self.config.incident_idle;
        let is_over = |p: &Pair| p.incident.as_ref().is_none_or(|incident| incident.is_over(now, idle));
        let over: Vec<PairKey> =
            self.open.iter().copied().filter(|k| self.pairs.get(k).is_none_or(is_over)).collect();
        for key in over {
            self.close_incident(key, now);
        }
    }

    /// Closes every incident: the end of the input.
    pub(super) fn close_all_incidents(&mut self, now: Timestamp) {
        for key in self.open.clone() {
            self.close_incident(key, now);
        }
        self.close_cases(now, true);
    }

    fn close_incident(&mut self, key: PairKey, now: Timestamp) {
        self.open.retain(|k| *k != key);
        let Some(pair) = self.pairs.get(&key) else { return };
        let (Some(incident), Some(known)) = (&pair.incident, pair.known.clone()) else { return };
        let severity = incident.severity;
        if let Some(threshold) = upload_volume::threshold(known.category, key.aside, &self.config) {
            let due = Due { phase: Phase::Final, alert: false };
            self.write_incident(key, &known, threshold, severity, due, now);
        }
        let Some(pair) = self.pairs.get_mut(&key) else { return };
        let flow = pair.incident.take().map(|i| i.flow);
        pair.known = None;
        // What this incident has told does not open the next one.
        let told = pair.window.out();
        pair.window.withdraw(told, 0);
        for flow in pair.flows.drain(..) {
            if let Some(open) = self.flows.get_mut(&flow.flow) {
                open.alerted = true;
            }
        }
        (pair.flows_total, pair.unlisted) = (0, Tally::default());
        pair.destinations.clear();
        pair.signs.clear();
        if let Some(flow) = flow {
            self.forget_matter(flow, Matter::Pair(key));
        }
    }

    /// Something is known of an open incident that its last record does not say. When that is a program which the site
    /// allows so much, the incident is for the log from here on; beyond the budget it rises again.
    pub(super) fn update_incident(&mut self, key: PairKey, due: Due, now: Timestamp) {
        let Some(pair) = self.pairs.get(&key) else { return };
        let Some(known) = pair.known.clone().filter(|_| pair.incident.is_some()) else { return };
        let out = pair.window.out();
        let Some(threshold) = upload_volume::threshold(known.category, key.aside, &self.config) else {
            return;
        };
        let allowed = self.budget(&known, key, now).is_some_and(|budget| out <= budget);
        let Some(incident) = self.pairs.get_mut(&key).and_then(|p| p.incident.as_mut()) else { return };
        if allowed {
            incident.severity = Severity::Low;
        }
        let severity = incident.severity;
        self.write_incident(key, &known, threshold, severity, due, now);
    }

    /// `monitored_services` names it, or names nothing at all.
    pub(super) fn is_monitored(&self, known: &Known) -> bool {
        let list = &self.config.monitored_services;
        list.is_empty() || list.iter().any(|s| *s == *known.class.service || s == known.class.category)
    }

    fn write_incident(
        &mut self,
        key: PairKey,
        known: &Known,
        threshold: u64,
        severity: Severity,
        due: Due,
        now: Timestamp,
    ) {
        self.attribute_incident(Matter::Pair(key), now);
        let Some(pair) = self.pairs.get_mut(&key) else { return };
        let Some(incident) = pair.incident.as_mut() else { return };
        let seq = incident.write(severity, now);
        let incident = incident.clone();
        let mut record = self.record(key, known, threshold, due, seq, &incident, now);
        record.evidence.extend(self.silenced(&record.identity, record.up_bytes_24h, now, true));
        self.answer(&mut record, None);
        self.totals.note_incident(&record);
        self.counters.alerts += u64::from(due.alert && record.severity > Severity::Low);
        self.records.push(Record::Incident(Box::new(record)));
    }

    /// Answers the analyst's questions.
    pub(super) fn answer(&self, record: &mut IncidentRecord, learned: Option<((u32, u32), &Values)>) {
        if let Some(host) = record.identity.host.as_ref() {
            let said = record.identity.attribution.as_ref().and_then(|a| a.host_name.as_deref());
            let about = self.context.about(host.ip, said.or(host.name.as_deref()), record.at);
            record.evidence.extend(about.iter().map(crate::endpoint::ContextAlert::evidence));
        }
        let category = record.identity.class.as_ref().and_then(|c| Category::from_word(c.category));
        let level = &self.config.exfil_volume_threshold;
        let level = category.map_or(level.storage, |c| level.level(c)).0;
        let asked = answers::Asked {
            record,
            roster: &self.base.roster,
            values: learned.map(|(_, values)| values),
            typical: learned.and_then(|(key, _)| self.base.learner.typical(key.0, key.1)),
            changed: self.changed_lately(record.at),
        };
        let said = answers::answers(&asked);
        record.escalate = answers::escalate(&said, record.up_bytes_24h, level);
        record.containment = answers::containment(record);
        record.answers = said;
    }

    #[allow(clippy::too_many_arguments)] // one caller, and each is a different fact
    fn record(
        &self,
        key: PairKey,
        known: &Known,
        threshold: u64,
        due: Due,
        seq: u32,
        incident: &Incident,
        now: Timestamp,
    ) -> IncidentRecord {
        let fallback = Pair::new(now, self.config.time_window);
        let pair = self.pairs.get(&key).unwrap_or(&fallback);
        let (out, into) = (pair.window.out(), pair.window.inward());
        let (flows, destinations) = pair.listed();
        let mut evidence = upload_volume::evidence(known, out, into, threshold, &self.config);
        evidence.extend(self.policy_evidence(known, key, out, now));
        evidence.push(visibility(pair));
        evidence.extend(pair.signs.iter().map(crate::output::Sign::evidence));
        let category = known.class.category.replace('_', " ");
        let service = &known.class.service_name;
        let critical = if incident.severity == Severity::Critical { " [critical]" } else { "" };
        IncidentRecord {
            id: incident.id.clone(),
            seq,
            phase: due.phase,
            alert: due.alert,
            at: now,
            analytic: upload_volume::NAME,
            attack_analytic: None,
            signature_id: upload_volume::signature_id(known.category),
            signature: format!("EGRET upload to {service} ({category}){critical}"),
            lane: upload_volume::LANE,
            score: self.volume_score(known, key, out, threshold),
            severity: incident.severity,
            flow: incident.flow,
            ends: incident.ends,
            path: incident.path,
            identity: incident.identity.clone(),
            up_bytes: incident.up_bytes,
            up_bytes_24h: out,
            down_bytes: into,
            bytes_basis: "payload",
            window: self.config.time_window,
            threshold,
            seen: pair.seen,
            flows,
            flows_total: pair.flows_total,
            uploads: pair.uploads(),
            destinations,
            evidence,
            gap_bytes: pair.gap,
            midstream: pair.midstream,
            one_way: pair.one_way,
            text: sentence(key, known, incident, pair, threshold),
            answers: Answers::default(),
            escalate: Escalation::default(),
            containment: Vec::new(),
        }
    }
}

/// One sentence that an analyst can read out.
fn sentence(key: PairKey, known: &Known, incident: &Incident, pair: &Pair, threshold: u64) -> String {
    let name = incident.identity.name.as_deref().unwrap_or("an unnamed destination");
    let flows = match pair.flows_total {
        1 => "1 flow".to_owned(),
        n => format!("{n} flows"),
    };
    let sender = super::attribution::sender(&incident.identity, Some(key.host));
    format!(
        "{} sent {} to {} ({name}) over {flows} in {}, {} came back; the level is {}.",
        sender,
        Bytes(incident.up_bytes),
        known.class.service_name,
        pair.seen.1.since(pair.seen.0),
        Bytes(pair.window.inward()),
        Bytes(threshold),
    )
}

/// How much of it was really seen.
pub(super) fn visibility(pair: &Pair) -> Evidence {
    let mut parts = Vec::new();
    if pair.gap > 0 {
        parts.push(format!("{} proven by sequence numbers, not seen", Bytes(pair.gap)));
    }
    if pair.midstream {
        parts.push("a flow was already running when it was first seen".to_owned());
    }
    if pair.one_way {
        parts.push("only one direction of a flow was seen".to_owned());
    }
    let whole = parts.is_empty();
    let text = if whole {
        "all flows seen from their first packet, both ways, without a gap".into()
    } else {
        parts.join("; ")
    };
    Evidence { name: "visibility", value: f64::from(u8::from(whole)), weight: 0.0, contribution: 0.0, text }
}
