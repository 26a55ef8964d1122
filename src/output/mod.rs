//! Records and where they go.
//!
//! A [`Record`] is complete in itself: whoever writes it needs no table, no catalogue and no clock.

pub mod archive;
pub mod eve;
pub mod fields;
pub mod file;
mod files;
pub mod ids;
pub mod json;
pub mod privacy;
pub mod report;
mod rotate;
#[cfg(test)]
pub(crate) mod samples;
pub mod schema;
pub mod signs;
pub mod stamp;
mod words;
pub mod zeek;

pub use self::signs::{Sign, SignKind};

use self::file::{Files, OutputConfig};
use crate::attribute::{Attribution, JoinCounters};
use crate::counters::Stats;
use crate::observe::{DnsAnswer, Ends, FlowId, FlowSummary, Tally};
use crate::parse::{Ech, Facts, NameSource};
use crate::units::{Both, Span, Timestamp};
use serde::{Deserialize, Serialize};
use std::io;
use std::net::IpAddr;
use std::sync::Arc;

/// Renders records as lines of one or several files.
pub trait Format: Send {
    /// Appends the lines of a record, if there are any in this format.
    fn write(&mut self, record: &Record, files: &mut Files);

    /// Appends what stands at the end of file number `file`, which is open and closed next.
    fn end(&mut self, file: usize, files: &mut Files) {
        let _ = (file, files);
    }
}

/// One output that `--log` can name.
pub struct Output {
    /// Name for `--log`.
    pub name: &'static str,
    /// One line for help texts.
    pub about: &'static str,
    /// Names of the files that it may write.
    pub files: &'static [&'static str],
    /// Starts it; files that must exist even without a record are created here.
    pub make: Make,
}

/// Starts an output.
pub type Make = fn(&Arc<OutputConfig>, &mut Files) -> io::Result<Box<dyn Format>>;

/// Every output. A new one is one file and one line here.
pub static OUTPUTS: &[&Output] = &[&eve::OUTPUT, &zeek::TSV, &zeek::JSON];

/// What the destination is, as the catalogue and the site's policy say.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Class {
    /// Identifier, for example `dropbox`.
    pub service: Box<str>,
    /// For people, for example `Dropbox`.
    pub service_name: Arc<str>,
    /// Category, for example `cloud_storage`.
    #[serde(with = "crate::state::forms::word")]
    pub category: crate::state::forms::Word,
    /// ATT&CK technique, for example `T1567.002`.
    #[serde(with = "crate::state::forms::maybe_word")]
    pub technique: Option<crate::state::forms::Word>,
    /// ATT&CK technique in words.
    #[serde(with = "crate::state::forms::maybe_word")]
    pub technique_name: Option<crate::state::forms::Word>,
    /// `upload`, `storage`, `mixed`, `api`, `web`, `cdn` or `auth`.
    #[serde(with = "crate::state::forms::word")]
    pub role: crate::state::forms::Word,
    /// Customer of the service, where the name tells.
    pub tenant: Option<Box<str>>,
    /// `own`, `sanctioned`, `unsanctioned` or `unknown`.
    #[serde(with = "crate::state::forms::word")]
    pub sanction: crate::state::forms::Word,
}

/// Who the flow went to and came from, as far as is known.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
pub struct Identity {
    /// Name of the destination.
    pub name: Option<Arc<str>>,
    /// Where the name came from.
    pub source: Option<NameSource>,
    /// How sure it is, 0 to 1.
    pub confidence: f32,
    /// Encrypted ClientHello.
    pub ech: Ech,
    /// Service, when the name belongs to one.
    pub class: Option<Arc<Class>>,
    /// The originator is at home.
    pub originator_home: bool,
    /// The home side, when there is one.
    pub host: Option<Arc<Host>>,
    /// What is odd about the name; one of a kind at most.
    pub signs: Vec<Sign>,
    /// Who announces the responder's address, where a database says so.
    pub dest: Option<Arc<Dest>>,
    /// Who caused it, where endpoint logs are read.
    pub attribution: Option<Arc<Attribution>>,
}

/// What databases say of the responder's address.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct Dest {
    /// Autonomous system.
    pub asn: Option<u32>,
    /// Its organisation.
    pub org: Option<Box<str>>,
    /// ISO 3166 code of the country.
    pub country: Option<Box<str>>,
    /// City, in English.
    pub city: Option<Box<str>>,
}

/// The home side of a flow.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Host {
    /// Address.
    pub ip: IpAddr,
    /// Link address, where it is the host's own.
    pub mac: Option<[u8; 6]>,
    /// Name, where known.
    pub name: Option<Box<str>>,
}

/// A flow that has ended, or is reported while open (`summary.since` is set then).
#[derive(Clone, PartialEq, Debug)]
pub struct FlowRecord {
    /// Totals and times.
    pub summary: Box<FlowSummary>,
    /// Names.
    pub identity: Identity,
    /// An alert belongs to it.
    pub alerted: bool,
}

/// Flows of one host and minute that moved no payload, when there are too many to be written one by one (live).
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct FlowSum {
    /// The home side, else who opened them; `None`: hosts beyond those that are told apart.
    pub host: Option<IpAddr>,
    /// How many.
    pub flows: u64,
    /// What they moved: frames, wire and IP bytes.
    pub counts: Both<crate::observe::Counts>,
    /// First and last frame.
    pub span: (Timestamp, Timestamp),
}

/// A hello, request or another set of facts about a flow that is worth a record of its own.
#[derive(Clone, PartialEq, Debug)]
pub struct FactsRecord {
    /// The flow.
    pub flow: FlowId,
    /// Its ends.
    pub ends: Ends,
    /// When.
    pub at: Timestamp,
    /// The facts; `facts.app` says which record this is.
    pub facts: Arc<Facts>,
    /// Names.
    pub identity: Identity,
    /// VLANs.
    pub path: crate::decode::Path,
}

/// How grave an incident is.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
pub enum Severity {
    /// For the log.
    Low,
    /// Worth a look today.
    Medium,
    /// Worth a look now.
    High,
    /// Worth waking somebody.
    Critical,
}

/// Where an incident stands in its life.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Phase {
    /// Just opened.
    Open,
    /// Goes on.
    Update,
    /// Over.
    Final,
}

/// One flow of an incident.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct IncidentFlow {
    /// The flow.
    pub flow: FlowId,
    /// Its ends.
    pub ends: Ends,
    /// Name of the destination.
    pub name: Option<Arc<str>>,
    /// Bytes out of the home network.
    pub up_bytes: u64,
    /// Who caused it.
    pub attribution: Option<Arc<Attribution>>,
    /// Uploads on it.
    pub uploads: Tally,
}

/// One part of a score or a reason, for people and machines.
#[derive(Clone, PartialEq, Debug)]
pub struct Evidence {
    /// Short name.
    pub name: &'static str,
    /// Value.
    pub value: f64,
    /// Share of the score per unit of the value.
    pub weight: f64,
    /// Share of the score.
    pub contribution: f64,
    /// One sentence.
    pub text: String,
}

/// Whether a question can be answered.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Default, Debug)]
pub enum AnswerState {
    /// Yes.
    Yes,
    /// No.
    No,
    /// Nothing says so or otherwise. Never satisfies a condition.
    #[default]
    Unknown,
}

/// The answer to one of the analyst's questions.
#[derive(Clone, PartialEq, Default, Debug)]
pub struct Answer {
    /// Yes, no, unknown.
    pub state: AnswerState,
    /// One sentence.
    pub text: String,
    /// The figure behind it.
    pub value: Option<f64>,
    /// Unit of the figure.
    pub unit: Option<&'static str>,
    /// What speaks for it.
    pub evidence: Vec<String>,
}

/// The analyst's questions.
#[derive(Clone, PartialEq, Default, Debug)]
pub struct Answers {
    /// Is there a legitimate business need?
    pub business_need: Answer,
    /// Is the device known and authorised?
    pub device_authorised: Answer,
    /// Is the volume atypical?
    pub volume_atypical: Answer,
    /// Is it outside business hours?
    pub outside_hours: Answer,
    /// Is the service new for this host?
    pub new_service: Answer,
    /// How many uploads, how large? (yes: they were counted)
    pub uploads: Answer,
    /// Has something changed of late?
    pub recent_change: Answer,
}

impl Answers {
    /// All, by their names in records.
    pub fn each(&self) -> [(&'static str, &Answer); 7] {
        [
            ("business_need", &self.business_need),
            ("device_authorised", &self.device_authorised),
            ("volume_atypical", &self.volume_atypical),
            ("outside_hours", &self.outside_hours),
            ("new_service", &self.new_service),
            ("uploads", &self.uploads),
            ("recent_change", &self.recent_change),
        ]
    }
}

/// Who should look at an incident.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub struct Escalation {
    /// 1 or 2.
    pub tier: u8,
    /// Why; empty for tier 1.
    pub reasons: Vec<String>,
}

/// One phase of an incident.
#[derive(Clone, PartialEq, Debug)]
pub struct IncidentRecord {
    /// Sensor name and ULID.
    pub id: String,
    /// Number of this record within the incident, from 1.
    pub seq: u32,
    /// Open, update or final.
    pub phase: Phase,
    /// True: an `alert` record (opened, or severity has risen); false: an `incident` record.
    pub alert: bool,
    /// When this record was made (packet time).
    pub at: Timestamp,
    /// Name of the analytic, for example `upload_volume`.
    pub analytic: &'static str,
    /// Detection analytic of DET0548, for example `AN1511`, where one fits.
    pub attack_analytic: Option<&'static str>,
    /// Fixed Suricata signature id.
    pub signature_id: u32,
    /// Title, for example `Upload to Dropbox (cloud storage) above 3 MB`.
    pub signature: String,
    /// Lane, for example `bulk`.
    pub lane: &'static str,
    /// log10 of how far above the level.
    pub score: f64,
    /// Severity.
    pub severity: Severity,
    /// The flow that crossed the level.
    pub flow: FlowId,
    /// Its ends.
    pub ends: Ends,
    /// Its VLANs.
    pub path: crate::decode::Path,
    /// Names of the destination whose bytes crossed the level, and the host.
    pub identity: Identity,
    /// Bytes out in this incident.
    pub up_bytes: u64,
    /// Bytes out in the trailing 24 h.
    pub up_bytes_24h: u64,
    /// Bytes in.
    pub down_bytes: u64,
    /// `payload` or `app`.
    pub bytes_basis: &'static str,
    /// Window of the analytic.
    pub window: Span,
    /// Level of the analytic in bytes.
    pub threshold: u64,
    /// First and last frame of what was added up.
    pub seen: (Timestamp, Timestamp),
    /// Flows, largest first, at most 16.
    pub flows: Vec<IncidentFlow>,
    /// Number of flows in all.
    pub flows_total: u32,
    /// Uploads on them.
    pub uploads: Tally,
    /// Destinations, largest first, at most 16: name, bytes out.
    pub destinations: Vec<(Arc<str>, u64)>,
    /// Reasons in words.
    pub evidence: Vec<Evidence>,
    /// Gap bytes among the bytes out.
    pub gap_bytes: u64,
    /// A flow of it was seen from the middle on.
    pub midstream: bool,
    /// A flow of it was seen one way only.
    pub one_way: bool,
    /// One sentence that says it all.
    pub text: String,
    /// The analyst's questions, answered.
    pub answers: Answers,
    /// Who should look.
    pub escalate: Escalation,
    /// What could be done, ready to read out, with what each would touch.
    pub containment: Vec<String>,
}

/// Everything that can be written.
#[derive(Clone, PartialEq, Debug)]
pub enum Record {
    /// EVE `flow` / `flow_update`, Zeek `conn` / `open_conn`.
    Flow(Box<FlowRecord>),
    /// EVE `tls`, `quic`, `http`; Zeek `ssl`, `quic`, `http`.
    Facts(Box<FactsRecord>),
    /// EVE `dns`, Zeek `dns`.
    Dns(Box<DnsAnswer>),
    /// EVE `alert` / `incident`, Zeek `notice`, `egret.log`.
    Incident(Box<IncidentRecord>),
    /// EVE `flow_sum`.
    FlowSum(Box<FlowSum>),
    /// EVE `stats`.
    Stats(Box<Stats>, Timestamp),
}

/// What became of endpoint logs.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct EndpointTotals {
    /// Files that were read.
    pub files: u64,
    /// Events handed on.
    pub events: u64,
    /// What the joiner counted.
    pub counters: JoinCounters,
}

/// Totals of a run for the summary that `replay` prints.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct RunSummary {
    /// Final counters.
    pub stats: Stats,
    /// First and last frame.
    pub span: Option<(Timestamp, Timestamp)>,
    /// Largest uploads: host, service or name, bytes out, bytes in, flows; largest first.
    pub uploads: Vec<UploadLine>,
    /// Newest record of each incident.
    pub incidents: Vec<IncidentRecord>,
    /// Bytes of flows that have a home side, each way (out, in).
    pub home_bytes: Both<u64>,
    /// Endpoint logs, where there were any.
    pub endpoint: Option<EndpointTotals>,
    /// Flows by what they touch: home–outside, home–home, outside–outside.
    pub flows_by_side: (u64, u64, u64),
    /// Prefixes that opened connections and are not at home, likeliest first.
    pub outside_prefixes: Vec<OutsidePrefix>,
    /// Networks learned as home, ready to paste.
    pub learned_home: Vec<String>,
    /// Wall-clock seconds of the run.
    pub wall_secs: f64,
    /// Files written.
    pub files: Vec<std::path::PathBuf>,
    /// Input faults, one line each.
    pub faults: Vec<String>,
    /// What people should know of single lines of the input, which is no fault of the whole.
    pub remarks: Vec<String>,
}

/// A prefix that is not at home and opens connections.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct OutsidePrefix {
    /// For example `198.51.100.0/24`.
    pub prefix: String,
    /// Bytes it sent.
    pub out: u64,
    /// Flows to monitored services among its connections.
    pub monitored_flows: u64,
}

/// One line of the table of uploads.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct UploadLine {
    /// Home address.
    pub host: IpAddr,
    /// Service for people, or the name, or the address.
    pub what: String,
    /// Category, where it is a service.
    pub category: Option<&'static str>,
    /// Bytes out and in.
    pub bytes: Both<u64>,
    /// Number of flows.
    pub flows: u64,
}
