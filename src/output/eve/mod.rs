//! Suricata EVE: one JSON object a line. Suricata's own record types go to `eve.json`, ours to `egret.json`.

mod alert;
mod facts;
mod flow;
mod stats;
#[cfg(test)]
mod tests;

pub(super) use self::alert::is_alert;
pub(super) use self::stats::logs;

use super::file::{Files, OutputConfig};
use super::json::Json;
use super::stamp::Clock;
use super::{Format, Identity, Output, Record, ids};
use crate::attribute::Attribution;
use crate::decode::{Path, Transport};
use crate::endpoint::SourceKind;
use crate::observe::{Ends, FlowId};
use crate::parse::{AppProto, Ech};
use crate::units::Timestamp;
use std::io;
use std::sync::Arc;

const EVE: usize = 0;
const OWN: usize = 1;

/// `--log eve`.
pub static OUTPUT: Output = Output {
    name: "eve",
    about: "Suricata EVE JSON: eve.json, and egret.json for record types that Suricata has not",
    files: &["eve.json", "egret.json"],
    make,
};

fn make(config: &Arc<OutputConfig>, files: &mut Files) -> io::Result<Box<dyn Format>> {
    files.create(EVE)?;
    if !config.own_types_in_eve {
        files.create(OWN)?;
    }
    Ok(Box::new(Eve { config: Arc::clone(config), clock: Clock::default() }))
}

/// The line of an incident, without its end.
pub fn incident_line(record: &super::IncidentRecord, config: &OutputConfig) -> String {
    let mut out = Vec::new();
    Json::line(&mut out, &mut Clock::default(), |j| alert::fill(j, record, config));
    String::from_utf8(out).unwrap_or_default()
}

struct Eve {
    config: Arc<OutputConfig>,
    clock: Clock,
}

impl Format for Eve {
    fn write(&mut self, record: &Record, files: &mut Files) {
        let config = &*self.config;
        let own = match record {
            Record::Flow(r) => r.summary.since.is_some(),
            Record::Incident(r) => !is_alert(r, config),
            Record::FlowSum(_) => true,
            Record::Facts(r) if !facts::has_record(r) => return,
            Record::Facts(_) | Record::Dns(_) | Record::Stats(..) => false,
        };
        let file = if own && !config.own_types_in_eve { OWN } else { EVE };
        files.line(file, |out| Json::line(out, &mut self.clock, |j| fill(j, record, config)));
    }
}

fn fill(j: &mut Json<'_>, record: &Record, config: &OutputConfig) {
    match record {
        Record::Flow(r) => flow::fill(j, r, config),
        Record::Facts(r) => facts::fill(j, r, config),
        Record::Dns(r) => facts::dns(j, r, config),
        Record::Incident(r) => alert::fill(j, r, config),
        Record::FlowSum(r) => flow::fill_sum(j, r, config),
        Record::Stats(r, at) => stats::fill(j, r, *at, config),
    }
}

/// What stands at the top of every record about a flow.
struct Head<'a> {
    at: Timestamp,
    event_type: &'static str,
    flow: FlowId,
    ends: &'a Ends,
    path: Option<&'a Path>,
    app: Option<&'static str>,
    /// The record is about a packet, not about a whole flow: Suricata then says where packets come from.
    by_packet: bool,
}

fn head(j: &mut Json<'_>, head: &Head<'_>, config: &OutputConfig) {
    let ends = head.ends;
    j.time("timestamp", head.at);
    j.uint("flow_id", head.flow.0);
    j.opt_str("in_iface", config.interface.as_deref());
    j.str("event_type", head.event_type);
    let tags = head.path.and_then(|p| p.vlan.get(..usize::from(p.vlans.min(3)))).unwrap_or_default();
    if !tags.is_empty() {
        j.array("vlan", |j| tags.iter().for_each(|&tag| j.item_uint(u64::from(tag))));
    }
    j.ip("src_ip", ends.originator);
    j.uint("src_port", u64::from(ends.originator_port));
    j.ip("dest_ip", ends.responder);
    j.uint("dest_port", u64::from(ends.responder_port));
    j.str("proto", if ends.transport == Transport::Tcp { "TCP" } else { "UDP" });
    j.uint("ip_v", if ends.originator.is_ipv6() { 6 } else { 4 });
    if head.by_packet {
        j.str("pkt_src", "wire/pcap");
    }
    j.plain("community_id", |out| ids::community_id(ends, config.community_id_seed, out));
    j.opt_str("app_proto", head.app);
    j.opt_str("host", config.sensor.as_deref());
}

/// Suricata's word for what a flow carries.
fn app_proto(app: AppProto) -> Option<&'static str> {
    Some(match app {
        AppProto::Unknown => return None,
        AppProto::Tls => "tls",
        AppProto::Quic => "quic",
        AppProto::Http => "http",
        AppProto::Http2 => "http2",
        AppProto::Dns => "dns",
        AppProto::Ssh => "ssh",
        AppProto::Socks => "socks",
        AppProto::Dtls => "dtls",
        AppProto::Stun => "stun",
        AppProto::WireGuard => "wireguard",
        AppProto::OpenVpn => "openvpn",
        AppProto::Dhcp => "dhcp",
    })
}

/// The names of a flow, within `egret`. `hello`: whether there was a hello that could have hidden its name.
fn identity(j: &mut Json<'_>, id: &Identity, hello: bool) {
    if let Some(name) = &id.name {
        j.str("name", name);
        j.float("name_confidence", f64::from(id.confidence));
        j.opt_str("name_source", id.source.map(crate::parse::NameSource::as_str));
    }
    if hello || id.ech != Ech::None {
        j.str("ech", id.ech.as_str());
    }
    if let Some(class) = &id.class {
        j.str("service", &class.service);
        j.str("category", class.category);
        j.opt_str("technique", class.technique);
        j.str("role", class.role);
        j.opt_str("tenant", class.tenant.as_deref());
        j.str("sanction", class.sanction);
    }
    j.bool("originator_home", id.originator_home);
    if let Some(host) = &id.host {
        j.object("host", |j| {
            j.ip("ip", host.ip);
            if let Some(mac) = &host.mac {
                j.plain("mac", |out| super::json::hex(mac, Some(b':'), out));
            }
            let own = id.attribution.as_deref();
            j.opt_str("name", host.name.as_deref().or(own.and_then(|a| a.host_name.as_deref())));
            j.opt_str("user", own.and_then(|a| a.user.as_deref()));
        });
    }
    if let Some(said) = &id.attribution {
        attribution(j, said);
    }
    if !id.signs.is_empty() {
        j.array("signs", |j| id.signs.iter().for_each(|s| j.item_str(s.kind.as_str())));
    }
    if let Some(dest) = &id.dest {
        j.object("dest", |j| {
            j.opt_uint("asn", dest.asn.map(u64::from));
            j.opt_str("as_org", dest.org.as_deref());
            j.opt_str("country", dest.country.as_deref());
            j.opt_str("city", dest.city.as_deref());
        });
    }
}

/// Who caused a flow, and how that is known.
fn attribution(j: &mut Json<'_>, said: &Attribution) {
    if let Some(process) = &said.process {
        j.object("process", |j| {
            j.str("name", &process.name);
            j.opt_str("path", process.path.as_deref());
            j.opt_uint("pid", process.pid.map(u64::from));
            j.opt_str("command_line", process.command_line.as_deref());
            j.opt_str("user", process.user.as_deref());
            j.opt_str("original_name", process.original_name.as_deref());
            if let Some(hash) = &process.sha256 {
                j.plain("sha256", |out| super::json::hex(hash, None, out));
            }
            j.opt_str("signer", process.signer.as_deref());
            if let Some(parent) = &process.parent {
                j.object("parent", |j| {
                    j.str("name", &parent.name);
                    j.opt_str("path", parent.path.as_deref());
                    j.opt_uint("pid", parent.pid.map(u64::from));
                });
            }
        });
    }
    j.object("attribution", |j| {
        j.str("level", said.level.as_str());
        j.float("confidence", f64::from(said.confidence));
        j.str("status", said.status.as_str());
        j.uint("candidates", u64::from(said.candidates));
        j.opt_str("source", said.source.map(SourceKind::as_str));
        if let Some(delta) = said.delta_ms {
            j.int("delta_ms", delta);
        }
        j.str("reason", &said.reason);
    });
}

fn says_hello(app: AppProto) -> bool {
    matches!(app, AppProto::Tls | AppProto::Quic | AppProto::Dtls)
}
