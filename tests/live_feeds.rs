//! `egret live` itself with every kind of feed: what a rotated file, syslog in datagrams and over TCP, and an HTTP push
//! say of programs stands on the flows; a feed that falls silent is told of; a restart reads nothing twice.
//!
//! Without root (or without `ip`) the test says so and passes.
#![cfg(target_os = "linux")]

#[path = "common/netns.rs"]
mod netns;

use netns::{Cable, FAR};
use serde_json::{Value, json};
use std::io::{Read, Write};
use std::net::{TcpStream, UdpSocket};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

const TOKEN: &str = "a-token-of-tests";
/// How each pair's program is told of.
const FEEDS: [&str; 5] = ["file", "rotated", "udp", "tcp", "http"];

fn cat(parts: &[&[u8]]) -> Vec<u8> {
    parts.concat()
}

/// A frame of one pair's connection.
fn frame(pair: u8, there: bool, flags: u8, (seq, ack): (u32, u32), payload: &[u8]) -> Vec<u8> {
    let (host, server) = ([10, 0, 0, pair + 1], [198, 51, 100, pair + 1]);
    let (near, far) = ((40_000 + u16::from(pair)).to_be_bytes(), 443u16.to_be_bytes());
    let (src, dst, from, to) = if there { (host, server, near, far) } else { (server, host, far, near) };
    let tcp = cat(&[
        &from,
        &to,
        &seq.to_be_bytes(),
        &ack.to_be_bytes(),
        &[0x50, flags, 0xff, 0xff, 0, 0, 0, 0],
        payload,
    ]);
    let total = (tcp.len() as u16 + 20).to_be_bytes();
    let ip = cat(&[&[0x45, 0], &total, &[0, 1, 0x40, 0, 64, 6, 0, 0], &src, &dst, &tcp]);
    cat(&[&[2, 0, 0, 0, 0, 2, 2, 0, 0, 0, 0, 1, 8, 0], &ip])
}

/// Opened, something each way, closed.
fn connections() -> Vec<Vec<u8>> {
    let mut all = Vec::new();
    for pair in 0..FEEDS.len() as u8 {
        all.push(frame(pair, true, 2, (100, 0), b""));
        all.push(frame(pair, false, 18, (500, 101), b""));
        all.push(frame(pair, true, 16, (101, 501), b""));
        all.push(frame(pair, true, 24, (101, 501), &[7; 300]));
        all.push(frame(pair, false, 24, (501, 401), &[8; 200]));
        all.push(frame(pair, true, 17, (401, 701), b""));
        all.push(frame(pair, false, 17, (701, 402), b""));
        all.push(frame(pair, true, 16, (402, 702), b""));
    }
    all
}

/// What an agent on the host of a pair says of its connection.
fn line(pair: usize) -> String {
    let event = json!({
        "@timestamp": jiff::Timestamp::now().to_string(),
        "event": {"kind": "event", "category": ["network"], "action": "connection_attempted"},
        "host": {"id": format!("id-{pair}"), "name": format!("pc{pair}")},
        "process": {"entity_id": format!("e{pair}"), "pid": 7, "name": FEEDS[pair],
            "executable": format!("/usr/bin/{}", FEEDS[pair])},
        "source": {"ip": format!("10.0.0.{}", pair + 1), "port": 40_000 + pair},
        "destination": {"ip": format!("198.51.100.{}", pair + 1), "port": 443},
        "network": {"transport": "tcp", "direction": "egress"},
    });
    format!("{event}\n")
}

struct Sensor {
    child: Child,
    dir: PathBuf,
}

impl Sensor {
    fn start(cable: &Cable, dir: &Path) -> Self {
        let _ = std::fs::remove_file(dir.join("eve.json"));
        let child = Command::new("ip")
            .args(["netns", "exec", cable.tap_name(), env!("CARGO_BIN_EXE_egret"), "live", "-i", FAR])
            .args(["--ring", "16MiB", "--workers", "1", "-c"])
            .arg(dir.join("egret.toml"))
            .arg("-o")
            .arg(dir)
            .stdout(Stdio::null())
            .stderr(std::fs::File::create(dir.join("stderr")).expect("room"))
            .spawn()
            .expect("started");
        let sensor = Self { child, dir: dir.to_owned() };
        sensor.wait_until("it is up", |s| s.dir.join("eve.json").exists());
        std::thread::sleep(Duration::from_secs(1));
        sensor
    }

    fn wait_until(&self, what: &str, holds: impl Fn(&Self) -> bool) {
        let began = Instant::now();
        while !holds(self) {
            assert!(began.elapsed() < Duration::from_secs(40), "{what}: {}", self.said());
            std::thread::sleep(Duration::from_millis(100));
        }
    }

    fn said(&self) -> String {
        std::fs::read_to_string(self.dir.join("stderr")).unwrap_or_default()
    }

    fn records(&self, kind: &str) -> Vec<Value> {
        let text = std::fs::read_to_string(self.dir.join("eve.json")).unwrap_or_default();
        let all = text.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
        all.filter(|r| r["event_type"] == kind).collect()
    }

    fn stop(mut self) -> Self {
        let id = self.child.id().to_string();
        assert!(Command::new("kill").args(["-TERM", &id]).status().expect("kill").success());
        assert!(self.child.wait().expect("ended").success(), "{}", self.said());
        self
    }
}

/// Brings what the network brings, from within the sensor's namespace.
fn push() {
    let udp = UdpSocket::bind("127.0.0.1:0").expect("a socket");
    udp.send_to(line(2).as_bytes(), "127.0.0.1:5514").expect("sent");
    let mut tcp = TcpStream::connect("127.0.0.1:5515").expect("connected");
    let record = format!("<34>1 2026-11-20T10:00:00Z pc3 edr - - - {}", line(3).trim());
    tcp.write_all(format!("{} {record}", record.len()).as_bytes()).expect("sent");
    let post = |token: &str, body: &str| {
        let mut http = TcpStream::connect("127.0.0.1:8088").expect("connected");
        let head = format!(
            "POST /events HTTP/1.1\r\nHost: h\r\nAuthorization: Bearer {token}\r\nConnection: close\r\n\
             Content-Length: {}\r\n\r\n{body}",
            body.len()
        );
        http.write_all(head.as_bytes()).expect("sent");
        let mut answer = String::new();
        let _ = http.read_to_string(&mut answer);
        answer
    };
    assert!(post("not-the-token", &line(4)).starts_with("HTTP/1.1 401"));
    assert!(post(TOKEN, &line(4)).starts_with("HTTP/1.1 200"));
}

fn prepared(name: &str) -> PathBuf {
    let dir = std::env::temp_dir().join(format!("egret-live-feeds-{}-{name}", std::process::id()));
    let _ = std::fs::remove_dir_all(&dir);
    std::fs::create_dir_all(&dir).expect("a directory");
    std::fs::write(dir.join("token"), TOKEN).expect("room");
    std::fs::write(dir.join("log.ndjson"), "").expect("room");
    let at = |name: &str| dir.join(name).display().to_string();
    let config = format!(
        "[endpoint]\nlogs = [\"{}\"]\nlisten = [\"udp://127.0.0.1:5514\", \"tcp://127.0.0.1:5515\", \
         \"http://127.0.0.1:8088\"]\ntoken_file = \"{}\"\nsilent_after = \"3s\"\n",
        at("log.ndjson"),
        at("token")
    );
    std::fs::write(dir.join("egret.toml"), config).expect("room");
    dir
}

fn append(dir: &Path, pair: usize) {
    let mut log =
        std::fs::File::options().append(true).create(true).open(dir.join("log.ndjson")).expect("open");
    log.write_all(line(pair).as_bytes()).expect("room");
}

#[test]
fn every_feed_names_programs_and_a_restart_reads_nothing_twice() {
    let cable = match Cable::new() {
        Ok(cable) => cable,
        Err(why) => {
            eprintln!("skipped: no network namespaces here ({why})");
            return;
        }
    };
    let up = || Command::new("ip").args(["link", "set", "lo", "up"]).status();
    assert!(cable.at_tap(up).expect("there").expect("ip").success());
    let dir = prepared("all");
    let sensor = Sensor::start(&cable, &dir);
    append(&dir, 0);
    std::thread::sleep(Duration::from_secs(1));
    std::fs::rename(dir.join("log.ndjson"), dir.join("log.ndjson.1")).expect("renamed");
    append(&dir, 1);
    cable.at_tap(push).expect("there");
    std::thread::sleep(Duration::from_secs(2));
    cable.send(&connections(), 1_000).expect("sent");
    // Feeds that have spoken and say nothing any more are a blindness.
    sensor.wait_until("silence is told of", |s| {
        let silent = |r: &Value| r["egret"]["feeds"]["silent"].as_array().is_some_and(|l| l.len() == 4);
        s.records("stats").iter().any(silent) && s.said().contains("has been silent")
    });
    let sensor = sensor.stop();
    let flows = sensor.records("flow");
    for (pair, name) in FEEDS.iter().enumerate() {
        let port = 40_000 + pair;
        let flow = flows.iter().find(|f| f["src_port"] == port).expect("a flow");
        let said = &flow["egret"];
        let told = (said["process"]["name"].as_str(), said["attribution"]["level"].as_str());
        assert!(told.0 == Some(*name) && told.1.is_some_and(|l| l.starts_with("L1")), "{name}: {flow}");
    }
    let events = |sensor: &Sensor| {
        sensor.records("stats").iter().rev().find_map(|r| r["egret"]["feeds"]["events"].as_u64())
    };
    assert_eq!(events(&sensor), Some(5));
    // Places are in the state file, with what the detector made of the events.
    assert!(!dir.join("feeds.json").exists());
    let sensor = Sensor::start(&cable, &dir);
    append(&dir, 2);
    cable.send(&connections(), 1_000).expect("sent");
    sensor.wait_until("counters", |s| events(s).is_some());
    assert_eq!(events(&sensor.stop()), Some(1));
    std::fs::remove_dir_all(&dir).expect("removed");
}
