//! What happened on a host before something left it: archives written, files read, quarantine marks taken off.
//!
//! Facts are kept by host, each with the process and the root of its tree. Which came first is judged by the host's own
//! clock, and only between stamps of the same clock; a sensor's time never decides it.

use super::program::{Class, Program};
use crate::detect::Map;
use crate::endpoint::{
    ClockClass, Common, ConnectEvent, EndpointEvent, FileEvent, FileOp, Proc, ProcessEvent, ProcessKind,
    SourceKind,
};
use crate::output::Evidence;
use crate::units::{Bytes, Span, Timestamp};
use serde::{Deserialize, Serialize};
use std::collections::VecDeque;
use std::sync::Arc;

/// Hosts remembered; who was silent longest goes.
const MAX_HOSTS: usize = 50_000;
/// Facts of a host.
const MAX_FACTS: usize = 96;
/// Processes remembered, for their parents and connections.
const MAX_PROCESSES: usize = 200_000;
/// Parents followed to the root of a tree.
const MAX_DEPTH: usize = 8;
/// Files listed of a story.
pub const MAX_FILES: usize = 20;
/// What a host did by other processes than the sender's counts so long.
const HOST_REACH: Span = Span::from_secs(2 * 3_600);
/// So many files read within the reach are a collection.
const MASS_READ: u32 = 20;

/// What was done.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
pub enum Deed {
    /// An archive was written.
    Staged,
    /// An archiver was called.
    Archived,
    /// A file was read.
    Read,
    /// A file was written by an application.
    Wrote,
    /// The mark of the quarantine was taken off a file.
    Unquarantined,
    /// A command was called that sends.
    Started,
    /// A disk of a virtual machine was read or copied.
    Datastore,
}

impl Deed {
    /// For people.
    pub const fn words(self) -> &'static str {
        match self {
            Self::Staged => "wrote the archive",
            Self::Archived => "made an archive",
            Self::Read => "read",
            Self::Wrote => "wrote",
            Self::Unquarantined => "took the quarantine mark off",
            Self::Started => "was called to send",
            Self::Datastore => "took from a datastore",
        }
    }

    /// The word in records.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Staged => "archive_written",
            Self::Archived => "archiver_called",
            Self::Read => "read",
            Self::Wrote => "written",
            Self::Unquarantined => "quarantine_removed",
            Self::Started => "upload_command",
            Self::Datastore => "datastore_read",
        }
    }
}

/// Which clock stamped something.
type Clock = (SourceKind, ClockClass);

/// Something that happened on a host.
#[derive(Clone, Debug)]
pub struct Fact {
    /// What.
    pub deed: Deed,
    /// When, by the host's clock.
    pub at: Timestamp,
    clock: Clock,
    /// When the sensor heard of it.
    heard: Timestamp,
    process: u64,
    root: u64,
    /// The program that did it.
    pub program: Arc<str>,
    /// The file.
    pub path: Option<Arc<str>>,
    /// Its size.
    pub size: Option<u64>,
    /// Its sensitivity label.
    pub label: Option<Arc<str>>,
    /// How many times, for what is only counted.
    pub count: u32,
}

/// A fact as it stands in records.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Step {
    /// When, by the host's clock.
    pub at: Timestamp,
    /// What.
    pub deed: Deed,
    /// The program that did it.
    pub program: Arc<str>,
    /// The file.
    pub path: Option<Arc<str>>,
    /// Its size.
    pub size: Option<u64>,
    /// Its sensitivity label.
    pub label: Option<Arc<str>>,
    /// How many times.
    pub count: u32,
}

impl Step {
    /// `12:03:04 tar wrote the archive /tmp/x.tgz (12 MB)`.
    pub fn told(&self) -> String {
        let at = self.at.secs().rem_euclid(86_400);
        let (hour, minute, second) = (at / 3_600, at / 60 % 60, at % 60);
        let mut text = format!("{hour:02}:{minute:02}:{second:02} {} {}", self.program, self.deed.words());
        if let Some(path) = &self.path {
            text.push(' ');
            text.push_str(path);
        }
        if let Some(size) = self.size {
            text.push_str(&format!(" ({})", Bytes(size)));
        }
        if let Some(label) = &self.label {
            text.push_str(&format!(" [{label}]"));
        }
        if self.count > 1 {
            text.push_str(&format!(" and {} more", self.count - 1));
        }
        text
    }

    /// For records: its name is what was done, its value the size of the file.
    pub fn evidence(&self) -> Evidence {
        Evidence {
            name: self.deed.as_str(),
            value: self.size.unwrap_or(0) as f64,
            weight: 0.0,
            contribution: 0.0,
            text: self.told(),
        }
    }
}

impl Fact {
    /// For people.
    pub fn told(&self) -> String {
        self.step().told()
    }

    /// For records.
    pub fn step(&self) -> Step {
        Step {
            at: self.at,
            deed: self.deed,
            program: Arc::clone(&self.program),
            path: self.path.clone(),
            size: self.size,
            label: self.label.clone(),
            count: self.count,
        }
    }
}

/// Whether a fact came before the upload.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Order {
    Before,
    After,
    Unknown,
}

/// What came before an upload.
#[derive(Clone, Default, Debug)]
pub struct Story {
    /// In the order of the host's clock.
    pub facts: Vec<Fact>,
    /// Deeds of the sender's own tree.
    pub own: Vec<Deed>,
    /// Deeds of any process of the host, shortly before.
    pub near: Vec<Deed>,
    /// Files read by the sender's tree.
    pub reads: u32,
    /// The clock of the host says that all of it came before; else the order is not known.
    pub ordered: bool,
}

impl Story {
    /// Something of this kind was done by the sender's tree.
    pub fn did(&self, deed: Deed) -> bool {
        self.own.contains(&deed)
    }

    /// Something of this kind was done on the host.
    pub fn has(&self, deed: Deed) -> bool {
        self.near.contains(&deed)
    }

    /// An archive, or many files read.
    pub fn collected(&self) -> bool {
        self.did(Deed::Staged)
            || self.did(Deed::Archived)
            || self.has(Deed::Staged)
            || self.reads >= MASS_READ
    }
}

#[derive(Clone, Debug)]
struct Process {
    host: Arc<str>,
    parent: Option<u64>,
    /// The parent is where sessions begin: the tree ends here.
    is_root: bool,
    /// Last connection.
    connected: Option<(Timestamp, Clock)>,
    started: Option<(Timestamp, Clock)>,
}

#[derive(Debug, Default)]
struct Host {
    facts: VecDeque<Fact>,
    heard: Timestamp,
}

/// See the module.
#[derive(Debug, Default)]
pub struct Stories {
    hosts: Map<Arc<str>, Host>,
    processes: Map<u64, Process>,
    order: VecDeque<u64>,
    /// Hosts and processes that were given up.
    pub evicted: u64,
}

/// Programs that everything on a host comes from: a tree begins below them.
const ROOTS: &[&str] = &[
    "",
    "explorer",
    "userinit",
    "winlogon",
    "services",
    "svchost",
    "wininit",
    "systemd",
    "init",
    "launchd",
    "sshd",
    "cron",
    "crond",
    "login",
    "gnome-shell",
    "plasmashell",
    "kthreadd",
    "loginwindow",
    "finder",
    "dock",
    "taskeng",
    "taskhostw",
    "sihost",
    "windowsterminal",
    "tmux",
    "screen",
    "gnome-terminal-server",
    "terminal",
    "iterm2",
    "runc",
    "containerd-shim",
    "system",
];
/// Ends of files that are archives.
const ARCHIVES: &[&str] = &[
    ".zip", ".7z", ".rar", ".tar", ".gz", ".tgz", ".bz2", ".tbz2", ".xz", ".txz", ".zst", ".cab", ".001",
    ".lz4", ".dmg", ".iso", ".gpg", ".enc", ".age",
];
/// Ends and parts of paths of virtual machines.
const DATASTORES: &[&str] = &[".vmdk", ".vmx", ".vmem", ".vmsn", ".vswp", ".ova", ".ovf", ".nvram"];
/// Programs that copy files, whatever else they are.
const COPIERS: &[&str] = &[
    "vmkfstools",
    "cp",
    "scp",
    "sftp",
    "rsync",
    "dd",
    "tar",
    "wget",
    "curl",
    "rclone",
    "python",
    "python3",
    "busybox",
    "nc",
];
/// The attribute by which macOS remembers where a file came from.
const QUARANTINE: &str = "com.apple.quarantine";

fn is_archive(path: &str) -> bool {
    let tail = path.get(path.len().saturating_sub(6)..).unwrap_or(path).to_ascii_lowercase();
    // Archives of a program's own life: packages, caches, logs that were put away.
    let own = ["/var/log/", "/var/cache/", "\\windows\\", "node_modules", "/usr/share/", "\\package cache\\"];
    ARCHIVES.iter().any(|end| tail.ends_with(end))
        && !own.iter().any(|part| path.to_lowercase().contains(part))
}

fn is_datastore(path: &str) -> bool {
    let lower = path.to_ascii_lowercase();
    DATASTORES.iter().any(|end| lower.ends_with(end)) || lower.contains("/vmfs/volumes/")
}

impl Stories {
    /// Takes an event of a process. `key` is its identity for the joiner; `program` what it is. The fact that came of
    /// it, if any.
    pub fn event(
        &mut self,
        event: &EndpointEvent,
        key: u64,
        program: &Program,
        heard: Timestamp,
    ) -> Option<Deed> {
        match event {
            EndpointEvent::Process(e) => self.process(e, key, program, heard),
            EndpointEvent::Connect(e) => {
                self.connect(e, key);
                None
            }
            EndpointEvent::File(e) => self.file(e, key, program, heard),
            EndpointEvent::Dns(_) | EndpointEvent::Address(_) => None,
        }
    }

    fn meet(&mut self, key: u64, common: &Common, proc: &Proc) -> &mut Process {
        if !self.processes.contains_key(&key) {
            if self.processes.len() >= MAX_PROCESSES
                && let Some(oldest) = self.order.pop_front()
            {
                self.processes.remove(&oldest);
                self.evicted += 1;
            }
            self.order.push_back(key);
        }
        let process = self.processes.entry(key).or_insert_with(|| Process {
            host: Arc::clone(&common.host.id),
            parent: None,
            is_root: false,
            connected: None,
            started: None,
        });
        if let Some(parent) = &proc.parent {
            process.is_root |= ROOTS.contains(&&*parent.name);
            process.parent = process.parent.or(parent.entity);
        }
        process
    }

    /// The host of a process, as its log calls it.
    pub fn host_of(&self, key: u64) -> Option<Arc<str>> {
        self.processes.get(&key).map(|p| Arc::clone(&p.host))
    }

    fn root(&self, key: u64) -> u64 {
        let mut at = key;
        for _ in 0..MAX_DEPTH {
            match self.processes.get(&at) {
                Some(Process { parent: Some(parent), is_root: false, .. }) => at = *parent,
                _ => break,
            }
        }
        at
    }

    fn process(&mut self, e: &ProcessEvent, key: u64, program: &Program, heard: Timestamp) -> Option<Deed> {
        let process = self.meet(key, &e.common, &e.proc);
        if e.kind != ProcessKind::Start {
            return None;
        }
        process.started = Some((e.common.at, (e.common.source, e.common.clock)));
        let command = e.proc.command_line.as_deref().unwrap_or("");
        let last = command.split_whitespace().last();
        let (deed, path) = if command.contains(QUARANTINE) && command.contains("-d") {
            (Deed::Unquarantined, last)
        } else if is_datastore(command) && (program.sends || COPIERS.contains(&&*e.proc.name)) {
            (Deed::Datastore, command.split_whitespace().find(|w| is_datastore(w)))
        } else if program.class == Class::Archiver && packs(command) {
            (Deed::Archived, command.split_whitespace().find(|w| is_archive(w)))
        } else if program.sends {
            (Deed::Started, None)
        } else {
            return None;
        };
        let path = path.map(Arc::from);
        self.note(&e.common, key, program, heard, Seen { deed, path, size: None, label: None });
        Some(deed)
    }

    fn connect(&mut self, e: &ConnectEvent, key: u64) {
        let stamp = (e.until.unwrap_or(e.common.at), (e.common.source, e.common.clock));
        let process = self.meet(key, &e.common, &e.proc);
        process.connected =
            Some(process.connected.map_or(stamp, |old| if old.0 > stamp.0 { old } else { stamp }));
    }

    fn file(&mut self, e: &FileEvent, key: u64, program: &Program, heard: Timestamp) -> Option<Deed> {
        self.meet(key, &e.common, &e.proc);
        let path = e.destination.as_ref().unwrap_or(&e.path);
        let deed = match e.op {
            FileOp::AttributeRemoved if e.attribute.as_deref() == Some(QUARANTINE) => Deed::Unquarantined,
            FileOp::Read if is_datastore(path) => Deed::Datastore,
            FileOp::Read => Deed::Read,
            FileOp::ArchiveWrite => Deed::Staged,
            FileOp::Create | FileOp::Write | FileOp::Rename if is_archive(path) => Deed::Staged,
            FileOp::Create | FileOp::Write | FileOp::Rename if writes(program.class) => Deed::Wrote,
            _ => return None,
        };
        let seen = Seen { deed, path: Some(Arc::clone(path)), size: e.size, label: e.label.clone() };
        self.note(&e.common, key, program, heard, seen);
        Some(deed)
    }

    fn note(&mut self, common: &Common, key: u64, program: &Program, heard: Timestamp, seen: Seen) {
        let root = self.root(key);
        if !self.hosts.contains_key(&common.host.id) && self.hosts.len() >= MAX_HOSTS {
            // Among some, the one silent longest.
            let victim = self.hosts.iter().take(64).min_by_key(|(_, h)| h.heard).map(|(k, _)| Arc::clone(k));
            if let Some(victim) = victim {
                self.hosts.remove(&victim);
                self.evicted += 1;
            }
        }
        let host = self.hosts.entry(Arc::clone(&common.host.id)).or_default();
        host.heard = heard;
        // What is done many times is counted beyond the files that a record lists.
        let counted = matches!(seen.deed, Deed::Read | Deed::Wrote);
        if counted && host.facts.iter().filter(|f| f.deed == seen.deed && f.root == root).count() >= MAX_FILES
        {
            if let Some(last) = host.facts.iter_mut().rev().find(|f| f.deed == seen.deed && f.root == root) {
                last.count += 1;
            }
            return;
        }
        if host.facts.len() >= MAX_FACTS {
            // Reads go first: they are many, and say least.
            let at = host.facts.iter().position(|f| f.deed == Deed::Read).unwrap_or(0);
            host.facts.remove(at);
        }
        host.facts.push_back(Fact {
            deed: seen.deed,
            at: common.at,
            clock: (common.source, common.clock),
            heard,
            process: key,
            root,
            program: Arc::clone(&program.name),
            path: seen.path,
            size: seen.size,
            label: seen.label,
            count: 1,
        });
    }

    /// What the host did before a process of it sent.
    pub fn before(&self, key: u64, now: Timestamp, window: Span) -> Story {
        let mut story = Story { ordered: true, ..Story::default() };
        let Some(found) = self.host_of(key).and_then(|host| self.hosts.get(&host)) else { return story };
        let root = self.root(key);
        for fact in &found.facts {
            let own = fact.root == root || fact.process == key;
            let reach = if own { window } else { HOST_REACH };
            let age = now.since(fact.heard);
            if age > reach {
                continue;
            }
            match self.order(fact, key, own) {
                Order::After => continue,
                Order::Unknown => story.ordered = false,
                Order::Before => {}
            }
            // What another program read or wrote says nothing about this one.
            if !own && matches!(fact.deed, Deed::Read | Deed::Wrote | Deed::Started) {
                continue;
            }
            let list = if own { &mut story.own } else { &mut story.near };
            if !list.contains(&fact.deed) {
                list.push(fact.deed);
            }
            if fact.deed == Deed::Read {
                story.reads = story.reads.saturating_add(fact.count);
            }
            story.facts.push(fact.clone());
        }
        for deed in story.own.clone() {
            if !story.near.contains(&deed) {
                story.near.push(deed);
            }
        }
        story.facts.sort_by_key(|f| (f.at, f.deed));
        story
    }

    /// Whether a fact came before a process sent: by its connections, else by its start, where both have one clock.
    fn order(&self, fact: &Fact, key: u64, own: bool) -> Order {
        let Some(process) = self.processes.get(&key) else { return Order::Unknown };
        let slack = Span::from_secs(1);
        if let Some((at, clock)) = process.connected
            && clock == fact.clock
        {
            let after = fact.at.since(at) > slack;
            // Of another program on the host, only what came shortly before by that clock too.
            let long_ago = !own && at.since(fact.at) > HOST_REACH;
            return if after || long_ago { Order::After } else { Order::Before };
        }
        match process.started {
            Some((at, clock)) if clock == fact.clock && fact.at <= at => Order::Before,
            _ => Order::Unknown,
        }
    }
}

/// What an event says of a fact.
struct Seen {
    deed: Deed,
    path: Option<Arc<str>>,
    size: Option<u64>,
    label: Option<Arc<str>>,
}

/// Files that these write are worth remembering.
fn writes(class: Class) -> bool {
    matches!(class, Class::Office | Class::Watched | Class::Script)
}

/// The command makes an archive; others of the same program take one apart or look into it.
fn packs(command: &str) -> bool {
    let second = command.split_whitespace().nth(1).unwrap_or("");
    let takes_apart =
        matches!(second, "x" | "e" | "l" | "t" | "-d" | "-l" | "-t" | "--decompress" | "--list");
    let tar = second.trim_start_matches('-');
    let tar_takes = tar.starts_with(['x', 't']) && tar.len() <= 5;
    !command.is_empty() && !takes_apart && !tar_takes
}
