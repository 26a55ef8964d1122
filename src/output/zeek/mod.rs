//! Zeek logs, as tab-separated values or JSON: fields and types as Zeek 7.0 writes them, then those of well-known
//! packages (`community_id`, `ja3`, `ja3s`, `ja4`), then `egret.log`, our own.
//!
//! A log appears with its first record, as with Zeek. `#open` and `#close` are packet time, so that a replay gives
//! the same bytes again.

mod conn;
mod layout;
mod notice;
mod proto;
mod row;
#[cfg(test)]
mod tests;

use self::layout::{LOGS, NAMES};
use self::row::{Form, Row};
use super::file::{Files, OutputConfig};
use super::stamp::Clock;
use super::{Format, Output, Record, ids};
use crate::decode::Transport;
use crate::observe::{Ends, FlowId};
use crate::units::Timestamp;
use std::sync::Arc;

/// `--log zeek-tsv`.
pub static TSV: Output = Output {
    name: "zeek-tsv",
    about: "Zeek logs with tabs: conn, ssl, quic, dns, http, notice, open_conn, open_ssl, open_http and egret",
    files: NAMES,
    make: |config, _| Ok(make(config, Form::Tsv)),
};

/// `--log zeek-json`.
pub static JSON: Output = Output {
    name: "zeek-json",
    about: "the same logs with one JSON object a line",
    files: NAMES,
    make: |config, _| Ok(make(config, Form::Json)),
};

fn make(config: &Arc<OutputConfig>, form: Form) -> Box<dyn Format> {
    let newest = [Timestamp::MIN; LOGS.len()];
    Box::new(Zeek { config: Arc::clone(config), form, clock: Clock::default(), newest })
}

struct Zeek {
    config: Arc<OutputConfig>,
    form: Form,
    clock: Clock,
    /// Newest record of each log, for `#close`.
    newest: [Timestamp; LOGS.len()],
}

impl Format for Zeek {
    fn write(&mut self, record: &Record, files: &mut Files) {
        match record {
            Record::Flow(r) => conn::write(&mut self.to(files), r),
            Record::Facts(r) => proto::facts(&mut self.to(files), r),
            Record::Dns(r) => proto::dns(&mut self.to(files), r),
            Record::Incident(r) => notice::write(&mut self.to(files), r),
            Record::FlowSum(_) | Record::Stats(..) => {}
        }
    }

    fn end(&mut self, log: usize, files: &mut Files) {
        if self.form == Form::Json {
            return;
        }
        let newest = self.newest.get(log).copied().unwrap_or_default();
        files.remark(log, |out| {
            out.extend_from_slice(b"#close\t");
            self.clock.zeek(newest, out);
        });
    }
}

impl Zeek {
    fn to<'a>(&'a mut self, files: &'a mut Files) -> Sink<'a> {
        Sink { zeek: self, files }
    }
}

/// Where the rows of a record go.
struct Sink<'a> {
    zeek: &'a mut Zeek,
    files: &'a mut Files,
}

impl Sink<'_> {
    fn config(&self) -> Arc<OutputConfig> {
        Arc::clone(&self.zeek.config)
    }

    /// Appends a row to log number `log`; `at` is the time of the record.
    fn row(&mut self, log: usize, at: Timestamp, fill: impl FnOnce(&mut Row<'_>)) {
        let Some(layout) = LOGS.get(log) else { return };
        let Zeek { form, clock, newest, .. } = &mut *self.zeek;
        if *form == Form::Tsv && !self.files.is_open(log) {
            self.files.remark(log, |out| layout.header(at, clock, out));
        }
        if let Some(newest) = newest.get_mut(log) {
            *newest = at.max(*newest);
        }
        self.files.line(log, |out| Row::fill(*form, layout.columns, out, fill));
    }
}

/// `ts`, `uid` and the two ends, with which every log begins.
fn head(row: &mut Row<'_>, at: Timestamp, flow: FlowId, ends: &Ends) {
    row.time(at);
    row.plain(|out| ids::uid(flow, out));
    row.addr(ends.originator);
    row.count(u64::from(ends.originator_port));
    row.addr(ends.responder);
    row.count(u64::from(ends.responder_port));
}

fn transport(ends: &Ends) -> &'static str {
    match ends.transport {
        Transport::Tcp => "tcp",
        Transport::Udp => "udp",
    }
}
