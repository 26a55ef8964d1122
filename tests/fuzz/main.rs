//! Fuzzing that needs nothing but stable Rust: every target on thousands of seeded mutations of its seeds.
//!
//! The same inputs on every run. `EGRET_FUZZ_RUNS=20` makes it twenty times as many; `EGRET_FUZZ_INPUT=FILE` with the
//! name of a target in `EGRET_FUZZ_TARGET` runs one input. What once broke a target stays in `regressions/TARGET/`.
//! Beside this stands a driver for libFuzzer with coverage; see `run`.

mod mutate;
mod targets;

use mutate::Mutator;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use targets::{TARGETS, Target};

/// Runs of the slowest target.
const RUNS: u32 = 150;

#[test]
fn every_target_survives_mutations() {
    let times: u32 = std::env::var("EGRET_FUZZ_RUNS").ok().and_then(|n| n.parse().ok()).unwrap_or(1);
    let next = AtomicUsize::new(0);
    let broken: Vec<String> = std::thread::scope(|scope| {
        let work = || {
            let mut broken = Vec::new();
            while let Some(target) = TARGETS.get(next.fetch_add(1, Ordering::Relaxed)) {
                broken.extend(fire(target, RUNS * target.pace * times).err());
            }
            broken
        };
        let threads = std::thread::available_parallelism().map_or(1, usize::from);
        let threads: Vec<_> = (0..threads).map(|_| scope.spawn(work)).collect();
        threads.into_iter().flat_map(|thread| thread.join().expect("a worker")).collect()
    });
    assert!(broken.is_empty(), "{}", broken.join("\n"));
}

#[test]
fn one_input_on_demand() {
    let (Ok(target), Ok(input)) = (std::env::var("EGRET_FUZZ_TARGET"), std::env::var("EGRET_FUZZ_INPUT"))
    else {
        return;
    };
    let target = TARGETS.iter().find(|t| t.name == target).expect("a target of this name");
    (target.run)(&std::fs::read(input).expect("the input"));
}

#[test]
fn names_are_told_apart_and_seeds_are_good() {
    for (i, target) in TARGETS.iter().enumerate() {
        assert!(TARGETS.iter().skip(i + 1).all(|other| other.name != target.name), "{}", target.name);
        assert!(!(target.seeds)().is_empty(), "{} has no seeds", target.name);
    }
}

/// Seeds, what broke it before, then mutations of all of them.
fn fire(target: &Target, runs: u32) -> Result<(), String> {
    let mut seeds = (target.seeds)();
    seeds.extend(regressions(target.name));
    for seed in &seeds {
        shoot(target, seed)?;
    }
    let mut mutator = Mutator::new(target.name);
    for _ in 0..runs {
        shoot(target, &mutator.mutate(&seeds))?;
    }
    Ok(())
}

fn shoot(target: &Target, input: &[u8]) -> Result<(), String> {
    if catch_unwind(AssertUnwindSafe(|| (target.run)(input))).is_ok() {
        return Ok(());
    }
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fuzz/artifacts");
    let file = folder.join(format!("{}-{:016x}", target.name, mutate::hash(input)));
    let kept = std::fs::create_dir_all(&folder).and_then(|()| std::fs::write(&file, input));
    let place = kept.map_or_else(|error| error.to_string(), |()| file.display().to_string());
    Err(format!(
        "{} broke; again with EGRET_FUZZ_TARGET={} EGRET_FUZZ_INPUT={place} cargo test --test fuzz",
        target.name, target.name
    ))
}

fn regressions(name: &str) -> Vec<Vec<u8>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fuzz/regressions").join(name);
    let mut files: Vec<PathBuf> = std::fs::read_dir(folder)
        .into_iter()
        .flatten()
        .filter_map(|entry| Some(entry.ok()?.path()))
        .collect();
    files.sort();
    files.iter().map(|file| std::fs::read(file).expect("a regression")).collect()
}
