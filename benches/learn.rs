//! What the learner costs: bytes of state for 100,000 hosts with 30 services each, and time of an update.

use criterion::{Criterion, criterion_group, criterion_main};
use egret::detect::learn::host::Part;
use egret::detect::learn::kind::Kind;
use egret::detect::learn::{Learner, Moved};
use std::hint::black_box;

const HOSTS: u32 = 100_000;
const SERVICES: u32 = 30;

/// Memory of this process in use.
fn resident() -> u64 {
    let text = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = text.lines().find(|l| l.starts_with("VmRSS:")).unwrap_or_default();
    line.split_whitespace().nth(1).and_then(|n| n.parse::<u64>().ok()).unwrap_or(0) * 1_024
}

fn moved(host: u32, service: u32, secs: i64) -> Moved {
    Moved { host, target: service, secs, bytes: (700, 900), push: false, opened: false }
}

/// Every host has used thirty of three hundred services.
fn full() -> Learner {
    let mut learner = Learner::default();
    for host in 0..HOSTS {
        learner.add_host(Part::default(), 0);
        if host < 300 {
            let name = format!("service{host}.example");
            learner.target(host, &name, &name, Kind::Storage, 0);
        }
    }
    for host in 0..HOSTS {
        for service in 0..SERVICES {
            learner.observe(&moved(host, (host + service * 7) % 300, i64::from(host % 3_600)));
        }
    }
    learner
}

fn learn(c: &mut Criterion) {
    let before = resident();
    let mut learner = full();
    let state = resident() - before;
    println!("{} pairs of {HOSTS} hosts: {} MB of state", learner.len(), state / 1_000_000);
    let mut at = 0u32;
    c.bench_function("update, any pair of three million", |b| {
        b.iter(|| {
            at = at.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            let host = at % HOSTS;
            let service = (host + (at >> 20) % SERVICES * 7) % 300;
            black_box(learner.observe(&moved(host, service, 7_200)))
        });
    });
    c.bench_function("update, one busy pair", |b| {
        b.iter(|| black_box(learner.observe(&moved(7, 7, 7_200))));
    });
}

criterion_group!(benches, learn);
criterion_main!(benches);
