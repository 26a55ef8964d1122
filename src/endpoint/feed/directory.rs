//! A directory of logs: every file in it is followed, compressed ones are read once when they have stopped growing.
//!
//! Files are known by their number, so that a rotation within the directory is no new log.

use super::places::{HEAD, Places, head_of};
use super::tail::{Piece, Tail, is_compressed};
use crate::detect::Map;
use std::fs;
use std::io::{self, Read};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// Files followed.
const MAX_FILES: usize = 4_096;

/// A file in the directory.
#[derive(Debug)]
enum Entry {
    Followed(Box<Tail>),
    /// Compressed: its size at the last look.
    Growing(u64),
    Done,
}

/// See the module.
#[derive(Debug)]
pub struct Directory {
    path: PathBuf,
    files: Map<(u64, u64), (PathBuf, Entry)>,
    /// Beginnings of files that were followed: their compressed copies are nothing new.
    heads: Vec<(u64, u16)>,
    /// Files that found no room.
    pub refused: u64,
}

impl Directory {
    /// Follows the files of a directory.
    pub fn new(path: &Path) -> Self {
        Self { path: path.to_owned(), files: Map::default(), heads: Vec::new(), refused: 0 }
    }

    /// Looks for new files.
    pub fn look(&mut self, places: &Places) -> io::Result<()> {
        for entry in fs::read_dir(&self.path)?.take(1 << 16) {
            let entry = entry?;
            let Ok(meta) = entry.metadata() else { continue };
            let hidden = entry.file_name().to_string_lossy().starts_with('.');
            if !meta.is_file() || hidden {
                continue;
            }
            let (key, path) = ((meta.dev(), meta.ino()), entry.path());
            if let Some((known, _)) = self.files.get_mut(&key) {
                known.clone_from(&path);
                continue;
            }
            if self.files.len() >= MAX_FILES {
                self.refused += 1;
                continue;
            }
            let before = places.of(&path).filter(|p| (p.device, p.inode) == key);
            let entry = match (is_compressed(&path), before) {
                (true, Some(_)) => Entry::Done,
                (true, None) => Entry::Growing(u64::MAX),
                (false, before) => Entry::Followed(Box::new(Tail::alone(&path, before))),
            };
            self.files.insert(key, (path, entry));
        }
        Ok(())
    }

    /// Hands on what is new: the path of the file, and a piece of it. The closure gives the bytes that are no record
    /// yet.
    pub fn poll(
        &mut self,
        most: usize,
        places: &mut Places,
        hand: &mut dyn FnMut(&Path, Piece<'_>) -> u64,
    ) -> io::Result<bool> {
        let mut more = false;
        let mut keys: Vec<_> = self.files.keys().copied().collect();
        keys.sort_unstable();
        for key in keys {
            let Some((path, entry)) = self.files.get_mut(&key) else { continue };
            match entry {
                Entry::Followed(tail) => {
                    let mut waiting = 0;
                    more |= tail.poll(most, &mut |piece| waiting = hand(path, piece))?;
                    if let Some(place) = tail.place(waiting) {
                        places.set(path, place);
                        let head = (place.head, place.head_len);
                        if place.head_len > 0 && !self.heads.contains(&head) && self.heads.len() < MAX_FILES {
                            self.heads.push(head);
                        }
                    }
                }
                Entry::Growing(size) => {
                    let now = fs::metadata(&*path).map_or(0, |m| m.len());
                    if std::mem::replace(size, now) == now {
                        compressed(path, &self.heads, hand)?;
                        places.set(
                            path,
                            super::Place { device: key.0, inode: key.1, offset: now, ..Default::default() },
                        );
                        *entry = Entry::Done;
                    }
                }
                Entry::Done => {}
            }
        }
        Ok(more)
    }
}

/// Reads a compressed file, unless it is a copy of one that was followed.
fn compressed(
    path: &Path,
    heads: &[(u64, u16)],
    hand: &mut dyn FnMut(&Path, Piece<'_>) -> u64,
) -> io::Result<()> {
    let mut plain = super::super::file::plain(fs::File::open(path)?)?;
    let mut piece = vec![0; 1 << 16];
    let mut first = true;
    loop {
        // What is broken ends here; what was whole has been handed on.
        let got = plain.read(&mut piece).unwrap_or(0);
        let Some(bytes) = piece.get(..got).filter(|b| !b.is_empty()) else { break };
        let copy = |(head, len): &(u64, u16)| {
            bytes.get(..usize::from(*len).min(HEAD)).is_some_and(|b| head_of(b) == *head)
        };
        if first && heads.iter().any(copy) {
            return Ok(());
        }
        first = false;
        hand(path, Piece::Bytes(bytes));
    }
    hand(path, Piece::End);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    #[test]
    fn new_files_rotated_files_and_compressed_ones() {
        let dir = std::env::temp_dir().join(format!("egret-directory-{}", std::process::id()));
        let _ = fs::remove_dir_all(&dir);
        fs::create_dir_all(&dir).expect("a directory");
        let mut places = Places::default();
        let mut feed = Directory::new(&dir);
        let mut read = |places: &mut Places| {
            let mut got = String::new();
            for _ in 0..3 {
                feed.look(places).expect("readable");
                feed.poll(1 << 20, places, &mut |_, piece| {
                    if let Piece::Bytes(bytes) = piece {
                        got.push_str(&String::from_utf8_lossy(bytes));
                    }
                    0
                })
                .expect("readable");
            }
            got
        };
        let gz = |text: &str| {
            let mut gz = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
            gz.write_all(text.as_bytes()).expect("room");
            gz.finish().expect("room")
        };
        fs::write(dir.join("a.json"), "one\n").expect("room");
        assert_eq!(read(&mut places), "one\n");
        fs::write(dir.join("b.json.gz"), gz("two\n")).expect("room");
        assert_eq!(read(&mut places), "two\n");
        fs::rename(dir.join("a.json"), dir.join("a.json.1")).expect("renamed");
        fs::write(dir.join("a.json"), "three\n").expect("room");
        assert_eq!(read(&mut places), "three\n");
        // A compressed copy of what was followed, and one cut short.
        fs::write(dir.join("a.json.1.gz"), gz("one\n")).expect("room");
        fs::write(dir.join("c.gz"), &gz("four\n")[..8]).expect("room");
        assert_eq!(read(&mut places), "");
        let _ = fs::remove_dir_all(&dir);
    }
}
