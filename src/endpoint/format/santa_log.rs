//! Santa's text log: `[time] I santad: action=EXEC|decision=ALLOW|path=…|args=…|pid=…`.

use super::{Format, Record, State};
use crate::endpoint::draft::{Desk, Draft, EventKind};
use crate::endpoint::event::{FileOp, ProcessKind, SourceKind};
use crate::endpoint::tally::Reason;
use crate::endpoint::{times, values};
use std::borrow::Cow;

/// The text log.
pub(super) struct SantaLog;

/// Time and the pairs behind it.
fn split(line: &str) -> Option<(&str, &str)> {
    let (time, rest) = line.strip_prefix('[')?.split_once(']')?;
    let (head, _) = rest.split_once("action=")?;
    head.contains("santad").then(|| (time, rest.get(head.len()..).unwrap_or("")))
}

impl Format for SantaLog {
    fn names(&self) -> &[&str] {
        &["santa-log"]
    }

    fn about(&self) -> &'static str {
        "text log of Santa"
    }

    fn source(&self) -> SourceKind {
        SourceKind::Santa
    }

    fn recognises(&self, record: Record<'_>) -> bool {
        matches!(record, Record::Line(line) if split(line).is_some())
    }

    fn read(&self, record: Record<'_>, _: &mut State, desk: &mut Desk<'_>) -> Result<(), Reason> {
        let Record::Line(line) = record else { return Err(Reason::OtherFormat) };
        let (time, pairs) = split(line).ok_or(Reason::Syntax)?;
        let value = |key: &str| {
            let found = pairs.split('|').find_map(|pair| pair.strip_prefix(key)?.strip_prefix('='));
            found.filter(|value| !value.is_empty() && *value != "(null)").map(Cow::Borrowed)
        };
        let pid = |key: &str| value(key).and_then(|pid| values::pid(&pid));
        let mut draft = Draft {
            at: times::any(time),
            pid: pid("pid"),
            parent_pid: pid("ppid"),
            user: value("user"),
            host_id: value("machineid"),
            ..Draft::default()
        };
        let action = value("action").unwrap_or_default();
        let op = match &*action {
            "EXEC" => {
                draft.process_kind = Some(ProcessKind::Start);
                draft.path = value("path");
                draft.command_line = value("args");
                draft.sha256 = value("sha256").and_then(|hash| values::sha256(&hash));
                draft.signer = value("teamid").or_else(|| value("cert_cn"));
                // What was not let run did not start.
                let denied = value("decision").is_some_and(|decision| decision == "DENY");
                return if denied {
                    Err(Reason::NotUsed)
                } else {
                    draft.put(EventKind::Process, SourceKind::Santa, desk)
                };
            }
            "EXIT" => {
                draft.process_kind = Some(ProcessKind::Exit);
                return draft.put(EventKind::Process, SourceKind::Santa, desk);
            }
            "WRITE" => FileOp::Write,
            "RENAME" => FileOp::Rename,
            "DELETE" => FileOp::Delete,
            _ => return Err(Reason::NotUsed),
        };
        draft.op = Some(op);
        draft.file = value("path");
        draft.file_to = value("newpath");
        draft.path = value("processpath");
        draft.name = value("process");
        draft.put(EventKind::File, SourceKind::Santa, desk)
    }
}
