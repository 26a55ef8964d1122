//! Floods of hellos that never become whole: memory stays bounded, everything is counted.
//!
//! `cargo test --release --test floods -- --ignored --nocapture` runs the million and prints time and memory.

use egret::decode::{Packet, Pair, Path, Tcp, Transport};
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

#[test]
#[ignore = "a million of each: for figures, in release"]
fn a_million_of_each() {
    let plain = flood(1_000_000, Transport::Tcp, &[], 1 << 20);
    println!("plain: {} MiB, {} ns each", plain.mib, plain.ns_each);
    for (transport, payload) in [(Transport::Tcp, &half_hello()[..]), (Transport::Udp, HALF_INITIAL)] {
        let seen = flood(1_000_000, transport, payload, 1 << 20);
        println!("{transport:?}: {} given up, {} MiB, {} ns each", seen.given_up, seen.mib, seen.ns_each);
    }
}
