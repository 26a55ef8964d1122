//! What each client was told by DNS: the name of an address, for flows that have none of their own.

use super::Map;
use crate::observe::DnsAnswer;
use crate::units::{Span, Timestamp};
use serde::{Deserialize, Serialize};
use std::collections::VecDeque;
use std::net::IpAddr;
use std::sync::Arc;

/// (client, address) pairs remembered; the oldest go first.
const MAX_ENTRIES: usize = 1 << 18;
/// Names remembered for one address of one client.
const MAX_NAMES: usize = 8;
/// (client, name) pairs remembered; the oldest go first.
const MAX_GIVEN: usize = 1 << 17;
/// Addresses remembered for one name of one client. A name with more is no name whose address says anything.
const MAX_ADDRESSES: usize = 16;
/// Clients keep using an address after its time to live: connections are opened late and kept in pools.
const GRACE: Span = Span::from_secs(3_600);
/// Longest time to live that is believed.
const MAX_TTL_SECS: u32 = 86_400;

/// Domains whose names stand behind aliases of others: load balancers and content networks whose documentation tells
/// customers to point a CNAME at a name there. Domains that programs also ask for directly (`cloudfront.net`,
/// `azureedge.net`, `akamaihd.net`) are left out.
const ALIASES: &[&str] = &[
    "akadns.net",
    "akamai.net",
    "akamaiedge.net",
    "awsglobalaccelerator.com",
    "cdn.cloudflare.net",
    "cloudapp.net",
    "edgecastcdn.net",
    "edgekey.net",
    "edgesuite.net",
    "elb.amazonaws.com",
    "fastly.net",
    "footprint.net",
    "incapdns.net",
    "llnwd.net",
    "trafficmanager.net",
];

/// Whether a name is what an alias leads to rather than what anybody wants: a client that has the alias in its cache
/// asks for such a name alone. It tells where the bytes go and not whose service that is.
pub fn is_behind_alias(name: &str) -> bool {
    ALIASES.iter().any(|domain| name.strip_suffix(domain).is_some_and(|front| front.ends_with('.')))
}

/// A name that a client was given for an address.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Told {
    /// The name that was asked for.
    pub name: Arc<str>,
    until: Timestamp,
    /// The answer carried a configuration for encrypted hellos.
    pub ech: bool,
}

/// What a client was told of one name.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Given {
    addresses: Vec<IpAddr>,
    until: Timestamp,
    ech: bool,
}

/// See the module.
#[derive(Debug, Default, Serialize, Deserialize)]
pub struct Resolved {
    told: Map<(IpAddr, IpAddr), Vec<Told>>,
    order: VecDeque<(IpAddr, IpAddr)>,
    given: Map<(IpAddr, Arc<str>), Given>,
    given_order: VecDeque<(IpAddr, Arc<str>)>,
}

impl Resolved {
    /// Takes an answer in.
    pub fn learn(&mut self, answer: &DnsAnswer, now: Timestamp) {
        if !answer.response || answer.rcode != 0 || answer.query.is_empty() {
            return;
        }
        if answer.addresses.is_empty() && !answer.ech {
            return;
        }
        let name: Arc<str> = Arc::from(&*answer.query);
        let longest = answer.addresses.iter().map(|a| a.1).max().unwrap_or(0).min(MAX_TTL_SECS);
        let until = now.plus(Span::from_secs(i64::from(longest))).plus(GRACE);
        self.give((answer.ends.originator, Arc::clone(&name)), answer, until);
        for &(address, ttl) in &answer.addresses {
            let span = Span::from_secs(i64::from(ttl.min(MAX_TTL_SECS)));
            let until = now.plus(span).plus(GRACE);
            let new = Told { name: Arc::clone(&name), until, ech: answer.ech };
            self.note((answer.ends.originator, address), new);
        }
    }

    /// Notes what was told of a name. The configuration for encrypted hellos comes in an answer of its own, before or
    /// after those with the addresses.
    fn give(&mut self, key: (IpAddr, Arc<str>), answer: &DnsAnswer, until: Timestamp) {
        if !self.given.contains_key(&key) {
            if self.given.len() >= MAX_GIVEN
                && let Some(oldest) = self.given_order.pop_front()
            {
                self.given.remove(&oldest);
            }
            self.given_order.push_back(key.clone());
        }
        let new = || Given { addresses: Vec::new(), until, ech: false };
        let given = self.given.entry(key).or_insert_with(new);
        given.ech |= answer.ech;
        given.until = given.until.max(until);
        for (address, _) in &answer.addresses {
            if given.addresses.len() < MAX_ADDRESSES && !given.addresses.contains(address) {
                given.addresses.push(*address);
            }
        }
    }

    fn note(&mut self, key: (IpAddr, IpAddr), new: Told) {
        if !self.told.contains_key(&key) {
            if self.told.len() >= MAX_ENTRIES
                && let Some(oldest) = self.order.pop_front()
            {
                self.told.remove(&oldest);
            }
            self.order.push_back(key);
        }
        let names = self.told.entry(key).or_default();
        let ech = new.ech || names.iter().any(|t| t.name == new.name && t.ech);
        names.retain(|t| t.name != new.name);
        if names.len() == MAX_NAMES {
            names.remove(0);
        }
        names.push(Told { ech, ..new });
    }

    /// The newest name that `client` was given for `address`, and whether it was the only one of late. `front`: the
    /// hello is encrypted, so that a name with a configuration for that is the likeliest.
    pub fn name(
        &self,
        client: IpAddr,
        address: IpAddr,
        front: bool,
        now: Timestamp,
    ) -> Option<(&Told, bool)> {
        let valid = || self.valid(client, address, now);
        let mut sealed = valid().filter(|t| front && self.has_ech(client, t));
        if let Some(newest) = sealed.next() {
            return Some((newest, sealed.next().is_none()));
        }
        let mut valid = valid();
        let newest = valid.next()?;
        Some((newest, valid.next().is_none()))
    }

    /// Whether a hello with the clear name `name` to `address` hides another: yes when this client was given an
    /// ECHConfig for another name there, no when it was told this very name for the address. Else nobody knows.
    pub fn gave_ech(&self, client: IpAddr, address: IpAddr, name: &str, now: Timestamp) -> Option<bool> {
        if self.valid(client, address, now).any(|t| t.name.eq_ignore_ascii_case(name)) {
            return Some(false);
        }
        self.valid(client, address, now).any(|t| self.has_ech(client, t)).then_some(true)
    }

    /// The names that this client was told for the address, when `name` is none of them and it never asked for that
    /// one. Empty where the memory may have lost some.
    pub fn others(&self, client: IpAddr, address: IpAddr, name: &str, now: Timestamp) -> Vec<Arc<str>> {
        let full = self.told.get(&(client, address)).is_none_or(|names| names.len() == MAX_NAMES);
        let asked = self.given.contains_key(&(client, Arc::from(&*name.to_ascii_lowercase())));
        if full || asked {
            return Vec::new();
        }
        self.valid(client, address, now).map(|t| Arc::clone(&t.name)).collect()
    }

    /// This client was told addresses for `name` of late, and `address` is none of them.
    pub fn gave_others(&self, client: IpAddr, address: IpAddr, name: &str, now: Timestamp) -> bool {
        let key = (client, Arc::from(&*name.to_ascii_lowercase()));
        self.given.get(&key).filter(|g| now <= g.until).is_some_and(|g| {
            // Of the other family it may have been told in an answer that was not seen.
            let family = g.addresses.iter().filter(|a| a.is_ipv4() == address.is_ipv4()).count();
            family > 0 && g.addresses.len() < MAX_ADDRESSES && !g.addresses.contains(&address)
        })
    }

    /// This client was ever told the address for `name` or one of the same domain, as far as is remembered.
    pub fn ever_gave(&self, client: IpAddr, address: IpAddr, name: &str) -> bool {
        let told = self.told.get(&(client, address)).into_iter().flatten();
        told.into_iter()
            .any(|t| t.name.eq_ignore_ascii_case(name) || super::naming::same_domain(&t.name, name))
    }

    fn valid(&self, client: IpAddr, address: IpAddr, now: Timestamp) -> impl Iterator<Item = &Told> {
        self.told.get(&(client, address)).into_iter().flatten().rev().filter(move |t| now <= t.until)
    }

    fn has_ech(&self, client: IpAddr, told: &Told) -> bool {
        told.ech || self.given.get(&(client, Arc::clone(&told.name))).is_some_and(|g| g.ech)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::decode::Transport;
    use crate::observe::{Ends, FlowId};

    fn answer(client: &str, name: &str, address: &str, ttl: u32) -> DnsAnswer {
        DnsAnswer {
            flow: FlowId(1),
            ends: Ends {
                originator: client.parse().expect("address"),
                responder: "10.0.0.53".parse().expect("address"),
                originator_port: 4000,
                responder_port: 53,
                transport: Transport::Udp,
            },
            at: Timestamp::default(),
            id: 1,
            response: true,
            query: name.into(),
            qtype: 1,
            rcode: 0,
            addresses: vec![(address.parse().expect("address"), ttl)],
            cnames: vec![],
            ech: false,
        }
    }

    #[test]
    fn names_belong_to_the_client_that_asked_and_expire() {
        let (a, b, far) = ("10.0.0.1", "10.0.0.2", "203.0.113.9");
        let ip = |t: &str| t.parse::<IpAddr>().expect("address");
        let mut r = Resolved::default();
        r.learn(&answer(a, "mega.nz", far, 60), Timestamp::new(100, 0));
        let at = |s| Timestamp::new(s, 0);
        assert_eq!(
            r.name(ip(a), ip(far), false, at(200)).map(|(t, only)| (t.name.to_string(), only)),
            Some(("mega.nz".into(), true))
        );
        assert!(r.name(ip(b), ip(far), false, at(200)).is_none());
        assert!(r.name(ip(a), ip(far), false, at(100 + 60 + 3_601)).is_none());
        r.learn(&answer(a, "box.com", far, 60), at(150));
        assert_eq!(
            r.name(ip(a), ip(far), false, at(200)).map(|(t, only)| (t.name.to_string(), only)),
            Some(("box.com".into(), false))
        );
    }

    #[test]
    fn a_configuration_for_another_name_makes_the_hello_real() {
        let ip = |t: &str| t.parse::<IpAddr>().expect("address");
        let (a, far, now) = ("10.0.0.1", "203.0.113.9", Timestamp::new(100, 0));
        let mut r = Resolved::default();
        let mut https = answer(a, "hidden.example", far, 60);
        (https.addresses, https.ech, https.qtype) = (Vec::new(), true, 65);
        r.learn(&answer(a, "hidden.example", far, 60), now);
        assert_eq!(r.gave_ech(ip(a), ip(far), "front.example", now), None);
        r.learn(&https, now);
        assert_eq!(r.gave_ech(ip(a), ip(far), "front.example", now), Some(true));
        assert_eq!(r.gave_ech(ip(a), ip(far), "Hidden.example", now), Some(false));
        r.learn(&answer(a, "clear.example", far, 60), now);
        let name = r.name(ip(a), ip(far), true, now).map(|(t, only)| (t.name.to_string(), only));
        assert_eq!(name, Some(("hidden.example".into(), true)));
        assert_eq!(r.others(ip(a), ip(far), "x.example", now).len(), 2);
        assert!(r.others(ip(a), ip(far), "clear.example", now).is_empty());
        assert!(r.gave_others(ip(a), ip("203.0.113.10"), "clear.example", now));
        assert!(!r.gave_others(ip(a), ip(far), "clear.example", now));
        assert!(!r.gave_others(ip(a), ip("2001:db8::1"), "clear.example", now));
    }

    #[test]
    fn bounded() {
        let mut r = Resolved::default();
        for i in 0..(MAX_ENTRIES as u32 + 10) {
            let key = (IpAddr::from(i.to_be_bytes()), IpAddr::from([1, 1, 1, 1]));
            r.note(key, Told { name: Arc::from("x"), until: Timestamp::default(), ech: false });
        }
        assert_eq!((r.told.len(), r.order.len()), (MAX_ENTRIES, MAX_ENTRIES));
        for i in 0..(MAX_GIVEN + 10) {
            let name = format!("{i}.example");
            r.learn(&answer("10.0.0.1", &name, "203.0.113.9", 60), Timestamp::default());
        }
        assert_eq!((r.given.len(), r.given_order.len()), (MAX_GIVEN, MAX_GIVEN));
    }
}
