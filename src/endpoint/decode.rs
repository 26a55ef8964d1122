//! From the bytes of one record to events: notation off (JSON, XML, lines), format found or as named, envelopes of
//! shippers taken off. One [`Decoder`] a source; it finds the format once and looks again when a record does not fit.

use super::draft::{Desk, Hint, Pool};
use super::event::EndpointEvent;
use super::format::{Format, Formats, Record, State};
use super::rows::{self, Line};
use super::tally::{Reason, Tally};
use super::tree::{Kind, Tree, View};
use super::{envelope, json, known, xml};
use std::borrow::Cow;

/// Largest record that is read.
pub const MAX_RECORD: usize = 4 << 20;
/// Envelopes around a record at most.
const MAX_ENVELOPES: u8 = 5;

/// Reads the records of one source.
#[derive(Debug)]
pub struct Decoder<'f> {
    formats: &'f Formats,
    /// Name of the format that the user named.
    named: Option<String>,
    /// Index of the format of the last record.
    last: Option<usize>,
    state: State,
    pool: Pool,
    tree: Tree,
    /// What has been read.
    pub tally: Tally,
}

impl<'f> Decoder<'f> {
    /// For a source whose format is to be found, or is the named one. The error names the formats there are.
    pub fn new(formats: &'f Formats, named: Option<&str>) -> Result<Self, String> {
        if let Some(name) = named {
            formats.check(name)?;
        }
        Ok(Self {
            formats,
            named: named.map(str::to_owned),
            last: None,
            state: State::default(),
            pool: Pool::default(),
            tree: Tree::default(),
            tally: Tally::default(),
        })
    }

    /// Reads one record; its events are added to `out`. What gave none is in the tally.
    pub fn record(&mut self, bytes: &[u8], hint: &Hint, out: &mut Vec<EndpointEvent>) {
        let before = out.len();
        let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
        if bytes.len() > MAX_RECORD {
            self.tally.records += 1;
            self.tally.without(Reason::Large, bytes);
            return;
        }
        // Nearly all of it is sound, and finding that out at once is the quicker way.
        let text = std::str::from_utf8(bytes).map_or_else(|_| String::from_utf8_lossy(bytes), Cow::Borrowed);
        let text = text.trim();
        if !text.is_empty() {
            self.text(text, hint, MAX_ENVELOPES, out);
        }
        self.tally.events += (out.len() - before) as u64;
    }

    /// No more records will come.
    pub fn finish(&mut self, hint: &Hint, out: &mut Vec<EndpointEvent>) {
        let before = out.len();
        let mut desk = Desk { out, pool: &mut self.pool, hint };
        self.state.finish(&mut desk);
        self.tally.events += (out.len() - before) as u64;
    }

    /// Whether lines are rows of a table, in which a line break may stand in quotes.
    pub fn reads_rows(&self) -> bool {
        self.state.reads_rows()
    }

    fn text(&mut self, text: &str, hint: &Hint, left: u8, out: &mut Vec<EndpointEvent>) {
        // The tree is lent to its record: an envelope around another record needs a second.
        let mut tree = std::mem::take(&mut self.tree);
        let read = match Notation::of(text) {
            Notation::Json => json::parse(text, &mut tree).map(|()| Cow::Borrowed(text)),
            Notation::Xml => {
                let text = xml::with_text_key(text);
                match xml::parse(&text, &mut tree) {
                    Ok(()) => Ok(Cow::Owned(text)),
                    Err(reason) => {
                        // Syslog cuts long events, and what names the process stands before the command line.
                        tree.close_all();
                        let cut = reason == Reason::Cut;
                        let done = if cut {
                            self.one(Record::Tree(tree.root(&text)), hint, out)
                        } else {
                            Err(reason)
                        };
                        done.map_err(|_| reason).map(|()| Cow::Borrowed(""))
                    }
                }
            }
            Notation::Line => {
                self.line(text, &mut tree, hint, left, out);
                self.tree = tree;
                return;
            }
        };
        match read {
            // What was cut has been read.
            Ok(over) if over.is_empty() => self.settle(Ok(()), text),
            Ok(over) => self.tree(tree.root(&over), text, hint, left, out),
            Err(reason) => self.settle(Err(reason), text),
        }
        self.tree = tree;
    }

    /// A line: a row of a table, a record of its own, or one behind the header of syslog.
    fn line(&mut self, text: &str, tree: &mut Tree, hint: &Hint, left: u8, out: &mut Vec<EndpointEvent>) {
        let first = left == MAX_ENVELOPES && self.tally.records == 0 && self.state.heading.is_none();
        match rows::line(text, first) {
            Line::Heading(heading) => {
                self.state.heading = Some(heading);
                return;
            }
            Line::Remark => return,
            Line::Other => {}
        }
        if let Some(heading) = self.state.heading.as_deref()
            && let Ok(over) = rows::row(heading, text, tree)
            && (self.find(Record::Tree(tree.root(&over))).is_ok()
                || envelope::open(tree.root(&over), |_| false).is_some())
        {
            self.tree(tree.root(&over), text, hint, left, out);
            return;
        }
        let mut done = self.one(Record::Line(text), hint, out);
        if let Err(reason) = done {
            done = self.unwrap_line(text, reason, hint, left, out);
        }
        self.settle(done, text);
    }

    /// A record or an envelope of one or many.
    fn tree(&mut self, root: View<'_>, text: &str, hint: &Hint, left: u8, out: &mut Vec<EndpointEvent>) {
        if root.kind() == Kind::Array {
            root.children().for_each(|item| self.tree(item, text, hint, left, out));
            return;
        }
        let done = self.one(Record::Tree(root), hint, out);
        let Err(reason @ (Reason::Unknown | Reason::OtherFormat)) = done else {
            self.settle(done, text);
            return;
        };
        let Some(left) = left.checked_sub(1) else {
            self.settle(Err(reason), text);
            return;
        };
        if let Some(reason) = known::told(root) {
            self.settle(Err(reason), text);
            return;
        }
        let inside = envelope::hint(root, hint);
        let hint = inside.as_ref().unwrap_or(hint);
        match envelope::open(root, |line| self.find(Record::Line(line)).is_ok()) {
            Some(envelope::Inside::Many(list)) => {
                list.children().for_each(|item| self.tree(item, text, hint, left, out));
            }
            Some(envelope::Inside::One(view)) => self.tree(view, text, hint, left, out),
            Some(envelope::Inside::Text(inner)) => self.text(inner.trim(), hint, left, out),
            None => self.settle(Err(reason), text),
        }
    }

    /// A line that is no record of its own may carry one behind the header of syslog.
    fn unwrap_line(
        &mut self,
        text: &str,
        reason: Reason,
        hint: &Hint,
        left: u8,
        out: &mut Vec<EndpointEvent>,
    ) -> Result<(), Reason> {
        if !matches!(reason, Reason::Unknown | Reason::OtherFormat) {
            return Err(reason);
        }
        let Some((inner, inside)) = envelope::open_line(text, hint) else { return Err(reason) };
        let left = left.checked_sub(1).ok_or(reason)?;
        self.text(inner, &inside, left, out);
        Err(Reason::Envelope)
    }

    /// Counts a record that has been read; an envelope is counted with what is in it.
    fn settle(&mut self, done: Result<(), Reason>, text: &str) {
        if done == Err(Reason::Envelope) {
            return;
        }
        self.tally.records += 1;
        if let Err(reason) = done {
            self.tally.without(reason, text.as_bytes());
        }
    }

    /// One record, by the format of the last or the first that recognises it.
    fn one(&mut self, record: Record<'_>, hint: &Hint, out: &mut Vec<EndpointEvent>) -> Result<(), Reason> {
        let fits = |at: &usize| self.formats.at(*at).is_some_and(|format| format.recognises(record));
        let at = match self.last.filter(fits) {
            Some(at) => at,
            None => self.find(record)?,
        };
        let Some(format) = self.formats.at(at) else { return Err(Reason::Unknown) };
        if self.last != Some(at) {
            self.last = Some(at);
            let name = format.names().first().copied().unwrap_or("");
            if !self.tally.formats.iter().any(|known| known == name) {
                self.tally.formats.push(name.to_owned());
            }
        }
        let mut desk = Desk { out, pool: &mut self.pool, hint };
        format.read(record, &mut self.state, &mut desk)
    }

    fn find(&self, record: Record<'_>) -> Result<usize, Reason> {
        let named =
            |format: &dyn Format| self.named.as_deref().is_none_or(|name| format.names().contains(&name));
        let found = self.formats.iter().position(|format| named(format) && format.recognises(record));
        found.ok_or(if self.named.is_some() { Reason::OtherFormat } else { Reason::Unknown })
    }
}

/// How a record is written.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Notation {
    Json,
    Xml,
    Line,
}

impl Notation {
    fn of(text: &str) -> Self {
        let bytes = text.as_bytes();
        match (bytes.first(), bytes.get(1)) {
            (Some(b'{'), _) => Self::Json,
            (Some(b'['), Some(b'{' | b'[' | b']' | b' ' | b'\n' | b'\r' | b'\t')) => Self::Json,
            (Some(b'<'), Some(b'?' | b'!' | b'A'..=b'Z' | b'a'..=b'z')) => Self::Xml,
            _ => Self::Line,
        }
    }
}
