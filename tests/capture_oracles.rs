//! Replay of captures that nobody here wrote, held against what TShark says of them.

use egret::capture::{Batch, Replay, Source};
use serde_json::Value;
use std::path::{Path, PathBuf};

/// Other tools' captures, beside the repository; None where they are absent.
fn data(folder: &str) -> Option<PathBuf> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/data").join(folder);
    if path.is_dir() {
        return Some(path);
    }
    eprintln!("skipped: {} is absent", path.display());
    None
}

/// All files below `path`.
fn files(path: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(path).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() { found.extend(files(&path)) } else { found.push(path) }
    }
    found.sort();
    found
}

/// What a capture holds: frames, bytes on the wire, earliest and latest stamp in microseconds.
#[derive(Debug, Default, PartialEq)]
struct Sums {
    frames: u64,
    wire: u64,
    cut: u64,
    first: i64,
    last: i64,
}

fn replay(path: &Path, piece: usize) -> (Sums, Replay) {
    let mut replay = Replay::with_piece(&[path.to_owned()], piece);
    let (mut batch, mut sums) = (Batch::default(), Sums::default());
    while replay.fill(&mut batch) {
        assert!(!batch.slots.is_empty());
        for slot in &batch.slots {
            assert_eq!(batch.frame_bytes(slot).len(), slot.captured as usize);
            let at = slot.at.micros();
            (sums.first, sums.last) = match sums.frames {
                0 => (at, at),
                _ => (sums.first.min(at), sums.last.max(at)),
            };
            sums.frames += 1;
            sums.wire += u64::from(slot.wire_len);
            sums.cut += u64::from(slot.captured < slot.wire_len);
        }
    }
    assert!(batch.slots.is_empty());
    (sums, replay)
}

/// Captures that are read otherwise than by TShark, and why.
const KNOWN: [(&str, &str); 1] = [(
    "linktype/tcpdump-atm-oam-loopback-print-overrun.pcap",
    "TShark takes the 4-byte SunATM header off the length; the fraction of the stamp is above a second",
)];

#[test]
fn captures_hold_what_their_oracles_say() {
    let Some(root) = data("captures") else { return };
    let all = files(&root);
    let (mut good, mut intact, mut known, mut differing) = (0, 0, 0, Vec::new());
    for oracle_path in all.iter().filter(|p| p.to_string_lossy().ends_with(".oracle.json")) {
        let stem = oracle_path.to_string_lossy().replace(".oracle.json", "");
        let names =
            [".pcap", ".pcapng", ".cap", ".dmp", ".trace", ""].map(|e| PathBuf::from(format!("{stem}{e}")));
        let Some(capture) = names.iter().find(|p| p.is_file()) else {
            println!("no capture beside {}", oracle_path.display());
            continue;
        };
        let oracle: Value = serde_json::from_slice(&std::fs::read(oracle_path).unwrap()).unwrap();
        let totals = &oracle["totals"];
        let number = |name: &str| totals[name].as_u64().unwrap_or(0);
        let micros = |name: &str| (totals[name].as_f64().unwrap_or(0.0) * 1e6).round() as i64;
        let (sums, replay) = replay(capture, 1 << 20);
        let bad = !oracle["tshark_error"].is_null() || !oracle["file_info"]["capinfos_error"].is_null();
        let want = (number("frames"), number("wire_bytes"), number("cut_frames"));
        // TShark gives frames without a stamp the time 0; here they have that of the frame before.
        let untimed = sums.frames > 0 && totals["first_ts"].as_f64() == Some(0.0);
        let near = |a: i64, name: &str| untimed || (a - micros(name)).abs() <= 1;
        let same = (sums.frames, sums.wire, sums.cut) == want
            && near(sums.first, "first_ts")
            && near(sums.last, "last_ts")
            && replay.faults().is_empty();
        if !bad && !same && KNOWN.iter().any(|(name, _)| capture.ends_with(name)) {
            known += 1;
            continue;
        }
        intact += usize::from(!bad);
        good += usize::from(same && !bad);
        if !same {
            let sums = format!("{sums:?}");
            differing.push((bad, format!("{}: {totals} {sums} {:?}", capture.display(), replay.faults())));
        }
    }
    println!("{good} of {intact} intact captures agree, {known} differ for a known reason");
    for (bad, line) in &differing {
        println!("{} {line}", if *bad { "(bad file)" } else { "DIFFERS" });
    }
    assert_eq!(good, intact);
}

#[test]
fn fuzzed_captures_do_no_harm() {
    let Some(root) = data("fuzz") else { return };
    let mut frames = 0;
    for path in files(&root) {
        let (whole, once) = replay(&path, 1 << 20);
        let (pieces, again) = replay(&path, 61);
        assert_eq!(whole, pieces, "{}", path.display());
        assert_eq!(once.faults(), again.faults());
        assert!(once.faults().len() <= 1);
        frames += whole.frames;
        for fault in once.faults() {
            println!("{fault}");
        }
    }
    println!("{frames} frames");
}
