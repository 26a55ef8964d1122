//! Columns of each log.

use super::super::stamp::Clock;
use crate::units::Timestamp;

pub(super) const CONN: usize = 0;
pub(super) const SSL: usize = 1;
pub(super) const QUIC: usize = 2;
pub(super) const DNS: usize = 3;
pub(super) const HTTP: usize = 4;
pub(super) const NOTICE: usize = 5;
pub(super) const OPEN_CONN: usize = 6;
pub(super) const OPEN_SSL: usize = 7;
pub(super) const OPEN_HTTP: usize = 8;
pub(super) const EGRET: usize = 9;

/// File names, by the numbers above.
pub(super) static NAMES: &[&str] = &[
    "conn.log",
    "ssl.log",
    "quic.log",
    "dns.log",
    "http.log",
    "notice.log",
    "open_conn.log",
    "open_ssl.log",
    "open_http.log",
    "egret.log",
];

/// One log.
pub(super) struct Layout {
    /// Zeek's `#path`.
    pub path: &'static str,
    /// Name and type of each column.
    pub columns: &'static [(&'static str, &'static str)],
}

/// Every log, by the numbers above.
pub(super) static LOGS: [Layout; 10] = [
    Layout { path: "conn", columns: CONN_COLUMNS },
    Layout { path: "ssl", columns: SSL_COLUMNS },
    Layout { path: "quic", columns: QUIC_COLUMNS },
    Layout { path: "dns", columns: DNS_COLUMNS },
    Layout { path: "http", columns: HTTP_COLUMNS },
    Layout { path: "notice", columns: NOTICE_COLUMNS },
    Layout { path: "open_conn", columns: CONN_COLUMNS },
    Layout { path: "open_ssl", columns: SSL_COLUMNS },
    Layout { path: "open_http", columns: HTTP_COLUMNS },
    Layout { path: "egret", columns: EGRET_COLUMNS },
];

impl Layout {
    /// Appends the lines at the top of the file, the last one without its line end.
    pub(super) fn header(&self, at: Timestamp, clock: &mut Clock, out: &mut Vec<u8>) {
        out.extend_from_slice(b"#separator \\x09\n#set_separator\t,\n#empty_field\t(empty)\n");
        out.extend_from_slice(b"#unset_field\t-\n#path\t");
        out.extend_from_slice(self.path.as_bytes());
        out.extend_from_slice(b"\n#open\t");
        clock.zeek(at, out);
        out.extend_from_slice(b"\n#fields");
        for (name, _) in self.columns {
            out.push(b'\t');
            out.extend_from_slice(name.as_bytes());
        }
        out.extend_from_slice(b"\n#types");
        for (_, kind) in self.columns {
            out.push(b'\t');
            out.extend_from_slice(kind.as_bytes());
        }
    }
}

#[rustfmt::skip] // One line per column group reads better than one per column.
const CONN_COLUMNS: &[(&str, &str)] = &[
    ("ts", "time"), ("uid", "string"),
    ("id.orig_h", "addr"), ("id.orig_p", "port"), ("id.resp_h", "addr"), ("id.resp_p", "port"),
    ("proto", "enum"), ("service", "string"), ("duration", "interval"),
    ("orig_bytes", "count"), ("resp_bytes", "count"), ("conn_state", "string"),
    ("local_orig", "bool"), ("local_resp", "bool"), ("missed_bytes", "count"), ("history", "string"),
    ("orig_pkts", "count"), ("orig_ip_bytes", "count"), ("resp_pkts", "count"), ("resp_ip_bytes", "count"),
    ("tunnel_parents", "set[string]"), ("community_id", "string"),
];

#[rustfmt::skip]
const SSL_COLUMNS: &[(&str, &str)] = &[
    ("ts", "time"), ("uid", "string"),
    ("id.orig_h", "addr"), ("id.orig_p", "port"), ("id.resp_h", "addr"), ("id.resp_p", "port"),
    ("version", "string"), ("cipher", "string"), ("curve", "string"), ("server_name", "string"),
    ("resumed", "bool"), ("last_alert", "string"), ("next_protocol", "string"), ("established", "bool"),
    ("ssl_history", "string"), ("cert_chain_fps", "vector[string]"), ("client_cert_chain_fps", "vector[string]"),
    ("sni_matches_cert", "bool"), ("ja3", "string"), ("ja3s", "string"), ("ja4", "string"),
];

#[rustfmt::skip]
const QUIC_COLUMNS: &[(&str, &str)] = &[
    ("ts", "time"), ("uid", "string"),
    ("id.orig_h", "addr"), ("id.orig_p", "port"), ("id.resp_h", "addr"), ("id.resp_p", "port"),
    ("version", "string"), ("client_initial_dcid", "string"), ("client_scid", "string"), ("server_scid", "string"),
    ("server_name", "string"), ("client_protocol", "string"), ("history", "string"),
];

#[rustfmt::skip]
const DNS_COLUMNS: &[(&str, &str)] = &[
    ("ts", "time"), ("uid", "string"),
    ("id.orig_h", "addr"), ("id.orig_p", "port"), ("id.resp_h", "addr"), ("id.resp_p", "port"),
    ("proto", "enum"), ("trans_id", "count"), ("rtt", "interval"), ("query", "string"),
    ("qclass", "count"), ("qclass_name", "string"), ("qtype", "count"), ("qtype_name", "string"),
    ("rcode", "count"), ("rcode_name", "string"),
    ("AA", "bool"), ("TC", "bool"), ("RD", "bool"), ("RA", "bool"), ("Z", "count"),
    ("answers", "vector[string]"), ("TTLs", "vector[interval]"), ("rejected", "bool"),
];

#[rustfmt::skip]
const HTTP_COLUMNS: &[(&str, &str)] = &[
    ("ts", "time"), ("uid", "string"),
    ("id.orig_h", "addr"), ("id.orig_p", "port"), ("id.resp_h", "addr"), ("id.resp_p", "port"),
    ("trans_depth", "count"), ("method", "string"), ("host", "string"), ("uri", "string"),
    ("referrer", "string"), ("version", "string"), ("user_agent", "string"), ("origin", "string"),
    ("request_body_len", "count"), ("response_body_len", "count"),
    ("status_code", "count"), ("status_msg", "string"), ("info_code", "count"), ("info_msg", "string"),
    ("tags", "set[enum]"), ("username", "string"), ("password", "string"), ("proxied", "set[string]"),
    ("orig_fuids", "vector[string]"), ("orig_filenames", "vector[string]"), ("orig_mime_types", "vector[string]"),
    ("resp_fuids", "vector[string]"), ("resp_filenames", "vector[string]"), ("resp_mime_types", "vector[string]"),
];

#[rustfmt::skip]
const NOTICE_COLUMNS: &[(&str, &str)] = &[
    ("ts", "time"), ("uid", "string"),
    ("id.orig_h", "addr"), ("id.orig_p", "port"), ("id.resp_h", "addr"), ("id.resp_p", "port"),
    ("fuid", "string"), ("file_mime_type", "string"), ("file_desc", "string"),
    ("proto", "enum"), ("note", "enum"), ("msg", "string"), ("sub", "string"),
    ("src", "addr"), ("dst", "addr"), ("p", "port"), ("n", "count"), ("peer_descr", "string"),
    ("actions", "set[enum]"), ("email_dest", "set[string]"), ("suppress_for", "interval"),
    ("remote_location.country_code", "string"), ("remote_location.region", "string"),
    ("remote_location.city", "string"), ("remote_location.latitude", "double"),
    ("remote_location.longitude", "double"),
];

#[rustfmt::skip]
const EGRET_COLUMNS: &[(&str, &str)] = &[
    ("ts", "time"), ("uid", "string"),
    ("id.orig_h", "addr"), ("id.orig_p", "port"), ("id.resp_h", "addr"), ("id.resp_p", "port"),
    ("proto", "enum"), ("community_id", "string"),
    ("incident", "string"), ("seq", "count"), ("phase", "string"), ("alert", "bool"),
    ("severity", "string"), ("score", "double"), ("analytic", "string"), ("lane", "string"),
    ("technique", "string"), ("signature_id", "count"), ("signature", "string"), ("text", "string"),
    ("host", "addr"), ("host_name", "string"), ("host_mac", "string"),
    ("name", "string"), ("name_source", "string"), ("service", "string"), ("category", "string"),
    ("role", "string"), ("tenant", "string"), ("sanction", "string"),
    ("up_bytes", "count"), ("up_bytes_24h", "count"), ("down_bytes", "count"), ("bytes_basis", "string"),
    ("window", "interval"), ("threshold", "count"), ("first_seen", "time"), ("last_seen", "time"),
    ("flows_total", "count"), ("flows", "vector[string]"), ("destinations", "vector[string]"),
    ("evidence", "vector[string]"),
    ("gap_bytes", "count"), ("midstream", "bool"), ("one_way", "bool"),
    ("process", "string"), ("process_path", "string"), ("process_pid", "count"), ("command_line", "string"),
    ("user", "string"), ("original_name", "string"), ("sha256", "string"), ("signer", "string"),
    ("parent", "string"), ("parent_path", "string"), ("attribution", "string"),
    ("attribution_confidence", "double"), ("attribution_status", "string"), ("attribution_source", "string"),
    ("attribution_reason", "string"),
];
