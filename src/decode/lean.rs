//! The short cut for what nearly every frame is: Ethernet with at most two VLAN tags, IPv4 without options or IPv6
//! without extension headers, TCP or UDP outside tunnels, nothing wrong. Fixed loads, no loops; whatever is unusual
//! gives `None` and takes the long way, which gives the same for all that passes here.

use super::ip::{halves, protocol};
use super::{Packet, Pair, Path, Tcp, Transport, overlay};
use crate::capture::Frame;

/// What the flow table needs of an ordinary packet, and where the rest of it lies. Always in registers: whoever takes it
/// picks what it wants.
#[derive(Clone, Copy, Debug)]
pub struct Lean {
    /// Innermost addresses.
    pub pair: Pair,
    /// Both ports, the source in the upper half.
    pub ports: u32,
    /// TCP or UDP.
    pub transport: Transport,
    /// TCP header facts.
    pub tcp: Tcp,
    /// Length of the IP packet.
    pub ip_len: u32,
    /// Length of the payload by the headers.
    pub payload_len: u32,
    /// Where the IP header begins in the frame.
    ip_at: u32,
    /// Where the payload begins in the frame.
    pub payload_at: u32,
}

/// Takes what was read. A closure would do, if one could be told to be inlined: it stands at the end of every road.
pub trait Take {
    /// What becomes of it.
    type Out;
    /// Takes it.
    fn take(self, lean: Lean) -> Self::Out;
}

/// Takes it as it is.
pub(super) struct Itself;

impl Take for Itself {
    type Out = Lean;
    #[inline]
    fn take(self, lean: Lean) -> Lean {
        lean
    }
}

const IPV4: u16 = 0x0800_u16.to_be();
const IPV6: u16 = 0x86dd_u16.to_be();
const VLAN: u16 = 0x8100_u16.to_be();
const SERVICE_VLAN: u16 = 0x88a8_u16.to_be();
/// Of the first eight bytes of an IPv4 header: version and header length, and all that a fragment differs in.
const IPV4_FIXED: u64 = u64::from_le_bytes([0xff, 0, 0, 0, 0, 0, 0x3f, 0xff]);

/// Gives the facts to `take`, if the frame is an ordinary one. Each kind of packet has a road of its own from the first
/// byte to the end of `take`, so that nothing is looked at twice and nothing is put together only to be taken apart.
#[allow(clippy::inline_always)] // see `Lean`
#[inline(always)]
pub(super) fn read<R: Take>(bytes: &[u8], wire_len: u32, take: R) -> Option<R::Out> {
    let (eth, rest) = bytes.split_first_chunk::<14>()?;
    // Never less than what was captured: a slot lies within a batch of less than 4 GiB.
    let available = wire_len.max(bytes.len() as u32) - 14;
    match u16::from_ne_bytes([eth[12], eth[13]]) {
        IPV4 => v4(rest, 14, available, take),
        IPV6 => v6(rest, 14, available, take),
        VLAN | SERVICE_VLAN => tagged(rest, available).map(|lean| take.take(lean)),
        _ => None,
    }
}

/// Behind one or two VLAN tags.
fn tagged(bytes: &[u8], available: u32) -> Option<Lean> {
    let (tag, mut rest) = bytes.split_first_chunk::<4>()?;
    let (mut kind, mut at) = (u16::from_ne_bytes([tag[2], tag[3]]), 18);
    if matches!(kind, VLAN | SERVICE_VLAN) {
        let (tag, inner) = rest.split_first_chunk::<4>()?;
        (kind, rest, at) = (u16::from_ne_bytes([tag[2], tag[3]]), inner, 22);
    }
    match kind {
        IPV4 => v4(rest, at, available + 14 - at, Itself),
        IPV6 => v6(rest, at, available + 14 - at, Itself),
        _ => None,
    }
}

#[allow(clippy::inline_always)]
#[inline(always)]
fn v4<R: Take>(bytes: &[u8], ip_at: u32, available: u32, take: R) -> Option<R::Out> {
    let (h, rest) = bytes.split_first_chunk::<20>()?;
    let (first, _) = h.split_first_chunk::<8>()?;
    let first = u64::from_le_bytes(*first);
    let ip_len = u32::from(((first >> 16) as u16).swap_bytes());
    if first & IPV4_FIXED != 0x45 || ip_len < 28 || ip_len > available {
        return None;
    }
    let pair = Pair::V4 {
        src: u32::from_be_bytes([h[12], h[13], h[14], h[15]]),
        dst: u32::from_be_bytes([h[16], h[17], h[18], h[19]]),
    };
    inner(h[9], rest, pair, [ip_len, ip_at, 20], take)
}

#[allow(clippy::inline_always)]
#[inline(always)]
fn v6<R: Take>(bytes: &[u8], ip_at: u32, available: u32, take: R) -> Option<R::Out> {
    let (h, rest) = bytes.split_first_chunk::<8>()?;
    let (addresses, rest) = rest.split_first_chunk::<32>()?;
    let length = u32::from(u16::from_be_bytes([h[4], h[5]]));
    let ip_len = length + 40;
    if h[0] >> 4 != 6 || length < 8 || ip_len > available {
        return None;
    }
    let (src, dst) = halves(addresses);
    inner(h[6], rest, Pair::V6 { src, dst }, [ip_len, ip_at, 40], take)
}

/// The transport header. `ip`: length of the packet, place and length of the IP header.
#[allow(clippy::inline_always)]
#[inline(always)]
fn inner<R: Take>(kind: u8, bytes: &[u8], pair: Pair, ip: [u32; 3], take: R) -> Option<R::Out> {
    let [ip_len, ip_at, ip_header] = ip;
    let length = ip_len - ip_header;
    let lean = |ports, transport, tcp, header: u32, payload_len| {
        let payload_at = ip_at + ip_header + header;
        Lean { pair, ports, transport, tcp, ip_len, payload_len, ip_at, payload_at }
    };
    match kind {
        protocol::TCP => {
            let h = bytes.first_chunk::<20>()?;
            let header = u32::from(h[12] >> 4) * 4;
            if header < 20 || header > length {
                return None;
            }
            let tcp = Tcp {
                seq: u32::from_be_bytes([h[4], h[5], h[6], h[7]]),
                ack: u32::from_be_bytes([h[8], h[9], h[10], h[11]]),
                flags: h[13],
            };
            let ports = u32::from_be_bytes([h[0], h[1], h[2], h[3]]);
            Some(take.take(lean(ports, Transport::Tcp, tcp, header, length - header)))
        }
        protocol::UDP => {
            let h = bytes.first_chunk::<8>()?;
            let ports = u32::from_be_bytes([h[0], h[1], h[2], h[3]]);
            let claimed = u32::from(u16::from_be_bytes([h[4], h[5]]));
            if claimed < 8 || overlay::is_port((ports >> 16) as u16) || overlay::is_port(ports as u16) {
                return None;
            }
            Some(take.take(lean(ports, Transport::Udp, Tcp::default(), 8, claimed.min(length) - 8)))
        }
        _ => None,
    }
}

impl Lean {
    /// The whole packet of the frame that this was read from.
    pub fn packet<'a>(&self, frame: &Frame<'a>) -> Packet<'a> {
        let payload = frame.bytes.get(self.payload_at as usize..).unwrap_or(&[]);
        let (ttl, ip_id) = match (self.pair, frame.bytes.get(self.ip_at as usize..)) {
            (Pair::V4 { .. }, Some([_, _, _, _, hi, lo, _, _, ttl, ..])) => {
                (*ttl, u16::from_be_bytes([*hi, *lo]))
            }
            (Pair::V6 { .. }, Some([_, _, _, _, _, _, _, limit, ..])) => (*limit, 0),
            _ => (0, 0),
        };
        Packet {
            pair: self.pair,
            src_port: (self.ports >> 16) as u16,
            dst_port: self.ports as u16,
            transport: self.transport,
            tcp: self.tcp,
            at: frame.at,
            since: frame.at,
            frames: 1,
            now: frame.now,
            ordinal: frame.ordinal,
            payload: payload.get(..self.payload_len as usize).unwrap_or(payload),
            payload_len: self.payload_len,
            wire_len: frame.wire_len,
            ip_len: self.ip_len,
            ip_id,
            ttl,
            path: self.path(frame),
        }
    }

    /// Link addresses and tags.
    fn path(&self, frame: &Frame<'_>) -> Path {
        let mut path = Path::default();
        if let Some((eth, rest)) = frame.bytes.split_first_chunk::<14>() {
            let [to @ .., _, _, _, _, _, _, _, _] = *eth;
            let [_, _, _, _, _, _, from @ .., _, _] = *eth;
            path.mac = Some((from, to));
            if let Some(tag) = frame.vlan {
                path.push_vlan(tag);
            }
            let tags = rest.get(..self.ip_at as usize - 14).unwrap_or(&[]);
            tags.chunks_exact(4).for_each(|tag| path.push_vlan(u16::from_be_bytes([tag[0], tag[1]])));
        }
        path
    }
}
