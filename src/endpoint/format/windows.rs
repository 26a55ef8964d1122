//! Windows event logs in every envelope: EVTX as JSON or XML, NXLog and other flat JSON, Winlogbeat before its
//! pipeline, Log Analytics, and text of the event viewer. Takes the envelope off; `sysmon.rs` and `security.rs` read
//! what is inside.

use super::{Format, Record, State};
use super::{security, sysmon};
use crate::endpoint::draft::{Desk, Draft};
use crate::endpoint::event::{ClockClass, SourceKind};
use crate::endpoint::tally::Reason;
use crate::endpoint::times::{self, Stamp};
use crate::endpoint::tree::{Coding, Kind, Tree, View};
use crate::endpoint::{json, values, xml};
use std::borrow::Cow;

/// Sysmon and the Security log.
pub(super) struct Windows;

/// A Windows event without its envelope.
pub(super) struct Event<'t> {
    pub(super) id: u64,
    pub(super) provider: Provider,
    pub(super) computer: Option<Cow<'t, str>>,
    /// Time in the header of the record.
    pub(super) header: Option<Stamp>,
    pub(super) record: Option<Cow<'t, str>>,
    pub(super) data: View<'t>,
}

/// Who wrote an event.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Provider {
    Sysmon,
    SysmonLinux,
    Security,
    Other,
}

impl Format for Windows {
    fn names(&self) -> &[&str] {
        &["sysmon", "windows", "windows-security", "sysmon-linux", "evtx"]
    }

    fn about(&self) -> &'static str {
        "Sysmon for Windows and Linux, Security 4688, 4689, 5156, 5157: EVTX, XML, NXLog, Winlogbeat, Log Analytics"
    }

    fn source(&self) -> SourceKind {
        SourceKind::Sysmon
    }

    fn recognises(&self, record: Record<'_>) -> bool {
        matches!(record, Record::Tree(root) if Shape::of(root).is_some())
    }

    fn read(&self, record: Record<'_>, _: &mut State, desk: &mut Desk<'_>) -> Result<(), Reason> {
        let Record::Tree(root) = record else { return Err(Reason::OtherFormat) };
        let shape = Shape::of(root).ok_or(Reason::Unknown)?;
        let mut event = shape.event(root)?;
        if event.provider == Provider::Other {
            return Err(Reason::NotUsed);
        }
        // What stands in a string of its own is read over that string.
        let (text, mut tree) = (shape.inner(root, &event), Tree::default());
        if let Some(text) = &text {
            event.data = inner(text, &mut tree)?;
        }
        event.read(desk)
    }
}

impl<'t> Event<'t> {
    fn read(&self, desk: &mut Desk<'_>) -> Result<(), Reason> {
        match self.provider {
            Provider::Sysmon | Provider::SysmonLinux => sysmon::read(self, desk),
            Provider::Security => security::read(self, desk),
            Provider::Other => Err(Reason::NotUsed),
        }
    }

    /// A field of the event, however its data stands.
    pub(super) fn field(&self, name: &str) -> Option<Cow<'t, str>> {
        field(self.data, name)
    }

    /// The parts that every event has, with the time of the header.
    pub(super) fn draft(&self) -> Draft<'t> {
        Draft {
            at: self.header,
            clock: Some(ClockClass::Header),
            host_name: self.computer.clone(),
            record: self.record.clone(),
            ..Draft::default()
        }
    }
}

/// A field by its name; also of `"Data": [{"@Name": "Image", "#text": "…"}]` as XML converters write it.
fn field<'t>(data: View<'t>, name: &str) -> Option<Cow<'t, str>> {
    if let Some(value) = data.get(name) {
        return value.given();
    }
    let named = |item: &View<'t>| {
        ["@Name", "Name", "-Name"].iter().any(|key| item.get(key).is_some_and(|value| value.is(name)))
    };
    let item = data.get("Data").filter(|list| list.kind() == Kind::Array)?.children().find(named)?;
    ["#text", "text", "$", "content", "Value"].iter().find_map(|key| item.field(key))
}

/// How an event is wrapped.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Shape {
    /// `Event.System`, `Event.EventData`.
    Evtx,
    /// `winlog.event_data`.
    Winlogbeat,
    /// Everything at the top.
    Flat,
    /// `EventData` is a string of JSON or XML.
    Analytics,
}

impl Shape {
    fn of(root: View<'_>) -> Option<Self> {
        if root.at(&["Event", "System"]).is_some() {
            return Some(Self::Evtx);
        }
        if root.at(&["winlog", "event_data"]).is_some() && root.at(&["winlog", "event_id"]).is_some() {
            return Some(Self::Winlogbeat);
        }
        let id = root.get("EventID").or_else(|| root.get("EventId")).or_else(|| root.get("event_id"))?;
        values::number(&id.as_text()?)?;
        let channel =
            ["SourceName", "Provider", "ProviderName", "Channel", "EventSourceName", "Source", "source_name"];
        channel.iter().find_map(|key| root.get(key))?;
        if root.get("RawXml").is_some() {
            // The whole event stands there.
            return None;
        }
        let data = root.get("EventData").map(View::kind);
        Some(if matches!(data, Some(Kind::Text(_))) { Self::Analytics } else { Self::Flat })
    }

    fn event(self, root: View<'_>) -> Result<Event<'_>, Reason> {
        match self {
            Self::Evtx => evtx(root.get("Event").ok_or(Reason::NoField)?),
            Self::Winlogbeat => winlogbeat(root),
            Self::Flat | Self::Analytics => flat(root),
        }
    }

    /// The text that the data of an event stands in, where it is one.
    fn inner(self, root: View<'_>, event: &Event<'_>) -> Option<String> {
        match self {
            Self::Analytics => root.field("EventData").map(Cow::into_owned),
            Self::Evtx => None,
            // Without fields of its own the message has them, a line each.
            Self::Winlogbeat | Self::Flat if event.data.get("UtcTime").is_none() => {
                let is_sysmon = matches!(event.provider, Provider::Sysmon | Provider::SysmonLinux);
                let keys = ["Message", "message", "Description"];
                let message = keys.iter().find_map(|key| root.get(key)).filter(|_| is_sysmon)?;
                message.given().map(Cow::into_owned).filter(|text| text.contains("UtcTime: "))
            }
            Self::Winlogbeat | Self::Flat => None,
        }
    }
}

/// The data in a text: JSON, XML or lines of `Name: value`.
fn inner<'t>(text: &'t str, tree: &'t mut Tree) -> Result<View<'t>, Reason> {
    if text.starts_with('{') {
        json::parse(text, tree)?;
        return Ok(tree.root(text));
    }
    if text.starts_with('<') {
        xml::parse(text, tree)?;
        let root = tree.root(text);
        let data = root.at(&["DataItem", "EventData"]).or_else(|| root.get("EventData"));
        return data.ok_or(Reason::NoField);
    }
    tree.clear();
    tree.open((0, 0), Kind::Object).ok_or(Reason::Large)?;
    let mut at = 0;
    for line in text.split('\n') {
        let key = line.find(": ");
        if let Some(colon) = key {
            let end = at + line.trim_end().len();
            let place = ((at + colon + 2).min(end), end);
            tree.leaf((at, at + colon), place, Kind::Text(Coding::Plain)).ok_or(Reason::Large)?;
        }
        at += line.len() + 1;
    }
    tree.close();
    Ok(tree.root(text))
}

fn provider(name: Option<&str>, channel: Option<&str>) -> Provider {
    match (name.unwrap_or(""), channel.unwrap_or("")) {
        ("Microsoft-Windows-Sysmon", _) | (_, "Microsoft-Windows-Sysmon/Operational") => Provider::Sysmon,
        ("Linux-Sysmon", _) | (_, "Linux-Sysmon/Operational") => Provider::SysmonLinux,
        ("Microsoft-Windows-Security-Auditing", _) => Provider::Security,
        ("", "Security") => Provider::Security,
        _ => Provider::Other,
    }
}

/// The first of several keys that says something.
fn first<'t>(view: View<'t>, keys: &[&str]) -> Option<Cow<'t, str>> {
    keys.iter().find_map(|key| view.field(key))
}

/// A value that may have attributes beside it.
fn element<'t>(view: View<'t>, key: &str) -> Option<Cow<'t, str>> {
    let value = view.get(key)?;
    value.given().or_else(|| first(value, &["#text", "text", "$", "Value"]))
}

/// An attribute, in the layouts of `evtx`, of our XML and of converters.
fn attribute<'t>(view: View<'t>, key: &str, name: &str) -> Option<Cow<'t, str>> {
    let value = view.get(key)?;
    let own = value.get("#attributes").unwrap_or(value);
    own.field(name).or_else(|| value.field(&format!("@{name}"))).or_else(|| value.field(&format!("-{name}")))
}

fn evtx(event: View<'_>) -> Result<Event<'_>, Reason> {
    let system = event.get("System").ok_or(Reason::NoField)?;
    let (name, channel) = (attribute(system, "Provider", "Name"), element(system, "Channel"));
    let header = attribute(system, "TimeCreated", "SystemTime").and_then(|text| times::any(&text));
    Ok(Event {
        id: element(system, "EventID").and_then(|id| values::number(&id)).ok_or(Reason::NoField)?,
        provider: provider(name.as_deref(), channel.as_deref()),
        computer: element(system, "Computer"),
        header,
        record: element(system, "EventRecordID"),
        data: event.get("EventData").or_else(|| event.get("UserData")).unwrap_or(system),
    })
}

fn winlogbeat(root: View<'_>) -> Result<Event<'_>, Reason> {
    let log = root.get("winlog").ok_or(Reason::NoField)?;
    let (name, channel) = (log.field("provider_name"), log.field("channel"));
    let header = log.field("time_created").or_else(|| root.field("@timestamp"));
    Ok(Event {
        id: log.field("event_id").and_then(|id| values::number(&id)).ok_or(Reason::NoField)?,
        provider: provider(name.as_deref(), channel.as_deref()),
        computer: log.field("computer_name").or_else(|| root.at(&["host", "name"])?.given()),
        header: header.and_then(|text| times::any(&text)),
        record: log.field("record_id"),
        data: log.get("event_data").ok_or(Reason::NoField)?,
    })
}

fn flat(root: View<'_>) -> Result<Event<'_>, Reason> {
    let name =
        first(root, &["SourceName", "Provider", "ProviderName", "EventSourceName", "Source", "source_name"]);
    let channel = first(root, &["Channel", "EventLog"]);
    let times = ["TimeCreated", "@timestamp", "TimeGenerated", "EventTime", "time_created", "event_date"];
    Ok(Event {
        id: first(root, &["EventID", "EventId", "event_id"])
            .and_then(|id| values::number(&id))
            .ok_or(Reason::NoField)?,
        provider: provider(name.as_deref(), channel.as_deref()),
        computer: first(root, &["Hostname", "Computer", "computer_name", "host", "ComputerName"]),
        header: times.iter().find_map(|key| times::any(&root.field(key)?)),
        record: first(root, &["RecordNumber", "EventRecordID", "RecordId", "EventOriginId", "record_number"]),
        data: ["EventData", "event_data"]
            .iter()
            .filter_map(|key| root.get(key))
            .find(|data| data.kind() == Kind::Object)
            .unwrap_or(root),
    })
}
