//! Which host has which address, and how that is known.
//!
//! A laptop at home reports the same private addresses as a desktop in the office. So the address that a log gives for
//! its own host is only a claim; what proves a host is a flow that the sensor saw, matched by all ports. The newest
//! proof holds until the next host proves the address, or it is too old.

use super::MILLI;
use crate::detect::Map;
use std::collections::VecDeque;
use std::net::IpAddr;

/// How an address is known to be a host's, weakest first.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub(super) enum Proof {
    /// An event gives it as its own host's.
    Claim,
    /// The network knows the address by the host's name or link address.
    Network,
    /// The agent lists the addresses of its host, or a server gave it out.
    Stated,
    /// Times and destinations of several flows agree with the host's log.
    Pattern,
    /// A flow was matched by all its ports.
    Exact,
}

/// Addresses remembered; the oldest go.
const MAX_ADDRESSES: usize = 1 << 18;
/// Proofs remembered of one address.
const MAX_PROOFS: usize = 8;
/// A proof holds for so long, unless it says otherwise.
const HOLDS: i64 = 86_400_000 * MILLI;
/// A host is believed to have had an address for so long before the first proof.
const BEFORE: i64 = 3_600_000 * MILLI;

#[derive(Clone, Copy, Debug)]
struct Lease {
    host: u32,
    proof: Proof,
    /// When it was first and last said, in the sensor's time.
    from: i64,
    last: i64,
    /// Holds until then, unless said again.
    until: i64,
}

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Leases {
    by_ip: Map<IpAddr, Vec<Lease>>,
    order: VecDeque<IpAddr>,
    pub evicted: u64,
}

/// Who has an address.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Holder {
    pub host: u32,
    pub proof: Proof,
}

impl Holder {
    /// More than a claim.
    pub(super) fn is_proven(self) -> bool {
        self.proof > Proof::Claim
    }
}

impl Leases {
    /// A host has an address at a time. True when somebody else, or nobody, had it until now.
    pub(super) fn prove(&mut self, ip: IpAddr, host: u32, proof: Proof, at: i64, secs: Option<u64>) -> bool {
        if !self.by_ip.contains_key(&ip) {
            if self.by_ip.len() >= MAX_ADDRESSES
                && let Some(oldest) = self.order.pop_front()
            {
                self.by_ip.remove(&oldest);
                self.evicted += 1;
            }
            self.order.push_back(ip);
        }
        let holds = secs.map_or(HOLDS, |s| (s as i64).saturating_mul(1_000 * MILLI).min(30 * HOLDS));
        let until = at.saturating_add(holds);
        let leases = self.by_ip.entry(ip).or_default();
        if let Some(own) = leases.iter_mut().rev().find(|l| l.host == host && l.proof == proof) {
            // Another host in between: then this one came back, and begins anew.
            let (last, from) = (own.last, own.from);
            let firm = |proof: Proof| proof > Proof::Claim;
            let between =
                |l: &Lease| l.host != host && firm(l.proof) == firm(proof) && l.from > last && l.from < at;
            if !leases.iter().any(between) {
                if let Some(own) = leases.iter_mut().rev().find(|l| l.host == host && l.proof == proof) {
                    (own.from, own.last, own.until) = (from.min(at), last.max(at), own.until.max(until));
                }
                return false;
            }
        }
        if leases.len() >= MAX_PROOFS
            && let Some(at) = weakest(leases)
        {
            leases.remove(at);
        }
        leases.push(Lease { host, proof, from: at, last: at, until });
        true
    }

    /// A host gave an address back.
    pub(super) fn release(&mut self, ip: IpAddr, host: Option<u32>, at: i64) {
        for lease in self.by_ip.get_mut(&ip).into_iter().flatten() {
            if host.is_none_or(|h| h == lease.host) && lease.from <= at {
                lease.until = lease.until.min(at);
            }
        }
    }

    /// Who has the address at a time: one host where it is proven, all that claim it where it is not.
    pub(super) fn holders(&self, ip: IpAddr, at: i64) -> Vec<Holder> {
        let Some(leases) = self.by_ip.get(&ip) else { return Vec::new() };
        let holds = |l: &&Lease| l.from - BEFORE <= at && at <= l.until;
        let holder = |l: &Lease| Holder { host: l.host, proof: l.proof };
        let firm = |l: &&Lease| l.proof > Proof::Claim;
        // The newest that began before; else the first that began after.
        let since = leases.iter().filter(firm).filter(holds).filter(|l| l.from <= at);
        let newest = since.max_by_key(|l| (l.last.min(at), l.proof));
        let later = || leases.iter().filter(firm).filter(holds).min_by_key(|l| l.from);
        if let Some(lease) = newest.or_else(later) {
            return vec![holder(lease)];
        }
        let mut all: Vec<Holder> = Vec::new();
        for lease in leases.iter().filter(holds) {
            if !all.iter().any(|h| h.host == lease.host) {
                all.push(holder(lease));
            }
        }
        all
    }

    /// Some host was ever known there.
    pub(super) fn knows(&self, ip: IpAddr) -> bool {
        self.by_ip.contains_key(&ip)
    }

    pub(super) fn len(&self) -> usize {
        self.by_ip.len()
    }
}

/// Which proof to forget: the weakest, of those the one said longest ago.
fn weakest(leases: &[Lease]) -> Option<usize> {
    leases.iter().enumerate().min_by_key(|(_, l)| (l.proof, l.last)).map(|(at, _)| at)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SEC: i64 = 1_000 * MILLI;

    fn ip() -> IpAddr {
        [192, 168, 1, 5].into()
    }

    fn at(leases: &Leases, secs: i64) -> Vec<u32> {
        leases.holders(ip(), secs * SEC).iter().map(|h| h.host).collect()
    }

    #[test]
    fn claims_collide_and_a_match_decides() {
        let mut leases = Leases::default();
        leases.prove(ip(), 1, Proof::Claim, 0, None);
        leases.prove(ip(), 2, Proof::Claim, SEC, None);
        assert_eq!(at(&leases, 10), [1, 2]);
        leases.prove(ip(), 2, Proof::Exact, 5 * SEC, None);
        assert_eq!(at(&leases, 10), [2]);
        // The first one still claims it, from home.
        leases.prove(ip(), 1, Proof::Claim, 9 * SEC, None);
        assert_eq!(at(&leases, 10), [2]);
    }

    #[test]
    fn an_address_that_is_given_on() {
        let mut leases = Leases::default();
        leases.prove(ip(), 1, Proof::Exact, 0, None);
        leases.prove(ip(), 1, Proof::Exact, 100 * SEC, None);
        leases.prove(ip(), 2, Proof::Stated, 200 * SEC, Some(3_600));
        assert_eq!(at(&leases, 150), [1]);
        assert_eq!(at(&leases, 201), [2]);
        leases.prove(ip(), 1, Proof::Exact, 300 * SEC, None);
        assert_eq!(at(&leases, 250), [2]);
        assert_eq!(at(&leases, 301), [1]);
    }

    #[test]
    fn proofs_end() {
        let mut leases = Leases::default();
        leases.prove(ip(), 1, Proof::Stated, 0, Some(60));
        assert_eq!(at(&leases, 59), [1]);
        assert_eq!(at(&leases, 61), [0; 0]);
        leases.prove(ip(), 1, Proof::Stated, 100 * SEC, Some(60));
        leases.release(ip(), Some(1), 110 * SEC);
        assert_eq!(at(&leases, 111), [0; 0]);
        assert!(leases.knows(ip()));
    }

    #[test]
    fn bounded() {
        let mut leases = Leases::default();
        for host in 0..100 {
            leases.prove(ip(), host, Proof::Claim, i64::from(host), None);
        }
        assert!(leases.by_ip[&ip()].len() <= MAX_PROOFS);
    }
}
