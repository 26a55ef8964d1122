//! Which files a list of paths stands for: directories are replaced by what lies in them.

use super::Fault;
use std::path::{Path, PathBuf};

/// Directories within directories, at most.
const DEPTH_MAX: usize = 32;
/// Files of one run, at most.
const FILES_MAX: usize = 100_000;

/// A file to look into.
pub(crate) struct Found {
    pub(crate) path: PathBuf,
    /// Named by the user. What only lies in a directory may turn out to be no capture without a word.
    pub(crate) named: bool,
}

/// The files that `paths` stand for, those of a directory sorted by path.
pub(crate) fn list(paths: &[PathBuf], faults: &mut Vec<Fault>) -> Vec<Found> {
    let mut found = Vec::new();
    for path in paths {
        if path != Path::new("-") && path.is_dir() {
            directory(path, DEPTH_MAX, &mut found, faults);
        } else {
            found.push(Found { path: path.clone(), named: true });
        }
    }
    if found.len() > FILES_MAX {
        let what = format!("more than {FILES_MAX} files; this and all after it are left out");
        if let Some(first) = found.get(FILES_MAX) {
            faults.push(Fault { file: first.path.clone(), offset: None, what });
        }
        found.truncate(FILES_MAX);
    }
    found
}

fn directory(path: &Path, depth: usize, found: &mut Vec<Found>, faults: &mut Vec<Fault>) {
    let entries = std::fs::read_dir(path).and_then(Iterator::collect::<Result<Vec<_>, _>>);
    let mut entries = match entries {
        Ok(entries) => entries,
        Err(e) => {
            let what = format!("the directory cannot be read: {e}");
            faults.push(Fault { file: path.to_owned(), offset: None, what });
            return;
        }
    };
    entries.sort_by_key(std::fs::DirEntry::file_name);
    for entry in entries {
        let (path, kind) = (entry.path(), entry.file_type());
        // Links to directories are not followed: they may lead in a circle.
        if kind.is_ok_and(|k| k.is_dir()) {
            if depth > 0 && found.len() <= FILES_MAX {
                directory(&path, depth - 1, found, faults);
            }
        } else if path.is_file() {
            found.push(Found { path, named: false });
        }
    }
}

/// True for a name that promises a capture, so that a person should be told if it is none.
pub(super) fn promises_capture(path: &Path) -> bool {
    let extension = |p: &Path| p.extension().map(|e| e.to_string_lossy().to_ascii_lowercase());
    let mut last = extension(path);
    if matches!(last.as_deref(), Some("gz" | "zst" | "zstd")) {
        last = path.file_stem().and_then(|stem| extension(Path::new(stem)));
    }
    matches!(last.as_deref(), Some("pcap" | "pcapng" | "cap" | "dmp" | "ntar"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_promise() {
        for yes in ["a.pcap", "b/A.PCAPNG.gz", "x.cap.zst", "tcpdump.dmp"] {
            assert!(promises_capture(Path::new(yes)), "{yes}");
        }
        for no in ["README.md", "a.pcap.json", "log.gz", "pcap", ".pcap", "a.pcap.txt"] {
            assert!(!promises_capture(Path::new(no)), "{no}");
        }
    }
}
