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
use crate::state::journal::Journal;
use crate::state::{Damage, Store};
use crate::strict::Fault;
use indicatif::{ProgressBar, ProgressStyle};
use std::io::{IsTerminal, stderr, stdout};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

/// More threads than this help nobody.
const MAX_WORKERS: usize = 64;

/// `egret replay`.
pub fn replay(flags: &ReplayFlags) -> Result<Exit, Stop> {
    let workers = flags.workers.map_or_else(cores, usize::from);
    run(&flags.common, workers, flags.bpf.as_deref(), true, |setup, progress| {
        run::replay(setup, &flags.files, progress)
    })
}

/// `egret logs`.
pub fn logs(flags: &LogsFlags) -> Result<Exit, Stop> {
    run(&flags.common, 1, None, false, |setup, progress| {
        let stop = Arc::new(AtomicBool::new(false));
        stop_on_signals(&setup, &stop);
        run::logs(LogSetup { setup, echo: flags.echo, stop }, &flags.files, progress)
    })
}

/// SIGINT and SIGTERM end a run over logs that has a state file at a place where the next one goes on; a second one ends
/// the program at once. Without a state there is nothing to leave in order.
fn stop_on_signals(setup: &Setup, stop: &Arc<AtomicBool>) {
    #[cfg(target_os = "linux")]
    if setup.config.state.is_some() {
        // Where signals cannot be caught, they end the program, and the state is that of the last checkpoint.
        let _ = run::live::stop_on_signals(stop);
    }
    #[cfg(not(target_os = "linux"))]
    let _ = (setup, stop);
}

/// Runs traffic through the detector and says what came of it.
fn run(
    flags: &Common,
    workers: usize,
    bpf: Option<&str>,
    deferred: bool,
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
    let setup = setup(loaded, None, Keeping::Replace, deferred)?;
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
pub(super) fn apply(flags: &Common, workers: usize, config: &mut Config) -> Result<(), Fault> {
    if let Some(dir) = &flags.out {
        config.output.dir.clone_from(dir);
    }
    config.seed = flags.seed.unwrap_or(config.seed);
    config.workers = workers;
    config.endpoint.logs.extend(flags.endpoint_log.iter().cloned());
    config.endpoint.context.extend(flags.context_log.iter().cloned());
    config.state = flags.state.clone().or(config.state.take());
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
/// `deferred`: incidents count at the end of the run only.
pub(super) fn setup(
    loaded: Loaded,
    interface: Option<String>,
    keeping: Keeping,
    deferred: bool,
) -> Result<Setup, Stop> {
    let Loaded { config, catalogue, .. } = loaded;
    let home = config.home_net.clone().unwrap_or_else(default_home);
    let is_home: IsHome = Arc::new(move |ip| home.contains(ip));
    let kinds = file::kinds(&config.output.kinds.join(",")).map_err(Stop::Error)?;
    let state = state(&config)?;
    // A run that goes on where another ended adds to its logs.
    let goes_on = keeping == Keeping::Replace && state.as_ref().is_some_and(|store| !store.is_new());
    let keeping = if goes_on { Keeping::Append } else { keeping };
    let output = file::OutputConfig {
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
        pseudonyms: config.privacy.pseudonyms().map_err(Stop::Error)?,
        interface,
        ..file::OutputConfig::default()
    };
    let journal = journal(state, deferred, &output)?;
    let outputs = Outputs::new(&output).map_err(|error| {
        // The error names the path.
        Stop::Error(format!("{error}; logs cannot be written there, give another directory with --out"))
    })?;
    let outputs = match journal {
        Some(journal) => outputs.with_journal(journal),
        None => outputs,
    };
    Ok(Setup { config, catalogue: Arc::new(catalogue), outputs })
}

/// Opens the state file, if there is to be one.
fn state(config: &Config) -> Result<Option<Store>, Stop> {
    if config.state.as_deref().and_then(Path::parent) == Some(config.output.dir.as_path()) {
        // That it cannot be made shows when the state is opened.
        let _ = std::fs::create_dir_all(&config.output.dir);
    }
    config.state.as_deref().map(Store::open).transpose().map_err(|damage| damaged(&damage))
}

fn journal(
    state: Option<Store>,
    deferred: bool,
    output: &file::OutputConfig,
) -> Result<Option<Journal>, Stop> {
    let Some(store) = state else { return Ok(None) };
    let mut journal = Journal::new(store, deferred, output.clone());
    journal.settle_earlier(&output.dir).map_err(|damage| damaged(&damage))?;
    Ok(Some(journal))
}

/// A state file that cannot be used.
pub(super) fn damaged(damage: &Damage) -> Stop {
    Stop::Error(damage.to_string())
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
