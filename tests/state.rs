//! What survives a restart: a run that is stopped, killed or cut in two finds what one run finds, each once.

use egret::config::Config;
use egret::output::file::{Keeping, OutputConfig, Outputs};
use egret::run::{LogSetup, Setup, logs};
use egret::signatures::Catalogue;
use egret::state::Store;
use egret::state::journal::Journal;
use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// A folder for one test, removed with it.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("egret-state-{name}-{}", std::process::id()));
        std::fs::create_dir_all(&path).expect("folder");
        Self(path)
    }

    fn file(&self, name: &str, text: &str) -> PathBuf {
        let path = self.0.join(name);
        std::fs::write(&path, text).expect("written");
        path
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

const START: u64 = 1_767_571_200;
const CONN: &str = "#separator \\x09\n#path\tconn\n#fields\tts\tuid\tid.orig_h\tid.orig_p\tid.resp_h\tid.resp_p\tproto\t\
                    duration\torig_bytes\tresp_bytes\tconn_state\thistory\torig_pkts\torig_ip_bytes\tresp_pkts\tresp_ip_bytes\n";
const SSL: &str = "#separator \\x09\n#path\tssl\n#fields\tts\tuid\tid.orig_h\tid.orig_p\tid.resp_h\tid.resp_p\tserver_name\n";
const NAMES: &[&str] = &[
    "content.dropboxapi.com",
    "drive.google.com",
    "www.example.com",
    "g.api.mega.co.nz",
    "paste.rs",
    "intranet.example",
];

/// A network of some hosts for some days: lines of `conn` and `ssl` in the order in which a sensor writes them.
fn network(hosts: u64, days: u64) -> (Vec<(f64, String)>, Vec<(f64, String)>) {
    let (mut conn, mut ssl) = (Vec::new(), Vec::new());
    let mut state = 7u64;
    let mut random = |n: u64| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) % n
    };
    for i in 0..hosts * days * 12 {
        let at = START as f64 + (i * 86_400 / (hosts * 12)) as f64 + random(3_000) as f64;
        let host = random(hosts);
        let which = random(NAMES.len() as u64 * 3) as usize;
        let name = NAMES[if which >= NAMES.len() { (host as usize) % 3 } else { which }];
        let lasts = [5, 60, 900, 7_200, 30_000][random(5) as usize] as f64;
        let up = if random(40) == 0 { 40_000_000 + random(200_000_000) } else { 1_000 + random(400_000) };
        let (down, uid) = (random(200_000), format!("C{i}x"));
        let far = format!("203.0.113.{}", 1 + NAMES.iter().position(|n| *n == name).unwrap_or(0));
        let ends = format!("10.1.0.{host}\t{}\t{far}\t443", 20_000 + i % 40_000);
        let (p, q) = (up / 1_000 + 3, down / 1_000 + 3);
        conn.push((
            at + lasts,
            format!(
                "{at:.6}\t{uid}\t{ends}\ttcp\t{lasts:.6}\t{up}\t{down}\tSF\tShADadFf\t{p}\t{}\t{q}\t{}\n",
                up + p * 52,
                down + q * 52
            ),
        ));
        ssl.push((at, format!("{at:.6}\t{uid}\t{ends}\t{name}\n")));
    }
    for list in [&mut conn, &mut ssl] {
        list.sort_by(|a, b| a.0.total_cmp(&b.0));
    }
    (conn, ssl)
}

/// The lines written until (or, with `after`, from) a time, under their header.
fn part(header: &str, lines: &[(f64, String)], cut: f64, after: bool) -> String {
    let mut text = header.to_owned();
    for (_, line) in lines.iter().filter(|(at, _)| (*at >= cut) == after) {
        let _ = text.write_str(line);
    }
    text
}

/// One run in this process; it stops when the progress was told so many times.
fn run(folder: &Folder, state: &str, out: &str, inputs: &[PathBuf], stop_after: Option<usize>) {
    let store = Store::open(&folder.0.join(state)).expect("a state file");
    let output =
        OutputConfig { dir: folder.0.join(out), keeping: Keeping::Append, ..OutputConfig::default() };
    let journal = Journal::new(store, false, output.clone());
    let outputs = Outputs::new(&output).expect("outputs").with_journal(journal);
    let catalogue = Arc::new(Catalogue::builtin());
    let setup = Setup { config: Config::default(), catalogue, outputs };
    let (stop, mut turns) = (Arc::new(AtomicBool::new(false)), 0);
    let asked = Arc::clone(&stop);
    let mut progress = move |_, _| {
        turns += 1;
        if Some(turns) == stop_after {
            asked.store(true, Ordering::Relaxed);
        }
    };
    let summary = logs(LogSetup { setup, echo: false, stop }, inputs, &mut progress).expect("a run");
    assert!(summary.faults.is_empty() && summary.remarks.is_empty(), "{summary:?}");
}

/// Records of incidents that were written, and that none was written twice.
fn found(folder: &Folder, out: &str) -> BTreeSet<String> {
    let mut all = BTreeSet::new();
    for name in ["eve.json", "egret.json"] {
        let text = std::fs::read_to_string(folder.0.join(out).join(name)).unwrap_or_default();
        for line in text.lines().filter(|l| l.contains("\"incident\":{")) {
            assert!(all.insert(line.to_owned()), "twice: {line}");
        }
    }
    all
}

#[test]
fn stopped_anywhere_and_cut_in_two_is_as_good_as_whole() {
    let folder = Folder::new("cut");
    let (conn, ssl) = network(30, 6);
    let whole = [
        folder.file("conn.log", &part(CONN, &conn, 0.0, true)),
        folder.file("ssl.log", &part(SSL, &ssl, 0.0, true)),
    ];
    run(&folder, "whole.db", "whole", &whole, None);
    let want = found(&folder, "whole");
    assert!(want.len() > 20, "{}", want.len());
    for (i, stop_after) in [1, 3, 5, 8].into_iter().enumerate() {
        let (state, out) = (format!("stop{i}.db"), format!("stop{i}"));
        run(&folder, &state, &out, &whole, Some(stop_after));
        run(&folder, &state, &out, &whole, Some(2));
        run(&folder, &state, &out, &whole, None);
        assert_eq!(found(&folder, &out), want, "stopped after {stop_after}");
    }
    let cut = (START + 3 * 86_400) as f64 + 4_321.0;
    for (after, name) in [(false, "a"), (true, "b")] {
        let inputs = [
            folder.file(&format!("conn.{name}.log"), &part(CONN, &conn, cut, after)),
            folder.file(&format!("ssl.{name}.log"), &part(SSL, &ssl, cut, after)),
        ];
        run(&folder, "half.db", "half", &inputs, None);
    }
    assert_eq!(found(&folder, "half"), want);
    // What has been read is not read again, whatever it is called.
    std::fs::rename(&whole[0], folder.0.join("conn.old.log")).expect("renamed");
    run(&folder, "whole.db", "whole", &[folder.0.join("conn.old.log"), whole[1].clone()], None);
    assert_eq!(found(&folder, "whole"), want);
}

#[test]
fn killed_at_any_moment_each_incident_is_there_once() {
    let folder = Folder::new("kill");
    let (conn, ssl) = network(60, 10);
    let inputs = [
        folder.file("conn.log", &part(CONN, &conn, 0.0, true)),
        folder.file("ssl.log", &part(SSL, &ssl, 0.0, true)),
    ];
    let start = |state: &str, out: &str| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_egret"));
        command.arg("logs").arg("--quiet").args(["--set", "state.checkpoint_every=20ms"]);
        command.arg("--state").arg(folder.0.join(state)).arg("--out").arg(folder.0.join(out)).args(&inputs);
        command.stdout(Stdio::null()).stderr(Stdio::inherit()).spawn().expect("egret runs")
    };
    let began = std::time::Instant::now();
    assert!(start("whole.db", "whole").wait().expect("ended").success());
    let takes = began.elapsed();
    let want = found(&folder, "whole");
    assert!(want.len() > 50, "{}", want.len());
    let mut kills = 0;
    for turn in 1..40u32 {
        let mut child = start("killed.db", "killed");
        std::thread::sleep(takes / 12 * (turn % 9 + 1));
        match child.try_wait().expect("asked") {
            Some(status) => {
                assert!(status.success());
                break;
            }
            None => {
                child.kill().expect("killed");
                child.wait().expect("ended");
                kills += 1;
            }
        }
    }
    assert!(start("killed.db", "killed").wait().expect("ended").success());
    assert!(kills > 0);
    assert_eq!(found(&folder, "killed"), want);
}

#[test]
fn first_seen_is_never_forgotten() {
    let folder = Folder::new("first");
    let (conn, ssl) = network(20, 4);
    let cut = (START + 2 * 86_400) as f64;
    let mut firsts = Vec::new();
    for (after, name) in [(false, "a"), (true, "b")] {
        let inputs = [
            folder.file(&format!("conn.{name}.log"), &part(CONN, &conn, cut, after)),
            folder.file(&format!("ssl.{name}.log"), &part(SSL, &ssl, cut, after)),
        ];
        run(&folder, "s.db", "out", &inputs, None);
        let store = Store::visit(&folder.0.join("s.db")).expect("a state");
        let mut seen = store.destinations().expect("destinations");
        seen.sort();
        firsts.push(seen);
    }
    let (before, after) = (&firsts[0], &firsts[1]);
    assert!(!before.is_empty() && before.iter().all(|d| after.contains(d)), "{before:?} {after:?}");
}

#[test]
fn a_file_that_is_none_is_refused_with_a_cure() {
    let folder = Folder::new("refuse");
    let said = |path: &Path| Store::open(path).err().map(|d| d.to_string()).unwrap_or_default();
    let text = folder.file("text.db", &"no database at all\n".repeat(400));
    assert!(said(&text).contains("is no state file; give another path"), "{}", said(&text));
    let (good, inputs) = (folder.0.join("good.db"), network(5, 2));
    let logs = [folder.file("conn.log", &part(CONN, &inputs.0, 0.0, true))];
    run(&folder, "good.db", "out", &logs, None);
    {
        let held = Store::open(&good).expect("opens");
        assert!(said(&good).contains("in use by another egret"), "{}", said(&good));
        drop(held);
    }
    let bytes = std::fs::read(&good).expect("bytes");
    let mut newer = bytes.clone();
    newer[60..64].copy_from_slice(&99i32.to_be_bytes());
    let newer = folder.0.join("newer.db");
    std::fs::write(&newer, {
        let mut b = bytes.clone();
        b[60..64].copy_from_slice(&99i32.to_be_bytes());
        b
    })
    .expect("written");
    assert!(said(&newer).contains("newer version of Egret"), "{}", said(&newer));
    let other = folder.0.join("other.db");
    let mut b = bytes.clone();
    b[68..72].copy_from_slice(&1i32.to_be_bytes());
    std::fs::write(&other, b).expect("written");
    assert!(said(&other).contains("another program"), "{}", said(&other));
    let ran = Command::new(env!("CARGO_BIN_EXE_egret"))
        .args(["logs", "--state"])
        .arg(&text)
        .arg(&logs[0])
        .output()
        .expect("egret runs");
    assert_eq!(ran.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&ran.stderr).starts_with("egret: error: "));
}

/// Cut and flipped anywhere: an error or a run, never a panic, and soon.
#[test]
fn a_damaged_file_is_an_error_and_no_crash() {
    let folder = Folder::new("damage");
    let (conn, _) = network(8, 2);
    let log = folder.file("conn.log", &part(CONN, &conn, 0.0, true));
    run(&folder, "good.db", "out", std::slice::from_ref(&log), None);
    let bytes = std::fs::read(folder.0.join("good.db")).expect("bytes");
    let path = folder.0.join("bad.db");
    let try_it = |bytes: &[u8]| {
        std::fs::write(&path, bytes).expect("written");
        for tail in ["-wal", "-shm"] {
            let _ = std::fs::remove_file(format!("{}{tail}", path.display()));
        }
        let Ok(store) = Store::open(&path) else { return };
        let output = OutputConfig { dir: folder.0.join("bad"), kinds: Vec::new(), ..OutputConfig::default() };
        let outputs =
            Outputs::new(&output).expect("none").with_journal(Journal::new(store, false, output.clone()));
        let setup = Setup { config: Config::default(), catalogue: Arc::new(Catalogue::builtin()), outputs };
        let stop = Arc::new(AtomicBool::new(false));
        let _ = logs(LogSetup { setup, echo: false, stop }, std::slice::from_ref(&log), &mut |_, _| {});
    };
    for cut in (0..bytes.len()).step_by(bytes.len() / 40 + 1) {
        try_it(&bytes[..cut]);
    }
    let mut state = 1u64;
    for _ in 0..150 {
        let mut bad = bytes.clone();
        for _ in 0..8 {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            let at = (state >> 20) as usize % bad.len();
            bad[at] ^= 1 << (state >> 60 & 7);
        }
        try_it(&bad);
    }
    std::thread::sleep(Duration::ZERO);
}
