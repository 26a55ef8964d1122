//! IPv4 and IPv6 headers, extension headers and fragments.

use super::piece::{Piece, Walk};
use super::{Decoded, Fragment, Pair, Skip, Step, transport, tunnel};
use etherparse::{IpAuthHeaderSlice, Ipv6FragmentHeaderSlice, Ipv6RawExtHeaderSlice};

/// IP protocol numbers (IANA "Assigned Internet Protocol Numbers") that are looked into.
pub(super) mod protocol {
    pub(in super::super) const HOP_BY_HOP: u8 = 0;
    pub(in super::super) const ICMP: u8 = 1;
    pub(in super::super) const IGMP: u8 = 2;
    pub(in super::super) const IPV4: u8 = 4;
    pub(in super::super) const TCP: u8 = 6;
    pub(in super::super) const UDP: u8 = 17;
    pub(in super::super) const IPV6: u8 = 41;
    pub(in super::super) const ROUTING: u8 = 43;
    pub(in super::super) const FRAGMENT: u8 = 44;
    pub(in super::super) const GRE: u8 = 47;
    pub(in super::super) const AH: u8 = 51;
    pub(in super::super) const ICMPV6: u8 = 58;
    pub(in super::super) const OPTIONS: u8 = 60;
    pub(in super::super) const ETHERIP: u8 = 97;
    pub(in super::super) const PIM: u8 = 103;
    pub(in super::super) const L2TP: u8 = 115;
    pub(in super::super) const MOBILITY: u8 = 135;
    pub(in super::super) const MPLS: u8 = 137;
    pub(in super::super) const HIP: u8 = 139;
    pub(in super::super) const SHIM6: u8 = 140;
    pub(in super::super) const ETHERNET: u8 = 143;
}
use protocol::*;

/// What the layers above need of an IP header.
#[derive(Clone, Copy, Debug)]
pub(super) struct Header {
    /// Addresses.
    pub(super) pair: Pair,
    /// Time to live or hop limit.
    pub(super) ttl: u8,
    /// IPv4 identification; 0 for IPv6.
    pub(super) id: u16,
    /// Length of the whole IP packet.
    pub(super) ip_len: u32,
}

/// Where a fragment belongs in its datagram.
#[derive(Clone, Copy, Debug)]
struct Place {
    id: u32,
    protocol: u8,
    offset: u32,
    more: bool,
}

/// IPv4 or IPv6, as the version says: what raw link types and most tunnels hold.
pub(super) fn any<'a>(w: &mut Walk, p: Piece<'a>) -> Step<'a> {
    match p.u8(0)? >> 4 {
        4 => v4(w, p),
        6 => v6(w, p),
        _ => Err(Skip::Malformed),
    }
}

/// True for bytes that begin like an IP packet which fits: for framings that do not say what they hold.
pub(super) fn plausible(p: Piece<'_>) -> bool {
    let (Ok(first), Ok(v4_len), Ok(v6_len)) = (p.u8(0), p.be16(2), p.be16(4)) else { return false };
    match first >> 4 {
        4 => first & 15 >= 5 && (usize::from(v4_len) <= p.len() && v4_len >= 20 || v4_len == 0),
        6 => usize::from(v6_len) + 40 <= p.len(),
        _ => false,
    }
}

/// RFC 791. A total length of 0 is what segmentation offload leaves behind: the packet is what the frame holds.
/// Bytes beyond the total length are padding of the link layer.
pub(super) fn v4<'a>(w: &mut Walk, p: Piece<'a>) -> Step<'a> {
    w.deeper()?;
    w.ips += 1;
    let h = p.head::<20>()?;
    if h[0] >> 4 == 6 {
        w.ips -= 1;
        return v6(w, p); // Some stacks put IPv6 below the EtherType and PPP number of IPv4.
    }
    let header_len = usize::from(h[0] & 15) * 4;
    let total = match u16::from_be_bytes([h[2], h[3]]) {
        0 => p.len(),
        total => usize::from(total),
    };
    if h[0] >> 4 != 4 || header_len < 20 || total < header_len {
        return Err(Skip::Malformed);
    }
    let header = Header {
        pair: Pair::V4 {
            src: u32::from_be_bytes([h[12], h[13], h[14], h[15]]),
            dst: u32::from_be_bytes([h[16], h[17], h[18], h[19]]),
        },
        ttl: h[8],
        id: u16::from_be_bytes([h[4], h[5]]),
        ip_len: total as u32,
    };
    let body_of = p.limit(total).after(header_len)?;
    let flags = u16::from_be_bytes([h[6], h[7]]);
    if flags & 0x3fff != 0 {
        let place = Place {
            id: u32::from(header.id),
            protocol: h[9],
            offset: u32::from(flags & 0x1fff) * 8,
            more: flags & 0x2000 != 0,
        };
        return fragment(w, header, place, body_of);
    }
    body(w, header, h[9], body_of)
}

/// RFC 8200. A payload length of 0 is that of a jumbogram (RFC 2675) or of a segmentation offload.
pub(super) fn v6<'a>(w: &mut Walk, p: Piece<'a>) -> Step<'a> {
    w.deeper()?;
    w.ips += 1;
    let h = p.head::<40>()?;
    if h[0] >> 4 != 6 {
        return Err(Skip::Malformed);
    }
    let rest = p.after(40)?;
    let payload_len = match u16::from_be_bytes([h[4], h[5]]) {
        0 if h[6] == HOP_BY_HOP => jumbo_len(rest).unwrap_or(rest.len()),
        0 => rest.len(),
        n => usize::from(n),
    };
    let (addresses, _) = p.beyond(8).bytes().split_first_chunk::<32>().ok_or(Skip::Cut)?;
    let (src, dst) = halves(addresses);
    let header = Header {
        pair: Pair::V6 { src, dst },
        ttl: h[7],
        id: 0,
        ip_len: u32::try_from(payload_len + 40).unwrap_or(u32::MAX),
    };
    body(w, header, h[6], rest.limit(payload_len))
}

/// Two IPv6 addresses in a row.
#[inline]
pub(super) fn halves(both: &[u8; 32]) -> (u128, u128) {
    let mut src = [0; 16];
    let mut dst = [0; 16];
    src.copy_from_slice(&both[..16]);
    dst.copy_from_slice(&both[16..]);
    (u128::from_be_bytes(src), u128::from_be_bytes(dst))
}

/// The length in a jumbo payload option (RFC 2675: type 0xc2, length 4), looked for where it has to stand: first, or
/// behind padding.
fn jumbo_len(p: Piece<'_>) -> Option<usize> {
    let end = (usize::from(p.u8(1).ok()?) + 1) * 8;
    let mut at = 2;
    while at < end {
        match p.u8(at).ok()? {
            0 => at += 1,
            0xc2 => return p.be32(at + 2).ok().map(|n| n as usize),
            _ => at += 2 + usize::from(p.u8(at + 1).ok()?),
        }
    }
    None
}

/// What an IP header is followed by: extension headers first, each at least eight bytes long, then the protocol.
pub(super) fn body<'a>(w: &mut Walk, header: Header, next: u8, p: Piece<'a>) -> Step<'a> {
    if matches!(header.pair, Pair::V4 { .. }) && next != AH {
        return inner(w, header, next, p);
    }
    let (mut next, mut p) = (next, p);
    loop {
        let (after, len) = match next {
            HOP_BY_HOP | ROUTING | OPTIONS | MOBILITY | HIP | SHIM6 => {
                let h = Ipv6RawExtHeaderSlice::from_slice(p.bytes()).map_err(|_| Skip::Cut)?;
                (h.next_header().0, h.slice().len())
            }
            AH => {
                let h = IpAuthHeaderSlice::from_slice(p.bytes()).map_err(|_| Skip::Cut)?;
                (h.next_header().0, h.slice().len())
            }
            FRAGMENT => {
                let h = Ipv6FragmentHeaderSlice::from_slice(p.bytes()).map_err(|_| Skip::Cut)?;
                if h.is_fragmenting_payload() {
                    let place = Place {
                        id: h.identification(),
                        protocol: h.next_header().0,
                        offset: u32::from(h.fragment_offset().value()) * 8,
                        more: h.more_fragments(),
                    };
                    return fragment(w, header, place, p.after(8)?);
                }
                (h.next_header().0, 8)
            }
            _ => return inner(w, header, next, p),
        };
        (next, p) = (after, p.after(len)?);
    }
}

/// The protocol above IP.
fn inner<'a>(w: &mut Walk, header: Header, protocol: u8, p: Piece<'a>) -> Step<'a> {
    match protocol {
        TCP => transport::tcp(w, header, p),
        UDP => transport::udp(w, header, p),
        ICMP | ICMPV6 | IGMP => Err(Skip::Icmp),
        _ => tunnel::enter(w, protocol, p),
    }
}

/// A fragment goes out as one if its datagram could make a flow: of what cannot, every piece is skipped at once.
fn fragment<'a>(w: &Walk, header: Header, place: Place, p: Piece<'a>) -> Step<'a> {
    match place.protocol {
        ICMP | ICMPV6 | IGMP => return Err(Skip::Icmp),
        TCP | UDP | AH => {}
        HOP_BY_HOP | ROUTING | OPTIONS | MOBILITY | HIP | SHIM6 if matches!(header.pair, Pair::V6 { .. }) => {
        }
        other if tunnel::known(other) => {}
        _ => return Err(Skip::IpProtocol),
    }
    Ok(Decoded::Fragment(Fragment {
        pair: header.pair,
        id: place.id,
        protocol: place.protocol,
        offset: place.offset,
        more: place.more,
        payload: p.bytes(),
        payload_len: p.len() as u32,
        ip_len: header.ip_len,
        wire_len: w.wire_len,
        at: w.at,
        since: w.at,
        frames: 1,
        now: w.now,
        ordinal: w.ordinal,
        ttl: header.ttl,
        path: w.path_here(),
    }))
}
