//! A whole log file as an iterator of events: plain, gzip, zstd; JSON in all its layouts, XML, CSV, lines, EVTX.

use super::draft::Hint;
use super::event::EndpointEvent;
use super::format::Formats;
use super::stream::Stream;
use super::tally::Tally;
use crate::units::Timestamp;
use std::collections::VecDeque;
use std::io::{self, BufRead, BufReader, Read as _};
use std::path::Path;

/// Bytes that are read at once.
const PIECE: usize = 1 << 16;

/// The events of one file. After the last, [`Read::tally`] says what was read and what was not.
pub struct Read<'f> {
    reader: Box<dyn io::Read + Send>,
    stream: Stream<'f>,
    hint: Hint,
    events: VecDeque<EndpointEvent>,
    ended: bool,
    /// Why the file could not be read to its end.
    pub error: Option<io::Error>,
}

impl std::fmt::Debug for Read<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Read").field("tally", self.tally()).finish_non_exhaustive()
    }
}

/// Opens a file. `format` names one of the built-in formats; without it the format is found by what the file holds.
pub fn read_file(path: &Path, format: Option<&str>) -> io::Result<Read<'static>> {
    Read::open(path, Formats::built_in(), format, Hint::default())
}

impl<'f> Read<'f> {
    /// As [`read_file`], with the formats of a site and what is known of the sender.
    pub fn open(path: &Path, formats: &'f Formats, format: Option<&str>, hint: Hint) -> io::Result<Self> {
        let stream =
            Stream::new(formats, format).map_err(|said| io::Error::new(io::ErrorKind::InvalidInput, said))?;
        let file = std::fs::File::open(path)?;
        let made = file.metadata().and_then(|meta| meta.modified()).ok();
        let made = made.and_then(|made| made.duration_since(std::time::UNIX_EPOCH).ok());
        let made = made.map(|since| Timestamp::new(since.as_secs() as i64, i64::from(since.subsec_nanos())));
        let hint = Hint { listed: hint.listed.or(made), ..hint };
        let reader = plain(file)?;
        Ok(Self { reader, stream, hint, events: VecDeque::new(), ended: false, error: None })
    }

    /// What has been read.
    pub fn tally(&self) -> &Tally {
        &self.stream.decoder.tally
    }

    fn piece(&mut self) {
        let mut piece = vec![0; PIECE];
        let mut out = Vec::new();
        match self.reader.read(&mut piece) {
            Ok(0) => self.ended = true,
            Ok(n) => self.stream.push(piece.get(..n).unwrap_or_default(), &self.hint, &mut out),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => {
                // What came before the fault counts.
                self.error = Some(error);
                self.ended = true;
            }
        }
        if self.ended {
            self.stream.finish(&self.hint, &mut out);
        }
        self.events.extend(out);
    }
}

impl Iterator for Read<'_> {
    type Item = EndpointEvent;

    fn next(&mut self) -> Option<EndpointEvent> {
        loop {
            if let Some(event) = self.events.pop_front() {
                return Some(event);
            }
            if self.ended {
                return None;
            }
            self.piece();
        }
    }
}

/// The bytes of a file without compression, in UTF-8.
pub(super) fn plain(file: std::fs::File) -> io::Result<Box<dyn io::Read + Send>> {
    let mut reader = BufReader::with_capacity(PIECE, file);
    let head = reader.fill_buf()?;
    if head.starts_with(EVTX) {
        return event_log(reader);
    }
    Ok(match head {
        [0x1f, 0x8b, ..] => Box::new(flate2::read::MultiGzDecoder::new(reader)),
        [0x28, 0xb5, 0x2f, 0xfd, ..] => Box::new(zstd::stream::read::Decoder::with_buffer(reader)?),
        [0xff, 0xfe, ..] | [0xfe, 0xff, ..] => Box::new(Utf16::new(reader)),
        _ => Box::new(reader),
    })
}

/// What every Windows event log file begins with.
const EVTX: &[u8] = b"ElfFile\0";

#[cfg(feature = "evtx")]
fn event_log(reader: BufReader<std::fs::File>) -> io::Result<Box<dyn io::Read + Send>> {
    use std::io::Seek;
    let mut file = reader.into_inner();
    file.rewind()?;
    Ok(Box::new(super::evtx::Evtx::new(file)?))
}

#[cfg(not(feature = "evtx"))]
fn event_log(_: BufReader<std::fs::File>) -> io::Result<Box<dyn io::Read + Send>> {
    let said = "an event log file (EVTX), which this build does not read; build with --features evtx, or write it as \
                JSON first: evtx_dump -o jsonl FILE";
    Err(io::Error::new(io::ErrorKind::Unsupported, said))
}

/// UTF-16 with its mark, as Windows tools write text, read as UTF-8.
struct Utf16<R> {
    reader: R,
    big: Option<bool>,
    high: Option<u16>,
    out: VecDeque<u8>,
}

impl<R: io::Read> Utf16<R> {
    fn new(reader: R) -> Self {
        Self { reader, big: None, high: None, out: VecDeque::new() }
    }

    fn unit(&mut self, pair: [u8; 2]) {
        let Some(big) = self.big else {
            self.big = Some(pair == [0xfe, 0xff]);
            return;
        };
        let unit = if big { u16::from_be_bytes(pair) } else { u16::from_le_bytes(pair) };
        let units = self.high.take().into_iter().chain([unit]);
        for c in char::decode_utf16(units) {
            match c {
                Ok(c) => self.out.extend(c.encode_utf8(&mut [0; 4]).bytes()),
                // The first half of a pair; the second comes next.
                Err(_) if self.high.is_none() && (0xd800..0xdc00).contains(&unit) => self.high = Some(unit),
                Err(_) => self.out.extend(char::REPLACEMENT_CHARACTER.encode_utf8(&mut [0; 4]).bytes()),
            }
        }
    }
}

impl<R: io::Read> io::Read for Utf16<R> {
    fn read(&mut self, to: &mut [u8]) -> io::Result<usize> {
        while self.out.is_empty() {
            let mut bytes = Vec::with_capacity(8_192);
            self.reader.by_ref().take(8_192).read_to_end(&mut bytes)?;
            if bytes.is_empty() {
                return Ok(0);
            }
            for pair in bytes.chunks(2) {
                self.unit([pair.first().copied().unwrap_or(0), pair.get(1).copied().unwrap_or(0)]);
            }
        }
        self.out.read(to)
    }
}
