//! `egret live` and `egret interfaces`.

use super::flags::Common;
use super::load::{flag, load};
use super::messages::{Exit, Stop, print, warning};
use super::replay::{self, cores, exit, filter, setup, tell};
use crate::capture::interface::{Interface, RingConfig};
use crate::capture::live::{self as capture_live, LiveConfig, Notice};
use crate::config::Config;
use crate::output::file::{Keeping, Rotation};
use crate::run::live::{self as run_live, Live};
use crate::strict::Fault;
use crate::units::{Bytes, Span};
use clap::Args;
use std::fmt::Write;
use std::hash::{BuildHasher, RandomState};
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
    /// Interface (repeatable); `egret interfaces` lists them
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

    /// Ring of frames, one a worker and interface [default: 64MiB]
    #[arg(long, value_name = "SIZE")]
    pub ring: Option<Bytes>,

    /// Most bytes kept of a frame [default: 256KiB]
    #[arg(long, value_name = "SIZE")]
    pub snap: Option<Bytes>,

    /// Leave the interface as it is: only frames for this machine come, unless somebody else has asked for all
    #[arg(long)]
    pub no_promiscuous: bool,

    #[command(flatten)]
    #[allow(missing_docs)] // its parts are documented
    pub common: Common,

    /// Worker threads, 1 to 64 [default: one per core]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u8).range(1..=64))]
    pub workers: Option<u8>,
}

/// `egret live`.
pub fn live(flags: &LiveFlags) -> Result<Exit, Stop> {
    let loaded = load(&flags.common.policy, &flags.common.home_net, |config| apply(flags, config))?;
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
    tell(&summary, flags.common.quiet, flags.common.json)?;
    Ok(exit(&summary, flags.common.fail_on_alert, low_counts))
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
    let workers = flags.workers.map_or_else(cores, usize::from);
    replay::apply(&flags.common, workers, config)?;
    // Who knows the seed can send flows that all fall into one place of the tables.
    config.seed = flags.common.seed.unwrap_or_else(|| RandomState::new().hash_one(0));
    config.state.get_or_insert_with(|| config.output.dir.join("egret.db"));
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
    Ok(())
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
