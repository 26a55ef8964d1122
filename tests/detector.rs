//! What the detector owes: uploads found whatever goes on beside them, nothing said of what is none, and incidents
//! that speak once, when they rise, and when they end. Tellings are made by hand; no capture is in between.

use egret::config::DetectConfig;
use egret::decode::{Path, Transport};
use egret::detect::Detector;
use egret::observe::*;
use egret::output::{FlowRecord, IncidentRecord, Phase, Record, Severity};
use egret::parse::{AppProto, Facts, NameSource};
use egret::signatures::Catalogue;
use egret::units::{Both, Span, Timestamp};
use std::net::IpAddr;
use std::sync::{Arc, LazyLock};

const MB: u64 = 1_000_000;
const HOUR: i64 = 3_600;

static BUILTIN: LazyLock<Arc<Catalogue>> = LazyLock::new(|| Arc::new(Catalogue::builtin()));

/// A detector and what it said.
struct Play {
    detector: Detector,
    /// Seconds since the start.
    now: i64,
    ordinal: u64,
    incidents: Vec<IncidentRecord>,
    flows: Vec<FlowRecord>,
}

/// A flow between two addresses.
#[derive(Clone, Copy)]
struct Flow {
    id: FlowId,
    ends: Ends,
}

impl Play {
    fn new() -> Self {
        Self::with(DetectConfig::default(), Arc::clone(&BUILTIN))
    }

    fn with(config: DetectConfig, catalogue: Arc<Catalogue>) -> Self {
        let detector = Detector::new(config, "egret", 1, None, catalogue);
        Self { detector, now: 0, ordinal: 0, incidents: Vec::new(), flows: Vec::new() }
    }

    fn tell(&mut self, what: Telling) {
        let place = Place { ordinal: self.ordinal, flow_ordinal: 0, turn: 0 };
        self.ordinal += 1;
        self.detector.observe(Told { place, now: self.at(), what });
        self.collect();
    }

    fn collect(&mut self) {
        for record in self.detector.take_records() {
            match record {
                Record::Incident(incident) => self.incidents.push(*incident),
                Record::Flow(flow) => self.flows.push(*flow),
                _ => {}
            }
        }
    }

    fn at(&self) -> Timestamp {
        Timestamp::new(1_700_000_000 + self.now, 0)
    }

    fn flow(&mut self, originator: &str, responder: &str) -> Flow {
        let ip = |text: &str| text.parse::<IpAddr>().expect("address");
        self.ordinal += 1;
        let ends = Ends {
            originator: ip(originator),
            responder: ip(responder),
            originator_port: 40_000,
            responder_port: 443,
            transport: Transport::Tcp,
        };
        Flow { id: FlowId(self.ordinal), ends }
    }

    fn name(&mut self, flow: Flow, name: &str, source: NameSource) {
        let facts = Facts { app: AppProto::Tls, name: Some((name.into(), source)), ..Facts::default() };
        let (at, path, complete) = (self.at(), Path::default(), false);
        self.tell(Telling::Named {
            flow: flow.id,
            ends: flow.ends,
            at,
            facts: Arc::new(facts),
            complete,
            path,
        });
    }

    /// Bytes from the originator and from the responder.
    fn bytes(&mut self, flow: Flow, up: u64, down: u64) {
        let (first, last, gap, uploads) = (self.at(), self.at(), Both::default(), Uploads::default());
        let (flow, ends, bytes) = (flow.id, flow.ends, Both { up, down });
        let (closed, midstream, one_way) = (false, false, false);
        let delta = FlowDelta { flow, ends, first, last, bytes, gap, closed, midstream, one_way, uploads };
        self.tell(Telling::Delta(delta));
    }

    /// A flow with a name.
    fn named(&mut self, originator: &str, responder: &str, name: &str) -> Flow {
        let flow = self.flow(originator, responder);
        self.name(flow, name, NameSource::Sni);
        flow
    }

    fn close(&mut self, flow: Flow) {
        self.tell(Telling::Summary(Box::new(FlowSummary {
            flow: flow.id,
            ordinal: 0,
            ends: flow.ends,
            first: self.at(),
            last: self.at(),
            counts: Both::default(),
            app_followed: None,
            seen: Both::default(),
            history: [0; 16],
            midstream: false,
            one_way: false,
            state: FlowState::Closed,
            end: Some(EndReason::Timeout),
            path: Path::default(),
            facts: None,
            since: None,
        })));
    }

    /// Seconds pass, seen on a flow that nobody watches.
    fn wait(&mut self, secs: i64) {
        self.now += secs;
        let flow = self.flow("10.0.0.250", "198.51.100.250");
        self.bytes(flow, 1, 1);
        self.close(flow);
    }

    fn finish(&mut self) {
        self.detector.finish(self.at());
        self.collect();
    }

    fn alerts(&self) -> Vec<&IncidentRecord> {
        self.incidents.iter().filter(|i| i.alert && i.severity > Severity::Low).collect()
    }

    fn phases(&self) -> Vec<(Phase, bool)> {
        self.incidents.iter().map(|i| (i.phase, i.alert)).collect()
    }
}

const BOX: &str = "203.0.113.20";

#[test]
fn the_level_is_met_to_the_byte() {
    let mut p = Play::new();
    let flow = p.named("10.0.0.1", BOX, "upload.box.com");
    p.bytes(flow, 3 * MB - 1, 0);
    assert!(p.incidents.is_empty());
    p.bytes(flow, 1, 0);
    assert_eq!(p.phases(), [(Phase::Open, true)]);
    let alert = &p.incidents[0];
    assert_eq!((alert.up_bytes, alert.threshold, alert.severity), (3 * MB, 3 * MB, Severity::Medium));
    assert_eq!(alert.identity.host.as_ref().map(|h| h.ip.to_string()).as_deref(), Some("10.0.0.1"));
}

#[test]
fn small_parts_of_many_flows_add_up_over_a_day_and_not_longer() {
    let mut p = Play::new();
    for _ in 0..29 {
        let flow = p.named("10.0.0.1", BOX, "upload.box.com");
        p.bytes(flow, MB / 10, 1_000);
        p.close(flow);
        p.wait(600);
    }
    assert!(p.incidents.is_empty());
    let flow = p.named("10.0.0.1", BOX, "upload.box.com");
    p.bytes(flow, MB / 10, 1_000);
    assert_eq!(p.alerts().len(), 1);
    assert_eq!(p.incidents[0].flows_total, 30);
    let mut slow = Play::new();
    for _ in 0..60 {
        let flow = slow.named("10.0.0.1", BOX, "upload.box.com");
        slow.bytes(flow, MB / 10, 1_000);
        slow.close(flow);
        slow.wait(HOUR);
    }
    assert!(slow.incidents.is_empty(), "a day never held more than 2.5 MB");
}

#[test]
fn a_download_beside_it_hides_no_upload() {
    // On another connection.
    let mut p = Play::new();
    let (down, up) = (p.named("10.0.0.1", BOX, "upload.box.com"), p.named("10.0.0.1", BOX, "upload.box.com"));
    for _ in 0..50 {
        p.bytes(down, 1_000, 10 * MB);
        p.bytes(up, MB / 10, 100);
    }
    assert_eq!(p.alerts().len(), 1);
    assert_eq!(p.incidents[0].up_bytes, 3 * MB);
    // Before it and after it, on the same connection.
    let mut p = Play::new();
    let flow = p.named("10.0.0.1", BOX, "upload.box.com");
    for _ in 0..10 {
        p.bytes(flow, 1_000, 50 * MB);
    }
    for _ in 0..50 {
        p.bytes(flow, 64_000, 0);
    }
    assert_eq!(p.alerts().len(), 1);
    p.bytes(flow, 1_000, 500 * MB);
    for _ in 0..50 {
        p.bytes(flow, 64_000, 0);
    }
    p.finish();
    let last = p.incidents.last().expect("final");
    assert!((6_300_000..=6_500_000).contains(&last.up_bytes), "{}", last.up_bytes);
}

#[test]
fn bytes_that_come_in_never_alert() {
    let mut p = Play::new();
    for name in ["upload.box.com", "content.dropboxapi.com", "pastebin.com", "hooks.slack.com", "transfer.sh"]
    {
        let flow = p.named("10.0.0.1", BOX, name);
        for _ in 0..200 {
            // A download of 50 GB sends its acknowledgements and requests.
            p.bytes(flow, 60_000, 250 * MB);
        }
        // The other way round: the outside opens, and sends.
        let pushed = p.named("198.51.100.7", "10.0.0.1", name);
        p.bytes(pushed, 50_000 * MB, 2 * MB);
    }
    p.finish();
    assert!(p.incidents.is_empty(), "{:?}", p.incidents);
}

#[test]
fn two_home_addresses_without_an_outside_name_never_alert() {
    let mut p = Play::new();
    for name in [None, Some("files.corp.example"), Some("www.wikipedia.org")] {
        let flow = p.flow("10.0.0.1", "192.168.1.2");
        if let Some(name) = name {
            p.name(flow, name, NameSource::Sni);
        }
        p.bytes(flow, 90_000 * MB, 0);
        p.close(flow);
    }
    p.finish();
    assert!(p.incidents.is_empty());
    // With one it is a proxy, or a private endpoint.
    let flow = p.flow("10.0.0.1", "10.0.0.5");
    p.name(flow, "upload.box.com", NameSource::Connect);
    p.bytes(flow, 5 * MB, 0);
    assert_eq!(p.alerts().len(), 1);
    // And what was told before the name came counts.
    let flow = p.flow("10.0.0.2", "10.0.0.5");
    p.bytes(flow, 5 * MB, 0);
    p.name(flow, "upload.box.com", NameSource::Connect);
    assert_eq!(p.alerts().len(), 2);
}

#[test]
fn neither_at_home_is_none_of_ours() {
    let mut p = Play::new();
    let flow = p.named("198.51.100.1", BOX, "upload.box.com");
    p.bytes(flow, 500 * MB, 0);
    assert!(p.incidents.is_empty());
}

#[test]
fn a_pulled_datastore_is_an_upload_of_the_host_that_was_asked() {
    let mut p = Play::new();
    // The outside opens the connection to home, and the bytes leave as the answer.
    let flow = p.flow("203.0.113.90", "10.0.0.12");
    p.name(flow, "upload.box.com", NameSource::HttpHost);
    p.bytes(flow, 10_000, 5 * MB);
    assert_eq!(p.alerts().len(), 1);
    let alert = &p.incidents[0];
    assert_eq!(alert.identity.host.as_ref().map(|h| h.ip.to_string()).as_deref(), Some("10.0.0.12"));
    assert_eq!((alert.up_bytes, alert.ends.originator), (5 * MB, flow.ends.originator));
    assert!(!alert.identity.originator_home);
}

#[test]
fn hosts_and_services_are_counted_apart() {
    let mut p = Play::new();
    for host in 1..=9 {
        let flow = p.named(&format!("10.0.0.{host}"), BOX, "upload.box.com");
        p.bytes(flow, 2 * MB, 0);
        let flow = p.named(&format!("10.0.0.{host}"), BOX, "content.dropboxapi.com");
        p.bytes(flow, 2 * MB, 0);
    }
    assert!(p.incidents.is_empty());
    let flow = p.named("10.0.0.4", BOX, "content.dropboxapi.com");
    p.bytes(flow, MB, 0);
    assert_eq!(p.alerts().len(), 1);
}

#[test]
fn one_alert_at_open_one_for_each_rise_and_a_final() {
    let mut p = Play::new();
    let flow = p.named("10.0.0.1", BOX, "upload.box.com");
    for _ in 0..200 {
        p.bytes(flow, MB, 0);
        p.now += 1;
    }
    p.wait(2 * HOUR);
    // Open at 3 MB, high from 33 times the level; 200 MB within minutes are no news beside that.
    assert_eq!(p.phases(), [(Phase::Open, true), (Phase::Update, true), (Phase::Final, false)]);
    let (open, rise, last) = (&p.incidents[0], &p.incidents[1], &p.incidents[2]);
    assert_eq!(
        [open.severity, rise.severity, last.severity],
        [Severity::Medium, Severity::High, Severity::High]
    );
    assert_eq!([open.up_bytes, rise.up_bytes, last.up_bytes], [3 * MB, 99 * MB, 200 * MB]);
    assert!(open.id == rise.id && rise.id == last.id);
    assert_eq!([open.seq, rise.seq, last.seq], [1, 2, 3]);
    assert_eq!(open.flow, flow.id);
    // The final repeats nothing.
    p.finish();
    assert_eq!(p.incidents.len(), 3);
}

#[test]
fn progress_is_told_at_most_hourly_and_at_four_times() {
    let mut p = Play::new();
    let flow = p.named("10.0.0.1", BOX, "upload.box.com");
    p.bytes(flow, 4 * MB, 0);
    // Ten MB in the first hour: four times is not yet reached, then the hour is not over.
    p.now += 600;
    p.bytes(flow, 11 * MB, 0);
    assert_eq!(p.incidents.len(), 1);
    p.bytes(flow, 2 * MB, 0);
    assert_eq!(p.incidents.len(), 1, "four times, but within the hour");
    for _ in 0..4 {
        p.now += 600;
        p.bytes(flow, 1, 0);
    }
    assert_eq!(p.incidents.len(), 1);
    p.now += 600;
    p.bytes(flow, 1, 0);
    assert_eq!(p.phases(), [(Phase::Open, true), (Phase::Update, false)]);
    assert_eq!(p.incidents[1].up_bytes, 17 * MB + 5);
}

#[test]
fn an_incident_ends_after_half_an_hour_of_silence_and_the_next_is_another() {
    let mut p = Play::new();
    let flow = p.named("10.0.0.1", BOX, "upload.box.com");
    p.bytes(flow, 4 * MB, 0);
    for _ in 0..30 {
        p.wait(60);
    }
    assert_eq!(p.incidents.len(), 1, "half an hour exactly");
    p.wait(60);
    assert_eq!(p.phases(), [(Phase::Open, true), (Phase::Final, false)]);
    // What the first one told does not open the next.
    p.bytes(flow, 2 * MB, 0);
    assert_eq!(p.incidents.len(), 2);
    p.bytes(flow, 2 * MB, 0);
    assert_eq!(p.incidents.len(), 3);
    assert_ne!(p.incidents[0].id, p.incidents[2].id);
    assert_eq!(p.incidents[2].up_bytes, 4 * MB);
    p.close(flow);
    assert!(p.flows.last().is_some_and(|f| f.alerted));
}

#[test]
fn a_flow_that_alerted_says_so_even_after_its_incident() {
    let mut p = Play::new();
    let (flow, other) =
        (p.named("10.0.0.1", BOX, "upload.box.com"), p.named("10.0.0.1", BOX, "upload.box.com"));
    p.bytes(other, 1_000, 5 * MB);
    p.bytes(flow, 4 * MB, 0);
    p.wait(HOUR);
    assert_eq!(p.incidents.len(), 2);
    p.close(flow);
    assert!(p.flows.last().is_some_and(|f| f.alerted));
    p.close(other);
    assert!(p.flows.last().is_some_and(|f| !f.alerted));
}

#[test]
fn the_same_tellings_give_the_same_ids() {
    let run = |start: i64| {
        let mut p = Play::new();
        p.now = start;
        for host in ["10.0.0.1", "10.0.0.2"] {
            let flow = p.named(host, BOX, "upload.box.com");
            p.bytes(flow, 4 * MB, 0);
        }
        p.finish();
        p.incidents.iter().map(|i| i.id.clone()).collect::<Vec<_>>()
    };
    assert_eq!(run(0), run(0));
    assert_ne!(run(0), run(1));
    let ids = run(0);
    assert_ne!(ids[0], ids[1]);
    assert_eq!([&ids[0], &ids[1]], [&ids[2], &ids[3]]);
}

#[test]
fn sanctioned_tenants_are_low_and_foreign_ones_are_not() {
    let mut catalogue = Catalogue::builtin();
    let s3 = catalogue.find("aws_s3");
    assert!(s3.is_some());
    catalogue.site_mut().add_tenants(false, s3, ["partner-*".to_owned()]);
    let mut p = Play::with(DetectConfig::default(), Arc::new(catalogue));
    let good = p.named("10.0.0.1", BOX, "partner-x.s3.eu-west-1.amazonaws.com");
    p.bytes(good, 900 * MB, 0);
    assert_eq!(p.phases(), [(Phase::Open, true)]);
    assert_eq!(p.incidents[0].severity, Severity::Low);
    // A lot to the sanctioned one does not lend its bytes to another, nor hide it.
    let bad = p.named("10.0.0.1", BOX, "somebody.s3.eu-west-1.amazonaws.com");
    p.bytes(bad, 2 * MB, 0);
    assert_eq!(p.incidents.len(), 1);
    p.bytes(bad, MB, 0);
    assert_eq!(p.alerts().len(), 1);
    assert_eq!(p.incidents[1].identity.class.as_ref().map(|c| c.sanction), Some("unsanctioned"));
}

#[test]
fn bytes_told_before_the_name_are_booked_when_it_comes() {
    let mut p = Play::new();
    let flow = p.flow("10.0.0.1", BOX);
    p.bytes(flow, 5 * MB, 1_000);
    assert!(p.incidents.is_empty());
    p.name(flow, "upload.box.com", NameSource::Certificate);
    assert_eq!(p.alerts().len(), 1);
    let alert = &p.incidents[0];
    assert_eq!((alert.up_bytes, alert.down_bytes, alert.flows_total), (5 * MB, 1_000, 1));
}

#[test]
fn a_better_name_moves_what_was_booked_under_the_first() {
    let mut p = Play::new();
    let (one, two) = (p.named("10.0.0.1", BOX, "upload.box.com"), p.named("10.0.0.1", BOX, "upload.box.com"));
    p.bytes(one, 2 * MB, 0);
    p.bytes(two, MB / 2, 0);
    p.name(one, "content.dropboxapi.com", NameSource::Connect);
    // What has gone to the other service does not count here any more.
    p.bytes(two, 2 * MB, 0);
    assert!(p.incidents.is_empty());
    p.bytes(one, MB, 0);
    assert_eq!(p.alerts().len(), 1);
    assert_eq!(p.incidents[0].identity.class.as_ref().map(|c| &*c.service), Some("dropbox"));
    assert_eq!(p.incidents[0].flows_total, 1);
    p.bytes(two, MB / 2, 0);
    assert_eq!(p.alerts().len(), 2);
    assert_eq!(p.incidents[1].flows_total, 1);
    assert_eq!(p.incidents[1].up_bytes, 3 * MB);
}

#[test]
fn a_name_that_changes_before_anything_was_sent_leaves_no_trace() {
    let mut p = Play::new();
    let (one, two) = (p.named("10.0.0.1", BOX, "upload.box.com"), p.named("10.0.0.1", BOX, "upload.box.com"));
    p.bytes(one, 100, 90_000);
    p.bytes(two, 2 * MB, 0);
    p.name(one, "content.dropboxapi.com", NameSource::Connect);
    p.bytes(two, MB, 0);
    assert_eq!(p.incidents[0].flows_total, 1);
    assert_eq!(p.incidents[0].down_bytes, 0);
}

/// The client was told by DNS: a name for flows that have none of their own, and only for that client.
#[test]
fn dns_names_what_says_nothing_itself() {
    let mut p = Play::new();
    let dns = p.flow("10.0.0.1", "10.0.0.53");
    let answer = DnsAnswer {
        flow: dns.id,
        ends: dns.ends,
        at: p.at(),
        id: 1,
        response: true,
        query: "upload.box.com".into(),
        qtype: 1,
        rcode: 0,
        addresses: vec![(BOX.parse().expect("address"), 60)],
        cnames: vec![],
        ech: false,
    };
    p.tell(Telling::Dns(Box::new(answer)));
    let other = p.flow("10.0.0.2", BOX);
    p.bytes(other, 50 * MB, 0);
    assert!(p.incidents.is_empty());
    let flow = p.flow("10.0.0.1", BOX);
    p.bytes(flow, 5 * MB, 0);
    assert_eq!(p.alerts().len(), 1);
    assert_eq!(p.incidents[0].identity.source, Some(NameSource::Dns));
    // What a flow says of itself is better.
    let flow = p.named("10.0.0.1", BOX, "www.wikipedia.org");
    p.bytes(flow, 50 * MB, 0);
    assert_eq!(p.alerts().len(), 1);
}

#[test]
fn only_monitored_services_alert_when_some_are_named() {
    let config = DetectConfig {
        monitored_services: vec!["dropbox".into(), "paste".into()],
        ..DetectConfig::default()
    };
    let mut p = Play::with(config, Arc::clone(&BUILTIN));
    for (name, alerts) in [("upload.box.com", 0), ("content.dropboxapi.com", 1), ("pastebin.com", 2)] {
        let flow = p.named("10.0.0.1", BOX, name);
        p.bytes(flow, 5 * MB, 0);
        assert_eq!(p.alerts().len(), alerts, "{name}");
    }
}

#[test]
fn a_window_of_another_length_forgets_at_its_length() {
    let config = DetectConfig { time_window: Span::from_secs(HOUR), ..DetectConfig::default() };
    let mut p = Play::with(config, Arc::clone(&BUILTIN));
    let flow = p.named("10.0.0.1", BOX, "upload.box.com");
    p.bytes(flow, 2 * MB, 0);
    p.now += HOUR + 200;
    p.bytes(flow, 2 * MB, 0);
    assert!(p.incidents.is_empty());
    p.now += 600;
    p.bytes(flow, MB, 0);
    assert_eq!(p.alerts().len(), 1);
}

#[test]
fn a_full_table_of_pairs_keeps_those_with_incidents() {
    let config = DetectConfig { max_pairs: 50, ..DetectConfig::default() };
    let mut p = Play::with(config, Arc::clone(&BUILTIN));
    let flow = p.named("10.0.0.1", BOX, "upload.box.com");
    p.bytes(flow, 4 * MB, 0);
    for host in 0..500u32 {
        let other = p.named(&format!("10.1.{}.{}", host / 250, host % 250 + 1), BOX, "upload.box.com");
        p.bytes(other, 1_000, 0);
        p.close(other);
        assert!(p.detector.counters().pairs <= 50);
    }
    assert_eq!(p.detector.counters().pairs_evicted, 451);
    p.finish();
    assert_eq!(p.phases(), [(Phase::Open, true), (Phase::Final, false)]);
}

#[test]
fn an_incident_without_a_name_ends_like_any_other() {
    let mut p = Play::new();
    // An address of Dropbox's own; nothing says a name.
    let flow = p.flow("10.0.0.1", "162.125.1.1");
    p.bytes(flow, 5 * MB, 0);
    p.wait(HOUR);
    assert_eq!(p.phases(), [(Phase::Open, true), (Phase::Final, false)]);
    assert_eq!(p.incidents[0].identity.source, Some(NameSource::Address));
    assert_eq!(p.incidents[0].id, p.incidents[1].id);
}

#[test]
fn an_allowed_upload_is_low_within_its_budget_and_loud_beyond() {
    let site = "schema = 1\n[[allow]]\nservice = \"dropbox\"\nhosts = [\"10.0.0.5\"]\nbudget = \"20 MB/24h\"\n\
                expires = 2027-01-31\nowner = \"it\"\nreason = \"move\"\n";
    let catalogue = with_site(site);
    let mut p = Play::with(DetectConfig::default(), Arc::clone(&catalogue));
    let allowed = p.named("10.0.0.5", "203.0.113.1", "content.dropboxapi.com");
    p.bytes(allowed, 10_000_000, 1_000);
    assert_eq!(p.incidents.iter().map(|i| i.severity).collect::<Vec<_>>(), [Severity::Low]);
    assert!(p.incidents[0].evidence.iter().any(|e| e.name == "allowed" && e.text.contains("within")));
    p.bytes(allowed, 15_000_000, 1_000);
    assert_eq!(p.incidents.last().map(|i| (i.severity, i.alert)), Some((Severity::Medium, true)));
    let other = p.named("10.0.0.6", "203.0.113.1", "content.dropboxapi.com");
    p.bytes(other, 10_000_000, 1_000);
    assert_eq!(p.incidents.last().map(|i| i.severity), Some(Severity::Medium), "another host is not allowed");
}

#[test]
fn a_sanction_calms_up_to_its_cap() {
    let site = "schema = 1\n[[sanction]]\nservice = \"dropbox\"\nhard_cap = \"20 MB/24h\"\n";
    let mut p = Play::with(DetectConfig::default(), with_site(site));
    let flow = p.named("10.0.0.5", "203.0.113.1", "content.dropboxapi.com");
    p.bytes(flow, 10_000_000, 1_000);
    p.bytes(flow, 15_000_000, 1_000);
    assert_eq!(p.incidents.iter().map(|i| i.severity).collect::<Vec<_>>(), [Severity::Low, Severity::Medium]);
}

/// The shipped catalogue with a site's file on top.
fn with_site(site: &str) -> Arc<Catalogue> {
    let folder = std::env::temp_dir().join(format!("egret-site-{}-{:p}", std::process::id(), site));
    std::fs::create_dir_all(&folder).expect("folder");
    let file = folder.join("site.toml");
    std::fs::write(&file, site).expect("site file");
    let loaded = Catalogue::load(None, Some(&file));
    std::fs::remove_dir_all(&folder).expect("removed");
    Arc::new(loaded.expect("no faults").0)
}
