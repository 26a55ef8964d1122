//! Processes by their identity, and by host and pid where a log has nothing better.
//!
//! A pid is used again within minutes (6 of 100 within six, measured), so it is never a key alone: an event that only has
//! a pid belongs to the newest process of that pid whose program is the same, and makes one of its own otherwise.

use super::attribution::{ParentProcess, Process};
use crate::detect::Map;
use crate::endpoint::{Proc, ProcessKind};
use std::collections::VecDeque;
use std::hash::BuildHasher;
use std::sync::Arc;

/// Processes remembered.
const MAX_PROCESSES: usize = 500_000;
/// Processes of one pid remembered.
const PER_PID: usize = 4;
/// Command lines are cut to so many bytes; those of watched programs are kept longer.
const COMMAND_MAX: usize = 256;
const COMMAND_MAX_WATCHED: usize = 1_024;

/// A process and what is known of its life, by its host's clock.
#[derive(Debug)]
struct Entry {
    process: Arc<Process>,
    host: u32,
    ended: Option<i64>,
    /// Used since the hand went by.
    used: bool,
}

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Processes {
    by_key: Map<u64, Entry>,
    by_pid: Map<(u32, u32), Vec<u64>>,
    order: VecDeque<u64>,
    hash: foldhash::fast::RandomState,
    pub evicted: u64,
}

/// What an event says of a process.
#[derive(Clone, Copy, Debug)]
pub(super) struct Said<'e> {
    pub host: u32,
    /// When, by the clock of the event.
    pub at: i64,
    pub proc: &'e Proc,
    pub kind: Option<ProcessKind>,
    /// The program is on a list: more of its command line is kept.
    pub watched: bool,
}

impl Processes {
    /// Takes what an event says of a process, and gives its key.
    pub(super) fn learn(&mut self, said: &Said<'_>) -> u64 {
        let key = self.key(said);
        if let Some(entry) = self.by_key.get_mut(&key) {
            entry.used = true;
            enrich(&mut entry.process, said);
            if said.kind == Some(ProcessKind::Exit) {
                entry.ended = Some(said.at);
            }
            return key;
        }
        self.make_room();
        let mut process = Arc::new(Process { key, ..Process::default() });
        enrich(&mut process, said);
        let ended = (said.kind == Some(ProcessKind::Exit)).then_some(said.at);
        self.by_key.insert(key, Entry { process, host: said.host, ended, used: false });
        self.order.push_back(key);
        if let Some(pid) = said.proc.pid {
            let pids = self.by_pid.entry((said.host, pid)).or_default();
            if pids.len() >= PER_PID {
                pids.remove(0);
            }
            pids.push(key);
        }
        key
    }

    fn key(&self, said: &Said<'_>) -> u64 {
        if let Some(entity) = said.proc.entity {
            return entity;
        }
        let pid = said.proc.pid.unwrap_or(0);
        let pids = self.by_pid.get(&(said.host, pid)).map_or(&[][..], Vec::as_slice);
        let begins = said.kind == Some(ProcessKind::Start);
        let same = |key: &&u64| {
            self.by_key.get(*key).is_some_and(|e| {
                let name = e.process.name.is_empty() || said.proc.name.is_empty();
                !begins && (name || e.process.name == said.proc.name)
            })
        };
        let known = pids.iter().rev().find(same).copied();
        known.unwrap_or_else(|| {
            let turn = if begins { said.at } else { 0 };
            self.hash.hash_one((said.host, pid, &said.proc.name, said.proc.start, turn))
        })
    }

    /// A process by its key.
    pub(super) fn find(&self, key: u64) -> Option<&Arc<Process>> {
        self.by_key.get(&key).map(|e| &e.process)
    }

    /// It has not ended by `at` of its own clock, as far as is known.
    pub(super) fn is_alive(&self, key: u64, at: i64) -> bool {
        self.by_key.get(&key).is_some_and(|e| e.ended.is_none_or(|end| end >= at))
    }

    fn make_room(&mut self) {
        // Second chance: what was used since goes to the end of the line once.
        while self.by_key.len() >= MAX_PROCESSES {
            let Some(key) = self.order.pop_front() else { return };
            let Some(entry) = self.by_key.get_mut(&key) else { continue };
            if std::mem::take(&mut entry.used) {
                self.order.push_back(key);
                continue;
            }
            let slot = (entry.host, entry.process.pid.unwrap_or(0));
            self.by_key.remove(&key);
            self.evicted += 1;
            if let Some(pids) = self.by_pid.get_mut(&slot) {
                pids.retain(|k| *k != key);
                if pids.is_empty() {
                    self.by_pid.remove(&slot);
                }
            }
        }
    }

    pub(super) fn len(&self) -> usize {
        self.by_key.len()
    }
}

/// Adds what an event says and the process does not have.
fn enrich(process: &mut Arc<Process>, said: &Said<'_>) {
    let proc = said.proc;
    let parent = |p: &ParentProcess| p.name.is_empty() || p.path.is_none();
    let wants = (process.name.is_empty() && !proc.name.is_empty())
        || (process.path.is_none() && proc.path.is_some())
        || (process.pid.is_none() && proc.pid.is_some())
        || (process.start.is_none() && proc.start.is_some())
        || (process.command_line.is_none() && proc.command_line.is_some())
        || (process.user.is_none() && proc.user.is_some())
        || (process.original_name.is_none() && proc.original_name.is_some())
        || (process.sha256.is_none() && proc.sha256.is_some())
        || (process.signer.is_none() && proc.signer.is_some())
        || (process.container.is_none() && proc.container.is_some())
        || (proc.parent.is_some() && process.parent.as_deref().is_none_or(parent));
    if !wants {
        return;
    }
    let p = Arc::make_mut(process);
    if p.name.is_empty() {
        p.name = Arc::clone(&proc.name);
    }
    let fill = |mine: &mut Option<Arc<str>>, theirs: &Option<Arc<str>>| {
        if mine.is_none() {
            mine.clone_from(theirs);
        }
    };
    fill(&mut p.path, &proc.path);
    fill(&mut p.user, &proc.user);
    fill(&mut p.original_name, &proc.original_name);
    fill(&mut p.signer, &proc.signer);
    fill(&mut p.container, &proc.container);
    if p.command_line.is_none() {
        let room = if said.watched { COMMAND_MAX_WATCHED } else { COMMAND_MAX };
        p.command_line = proc.command_line.as_ref().map(|c| cut(c, room));
    }
    p.pid = p.pid.or(proc.pid);
    p.start = p.start.or(proc.start);
    p.sha256 = p.sha256.or(proc.sha256);
    if let Some(parent) = &proc.parent {
        p.parent = Some(Arc::new(ParentProcess {
            key: parent.entity,
            name: Arc::clone(&parent.name),
            path: parent.path.clone(),
            pid: parent.pid,
        }));
    }
}

fn cut(text: &Arc<str>, room: usize) -> Arc<str> {
    if text.len() <= room {
        return Arc::clone(text);
    }
    let mut end = room;
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    Arc::from(text.get(..end).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn proc(entity: Option<u64>, pid: u32, name: &str) -> Proc {
        Proc { entity, pid: Some(pid), name: name.into(), ..Proc::default() }
    }

    fn said(proc: &Proc, at: i64, kind: Option<ProcessKind>) -> Said<'_> {
        Said { host: 1, at, proc, kind, watched: false }
    }

    #[test]
    fn a_pid_that_is_used_again_is_another_process() {
        let mut table = Processes::default();
        let first = table.learn(&said(&proc(Some(7), 100, "curl"), 0, Some(ProcessKind::Start)));
        let by_pid = table.learn(&said(&proc(None, 100, "curl"), 1, None));
        assert_eq!(first, by_pid);
        let other = table.learn(&said(&proc(None, 100, "git"), 2, None));
        assert_ne!(first, other);
        let again = table.learn(&said(&proc(None, 100, "git"), 9, Some(ProcessKind::Start)));
        assert_ne!(other, again);
        assert_eq!(table.learn(&said(&proc(None, 100, "git"), 10, None)), again);
    }

    #[test]
    fn later_events_fill_in() {
        let mut table = Processes::default();
        let key = table.learn(&said(&proc(Some(7), 100, "curl"), 0, None));
        let long: Arc<str> = "é".repeat(700).into();
        let more = Proc { command_line: Some(long), user: Some("ann".into()), ..proc(Some(7), 100, "curl") };
        table.learn(&said(&more, 1, Some(ProcessKind::Start)));
        let found = table.find(key).expect("known");
        assert_eq!(found.user.as_deref(), Some("ann"));
        assert_eq!(found.command_line.as_ref().map(|c| c.len()), Some(COMMAND_MAX));
        assert!(table.is_alive(key, 5));
        table.learn(&said(&more, 6, Some(ProcessKind::Exit)));
        assert!(table.is_alive(key, 5) && !table.is_alive(key, 7));
    }
}
