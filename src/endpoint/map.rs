//! The mapper: a table from the fields of a vendor's JSON to those of the model. The tables of the built-in formats are
//! TOML in `format/`, in the words that a site uses for its own; `map_load.rs` reads both.

use super::draft::{Desk, Draft, EventKind};
use super::event::{AddressKind, ClockClass, SourceKind};
use super::pointer::Pointer;
use super::tally::Reason;
use super::tree::View;
use super::{times, values};
use std::borrow::Cow;

/// Elements of one record that are read at most.
const MAX_ELEMENTS: usize = 10_000;

/// A format that is a table.
#[derive(Clone, Debug)]
pub struct Mapping {
    /// As users name it before `=PATH`.
    pub name: String,
    /// One line about it.
    pub about: String,
    /// Product.
    pub source: SourceKind,
    /// All must hold for a record of this format.
    pub recognise: Vec<Test>,
    /// The first whose tests hold makes the event.
    pub rules: Vec<Rule>,
}

/// How one kind of record becomes an event.
#[derive(Clone, Debug)]
pub struct Rule {
    /// What it becomes.
    pub kind: EventKind,
    /// All must hold.
    pub when: Vec<Test>,
    /// Elements of this list are an event each.
    pub each: Option<Pointer>,
    /// Where an element has a list itself, whose elements are the events: from the element.
    pub inner: Option<Pointer>,
    /// The clock of its times.
    pub clock: ClockClass,
    /// Where it is not that of the format.
    pub source: Option<SourceKind>,
    /// Fields and where they come from.
    pub fields: Vec<(Field, Vec<Getter>)>,
}

/// What a pointer begins at.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Level {
    /// `/a`: the record.
    Record,
    /// `../a`: the element around the innermost.
    Outer,
    /// `./a`: the element.
    Element,
}

/// The views that pointers of a rule begin at.
#[derive(Clone, Copy, Debug)]
struct Roots<'t> {
    record: View<'t>,
    outer: Option<View<'t>>,
    element: Option<View<'t>>,
}

impl<'t> Roots<'t> {
    fn at(self, level: Level) -> View<'t> {
        match level {
            Level::Record => self.record,
            Level::Outer => self.outer.or(self.element).unwrap_or(self.record),
            Level::Element => self.element.unwrap_or(self.record),
        }
    }
}

/// A condition on one field.
#[derive(Clone, Debug)]
pub struct Test {
    /// The field, or several of which one will do.
    pub pointers: Vec<(Pointer, Level)>,
    /// What it must be; empty: merely there.
    pub any_of: Vec<Wanted>,
    /// Must not be so.
    pub not: bool,
}

/// A text that a test wants.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Wanted {
    /// This.
    Is(Box<str>),
    /// Begins so.
    Begins(Box<str>),
    /// Ends so.
    Ends(Box<str>),
    /// Has this in it.
    Contains(Box<str>),
    /// Anything.
    Any,
}

/// One place that a field may come from.
#[derive(Clone, Debug)]
pub struct Getter {
    /// The place.
    pub from: From,
    /// Words of the vendor and what they mean; `*` is for all others. Empty: as it is.
    pub map: Vec<(Wanted, Box<str>)>,
    /// What is done to the text first.
    pub taken: Taken,
}

/// Where a text comes from.
#[derive(Clone, Debug)]
pub enum From {
    /// A field.
    Pointer(Pointer, Level),
    /// This text.
    Value(Box<str>),
    /// All of these that are there, with a text between.
    Join(Vec<(Pointer, Level)>, Box<str>),
}

/// What is done to a text before it is used.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Taken {
    /// Nothing.
    Whole,
    /// The host of a URL.
    Host,
    /// Base64 of the text (Santa's bytes).
    Base64,
    /// What stands before the first `:`.
    BeforeColon,
    /// What stands behind the last `://` or, failing that, all.
    AfterScheme,
    /// What stands before `->`.
    BeforeArrow,
    /// What stands behind `->`.
    AfterArrow,
    /// A port in network order that was read in the host's: turned, where only so it is a well-known one.
    NetworkPort,
}

/// A field of an event.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[allow(missing_docs, reason = "named as in FIELDS")]
pub enum Field {
    At,
    Received,
    HostId,
    HostName,
    HostIps,
    HostMac,
    Record,
    Entity,
    Pid,
    Start,
    Path,
    Name,
    OriginalName,
    CommandLine,
    Arguments,
    User,
    UserDomain,
    Sha256,
    Signer,
    Container,
    ParentEntity,
    ParentPid,
    ParentPath,
    ParentName,
    ParentCommandLine,
    Change,
    Transport,
    Source,
    SourcePort,
    Destination,
    DestinationPort,
    Local,
    LocalPort,
    Remote,
    RemotePort,
    SourceEnd,
    DestinationEnd,
    Sockaddr,
    Direction,
    State,
    Domain,
    DomainAsked,
    SourceBytes,
    DestinationBytes,
    BytesOut,
    BytesIn,
    Repeat,
    Until,
    CommunityId,
    Op,
    File,
    FileTo,
    Size,
    Attribute,
    Label,
    Query,
    Answers,
    Address,
    AddressKind,
    LeaseSecs,
}

/// Every field by its name in TOML, with a word on it.
pub const FIELDS: &[(&str, Field, &str)] = &[
    ("at", Field::At, "time of the event"),
    ("received", Field::Received, "time at the collector or cloud"),
    ("host_id", Field::HostId, "what stays the same for a host: agent or device id"),
    ("host_name", Field::HostName, "its name"),
    ("host_ips", Field::HostIps, "its addresses"),
    ("host_mac", Field::HostMac, "its link address"),
    ("record", Field::Record, "number or id of the record, for telling a repeated delivery"),
    ("entity", Field::Entity, "process id that is never used again"),
    ("pid", Field::Pid, "process id"),
    ("start", Field::Start, "start of the process"),
    ("path", Field::Path, "path of the image"),
    ("name", Field::Name, "name of the image, where there is no path"),
    ("original_name", Field::OriginalName, "name that the file was built with"),
    ("command_line", Field::CommandLine, "command line"),
    ("arguments", Field::Arguments, "list of arguments, joined to a command line"),
    ("user", Field::User, "account"),
    ("user_domain", Field::UserDomain, "domain of the account"),
    ("sha256", Field::Sha256, "SHA-256 of the image, alone or in a list of hashes"),
    ("signer", Field::Signer, "who signed the image"),
    ("container", Field::Container, "container or pod"),
    ("parent_entity", Field::ParentEntity, "as entity"),
    ("parent_pid", Field::ParentPid, "as pid"),
    ("parent_path", Field::ParentPath, "as path"),
    ("parent_name", Field::ParentName, "as name"),
    ("parent_command_line", Field::ParentCommandLine, "as command_line"),
    ("change", Field::Change, "of a process: start, exit, existing"),
    ("transport", Field::Transport, "TCP or UDP, by name or number"),
    ("source", Field::Source, "address of the end that opened the connection"),
    ("source_port", Field::SourcePort, "its port"),
    ("destination", Field::Destination, "address of the other end"),
    ("destination_port", Field::DestinationPort, "its port"),
    ("local", Field::Local, "address of the host's own end, instead of source and destination"),
    ("local_port", Field::LocalPort, "its port"),
    ("remote", Field::Remote, "address of the far end"),
    ("remote_port", Field::RemotePort, "its port"),
    ("source_end", Field::SourceEnd, "address and port of the end that opened, as address:port"),
    ("destination_end", Field::DestinationEnd, "address and port of the other end"),
    ("sockaddr", Field::Sockaddr, "the other end as a hexadecimal sockaddr"),
    ("direction", Field::Direction, "out, in, unknown, and what vendors call them"),
    ("state", Field::State, "attempt, established, closed, failed, snapshot"),
    ("domain", Field::Domain, "name of the far end"),
    ("domain_asked", Field::DomainAsked, "yes where domain does not come from reverse DNS"),
    ("source_bytes", Field::SourceBytes, "bytes from source to destination"),
    ("destination_bytes", Field::DestinationBytes, "bytes from destination to source"),
    ("bytes_out", Field::BytesOut, "bytes out of the host"),
    ("bytes_in", Field::BytesIn, "bytes into the host"),
    ("repeat", Field::Repeat, "connections that the record stands for"),
    ("until", Field::Until, "end of the time that the record is about"),
    ("community_id", Field::CommunityId, "community ID"),
    ("op", Field::Op, "create, write, read, rename, delete, attribute_removed, attribute_set, archive_write"),
    ("file", Field::File, "path of the file"),
    ("file_to", Field::FileTo, "new path of a renamed file"),
    ("size", Field::Size, "size of the file in bytes"),
    ("attribute", Field::Attribute, "extended attribute"),
    ("label", Field::Label, "sensitivity label"),
    ("query", Field::Query, "name that was looked up"),
    ("answers", Field::Answers, "addresses that came back"),
    ("address", Field::Address, "address that a host has"),
    ("address_kind", Field::AddressKind, "bound, released, snapshot"),
    ("lease_secs", Field::LeaseSecs, "length of a lease in seconds"),
];

impl Mapping {
    /// Whether the record is of this format.
    pub fn recognises(&self, root: View<'_>) -> bool {
        let roots = Roots { record: root, outer: None, element: None };
        self.recognise.iter().all(|test| test.holds(roots))
    }

    /// Makes the events of a record.
    pub fn read(&self, root: View<'_>, desk: &mut Desk<'_>) -> Result<(), Reason> {
        let roots = Roots { record: root, outer: None, element: None };
        let of_record = |rule: &&Rule| rule.when.iter().all(|test| test.of_element() || test.holds(roots));
        let rule = self.rules.iter().find(of_record).ok_or(Reason::NotUsed)?;
        let Some(each) = &rule.each else { return self.put(rule, roots, desk) };
        let mut turn = Turn { left: MAX_ELEMENTS, last: Err(Reason::NotUsed) };
        let before = desk.out.len();
        each.visit(root, &mut |element| match &rule.inner {
            Some(inner) => {
                inner.visit(element, &mut |inmost| {
                    let roots = Roots { record: root, outer: Some(element), element: Some(inmost) };
                    self.turn(each, roots, desk, &mut turn)
                });
                turn.left > 0
            }
            None => {
                self.turn(each, Roots { record: root, outer: None, element: Some(element) }, desk, &mut turn)
            }
        });
        if desk.out.len() > before { Ok(()) } else { turn.last }
    }

    /// One element; rules with the same list take turns: of an element the first that fits.
    fn turn(&self, each: &Pointer, roots: Roots<'_>, desk: &mut Desk<'_>, turn: &mut Turn) -> bool {
        let fits =
            |rule: &&Rule| rule.each.as_ref() == Some(each) && rule.when.iter().all(|test| test.holds(roots));
        if let Some(rule) = self.rules.iter().find(fits) {
            turn.last = self.put(rule, roots, desk);
        }
        turn.left = turn.left.saturating_sub(1);
        turn.left > 0
    }

    fn put(&self, rule: &Rule, roots: Roots<'_>, desk: &mut Desk<'_>) -> Result<(), Reason> {
        let mut draft = Draft { clock: Some(rule.clock), ..Draft::default() };
        for (field, getters) in &rule.fields {
            for getter in getters {
                if getter.fill(*field, roots, &mut draft) {
                    break;
                }
            }
        }
        draft.put(rule.kind, rule.source.unwrap_or(self.source), desk)
    }
}

/// How far the elements of a record are read.
struct Turn {
    left: usize,
    last: Result<(), Reason>,
}

impl Test {
    fn of_element(&self) -> bool {
        self.pointers.iter().any(|(_, level)| *level != Level::Record)
    }

    fn holds(&self, roots: Roots<'_>) -> bool {
        let found = self.pointers.iter().any(|(pointer, level)| self.found(pointer, roots.at(*level)));
        found != self.not
    }

    fn found(&self, pointer: &Pointer, from: View<'_>) -> bool {
        let mut found = false;
        pointer.visit(from, &mut |view| {
            found = match self.any_of.as_slice() {
                [] => view.kind() == super::tree::Kind::Object || view.given().is_some(),
                wanted => wanted.iter().any(|wanted| wanted.fits(view)),
            };
            !found
        });
        found
    }
}

impl Wanted {
    /// Reads a word: `x`, `x*`, `*x`, `*x*`, `*`.
    pub fn parse(word: &str) -> Self {
        match (word.strip_prefix('*'), word.strip_suffix('*')) {
            (Some(""), _) => Self::Any,
            (Some(_), Some(_)) => Self::Contains(word.trim_matches('*').into()),
            (Some(end), None) => Self::Ends(end.into()),
            (None, Some(start)) => Self::Begins(start.into()),
            (None, None) => Self::Is(word.into()),
        }
    }

    fn fits(&self, view: View<'_>) -> bool {
        match self {
            Self::Is(text) => view.is(text),
            _ => view.as_text().is_some_and(|value| self.is(&value)),
        }
    }

    fn is(&self, value: &str) -> bool {
        match self {
            Self::Is(text) => value == &**text,
            Self::Begins(text) => value.starts_with(&**text),
            Self::Ends(text) => value.ends_with(&**text),
            Self::Contains(text) => value.contains(&**text),
            Self::Any => true,
        }
    }
}

impl Getter {
    /// Whether it had something that the field can be.
    fn fill<'t>(&'t self, field: Field, roots: Roots<'t>, draft: &mut Draft<'t>) -> bool {
        match &self.from {
            From::Value(text) => set(draft, field, Cow::Borrowed(text)),
            From::Join(pointers, between) => {
                let parts: Vec<_> =
                    pointers.iter().map(|(pointer, level)| (pointer, roots.at(*level))).collect();
                let line = join(&parts, between, self.taken).and_then(|line| self.meant(Cow::Owned(line)));
                line.is_some_and(|line| set(draft, field, line))
            }
            From::Pointer(pointer, level) => {
                let root = roots.at(*level);
                if let Some(texts) = pointer.embedded(root) {
                    return self.fill_all(field, texts.into_iter().map(Cow::Owned), draft);
                }
                if field == Field::Arguments {
                    let line = join(&[(pointer, root)], " ", self.taken);
                    return line.is_some_and(|line| set(draft, field, Cow::Owned(line)));
                }
                let (mut any, all) = (false, matches!(field, Field::HostIps | Field::Answers));
                pointer.visit(root, &mut |view| {
                    let text = view.given().and_then(|text| self.meant(text));
                    any |= text.is_some_and(|text| set(draft, field, text));
                    all || !any
                });
                any
            }
        }
    }

    fn fill_all<'t>(
        &'t self,
        field: Field,
        texts: impl Iterator<Item = Cow<'t, str>>,
        draft: &mut Draft<'t>,
    ) -> bool {
        let (mut any, all) = (false, matches!(field, Field::HostIps | Field::Answers));
        for text in texts {
            any |= self.meant(text).is_some_and(|text| set(draft, field, text));
            if any && !all {
                break;
            }
        }
        any
    }

    /// The text after what is to be done to it.
    fn meant<'t>(&'t self, text: Cow<'t, str>) -> Option<Cow<'t, str>> {
        let text = take(text, self.taken)?;
        if self.map.is_empty() {
            return Some(text);
        }
        let meant = self.map.iter().find(|(word, _)| word.is(&text))?;
        Some(Cow::Borrowed(&meant.1))
    }
}

fn take(text: Cow<'_, str>, taken: Taken) -> Option<Cow<'_, str>> {
    match taken {
        Taken::Whole => Some(text),
        Taken::Host => values::host_of(&text).map(Cow::Owned),
        Taken::Base64 => {
            use base64::Engine;
            let bytes = base64::engine::general_purpose::STANDARD.decode(&*text).ok()?;
            Some(Cow::Owned(String::from_utf8_lossy(&bytes).into_owned()))
        }
        Taken::BeforeColon => text.split(':').next().map(|head| Cow::Owned(head.to_owned())),
        Taken::BeforeArrow => text.split_once("->").map(|(head, _)| Cow::Owned(head.to_owned())),
        Taken::AfterArrow => text.split_once("->").map(|(_, tail)| Cow::Owned(tail.to_owned())),
        Taken::NetworkPort => {
            Some(values::network_port(&text).map_or(text, |port| Cow::Owned(port.to_string())))
        }
        Taken::AfterScheme => Some(Cow::Owned(text.rsplit("://").next().unwrap_or(&text).to_owned())),
    }
}

/// Longest text that parts are joined to.
const MAX_JOINED: usize = 4 * super::draft::MAX_COMMAND_LINE;

fn join(parts: &[(&Pointer, View<'_>)], between: &str, taken: Taken) -> Option<String> {
    let mut line = String::new();
    for (pointer, view) in parts {
        pointer.visit(*view, &mut |view| {
            if let Some(text) = view.as_text().and_then(|text| take(text, taken)) {
                if !line.is_empty() {
                    line.push_str(between);
                }
                line.push_str(if text.is_empty() { "\"\"" } else { &text });
            }
            line.len() < MAX_JOINED
        });
    }
    (!line.is_empty()).then_some(line)
}

/// Sets a field; `false` where the text is none that the field can be.
fn set<'t>(draft: &mut Draft<'t>, field: Field, text: Cow<'t, str>) -> bool {
    match field {
        Field::At => fill(&mut draft.at, times::any(&text)),
        Field::Received => fill(&mut draft.received, times::any(&text).map(|stamp| stamp.at)),
        Field::Start => fill(&mut draft.start, times::any(&text).map(|stamp| stamp.at)),
        Field::Until => fill(&mut draft.until, times::any(&text).map(|stamp| stamp.at)),
        Field::HostId => fill(&mut draft.host_id, Some(text)),
        Field::HostName => fill(&mut draft.host_name, Some(text)),
        Field::HostIps => push(&mut draft.host_ips, &text),
        Field::HostMac => fill(&mut draft.host_mac, values::mac(&text)),
        Field::Record => fill(&mut draft.record, Some(text)),
        Field::Entity => fill(&mut draft.entity, Some(text)),
        Field::Pid => fill(&mut draft.pid, values::pid(&text)),
        Field::Path => fill(&mut draft.path, Some(text)),
        Field::Name => fill(&mut draft.name, Some(text)),
        Field::OriginalName => fill(&mut draft.original_name, Some(text)),
        Field::CommandLine | Field::Arguments => fill(&mut draft.command_line, Some(text)),
        Field::User => fill(&mut draft.user, Some(text)),
        Field::UserDomain => fill(&mut draft.user_domain, Some(text)),
        Field::Sha256 => fill(&mut draft.sha256, values::sha256(&text)),
        Field::Signer => fill(&mut draft.signer, Some(text)),
        Field::Container => fill(&mut draft.container, Some(text)),
        Field::ParentEntity => fill(&mut draft.parent_entity, Some(text)),
        Field::ParentPid => fill(&mut draft.parent_pid, values::pid(&text)),
        Field::ParentPath => fill(&mut draft.parent_path, Some(text)),
        Field::ParentName => fill(&mut draft.parent_name, Some(text)),
        Field::ParentCommandLine => fill(&mut draft.parent_command_line, Some(text)),
        Field::Change => fill(&mut draft.process_kind, values::process_kind(&text)),
        Field::File => fill(&mut draft.file, Some(text)),
        Field::FileTo => fill(&mut draft.file_to, Some(text)),
        Field::Attribute => fill(&mut draft.attribute, Some(text)),
        Field::Label => fill(&mut draft.label, Some(text)),
        Field::Query => fill(&mut draft.query, Some(text)),
        Field::Answers => push(&mut draft.answers, &text),
        Field::Op => fill(&mut draft.op, values::op(&text)),
        Field::Size => fill(&mut draft.size, values::number(&text)),
        Field::Address => fill(&mut draft.address, values::ip(&text)),
        Field::AddressKind => fill(&mut draft.address_kind, address_kind(&text)),
        Field::LeaseSecs => fill(&mut draft.lease_secs, values::number(&text)),
        _ => set_connection(draft, field, text),
    }
}

fn set_connection<'t>(draft: &mut Draft<'t>, field: Field, text: Cow<'t, str>) -> bool {
    if matches!(field, Field::Local | Field::Remote) {
        draft.ends_are_local_remote = true;
    }
    match field {
        Field::Transport => fill(&mut draft.transport, values::transport(&text)),
        Field::Source | Field::Local => fill(&mut draft.source, values::some_ip(values::ip(&text))),
        Field::SourcePort | Field::LocalPort => fill(&mut draft.source_port, values::port(&text)),
        Field::Destination | Field::Remote => {
            fill(&mut draft.destination, values::some_ip(values::ip(&text)))
        }
        Field::DestinationPort | Field::RemotePort => fill(&mut draft.destination_port, values::port(&text)),
        Field::SourceEnd => values::end(&text).is_some_and(|(ip, port)| {
            draft.source = values::some_ip(Some(ip));
            fill(&mut draft.source_port, port)
        }),
        Field::DestinationEnd => values::end(&text).is_some_and(|(ip, port)| {
            draft.destination = values::some_ip(Some(ip));
            fill(&mut draft.destination_port, port)
        }),
        Field::Sockaddr => values::sockaddr(&text).is_some_and(|(ip, port)| {
            draft.destination = Some(ip);
            fill(&mut draft.destination_port, Some(port).filter(|port| *port != 0))
        }),
        Field::Direction => fill(&mut draft.direction, values::direction(&text)),
        Field::State => fill(&mut draft.state, values::state(&text)),
        Field::Domain => fill(&mut draft.domain, values::domain(&text)),
        Field::DomainAsked => {
            draft.domain_asked = text == "yes";
            true
        }
        Field::SourceBytes | Field::BytesOut => fill(&mut draft.source_bytes, values::number(&text)),
        Field::DestinationBytes | Field::BytesIn => fill(&mut draft.destination_bytes, values::number(&text)),
        Field::Repeat => {
            fill(&mut draft.repeat, values::number(&text).map(|n| u32::try_from(n).unwrap_or(u32::MAX)))
        }
        Field::CommunityId => fill(&mut draft.community_id, Some(text)),
        _ => false,
    }
}

fn fill<T>(place: &mut Option<T>, value: Option<T>) -> bool {
    let some = value.is_some();
    if some {
        *place = value;
    }
    some
}

/// Adds the addresses of a text, which may be a list of its own.
fn push(list: &mut Vec<std::net::IpAddr>, text: &str) -> bool {
    let before = list.len();
    for part in text.split([';', ',', ' ', '"', '[', ']']).filter(|part| part.len() >= 2) {
        if list.len() < 64 {
            list.extend(values::some_ip(values::ip(part)));
        }
    }
    list.len() > before
}

fn address_kind(text: &str) -> Option<AddressKind> {
    match text {
        "bound" => Some(AddressKind::Bound),
        "released" => Some(AddressKind::Released),
        "snapshot" => Some(AddressKind::Snapshot),
        _ => None,
    }
}
