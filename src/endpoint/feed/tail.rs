//! A log file that others write to: followed through rotation by renaming, truncation in place and compression.
//!
//! The open file is read to its end before the next begins. A file is known again by device and number, and by a hash of
//! its first bytes, so that a number that was used again or a file that was cut and has grown past the old place is
//! not taken for the same.

use super::places::{HEAD, Place, head_of};
use std::collections::VecDeque;
use std::fs::{self, File};
use std::io::{self, Read, Seek, SeekFrom};
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

/// A file met for the first time that is larger is read from this far before its end.
const FIRST: u64 = 64 << 20;
/// Bytes read at once.
const PIECE: usize = 1 << 16;
/// Files put away that are read after a break.
const MAX_BACKLOG: usize = 64;
/// Looks at a file that was renamed before it is given up: its writer may not have noticed yet.
const LINGER: u32 = 5;

/// What a tail hands on.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Piece<'p> {
    /// The next bytes.
    Bytes(&'p [u8]),
    /// The file has ended, or begins anew: what waits for more gets none.
    End,
}

/// See the module.
#[derive(Debug)]
pub struct Tail {
    path: PathBuf,
    open: Option<Open>,
    /// Where it stood in an earlier run.
    before: Option<Place>,
    /// Files put away since, to be read before the path itself.
    backlog: VecDeque<PathBuf>,
    /// Looks since the path became another file.
    renamed: u32,
    /// Only this one file: what takes its path later is somebody else's.
    alone: bool,
    piece: Vec<u8>,
}

#[derive(Debug)]
struct Open {
    file: File,
    place: Place,
}

impl Open {
    fn at(path: &Path, offset: u64) -> io::Result<Self> {
        let mut file = File::open(path)?;
        let meta = file.metadata()?;
        file.seek(SeekFrom::Start(offset))?;
        let mut open = Self {
            file,
            place: Place { device: meta.dev(), inode: meta.ino(), offset, head: 0, head_len: 0 },
        };
        open.learn_head()?;
        Ok(open)
    }

    fn head(&self, len: usize) -> io::Result<(u64, usize)> {
        let mut head = [0; HEAD];
        let mut got = 0;
        while got < len {
            match self.file.read_at(&mut head[got..len], got as u64)? {
                0 => break,
                n => got += n,
            }
        }
        Ok((head_of(&head[..got]), got))
    }

    /// A file that was short when it was met is known better when it has grown.
    fn learn_head(&mut self) -> io::Result<()> {
        if usize::from(self.place.head_len) < HEAD {
            let (head, len) = self.head(HEAD)?;
            (self.place.head, self.place.head_len) = (head, len as u16);
        }
        Ok(())
    }

    /// The file was cut in place.
    fn is_cut(&self) -> io::Result<bool> {
        let len = self.file.metadata()?.len();
        let head_len = usize::from(self.place.head_len);
        Ok(len < self.place.offset || self.head(head_len)? != (self.place.head, head_len))
    }
}

impl Place {
    /// The file is the one that was read to here.
    fn is(&self, path: &Path) -> bool {
        let Ok(open) = Open::at(path, 0) else { return false };
        let head = open.head(usize::from(self.head_len));
        let long = open.file.metadata().is_ok_and(|meta| meta.len() >= self.offset);
        long && open.place.device == self.device
            && open.place.inode == self.inode
            && head.is_ok_and(|(head, len)| head == self.head && len == usize::from(self.head_len))
    }
}

impl Tail {
    /// Follows a file, from where it stood if that is known.
    pub fn new(path: &Path, before: Option<Place>) -> Self {
        Self {
            path: path.to_owned(),
            open: None,
            before,
            backlog: VecDeque::new(),
            renamed: 0,
            alone: false,
            piece: vec![0; PIECE],
        }
    }

    /// Follows one file only, whatever is put in its place.
    pub fn alone(path: &Path, before: Option<Place>) -> Self {
        Self { alone: true, ..Self::new(path, before) }
    }

    /// Its path.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// How far it has been read, but for `waiting` bytes that are no record yet.
    pub fn place(&self, waiting: u64) -> Option<Place> {
        let place = self.open.as_ref()?.place;
        Some(Place { offset: place.offset.saturating_sub(waiting), ..place })
    }

    /// Hands on what is new, at most about `most` bytes. True: there may be more at once.
    pub fn poll(&mut self, most: usize, hand: &mut dyn FnMut(Piece<'_>)) -> io::Result<bool> {
        if self.open.is_none() && !self.begin(hand)? {
            return Ok(false);
        }
        let mut left = most;
        while let Some(open) = self.open.as_mut() {
            if open.is_cut()? {
                hand(Piece::End);
                open.file.seek(SeekFrom::Start(0))?;
                (open.place.offset, open.place.head_len) = (0, 0);
                open.learn_head()?;
            }
            let got = open.file.read(&mut self.piece)?;
            if got > 0 {
                open.place.offset += got as u64;
                open.learn_head()?;
                hand(Piece::Bytes(&self.piece[..got]));
                self.renamed = 0;
                left = left.saturating_sub(got);
                if left == 0 {
                    return Ok(true);
                }
                continue;
            }
            if !self.next(hand)? {
                return Ok(false);
            }
        }
        Ok(false)
    }

    /// Opens the file, or what was put away of it since it stood at its place.
    fn begin(&mut self, hand: &mut dyn FnMut(Piece<'_>)) -> io::Result<bool> {
        if let Some(place) = self.before.take() {
            if place.is(&self.path) {
                self.open = Some(Open::at(&self.path, place.offset)?);
                return Ok(true);
            }
            self.put_away(&place, hand)?;
            if self.open.is_some() {
                return Ok(true);
            }
            return self.open_at(0);
        }
        let len = match fs::metadata(&self.path) {
            Ok(meta) => meta.len(),
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
            Err(error) => return Err(error),
        };
        self.open_at(len.saturating_sub(FIRST))
    }

    fn open_at(&mut self, offset: u64) -> io::Result<bool> {
        match Open::at(&self.path, offset) {
            Ok(open) => self.open = Some(open),
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
            Err(error) => return Err(error),
        }
        Ok(true)
    }

    /// The open file is read to its end: goes on with the next, if there is one.
    fn next(&mut self, hand: &mut dyn FnMut(Piece<'_>)) -> io::Result<bool> {
        if let Some(path) = self.backlog.pop_front() {
            hand(Piece::End);
            self.open = Open::at(&path, 0).ok();
            return if self.open.is_some() { Ok(true) } else { self.open_at(0) };
        }
        let Some(open) = self.open.as_ref().filter(|_| !self.alone) else { return Ok(false) };
        let Ok(meta) = fs::metadata(&self.path) else { return Ok(false) };
        if (meta.dev(), meta.ino()) == (open.place.device, open.place.inode) {
            return Ok(false);
        }
        self.renamed += 1;
        if self.renamed < LINGER {
            return Ok(false);
        }
        self.renamed = 0;
        let old = open.place;
        hand(Piece::End);
        self.backlog = newer(&self.path, &old);
        match self.backlog.pop_front() {
            Some(path) => self.open = Open::at(&path, 0).ok(),
            None => self.open = None,
        }
        if self.open.is_some() { Ok(true) } else { self.open_at(0) }
    }

    /// Finds the file of a place among those that were put away, compressed or not, and reads the rest of it.
    fn put_away(&mut self, place: &Place, hand: &mut dyn FnMut(Piece<'_>)) -> io::Result<()> {
        for (path, _) in siblings(&self.path) {
            if place.is(&path) {
                self.open = Some(Open::at(&path, place.offset)?);
                self.backlog = newer(&self.path, place);
                return Ok(());
            }
        }
        for (path, written) in siblings(&self.path) {
            if let Some(mut rest) = compressed_rest(&path, place) {
                loop {
                    match rest.read(&mut self.piece) {
                        Ok(0) | Err(_) => break,
                        Ok(got) => hand(Piece::Bytes(&self.piece[..got])),
                    }
                }
                hand(Piece::End);
                let later =
                    siblings(&self.path).into_iter().filter(|(p, at)| *at > written && !is_compressed(p));
                self.backlog = later.map(|(p, _)| p).take(MAX_BACKLOG).collect();
                if let Some(next) = self.backlog.pop_front() {
                    self.open = Open::at(&next, 0).ok();
                }
                return Ok(());
            }
        }
        Ok(())
    }
}

/// Whether a name says that the file is compressed.
pub(super) fn is_compressed(path: &Path) -> bool {
    path.extension().is_some_and(|end| end.eq_ignore_ascii_case("gz") || end.eq_ignore_ascii_case("zst"))
}

/// Files beside a log that begin with its name, the oldest first.
fn siblings(path: &Path) -> Vec<(PathBuf, SystemTime)> {
    let (Some(dir), Some(name)) = (path.parent(), path.file_name().and_then(|n| n.to_str())) else {
        return Vec::new();
    };
    let dir = if dir.as_os_str().is_empty() { Path::new(".") } else { dir };
    let Ok(entries) = fs::read_dir(dir) else { return Vec::new() };
    let stem = Path::new(name).file_stem().and_then(|s| s.to_str()).unwrap_or(name);
    let mut found = Vec::new();
    for entry in entries.flatten().take(65_536) {
        let file = entry.file_name();
        let beside = file.to_str().is_some_and(|f| {
            let rest = f.strip_prefix(name).or_else(|| f.strip_prefix(stem)).unwrap_or("");
            let mut chars = rest.chars();
            matches!(chars.next(), Some('.' | '-' | '_')) && chars.next().is_some_and(|c| c.is_ascii_digit())
        });
        if beside
            && let Ok(meta) = entry.metadata()
            && meta.is_file()
        {
            found.push((entry.path(), meta.modified().unwrap_or(SystemTime::UNIX_EPOCH)));
        }
    }
    found.sort_by(|a, b| a.1.cmp(&b.1).then(a.0.cmp(&b.0)));
    found
}

/// Files put away after the one of a place, the oldest first.
fn newer(path: &Path, place: &Place) -> VecDeque<PathBuf> {
    let all = siblings(path);
    let is_it = |p: &Path| fs::metadata(p).is_ok_and(|m| (m.dev(), m.ino()) == (place.device, place.inode));
    let Some(at) = all.iter().position(|(p, _)| is_it(p)) else { return VecDeque::new() };
    all.into_iter().skip(at + 1).map(|(p, _)| p).filter(|p| !is_compressed(p)).take(MAX_BACKLOG).collect()
}

/// What a compressed file has beyond a place, if it is the file of that place.
fn compressed_rest(path: &Path, place: &Place) -> Option<Box<dyn Read>> {
    if !is_compressed(path) || place.head_len == 0 {
        return None;
    }
    let mut plain = super::super::file::plain(File::open(path).ok()?).ok()?;
    let mut head = vec![0; usize::from(place.head_len)];
    plain.read_exact(&mut head).ok()?;
    if head_of(&head) != place.head {
        return None;
    }
    let skip = place.offset.checked_sub(u64::from(place.head_len))?;
    io::copy(&mut plain.by_ref().take(skip), &mut io::sink()).ok()?;
    Some(plain)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    struct Log {
        dir: PathBuf,
        path: PathBuf,
    }

    impl Log {
        fn new(name: &str) -> Self {
            let dir = std::env::temp_dir().join(format!("egret-tail-{}-{name}", std::process::id()));
            let _ = fs::remove_dir_all(&dir);
            fs::create_dir_all(&dir).expect("a directory");
            Self { path: dir.join("x.log"), dir }
        }

        fn write(&self, text: &str) {
            let mut file = File::options().create(true).append(true).open(&self.path).expect("the log");
            file.write_all(text.as_bytes()).expect("room");
        }

        fn rename(&self, to: &str) {
            fs::rename(&self.path, self.dir.join(to)).expect("renamed");
        }
    }

    impl Drop for Log {
        fn drop(&mut self) {
            let _ = fs::remove_dir_all(&self.dir);
        }
    }

    /// What comes, with `|` where a file ends.
    fn read(tail: &mut Tail) -> String {
        let mut got = String::new();
        for _ in 0..20 {
            tail.poll(1 << 20, &mut |piece| match piece {
                Piece::Bytes(bytes) => got.push_str(&String::from_utf8_lossy(bytes)),
                Piece::End => got.push('|'),
            })
            .expect("readable");
        }
        got
    }

    #[test]
    fn a_file_that_grows_and_comes_late() {
        let log = Log::new("grows");
        let mut tail = Tail::new(&log.path, None);
        assert_eq!(read(&mut tail), "");
        log.write("a\n");
        assert_eq!(read(&mut tail), "a\n");
        log.write("b\nc");
        assert_eq!(read(&mut tail), "b\nc");
        assert_eq!(tail.place(1).map(|p| p.offset), Some(4));
    }

    #[test]
    fn rotation_by_renaming_loses_nothing() {
        let log = Log::new("renamed");
        let mut tail = Tail::new(&log.path, None);
        log.write("a\n");
        assert_eq!(read(&mut tail), "a\n");
        log.write("b\n");
        log.rename("x.log.1");
        // The writer has not noticed yet.
        File::options()
            .append(true)
            .open(log.dir.join("x.log.1"))
            .expect("open")
            .write_all(b"late\n")
            .expect("room");
        log.write("c\n");
        assert_eq!(read(&mut tail), "b\nlate\n|c\n");
    }

    #[test]
    fn truncation_in_place_begins_anew_also_when_it_has_grown_past_the_place() {
        let log = Log::new("cut");
        let mut tail = Tail::new(&log.path, None);
        log.write("first line\n");
        assert_eq!(read(&mut tail), "first line\n");
        fs::write(&log.path, "x\n").expect("cut");
        assert_eq!(read(&mut tail), "|x\n");
        fs::write(&log.path, "another and much longer line\n").expect("cut");
        assert_eq!(read(&mut tail), "|another and much longer line\n");
    }

    #[test]
    fn goes_on_after_a_restart() {
        let log = Log::new("restart");
        log.write("a\nb\n");
        let mut tail = Tail::new(&log.path, None);
        assert_eq!(read(&mut tail), "a\nb\n");
        let place = tail.place(0);
        log.write("c\n");
        assert_eq!(read(&mut Tail::new(&log.path, place)), "c\n");
        // Twice rotated meanwhile.
        log.rename("x.log.2");
        log.write("d\n");
        std::thread::sleep(std::time::Duration::from_millis(20));
        log.rename("x.log.1");
        log.write("e\n");
        assert_eq!(read(&mut Tail::new(&log.path, place)), "c\n|d\n|e\n");
        // And compressed.
        let old = fs::read(log.dir.join("x.log.2")).expect("read");
        let mut gz = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        gz.write_all(&old).expect("room");
        let written = fs::metadata(log.dir.join("x.log.2")).and_then(|m| m.modified()).expect("a time");
        fs::write(log.dir.join("x.log.2.gz"), gz.finish().expect("room")).expect("room");
        File::options()
            .write(true)
            .open(log.dir.join("x.log.2.gz"))
            .and_then(|f| f.set_modified(written))
            .expect("set");
        fs::remove_file(log.dir.join("x.log.2")).expect("removed");
        assert_eq!(read(&mut Tail::new(&log.path, place)), "c\n|d\n|e\n");
    }

    #[test]
    fn a_place_of_another_file_is_not_believed() {
        let log = Log::new("other");
        log.write("aaaa\nbbbb\n");
        let mut tail = Tail::new(&log.path, None);
        read(&mut tail);
        let place = tail.place(0);
        fs::write(&log.path, "another file with the same number\n").expect("cut");
        assert_eq!(read(&mut Tail::new(&log.path, place)), "another file with the same number\n");
    }
}
