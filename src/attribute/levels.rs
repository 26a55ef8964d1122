//! The keys, strongest first, and what each is worth.

use super::attribution::{Attribution, Level, Process, Status};
use super::clocks::{Known, Reading};
use super::leases::{Holder, Proof};
use super::recent::Spoke;
use super::seats::{Seat, wide};
use super::sockets::Socket;
use super::{Joiner, MILLI, programs};
use crate::endpoint::ConnectState;
use crate::observe::FlowId;
use crate::units::Direction;
use std::borrow::Cow;
use std::net::IpAddr;
use std::sync::Arc;

/// A flow may begin so much before its event, and end so much before it, over and above what the clock is unsure of.
const SLACK: i64 = 2_000 * MILLI;
/// A sensor that sees only the answer, and logs of lookups written at their end, put UDP so far off.
const UDP_WITHIN: i64 = 15_000 * MILLI;
/// So near, an event by a clock that nobody checked is taken to be right.
const NEAR: i64 = 5_000 * MILLI;
/// An event of the end of a connection may be written so long after it.
const CLOSE_LAG: i64 = 60_000 * MILLI;
/// Two programs so near in time cannot be told apart.
const TIE: i64 = 200 * MILLI;
/// A process that talks to a destination is remembered for so long.
const TALKS: i64 = 86_400_000 * MILLI;
/// An answer of DNS is used for so long.
const ASKED: i64 = 360_000 * MILLI;
/// A program that was started so long before a flow may be its own.
const STARTED: i64 = 600_000 * MILLI;
/// What somebody is worth who talks to a destination, at a time that cannot be compared.
const TIMELESS: f32 = 0.85;
/// A host that says nothing for so long has fallen silent.
const SILENT: i64 = 3_600_000 * MILLI;
/// Programs named in a reason.
const NAMED: usize = 4;

/// An event that may be the flow's.
#[derive(Clone, Copy, Debug)]
pub(super) struct Candidate {
    pub level: Level,
    pub confidence: f32,
    /// Corrected time of the event less start of the flow.
    pub delta: i64,
    pub process: u64,
    pub clock: u32,
    /// It is of the side that is asked for.
    pub wanted: bool,
}

/// How an event with ports lies to a flow.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Facing {
    /// The event is of the host that opened the flow.
    side: Direction,
    /// Its own address is the flow's.
    addressed: bool,
}

impl Joiner {
    /// Sockets with the ports and the far end of a flow, either way round.
    fn exact(&self, seat: &Seat) -> Vec<(u32, &Socket, Facing)> {
        let e = &seat.ends;
        let (near, far) = (wide(e.originator), wide(e.responder));
        let proto = seat.proto();
        let forth = self.sockets.with_ports(e.originator_port, far, e.responder_port);
        let forth = forth.map(|(id, s)| (id, s, Facing { side: Direction::Up, addressed: s.local == near }));
        let back = self.sockets.with_ports(e.responder_port, near, e.originator_port);
        let back = back.map(|(id, s)| (id, s, Facing { side: Direction::Down, addressed: s.local == far }));
        // Behind a translated address only the side that opened is found: the other side's port is everybody's.
        let back = back.filter(|(_, s, f)| f.addressed || s.local == 0);
        forth.chain(back).filter(|(_, s, _)| s.proto == 0 || s.proto == proto).collect()
    }

    /// Clocks of the events that have the ports and addresses of a flow.
    pub(super) fn clocks_of_ports(&self, seat: &Seat) -> Vec<u32> {
        let addressed = self.exact(seat).into_iter().filter(|(_, _, facing)| facing.addressed);
        addressed.map(|(_, s, _)| s.clock).collect()
    }

    /// Learns from what a flow and its events prove: clocks and addresses.
    pub(super) fn settle(&mut self, flow: FlowId) {
        let Some(seat) = self.seats.find(flow) else { return };
        let all = self.exact(seat);
        if all.is_empty() {
            return;
        }
        let e = &seat.ends;
        let same = self.seats.with_ports(e.originator_port, wide(e.responder), e.responder_port);
        let flows = same.filter(|s| s.ends == seat.ends).count();
        let (first, tcp, opened) = (seat.first, seat.proto() == 6, seat.opened);
        let mut lessons = Vec::new();
        for (id, s, facing) in &all {
            if !facing.addressed || seat.taught.contains(&s.clock) {
                continue;
            }
            let events = all.iter().filter(|(_, o, f)| f == facing && o.clock == s.clock).count();
            let reading = self.clocks.reading(s.clock, first);
            let fits = fit(s, seat, reading).is_some();
            let teaches = tcp && opened && is_begin(s.state) && (fits || (flows == 1 && events == 1));
            let ip = if facing.side == Direction::Up { e.originator } else { e.responder };
            if teaches || (fits && (tcp || reading.known > Known::Not)) {
                lessons.push((*id, s.clock, s.host, ip, teaches, middle(s) - first));
            }
        }
        for (id, clock, host, ip, teaches, off) in lessons {
            self.counters.joined += 1;
            if teaches && self.clocks.clock_mut(clock).is_some_and(|c| c.learn(first, off)) {
                self.lessons += 1;
                self.waiting.all_changed();
            }
            self.proven(ip, host, Proof::Exact, first, None);
            if let Some(socket) = self.sockets.at_mut(id) {
                socket.taken = true;
            }
            if let Some(seat) = self.seats.find_mut(flow) {
                seat.taught.push(clock);
            }
        }
    }

    /// What can be said of a flow.
    pub(super) fn judge(&self, seat: &Seat) -> Attribution {
        let exact = self.by_ports(seat);
        if !exact.is_empty() {
            return self.conclude(seat, exact);
        }
        let holders = self.holders(seat);
        for find in [Self::by_destination, Self::by_habit, Self::by_name, Self::by_program] {
            let found = find(self, seat, &holders);
            if !found.is_empty() {
                return self.conclude(seat, found);
            }
        }
        self.nothing(seat, &holders)
    }

    /// K1 and K1n.
    fn by_ports(&self, seat: &Seat) -> Vec<Candidate> {
        let all = self.exact(seat);
        if all.is_empty() {
            return Vec::new();
        }
        let e = &seat.ends;
        let same = self.seats.with_ports(e.originator_port, wide(e.responder), e.responder_port);
        let same: Vec<i64> = same.filter(|s| s.ends == seat.ends).map(|s| s.first).collect();
        let flows = same.len();
        let mut found: Vec<Candidate> = Vec::new();
        for (_, s, facing) in &all {
            let reading = self.clocks.reading(s.clock, seat.first);
            let delta = fit(s, seat, reading);
            let events = all.iter().filter(|(_, o, f)| f == facing && o.clock == s.clock).count();
            let alone = flows == 1 && events == 1;
            let worth = if facing.addressed {
                let service = e.originator_port == e.responder_port;
                let tcp = seat.proto() == 6;
                worth_of_ports(tcp, reading.known, delta, if tcp { alone } else { service })
            } else {
                self.worth_of_translation(seat, s, reading, delta)
            };
            let Some((level, confidence)) = worth else { continue };
            let own = middle(s).saturating_sub(reading.offset);
            let delta = delta.unwrap_or(own - seat.first);
            // Ports that came again: an event belongs to the nearest of their flows.
            if same.iter().any(|first| own.abs_diff(*first) < delta.unsigned_abs()) {
                continue;
            }
            let wanted = facing.side == seat.side;
            found.push(Candidate { level, confidence, delta, process: s.process, clock: s.clock, wanted });
        }
        found
    }

    /// The flow shows another address than the log, or the log shows none.
    fn worth_of_translation(
        &self,
        seat: &Seat,
        s: &Socket,
        reading: Reading,
        delta: Option<i64>,
    ) -> Option<(Level, f32)> {
        let delta = delta?;
        if s.taken || (reading.known < Known::Surely && delta.abs() > NEAR) {
            return None;
        }
        let holders = self.leases.holders(seat.ends.originator, seat.first);
        let proven = holders.first().filter(|h| h.proof >= Proof::Stated);
        let own = proven.map(|h| self.hosts.same(h.host).contains(&s.host));
        match (s.local, own) {
            (0, Some(true)) => Some((Level::L1, 0.97)),
            (_, Some(false)) => None,
            _ => Some((Level::L1n, 0.9)),
        }
    }

    /// Who may have the address of the host that is asked for.
    pub(super) fn holders(&self, seat: &Seat) -> Vec<Holder> {
        let mut all = Vec::new();
        for holder in self.leases.holders(seat.home(), seat.first) {
            for host in self.hosts.same(holder.host) {
                if !all.iter().any(|h: &Holder| h.host == host) {
                    all.push(Holder { host, ..holder });
                }
            }
        }
        all
    }

    /// Kp: no event for this flow, but somebody talks to its destination.
    fn by_habit(&self, seat: &Seat, holders: &[Holder]) -> Vec<Candidate> {
        let far = (wide(seat.ends.responder), seat.ends.responder_port);
        if seat.side == Direction::Down {
            return Vec::new();
        }
        self.by_spokes(seat, holders, (TALKS, TALKS), Level::L2d, |host| self.talks.of((host, far.0, far.1)))
    }

    /// K2s: somebody asked for the name.
    fn by_name(&self, seat: &Seat, holders: &[Holder]) -> Vec<Candidate> {
        let Some(name) = &seat.name else { return Vec::new() };
        self.by_spokes(seat, holders, (ASKED, SLACK), Level::L2s, |host| self.asked.of((host, &**name)))
    }

    /// K3: a program that can carry data out was started.
    fn by_program(&self, seat: &Seat, holders: &[Holder]) -> Vec<Candidate> {
        let started = |host| {
            let host = self.hosts.host(host)?;
            Some(host.started.iter().copied().collect::<Vec<_>>())
        };
        let lists: Vec<(u32, Vec<Spoke>)> =
            holders.iter().filter_map(|h| Some((h.host, started(h.host)?))).collect();
        let of = |host| lists.iter().find(|l| l.0 == host).map_or(&[][..], |l| l.1.as_slice());
        self.by_spokes(seat, holders, (STARTED, SLACK), Level::L3, of)
    }

    /// Processes that did something `before` or `after` the start of a flow.
    fn by_spokes<'j>(
        &self,
        seat: &Seat,
        holders: &[Holder],
        (before, after): (i64, i64),
        level: Level,
        of: impl Fn(u32) -> &'j [Spoke],
    ) -> Vec<Candidate> {
        let (mut found, mut timeless): (Vec<Candidate>, Vec<Candidate>) = Default::default();
        for holder in holders {
            for spoke in of(holder.host) {
                let reading = self.clocks.reading(spoke.clock, seat.first);
                let delta = spoke.at.saturating_sub(reading.offset).saturating_sub(seat.first);
                let own_time = seat.first.saturating_add(reading.offset);
                let alive = self.processes.is_alive(spoke.process, own_time.saturating_sub(SLACK));
                let (process, clock) = (spoke.process, spoke.clock);
                if delta < -before || delta > after || !alive {
                    // A clock that nobody knows may be days off: who talks to this destination at all?
                    if level == Level::L2d && reading.known == Known::Not {
                        timeless.push(Candidate {
                            level,
                            confidence: TIMELESS,
                            delta,
                            process,
                            clock,
                            wanted: true,
                        });
                    }
                    continue;
                }
                found.push(Candidate { level, confidence: 0.0, delta, process, clock, wanted: true });
            }
        }
        if found.is_empty() {
            found = timeless;
        }
        found.sort_by_key(|c| (c.delta.abs(), c.process));
        let alone =
            found.first().is_some_and(|f| found.iter().all(|c| self.same_program(c.process, f.process)));
        let mut names: Vec<Arc<str>> = Vec::new();
        for process in found.iter().filter_map(|c| self.processes.find(c.process)) {
            if !names.contains(&process.name) {
                names.push(Arc::clone(&process.name));
            }
        }
        let programs = names.len().max(2);
        let resolver = |c: &Candidate| {
            level == Level::L2s
                && self.processes.find(c.process).is_some_and(|p| programs::is_resolver(&p.name))
        };
        let claimed = match holders {
            [one] if !one.is_proven() => 0.95,
            _ if holders.iter().all(|h| h.is_proven()) => 1.0,
            _ => 0.6,
        };
        for c in &mut found {
            let worth = match (level, alone) {
                _ if resolver(c) => 0.4,
                (_, true) if c.confidence > 0.0 => c.confidence,
                (Level::L2d, true) => 0.85,
                (Level::L2d, false) => 0.9 / programs as f32,
                (Level::L2s, true) => 0.8,
                (Level::L2s, false) => 0.5,
                (_, true) => 0.75,
                (_, false) => 0.3,
            };
            c.confidence = worth * claimed;
        }
        found
    }

    pub(super) fn same_program(&self, a: u64, b: u64) -> bool {
        a == b
            || match (self.processes.find(a), self.processes.find(b)) {
                (Some(a), Some(b)) => a.same_program(b),
                _ => false,
            }
    }

    /// One answer from several candidates.
    fn conclude(&self, seat: &Seat, mut found: Vec<Candidate>) -> Attribution {
        if found.iter().any(|c| c.wanted) {
            found.retain(|c| c.wanted);
        }
        // The surest first; of equals the nearest; of one program the log that says most of it.
        let rank = |c: &Candidate| {
            let wealth = self.processes.find(c.process).map_or(0, |p| wealth(p));
            // Of several programs at a destination the flow's partner, which need not be the nearest.
            let partner = if c.level == Level::L2a { (c.confidence * 1_000.0) as u32 } else { 0 };
            (
                std::cmp::Reverse((c.level, partner)),
                c.delta.abs() / TIE,
                std::cmp::Reverse(wealth),
                c.delta.abs(),
                c.process,
            )
        };
        found.sort_by_key(rank);
        let Some(best) = found.first().copied() else { return self.nothing(seat, &[]) };
        let rivals: Vec<&Candidate> = found
            .iter()
            .filter(|c| !self.same_program(c.process, best.process))
            .filter(|c| {
                !best.level.is_exact() || (c.level == best.level && c.delta.abs() - best.delta.abs() < TIE)
            })
            .collect();
        let mut programs: Vec<Arc<str>> = Vec::new();
        for c in std::iter::once(&best).chain(rivals.iter().copied()) {
            let name = self.processes.find(c.process).map(|p| Arc::clone(&p.name)).unwrap_or_default();
            if !programs.contains(&name) {
                programs.push(name);
            }
        }
        let ambiguous = programs.len() > 1;
        let (level, confidence) = if ambiguous && best.level.is_exact() {
            (best.level, 0.5)
        } else {
            (best.level, best.confidence)
        };
        let mut said = self.say(seat, &best, level, confidence);
        said.candidates = programs.len() as u16;
        said.reason = if ambiguous { several(&programs) } else { Cow::Borrowed(reason(level, confidence)) };
        self.look_behind(seat, &best, &mut said);
        said
    }

    fn say(&self, seat: &Seat, best: &Candidate, level: Level, confidence: f32) -> Attribution {
        let key = self.clocks.clock(best.clock).map(|c| c.key);
        let host = key.and_then(|k| self.hosts.host(k.host));
        let process = self.processes.find(best.process).cloned();
        let user = process.as_ref().and_then(|p| p.user.clone());
        let open = self.now.saturating_sub(seat.first) < self.config.late_window.nanos();
        Attribution {
            level,
            confidence,
            status: if level >= Level::L2 || !open { Status::Matched } else { Status::Partial },
            candidates: 1,
            source: key.map(|k| k.source),
            delta_ms: Some(best.delta / MILLI),
            reason: Cow::Borrowed(""),
            process,
            speaks_for_others: false,
            host_name: host.map(|h| Arc::clone(&h.name)),
            user: user.or_else(|| host.and_then(|h| h.user.clone())),
        }
    }

    /// A broker or a proxy on the host speaks for somebody else; perhaps it can be told for whom.
    fn look_behind(&self, seat: &Seat, best: &Candidate, said: &mut Attribution) {
        let Some(process) = said.process.clone() else { return };
        let proxy = programs::is_local_proxy(&process.name);
        if !proxy && !programs::is_broker(&process.name) {
            return;
        }
        said.speaks_for_others = true;
        let host = self.clocks.clock(best.clock).map(|c| c.key.host);
        let origin = host.and_then(|host| self.origin(seat, host, best, proxy));
        let what = if proxy { "a proxy on the host" } else { "a broker of the system" };
        let Some(origin) = origin else {
            said.reason =
                format!("{}; {} is {what}: who speaks through it is not known", said.reason, process.name)
                    .into();
            return;
        };
        let how = if proxy { "connected to it" } else { "asked for the name" };
        said.reason = format!("{} spoke through {}, {what}: it {how}", origin.name, process.name).into();
        if proxy {
            (said.level, said.confidence) = (Level::L2, 0.8);
            said.user = origin.user.clone().or_else(|| said.user.clone());
            said.process = Some(origin);
        }
    }

    /// Who connected to a proxy on the host, or asked for the name, about the time of the flow.
    fn origin(&self, seat: &Seat, host: u32, best: &Candidate, proxy: bool) -> Option<Arc<Process>> {
        let near = |spoke: &Spoke| {
            let reading = self.clocks.reading(spoke.clock, seat.first);
            let delta = spoke.at - reading.offset - seat.first;
            spoke.process != best.process && delta.abs() <= SLACK + reading.within
        };
        let spokes: Vec<Spoke> = if proxy {
            self.hosts.host(host)?.loops.iter().map(|l| l.1).filter(near).collect()
        } else {
            let name = seat.name.as_ref()?;
            self.asked.of((host, &**name)).iter().copied().filter(near).collect()
        };
        let first = spokes.first()?;
        let alone = spokes.iter().all(|s| self.same_program(s.process, first.process));
        self.processes.find(first.process).filter(|_| alone).cloned()
    }

    /// No event fits: why, and whether one may still come.
    fn nothing(&self, seat: &Seat, holders: &[Holder]) -> Attribution {
        let host = holders.first().and_then(|h| self.hosts.host(h.host));
        let mut said = Attribution {
            host_name: host.map(|h| Arc::clone(&h.name)),
            user: host.and_then(|h| h.user.clone()),
            ..Attribution::default()
        };
        let Some(host) = host else {
            let ever = self.leases.knows(seat.home());
            said.reason = Cow::Borrowed(if ever { NO_HOLDER } else { NO_TELEMETRY });
            return said;
        };
        let waits = if host.slow { self.config.late_window.nanos() } else { self.config.retain.nanos() };
        if self.now.saturating_sub(seat.first) < waits {
            (said.status, said.reason) = (Status::Pending, Cow::Borrowed(NOT_YET));
        } else if self.now.saturating_sub(host.heard) > SILENT {
            said.reason = Cow::Borrowed(FELL_SILENT);
        } else {
            said.reason = Cow::Borrowed(NOT_LOGGED);
        }
        said
    }
}

/// Said of a flow whose host no log speaks of.
const NO_TELEMETRY: &str = "no endpoint telemetry for this device";
const NO_HOLDER: &str = "no endpoint log says who had this address at the time";
const NOT_YET: &str = "the endpoint log of this host has nothing on this connection yet";
const FELL_SILENT: &str = "the endpoint log of this host has fallen silent";
const NOT_LOGGED: &str = "the endpoint log of this host does not have this connection";

impl Seat {
    /// Address of the host whose process is wanted.
    pub(super) fn home(&self) -> IpAddr {
        match self.side {
            Direction::Up => self.ends.originator,
            Direction::Down => self.ends.responder,
        }
    }
}

/// The level of an event with all ports and addresses. `delta`: it lies in time; `alone`: neither another flow nor
/// another event has these ports; of UDP, both ends have the same port, which only services do. A TCP connection is never
/// refused because of a clock: no two of some hundred were ever the same by chance. UDP ports are, and wait until the
/// clock is known.
fn worth_of_ports(tcp: bool, known: Known, delta: Option<i64>, alone: bool) -> Option<(Level, f32)> {
    match (tcp, known, delta) {
        (true, Known::Surely, Some(_)) => Some((Level::L1, 0.99)),
        (true, Known::Once, Some(_)) => Some((Level::L1c, 0.95)),
        (true, Known::Not, Some(_)) => Some((Level::L1, 0.97)),
        (true, _, None) if alone => Some((Level::L1c, 0.88)),
        // A service that talks to its like from one port keeps its socket for as long as it runs.
        (false, Known::Surely, None) if alone => Some((Level::L1c, 0.88)),
        (false, Known::Surely, Some(_)) => Some((Level::L1, 0.98)),
        (false, Known::Once, Some(_)) => Some((Level::L1c, 0.93)),
        (false, Known::Not, Some(_)) => Some((Level::L1c, 0.88)),
        _ => None,
    }
}

/// The event is of the beginning of a connection.
fn is_begin(state: ConnectState) -> bool {
    matches!(state, ConnectState::Attempt | ConnectState::Established)
}

/// The middle of the time that a stamp stands for, by its clock.
pub(super) fn middle(s: &Socket) -> i64 {
    s.at.saturating_add(i64::from(s.grain_ms) * MILLI / 2)
}

/// Whether an event lies where a flow does; its corrected time less the start of the flow.
fn fit(s: &Socket, seat: &Seat, reading: Reading) -> Option<i64> {
    let at = middle(s).saturating_sub(reading.offset);
    let end = at.saturating_add(i64::from(s.lasts_ms) * MILLI);
    let udp = seat.proto() == 17;
    let within = if udp { reading.within.max(UDP_WITHIN) } else { reading.within };
    let within = within + i64::from(s.grain_ms) * MILLI / 2;
    let lag = if s.state == ConnectState::Closed { CLOSE_LAG } else { SLACK };
    // What was running before the sensor looked may have begun at any time.
    let before = if seat.opened || udp { SLACK } else { 86_400_000 * MILLI };
    let fits = end >= seat.first - before - within && at <= seat.last + lag + within;
    fits.then_some(at - seat.first)
}

/// How much is known of a process: a richer log is quoted first.
fn wealth(p: &Process) -> u32 {
    u32::from(p.command_line.is_some()) * 2
        + u32::from(p.user.is_some())
        + u32::from(p.sha256.is_some())
        + u32::from(p.parent.is_some())
        + u32::from(p.path.is_some())
}

fn several(programs: &[Arc<str>]) -> Cow<'static, str> {
    let named: Vec<&str> = programs.iter().take(NAMED).map(|n| &**n).collect();
    let more = if programs.len() > NAMED { " and others" } else { "" };
    format!("{} programs are in question: {}{more}", programs.len(), named.join(", ")).into()
}

const fn reason(level: Level, confidence: f32) -> &'static str {
    match level {
        Level::L1 => "ports, addresses and time agree",
        Level::L1c if confidence < 0.9 => "ports and addresses agree; the clock of this log is not known",
        Level::L1c => "ports and addresses agree; the clock of this log is known by few connections",
        Level::L1n => "ports and destination agree; the address was translated, or the log leaves it out",
        Level::L2 => "host, destination and time agree; no other program is in question",
        Level::L2a => "destination and time agree; the host is known only by what its log claims",
        Level::L2d => "no event for this connection; the process talks to this destination",
        Level::L2s => "the process asked for the name",
        Level::L3 => "the program can carry data out, and was running",
        Level::L0 => "",
    }
}
