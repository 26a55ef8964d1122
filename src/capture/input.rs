//! One capture file: pieces of its bytes with the frames in them listed.

use super::foreign;
use super::pcap::{self, Pcap};
use super::pcapng::{self, Pcapng};
use super::stream::Stream;
use super::{Batch, Fault, Slot};
use std::io;
use std::path::{Path, PathBuf};

/// How far a reader of one format came in a piece.
pub(super) struct Walk {
    /// Bytes that are done with.
    pub(super) used: usize,
    /// Why it went no further.
    pub(super) stop: Stop,
}

/// Why a reader went no further.
#[derive(Debug)]
pub(super) enum Stop {
    /// At least so many bytes are needed behind those used.
    Need(usize),
    /// So many bytes behind those used are of no interest.
    Skip(u64),
    /// No capture of a kind that is read here.
    Foreign,
    /// The file is damaged here.
    Broken(String),
}

enum Format {
    Unknown,
    Pcap(Pcap),
    Pcapng(Pcapng),
}

impl Format {
    fn walk(&mut self, bytes: &[u8], slots: &mut Vec<Slot>) -> Walk {
        let mut start = 0;
        if let Self::Unknown = self {
            match Self::recognise(bytes) {
                Ok((format, header)) => (*self, start) = (format, header),
                Err(stop) => return Walk { used: 0, stop },
            }
        }
        match self {
            Self::Pcap(pcap) => pcap.walk(bytes, start, slots),
            Self::Pcapng(pcapng) => pcapng.walk(bytes, start, slots),
            Self::Unknown => Walk { used: 0, stop: Stop::Foreign },
        }
    }

    /// By the first bytes: the format, and the length of its file header.
    fn recognise(bytes: &[u8]) -> Result<(Self, usize), Stop> {
        let magic = *bytes.first_chunk::<4>().ok_or(Stop::Need(4))?;
        if pcapng::is_magic(magic) {
            return Ok((Self::Pcapng(Pcapng::default()), 0));
        }
        if pcap::is_magic(magic) {
            return Pcap::open(bytes).map(|(pcap, header)| (Self::Pcap(pcap), header));
        }
        Err(Stop::Foreign)
    }
}

/// An open capture file.
pub(super) struct Input {
    path: PathBuf,
    stream: Stream,
    format: Format,
    /// Bytes to read at a time.
    piece: usize,
    /// Start of a record that the last piece cut, to stand at the front of the next.
    carry: Vec<u8>,
    /// Position of the first byte of `carry` in the unpacked file.
    offset: u64,
    /// Length of what is needed next, from `offset` on.
    need: usize,
    /// Bytes from `offset` on that are still to be passed by, out of how many.
    skip: (u64, u64),
    done: bool,
    fault: Option<Fault>,
    foreign: Option<Vec<u8>>,
}

/// How reading a piece ended.
enum End {
    /// There may be more.
    Open,
    /// The file is at its end.
    Reached,
    /// The file cannot be read further.
    Failed(String),
}

impl Input {
    /// Opens `path`, to be read in pieces of `piece` bytes.
    pub(super) fn open(path: &Path, piece: usize) -> io::Result<Self> {
        Ok(Self {
            path: path.to_owned(),
            stream: Stream::open(path)?,
            format: Format::Unknown,
            piece: piece.max(1),
            carry: Vec::new(),
            offset: 0,
            need: 0,
            skip: (0, 0),
            done: false,
            fault: None,
            foreign: None,
        })
    }

    /// The file underneath.
    pub(super) fn stream(&self) -> &Stream {
        &self.stream
    }

    /// Reads in pieces of another size from here on.
    pub(super) fn set_piece(&mut self, piece: usize) {
        self.piece = piece.max(1);
    }

    /// What was wrong, once the end has been reached.
    pub(super) fn take_fault(&mut self) -> Option<Fault> {
        self.fault.take()
    }

    /// The first bytes, of a file that is no capture of a format read here.
    pub(super) fn foreign(&self) -> Option<&[u8]> {
        self.foreign.as_deref()
    }

    /// Clears `batch` and fills it with the next frames. False: the end, and the batch is empty.
    pub(super) fn fill(&mut self, batch: &mut Batch) -> bool {
        batch.clear();
        while !self.done && batch.slots.is_empty() {
            match self.skip.0 {
                0 => self.step(batch),
                _ => self.pass_by(batch),
            }
        }
        !batch.slots.is_empty()
    }

    /// Reads one piece and lists its frames.
    fn step(&mut self, batch: &mut Batch) {
        let kept = self.carry.len();
        let target = self.piece.max(self.need).max(kept + 1);
        let bytes = batch.room(target);
        if let Some(front) = bytes.get_mut(..kept) {
            front.copy_from_slice(&self.carry);
        }
        let (have, end) = self.read(bytes, kept, target);
        let bytes = batch.bytes.get(..have).unwrap_or(&[]);
        let walk = self.format.walk(bytes, &mut batch.slots);
        let rest = bytes.get(walk.used..).unwrap_or(&[]);
        self.offset += walk.used as u64;
        self.need = 0;
        match walk.stop {
            Stop::Foreign => {
                self.foreign = Some(bytes.get(..have.min(256)).unwrap_or(&[]).to_owned());
                self.broken(None, foreign::refusal(bytes));
            }
            Stop::Broken(what) => self.broken(Some(self.offset), what),
            Stop::Need(need) => match end {
                End::Open => self.need = need,
                End::Reached => self.ended(rest, need as u64),
                End::Failed(what) => {
                    if let Format::Unknown = self.format {
                        self.foreign = Some(rest.to_owned());
                    }
                    self.broken(Some(self.offset + rest.len() as u64), what);
                }
            },
            Stop::Skip(length) => {
                let left = length.saturating_sub(rest.len() as u64);
                match end {
                    End::Open => self.skip = (left, length),
                    End::Reached => self.ended(rest, length),
                    End::Failed(what) => self.broken(Some(self.offset + rest.len() as u64), what),
                }
                self.carry.clear();
                return;
            }
        }
        self.carry.clear();
        self.carry.extend_from_slice(rest);
    }

    /// Fills `bytes` from `have` up to `target`; less where the file ends or a pipe has no more for now.
    fn read(&mut self, bytes: &mut [u8], mut have: usize, target: usize) -> (usize, End) {
        while let Some(room @ [_, ..]) = bytes.get_mut(have..target) {
            match self.stream.read(room) {
                Ok(0) => return (have, End::Reached),
                Ok(n) => have += n,
                Err(what) => return (have, End::Failed(what)),
            }
            if self.stream.is_live() && have >= self.need {
                break;
            }
        }
        (have, End::Open)
    }

    /// Reads a piece of a block that nobody wants.
    fn pass_by(&mut self, batch: &mut Batch) {
        let (left, length) = self.skip;
        let target = self.piece.min(usize::try_from(left).unwrap_or(usize::MAX));
        let bytes = batch.room(target);
        let (have, end) = self.read(bytes, 0, target);
        let left = left - have as u64;
        self.skip = (left, length);
        match end {
            _ if left == 0 => self.offset += length,
            End::Open => {}
            End::Reached => self.broken(Some(self.offset), cut(length - left, length)),
            End::Failed(what) => self.broken(Some(self.offset + (length - left)), what),
        }
    }

    /// The file ended with `rest` where `need` bytes were expected.
    fn ended(&mut self, rest: &[u8], need: u64) {
        self.done = true;
        if let Format::Unknown = self.format
            && rest.len() < 4
        {
            self.foreign = Some(rest.to_owned());
            self.broken(None, foreign::refusal(rest));
        } else if !rest.is_empty() {
            self.broken(Some(self.offset), cut(rest.len() as u64, need));
        }
    }

    fn broken(&mut self, offset: Option<u64>, what: String) {
        self.done = true;
        self.fault = Some(Fault { file: self.path.clone(), offset, what });
    }
}

fn cut(have: u64, need: u64) -> String {
    format!("the file is cut short: {have} bytes of a record of at least {need}; all before it was read")
}
