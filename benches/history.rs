//! What a line of a log costs: split and made an entry, and the whole way to tellings.

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use egret::history::History;
use egret::history::cells::Cells;
use egret::history::entry::Maker;
use egret::history::zeek::Zeek;
use std::fmt::Write as _;
use std::hint::black_box;

const LINES: u64 = 100_000;

/// A `conn.log` of a day, one line a second or more, every third over IPv6.
fn conn() -> String {
    let mut text = String::from(
        "#separator \\x09\n#set_separator\t,\n#empty_field\t(empty)\n#unset_field\t-\n#path\tconn\n#fields\tts\tuid\t\
         id.orig_h\tid.orig_p\tid.resp_h\tid.resp_p\tproto\tservice\tduration\torig_bytes\tresp_bytes\tconn_state\t\
         local_orig\tlocal_resp\tmissed_bytes\thistory\torig_pkts\torig_ip_bytes\tresp_pkts\tresp_ip_bytes\n",
    );
    for i in 0..LINES {
        let from = if i % 3 == 0 {
            format!("2001:db8:20:2::{:x}", i % 4_000)
        } else {
            format!("10.20.0.{}", i % 250)
        };
        let _ = writeln!(
            text,
            "{}.634313\tC{:016x}\t{from}\t{}\t198.18.241.{}\t443\ttcp\tssl\t6.778645\t{}\t3848\tSF\tT\tF\t0\tShADadFf\t\
             13\t9132\t11\t4420",
            1_767_571_200 + i,
            i.wrapping_mul(0x9e37_79b9_7f4a_7c15),
            20_000 + i % 40_000,
            i % 250,
            i * 37 % 5_000_000,
        );
    }
    text
}

fn lines(c: &mut Criterion) {
    let text = conn();
    let mut group = c.benchmark_group("zeek conn");
    group.throughput(Throughput::Elements(LINES)).sample_size(10);
    group.bench_function("lines to entries", |b| {
        b.iter(|| {
            let (mut maker, mut cells, mut zeek) = (Maker::default(), Cells::default(), Zeek::default());
            let mut bytes = 0;
            for line in text.as_bytes().split(|b| *b == b'\n') {
                if let Ok(Some(kind)) = zeek.line(line, &mut cells) {
                    bytes += usize::from(maker.entry(kind, &cells, black_box(line)).is_ok());
                }
            }
            bytes
        });
    });
    let path = std::env::temp_dir().join(format!("egret-bench-{}.log", std::process::id()));
    std::fs::write(&path, &text).expect("written");
    group.bench_function("file to tellings", |b| {
        b.iter(|| {
            let mut history = History::open(std::slice::from_ref(&path), false);
            let (mut told, mut count) = (Vec::new(), 0);
            while history.fill(&mut told) {
                count += told.drain(..).count();
            }
            count
        });
    });
    group.finish();
    let _ = std::fs::remove_file(path);
}

criterion_group!(benches, lines);
criterion_main!(benches);
