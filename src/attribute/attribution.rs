//! What the joiner says of a flow: which process, how sure, and why.

use crate::endpoint::SourceKind;
use crate::units::Timestamp;
use serde::{Deserialize, Serialize};
use std::borrow::Cow;
use std::sync::Arc;

/// How a flow was joined to a process, weakest first. `docs/attribution.md` has the conditions and what each is worth.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Debug, Serialize, Deserialize)]
pub enum Level {
    /// Not at all.
    #[default]
    L0,
    /// Host and time: a program that can upload was running.
    L3,
    /// Host and name: a process asked for the name that the flow shows.
    L2s,
    /// Host, destination and time, with several programs in question, or a host that is only claimed.
    L2a,
    /// No event for this flow, but the same process talks to the same destination.
    L2d,
    /// Host, destination and time, one program.
    L2,
    /// Ports, destination and time; the address was translated, or the log leaves it out.
    L1n,
    /// All ports and addresses, by a clock that has not been confirmed.
    L1c,
    /// All ports and addresses, and the time.
    L1,
}

/// What is still to be expected.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Default, Debug, Serialize, Deserialize)]
pub enum Status {
    /// Nothing more: a process was found.
    Matched,
    /// A process was found, and the log may still say it better.
    Partial,
    /// Nothing was found yet, and the log of this host may still come.
    Pending,
    /// Nothing was found.
    #[default]
    None,
}

/// A process as records show it.
#[derive(Clone, PartialEq, Eq, Default, Debug, Serialize, Deserialize)]
pub struct Process {
    /// Identity within the joiner; never shown.
    pub key: u64,
    /// Base name, lower case, without `.exe`.
    pub name: Arc<str>,
    /// Path of the image as logged.
    pub path: Option<Arc<str>>,
    /// Process id.
    pub pid: Option<u32>,
    /// When it began, by the clock of its host.
    pub start: Option<Timestamp>,
    /// Command line, with secrets taken out, and cut.
    pub command_line: Option<Arc<str>>,
    /// Account.
    pub user: Option<Arc<str>>,
    /// Name that the image was built with.
    pub original_name: Option<Arc<str>>,
    /// SHA-256 of the image.
    pub sha256: Option<[u8; 32]>,
    /// Who signed it.
    pub signer: Option<Arc<str>>,
    /// Container or pod.
    pub container: Option<Arc<str>>,
    /// Its parent.
    pub parent: Option<Arc<ParentProcess>>,
}

/// A parent as records show it.
#[derive(Clone, PartialEq, Eq, Default, Debug, Serialize, Deserialize)]
pub struct ParentProcess {
    /// Identity within the joiner, where known.
    pub key: Option<u64>,
    /// Base name, lower case, without `.exe`.
    pub name: Arc<str>,
    /// Path of its image.
    pub path: Option<Arc<str>>,
    /// Process id.
    pub pid: Option<u32>,
}

/// See the module.
#[derive(Clone, PartialEq, Default, Debug, Serialize, Deserialize)]
pub struct Attribution {
    /// How.
    pub level: Level,
    /// Chance that the program is right, 0 to 1.
    pub confidence: f32,
    /// What is still to be expected.
    pub status: Status,
    /// Programs in question; 0: none was found.
    pub candidates: u16,
    /// The log that says so.
    pub source: Option<SourceKind>,
    /// Time of the event, corrected, less the start of the flow, in milliseconds.
    pub delta_ms: Option<i64>,
    /// Why, in words.
    pub reason: Cow<'static, str>,
    /// The process.
    pub process: Option<Arc<Process>>,
    /// It speaks for other programs: a broker of the system, or a proxy on the host.
    pub speaks_for_others: bool,
    /// The host as its own log calls it.
    pub host_name: Option<Arc<str>>,
    /// Who works at the host: the account of the process, else the last person seen in its log.
    pub user: Option<Arc<str>>,
}

impl Level {
    /// The word for records.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::L0 => "L0",
            Self::L3 => "L3",
            Self::L2s => "L2s",
            Self::L2a => "L2a",
            Self::L2d => "L2d",
            Self::L2 => "L2",
            Self::L1n => "L1n",
            Self::L1c => "L1c",
            Self::L1 => "L1",
        }
    }

    /// Joined by the ports of the flow itself.
    pub const fn is_exact(self) -> bool {
        matches!(self, Self::L1 | Self::L1c | Self::L1n)
    }
}

impl Status {
    /// The word for records.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Matched => "matched",
            Self::Partial => "partial",
            Self::Pending => "pending",
            Self::None => "none",
        }
    }
}

/// Less certain than this, no program calms anything.
const CALMS_FROM: f32 = 0.9;

impl Attribution {
    /// The program may be held against what the site allows to programs: it is the only one in question, joined at L2
    /// or better, and speaks for itself. To raise suspicion any attribution will do; to calm, only this.
    pub fn may_calm(&self) -> bool {
        self.level >= Level::L2
            && self.candidates == 1
            && !self.speaks_for_others
            && self.confidence >= CALMS_FROM
            && self.process.is_some()
    }

    /// Says more than another of the same flow. Below L2 the levels are ways of guessing, and the surer guess counts.
    pub fn is_better_than(&self, other: &Self) -> bool {
        match (self.level >= Level::L2, other.level >= Level::L2) {
            (false, false) => self.level != other.level && self.confidence > other.confidence,
            _ => self.level > other.level,
        }
    }

    /// The process as site policy is asked for it, where it [may calm](Self::may_calm).
    pub fn calming_program(&self) -> Option<&str> {
        let process = self.process.as_ref().filter(|_| self.may_calm())?;
        Some(process.path.as_deref().unwrap_or(&process.name))
    }
}

impl Process {
    /// Both are the same program, whichever process: by the name of the image.
    pub fn same_program(&self, other: &Self) -> bool {
        self.key == other.key || (!self.name.is_empty() && self.name == other.name)
    }
}
