//! The one model that every log format is read into.
//!
//! Times are those of the clock that wrote them, uncorrected: which clock that was stands beside ([`ClockClass`]), and
//! how far it is off is learned by the joiner. What a log does not say is `None`, never a guess.

use crate::decode::Transport;
use crate::units::Timestamp;
use serde::{Deserialize, Serialize};
use std::net::IpAddr;
use std::sync::Arc;

/// What a log said, whichever format it came in.
#[derive(Clone, PartialEq, Debug)]
pub enum EndpointEvent {
    /// A process began, ended or was there already.
    Process(ProcessEvent),
    /// A process has a connection.
    Connect(ConnectEvent),
    /// A process touched a file.
    File(FileEvent),
    /// A name was looked up.
    Dns(DnsEvent),
    /// A host has, or no longer has, an address.
    Address(AddressEvent),
}

/// Which product wrote the log. Shown as the source of an attribution and the unit for which clocks are learned.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
pub enum SourceKind {
    /// Sysmon for Windows, in whichever envelope.
    Sysmon,
    /// Sysmon for Linux.
    SysmonLinux,
    /// Windows Security log (4688, 5156).
    WindowsSecurity,
    /// Microsoft Defender XDR.
    Defender,
    /// Elastic Endpoint or any other log in the Elastic Common Schema.
    Ecs,
    /// The Linux audit system, raw or by way of laurel, go-audit or auoms.
    Auditd,
    /// osquery.
    Osquery,
    /// Tetragon.
    Tetragon,
    /// CrowdStrike Falcon Data Replicator.
    CrowdStrike,
    /// SentinelOne Cloud Funnel.
    SentinelOne,
    /// Carbon Black Cloud.
    CarbonBlack,
    /// macOS Endpoint Security: eslogger, Jamf Protect.
    EndpointSecurity,
    /// Santa.
    Santa,
    /// Falco.
    Falco,
    /// Tracee.
    Tracee,
    /// Zeek agent.
    ZeekAgent,
    /// Velociraptor.
    Velociraptor,
    /// Azure VM insights.
    AzureVm,
    /// ESXi: syslog and `esxcli` snapshots.
    Esxi,
    /// DHCP servers: Windows, Zeek.
    Dhcp,
    /// A format that the site described itself.
    Site,
}

/// Which clock stamped an event. One log may hold several (Sysmon stamps network events and process events from
/// different ones), and each is off by its own amount.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum ClockClass {
    /// The clock of the host at the event.
    Host,
    /// The clock that a network driver or filter used.
    Network,
    /// The header of the log record.
    Header,
    /// A cloud service or collector.
    Cloud,
}

/// The host that wrote an event, as far as the event says.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub struct HostRef {
    /// What stays the same for the host in this source: agent, device or sensor id, else its name in lower case.
    pub id: Arc<str>,
    /// Its name as logged.
    pub name: Option<Arc<str>>,
    /// Addresses that the event says the host has.
    pub ips: Vec<IpAddr>,
    /// Link address.
    pub mac: Option<[u8; 6]>,
}

/// What every event has.
#[derive(Clone, PartialEq, Debug)]
pub struct Common {
    /// Product.
    pub source: SourceKind,
    /// Host.
    pub host: HostRef,
    /// When, by `clock`.
    pub at: Timestamp,
    /// The clock that `at` is from.
    pub clock: ClockClass,
    /// When a collector or a cloud had it, where the log says so.
    pub received: Option<Timestamp>,
    /// Stamps are cut to this many nanoseconds (1 s: 1,000,000,000).
    pub grain_ns: u32,
    /// The log's own number or id of the record, hashed; for telling a repeated delivery.
    pub record: Option<u64>,
}

/// A process as an event names it.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub struct Proc {
    /// Identity that no other process of any host has: a hash of host and the product's own process id, or of host, pid
    /// and start. `None` where only a pid is known, which is used again within minutes.
    pub entity: Option<u64>,
    /// Process id.
    pub pid: Option<u32>,
    /// Start, by the same clock as the event.
    pub start: Option<Timestamp>,
    /// Path of the image as logged.
    pub path: Option<Arc<str>>,
    /// Base name, lower case, without `.exe`.
    pub name: Arc<str>,
    /// Name that the file was built with, as given; tells a renamed tool.
    pub original_name: Option<Arc<str>>,
    /// Command line, with secrets already taken out.
    pub command_line: Option<Arc<str>>,
    /// Account, `DOMAIN\name` or `name`.
    pub user: Option<Arc<str>>,
    /// SHA-256 of the image.
    pub sha256: Option<[u8; 32]>,
    /// Who signed the image.
    pub signer: Option<Arc<str>>,
    /// Container id or pod.
    pub container: Option<Arc<str>>,
    /// Its parent.
    pub parent: Option<Box<Parent>>,
}

/// A parent as an event names it.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub struct Parent {
    /// As [`Proc::entity`].
    pub entity: Option<u64>,
    /// Process id.
    pub pid: Option<u32>,
    /// Path of the image.
    pub path: Option<Arc<str>>,
    /// Base name, lower case, without `.exe`.
    pub name: Arc<str>,
    /// Command line, with secrets already taken out.
    pub command_line: Option<Arc<str>>,
}

/// What happened to a process.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum ProcessKind {
    /// It began.
    Start,
    /// It ended.
    Exit,
    /// It was running when the sensor looked.
    Existing,
}

/// A process began, ended or was there.
#[derive(Clone, PartialEq, Debug)]
pub struct ProcessEvent {
    /// When, where, by whom logged.
    pub common: Common,
    /// The process.
    pub proc: Proc,
    /// What happened.
    pub kind: ProcessKind,
}

/// Who opened a connection, seen from the host that logs it.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Direction {
    /// The host.
    Out,
    /// The other side.
    In,
    /// Not said.
    Unknown,
}

/// How far a connection was when it was logged.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum ConnectState {
    /// Asked for; whether it came about is not said.
    Attempt,
    /// It stands.
    Established,
    /// It ended.
    Closed,
    /// It did not come about.
    Failed,
    /// It was there when the sensor looked, some time within `window`.
    Snapshot,
}

/// A process has a connection.
#[derive(Clone, PartialEq, Debug)]
pub struct ConnectEvent {
    /// When, where, by whom logged.
    pub common: Common,
    /// The process.
    pub proc: Proc,
    /// TCP or UDP, where said.
    pub transport: Option<Transport>,
    /// Address of the host's own end; `None` where the log leaves it out or writes zeros.
    pub local: Option<IpAddr>,
    /// Port of the host's own end; `None` where the log leaves it out or writes 0.
    pub local_port: Option<u16>,
    /// Address of the far end.
    pub remote: IpAddr,
    /// Port of the far end.
    pub remote_port: u16,
    /// Who opened it.
    pub direction: Direction,
    /// How far it was.
    pub state: ConnectState,
    /// Name of the far end, as the product knew it, lower case. May come from reverse DNS: see `domain_asked`.
    pub domain: Option<Arc<str>>,
    /// `domain` was asked for or sent by the process, and does not come from reverse DNS.
    pub domain_asked: bool,
    /// Bytes out of the host, where the log counts them.
    pub bytes_out: Option<u64>,
    /// Bytes into the host.
    pub bytes_in: Option<u64>,
    /// How many connections the one record stands for.
    pub repeat: u32,
    /// The end of the time the record is about; `at` is its beginning.
    pub until: Option<Timestamp>,
    /// Community ID as the log gave it.
    pub community_id: Option<Arc<str>>,
}

/// What was done to a file.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum FileOp {
    /// Made new.
    Create,
    /// Written to.
    Write,
    /// Read.
    Read,
    /// Given another name: from `path` to `destination`.
    Rename,
    /// Deleted.
    Delete,
    /// An extended attribute was taken off, `attribute` says which.
    AttributeRemoved,
    /// An extended attribute was set.
    AttributeSet,
    /// Written, and the log itself says that it is an archive.
    ArchiveWrite,
}

/// A process touched a file.
#[derive(Clone, PartialEq, Debug)]
pub struct FileEvent {
    /// When, where, by whom logged.
    pub common: Common,
    /// The process.
    pub proc: Proc,
    /// What was done.
    pub op: FileOp,
    /// The file.
    pub path: Arc<str>,
    /// Its new name.
    pub destination: Option<Arc<str>>,
    /// Its size in bytes.
    pub size: Option<u64>,
    /// Name of the extended attribute.
    pub attribute: Option<Arc<str>>,
    /// Sensitivity label.
    pub label: Option<Arc<str>>,
}

/// A name was looked up.
#[derive(Clone, PartialEq, Debug)]
pub struct DnsEvent {
    /// When, where, by whom logged.
    pub common: Common,
    /// Who asked; a resolver service asks for others.
    pub proc: Option<Proc>,
    /// The name, lower case, without the last dot.
    pub query: Arc<str>,
    /// Addresses that came back.
    pub answers: Vec<IpAddr>,
}

/// Whether an address is held.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum AddressKind {
    /// From now on.
    Bound,
    /// No longer.
    Released,
    /// At the time of the event.
    Snapshot,
}

/// A host has, or no longer has, an address.
#[derive(Clone, PartialEq, Debug)]
pub struct AddressEvent {
    /// When, where, by whom logged.
    pub common: Common,
    /// The address.
    pub ip: IpAddr,
    /// Link address.
    pub mac: Option<[u8; 6]>,
    /// Name of the host.
    pub name: Option<Arc<str>>,
    /// Bound, released or seen.
    pub kind: AddressKind,
    /// Length of the lease in seconds.
    pub lease_secs: Option<u64>,
}

impl ConnectEvent {
    /// A connection of which nothing is known but its far end, and that it is one.
    pub fn to(common: Common, proc: Proc, remote: IpAddr, remote_port: u16) -> Self {
        Self {
            common,
            proc,
            transport: None,
            local: None,
            local_port: None,
            remote,
            remote_port,
            direction: Direction::Unknown,
            state: ConnectState::Established,
            domain: None,
            domain_asked: false,
            bytes_out: None,
            bytes_in: None,
            repeat: 1,
            until: None,
            community_id: None,
        }
    }
}

impl EndpointEvent {
    /// What every event has.
    pub fn common(&self) -> &Common {
        match self {
            Self::Process(e) => &e.common,
            Self::Connect(e) => &e.common,
            Self::File(e) => &e.common,
            Self::Dns(e) => &e.common,
            Self::Address(e) => &e.common,
        }
    }
}

impl SourceKind {
    /// All of them.
    pub const ALL: [Self; 21] = [
        Self::Sysmon,
        Self::SysmonLinux,
        Self::WindowsSecurity,
        Self::Defender,
        Self::Ecs,
        Self::Auditd,
        Self::Osquery,
        Self::Tetragon,
        Self::CrowdStrike,
        Self::SentinelOne,
        Self::CarbonBlack,
        Self::EndpointSecurity,
        Self::Santa,
        Self::Falco,
        Self::Tracee,
        Self::ZeekAgent,
        Self::Velociraptor,
        Self::AzureVm,
        Self::Esxi,
        Self::Dhcp,
        Self::Site,
    ];

    /// As records show it in `attribution.source`, and as users name it before `=PATH`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Sysmon => "sysmon",
            Self::SysmonLinux => "sysmon-linux",
            Self::WindowsSecurity => "windows-security",
            Self::Defender => "defender",
            Self::Ecs => "ecs",
            Self::Auditd => "auditd",
            Self::Osquery => "osquery",
            Self::Tetragon => "tetragon",
            Self::CrowdStrike => "crowdstrike",
            Self::SentinelOne => "sentinelone",
            Self::CarbonBlack => "carbonblack",
            Self::EndpointSecurity => "endpoint-security",
            Self::Santa => "santa",
            Self::Falco => "falco",
            Self::Tracee => "tracee",
            Self::ZeekAgent => "zeek-agent",
            Self::Velociraptor => "velociraptor",
            Self::AzureVm => "azure-vm",
            Self::Esxi => "esxi",
            Self::Dhcp => "dhcp",
            Self::Site => "site",
        }
    }
}

impl Proc {
    /// Base name of a path of any system, lower case, without `.exe`: what lists of tools are held against.
    pub fn base_name(path: &str) -> String {
        let base = path.rsplit(['\\', '/']).next().unwrap_or(path).to_lowercase();
        base.strip_suffix(".exe").map_or_else(|| base.clone(), str::to_owned)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn base_names_of_all_systems() {
        for (path, name) in [
            (r"C:\Program Files\rclone\RCLONE.EXE", "rclone"),
            ("/usr/bin/curl", "curl"),
            ("java", "java"),
            (r"\device\harddiskvolume2\windows\system32\svchost.exe", "svchost"),
            ("/Applications/Microsoft Word.app/Contents/MacOS/Microsoft Word", "microsoft word"),
            ("", ""),
        ] {
            assert_eq!(Proc::base_name(path), name);
        }
    }
}
