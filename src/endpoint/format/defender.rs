//! Microsoft Defender XDR: the envelope of streams and the list of addresses of a device; the rest is a table.

use super::{Format, Record, State};
use crate::endpoint::draft::{Desk, Draft, EventKind, Hint};
use crate::endpoint::event::{AddressKind, ClockClass, SourceKind};
use crate::endpoint::map::Mapping;
use crate::endpoint::pointer::Pointer;
use crate::endpoint::tally::Reason;
use crate::endpoint::times;
use crate::endpoint::tree::View;
use crate::endpoint::values;

/// Defender's tables.
pub(super) struct Defender {
    table: Mapping,
    addresses: Option<Pointer>,
}

/// Category of a record in a stream: this and the name of the table.
const HUNTING: &str = "AdvancedHunting-";

impl Defender {
    pub(super) fn new(table: Mapping) -> Self {
        Self { table, addresses: Pointer::parse("/IPAddresses/!json/*/IPAddress").ok() }
    }

    /// A device said which addresses it has.
    fn addresses(&self, row: View<'_>, desk: &mut Desk<'_>) -> Result<(), Reason> {
        let texts = self.addresses.as_ref().and_then(|pointer| pointer.embedded(row)).unwrap_or_default();
        let before = desk.out.len();
        let mut last = Err(Reason::NotUsed);
        for ip in texts.iter().filter_map(|text| values::ip(text)).filter(|ip| !ip.is_loopback()) {
            let time = row.field("Timestamp").or_else(|| row.field("TimeGenerated"));
            let draft = Draft {
                at: time.and_then(|text| times::any(&text)),
                clock: Some(ClockClass::Host),
                host_id: row.field("DeviceId"),
                host_name: row.field("DeviceName"),
                host_mac: row.field("MacAddress").and_then(|text| values::mac(&text)),
                record: row.field("ReportId"),
                address: Some(ip),
                address_kind: Some(AddressKind::Snapshot),
                ..Draft::default()
            };
            last = draft.put(EventKind::Address, SourceKind::Defender, desk);
        }
        if desk.out.len() > before { Ok(()) } else { last }
    }
}

fn category(root: View<'_>) -> Option<String> {
    let category = root.get("category")?.as_text()?;
    category.strip_prefix(HUNTING).filter(|_| root.get("properties").is_some()).map(str::to_owned)
}

impl Format for Defender {
    fn names(&self) -> &[&str] {
        &["defender"]
    }

    fn about(&self) -> &str {
        &self.table.about
    }

    fn source(&self) -> SourceKind {
        SourceKind::Defender
    }

    fn recognises(&self, record: Record<'_>) -> bool {
        matches!(record, Record::Tree(root) if category(root).is_some() || self.table.recognises(root))
    }

    fn read(&self, record: Record<'_>, _: &mut State, desk: &mut Desk<'_>) -> Result<(), Reason> {
        let Record::Tree(root) = record else { return Err(Reason::OtherFormat) };
        let category = category(root);
        let row = if category.is_some() { root.get("properties").unwrap_or(root) } else { root };
        match category.as_deref() {
            Some("AlertInfo" | "AlertEvidence") => return Err(Reason::Alert),
            Some(table) if !table.starts_with("Device") => return Err(Reason::NotUsed),
            _ => {}
        }
        let received = root.field("time").filter(|_| category.is_some()).and_then(|text| times::any(&text));
        let hint =
            Hint { received: received.map(|stamp| stamp.at).or(desk.hint.received), ..desk.hint.clone() };
        let desk = &mut Desk { out: desk.out, pool: desk.pool, hint: &hint };
        if row.get("IPAddresses").is_some() {
            return self.addresses(row, desk);
        }
        self.table.read(row, desk)
    }
}
