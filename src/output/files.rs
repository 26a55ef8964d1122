//! The files of one output. Lines are buffered and go out whole.

use super::file::{Keeping, OutputConfig};
use super::rotate::{self, Rotation};
use crate::units::Timestamp;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Seek as _, SeekFrom, Write as _};
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

/// Bytes held back per file before they are written.
pub(super) const BUFFER_LEN: usize = 256 * 1024;
/// Bytes looked through at a time for the last line end of an earlier run's file.
const STEP_LEN: u64 = 64 * 1024;

/// The files of one output: opened at the first line, by number in [`super::Output::files`].
pub struct Files {
    dir: PathBuf,
    mode: u32,
    keeping: Keeping,
    names: &'static [&'static str],
    slots: Vec<Slot>,
    lines: u64,
    dropped: u64,
    fault: Option<io::Error>,
    /// The machine's time, as far as rotation needs it.
    now: Timestamp,
}

#[derive(Default)]
struct Slot {
    open: Option<LineFile>,
    /// The file is to be there even without a line.
    always: bool,
}

struct LineFile {
    path: PathBuf,
    file: File,
    buffer: Vec<u8>,
    /// Lines in the buffer.
    waiting: u64,
    /// Bytes in the file, all of them whole lines.
    len: u64,
    /// When it was begun.
    began: Timestamp,
}

impl Files {
    pub(super) fn new(config: &OutputConfig, names: &'static [&'static str]) -> Self {
        let now = match config.keeping {
            Keeping::Rotate(_) => stamp(SystemTime::now()),
            Keeping::Replace | Keeping::Append => Timestamp::default(),
        };
        Self {
            dir: config.dir.clone(),
            mode: config.mode,
            keeping: config.keeping,
            names,
            slots: names.iter().map(|_| Slot::default()).collect(),
            lines: 0,
            dropped: 0,
            fault: None,
            now,
        }
    }

    /// Names of the files.
    pub(super) fn names(&self) -> &'static [&'static str] {
        self.names
    }

    /// Deals with what an earlier run has left under our names. Pipes and devices are left alone.
    pub(super) fn settle_earlier(&self) -> io::Result<()> {
        for name in self.names {
            let path = self.dir.join(name);
            let Some(about) = fs::symlink_metadata(&path).ok().filter(fs::Metadata::is_file) else {
                continue;
            };
            let settled = match self.keeping {
                // A log that this run has no record for must not seem to be of this run. What cannot be removed
                // shows when it is opened.
                Keeping::Replace => fs::remove_file(&path).or(Ok(())),
                Keeping::Append => cut_half_line(&path).map(drop),
                Keeping::Rotate(_) => self.put_away_earlier(name, &path, &about),
            };
            settled.map_err(|e| with_path(&e, &path))?;
        }
        Ok(())
    }

    fn put_away_earlier(&self, name: &str, path: &Path, about: &fs::Metadata) -> io::Result<()> {
        if cut_half_line(path)? == 0 {
            return fs::remove_file(path);
        }
        let to = about.modified().map_or(self.now, stamp);
        // Not every file system knows when a file was made.
        let from = about.created().map_or(to, stamp).min(to);
        fs::rename(path, rotate::place(&self.dir, name, from, to, self.mode)?)
    }

    /// Opens file number `file` now, and after each rotation, even if no line ever comes.
    pub fn create(&mut self, file: usize) -> io::Result<()> {
        if let Some(slot) = self.slots.get_mut(file) {
            slot.always = true;
        }
        self.open(file)
    }

    fn open(&mut self, file: usize) -> io::Result<()> {
        let (Some(name), Some(slot)) = (self.names.get(file), self.slots.get_mut(file)) else {
            return Ok(());
        };
        if slot.open.is_none() {
            let path = self.dir.join(name);
            let opened = LineFile::open(&path, self.mode, self.keeping != Keeping::Replace, self.now);
            slot.open = Some(opened.map_err(|e| with_path(&e, &path))?);
        }
        Ok(())
    }

    /// Whether file number `file` is open.
    pub fn is_open(&self, file: usize) -> bool {
        self.slots.get(file).is_some_and(|slot| slot.open.is_some())
    }

    /// Appends one line to file number `file`; `fill` writes it without the line end.
    pub fn line(&mut self, file: usize, fill: impl FnOnce(&mut Vec<u8>)) {
        self.lines += 1;
        self.append(file, 1, fill);
    }

    /// Appends a line that is no record (a header or footer) and not counted.
    pub fn remark(&mut self, file: usize, fill: impl FnOnce(&mut Vec<u8>)) {
        self.append(file, 0, fill);
    }

    fn append(&mut self, file: usize, count: u64, fill: impl FnOnce(&mut Vec<u8>)) {
        if let Err(e) = self.open(file) {
            self.fault.get_or_insert(e);
        }
        let Some(open) = self.slots.get_mut(file).and_then(|slot| slot.open.as_mut()) else {
            self.dropped += count;
            return;
        };
        fill(&mut open.buffer);
        open.buffer.push(b'\n');
        open.waiting += count;
        if open.buffer.len() >= BUFFER_LEN {
            self.flush_one(file);
        }
    }

    pub(super) fn flush(&mut self) {
        for file in 0..self.slots.len() {
            self.flush_one(file);
        }
    }

    fn flush_one(&mut self, file: usize) {
        let Some(open) = self.slots.get_mut(file).and_then(|slot| slot.open.as_mut()) else { return };
        if let Err(e) = open.flush() {
            self.dropped += open.waiting;
            self.fault.get_or_insert_with(|| with_path(&e, &open.path));
        }
        open.buffer.clear();
        open.waiting = 0;
    }

    /// The machine's time is `now`. Gives the files that are to be put away.
    pub(super) fn due(&mut self, now: Timestamp) -> Vec<usize> {
        self.now = now;
        let Keeping::Rotate(rotation) = self.keeping else { return Vec::new() };
        let due = |slot: &mut Slot| slot.open.as_mut().is_some_and(|open| open.is_due(rotation, now));
        self.slots.iter_mut().enumerate().filter_map(|(i, slot)| due(slot).then_some(i)).collect()
    }

    /// Puts file number `file` away, whose last line has been written. Gives its new place. A file that cannot be
    /// moved is written on, and tried again.
    pub(super) fn put_away(&mut self, file: usize) -> io::Result<Option<PathBuf>> {
        self.flush_one(file);
        let (Some(name), Some(slot)) = (self.names.get(file), self.slots.get_mut(file)) else {
            return Ok(None);
        };
        let Some(open) = &mut slot.open else { return Ok(None) };
        let moved = rotate::place(&self.dir, name, open.began, self.now, self.mode)
            .and_then(|place| fs::rename(&open.path, &place).map(|()| place))
            .map_err(|e| with_path(&e, &open.path));
        if moved.is_err() {
            // Tried again when it is due again, not every second.
            open.began = self.now;
            return moved.map(Some);
        }
        slot.open = None;
        if slot.always {
            self.open(file)?;
        }
        moved.map(Some)
    }

    /// Closes every file and opens those anew that are to be there always: somebody has moved them.
    pub(super) fn reopen(&mut self) -> io::Result<()> {
        self.flush();
        for file in 0..self.slots.len() {
            let Some(slot) = self.slots.get_mut(file) else { continue };
            slot.open = None;
            if slot.always {
                self.open(file)?;
            }
        }
        Ok(())
    }

    /// Number of files that there may be.
    pub(super) const fn count(&self) -> usize {
        self.slots.len()
    }

    pub(super) const fn lines(&self) -> u64 {
        self.lines
    }

    pub(super) const fn dropped(&self) -> u64 {
        self.dropped
    }

    /// The first fault since the last call.
    pub(super) fn take_fault(&mut self) -> Option<io::Error> {
        self.fault.take()
    }

    /// The files that are open.
    pub(super) fn paths(&self) -> impl Iterator<Item = PathBuf> {
        self.slots.iter().filter_map(|slot| Some(slot.open.as_ref()?.path.clone()))
    }
}

impl LineFile {
    fn open(path: &Path, mode: u32, append: bool, now: Timestamp) -> io::Result<Self> {
        let mut options = OpenOptions::new();
        options.create(true);
        if append {
            options.append(true);
        } else {
            options.write(true).truncate(true);
        }
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, mode);
        let file = options.open(path)?;
        let about = file.metadata()?;
        #[cfg(unix)]
        if about.is_file() {
            // The umask may have taken away what the site asked for; other readers depend on it.
            let _ = file.set_permissions(std::os::unix::fs::PermissionsExt::from_mode(mode));
        }
        let buffer = Vec::with_capacity(BUFFER_LEN + BUFFER_LEN / 8);
        Ok(Self { path: path.to_path_buf(), file, buffer, waiting: 0, len: about.len(), began: now })
    }

    fn flush(&mut self) -> io::Result<()> {
        let written = self.file.write_all(&self.buffer);
        if written.is_ok() {
            self.len += self.buffer.len() as u64;
        } else if self.file.metadata().is_ok_and(|about| about.len() > self.len) {
            // The buffer may have gone out in part: back to the last whole line. A pipe cannot, and need not.
            let _ = self.file.set_len(self.len);
            let _ = self.file.seek(SeekFrom::Start(self.len));
        }
        written
    }

    fn is_due(&mut self, rotation: Rotation, now: Timestamp) -> bool {
        let len = self.len + self.buffer.len() as u64;
        if len == 0 {
            // What is empty begins with its first line.
            self.began = now;
        }
        rotation.is_due(self.began, now, len) && self.file.metadata().is_ok_and(|about| about.is_file())
    }
}

/// Cuts off what stands behind the last line end: a run that was killed may have written half a line. Gives the length.
fn cut_half_line(path: &Path) -> io::Result<u64> {
    let mut file = OpenOptions::new().read(true).write(true).open(path)?;
    let len = file.metadata()?.len();
    let mut end = len;
    let mut piece = Vec::new();
    while end > 0 {
        let start = end.saturating_sub(STEP_LEN);
        file.seek(SeekFrom::Start(start))?;
        piece.clear();
        Read::take(&mut file, end - start).read_to_end(&mut piece)?;
        if let Some(at) = piece.iter().rposition(|b| *b == b'\n') {
            end = start + at as u64 + 1;
            break;
        }
        end = start;
    }
    if end < len {
        file.set_len(end)?;
    }
    Ok(end)
}

fn stamp(at: SystemTime) -> Timestamp {
    let since = at.duration_since(UNIX_EPOCH).unwrap_or_default();
    Timestamp::new(since.as_secs() as i64, i64::from(since.subsec_nanos()))
}

fn with_path(e: &io::Error, path: &Path) -> io::Error {
    io::Error::new(e.kind(), format!("{}: {e}", path.display()))
}
