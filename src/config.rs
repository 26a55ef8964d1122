//! The configuration: typed, every value defaulted. Past this point nothing can be wrong.

use crate::flow::table::Timeouts;
use crate::net::Nets;
use crate::units::{Bytes, Span};
use std::path::PathBuf;

/// Byte levels of `exfil_volume_threshold`, per kind of service.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct VolumeThresholds {
    /// Storage, code, file transfer and everything without a level of its own.
    pub storage: Bytes,
    /// Chat and web hooks (T1567.004).
    pub webhook: Bytes,
    /// Text sites (T1567.003).
    pub text: Bytes,
    /// From here on an upload to a high-risk service is critical.
    pub ceiling: Bytes,
}

impl Default for VolumeThresholds {
    fn default() -> Self {
        Self {
            storage: Bytes(3_000_000),
            webhook: Bytes(1_000_000),
            text: Bytes(20_000),
            ceiling: Bytes(1 << 30),
        }
    }
}

/// `[detect]`: DET0548's tunables under their own names.
#[derive(Clone, PartialEq, Debug)]
pub struct DetectConfig {
    /// `exfil_volume_threshold`.
    pub exfil_volume_threshold: VolumeThresholds,
    /// `time_window`: the trailing time over which uploads add up.
    pub time_window: Span,
    /// Out/in ratio from which a flow counts as an upload.
    pub upload_ratio: f64,
    /// `monitored_services`: slugs or categories; empty: all.
    pub monitored_services: Vec<String>,
    /// An incident ends when nothing more went out for this long.
    pub incident_idle: Span,
    /// (host, service) pairs in memory at most.
    pub max_pairs: usize,
}

impl Default for DetectConfig {
    fn default() -> Self {
        Self {
            exfil_volume_threshold: VolumeThresholds::default(),
            time_window: Span::from_secs(86_400),
            upload_ratio: 1.0,
            monitored_services: Vec::new(),
            incident_idle: Span::from_secs(1_800),
            max_pairs: 1 << 20,
        }
    }
}

/// `[flows]`.
#[derive(Clone, Copy, Debug)]
pub struct FlowConfig {
    /// Most flows at a time, over all workers.
    pub table: usize,
    /// Idle times.
    pub timeouts: Timeouts,
    /// How often an open flow is reported.
    pub report_every: Span,
}

impl Default for FlowConfig {
    fn default() -> Self {
        Self { table: 1 << 20, timeouts: Timeouts::default(), report_every: Span::from_secs(300) }
    }
}

/// `[output]`.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct OutputConfig {
    /// Where the files go.
    pub dir: PathBuf,
    /// Which logs are written.
    pub kinds: Vec<LogKind>,
    /// `flow_update` and `incident` records stand in `eve.json` too.
    pub own_types_in_eve: bool,
    /// Incidents of low severity are written as alerts too.
    pub low_as_alert: bool,
    /// Permissions of the files.
    pub mode: u32,
    /// Seed of the Community ID.
    pub community_id_seed: u16,
}

impl Default for OutputConfig {
    fn default() -> Self {
        Self {
            dir: PathBuf::from("egret-out"),
            kinds: vec![LogKind::Eve],
            own_types_in_eve: false,
            low_as_alert: false,
            mode: 0o640,
            community_id_seed: 0,
        }
    }
}

/// A form of logs.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum LogKind {
    /// Suricata EVE JSON.
    Eve,
    /// Zeek, tab-separated.
    ZeekTsv,
    /// Zeek, JSON.
    ZeekJson,
}

/// Everything.
#[derive(Clone, Debug)]
pub struct Config {
    /// Name of this sensor in records.
    pub sensor: String,
    /// Seed of hashes and identities.
    pub seed: u64,
    /// Number of workers.
    pub workers: usize,
    /// The networks at home; `None`: the private ranges and what is learned.
    pub home_net: Option<Nets>,
    /// `[detect]`.
    pub detect: DetectConfig,
    /// `[flows]`.
    pub flows: FlowConfig,
    /// `[output]`.
    pub output: OutputConfig,
    /// Directory of signatures; `None`: those built in.
    pub signatures: Option<PathBuf>,
    /// The site's own policy.
    pub site: Option<PathBuf>,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            sensor: "egret".to_owned(),
            seed: 1567,
            workers: 1,
            home_net: None,
            detect: DetectConfig::default(),
            flows: FlowConfig::default(),
            output: OutputConfig::default(),
            signatures: None,
            site: None,
        }
    }
}
