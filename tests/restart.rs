//! A sensor is stopped and started again in the middle of an upload, in network namespaces that the test makes and
//! removes: what it tells is what a sensor tells that was never stopped, and an incident keeps its id.
//!
//! Without root (or without `ip`) the test says so and passes.
#![cfg(target_os = "linux")]

mod common;
#[path = "common/netns.rs"]
mod netns;

use common::traffic::{ACK, Conn, FIN, hello};
use netns::{Cable, FAR};
use serde_json::Value;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

const PSH: u8 = 8;
/// Frames a second.
const RATE: u32 = 10_000;

/// An upload to Dropbox of so many segments, as frames. `port` tells it from another.
fn upload(port: u16, segments: u32) -> Vec<Vec<u8>> {
    let ends = ([10, 20, 0, 5].into(), [162, 125, 1, 1].into());
    let mut conn = Conn::new(ends.0, port, ends.1, 443, [1_000, 9_000]);
    let mut frames = conn.handshake(0);
    let name = hello("content.dropboxapi.com");
    frames.push(conn.segment(0, 0, ACK | PSH, &name, name.len() as u32));
    frames.push(conn.segment(0, 1, ACK, &[], 0));
    for i in 0..segments {
        frames.push(conn.segment(0, 0, ACK | PSH, &[0x55; 1_400], 1_400));
        if i % 8 == 7 {
            frames.push(conn.segment(0, 1, ACK, &[], 0));
        }
    }
    for from in [0, 1] {
        frames.push(conn.segment(0, from, ACK | FIN, &[], 0));
    }
    frames.push(conn.segment(0, 0, ACK, &[], 0));
    frames.into_iter().map(|f| f.bytes).collect()
}

/// The built program on the cable. It is up when what is sent arrives.
fn sensor(cable: &Cable, dir: &Path) -> Child {
    let mut child = Command::new("ip")
        .args(["netns", "exec", cable.tap_name(), env!("CARGO_BIN_EXE_egret"), "live", "-i", FAR])
        .args(["--ring", "16MiB", "--seed", "7", "--set", "output.rotate=false"])
        .args(["--set", "detect.exfil_volume_threshold=\"1 MB\"", "-o"])
        .arg(dir)
        .stdout(Stdio::null())
        .spawn()
        .expect("started");
    let began = Instant::now();
    while std::fs::metadata(dir.join("eve.json")).is_err() && began.elapsed() < Duration::from_secs(20) {
        std::thread::sleep(Duration::from_millis(20));
    }
    std::thread::sleep(Duration::from_millis(1_500));
    assert!(child.try_wait().expect("asked").is_none(), "it ended by itself");
    child
}

fn stop(mut child: Child) {
    // What was sent last is told within the second.
    std::thread::sleep(Duration::from_millis(1_500));
    let done = Command::new("kill").args(["-TERM", &child.id().to_string()]).status().expect("kill");
    assert!(done.success() && child.wait().expect("ended").success());
}

/// An alert of `eve.json`.
#[derive(Debug)]
struct Alert {
    id: String,
    seq: u64,
    severity: String,
    up_bytes: u64,
}

fn told(dir: &Path) -> Vec<Alert> {
    let text = std::fs::read_to_string(dir.join("eve.json")).unwrap_or_default();
    let values = text.lines().map(|line| serde_json::from_str::<Value>(line).expect("JSON"));
    let alert = |value: Value| {
        let incident = &value["egret"]["incident"];
        Alert {
            id: incident["id"].as_str().expect("an id").to_owned(),
            seq: incident["seq"].as_u64().expect("a number"),
            severity: incident["severity"].to_string(),
            up_bytes: incident["up_bytes"].as_u64().expect("a number"),
        }
    };
    values.filter(|v| v["event_type"] == "alert").map(alert).collect()
}

/// Incidents that the state knows, with the bytes that left.
fn incidents(dir: &Path) -> Vec<(String, u64)> {
    let list = Command::new(env!("CARGO_BIN_EXE_egret"))
        .args(["incidents", "--json", "--state"])
        .arg(dir.join("egret.db"))
        .output()
        .expect("listed");
    let list: Value = serde_json::from_slice(&list.stdout).expect("JSON");
    let one = |i: &Value| Some((i["id"].as_str()?.to_owned(), i["up_bytes"].as_u64()?));
    list.as_array().into_iter().flatten().filter_map(one).collect()
}

fn folder(name: &str) -> PathBuf {
    let dir = std::env::temp_dir().join(format!("egret-restart-{}-{name}", std::process::id()));
    let _ = std::fs::remove_dir_all(&dir);
    std::fs::create_dir_all(&dir).expect("a folder");
    dir
}

#[test]
fn an_upload_goes_on_over_a_restart_under_the_id_it_had() {
    let cable = match Cable::new() {
        Ok(cable) => cable,
        Err(why) => return eprintln!("skipped: no network namespaces here ({why})"),
    };
    // 4.2 MB, where 1 MB is the level: medium; then ten times as much: high.
    let (first, second) = (upload(40_001, 3_000), upload(40_002, 30_000));
    let (whole, halves) = (folder("whole"), folder("halves"));
    let running = sensor(&cable, &whole);
    for part in [&first, &second] {
        cable.send(part, RATE).expect("sent");
    }
    stop(running);
    for part in [&first, &second] {
        let running = sensor(&cable, &halves);
        cable.send(part, RATE).expect("sent");
        stop(running);
    }
    let (want, alerts) = (told(&whole), told(&halves));
    let severities = |alerts: &[Alert]| alerts.iter().map(|a| a.severity.clone()).collect::<Vec<_>>();
    assert!(want.len() >= 2, "{want:?}");
    assert_eq!(severities(&alerts), severities(&want), "{alerts:?}");
    assert!(alerts.iter().all(|a| a.id == alerts[0].id), "{alerts:?}");
    assert!(alerts.is_sorted_by(|a, b| a.seq < b.seq && a.up_bytes < b.up_bytes), "{alerts:?}");
    // The state of both holds one incident, and all that left.
    for dir in [whole, halves] {
        let known = incidents(&dir);
        assert_eq!(known.len(), 1, "{known:?}");
        assert!(known[0].1 >= 33_000 * 1_400 * 9 / 10, "{known:?}");
        let _ = std::fs::remove_dir_all(dir);
    }
}
