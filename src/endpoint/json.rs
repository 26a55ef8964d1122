//! JSON into a [`Tree`]: one pass, bounded in depth and number of values, strings left as they stand.

use super::tally::Reason;
use super::tree::{Coding, Kind, MAX_DEPTH, Place, Tree};

/// Reads the one value that `text` holds.
pub(super) fn parse(text: &str, tree: &mut Tree) -> Result<(), Reason> {
    tree.clear();
    let mut parser = Parser { bytes: text.as_bytes(), at: 0, tree };
    parser.value((0, 0))?;
    parser.space();
    if parser.at < parser.bytes.len() { Err(Reason::Syntax) } else { Ok(()) }
}

struct Parser<'a> {
    bytes: &'a [u8],
    at: usize,
    tree: &'a mut Tree,
}

impl Parser<'_> {
    fn peek(&self) -> Result<u8, Reason> {
        self.bytes.get(self.at).copied().ok_or(Reason::Cut)
    }

    fn space(&mut self) {
        while let Some(b' ' | b'\n' | b'\r' | b'\t') = self.bytes.get(self.at) {
            self.at += 1;
        }
    }

    fn value(&mut self, key: Place) -> Result<(), Reason> {
        self.space();
        match self.peek()? {
            b'"' => {
                let place = self.string()?;
                self.tree.leaf(key, place, Kind::Text(Coding::Json)).ok_or(Reason::Large)
            }
            b'{' => self.object(key),
            b'[' => self.array(key),
            b't' => self.word(key, b"true", Kind::Raw),
            b'f' => self.word(key, b"false", Kind::Raw),
            b'n' => self.word(key, b"null", Kind::Null),
            b'-' | b'0'..=b'9' => self.number(key),
            _ => Err(Reason::Syntax),
        }
    }

    fn object(&mut self, key: Place) -> Result<(), Reason> {
        self.open(key, Kind::Object)?;
        self.space();
        if self.peek()? == b'}' {
            self.at += 1;
            self.tree.close();
            return Ok(());
        }
        loop {
            self.space();
            if self.peek()? != b'"' {
                return Err(Reason::Syntax);
            }
            let name = self.string()?;
            self.space();
            if self.peek()? != b':' {
                return Err(Reason::Syntax);
            }
            self.at += 1;
            self.value(name)?;
            if self.ends(b'}')? {
                return Ok(());
            }
        }
    }

    fn array(&mut self, key: Place) -> Result<(), Reason> {
        self.open(key, Kind::Array)?;
        self.space();
        if self.peek()? == b']' {
            self.at += 1;
            self.tree.close();
            return Ok(());
        }
        loop {
            self.value((0, 0))?;
            if self.ends(b']')? {
                return Ok(());
            }
        }
    }

    fn open(&mut self, key: Place, kind: Kind) -> Result<(), Reason> {
        self.at += 1;
        let deep = self.tree.depth() >= MAX_DEPTH;
        self.tree.open(key, kind).ok_or(if deep { Reason::Deep } else { Reason::Large })
    }

    /// Behind a member: whether the container ends here. If not, a comma was taken.
    fn ends(&mut self, close: u8) -> Result<bool, Reason> {
        self.space();
        let byte = self.peek()?;
        self.at += 1;
        match byte {
            b',' => Ok(false),
            b if b == close => {
                self.tree.close();
                Ok(true)
            }
            _ => Err(Reason::Syntax),
        }
    }

    /// The place of what stands between the quotes.
    fn string(&mut self) -> Result<Place, Reason> {
        let from = self.at + 1;
        let end = string_end(self.bytes, from).ok_or(Reason::Cut)?;
        self.at = end + 1;
        Ok((from, end))
    }

    fn word(&mut self, key: Place, word: &[u8], kind: Kind) -> Result<(), Reason> {
        let rest = self.bytes.get(self.at..).unwrap_or_default();
        if !rest.starts_with(word) {
            return Err(if word.starts_with(rest) { Reason::Cut } else { Reason::Syntax });
        }
        let place = (self.at, self.at + word.len());
        self.at = place.1;
        self.tree.leaf(key, place, kind).ok_or(Reason::Large)
    }

    fn number(&mut self, key: Place) -> Result<(), Reason> {
        let from = self.at;
        while let Some(b'0'..=b'9' | b'-' | b'+' | b'.' | b'e' | b'E') = self.bytes.get(self.at) {
            self.at += 1;
        }
        self.tree.leaf(key, (from, self.at), Kind::Raw).ok_or(Reason::Large)
    }
}

/// Where the string that begins at `from` ends: the place of its closing quote.
pub(super) fn string_end(bytes: &[u8], from: usize) -> Option<usize> {
    let mut at = from;
    loop {
        match bytes.get(at)? {
            b'"' => return Some(at),
            b'\\' => at += 2,
            _ => {
                let found = memchr::memchr2(b'"', b'\\', bytes.get(at..)?)?;
                at += found;
            }
        }
    }
}

/// Takes JSON's escapes out. What is no escape stays as it stands; half of a surrogate pair becomes U+FFFD.
pub(super) fn unescape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = memchr::memchr(b'\\', rest.as_bytes()) {
        let (before, escape) = rest.split_at(at);
        out.push_str(before);
        let mut chars = escape.chars();
        chars.next();
        let plain = match chars.next() {
            Some('n') => '\n',
            Some('r') => '\r',
            Some('t') => '\t',
            Some('b') => '\u{8}',
            Some('f') => '\u{c}',
            Some('u') => {
                let (c, used) = unicode(escape);
                out.push(c);
                rest = escape.get(used..).unwrap_or("");
                continue;
            }
            Some(c) => c,
            None => '\\',
        };
        out.push(plain);
        rest = chars.as_str();
    }
    out.push_str(rest);
    out
}

/// The character of an escape `\uXXXX`, perhaps of a pair, and its length.
fn unicode(escape: &str) -> (char, usize) {
    let unit = |at: usize| escape.get(at..at + 4).and_then(|hex| u16::from_str_radix(hex, 16).ok());
    let Some(first) = unit(2) else { return (char::REPLACEMENT_CHARACTER, 2) };
    let second = escape.get(6..8).filter(|s| *s == "\\u").and_then(|_| unit(8));
    let mut pair = char::decode_utf16([first].into_iter().chain(second));
    match pair.next() {
        Some(Ok(c)) if c.len_utf16() == 2 => (c, 12),
        Some(Ok(c)) => (c, 6),
        _ => (char::REPLACEMENT_CHARACTER, 6),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Tree, Reason> {
        let mut tree = Tree::default();
        parse(text, &mut tree).map(|()| tree)
    }

    #[test]
    fn values_are_found_and_decoded() {
        let text = r#"{"a":{"b":[1,{"c":"x\\y\u00e9\ud83d\ude00\n"}],"t":true,"n":null},"d":""}"#;
        let tree = read(text).expect("valid");
        let root = tree.root(text);
        let list: Vec<_> = root.at(&["a", "b"]).expect("b").children().collect();
        assert_eq!(list[0].as_text().as_deref(), Some("1"));
        assert_eq!(list[1].field("c").as_deref(), Some("x\\yé😀\n"));
        assert!(root.at(&["a", "t"]).is_some_and(|t| t.is("true")));
        assert!(root.at(&["a", "n"]).is_some_and(|n| n.given().is_none()));
        assert_eq!(root.field("d"), None);
        assert_eq!(root.get("b").map(View::kind), None);
        assert_eq!(root.children().map(View::key).collect::<Vec<_>>(), ["a", "d"]);
    }

    use super::super::tree::View;

    #[test]
    fn broken_texts_are_refused_with_their_reason() {
        for (text, reason) in [
            ("", Reason::Cut),
            ("{", Reason::Cut),
            (r#"{"a"#, Reason::Cut),
            (r#"{"a":tru"#, Reason::Cut),
            (r#"{"a" 1}"#, Reason::Syntax),
            (r#"{"a":1 "b":2}"#, Reason::Syntax),
            (r#"{"a":1}}"#, Reason::Syntax),
            ("[1,]", Reason::Syntax),
            ("nul!", Reason::Syntax),
        ] {
            assert_eq!(read(text).err(), Some(reason), "{text}");
        }
        assert_eq!(read(&"[".repeat(100_000)).err(), Some(Reason::Deep));
        let wide = format!("[{}1]", "1,".repeat(super::super::tree::MAX_NODES));
        assert_eq!(read(&wide).err(), Some(Reason::Large));
    }

    #[test]
    fn odd_escapes_do_no_harm() {
        for (text, plain) in [
            (r"\", "\\"),
            (r"\u12", "\u{fffd}12"),
            (r"\ud800x", "\u{fffd}x"),
            (r"\ud800\u0041", "\u{fffd}\u{41}"),
            (r"\q", "q"),
            (r"\/", "/"),
        ] {
            assert_eq!(unescape(text), plain, "{text}");
        }
    }
}
