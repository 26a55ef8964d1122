//! Protocols that carry names.

use super::{joined, pieces};
use egret::decode::Transport;
use egret::parse::datagrams::Starts;
use egret::parse::{self, Facts, Outcome, PARSERS, Talk};
use egret::units::{Both, Direction};

macro_rules! fixture {
    ($name:literal) => {
        include_bytes!(concat!("../../../src/parse/fixtures/", $name)).as_slice()
    };
}

/// What holds for whatever a parser says.
fn hold(outcome: &Outcome) {
    if let Outcome::Partly(facts) | Outcome::Done(facts) = outcome {
        sound(facts);
    }
}

fn sound(facts: &Facts) {
    if let Some((name, _)) = &facts.name {
        assert!(!name.is_empty() && name.len() <= 4_096);
        assert!(!name.chars().any(char::is_control), "{name:?}");
    }
}

/// Both directions of a TCP conversation: flags, where the first direction ends, bytes.
pub(super) fn parsers(bytes: &[u8]) {
    let Some(([flags, low, high], rest)) = bytes.split_first_chunk::<3>() else { return };
    let at = usize::from(u16::from_le_bytes([*low, *high])).min(rest.len());
    let (up, down) = rest.split_at(at);
    let talk = |up, down, done| Talk {
        up,
        down,
        done,
        transport: Transport::Tcp,
        ports: Both { up: 50_000, down: if flags & 4 == 0 { 443 } else { 53 } },
        told: Both { up: if flags & 8 == 0 { 0 } else { at }, down: 0 },
    };
    let done = Both { up: flags & 1 != 0, down: flags & 2 != 0 };
    // As it grows, as the worker asks.
    let half = up.get(..up.len() / 2).unwrap_or_default();
    hold(&parse::parse(&talk(half, &[], Both { up: false, down: false })));
    let whole = talk(up, down, done);
    hold(&parse::parse(&whole));
    for parser in PARSERS {
        hold(&(parser.parse)(&whole));
    }
}

pub(super) fn talk_seeds() -> Vec<Vec<u8>> {
    let seed = |flags: u8, up: &[u8], down: &[u8]| {
        let at = (up.len() as u16).to_le_bytes();
        [&[flags, at[0], at[1]], up, down].concat()
    };
    let dns = dns_seeds();
    let dns: Vec<u8> = dns.iter().flat_map(|m| [&(m.len() as u16).to_be_bytes()[..], m].concat()).collect();
    vec![
        seed(3, fixture!("tls12.up"), fixture!("tls12.down")),
        seed(0, fixture!("tls13.up"), fixture!("tls13.down")),
        seed(3, fixture!("tls13-retry.up"), fixture!("tls13-retry.down")),
        seed(1, fixture!("tls12-resumed.up"), fixture!("tls12-resumed.down")),
        seed(
            3,
            b"POST /up HTTP/1.1\r\nHost: file.io\r\nContent-Length: 9\r\n\r\n123456789",
            b"HTTP/1.1 200 OK\r\n\r\n",
        ),
        seed(0, b"CONNECT mega.nz:443 HTTP/1.1\r\nHost: mega.nz:443\r\n\r\n", b"HTTP/1.1 200 OK\r\n\r\n"),
        seed(0, b"GET http://pastebin.com/a HTTP/1.0\r\nUser-Agent: curl/8\r\n\r\n", b""),
        seed(
            0,
            b"\x05\x01\x00\x05\x01\x00\x03\x07mega.nz\x01\xbb",
            b"\x05\x00\x05\x00\x00\x01\x00\x00\x00\x00\x00\x00",
        ),
        seed(0, b"\x04\x01\x01\xbb\x00\x00\x00\x01me\x00mega.nz\x00", b"\x00\x5a\x00\x00\x00\x00\x00\x00"),
        seed(0, b"PROXY TCP4 192.0.2.1 192.0.2.2 50000 443\r\n\x16\x03\x01", b""),
        seed(0, b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c\xc0\0\x02\x01\xc0\0\x02\x02\xc3\x50\x01\xbb", b""),
        seed(0, b"EHLO me\r\nSTARTTLS\r\n", b"220 mx ESMTP\r\n250 STARTTLS\r\n220 go\r\n"),
        seed(4, &dns, &dns),
        seed(0, b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0", b""),
    ]
}

/// Datagrams of one flow, in turn from either side by the first bit of each length.
pub(super) fn datagrams(bytes: &[u8]) {
    let mut starts: Option<Starts> = None;
    for (i, datagram) in pieces(bytes).into_iter().enumerate() {
        if starts.is_none() {
            starts = Starts::begin(datagram);
        }
        if let Some(starts) = &mut starts {
            let from = if i % 3 == 2 { Direction::Down } else { Direction::Up };
            hold(&starts.datagram(from, datagram));
        }
    }
    if let Some(mut starts) = starts {
        hold(&starts.finish());
    }
}

pub(super) fn datagram_seeds() -> Vec<Vec<u8>> {
    let dtls = b"\x16\xfe\xfd\0\0\0\0\0\0\0\0\0\x36\x01\0\0\x2a\0\0\0\0\0\0\0\x2a\xfe\xfd";
    let dtls = [&dtls[..], &[7; 32], b"\0\0\0\x02\xc0\x2b\x01\0"].concat();
    vec![
        joined(&[fixture!("quic-v1.bin").to_vec()]),
        joined(&[fixture!("quic-v2.bin").to_vec()]),
        joined(&[fixture!("quic-shuffled-1.bin").to_vec(), fixture!("quic-shuffled-2.bin").to_vec()]),
        joined(&[dtls]),
        joined(&[b"\x0d12345678Q0431abcdefghijklmnopCHLO\0\0\0\0".to_vec()]),
    ]
}

/// One message, and the same bytes as a stream of them.
pub(super) fn dns(bytes: &[u8]) {
    let _ = parse::dns::message(bytes);
    for message in parse::dns::messages(bytes) {
        let _ = parse::dns::message(message);
    }
}

pub(super) fn dns_seeds() -> Vec<Vec<u8>> {
    let head = |flags: u16, answers: u16| {
        let mut head = b"\x12\x34".to_vec();
        for word in [flags, 1, answers, 0, 0] {
            head.extend(word.to_be_bytes());
        }
        head.extend(b"\x04mega\x02nz\0\0\x01\0\x01");
        head
    };
    let answer = b"\xc0\x0c\0\x01\0\x01\0\0\0\x3c\0\x04\xc0\0\x02\x01";
    let alias = b"\xc0\x0c\0\x05\0\x01\0\0\0\x3c\0\x06\x03cdn\xc0\x0c";
    let service = b"\xc0\x0c\0\x41\0\x01\0\0\0\x3c\0\x0a\0\x01\0\0\x01\0\x03\x02h2";
    vec![
        head(0x0100, 0),
        [&head(0x8180, 2)[..], alias, answer].concat(),
        [&head(0x8180, 1)[..], service].concat(),
    ]
}

/// A certificate in DER.
pub(super) fn certificate(bytes: &[u8]) {
    if let Some(certificate) = parse::certificate::read(bytes) {
        let _ = parse::certificate::host_name(&certificate);
    }
}

pub(super) fn certificate_seeds() -> Vec<Vec<u8>> {
    vec![fixture!("leaf.der").to_vec()]
}

/// Google's QUIC before the standard.
pub(super) fn gquic(bytes: &[u8]) {
    let version = parse::gquic::version(bytes).unwrap_or(0x5130_3433);
    if let Some(facts) = parse::gquic::client_hello(bytes, version) {
        sound(&facts);
    }
    let _ = parse::user_agent::is_malformed(bytes);
    let _ = parse::user_agent::carries_data(bytes);
}

/// One datagram of DHCP, either version.
pub(super) fn dhcp(bytes: &[u8]) {
    let Some(given) = parse::dhcp::message(bytes) else { return };
    assert!(given.name.is_none_or(|name| name.len() <= 4 * 63));
}

pub(super) fn dhcp_seeds() -> Vec<Vec<u8>> {
    let mut four = vec![2, 1, 6, 0];
    four.resize(16, 0);
    four.extend([10, 0, 0, 7]);
    four.resize(28, 0);
    four.extend([2, 0, 0, 0, 0, 7]);
    four.resize(236, 0);
    four.extend(b"\x63\x82\x53\x63\x35\x01\x05\x33\x04\0\0\x0e\x10\x0c\x03pc7\xff");
    let six = b"\x07\x01\x02\x03\0\x01\0\x0a\0\x03\0\x01\x02\0\0\0\0\x09\0\x27\0\x06\0\x03pc9\0".to_vec();
    let mut relayed = vec![13];
    relayed.resize(34, 0);
    relayed.extend([0, 9, 0, six.len() as u8]);
    relayed.extend(&six);
    vec![four, six, relayed]
}
