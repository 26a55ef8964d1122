//! The parsers as the worker uses them: on whole, cut, split and hostile starts of flows.

use super::datagrams::Starts;
use super::*;
use crate::units::Direction;

macro_rules! fixture {
    ($name:literal) => {
        include_bytes!(concat!("fixtures/", $name)).as_slice()
    };
}

const UP_12: &[u8] = fixture!("tls12.up");
const DOWN_12: &[u8] = fixture!("tls12.down");
const UP_13: &[u8] = fixture!("tls13.up");
const DOWN_13: &[u8] = fixture!("tls13.down");
const UP_RETRY: &[u8] = fixture!("tls13-retry.up");
const DOWN_RETRY: &[u8] = fixture!("tls13-retry.down");

const NAME: &str = "Files.Example.org";

fn ask(up: &[u8], down: &[u8], done: bool) -> Outcome {
    parse(&Talk {
        up,
        down,
        done: Both { up: done, down: done },
        transport: Transport::Tcp,
        ports: Both { up: 40_000, down: 443 },
        told: Both::default(),
    })
}

fn done(up: &[u8], down: &[u8]) -> Facts {
    match ask(up, down, true) {
        Outcome::Done(facts) => *facts,
        other => panic!("{other:?}"),
    }
}

fn name(facts: &Facts) -> Option<(&str, NameSource)> {
    facts.name.as_ref().map(|(n, s)| (&**n, *s))
}

/// Length of the first record, which holds the ClientHello.
fn hello_len(up: &[u8]) -> usize {
    5 + usize::from(crate::bytes::be16(up, 3).unwrap())
}

#[test]
fn tls_13_as_seen_by_tshark() {
    let facts = done(UP_13, DOWN_13);
    assert_eq!(name(&facts), Some((NAME, NameSource::Sni)));
    let tls = facts.tls.unwrap();
    assert_eq!(tls.ja3(), Some("304734bb1c086c3453b387400cf83f11"));
    assert_eq!(tls.ja4(), Some("t13d1812h2_85036bcba153_d41ae481755e"));
    assert_eq!(tls.ja3s(), Some("15af977ce25de452b96affa2addb1036"));
    assert_eq!((tls.version, tls.negotiated, tls.cipher), (0x0304, true, Some(0x1302)));
    assert_eq!(tls.client_alpns, ["h2".into(), "http/1.1".into()]);
    assert_eq!((tls.server_alpn, tls.certificate, tls.resumed, tls.cut), (None, None, false, false));
    assert!(done(fixture!("tls13-resumed.up"), fixture!("tls13-resumed.down")).tls.unwrap().resumed);
}

#[test]
fn tls_12_shows_its_certificate() {
    let tls = done(UP_12, DOWN_12).tls.unwrap();
    assert_eq!((tls.version, tls.negotiated, tls.resumed), (0x0303, true, false));
    assert_eq!(tls.server_alpn.as_deref(), Some("h2"));
    assert_eq!(tls.ja3s(), Some("e195432758194ce2d482396b82e0d48e"));
    let certificate = tls.certificate().unwrap();
    let subject = "C=SE, ST=Uppsala, O=Häger & Söner, AB, OU=Egret tests, CN=files.example.org, \
                   emailAddress=ops@example.org";
    assert_eq!(&*certificate.subject, subject);
    assert_eq!(certificate.subject, certificate.issuer);
    assert_eq!(&*certificate.serial, "01:02:DE:AD:BE:EF");
    assert_eq!(certificate.names, ["files.example.org".into(), "*.files.example.org".into()]);
    assert_eq!(certificate.not_after - certificate.not_before, 12_000 * 86_400);
    assert_eq!(certificate.fingerprint.len(), 59);
    assert_eq!(Some(certificate.clone()), certificate::read(fixture!("leaf.der")));
    let again = done(fixture!("tls12-resumed.up"), fixture!("tls12-resumed.down")).tls.unwrap();
    assert!(again.resumed && again.certificate.is_none());
}

#[test]
fn without_the_client_the_certificate_names() {
    let facts = done(&[], DOWN_12);
    assert_eq!(name(&facts), Some(("files.example.org", NameSource::Certificate)));
    assert!(!facts.client_is_responder);
    let turned = done(DOWN_12, &[]);
    assert!(turned.client_is_responder);
    assert_eq!(name(&turned), Some(("files.example.org", NameSource::Certificate)));
}

#[test]
fn hello_on_the_other_side_turns_the_flow() {
    let mut facts = done(DOWN_12, UP_12);
    assert!(facts.client_is_responder);
    facts.client_is_responder = false;
    assert_eq!(facts, done(UP_12, DOWN_12));
}

#[test]
fn both_hellos_of_a_retry() {
    let facts = done(UP_RETRY, DOWN_RETRY);
    let tls = facts.tls.unwrap();
    assert!(tls.negotiated && tls.version == 0x0304);
    let second = tls.retried.as_ref().unwrap();
    assert_eq!(second.sni.as_deref(), Some(NAME));
    assert_eq!(second.ja3(), tls.ja3());
    // Until the second ServerHello has come there may be more.
    let retry = hello_len(DOWN_RETRY);
    assert!(matches!(ask(UP_RETRY, &DOWN_RETRY[..retry], false), Outcome::Partly(_)));
}

#[test]
fn growing_starts_tell_the_name_once_the_hello_is_whole() {
    let whole = hello_len(UP_13);
    for len in 1..whole {
        assert_eq!(ask(&UP_13[..len], &[], false), Outcome::More, "{len}");
    }
    let Outcome::Partly(facts) = ask(&UP_13[..whole], &[], false) else { panic!() };
    assert_eq!(name(&facts), Some((NAME, NameSource::Sni)));
    assert_eq!(facts.tls.as_ref().unwrap().ja4(), None, "fingerprints are worked out once, at the end");
    let server = hello_len(DOWN_13);
    assert!(matches!(ask(UP_13, &DOWN_13[..server - 1], false), Outcome::Partly(_)));
    assert!(matches!(ask(UP_13, &DOWN_13[..server], false), Outcome::Done(_)));
}

#[test]
fn a_cut_hello_gives_what_it_holds() {
    let sni_end = text::find(UP_13, NAME.as_bytes()).unwrap() + NAME.len();
    for len in 6..sni_end {
        assert_eq!(name(&done(&UP_13[..len], &[])), None, "{len}");
    }
    let facts = done(&UP_13[..sni_end], &[]);
    assert_eq!(name(&facts), Some((NAME, NameSource::Sni)));
    let tls = facts.tls.unwrap();
    assert!(tls.cut && tls.ja4().is_none());
}

/// The same hello in records of `size` bytes, with an alert and a ChangeCipherSpec in front.
fn in_records(up: &[u8], size: usize) -> Vec<u8> {
    let mut out = b"\x15\x03\x01\0\x02\x01\0\x14\x03\x01\0\x01\x01".to_vec();
    for part in up[5..hello_len(up)].chunks(size) {
        out.extend(b"\x16\x03\x01");
        out.extend((part.len() as u16).to_be_bytes());
        out.extend(part);
    }
    out
}

#[test]
fn records_may_cut_a_hello_anywhere() {
    let plain = done(UP_13, DOWN_13);
    for size in [1, 2, 3, 7, 64, 500] {
        assert_eq!(done(&in_records(UP_13, size), DOWN_13), plain, "{size}");
    }
}

#[test]
fn starttls_in_many_protocols() {
    let ldap = b"\x30\x1d\x02\x01\x01\x77\x18\x80\x161.3.6.1.4.1.1466.20037";
    let mut mysql = vec![32, 0, 0, 1];
    mysql.extend([0; 32]);
    let cases: &[(&[u8], &[u8])] = &[
        (b"EHLO me\r\nSTARTTLS\r\n", b"220 mail\r\n250 STARTTLS\r\n220 go\r\n"),
        (b"a1 CAPABILITY\r\na2 STARTTLS\r\n", b"* OK hi\r\na1 OK\r\na2 OK\r\n"),
        (b"STLS\r\n", b"+OK\r\n+OK\r\n"),
        (b"AUTH TLS\r\n", b"220 ftp\r\n234 go\r\n"),
        (b"<?xml version='1.0'?><stream:stream><starttls/>", b"<?xml version='1.0'?><proceed/>"),
        (ldap, b"\x30\x0c\x02\x01\x01\x78\x07\x0a\x01\0\x04\0\x04\0"),
        (b"\0\0\0\x08\x04\xd2\x16\x2f", b"S"),
        (
            b"\x03\0\0\x13\x0e\xe0\0\0\0\0\0\x01\0\x08\0\x03\0\0\0",
            b"\x03\0\0\x13\x0e\xd0\0\0\x12\x34\0\x02\x1f\x08\0\x02\0\0\0",
        ),
        // SQL Server wraps the records of the handshake in its own packets.
        (
            b"\x12\x01\0\x0a\0\0\0\0\0\x01\x12\x01\x02\0\0\0\0\0",
            b"\x04\x01\0\x0a\0\0\0\0\0\x01\x12\x01\x04\x90\0\0\0\0",
        ),
        (&mysql, b"\x4a\0\0\0\x0a8.0.36\0"),
    ];
    let plain = done(UP_12, DOWN_12);
    for (before_up, before_down) in cases {
        let (up, down) = ([before_up, UP_12].concat(), [before_down, DOWN_12].concat());
        assert_eq!(done(&up, &down), plain, "{before_up:?}");
        for len in 1..before_up.len() {
            let outcome = ask(&up[..len], before_down, false);
            assert_eq!(outcome, Outcome::More, "{:?}", &up[..len]);
        }
    }
}

#[test]
fn unknown_bytes_are_given_up_at_once() {
    for up in [&b"\xff\xfe\0\0\0\0\0\0"[..], b"\x13BitTorrent protocol", &[0x80; 64], &[1; 14], &[0; 8]] {
        assert_eq!(ask(up, &[], false), Outcome::Nothing(GiveUp::Unknown), "{up:?}");
    }
    assert_eq!(done(b"SSH-2.0-x\r\n", b"").app, AppProto::Ssh);
    assert_eq!(done(b"\x17\x03\x03\0\x10aaaaaaaaaaaaaaaa", b"\x17\x03\x03\0\x10a").app, AppProto::Tls);
}

#[test]
fn http_request_and_answer() {
    let up = b"POST http://Up.example.net:8080/put?x=1 HTTP/1.1\r\nHost: other\r\nUser-Agent: mozilla/4\r\n\
               Content-Length: 12345\r\nX-Forwarded-For: 192.0.2.7, 10.0.0.1\r\n\r\nbody";
    let facts = done(up, b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 201 Created\r\n\r\n");
    assert_eq!(name(&facts), Some(("Up.example.net", NameSource::Connect)));
    assert_eq!(facts.client, "192.0.2.7".parse().ok());
    let http = facts.http.unwrap();
    assert_eq!((&*http.method, &*http.host, http.status), ("POST", "Up.example.net:8080", Some(201)));
    assert_eq!((http.request_bytes, http.agent_malformed), (Some(12_345), true));
    let facts = done(b"GET / HTTP/1.1\nHost:h.example\n\n", b"");
    assert_eq!(name(&facts), Some(("h.example", NameSource::HttpHost)));
    let facts = done(b"GET / HTTP/1.1\r\nhost: cut.example\r\nAcc", b"");
    assert_eq!(name(&facts), Some(("cut.example", NameSource::HttpHost)));
    assert_eq!(done(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0", b"").app, AppProto::Http2);
    let socket = b"GET /s HTTP/1.1\r\nHost: w.example\r\nUpgrade: WebSocket\r\n\r\n";
    assert!(done(socket, b"HTTP/1.1 101 Switching\r\n\r\n").http.unwrap().websocket);
}

#[test]
fn connect_names_the_target_and_shows_the_tls_inside() {
    let ask_twice = b"CONNECT up.example.com:443 HTTP/1.1\r\nHost: x\r\n\r\n\
                      CONNECT up.example.com:443 HTTP/1.1\r\nProxy-Authorization: Basic eA==\r\n\r\n";
    let refuse = b"HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 4\r\n\r\nnono\
                   HTTP/1.1 200 Connection established\r\n\r\n";
    let (up, down) = ([ask_twice, UP_12].concat(), [&refuse[..], DOWN_12].concat());
    let facts = done(&up, &down);
    assert_eq!(name(&facts), Some(("up.example.com", NameSource::Connect)));
    assert_eq!(facts.target.as_deref(), Some("up.example.com:443"));
    let inner = facts.tls.unwrap();
    assert_eq!(inner.sni.as_deref(), Some(NAME));
    assert!(inner.certificate.is_some());
    assert_eq!(facts.http.unwrap().status, Some(200));
    // To an address: the inner name is the better one.
    let up = [b"CONNECT 192.0.2.1:443 HTTP/1.1\r\n\r\n", UP_12].concat();
    let facts = done(&up, b"HTTP/1.1 200 OK\r\n\r\n");
    assert_eq!(name(&facts), Some((NAME, NameSource::Sni)));
    // Refused for good.
    let facts = done(b"CONNECT up.example.com:443 HTTP/1.1\r\n\r\n", b"HTTP/1.1 403 No\r\n\r\n");
    assert_eq!(facts.http.unwrap().status, Some(403));
    // Split anywhere it never says anything else.
    let up = [b"CONNECT up.example.com:443 HTTP/1.1\r\n\r\n", UP_12].concat();
    for len in 1..up.len() {
        match ask(&up[..len], b"", false) {
            Outcome::More => assert!(len < 40),
            Outcome::Partly(facts) => assert_eq!(name(&facts).unwrap().0, "up.example.com"),
            other => panic!("{len} {other:?}"),
        }
    }
}

#[test]
fn socks_of_every_kind() {
    let cases: &[(&[u8], &[u8], &str)] = &[
        (
            b"\x05\x01\0\x05\x01\0\x03\x0eup.example.com\x01\xbb",
            b"\x05\0\x05\0\0\x01\0\0\0\0\0\0",
            "up.example.com",
        ),
        (
            b"\x05\x02\0\x02\x01\x01u\x02pw\x05\x01\0\x03\x0eup.example.com\x01\xbb",
            b"\x05\x02\x01\0\x05\0\0\x01\0\0\0\0\0\0",
            "up.example.com",
        ),
        (b"\x04\x01\x01\xbb\0\0\0\x01me\0up.example.com\0", b"\0\x5a\0\0\0\0\0\0", "up.example.com"),
        (b"\x04\x01\x01\xbb\xc0\0\x02\x01me\0", b"\0\x5a\0\0\0\0\0\0", NAME),
        (b"\x05\x01\0\x05\x01\0\x01\xc0\0\x02\x01\x01\xbb", b"\x05\0\x05\0\0\x01\0\0\0\0\0\0", NAME),
    ];
    for (asked, answered, expected) in cases {
        let (up, down) = ([asked, UP_12].concat(), [answered, DOWN_12].concat());
        let facts = done(&up, &down);
        assert_eq!(name(&facts).unwrap().0, *expected, "{asked:?}");
        assert_eq!(facts.app, AppProto::Socks);
        assert!(facts.target.unwrap().ends_with(":443"));
        assert_eq!(facts.tls, done(UP_12, DOWN_12).tls);
        assert_eq!(name(&done(&up, &[])).unwrap().0, *expected, "one way");
        for len in 0..up.len() {
            assert!(!matches!(ask(&up[..len], &down[..2], false), Outcome::Nothing(_)), "{len} {asked:?}");
        }
    }
}

#[test]
fn proxy_protocol_gives_the_client() {
    let v1 = b"PROXY TCP4 192.0.2.9 198.51.100.1 1234 443\r\n";
    let v2 = b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c\xc0\0\x02\x09\xc6\x33\x64\x01\x04\xd2\x01\xbb";
    for prefix in [&v1[..], v2] {
        let facts = done(&[prefix, UP_12].concat(), DOWN_12);
        assert_eq!(name(&facts), Some((NAME, NameSource::Sni)));
        assert_eq!(facts.client, "192.0.2.9".parse().ok());
    }
}

fn datagrams(list: &[&[u8]], from: Direction) -> Facts {
    let mut starts = Starts::begin(list[0]).unwrap();
    for (i, datagram) in list.iter().enumerate() {
        match starts.datagram(from, datagram) {
            Outcome::Done(facts) => {
                assert_eq!(i + 1, list.len());
                return *facts;
            }
            other => assert_eq!(other, Outcome::More),
        }
    }
    panic!("never whole")
}

#[test]
fn quic_vectors_of_the_rfcs() {
    for (packet, version) in [(fixture!("quic-v1.bin"), 1), (fixture!("quic-v2.bin"), 0x6b33_43cf)] {
        let facts = datagrams(&[packet], Direction::Up);
        assert_eq!(name(&facts), Some(("example.com", NameSource::QuicSni)));
        assert_eq!(facts.quic_version, Some(version));
        let tls = facts.tls.unwrap();
        assert_eq!(tls.ja3(), Some("41bc9ae914d6cb3bd0bd0a5453ab7d7f"));
        assert_eq!(tls.ja4(), Some("q13d0211an_62ed6f6ca7ad_4d634acda6c0"));
    }
    assert!(datagrams(&[fixture!("quic-v1.bin")], Direction::Down).client_is_responder);
}

#[test]
fn quic_of_other_versions() {
    for (packet, version) in [
        (fixture!("quic-d29.bin"), 0xff00_001d),
        (fixture!("quic-d27.bin"), 0xff00_001b),
        (fixture!("quic-d22.bin"), 0xff00_0016),
        (fixture!("quic-t051.bin"), u32::from_be_bytes(*b"T051")),
    ] {
        let facts = datagrams(&[packet], Direction::Up);
        assert_eq!((name(&facts), facts.quic_version), (Some((NAME, NameSource::QuicSni)), Some(version)));
    }
}

#[test]
fn google_quic_tags() {
    let chlo = fixture!("gquic.chlo");
    let q043 = [b"\x09cidcidciQ043\x01hashhashhash\xa0\x01\x02\0", chlo].concat();
    let q046 = [b"\xc3Q046\x50cidcidci\0\0\0\x01hashhashhash\xa0\x01\x02\0", chlo].concat();
    for (packet, version) in [(&q043[..], b"Q043"), (&q046, b"Q046"), (fixture!("quic-q050.bin"), b"Q050")] {
        let facts = datagrams(&[packet], Direction::Up);
        assert_eq!(name(&facts), Some(("files.example.org", NameSource::QuicSni)));
        assert_eq!(facts.quic_version, Some(u32::from_be_bytes(*version)));
        assert_eq!(facts.user_agent.as_deref(), Some("Chrome/99 X"));
        hostile::all(packet, |bad| {
            if let Some(mut fresh) = Starts::begin(bad) {
                fresh.datagram(Direction::Up, bad);
            }
        });
    }
}

#[test]
fn a_flood_of_initials_is_given_up() {
    let mut bad = fixture!("quic-v1.bin").to_vec();
    bad[600] ^= 1;
    let mut starts = Starts::begin(&bad).unwrap();
    let mut calls = 1;
    while starts.datagram(Direction::Up, &bad) == Outcome::More {
        calls += 1;
        bad[8] = calls;
    }
    assert!(calls <= 8);
}

#[test]
fn quic_hello_over_two_datagrams_in_shuffled_frames() {
    let (a, b) = (fixture!("quic-shuffled-1.bin"), fixture!("quic-shuffled-2.bin"));
    for order in [[a, b], [b, a]] {
        let facts = datagrams(&order, Direction::Up);
        assert_eq!(name(&facts), Some((NAME, NameSource::QuicSni)));
        assert_eq!(facts.tls.unwrap().ja3(), Some("304734bb1c086c3453b387400cf83f11"));
    }
    // A first id that came to nothing (before Retry) does not stand in the way.
    let mut starts = Starts::begin(a).unwrap();
    let server = [b"\xc1\0\0\0\x01\x03\x01\x02\x03\x04aaaa\0\x40\x20", &[7; 32][..]].concat();
    assert_eq!(starts.datagram(Direction::Up, b), Outcome::More);
    assert_eq!(starts.datagram(Direction::Down, &server), Outcome::More);
    assert!(matches!(starts.datagram(Direction::Up, a), Outcome::Done(_)));
}

fn dtls_fragments() -> Vec<Vec<u8>> {
    let body = &UP_12[9..hello_len(UP_12)];
    // DTLS has a cookie behind the session id.
    let at = 34 + 1 + usize::from(body[34]);
    let body = [&body[..at], &[0], &body[at..]].concat();
    let cut = body.chunks(100).enumerate().map(|(i, part)| {
        let head = [&[1][..], &(body.len() as u32).to_be_bytes()[1..], &[0, 0]].concat();
        let place = [&(i as u32 * 100).to_be_bytes()[1..], &(part.len() as u32).to_be_bytes()[1..]].concat();
        let record = [&head[..], &place, part].concat();
        [b"\x16\xfe\xfd\0\0\0\0\0\0\0\0", &(record.len() as u16).to_be_bytes()[..], &record].concat()
    });
    cut.collect()
}

#[test]
fn dtls_fragments_in_any_order() {
    let fragments = dtls_fragments();
    let mut list: Vec<&[u8]> = fragments.iter().map(Vec::as_slice).collect();
    list.rotate_left(1);
    let facts = datagrams(&list, Direction::Up);
    assert_eq!(name(&facts), Some((NAME, NameSource::Sni)));
    assert!(facts.tls.unwrap().ja4().unwrap().starts_with("d12d1508h2_d68b136fe8d9"));
}

/// A hello with this server name and this extension in the form of RFC-to-be ECH.
fn ech_hello(name: &str, sealed: usize) -> Vec<u8> {
    let name_len = name.len() as u16;
    let mut extensions = vec![0, 0];
    for n in [name_len + 5, name_len + 3] {
        extensions.extend(n.to_be_bytes());
    }
    extensions.push(0);
    extensions.extend(name_len.to_be_bytes());
    extensions.extend(name.as_bytes());
    extensions.extend(b"\xfe\x0d");
    extensions.extend((42 + sealed as u16).to_be_bytes());
    extensions.extend(b"\0\0\x01\0\x01\x2a\0\x20");
    extensions.extend([7; 32]);
    extensions.extend((sealed as u16).to_be_bytes());
    extensions.extend(vec![9; sealed]);
    let mut body = b"\x03\x03".to_vec();
    body.extend([1; 32]);
    body.extend(b"\0\0\x02\x13\x01\x01\0");
    body.extend((extensions.len() as u16).to_be_bytes());
    body.extend(extensions);
    let mut out = b"\x16\x03\x01".to_vec();
    out.extend((body.len() as u16 + 4).to_be_bytes());
    out.push(1);
    out.extend(&(body.len() as u32).to_be_bytes()[1..]);
    out.extend(body);
    out
}

#[test]
fn real_and_greased_ech() {
    let of = |name: &str, sealed| {
        let facts = done(&ech_hello(name, sealed), &[]);
        (facts.name.unwrap().1, facts.tls.unwrap().ech)
    };
    assert_eq!(of("Cloudflare-ech.com", 208), (NameSource::EchOuterSni, Ech::RealLikely));
    assert_eq!(of("files.example.org", 208), (NameSource::Sni, Ech::GreaseLikely));
    assert_eq!(of("files.example.org", 300), (NameSource::Sni, Ech::GreaseOrReal));
    assert_eq!(of("files.example.org", 16), (NameSource::Sni, Ech::GreaseLikely));
    assert_eq!(done(UP_13, DOWN_13).tls.unwrap().ech, Ech::None);
}

#[test]
fn hostile_names_are_kept_safe() {
    let facts = done(&ech_hello("a\u{1b}[31m\0.Example", 16), &[]);
    assert_eq!(name(&facts), Some(("a\\x1b[31m\\x00.Example", NameSource::Sni)));
    let long = "x".repeat(300);
    let facts = done(&ech_hello(&long, 16), &[]);
    assert_eq!(facts.name, None);
    assert_eq!(facts.tls.unwrap().sni.as_deref(), Some(&*long));
}

#[test]
fn hostile_starts_do_no_harm() {
    let connect = [b"CONNECT up.example.com:443 HTTP/1.1\r\nHost: x\r\n\r\n", UP_12].concat();
    let established = [b"HTTP/1.1 200 Connection established\r\n\r\n", DOWN_12].concat();
    let socks = [b"\x05\x02\0\x02\x01\x01u\x02pw\x05\x01\0\x03\x0eup.example.com\x01\xbb", UP_12].concat();
    let mail = [b"EHLO me\r\nSTARTTLS\r\n", UP_12].concat();
    let proxy = [b"PROXY TCP4 192.0.2.9 198.51.100.1 1234 443\r\n", UP_12].concat();
    let pairs: &[(&[u8], &[u8])] = &[
        (UP_12, DOWN_12),
        (UP_13, DOWN_13),
        (UP_RETRY, DOWN_RETRY),
        (&connect, &established),
        (&socks, b"\x05\x02\x01\0\x05\0\0\x01\0\0\0\0\0\0"),
        (&mail, DOWN_12),
        (&proxy, DOWN_12),
    ];
    for (up, down) in pairs {
        let mut end = false;
        let mut settles = |up: &[u8], down: &[u8]| {
            end = !end;
            assert!(ask(up, down, end) != Outcome::More || !end);
        };
        hostile::all(up, |bad| settles(bad, down));
        hostile::all(up, |bad| settles(down, bad));
        hostile::all(down, |bad| settles(up, bad));
    }
    hostile::all(fixture!("leaf.der"), |bad| {
        certificate::read(bad);
    });
}

#[test]
fn hostile_datagrams_do_no_harm() {
    let fragment = dtls_fragments().remove(0);
    for good in [fixture!("quic-v1.bin"), fixture!("quic-shuffled-1.bin"), &fragment] {
        let mut starts = Starts::begin(good).unwrap();
        hostile::all(good, |bad| {
            if let Some(mut fresh) = Starts::begin(bad) {
                fresh.datagram(Direction::Up, bad);
                fresh.finish();
            }
            starts.datagram(Direction::Down, bad);
        });
        assert_ne!(starts.finish(), Outcome::More);
    }
}

#[test]
fn any_bytes_do_no_harm() {
    for good in [UP_12, DOWN_12, UP_RETRY, fixture!("leaf.der"), fixture!("gquic.chlo")] {
        hostile::all(good, exercise);
    }
    for byte in 0..=255 {
        exercise(&[byte; 700]);
    }
}

#[test]
fn a_record_may_say_any_version_that_ever_was() {
    for minor in 0..=4 {
        assert!(tls::looks_like(&[22, 3, minor, 0, 200, 1]), "{minor}");
    }
    assert!(!tls::looks_like(&[22, 3, 5, 0, 200, 1]));
    assert!(!tls::looks_like(&[22, 4, 1, 0, 200, 1]));
}

#[test]
fn what_has_been_told_is_told_again_when_there_is_more() {
    let head = &DOWN_12[..400];
    let talk = |up, down, told: usize, done| {
        parse(&Talk {
            up,
            down,
            done: Both { up: false, down: done },
            transport: Transport::Tcp,
            ports: Both::default(),
            told: Both { up: told, down: 0 },
        })
    };
    let hello = 5 + usize::from(u16::from_be_bytes([UP_12[3], UP_12[4]]));
    assert!(matches!(talk(&UP_12[..hello], head, 0, false), Outcome::Partly(_)));
    assert!(matches!(talk(&UP_12[..hello], head, hello, false), Outcome::More));
    assert!(matches!(talk(UP_12, head, hello, false), Outcome::Partly(_)));
    let Outcome::Done(cut) = talk(&UP_12[..hello], head, hello, true) else { panic!() };
    assert_eq!((cut.tls.as_ref().unwrap().negotiated, cut.tls.unwrap().certificate), (true, None));
    assert_eq!(talk(UP_12, DOWN_12, UP_12.len(), false), talk(UP_12, DOWN_12, 0, false));
}

#[test]
fn a_certificate_too_large_to_keep_is_read_at_once() {
    let small = Leaf::keep(fixture!("leaf.der")).unwrap();
    assert!(small.der().is_some());
    // The outer sequence with something behind the certificate's signature.
    let mut large = fixture!("leaf.der").to_vec();
    large.resize(5000, 0);
    let len = (large.len() - 4) as u16;
    large[2..4].copy_from_slice(&len.to_be_bytes());
    let large = Leaf::keep(&large).unwrap();
    assert_eq!((large.der(), &large.read().subject), (None, &small.read().subject));
    assert_ne!(large, small);
    assert_eq!(large, large.clone());
}

#[test]
fn a_letter_and_a_space_begin_no_request() {
    let ask = |up: &[u8]| {
        let (done, ports, told) = (Both::default(), Both::default(), Both::default());
        let talk = Talk { up, down: &[], done, transport: Transport::Tcp, ports, told };
        http::parse(&talk)
    };
    assert_eq!(ask(b"A word and no end of words"), Outcome::Nothing(GiveUp::Unknown));
    assert_eq!(ask(b"GET /a/word/and"), Outcome::More);
}
