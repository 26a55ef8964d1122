//! What naming costs in the worker: flows with hellos against the same packets with a payload that no parser knows,
//! which are only counted.
//!
//! `cargo bench --bench names`. Each pair is measured in turns within one run; the last lines say the difference per
//! flow or packet and the ratio. `valgrind --tool=callgrind` over `--count` gives instructions, which are the same on a
//! busy machine.

use criterion::{BatchSize, Criterion, Throughput, criterion_group};
use egret::decode::{Packet, Pair, Path, Tcp, Transport};
use egret::units::Timestamp;
use egret::worker::{Worker, WorkerConfig};
use std::hint::black_box;
use std::time::{Duration, Instant};

macro_rules! fixture {
    ($name:literal) => {
        include_bytes!(concat!("../src/parse/fixtures/", $name)).as_slice()
    };
}

const SYN: u8 = 2;
const ACK: u8 = 16;
const SEGMENT: usize = 1_400;
/// Flows of a capture of short connections.
const FLOWS: u32 = 1_000;
/// Flows and packets of a capture of long ones.
const LONG: (u32, u32) = (100, 400);
/// Times that each of a pair is measured for the ratio.
const ROUNDS: usize = 40;

/// A packet before it has a payload borrowed from elsewhere.
struct Frame {
    flow: u32,
    down: bool,
    flags: u8,
    seq: u32,
    ack: u32,
    payload: &'static [u8],
}

/// Payload that flows have in common: it stays in the cache, as it does after a packet has been read.
fn keep(bytes: Vec<u8>) -> &'static [u8] {
    bytes.leak()
}

/// Frames of one flow of TCP in order.
#[derive(Default)]
struct Talk {
    frames: Vec<Frame>,
    next: [u32; 2],
}

impl Talk {
    fn say(&mut self, flow: u32, down: bool, flags: u8, payload: &'static [u8]) {
        let (own, other) = if down { (1, 0) } else { (0, 1) };
        let (seq, ack) = (self.next[own], self.next[other]);
        self.frames.push(Frame { flow, down, flags, seq, ack, payload });
        self.next[own] = seq + payload.len() as u32 + u32::from(flags & SYN != 0);
    }

    fn open(&mut self, flow: u32) {
        self.next = [1, 1];
        self.say(flow, false, SYN, &[]);
        self.say(flow, true, SYN | ACK, &[]);
        self.say(flow, false, ACK, &[]);
    }

    fn data(&mut self, flow: u32, down: bool, bytes: &'static [u8]) {
        for segment in bytes.chunks(SEGMENT) {
            self.say(flow, down, ACK | 8, segment);
            self.say(flow, !down, ACK, &[]);
        }
    }
}

/// Turns every payload into bytes that begin no protocol, of the same length.
fn unknown(frames: &[Frame]) -> Vec<Frame> {
    let other = keep(vec![0xee; SEGMENT]);
    let blind = |f: &Frame| Frame { payload: &other[..f.payload.len()], ..*f };
    frames.iter().map(blind).collect()
}

fn packet(i: usize, f: &Frame, transport: Transport) -> Packet<'static> {
    let at = Timestamp::new(1_700_000_000, i as i64 * 1_000);
    let (client, server) = (0x0a00_0000 | f.flow, 0xcb00_7109);
    let (from, to) = ((client, 10_000 + (f.flow % 50_000) as u16), (server, 443));
    let (from, to) = if f.down { (to, from) } else { (from, to) };
    let len = f.payload.len() as u32;
    Packet {
        pair: Pair::V4 { src: from.0, dst: to.0 },
        src_port: from.1,
        dst_port: to.1,
        transport,
        tcp: Tcp { seq: f.seq, ack: f.ack, flags: f.flags },
        at,
        since: at,
        frames: 1,
        now: at,
        ordinal: i as u64,
        payload: f.payload,
        payload_len: len,
        wire_len: len + 54,
        ip_len: len + 40,
        ip_id: 0,
        ttl: 64,
        path: Path::default(),
    }
}

fn packets(frames: &[Frame], transport: Transport) -> Vec<Packet<'static>> {
    frames.iter().enumerate().map(|(i, f)| packet(i, f, transport)).collect()
}

/// A server's answer of TLS 1.2 whose leaf has `len` bytes and a second certificate behind it.
fn with_leaf(down: &[u8], len: u16) -> &'static [u8] {
    let hello = 5 + usize::from(u16::from_be_bytes([down[3], down[4]]));
    let record = hello + 5 + usize::from(u16::from_be_bytes([down[hello + 3], down[hello + 4]]));
    let mut leaf = down[hello + 15..record].to_vec();
    leaf.resize(usize::from(len), 0);
    leaf[2..4].copy_from_slice(&(len - 4).to_be_bytes());
    let three = |n: u16| [0, (n >> 8) as u8, n as u8];
    let list = [&three(len)[..], &leaf, &three(len), &leaf].concat();
    let message = [&[11][..], &three(3 + list.len() as u16), &three(list.len() as u16), &list].concat();
    let framed = [&down[hello..hello + 3], &(message.len() as u16).to_be_bytes(), &message].concat();
    keep([&down[..hello], &framed, &down[record..]].concat())
}

/// Connections of TLS 1.3 or 1.2: hellos, the rest of the handshake, and no more.
fn handshakes(up: &'static [u8], down: &'static [u8]) -> Vec<Frame> {
    let mut talk = Talk::default();
    for flow in 0..FLOWS {
        talk.open(flow);
        let hello = 5 + usize::from(u16::from_be_bytes([up[3], up[4]]));
        talk.data(flow, false, &up[..hello]);
        talk.data(flow, true, down);
        talk.data(flow, false, &up[hello..]);
    }
    talk.frames
}

/// QUIC: the client's Initial, the server's, and a few datagrams more.
fn quic() -> Vec<Frame> {
    let initial = fixture!("quic-v1.bin");
    // A long header of the same version with the id that the server chose.
    let mut answer = vec![0xe0, 0, 0, 0, 1, 0, 8, 1, 2, 3, 4, 5, 6, 7, 8, 0x44, 0x00];
    answer.resize(1_200, 0x55);
    let (answer, short) = (keep(answer), keep(vec![0x41; 400]));
    let mut frames = Vec::new();
    for flow in 0..FLOWS {
        let mut say = |down: bool, payload: &'static [u8]| {
            frames.push(Frame { flow, down, flags: 0, seq: 0, ack: 0, payload });
        };
        say(false, initial);
        say(true, answer);
        for _ in 0..3 {
            say(false, short);
            say(true, short);
        }
    }
    frames
}

/// TLS connections that are known by now, each with many segments of data, in turns. `record`: length of the records.
fn uploads(record: usize) -> (Vec<Frame>, usize) {
    let mut talks: Vec<Talk> = (0..LONG.0).map(|_| Talk::default()).collect();
    let up = fixture!("tls13.up");
    let hello = 5 + usize::from(u16::from_be_bytes([up[3], up[4]]));
    for (flow, talk) in (0..).zip(&mut talks) {
        talk.open(flow);
        talk.data(flow, false, &up[..hello]);
        talk.data(flow, true, fixture!("tls13.down"));
    }
    let head = talks[0].frames.len();
    let mut stream = Vec::new();
    while stream.len() < LONG.1 as usize * SEGMENT {
        stream.extend([23, 3, 3]);
        stream.extend((record as u16).to_be_bytes());
        stream.resize(stream.len() + record, 0x77);
    }
    let stream = keep(stream);
    for (flow, talk) in (0..).zip(&mut talks) {
        talk.data(flow, false, &stream[..LONG.1 as usize * SEGMENT]);
    }
    let mut turns: Vec<_> = talks.into_iter().map(|t| t.frames.into_iter()).collect();
    let mut begins = Vec::new();
    for turn in &mut turns {
        begins.extend(turn.take(head));
    }
    let known = begins.len();
    loop {
        let before = begins.len();
        begins.extend(turns.iter_mut().filter_map(Iterator::next));
        if begins.len() == before {
            return (begins, known);
        }
    }
}

fn worker() -> Worker {
    Worker::new(WorkerConfig { flows: 1 << 13, ..WorkerConfig::default() })
}

fn run(worker: &mut Worker, packets: &[Packet<'_>]) -> usize {
    let mut told = 0;
    for chunk in packets.chunks(32) {
        worker.packets(chunk);
        told += worker.take_told().len();
    }
    told
}

/// One comparison: packets that set the scene, packets that are measured, and how many things those are.
struct Case {
    name: &'static str,
    each: &'static str,
    transport: Transport,
    frames: Vec<Frame>,
    scene: usize,
    count: u64,
}

fn cases() -> Vec<Case> {
    let flows = |name, transport, frames| Case {
        name,
        each: "flow",
        transport,
        frames,
        scene: 0,
        count: u64::from(FLOWS),
    };
    let long = |name, record| {
        let (frames, scene) = uploads(record);
        let count = (frames.len() - scene) as u64;
        Case { name, each: "packet", transport: Transport::Tcp, frames, scene, count }
    };
    vec![
        flows("tls 1.3 flow", Transport::Tcp, handshakes(fixture!("tls13.up"), fixture!("tls13.down"))),
        flows("tls 1.2 flow", Transport::Tcp, handshakes(fixture!("tls12.up"), fixture!("tls12.down"))),
        flows(
            "tls 1.2 flow, leaf of 1.8 KB",
            Transport::Tcp,
            handshakes(fixture!("tls12.up"), with_leaf(fixture!("tls12.down"), 1_800)),
        ),
        flows("quic flow", Transport::Udp, quic()),
        long("packet of a named flow, records of 16 KiB", 16_401),
        long("packet of a named flow, records of 1 KiB", 1_024),
    ]
}

fn bench(c: &mut Criterion) {
    for case in cases() {
        let blind = unknown(&case.frames);
        let mut group = c.benchmark_group(case.name);
        group.throughput(Throughput::Elements(case.count)).sample_size(10);
        group.warm_up_time(Duration::from_millis(100)).measurement_time(Duration::from_millis(500));
        for (what, frames) in [("counted", &blind), ("named", &case.frames)] {
            let packets = packets(frames, case.transport);
            let (scene, measured) = packets.split_at(case.scene);
            let begin = || {
                let mut worker = worker();
                run(&mut worker, scene);
                worker
            };
            group.bench_function(what, |b| {
                b.iter_batched(
                    begin,
                    |mut worker| (run(&mut worker, black_box(measured)), worker),
                    BatchSize::PerIteration,
                );
            });
        }
        group.finish();
    }
}

/// The best of many rounds of both, in turns.
fn compare(case: &Case) -> [Duration; 2] {
    let blind = unknown(&case.frames);
    let both = [packets(&blind, case.transport), packets(&case.frames, case.transport)];
    let mut best = [Duration::MAX; 2];
    for _ in 0..ROUNDS {
        for (packets, best) in both.iter().zip(&mut best) {
            let (scene, measured) = packets.split_at(case.scene);
            let mut worker = worker();
            run(&mut worker, scene);
            let began = Instant::now();
            black_box(run(&mut worker, black_box(measured)));
            *best = began.elapsed().min(*best);
        }
    }
    best
}

/// One case once, for somebody who counts instructions: `names --count counted|named CASE`. What a packet or flow costs
/// is the difference to `--scene counted|named CASE`, which stops where the measured part begins.
fn count() -> bool {
    let arguments: Vec<_> = std::env::args().collect();
    let is = |w: &&[String]| w[0] == "--count" || w[0] == "--scene";
    let Some([how, what, name]) = arguments.windows(3).find(is) else { return false };
    for case in cases().iter().filter(|c| c.name == name) {
        let frames = if what == "named" { &case.frames } else { &unknown(&case.frames) };
        let packets = packets(frames, case.transport);
        let (scene, measured) = packets.split_at(case.scene);
        let mut worker = worker();
        run(&mut worker, scene);
        if how == "--count" {
            run(&mut worker, measured);
        }
        println!("{how} {what} {name}: {} of them", case.count);
    }
    true
}

criterion_group!(benches, bench);

fn main() {
    if count() {
        return;
    }
    benches();
    Criterion::default().configure_from_args().final_summary();
    if std::env::args().any(|a| a == "--test" || a == "--list") {
        return;
    }
    println!(
        "\n{:<44} {:>12} {:>12} {:>10} {:>7}",
        "best of rounds in turns", "counted", "named", "more", "ratio"
    );
    let only = std::env::args().skip(1).find(|a| !a.starts_with('-'));
    for case in cases().into_iter().filter(|c| only.as_ref().is_none_or(|o| c.name.contains(&**o))) {
        let [counted, named] = compare(&case).map(|d| d.as_nanos() as f64 / case.count as f64);
        let (more, ratio) = (named - counted, named / counted);
        println!(
            "{:<44} {counted:>9.0} ns {named:>9.0} ns {more:>7.0} ns {ratio:>7.2}  a {}",
            case.name, case.each
        );
    }
}
