//! Names and fingerprints of 641 real captures against what tshark says of them. Skipped where `../shared` is absent.

use egret::capture::{Batch, Frame, Replay, Source};
use egret::decode::{self, Decoded, Pair, Transport};
use egret::flow::fragments::Fragments;
use egret::parse::datagrams::Starts;
use egret::parse::dns::{self, DnsData};
use egret::parse::{self, Ech, Facts, NameSource, Outcome, Talk, TlsFacts};
use egret::units::{Both, Direction};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::net::IpAddr;
use std::path::{Path, PathBuf};

const UP_LIMIT: usize = 16 * 1024;
const DOWN_LIMIT: usize = 64 * 1024;

/// One transport packet, as a decoder would give it.
struct Packet {
    from: (String, u16),
    to: (String, u16),
    /// Sequence number and flags.
    tcp: Option<(u32, u8)>,
    payload: Vec<u8>,
}

type Origin = (String, u16);
type Key = (bool, (String, u16), (String, u16));

fn key(tcp: bool, a: (String, u16), b: (String, u16)) -> Key {
    if a <= b { (tcp, a, b) } else { (tcp, b, a) }
}

/// One direction: bytes by offset from the first one seen.
#[derive(Default)]
struct Stream {
    base: Option<u32>,
    pieces: BTreeMap<u32, Vec<u8>>,
    start: Vec<u8>,
}

impl Stream {
    /// Adds a segment; true when the contiguous start grew.
    fn add(&mut self, seq: u32, syn: bool, bytes: &[u8], limit: usize) -> bool {
        let first = if syn { seq.wrapping_add(1) } else { seq };
        let base = *self.base.get_or_insert(first);
        let offset = first.wrapping_sub(base);
        if bytes.is_empty() || offset as usize > limit {
            return false;
        }
        self.pieces.entry(offset).or_insert_with(|| bytes.to_vec());
        let before = self.start.len();
        for (at, piece) in &self.pieces {
            let at = *at as usize;
            if at <= self.start.len() && at + piece.len() > self.start.len() {
                let new = &piece[self.start.len() - at..];
                self.start.extend_from_slice(&new[..new.len().min(limit - self.start.len())]);
            }
        }
        self.start.len() > before
    }
}

#[derive(Default)]
struct Flow {
    originator: (String, u16),
    responder: (String, u16),
    first_seq: Option<u32>,
    up: Stream,
    down: Stream,
    facts: Option<Facts>,
    settled: bool,
}

impl Flow {
    fn ask(&mut self, done: bool) {
        if self.settled {
            return;
        }
        let talk = Talk {
            up: &self.up.start,
            down: &self.down.start,
            done: Both {
                up: done || self.up.start.len() >= UP_LIMIT,
                down: done || self.down.start.len() >= DOWN_LIMIT,
            },
            transport: Transport::Tcp,
            ports: Both { up: self.originator.1, down: self.responder.1 },
            told: Both::default(),
        };
        match parse::parse(&talk) {
            Outcome::More => assert!(!done, "More after done"),
            Outcome::Partly(facts) => self.facts = Some(*facts),
            Outcome::Done(facts) => {
                self.facts = Some(*facts);
                self.settled = true;
            }
            Outcome::Nothing(_) => self.settled = true,
        }
    }
}

fn tcp_facts(packets: &[Packet]) -> HashMap<Key, Vec<Facts>> {
    let mut flows: HashMap<Key, Vec<Flow>> = HashMap::new();
    for p in packets {
        let Some((seq, flags)) = p.tcp else { continue };
        let list = flows.entry(key(true, p.from.clone(), p.to.clone())).or_default();
        let (syn, ack) = (flags & 2 != 0, flags & 16 != 0);
        let reused = syn && !ack && list.last().is_some_and(|f| f.first_seq.is_none_or(|s| s != seq));
        if list.is_empty() || reused {
            let (originator, responder) =
                if syn && ack { (p.to.clone(), p.from.clone()) } else { (p.from.clone(), p.to.clone()) };
            list.push(Flow { originator, responder, ..Flow::default() });
        }
        let flow = list.last_mut().unwrap();
        if syn && !ack {
            flow.first_seq = Some(seq);
        }
        let upward = p.from == flow.originator;
        let (stream, limit) = if upward { (&mut flow.up, UP_LIMIT) } else { (&mut flow.down, DOWN_LIMIT) };
        if stream.add(seq, syn, &p.payload, limit) {
            flow.ask(false);
        }
    }
    let mut out: HashMap<Key, Vec<Facts>> = HashMap::new();
    for (key, list) in flows {
        for mut flow in list {
            flow.ask(true);
            out.entry(key.clone()).or_default().extend(flow.facts);
        }
    }
    out
}

/// A UDP flow: who began it, the parser's state, whether it has said all.
type Datagrams = (Origin, Option<Starts>, bool);

fn udp_facts(packets: &[Packet], out: &mut HashMap<Key, Vec<Facts>>) {
    let mut flows: HashMap<Key, Datagrams> = HashMap::new();
    let mut keep = |k: &Key, outcome: Outcome| match outcome {
        Outcome::Done(facts) => {
            out.entry(k.clone()).or_default().push(*facts);
            true
        }
        Outcome::Nothing(_) => true,
        _ => false,
    };
    for p in packets.iter().filter(|p| p.tcp.is_none()) {
        let k = key(false, p.from.clone(), p.to.clone());
        let (originator, state, settled) =
            flows.entry(k.clone()).or_insert_with(|| (p.from.clone(), None, false));
        if *settled {
            continue;
        }
        if state.is_none() {
            *state = Starts::begin(&p.payload);
        }
        let Some(starts) = state else { continue };
        let from = if *originator == p.from { Direction::Up } else { Direction::Down };
        *settled = keep(&k, starts.datagram(from, &p.payload));
    }
    for (k, (_, state, settled)) in flows {
        if let Some(mut state) = state.filter(|_| !settled) {
            keep(&k, state.finish());
        }
    }
}

/// Reads and decodes a capture; fragments are put together.
fn packets(capture: &Path) -> Vec<Packet> {
    let mut out = Vec::new();
    let mut keep = |_: u32, found: Decoded<'_>| {
        let Decoded::Packet(p) = found else { return };
        let (src, dst) = match p.pair {
            Pair::V4 { src, dst } => (IpAddr::from(src.to_be_bytes()), IpAddr::from(dst.to_be_bytes())),
            Pair::V6 { src, dst } => (IpAddr::from(src.to_be_bytes()), IpAddr::from(dst.to_be_bytes())),
        };
        let (from, to) = ((src.to_string(), p.src_port), (dst.to_string(), p.dst_port));
        let tcp = (p.transport == Transport::Tcp).then_some((p.tcp.seq, p.tcp.flags));
        out.push(Packet { from, to, tcp, payload: p.payload.to_vec() });
    };
    let mut fragments = Fragments::default();
    let mut replay = Replay::open(&[capture.to_owned()]);
    let mut batch = Batch::default();
    while replay.fill(&mut batch) {
        for slot in &batch.slots {
            let frame = Frame {
                at: slot.at,
                now: slot.at,
                ordinal: 0,
                bytes: batch.frame_bytes(slot),
                wire_len: slot.wire_len,
                link: slot.link,
                vlan: (slot.vlan != u16::MAX).then_some(slot.vlan),
            };
            match decode::decode(&frame) {
                Decoded::Fragment(fragment) => fragments.push(&fragment, &mut keep),
                found => keep(1, found),
            }
        }
    }
    fragments.drain(&mut keep);
    out
}

/// The capture that an oracle speaks of.
fn capture_of(oracle: &Path) -> Option<PathBuf> {
    let stem = oracle.to_str()?.strip_suffix(".oracle.json")?;
    let known = ["pcap", "pcapng", "cap", "dmp"].map(|e| PathBuf::from(format!("{stem}.{e}")));
    if let Some(found) = known.into_iter().find(|p| p.exists()) {
        return Some(found);
    }
    let beside = std::fs::read_dir(oracle.parent()?).ok()?.flatten().map(|e| e.path());
    let fits = |p: &PathBuf| {
        let name = p.to_str().unwrap_or_default();
        name.starts_with(&format!("{stem}.")) && !name.contains("expected") && !name.contains(".json")
    };
    beside.into_iter().find(fits)
}

#[derive(Default)]
struct Score(BTreeMap<&'static str, (usize, usize)>);

impl Score {
    fn tick(&mut self, area: &'static str, good: bool, what: impl FnOnce() -> String) {
        let (g, all) = self.0.entry(area).or_default();
        *all += 1;
        *g += usize::from(good);
        if !good && std::env::var_os("EGRET_VERBOSE").is_some() {
            println!("{area} {}", what());
        }
    }
}

fn text(v: &Value, k: &str) -> String {
    v[k].as_str().unwrap_or_default().to_owned()
}

fn port(v: &Value, k: &str) -> u16 {
    v[k].as_u64().unwrap_or_default() as u16
}

fn has(v: &Value, k: &str, what: &str) -> bool {
    v[k].as_array().is_some_and(|a| a.iter().any(|x| x == what))
}

fn names_in(v: &Value, k: &str) -> BTreeSet<String> {
    let list = v[k].as_array().map(Vec::as_slice).unwrap_or_default();
    list.iter().filter_map(Value::as_str).filter(|s| !s.is_empty()).map(str::to_lowercase).collect()
}

fn names_of(facts: &[Facts]) -> BTreeSet<String> {
    let sni = facts.iter().filter_map(|f| f.tls.as_ref()?.sni.as_deref());
    sni.map(str::to_lowercase).collect()
}

fn hosts(stem: &str, flow: &Value, k: &Key, found: &HashMap<Key, Vec<Facts>>, score: &mut Score) {
    let want = names_in(flow, "http_host");
    if want.is_empty() || !k.0 || has(flow, "protos", "http2") {
        return;
    }
    let http = found.get(k).into_iter().flatten().filter_map(|f| f.http.as_ref());
    let got: BTreeSet<String> = http.map(|h| h.host.to_lowercase()).collect();
    score.tick("hosts", !want.is_disjoint(&got), || format!("{stem} {k:?} want {want:?} got {got:?}"));
}

/// As check.py counts sets: every name of the oracle and no other.
fn sets(stem: &str, oracle: &Value, found: &HashMap<Key, Vec<Facts>>, score: &mut Score) {
    let of = |p: &[&str]| p.iter().flat_map(|p| names_in(&oracle["sni"], p)).collect::<BTreeSet<_>>();
    let (want, optional) = (of(&["tls", "quic"]), of(&["gquic", "dtls"]));
    let got: BTreeSet<String> = found.values().flat_map(|facts| names_of(facts)).collect();
    let missing: Vec<_> = want.difference(&got).collect();
    let extra: Vec<_> = got.difference(&want).filter(|n| !optional.contains(*n)).collect();
    if !want.is_empty() || !extra.is_empty() {
        let good = missing.is_empty() && extra.is_empty();
        score.tick("sets", good, || format!("{stem} missing {missing:?} extra {extra:?}"));
    }
}

/// Questions and addresses of DNS over UDP and TCP.
fn dns(stem: &str, oracle: &Value, packets: &[Packet], score: &mut Score) {
    let mut queries = BTreeSet::new();
    let mut answers: HashMap<String, BTreeSet<String>> = HashMap::new();
    // Over UDP by form alone, on any port.
    for p in packets.iter().filter(|p| p.tcp.is_none() || [p.from.1, p.to.1].contains(&53)) {
        let whole = std::iter::once(&*p.payload).filter(|_| p.tcp.is_none());
        let framed = dns::messages(&p.payload).filter(|_| p.tcp.is_some());
        for message in whole.chain(framed).filter_map(dns::message) {
            if message.response {
                let known = answers.entry(message.name.to_string()).or_default();
                known.extend(message.answers.iter().filter_map(|a| match &a.data {
                    DnsData::A(ip) => Some(ip.to_string()),
                    DnsData::Aaaa(ip) => Some(ip.to_string()),
                    _ => None,
                }));
            } else {
                queries.insert(message.name.to_string());
            }
        }
    }
    // Within HTTPS it is not ours to read; multicast DNS is left out.
    if stem.contains("over_https") {
        return;
    }
    let plain = |n: &str| {
        !n.contains(".local") && n.bytes().all(|b| b.is_ascii_alphanumeric() || b".-_".contains(&b))
    };
    for q in oracle["dns"]["queries"].as_array().into_iter().flatten().filter_map(Value::as_str) {
        if plain(q) {
            score.tick("dns-q", queries.contains(q), || format!("{stem} {q:?}"));
        }
    }
    for a in oracle["dns"]["answers"].as_array().into_iter().flatten() {
        let name = text(a, "name");
        let want: BTreeSet<String> = ["a", "aaaa"].iter().flat_map(|k| names_in(a, k)).collect();
        if plain(&name) {
            let got = answers.get(&name);
            // tshark adds the addresses of name servers from the other sections.
            let good = got.is_some_and(|g| g.is_empty() || !g.is_disjoint(&want));
            score.tick("dns-a", good, || format!("{stem} {name} want {want:?} got {got:?}"));
        }
    }
}

fn compare(stem: &str, oracle: &Value, found: &HashMap<Key, Vec<Facts>>, score: &mut Score) {
    sets(stem, oracle, found, score);
    let empty = Vec::new();
    let mut seen = BTreeSet::new();
    for f in oracle["flows"].as_array().unwrap_or(&empty) {
        let tcp = f["proto"] == "tcp";
        let k = key(tcp, (text(f, "src"), port(f, "sport")), (text(f, "dst"), port(f, "dport")));
        let want = names_in(f, "sni");
        if !seen.insert(k.clone()) {
            continue;
        }
        hosts(stem, f, &k, found, score);
        if want.is_empty() {
            continue;
        }
        if has(f, "protos", "dtls") {
            let got = names_of(found.get(&k).unwrap_or(&Vec::new()));
            score.tick("dtls", !want.is_disjoint(&got), || format!("{stem} {k:?} want {want:?} got {got:?}"));
            continue;
        }
        let area = match (tcp, has(f, "protos", "gquic")) {
            (_, true) => "gnames",
            (true, _) => "names",
            _ => "qnames",
        };
        let got = names_of(found.get(&k).unwrap_or(&Vec::new()));
        score.tick(area, !want.is_disjoint(&got), || format!("{stem} {k:?} want {want:?} got {got:?}"));
    }
    for hello in ["tls", "quic"].iter().flat_map(|p| oracle["client_hellos"][p].as_array().unwrap_or(&empty))
    {
        let want = text(hello, "ja4");
        if want.is_empty() || hello["ja4_uncertain"] == true || hello["sport"].is_null() {
            continue;
        }
        let ends = ((text(hello, "src"), port(hello, "sport")), (text(hello, "dst"), port(hello, "dport")));
        let k = key(hello["proto"] == 6, ends.0, ends.1);
        let hellos = || {
            let first = found.get(&k).into_iter().flatten().filter_map(|f| f.tls.as_deref());
            first.flat_map(|t| std::iter::once(t).chain(t.retried.as_deref()))
        };
        let got: Vec<_> = hellos().filter_map(TlsFacts::ja4).collect();
        let good = got.iter().any(|j| *j == want);
        score.tick("ja4", good, || format!("{stem} {k:?} frame {} want {want} got {got:?}", hello["frame"]));
        let want = text(hello, "ja3");
        let mut ja3 = hellos().filter_map(TlsFacts::ja3);
        let good = want.is_empty() || ja3.any(|j| j == want);
        score.tick("ja3", good, || format!("{stem} {k:?} frame {} want {want}", hello["frame"]));
    }
}

fn oracles(dir: &Path, out: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(dir).into_iter().flatten().flatten() {
        let path = entry.path();
        if path.is_dir() {
            oracles(&path, out);
        } else if path.to_str().is_some_and(|p| p.ends_with(".oracle.json")) {
            out.push(path);
        }
    }
}

#[test]
fn names_of_real_captures() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/data/captures");
    let mut list = Vec::new();
    oracles(&root, &mut list);
    list.sort();
    if list.is_empty() {
        println!("skipped: no {}", root.display());
        return;
    }
    let mut score = Score::default();
    for path in list {
        let oracle: Value = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
        let broken = oracle.get("tshark_error").is_some() || oracle.get("flows_cut").is_some();
        let Some(capture) = capture_of(&path).filter(|_| !broken) else { continue };
        let packets = packets(&capture);
        let mut found = tcp_facts(&packets);
        udp_facts(&packets, &mut found);
        let stem = capture.file_stem().and_then(|s| s.to_str()).unwrap_or_default();
        dns(stem, &oracle, &packets, &mut score);
        compare(
            capture.file_stem().and_then(|s| s.to_str()).unwrap_or_default(),
            &oracle,
            &found,
            &mut score,
        );
    }
    let floors = [
        ("names", 99.8),
        ("qnames", 99.8),
        ("gnames", 99.8),
        ("ja4", 99.8),
        ("hosts", 98.5),
        ("dns-q", 99.0),
        ("dns-a", 99.0),
        ("sets", 98.0),
    ];
    for (area, (good, all)) in &score.0 {
        let percent = *good as f64 * 100.0 / *all as f64;
        println!("{area:8} {good:6} / {all:6} {percent:.2} %");
        let floor = floors.iter().find(|f| f.0 == *area).map_or(0.0, |f| f.1);
        assert!(percent >= floor, "{area} {percent} below {floor}");
    }
}

/// All captures with an encrypted hello: two of them are real (to Cloudflare's public name, and Firefox's old ESNI,
/// which sends no name at all); every other is grease and keeps its own name.
#[test]
fn encrypted_hellos() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/data/captures");
    let mut list = Vec::new();
    oracles(&root, &mut list);
    let (mut real, mut grease) = (0, 0);
    for path in list {
        let text = std::fs::read_to_string(&path).unwrap();
        if !text.contains("\"ech_ext\": true") && !text.contains("\"esni_ext\": true") {
            continue;
        }
        let packets = packets(&capture_of(&path).unwrap());
        let mut found = tcp_facts(&packets);
        udp_facts(&packets, &mut found);
        for facts in found.values().flatten() {
            let Some(tls) = facts.tls.as_ref().filter(|t| t.ech != Ech::None) else { continue };
            let outer = tls.sni.as_deref() == Some("cloudflare-ech.com");
            assert_eq!(tls.ech == Ech::RealLikely, outer || tls.sni.is_none(), "{path:?} {:?}", tls.sni);
            let source = facts.name.as_ref().map(|n| n.1);
            assert_eq!(source == Some(NameSource::EchOuterSni), outer, "{path:?} {:?}", facts.name);
            if tls.ech == Ech::RealLikely { real += 1 } else { grease += 1 }
        }
    }
    println!("{real} real, {grease} grease or undecided");
}

fn all_facts(stem: &str) -> Vec<Facts> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/data/captures");
    let capture = capture_of(&root.join(format!("{stem}.oracle.json")));
    capture.map(|c| tcp_facts(&packets(&c)).into_values().flatten().collect()).unwrap_or_default()
}

/// What `*.expected.suricata.yaml` says of the same captures.
#[test]
fn certificates_and_versions_as_suricata_prints_them() {
    for facts in all_facts("tls/suricata-tls-pre-1970") {
        let tls = facts.tls.unwrap();
        assert_eq!((tls.version, tls.negotiated), (0x0301, true));
        let certificate = tls.certificate().unwrap();
        assert_eq!(&*certificate.subject, "OU=vd, CN=fkp.samsungcloudsolution.com");
        assert!(
            certificate
                .issuer
                .starts_with("C=KR, ST=Kyunggido, L=Suwon, O=Samsung Electronics, OU=SW2 SISC,")
        );
        assert_eq!(&*certificate.serial, "32");
        assert_eq!(&*certificate.fingerprint, "71:cd:fe:08:7f:3d:2a:18:32:69:38:fa:bd:64:7b:c6:cf:cc:44:8e");
        assert_eq!((certificate.not_before, certificate.not_after), (-86_400, 2_177_367_003));
    }
    for facts in all_facts("tls/suricata-ldap-starttls") {
        let tls = facts.tls.unwrap();
        let certificate = tls.certificate().unwrap();
        assert_eq!(&*certificate.subject, "CN=LDAP SSL test");
        assert_eq!(&*certificate.serial, "00:8A:07:E0:8D:4A:B5:0A:7B");
        assert_eq!(tls.version, 0x0303);
    }
    for (stem, version) in [
        ("tls/suricata-tls13-draft14--tls13_draft14", 0x0304),
        ("tls/suricata-tls13-draft18--tls13_draft18", 0x7f12),
        ("tls/suricata-tls13-draft22--tls13_draft22", 0x7f16),
    ] {
        for facts in all_facts(stem) {
            let tls = facts.tls.unwrap();
            assert_eq!((tls.version, tls.negotiated), (version, true), "{stem}");
        }
    }
}

/// Captures made to break readers: nothing panics, and a parser that was told that no more comes never waits.
#[test]
fn broken_captures_do_no_harm() {
    let data = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/data");
    for folder in ["fuzz", "captures/badfile", "captures/malformed"] {
        for entry in std::fs::read_dir(data.join(folder)).into_iter().flatten().flatten() {
            if entry.path().to_str().is_some_and(|p| p.contains(".json") || p.contains("expected")) {
                continue;
            }
            let packets = packets(&entry.path());
            let mut found = tcp_facts(&packets);
            udp_facts(&packets, &mut found);
            for p in &packets {
                dns::message(&p.payload);
                parse::tunnel::label(&p.payload);
            }
        }
    }
}
