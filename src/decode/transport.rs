//! The end of the walk: TCP and UDP headers.

use super::ip::Header;
use super::piece::{Piece, Walk};
use super::{Decoded, Packet, Skip, Step, Tcp, Transport, overlay};

/// RFC 9293. A header that is cut before its data offset, or whose data offset is below 5, still names the flow when
/// its ports are there: the packet then counts with neither payload nor flags (TShark counts it so, and the bytes went
/// over the wire). Cut behind the flags, the length of the payload is known.
pub(super) fn tcp<'a>(w: &Walk, ip: Header, p: Piece<'a>) -> Step<'a> {
    let ports = ports(p)?;
    let Ok(h) = p.head::<14>() else {
        return Ok(packet(w, ip, Transport::Tcp, ports, Tcp::default(), p.limit(0)));
    };
    let offset = usize::from(h[12] >> 4) * 4;
    if offset < 20 {
        return Ok(packet(w, ip, Transport::Tcp, ports, Tcp::default(), p.limit(0)));
    }
    let tcp = Tcp {
        seq: u32::from_be_bytes([h[4], h[5], h[6], h[7]]),
        ack: u32::from_be_bytes([h[8], h[9], h[10], h[11]]),
        flags: h[13],
    };
    Ok(packet(w, ip, Transport::Tcp, ports, tcp, p.beyond(offset)))
}

/// RFC 768. A length of 0 is that of a jumbogram (RFC 2675) or of an offload beyond 64 KiB; other lengths below 8 are
/// wrong, and the packet counts without payload, as does one whose header is cut behind the ports. A length beyond the
/// IP packet is not believed: a header must not be able to invent an upload.
///
/// On the port of a tunnel the inner packet is the flow. Where the payload holds no IP header that can be reached
/// (ARP in VXLAN, GTP echo, not that tunnel after all), this UDP packet is it; where it holds one without ports
/// (ICMP in GTP), nothing is.
pub(super) fn udp<'a>(w: &mut Walk, ip: Header, p: Piece<'a>) -> Step<'a> {
    let ports = ports(p)?;
    let payload = match p.be16(4).map_or(0, usize::from) {
        0 if p.len() > 0xffff => p.beyond(8),
        length => p.beyond(8).limit(length.saturating_sub(8)),
    };
    let outer = *w;
    match overlay::enter(w, ports, payload) {
        Some(Ok(found)) => return Ok(found),
        Some(Err(skip)) if w.ips > outer.ips && skip != Skip::Malformed => return Err(skip),
        _ => *w = outer,
    }
    Ok(packet(w, ip, Transport::Udp, ports, Tcp::default(), payload))
}

/// Source and destination port: what makes a flow of a packet.
fn ports(p: Piece<'_>) -> Result<(u16, u16), Skip> {
    Ok((p.be16(0)?, p.be16(2)?))
}

fn packet<'a>(
    w: &Walk,
    ip: Header,
    transport: Transport,
    (src_port, dst_port): (u16, u16),
    tcp: Tcp,
    payload: Piece<'a>,
) -> Decoded<'a> {
    Decoded::Packet(Packet {
        pair: ip.pair,
        src_port,
        dst_port,
        transport,
        tcp,
        at: w.at,
        since: w.at,
        frames: 1,
        now: w.now,
        ordinal: w.ordinal,
        payload: payload.bytes(),
        payload_len: payload.len() as u32,
        wire_len: w.wire_len,
        ip_len: ip.ip_len,
        ip_id: ip.id,
        ttl: ip.ttl,
        path: w.path_here(),
    })
}
