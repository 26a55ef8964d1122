//! EVE `tls`, `quic`, `http` and `dns`.

use super::super::FactsRecord;
use super::super::file::OutputConfig;
use super::super::json::Json;
use super::super::words;
use super::{Head, app_proto, head, identity, says_hello};
use crate::observe::DnsAnswer;
use crate::parse::{AppProto, HttpFacts, TlsFacts};
use std::net::IpAddr;

/// The event type that tells facts of this kind, if any does.
fn event_type(app: AppProto) -> Option<&'static str> {
    match app {
        AppProto::Tls | AppProto::Dtls => Some("tls"),
        AppProto::Quic => Some("quic"),
        AppProto::Http => Some("http"),
        AppProto::Unknown | AppProto::Http2 | AppProto::Dns | AppProto::Ssh | AppProto::Socks => None,
        AppProto::Stun | AppProto::WireGuard | AppProto::OpenVpn | AppProto::Dhcp => None,
    }
}

pub(super) fn has_record(record: &FactsRecord) -> bool {
    event_type(record.facts.app).is_some()
}

pub(super) fn fill(j: &mut Json<'_>, record: &FactsRecord, config: &OutputConfig) {
    let facts = &*record.facts;
    let Some(event_type) = event_type(facts.app) else { return };
    let top = Head {
        at: record.at,
        event_type,
        flow: record.flow,
        ends: &record.ends,
        path: Some(&record.path),
        app: app_proto(facts.app),
        by_packet: true,
    };
    head(j, &top, config);
    j.object(event_type, |j| match facts.app {
        AppProto::Quic => quic(j, facts.quic_version, facts.tls.as_deref()),
        AppProto::Http => facts.http.iter().for_each(|h| http(j, h)),
        _ => facts.tls.iter().for_each(|t| tls(j, t)),
    });
    j.object("egret", |j| {
        j.str("phase", "open");
        identity(j, &record.identity, says_hello(facts.app));
        if let Some(bytes) = facts.http.as_ref().and_then(|h| h.request_bytes) {
            j.object("http", |j| j.uint("request_bytes", bytes));
        }
    });
}

fn tls(j: &mut Json<'_>, t: &TlsFacts) {
    if let Some(cert) = t.certificate() {
        j.str("subject", &cert.subject);
        j.str("issuerdn", &cert.issuer);
        j.strs("subjectaltname", &cert.names);
        j.str("serial", &cert.serial);
        j.str("fingerprint", &cert.fingerprint);
    }
    j.opt_str("sni", t.sni.as_deref());
    // Until the server has answered Suricata has no version either.
    let version = if t.negotiated { t.version } else { 0 };
    j.plain("version", |out| words::tls_version(version, words::Tool::Suricata, out));
    if let Some(cert) = t.certificate() {
        j.date("notbefore", cert.not_before);
        j.date("notafter", cert.not_after);
    }
    if t.resumed {
        j.bool("session_resumed", true);
    }
    fingerprints(j, t);
    j.strs("client_alpns", &t.client_alpns);
    if let Some(alpn) = &t.server_alpn {
        j.strs("server_alpns", &[alpn]);
    }
}

fn fingerprints(j: &mut Json<'_>, t: &TlsFacts) {
    if let Some(hash) = t.ja3() {
        j.object("ja3", |j| j.str("hash", hash));
    }
    if let Some(hash) = t.ja3s() {
        j.object("ja3s", |j| j.str("hash", hash));
    }
    j.opt_str("ja4", t.ja4());
}

fn quic(j: &mut Json<'_>, version: Option<u32>, t: Option<&TlsFacts>) {
    if let Some(version) = version {
        j.plain("version", |out| words::quic_version(version, words::Tool::Suricata, out));
    }
    if let Some(t) = t {
        j.opt_str("sni", t.sni.as_deref());
        fingerprints(j, t);
    }
}

fn http(j: &mut Json<'_>, h: &HttpFacts) {
    let (host, port) = words::split_port(&h.host);
    if !host.is_empty() {
        j.str("hostname", host);
    }
    j.opt_uint("http_port", port.map(u64::from));
    j.str("url", &h.url);
    j.opt_str("http_user_agent", h.user_agent.as_deref());
    if let Some(client) = h.client {
        j.ip("xff", client);
    }
    j.str("http_method", &h.method);
    j.opt_uint("status", h.status.map(u64::from));
}

/// Version 3 of the shape, as Suricata 8 writes it by default.
pub(super) fn dns(j: &mut Json<'_>, d: &DnsAnswer, config: &OutputConfig) {
    let top = Head {
        at: d.at,
        event_type: "dns",
        flow: d.flow,
        ends: &d.ends,
        path: None,
        app: Some("dns"),
        by_packet: true,
    };
    head(j, &top, config);
    j.object("dns", |j| {
        j.uint("version", 3);
        j.str("type", if d.response { "response" } else { "request" });
        j.uint("id", u64::from(d.id));
        if d.response {
            j.bool("qr", true);
            j.plain("rcode", |out| words::dns_rcode(d.rcode, words::Tool::Suricata, out));
        }
        j.array("queries", |j| {
            j.item(|j| {
                j.str("rrname", &d.query);
                j.plain("rrtype", |out| words::dns_type(d.qtype, words::Tool::Suricata, out));
            });
        });
        answers(j, d);
    });
}

fn answers(j: &mut Json<'_>, d: &DnsAnswer) {
    if d.addresses.is_empty() && d.cnames.is_empty() {
        return;
    }
    // Each canonical name answers for the one before it, the last one owns the addresses.
    let mut owner = &*d.query;
    j.array("answers", |j| {
        for cname in &d.cnames {
            j.item(|j| {
                j.str("rrname", owner);
                j.str("rrtype", "CNAME");
                j.str("rdata", cname);
            });
            owner = cname;
        }
        for &(ip, ttl) in &d.addresses {
            j.item(|j| {
                j.str("rrname", owner);
                j.str("rrtype", if ip.is_ipv4() { "A" } else { "AAAA" });
                j.uint("ttl", u64::from(ttl));
                j.ip("rdata", ip);
            });
        }
    });
    let of = |v4: bool| d.addresses.iter().map(|a| a.0).filter(move |ip| ip.is_ipv4() == v4);
    j.object("grouped", |j| {
        for (key, v4) in [("A", true), ("AAAA", false)] {
            if of(v4).next().is_some() {
                j.array(key, |j| of(v4).for_each(|ip| item_ip(j, ip)));
            }
        }
        j.strs("CNAME", &d.cnames);
    });
}

fn item_ip(j: &mut Json<'_>, ip: IpAddr) {
    j.item_plain(|out| super::super::json::address(ip, out));
}
