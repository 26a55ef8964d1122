//! The link types of the tcpdump.org registry, each to the layer below it.

use super::ip;
use super::piece::{Piece, Walk};
use super::{Skip, Step, ether, wan, wifi};
use crate::capture::LinkType;

/// The first layer of a frame, or of a frame within a capture header.
pub(super) fn enter<'a>(w: &mut Walk, link: LinkType, p: Piece<'a>) -> Step<'a> {
    w.deeper()?;
    match link.0 {
        0 => null(w, p),
        1 => ether::ethernet(w, p),
        6 => token_ring(w, p),
        8 => ip::any(w, p.after(16)?), // SLIP as BSD captures it: direction and compressed header
        9 | 50 => wan::serial(w, p),
        10 => ether::llc(w, p.after(13)?), // FDDI: frame control and two addresses
        12 | 14 | 101 => ip::any(w, p),
        228 => ip::v4(w, p),
        229 => ip::v6(w, p),
        51 => wan::pppoe(w, p.after(if p.be16(12)? == 0x8864 { 14 } else { 0 })?),
        100 | 106 => wan::atm(w, p),
        104 | 112 => wan::cisco_hdlc(w, p),
        105 => wifi::bare(w, p),
        107 => wan::frame_relay(w, p),
        108 => family(w, p.be32(0)?, p.after(4)?),
        109 => enc(w, p),
        113 => cooked(w, p),
        117 => pflog(w, p),
        119 => wifi::prism(w, p),
        122 => ether::llc(w, p.after(16)?), // IP over fibre channel: two padded addresses
        123 => wan::atm(w, p.after(4)?),    // SunATM: type, virtual path and circuit
        127 => wifi::radiotap(w, p),
        138 => ether::ethertype(w, p.be16(16)?, p.after(18)?), // IP over IEEE 1394
        143 => docsis(w, p),
        163 => wifi::avs(w, p),
        166 | 204 => wan::ppp(w, behind_direction(p)?),
        167..=168 | 178..=181 | 130..=137 => juniper(w, link.0, p),
        192 => wifi::ppi(w, p),
        197 => erf(w, p),
        205 => wan::cisco_hdlc(w, p.after(1)?),
        206 => wan::frame_relay(w, p.after(1)?),
        226 => ip::any(w, p.after(24)?), // Solaris IPNET
        239 => nflog(w, p),
        240 => ether::ethernet(w, p.after(4)?.without_tail(4)), // NetAnalyzer
        241 => ether::ethernet(w, p.after(12)?.without_tail(4)),
        242 => ether::ethertype(w, p.be16(40)?, p.after(44)?), // IP over InfiniBand
        258 => pktap(w, p),
        259 | 274 => ether::ethernet(w, p.after(8)?), // EPON, mPacket: preamble kept
        276 => cooked_2(w, p),
        281 | 284 => tagged(w, 4, p),
        282 => ether::ethernet(w, p.after(4)?), // Broadcom tag before the addresses
        285 => tagged(w, 8, p),
        _ => Err(Skip::LinkType),
    }
}

/// BSD loopback: the address family in the byte order of the machine that captured.
fn null<'a>(w: &mut Walk, p: Piece<'a>) -> Step<'a> {
    let be = p.be32(0)?;
    // Some drivers write HDLC here (ff 03), or leave a type in the last two bytes.
    if be >> 16 == 0xff03 {
        return wan::ppp(w, p);
    }
    family(w, if be > 0xffff { be.swap_bytes() } else { be }, p.after(4)?)
}

/// An address family: AF_INET is 2 everywhere, AF_INET6 differs from system to system.
fn family<'a>(w: &mut Walk, family: u32, p: Piece<'a>) -> Step<'a> {
    match family {
        2 => ip::v4(w, p),
        10 | 23 | 24 | 26 | 28 | 30 => ip::v6(w, p),
        0x600..=0xffff => ether::ethertype(w, family as u16, p),
        _ if family.swap_bytes() == 2 => ip::v4(w, p),
        _ if matches!(family.swap_bytes(), 10 | 23 | 24 | 26 | 28 | 30) => ip::v6(w, p),
        _ => Err(Skip::NotIp),
    }
}

/// Linux cooked capture, version 1: type, hardware, address, protocol.
fn cooked<'a>(w: &mut Walk, p: Piece<'a>) -> Step<'a> {
    let (hardware, protocol) = (p.be16(2)?, p.be16(14)?);
    cooked_body(w, hardware, protocol, p.after(16)?)
}

/// Version 2: protocol first, twenty bytes.
fn cooked_2<'a>(w: &mut Walk, p: Piece<'a>) -> Step<'a> {
    let (protocol, hardware) = (p.be16(0)?, p.be16(8)?);
    cooked_body(w, hardware, protocol, p.after(20)?)
}

/// The hardware type says what the protocol means; below 0x600 Linux has numbers of its own.
fn cooked_body<'a>(w: &mut Walk, hardware: u16, protocol: u16, p: Piece<'a>) -> Step<'a> {
    match (hardware, protocol) {
        (770, _) => wan::frame_relay(w, p),
        (824, _) => Err(Skip::NotIp), // netlink
        (801, _) => wifi::bare(w, p),
        (802, _) => wifi::prism(w, p),
        (803, _) => wifi::radiotap(w, p),
        (778, _) => super::tunnel::gre_payload(w, protocol, p),
        (_, 3) => ether::ethernet(w, p),
        (_, 1 | 4) => ether::llc(w, p),
        (_, 0x0007 | 0x0008) => wan::ppp(w, p),
        (_, 0x0060) => ip::any(w, p),
        _ => ether::ethertype(w, protocol, p),
    }
}

/// OpenBSD encapsulation: family, SPI, flags.
fn enc<'a>(w: &mut Walk, p: Piece<'a>) -> Step<'a> {
    let rest = p.after(12)?;
    if ip::plausible(rest) { ip::any(w, rest) } else { Err(Skip::NotIp) }
}

/// OpenBSD packet filter log: own length first, rounded up to words.
fn pflog<'a>(w: &mut Walk, p: Piece<'a>) -> Step<'a> {
    ip::any(w, p.after(usize::from(p.u8(0)?).next_multiple_of(4))?)
}

/// Token ring: access and frame control, addresses, source routing where the source's top bit is set.
fn token_ring<'a>(w: &mut Walk, p: Piece<'a>) -> Step<'a> {
    if p.u8(1)? & 0xc0 != 0x40 {
        return Err(Skip::NotIp);
    }
    let routing = if p.u8(8)? & 0x80 != 0 { usize::from(p.u8(14)? & 0x1f) } else { 0 };
    ether::llc(w, p.after(14 + routing)?)
}

/// PPP with a direction byte, which pppd puts in place of the address byte.
fn behind_direction(p: Piece<'_>) -> Result<Piece<'_>, Skip> {
    match *p.head::<2>()? {
        [0 | 1, 3] => p.after(2),
        [0 | 1, _] => p.after(1),
        _ => Ok(p),
    }
}

/// DOCSIS: only packet PDUs (FC type 0), behind an optional extended header.
fn docsis<'a>(w: &mut Walk, p: Piece<'a>) -> Step<'a> {
    let [control, parameter, ..] = p.chunk::<6>(0)?;
    if control >> 6 != 0 {
        return Err(Skip::NotIp);
    }
    let extended = if control & 1 == 1 { usize::from(parameter) } else { 0 };
    ether::ethernet(w, p.after(6 + extended)?.without_tail(4))
}

/// Endace: sixteen bytes, extension headers of eight while the top bit of a type is set, then by type.
fn erf<'a>(w: &mut Walk, p: Piece<'a>) -> Step<'a> {
    w.deeper()?;
    let kind = p.u8(8)?;
    let wire = usize::from(p.be16(14)?);
    let (mut at, mut more) = (16, kind & 0x80 != 0);
    while more {
        more = p.u8(at)? & 0x80 != 0;
        at += 8;
    }
    let rest = p.after(at)?;
    match kind & 0x7f {
        1 | 10 | 15 | 17 => wan::serial(w, rest.limit(wire)),
        2 | 11 | 16 | 20 => ether::ethernet(w, rest.after(2)?.limit(wire).without_tail(4)),
        22 | 23 => ip::any(w, rest.limit(wire)),
        _ => Err(Skip::NotIp),
    }
}

/// Netfilter log: a family, then attributes in the byte order of the machine; attribute 9 is the packet.
fn nflog<'a>(w: &mut Walk, p: Piece<'a>) -> Step<'a> {
    let family_of = p.u8(0)?;
    let mut rest = p.after(4)?;
    loop {
        let (le, be) = (rest.le16(0)?, rest.be16(0)?);
        let swapped = rest.le16(2)? > 0xff;
        let (length, kind) = if swapped { (be, rest.be16(2)?) } else { (le, rest.le16(2)?) };
        let length = usize::from(length);
        if length < 4 {
            return Err(Skip::Malformed);
        }
        if kind == 9 {
            let packet = rest.limit(length).after(4)?;
            return match family_of {
                2 => ip::v4(w, packet),
                10 => ip::v6(w, packet),
                _ => Err(Skip::NotIp),
            };
        }
        rest = rest.after(length.next_multiple_of(4))?;
    }
}

/// Apple's packet tap: little-endian header length, type of record, link type.
fn pktap<'a>(w: &mut Walk, p: Piece<'a>) -> Step<'a> {
    let (length, dlt) = (p.le32(0)? as usize, p.le32(8)?);
    enter(w, LinkType::from_header(dlt), p.after(length)?)
}

/// A switch's tag of `len` bytes between the addresses and the type (Broadcom, Marvell DSA and EDSA).
fn tagged<'a>(w: &mut Walk, len: usize, p: Piece<'a>) -> Step<'a> {
    let [d0, d1, d2, d3, d4, d5, s0, s1, s2, s3, s4, s5] = p.chunk::<12>(0)?;
    w.mac([d0, d1, d2, d3, d4, d5], [s0, s1, s2, s3, s4, s5]);
    ether::typed(w, p.be16(12 + len)?, p.after(14 + len)?)
}

/// Juniper: magic, flags, an extension of told length; then what the link type says, or IP where no link header is.
fn juniper<'a>(w: &mut Walk, link: u16, p: Piece<'a>) -> Step<'a> {
    let [m0, m1, m2, flags] = p.chunk::<4>(0)?;
    if [m0, m1, m2] != *b"MGC" {
        return Err(Skip::Malformed);
    }
    let extension = if flags & 0x80 != 0 { 2 + usize::from(p.be16(4)?) } else { 0 };
    let rest = p.after(4 + extension)?;
    if flags & 2 != 0 || ip::plausible(rest) {
        // No link header; four bytes of family where it is not IP at once.
        return if ip::plausible(rest) { ip::any(w, rest) } else { ip::any(w, rest.after(4)?) };
    }
    match link {
        178 => ether::ethernet(w, rest),
        179 => wan::ppp(w, rest),
        180 => wan::frame_relay(w, rest),
        181 => wan::cisco_hdlc(w, rest),
        167 => wan::pppoe(w, rest.after(if ether::plausible(rest) { 14 } else { 0 })?),
        _ => juniper_services(w, rest),
    }
}

/// Service and ATM cards put a cookie of 4 to 8 bytes before the packet.
fn juniper_services<'a>(w: &mut Walk, p: Piece<'a>) -> Step<'a> {
    for skip in [4, 8, 2, 6, 12] {
        let Ok(inner) = p.after(skip) else { continue };
        if ip::plausible(inner) {
            return ip::any(w, inner);
        }
        if matches!(inner.head(), Ok([0xaa | 0xfe, 0xaa | 0xfe, 3])) {
            return ether::llc(w, inner);
        }
    }
    Err(Skip::NotIp)
}
