//! Values beside a name: `--password x`, `TOKEN=x`, `"secret": "x"`, `Authorization: Bearer x`, `?sig=x`.

use super::{Found, looks_random, run};
use std::ops::Range;

/// Longer names are none that we know.
const MAX_NAME: usize = 64;
/// Blanks passed over between a name, its sign and its value.
const MAX_BLANKS: usize = 3;
/// Values of a header that say what comes next, which is the secret.
const SCHEMES: &[&str] =
    &["bearer", "basic", "token", "digest", "negotiate", "ntlm", "bot", "apikey", "sharedkey", "hmac"];

/// What a name says of its value.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Says {
    /// A secret.
    Secret,
    /// A secret where it looks like one.
    Perhaps,
    /// A list of `name=value;`, each a secret.
    Cookies,
}

/// Parts of names that are secrets, in lower case without `_`, `-` and `.`.
const PARTS: &[&str] = &[
    "password",
    "passwd",
    "passphrase",
    "passwort",
    "secret",
    "token",
    "apikey",
    "accesskey",
    "accountkey",
    "privatekey",
    "credential",
    "signature",
    "authorization",
    "sessionkey",
    "sharedkey",
    "storagekey",
    "authkey",
    "masterkey",
    "encryptionkey",
    "bearer",
    "sharedaccesssig",
    "userpass",
    "dbpass",
    "sshpass",
    "mysqlpwd",
];
/// Whole names that are secrets.
const WHOLE: &[&str] =
    &["pass", "pwd", "pw", "psw", "sig", "auth", "passin", "passout", "hashes", "sas", "rp", "pat", "totp"];
/// Whole names that may be.
const PERHAPS: &[&str] = &["key", "code", "hash", "session", "sessionid", "sid", "jwt", "api", "cert", "otp"];
/// Ends of names that are about a secret and are none.
const ABOUT: &[&str] = &[
    "file",
    "path",
    "dir",
    "url",
    "uri",
    "name",
    "length",
    "len",
    "type",
    "size",
    "count",
    "ttl",
    "policy",
    "age",
    "expiry",
    "expires",
    "prompt",
    "stdin",
    "command",
    "izer",
    "izers",
    "izeronly",
    "store",
    "manager",
    "version",
    "endpoint",
    "provider",
    "helper",
    "method",
    "algorithm",
    "max",
    "limit",
    "fd",
    "less",
];

fn says(name: &str) -> Option<Says> {
    let mut plain = [0u8; MAX_NAME];
    let mut len = 0;
    for b in name.bytes().filter(u8::is_ascii_alphanumeric) {
        *plain.get_mut(len)? = b.to_ascii_lowercase();
        len += 1;
    }
    let plain = std::str::from_utf8(&plain[..len]).ok()?;
    if plain == "cookie" || plain == "setcookie" {
        return Some(Says::Cookies);
    }
    if WHOLE.contains(&plain) {
        return Some(Says::Secret);
    }
    if PERHAPS.contains(&plain) {
        return Some(Says::Perhaps);
    }
    let secret = PARTS.iter().any(|part| plain.contains(part));
    (secret && !ABOUT.iter().any(|end| plain.ends_with(end))).then_some(Says::Secret)
}

fn is_name(b: u8) -> bool {
    b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-' | b'.')
}

/// Marks the values of all names.
pub(super) fn mark(found: &mut Found<'_>) {
    let bytes = found.text.as_bytes();
    let mut at = 0;
    while at < bytes.len() {
        if !is_name(bytes[at]) {
            at += 1;
            continue;
        }
        let end = run(found.text, at, is_name);
        at = value(found, at, end).max(end);
    }
}

/// The value of the name at `start..end`, if it has one: marks it. Where to go on.
fn value(found: &mut Found<'_>, start: usize, end: usize) -> usize {
    let text = found.text;
    let bytes = text.as_bytes();
    // A dot or dash before is not of the name; after a percent sign come two digits of a quoted character.
    let quoted = start > 0 && bytes[start - 1] == b'%' && end - start > 2;
    let name = text[start..end].trim_start_matches(['-', '.']);
    let name = if quoted { text.get(start + 2..end).unwrap_or(name) } else { name };
    let flag = is_flag(text, start);
    let Some((value, joined)) = after_sign(text, end, flag) else { return end };
    let Some(says) = says(name) else { return end };
    let (from, to) = extent(text, start, value, joined);
    match says {
        Says::Secret => {
            let word = text[from..to].trim_end_matches(':');
            let word = word.strip_prefix("pass:").unwrap_or(word);
            if SCHEMES.iter().any(|s| word.eq_ignore_ascii_case(s)) {
                let Some(next) = word_after(text, to) else { return end };
                found.mark(next.clone());
                return next.end;
            }
            let scheme = SCHEMES.iter().find(|s| {
                let head = word.get(..s.len() + 1).unwrap_or("");
                head.ends_with(' ') && head[..s.len()].eq_ignore_ascii_case(s)
            });
            found.mark(from + scheme.map_or(0, |s| s.len() + 1)..to);
        }
        Says::Perhaps if looks_random(&text[from..to]) => found.mark(from..to),
        Says::Perhaps => return end,
        Says::Cookies => {
            let mut to = to;
            while text[..to].ends_with(';')
                && let Some(next) = word_after(text, to)
            {
                to = next.end;
            }
            found.mark(from..to);
            return to;
        }
    }
    to
}

/// The word after a blank, unless it begins like a flag.
fn word_after(text: &str, at: usize) -> Option<Range<usize>> {
    let start = run(text, at, |b| b == b' ');
    let end = run(text, start, |b| !b.is_ascii_whitespace() && !is_quote(b));
    (start < end && !another_flag(text.as_bytes(), start)).then_some(start..end)
}

/// `--name` or `/name` at the beginning of a word: its value may be the next word.
fn is_flag(text: &str, start: usize) -> bool {
    let bytes = text.as_bytes();
    let begins = |at: usize| at == 0 || bytes[at - 1].is_ascii_whitespace() || is_quote(bytes[at - 1]);
    (bytes[start] == b'-' && begins(start)) || (start > 0 && bytes[start - 1] == b'/' && begins(start - 1))
}

fn is_quote(b: u8) -> bool {
    matches!(b, b'"' | b'\'' | b'`')
}

/// Passes over closing quotes, `=` or `:`, blanks. Where the value begins, and whether a sign stood before it.
fn after_sign(text: &str, end: usize, flag: bool) -> Option<(usize, bool)> {
    let bytes = text.as_bytes();
    let mut at = run(text, end, |b| is_quote(b) || b == b'\\');
    if bytes[at..].starts_with(b"%22") {
        at += 3;
    }
    let blank = |at: usize| {
        let to = run(text, at, |b| b == b' ' || b == b'\t');
        (to - at <= MAX_BLANKS).then_some(to)
    };
    let sign = blank(at)?;
    let len = match bytes.get(sign)? {
        b'=' | b':' => 1 + usize::from(matches!(bytes.get(sign + 1), Some(b'=' | b'>'))),
        b'%' => match bytes.get(sign + 1..sign + 3)? {
            [b'3', b'd' | b'D' | b'a' | b'A'] => 3,
            _ => return None,
        },
        _ if flag && sign > at => return (!another_flag(bytes, sign)).then_some((sign, false)),
        _ => return None,
    };
    let value = blank(sign + len)?;
    let aside = value > sign + len && another_flag(bytes, value);
    (value < text.len() && !aside).then_some((value, true))
}

/// What begins like a flag is no value.
fn another_flag(bytes: &[u8], at: usize) -> bool {
    bytes[at..].starts_with(b"-")
        && matches!(bytes.get(at + 1), Some(b) if b.is_ascii_alphabetic() || *b == b'-')
}

/// From where to where a value reaches that begins at `at`, of a name that begins at `name`.
fn extent(text: &str, name: usize, at: usize, joined: bool) -> (usize, usize) {
    let bytes = text.as_bytes();
    let escaped = bytes[at] == b'\\' && bytes.get(at + 1).is_some_and(|b| is_quote(*b));
    let open = at + usize::from(escaped);
    if bytes.get(open).is_some_and(|b| is_quote(*b)) {
        return (open + 1, closing(text, open, escaped));
    }
    if bytes[at..].starts_with(b"%22") {
        let from = at + 3;
        return (from, text[from..].find("%22").map_or(text.len(), |n| from + n));
    }
    let before = name.checked_sub(1).map(|i| bytes[i]);
    if joined && let Some(quote) = before.filter(|b| is_quote(*b)) {
        // The whole of name and value is quoted, unless only the name was: then the quote has come already.
        if let Some(n) =
            text[at..].find(char::from(quote)).filter(|_| !text[name..at].contains(char::from(quote)))
        {
            return (at, at + n);
        }
    }
    let listed = before.is_some_and(|b| matches!(b, b'?' | b'&' | b';' | b',' | b'{'));
    let stops =
        |b: u8| b.is_ascii_whitespace() || is_quote(b) || (listed && matches!(b, b'&' | b';' | b',' | b'}'));
    (at, run(text, at, |b| !stops(b)))
}

/// Where the quote that opens at `open` closes.
pub(super) fn closing(text: &str, open: usize, escaped: bool) -> usize {
    let bytes = text.as_bytes();
    let quote = bytes[open];
    let mut at = open + 1;
    while let Some(b) = bytes.get(at) {
        match b {
            b'\\' if escaped && bytes.get(at + 1) == Some(&quote) => return at,
            b'\\' if !escaped && quote == b'"' => at += 1,
            b if *b == quote => return at,
            _ => {}
        }
        at += 1;
    }
    text.len()
}
