//! Replay of capture files: many files as one stream of frames in time order.
//!
//! Each file is looked into once to learn its first stamp and closed again; it is opened for good when the merge
//! reaches that stamp. While the stamps of a piece lie before all that other files have to give, the piece is handed
//! on as it was read. Only where files overlap in time are frames copied together, by their recorded stamps; the
//! order within a file is never changed.

use super::input::Input;
use super::listing::{self, Found};
use super::{Batch, Fault, Slot, Source, foreign};
use crate::units::{Span, Timestamp};
use std::cmp::Reverse;
use std::collections::binary_heap::PeekMut;
use std::collections::{BinaryHeap, VecDeque};
use std::path::PathBuf;

/// Bytes read at a time: large enough that the calls cost nothing, small enough that the bytes are still in the
/// cache when they are decoded.
pub const PIECE: usize = 256 << 10;
/// The same while files overlap: each has a piece in memory.
const PIECE_MERGED: usize = 256 << 10;
/// Bytes read of each file to learn its first stamp.
const PIECE_FIRST: usize = 16 << 10;
/// Most files open at once, for memory and descriptors.
const OPEN_MAX: usize = 256;
/// A stamp this far ahead of the frame behind it is doubted in the merge, so that one wild stamp does not hold its
/// file back until all others have ended.
const LEAP: Span = Span::from_secs(3_600);

/// One file of a replay.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Opened {
    /// Its path (`-` for standard input).
    pub path: PathBuf,
    /// Frames read so far.
    pub packets: u64,
    /// Size on disk, where it has one.
    pub size: Option<u64>,
}

/// A file whose time has not come.
struct Pending {
    first: Timestamp,
    /// Position in `Replay::files`.
    file: usize,
    /// Kept open, with the first piece: standard input and pipes give their bytes only once.
    kept: Option<(Input, Batch)>,
}

/// What is known of a file before its time has come.
type Look = (Timestamp, Opened, Option<(Input, Batch)>);

/// A file that the merge has reached.
struct Active {
    file: usize,
    /// Position in the order of first stamps: the earlier file goes first where stamps are equal.
    rank: usize,
    input: Input,
    batch: Batch,
    /// First slot of `batch` not handed on.
    next: usize,
}

/// Replays files, see the module.
pub struct Replay {
    files: Vec<Opened>,
    pending: VecDeque<Pending>,
    /// Places are reused; `heads` refers to them.
    active: Vec<Option<Active>>,
    /// Stamp, rank and place of the next frame of every active file that has a piece.
    heads: BinaryHeap<Reverse<(Timestamp, usize, usize)>>,
    open: usize,
    ranks: usize,
    told_full: bool,
    faults: Vec<Fault>,
    /// Disk bytes of files that have ended.
    finished: u64,
    piece: usize,
}

impl Replay {
    /// Looks into the files that `paths` stand for: a directory is its captures, at any depth, and `-` is standard
    /// input. What cannot be read is told by [`Source::faults`], and the rest is replayed.
    pub fn open(paths: &[PathBuf]) -> Self {
        Self::with_piece(paths, PIECE)
    }

    /// As [`Replay::open`], reading `piece` bytes at a time.
    pub fn with_piece(paths: &[PathBuf], piece: usize) -> Self {
        let mut faults = Vec::new();
        let found = listing::list(paths, &mut faults);
        let mut replay = Self {
            files: Vec::new(),
            pending: VecDeque::new(),
            active: Vec::new(),
            heads: BinaryHeap::new(),
            open: 0,
            ranks: 0,
            told_full: false,
            faults,
            finished: 0,
            piece: piece.max(1),
        };
        replay.look_into(found, paths);
        replay
    }

    /// The files in the order in which they are replayed, with the frames read so far.
    pub fn files(&self) -> &[Opened] {
        &self.files
    }

    fn look_into(&mut self, found: Vec<Found>, paths: &[PathBuf]) {
        let alone = found.len() == 1 && found.iter().all(|f| f.named);
        let mut waiting = Vec::new();
        let mut batch = Batch::default();
        for file in found {
            waiting.extend(self.first_look(file, alone, &mut batch));
        }
        for path in paths.iter().filter(|p| p.is_dir()) {
            let mut known = waiting.iter().map(|(_, opened, _)| opened).chain(&self.files).map(|o| &o.path);
            let told = self.faults.iter().any(|f| f.file.starts_with(path));
            if !told && !known.any(|file| file.starts_with(path)) {
                let what = "no capture in this directory".to_owned();
                self.faults.push(Fault { file: path.clone(), offset: None, what });
            }
        }
        // Stable: files with the same first stamp stay in the order in which they were given.
        waiting.sort_by_key(|(first, ..)| *first);
        let empty = std::mem::take(&mut self.files);
        for (first, opened, kept) in waiting {
            self.pending.push_back(Pending { first, file: self.files.len(), kept });
            self.files.push(opened);
        }
        self.files.extend(empty);
    }

    /// The first stamp of a file. None: nothing to replay in it.
    fn first_look(&mut self, file: Found, alone: bool, batch: &mut Batch) -> Option<Look> {
        let Found { path, named } = file;
        let mut input = match Input::open(&path, PIECE_FIRST) {
            Ok(input) => input,
            Err(e) => {
                self.faults.push(Fault { file: path, offset: None, what: format!("cannot be opened: {e}") });
                return None;
            }
        };
        let opened = Opened { path, packets: 0, size: input.stream().size() };
        if alone {
            input.set_piece(self.piece);
            return Some((Timestamp::MIN, opened, Some((input, Batch::default()))));
        }
        if input.fill(batch) {
            let first = batch.slots.first().map_or(Timestamp::MIN, |slot| believed(slot, batch.slots.get(1)));
            let once = opened.size.is_none();
            let kept = once.then(|| (input, std::mem::take(batch)));
            return Some((first, opened, kept));
        }
        // No frame in it. In a directory lie other things than captures; they are no trouble.
        let skip = input.foreign().is_some_and(|head| {
            !named && !foreign::is_capture(head) && !listing::promises_capture(&opened.path)
        });
        if !skip {
            self.faults.extend(input.take_fault());
            self.finished += opened.size.unwrap_or(0);
            self.files.push(opened);
        }
        None
    }

    /// Sees to it that every file whose time has come is open and has a next frame.
    /// False: all files have ended.
    fn ready(&mut self) -> bool {
        loop {
            let head = self.heads.peek().map(|Reverse((at, ..))| *at);
            let due = match (self.pending.front(), head) {
                (None, _) => false,
                (Some(_), None) => true,
                (Some(next), Some(at)) => next.first < at,
            };
            if due && self.has_room() {
                self.activate();
            } else {
                return self.open > 0;
            }
        }
    }

    fn has_room(&mut self) -> bool {
        let room = self.open < OPEN_MAX;
        if !room && !self.told_full {
            self.told_full = true;
            if let Some(file) = self.pending.front().and_then(|p| self.files.get(p.file)) {
                let what = format!(
                    "more than {OPEN_MAX} files overlap in time; this one is read later than its time"
                );
                self.faults.push(Fault { file: file.path.clone(), offset: None, what });
            }
        }
        room
    }

    /// Opens the next pending file.
    fn activate(&mut self) {
        let Some(Pending { file, kept, .. }) = self.pending.pop_front() else { return };
        let Some(opened) = self.files.get_mut(file) else { return };
        let open = || Input::open(&opened.path, self.piece).map(|input| (input, Batch::default()));
        let (input, batch) = match kept.map_or_else(open, Ok) {
            Ok(input) => input,
            Err(e) => {
                let what = format!("cannot be opened: {e}");
                self.faults.push(Fault { file: opened.path.clone(), offset: None, what });
                self.finished += opened.size.unwrap_or(0);
                return;
            }
        };
        opened.packets += batch.slots.len() as u64;
        let rank = self.ranks;
        self.ranks += 1;
        let active = Active { file, rank, input, batch, next: 0 };
        self.open += 1;
        let head = active.head();
        let free = self.active.iter().position(Option::is_none);
        let place = free.unwrap_or(self.active.len());
        match self.active.get_mut(place) {
            Some(slot) => *slot = Some(active),
            None => self.active.push(Some(active)),
        }
        if let Some(at) = head {
            self.heads.push(Reverse((at, rank, place)));
        } else if self.open > 1 || !self.pending.is_empty() {
            self.refill(place);
        }
        // Otherwise it is the only file left and reads straight into the batches of its caller.
    }

    /// Reads the next piece of an active file, or ends it.
    fn refill(&mut self, place: usize) {
        let Some(Some(active)) = self.active.get_mut(place) else { return };
        let overlaps = self.open > 1;
        active.input.set_piece(if overlaps { self.piece.min(PIECE_MERGED) } else { self.piece });
        active.next = 0;
        if !active.input.fill(&mut active.batch) {
            return self.retire(place);
        }
        if let Some(file) = self.files.get_mut(active.file) {
            file.packets += active.batch.slots.len() as u64;
        }
        if let Some(at) = active.head() {
            self.heads.push(Reverse((at, active.rank, place)));
        }
    }

    fn retire(&mut self, place: usize) {
        let Some(mut active) = self.active.get_mut(place).and_then(Option::take) else { return };
        self.open -= 1;
        self.faults.extend(active.input.take_fault());
        let disk = active.input.stream();
        self.finished += disk.size().unwrap_or_else(|| disk.disk_bytes());
    }

    /// The place of the one file that is left, if its piece has been used up.
    fn alone(&self) -> Option<usize> {
        let left = self.open == 1 && self.pending.is_empty() && self.heads.is_empty();
        if left { self.active.iter().position(Option::is_some) } else { None }
    }

    /// Reads the next piece of the only file left into `batch`.
    fn read_through(&mut self, place: usize, batch: &mut Batch) -> bool {
        let Some(Some(active)) = self.active.get_mut(place) else { return false };
        active.input.set_piece(self.piece);
        if !active.input.fill(batch) {
            self.retire(place);
            return false;
        }
        if let Some(file) = self.files.get_mut(active.file) {
            file.packets += batch.slots.len() as u64;
        }
        true
    }

    /// Hands on the whole piece of the file whose turn it is, if no other file has a frame to go before its last.
    fn pass(&mut self, batch: &mut Batch) -> bool {
        let Some(Reverse((_, rank, place))) = self.heads.pop() else { return false };
        let others = self.heads.peek().map(|Reverse((at, ..))| *at);
        let limit = match (others, self.pending.front().map(|p| p.first)) {
            (Some(a), Some(b)) => Some(a.min(b)),
            (a, b) => a.or(b),
        };
        let Some(Some(active)) = self.active.get_mut(place) else { return false };
        let whole = active.next == 0 && limit.is_none_or(|limit| active.latest() < limit);
        if whole {
            std::mem::swap(batch, &mut active.batch);
            active.batch.clear();
            let last = self.open == 1 && self.pending.is_empty();
            if !last {
                self.refill(place);
            }
        } else if let Some(at) = active.head() {
            self.heads.push(Reverse((at, rank, place)));
        }
        whole
    }

    /// Copies frames of all active files together until `batch` has a piece of them.
    fn merge(&mut self, batch: &mut Batch) {
        let mut used = 0;
        while used < self.piece && self.ready() {
            let opens = self.pending.front().filter(|_| self.open < OPEN_MAX).map(|p| p.first);
            let Some(mut top) = self.heads.peek_mut() else { return };
            let Reverse((at, _, place)) = *top;
            if opens.is_some_and(|first| first < at) {
                continue;
            }
            let Some(Some(active)) = self.active.get_mut(place) else {
                PeekMut::pop(top);
                continue;
            };
            used = active.hand_on(batch, used);
            match active.head() {
                Some(next) => top.0.0 = next,
                None => {
                    PeekMut::pop(top);
                    // What is left can be read with no copy if it is alone.
                    if self.open == 1 && self.pending.is_empty() {
                        return;
                    }
                    self.refill(place);
                }
            }
        }
    }
}

impl Active {
    /// The stamp by which the next frame is merged.
    fn head(&self) -> Option<Timestamp> {
        let slot = self.batch.slots.get(self.next)?;
        Some(believed(slot, self.batch.slots.get(self.next + 1)))
    }

    /// The latest stamp of the piece.
    fn latest(&self) -> Timestamp {
        let slots = &self.batch.slots;
        let behind = slots.iter().skip(1).map(Some).chain([None]);
        slots.iter().zip(behind).map(|(slot, next)| believed(slot, next)).max().unwrap_or(Timestamp::MIN)
    }

    /// Copies the next frame to byte `used` of `batch`. Gives the end of what is used.
    fn hand_on(&mut self, batch: &mut Batch, used: usize) -> usize {
        let Some(slot) = self.batch.slots.get(self.next) else { return used };
        self.next += 1;
        let bytes = self.batch.frame_bytes(slot);
        let end = used + bytes.len();
        if let Some(room) = batch.room(end).get_mut(used..end) {
            room.copy_from_slice(bytes);
        }
        batch.slots.push(Slot { offset: used as u32, ..*slot });
        end
    }
}

/// A frame's stamp for merging; that of the frame behind it where its own is wildly ahead of it.
fn believed(slot: &Slot, next: Option<&Slot>) -> Timestamp {
    match next {
        Some(next) if slot.at.since(next.at) > LEAP => next.at,
        _ => slot.at,
    }
}

impl Source for Replay {
    fn fill(&mut self, batch: &mut Batch) -> bool {
        batch.clear();
        while self.ready() {
            if let Some(place) = self.alone() {
                if self.read_through(place, batch) {
                    return true;
                }
            } else if self.pass(batch) {
                return true;
            } else {
                self.merge(batch);
                if !batch.slots.is_empty() {
                    return true;
                }
            }
        }
        false
    }

    fn faults(&self) -> &[Fault] {
        &self.faults
    }

    fn progress(&self) -> (u64, Option<u64>) {
        let running: u64 = self.active.iter().flatten().map(|a| a.input.stream().disk_bytes()).sum();
        let total = self.files.iter().map(|f| f.size).sum();
        (self.finished + running, total)
    }
}
