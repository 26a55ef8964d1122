//! Frames that a span port sends twice, made up: on both VLANs of a routed port, before and after the router, once
//! with the addresses of each side. No payload counts twice, and each second copy is counted.

mod common;

use common::pipeline::{Frame, Ran, Recut, through};
use common::traffic::{ACK, Conn, FIN, dns_answer, ip_frame, udp};
use egret::config::Config;
use egret::units::{Span, Timestamp};
use serde_json::Value;
use std::net::IpAddr;

const MS: i64 = 1_000_000;
const START: i64 = 1_700_000_000_000 * MS;

/// How the second copy differs.
#[derive(Clone, Copy, PartialEq, Debug)]
enum Other {
    Hop,
    Vlan,
    Mac,
    Nothing,
}

fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

/// The frame with an identification.
fn with_id(mut frame: Frame, id: u16) -> Frame {
    frame.bytes[18..20].copy_from_slice(&id.to_be_bytes());
    frame
}

fn copy(frame: &Frame, other: Other, later: i64) -> Frame {
    let mut copy = frame.clone();
    copy.at = frame.at.plus(Span::from_nanos(later));
    match other {
        Other::Hop => copy.bytes[22] -= 1,
        Other::Vlan => copy.vlan = 30,
        Other::Mac => copy.bytes[0..12].copy_from_slice(&[2, 0, 0, 0, 0, 9, 2, 0, 0, 0, 0, 8]),
        Other::Nothing => {}
    }
    copy
}

/// A connection with data both ways, each packet with its own identification, 5 ms apart.
fn conversation() -> Vec<Frame> {
    let mut conn = Conn::new(ip("10.0.0.5"), 50_000, ip("198.51.100.7"), 443, [7_000, 9_000]);
    let mut frames = conn.handshake(START);
    for n in 0..40 {
        let (from, len) = (usize::from(n % 3 == 0), 100 + n * 10);
        frames.push(conn.segment(START, from, ACK, &vec![n as u8; len], len as u32));
        frames.push(conn.segment(START, 1 - from, ACK, &[], 0));
    }
    frames.extend(
        [(0, FIN | ACK), (1, FIN | ACK), (0, ACK)].map(|(f, flags)| conn.segment(START, f, flags, &[], 0)),
    );
    spaced(frames, 5 * MS)
}

fn datagrams(id: impl Fn(u16) -> u16) -> Vec<Frame> {
    let frames = (0..40u16).map(|n| {
        let payload = udp(50_000, 4_433, &vec![n as u8; 500 + usize::from(n)]);
        with_id(ip_frame(START, ip("10.0.0.5"), ip("198.51.100.7"), 17, &payload, 0), id(n))
    });
    spaced(frames.collect(), 5 * MS)
}

fn spaced(frames: Vec<Frame>, step: i64) -> Vec<Frame> {
    let numbered = frames.into_iter().enumerate();
    numbered
        .map(|(i, frame)| {
            let at = Timestamp::from_nanos(START + i as i64 * step);
            // Connections number their packets; datagrams have been given theirs.
            let id = u16::from_be_bytes([frame.bytes[18], frame.bytes[19]]);
            let frame = Frame { at, ..frame };
            if id == 7 { with_id(frame, 1_000 + i as u16) } else { frame }
        })
        .collect()
}

/// Each frame followed by its copy.
fn doubled(frames: &[Frame], other: Other, later: i64) -> Vec<Frame> {
    frames.iter().flat_map(|frame| [frame.clone(), copy(frame, other, later)]).collect()
}

fn run(frames: &[Frame], config: Config) -> Ran {
    through(config, "eve", &mut Recut::new(frames, 64))
}

/// Payload both ways, retransmitted both ways, frames both ways, duplicates.
fn counted(ran: &Ran) -> (Vec<u64>, u64) {
    let flows = ran.records("flow");
    assert_eq!(flows.len(), 1, "{flows:?}");
    let n = |v: &Value| v.as_u64().unwrap();
    let (flow, egret) = (&flows[0]["flow"], &flows[0]["egret"]);
    let keys = ["payload_toserver", "payload_toclient", "retransmitted_toserver", "retransmitted_toclient"];
    let mut all: Vec<u64> = keys.iter().map(|key| n(&egret[key])).collect();
    all.extend([n(&flow["pkts_toserver"]), n(&flow["pkts_toclient"])]);
    let stats = ran.records("stats");
    (all, n(&stats.last().unwrap()["egret"]["capture"]["duplicates"]))
}

#[test]
fn tcp_never_counts_twice_and_every_copy_is_counted() {
    let frames = conversation();
    let (once, none) = counted(&run(&frames, Config::default()));
    assert_eq!((none, once[2], once[3]), (0, 0, 0));
    for other in [Other::Hop, Other::Vlan, Other::Mac] {
        for workers in [1, 2] {
            let twice = doubled(&frames, other, MS / 5);
            let (all, copies) = counted(&run(&twice, Config { workers, ..Config::default() }));
            assert_eq!(copies, frames.len() as u64, "{other:?}");
            assert_eq!(all[..4], once[..4], "{other:?}");
            assert_eq!((all[4], all[5]), (once[4] * 2, once[5] * 2), "{other:?}");
        }
    }
    // Without a difference nothing proves a copy: it is a retransmission, and its payload counts once all the same.
    let (all, copies) = counted(&run(&doubled(&frames, Other::Nothing, MS / 5), Config::default()));
    assert_eq!((copies, &all[..2]), (0, &once[..2]));
    assert_eq!((all[2], all[3]), (once[0], once[1]));
}

#[test]
fn copies_may_come_behind_a_burst() {
    let frames = spaced(conversation(), MS / 100);
    let (once, _) = counted(&run(&frames, Config::default()));
    let bursts = |len: usize| -> Vec<Frame> {
        let burst = |burst: &[Frame]| {
            let copies: Vec<Frame> = burst.iter().map(|frame| copy(frame, Other::Hop, MS / 5)).collect();
            [burst.to_vec(), copies].concat()
        };
        frames.chunks(len).flat_map(burst).collect()
    };
    let (all, copies) = counted(&run(&bursts(4), Config::default()));
    assert_eq!((copies, &all[..4]), (frames.len() as u64, &once[..4]));
    // Where the first copy comes after many packets, a few of those may have passed unremembered: their payload is
    // taken for retransmitted, and counts once.
    let (all, copies) = counted(&run(&bursts(10), Config::default()));
    assert!(copies >= frames.len() as u64 - 10, "{copies}");
    assert_eq!(all[..2], once[..2]);
}

#[test]
fn datagrams_count_once_where_a_copy_is_proven() {
    let frames = datagrams(|n| 900 + n);
    let (once, _) = counted(&run(&frames, Config::default()));
    let twice = once[0] * 2;
    let n = frames.len() as u64;
    for (other, later, payload, copies) in [
        (Other::Hop, MS / 5, once[0], n),
        (Other::Vlan, MS, once[0], n),
        (Other::Mac, 0, once[0], n),
        (Other::Nothing, MS / 5, twice, 0),
        (Other::Hop, 2 * MS, twice, 0),
    ] {
        let (all, found) = counted(&run(&doubled(&frames, other, later), Config::default()));
        assert_eq!((all[0], found), (payload, copies), "{other:?} {later}");
    }
    let unnumbered = datagrams(|_| 0);
    let (all, found) = counted(&run(&doubled(&unnumbered, Other::Hop, 0), Config::default()));
    assert_eq!((all[0], found), (twice, 0), "no identification, no proof");
}

#[test]
fn declared_copies_need_no_proof_but_the_same_payload() {
    let mut config = Config::default();
    config.capture.sent_twice = true;
    let frames = datagrams(|_| 0);
    let (once, none) = counted(&run(&frames, config.clone()));
    assert_eq!(none, 0);
    let (all, found) = counted(&run(&doubled(&frames, Other::Nothing, MS / 5), config.clone()));
    assert_eq!((all[0], found), (once[0], frames.len() as u64));
    let mut unlike = doubled(&frames, Other::Nothing, MS / 5);
    for (i, frame) in unlike.iter_mut().enumerate() {
        *frame.bytes.last_mut().unwrap() = i as u8;
    }
    let (all, found) = counted(&run(&unlike, config));
    assert_eq!((all[0], found), (once[0] * 2, 0));
}

#[test]
fn an_answer_seen_twice_is_told_once() {
    let frames: Vec<Frame> = (0..20u16)
        .map(|n| {
            let answer = dns_answer(&format!("host{n}.example.com"), [198, 51, 100, n as u8], 0);
            let datagram = udp(53, 40_000, &answer);
            with_id(ip_frame(START, ip("10.0.0.1"), ip("10.0.0.5"), 17, &datagram, 0), 70 + n)
        })
        .collect();
    let frames = spaced(frames, 5 * MS);
    let ran = run(&doubled(&frames, Other::Vlan, MS / 2), Config::default());
    assert_eq!(ran.records("dns").len(), frames.len());
}
