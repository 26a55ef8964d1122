//! ESXi: commands of the shell, files that clients fetch from datastores, and listings of `esxcli network ip connection
//! list`. Its logs say who did what on the host, but no sockets.

use super::{Format, Record, State};
use crate::endpoint::draft::{Desk, Draft, EventKind};
use crate::endpoint::envelope::{self, Header};
use crate::endpoint::event::{ClockClass, ConnectState, FileOp, ProcessKind, SourceKind};
use crate::endpoint::tally::Reason;
use crate::endpoint::times::{self, Stamp};
use crate::endpoint::values;
use crate::units::Timestamp;
use std::borrow::Cow;

/// Syslog of ESXi and vCenter.
pub(super) struct Esxi;

/// What only VMware's programs write.
const MARKS: &[&str] = &[
    "[Originator@",
    "[shell.cmd@",
    "[GenericCorrelator]",
    "envoy-access[",
    "[vim.event.",
    "rhttpproxy[",
    " vpxa[",
    "hostd[",
    "Hostd:",
    "vmkernel:",
    "vobd:",
    "[VpxLRO]",
    "esxcli",
    "ha-eventmgr",
];

impl Format for Esxi {
    fn names(&self) -> &[&str] {
        &["esxi"]
    }

    fn about(&self) -> &'static str {
        "syslog of ESXi: shell, hostd, envoy"
    }

    fn source(&self) -> SourceKind {
        SourceKind::Esxi
    }

    fn recognises(&self, record: Record<'_>) -> bool {
        let Record::Line(line) = record else { return false };
        MARKS.iter().any(|mark| line.contains(mark)) || shell(line).is_some() || launched(line).is_some()
    }

    fn read(&self, record: Record<'_>, _: &mut State, desk: &mut Desk<'_>) -> Result<(), Reason> {
        let Record::Line(line) = record else { return Err(Reason::OtherFormat) };
        let (head, message) = message(line);
        let draft = Draft {
            at: time(head.as_ref(), desk),
            clock: Some(ClockClass::Header),
            host_name: head.and_then(|head| head.host).map(Cow::Borrowed),
            ..Draft::default()
        };
        if let Some(command) = shell(message).or_else(|| launched(message)) {
            return ran(&command, draft, desk);
        }
        if message.contains("envoy-access[") {
            return fetched(message, draft, desk);
        }
        Err(Reason::NotUsed)
    }
}

fn message(line: &str) -> (Option<Header<'_>>, &str) {
    match envelope::header(line) {
        Some(head) => (Some(head), head.message),
        None => (None, line),
    }
}

fn time(head: Option<&Header<'_>>, desk: &Desk<'_>) -> Option<Stamp> {
    let head = head?;
    let near = desk.hint.received.or(desk.hint.listed).unwrap_or(Timestamp::from_nanos(0));
    head.at.or_else(|| times::syslog(head.old_time?, near))
}

/// A command that a user typed.
struct Command<'t> {
    user: Option<&'t str>,
    line: &'t str,
    shell: Option<u32>,
}

/// `shell[PID]: [root]: ls`, `shell[PID]: [shell.cmd@6876 subject="root" … command="ls" …]`.
fn shell(message: &str) -> Option<Command<'_>> {
    let rest = message.get(message.find("shell[")?..)?.strip_prefix("shell[")?;
    let (pid, rest) = rest.split_once("]: ")?;
    let shell = values::pid(pid)?;
    if let Some(fields) = rest.strip_prefix("[shell.cmd@") {
        let field = |name: &str| {
            let from = fields.find(name)? + name.len();
            let rest = fields.get(from..)?.strip_prefix("=\"")?;
            // A quote within stands behind a backslash.
            let mut ends = rest
                .match_indices('"')
                .filter(|(at, _)| rest.as_bytes().get(at.wrapping_sub(1)) != Some(&b'\\'));
            rest.get(..ends.next()?.0)
        };
        return Some(Command { user: field("subject"), line: field(" command")?, shell: Some(shell) });
    }
    let (user, line) = rest.strip_prefix('[')?.split_once("]: ")?;
    Some(Command { user: Some(user), line, shell: Some(shell) })
}

/// What hostd and its helpers run: `User 'root' running command '…'`, `Executing '…'`, `Launching binary: …`.
fn launched(message: &str) -> Option<Command<'_>> {
    let quoted = |start: &str| message.get(message.find(start)? + start.len()..)?.strip_suffix('\'');
    let user = quoted("User '").and_then(|_| message.split('\'').nth(1));
    let bare = || message.split_once("Launching binary: ").map(|(_, line)| line);
    let line = quoted("running command '").or_else(|| quoted("Executing '")).or_else(bare)?;
    Some(Command { user, line, shell: None })
}

fn ran<'t>(command: &Command<'t>, mut draft: Draft<'t>, desk: &mut Desk<'_>) -> Result<(), Reason> {
    let program = command.line.split_whitespace().find(|word| !word.contains('=')).ok_or(Reason::NotUsed)?;
    draft.process_kind = Some(ProcessKind::Start);
    draft.path = Some(Cow::Borrowed(program));
    draft.command_line = Some(Cow::Borrowed(command.line));
    draft.user = command.user.map(Cow::Borrowed);
    draft.parent_pid = command.shell;
    draft.parent_name = Some(Cow::Borrowed(if command.shell.is_some() { "shell" } else { "hostd" }));
    draft.put(EventKind::Process, SourceKind::Esxi, desk)
}

/// A datastore is read and written by way of `/folder/<directory>/<file>?dsName=<datastore>`.
fn fetched<'t>(message: &'t str, mut draft: Draft<'t>, desk: &mut Desk<'_>) -> Result<(), Reason> {
    let at = message.find("]: ").ok_or(Reason::Syntax)?;
    let mut words =
        message.get(at + 3..).unwrap_or("").split_whitespace().skip_while(|word| !is_method(word));
    let (method, target) = (words.next().ok_or(Reason::NotUsed)?, words.next().ok_or(Reason::NotUsed)?);
    let path = target.strip_prefix("/folder/").ok_or(Reason::NotUsed)?;
    let (path, query) = path.split_once('?').unwrap_or((path, ""));
    let plain = |text: &str| {
        let bytes = values::percent(text).unwrap_or_else(|| text.as_bytes().to_vec());
        String::from_utf8_lossy(&bytes).into_owned()
    };
    let store = query.split('&').find_map(|pair| pair.strip_prefix("dsName=")).map(plain);
    draft.op = Some(match method {
        "GET" => FileOp::Read,
        "PUT" => FileOp::Write,
        "DELETE" => FileOp::Delete,
        _ => return Err(Reason::NotUsed),
    });
    let store = store.map(|store| format!("[{store}] ")).unwrap_or_default();
    draft.file = Some(Cow::Owned(format!("{store}{}", plain(path))));
    draft.name = Some(Cow::Borrowed("hostd"));
    draft.put(EventKind::File, SourceKind::Esxi, desk)
}

fn is_method(word: &&str) -> bool {
    matches!(word.trim_matches('"'), "GET" | "PUT" | "POST" | "HEAD" | "DELETE")
}

/// Listing of `esxcli network ip connection list`.
pub(super) struct Esxcli;

/// One of its lines.
struct Socket<'t> {
    transport: &'t str,
    local: &'t str,
    foreign: &'t str,
    state: Option<&'t str>,
    world: u32,
    /// Missing in some rows.
    name: Option<&'t str>,
}

/// Proto, RecvQ, SendQ, local, foreign, state (TCP only), world, congestion control (newer), name.
fn socket(line: &str) -> Option<Socket<'_>> {
    let words: Vec<&str> = line.split_whitespace().take(12).collect();
    let (transport, rest) = words.split_first()?;
    let [received, sent, local, foreign, rest @ ..] = rest else { return None };
    if !matches!(*transport, "tcp" | "udp" | "tcp4" | "tcp6" | "udp4" | "udp6")
        || !received.bytes().chain(sent.bytes()).all(|b| b.is_ascii_digit())
    {
        return None;
    }
    values::end(local)?;
    values::end(foreign)?;
    let (state, rest) = match rest.split_first()? {
        (first, rest)
            if first.bytes().all(|b| b.is_ascii_uppercase() || b"_0123456789".contains(&b))
                && values::pid(first).is_none() =>
        {
            (Some(*first), rest)
        }
        _ => (None, rest),
    };
    let (world, rest) = rest.split_first()?;
    let name = match rest {
        [] => None,
        [one] => Some(*one),
        [.., last] => Some(*last),
    };
    Some(Socket { transport, local, foreign, state, world: values::pid(world)?, name })
}

impl Format for Esxcli {
    fn names(&self) -> &[&str] {
        &["esxcli"]
    }

    fn about(&self) -> &'static str {
        "listing of esxcli network ip connection list"
    }

    fn source(&self) -> SourceKind {
        SourceKind::Esxi
    }

    fn recognises(&self, record: Record<'_>) -> bool {
        let Record::Line(line) = record else { return false };
        let heading = line.starts_with("Proto") && line.contains("Foreign Address");
        heading || line.starts_with("-----") || socket(line).is_some()
    }

    fn read(&self, record: Record<'_>, _: &mut State, desk: &mut Desk<'_>) -> Result<(), Reason> {
        let Record::Line(line) = record else { return Err(Reason::OtherFormat) };
        let Some(socket) = socket(line) else { return Err(Reason::NotUsed) };
        if socket.state == Some("LISTEN") {
            return Err(Reason::NoRemote);
        }
        let (local, foreign) = (values::end(socket.local), values::end(socket.foreign));
        let at = desk.hint.listed.or(desk.hint.received);
        Draft {
            at: at.map(|at| Stamp { at, grain_ns: 1_000_000_000 }),
            clock: Some(ClockClass::Header),
            pid: Some(socket.world),
            name: socket.name.map(Cow::Borrowed),
            ends_are_local_remote: true,
            transport: values::transport(socket.transport.trim_end_matches(['4', '6'])),
            source: local.map(|end| end.0),
            source_port: local.and_then(|end| end.1),
            destination: foreign.map(|end| end.0),
            destination_port: foreign.and_then(|end| end.1),
            state: Some(ConnectState::Snapshot),
            ..Draft::default()
        }
        .put(EventKind::Connect, SourceKind::Esxi, desk)
    }
}
