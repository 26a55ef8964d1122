//! Sysmon's events. On Windows the times of events 3 and 22 come from a network driver and may be days off from those of
//! the others; on Linux the time in the header is nearer to the wire than `UtcTime`.

use super::windows::{Event, Provider};
use crate::endpoint::draft::{Desk, Draft, EventKind};
use crate::endpoint::event::{ClockClass, ConnectState, Direction, FileOp, ProcessKind, SourceKind};
use crate::endpoint::tally::Reason;
use crate::endpoint::times::{self, Stamp};
use crate::endpoint::values;
use std::net::IpAddr;

/// A process of which Sysmon for Linux tells so long after its start was there before Sysmon.
const EXISTED_NS: i64 = 60_000_000_000;

pub(super) fn read(event: &Event<'_>, desk: &mut Desk<'_>) -> Result<(), Reason> {
    let kind = match event.id {
        1 | 5 => EventKind::Process,
        3 => EventKind::Connect,
        11 | 15 | 23 | 26 => EventKind::File,
        22 => EventKind::Dns,
        _ => return Err(Reason::NotUsed),
    };
    let linux = event.provider == Provider::SysmonLinux;
    let utc = event.field("UtcTime").and_then(|text| times::any(&text));
    let mut draft = event.draft();
    if let (Some(utc), false) = (utc, linux) {
        draft.at = Some(utc);
        draft.clock = Some(if matches!(event.id, 3 | 22) { ClockClass::Network } else { ClockClass::Host });
    } else if draft.at.is_none() {
        draft.at = utc;
    }
    process(event, &mut draft);
    match kind {
        EventKind::Process => started_or_ended(event, utc, linux, &mut draft),
        EventKind::Connect => connected(event, &mut draft)?,
        EventKind::File => file(event, &mut draft),
        EventKind::Dns => looked_up(event, &mut draft),
        EventKind::Address => return Err(Reason::NotUsed),
    }
    let source = if linux { SourceKind::SysmonLinux } else { SourceKind::Sysmon };
    draft.put(kind, source, desk)
}

fn process<'t>(event: &Event<'t>, draft: &mut Draft<'t>) {
    draft.entity = event.field("ProcessGuid");
    draft.pid = event.field("ProcessId").and_then(|pid| values::pid(&pid));
    draft.path = event.field("Image");
    draft.user = event.field("User");
}

fn started_or_ended<'t>(event: &Event<'t>, utc: Option<Stamp>, linux: bool, draft: &mut Draft<'t>) {
    if event.id == 5 {
        draft.process_kind = Some(ProcessKind::Exit);
        return;
    }
    let late = |(at, utc): (Stamp, Stamp)| at.at.since(utc.at).nanos() > EXISTED_NS;
    let existed = linux && draft.at.zip(utc).is_some_and(late);
    draft.process_kind = Some(if existed { ProcessKind::Existing } else { ProcessKind::Start });
    draft.start = utc.map(|utc| utc.at);
    draft.original_name = event.field("OriginalFileName").filter(|name| name != "?");
    draft.command_line = event.field("CommandLine");
    draft.sha256 = event.field("Hashes").and_then(|hashes| values::sha256(&hashes));
    draft.parent_entity = event.field("ParentProcessGuid");
    draft.parent_pid = event.field("ParentProcessId").and_then(|pid| values::pid(&pid));
    draft.parent_path = event.field("ParentImage");
    draft.parent_command_line = event.field("ParentCommandLine");
}

fn connected<'t>(event: &Event<'t>, draft: &mut Draft<'t>) -> Result<(), Reason> {
    let address = |name: &str| match event.field(name) {
        Some(text) => values::ip(&text).ok_or(Reason::BadAddress).map(Some),
        None => Ok(None),
    };
    let port = |name: &str| event.field(name).and_then(|text| values::port(&text));
    let name = |name: &str| event.field(name).and_then(|text| values::domain(&text));
    draft.source = address("SourceIp")?;
    draft.destination = address("DestinationIp")?;
    draft.source_port = port("SourcePort");
    draft.destination_port = port("DestinationPort");
    draft.transport = event.field("Protocol").and_then(|text| values::transport(&text));
    draft.direction = match event.field("Initiated").as_deref() {
        Some("true") => Some(Direction::Out),
        Some("false") => Some(Direction::In),
        _ => None,
    };
    draft.state = Some(ConnectState::Attempt);
    // From reverse DNS: what the address is called, not what was asked for.
    let incoming = draft.direction == Some(Direction::In);
    draft.domain = name(if incoming { "SourceHostname" } else { "DestinationHostname" });
    Ok(())
}

fn file<'t>(event: &Event<'t>, draft: &mut Draft<'t>) {
    draft.op = Some(if matches!(event.id, 23 | 26) { FileOp::Delete } else { FileOp::Create });
    draft.file = event.field("TargetFilename");
}

fn looked_up<'t>(event: &Event<'t>, draft: &mut Draft<'t>) {
    draft.query = event.field("QueryName");
    draft.answers = event.field("QueryResults").map(|text| answers(&text)).unwrap_or_default();
}

/// `type:  5 cname;::ffff:1.2.3.4;`: addresses stand alone.
fn answers(text: &str) -> Vec<IpAddr> {
    text.split(';').filter_map(values::ip).take(32).collect()
}
