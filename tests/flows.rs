//! The flow layer against a model so simple that it can hardly be wrong: the set of bytes that were sent, the set that
//! was seen, and how often. Segments come lost, twice, late, overlapping and wrapped around, through `Worker::packets`.

mod common;

use common::traffic::{ACK, FIN, RST, Random, SYN};
use egret::decode::{Packet, Pair, Path, Tcp, Transport};
use egret::observe::{EndReason, FlowDelta, FlowState, FlowSummary, Telling, Told};
use egret::units::{Direction, Timestamp};
use egret::worker::{Worker, WorkerConfig};
use proptest::prelude::*;
use std::collections::{HashMap, HashSet};

const CLIENT: u32 = 0x0a00_0001;
const SERVER: u32 = 0xcb00_7101;
const START: i64 = 1_700_000_000_000_000_000;

/// A packet with nothing in it yet.
fn blank(ordinal: u64, at: i64) -> Packet<'static> {
    let at = Timestamp::from_nanos(at);
    Packet {
        pair: Pair::V4 { src: CLIENT, dst: SERVER },
        src_port: 40_000,
        dst_port: 443,
        transport: Transport::Tcp,
        tcp: Tcp { seq: 0, ack: 0, flags: ACK },
        at,
        since: at,
        frames: 1,
        now: at,
        ordinal,
        payload: &[],
        payload_len: 0,
        wire_len: 54,
        ip_len: 40,
        ip_id: 0,
        ttl: 64,
        path: Path::default(),
    }
}

/// The same from the other side.
fn back(packet: Packet<'static>) -> Packet<'static> {
    let Pair::V4 { src, dst } = packet.pair else { return packet };
    let pair = Pair::V4 { src: dst, dst: src };
    Packet { pair, src_port: packet.dst_port, dst_port: packet.src_port, ..packet }
}

/// One side of a model connection: bytes are numbered from 0.
#[derive(Default)]
struct Model {
    isn: u32,
    seen: HashSet<u32>,
    /// Payload bytes of all segments together.
    passed: u64,
    packets: u64,
    wire: u64,
    ip: u64,
    /// One past the last byte that segments or acknowledgements have proven.
    proven: u32,
}

impl Model {
    fn seq(&self, at: u32) -> u32 {
        self.isn.wrapping_add(1).wrapping_add(at)
    }

    fn book(&mut self, at: u32, len: u32) {
        self.packets += 1;
        self.wire += u64::from(54 + len);
        self.ip += u64::from(40 + len);
        self.passed += u64::from(len);
        self.seen.extend(at..at + len);
        self.proven = self.proven.max(at + len);
    }
}

/// What is done next, by whom: `from` 0 is the client.
#[derive(Clone, Copy, Debug)]
enum Act {
    /// New bytes, `lost` on their way to the tap.
    Send { from: usize, len: u32, lost: bool },
    /// Bytes from `back` before the end, again.
    Again { from: usize, back: u32, len: u32 },
    /// Two new segments, the later one first.
    Swapped { from: usize, len: u32 },
    /// Everything that the other side has sent is acknowledged, seen or not.
    Acknowledge { from: usize },
    /// One byte before the next, as keep-alives do.
    KeepAlive { from: usize },
    /// Time passes.
    Wait { ms: u32 },
}

fn act() -> impl Strategy<Value = Act> {
    let (from, len) = (0usize..2, 1u32..1_500);
    prop_oneof![
        6 => (from.clone(), len.clone(), prop::bool::weighted(0.1)).prop_map(|(from, len, lost)| Act::Send { from, len, lost }),
        2 => (from.clone(), 1u32..4_000, len.clone()).prop_map(|(from, back, len)| Act::Again { from, back, len }),
        2 => (from.clone(), len).prop_map(|(from, len)| Act::Swapped { from, len }),
        3 => from.clone().prop_map(|from| Act::Acknowledge { from }),
        1 => from.prop_map(|from| Act::KeepAlive { from }),
        2 => (0u32..3_000).prop_map(|ms| Act::Wait { ms }),
    ]
}

/// A worker, its one connection, and the model of it.
struct Play {
    worker: Worker,
    sides: [Model; 2],
    now: i64,
    ordinal: u64,
    told: Vec<Told>,
    /// Packets that wait to be handed over together.
    waiting: Vec<Packet<'static>>,
    handed: usize,
}

impl Play {
    fn new(isns: [u32; 2], handed: usize) -> Self {
        let sides = isns.map(|isn| Model { isn, ..Model::default() });
        let worker = Worker::new(WorkerConfig { flows: 64, ..WorkerConfig::default() });
        Self { worker, sides, now: START, ordinal: 0, told: Vec::new(), waiting: Vec::new(), handed }
    }

    fn packet(&mut self, from: usize, flags: u8, seq: u32, len: u32) {
        let other = &self.sides[1 - from];
        let ack = if flags & ACK == 0 { 0 } else { other.seq(other.proven) };
        let mut packet = blank(self.ordinal, self.now);
        self.ordinal += 1;
        packet.tcp = Tcp { seq, ack, flags };
        (packet.payload_len, packet.wire_len, packet.ip_len) = (len, 54 + len, 40 + len);
        let packet = if from == 0 { packet } else { back(packet) };
        self.waiting.push(packet);
        if self.waiting.len() >= self.handed {
            self.hand_over();
        }
    }

    fn hand_over(&mut self) {
        self.worker.packets(&self.waiting);
        self.waiting.clear();
        self.told.extend(self.worker.take_told());
    }

    fn data(&mut self, from: usize, at: u32, len: u32) {
        let seq = self.sides[from].seq(at);
        self.sides[from].book(at, len);
        self.packet(from, ACK, seq, len);
    }

    fn empty(&mut self, from: usize, flags: u8, seq: u32) {
        let side = &mut self.sides[from];
        (side.packets, side.wire, side.ip) = (side.packets + 1, side.wire + 54, side.ip + 40);
        self.packet(from, flags, seq, 0);
    }

    fn wait(&mut self, ms: u32) {
        let before = self.now;
        self.now += i64::from(ms) * 1_000_000;
        let second = self.now.div_euclid(1_000_000_000);
        if second > before.div_euclid(1_000_000_000) {
            self.hand_over();
            self.worker.tick(Timestamp::new(second, 0), self.ordinal);
            self.ordinal += 1;
            self.told.extend(self.worker.take_told());
        }
    }

    fn shake_hands(&mut self) {
        let isns = [self.sides[0].isn, self.sides[1].isn];
        self.empty(0, SYN, isns[0]);
        self.empty(1, SYN | ACK, isns[1]);
        self.empty(0, ACK, isns[0].wrapping_add(1));
    }

    /// `sent`: what each side has sent so far, seen or not.
    fn act(&mut self, act: Act, sent: &mut [u32; 2]) {
        match act {
            Act::Send { from, len, lost } => {
                if !lost {
                    self.data(from, sent[from], len);
                }
                sent[from] += len;
            }
            Act::Again { from, back, len } => {
                let at = sent[from].saturating_sub(back);
                let len = len.min(sent[from] - at);
                if len > 0 {
                    self.data(from, at, len);
                }
            }
            Act::Swapped { from, len } => {
                self.data(from, sent[from] + len, len);
                self.data(from, sent[from], len);
                sent[from] += 2 * len;
            }
            Act::Acknowledge { from } => {
                let other = &mut self.sides[1 - from];
                other.proven = other.proven.max(sent[1 - from]);
                let at = self.sides[from].seq(sent[from]);
                // An empty segment says where its own side stands, too.
                self.sides[from].proven = self.sides[from].proven.max(sent[from]);
                self.empty(from, ACK, at);
            }
            Act::KeepAlive { from } if sent[from] > 0 => self.data(from, sent[from] - 1, 1),
            Act::KeepAlive { .. } => {}
            Act::Wait { ms } => self.wait(ms),
        }
    }

    /// Ends the input and gives all that was told.
    fn finish(mut self) -> (Vec<Told>, [Model; 2]) {
        self.hand_over();
        self.worker.finish(Timestamp::from_nanos(self.now), u64::MAX);
        self.told.extend(self.worker.take_told());
        let counters = self.worker.counters();
        assert_eq!((counters.open, counters.opened), (0, counters.closed));
        (self.told, self.sides)
    }
}

fn summaries(told: &[Told]) -> Vec<&FlowSummary> {
    let ended = |t: &Told| match &t.what {
        Telling::Summary(s) => s.end.is_some(),
        _ => false,
    };
    told.iter()
        .filter(|t| ended(t))
        .filter_map(|t| if let Telling::Summary(s) = &t.what { Some(&**s) } else { None })
        .collect()
}

fn deltas(told: &[Told]) -> impl Iterator<Item = (&Told, &FlowDelta)> {
    told.iter().filter_map(|t| if let Telling::Delta(d) = &t.what { Some((t, d)) } else { None })
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(200) })]

    /// Whatever happens to the segments: payload once, the rest as repeated or gap, all frames counted.
    #[test]
    fn totals_are_those_of_the_model(
        isns in any::<[u32; 2]>(),
        wraps in any::<bool>(),
        handed in 1usize..80,
        acts in prop::collection::vec(act(), 1..80),
    ) {
        let isns = if wraps { [u32::MAX - 700, u32::MAX - 2] } else { isns };
        let mut play = Play::new(isns, handed);
        play.shake_hands();
        let mut sent = [0, 0];
        for act in acts {
            play.act(act, &mut sent);
        }
        let (told, sides) = play.finish();
        let ended = summaries(&told);
        prop_assert_eq!(ended.len(), 1);
        let s = ended[0];
        prop_assert_eq!((s.ends.originator_port, s.ends.responder_port), (40_000, 443));
        prop_assert!(!s.midstream && !s.one_way);
        prop_assert_eq!(s.end, Some(EndReason::Shutdown));
        prop_assert_eq!(s.state, FlowState::Established);
        for (model, counts) in sides.iter().zip([s.counts.up, s.counts.down]) {
            let seen = model.seen.len() as u64;
            prop_assert_eq!(counts.packets, model.packets);
            prop_assert_eq!((counts.wire, counts.ip), (model.wire, model.ip));
            prop_assert_eq!(counts.payload + counts.retransmitted, model.passed);
            prop_assert_eq!(counts.payload + counts.gap, u64::from(model.proven), "gap {}", counts.gap);
            // A hole that was written off (more than 16 at a time) counts its late bytes as repeated.
            prop_assert_eq!(counts.payload, seen);
        }
        let (mut up, mut down) = (0, 0);
        for (_, d) in deltas(&told) {
            prop_assert_eq!(d.flow, s.flow);
            (up, down) = (up + d.bytes.up, down + d.bytes.down);
        }
        prop_assert_eq!(up, s.counts.up.payload + s.counts.up.gap);
        prop_assert_eq!(down, s.counts.down.payload + s.counts.down.gap);
        prop_assert_eq!(deltas(&told).filter(|(_, d)| d.closed).count(), 1);
    }

    /// Tellings are at most 64 KiB, or a second and 1 KiB, behind: 16 KiB while only one side has spoken.
    #[test]
    fn tellings_keep_up(acts in prop::collection::vec((1u32..9_000, 0u32..700, 0usize..2), 1..400)) {
        let mut play = Play::new([1, 2], 1);
        play.shake_hands();
        let (mut sent, mut passed, mut told_bytes) = ([0u32; 2], [0u64; 2], [0u64; 2]);
        let mut read = 0;
        // Bytes that have been there since before the last tick.
        let mut due = [0u64; 2];
        for (len, ms, from) in acts {
            let seq = play.sides[from].seq(sent[from]);
            play.packet(from, ACK, seq, len);
            sent[from] += len;
            passed[from] += u64::from(len);
            let (before, at_tick) = (play.now / 1_000_000_000, passed);
            play.wait(ms);
            if play.now / 1_000_000_000 > before {
                let mute = told_bytes == [0, 0] && at_tick.contains(&0) && at_tick[0] + at_tick[1] < 16 * 1_024;
                due = if mute { [0, 0] } else { at_tick };
            }
            for (_, d) in deltas(&play.told[read..]) {
                told_bytes = [told_bytes[0] + d.bytes.up, told_bytes[1] + d.bytes.down];
            }
            read = play.told.len();
            for i in 0..2 {
                prop_assert!(passed[i] - told_bytes[i] < 64 * 1024);
                prop_assert!(due[i].saturating_sub(told_bytes[i]) < 1_024, "{due:?} {told_bytes:?}");
            }
        }
    }
}

/// Opens a connection with one upload segment; the port tells it from others.
fn small_flow(worker: &mut Worker, port: u16, ordinal: &mut u64, len: u32) {
    let at = START + *ordinal as i64 * 1_000;
    for (seq, flags, len) in [(9, SYN, 0), (10, ACK, len)] {
        let mut packet = Packet { src_port: port, payload_len: len, ip_len: 40 + len, ..blank(*ordinal, at) };
        packet.tcp = Tcp { seq, ack: 0, flags };
        worker.packets(&[packet]);
        *ordinal += 1;
    }
}

#[test]
fn a_full_table_evicts_and_counts_and_loses_nothing() {
    let mut worker = Worker::new(WorkerConfig { flows: 16, ..WorkerConfig::default() });
    let (mut ordinal, mut told) = (0, Vec::new());
    for port in 1..=500 {
        small_flow(&mut worker, 2_000 + port, &mut ordinal, 100);
        assert!(worker.counters().open <= 16, "room for sixteen");
        told.extend(worker.take_told());
    }
    let counters = worker.counters();
    assert_eq!((counters.opened, counters.evicted, counters.open), (500, 484, 16));
    worker.finish(Timestamp::from_nanos(START), u64::MAX);
    told.extend(worker.take_told());
    let ended = summaries(&told);
    let ids: HashSet<_> = ended.iter().map(|s| s.flow).collect();
    assert_eq!((ended.len(), ids.len()), (500, 500));
    assert_eq!(ended.iter().filter(|s| s.end == Some(EndReason::Evicted)).count(), 484);
    assert_eq!(ended.iter().map(|s| s.counts.up.payload).sum::<u64>(), 50_000);
    let by_delta: u64 = deltas(&told).map(|(_, d)| d.bytes.up).sum();
    assert_eq!(by_delta, 50_000);
}

#[test]
fn both_families_share_the_room() {
    let wide = Pair::V6 { src: 1, dst: 2 };
    for (floods, [kept_v4, kept_v6]) in [(Pair::V4 { src: 1, dst: 2 }, [12, 4]), (wide, [12, 4])] {
        let mut worker = Worker::new(WorkerConfig { flows: 16, ..WorkerConfig::default() });
        let rare = if floods == wide { Pair::V4 { src: 1, dst: 2 } } else { wide };
        let kinds = [(floods, 100), (rare, 100), (floods, 100)];
        let ports = kinds.into_iter().flat_map(|(pair, count)| (0..count).map(move |port| (pair, port)));
        for (n, (pair, port)) in ports.enumerate() {
            let n = n as u64;
            worker.packets(&[Packet { pair, src_port: 2_000 + port, ..blank(n, START + n as i64) }]);
            assert!(worker.counters().open <= 16);
        }
        drop(worker.take_told());
        worker.finish(Timestamp::from_nanos(START), u64::MAX);
        let told = worker.take_told();
        let left = summaries(&told);
        let v6 = left.iter().filter(|s| s.ends.originator.is_ipv6()).count();
        assert_eq!([left.len() - v6, v6], [kept_v4, kept_v6], "{floods:?}");
    }
}

#[test]
fn eviction_spares_what_moves_bytes() {
    let mut worker = Worker::new(WorkerConfig { flows: 16, ..WorkerConfig::default() });
    let (mut ordinal, mut told) = (0, Vec::new());
    // One upload among connections that never say anything.
    small_flow(&mut worker, 1_999, &mut ordinal, 1_000);
    for port in 1..=300 {
        let mut packet = Packet { src_port: 2_000 + port, ..blank(ordinal, START + ordinal as i64) };
        packet.tcp.flags = SYN;
        worker.packets(&[packet]);
        ordinal += 1;
        told.extend(worker.take_told());
    }
    assert!(summaries(&told).iter().all(|s| s.ends.originator_port != 1_999));
    assert!(worker.counters().evicted > 280);
}

#[test]
fn the_same_ports_again_are_another_flow() {
    let mut worker = Worker::new(WorkerConfig { flows: 64, ..WorkerConfig::default() });
    let (mut ordinal, mut told) = (0, Vec::new());
    for round in 0..5u32 {
        for (seq, flags, len) in [(0, SYN, 0), (1, ACK, 500), (501, ACK, 500), (1, ACK, 500)] {
            let mut packet = blank(ordinal, START + ordinal as i64 * 1_000_000);
            packet.tcp = Tcp { seq: seq + round * 1_000_000, ack: 0, flags };
            packet.payload_len = len;
            worker.packets(&[packet]);
            ordinal += 1;
        }
    }
    worker.finish(Timestamp::from_nanos(START), u64::MAX);
    told.extend(worker.take_told());
    let ended = summaries(&told);
    let ids: HashSet<_> = ended.iter().map(|s| s.flow).collect();
    assert_eq!(ids.len(), 5);
    let reasons: Vec<_> = ended.iter().map(|s| s.end).collect();
    assert_eq!(reasons[..4], [Some(EndReason::Reused); 4]);
    assert!(ended.iter().all(|s| s.counts.up.payload == 1_000 && s.counts.up.retransmitted == 500));
}

#[test]
fn silence_ends_a_flow_by_its_own_stamps() {
    let mut worker = Worker::new(WorkerConfig { flows: 64, ..WorkerConfig::default() });
    for (ordinal, secs, len) in [(0, 0, 0), (1, 1, 100), (2, 290, 100), (3, 2_000, 100)] {
        let mut packet = blank(ordinal, START + secs * 1_000_000_000);
        packet.tcp = Tcp { seq: 10 + 100 * ordinal as u32, ack: 5, flags: ACK };
        packet.payload_len = len;
        worker.packets(&[packet]);
    }
    let told = worker.take_told();
    let ended = summaries(&told);
    assert_eq!(ended.len(), 1);
    assert_eq!(ended[0].end, Some(EndReason::Timeout));
    assert_eq!(ended[0].last, Timestamp::from_nanos(START + 290_000_000_000));
    assert_eq!(ended[0].counts.up.payload, 200);
    assert!(ended[0].midstream && ended[0].one_way);
    assert_eq!(worker.counters().open, 1);
}

#[test]
fn a_tick_ends_what_no_packet_ends() {
    let mut worker = Worker::new(WorkerConfig { flows: 64, ..WorkerConfig::default() });
    let secs = |s: i64| Timestamp::from_nanos(START + s * 1_000_000_000);
    let mut packet = blank(0, START);
    packet.payload_len = 10;
    worker.packets(&[packet]);
    for s in 1..=300 {
        worker.tick(secs(s), s as u64);
        assert!(summaries(&worker.take_told()).is_empty(), "{s}");
    }
    for s in 301..=331 {
        worker.tick(secs(s), s as u64);
    }
    let told = worker.take_told();
    assert_eq!(summaries(&told).len(), 1);
    assert_eq!(summaries(&told)[0].last, secs(0));
}

/// Who opened the connection: a SYN says it, else the first to speak, unless from a service's port.
#[test]
fn the_originator_is_who_opened() {
    let ends = |packets: &[Packet<'static>]| {
        let mut worker = Worker::new(WorkerConfig { flows: 64, ..WorkerConfig::default() });
        worker.packets(packets);
        worker.finish(Timestamp::from_nanos(START), u64::MAX);
        let told = worker.take_told();
        let s = summaries(&told)[0];
        (s.ends.originator_port, s.midstream)
    };
    let with = |flags: u8, port: u16| Packet {
        tcp: Tcp { flags, ..Tcp::default() },
        dst_port: port,
        ..blank(0, START)
    };
    assert_eq!(ends(&[with(SYN, 443)]), (40_000, false));
    assert_eq!(ends(&[back(with(SYN | ACK, 443))]), (40_000, false));
    assert_eq!(ends(&[with(ACK, 443)]), (40_000, true));
    assert_eq!(ends(&[back(with(ACK, 443))]), (40_000, true));
    assert_eq!(ends(&[back(with(ACK, 8_443))]), (8_443, true));
    assert_eq!(ends(&[with(ACK, 8_443)]), (40_000, true));
    assert_eq!(ends(&[back(with(SYN, 443))]), (443, false));
}

#[test]
fn data_on_the_syn_counts_and_ends_are_seen() {
    let mut worker = Worker::new(WorkerConfig { flows: 64, ..WorkerConfig::default() });
    let with = |ordinal: u64, seq: u32, flags: u8, len: u32| {
        let mut packet = blank(ordinal, START + ordinal as i64);
        packet.tcp = Tcp { seq, ack: 1, flags };
        packet.payload_len = len;
        packet
    };
    worker.packets(&[with(0, 99, SYN, 40), with(1, 140, ACK, 60), back(with(2, 0, SYN | ACK, 0))]);
    worker.packets(&[with(3, 200, FIN | ACK, 0), back(with(4, 1, FIN | ACK, 0)), back(with(5, 2, RST, 0))]);
    worker.finish(Timestamp::from_nanos(START), u64::MAX);
    let told = worker.take_told();
    let s = summaries(&told)[0];
    assert_eq!((s.counts.up.payload, s.counts.up.gap, s.counts.down.gap), (100, 0, 0));
    assert!(s.seen.up.syn && s.seen.up.fin && s.seen.down.fin && s.seen.down.rst && s.seen.down.syn_ack);
    assert_eq!(s.state, FlowState::Closed);
    let history = String::from_utf8_lossy(&s.history).trim_end_matches('\0').to_owned();
    assert_eq!(history, "SDhFfr");
}

#[test]
fn a_closed_connection_ends_after_a_minute_and_an_open_one_after_five() {
    for (flags, lasts) in [(FIN | ACK, 60), (RST, 60), (ACK, 300)] {
        let mut play = Play::new([7, 8], 1);
        play.shake_hands();
        play.data(0, 0, 100);
        play.data(1, 0, 100);
        for from in [0, 1] {
            let seq = play.sides[from].seq(100);
            play.empty(from, flags, seq);
        }
        let mut secs = 0;
        while summaries(&play.told).is_empty() && secs < 400 {
            play.wait(1_000);
            secs += 1;
        }
        // The sweep comes by every 30 s.
        assert!((lasts..lasts + 35).contains(&secs), "{flags}: {secs} s");
    }
}

#[test]
fn acknowledged_bytes_that_nobody_saw_are_told_mid_flow() {
    let mut play = Play::new([7, 8], 1);
    play.shake_hands();
    play.data(0, 0, 100);
    // The server acknowledges 200,000 bytes of which the tap saw 100: a lossy tap hides no upload.
    play.sides[0].proven = 200_000;
    play.empty(1, ACK, play.sides[1].seq(0));
    let told: u64 = deltas(&play.told).map(|(_, d)| d.bytes.up).sum();
    assert_eq!(told, 200_000);
    let gaps: Vec<u64> = deltas(&play.told).map(|(_, d)| *d.gap.of(Direction::Up)).collect();
    assert_eq!(gaps.last(), Some(&199_900));
}

/// Many connections at once, told in an order that never goes back.
#[test]
fn tellings_stand_in_their_order() {
    let mut worker = Worker::new(WorkerConfig { flows: 1 << 10, ..WorkerConfig::default() });
    let (mut random, mut told, mut sent) = (Random(5), Vec::new(), HashMap::<u16, u32>::new());
    for ordinal in 0..20_000u64 {
        let port = 1_024 + random.below(300) as u16;
        let at = START + ordinal as i64 * 50_000_000;
        if ordinal.is_multiple_of(20) {
            worker.tick(Timestamp::from_nanos(at), ordinal);
        } else {
            let sent = sent.entry(port).or_default();
            let mut packet = Packet { src_port: port, ..blank(ordinal, at) };
            packet.tcp = Tcp { seq: *sent, ack: 1, flags: ACK };
            packet.payload_len = random.below(20_000) as u32;
            *sent += packet.payload_len;
            worker.packets(&[packet]);
        }
        told.extend(worker.take_told());
    }
    assert!(told.len() > 3_000);
    assert!(told.windows(2).all(|pair| pair[0].place <= pair[1].place));
    assert!(told.windows(2).all(|pair| pair[0].now <= pair[1].now));
}

/// Connections that begin something and never say what hold memory for the parsers only up to a bound; those that have
/// held it longest go first.
#[test]
fn the_oldest_starts_make_room_for_new_ones() {
    let mut worker = Worker::new(WorkerConfig { flows: 1 << 14, ..WorkerConfig::default() });
    // A record header of TLS that announces a hello of 16,000 bytes, and 15,000 of them.
    let mut hello = vec![22, 3, 1, 0x3e, 0x80, 1, 0, 0x3e, 0x7c, 3, 3];
    hello.resize(15_000, 7);
    let given_up = |worker: &Worker| worker.counters().given_up.iter().sum::<u64>();
    let (mut ordinal, mut first) = (0, None);
    for port in 0..6_000u16 {
        for (seq, flags, payload) in [(9, SYN, &[][..]), (10, ACK, &hello)] {
            let mut packet = Packet { src_port: 1_024 + port, payload, ..blank(ordinal, START) };
            packet.tcp = Tcp { seq, ack: 0, flags };
            packet.payload_len = payload.len() as u32;
            worker.packets(&[packet]);
            ordinal += 1;
        }
        if given_up(&worker) > 0 && first.is_none() {
            first = Some(port);
        }
    }
    // 16 MiB of 15,000 bytes each.
    assert!((1_090..1_125).contains(&first.expect("room has run out")), "{first:?}");
    assert!((4_870..4_915).contains(&given_up(&worker)), "{}", given_up(&worker));
}

/// Two programs on one machine talk over its own address.
#[test]
fn both_ends_may_have_one_address() {
    let mut worker = Worker::new(WorkerConfig { flows: 64, ..WorkerConfig::default() });
    let own = |packet: Packet<'static>| Packet { pair: Pair::V4 { src: CLIENT, dst: CLIENT }, ..packet };
    let mut packet = blank(0, START);
    packet.tcp.flags = SYN;
    worker.packets(&[
        own(packet),
        own(back(blank(1, START))),
        own(blank(2, START)),
        own(back(blank(3, START))),
    ]);
    worker.finish(Timestamp::from_nanos(START), u64::MAX);
    let told = worker.take_told();
    let ended = summaries(&told);
    assert_eq!(ended.len(), 1);
    assert_eq!((ended[0].counts.up.packets, ended[0].counts.down.packets), (2, 2));
    assert_eq!(ended[0].ends.originator_port, 40_000);
}
