//! The short cut for what nearly every frame is: Ethernet with at most two VLAN tags, IPv4 without options or IPv6
//! without extension headers, TCP or UDP outside tunnels, nothing wrong. Fixed loads, no loops; whatever is unusual
//! gives `None` and takes the long way, which gives the same for all that passes here.

use super::ip::{halves, protocol};
use super::{Packet, Pair, Path, Tcp, Transport, overlay};
use crate::capture::Frame;

/// The IP header's facts on this path.
#[derive(Clone, Copy)]
struct Ip<'a> {
    pair: Pair,
    protocol: u8,
    ttl: u8,
    id: u16,
    total_len: u32,
    /// Captured bytes behind the header, padding cut off.
    rest: &'a [u8],
    /// Their length by the header.
    rest_len: u32,
}

/// The packet, if the frame is an ordinary one. Always inlined: a packet is written once, where it is wanted.
#[allow(clippy::inline_always)]
#[inline(always)]
pub(super) fn packet<'a>(frame: &Frame<'a>) -> Option<Packet<'a>> {
    let (eth, mut rest) = frame.bytes.split_first_chunk::<14>()?;
    let mut path = Path {
        mac: Some((
            [eth[6], eth[7], eth[8], eth[9], eth[10], eth[11]],
            [eth[0], eth[1], eth[2], eth[3], eth[4], eth[5]],
        )),
        ..Path::default()
    };
    if let Some(tag) = frame.vlan {
        path.push_vlan(tag);
    }
    let mut kind = u16::from_be_bytes([eth[12], eth[13]]);
    if matches!(kind, 0x8100 | 0x88a8) {
        (kind, rest) = tag(&mut path, rest)?;
        if matches!(kind, 0x8100 | 0x88a8) {
            (kind, rest) = tag(&mut path, rest)?;
        }
    }
    let link_len = (frame.bytes.len() - rest.len()) as u32;
    let available = frame.wire_len.max(frame.bytes.len() as u32) - link_len;
    let ip = match kind {
        0x0800 => v4(rest, available)?,
        0x86dd => v6(rest, available)?,
        _ => return None,
    };
    transport(frame, ip, path)
}

#[inline]
fn tag<'a>(path: &mut Path, rest: &'a [u8]) -> Option<(u16, &'a [u8])> {
    let (tag, rest) = rest.split_first_chunk::<4>()?;
    path.push_vlan(u16::from_be_bytes([tag[0], tag[1]]));
    Some((u16::from_be_bytes([tag[2], tag[3]]), rest))
}

#[inline]
fn v4(bytes: &[u8], available: u32) -> Option<Ip<'_>> {
    let (h, rest) = bytes.split_first_chunk::<20>()?;
    let total = u32::from(u16::from_be_bytes([h[2], h[3]]));
    let fragment = u16::from_be_bytes([h[6], h[7]]) & 0x3fff;
    if h[0] != 0x45 || fragment != 0 || total < 28 || total > available {
        return None;
    }
    let rest_len = total - 20;
    Some(Ip {
        pair: Pair::V4 {
            src: u32::from_be_bytes([h[12], h[13], h[14], h[15]]),
            dst: u32::from_be_bytes([h[16], h[17], h[18], h[19]]),
        },
        protocol: h[9],
        ttl: h[8],
        id: u16::from_be_bytes([h[4], h[5]]),
        total_len: total,
        rest: rest.get(..rest_len as usize).unwrap_or(rest),
        rest_len,
    })
}

#[inline]
fn v6(bytes: &[u8], available: u32) -> Option<Ip<'_>> {
    let (h, rest) = bytes.split_first_chunk::<8>()?;
    let (addresses, rest) = rest.split_first_chunk::<32>()?;
    let rest_len = u32::from(u16::from_be_bytes([h[4], h[5]]));
    if h[0] >> 4 != 6 || rest_len < 8 || rest_len + 40 > available {
        return None;
    }
    let (src, dst) = halves(addresses);
    Some(Ip {
        pair: Pair::V6 { src, dst },
        protocol: h[6],
        ttl: h[7],
        id: 0,
        total_len: rest_len + 40,
        rest: rest.get(..rest_len as usize).unwrap_or(rest),
        rest_len,
    })
}

#[allow(clippy::inline_always)] // see `packet`
#[inline(always)]
fn transport<'a>(frame: &Frame<'a>, ip: Ip<'a>, path: Path) -> Option<Packet<'a>> {
    let (ports, _) = ip.rest.split_first_chunk::<4>()?;
    let src_port = u16::from_be_bytes([ports[0], ports[1]]);
    let dst_port = u16::from_be_bytes([ports[2], ports[3]]);
    let (transport, tcp, offset, end) = match ip.protocol {
        protocol::TCP => {
            let h = ip.rest.first_chunk::<20>()?;
            let offset = u32::from(h[12] >> 4) * 4;
            let tcp = Tcp {
                seq: u32::from_be_bytes([h[4], h[5], h[6], h[7]]),
                ack: u32::from_be_bytes([h[8], h[9], h[10], h[11]]),
                flags: h[13],
            };
            (Transport::Tcp, tcp, offset, ip.rest_len)
        }
        protocol::UDP => {
            let h = ip.rest.first_chunk::<8>()?;
            let length = u32::from(u16::from_be_bytes([h[4], h[5]]));
            if length < 8 || overlay::is_port(src_port) || overlay::is_port(dst_port) {
                return None;
            }
            (Transport::Udp, Tcp::default(), 8, length.min(ip.rest_len))
        }
        _ => return None,
    };
    if transport == Transport::Tcp && offset < 20 || offset > end {
        return None;
    }
    let payload = ip.rest.get(offset as usize..).unwrap_or(&[]);
    let payload_len = end - offset;
    Some(Packet {
        pair: ip.pair,
        src_port,
        dst_port,
        transport,
        tcp,
        at: frame.at,
        since: frame.at,
        frames: 1,
        now: frame.now,
        ordinal: frame.ordinal,
        payload: payload.get(..payload_len as usize).unwrap_or(payload),
        payload_len,
        wire_len: frame.wire_len,
        ip_len: ip.total_len,
        ip_id: ip.id,
        ttl: ip.ttl,
        path,
    })
}
