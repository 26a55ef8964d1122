//! Totals of a run for people: who sent how much where.

use super::home::Sides;
use super::{Map, by_side};
use crate::observe::FlowSummary;
use crate::output::{Identity, IncidentRecord, UploadLine};
use crate::units::Both;
use std::net::IpAddr;
use std::sync::Arc;

/// Rows kept; further (host, destination) pairs are summed in one row per host.
const MAX_ROWS: usize = 65_536;
/// Incidents kept for the summary.
const MAX_INCIDENTS: usize = 1_000;

/// See the module.
#[derive(Debug, Default)]
pub struct Totals {
    rows: Map<(IpAddr, What), Row>,
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
