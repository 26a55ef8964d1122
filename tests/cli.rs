//! Drives the built program as a person does: what it says, where, and with which exit code.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

fn egret(args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_egret")).args(args).output().expect("egret runs")
}

fn out(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).expect("UTF-8")
}

fn err(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).expect("UTF-8")
}

/// A folder for one test, removed with it.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("egret-cli-{name}-{}", std::process::id()));
        std::fs::create_dir_all(&path).expect("temporary folder");
        Self(path)
    }

    fn file(&self, name: &str, bytes: impl AsRef<[u8]>) -> String {
        let path = self.0.join(name);
        std::fs::write(&path, bytes).expect("file written");
        path.display().to_string()
    }

    fn path(&self, name: &str) -> String {
        self.0.join(name).display().to_string()
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// The text, held against a committed file; WRITE_GOLDEN=1 writes the file.
fn golden(path: &str, text: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(path);
    if std::env::var_os("WRITE_GOLDEN").is_some() {
        std::fs::create_dir_all(path.parent().expect("folder")).expect("folder made");
        std::fs::write(&path, text).expect("golden file written");
    }
    let wanted = std::fs::read_to_string(&path).unwrap_or_default();
    assert_eq!(text, wanted, "{}; WRITE_GOLDEN=1 writes it anew", path.display());
}

/// A capture without a frame.
const EMPTY: &[u8] = &[0xd4, 0xc3, 0xb2, 0xa1, 2, 0, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 4, 0, 1, 0, 0, 0];

#[test]
fn help_fits_a_screen_and_names_what_exists() {
    let short = egret(&["-h"]);
    assert_eq!(short.status.code(), Some(0));
    let desk = ["incidents", "show", "silence", "verdict", "baseline", "whatif", "selftest", "schema"];
    let run = ["replay", "live", "logs", "interfaces", "check", "services", "completions"];
    for command in run.into_iter().chain(desk) {
        assert!(out(&short).contains(command), "{command}");
    }
    for later in ["hunt", "fleet"] {
        assert!(!out(&short).contains(later), "{later} does not exist yet");
        assert_eq!(egret(&[later]).status.code(), Some(2), "{later}");
    }
    for help in [
        &["-h"][..],
        &["replay", "-h"],
        &["live", "-h"],
        &["logs", "-h"],
        &["check", "-h"],
        &["services", "-h"],
        &["silence", "-h"],
        &["whatif", "-h"],
    ] {
        assert!(out(&egret(help)).lines().count() <= 40, "{help:?}");
    }
    assert!(out(&egret(&["--help"])).contains("Examples:"));
    assert!(out(&egret(&["replay", "--help"])).contains("Exit status:"));
    let version = format!("egret {}\n", env!("CARGO_PKG_VERSION"));
    assert_eq!(out(&egret(&["--version"])), version);
}

#[test]
fn nothing_to_do_shows_the_usage() {
    let output = egret(&[]);
    assert_eq!((output.status.code(), out(&output).as_str()), (Some(2), ""));
    assert!(err(&output).contains("Usage:"));
}

#[test]
fn slips_on_the_command_line_are_one_line_with_a_cure() {
    let mut text = String::new();
    for args in [
        &["replya", "x"][..],
        &["live"],
        &["live", "-i", "nosuch0", "--ring", "1 MiB"],
        &["replay"],
        &["replay", "--qiet", "x"],
        &["replay", "--workers", "0", "x"],
        &["replay", "--workers", "65", "x"],
        &["replay", "--home-net", "10.1.2.3/8", "x"],
        &["replay", "--log", "json", "x"],
        &["replay", "--home-net", "0.0.0.0/0", "x"],
        &["check", "--print-default", "--set", "a=b"],
        &["check", "--set", "detect.time_windo=1h", "--set", "detect.time_window=10"],
        &["completions", "tcsh"],
    ] {
        let output = egret(args);
        assert_eq!((output.status.code(), out(&output).as_str()), (Some(2), ""), "{args:?}");
        assert!(err(&output).lines().all(|line| line.starts_with("egret: error: ")), "{}", err(&output));
        text += &format!("$ egret {}\n{}", args.join(" "), err(&output));
    }
    golden("tests/golden/cli_errors.txt", &text);
}

// A build with libpcap compiles the expression, and goes on to complain about the interface or the file.
#[cfg(not(feature = "libpcap"))]
#[test]
fn an_expression_without_a_compiler_says_what_to_build() {
    for args in
        [["live", "-i", "nosuch0", "--bpf", "not port 22"], ["replay", "x", "--quiet", "--bpf", "tcp"]]
    {
        let output = egret(&args);
        assert_eq!((output.status.code(), out(&output).as_str()), (Some(2), ""), "{args:?}");
        let said = err(&output);
        assert_eq!(said.lines().count(), 1, "{said}");
        for part in [args[4], "--features libpcap", "tcpdump -ddd"] {
            assert!(said.contains(part), "{part} in {said}");
        }
    }
}

#[test]
fn check_says_what_is_in_force() {
    let output = egret(&["check"]);
    assert_eq!((output.status.code(), err(&output).as_str()), (Some(0), ""));
    let text = out(&output);
    assert!(text.lines().count() <= 12 && text.ends_with("no faults\n"), "{text}");
    for row in
        ["configuration  defaults", "signatures ", "levels         3.0 MB; webhooks and messages 1.0 MB"]
    {
        assert!(text.contains(row), "{row} in {text}");
    }
    assert!(out(&egret(&["check", "--home-net", "10.0.0.0/8,fd00::/8"])).contains("10.0.0.0/8, fd00::/8"));
}

#[test]
fn check_tells_every_fault_of_every_file() {
    let folder = Folder::new("faults");
    let config = folder.file(
        "egret.toml",
        "home_nets = []\n[detect]\ntime_window = 600\nmonitored_services = [\"dropbx\"]\n\
         [signatures]\nsite = \"site.toml\"\n",
    );
    folder.file("site.toml", "schema = 1\n[[allow]]\nservice = \"dropbox\"\nbudgett = \"1 GB/24h\"\n");
    let output = egret(&["check", "-c", &config]);
    assert_eq!((output.status.code(), out(&output).as_str()), (Some(2), ""));
    golden("tests/golden/check_faults.txt", &err(&output).replace(&folder.path(""), ""));
    let output = egret(&["check", "-c", &folder.path("absent.toml")]);
    assert_eq!(output.status.code(), Some(2));
    assert!(err(&output).contains("absent.toml: cannot be read"), "{}", err(&output));
}

#[test]
fn check_names_keys_without_effect_and_entries_that_have_ended() {
    let folder = Folder::new("warnings");
    let config = folder.file(
        "egret.toml",
        "people = \"people.csv\"\n[detect]\napi_call_threshold = \"200/h\"\n[signatures]\nsite = \"site.toml\"\n",
    );
    folder.file(
        "site.toml",
        "schema = 1\n[[allow]]\nservice = \"dropbox\"\nhosts = [\"10.1.2.3\"]\nbudget = \"1 GB/24h\"\n\
         expires = 2020-01-31\nowner = \"it\"\nreason = \"move\"\n",
    );
    let output = egret(&["check", "-c", &config]);
    assert_eq!(output.status.code(), Some(0));
    golden("tests/golden/check_warnings.txt", &err(&output).replace(&folder.path(""), ""));
    assert!(out(&output).contains("1 allow entry") && out(&output).ends_with("no faults, 3 warnings\n"));
}

#[test]
fn the_default_configuration_is_committed_and_good() {
    let printed = egret(&["check", "--print-default"]);
    assert_eq!(printed.status.code(), Some(0));
    golden("deploy/egret.toml", &out(&printed));
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/deploy/egret.toml");
    let checked = egret(&["check", "-c", path]);
    assert_eq!((checked.status.code(), err(&checked).as_str()), (Some(0), ""));
}

#[test]
fn the_reference_is_committed() {
    golden("docs/configuration.md", &egret::config::reference());
}

#[test]
fn services_are_listed_and_hosts_classified() {
    let all = egret(&["services"]);
    assert_eq!(all.status.code(), Some(0));
    assert!(out(&all).contains("dropbox"));
    let one = egret(&["services", "content.dropboxapi.com"]);
    assert!(out(&one).starts_with("content.dropboxapi.com belongs to Dropbox (dropbox)\n"), "{}", out(&one));
    let none = egret(&["services", "intranet.example"]);
    assert_eq!(none.status.code(), Some(0));
    assert!(out(&none).starts_with("intranet.example belongs to no monitored service"));
    let own = egret(&["services", "contoso.sharepoint.com", "--set", "own_tenants=[\"contoso\"]"]);
    assert!(out(&own).contains("sanction   own"), "{}", out(&own));
}

#[test]
fn a_reader_that_leaves_is_no_fault() {
    let mut child = Command::new(env!("CARGO_BIN_EXE_egret"))
        .arg("services")
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("egret runs");
    drop(child.stdout.take());
    let output = child.wait_with_output().expect("egret ends");
    assert_eq!((output.status.code(), err(&output).as_str()), (Some(0), ""));
}

#[test]
fn completions_speak_of_the_commands() {
    for shell in ["bash", "zsh", "fish", "powershell", "elvish"] {
        let output = egret(&["completions", shell]);
        assert_eq!(output.status.code(), Some(0), "{shell}");
        assert!(out(&output).contains("replay"), "{shell}");
    }
}

#[test]
fn replay_ends_with_a_summary_and_says_what_it_could_not_read() {
    let folder = Folder::new("replay");
    let (capture, logs) = (folder.file("empty.pcap", EMPTY), folder.path("logs"));
    let output = egret(&["replay", &capture, "-o", &logs]);
    assert_eq!((output.status.code(), err(&output).as_str()), (Some(0), ""));
    assert!(!out(&output).is_empty() && Path::new(&logs).join("eve.json").is_file());

    let quiet = egret(&["replay", &capture, "-o", &logs, "--quiet", "--log", "none", "--fail-on-alert"]);
    assert_eq!((quiet.status.code(), out(&quiet).as_str(), err(&quiet).as_str()), (Some(0), "", ""));
    let json = egret(&["replay", &capture, "-o", &logs, "--json"]);
    assert!(serde_json::from_slice::<serde_json::Value>(&json.stdout).is_ok_and(|v| v.is_object()));

    let absent = egret(&["replay", &folder.path("absent.pcap"), "-o", &logs]);
    assert_eq!(absent.status.code(), Some(2));
    assert!(
        err(&absent).starts_with("egret: error: ") && err(&absent).contains("absent.pcap"),
        "{}",
        err(&absent)
    );
    assert_eq!(out(&absent), "", "there is nothing to sum up");
    let taken = egret(&["replay", &capture, "-o", &capture]);
    assert_eq!(taken.status.code(), Some(2));
    assert!(err(&taken).contains("give another directory with --out"), "{}", err(&taken));
}

#[test]
fn a_broken_database_stops_the_run_with_its_name_and_a_cure() {
    let folder = Folder::new("mmdb");
    let capture = folder.file("empty.pcap", EMPTY);
    let broken = folder.file("broken.mmdb", b"MaxMind.com is in here, and nothing else");
    for flag in ["--asn-db", "--city-db"] {
        for path in [&broken, &folder.path("absent.mmdb"), &capture] {
            let output = egret(&["replay", &capture, "-o", &folder.path("logs"), flag, path]);
            let said = err(&output);
            assert_eq!((output.status.code(), out(&output).as_str()), (Some(2), ""), "{said}");
            assert!(said.starts_with("egret: error: ") && said.lines().count() == 1, "{said}");
            assert!(said.contains(path) && said.contains(flag) && said.contains("give a database"), "{said}");
        }
    }
}

#[test]
fn standard_input_is_a_capture_too() {
    let folder = Folder::new("stdin");
    let mut child = Command::new(env!("CARGO_BIN_EXE_egret"))
        .args(["replay", "-", "--quiet", "-o", &folder.path("logs")])
        .stdin(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("egret runs");
    child.stdin.take().expect("pipe").write_all(EMPTY).expect("written");
    let output = child.wait_with_output().expect("egret ends");
    assert_eq!((output.status.code(), err(&output).as_str()), (Some(0), ""));
}
