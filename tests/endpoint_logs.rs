//! Real logs of every format: what parses, and why what does not, does not. Skips what is not on this machine.

use egret::endpoint::{Reason, Tally, read_file};
use std::path::{Path, PathBuf};

/// A file of the shared logs, where they are.
fn shared(name: &str) -> Option<PathBuf> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared").join(name);
    path.exists().then_some(path)
}

/// Reads a file to its end.
fn read(path: &Path, format: Option<&str>) -> Tally {
    let mut file = read_file(path, format).expect("opens");
    let events = file.by_ref().count() as u64;
    assert!(file.error.is_none(), "{}: {:?}", path.display(), file.error);
    assert_eq!(events, file.tally().events);
    file.tally().clone()
}

/// Samples: file, records, events at least, bad records at most.
const SAMPLES: &[(&str, u64, u64, u64)] = &[
    ("sysmon-otrf-flat.jsonl", 10, 9, 0),
    ("sysmon-azure-windowsevent.jsonl", 2, 2, 0),
    // Two of its lines were cut when the sample was made, and one is a remark.
    ("sysmon-linux-xml.log", 6, 4, 1),
    ("sysmon-linux-startup-trap.log", 2, 2, 0),
    ("sysmon-evtxdump.jsonl", 4, 4, 0),
    ("sysmon-evtx.xml", 1, 1, 0),
    ("winlogbeat-ecs-sysmon3.json", 1, 1, 0),
    ("winlogbeat-raw-sysmon22.json", 1, 1, 0),
    ("elastic-endpoint-network.json", 1, 1, 0),
    ("elastic-endpoint-file.json", 1, 1, 0),
];

#[test]
fn samples_of_every_format() {
    let Some(folder) = shared("endpoint-samples") else {
        eprintln!("skipped: the samples are not on this machine");
        return;
    };
    let mut said = Vec::new();
    for (name, records, events, bad) in SAMPLES {
        let tally = read(&folder.join(name), None);
        if tally.records != *records || tally.events < *events || tally.bad() > *bad {
            said.push(format!("{name}: {tally:?}"));
        }
    }
    assert!(said.is_empty(), "{}", said.join("\n"));
}

#[test]
fn a_name_that_is_none_says_which_there_are() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("Cargo.toml");
    let said = read_file(&path, Some("sysmo")).expect_err("no such format").to_string();
    assert!(said.contains("did you mean sysmon?") && said.contains("ecs"), "{said}");
    let tally = read(&path, Some("ecs"));
    assert_eq!(tally.events, 0);
    assert!(tally.without.contains_key(&Reason::OtherFormat), "{tally:?}");
}
