//! The same capture gives the same records, line for line, however many workers there are, however the frames come in
//! batches, and however little may wait between the threads.

mod common;

use common::pipeline::{Frame, Ran, Recut, cases, frames, small, through};
use common::traffic::{fragments, ip_frame, udp, wild};
use egret::config::Config;

/// Every way to run that must not matter: workers, frames per batch, messages that may wait for the detector.
const WAYS: [(usize, usize, usize); 10] = [
    (1, 1, 1),
    (1, 7, 1),
    (1, 4_096, 1),
    (2, 1, 1),
    (2, 7, 1),
    (2, 4_096, 1),
    (4, 1, 1),
    (4, 7, 1),
    (4, 4_096, 1),
    (4, 4_096, 64),
];

/// The ways that are quick enough for every frame of every capture.
const WHOLE: [(usize, usize, usize); 2] = [(1, 4_096, 1), (4, 4_096, 1)];
/// Frames of a capture that all ways see.
const MOST: usize = 1_500;

/// All lines of all logs; of the stats record what all workers did together.
fn lines(ran: &Ran) -> Vec<String> {
    let mut all = Vec::new();
    for (name, text) in &ran.logs {
        let together = |line: &str| line.split(r#","workers":["#).next().unwrap_or_default().to_owned();
        all.extend(text.lines().map(|line| format!("{name} {}", together(line))));
    }
    all
}

/// The first way in which a run differs from the one with a single worker and large batches.
fn difference(config: &Config, frames: &[Frame], ways: &[(usize, usize, usize)]) -> Option<String> {
    let run = |(workers, batch, told_max)| {
        let config = Config { workers, told_max, ..config.clone() };
        through(config, "eve,zeek-tsv", &mut Recut::new(frames, batch))
    };
    let first = run((1, 100_000, 64));
    let wanted = lines(&first);
    for &way in ways {
        let ran = run(way);
        let found = lines(&ran);
        let at = wanted.iter().zip(&found).position(|(a, b)| a != b);
        if let Some(at) = at.or((wanted.len() != found.len()).then(|| wanted.len().min(found.len()))) {
            let line = |all: &[String]| all.get(at).cloned().unwrap_or_default();
            return Some(format!(
                "{way:?} (workers, batch, channel):\n  one: {}\n  now: {}",
                line(&wanted),
                line(&found)
            ));
        }
        let told = |ran: &Ran| {
            (ran.summary.incidents.clone(), ran.summary.uploads.clone(), ran.summary.flows_by_side)
        };
        if told(&first) != told(&ran) {
            return Some(format!("{way:?}: the summaries differ"));
        }
    }
    None
}

#[test]
fn own_captures() {
    for case in cases() {
        let all = frames(&case.files);
        // Batches of one are slow through threads: the beginning of each capture must do for them.
        let beginning = all.get(..MOST).unwrap_or(&all);
        let beginning = difference(&case.config(), beginning, &WAYS);
        let whole = difference(&case.config(), &all, &WHOLE);
        if let Some(difference) = beginning.or(whole) {
            panic!("{}: {difference}", case.name);
        }
    }
}

#[test]
fn time_that_goes_back_and_forth() {
    for seed in 1..=4 {
        let all = wild(seed, 2_500);
        if let Some(difference) = difference(&small(Config::default()), &all, &WAYS) {
            panic!("seed {seed}: {difference}");
        }
    }
}

#[test]
fn the_wild_capture_holds_what_it_should() {
    let all = wild(1, 2_500);
    let ran = through(small(Config::default()), "eve,zeek-tsv", &mut Recut::new(&all, 4_096));
    let stats = &ran.summary.stats;
    assert!(stats.front.time_back > 50 && stats.front.time_jump > 20, "{:?}", stats.front);
    assert!(stats.front.fragments_held > 10, "{:?}", stats.front);
    assert!(stats.detect.incidents > 5, "{:?}", stats.detect);
    assert!(ran.records("flow_update").len() > 5);
    assert!(ran.records("dns").len() > 50);
    let reasons = |reason: &str| ran.records("flow").iter().filter(|r| r["flow"]["reason"] == reason).count();
    for reason in ["timeout", "shutdown"] {
        assert!(reasons(reason) > 5, "{reason}");
    }
}

/// Datagrams that come in fragments have a number of their own when they are whole, on every worker, also on those that
/// take no part in them: what comes between and begins a flow must be numbered the same.
#[test]
fn numbers_go_on_behind_the_fragments_of_others() {
    let mut frames = Vec::new();
    for i in 0..200u16 {
        let at = i64::from(i) * 1_000_000;
        let [_, _, lo, hi] = u32::from(i).to_be_bytes();
        let datagram = udp(4_000, 5_000 + i, &[7; 64]);
        frames.extend(fragments(at, [10, 0, lo, 1], [192, 0, 2, hi], i, &datagram, 32));
        let alone = udp(6_000 + i, 7_000, b"alone");
        frames.push(ip_frame(at, [10, 1, hi, 2].into(), [198, 51, 100, lo].into(), 17, &alone, 0));
    }
    if let Some(difference) = difference(&small(Config::default()), &frames, &WAYS) {
        panic!("{difference}");
    }
}
