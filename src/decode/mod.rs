//! Frame → [`Packet`]: walks the link layer, tags, tunnels and IP headers to the innermost TCP or UDP header.
//!
//! Pure: no state, no clock. IP fragments come out as [`Decoded::Fragment`] and are put together elsewhere
//! (`flow::fragments`), which then calls [`resume`] with the whole datagram.
//!
//! One function a layer, each of which hands what it holds to the next: `link` knows the link types, `ether` and `wan`
//! the tags and framings below IP, `wifi` 802.11, `ip` the IP headers, `tunnel` and `overlay` what lies in IP and in
//! UDP, `transport` the end of the walk. `lean` is the short cut for what nearly every frame is.

mod ether;
mod ip;
mod lean;
mod link;
mod neighbour;
mod overlay;
mod piece;
mod transport;
mod tunnel;
mod wan;
mod wifi;

pub use lean::{Lean, Take};
pub use neighbour::{Neighbour, neighbour};

use crate::capture::{Frame, LinkType};
use crate::units::Timestamp;
use piece::{Piece, Walk};
use serde::{Deserialize, Serialize};

/// Innermost source and destination address.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Pair {
    /// IPv4, as big-endian numbers.
    V4 {
        /// Source.
        src: u32,
        /// Destination.
        dst: u32,
    },
    /// IPv6, as big-endian numbers.
    V6 {
        /// Source.
        src: u128,
        /// Destination.
        dst: u128,
    },
}

/// Transport protocols that make flows.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
#[repr(u8)]
pub enum Transport {
    /// RFC 9293.
    Tcp = 6,
    /// RFC 768.
    Udp = 17,
}

/// What the flow table needs of a TCP header. Zeroes for UDP.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct Tcp {
    /// Sequence number.
    pub seq: u32,
    /// Acknowledgement number (meaningless without ACK).
    pub ack: u32,
    /// The flag byte: FIN 1, SYN 2, RST 4, PSH 8, ACK 16, URG 32, ECE 64, CWR 128.
    pub flags: u8,
}

/// Outer facts of a packet, looked at for a flow's first packet only.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default, Serialize, Deserialize)]
pub struct Path {
    /// VLAN ids, outermost first; only the first `vlans` count.
    pub vlan: [u16; 3],
    /// How many VLAN tags were seen (at most 3 kept).
    pub vlans: u8,
    /// Number of IP layers above the innermost one.
    pub tunnels: u8,
    /// Source and destination link addresses where the frame had them (48 bit).
    pub mac: Option<([u8; 6], [u8; 6])>,
}

impl Path {
    /// Notes one more VLAN tag; of a fourth nothing is kept.
    #[inline]
    fn push_vlan(&mut self, tag: u16) {
        if let Some(slot) = self.vlan.get_mut(self.vlans as usize) {
            *slot = tag & 0x0fff;
            self.vlans += 1;
        }
    }
}

/// One packet of the innermost TCP or UDP conversation.
#[derive(Clone, Copy, Debug)]
pub struct Packet<'a> {
    /// Innermost addresses.
    pub pair: Pair,
    /// Source port.
    pub src_port: u16,
    /// Destination port.
    pub dst_port: u16,
    /// TCP or UDP.
    pub transport: Transport,
    /// TCP header facts.
    pub tcp: Tcp,
    /// Capture time; that of the latest frame where the packet came in several.
    pub at: Timestamp,
    /// Capture time of the earliest frame of this packet: before `at` only where it came in IP fragments.
    pub since: Timestamp,
    /// How many frames this packet came in: 1, or the number of its IP fragments.
    pub frames: u32,
    /// The pipeline's clock.
    pub now: Timestamp,
    /// Frame number.
    pub ordinal: u64,
    /// Transport payload as far as it was captured.
    pub payload: &'a [u8],
    /// Transport payload length by the headers; more than `payload.len()` in a cut capture.
    pub payload_len: u32,
    /// Frame length on the wire, summed over `frames`.
    pub wire_len: u32,
    /// Length of the innermost IP packet, summed over its fragments. With total length 0 (segmentation offload): what the frame holds.
    pub ip_len: u32,
    /// IPv4 identification (0 for IPv6) and time to live / hop limit, to prove span duplicates.
    pub ip_id: u16,
    /// Time to live or hop limit.
    pub ttl: u8,
    /// Outer facts.
    pub path: Path,
}

impl Packet<'_> {
    /// The same packet with no payload bytes (their length by the headers stays), to be sent beside them.
    pub const fn without_payload(&self) -> Packet<'static> {
        let Self { pair, src_port, dst_port, transport, tcp, at, since, frames, now, ordinal, .. } = *self;
        let Self { payload_len, wire_len, ip_len, ip_id, ttl, path, .. } = *self;
        Packet {
            pair,
            src_port,
            dst_port,
            transport,
            tcp,
            at,
            since,
            frames,
            now,
            ordinal,
            payload: &[],
            payload_len,
            wire_len,
            ip_len,
            ip_id,
            ttl,
            path,
        }
    }
}

/// An IP fragment, of the innermost or of any outer layer.
#[derive(Clone, Copy, Debug)]
pub struct Fragment<'a> {
    /// Addresses of the fragmented IP layer.
    pub pair: Pair,
    /// IPv4 identification or IPv6 fragment identification.
    pub id: u32,
    /// IP protocol / next header of the whole datagram.
    pub protocol: u8,
    /// Offset of these bytes in the datagram's payload.
    pub offset: u32,
    /// More fragments follow.
    pub more: bool,
    /// Fragment payload as captured.
    pub payload: &'a [u8],
    /// Fragment payload length by the IP header.
    pub payload_len: u32,
    /// IP packet length of this fragment (header included).
    pub ip_len: u32,
    /// Frame length on the wire.
    pub wire_len: u32,
    /// Capture time.
    pub at: Timestamp,
    /// Capture time of the earliest frame that it came in.
    pub since: Timestamp,
    /// How many frames it came in: more than 1 only for a fragment inside a reassembled datagram.
    pub frames: u32,
    /// The pipeline's clock.
    pub now: Timestamp,
    /// Frame number.
    pub ordinal: u64,
    /// Time to live or hop limit.
    pub ttl: u8,
    /// Outer facts so far.
    pub path: Path,
}

/// Why a frame gives no packet. Counted, never formatted on the packet path.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[repr(u8)]
pub enum Skip {
    /// Link-layer type that we do not know.
    LinkType,
    /// The frame ends within a header.
    Cut,
    /// A header contradicts itself.
    Malformed,
    /// ARP, RARP.
    Arp,
    /// ICMP, ICMPv6, IGMP.
    Icmp,
    /// Another IP protocol without ports that we account (SCTP, ESP, OSPF …).
    IpProtocol,
    /// Something that is not IP at all (LLDP, STP, EAPOL, management frames …).
    NotIp,
    /// More layers than we follow.
    TooDeep,
    /// A payload that is encrypted at the link or tunnel layer.
    Encrypted,
}

impl Skip {
    /// Number of reasons.
    pub const COUNT: usize = 9;

    /// Every reason, in the order of their numbers.
    pub const ALL: [Self; Self::COUNT] = [
        Self::LinkType,
        Self::Cut,
        Self::Malformed,
        Self::Arp,
        Self::Icmp,
        Self::IpProtocol,
        Self::NotIp,
        Self::TooDeep,
        Self::Encrypted,
    ];

    /// The word for records.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::LinkType => "link_type",
            Self::Cut => "cut",
            Self::Malformed => "malformed",
            Self::Arp => "arp",
            Self::Icmp => "icmp",
            Self::IpProtocol => "ip_protocol",
            Self::NotIp => "not_ip",
            Self::TooDeep => "too_deep",
            Self::Encrypted => "encrypted",
        }
    }
}

/// What became of a frame.
#[derive(Clone, Copy, Debug)]
pub enum Decoded<'a> {
    /// A TCP or UDP packet.
    Packet(Packet<'a>),
    /// A piece of one.
    Fragment(Fragment<'a>),
    /// Nothing to account.
    Skip(Skip),
}

/// What a layer gives: the packet or fragment at the end of the walk, or why there is none.
type Step<'a> = Result<Decoded<'a>, Skip>;

/// The short cut for ordinary Ethernet frames: gives what it read to `take`. `None`: the frame takes the [`walk`].
#[allow(clippy::inline_always)] // see `Lean`
#[inline(always)]
pub fn lean<T: Take>(link: LinkType, bytes: &[u8], wire_len: u32, take: T) -> Option<T::Out> {
    if link == LinkType::ETHERNET { lean::read(bytes, wire_len, take) } else { None }
}

/// What [`lean`] reads in an ordinary frame.
pub fn facts(link: LinkType, bytes: &[u8], wire_len: u32) -> Option<Lean> {
    lean(link, bytes, wire_len, lean::Itself)
}

/// The packet of an ordinary frame.
pub fn ordinary<'a>(frame: &Frame<'a>) -> Option<Packet<'a>> {
    facts(frame.link, frame.bytes, frame.wire_len).map(|lean| lean.packet(frame))
}

/// Decodes one frame.
#[inline]
pub fn decode<'a>(frame: &Frame<'a>) -> Decoded<'a> {
    ordinary(frame).map_or_else(|| walk(frame), Decoded::Packet)
}

/// Decodes one frame layer by layer. The same as [`decode`], which tries the short cut first.
pub fn walk<'a>(frame: &Frame<'a>) -> Decoded<'a> {
    let mut walk = Walk {
        at: frame.at,
        now: frame.now,
        ordinal: frame.ordinal,
        wire_len: frame.wire_len,
        path: Path::default(),
        ips: 0,
        depth: 0,
    };
    if let Some(tag) = frame.vlan {
        walk.vlan(tag);
    }
    let piece = Piece::new(frame.bytes, frame.wire_len as usize);
    link::enter(&mut walk, frame.link, piece).unwrap_or_else(Decoded::Skip)
}

/// Goes on with the payload of a datagram that has been put together from fragments. `head` is the first fragment
/// and lends addresses, time and path; `ip_len` and `wire_len` are those to book for the result.
///
/// `head.payload_len` is the length of the whole datagram: more than `datagram` in a cut capture.
///
/// Where the datagram turns out to be a tunnel, `ip_len` of the result is that of the packet inside.
pub fn resume<'a>(head: &Fragment<'_>, datagram: &'a [u8], ip_len: u32, wire_len: u32) -> Decoded<'a> {
    let mut walk = Walk {
        at: head.at,
        now: head.now,
        ordinal: head.ordinal,
        wire_len,
        path: head.path,
        ips: head.path.tunnels.saturating_add(1),
        depth: 0,
    };
    let header = ip::Header { pair: head.pair, ttl: head.ttl, id: 0, ip_len };
    let piece = Piece::new(datagram, head.payload_len as usize);
    ip::body(&mut walk, header, head.protocol, piece).unwrap_or_else(Decoded::Skip)
}
