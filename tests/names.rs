//! Names from packets to records: what needs more than one flow, or more than one room, to be right.

mod common;

use common::pipeline::{Frame, Ran, Recut, small, through};
use common::traffic::{ACK, Conn, dns_answer, hello, ip_frame, udp};
use egret::config::{Config, Loader};
use serde_json::Value;
use std::net::IpAddr;

const BEGIN: i64 = 1_700_000_000_000_000_000;
const CLIENT: [u8; 4] = [10, 0, 0, 5];
const SERVER: [u8; 4] = [203, 0, 113, 9];
/// The client's first datagram in RFC 9001, appendix A; it asks for `example.com`.
const INITIAL: &[u8] = include_bytes!("../src/parse/fixtures/quic-v1.bin");
/// The id that the server chooses there.
const SERVER_ID: [u8; 8] = [0xf0, 0x67, 0xa5, 0x50, 0x2a, 0x42, 0x62, 0xb5];

fn run(frames: &[Frame]) -> Ran {
    with("", frames)
}

fn with(config: &str, frames: &[Frame]) -> Ran {
    let path = std::env::temp_dir().join(format!("egret-names-{}.toml", std::process::id()));
    let config = if config.is_empty() {
        Config::default()
    } else {
        std::fs::write(&path, config).expect("written");
        let mut loader = Loader::new();
        loader.file(&path);
        loader.finish().unwrap_or_else(|faults| panic!("{faults:?}")).0
    };
    let _ = std::fs::remove_file(path);
    through(small(config), "eve,zeek-tsv", &mut Recut::new(frames, 7))
}

/// The flow record with this originator's port.
fn flow(ran: &Ran, port: u16) -> Value {
    let flows = ran.records("flow");
    let found = flows.iter().find(|f| f["src_port"] == port);
    found.unwrap_or_else(|| panic!("no flow from {port} in {flows:#?}")).clone()
}

fn datagram(ms: i64, from: ([u8; 4], u16), to: ([u8; 4], u16), payload: &[u8]) -> Frame {
    let at = BEGIN + ms * 1_000_000;
    ip_frame(at, from.0.into(), to.0.into(), 17, &udp(from.1, to.1, payload), 0)
}

fn long_header(kind: u8, id: &[u8]) -> Vec<u8> {
    let mut d = vec![0xc0 | kind << 4, 0, 0, 0, 1, 0, id.len() as u8];
    d.extend(id);
    if kind == 0 {
        d.push(0);
    }
    d.extend([0x40, 0x75]);
    d.resize(d.len() + 0x75, 0x5a);
    d
}

fn short_header(id: &[u8]) -> Vec<u8> {
    [&[0x47], id, &[0xa5; 600]].concat()
}

fn signs(record: &Value) -> Vec<&str> {
    record["egret"]["signs"].as_array().into_iter().flatten().filter_map(Value::as_str).collect()
}

#[test]
fn a_quic_name_outlives_a_change_of_the_clients_port() {
    let (far, other) = ((SERVER, 443), ([10, 0, 0, 6], 7_000));
    let ran = run(&[
        datagram(0, (CLIENT, 5_001), far, INITIAL),
        datagram(1, far, (CLIENT, 5_001), &long_header(0, &SERVER_ID)),
        datagram(2, (CLIENT, 5_001), far, &short_header(&SERVER_ID)),
        // The translator has forgotten the port: the same id from another one, twice.
        datagram(3, (CLIENT, 5_002), far, &short_header(&SERVER_ID)),
        datagram(4, far, (CLIENT, 5_002), &short_header(&[9; 8])),
        datagram(5, (CLIENT, 5_003), far, &short_header(&SERVER_ID)),
        // A client that has moved on purpose, another client, another server's port.
        datagram(6, (CLIENT, 5_004), far, &short_header(&[7; 8])),
        datagram(7, other, far, &short_header(&SERVER_ID)),
        datagram(8, (CLIENT, 5_005), (SERVER, 8_443), &short_header(&SERVER_ID)),
    ]);
    let first = flow(&ran, 5_001);
    assert_eq!((&first["egret"]["name"], signs(&first)), (&"example.com".into(), vec![]));
    for port in [5_002, 5_003] {
        let later = flow(&ran, port);
        assert_eq!(later["app_proto"], "quic");
        assert_eq!(later["egret"]["name"], "example.com");
        assert_eq!(later["egret"]["name_source"], "quic-sni");
        let sure = |f: &Value| f["egret"]["name_confidence"].as_f64().unwrap();
        assert!(sure(&later) < sure(&first), "{later}");
        assert_eq!(signs(&later), ["inferred"]);
    }
    for port in [5_004, 7_000, 5_005] {
        assert_eq!(flow(&ran, port)["egret"]["name"], Value::Null, "{port}");
    }
    assert_eq!(ran.records("quic").len(), 1, "one hello, one record");
}

#[test]
fn an_id_that_chance_may_meet_or_a_retry_names_nothing() {
    let far = (SERVER, 443);
    for (kind, id) in [(0, &[1, 2, 3][..]), (0, &[]), (3, &SERVER_ID)] {
        let ran = run(&[
            datagram(0, (CLIENT, 5_001), far, INITIAL),
            datagram(1, far, (CLIENT, 5_001), &long_header(kind, id)),
            datagram(2, (CLIENT, 5_002), far, &short_header(id)),
        ]);
        assert_eq!(flow(&ran, 5_001)["egret"]["name"], "example.com");
        assert_eq!(flow(&ran, 5_002)["egret"]["name"], Value::Null, "{kind} {id:?}");
    }
}

/// A connection that says these bytes, client first, in turns.
fn talk(ms: i64, client: [u8; 4], port: u16, server: ([u8; 4], u16), says: &[&[u8]]) -> Vec<Frame> {
    let at = BEGIN + ms * 1_000_000;
    let mut conn = Conn::new(client.into(), port, IpAddr::from(server.0), server.1, [100, 900]);
    let mut frames = conn.handshake(at);
    for (i, bytes) in says.iter().enumerate() {
        frames.push(conn.segment(at + i as i64 * 1_000, i % 2, ACK, bytes, bytes.len() as u32));
    }
    frames
}

#[test]
fn dns_over_tcp_names_a_later_flow() {
    let sized = |m: Vec<u8>| [&(m.len() as u16).to_be_bytes()[..], &m].concat();
    let mut question = dns_answer("files.example.net", [0; 4], 0);
    question.truncate(question.len() - 16);
    (question[2], question[3], question[7]) = (1, 0, 0);
    let answer = sized(dns_answer("files.example.net", SERVER, 0));
    let (head, tail) = answer.split_at(20);
    let mut frames = talk(0, CLIENT, 6_000, ([10, 0, 0, 1], 53), &[&sized(question), head, &[], tail]);
    frames.extend(talk(50, CLIENT, 6_001, (SERVER, 9_000), &[&[0xee; 900], &[0xee; 40]]));
    frames.extend(talk(60, [10, 0, 0, 7], 6_002, (SERVER, 9_000), &[&[0xee; 900]]));
    let ran = run(&frames);
    let later = flow(&ran, 6_001);
    assert_eq!(
        (&later["egret"]["name"], &later["egret"]["name_source"]),
        (&"files.example.net".into(), &"dns".into())
    );
    assert_eq!(flow(&ran, 6_002)["egret"]["name"], Value::Null, "another client asked nothing");
    assert_eq!(flow(&ran, 6_000)["app_proto"], "dns");
}

#[test]
fn http2_with_prior_knowledge_and_websockets_are_recognised() {
    let preface = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\x12\x04\0\0\0\0\0";
    let upgrade =
        b"GET /chat HTTP/1.1\r\nHost: ws.example.net\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
        Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n";
    let switched = b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n\r\n";
    let refused = b"HTTP/1.1 426 Upgrade Required\r\nContent-Length: 0\r\n\r\n";
    let far = (SERVER, 8_080);
    let mut frames = talk(0, CLIENT, 6_000, far, &[preface, b"\0\0\0\x04\x01\0\0\0\0"]);
    frames.extend(talk(10, CLIENT, 6_001, far, &[upgrade, switched, &[0x82; 300]]));
    frames.extend(talk(20, CLIENT, 6_002, far, &[upgrade, refused]));
    let ran = run(&frames);
    assert_eq!(flow(&ran, 6_000)["app_proto"], "http2");
    let socket = flow(&ran, 6_001);
    assert_eq!(
        (&socket["app_proto"], &socket["egret"]["name"]),
        (&"websocket".into(), &"ws.example.net".into())
    );
    assert_eq!(flow(&ran, 6_002)["app_proto"], "http");
    let conn = &ran.logs["conn.log"];
    assert!(conn.contains("\thttp,websocket\t") && conn.contains("\thttp2\t"), "{conn}");
}

#[test]
fn a_user_agent_that_carries_data_is_a_sign_of_the_flow_and_of_the_request() {
    let request = |agent: &str| {
        format!(
            "POST /up HTTP/1.1\r\nHost: files.example.net\r\nUser-Agent: {agent}\r\nContent-Length: 2\r\n\r\nok"
        )
    };
    let data = "QUJDREVGR0hJSktMTU5PUFFSU1RVVldYWVphYmNkZWZnaGlqa2xtbm9wcXJzdHV2d3h5ejAxMjM0NTY3ODkrLw";
    let ok = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n";
    let mut frames = talk(0, CLIENT, 6_000, (SERVER, 80), &[request(data).as_bytes(), ok]);
    frames.extend(talk(9, CLIENT, 6_001, (SERVER, 80), &[request("curl/8.5.0").as_bytes(), ok]));
    let ran = run(&frames);
    assert_eq!(signs(&flow(&ran, 6_000)), ["user_agent_carries_data"]);
    assert_eq!(signs(&flow(&ran, 6_001)), Vec::<&str>::new());
    let requests = ran.records("http");
    assert_eq!(requests.iter().map(|r| signs(r).len()).sum::<usize>(), 1, "{requests:#?}");
}

#[test]
fn who_is_behind_a_proxy_is_believed_of_proxies_only() {
    let request = b"POST /up HTTP/1.1\r\nHost: files.example.net\r\nX-Forwarded-For: 10.0.0.77, 10.0.0.1\r\n\
        Content-Length: 2\r\n\r\nok";
    let ok = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n";
    let mut frames = talk(0, [10, 0, 0, 1], 6_000, (SERVER, 80), &[request, ok]);
    frames.extend(talk(9, CLIENT, 6_001, (SERVER, 80), &[request, ok]));
    let ran = with("gateways = [\"10.0.0.1\"]\n", &frames);
    assert_eq!(flow(&ran, 6_000)["egret"]["host"]["ip"], "10.0.0.77");
    assert_eq!(flow(&ran, 6_001)["egret"]["host"]["ip"], "10.0.0.5", "anybody can write such a header");
    assert!(ran.records("http").iter().all(|r| r["http"]["xff"] == "10.0.0.77"));
}

#[test]
fn names_hidden_by_ech_and_encrypted_dns_are_counted_and_said() {
    let mut outer = hello("cloudflare-ech.com");
    // The extension of an encrypted hello, at the end of the extension block.
    let mut ech = vec![0xfe, 0x0d, 0, 0, 0, 0, 1, 0, 1, 9, 0, 32];
    ech.extend([5; 32]);
    ech.extend([0, 200]);
    ech.extend([6; 200]);
    let body = (ech.len() - 4) as u16;
    ech[2..4].copy_from_slice(&body.to_be_bytes());
    let grow = |m: &mut Vec<u8>, at: usize| {
        let n = u16::from_be_bytes([m[at], m[at + 1]]) + ech.len() as u16;
        m[at..at + 2].copy_from_slice(&n.to_be_bytes());
    };
    // Lengths of record, handshake and extension block.
    for at in [3, 7, 9 + 2 + 32 + 1 + 4 + 2] {
        grow(&mut outer, at);
    }
    outer.extend(&ech);
    let mut frames = talk(0, CLIENT, 6_000, (SERVER, 443), &[&outer]);
    frames.extend(talk(9, CLIENT, 6_001, ([203, 0, 113, 53], 853), &[&hello("dns.example.org")]));
    let ran = run(&frames);
    let hidden = flow(&ran, 6_000);
    assert_eq!(
        (&hidden["egret"]["name_source"], signs(&hidden)),
        (&"ech-outer-sni".into(), vec!["shared_front"])
    );
    let page = egret::output::report::text(&ran.summary, false);
    assert!(page.contains("1 behind a shared front") && page.contains("1 of encrypted DNS"), "{page}");
    let json: Value = serde_json::from_str(&egret::output::report::json(&ran.summary)).unwrap();
    assert_eq!((&json["hidden"]["shared_front"], &json["hidden"]["hidden_dns"]), (&1.into(), &1.into()));
}
