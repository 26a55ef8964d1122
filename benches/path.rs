//! The packet path: decoding alone, flow accounting alone, and both with names, over traffic made here.
//!
//! `cargo bench --bench path`. Figures are per packet; compare them within one run only.

use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use egret::capture::{Batch, LinkType, Slot};
use egret::decode::Packet;
use egret::front::{Front, Sink};
use egret::units::Timestamp;
use egret::worker::{Worker, WorkerConfig};
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
    let (client, server) = ((0x0a00_0000 | flow).to_be_bytes(), [203, 0, 113, 7]);
    let (sport, dport) = ((10_000 + flow as u16).to_be_bytes(), 8443u16.to_be_bytes());
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

fn traffic() -> Batch {
    let mut batch = Batch::default();
    let mut seqs = vec![[1u32, 1u32]; FLOWS as usize];
    for i in 0..PACKETS {
        let flow = i.wrapping_mul(7919) % FLOWS;
        let bytes = frame(flow, i / FLOWS, &mut seqs[flow as usize]);
        batch.slots.push(Slot {
            at: Timestamp::new(1_700_000_000, i64::from(i) * 10_000),
            offset: batch.bytes.len() as u32,
            captured: bytes.len() as u32,
            wire_len: bytes.len() as u32,
            link: LinkType::ETHERNET,
            vlan: u16::MAX,
        });
        batch.bytes.extend(bytes);
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

/// Gives packets to a worker, 32 at a time.
struct Work<'b>(Worker, Vec<Packet<'b>>);

impl<'b> Sink<'b> for Work<'b> {
    fn lent(&mut self, packet: Packet<'b>) {
        self.1.push(packet);
        if self.1.len() == 32 {
            self.0.packets(&self.1);
            self.1.clear();
        }
    }
    fn passing(&mut self, packet: &Packet<'_>) {
        self.0.packets(std::slice::from_ref(packet));
    }
    fn tick(&mut self, now: Timestamp, ordinal: u64) {
        self.0.tick(now, ordinal);
    }
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
    group.bench_function("front and worker, 1,000 flows", |b| {
        b.iter_batched(
            || Worker::new(WorkerConfig { flows: 1 << 16, ..WorkerConfig::default() }),
            |worker| {
                let mut sink = Work(worker, Vec::with_capacity(32));
                Front::default().batch(black_box(&batch), &mut sink);
                sink.0
            },
            BatchSize::LargeInput,
        );
    });
    group.finish();
}

criterion_group!(benches, path);
criterion_main!(benches);
