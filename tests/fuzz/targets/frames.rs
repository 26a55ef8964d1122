//! Frames, fragments, and the order of segments.

use super::common::build;
use super::{joined, pieces};
use egret::capture::{Frame, LinkType};
use egret::decode::{self, Decoded, Packet, Pair, Path, Tcp, Transport};
use egret::flow::fragments::Fragments;
use egret::flow::sequence::{Position, book};
use egret::flow::starts::Start;
use egret::observe::{Telling, Uploads};
use egret::units::{Span, Timestamp};
use egret::worker::{Worker, WorkerConfig};
use std::collections::BTreeSet;

fn frame(link: u16, bytes: &[u8], ordinal: u64) -> Frame<'_> {
    let at = Timestamp::new(1_700_000_000, 0).plus(Span::from_millis(ordinal as i64));
    let wire_len = bytes.len() as u32;
    Frame { at, now: at, ordinal, bytes, wire_len, link: LinkType(link), vlan: None }
}

/// One frame of any link type; the short road and the long one must agree.
pub(super) fn decode(bytes: &[u8]) {
    let Some((link, rest)) = bytes.split_first_chunk::<2>() else { return };
    let frame = frame(u16::from_le_bytes(*link), rest, 0);
    let (short, long) = (decode::decode(&frame), decode::walk(&frame));
    assert_eq!(format!("{short:?}"), format!("{long:?}"));
    if let Decoded::Packet(packet) = short {
        assert!(packet.payload.len() <= packet.payload_len as usize);
        assert!(packet.payload.len() <= rest.len());
    }
}

pub(super) fn decode_seeds() -> Vec<Vec<u8>> {
    let stacks = build::stacks().into_iter();
    stacks.map(|(_, link, frame, _)| [&link.to_le_bytes()[..], &frame].concat()).collect()
}

/// ARP and neighbour discovery: an address that somebody can have, and a link address that is one machine's.
pub(super) fn neighbours(bytes: &[u8]) {
    let Some(seen) = decode::neighbour(&frame(1, bytes, 0)) else { return };
    assert!(!seen.ip.is_unspecified() && !seen.ip.is_multicast() && seen.mac[0] & 1 == 0);
}

pub(super) fn neighbour_seeds() -> Vec<Vec<u8>> {
    let mut arp = vec![0xff; 12];
    arp.extend([8, 6, 0, 1, 8, 0, 6, 4, 0, 1, 2, 0, 0, 0, 0, 9, 10, 0, 0, 9]);
    let mut discovery = vec![0; 12];
    discovery.extend([0x86, 0xdd, 0x60, 0, 0, 0, 0, 32, 58, 255]);
    discovery.extend([0xfd; 32]);
    discovery.extend([136, 0, 0, 0, 0x60, 0, 0, 0]);
    discovery.extend([0xfd; 16]);
    discovery.extend([2, 1, 2, 0, 0, 0, 0, 7]);
    vec![arp, discovery]
}

/// Fragments in any order; every frame that goes in comes out once, or is counted as one whose first never came.
pub(super) fn fragments(bytes: &[u8]) {
    let mut fragments = Fragments::default();
    let (mut pushed, mut given) = (0_u64, 0_u64);
    for (ordinal, piece) in pieces(bytes).into_iter().enumerate() {
        let frame = frame(1, piece, ordinal as u64 * 700);
        if let Decoded::Fragment(fragment) = decode::decode(&frame) {
            pushed += 1;
            fragments.push(&fragment, &mut |n, _| given += u64::from(n));
        }
        fragments.expire(frame.now, &mut |n, _| given += u64::from(n));
    }
    fragments.drain(&mut |n, _| given += u64::from(n));
    assert_eq!(pushed, given + fragments.tally().held);
    assert!(fragments.is_empty());
}

pub(super) fn fragment_seeds() -> Vec<Vec<u8>> {
    let whole = build::udp(53, 53, &[7; 64]);
    let (a, b) = ([10, 0, 0, 1], [10, 0, 0, 2]);
    let piece4 = |field: u16, part: &[u8]| build::eth(0x800, &build::ip4_with(a, b, 17, field, part));
    let piece6 =
        |at: u16, more, part: &[u8]| build::eth(0x86dd, &build::ip6(44, &build::frag6(17, at, more, part)));
    let (first, second, third) = (&whole[..24], &whole[24..48], &whole[48..]);
    vec![
        joined(&[piece4(0x2000, first), piece4(0x2003, second), piece4(6, third)]),
        joined(&[piece4(6, third), piece4(0x2000, first), piece4(0x2002, &whole[16..48])]),
        joined(&[piece6(0, true, first), piece6(24, true, second), piece6(48, false, third)]),
    ]
}

/// Six bytes each: how far from the beginning, and how long.
fn segments(bytes: &[u8]) -> impl Iterator<Item = (u32, u32)> + '_ {
    let number = |at: &[u8]| u32::from(u16::from_le_bytes([at[0], at[1]]));
    bytes.chunks_exact(4).map(move |chunk| (number(&chunk[..2]) % 4_096, number(&chunk[2..]) % 512))
}

/// Segments in any order against a set of the bytes seen.
pub(super) fn sequence(bytes: &[u8]) {
    let Some((base, rest)) = bytes.split_first_chunk::<4>() else { return };
    let base = u32::from_le_bytes(*base);
    let (mut position, mut holes) = (Position { base, next: base, anchored: true }, None);
    let mut seen = BTreeSet::new();
    let mut counted = 0;
    // More than this may exceed the holes that are kept, and then bytes are written off on purpose.
    for (at, len) in segments(rest).take(7) {
        let segment = book(&mut position, &mut holes, base.wrapping_add(at), len);
        assert_eq!(segment.new + segment.repeated, len);
        seen.extend(at..at + len);
        counted += segment.new as usize;
        assert_eq!(counted, seen.len());
        let highest = seen.last().map_or(0, |last| last + 1);
        assert_eq!(position.next, base.wrapping_add(highest));
        let missing = holes.as_ref().map_or(0, |holes| holes.missing());
        assert_eq!(missing, u64::from(highest) - seen.len() as u64);
    }
}

/// The contiguous beginning against the stream that the segments were cut from.
pub(super) fn starts(bytes: &[u8]) {
    const LIMIT: usize = 2_048;
    let Some((base, rest)) = bytes.split_first_chunk::<4>() else { return };
    let base = u32::from_le_bytes(*base);
    let stream: Vec<u8> = (0..8_192_u32).map(|at| (at.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
    let mut start = Start::default();
    start.anchor(base);
    for (at, len) in segments(rest) {
        let piece = &stream[at as usize..(at + len) as usize];
        let before = start.bytes().len();
        let grown = start.add(base.wrapping_add(at), piece, len, LIMIT);
        assert_eq!(grown, start.bytes().len() > before);
        assert!(start.bytes().len() <= LIMIT);
        assert_eq!(start.bytes(), &stream[..start.bytes().len()]);
    }
}

pub(super) fn sequence_seeds() -> Vec<Vec<u8>> {
    let seed = |base: u32, segments: &[(u16, u16)]| {
        let mut seed = base.to_le_bytes().to_vec();
        for (at, len) in segments {
            seed.extend(at.to_le_bytes());
            seed.extend(len.to_le_bytes());
        }
        seed
    };
    vec![
        seed(1, &[(0, 100), (100, 100), (200, 100)]),
        seed(u32::MAX - 150, &[(100, 100), (0, 100), (300, 100), (150, 200)]),
        seed(7, &[(300, 10), (200, 10), (100, 10), (0, 400), (50, 1)]),
    ]
}

/// Segments and datagrams of one flow behind a hello: what each is stands in three bytes, side, acknowledgement and what
/// it begins with, then its length.
pub(super) fn uploads(bytes: &[u8]) {
    for transport in [Transport::Tcp, Transport::Udp] {
        let mut worker = Worker::new(WorkerConfig { flows: 16, ..WorkerConfig::default() });
        let hello = super::common::traffic::hello("upload.example");
        let (mut at, mut next, mut sent) = (1_700_000_000_000_000_000, [1_000_u32, 9_000], 0);
        let first = [0, 3, (hello.len() & 0xff) as u8, (hello.len() >> 8) as u8];
        for (ordinal, step) in
            std::iter::once(first.as_slice()).chain(bytes.chunks_exact(4)).take(400).enumerate()
        {
            let [kind, late, low, high] = [0, 1, 2, 3].map(|i| step[i]);
            let side = usize::from(kind & 1);
            let len = u16::from_le_bytes([low, high]);
            at += 1_000_000 * i64::from(late);
            let record = [23, 3, 3, kind, low];
            let payload = match kind & 2 {
                _ if ordinal == 0 => hello.as_slice(),
                0 => &record[..usize::from(len).min(5)],
                _ => &[],
            };
            let ack = next[1 - side].wrapping_sub(u32::from(kind & 4 != 0) * u32::from(late));
            let stamp = Timestamp::from_nanos(at);
            let pair = if side == 0 { (0x0a00_0001, 0xcb00_7101) } else { (0xcb00_7101, 0x0a00_0001) };
            let ports = if side == 0 { (40_000, 443) } else { (443, 40_000) };
            worker.packets(&[Packet {
                pair: Pair::V4 { src: pair.0, dst: pair.1 },
                src_port: ports.0,
                dst_port: ports.1,
                transport,
                tcp: Tcp { seq: next[side], ack, flags: 16 },
                at: stamp,
                since: stamp,
                frames: 1,
                now: stamp,
                ordinal: ordinal as u64 + 1,
                payload,
                payload_len: u32::from(len),
                wire_len: u32::from(len) + 54,
                ip_len: u32::from(len) + 40,
                ip_id: ordinal as u16,
                ttl: 64,
                path: Path::default(),
            }]);
            next[side] = next[side].wrapping_add(u32::from(len));
            sent += u64::from(len);
        }
        worker.finish(Timestamp::from_nanos(at), 1_000);
        for told in worker.take_told() {
            let Telling::Delta(delta) = told.what else { continue };
            let seen = delta.uploads;
            assert!(u64::from(seen.answered) * Uploads::LEAST <= sent, "{seen:?} of {sent}");
            assert!(seen.smallest <= seen.largest && u64::from(seen.largest) * Uploads::UNIT <= sent);
        }
    }
}

pub(super) fn upload_seeds() -> Vec<Vec<u8>> {
    let step = |kind: u8, late: u8, len: u16| [kind, late, len.to_le_bytes()[0], len.to_le_bytes()[1]];
    let upload = [step(0x01, 1, 300), step(0x42, 1, 1_448), step(0x02, 0, 9_000), step(0x01, 20, 400)];
    let quiet = [step(0, 1, 1_200), step(2, 1, 9_000), step(1, 60, 90), step(0, 200, 1_200)];
    vec![upload.concat().repeat(5), quiet.concat().repeat(5), step(4, 9, 60_000).repeat(9)]
}
