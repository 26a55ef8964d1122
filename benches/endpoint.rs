//! What a record of an endpoint log costs, from the bytes of a file to the event.

use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use egret::endpoint::{Formats, Hint, Stream};

/// Records of one pass.
const RECORDS: usize = 2_000;

/// A log of many records like the first of a made-up one: hosts, ports, pids and times differ.
fn log(text: &str) -> Vec<u8> {
    let line = text.lines().next().expect("a line");
    let mut log = Vec::new();
    for n in 0..RECORDS {
        let line = line
            .replace("10.1.2.3", &format!("10.1.{}.{}", n / 250, n % 250 + 1))
            .replace("50123", &(20_000 + n * 7 % 40_000).to_string())
            .replace("4242", &(1_000 + n % 3_000).to_string());
        log.extend_from_slice(line.as_bytes());
        log.push(b'\n');
    }
    log
}

fn events(log: &[u8]) -> usize {
    let mut stream = Stream::new(Formats::built_in(), None).expect("no name");
    let (mut out, mut events) = (Vec::new(), 0);
    for piece in log.chunks(1 << 16) {
        stream.push(piece, &Hint::default(), &mut out);
        events += out.len();
        out.clear();
    }
    stream.finish(&Hint::default(), &mut out);
    events + out.len()
}

fn formats(c: &mut Criterion) {
    let mut group = c.benchmark_group("endpoint");
    group.throughput(Throughput::Elements(RECORDS as u64));
    for (name, text) in [
        ("ecs", include_str!("../tests/golden/endpoint/ecs.ndjson")),
        ("sysmon flat", include_str!("../tests/golden/endpoint/sysmon-flat.jsonl")),
        ("sysmon evtx json", include_str!("../tests/golden/endpoint/sysmon-evtx.jsonl")),
        ("defender", include_str!("../tests/golden/endpoint/defender.jsonl")),
        ("crowdstrike", include_str!("../tests/golden/endpoint/crowdstrike.jsonl")),
        ("sentinelone", include_str!("../tests/golden/endpoint/sentinelone.jsonl")),
        ("tetragon", include_str!("../tests/golden/endpoint/tetragon.jsonl")),
        ("osquery", include_str!("../tests/golden/endpoint/osquery.jsonl")),
        ("laurel", include_str!("../tests/golden/endpoint/laurel.jsonl")),
    ] {
        let log = log(text);
        assert_eq!(events(&log), RECORDS, "{name}");
        group.bench_function(name, |b| {
            b.iter_batched(|| log.as_slice(), |log| std::hint::black_box(events(log)), BatchSize::SmallInput);
        });
    }
    group.finish();
}

criterion_group!(benches, formats);
criterion_main!(benches);
