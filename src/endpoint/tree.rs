//! A record as a flat list of nodes over its own text. Nothing is copied or decoded until a field is asked for, so what
//! is not asked for (a message text, a certificate) costs a scan and no more.

use std::borrow::Cow;

/// Nodes of one record at most.
pub const MAX_NODES: usize = 1 << 18;
/// Levels of nesting at most.
pub const MAX_DEPTH: usize = 64;

/// How the text of a value stands in the record.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Coding {
    /// As it is.
    Plain,
    /// With JSON's escapes.
    Json,
    /// With XML's entities.
    Xml,
    /// With doubled quotes.
    Csv,
}

/// What a node is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kind {
    /// Children with keys.
    Object,
    /// Children without.
    Array,
    /// A text.
    Text(Coding),
    /// A number, `true` or `false`, as written.
    Raw,
    /// Nothing.
    Null,
}

#[derive(Clone, Copy, Debug)]
struct Node {
    key: (u32, u32),
    value: (u32, u32),
    /// Index of the first node behind this one and all below it.
    end: u32,
    kind: Kind,
}

/// The nodes of one record; used again for the next.
#[derive(Default, Debug)]
pub struct Tree {
    nodes: Vec<Node>,
    open: Vec<u32>,
}

/// A place in the text of a record: from, to.
pub type Place = (usize, usize);

impl Tree {
    /// Forgets the last record.
    pub fn clear(&mut self) {
        self.nodes.clear();
        self.open.clear();
    }

    /// Begins an object or array. `None` when the record is too deep or too large.
    pub fn open(&mut self, key: Place, kind: Kind) -> Option<()> {
        if self.open.len() >= MAX_DEPTH {
            return None;
        }
        self.open.push(self.nodes.len() as u32);
        self.push(key, (0, 0), kind)
    }

    /// Ends the innermost object or array.
    pub fn close(&mut self) {
        let end = self.nodes.len() as u32;
        if let Some(node) = self.open.pop().and_then(|at| self.nodes.get_mut(at as usize)) {
            node.end = end;
        }
    }

    /// Ends all that stands open: of a record that was cut, what is whole.
    pub fn close_all(&mut self) {
        while !self.open.is_empty() {
            self.close();
        }
    }

    /// Adds a value.
    pub fn leaf(&mut self, key: Place, value: Place, kind: Kind) -> Option<()> {
        self.push(key, value, kind)
    }

    fn push(&mut self, key: Place, value: Place, kind: Kind) -> Option<()> {
        if self.nodes.len() >= MAX_NODES || value.1 > u32::MAX as usize || key.1 > u32::MAX as usize {
            return None;
        }
        let end = self.nodes.len() as u32 + 1;
        let small = |(from, to): Place| (from as u32, to as u32);
        self.nodes.push(Node { key: small(key), value: small(value), end, kind });
        Some(())
    }

    /// The whole record, over the text that it was read from.
    pub fn root<'t>(&'t self, text: &'t str) -> View<'t> {
        View { text, nodes: &self.nodes, at: 0 }
    }

    /// Nodes so far.
    pub fn len(&self) -> usize {
        self.nodes.len()
    }

    /// Whether nothing has been read.
    pub fn is_empty(&self) -> bool {
        self.nodes.is_empty()
    }

    /// Levels that stand open.
    pub fn depth(&self) -> usize {
        self.open.len()
    }
}

/// One node of a record.
#[derive(Clone, Copy, Debug)]
pub struct View<'t> {
    text: &'t str,
    nodes: &'t [Node],
    at: usize,
}

impl<'t> View<'t> {
    fn node(self) -> Option<&'t Node> {
        self.nodes.get(self.at)
    }

    /// What it is; nothing where there is no record.
    pub fn kind(self) -> Kind {
        self.node().map_or(Kind::Null, |node| node.kind)
    }

    /// Its key, as written.
    pub fn key(self) -> &'t str {
        self.node().and_then(|node| self.text.get(node.key.0 as usize..node.key.1 as usize)).unwrap_or("")
    }

    fn written(self) -> &'t str {
        self.node().and_then(|node| self.text.get(node.value.0 as usize..node.value.1 as usize)).unwrap_or("")
    }

    /// What stands below it.
    pub fn children(self) -> Children<'t> {
        let end = match self.node() {
            Some(node) if matches!(node.kind, Kind::Object | Kind::Array) => node.end as usize,
            _ => 0,
        };
        Children { view: self, next: self.at + 1, end }
    }

    /// The child under a key.
    pub fn get(self, key: &str) -> Option<Self> {
        if self.kind() != Kind::Object {
            return None;
        }
        let (bytes, text) = (key.as_bytes(), self.text.as_bytes());
        let (mut at, end) = (self.at + 1, self.node()?.end as usize);
        // Most keys differ in length or in their last letter: those are not compared whole.
        let last = bytes.last();
        while at < end {
            let node = self.nodes.get(at)?;
            let (from, to) = (node.key.0 as usize, node.key.1 as usize);
            if to - from == bytes.len()
                && last == to.checked_sub(1).filter(|_| to > from).and_then(|to| text.get(to))
                && text.get(from..to) == Some(bytes)
            {
                return Some(View { at, ..self });
            }
            at = node.end as usize;
        }
        None
    }

    /// A value as text: of a string what it says, of a number or truth value as written. Nothing for the rest.
    pub fn as_text(self) -> Option<Cow<'t, str>> {
        let written = self.written();
        match self.kind() {
            Kind::Text(coding) => Some(decode(written, coding)),
            Kind::Raw => Some(Cow::Borrowed(written)),
            _ => None,
        }
    }

    /// A value that says something: not empty, not a dash, not a word for nothing.
    pub fn given(self) -> Option<Cow<'t, str>> {
        let text = self.as_text()?;
        let text = if text.starts_with(' ') || text.ends_with(' ') {
            Cow::Owned(text.trim().to_owned())
        } else {
            text
        };
        (!matches!(&*text, "" | "-" | "(null)" | "null" | "N/A" | "(none)")).then_some(text)
    }

    /// The value under a key, where it says something.
    pub fn field(self, key: &str) -> Option<Cow<'t, str>> {
        self.get(key)?.given()
    }

    /// Whether the value is this text. Compared without decoding where it can be.
    pub fn is(self, wanted: &str) -> bool {
        match self.kind() {
            Kind::Text(Coding::Plain) | Kind::Raw => self.written() == wanted,
            Kind::Text(_) => self.written() == wanted || self.as_text().is_some_and(|text| text == wanted),
            _ => false,
        }
    }

    /// The child at the end of a chain of keys.
    pub fn at(self, keys: &[&str]) -> Option<Self> {
        keys.iter().try_fold(self, |view, key| view.get(key))
    }
}

/// The children of a node, in order.
#[derive(Clone, Debug)]
pub struct Children<'t> {
    view: View<'t>,
    next: usize,
    end: usize,
}

impl<'t> Iterator for Children<'t> {
    type Item = View<'t>;

    fn next(&mut self) -> Option<View<'t>> {
        if self.next >= self.end {
            return None;
        }
        let child = View { at: self.next, ..self.view };
        self.next = child.node()?.end as usize;
        Some(child)
    }
}

fn decode(text: &str, coding: Coding) -> Cow<'_, str> {
    match coding {
        Coding::Plain => Cow::Borrowed(text),
        Coding::Json if !text.contains('\\') => Cow::Borrowed(text),
        Coding::Json => Cow::Owned(super::json::unescape(text)),
        Coding::Xml if !text.contains('&') && !text.contains("<![CDATA[") => Cow::Borrowed(text),
        Coding::Xml => Cow::Owned(super::xml::unescape(text)),
        Coding::Csv if !text.contains('"') => Cow::Borrowed(text),
        Coding::Csv => Cow::Owned(text.replace("\"\"", "\"")),
    }
}
