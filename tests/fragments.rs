//! Fragments: any order, duplicates, holes, cut captures, tunnels, bounds, and hostile mixtures. Whatever comes, every
//! frame is accounted for.

mod common;

use common::build::*;
use egret::capture::{Frame, LinkType};
use egret::decode::{self, Decoded, Skip};
use egret::flow::fragments::{Fragments, Limits};
use egret::units::{Span, Timestamp};

/// What came out: frames, ports, payload, its length by the headers, bytes on the wire and of IP, earliest time.
#[derive(Clone, PartialEq, Eq, Debug)]
struct Got {
    frames: u32,
    ports: (u16, u16),
    payload: Vec<u8>,
    payload_len: u32,
    sums: (u32, u32),
    since: i64,
}

#[derive(Default)]
struct Bench {
    fragments: Fragments,
    packets: Vec<Got>,
    skipped: u64,
    fed: u64,
}

fn take(packets: &mut Vec<Got>, skipped: &mut u64, frames: u32, found: &Decoded<'_>) {
    match found {
        Decoded::Packet(p) => packets.push(Got {
            frames: p.frames,
            ports: (p.src_port, p.dst_port),
            payload: p.payload.to_vec(),
            payload_len: p.payload_len,
            sums: (p.wire_len, p.ip_len),
            since: p.since.nanos(),
        }),
        Decoded::Skip(_) => *skipped += u64::from(frames),
        Decoded::Fragment(f) => panic!("{f:?}"),
    }
}

impl Bench {
    fn with(limits: Limits) -> Self {
        Self { fragments: Fragments::new(limits), ..Self::default() }
    }

    fn feed(&mut self, secs: i64, bytes: &[u8]) {
        self.feed_cut(secs, bytes, bytes.len());
    }

    fn feed_cut(&mut self, secs: i64, bytes: &[u8], snap: usize) {
        let at = Timestamp::new(secs, 0);
        let frame = Frame {
            at,
            now: at,
            ordinal: self.fed,
            bytes: &bytes[..snap.min(bytes.len())],
            wire_len: bytes.len() as u32,
            link: LinkType::ETHERNET,
            vlan: None,
        };
        self.fed += 1;
        let (packets, skipped) = (&mut self.packets, &mut self.skipped);
        let mut give = |frames: u32, found: Decoded<'_>| take(packets, skipped, frames, &found);
        match decode::decode(&frame) {
            Decoded::Fragment(f) => self.fragments.push(&f, &mut give),
            other => give(1, other),
        }
    }

    fn drain(&mut self) {
        let (packets, skipped) = (&mut self.packets, &mut self.skipped);
        self.fragments.drain(&mut |frames, found| take(packets, skipped, frames, &found));
        assert!(self.fragments.is_empty());
        self.balanced();
    }

    fn balanced(&self) {
        let decoded: u64 = self.packets.iter().map(|p| u64::from(p.frames)).sum();
        assert_eq!(self.fed, decoded + self.skipped + self.fragments.tally().held);
    }
}

/// `payload` of an IPv4 datagram in pieces of `size` bytes.
fn pieces4(protocol: u8, payload: &[u8], size: usize) -> Vec<Vec<u8>> {
    let count = payload.len().div_ceil(size);
    let piece = |(i, p): (usize, &[u8])| {
        let field = (i * size / 8) as u16 | if i + 1 < count { 0x2000 } else { 0 };
        eth(0x0800, &ip4_with([10, 0, 0, 1], [10, 0, 0, 2], protocol, field, p))
    };
    payload.chunks(size).enumerate().map(piece).collect()
}

fn pieces6(next: u8, payload: &[u8], size: usize) -> Vec<Vec<u8>> {
    let count = payload.len().div_ceil(size);
    let piece =
        |(i, p): (usize, &[u8])| eth(0x86dd, &ip6(44, &frag6(next, (i * size) as u16, i + 1 < count, p)));
    payload.chunks(size).enumerate().map(piece).collect()
}

fn datagram(len: usize) -> (Vec<u8>, Vec<u8>) {
    let payload: Vec<u8> = (0..len).map(|i| (i * 7 % 251) as u8).collect();
    (udp(5000, 6000, &payload), payload)
}

#[test]
fn any_order_gives_the_same_packet() {
    let (whole, payload) = datagram(2_992);
    for pieces in [pieces4(17, &whole, 1_000), pieces6(17, &whole, 1_000)] {
        let wire: usize = pieces.iter().map(Vec::len).sum();
        let ip = wire - pieces.len() * 14;
        for order in [[0, 1, 2], [0, 2, 1], [1, 0, 2], [1, 2, 0], [2, 0, 1], [2, 1, 0]] {
            let mut bench = Bench::default();
            for (secs, i) in order.into_iter().enumerate() {
                assert!(bench.packets.is_empty());
                bench.feed(secs as i64, &pieces[i]);
            }
            let want = Got {
                frames: 3,
                ports: (5000, 6000),
                payload: payload.clone(),
                payload_len: 2_992,
                sums: (wire as u32, ip as u32),
                since: 0,
            };
            assert_eq!(bench.packets, [want]);
            bench.drain();
            assert_eq!((bench.fragments.tally().whole, bench.fragments.tally().held), (1, 0));
        }
    }
}

#[test]
fn a_datagram_that_never_comes_whole_is_given_to_the_flow_of_its_head() {
    let (whole, payload) = datagram(2_992);
    let pieces = pieces4(17, &whole, 1_000);
    let mut bench = Bench::default();
    bench.feed(0, &pieces[0]);
    bench.feed(1, &pieces[2]);
    bench.drain();
    let [got] = &bench.packets[..] else { panic!() };
    assert_eq!((got.frames, got.payload_len), (2, 1_992), "the hole is not counted");
    assert_eq!(got.payload, payload[..992], "nothing beyond the hole is shown");
    let mut headless = Bench::default();
    headless.feed(0, &pieces[1]);
    headless.feed(1, &pieces[2]);
    headless.drain();
    assert_eq!((headless.packets.len(), headless.fragments.tally().held), (0, 2));
}

#[test]
fn age_is_packet_time() {
    let (whole, _) = datagram(2_992);
    let pieces = pieces4(17, &whole, 1_000);
    let mut bench = Bench::default();
    bench.feed(0, &pieces[0]);
    let (packets, skipped) = (&mut bench.packets, &mut bench.skipped);
    bench.fragments.expire(Timestamp::new(60, 0), &mut |n, found| take(packets, skipped, n, &found));
    assert!(packets.is_empty());
    bench.fragments.expire(Timestamp::new(61, 0), &mut |n, found| take(packets, skipped, n, &found));
    assert_eq!((packets.len(), bench.fragments.tally().expired), (1, 1));
    // The same key again, without a tick in between: a new datagram, not the rest of the old one.
    bench.feed(100, &pieces[0]);
    bench.feed(200, &pieces[1]);
    bench.feed(200, &pieces[2]);
    bench.drain();
    assert_eq!((bench.packets.len(), bench.fragments.tally().whole, bench.fragments.tally().held), (2, 0, 2));
}

#[test]
fn duplicates_and_overlaps_count_as_frames_and_not_twice_as_payload() {
    let (whole, payload) = datagram(2_992);
    let pieces = pieces4(17, &whole, 1_000);
    let mut bench = Bench::default();
    for i in [0, 0, 1, 0, 1, 2] {
        bench.feed(0, &pieces[i]);
    }
    assert_eq!((bench.packets[0].frames, bench.packets[0].payload_len), (6, 2_992));
    assert_eq!(bench.packets[0].payload, payload);
    assert_eq!(bench.fragments.tally().overlapping, 3);
    // Teardrop: the second piece lies within the first.
    let mut bench = Bench::default();
    let ip = |field: u16, p: &[u8]| eth(0x0800, &ip4_with([10, 0, 0, 1], [10, 0, 0, 2], 17, field, p));
    bench.feed(0, &ip(0x2000, &udp(1, 2, &[1; 28])));
    bench.feed(0, &ip(3, &[2; 4]));
    bench.drain();
    assert_eq!((bench.packets.len(), bench.packets[0].payload.clone()), (1, vec![1; 20]));
}

#[test]
fn beyond_the_largest_datagram_is_malformed() {
    let mut bench = Bench::default();
    bench.feed(0, &eth(0x0800, &ip4_with([1; 4], [2; 4], 17, 0x1fff, &[0; 100])));
    assert_eq!((bench.skipped, bench.fragments.tally().oversize, bench.fragments.len()), (1, 1, 0));
    bench.balanced();
}

#[test]
fn what_makes_no_flow_does_not_wait() {
    let frame = |protocol| eth(0x0800, &ip4_with([1; 4], [2; 4], protocol, 0x2000, &[8; 16]));
    for (protocol, want) in [(1, Skip::Icmp), (132, Skip::IpProtocol)] {
        let (at, bytes) = (Timestamp::default(), frame(protocol));
        let f = Frame {
            at,
            now: at,
            ordinal: 0,
            bytes: &bytes,
            wire_len: 50,
            link: LinkType::ETHERNET,
            vlan: None,
        };
        assert!(matches!(decode::decode(&f), Decoded::Skip(s) if s == want));
    }
}

#[test]
fn a_cut_capture_counts_by_its_headers() {
    let (whole, payload) = datagram(2_992);
    let mut bench = Bench::default();
    for piece in pieces4(17, &whole, 1_000) {
        bench.feed_cut(0, &piece, 96);
    }
    let [got] = &bench.packets[..] else { panic!() };
    assert_eq!((got.frames, got.payload_len), (3, 2_992));
    assert_eq!(got.payload, payload[..54]);
}

#[test]
fn fragmented_tunnels_are_entered_and_inner_fragments_put_together_too() {
    let (whole, payload) = datagram(1_500);
    let inner = pieces4(17, &whole, 1_000);
    let mut bench = Bench::default();
    for piece in &inner {
        let gre = gre([0, 0], 0, 0x0800, &piece[14..]);
        for outer in pieces6(47, &gre, 512) {
            bench.feed(0, &outer);
        }
    }
    bench.drain();
    let [got] = &bench.packets[..] else { panic!("{:?}", bench.packets) };
    assert_eq!((got.frames, got.ports), (4, (5000, 6000)), "both pieces of both tunnel datagrams");
    assert!(got.payload == payload);
    assert_eq!(got.sums.1, 1_508 + 40, "IP bytes of the inner packet, not of the tunnel's pieces");
}

#[test]
fn the_table_stays_within_its_bounds_and_evicts_the_oldest() {
    let limits = Limits { datagrams: 8, bytes: 4_000, age: Span::from_secs(60) };
    let mut bench = Bench::with(limits);
    for host in 0..200 {
        let src = [10, 0, 0, host];
        bench.feed(0, &eth(0x0800, &ip4_with(src, [2; 4], 17, 0x2000, &udp(u16::from(host), 9, &[7; 992]))));
        assert!(bench.fragments.len() <= 4);
    }
    assert_eq!(bench.fragments.tally().evicted, 196);
    let ports: Vec<u16> = bench.packets.iter().map(|p| p.ports.0).collect();
    assert_eq!(ports, (0..196).collect::<Vec<u16>>(), "oldest first, each given to its flow");
    for host in 0..100 {
        bench.feed(0, &eth(0x0800, &ip4_with([10, 0, 1, host], [2; 4], 17, 0x2001, &[7; 8])));
    }
    assert!(bench.fragments.len() <= 8);
    bench.drain();
}

#[test]
fn any_mixture_balances() {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let mut random = move |n: u64| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state % n
    };
    let limits = Limits { datagrams: 16, bytes: 20_000, age: Span::from_secs(5) };
    let mut bench = Bench::with(limits);
    for step in 0..60_000 {
        let protocol = [6, 17, 17, 47, 4, 41][random(6) as usize];
        let field = (random(24) as u16) | if random(2) == 0 { 0x2000 } else { 0 };
        let body: Vec<u8> = (0..random(90)).map(|_| random(256) as u8).collect();
        let bytes = if random(2) == 0 {
            eth(0x0800, &ip4_with([10, 0, 0, random(3) as u8], [2; 4], protocol, field, &body))
        } else {
            eth(0x86dd, &ip6(44, &frag6(protocol, (field & 0x1f) << 3, random(2) == 0, &body)))
        };
        bench.feed(step / 500, &bytes);
        assert!(bench.fragments.len() <= 16);
    }
    bench.drain();
    assert!(bench.fragments.tally().whole > 100);
}

#[test]
fn ten_thousand_tiny_pieces_take_no_time() {
    let mut bench = Bench::default();
    let started = std::time::Instant::now();
    for round in 0..8 {
        for i in 0..8_190_u16 {
            let field = (i.wrapping_mul(4_099) % 8_190) | 0x2000;
            bench.feed(round, &eth(0x0800, &ip4_with([10, 0, 0, 1], [2; 4], 17, field, &[7; 8])));
        }
    }
    assert!(started.elapsed().as_secs() < 20);
    bench.drain();
}
