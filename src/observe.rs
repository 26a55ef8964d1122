//! All that crosses from the workers to the detector: self-contained, ordered, and free of references back.

use crate::decode::{Path, Transport};
use crate::parse::Facts;
use crate::units::{Both, Direction, Timestamp};
use serde::{Deserialize, Serialize};
use std::net::IpAddr;
use std::sync::Arc;

/// Identity of a flow in every record about it: below 2^53, the same in every run over the same capture.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
pub struct FlowId(pub u64);

/// The two ends of a flow, originator first.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub struct Ends {
    /// Who opened the connection.
    pub originator: IpAddr,
    /// Who answered.
    pub responder: IpAddr,
    /// Port of the originator.
    pub originator_port: u16,
    /// Port of the responder.
    pub responder_port: u16,
    /// TCP or UDP.
    pub transport: Transport,
}

/// Where a telling stands in the one order that every run has, however many workers: by the frame, datagram or tick that
/// caused it, then (a tick tells of many flows) by what began the flow, then by turn.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Place {
    /// Number of what caused the telling.
    pub ordinal: u64,
    /// Number of the first packet of the flow. No two flows begin with the same.
    pub flow_ordinal: u64,
    /// Running number among the tellings of this flow at this frame.
    pub turn: u8,
}

/// What one direction of a flow has carried.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct Counts {
    /// Frames.
    pub packets: u64,
    /// Frame bytes as they were on the wire.
    pub wire: u64,
    /// Bytes of the innermost IP packets.
    pub ip: u64,
    /// Transport payload seen, retransmissions and overlaps once.
    pub payload: u64,
    /// Transport payload seen again.
    pub retransmitted: u64,
    /// Transport payload proven by sequence or acknowledgement and never seen.
    pub gap: u64,
    /// TLS application data, where records could be followed.
    pub app: u64,
}

/// Uploads of a flow as far as they can be told apart from outside: the client sends, the server answers. Totals since its
/// start.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug, Serialize, Deserialize)]
pub struct Uploads {
    /// Those that were answered.
    pub answered: u32,
    /// The smallest of them, in units of [`Uploads::UNIT`].
    pub smallest: u32,
    /// The largest.
    pub largest: u32,
    /// What the client has sent since the last answer.
    pub open: u32,
    /// Those whose answer came while more was under way; counters of few end at the last value.
    pub overlapping: u8,
    /// Those that may be several, or part of one: nothing but lengths of datagrams, no head of a request.
    pub unclear: u8,
    /// Those whose size is of segments, not of records.
    pub rough: u8,
    /// The protocol sends one request after the other.
    pub one_by_one: bool,
}

impl Uploads {
    /// Unit of sizes in bytes.
    pub const UNIT: u64 = 64;
    /// What sends fewer bytes is a request, no upload.
    pub const LEAST: u64 = 8_000;

    /// One is under way.
    pub const fn under_way(&self) -> bool {
        self.open as u64 * Self::UNIT >= Self::LEAST
    }
}

/// Whether requests ran at once.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default, Debug, Serialize, Deserialize)]
pub enum Mux {
    /// One after the other.
    #[default]
    No,
    /// Nothing says so or otherwise.
    Unknown,
    /// An answer came while more was under way.
    Yes,
}

/// Uploads of some flows.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug, Serialize, Deserialize)]
pub struct Tally {
    /// Answered, or under way.
    pub count: u64,
    /// The same without those that may be parts of others.
    pub least: u64,
    /// Smallest and largest, in bytes, of those that were answered.
    pub sizes: Option<(u64, u64)>,
    /// The worst of the flows.
    pub mux: Mux,
    /// Some are known by segments or datagrams alone.
    pub rough: bool,
}

impl Tally {
    /// What is known of one flow.
    pub fn of(seen: &Uploads) -> Self {
        let bytes = |n: u32| u64::from(n) * Uploads::UNIT;
        let mux = match seen {
            Uploads { one_by_one: true, .. } => Mux::No,
            Uploads { overlapping: 1.., .. } => Mux::Yes,
            Uploads { unclear: 1.., .. } => Mux::Unknown,
            _ => Mux::No,
        };
        let count = u64::from(seen.answered) + u64::from(seen.under_way());
        let apart = if mux == Mux::No { 0 } else { u64::from(seen.unclear) };
        Self {
            count,
            least: count.saturating_sub(apart).max(count.min(1)),
            sizes: (seen.answered > 0).then(|| (bytes(seen.smallest), bytes(seen.largest))),
            mux,
            rough: seen.rough > 0,
        }
    }

    /// Adds those of another flow.
    pub fn add(&mut self, other: &Self) {
        self.count = self.count.saturating_add(other.count);
        self.least = self.least.saturating_add(other.least);
        self.sizes = match (self.sizes, other.sizes) {
            (Some(a), Some(b)) => Some((a.0.min(b.0), a.1.max(b.1))),
            (one, other) => one.or(other),
        };
        self.mux = self.mux.max(other.mux);
        self.rough |= other.rough;
    }
}

/// What moved on a flow since the last telling. For judging; totals for the log come in a [`FlowSummary`].
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct FlowDelta {
    /// The flow.
    pub flow: FlowId,
    /// Its ends.
    pub ends: Ends,
    /// First frame of the flow.
    pub first: Timestamp,
    /// Newest frame of the flow.
    pub last: Timestamp,
    /// Payload plus gap since the last telling.
    pub bytes: Both<u64>,
    /// Gap since the start, each way: the part of all bytes told that was proven and never seen.
    pub gap: Both<u64>,
    /// The flow has ended with this.
    pub closed: bool,
    /// The beginning was not in the capture.
    pub midstream: bool,
    /// Only one direction has been seen so far.
    pub one_way: bool,
    /// Uploads since the start.
    pub uploads: Uploads,
}

const _: () = assert!(size_of::<FlowDelta>() <= 128);

/// How far the connection got, in Suricata's words.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub enum FlowState {
    /// One side only has spoken.
    New,
    /// Both have spoken.
    Established,
    /// FIN both ways or RST.
    Closed,
}

/// Why a flow record was written.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum EndReason {
    /// Nothing more came for the idle time.
    Timeout,
    /// The end of the input, or the sensor was stopped.
    Shutdown,
    /// The same ports began a new connection.
    Reused,
    /// The table was full.
    Evicted,
}

/// TCP facts of one direction for `conn_state` and `history`.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct TcpSeen {
    /// SYN without ACK.
    pub syn: bool,
    /// SYN with ACK.
    pub syn_ack: bool,
    /// FIN.
    pub fin: bool,
    /// RST.
    pub rst: bool,
    /// Pure acknowledgement.
    pub ack: bool,
    /// Payload.
    pub data: bool,
    /// Retransmitted payload.
    pub retransmitted: bool,
    /// Gap.
    pub gap: bool,
}

/// The log's view of a flow: totals since its start.
#[derive(Clone, PartialEq, Debug)]
pub struct FlowSummary {
    /// The flow.
    pub flow: FlowId,
    /// Number of its first packet in the order of all that happened.
    pub ordinal: u64,
    /// Its ends.
    pub ends: Ends,
    /// First frame.
    pub first: Timestamp,
    /// Last frame.
    pub last: Timestamp,
    /// Totals.
    pub counts: Both<Counts>,
    /// How `counts.app` was found: true when TLS records were followed all the way, false in part; `None`: not TLS.
    pub app_followed: Option<bool>,
    /// TCP flags and data seen.
    pub seen: Both<TcpSeen>,
    /// The order of first events, Zeek's letters (upper case originator); at most 16.
    pub history: [u8; 16],
    /// The beginning was not in the capture.
    pub midstream: bool,
    /// Only one direction was seen.
    pub one_way: bool,
    /// How far it got.
    pub state: FlowState,
    /// Why it ended; `None` while it is open.
    pub end: Option<EndReason>,
    /// VLANs, tunnels, link addresses of its first frame.
    pub path: Path,
    /// What the parsers found.
    pub facts: Option<Arc<Facts>>,
    /// Since the last report of an open flow.
    pub since: Option<Both<Counts>>,
}

/// An answer of DNS: this client was told these addresses for that name.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct DnsAnswer {
    /// Flow that carried it.
    pub flow: FlowId,
    /// Its ends: the originator is the client.
    pub ends: Ends,
    /// When.
    pub at: Timestamp,
    /// Transaction id.
    pub id: u16,
    /// Answer (true) or question.
    pub response: bool,
    /// Name asked for, lower case.
    pub query: Box<str>,
    /// Type asked for.
    pub qtype: u16,
    /// Response code.
    pub rcode: u8,
    /// Addresses with their time to live in seconds.
    pub addresses: Vec<(IpAddr, u32)>,
    /// Canonical names on the way.
    pub cnames: Vec<Box<str>>,
    /// An HTTPS/SVCB record of the answer carried an ECH configuration.
    pub ech: bool,
}

/// A lease: until it ends or is given anew, this address is that machine.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Lease {
    /// The address.
    pub ip: IpAddr,
    /// Link address of the machine.
    pub mac: [u8; 6],
    /// What the machine calls itself.
    pub name: Option<Box<str>>,
    /// When it was given.
    pub at: Timestamp,
    /// When it ends; the same as `at` where nothing was said.
    pub until: Timestamp,
}

/// One message from a worker.
#[derive(Clone, PartialEq, Debug)]
pub enum Telling {
    /// Bytes have moved.
    Delta(FlowDelta),
    /// The parsers know more about a flow. `complete`: no more will come, the hello may be logged.
    Named {
        /// The flow.
        flow: FlowId,
        /// Its ends.
        ends: Ends,
        /// When.
        at: Timestamp,
        /// What is known.
        facts: Arc<Facts>,
        /// Nothing more will be found out.
        complete: bool,
        /// VLANs, tunnels, link addresses.
        path: Path,
    },
    /// DNS seen.
    Dns(Box<DnsAnswer>),
    /// A flow ended (or is reported while open).
    Summary(Box<FlowSummary>),
    /// An address was leased, or seen in use. The unspecified address: only the name of a machine is told.
    Lease(Box<Lease>),
}

/// A telling and its place in the order.
#[derive(Clone, PartialEq, Debug)]
pub struct Told {
    /// Place in the order.
    pub place: Place,
    /// The clock when it was told.
    pub now: Timestamp,
    /// What is told.
    pub what: Telling,
}

impl Ends {
    /// The same connection seen from its other end.
    pub const fn turned(&self) -> Self {
        Self {
            originator: self.responder,
            responder: self.originator,
            originator_port: self.responder_port,
            responder_port: self.originator_port,
            transport: self.transport,
        }
    }

    /// Source and destination of packets in `direction`.
    pub fn from(&self, direction: Direction) -> (IpAddr, IpAddr) {
        match direction {
            Direction::Up => (self.originator, self.responder),
            Direction::Down => (self.responder, self.originator),
        }
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use std::net::Ipv4Addr;

    /// A delta of a flow that moved nothing.
    pub(crate) fn delta(flow: FlowId) -> FlowDelta {
        let ip = IpAddr::V4(Ipv4Addr::LOCALHOST);
        FlowDelta {
            flow,
            ends: Ends {
                originator: ip,
                responder: ip,
                originator_port: 1,
                responder_port: 2,
                transport: Transport::Tcp,
            },
            first: Timestamp::default(),
            last: Timestamp::default(),
            bytes: Both::default(),
            gap: Both::default(),
            closed: false,
            midstream: false,
            one_way: false,
            uploads: Uploads::default(),
        }
    }
}
