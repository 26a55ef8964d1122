//! The order of names and how sure they are, in one place (docs/names.md), and the signs that a name is not true.
//!
//! A flow's own name comes first; then what its client was told by DNS; then the certificate; then the owner of the
//! address. The outer name of an encrypted hello is the front's and is never classified.

use super::agents::Agents;
use super::dns::is_behind_alias;
use super::hosts::Hosts;
use super::identity::{Known, confidence};
use super::resembles::Imitations;
use super::{Detector, Map};
use crate::geo::Geo;
use crate::net::Nets;
use crate::observe::Ends;
use crate::output::{Dest, Identity, Sign, SignKind};
use crate::parse::{AppProto, Ech, Facts, HttpFacts, NameSource};
use crate::signatures::{Catalogue, Category, Role};
use crate::units::Timestamp;
use std::collections::VecDeque;
use std::net::IpAddr;
use std::sync::Arc;

/// Proxies remembered from what clients asked of them.
const MAX_PROXIES: usize = 1 << 12;
/// Addresses whose owner is remembered. Beyond this the memory is emptied: it is a cache.
const MAX_DESTS: usize = 1 << 16;
/// Port of DNS over TLS and over QUIC (RFC 7858, RFC 9250).
const DOT_PORT: u16 = 853;
/// A name that DNS gave for an address behind a front that many share.
const BEHIND_FRONT: f32 = 0.8;
/// More than one name was given for the address.
const ONE_OF_SEVERAL: f32 = 0.7;

/// The name was said on another flow of the same connection.
const CONTINUED: f32 = 0.9;

/// The name is what an alias leads to, not what the client wanted.
const AN_ALIAS: f32 = 0.5;

/// What naming remembers beside names and answers.
#[derive(Debug, Default)]
pub(super) struct Memory {
    pub(super) hosts: Hosts,
    agents: Agents,
    /// Addresses that act as proxies: seen to be asked, oldest first.
    proxies: VecDeque<IpAddr>,
    /// Proxies that the site names.
    gateways: Nets,
    geo: Geo,
    dests: Map<IpAddr, Option<Arc<Dest>>>,
    imitations: Imitations,
}

impl Memory {
    /// Remembers nothing yet; knows what is real from the catalogue.
    pub(super) fn new(catalogue: &Catalogue) -> Self {
        Self { imitations: Imitations::new(catalogue), ..Self::default() }
    }

    /// Addresses that act as proxies.
    pub(super) fn proxies(&self) -> &VecDeque<IpAddr> {
        &self.proxies
    }

    /// User-Agents seen.
    pub(super) fn agents(&self) -> &Agents {
        &self.agents
    }

    /// Takes back what a state file has kept.
    pub(super) fn restore(&mut self, proxies: VecDeque<IpAddr>, agents: Agents) {
        (self.proxies, self.agents) = (proxies, agents);
    }

    /// The responder was asked for a name or address beyond it.
    fn note_proxy(&mut self, ip: IpAddr) {
        if self.proxies.contains(&ip) {
            return;
        }
        if self.proxies.len() >= MAX_PROXIES {
            self.proxies.pop_front();
        }
        self.proxies.push_back(ip);
    }

    /// May speak for others: whoever else says so would only put the blame on somebody.
    fn is_proxy(&self, ip: IpAddr) -> bool {
        self.gateways.contains(ip) || self.proxies.contains(&ip)
    }

    fn dest(&mut self, ip: IpAddr) -> Option<Arc<Dest>> {
        if self.geo.is_empty() {
            return None;
        }
        if let Some(dest) = self.dests.get(&ip) {
            return dest.clone();
        }
        if self.dests.len() >= MAX_DESTS {
            self.dests.clear();
        }
        let dest = self.geo.look_up(ip).map(Arc::new);
        self.dests.insert(ip, dest.clone());
        dest
    }
}

impl Detector {
    /// The same detector with databases of addresses and the site's proxies.
    #[must_use]
    pub fn with_addresses(mut self, geo: Geo, gateways: Nets) -> Self {
        (self.memory.geo, self.memory.gateways) = (geo, gateways);
        self
    }

    /// What the parsers found becomes who the flow went to.
    pub(super) fn identify(
        &mut self,
        ends: &Ends,
        facts: &Facts,
        now: Timestamp,
    ) -> (Identity, Option<Arc<Known>>) {
        let mut identity = Identity {
            name: facts.name.as_ref().map(|(name, _)| Arc::from(&**name)),
            source: facts.name.as_ref().map(|(_, source)| *source),
            confidence: facts.name.as_ref().map_or(0.0, |(_, source)| confidence(*source)),
            ech: facts.tls.as_ref().map_or_else(Default::default, |t| t.ech),
            ..Identity::default()
        };
        if identity.source == Some(NameSource::Connect) {
            self.memory.note_proxy(ends.responder);
            self.refine(ends, &mut identity, facts);
        }
        self.decide_ech(ends, &mut identity, now);
        let known = self.classify(ends, &mut identity, now).or_else(|| self.hidden_dns(ends, facts));
        identity.class = known.as_ref().map(|k| Arc::clone(&k.class));
        self.look_for_mismatch(ends, &mut identity, known.as_deref(), now);
        self.look_for_likeness(&mut identity, known.is_some());
        if let Some(http) = &facts.http {
            self.look_at_agent(ends, &mut identity, http);
        }
        if facts.inferred {
            identity.confidence *= CONTINUED;
            let text = "the client's port has changed; the QUIC connection id is that of an earlier flow, whose name \
                        this is";
            Sign::add(&mut identity.signs, Sign::new(SignKind::Inferred, text));
        }
        (identity, known)
    }

    /// Finds the service of a flow. A flow with no name of its own takes the one that its client was told by DNS,
    /// else the service that owns the address. The outer name of an encrypted hello is the front's, never the
    /// destination's: it stays in the record unless something better is known. What DNS told this client is better
    /// than a certificate, which may cover many names.
    pub(super) fn classify(
        &mut self,
        ends: &Ends,
        identity: &mut Identity,
        now: Timestamp,
    ) -> Option<Arc<Known>> {
        identity.originator_home = self.home.contains(ends.originator);
        identity.dest = self.memory.dest(ends.responder);
        let host = self.home_host(ends);
        let front = identity.source == Some(NameSource::EchOuterSni) || identity.ech == Ech::RealLikely;
        let own =
            identity.source.is_some_and(|s| s != NameSource::EchOuterSni && s != NameSource::Certificate);
        let told = if own { None } else { self.resolved.name(ends.originator, ends.responder, front, now) };
        if let Some((told, only)) = told {
            // The front's own name, resolved by the client, says no more than the hello did.
            let outer = front && identity.name.as_ref().is_some_and(|n| n.eq_ignore_ascii_case(&told.name));
            if !outer {
                identity.name = Some(Arc::clone(&told.name));
                identity.source = Some(NameSource::Dns);
                identity.confidence = confidence(NameSource::Dns)
                    * if only { 1.0 } else { ONE_OF_SEVERAL }
                    * if front { BEHIND_FRONT } else { 1.0 }
                    * if is_behind_alias(&told.name) { AN_ALIAS } else { 1.0 };
            }
        }
        let alias = identity.source == Some(NameSource::Dns)
            && identity.name.as_ref().is_some_and(|n| is_behind_alias(n));
        let named = identity.source.is_some_and(|s| s != NameSource::EchOuterSni) && !alias;
        let known = if named {
            identity.name.as_ref().and_then(|name| self.namer.classify(name, host))
        } else {
            let asn = identity.dest.as_ref().and_then(|d| d.asn);
            let known = self.namer.by_address(ends.responder, asn, host);
            if known.is_some() && identity.source.is_none() {
                identity.source = Some(NameSource::Address);
                identity.confidence = confidence(NameSource::Address);
            }
            known
        };
        if front && known.is_none() && matches!(identity.source, None | Some(NameSource::EchOuterSni)) {
            let text = "the hello is encrypted: its outer name is that of a front that many share, and neither \
                        this client's DNS nor the address tells more";
            Sign::add(&mut identity.signs, Sign::new(SignKind::SharedFront, text));
        }
        identity.class = known.as_ref().map(|k| Arc::clone(&k.class));
        known
    }

    /// Under a proxied name the inner hello may say it more exactly, if both are one owner's.
    fn refine(&mut self, ends: &Ends, identity: &mut Identity, facts: &Facts) {
        let (Some(target), Some(inner)) = (&identity.name, facts.tls.as_ref().and_then(|t| t.sni.as_deref()))
        else {
            return;
        };
        if target.eq_ignore_ascii_case(inner) {
            return;
        }
        let host = self.home_host(ends);
        let service = |d: &mut Self, name: &str| d.namer.classify(name, host).map(|k| k.service);
        let (outer_service, inner_service) = (service(self, target), service(self, inner));
        if same_domain(target, inner) || (outer_service.is_some() && outer_service == inner_service) {
            identity.name = Some(inner.to_ascii_lowercase().into());
        } else {
            let text = format!("the proxy was asked for {target}, and the hello inside says {inner}");
            Sign::add(&mut identity.signs, Sign::new(SignKind::SniAddressMismatch, text));
        }
    }

    /// Grease and real look alike; what DNS gave this client tells them apart. A client that was given an ECHConfig for
    /// a name at this address and says another name in the clear hides the true one; if it says that very name, it
    /// hides nothing.
    fn decide_ech(&mut self, ends: &Ends, identity: &mut Identity, now: Timestamp) {
        if identity.ech != Ech::GreaseOrReal {
            return;
        }
        let name = identity.name.as_deref().unwrap_or_default();
        match self.resolved.gave_ech(ends.originator, ends.responder, name, now) {
            Some(false) => identity.ech = Ech::GreaseLikely,
            Some(true) => {
                identity.ech = Ech::RealLikely;
                if matches!(identity.source, Some(NameSource::Sni | NameSource::QuicSni)) {
                    identity.source = Some(NameSource::EchOuterSni);
                    identity.confidence = confidence(NameSource::EchOuterSni);
                }
            }
            None => {}
        }
    }

    /// DNS that this sensor cannot read, by its port or protocol: a class of its own, so that blindness is visible.
    fn hidden_dns(&mut self, ends: &Ends, facts: &Facts) -> Option<Arc<Known>> {
        let sealed = matches!(facts.app, AppProto::Tls | AppProto::Quic | AppProto::Dtls);
        let says = |t: &crate::parse::TlsFacts| t.client_alpns.iter().any(|a| matches!(&**a, "dot" | "doq"));
        let dns = sealed && (ends.responder_port == DOT_PORT || facts.tls.as_ref().is_some_and(|t| says(t)));
        if !dns {
            return None;
        }
        self.namer.by_category(Category::Doh, self.home_host(ends))
    }

    /// The name in the hello against this client's DNS and against the networks of the service.
    fn look_for_mismatch(
        &mut self,
        ends: &Ends,
        identity: &mut Identity,
        known: Option<&Known>,
        now: Timestamp,
    ) {
        let (Some(NameSource::Sni | NameSource::QuicSni), Some(name)) =
            (identity.source, identity.name.clone())
        else {
            return;
        };
        let mut say = |text: String| {
            Sign::add(&mut identity.signs, Sign::new(SignKind::SniAddressMismatch, text));
        };
        let far = ends.responder;
        let others = self.resolved.others(ends.originator, far, &name, now);
        let kin = others.iter().any(|other| self.same_service(&name, other));
        if let Some(other) = others.first().filter(|_| !kin) {
            say(format!("the hello says {name}, but this client's DNS gave {far} for {other}"));
        } else if self.resolved.gave_others(ends.originator, far, &name, now) {
            say(format!("this client's DNS gave other addresses for {name} than {far}"));
        }
        // A service's pages often lie with a content network; its data does not.
        let own = known.filter(|k| !matches!(k.role, Role::Web | Role::Cdn | Role::Auth));
        if let Some(known) = own
            && is_public(far)
            && !self.home.contains(far)
            && self.namer.catalogue().has_ranges(known.service)
            && self.namer.catalogue().by_address(far) != Some(known.service)
        {
            say(format!("{far} is not in the networks of {}", known.class.service_name));
        }
    }

    fn same_service(&mut self, a: &str, b: &str) -> bool {
        let service = |d: &mut Self, name: &str| d.namer.classify(name, None).map(|k| k.service);
        let first = service(self, a);
        same_domain(a, b) || (first.is_some() && first == service(self, b))
    }

    fn look_for_likeness(&mut self, identity: &mut Identity, is_known: bool) {
        if is_known || identity.source == Some(NameSource::Address) {
            return;
        }
        let Some(name) = &identity.name else { return };
        if let Some((brand, how)) = self.memory.imitations.find(&name.to_ascii_lowercase()) {
            let text = format!("{name} resembles {brand} {}", how.as_str());
            Sign::add(&mut identity.signs, Sign::new(SignKind::Resembles, text));
        }
    }

    fn look_at_agent(&mut self, ends: &Ends, identity: &mut Identity, http: &HttpFacts) {
        let Some(agent) = &http.user_agent else { return };
        let shown: String = agent.chars().take(80).collect();
        if http.agent_malformed {
            let text = format!("the User-Agent was written by hand: {shown}");
            Sign::add(&mut identity.signs, Sign::new(SignKind::MalformedUserAgent, text));
        }
        if http.agent_carries_data {
            let text = format!("the User-Agent carries data ({} characters): {shown}", agent.len());
            Sign::add(&mut identity.signs, Sign::new(SignKind::UserAgentCarriesData, text));
        }
        let name = identity.name.as_deref().unwrap_or_default();
        let many = !self.memory.is_proxy(ends.originator)
            && self.home.contains(ends.originator)
            && self.memory.agents.note(ends.originator, name, agent);
        if many {
            let text = format!("{} has shown very many User-Agents to {name}", ends.originator);
            Sign::add(&mut identity.signs, Sign::new(SignKind::ManyUserAgents, text));
        }
    }

    /// Counts what this sensor cannot see into, when the flow ends.
    pub(super) fn count_hidden(&mut self, identity: &Identity) {
        let hidden = identity.signs.iter().any(|s| s.kind == SignKind::SharedFront);
        self.counters.shared_front += u64::from(hidden);
        let dns = identity.class.as_ref().is_some_and(|c| c.category == Category::Doh.as_str());
        self.counters.hidden_dns += u64::from(dns);
    }

    /// The ends with the client behind a proxy in the originator's place, where the proxy says who it is. A PROXY
    /// header is the proxy's own; a header of HTTP is believed of proxies only, since any client can write it.
    pub(super) fn behind_proxy(&self, ends: &Ends, facts: &Facts) -> Ends {
        let by_header = facts.http.as_ref().is_some_and(|h| h.client.is_some());
        let client = facts.client.filter(|ip| self.home.contains(*ip) && *ip != ends.originator);
        let believed = !by_header || self.memory.is_proxy(ends.originator);
        match client.filter(|_| believed && self.home.contains(ends.originator)) {
            Some(client) => Ends { originator: client, ..*ends },
            None => *ends,
        }
    }
}

/// Both names belong to one registrable domain.
pub(super) fn same_domain(a: &str, b: &str) -> bool {
    let domain = |name: &str| psl::domain_str(&name.to_ascii_lowercase()).map(ToOwned::to_owned);
    let first = domain(a);
    first.is_some() && first == domain(b)
}

/// An address that somebody on the internet can have: none of the ranges for private use and for documentation.
fn is_public(ip: IpAddr) -> bool {
    match ip {
        IpAddr::V4(a) => {
            let [b, c, ..] = a.octets();
            let shared = b == 100 && c & 0xc0 == 64;
            let special = a.is_private() || a.is_loopback() || a.is_link_local() || a.is_multicast();
            !(special || shared || a.is_documentation() || a.is_broadcast() || b == 0 || b >= 240)
        }
        IpAddr::V6(a) => a.segments()[0] & 0xe000 == 0x2000 && a.segments()[..2] != [0x2001, 0x0db8],
    }
}

#[cfg(test)]
mod tests;
