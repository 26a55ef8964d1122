//! Clocks and addresses of logs without ports: guessed from which destinations were reached when.
//!
//! A log that says "curl connected to 203.0.113.7:443 at 10:00:07" and a flow from 10.0.0.5 to there at 10:00:05 may
//! belong together. When the same difference comes up for several destinations, and no other as often, then the host is
//! 10.0.0.5 and its clock two seconds ahead.

use super::alignment::{Alignments, Found};
use super::clocks::Ballot;
use super::seats::wide;
use super::sockets::Socket;
use crate::detect::Map;
use crate::observe::Ends;
use std::collections::VecDeque;
use std::net::IpAddr;

/// Destinations remembered; the oldest go.
const MAX_DESTINATIONS: usize = 1 << 16;
/// What is remembered of one destination.
const PER_DESTINATION: usize = 8;
/// Pairs of clock and address that are in question; the oldest go.
const MAX_BALLOTS: usize = 1 << 14;

/// What was found out.
#[derive(Clone, Copy, Debug)]
pub(super) struct Guess {
    pub clock: u32,
    pub ip: IpAddr,
    /// Sensor's time of the last flow.
    pub at: i64,
    /// Event less flow.
    pub offset: i64,
    /// Destinations, or events, that agree.
    pub agree: usize,
    /// Only the address: no other was where the host was.
    pub sole: bool,
}

/// Events and flows of a destination.
#[derive(Debug, Default)]
struct Destination {
    events: VecDeque<(u32, i64)>,
    flows: VecDeque<(IpAddr, i64)>,
    /// More of either than is remembered: everybody goes there, and it tells nothing.
    busy: bool,
}

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Patterns {
    destinations: Map<(u128, u16), Destination>,
    order: VecDeque<(u128, u16)>,
    ballots: Map<(u32, IpAddr), Ballot>,
    asked: VecDeque<(u32, IpAddr)>,
    /// There are events without ports at all: else nothing is kept.
    wanted: bool,
    alignments: Alignments,
}

/// A destination as one number.
pub(super) fn place(remote: u128, port: u16) -> u64 {
    use std::hash::BuildHasher;
    foldhash::fast::FixedState::default().hash_one((remote, port))
}

impl Patterns {
    /// An event without a port. `unsure`: its clock is not known well.
    pub(super) fn event(&mut self, s: &Socket, unsure: bool) -> Vec<Guess> {
        self.wanted = true;
        let key = (s.remote, s.remote_port);
        let at = super::levels::middle(s);
        self.alignments.event(s.clock, at, place(key.0, key.1), s.local);
        let place = self.destination(key);
        place.busy |= push(&mut place.events, (s.clock, s.at));
        let busy = place.busy;
        let own = |ip: IpAddr| s.local == 0 || s.local == wide(ip);
        let flows: Vec<_> = place.flows.iter().filter(|(ip, _)| own(*ip)).copied().collect();
        let mut found = Vec::new();
        for (ip, first) in flows {
            found.extend(self.met(s.clock, ip, first, key));
            if unsure && !busy {
                found.extend(self.vote(s.clock, ip, first, s.at - first, key));
            }
        }
        found
    }

    /// A clock's host and an address have been at the same destination.
    fn met(&mut self, clock: u32, ip: IpAddr, at: i64, key: (u128, u16)) -> Option<Guess> {
        match self.alignments.met(clock, ip, place(key.0, key.1))? {
            Found::Offset(offset, agree) => Some(Guess { clock, ip, at, offset, agree, sole: false }),
            Found::Sole => Some(Guess { clock, ip, at, offset: 0, agree: 0, sole: true }),
        }
    }

    /// The log of this clock has connections without ports.
    pub(super) fn is_portless(&self, clock: u32) -> bool {
        self.alignments.has(clock)
    }

    /// A new flow.
    pub(super) fn flow(&mut self, ends: &Ends, first: i64) -> Vec<Guess> {
        if !self.wanted && self.destinations.len() >= MAX_DESTINATIONS / 2 {
            return Vec::new();
        }
        let key = (wide(ends.responder), ends.responder_port);
        let ip = ends.originator;
        self.alignments.flow(ip, first, place(key.0, key.1));
        let place = self.destination(key);
        place.busy |= push(&mut place.flows, (ip, first));
        let (busy, events) = (place.busy, place.events.clone());
        let mut found = Vec::new();
        let mut met: Vec<u32> = Vec::new();
        for (clock, at) in events {
            if !met.contains(&clock) {
                met.push(clock);
                found.extend(self.met(clock, ip, first, key));
            }
            if !busy {
                found.extend(self.vote(clock, ip, first, at - first, key));
            }
        }
        found
    }

    fn destination(&mut self, key: (u128, u16)) -> &mut Destination {
        if !self.destinations.contains_key(&key) {
            if self.destinations.len() >= MAX_DESTINATIONS
                && let Some(oldest) = self.order.pop_front()
            {
                self.destinations.remove(&oldest);
            }
            self.order.push_back(key);
        }
        self.destinations.entry(key).or_default()
    }

    fn vote(&mut self, clock: u32, ip: IpAddr, at: i64, offset: i64, key: (u128, u16)) -> Option<Guess> {
        let pair = (clock, ip);
        if !self.ballots.contains_key(&pair) {
            if self.ballots.len() >= MAX_BALLOTS
                && let Some(oldest) = self.asked.pop_front()
            {
                self.ballots.remove(&oldest);
            }
            self.asked.push_back(pair);
        }
        let (offset, agree) = self.ballots.entry(pair).or_default().vote(offset, key)?;
        Some(Guess { clock, ip, at, offset, agree, sole: false })
    }
}

/// Adds an item; true when an old one had to go.
fn push<T>(list: &mut VecDeque<T>, item: T) -> bool {
    let full = list.len() >= PER_DESTINATION;
    if full {
        list.pop_front();
    }
    list.push_back(item);
    full
}
