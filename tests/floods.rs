//! Floods of hellos that never become whole: memory stays bounded, everything is counted.
//!
//! `cargo test --release --test floods -- --ignored --nocapture` runs the million and prints time and memory.

mod common;

use common::pipeline::{Frame, through};
use common::traffic::{ACK, Conn, ip_frame, udp};
use egret::capture::{Batch, Fault, Slot, Source};
use egret::config::Config;
use egret::decode::{Packet, Pair, Path, Tcp, Transport};
use egret::observe::{Telling, Told};
use egret::parse::GiveUp;
use egret::units::Timestamp;
use egret::worker::{Worker, WorkerConfig};
use std::time::Instant;

/// Resident memory of this process in MiB; 0 where the system does not say.
fn resident() -> u64 {
    let text = std::fs::read_to_string("/proc/self/statm").unwrap_or_default();
    text.split(' ').nth(1).and_then(|pages| pages.parse::<u64>().ok()).unwrap_or(0) * 4 / 1024
}

fn packet(i: u32, transport: Transport, payload: &[u8]) -> Packet<'_> {
    let at = Timestamp::new(1_700_000_000, 0);
    Packet {
        pair: Pair::V4 { src: 0x0a00_0000 | (i >> 8), dst: 0xcb00_7109 },
        src_port: 10_000 + (i & 0xff) as u16,
        dst_port: 443,
        transport,
        tcp: Tcp { seq: 1, ack: 1, flags: 0x18 },
        at,
        since: at,
        frames: 1,
        now: at,
        ordinal: u64::from(i),
        payload,
        payload_len: payload.len() as u32,
        wire_len: payload.len() as u32 + 54,
        ip_len: payload.len() as u32 + 40,
        ip_id: 0,
        ttl: 64,
        path: Path::default(),
    }
}

struct Seen {
    given_up: u64,
    mib: u64,
    ns_each: u128,
}

fn flood(count: u32, transport: Transport, payload: &[u8], flows: usize) -> Seen {
    let mut worker = Worker::new(WorkerConfig { flows, ..WorkerConfig::default() });
    let (before, began) = (resident(), Instant::now());
    for i in 0..count {
        worker.packets(&[packet(i, transport, payload)]);
        drop(worker.take_told());
    }
    let ns_each = began.elapsed().as_nanos() / u128::from(count);
    let given_up = worker.counters().given_up[GiveUp::TooLong as usize];
    assert_eq!(worker.counters().opened, u64::from(count));
    Seen { given_up, mib: resident().saturating_sub(before), ns_each }
}

/// The first 1,400 bytes of a hello that announces 1,800.
fn half_hello() -> Vec<u8> {
    let mut hello = vec![22, 3, 1, 7, 8, 1, 0, 7, 4, 3, 3];
    hello.resize(1_400, 0x41);
    hello
}

/// The first of two datagrams that a hello takes.
const HALF_INITIAL: &[u8] = include_bytes!("../src/parse/fixtures/quic-shuffled-1.bin");

#[test]
fn half_hellos_and_initials_are_given_up_oldest_first() {
    // A small table, so that evictions are seen to free what they held.
    for (transport, payload) in [(Transport::Tcp, &half_hello()[..]), (Transport::Udp, HALF_INITIAL)] {
        // Without optimisation the keys of one Initial take milliseconds.
        if transport == Transport::Udp && cfg!(debug_assertions) {
            continue;
        }
        let seen = flood(60_000, transport, payload, 1 << 17);
        assert!(seen.given_up > 5_000, "{transport:?}: {} given up", seen.given_up);
        assert!(seen.mib <= 256, "{transport:?}: {} MiB", seen.mib);
        println!("{transport:?}: {} given up, {} MiB, {} ns each", seen.given_up, seen.mib, seen.ns_each);
    }
}

/// In a flood of hellos that nobody can name, new ones are mostly just counted; a second later names are read again.
#[test]
fn a_flood_of_initials_degrades_to_counting() {
    // Without optimisation the keys of one Initial take milliseconds.
    if cfg!(debug_assertions) {
        return;
    }
    let mut worker = Worker::new(WorkerConfig { flows: 1 << 16, ..WorkerConfig::default() });
    let given_up = |worker: &Worker| worker.counters().given_up[GiveUp::TooLong as usize];
    let named = |worker: &Worker| worker.counters().names.iter().sum::<u64>();
    let whole = include_bytes!("../src/parse/fixtures/quic-v1.bin");
    for i in 0..16_000 {
        worker.packets(&[packet(i, Transport::Udp, HALF_INITIAL)]);
    }
    assert_eq!(given_up(&worker), 0);
    for i in 16_000..32_000 {
        worker.packets(&[packet(i, Transport::Udp, HALF_INITIAL)]);
    }
    assert!((14_000..16_000).contains(&given_up(&worker)), "{}", given_up(&worker));
    worker.packets(&[packet(32_001, Transport::Udp, whole)]);
    assert_eq!(named(&worker), 0);
    worker.tick(Timestamp::new(1_700_000_001, 0), 32_002);
    worker.packets(&[packet(32_003, Transport::Udp, whole)]);
    assert_eq!(named(&worker), 1);
}

/// Who says a little and gets no answer is told of once, at the end: a flood leaves nothing behind in the detector.
#[test]
fn a_little_without_an_answer_is_told_at_the_end() {
    let mut worker = Worker::new(WorkerConfig { flows: 1 << 10, ..WorkerConfig::default() });
    let (half, unknown) = (half_hello(), [0xee; 1_400]);
    let mut seconds = 0;
    let mut wait = |worker: &mut Worker, n: u64| {
        for _ in 0..n {
            seconds += 1;
            worker.tick(Timestamp::new(1_700_000_000 + seconds, 0), 1_000 + seconds as u64);
        }
        let sum = |t: Told| match t.what {
            Telling::Delta(delta) => Some((delta.ends.originator_port, delta.bytes.up)),
            _ => None,
        };
        worker.take_told().into_iter().filter_map(sum).collect::<Vec<_>>()
    };
    let of = |flow, number| packet(flow, Transport::Tcp, if number == 0 { &half } else { &unknown });
    worker.packets(&[of(0, 0), of(1, 1), of(2, 2)]);
    // Longer than the time between two sweeps.
    assert_eq!(wait(&mut worker, 40), []);
    let answer = of(1, 1);
    let pair = Pair::V4 { src: 0xcb00_7109, dst: 0x0a00_0000 };
    worker.packets(&[Packet { pair, src_port: 443, dst_port: 10_001, ..answer }]);
    assert_eq!(wait(&mut worker, 1), [(10_001, 1_400)]);
    for n in 1..12 {
        let tcp = Tcp { seq: 1 + n * 1_400, ..of(2, 2).tcp };
        worker.packets(&[Packet { tcp, ..of(2, 2) }]);
    }
    assert_eq!(wait(&mut worker, 1), [(10_002, 12 * 1_400)]);
    worker.finish(Timestamp::new(1_700_000_100, 0), 2_000);
    let last = wait(&mut worker, 0);
    assert!(last.contains(&(10_000, 1_400)), "{last:?}");
}

/// A capture of one packet for each of many flows, made as it is read.
struct Flood {
    kind: String,
    next: u32,
    count: u32,
}

impl Flood {
    /// The frame of flow `i`: a hundred packets a millisecond, from 4,000 clients.
    fn frame(&self, i: u32) -> Frame {
        let at = 1_700_000_000_000_000_000 + i64::from(i) * 10_000;
        let ends = ([10, 0, (i >> 8) as u8 & 15, i as u8], [203, 0, (i >> 20) as u8, (i >> 12) as u8]);
        let (src, dst) = (10_000 + (i >> 16) as u16, 443);
        let unknown = vec![0xee; if self.kind.starts_with("tcp") { 1_400 } else { HALF_INITIAL.len() }];
        let mut payload = match &*self.kind {
            "tcp half hellos" => half_hello(),
            "udp half initials" | "udp initials nobody can open" => HALF_INITIAL.to_vec(),
            _ => unknown,
        };
        if self.kind.ends_with("open") {
            // Another connection id than the one it was sealed for.
            payload[6..10].copy_from_slice(&i.to_be_bytes());
        }
        if self.kind.starts_with("tcp") {
            let mut conn = Conn::new(ends.0.into(), src, ends.1.into(), dst, [1, 1]);
            conn.segment(at, 0, ACK, &payload, payload.len() as u32)
        } else {
            ip_frame(at, ends.0.into(), ends.1.into(), 17, &udp(src, dst, &payload), 0)
        }
    }
}

impl Source for Flood {
    fn fill(&mut self, batch: &mut Batch) -> bool {
        batch.clear();
        batch.bytes.clear();
        let end = (self.next + 500).min(self.count);
        for i in self.next..end {
            let frame = self.frame(i);
            batch.slots.push(Slot {
                at: frame.at,
                offset: batch.bytes.len() as u32,
                captured: frame.bytes.len() as u32,
                wire_len: frame.wire_len,
                link: frame.link,
                vlan: frame.vlan,
            });
            batch.bytes.extend_from_slice(&frame.bytes);
        }
        self.next = end;
        !batch.slots.is_empty()
    }

    fn faults(&self) -> &[Fault] {
        &[]
    }

    fn progress(&self) -> (u64, Option<u64>) {
        (0, None)
    }
}

/// Name of the variable that tells a process of its own which flood is its.
const KIND: &str = "EGRET_FLOOD";

/// Peak of resident memory of this process in MiB.
fn peak() -> u64 {
    let text = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = text.lines().find_map(|l| l.strip_prefix("VmHWM:"));
    line.and_then(|l| l.trim().split(' ').next()?.parse::<u64>().ok()).unwrap_or(0) / 1024
}

#[test]
#[ignore = "one flood of `a_million_of_each`, in a process of its own"]
fn one_million() {
    let Ok(kind) = std::env::var(KIND) else { return };
    let count = 1_000_000;
    let config = Config { workers: 1, ..Config::default() };
    let mut flood = Flood { kind: kind.clone(), next: 0, count };
    let began = Instant::now();
    let ran = through(config, "none", &mut flood);
    let took = began.elapsed();
    let total = ran.summary.stats.total();
    let given_up = GiveUp::ALL.iter().zip(total.given_up).filter(|(_, n)| *n > 0);
    let given_up: Vec<_> = given_up.map(|(why, n)| format!("{n} {}", why.as_str())).collect();
    println!(
        "{kind}: {} ns each, {} MiB at most, {} flows, {} evicted, given up: {}",
        took.as_nanos() / u128::from(count),
        peak(),
        total.opened,
        total.evicted,
        given_up.join(", ")
    );
}

#[test]
#[ignore = "a million of each: for figures, in release"]
fn a_million_of_each() {
    let kinds = [
        "tcp unknown",
        "tcp half hellos",
        "udp unknown",
        "udp half initials",
        "udp initials nobody can open",
    ];
    for kind in kinds {
        let program = std::env::current_exe().expect("a path");
        let mut command = std::process::Command::new(program);
        let ran = command.args(["--ignored", "--exact", "one_million", "--nocapture"]).env(KIND, kind);
        let output = ran.output().expect("runs");
        let text = String::from_utf8_lossy(&output.stdout);
        assert!(output.status.success(), "{kind}: {text}");
        text.lines().filter(|l| l.contains(kind)).for_each(|line| println!("{line}"));
    }
}
