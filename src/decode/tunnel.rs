//! What lies directly in IP and holds other packets: IP-in-IP, GRE in all its forms, ERSPAN, EtherIP, L2TPv3, MPLS,
//! PIM registers.

use super::ip::{self, protocol::*};
use super::piece::{Piece, Walk};
use super::{Skip, Step, ether, wan, wifi};

/// True for the protocols that [`enter`] looks into.
pub(super) const fn known(protocol: u8) -> bool {
    matches!(protocol, IPV4 | ETHERNET | IPV6 | GRE | ETHERIP | L2TP | MPLS | PIM)
}

/// A protocol without ports of its own.
pub(super) fn enter<'a>(w: &mut Walk, protocol: u8, p: Piece<'a>) -> Step<'a> {
    w.path.mac = None; // The link addresses were those of the tunnel's ends.
    match protocol {
        IPV4 => ip::any(w, p),
        IPV6 => ip::v6(w, p),
        GRE => gre(w, p),
        ETHERIP => ether::ethernet(w, p.after(2)?), // RFC 3378: version 3, reserved bits
        ETHERNET => ether::ethernet(w, p),          // RFC 8986 (SRv6)
        L2TP => l2tp_v3(w, p),
        MPLS => wan::mpls(w, p), // RFC 4023
        PIM => pim(w, p),
        _ => Err(Skip::IpProtocol),
    }
}

/// GRE: RFC 2784 and 2890 (checksum, key, sequence), RFC 1701 (routing), version 1 of RFC 2637 (PPTP).
pub(super) fn gre<'a>(w: &mut Walk, p: Piece<'a>) -> Step<'a> {
    w.deeper()?;
    let [flags, version, ..] = p.chunk::<4>(0)?;
    let protocol = p.be16(2)?;
    let mut at = 4;
    if flags & 0xc0 != 0 {
        at += 4; // checksum and offset, both there if either is
    }
    for bit in [0x20, 0x10] {
        if flags & bit != 0 {
            at += 4; // key, sequence number
        }
    }
    if version & 7 == 1 {
        if version & 0x80 != 0 {
            at += 4; // acknowledgement
        }
        let payload = p.after(at)?;
        return match protocol {
            _ if payload.len() == 0 => Err(Skip::NotIp), // a mere acknowledgement
            0x6400 => ether::ethernet(w, payload),       // MikroTik's Ethernet over IP
            _ => wan::ppp(w, payload),
        };
    }
    if flags & 0x40 != 0 {
        at = behind_routes(p, at)?;
    }
    let payload = p.after(at)?;
    if protocol == 0x88be && flags & 0x10 != 0 {
        erspan_2(w, payload)
    } else {
        gre_payload(w, protocol, payload)
    }
}

/// What GRE's protocol field announces: EtherTypes, and some numbers of its own.
pub(super) fn gre_payload<'a>(w: &mut Walk, protocol: u16, payload: Piece<'a>) -> Step<'a> {
    match protocol {
        0x88be => ether::ethernet(w, payload), // ERSPAN I has no header of its own and no sequence number
        0x22eb => erspan_3(w, payload),
        0x883e => wccp(w, payload),
        0x6559 => wan::frame_relay(w, payload),
        0x8200..=0x83ff => wifi::either_order(w, payload), // Aruba access points
        0x8881 | 0x88d2 => wan::ppp(w, payload),           // CDMA2000 A10
        other => ether::ethertype(w, other, payload),
    }
}

/// Skips the source route entries of RFC 1701: family, offset, length; all zero at the end.
fn behind_routes(p: Piece<'_>, mut at: usize) -> Result<usize, Skip> {
    loop {
        let [f0, f1, _, len] = p.chunk::<4>(at)?;
        at += 4 + usize::from(len);
        if f0 | f1 | len == 0 {
            return Ok(at);
        }
    }
}

/// ERSPAN type II (draft-foschiano-erspan): version 1, eight bytes, then Ethernet. Version 2 is type III under the
/// wrong number.
fn erspan_2<'a>(w: &mut Walk, p: Piece<'a>) -> Step<'a> {
    match p.u8(0)? >> 4 {
        1 => ether::ethernet(w, p.after(8)?),
        2 => erspan_3(w, p),
        _ => Err(Skip::Malformed),
    }
}

/// ERSPAN type III: twelve bytes, eight more with the O bit; the frame type says Ethernet or IP.
fn erspan_3<'a>(w: &mut Walk, p: Piece<'a>) -> Step<'a> {
    let [b0, .., b10, b11] = p.chunk::<12>(0)?;
    if b0 >> 4 != 2 {
        return Err(Skip::Malformed);
    }
    let payload = p.after(if b11 & 1 == 1 { 20 } else { 12 })?;
    match b10 >> 2 & 0x1f {
        2 => ip::any(w, payload),
        _ => ether::ethernet(w, payload),
    }
}

/// WCCP redirection: version 2 puts four bytes before the packet, version 1 none.
fn wccp<'a>(w: &mut Walk, p: Piece<'a>) -> Step<'a> {
    if p.u8(0)? >> 4 == 4 { ip::v4(w, p) } else { ip::any(w, p.after(4)?) }
}

/// L2TPv3 over IP (RFC 3931): session 0 is control. Size of cookie and sublayer are known to the ends only.
fn l2tp_v3<'a>(w: &mut Walk, p: Piece<'a>) -> Step<'a> {
    if p.be32(0)? == 0 {
        return Err(Skip::NotIp);
    }
    behind_cookie(w, p.after(4)?)
}

/// Finds the packet behind a cookie of 0, 4 or 8 bytes and an optional sublayer of 4, by what makes sense.
pub(super) fn behind_cookie<'a>(w: &mut Walk, p: Piece<'a>) -> Step<'a> {
    for skip in [0, 4, 8, 12] {
        let Ok(inner) = p.after(skip) else { break };
        if ether::plausible(inner) {
            return ether::ethernet(w, inner);
        }
        if ip::plausible(inner) {
            return ip::any(w, inner);
        }
        if inner.head::<2>() == Ok(&[0xff, 3]) {
            return wan::ppp(w, inner);
        }
    }
    Err(Skip::NotIp)
}

/// A PIM version 2 register (RFC 7761 4.9.3) carries the multicast packet.
fn pim<'a>(w: &mut Walk, p: Piece<'a>) -> Step<'a> {
    if p.u8(0)? != 0x21 {
        return Err(Skip::IpProtocol);
    }
    let inner = p.after(8)?;
    if inner.len() < 20 { Err(Skip::IpProtocol) } else { ip::any(w, inner) }
}
