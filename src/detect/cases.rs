//! Incidents of the lanes: one per host and destination, kept open for a day after the last byte.

use super::attribution::Matter;
use super::groups::{chance, score_of};
use super::home::Sides;
use super::lanes::{self, Circumstance, Lane, Verdict};
use super::learn::evidence::Values;
use super::learn::kind::Kind;
use super::pair::Pair;
use super::process::Step;
use super::regrade::by_score;
use super::rules::{Analytic, Finding};
use super::{Detector, OpenFlow};
use crate::incident::{self, Due, Incident};
use crate::observe::FlowId;
use crate::output::{Answers, Escalation, Evidence, Host, Identity, IncidentRecord, Phase, Record, Severity};
use crate::units::{Bytes, Span, Timestamp};
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// Name of the analytic in records.
const NAME: &str = "baseline";
/// An incident of a lane goes on for so long after the last byte: no second alert on the same within a day.
const IDLE: Span = Span::from_secs(86_400);
/// A rise of the score that is worth a record.
const RISE: f64 = 0.1;
/// Kinds of evidence named in a record.
const NAMED: usize = 12;

/// What a host sends to a destination, in the eyes of the lanes.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Case {
    /// Sums and contributors; the incident while there is one.
    pub pair: Pair,
    /// The strongest verdict of the incident, and what it came of.
    best: Option<Best>,
}

/// What lanes and rules say of it now.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Found {
    /// The evidence.
    #[serde(with = "crate::state::forms::array")]
    pub values: Values,
    /// Kind of destination, part of the host.
    pub circumstance: Circumstance,
    /// Of the lanes; `None`: the site has not been learned.
    pub verdict: Option<Verdict>,
    /// Of the rules, the strongest first.
    #[serde(with = "crate::state::forms::findings")]
    pub findings: Vec<(&'static Analytic, Finding)>,
    /// What came before, in the order of the host's clock.
    pub steps: Vec<Step>,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
struct Best {
    found: Found,
    score: f64,
    /// Score of the last record.
    written: f64,
}

impl Found {
    /// Lane and rules together: each is a chance of its own that something is wrong (noisy-or). Rules that say the
    /// same thing twice count once: of the rules the strongest alone.
    fn score(&self) -> f64 {
        let lane = self.verdict.map(|v| v.score);
        let rule = self.findings.first().map(|f| f.1.score);
        match (lane, rule) {
            (Some(lane), Some(rule)) => score_of((1.0 - chance(lane)) * (1.0 - chance(rule))),
            (one, other) => one.or(other).unwrap_or(f64::MIN),
        }
    }

    /// The rule that leads, where a rule does.
    fn leader(&self) -> Option<&(&'static Analytic, Finding)> {
        let first = self.findings.first()?;
        self.verdict.is_none_or(|v| first.1.score >= v.score).then_some(first)
    }
}

impl Case {
    /// Nothing yet.
    pub(super) fn new(now: Timestamp, window: Span) -> Self {
        Self { pair: Pair::new(now, window), best: None }
    }

    /// The strongest score of its incident so far.
    pub(super) fn score(&self) -> f64 {
        self.best.as_ref().map_or(f64::MIN, |b| b.score)
    }
}

/// Suricata signature ids of the lanes: never reused.
const fn signature_id(lane: Lane) -> u32 {
    match lane {
        Lane::Bulk => 15_671_001,
        Lane::Slow => 15_671_002,
        Lane::Small => 15_671_003,
        Lane::Spread => 15_671_004,
        Lane::Sanctioned => 15_671_005,
    }
}

/// What the lane is called in titles.
const fn title(lane: Lane) -> &'static str {
    match lane {
        Lane::Bulk => "unusual upload",
        Lane::Slow => "slow upload over days",
        Lane::Small => "small uploads",
        Lane::Spread => "upload spread over services",
        Lane::Sanctioned => "unusual upload to a sanctioned service",
    }
}

impl Detector {
    /// Severity: medium is what the budget allows, high a tenth of it; a rule has its own as the least.
    fn severity_of(&self, score: f64, found: &Found) -> Option<Severity> {
        let by_score = by_score(score, &self.config.alert_budget);
        by_score.max(found.findings.iter().map(|f| f.1.severity).max())
    }

    /// The site has allowed it, within a budget (a hypervisor is never allowed), or an analyst has silenced it.
    fn is_calmed(&self, key: (u32, u32), open: &OpenFlow, found: &Found, now: Timestamp) -> bool {
        let out = self.base.learner.day_out(key.0, key.1);
        let allowed = || {
            let known = open.inferred_known.as_ref()?;
            let host = open.best_identity().host?.ip;
            let program = self.base.cases.get(&key).and_then(|c| c.pair.sole_program());
            self.allowed(known, host, program, now).map(|budget| out <= budget)
        };
        let may_be = |f: &(&Analytic, Finding)| f.0.attack.is_none() || f.0.name == "guest_upload";
        (found.findings.iter().all(may_be) && allowed() == Some(true))
            || self.silenced(&open.best_identity(), out, now, false).is_some()
    }

    /// Names for an incident. A machine of the asset list goes by its first address there, over whichever of them it
    /// sent; of a pull inside the network it is the machine that gives.
    fn of_machine(&self, open: &OpenFlow) -> Identity {
        let mut identity = open.best_identity();
        if open.sides == Sides::Inside {
            identity.host = Some(Arc::new(Host { ip: open.ends.responder, mac: None, name: None }));
            identity.name = Some(open.ends.originator.to_string().into());
        }
        let main = identity.host.as_ref().and_then(|h| Some((h, self.base.roster.asset(h.ip)?.address?)));
        if let Some((host, ip)) = main.filter(|(host, ip)| host.ip != *ip) {
            identity.host = Some(Arc::new(Host { ip, ..(**host).clone() }));
        }
        identity
    }

    /// Lanes or rules have judged.
    pub(super) fn found(&mut self, key: (u32, u32), flow: FlowId, found: &Found, now: Timestamp) {
        if self.severity_of(found.score(), found).is_none() {
            return;
        }
        let Some(open) = self.flow_of(flow) else { return };
        let calm = self.is_calmed(key, open, found, now);
        let mut group = self.group(key, Some(open), now);
        let identity = self.of_machine(open);
        let (ends, path) = (open.ends, open.path);
        if self.base.cases.get(&key).is_none_or(|c| c.pair.incident.is_none())
            && group.incident.is_none()
            && let Some(taken) = self.take_over(flow)
        {
            group.incident = Some((taken.id, taken.opened));
            (group.severity, group.seq) = (Some(taken.severity), taken.seq);
        }
        let Some(case) = self.base.cases.get_mut(&key) else { return };
        let own = found.score();
        let score = group.joined(own.max(case.score()));
        let up = case.pair.window.out();
        let was_open = case.pair.incident.is_some();
        if let (Some(_), Some(best)) = (&case.pair.incident, case.best.as_mut()) {
            if own > best.score {
                (best.found, best.score) = (found.clone(), own);
            }
        } else {
            let facts = [self.seed, flow.0, u64::from(key.0), u64::from(key.1), now.nanos() as u64];
            let (id, opened) =
                group.incident.clone().unwrap_or_else(|| (incident::id(&self.sensor, now, &facts), now));
            let mut incident = Incident::open(id, now, Severity::Low, up, flow, ends, path, identity);
            (incident.opened, incident.seq) = (opened, group.seq);
            case.pair.incident = Some(Box::new(incident));
            case.best = Some(Best { found: found.clone(), score: own, written: f64::MIN });
            self.base.open.push(key);
            self.counters.incidents += u64::from(group.incident.is_none());
        }
        let severity =
            if calm { Severity::Low } else { self.severity_of(score, found).unwrap_or(Severity::Low) };
        let Some(case) = self.base.cases.get_mut(&key) else { return };
        let (Some(incident), Some(best)) = (case.pair.incident.as_mut(), case.best.as_ref()) else { return };
        incident.severity = incident.severity.max(group.severity.unwrap_or(Severity::Low));
        let due = if was_open {
            let risen = (score >= best.written + RISE).then_some(Due { phase: Phase::Update, alert: false });
            incident.due(severity, now).or(risen)
        } else if let Some(known) = group.severity {
            Some(Due { phase: Phase::Update, alert: severity > known })
        } else {
            Some(Due { phase: Phase::Open, alert: true })
        };
        if let Some(due) = due {
            self.write_case(key, severity, due, now);
        }
    }

    pub(super) fn write_case(&mut self, key: (u32, u32), severity: Severity, due: Due, now: Timestamp) {
        self.attribute_incident(Matter::Case(key), now);
        let group = self.group(key, None, now);
        let Some(case) = self.base.cases.get_mut(&key) else { return };
        let (Some(incident), Some(best)) = (case.pair.incident.as_mut(), case.best.as_mut()) else { return };
        incident.seq = incident.seq.max(group.seq);
        let seq = incident.write(severity, now);
        best.written = group.joined(best.score);
        let (incident, best) = (incident.clone(), best.clone());
        let mut record = case_record(&case.pair, &incident, &best, due, seq, now);
        let (values, learned) = (best.found.values, best.found.verdict.is_some());
        record.up_bytes_24h = self.base.learner.day_out(key.0, key.1);
        self.add_others(&mut record, key, &group);
        record.evidence.extend(self.silenced(&record.identity, record.up_bytes_24h, now, true));
        self.answer(&mut record, learned.then_some((key, &values)));
        self.totals.note_incident(&record);
        self.counters.alerts += u64::from(due.alert && record.severity > Severity::Low);
        self.records.push(Record::Incident(Box::new(record)));
    }

    /// Closes incidents of hosts that have been quiet; `all`: whatever is open.
    pub(super) fn close_cases(&mut self, now: Timestamp, all: bool) {
        for keys in self.incidents_over(|i| all || i.is_over(now, IDLE)) {
            if let Some(first) = keys.first() {
                self.write_case(*first, Severity::Low, Due { phase: Phase::Final, alert: false }, now);
            }
            self.base.open.retain(|k| !keys.contains(k));
            for key in keys {
                let flow = self.base.cases.remove(&key).and_then(|c| Some(c.pair.incident?.flow));
                if let Some(flow) = flow {
                    self.forget_matter(flow, Matter::Case(key));
                }
            }
        }
        if self.base.cases.len() > self.config.max_pairs {
            self.base.cases.retain(|_, c| c.pair.incident.is_some());
        }
    }

    /// Forgets contributors of destinations that nothing was sent to for a day.
    pub(super) fn forget_cases(&mut self, now: Timestamp) {
        self.base.cases.retain(|_, c| c.pair.incident.is_some() || now.since(c.pair.touched) < IDLE);
    }
}

// tidy: long because a record has that many fields
fn case_record(
    pair: &Pair,
    incident: &Incident,
    best: &Best,
    due: Due,
    seq: u32,
    now: Timestamp,
) -> IncidentRecord {
    let found = &best.found;
    let lane = found.verdict.map_or(Lane::Bulk, |v| v.lane);
    let leader = found.leader();
    let (out, into) = (pair.window.out(), pair.window.inward());
    let (flows, destinations) = pair.listed();
    let class = incident.identity.class.as_ref();
    let name = incident.identity.name.as_deref().unwrap_or("an unnamed destination");
    let service = class.map_or(name, |c| &*c.service_name);
    let critical = if incident.severity == Severity::Critical { " [critical]" } else { "" };
    let mut evidence: Vec<Evidence> = found.findings.iter().map(rule_evidence).collect();
    if found.verdict.is_some() {
        evidence.extend(lanes::explain(&found.values, found.circumstance, NAMED));
    }
    let reasons: Vec<&str> =
        evidence.iter().filter(|e| e.contribution > 0.0).take(3).map(|e| e.text.as_str()).collect();
    let host = super::attribution::sender(&incident.identity, None);
    let text = format!(
        "{host} sent {} to {service} ({name}) in 24 h, {} came back: {}.",
        Bytes(out),
        Bytes(into),
        reasons.join("; ")
    );
    evidence.extend(found.steps.iter().map(Step::evidence));
    evidence.push(super::incidents::visibility(pair));
    evidence.extend(pair.signs.iter().map(crate::output::Sign::evidence));
    IncidentRecord {
        id: incident.id.clone(),
        seq,
        phase: due.phase,
        alert: due.alert,
        at: now,
        analytic: leader.map_or(NAME, |l| l.0.name),
        attack_analytic: leader.and_then(|l| l.0.attack),
        signature_id: leader.map_or(signature_id(lane), |l| l.0.signature_id),
        signature: format!("EGRET {} ({service}){critical}", leader.map_or(title(lane), |l| l.0.title)),
        lane: leader.map_or(lane.as_str(), |l| l.0.lane),
        score: best.written,
        severity: incident.severity,
        flow: incident.flow,
        ends: incident.ends,
        path: incident.path,
        identity: incident.identity.clone(),
        up_bytes: incident.up_bytes,
        up_bytes_24h: out,
        down_bytes: into,
        bytes_basis: "payload",
        window: IDLE,
        threshold: leader.map_or_else(|| found.circumstance.kind.map_or(0, Kind::floor), |l| l.1.threshold),
        seen: pair.seen,
        flows,
        flows_total: pair.flows_total,
        uploads: pair.uploads(),
        destinations,
        evidence,
        gap_bytes: pair.gap,
        midstream: pair.midstream,
        one_way: pair.one_way,
        text,
        answers: Answers::default(),
        escalate: Escalation::default(),
        containment: Vec::new(),
    }
}

fn rule_evidence(found: &(&'static Analytic, Finding)) -> Evidence {
    Evidence {
        name: found.0.name,
        value: 1.0,
        weight: found.1.score.max(0.1),
        contribution: found.1.score.max(0.1),
        text: found.1.text.clone(),
    }
}
