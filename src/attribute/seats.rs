//! Flows as the joiner knows them, open and lately ended.

use crate::decode::Transport;
use crate::detect::Map;
use crate::observe::{Ends, FlowId};
use crate::units::Direction;
use std::collections::VecDeque;
use std::hash::BuildHasher;
use std::net::IpAddr;
use std::sync::Arc;

/// A flow.
#[derive(Clone, Debug)]
pub(super) struct Seat {
    pub flow: FlowId,
    pub ends: Ends,
    /// Which side is the host whose process is wanted.
    pub side: Direction,
    /// First and newest frame.
    pub first: i64,
    pub last: i64,
    /// The first frame is known, and it opened the connection.
    pub opened: bool,
    /// Name of the destination.
    pub name: Option<Arc<str>>,
    pub ended: bool,
    /// Clocks that it has taught their offset.
    pub taught: Vec<u32>,
}

/// See the module.
#[derive(Debug)]
pub(super) struct Seats {
    by_flow: Map<FlowId, Seat>,
    /// Flows by the port of the originator and the responder.
    by_ports: Map<u64, Vec<FlowId>>,
    /// Flows by originator and responder, in the order in which they came.
    by_ends: Map<u64, VecDeque<FlowId>>,
    /// In the order in which they came.
    order: VecDeque<FlowId>,
    hash: foldhash::fast::RandomState,
    room: usize,
    /// Given up for want of room while they were open.
    pub evicted: u64,
}

/// One number space for both kinds of address.
pub(super) fn wide(ip: IpAddr) -> u128 {
    match ip {
        IpAddr::V4(v4) => v4.to_ipv6_mapped().to_bits(),
        IpAddr::V6(v6) => v6.to_bits(),
    }
}

impl Seat {
    /// Number of its transport.
    pub(super) fn proto(&self) -> u8 {
        match self.ends.transport {
            Transport::Tcp => 6,
            Transport::Udp => 17,
        }
    }
}

/// Flows of the same ports and far end; more than this is no reuse but an attack.
const SAME_PORTS: usize = 16;

impl Seats {
    pub(super) fn new(room: usize) -> Self {
        Self {
            by_flow: Map::default(),
            by_ports: Map::default(),
            by_ends: Map::default(),
            order: VecDeque::new(),
            hash: foldhash::fast::RandomState::default(),
            room: room.max(16),
            evicted: 0,
        }
    }

    fn key(&self, port: u16, far: u128, far_port: u16) -> u64 {
        self.hash.hash_one((port, far, far_port))
    }

    fn ends(&self, e: &Ends) -> u64 {
        self.hash.hash_one((wide(e.originator), wide(e.responder), e.responder_port))
    }

    pub(super) fn find(&self, flow: FlowId) -> Option<&Seat> {
        self.by_flow.get(&flow)
    }

    pub(super) fn find_mut(&mut self, flow: FlowId) -> Option<&mut Seat> {
        self.by_flow.get_mut(&flow)
    }

    /// Takes a flow that is not known yet.
    pub(super) fn add(&mut self, seat: Seat) {
        while self.by_flow.len() >= self.room {
            let Some(oldest) = self.order.pop_front() else { break };
            let open = self.by_flow.get(&oldest).is_some_and(|s| !s.ended);
            self.evicted += u64::from(open);
            self.remove(oldest);
        }
        let e = &seat.ends;
        let key = self.key(e.originator_port, wide(e.responder), e.responder_port);
        let same = self.by_ports.entry(key).or_default();
        if same.len() >= SAME_PORTS {
            same.remove(0);
        }
        same.push(seat.flow);
        let ends = self.ends(e);
        self.by_ends.entry(ends).or_default().push_back(seat.flow);
        self.order.push_back(seat.flow);
        self.by_flow.insert(seat.flow, seat);
    }

    /// Forgets flows that ended before `since`, the oldest first.
    pub(super) fn expire(&mut self, since: i64) {
        while let Some(oldest) = self.order.front().copied() {
            if self.by_flow.get(&oldest).is_some_and(|s| !s.ended || s.last >= since) {
                return;
            }
            self.order.pop_front();
            self.remove(oldest);
        }
    }

    fn remove(&mut self, flow: FlowId) {
        let Some(seat) = self.by_flow.remove(&flow) else { return };
        let e = &seat.ends;
        let key = self.key(e.originator_port, wide(e.responder), e.responder_port);
        if let Some(same) = self.by_ports.get_mut(&key) {
            same.retain(|f| *f != flow);
            if same.is_empty() {
                self.by_ports.remove(&key);
            }
        }
        let key = self.ends(e);
        if let Some(same) = self.by_ends.get_mut(&key) {
            // They go in the order in which they came.
            if same.front() == Some(&flow) {
                same.pop_front();
            } else {
                same.retain(|f| *f != flow);
            }
            if same.is_empty() {
                self.by_ends.remove(&key);
            }
        }
    }

    /// When flows with the ends of this one, but for the port, began within a time, in order; at most so many.
    pub(super) fn beside(&self, e: &Ends, (from, to): (i64, i64), most: usize) -> Vec<(i64, FlowId)> {
        let Some(same) = self.by_ends.get(&self.ends(e)) else { return Vec::new() };
        let first = |flow: &FlowId| self.by_flow.get(flow).map_or(i64::MIN, |s| s.first);
        // They came nearly in the order of time.
        let start = same.partition_point(|flow| first(flow) < from);
        let near = same.range(start..).map(|flow| (first(flow), *flow));
        let mut all: Vec<_> = near.take_while(|(at, _)| *at <= to).take(most).collect();
        all.sort_unstable();
        all
    }

    /// Flows that an originator's port and a responder have opened.
    pub(super) fn with_ports(&self, port: u16, far: u128, far_port: u16) -> impl Iterator<Item = &Seat> {
        let list = self.by_ports.get(&self.key(port, far, far_port)).map_or(&[][..], Vec::as_slice);
        list.iter().filter_map(|flow| self.by_flow.get(flow)).filter(move |s| {
            let e = &s.ends;
            e.originator_port == port && wide(e.responder) == far && e.responder_port == far_port
        })
    }
}
