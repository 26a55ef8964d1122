//! Flow logs read back: Zeek and Suricata logs in, the same tellings out that workers would have made of the packets.
//!
//! A log tells of a connection when it is over, so that what happened lies in the past of the line. The rule:
//!
//! 1. Files are read together, each as far as the others, by the time at which their lines were written (a
//!    connection's end; the time of an event). The clock follows the reading at a distance, [`AHEAD`]. Between the two
//!    lies what is held: so every connection that lasted less than that is told in its own time, and `now`, the
//!    clock that the detector sees, never goes backwards.
//! 2. A connection is opened at its start, with the name that has come for it by then (its uid joins the logs); its
//!    bytes are told in at most 24 steps of five minutes or more, in proportion to the time gone (`spread`), and its
//!    sum at its end. So sums over hours and days are those of the packets, and an alert is dated where the packets
//!    would have raised it, not where the line was written.
//! 3. A connection that lasted longer than [`AHEAD`] (or comes late because files are damaged or out of order) has a
//!    past that the clock has left behind. It waits 15 minutes for its name, and then all that should have moved by
//!    now is booked now; the rest in its time. It is counted `late`.
//! 4. What is held is bounded (`hold::HELD_MAX`). When there is more, the clock follows more closely, and what is
//!    told before all of its time has been read is counted `hurried`.
//!
//! Names that come before their connection wait for it for seven days at most (Zeek writes a hello at the handshake,
//! the connection days later if it lasts that long); a connection whose name never comes is unnamed, and DNS speaks.

mod agenda;
pub mod cells;
pub mod entry;
mod facts;
mod hold;
mod input;
mod join;
pub mod json;
pub mod keep;
mod lines;
pub mod sheet;
mod spread;
mod tally;
mod uid;
pub mod value;
pub mod zeek;

#[cfg(test)]
mod tests;

pub use entry::Bad;
pub use hold::HoldCounters;
pub use tally::Tally;

use crate::capture::Fault;
use crate::capture::listing::{self, Found};
use crate::detect::Map;
use crate::observe::Told;
use crate::units::{Span, Timestamp};
use entry::Maker;
use hold::Hold;
use input::{Input, Read};
use keep::Known;
use std::path::{Path, PathBuf};

/// How far the reading is ahead of the clock.
pub const AHEAD: Span = Span::from_secs(86_400);
/// A file is read so much further than the one that is behind it, before that is asked again.
const SLACK: Span = Span::from_secs(1);
/// Lines read of one file before the others are asked.
const TURN: usize = 1_024;
/// Files that are kept open while their turn is far off. More than that are opened again when it comes.
const OPEN_MAX: usize = 64;

/// A file of the run.
struct Source {
    path: PathBuf,
    size: u64,
    state: State,
    /// It has been read to its end, and no checkpoint says so yet.
    ended: Option<(u64, keep::Progress)>,
}

enum State {
    /// Begins at this time, as far as the clock is concerned.
    Waiting(Timestamp),
    Open(Box<Input>),
    Done,
}

/// See the module.
pub struct History {
    sources: Vec<Source>,
    ahead: Span,
    maker: Maker,
    hold: Hold,
    tally: Tally,
    /// What is known of logs by their first entries.
    inputs: Map<u64, keep::Progress>,
    faults: Vec<Fault>,
    /// The latest time read.
    read_to: Timestamp,
    /// Bytes of files that are done, and of all.
    read: u64,
    size: Option<u64>,
}

impl History {
    /// Looks at the files that `paths` stand for. `echo`: names are to be logged again.
    pub fn open(paths: &[PathBuf], echo: bool) -> Self {
        Self::go_on(paths, echo, keep::Earlier::default())
    }

    /// The same where an earlier run has come to `earlier`.
    pub fn go_on(paths: &[PathBuf], echo: bool, earlier: keep::Earlier) -> Self {
        let mut faults = Vec::new();
        let found = listing::list(paths, &mut faults);
        let mut history = Self {
            sources: Vec::new(),
            ahead: AHEAD,
            maker: Maker::default(),
            hold: Hold::new(echo),
            tally: Tally::default(),
            inputs: Map::default(),
            faults,
            read_to: Timestamp::MIN,
            read: 0,
            size: Some(0),
        };
        history.resume(earlier);
        let keep = found.len() <= OPEN_MAX;
        for found in found {
            history.look(found, keep);
        }
        history
    }

    /// Opens a file to see whether it is a log, and when it begins.
    fn look(&mut self, found: Found, keep: bool) {
        let Found { path, named } = found;
        let mut input = match Input::open(&path) {
            Ok(input) => input,
            Err(e) => return self.fault(&path, &format!("cannot be read: {e}")),
        };
        // What is read twice is counted once: when it is read to the end.
        let mut tally = Tally::default();
        tally.at(&path);
        let live = input.is_live();
        let begins = input.look(&mut self.maker, &mut tally);
        let (good, bad) = input.judged();
        if good == 0 {
            if let Some(why) = input.broken() {
                self.fault(&path, &why);
            } else if named && bad > 0 {
                self.fault(
                    &path,
                    "is no log that is read: Zeek (conn, ssl, quic, http, dns, dhcp), Suricata EVE, or a proxy's or \
                     firewall's (docs/logs.md)",
                );
            }
            return;
        }
        let size = std::fs::metadata(&path).map_or(0, |m| m.len());
        self.size = self.size.filter(|_| !live).map(|all| all + size);
        let known = self.known(size, &mut input);
        let state = if known == Known::Done {
            self.read += size;
            State::Done
        } else if known == Known::Begun {
            State::Open(Box::new(input))
        } else if keep || live {
            self.tally.merge(&tally);
            State::Open(Box::new(input))
        } else if begins {
            State::Waiting(input.reached(self.ahead))
        } else {
            State::Waiting(Timestamp::MIN)
        };
        self.sources.push(Source { path, size, state, ended: None });
    }

    fn fault(&mut self, path: &Path, what: &str) {
        self.faults.push(Fault { file: path.to_owned(), offset: None, what: what.to_owned() });
    }

    /// Reads on and appends what is due then. False: everything has been told.
    pub fn fill(&mut self, out: &mut Vec<Told>) -> bool {
        let Some((at, until)) = self.turn() else {
            self.hold.tell(None, &mut self.maker.names, out);
            return !out.is_empty();
        };
        self.read_on(at, until);
        let reached = self.sources.iter().filter_map(|s| s.reached(self.ahead)).min();
        if let Some(reached) = reached {
            self.hold.tell(Some(reached), &mut self.maker.names, out);
        }
        true
    }

    /// The file that is behind all others, and the time of the next one.
    fn turn(&self) -> Option<(usize, Timestamp)> {
        let mut behind: Option<(Timestamp, usize)> = None;
        let mut next = Timestamp::from_nanos(i64::MAX);
        for (i, source) in self.sources.iter().enumerate() {
            let Some(reached) = source.reached(self.ahead) else { continue };
            match behind {
                Some((least, _)) if reached >= least => next = next.min(reached),
                _ => {
                    next = behind.map_or(next, |(least, _)| least);
                    behind = Some((reached, i));
                }
            }
        }
        behind.map(|(_, i)| (i, next))
    }

    /// Reads some lines of a file, not much further than `until`.
    fn read_on(&mut self, at: usize, until: Timestamp) {
        let Some(source) = self.sources.get_mut(at) else { return };
        self.tally.at(&source.path);
        if let State::Waiting(_) = source.state {
            match Input::open(&source.path) {
                Ok(input) => source.state = State::Open(Box::new(input)),
                Err(e) => {
                    source.state = State::Done;
                    let what = format!("cannot be read any more: {e}");
                    self.faults.push(Fault { file: source.path.clone(), offset: None, what });
                    return;
                }
            }
        }
        let State::Open(input) = &mut source.state else { return };
        for turn in 0..TURN {
            match input.next(&mut self.maker, &mut self.tally) {
                Read::Entry(entry) => self.hold.add(entry),
                Read::Nothing => {}
                Read::End => {
                    self.read_to = self.read_to.max(input.written());
                    if let Some(what) = input.broken() {
                        self.faults.push(Fault { file: source.path.clone(), offset: None, what });
                    }
                    self.read += source.size;
                    if let State::Open(input) = std::mem::replace(&mut source.state, State::Done) {
                        self.note_done(at, &input);
                    }
                    return;
                }
            }
            if turn % 16 == 15 && input.reached(self.ahead) > until.plus(SLACK) {
                return;
            }
        }
    }

    /// All files have been read; what is held is told next.
    pub fn is_read(&self) -> bool {
        self.sources.iter().all(|s| matches!(s.state, State::Done))
    }

    /// The clock of the detector.
    pub fn now(&self) -> Timestamp {
        self.hold.now()
    }

    /// The time up to which logs have been read: ahead of the clock.
    pub fn read_to(&self) -> Timestamp {
        let open = self.sources.iter().filter_map(|s| match &s.state {
            State::Open(input) => Some(input.written()),
            State::Waiting(_) | State::Done => None,
        });
        open.max().unwrap_or(Timestamp::MIN).max(self.read_to).max(self.hold.now())
    }

    /// First and last time told.
    pub fn span(&self) -> Option<(Timestamp, Timestamp)> {
        self.hold.first().map(|first| (first, self.hold.now()))
    }

    /// Lines read, good and bad.
    pub fn tally(&self) -> &Tally {
        &self.tally
    }

    /// What was held and told.
    pub fn counters(&self) -> HoldCounters {
        self.hold.counters()
    }

    /// What was wrong with whole files.
    pub fn faults(&self) -> &[Fault] {
        &self.faults
    }

    /// Bytes read from the disk, and all there are.
    pub fn progress(&self) -> (u64, Option<u64>) {
        let open = |s: &Source| match &s.state {
            State::Open(input) => input.disk_bytes(),
            State::Waiting(_) | State::Done => 0,
        };
        (self.read + self.sources.iter().map(open).sum::<u64>(), self.size)
    }
}

impl Source {
    fn reached(&self, ahead: Span) -> Option<Timestamp> {
        match &self.state {
            State::Waiting(at) => Some(*at),
            State::Open(input) => Some(input.reached(ahead)),
            State::Done => None,
        }
    }
}
