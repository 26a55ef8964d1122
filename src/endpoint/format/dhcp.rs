//! The log of the Windows DHCP server: comma separated, local time without a zone, most rows about nothing that has an
//! address.

use super::{Format, Record, State};
use crate::endpoint::draft::{Desk, Draft, EventKind};
use crate::endpoint::event::{AddressKind, ClockClass, SourceKind};
use crate::endpoint::tally::Reason;
use crate::endpoint::{times, values};
use std::borrow::Cow;

/// `ID,Date,Time,Description,IP Address,Host Name,MAC Address,…`.
pub(super) struct WindowsDhcp;

impl Format for WindowsDhcp {
    fn names(&self) -> &[&str] {
        &["dhcp", "windows-dhcp"]
    }

    fn about(&self) -> &'static str {
        "log of the Windows DHCP server"
    }

    fn source(&self) -> SourceKind {
        SourceKind::Dhcp
    }

    fn recognises(&self, record: Record<'_>) -> bool {
        let Record::Line(line) = record else { return false };
        let mut cells = line.split(',');
        let id = cells
            .next()
            .is_some_and(|id| (1..=5).contains(&id.len()) && id.bytes().all(|b| b.is_ascii_digit()));
        let (date, time) = (cells.next().unwrap_or(""), cells.next().unwrap_or(""));
        id && times::dhcp(date, time, 0).is_some()
    }

    fn read(&self, record: Record<'_>, _: &mut State, desk: &mut Desk<'_>) -> Result<(), Reason> {
        let Record::Line(line) = record else { return Err(Reason::OtherFormat) };
        let mut cells = line.split(',').map(str::trim);
        let mut next = || cells.next().unwrap_or("");
        let (id, date, time, _, ip, name, mac) = (next(), next(), next(), next(), next(), next(), next());
        let kind = match id {
            // Assigned, renewed, assigned to BOOTP, the same over IPv6.
            "10" | "11" | "20" | "21" | "11000" | "11001" => AddressKind::Bound,
            // Released, deleted, expired.
            "12" | "16" | "17" | "18" | "23" | "11003" => AddressKind::Released,
            _ => return Err(Reason::NotUsed),
        };
        let mac_text = mac;
        let mac = values::mac(mac);
        let some = |text: &'_ str| Some(Cow::Owned(text.to_owned())).filter(|_| !text.is_empty());
        Draft {
            at: times::dhcp(date, time, desk.hint.zone_secs),
            clock: Some(ClockClass::Header),
            host_id: some(mac_text).filter(|_| mac.is_some()).or_else(|| some(&name.to_lowercase())),
            host_name: some(name),
            host_mac: mac,
            address: values::ip(ip),
            address_kind: Some(kind),
            ..Draft::default()
        }
        .put(EventKind::Address, SourceKind::Dhcp, desk)
    }
}
