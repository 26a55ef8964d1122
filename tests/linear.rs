//! Time per frame over captures of growing length. Says figures and judges none: machines are busy, and docs/testing.md
//! has those that were measured. Run by hand:
//!
//!     cargo test --release --test linear -- --ignored --nocapture

mod common;

use common::pipeline::{Recut, small, through};
use common::traffic::{many, wild};
use egret::config::Config;
use std::time::Instant;

/// Nanoseconds that this thread has been on a processor, where the system says; else since the start.
fn spent(since: Instant) -> u64 {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap_or_default();
    let told = text.split_whitespace().next().and_then(|first| first.parse().ok());
    told.unwrap_or_else(|| since.elapsed().as_nanos() as u64)
}

#[test]
#[ignore = "takes long; prints figures"]
fn twice_as_long_takes_twice_the_time() {
    type Make = fn(u64, usize) -> Vec<common::pipeline::Frame>;
    let start = Instant::now();
    for (name, make, events) in [("wild", wild as Make, 4_000), ("new connections", many as Make, 3_000)] {
        let mut before = None;
        for times in [1, 2, 4] {
            let frames = make(1, events * times);
            let best = (0..3).map(|_| {
                let began = spent(start);
                through(small(Config::default()), "eve", &mut Recut::new(&frames, 4_096));
                spent(start) - began
            });
            let best = best.min().unwrap_or_default();
            let ratio = before.map_or(String::new(), |b: u64| {
                format!(", {:.2} times the one before", best as f64 / b as f64)
            });
            println!("{name}: {} frames in {:.0} ms{ratio}", frames.len(), best as f64 / 1e6);
            before = Some(best);
        }
    }
}
