//! Every capture below `../shared/data/captures`, decoded and put together, against what TShark says of it.
//!
//! `EGRET_CAPTURES` names another folder of captures with oracles, `EGRET_ONLY` a part of the file name; with
//! `--nocapture` every difference is told. `docs/decode-differences.md` says why each is there.

use egret::capture::{Batch, Frame, Replay, Source};
use egret::clock::Clock;
use egret::decode::{self, Decoded, Pair, Transport};
use egret::flow::fragments::Fragments;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::path::{Path, PathBuf};

/// Captures in which TShark and we differ, the areas, and who is mistaken. All others must agree in everything.
const KNOWN: [(&str, &[&str], &str); 20] = [
    (
        "ndpi-ajp.pcap",
        &["payload"],
        "TShark takes the last 4 bytes of FabricPath's inner frame for a checksum",
    ),
    (
        "ndpi-fuzz-2006-06-26-2594.pcap",
        &["payload", "pkts", "wire", "ip"],
        "lying UDP lengths, as below, and one first piece whose rest never came",
    ),
    ("ndpi-fuzz-2020-02-16-11740.pcap", &["payload"], LIE),
    (
        "ndpi-reasm_crash_anon.pcapng",
        &["payload"],
        "a TCP data offset of 0: TShark counts the header as payload",
    ),
    ("zeek-erspan.pcap", &["ip"], "IP bytes of the tunnel's fragments, added to those of the packet within"),
    ("tcpdump-bigtcp-ipv6-hbh.pcap", &["ip"], BIG),
    ("tcpdump-bigtcp-ipv4-geneve-ipv4.pcap", &["flows"], BIG),
    ("tcpdump-bigtcp-ipv4-vxlan-ipv4.pcap", &["flows"], BIG),
    ("tcpdump-bigtcp-ipv6-geneve-ipv4.pcap", &["flows"], BIG),
    ("tcpdump-bigtcp-ipv6-vxlan-ipv4.pcap", &["flows"], BIG),
    ("tcpdump-bigtcp-ipv6.pcap", &["flows"], BIG),
    (
        "zeek-fragmented-2.pcap",
        &["flows"],
        "an incomplete datagram, which we give to the flow of its first piece",
    ),
    (
        "suricata-bug-7414-decoder-event-01--ip_secopt.pcap",
        &["pkts", "wire", "ip", "payload", "times"],
        "TShark stops at a broken IP option, the packet behind it is whole",
    ),
    ("pcapng-be-test016.pcapng", &["times"], STAMP),
    ("pcapng-be-test018.pcapng", &["times"], STAMP),
    ("pcapng-le-test011.pcapng", &["times"], STAMP),
    ("pcapng-le-test016.pcapng", &["times"], STAMP),
    ("pcapng-be-test100.pcapng", &["times"], STAMP),
    ("pcapng-be-test202.pcapng", &["times"], STAMP),
    ("pcapng-le-test202.pcapng", &["times"], STAMP),
];
const LIE: &str = "a UDP length beyond the IP packet: TShark counts it, we count what was there";
const BIG: &str = "segmentation offload beyond 64 KiB, which TShark 4.0 does not know";
const STAMP: &str = "a simple packet block has no time; replay gives it that of its neighbour";

type End = (IpAddr, u16);

#[derive(Clone, Copy, Default, PartialEq, Eq, Debug)]
struct Sums {
    pkts: u64,
    wire: u64,
    ip: u64,
    payload: u64,
}

#[derive(Clone, Default, Debug)]
struct Flow {
    from: BTreeMap<End, Sums>,
    first: i64,
    last: i64,
}

type Flows = BTreeMap<(u8, End, End), Flow>;

/// Counted like check.py counts: good and all.
#[derive(Default)]
struct Score {
    areas: BTreeMap<&'static str, (u64, u64)>,
    notes: Vec<String>,
}

impl Score {
    fn tick(&mut self, area: &'static str, good: bool, what: impl FnOnce() -> String) {
        let entry = self.areas.entry(area).or_default();
        entry.1 += 1;
        if good {
            entry.0 += 1;
        } else {
            self.notes.push(format!("{area}: {}", what()));
        }
    }
}

fn key(proto: u8, a: End, b: End) -> (u8, End, End) {
    if a <= b { (proto, a, b) } else { (proto, b, a) }
}

fn ends(pair: Pair) -> (IpAddr, IpAddr) {
    match pair {
        Pair::V4 { src, dst } => (IpAddr::from(src.to_be_bytes()), IpAddr::from(dst.to_be_bytes())),
        Pair::V6 { src, dst } => (IpAddr::from(src.to_be_bytes()), IpAddr::from(dst.to_be_bytes())),
    }
}

/// Decodes a file; gives the flows and the number of frames accounted for in each way.
fn flows_of(file: &Path) -> (Flows, [u64; 4]) {
    let (mut flows, mut decoded, mut skipped) = (Flows::new(), 0, 0);
    let mut fragments = Fragments::default();
    let mut clock = Clock::new();
    let mut book = |frames: u32, found: Decoded<'_>| match found {
        Decoded::Packet(p) => {
            decoded += u64::from(frames);
            let (src, dst) = ends(p.pair);
            let (src, dst) = ((src, p.src_port), (dst, p.dst_port));
            let proto = if p.transport == Transport::Tcp { 6 } else { 17 };
            let flow = flows.entry(key(proto, src, dst)).or_insert_with(|| Flow {
                first: p.since.nanos(), // the oracle's first packet in file order, not in time
                last: i64::MIN,
                ..Flow::default()
            });
            if p.frames > 1 {
                flow.first = flow.first.min(p.since.nanos());
            }
            flow.last = flow.last.max(p.at.nanos());
            let sums = flow.from.entry(src).or_default();
            sums.pkts += u64::from(p.frames);
            sums.wire += u64::from(p.wire_len);
            sums.ip += u64::from(p.ip_len);
            sums.payload += u64::from(p.payload_len);
        }
        Decoded::Skip(_) => skipped += u64::from(frames),
        Decoded::Fragment(_) => panic!("a fragment came out of the table"),
    };
    let (mut replay, mut batch, mut ordinal) = (Replay::open(&[file.to_owned()]), Batch::default(), 0);
    while replay.fill(&mut batch) {
        for slot in &batch.slots {
            let (at, bytes) = (slot.at, batch.frame_bytes(slot));
            let vlan = (slot.vlan != 0xffff).then_some(slot.vlan);
            let now = clock.advance(at);
            let frame = Frame { at, now, ordinal, bytes, wire_len: slot.wire_len, link: slot.link, vlan };
            ordinal += 1;
            match decode::decode(&frame) {
                Decoded::Fragment(f) => fragments.push(&f, &mut book),
                other => book(1, other),
            }
        }
    }
    fragments.drain(&mut book);
    let held = fragments.tally().held;
    (flows, [ordinal, decoded, skipped, held])
}

fn end_of(flow: &Value, address: &str, port: &str) -> Option<End> {
    Some((flow[address].as_str()?.parse().ok()?, flow[port].as_u64()? as u16))
}

fn sums_of(side: &Value) -> Sums {
    let n = |name: &str| side[name].as_u64().unwrap_or(0);
    Sums { pkts: n("pkts"), wire: n("wire"), ip: n("ip"), payload: n("payload") }
}

fn compare(oracle: &Value, flows: &Flows, score: &mut Score) {
    let mut seen = BTreeSet::new();
    for want in oracle["flows"].as_array().into_iter().flatten() {
        let (Some(src), Some(dst)) = (end_of(want, "src", "sport"), end_of(want, "dst", "dport")) else {
            continue;
        };
        let key = key(if want["proto"] == "tcp" { 6 } else { 17 }, src, dst);
        let tag = format!("{} {}:{} > {}:{}", want["proto"], src.0, src.1, dst.0, dst.1);
        if !seen.insert(key) {
            continue;
        }
        let got = flows.get(&key);
        score.tick("flows", got.is_some(), || format!("{tag} missing, {}", want["stack"]));
        let Some(got) = got.filter(|_| src != dst) else { continue };
        let get = |end: &End| got.from.get(end).copied().unwrap_or_default();
        let sides = [(sums_of(&want["up"]), get(&src)), (sums_of(&want["down"]), get(&dst))];
        let fields: [(&'static str, fn(&Sums) -> u64); 4] =
            [("pkts", |s| s.pkts), ("wire", |s| s.wire), ("ip", |s| s.ip), ("payload", |s| s.payload)];
        for (area, field) in fields {
            let good = sides.iter().all(|(want, got)| field(want) == field(got));
            score.tick(area, good, || format!("{tag} want, got {sides:?} {}", want["stack"]));
        }
        let near =
            |want: &Value, got: i64| (want.as_f64().unwrap_or(0.0) * 1e6 - got as f64 / 1e3).abs() <= 1.5;
        let good = near(&want["first"], got.first) && near(&want["last"], got.last);
        score.tick("times", good, || {
            format!("{tag} want {} {} got {} {}", want["first"], want["last"], got.first, got.last)
        });
    }
    for (key, flow) in flows.iter().filter(|(key, _)| !seen.contains(*key)) {
        score.tick("flows", false, || format!("not in the oracle: {key:?} {flow:?}"));
    }
}

fn oracles(root: &Path, out: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(root).into_iter().flatten().flatten() {
        let path = entry.path();
        if path.is_dir() {
            oracles(&path, out);
        } else if path.to_string_lossy().ends_with(".oracle.json") {
            out.push(path);
        }
    }
}

fn capture_of(oracle: &Path) -> Option<PathBuf> {
    let stem = oracle.to_string_lossy().strip_suffix(".oracle.json")?.to_owned();
    ["pcap", "pcapng", "cap", "dmp"].iter().map(|e| PathBuf::from(format!("{stem}.{e}"))).find(|p| p.exists())
}

#[test]
fn innermost_flows_are_those_of_the_oracles() {
    let root = std::env::var_os("EGRET_CAPTURES")
        .map_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/data/captures"), PathBuf::from);
    let only = std::env::var("EGRET_ONLY").unwrap_or_default();
    let mut list = Vec::new();
    oracles(&root, &mut list);
    list.sort();
    if list.is_empty() {
        println!("skipped: no oracles below {}", root.display());
        return;
    }
    let mut total: BTreeMap<&str, (u64, u64)> = BTreeMap::new();
    let mut unknown = Vec::new();
    for path in list.iter().filter(|p| p.to_string_lossy().contains(&only)) {
        let oracle: Value = serde_json::from_slice(&std::fs::read(path).expect("oracle")).expect("JSON");
        let broken = !oracle["tshark_error"].is_null() || !oracle["file_info"]["capinfos_error"].is_null();
        let Some(capture) = capture_of(path).filter(|_| !broken && oracle["flows_cut"].is_null()) else {
            continue;
        };
        let (flows, [frames, decoded, skipped, held]) = flows_of(&capture);
        let mut score = Score::default();
        score.tick("stats", frames == decoded + skipped + held, || {
            format!("{frames} {decoded} {skipped} {held}")
        });
        if oracle["totals"]["frames"].as_u64() != Some(frames) {
            println!("{}: {frames} frames read, oracle {}", capture.display(), oracle["totals"]["frames"]);
            continue;
        }
        compare(&oracle, &flows, &mut score);
        if !score.notes.is_empty() {
            println!("{}", capture.strip_prefix(&root).unwrap_or(&capture).display());
            score.notes.iter().take(6).for_each(|n| println!("    {n}"));
            score.notes.iter().skip(6).take(1).for_each(|_| println!("    … {} more", score.notes.len() - 6));
        }
        let name = capture.file_name().unwrap_or_default().to_string_lossy();
        let known = KNOWN.iter().find(|(file, _, _)| *file == name).map_or(&[][..], |(_, areas, _)| areas);
        for (area, (good, all)) in score.areas {
            if good < all && !known.contains(&area) {
                unknown.push(format!("{name}: {area}"));
            }
            let sum = total.entry(area).or_default();
            *sum = (sum.0 + good, sum.1 + all);
        }
    }
    for (area, (good, all)) in &total {
        println!("{area:8} {good:6} of {all:6}");
    }
    if only.is_empty() && std::env::var_os("EGRET_CAPTURES").is_none() {
        assert!(unknown.is_empty(), "new differences: {unknown:?}");
        assert!(total["flows"].1 > 5_000);
    }
}
