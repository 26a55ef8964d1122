//! `egret selftest`: a built-in capture through the whole pipeline with the site's own configuration, to the real
//! outputs. Needs no rights: the frames are made in memory.

use super::flags::Policy;
use super::load::{Loaded, load};
use super::messages::{Exit, Stop, print};
use super::replay::setup;
use crate::capture::sample;
use crate::net::Cidr;
use crate::output::file::Keeping;
use crate::output::{IncidentRecord, RunSummary};
use crate::run;
use clap::Args;
use serde_json::json;
use std::fmt::Write as _;
use std::path::PathBuf;

/// Flags of `egret selftest`.
#[derive(Args, Debug)]
#[command(after_long_help = "\
A host uploads 20 MB to a drive in captured frames that Egret makes itself. They go through reading, decoding, naming,
detection and every configured output, into the folder selftest of the directory for logs. The state is not touched.

Exit status: 0 when every step did what it must, 1 when one did not, 2 when it could not run.

Examples:
  egret selftest
  egret selftest -c /etc/egret/egret.toml -o /var/log/egret --json")]
pub struct SelftestFlags {
    #[command(flatten)]
    #[allow(missing_docs)]
    pub policy: Policy,

    /// Directory for logs; the test writes into selftest below it [default: egret-out]
    #[arg(short, long, value_name = "DIR")]
    pub out: Option<PathBuf>,

    /// Print JSON
    #[arg(long)]
    pub json: bool,
}

/// A step, whether it did what it must, and what was seen.
type Step = (&'static str, bool, String);

/// `egret selftest`.
pub fn selftest(flags: &SelftestFlags) -> Result<Exit, Stop> {
    let loaded = load(&flags.policy, &[], |config| {
        let dir = flags.out.clone().unwrap_or_else(|| config.output.dir.clone());
        config.output.dir = dir.join("selftest");
        config.workers = 2;
        config.state = None;
        Ok(())
    })?;
    let home = loaded.config.home_net.as_ref().and_then(|nets| nets.iter().next().map(Cidr::addr));
    let monitors = loaded.config.detect.monitored_services.is_empty();
    let Loaded { config, catalogue, warnings, keys_set } = loaded;
    let setup = setup(Loaded { config, catalogue, warnings, keys_set }, None, Keeping::Replace, false)?;
    let kinds = setup.config.output.kinds.clone();
    let mut source = sample::Sample::new(home);
    let summary = run::run(setup, &mut source, &mut |_, _| {});
    let summary = summary.map_err(|error| Stop::Error(error.to_string()))?;
    let steps = steps(&summary, &kinds, monitors);
    let good = steps.iter().all(|step| step.1);
    print(&if flags.json { as_json(&steps, good) } else { in_words(&steps, good, &summary) })?;
    Ok(if good { Exit::Ran } else { Exit::Alerts })
}

fn steps(summary: &RunSummary, kinds: &[&str], monitors: bool) -> Vec<Step> {
    let stats = &summary.stats;
    let found = summary.incidents.iter().find(|i| i.identity.name.as_deref() == Some(sample::NAME));
    let mut steps = vec![
        ("frames read", stats.front.frames == sample::FRAMES, format!("{} frames", stats.front.frames)),
        (
            "frames decoded",
            stats.front.decoded == stats.front.frames,
            format!("{} packets", stats.front.decoded),
        ),
        ("flow closed", stats.total().closed == 1, format!("{} flows", stats.total().closed)),
        (
            "bytes counted",
            summary.home_bytes.up >= sample::UPLOADED,
            format!("{} bytes out", summary.home_bytes.up),
        ),
    ];
    let detected = match found {
        Some(incident) => (true, format!("{}, {}", incident.severity.as_str(), incident.text)),
        None if !monitors => (true, "not looked for: monitored_services leaves the service out".to_owned()),
        None => (false, format!("no incident about {}", sample::NAME)),
    };
    steps.push(("incident raised", detected.0, detected.1));
    for kind in kinds {
        let (good, what) = written(summary, kind, found);
        steps.push(("output written", good, what));
    }
    steps
}

/// Whether the incident stands in the files of an output.
fn written(summary: &RunSummary, kind: &str, found: Option<&IncidentRecord>) -> (bool, String) {
    let files = if kind == "eve" { ["eve.json", "egret.json"] } else { ["notice.log", "egret.log"] };
    let Some(incident) = found else { return (true, format!("{kind}: nothing to write")) };
    for path in &summary.files {
        let is_one = path.file_name().is_some_and(|name| files.iter().any(|file| name == *file));
        if is_one && std::fs::read_to_string(path).is_ok_and(|text| text.contains(&incident.id)) {
            return (true, format!("{kind}: {}", path.display()));
        }
    }
    (false, format!("{kind}: the incident is in none of {}", files.join(", ")))
}

fn in_words(steps: &[Step], good: bool, summary: &RunSummary) -> String {
    let mut text = String::new();
    for (what, good, seen) in steps {
        let _ = writeln!(text, "{:4}  {what:<16} {seen}", if *good { "ok" } else { "FAIL" });
    }
    let dir = summary.files.first().and_then(|path| path.parent()).map(|dir| dir.display().to_string());
    let _ = match (good, dir) {
        (true, Some(dir)) => {
            writeln!(text, "Everything works. The records are in {dir}; remove it when you like.")
        }
        (true, None) => writeln!(text, "Everything works. No output is configured."),
        (false, _) => writeln!(text, "Something does not work; please report this with your configuration."),
    };
    text
}

fn as_json(steps: &[Step], good: bool) -> String {
    let list: Vec<_> =
        steps.iter().map(|(what, good, seen)| json!({ "step": what, "ok": good, "seen": seen })).collect();
    format!("{}\n", json!({ "ok": good, "steps": list }))
}
