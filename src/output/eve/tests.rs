//! What the EVE records look like, to the letter.

use super::super::file::{Outputs, kinds};
use super::super::samples;
use super::super::{IncidentRecord, Severity};
use super::*;
use proptest::prelude::*;
use serde_json::Value;

fn config() -> OutputConfig {
    OutputConfig {
        sensor: Some("probe1".into()),
        signatures_version: "2026-01".into(),
        ..OutputConfig::default()
    }
}

fn text_with(record: &Record, config: &OutputConfig) -> String {
    let (mut out, mut clock) = (Vec::new(), Clock::default());
    Json::line(&mut out, &mut clock, |j| fill(j, record, config));
    String::from_utf8(out).unwrap_or_default()
}

fn text(record: &Record) -> String {
    text_with(record, &config())
}

fn value(record: &Record) -> Value {
    serde_json::from_str(&text(record)).unwrap_or_else(|e| panic!("{e}: {}", text(record)))
}

/// Compares with the file of that name under `tests/golden/eve`; `WRITE_GOLDEN=1` writes it instead.
fn golden(name: &str, text: &str) {
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden").join(name);
    if std::env::var_os("WRITE_GOLDEN").is_some() {
        let _ = path.parent().map(std::fs::create_dir_all);
        assert!(std::fs::write(&path, text).is_ok());
    }
    let want = std::fs::read_to_string(&path).unwrap_or_default();
    assert_eq!(text, want, "{name} differs; WRITE_GOLDEN=1 cargo test writes it anew");
}

#[test]
fn every_kind_as_written() {
    let lines: String = samples::all().iter().map(|r| text(r) + "\n").collect();
    golden("eve/records.json", &lines);
}

#[test]
fn a_bare_flow_has_nothing_unknown_in_it() {
    let mut summary = samples::summary();
    (summary.facts, summary.path, summary.app_followed) = (None, Path::default(), None);
    let record = FlowRecordOf(summary).into_record();
    let v = value(&record);
    for absent in ["/vlan", "/app_proto", "/egret/name", "/egret/host", "/egret/app_basis", "/egret/ech"] {
        assert!(v.pointer(absent).is_none(), "{absent} in {v}");
    }
    assert!(!text(&record).contains("null"));
}

struct FlowRecordOf(crate::observe::FlowSummary);

impl FlowRecordOf {
    fn into_record(self) -> Record {
        let identity = Identity::default();
        Record::Flow(Box::new(super::super::FlowRecord {
            summary: Box::new(self.0),
            identity,
            alerted: false,
        }))
    }
}

#[test]
fn age_and_state_have_suricatas_meaning() {
    let mut summary = samples::summary();
    // 0.2 s that cross a second's border are one second old for Suricata.
    summary.first = Timestamp::from_nanos(999_900_000);
    summary.last = Timestamp::from_nanos(1_100_000_000);
    assert_eq!(value(&FlowRecordOf(summary.clone()).into_record())["flow"]["age"], 1);
    summary.last = Timestamp::MIN;
    assert_eq!(value(&FlowRecordOf(summary).into_record())["flow"]["age"], 0);
}

#[test]
fn low_severity_stays_out_of_the_alerts() {
    let low = |alert| {
        Record::Incident(Box::new(IncidentRecord { severity: Severity::Low, alert, ..samples::incident() }))
    };
    let loud = OutputConfig { low_as_alert: true, ..config() };
    assert!(text(&low(true)).contains(r#""event_type":"incident""#));
    assert!(text_with(&low(true), &loud).contains(r#""severity":3"#));
    assert!(text_with(&low(false), &loud).contains(r#""event_type":"incident""#));
}

#[test]
fn critical_says_so_in_the_signature() {
    let record = IncidentRecord { severity: Severity::Critical, ..samples::incident() };
    let v = value(&Record::Incident(Box::new(record)));
    assert_eq!(v["alert"]["signature"], "[critical] Upload to Dropbox (cloud storage) above 3 MB");
    assert_eq!(v["alert"]["severity"], 1);
}

#[test]
fn own_types_have_their_own_file() -> io::Result<()> {
    let dir = std::env::temp_dir().join(format!("egret-eve-{}", std::process::id()));
    let write = |own_types_in_eve| -> io::Result<(String, Option<String>)> {
        let kinds = kinds("eve").map_err(io::Error::other)?;
        let config = OutputConfig { dir: dir.clone(), kinds, own_types_in_eve, ..config() };
        let mut outputs = Outputs::new(&config)?;
        for record in &samples::all() {
            outputs.write(record);
        }
        assert_eq!(outputs.counters(), (10, 0));
        outputs.finish()?;
        let own = std::fs::read_to_string(dir.join("egret.json")).ok();
        Ok((std::fs::read_to_string(dir.join("eve.json"))?, own))
    };
    let (eve, own) = write(false)?;
    assert_eq!((eve.lines().count(), own.map(|o| o.lines().count())), (7, Some(3)));
    assert!(!eve.contains("flow_update") && !eve.contains(r#""event_type":"incident""#));
    let (eve, own) = write(true)?;
    assert_eq!((eve.lines().count(), own), (10, None));
    std::fs::remove_dir_all(dir)
}

proptest! {
    #[test]
    fn whatever_a_peer_calls_itself_the_line_is_json(name: String, nanos: i64, long in 0usize..40_000) {
        let mut facts = samples::tls_facts();
        let hostile = name.repeat(1 + long / name.len().max(1));
        if let Some(tls) = &mut facts.tls {
            tls.sni = Some(hostile.clone().into());
            tls.client_alpns = vec![name.clone().into()];
        }
        let record = Record::Facts(Box::new(super::super::FactsRecord {
            flow: FlowId(1),
            ends: samples::ends(),
            at: Timestamp::from_nanos(nanos),
            facts: Arc::new(facts),
            identity: Identity { name: Some(name.as_str().into()), confidence: f32::NAN, ..Identity::default() },
            path: Path { vlans: 9, ..Path::default() },
        }));
        prop_assert!(!text(&record).contains('\n'));
        let v = value(&record);
        prop_assert_eq!(v["tls"]["sni"].as_str(), Some(hostile.as_str()));
        prop_assert_eq!(v["egret"]["name"].as_str(), Some(name.as_str()));
        prop_assert_eq!(v["vlan"].as_array().map(Vec::len), Some(3));
    }
}
