//! From the bytes of a source, as they come, to records: lines, JSON that may take many lines or stand in a list, XML
//! events, rows of tables with line breaks in quotes. What is broken costs one record and no more: the next is found
//! again at a line.

use super::decode::{Decoder, MAX_RECORD};
use super::draft::Hint;
use super::event::EndpointEvent;
use super::format::Formats;
use super::tally::Reason;

/// A source whose bytes come in pieces.
#[derive(Debug)]
pub struct Stream<'f> {
    /// Reads the records.
    pub decoder: Decoder<'f>,
    splitter: Splitter,
}

impl<'f> Stream<'f> {
    /// As [`Decoder::new`].
    pub fn new(formats: &'f Formats, named: Option<&str>) -> Result<Self, String> {
        Ok(Self { decoder: Decoder::new(formats, named)?, splitter: Splitter::default() })
    }

    /// Takes the next bytes; events of the records that are whole are added to `out`.
    pub fn push(&mut self, bytes: &[u8], hint: &Hint, out: &mut Vec<EndpointEvent>) {
        self.splitter.buffer.extend_from_slice(bytes);
        self.take(false, hint, out);
    }

    /// No more will come: what is left is a record, and what waits for more is an event or given up.
    pub fn finish(&mut self, hint: &Hint, out: &mut Vec<EndpointEvent>) {
        self.take(true, hint, out);
        self.decoder.finish(hint, out);
    }

    /// Bytes that wait for the rest of their record: what a reader that keeps its place has yet to come back to.
    pub fn waiting(&self) -> usize {
        self.splitter.rest().len()
    }

    fn take(&mut self, end: bool, hint: &Hint, out: &mut Vec<EndpointEvent>) {
        loop {
            self.splitter.quoted_lines = self.decoder.reads_rows();
            match self.splitter.next(end) {
                Next::Record(from, to) => {
                    let record = self.splitter.buffer.get(from..to).unwrap_or_default();
                    self.decoder.record(record, hint, out);
                }
                Next::TooLarge(from, to) => {
                    let record = self.splitter.buffer.get(from..to).unwrap_or_default();
                    self.decoder.tally.records += 1;
                    self.decoder.tally.without(Reason::Large, record);
                }
                Next::Wait => break,
            }
        }
        self.splitter.compact();
    }
}

enum Next {
    Record(usize, usize),
    TooLarge(usize, usize),
    Wait,
}

/// Cuts bytes into records.
#[derive(Default, Debug)]
struct Splitter {
    buffer: Vec<u8>,
    /// Where the bytes begin that are not yet a record.
    from: usize,
    /// Scanned up to here.
    at: usize,
    json: Json,
    /// In a list: its commas and end belong to no record.
    in_list: bool,
    /// The last JSON took one line, so the next will.
    one_line: bool,
    /// The last JSON had no line break in it; whether one follows, the next byte says.
    unbroken: bool,
    /// In a record that is too large: until the next line.
    skipping: bool,
    /// A line goes on while a quote stands open.
    quoted_lines: bool,
}

/// Where the scan of one JSON value stands.
#[derive(Clone, Copy, Default, Debug)]
struct Json {
    depth: u32,
    in_string: bool,
    /// Last byte that is no space.
    last: u8,
}

/// Lists in one object whose elements are records.
const WRAPPERS: &[&str] = &["\"records\"", "\"Records\"", "\"value\"", "\"results\""];
/// Bytes that a wrapper's beginning takes at most.
const WRAPPER: usize = 64;

impl Splitter {
    fn rest(&self) -> &[u8] {
        self.buffer.get(self.from..).unwrap_or_default()
    }

    /// Gives up the bytes that are done with, when they are most of the buffer.
    fn compact(&mut self) {
        if self.from > 0 && self.from * 2 >= self.buffer.len() {
            self.buffer.drain(..self.from);
            self.at = self.at.saturating_sub(self.from);
            self.from = 0;
        }
    }

    fn next(&mut self, end: bool) -> Next {
        if self.skipping && !self.skip_line(end) {
            return Next::Wait;
        }
        if self.at <= self.from {
            self.at = self.from;
            if !self.begin(end) {
                return Next::Wait;
            }
        }
        match (self.rest().first(), self.rest().get(1)) {
            (Some(b'{'), _) => self.json(end),
            (Some(b'<'), Some(b'?' | b'!' | b'/' | b'A'..=b'Z' | b'a'..=b'z')) => self.xml(end),
            (None, _) => Next::Wait,
            _ => self.line(end),
        }
    }

    fn skip_line(&mut self, end: bool) -> bool {
        match memchr::memchr(b'\n', self.rest()) {
            Some(newline) => self.from += newline + 1,
            None => self.from = self.buffer.len(),
        }
        self.at = self.from;
        self.skipping = self.from == self.buffer.len() && !end;
        !self.skipping
    }

    /// Skips what stands between records; `false` where more bytes are needed to tell.
    fn begin(&mut self, end: bool) -> bool {
        if let Some(first) = self.rest().first().copied()
            && self.unbroken
        {
            (self.one_line, self.unbroken) = (matches!(first, b'\n' | b'\r'), false);
        }
        loop {
            let rest = self.rest();
            let Some(first) = rest.first().copied() else { return false };
            let skip = match first {
                b' ' | b'\n' | b'\r' | b'\t' => 1,
                b',' if self.in_list => 1,
                b']' | b'}' if self.in_list => {
                    // Behind the list of a wrapper may stand more keys, on this line.
                    (self.in_list, self.skipping) = (false, true);
                    if !self.skip_line(end) {
                        return false;
                    }
                    continue;
                }
                b'[' | b'{' if rest.len() < WRAPPER && !end => return false,
                0xef if rest.len() < 3 && !end => return false,
                b'[' if opens_list(head(rest)) => {
                    self.in_list = true;
                    1
                }
                b'{' if !self.in_list => match wrapper(head(rest)) {
                    Some(length) => {
                        self.in_list = true;
                        length
                    }
                    None => break,
                },
                b'\xef' if rest.starts_with(b"\xef\xbb\xbf") => 3,
                _ => break,
            };
            self.from += skip;
        }
        self.at = self.from;
        self.json = Json::default();
        true
    }

    fn emit(&mut self, to: usize, next: usize) -> Next {
        let from = self.from;
        (self.from, self.at) = (next, next);
        Next::Record(from, to)
    }

    fn wait(&mut self, end: bool) -> Next {
        let length = self.buffer.len();
        if length - self.from > MAX_RECORD {
            let from = self.from;
            (self.from, self.at, self.skipping) = (length, length, true);
            return Next::TooLarge(from, length);
        }
        if end && length > self.from { self.emit(length, length) } else { Next::Wait }
    }

    fn line(&mut self, end: bool) -> Next {
        loop {
            let Some(newline) = memchr::memchr(b'\n', self.buffer.get(self.at..).unwrap_or_default()) else {
                if !self.quoted_lines {
                    self.at = self.buffer.len();
                }
                return self.wait(end);
            };
            let to = self.at + newline;
            let line = self.buffer.get(self.from..to).unwrap_or_default();
            let open = self.quoted_lines && memchr::memchr_iter(b'"', line).count() % 2 == 1;
            if !open || line.len() > MAX_RECORD / 64 {
                return self.emit(to, to + 1);
            }
            self.at = to + 1;
        }
    }

    fn json(&mut self, end: bool) -> Next {
        if self.one_line && !self.in_list && self.at == self.from {
            match memchr::memchr(b'\n', self.rest()) {
                Some(newline) => {
                    let line = self.rest().get(..newline).unwrap_or_default().trim_ascii_end();
                    if line.ends_with(b"}") {
                        return self.emit(self.from + line.len(), self.from + newline + 1);
                    }
                }
                // Whether the line is one record does not depend on how it comes.
                None if !end => return self.wait(false),
                None => {}
            }
        }
        while let Some(byte) = self.buffer.get(self.at).copied() {
            if self.json.in_string {
                let rest = self.buffer.get(self.at..).unwrap_or_default();
                let Some(found) = memchr::memchr3(b'"', b'\\', b'\n', rest) else {
                    self.at = self.buffer.len();
                    break;
                };
                match rest.get(found) {
                    Some(b'"') => {
                        self.json.in_string = false;
                        self.json.last = b'"';
                    }
                    // The byte behind it, which may not be there yet.
                    Some(b'\\') if found + 1 >= rest.len() && !end => {
                        self.at += found;
                        return self.wait(end);
                    }
                    Some(b'\\') => self.at += 1,
                    // No string has a line break: the record ends in the middle.
                    _ => return self.emit(self.at + found, self.at + found + 1),
                }
                self.at += found + 1;
                continue;
            }
            match byte {
                b'"' => self.json.in_string = true,
                b'{' if self.begins_line() && !matches!(self.json.last, 0 | b',' | b'[' | b':') => {
                    // Nothing joins it to what stands before, which then ends in the middle.
                    return self.emit(self.at, self.at);
                }
                b'{' | b'[' => self.json.depth += 1,
                b'}' | b']' => {
                    self.json.depth = self.json.depth.saturating_sub(1);
                    if self.json.depth == 0 {
                        let to = self.at + 1;
                        let record = self.buffer.get(self.from..to).unwrap_or_default();
                        self.unbroken = memchr::memchr(b'\n', record).is_none();
                        self.one_line = false;
                        return self.emit(to, to);
                    }
                }
                _ => {}
            }
            if !byte.is_ascii_whitespace() {
                self.json.last = byte;
            }
            self.at += 1;
        }
        self.wait(end)
    }

    fn begins_line(&self) -> bool {
        self.at > self.from && self.buffer.get(self.at - 1) == Some(&b'\n')
    }

    /// An element `<Event>` with all in it. What stands around such elements belongs to none.
    fn xml(&mut self, end: bool) -> Next {
        let rest = self.rest();
        let is_event = rest.starts_with(b"<Event>") || rest.starts_with(b"<Event ");
        let close: &[u8] = match rest.get(..4) {
            _ if is_event => b"</Event>",
            Some(b"<!--") => b"-->",
            None if !end => return Next::Wait,
            _ if rest.len() < 8 && !end => return Next::Wait,
            _ => b">",
        };
        // From a little before where the last scan ended: the end may have come in two pieces.
        let scanned = self.at.saturating_sub(close.len()).max(self.from);
        let Some(found) = memchr::memmem::find(self.buffer.get(scanned..).unwrap_or_default(), close) else {
            self.at = self.buffer.len();
            return self.wait(end);
        };
        let to = scanned + found + close.len();
        if is_event {
            let to = self.next_event(to).unwrap_or(to);
            return self.emit(to, to);
        }
        (self.from, self.at) = (to, to);
        self.next(end)
    }
}

impl Splitter {
    /// Where the next event begins, when that is before `to`: the one before it was cut.
    fn next_event(&self, to: usize) -> Option<usize> {
        let inner = self.buffer.get(self.from + 1..to)?;
        let begins = |at: &usize| {
            let rest = inner.get(at + 7..).unwrap_or_default();
            matches!(rest.first(), Some(b'>' | b' '))
        };
        memchr::memmem::find_iter(inner, b"\n<Event").find(begins).map(|at| self.from + 1 + at + 1)
    }
}

/// Whether a `[` begins a list of objects.
fn opens_list(rest: &[u8]) -> bool {
    let inner = rest.get(1..).unwrap_or_default().trim_ascii_start();
    matches!(inner.first(), Some(b'{' | b']'))
}

/// As much as is looked at to tell what begins here.
fn head(rest: &[u8]) -> &[u8] {
    rest.get(..WRAPPER).unwrap_or(rest)
}

/// The length of `{"records": [`, where the bytes begin so.
fn wrapper(rest: &[u8]) -> Option<usize> {
    let inner = rest.get(1..)?.trim_ascii_start();
    let key = WRAPPERS.iter().find(|key| inner.starts_with(key.as_bytes()))?;
    let inner = inner.get(key.len()..)?.trim_ascii_start().strip_prefix(b":")?.trim_ascii_start();
    let inner = inner.strip_prefix(b"[")?;
    opens_list(&[b"[", inner.get(..WRAPPER.min(inner.len()))?].concat()).then(|| rest.len() - inner.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The records of a text, however it is cut.
    fn split(text: &str, piece: usize) -> Vec<String> {
        let mut splitter = Splitter::default();
        let mut records = Vec::new();
        let mut pieces = text.as_bytes().chunks(piece).peekable();
        while let Some(bytes) = pieces.next() {
            splitter.buffer.extend_from_slice(bytes);
            let end = pieces.peek().is_none();
            loop {
                match splitter.next(end) {
                    Next::Record(from, to) => {
                        let record = String::from_utf8_lossy(&splitter.buffer[from..to]).trim().to_owned();
                        records.push(record);
                    }
                    Next::TooLarge(..) => records.push("too large".to_owned()),
                    Next::Wait => break,
                }
            }
            splitter.compact();
        }
        records
    }

    #[test]
    fn records_of_every_layout_in_every_cut() {
        for (text, records) in [
            ("a\nb\r\n\nc", vec!["a", "b", "c"]),
            ("{\"a\":1}\n{\"b\":\"}\\\"\"}\n", vec!["{\"a\":1}", "{\"b\":\"}\\\"\"}"]),
            ("{\n \"a\": {\n }\n}\n{\n}\n", vec!["{\n \"a\": {\n }\n}", "{\n}"]),
            ("[{\"a\":1},\n {\"b\":2}]\n", vec!["{\"a\":1}", "{\"b\":2}"]),
            ("[\n{\"a\":1},\n{\"b\":2}\n]\n", vec!["{\"a\":1}", "{\"b\":2}"]),
            (
                "{\"records\": [ {\"a\":1}, {\"b\":[2]} ], \"x\": 1}\n{\"c\":3}",
                vec!["{\"a\":1}", "{\"b\":[2]}", "{\"c\":3}"],
            ),
            (
                "<?xml version='1.0'?><Events><Event a='b'>x</Event>\n<Event>y</Event></Events>",
                vec!["<Event a='b'>x</Event>", "<Event>y</Event>"],
            ),
            ("<Event>cut\n<Event>y</Event>", vec!["<Event>cut", "<Event>y</Event>"]),
            (
                "{\"a\":1}\n{\"b\":2}*{\"c\":3}\n{\"d\":4}\n",
                vec!["{\"a\":1}", "{\"b\":2}*{\"c\":3}", "{\"d\":4}"],
            ),
            ("<14>Oct 1 x\ny", vec!["<14>Oct 1 x", "y"]),
            ("{\"a\": \"cut\n{\"b\":2}\n", vec!["{\"a\": \"cut", "{\"b\":2}"]),
            ("{\"a\": 1\n{\"b\":2}\n", vec!["{\"a\": 1", "{\"b\":2}"]),
            ("[root]: a\nb", vec!["[root]: a", "b"]),
        ] {
            for piece in 1..=text.len() {
                assert_eq!(split(text, piece), records, "{text:?} in pieces of {piece}");
            }
        }
    }

    #[test]
    fn what_never_ends_is_given_up() {
        let text = format!("{{\"a\":\"{}\nok\n", "x".repeat(MAX_RECORD + 200_000));
        assert!(split(&text, 65_536) == ["too large", "ok"]);
        assert!(split(&"y".repeat(MAX_RECORD + 200_000), 65_536) == ["too large"]);
    }
}
