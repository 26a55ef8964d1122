//! The mapper: every product, and lines that are none.

use super::super::entry::{Entry, Flow, Maker};
use super::*;

const SQUID_LINE: &str = "1767571230.634   1500 10.0.0.1 TCP_TUNNEL/200 512 CONNECT content.dropboxapi.com:443 ann \
                          HIER_DIRECT/203.0.113.9 - 9000000";
const FORTI_LINE: &str = "<189>date=2026-01-05 time=00:00:30 devname=\"FG1\" eventtime=1767571230000000000 tz=\"+0000\" \
                          logid=\"0000000013\" type=\"traffic\" subtype=\"forward\" srcip=10.0.0.1 srcport=50123 \
                          dstip=203.0.113.9 dstport=443 sessionid=77 proto=6 duration=30 sentbyte=9000000 rcvdbyte=512";
const PALO_LINE: &str = "<14>Jan  5 00:00:30 fw 1,2026/01/05 00:00:30,0011,TRAFFIC,end,2562,2026/01/05 00:00:30,\
                         10.0.0.1,203.0.113.9,0.0.0.0,0.0.0.0,rule,ann,,ssl,vsys1,in,out,e1,e2,log,,77,1,50123,443,0,0,\
                         0x1,tcp,allow,9000512,9000000,512,99,2026/01/05 00:00:00,30,any,,1,0x0,loc,loc,,70,29,fin";
const UMBRELLA_LINE: &str = "\"2026-01-05 00:00:00\",\"ann\",\"10.0.0.1\",\"198.51.100.7\",\"203.0.113.9\",\"\",\"ALLOWED\",\
                             \"https://content.dropboxapi.com/2/files\",\"\",\"curl\",\"200\",\"9000000\",\"512\",\"0\"";
const ZSCALER_LINE: &str = "2026-01-05 00:00:30\treason=Allowed\tproduct=NSS\trequestsize=9000000\tresponsesize=512\t\
                            clienttranstime=30000\tserverip=203.0.113.9\tClientIP=10.0.0.1\thostname=content.dropboxapi.com\t\
                            url=content.dropboxapi.com/2/files\tvendor=Zscaler";
const ELFF_HEAD: &str = "#Fields: date time time-taken c-ip cs-username cs-bytes sc-bytes cs-method cs-host \
                         cs-uri-port r-ip cs(User-Agent)";
const ELFF_LINE: &str = "2026-01-05 00:00:30 30000 10.0.0.1 ann 9000000 512 CONNECT content.dropboxapi.com 443 \
                         203.0.113.9 \"curl 8\"";

fn read(lines: &[&str]) -> Result<Option<Entry>, Bad> {
    let mut sheet = Sheet::of(lines[0].as_bytes()).ok_or(Bad::Unknown)?;
    let (mut cells, mut maker, mut last) = (Cells::default(), Maker::default(), None);
    for line in lines {
        if let Some(kind) = sheet.line(line.as_bytes(), &mut cells)? {
            last = Some(maker.entry(kind, &cells, line.as_bytes())?);
        }
    }
    Ok(last)
}

fn flow(lines: &[&str]) -> Flow {
    match read(lines) {
        Ok(Some(Entry::Flow(flow))) => *flow,
        other => panic!("{}: {other:?}", lines[0]),
    }
}

#[test]
fn every_product_says_the_same_of_the_same_upload() {
    let cases: [(&str, &[&str], bool); 6] = [
        ("Squid", &[SQUID_LINE], true),
        ("FortiGate", &[FORTI_LINE], false),
        ("Palo Alto", &[PALO_LINE], false),
        ("Umbrella", &[UMBRELLA_LINE], true),
        ("Zscaler", &[ZSCALER_LINE], true),
        ("W3C ELFF", &[ELFF_HEAD, ELFF_LINE], true),
    ];
    for (name, lines, named) in cases {
        assert_eq!(Sheet::of(lines[0].as_bytes()).map(|s| s.name()), Some(name));
        let f = flow(lines);
        assert_eq!((f.bytes.up, f.bytes.down), (9_000_000, 512), "{name}");
        assert_eq!(f.ends.originator.to_string(), "10.0.0.1", "{name}");
        assert_eq!(
            (f.ends.responder.to_string().as_str(), f.ends.responder_port),
            ("203.0.113.9", 443),
            "{name}"
        );
        let begins = if name == "Squid" { 1_767_571_229 } else { 1_767_571_200 };
        assert_eq!(f.first.secs(), begins, "{name}");
        let host = f.facts.as_ref().and_then(|f| f.name.clone()).map(|(n, _)| n.to_string());
        assert_eq!(host.as_deref(), named.then_some("content.dropboxapi.com"), "{name}");
    }
}

#[test]
fn names_of_firewalls_join_their_sessions() {
    let url = PALO_LINE.replace("TRAFFIC,end", "THREAT,url").replace("9000512", "mega.nz/upload");
    let web = FORTI_LINE.replace("type=\"traffic\"", "type=\"utm\"") + " hostname=\"mega.nz\" url=\"/up\"";
    for (name, session) in [(url.as_str(), PALO_LINE), (web.as_str(), FORTI_LINE)] {
        let Ok(Some(Entry::Name { key, facts, .. })) = read(&[name]) else { panic!("{name}") };
        assert_eq!(facts.name.as_ref().map(|(n, _)| &**n), Some("mega.nz"));
        assert_eq!(key, flow(&[session]).key);
    }
}

#[test]
fn a_proxy_that_does_not_know_the_server_still_counts() {
    let line = SQUID_LINE.replace("HIER_DIRECT/203.0.113.9", "HIER_NONE/-");
    let f = flow(&[&line]);
    assert_eq!((f.ends.responder.to_string().as_str(), f.bytes.up), ("0.0.0.0", 9_000_000));
    let interim = FORTI_LINE.replace("0000000013", "0000000020");
    assert!(matches!(read(&[&interim]), Ok(Some(Entry::Nothing(_)))));
    assert!(matches!(read(&[&PALO_LINE.replace(",end,", ",start,")]), Ok(Some(Entry::Nothing(_)))));
}

/// Every truncation, and bytes turned over: an entry or a reason, never a panic.
#[test]
fn hostile_lines() {
    for lines in [
        &[SQUID_LINE][..],
        &[FORTI_LINE],
        &[PALO_LINE],
        &[UMBRELLA_LINE],
        &[ZSCALER_LINE],
        &[ELFF_HEAD, ELFF_LINE],
    ] {
        let last = lines[lines.len() - 1].as_bytes();
        let try_it = |line: &[u8]| {
            let Some(mut sheet) = Sheet::of(lines[0].as_bytes()) else { return };
            let (mut cells, mut maker) = (Cells::default(), Maker::default());
            if lines.len() > 1 {
                let _ = sheet.line(lines[0].as_bytes(), &mut cells);
            }
            if let Ok(Some(kind)) = sheet.line(line, &mut cells) {
                let _ = maker.entry(kind, &cells, line);
            }
        };
        for cut in 0..last.len() {
            try_it(&last[..cut]);
            for bad in [b'"', b'=', b',', b'\t', 0xff, b'9'] {
                let mut line = last.to_vec();
                line[cut] = bad;
                try_it(&line);
            }
        }
    }
}
