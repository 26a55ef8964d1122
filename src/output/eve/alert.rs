//! EVE `alert` (Suricata's shape) and `incident` (ours): one phase of an incident.

use super::super::file::OutputConfig;
use super::super::json::Json;
use super::super::{Answer, AnswerState, Evidence, IncidentFlow, IncidentRecord, Phase, Severity, ids};
use super::{Head, head, identity};

/// Generator id of all our signatures.
const GID: u64 = 1567;
const CATEGORY: &str = "Exfiltration Over Web Service";

/// Low severity stays out of the alert queue unless the site wants it there.
pub(in super::super) fn is_alert(record: &IncidentRecord, config: &OutputConfig) -> bool {
    record.alert && (record.severity > Severity::Low || config.low_as_alert)
}

pub(super) fn fill(j: &mut Json<'_>, record: &IncidentRecord, config: &OutputConfig) {
    let alert = is_alert(record, config);
    let top = Head {
        at: record.at,
        event_type: if alert { "alert" } else { "incident" },
        flow: record.flow,
        ends: &record.ends,
        path: Some(&record.path),
        app: None,
        by_packet: true,
    };
    head(j, &top, config);
    if alert {
        suricata(j, record);
    }
    j.object("egret", |j| {
        j.str("version", &config.version);
        j.str("signatures_version", &config.signatures_version);
        identity(j, &record.identity, false);
        j.object("incident", |j| incident(j, record, config));
    });
}

fn suricata(j: &mut Json<'_>, record: &IncidentRecord) {
    let (technique, technique_name) = record.technique();
    j.object("alert", |j| {
        j.str("action", "allowed");
        j.uint("gid", GID);
        j.uint("signature_id", u64::from(record.signature_id));
        j.uint("rev", 1);
        if record.severity == Severity::Critical && !record.signature.contains("[critical]") {
            j.str("signature", &format!("[critical] {}", record.signature));
        } else {
            j.str("signature", &record.signature);
        }
        j.str("category", CATEGORY);
        let severity = match record.severity {
            Severity::Critical | Severity::High => 1,
            Severity::Medium => 2,
            Severity::Low => 3,
        };
        j.uint("severity", severity);
        j.object("metadata", |j| {
            j.strs("mitre_tactic_id", &["TA0010"]);
            j.strs("mitre_tactic_name", &["Exfiltration"]);
            j.strs("mitre_technique_id", &[technique]);
            j.strs("mitre_technique_name", &[technique_name]);
            if let Some(analytic) = record.attack_analytic {
                j.strs("mitre_analytic_id", &[analytic]);
            }
            j.strs("egret_severity", &[record.severity.as_str()]);
            j.strs("egret_analytic", &[record.analytic]);
            j.strs("egret_lane", &[record.lane]);
        });
    });
}

fn incident(j: &mut Json<'_>, r: &IncidentRecord, config: &OutputConfig) {
    j.str("id", &r.id);
    j.uint("seq", u64::from(r.seq));
    j.str("phase", r.phase.as_str());
    j.str("text", &r.text);
    j.str("analytic", r.analytic);
    j.opt_str("attack_analytic", r.attack_analytic);
    j.str("lane", r.lane);
    j.float("score", r.score);
    j.str("severity", r.severity.as_str());
    j.uint("up_bytes", r.up_bytes);
    j.uint("up_bytes_24h", r.up_bytes_24h);
    j.uint("down_bytes", r.down_bytes);
    j.str("bytes_basis", r.bytes_basis);
    j.uint("window", r.window.secs() as u64);
    j.uint("threshold", r.threshold);
    j.time("first_seen", r.seen.0);
    j.time("last_seen", r.seen.1);
    j.array("flows", |j| r.flows.iter().take(16).for_each(|f| flow(j, f, config)));
    j.uint("flows_total", u64::from(r.flows_total));
    j.array("destinations", |j| {
        for (name, up_bytes) in r.destinations.iter().take(16) {
            j.item(|j| {
                j.str("name", name);
                j.uint("up_bytes", *up_bytes);
            });
        }
    });
    j.array("evidence", |j| r.evidence.iter().for_each(|e| evidence(j, e)));
    j.object("answers", |j| {
        for (name, a) in r.answers.each() {
            j.object(name, |j| answer(j, a));
        }
    });
    j.object("escalate", |j| {
        j.uint("tier", u64::from(r.escalate.tier));
        let reason = r.escalate.reasons.join("; ");
        j.str("reason", if reason.is_empty() { "nothing calls for tier 2" } else { &reason });
    });
    let containment: Vec<&str> = r.containment.iter().map(String::as_str).collect();
    j.strs("containment", &containment);
    j.object("capture", |j| {
        j.uint("gap_bytes", r.gap_bytes);
        j.bool("midstream", r.midstream);
        j.bool("one_way", r.one_way);
    });
}

fn flow(j: &mut Json<'_>, f: &IncidentFlow, config: &OutputConfig) {
    j.item(|j| {
        j.uint("flow_id", f.flow.0);
        j.plain("uid", |out| ids::uid(f.flow, out));
        j.plain("community_id", |out| ids::community_id(&f.ends, config.community_id_seed, out));
        j.ip("dest_ip", f.ends.responder);
        j.uint("dest_port", u64::from(f.ends.responder_port));
        j.opt_str("name", f.name.as_deref());
        j.uint("up_bytes", f.up_bytes);
    });
}

fn answer(j: &mut Json<'_>, a: &Answer) {
    j.str("state", a.state.as_str());
    j.str("text", &a.text);
    if let Some(value) = a.value {
        j.float("value", value);
    }
    j.opt_str("unit", a.unit);
    let evidence: Vec<&str> = a.evidence.iter().map(String::as_str).collect();
    j.strs("evidence", &evidence);
}

impl AnswerState {
    /// The word for records.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Yes => "yes",
            Self::No => "no",
            Self::Unknown => "unknown",
        }
    }
}

fn evidence(j: &mut Json<'_>, e: &Evidence) {
    j.item(|j| {
        j.str("name", e.name);
        j.float("value", e.value);
        j.float("weight", e.weight);
        j.float("contribution", e.contribution);
        j.str("text", &e.text);
    });
}

impl Phase {
    /// The word for records.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Update => "update",
            Self::Final => "final",
        }
    }
}

impl Severity {
    /// The word for records.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Low => "low",
            Self::Medium => "medium",
            Self::High => "high",
            Self::Critical => "critical",
        }
    }

    /// The severity that a word of the records is for.
    pub fn of_word(word: &str) -> Option<Self> {
        let all = [Self::Low, Self::Medium, Self::High, Self::Critical];
        all.into_iter().find(|severity| severity.as_str() == word)
    }
}

impl IncidentRecord {
    /// ATT&CK technique and its name: that of the destination, else the parent of them all.
    pub fn technique(&self) -> (&'static str, &'static str) {
        let class = self.identity.class.as_ref();
        class
            .and_then(|c| Some((c.technique?, c.technique_name?)))
            .unwrap_or(("T1567", "Exfiltration Over Web Service"))
    }
}
