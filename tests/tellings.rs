//! What a worker tells of a flow while it is open.

use egret::decode::{Packet, Pair, Path, Tcp, Transport};
use egret::observe::{Telling, Told};
use egret::units::Timestamp;
use egret::worker::{Worker, WorkerConfig};

const SYN: u8 = 2;
const ACK: u8 = 16;
const CLIENT: (u32, u16) = (0x0a00_0001, 40_000);
const SERVER: (u32, u16) = (0xcb00_7101, 443);
const START: i64 = 1_700_000_000;

/// A worker, its clock in seconds and the number of what has happened.
struct Play {
    worker: Worker,
    secs: i64,
    ordinal: u64,
}

impl Play {
    /// A connection that has been opened.
    fn new() -> Self {
        let worker = Worker::new(WorkerConfig { flows: 64, ..WorkerConfig::default() });
        let mut play = Self { worker, secs: 0, ordinal: 0 };
        play.packet(true, SYN, 0, 0, &[]);
        play.packet(false, SYN | ACK, 0, 1, &[]);
        play.packet(true, ACK, 1, 1, &[]);
        play
    }

    fn packet(&mut self, up: bool, flags: u8, seq: u32, ack: u32, payload: &[u8]) {
        let (from, to) = if up { (CLIENT, SERVER) } else { (SERVER, CLIENT) };
        let at = Timestamp::new(START + self.secs, self.ordinal as i64);
        let len = payload.len() as u32;
        self.worker.packets(&[Packet {
            pair: Pair::V4 { src: from.0, dst: to.0 },
            src_port: from.1,
            dst_port: to.1,
            transport: Transport::Tcp,
            tcp: Tcp { seq, ack, flags },
            at,
            since: at,
            frames: 1,
            now: at,
            ordinal: self.ordinal,
            payload,
            payload_len: len,
            wire_len: len + 54,
            ip_len: len + 40,
            ip_id: 0,
            ttl: 64,
            path: Path::default(),
        }]);
        self.ordinal += 1;
    }

    fn wait(&mut self, secs: i64) -> Vec<Told> {
        for _ in 0..secs {
            self.secs += 1;
            self.ordinal += 1;
            self.worker.tick(Timestamp::new(START + self.secs, 0), self.ordinal);
        }
        self.worker.take_told()
    }

    fn end(&mut self) -> Vec<Told> {
        self.worker.finish(Timestamp::new(START + self.secs, 0), self.ordinal + 1);
        self.worker.take_told()
    }
}

/// Bytes of the originator in all deltas.
fn up(told: &[Told]) -> u64 {
    let bytes = |t: &Told| if let Telling::Delta(d) = &t.what { d.bytes.up } else { 0 };
    told.iter().map(bytes).sum()
}

#[test]
fn a_hole_that_is_told_and_filled_later_counts_once() {
    let mut play = Play::new();
    play.packet(true, ACK, 1, 1, &[0xee; 1_000]);
    play.packet(false, ACK, 1, 1_001, &[0xee; 100]);
    // 2,000 bytes are missing before these.
    play.packet(true, ACK, 3_001, 101, &[0xee; 1_000]);
    let told = play.wait(2);
    assert_eq!(up(&told), 4_000);
    play.packet(true, ACK, 1_001, 101, &[0xee; 2_000]);
    play.packet(true, ACK, 4_001, 101, &[0xee; 1_500]);
    let more = play.wait(2);
    assert_eq!(up(&more), 1_500);
    assert_eq!(up(&play.end()), 0);
}

#[test]
fn a_flow_that_stays_open_is_reported_when_it_has_moved() {
    let mut play = Play::new();
    let (mut seq, mut reports) = (1, Vec::new());
    for minute in 0..20 {
        // Ten minutes with traffic, ten without.
        if minute < 10 {
            play.packet(true, ACK, seq, 1, &[0xee; 2_000]);
            seq += 2_000;
            play.packet(false, ACK, 1, seq, &[]);
        } else {
            // Both are heard of, so that the flow does not time out.
            play.packet(true, ACK, seq, 1, &[]);
        }
        for told in play.wait(60) {
            if let Telling::Summary(s) = &told.what {
                reports.push((s.end.is_none(), s.counts.up.payload, s.since.map(|since| since.up.payload)));
            }
        }
    }
    let open: Vec<_> = reports.iter().filter(|r| r.0).collect();
    assert_eq!(open.len(), reports.len());
    assert_eq!(open.first().map(|r| r.1), Some(12_000), "{open:?}");
    assert!(open.len() >= 3 && open.last().is_some_and(|r| r.1 == 20_000), "{open:?}");
    assert!(open.iter().filter_map(|r| r.2).sum::<u64>() == 20_000, "{open:?}");
}
