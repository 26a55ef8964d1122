//! Every case of `pcaps/` through the whole pipeline: held against what the programs said they sent (`truth.json`,
//! which knows nothing of Egret) and against the records that were found right before (`expected/`).
//!
//! `WRITE_GOLDEN=1 cargo test --test golden` writes `expected/` anew; read the difference before you commit it.

mod common;

use common::pipeline::{Case, Ran, cases, through};
use egret::capture::Replay;
use serde_json::Value;
use std::collections::BTreeMap;

/// Cases that Egret gets wrong, and why. A case that has come right must go from here.
const KNOWN: [(&str, &str); 0] = [];

/// Logs that are kept in `expected/`.
const KEPT: [&str; 4] = ["eve.json", "egret.json", "conn.log", "notice.log"];

fn run(case: &Case) -> Ran {
    through(case.config(), "eve,zeek-tsv", &mut Replay::open(&case.files))
}

#[test]
fn captures_say_what_the_programs_sent() {
    let mut told = Vec::new();
    for case in cases() {
        let text = std::fs::read_to_string(case.folder.join("truth.json")).expect("truth");
        let truth: Value = serde_json::from_str(&text).expect("JSON");
        let ran = run(&case);
        let mut faults = flow_faults(&truth, &ran);
        faults.extend(alert_faults(&truth, &ran));
        faults.extend(ran.summary.faults.iter().cloned());
        let known = KNOWN.iter().find(|(name, _)| *name == case.name);
        match known {
            Some((name, _)) if faults.is_empty() => {
                told.push(format!("{name} has come right: strike it out"));
            }
            Some((name, why)) => println!("{name}: known: {why}"),
            None => told.extend(faults.iter().map(|fault| format!("{}: {fault}", case.name))),
        }
    }
    assert!(told.is_empty(), "\n{}", told.join("\n"));
}

#[test]
fn records_are_those_that_were_found_right() {
    let write = std::env::var_os("WRITE_GOLDEN").is_some();
    let mut told = Vec::new();
    for case in cases() {
        let ran = run(&case);
        let folder = case.folder.join("expected");
        for name in KEPT {
            let text = stable(ran.logs.get(name).map_or("", String::as_str));
            let path = folder.join(name);
            if write && !text.is_empty() {
                std::fs::create_dir_all(&folder).expect("folder");
                std::fs::write(&path, &text).expect("written");
            }
            let wanted = std::fs::read_to_string(&path).unwrap_or_default();
            told.extend(first_difference(&wanted, &text).map(|d| format!("{}/{name} {d}", case.name)));
        }
    }
    assert!(told.is_empty(), "\n{}\nWRITE_GOLDEN=1 writes them anew", told.join("\n"));
}

/// Flows that the programs know of against the flow records.
fn flow_faults(truth: &Value, ran: &Ran) -> Vec<String> {
    let records = ran.records("flow");
    let mut faults = Vec::new();
    for flow in truth["flows"].as_array().into_iter().flatten() {
        let found: Vec<&Value> = records.iter().filter(|r| is_of(r, flow)).collect();
        let label = format!("{}:{} to {}", flow["client"], flow["client_port"], flow["name"]);
        if found.is_empty() || (flow["client_port"].is_u64() && found.len() != 1) {
            faults.push(format!("{label}: {} flow records", found.len()));
            continue;
        }
        let one_way = flow["one_way"] == true;
        for (key, way) in [("upload_bytes", "toserver"), ("download_bytes", "toclient")] {
            let bytes = sum(&found, &format!("payload_{way}")) + sum(&found, &format!("gap_{way}"));
            let (least, most) = bounds(flow, key);
            // What the tap did not see at all is only told where acknowledgements prove it.
            let unseen = one_way && way == "toclient";
            if !unseen && !(least..=most).contains(&bytes) {
                faults.push(format!("{label}: {key} {bytes}, should be in {least}..={most}"));
            }
        }
        faults.extend(
            found.iter().flat_map(|record| facts_faults(record, flow)).map(|f| format!("{label}: {f}")),
        );
    }
    faults
}

/// The record is of this flow of the truth.
fn is_of(record: &Value, flow: &Value) -> bool {
    record["src_ip"] == flow["client"]
        && record["dest_ip"] == flow["server"]
        && record["dest_port"] == flow["port"]
        && record["proto"]
            .as_str()
            .unwrap_or_default()
            .eq_ignore_ascii_case(flow["proto"].as_str().unwrap_or("?"))
        && (flow["client_port"].is_null() || record["src_port"] == flow["client_port"])
}

/// Name, service, marks.
fn facts_faults(record: &Value, flow: &Value) -> Vec<String> {
    let mut faults = Vec::new();
    let egret = &record["egret"];
    let mut same = |what: &str, found: &Value, wanted: &Value| {
        if found != wanted {
            faults.push(format!("{what} {found}, should be {wanted}"));
        }
    };
    let midstream = flow["midstream"] == true;
    // A capture that begins in the middle holds no name: the truth's comes from elsewhere.
    if !midstream {
        same("name", &egret["name"], if flow["sni"].is_null() { &flow["name"] } else { &flow["sni"] });
    }
    // Nor is the service that of the truth where the hello names another than was meant (fronting).
    if !midstream && (flow["sni"].is_null() || flow["sni"] == flow["name"]) {
        same("service", &egret["service"], &flow["service"]);
    }
    same("midstream", &egret["midstream"], &Value::Bool(midstream));
    same("one_way", &egret["one_way"], &Value::Bool(flow["one_way"] == true));
    if flow["open"] == true {
        same("reason", &record["flow"]["reason"], &Value::from("shutdown"));
        same("state", &record["flow"]["state"], &Value::from("established"));
    }
    faults
}

/// Bytes by the programs, and that with what TLS, HTTP and QUIC put around them.
fn bounds(flow: &Value, key: &str) -> (u64, u64) {
    let number = |key: &str| flow[key].as_u64().unwrap_or(0);
    let share = if flow["proto"] == "tcp" { 25 } else { 8 };
    let more = (number("upload_bytes") + number("download_bytes")) / share + 8_000;
    (number(key), number(key) + more)
}

fn sum(records: &[&Value], key: &str) -> u64 {
    records.iter().map(|record| record["egret"][key].as_u64().unwrap_or(0)).sum()
}

/// Alerts by service and host: exactly those of the truth, with about its bytes.
fn alert_faults(truth: &Value, ran: &Ran) -> Vec<String> {
    let mut found = BTreeMap::new();
    let alerts = ran.records("alert");
    for record in alerts.iter().chain(&ran.records("incident")) {
        let egret = &record["egret"];
        let key = (egret["service"].to_string(), egret["host"]["ip"].to_string());
        let entry = found.entry(key).or_insert((0u32, 0u64));
        entry.0 += u32::from(record["event_type"] == "alert" && egret["incident"]["phase"] == "open");
        entry.1 = entry.1.max(egret["incident"]["up_bytes"].as_u64().unwrap_or(0));
    }
    let mut faults = Vec::new();
    for alert in truth["alerts"].as_array().into_iter().flatten() {
        let key = (alert["service"].to_string(), alert["host"].to_string());
        let Some((1, bytes)) = found.remove(&key) else {
            faults.push(format!("one alert wanted for {key:?}"));
            continue;
        };
        let flows = truth["flows"].as_array().into_iter().flatten();
        let sent = flows.filter(|f| f["service"] == alert["service"] && f["client"] == alert["host"]);
        let sent = sent.filter(|f| f["upload_bytes"].as_u64() > f["download_bytes"].as_u64());
        let (least, most) =
            sent.map(|f| bounds(f, "upload_bytes")).fold((0, 0), |a, b| (a.0 + b.0, a.1 + b.1));
        if !(least..=most).contains(&bytes) {
            faults.push(format!("{key:?}: {bytes} bytes alerted, should be in {least}..={most}"));
        }
    }
    faults
        .extend(found.iter().map(|(key, n)| format!("{key:?}: {n:?} (alerts, bytes) that nobody expected")));
    faults
}

/// The lines that are compared: without DNS (many, and nothing to judge by) and without what a release changes.
fn stable(text: &str) -> String {
    let mut out = String::new();
    for line in text.lines().filter(|line| !line.contains(r#""event_type":"dns""#)) {
        let line = blank(&blank(line, r#""version":""#, '"'), r#""signatures_version":""#, '"');
        // Which worker had what, and how often it told, is no result.
        out.push_str(line.split(r#","workers":["#).next().unwrap_or_default());
        out.push('\n');
    }
    out
}

/// The text with everything between `from` and the next `to` left out.
fn blank(line: &str, from: &str, to: char) -> String {
    let mut rest = line;
    let mut out = String::new();
    while let Some((before, after)) = rest.split_once(from) {
        out.push_str(before);
        out.push_str(from);
        rest = after.find(to).and_then(|end| after.get(end..)).unwrap_or_default();
    }
    out + rest
}

/// The first line that is not the same, from a little before the place where it parts.
fn first_difference(wanted: &str, found: &str) -> Option<String> {
    let (mut a, mut b) = (wanted.lines(), found.lines());
    for number in 1.. {
        let (wanted, found) = (a.next(), b.next());
        if wanted != found {
            let (wanted, found) = (wanted.unwrap_or("-"), found.unwrap_or("-"));
            let same = wanted.bytes().zip(found.bytes()).take_while(|(a, b)| a == b).count();
            let part = |line: &str| {
                let bytes = line.as_bytes().get(same.saturating_sub(60)..).unwrap_or_default();
                String::from_utf8_lossy(bytes.get(..200).unwrap_or(bytes)).into_owned()
            };
            return Some(format!("line {number}:\n  was …{}\n  is  …{}", part(wanted), part(found)));
        }
        wanted?;
    }
    None
}
