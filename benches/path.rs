//! The packet path over traffic made here: hash, decoding, the table at several sizes, the whole path, classification.
//!
//! `cargo bench --bench path`. Figures are per packet; compare them within one run only.

use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use egret::capture::{Batch, LinkType, Slot};
use egret::decode::{Packet, Pair, Transport};
use egret::flow::key::{Key, KeyV4, Seeds, shard};
use egret::front::{Front, Sink};
use egret::signatures::Catalogue;
use egret::units::{Span, Timestamp};
use egret::worker::{Direct, Worker, WorkerConfig};
use std::hint::black_box;

const FLOWS: u32 = 1_000;
const PACKETS: u32 = 50_000;

/// One Ethernet frame of a TCP flow: SYN, SYN-ACK, then data one way and acknowledgements the other.
fn frame(flow: u32, turn: u32, seqs: &mut [u32; 2]) -> Vec<u8> {
    let down = turn % 2 == 1;
    let (flags, payload) = match turn {
        0 => (2u8, 0usize),
        1 => (18, 0),
        t if t % 2 == 0 => (24, 100),
        _ => (16, 0),
    };
    let mut f = vec![2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2, 8, 0, 0x45, 0];
    f.extend(((40 + payload) as u16).to_be_bytes());
    f.extend([0, 1, 0x40, 0, 64, 6, 0, 0]);
    let (client, server) = ((0x0a00_0000 | flow >> 8).to_be_bytes(), [203, 0, 113, 7]);
    let (sport, dport) = ((10_000 + (flow & 255) as u16).to_be_bytes(), 8443u16.to_be_bytes());
    let ends = if down { (server, client, dport, sport) } else { (client, server, sport, dport) };
    f.extend(ends.0);
    f.extend(ends.1);
    f.extend(ends.2);
    f.extend(ends.3);
    let side = usize::from(down);
    f.extend(seqs[side].to_be_bytes());
    f.extend(seqs[1 - side].to_be_bytes());
    f.extend([0x50, flags, 0xff, 0xff, 0, 0, 0, 0]);
    f.resize(f.len() + payload, 0xee);
    seqs[side] = seqs[side].wrapping_add(payload as u32 + u32::from(flags & 2 != 0));
    f
}

fn push(batch: &mut Batch, bytes: &[u8]) {
    batch.slots.push(Slot {
        at: Timestamp::new(1_700_000_000, batch.slots.len() as i64 * 1_000),
        offset: batch.bytes.len() as u32,
        captured: bytes.len() as u32,
        wire_len: bytes.len() as u32,
        link: LinkType::ETHERNET,
        vlan: u16::MAX,
    });
    batch.bytes.extend(bytes);
}

fn traffic() -> Batch {
    let mut batch = Batch::default();
    let mut seqs = vec![[1u32, 1u32]; FLOWS as usize];
    for i in 0..PACKETS {
        let flow = i.wrapping_mul(7919) % FLOWS;
        push(&mut batch, &frame(flow, i / FLOWS, &mut seqs[flow as usize]));
    }
    batch
}

/// Frames `turns` of every one of `count` flows, then as many acknowledgements of theirs as `more`, in random order.
fn established(first: u32, count: u32, turns: u32, more: u32) -> Batch {
    let mut batch = Batch::default();
    let mut seqs = vec![[1u32, 1u32]; count as usize];
    for turn in 0..turns {
        for (flow, seqs) in (first..).zip(&mut seqs) {
            push(&mut batch, &frame(flow, turn, seqs));
        }
    }
    for i in 0..more {
        let nth = i.wrapping_mul(2_654_435_761) % count;
        // An acknowledgement moves nothing, so that the same frames can come again and again.
        push(&mut batch, &frame(first + nth, 3, &mut seqs[nth as usize].clone()));
    }
    batch
}

/// Counts packets and does nothing with them.
struct Drop(u64);

impl<'b> Sink<'b> for Drop {
    fn lent(&mut self, packet: Packet<'b>) {
        self.0 += u64::from(packet.payload_len);
    }
    fn passing(&mut self, _: &Packet<'_>) {}
    fn tick(&mut self, _: Timestamp, _: u64) {}
}

fn work(worker: &mut Worker, front: &mut Front, batch: &Batch) {
    let mut sink = Direct::new(worker, batch.lend());
    front.batch(batch, &mut sink);
    sink.finish();
    drop(worker.take_told());
}

fn path(c: &mut Criterion) {
    let batch = traffic();
    let mut group = c.benchmark_group("path");
    group.throughput(Throughput::Elements(u64::from(PACKETS)));
    group.sample_size(20);
    group.bench_function("front: clock and decode", |b| {
        b.iter(|| {
            let mut sink = Drop(0);
            Front::default().batch(black_box(&batch), &mut sink);
            sink.0
        });
    });
    group.bench_function("front and worker, 1,000 flows from their start", |b| {
        b.iter_batched_ref(
            || Worker::new(WorkerConfig { flows: 1 << 16, ..WorkerConfig::default() }),
            |worker| work(worker, &mut Front::default(), black_box(&batch)),
            BatchSize::LargeInput,
        );
    });
    group.finish();
}

/// Packets of established flows, in random order, at several fillings of the table; then a flow a packet.
fn table(c: &mut Criterion) {
    let mut group = c.benchmark_group("table");
    group.sample_size(10);
    for (name, flows) in [("1k", 1_000), ("100k", 100_000), ("900k", 900_000)] {
        let mut worker = Worker::new(WorkerConfig { flows: 1 << 21, ..WorkerConfig::default() });
        let mut front = Front::default();
        for from in (0..flows).step_by(1_000) {
            work(&mut worker, &mut front, &established(from, 1_000, 6, 0));
        }
        let batch = established(0, flows, 6, 500_000);
        let first = batch.slots.len() - 500_000;
        let batch = Batch { slots: batch.slots[first..].to_vec(), bytes: batch.bytes };
        group.throughput(Throughput::Elements(500_000));
        let mut batch = batch;
        group.bench_function(format!("established, {name} flows"), |b| {
            b.iter(|| {
                // Time goes on: frames with the stamps of the last turn would be late, and take the long road.
                batch.slots.iter_mut().for_each(|slot| slot.at = slot.at.plus(Span::from_secs(1)));
                work(&mut worker, &mut front, black_box(&batch));
            });
        });
    }
    // Ten million flows over a table for one: every packet opens one and evicts another.
    let mut worker = Worker::new(WorkerConfig { flows: 1 << 20, ..WorkerConfig::default() });
    let (mut front, mut from) = (Front::default(), 0);
    group.throughput(Throughput::Elements(100_000));
    group.bench_function("a flow a packet, 10M flows", |b| {
        b.iter_batched_ref(
            || {
                from = (from + 100_000) % 10_000_000;
                established(from, 100_000, 1, 0)
            },
            |batch| work(&mut worker, &mut front, batch),
            BatchSize::LargeInput,
        );
    });
    group.finish();
}

fn units(c: &mut Criterion) {
    let seeds = Seeds::from_seed(7);
    let key = KeyV4::sorted(0x0a00_0001, 0xcb00_7107, 0x9c40_01bb, Transport::Tcp).0;
    c.bench_function("hash of a key", |b| b.iter(|| black_box(&key).hash(black_box(&seeds))));
    let pair = Pair::V4 { src: 0x0a00_0001, dst: 0xcb00_7107 };
    c.bench_function("owner of a pair", |b| b.iter(|| shard(black_box(&pair), black_box(&seeds), 2)));
    let catalogue = Catalogue::builtin();
    for name in ["content.dropboxapi.com", "static.example.net"] {
        c.bench_function(&format!("classify {name}"), |b| b.iter(|| catalogue.classify(black_box(name))));
    }
}

criterion_group!(benches, units, path, table);
criterion_main!(benches);
