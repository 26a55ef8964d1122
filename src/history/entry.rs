//! Entries: what one line of a log says, independent of its format.

use super::cells::{Cells, LIST_MAX, Role};
use super::facts::{self, Names, Request};
use super::value;
use crate::decode::{Path, Transport};
use crate::observe::{DnsAnswer, Ends, FlowId, FlowState, Lease};
use crate::parse::text::{MAX_NAME, printable};
use crate::parse::{AppProto, Facts};
use crate::units::{Both, Span, Timestamp};
use serde::{Deserialize, Serialize};
use std::hash::BuildHasher as _;
use std::net::IpAddr;
use std::sync::Arc;

/// Faster than any single connection (10 Gbit/s).
const BYTES_PER_SEC_MAX: u64 = 1_250_000_000;

/// What kind of line it is.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum Kind {
    /// A connection that has ended (Zeek `conn`, EVE `flow`).
    Conn,
    /// A TLS hello.
    Ssl,
    /// A QUIC hello.
    Quic,
    /// A request in the clear.
    Http,
    /// A DNS answer.
    Dns,
    /// A lease.
    Dhcp,
    /// A request or session that tells its bytes and its destination's name: web proxies and firewalls.
    Session,
    /// Nothing for us.
    Other,
}

/// Why a line could not be used. Counted.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u8)]
pub enum Bad {
    /// Longer than any real line.
    TooLong,
    /// Fewer columns than the header names.
    Columns,
    /// No header has said what the columns are.
    NoHeader,
    /// A header that makes no sense.
    Header,
    /// The time is missing or none.
    Time,
    /// An address is missing or none.
    Address,
    /// A port is none.
    Port,
    /// The identity of the connection is missing.
    Uid,
    /// A length of time or a number of bytes is none.
    Number,
    /// Not JSON, or no object.
    Json,
    /// A line of no known format.
    Unknown,
}

impl Bad {
    /// Number of reasons.
    pub const COUNT: usize = 11;

    /// Every reason, in the order of their numbers.
    pub const ALL: [Self; Self::COUNT] = [
        Self::TooLong,
        Self::Columns,
        Self::NoHeader,
        Self::Header,
        Self::Time,
        Self::Address,
        Self::Port,
        Self::Uid,
        Self::Number,
        Self::Json,
        Self::Unknown,
    ];

    /// The word for records.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::TooLong => "too_long",
            Self::Columns => "columns",
            Self::NoHeader => "no_header",
            Self::Header => "header",
            Self::Time => "time",
            Self::Address => "address",
            Self::Port => "port",
            Self::Uid => "uid",
            Self::Number => "number",
            Self::Json => "json",
            Self::Unknown => "unknown",
        }
    }

    /// For people.
    pub const fn text(self) -> &'static str {
        match self {
            Self::TooLong => "the line is longer than 1 MiB",
            Self::Columns => "the line has fewer columns than its header",
            Self::NoHeader => "no header line has named the columns",
            Self::Header => "the header line makes no sense",
            Self::Time => "there is no time, or none between 1980 and 2200",
            Self::Address => "an address is missing or damaged",
            Self::Port => "a port is damaged",
            Self::Uid => "the identity of the connection (uid) is missing",
            Self::Number => "a number of bytes or a length of time is damaged",
            Self::Json => "the line is no JSON object",
            Self::Unknown => "the line is of no known format",
        }
    }
}

/// A connection as a log tells it, at its end.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Flow {
    /// Hash of the uid.
    pub key: u64,
    /// For records.
    pub flow: FlowId,
    /// Its ends.
    pub ends: Ends,
    /// Start.
    pub first: Timestamp,
    /// End.
    pub last: Timestamp,
    /// Payload, gap included.
    pub bytes: Both<u64>,
    /// Payload that the tool missed.
    pub gap: Both<u64>,
    /// Packets.
    pub packets: Both<u64>,
    /// IP bytes.
    pub ip: Both<u64>,
    /// Application protocol in the tool's words.
    pub app: AppProto,
    /// How far it got.
    pub state: FlowState,
    /// Zeek's letters.
    pub history: [u8; 16],
    /// The beginning was not seen.
    pub midstream: bool,
    /// Only one direction was seen.
    pub one_way: bool,
    /// VLANs and link addresses.
    pub path: Path,
    /// A name on the line itself.
    pub facts: Option<Arc<Facts>>,
}

/// What one line says.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub enum Entry {
    /// A connection.
    Flow(Box<Flow>),
    /// The name of a connection that is told elsewhere.
    Name {
        /// Hash of the uid.
        key: u64,
        /// When.
        at: Timestamp,
        /// What is known.
        facts: Arc<Facts>,
    },
    /// A DNS answer.
    Dns(Box<DnsAnswer>),
    /// A lease.
    Lease(Box<Lease>),
    /// Nothing of interest, at this time if it had one.
    Nothing(Option<Timestamp>),
}

impl Entry {
    /// When the line was written, as far as it shows.
    pub fn written(&self) -> Option<Timestamp> {
        match self {
            Self::Flow(flow) => Some(flow.last),
            Self::Name { at, .. } => Some(*at),
            Self::Dns(answer) => Some(answer.at),
            Self::Lease(lease) => Some(lease.at),
            Self::Nothing(at) => *at,
        }
    }
}

/// Makes entries of cells.
#[derive(Debug, Default)]
pub struct Maker {
    pub(super) names: Names,
}

/// The hash of a uid that joins logs, the same in every run.
pub(super) fn key(uid: &[u8]) -> u64 {
    foldhash::quality::FixedState::with_seed(0x4567_7265_7420_6c6f).hash_one(uid)
}

impl Maker {
    /// The entry of one line.
    pub fn entry(&mut self, kind: Kind, cells: &Cells, line: &[u8]) -> Result<Entry, Bad> {
        match kind {
            Kind::Conn => flow(cells, line).map(|flow| Entry::Flow(Box::new(flow))),
            Kind::Session => self.session(cells, line),
            Kind::Ssl | Kind::Quic => {
                let facts = match cells.text(line, Role::ServerName).filter(|name| !name.is_empty()) {
                    Some(name) => self.names.hello(&name, kind == Kind::Quic),
                    None => certificate(cells, line),
                };
                name_entry(cells, line, facts)
            }
            Kind::Http => {
                let facts = request(cells, line);
                name_entry(cells, line, facts)
            }
            Kind::Dns => dns(cells, line),
            Kind::Dhcp => lease(cells, line),
            Kind::Other => Ok(nothing(cells, line)),
        }
    }

    /// A proxy's or firewall's line: the connection and its name in one.
    fn session(&mut self, cells: &Cells, line: &[u8]) -> Result<Entry, Bad> {
        let mut flow = flow(cells, line)?;
        let host = cells.text(line, Role::Host).filter(|h| !h.is_empty());
        let uri = cells.text(line, Role::Uri);
        let host = host.as_deref().or(uri.as_deref().map(facts::authority));
        flow.facts = host.and_then(|h| self.names.destination(h));
        Ok(Entry::Flow(Box::new(flow)))
    }
}

fn request(cells: &Cells, line: &[u8]) -> Option<Arc<Facts>> {
    let text = |role| cells.text(line, role);
    let (method, host, uri) = (text(Role::Method), text(Role::Host), text(Role::Uri));
    let agent = text(Role::UserAgent);
    let count = |role| cells.get(line, role).and_then(value::number);
    facts::request(&Request {
        method: method.as_deref().unwrap_or_default(),
        host: host.as_deref().unwrap_or_default(),
        uri: uri.as_deref().unwrap_or_default(),
        agent: agent.as_deref(),
        status: count(Role::Status).and_then(|n| u16::try_from(n).ok()),
        length: count(Role::RequestLen),
    })
}

/// Without a server name the certificate may tell, where it was in the clear.
fn certificate(cells: &Cells, line: &[u8]) -> Option<Arc<Facts>> {
    let subject = cells.text(line, Role::Subject)?;
    // Zeek writes `CN=a,O=b`, Suricata `CN=a, O=b`, as our parser does.
    let subject = printable(&subject).replace(", ", ",").replace(',', ", ");
    facts::certificate(&subject, cells.list(line, Role::SubjectNames).map(printable).collect())
}

fn nothing(cells: &Cells, line: &[u8]) -> Entry {
    Entry::Nothing(time(cells, line).ok())
}

fn name_entry(cells: &Cells, line: &[u8], facts: Option<Arc<Facts>>) -> Result<Entry, Bad> {
    let at = time(cells, line)?;
    let Some(facts) = facts else { return Ok(Entry::Nothing(Some(at))) };
    let uid = cells.get(line, Role::Uid).ok_or(Bad::Uid)?;
    Ok(Entry::Name { key: key(uid), at, facts })
}

fn time(cells: &Cells, line: &[u8]) -> Result<Timestamp, Bad> {
    cells.get(line, Role::Ts).and_then(value::time).ok_or(Bad::Time)
}

fn ip(cells: &Cells, line: &[u8], role: Role) -> Result<IpAddr, Bad> {
    cells.get(line, role).and_then(value::address).ok_or(Bad::Address)
}

/// A number that may be unset.
#[inline]
fn count(cells: &Cells, line: &[u8], role: Role) -> Result<Option<u64>, Bad> {
    match cells.get(line, role) {
        None | Some([]) => Ok(None),
        Some(text) => value::number(text).map(Some).ok_or(Bad::Number),
    }
}

fn ends(cells: &Cells, line: &[u8]) -> Result<Ends, Bad> {
    let port = |role| match cells.get(line, role) {
        None | Some([]) => Ok(0),
        Some(text) => value::port(text).ok_or(Bad::Port),
    };
    Ok(Ends {
        originator: ip(cells, line, Role::OrigH)?,
        responder: ip(cells, line, Role::RespH)?,
        originator_port: port(Role::OrigP)?,
        responder_port: port(Role::RespP)?,
        transport: match cells.get(line, Role::Proto) {
            Some([b'u' | b'U', ..] | b"17") => Transport::Udp,
            _ => Transport::Tcp,
        },
    })
}

/// Whether the transport is one that makes flows; ICMP and the like carry no uploads that are counted here.
fn has_flows(cells: &Cells, line: &[u8]) -> bool {
    match cells.get(line, Role::Proto) {
        None | Some([] | b"6" | b"17") => true,
        Some(proto) => proto.eq_ignore_ascii_case(b"tcp") || proto.eq_ignore_ascii_case(b"udp"),
    }
}

/// A connection. ICMP and others than TCP and UDP are connections of no bytes.
fn flow(cells: &Cells, line: &[u8]) -> Result<Flow, Bad> {
    let first = time(cells, line)?;
    let ends = ends(cells, line)?;
    let last = end(cells, line, first)?;
    let packets = both(cells, line, Role::OrigPkts, Role::RespPkts)?;
    let told = packets.up.is_some() && packets.down.is_some();
    let packets = packets.or_zero();
    let ip = both(cells, line, Role::OrigIp, Role::RespIp)?;
    let (bytes, gap) = bytes(cells, line, &ends, packets, ip, last.since(first))?;
    let letters = cells.get(line, Role::History).unwrap_or_default();
    let tcp = ends.transport == Transport::Tcp;
    let uid = cells.get(line, Role::Uid);
    let key = uid.map_or_else(|| key_of_ends(&ends, first), key);
    Ok(Flow {
        key,
        flow: uid.and_then(super::uid::flow).unwrap_or(FlowId(key >> 11)),
        ends,
        first,
        last,
        bytes,
        gap,
        packets,
        ip: ip.or_zero(),
        app: app(cells.get(line, Role::Service).unwrap_or_default()),
        state: flow_state(cells.get(line, Role::State).unwrap_or_default()),
        history: history(letters),
        // Without the letters nothing is known against it.
        midstream: tcp
            && !letters.is_empty()
            && !letters.iter().any(|b| matches!(b, b'S' | b's' | b'H' | b'h')),
        one_way: told && (packets.up == 0 || packets.down == 0),
        path: path(cells, line),
        facts: None,
    })
}

fn both(cells: &Cells, line: &[u8], up: Role, down: Role) -> Result<Both<Option<u64>>, Bad> {
    Ok(Both { up: count(cells, line, up)?, down: count(cells, line, down)? })
}

/// Payload each way with what was missed of it, and that part.
fn bytes(
    cells: &Cells,
    line: &[u8],
    ends: &Ends,
    packets: Both<u64>,
    ip: Both<Option<u64>>,
    span: Span,
) -> Result<(Both<u64>, Both<u64>), Bad> {
    let frames = both(cells, line, Role::OrigFrameBytes, Role::RespFrameBytes)?;
    let payload = both(cells, line, Role::OrigBytes, Role::RespBytes)?;
    let missed = count(cells, line, Role::Missed)?.unwrap_or(0);
    if !has_flows(cells, line) {
        return Ok(Default::default());
    }
    let apart = both(cells, line, Role::OrigGap, Role::RespGap)?.or_zero();
    let reset = cells.get(line, Role::State).is_some_and(|state| state.starts_with(b"RST"));
    let of = |payload: Option<u64>, frames: Option<u64>, packets, ip, apart: u64| {
        let bytes = payload.or_else(|| frames.map(|f| without_headers(f, packets, ends))).unwrap_or(0);
        believable(bytes.saturating_add(apart), ip, missed.saturating_add(apart), span, reset)
    };
    let bytes = Both {
        up: of(payload.up, frames.up, packets.up, ip.up, apart.up),
        down: of(payload.down, frames.down, packets.down, ip.down, apart.down),
    };
    let gap = if missed == 0 {
        Both { up: apart.up.min(bytes.up), down: apart.down.min(bytes.down) }
    } else {
        gap(bytes, missed)
    };
    Ok((bytes, gap))
}

/// The end: told, or start and length; a connection without a length is a point.
fn end(cells: &Cells, line: &[u8], first: Timestamp) -> Result<Timestamp, Bad> {
    if let Some(text) = cells.get(line, Role::End) {
        return value::time(text).map(|end| end.max(first)).ok_or(Bad::Time);
    }
    if let Some(millis) = count(cells, line, Role::Millis)? {
        return Ok(first.plus(Span::from_millis(millis.min(31_622_400_000) as i64)));
    }
    match cells.get(line, Role::Duration) {
        None | Some([]) => Ok(first),
        Some(text) => value::span(text).map(|s| first.plus(s)).ok_or(Bad::Number),
    }
}

/// Payload of frames: Ethernet, IP, and TCP with timestamps or UDP.
fn without_headers(frames: u64, packets: u64, ends: &Ends) -> u64 {
    let ip = if ends.originator.is_ipv4() { 20 } else { 40 };
    let transport = if ends.transport == Transport::Tcp { 32 } else { 8 };
    frames.saturating_sub(packets.saturating_mul(14 + ip + transport))
}

/// Zeek takes bytes from sequence numbers, and a stray one makes gigabytes of nothing: faster than any link, or in a
/// connection that was reset a thousand times what its packets could carry.
fn believable(bytes: u64, ip: Option<u64>, missed: u64, span: Span, reset: bool) -> u64 {
    let Some(ip) = ip.filter(|_| bytes > 1 << 30) else { return bytes };
    let carried = ip.saturating_add(missed);
    let secs = (span.secs() as u64).saturating_add(1);
    let wild = bytes > BYTES_PER_SEC_MAX.saturating_mul(secs) || (reset && bytes / 1_000 > carried);
    if wild { bytes.min(carried) } else { bytes }
}

/// Logs tell what was missed in both directions together: it is the larger one's as far as it goes.
fn gap(bytes: Both<u64>, missed: u64) -> Both<u64> {
    if bytes.up >= bytes.down {
        let up = missed.min(bytes.up);
        Both { up, down: (missed - up).min(bytes.down) }
    } else {
        let down = missed.min(bytes.down);
        Both { up: (missed - down).min(bytes.up), down }
    }
}

/// Identity of a connection in a log that gives none.
fn key_of_ends(ends: &Ends, first: Timestamp) -> u64 {
    foldhash::quality::FixedState::with_seed(0x6e61_6d65_6c65_7373).hash_one((ends, first))
}

fn history(letters: &[u8]) -> [u8; 16] {
    let mut out = [0; 16];
    for (slot, letter) in out.iter_mut().zip(letters.iter().filter(|b| b.is_ascii_alphabetic())) {
        *slot = *letter;
    }
    out
}

fn app(service: &[u8]) -> AppProto {
    let has = |word: &[u8]| service.split(|b| *b == b',' || *b == 0x1f).any(|s| s.eq_ignore_ascii_case(word));
    match service {
        [] => AppProto::Unknown,
        _ if has(b"quic") => AppProto::Quic,
        _ if has(b"ssl") || has(b"tls") => AppProto::Tls,
        _ if has(b"http") => AppProto::Http,
        _ if has(b"dns") => AppProto::Dns,
        _ if has(b"ssh") => AppProto::Ssh,
        _ if has(b"http2") => AppProto::Http2,
        _ => AppProto::Unknown,
    }
}

fn flow_state(state: &[u8]) -> FlowState {
    match state {
        b"S0" | b"SH" | b"SHR" | b"OTH" | b"REJ" | b"RSTOS0" | b"RSTRH" | b"new" => FlowState::New,
        b"SF" | b"RSTO" | b"RSTR" | b"S2" | b"S3" | b"closed" => FlowState::Closed,
        _ => FlowState::Established,
    }
}

fn path(cells: &Cells, line: &[u8]) -> Path {
    let mut path = Path::default();
    let mac = |role| cells.get(line, role).and_then(value::mac);
    if let (Some(orig), Some(resp)) = (mac(Role::OrigMac), mac(Role::RespMac)) {
        path.mac = Some((orig, resp));
    }
    for role in [Role::Vlan, Role::InnerVlan] {
        let tag = cells.list(line, role).next().and_then(value::number).filter(|v| (1..4_096).contains(v));
        if let (Some(tag), Some(slot)) = (tag, path.vlan.get_mut(usize::from(path.vlans))) {
            *slot = tag as u16;
            path.vlans += 1;
        }
    }
    path
}

fn dns(cells: &Cells, line: &[u8]) -> Result<Entry, Bad> {
    let at = time(cells, line)?;
    let question = cells.get(line, Role::DnsType).is_some_and(|t| matches!(t, b"query" | b"request"));
    let rcode = rcode(cells, line)?;
    let Some(query) = cells.text(line, Role::Query).filter(|q| !q.is_empty() && q.len() <= MAX_NAME) else {
        return Ok(Entry::Nothing(Some(at)));
    };
    if question || rcode != Some(0) || !cells.has(Role::Answers) {
        return Ok(Entry::Nothing(Some(at)));
    }
    let mut ends = ends(cells, line)?;
    if ends.originator_port == 53 && ends.responder_port != 53 {
        ends = ends.turned();
    }
    let mut ttls = cells.list(line, Role::Ttls).map(|t| value::seconds(t).unwrap_or(0) / 1_000_000_000);
    let (mut addresses, mut cnames) = (Vec::new(), Vec::new());
    for answer in cells.list(line, Role::Answers).take(LIST_MAX) {
        let ttl = ttls.next().unwrap_or(0).clamp(0, i64::from(u32::MAX)) as u32;
        match value::address(answer) {
            Some(ip) => addresses.push((ip, ttl)),
            None if cnames.len() < 16 => cnames.push(printable(answer)),
            None => {}
        }
    }
    if addresses.is_empty() {
        return Ok(Entry::Nothing(Some(at)));
    }
    let uid = cells.get(line, Role::Uid).unwrap_or_default();
    Ok(Entry::Dns(Box::new(DnsAnswer {
        flow: super::uid::flow(uid).unwrap_or(FlowId(key(uid) >> 11)),
        ends,
        at,
        id: count(cells, line, Role::TransId)?.unwrap_or(0) as u16,
        response: true,
        query: printable(&query.to_ascii_lowercase()),
        qtype: qtype(cells, line),
        rcode: 0,
        addresses,
        cnames,
        ech: false,
    })))
}

fn rcode(cells: &Cells, line: &[u8]) -> Result<Option<u64>, Bad> {
    if let Some(code) = cells.get(line, Role::RcodeName) {
        return Ok(Some(u64::from(code != b"NOERROR")));
    }
    count(cells, line, Role::Rcode)
}

fn qtype(cells: &Cells, line: &[u8]) -> u16 {
    match cells.get(line, Role::QtypeName) {
        Some(b"A") => 1,
        Some(b"AAAA") => 28,
        Some(b"CNAME") => 5,
        Some(b"HTTPS") => 65,
        _ => cells.get(line, Role::Qtype).and_then(value::port).unwrap_or(0),
    }
}

/// A lease that was given (Zeek lists the messages, Suricata has one record per message).
fn lease(cells: &Cells, line: &[u8]) -> Result<Entry, Bad> {
    let at = time(cells, line)?;
    let given = cells.list(line, Role::MsgTypes).any(|m| m.eq_ignore_ascii_case(b"ack"));
    let assigned = cells.get(line, Role::AssignedAddr).filter(|a| *a != b"0.0.0.0");
    let address = assigned.or_else(|| cells.get(line, Role::ClientAddr)).and_then(value::address);
    let (true, Some(ip), Some(mac)) = (given, address, cells.get(line, Role::Mac).and_then(value::mac))
    else {
        return Ok(Entry::Nothing(Some(at)));
    };
    let secs = cells.get(line, Role::LeaseTime).and_then(value::span).unwrap_or_default();
    let name = cells.text(line, Role::HostName).filter(|n| !n.is_empty() && n.len() <= MAX_NAME);
    let name = name.map(|n| printable(&n));
    Ok(Entry::Lease(Box::new(Lease { ip, mac, name, at, until: at.plus(secs) })))
}

trait OrZero {
    fn or_zero(self) -> Both<u64>;
}

impl OrZero for Both<Option<u64>> {
    fn or_zero(self) -> Both<u64> {
        Both { up: self.up.unwrap_or(0), down: self.down.unwrap_or(0) }
    }
}
