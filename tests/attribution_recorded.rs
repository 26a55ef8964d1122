//! Programs that really ran (`tests/pairs/record.py`), as six products would have logged them: every flow of the capture
//! is the right program's, through the whole pipeline; and with everything that goes wrong with logs put into them, nobody
//! is sure of a wrong one. `cargo test --test attribution_recorded -- --nocapture` prints the table of docs/attribution.md.

mod common;

use common::pipeline::{Recut, frames, small, through};
use common::play::{Dice, Made, at, play};
use egret::attribute::Level;
use egret::config::{Config, EndpointInput};
use egret::decode::Transport;
use egret::endpoint::{
    AddressEvent, AddressKind, ClockClass, Common, ConnectEvent, EndpointEvent, HostRef, Proc, SourceKind,
    read_file,
};
use egret::observe::{Ends, FlowId};
use serde_json::Value;
use std::collections::BTreeMap;
use std::io::Read;
use std::net::IpAddr;
use std::path::{Path, PathBuf};

/// Logs, and whether they have the ports of the host's own end.
const LOGS: [(&str, bool); 6] = [
    ("sysmon.jsonl", true),
    ("defender.jsonl", true),
    ("ecs.ndjson", true),
    ("tetragon.jsonl", true),
    ("auditd.log", false),
    ("osquery.jsonl", false),
];

fn file(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/pairs").join(name)
}

/// Who opened which connection.
type Truth = BTreeMap<(IpAddr, u16, IpAddr, u16), String>;

fn truth() -> Truth {
    let (mut text, packed) = (String::new(), std::fs::File::open(file("truth.jsonl.gz")).expect("there"));
    flate2::read::GzDecoder::new(packed).read_to_string(&mut text).expect("text");
    let facts = text.lines().map(|line| serde_json::from_str::<Value>(line).expect("JSON"));
    let ip = |v: &Value| v.as_str().and_then(|ip| ip.parse().ok()).expect("an address");
    let port = |v: &Value| v.as_u64().expect("a port") as u16;
    facts
        .filter(|f| f["fact"] == "connect")
        .map(|f| {
            let ends = (ip(&f["local"]), port(&f["local_port"]), ip(&f["remote"]), port(&f["remote_port"]));
            (ends, Proc::base_name(f["image"].as_str().expect("an image")))
        })
        .collect()
}

/// The flows of the capture as records, with an endpoint log beside it or without.
fn records(log: Option<&str>) -> Vec<Value> {
    let mut config = small(Config { workers: 1, ..Config::default() });
    if let Some(log) = log {
        config.endpoint.logs = vec![EndpointInput { format: None, path: file(log) }];
    }
    let frames = frames(&[file("traffic.pcap.gz")]);
    let ran = through(config, "eve", &mut Recut::new(&frames, 257));
    let ended = |r: &Value| r["event_type"] == "flow";
    let lines = ran.logs["eve.json"].lines();
    lines.filter_map(|line| serde_json::from_str::<Value>(line).ok()).filter(ended).collect()
}

fn ends(record: &Value) -> (IpAddr, u16, IpAddr, u16) {
    let ip = |name: &str| record[name].as_str().and_then(|ip| ip.parse().ok()).expect("an address");
    let port = |name: &str| record[name].as_u64().expect("a port") as u16;
    (ip("src_ip"), port("src_port"), ip("dest_ip"), port("dest_port"))
}

#[test]
fn six_formats_name_the_programs() {
    let truth = truth();
    for (log, ports) in LOGS {
        let (mut flows, mut right, mut exact, mut brier) = (0u32, 0u32, 0u32, 0.0);
        for record in records(Some(&format!("{log}.gz"))) {
            let wanted = &truth[&ends(&record)];
            let said = &record["egret"];
            let fits = said["process"]["name"] == wanted.as_str();
            let sure = said["attribution"]["confidence"].as_f64().unwrap_or(0.0);
            assert!(fits || sure < 0.9, "{log}: {wanted}: {record}");
            (flows, right) = (flows + 1, right + u32::from(fits));
            exact += u32::from(fits && said["attribution"]["level"] == "L1");
            brier += (sure - f64::from(u8::from(fits))).powi(2);
        }
        let brier = brier / f64::from(flows);
        println!("{log}: {flows} flows, {right} right, {exact} at L1, Brier {brier:.3}");
        assert_eq!(flows as usize, truth.len());
        assert!(right * 100 >= flows * 95 && brier <= 0.05, "{log}");
        assert!(!ports || exact == flows, "{log}");
    }
}

/// What goes wrong with a log.
#[derive(Clone, Copy, Default)]
struct Harm {
    name: &'static str,
    /// Clocks are so many seconds off, drift by so many milliseconds a minute, and step once.
    skew: f64,
    drift_ms: f64,
    step: f64,
    coarse: bool,
    loss: f64,
    delay: f64,
    twice: bool,
    /// Every pid of a host is one of seven, and few ports come again and again.
    reuse: bool,
    nat: bool,
    swap: bool,
    roaming: bool,
}

const HARMS: [Harm; 13] = {
    const H: Harm = Harm {
        name: "as recorded",
        skew: 0.0,
        drift_ms: 0.0,
        step: 0.0,
        coarse: false,
        loss: 0.0,
        delay: 0.0,
        twice: false,
        reuse: false,
        nat: false,
        swap: false,
        roaming: false,
    };
    [
        H,
        Harm { name: "clocks 5.6 days off", skew: 483_275.0, ..H },
        Harm { name: "drift of 0.9 s a minute", drift_ms: 900.0, ..H },
        Harm { name: "a step of 90 s", step: 90.0, ..H },
        Harm { name: "stamps of 1 s", coarse: true, ..H },
        Harm { name: "a tenth lost", loss: 0.1, ..H },
        Harm { name: "half lost", loss: 0.5, ..H },
        Harm { name: "up to 60 min late, disordered", delay: 3_600.0, ..H },
        Harm { name: "a quarter twice", twice: true, ..H },
        Harm { name: "pids and ports used again", reuse: true, ..H },
        Harm { name: "addresses translated", nat: true, ..H },
        Harm { name: "two hosts swap addresses (DHCP)", swap: true, ..H },
        Harm { name: "a host elsewhere claims the address", roaming: true, ..H },
    ]
};

/// Times that the recording is played, so many seconds apart.
const ROUNDS: u64 = 3;
const APART: f64 = 60.0;

/// The second host, where two swap their addresses.
fn swapped(ip: IpAddr) -> IpAddr {
    match ip {
        IpAddr::V4(v4) if v4.octets() == [10, 77, 0, 11] => [10, 77, 0, 12].into(),
        IpAddr::V4(v4) if v4.octets() == [10, 77, 0, 12] => [10, 77, 0, 11].into(),
        other => other,
    }
}

struct Recorded {
    flows: Vec<(f64, Ends, String)>,
    first: f64,
}

fn recorded() -> Recorded {
    let truth = truth();
    let mut flows: Vec<_> = records(None)
        .iter()
        .map(|record| {
            let start: jiff::Timestamp =
                record["flow"]["start"].as_str().and_then(|t| t.parse().ok()).expect("a time");
            let (originator, originator_port, responder, responder_port) = ends(record);
            let program = truth[&(originator, originator_port, responder, responder_port)].clone();
            let transport = Transport::Tcp;
            let ends = Ends { originator, responder, originator_port, responder_port, transport };
            (start.as_nanosecond() as f64 / 1e9, ends, program)
        })
        .collect();
    flows.sort_by(|a, b| a.0.total_cmp(&b.0));
    let first = flows[0].0;
    flows.iter_mut().for_each(|f| f.0 -= first);
    Recorded { flows, first }
}

/// The port of a round: each has its own, or they come again.
fn port(port: u16, round: u64, harm: &Harm) -> u16 {
    if harm.reuse { port } else { 20_000 + ((u64::from(port) + round * 7_919) % 40_000) as u16 }
}

fn common_of(event: &mut EndpointEvent) -> &mut Common {
    match event {
        EndpointEvent::Process(e) => &mut e.common,
        EndpointEvent::Connect(e) => &mut e.common,
        EndpointEvent::File(e) => &mut e.common,
        EndpointEvent::Dns(e) => &mut e.common,
        EndpointEvent::Address(e) => &mut e.common,
    }
}

/// Another process in each round.
fn renewed(proc: &mut Proc, round: u64, harm: &Harm) {
    proc.entity = proc.entity.map(|e| e ^ round.wrapping_mul(0x9e37_79b9_7f4a_7c15));
    proc.pid = proc.pid.map(|pid| if harm.reuse { pid % 7 + 100 } else { pid + round as u32 * 40_000 });
}

/// The log as it is heard, with what goes wrong.
fn heard(log: &[EndpointEvent], recorded: &Recorded, harm: &Harm) -> Vec<(f64, EndpointEvent)> {
    let (mut dice, mut events) = (Dice(11), Vec::new());
    let length = APART * ROUNDS as f64;
    for round in 0..ROUNDS {
        for event in log {
            let mut event = event.clone();
            let common = common_of(&mut event);
            let secs = common.at.nanos() as f64 / 1e9 - recorded.first + APART * round as f64;
            let odd = common.host.id.bytes().next_back().is_some_and(|b| b % 2 == 1);
            let skew = if odd { harm.skew } else { -harm.skew / 3.0 };
            let step = if secs > length * 0.6 { harm.step } else { 0.0 };
            let own = secs + skew + harm.drift_ms / 60_000.0 * secs + step;
            common.at = at(if harm.coarse { own.floor() } else { own });
            common.grain_ns = if harm.coarse { 1_000_000_000 } else { common.grain_ns };
            if dice.share() < harm.loss {
                continue;
            }
            let late = 0.01 + dice.share() * harm.delay;
            match &mut event {
                EndpointEvent::Connect(e) => {
                    renewed(&mut e.proc, round, harm);
                    e.local_port = e.local_port.map(|p| port(p, round, harm));
                    if harm.swap && secs > length / 2.0 {
                        e.local = e.local.map(swapped);
                    }
                    if harm.nat {
                        e.local = e.local.map(|_| [172, 17, 0, 2].into());
                    }
                    if harm.roaming && dice.below(5) == 0 {
                        events.push((secs + late, elsewhere(e)));
                    }
                }
                EndpointEvent::Process(e) => renewed(&mut e.proc, round, harm),
                _ => {}
            }
            if harm.twice && dice.below(4) == 0 {
                events.push((secs + late + dice.share() * 60.0, event.clone()));
            }
            events.push((secs + late, event));
        }
    }
    events
}

/// A laptop that is not here does the like, and says that it has this host's address.
fn elsewhere(e: &ConnectEvent) -> EndpointEvent {
    let mut e = e.clone();
    e.common.host = HostRef { id: "laptop".into(), ..HostRef::default() };
    e.local_port = e.local_port.map(|p| p.wrapping_add(1) | 1);
    e.proc = Proc { name: "dropbox".into(), entity: Some(1), pid: Some(1), ..Proc::default() };
    EndpointEvent::Connect(e)
}

/// What DHCP said of the hosts, by their names.
fn leases(log: &[EndpointEvent], harm: &Harm) -> Vec<(f64, EndpointEvent)> {
    let host = |last: u8| {
        let end = char::from(b'0' + last - 10);
        log.iter().map(|e| &e.common().host).find(|h| {
            let name = h.name.as_deref().unwrap_or(&h.id);
            name.split('.').next().is_some_and(|first| first.ends_with(end))
        })
    };
    let mut all = Vec::new();
    for half in [0.0, APART * ROUNDS as f64 / 2.0] {
        for last in [11u8, 12, 13] {
            let Some(host) = host(last) else { continue };
            let ip = IpAddr::from([10, 77, 0, last]);
            let ip = if harm.swap && half > 0.0 { swapped(ip) } else { ip };
            let common = Common {
                source: SourceKind::Ecs,
                host: host.clone(),
                at: at(half),
                clock: ClockClass::Host,
                received: None,
                grain_ns: 1_000_000,
                record: None,
            };
            let (mac, name, kind) = (None, None, AddressKind::Bound);
            let event = AddressEvent { common, ip, mac, name, kind, lease_secs: None };
            all.push((half, EndpointEvent::Address(event)));
        }
    }
    all
}

fn flows(recorded: &Recorded, harm: &Harm) -> Vec<Made> {
    let length = APART * ROUNDS as f64;
    let mut all = Vec::new();
    for round in 0..ROUNDS {
        for (secs, ends, program) in &recorded.flows {
            let secs = secs + APART * round as f64;
            let mut ends = Ends { originator_port: port(ends.originator_port, round, harm), ..*ends };
            if harm.swap && secs > length / 2.0 {
                ends.originator = swapped(ends.originator);
            }
            all.push(Made { flow: FlowId(all.len() as u64), ends, secs, program: program.clone() });
        }
    }
    all
}

#[test]
fn harm_to_logs_makes_nobody_sure_of_a_wrong_program() {
    let recorded = recorded();
    println!(
        "recording: {} flows in {:.0} s",
        recorded.flows.len(),
        recorded.flows.last().map_or(0.0, |f| f.0)
    );
    assert!(recorded.flows.iter().all(|f| f.0 < APART), "the recording is longer than a round");
    println!("| log | harm | level: flows, right | none | Brier | known after (median, 95 %) |");
    println!("| --- | --- | --- | --- | --- | --- |");
    for (log, _) in LOGS {
        let events: Vec<EndpointEvent> =
            read_file(&file(&format!("{log}.gz")), None).expect("opens").collect();
        for harm in &HARMS {
            let mut all = leases(&events, harm);
            all.extend(heard(&events, &recorded, harm));
            let played = play(&all, &flows(&recorded, harm), 1);
            let mut levels = Vec::new();
            for (level, row) in played.rows.iter().rev() {
                let share = 100.0 * f64::from(row.right) / f64::from(row.said);
                levels.push(format!("{}: {}, {share:.1} %", level.as_str(), row.said));
                assert_eq!(row.wrong_calm, 0, "{log}, {}: {} calmed wrongly", harm.name, level.as_str());
                assert_eq!(row.wrong_sure, 0, "{log}, {}: {} wrong and sure", harm.name, level.as_str());
                assert!(*level != Level::L1 || row.right == row.said, "{log}, {}", harm.name);
            }
            println!(
                "| {log} | {} | {} | {} | {:.3} | {:.2} s, {:.0} s |",
                harm.name,
                levels.join("; "),
                played.nothing,
                played.right().1,
                played.time(0.5),
                played.time(0.95)
            );
        }
    }
}
