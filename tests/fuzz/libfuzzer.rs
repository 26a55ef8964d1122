//! The driver with coverage: libFuzzer runs the target that `EGRET_FUZZ_TARGET` names. Built by `run`.
#![no_main]

mod targets;

use libfuzzer_sys::fuzz_target;
use std::path::Path;
use std::sync::OnceLock;
use targets::{TARGETS, Target};

static TARGET: OnceLock<&Target> = OnceLock::new();

/// Finds the target and lays its seeds down where libFuzzer will read them. Without a target, names them all.
fn begin() {
    let name = std::env::var("EGRET_FUZZ_TARGET").unwrap_or_default();
    let Some(target) = TARGETS.iter().find(|target| target.name == name) else {
        for target in TARGETS {
            println!("{}", target.name);
        }
        std::process::exit(i32::from(!name.is_empty()));
    };
    let _ = TARGET.set(target);
    if let Ok(corpus) = std::env::var("EGRET_FUZZ_CORPUS") {
        for (i, seed) in (target.seeds)().iter().enumerate() {
            std::fs::write(Path::new(&corpus).join(format!("seed-{i}")), seed).expect("a seed written");
        }
    }
}

fuzz_target!(init: begin(), |data: &[u8]| {
    if let Some(target) = TARGET.get() {
        (target.run)(data);
    }
});
