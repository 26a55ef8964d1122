//! The summary for machines: the same facts as the text, one JSON object.

use super::super::json::Json;
use super::super::stamp::Clock;
use super::super::{IncidentRecord, RunSummary, Severity, UploadLine, ids};
use super::names;
use crate::decode::Skip;
use crate::parse::GiveUp;

/// The summary as one line of JSON.
pub fn json(summary: &RunSummary) -> String {
    let (mut out, mut clock) = (Vec::new(), Clock::default());
    Json::line(&mut out, &mut clock, |j| fill(j, summary));
    // The writer takes text only.
    String::from_utf8(out).unwrap_or_default()
}

fn fill(j: &mut Json<'_>, summary: &RunSummary) {
    let stats = &summary.stats;
    let (front, total) = (&stats.front, stats.total());
    let alerts = super::alerts(summary);
    j.array("findings", |j| alerts.iter().for_each(|r| j.item(|j| finding(j, r))));
    let low = summary.incidents.iter().filter(|r| r.severity == Severity::Low).count();
    j.uint("low_incidents", low as u64);
    j.array("uploads", |j| summary.uploads.iter().for_each(|line| j.item(|j| upload(j, line))));
    if let Some((first, last)) = summary.span {
        j.time("first", first);
        j.time("last", last);
    }
    j.uint("packets", front.frames);
    j.uint("bytes", front.bytes);
    j.uint("decoded", front.decoded);
    j.uint("fragments_held", front.fragments_held);
    j.object("skipped", |j| {
        for (reason, n) in Skip::ALL.iter().zip(front.skipped) {
            j.uint(reason.as_str(), n);
        }
    });
    if let Some(logs) = &stats.logs {
        j.object("logs", |j| super::super::eve::logs(j, logs));
    }
    j.object("flows", |j| {
        j.uint("opened", stats.logs.as_ref().map_or(total.opened, |logs| logs.held.flows));
        j.uint("evicted", total.evicted);
        j.uint("home_outside", summary.flows_by_side.0);
        j.uint("home_home", summary.flows_by_side.1);
        j.uint("outside_outside", summary.flows_by_side.2);
    });
    j.uint("home_up_bytes", summary.home_bytes.up);
    j.uint("home_down_bytes", summary.home_bytes.down);
    j.array("learned_home", |j| summary.learned_home.iter().for_each(|net| j.item_str(net)));
    j.object("names", |j| names(summary).iter().for_each(|(source, n)| j.uint(source, *n)));
    j.object("unnamed", |j| {
        for (reason, n) in GiveUp::ALL.iter().zip(total.given_up) {
            j.uint(reason.as_str(), n);
        }
    });
    j.object("hidden", |j| {
        j.uint("shared_front", stats.detect.shared_front);
        j.uint("hidden_dns", stats.detect.hidden_dns);
    });
    j.float("wall_secs", summary.wall_secs);
    j.uint("lines", stats.lines);
    j.uint("lines_dropped", stats.dropped);
    j.array("files", |j| summary.files.iter().for_each(|f| j.item_str(&f.to_string_lossy())));
    j.array("faults", |j| summary.faults.iter().for_each(|f| j.item_str(f)));
    if let Some(e) = &summary.endpoint {
        j.object("endpoint", |j| {
            j.uint("files", e.files);
            j.uint("events", e.events);
            j.uint("hosts", e.counters.hosts);
            j.uint("joined", e.counters.joined);
            j.uint("evicted", e.counters.evicted);
            j.uint("clock_steps", e.counters.clock_steps);
        });
    }
    if stats.logs.is_some() || summary.endpoint.is_some() {
        j.array("remarks", |j| summary.remarks.iter().for_each(|f| j.item_str(f)));
    }
}

fn finding(j: &mut Json<'_>, r: &IncidentRecord) {
    j.str("id", &r.id);
    j.str("severity", r.severity.as_str());
    j.str("phase", r.phase.as_str());
    j.str("signature", &r.signature);
    j.uint("signature_id", u64::from(r.signature_id));
    j.str("technique", r.technique().0);
    j.str("text", &r.text);
    if let Some(host) = &r.identity.host {
        j.ip("host", host.ip);
        j.opt_str("host_name", host.name.as_deref());
    }
    if let Some(said) = &r.identity.attribution {
        let process = said.process.as_deref();
        j.opt_str("process", process.map(|p| &*p.name));
        j.opt_str("process_path", process.and_then(|p| p.path.as_deref()));
        j.opt_str("user", said.user.as_deref());
        j.str("attribution", said.level.as_str());
        j.float("attribution_confidence", f64::from(said.confidence));
    }
    j.opt_str("name", r.identity.name.as_deref());
    if let Some(class) = &r.identity.class {
        j.str("service", &class.service);
        j.str("category", class.category);
    }
    j.uint("up_bytes", r.up_bytes);
    j.uint("down_bytes", r.down_bytes);
    j.uint("threshold", r.threshold);
    j.uint("window", r.window.secs() as u64);
    j.float("score", r.score);
    j.time("first_seen", r.seen.0);
    j.time("last_seen", r.seen.1);
    j.uint("flows_total", u64::from(r.flows_total));
    j.array("evidence", |j| r.evidence.iter().for_each(|e| j.item_str(&e.text)));
    j.uint("flow_id", r.flow.0);
    j.plain("uid", |out| ids::uid(r.flow, out));
    j.ip("src_ip", r.ends.originator);
    j.uint("src_port", u64::from(r.ends.originator_port));
    j.ip("dest_ip", r.ends.responder);
    j.uint("dest_port", u64::from(r.ends.responder_port));
}

fn upload(j: &mut Json<'_>, line: &UploadLine) {
    j.ip("host", line.host);
    j.str("what", &line.what);
    j.opt_str("category", line.category);
    j.uint("up_bytes", line.bytes.up);
    j.uint("down_bytes", line.bytes.down);
    j.uint("flows", line.flows);
}
