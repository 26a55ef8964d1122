//! Which machine an address is: leases of DHCP, and what ARP and neighbour discovery show.

use super::Map;
use crate::observe::Lease;
use crate::units::{Span, Timestamp};
use serde::{Deserialize, Serialize};
use std::collections::VecDeque;
use std::net::IpAddr;

/// Addresses remembered; the oldest go first.
const MAX_ADDRESSES: usize = 1 << 16;
/// Machines whose name is remembered.
const MAX_NAMES: usize = 1 << 15;
/// How long an address is believed where nothing was said.
const BELIEVED: Span = Span::from_secs(4 * 3_600);
/// A link address with more addresses than this is a router's.
const MAX_OF_ONE: usize = 8;

/// What is known of an address.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
struct Machine {
    mac: [u8; 6],
    name: Option<Box<str>>,
    until: Timestamp,
    /// Said by a lease, which a mere sighting does not override.
    leased: bool,
}

/// See the module.
#[derive(Debug, Default, Serialize, Deserialize)]
pub struct Hosts {
    machines: Map<IpAddr, Machine>,
    order: VecDeque<IpAddr>,
    /// What machines call themselves, from their requests.
    names: Map<[u8; 6], Box<str>>,
    named: VecDeque<[u8; 6]>,
    /// Addresses that a link address has shown, up to one too many.
    shown: Map<[u8; 6], Vec<IpAddr>>,
    evicted: u64,
}

impl Hosts {
    /// Takes a lease or a sighting. The unspecified address: only the name of a machine is told.
    pub fn learn(&mut self, lease: &Lease) {
        if lease.mac[0] & 1 != 0 || lease.mac == [0; 6] {
            return;
        }
        if let Some(name) = lease.name.as_ref().filter(|n| !n.is_empty()) {
            self.note_name(lease.mac, name);
        }
        if lease.ip.is_unspecified() || lease.ip.is_multicast() {
            return;
        }
        let leased = lease.until > lease.at;
        let until = if leased { lease.until } else { lease.at.plus(BELIEVED) };
        if let Some(old) = self.machines.get_mut(&lease.ip) {
            let kept = old.leased && old.until > lease.at;
            if leased || !kept {
                let name = if old.mac == lease.mac { old.name.take() } else { None };
                *old = Machine { mac: lease.mac, name: lease.name.clone().or(name), until, leased };
                self.show(lease);
            }
            return;
        }
        if self.machines.len() >= MAX_ADDRESSES
            && let Some(oldest) = self.order.pop_front()
        {
            self.forget(oldest);
        }
        self.order.push_back(lease.ip);
        let name = lease.name.clone();
        self.machines.insert(lease.ip, Machine { mac: lease.mac, name, until, leased });
        self.show(lease);
    }

    fn note_name(&mut self, mac: [u8; 6], name: &str) {
        if let Some(old) = self.names.get_mut(&mac) {
            if **old != *name {
                *old = name.into();
            }
            return;
        }
        if self.names.len() >= MAX_NAMES
            && let Some(oldest) = self.named.pop_front()
        {
            self.names.remove(&oldest);
            self.evicted += 1;
        }
        self.named.push_back(mac);
        self.names.insert(mac, name.into());
    }

    fn show(&mut self, lease: &Lease) {
        let shown = self.shown.entry(lease.mac).or_default();
        if shown.len() <= MAX_OF_ONE && !shown.contains(&lease.ip) {
            shown.push(lease.ip);
        }
    }

    fn forget(&mut self, ip: IpAddr) {
        self.evicted += 1;
        let Some(machine) = self.machines.remove(&ip) else { return };
        if let Some(shown) = self.shown.get_mut(&machine.mac) {
            shown.retain(|a| *a != ip);
            if shown.is_empty() {
                self.shown.remove(&machine.mac);
            }
        }
    }

    /// The machine behind an address: its link address and name, where they are known and still hold.
    pub fn machine(&self, ip: IpAddr, now: Timestamp) -> Option<([u8; 6], Option<&str>)> {
        let machine = self.machines.get(&ip).filter(|m| now <= m.until && !self.is_router(m.mac))?;
        let name = machine.name.as_deref().or_else(|| self.names.get(&machine.mac).map(|n| &**n));
        Some((machine.mac, name))
    }

    /// The link address has shown so many addresses that it is no single machine's.
    pub fn is_router(&self, mac: [u8; 6]) -> bool {
        self.shown.get(&mac).is_some_and(|shown| shown.len() > MAX_OF_ONE)
    }

    /// Addresses remembered, and entries given up for want of room.
    pub fn counts(&self) -> (u64, u64) {
        (self.machines.len() as u64, self.evicted)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lease(ip: &str, mac: u8, name: Option<&str>, at: i64, secs: i64) -> Lease {
        Lease {
            ip: ip.parse().expect("address"),
            mac: [2, 0, 0, 0, 0, mac],
            name: name.map(Into::into),
            at: Timestamp::new(at, 0),
            until: Timestamp::new(at + secs, 0),
        }
    }

    fn machine(hosts: &Hosts, ip: &str, at: i64) -> Option<(u8, Option<String>)> {
        let found = hosts.machine(ip.parse().expect("address"), Timestamp::new(at, 0));
        found.map(|(mac, name)| (mac[5], name.map(ToOwned::to_owned)))
    }

    #[test]
    fn a_lease_holds_until_it_ends_and_sightings_do_not_override_it() {
        let mut hosts = Hosts::default();
        hosts.learn(&lease("0.0.0.0", 7, Some("pc7"), 0, 0));
        hosts.learn(&lease("10.0.0.7", 7, None, 10, 100));
        assert_eq!(machine(&hosts, "10.0.0.7", 50), Some((7, Some("pc7".into()))));
        hosts.learn(&lease("10.0.0.7", 9, None, 60, 0));
        assert_eq!(machine(&hosts, "10.0.0.7", 70), Some((7, Some("pc7".into()))));
        assert_eq!(machine(&hosts, "10.0.0.7", 200), None);
        hosts.learn(&lease("10.0.0.7", 9, None, 200, 0));
        assert_eq!(machine(&hosts, "10.0.0.7", 201), Some((9, None)));
        assert_eq!(machine(&hosts, "10.0.0.8", 201), None);
    }

    #[test]
    fn a_router_is_nobody() {
        let mut hosts = Hosts::default();
        for i in 1..=9 {
            hosts.learn(&lease(&format!("10.0.0.{i}"), 1, None, 0, 0));
        }
        assert_eq!(machine(&hosts, "10.0.0.1", 1), None);
    }

    #[test]
    fn bounded() {
        let mut hosts = Hosts::default();
        for i in 0..MAX_ADDRESSES as u32 + 100 {
            let [a, b, c, d] = i.to_be_bytes();
            hosts.learn(&Lease {
                ip: IpAddr::from((0x0a00_0000 + i).to_be_bytes()),
                mac: [2, 0, a, b, c, d],
                name: Some("x".into()),
                at: Timestamp::default(),
                until: Timestamp::default(),
            });
        }
        assert_eq!(hosts.machines.len(), MAX_ADDRESSES);
        assert_eq!(hosts.order.len(), MAX_ADDRESSES);
        assert!(hosts.names.len() <= MAX_NAMES && hosts.shown.len() <= MAX_ADDRESSES);
        assert!(hosts.counts().1 >= 100);
    }
}
