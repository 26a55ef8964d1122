//! What each client was told by DNS: the name of an address, for flows that have none of their own.

use super::Map;
use crate::observe::DnsAnswer;
use crate::units::{Span, Timestamp};
use std::collections::VecDeque;
use std::net::IpAddr;
use std::sync::Arc;

/// (client, address) pairs remembered; the oldest go first.
const MAX_ENTRIES: usize = 1 << 18;
/// Names remembered for one address of one client.
const MAX_NAMES: usize = 4;
/// Clients keep using an address after its time to live: connections are opened late and kept in pools.
const GRACE: Span = Span::from_secs(3_600);
/// Longest time to live that is believed.
const MAX_TTL_SECS: u32 = 86_400;

/// A name that a client was given for an address.
#[derive(Clone, Debug)]
pub struct Told {
    /// The name that was asked for.
    pub name: Arc<str>,
    until: Timestamp,
    /// The answer carried a configuration for encrypted hellos.
    pub ech: bool,
}

/// See the module.
#[derive(Debug, Default)]
pub struct Resolved {
    told: Map<(IpAddr, IpAddr), Vec<Told>>,
    order: VecDeque<(IpAddr, IpAddr)>,
}

impl Resolved {
    /// Takes an answer in.
    pub fn learn(&mut self, answer: &DnsAnswer, now: Timestamp) {
        if !answer.response || answer.rcode != 0 || answer.query.is_empty() {
            return;
        }
        let name: Arc<str> = Arc::from(&*answer.query);
        for &(address, ttl) in &answer.addresses {
            let span = Span::from_secs(i64::from(ttl.min(MAX_TTL_SECS)));
            let until = now.plus(span).plus(GRACE);
            let new = Told { name: Arc::clone(&name), until, ech: answer.ech };
            self.note((answer.ends.originator, address), new);
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

    /// The newest name that `client` was given for `address`, and whether it was the only one of late.
    pub fn name(&self, client: IpAddr, address: IpAddr, now: Timestamp) -> Option<(&Told, bool)> {
        let names = self.told.get(&(client, address))?;
        let mut valid = names.iter().rev().filter(|t| now <= t.until);
        let newest = valid.next()?;
        Some((newest, valid.next().is_none()))
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
            r.name(ip(a), ip(far), at(200)).map(|(t, only)| (t.name.to_string(), only)),
            Some(("mega.nz".into(), true))
        );
        assert!(r.name(ip(b), ip(far), at(200)).is_none());
        assert!(r.name(ip(a), ip(far), at(100 + 60 + 3_601)).is_none());
        r.learn(&answer(a, "box.com", far, 60), at(150));
        assert_eq!(
            r.name(ip(a), ip(far), at(200)).map(|(t, only)| (t.name.to_string(), only)),
            Some(("box.com".into(), false))
        );
    }

    #[test]
    fn bounded() {
        let mut r = Resolved::default();
        for i in 0..(MAX_ENTRIES as u32 + 10) {
            let key = (IpAddr::from(i.to_be_bytes()), IpAddr::from([1, 1, 1, 1]));
            r.note(key, Told { name: Arc::from("x"), until: Timestamp::default(), ech: false });
        }
        assert_eq!((r.told.len(), r.order.len()), (MAX_ENTRIES, MAX_ENTRIES));
    }
}
