//! The text of audit records: heads, pairs of key and value, numbers of system calls.

use crate::endpoint::values;
use std::borrow::Cow;

/// What stands before the pairs of a record.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Head<'t> {
    /// `node=`.
    pub(super) node: Option<&'t str>,
    /// `type=`.
    pub(super) kind: &'t str,
    /// Seconds with milliseconds.
    pub(super) time: &'t str,
    /// Time and number: the same for all records of one event.
    pub(super) id: &'t str,
    /// The pairs.
    pub(super) body: &'t str,
}

/// `[node=N ]type=T [msg=]audit(S.mmm:N): …`.
pub(super) fn head(line: &str) -> Option<Head<'_>> {
    let (node, rest) = match line.strip_prefix("node=") {
        Some(rest) => rest.split_once(' ').map(|(node, rest)| (Some(node), rest))?,
        None => (None, line),
    };
    let (kind, rest) = rest.trim_start().strip_prefix("type=")?.split_once(' ')?;
    let rest = rest.trim_start();
    let rest = rest.strip_prefix("msg=").unwrap_or(rest).strip_prefix("audit(")?;
    let (id, body) = rest.split_once(')')?;
    let (time, _) = id.rsplit_once(':')?;
    Some(Head { node, kind, time, id, body: body.strip_prefix(':').unwrap_or(body) })
}

/// A value as it stands.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Value<'t> {
    raw: &'t str,
    quoted: bool,
}

impl<'t> Value<'t> {
    /// As it stands, without quotes.
    pub(super) fn plain(self) -> Cow<'t, str> {
        Cow::Borrowed(self.raw)
    }

    /// As text: what has no quotes and is hexadecimal was written so because of a character in it.
    pub(super) fn text(self) -> Cow<'t, str> {
        let is_hex = !self.quoted
            && self.raw.len() >= 2
            && self.raw.bytes().all(|b| b.is_ascii_digit() || (b'A'..=b'F').contains(&b));
        match values::hex(self.raw).filter(|_| is_hex) {
            Some(bytes) => Cow::Owned(String::from_utf8_lossy(&bytes).into_owned()),
            None => Cow::Borrowed(self.raw),
        }
    }
}

/// The pairs of a record, those of an enriched one behind 0x1D among them.
#[derive(Clone, Debug)]
pub(super) struct Fields<'t> {
    rest: &'t str,
}

pub(super) fn fields(body: &str) -> Fields<'_> {
    Fields { rest: body }
}

impl<'t> Iterator for Fields<'t> {
    type Item = (&'t str, Value<'t>);

    fn next(&mut self) -> Option<Self::Item> {
        let space = |c: char| c == ' ' || c == '\u{1d}';
        loop {
            let rest = self.rest.trim_start_matches(space);
            let end = rest.find(|c: char| c == '=' || space(c)).unwrap_or(rest.len());
            let (key, behind) = (rest.get(..end)?, rest.get(end..)?);
            let Some(value) = behind.strip_prefix('=') else {
                // A word that is no pair.
                self.rest = behind;
                if key.is_empty() && behind.is_empty() {
                    return None;
                }
                continue;
            };
            if let Some(quoted) = value.strip_prefix('"') {
                let (raw, rest) = quoted.split_once('"').unwrap_or((quoted, ""));
                self.rest = rest;
                return Some((key, Value { raw, quoted: true }));
            }
            let end = value.find(space).unwrap_or(value.len());
            self.rest = value.get(end..)?;
            return Some((key, Value { raw: value.get(..end)?, quoted: false }));
        }
    }
}

/// Numbers of the system calls that say something here, by architecture.
const X86_64: &[(&str, &str)] = &[
    ("2", "open"),
    ("42", "connect"),
    ("44", "sendto"),
    ("46", "sendmsg"),
    ("59", "execve"),
    ("76", "truncate"),
    ("82", "rename"),
    ("85", "creat"),
    ("87", "unlink"),
    ("231", "exit_group"),
    ("257", "openat"),
    ("263", "unlinkat"),
    ("264", "renameat"),
    ("316", "renameat2"),
    ("322", "execveat"),
    ("437", "openat2"),
];
const AARCH64: &[(&str, &str)] = &[
    ("35", "unlinkat"),
    ("38", "renameat"),
    ("45", "truncate"),
    ("56", "openat"),
    ("94", "exit_group"),
    ("203", "connect"),
    ("206", "sendto"),
    ("211", "sendmsg"),
    ("221", "execve"),
    ("276", "renameat2"),
    ("281", "execveat"),
    ("437", "openat2"),
];
const I386: &[(&str, &str)] = &[
    ("5", "open"),
    ("8", "creat"),
    ("10", "unlink"),
    ("11", "execve"),
    ("38", "rename"),
    ("252", "exit_group"),
    ("295", "openat"),
    ("301", "unlinkat"),
    ("302", "renameat"),
    ("353", "renameat2"),
    ("358", "execveat"),
    ("362", "connect"),
    ("369", "sendto"),
    ("370", "sendmsg"),
];
const PPC64: &[(&str, &str)] = &[
    ("5", "open"),
    ("10", "unlink"),
    ("11", "execve"),
    ("38", "rename"),
    ("234", "exit_group"),
    ("286", "openat"),
    ("292", "unlinkat"),
    ("293", "renameat"),
    ("328", "connect"),
    ("335", "sendto"),
    ("341", "sendmsg"),
    ("357", "renameat2"),
    ("362", "execveat"),
];

/// The name of a system call; empty for one that says nothing here.
pub(super) fn syscall<'t>(arch: &str, number: &'t str) -> &'t str {
    if number.bytes().any(|b| b.is_ascii_alphabetic()) {
        return number;
    }
    let table = match arch {
        "c00000b7" | "aarch64" => AARCH64,
        "40000003" | "i386" => I386,
        "c0000015" | "80000015" | "ppc64le" | "ppc64" => PPC64,
        _ => X86_64,
    };
    table.iter().find(|(of, _)| *of == number).map_or("", |(_, name)| name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pairs_of_every_kind() {
        let body = " a0=\"x y\" exe=2F62696E2F636174 key=(null)\u{1d}ARCH=x86_64 word tty=";
        let all: Vec<_> = fields(body).map(|(key, value)| (key, value.text().into_owned())).collect();
        let wanted = [("a0", "x y"), ("exe", "/bin/cat"), ("key", "(null)"), ("ARCH", "x86_64"), ("tty", "")];
        assert_eq!(all, wanted.map(|(key, value)| (key, value.to_owned())));
    }

    #[test]
    fn heads() {
        let found = head("node=work type=EOE msg=audit(1615114232.375:15558):").expect("a head");
        assert_eq!((found.node, found.kind, found.time), (Some("work"), "EOE", "1615114232.375"));
        assert_eq!(found.id, "1615114232.375:15558");
        for text in ["", "type=", "type=A", "type=A msg=audit(", "node=x", "type=A audit(1)"] {
            assert_eq!(head(text), None, "{text}");
        }
    }

    #[test]
    fn system_calls_by_architecture() {
        assert_eq!(syscall("c000003e", "42"), "connect");
        assert_eq!(syscall("c00000b7", "203"), "connect");
        assert_eq!(syscall("c000003e", "23"), "");
        assert_eq!(syscall("", "execve"), "execve");
    }
}
