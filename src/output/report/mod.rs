//! What a run says at its end: findings first, then who sent how much where, then totals. Pure functions from
//! [`RunSummary`] to text.
//!
//! Names come from the network and land on a terminal: what is neither ASCII nor a letter is shown as `?`.

mod incident;
mod json;
#[cfg(test)]
mod tests;

pub use self::incident::incident;
pub use self::json::json;

use super::stamp::Clock;
use super::{EndpointTotals, IncidentRecord, RunSummary, Severity, ids};
use crate::counters::LogCounters;
use crate::decode::Skip;
use crate::history::Bad;
use crate::parse::{GiveUp, NameSource};
use crate::units::{Bytes, Timestamp};
use std::fmt::Write as _;

/// Columns of a line; only a path or a command to copy may be longer.
const WIDTH: usize = 100;
/// Findings told in full.
const FINDINGS: usize = 20;
/// Lines of the table of uploads.
const UPLOADS: usize = 20;
/// Reasons told per finding.
const REASONS: usize = 5;

/// The summary as text. `colour` for terminals only.
pub fn text(summary: &RunSummary, colour: bool) -> String {
    let mut page = Page { text: String::new(), colour };
    findings(&mut page, summary);
    home(&mut page, summary);
    uploads(&mut page, summary);
    totals(&mut page, summary);
    faults(&mut page, summary);
    page.text
}

/// The incidents that are alerts, gravest first, then by bytes.
fn alerts(summary: &RunSummary) -> Vec<&IncidentRecord> {
    let mut alerts: Vec<_> = summary.incidents.iter().filter(|i| i.severity > Severity::Low).collect();
    alerts.sort_by(|a, b| (b.severity, b.up_bytes, &a.id).cmp(&(a.severity, a.up_bytes, &b.id)));
    alerts
}

fn findings(page: &mut Page, summary: &RunSummary) {
    let alerts = alerts(summary);
    match alerts.len() {
        0 if summary.stats.logs.as_ref().is_some_and(|l| l.lines == 0) => {
            page.heading("No lines of logs in the input.");
        }
        0 if summary.stats.front.frames == 0 && summary.stats.logs.is_none() => {
            page.heading("No packets in the input.");
        }
        0 => page.heading("No findings."),
        1 => page.heading("1 finding"),
        n => page.heading(&format!("{n} findings")),
    }
    for alert in alerts.iter().take(FINDINGS) {
        page.text.push('\n');
        finding(page, alert);
    }
    let more = alerts.len().saturating_sub(FINDINGS);
    if more > 0 {
        page.text.push('\n');
        page.paragraph("  ", &format!("and {more} more, in the files below"));
    }
    let low = summary.incidents.len() - alerts.len();
    if low > 0 {
        let what = if low == 1 { "1 incident" } else { &format!("{low} incidents") };
        page.text.push('\n');
        page.paragraph("  ", &format!("({what} of low severity: for the log only)"));
    }
    if let Some(first) = alerts.first() {
        read_on(page, summary, first);
    }
}

fn finding(page: &mut Page, r: &IncidentRecord) {
    let class = r.identity.class.as_deref();
    let host = match &r.identity.host {
        Some(host) => match &host.name {
            Some(name) => format!("{} ({})", host.ip, clean(name)),
            None => host.ip.to_string(),
        },
        None => r.ends.originator.to_string(),
    };
    let name = r.identity.name.as_deref().map(clean);
    let place = class.map(|c| clean(&c.service_name)).or_else(|| name.clone());
    let place = place.unwrap_or_else(|| r.ends.responder.to_string());
    let (technique, technique_name) = r.technique();
    let word = r.severity.as_str().to_ascii_uppercase();
    let code = match r.severity {
        Severity::Critical | Severity::High => "1;31",
        Severity::Medium | Severity::Low => "1;33",
    };
    let headline = format!("{host} sent {} to {place} ({technique})", Bytes(r.up_bytes));
    page.entry("  ", &word, Some(code), &headline);
    page.fact("who", &who(r));
    page.fact("what", &format!("{technique_name}{}", class.map_or(String::new(), described)));
    let level = format!("; the level is {} in {}", Bytes(r.threshold), r.window);
    page.fact("bytes", &format!("{} out, {} in{level}", Bytes(r.up_bytes), Bytes(r.down_bytes)));
    let flows = plural(u64::from(r.flows_total), "flow");
    page.fact("when", &format!("{}, {flows}", period(r.seen.0, r.seen.1)));
    for (i, reason) in r.evidence.iter().take(REASONS).enumerate() {
        page.fact(if i == 0 { "why" } else { "" }, &clean(&reason.text));
    }
    let (mut from, mut to, mut uid) = (Vec::new(), Vec::new(), Vec::new());
    ids::endpoint(r.ends.originator, r.ends.originator_port, &mut from);
    ids::endpoint(r.ends.responder, r.ends.responder_port, &mut to);
    ids::uid(r.flow, &mut uid);
    let name = name.map_or(String::new(), |n| format!(" {n}"));
    let [from, to, uid] = [from, to, uid].map(|v| String::from_utf8(v).unwrap_or_default());
    page.fact("flow", &format!("{from} > {to}{name}"));
    page.fact("id", &format!("{}, flow_id {}, uid {uid}", clean(&r.id), r.flow.0));
}

/// Process, account and how both are known.
fn who(r: &IncidentRecord) -> String {
    let Some(said) = r.identity.attribution.as_deref() else { return String::new() };
    let Some(process) = said.process.as_deref() else { return clean(&said.reason) };
    let mut text = clean(process.path.as_deref().unwrap_or(&process.name));
    if let Some(pid) = process.pid {
        let _ = write!(text, ", pid {pid}");
    }
    if let Some(user) = &process.user {
        let _ = write!(text, ", user {}", clean(user));
    }
    if let Some(parent) = process.parent.as_deref().filter(|p| !p.name.is_empty()) {
        let _ = write!(text, ", started by {}", clean(&parent.name));
    }
    let source = said.source.map_or("", crate::endpoint::SourceKind::as_str);
    let _ = write!(text, " ({} by {source}, {:.2})", said.level.as_str(), said.confidence);
    text
}

fn described(class: &super::Class) -> String {
    let mut text = format!(": {}, {}", class.category.replace('_', " "), class.role);
    if let Some(tenant) = &class.tenant {
        let _ = write!(text, ", tenant {}", clean(tenant));
    }
    if class.sanction != "unknown" {
        let _ = write!(text, ", {}", class.sanction);
    }
    text
}

/// Tells how to get from the summary to the records.
fn read_on(page: &mut Page, summary: &RunSummary, first: &IncidentRecord) {
    let written = |name: &str| summary.files.iter().find(|f| f.ends_with(name)).map(|f| f.display());
    let mut uid = Vec::new();
    ids::uid(first.flow, &mut uid);
    let uid = String::from_utf8(uid).unwrap_or_default();
    if let Some(eve) = written("eve.json") {
        let _ = write!(page.text, "\n  read on: jq 'select(.flow_id == {})' {eve}\n", first.flow.0);
    } else if let Some(conn) = written("conn.log") {
        let _ = write!(page.text, "\n  read on: grep {uid} {conn}\n");
    }
}

/// Says which side is which, where that is not plain.
fn home(page: &mut Page, summary: &RunSummary) {
    let (outside, inside, transit) = summary.flows_by_side;
    let learned = summary.learned_home.join(",");
    if outside + inside == 0 && transit > 0 {
        page.text.push('\n');
        page.heading("Nothing here touches the home network");
        page.paragraph(
            "  ",
            &format!(
                "{}, none with an end in it, and only what leaves home is an upload. Say what is home, for example \
                 --home-net {}.",
                plural(transit, "flow"),
                summary.outside_prefixes.first().map_or("203.0.113.0/24,2001:db8::/48", |p| &p.prefix)
            ),
        );
        for p in &summary.outside_prefixes {
            let flows = plural(p.monitored_flows, "flow");
            let _ =
                writeln!(page.text, "  {}  sent {}, {flows} to monitored services", p.prefix, Bytes(p.out));
        }
    } else if let Some(p) = summary.outside_prefixes.first().filter(|p| p.monitored_flows > 0) {
        page.text.push('\n');
        page.paragraph(
            "  ",
            &format!(
                "{} is not at home, sent {} and opened {} to monitored services. If it is yours, add it to --home-net.",
                p.prefix,
                Bytes(p.out),
                plural(p.monitored_flows, "flow")
            ),
        );
    }
    if !learned.is_empty() {
        page.text.push('\n');
        page.paragraph("  ", "Learned as home from how the addresses behave; to make it certain:");
        let _ = writeln!(page.text, "  --home-net {learned}");
    }
}

fn uploads(page: &mut Page, summary: &RunSummary) {
    let lines = summary.uploads.get(..summary.uploads.len().min(UPLOADS)).unwrap_or_default();
    if lines.is_empty() {
        return;
    }
    let rows: Vec<[String; 6]> = lines
        .iter()
        .map(|line| {
            let category = line.category.unwrap_or("-").replace('_', " ");
            let (out, into) = (Bytes(line.bytes.up).to_string(), Bytes(line.bytes.down).to_string());
            [line.host.to_string(), clean(&line.what), category, out, into, grouped(line.flows)]
        })
        .collect();
    page.text.push('\n');
    page.heading("Bytes out of home, by host and service");
    let titles = ["host", "service or name", "category", "out", "in", "flows"].map(String::from);
    let all: Vec<&[String; 6]> = std::iter::once(&titles).chain(&rows).collect();
    let mut widths = [0; 6];
    for row in &all {
        for (width, cell) in widths.iter_mut().zip(row.iter()) {
            *width = (*width).max(cell.chars().count());
        }
    }
    // The name takes what the others leave: two spaces stand before each of the six columns.
    let others: usize = widths.iter().sum::<usize>() - widths[1] + 12;
    widths[1] = widths[1].min(WIDTH.saturating_sub(others).max(12));
    for row in all {
        let line = row.iter().zip(widths).enumerate().fold(String::new(), |mut line, (i, (cell, width))| {
            let cell = shortened(cell, width);
            // Writing into a String cannot fail.
            let _ = if i < 3 { write!(line, "  {cell:<width$}") } else { write!(line, "  {cell:>width$}") };
            line
        });
        let _ = writeln!(page.text, "{}", line.trim_end());
    }
    let more = summary.uploads.len() - lines.len();
    if more > 0 {
        page.paragraph("  ", &format!("and {more} more with fewer bytes"));
    }
}

fn totals(page: &mut Page, summary: &RunSummary) {
    let stats = &summary.stats;
    let (front, total) = (&stats.front, stats.total());
    page.text.push('\n');
    page.heading("Totals");
    if let Some((first, last)) = summary.span {
        page.total(if stats.logs.is_some() { "logs" } else { "capture" }, &period(first, last));
    }
    match &stats.logs {
        Some(logs) => page.total("lines", &lines(logs)),
        None => {
            page.total("packets", &packets(summary));
            let skipped = Skip::ALL.iter().zip(front.skipped).map(|(s, n)| (s.as_str(), n));
            page.total("skipped", &listed(skipped).unwrap_or_else(|| "none".into()));
        }
    }
    let (outside, inside, transit) = summary.flows_by_side;
    let sides = [("home to outside", outside), ("home to home", inside), ("outside to outside", transit)];
    let sides = listed(sides).map_or(String::new(), |l| format!(": {l}"));
    let flows = stats.logs.as_ref().map_or(total.opened, |logs| logs.held.flows);
    page.total("flows", &format!("{}{sides}", grouped(flows)));
    page.total(
        "bytes",
        &format!("{} out of home, {} into it", Bytes(summary.home_bytes.up), Bytes(summary.home_bytes.down)),
    );
    if let Some(endpoint) = &summary.endpoint {
        page.total("endpoint", &endpoint_logs(endpoint));
    }
    page.total("names", &listed(names(summary)).unwrap_or_else(|| "none".into()));
    let given_up = GiveUp::ALL.iter().zip(total.given_up).map(|(g, n)| (g.as_str(), n));
    if let Some(reasons) = listed(given_up) {
        page.total("unnamed", &reasons);
    }
    let hidden = [
        ("behind a shared front with their name encrypted (ECH)", stats.detect.shared_front),
        ("of encrypted DNS", stats.detect.hidden_dns),
    ];
    if let Some(hidden) = listed(hidden) {
        page.total("hidden", &format!("flows: {hidden}"));
    }
    page.total("time", &rate(summary));
    if stats.lines + stats.dropped > 0 {
        let lost = if stats.dropped > 0 {
            format!("; {} could not be written", plural(stats.dropped, "line"))
        } else {
            String::new()
        };
        page.total("records", &format!("{}{lost}", grouped(stats.lines)));
    }
    for (i, file) in summary.files.iter().enumerate() {
        let label = if i == 0 { "files" } else { "" };
        let _ = writeln!(page.text, "  {label:<9}{}", file.display());
    }
}

/// Endpoint logs, and what came of them.
fn endpoint_logs(e: &EndpointTotals) -> String {
    let c = &e.counters;
    let odd = [("given up for want of room", c.evicted), ("clocks set anew", c.clock_steps)];
    let odd = listed(odd).map_or(String::new(), |odd| format!("; {odd}"));
    format!(
        "{} of {}; {} joined to flows by their ports{odd}",
        plural(e.events, "event"),
        plural(c.hosts, "host"),
        plural(c.joined, "connection")
    )
}

/// Lines of logs, and what was odd about them.
fn lines(logs: &LogCounters) -> String {
    let held = &logs.held;
    let odd = [
        ("told late", held.late),
        ("told early for want of room", held.hurried),
        ("names without a connection", held.unclaimed),
    ];
    let bad = Bad::ALL.iter().zip(logs.bad).map(|(bad, n)| (bad.as_str(), n));
    let bad = listed(bad).map_or(String::new(), |bad| format!("; not usable: {bad}"));
    let odd = listed(odd).map_or(String::new(), |odd| format!("; {odd}"));
    format!("{} used{odd}{bad}", grouped(logs.lines))
}

fn packets(summary: &RunSummary) -> String {
    let (front, total) = (&summary.stats.front, summary.stats.total());
    let mut text = format!(
        "{}, {}; {} decoded",
        plural(front.frames, "frame"),
        Bytes(front.bytes),
        grouped(front.decoded)
    );
    let odd = [
        ("fragments without their first", front.fragments_held),
        ("dropped by the kernel", front.kernel_drops),
        ("seen twice", total.duplicates),
        ("with a time that goes back", front.time_back),
        ("jumps in time", front.time_jump),
        ("flows closed early for want of room", total.evicted),
    ];
    if let Some(odd) = listed(odd) {
        let _ = write!(text, "; {odd}");
    }
    text
}

fn rate(summary: &RunSummary) -> String {
    let secs = summary.wall_secs;
    if secs.is_nan() || secs <= 0.0 {
        return "-".into();
    }
    let front = &summary.stats.front;
    let per_sec = |n: u64| (n as f64 / secs) as u64;
    if let Some(logs) = &summary.stats.logs {
        return format!("{secs:.2} s, {} lines/s", grouped(per_sec(logs.lines)));
    }
    format!("{secs:.2} s, {} packets/s, {}/s", grouped(per_sec(front.frames)), Bytes(per_sec(front.bytes)))
}

/// Names by source: as the detector has found them, else as the workers have.
fn names(summary: &RunSummary) -> Vec<(&'static str, u64)> {
    let late = &summary.stats.detect.names;
    if !late.is_empty() {
        return late.iter().map(|(source, n)| (*source, *n)).collect();
    }
    let early = summary.stats.total().names;
    NameSource::ALL.iter().zip(early).map(|(s, n)| (s.as_str(), n)).collect()
}

fn faults(page: &mut Page, summary: &RunSummary) {
    if summary.faults.is_empty() {
        return;
    }
    page.text.push('\n');
    page.heading("Faults in the input (all that was readable has been used)");
    for fault in &summary.faults {
        page.paragraph("  ", &clean(fault));
    }
}

/// Text that grows, with the few shapes that a summary needs.
struct Page {
    text: String,
    colour: bool,
}

impl Page {
    fn coloured(&self, text: &str, code: &str) -> String {
        if self.colour { format!("\x1b[{code}m{text}\x1b[0m") } else { text.to_owned() }
    }

    fn heading(&mut self, text: &str) {
        let text = self.coloured(text, "1");
        let _ = writeln!(self.text, "{text}");
    }

    /// A word of up to eight letters and, beside it, text that is folded.
    fn entry(&mut self, margin: &str, word: &str, code: Option<&str>, text: &str) {
        let indent = margin.len() + 10;
        for (i, line) in folded(text, WIDTH - indent).iter().enumerate() {
            let padded = format!("{:<10}", if i == 0 { word } else { "" });
            let padded = match code {
                Some(code) if i == 0 => self.coloured(&padded, code),
                _ => padded,
            };
            let _ = writeln!(self.text, "{margin}{padded}{line}");
        }
    }

    /// A line of a finding; nothing where there is nothing to say.
    fn fact(&mut self, word: &str, text: &str) {
        let indent = 20;
        for (i, line) in folded(text, WIDTH - indent).iter().enumerate() {
            let _ = writeln!(self.text, "            {:<8}{line}", if i == 0 { word } else { "" });
        }
    }

    fn total(&mut self, word: &str, text: &str) {
        let indent = 11;
        for (i, line) in folded(text, WIDTH - indent).iter().enumerate() {
            let _ = writeln!(self.text, "  {:<9}{line}", if i == 0 { word } else { "" });
        }
    }

    fn paragraph(&mut self, margin: &str, text: &str) {
        for line in folded(text, WIDTH - margin.len()) {
            let _ = writeln!(self.text, "{margin}{line}");
        }
    }
}

/// Text in lines of at most `width` characters, broken between words; a longer word is cut.
fn folded(text: &str, width: usize) -> Vec<String> {
    let mut lines = vec![String::new()];
    let mut used = 0;
    for word in text.split_whitespace() {
        let mut word: Vec<char> = word.chars().collect();
        if used > 0 && used + 1 + word.len() > width {
            lines.push(String::new());
            used = 0;
        }
        while word.len() > width {
            let rest = word.split_off(width);
            lines.extend([word.iter().collect(), String::new()]);
            word = rest;
        }
        if let Some(line) = lines.last_mut() {
            if used > 0 {
                line.push(' ');
                used += 1;
            }
            line.extend(&word);
            used += word.len();
        }
    }
    lines.retain(|l| !l.is_empty());
    lines
}

fn shortened(text: &str, width: usize) -> String {
    if text.chars().count() <= width {
        return text.to_owned();
    }
    let kept: String = text.chars().take(width.saturating_sub(1)).collect();
    kept + "~"
}

/// What a peer has sent must not steer the terminal.
pub fn clean(text: &str) -> String {
    let safe = |c: char| c == ' ' || c.is_ascii_graphic() || c.is_alphanumeric();
    text.chars().map(|c| if safe(c) { c } else { '?' }).collect()
}

/// `8 arp, 2 icmp`: what is not zero, largest first; `None` when all is.
fn listed<'a>(counts: impl IntoIterator<Item = (&'a str, u64)>) -> Option<String> {
    let mut counts: Vec<_> = counts.into_iter().filter(|c| c.1 > 0).collect();
    counts.sort_by_key(|c| std::cmp::Reverse(c.1));
    let parts: Vec<_> = counts.iter().map(|(word, n)| format!("{} {word}", grouped(*n))).collect();
    (!parts.is_empty()).then(|| parts.join(", "))
}

fn plural(n: u64, word: &str) -> String {
    format!("{} {word}{}", grouped(n), if n == 1 { "" } else { "s" })
}

/// `1,234,567`.
fn grouped(n: u64) -> String {
    let digits = n.to_string();
    let mut out = String::with_capacity(digits.len() + digits.len() / 3);
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

/// `2026-01-31 23:59:55 to 23:59:59 UTC (4s)`.
fn period(first: Timestamp, last: Timestamp) -> String {
    let mut clock = Clock::default();
    let mut written = |at| {
        let mut out = Vec::new();
        clock.people(at, &mut out);
        String::from_utf8(out).unwrap_or_default()
    };
    let (from, to) = (written(first), written(last));
    let same_day = from.get(..10) == to.get(..10);
    let to = if same_day { to.get(11..).unwrap_or_default() } else { &to };
    format!("{from} to {to} UTC ({})", last.since(first))
}
