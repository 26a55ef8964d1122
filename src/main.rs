//! The `egret` program: flags, configuration, run, exit code.

use egret::config::Config;
use egret::output::file::{OutputConfig, Outputs, kinds};
use egret::run::{Setup, replay};
use egret::signatures::Catalogue;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

fn main() -> ExitCode {
    let mut args = std::env::args().skip(2);
    let (mut paths, mut dir, mut log, mut workers) =
        (Vec::new(), PathBuf::from("egret-out"), "eve".to_owned(), 1);
    while let Some(arg) = args.next() {
        match arg.as_str() {
            "-o" => dir = args.next().unwrap_or_default().into(),
            "--log" => log = args.next().unwrap_or_default(),
            "--workers" => workers = args.next().and_then(|w| w.parse().ok()).unwrap_or(1),
            "--quiet" => {}
            other => paths.push(PathBuf::from(other)),
        }
    }
    let config = Config { workers, ..Config::default() };
    let out = OutputConfig { dir, kinds: kinds(&log).unwrap_or_default(), ..OutputConfig::default() };
    let Ok(outputs) = Outputs::new(&out) else { return ExitCode::from(2) };
    let setup = Setup { config, catalogue: Arc::new(Catalogue::builtin()), outputs };
    match replay(setup, &paths, &mut |_, _| {}) {
        Ok(summary) => {
            for fault in &summary.faults {
                eprintln!("egret: warning: {fault}");
            }
            ExitCode::from(if summary.faults.is_empty() { 0 } else { 2 })
        }
        Err(e) => {
            eprintln!("egret: error: {e}");
            ExitCode::from(2)
        }
    }
}
