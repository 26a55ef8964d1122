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

/// Samples: file, records, events at least, bad records at most. Web services' logs are refused by name.
const SAMPLES: &[(&str, u64, u64, u64)] = &[
    ("auditd-auoms-syslog.log", 1, 0, 0),
    ("auditd-connect.log", 6, 2, 0),
    ("auditd-execve.log", 6, 1, 0),
    ("azure-vmconnection.jsonl", 1, 1, 0),
    ("carbonblack-cloud-event-forwarder.jsonl", 2, 2, 0),
    ("crowdstrike-fdr-panther.jsonl", 1, 1, 0),
    ("crowdstrike-fdr.jsonl", 9, 9, 0),
    ("defender-eventhub.jsonl", 4, 5, 0),
    ("elastic-endpoint-file.json", 1, 1, 0),
    ("elastic-endpoint-network.json", 1, 1, 0),
    ("eslogger-deleteextattr-minimal.json", 1, 1, 0),
    ("esxcli-network-ip-connection-list.txt", 8, 4, 0),
    ("esxi-syslog.log", 4, 1, 0),
    ("go-audit.jsonl", 1, 0, 0),
    ("jamf-AUE_CONNECT.json", 1, 1, 0),
    ("jamf-AUE_EXECVE.json", 1, 1, 0),
    ("jamf-telemetry-es-exec.json", 1, 1, 0),
    ("laurel-execve.jsonl", 2, 1, 0),
    ("osquery-events.jsonl", 2, 2, 0),
    // Messages without the envelope that has the time.
    ("santa-exec-close.json", 2, 0, 1),
    ("sentinelone-cloudfunnel.jsonl", 3, 3, 0),
    ("sysmon-azure-windowsevent.jsonl", 2, 2, 0),
    ("sysmon-evtx.xml", 1, 1, 0),
    ("sysmon-evtxdump.jsonl", 4, 4, 0),
    ("sysmon-linux-startup-trap.log", 2, 2, 0),
    // One was cut by syslog behind all that matters.
    ("sysmon-linux-xml.log", 5, 5, 0),
    ("sysmon-otrf-flat.jsonl", 10, 9, 0),
    ("tetragon-legacy-process_connect.jsonl", 4, 4, 0),
    ("tracee-net.jsonl", 2, 1, 0),
    ("windows-dhcp-server.csv", 4, 2, 0),
    ("winlogbeat-ecs-sysmon3.json", 1, 1, 0),
    ("winlogbeat-raw-sysmon22.json", 1, 1, 0),
    ("winsecurity-otrf-flat.jsonl", 3, 2, 0),
];

/// Real logs: file, and the least share of its records, in percent, that is an event or known not to be one.
const LOGS: &[(&str, u64)] = &[
    ("data/pairs/lsass-02-windows/windows-events.jsonl", 100),
    ("data/pairs/log4shell-linux/auoms-auditd.syslog.jsonl", 100),
    ("data/pairs/log4shell-linux/sysmon-for-linux.syslog.jsonl", 100),
    ("data/pairs/log4shell-linux/vmconnection.jsonl", 100),
    ("data/logs/auditd/go-libaudit__auparse_testdata_test3.log", 100),
    ("data/logs/auditd/go-libaudit__testdata_normal.log", 100),
    ("data/logs/auditd/laurel__record-execve-long.txt", 100),
    ("data/logs/auditd/laurel__record-execve-long.json", 100),
    ("data/logs/elastic/endpoint__file.json", 100),
    ("data/logs/elastic/endpoint__network.json", 100),
    ("data/logs/elastic/endpoint__process.json", 100),
    ("data/logs/evtx/DE_sysmon-3-rdp-tun.jsonl", 100),
    ("data/logs/evtx/PanacheSysmon_vs_AtomicRedTeam01.jsonl", 100),
    ("data/logs/falco/falco.raw.json", 100),
    ("data/logs/jamf/telemetry__samples__AUE_EXECVE.json", 100),
    ("data/logs/osquery/docs-examples.jsonl", 100),
    ("data/logs/panther/osquery_rules.jsonl", 100),
    ("data/logs/panther/crowdstrike_rules.jsonl", 85),
    ("data/logs/plaso/audit_enriched.log", 100),
    ("data/logs/plaso/santa.log", 98),
    ("data/logs/sekoia/Azure_azure-windows.jsonl", 100),
    ("data/logs/sekoia/Beats_auditbeat.jsonl", 100),
    ("data/logs/sekoia/Beats_winlogbeat.jsonl", 100),
    ("data/logs/sekoia/CrowdStrike_crowdstrike-telemetry.jsonl", 85),
    ("data/logs/sekoia/Microsoft_microsoft-365-defender.jsonl", 100),
    ("data/logs/sekoia/SentinelOne_cloud_funnel2.0.jsonl", 100),
    ("data/logs/sekoia/Windows_windows.jsonl", 98),
    ("data/logs/tetragon/00_four_golden_signals__process_connect.json", 100),
    ("data/logs/tetragon/02_persistance__merlin-agent-job-connect.json", 100),
];

#[test]
fn real_logs_are_read_or_counted_with_a_reason() {
    let (mut said, mut seen) = (Vec::new(), 0);
    for (name, share) in LOGS {
        let Some(path) = shared(name) else { continue };
        seen += 1;
        let tally = read(&path, None);
        let known = tally.records - tally.bad();
        if tally.records == 0 || known * 100 < tally.records * share {
            said.push(format!("{name}: {tally:?}"));
        }
    }
    assert!(said.is_empty(), "{}", said.join("\n"));
    if seen == 0 {
        eprintln!("skipped: the logs are not on this machine");
    }
}

/// Event log files with the same events as JSON beside them, made by another tool.
#[cfg(feature = "evtx")]
#[test]
fn event_log_files_are_their_json() {
    let Some(folder) = shared("data/logs/evtx") else {
        eprintln!("skipped: the event log files are not on this machine");
        return;
    };
    let mut seen = 0;
    for entry in std::fs::read_dir(folder).expect("a folder").flatten() {
        let path = entry.path();
        if path.extension().is_none_or(|end| end != "evtx") {
            continue;
        }
        seen += 1;
        let events = |path: &Path| -> Vec<_> {
            let mut file = read_file(path, Some("evtx")).expect("opens");
            let events: Vec<_> = file.by_ref().collect();
            assert_eq!(file.tally().bad(), 0, "{}: {:?}", path.display(), file.tally());
            events
        };
        assert_eq!(events(&path), events(&path.with_extension("jsonl")), "{}", path.display());
        // Damage anywhere costs what it hits.
        let mut bytes = std::fs::read(&path).expect("reads");
        let copy = std::env::temp_dir().join(format!("egret-evtx-{}", std::process::id()));
        for at in (0..bytes.len().min(70_000)).step_by(3_001) {
            bytes[at] ^= 0xff;
            std::fs::write(&copy, &bytes[..bytes.len() - at / 7]).expect("writes");
            if let Ok(file) = read_file(&copy, None) {
                let _ = file.count();
            }
        }
        let _ = std::fs::remove_file(&copy);
    }
    assert!(seen >= 4, "{seen}");
}

#[test]
fn audit_logs_of_web_services_are_refused_by_name() {
    let Some(folder) = shared("endpoint-samples") else {
        eprintln!("skipped: the samples are not on this machine");
        return;
    };
    let mut seen = 0;
    for entry in std::fs::read_dir(folder).expect("a folder").flatten() {
        if !entry.file_name().to_string_lossy().starts_with("saas-") {
            continue;
        }
        seen += 1;
        let tally = read(&entry.path(), None);
        let refused = tally.without.get(&Reason::Saas).copied().unwrap_or(0);
        assert_eq!((tally.events, refused), (0, tally.records), "{}: {tally:?}", entry.path().display());
    }
    assert!(seen >= 9, "{seen}");
}

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

/// All files below a folder.
fn below(folder: &Path, all: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).expect("a folder").flatten() {
        let path = entry.path();
        if path.is_dir() { below(&path, all) } else { all.push(path) }
    }
}

#[test]
fn every_file_of_the_logs_is_read_or_told_why() {
    let Some(folder) = shared("data/logs") else {
        eprintln!("skipped: the logs are not on this machine");
        return;
    };
    let mut all = Vec::new();
    below(&folder, &mut all);
    all.sort();
    let mut said = Vec::new();
    for path in &all {
        let tally = read(path, None);
        let reasons: u64 = tally.without.values().sum();
        // No record is left without a word; those of the audit system are read several together.
        let together = tally.formats.iter().any(|f| f == "auditd");
        let told = tally.events > 0 || reasons >= tally.records || together;
        let first = tally.first_bad.as_ref();
        let quoted = tally.bad() == 0 || first.is_some_and(|f| !f.reason.told().is_empty() && f.record > 0);
        if tally.records == 0 || !told || !quoted {
            said.push(format!("{}: {tally:?}", path.display()));
        }
    }
    assert!(said.is_empty(), "{}", said.join("\n"));
    assert!(all.len() > 200, "{}", all.len());
}
