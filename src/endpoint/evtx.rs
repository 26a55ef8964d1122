//! Windows event log files, read as lines of JSON. The parser of the format is another's: what makes it panic is one
//! broken chunk here.

use ::evtx::{EvtxParser, IntoIterChunks, ParserSettings};
use std::fs::File;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

/// Stands for a record that could not be read: no valid JSON, so that it is counted.
const BROKEN: &[u8] = b"{\"broken record of an event log file\"\n";

/// The records of a file as bytes.
pub(super) struct Evtx {
    chunks: IntoIterChunks<File>,
    settings: Arc<ParserSettings>,
    lines: Vec<u8>,
    given: usize,
}

impl Evtx {
    pub(super) fn new(file: File) -> io::Result<Self> {
        let settings = ParserSettings::new().num_threads(1).indent(false).separate_json_attributes(false);
        let opened = catch_unwind(AssertUnwindSafe(|| EvtxParser::from_read_seek(file)));
        let invalid = |said: String| io::Error::new(io::ErrorKind::InvalidData, said);
        let parser = opened
            .map_err(|_| invalid("no event log file that can be read".to_owned()))?
            .map_err(|error| invalid(error.to_string()))?;
        let chunks = parser.with_configuration(settings.clone()).into_chunks();
        Ok(Self { chunks, settings: Arc::new(settings), lines: Vec::new(), given: 0 })
    }

    /// The lines of the next chunk; `false` where there is none.
    fn chunk(&mut self) -> bool {
        self.lines.clear();
        self.given = 0;
        let (chunks, settings, lines) = (&mut self.chunks, &self.settings, &mut self.lines);
        let done = catch_unwind(AssertUnwindSafe(|| {
            let Some(data) = chunks.next() else { return false };
            let Ok(mut data) = data else {
                lines.extend_from_slice(BROKEN);
                return true;
            };
            let Ok(mut chunk) = data.parse(Arc::clone(settings)) else {
                lines.extend_from_slice(BROKEN);
                return true;
            };
            for record in chunk.iter() {
                match record.and_then(::evtx::EvtxRecord::into_json) {
                    Ok(record) => {
                        lines.extend(record.data.bytes().filter(|b| *b != b'\n'));
                        lines.push(b'\n');
                    }
                    Err(_) => lines.extend_from_slice(BROKEN),
                }
            }
            true
        }));
        done.unwrap_or_else(|_| {
            self.lines.extend_from_slice(b"\n");
            self.lines.extend_from_slice(BROKEN);
            true
        })
    }
}

impl io::Read for Evtx {
    fn read(&mut self, to: &mut [u8]) -> io::Result<usize> {
        while self.given >= self.lines.len() {
            if !self.chunk() {
                return Ok(0);
            }
        }
        let rest = self.lines.get(self.given..).unwrap_or_default();
        let n = rest.len().min(to.len());
        if let (Some(to), Some(from)) = (to.get_mut(..n), rest.get(..n)) {
            to.copy_from_slice(from);
        }
        self.given += n;
        Ok(n)
    }
}
