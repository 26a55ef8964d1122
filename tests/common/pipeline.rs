//! The whole pipeline as a function: frames or files in, the lines of every log out.

use egret::capture::{Batch, Fault, LinkType, Replay, Slot, Source};
use egret::config::{Config, Loader};
use egret::output::RunSummary;
use egret::output::file::{IsHome, OutputConfig, Outputs, kinds};
use egret::run::{Setup, run};
use egret::signatures::Catalogue;
use egret::units::Timestamp;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, LazyLock};

/// A frame that owns its bytes.
#[derive(Clone, Debug)]
pub(crate) struct Frame {
    pub(crate) at: Timestamp,
    pub(crate) bytes: Vec<u8>,
    pub(crate) wire_len: u32,
    pub(crate) link: LinkType,
    pub(crate) vlan: u16,
}

impl Frame {
    /// An Ethernet frame, captured whole.
    pub(crate) fn ethernet(at: Timestamp, bytes: Vec<u8>) -> Self {
        Self { at, wire_len: bytes.len() as u32, bytes, link: LinkType::ETHERNET, vlan: u16::MAX }
    }
}

/// Gives frames in batches of a chosen size.
pub(crate) struct Recut<'f> {
    frames: std::slice::Chunks<'f, Frame>,
}

impl<'f> Recut<'f> {
    pub(crate) fn new(frames: &'f [Frame], size: usize) -> Self {
        Self { frames: frames.chunks(size) }
    }
}

impl Source for Recut<'_> {
    fn fill(&mut self, batch: &mut Batch) -> bool {
        batch.clear();
        batch.bytes.clear();
        for frame in self.frames.next().unwrap_or(&[]) {
            batch.slots.push(Slot {
                at: frame.at,
                offset: batch.bytes.len() as u32,
                captured: frame.bytes.len() as u32,
                wire_len: frame.wire_len,
                link: frame.link,
                vlan: frame.vlan,
            });
            batch.bytes.extend_from_slice(&frame.bytes);
        }
        !batch.slots.is_empty()
    }

    fn faults(&self) -> &[Fault] {
        &[]
    }

    fn progress(&self) -> (u64, Option<u64>) {
        (0, None)
    }
}

/// All frames of some files, merged as a replay merges them.
pub(crate) fn frames(files: &[PathBuf]) -> Vec<Frame> {
    let (mut source, mut batch, mut all) = (Replay::open(files), Batch::default(), Vec::new());
    while source.fill(&mut batch) {
        all.extend(batch.slots.iter().map(|slot| Frame {
            at: slot.at,
            bytes: batch.frame_bytes(slot).to_vec(),
            wire_len: slot.wire_len,
            link: slot.link,
            vlan: slot.vlan,
        }));
    }
    assert_eq!(source.faults(), &[], "{files:?}");
    all
}

/// A case of `pcaps/`.
pub(crate) struct Case {
    pub(crate) name: String,
    pub(crate) folder: PathBuf,
    pub(crate) files: Vec<PathBuf>,
}

impl Case {
    /// The case's own configuration, else the default one; the table small, so that a run costs little.
    pub(crate) fn config(&self) -> Config {
        let mut loader = Loader::new();
        let file = self.folder.join("egret.toml");
        if file.is_file() {
            loader.file(&file);
        }
        let loaded = loader.finish();
        let config = loaded.map(|(config, _)| config);
        let config = config.unwrap_or_else(|faults| panic!("{}: {faults:?}", file.display()));
        small(config)
    }
}

/// Every case, by name.
pub(crate) fn cases() -> Vec<Case> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("pcaps");
    let mut cases: Vec<Case> = listing(&root)
        .into_iter()
        .filter(|folder| folder.join("truth.json").is_file())
        .map(|folder| Case {
            name: folder.file_name().unwrap_or_default().to_string_lossy().into_owned(),
            files: listing(&folder).into_iter().filter(|f| is_capture(f)).collect(),
            folder,
        })
        .collect();
    cases.sort_by(|a, b| a.name.cmp(&b.name));
    assert!(cases.len() >= 36, "the captures of pcaps/ are there");
    cases
}

fn is_capture(path: &Path) -> bool {
    path.file_name().is_some_and(|name| name.to_string_lossy().starts_with("traffic"))
}

/// What is in a folder, sorted.
pub(crate) fn listing(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).unwrap_or_else(|e| panic!("{}: {e}", folder.display()));
    let mut paths: Vec<PathBuf> = entries.map(|entry| entry.expect("entry").path()).collect();
    paths.sort();
    paths
}

/// All files below a folder of `../shared/data`; nothing, with a word, where it is absent.
pub(crate) fn shared(folder: &str) -> Vec<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/data").join(folder);
    if !root.is_dir() {
        eprintln!("skipped: {} is absent", root.display());
        return Vec::new();
    }
    let mut found = Vec::new();
    let mut folders = vec![root];
    while let Some(folder) = folders.pop() {
        let (below, files): (Vec<_>, Vec<_>) = listing(&folder).into_iter().partition(|p| p.is_dir());
        folders.extend(below);
        found.extend(files);
    }
    found.sort();
    found
}

/// The built-in signatures, read once.
pub(crate) static CATALOGUE: LazyLock<Arc<Catalogue>> = LazyLock::new(|| Arc::new(Catalogue::builtin()));

/// The same configuration with a small flow table.
pub(crate) fn small(mut config: Config) -> Config {
    config.flows.table = 1 << 14;
    config
}

/// A folder for one run, removed with it.
struct Scratch(PathBuf);

impl Scratch {
    fn new() -> Self {
        static NUMBER: AtomicUsize = AtomicUsize::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let path = std::env::temp_dir().join(format!("egret-test-{}-{number}", std::process::id()));
        std::fs::create_dir_all(&path).expect("temporary folder");
        Self(path)
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// What a run left behind.
pub(crate) struct Ran {
    pub(crate) summary: RunSummary,
    /// Text of every log by its name.
    pub(crate) logs: BTreeMap<String, String>,
}

impl Ran {
    /// The records of `eve.json` and `egret.json` of one type.
    pub(crate) fn records(&self, kind: &str) -> Vec<serde_json::Value> {
        let lines = ["eve.json", "egret.json"].iter().filter_map(|name| self.logs.get(*name));
        let records = lines.flat_map(|text| text.lines());
        let records = records.map(|line| serde_json::from_str(line).expect("a line of JSON"));
        records.filter(|record: &serde_json::Value| record["event_type"] == kind).collect()
    }
}

/// Runs a source through everything.
pub(crate) fn through(config: Config, log: &str, source: &mut dyn Source) -> Ran {
    let scratch = Scratch::new();
    let home = config.home_net.clone().unwrap_or_else(egret::net::default_home);
    let is_home: IsHome = Arc::new(move |ip| home.contains(ip));
    let outputs = Outputs::new(&OutputConfig {
        dir: scratch.0.clone(),
        kinds: kinds(log).expect("known logs"),
        sensor: Some(config.sensor.clone()),
        is_home: Some(is_home),
        ..OutputConfig::default()
    });
    let outputs = outputs.expect("outputs");
    let setup = Setup { config, catalogue: Arc::clone(&CATALOGUE), outputs };
    let summary = run(setup, source, &mut |_, _| {}).expect("a run");
    let name = |path: &Path| path.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let read = |path: &PathBuf| (name(path), std::fs::read_to_string(path).expect("UTF-8"));
    let logs = summary.files.iter().map(read).collect();
    Ran { summary, logs }
}
