//! Lines of a file, unpacked where it is packed; the memory for one line is bounded.

use crate::capture::stream::Stream;
use std::io;
use std::path::Path;

/// Longest line that is read; longer ones are passed by.
pub(super) const LINE_MAX: usize = 1 << 20;
/// Bytes asked for at a time.
const PIECE: usize = 256 << 10;
/// First piece of a file: looking at how a file begins must not cost much.
const FIRST_PIECE: usize = 16 << 10;

/// See the module.
pub(super) struct Lines {
    stream: Stream,
    buffer: Vec<u8>,
    /// What has not been handed out lies between these.
    start: usize,
    end: usize,
    /// No more will come.
    ended: bool,
    /// Why the end came early.
    broken: Option<String>,
    /// The rest of a line that was too long is being passed by.
    passing: bool,
    piece: usize,
    /// Number of the line handed out last, from 1.
    number: u64,
}

/// What [`Lines::next`] has found.
pub(super) enum Line<'a> {
    /// A line without its end.
    Text(&'a [u8]),
    /// A line longer than [`LINE_MAX`].
    TooLong,
    /// No more.
    End,
}

impl Lines {
    pub(super) fn open(path: &Path) -> io::Result<Self> {
        let stream = Stream::open(path)?;
        Ok(Self {
            stream,
            buffer: vec![0; FIRST_PIECE],
            start: 0,
            end: 0,
            ended: false,
            broken: None,
            passing: false,
            piece: FIRST_PIECE,
            number: 0,
        })
    }

    /// Number of the line handed out last.
    pub(super) fn number(&self) -> u64 {
        self.number
    }

    /// Bytes read from the disk.
    pub(super) fn disk_bytes(&self) -> u64 {
        self.stream.disk_bytes()
    }

    /// The input is a pipe, and cannot be opened twice.
    pub(super) fn is_live(&self) -> bool {
        self.stream.is_live()
    }

    /// Why the end came early, once.
    pub(super) fn broken(&mut self) -> Option<String> {
        self.broken.take()
    }

    pub(super) fn next(&mut self) -> Line<'_> {
        let mut searched = self.start;
        loop {
            let unread = self.buffer.get(searched..self.end).unwrap_or_default();
            if let Some(at) = memchr::memchr(b'\n', unread) {
                let (from, to) = (self.start, searched + at);
                self.start = to + 1;
                if std::mem::take(&mut self.passing) {
                    self.number += 1;
                    return Line::TooLong;
                }
                return self.line(from, to);
            }
            searched = self.end;
            if self.ended {
                return self.last();
            }
            if self.passing || self.end - self.start > LINE_MAX {
                self.passing = true;
                (self.start, self.end, searched) = (0, 0, 0);
            }
            searched -= self.fill();
        }
    }

    /// What stands behind the last line end, if anything.
    fn last(&mut self) -> Line<'_> {
        let (from, to) = (self.start, self.end);
        self.start = self.end;
        if std::mem::take(&mut self.passing) {
            self.number += 1;
            Line::TooLong
        } else if from == to {
            Line::End
        } else {
            self.line(from, to)
        }
    }

    fn line(&mut self, from: usize, to: usize) -> Line<'_> {
        self.number += 1;
        let mut line = self.buffer.get(from..to).unwrap_or_default();
        if self.number == 1 {
            line = line.strip_prefix(b"\xef\xbb\xbf").unwrap_or(line);
        }
        Line::Text(line.strip_suffix(b"\r").unwrap_or(line))
    }

    /// Reads more behind what is there; gives how far the bytes have moved to the front.
    fn fill(&mut self) -> usize {
        let moved = self.start;
        self.buffer.copy_within(self.start..self.end, 0);
        (self.start, self.end) = (0, self.end - moved);
        let room = (self.end + self.piece).max(self.buffer.len());
        self.buffer.resize(room, 0);
        self.piece = PIECE;
        match self.stream.read(self.buffer.get_mut(self.end..).unwrap_or_default()) {
            Ok(0) => self.ended = true,
            Ok(n) => self.end += n,
            Err(why) => (self.ended, self.broken) = (true, Some(why)),
        }
        moved
    }
}
