//! The pattern grammar of signatures: host names with label globs, no regular expressions.
//!
//! | written | matches |
//! | --- | --- |
//! | `host.example` | that name |
//! | `.host.example` | the name and everything below |
//! | `*.host.example` | everything below, any depth, not the name |
//! | `gfs*.host.example` | `*` any run of characters, `?` one character, within one label |
//! | `.s3.*.host.example` | both together |
//! | `<tenant>.host.example` | as `*.`, and the label next to the suffix names a customer |
//! | `<tenant>-my.host.example` | as a glob, and what the mark stands for names a customer |
//!
//! Names are lower case in A-label form. The registrable part (public suffix and one label) is always literal, so
//! that nobody can register his way into a pattern.

use crate::strict::shown;
use std::ops::Range;

/// Longest host name, and so the longest pattern.
pub const MAX_NAME: usize = 253;

/// The rank that only an exact name reaches.
pub(crate) const EXACT: u32 = 1 << 31;

const TENANT: &str = "<tenant>";

/// How a pattern stands to the names below its suffix.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Reach {
    /// Only names with as many labels.
    Name,
    /// The name and everything below.
    NameAndBelow,
    /// Everything below only.
    Below,
}

/// One pattern, taken apart for matching.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Pattern {
    text: Box<str>,
    reach: Reach,
    /// The literal labels at the right end, as one string to look up.
    tail: Box<str>,
    /// The labels left of the tail, from right to left; each may be a glob.
    front: Box<[Box<str>]>,
    labels: u8,
    literals: u8,
    chars: u8,
    tenant: Option<Tenant>,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Tenant {
    /// The label left of the suffix.
    NextLabel,
    /// What the star of the leftmost label stands for.
    Star,
}

impl Pattern {
    /// Reads a pattern; the error says what is wrong and what to write.
    pub fn parse(text: &str) -> Result<Self, (String, String)> {
        let fault =
            |what: &str, cure: &str| Err((format!("pattern '{}' {what}", shown(text)), cure.to_owned()));
        if text.len() > MAX_NAME {
            return fault("is longer than 253 characters", "no host name is that long; shorten it");
        }
        let (reach, tenant, body) = if let Some(rest) = text.strip_prefix("<tenant>.") {
            (Reach::Below, Some(Tenant::NextLabel), rest.to_owned())
        } else if let Some(rest) = text.strip_prefix(TENANT) {
            (Reach::Name, Some(Tenant::Star), format!("*{rest}"))
        } else if let Some(rest) = text.strip_prefix("*.") {
            (Reach::Below, None, rest.to_owned())
        } else if let Some(rest) = text.strip_prefix('.') {
            (Reach::NameAndBelow, None, rest.to_owned())
        } else {
            (Reach::Name, None, text.to_owned())
        };
        if body.bytes().any(|b| b.is_ascii_uppercase()) {
            return fault("has capital letters", "write it in lower case");
        }
        if !body.is_ascii() {
            return fault("is not in A-label form", "write international names as xn--…");
        }
        if body.bytes().any(|b| !(b.is_ascii_lowercase() || b.is_ascii_digit() || b"-_.*?".contains(&b))) {
            return fault(
                "has a character no host name has",
                "use letters, digits, - _ . * ? and a leading <tenant>",
            );
        }
        let labels: Vec<&str> = body.split('.').collect();
        if labels.iter().any(|l| l.is_empty() || l.len() > 63) {
            return fault(
                "has an empty or overlong label",
                "labels have 1 to 63 characters, without a trailing dot",
            );
        }
        if tenant == Some(Tenant::Star) && labels.first().is_some_and(|l| l.matches(['*', '?']).count() != 1)
        {
            return fault("has a second glob beside <tenant>", "keep one: the mark itself is the star");
        }
        check_suffix(&body, &labels)
            .map_err(|(what, cure)| (format!("pattern '{}' {what}", shown(text)), cure))?;
        Ok(Self::assemble(text, reach, tenant, &labels))
    }

    fn assemble(text: &str, reach: Reach, tenant: Option<Tenant>, labels: &[&str]) -> Self {
        let literal_tail = labels.iter().rev().take_while(|l| !is_glob(l)).count();
        let (front, tail) = labels.split_at(labels.len() - literal_tail);
        let literal = |l: &&&str| !is_glob(l);
        Self {
            text: text.into(),
            reach,
            tail: tail.join(".").into(),
            front: front.iter().rev().map(|l| Box::from(*l)).collect(),
            labels: labels.len() as u8,
            literals: labels.iter().filter(literal).count() as u8,
            chars: labels.iter().flat_map(|l| l.bytes()).filter(|b| !b"*?".contains(b)).count() as u8,
            tenant,
        }
    }

    /// As it was written.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// How far below its suffix it reaches.
    pub const fn reach(&self) -> Reach {
        self.reach
    }

    /// The literal labels at the right end.
    pub fn tail(&self) -> &str {
        &self.tail
    }

    /// Whether no label is a glob.
    pub fn is_literal(&self) -> bool {
        self.front.is_empty()
    }

    /// The number of labels of its suffix.
    pub(crate) fn labels(&self) -> u8 {
        self.labels
    }

    /// The first byte of the leftmost label, or 0 where a glob stands there.
    pub(crate) fn lead(&self) -> u8 {
        let leftmost = self.front.last().unwrap_or(&self.tail);
        leftmost.bytes().next().filter(|byte| !b"*?".contains(byte)).unwrap_or(0)
    }

    /// The name that the pattern is built on, without marks: what two patterns must not share across services.
    pub(crate) fn stem(&self) -> String {
        let mut labels: Vec<&str> = self.front.iter().rev().map(AsRef::as_ref).collect();
        labels.push(&self.tail);
        labels.join(".")
    }

    /// Whether a name matches, given its label starts from the left and how many labels the tail took. The tail
    /// itself has been looked up by the caller.
    pub(crate) fn fits(&self, host: &str, starts: &[u8], tail_labels: usize) -> bool {
        let count = starts.len();
        let own = usize::from(self.labels);
        let enough = match self.reach {
            Reach::Name => count == own,
            Reach::NameAndBelow => count >= own,
            Reach::Below => count > own,
        };
        enough
            && self.front.iter().enumerate().all(|(i, glob)| {
                count
                    .checked_sub(tail_labels + i + 1)
                    .and_then(|at| label(host, starts, at))
                    .is_some_and(|text| glob_matches(glob, text))
            })
    }

    /// How exact the match of a name with `count` labels is: the greater the better. The order is that of the
    /// precedence rules: exact, every label constrained, longest suffix, literal labels, literal characters.
    pub(crate) fn rank(&self, count: usize) -> u32 {
        let full = count == usize::from(self.labels);
        let exact = full && self.front.is_empty();
        let class = if exact { EXACT } else { u32::from(full) << 30 };
        let literals = u32::from(self.literals.min(127));
        class | u32::from(self.labels.min(127)) << 16 | literals << 8 | u32::from(self.chars)
    }

    /// The part of a matching name that names a customer.
    pub(crate) fn tenant_in(&self, host: &str, starts: &[u8]) -> Option<Range<usize>> {
        match self.tenant? {
            Tenant::NextLabel => {
                let at = starts.len().checked_sub(usize::from(self.labels) + 1)?;
                let start = usize::from(*starts.get(at)?);
                Some(start..start + label(host, starts, at)?.len())
            }
            Tenant::Star => {
                let glob = self.front.last()?;
                let star = glob.find('*')?;
                let text = label(host, starts, 0)?;
                Some(star..text.len().checked_sub(glob.len() - star - 1)?)
            }
        }
    }
}

/// A label of a name by its number from the left.
fn label<'h>(host: &'h str, starts: &[u8], at: usize) -> Option<&'h str> {
    let start = usize::from(*starts.get(at)?);
    let end = starts.get(at + 1).map_or(host.len(), |next| usize::from(*next) - 1);
    host.get(start..end)
}

fn is_glob(label: &str) -> bool {
    label.contains(['*', '?'])
}

/// Refuses a pattern that would take in names of many owners: a public suffix, or a glob in the registrable part.
fn check_suffix(body: &str, labels: &[&str]) -> Result<(), (String, String)> {
    if labels.len() < 2 {
        return Err(("is a bare top-level name".into(), "name the service's own domain".into()));
    }
    if labels.iter().rev().take(2).any(|l| is_glob(l)) {
        return Err((
            "has a glob in the part that anyone can register".into(),
            "list the domains one by one, literally".into(),
        ));
    }
    let suffix = psl::suffix(body.as_bytes());
    let icann = suffix
        .filter(|s| s.typ() == Some(psl::Type::Icann))
        .map_or(1, |s| s.as_bytes().split(|b| *b == b'.').count());
    if labels.len() <= icann {
        return Err((
            "is a public suffix, which many owners share".into(),
            "name the service's own domain".into(),
        ));
    }
    if labels.iter().rev().take(icann + 1).any(|l| is_glob(l)) {
        return Err((
            "has a glob in the part that anyone can register".into(),
            "list the domains one by one, literally".into(),
        ));
    }
    Ok(())
}

/// Whether a glob (`*` any run, `?` one character) takes in a text. Linear but for the last star; no recursion.
pub fn glob_matches(glob: &str, text: &str) -> bool {
    let (glob, text) = (glob.as_bytes(), text.as_bytes());
    let (mut g, mut t) = (0, 0);
    let mut back: Option<(usize, usize)> = None;
    while t < text.len() {
        match glob.get(g) {
            Some(b'*') => {
                back = Some((g, t));
                g += 1;
            }
            Some(b'?') => (g, t) = (g + 1, t + 1),
            Some(c) if text.get(t) == Some(c) => (g, t) = (g + 1, t + 1),
            _ => match back {
                Some((star, from)) => {
                    back = Some((star, from + 1));
                    (g, t) = (star + 1, from + 1);
                }
                None => return false,
            },
        }
    }
    glob.get(g..).is_some_and(|rest| rest.iter().all(|c| *c == b'*'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn globs_stay_within_their_text() {
        for (glob, text, fits) in [
            ("gfs*", "gfs1n2", true),
            ("gfs*", "gfs", true),
            ("a*b*c", "axxbyyc", true),
            ("a*b*c", "axxbyy", false),
            ("f???", "f001", true),
            ("f???", "f01", false),
            ("*", "", true),
            ("", "a", false),
            ("*-my", "contoso-my-my", true),
        ] {
            assert_eq!(glob_matches(glob, text), fits, "{glob} {text}");
        }
        let (glob, text) = ("*a".repeat(60), "a".repeat(250));
        assert!(glob_matches(&glob, &text));
    }

    #[test]
    fn patterns_that_many_owners_share_are_refused() {
        for bad in [
            ".com",
            "*.com",
            "com",
            ".co.uk",
            "*.co.uk",
            "*.*",
            "*.*.com",
            ".s*.com",
            "upload.zoho.*",
            "x.*.co.uk",
            "*.ck",
            "",
            ".",
            "*.",
            "a..b",
            "a.b.",
            "Ä.example.com",
            "A.example.com",
            "a b.example.com",
            "<tenant>",
            "<tenant>.com",
            "<tenant>.",
            "a.<tenant>.example.com",
            "<tenant>*.x.example.com",
            "*.*.example",
        ] {
            assert!(Pattern::parse(bad).is_err(), "{bad}");
        }
        assert!(Pattern::parse(&format!("{}.example.com", "a.".repeat(130))).is_err());
        assert!(Pattern::parse(&format!("{}.example.com", "a".repeat(64))).is_err());
    }

    #[test]
    fn private_suffixes_of_the_list_are_service_names() {
        for good in
            ["*.s3.amazonaws.com", "<tenant>.blob.core.windows.net", ".github.io", "*.co.uk.example.com"]
        {
            assert!(Pattern::parse(good).is_ok(), "{good}");
        }
    }

    #[test]
    fn a_hostile_pattern_is_shown_on_one_line() {
        let (what, _) = Pattern::parse("evil\n\u{1b}[2J.example.com").expect_err("control characters");
        assert!(!what.contains(['\n', '\u{1b}']), "{what}");
    }
}
