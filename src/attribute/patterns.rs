//! Clocks and addresses of logs without ports: guessed from which destinations were reached when.
//!
//! A log that says "curl connected to 203.0.113.7:443 at 10:00:07" and a flow from 10.0.0.5 to there at 10:00:05 may
//! belong together. When the same difference comes up for several destinations, and no other as often, then the host is
//! 10.0.0.5 and its clock two seconds ahead.

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
    /// Destinations that agree.
    pub agree: usize,
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
}

impl Patterns {
    /// An event without a port. `unsure`: its clock is not known well.
    pub(super) fn event(&mut self, s: &Socket, unsure: bool) -> Vec<Guess> {
        self.wanted = true;
        if !unsure {
            return Vec::new();
        }
        let key = (s.remote, s.remote_port);
        let place = self.destination(key);
        place.busy |= push(&mut place.events, (s.clock, s.at));
        let flows = if place.busy { Vec::new() } else { place.flows.iter().copied().collect() };
        let own = |ip: IpAddr| s.local == 0 || s.local == wide(ip);
        let pairs = flows.into_iter().filter(|(ip, _)| own(*ip));
        pairs.filter_map(|(ip, first)| self.vote(s.clock, ip, first, s.at - first, key)).collect()
    }

    /// A new flow.
    pub(super) fn flow(&mut self, ends: &Ends, first: i64) -> Vec<Guess> {
        if !self.wanted && self.destinations.len() >= MAX_DESTINATIONS / 2 {
            return Vec::new();
        }
        let key = (wide(ends.responder), ends.responder_port);
        let place = self.destination(key);
        place.busy |= push(&mut place.flows, (ends.originator, first));
        let events = if place.busy { VecDeque::new() } else { place.events.clone() };
        let pairs = events.into_iter();
        pairs.filter_map(|(clock, at)| self.vote(clock, ends.originator, first, at - first, key)).collect()
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
        Some(Guess { clock, ip, at, offset, agree })
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
