//! Names and fingerprints of 641 real captures against what tshark says of them. Skipped where `../shared` is absent.

use egret::decode::Transport;
use egret::parse::quic::Initials;
use egret::parse::{self, Facts, Outcome, Talk};
use egret::units::{Both, Direction};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet, HashMap};
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

fn udp_facts(packets: &[Packet], out: &mut HashMap<Key, Vec<Facts>>) {
    let mut flows: HashMap<Key, (Origin, Option<Box<Initials>>)> = HashMap::new();
    let mut keep = |k: Key, outcome: Outcome| match outcome {
        Outcome::Done(facts) => {
            out.entry(k).or_default().push(*facts);
            true
        }
        Outcome::Nothing(_) => true,
        _ => false,
    };
    for p in packets.iter().filter(|p| p.tcp.is_none()) {
        let k = key(false, p.from.clone(), p.to.clone());
        let (originator, state) = flows.entry(k.clone()).or_insert_with(|| (p.from.clone(), None));
        if state.is_none() && !Initials::looks_like(&p.payload) {
            continue;
        }
        let from = if *originator == p.from { Direction::Up } else { Direction::Down };
        let settled = keep(k, state.get_or_insert_default().datagram(from, &p.payload));
        if settled {
            *state = None;
        }
    }
    for (k, (_, state)) in flows {
        if let Some(mut state) = state {
            keep(k, state.finish());
        }
    }
}

fn packets(capture: &Path, root: &Path) -> Option<Vec<Packet>> {
    let dir = std::env::var("EGRET_TSV").ok()?;
    let stem = capture.strip_prefix(root).ok()?.to_str()?.replace('/', "_");
    let text = std::fs::read_to_string(Path::new(&dir).join(stem + ".tsv")).ok()?;
    let unhex = |h: &str| {
        (0..h.len() / 2).filter_map(|i| u8::from_str_radix(h.get(2 * i..2 * i + 2)?, 16).ok()).collect()
    };
    let row = |line: &str| {
        let c: Vec<&str> = line.split('\t').collect();
        let ip = |a: usize, b: usize| if c[a].is_empty() { c[b].to_owned() } else { c[a].to_owned() };
        let port = |i: usize| c[i].parse::<u16>().ok();
        let (src, dst) = (ip(0, 2), ip(1, 3));
        if let (Some(s), Some(d)) = (port(4), port(5)) {
            let flags = u32::from_str_radix(c[7].trim_start_matches("0x"), 16).ok()? as u8;
            let tcp = Some((c[6].parse().ok()?, flags));
            return Some(Packet { from: (src, s), to: (dst, d), tcp, payload: unhex(c[8]) });
        }
        let (s, d) = (port(9)?, port(10)?);
        Some(Packet { from: (src, s), to: (dst, d), tcp: None, payload: unhex(c[11]) })
    };
    Some(text.lines().filter_map(row).collect())
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

fn compare(stem: &str, oracle: &Value, found: &HashMap<Key, Vec<Facts>>, score: &mut Score) {
    let empty = Vec::new();
    let mut seen = BTreeSet::new();
    for f in oracle["flows"].as_array().unwrap_or(&empty) {
        let tcp = f["proto"] == "tcp";
        let k = key(tcp, (text(f, "src"), port(f, "sport")), (text(f, "dst"), port(f, "dport")));
        let want = names_in(f, "sni");
        if want.is_empty() || has(f, "protos", "dtls") || !seen.insert(k.clone()) {
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
        let got: Vec<_> = hellos().filter_map(|t| t.ja4.clone()).collect();
        let good = got.iter().any(|j| **j == *want);
        score.tick("ja4", good, || format!("{stem} {k:?} frame {} want {want} got {got:?}", hello["frame"]));
        let want = text(hello, "ja3");
        let mut ja3 = hellos().filter_map(|t| t.ja3.clone());
        let good = want.is_empty() || ja3.any(|j| *j == *want);
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
        let stem = PathBuf::from(path.to_str().unwrap().trim_end_matches(".oracle.json"));
        let broken = oracle.get("tshark_error").is_some() || oracle.get("flows_cut").is_some();
        let Some(packets) = packets(&stem, &root).filter(|_| !broken) else { continue };
        let mut found = tcp_facts(&packets);
        udp_facts(&packets, &mut found);
        compare(stem.file_name().and_then(|s| s.to_str()).unwrap_or_default(), &oracle, &found, &mut score);
    }
    for (area, (good, all)) in &score.0 {
        println!("{area:8} {good:6} / {all:6} {:.2} %", *good as f64 * 100.0 / *all as f64);
    }
}
