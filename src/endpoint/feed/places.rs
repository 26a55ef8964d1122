//! Where the reading of files goes on after a restart: in the state file, with what the detector made of what was read, or
//! without one in a small file beside the logs, written as a whole.

use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// Bytes at the beginning of a file that tell it from another.
pub const HEAD: usize = 256;
/// Places kept.
const MAX_PLACES: usize = 16_384;

/// How far a file has been read.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug, Serialize, Deserialize)]
pub struct Place {
    /// Device and number of the file.
    pub device: u64,
    /// See `device`.
    pub inode: u64,
    /// Bytes read.
    pub offset: u64,
    /// Hash of the first bytes.
    pub head: u64,
    /// How many these are, at most [`HEAD`].
    pub head_len: u16,
}

/// Places by path.
#[derive(Default, Debug)]
pub struct Places {
    /// Written here; else whoever keeps them takes what has changed.
    file: Option<PathBuf>,
    known: BTreeMap<String, Place>,
    changed: BTreeMap<String, Place>,
}

/// Hash of the beginning of a file; the same in every run.
pub fn head_of(bytes: &[u8]) -> u64 {
    use std::hash::{BuildHasher, Hasher};
    let mut hasher = foldhash::quality::FixedState::with_seed(HEAD as u64).build_hasher();
    hasher.write(bytes);
    hasher.finish()
}

impl Places {
    /// Reads the file, if there is one. What cannot be read is as good as not there: the logs are read from their
    /// beginning, and what comes twice is dropped.
    pub fn open(file: &Path) -> Self {
        let read = fs::read(file).ok().filter(|bytes| bytes.len() < 8 << 20);
        let known = read.and_then(|bytes| serde_json::from_slice(&bytes).ok()).unwrap_or_default();
        Self { file: Some(file.to_owned()), known, changed: BTreeMap::new() }
    }

    /// Places that somebody else keeps, as they were kept last.
    pub fn kept(known: BTreeMap<String, Place>) -> Self {
        Self { file: None, known, changed: BTreeMap::new() }
    }

    /// All of them.
    pub fn all(&self) -> &BTreeMap<String, Place> {
        &self.known
    }

    /// What has changed since the last time, where there is no file.
    pub fn take_changed(&mut self) -> BTreeMap<String, Place> {
        if self.file.is_some() { BTreeMap::new() } else { std::mem::take(&mut self.changed) }
    }

    /// Where a file stands.
    pub fn of(&self, path: &Path) -> Option<Place> {
        self.known.get(&*path.to_string_lossy()).copied()
    }

    /// A file has been read further.
    pub fn set(&mut self, path: &Path, place: Place) {
        let path = path.to_string_lossy();
        if self.known.get(&*path) == Some(&place) {
            return;
        }
        if self.known.len() >= MAX_PLACES && !self.known.contains_key(&*path) {
            self.known.pop_first();
        }
        self.changed.insert(path.clone().into_owned(), place);
        self.known.insert(path.into_owned(), place);
    }

    /// Writes what has changed, whole or not at all.
    pub fn save(&mut self) -> io::Result<()> {
        let Some(file) = self.file.as_ref().filter(|_| !self.changed.is_empty()) else { return Ok(()) };
        let new = file.with_extension("new");
        fs::write(&new, serde_json::to_vec(&self.known)?)?;
        fs::rename(&new, file)?;
        self.changed.clear();
        Ok(())
    }
}
