//! Our own logs read back: `egret logs` over what a replay has written finds what the replay has found.

#[allow(dead_code, reason = "a part of it is used here")]
mod common;

use common::pipeline::{CATALOGUE, Case, cases, through};
use egret::capture::Replay;
use egret::output::RunSummary;
use egret::output::file::{OutputConfig, Outputs, kinds};
use egret::run::{LogSetup, Setup, logs};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;

/// A folder for one test, removed with it.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("egret-logs-{name}-{}", std::process::id()));
        std::fs::create_dir_all(&path).expect("folder");
        Self(path)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// What people would be told: host, service and severity of each incident, bytes out, flows by side.
fn told(summary: &RunSummary) -> (Vec<String>, u64, u64, (u64, u64, u64)) {
    let service = |i: &egret::output::IncidentRecord| {
        i.identity.class.as_ref().map_or_else(String::new, |c| c.service.to_string())
    };
    let host = |i: &egret::output::IncidentRecord| i.identity.host.as_ref().map(|h| h.ip.to_string());
    let line = |i| format!("{:?} {} {}", host(i), service(i), i.severity.as_str());
    let mut incidents: Vec<String> = summary.incidents.iter().map(line).collect();
    incidents.sort();
    (incidents, summary.home_bytes.up, summary.home_bytes.down, summary.flows_by_side)
}

fn read_back(case: &Case, folder: &Path, names: &[&str], written: &BTreeMap<String, String>) -> RunSummary {
    let paths: Vec<PathBuf> = written
        .iter()
        .filter(|(name, _)| names.contains(&name.as_str()))
        .map(|(name, text)| {
            let path = folder.join(name);
            std::fs::write(&path, text).expect("written");
            path
        })
        .collect();
    let config = case.config();
    let outputs = OutputConfig { kinds: kinds("none").expect("none"), ..OutputConfig::default() };
    let outputs = Outputs::new(&outputs).expect("no outputs");
    let setup = Setup { config, catalogue: Arc::clone(&CATALOGUE), outputs };
    logs(LogSetup { setup, echo: false, stop: Arc::default() }, &paths, &mut |_, _| {}).expect("a run")
}

#[test]
fn logs_say_what_the_packets_said() {
    let folder = Folder::new("back");
    let mut wrong = Vec::new();
    for case in cases() {
        let ran = through(case.config(), "eve,zeek-tsv", &mut Replay::open(&case.files));
        let zeek = ["conn.log", "ssl.log", "quic.log", "http.log", "dns.log"];
        for (form, names) in [("zeek", &zeek[..]), ("eve", &["eve.json"][..])] {
            // Zeek's own ssl.log has not told the names in certificates for years.
            if (form, case.name.as_str()) == ("zeek", "tls12-certificate") {
                continue;
            }
            // That a second flow goes on under a connection id of the first stands in no log.
            if case.name == "quic-rebound" {
                continue;
            }
            let back = read_back(&case, &folder.0, names, &ran.logs);
            if told(&back) != told(&ran.summary) || !back.faults.is_empty() || !back.remarks.is_empty() {
                let (got, want) = (told(&back), told(&ran.summary));
                wrong.push(format!("{} {form}: {got:?} for {want:?} {:?}", case.name, back.remarks));
            }
        }
    }
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}

#[test]
fn the_command_quotes_what_it_cannot_use() {
    let folder = Folder::new("command");
    let conn = folder.0.join("conn.log");
    let header = "#separator \\x09\n#path\tconn\n#fields\tts\tuid\tid.orig_h\tid.orig_p\tid.resp_h\tid.resp_p\tproto\t\
                  duration\torig_bytes\tresp_bytes\n";
    let line = "1767571200.5\tC1\t10.0.0.1\t4000\t203.0.113.9\t443\ttcp\t2.0\t90000000\t100\n";
    std::fs::write(&conn, format!("{header}{line}nonsense\n{line}1767571200.5\tC2\t10.0.0\n"))
        .expect("written");
    let ssl = folder.0.join("ssl.json");
    let hello = "{\"_path\":\"ssl\",\"ts\":1767571200.6,\"uid\":\"C1\",\"server_name\":\"mega.nz\"}\n";
    std::fs::write(&ssl, hello).expect("written");
    let out = folder.0.join("out");
    let run = |more: &[&Path]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_egret"));
        command.arg("logs").arg("--out").arg(&out).arg("--fail-on-alert").arg(&conn).arg(&ssl).args(more);
        command.output().expect("egret runs")
    };
    let ran = run(&[]);
    let (stdout, stderr) = (String::from_utf8_lossy(&ran.stdout), String::from_utf8_lossy(&ran.stderr));
    assert_eq!(ran.status.code(), Some(1), "{stdout}{stderr}");
    assert!(
        stderr.contains("conn.log:5: the line has fewer columns than its header (2 such lines)"),
        "{stderr}"
    );
    assert!(stdout.contains("mega.nz") && stdout.contains("3 used; not usable: 2 columns"), "{stdout}");
    let eve = std::fs::read_to_string(out.join("eve.json")).expect("eve.json");
    assert!(eve.contains("\"event_type\":\"alert\"") && !eve.contains("\"event_type\":\"flow\""));
    let ran = run(&[Path::new("none.log")]);
    assert_eq!(ran.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&ran.stderr).contains("none.log"));
}
