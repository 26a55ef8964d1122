//! `egret incidents`, `show`, `silence` and `verdict`: what was found, read and judged, from the state file.

use super::messages::{Exit, Stop, print, warning};
use super::replay::damaged;
use crate::config::Loader;
use crate::output::report;
use crate::state::desk::{Found, Kept, Listed, written};
use crate::state::policy::Silence;
use crate::state::{Damage, Store};
use crate::strict::shown;
use crate::units::{Bytes, Span, Timestamp};
use clap::Args;
use serde_json::{Value, json};
use std::fmt::Write as _;
use std::io::{IsTerminal as _, stdout};
use std::path::PathBuf;
use std::time::{SystemTime, UNIX_EPOCH};

/// Where the state file is.
#[derive(Args, Debug, Default)]
pub struct Place {
    /// State file [default: that of the configuration, else egret.db in the directory for logs]
    #[arg(long, value_name = "FILE")]
    pub state: Option<PathBuf>,

    /// Configuration file (TOML)
    #[arg(short, long, value_name = "FILE")]
    pub config: Option<PathBuf>,

    /// Directory for logs [default: egret-out]
    #[arg(short, long, value_name = "DIR")]
    pub out: Option<PathBuf>,

    /// Print JSON
    #[arg(long)]
    pub json: bool,
}

/// Flags of `egret incidents`.
#[derive(Args, Debug)]
#[command(after_long_help = "\
Examples:
  egret incidents --open
  egret incidents --since 24h --json
  egret incidents --since 2026-01-31T06:00:00 -o /var/log/egret")]
pub struct IncidentsFlags {
    /// Only those that go on
    #[arg(long)]
    pub open: bool,

    /// Only those with news since then: a time (UTC), or how long ago by the state's clock, for example 24h
    #[arg(long, value_name = "T")]
    pub since: Option<String>,

    /// Those of low severity as well: they are for the log
    #[arg(long)]
    pub low: bool,

    #[command(flatten)]
    #[allow(missing_docs)]
    pub place: Place,
}

/// Flags of `egret show`.
#[derive(Args, Debug)]
pub struct ShowFlags {
    /// Id of the incident, or its last four letters or more
    #[arg(value_name = "ID")]
    pub id: String,

    #[command(flatten)]
    #[allow(missing_docs)]
    pub place: Place,
}

/// Flags of `egret silence`.
#[derive(Args, Debug)]
#[command(after_long_help = "\
Silences what the incident was about and nothing else: this host to this destination of this service, up to so many
bytes in 24 hours, until a day. What is silenced is still booked and still told, with low severity, and counted.

Examples:
  egret silence 7Q2K --for 7d --budget 2GB --reason \"move of the archive, ticket 4711\" --owner it@contoso.example
  egret silence                       lists silences, and how often each was hit
  egret silence --end 3")]
pub struct SilenceFlags {
    /// Id of the incident, or its last four letters or more; without it, silences are listed
    #[arg(value_name = "ID", requires_all = ["lasts", "budget", "reason", "owner"])]
    pub id: Option<String>,

    /// How long it holds, 90 days at most, for example 7d
    #[arg(long = "for", value_name = "TIME", id = "lasts")]
    pub lasts: Option<Span>,

    /// Bytes out in 24 h up to which it holds, for example 2GB
    #[arg(long, value_name = "SIZE")]
    pub budget: Option<Bytes>,

    /// Why
    #[arg(long, value_name = "TEXT")]
    pub reason: Option<String>,

    /// Who answers for it
    #[arg(long, value_name = "WHO")]
    pub owner: Option<String>,

    /// End a silence, by its number
    #[arg(long, value_name = "NUMBER", conflicts_with = "id")]
    pub end: Option<i64>,

    #[command(flatten)]
    #[allow(missing_docs)]
    pub place: Place,
}

/// Flags of `egret verdict`.
#[derive(Args, Debug)]
pub struct VerdictFlags {
    /// Id of the incident, or its last four letters or more
    #[arg(value_name = "ID")]
    pub id: String,

    /// true: it was an exfiltration; false: it was nothing; benign: as it was told, and wanted
    #[arg(value_name = "VERDICT", value_parser = ["true", "false", "benign"])]
    pub verdict: String,

    /// Why
    #[arg(long, value_name = "TEXT", default_value = "")]
    pub reason: String,

    /// Who says so
    #[arg(long, value_name = "WHO", default_value = "")]
    pub owner: String,

    #[command(flatten)]
    #[allow(missing_docs)]
    pub place: Place,
}

/// The longest silence: what is to hold longer belongs into the allow-list of the configuration.
const LONGEST: Span = Span::from_secs(90 * 86_400);

/// The path of the state file.
pub(super) fn path_of(place: &Place) -> Result<PathBuf, Stop> {
    if let Some(state) = &place.state {
        return Ok(state.clone());
    }
    let mut loader = Loader::new();
    if let Some(path) = &place.config {
        loader.file(path);
    }
    let (config, warnings) = loader.finish().map_err(Stop::Faults)?;
    warnings.iter().for_each(warning);
    let out = place.out.clone().unwrap_or(config.output.dir);
    Ok(config.state.unwrap_or_else(|| out.join("egret.db")))
}

fn open(place: &Place) -> Result<Store, Stop> {
    Store::visit(&path_of(place)?).map_err(stop)
}

#[allow(clippy::needless_pass_by_value)] // as `map_err` hands it over
fn stop(damage: Damage) -> Stop {
    damaged(&damage)
}

/// `egret incidents`.
pub fn incidents(flags: &IncidentsFlags) -> Result<Exit, Stop> {
    let store = open(&flags.place)?;
    let since = flags.since.as_deref().map(|since| since_of(since, &store)).transpose()?;
    let mut all = store.incidents(flags.open, since.as_deref()).map_err(stop)?;
    let before = all.len();
    if !flags.low {
        all.retain(|i| i.severity != "low");
    }
    if flags.place.json {
        let list: Vec<Value> = all.iter().map(as_json).collect();
        print(&format!("{}\n", Value::from(list)))?;
        return Ok(Exit::Ran);
    }
    let mut text = String::new();
    for i in &all {
        let host = i.host_name.as_deref().or(i.host.as_deref()).unwrap_or("?");
        let to = i.name.as_deref().or(i.service.as_deref()).unwrap_or("?");
        let _ = writeln!(
            text,
            "{}  {:8} {:>9}  {} -> {}{}{}  {}",
            i.opened,
            i.severity,
            Bytes(i.so_far.unwrap_or(i.up_bytes)).to_string(),
            report::clean(host),
            report::clean(to),
            if i.open { "" } else { ", over" },
            i.verdict.as_ref().map_or(String::new(), |v| format!(", {v}")),
            report::clean(&i.id)
        );
    }
    match (all.len(), before - all.len()) {
        (0, 0) => text.push_str("No incidents.\n"),
        (0, low) => {
            let _ = writeln!(text, "No incidents above low severity; {low} of low severity (--low).");
        }
        (_, 0) => {}
        (_, low) => {
            let _ = writeln!(text, "({low} of low severity: --low)");
        }
    }
    print(&text)?;
    Ok(Exit::Ran)
}

fn as_json(i: &Listed) -> Value {
    let mut object = json!({
        "id": i.id, "opened": i.opened, "updated": i.updated, "open": i.open, "severity": i.severity,
        "lane": i.lane, "up_bytes": i.so_far.unwrap_or(i.up_bytes), "text": i.text,
    });
    let texts = [
        ("host", &i.host),
        ("host_name", &i.host_name),
        ("name", &i.name),
        ("service", &i.service),
        ("verdict", &i.verdict),
    ];
    if let Some(map) = object.as_object_mut() {
        for (key, value) in texts {
            // What is unknown is absent, as in every record.
            map.extend(value.clone().map(|value| (key.to_owned(), Value::from(value))));
        }
    }
    object
}

/// `--since`: a time, or how long before the clock of the state.
fn since_of(text: &str, store: &Store) -> Result<String, Stop> {
    if let Ok(span) = text.parse::<Span>() {
        let now = store.now().map_err(stop)?.unwrap_or_else(wall);
        return Ok(written(now.nanos().saturating_sub(span.nanos())));
    }
    let at = crate::history::value::time(text.as_bytes())
        .or_else(|| crate::history::value::time(format!("{text}T00:00:00").as_bytes()));
    at.map(|at| written(at.nanos())).ok_or_else(|| {
        let what = format!("--since: '{}' is no time", shown(text));
        Stop::Error(format!("{what}; write for example 24h, 2026-01-31 or 2026-01-31T06:00:00"))
    })
}

/// Today, for what is judged now.
fn wall() -> Timestamp {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Timestamp::new(since.as_secs() as i64, 0)
}

fn find(store: &Store, id: &str) -> Result<Listed, Stop> {
    match store.incident(id).map_err(stop)? {
        Found::One(incident) => Ok(*incident),
        Found::None => Err(Stop::Error(format!(
            "there is no incident '{}'; egret incidents --low lists them",
            shown(id)
        ))),
        Found::Several(ids) => {
            Err(Stop::Error(format!("'{}' ends several ids; give more of it: {}", shown(id), ids.join(", "))))
        }
    }
}

/// `egret show`.
pub fn show(flags: &ShowFlags) -> Result<Exit, Stop> {
    let store = open(&flags.place)?;
    let incident = find(&store, &flags.id)?;
    if flags.place.json {
        print(&format!("{}\n", incident.record))?;
        return Ok(Exit::Ran);
    }
    let silences = store.silences().map_err(stop)?;
    let of_it: Vec<&Kept> = silences.iter().filter(|s| s.incident == incident.id).collect();
    let record: Value = serde_json::from_str(&incident.record).unwrap_or_default();
    let mut text = report::incident(&record, stdout().is_terminal());
    if let Some(bytes) = incident.so_far {
        let _ = writeln!(text, "  so far            {} out, not yet in a record", Bytes(bytes));
    }
    if let Some(verdict) = &incident.verdict {
        let _ = writeln!(text, "  verdict           {}", report::clean(verdict));
    }
    for kept in of_it {
        let _ = writeln!(text, "  silenced          {}", silence_line(kept));
    }
    print(&text)?;
    Ok(Exit::Ran)
}

fn silence_line(kept: &Kept) -> String {
    let s = &kept.silence;
    let host = s.host.map_or_else(|| "any host".to_owned(), |h| h.to_string());
    let to = [s.name.as_deref(), s.service.as_deref()].into_iter().flatten().collect::<Vec<_>>().join(", ");
    let hits = match &kept.last_hit {
        Some(last) => format!("hit {} times, last {last}", kept.hits),
        None => "never hit".to_owned(),
    };
    format!(
        "{}: {host} -> {} up to {} a day until {}, {hits}; {}: {}",
        s.number,
        report::clean(&to),
        s.budget,
        written(s.expires.nanos()),
        report::clean(&s.owner),
        report::clean(&s.reason)
    )
}

fn silence_json(kept: &Kept) -> Value {
    let s = &kept.silence;
    let mut object = json!({
        "number": s.number, "incident": kept.incident, "budget_bytes": s.budget.0,
        "expires": written(s.expires.nanos()), "owner": s.owner, "reason": s.reason, "hits": kept.hits,
    });
    let texts = [
        ("host", s.host.map(|h| h.to_string())),
        ("service", s.service.clone()),
        ("name", s.name.clone()),
        ("last_hit", kept.last_hit.clone()),
    ];
    if let Some(map) = object.as_object_mut() {
        for (key, value) in texts {
            map.extend(value.map(|value| (key.to_owned(), Value::from(value))));
        }
    }
    object
}

/// `egret silence`.
pub fn silence(flags: &SilenceFlags) -> Result<Exit, Stop> {
    let mut store = open(&flags.place)?;
    let now = store.now().map_err(stop)?.map_or_else(wall, |now| now.max(wall()));
    if let Some(number) = flags.end
        && !store.end_silence(number, now).map_err(stop)?
    {
        return Err(Stop::Error(format!("there is no silence {number}; egret silence lists them")));
    }
    let mut only = None;
    if let (Some(id), Some(lasts), Some(budget)) = (&flags.id, flags.lasts, flags.budget) {
        only = Some(add(&mut store, id, lasts, budget, flags, now)?);
    }
    let all = store.silences().map_err(stop)?;
    let chosen: Vec<&Kept> = all.iter().filter(|s| only.is_none_or(|n| s.silence.number == n)).collect();
    if flags.place.json {
        let list: Vec<Value> = chosen.iter().map(|kept| silence_json(kept)).collect();
        print(&format!("{}\n", Value::from(list)))?;
        return Ok(Exit::Ran);
    }
    let mut text: String = chosen.iter().flat_map(|kept| [silence_line(kept), "\n".to_owned()]).collect();
    if chosen.is_empty() {
        text.push_str("No silences.\n");
    }
    print(&text)?;
    Ok(Exit::Ran)
}

fn add(
    store: &mut Store,
    id: &str,
    lasts: Span,
    budget: Bytes,
    flags: &SilenceFlags,
    now: Timestamp,
) -> Result<i64, Stop> {
    if lasts > LONGEST || lasts.nanos() == 0 {
        let cure = "what is to hold longer belongs into the allow-list of site.toml";
        return Err(Stop::Error(format!("--for: a silence holds 90 days at most; {cure}")));
    }
    if budget.0 == 0 {
        return Err(Stop::Error("--budget: 0 bytes silence nothing; give for example 2GB".to_owned()));
    }
    let incident = find(store, id)?;
    let silence = Silence {
        number: 0,
        host: incident.host.as_deref().and_then(|h| h.parse().ok()),
        service: incident.service.clone(),
        name: incident.name.clone(),
        budget,
        expires: now.plus(lasts),
        owner: flags.owner.clone().unwrap_or_default(),
        reason: flags.reason.clone().unwrap_or_default(),
    };
    if silence.host.is_none() && silence.name.is_none() {
        let what = "the incident names neither a host nor a destination: there is nothing narrow to silence";
        return Err(Stop::Error(what.to_owned()));
    }
    store.silence(&incident.id, &silence, now).map_err(stop)
}

/// `egret verdict`.
pub fn verdict(flags: &VerdictFlags) -> Result<Exit, Stop> {
    let mut store = open(&flags.place)?;
    let incident = find(&store, &flags.id)?;
    let now = store.now().map_err(stop)?.map_or_else(wall, |now| now.max(wall()));
    store.judge(&incident.id, &flags.verdict, &flags.owner, &flags.reason, now).map_err(stop)?;
    print(&if flags.place.json {
        format!("{}\n", json!({ "id": incident.id, "verdict": flags.verdict }))
    } else {
        format!("{}: {}\n", report::clean(&incident.id), flags.verdict)
    })?;
    Ok(Exit::Ran)
}
