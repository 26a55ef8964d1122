//! Lines that are rows of a table: CSV with a heading, and Zeek's tab-separated logs. A row becomes a record whose keys
//! are the names of the columns.

use super::tally::Reason;
use super::tree::{Coding, Kind, Tree};

/// Columns of one table at most.
const MAX_COLUMNS: usize = 512;
/// Longest heading that is kept.
const MAX_HEADING: usize = 16_384;

/// What a line means to a table.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Line {
    /// A heading: the rows that follow have these columns.
    Heading(String),
    /// Something about the table that no row needs.
    Remark,
    /// A row or no part of a table.
    Other,
}

/// Looks at a line. `first`: nothing but remarks came before, so that CSV may have its heading here.
pub(super) fn line(text: &str, first: bool) -> Line {
    if let Some(fields) = text.strip_prefix("#fields\t") {
        return heading(fields.to_owned());
    }
    if text.starts_with('#') {
        return Line::Remark;
    }
    let cells = || text.split(',').map(|cell| cell.trim().trim_matches('"'));
    let is_name = |cell: &str| {
        let word = cell.bytes().all(|b| b.is_ascii_alphanumeric() || b" _-.@[]/".contains(&b));
        word && cell.starts_with(|c: char| c.is_ascii_alphabetic() || matches!(c, '_' | '@'))
            && cell.len() <= 64
    };
    if first && text.contains(',') && cells().count() >= 3 && cells().all(is_name) {
        return heading(cells().collect::<Vec<_>>().join(","));
    }
    Line::Other
}

fn heading(text: String) -> Line {
    if text.len() > MAX_HEADING { Line::Remark } else { Line::Heading(text) }
}

/// Reads a row into `tree`; the text that its places point into is given back.
pub(super) fn row(heading: &str, row: &str, tree: &mut Tree) -> Result<String, Reason> {
    let text = format!("{heading}\n{row}");
    let tabs = heading.contains('\t') || !heading.contains(',');
    tree.clear();
    tree.open((0, 0), Kind::Object).ok_or(Reason::Large)?;
    let separator = if tabs { b'\t' } else { b',' };
    let (mut key, mut at) = (0, heading.len() + 1);
    for name in heading.split(char::from(separator)).take(MAX_COLUMNS) {
        let (from, to, next) = cell(text.as_bytes(), at, separator, tabs);
        let coding = if tabs { Coding::Plain } else { Coding::Csv };
        tree.leaf((key, key + name.len()), (from, to), Kind::Text(coding)).ok_or(Reason::Large)?;
        key += name.len() + 1;
        match next {
            Some(next) => at = next,
            None => break,
        }
    }
    tree.close();
    Ok(text)
}

/// A cell: from, to, and where the next begins.
fn cell(text: &[u8], from: usize, separator: u8, tabs: bool) -> (usize, usize, Option<usize>) {
    let rest = text.get(from..).unwrap_or_default();
    if !tabs && rest.first() == Some(&b'"') {
        let mut at = from + 1;
        while let Some(quote) = memchr::memchr(b'"', text.get(at..).unwrap_or_default()) {
            at += quote + 1;
            if text.get(at) != Some(&b'"') {
                let next = text.get(at) == Some(&separator);
                return (from + 1, at - 1, next.then_some(at + 1));
            }
            at += 1;
        }
        return (from + 1, text.len(), None);
    }
    match memchr::memchr(separator, rest) {
        Some(end) => (from, from + end, Some(from + end + 1)),
        None => (from, text.len(), None),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_become_records() {
        let Line::Heading(heading) = line("Timestamp,DeviceId,Query Name", true) else { panic!("a heading") };
        let mut tree = Tree::default();
        let text = row(&heading, "2023,\"a \"\"b\"\", c\",x", &mut tree).expect("a row");
        let root = tree.root(&text);
        assert_eq!(root.field("DeviceId").as_deref(), Some("a \"b\", c"));
        assert_eq!(root.field("Query Name").as_deref(), Some("x"));
        let text = row(&heading, "only", &mut tree).expect("a row");
        assert_eq!(tree.root(&text).field("DeviceId"), None);
        let Line::Heading(heading) = line("#fields\tts\tmac", false) else { panic!("a heading") };
        let text = row(&heading, "1.5\t-", &mut tree).expect("a row");
        assert_eq!(tree.root(&text).field("ts").as_deref(), Some("1.5"));
        assert_eq!(tree.root(&text).field("mac"), None);
    }

    #[test]
    fn what_is_no_heading() {
        assert_eq!(line("a,b,c", false), Line::Other);
        assert_eq!(line("30,09/20/21,09:16:15,DNS", true), Line::Other);
        assert_eq!(line("#open\tx", false), Line::Remark);
        assert_eq!(line("hello, world", true), Line::Other);
    }
}
