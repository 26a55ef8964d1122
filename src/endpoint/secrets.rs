//! Secrets in command lines, taken out before a line leaves the format that read it.

use std::borrow::Cow;

/// The command line without passwords and credentials.
pub fn redact(command_line: &str) -> Cow<'_, str> {
    let Some(at) = command_line.find("://") else { return Cow::Borrowed(command_line) };
    let (before, rest) = command_line.split_at(at + 3);
    let authority = rest.split(['/', ' ', '"', '\'']).next().unwrap_or(rest);
    match authority.rfind('@') {
        Some(end) => Cow::Owned(format!("{before}[redacted]{}", rest.get(end..).unwrap_or(""))),
        None => Cow::Borrowed(command_line),
    }
}
