//! A packet of an established flow asks for no memory: counted by the allocator itself.
#![allow(unsafe_code)]

use egret::capture::{Batch, LinkType, Slot};
use egret::front::Front;
use egret::units::Timestamp;
use egret::worker::{Direct, Worker, WorkerConfig};
use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicU64, Ordering};

/// The system's allocator, and how often it was asked.
struct Counting;

static ASKED: AtomicU64 = AtomicU64::new(0);

// SAFETY: every call goes to the system's allocator unchanged.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ASKED.fetch_add(1, Ordering::Relaxed);
        // SAFETY: the caller keeps the promises of `alloc`.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, memory: *mut u8, layout: Layout) {
        // SAFETY: the caller keeps the promises of `dealloc`.
        unsafe { System.dealloc(memory, layout) }
    }

    unsafe fn realloc(&self, memory: *mut u8, layout: Layout, new_size: usize) -> *mut u8 {
        ASKED.fetch_add(1, Ordering::Relaxed);
        // SAFETY: the caller keeps the promises of `realloc`.
        unsafe { System.realloc(memory, layout, new_size) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

const FLOWS: u16 = 500;

/// A frame over Ethernet: TCP of one flow, IPv4 or IPv6 in turn.
fn frame(flow: u16, down: bool, flags: u8, seq: u32, ack: u32, payload: &[u8]) -> Vec<u8> {
    let mut f = vec![2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2];
    let ports = if down { [443, 20_000 + flow] } else { [20_000 + flow, 443] };
    let len = 20 + payload.len() as u16;
    if flow.is_multiple_of(2) {
        f.extend([8, 0, 0x45, 0]);
        f.extend((20 + len).to_be_bytes());
        f.extend([0, 1, 0x40, 0, 64, 6, 0, 0]);
        let ends = [[10, 0, 0, 1], [203, 0, 113, 7]];
        f.extend(ends[usize::from(down)]);
        f.extend(ends[usize::from(!down)]);
    } else {
        f.extend([0x86, 0xdd, 0x60, 0, 0, 0]);
        f.extend(len.to_be_bytes());
        f.extend([6, 64]);
        let end = |last| [0x20, 1, 0xd, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, last];
        f.extend(end(1 + u8::from(down)));
        f.extend(end(2 - u8::from(down)));
    }
    ports.iter().for_each(|port| f.extend(port.to_be_bytes()));
    f.extend(seq.to_be_bytes());
    f.extend(ack.to_be_bytes());
    f.extend([0x50, flags, 0xff, 0xff, 0, 0, 0, 0]);
    f.extend(payload);
    f
}

/// Adds a frame to the batch that comes `after` so many others.
fn push(batch: &mut Batch, after: i64, bytes: &[u8]) {
    batch.slots.push(Slot {
        at: Timestamp::new(1_700_000_000, after + batch.slots.len() as i64),
        offset: batch.bytes.len() as u32,
        captured: bytes.len() as u32,
        wire_len: bytes.len() as u32,
        link: LinkType::ETHERNET,
        vlan: u16::MAX,
    });
    batch.bytes.extend(bytes);
}

fn work(worker: &mut Worker, front: &mut Front, batch: &Batch) {
    let mut sink = Direct::new(worker, batch.lend());
    front.batch(batch, &mut sink);
    sink.finish();
}

#[test]
fn a_packet_of_an_established_flow_asks_for_no_memory() {
    // Bytes that no parser knows, in both directions, so that the flows are past their naming.
    let (mut opening, mut warm, mut going) = (Batch::default(), Batch::default(), Batch::default());
    for flow in 0..FLOWS {
        push(&mut opening, 0, &frame(flow, false, 2, 99, 0, &[]));
        push(&mut opening, 0, &frame(flow, true, 18, 199, 100, &[]));
        push(&mut opening, 0, &frame(flow, false, 24, 100, 200, &[0xee; 64]));
        push(&mut opening, 0, &frame(flow, true, 24, 200, 164, &[0xee; 64]));
        push(&mut opening, 0, &frame(flow, false, 16, 164, 264, &[]));
        push(&mut opening, 0, &frame(flow, true, 16, 264, 164, &[]));
    }
    for turn in 0..20 {
        let (batch, after) = if turn == 0 { (&mut warm, 100_000) } else { (&mut going, 200_000) };
        for flow in 0..FLOWS {
            push(batch, after, &frame(flow, false, 24, 164 + turn * 8, 264 + turn * 8, &[0xee; 8]));
            push(batch, after, &frame(flow, true, 24, 264 + turn * 8, 172 + turn * 8, &[0xee; 8]));
        }
    }
    let mut worker = Worker::new(WorkerConfig { flows: 4_096, ..WorkerConfig::default() });
    let mut front = Front::default();
    work(&mut worker, &mut front, &opening);
    work(&mut worker, &mut front, &warm);
    drop(worker.take_told());
    let before = ASKED.load(Ordering::Relaxed);
    assert!(before > 0, "the allocator counts");
    work(&mut worker, &mut front, &going);
    let asked = ASKED.load(Ordering::Relaxed) - before;
    assert_eq!(asked, 0, "in {} packets", going.slots.len());
    assert_eq!(worker.counters().opened, u64::from(FLOWS));
}
