//! The order of names, and signs that a name is not true: each rule by a flow that it is for.

use super::super::FlowId;
use super::*;
use crate::config::DetectConfig;
use crate::decode::{Path, Transport};
use crate::net::Cidr;
use crate::observe::{DnsAnswer, Lease, Telling, Told};
use crate::parse::TlsFacts;
use crate::signatures::Catalogue;

const CLIENT: &str = "10.0.0.1";
const FAR: &str = "203.0.113.9";

fn ip(text: &str) -> IpAddr {
    text.parse().expect("address")
}

fn ends(from: &str, to: &str, port: u16) -> Ends {
    Ends {
        originator: ip(from),
        responder: ip(to),
        originator_port: 50_000,
        responder_port: port,
        transport: Transport::Tcp,
    }
}

fn detector() -> Detector {
    let catalogue = Arc::new(Catalogue::builtin());
    Detector::new(DetectConfig::default(), "test", 1, None, catalogue)
}

fn tell(detector: &mut Detector, what: Telling) {
    let place = crate::observe::Place { ordinal: 0, flow_ordinal: 0, turn: 0 };
    detector.observe(Told { place, now: Timestamp::new(100, 0), what });
}

fn named(detector: &mut Detector, ends: Ends, facts: Facts) -> Identity {
    let (flow, at) = (FlowId(7), Timestamp::new(100, 0));
    let facts = Arc::new(facts);
    tell(detector, Telling::Named { flow, ends, at, facts, complete: false, path: Path::default() });
    detector.flows.remove(&flow).expect("an open flow").identity
}

fn hello(name: &str, source: NameSource, ech: Ech) -> Facts {
    let tls = TlsFacts { sni: Some(name.into()), ech, ..TlsFacts::default() };
    Facts {
        app: AppProto::Tls,
        name: Some((name.into(), source)),
        tls: Some(Box::new(tls)),
        ..Facts::default()
    }
}

fn resolve(detector: &mut Detector, name: &str, address: &str, ech: bool) {
    let answer = DnsAnswer {
        flow: FlowId(1),
        ends: ends(CLIENT, "10.0.0.53", 53),
        at: Timestamp::new(99, 0),
        id: 1,
        response: true,
        query: name.into(),
        qtype: if ech { 65 } else { 1 },
        rcode: 0,
        addresses: if ech { vec![] } else { vec![(ip(address), 60)] },
        cnames: vec![],
        ech,
    };
    tell(detector, Telling::Dns(Box::new(answer)));
}

fn kinds(identity: &Identity) -> Vec<SignKind> {
    identity.signs.iter().map(|s| s.kind).collect()
}

fn service(identity: &Identity) -> Option<&str> {
    identity.class.as_ref().map(|c| &*c.service)
}

#[test]
fn domains_and_addresses() {
    assert!(same_domain("a.Box.com", "b.box.com"));
    assert!(!same_domain("a.box.com", "a.box.net"));
    assert!(!same_domain("", ""));
    let public = |t: &str| is_public(ip(t));
    assert!(public("162.125.1.1") && public("2620:100::1"));
    assert!(!public(FAR) && !public(CLIENT) && !public("2001:db8::1") && !public("100.64.0.1"));
}

#[test]
fn dns_decides_what_an_encrypted_hello_hides() {
    let mut d = detector();
    let front = || hello("www.dropbox.com", NameSource::Sni, Ech::GreaseOrReal);
    let alone = named(&mut d, ends(CLIENT, FAR, 443), front());
    assert_eq!((alone.ech, alone.source), (Ech::GreaseOrReal, Some(NameSource::Sni)));
    resolve(&mut d, "mega.nz", FAR, false);
    resolve(&mut d, "mega.nz", FAR, true);
    let hidden = named(&mut d, ends(CLIENT, FAR, 443), front());
    assert_eq!((hidden.ech, hidden.source), (Ech::RealLikely, Some(NameSource::Dns)));
    assert_eq!((hidden.name.as_deref(), service(&hidden)), (Some("mega.nz"), Some("mega")));
    assert!(hidden.confidence < confidence(NameSource::Dns));
    // The very name that DNS gave: the client hides nothing.
    let clear = named(&mut d, ends(CLIENT, FAR, 443), hello("mega.nz", NameSource::Sni, Ech::GreaseOrReal));
    assert_eq!((clear.ech, clear.source), (Ech::GreaseLikely, Some(NameSource::Sni)));
}

#[test]
fn an_outer_name_is_never_classified() {
    let mut d = detector();
    // Even where the catalogue knows it, it is the front's.
    let facts = || hello("www.dropbox.com", NameSource::EchOuterSni, Ech::RealLikely);
    let outer = named(&mut d, ends(CLIENT, FAR, 443), facts());
    assert_eq!((service(&outer), outer.source), (None, Some(NameSource::EchOuterSni)));
    assert_eq!(kinds(&outer), [SignKind::SharedFront]);
    d.count_hidden(&outer);
    assert_eq!(d.counters().shared_front, 1);
    // The client resolves the front itself too: that says no more.
    resolve(&mut d, "www.dropbox.com", FAR, false);
    let outer = named(&mut d, ends(CLIENT, FAR, 443), facts());
    assert_eq!((service(&outer), outer.source), (None, Some(NameSource::EchOuterSni)));
}

#[test]
fn a_name_against_dns_and_networks() {
    let mut d = detector();
    let sni = |name: &str| hello(name, NameSource::Sni, Ech::None);
    assert_eq!(kinds(&named(&mut d, ends(CLIENT, FAR, 443), sni("www.wikipedia.org"))), []);
    resolve(&mut d, "upload.box.com", FAR, false);
    let fronted = named(&mut d, ends(CLIENT, FAR, 443), sni("www.wikipedia.org"));
    assert_eq!(kinds(&fronted), [SignKind::SniAddressMismatch]);
    assert_eq!(fronted.name.as_deref(), Some("www.wikipedia.org"));
    // Another name of the same service is no contradiction.
    assert_eq!(kinds(&named(&mut d, ends(CLIENT, FAR, 443), sni("dl.boxcloud.com"))), []);
    assert_eq!(kinds(&named(&mut d, ends(CLIENT, FAR, 443), sni("api.box.com"))), []);
    let elsewhere = named(&mut d, ends(CLIENT, "203.0.113.77", 443), sni("upload.box.com"));
    assert_eq!(kinds(&elsewhere), [SignKind::SniAddressMismatch]);
    // A service with networks of its own, and an address of somebody else's.
    let own = d.namer.catalogue().find("dropbox").is_some_and(|id| d.namer.catalogue().has_ranges(id));
    assert!(own, "the catalogue knows the networks of Dropbox");
    let foreign = named(&mut d, ends("10.0.0.2", "8.8.8.8", 443), sni("content.dropboxapi.com"));
    assert_eq!(kinds(&foreign), [SignKind::SniAddressMismatch]);
    let right = named(&mut d, ends("10.0.0.2", "162.125.1.1", 443), sni("content.dropboxapi.com"));
    assert_eq!(kinds(&right), []);
}

#[test]
fn a_proxied_name_and_the_hello_inside() {
    let mut d = detector();
    let inside = |target: &str, inner: &str| {
        let tls = TlsFacts { sni: Some(inner.into()), ..TlsFacts::default() };
        let name = Some((target.into(), NameSource::Connect));
        Facts { app: AppProto::Http, name, tls: Some(Box::new(tls)), ..Facts::default() }
    };
    let proxy = ends(CLIENT, "10.0.0.5", 3128);
    let refined = named(&mut d, proxy, inside("box.com", "upload.box.com"));
    assert_eq!(
        (refined.name.as_deref(), refined.source),
        (Some("upload.box.com"), Some(NameSource::Connect))
    );
    assert_eq!(kinds(&refined), []);
    let two = named(&mut d, proxy, inside("upload.box.com", "mega.nz"));
    assert_eq!(two.name.as_deref(), Some("upload.box.com"));
    assert_eq!(kinds(&two), [SignKind::SniAddressMismatch]);
}

#[test]
fn imitations_and_user_agents() {
    let mut d = detector();
    let fake = named(&mut d, ends(CLIENT, FAR, 443), hello("dropbox-upload.com", NameSource::Sni, Ech::None));
    assert_eq!(kinds(&fake), [SignKind::Resembles]);
    let true_name = hello("content.dropboxapi.com", NameSource::Sni, Ech::None);
    assert_eq!(kinds(&named(&mut d, ends(CLIENT, FAR, 443), true_name)), []);
    let request = |agent: String, odd: bool| {
        let http = HttpFacts {
            user_agent: Some(agent.into()),
            agent_malformed: odd,
            agent_carries_data: odd,
            ..HttpFacts::default()
        };
        let name = Some(("x.example".into(), NameSource::HttpHost));
        Facts { app: AppProto::Http, name, http: Some(Box::new(http)), ..Facts::default() }
    };
    let forged = named(&mut d, ends(CLIENT, FAR, 80), request("mozilla".into(), true));
    assert_eq!(kinds(&forged), [SignKind::MalformedUserAgent, SignKind::UserAgentCarriesData]);
    let mut last = Vec::new();
    for i in 0..40 {
        last = kinds(&named(&mut d, ends(CLIENT, FAR, 80), request(format!("a{i}"), false)));
    }
    assert_eq!(last, [SignKind::ManyUserAgents]);
}

#[test]
fn encrypted_dns_is_a_class_of_its_own() {
    let mut d = detector();
    let dot = named(&mut d, ends(CLIENT, FAR, 853), hello("resolver.example", NameSource::Sni, Ech::None));
    assert_eq!(dot.class.as_ref().map(|c| c.category), Some("doh"));
    d.count_hidden(&dot);
    assert_eq!(d.counters().hidden_dns, 1);
    let web = named(&mut d, ends(CLIENT, FAR, 443), hello("resolver.example", NameSource::Sni, Ech::None));
    assert_eq!(web.class, None);
}

#[test]
fn the_client_behind_a_proxy_is_the_host_if_a_proxy_says_so() {
    let request = |by_header: bool| {
        let client = Some(ip("10.0.0.77"));
        let http = HttpFacts { client: client.filter(|_| by_header), ..HttpFacts::default() };
        let name = Some(("upload.box.com".into(), NameSource::HttpHost));
        Facts { app: AppProto::Http, name, client, http: Some(Box::new(http)), ..Facts::default() }
    };
    let flow = ends("10.0.0.5", FAR, 80);
    let host = |identity: Identity| identity.host.map(|h| h.ip.to_string());
    let mut d = detector();
    assert_eq!(host(named(&mut d, flow, request(true))).as_deref(), Some("10.0.0.5"), "anybody can write it");
    assert_eq!(host(named(&mut d, flow, request(false))).as_deref(), Some("10.0.0.77"), "PROXY protocol");
    let gateways = Nets::new(Cidr::new(ip("10.0.0.5"), 32));
    let mut d = detector().with_addresses(Geo::default(), gateways);
    assert_eq!(host(named(&mut d, flow, request(true))).as_deref(), Some("10.0.0.77"));
    // Seen to be asked as a proxy, it is one.
    let mut d = detector();
    let mut asked = hello("upload.box.com", NameSource::Connect, Ech::None);
    asked.tls = None;
    named(&mut d, ends(CLIENT, "10.0.0.5", 3128), asked);
    assert_eq!(host(named(&mut d, flow, request(true))).as_deref(), Some("10.0.0.77"));
}

#[test]
fn a_lease_names_the_host() {
    let mut d = detector();
    let lease = Lease {
        ip: ip(CLIENT),
        mac: [2, 0, 0, 0, 0, 7],
        name: Some("pc7".into()),
        at: Timestamp::new(90, 0),
        until: Timestamp::new(4_000, 0),
    };
    tell(&mut d, Telling::Lease(Box::new(lease)));
    let identity = named(&mut d, ends(CLIENT, FAR, 443), hello("mega.nz", NameSource::Sni, Ech::None));
    let host = identity.host.expect("home");
    assert_eq!((host.mac, host.name.as_deref()), (Some([2, 0, 0, 0, 0, 7]), Some("pc7")));
    assert_eq!(d.counters().leases, 1);
}
