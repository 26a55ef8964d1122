//! Books what moves to what is usual, and asks the lanes.

use super::home::Sides;
use super::identity::Known;
use super::lanes::{self, Circumstance};
use super::learn::evidence::Values;
use super::learn::kind::Kind;
use super::learn::shared::SharedNames;
use super::learn::{Learner, Moved};
use super::pair::Contribution;
use super::roster::Roster;
use super::{Detector, OpenFlow, cases, process, rules};
use crate::observe::{FlowDelta, FlowId};
use crate::output::Identity;
use crate::parse::NameSource;
use crate::state::Shelf;
use crate::units::Timestamp;
use std::sync::Arc;

/// Seconds of history from which on the lanes judge; before, the volume rule alone does.
pub(super) const COLD_SECS: i64 = 86_400;

/// Everything that is learned of the site.
#[derive(Debug, Default)]
pub(super) struct Baselines {
    pub learner: Learner,
    pub roster: Roster,
    pub names: SharedNames,
    pub cases: Shelf<(u32, u32), cases::Case>,
    /// Cases with an open incident, in the order they were opened.
    pub open: Vec<(u32, u32)>,
    /// What hosts fetched from hypervisors.
    pub fetched: process::Fetched,
    pub calibration: super::calibrate::Calibration,
}

/// Smaller movements inside the network are no staging.
const PULL_FROM: u64 = 16 << 10;

/// Ports at which hypervisors hand out what they store.
const WEB_PORTS: &[u16] = &[80, 443];

/// A name that several hosts have met at so many addresses is known by them.
const KNOWN_PLACES: u32 = 3;

/// Link addresses that VMware gives to virtual machines begin with one of these (IEEE).
const VMWARE: &[[u8; 3]] = &[[0x00, 0x50, 0x56], [0x00, 0x0c, 0x29], [0x00, 0x05, 0x69]];

/// The name that stands for a destination without one, where it gives itself out as the front of many.
const FRONTS: &[&str] = &["cloudflare-ech.com"];
/// Services of the category `webhook` that people talk over all day.
const WORKPLACE: &[&str] = &["slack"];

/// What a destination is learned under: its own key, that of its population, its kind.
fn target_of(name: Option<&str>, known: Option<&Known>) -> (String, String, Kind) {
    let Some(name) = name.filter(|n| !FRONTS.contains(n)) else {
        if let Some(known) = known {
            return of_service(known, "");
        }
        return ("-".into(), "-".into(), Kind::Nameless);
    };
    let Some(known) = known else {
        let domain = psl::domain_str(name).unwrap_or(name);
        return (format!("~{domain}"), "~".into(), Kind::Unknown);
    };
    of_service(known, name)
}

fn of_service(known: &Known, name: &str) -> (String, String, Kind) {
    let slug = &*known.class.service;
    let kind = Kind::of(Some(known), true);
    if kind == Kind::Own {
        let own = format!("{slug}/own");
        return (own.clone(), own, kind);
    }
    if kind == Kind::Hook && (name.starts_with("hooks.") || name.contains(".webhook.")) {
        return (format!("{slug}/hook"), "hook".into(), kind);
    }
    let kind = match kind {
        Kind::Hook if WORKPLACE.contains(&slug) => Kind::Saas,
        Kind::Hook => Kind::Chat,
        kind => kind,
    };
    match known.class.tenant.as_deref() {
        Some(tenant) if kind == Kind::Object || slug == "sharepoint_online" => {
            (format!("{slug}/{tenant}"), slug.into(), kind)
        }
        _ => (slug.into(), slug.into(), kind),
    }
}

impl Detector {
    /// Enough has been seen of the site for the lanes to judge.
    pub(super) fn is_learned(&self, now: Timestamp) -> bool {
        self.base.learner.age(now.secs()) >= COLD_SECS
    }

    /// A connection has shown its name: others to its address may show none.
    pub(super) fn note_name(&mut self, identity: &Identity, flow: FlowId) {
        let shown = identity.source.is_some_and(|s| {
            matches!(
                s,
                NameSource::Sni | NameSource::QuicSni | NameSource::HttpHost | NameSource::Certificate
            )
        });
        let Some(name) = identity.name.as_ref().filter(|n| shown && !FRONTS.contains(&&***n)) else { return };
        if let Some(open) = self.flows.get(&flow) {
            self.base.names.note(open.ends.responder, name, open.ends.originator);
        }
    }

    /// The places of a flow's host and destination.
    pub(super) fn place(&mut self, flow: FlowId, secs: i64) -> Option<(u32, u32)> {
        let open = self.flows.get(&flow)?;
        if open.place.is_some() {
            return open.place;
        }
        let Sides::Out(direction) = open.sides else { return None };
        let (host, far) = open.ends.from(direction);
        let shows = |i: &Identity| i.source.is_some_and(|s| s != NameSource::EchOuterSni);
        let own = open.identity.name.clone().filter(|n| shows(&open.identity) && !FRONTS.contains(&&**n));
        let mut known = open.known.clone();
        let name = own.or_else(|| self.base.names.only(far));
        if known.is_none()
            && let Some(name) = &name
        {
            known = self.namer.classify(name, Some(host));
        }
        let (key, service, kind) = target_of(name.as_deref(), known.as_deref());
        let base = &mut self.base;
        let learner = &mut base.learner;
        let host = base.roster.place(host, |part| learner.add_host(part, secs));
        let target = learner.target(host, &key, &service, kind, secs);
        let open = self.flows.get_mut(&flow)?;
        open.place = Some((host, target));
        (open.inferred, open.inferred_known) = (name, known);
        open.place
    }

    /// The flow turned out to go elsewhere: what was booked moves.
    pub(super) fn relearn(&mut self, flow: FlowId, now: Timestamp) {
        let Some(open) = self.flows.get_mut(&flow) else { return };
        let Some((host, target)) = open.place.take() else { return };
        let total = open.total;
        open.began = false;
        self.base.learner.withdraw(host, target, total);
        if let Some(case) = self.base.cases.get_mut(&(host, target)) {
            case.pair.withdraw(flow, total.0, total.1);
        }
        self.learn(flow, total, 0, now);
    }

    /// Books bytes of a flow (all of them, whether they look like an upload or not).
    pub(super) fn learn(&mut self, flow: FlowId, moved: (u64, u64), gap: u64, now: Timestamp) {
        if moved.0 == 0 && moved.1 == 0 {
            return;
        }
        let Some(place) = self.place(flow, now.secs()) else { return };
        self.weigh(flow, place, moved, gap, now);
    }

    /// Books bytes between a host and a destination, and asks lanes and rules.
    fn weigh(
        &mut self,
        flow: FlowId,
        (host, target): (u32, u32),
        moved: (u64, u64),
        gap: u64,
        now: Timestamp,
    ) {
        let secs = now.secs();
        self.watch.learned();
        let Some(open) = self.flows.get_mut(&flow) else { return };
        let opened = !std::mem::replace(&mut open.began, true);
        // Inside the network nothing is summed for the flow.
        let push = if open.sides == Sides::Inside { moved.0 > moved.1 } else { open.total.0 > open.total.1 };
        let values = self.base.learner.observe(&Moved { host, target, secs, bytes: moved, push, opened });
        let key = (host, target);
        let window = self.config.time_window;
        let wanted = self.base.cases.contains_key(&key) || self.base.learner.is_material(host, target);
        if wanted {
            let part = contribution(flow, open, moved, gap);
            let case = self.base.cases.or_insert_with(key, || cases::Case::new(now, window));
            case.pair.add(&part, now, window);
        }
        let told = self.sent_by(flow, now);
        let due = values.is_some();
        let values = match values {
            None if told => self.base.learner.look_again(host, target, secs),
            values => values,
        };
        if let Some(values) = values {
            self.judge_case(flow, key, &values, due, now);
        }
    }

    /// Asks lanes and rules about a pair of host and destination; `flow` is the one that gives reason to. `due`: its bytes
    /// are the reason, and not what a log says.
    pub(super) fn judge_case(
        &mut self,
        flow: FlowId,
        key: (u32, u32),
        values: &Values,
        due: bool,
        now: Timestamp,
    ) {
        let learned = self.is_learned(now);
        let learner = &self.base.learner;
        let kind = learner.target_at(key.1).kind;
        let circumstance = Circumstance { kind: Some(kind), part: learner.part(key.0) };
        let Some(mut sight) = learner.sight(key.0, key.1, now.secs(), &self.config) else { return };
        sight.connection = self.flows.get(&flow).map_or((0, 0), |open| open.total);
        sight.guest = self.is_guest(flow);
        sight.strange_address = self.is_strange_address(flow);
        sight.from_hypervisor = self.base.fetched.recent(key.0, now.secs());
        sight.process = self.view(flow, now).map(Box::new);
        // The lanes were not made for less.
        let material = due || sight.day.0 >= kind.floor();
        let hosts = learner.hosts();
        let verdict = (learned && material).then(|| {
            let mut verdict = lanes::judge(values, circumstance);
            self.base.calibration.note(key.0, verdict.lane, verdict.score, now.secs(), hosts);
            verdict.score -= self.base.calibration.shift(verdict.lane);
            verdict
        });
        let findings = rules::look(&sight, learned);
        if verdict.is_some() || !findings.is_empty() {
            let steps = sight.process.as_deref().map(process::View::steps).unwrap_or_default();
            let found = cases::Found { values: *values, circumstance, verdict, findings, steps };
            self.found(key, flow, &found, now);
        }
    }

    /// The host is a virtual machine of VMware: the site says so, or its link address.
    fn is_guest(&self, flow: FlowId) -> bool {
        let Some(host) = self.flows.get(&flow).and_then(|open| open.identity.host.as_deref()) else {
            return false;
        };
        host.mac.is_some_and(|[a, b, c, ..]| VMWARE.contains(&[a, b, c]))
            || self.base.roster.is_guest(host.ip)
    }

    /// The flow shows a name that several hosts have met at several addresses, and its own address is none of those: nobody
    /// else has been there, and this client's DNS never gave it out for that name.
    fn is_strange_address(&self, flow: FlowId) -> bool {
        let Some(open) = self.flows.get(&flow) else { return false };
        let (client, far) = (open.ends.originator, open.ends.responder);
        let shown = matches!(open.identity.source, Some(NameSource::Sni | NameSource::QuicSni));
        let Some(name) = open.identity.name.as_deref().filter(|_| shown) else { return false };
        self.base.names.places(name) >= KNOWN_PLACES
            && self.base.names.is_alone(far, client)
            && !self.resolved.ever_gave(client, far, name)
    }

    /// Bytes moved within the network: what a host fetched there may leave later.
    pub(super) fn moved_inside(&mut self, delta: &FlowDelta, now: Timestamp) {
        let (ends, bytes, secs) = (delta.ends, delta.bytes, now.secs());
        for (ip, pulled) in [(ends.originator, bytes.down), (ends.responder, bytes.up)] {
            if pulled >= PULL_FROM {
                let learner = &mut self.base.learner;
                let host = self.base.roster.place(ip, |part| learner.add_host(part, secs));
                self.base.learner.pulled(host, secs, pulled);
                let from = if ip == ends.originator { ends.responder } else { ends.originator };
                if self.base.roster.part(from).hypervisor && !self.base.learner.part(host).hypervisor {
                    self.base.fetched.note(host, secs, pulled);
                }
            }
        }
        let given = bytes.down;
        if given > 0
            && WEB_PORTS.contains(&ends.responder_port)
            && self.base.roster.part(ends.responder).hypervisor
        {
            self.given_away(delta.flow, (given, bytes.up), now);
        }
    }

    /// A hypervisor's own web port hands out datastores: what is fetched there counts as sent out by the hypervisor,
    /// even to somebody at home, whose own uploads are held against it from then on (`staged_upload`).
    fn given_away(&mut self, flow: FlowId, moved: (u64, u64), now: Timestamp) {
        let secs = now.secs();
        let Some(open) = self.flows.get(&flow) else { return };
        let (puller, ip) = (open.ends.originator, open.ends.responder);
        let learner = &mut self.base.learner;
        let host = self.base.roster.place(ip, |part| learner.add_host(part, secs));
        let target = learner.target(host, &format!("~{puller}"), "~inside", Kind::Unknown, secs);
        let Some(open) = self.flows.get_mut(&flow) else { return };
        open.place = Some((host, target));
        self.weigh(flow, (host, target), moved, 0, now);
    }
}

fn contribution(flow: FlowId, open: &OpenFlow, moved: (u64, u64), gap: u64) -> Contribution<'_> {
    Contribution {
        flow,
        ends: &open.ends,
        identity: &open.identity,
        out: moved.0,
        into: moved.1,
        at: open.at,
        gap,
        midstream: open.midstream,
        one_way: open.one_way,
        uploads: open.tally(),
    }
}

impl OpenFlow {
    /// Names of the flow as an incident has them: its own, else what its address goes by.
    pub(super) fn best_identity(&self) -> Identity {
        let mut identity = self.identity.clone();
        if identity.name.is_none()
            && let Some(name) = &self.inferred
        {
            identity.name = Some(Arc::clone(name));
            identity.source = Some(NameSource::Address);
            identity.confidence = 0.5;
            identity.class = self.inferred_known.as_ref().map(|k| Arc::clone(&k.class));
        }
        identity
    }
}
