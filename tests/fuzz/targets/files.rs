//! Capture files, alone and through the whole pipeline to the logs.

use super::pcapwrite::{Classic, Frame, Order, enhanced, interface, section, simple};
use super::{common::build, texts};
use egret::capture::replay::Replay;
use egret::capture::{Batch, Source};
use egret::config::Config;
use egret::output::file::{OutputConfig, Outputs, kinds};
use egret::run::{Setup, replay};
use std::path::PathBuf;
use std::sync::Arc;

/// A place for this thread's capture and its logs.
struct Scratch(PathBuf);

impl Scratch {
    fn new() -> Self {
        let thread = format!("{:?}", std::thread::current().id());
        let digits: String = thread.chars().filter(char::is_ascii_digit).collect();
        let path = std::env::temp_dir().join(format!("egret-fuzz-{}-{digits}", std::process::id()));
        std::fs::create_dir_all(&path).expect("temporary folder");
        Self(path)
    }

    fn capture(&self, bytes: &[u8]) -> PathBuf {
        let path = self.0.join("fuzz.pcap");
        std::fs::write(&path, bytes).expect("temporary file");
        path
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// A capture in any form; every frame lies within its batch, and small reads give the same frames.
pub(super) fn captures(bytes: &[u8]) {
    let scratch = Scratch::new();
    let path = [scratch.capture(bytes)];
    assert_eq!(frames(Replay::open(&path)), frames(Replay::with_piece(&path, 61)));
}

fn frames(mut replay: Replay) -> Vec<Vec<u8>> {
    let (mut batch, mut frames) = (Batch::default(), Vec::new());
    while replay.fill(&mut batch) {
        for slot in &batch.slots {
            let bytes = batch.frame_bytes(slot);
            assert_eq!(bytes.len(), slot.captured as usize);
            frames.push(bytes.to_vec());
        }
    }
    frames
}

/// A capture from file to logs; no frame is lost on the way.
pub(super) fn pipeline(bytes: &[u8]) {
    let scratch = Scratch::new();
    let mut config = Config::default();
    config.flows.table = 64;
    let output = OutputConfig {
        dir: scratch.0.join("logs"),
        kinds: kinds("eve,zeek-tsv").expect("known kinds"),
        ..OutputConfig::default()
    };
    let outputs = Outputs::new(&output).expect("outputs");
    let setup = Setup { config, catalogue: Arc::new(texts::catalogue().clone()), outputs };
    let summary = replay(setup, &[scratch.capture(bytes)], &mut |_, _| {}).expect("a run");
    let front = &summary.stats.front;
    assert_eq!(front.frames, front.decoded + front.skipped.iter().sum::<u64>() + front.fragments_held);
    let _ = egret::output::report::text(&summary, false);
    let _ = egret::output::report::json(&summary);
}

pub(super) fn capture_seeds() -> Vec<Vec<u8>> {
    let hello = include_bytes!("../../../src/parse/fixtures/tls13.up");
    let payloads: [&[u8]; 3] = [hello, b"GET / HTTP/1.1\r\nHost: file.io\r\n\r\n", build::HELLO];
    let frames: Vec<Frame> = payloads
        .iter()
        .enumerate()
        .map(|(i, payload)| {
            let bytes = build::eth(0x800, &build::ip4(6, &build::tcp(payload)));
            let wire_len = bytes.len() as u32;
            Frame { nanos: 1_700_000_000_000_000_000 + i as i64 * 1_000_000, bytes, wire_len, link: 1 }
        })
        .collect();
    let nanoseconds = Classic { order: Order::Big, magic: 0xa1b2_3c4d, ..Classic::MICRO };
    let modern = |o: Order| {
        let mut file = section(o, -1, &[]);
        file.extend(interface(o, 1, 65_535, &[]));
        for (i, frame) in frames.iter().enumerate() {
            file.extend(if i == 1 { simple(o, frame) } else { enhanced(o, 0, 7, frame, &[]) });
        }
        file
    };
    vec![Classic::MICRO.file(&frames), nanoseconds.file(&frames), modern(Order::Little), modern(Order::Big)]
}
