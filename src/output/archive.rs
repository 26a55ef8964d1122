//! What becomes of rotated logs: they are compressed, kept for so many days and up to so many bytes, then removed,
//! oldest first. Runs beside the writer and never in its way.
//!
//! What there is to do stands in the names of the files alone, so that a run that was killed at any point is taken up
//! by the next: a plain file is compressed under another name (`.gz.part`), which becomes its own (`.gz`) once it is
//! whole, and then the plain one goes. Files and directories with other names are never touched.

use super::rotate::{Form, PART, day_of, parse, with_end, zipped};
use crate::units::Bytes;
use flate2::Compression;
use flate2::write::GzEncoder;
use std::fs::{self, File, OpenOptions};
use std::io::{self, BufReader, Write as _};
use std::path::{Path, PathBuf};

/// Fast enough to keep up with a busy writer on a part of a core.
const LEVEL: Compression = Compression::new(3);
/// Rotated files that are looked at in one go; beyond, the rest has its turn later.
const MAX_FILES: usize = 1 << 20;

/// The rotated logs of an output directory.
#[derive(Clone, Debug)]
pub struct Archive {
    /// The output directory.
    pub dir: PathBuf,
    /// Names of the logs that are ours.
    pub names: Vec<&'static str>,
    /// Permissions of files.
    pub mode: u32,
    /// Days that files are kept; 0: for ever.
    pub keep_days: u32,
    /// Bytes that files may take.
    pub max_bytes: Option<Bytes>,
}

/// A rotated file.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
struct Kept {
    /// In order of days and, within a day, of times.
    day: i64,
    since: String,
    path: PathBuf,
    bytes: u64,
}

impl Archive {
    /// Finishes what an earlier run or a fault has left, compresses what is plain, and removes what is too old or too
    /// much on day `today` (since 1970-01-01). Goes on after a fault, and gives the first.
    pub fn tend(&self, today: i64) -> io::Result<()> {
        let mut fault = None;
        let mut note = |done: io::Result<()>| {
            if let Err(e) = done {
                fault.get_or_insert(e);
            }
        };
        let mut kept = Vec::new();
        let (parts, files): (Vec<_>, Vec<_>) =
            self.files().into_iter().partition(|(_, form)| *form == Form::Part);
        parts.iter().for_each(|(part, _)| note(remove(&part.path)));
        for (file, form) in files {
            match form {
                Form::Zipped | Form::Part => kept.push(file),
                // Room first: what is too old needs no compression.
                Form::Plain if self.is_old(file.day, today) => note(remove(&file.path)),
                Form::Plain => match self.compress(&file.path) {
                    Ok(bytes) => kept.push(Kept { path: zipped(&file.path), bytes, ..file }),
                    Err(e) => {
                        note(Err(e));
                        kept.push(file);
                    }
                },
            }
        }
        self.prune(kept, today, &mut note);
        fault.map_or(Ok(()), Err)
    }

    /// Compresses a rotated file. Gives the bytes that it takes now.
    pub fn compress(&self, path: &Path) -> io::Result<u64> {
        let whole = zipped(path);
        if let Ok(there) = fs::metadata(&whole) {
            // It got its name when it was whole: a run ended between the two steps.
            remove(path)?;
            return Ok(there.len());
        }
        let part = with_end(path, PART);
        let done = self.write_part(path, &part).and_then(|bytes| {
            fs::rename(&part, &whole)?;
            remove(path)?;
            Ok(bytes)
        });
        if done.is_err() {
            // On a full disk what was written of it is in the way.
            let _ = fs::remove_file(&part);
        }
        done.map_err(|e| io::Error::new(e.kind(), format!("{}: {e}", path.display())))
    }

    fn write_part(&self, path: &Path, part: &Path) -> io::Result<u64> {
        let mut options = OpenOptions::new();
        options.write(true).create(true).truncate(true);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, self.mode);
        let file = options.open(part)?;
        #[cfg(unix)]
        file.set_permissions(std::os::unix::fs::PermissionsExt::from_mode(self.mode))?;
        let mut zip = GzEncoder::new(file, LEVEL);
        io::copy(&mut BufReader::with_capacity(1 << 17, File::open(path)?), &mut zip)?;
        let mut file = zip.finish()?;
        file.flush()?;
        // The plain file goes next: this one must be on the disk by then.
        file.sync_all()?;
        Ok(file.metadata()?.len())
    }

    fn is_old(&self, day: i64, today: i64) -> bool {
        self.keep_days > 0 && day < today.saturating_sub(i64::from(self.keep_days))
    }

    fn prune(&self, mut kept: Vec<Kept>, today: i64, note: &mut dyn FnMut(io::Result<()>)) {
        kept.sort_unstable();
        let mut bytes: u64 = kept.iter().map(|file| file.bytes).sum();
        let most = self.max_bytes.map_or(u64::MAX, |b| b.0);
        for file in kept {
            if bytes <= most && !self.is_old(file.day, today) {
                break;
            }
            bytes -= file.bytes;
            note(remove(&file.path));
            if let Some(folder) = file.path.parent() {
                // Only an empty one can be removed.
                let _ = fs::remove_dir(folder);
            }
        }
    }

    /// Every rotated file of ours, oldest first.
    fn files(&self) -> Vec<(Kept, Form)> {
        let mut found = Vec::new();
        for (folder_name, folder) in entries(&self.dir) {
            let Some(day) = day_of(&folder_name).filter(|_| folder.is_dir()) else { continue };
            for (name, path) in entries(&folder) {
                let Some((log, form)) = parse(&name) else { continue };
                let Ok(about) = fs::symlink_metadata(&path) else { continue };
                if !self.names.contains(&log.as_str()) || !about.is_file() || found.len() >= MAX_FILES {
                    continue;
                }
                // The times stand behind the name of the log.
                let since = name.get(log.rfind('.').unwrap_or(0) + 1..).unwrap_or_default().to_owned();
                found.push((Kept { day, since, path, bytes: about.len() }, form));
            }
        }
        found.sort_unstable_by(|a, b| a.0.cmp(&b.0));
        found
    }
}

/// What lies in a directory: names and paths.
fn entries(dir: &Path) -> impl Iterator<Item = (String, PathBuf)> + use<> {
    let list = fs::read_dir(dir).into_iter().flatten().flatten();
    list.filter_map(|entry| Some((entry.file_name().into_string().ok()?, entry.path())))
}

fn remove(path: &Path) -> io::Result<()> {
    fs::remove_file(path).map_err(|e| io::Error::new(e.kind(), format!("{}: {e}", path.display())))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Read as _;

    fn archive(name: &str) -> Archive {
        let dir = std::env::temp_dir().join(format!("egret-archive-{name}-{}", std::process::id()));
        let _ = fs::remove_dir_all(&dir);
        Archive { dir, names: vec!["eve.json", "conn.log"], mode: 0o604, keep_days: 30, max_bytes: None }
    }

    fn put(archive: &Archive, path: &str, text: &str) -> PathBuf {
        let path = archive.dir.join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, text).unwrap();
        path
    }

    fn unzipped(path: &Path) -> String {
        let mut text = String::new();
        flate2::read::GzDecoder::new(File::open(path).unwrap()).read_to_string(&mut text).unwrap();
        text
    }

    fn listing(archive: &Archive) -> Vec<String> {
        let mut all: Vec<String> = entries(&archive.dir)
            .flat_map(|(day, path)| entries(&path).map(move |(name, _)| format!("{day}/{name}")))
            .collect();
        all.sort();
        all
    }

    #[test]
    fn a_killed_run_is_taken_up_wherever_it_stood() {
        let archive = archive("killed");
        // Renamed, not compressed; compressed in part; compressed and the plain one not removed yet.
        put(&archive, "2026-01-30/eve.10:00:00-11:00:00.json", "one\n");
        put(&archive, "2026-01-30/eve.11:00:00-12:00:00.json", "two\n");
        put(&archive, "2026-01-30/eve.11:00:00-12:00:00.json.gz.part", "half of tw");
        let both = put(&archive, "2026-01-31/conn.00:00:00-01:00:00.log", "three\n");
        let file = File::create(zipped(&both)).unwrap();
        let mut zip = GzEncoder::new(file, LEVEL);
        zip.write_all(b"three\n").unwrap();
        zip.finish().unwrap();
        let day = day_of("2026-02-01").unwrap();
        archive.tend(day).unwrap();
        archive.tend(day).unwrap();
        let expected = [
            ("2026-01-30/eve.10:00:00-11:00:00.json.gz", "one\n"),
            ("2026-01-30/eve.11:00:00-12:00:00.json.gz", "two\n"),
            ("2026-01-31/conn.00:00:00-01:00:00.log.gz", "three\n"),
        ];
        assert_eq!(listing(&archive), expected.map(|(name, _)| name));
        for (name, text) in expected {
            assert_eq!(unzipped(&archive.dir.join(name)), text);
        }
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt as _;
            let mode = fs::metadata(archive.dir.join(expected[0].0)).unwrap().permissions().mode();
            assert_eq!(mode & 0o777, 0o604);
        }
        fs::remove_dir_all(&archive.dir).unwrap();
    }

    #[test]
    fn old_files_go_and_then_the_oldest_beyond_the_bytes_allowed() {
        let mut archive = archive("old");
        for (path, len) in [
            ("2025-12-01/eve.10:00:00-11:00:00.json.gz", 10),
            ("2025-12-02/eve.10:00:00-11:00:00.json", 10),
            ("2026-01-30/conn.09:00:00-10:00:00.log.gz", 10),
            ("2026-01-30/eve.08:00:00-10:00:00.json.gz", 10),
            ("2026-01-31/eve.10:00:00-11:00:00.json.gz", 10),
        ] {
            put(&archive, path, &"x".repeat(len));
        }
        // Not ours: other directories, other names.
        let others = ["2025-12-01/notes.txt", "2025-12-01/mine.10:00:00-11:00:00.log.gz", "old/eve.gz"];
        for other in others {
            put(&archive, other, "mine");
        }
        archive.tend(day_of("2026-02-01").unwrap()).unwrap();
        let left = |archive: &Archive| {
            listing(archive).into_iter().filter(|name| !others.contains(&name.as_str())).collect::<Vec<_>>()
        };
        assert_eq!(left(&archive).len(), 3);
        archive.max_bytes = Some(Bytes(25));
        archive.tend(day_of("2026-02-01").unwrap()).unwrap();
        assert_eq!(
            left(&archive),
            ["2026-01-30/conn.09:00:00-10:00:00.log.gz", "2026-01-31/eve.10:00:00-11:00:00.json.gz"]
        );
        assert!(others.iter().all(|other| archive.dir.join(other).exists()));
        fs::remove_dir_all(&archive.dir).unwrap();
    }
}
