//! Commands and flags as they are written on the command line.

use super::baseline::BaselineFlags;
use super::desk::{IncidentsFlags, ShowFlags, SilenceFlags, VerdictFlags};
#[cfg(live)]
use super::live::LiveFlags;
use super::messages::Stop;
use super::selftest::SelftestFlags;
use super::whatif::WhatifFlags;
use crate::config::EndpointInput;
use crate::net::Cidr;
use clap::error::ErrorKind;
use clap::{Args, CommandFactory, Parser, Subcommand};
use std::ffi::OsString;
use std::path::PathBuf;

const EXAMPLES: &str = "\
Examples:
  egret replay capture.pcap            what left the network, and what of it is an alert
  egret replay -o logs --log eve,zeek-tsv day/*.pcap.gz
  egret check -c egret.toml            what is in force, or everything that is wrong
  egret services content.dropboxapi.com";

/// Says which host carries data out to a web service, how much, while it is still happening.
///
/// Egret reads network traffic, finds the web service behind each connection, adds up what each host uploads to it,
/// and raises an explained alert when that crosses a level (MITRE ATT&CK T1567, Exfiltration Over Web Service).
#[derive(Parser, Debug)]
#[command(name = "egret", version, after_long_help = EXAMPLES, max_term_width = 100)]
#[command(subcommand_required = true, arg_required_else_help = true, disable_help_subcommand = true)]
struct Flags {
    #[command(subcommand)]
    command: Command,
}

/// What to do.
#[derive(Subcommand, Debug)]
pub enum Command {
    /// Read captures and say what left the network.
    Replay(Box<ReplayFlags>),
    /// Capture from interfaces and say what leaves the network, until stopped.
    #[cfg(live)]
    Live(Box<LiveFlags>),
    /// List the interfaces, and whether they can be captured from.
    #[cfg(live)]
    Interfaces,
    /// Read flow logs of Zeek or Suricata instead of packets.
    Logs(Box<LogsFlags>),
    /// List incidents.
    Incidents(IncidentsFlags),
    /// Show an incident on one screen.
    Show(ShowFlags),
    /// Silence what an incident is about, as narrowly as possible; without an id, list silences.
    Silence(SilenceFlags),
    /// Say what an incident was: true, false or benign.
    Verdict(VerdictFlags),
    /// Show, carry over or forget what has been learned.
    Baseline(BaselineFlags),
    /// Say which alerts a change of the configuration brings and takes away.
    Whatif(WhatifFlags),
    /// Send a built-in capture through the pipeline to the configured outputs.
    Selftest(SelftestFlags),
    /// Print the JSON schema of the object `egret` in records.
    Schema,
    /// Check configuration and signatures, and say what is in force.
    Check(CheckFlags),
    /// List the monitored services, or say how a host name is classified.
    Services(ServicesFlags),
    /// Print completions for a shell.
    Completions(CompletionsFlags),
}

/// What decides how traffic is judged.
#[derive(Args, Debug, Default)]
pub struct Policy {
    /// Configuration file (TOML); `egret check --print-default` prints one
    #[arg(short, long, value_name = "FILE")]
    pub config: Option<PathBuf>,

    /// Set a configuration key, for example detect.time_window=12h (repeatable)
    ///
    /// Wins over the file; flags win over it. The value is read as TOML, or where it is none as a string.
    #[arg(long, value_name = "KEY=VALUE")]
    pub set: Vec<String>,

    /// Directory of signature files in place of those built in
    #[arg(long, value_name = "DIR")]
    pub signatures: Option<PathBuf>,

    /// Autonomous systems of addresses, in MaxMind's format
    #[arg(long, value_name = "FILE")]
    pub asn_db: Option<PathBuf>,

    /// Countries and cities of addresses, in MaxMind's format
    #[arg(long, value_name = "FILE")]
    pub city_db: Option<PathBuf>,
}

/// Flags of `egret replay`.
#[derive(Args, Debug)]
#[command(after_long_help = "\
Exit status:
  0  ran
  1  ran, there are alerts, and --fail-on-alert was given
  2  could not run, or input was unreadable (what could be read has been used)

Examples:
  egret replay capture.pcap
  zstdcat big.pcap.zst | egret replay -
  egret replay -c egret.toml --home-net 10.0.0.0/8,2001:db8::/32 -o logs captures/
  egret replay --json --fail-on-alert capture.pcap")]
pub struct ReplayFlags {
    /// Captures: pcap or pcapng, plain, .gz or .zst; a directory; `-` for standard input
    ///
    /// Several captures are merged in the order of time. A directory stands for the captures in it.
    #[arg(required = true, value_name = "FILE")]
    pub files: Vec<PathBuf>,

    /// Keep only frames that this filter lets through, for example "not port 22"
    ///
    /// Expressions need a build with the feature libpcap. Any build takes what `tcpdump -ddd EXPR` prints, with commas
    /// or line breaks between.
    #[arg(long, value_name = "EXPR")]
    pub bpf: Option<String>,

    #[command(flatten)]
    #[allow(missing_docs)] // its parts are documented, and clap would take this text for the command's
    pub common: Common,

    /// Worker threads, 1 to 64 [default: one per core]
    ///
    /// The records are the same for any number.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u8).range(1..=64))]
    pub workers: Option<u8>,
}

/// Flags of `egret logs`.
#[derive(Args, Debug)]
#[command(after_long_help = "\
Exit status:
  0  ran
  1  ran, there are alerts, and --fail-on-alert was given
  2  could not run, or a file was unreadable (what could be read has been used)

Single lines that cannot be used are counted, the first of each kind is quoted, and the exit status stays.

Examples:
  egret logs conn.log ssl.log dns.log
  egret logs -c egret.toml -o findings /opt/zeek/logs/2026-01-*/
  zstdcat eve.json.zst | egret logs -")]
pub struct LogsFlags {
    /// Logs of Zeek, Suricata (EVE), web proxies or firewalls, plain, .gz or .zst; a directory; `-`
    ///
    /// All are read together, in the order of time. What a file is shows in its first lines.
    #[arg(required = true, value_name = "FILE")]
    pub files: Vec<PathBuf>,

    #[command(flatten)]
    #[allow(missing_docs)]
    pub common: Common,

    /// Write flows, names and DNS answers again, not only what was found
    #[arg(long)]
    pub echo: bool,
}

/// Flags of all commands that run traffic through the detector.
#[derive(Args, Debug)]
pub struct Common {
    #[command(flatten)]
    #[allow(missing_docs)]
    pub policy: Policy,

    /// Directory for logs, created when it is not there [default: egret-out]
    #[arg(short, long, value_name = "DIR")]
    pub out: Option<PathBuf>,

    /// Forms of logs: eve, zeek-tsv, zeek-json (comma list), or none [default: eve]
    #[arg(long, value_name = "KINDS")]
    pub log: Option<String>,

    /// Endpoint log, so that alerts name the process: a file, a directory or `-` (repeatable)
    ///
    /// The format is found by content; a name before the path says it, for example sysmon=events.jsonl. `egret live`
    /// follows it, and hears syslog and HTTP too: endpoint.listen in the configuration.
    #[arg(long, value_name = "[FORMAT=]PATH")]
    pub endpoint_log: Vec<EndpointInput>,

    /// Alerts of other products, to stand on incidents (repeatable)
    ///
    /// Suricata EVE, Zeek notices, Defender, Elastic, CrowdStrike, Sentinel: read once; those about a host within a day.
    #[arg(long, value_name = "PATH")]
    pub context_log: Vec<PathBuf>,

    /// Networks at home [default: the private ranges, and what is learned]
    #[arg(long, value_name = "CIDR,…", value_delimiter = ',')]
    pub home_net: Vec<Cidr>,

    /// File that survives the run: baselines, first-seen, incidents; the next run goes on with it
    ///
    /// Without it nothing is kept, except by `egret live`: egret.db beside its logs.
    #[arg(long, value_name = "FILE")]
    pub state: Option<PathBuf>,

    /// Seed of hashes and identities: the same, the same records
    ///
    /// `egret live` takes another one each time.
    #[arg(long, value_name = "N")]
    pub seed: Option<u64>,

    /// Exit with 1 when there are alerts
    #[arg(long)]
    pub fail_on_alert: bool,

    /// No summary and no progress bar; warnings and errors still come
    #[arg(short, long)]
    pub quiet: bool,

    /// Print the summary as one line of JSON
    #[arg(long)]
    pub json: bool,
}

/// Flags of `egret check`.
#[derive(Args, Debug)]
#[command(after_long_help = "\
Prints what is in force, or every fault with file, line, key and cure. Exit status 0, or 2 with faults.

Examples:
  egret check --print-default > egret.toml
  egret check -c egret.toml")]
pub struct CheckFlags {
    #[command(flatten)]
    #[allow(missing_docs)]
    pub policy: Policy,

    /// Networks at home [default: the private ranges, and what is learned]
    #[arg(long, value_name = "CIDR,…", value_delimiter = ',')]
    pub home_net: Vec<Cidr>,

    /// Print the documented default configuration
    #[arg(long, conflicts_with_all = ["config", "set", "signatures", "asn_db", "city_db", "home_net"])]
    pub print_default: bool,
}

/// Flags of `egret services`.
#[derive(Args, Debug)]
pub struct ServicesFlags {
    /// Host name or address to classify; without it, all services are listed
    #[arg(value_name = "HOST")]
    pub host: Option<String>,

    #[command(flatten)]
    #[allow(missing_docs)]
    pub policy: Policy,
}

/// Flags of `egret completions`.
#[derive(Args, Debug)]
pub struct CompletionsFlags {
    /// The shell
    #[arg(value_name = "SHELL")]
    pub shell: clap_complete::Shell,
}

/// Reads the command line.
pub fn parse(args: impl IntoIterator<Item = OsString>) -> Result<Command, Stop> {
    let args: Vec<OsString> = args.into_iter().collect();
    let error = match Flags::try_parse_from(&args) {
        Ok(flags) => return Ok(flags.command),
        Err(error) => error,
    };
    let said = error.render().to_string();
    Err(match error.kind() {
        ErrorKind::DisplayHelp | ErrorKind::DisplayVersion => Stop::Text(said),
        ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand => Stop::Usage(said),
        _ => {
            let command = args.get(1).and_then(|arg| arg.to_str()).unwrap_or_default();
            let command = grammar().find_subcommand(command).map(|c| format!("{} ", c.get_name()));
            Stop::Error(format!("{}; see egret {}--help", one_line(&said), command.unwrap_or_default()))
        }
    })
}

/// The command line's grammar, for completions.
pub(super) fn grammar() -> clap::Command {
    Flags::command()
}

/// What clap says over several lines, in one: the error and what may have been meant.
fn one_line(text: &str) -> String {
    let mut parts: Vec<String> = Vec::new();
    for paragraph in text.split("\n\n").map(str::trim) {
        let words = |text: &str| text.split_whitespace().collect::<Vec<_>>().join(" ");
        if let Some(error) = paragraph.strip_prefix("error: ") {
            parts.push(words(error));
        } else if paragraph.starts_with("tip: ") {
            let tips = paragraph.lines().map(|line| words(line.trim().trim_start_matches("tip: ")));
            parts.extend(tips.filter(|tip| !tip.starts_with("to pass ")));
        }
    }
    parts.join("; ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_grammar_is_sound() {
        grammar().debug_assert();
    }
}
