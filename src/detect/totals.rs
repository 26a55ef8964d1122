//! Totals of a run for people: who sent how much where.

use super::home::{Sides, prefix_of};
use super::{Map, by_side};
use crate::observe::FlowSummary;
use crate::output::{Identity, IncidentRecord, OutsidePrefix, UploadLine};
use crate::units::Both;
use std::net::IpAddr;
use std::sync::Arc;

/// Rows kept; further (host, destination) pairs are summed in one row per host.
const MAX_ROWS: usize = 65_536;
/// Prefixes outside home that are summed.
const MAX_PREFIXES: usize = 16_384;
/// Incidents kept for the summary.
const MAX_INCIDENTS: usize = 1_000;

/// See the module.
#[derive(Debug, Default)]
pub struct Totals {
    rows: Map<(IpAddr, What), Row>,
    /// Prefixes outside home: bytes out, flows to monitored services.
    prefixes: Map<IpAddr, (u64, u64)>,
    /// Flows home–outside, home–home, outside–outside.
    pub flows: (u64, u64, u64),
    /// Bytes of flows with a home side: out, in.
    pub home: (u64, u64),
    /// Newest record of each incident.
    pub incidents: Vec<IncidentRecord>,
}

/// What a row is about: no text is made for the many flows without a name.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
enum What {
    Name(Arc<str>),
    Address(IpAddr),
    Others,
}

impl What {
    fn text(&self) -> String {
        match self {
            Self::Name(name) => name.to_string(),
            Self::Address(ip) => ip.to_string(),
            Self::Others => "(others)".to_owned(),
        }
    }
}

#[derive(Clone, Copy, Debug, Default)]
struct Row {
    category: Option<&'static str>,
    bytes: (u64, u64),
    flows: u64,
}

impl Totals {
    /// Adds a flow that has ended.
    pub fn add(&mut self, summary: &FlowSummary, identity: &Identity, sides: Sides) {
        let counts = &summary.counts;
        let bytes =
            Both { up: counts.up.payload + counts.up.gap, down: counts.down.payload + counts.down.gap };
        let direction = match sides {
            Sides::Out(direction) => direction,
            Sides::Inside => {
                self.flows.1 += 1;
                return;
            }
            Sides::Transit => {
                self.flows.2 += 1;
                self.transit(summary.ends.originator, bytes.up, identity.class.is_some());
                return;
            }
        };
        self.flows.0 += 1;
        let (out, into) = by_side(bytes, direction);
        self.home = (self.home.0.saturating_add(out), self.home.1.saturating_add(into));
        let (host, far) = summary.ends.from(direction);
        let what = match (&identity.class, &identity.name) {
            (Some(class), _) => What::Name(Arc::clone(&class.service_name)),
            (None, Some(name)) => What::Name(Arc::clone(name)),
            (None, None) => What::Address(far),
        };
        let mut key = (host, what);
        if self.rows.len() >= MAX_ROWS && !self.rows.contains_key(&key) {
            key.1 = What::Others;
        }
        let row = self.rows.entry(key).or_default();
        row.category = identity.class.as_ref().map(|c| c.category);
        row.bytes = (row.bytes.0.saturating_add(out), row.bytes.1.saturating_add(into));
        row.flows += 1;
    }

    /// Bytes that somebody sent who is not at home: by prefix, so that a missing home network can be named.
    fn transit(&mut self, originator: IpAddr, out: u64, monitored: bool) {
        let Some(prefix) = prefix_of(originator) else { return };
        if self.prefixes.len() >= MAX_PREFIXES && !self.prefixes.contains_key(&prefix) {
            return;
        }
        let sums = self.prefixes.entry(prefix).or_default();
        sums.0 = sums.0.saturating_add(out);
        sums.1 += u64::from(monitored);
    }

    /// The prefixes outside home that opened connections, those with flows to monitored services first.
    pub fn outside_prefixes(&self, n: usize) -> Vec<OutsidePrefix> {
        let row = |(ip, (out, monitored)): (&IpAddr, &(u64, u64))| OutsidePrefix {
            prefix: format!("{ip}/{}", if ip.is_ipv4() { 24 } else { 64 }),
            out: *out,
            monitored_flows: *monitored,
        };
        let mut rows: Vec<OutsidePrefix> = self.prefixes.iter().map(row).collect();
        rows.sort_by(|a, b| {
            (b.monitored_flows, b.out).cmp(&(a.monitored_flows, a.out)).then_with(|| a.prefix.cmp(&b.prefix))
        });
        rows.truncate(n);
        rows
    }

    /// Keeps the newest record of an incident.
    pub fn note_incident(&mut self, record: &IncidentRecord) {
        if let Some(old) = self.incidents.iter_mut().find(|i| i.id == record.id) {
            *old = record.clone();
        } else if self.incidents.len() < MAX_INCIDENTS {
            self.incidents.push(record.clone());
        }
    }

    /// The `n` rows with most bytes out, largest first.
    pub fn largest(&self, n: usize) -> Vec<UploadLine> {
        let mut lines: Vec<UploadLine> = self
            .rows
            .iter()
            .map(|((host, what), row)| UploadLine {
                host: *host,
                what: what.text(),
                category: row.category,
                bytes: Both { up: row.bytes.0, down: row.bytes.1 },
                flows: row.flows,
            })
            .collect();
        lines.sort_by(|a, b| b.bytes.up.cmp(&a.bytes.up).then(a.host.cmp(&b.host)).then(a.what.cmp(&b.what)));
        lines.truncate(n);
        lines
    }
}
