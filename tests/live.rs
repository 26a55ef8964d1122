//! Live capture, in network namespaces that the test makes and removes: every frame that is sent is seen or counted
//! as dropped, and what is seen gives the records that a replay of the same frames gives.
//!
//! Without root (or without `ip`) the tests say so and pass.
#![cfg(target_os = "linux")]

#[path = "common/netns.rs"]
mod netns;
#[path = "common/pcapwrite.rs"]
mod pcapwrite;

use egret::capture::bpf::Filter;
use egret::capture::live::Notice;
use egret::capture::ring::RingConfig;
use egret::config::Config;
use egret::output::RunSummary;
use egret::output::file::{OutputConfig, Outputs, kinds};
use egret::run::live::Live;
use egret::run::{self, Setup};
use egret::signatures::Catalogue;
use netns::{Cable, FAR};
use pcapwrite::{Classic, Frame};
use serde_json::Value;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// Host pairs in the traffic.
const PAIRS: u32 = 60;
/// Frames a second: far below what the kernel can take.
const RATE: u32 = 40_000;

/// One at a time: they share two cores.
fn turn() -> MutexGuard<'static, ()> {
    static TURN: Mutex<()> = Mutex::new(());
    TURN.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The cable, or a message and nothing.
fn cable() -> Option<Cable> {
    match Cable::new() {
        Ok(cable) => Some(cable),
        Err(why) => {
            eprintln!("skipped: no network namespaces here ({why})");
            None
        }
    }
}

fn setup(dir: &Path, workers: usize) -> Setup {
    let out = OutputConfig { dir: dir.to_owned(), kinds: kinds("eve").unwrap(), ..OutputConfig::default() };
    let config = Config { workers, ..Config::default() };
    Setup { config, catalogue: Arc::new(Catalogue::builtin()), outputs: Outputs::new(&out).unwrap() }
}

fn dir(name: &str) -> PathBuf {
    let dir = std::env::temp_dir().join(format!("egret-live-{}-{name}", std::process::id()));
    let _ = std::fs::remove_dir_all(&dir);
    std::fs::create_dir_all(&dir).unwrap();
    dir
}

/// Captures while `traffic` is sent, and some time longer.
fn capture(
    cable: &Cable,
    dir: &Path,
    workers: usize,
    ring: RingConfig,
    traffic: impl FnOnce(&Mutex<Vec<Notice>>) + Send,
) -> (RunSummary, Vec<Notice>) {
    let mut live = Live { stop: Arc::new(AtomicBool::new(false)), ..Live::default() };
    live.capture.interfaces = vec![FAR.to_owned()];
    live.capture.ring = ring;
    live.stats_every = Duration::from_millis(500);
    let (notices, setup, stop) = (Mutex::new(Vec::new()), setup(dir, workers), Arc::clone(&live.stop));
    let summary = std::thread::scope(|scope| {
        let (notices, live) = (&notices, &live);
        let sensor = scope.spawn(move || {
            let mut hear = |notice: Notice| notices.lock().unwrap().push(notice);
            cable.at_tap(|| run::live::run(setup, live, &mut hear)).unwrap().unwrap()
        });
        wait_for(notices, |n| *n == Notice::Ready);
        traffic(notices);
        stop.store(true, Ordering::Relaxed);
        sensor.join().unwrap()
    });
    (summary, notices.into_inner().unwrap())
}

fn wait_for(notices: &Mutex<Vec<Notice>>, wanted: impl Fn(&Notice) -> bool) {
    let began = Instant::now();
    while !notices.lock().unwrap().iter().any(&wanted) {
        assert!(began.elapsed() < Duration::from_secs(20), "{:?}", notices.lock().unwrap());
        std::thread::sleep(Duration::from_millis(5));
    }
}

fn small() -> RingConfig {
    RingConfig { block_bytes: 1 << 18, blocks: 64, ..RingConfig::default() }
}

fn cat(parts: &[&[u8]]) -> Vec<u8> {
    parts.concat()
}

fn v4(src: u32, dst: u32, protocol: u8, id: u16, fragment: u16, body: &[u8]) -> Vec<u8> {
    let total = (body.len() as u16 + 20).to_be_bytes();
    let head = cat(&[&[0x45, 0], &total, &id.to_be_bytes(), &fragment.to_be_bytes(), &[64, protocol, 0, 0]]);
    cat(&[&head, &src.to_be_bytes(), &dst.to_be_bytes(), body])
}

fn udp(src: u16, dst: u16, body: &[u8]) -> Vec<u8> {
    let len = (body.len() as u16 + 8).to_be_bytes();
    cat(&[&src.to_be_bytes(), &dst.to_be_bytes(), &len, &[0, 0], body])
}

fn ethernet(kind: u16, body: &[u8]) -> Vec<u8> {
    cat(&[&[2, 0, 0, 0, 0, 2, 2, 0, 0, 0, 0, 1], &kind.to_be_bytes(), body])
}

/// Goes out and comes back, with 400 bytes in each packet of data.
struct Segment {
    src: u32,
    dst: u32,
    there: bool,
    id: u16,
    bytes: Vec<u8>,
}

/// A conversation of every pair, packet by packet in turn: opened, `rounds` of data each way, closed.
fn conversations(rounds: u32) -> Vec<Segment> {
    let (syn, ack, fin) = (2u8, 16u8, 1u8);
    let mut all = Vec::new();
    for step in 0..rounds * 2 + 5 {
        for pair in 0..PAIRS {
            let (host, server) = (0x0a00_0001 + pair * 7, 0xc633_6401 + pair);
            let data = step.saturating_sub(3);
            let done = step >= rounds * 2 + 3;
            let there = if step < 3 { step != 1 } else { data % 2 == 0 };
            let sent = |way: u32| if step < 3 { 0 } else { (data.min(rounds * 2) + 1 - way) / 2 * 400 };
            let (mine, other) = if there { (sent(0), sent(1)) } else { (sent(1), sent(0)) };
            let (flags, payload) = match step {
                0 => (syn, 0),
                1 => (syn | ack, 0),
                2 => (ack, 0),
                _ if done => (fin | ack, 0),
                _ => (ack | 8, 400),
            };
            let seq = if flags & syn != 0 { 1000 } else { 1001 + mine };
            let answer = if step == 0 { 0 } else { 1001 + other };
            let ports = if there { (40_000 + pair as u16, 443) } else { (443, 40_000 + pair as u16) };
            let (src, dst) = if there { (host, server) } else { (server, host) };
            let mut tcp = cat(&[&u16::to_be_bytes(ports.0), &u16::to_be_bytes(ports.1)]);
            tcp.extend(cat(&[
                &seq.to_be_bytes(),
                &answer.to_be_bytes(),
                &[0x50, flags, 0xff, 0xff, 0, 0, 0, 0],
            ]));
            tcp.resize(20 + payload, step as u8);
            all.push(Segment { src, dst, there, id: step as u16, bytes: tcp });
        }
    }
    all
}

/// Ways to carry a segment.
#[derive(Clone, Copy, PartialEq, Debug)]
enum Way {
    Plain,
    Vlan,
    QinQ,
    Gre,
    Vxlan,
    Fragments,
    Mpls,
}

fn frames(way: Way, rounds: u32) -> Vec<Vec<u8>> {
    let mut out = Vec::new();
    for s in conversations(rounds) {
        let whole = v4(s.src, s.dst, 6, s.id, 0, &s.bytes);
        let (near, far) = if s.there { (0xc000_0201, 0xc000_0202) } else { (0xc000_0202, 0xc000_0201) };
        let tunnel = |protocol, body: &[u8]| ethernet(0x0800, &v4(near, far, protocol, s.id, 0, body));
        match way {
            Way::Plain => out.push(ethernet(0x0800, &whole)),
            Way::Vlan => out.push(ethernet(0x8100, &cat(&[&[0x60, 42, 8, 0], &whole]))),
            Way::QinQ => out.push(ethernet(0x88a8, &cat(&[&[0, 9, 0x81, 0, 0, 42, 8, 0], &whole]))),
            Way::Gre => out.push(tunnel(47, &cat(&[&[0, 0, 8, 0], &whole]))),
            Way::Mpls => out.push(ethernet(0x8847, &cat(&[&[0, 1, 0x01, 64], &whole]))),
            Way::Vxlan => {
                let port = if s.there { 51_111 } else { 52_222 } + s.id % 7;
                let inner = ethernet(0x0800, &whole);
                out.push(tunnel(17, &udp(port, 4789, &cat(&[&[8, 0, 0, 0, 0, 0, 9, 0], &inner]))));
            }
            Way::Fragments if s.bytes.len() > 100 => {
                let (a, b) = s.bytes.split_at(104);
                out.push(ethernet(0x0800, &v4(s.src, s.dst, 6, s.id, 0x2000, a)));
                out.push(ethernet(0x0800, &v4(s.src, s.dst, 6, s.id, 104 / 8, b)));
            }
            Way::Fragments => out.push(ethernet(0x0800, &whole)),
        }
    }
    out
}

/// The flow records of a run, without what depends on the clock.
fn flows(dir: &Path) -> Vec<String> {
    let text = std::fs::read_to_string(dir.join("eve.json")).unwrap();
    let mut flows: Vec<String> = text
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).unwrap())
        .filter(|v| v["event_type"] == "flow")
        .map(|mut v| {
            for key in ["timestamp", "flow_id"] {
                v.as_object_mut().unwrap().remove(key);
            }
            for key in ["start", "end", "age"] {
                v["flow"].as_object_mut().unwrap().remove(key);
            }
            v.to_string()
        })
        .collect();
    flows.sort();
    flows
}

fn replayed(dir: &Path, frames: &[Vec<u8>]) -> Vec<String> {
    let at = |i: usize| 1_700_000_000_000_000_000 + i as i64 * 25_000;
    let frames: Vec<Frame> = frames
        .iter()
        .enumerate()
        .map(|(i, bytes)| Frame { nanos: at(i), bytes: bytes.clone(), wire_len: bytes.len() as u32, link: 1 })
        .collect();
    let path = dir.join("sent.pcap");
    std::fs::write(&path, Classic::MICRO.file(&frames)).unwrap();
    run::replay(setup(dir, 1), &[path], &mut |_, _| {}).unwrap();
    flows(dir)
}

/// Frames seen, dropped, handed over, misplaced.
fn accounts(summary: &RunSummary) -> (u64, u64, u64, u64) {
    let (front, total) = (&summary.stats.front, summary.stats.total());
    let known = front.decoded + front.skipped.iter().sum::<u64>() + front.fragments_held;
    assert_eq!(front.frames, known, "{front:?}");
    assert_eq!(front.kernel_frames, front.frames + front.kernel_drops, "{front:?}");
    (front.frames, front.kernel_drops, total.handed, total.misplaced)
}

#[test]
fn frames_sent_are_frames_seen_and_flows_are_those_of_a_replay() {
    let (_turn, Some(cable)) = (turn(), cable()) else { return };
    for way in [Way::Plain, Way::Vlan, Way::QinQ, Way::Gre, Way::Vxlan, Way::Fragments, Way::Mpls] {
        let frames = frames(way, 10);
        let replay = replayed(&dir("replay"), &frames);
        assert_eq!(replay.len(), PAIRS as usize, "{way:?}");
        for workers in [1, 2, 4] {
            let dir = dir("live");
            let mut sent = 0;
            let (summary, _) = capture(&cable, &dir, workers, small(), |_| {
                sent = cable.send(&frames, RATE).unwrap();
            });
            let (seen, dropped, handed, misplaced) = accounts(&summary);
            assert_eq!((sent, dropped, misplaced), (seen, 0, 0), "{way:?} {workers}");
            let walkable = way != Way::Mpls || workers == 1;
            assert_eq!(handed == 0, walkable, "{way:?} {workers}: {handed}");
            assert_eq!(summary.stats.fronts.len(), workers);
            assert_eq!(flows(&dir), replay, "{way:?} {workers}");
        }
    }
}

#[test]
fn an_undersized_ring_drops_and_says_exactly_how_many() {
    let (_turn, Some(cable)) = (turn(), cable()) else { return };
    let tiny = RingConfig { block_bytes: 4096, blocks: 2, ..RingConfig::default() };
    let frames: Vec<_> =
        (0..20_000).map(|_| ethernet(0x0800, &v4(1, 2, 17, 7, 0, &udp(5, 6, &[7; 1200])))).collect();
    for workers in [1, 2] {
        let mut sent = 0;
        let (summary, _) =
            capture(&cable, &dir("tiny"), workers, tiny, |_| sent = cable.send(&frames, 0).unwrap());
        let (seen, dropped, ..) = accounts(&summary);
        assert_eq!(sent, seen + dropped);
        assert!(dropped > 0 && seen > 0, "{seen} {dropped}");
        assert!(summary.stats.front.freezes > 0);
    }
}

/// Captures with a filter. Gives the frames that came through.
fn through(cable: &Cable, filter: &str, frames: &[Vec<u8>]) -> u64 {
    let dir = dir("filter");
    let mut live = Live::default();
    live.capture.interfaces = vec![FAR.to_owned()];
    live.capture.ring = RingConfig { snap: 96, ..small() };
    live.capture.filter = Some(Filter::parse(filter).unwrap());
    let (ready, stop) = (Mutex::new(Vec::new()), Arc::clone(&live.stop));
    let summary = std::thread::scope(|scope| {
        let (ready, live, setup) = (&ready, &live, setup(&dir, 2));
        let sensor = scope.spawn(move || {
            let mut hear = |notice: Notice| ready.lock().unwrap().push(notice);
            cable.at_tap(|| run::live::run(setup, live, &mut hear)).unwrap().unwrap()
        });
        wait_for(ready, |n| *n == Notice::Ready);
        cable.send(frames, RATE).unwrap();
        stop.store(true, Ordering::Relaxed);
        sensor.join().unwrap()
    });
    let (seen, dropped, ..) = accounts(&summary);
    assert_eq!(dropped, 0);
    // The headers tell the lengths of what was not kept.
    let payload = |flow: &String| flow.contains("\"payload_toserver\":1300");
    assert!(flows(&dir).iter().all(payload), "{:?}", flows(&dir));
    seen
}

#[test]
fn a_filter_holds_and_the_snap_length_with_it() {
    let (_turn, Some(cable)) = (turn(), cable()) else { return };
    // One large datagram for each of several ports, plain and in a VLAN.
    let frames: Vec<_> = (0..100u16)
        .map(|n| {
            let packet =
                v4(0x0a00_0001, 0xc633_6401, 17, n + 1, 0, &udp(40_000 + n, 5_000 + n % 2, &[7; 1_300]));
            if n < 60 {
                ethernet(0x0800, &packet)
            } else {
                ethernet(0x8100, &cat(&[&[0, 42, 8, 0], &packet]))
            }
        })
        .collect();
    // `udp dst port 5001` without VLAN tags, as tcpdump prints it for Ethernet.
    let numbers =
        "9,40 0 0 12,21 0 6 2048,48 0 0 23,21 0 4 17,177 0 0 14,72 0 0 16,21 0 1 5001,6 0 0 262144,6 0 0 0";
    // The kernel takes the outer tag out of the frame before the filter looks.
    assert_eq!(through(&cable, numbers, &frames), 50);
    if cfg!(feature = "libpcap") {
        assert_eq!(through(&cable, "udp dst port 5001 and not vlan", &frames), 30);
        assert_eq!(through(&cable, "vlan 42 and udp dst port 5000", &frames), 20);
        assert_eq!(through(&cable, "greater 60", &frames), 100);
    }
}

#[test]
fn an_interface_may_go_and_come_back() {
    let (_turn, Some(cable)) = (turn(), cable()) else { return };
    let frames = frames(Way::Plain, 4);
    let mut sent = 0;
    let (summary, notices) = capture(&cable, &dir("away"), 2, small(), |notices| {
        sent += cable.send(&frames, RATE).unwrap();
        cable.set_tap("down").unwrap();
        wait_for(notices, |n| matches!(n, Notice::Down(_)));
        cable.set_tap("up").unwrap();
        wait_for(notices, |n| matches!(n, Notice::Back(_)));
        sent += cable.send(&frames, RATE).unwrap();
        std::thread::sleep(Duration::from_millis(100));
        notices.lock().unwrap().clear();
        cable.unplug().unwrap();
        wait_for(notices, |n| matches!(n, Notice::Gone(_)));
        cable.plug().unwrap();
        wait_for(notices, |n| matches!(n, Notice::Back(_)));
        sent += cable.send(&frames, RATE).unwrap();
    });
    let (seen, dropped, handed, _) = accounts(&summary);
    assert_eq!((sent, handed), (seen + dropped, 0), "{notices:?}");
}

#[test]
fn several_interfaces_come_together() {
    let (_turn, Some(cable)) = (turn(), cable()) else { return };
    cable.plug_second().unwrap();
    let (dir, frames) = (dir("several"), frames(Way::Plain, 10));
    let replay = replayed(&self::dir("several-replay"), &frames);
    let mut live = Live::default();
    live.capture.interfaces = vec![FAR.to_owned(), "tap1".to_owned()];
    live.capture.ring = small();
    // The two directions of a tap: hosts have addresses in 10.0.0.0/8. Rounds go there, then back, as on a slow line.
    let rounds: Vec<&[Vec<u8>]> = frames.chunk_by(|a, b| (a[26] == 10) == (b[26] == 10)).collect();
    let (ready, stop, mut sent) = (Mutex::new(Vec::new()), Arc::clone(&live.stop), 0);
    let summary = std::thread::scope(|scope| {
        let (ready, live, setup, cable) = (&ready, &live, setup(&dir, 2), &cable);
        let sensor = scope.spawn(move || {
            let mut hear = |notice: Notice| ready.lock().unwrap().push(notice);
            cable.at_tap(|| run::live::run(setup, live, &mut hear)).unwrap().unwrap()
        });
        wait_for(ready, |n| *n == Notice::Ready);
        for round in rounds {
            let near = if round[0][26] == 10 { "gen0" } else { "gen1" };
            sent += cable.send_from(near, round, RATE).unwrap();
            // Blocks are handed over after 10 ms.
            std::thread::sleep(Duration::from_millis(30));
        }
        stop.store(true, Ordering::Relaxed);
        sensor.join().unwrap()
    });
    let (seen, dropped, ..) = accounts(&summary);
    assert_eq!((sent, dropped), (seen, 0));
    assert_eq!(flows(&dir), replay);
}

/// The built program, capturing.
fn program(cable: &Cable, dir: &Path, more: &[&str]) -> Child {
    let child = Command::new("ip")
        .args(["netns", "exec", cable.tap_name(), env!("CARGO_BIN_EXE_egret"), "live", "-i", FAR])
        .args(["--ring", "16MiB", "-o"])
        .arg(dir)
        .args(more)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let began = Instant::now();
    // It is up when the log is there and what is sent arrives: sent until then, it does not count.
    while std::fs::metadata(dir.join("eve.json")).is_err() && began.elapsed() < Duration::from_secs(20) {
        std::thread::sleep(Duration::from_millis(20));
    }
    std::thread::sleep(Duration::from_secs(1));
    child
}

fn signal(child: &Child, name: &str) {
    assert!(Command::new("kill").args([name, &child.id().to_string()]).status().unwrap().success());
}

#[test]
fn logs_are_rotated_and_reopened_while_it_runs() {
    let (_turn, Some(cable)) = (turn(), cable()) else { return };
    let dir = dir("rotated");
    // A run that is killed leaves lines under the plain name; the next puts them away and compresses them.
    std::fs::write(dir.join("eve.json"), "{\"event_type\":\"old\"}\n{\"half").unwrap();
    let every = ["--set", "output.rotate_every=1s"];
    let mut child = program(&cable, &dir, &every);
    let frames = frames(Way::Plain, 4);
    for _ in 0..4 {
        cable.send(&frames, RATE).unwrap();
        std::thread::sleep(Duration::from_millis(1_100));
    }
    signal(&child, "-TERM");
    assert!(child.wait().unwrap().success());
    let zipped = rotated(&dir);
    let old = zipped.iter().filter(|text| text.contains("\"old\"")).count();
    assert_eq!(old, 1, "{zipped:?}");
    for line in zipped.iter().flat_map(|text| text.lines()) {
        assert!(serde_json::from_str::<Value>(line).is_ok(), "{line}");
    }
    // Somebody else moves them: SIGHUP opens the file anew, and what is written goes there.
    std::fs::remove_file(dir.join("eve.json")).unwrap();
    let mut child = program(&cable, &dir, &["--set", "output.rotate=false"]);
    std::fs::rename(dir.join("eve.json"), dir.join("eve.json.1")).unwrap();
    signal(&child, "-HUP");
    let began = Instant::now();
    while !dir.join("eve.json").exists() {
        assert!(began.elapsed() < Duration::from_secs(20));
        std::thread::sleep(Duration::from_millis(20));
    }
    cable.send(&frames, RATE).unwrap();
    std::thread::sleep(Duration::from_millis(100));
    signal(&child, "-TERM");
    assert!(child.wait().unwrap().success());
    assert_eq!(flows(&dir).len(), PAIRS as usize);
}

/// The texts of the logs that have been put away and compressed.
fn rotated(dir: &Path) -> Vec<String> {
    let entries =
        |dir: &Path| -> Vec<PathBuf> { std::fs::read_dir(dir).unwrap().map(|e| e.unwrap().path()).collect() };
    let days = entries(dir).into_iter().filter(|path| path.is_dir());
    let files = days.flat_map(|day| entries(&day));
    let zipped = files.filter(|path| path.to_string_lossy().contains(".json.gz"));
    zipped
        .map(|path| {
            let mut text = String::new();
            flate2::read::GzDecoder::new(std::fs::File::open(path).unwrap())
                .read_to_string(&mut text)
                .unwrap();
            text
        })
        .collect()
}

#[test]
fn a_run_ends_after_so_many_frames_or_so_long() {
    let (_turn, Some(cable)) = (turn(), cable()) else { return };
    let mut live = Live { packets: Some(500), ..Live::default() };
    live.capture.interfaces = vec![FAR.to_owned()];
    live.capture.ring = small();
    let frames = frames(Way::Plain, 10);
    let summary = std::thread::scope(|scope| {
        let sensor =
            scope.spawn(|| cable.at_tap(|| run::live::run(setup(&dir("count"), 2), &live, &mut |_| {})));
        while !sensor.is_finished() {
            cable.send(&frames, RATE).unwrap();
        }
        sensor.join().unwrap().unwrap().unwrap()
    });
    assert_eq!(summary.stats.front.frames, 500);

    let live = Live { packets: None, duration: Some(Duration::from_millis(300)), ..live };
    live.stop.store(false, Ordering::Relaxed);
    let began = Instant::now();
    let summary =
        cable.at_tap(|| run::live::run(setup(&dir("time"), 1), &live, &mut |_| {})).unwrap().unwrap();
    assert_eq!(summary.stats.front.frames, 0);
    assert!(began.elapsed() < Duration::from_secs(5));
}

#[test]
fn what_cannot_be_opened_is_explained() {
    let mut live = Live::default();
    live.capture.interfaces = vec!["nosuch0".to_owned()];
    let Err(error) = run::live::run(setup(&dir("none"), 1), &live, &mut |_| {}) else { panic!("opened") };
    assert_eq!(error.to_string(), "nosuch0: no such interface; `egret interfaces` lists them");
}

#[test]
fn the_program_captures_until_a_signal_and_writes_stats() {
    let (_turn, Some(cable)) = (turn(), cable()) else { return };
    let dir = dir("program");
    let mut sensor = program(&cable, &dir, &["--json", "--workers", "2"]);
    let frames = frames(Way::Vlan, 10);
    let sent = cable.send(&frames, RATE).unwrap();
    signal(&sensor, "-TERM");
    let mut said = String::new();
    sensor.stdout.take().unwrap().read_to_string(&mut said).unwrap();
    assert!(sensor.wait().unwrap().success());
    assert!(serde_json::from_str::<Value>(&said).is_ok(), "{said}");
    let text = std::fs::read_to_string(dir.join("eve.json")).unwrap();
    let mut stats = text.lines().rev().map(|line| serde_json::from_str::<Value>(line).unwrap());
    let stats = stats.find(|v| v["event_type"] == "stats").unwrap();
    let capture = &stats["egret"]["capture"];
    assert_eq!(capture["kernel_frames"].as_u64(), Some(sent), "{capture}");
    // On a busy machine the ring may be too small for a pause: then it says so.
    let seen = capture["frames"].as_u64().unwrap() + capture["kernel_drops"].as_u64().unwrap();
    assert_eq!(seen, sent, "{capture}");
    let workers = stats["egret"]["workers"].as_array().unwrap();
    let each: Vec<u64> = workers.iter().map(|w| w["capture"]["kernel_frames"].as_u64().unwrap()).collect();
    assert_eq!((each.len(), each.iter().sum::<u64>()), (2, sent));
    assert!(text.lines().filter(|line| line.contains("\"in_iface\":\"tap0\"")).count() >= PAIRS as usize);
}

#[test]
fn interfaces_are_listed_in_their_namespace() {
    let (_turn, Some(cable)) = (turn(), cable()) else { return };
    let list = Command::new("ip")
        .args(["netns", "exec", cable.tap_name(), env!("CARGO_BIN_EXE_egret"), "interfaces"])
        .output()
        .unwrap();
    let text = String::from_utf8(list.stdout).unwrap();
    assert!(text.lines().any(|line| line.starts_with("tap0") && line.contains("Ethernet")), "{text}");
    assert!(text.contains("Packet capture is permitted."), "{text}");
}

/// How fast it goes here, by the generator's clock: `cargo test --release --test live -- --ignored --nocapture`.
#[test]
#[ignore = "a measurement"]
fn fastest() {
    let (_turn, Some(cable)) = (turn(), cable()) else { return };
    for (what, size, count) in [("60-byte", 18, 1_000_000), ("1400-byte", 1_358, 300_000)] {
        let frames: Vec<_> = (0..count)
            .map(|i: u32| {
                let body = udp(40_000 + (i % 1_000) as u16, 443, &vec![7; size]);
                ethernet(0x0800, &v4(0x0a00_0001 + i % 250, 0xc633_6401, 17, i as u16, 0, &body))
            })
            .collect();
        for workers in [1, 2] {
            let (mut sent, mut secs) = (0, 0.0);
            let (summary, _) = capture(&cable, &dir("fastest"), workers, RingConfig::default(), |_| {
                let began = Instant::now();
                sent = cable.send(&frames, 0).unwrap();
                secs = began.elapsed().as_secs_f64();
            });
            let (seen, dropped, ..) = accounts(&summary);
            assert_eq!(sent, seen + dropped);
            let rate = sent as f64 / secs;
            eprintln!(
                "{what} frames, {workers} workers: {rate:.0} sent a second, {dropped} of {sent} dropped"
            );
        }
    }
}
