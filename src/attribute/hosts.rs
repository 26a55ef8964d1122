//! Hosts as their own logs call them.

use super::recent::Spoke;
use crate::detect::Map;
use crate::endpoint::{HostRef, SourceKind};
use std::collections::VecDeque;
use std::sync::Arc;

/// Hosts remembered; more are not taken.
const MAX_HOSTS: usize = 100_000;
/// Hosts that share a short name.
const MAX_NAMESAKES: usize = 8;
/// Starts of watched programs remembered of one host.
const MAX_STARTED: usize = 32;
/// Connections to the host itself remembered.
const MAX_LOOPS: usize = 64;

/// A host.
#[derive(Debug)]
pub(super) struct Host {
    /// Its name as logged.
    pub name: Arc<str>,
    /// When its log was heard last, in the sensor's time.
    pub heard: i64,
    /// A log of it comes by way of a cloud, minutes late.
    pub slow: bool,
    /// The last person seen in its log.
    pub user: Option<Arc<str>>,
    /// Programs on lists that were started of late.
    pub started: VecDeque<Spoke>,
    /// Who connected to a port of the host itself.
    pub loops: VecDeque<(u16, Spoke)>,
}

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Hosts {
    all: Vec<Host>,
    by_id: Map<Arc<str>, u32>,
    by_name: Map<Box<str>, Vec<u32>>,
    by_mac: Map<[u8; 6], u32>,
    /// Hosts that found no room.
    pub refused: u64,
}

impl Hosts {
    /// The host of an event.
    pub(super) fn at(&mut self, host: &HostRef, source: SourceKind, now: i64) -> Option<u32> {
        let id = match self.by_id.get(&host.id) {
            Some(id) => *id,
            None => self.add(host)?,
        };
        if let Some(mac) = host.mac
            && self.by_mac.len() < MAX_HOSTS
        {
            self.by_mac.insert(mac, id);
        }
        let entry = self.all.get_mut(id as usize)?;
        entry.heard = entry.heard.max(now);
        entry.slow |= is_slow(source);
        Some(id)
    }

    /// The host of an event, if it is known.
    pub(super) fn find(&self, host: &HostRef) -> Option<u32> {
        self.by_id.get(&host.id).copied()
    }

    fn add(&mut self, host: &HostRef) -> Option<u32> {
        if self.all.len() >= MAX_HOSTS {
            self.refused += 1;
            return None;
        }
        let id = self.all.len() as u32;
        let name = host.name.clone().unwrap_or_else(|| Arc::clone(&host.id));
        if let Some(short) = short_name(&name) {
            let namesakes = self.by_name.entry(short).or_default();
            if namesakes.len() < MAX_NAMESAKES {
                namesakes.push(id);
            }
        }
        self.by_id.insert(Arc::clone(&host.id), id);
        self.all.push(Host {
            name,
            heard: i64::MIN,
            slow: false,
            user: None,
            started: VecDeque::new(),
            loops: VecDeque::new(),
        });
        Some(id)
    }

    pub(super) fn host(&self, id: u32) -> Option<&Host> {
        self.all.get(id as usize)
    }

    /// Hosts that are the same machine under another id: another product's log, another spelling.
    pub(super) fn same(&self, id: u32) -> Vec<u32> {
        let Some(host) = self.host(id) else { return Vec::new() };
        let Some(short) = short_name(&host.name) else { return vec![id] };
        let namesakes = self.by_name.get(&short).map_or(&[][..], Vec::as_slice);
        let mut all = vec![id];
        all.extend(namesakes.iter().copied().filter(|other| {
            *other != id && self.host(*other).is_some_and(|o| same_machine(&host.name, &o.name))
        }));
        all
    }

    /// The host that the network knows by name or link address.
    pub(super) fn by_network(&self, name: Option<&str>, mac: Option<[u8; 6]>) -> Option<u32> {
        if let Some(id) = mac.and_then(|mac| self.by_mac.get(&mac)) {
            return Some(*id);
        }
        let name = name?;
        let namesakes = self.by_name.get(&short_name(name)?)?;
        let mut fitting =
            namesakes.iter().filter(|id| self.host(**id).is_some_and(|h| same_machine(&h.name, name)));
        fitting.next().copied()
    }

    /// Somebody works at the host.
    pub(super) fn note_user(&mut self, id: u32, user: &Arc<str>) {
        if let Some(host) = self.all.get_mut(id as usize)
            && is_person(user)
            && host.user.as_ref() != Some(user)
        {
            host.user = Some(Arc::clone(user));
        }
    }

    /// A program on a list was started.
    pub(super) fn note_start(&mut self, id: u32, spoke: Spoke) {
        if let Some(host) = self.all.get_mut(id as usize) {
            if host.started.len() >= MAX_STARTED {
                host.started.pop_front();
            }
            host.started.push_back(spoke);
        }
    }

    /// A process connected to a port of its own host.
    pub(super) fn note_loop(&mut self, id: u32, port: u16, spoke: Spoke) {
        if let Some(host) = self.all.get_mut(id as usize) {
            if host.loops.len() >= MAX_LOOPS {
                host.loops.pop_front();
            }
            host.loops.push_back((port, spoke));
        }
    }

    pub(super) fn len(&self) -> usize {
        self.all.len()
    }
}

/// Products whose records go round by a cloud.
fn is_slow(source: SourceKind) -> bool {
    use SourceKind::*;
    matches!(source, Defender | CrowdStrike | SentinelOne | CarbonBlack | AzureVm)
}

/// The first label, lower case; `None` for what is no name of one machine.
fn short_name(name: &str) -> Option<Box<str>> {
    let first = name.split('.').next().unwrap_or_default().to_lowercase();
    let is_number = first.bytes().all(|b| b.is_ascii_digit());
    (!is_number && first != "localhost" && first != "unknown").then(|| first.into())
}

/// Two names of one machine: equal, or one is the first label of the other.
fn same_machine(a: &str, b: &str) -> bool {
    let qualified = |name: &str| name.contains('.');
    a.eq_ignore_ascii_case(b) || (qualified(a) != qualified(b) && short_name(a) == short_name(b))
}

/// An account of a person, as far as its name tells.
fn is_person(user: &str) -> bool {
    let name = user.rsplit(['\\', '/']).next().unwrap_or(user).to_lowercase();
    let domain = user.split('\\').next().unwrap_or_default().to_lowercase();
    let service = matches!(
        name.as_str(),
        "" | "-" | "system" | "root" | "0" | "local service" | "network service" | "nobody" | "daemon"
    );
    let machine = name.ends_with('$') || name.starts_with('_') || name.starts_with("s-1-5-1");
    let system =
        matches!(domain.as_str(), "nt authority" | "window manager" | "font driver host" | "nt service");
    !(service || machine || system)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn host(id: &str, name: Option<&str>) -> HostRef {
        HostRef { id: id.into(), name: name.map(Into::into), ..HostRef::default() }
    }

    #[test]
    fn one_machine_in_two_logs() {
        let mut hosts = Hosts::default();
        let mut add = |id, name| hosts.at(&host(id, name), SourceKind::Sysmon, 0).expect("room");
        let (a, b) = (add("acct01.corp.example", None), add("4711", Some("ACCT01")));
        let (c, d) = (add("acct01.other.example", None), add("localhost", None));
        assert_eq!(hosts.same(a), [a, b]);
        assert_eq!(hosts.same(b), [b, a, c]);
        assert_eq!(hosts.same(d), [d]);
        assert_eq!(hosts.by_network(Some("acct01.corp.example"), None), Some(a));
        assert_eq!(hosts.by_network(Some("pc9"), None), None);
    }

    #[test]
    fn persons() {
        for (user, person) in [
            ("CORP\\ann", true),
            ("ann", true),
            ("NT AUTHORITY\\SYSTEM", false),
            ("CORP\\PC7$", false),
            ("root", false),
            ("Window Manager\\DWM-1", false),
            ("_spotlight", false),
        ] {
            assert_eq!(is_person(user), person, "{user}");
        }
    }
}
