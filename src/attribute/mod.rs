//! Who did it: endpoint events joined to flows.
//!
//! The joiner is a plain value. It takes events as they come, early, late, twice or never, by whatever clocks, and flows
//! as the tellings have them, and says of a flow which process it is, how sure that is and why. `docs/attribution.md`
//! has the levels and what was measured.
//!
//! An event with ports is looked for by them; what it proves (which host has the address, how far the clock is off)
//! serves the events that have none. So nothing rests on a clock that nobody checked, and nothing on an address that a
//! log only claims.

mod alignment;
mod attribution;
mod clocks;
mod destination;
mod hosts;
mod leases;
mod levels;
mod patterns;
mod processes;
mod programs;
mod recent;
mod seats;
mod sockets;
mod waiting;

#[cfg(test)]
mod tests;

pub use attribution::{Attribution, Level, ParentProcess, Process, Status};

use crate::decode::Transport;
use crate::endpoint::{
    AddressEvent, AddressKind, Common, ConnectEvent, ConnectState, Direction as Dir, DnsEvent, EndpointEvent,
    Proc, ProcessEvent, ProcessKind,
};
use crate::observe::{Ends, FlowId, Lease};
use crate::units::{Direction, Span, Timestamp};
use clocks::{ClockKey, Clocks, Known};
use hosts::Hosts;
use leases::{Leases, Proof};
use patterns::Patterns;
use processes::{Processes, Said};
use recent::{Recent, Spoke};
use seats::{Seat, Seats, wide};
use sockets::{Socket, Sockets};
use std::collections::HashSet;
use std::net::IpAddr;
use std::sync::Arc;
use waiting::Waiting;

/// A millisecond in nanoseconds.
const MILLI: i64 = 1_000_000;

/// How the joiner is set.
#[derive(Clone, Debug)]
pub struct JoinConfig {
    /// A connection in a log is kept for so long for a flow that is still to come.
    pub retain: Span,
    /// An alert waits for so long for its event.
    pub late_window: Span,
    /// Connections kept at most.
    pub sockets: usize,
    /// Flows kept at most.
    pub flows: usize,
    /// Names of programs that can carry data out, lower case, without `.exe`.
    pub watched: HashSet<Box<str>>,
}

impl Default for JoinConfig {
    fn default() -> Self {
        Self {
            retain: Span::from_secs(15 * 60),
            late_window: Span::from_secs(60 * 60),
            sockets: 1_000_000,
            flows: 1 << 18,
            watched: HashSet::new(),
        }
    }
}

/// A flow as a telling has it.
#[derive(Clone, Copy, Debug)]
pub struct Seen<'s> {
    /// The flow.
    pub flow: FlowId,
    /// Its ends.
    pub ends: Ends,
    /// Which side is the host whose process is wanted.
    pub side: Direction,
    /// First and newest frame, as far as they are known.
    pub span: (Timestamp, Timestamp),
    /// `span.0` is the frame that opened the connection.
    pub opened: bool,
    /// Name of the destination.
    pub name: Option<&'s Arc<str>>,
    /// It has ended.
    pub ended: bool,
}

/// What the joiner counted.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct JoinCounters {
    /// Events taken.
    pub events: u64,
    /// Of those, connections.
    pub connects: u64,
    /// Connections to groups and to nobody: never looked at.
    pub groups: u64,
    /// Connections with all ports that were joined to a flow.
    pub joined: u64,
    /// Given up or not taken for want of room, of all kinds.
    pub evicted: u64,
    /// Hosts, processes and connections in memory.
    pub hosts: u64,
    /// Processes in memory.
    pub processes: u64,
    /// Connections in memory.
    pub sockets: u64,
    /// Addresses whose host is known.
    pub leases: u64,
    /// Clocks that were seen to be set anew.
    pub clock_steps: u64,
}

/// See the module.
#[derive(Debug)]
pub struct Joiner {
    config: JoinConfig,
    hosts: Hosts,
    clocks: Clocks,
    leases: Leases,
    processes: Processes,
    sockets: Sockets,
    seats: Seats,
    /// Who talked to (host, address, port).
    talks: Recent,
    /// Who asked for (host, name).
    asked: Recent,
    patterns: Patterns,
    waiting: Waiting,
    counters: JoinCounters,
    /// Times that a clock said something new.
    lessons: u64,
    now: i64,
}

impl Joiner {
    /// A joiner that knows nothing yet.
    pub fn new(config: JoinConfig) -> Self {
        Self {
            sockets: Sockets::new(config.sockets),
            seats: Seats::new(config.flows),
            config,
            hosts: Hosts::default(),
            clocks: Clocks::default(),
            leases: Leases::default(),
            processes: Processes::default(),
            talks: Recent::default(),
            asked: Recent::default(),
            patterns: Patterns::default(),
            waiting: Waiting::default(),
            counters: JoinCounters::default(),
            lessons: 0,
            now: i64::MIN,
        }
    }

    /// Takes an event. `now` is the sensor's time, which only goes forward. The key of the process it is about, which
    /// is that of [`Process`].
    pub fn event(&mut self, event: &EndpointEvent, now: Timestamp) -> Option<u64> {
        self.pass(now);
        self.counters.events += 1;
        let common = event.common();
        let host = self.hosts.at(&common.host, common.source, self.now)?;
        let key = ClockKey { host, source: common.source, class: common.clock };
        let clock = self.clocks.at(key)?;
        let at = self.true_time(clock, common.at.nanos());
        for ip in &common.host.ips {
            if is_one_host(*ip) {
                self.proven(*ip, host, Proof::Stated, at, None);
            }
        }
        let by = By { host, clock, at: common.at.nanos() };
        match event {
            EndpointEvent::Process(e) => Some(self.process(e, by)),
            EndpointEvent::Connect(e) => Some(self.connect(e, by)),
            EndpointEvent::Dns(e) => {
                self.dns(e, by);
                None
            }
            EndpointEvent::File(e) => Some(self.learn(&e.proc, by, None)),
            EndpointEvent::Address(e) => {
                self.address(e, by);
                None
            }
        }
    }

    /// Time goes on: what is over is forgotten.
    fn pass(&mut self, now: Timestamp) {
        if now.nanos() <= self.now {
            return;
        }
        self.now = now.nanos();
        let since = self.now.saturating_sub(self.config.retain.nanos());
        let clocks = &self.clocks;
        // A clock that nobody knows gives no time to go by: its events stay for a day, or until there is no room.
        self.sockets.expire(self.now.saturating_sub(86_400_000 * MILLI), since, |s| {
            let reading = clocks.reading(s.clock, since);
            let end = s.at.saturating_add(i64::from(s.lasts_ms) * MILLI);
            reading.known > Known::Not && end.saturating_sub(reading.offset) < since
        });
        self.seats.expire(self.now.saturating_sub(self.config.late_window.nanos()));
        self.waiting.expire(self.now);
    }

    /// A time of a clock in the sensor's; of a clock that is not known, and far off, the sensor's own.
    fn true_time(&self, clock: u32, at: i64) -> i64 {
        let reading = self.clocks.reading(clock, self.now);
        let near = at.abs_diff(self.now) < (7_200_000 * MILLI) as u64;
        if reading.known > Known::Not || near { at.saturating_sub(reading.offset) } else { self.now }
    }

    fn learn(&mut self, proc: &Proc, by: By, kind: Option<ProcessKind>) -> u64 {
        if let Some(user) = &proc.user {
            self.hosts.note_user(by.host, user);
        }
        let watched = self.config.watched.contains(&*proc.name);
        let key = self.processes.learn(&Said { host: by.host, at: by.at, proc, kind, watched });
        self.waiting.process_changed(key);
        key
    }

    fn process(&mut self, e: &ProcessEvent, by: By) -> u64 {
        let process = self.learn(&e.proc, by, Some(e.kind));
        if e.kind == ProcessKind::Start && self.config.watched.contains(&*e.proc.name) {
            self.hosts.note_start(by.host, by.spoke(process));
        }
        process
    }

    fn dns(&mut self, e: &DnsEvent, by: By) {
        if let Some(proc) = e.proc.as_ref().filter(|p| !p.name.is_empty()) {
            let process = self.learn(proc, by, None);
            self.asked.note((by.host, &*e.query), by.spoke(process));
        }
    }

    fn address(&mut self, e: &AddressEvent, by: By) {
        if !is_one_host(e.ip) {
            return;
        }
        let at = self.true_time(by.clock, by.at);
        // A server speaks of others; an agent of its own host.
        let named = e.name.is_some() || e.mac.is_some();
        let host = if e.common.source == crate::endpoint::SourceKind::Dhcp && named {
            self.hosts.by_network(e.name.as_deref(), e.mac)
        } else {
            Some(by.host)
        };
        match (e.kind, host) {
            (AddressKind::Released, host) => self.leases.release(e.ip, host, at),
            (_, Some(host)) => self.proven(e.ip, host, Proof::Stated, at, e.lease_secs),
            _ => {}
        }
    }

    /// The network itself saw a lease, or an address in use.
    pub fn lease(&mut self, lease: &Lease) {
        if let Some(host) = self.hosts.by_network(lease.name.as_deref(), Some(lease.mac))
            && is_one_host(lease.ip)
        {
            let secs = lease.until.since(lease.at).secs() as u64;
            self.proven(lease.ip, host, Proof::Network, lease.at.nanos(), (secs > 0).then_some(secs));
        }
    }

    fn proven(&mut self, ip: IpAddr, host: u32, proof: Proof, at: i64, secs: Option<u64>) {
        if is_one_host(ip) && self.leases.prove(ip, host, proof, at, secs) {
            self.waiting.all_changed();
        }
    }

    fn connect(&mut self, e: &ConnectEvent, by: By) -> u64 {
        self.counters.connects += 1;
        let process = self.learn(&e.proc, by, None);
        let remote = e.remote.to_canonical();
        let group = !is_one_host(remote);
        if remote.is_unspecified() || (group && e.local_port.is_none()) {
            self.counters.groups += 1;
            return process;
        }
        if remote.is_loopback() {
            self.hosts.note_loop(by.host, e.remote_port, by.spoke(process));
            return process;
        }
        if let Some(name) = e.domain.as_ref().filter(|_| e.domain_asked) {
            self.asked.note((by.host, &**name), by.spoke(process));
        }
        if e.direction != Dir::In && !group {
            self.talks.note((by.host, wide(remote), e.remote_port), by.spoke(process));
        }
        let local =
            e.local.map(|ip| ip.to_canonical()).filter(|ip| !ip.is_unspecified() && !ip.is_loopback());
        if let Some(ip) = local.filter(|ip| is_one_host(*ip)) {
            let at = self.true_time(by.clock, by.at);
            self.proven(ip, by.host, Proof::Claim, at, None);
        }
        // What no process is known of cannot be told of a flow either.
        if self.processes.find(process).is_some_and(|p| p.name.is_empty() && p.path.is_none()) {
            return process;
        }
        let lasts = e.until.map_or(0, |until| until.since(e.common.at).nanos() / MILLI);
        let socket = Socket {
            lasts_ms: lasts.min(i64::from(u32::MAX)) as u32,
            remote: wide(remote),
            local: local.map_or(0, wide),
            remote_port: e.remote_port,
            local_port: e.local_port.unwrap_or(0),
            grain_ms: (i64::from(e.common.grain_ns) / MILLI).min(60_000) as u16,
            proto: match e.transport {
                Some(Transport::Tcp) => 6,
                Some(Transport::Udp) => 17,
                None => 0,
            },
            state: e.state,
            inbound: e.direction == Dir::In,
            ..Sockets::plain(by.at, by.clock, by.host, process)
        };
        self.offer(socket);
        process
    }

    /// Holds a new socket against the flows there are, and keeps it for those to come.
    fn offer(&mut self, socket: Socket) {
        let flows = self.flows_of(&socket);
        self.waiting.destination_changed(socket.remote, socket.remote_port);
        let portless = socket.local_port == 0 && !socket.inbound && socket.state != ConnectState::Snapshot;
        if portless {
            self.guess(&socket);
        }
        let kept = self.sockets.keep(socket, self.now);
        for flow in flows {
            self.waiting.flow_changed(flow);
            if kept.is_some() {
                self.settle(flow);
            }
        }
    }

    /// Flows whose ports and far end are those of a socket, either way round.
    fn flows_of(&self, s: &Socket) -> Vec<FlowId> {
        if s.local_port == 0 {
            return Vec::new();
        }
        let forth = self.seats.with_ports(s.local_port, s.remote, s.remote_port);
        let back = self.seats.with_ports(s.remote_port, s.local, s.local_port);
        let back = back.filter(|seat| wide(seat.ends.originator) == s.remote);
        forth.chain(back).map(|seat| seat.flow).collect()
    }

    /// Without ports a clock is learned from destinations.
    fn guess(&mut self, s: &Socket) {
        let unsure = self.clocks.clock(s.clock).is_some_and(|c| c.reading(self.now).known < Known::Surely);
        let found = self.patterns.event(s, unsure);
        for guess in found {
            self.take_guess(guess);
        }
    }

    fn take_guess(&mut self, guess: patterns::Guess) {
        let host = self.clocks.clock(guess.clock).map(|c| c.key.host);
        let Some(host) = host else { return };
        // Where nothing says that the host is at this address, chance must be out of the question; where another host
        // is, it was chance.
        let holders = self.leases.holders(guess.ip, guess.at);
        let own = self.hosts.same(host);
        let holds = holders.iter().any(|h| own.contains(&h.host));
        let taken = holders.iter().any(|h| h.is_proven() && !own.contains(&h.host));
        if guess.sole {
            if !taken && !holds {
                self.proven(guess.ip, host, Proof::Claim, guess.at, None);
            }
            return;
        }
        if taken || (!holds && guess.agree < BLIND_AGREE) {
            return;
        }
        let Some(clock) = self.clocks.clock_mut(guess.clock) else { return };
        if clock.guess(guess.at, guess.offset) {
            self.lessons += 1;
        }
        self.proven(guess.ip, host, Proof::Pattern, guess.at, None);
        self.waiting.all_changed();
    }

    /// Takes what a telling says of a flow.
    pub fn flow(&mut self, seen: &Seen<'_>, now: Timestamp) {
        self.pass(now);
        let span = (seen.span.0.nanos(), seen.span.1.nanos());
        let known = self.seats.find_mut(seen.flow);
        let is_new = known.is_none();
        let mut learned = false;
        if let Some(seat) = known {
            learned = seen.opened && !seat.opened;
            seat.first = if seen.opened { span.0 } else { seat.first.min(span.0) };
            seat.last = seat.last.max(span.1);
            (seat.opened, seat.ended) = (seat.opened || seen.opened, seat.ended || seen.ended);
            seat.side = seen.side;
            if let Some(name) = seen.name
                && seat.name.as_ref() != Some(name)
            {
                seat.name = Some(Arc::clone(name));
            }
        } else {
            self.seats.add(Seat {
                flow: seen.flow,
                ends: canonical(&seen.ends),
                side: seen.side,
                first: span.0,
                last: span.1,
                opened: seen.opened,
                name: seen.name.cloned(),
                ended: seen.ended,
                taught: Vec::new(),
            });
        }
        if is_new {
            for guess in self.patterns.flow(&seen.ends, span.0) {
                self.take_guess(guess);
            }
        }
        if is_new || learned {
            self.settle(seen.flow);
        }
    }

    /// What can be said of a flow now.
    pub fn attribute(&mut self, flow: FlowId, now: Timestamp) -> Option<Arc<Attribution>> {
        self.pass(now);
        self.settle(flow);
        let said = self.judge(self.seats.find(flow)?);
        if let Some(process) = &said.process {
            self.waiting.rests_on(flow, process.key);
        }
        Some(Arc::new(said))
    }

    /// An event with the ports of this flow, or a log of its host that has none, is there, and its clock is not certain
    /// yet: what is said of the flow may soon be better.
    pub fn is_in_doubt(&self, flow: FlowId) -> bool {
        self.seats.find(flow).is_some_and(|seat| {
            let clocks = self.clocks_of_ports(seat);
            if clocks.is_empty() {
                return self.awaits_a_clock(seat);
            }
            clocks.iter().all(|c| self.clocks.reading(*c, seat.first).known < Known::Surely)
        })
    }

    /// Until when flows may come that change what is said of this one: its host's log has no ports.
    pub fn settles_at(&self, flow: FlowId) -> Option<Timestamp> {
        let seat = self.seats.find(flow).filter(|seat| self.clocks_of_ports(seat).is_empty())?;
        self.settled_by(seat).map(Timestamp::from_nanos)
    }

    /// Changes whenever a clock has been learned.
    pub fn lessons(&self) -> u64 {
        self.lessons
    }

    /// An alert is about this flow: when more is known of it, [`Joiner::take_updates`] says so.
    pub fn wait_for(&mut self, flow: FlowId) {
        if let Some(seat) = self.seats.find(flow) {
            let far = (wide(seat.ends.responder), seat.ends.responder_port);
            let until = self.now.saturating_add(self.config.late_window.nanos());
            self.waiting.add(flow, far, until);
        }
    }

    /// Flows of [`Joiner::wait_for`] that may be known better now, in the order of their ids.
    pub fn take_updates(&mut self) -> Vec<FlowId> {
        self.waiting.take_changed()
    }

    /// How far the clock of an event is ahead, in nanoseconds, where it is known.
    pub fn clock_offset(&self, common: &Common) -> Option<i64> {
        let host = self.hosts.find(&common.host)?;
        let key = ClockKey { host, source: common.source, class: common.clock };
        let reading = self.clocks.reading(self.clocks.find(key)?, self.now);
        (reading.known > Known::Not).then_some(reading.offset)
    }

    /// Counters.
    pub fn counters(&self) -> JoinCounters {
        let evicted = self.hosts.refused
            + self.clocks.refused
            + self.leases.evicted
            + self.processes.evicted
            + self.sockets.evicted
            + self.sockets.refused
            + self.seats.evicted
            + self.talks.evicted
            + self.asked.evicted
            + self.waiting.refused;
        JoinCounters {
            evicted,
            hosts: self.hosts.len() as u64,
            processes: self.processes.len() as u64,
            sockets: self.sockets.len() as u64,
            leases: self.leases.len() as u64,
            clock_steps: self.clocks.iter().map(|c| u64::from(c.steps())).sum(),
            ..self.counters
        }
    }

    /// What people should know of clocks: hosts whose log looks like a wrong time zone.
    pub fn remarks(&self) -> Vec<String> {
        let hint = |c: &clocks::Clock| {
            let quarters = c.zone_hint()?;
            let host = self.hosts.host(c.key.host)?;
            let hours = quarters as f64 / 4.0;
            Some(format!(
                "the {} log of {} is {hours:+} h off: a time zone or a 12-hour clock in the export; it was corrected",
                c.key.source.as_str(),
                host.name
            ))
        };
        self.clocks.iter().filter_map(hint).take(REMARKS).collect()
    }
}

/// Destinations that must agree before a host is put at an address that no log gives it.
const BLIND_AGREE: usize = 6;
/// Remarks on clocks at most.
const REMARKS: usize = 10;

/// Host, clock and time of an event.
#[derive(Clone, Copy, Debug)]
struct By {
    host: u32,
    clock: u32,
    at: i64,
}

impl By {
    fn spoke(self, process: u64) -> Spoke {
        Spoke { process, at: self.at, clock: self.clock }
    }
}

/// An address that one host can have, or reach.
fn is_one_host(ip: IpAddr) -> bool {
    let broadcast = matches!(ip, IpAddr::V4(v4) if v4.is_broadcast());
    !(ip.is_multicast() || ip.is_unspecified() || broadcast)
}

fn canonical(ends: &Ends) -> Ends {
    Ends { originator: ends.originator.to_canonical(), responder: ends.responder.to_canonical(), ..*ends }
}
