//! EVE `flow` (at the end of a flow), `flow_update` (while it is open) and `flow_sum` (many without payload in one).

use super::super::file::OutputConfig;
use super::super::json::Json;
use super::super::{FlowRecord, FlowSum};
use super::{Head, app_proto, head, identity, says_hello};
use crate::observe::{Counts, EndReason, FlowState, FlowSummary};
use crate::parse::AppProto;
use crate::units::Both;

pub(super) fn fill(j: &mut Json<'_>, record: &FlowRecord, config: &OutputConfig) {
    let s = &*record.summary;
    let app = s.facts.as_ref().map(|f| f.app);
    let event_type = if s.since.is_some() { "flow_update" } else { "flow" };
    let top = Head {
        at: s.last,
        event_type,
        flow: s.flow,
        ends: &s.ends,
        path: Some(&s.path),
        app: app_word(app, s),
        by_packet: false,
    };
    head(j, &top, config);
    if s.since.is_none() {
        j.object("flow", |j| {
            packets(j, &s.counts);
            life(j, s);
            j.str("reason", reason(s.end));
            j.bool("alerted", record.alerted);
        });
    }
    j.object("egret", |j| {
        match &s.since {
            None => {
                j.str("phase", "closed");
                volumes(j, &s.counts);
                app_bytes(j, &s.counts, s.app_followed);
                j.uint("retransmitted_toserver", s.counts.up.retransmitted);
                j.uint("retransmitted_toclient", s.counts.down.retransmitted);
                gaps(j, &s.counts);
            }
            // An index takes only so many fields: what can be had from the record at the end is left out here.
            Some(since) => {
                j.str("phase", "open");
                j.object("flow", |j| {
                    packets(j, &s.counts);
                    volumes(j, &s.counts);
                    app_bytes(j, &s.counts, s.app_followed);
                    gaps(j, &s.counts);
                    life(j, s);
                });
                j.object("delta", |j| {
                    packets(j, since);
                    volumes(j, since);
                });
            }
        }
        j.bool("midstream", s.midstream);
        j.bool("one_way", s.one_way);
        identity(j, &record.identity, app.is_some_and(says_hello));
    });
}

/// Only fields that other records have: an index takes only so many.
pub(super) fn fill_sum(j: &mut Json<'_>, sum: &FlowSum, config: &OutputConfig) {
    j.time("timestamp", sum.span.1);
    j.str("event_type", "flow_sum");
    j.opt_str("in_iface", config.interface.as_deref());
    j.opt_str("host", config.sensor.as_deref());
    j.object("egret", |j| {
        if let Some(host) = sum.host {
            j.object("host", |j| j.ip("ip", host));
        }
        j.object("flows", |j| j.uint("closed", sum.flows));
        j.object("flow", |j| {
            packets(j, &sum.counts);
            volumes(j, &sum.counts);
            j.time("start", sum.span.0);
            j.time("end", sum.span.1);
        });
    });
}

/// `failed` is Suricata's word for payload that no parser knows; nothing at all when there was none.
fn app_word(app: Option<AppProto>, s: &FlowSummary) -> Option<&'static str> {
    if s.facts.as_ref().is_some_and(|f| f.is_websocket()) {
        return Some("websocket");
    }
    let word = app.and_then(app_proto);
    let carried = s.counts.up.payload + s.counts.down.payload > 0;
    word.or_else(|| (app == Some(AppProto::Unknown) && carried).then_some("failed"))
}

/// Frames and their bytes on the wire.
fn packets(j: &mut Json<'_>, c: &Both<Counts>) {
    j.uint("pkts_toserver", c.up.packets);
    j.uint("pkts_toclient", c.down.packets);
    j.uint("bytes_toserver", c.up.wire);
    j.uint("bytes_toclient", c.down.wire);
}

/// Start, end, age and state. Suricata's age is the difference of the whole seconds.
fn life(j: &mut Json<'_>, s: &FlowSummary) {
    j.time("start", s.first);
    j.time("end", s.last);
    j.uint("age", s.last.secs().saturating_sub(s.first.secs()).max(0) as u64);
    let state = match s.state {
        FlowState::New => "new",
        FlowState::Established => "established",
        FlowState::Closed => "closed",
    };
    j.str("state", state);
}

fn reason(end: Option<EndReason>) -> &'static str {
    match end {
        Some(EndReason::Timeout) => "timeout",
        Some(EndReason::Shutdown) | None => "shutdown",
        Some(EndReason::Reused) => "tcp_reuse",
        Some(EndReason::Evicted) => "forced",
    }
}

/// IP and payload bytes.
fn volumes(j: &mut Json<'_>, c: &Both<Counts>) {
    j.uint("ip_toserver", c.up.ip);
    j.uint("ip_toclient", c.down.ip);
    j.uint("payload_toserver", c.up.payload);
    j.uint("payload_toclient", c.down.payload);
}

/// Application bytes, where TLS records were followed.
fn app_bytes(j: &mut Json<'_>, c: &Both<Counts>, app_followed: Option<bool>) {
    if let Some(all_the_way) = app_followed {
        j.uint("app_toserver", c.up.app);
        j.uint("app_toclient", c.down.app);
        j.str("app_basis", if all_the_way { "tls" } else { "mixed" });
    }
}

/// Bytes proven and never seen.
fn gaps(j: &mut Json<'_>, c: &Both<Counts>) {
    j.uint("gap_toserver", c.up.gap);
    j.uint("gap_toclient", c.down.gap);
}
