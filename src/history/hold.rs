//! What has been read and is not due yet, and how it is told: the clock's side of the rule that `history` states.

use super::agenda::{Agenda, Due, SLOTS};
use super::entry::{Entry, Flow};
use super::facts::Names;
use super::join::{Waiting, facts_of};
use super::spread;
use crate::observe::{
    Counts, DnsAnswer, EndReason, FlowDelta, FlowSummary, Lease, Place, TcpSeen, Telling, Told, Uploads,
};
use crate::parse::Facts;
use crate::units::{Both, Span, Timestamp};
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// Entries held, at most (about 250 bytes each): beyond it the clock follows the reading more closely.
pub(super) const HELD_MAX: usize = 1 << 20;
const _: () = assert!(HELD_MAX < SLOTS / 2);
/// A connection that comes too late for its own time waits so long for its name.
pub(super) const JOIN: Span = Span::from_secs(15 * 60);
/// A connection shorter than this is told at its end, all at once.
const SHORT: Span = Span::from_secs(10);

/// Something that is due.
#[derive(Clone, Debug, Serialize, Deserialize)]
enum Held {
    /// A connection of which nothing has been told.
    Opening(Box<Flow>),
    /// A connection of which this much has been told, in steps of so many nanoseconds.
    Running {
        flow: Box<Flow>,
        told: Both<u64>,
        stride: Option<i64>,
    },
    Dns(Box<DnsAnswer>),
    Lease(Box<Lease>),
    Free,
}

/// What was held, and what went wrong with it.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug, Serialize, Deserialize)]
pub struct HoldCounters {
    /// Connections told.
    pub flows: u64,
    /// Connections with a name of their own.
    pub named: u64,
    /// DNS answers told.
    pub dns: u64,
    /// Leases told.
    pub leases: u64,
    /// Entries that came after the clock had passed their time, and were booked when they came.
    pub late: u64,
    /// Entries told before all of their time had been read, for want of memory.
    pub hurried: u64,
    /// Names that no connection came for.
    pub unclaimed: u64,
}

/// What is held, as a state file keeps it.
#[derive(Serialize, Deserialize)]
pub(super) struct HoldKept {
    due: Vec<Due>,
    slots: Vec<Held>,
    free: Vec<u32>,
    waiting: Waiting,
    now: Timestamp,
    first: Option<Timestamp>,
    turns: u64,
    counters: HoldCounters,
}

impl HoldKept {
    /// Something waits to be told.
    pub(super) fn holds(&self) -> bool {
        !self.due.is_empty()
    }
}

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Hold {
    due: Agenda,
    slots: Vec<Held>,
    free: Vec<u32>,
    waiting: Waiting,
    now: Timestamp,
    /// `None` before the first telling.
    first: Option<Timestamp>,
    /// Running number of what was pushed and told: the order among equals.
    turns: u64,
    counters: HoldCounters,
    /// Names are to be logged.
    echo: bool,
}

impl Hold {
    pub(super) fn new(echo: bool) -> Self {
        Self { echo, ..Self::default() }
    }

    /// Everything, to be kept.
    pub(super) fn kept(&self) -> HoldKept {
        HoldKept {
            due: self.due.iter().collect(),
            slots: self.slots.clone(),
            free: self.free.clone(),
            waiting: self.waiting.clone(),
            now: self.now,
            first: self.first,
            turns: self.turns,
            counters: self.counters,
        }
    }

    /// Takes back what was kept; what does not fit together is left out.
    pub(super) fn restore(&mut self, kept: HoldKept) {
        let slots = kept.slots.len();
        kept.due.into_iter().filter(|due| due.slot() < slots).for_each(|due| self.due.push(due));
        (self.slots, self.waiting) = (kept.slots, kept.waiting);
        self.free = kept.free;
        self.free.retain(|slot| (*slot as usize) < slots);
        (self.now, self.first, self.turns) = (kept.now, kept.first, kept.turns);
        self.counters = kept.counters;
    }

    /// The clock that the detector sees.
    pub(super) fn now(&self) -> Timestamp {
        self.now
    }

    /// The time of the first telling.
    pub(super) fn first(&self) -> Option<Timestamp> {
        self.first
    }

    pub(super) fn counters(&self) -> HoldCounters {
        let unclaimed = self.waiting.unclaimed + self.waiting.len() as u64;
        HoldCounters { unclaimed, ..self.counters }
    }

    /// Takes an entry in, to be told when it is due. Names go to their connections.
    pub(super) fn add(&mut self, entry: Entry) {
        let (due, held) = match entry {
            Entry::Name { key, at, facts } => return self.waiting.add(key, at, facts),
            Entry::Nothing(_) => return,
            Entry::Dns(answer) => (answer.at, Held::Dns(answer)),
            Entry::Lease(lease) => (lease.at, Held::Lease(lease)),
            Entry::Flow(flow) => {
                let short = flow.last.since(flow.first) <= SHORT;
                (if short { flow.last } else { flow.first }, Held::Opening(flow))
            }
        };
        let late = self.first.is_some() && due < self.now;
        self.counters.late += u64::from(late);
        let wait = if matches!(held, Held::Opening(_)) { JOIN } else { Span::default() };
        self.push(if late { self.now.plus(wait) } else { due }, held);
    }

    /// Tells everything that is due before `until`, and more when there is too much.
    pub(super) fn tell(&mut self, until: Option<Timestamp>, names: &mut Names, out: &mut Vec<Told>) {
        while let Some(next) = self.due.peek() {
            let (due, slot) = (next.at(), next.slot());
            let crowded = self.due.len() > HELD_MAX;
            if until.is_some_and(|until| due >= until) {
                if !crowded {
                    break;
                }
                self.counters.hurried += 1;
            }
            self.due.pop();
            let Some(held) = self.slots.get_mut(slot) else { continue };
            let held = std::mem::replace(held, Held::Free);
            self.free.push(slot as u32);
            self.now = if self.first.is_some() { self.now.max(due) } else { due };
            self.first.get_or_insert(due);
            self.tell_one(held, names, out);
        }
    }

    fn push(&mut self, due: Timestamp, held: Held) {
        let slot = match self.free.pop() {
            Some(slot) => slot,
            None => {
                self.slots.push(Held::Free);
                self.slots.len() as u32 - 1
            }
        };
        if let Some(place) = self.slots.get_mut(slot as usize) {
            *place = held;
        }
        self.turns += 1;
        self.due.push(Due::new(due, self.turns, slot));
    }

    fn tell_one(&mut self, held: Held, names: &mut Names, out: &mut Vec<Told>) {
        match held {
            Held::Opening(flow) => self.open(flow, names, out),
            Held::Running { flow, told, stride } => self.step(flow, told, stride, out),
            Held::Dns(answer) => {
                self.counters.dns += 1;
                self.say(Telling::Dns(answer), out);
            }
            Held::Lease(lease) => {
                self.counters.leases += 1;
                self.say(Telling::Lease(lease), out);
            }
            Held::Free => {}
        }
    }

    fn open(&mut self, mut flow: Box<Flow>, names: &mut Names, out: &mut Vec<Told>) {
        let facts = facts_of(flow.facts.take(), self.waiting.take(flow.key), flow.app, names);
        self.counters.flows += 1;
        self.counters.named += u64::from(facts.is_some());
        let whole = self.now >= flow.last;
        if let Some(facts) = &facts {
            let (id, ends, at, path) = (flow.flow, flow.ends, flow.first, flow.path);
            let what =
                Telling::Named { flow: id, ends, at, facts: Arc::clone(facts), complete: self.echo, path };
            self.say(what, out);
        } else if !whole {
            // Nothing has moved yet, but its name is what DNS says now, not at its end.
            let delta = delta(&flow, flow.first, Both::default(), Both::default(), false);
            self.say(Telling::Delta(delta), out);
        }
        flow.facts = facts.or_else(|| names.nameless(flow.app));
        if whole {
            self.step(flow, Both::default(), None, out);
            return;
        }
        let stride = spread::stride(flow.first, flow.last, flow.bytes);
        self.go_on(flow, Both::default(), stride);
    }

    /// Tells what has moved until now, and at the end the sum.
    fn step(&mut self, flow: Box<Flow>, told: Both<u64>, stride: Option<i64>, out: &mut Vec<Told>) {
        let at = self.now.min(flow.last).max(flow.first);
        let (moved, ended) = (spread::share(flow.bytes, flow.first, flow.last, at), at >= flow.last);
        let bytes =
            Both { up: moved.up - told.up.min(moved.up), down: moved.down - told.down.min(moved.down) };
        let gap = spread::share(flow.gap, flow.first, flow.last, at);
        self.say(Telling::Delta(delta(&flow, at, bytes, gap, ended)), out);
        if ended {
            let facts = flow.facts.clone();
            self.say(Telling::Summary(Box::new(summary(&flow, facts, self.turns))), out);
        } else {
            self.go_on(flow, moved, stride);
        }
    }

    fn go_on(&mut self, flow: Box<Flow>, told: Both<u64>, stride: Option<i64>) {
        let due = stride.map_or(flow.last, |stride| spread::step_end(self.now, flow.last, stride));
        self.push(due, Held::Running { flow, told, stride });
    }

    fn say(&mut self, what: Telling, out: &mut Vec<Told>) {
        self.turns += 1;
        let place = Place { ordinal: self.turns, flow_ordinal: self.turns, turn: 0 };
        out.push(Told { place, now: self.now, what });
    }
}

fn delta(flow: &Flow, at: Timestamp, bytes: Both<u64>, gap: Both<u64>, closed: bool) -> FlowDelta {
    FlowDelta {
        flow: flow.flow,
        ends: flow.ends,
        first: flow.first,
        last: at,
        bytes,
        gap,
        closed,
        midstream: flow.midstream,
        one_way: flow.one_way,
        uploads: Uploads::default(),
    }
}

fn summary(flow: &Flow, facts: Option<Arc<Facts>>, ordinal: u64) -> FlowSummary {
    let counts = |packets, ip, bytes: u64, gap| Counts {
        packets,
        wire: ip,
        ip,
        payload: bytes - gap,
        gap,
        ..Counts::default()
    };
    FlowSummary {
        flow: flow.flow,
        ordinal,
        ends: flow.ends,
        first: flow.first,
        last: flow.last,
        counts: Both {
            up: counts(flow.packets.up, flow.ip.up, flow.bytes.up, flow.gap.up.min(flow.bytes.up)),
            down: counts(
                flow.packets.down,
                flow.ip.down,
                flow.bytes.down,
                flow.gap.down.min(flow.bytes.down),
            ),
        },
        app_followed: None,
        seen: Both { up: seen(&flow.history, true), down: seen(&flow.history, false) },
        history: flow.history,
        midstream: flow.midstream,
        one_way: flow.one_way,
        state: flow.state,
        end: Some(EndReason::Timeout),
        path: flow.path,
        facts,
        since: None,
    }
}

/// Zeek's letters: upper case is the originator.
fn seen(history: &[u8; 16], up: bool) -> TcpSeen {
    let has = |letter: u8| history.contains(&if up { letter.to_ascii_uppercase() } else { letter });
    TcpSeen {
        syn: has(b's'),
        syn_ack: has(b'h'),
        fin: has(b'f'),
        rst: has(b'r'),
        ack: has(b'a'),
        data: has(b'd'),
        retransmitted: has(b't'),
        gap: has(b'g'),
    }
}
