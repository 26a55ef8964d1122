//! The configuration: typed, every value defaulted. Past this point nothing can be wrong.
//!
//! [`Loader`] takes a TOML file, `--set` arguments and flags, in this order of precedence, and gives a [`Config`] or
//! every fault. What keys there are stands in one table, [`keys::KEYS`]: it reads them, prints the documented default
//! configuration and writes the reference.

mod endpoint;
pub mod facts;
pub mod keys;
mod load;
mod print;
mod privacy;
mod read;

pub use endpoint::{EndpointConfig, EndpointInput};
pub use facts::{Change, Hosts, Network, Permit, Rate, SiteFacts, Weekly};
pub use load::Loader;
pub use print::{print_default, reference};
pub use privacy::PrivacyConfig;

use crate::flow::table::Timeouts;
use crate::geo::Geo;
use crate::net::Nets;
use crate::signatures::Category;
use crate::units::{Bytes, Span};
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;
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
    /// Levels of single categories, which win; in the order of [`Category::ALL`].
    pub categories: [Option<Bytes>; Category::ALL.len()],
    /// From here on an upload to a high-risk service is critical.
    pub ceiling: Bytes,
}

impl Default for VolumeThresholds {
    fn default() -> Self {
        Self {
            storage: Bytes(3_000_000),
            webhook: Bytes(1_000_000),
            text: Bytes(20_000),
            categories: [None; Category::ALL.len()],
            ceiling: Bytes(1 << 30),
        }
    }
}

impl VolumeThresholds {
    /// The level of a category. Noise and what is no destination of its own have one too; whether they count is not
    /// for the configuration to say.
    pub fn level(&self, category: Category) -> Bytes {
        let own = self.categories.get(category as usize).copied().flatten();
        own.unwrap_or(match category {
            Category::Paste => self.text,
            Category::Webhook | Category::MessagingApi => self.webhook,
            _ => self.storage,
        })
    }
}

/// Byte levels of `data_volume_threshold`, per process.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ProcessThresholds {
    /// A monitored tool.
    pub tool: Bytes,
    /// Any other process that the host has not been seen to use with the service.
    pub first_seen: Bytes,
}

/// `user_baseline_profiles`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Profiles {
    /// What is remembered.
    pub memory: Span,
    /// From here on a baseline sets levels of its own.
    pub activation: Span,
    /// The slow lane compares with a baseline that ends this much earlier.
    pub lag: Span,
}

/// `alert_budget`: false alerts that are wanted at most, per 1,000 hosts and day.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct AlertBudget {
    /// Of medium severity and above.
    pub alerts: f64,
    /// Of low severity, for the log.
    pub low: f64,
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
    /// `monitored_tools`; empty: those of the signatures.
    pub monitored_tools: Vec<String>,
    /// `data_volume_threshold`.
    pub data_volume_threshold: ProcessThresholds,
    /// `watched_applications`; empty: those of the signatures.
    pub watched_applications: Vec<String>,
    /// `api_call_threshold`: uploads from which a host is looked at.
    pub api_call_threshold: Rate,
    /// `user_baseline_profiles`.
    pub user_baseline_profiles: Profiles,
    /// `datastore_transfer_threshold`: from a hypervisor.
    pub datastore_transfer_threshold: Bytes,
    /// `alert_budget`.
    pub alert_budget: AlertBudget,
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
            monitored_tools: Vec::new(),
            data_volume_threshold: ProcessThresholds {
                tool: Bytes(10_000_000),
                first_seen: Bytes(100_000_000),
            },
            watched_applications: Vec::new(),
            api_call_threshold: Rate { count: 200, per: Span::from_secs(3_600) },
            user_baseline_profiles: Profiles {
                memory: Span::from_secs(28 * 86_400),
                activation: Span::from_secs(14 * 86_400),
                lag: Span::from_secs(6 * 86_400),
            },
            datastore_transfer_threshold: Bytes(50_000_000),
            alert_budget: AlertBudget { alerts: 1.0, low: 5.0 },
        }
    }
}

/// `[flows]`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
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

/// `[capture]`.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct CaptureConfig {
    /// Memory in which frames wait, for each worker and interface (live).
    pub ring: Bytes,
    /// The ring is handed over in pieces of this size (live).
    pub block: Bytes,
    /// Most bytes kept of a frame (live).
    pub snap: Bytes,
    /// Take in frames for other machines as well (live).
    pub promiscuous: bool,
    /// Use the card's own time stamps where it makes some (live).
    pub hardware_stamps: bool,
    /// Only frames that this filter lets through.
    pub bpf: Option<String>,
    /// The span port sends frames twice: equal datagrams within a millisecond count once.
    pub sent_twice: bool,
}

impl Default for CaptureConfig {
    fn default() -> Self {
        Self {
            ring: Bytes(64 << 20),
            block: Bytes(256 << 10),
            snap: Bytes(256 << 10),
            promiscuous: true,
            hardware_stamps: true,
            bpf: None,
            sent_twice: false,
        }
    }
}

/// `[output]`.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct OutputConfig {
    /// Where the files go.
    pub dir: PathBuf,
    /// Which logs are written, by their names in [`crate::output::OUTPUTS`].
    pub kinds: Vec<&'static str>,
    /// `flow_update` and `incident` records stand in `eve.json` too.
    pub own_types_in_eve: bool,
    /// Incidents of low severity are written as alerts too.
    pub low_as_alert: bool,
    /// Permissions of the files.
    pub mode: u32,
    /// Seed of the Community ID.
    pub community_id_seed: u16,
    /// Live: logs are put away by Egret itself; else others move them and send SIGHUP.
    pub rotate: bool,
    /// Live: at every multiple of this time since midnight.
    pub rotate_every: Span,
    /// Live: from this size on.
    pub rotate_size: Bytes,
    /// Live: records of flows without payload from which on they are summed.
    pub empty_flow_rate: Rate,
    /// Rotated files are kept so many days; 0: for ever.
    pub keep_days: u32,
    /// Rotated files are removed, oldest first, beyond this much.
    pub max_bytes: Option<Bytes>,
}

impl Default for OutputConfig {
    fn default() -> Self {
        Self {
            dir: PathBuf::from("egret-out"),
            kinds: vec!["eve"],
            own_types_in_eve: false,
            low_as_alert: false,
            mode: 0o640,
            community_id_seed: 0,
            rotate: true,
            rotate_every: Span::from_secs(3_600),
            rotate_size: Bytes(1_000_000_000),
            empty_flow_rate: Rate { count: 1_000, per: Span::from_secs(1) },
            keep_days: 30,
            max_bytes: None,
        }
    }
}

/// Everything.
#[derive(Clone, PartialEq, Debug)]
pub struct Config {
    /// Name of this sensor in records.
    pub sensor: String,
    /// Seed of hashes and identities.
    pub seed: u64,
    /// Number of workers.
    pub workers: usize,
    /// Messages from workers that may wait for the detector; at least one. More is faster, the records are the same.
    pub told_max: usize,
    /// The networks at home; `None`: the private ranges and what is learned.
    pub home_net: Option<Nets>,
    /// `[detect]`.
    pub detect: DetectConfig,
    /// `[flows]`.
    pub flows: FlowConfig,
    /// `[capture]`.
    pub capture: CaptureConfig,
    /// `[output]`.
    pub output: OutputConfig,
    /// Directory of signatures; `None`: those built in.
    pub signatures: Option<PathBuf>,
    /// The site's own policy.
    pub site: Option<PathBuf>,
    /// File that tells the autonomous system of an address; opened, it stands in `geo`.
    pub asn_db: Option<PathBuf>,
    /// File that tells the country and city of an address; opened, it stands in `geo`.
    pub city_db: Option<PathBuf>,
    /// The databases of addresses.
    pub geo: Geo,
    /// Facts about the site, beyond `home_net`.
    pub facts: SiteFacts,
    /// `[endpoint]`.
    pub endpoint: EndpointConfig,
    /// `[privacy]`.
    pub privacy: PrivacyConfig,
    /// What was set, by key, as it was written: for the history of the configuration.
    pub set: BTreeMap<String, String>,
    /// File that survives a restart; `None`: none.
    pub state: Option<PathBuf>,
    /// How often the state is written.
    pub checkpoint_every: Span,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            sensor: "egret".to_owned(),
            seed: 1567,
            workers: 1,
            told_max: 64,
            home_net: None,
            detect: DetectConfig::default(),
            flows: FlowConfig::default(),
            capture: CaptureConfig::default(),
            output: OutputConfig::default(),
            signatures: None,
            site: None,
            asn_db: None,
            city_db: None,
            geo: Geo::default(),
            facts: SiteFacts::default(),
            endpoint: EndpointConfig::default(),
            privacy: PrivacyConfig::default(),
            set: BTreeMap::new(),
            state: None,
            checkpoint_every: Span::from_secs(10),
        }
    }
}

/// What was set, for the history that a state file keeps.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct InWords {
    /// One `key = value` a line.
    pub text: String,
    /// SHA-256 of the text, in hexadecimal.
    pub hash: String,
}

/// What was set in a configuration. What stands beside it in other files is there as the hash of its content.
pub fn in_words(config: &Config) -> InWords {
    let mut lines = config.set.clone();
    for (key, path) in [("site", &config.site), ("assets", &config.facts.assets)] {
        if let Some(content) = path.as_deref().and_then(|path| std::fs::read(path).ok()) {
            lines.insert(format!("content of {key}"), hex(&Sha256::digest(&content)));
        }
    }
    let mut text = String::new();
    for (key, value) in &lines {
        text.extend([key.as_str(), " = ", value, "\n"]);
    }
    let hash = hex(&Sha256::digest(text.as_bytes()));
    InWords { text, hash }
}

fn hex(bytes: &[u8]) -> String {
    let mut text = Vec::with_capacity(2 * bytes.len());
    crate::output::json::hex(bytes, None, &mut text);
    String::from_utf8(text).unwrap_or_default()
}

#[cfg(test)]
mod tests;
