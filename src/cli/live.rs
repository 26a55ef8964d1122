//! `egret live` and `egret interfaces`.

use super::flags::Policy;
use super::load::{flag, load};
use super::messages::{Exit, Stop, print, warning};
use super::replay::{cores, exit, filter, log_kinds, setup, tell};
use crate::capture::interface::{Interface, RingConfig};
use crate::capture::live::{self as capture_live, LiveConfig, Notice};
use crate::config::{Config, EndpointInput};
use crate::net::Cidr;
use crate::output::file::{Keeping, Rotation};
use crate::run::live::{self as run_live, Live};
use crate::strict::Fault;
use crate::units::{Bytes, Span};
use clap::Args;
use std::fmt::Write;
use std::path::PathBuf;
use std::time::Duration;

/// Flags of `egret live`.
#[derive(Args, Debug)]
#[command(after_long_help = "\
Needs the right to open packet sockets: root, or once: sudo setcap cap_net_raw=ep PATH/TO/egret

Exit status:
  0  ran
  1  ran, there are alerts, and --fail-on-alert was given
  2  could not run

Examples:
  egret live -i eth1
  egret live -i eth1 -i eth2 --workers 4 --ring 256MiB -o /var/log/egret
  egret live -i eth1 --duration 10m --json")]
pub struct LiveFlags {
    /// Interface to capture from (repeatable); `egret interfaces` lists them
    #[arg(short, long, required = true, value_name = "IFACE", value_delimiter = ',')]
    pub interface: Vec<String>,

    /// End after this time, for example 10m
    #[arg(long, value_name = "TIME")]
    pub duration: Option<Span>,

    /// End after so many frames
    #[arg(long, value_name = "N")]
    pub packets: Option<u64>,

    /// Keep only frames that this filter lets through, for example "not port 22"
    ///
    /// Expressions need a build with the feature libpcap. Any build takes what `tcpdump -ddd EXPR` prints, with commas
    /// or line breaks between.
    #[arg(long, value_name = "EXPR")]
    pub bpf: Option<String>,

    /// Memory in which frames wait, for each worker and interface [default: 64MiB]
    #[arg(long, value_name = "SIZE")]
    pub ring: Option<Bytes>,

    /// Most bytes kept of a frame [default: 256KiB]
    #[arg(long, value_name = "SIZE")]
    pub snap: Option<Bytes>,

    /// Leave the interface as it is: only frames for this machine come, unless somebody else has asked for all
    #[arg(long)]
    pub no_promiscuous: bool,

    #[command(flatten)]
    #[allow(missing_docs)]
    pub policy: Policy,

    /// Directory for logs, created when it is not there [default: egret-out]
    #[arg(short, long, value_name = "DIR")]
    pub out: Option<PathBuf>,

    /// Forms of logs: eve, zeek-tsv, zeek-json (comma list), or none [default: eve]
    #[arg(long, value_name = "KINDS")]
    pub log: Option<String>,

    /// Endpoint log to follow, so that alerts name the process
    ///
    /// A file, a directory or `-`; repeatable. Syslog and HTTP are heard too: endpoint.listen in the configuration.
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

    /// File that survives the run: baselines, first-seen, incidents [default: egret.db beside the logs]
    #[arg(long, value_name = "FILE")]
    pub state: Option<PathBuf>,

    /// Worker threads, 1 to 64 [default: one per core]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u8).range(1..=64))]
    pub workers: Option<u8>,

    /// Exit with 1 when there are alerts
    #[arg(long)]
    pub fail_on_alert: bool,

    /// No summary; warnings and errors still come
    #[arg(short, long)]
    pub quiet: bool,

    /// Print the summary as one line of JSON
    #[arg(long)]
    pub json: bool,
}

/// `egret live`.
pub fn live(flags: &LiveFlags) -> Result<Exit, Stop> {
    let loaded = load(&flags.policy, &flags.home_net, |config| apply(flags, config))?;
    loaded.warnings.iter().for_each(warning);
    let low_counts = loaded.config.output.low_as_alert;
    let live = plan(flags, &loaded.config)?;
    // Frames of several interfaces come together in one flow: its records cannot name one.
    let interface = if let [one] = flags.interface.as_slice() { Some(one.clone()) } else { None };
    let output = &loaded.config.output;
    let rotation = Rotation { every: output.rotate_every, size: output.rotate_size };
    let keeping = if output.rotate { Keeping::Rotate(rotation) } else { Keeping::Append };
    let setup = setup(loaded, interface, keeping, false)?;
    let signals = |error| Stop::Error(format!("signals: {error}"));
    run_live::stop_on_signals(&live.stop).map_err(signals)?;
    run_live::reopen_on_hangup(&live.reopen).map_err(signals)?;
    let mut hear = |notice: Notice| {
        if notice != Notice::Ready {
            warning(notice);
        }
    };
    let summary = run_live::run(setup, &live, &mut hear).map_err(|error| Stop::Error(error.to_string()))?;
    tell(&summary, flags.quiet, flags.json)?;
    Ok(exit(&summary, flags.fail_on_alert, low_counts))
}

/// What to capture, and for how long.
fn plan(flags: &LiveFlags, config: &Config) -> Result<Live, Stop> {
    let capture = &config.capture;
    let filter = filter(config)?;
    let (block, snap) = (capture.block.0 as u32, u32::try_from(capture.snap.0).unwrap_or(u32::MAX));
    let ring = RingConfig {
        block_bytes: block,
        blocks: (capture.ring.0 / u64::from(block)) as u32,
        snap,
        promiscuous: capture.promiscuous,
        hardware_stamps: capture.hardware_stamps,
        ..RingConfig::default()
    };
    Ok(Live {
        capture: LiveConfig { interfaces: flags.interface.clone(), ring, filter },
        duration: flags.duration.map(|d| Duration::from_nanos(d.nanos().unsigned_abs())),
        packets: flags.packets,
        rotates: config.output.rotate,
        ..Live::default()
    })
}

/// The command's own flags, which win.
fn apply(flags: &LiveFlags, config: &mut Config) -> Result<(), Fault> {
    if let Some(dir) = &flags.out {
        config.output.dir.clone_from(dir);
    }
    let state = flags.state.clone().or(config.state.take());
    config.state = state.or_else(|| Some(config.output.dir.join("egret.db")));
    config.endpoint.logs.extend(flags.endpoint_log.iter().cloned());
    config.endpoint.context.extend(flags.context_log.iter().cloned());
    config.workers = flags.workers.map_or_else(cores, usize::from);
    let capture = &mut config.capture;
    (capture.ring, capture.snap) = (flags.ring.unwrap_or(capture.ring), flags.snap.unwrap_or(capture.snap));
    capture.snap = Bytes(capture.snap.0.max(64));
    capture.promiscuous &= !flags.no_promiscuous;
    if flags.bpf.is_some() {
        capture.bpf.clone_from(&flags.bpf);
    }
    let blocks = capture.ring.0 / capture.block.0.max(1);
    if !(8..=65_536).contains(&blocks) {
        let what = format!("{} is no size for a ring with blocks of {}", capture.ring, capture.block);
        return Err(flag("--ring", what, "give from 8 to 65,536 blocks: with the usual ones 2MiB to 16GiB"));
    }
    log_kinds(flags.log.as_deref(), config)
}

/// `egret interfaces`.
pub fn interfaces() -> Result<Exit, Stop> {
    let list = capture_live::interfaces().map_err(|error| Stop::Error(format!("interfaces: {error}")))?;
    let mut text = String::new();
    let width = list.iter().map(|i| i.name.len()).max().unwrap_or(0).max(9);
    let _ = writeln!(text, "{:width$}  {:8}  {:10}  addresses", "interface", "state", "link type");
    for interface in &list {
        let addresses: Vec<String> = interface.addresses.iter().map(ToString::to_string).collect();
        let line = format!(
            "{:width$}  {:8}  {:10}  {}",
            interface.name,
            state(interface),
            link(interface),
            addresses.join(", ")
        );
        let _ = writeln!(text, "{}", line.trim_end());
    }
    match capture_live::may_open() {
        Ok(()) => text.push_str("Packet capture is permitted.\n"),
        Err(error) => {
            let _ = writeln!(
                text,
                "Packet capture is not permitted ({error}): run as root, or once: sudo setcap cap_net_raw=ep \
                 PATH/TO/egret"
            );
        }
    }
    print(&text)?;
    Ok(Exit::Ran)
}

fn state(interface: &Interface) -> &'static str {
    match (interface.up, interface.running) {
        (false, _) => "down",
        (true, false) => "no cable",
        (true, true) => "up",
    }
}

fn link(interface: &Interface) -> &'static str {
    match interface.link.map(|link| link.0) {
        Some(1) => "Ethernet",
        Some(101) => "IP",
        Some(105) => "802.11",
        Some(127) => "radiotap",
        _ if cfg!(feature = "libpcap") => "by libpcap",
        _ => "not read",
    }
}
