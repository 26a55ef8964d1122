//! 802.11 data frames, bare or behind a capture header.

use super::piece::{Piece, Walk};
use super::{Skip, Step, ether, link};
use crate::capture::LinkType;

/// Sub-frames of an A-MSDU that are looked at.
const SUBFRAMES: usize = 32;

/// 802.11 behind radiotap: its length, and from its flags whether a checksum ends the frame and the header is padded.
pub(super) fn radiotap<'a>(w: &mut Walk, p: Piece<'a>) -> Step<'a> {
    let length = usize::from(p.le16(2)?);
    if length < 8 {
        return Err(Skip::Malformed);
    }
    let flags = radiotap_flags(p).unwrap_or(0);
    let frame = p.after(length)?;
    let frame = if flags & 0x10 != 0 { frame.without_tail(4) } else { frame };
    frame_80211(w, frame, flags & 0x20 != 0, false)
}

/// The flags field: behind all words of presence bits and the 8-byte timer, if that is there.
fn radiotap_flags(p: Piece<'_>) -> Option<u8> {
    let present = p.le32(4).ok()?;
    let mut at = 8;
    let mut word = present;
    while word & 0x8000_0000 != 0 {
        word = p.le32(at).ok()?;
        at += 4;
    }
    if present & 2 == 0 {
        return None;
    }
    if present & 1 != 0 {
        at = at.next_multiple_of(8) + 8;
    }
    p.u8(at).ok()
}

/// Per-packet information: little-endian length and link type of what follows.
pub(super) fn ppi<'a>(w: &mut Walk, p: Piece<'a>) -> Step<'a> {
    w.deeper()?;
    let (length, dlt) = (usize::from(p.le16(2)?), p.le32(4)?);
    if length < 8 {
        return Err(Skip::Malformed);
    }
    let frame = p.after(length)?;
    if dlt != 105 {
        return link::enter(w, LinkType::from_header(dlt), frame);
    }
    // Field 2 (802.11-Common) has the flags at its bytes 8..10: bit 0 says that a checksum ends the frame.
    let checksum = p.le16(8).is_ok_and(|kind| kind == 2) && p.le16(20).is_ok_and(|flags| flags & 1 == 1);
    frame_80211(w, if checksum { frame.without_tail(4) } else { frame }, false, false)
}

/// Prism: a header that tells its length; the AVS header is found under the same link type.
pub(super) fn prism<'a>(w: &mut Walk, p: Piece<'a>) -> Step<'a> {
    let cookie = p.be32(0)?;
    if cookie & 0xffff_fff0 == 0x8021_1000 {
        return avs(w, p);
    }
    let length = match (p.le32(4)?, p.be32(4)?) {
        (144, _) | (_, 144) => 144,
        (le, be) => le.min(be) as usize,
    };
    frame_80211(w, p.after(length)?, false, false)
}

/// AVS: magic, big-endian length.
pub(super) fn avs<'a>(w: &mut Walk, p: Piece<'a>) -> Step<'a> {
    let length = p.be32(4)? as usize;
    frame_80211(w, p.after(length)?, false, false)
}

/// Bare 802.11.
pub(super) fn bare<'a>(w: &mut Walk, p: Piece<'a>) -> Step<'a> {
    frame_80211(w, p, false, false)
}

/// 802.11 whose frame control some equipment swaps (Cisco's CAPWAP and LWAPP): the order in which it is a data frame
/// of version 0.
pub(super) fn either_order<'a>(w: &mut Walk, p: Piece<'a>) -> Step<'a> {
    let [b0, b1] = *p.head::<2>()?;
    let swapped = b0 & 0x0f != 0x08 && b1 & 0x0f == 0x08;
    frame_80211(w, p, false, swapped)
}

fn frame_80211<'a>(w: &mut Walk, p: Piece<'a>, padded: bool, swapped: bool) -> Step<'a> {
    w.deeper()?;
    let [b0, b1] = *p.head::<2>()?;
    let (kind, flags) = if swapped { (b1, b0) } else { (b0, b1) };
    // Version 0, type data, and a subtype that carries data.
    if kind & 0x0f != 0x08 || kind & 0x40 != 0 {
        return Err(Skip::NotIp);
    }
    let mut len = if flags & 3 == 3 { 30 } else { 24 };
    let mut aggregate = false;
    if kind & 0x80 != 0 {
        aggregate = p.u8(len)? & 0x80 != 0;
        len += if flags & 0x80 != 0 { 6 } else { 2 }; // quality of service; with the order bit, HT control
    }
    if flags & 0x40 != 0 {
        return Err(Skip::Encrypted);
    }
    if padded {
        len = len.next_multiple_of(4);
    }
    let [a1, a2, a3] = [p.chunk::<6>(4)?, p.chunk::<6>(10)?, p.chunk::<6>(16)?];
    match flags & 3 {
        0 => w.mac(a1, a2),
        1 => w.mac(a3, a2),
        2 => w.mac(a1, a3),
        _ => w.mac(a3, p.chunk::<6>(24)?),
    }
    if !swapped && p.u8(22)? & 0x0f != 0 {
        return Err(Skip::NotIp); // a later fragment of an 802.11 fragmentation
    }
    let body = p.after(len)?;
    if aggregate { subframes(w, body) } else { payload(w, body) }
}

/// LLC in nearly all networks; a few vendors send Ethernet headers instead.
fn payload<'a>(w: &mut Walk, p: Piece<'a>) -> Step<'a> {
    match p.head::<2>()? {
        [0xaa, 0xaa] | [0xfe, 0xfe] | [0x42, 0x42] | [6, 6] => ether::llc(w, p),
        _ if ether::plausible(p) => link::enter(w, LinkType::ETHERNET, p),
        _ => ether::llc(w, p),
    }
}

/// An A-MSDU holds several packets, but a frame makes one: the last that can be decoded (as TShark's last IP layer).
fn subframes<'a>(w: &mut Walk, mut p: Piece<'a>) -> Step<'a> {
    let mut best = Err(Skip::NotIp);
    let start = *w;
    for _ in 0..SUBFRAMES {
        let Ok(h) = p.head::<14>() else { break };
        let length = usize::from(u16::from_be_bytes([h[12], h[13]]));
        let mut here = start;
        here.mac([h[0], h[1], h[2], h[3], h[4], h[5]], [h[6], h[7], h[8], h[9], h[10], h[11]]);
        let found = p.after(14).and_then(|body| payload(&mut here, body.limit(length)));
        if found.is_ok() || best.is_err() {
            best = found;
            *w = here;
        }
        let Ok(next) = p.after((14 + length).next_multiple_of(4)) else { break };
        p = next;
    }
    best
}
