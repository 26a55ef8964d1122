//! `egret whatif`: the same logs, or the incidents of a state file, under two configurations, and which alerts come and
//! go.

use super::flags::Policy;
use super::load::{Loaded, load};
use super::messages::{Exit, Stop, print, warning};
use super::replay::damaged;
use crate::output::file::{OutputConfig, Outputs};
use crate::output::report::clean;
use crate::output::{IncidentRecord, RunSummary, Severity};
use crate::run::{self, LogSetup, Setup};
use crate::state::Store;
use crate::units::Bytes;
use clap::Args;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Flags of `egret whatif`.
#[derive(Args, Debug)]
#[command(after_long_help = "\
Reads logs (those that `egret logs` reads, Egret's own eve.json among them) twice: with the configuration in force, and
with a changed one. Says which alerts the change would bring and which it would take away, and how many a day there are.
With --state and no logs, the incidents of a state file are graded anew, those of low severity too: at once, but what no
incident was made of cannot come.

Examples:
  egret whatif -c egret.toml --change detect.alert_budget=0.5 /opt/zeek/logs/2026-01-*/
  egret whatif -c egret.toml --with egret.new.toml eve.json
  egret whatif --state egret.db --change detect.alert_budget=0.5")]
pub struct WhatifFlags {
    /// Logs, as for `egret logs`
    #[arg(required_unless_present = "state", value_name = "FILE")]
    pub files: Vec<PathBuf>,

    /// Grade the incidents of a state file instead
    #[arg(long, value_name = "FILE", conflicts_with = "files")]
    pub state: Option<PathBuf>,

    #[command(flatten)]
    #[allow(missing_docs)]
    pub policy: Policy,

    /// The changed configuration [default: the one in force]
    #[arg(long, value_name = "FILE", required_unless_present = "change")]
    pub with: Option<PathBuf>,

    /// A key to change, for example detect.alert_budget=0.5 (repeatable)
    #[arg(long, value_name = "KEY=VALUE")]
    pub change: Vec<String>,

    /// Print JSON
    #[arg(long)]
    pub json: bool,
}

/// What an alert is about: host, destination, lane.
type About = (String, String, String);

/// What one configuration finds.
struct Side {
    alerts: BTreeMap<About, (Severity, u64)>,
    days: f64,
    faults: bool,
}

/// `egret whatif`.
pub fn whatif(flags: &WhatifFlags) -> Result<Exit, Stop> {
    let changed = Policy {
        config: flags.with.clone().or_else(|| flags.policy.config.clone()),
        set: flags.policy.set.iter().chain(&flags.change).cloned().collect(),
        ..Policy { set: Vec::new(), config: None, ..copy(&flags.policy) }
    };
    // Both are read before anything runs: a slip in the second must not cost the run of the first.
    let loaded = [load(&flags.policy, &[], |_| Ok(()))?, load(&changed, &[], |_| Ok(()))?];
    let (before, after) = match &flags.state {
        Some(state) => graded(loaded, state)?,
        None => {
            let [before, after] = loaded.map(|loaded| side(loaded, &flags.files));
            (before?, after?)
        }
    };
    print(&if flags.json { as_json(&before, &after) } else { in_words(&before, &after) })?;
    Ok(if before.faults || after.faults { Exit::Faulty } else { Exit::Ran })
}

fn copy(policy: &Policy) -> Policy {
    Policy {
        config: policy.config.clone(),
        set: policy.set.clone(),
        signatures: policy.signatures.clone(),
        asn_db: policy.asn_db.clone(),
        city_db: policy.city_db.clone(),
    }
}

/// Runs logs through a configuration; nothing is written.
fn side(loaded: Loaded, files: &[PathBuf]) -> Result<Side, Stop> {
    let Loaded { config, catalogue, .. } = loaded;
    let none = OutputConfig { kinds: Vec::new(), ..OutputConfig::default() };
    let outputs = Outputs::new(&none).map_err(|error| Stop::Error(error.to_string()))?;
    let setup = Setup { config, catalogue: Arc::new(catalogue), outputs };
    let setup = LogSetup { setup, echo: false, stop: Arc::default() };
    let summary = run::logs(setup, files, &mut |_, _| {}).map_err(|error| Stop::Error(error.to_string()))?;
    summary.faults.iter().for_each(warning);
    Ok(of(&summary))
}

/// The incidents of a state file: as they are, and as they would be.
fn graded([before, after]: [Loaded; 2], state: &Path) -> Result<(Side, Side), Stop> {
    let store = Store::visit(state).map_err(|d| damaged(&d))?;
    let incidents = store.incidents(false, None).map_err(|d| damaged(&d))?;
    let budget = before.config.detect.alert_budget;
    let asleep = run::asleep(&after.config, Arc::new(after.catalogue), &store);
    let mut detector = asleep.map_err(|error| Stop::Error(error.to_string()))?;
    let known = detector.known();
    let days = f64::from(known.days.max(1));
    let (mut old, mut new) = (BTreeMap::new(), BTreeMap::new());
    for incident in incidents {
        let record: Value = serde_json::from_str(&incident.record).unwrap_or_default();
        let to =
            [&incident.service, &incident.name].into_iter().flatten().next().cloned().unwrap_or_default();
        let about = (incident.host.clone().unwrap_or_default(), to, incident.lane.clone());
        let put = |side: &mut BTreeMap<About, (Severity, u64)>, severity: Option<Severity>| {
            if let Some(severity) = severity.filter(|s| *s > Severity::Low) {
                let slot = side.entry(about.clone()).or_insert((severity, 0));
                *slot = (slot.0.max(severity), slot.1.max(incident.up_bytes));
            }
        };
        put(&mut old, Severity::of_word(&incident.severity));
        put(&mut new, detector.regrade(&record, &budget));
    }
    let side = |alerts| Side { alerts, days, faults: false };
    Ok((side(old), side(new)))
}

fn of(summary: &RunSummary) -> Side {
    let mut alerts = BTreeMap::new();
    for incident in summary.incidents.iter().filter(|i| i.severity > Severity::Low) {
        let slot = alerts.entry(about(incident)).or_insert((incident.severity, 0));
        *slot = (slot.0.max(incident.severity), slot.1.max(incident.up_bytes));
    }
    let days = summary.span.map_or(0.0, |(first, last)| last.since(first).as_secs_f64() / 86_400.0);
    Side { alerts, days: days.max(1.0), faults: !summary.faults.is_empty() }
}

fn about(i: &IncidentRecord) -> About {
    let host = i.identity.host.as_ref().map_or_else(|| i.ends.originator.to_string(), |h| h.ip.to_string());
    let class = i.identity.class.as_ref().map(|c| c.service_name.to_string());
    let to = class.or_else(|| i.identity.name.as_ref().map(ToString::to_string));
    (host, to.unwrap_or_else(|| i.ends.responder.to_string()), i.lane.to_owned())
}

/// Alerts that come (true) or go, and those whose severity changes.
fn changes<'s>(before: &'s Side, after: &'s Side) -> Vec<(&'static str, &'s About, Severity, u64)> {
    let mut list = Vec::new();
    for (about, (severity, bytes)) in &after.alerts {
        match before.alerts.get(about) {
            None => list.push(("comes", about, *severity, *bytes)),
            Some((old, _)) if old < severity => list.push(("rises", about, *severity, *bytes)),
            Some((old, _)) if old > severity => list.push(("falls", about, *severity, *bytes)),
            Some(_) => {}
        }
    }
    let gone = before.alerts.iter().filter(|(about, _)| !after.alerts.contains_key(*about));
    list.extend(gone.map(|(about, (severity, bytes))| ("goes", about, *severity, *bytes)));
    list
}

fn in_words(before: &Side, after: &Side) -> String {
    let mut text = String::new();
    let changes = changes(before, after);
    for (what, (host, to, lane), severity, bytes) in &changes {
        let _ = writeln!(
            text,
            "{what:5}  {:8}  {:>9}  {host} -> {} ({lane})",
            severity.as_str(),
            Bytes(*bytes).to_string(),
            clean(to)
        );
    }
    if changes.is_empty() {
        text.push_str("The same alerts.\n");
    }
    let (old, new) = (before.alerts.len(), after.alerts.len());
    let _ = writeln!(
        text,
        "{old} alerts in {:.1} days ({:.2} a day) as it is, {new} ({:.2} a day) with the change",
        before.days,
        old as f64 / before.days,
        new as f64 / after.days
    );
    text
}

fn as_json(before: &Side, after: &Side) -> String {
    let list: Vec<Value> = changes(before, after)
        .into_iter()
        .map(|(what, (host, to, lane), severity, bytes)| {
            json!({ "change": what, "host": host, "destination": to, "lane": lane,
                "severity": severity.as_str(), "up_bytes": bytes })
        })
        .collect();
    let side = |s: &Side| json!({ "alerts": s.alerts.len(), "per_day": s.alerts.len() as f64 / s.days });
    let object =
        json!({ "days": before.days, "before": side(before), "after": side(after), "changes": list });
    format!("{object}\n")
}
