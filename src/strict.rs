//! Strict reading of TOML: every key must be known, every fault is kept with its line and a cure.

use std::fmt;
use std::ops::Range;
use std::sync::Arc;
use toml::Spanned;
use toml::de::{DeArray, DeTable, DeValue};

/// Largest file that is read.
pub const MAX_FILE: usize = 4 << 20;
/// Faults kept; more would not help anybody.
const MAX_FAULTS: usize = 200;

/// Something wrong in a file, where it stands and what to do about it.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Fault {
    /// The file, as it was named to us.
    pub file: Arc<str>,
    /// The line, counted from 1.
    pub line: Option<usize>,
    /// What is wrong.
    pub what: String,
    /// What to do.
    pub cure: String,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.file)?;
        if let Some(line) = self.line {
            write!(f, ":{line}")?;
        }
        write!(f, ": {}; {}", self.what, self.cure)
    }
}

/// Something that does not stop the run but should be known; it has the form of a fault.
pub type Warning = Fault;

/// The faults and warnings of one load.
#[derive(Default, Debug)]
pub(crate) struct Findings {
    pub(crate) faults: Vec<Fault>,
    pub(crate) warnings: Vec<Warning>,
}

/// One file while it is read.
pub(crate) struct Source<'t> {
    pub(crate) file: Arc<str>,
    text: &'t str,
    lines: Vec<usize>,
    /// Whether lines mean anything to the reader; they do not on a command line.
    pub(crate) lined: bool,
    pub(crate) findings: Findings,
}

impl<'t> Source<'t> {
    pub(crate) fn new(file: &str, text: &'t str) -> Self {
        let lines = text.bytes().enumerate().filter(|(_, b)| *b == b'\n').map(|(at, _)| at).collect();
        Self { file: file.into(), text, lines, lined: true, findings: Findings::default() }
    }

    /// A text that stood on the command line, in the argument that `name` says.
    pub(crate) fn argument(name: &str, text: &'t str) -> Self {
        Self { lined: false, ..Self::new(name, text) }
    }

    /// The document, or nothing with the faults noted.
    pub(crate) fn document(&mut self) -> Option<DeTable<'t>> {
        if self.text.len() > MAX_FILE {
            self.fault(None, "is larger than 4 MiB", "split it");
            return None;
        }
        let (table, errors) = DeTable::parse_recoverable(self.text);
        for error in &errors {
            let line = error.span().map(|span| self.line(span.start));
            let what = format!("no valid TOML: {}", shown(error.message()));
            self.fault(line, what, "mend the line; strings stand in double quotes, lists in [ ]");
        }
        errors.is_empty().then(|| table.into_inner())
    }

    pub(crate) fn line(&self, at: usize) -> usize {
        1 + self.lines.partition_point(|newline| *newline < at)
    }

    pub(crate) fn fault(&mut self, line: Option<usize>, what: impl Into<String>, cure: impl Into<String>) {
        if self.findings.faults.len() < MAX_FAULTS {
            let (what, cure, line) = (what.into(), cure.into(), line.filter(|_| self.lined));
            self.findings.faults.push(Fault { file: Arc::clone(&self.file), line, what, cure });
        }
    }

    pub(crate) fn warn(&mut self, line: Option<usize>, what: impl Into<String>, cure: impl Into<String>) {
        if self.findings.warnings.len() < MAX_FAULTS {
            let (what, cure, line) = (what.into(), cure.into(), line.filter(|_| self.lined));
            self.findings.warnings.push(Fault { file: Arc::clone(&self.file), line, what, cure });
        }
    }
}

/// A string from a file with its place.
#[derive(Clone, Debug)]
pub(crate) struct Text {
    pub(crate) text: String,
    pub(crate) line: usize,
}

/// One table of a file: keys are asked for by name, and [`Keys::finish`] refuses what nobody asked for.
pub(crate) struct Keys<'k, 't> {
    table: &'k DeTable<'t>,
    what: String,
    pub(crate) line: usize,
    known: Vec<&'static str>,
}

impl<'k, 't> Keys<'k, 't> {
    pub(crate) fn new(table: &'k DeTable<'t>, what: impl Into<String>, line: usize) -> Self {
        Self { table, what: what.into(), line, known: Vec::new() }
    }

    /// What the table is, for messages.
    pub(crate) fn what(&self) -> &str {
        &self.what
    }

    /// The value of a key, known from here on.
    pub(crate) fn take(&mut self, key: &'static str) -> Option<&'k Spanned<DeValue<'t>>> {
        self.known.push(key);
        self.table.get(key)
    }

    /// Whether a key is there that must not be; it is then not unknown besides.
    pub(crate) fn has_wrongly(&mut self, key: &'static str) -> bool {
        if self.has(key) {
            self.known.push(key);
        }
        self.has(key)
    }

    pub(crate) fn has(&self, key: &str) -> bool {
        self.table.contains_key(key)
    }

    /// The line that a key stands on.
    pub(crate) fn line_of(&self, source: &Source<'_>, key: &str) -> Option<usize> {
        self.table.get_key_value(key).map(|(key, _)| source.line(key.span().start))
    }

    /// The value of a key as it is written, on one line.
    pub(crate) fn written(&self, source: &Source<'_>, key: &str) -> Option<String> {
        let text = source.text.get(self.table.get(key)?.span())?;
        Some(text.split_whitespace().collect::<Vec<_>>().join(" "))
    }

    fn typed<T>(
        &mut self,
        source: &mut Source<'_>,
        key: &'static str,
        wanted: &str,
        read: impl FnOnce(&'k DeValue<'t>) -> Option<T>,
    ) -> Option<(T, usize)> {
        let value = self.take(key)?;
        let line = source.line(value.span().start);
        let read = read(value.get_ref());
        if read.is_none() {
            let what = format!("{key} of {} is {}", self.what, type_of(value.get_ref()));
            source.fault(Some(line), what, format!("write {wanted}"));
        }
        read.map(|v| (v, line))
    }

    pub(crate) fn text(&mut self, source: &mut Source<'_>, key: &'static str) -> Option<Text> {
        let read =
            self.typed(source, key, "a string, for example \"…\"", |v| v.as_str().map(str::to_owned))?;
        if read.0.len() > 1_000 || read.0.chars().any(char::is_control) {
            source.fault(
                Some(read.1),
                format!("{key} of {} is no short line", self.what),
                "keep it to one line",
            );
            return None;
        }
        Some(Text { text: read.0, line: read.1 })
    }

    /// A string that must be there.
    pub(crate) fn needed(
        &mut self,
        source: &mut Source<'_>,
        key: &'static str,
        example: &str,
    ) -> Option<Text> {
        if !self.has(key) {
            self.known.push(key);
            source.fault(
                Some(self.line),
                format!("{} has no {key}", self.what),
                format!("add {key} = {example}"),
            );
            return None;
        }
        let text = self.text(source, key)?;
        if text.text.trim().is_empty() {
            let what = format!("{key} of {} is empty", self.what);
            source.fault(Some(text.line), what, format!("write {key} = {example}"));
            return None;
        }
        Some(text)
    }

    /// A string that may be absent but not empty.
    pub(crate) fn needed_if_there(
        &mut self,
        source: &mut Source<'_>,
        key: &'static str,
        example: &str,
    ) -> Option<Text> {
        if self.has(key) {
            return self.needed(source, key, example);
        }
        self.known.push(key);
        None
    }

    pub(crate) fn flag(&mut self, source: &mut Source<'_>, key: &'static str) -> Option<bool> {
        self.typed(source, key, "true or false", DeValue::as_bool).map(|v| v.0)
    }

    pub(crate) fn number(&mut self, source: &mut Source<'_>, key: &'static str, max: u32) -> Option<u32> {
        let wanted = format!("a whole number from 0 to {max}");
        self.typed(source, key, &wanted, |v| whole(v).filter(|n| *n <= max)).map(|v| v.0)
    }

    pub(crate) fn numbers(&mut self, source: &mut Source<'_>, key: &'static str) -> Vec<u32> {
        let read = self.typed(source, key, "a list of whole numbers", |v| {
            v.as_array()?.iter().map(|item| whole(item.get_ref())).collect::<Option<Vec<u32>>>()
        });
        read.map(|v| v.0).unwrap_or_default()
    }

    /// A list of strings, each with its line.
    pub(crate) fn list(&mut self, source: &mut Source<'_>, key: &'static str, max: usize) -> Vec<Text> {
        let Some((items, line)) = self.typed(source, key, "a list of strings", DeValue::as_array) else {
            return Vec::new();
        };
        texts(source, items, line, &format!("{key} of {}", self.what), max)
    }

    /// The lists of strings in this table, under keys chosen by the file.
    pub(crate) fn lists(self, source: &mut Source<'_>, max: usize) -> Vec<(Text, Vec<Text>)> {
        if self.table.len() > max {
            source.fault(Some(self.line), format!("{} has more than {max} entries", self.what), "keep fewer");
            return Vec::new();
        }
        let mut lists = Vec::with_capacity(self.table.len());
        for (key, value) in self.table {
            let line = source.line(key.span().start);
            let what = format!("{}.{}", self.what, shown(key.get_ref()));
            match value.get_ref().as_array() {
                Some(items) => {
                    let key = Text { text: key.get_ref().to_string(), line };
                    lists.push((key, texts(source, items, line, &what, max)));
                }
                None => {
                    let is = format!("{what} is {}", type_of(value.get_ref()));
                    source.fault(Some(line), is, "write a list of strings");
                }
            }
        }
        lists
    }

    /// A date: TOML's own or a string, as year, month, day.
    pub(crate) fn date(
        &mut self,
        source: &mut Source<'_>,
        key: &'static str,
    ) -> Option<(jiff::civil::Date, usize)> {
        self.typed(source, key, "a date, for example 2027-01-31", date)
    }

    /// A list of dates.
    pub(crate) fn dates(
        &mut self,
        source: &mut Source<'_>,
        key: &'static str,
    ) -> Option<Vec<jiff::civil::Date>> {
        let read = self.typed(source, key, "a list of dates, for example [2027-01-01]", |v| {
            v.as_array()?.iter().map(|item| date(item.get_ref())).collect::<Option<Vec<_>>>()
        });
        read.map(|v| v.0)
    }

    /// A number with or without a fraction, within a range.
    pub(crate) fn fraction(
        &mut self,
        source: &mut Source<'_>,
        key: &'static str,
        range: std::ops::RangeInclusive<f64>,
    ) -> Option<f64> {
        let wanted = format!("a number from {} to {}", range.start(), range.end());
        let read = self.typed(source, key, &wanted, |v| {
            let number = match v {
                DeValue::Float(float) => float.as_str().parse().ok()?,
                _ => f64::from(whole(v)?),
            };
            range.contains(&number).then_some(number)
        });
        read.map(|v| v.0)
    }

    /// A quantity written as a string with its unit. A bare number is refused: its unit would be a guess.
    pub(crate) fn quantity<T: std::str::FromStr<Err = String>>(
        &mut self,
        source: &mut Source<'_>,
        key: &'static str,
        example: &str,
    ) -> Option<T> {
        let value = self.take(key)?;
        let line = source.line(value.span().start);
        let cure = format!("write it in quotes, for example \"{example}\"");
        let what = match value.get_ref() {
            DeValue::String(text) => match text.parse() {
                Ok(quantity) => return Some(quantity),
                Err(error) => {
                    let (what, cure) = error.split_once("; ").unwrap_or((&error, &cure));
                    source.fault(
                        Some(line),
                        format!("{key} of {}: {}", self.what, plain(what)),
                        cure.to_owned(),
                    );
                    return None;
                }
            },
            DeValue::Integer(_) | DeValue::Float(_) => "a bare number, its unit would be a guess",
            other => type_of(other),
        };
        source.fault(Some(line), format!("{key} of {} is {what}", self.what), cure);
        None
    }

    pub(crate) fn table(
        &mut self,
        source: &mut Source<'_>,
        key: &'static str,
    ) -> Option<(&'k DeTable<'t>, usize)> {
        self.typed(source, key, "a table", DeValue::as_table)
    }

    /// The entries of an array of tables, `[[key]]`.
    pub(crate) fn tables(
        &mut self,
        source: &mut Source<'_>,
        key: &'static str,
        max: usize,
    ) -> Vec<Keys<'k, 't>> {
        let Some((items, line)) = self.typed(source, key, &format!("[[{key}]]"), DeValue::as_array) else {
            return Vec::new();
        };
        if items.len() > max {
            source.fault(Some(line), format!("more than {max} [[{key}]] entries"), "keep fewer");
            return Vec::new();
        }
        let mut tables = Vec::with_capacity(items.len());
        for item in items {
            let line = source.line(item.span().start);
            match item.get_ref().as_table() {
                Some(table) => tables.push(Keys::new(table, format!("[[{key}]]"), line)),
                None => {
                    source.fault(
                        Some(line),
                        format!("{key} holds no table here"),
                        format!("write [[{key}]]"),
                    );
                }
            }
        }
        tables
    }

    /// The tables below this one, in file order, with names chosen by the file.
    pub(crate) fn named(&self, source: &mut Source<'_>, max: usize) -> Vec<(Text, &'k DeTable<'t>)> {
        if self.table.len() > max {
            source.fault(
                Some(self.line),
                format!("{} has more than {max} entries", self.what),
                "split the file",
            );
            return Vec::new();
        }
        let mut found: Vec<(Range<usize>, String, &'k DeTable<'t>)> = Vec::new();
        for (key, value) in self.table {
            match value.get_ref().as_table() {
                Some(table) => found.push((key.span(), key.get_ref().to_string(), table)),
                None => {
                    let line = source.line(key.span().start);
                    let what = format!("{}.{} is no table", self.what, shown(key.get_ref()));
                    source.fault(Some(line), what, format!("write [{}.NAME]", self.what));
                }
            }
        }
        found.sort_by_key(|(span, ..)| span.start);
        let place = |(span, text, table): (Range<usize>, String, _)| {
            (Text { text, line: source.line(span.start) }, table)
        };
        found.into_iter().map(place).collect()
    }

    /// Refuses every key that was not asked for.
    pub(crate) fn finish(self, source: &mut Source<'_>) {
        for key in self.table.keys() {
            let name = key.get_ref().as_ref();
            if self.known.contains(&name) {
                continue;
            }
            let line = source.line(key.span().start);
            let cure = match closest(name, self.known.iter().copied()) {
                Some(near) => format!("did you mean {near}?"),
                None => format!("known here: {}", self.known.join(", ")),
            };
            source.fault(Some(line), format!("unknown key '{}' in {}", shown(name), self.what), cure);
        }
    }
}

/// The strings of a list, each with its line.
fn texts(source: &mut Source<'_>, items: &DeArray<'_>, line: usize, what: &str, max: usize) -> Vec<Text> {
    if items.len() > max {
        source.fault(Some(line), format!("{what} has more than {max} entries"), "split it up");
        return Vec::new();
    }
    let mut texts = Vec::with_capacity(items.len());
    for item in items {
        let line = source.line(item.span().start);
        match item.get_ref().as_str() {
            Some(text) => texts.push(Text { text: text.to_owned(), line }),
            None => source.fault(Some(line), format!("{what} holds no string here"), "quote it"),
        }
    }
    texts
}

/// A day: TOML's own date or a string.
fn date(value: &DeValue<'_>) -> Option<jiff::civil::Date> {
    if let Some(at) = value.as_datetime() {
        let date = at.date.filter(|_| at.time.is_none())?;
        let year = i16::try_from(date.year).ok()?;
        return jiff::civil::Date::new(year, date.month as i8, date.day as i8).ok();
    }
    value.as_str()?.parse().ok()
}

fn whole(value: &DeValue<'_>) -> Option<u32> {
    let number = value.as_integer()?;
    u32::from_str_radix(number.as_str(), number.radix()).ok()
}

fn type_of(value: &DeValue<'_>) -> &'static str {
    match value {
        DeValue::String(_) => "a string of another form",
        DeValue::Integer(_) => "a number of another kind or size",
        DeValue::Float(_) => "a fraction",
        DeValue::Boolean(_) => "true or false",
        DeValue::Datetime(_) => "a date or time of another form",
        DeValue::Array(_) => "a list of another kind",
        DeValue::Table(_) => "a table",
    }
}

/// The word nearest to `text`, if one is near enough to be a slip of the pen.
pub(crate) fn closest<'w>(text: &str, words: impl Iterator<Item = &'w str>) -> Option<&'w str> {
    if text.len() > 64 {
        return None;
    }
    let limit = 1 + text.len() / 3;
    words.map(|word| (distance(text, word), word)).filter(|(d, _)| *d <= limit).min().map(|(_, word)| word)
}

/// Edit distance, in bytes; both texts are short.
fn distance(a: &str, b: &str) -> usize {
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.bytes().enumerate() {
        let mut corner = i;
        let mut left = i + 1;
        for (cell, y) in row.iter_mut().skip(1).zip(b.bytes()) {
            let best = (corner + usize::from(x != y)).min(left + 1).min(*cell + 1);
            corner = *cell;
            *cell = best;
            left = best;
        }
        if let Some(first) = row.first_mut() {
            *first = i + 1;
        }
    }
    row.last().copied().unwrap_or(0)
}

/// A message that quotes a file, on one line and no longer than anybody reads.
pub(crate) fn plain(message: &str) -> String {
    message.chars().take(200).map(|c| if c.is_control() { ' ' } else { c }).collect()
}

/// A text from a file, fit for one line of an error.
pub(crate) fn shown(text: &str) -> String {
    let mut cut: String = text.chars().take(80).flat_map(char::escape_debug).collect();
    if text.chars().nth(80).is_some() {
        cut.push('…');
    }
    cut
}
