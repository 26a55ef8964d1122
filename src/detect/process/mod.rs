//! Who sends, and what came before: the analytics that need endpoint logs (AN1511, AN1512, AN1513, AN1515).
//!
//! [`Watch`] takes events and bytes and gives a [`View`]: the program, what is usual for it, and the story of its tree.
//! Each analytic is a function of that, in a file named for the behaviour.

mod application_upload;
mod archive_upload;
mod datastore_upload;
mod disguised_upload;
mod fetched;
mod first_upload;
mod habits;
mod program;
mod quarantine_upload;
mod script_post;
mod story;
mod tool_upload;

#[cfg(test)]
mod tests;

pub use fetched::Fetched;
pub use habits::{Habit, Habits};
pub use program::{Class, Disguise, Image, Program, Programs};
pub use story::{Deed, Fact, MAX_FILES, Step, Stories, Story};

use super::Map;
use super::learn::kind::Kind;
use super::rules::{Analytic, Finding, Sight};
use crate::attribute::{Attribution, Level, Process};
use crate::config::DetectConfig;
use crate::endpoint::EndpointEvent;
use crate::output::Severity;
use crate::signatures::{Catalogue, ServiceId};
use crate::units::{Span, Timestamp};
use std::hash::{BuildHasher, Hasher};
use std::sync::Arc;

/// Every analytic of processes.
pub(super) static ANALYTICS: &[Analytic] = &[
    super::rules::rule(
        "application_upload",
        "process",
        Some("AN1511"),
        15_672_101,
        "upload by an application that does not upload",
        application_upload::look,
    ),
    super::rules::rule(
        "script_post",
        "process",
        Some("AN1511"),
        15_672_102,
        "script posts to a text site or web hook",
        script_post::look,
    ),
    super::rules::rule(
        "first_upload",
        "process",
        Some("AN1511"),
        15_672_103,
        "program uploads that never did",
        first_upload::look,
    ),
    super::rules::rule(
        "tool_upload",
        "process",
        Some("AN1512"),
        15_672_104,
        "upload by a transfer tool",
        tool_upload::look,
    ),
    super::rules::rule(
        "archive_upload",
        "process",
        Some("AN1512"),
        15_672_105,
        "collected, packed and uploaded",
        archive_upload::look,
    ),
    super::rules::rule(
        "disguised_upload",
        "process",
        Some("AN1512"),
        15_672_106,
        "upload by a program in disguise",
        disguised_upload::look,
    ),
    super::rules::rule(
        "quarantine_upload",
        "process",
        Some("AN1513"),
        15_672_107,
        "quarantine mark removed, then upload",
        quarantine_upload::look,
    ),
    super::rules::rule(
        "datastore_upload",
        "process",
        Some("AN1515"),
        15_672_108,
        "taken from a datastore, then uploaded",
        datastore_upload::look,
    ),
];

/// Of a process that is only one of several in question, nothing is said below this confidence.
const SAID_FROM: f32 = 0.5;

/// What a program does now, in the eyes of the analytics.
#[derive(Clone, Debug)]
pub struct View {
    /// The program.
    pub program: Program,
    /// The process as attribution has it.
    pub process: Arc<Process>,
    /// How it was joined.
    pub level: Level,
    /// Chance that it is the right one.
    pub confidence: f32,
    /// What is usual for it.
    pub habit: Habit,
    /// What came before.
    pub story: Story,
    /// The destination is one it talks to by its nature.
    pub expected: bool,
}

/// Bytes that left, and who sent them.
#[derive(Clone, Copy, Debug)]
pub struct Activity<'a> {
    /// Place of the host.
    pub host: u32,
    /// Place of the destination.
    pub target: u32,
    /// Service, for what is usual of it.
    pub service: &'a Arc<str>,
    /// The same in the catalogue.
    pub service_id: Option<ServiceId>,
    /// Who.
    pub said: &'a Attribution,
    /// New bytes out.
    pub bytes: u64,
    /// When.
    pub now: Timestamp,
}

/// See the module.
#[derive(Debug, Default)]
pub struct Watch {
    programs: Programs,
    stories: Stories,
    habits: Habits,
    hash: foldhash::fast::FixedState,
    judged: Map<u64, Judged>,
}

/// A process that was judged before: its program, and the place of that among habits.
type Judged = (Arc<Process>, Arc<Program>, u64);

/// Processes that are remembered as they were judged.
const MAX_JUDGED: usize = 1 << 14;

impl Watch {
    /// With the lists of the signatures and the site.
    pub fn new(catalogue: &Catalogue, config: &DetectConfig) -> Self {
        Self { programs: Programs::new(catalogue, config), ..Self::default() }
    }

    /// Takes an event; `key` is the identity of its process, for the joiner. True when it may change what is thought
    /// of an upload that is going on or has just ended.
    pub fn event(&mut self, event: &EndpointEvent, key: u64, now: Timestamp) -> bool {
        let proc = match event {
            EndpointEvent::Process(e) => &e.proc,
            EndpointEvent::Connect(e) => &e.proc,
            EndpointEvent::File(e) => &e.proc,
            EndpointEvent::Dns(_) | EndpointEvent::Address(_) => return false,
        };
        let image = Image::from(proc);
        if let EndpointEvent::Process(_) = event {
            self.programs.learn(&image);
        }
        let program = self.programs.judge(&image);
        self.stories.event(event, key, &program, now).is_some_and(|deed| deed != Deed::Read)
    }

    /// The program of a process, and its place among habits.
    fn program(&mut self, process: &Arc<Process>) -> (Arc<Program>, u64) {
        if let Some((of, program, place)) = self.judged.get(&process.key)
            && Arc::ptr_eq(of, process)
        {
            return (Arc::clone(program), *place);
        }
        let (program, place) = self.judge(process);
        let program = Arc::new(program);
        if self.judged.len() >= MAX_JUDGED {
            self.judged.clear();
        }
        self.judged.insert(process.key, (Arc::clone(process), Arc::clone(&program), place));
        (program, place)
    }

    fn judge(&self, process: &Process) -> (Program, u64) {
        let program = self.programs.judge(&Image {
            name: &process.name,
            path: process.path.as_deref(),
            original_name: process.original_name.as_deref(),
            command_line: process.command_line.as_deref(),
            sha256: process.sha256,
        });
        let mut hasher = self.hash.build_hasher();
        hasher.write(program.name.as_bytes());
        (program, hasher.finish())
    }

    /// The place among habits of the program that an attribution names, if it is sure enough to be said.
    pub fn place(&mut self, said: &Attribution) -> Option<u64> {
        let process = said.process.as_ref().filter(|_| said.confidence >= SAID_FROM)?;
        Some(self.program(process).1)
    }

    /// Books bytes. True when it is worth a [`View`].
    pub fn sent(&mut self, a: &Activity<'_>) -> bool {
        match self.place(a.said) {
            Some(place) => self.habits.sent((a.host, a.target, place), a.service, a.now.secs(), a.bytes),
            None => false,
        }
    }

    /// Bytes turn out to have been sent by another program.
    pub fn withdraw(&mut self, host: u32, target: u32, place: u64, bytes: u64) {
        self.habits.withdraw((host, target, place), bytes);
    }

    /// The host of a process, as its log calls it.
    pub fn host_of(&self, process: u64) -> Option<Arc<str>> {
        self.stories.host_of(process)
    }

    /// What is usual for programs, for keeping.
    pub fn habits(&self) -> &Habits {
        &self.habits
    }

    /// Goes on with what was kept.
    pub fn restore(&mut self, habits: Habits) {
        self.habits = habits;
    }

    /// What the analytics look at.
    pub fn view(&self, a: &Activity<'_>, window: Span) -> Option<View> {
        let process = a.said.process.as_ref().filter(|_| a.said.confidence >= SAID_FROM)?;
        let (program, place) = self.judge(process);
        let expected = a.service_id.is_some_and(|id| program.services.contains(&id));
        Some(View {
            habit: self.habits.habit((a.host, a.target, place), a.service),
            story: self.stories.before(process.key, a.now, window),
            process: Arc::clone(process),
            level: a.said.level,
            confidence: a.said.confidence,
            program,
            expected,
        })
    }
}

impl View {
    /// The program as a reader should know it: `chrome, in truth rclone (built under another name)`.
    fn who(&self) -> String {
        let name = if self.process.name.is_empty() { "a process" } else { &*self.process.name };
        let mut who = name.to_owned();
        if let Some(disguise) = self.program.disguise {
            if *self.program.name == *self.process.name {
                who = format!("{name} ({})", disguise.words());
            } else {
                who = format!("{name}, which looks like {} ({})", self.program.name, disguise.words());
            }
        }
        if self.confidence < 0.9 {
            who.push_str(", as far as can be told,");
        }
        who
    }

    /// What of the story belongs to a finding, as words behind a sentence.
    fn told(&self, deeds: &[Deed]) -> String {
        let facts = self.story.facts.iter().filter(|f| deeds.contains(&f.deed));
        let mut parts: Vec<String> = facts.map(Fact::told).collect();
        parts.dedup();
        let more = parts.len().saturating_sub(4);
        parts.truncate(4);
        if more > 0 {
            parts.push(format!("{more} more"));
        }
        if parts.is_empty() {
            return String::new();
        }
        let order = if self.story.ordered { "before" } else { "near" };
        format!("; {order} it: {}", parts.join(", "))
    }

    /// The story as records show it.
    pub fn steps(&self) -> Vec<Step> {
        let skipped = self.story.facts.len().saturating_sub(MAX_FILES);
        // The newest, but never without what was packed or taken.
        let telling = |f: &&Fact| !matches!(f.deed, Deed::Read | Deed::Wrote);
        let (first, rest): (Vec<&Fact>, Vec<&Fact>) = self.story.facts.iter().partition(|f| telling(f));
        let mut list: Vec<&Fact> = if skipped == 0 {
            first.into_iter().chain(rest).collect()
        } else {
            first.into_iter().rev().chain(rest.into_iter().rev()).take(MAX_FILES).collect()
        };
        list.sort_by_key(|f| (f.at, f.deed));
        list.into_iter().map(Fact::step).collect()
    }

    /// Less sure, less strong.
    fn doubt(&self) -> f64 {
        f64::from(self.confidence.clamp(0.1, 1.0)).log10()
    }
}

/// Places where a person's or a company's files can be put that are not the site's.
fn takes_files(kind: Kind) -> bool {
    matches!(
        kind,
        Kind::Storage | Kind::Anonymous | Kind::Object | Kind::Code | Kind::Text | Kind::Hook | Kind::Chat
    )
}

/// The same, and places of which nothing is known.
fn is_outside(kind: Kind) -> bool {
    !matches!(kind, Kind::Own | Kind::Noise)
}

/// A finding whose severity follows from its strength: what is not worth an alert by itself stays in the log.
#[allow(clippy::unnecessary_wraps)] // every analytic ends with it
fn found(view: &View, score: f64, least: Severity, threshold: u64, text: String) -> Option<Finding> {
    let score = score + view.doubt();
    let severity = if score >= 0.0 { least.max(Severity::Medium) } else { Severity::Low };
    Some(Finding { score, severity, threshold, text })
}

/// The program and the sight of it, where there is one.
fn seen<'s>(s: &'s Sight<'_>) -> Option<&'s View> {
    s.process.as_deref()
}
