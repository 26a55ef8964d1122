//! What a format has found in a record, before it is an event: every field a text or a value, all optional. One place
//! decides what an event cannot be without, which end is the host's, and what is kept of a command line.

use super::event::*;
use super::secrets;
use super::tally::Reason;
use super::times::Stamp;
use super::values;
use crate::decode::Transport;
use crate::units::Timestamp;
use std::borrow::Cow;
use std::net::IpAddr;
use std::sync::Arc;

/// Bytes of a command line that are kept.
pub const MAX_COMMAND_LINE: usize = 4_096;
/// Bytes of a path or name that are kept.
const MAX_TEXT: usize = 2_048;
/// Addresses of a list that are kept.
const MAX_IPS: usize = 32;

/// What kind of event a record is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum EventKind {
    /// [`EndpointEvent::Process`].
    Process,
    /// [`EndpointEvent::Connect`].
    Connect,
    /// [`EndpointEvent::File`].
    File,
    /// [`EndpointEvent::Dns`].
    Dns,
    /// [`EndpointEvent::Address`].
    Address,
}

/// What the way that brought a record knows of it.
#[derive(Clone, Default, Debug)]
pub struct Hint {
    /// The host that sent it: of a syslog header, of an envelope, of the name of a file.
    pub host: Option<Arc<str>>,
    /// When it came.
    pub received: Option<Timestamp>,
    /// When a listing that has no times of its own was made.
    pub listed: Option<Timestamp>,
    /// Where the clock of a log without zones stands, in seconds east of UTC.
    pub zone_secs: i64,
}

type Words<'t> = Option<Cow<'t, str>>;

/// The fields of one event as found.
#[derive(Clone, Default, Debug)]
#[allow(missing_docs, reason = "the fields are those of the model and named like them")]
pub struct Draft<'t> {
    pub at: Option<Stamp>,
    pub received: Option<Timestamp>,
    pub clock: Option<ClockClass>,
    pub host_id: Words<'t>,
    pub host_name: Words<'t>,
    pub host_ips: Vec<IpAddr>,
    pub host_mac: Option<[u8; 6]>,
    pub record: Words<'t>,
    pub entity: Words<'t>,
    pub pid: Option<u32>,
    pub start: Option<Timestamp>,
    pub path: Words<'t>,
    pub name: Words<'t>,
    pub original_name: Words<'t>,
    pub command_line: Words<'t>,
    pub user: Words<'t>,
    pub user_domain: Words<'t>,
    pub sha256: Option<[u8; 32]>,
    pub signer: Words<'t>,
    pub container: Words<'t>,
    pub parent_entity: Words<'t>,
    pub parent_pid: Option<u32>,
    pub parent_path: Words<'t>,
    pub parent_name: Words<'t>,
    pub parent_command_line: Words<'t>,
    pub process_kind: Option<ProcessKind>,
    pub transport: Option<Transport>,
    pub source: Option<IpAddr>,
    pub source_port: Option<u16>,
    pub destination: Option<IpAddr>,
    pub destination_port: Option<u16>,
    pub direction: Option<Direction>,
    pub state: Option<ConnectState>,
    pub domain: Option<String>,
    pub domain_asked: bool,
    pub source_bytes: Option<u64>,
    pub destination_bytes: Option<u64>,
    /// `source` and `destination` are the host's own end and the far end, whatever the direction.
    pub ends_are_local_remote: bool,
    pub repeat: Option<u32>,
    pub until: Option<Timestamp>,
    pub community_id: Words<'t>,
    pub op: Option<FileOp>,
    pub file: Words<'t>,
    pub file_to: Words<'t>,
    pub size: Option<u64>,
    pub attribute: Words<'t>,
    pub label: Words<'t>,
    pub query: Words<'t>,
    pub answers: Vec<IpAddr>,
    pub address: Option<IpAddr>,
    pub address_kind: Option<AddressKind>,
    pub lease_secs: Option<u64>,
}

/// Where a format puts events, with what it needs to make them.
#[derive(Debug)]
pub struct Desk<'d> {
    /// Events, in the order of the log.
    pub out: &'d mut Vec<EndpointEvent>,
    /// Texts that come again.
    pub pool: &'d mut Pool,
    /// What the way knows.
    pub hint: &'d Hint,
}

impl Draft<'_> {
    /// Makes the event and puts it out.
    pub fn put(self, kind: EventKind, source: SourceKind, desk: &mut Desk<'_>) -> Result<(), Reason> {
        let event = match kind {
            EventKind::Process => self.process(source, desk)?,
            EventKind::Connect => self.connect(source, desk)?,
            EventKind::File => self.file(source, desk)?,
            EventKind::Dns => self.dns(source, desk)?,
            EventKind::Address => self.address(source, desk)?,
        };
        desk.out.push(event);
        Ok(())
    }

    fn process(mut self, source: SourceKind, desk: &mut Desk<'_>) -> Result<EndpointEvent, Reason> {
        let common = self.common(source, desk)?;
        let kind = self.process_kind.unwrap_or(ProcessKind::Start);
        let proc = self.proc(&common, desk).ok_or(Reason::NoField)?;
        Ok(EndpointEvent::Process(ProcessEvent { common, proc, kind }))
    }

    fn connect(mut self, source: SourceKind, desk: &mut Desk<'_>) -> Result<EndpointEvent, Reason> {
        let direction = self.direction.unwrap_or(Direction::Unknown);
        if direction == Direction::In && !self.ends_are_local_remote {
            std::mem::swap(&mut self.source, &mut self.destination);
            std::mem::swap(&mut self.source_port, &mut self.destination_port);
            std::mem::swap(&mut self.source_bytes, &mut self.destination_bytes);
        }
        let remote = values::some_ip(self.destination).ok_or(Reason::NoRemote)?;
        let remote_port = self.destination_port.ok_or(Reason::NoRemote)?;
        // With its port it can be found among flows; without, it says nothing.
        if values::is_multicast(remote) && self.source_port.is_none_or(|port| port == 0) {
            return Err(Reason::Multicast);
        }
        let common = self.common(source, desk)?;
        let proc = self.proc(&common, desk).ok_or(Reason::NoProcess)?;
        Ok(EndpointEvent::Connect(ConnectEvent {
            proc,
            transport: self.transport,
            local: values::some_ip(self.source),
            local_port: self.source_port,
            remote,
            remote_port,
            direction,
            state: self.state.unwrap_or(ConnectState::Attempt),
            domain: self.domain.as_deref().map(|name| desk.pool.text(name)),
            domain_asked: self.domain_asked && self.domain.is_some(),
            bytes_out: self.source_bytes,
            bytes_in: self.destination_bytes,
            repeat: self.repeat.unwrap_or(1).max(1),
            until: self.until,
            community_id: self.community_id.as_deref().filter(|id| id.starts_with("1:")).map(short),
            common,
        }))
    }

    fn file(mut self, source: SourceKind, desk: &mut Desk<'_>) -> Result<EndpointEvent, Reason> {
        let common = self.common(source, desk)?;
        let proc = self.proc(&common, desk).ok_or(Reason::NoProcess)?;
        Ok(EndpointEvent::File(FileEvent {
            op: self.op.ok_or(Reason::NotUsed)?,
            path: self.file.as_deref().map(|path| desk.pool.text(path)).ok_or(Reason::NoField)?,
            destination: self
                .file_to
                .as_deref()
                .filter(|_| self.op == Some(FileOp::Rename))
                .map(|path| desk.pool.text(path)),
            size: self.size,
            attribute: self.attribute.as_deref().map(|name| desk.pool.text(name)),
            label: self.label.as_deref().map(|name| desk.pool.text(name)),
            common,
            proc,
        }))
    }

    fn dns(mut self, source: SourceKind, desk: &mut Desk<'_>) -> Result<EndpointEvent, Reason> {
        let common = self.common(source, desk)?;
        let proc = self.proc(&common, desk);
        let query = self.query.as_deref().and_then(values::domain).ok_or(Reason::NoField)?;
        self.answers.truncate(MAX_IPS);
        Ok(EndpointEvent::Dns(DnsEvent {
            common,
            proc,
            query: desk.pool.text(&query),
            answers: self.answers,
        }))
    }

    fn address(mut self, source: SourceKind, desk: &mut Desk<'_>) -> Result<EndpointEvent, Reason> {
        let common = self.common(source, desk)?;
        let ip = values::some_ip(self.address).ok_or(Reason::NoField)?;
        Ok(EndpointEvent::Address(AddressEvent {
            ip,
            mac: common.host.mac,
            name: common.host.name.clone(),
            kind: self.address_kind.unwrap_or(AddressKind::Snapshot),
            lease_secs: self.lease_secs,
            common,
        }))
    }

    fn common(&mut self, source: SourceKind, desk: &mut Desk<'_>) -> Result<Common, Reason> {
        let stamp = self.at.ok_or(Reason::NoTime)?;
        let name = self.host_name.as_deref().map(|name| desk.pool.text(name));
        let name = name.or_else(|| desk.hint.host.clone());
        let id = match (self.host_id.as_deref(), &name) {
            (Some(id), _) => desk.pool.text(id),
            (None, Some(name)) => desk.pool.lower(name),
            (None, None) => desk.pool.text(""),
        };
        let mut ips = std::mem::take(&mut self.host_ips);
        ips.retain(|ip| !ip.is_unspecified() && !ip.is_loopback());
        ips.truncate(MAX_IPS);
        Ok(Common {
            source,
            at: stamp.at,
            clock: self.clock.unwrap_or(ClockClass::Host),
            received: self.received.or(desk.hint.received),
            grain_ns: stamp.grain_ns,
            record: self
                .record
                .as_deref()
                .map(|id| values::hash(format!("{id}\u{1f}{}", stamp.at.nanos()).as_bytes())),
            host: HostRef { id, name, ips, mac: self.host_mac },
        })
    }

    /// The process, if the record names one at all.
    fn proc(&mut self, common: &Common, desk: &mut Desk<'_>) -> Option<Proc> {
        let path = self.path.as_deref().filter(|path| is_image(path));
        let named = self.name.as_deref().filter(|name| is_image(name));
        let name = desk.pool.base_name(path.or(named).unwrap_or(""));
        // 0 is what products write where they do not know the process.
        if name.is_empty() && self.pid.is_none_or(|pid| pid == 0) && self.entity.is_none() {
            return None;
        }
        let host = &common.host.id;
        let made = self
            .start
            .zip(self.pid)
            .map(|(start, pid)| values::hash(format!("{host}\u{1f}{pid}\u{1f}{}", start.nanos()).as_bytes()));
        let user = match (self.user.as_deref(), self.user_domain.as_deref()) {
            (Some(user), Some(domain)) if !user.contains(['\\', '@']) => Some(format!("{domain}\\{user}")),
            (user, _) => user.map(str::to_owned),
        };
        Some(Proc {
            entity: self.entity.as_deref().and_then(|id| values::entity(host, &[id])).or(made),
            pid: self.pid,
            start: self.start,
            path: path.map(|path| desk.pool.text(path)),
            name,
            original_name: self.original_name.as_deref().map(|name| desk.pool.text(name)),
            command_line: self.command_line.as_deref().map(command_line),
            user: user.map(|user| desk.pool.text(&user)),
            sha256: self.sha256,
            signer: self.signer.as_deref().map(|name| desk.pool.text(name)),
            container: self.container.as_deref().map(|id| desk.pool.text(id)),
            parent: self.parent(host, desk).map(Box::new),
        })
    }

    fn parent(&self, host: &str, desk: &mut Desk<'_>) -> Option<Parent> {
        let path = self.parent_path.as_deref().filter(|path| is_image(path));
        let named = self.parent_name.as_deref().filter(|name| is_image(name));
        let parent = Parent {
            entity: self.parent_entity.as_deref().and_then(|id| values::entity(host, &[id])),
            pid: self.parent_pid.filter(|pid| *pid != 0),
            path: path.map(|path| desk.pool.text(path)),
            name: desk.pool.base_name(path.or(named).unwrap_or("")),
            command_line: self.parent_command_line.as_deref().map(command_line),
        };
        let known = parent.entity.is_some() || parent.pid.is_some() || !parent.name.is_empty();
        known.then_some(parent)
    }
}

/// Whether a text names an image. Sysmon has words for one that it does not know.
fn is_image(path: &str) -> bool {
    !matches!(path, "" | "-" | "<unknown process>" | "(null)" | "?" | "<NA>")
}

/// A command line without its secrets, cut where it is too long.
fn command_line(text: &str) -> Arc<str> {
    // Cut after the secrets are out, else half of one could stay unknown; but not an endless line as a whole.
    let redacted = secrets::redact(cut(text, 4 * MAX_COMMAND_LINE));
    Arc::from(cut(&redacted, MAX_COMMAND_LINE))
}

fn short(text: &str) -> Arc<str> {
    Arc::from(cut(text, 64))
}

/// At most `max` bytes, whole characters.
pub fn cut(text: &str, max: usize) -> &str {
    if text.len() <= max {
        return text;
    }
    let end = (0..=max).rev().find(|end| text.is_char_boundary(*end)).unwrap_or(0);
    text.get(..end).unwrap_or("")
}

/// Slots of a [`Pool`].
const SLOTS: usize = 4_096;

/// Texts that come again (hosts, paths, users) are held once. A new text takes the slot of an old one, so the pool
/// never grows.
pub struct Pool {
    slots: Vec<Option<Arc<str>>>,
    names: Vec<Option<(Arc<str>, Arc<str>)>>,
}

impl std::fmt::Debug for Pool {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Pool").finish_non_exhaustive()
    }
}

impl Default for Pool {
    fn default() -> Self {
        Self { slots: vec![None; SLOTS], names: vec![None; SLOTS] }
    }
}

impl Pool {
    /// The text, cut where it is too long.
    pub fn text(&mut self, text: &str) -> Arc<str> {
        let text = cut(text, MAX_TEXT);
        let at = values::hash(text.as_bytes()) as usize % SLOTS;
        let Some(slot) = self.slots.get_mut(at) else { return Arc::from(text) };
        match slot {
            Some(held) if **held == *text => Arc::clone(held),
            _ => {
                let new: Arc<str> = Arc::from(text);
                *slot = Some(Arc::clone(&new));
                new
            }
        }
    }

    /// The text in lower case.
    pub fn lower(&mut self, text: &str) -> Arc<str> {
        self.text(&text.to_lowercase())
    }

    /// [`Proc::base_name`] of a path.
    pub fn base_name(&mut self, path: &str) -> Arc<str> {
        let path = cut(path, MAX_TEXT);
        let at = values::hash(path.as_bytes()) as usize % SLOTS;
        if let Some(Some((held, name))) = self.names.get(at)
            && **held == *path
        {
            return Arc::clone(name);
        }
        let name = self.text(&Proc::base_name(path));
        let path = self.text(path);
        if let Some(slot) = self.names.get_mut(at) {
            *slot = Some((path, Arc::clone(&name)));
        }
        name
    }
}
