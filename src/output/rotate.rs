//! When a log is put away, and under which name: `YYYY-MM-DD/NAME.HH:MM:SS-HH:MM:SS.log` below the output directory,
//! in UTC, by the time of the machine. What becomes of it there is the business of [`super::archive`].

use super::stamp::{Clock, civil_from_days};
use crate::units::{Bytes, Span, Timestamp};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

const SECS_PER_DAY: i64 = 86_400;
/// Names of one log and time that are tried before it is given up: more than rotations of a minute.
const TRIES: i64 = 100;

/// When logs are put away.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Rotation {
    /// At every multiple of this time since midnight, UTC.
    pub every: Span,
    /// From this size on.
    pub size: Bytes,
}

impl Rotation {
    /// Whether a file that began at `began` and holds so many bytes is to be put away at `now`. Never twice in a
    /// second, so that no two files of a log have one name.
    pub(super) fn is_due(&self, began: Timestamp, now: Timestamp, len: u64) -> bool {
        let step = self.every.secs().max(1);
        let over = now.secs().div_euclid(step) > began.secs().div_euclid(step) || len >= self.size.0;
        len > 0 && now.secs() > began.secs() && over
    }
}

/// Where a log named `name` goes that was written from `from` to `to`: a free name, and the directory made.
pub(super) fn place(
    dir: &Path,
    name: &str,
    from: Timestamp,
    to: Timestamp,
    mode: u32,
) -> io::Result<PathBuf> {
    let folder = dir.join(day_name(from.secs().div_euclid(SECS_PER_DAY)));
    make_folder(&folder, mode)?;
    for more in 0..TRIES {
        let path = folder.join(file_name(name, from, to.plus(Span::from_secs(more))));
        let taken = |path: &Path| fs::symlink_metadata(path).is_ok();
        if !taken(&path) && !taken(&zipped(&path)) {
            return Ok(path);
        }
    }
    Err(io::Error::new(io::ErrorKind::AlreadyExists, "a hundred files of this name and time"))
}

/// The compressed form of a rotated log.
pub(super) fn zipped(path: &Path) -> PathBuf {
    with_end(path, ".gz")
}

/// `path` with more at its end.
pub(super) fn with_end(path: &Path, end: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(end);
    PathBuf::from(name)
}

/// `2026-01-31`.
pub(super) fn day_name(day: i64) -> String {
    let (year, month, of_month) = civil_from_days(day);
    format!("{year:04}-{month:02}-{of_month:02}")
}

/// The day that the name of a directory says, if it is one of ours.
pub(super) fn day_of(name: &str) -> Option<i64> {
    let mut parts = name.splitn(3, '-').map(|part| part.parse::<i64>().ok());
    let (year, month, of_month) = (parts.next()??, parts.next()??, parts.next()??);
    if !(1970..=2300).contains(&year) {
        return None;
    }
    // Near enough, whatever the leap years: the day that has this name lies within eight of it.
    let near = (year - 1970) * 1461 / 4 + (month - 1) * 153 / 5 + of_month - 1;
    (near - 8..=near + 8).find(|day| day_name(*day) == name)
}

/// A rotated log by its file name: the log it is of (`eve.json`), and what it is.
pub(super) fn parse(file: &str) -> Option<(String, Form)> {
    let (file, form) = if let Some(whole) = file.strip_suffix(PART) {
        (whole, Form::Part)
    } else {
        file.strip_suffix(".gz").map_or((file, Form::Plain), |plain| (plain, Form::Zipped))
    };
    let (rest, kind) = file.rsplit_once('.')?;
    let (name, times) = rest.rsplit_once('.')?;
    let is_time = |t: &str| {
        let (bytes, colons) = (t.as_bytes(), [2, 5]);
        bytes.len() == 8
            && bytes.iter().enumerate().all(
                |(i, b)| {
                    if colons.contains(&i) { *b == b':' } else { b.is_ascii_digit() }
                },
            )
    };
    let (from, to) = times.split_once('-')?;
    (is_time(from) && is_time(to)).then(|| (format!("{name}.{kind}"), form))
}

/// The end of a file that is being compressed.
pub(super) const PART: &str = ".gz.part";

/// What a rotated file is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Form {
    /// As it was written.
    Plain,
    /// Compressed, whole.
    Zipped,
    /// Compressed in part: of no use.
    Part,
}

/// `eve.10:00:00-11:00:00.json`.
fn file_name(name: &str, from: Timestamp, to: Timestamp) -> String {
    let (stem, kind) = name.rsplit_once('.').unwrap_or((name, "log"));
    format!("{stem}.{}-{}.{kind}", time_name(from), time_name(to))
}

fn time_name(at: Timestamp) -> String {
    let mut text = Vec::new();
    Clock::default().people(at, &mut text);
    String::from_utf8_lossy(text.get(11..).unwrap_or_default()).into_owned()
}

/// Makes a directory that who may read the files may enter.
fn make_folder(folder: &Path, mode: u32) -> io::Result<()> {
    if folder.is_dir() {
        return Ok(());
    }
    fs::create_dir_all(folder)?;
    #[cfg(unix)]
    {
        let mode = mode | (mode & 0o444) >> 2 | 0o300;
        fs::set_permissions(folder, std::os::unix::fs::PermissionsExt::from_mode(mode))?;
    }
    let _ = mode;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn at(secs: i64) -> Timestamp {
        Timestamp::new(secs, 0)
    }

    #[test]
    fn names_are_read_back() {
        let (from, to) = (at(1_769_900_400), at(1_769_904_000));
        assert_eq!(file_name("conn.log", from, to), "conn.23:00:00-00:00:00.log");
        assert_eq!(file_name("eve.json", from, to), "eve.23:00:00-00:00:00.json");
        for (file, name, form) in [
            ("conn.23:00:00-00:00:00.log", "conn.log", Form::Plain),
            ("eve.23:00:00-00:00:00.json.gz", "eve.json", Form::Zipped),
            ("eve.23:00:00-00:00:00.json.gz.part", "eve.json", Form::Part),
        ] {
            assert_eq!(parse(file), Some((name.to_owned(), form)));
        }
        for other in ["conn.log", "conn.log.gz", "eve.23:00-00:00.json", "notes.txt", ".gz", "a.b.c.gz.part"]
        {
            assert_eq!(parse(other), None, "{other}");
        }
    }

    #[test]
    fn days_are_read_back() {
        for day in (0..80_000).step_by(7) {
            assert_eq!(day_of(&day_name(day)), Some(day));
        }
        for other in ["2026-02-30", "2026-1-1", "backup", "0000-00-00", "2026-01-31x", "9999999-01-01"] {
            assert_eq!(day_of(other), None, "{other}");
        }
    }

    #[test]
    fn by_the_grid_or_by_size_and_never_twice_in_a_second() {
        let rotation = Rotation { every: Span::from_secs(3_600), size: Bytes(1_000) };
        let due = |began, now, len| rotation.is_due(at(began), at(now), len);
        assert!(due(3_599, 3_600, 1) && !due(3_600, 7_199, 999) && due(3_600, 7_199, 1_000));
        assert!(!due(3_599, 3_600, 0), "nothing in it");
        assert!(!due(3_700, 3_700, 5_000));
    }
}
