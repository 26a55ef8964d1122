//! `egret replay`: flags to a run, and its end to a summary and an exit code.

use super::flags::ReplayFlags;
use super::load::{Loaded, flag, load};
use super::messages::{Exit, Stop, error, print, warning};
use crate::config::Config;
use crate::net::default_home;
use crate::output::file::{self, IsHome, Outputs};
use crate::output::{RunSummary, Severity, report};
use crate::run::{self, Setup};
use crate::strict::Fault;
use indicatif::{ProgressBar, ProgressStyle};
use std::io::{IsTerminal, stderr, stdout};
use std::sync::Arc;

/// More threads than this help nobody.
const MAX_WORKERS: usize = 64;

/// `egret replay`.
pub fn replay(flags: &ReplayFlags) -> Result<Exit, Stop> {
    let loaded = load(&flags.policy, &flags.home_net, |config| apply(flags, config))?;
    loaded.warnings.iter().for_each(warning);
    let low_counts = loaded.config.output.low_as_alert;
    let setup = setup(loaded)?;
    let bar = bar(flags.quiet);
    let mut progress = |read: u64, of: Option<u64>| {
        if let Some(bar) = &bar {
            if let Some(of) = of {
                bar.set_length(of);
            }
            bar.set_position(read);
        }
    };
    let ended = run::replay(setup, &flags.files, &mut progress);
    if let Some(bar) = bar {
        bar.finish_and_clear();
    }
    let summary = ended.map_err(|error| Stop::Error(error.to_string()))?;
    tell(flags, &summary)?;
    let alert = |severity| severity > Severity::Low || low_counts;
    Ok(if !summary.faults.is_empty() {
        Exit::Faulty
    } else if flags.fail_on_alert && summary.incidents.iter().any(|i| alert(i.severity)) {
        Exit::Alerts
    } else {
        Exit::Ran
    })
}

/// The command's own flags, which win.
fn apply(flags: &ReplayFlags, config: &mut Config) -> Result<(), Fault> {
    if let Some(dir) = &flags.out {
        config.output.dir.clone_from(dir);
    }
    config.seed = flags.seed.unwrap_or(config.seed);
    config.workers = flags.workers.map_or_else(cores, usize::from);
    if let Some(list) = &flags.log {
        let kinds = file::kinds(list).map_err(|error| {
            let (what, cure) = error.split_once("; ").unwrap_or((&error, "see egret replay --help"));
            flag("--log", what.to_owned(), cure)
        })?;
        config.output.kinds = kinds.iter().map(|kind| kind.name).collect();
    }
    Ok(())
}

fn cores() -> usize {
    std::thread::available_parallelism().map_or(1, |cores| cores.get().min(MAX_WORKERS))
}

/// Opens the outputs.
fn setup(loaded: Loaded) -> Result<Setup, Stop> {
    let Loaded { config, catalogue, .. } = loaded;
    let home = config.home_net.clone().unwrap_or_else(default_home);
    let is_home: IsHome = Arc::new(move |ip| home.contains(ip));
    let kinds = file::kinds(&config.output.kinds.join(",")).map_err(Stop::Error)?;
    let outputs = Outputs::new(&file::OutputConfig {
        dir: config.output.dir.clone(),
        kinds,
        own_types_in_eve: config.output.own_types_in_eve,
        low_as_alert: config.output.low_as_alert,
        mode: config.output.mode,
        community_id_seed: config.output.community_id_seed,
        sensor: Some(config.sensor.clone()),
        signatures_version: catalogue.version().to_owned(),
        is_home: Some(is_home),
        ..file::OutputConfig::default()
    });
    let outputs = outputs.map_err(|error| {
        // The error names the path.
        Stop::Error(format!("{error}; logs cannot be written there, give another directory with --out"))
    })?;
    Ok(Setup { config, catalogue: Arc::new(catalogue), outputs })
}

/// A bar on a terminal only.
fn bar(quiet: bool) -> Option<ProgressBar> {
    if quiet || !stderr().is_terminal() {
        return None;
    }
    let bar = ProgressBar::no_length();
    let template = "{bar:40} {binary_bytes} of {binary_total_bytes}, {binary_bytes_per_sec}, {eta} left";
    if let Ok(style) = ProgressStyle::with_template(template) {
        bar.set_style(style);
    }
    Some(bar)
}

/// What was found, and what was wrong with the input.
fn tell(flags: &ReplayFlags, summary: &RunSummary) -> Result<(), Stop> {
    let nothing_read = summary.stats.front.frames == 0 && !summary.faults.is_empty();
    for fault in &summary.faults {
        // Where nothing at all could be read there is no run to warn about.
        if nothing_read { error(fault) } else { warning(fault) }
    }
    if flags.json {
        print(&format!("{}\n", report::json(summary).trim_end()))
    } else if flags.quiet || nothing_read {
        Ok(())
    } else {
        print(&report::text(summary, stdout().is_terminal()))
    }
}
