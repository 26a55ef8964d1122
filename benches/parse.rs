//! What a name costs: one hello of each kind, and the look at bytes that are none.

use criterion::{Criterion, criterion_group, criterion_main};
use egret::decode::Transport;
use egret::parse::datagrams::Starts;
use egret::parse::{self, Talk, dns};
use egret::units::{Both, Direction};
use std::hint::black_box;

macro_rules! fixture {
    ($name:literal) => {
        include_bytes!(concat!("../src/parse/fixtures/", $name)).as_slice()
    };
}

fn talk<'a>(up: &'a [u8], down: &'a [u8]) -> Talk<'a> {
    let (done, ports) = (Both { up: false, down: false }, Both { up: 40_000, down: 443 });
    Talk { up, down, done, transport: Transport::Tcp, ports, told: Both::default() }
}

fn names(c: &mut Criterion) {
    let (up, down) = (fixture!("tls13.up"), fixture!("tls13.down"));
    let (up12, down12) = (fixture!("tls12.up"), fixture!("tls12.down"));
    c.bench_function("tls13 hello, name only", |b| b.iter(|| parse::parse(black_box(&talk(up, &[])))));
    c.bench_function("tls13 both hellos, fingerprints", |b| {
        b.iter(|| parse::parse(black_box(&talk(up, down))));
    });
    c.bench_function("tls12 with certificate", |b| b.iter(|| parse::parse(black_box(&talk(up12, down12)))));
    let quic = fixture!("quic-v1.bin");
    c.bench_function("quic initial", |b| {
        b.iter(|| Starts::begin(black_box(quic)).map(|mut s| s.datagram(Direction::Up, quic)));
    });
    let request = b"POST /put HTTP/1.1\r\nHost: up.example.net\r\nUser-Agent: curl/8.5.0\r\nAccept: */*\r\nContent-Length: 12345\r\n\r\n";
    let reply = b"HTTP/1.1 201 Created\r\n\r\n";
    c.bench_function("http request", |b| b.iter(|| parse::parse(black_box(&talk(request, reply)))));
    let other = [0x80u8; 1400];
    c.bench_function("unknown tcp", |b| b.iter(|| parse::parse(black_box(&talk(&other, &other)))));
    c.bench_function("unknown udp", |b| b.iter(|| Starts::begin(black_box(&other)).is_some()));
    let query = b"\x12\x34\x81\x80\0\x01\0\x02\0\0\0\0\x03www\x07example\x03com\0\0\x01\0\x01\
        \xc0\x0c\0\x05\0\x01\0\0\0\x3c\0\x06\x03cdn\xc0\x10\xc0\x2d\0\x01\0\x01\0\0\0\x1e\0\x04\xc0\0\x02\x01";
    c.bench_function("dns answer", |b| b.iter(|| dns::message(black_box(query))));
}

criterion_group!(benches, names);
criterion_main!(benches);
