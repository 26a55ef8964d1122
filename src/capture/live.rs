//! Live interfaces: for each worker a [`Tap`] with one door per interface; on Linux that is a ring, all rings of an
//! interface in one fanout group.
//!
//! An interface that goes down is waited for. One that is removed and made again gets new rings, opened all at once
//! and in the same order, because the kernel deals by that order.

use super::bpf::{Filter, with_snap};
use super::door::{self, Door};
use super::interface::{Interface, RingConfig, RingCounters};
use super::{Lent, Slot};
use crate::shard::{Instruction, Shards};
use crate::units::Timestamp;
use std::fmt;
use std::io;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// How often an interface that went away is looked for.
const LOOK_EVERY: Duration = Duration::from_millis(200);

/// What to capture, and how.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub struct LiveConfig {
    /// Names of the interfaces.
    pub interfaces: Vec<String>,
    /// The ring of each worker on each interface.
    pub ring: RingConfig,
    /// Only frames that this lets through.
    pub filter: Option<Filter>,
}

/// Something that an operator should know of.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Notice {
    /// Every ring is open and takes in frames.
    Ready,
    /// The interface was switched off; its rings stay.
    Down(String),
    /// The interface was removed.
    Gone(String),
    /// It is back.
    Back(String),
    /// The interface is back, and cannot be opened.
    Failed(String, String),
    /// The kernel dropped so many frames of so many since the last such notice.
    Drops(u64, u64),
    /// The detector is behind: so many tellings have been left out since the last such notice.
    Behind(u64),
    /// The writer is behind: so many records have been left out since the last such notice.
    LogsBehind(u64),
    /// So many flows of so many were closed early since the last such notice, because the table was full.
    TableFull(u64, u64),
    /// What should have been seen within an hour and was not, with what helps.
    Blind(&'static str),
    /// A log cannot be written or put away: why, and how many lines have been lost to that so far.
    Log(String, u64),
    /// A feed of endpoint logs: what is wrong with it, or that it is well again.
    Feed(String),
}

impl fmt::Display for Notice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ready => f.write_str("capturing"),
            Self::Blind(what) => f.write_str(what),
            Self::Down(name) => write!(f, "{name} is down; capture goes on when it is up again"),
            Self::Gone(name) => write!(f, "{name} is gone; capture goes on when it is back"),
            Self::Back(name) => write!(f, "{name} is back"),
            Self::Failed(name, why) => write!(f, "{name} is back, but cannot be opened: {why}"),
            Self::Drops(drops, frames) => write!(
                f,
                "the kernel dropped {drops} of {frames} frames; more workers or a larger ring help (docs/live.md)"
            ),
            Self::Behind(tellings) => write!(
                f,
                "detection cannot keep up: {tellings} records left out or summed (stats: tell.thinned); more cores help"
            ),
            Self::LogsBehind(records) => write!(
                f,
                "the logs cannot keep up: {records} records left out (stats: output.dropped); a faster disk or fewer \
                 --log kinds help"
            ),
            Self::TableFull(evicted, opened) => write!(
                f,
                "the flow table is full: {evicted} of {opened} flows closed early; raise flows.table"
            ),
            Self::Feed(what) => write!(f, "endpoint logs: {what}"),
            Self::Log(why, 0) => write!(f, "logs: {why}"),
            Self::Log(why, lost) => {
                write!(f, "logs: {why}; {lost} lines lost so far (stats: output.dropped)")
            }
        }
    }
}

/// The rings of one worker.
pub struct Tap {
    lanes: Vec<Lane>,
    looked: Instant,
}

/// One interface of a tap.
struct Lane {
    /// Which of the group's rings is ours.
    member: usize,
    group: Arc<Group>,
    door: Option<Door>,
    /// What rings counted that have been closed.
    closed: RingCounters,
    slots: Vec<Slot>,
}

/// What the workers share of one interface.
struct Group {
    name: String,
    config: RingConfig,
    filter: Option<Filter>,
    shards: Shards,
    workers: usize,
    state: Mutex<GroupState>,
}

#[derive(Default)]
struct GroupState {
    /// What the rings let through, fitted to the interface and the snap length; empty: every frame.
    program: Vec<Instruction>,
    /// Doors that wait for their worker.
    ready: Vec<Option<Door>>,
    /// Workers that have closed theirs.
    closed: usize,
    /// Has been told to be down or gone.
    away: bool,
    /// Why it could not be opened again, as last told.
    failed: Option<String>,
}

/// Every interface.
pub fn interfaces() -> io::Result<Vec<Interface>> {
    door::interfaces()
}

/// Whether interfaces may be opened at all.
pub fn may_open() -> io::Result<()> {
    door::may_open()
}

/// Opens every interface for `workers` workers; nothing is taken in until [`Tap::start`]. The error is a whole
/// message.
pub fn open(config: &LiveConfig, shards: Shards, workers: usize) -> Result<Vec<Tap>, String> {
    let looked = Instant::now();
    let mut taps: Vec<Tap> = (0..workers).map(|_| Tap { lanes: Vec::new(), looked }).collect();
    for name in &config.interfaces {
        let group = Arc::new(Group {
            name: name.clone(),
            config: config.ring,
            filter: config.filter.clone(),
            shards,
            workers,
            state: Mutex::default(),
        });
        let doors = group.open().map_err(|error| explained(name, &error))?;
        group.lock().program = group.program().map_err(|error| error.to_string())?;
        for (member, (tap, door)) in taps.iter_mut().zip(doors).enumerate() {
            let group = Arc::clone(&group);
            let (door, closed, slots) = (Some(door), RingCounters::default(), Vec::new());
            tap.lanes.push(Lane { member, group, door, closed, slots });
        }
    }
    Ok(taps)
}

/// Why an interface cannot be opened, and what helps.
fn explained(name: &str, error: &io::Error) -> String {
    match error.raw_os_error() {
        Some(libc::EPERM | libc::EACCES) => format!(
            "{name}: packet capture is not permitted; run as root, or once: sudo setcap cap_net_raw=ep PATH/TO/egret"
        ),
        Some(libc::ENODEV) => format!("{name}: no such interface; `egret interfaces` lists them"),
        Some(libc::ENETDOWN) => format!("{name}: the interface is down; switch it on: ip link set {name} up"),
        Some(libc::ENOMEM | libc::ENOBUFS | libc::EINVAL) => {
            format!("{name}: no ring of this size: {error}; ask for a smaller one or fewer workers")
        }
        _ => format!("{name}: cannot be captured from: {error}"),
    }
}

impl Tap {
    /// Begins to take in frames.
    pub fn start(&mut self) -> io::Result<()> {
        for lane in &mut self.lanes {
            if let Some(door) = &mut lane.door {
                door.start(&lane.group.lock().program)?;
            }
        }
        Ok(())
    }

    /// Takes in no more; what has come can still be read.
    pub fn stop(&mut self) {
        self.lanes.iter_mut().filter_map(|lane| lane.door.as_mut()).for_each(Door::stop);
    }

    /// Lends the next piece of each interface, the one with the earliest first frame first. Gives their number.
    pub fn read(&mut self, mut take: impl FnMut(Lent<'_>)) -> usize {
        let mut pieces = Vec::with_capacity(self.lanes.len());
        for lane in &mut self.lanes {
            let Lane { door: Some(door), slots, .. } = lane else { continue };
            let Some(piece) = door.take(slots) else { continue };
            let first = piece.lend().slots.first().map_or(Timestamp::MIN, |slot| slot.at);
            pieces.push((first, piece));
        }
        pieces.sort_by_key(|(first, _)| *first);
        let read = pieces.len();
        for (_, piece) in pieces {
            take(piece.lend());
        }
        read
    }

    /// Waits for frames.
    pub fn wait(&self, timeout: Duration) -> bool {
        door::wait(self.lanes.iter().filter_map(|lane| lane.door.as_ref()), timeout)
    }

    /// Looks after interfaces that went away. Call when there is nothing to read.
    pub fn look_after(&mut self, notice: &mut dyn FnMut(Notice)) {
        let due = self.looked.elapsed() >= LOOK_EVERY;
        if due {
            self.looked = Instant::now();
        }
        for lane in &mut self.lanes {
            lane.look_after(due, notice);
        }
    }

    /// What the kernel counted for this worker.
    pub fn counters(&mut self) -> RingCounters {
        let mut sum = RingCounters::default();
        for lane in &mut self.lanes {
            sum.add(&lane.closed);
            sum.add(&lane.door.as_mut().map(Door::counters).unwrap_or_default());
        }
        sum
    }
}

impl Lane {
    fn look_after(&mut self, due: bool, notice: &mut dyn FnMut(Notice)) {
        let Some(door) = &mut self.door else {
            if due {
                self.door = self.group.again(self.member, notice);
            }
            return;
        };
        if door.take_error().is_some() {
            let gone = self.group.went_away(door.interface().index, notice);
            if gone {
                self.closed.add(&door.counters());
                self.door = None;
                self.group.lock().closed += 1;
            }
        } else if due {
            self.group.came_back(notice);
        }
    }
}

impl Group {
    /// Opens a door for every worker.
    fn open(&self) -> io::Result<Vec<Door>> {
        let interface = self.interface()?.ok_or_else(|| io::Error::from_raw_os_error(libc::ENODEV))?;
        if !interface.up {
            return Err(io::Error::from_raw_os_error(libc::ENETDOWN));
        }
        Door::open(&interface, self.config, &self.shards, self.workers)
    }

    /// The filter for this interface as it is now.
    fn program(&self) -> io::Result<Vec<Instruction>> {
        let Some(filter) = &self.filter else { return Ok(Vec::new()) };
        let program = filter.for_interface(&self.name).map_err(|bad| io::Error::other(bad.to_string()))?;
        Ok(with_snap(&program, self.config.snap))
    }

    fn interface(&self) -> io::Result<Option<Interface>> {
        Ok(door::interfaces()?.into_iter().find(|i| i.name == self.name))
    }

    /// An interface has given an error: tells, and says whether it is gone for good.
    fn went_away(&self, index: u32, notice: &mut dyn FnMut(Notice)) -> bool {
        let gone = !matches!(self.interface(), Ok(Some(i)) if i.index == index);
        let mut state = self.lock();
        if !state.away {
            state.away = true;
            let name = self.name.clone();
            notice(if gone { Notice::Gone(name) } else { Notice::Down(name) });
        }
        gone
    }

    /// One that was down: tells when it is up.
    fn came_back(&self, notice: &mut dyn FnMut(Notice)) {
        let mut state = self.lock();
        if state.away && state.closed == 0 && matches!(self.interface(), Ok(Some(i)) if i.up) {
            state.away = false;
            notice(Notice::Back(self.name.clone()));
        }
    }

    /// The new ring of a worker, once every worker has closed its old one and the interface is there.
    fn again(&self, member: usize, notice: &mut dyn FnMut(Notice)) -> Option<Door> {
        let mut state = self.lock();
        if state.closed == self.workers && matches!(self.interface(), Ok(Some(i)) if i.up) {
            let opened = self.open().and_then(|mut doors| {
                state.program = self.program()?;
                doors.iter_mut().try_for_each(|door| door.start(&state.program))?;
                Ok(doors)
            });
            match opened {
                Ok(doors) => {
                    state.ready = doors.into_iter().map(Some).collect();
                    (state.closed, state.away, state.failed) = (0, false, None);
                    notice(Notice::Back(self.name.clone()));
                }
                Err(error) => {
                    let why = error.to_string();
                    if state.failed.as_ref() != Some(&why) {
                        state.failed = Some(why.clone());
                        notice(Notice::Failed(self.name.clone(), why));
                    }
                }
            }
        }
        state.ready.get_mut(member)?.take()
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, GroupState> {
        // Every change is made whole; a worker that died in between leaves nothing half done.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
