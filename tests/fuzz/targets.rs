//! Every parser as a plain function over bytes, with good input to begin from.
//!
//! A new parser is one line in [`TARGETS`]: its name, a function that must neither panic nor break what it asserts,
//! and seeds. Both drivers (the seeded one in `main.rs` and libFuzzer in `libfuzzer.rs`) run whatever stands there.

#[path = "../common/mod.rs"]
mod common;
mod endpoint;
mod feeds;
mod files;
mod frames;
mod logs;
#[path = "../common/pcapwrite.rs"]
mod pcapwrite;
mod talks;
mod texts;

/// A parser under fire.
pub(crate) struct Target {
    /// Its name.
    pub(crate) name: &'static str,
    /// Runs it on any bytes.
    pub(crate) run: fn(&[u8]),
    /// Good input to begin from.
    pub(crate) seeds: fn() -> Vec<Vec<u8>>,
    /// How many runs cost as much as one of the slowest: the seeded driver multiplies by it.
    #[allow(dead_code, reason = "libFuzzer has its own")]
    pub(crate) pace: u32,
}

const fn target(name: &'static str, pace: u32, run: fn(&[u8]), seeds: fn() -> Vec<Vec<u8>>) -> Target {
    Target { name, run, seeds, pace }
}

/// Every target.
pub(crate) static TARGETS: &[Target] = &[
    target("captures", 6, files::captures, files::capture_seeds),
    target("pipeline", 1, files::pipeline, files::capture_seeds),
    target("decode", 20, frames::decode, frames::decode_seeds),
    target("fragments", 20, frames::fragments, frames::fragment_seeds),
    target("sequence", 20, frames::sequence, frames::sequence_seeds),
    target("uploads", 10, frames::uploads, frames::upload_seeds),
    target("starts", 20, frames::starts, frames::sequence_seeds),
    target("parsers", 10, talks::parsers, talks::talk_seeds),
    target("datagrams", 10, talks::datagrams, talks::datagram_seeds),
    target("dns", 20, talks::dns, talks::dns_seeds),
    target("dhcp", 20, talks::dhcp, talks::dhcp_seeds),
    target("neighbours", 20, frames::neighbours, frames::neighbour_seeds),
    target("resembles", 10, texts::resembles, texts::host_seeds),
    target("address-database", 10, texts::database, texts::database_seeds),
    target("certificate", 20, talks::certificate, talks::certificate_seeds),
    target("gquic", 20, talks::gquic, talks::datagram_seeds),
    target("zeek-lines", 20, logs::zeek, logs::zeek_seeds),
    target("sheet-lines", 20, logs::sheet, logs::sheet_seeds),
    target("json-lines", 20, logs::json, logs::json_seeds),
    target("config", 4, texts::config, texts::config_seeds),
    target("settings", 10, texts::settings, texts::setting_seeds),
    target("signatures", 4, texts::signatures, texts::signature_seeds),
    target("site", 4, texts::site, texts::site_seeds),
    target("hosts", 20, texts::hosts, texts::host_seeds),
    target("quantities", 20, texts::quantities, texts::quantity_seeds),
    target("endpoint-stream", 4, endpoint::stream, endpoint::log_seeds),
    target("endpoint-records", 10, endpoint::records, endpoint::log_seeds),
    target("endpoint-tables", 4, endpoint::tables, endpoint::table_seeds),
    target("secrets", 20, feeds::secrets, feeds::secret_seeds),
    target("syslog-frames", 20, feeds::syslog, feeds::syslog_seeds),
    target("http-push", 20, feeds::http, feeds::http_seeds),
    target("context", 20, feeds::context, feeds::context_seeds),
    target("command-line", 2, texts::command_line, texts::command_line_seeds),
];

/// The bytes in pieces, each behind its length (two bytes, as much as there is).
fn pieces(mut bytes: &[u8]) -> Vec<&[u8]> {
    let mut pieces = Vec::new();
    while let Some((length, rest)) = bytes.split_first_chunk::<2>() {
        let at = usize::from(u16::from_le_bytes(*length)).min(rest.len());
        let (piece, rest) = rest.split_at(at);
        pieces.push(piece);
        bytes = rest;
    }
    pieces
}

/// The way back from [`pieces`].
fn joined(pieces: &[Vec<u8>]) -> Vec<u8> {
    pieces.iter().flat_map(|p| [&(p.len() as u16).to_le_bytes()[..], p].concat()).collect()
}
