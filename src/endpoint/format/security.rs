//! The Windows Security log: a process began (4688) or ended (4689), the filtering platform let a connection pass (5156)
//! or not (5157). Times are those of the header. Of a connection neither user nor command line is said.

use super::windows::Event;
use crate::endpoint::draft::{Desk, Draft, EventKind};
use crate::endpoint::event::{ConnectState, ProcessKind, SourceKind};
use crate::endpoint::tally::Reason;
use crate::endpoint::values;
use std::borrow::Cow;

pub(super) fn read(event: &Event<'_>, desk: &mut Desk<'_>) -> Result<(), Reason> {
    let mut draft = event.draft();
    let kind = match event.id {
        4688 => {
            started(event, &mut draft);
            EventKind::Process
        }
        4689 => {
            draft.process_kind = Some(ProcessKind::Exit);
            draft.pid = event.field("ProcessId").and_then(|pid| values::pid(&pid));
            draft.path = event.field("ProcessName");
            (draft.user, draft.user_domain) = account(event, "Subject");
            EventKind::Process
        }
        5156 | 5157 => {
            passed(event, &mut draft);
            EventKind::Connect
        }
        // Listening and binding.
        5154 | 5155 | 5158 | 5159 => return Err(Reason::NoRemote),
        _ => return Err(Reason::NotUsed),
    };
    draft.put(kind, SourceKind::WindowsSecurity, desk)
}

fn started<'t>(event: &Event<'t>, draft: &mut Draft<'t>) {
    let pid = |name: &str| event.field(name).and_then(|pid| values::pid(&pid));
    draft.process_kind = Some(ProcessKind::Start);
    draft.start = draft.at.map(|stamp| stamp.at);
    draft.pid = pid("NewProcessId");
    draft.path = event.field("NewProcessName");
    draft.command_line = event.field("CommandLine");
    // `ProcessId` is that of the parent.
    draft.parent_pid = pid("ProcessId");
    draft.parent_path = event.field("ParentProcessName");
    // Whom the process runs as, if not who started it.
    (draft.user, draft.user_domain) = match account(event, "Target") {
        (None, _) => account(event, "Subject"),
        target => target,
    };
}

fn account<'t>(event: &Event<'t>, who: &str) -> (Option<Cow<'t, str>>, Option<Cow<'t, str>>) {
    (event.field(&format!("{who}UserName")), event.field(&format!("{who}DomainName")))
}

/// `Source` is the host's own end in both directions.
fn passed<'t>(event: &Event<'t>, draft: &mut Draft<'t>) {
    let port = |name: &str| event.field(name).and_then(|text| values::port(&text));
    let ip = |name: &str| event.field(name).and_then(|text| values::ip(&text));
    draft.pid =
        event.field("ProcessID").or_else(|| event.field("ProcessId")).and_then(|pid| values::pid(&pid));
    draft.path = event.field("Application");
    draft.ends_are_local_remote = true;
    draft.direction = event.field("Direction").and_then(|text| values::direction(&text));
    draft.source = ip("SourceAddress");
    draft.source_port = port("SourcePort");
    draft.destination = ip("DestAddress");
    draft.destination_port = port("DestPort");
    draft.transport = event.field("Protocol").and_then(|text| values::transport(&text));
    draft.state = Some(if event.id == 5157 { ConnectState::Failed } else { ConnectState::Attempt });
}
