//! `notice.log` (alerts) and `egret.log` (every phase of every incident).

use super::super::eve::is_alert;
use super::super::{IncidentRecord, ids, json};
use super::layout::{EGRET, NOTICE};
use super::row::Row;
use super::{Sink, head, transport};
use crate::attribute::Attribution;
use crate::endpoint::SourceKind;
use crate::units::{Bytes, Span};

pub(super) fn write(sink: &mut Sink<'_>, r: &IncidentRecord) {
    let config = sink.config();
    let alert = is_alert(r, &config);
    if alert {
        sink.row(NOTICE, r.at, |row| notice(row, r, config.sensor.as_deref()));
    }
    sink.row(EGRET, r.at, |row| {
        head(row, r.at, r.flow, &r.ends);
        row.str(transport(&r.ends));
        row.plain(|out| ids::community_id(&r.ends, config.community_id_seed, out));
        judgement(row, r, alert);
        who(row, r);
        figures(row, r);
        process(row, r.identity.attribution.as_deref());
    });
}

fn notice(row: &mut Row<'_>, r: &IncidentRecord, sensor: Option<&str>) {
    let ends = &r.ends;
    // Bytes leave the home host, whichever side opened the connection.
    let home = r.identity.host.as_ref().map_or(ends.originator, |h| h.ip);
    let far = if home == ends.responder { ends.originator } else { ends.responder };
    head(row, r.at, r.flow, ends);
    row.unset(); // fuid
    row.unset(); // file_mime_type
    row.unset(); // file_desc
    row.str(transport(ends));
    row.str(&note(r.analytic));
    row.str(&r.text);
    row.str(&r.signature);
    row.addr(home);
    row.addr(far);
    row.count(u64::from(ends.responder_port));
    row.count(r.up_bytes);
    row.opt_str(sensor);
    row.list(["Notice::ACTION_LOG"]);
    row.list([]);
    row.interval(Span::from_secs(3_600));
}

/// `upload_volume` → `Egret::Upload_Volume`; every note begins with `Egret::Upload`.
fn note(analytic: &str) -> String {
    let mut note = String::from("Egret::");
    if !analytic.starts_with("upload") {
        note.push_str("Upload_");
    }
    let mut begins = true;
    for c in analytic.chars() {
        note.push(if begins { c.to_ascii_uppercase() } else { c });
        begins = c == '_';
    }
    note
}

fn judgement(row: &mut Row<'_>, r: &IncidentRecord, alert: bool) {
    row.str(&r.id);
    row.count(u64::from(r.seq));
    row.str(r.phase.as_str());
    row.bool(alert);
    row.str(r.severity.as_str());
    row.double(r.score);
    row.str(r.analytic);
    row.str(r.lane);
    row.str(r.technique().0);
    row.count(u64::from(r.signature_id));
    row.str(&r.signature);
    row.str(&r.text);
}

fn who(row: &mut Row<'_>, r: &IncidentRecord) {
    let id = &r.identity;
    match &id.host {
        Some(host) => {
            row.addr(host.ip);
            row.opt_str(host.name.as_deref());
            match &host.mac {
                Some(mac) => row.plain(|out| json::hex(mac, Some(b':'), out)),
                None => row.unset(),
            }
        }
        None => (0..3).for_each(|_| row.unset()),
    }
    row.opt_str(id.name.as_deref());
    row.opt_str(id.source.map(crate::parse::NameSource::as_str));
    let class = id.class.as_deref();
    row.opt_str(class.map(|c| &*c.service));
    row.opt_str(class.map(|c| c.category));
    row.opt_str(class.map(|c| c.role));
    row.opt_str(class.and_then(|c| c.tenant.as_deref()));
    row.opt_str(class.map(|c| c.sanction));
}

fn figures(row: &mut Row<'_>, r: &IncidentRecord) {
    row.count(r.up_bytes);
    row.count(r.up_bytes_24h);
    row.count(r.down_bytes);
    row.str(r.bytes_basis);
    row.interval(r.window);
    row.count(r.threshold);
    row.time(r.seen.0);
    row.time(r.seen.1);
    row.count(u64::from(r.flows_total));
    let uids: Vec<String> = r.flows.iter().take(16).map(|f| text(|out| ids::uid(f.flow, out))).collect();
    row.list(uids.iter().map(String::as_str));
    let destinations: Vec<String> =
        r.destinations.iter().take(16).map(|(name, up)| format!("{name} {}", Bytes(*up))).collect();
    row.list(destinations.iter().map(String::as_str));
    row.list(r.evidence.iter().map(|e| e.text.as_str()));
    row.count(r.gap_bytes);
    row.bool(r.midstream);
    row.bool(r.one_way);
}

/// Columns of [`process`].
const PROCESS: usize = 15;

/// Who caused it, and how that is known.
fn process(row: &mut Row<'_>, said: Option<&Attribution>) {
    let Some(said) = said else { return (0..PROCESS).for_each(|_| row.unset()) };
    let process = said.process.as_deref();
    row.opt_str(process.map(|p| &*p.name));
    row.opt_str(process.and_then(|p| p.path.as_deref()));
    match process.and_then(|p| p.pid) {
        Some(pid) => row.count(u64::from(pid)),
        None => row.unset(),
    }
    row.opt_str(process.and_then(|p| p.command_line.as_deref()));
    row.opt_str(said.user.as_deref());
    row.opt_str(process.and_then(|p| p.original_name.as_deref()));
    match process.and_then(|p| p.sha256.as_ref()) {
        Some(hash) => row.plain(|out| json::hex(hash, None, out)),
        None => row.unset(),
    }
    row.opt_str(process.and_then(|p| p.signer.as_deref()));
    let parent = process.and_then(|p| p.parent.as_deref());
    row.opt_str(parent.map(|p| &*p.name));
    row.opt_str(parent.and_then(|p| p.path.as_deref()));
    row.str(said.level.as_str());
    row.double(f64::from(said.confidence));
    row.str(said.status.as_str());
    row.opt_str(said.source.map(SourceKind::as_str));
    row.str(&said.reason);
}

fn text(fill: impl FnOnce(&mut Vec<u8>)) -> String {
    let mut out = Vec::new();
    fill(&mut out);
    String::from_utf8(out).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    #[test]
    fn notes_begin_with_upload() {
        assert_eq!(super::note("upload_volume"), "Egret::Upload_Volume");
        assert_eq!(super::note("new_service"), "Egret::Upload_New_Service");
    }
}
