//! One file: its lines, its format by what stands in it, and how far in time it has come.

use super::cells::Cells;
use super::entry::{Bad, Entry, Kind, Maker};
use super::lines::{Line, Lines};
use super::sheet::Sheet;
use super::tally::Tally;
use super::zeek::Zeek;
use super::{json, zeek};
use crate::units::{Span, Timestamp};
use serde::{Deserialize, Serialize};
use std::io;
use std::path::Path;

/// Logs of events are read so far ahead of the clock: their lines are nearly in the order of time.
const EVENTS_AHEAD: Span = Span::from_secs(15 * 60);
/// Times that jump further are doubted until the next line agrees.
const LEAP: Span = Span::from_secs(86_400);
/// Lines looked at in search of a first entry.
const LOOKED_AT: u64 = 1_000;

/// What [`Input::next`] has found.
pub(super) enum Read {
    /// An entry.
    Entry(Entry),
    /// A line without one.
    Nothing,
    /// No more.
    End,
}

enum Shape {
    Unknown,
    Zeek(Zeek),
    Json,
    Sheet(Sheet),
}

/// See the module.
pub(super) struct Input {
    lines: Lines,
    shape: Shape,
    cells: Cells,
    /// What the name of the file says.
    hint: Option<Kind>,
    written: Written,
    /// Read already, to see what the file is.
    first: Option<Entry>,
    /// Lines that made sense, headers included.
    good: u64,
    /// Bad lines of this file.
    bad: u64,
    /// Hash of its first entry's line: what the file is, whatever its name.
    identity: Option<u64>,
}

/// How far a file has been read.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize)]
pub(super) struct Mark {
    /// Lines read.
    pub(super) lines: u64,
    written: Written,
    good: u64,
    bad: u64,
}

impl Input {
    pub(super) fn open(path: &Path) -> io::Result<Self> {
        Ok(Self {
            lines: Lines::open(path)?,
            shape: Shape::Unknown,
            cells: Cells::default(),
            hint: hint(path),
            written: Written::default(),
            first: None,
            good: 0,
            bad: 0,
            identity: None,
        })
    }

    /// Reads up to the first entry, to know when the file begins. False: there is none among the first lines.
    pub(super) fn look(&mut self, maker: &mut Maker, tally: &mut Tally) -> bool {
        while self.lines.number() < LOOKED_AT {
            match self.read(maker, tally) {
                Read::Entry(entry) => {
                    self.first = Some(entry);
                    return true;
                }
                Read::Nothing => {}
                Read::End => return false,
            }
        }
        self.good > 0
    }

    /// What the file is; `None`: nothing was found in it so far.
    pub(super) fn identity(&self) -> Option<u64> {
        self.identity
    }

    /// How far it has been read, and what of that waits to be used.
    pub(super) fn mark(&self) -> (Mark, Option<Entry>) {
        let lines = self.lines.number();
        (Mark { lines, written: self.written, good: self.good, bad: self.bad }, self.first.clone())
    }

    /// Goes on at a mark: lines before it are passed over, but for headers, which say what the others mean.
    pub(super) fn skip(&mut self, mark: Mark, first: Option<Entry>) {
        while self.lines.number() < mark.lines {
            let line = match self.lines.next() {
                Line::End => break,
                Line::TooLong => continue,
                Line::Text(line) => line,
            };
            if let Shape::Unknown = self.shape {
                if line.trim_ascii().is_empty() {
                    continue;
                }
                self.shape = recognise(line);
            }
            // A header that makes no sense was counted when it was read first.
            match (&mut self.shape, line.first()) {
                (Shape::Zeek(zeek), Some(b'#')) => drop(zeek.line(line, &mut self.cells)),
                (Shape::Sheet(sheet), Some(b'#')) => drop(sheet.line(line, &mut self.cells)),
                _ => {}
            }
        }
        (self.written, self.good, self.bad) = (mark.written, mark.good, mark.bad);
        self.first = first;
    }

    /// The next line.
    pub(super) fn next(&mut self, maker: &mut Maker, tally: &mut Tally) -> Read {
        self.first.take().map_or_else(|| self.read(maker, tally), Read::Entry)
    }

    /// Everything that is told before this time has been read.
    pub(super) fn reached(&self, ahead: Span) -> Timestamp {
        let kind = match &self.shape {
            Shape::Zeek(zeek) => Some(zeek.kind()),
            Shape::Json => self.hint,
            Shape::Sheet(_) | Shape::Unknown => None,
        };
        let events = matches!(kind, Some(Kind::Dns | Kind::Dhcp));
        let ahead = if events { EVENTS_AHEAD.min(ahead) } else { ahead };
        Timestamp::from_nanos(self.written.at.nanos().saturating_sub(ahead.nanos()))
    }

    /// The time up to which it has been read.
    pub(super) fn written(&self) -> Timestamp {
        self.written.at
    }

    pub(super) fn disk_bytes(&self) -> u64 {
        self.lines.disk_bytes()
    }

    pub(super) fn is_live(&self) -> bool {
        self.lines.is_live()
    }

    pub(super) fn broken(&mut self) -> Option<String> {
        self.lines.broken()
    }

    /// Lines that made sense, and lines that did not.
    pub(super) fn judged(&self) -> (u64, u64) {
        (self.good, self.bad)
    }

    fn read(&mut self, maker: &mut Maker, tally: &mut Tally) -> Read {
        let number = self.lines.number() + 1;
        let line = match self.lines.next() {
            Line::End => return Read::End,
            Line::TooLong => {
                tally.bad(Bad::TooLong, number, b"");
                self.bad += 1;
                return Read::Nothing;
            }
            Line::Text(line) => line,
        };
        if line.trim_ascii().is_empty() {
            return Read::Nothing;
        }
        if let Shape::Unknown = self.shape {
            self.shape = recognise(line);
        }
        let kind = match &mut self.shape {
            Shape::Zeek(zeek) => zeek.line(line, &mut self.cells),
            Shape::Json => json::line(line, &mut self.cells, self.hint).map(Some),
            Shape::Sheet(sheet) => sheet.line(line, &mut self.cells),
            Shape::Unknown => Err(Bad::Unknown),
        };
        let entry = match kind {
            Ok(Some(kind)) => maker.entry(kind, &self.cells, line),
            Ok(None) => {
                self.good += 1;
                return Read::Nothing;
            }
            Err(bad) => Err(bad),
        };
        match entry {
            Ok(entry) => {
                self.good += 1;
                tally.lines += 1;
                if self.identity.is_none() {
                    self.identity = Some(super::entry::key(line));
                }
                if let Some(at) = entry.written() {
                    self.written.advance(at);
                }
                Read::Entry(entry)
            }
            Err(bad) => {
                self.bad += 1;
                tally.bad(bad, number, line);
                Read::Nothing
            }
        }
    }
}

fn recognise(line: &[u8]) -> Shape {
    match line.trim_ascii_start() {
        [b'#', b'a'..=b'z', ..] => Shape::Zeek(Zeek::default()),
        [b'{', ..] => Shape::Json,
        _ => Sheet::of(line).map_or(Shape::Unknown, Shape::Sheet),
    }
}

/// What the name of a file says of it: `conn.2026-01-05-10.log.gz` is a log of connections, `open_conn.log` tells of
/// connections that will be told again.
fn hint(path: &Path) -> Option<Kind> {
    let name = path.file_name()?.to_str()?;
    if name.starts_with("open_") {
        return Some(Kind::Other);
    }
    let stem = name.split(['.', '-', '_']).next()?;
    Some(zeek::kind(stem.as_bytes())).filter(|kind| *kind != Kind::Other)
}

/// How far in time a file has come: its latest time, unless that stands alone.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
struct Written {
    at: Timestamp,
    /// Times seen, up to two.
    seen: u8,
    doubted: Option<Timestamp>,
}

impl Default for Written {
    fn default() -> Self {
        Self { at: Timestamp::MIN, seen: 0, doubted: None }
    }
}

impl Written {
    fn advance(&mut self, at: Timestamp) {
        if self.seen < 2 {
            // The very first time may be the wild one.
            let wild = self.seen == 1 && self.at.since(at) > LEAP;
            if self.seen == 0 || wild {
                self.at = at;
            }
            self.seen += 1;
        }
        if at <= self.at {
            return;
        }
        if at.since(self.at) > LEAP && self.doubted.is_none_or(|doubted| doubted.since(at) > LEAP) {
            self.doubted = Some(at);
            return;
        }
        self.at = self.doubted.take().map_or(at, |doubted| doubted.min(at));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_wild_time_moves_nothing() {
        let at = |days: i64| Timestamp::new(1_767_571_200 + days * 86_400, 0);
        let mut w = Written::default();
        for (day, want) in
            [(9_000, 9_000), (0, 0), (1, 1), (500, 1), (1, 1), (2, 2), (90, 2), (91, 90), (91, 91)]
        {
            w.advance(at(day));
            assert_eq!(w.at, at(want), "{day}");
        }
    }

    #[test]
    fn names_of_files() {
        let of = |name: &str| hint(Path::new(name));
        assert_eq!(of("logs/conn.2026-01-05-10-00-00.log.gz"), Some(Kind::Conn));
        assert_eq!(of("conn_20260105.log"), Some(Kind::Conn));
        assert_eq!(
            (of("open_conn.log"), of("eve.json"), of("connection.log")),
            (Some(Kind::Other), None, None)
        );
    }
}
