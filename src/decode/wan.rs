//! Wide-area framings: PPP, PPPoE, Cisco HDLC, frame relay, MPLS with its pseudowires, ATM.

use super::piece::{Piece, Walk};
use super::{Skip, Step, ether, ip};

/// Labels in an MPLS stack that are followed.
const LABELS: usize = 16;

/// PPP (RFC 1661), with or without HDLC's address and control, with a protocol number of one byte or two.
pub(super) fn ppp<'a>(w: &mut Walk, mut p: Piece<'a>) -> Step<'a> {
    w.deeper()?;
    if p.bytes().starts_with(&[0xff, 3]) {
        p = p.after(2)?;
    }
    let first = p.u8(0)?;
    let (protocol, rest) =
        if first & 1 == 1 { (u16::from(first), p.after(1)?) } else { (p.be16(0)?, p.after(2)?) };
    match protocol {
        0x0021 | 0x0800 => ip::v4(w, rest),
        0x0057 | 0x86dd => ip::v6(w, rest),
        0x0281 | 0x0283 => mpls(w, rest),
        0x0031 => bridged(w, rest),
        0x003d => multilink(w, rest),
        0x0053 | 0x0055 => Err(Skip::Encrypted),
        _ => Err(Skip::NotIp),
    }
}

/// Bridging (RFC 3518): flags, MAC type 1 is Ethernet.
fn bridged<'a>(w: &mut Walk, p: Piece<'a>) -> Step<'a> {
    match p.u8(1)? {
        1 => ether::ethernet(w, p.after(2)?),
        _ => Err(Skip::NotIp),
    }
}

/// Multilink (RFC 1990) with long sequence numbers: only packets that came in one piece are read.
fn multilink<'a>(w: &mut Walk, p: Piece<'a>) -> Step<'a> {
    match p.u8(0)? & 0xc0 {
        0xc0 => ppp(w, p.after(4)?),
        _ => Err(Skip::NotIp),
    }
}

/// A PPPoE session (RFC 2516): six bytes with the length, then PPP without address and control.
pub(super) fn pppoe<'a>(w: &mut Walk, p: Piece<'a>) -> Step<'a> {
    w.deeper()?;
    let length = usize::from(p.be16(4)?);
    if p.u8(1)? != 0 {
        return Err(Skip::NotIp);
    }
    let rest = p.after(6)?;
    ppp(w, if length == 0 { rest } else { rest.limit(length) })
}

/// PPP or Cisco HDLC on a serial line: told apart by the address byte.
pub(super) fn serial<'a>(w: &mut Walk, p: Piece<'a>) -> Step<'a> {
    match p.u8(0)? {
        0x0f | 0x8f => cisco_hdlc(w, p),
        _ => ppp(w, p),
    }
}

/// Cisco HDLC: address, control, EtherType.
pub(super) fn cisco_hdlc<'a>(w: &mut Walk, p: Piece<'a>) -> Step<'a> {
    match p.be16(2)? {
        0x2000 | 0x8035 => Err(Skip::NotIp), // CDP, SLARP
        kind => ether::ethertype(w, kind, p.after(4)?),
    }
}

/// Frame relay: Q.922 address of two to four bytes, then RFC 2427 (UI, NLPID) or Cisco's EtherType.
pub(super) fn frame_relay<'a>(w: &mut Walk, p: Piece<'a>) -> Step<'a> {
    w.deeper()?;
    let mut at = 1;
    while p.u8(at)? & 1 == 0 {
        at += 1;
        if at > 3 {
            return Err(Skip::Malformed);
        }
    }
    let rest = p.after(at + 1)?;
    match rest.u8(0)? {
        3 => nlpid(w, rest.after(1)?),
        _ => ether::ethertype(w, rest.be16(0)?, rest.after(2)?),
    }
}

/// Network layer protocol id (RFC 2427), after optional padding.
pub(super) fn nlpid<'a>(w: &mut Walk, mut p: Piece<'a>) -> Step<'a> {
    if p.u8(0)? == 0 {
        p = p.after(1)?;
    }
    let rest = p.after(1)?;
    match p.u8(0)? {
        0xcc => ip::v4(w, rest),
        0x8e => ip::v6(w, rest),
        0x80 => ether::snap(w, rest),
        0xcf => ppp(w, rest),
        _ => Err(Skip::NotIp),
    }
}

/// ATM payloads (RFC 2684): LLC where they begin like it, else the packet itself.
pub(super) fn atm<'a>(w: &mut Walk, p: Piece<'a>) -> Step<'a> {
    match p.head::<3>()? {
        [0xaa | 0xfe, _, 3] => ether::llc(w, p),
        _ if ip::plausible(p) => ip::any(w, p),
        [0, 0, ..] if p.after(2).is_ok_and(ether::plausible) => ether::ethernet(w, p.after(2)?),
        _ => ppp(w, p),
    }
}

/// MPLS (RFC 3032). The stack does not say what it carries; the first nibble tells IP (RFC 4928), 1 is an associated
/// channel, 0 a pseudowire's control word (RFC 4385); an Ethernet pseudowire may also lack that.
pub(super) fn mpls<'a>(w: &mut Walk, mut p: Piece<'a>) -> Step<'a> {
    w.deeper()?;
    for _ in 0..LABELS {
        let entry = p.be32(0)?;
        p = p.after(4)?;
        if entry & 0x100 != 0 {
            return behind_labels(w, p);
        }
    }
    Err(Skip::TooDeep)
}

fn behind_labels<'a>(w: &mut Walk, p: Piece<'a>) -> Step<'a> {
    let control_word = p.after(4).unwrap_or(p.limit(0));
    match p.u8(0)? >> 4 {
        4 | 6 if ip::plausible(p) => ip::any(w, p),
        _ if ether::plausible(p) => ether::ethernet(w, p),
        4 | 6 => ip::any(w, p),
        0 if ether::plausible(control_word) => ether::ethernet(w, control_word),
        0 if ip::plausible(control_word) => ip::any(w, control_word),
        0 if control_word.bytes().starts_with(&[0xff, 3]) => ppp(w, control_word),
        _ => Err(Skip::NotIp),
    }
}
