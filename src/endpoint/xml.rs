//! The XML that event logs are written in, into a [`Tree`]: elements and attributes become keys, `<Data Name="X">` the
//! key `X`, the text of an element that has attributes the key `#text`. No document types, no entities but the five
//! and character numbers: what else stands there stays as it is.

use super::tally::Reason;
use super::tree::{Coding, Kind, MAX_DEPTH, Place, Tree};

/// Key under which the text of an element with attributes stands.
const TEXT: &str = "#text";

/// Reads the one element that `text` holds. The tree has one level above it, so that [`super::tree::View::at`] begins
/// with the name of the element.
///
/// `#text` must be part of the text that places point into; callers append it: see [`with_text_key`].
pub(super) fn parse(text: &str, tree: &mut Tree) -> Result<(), Reason> {
    tree.clear();
    let body = text.len() - if text.ends_with(TEXT) { TEXT.len() } else { 0 };
    let key = (body, text.len());
    let mut parser = Parser { text: text.get(..body).unwrap_or(""), at: 0, tree, text_key: key, open: 0 };
    parser.tree.open((0, 0), Kind::Object).ok_or(Reason::Large)?;
    parser.document()?;
    parser.tree.close();
    Ok(())
}

/// The text with the key for element texts behind it.
pub(super) fn with_text_key(text: &str) -> String {
    format!("{text}{TEXT}")
}

struct Parser<'a> {
    text: &'a str,
    at: usize,
    tree: &'a mut Tree,
    text_key: Place,
    /// Elements that stand open.
    open: usize,
}

/// A start tag as far as it is read.
struct Tag {
    name: Place,
    /// `Name="…"` of a `<Data>`.
    data_name: Option<Place>,
    attributes: Vec<(Place, Place)>,
    empty: bool,
}

impl Parser<'_> {
    fn rest(&self) -> &str {
        self.text.get(self.at..).unwrap_or("")
    }

    fn slice(&self, (from, to): Place) -> &str {
        self.text.get(from..to).unwrap_or("")
    }

    fn find(&self, wanted: &str) -> Result<usize, Reason> {
        memchr::memmem::find(self.rest().as_bytes(), wanted.as_bytes())
            .map(|at| self.at + at)
            .ok_or(Reason::Cut)
    }

    /// Elements until the outermost is closed.
    fn document(&mut self) -> Result<(), Reason> {
        loop {
            let next = self.find("<")?;
            self.at = next;
            let rest = self.rest();
            if rest.starts_with("<!--") {
                self.at = self.find("-->")? + 3;
            } else if rest.starts_with("<?") || rest.starts_with("<!") {
                self.at = self.find(">")? + 1;
            } else if rest.starts_with("</") {
                self.at = self.find(">")? + 1;
                if self.open == 0 {
                    return Err(Reason::Syntax);
                }
                self.tree.close();
                self.open -= 1;
            } else {
                self.element()?;
            }
            if self.open == 0 && !self.is_prologue() {
                return Ok(());
            }
        }
    }

    /// Whether nothing but a prologue has been read.
    fn is_prologue(&self) -> bool {
        self.tree.len() <= 1
    }

    fn element(&mut self) -> Result<(), Reason> {
        let tag = self.tag()?;
        let name = self.slice(tag.name);
        let key = match tag.data_name {
            Some(key) if name == "Data" => key,
            _ => tag.name,
        };
        let is_data = name == "Data";
        if tag.empty && (tag.attributes.is_empty() || is_data) {
            return self.tree.leaf(key, (0, 0), Kind::Null).ok_or(Reason::Large);
        }
        let with_attributes = !tag.attributes.is_empty() && !is_data;
        if tag.empty {
            self.enter(key, &tag)?;
            self.tree.close();
            return Ok(());
        }
        let text = self.element_text()?;
        match (text, with_attributes) {
            (Some(text), false) => self.tree.leaf(key, text, Kind::Text(Coding::Xml)).ok_or(Reason::Large),
            (Some(text), true) => {
                self.enter(key, &tag)?;
                let text_key = self.text_key;
                self.tree.leaf(text_key, text, Kind::Text(Coding::Xml)).ok_or(Reason::Large)?;
                self.tree.close();
                Ok(())
            }
            (None, _) => {
                self.enter(key, &tag)?;
                self.open += 1;
                Ok(())
            }
        }
    }

    fn enter(&mut self, key: Place, tag: &Tag) -> Result<(), Reason> {
        let deep = self.tree.depth() >= MAX_DEPTH;
        self.tree.open(key, Kind::Object).ok_or(if deep { Reason::Deep } else { Reason::Large })?;
        for (name, value) in &tag.attributes {
            self.tree.leaf(*name, *value, Kind::Text(Coding::Xml)).ok_or(Reason::Large)?;
        }
        Ok(())
    }

    /// The text of the element whose start tag was just read, with its end tag taken; `None` where elements follow.
    fn element_text(&mut self) -> Result<Option<Place>, Reason> {
        let from = self.at;
        let mut next = self.find("<")?;
        loop {
            let rest = self.text.get(next..).unwrap_or("");
            if rest.starts_with("<![CDATA[") {
                self.at = next;
                self.at = self.find("]]>")? + 3;
                next = self.find("<")?;
            } else if rest.starts_with("</") {
                self.at = next;
                self.at = self.find(">")? + 1;
                return Ok(Some((from, next)));
            } else {
                self.at = from;
                return Ok(None);
            }
        }
    }

    fn tag(&mut self) -> Result<Tag, Reason> {
        self.at += 1;
        let name = self.name()?;
        let mut tag = Tag { name, data_name: None, attributes: Vec::new(), empty: false };
        loop {
            self.space();
            match self.text.as_bytes().get(self.at) {
                None => return Err(Reason::Cut),
                Some(b'>') => {
                    self.at += 1;
                    return Ok(tag);
                }
                Some(b'/') => {
                    tag.empty = true;
                    self.at += 1;
                }
                Some(_) => {
                    let (name, value) = self.attribute()?;
                    if self.slice(name) == "Name" {
                        tag.data_name = Some(value);
                    }
                    if self.slice(name) != "xmlns" && tag.attributes.len() < 16 {
                        tag.attributes.push((name, value));
                    }
                }
            }
        }
    }

    fn attribute(&mut self) -> Result<(Place, Place), Reason> {
        let name = self.name()?;
        self.space();
        self.take(b'=')?;
        self.space();
        let quote = match self.text.as_bytes().get(self.at) {
            Some(b'"') => "\"",
            Some(b'\'') => "'",
            Some(_) => return Err(Reason::Syntax),
            None => return Err(Reason::Cut),
        };
        self.at += 1;
        let from = self.at;
        let to = self.find(quote)?;
        self.at = to + 1;
        Ok((name, (from, to)))
    }

    /// A name without its prefix.
    fn name(&mut self) -> Result<Place, Reason> {
        let mut from = self.at;
        while let Some(byte) = self.text.as_bytes().get(self.at) {
            match byte {
                b' ' | b'\t' | b'\r' | b'\n' | b'>' | b'/' | b'=' | b'<' | b'"' | b'\'' => break,
                b':' => from = self.at + 1,
                _ => {}
            }
            self.at += 1;
        }
        if self.at >= self.text.len() {
            Err(Reason::Cut)
        } else if self.at == from {
            Err(Reason::Syntax)
        } else {
            Ok((from, self.at))
        }
    }

    fn take(&mut self, wanted: u8) -> Result<(), Reason> {
        match self.text.as_bytes().get(self.at) {
            Some(byte) if *byte == wanted => {
                self.at += 1;
                Ok(())
            }
            Some(_) => Err(Reason::Syntax),
            None => Err(Reason::Cut),
        }
    }

    fn space(&mut self) {
        while let Some(b' ' | b'\t' | b'\r' | b'\n') = self.text.as_bytes().get(self.at) {
            self.at += 1;
        }
    }
}

/// Takes entities and CDATA sections out.
pub(super) fn unescape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = memchr::memchr2(b'&', b'<', rest.as_bytes()) {
        let (before, from) = rest.split_at(at);
        out.push_str(before);
        if let Some(inner) = from.strip_prefix("<![CDATA[") {
            let end = inner.find("]]>").unwrap_or(inner.len());
            out.push_str(inner.get(..end).unwrap_or(""));
            rest = inner.get(end + 3..).unwrap_or("");
            continue;
        }
        // The longest entity that is one is `&#x10FFFF;`.
        let end = from.bytes().take(12).position(|b| b == b';');
        let name = end.and_then(|end| from.get(1..end));
        match name.and_then(entity) {
            Some(c) => {
                out.push(c);
                rest = from.get(end.unwrap_or(0) + 1..).unwrap_or("");
            }
            None => {
                out.push_str(from.get(..1).unwrap_or(""));
                rest = from.get(1..).unwrap_or("");
            }
        }
    }
    out.push_str(rest);
    out
}

fn entity(name: &str) -> Option<char> {
    match name {
        "amp" => Some('&'),
        "lt" => Some('<'),
        "gt" => Some('>'),
        "quot" => Some('"'),
        "apos" => Some('\''),
        _ => {
            let number = name.strip_prefix('#')?;
            let code = match number.strip_prefix(['x', 'X']) {
                Some(hex) => u32::from_str_radix(hex, 16).ok()?,
                None => number.parse().ok()?,
            };
            char::from_u32(code)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const EVENT: &str = r#"<?xml version="1.0"?><!-- x --><Event xmlns="u"><System><Provider Name='P' Guid="{g}"/><EventID Qualifiers="0">3</EventID><Level>4</Level><Correlation></Correlation></System><EventData>
 <Data Name="Image">&lt;unknown process&gt;</Data><Data Name="Empty"/><Data Name="C"><![CDATA[a <b>]]></Data></EventData></Event>"#;

    #[test]
    fn an_event_becomes_keys() {
        let text = with_text_key(EVENT);
        let mut tree = Tree::default();
        parse(&text, &mut tree).expect("valid");
        let event = tree.root(&text).get("Event").expect("Event");
        let system = event.get("System").expect("System");
        assert!(system.at(&["Provider", "Name"]).is_some_and(|name| name.is("P")));
        assert!(system.at(&["EventID", "#text"]).is_some_and(|id| id.is("3")));
        assert!(system.get("Level").is_some_and(|level| level.is("4")));
        let data = event.get("EventData").expect("EventData");
        assert_eq!(data.field("Image").as_deref(), Some("<unknown process>"));
        assert_eq!(data.field("C").as_deref(), Some("a <b>"));
        assert_eq!(data.field("Empty"), None);
    }

    #[test]
    fn every_truncation_is_an_error_and_no_panic() {
        let mut tree = Tree::default();
        for end in (0..EVENT.len()).filter(|end| EVENT.is_char_boundary(*end)) {
            let cut = with_text_key(&EVENT[..end]);
            assert!(parse(&cut, &mut tree).is_err(), "{end}");
        }
    }

    #[test]
    fn hostile_shapes_end() {
        let mut tree = Tree::default();
        let deep = with_text_key(&"<a x='1'>".repeat(100_000));
        assert_eq!(parse(&deep, &mut tree).err(), Some(Reason::Deep));
        for text in ["<", "</a>", "<a b>", "<a b='", "<=>", "<a/>", "<a>&#x110000;&#;&;</a>", "<!-- "] {
            let _ = parse(&with_text_key(text), &mut tree);
        }
        assert_eq!(unescape("&amp;&#65;&#x42;&bogus;&"), "&AB&bogus;&");
    }
}
