//! `conn.log`, and `open_conn.log`, `open_ssl.log` and `open_http.log` for flows that are still open.

use super::super::FlowRecord;
use super::super::ids;
use super::layout::{CONN, OPEN_CONN, OPEN_HTTP, OPEN_SSL};
use super::{Sink, head, proto, transport};
use crate::decode::Transport;
use crate::observe::{FlowSummary, TcpSeen};
use crate::parse::{AppProto, Facts};

pub(super) fn write(sink: &mut Sink<'_>, record: &FlowRecord) {
    let s = &*record.summary;
    let open = s.since.is_some();
    let config = sink.config();
    let local_resp = match &config.is_home {
        Some(is_home) => is_home(s.ends.responder),
        None => record.identity.host.as_ref().is_some_and(|h| h.ip == s.ends.responder),
    };
    let up = &s.counts.up;
    let down = &s.counts.down;
    sink.row(if open { OPEN_CONN } else { CONN }, s.last, |row| {
        head(row, s.first, s.flow, &s.ends);
        row.str(transport(&s.ends));
        row.opt_str(s.facts.as_ref().and_then(|f| service(f)));
        row.interval(s.last.since(s.first));
        row.count(up.payload.saturating_add(up.gap));
        row.count(down.payload.saturating_add(down.gap));
        row.str(state(s));
        row.bool(record.identity.originator_home);
        row.bool(local_resp);
        row.count(up.gap.saturating_add(down.gap));
        match history(s) {
            "" => row.unset(),
            letters => row.str(letters),
        }
        row.count(up.packets);
        row.count(up.ip);
        row.count(down.packets);
        row.count(down.ip);
        row.unset();
        row.plain(|out| ids::community_id(&s.ends, config.community_id_seed, out));
    });
    if !open {
        return;
    }
    let Some(facts) = &s.facts else { return };
    if let Some(tls) = &facts.tls {
        sink.row(OPEN_SSL, s.last, |row| proto::ssl(row, s.first, s.flow, &s.ends, tls));
    }
    if let Some(http) = &facts.http {
        sink.row(OPEN_HTTP, s.last, |row| proto::http(row, s.first, s.flow, &s.ends, http));
    }
}

/// Zeek's words: its QUIC analyzer hands the hello to the one for TLS, and both stand there.
fn service(facts: &Facts) -> Option<&'static str> {
    Some(match facts.app {
        _ if facts.is_websocket() => "http,websocket",
        AppProto::Unknown => return None,
        AppProto::Tls | AppProto::Dtls => "ssl",
        AppProto::Quic => "quic,ssl",
        AppProto::Http => "http",
        AppProto::Http2 => "http2",
        AppProto::Dns => "dns",
        AppProto::Ssh => "ssh",
        AppProto::Socks => "socks",
        AppProto::Stun => "stun",
        AppProto::WireGuard => "wireguard",
        AppProto::OpenVpn => "openvpn",
        AppProto::Dhcp => "dhcp",
    })
}

fn history(s: &FlowSummary) -> &str {
    let len = s.history.iter().position(|&b| b == 0).unwrap_or(s.history.len());
    std::str::from_utf8(&s.history[..len]).unwrap_or("")
}

/// What one side of a TCP connection has come to, as far as `conn_state` asks.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Side {
    Silent,
    Tried,
    Open,
    Partial,
    Closed,
    Reset,
}

fn side(own: TcpSeen, own_syn: bool, other_syn: bool, spoke: bool) -> Side {
    match own {
        TcpSeen { rst: true, .. } => Side::Reset,
        TcpSeen { fin: true, .. } => Side::Closed,
        _ if own_syn && other_syn => Side::Open,
        _ if own_syn => Side::Tried,
        _ if spoke => Side::Partial,
        _ => Side::Silent,
    }
}

/// Zeek's `conn_state`.
fn state(s: &FlowSummary) -> &'static str {
    let (spoke_up, spoke_down) = (s.counts.up.packets > 0, s.counts.down.packets > 0);
    if s.ends.transport == Transport::Udp {
        return match (spoke_up, spoke_down) {
            (true, true) => "SF",
            (true, false) => "S0",
            (false, true) => "SHR",
            (false, false) => "OTH",
        };
    }
    let (orig, resp) = (s.seen.up, s.seen.down);
    let (orig_syn, resp_syn) = (orig.syn || orig.syn_ack, resp.syn || resp.syn_ack);
    let carried = s.counts.up.payload + s.counts.down.payload > 0;
    let ends = (side(orig, orig_syn, resp_syn, spoke_up), side(resp, resp_syn, orig_syn, spoke_down));
    match ends {
        // A reset as the only answer to a SYN is a refusal; after a handshake it ends the connection.
        (Side::Tried, Side::Reset) if !resp.syn_ack => "REJ",
        (Side::Reset, Side::Reset) if orig_syn && !resp.syn_ack && !carried => "REJ",
        (Side::Silent, Side::Reset) => "RSTRH",
        (_, Side::Reset) => "RSTR",
        (Side::Reset, _) if orig_syn && !resp_syn => "RSTOS0",
        (Side::Reset, _) => "RSTO",
        (Side::Closed, Side::Closed) => "SF",
        (Side::Closed, Side::Silent) if orig_syn => "SH",
        (Side::Closed, Side::Open) => "S2",
        (Side::Silent, Side::Closed) if resp_syn => "SHR",
        (Side::Open, Side::Closed) => "S3",
        (Side::Tried, Side::Silent) => "S0",
        (Side::Open, Side::Open) => "S1",
        _ => "OTH",
    }
}

#[cfg(test)]
mod tests {
    use super::super::super::samples;
    use super::*;
    use crate::units::Both;

    /// Flags by letter: S syn, A syn-ack, F fin, R rst, D data; nothing at all: never spoke.
    fn seen(letters: &str) -> TcpSeen {
        TcpSeen {
            syn: letters.contains('S'),
            syn_ack: letters.contains('A'),
            fin: letters.contains('F'),
            rst: letters.contains('R'),
            data: letters.contains('D'),
            ..TcpSeen::default()
        }
    }

    fn summary(up: &str, down: &str) -> FlowSummary {
        let mut s = samples::summary();
        s.seen = Both { up: seen(up), down: seen(down) };
        let carried = |letters: &str| u64::from(letters.contains('D'));
        s.counts.up.packets = up.len() as u64;
        s.counts.down.packets = down.len() as u64;
        (s.counts.up.payload, s.counts.down.payload) = (carried(up), carried(down));
        s
    }

    #[test]
    fn tcp_states() {
        for (up, down, want) in [
            ("S", "", "S0"),
            ("S", "A", "S1"),
            ("SD", "AD", "S1"),
            ("SDF", "ADF", "SF"),
            ("S", "R", "REJ"),
            ("SDF", "AD", "S2"),
            ("SD", "ADF", "S3"),
            ("SR", "AD", "RSTO"),
            ("SD", "ADR", "RSTR"),
            ("SDF", "AR", "RSTR"),
            ("SR", "", "RSTOS0"),
            ("", "AR", "RSTRH"),
            ("SF", "", "SH"),
            ("", "AF", "SHR"),
            ("D", "D", "OTH"),
            ("D", "", "OTH"),
            ("DF", "DF", "SF"),
            ("", "", "OTH"),
        ] {
            assert_eq!(state(&summary(up, down)), want, "{up}/{down}");
        }
    }

    #[test]
    fn udp_states() {
        for (up, down, want) in [("D", "D", "SF"), ("D", "", "S0"), ("", "D", "SHR")] {
            let mut s = summary(up, down);
            s.ends.transport = Transport::Udp;
            assert_eq!(state(&s), want, "{up}/{down}");
        }
    }
}
