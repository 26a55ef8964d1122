//! The Linux audit system: raw records of auditd, and what laurel, go-audit and auoms make of them. One event is several
//! records with one number; those of a source wait here until the event is whole.
//!
//! `connect` names the far end only, and a connect that does not wait ends with EINPROGRESS and `success=no`: that is no
//! failure.

use super::audit_text::{self, Fields};
use super::{Format, Record, State};
use crate::endpoint::draft::{Desk, Draft, EventKind};
use crate::endpoint::event::{ConnectState, Direction, FileOp, ProcessKind, SourceKind};
use crate::endpoint::tally::Reason;
use crate::endpoint::times::{self, Stamp};
use crate::endpoint::tree::{Kind, View};
use crate::endpoint::values;
use std::borrow::Cow;
use std::collections::VecDeque;

/// Events that wait for more records at most.
const MAX_WAITING: usize = 64;
/// An event whose records took longer than this is as whole as it will be.
const WAIT_NS: i64 = 2_000_000_000;
/// Bytes of arguments that are kept.
const MAX_ARGUMENTS: usize = 16_384;
/// Paths of one event that are kept.
const MAX_PATHS: usize = 16;

/// One event, as far as its records are there.
#[derive(Default, Debug)]
pub(super) struct Event {
    /// Seconds, milliseconds and number, as written.
    id: String,
    at: Option<Stamp>,
    node: Option<String>,
    arch: String,
    /// Number, or name where the log is enriched.
    syscall: String,
    success: Option<bool>,
    exit: String,
    /// Third argument of the system call: the flags of `openat`.
    flags: u64,
    pid: Option<u32>,
    ppid: Option<u32>,
    exe: Option<String>,
    comm: Option<String>,
    user: Option<String>,
    arguments: String,
    title: Option<String>,
    cwd: Option<String>,
    /// Name and type of name.
    paths: Vec<(String, String)>,
    sockaddr: Option<String>,
    container: Option<String>,
    parent_exe: Option<String>,
}

/// The events of a source that wait for more records.
#[derive(Default, Debug)]
pub(super) struct Waiting(VecDeque<Event>);

impl Waiting {
    /// Puts out all that waits.
    pub(super) fn finish(&mut self, desk: &mut Desk<'_>) {
        for event in self.0.drain(..) {
            let _ = event.put(desk);
        }
    }

    fn take(&mut self, id: &str) -> Option<Event> {
        let at = self.0.iter().position(|event| event.id == id)?;
        self.0.remove(at)
    }

    /// The event of a number, new where it is the first of its records. What has waited long goes out.
    fn event(&mut self, id: &str, at: Stamp, desk: &mut Desk<'_>) -> &mut Event {
        while self.0.front().is_some_and(|first| {
            let waited = first.at.map_or(0, |first| at.at.since(first.at).nanos());
            first.id != id && (waited > WAIT_NS || self.0.len() >= MAX_WAITING)
        }) {
            if let Some(event) = self.0.pop_front() {
                let _ = event.put(desk);
            }
        }
        let found = self.0.iter().position(|event| event.id == id);
        let index = found.unwrap_or(self.0.len());
        if found.is_none() {
            self.0.push_back(Event { id: id.to_owned(), at: Some(at), ..Event::default() });
        }
        &mut self.0[index]
    }
}

/// auditd and its relatives.
pub(super) struct Auditd;

impl Format for Auditd {
    fn names(&self) -> &[&str] {
        &["auditd", "laurel", "go-audit", "auoms"]
    }

    fn about(&self) -> &'static str {
        "Linux audit: auditd raw and enriched, laurel, go-audit, auoms"
    }

    fn source(&self) -> SourceKind {
        SourceKind::Auditd
    }

    fn recognises(&self, record: Record<'_>) -> bool {
        match record {
            Record::Line(line) => audit_text::head(line).is_some(),
            Record::Tree(root) => {
                let laurel = root.get("ID").is_some() && (is_laurel(root) || root.get("NODE").is_some());
                laurel || (root.get("sequence").is_some() && root.get("messages").is_some())
            }
        }
    }

    fn read(&self, record: Record<'_>, state: &mut State, desk: &mut Desk<'_>) -> Result<(), Reason> {
        match record {
            Record::Line(line) => raw(line, &mut state.audit, desk),
            Record::Tree(root) if root.get("messages").is_some() => go_audit(root, desk),
            Record::Tree(root) => laurel(root, desk),
        }
    }
}

fn is_laurel(root: View<'_>) -> bool {
    root.children().any(|child| {
        let key = child.key();
        key != "ID"
            && key.bytes().all(|b| b.is_ascii_uppercase() || b.is_ascii_digit() || b == b'_')
            && key.len() > 2
    })
}

/// A line of auditd's log or of auoms.
fn raw(line: &str, waiting: &mut Waiting, desk: &mut Desk<'_>) -> Result<(), Reason> {
    let head = audit_text::head(line).ok_or(Reason::Syntax)?;
    let at = times::any(head.time).ok_or(Reason::NoTime)?;
    let mut fields = audit_text::fields(head.body);
    if head.kind.starts_with("AUOMS_") {
        let mut event = Event { id: head.id.to_owned(), at: Some(at), ..Event::default() };
        event.node = head.node.map(str::to_owned);
        event.auoms(head.body);
        return event.put(desk);
    }
    match head.kind {
        "SYSCALL" | "SOCKADDR" | "EXECVE" | "CWD" | "PATH" => {
            let event = waiting.event(head.id, at, desk);
            event.node = event.node.take().or_else(|| head.node.map(str::to_owned));
            event.add(head.kind, &mut fields);
            Ok(())
        }
        // The last of an event, with and without an end.
        "PROCTITLE" | "EOE" => match waiting.take(head.id) {
            Some(mut event) => {
                event.add(head.kind, &mut fields);
                event.put(desk)
            }
            None => Err(Reason::NotUsed),
        },
        _ => Err(Reason::NotUsed),
    }
}

fn go_audit(root: View<'_>, desk: &mut Desk<'_>) -> Result<(), Reason> {
    let time = root.field("timestamp").ok_or(Reason::NoTime)?;
    let id = format!("{time}:{}", root.field("sequence").unwrap_or_default());
    let mut event = Event { id, at: times::any(&time), ..Event::default() };
    let messages = root.get("messages").ok_or(Reason::NoField)?;
    for message in messages.children().take(1_000) {
        let kind = match message.field("type").as_deref() {
            Some("1300") => "SYSCALL",
            Some("1302") => "PATH",
            Some("1306") => "SOCKADDR",
            Some("1307") => "CWD",
            Some("1309") => "EXECVE",
            Some("1327") => "PROCTITLE",
            _ => continue,
        };
        let data = message.field("data").unwrap_or_default();
        event.add(kind, &mut audit_text::fields(&data));
    }
    // The map has the names of the numbers.
    if let Some(name) = event.user.as_deref().and_then(|uid| root.get("uid_map")?.field(uid)) {
        event.user = Some(name.into_owned());
    }
    event.put(desk)
}

fn laurel(root: View<'_>, desk: &mut Desk<'_>) -> Result<(), Reason> {
    let id = root.field("ID").ok_or(Reason::NoField)?;
    let mut event = Event { id: id.to_string(), ..Event::default() };
    event.at = id.split(':').next().and_then(times::any);
    event.node = root.field("NODE").map(Cow::into_owned);
    let call = root.get("SYSCALL").ok_or(Reason::NotUsed)?;
    let text = |key: &str| call.field(key).map(|text| decoded(&text));
    call.field("arch").unwrap_or_default().trim_start_matches("0x").clone_into(&mut event.arch);
    event.syscall = text("SYSCALL").or_else(|| text("syscall")).unwrap_or_default();
    event.success = call.field("success").map(|word| word == "yes");
    event.exit = text("exit").unwrap_or_default();
    event.pid = call.field("pid").and_then(|pid| values::pid(&pid));
    event.ppid = call.field("ppid").and_then(|pid| values::pid(&pid));
    (event.exe, event.comm) = (text("exe"), text("comm"));
    event.user = user(text("AUID"), text("UID"), text("auid"), text("uid"));
    event.flags = call
        .get("ARGV")
        .and_then(|list| list.children().nth(2)?.as_text())
        .and_then(|n| values::number(&n))
        .unwrap_or(0);
    for argument in
        root.at(&["EXECVE", "ARGV"]).into_iter().flat_map(View::children).filter_map(View::as_text)
    {
        event.argument(&decoded(&argument));
    }
    if let Some(words) = root.at(&["PROCTITLE", "ARGV"]) {
        let words: Vec<_> = words.children().filter_map(View::as_text).map(|word| decoded(&word)).collect();
        event.title = Some(words.join(" "));
    }
    event.cwd = root.at(&["CWD", "cwd"]).and_then(View::given).map(|cwd| decoded(&cwd));
    for path in root.get("PATH").into_iter().flat_map(View::children).take(MAX_PATHS) {
        if let Some(name) = path.field("name") {
            event.paths.push((decoded(&name), path.field("nametype").unwrap_or_default().into_owned()));
        }
    }
    let sockaddr = root
        .get("SOCKADDR")
        .map(|list| if list.kind() == Kind::Array { list.children().next() } else { Some(list) });
    if let Some(sockaddr) = sockaddr.flatten() {
        event.sockaddr = match sockaddr.get("SADDR") {
            Some(named) => named
                .field("addr")
                .map(|ip| format!("laddr={ip} lport={}", named.field("port").unwrap_or_default())),
            None => sockaddr.field("saddr").map(Cow::into_owned),
        };
    }
    event.parent_exe = root
        .at(&["PPID", "EXE"])
        .or_else(|| root.at(&["PPID", "exe"]))
        .and_then(View::given)
        .map(Cow::into_owned);
    let container = root.at(&["CONTAINER_INFO", "ID"]).or_else(|| root.at(&["CONTAINER_INFO", "id"]));
    event.container = container.and_then(View::given).map(Cow::into_owned);
    event.put(desk)
}

/// laurel writes bytes that are no text as `%XX`.
fn decoded(text: &str) -> String {
    match values::percent(text).filter(|_| text.contains('%')) {
        Some(bytes) => String::from_utf8_lossy(&bytes).into_owned(),
        None => text.to_owned(),
    }
}

/// Who logged in, else as whom the process runs; a name before a number.
fn user(
    auid_name: Option<String>,
    uid_name: Option<String>,
    auid: Option<String>,
    uid: Option<String>,
) -> Option<String> {
    let set = |name: &String| !matches!(name.as_str(), "unset" | "4294967295" | "-1" | "");
    auid_name.filter(set).or(uid_name.filter(set)).or(auid.filter(set)).or(uid.filter(set))
}

impl Event {
    fn argument(&mut self, argument: &str) {
        if self.arguments.len() < MAX_ARGUMENTS {
            if !self.arguments.is_empty() {
                self.arguments.push(' ');
            }
            self.arguments.push_str(argument);
        }
    }

    /// Adds one record.
    fn add(&mut self, kind: &str, fields: &mut Fields<'_>) {
        match kind {
            "SYSCALL" => self.syscall(fields),
            "SOCKADDR" => {
                for (key, value) in fields {
                    match key {
                        "saddr" => self.sockaddr = Some(value.plain().into_owned()),
                        // As `ausearch -i` prints it.
                        "laddr" => self.sockaddr = Some(format!("laddr={}", value.plain())),
                        "lport" => {
                            if let Some(text) = &mut self.sockaddr {
                                text.push_str(&format!(" lport={}", value.plain()));
                            }
                        }
                        _ => {}
                    }
                }
            }
            "EXECVE" => {
                for (key, value) in fields {
                    let number = key.strip_prefix('a').map(|rest| rest.split('[').next().unwrap_or(rest));
                    if number.is_some_and(|number| {
                        !number.is_empty() && number.bytes().all(|b| b.is_ascii_digit())
                    }) {
                        let text = value.text();
                        // The parts of one long argument belong together.
                        if key.contains('[') && !key.ends_with("[0]") {
                            if self.arguments.len() < MAX_ARGUMENTS {
                                self.arguments.push_str(&text);
                            }
                        } else {
                            self.argument(&text);
                        }
                    }
                }
            }
            "CWD" => {
                self.cwd = fields.find(|(key, _)| *key == "cwd").map(|(_, value)| value.text().into_owned());
            }
            "PATH" => {
                let (mut name, mut kind) = (None, String::new());
                for (key, value) in fields {
                    match key {
                        "name" => name = Some(value.text().into_owned()),
                        "nametype" => kind = value.plain().into_owned(),
                        _ => {}
                    }
                }
                if let Some(name) = name.filter(|name| name != "(null)" && self.paths.len() < MAX_PATHS) {
                    self.paths.push((name, kind));
                }
            }
            "PROCTITLE" => {
                let title = fields.find(|(key, _)| *key == "proctitle");
                self.title = title.map(|(_, value)| value.text().replace('\0', " "));
            }
            _ => {}
        }
    }

    fn syscall(&mut self, fields: &mut Fields<'_>) {
        let (mut auid_name, mut uid_name, mut auid, mut uid) = (None, None, None, None);
        for (key, value) in fields {
            let plain = || value.plain().into_owned();
            match key {
                "arch" => self.arch = plain(),
                "syscall" if self.syscall.is_empty() => self.syscall = plain(),
                "SYSCALL" => self.syscall = plain(),
                "success" => self.success = Some(value.plain() == "yes"),
                "exit" => self.exit = plain(),
                "a2" => self.flags = u64::from_str_radix(&value.plain(), 16).unwrap_or(0),
                "pid" => self.pid = values::pid(&value.plain()),
                "ppid" => self.ppid = values::pid(&value.plain()),
                "exe" => self.exe = Some(value.text().trim_end_matches(" (deleted)").to_owned()),
                "comm" => self.comm = Some(value.text().into_owned()),
                "auid" => auid = Some(plain()),
                "uid" => uid = Some(plain()),
                "AUID" => auid_name = Some(plain()),
                "UID" => uid_name = Some(plain()),
                _ => {}
            }
        }
        self.user = user(auid_name, uid_name, auid, uid);
    }

    /// A line of auoms: everything in one, texts that are not quoted.
    fn auoms(&mut self, body: &str) {
        let long = |key: &str| {
            let from = body.find(&format!(" {key}="))? + key.len() + 2;
            let rest = body.get(from..)?;
            let ends = [" redactors=", " containerid=", " proctitle=", " cmdline="];
            let end = ends.iter().filter_map(|end| rest.find(end)).min().unwrap_or(rest.len());
            let text = rest.get(..end)?.trim();
            let text = text.strip_prefix('"').and_then(|text| text.strip_suffix('"')).unwrap_or(text);
            (!text.is_empty()).then(|| text.to_owned())
        };
        let mut names = (None, None);
        for (key, value) in audit_text::fields(body) {
            match key {
                "node" => self.node = Some(value.plain().into_owned()),
                "audit_user" => names.0 = Some(value.plain().into_owned()),
                "user" => names.1 = Some(value.plain().into_owned()),
                "cwd" => self.cwd = Some(value.text().into_owned()),
                "saddr" => self.sockaddr = Some(value.plain().into_owned()),
                "dest_addr" | "saddr_ip" => self.sockaddr = Some(format!("laddr={}", value.plain())),
                "containerid" => {
                    self.container = Some(value.plain().into_owned()).filter(|id| !id.is_empty());
                }
                _ => {}
            }
        }
        self.syscall(&mut audit_text::fields(body));
        self.user = user(names.0, names.1, None, self.user.take());
        self.arguments = long("cmdline").unwrap_or_default();
        self.title = long("proctitle");
    }

    /// Makes the event of what is there.
    fn put(self, desk: &mut Desk<'_>) -> Result<(), Reason> {
        let call = audit_text::syscall(&self.arch, &self.syscall);
        let failed = self.success == Some(false);
        let mut draft = self.draft();
        match call {
            "connect" | "sendto" | "sendmsg" => {
                self.connected(call, &mut draft)?;
                draft.put(EventKind::Connect, SourceKind::Auditd, desk)
            }
            "execve" | "execveat" if !failed => {
                draft.process_kind = Some(ProcessKind::Start);
                draft.start = draft.at.map(|stamp| stamp.at);
                let line = Some(self.arguments.as_str()).filter(|line| !line.is_empty());
                draft.command_line = line.or(self.title.as_deref()).map(Cow::Borrowed);
                draft.put(EventKind::Process, SourceKind::Auditd, desk)
            }
            "exit_group" => {
                draft.process_kind = Some(ProcessKind::Exit);
                draft.put(EventKind::Process, SourceKind::Auditd, desk)
            }
            _ if failed => Err(Reason::NotUsed),
            _ => {
                self.touched(call, &mut draft)?;
                draft.put(EventKind::File, SourceKind::Auditd, desk)
            }
        }
    }

    fn draft(&self) -> Draft<'_> {
        Draft {
            at: self.at,
            record: Some(Cow::Borrowed(&self.id)),
            host_name: self.node.as_deref().map(Cow::Borrowed),
            pid: self.pid,
            parent_pid: self.ppid,
            parent_path: self.parent_exe.as_deref().map(Cow::Borrowed),
            path: self.exe.as_deref().map(Cow::Borrowed),
            name: self.comm.as_deref().map(Cow::Borrowed),
            user: self.user.as_deref().map(Cow::Borrowed),
            container: self.container.as_deref().map(Cow::Borrowed),
            ..Draft::default()
        }
    }

    fn connected(&self, call: &str, draft: &mut Draft<'_>) -> Result<(), Reason> {
        let text = self.sockaddr.as_deref().ok_or(Reason::NoRemote)?;
        let (ip, port) = match text.strip_prefix("laddr=") {
            Some(named) => {
                let (ip, port) = named.split_once(" lport=").unwrap_or((named, ""));
                (values::ip(ip).ok_or(Reason::BadAddress)?, values::port(port))
            }
            None => {
                let (ip, port) = values::sockaddr(text).ok_or(Reason::NoRemote)?;
                (ip, Some(port).filter(|port| *port != 0))
            }
        };
        draft.ends_are_local_remote = true;
        draft.direction = Some(Direction::Out);
        (draft.destination, draft.destination_port) = (Some(ip), port);
        let under_way = self.exit == "-115" || self.exit.contains("EINPROGRESS");
        draft.state = Some(match self.success {
            _ if call != "connect" || under_way => ConnectState::Attempt,
            Some(true) => ConnectState::Established,
            Some(false) => ConnectState::Failed,
            None => ConnectState::Attempt,
        });
        Ok(())
    }

    fn touched<'t>(&'t self, call: &str, draft: &mut Draft<'t>) -> Result<(), Reason> {
        let named = |kind: &str| self.paths.iter().find(|(_, of)| of == kind).map(|(name, _)| name.as_str());
        let normal = named("NORMAL");
        let (op, path) = match call {
            "open" | "openat" | "openat2" | "creat" => match (named("CREATE"), normal) {
                (Some(path), _) => (FileOp::Create, Some(path)),
                // Flags of openat: write only or both.
                (None, path) if call == "openat" && self.flags & 3 != 0 => (FileOp::Write, path),
                (None, path) => (FileOp::Read, path),
            },
            "unlink" | "unlinkat" => (FileOp::Delete, named("DELETE")),
            "rename" | "renameat" | "renameat2" => (FileOp::Rename, named("DELETE")),
            "truncate" | "ftruncate" => (FileOp::Write, normal),
            _ => return Err(Reason::NotUsed),
        };
        draft.op = Some(op);
        draft.file = path.map(|path| self.absolute(path));
        draft.file_to = named("CREATE").map(|path| self.absolute(path));
        Ok(())
    }

    fn absolute<'t>(&self, path: &'t str) -> Cow<'t, str> {
        match &self.cwd {
            Some(cwd) if !path.starts_with('/') => {
                Cow::Owned(format!("{}/{path}", cwd.trim_end_matches('/')))
            }
            _ => Cow::Borrowed(path),
        }
    }
}
