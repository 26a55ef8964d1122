//! Which addresses are the same host, and what the site says of hosts.

use super::Map;
use super::keep::Keeping;
use super::learn::host::Part;
use crate::config::SiteFacts;
use crate::state::kept::{Cell, Kept, Row};
use crate::state::{Damage, HOST, Rows, Store, Table};
use serde::{Deserialize, Serialize};
use std::net::IpAddr;
use std::path::Path;
use std::sync::Arc;

/// Lines of an asset list at most.
const MAX_ASSETS: usize = 1 << 20;

/// A host as the site's asset list has it.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub struct Asset {
    /// Its name.
    pub name: Box<str>,
    /// The first of its addresses.
    pub address: Option<IpAddr>,
    /// Who answers for it.
    pub owner: Option<Box<str>>,
    /// What it is for.
    pub role: Option<Box<str>>,
    /// The site manages it.
    pub managed: Option<bool>,
}

/// The asset list.
#[derive(Clone, Default, Debug)]
pub struct Assets {
    by_address: Map<IpAddr, Arc<Asset>>,
    by_mac: Map<[u8; 6], Arc<Asset>>,
    /// Hosts in it.
    pub count: usize,
}

impl Assets {
    /// Reads a CSV list with a heading: `name`, `mac`, `addresses` (or `address`, `ip`; several with blanks between),
    /// `owner`, `role`, `managed`. Unknown columns are passed over.
    pub fn read(path: &Path) -> Result<Self, String> {
        let text = std::fs::read_to_string(path).map_err(|e| e.to_string())?;
        Self::parse(&text)
    }

    fn parse(text: &str) -> Result<Self, String> {
        let mut lines = text.lines().enumerate();
        let heading = lines.next().map(|(_, l)| l).unwrap_or_default();
        let columns: Vec<String> = heading.split(',').map(|c| c.trim().to_ascii_lowercase()).collect();
        let find = |names: &[&str]| columns.iter().position(|c| names.contains(&c.as_str()));
        let (name, mac) = (find(&["name", "hostname", "host"]), find(&["mac"]));
        let addresses = find(&["addresses", "address", "ip"]);
        if name.is_none() && addresses.is_none() && mac.is_none() {
            return Err("line 1: no column is called name, mac or addresses".to_owned());
        }
        let (owner, role, managed) = (find(&["owner"]), find(&["role"]), find(&["managed"]));
        let mut assets = Self::default();
        for (number, line) in lines.filter(|(_, l)| !l.trim().is_empty()).take(MAX_ASSETS) {
            let cells: Vec<&str> = line.split(',').map(|c| c.trim().trim_matches('"')).collect();
            let cell = |at: Option<usize>| at.and_then(|i| cells.get(i)).copied().filter(|c| !c.is_empty());
            let listed = cell(addresses).unwrap_or_default().split([' ', ';']).filter(|a| !a.is_empty());
            let listed: Vec<IpAddr> = listed
                .map(|a| {
                    a.parse()
                        .map_err(|_| format!("line {}: '{}' is no address", number + 1, a.escape_debug()))
                })
                .collect::<Result<_, _>>()?;
            let asset = Arc::new(Asset {
                address: listed.first().copied(),
                name: cell(name).or_else(|| cell(addresses)).unwrap_or_default().into(),
                owner: cell(owner).map(Into::into),
                role: cell(role).map(Into::into),
                managed: cell(managed).map(|m| matches!(m, "yes" | "true" | "1")),
            });
            for ip in listed {
                assets.by_address.insert(ip, Arc::clone(&asset));
            }
            if let Some(mac) = cell(mac).and_then(parse_mac) {
                assets.by_mac.insert(mac, Arc::clone(&asset));
            }
            assets.count += 1;
        }
        Ok(assets)
    }
}

/// Six bytes in hexadecimal with colons or dashes.
fn parse_mac(text: &str) -> Option<[u8; 6]> {
    let mut mac = [0; 6];
    let mut parts = text.split([':', '-']);
    for byte in &mut mac {
        *byte = u8::from_str_radix(parts.next()?, 16).ok()?;
    }
    parts.next().is_none().then_some(mac)
}

/// Who a host is.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
enum Key {
    Name(Box<str>),
    Mac([u8; 6]),
    Address(IpAddr),
}

/// A host and its place among those that are learned.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Named {
    place: u32,
    key: Key,
}

impl Kept for Named {
    const TABLE: &'static Table = &HOST;

    fn shown(&self) -> Vec<Cell> {
        let text = match &self.key {
            Key::Name(name) => name.to_string(),
            Key::Mac(mac) => mac.map(|b| format!("{b:02x}")).join(":"),
            Key::Address(ip) => ip.to_string(),
        };
        vec![Cell::Text(text)]
    }
}

/// See the module.
#[derive(Debug, Default)]
pub struct Roster {
    facts: SiteFacts,
    assets: Assets,
    places: Map<Key, u32>,
    /// The same in the order in which they came, for the state file.
    named: Rows<Named>,
    /// Addresses that have been given to a machine.
    leases: Map<IpAddr, [u8; 6]>,
    by_address: Map<IpAddr, u32>,
}

/// Name of the part that leases are kept in.
const PART: &str = "leases";

/// Leases remembered.
const MAX_LEASES: usize = 1 << 18;

impl Roster {
    /// With what the site says.
    pub fn new(facts: SiteFacts, assets: Assets) -> Self {
        Self { facts, assets, ..Self::default() }
    }

    /// The site's facts.
    pub fn facts(&self) -> &SiteFacts {
        &self.facts
    }

    /// An address was given to a machine.
    pub fn lease(&mut self, ip: IpAddr, mac: [u8; 6]) {
        if self.leases.len() >= MAX_LEASES && !self.leases.contains_key(&ip) {
            return;
        }
        if self.leases.insert(ip, mac) != Some(mac) {
            self.by_address.remove(&ip);
        }
    }

    /// What has changed so far is due.
    pub(super) fn freeze(&mut self, keep: &mut Keeping<'_>) {
        self.named.freeze();
        keep.part(PART, &self.leases);
    }

    /// Hands over at most `most` rows of what is due.
    pub(super) fn hand_over(&mut self, most: &mut usize, out: &mut Vec<Row>) {
        self.named.hand_over(most, out);
    }

    /// Takes in what a state file has kept: hosts of the learner, at most `hosts` of them.
    pub(super) fn restore(&mut self, store: &Store, hosts: usize) -> Result<(), Damage> {
        self.leases = store.part(PART)?.unwrap_or_default();
        store.rows(|_, named: Named| {
            if named.place as usize >= hosts {
                return Err("what is known of it is missing");
            }
            self.places.insert(named.key.clone(), named.place);
            self.named.push_known(named);
            Ok(())
        })
    }

    /// What the site says of the host at a place, where that goes by its address.
    pub(super) fn part_at(&self, place: u32) -> Option<Part> {
        // Places are numbered as they come.
        match &self.named.get(place as usize)?.key {
            Key::Address(ip) => Some(self.part(*ip)),
            Key::Name(_) | Key::Mac(_) => None,
        }
    }

    /// The place of a host that is known already, by its address.
    pub(super) fn known_place(&self, ip: IpAddr) -> Option<u32> {
        let key = match (self.asset(ip), self.leases.get(&ip)) {
            (Some(asset), _) => Key::Name(asset.name.clone()),
            (None, Some(mac)) => Key::Mac(*mac),
            (None, None) => Key::Address(ip),
        };
        self.places.get(&key).copied()
    }

    /// The name or address of the host at a place, as it is known there.
    pub fn name_at(&self, place: u32) -> Option<String> {
        let named = self.named.get(place as usize).filter(|n| n.place == place)?;
        named.shown().into_iter().find_map(|cell| match cell {
            Cell::Text(text) => Some(text),
            Cell::Int(_) => None,
        })
    }

    /// The host of an address as the asset list has it.
    pub fn asset(&self, ip: IpAddr) -> Option<&Arc<Asset>> {
        let by_mac = || self.assets.by_mac.get(self.leases.get(&ip)?);
        self.assets.by_address.get(&ip).or_else(by_mac)
    }

    /// There is an asset list.
    pub fn has_assets(&self) -> bool {
        self.assets.count > 0
    }

    /// The site says that the host is a guest of a hypervisor.
    pub fn is_guest(&self, ip: IpAddr) -> bool {
        self.facts.esxi_guests.contains(ip, self.asset(ip).map(|a| &*a.name))
    }

    /// What the site says of a host.
    pub fn part(&self, ip: IpAddr) -> Part {
        let name = self.asset(ip).map(|a| &*a.name);
        let is = |hosts: &crate::config::Hosts| hosts.contains(ip, name);
        Part {
            gateway: is(&self.facts.gateways),
            server: is(&self.facts.servers),
            hypervisor: is(&self.facts.esxi_hosts),
        }
    }

    /// The place of the host with this address; `add` makes one for a new host. An address is held to be its machine
    /// by the asset list first, by its lease else: an address that is given to another machine is another host.
    pub fn place(&mut self, ip: IpAddr, add: impl FnOnce(Part) -> u32) -> u32 {
        if let Some(place) = self.by_address.get(&ip) {
            return *place;
        }
        let key = match (self.asset(ip), self.leases.get(&ip)) {
            (Some(asset), _) => Key::Name(asset.name.clone()),
            (None, Some(mac)) => Key::Mac(*mac),
            (None, None) => Key::Address(ip),
        };
        let part = self.part(ip);
        let place = match self.places.get(&key) {
            Some(place) => *place,
            None => {
                let place = add(part);
                self.named.push(Named { place, key: key.clone() });
                self.places.insert(key, place);
                place
            }
        };
        self.by_address.insert(ip, place);
        place
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn twins_are_one_host_and_a_lease_that_moves_is_another() {
        let text = "name,mac,addresses,owner\npc1,02:00:00:00:00:01,10.0.0.1 2001:db8::1,ann\npc2,02:00:00:00:00:02,,bob\n";
        let mut roster = Roster::new(SiteFacts::default(), Assets::parse(text).expect("good"));
        let ip = |t: &str| t.parse::<IpAddr>().expect("address");
        let mut next = 0;
        let mut place = |roster: &mut Roster, t: &str| {
            roster.place(ip(t), |_| {
                next += 1;
                next
            })
        };
        assert_eq!(place(&mut roster, "10.0.0.1"), place(&mut roster, "2001:db8::1"));
        roster.lease(ip("10.0.9.9"), [2, 0, 0, 0, 0, 2]);
        let pc2 = place(&mut roster, "10.0.9.9");
        roster.lease(ip("10.0.9.9"), [2, 0, 0, 0, 0, 7]);
        assert_ne!(place(&mut roster, "10.0.9.9"), pc2);
        roster.lease(ip("10.0.9.10"), [2, 0, 0, 0, 0, 2]);
        assert_eq!(place(&mut roster, "10.0.9.10"), pc2);
        assert_eq!(roster.asset(ip("10.0.9.10")).and_then(|a| a.owner.clone()).as_deref(), Some("bob"));
    }

    #[test]
    fn faults_name_the_line() {
        assert!(Assets::parse("x,y\n").is_err());
        let fault = Assets::parse("name,ip\na,10.0.0.1\nb,10.0.0\n").expect_err("bad");
        assert!(fault.starts_with("line 3:"), "{fault}");
    }
}
