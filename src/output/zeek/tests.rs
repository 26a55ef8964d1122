//! What the Zeek logs look like, to the letter, and whether they can be read back.

use super::super::file::{Outputs, kinds};
use super::super::samples;
use super::super::{FlowRecord, Identity};
use super::*;
use proptest::prelude::*;
use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};

fn dir(name: &str) -> PathBuf {
    std::env::temp_dir().join(format!("egret-zeek-{name}-{}", std::process::id()))
}

/// Writes the records and gives back each log's text, by path.
fn logs(kind: &str, dir: &Path, records: &[Record]) -> io::Result<BTreeMap<String, String>> {
    let kinds = kinds(kind).map_err(io::Error::other)?;
    let config = OutputConfig {
        dir: dir.to_path_buf(),
        kinds,
        sensor: Some("probe1".into()),
        ..OutputConfig::default()
    };
    let mut outputs = Outputs::new(&config)?;
    for record in records {
        outputs.write(record);
    }
    let mut texts = BTreeMap::new();
    for path in outputs.finish()? {
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        texts.insert(name, std::fs::read_to_string(path)?);
    }
    std::fs::remove_dir_all(dir)?;
    Ok(texts)
}

fn golden(kind: &str) -> io::Result<()> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden").join(kind);
    let got = logs(kind, &dir(kind), &samples::all())?;
    assert_eq!(got.len(), LOGS.len() - 1, "open_http needs an open HTTP flow, all others have a record");
    for (name, text) in got {
        if std::env::var_os("WRITE_GOLDEN").is_some() {
            std::fs::create_dir_all(&folder)?;
            std::fs::write(folder.join(&name), &text)?;
        }
        let want = std::fs::read_to_string(folder.join(&name)).unwrap_or_default();
        assert_eq!(text, want, "{kind}/{name} differs; WRITE_GOLDEN=1 cargo test writes it anew");
    }
    Ok(())
}

#[test]
fn every_log_as_written_with_tabs() -> io::Result<()> {
    golden("zeek-tsv")
}

#[test]
fn every_log_as_written_in_json() -> io::Result<()> {
    golden("zeek-json")
}

#[test]
fn every_row_fills_its_columns_with_values_of_their_types() -> io::Result<()> {
    for text in logs("zeek-tsv", &dir("types"), &samples::all())?.values() {
        let types: Vec<&str> =
            text.lines().find_map(|l| l.strip_prefix("#types\t")).unwrap_or("").split('\t').collect();
        for line in text.lines().filter(|l| !l.starts_with('#')) {
            let cells: Vec<&str> = line.split('\t').collect();
            assert_eq!(cells.len(), types.len(), "{line}");
            for (cell, kind) in cells.iter().zip(&types).filter(|(c, _)| **c != "-") {
                let fits = match *kind {
                    "time" | "interval" | "double" => cell.parse::<f64>().is_ok(),
                    "count" => cell.parse::<u64>().is_ok(),
                    "port" => cell.parse::<u16>().is_ok(),
                    "addr" => cell.parse::<std::net::IpAddr>().is_ok(),
                    "bool" => matches!(*cell, "T" | "F"),
                    _ => true,
                };
                assert!(fits, "{cell} is no {kind} in {line}");
            }
        }
    }
    Ok(())
}

#[test]
fn json_and_tabs_say_the_same() -> io::Result<()> {
    let tabs = logs("zeek-tsv", &dir("same-t"), &samples::all())?;
    let json = logs("zeek-json", &dir("same-j"), &samples::all())?;
    for (name, text) in tabs {
        let fields: Vec<&str> =
            text.lines().find_map(|l| l.strip_prefix("#fields\t")).unwrap_or("").split('\t').collect();
        let rows = text.lines().filter(|l| !l.starts_with('#'));
        for (row, object) in rows.zip(json[&name].lines()) {
            let object: serde_json::Value = serde_json::from_str(object)?;
            for (field, cell) in fields.iter().zip(row.split('\t')) {
                assert_eq!(object.get(*field).is_some(), cell != "-", "{name} {field}");
            }
        }
    }
    Ok(())
}

#[test]
fn open_http_and_hostile_text() -> io::Result<()> {
    let Record::Flow(mut open) = samples::flow_update() else { return Ok(()) };
    let mut facts = samples::http_facts();
    if let Some(http) = &mut facts.http {
        (http.url, http.host, http.method) = ("/a\tb\nc\\d\u{e9}".into(), "-".into(), "".into());
        http.user_agent = Some("(empty)".into());
    }
    open.summary.facts = Some(Arc::new(facts));
    let texts = logs("zeek-tsv", &dir("hostile"), &[Record::Flow(open)])?;
    let row = texts["open_http.log"].lines().find(|l| !l.starts_with('#')).unwrap_or_default();
    let cells: Vec<&str> = row.split('\t').collect();
    assert_eq!(cells[7..10], ["(empty)", "\\x2d", "/a\\x09b\\x0ac\\x5cd\\xc3\\xa9"]);
    assert_eq!((cells[12], cells[23]), ("\\x28empty)", "X-FORWARDED-FOR -> 192.0.2.7"));
    Ok(())
}

#[test]
fn a_list_escapes_its_commas() {
    let columns: &[(&str, &str)] =
        &[("a", "vector[string]"), ("b", "vector[string]"), ("c", "vector[interval]")];
    let mut out = Vec::new();
    Row::fill(Form::Tsv, columns, &mut out, |row| {
        row.list(["x,y", "", "-"]);
        row.list([]);
    });
    assert_eq!(String::from_utf8_lossy(&out), "x\\x2cy,(empty),\\x2d\t(empty)\t-");
}

proptest! {
    #[test]
    fn no_text_and_no_time_breaks_a_line(text: String, first: i64, last: i64) {
        let mut summary = samples::summary();
        (summary.first, summary.last) = (Timestamp::from_nanos(first), Timestamp::from_nanos(last));
        let flow = FlowRecord { summary: Box::new(summary), identity: Identity::default(), alerted: false };
        let mut facts = samples::tls_facts();
        if let Some(tls) = &mut facts.tls {
            tls.sni = Some(text.into());
        }
        let records = [Record::Flow(Box::new(flow)), samples::facts(facts)];
        for (name, text) in logs("zeek-tsv", &dir("prop"), &records)? {
            prop_assert!(text.is_ascii(), "{}", name);
            prop_assert_eq!(text.lines().filter(|l| !l.starts_with('#')).count(), 1);
            prop_assert_eq!(text.lines().count(), 10);
        }
    }
}
