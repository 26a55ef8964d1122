//! Real captures and logs of the same machines, held against the pairs that were made by ports alone. Skips what is not
//! on this machine.

use egret::attribute::{Attribution, JoinConfig, Joiner, Level, Seen};
use egret::endpoint::{EndpointEvent, read_file};
use egret::observe::{Ends, FlowId};
use egret::units::{Direction, Timestamp};
use serde_json::Value;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;

fn shared(name: &str) -> Option<PathBuf> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/data/pairs").join(name);
    path.exists().then_some(path).or_else(|| {
        eprintln!("skipped: {name} is not on this machine");
        None
    })
}

/// A flow of the answers.
struct Flow {
    ends: Ends,
    span: (Timestamp, Timestamp),
    /// Base names, lower case, without `.exe`, of the programs that are right.
    programs: BTreeSet<String>,
}

fn flows(pair: &Path) -> Vec<Flow> {
    let text = std::fs::read_to_string(pair.join("expected_join.json")).expect("answers");
    let answers: Value = serde_json::from_str(&text).expect("JSON");
    let time = |v: &Value| Timestamp::from_nanos((v.as_f64().expect("a time") * 1e9) as i64);
    let flow = |f: &Value| {
        let key = &f["flow"];
        let ip = |i: usize| key[i].as_str().expect("address").parse().expect("address");
        let port = |i: usize| key[i].as_u64().expect("port") as u16;
        let images = f["images"].as_array().expect("images");
        Flow {
            ends: Ends {
                originator: ip(1),
                responder: ip(3),
                originator_port: port(2),
                responder_port: port(4),
                transport: if key[0] == "tcp" {
                    egret::decode::Transport::Tcp
                } else {
                    egret::decode::Transport::Udp
                },
            },
            span: (time(&f["first"]), time(&f["last"])),
            programs: images.iter().filter_map(Value::as_str).map(egret::endpoint::Proc::base_name).collect(),
        }
    };
    answers["flows"].as_array().expect("flows").iter().map(flow).collect()
}

fn events(logs: &[PathBuf]) -> Vec<EndpointEvent> {
    logs.iter().flat_map(|log| read_file(log, None).expect("opens")).collect()
}

/// What was said of flows, with whether it was right; `None`: nothing was said.
#[derive(Default)]
struct Score {
    /// Flows that the log has an event of.
    covered: usize,
    exact: usize,
    right: usize,
    wrong_and_sure: usize,
    brier: f64,
}

/// Reads all events, then all flows; asks at the end.
fn score(events: &[EndpointEvent], flows: &[Flow], wanted: impl Fn(&Flow) -> bool) -> Score {
    let mut joiner = Joiner::new(JoinConfig::default());
    let first = flows.iter().map(|f| f.span.0).min().unwrap_or_default();
    for event in events {
        joiner.event(event, first);
    }
    let last = flows.iter().map(|f| f.span.1).max().unwrap_or_default();
    for (i, flow) in flows.iter().enumerate() {
        let seen = Seen {
            flow: FlowId(i as u64),
            ends: flow.ends,
            side: Direction::Up,
            span: flow.span,
            opened: true,
            name: None,
            ended: true,
        };
        joiner.flow(&seen, first);
    }
    let mut score = Score::default();
    for (i, flow) in flows.iter().enumerate().filter(|(_, f)| !f.programs.is_empty() && wanted(f)) {
        let said: Arc<Attribution> = joiner.attribute(FlowId(i as u64), last).expect("known");
        score.covered += 1;
        let Some(process) = &said.process else {
            // Nothing is said: no confidence, and it was not right.
            continue;
        };
        let right = flow.programs.contains(&*process.name);
        if !right || said.level < Level::L1c {
            println!("{:?}: {} {:?} by {}", flow.ends, said.level.as_str(), flow.programs, process.name);
        }
        score.exact += usize::from(right && said.level >= Level::L1c);
        score.right += usize::from(right);
        score.wrong_and_sure += usize::from(!right && said.confidence >= 0.9);
        score.brier += (f64::from(said.confidence) - f64::from(u8::from(right))).powi(2);
    }
    score
}

fn lsass() -> Option<(Vec<EndpointEvent>, Vec<Flow>)> {
    let pair = shared("lsass-02-windows")?;
    Some((events(&[pair.join("windows-events.jsonl")]), flows(&pair)))
}

/// The events with their clocks set by so many seconds.
fn shifted(events: &[EndpointEvent], secs: i64) -> Vec<EndpointEvent> {
    let mut all = events.to_vec();
    for event in &mut all {
        let common = match event {
            EndpointEvent::Process(e) => &mut e.common,
            EndpointEvent::Connect(e) => &mut e.common,
            EndpointEvent::File(e) => &mut e.common,
            EndpointEvent::Dns(e) => &mut e.common,
            EndpointEvent::Address(e) => &mut e.common,
        };
        common.at = Timestamp::from_nanos(common.at.nanos() + secs * 1_000_000_000);
    }
    all
}

#[test]
fn windows_with_ports() {
    let Some((events, flows)) = lsass() else { return };
    let score = score(&events, &flows, |_| true);
    assert!(score.covered >= 116 && score.exact * 100 >= score.covered * 99, "{}", score.exact);
    assert_eq!(score.wrong_and_sure, 0);
}

#[test]
fn clocks_hours_and_days_off_change_nothing_for_tcp() {
    let Some((events, flows)) = lsass() else { return };
    for secs in [-500_107, -25_200, 3_600, 41_656, 2_500_000] {
        let score =
            score(&shifted(&events, secs), &flows, |f| f.ends.transport == egret::decode::Transport::Tcp);
        assert_eq!((score.exact, score.wrong_and_sure), (score.covered, 0), "{secs} s");
    }
}

/// The log without the ports of the host's own end, its clocks set by so many seconds.
fn without_ports(secs: i64) {
    let Some((events, flows)) = lsass() else { return };
    let mut events = shifted(&events, secs);
    for event in &mut events {
        if let EndpointEvent::Connect(e) = event {
            e.local_port = None;
        }
    }
    let tcp = |f: &Flow| {
        f.ends.transport == egret::decode::Transport::Tcp && f.ends.originator == flows[0].ends.originator
    };
    let score = score(&events, &flows, tcp);
    let brier = score.brier / score.covered as f64;
    println!("without ports, {secs} s off: {} of {} right, Brier {brier:.3}", score.right, score.covered);
    assert!(score.right * 100 >= score.covered * 95, "{} of {}", score.right, score.covered);
    assert!(brier <= 0.05, "{brier}");
    assert_eq!(score.wrong_and_sure, 0);
}

#[test]
fn windows_without_ports_whatever_its_clock() {
    [0, -500_107, -41_656, 176, 2_500_000].into_iter().for_each(without_ports);
}

#[test]
fn linux_with_ports() {
    let Some(pair) = shared("log4shell-linux") else { return };
    let logs = ["sysmon-for-linux.syslog.jsonl", "auoms-auditd.syslog.jsonl"].map(|l| pair.join(l));
    let flows = flows(&pair);
    let score = score(&events(&logs), &flows, |_| true);
    assert_eq!((score.covered, score.exact, score.wrong_and_sure), (3, 3, 0));
}
