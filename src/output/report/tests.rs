//! What people read at the end of a run.

use super::super::{UploadLine, samples};
use super::*;
use crate::units::Both;
use proptest::prelude::*;

fn summary() -> RunSummary {
    let line = |host: [u8; 4], what: &str, category, up, down, flows| UploadLine {
        host: host.into(),
        what: what.into(),
        category,
        bytes: Both { up, down },
        flows,
    };
    let low = IncidentRecord { severity: Severity::Low, ..samples::incident() };
    let mut stats = samples::stats();
    (stats.detect.shared_front, stats.detect.hidden_dns) = (2, 1_310);
    RunSummary {
        endpoint: None,
        stats,
        span: Some((Timestamp::from_nanos(samples::at().nanos() - 62_000_000_000), samples::at())),
        uploads: vec![
            line([10, 1, 2, 3], "Dropbox", Some("cloud_storage"), 312_000_000, 1_200_000, 3),
            line([10, 1, 2, 30], "updates.example", None, 12_000, 94_000_000, 1_250),
        ],
        incidents: vec![low, samples::incident()],
        home_bytes: Both { up: 312_012_000, down: 95_200_000 },
        flows_by_side: (4, 1, 0),
        outside_prefixes: vec![],
        learned_home: vec!["2001:db8:7::/48".into()],
        wall_secs: 0.25,
        files: vec!["egret-out/eve.json".into(), "egret-out/egret.json".into()],
        faults: vec!["a.pcap: byte 1234: record of 4 GB; the rest of the file was left out".into()],
        remarks: vec![],
    }
}

#[test]
fn as_written() -> std::io::Result<()> {
    let got = text(&summary(), false) + "\n" + &json(&summary()) + "\n";
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/summary.txt");
    if std::env::var_os("WRITE_GOLDEN").is_some() {
        std::fs::write(&path, &got)?;
    }
    assert_eq!(got, std::fs::read_to_string(path)?, "WRITE_GOLDEN=1 cargo test writes it anew");
    Ok(())
}

#[test]
fn colour_changes_nothing_but_colour() {
    let coloured = text(&summary(), true);
    assert!(coloured.contains("\x1b[1;31mHIGH"));
    let mut plain = coloured;
    for code in ["\x1b[1;31m", "\x1b[1;33m", "\x1b[1m", "\x1b[0m"] {
        plain = plain.replace(code, "");
    }
    assert_eq!(plain, text(&summary(), false));
}

#[test]
fn says_so_when_nothing_touches_home() {
    let lost = RunSummary { flows_by_side: (0, 0, 7), learned_home: vec![], incidents: vec![], ..summary() };
    let page = text(&lost, false);
    assert!(page.starts_with("No findings.\n"), "{page}");
    assert!(page.contains("Nothing here touches the home network") && page.contains("--home-net"), "{page}");
    assert!(!text(&summary(), false).contains("touches"));
    assert!(text(&RunSummary::default(), false).starts_with("No packets in the input.\n"));
}

#[test]
fn the_gravest_comes_first() {
    let of = |severity, up_bytes, id: &str| IncidentRecord {
        severity,
        up_bytes,
        id: id.into(),
        ..samples::incident()
    };
    let incidents = vec![
        of(Severity::Medium, 9, "b"),
        of(Severity::Critical, 1, "c"),
        of(Severity::Medium, 99, "d"),
        of(Severity::Medium, 9, "a"),
    ];
    let many = RunSummary { incidents, ..summary() };
    let ids: Vec<_> = alerts(&many).iter().map(|r| r.id.clone()).collect();
    assert_eq!(ids, ["c", "d", "a", "b"]);
}

#[test]
fn numbers_and_folding() {
    assert_eq!(
        (grouped(0), grouped(999), grouped(1_234_567)),
        ("0".into(), "999".into(), "1,234,567".into())
    );
    assert_eq!(folded("aa bbb c", 4), ["aa", "bbb", "c"]);
    assert_eq!(folded("abcdefghij k", 4), ["abcd", "efgh", "ij k"]);
    assert!(folded("  ", 4).is_empty());
    assert_eq!(shortened("abcdef", 4), "abc~");
}

proptest! {
    #[test]
    fn no_name_steers_the_terminal_or_breaks_the_table(name: String, n: u64, secs: f64) {
        let mut hostile = summary();
        hostile.uploads[0].what = name.repeat(9);
        hostile.uploads[0].bytes.up = n;
        hostile.uploads[1].host = std::net::IpAddr::from(u128::MAX.to_be_bytes());
        hostile.incidents[1].identity.name = Some(name.as_str().into());
        hostile.incidents[1].identity.class = None;
        hostile.wall_secs = secs;
        let page = text(&hostile, false);
        prop_assert!(!page.chars().any(|c| c.is_control() && c != '\n'));
        for line in page.lines() {
            prop_assert!(line.chars().count() <= WIDTH, "{}", line);
        }
        let value: serde_json::Value = serde_json::from_str(&json(&hostile))?;
        prop_assert_eq!(value["findings"][0]["name"].as_str(), Some(name.as_str()));
    }
}
