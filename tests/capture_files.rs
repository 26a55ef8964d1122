//! Capture files of every dialect, whole, cut, damaged, packed and merged.

#[path = "common/pcapwrite.rs"]
mod pcapwrite;

use egret::capture::{Batch, Fault, Replay, Source};
use pcapwrite::*;
use std::io::Write;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, Ordering};

/// A directory of one test, removed at its end.
struct Dir(PathBuf);

impl Dir {
    fn new() -> Self {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let name = format!("egret-capture-{}-{}", std::process::id(), NUMBER.fetch_add(1, Ordering::Relaxed));
        let path = std::env::temp_dir().join(name);
        std::fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    fn write(&self, name: &str, bytes: &[u8]) -> PathBuf {
        let path = self.0.join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, bytes).unwrap();
        path
    }
}

impl Drop for Dir {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

fn drain(replay: &mut Replay) -> Vec<Frame> {
    let (mut batch, mut frames) = (Batch::default(), Vec::new());
    while replay.fill(&mut batch) {
        frames.extend(batch.slots.iter().map(|slot| {
            let bytes = batch.frame_bytes(slot).to_vec();
            assert_eq!(bytes.len(), slot.captured as usize);
            Frame { nanos: slot.at.nanos(), bytes, wire_len: slot.wire_len, link: slot.link.0 }
        }));
    }
    assert!(batch.slots.is_empty() && !replay.fill(&mut batch), "the end stays the end");
    frames
}

fn replay(paths: &[PathBuf], piece: usize) -> (Vec<Frame>, Vec<Fault>) {
    let mut replay = Replay::with_piece(paths, piece);
    let frames = drain(&mut replay);
    let counted: u64 = replay.files().iter().map(|f| f.packets).sum();
    assert_eq!(counted, frames.len() as u64);
    let (read, total) = replay.progress();
    assert_eq!(Some(read), total, "all has been read");
    (frames, replay.faults().to_vec())
}

fn read(bytes: &[u8], piece: usize) -> (Vec<Frame>, Vec<Fault>) {
    let dir = Dir::new();
    replay(&[dir.write("a.pcap", bytes)], piece)
}

/// Frames a second apart, of lengths that straddle pieces in every way.
fn frames(count: usize, start_secs: i64, link: u16) -> Vec<Frame> {
    let frame = |i: usize| Frame {
        nanos: (start_secs + i as i64) * 1_000_000_000 + 123_456_000,
        bytes: (0..(i * 37) % 301).map(|b| (b * 7 + i) as u8).collect(),
        wire_len: ((i * 37) % 301 + i % 3) as u32,
        link,
    };
    (0..count).map(frame).collect()
}

#[test]
fn classic_files_of_every_magic_and_order() {
    for order in [Order::Little, Order::Big] {
        for magic in [0xa1b2_c3d4, 0xa1b2_3c4d, 0xa1b2_cd34, 0x1c00_01ac, 0x1c00_01ab] {
            for (minor, link, expected) in
                [(4, 1, 1), (2, 0xf400_0001, 1), (3, 12, 101), (4, 0x0400_0071, 113)]
            {
                let format = Classic { order, magic, minor, snaplen: 65_535, link };
                let written = frames(40, 1_700_000_000, expected);
                for piece in [1, 16, 100, 1 << 20] {
                    let (found, faults) = read(&format.file(&written), piece);
                    assert_eq!((&found, faults), (&written, vec![]), "{format:?} {piece}");
                }
            }
        }
    }
}

#[test]
fn stamps_up_to_the_last_second_of_the_format() {
    let nanos = i64::from(u32::MAX) * 1_000_000_000 + 999_999_000;
    let written = vec![Frame { nanos, bytes: vec![1], wire_len: 1, link: 1 }];
    assert_eq!(read(&Classic::MICRO.file(&written), 64).0, written);
}

/// Sections of both orders, interfaces of all resolutions, every packet block, and what is to be skipped.
fn many_sections() -> (Vec<u8>, Vec<Frame>) {
    let (mut out, mut expected) = (Vec::new(), Vec::new());
    for o in [Order::Big, Order::Little] {
        out.extend(section(o, if o == Order::Big { -1 } else { 77 }, &option(o, 4, b"egret tests")));
        let nano = [option(o, 2, b"eth0"), option(o, 9, &[9]), option(o, 0, &[])].concat();
        out.extend(interface(o, 1, 0, &[]));
        out.extend(interface(o, 113, 262_144, &nano));
        let binary =
            [option(o, 9, &[0x80 + 10]), option(o, 14, &o.u64(1_000_000)), option(o, 99, b"xyz")].concat();
        out.extend(interface(o, 12, 64, &binary));
        out.extend(interface(o, 1, 0, &[option(o, 9, &[12]), option(o, 14, &o.u64(-5i64 as u64))].concat()));
        let frame = |nanos, bytes: &[u8], extra, link| {
            let wire_len = bytes.len() as u32 + extra;
            Frame { nanos, bytes: bytes.to_vec(), wire_len, link }
        };
        let a = frame(1_500_000_000_000_123_000, b"micro", 0, 1);
        out.extend(enhanced(o, 0, 1_500_000_000_000_123, &a, &option(o, 2, &[0, 0, 0, 1])));
        out.extend(block(o, 0x5353_5353, &[9; 40]));
        let b = frame(1_500_000_001_000_000_007, b"nanos", 9, 113);
        out.extend(enhanced(o, 1, 1_500_000_001_000_000_007, &b, &[]));
        out.extend(block(o, 5, &[0; 20]));
        let c = frame(1_501_000_000_500_000_000, b"binary", 0, 101);
        out.extend(enhanced(o, 2, 1_500_000_000 * 1_024 + 512, &c, &[]));
        let d = frame(1_000_000_000, b"picos", 0, 1);
        out.extend(enhanced(o, 3, 6_000_000_000_000, &d, &[]));
        let e = frame(1_000_000_000, b"no stamp", 0, 1);
        out.extend(simple(o, &e));
        let f = frame(1_500_000_009_000_000_000, b"obsolete", 1, 113);
        out.extend(obsolete(o, 1, 1_500_000_009_000_000_000, &f));
        out.extend(block(o, 0x8000_0001, &vec![3; 70_000]));
        expected.extend([a, b, c, d, e, f]);
    }
    (out, expected)
}

#[test]
fn pcapng_of_many_sections() {
    let (bytes, expected) = many_sections();
    for piece in [1, 13, 64, 4_096, 1 << 20] {
        let (found, faults) = read(&bytes, piece);
        assert_eq!((&found, faults), (&expected, vec![]), "{piece}");
    }
}

#[test]
fn simple_packets_are_cut_by_the_snap_length() {
    let o = Order::Little;
    let mut bytes = [section(o, -1, &[]), interface(o, 1, 6, &[])].concat();
    let frame = Frame { nanos: 0, bytes: b"123456".to_vec(), wire_len: 900, link: 1 };
    bytes.extend(simple(o, &frame));
    let stamped = Frame { nanos: 7_000, bytes: b"12".to_vec(), wire_len: 2, link: 1 };
    bytes.extend(enhanced(o, 0, 7, &stamped, &[]));
    let again = Frame { nanos: 7_000, ..frame.clone() };
    bytes.extend(simple(o, &frame));
    assert_eq!(read(&bytes, 1 << 20), (vec![frame, stamped, again], vec![]));
}

#[test]
fn custom_blocks_keep_their_number() {
    let o = Order::Big;
    let mut bytes = [section(o, -1, &[]), interface(o, 1, 0, &[])].concat();
    bytes.extend(block(o, 0xbad, &[0, 0, 0x7e, 0xd9, 1, 2, 3, 4]));
    bytes.extend(block(o, 0x4000_0bad, &[0, 0, 0x7e, 0xd9]));
    bytes.extend(block(o, 9, b"A=B\n"));
    let (found, faults) = read(&bytes, 100);
    let kinds: Vec<_> = found.iter().map(|f| (f.link, f.bytes.len())).collect();
    assert_eq!((kinds, faults), (vec![(0xffff, 4), (0xffff, 0), (0xffff, 4)], vec![]));
}

#[test]
fn a_cut_file_gives_all_that_is_whole() {
    let written = frames(12, 5, 1);
    let mut ends = vec![0, 24];
    for frame in &written {
        ends.push(ends[ends.len() - 1] + 16 + frame.bytes.len());
    }
    let bytes = Classic::MICRO.file(&written);
    cut_everywhere(&bytes, &written, &ends);

    let o = Order::Big;
    let blocks = [
        section(o, -1, &[]),
        interface(o, 1, 0, &[]),
        enhanced(o, 0, 123, &Frame { nanos: 123_000, ..written[3].clone() }, &[]),
        block(o, 77, &[1; 60]),
        enhanced(o, 0, 124, &Frame { nanos: 124_000, ..written[4].clone() }, &[]),
    ];
    let mut ends = vec![0];
    for block in &blocks {
        ends.push(ends[ends.len() - 1] + block.len());
    }
    let whole =
        [Frame { nanos: 123_000, ..written[3].clone() }, Frame { nanos: 124_000, ..written[4].clone() }];
    cut_everywhere(&blocks.concat(), &whole, &ends);
}

/// Cut at every byte: the frames are a prefix, and there is one fault unless the cut leaves whole records.
fn cut_everywhere(bytes: &[u8], whole: &[Frame], ends: &[usize]) {
    let (empty, faults) = read(b"", 10);
    assert!(empty.is_empty() && faults.len() == 1 && faults[0].what.contains("empty"), "{faults:?}");
    let dir = Dir::new();
    for at in 1..bytes.len() {
        let path = dir.write("cut.pcap", &bytes[..at]);
        let (found, faults) = replay(&[path], if at % 2 == 0 { 50 } else { 1 << 16 });
        let complete = ends.iter().filter(|e| **e <= at).max().unwrap();
        assert_eq!(found, whole[..found.len()], "{at}");
        assert_eq!(faults.len(), usize::from(*complete != at), "{at}: {faults:?}");
        for fault in &faults {
            assert_eq!(fault.offset, (at >= 4).then_some(*complete as u64), "{at}: {fault}");
        }
    }
}

#[test]
fn lengths_beyond_reason_are_faults() {
    let written = frames(3, 5, 1);
    let good = Classic::MICRO.file(&written);
    for length in [262_145, 16 << 20, i32::MAX as u32, u32::MAX] {
        let mut bytes = good.clone();
        bytes.extend([0; 8].into_iter().chain(length.to_le_bytes()).chain([0; 400]));
        let (found, faults) = read(&bytes, 1 << 16);
        assert_eq!(found, written);
        assert_eq!(faults.len(), 1);
        assert_eq!(faults[0].offset, Some(good.len() as u64), "{}", faults[0]);
    }
    let o = Order::Little;
    let head = [section(o, -1, &[]), interface(o, 1, 0, &[])].concat();
    for length in [0u32, 8, 13, 0xffff_fffc, u32::MAX] {
        let bytes = [head.clone(), o.u32(6).to_vec(), o.u32(length).to_vec(), vec![0; 600]].concat();
        let (found, faults) = read(&bytes, 1 << 16);
        assert!(found.is_empty());
        assert_eq!(faults.len(), 1, "{length}");
        assert_eq!(faults[0].offset, Some(head.len() as u64), "{}", faults[0]);
    }
}

#[test]
fn a_frame_larger_than_a_piece_is_whole() {
    let big = Frame {
        nanos: 1_000,
        bytes: (0..3_000_000u32).map(|i| i as u8).collect(),
        wire_len: 3_000_000,
        link: 1,
    };
    let written = [frames(2, 0, 1), vec![big], frames(2, 9, 1)].concat();
    let bytes = Classic { snaplen: 4_000_000, ..Classic::MICRO }.file(&written);
    for piece in [100, 1 << 20] {
        assert_eq!(read(&bytes, piece), (written.clone(), vec![]));
    }
}

/// A small seeded generator (splitmix64), so that a failure can be repeated.
struct Random(u64);

impl Random {
    fn below(&mut self, n: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((z ^ (z >> 31)) % n as u64) as usize
    }
}

#[test]
fn flipped_bits_do_no_harm() {
    let mut random = Random(1_567);
    let dir = Dir::new();
    let classic = Classic { magic: 0xa1b2_cd34, ..Classic::MICRO }.file(&frames(20, 5, 1));
    for whole in [classic, many_sections().0] {
        for round in 0..1_000 {
            let mut bytes = whole.clone();
            for _ in 0..=round % 4 {
                // Mostly among the headers at the front, where the damage is greatest.
                let range = if round % 2 == 0 { 600.min(bytes.len()) } else { bytes.len() };
                bytes[random.below(range)] ^= 1 << random.below(8);
            }
            let path = dir.write("flip.pcap", &bytes);
            let mut one = Replay::with_piece(std::slice::from_ref(&path), 1 << 18);
            let mut two = Replay::with_piece(std::slice::from_ref(&path), 97);
            let all = drain(&mut one);
            assert_eq!(all, drain(&mut two), "{round}");
            assert_eq!(one.faults(), two.faults(), "{round}");
            assert!(one.faults().len() <= 1 && all.len() <= whole.len() / 12);
        }
    }
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut writer = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    writer.write_all(bytes).unwrap();
    writer.finish().unwrap()
}

#[test]
fn packed_files_of_several_members() {
    let written = frames(60, 5, 1);
    let bytes = Classic::MICRO.file(&written);
    let (front, back) = bytes.split_at(bytes.len() / 3);
    let skippable =
        [&[0x50, 0x2a, 0x4d, 0x18, 2, 0, 0, 0, 7, 7][..], &zstd::encode_all(front, 1).unwrap()].concat();
    for packed in [
        [gzip(front), gzip(back)].concat(),
        [zstd::encode_all(front, 1).unwrap(), zstd::encode_all(back, 3).unwrap()].concat(),
        [skippable, zstd::encode_all(back, 3).unwrap()].concat(),
    ] {
        for piece in [64, 1 << 20] {
            assert_eq!(read(&packed, piece), (written.clone(), vec![]));
        }
        let (found, faults) = read(&packed[..packed.len() - 9], 1 << 20);
        assert_eq!(found, written[..found.len()]);
        assert_eq!(faults.len(), 1, "{faults:?}");
        assert!(faults[0].what.contains("cut or damaged"), "{}", faults[0]);
    }
}

#[test]
fn files_are_merged_in_time_order() {
    let dir = Dir::new();
    // Given out of order: b lies within a, d overlaps a's end, c comes last and alone; one is packed.
    let a = frames(100, 1_000, 1);
    let b = frames(30, 1_020, 113);
    let c = frames(10, 2_000, 101);
    let d = frames(50, 1_080, 228);
    let paths = [
        dir.write("c", &Classic { link: 101, ..Classic::MICRO }.file(&c)),
        dir.write("d", &Classic { link: 228, order: Order::Big, ..Classic::MICRO }.file(&d)),
        dir.write("a", &gzip(&Classic::MICRO.file(&a))),
        dir.write("b", &Classic { link: 113, ..Classic::MICRO }.file(&b)),
    ];
    // Where stamps are equal, the file that began earlier comes first.
    let mut expected = [a, b, d, c].concat();
    expected.sort_by_key(|f| f.nanos);
    for piece in [1, 500, 5_000, 1 << 20] {
        assert_eq!(replay(&paths, piece), (expected.clone(), vec![]), "{piece}");
    }
    let order: Vec<_> = Replay::open(&paths).files().iter().map(|f| f.path.clone()).collect();
    assert_eq!(order, [2, 3, 1, 0].map(|i: usize| paths[i].clone()));
}

#[test]
fn order_within_a_file_is_kept_and_a_wild_stamp_holds_nothing_up() {
    let dir = Dir::new();
    let mut a = frames(40, 1_000, 1);
    a.swap(10, 12);
    a[20].nanos = 4_000_000_000_000_000_000;
    let b = frames(40, 1_000, 113);
    let paths = [
        dir.write("a", &Classic { magic: 0xa1b2_3c4d, ..Classic::MICRO }.file(&a)),
        dir.write("b", &Classic { link: 113, ..Classic::MICRO }.file(&b)),
    ];
    let (found, faults) = replay(&paths, 1 << 20);
    assert_eq!(faults, []);
    let of = |link| found.iter().filter(|f| f.link == link).cloned().collect::<Vec<_>>();
    assert_eq!((of(1), of(113)), (a, b));
    let late = found.windows(2).filter(|w| w[1].nanos < w[0].nanos).count();
    assert!(late <= 4, "{late} frames go back");
}

#[test]
fn a_directory_is_its_captures() {
    let dir = Dir::new();
    let (a, b) = (frames(5, 10, 1), frames(5, 20, 1));
    dir.write("z/first.weird", &Classic::MICRO.file(&a));
    dir.write("y/x/second.pcap.gz", &gzip(&Classic::MICRO.file(&b)));
    dir.write("README.md", b"# Captures\n");
    dir.write("list.json", b"{}");
    dir.write("empty", b"");
    dir.write("notes.gz", &gzip(b"some notes"));
    assert_eq!(replay(std::slice::from_ref(&dir.0), 1 << 20), ([a.clone(), b.clone()].concat(), vec![]));
    // What promises to be a capture and is none is told.
    dir.write("broken.pcap", b"not really");
    dir.write("sun.cap", b"snoop\0\0\0\0\0\0\x02\0\0\0\x04");
    let (found, faults) = replay(std::slice::from_ref(&dir.0), 1 << 20);
    assert_eq!(found, [a.clone(), b].concat());
    assert_eq!(faults.len(), 2, "{faults:?}");
    assert!(faults.iter().any(|f| f.what.contains("editcap")));
    let nothing = Dir::new();
    nothing.write("README", b"nothing here");
    let (found, faults) = replay(&[nothing.0.clone(), dir.0.join("z")], 1 << 20);
    assert_eq!((found, faults.len()), (a, 1));
    assert!(faults[0].what.contains("no capture"), "{faults:?}");
}

#[test]
fn a_missing_file_leaves_the_others() {
    let dir = Dir::new();
    let a = frames(5, 10, 1);
    let paths = [dir.0.join("absent.pcap"), dir.write("a.pcap", &Classic::MICRO.file(&a))];
    let (found, faults) = replay(&paths, 1 << 20);
    assert_eq!(found, a);
    assert_eq!((faults.len(), faults[0].file.as_path()), (1, paths[0].as_path()));
    assert_eq!(replay(&[], 10), (vec![], vec![]));
}

#[test]
fn more_files_than_descriptors() {
    let dir = Dir::new();
    let mut expected = Vec::new();
    for i in 0..1_500 {
        let written = frames(3, 1_000 + i * 2, 1);
        dir.write(&format!("{i:04}.pcap"), &Classic::MICRO.file(&written));
        expected.extend(written);
    }
    expected.sort_by_key(|f| f.nanos);
    assert_eq!(replay(std::slice::from_ref(&dir.0), 1 << 20), (expected, vec![]));
}

#[test]
fn more_files_at_once_than_may_be_open() {
    let dir = Dir::new();
    let mut count = 0;
    for i in 0..300 {
        let written = frames(20, 1_000, 1);
        count += written.len();
        dir.write(&format!("{i:04}.pcap"), &Classic::MICRO.file(&written));
    }
    let (found, faults) = replay(std::slice::from_ref(&dir.0), 1 << 20);
    assert_eq!((found.len(), faults.len()), (count, 1), "{faults:?}");
    assert!(faults[0].what.contains("overlap"));
}

#[cfg(target_os = "linux")]
#[test]
fn pipes_are_read_once_and_merged() {
    let dir = Dir::new();
    let (a, b) = (frames(200, 1_000, 1), frames(50, 1_020, 113));
    let pipe = dir.0.join("pipe");
    assert!(std::process::Command::new("mkfifo").arg(&pipe).status().unwrap().success());
    let bytes = Classic::MICRO.file(&a);
    let writer = std::thread::spawn({
        let pipe = pipe.clone();
        move || std::fs::write(pipe, bytes).unwrap()
    });
    let file = dir.write("b", &Classic { link: 113, ..Classic::MICRO }.file(&b));
    let mut replay = Replay::open(&[file, pipe]);
    let mut expected = [a, b].concat();
    expected.sort_by_key(|f| f.nanos);
    assert_eq!(drain(&mut replay), expected);
    assert_eq!(replay.progress().1, None, "a pipe has no size");
    writer.join().unwrap();
}

#[test]
fn what_is_no_capture_is_named() {
    for (bytes, word) in
        [(&b"GMBU\x01\x02"[..], "Network Monitor"), (b"hello, world\n", "text"), (b"\0\0", "few")]
    {
        let (found, faults) = read(bytes, 1 << 20);
        assert!(found.is_empty() && faults[0].what.contains(word), "{faults:?}");
    }
}
