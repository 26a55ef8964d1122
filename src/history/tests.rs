//! Tests of the reader of logs.

use super::*;
use crate::observe::{FlowDelta, Telling};
use crate::parse::NameSource;
use crate::units::Both;
use std::collections::BTreeMap;

/// Monday 2026-01-05 00:00:00 UTC.
const T0: i64 = 1_767_571_200;

const CONN: &str = "#separator \\x09\n#set_separator\t,\n#empty_field\t(empty)\n#unset_field\t-\n#path\tconn\n\
    #fields\tts\tuid\tid.orig_h\tid.orig_p\tid.resp_h\tid.resp_p\tproto\tservice\tduration\torig_bytes\t\
    resp_bytes\tconn_state\tmissed_bytes\thistory\torig_pkts\torig_ip_bytes\tresp_pkts\tresp_ip_bytes\n";
const SSL: &str = "#separator \\x09\n#path\tssl\n#fields\tts\tuid\tserver_name\n";

/// A folder for one test, removed with it.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str, files: &[(&str, &str)]) -> Self {
        let path = std::env::temp_dir().join(format!("egret-history-{name}-{}", std::process::id()));
        std::fs::create_dir_all(&path).expect("folder");
        for (name, text) in files {
            std::fs::write(path.join(name), text).expect("written");
        }
        Self(path)
    }

    fn read(&self) -> (Vec<Told>, History) {
        read(std::slice::from_ref(&self.0))
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

fn read(paths: &[PathBuf]) -> (Vec<Told>, History) {
    let mut history = History::open(paths, true);
    let (mut all, mut some) = (Vec::new(), Vec::new());
    while history.fill(&mut some) {
        all.append(&mut some);
    }
    assert!(all.windows(2).all(|w| w[0].now <= w[1].now && w[0].place < w[1].place), "the clock went back");
    (all, history)
}

fn conn(start: i64, secs: i64, uid: &str, up: u64) -> String {
    format!(
        "{}.000000\t{uid}\t10.0.0.1\t40000\t203.0.113.9\t443\ttcp\tssl\t{secs}.000000\t{up}\t1000\tSF\t0\t\
         ShADadFf\t10\t{}\t10\t1500\n",
        T0 + start,
        up + 520
    )
}

fn ssl(start: i64, uid: &str, name: &str) -> String {
    format!("{}.020000\t{uid}\t{name}\n", T0 + start)
}

fn deltas(told: &[Told]) -> Vec<(i64, &FlowDelta)> {
    let delta = |t: &'_ Told| t.now.secs() - T0;
    told.iter()
        .filter_map(|t| match &t.what {
            Telling::Delta(d) => Some((delta(t), d)),
            _ => None,
        })
        .collect()
}

fn names(told: &[Told]) -> Vec<String> {
    told.iter()
        .filter_map(|t| match &t.what {
            Telling::Named { facts, .. } => facts.name.as_ref().map(|(n, s)| format!("{n} {}", s.as_str())),
            _ => None,
        })
        .collect()
}

/// Bytes up by flow, of the deltas and of the summaries.
fn sums(told: &[Told]) -> (BTreeMap<u64, u64>, BTreeMap<u64, u64>) {
    let (mut steps, mut ends) = (BTreeMap::new(), BTreeMap::new());
    for t in told {
        match &t.what {
            Telling::Delta(d) => *steps.entry(d.flow.0).or_default() += d.bytes.up,
            Telling::Summary(s) => *ends.entry(s.flow.0).or_default() += s.counts.up.payload,
            _ => {}
        }
    }
    (steps, ends)
}

#[test]
fn a_long_upload_is_told_while_it_lasts() {
    let text = format!("{CONN}{}{}", conn(7_000, 10, "Cshort", 5), conn(0, 7_200, "Clong", 72_000_000));
    let ssl = format!("{SSL}{}{}", ssl(0, "Clong", "mega.nz"), ssl(7_000, "Cshort", "box.com"));
    let folder = Folder::new("long", &[("conn.log", &text), ("ssl.log", &ssl)]);
    let (told, history) = folder.read();
    assert_eq!(names(&told), ["mega.nz sni", "box.com sni"]);
    let long: Vec<_> = deltas(&told).into_iter().filter(|(_, d)| d.ends.originator_port == 40_000).collect();
    let hour = long.iter().filter(|(at, _)| *at < 3_600).map(|(_, d)| d.bytes.up).sum::<u64>();
    assert!(hour.abs_diff(36_000_000) < 100, "{hour}");
    assert!(long.iter().any(|(at, _)| *at < 600), "nothing in the first ten minutes");
    let (steps, ends) = sums(&told);
    assert_eq!((&steps, ends.values().sum::<u64>()), (&ends, 72_000_005));
    let counters = history.counters();
    assert_eq!((counters.flows, counters.named, counters.late, counters.unclaimed), (2, 2, 0, 0));
}

#[test]
fn longer_than_the_look_ahead_is_booked_when_it_is_known() {
    let mut text = CONN.to_owned();
    // More lines than are read at a time.
    for minute in 0..72 * 60 {
        text += &conn(minute * 60, 1, &format!("C{minute}"), 10);
    }
    text += &conn(0, 3 * 86_400, "Cdays", 3_000_000);
    let ssl = format!("{SSL}{}", ssl(0, "Cdays", "mega.nz"));
    let folder = Folder::new("days", &[("conn.log", &text), ("ssl.log", &ssl)]);
    let (told, history) = folder.read();
    let days: Vec<_> = deltas(&told).into_iter().filter(|(_, d)| d.bytes.up > 10).collect();
    let first = days.first().map(|(at, d)| (*at, d.bytes.up));
    let fits = |(at, up): (i64, u64)| at > 36 * 3_600 && up.abs_diff(at as u64 * 3_000_000 / 259_200) < 100;
    assert!(first.is_some_and(fits), "what lies behind the clock at once: {first:?}");
    assert_eq!(days.iter().map(|(_, d)| d.bytes.up).sum::<u64>(), 3_000_000);
    assert_eq!((names(&told), history.counters().late), (vec!["mega.nz sni".to_owned()], 1));
}

#[test]
fn json_and_eve_say_the_same() {
    let zeek = r#"{"_path":"conn","ts":1767571200.5,"uid":"C1","id.orig_h":"10.0.0.1","id.orig_p":40000,
        "id.resp_h":"203.0.113.9","id.resp_p":443,"proto":"tcp","duration":2.5,"orig_bytes":5000000,
        "resp_bytes":1000,"conn_state":"SF","history":"ShADadFf","orig_pkts":10,"resp_pkts":9}
        {"ts":"2026-01-05T00:00:00.520000Z","uid":"C1","server_name":"mega.nz","version":"TLSv13"}"#;
    let eve = r#"{"timestamp":"2026-01-05T00:00:00.520000+0000","flow_id":7,"event_type":"tls","src_ip":"10.0.0.1",
        "src_port":40000,"dest_ip":"203.0.113.9","dest_port":443,"proto":"TCP","host":"sensor","tls":{"sni":"mega.nz",
        "ja3":{"hash":"x"}}}
        {"timestamp":"2026-01-05T00:01:03.000000+0000","flow_id":7,"event_type":"flow","src_ip":"10.0.0.1",
        "src_port":40000,"dest_ip":"203.0.113.9","dest_port":443,"proto":"TCP","host":"sensor","app_proto":"tls",
        "flow":{"pkts_toserver":10,"pkts_toclient":9,"bytes_toserver":5000660,"bytes_toclient":1594,
        "start":"2026-01-05T00:00:00.500000+0000","end":"2026-01-05T00:00:03.000000+0000","state":"closed"}}"#;
    let lines = |text: &str| text.replace("\n        {", "\r").replace("\n        ", "").replace('\r', "\n{");
    for (name, text) in [("zeek", zeek), ("eve", eve)] {
        let folder = Folder::new(name, &[("log.json", &lines(text))]);
        let (told, history) = folder.read();
        assert_eq!(history.tally().remarks(), Vec::<String>::new(), "{name}");
        assert_eq!(names(&told), ["mega.nz sni"], "{name}");
        let all: Vec<_> = deltas(&told).iter().map(|(at, d)| (*at, d.bytes, d.closed)).collect();
        assert_eq!(all, [(3, Both { up: 5_000_000, down: 1_000 }, true)], "{name}");
        assert!(told.iter().any(|t| matches!(&t.what, Telling::Summary(s) if !s.midstream && !s.one_way)));
    }
}

#[test]
fn answers_and_leases() {
    let dns = format!(
        "#separator \\x09\n#set_separator\t,\n#path\tdns\n#fields\tts\tuid\tid.orig_h\tid.orig_p\tid.resp_h\t\
         id.resp_p\tproto\tquery\trcode_name\tanswers\tTTLs\n\
         {T0}.5\tD1\t10.0.0.1\t5000\t10.0.0.53\t53\tudp\tWWW.mega.nz\tNOERROR\tx\\x2cy.nz,203.0.113.9\t60.0,300.0\n\
         {T0}.6\tD2\t10.0.0.1\t5000\t10.0.0.53\t53\tudp\tno.example\tNXDOMAIN\t-\t-\n"
    );
    let dhcp = format!(
        "#separator \\x09\n#path\tdhcp\n#fields\tts\tuids\tclient_addr\tmac\thost_name\tassigned_addr\tlease_time\t\
         msg_types\n{T0}.0\tL1\t-\t02:a6:27:99:99:47\thost-1\t10.0.0.1\t3600.0\tREQUEST,ACK\n\
         {T0}.0\tL2\t-\t02:a6:27:99:99:48\thost-2\t10.0.0.2\t3600.0\tREQUEST,NAK\n"
    );
    let eve = "{\"timestamp\":\"2026-01-05T00:00:01+0000\",\"flow_id\":9,\"event_type\":\"dns\",\"src_ip\":\"10.0.0.53\",\
        \"src_port\":53,\"dest_ip\":\"10.0.0.2\",\"dest_port\":99,\"proto\":\"UDP\",\"dns\":{\"version\":3,\"type\":\
        \"response\",\"rcode\":\"NOERROR\",\"queries\":[{\"rrname\":\"paste.rs\",\"rrtype\":\"A\"}],\"answers\":[{\
        \"rrname\":\"paste.rs\",\"rrtype\":\"A\",\"ttl\":30,\"rdata\":\"203.0.113.7\"}]}}\n";
    let folder = Folder::new("dns", &[("dns.log", &dns), ("dhcp.log", &dhcp), ("eve.json", eve)]);
    let (told, _) = folder.read();
    let mut said = Vec::new();
    for t in &told {
        match &t.what {
            Telling::Dns(a) => said.push(format!("{} {} {:?}", a.ends.originator, a.query, a.addresses)),
            Telling::Lease(l) => {
                said.push(format!("{} {:?} {}", l.ip, l.name, l.until.since(l.at)));
            }
            _ => {}
        }
    }
    let want = [
        "10.0.0.1 Some(\"host-1\") 1h",
        "10.0.0.1 www.mega.nz [(203.0.113.9, 300)]",
        "10.0.0.2 paste.rs [(203.0.113.7, 30)]",
    ];
    assert_eq!(said, want);
}

#[test]
fn headers_lines_and_escapes_of_all_sorts() {
    let text = "#fields\tserver_name\tuid\tts\n-\tC0\t1767571200\n#separator |\n#unset_field|?\n#path|ssl\n\
                #fields|ts|uid|x|server_name\n1767571201|C1|?|a\\x7cb.example\r\n1767571202|C2|?|?\n1767571203|C3\n\
                x|C4|?|z.example\n";
    let folder = Folder::new("headers", &[("ssl.log", text)]);
    let (_, history) = folder.read();
    let counts = history.tally().bad;
    assert_eq!((counts[Bad::Columns as usize], counts[Bad::Time as usize]), (1, 1));
    let mut maker = Maker::default();
    let mut cells = cells::Cells::default();
    let mut zeek = zeek::Zeek::default();
    let mut seen = Vec::new();
    for line in text.lines() {
        if let Ok(Some(kind)) = zeek.line(line.as_bytes(), &mut cells)
            && let Ok(entry::Entry::Name { facts, .. }) = maker.entry(kind, &cells, line.as_bytes())
        {
            seen.extend(facts.name.clone());
        }
    }
    assert_eq!(seen, [(Box::from("a|b.example"), NameSource::Sni)]);
}

#[test]
fn rotated_and_packed_files_and_those_that_are_no_logs() {
    use std::io::Write as _;
    let open = format!("{CONN}{}", conn(0, 9, "Copen", 9)).replace("\tconn\n", "\topen_conn\n");
    let folder = Folder::new("rotated", &[("README.md", "# Logs\n"), ("open_conn.log", &open)]);
    for hour in 0..70 {
        let text = format!("{CONN}{}", conn(hour * 3_600, 5, &format!("C{hour}"), 100));
        let path = folder.0.join(format!("conn.{hour:02}.log.gz"));
        let file = std::fs::File::create(path).expect("file");
        let mut packed = flate2::write::GzEncoder::new(file, flate2::Compression::fast());
        packed.write_all(text.as_bytes()).expect("packed");
        packed.finish().expect("packed");
    }
    let (told, history) = folder.read();
    let (steps, ends) = sums(&told);
    assert_eq!((steps.len(), ends.len(), ends.values().sum::<u64>()), (70, 70, 7_000));
    assert_eq!((history.faults().len(), history.counters().late), (0, 0));
    let missing = read(&[folder.0.join("none.log"), folder.0.join("README.md")]).1;
    assert_eq!(missing.faults().len(), 2, "{:?}", missing.faults());
}

#[test]
fn lines_without_end_and_bytes_without_sense() {
    let long = format!("{CONN}{}\n{}", "x".repeat(3 << 20), conn(0, 1, "C1", 7));
    let folder = Folder::new("endless", &[("conn.log", &long)]);
    let (told, history) = folder.read();
    assert_eq!((sums(&told).1.len(), history.tally().bad[Bad::TooLong as usize]), (1, 1));
    let good = format!("{CONN}{}{}", conn(0, 4_000, "C1", 72_000), conn(60, 1, "C2", 8));
    let mut state = 0x2545_f491_4f6c_dd1du64;
    let mut random = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state
    };
    for _ in 0..2_000 {
        let mut bytes = good.clone().into_bytes();
        for _ in 0..=random() % 4 {
            let at = random() as usize % bytes.len();
            bytes[at] ^= 1 << (random() % 8);
        }
        bytes.truncate(random() as usize % (bytes.len() * 2));
        lines_of(&bytes);
    }
}

/// All formats on any bytes; what comes of it is told to the end.
fn lines_of(bytes: &[u8]) {
    let (mut maker, mut cells, mut zeek) = (Maker::default(), cells::Cells::default(), zeek::Zeek::default());
    let mut hold = Hold::new(true);
    for line in bytes.split(|b| *b == b'\n') {
        if let Ok(Some(kind)) = zeek.line(line, &mut cells)
            && let Ok(entry) = maker.entry(kind, &cells, line)
        {
            hold.add(entry);
        }
        let _ = json::line(line, &mut cells, None).map(|kind| maker.entry(kind, &cells, line));
        cells = cells::Cells::default();
        let _ = zeek.line(b"#separator \\x09", &mut cells);
        zeek = zeek::Zeek::default();
    }
    let mut told = Vec::new();
    hold.tell(None, &mut maker.names, &mut told);
    assert!(told.windows(2).all(|w| w[0].now <= w[1].now));
}

#[test]
fn wild_byte_counts_are_not_believed() {
    let line = |bytes: u64, ip: u64, state: &str| {
        format!(
            "{T0}.0\tC1\t10.0.0.1\t1\t203.0.113.9\t443\ttcp\t-\t1.0\t{bytes}\t0\t{state}\t0\tShR\t5\t{ip}\t5\t300\n"
        )
    };
    for (bytes, ip, state, want) in [
        (4_294_967_295, 300, "RSTO", 300),
        (4_294_967_295, 4_500_000_000, "SF", 4_294_967_295),
        (2_000_000_000, 2_100_000_000, "SF", 2_000_000_000),
        (1_000_000, 300, "SF", 1_000_000),
    ] {
        let folder = Folder::new("wild", &[("conn.log", &format!("{CONN}{}", line(bytes, ip, state)))]);
        let (told, _) = folder.read();
        assert_eq!(deltas(&told).iter().map(|(_, d)| d.bytes.up).sum::<u64>(), want);
    }
}
