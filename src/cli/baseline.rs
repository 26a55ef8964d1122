//! `egret baseline`: what has been learned, shown, carried to another sensor, forgotten.

use super::desk::{Place, path_of};
use super::flags::Policy;
use super::load::load;
use super::messages::{Exit, Stop, print};
use super::replay::damaged;
use crate::output::report::clean;
use crate::run;
use crate::state::Store;
use crate::state::desk::written;
use crate::units::Bytes;
use clap::{Args, Subcommand};
use serde_json::{Value, json};
use std::fmt::Write as _;
use std::path::PathBuf;
use std::sync::Arc;

/// Hosts in the overview.
const SHOWN: usize = 20;

/// Flags of `egret baseline`.
#[derive(Args, Debug)]
#[command(after_long_help = "\
Examples:
  egret baseline show                      how much is known, and of which hosts most
  egret baseline show 10.1.2.3             what is usual for a host
  egret baseline export site.egret         for another sensor, or to keep
  egret baseline import site.egret
  egret baseline reset --yes")]
pub struct BaselineFlags {
    #[command(subcommand)]
    #[allow(missing_docs)]
    pub what: BaselineWhat,
}

/// What to do with the baseline.
#[derive(Subcommand, Debug)]
pub enum BaselineWhat {
    /// Say what is known, of all hosts or of one
    Show {
        /// Address or name of a host
        #[arg(value_name = "HOST")]
        host: Option<String>,
        #[command(flatten)]
        #[allow(missing_docs)]
        place: Place,
    },
    /// Write what is learned into a file of its own, without incidents and places in logs
    Export {
        /// The file; it must not be there yet
        #[arg(value_name = "FILE")]
        file: PathBuf,
        #[command(flatten)]
        #[allow(missing_docs)]
        place: Place,
    },
    /// Put what another file has learned in the place of what is known here
    Import {
        /// A file that `egret baseline export` has written, or another state file
        #[arg(value_name = "FILE")]
        file: PathBuf,
        #[command(flatten)]
        #[allow(missing_docs)]
        place: Place,
    },
    /// Forget all that is learned; incidents, silences and verdicts stay
    Reset {
        /// Yes, forget it
        #[arg(long)]
        yes: bool,
        #[command(flatten)]
        #[allow(missing_docs)]
        place: Place,
    },
}

/// `egret baseline`.
pub fn baseline(flags: &BaselineFlags) -> Result<Exit, Stop> {
    match &flags.what {
        BaselineWhat::Show { host, place } => show(host.as_deref(), place),
        BaselineWhat::Export { file, place } => export(file, place),
        BaselineWhat::Import { file, place } => import(file, place),
        BaselineWhat::Reset { yes, place } => reset(*yes, place),
    }
}

fn show(host: Option<&str>, place: &Place) -> Result<Exit, Stop> {
    let path = path_of(place)?;
    let policy = Policy { config: place.config.clone(), ..Policy::default() };
    let loaded = load(&policy, &[], |_| Ok(()))?;
    let store = Store::visit(&path).map_err(|d| damaged(&d))?;
    let detector = run::asleep(&loaded.config, Arc::new(loaded.catalogue), &store);
    let detector = detector.map_err(|error| Stop::Error(error.to_string()))?;
    let known = detector.known();
    let Some(host) = host else {
        return overview(&known, place.json);
    };
    let Some(habits) = detector.habits(host) else {
        let what = format!("nothing is known of a host '{}'", clean(host));
        return Err(Stop::Error(format!("{what}; egret baseline show names those with most destinations")));
    };
    if place.json {
        let list: Vec<Value> = habits
            .iter()
            .map(|h| {
                json!({ "destination": h.destination, "kind": h.kind, "first_day": h.first_day,
                    "last_day": h.last_day, "days": h.days, "median_bytes": h.median, "max_bytes": h.max })
            })
            .collect();
        print(&format!("{}\n", Value::from(list)))?;
        return Ok(Exit::Ran);
    }
    let mut text = format!(
        "{:<40} {:>10} {:>10} {:>5} {:>9} {:>9}\n",
        "destination", "first", "last", "days", "median", "max"
    );
    for h in habits {
        let _ = writeln!(
            text,
            "{:<40} {:>10} {:>10} {:>5} {:>9} {:>9}",
            clean(&h.destination),
            h.first_day,
            h.last_day,
            h.days,
            Bytes(h.median).to_string(),
            Bytes(h.max).to_string()
        );
    }
    print(&text)?;
    Ok(Exit::Ran)
}

fn overview(known: &crate::detect::known::Known, is_json: bool) -> Result<Exit, Stop> {
    let since = known.since.map(|at| written(at.nanos()));
    if is_json {
        let hosts: Vec<Value> = known
            .hosts
            .iter()
            .map(|h| json!({ "host": h.name, "first_day": h.first_day, "destinations": h.destinations }))
            .collect();
        let object = json!({ "since": since, "days": known.days, "destinations": known.destinations,
            "pairs": known.pairs, "hosts": hosts });
        print(&format!("{object}\n"))?;
        return Ok(Exit::Ran);
    }
    let mut text = String::new();
    let Some(since) = since else {
        print("Nothing has been learned yet.\n")?;
        return Ok(Exit::Ran);
    };
    let state = match known.days {
        0 => "not enough to judge by: what is usual decides from the second day on",
        1..14 => "learning: what is usual decides, and is not settled before 14 days",
        _ => "settled",
    };
    let _ = writeln!(text, "since        {since} ({} days): {state}", known.days);
    let _ = writeln!(text, "hosts        {}", known.hosts.len());
    let _ = writeln!(text, "destinations {}", known.destinations);
    let _ = writeln!(text, "pairs        {}", known.pairs);
    let _ = writeln!(text, "\n{:<40} {:>10} {:>12}", "host", "first", "destinations");
    for host in known.hosts.iter().take(SHOWN) {
        let _ = writeln!(text, "{:<40} {:>10} {:>12}", clean(&host.name), host.first_day, host.destinations);
    }
    print(&text)?;
    Ok(Exit::Ran)
}

fn export(file: &std::path::Path, place: &Place) -> Result<Exit, Stop> {
    let policy = Policy { config: place.config.clone(), ..Policy::default() };
    let loaded = load(&policy, &[], |_| Ok(()))?;
    let store = Store::visit(&path_of(place)?).map_err(|d| damaged(&d))?;
    let mut copy = store.copy(file).map_err(|d| damaged(&d))?;
    run::settle(&loaded.config, Arc::new(loaded.catalogue), &mut copy)
        .map_err(|error| Stop::Error(error.to_string()))?;
    copy.strip().map_err(|d| damaged(&d))?;
    print(&format!("{}\n", file.display()))?;
    Ok(Exit::Ran)
}

fn import(file: &std::path::Path, place: &Place) -> Result<Exit, Stop> {
    let path = path_of(place)?;
    let policy = Policy { config: place.config.clone(), ..Policy::default() };
    let loaded = load(&policy, &[], |_| Ok(()))?;
    let other = Store::visit(file).map_err(|d| damaged(&d))?;
    // A file is taken whole or not at all: everything in it is read first, as a run would.
    run::asleep(&loaded.config, Arc::new(loaded.catalogue), &other)
        .map_err(|error| Stop::Error(error.to_string()))?;
    drop(other);
    let mut store = Store::open(&path).map_err(|d| damaged(&d))?;
    store.import(file).map_err(|d| damaged(&d))?;
    print(&format!("{}\n", path.display()))?;
    Ok(Exit::Ran)
}

fn reset(yes: bool, place: &Place) -> Result<Exit, Stop> {
    let path = path_of(place)?;
    if !yes {
        let what = format!("{}: this forgets all that was learned", path.display());
        return Err(Stop::Error(format!("{what}; export it first (egret baseline export), then give --yes")));
    }
    if !path.exists() {
        return Err(Stop::Error(format!("{}: there is no such state file; give --state", path.display())));
    }
    let mut store = Store::open(&path).map_err(|d| damaged(&d))?;
    store.forget().map_err(|d| damaged(&d))?;
    print(&format!("{}: nothing is known any more\n", path.display()))?;
    Ok(Exit::Ran)
}
