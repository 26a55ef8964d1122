//! Alerts of other products about the same host: what an analyst would look up next, put beside the incident.
//!
//! Lines of JSON: Suricata's EVE, Zeek's notices, Defender's, Elastic's, Sentinel's and CrowdStrike's alerts, and others that
//! use the same words. Each gives a time, a title, and the host by address or name.

use super::secrets::redact;
use super::times;
use crate::detect::Map;
use crate::output::Evidence;
use crate::units::{Span, Timestamp};
use serde_json::Value;
use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::net::IpAddr;
use std::path::Path;
use std::sync::Arc;

/// Alerts kept.
const MAX_ALERTS: usize = 200_000;
/// Longest line that is read.
const MAX_LINE: u64 = 1 << 20;
/// Alerts on one incident.
pub const MAX_LISTED: usize = 10;
/// Before and after an incident.
const WITHIN: Span = Span::from_secs(86_400);
/// Hosts of one alert.
const MAX_HOSTS: usize = 8;
/// Longest title.
const MAX_TITLE: usize = 256;

/// An alert.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ContextAlert {
    /// When.
    pub at: Timestamp,
    /// The product.
    pub source: &'static str,
    /// Its title.
    pub title: Arc<str>,
    /// Its severity, in the product's words.
    pub severity: Option<Arc<str>>,
    /// Its number in the product.
    pub id: Option<Arc<str>>,
}

impl ContextAlert {
    /// For records: the alert in one line, with the time in UTC.
    pub fn evidence(&self) -> Evidence {
        let mut stamp = Vec::new();
        crate::output::stamp::Clock::default().people(self.at, &mut stamp);
        let mut text = String::from_utf8_lossy(&stamp).into_owned();
        text.push_str(&format!(" {}: {}", self.source, self.title));
        if let Some(severity) = &self.severity {
            text.push_str(&format!(", severity {severity}"));
        }
        if let Some(id) = &self.id {
            text.push_str(&format!(", {id}"));
        }
        Evidence { name: "other_alert", value: 0.0, weight: 0.0, contribution: 0.0, text }
    }
}

/// A host as an alert calls it.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
enum Name {
    Ip(IpAddr),
    Host(String),
}

/// All alerts, by host.
#[derive(Debug, Default)]
pub struct Context {
    alerts: Vec<ContextAlert>,
    by_host: Map<Name, Vec<u32>>,
    tally: Tally,
    remarks: Vec<String>,
}

/// What became of lines.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
struct Tally {
    alerts: u64,
    /// JSON of something else: EVE has flows beside its alerts.
    others: u64,
    /// No JSON.
    bad: u64,
    /// Alerts that found no room.
    refused: u64,
}

impl Tally {
    /// What people should know of a file.
    fn remark(self, path: &Path) -> Option<String> {
        let Self { alerts, others, bad, refused } = self;
        let path = path.display();
        if alerts + refused == 0 {
            let lines = others + bad;
            return Some(format!(
                "{path}: no alert of a known product in {lines} lines; products: docs/feeds.md"
            ));
        }
        if refused > 0 {
            let kept = MAX_ALERTS;
            return Some(format!("{path}: {refused} alerts left out, {kept} are kept; give fewer days"));
        }
        (bad > 0).then(|| format!("{path}: {bad} lines are no JSON and were left out"))
    }
}

/// A product: the key that tells it, and where it keeps what.
struct Product {
    name: &'static str,
    tells: &'static [&'static str],
    time: &'static [&'static str],
    title: &'static [&'static str],
    severity: &'static [&'static str],
    id: &'static [&'static str],
    hosts: &'static [&'static str],
}

/// Products, the most particular first.
static PRODUCTS: &[Product] = &[
    Product {
        name: "suricata",
        tells: &["/alert/signature"],
        time: &["/timestamp"],
        title: &["/alert/signature"],
        severity: &["/alert/severity"],
        id: &["/alert/signature_id"],
        hosts: &["/src_ip", "/dest_ip"],
    },
    Product {
        name: "defender",
        tells: &["/properties/AlertId", "/properties/Title", "/alertId"],
        time: &["/properties/Timestamp", "/alertCreationTime", "/time"],
        title: &["/properties/Title", "/title"],
        severity: &["/properties/Severity", "/severity"],
        id: &["/properties/AlertId", "/alertId"],
        hosts: &["/properties/DeviceName", "/properties/LocalIP", "/computerDnsName"],
    },
    Product {
        name: "elastic",
        tells: &["/kibana.alert.rule.name", "/kibana/alert/rule/name", "/signal/rule/name"],
        time: &["/@timestamp"],
        title: &["/kibana.alert.rule.name", "/kibana/alert/rule/name", "/signal/rule/name"],
        severity: &["/kibana.alert.severity", "/kibana/alert/severity", "/signal/rule/severity"],
        id: &["/kibana.alert.uuid", "/kibana/alert/uuid"],
        hosts: &["/host/name", "/host.name", "/host/ip", "/source/ip", "/source.ip"],
    },
    Product {
        name: "crowdstrike",
        tells: &["/event/DetectName", "/event/DetectId"],
        time: &["/metadata/eventCreationTime"],
        title: &["/event/DetectName", "/event/DetectDescription"],
        severity: &["/event/SeverityName"],
        id: &["/event/DetectId"],
        hosts: &["/event/ComputerName", "/event/LocalIP"],
    },
    Product {
        name: "sentinel",
        tells: &["/SystemAlertId", "/AlertName"],
        time: &["/TimeGenerated", "/StartTime"],
        title: &["/AlertName", "/DisplayName"],
        severity: &["/AlertSeverity"],
        id: &["/SystemAlertId"],
        hosts: &["/CompromisedEntity"],
    },
    Product {
        name: "zeek",
        tells: &["/note"],
        time: &["/ts"],
        title: &["/msg", "/note"],
        severity: &[],
        id: &["/note"],
        hosts: &["/src", "/dst", "/id.orig_h"],
    },
    Product {
        name: "ecs",
        tells: &["/rule/name", "/rule.name"],
        time: &["/@timestamp"],
        title: &["/rule/name", "/rule.name"],
        severity: &["/event/severity"],
        id: &["/rule/id"],
        hosts: &["/host/name", "/host/ip", "/source/ip"],
    },
];

/// A value at a pointer; keys may have dots in them.
fn at<'v>(value: &'v Value, pointers: &[&str]) -> Option<&'v Value> {
    pointers.iter().find_map(|p| value.pointer(p)).filter(|v| !v.is_null())
}

fn text(value: &Value) -> Option<Arc<str>> {
    match value {
        Value::String(text) if !text.is_empty() => Some(super::draft::cut(&redact(text), MAX_TITLE).into()),
        Value::Number(n) => Some(n.to_string().into()),
        _ => None,
    }
}

fn time(value: &Value) -> Option<Timestamp> {
    match value {
        Value::String(text) => times::any(text).map(|stamp| stamp.at),
        Value::Number(n) => n.as_f64().map(|secs| {
            let secs = if secs > 1e11 { secs / 1_000.0 } else { secs };
            Timestamp::from_nanos((secs.clamp(0.0, 9e9) * 1e9) as i64)
        }),
        _ => None,
    }
}

/// The hosts that values name, without domain and in lower case.
fn hosts(value: &Value, product: &Product) -> Vec<Name> {
    let mut found = Vec::new();
    let mut add = |text: &str| {
        let name = match text.parse::<IpAddr>() {
            Ok(ip) => Name::Ip(ip.to_canonical()),
            Err(_) => Name::Host(short(text)),
        };
        if found.len() < MAX_HOSTS && !found.contains(&name) {
            found.push(name);
        }
    };
    for pointer in product.hosts {
        match value.pointer(pointer) {
            Some(Value::String(text)) if !text.is_empty() => add(text),
            Some(Value::Array(list)) => list.iter().filter_map(Value::as_str).for_each(&mut add),
            _ => {}
        }
    }
    found
}

fn short(name: &str) -> String {
    name.split('.').next().unwrap_or(name).to_lowercase()
}

/// Reads one alert.
fn read(value: &Value) -> Option<(ContextAlert, Vec<Name>)> {
    // Elastic's answers wrap the document.
    let value = value.get("_source").unwrap_or(value);
    let product = PRODUCTS.iter().find(|p| at(value, p.tells).is_some())?;
    let alert = ContextAlert {
        at: time(at(value, product.time)?)?,
        source: product.name,
        title: text(at(value, product.title)?)?,
        severity: at(value, product.severity).and_then(text),
        id: at(value, product.id).and_then(text),
    };
    let hosts = hosts(value, product);
    (!hosts.is_empty()).then_some((alert, hosts))
}

impl Context {
    /// Reads a file of alerts, plain or compressed. What it held, and where it broke off, is among the remarks.
    pub fn read(&mut self, path: &Path) {
        self.tally = Tally::default();
        let broken = self.lines(path).err();
        self.remarks.extend(broken.map(|error| format!("{}: {error}", path.display())));
        self.remarks.extend(self.tally.remark(path));
        self.sort();
    }

    /// What people should know of the files.
    pub fn remarks(&self) -> &[String] {
        &self.remarks
    }

    fn lines(&mut self, path: &Path) -> io::Result<()> {
        let mut lines = BufReader::new(super::file::plain(File::open(path)?)?);
        let mut line = Vec::new();
        loop {
            line.clear();
            if lines.by_ref().take(MAX_LINE).read_until(b'\n', &mut line)? == 0 {
                break;
            }
            self.line(&String::from_utf8_lossy(&line));
        }
        Ok(())
    }

    /// Takes a line. What is no alert is counted.
    pub fn line(&mut self, line: &str) {
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') {
            return;
        }
        let Ok(value) = serde_json::from_str::<Value>(line) else {
            self.tally.bad += 1;
            return;
        };
        let Some((alert, hosts)) = read(&value) else {
            self.tally.others += 1;
            return;
        };
        if self.alerts.len() >= MAX_ALERTS {
            self.tally.refused += 1;
            return;
        }
        self.tally.alerts += 1;
        let number = self.alerts.len() as u32;
        self.alerts.push(alert);
        for host in hosts {
            self.by_host.entry(host).or_default().push(number);
        }
    }

    fn sort(&mut self) {
        let alerts = &self.alerts;
        for list in self.by_host.values_mut() {
            list.sort_by_key(|n| alerts.get(*n as usize).map(|a| a.at));
        }
    }

    /// Nothing was read.
    pub fn is_empty(&self) -> bool {
        self.alerts.is_empty()
    }

    /// Alerts about a host within a day of a time, those nearest to it; in the order of time.
    pub fn about(&self, ip: IpAddr, name: Option<&str>, now: Timestamp) -> Vec<ContextAlert> {
        let keys = [Some(Name::Ip(ip.to_canonical())), name.map(|n| Name::Host(short(n)))];
        let mut near: Vec<&ContextAlert> = Vec::new();
        for key in keys.into_iter().flatten() {
            let list = self.by_host.get(&key).map_or(&[][..], Vec::as_slice);
            let alert = |n: &u32| self.alerts.get(*n as usize);
            let from = list.partition_point(|n| alert(n).is_some_and(|a| now.since(a.at) > WITHIN));
            for found in
                list.iter().skip(from).map_while(alert).take_while(|a| a.at.since(now) <= WITHIN).take(1_000)
            {
                if !near.contains(&found) {
                    near.push(found);
                }
            }
        }
        near.sort_by_key(|a| a.at.nanos().abs_diff(now.nanos()));
        near.truncate(MAX_LISTED);
        near.sort_by(|a, b| a.at.cmp(&b.at).then(a.title.cmp(&b.title)));
        near.into_iter().cloned().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LINES: &[&str] = &[
        r#"{"timestamp":"2026-11-20T10:00:00.000000+0000","event_type":"alert","src_ip":"10.0.0.1","dest_ip":"192.0.2.1","alert":{"signature":"ET MALWARE x","severity":1,"signature_id":2000001}}"#,
        r#"{"time":"2026-11-20T10:01:00Z","category":"AdvancedHunting-AlertInfo","properties":{"Timestamp":"2026-11-20T10:00:30.1234567Z","AlertId":"da1","Title":"Suspicious archive","Severity":"Medium","DeviceName":"pc1.corp.example"}}"#,
        r#"{"_source":{"@timestamp":"2026-11-20T09:00:00Z","kibana.alert.rule.name":"Rclone","kibana.alert.severity":"high","host":{"name":"PC1","ip":["10.0.0.1","fe80::1"]}}}"#,
        r#"{"ts":1763632800.5,"note":"Scan::Port_Scan","msg":"10.0.0.9 scanned","src":"10.0.0.9"}"#,
    ];

    fn context() -> Context {
        let mut context = Context::default();
        LINES.iter().for_each(|line| context.line(line));
        context.sort();
        context
    }

    #[test]
    fn alerts_of_one_host_by_address_and_by_name() {
        let context = context();
        assert_eq!(context.tally, Tally { alerts: 4, ..Tally::default() });
        let now = times::any("2026-11-20T10:30:00Z").expect("a time").at;
        let found = context.about([10, 0, 0, 1].into(), Some("pc1"), now);
        let told: Vec<_> = found.iter().map(|a| (a.source, &*a.title)).collect();
        assert_eq!(
            told,
            [("elastic", "Rclone"), ("suricata", "ET MALWARE x"), ("defender", "Suspicious archive")]
        );
        assert_eq!(found[1].severity.as_deref(), Some("1"));
        assert!(context.about([10, 0, 0, 2].into(), None, now).is_empty());
        // A day later it is no context any more.
        let later = now.plus(Span::from_secs(2 * 86_400));
        assert!(context.about([10, 0, 0, 1].into(), Some("pc1"), later).is_empty());
    }

    #[test]
    fn at_most_ten_those_nearest() {
        let mut context = Context::default();
        for i in 0..50 {
            context.line(
                &LINES[0].replace("10:00:00", &format!("10:00:{i:02}")).replace(" x", &format!(" {i}")),
            );
        }
        context.sort();
        let now = times::any("2026-11-20T10:00:20Z").expect("a time").at;
        let found = context.about([10, 0, 0, 1].into(), None, now);
        assert_eq!(found.len(), MAX_LISTED);
        assert!(found.iter().any(|a| &*a.title == "ET MALWARE 20"));
    }

    #[test]
    fn people_are_told_what_a_file_held() {
        let path = Path::new("a.json");
        let said = |tally: Tally| tally.remark(path).unwrap_or_default();
        assert_eq!(said(Tally { alerts: 1, others: 9, ..Tally::default() }), "");
        assert!(
            said(Tally { others: 2, bad: 1, ..Tally::default() })
                .contains("no alert of a known product in 3 lines")
        );
        assert!(said(Tally { alerts: 1, bad: 1, ..Tally::default() }).contains("1 lines are no JSON"));
        assert!(said(Tally { alerts: 1, refused: 7, ..Tally::default() }).contains("7 alerts left out"));
        let mut context = Context::default();
        context.read(Path::new("/nowhere/alerts.json"));
        assert!(context.remarks()[0].starts_with("/nowhere/alerts.json: "), "{:?}", context.remarks());
    }

    #[test]
    fn what_is_no_alert_is_counted_and_secrets_go() {
        let mut context = Context::default();
        context.line("{}");
        context.line("nonsense");
        context.line(r#"{"timestamp":"x","alert":{"signature":"y"},"src_ip":"10.0.0.1"}"#);
        assert_eq!(context.tally, Tally { others: 2, bad: 1, ..Tally::default() });
        context.line(&LINES[0].replace("ET MALWARE x", "ran x --password hunter2"));
        assert_eq!(&*context.alerts[0].title, "ran x --password ***");
        crate::parse::hostile::all(LINES[1].as_bytes(), |bytes| {
            Context::default().line(&String::from_utf8_lossy(bytes));
        });
    }
}
