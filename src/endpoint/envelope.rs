//! What shippers, collectors and exports wrap around a record: lists of records, an event in a field, a line in a
//! string, the header of syslog.

use super::draft::Hint;
use super::times;
use super::tree::{Kind, View};
use crate::units::Timestamp;
use std::borrow::Cow;
use std::sync::Arc;

/// What was inside.
#[derive(Debug)]
pub(super) enum Inside<'t> {
    /// A list of records.
    Many(View<'t>),
    /// A record.
    One(View<'t>),
    /// A record as text.
    Text(Cow<'t, str>),
}

/// Lists of records: Event Hubs and diagnostic settings, Graph, portals, osquery's TLS logger, Elasticsearch.
const LISTS: &[&str] =
    &["records", "Records", "value", "results", "Results", "events", "data", "hits", "logs"];
/// A record in a field: Elasticsearch, Splunk, HTTP event collectors, exporters.
const RECORDS: &[&str] =
    &["_source", "hits", "result", "event", "log", "body", "payload", "data", "properties"];
/// A record as text in a field: Splunk, Logstash, Beats, journald, Log Analytics, container logs.
const TEXTS: &[&str] = &[
    "RawXml",
    "_raw",
    "message",
    "SyslogMessage",
    "original",
    "MESSAGE",
    "log",
    "event",
    "result",
    "raw",
    "RawData",
    "body",
    "msg",
    "Message",
    "@message",
    "line",
];
/// Who sent it.
const HOSTS: &[&str] =
    &["host", "hostname", "HostName", "Computer", "_HOSTNAME", "Hostname", "syslog_hostname"];

/// Takes one envelope off. `is_line` tells lines that are records of a known format.
pub(super) fn open(root: View<'_>, is_line: impl Fn(&str) -> bool) -> Option<Inside<'_>> {
    let is_list = |view: &View<'_>| {
        view.kind() == Kind::Array && view.children().next().is_some_and(|item| item.kind() == Kind::Object)
    };
    if let Some(list) = LISTS.iter().filter_map(|key| root.get(key)).find(is_list) {
        return Some(Inside::Many(list));
    }
    if let Some(text) =
        TEXTS.iter().filter_map(|key| root.get(key)?.given()).find(|text| is_record(text) || is_line(text))
    {
        return Some(Inside::Text(text));
    }
    let is_object = |view: &View<'_>| view.kind() == Kind::Object;
    RECORDS.iter().filter_map(|key| root.get(key)).find(is_object).map(Inside::One)
}

/// Whether a text looks like a record of its own.
fn is_record(text: &str) -> bool {
    let text = text.trim_start();
    let begins = ["{", "[{", "<Event", "<?xml", "type=", "audit(", "<Data"]
        .iter()
        .any(|start| text.starts_with(start));
    begins || header(text).is_some()
}

/// What the envelope says of the sender, added to what is known.
pub(super) fn hint(root: View<'_>, hint: &Hint) -> Option<Hint> {
    if hint.host.is_some() {
        return None;
    }
    let named = |key: &str| {
        let view = root.get(key)?;
        view.given().or_else(|| view.field("name")).or_else(|| view.field("hostname"))
    };
    let host = HOSTS.iter().find_map(|key| named(key))?;
    Some(Hint { host: Some(Arc::from(super::draft::cut(&host, 255))), ..hint.clone() })
}

/// The message behind the header of a line of syslog, with what the header says.
pub(super) fn open_line<'t>(text: &'t str, hint: &Hint) -> Option<(&'t str, Hint)> {
    let head = header(text)?;
    let at = head.message.find(['{', '<']).filter(|at| {
        let rest = head.message.get(*at..).unwrap_or("");
        rest.starts_with('{') || rest.starts_with("<Event") || rest.starts_with("<?xml")
    });
    let audit = head.message.find("type=").filter(|at| *at < 40);
    let inner = head.message.get(at.or(audit)?..)?;
    let host = head.host.map(Arc::from).or_else(|| hint.host.clone());
    Some((inner, Hint { host, ..hint.clone() }))
}

/// The header of a line of syslog.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Header<'t> {
    /// When, if it is a time that stands for itself.
    pub(super) at: Option<times::Stamp>,
    /// Text of an old time without a year.
    pub(super) old_time: Option<&'t str>,
    /// Host.
    pub(super) host: Option<&'t str>,
    /// What stands behind: the program, its tag and the message.
    pub(super) message: &'t str,
}

/// Reads the header of RFC 3164 and RFC 5424 with or without `<PRI>` and octet count, of rsyslog's files, and ESXi's.
pub(super) fn header(text: &str) -> Option<Header<'_>> {
    let rest = octets(text);
    let (pri, rest) = match rest.strip_prefix('<').and_then(|rest| rest.split_once('>')) {
        Some((pri, rest)) if pri.len() <= 3 && pri.bytes().all(|b| b.is_ascii_digit()) => (true, rest),
        _ => (false, rest),
    };
    let rest = if pri { rest.strip_prefix("1 ").unwrap_or(rest) } else { rest };
    let old = rest.get(..15).filter(|time| times::syslog(time, Timestamp::from_nanos(0)).is_some());
    let (at, old_time, rest) = if let Some(time) = old {
        (None, Some(time), rest.get(15..)?.trim_start())
    } else {
        let (time, rest) = rest.split_once(' ')?;
        let time = time.strip_suffix(':').unwrap_or(time);
        (Some(times::any(time).filter(|_| time.contains('T'))?), None, rest)
    };
    let (host, message) = match rest.split_once(' ') {
        // `host: message` and `program[1]: message` have no host.
        Some((word, message)) if !word.ends_with(':') && !word.contains(['[', '(', '=', '"', '{', '<']) => {
            (Some(word), message)
        }
        _ => (None, rest),
    };
    Some(Header { at, old_time, host: host.filter(|host| *host != "-"), message })
}

/// The frame without the count of octets that may stand before it on TCP.
fn octets(text: &str) -> &str {
    match text.split_once(' ') {
        Some((count, rest)) if count.len() <= 6 && rest.starts_with('<') && !count.is_empty() => {
            if count.bytes().all(|b| b.is_ascii_digit()) { rest } else { text }
        }
        _ => text,
    }
}
