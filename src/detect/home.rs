//! Which side of a flow is at home.

use super::Map;
use crate::net::{Cidr, Nets};
use crate::observe::Ends;
use crate::units::Direction;
use serde::{Deserialize, Serialize};
use std::collections::HashSet;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// What a flow touches.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum Sides {
    /// One end is at home; bytes in this direction leave.
    Out(Direction),
    /// Both ends are at home.
    Inside,
    /// Neither is.
    Transit,
}

/// Prefixes watched while looking for unknown home networks.
const MAX_CANDIDATES: usize = 4_096;
/// Distinct monitored names that the addresses of a prefix must have opened connections to.
const NAMES_WANTED: usize = 5;
/// Connections that they must have opened.
const OPENED_WANTED: u32 = 20;

/// Link addresses watched.
const MAX_MACS: usize = 16_384;
/// Addresses that a host may have; more stand behind a router.
const MAX_BEHIND_MAC: usize = 8;

/// A global prefix that may be home: its addresses open connections, and hardly any reach them.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
struct Candidate {
    opened: u32,
    accepted: u32,
    names: HashSet<u64>,
}

/// The home networks: given, or the private ranges and what is learned.
#[derive(Debug)]
pub struct Home {
    nets: Nets,
    learns: bool,
    candidates: Map<IpAddr, Candidate>,
    /// Addresses seen behind a link address, while they are few.
    macs: Map<[u8; 6], Vec<IpAddr>>,
    learned: Vec<Cidr>,
}

/// What a restart must not forget of home: learning it takes a while.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct HomeKept {
    candidates: Map<IpAddr, Candidate>,
    macs: Map<[u8; 6], Vec<IpAddr>>,
    learned: Vec<(IpAddr, u8)>,
}

impl Home {
    /// What is to be kept.
    pub(super) fn kept(&self) -> HomeKept {
        HomeKept {
            candidates: self.candidates.clone(),
            macs: self.macs.clone(),
            learned: self.learned.iter().map(|cidr| (cidr.addr(), cidr.prefix())).collect(),
        }
    }

    /// Takes back what was kept, unless the user has named the networks.
    pub(super) fn restore(&mut self, kept: HomeKept) {
        if !self.learns {
            return;
        }
        (self.candidates, self.macs) = (kept.candidates, kept.macs);
        // Only what would have been learned: a file must not make the world home.
        let learned =
            kept.learned.into_iter().filter(|(ip, bits)| *bits >= if ip.is_ipv4() { 24 } else { 64 });
        self.learned = learned.filter_map(|(ip, bits)| Cidr::new(ip, bits)).collect();
        self.nets = Nets::new(self.nets.iter().copied().chain(self.learned.iter().copied()));
    }

    /// `given`: the networks that the user named; without them the defaults, and learning.
    pub fn new(given: Option<Nets>) -> Self {
        let learns = given.is_none();
        Self {
            nets: given.unwrap_or_else(crate::net::default_home),
            learns,
            candidates: Map::default(),
            macs: Map::default(),
            learned: Vec::new(),
        }
    }

    /// The address is at home.
    pub fn contains(&self, ip: IpAddr) -> bool {
        self.nets.contains(ip)
    }

    /// Networks learned so far.
    pub fn learned(&self) -> &[Cidr] {
        &self.learned
    }

    /// What a flow touches. `outside_name`: its destination has been named as somebody's service, so that a responder
    /// with a home address (a private endpoint, a proxy) counts as outside.
    pub fn sides(&self, ends: &Ends, outside_name: bool) -> Sides {
        match (self.contains(ends.originator), self.contains(ends.responder)) {
            (true, false) => Sides::Out(Direction::Up),
            (false, true) => Sides::Out(Direction::Down),
            (true, true) if outside_name => Sides::Out(Direction::Up),
            (true, true) => Sides::Inside,
            (false, false) => Sides::Transit,
        }
    }

    /// Learns from a named flow between two addresses that are not at home. True when a network became home.
    pub fn learn(&mut self, ends: &Ends, monitored: Option<u64>) -> bool {
        if !self.learns || !is_global(ends.originator) || self.contains(ends.originator) {
            return false;
        }
        if let Some(prefix) = prefix_of(ends.responder)
            && let Some(candidate) = self.candidates.get_mut(&prefix)
        {
            candidate.accepted = candidate.accepted.saturating_add(1);
        }
        let Some(prefix) = prefix_of(ends.originator) else { return false };
        if self.candidates.len() >= MAX_CANDIDATES && !self.candidates.contains_key(&prefix) {
            return false;
        }
        let candidate = self.candidates.entry(prefix).or_default();
        candidate.opened = candidate.opened.saturating_add(1);
        if candidate.names.len() < NAMES_WANTED {
            candidate.names.extend(monitored);
        }
        let enough = candidate.opened >= OPENED_WANTED && candidate.names.len() >= NAMES_WANTED;
        if !enough || candidate.accepted > candidate.opened / 20 {
            return false;
        }
        self.adopt(prefix)
    }

    /// Learns from the link address of a flow's first frame. A home host that also opens connections from a global
    /// IPv6 address has its /64 at home. A link address with more than `MAX_BEHIND_MAC` addresses is a router: it
    /// proves nothing.
    pub fn learn_mac(&mut self, ends: &Ends, mac: [u8; 6]) -> bool {
        let ip = ends.originator;
        if !self.learns || !is_global(ip) {
            return false;
        }
        if self.macs.len() >= MAX_MACS && !self.macs.contains_key(&mac) {
            return false;
        }
        let behind = self.macs.entry(mac).or_default();
        if behind.len() > MAX_BEHIND_MAC {
            return false;
        }
        if !behind.contains(&ip) {
            behind.push(ip);
        }
        let few = behind.len() <= MAX_BEHIND_MAC;
        let at_home = few && behind.iter().any(|ip| ip.is_ipv4() && self.nets.contains(*ip));
        // Link-local and unique local addresses are at home already; an IPv4 host behind NAT has no global one.
        if !at_home || ip.is_ipv4() || self.nets.contains(ip) {
            return false;
        }
        prefix_of(ip).is_some_and(|prefix| self.adopt(prefix))
    }

    fn adopt(&mut self, prefix: IpAddr) -> bool {
        self.candidates.remove(&prefix);
        let bits = if prefix.is_ipv4() { 24 } else { 64 };
        let Some(cidr) = Cidr::new(prefix, bits) else { return false };
        self.learned.push(cidr);
        self.nets = Nets::new(self.nets.iter().copied().chain([cidr]));
        true
    }
}

fn is_global(ip: IpAddr) -> bool {
    !(ip.is_loopback() || ip.is_multicast() || ip.is_unspecified())
}

/// The /24 or /64 of an address.
pub(super) fn prefix_of(ip: IpAddr) -> Option<IpAddr> {
    match ip {
        _ if !is_global(ip) => None,
        IpAddr::V4(a) => Some(IpAddr::V4(Ipv4Addr::from_bits(a.to_bits() & !0xff))),
        IpAddr::V6(a) => Some(IpAddr::V6(Ipv6Addr::from_bits(a.to_bits() & !u128::from(u64::MAX)))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::decode::Transport;

    fn ends(a: &str, b: &str) -> Ends {
        Ends {
            originator: a.parse().expect("address"),
            responder: b.parse().expect("address"),
            originator_port: 50_000,
            responder_port: 443,
            transport: Transport::Tcp,
        }
    }

    #[test]
    fn out_is_out_of_home_whoever_opened() {
        let home = Home::new(None);
        assert_eq!(home.sides(&ends("10.0.0.1", "8.8.8.8"), false), Sides::Out(Direction::Up));
        assert_eq!(home.sides(&ends("8.8.8.8", "10.0.0.1"), false), Sides::Out(Direction::Down));
        assert_eq!(home.sides(&ends("10.0.0.1", "10.0.0.2"), false), Sides::Inside);
        assert_eq!(home.sides(&ends("10.0.0.1", "10.0.0.2"), true), Sides::Out(Direction::Up));
        assert_eq!(home.sides(&ends("9.9.9.9", "8.8.8.8"), true), Sides::Transit);
    }

    #[test]
    fn the_ipv6_side_of_a_home_host_is_home_and_a_router_proves_nothing() {
        let mut home = Home::new(None);
        let (host, router) = ([2, 0, 0, 0, 0, 1], [2, 0, 0, 0, 0, 9]);
        assert!(!home.learn_mac(&ends("10.0.0.5", "203.0.113.1"), host));
        assert!(home.learn_mac(&ends("2001:db8:7::5", "2001:db8:99::1"), host));
        assert!(home.contains("2001:db8:7::77".parse().expect("address")));
        home.learn_mac(&ends("10.0.0.1", "203.0.113.1"), router);
        for i in 0..20 {
            home.learn_mac(&ends(&format!("198.51.100.{i}"), "10.0.0.1"), router);
        }
        assert!(!home.learn_mac(&ends("2001:db8:66::5", "2001:db8:7::1"), router));
    }

    #[test]
    fn a_client_prefix_becomes_home_and_a_server_prefix_does_not() {
        let mut home = Home::new(None);
        for i in 0..30u32 {
            let flow = ends(&format!("198.51.100.{i}"), "203.0.113.1");
            home.learn(&flow, Some(u64::from(i % 7)));
        }
        assert_eq!(home.learned().len(), 1);
        assert!(home.contains("198.51.100.200".parse().expect("address")));
        assert!(!home.contains("203.0.113.1".parse().expect("address")));
        let mut fixed = Home::new(Some(Nets::new([])));
        assert!((0..99).all(|i| !fixed.learn(&ends("198.51.100.1", "203.0.113.1"), Some(i))));
    }
}
