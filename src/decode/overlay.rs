//! What lies in UDP and holds other packets: VXLAN, Geneve, GTP, Teredo, L2TP, CAPWAP, LISP, AYIYA and the like, known
//! by port and form.

use super::ip;
use super::piece::{Piece, Walk};
use super::{Skip, Step, ether, link, tunnel, wan, wifi};
use crate::capture::LinkType;

/// True where a datagram from or to this port may be a tunnel's, so that the short cut must not take it.
#[inline]
pub(super) const fn is_port(port: u16) -> bool {
    matches!(
        port,
        1701 | 2152
            | 3544
            | 4341
            | 4754
            | 4789
            | 4790
            | 5072
            | 5247
            | 6081
            | 6635
            | 8472
            | 12222
            | 12223
            | 37008
    )
}

/// The packet within, if a port is that of a tunnel. The destination port is asked first: it is the one that is
/// registered, the source port is often a hash.
pub(super) fn enter<'a>(w: &mut Walk, (src, dst): (u16, u16), p: Piece<'a>) -> Option<Step<'a>> {
    let port = if is_port(dst) { dst } else { src };
    if !is_port(port) || p.len() == 0 {
        return None;
    }
    w.path.mac = None;
    Some(by_port(w, port, p))
}

fn by_port<'a>(w: &mut Walk, port: u16, p: Piece<'a>) -> Step<'a> {
    w.deeper()?;
    match port {
        1701 => l2tp(w, p),
        2152 => gtp_1(w, p),
        3544 => teredo(w, p),
        4341 => lisp(w, p),
        4754 => tunnel::gre(w, p), // RFC 8086
        4790 => vxlan_gpe(w, p),
        4789 => vxlan(w, p),
        8472 => vxlan_8472(w, p),
        5072 => ayiya(w, p),
        5247 => capwap(w, p),
        6081 => geneve(w, p),
        6635 => wan::mpls(w, p), // RFC 7510
        12222 | 12223 => lwapp(w, p),
        37008 => tzsp(w, p),
        _ => Err(Skip::NotIp),
    }
}

/// VXLAN (RFC 7348): eight bytes with the I flag, then Ethernet; without the flag, or with others that should be 0,
/// only if Ethernet is what follows. Linux sends GPE on this port too.
fn vxlan<'a>(w: &mut Walk, p: Piece<'a>) -> Step<'a> {
    let [flags, r0, r1, next, ..] = p.chunk::<8>(0)?;
    let payload = p.after(8)?;
    match (flags, next) {
        (0x0c, 1..=5) if r0 | r1 == 0 => vxlan_gpe(w, p),
        _ if flags & 0x08 != 0 || ether::plausible(payload) => ether::ethernet(w, payload),
        _ => Err(Skip::NotIp),
    }
}

/// VXLAN on the port that Linux used before there was a registered one (flannel still does): not certain enough to
/// lose the outer packet over what has no ports.
fn vxlan_8472<'a>(w: &mut Walk, p: Piece<'a>) -> Step<'a> {
    let ips = w.ips;
    vxlan(w, p).inspect_err(|_| w.ips = ips)
}

/// VXLAN-GPE (draft-ietf-nvo3-vxlan-gpe): the last byte of the first word names the payload.
fn vxlan_gpe<'a>(w: &mut Walk, p: Piece<'a>) -> Step<'a> {
    let [flags, _, _, next, ..] = p.chunk::<8>(0)?;
    let payload = p.after(8)?;
    if flags & 0x04 == 0 {
        return ether::ethernet(w, payload);
    }
    match next {
        1 => ip::v4(w, payload),
        2 => ip::v6(w, payload),
        3 => ether::ethernet(w, payload),
        4 => nsh(w, payload),
        5 => wan::mpls(w, payload),
        _ => Err(Skip::NotIp),
    }
}

/// Network service header (RFC 8300): length in words, then the payload by its type.
pub(super) fn nsh<'a>(w: &mut Walk, p: Piece<'a>) -> Step<'a> {
    w.deeper()?;
    let [_, b1, _, next] = p.chunk::<4>(0)?;
    let payload = p.after(usize::from(b1 & 0x3f).max(1) * 4)?;
    match next {
        1 => ip::v4(w, payload),
        2 => ip::v6(w, payload),
        3 => ether::ethernet(w, payload),
        4 => nsh(w, payload),
        5 => wan::mpls(w, payload),
        _ => Err(Skip::NotIp),
    }
}

/// Geneve (RFC 8926): version 0, options in words, EtherType.
fn geneve<'a>(w: &mut Walk, p: Piece<'a>) -> Step<'a> {
    let [first, _, t0, t1] = p.chunk::<4>(0)?;
    if first >> 6 != 0 {
        return Err(Skip::NotIp);
    }
    let payload = p.after(8 + usize::from(first & 0x3f) * 4)?;
    ether::ethertype(w, u16::from_be_bytes([t0, t1]), payload)
}

/// GTP-U version 1 (TS 29.281): only a T-PDU (type 255) carries a packet, behind optional fields and extensions.
fn gtp_1<'a>(w: &mut Walk, p: Piece<'a>) -> Step<'a> {
    let [flags, kind, ..] = p.chunk::<8>(0)?;
    if flags >> 5 == 0 {
        return gtp_0(w, p);
    }
    if flags >> 5 != 1 || kind != 255 {
        return Err(Skip::NotIp);
    }
    let mut at = 8;
    if flags & 7 != 0 {
        at = 12;
        let mut next = if flags & 4 != 0 { p.u8(11)? } else { 0 };
        while next != 0 {
            let len = usize::from(p.u8(at)?) * 4;
            if len == 0 {
                return Err(Skip::NotIp);
            }
            at += len;
            next = p.u8(at - 1)?;
        }
    }
    user_plane(w, p.after(at)?)
}

/// GTP version 0 (GSM 09.60), as some gateways still send on version 1's port: twenty bytes, type 255.
fn gtp_0<'a>(w: &mut Walk, p: Piece<'a>) -> Step<'a> {
    let [flags, kind] = *p.head::<2>()?;
    if flags >> 5 != 0 || flags & 0x10 == 0 || kind != 255 {
        return Err(Skip::NotIp);
    }
    user_plane(w, p.after(20)?)
}

/// What a mobile sends: IP of either version, or PPP.
fn user_plane<'a>(w: &mut Walk, p: Piece<'a>) -> Step<'a> {
    match p.u8(0)? >> 4 {
        4 | 6 => ip::any(w, p),
        _ if p.head::<2>()? == &[0xff, 3] => wan::ppp(w, p),
        _ => Err(Skip::NotIp),
    }
}

/// Teredo (RFC 4380 5.1.1): an authentication header, an origin indication, then IPv6.
fn teredo<'a>(w: &mut Walk, mut p: Piece<'a>) -> Step<'a> {
    if p.head::<2>()? == &[0, 1] {
        let (id, auth) = (usize::from(p.u8(2)?), usize::from(p.u8(3)?));
        p = p.after(4 + id + auth + 9)?;
    }
    if p.head::<2>()? == &[0, 0] {
        p = p.after(8)?;
    }
    if p.u8(0)? >> 4 != 6 || p.be16(4).map_or(true, |n| usize::from(n) + 40 > p.len()) {
        return Err(Skip::NotIp);
    }
    ip::v6(w, p)
}

/// LISP data (RFC 9300): eight bytes, then IP.
fn lisp<'a>(w: &mut Walk, p: Piece<'a>) -> Step<'a> {
    let inner = p.after(8)?;
    if ip::plausible(inner) { ip::any(w, inner) } else { Err(Skip::NotIp) }
}

/// L2TP over UDP: version 2 (RFC 2661) carries PPP, version 3 (RFC 3931) anything.
fn l2tp<'a>(w: &mut Walk, p: Piece<'a>) -> Step<'a> {
    let flags = p.be16(0)?;
    if flags & 0x8000 != 0 {
        return Err(Skip::NotIp); // control
    }
    match flags & 15 {
        2 => {
            let mut at = if flags & 0x4000 != 0 { 8 } else { 6 };
            if flags & 0x0800 != 0 {
                at += 4;
            }
            if flags & 0x0200 != 0 {
                at += 2 + usize::from(p.be16(at)?);
            }
            wan::ppp(w, p.after(at)?)
        }
        3 => tunnel::behind_cookie(w, p.after(8)?),
        _ => Err(Skip::NotIp),
    }
}

/// AYIYA (draft-massar-v6ops-ayiya): identity and signature of told lengths, then IPv6.
fn ayiya<'a>(w: &mut Walk, p: Piece<'a>) -> Step<'a> {
    let [identity, signature, operation, next, ..] = p.chunk::<8>(0)?;
    let payload = p.after(8 + (1 << (identity >> 4)) + usize::from(signature >> 4) * 4)?;
    match (operation & 15, next) {
        (1, 41) => ip::v6(w, payload),
        (1, 4) => ip::v4(w, payload),
        _ => Err(Skip::NotIp),
    }
}

/// CAPWAP data (RFC 5415 4.3): a header length in words; the T bit says 802.11, else 802.3. Cisco swaps the bytes of
/// the frame control, so both orders are tried.
fn capwap<'a>(w: &mut Walk, p: Piece<'a>) -> Step<'a> {
    let [preamble, b1, b2, b3] = p.chunk::<4>(0)?;
    match preamble {
        0 => {}
        1 => return Err(Skip::Encrypted), // DTLS
        _ => return Err(Skip::NotIp),
    }
    if b3 & 0x80 != 0 && p.be16(6)? >> 3 != 0 {
        return Err(Skip::NotIp); // a later fragment of a CAPWAP fragmentation
    }
    let payload = p.after(usize::from(b1 >> 3) * 4)?;
    if b3 & 0x08 != 0 {
        return Err(Skip::NotIp); // keep-alive
    }
    // The T bit follows the five bits of the radio's kind.
    if b2 & 1 == 1 { wifi::either_order(w, payload) } else { ether::ethernet(w, payload) }
}

/// LWAPP data (RFC 5412): six bytes when the control bit is off, then 802.11 with swapped frame control.
pub(super) fn lwapp<'a>(w: &mut Walk, p: Piece<'a>) -> Step<'a> {
    if p.u8(0)? & 4 != 0 {
        return Err(Skip::NotIp);
    }
    wifi::either_order(w, p.after(6)?)
}

/// TZSP: version 1, tags until the end tag, then a frame of the named kind.
fn tzsp<'a>(w: &mut Walk, p: Piece<'a>) -> Step<'a> {
    let [version, kind, e0, e1] = p.chunk::<4>(0)?;
    if version != 1 || kind > 1 {
        return Err(Skip::NotIp);
    }
    let mut at = 4;
    loop {
        match p.u8(at)? {
            0 => at += 1,
            1 => break,
            _ => at += 2 + usize::from(p.u8(at + 1)?),
        }
    }
    let link = match u16::from_be_bytes([e0, e1]) {
        1 => LinkType::ETHERNET,
        0x12 => LinkType(105),
        0x77 => LinkType(119),
        0x7f => LinkType(163),
        _ => return Err(Skip::NotIp),
    };
    link::enter(w, link, p.after(at + 1)?)
}
