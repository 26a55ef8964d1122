//! Arguments that known tools take as a password, where no name says so: `mysql -pX`, `curl -u user:X`.

use super::{Found, names, run};
use std::ops::Range;

/// Command lines within command lines that are looked into.
const MAX_DEPTH: u32 = 3;

/// How a flag takes its secret.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Takes {
    /// The next word.
    Next,
    /// The rest of the same word.
    Joined,
    /// Either.
    Both,
    /// Either, from the first of these characters on: `user:X`.
    After(&'static [char]),
}

use Takes::{After, Both, Joined, Next};

/// Instead of the number of a plain word: the flags count after the wanted word, wherever that is.
const ANY: usize = usize::MAX;

/// A tool: its names, its flags, and where a word without a flag is a secret.
#[derive(Debug)]
struct Tool {
    names: &'static [&'static str],
    flags: &'static [(&'static str, Takes)],
    /// If the first plain word is one of these (or there are none), plain word number `.1` is a secret.
    plain: Option<(&'static [&'static str], usize)>,
}

const fn tool(names: &'static [&'static str], flags: &'static [(&'static str, Takes)]) -> Tool {
    Tool { names, flags, plain: None }
}

static TOOLS: &[Tool] = &[
    tool(
        &["curl", "curlie"],
        &[
            ("-u", After(&[':'])),
            ("--user", After(&[':'])),
            ("-U", After(&[':'])),
            ("--proxy-user", After(&[':'])),
            ("-E", After(&[':'])),
            ("--cert", After(&[':'])),
            ("-b", After(&['='])),
        ],
    ),
    tool(&["http", "https", "xh"], &[("-a", After(&[':'])), ("--auth", After(&[':']))]),
    tool(
        &["mysql", "mysqldump", "mysqladmin", "mariadb", "mariadb-dump", "mysqlimport", "mydumper"],
        &[("-p", Joined)],
    ),
    tool(
        &[
            "mongo",
            "mongosh",
            "mongodump",
            "mongoexport",
            "mongorestore",
            "sshpass",
            "psexec",
            "psexec64",
            "paexec",
            "rdesktop",
            "evil-winrm",
            "crackmapexec",
            "nxc",
            "netexec",
            "cqlsh",
            "megatools",
            "megaput",
            "megacopy",
            "megals",
            "megadl",
            "megaget",
            "ncftpput",
            "ncftpget",
            "esxcli",
            "rabbitmqadmin",
            "hydra",
            "winexe",
            "usermod",
            "useradd",
            "ipmitool",
            "smbmap",
        ],
        &[("-p", Both), ("-P", Next)],
    ),
    Tool {
        names: &["docker", "podman", "nerdctl", "helm", "az", "buildah", "skopeo"],
        flags: &[("-p", Next)],
        plain: Some((&["login"], ANY)),
    },
    tool(
        &["sqlcmd", "osql", "bcp", "isql", "mosquitto_pub", "mosquitto_sub"],
        &[("-P", Both), ("-pw", Next)],
    ),
    tool(&["plink", "pscp", "psftp", "putty", "kitty"], &[("-pw", Next)]),
    tool(&["7z", "7za", "7zz", "7zr", "7zg"], &[("-p", Joined)]),
    tool(&["rar", "winrar", "unrar"], &[("-hp", Joined), ("-p", Joined)]),
    tool(&["zip", "unzip", "zipcloak", "zipnote"], &[("-P", Both)]),
    tool(&["openssl"], &[("-k", Next), ("-K", Next)]),
    tool(&["ldapsearch", "ldapmodify", "ldapadd", "ldapdelete", "ldapwhoami"], &[("-w", Both)]),
    tool(
        &["smbclient", "rpcclient", "nmblookup", "smbget"],
        &[("-U", After(&['%'])), ("--user", After(&['%']))],
    ),
    tool(&["redis-cli", "keydb-cli"], &[("-a", Next)]),
    tool(&["lftp", "ftp"], &[("-u", After(&[',', ':']))]),
    tool(
        &["schtasks", "wmic", "cmdkey", "xfreerdp", "wfreerdp"],
        &[("/p", Both), ("/p:", Joined), ("/rp", Next)],
    ),
    Tool { names: &["mega-login"], flags: &[], plain: Some((&[], 1)) },
    Tool { names: &["net", "net1"], flags: &[], plain: Some((&["use", "user"], 2)) },
    Tool { names: &["htpasswd"], flags: &[], plain: Some((&[], 2)) },
    Tool { names: &["convertto-securestring"], flags: &[], plain: Some((&[], 0)) },
    Tool {
        names: &["sqlplus", "sqlldr", "expdp", "impdp", "exp", "imp"],
        flags: &[("", After(&['/']))],
        plain: None,
    },
    Tool { names: &["rclone"], flags: &[], plain: None },
];

/// Words after which, in `rclone config`, the next is a secret.
const BARE: &[&str] = &[
    "pass",
    "pass2",
    "password",
    "password2",
    "token",
    "client_secret",
    "secret_access_key",
    "key",
    "access_key_id",
    "account",
    "sas_url",
    "user_pass",
    "2fa",
    "service_account_credentials",
];

fn tool_named(word: &str) -> Option<&'static Tool> {
    if word.contains("://") {
        return None;
    }
    let base = word.rsplit(['/', '\\']).next().unwrap_or(word);
    let base = if base.len() > 4
        && base.is_char_boundary(base.len() - 4)
        && base[base.len() - 4..].eq_ignore_ascii_case(".exe")
    {
        &base[..base.len() - 4]
    } else {
        base
    };
    TOOLS.iter().find(|tool| tool.names.iter().any(|name| name.eq_ignore_ascii_case(base)))
}

/// What was read of a command so far.
#[derive(Default)]
struct Command {
    tool: Option<&'static Tool>,
    /// The one before it: a file may be called like a tool.
    before: Option<&'static Tool>,
    /// How the next word is taken.
    next: Option<Takes>,
    /// Plain words so far, and whether the first was of the wanted.
    plain: usize,
    wanted: bool,
    /// Within `rclone config`.
    bare: bool,
}

/// Marks the secrets of the command line at `range`.
pub(super) fn mark(found: &mut Found<'_>, range: Range<usize>, depth: u32) {
    let mut command = Command::default();
    let mut at = range.start;
    while let Some((word, next)) = next_word(found.text, at, range.end) {
        at = next;
        // `sh -c "…"`: a word with blanks may be a command line of its own.
        if depth < MAX_DEPTH && found.text[word.clone()].contains(' ') && command.next.is_none() {
            mark(found, word.clone(), depth + 1);
        }
        command.word(found, word);
    }
}

impl Command {
    fn word(&mut self, found: &mut Found<'_>, at: Range<usize>) {
        let word = &found.text[at.clone()];
        if let Some(takes) = self.next.take() {
            return take(found, takes, at);
        }
        if let Some(tool) = tool_named(word) {
            *self = Self { tool: Some(tool), before: self.tool, ..Self::default() };
            return;
        }
        if matches!(word, "|" | "||" | "&&" | ";" | "&") {
            *self = Self::default();
            return;
        }
        let Some(tool) = self.tool else { return };
        let ready = tool.plain.is_none_or(|(_, number)| number != ANY || self.wanted);
        let flags = if ready { tool.flags } else { &[] };
        let before = self.before.map_or(&[][..], |t| t.flags);
        for (flag, takes) in flags.iter().chain(before) {
            let Some(rest) = word.strip_prefix(flag).filter(|_| !flag.is_empty()) else { continue };
            let from = at.end - rest.len();
            match takes {
                Next if rest.is_empty() => self.next = Some(Next),
                Both | After(_) if rest.is_empty() => self.next = Some(*takes),
                Joined | Both if !rest.is_empty() => found.mark(from..at.end),
                After(_) if !flag.starts_with("--") || rest.starts_with('=') => {
                    take(found, *takes, from..at.end);
                }
                _ => continue,
            }
            return;
        }
        if !word.starts_with(['-', '/']) {
            self.plain(found, tool, word, at);
        }
    }

    fn plain(&mut self, found: &mut Found<'_>, tool: &Tool, word: &str, at: Range<usize>) {
        if let [("", takes)] = tool.flags {
            if !word.starts_with('@') {
                take(found, *takes, at);
            }
            return;
        }
        if tool.names == ["rclone"] {
            self.bare |= word == "config";
            if word == "obscure" || (self.bare && BARE.contains(&word)) {
                self.next = Some(Next);
            }
            return;
        }
        let Some((first, number)) = tool.plain else { return };
        if self.plain == 0 || number == ANY {
            self.wanted |= first.is_empty() || first.iter().any(|w| w.eq_ignore_ascii_case(word));
        }
        // A share or a drive is named before the password.
        let aside = self.plain == number && (word.starts_with("\\\\") || word.ends_with(':'));
        if self.wanted && self.plain == number && !aside {
            found.mark(at);
        }
        self.plain += usize::from(!aside);
    }
}

fn take(found: &mut Found<'_>, takes: Takes, at: Range<usize>) {
    match takes {
        After(signs) => {
            if let Some(n) = found.text[at.clone()].find(signs) {
                found.mark(at.start + n + 1..at.end);
            }
        }
        _ => found.mark(at),
    }
}

/// The next word and where the one after it may begin. Quotes around a word are not of it.
fn next_word(text: &str, from: usize, end: usize) -> Option<(Range<usize>, usize)> {
    let bytes = text.as_bytes();
    let start = run(text, from, |b| b.is_ascii_whitespace()).min(end);
    let first = *bytes.get(start).filter(|_| start < end)?;
    if matches!(first, b'"' | b'\'') {
        let close = names::closing(text, start, false).min(end);
        return Some((start + 1..close.max(start + 1), (close + 1).min(end.max(close))));
    }
    // Quotes within a word keep its blanks: -p"a b".
    let mut at = start;
    while at < end && !bytes[at].is_ascii_whitespace() {
        at = match bytes[at] {
            b'"' | b'\'' => (names::closing(text, at, false) + 1).min(end),
            _ => at + 1,
        };
    }
    Some((start..at, at))
}
