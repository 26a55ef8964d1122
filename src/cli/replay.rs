//! `egret replay` and `egret logs`: flags to a run, and its end to a summary and an exit code.

use super::flags::{Common, LogsFlags, ReplayFlags};
use super::load::{Loaded, flag, load};
use super::messages::{Exit, Stop, error, print, warning};
use crate::capture::bpf::Filter;
use crate::config::Config;
use crate::net::default_home;
use crate::output::file::{self, IsHome, Keeping, Outputs};
use crate::output::{RunSummary, Severity, report};
use crate::run::{self, LogSetup, Setup};
use crate::strict::Fault;
use indicatif::{ProgressBar, ProgressStyle};
use std::io::{IsTerminal, stderr, stdout};
use std::sync::Arc;

/// More threads than this help nobody.
const MAX_WORKERS: usize = 64;

/// `egret replay`.
pub fn replay(flags: &ReplayFlags) -> Result<Exit, Stop> {
    let workers = flags.workers.map_or_else(cores, usize::from);
    run(&flags.common, workers, flags.bpf.as_deref(), |setup, progress| {
        run::replay(setup, &flags.files, progress)
    })
}

/// `egret logs`.
pub fn logs(flags: &LogsFlags) -> Result<Exit, Stop> {
    run(&flags.common, 1, None, |setup, progress| {
        run::logs(LogSetup { setup, echo: flags.echo }, &flags.files, progress)
    })
}

/// Runs traffic through the detector and says what came of it.
fn run(
    flags: &Common,
    workers: usize,
    bpf: Option<&str>,
    start: impl FnOnce(Setup, run::Progress<'_>) -> Result<RunSummary, run::Error>,
) -> Result<Exit, Stop> {
    let loaded = load(&flags.policy, &flags.home_net, |config| {
        config.capture.bpf = bpf.map(str::to_owned).or(config.capture.bpf.take());
        apply(flags, workers, config)
    })?;
    loaded.warnings.iter().for_each(warning);
    let low_counts = loaded.config.output.low_as_alert;
    // Before logs of an earlier run are replaced.
    filter(&loaded.config)?;
    let setup = setup(loaded, None, Keeping::Replace)?;
    let bar = bar(flags.quiet);
    let mut progress = |read: u64, of: Option<u64>| {
        if let Some(bar) = &bar {
            if let Some(of) = of {
                bar.set_length(of);
            }
            bar.set_position(read);
        }
    };
    let ended = start(setup, &mut progress);
    if let Some(bar) = bar {
        bar.finish_and_clear();
    }
    let summary = ended.map_err(|error| Stop::Error(error.to_string()))?;
    tell(&summary, flags.quiet, flags.json)?;
    Ok(exit(&summary, flags.fail_on_alert, low_counts))
}

/// How a run ended. `low_counts`: incidents of low severity are alerts too.
pub(super) fn exit(summary: &RunSummary, fail_on_alert: bool, low_counts: bool) -> Exit {
    let alert = |severity| severity > Severity::Low || low_counts;
    if !summary.faults.is_empty() {
        Exit::Faulty
    } else if fail_on_alert && summary.incidents.iter().any(|i| alert(i.severity)) {
        Exit::Alerts
    } else {
        Exit::Ran
    }
}

/// The command's own flags, which win.
fn apply(flags: &Common, workers: usize, config: &mut Config) -> Result<(), Fault> {
    if let Some(dir) = &flags.out {
        config.output.dir.clone_from(dir);
    }
    config.seed = flags.seed.unwrap_or(config.seed);
    config.workers = workers;
    log_kinds(flags.log.as_deref(), config)
}

/// `--log`.
pub(super) fn log_kinds(list: Option<&str>, config: &mut Config) -> Result<(), Fault> {
    if let Some(list) = list {
        let kinds = file::kinds(list).map_err(|error| {
            let (what, cure) = error.split_once("; ").unwrap_or((&error, "see egret replay --help"));
            flag("--log", what.to_owned(), cure)
        })?;
        config.output.kinds = kinds.iter().map(|kind| kind.name).collect();
    }
    Ok(())
}

/// The filter for frames.
pub(super) fn filter(config: &Config) -> Result<Option<Filter>, Stop> {
    let text = config.capture.bpf.as_deref();
    text.map(Filter::parse).transpose().map_err(|bad| Stop::Error(bad.to_string()))
}

pub(super) fn cores() -> usize {
    std::thread::available_parallelism().map_or(1, |cores| cores.get().min(MAX_WORKERS))
}

/// Opens the outputs; `interface` stands in every record of a live run.
pub(super) fn setup(loaded: Loaded, interface: Option<String>, keeping: Keeping) -> Result<Setup, Stop> {
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
        keeping,
        community_id_seed: config.output.community_id_seed,
        sensor: Some(config.sensor.clone()),
        signatures_version: catalogue.version().to_owned(),
        is_home: Some(is_home),
        interface,
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
pub(super) fn tell(summary: &RunSummary, quiet: bool, json: bool) -> Result<(), Stop> {
    let read = summary.stats.front.frames + summary.stats.logs.as_ref().map_or(0, |logs| logs.lines);
    let nothing_read = read == 0 && !summary.faults.is_empty();
    for fault in &summary.faults {
        // Where nothing at all could be read there is no run to warn about.
        if nothing_read { error(fault) } else { warning(fault) }
    }
    summary.remarks.iter().for_each(warning);
    if json {
        print(&format!("{}\n", report::json(summary).trim_end()))
    } else if quiet || nothing_read {
        Ok(())
    } else {
        print(&report::text(summary, stdout().is_terminal()))
    }
}
