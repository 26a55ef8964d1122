//! Uploads as packets show them: how many, how large, whether they ran at once; and how soon an upload is told of, on
//! generated captures that go through everything.

mod common;

use common::pipeline::{Frame, Ran, Recut, cases, small, through};
use common::traffic::{ACK, Conn, hello_offering};
use egret::capture::Replay;
use egret::config::{Config, Loader};
use serde_json::Value;
use std::io::Write;
use std::net::{IpAddr, Ipv4Addr};

const START: i64 = 1_700_006_400_000_000_000;
const DAY: i64 = 86_400_000_000_000;
const MILLI: i64 = 1_000_000;
const MB: u64 = 1_000_000;
/// What a cipher of TLS 1.2 adds to a record.
const CIPHER: usize = 24;
/// Payload of a full segment.
const SEGMENT: usize = 1_448;

/// A TLS connection, as somebody between the two ends sees it.
struct Talk {
    conn: Conn,
    at: i64,
    frames: Vec<Frame>,
}

impl Talk {
    fn new(at: i64, host: u8, name: &str, protocols: &[&str]) -> Self {
        let server: IpAddr = Ipv4Addr::new(203, 0, 113, 1 + name.len() as u8).into();
        let port = 40_000 + (at / 1_000_000_000 % 20_000) as u16;
        let mut conn = Conn::new(Ipv4Addr::new(10, 0, 0, host).into(), port, server, 443, [1_000, 9_000]);
        let frames = conn.handshake(at);
        let mut talk = Self { conn, at, frames };
        talk.bytes(0, &hello_offering(name, protocols));
        talk.bytes(1, &record(22, 900));
        talk.bytes(0, &record(22, 40));
        talk
    }

    /// Bytes in full segments.
    fn bytes(&mut self, from: usize, bytes: &[u8]) {
        for piece in bytes.chunks(SEGMENT) {
            self.at += MILLI / 100;
            self.frames.push(self.conn.segment(self.at, from, ACK, piece, piece.len() as u32));
        }
        self.frames.push(self.conn.segment(self.at, 1 - from, ACK, &[], 0));
    }

    /// `clear` bytes of application data in records of at most 16 KiB.
    fn data(&mut self, from: usize, clear: usize) {
        let whole = clear / 16_384;
        let rest = clear % 16_384;
        let sizes = std::iter::repeat_n(16_384, whole).chain((rest > 0).then_some(rest));
        let records: Vec<u8> = sizes.flat_map(|n| record(23, n + CIPHER)).collect();
        self.bytes(from, &records);
    }

    /// A request with a head of its own, and its answer.
    fn upload(&mut self, body: usize) {
        self.data(0, 400);
        self.data(0, body);
        self.at += 20 * MILLI;
        self.data(1, 300);
        self.at += MILLI;
    }

    /// A lot that nobody captured whole: frames of 60 kB, headers and eight bytes each.
    fn bulk(&mut self, mb: u64) {
        for _ in 0..mb * MB / 60_000 {
            self.at += 5 * MILLI;
            self.frames.push(self.conn.segment(self.at, 0, ACK, &[0x55; 8], 60_000));
            self.frames.push(self.conn.segment(self.at, 1, ACK, &[], 0));
        }
    }
}

fn record(kind: u8, len: usize) -> Vec<u8> {
    let mut bytes = vec![kind, 3, 3, (len >> 8) as u8, len as u8];
    bytes.resize(5 + len, 0xaa);
    bytes
}

/// The answers of the last record of the one incident.
fn counted(ran: &Ran) -> Value {
    let records = [ran.records("alert"), ran.records("incident")].concat();
    let last = records.iter().max_by_key(|r| r["egret"]["incident"]["seq"].as_u64()).expect("an incident");
    last["egret"]["incident"]["answers"]["uploads"].clone()
}

fn of(talk: &Talk) -> Value {
    counted(&through(small(Config::default()), "eve", &mut Recut::new(&talk.frames, 64)))
}

fn evidence(answer: &Value) -> Vec<&str> {
    answer["evidence"].as_array().into_iter().flatten().filter_map(Value::as_str).collect()
}

const BOX: &str = "upload.box.com";

#[test]
fn one_after_the_other_they_are_counted_and_measured() {
    let sizes = [900_000, 1_200_000, 850_000, 1_000_000, 1_100_000];
    for protocols in [&["http/1.1"][..], &["h2", "http/1.1"], &[]] {
        let mut talk = Talk::new(START, 11, BOX, protocols);
        sizes.iter().for_each(|size| talk.upload(*size));
        let answer = of(&talk);
        assert_eq!(
            (answer["state"].as_str(), answer["value"].as_f64()),
            (Some("yes"), Some(5.0)),
            "{answer}"
        );
        let said = evidence(&answer);
        assert!(said.contains(&"mux no") && said.contains(&"by TLS records"), "{said:?}");
        assert!(said.contains(&"each between 848 kB and 1.2 MB"), "{said:?}");
    }
}

#[test]
fn what_steers_the_connection_ends_no_upload() {
    let mut talk = Talk::new(START, 11, BOX, &["h2"]);
    talk.data(0, 400);
    for _ in 0..80 {
        talk.data(0, 50_000);
        // A window update and an acknowledged ping.
        talk.data(1, 13);
        talk.data(1, 17);
    }
    talk.data(1, 300);
    let answer = of(&talk);
    assert_eq!((answer["state"].as_str(), answer["value"].as_f64()), (Some("yes"), Some(1.0)), "{answer}");
}

#[test]
fn sizes_are_unknown_where_uploads_overlap() {
    let mut talk = Talk::new(START, 11, BOX, &["h2"]);
    talk.data(0, 400);
    for _ in 0..4 {
        talk.data(0, 900_000);
        // The answer to one of them comes while another is on its way: it does not acknowledge all that has passed.
        let before = talk.conn.ends[0].seq;
        talk.data(0, 100_000);
        let passed = std::mem::replace(&mut talk.conn.ends[0].seq, before);
        talk.data(1, 300);
        talk.conn.ends[0].seq = passed;
    }
    let answer = of(&talk);
    let said = evidence(&answer);
    assert_eq!(answer["state"], "unknown", "{answer}");
    assert!(said.contains(&"mux yes") && !said.iter().any(|e| e.starts_with("each")), "{said:?}");
}

#[test]
fn a_short_answer_after_a_first_part_is_an_answer_where_there_are_no_tickets() {
    // In TLS 1.3 it would be a ticket that comes while the upload goes on.
    let mut talk = Talk::new(START, 11, BOX, &["http/1.1"]);
    talk.data(0, 30_000);
    talk.data(1, 250);
    talk.data(0, 4_000_000);
    talk.data(1, 300);
    assert_eq!(of(&talk)["value"].as_f64(), Some(2.0));
}

#[test]
fn own_captures_are_counted_as_their_programs_say() {
    // The requests of each, by what recorded it; at most, where it cannot be known.
    let known = [
        ("webhook", 10.0),
        ("rclone-webdav", 10.0),
        ("http2-upload", 1.0),
        ("tls12-upload", 1.0),
        ("git-push", 1.0),
    ];
    let open = [("quic-upload", 1.0), ("chromium-quic", 1.0), ("browser-hello", 1.0)];
    for case in cases() {
        let of = |list: &[(&str, f64)]| list.iter().find(|(name, _)| *name == case.name).map(|(_, n)| *n);
        let (exact, least) = (of(&known), of(&open));
        if exact.is_none() && least.is_none() {
            continue;
        }
        let ran = through(case.config(), "eve", &mut Replay::open(&case.files));
        let answer = counted(&ran);
        let value = answer["value"].as_f64();
        assert_eq!(value, exact.or(least), "{}: {answer}", case.name);
        let state = if exact.is_some() { "yes" } else { "unknown" };
        assert_eq!(answer["state"].as_str(), Some(state), "{}: {answer}", case.name);
    }
}

/// A configuration from text.
fn configured(text: &str) -> Config {
    let path = std::env::temp_dir().join(format!("egret-uploads-{}-{}.toml", std::process::id(), text.len()));
    std::fs::File::create(&path).and_then(|mut f| f.write_all(text.as_bytes())).expect("a file");
    let mut loader = Loader::new();
    loader.file(&path);
    let (config, _) = loader.finish().expect("a configuration");
    std::fs::remove_file(&path).expect("there");
    small(config)
}

/// Twelve working days of thirty hosts: mail and the web.
fn past() -> Vec<Frame> {
    let mut frames = Vec::new();
    for (day, host) in (0..12).flat_map(|day| (1..=30_u8).map(move |host| (day, host))) {
        for (hour, name) in [(9, "outlook.office365.com"), (14, "www.example.org")] {
            let at = START + day * DAY + hour * 3_600_000_000_000 + i64::from(host) * 7_000_000_000;
            let mut talk = Talk::new(at, host, name, &["h2"]);
            talk.data(0, 3_000 + usize::from(host) * 100);
            talk.data(1, 20_000);
            frames.append(&mut talk.frames);
        }
    }
    frames.sort_by_key(|f| f.at);
    frames
}

/// What had left when the first alert came.
fn left_before(ran: &Ran, analytic: Option<&str>) -> u64 {
    let alerts = ran.records("alert");
    let wanted = |r: &&Value| analytic.is_none_or(|name| r["egret"]["incident"]["analytic"] == name);
    let first = alerts.iter().find(wanted).unwrap_or_else(|| panic!("no alert: {alerts:?}"));
    first["egret"]["incident"]["up_bytes"].as_u64().expect("bytes")
}

#[test]
fn a_hypervisor_is_told_of_before_64_megabytes_of_packets() {
    for first_day in [true, false] {
        let mut frames = if first_day { Vec::new() } else { past() };
        let mut talk = Talk::new(START + 13 * DAY, 200, "g.api.mega.co.nz", &["h2"]);
        talk.bulk(200);
        frames.append(&mut talk.frames);
        let config = configured("esxi_hosts = [\"10.0.0.200\"]\n");
        let ran = through(config, "eve", &mut Recut::new(&frames, 256));
        let out = left_before(&ran, Some("hypervisor_upload"));
        assert!(out < 64 * MB, "{out}");
    }
}

#[test]
fn smash_and_grab_is_told_of_before_two_hundredth_parts_of_packets() {
    let mut frames = past();
    // The beginning of 10 GB: two hundredth parts are 200 MB.
    let mut talk = Talk::new(START + 13 * DAY, 7, "g.api.mega.co.nz", &["h2"]);
    talk.bulk(300);
    frames.append(&mut talk.frames);
    let ran = through(small(Config::default()), "eve", &mut Recut::new(&frames, 256));
    let out = left_before(&ran, None);
    assert!(out <= 200 * MB, "{out}");
}
