//! Damaged captures through the whole pipeline: cut at every place, with bits flipped, and those that fuzzers made.
//! Nothing panics, nothing takes long, and each file has at most one fault, so that the exit code can say it.

mod common;

use common::pipeline::{Ran, cases, shared, small, through};
use common::traffic::Random;
use egret::capture::Replay;
use egret::config::Config;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// Longest time for one file that is no sign of trouble, in a build that is not optimized and on a busy machine.
const PATIENCE: Duration = Duration::from_secs(5);
/// Places at which a large file is cut: among its first frames, where the names are, and anywhere.
const CUTS: [usize; 2] = [400, 100];
/// Files shorter than this are cut at every byte.
const SMALL: usize = 8 * 1024;
/// Bytes of one capture that is cut at every byte, though it is longer.
const EVERY: usize = 4_096;
/// Bit flips over all captures together.
const FLIPS: usize = 1_000;
/// Bytes of a capture that are damaged: the first frames meet every parser, later ones repeat them.
const HEAD: usize = 50_000;

/// A capture to damage, uncompressed: gzip would find most damage by itself.
struct Fixture {
    name: String,
    bytes: Vec<u8>,
}

/// The beginning of every own capture.
fn fixtures() -> Vec<Fixture> {
    let files = cases().into_iter().flat_map(|case| case.files);
    let read = |path: PathBuf| {
        let name = format!("{}", path.display());
        let raw = std::fs::read(&path).expect("readable");
        let mut bytes = Vec::new();
        if raw.starts_with(&[0x1f, 0x8b]) {
            flate2::read::MultiGzDecoder::new(&raw[..])
                .take(HEAD as u64)
                .read_to_end(&mut bytes)
                .expect("gzip");
        } else {
            bytes = raw;
            bytes.truncate(HEAD);
        }
        Fixture { name, bytes }
    };
    files.map(read).collect()
}

/// A file of one name that is written over and over, removed at the end.
struct Spot(PathBuf);

impl Spot {
    fn new(name: &str) -> Self {
        Self(std::env::temp_dir().join(format!("egret-hostile-{name}-{}.pcap", std::process::id())))
    }

    fn run(&self, bytes: &[u8], what: &str) -> Ran {
        std::fs::write(&self.0, bytes).expect("written");
        run(&self.0, what)
    }
}

impl Drop for Spot {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}

/// One file through everything, with the bounds that hold for all.
fn run(path: &Path, what: &str) -> Ran {
    let mut config = small(Config::default());
    config.flows.table = 1 << 9;
    let began = Instant::now();
    // Small pieces: a build that is not optimized spends its time on clearing the buffer otherwise.
    let ran = through(config, "eve", &mut Replay::with_piece(&[path.to_owned()], 1 << 15));
    let (took, stats) = (began.elapsed(), &ran.summary.stats);
    assert!(took < PATIENCE, "{what}: {took:?}");
    assert!(ran.summary.faults.len() <= 1, "{what}: {:?}", ran.summary.faults);
    let front = &stats.front;
    let skipped: u64 = front.skipped.iter().sum();
    assert_eq!(
        front.frames,
        front.decoded + skipped + front.fragments_held,
        "{what}: every frame is accounted for"
    );
    let total = stats.total();
    assert_eq!((total.open, total.opened, stats.dropped), (0, total.closed, 0), "{what}");
    assert_eq!(ran.records("flow").len() as u64, total.closed, "{what}: one record a flow");
    ran
}

#[test]
fn cut_anywhere() {
    let spot = Spot::new("cut");
    for fixture in fixtures() {
        let len = fixture.bytes.len();
        let mut cuts: Vec<usize> = if len < SMALL {
            (0..len).collect()
        } else {
            let spread = |n: usize, over: usize| (0..n).map(move |i| i * over / n);
            spread(CUTS[0], SMALL).chain(spread(CUTS[1], len)).collect()
        };
        if fixture.name.contains("small-paste") {
            cuts.extend(0..EVERY);
        }
        cuts.sort_unstable();
        let mut before = 0;
        for cut in cuts {
            let what = format!("{} cut at {cut}", fixture.name);
            let ran = spot.run(&fixture.bytes[..cut], &what);
            let frames = ran.summary.stats.front.frames;
            assert!(frames >= before, "{what}: {frames} frames, {before} in a shorter file");
            before = frames;
        }
        assert!(before > 10, "{}: {before} frames", fixture.name);
    }
}

#[test]
fn bits_flipped() {
    let spot = Spot::new("flip");
    let mut random = Random(1567);
    let fixtures = fixtures();
    for n in 0..FLIPS {
        let fixture = &fixtures[n % fixtures.len()];
        let mut bytes = fixture.bytes.clone();
        // Every second one among the first frames.
        let room = if n % 2 == 0 { SMALL.min(bytes.len()) } else { bytes.len() };
        bytes.truncate(room.max(SMALL * 2).min(bytes.len()));
        let bit = random.below(room as u64 * 8) as usize;
        bytes[bit / 8] ^= 1 << (bit % 8);
        spot.run(&bytes, &format!("{} bit {bit}", fixture.name));
    }
}

#[test]
fn files_that_fuzzers_made() {
    let files: Vec<PathBuf> =
        ["fuzz", "captures/badfile", "captures/malformed"].into_iter().flat_map(shared).collect();
    let captures = files.iter().filter(|f| !f.to_string_lossy().ends_with(".json"));
    for file in captures {
        run(file, &file.display().to_string());
    }
}
