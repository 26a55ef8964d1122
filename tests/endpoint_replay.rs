//! A capture with an endpoint log beside it: every record names the program, whatever the clock of the log says, and the
//! records are the same for any number of workers. The logs are made from what the captures are known to hold.

mod common;

use common::pipeline::{Recut, cases, frames, through};
use egret::config::{Config, EndpointInput};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::path::PathBuf;

/// A case with its flows as the expected records have them.
fn flows(case: &std::path::Path) -> Vec<Value> {
    let text = std::fs::read_to_string(case.join("expected/eve.json")).expect("expected records");
    // The record of the counters is cut short there.
    let records = text.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    records.filter(|r| r["event_type"] == "flow").collect()
}

fn program(flow: &Value) -> String {
    format!("prog{}", flow["src_port"].as_u64().unwrap_or(0) % 5)
}

/// An ECS log of the flows, by a clock that is `ahead` seconds ahead.
fn log(flows: &[Value], ahead: i64) -> String {
    let mut log = String::new();
    for flow in flows {
        let start: jiff::Timestamp =
            flow["flow"]["start"].as_str().expect("a start").parse().expect("a time");
        let at = start + jiff::SignedDuration::from_secs(ahead);
        let program = program(flow);
        let host = flow["src_ip"].as_str().expect("address");
        let event = json!({
            "@timestamp": at.to_string(),
            "event": {"category": ["network"], "action": "connection_attempted", "kind": "event"},
            "host": {"id": format!("id-{host}"), "name": format!("pc-{host}")},
            "user": {"name": "ann"},
            "process": {"entity_id": format!("{host}-{program}"), "pid": 4711, "name": program,
                "executable": format!("/usr/bin/{program}"), "command_line": format!("{program} --send")},
            "source": {"ip": host, "port": flow["src_port"]},
            "destination": {"ip": flow["dest_ip"], "port": flow["dest_port"]},
            "network": {"transport": flow["proto"].as_str().expect("transport").to_lowercase(),
                "direction": "egress"},
        });
        log.push_str(&event.to_string());
        log.push('\n');
    }
    log
}

fn run(case: &std::path::Path, logs: &[PathBuf], workers: usize) -> BTreeMap<String, String> {
    let mut config = Config { workers, ..Config::default() };
    config.endpoint.logs =
        logs.iter().map(|path| EndpointInput { format: None, path: path.clone() }).collect();
    let frames = frames(&[case.join("traffic.pcap.gz")]);
    let logs = through(config, "eve", &mut Recut::new(&frames, 257)).logs;
    // What each worker did is of that worker.
    let plain = |text: &str| {
        text.lines().filter(|l| !l.contains(r#""event_type":"stats""#)).collect::<Vec<_>>().join("\n")
    };
    logs.into_iter().map(|(name, text)| (name, plain(&text))).collect()
}

#[test]
fn programs_on_every_record() {
    let dir = std::env::temp_dir().join(format!("egret-endpoint-{}", std::process::id()));
    std::fs::create_dir_all(&dir).expect("a directory");
    let mut alerts = 0;
    for case in cases().iter().map(|c| &c.folder).filter(|c| c.join("traffic.pcap.gz").exists()).take(10) {
        let flows = flows(case);
        for ahead in [0, -25_200, 500_107] {
            let path = dir.join("events.jsonl");
            std::fs::write(&path, log(&flows, ahead)).expect("a log");
            let logs = [path];
            let one = run(case, &logs, 1);
            assert_eq!(one, run(case, &logs, 3), "{}: records differ", case.display());
            let records = one["eve.json"].lines().map(|l| serde_json::from_str::<Value>(l).expect("JSON"));
            for record in records {
                let kind = record["event_type"].as_str().unwrap_or_default();
                let tcp = record["proto"] == "TCP";
                if tcp && matches!(kind, "flow" | "alert") {
                    let said = &record["egret"];
                    let wanted = program(&record);
                    assert_eq!(
                        said["process"]["name"],
                        wanted.as_str(),
                        "{} {ahead}: {record}",
                        case.display()
                    );
                    alerts += usize::from(kind == "alert");
                }
            }
        }
    }
    std::fs::remove_dir_all(&dir).expect("removed");
    assert!(alerts > 0, "no case has an alert");
}

/// A log whose clock is right does not keep another, which is days ahead, from being read.
#[test]
fn logs_of_other_clocks_stand_beside_each_other() {
    let dir = std::env::temp_dir().join(format!("egret-endpoint-two-{}", std::process::id()));
    std::fs::create_dir_all(&dir).expect("a directory");
    let mut several = 0;
    for case in cases().iter().map(|c| &c.folder).filter(|c| c.join("traffic.pcap.gz").exists()) {
        let flows = flows(case);
        let tcp = |f: &Value| f["proto"] == "TCP";
        let hosts: std::collections::BTreeSet<String> =
            flows.iter().filter(|f| tcp(f)).filter_map(|f| f["src_ip"].as_str().map(str::to_owned)).collect();
        if hosts.len() < 2 {
            continue;
        }
        several += 1;
        let first = hosts.first().expect("a host");
        let (right, ahead): (Vec<Value>, Vec<Value>) =
            flows.iter().cloned().partition(|f| f["src_ip"] == first.as_str());
        let logs = [dir.join("right.jsonl"), dir.join("ahead.jsonl")];
        std::fs::write(&logs[0], log(&right, 0)).expect("a log");
        std::fs::write(&logs[1], log(&ahead, 500_107)).expect("a log");
        let records = run(case, &logs, 1);
        for record in records["eve.json"].lines().map(|l| serde_json::from_str::<Value>(l).expect("JSON")) {
            if record["event_type"] == "flow" && tcp(&record) {
                let said = record["egret"]["process"]["name"].as_str();
                assert_eq!(said, Some(&*program(&record)), "{}: {record}", case.display());
            }
        }
    }
    std::fs::remove_dir_all(&dir).expect("removed");
    assert!(several > 0, "no case has two hosts");
}
