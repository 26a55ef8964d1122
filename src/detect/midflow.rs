//! Uploads as packets tell them: when the alert comes, while the data is still leaving.
//!
//! A small network lives for three weeks; then something is carried out of it, a mebibyte a telling.

use super::Detector;
use crate::config::{DetectConfig, Hosts, SiteFacts};
use crate::decode::{Path, Transport};
use crate::detect::roster::Assets;
use crate::observe::{Ends, FlowDelta, FlowId, Place, Telling, Told, Uploads};
use crate::output::{IncidentRecord, Phase, Record, Severity};
use crate::parse::{AppProto, Facts, NameSource, TlsFacts};
use crate::signatures::Catalogue;
use crate::units::{Both, Timestamp};
use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::{Arc, OnceLock};

const DAY: i64 = 86_400;
const MB: u64 = 1_000_000;
const HOSTS: u8 = 60;
const HYPERVISOR: u8 = 200;
const MEGA: &str = "gfs270n100.userstorage.mega.co.nz";
const DROPBOX: &str = "content.dropboxapi.com";

/// The catalogue with [`ALLOW`], read once for all tests.
fn catalogue() -> Arc<Catalogue> {
    static READ: OnceLock<Arc<Catalogue>> = OnceLock::new();
    let read = || {
        let path = std::env::temp_dir().join(format!("egret-midflow-{}.toml", std::process::id()));
        std::fs::write(&path, ALLOW).expect("a temporary file");
        let (catalogue, _) = Catalogue::load(None, Some(&path)).expect("a good site file");
        std::fs::remove_file(&path).expect("is there");
        Arc::new(catalogue)
    };
    Arc::clone(READ.get_or_init(read))
}

struct Site {
    detector: Detector,
    flows: u64,
    records: Vec<IncidentRecord>,
}

/// A number in 0..n from a counter: chance that repeats.
fn chance(seed: u64, n: u64) -> u64 {
    let x = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ 0x5851_f42d;
    let x = (x ^ (x >> 29)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    (x ^ (x >> 32)) % n
}

fn home(host: u8) -> IpAddr {
    Ipv4Addr::new(10, 0, 0, host).into()
}

/// Group `design` may send to Mega, 500 MB a day, until the end of February 1970.
const ALLOW: &str = r#"schema = 1
[[allow]]
service = "mega"
groups = ["design"]
budget = "500 MB/24h"
expires = 1970-02-28
owner = "it@example.org"
reason = "move of the archive, ticket 4711"
"#;

impl Site {
    fn new() -> Self {
        let hypervisors = "10.0.0.200/32".parse().expect("network");
        let esxi_hosts = Hosts { nets: [hypervisors].into_iter().collect(), ..Hosts::default() };
        let group = Hosts {
            nets: ["10.0.0.3/32".parse().expect("network")].into_iter().collect(),
            ..Hosts::default()
        };
        let host_groups = [("design".to_owned(), group)].into_iter().collect();
        let facts = SiteFacts { esxi_hosts, host_groups, ..SiteFacts::default() };
        let detector = Detector::new(DetectConfig::default(), "test", 1, None, catalogue())
            .with_site(facts, Assets::default());
        Self { detector, flows: 0, records: Vec::new() }
    }

    fn tell(&mut self, secs: i64, what: Telling) {
        let place = Place { ordinal: 0, flow_ordinal: 0, turn: 0 };
        self.detector.observe(Told { place, now: Timestamp::new(secs, 0), what });
        for record in self.detector.take_records() {
            if let Record::Incident(incident) = record {
                self.records.push(*incident);
            }
        }
    }

    /// A connection says where it goes.
    fn open(&mut self, secs: i64, host: u8, name: &str) -> (FlowId, Ends) {
        self.flows += 1;
        let flow = FlowId(self.flows);
        let far = 1 + chance(name.len() as u64 * 31 + u64::from(name.as_bytes()[0]), 200) as u8;
        let ends = Ends {
            originator: home(host),
            responder: Ipv4Addr::new(203, 0, 113, far).into(),
            originator_port: 50_000,
            responder_port: 443,
            transport: Transport::Tcp,
        };
        let tls = TlsFacts { sni: Some(name.into()), ..TlsFacts::default() };
        let facts = Arc::new(Facts {
            app: AppProto::Tls,
            name: Some((name.into(), NameSource::Sni)),
            tls: Some(Box::new(tls)),
            ..Facts::default()
        });
        let at = Timestamp::new(secs, 0);
        let path = Path::default();
        self.tell(secs, Telling::Named { flow, ends, at, facts, complete: false, path });
        (flow, ends)
    }

    fn moves(&mut self, secs: i64, (flow, ends): (FlowId, Ends), up: u64, down: u64) {
        let at = Timestamp::new(secs, 0);
        let delta = FlowDelta {
            flow,
            ends,
            first: at,
            last: at,
            bytes: Both { up, down },
            gap: Both { up: 0, down: 0 },
            closed: false,
            midstream: false,
            one_way: false,
            uploads: Uploads::default(),
        };
        self.tell(secs, Telling::Delta(delta));
    }

    fn send(&mut self, secs: i64, host: u8, name: &str, up: u64, down: u64) {
        let flow = self.open(secs, host, name);
        self.moves(secs, flow, up, down);
    }

    /// Working days: mail and the web for all, a drive for a third.
    fn live(&mut self, days: std::ops::Range<i64>) {
        for day in days {
            for (hour, host) in (8..18).flat_map(|hour| (1..=HOSTS).map(move |host| (hour, host))) {
                let seed = (day as u64 * 24 + hour as u64) * 1_000 + u64::from(host);
                let secs = day * DAY + hour * 3_600 + i64::from(host) * 50;
                self.send(secs, host, "outlook.office365.com", 50_000 + chance(seed, 100_000), 200_000);
                self.send(secs + 5, host, "www.example.org", 20_000 + chance(seed + 1, 50_000), 900_000);
                if host % 3 == 1 && chance(seed + 2, 3) == 0 {
                    self.send(secs + 9, host, DROPBOX, MB + chance(seed + 3, 5 * MB), 4 * MB);
                }
            }
        }
    }

    fn lived() -> Self {
        let mut site = Self::new();
        site.live(0..21);
        assert!(site.alerts_of_days(2..21).is_empty(), "{:?}", site.alerts_of_days(2..21));
        site.records.clear();
        site
    }

    fn alerts_of_days(&self, days: std::ops::Range<i64>) -> Vec<&str> {
        let wanted = |r: &&IncidentRecord| r.alert && r.severity > Severity::Low;
        let within = |r: &&IncidentRecord| days.contains(&(r.at.secs() / DAY));
        self.records.iter().filter(wanted).filter(within).map(|r| r.text.as_str()).collect()
    }

    /// Carries `total` bytes out in tellings of a mebibyte; bytes that had left when the first alert came.
    fn carry_out(&mut self, secs: i64, host: u8, name: &str, total: u64) -> Option<u64> {
        let flow = self.open(secs, host, name);
        let mut out = 0;
        while out < total {
            out += 1 << 20;
            self.moves(secs + (out / (10 * MB)) as i64, flow, 1 << 20, 6_000);
            if self.records.iter().any(|r| r.alert && r.severity > Severity::Low) {
                return Some(out);
            }
        }
        None
    }
}

#[test]
fn smash_and_grab_is_seen_in_its_first_hundredth_parts() {
    for total in [2_000 * MB, 10_000 * MB] {
        let mut site = Site::lived();
        let out = site.carry_out(21 * DAY + 40_000, 7, MEGA, total).expect("an alert");
        assert!(out <= (total / 50).max(100 * MB), "{out} of {total}");
        assert_eq!(site.records[0].phase, Phase::Open);
        assert_eq!(site.records[0].identity.class.as_ref().expect("known").service.as_ref(), "mega");
    }
}

#[test]
fn a_hypervisor_is_seen_before_64_megabytes_on_the_first_day_and_later() {
    for mut site in [Site::new(), Site::lived()] {
        let secs = 21 * DAY + 7_000;
        let flow = site.open(secs, HYPERVISOR, MEGA);
        let mut out = 0;
        let found = |r: &IncidentRecord| r.alert && r.analytic == "hypervisor_upload";
        while out < 200 * MB && !site.records.iter().any(found) {
            out += 1 << 20;
            site.moves(secs + (out / (10 * MB)) as i64, flow, 1 << 20, 6_000);
        }
        assert!(out < 64 * MB, "{out}");
        let record = site.records.iter().find(|r| found(r)).expect("an alert");
        assert!(record.severity >= Severity::High);
        let ids: BTreeSet<&str> = site.records.iter().map(|r| r.id.as_str()).collect();
        assert_eq!(ids.len(), 1, "volume and rule tell of one incident");
    }
}

#[test]
fn a_datastore_pulled_over_the_web_port_counts_as_sent() {
    let mut site = Site::lived();
    let secs = 21 * DAY + 7_000;
    site.flows += 1;
    let ends = Ends {
        originator: home(9),
        responder: home(HYPERVISOR),
        originator_port: 50_000,
        responder_port: 443,
        transport: Transport::Tcp,
    };
    for step in 0..60 {
        site.moves(secs + step, (FlowId(9_999_999), ends), 2_000, 1 << 20);
    }
    let record = site.records.iter().find(|r| r.alert).expect("an alert");
    assert_eq!(record.analytic, "hypervisor_upload");
    assert_eq!(record.identity.host.as_ref().map(|h| h.ip), Some(home(HYPERVISOR)));
    assert_eq!(record.identity.name.as_deref(), Some("10.0.0.9"));
}

#[test]
fn several_services_of_one_host_are_one_incident() {
    let mut site = Site::lived();
    let services = [MEGA, "api.pcloud.com", DROPBOX, "store1.gofile.io", "upload.wetransfer.com"];
    for (i, name) in services.iter().enumerate() {
        let secs = 21 * DAY + 40_000 + i as i64 * 900;
        let flow = site.open(secs, 9, name);
        for step in 0..400 {
            site.moves(secs + step, flow, 1 << 20, 6_000);
        }
    }
    let ids: BTreeSet<&str> = site.records.iter().map(|r| r.id.as_str()).collect();
    assert_eq!(ids.len(), 1, "{ids:?}");
    let last = site.records.last().expect("records");
    assert!(last.destinations.len() >= 3, "{:?}", last.destinations);
    assert!(last.up_bytes >= 900 * MB, "{}", last.up_bytes);
    let numbers: Vec<u32> = site.records.iter().map(|r| r.seq).collect();
    assert!(numbers.windows(2).all(|w| w[1] == w[0] + 1), "{numbers:?}");
    let alerts = site.records.iter().filter(|r| r.alert).count();
    assert!(alerts <= 3, "one, and one for each rise: {alerts}");
}

#[test]
fn several_hosts_to_one_new_bucket_are_one_incident() {
    let mut site = Site::lived();
    for host in 1..=8 {
        let secs = 21 * DAY + 40_000 + i64::from(host) * 600;
        let flow = site.open(secs, host, "drop-77a1.s3.eu-west-1.amazonaws.com");
        for step in 0..300 {
            site.moves(secs + step, flow, 1 << 20, 6_000);
        }
    }
    let ids: BTreeSet<&str> = site.records.iter().map(|r| r.id.as_str()).collect();
    assert_eq!(ids.len(), 1, "{ids:?}");
    let hosts: BTreeSet<IpAddr> =
        site.records.iter().filter_map(|r| r.identity.host.as_ref()).map(|h| h.ip).collect();
    assert!(hosts.len() >= 5, "each host is told of: {hosts:?}");
}

#[test]
fn what_is_allowed_is_calm_within_its_budget_and_no_further() {
    let mut site = Site::lived();
    let out = site.carry_out(21 * DAY + 40_000, 3, MEGA, 3_000 * MB).expect("an alert");
    assert!((500 * MB..600 * MB).contains(&out), "{out}");
    // Another host, and another service, are not what was allowed.
    let mut site = Site::lived();
    assert!(site.carry_out(21 * DAY + 40_000, 5, MEGA, 2_000 * MB).expect("an alert") <= 100 * MB);
    let mut site = Site::lived();
    assert!(
        site.carry_out(21 * DAY + 40_000, 3, "store1.gofile.io", 2_000 * MB).expect("an alert") <= 100 * MB
    );
    // An entry that has ended calms nothing.
    let mut site = Site::lived();
    site.live(21..60);
    site.records.clear();
    assert!(site.carry_out(60 * DAY + 40_000, 3, MEGA, 2_000 * MB).expect("an alert") <= 100 * MB);
}

#[test]
fn a_poisoned_past_silences_no_rule() {
    let mut site = Site::new();
    for day in 0..21 {
        site.live(day..day + 1);
        let flow = site.open(day * DAY + 70_000, 7, MEGA);
        for step in 0..200 {
            site.moves(day * DAY + 70_000 + step, flow, 10 << 20, 6_000);
        }
    }
    site.records.clear();
    // The incident of the day before is still open: its end is waited for.
    site.live(21..24);
    site.records.clear();
    let out = site.carry_out(24 * DAY + 70_000, 7, MEGA, 3_000 * MB).expect("an alert");
    assert!(out <= (1 << 30) + (1 << 20), "{out}");
}
