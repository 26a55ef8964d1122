//! The detector: tellings in, records out. Plain `&mut self` calls; time comes with the tellings.
//!
//! It names a flow (its own name first), classifies the name, books the flow's bytes to the pair of home host and
//! service, asks the analytics, and keeps incidents. One file per analytic, named for the behaviour.

pub mod agents;
mod answers;
#[cfg(test)]
mod attacks;
mod attribution;
mod baseline;
pub mod blind;
pub mod calibrate;
mod cases;
pub mod dns;
mod groups;
pub mod home;
pub mod hosts;
pub mod identity;
mod incidents;
mod keep;
pub mod known;
pub mod lanes;
pub mod learn;
#[cfg(test)]
mod midflow;
mod naming;
pub mod pair;
mod policy;
pub mod process;
mod regrade;
pub mod resembles;
pub mod roster;
pub mod rules;
mod sender;
pub mod totals;
pub mod upload_volume;
pub mod uploads;
pub mod window;

use crate::config::{DetectConfig, SiteFacts};
use crate::counters::DetectCounters;
use crate::decode::Path;
use crate::net::Nets;
use crate::observe::{Ends, FlowDelta, FlowId, FlowSummary, Tally, Telling, Told, Uploads};
use crate::output::{FactsRecord, FlowRecord, Host, Identity, Record};
use crate::parse::{AppProto, Facts, TlsFacts};
use crate::signatures::{Catalogue, Sanction};
use crate::state::Shelf;
use crate::units::{Both, Direction, Timestamp};
use home::{Home, Sides};
use identity::{Known, Namer};
use pair::{Contribution, Pair, PairKey};
use serde::{Deserialize, Serialize};
use std::net::IpAddr;
use std::sync::Arc;
use totals::Totals;

/// Maps with a seeded, fast hash: keys come from the network.
pub(crate) type Map<K, V> = std::collections::HashMap<K, V, foldhash::fast::RandomState>;

/// A run of upload within a flow that downloads otherwise counts from this many bytes.
const RUN_BYTES: u64 = 64 * 1024;

/// What the detector knows of a flow that has told something and has not ended.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct OpenFlow {
    ends: Ends,
    /// The originator, or the client that a proxy speaks for.
    client: IpAddr,
    identity: Identity,
    known: Option<Arc<Known>>,
    sides: Sides,
    path: Path,
    /// First and newest frame told.
    at: (Timestamp, Timestamp),
    /// Bytes out of home and into home.
    total: (u64, u64),
    /// Bytes out and in since the flow last turned to downloading.
    run: (u64, u64),
    /// Bytes out of earlier runs.
    runs: u64,
    /// Bytes out that have been booked as upload.
    counted: u64,
    /// Gap told so far.
    gap: u64,
    /// Where they were booked.
    pair: Option<PairKey>,
    /// It was part of an incident that has ended since.
    alerted: bool,
    midstream: bool,
    one_way: bool,
    /// Host and destination as they are learned.
    place: Option<(u32, u32)>,
    /// Bytes of it have been learned.
    began: bool,
    /// Its uploads.
    uploads: Uploads,
    /// The program that its bytes are booked to, and how many.
    sent_by: Option<(u64, u64)>,
    /// The name of its destination, its own or what the address goes by, and the service of that.
    inferred: Option<Arc<str>>,
    inferred_known: Option<Arc<Known>>,
}

/// See the module.
#[derive(Debug)]
pub struct Detector {
    config: DetectConfig,
    sensor: String,
    seed: u64,
    home: Home,
    namer: Namer,
    resolved: dns::Resolved,
    memory: naming::Memory,
    flows: Map<FlowId, OpenFlow>,
    pairs: Shelf<PairKey, Pair>,
    /// Pairs with an open incident, in the order they were opened.
    open: Vec<PairKey>,
    checked: Timestamp,
    totals: Totals,
    counters: DetectCounters,
    records: Vec<Record>,
    base: baseline::Baselines,
    /// Alerts of other products.
    context: crate::endpoint::Context,
    /// Set where endpoint logs are heard.
    attributing: Option<Box<attribution::Attributing>>,
    kept: keep::Memo,
    watch: blind::Watch,
    /// Only what is found is recorded.
    terse: bool,
}

impl Detector {
    /// A detector that knows nothing yet.
    pub fn new(
        config: DetectConfig,
        sensor: &str,
        seed: u64,
        home_net: Option<Nets>,
        catalogue: Arc<Catalogue>,
    ) -> Self {
        let mut base = baseline::Baselines::default();
        base.learner.levels = rules::levels(&config);
        Self {
            config,
            sensor: sensor.to_owned(),
            seed,
            home: Home::new(home_net),
            memory: naming::Memory::new(&catalogue),
            namer: Namer::new(catalogue),
            resolved: dns::Resolved::default(),
            flows: Map::default(),
            pairs: Shelf::default(),
            open: Vec::new(),
            checked: Timestamp::MIN,
            totals: Totals::default(),
            counters: DetectCounters::default(),
            records: Vec::new(),
            base,
            context: crate::endpoint::Context::default(),
            attributing: None,
            kept: keep::Memo::default(),
            watch: blind::Watch::default(),
            terse: false,
        }
    }

    /// Records only what is found: flows and answers stand in the input already.
    pub fn only_findings(&mut self) {
        self.terse = true;
    }

    /// What the site says of its hosts.
    pub fn with_site(mut self, facts: SiteFacts, assets: roster::Assets) -> Self {
        self.base.roster = roster::Roster::new(facts, assets);
        self
    }

    /// With what other products have said of hosts.
    #[must_use]
    pub fn with_context(mut self, context: crate::endpoint::Context) -> Self {
        self.context = context;
        self
    }

    /// Takes one telling. Records come out of [`Detector::take_records`].
    pub fn observe(&mut self, told: Told) {
        let now = told.now;
        self.watch.advance(now);
        self.release_records(false, now);
        self.close_idle_incidents(now);
        match told.what {
            Telling::Named { flow, ends, at, facts, complete, path } => {
                self.named(flow, ends, &facts, path, now);
                if complete {
                    self.log_facts(flow, ends, at, &facts, path);
                }
            }
            Telling::Delta(delta) => self.delta(&delta, now),
            Telling::Dns(answer) => {
                self.watch.answer();
                self.resolved.learn(&answer, now);
                if !self.terse {
                    self.records.push(Record::Dns(answer));
                }
            }
            Telling::Summary(summary) => self.summary(summary, now),
            Telling::Lease(lease) => {
                self.memory.hosts.learn(&lease);
                self.lease_for_joiner(&lease);
                if lease.until > lease.at && !lease.ip.is_unspecified() {
                    self.base.roster.lease(lease.ip, lease.mac);
                }
            }
        }
    }

    /// Time has passed without tellings.
    pub fn idle(&mut self, now: Timestamp) {
        self.release_records(false, now);
        self.close_idle_incidents(now);
    }

    /// Tellings came after the wait for them was over.
    pub fn count_late(&mut self, tellings: u64) {
        self.counters.late += tellings;
    }

    /// The end of the input: closes what is open, unless it outlives the run.
    pub fn finish(&mut self, now: Timestamp) {
        self.watch.look();
        self.release_records(true, now);
        if self.is_kept() {
            return;
        }
        self.close_all_incidents(now);
    }

    /// Takes the records made since the last call, in order.
    pub fn take_records(&mut self) -> Vec<Record> {
        let room = Vec::with_capacity(self.records.len());
        std::mem::replace(&mut self.records, room)
    }

    /// As [`Detector::take_records`], into a list that is kept; what was in it is forgotten.
    pub fn swap_records(&mut self, records: &mut Vec<Record>) {
        records.clear();
        std::mem::swap(&mut self.records, records);
    }

    /// What was counted so far.
    pub fn counters(&self) -> DetectCounters {
        let (leases, hosts_evicted) = self.memory.hosts.counts();
        DetectCounters {
            pairs: self.pairs.len() as u64,
            pairs_evicted: self.counters.pairs_evicted + self.base.learner.evicted,
            leases,
            hosts_evicted,
            blind: self.watch.hours(),
            blind_now: self.watch.now(),
            ..self.counters.clone()
        }
    }

    /// What this sensor should have seen and has not.
    pub fn blindness(&self) -> Vec<String> {
        self.watch.remarks()
    }

    /// What people should know of the files with other products' alerts.
    pub fn context_remarks(&self) -> &[String] {
        self.context.remarks()
    }

    /// Totals for the summary of the run.
    pub fn totals(&self) -> &Totals {
        &self.totals
    }

    /// The home networks, as learned so far.
    pub fn home(&self) -> &Home {
        &self.home
    }

    /// The parsers know more about a flow.
    fn named(&mut self, flow: FlowId, ends: Ends, facts: &Facts, path: Path, now: Timestamp) {
        if let Some((mac, _)) = path.mac {
            self.home.learn_mac(&ends, mac);
        }
        let (mut identity, known) = self.identify(&ends, facts, now);
        let sides = self.home.sides(&ends, known.is_some());
        // The client that a proxy speaks for is the one whose bytes they are.
        let client = self.behind_proxy(&ends, facts);
        identity.host = self.host_of(&client, sides, &path, now);
        if sides == Sides::Transit {
            self.home.learn(&ends, known.as_ref().map(|k| k.service.index() as u64));
        }
        let open = self.flows.entry(flow).or_insert_with(|| OpenFlow::new(ends, sides));
        let moved = open.known.as_ref().map(|k| k.service) != known.as_ref().map(|k| k.service);
        let moved = moved || open.client != client.originator;
        identity.attribution = open.identity.attribution.take();
        let renamed = open.identity.name != identity.name;
        (open.ends, open.identity, open.known, open.sides, open.path) =
            (ends, identity.clone(), known, sides, path);
        open.client = client.originator;
        self.seat(flow, false, now);
        if moved {
            self.rebook(flow, now);
        }
        self.note_name(&identity, flow);
        if renamed {
            self.relearn(flow, now);
        }
    }

    /// Bytes that were booked before the name was known, or under another, move to where they belong.
    fn rebook(&mut self, flow: FlowId, now: Timestamp) {
        let Some(open) = self.flows.get_mut(&flow) else { return };
        if let Some(old) = open.pair.take()
            && let Some(pair) = self.pairs.get_mut(&old)
        {
            pair.withdraw(flow, open.counted, open.total.1);
        }
        open.counted = 0;
        let total = open.total;
        self.book(flow, (0, 0), total.1, 0, now);
    }

    fn delta(&mut self, delta: &FlowDelta, now: Timestamp) {
        if !self.flows.contains_key(&delta.flow) {
            let open = self.unnamed(delta.ends, now);
            self.flows.insert(delta.flow, open);
        }
        let Some(open) = self.flows.get_mut(&delta.flow) else { return };
        (open.midstream, open.one_way) = (delta.midstream, delta.one_way);
        open.uploads = delta.uploads;
        let met = std::mem::replace(&mut open.at, (delta.first, delta.last)).1 > Timestamp::default();
        if !met {
            self.seat(delta.flow, false, now);
        }
        self.attribute(delta.flow, now);
        let Some(open) = self.flows.get_mut(&delta.flow) else { return };
        let direction = match open.sides {
            Sides::Out(direction) => direction,
            // A name that makes the responder outside may still come: its bytes must not be lost until then.
            Sides::Inside => Direction::Up,
            Sides::Transit => return,
        };
        let inside = open.sides == Sides::Inside;
        let (out, into) = match direction {
            Direction::Up => (delta.bytes.up, delta.bytes.down),
            Direction::Down => (delta.bytes.down, delta.bytes.up),
        };
        let gap = *delta.gap.of(direction);
        let new_gap = gap.saturating_sub(open.gap);
        open.gap = open.gap.max(gap);
        self.book(delta.flow, (out, into), into, new_gap, now);
        if inside {
            self.moved_inside(delta, now);
        } else {
            self.learn(delta.flow, (out, into), new_gap, now);
        }
    }

    /// A flow that the parsers have said nothing of.
    fn unnamed(&mut self, ends: Ends, now: Timestamp) -> OpenFlow {
        let mut identity = Identity::default();
        let known = self.classify(&ends, &mut identity, now);
        let sides = self.home.sides(&ends, known.is_some());
        identity.host = self.host_of(&ends, sides, &Path::default(), now);
        OpenFlow { identity, known, ..OpenFlow::new(ends, sides) }
    }

    /// Adds bytes to a flow and books to its pair what is new and counts as upload.
    fn book(&mut self, flow: FlowId, moved: (u64, u64), into: u64, gap: u64, now: Timestamp) {
        let Some(open) = self.flows.get_mut(&flow) else { return };
        let before = open.counted;
        open.count(moved, self.config.upload_ratio);
        let Some(key) = open.pair_key() else { return };
        let contribution = Contribution {
            flow,
            ends: &open.ends,
            identity: &open.identity,
            out: open.counted - before,
            into,
            at: open.at,
            gap,
            midstream: open.midstream,
            one_way: open.one_way,
            uploads: open.tally(),
        };
        if !self.pairs.contains_key(&key) && self.pairs.len() >= self.config.max_pairs {
            evict(&mut self.pairs);
            self.counters.pairs_evicted += 1;
        }
        let window = self.config.time_window;
        let pair = self.pairs.or_insert_with(key, || Pair::new(now, window));
        pair.add(&contribution, now, window);
        let grew = contribution.out > 0;
        open.pair = Some(key);
        if grew {
            self.judge(key, flow, now);
        }
    }

    /// Records of hellos and requests. TLS inside a proxied connection, and a hello that was asked for again, get
    /// records of their own.
    fn log_facts(&mut self, flow: FlowId, ends: Ends, at: Timestamp, facts: &Arc<Facts>, path: Path) {
        let identity = self.flows.get(&flow).map(|f| f.identity.clone()).unwrap_or_default();
        let mut log = |facts: Arc<Facts>| {
            let record = FactsRecord { flow, ends, at, facts, identity: identity.clone(), path };
            self.records.push(Record::Facts(Box::new(record)));
        };
        let hello = matches!(facts.app, AppProto::Tls | AppProto::Quic | AppProto::Dtls);
        if hello || facts.app == AppProto::Http {
            log(Arc::clone(facts));
        }
        if let Some(tls) = &facts.tls {
            let own = |tls: &TlsFacts| {
                Arc::new(Facts {
                    app: AppProto::Tls,
                    tls: Some(Box::new(tls.clone())),
                    http: None,
                    ..(**facts).clone()
                })
            };
            if !hello {
                log(own(tls));
            }
            if let Some(again) = &tls.retried {
                log(own(again));
            }
        }
    }

    fn summary(&mut self, summary: Box<FlowSummary>, now: Timestamp) {
        let flow = summary.flow;
        let ended = summary.end.is_some();
        let open = if ended { self.end_flow(flow, now) } else { self.flows.get(&flow).cloned() };
        let open = open.unwrap_or_else(|| self.unnamed(summary.ends, now));
        let mut identity = open.identity;
        if identity.host.is_none() {
            identity.host = self.host_of(&summary.ends, open.sides, &summary.path, now);
        }
        self.attribute_summary(&mut identity, &summary, open.sides, now);
        let pair = open.pair.and_then(|key| self.pairs.get(&key));
        let alerted = open.alerted || (open.counted > 0 && pair.is_some_and(|p| p.incident.is_some()));
        if ended {
            if let Some(source) = identity.source {
                *self.counters.names.entry(source.as_str()).or_default() += 1;
            }
            self.count_hidden(&identity);
            self.watch.flow(&summary, open.sides);
            self.totals.add(&summary, &identity, open.sides);
        }
        if !self.terse {
            self.record_flow(Box::new(FlowRecord { summary, identity, alerted }), now);
        }
    }

    fn home_host(&self, ends: &Ends) -> Option<IpAddr> {
        [ends.originator, ends.responder].into_iter().find(|ip| self.home.contains(*ip))
    }

    /// The home side of a flow as records name it. A lease knows the machine better than the frame, whose link address
    /// may be a router's.
    fn host_of(&self, ends: &Ends, sides: Sides, path: &Path, now: Timestamp) -> Option<Arc<Host>> {
        let up = match sides {
            Sides::Out(direction) => direction == Direction::Up,
            Sides::Inside => true,
            Sides::Transit => return None,
        };
        let ip = if up { ends.originator } else { ends.responder };
        let hosts = &self.memory.hosts;
        let seen = path.mac.map(|(source, destination)| if up { source } else { destination });
        let (mac, name) = hosts.machine(ip, now).map_or((None, None), |(mac, name)| (Some(mac), name));
        let mac = mac.or_else(|| seen.filter(|mac| !hosts.is_router(*mac)));
        Some(Arc::new(Host { ip, mac, name: name.map(Into::into) }))
    }
}

impl OpenFlow {
    fn new(ends: Ends, sides: Sides) -> Self {
        Self {
            ends,
            client: ends.originator,
            identity: Identity::default(),
            known: None,
            sides,
            path: Path::default(),
            at: (Timestamp::default(), Timestamp::default()),
            total: (0, 0),
            run: (0, 0),
            runs: 0,
            counted: 0,
            gap: 0,
            pair: None,
            alerted: false,
            midstream: false,
            one_way: false,
            place: None,
            began: false,
            uploads: Uploads::default(),
            sent_by: None,
            inferred: None,
            inferred_known: None,
        }
    }

    /// Which bytes out of this flow count as upload: all, when more goes out than comes in; else those of runs in
    /// which it did. What has counted once stays.
    fn count(&mut self, (out, into): (u64, u64), ratio: f64) {
        let uploads = |out: u64, into: u64| out as f64 > ratio * into as f64;
        self.total = (self.total.0.saturating_add(out), self.total.1.saturating_add(into));
        self.run = (self.run.0.saturating_add(out), self.run.1.saturating_add(into));
        if !uploads(self.run.0, self.run.1) {
            self.run = (0, 0);
            self.runs = self.counted;
        }
        let counts = if uploads(self.total.0, self.total.1) {
            self.total.0
        } else if self.run.0 >= RUN_BYTES {
            self.runs.saturating_add(self.run.0).min(self.total.0)
        } else {
            0
        };
        self.counted = self.counted.max(counts);
    }

    /// Uploads, where its client is the one that sends.
    fn tally(&self) -> Tally {
        match self.sides {
            Sides::Out(Direction::Down) => Tally::default(),
            _ => Tally::of(&self.uploads),
        }
    }

    /// The address at home.
    fn home_side(&self) -> Option<IpAddr> {
        let Sides::Out(direction) = self.sides else { return None };
        Some(self.ends.from(direction).0)
    }

    fn pair_key(&self) -> Option<PairKey> {
        let known = self.known.as_ref()?;
        let Sides::Out(direction) = self.sides else { return None };
        let host = if direction == Direction::Up { self.client } else { self.ends.responder };
        let calm = matches!(known.sanction, Sanction::Own | Sanction::Sanctioned);
        let aside = !known.role.carries_data() && known.role != crate::signatures::Role::Api;
        Some(PairKey { host, service: known.service, calm, aside })
    }
}

/// Makes room: among some pairs, the one that moved least and has no incident goes.
fn evict(pairs: &mut Shelf<PairKey, Pair>) {
    let idle = |p: &Pair| (p.incident.is_some(), p.window.out(), p.seen.1);
    let victim = pairs.iter().take(64).min_by_key(|(_, p)| idle(p)).map(|(k, _)| *k);
    if let Some(key) = victim {
        pairs.remove(&key);
    }
}

/// Bytes out and in, for [`Totals`].
pub(crate) fn by_side(bytes: Both<u64>, direction: Direction) -> (u64, u64) {
    match direction {
        Direction::Up => (bytes.up, bytes.down),
        Direction::Down => (bytes.down, bytes.up),
    }
}
