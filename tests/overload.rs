//! Too much of everything: what gives way first is what matters least, every loss is counted, and alerts come.
//!
//! In network namespaces, as `tests/live.rs`; without root (or without `ip`) the tests say so and pass.
#![cfg(target_os = "linux")]

#[path = "common/netns.rs"]
mod netns;

use egret::capture::live::Notice;
use egret::config::Config;
use egret::output::RunSummary;
use egret::output::file::{OutputConfig, Outputs, kinds};
use egret::run::live::Live;
use egret::run::{self, Setup};
use egret::signatures::Catalogue;
use netns::{Cable, FAR};
use serde_json::Value;
use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// One at a time: they share two cores.
fn turn() -> MutexGuard<'static, ()> {
    static TURN: Mutex<()> = Mutex::new(());
    TURN.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The cable, or a message and nothing.
fn cable() -> Option<Cable> {
    Cable::new().map_err(|why| eprintln!("skipped: no network namespaces here ({why})")).ok()
}

fn dir(name: &str) -> PathBuf {
    let dir = std::env::temp_dir().join(format!("egret-overload-{}-{name}", std::process::id()));
    let _ = std::fs::remove_dir_all(&dir);
    std::fs::create_dir_all(&dir).unwrap();
    dir
}

fn setup(dir: &Path, config: Config) -> Setup {
    let out = OutputConfig { dir: dir.to_owned(), kinds: kinds("eve").unwrap(), ..OutputConfig::default() };
    Setup { config, catalogue: Arc::new(Catalogue::builtin()), outputs: Outputs::new(&out).unwrap() }
}

/// Captures while `traffic` is sent. Gives what came of it and what was said meanwhile.
fn capture(
    cable: &Cable,
    setup: Setup,
    traffic: impl FnOnce(&Mutex<Vec<Notice>>) + Send,
) -> (Result<RunSummary, run::Error>, Vec<Notice>) {
    let mut live = Live { stats_every: Duration::from_millis(200), ..Live::default() };
    live.capture.interfaces = vec![FAR.to_owned()];
    let (notices, stop) = (Mutex::new(Vec::new()), Arc::clone(&live.stop));
    let ended = std::thread::scope(|scope| {
        let (notices, live) = (&notices, &live);
        let sensor = scope.spawn(move || {
            let mut hear = |notice: Notice| notices.lock().unwrap().push(notice);
            cable.at_tap(|| run::live::run(setup, live, &mut hear)).unwrap()
        });
        let began = Instant::now();
        while notices.lock().unwrap().is_empty() && began.elapsed() < Duration::from_secs(20) {
            std::thread::sleep(Duration::from_millis(5));
        }
        traffic(notices);
        stop.store(true, Ordering::Relaxed);
        sensor.join().unwrap()
    });
    (ended, notices.into_inner().unwrap())
}

fn cat(parts: &[&[u8]]) -> Vec<u8> {
    parts.concat()
}

/// A TCP segment from `src` to `dst` on Ethernet.
fn segment(src: (u32, u16), dst: (u32, u16), seq: u32, ack: u32, flags: u8, payload: &[u8]) -> Vec<u8> {
    let total = (payload.len() as u16 + 40).to_be_bytes();
    cat(&[
        &[2, 0, 0, 0, 0, 2, 2, 0, 0, 0, 0, 1, 8, 0, 0x45, 0],
        &total,
        &[0, 1, 0, 0, 64, 6, 0, 0],
        &src.0.to_be_bytes(),
        &dst.0.to_be_bytes(),
        &src.1.to_be_bytes(),
        &dst.1.to_be_bytes(),
        &seq.to_be_bytes(),
        &ack.to_be_bytes(),
        &[0x50, flags, 0xff, 0xff, 0, 0, 0, 0],
        payload,
    ])
}

/// A `ClientHello` for `name`.
fn hello(name: &str) -> Vec<u8> {
    let len = |n: usize| (n as u16).to_be_bytes();
    let sni = cat(&[&len(name.len() + 3), &[0], &len(name.len()), name.as_bytes()]);
    let extension = cat(&[&[0, 0], &len(sni.len()), &sni]);
    let body = cat(&[&[3, 3], &[0; 32], &[0, 0, 2, 0x13, 1, 1, 0], &len(extension.len()), &extension]);
    let shake = cat(&[&[1, 0], &len(body.len()), &body]);
    cat(&[&[22, 3, 1], &len(shake.len()), &shake])
}

/// An upload of `segments` times 1,400 bytes to Dropbox, not closed.
fn upload(segments: u32) -> Vec<Vec<u8>> {
    let (host, server) = ((0x0a00_0063, 50_000), (0xc633_6463, 443));
    let first = hello("content.dropboxapi.com");
    let mut frames = vec![
        segment(host, server, 99, 0, 2, &[]),
        segment(server, host, 499, 100, 18, &[]),
        segment(host, server, 100, 500, 16, &first),
    ];
    let begin = 100 + first.len() as u32;
    let data = |n: u32| segment(host, server, begin + n * 1_400, 500, 16, &vec![n as u8; 1_400]);
    frames.extend((0..segments).map(data));
    frames
}

/// SYNs that nobody answers: `n` flows, all of `host`.
fn scan(host: u32, n: u32) -> impl Iterator<Item = Vec<u8>> {
    (0..n).map(move |i| segment((host, 1_024 + (i >> 16) as u16), (0xcb00_7101, i as u16), i, 0, 2, &[]))
}

/// Two lists, one into the other.
fn among(few: Vec<Vec<u8>>, many: Vec<Vec<u8>>) -> Vec<Vec<u8>> {
    let step = (many.len() / few.len().max(1)).max(1);
    let mut few = few.into_iter();
    let mut all: Vec<Vec<u8>> = Vec::new();
    for (i, frame) in many.into_iter().enumerate() {
        if i % step == 0 {
            all.extend(few.next());
        }
        all.push(frame);
    }
    all.extend(few);
    all
}

fn records(path: &Path) -> Vec<Value> {
    let text = std::fs::read_to_string(path).unwrap();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn of<'r>(records: &'r [Value], kind: &str) -> Vec<&'r Value> {
    records.iter().filter(|r| r["event_type"] == kind).collect()
}

fn uint(value: &Value) -> u64 {
    value.as_u64().unwrap_or_else(|| panic!("{value} is no count"))
}

/// Every frame is accounted for, whatever happened above.
fn assert_frames_add_up(summary: &RunSummary, sent: u64) {
    let front = &summary.stats.front;
    assert_eq!((front.kernel_frames, front.frames + front.kernel_drops), (sent, sent), "{front:?}");
}

#[test]
fn a_flood_fills_neither_table_nor_disk_and_hides_no_upload() {
    let (_turn, Some(cable)) = (turn(), cable()) else { return };
    let dir = dir("flood");
    let mut config = Config { workers: 2, ..Config::default() };
    config.flows.table = 10_000;
    config.output.empty_flow_rate = "100/s".parse().unwrap();
    let flood = 120_000;
    let frames = among(upload(3_000), scan(0x0a00_0042, flood).collect());
    let mut sent = 0;
    let (ended, notices) =
        capture(&cable, setup(&dir, config), |_| sent = cable.send(&frames, 80_000).unwrap());
    let summary = ended.unwrap();
    assert_frames_add_up(&summary, sent);
    let total = summary.stats.total();
    assert!(
        total.evicted > 80_000 && notices.iter().any(|n| matches!(n, Notice::TableFull(..))),
        "{total:?}"
    );
    let (eve, own) = (records(&dir.join("eve.json")), records(&dir.join("egret.json")));
    // Six thousand at once, a hundred a second then; the rest in sums of the one host that scans.
    let single = of(&eve, "flow").len() as u64;
    assert!(single < 9_000, "{single} records");
    let sums = of(&own, "flow_sum");
    assert!(!sums.is_empty() && sums.iter().all(|s| s["egret"]["host"]["ip"] == "10.0.0.66"), "{sums:?}");
    let summed: u64 = sums.iter().map(|s| uint(&s["egret"]["flows"]["closed"])).sum();
    assert_eq!((single + summed, total.opened), (total.closed, total.closed));
    let bytes = std::fs::metadata(dir.join("eve.json")).unwrap().len();
    assert!(bytes < 12_000_000, "{bytes} bytes of logs");
    if summary.stats.front.kernel_drops == 0 {
        let upload = of(&eve, "flow").into_iter().find(|f| f["src_ip"] == "10.0.0.99").unwrap();
        assert_eq!(upload["egret"]["name"], "content.dropboxapi.com");
        assert!(uint(&upload["egret"]["payload_toserver"]) > 4_200_000, "{upload}");
    }
    assert_eq!(of(&eve, "alert").len(), 1);
}

#[test]
fn a_log_that_nobody_reads_costs_records_and_no_frame() {
    let (_turn, Some(cable)) = (turn(), cable()) else { return };
    let (dir, began) = (dir("fifo"), Instant::now());
    let pipe = dir.join("eve.json");
    assert!(Command::new("mkfifo").arg(&pipe).status().unwrap().success());
    // Open for reading, and not read until much has been sent.
    let opened = std::thread::spawn({
        let pipe = pipe.clone();
        move || File::open(pipe).unwrap()
    });
    let setup = setup(&dir, Config { workers: 2, ..Config::default() });
    let reader = opened.join().unwrap();
    // Many short flows with payload, each worth a record, and an upload among them.
    let short = |i: u32| {
        let (host, server) = ((0x0a00_0100 + i % 200, 1_024 + (i / 200) as u16), (0xc633_6401, 80));
        [segment(host, server, 1, 1, 24, b"hello"), segment(host, server, 6, 1, 20, &[])]
    };
    let frames = among(upload(2_500), (0..80_000).flat_map(short).collect());
    let (mut sent, mut lines) = (0, None);
    let (ended, notices) = capture(&cable, setup, |notices| {
        sent = cable.send(&frames, 60_000).unwrap();
        let behind = || notices.lock().unwrap().iter().any(|n| matches!(n, Notice::LogsBehind(_)));
        while !behind() && began.elapsed() < Duration::from_secs(600) {
            std::thread::sleep(Duration::from_millis(20));
        }
        // The disk is back.
        lines = Some(std::thread::spawn(|| {
            BufReader::new(reader).lines().map_while(Result::ok).collect::<Vec<_>>()
        }));
        std::thread::sleep(Duration::from_secs(2));
    });
    let summary = ended.unwrap();
    assert_frames_add_up(&summary, sent);
    let eve: Vec<Value> =
        lines.unwrap().join().unwrap().iter().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(of(&eve, "alert").len(), 1, "the alert waited for the disk");
    let stats = of(&eve, "stats");
    let dropped = uint(&stats.last().unwrap()["egret"]["output"]["dropped"]);
    assert_eq!(dropped, summary.stats.dropped);
    let flows = of(&eve, "flow").len() as u64;
    let closed = summary.stats.total().closed;
    assert!(flows < closed && flows + dropped >= closed, "{flows} {dropped} {closed}");
    let behind = notices.iter().filter(|n| matches!(n, Notice::LogsBehind(_))).count();
    let minutes = began.elapsed().as_secs() as usize / 60;
    assert!((1..=1 + minutes).contains(&behind), "one warning a minute: {notices:?}");
}

/// Unmounts when dropped.
struct Small(PathBuf);

impl Small {
    fn mount(at: PathBuf, size: &str) -> Option<Self> {
        let mounted = Command::new("mount").args(["-t", "tmpfs", "-o", size, "tmpfs"]).arg(&at).output();
        mounted.is_ok_and(|done| done.status.success()).then(|| Self(at))
    }
}

impl Drop for Small {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(&self.0).status();
    }
}

#[test]
fn a_full_disk_is_said_once_a_minute_and_every_lost_line_is_counted() {
    let (_turn, Some(cable)) = (turn(), cable()) else { return };
    let Some(disk) = Small::mount(dir("disk"), "size=1m") else {
        eprintln!("skipped: a small disk cannot be mounted here");
        return;
    };
    let short = |i: u32| {
        let (host, server) = ((0x0a00_0100 + i % 200, 1_024 + (i / 200) as u16), (0xc633_6401, 80));
        [segment(host, server, 1, 1, 24, b"hello"), segment(host, server, 6, 1, 20, &[])]
    };
    let frames: Vec<_> = (0..30_000).flat_map(short).collect();
    let (mut sent, began) = (0, Instant::now());
    let setup = setup(&disk.0, Config::default());
    let (ended, notices) = capture(&cable, setup, |_| {
        for part in frames.chunks(20_000) {
            sent += cable.send(part, 60_000).unwrap();
            std::thread::sleep(Duration::from_millis(1_200));
        }
    });
    let said = notices.iter().filter(|n| matches!(n, Notice::Log(..))).count();
    let minutes = began.elapsed().as_secs() as usize / 60;
    assert!((1..=1 + minutes).contains(&said), "one warning a minute: {notices:?}");
    assert!(notices.iter().any(|n| n.to_string().contains("No space left on device")), "{notices:?}");
    let eve = records(&disk.0.join("eve.json"));
    assert!(!eve.is_empty() && std::fs::read(disk.0.join("eve.json")).unwrap().ends_with(b"}\n"));
    match ended {
        Ok(summary) => {
            assert_frames_add_up(&summary, sent);
            assert_eq!(summary.stats.lines, eve.len() as u64);
            assert!(summary.stats.dropped > 10_000, "{}", summary.stats.dropped);
        }
        // The last lines did not fit either: said as an error.
        Err(error) => assert!(error.to_string().contains("eve.json"), "{error}"),
    }
}
