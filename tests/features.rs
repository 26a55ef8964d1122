//! `docs/features.tsv`: every test, case and file that it names is there.

use std::collections::BTreeSet;
use std::path::Path;

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

#[test]
fn every_feature_is_shown_by_something_that_exists() {
    let table = std::fs::read_to_string(root().join("docs/features.tsv")).expect("table");
    let mut lines = table.lines();
    assert_eq!(lines.next(), Some("id\tstate\twhere\ttest"));
    let mut faults = Vec::new();
    let mut ids = BTreeSet::new();
    for line in lines {
        let fields: Vec<&str> = line.split('\t').collect();
        let &[id, state, place, shown] = fields.as_slice() else {
            faults.push(format!("{line}: not four fields"));
            continue;
        };
        if !ids.insert(id) {
            faults.push(format!("{id}: twice"));
        }
        if !matches!(state, "works" | "partly") {
            faults.push(format!("{id}: state {state}"));
        }
        let missing = shown.split("; ").chain([place]).filter(|what| !exists(what));
        faults.extend(missing.map(|what| format!("{id}: {what} is not there")));
    }
    assert!(ids.len() > 40, "{} features", ids.len());
    assert!(faults.is_empty(), "\n{}", faults.join("\n"));
}

/// `FILE::FUNCTION`, or a path.
fn exists(what: &str) -> bool {
    let Some((file, function)) = what.split_once("::") else { return root().join(what).exists() };
    let text = std::fs::read_to_string(root().join(file)).unwrap_or_default();
    text.lines().any(|line| line.trim_start().starts_with(&format!("fn {function}(")))
}

#[test]
fn what_is_not_there_is_found_out() {
    assert!(exists("tests/features.rs::exists") && exists("docs"));
    assert!(!exists("tests/features.rs::absent") && !exists("tests/absent.rs::exists") && !exists("absent"));
}
