//! One line of a Zeek log: values in the order of the columns, in either form.

use super::super::json::{self, decimal};
use crate::units::{Span, Timestamp};
use std::net::IpAddr;

/// How lines are written.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Form {
    /// Tab-separated, with a header.
    Tsv,
    /// One JSON object a line; unset fields are left out.
    Json,
}

/// A line being written. Each call fills the next column; the first one (the time) is always set.
pub(super) struct Row<'a> {
    form: Form,
    columns: std::slice::Iter<'static, (&'static str, &'static str)>,
    out: &'a mut Vec<u8>,
    first: bool,
}

impl Row<'_> {
    /// Writes a whole line; columns that `fill` has not reached are unset.
    pub(super) fn fill(
        form: Form,
        columns: &'static [(&'static str, &'static str)],
        out: &mut Vec<u8>,
        fill: impl FnOnce(&mut Row<'_>),
    ) {
        if form == Form::Json {
            out.push(b'{');
        }
        let mut row = Row { form, columns: columns.iter(), out, first: true };
        fill(&mut row);
        while !row.columns.as_slice().is_empty() {
            row.unset();
        }
        if form == Form::Json {
            out.push(b'}');
        }
    }

    /// Fills the next column with what `fill` appends, which needs no escaping in either form.
    fn cell(&mut self, fill: impl FnOnce(&mut Vec<u8>, Form)) {
        let name = self.columns.next().map_or("", |c| c.0);
        match self.form {
            Form::Tsv if self.first => {}
            Form::Tsv => self.out.push(b'\t'),
            Form::Json => {
                self.out.extend_from_slice(if self.first { b"\"" } else { b",\"" });
                self.out.extend_from_slice(name.as_bytes());
                self.out.extend_from_slice(b"\":");
            }
        }
        self.first = false;
        fill(self.out, self.form);
    }

    /// Leaves the next column unset.
    pub(super) fn unset(&mut self) {
        match self.form {
            Form::Tsv => self.cell(|out, _| out.push(b'-')),
            Form::Json => drop(self.columns.next()),
        }
    }

    fn optional<T>(&mut self, value: Option<T>, set: impl FnOnce(&mut Self, T)) {
        match value {
            Some(value) => set(self, value),
            None => self.unset(),
        }
    }

    /// A point in time, seconds since the epoch.
    pub(super) fn time(&mut self, at: Timestamp) {
        self.cell(|out, _| micros(at.micros(), out));
    }

    /// A length of time in seconds.
    pub(super) fn interval(&mut self, span: Span) {
        self.cell(|out, _| micros(span.nanos() / 1_000, out));
    }

    /// A whole number, or a port.
    pub(super) fn count(&mut self, n: u64) {
        self.cell(|out, _| decimal(n, out));
    }

    /// A whole number, if known.
    pub(super) fn opt_count(&mut self, n: Option<u64>) {
        self.optional(n, Self::count);
    }

    /// A number with a fraction.
    pub(super) fn double(&mut self, value: f64) {
        if value.is_finite() {
            self.cell(|out, _| json::float(value, out));
        } else {
            self.unset();
        }
    }

    /// True or false.
    pub(super) fn bool(&mut self, value: bool) {
        self.cell(|out, form| {
            out.extend_from_slice(match (form, value) {
                (Form::Tsv, true) => b"T",
                (Form::Tsv, false) => b"F",
                (Form::Json, true) => b"true",
                (Form::Json, false) => b"false",
            });
        });
    }

    /// An address.
    pub(super) fn addr(&mut self, ip: IpAddr) {
        self.plain(|out| json::address(ip, out));
    }

    /// Text of our own making without anything to escape.
    pub(super) fn plain(&mut self, fill: impl FnOnce(&mut Vec<u8>)) {
        self.cell(|out, form| {
            let quote = (form == Form::Json).then_some(b'"');
            out.extend(quote);
            fill(out);
            out.extend(quote);
        });
    }

    /// Text.
    pub(super) fn str(&mut self, text: &str) {
        self.cell(|out, form| value(text, false, form, out));
    }

    /// Text, if known.
    pub(super) fn opt_str(&mut self, text: Option<&str>) {
        self.optional(text, Self::str);
    }

    /// A set or vector of texts.
    pub(super) fn list<'t>(&mut self, texts: impl IntoIterator<Item = &'t str>) {
        self.cell(|out, form| {
            let before = out.len();
            out.extend((form == Form::Json).then_some(b'['));
            let start = out.len();
            for text in texts {
                out.extend((out.len() > start).then_some(b','));
                value(text, true, form, out);
            }
            out.extend((form == Form::Json).then_some(b']'));
            if out.len() == before {
                out.extend_from_slice(b"(empty)");
            }
        });
    }

    /// A vector of lengths of time.
    pub(super) fn intervals(&mut self, spans: impl IntoIterator<Item = Span>) {
        self.cell(|out, form| {
            out.extend((form == Form::Json).then_some(b'['));
            for (i, span) in spans.into_iter().enumerate() {
                out.extend((i > 0).then_some(b','));
                micros(span.nanos() / 1_000, out);
            }
            out.extend((form == Form::Json).then_some(b']'));
        });
    }
}

/// Microseconds as seconds with six decimals.
fn micros(n: i64, out: &mut Vec<u8>) {
    if n < 0 {
        out.push(b'-');
    }
    let n = n.unsigned_abs();
    decimal(n / 1_000_000, out);
    out.push(b'.');
    let mut rest = n % 1_000_000;
    let mut digits = [b'0'; 6];
    for digit in digits.iter_mut().rev() {
        *digit = b'0' + (rest % 10) as u8;
        rest /= 10;
    }
    out.extend_from_slice(&digits);
}

fn value(text: &str, in_list: bool, form: Form, out: &mut Vec<u8>) {
    match form {
        Form::Json => json::quoted(text, out),
        Form::Tsv => escaped(text, in_list, out),
    }
}

/// Zeek's escaping: what is no printable ASCII becomes `\xHH`, so do the backslash, the separators, and the first
/// byte of a text that would read as "unset" or "empty".
fn escaped(text: &str, in_list: bool, out: &mut Vec<u8>) {
    if text.is_empty() {
        out.extend_from_slice(b"(empty)");
        return;
    }
    let reserved = text == "-" || text == "(empty)";
    for (i, byte) in text.bytes().enumerate() {
        let plain = (0x20..0x7f).contains(&byte) && byte != b'\\' && !(in_list && byte == b',');
        if plain && !(reserved && i == 0) {
            out.push(byte);
        } else {
            out.extend_from_slice(b"\\x");
            json::hex(&[byte], None, out);
        }
    }
}
