//! K2: an event without ports belongs to the flow of its host and destination that is nearest in time, and each event to
//! one flow.

use super::alignment::partner;
use super::attribution::Level;
use super::clocks::Known;
use super::leases::Holder;
use super::levels::{Candidate, middle};
use super::seats::{Seat, wide};
use super::sockets::Socket;
use super::{Joiner, MILLI};
use crate::units::Direction;

/// Events and flows that are paired with each other at most.
const PAIRED: usize = 48;
/// What a pairing is worth in which every event and flow of a time has a partner, and one in which some have none.
const ALL_PAIRED: f32 = 0.89;
const SOME_PAIRED: f32 = 0.7;
/// While flows may still come that the event fits better, it is taken at once only so near.
const EARLY: i64 = 250 * MILLI;
/// Beyond this the clock is no longer where it was, or the event is another's.
const FAR_OFF: i64 = 750 * MILLI;
/// After so long they have come.
const SETTLED: i64 = 5_000 * MILLI;
/// What a single program is worth where events are missing: nobody else talks to the destination, or others do.
const HABIT: f32 = 0.85;
const ALONE: f32 = 0.5;

impl Joiner {
    /// K2: host, destination, time.
    pub(super) fn by_destination(&self, seat: &Seat, holders: &[Holder]) -> Vec<Candidate> {
        if seat.side == Direction::Down {
            return Vec::new();
        }
        let e = &seat.ends;
        let mut found: Vec<Candidate> = Vec::new();
        for holder in holders {
            for clock in self.clocks.of_host(holder.host) {
                let reading = self.clocks.reading(*clock, seat.first);
                let centre = seat.first.saturating_add(reading.offset);
                let within = reading.within + 1_000 * MILLI;
                let span = (centre.saturating_sub(within + 1_000 * MILLI), centre.saturating_add(within));
                let near = self.sockets.of_host(holder.host, wide(e.responder), e.responder_port, span);
                let fits = |s: &&Socket| {
                    let own = s.local == 0 || s.local == wide(e.originator);
                    s.clock == *clock && own && (s.proto == 0 || s.proto == seat.proto())
                };
                let mut near: Vec<&Socket> = near.map(|(_, s)| s).filter(fits).collect();
                // Chains have the newest first, the log the oldest.
                near.reverse();
                near.sort_by_key(|s| s.at);
                let mut of_clock: Vec<Candidate> = near
                    .iter()
                    .map(|s| {
                        let fine = if s.grain_ms < 1_000 { 0.97 } else { 0.95 };
                        let (level, confidence) =
                            if holder.is_proven() { (Level::L2, fine) } else { (Level::L2a, 0.85) };
                        let (process, clock) = (s.process, s.clock);
                        Candidate {
                            level,
                            confidence,
                            delta: middle(s) - centre,
                            process,
                            clock,
                            wanted: true,
                        }
                    })
                    .collect();
                self.weigh(seat, &near, &mut of_clock, (centre, within));
                found.extend(of_clock);
            }
        }
        self.doubt(&mut found);
        found
    }

    /// What the events of one clock are worth to a flow. Each is of one flow: where there are fewer than flows, some were
    /// never logged, and a program that stands alone may be another flow's.
    fn weigh(&self, seat: &Seat, near: &[&Socket], found: &mut [Candidate], (centre, within): (i64, i64)) {
        let Some(first) = found.iter().min_by_key(|c| c.delta.abs()).copied() else { return };
        let other = found.iter().filter(|c| !self.same_program(c.process, first.process));
        let other = other.min_by_key(|c| c.delta.abs()).copied();
        let shift = centre - seat.first;
        let reach = within + 2_000 * MILLI;
        let span = (seat.first.saturating_sub(reach), seat.first.saturating_add(reach));
        let flows = self.seats.beside(&seat.ends, span, PAIRED + 1);
        let times: Vec<i64> = near.iter().map(|s| middle(s) - shift).collect();
        let half = near.iter().map(|s| i64::from(s.grain_ms) * MILLI / 2).max().unwrap_or(0);
        let own = flows.iter().position(|(_, flow)| *flow == seat.flow);
        let own = own.filter(|_| flows.len() <= PAIRED && times.len() <= PAIRED);
        let starts: Vec<i64> = flows.iter().map(|f| f.0).collect();
        let partner = own.and_then(|own| partner(&starts, &times, own, half));
        let inner = starts.iter().filter(|at| at.abs_diff(seat.first) <= within.unsigned_abs()).count();
        let complete = inner <= times.len();
        // Flows that are still to come may have a better claim.
        let early = self.now < seat.first.saturating_add(reach) && first.delta.abs().max(half) > EARLY;
        let Some(other) = other else {
            let far_off = first.delta.abs() > half + FAR_OFF;
            if partner.is_none() || !complete || early || far_off {
                let habit = if self.is_habit(seat, &first) { HABIT } else { ALONE };
                let worth = if partner.is_some() { habit } else { habit.min(HABIT / 2.0 + ALONE / 2.0) };
                found.iter_mut().for_each(|c| (c.level, c.confidence) = (Level::L2a, worth));
            }
            return;
        };
        let (close, far) = (first.delta.abs() as f32, other.delta.abs() as f32);
        let lead = 0.5 + 0.3 * ((far - close) / (far + close + (500 * MILLI) as f32)).clamp(0.0, 1.0);
        for (n, c) in found.iter_mut().enumerate() {
            c.level = Level::L2a;
            c.confidence = match partner {
                Some(p) if p == n && complete => lead.max(ALL_PAIRED),
                Some(p) if p == n => lead.max(SOME_PAIRED),
                Some(_) => 0.3,
                None => lead,
            };
        }
    }

    /// Nobody else on the host is known to talk to the destination.
    fn is_habit(&self, seat: &Seat, c: &Candidate) -> bool {
        let far = (wide(seat.ends.responder), seat.ends.responder_port);
        let host = self.clocks.clock(c.clock).map(|clock| clock.key.host);
        host.is_some_and(|host| {
            self.talks.of((host, far.0, far.1)).iter().all(|s| self.same_program(s.process, c.process))
        })
    }

    /// Two logs of one host that name different programs: neither is sure.
    fn doubt(&self, found: &mut [Candidate]) {
        let order =
            |c: &Candidate| (std::cmp::Reverse((c.confidence * 1_000.0) as u32), c.delta.abs(), c.process);
        found.sort_by_key(order);
        let Some(first) = found.first().copied() else { return };
        let rival = |c: &&mut Candidate| !self.same_program(c.process, first.process);
        if first.level == Level::L2 && found.iter_mut().any(|c| rival(&c)) {
            for c in found.iter_mut() {
                (c.level, c.confidence) = (Level::L2a, c.confidence.min(0.8));
            }
        }
    }

    /// When all flows are there that may be the better partner of an event without ports; `None`: they are.
    pub(super) fn settled_by(&self, seat: &Seat) -> Option<i64> {
        let at = seat.first.saturating_add(SETTLED);
        let portless = |h: &Holder| self.clocks.of_host(h.host).iter().any(|c| self.patterns.is_portless(*c));
        (self.now < at && self.holders(seat).iter().any(portless)).then_some(at)
    }

    /// A log without ports speaks of this flow's host, and its clock is not known yet.
    pub(super) fn awaits_a_clock(&self, seat: &Seat) -> bool {
        let holders = self.holders(seat);
        let clocks = holders.iter().flat_map(|h| self.clocks.of_host(h.host));
        let mut portless = clocks.filter(|clock| self.patterns.is_portless(**clock));
        portless.any(|clock| self.clocks.reading(*clock, seat.first).known < Known::Surely)
    }
}
