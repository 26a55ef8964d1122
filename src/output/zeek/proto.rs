//! `ssl.log`, `quic.log`, `http.log` and `dns.log`.

use super::super::FactsRecord;
use super::super::words::{self, Tool};
use super::layout::{DNS, HTTP, QUIC, SSL};
use super::row::Row;
use super::{Sink, head, transport};
use crate::observe::{DnsAnswer, Ends, FlowId};
use crate::parse::{AppProto, HttpFacts, TlsFacts};
use crate::units::{Span, Timestamp};

pub(super) fn facts(sink: &mut Sink<'_>, record: &FactsRecord) {
    let (at, flow, ends, facts) = (record.at, record.flow, &record.ends, &*record.facts);
    let tls = facts.tls.as_deref();
    match facts.app {
        AppProto::Quic => {
            sink.row(QUIC, at, |row| quic(row, record, tls));
            if let Some(tls) = tls {
                sink.row(SSL, at, |row| ssl(row, at, flow, ends, tls));
            }
        }
        AppProto::Tls | AppProto::Dtls => {
            if let Some(tls) = tls {
                sink.row(SSL, at, |row| ssl(row, at, flow, ends, tls));
            }
        }
        AppProto::Http => {
            if let Some(request) = &facts.http {
                sink.row(HTTP, at, |row| http(row, at, flow, ends, request));
            }
        }
        AppProto::Unknown | AppProto::Http2 | AppProto::Dns | AppProto::Ssh | AppProto::Socks => {}
        AppProto::Stun | AppProto::WireGuard | AppProto::OpenVpn | AppProto::Dhcp => {}
    }
}

pub(super) fn ssl(row: &mut Row<'_>, at: Timestamp, flow: FlowId, ends: &Ends, t: &TlsFacts) {
    head(row, at, flow, ends);
    if t.negotiated {
        row.plain(|out| words::tls_version(t.version, Tool::Zeek, out));
    } else {
        row.unset();
    }
    match t.cipher {
        Some(suite) => row.plain(|out| words::cipher(suite, out)),
        None => row.unset(),
    }
    row.unset(); // curve
    row.opt_str(t.sni.as_deref());
    row.bool(t.resumed);
    row.unset(); // last_alert
    row.opt_str(t.server_alpn.as_deref());
    row.bool(t.negotiated);
    row.unset(); // ssl_history
    row.unset(); // cert_chain_fps are SHA-256 there, which we do not compute
    row.unset(); // client_cert_chain_fps
    row.unset(); // sni_matches_cert
    row.opt_str(t.ja3());
    row.opt_str(t.ja3s());
    row.opt_str(t.ja4());
}

fn quic(row: &mut Row<'_>, record: &FactsRecord, tls: Option<&TlsFacts>) {
    head(row, record.at, record.flow, &record.ends);
    let version = record.facts.quic_version.unwrap_or(0);
    row.plain(|out| words::quic_version(version, Tool::Zeek, out));
    row.unset(); // client_initial_dcid
    row.unset(); // client_scid
    row.unset(); // server_scid
    row.opt_str(tls.and_then(|t| t.sni.as_deref()));
    row.opt_str(tls.and_then(|t| t.client_alpns.first()).map(|a| &**a));
    row.unset(); // history
}

pub(super) fn http(row: &mut Row<'_>, at: Timestamp, flow: FlowId, ends: &Ends, h: &HttpFacts) {
    head(row, at, flow, ends);
    row.count(1);
    row.str(&h.method);
    match words::split_port(&h.host).0 {
        "" => row.unset(),
        host => row.str(host),
    }
    row.str(&h.url);
    row.unset(); // referrer
    row.unset(); // version
    row.opt_str(h.user_agent.as_deref());
    row.unset(); // origin
    row.opt_count(h.request_bytes);
    row.unset(); // response_body_len
    row.opt_count(h.status.map(u64::from));
    row.unset(); // status_msg
    row.unset(); // info_code
    row.unset(); // info_msg
    row.list([]);
    row.unset(); // username
    row.unset(); // password
    match h.client {
        Some(client) => row.list([format!("X-FORWARDED-FOR -> {client}").as_str()]),
        None => row.unset(),
    }
}

/// One line per answer. Zeek joins question and answer to one line; a question alone is in EVE only.
pub(super) fn dns(sink: &mut Sink<'_>, d: &DnsAnswer) {
    if !d.response {
        return;
    }
    sink.row(DNS, d.at, |row| {
        head(row, d.at, d.flow, &d.ends);
        row.str(transport(&d.ends));
        row.count(u64::from(d.id));
        row.unset(); // rtt
        row.str(&d.query);
        row.count(1);
        row.str("C_INTERNET");
        row.count(u64::from(d.qtype));
        row.plain(|out| words::dns_type(d.qtype, Tool::Zeek, out));
        row.count(u64::from(d.rcode));
        row.plain(|out| words::dns_rcode(d.rcode, Tool::Zeek, out));
        for _flag in ["AA", "TC", "RD", "RA", "Z"] {
            row.unset();
        }
        if d.addresses.is_empty() && d.cnames.is_empty() {
            row.unset();
            row.unset();
        } else {
            let addresses: Vec<String> = d.addresses.iter().map(|a| a.0.to_string()).collect();
            let cnames = d.cnames.iter().map(|c| &**c);
            row.list(cnames.chain(addresses.iter().map(String::as_str)));
            // One time to live per answer or none at all; those of canonical names are not kept.
            if d.cnames.is_empty() {
                row.intervals(d.addresses.iter().map(|a| Span::from_secs(i64::from(a.1))));
            } else {
                row.unset();
            }
        }
        row.bool(d.rcode == 5);
    });
}
