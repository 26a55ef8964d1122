//! Ethernet II, 802.3 with LLC and SNAP, and everything that stands between the addresses and the packet.

use super::ip;
use super::piece::{Piece, Walk};
use super::{Skip, Step, overlay, wan, wifi};

/// Ethernet II or 802.3: above 1535 the field is a type, up to 1500 it is a length.
pub(super) fn ethernet<'a>(w: &mut Walk, p: Piece<'a>) -> Step<'a> {
    w.deeper()?;
    let h = p.head::<14>()?;
    if matches!(h[..5], [0x01 | 0x0c, 0, 0x0c, 0, 0]) {
        return ethernet(w, p.after(26)?.without_tail(4)); // Cisco ISL wraps the whole frame
    }
    addresses(w, h);
    typed(w, u16::from_be_bytes([h[12], h[13]]), p.after(14)?)
}

/// Notes the two addresses that begin an Ethernet header.
fn addresses(w: &mut Walk, h: &[u8; 14]) {
    w.mac([h[0], h[1], h[2], h[3], h[4], h[5]], [h[6], h[7], h[8], h[9], h[10], h[11]]);
}

/// True for bytes that begin like an Ethernet frame: for framings that do not say what they hold.
pub(super) fn plausible(p: Piece<'_>) -> bool {
    let Ok(h) = p.head::<14>() else { return false };
    let kind = u16::from_be_bytes([h[12], h[13]]);
    let rest = p.beyond(14);
    match kind {
        0x0800 | 0x86dd => ip::plausible(rest),
        0x0806 | 0x8035 | 0x8100 | 0x88a8 | 0x8847 | 0x8848 | 0x8863 | 0x8864 | 0x888e | 0x88cc | 0x9000 => {
            true
        }
        0..=1500 => {
            usize::from(kind) <= rest.len()
                && matches!(rest.head(), Ok([0xaa | 0x42 | 0xfe, 0xaa | 0x42 | 0xfe, 3]))
        }
        _ => false,
    }
}

/// The field behind the addresses or a tag: type or length.
pub(super) fn typed<'a>(w: &mut Walk, kind: u16, p: Piece<'a>) -> Step<'a> {
    match kind {
        0..=1500 => llc(w, p.limit(usize::from(kind))),
        _ => ethertype(w, kind, p),
    }
}

/// What an EtherType announces (IEEE registry; RFC 9542).
pub(super) fn ethertype<'a>(w: &mut Walk, kind: u16, p: Piece<'a>) -> Step<'a> {
    match kind {
        0x0800 => ip::v4(w, p),
        0x86dd => ip::v6(w, p),
        0x0806 | 0x8035 => Err(Skip::Arp),
        0x8100 | 0x88a8 | 0x9100 | 0x9200 | 0x9300 => vlan(w, p),
        0x8847 | 0x8848 => wan::mpls(w, p),
        0x8864 => wan::pppoe(w, p),
        0x880b => wan::ppp(w, p),
        0x6558 => ethernet(w, p), // transparent Ethernet bridging
        0x8870 => llc(w, p),      // jumbo frames of LLC
        0x88e5 => macsec(w, p),
        0x88e7 => mac_in_mac(w, p),
        0x8903 => fabric_path(w, p),
        0x22f3 => trill(w, p),
        0x894f => overlay::nsh(w, p),
        0x4305 => batman(w, p),
        0x88b7 => snap(w, p), // OUI extended
        0x88bb => overlay::lwapp(w, p),
        0x2452 => wifi::either_order(w, p.after(2)?), // Centrino, promiscuous
        0x8899 => realtek(w, p),
        _ => match inserted(kind) {
            Some((at, len)) => {
                w.deeper()?;
                typed(w, p.be16(at)?, p.after(len)?)
            }
            None => Err(Skip::NotIp),
        },
    }
}

/// Tags that end in the type of what follows: where it stands, and the tag's length after its own type.
const fn inserted(kind: u16) -> Option<(usize, usize)> {
    match kind {
        // Cisco VN-tag, Broadcom's older tag, HSR, 802.1CB R-tag.
        0x8926 | 0x8874 | 0x892f | 0xf1c1 => Some((4, 6)),
        // 802.1BR E-tag, Cisco metadata (security group tag), Marvell EDSA under its usual type.
        0x893f | 0x8909 | 0xdada => Some((6, 8)),
        _ => None,
    }
}

/// 802.1Q, 802.1ad and their forerunners.
fn vlan<'a>(w: &mut Walk, p: Piece<'a>) -> Step<'a> {
    w.deeper()?;
    let [t0, t1, k0, k1] = p.chunk::<4>(0)?;
    w.vlan(u16::from_be_bytes([t0, t1]));
    typed(w, u16::from_be_bytes([k0, k1]), p.after(4)?)
}

/// MACsec (802.1AE): the E bit says encrypted; with integrity only, the type follows the header of 6 or 14 bytes.
fn macsec<'a>(w: &mut Walk, p: Piece<'a>) -> Step<'a> {
    w.deeper()?;
    let control = p.u8(0)?;
    if control & 0x0c != 0 {
        return Err(Skip::Encrypted);
    }
    let at = if control & 0x20 != 0 { 14 } else { 6 };
    let body = p.after(at)?;
    let body = match usize::from(p.u8(1)? & 0x3f) {
        0 => body.without_tail(16),
        short => body.limit(short), // frames below 48 bytes tell their length, padding and check value follow
    };
    typed(w, body.be16(0)?, body.after(2)?)
}

/// Realtek switch tags: version 4 A of two bytes behind the type, 8 of six; all else under this type is no traffic.
fn realtek<'a>(w: &mut Walk, p: Piece<'a>) -> Step<'a> {
    let at = match p.u8(0)? {
        0xa0..=0xaf => 2,
        4 => 6,
        _ => return Err(Skip::NotIp),
    };
    w.deeper()?;
    typed(w, p.be16(at)?, p.after(at + 2)?)
}

/// Provider backbone bridging (802.1ah): four bytes of I-tag, then the customer's addresses and type.
fn mac_in_mac<'a>(w: &mut Walk, p: Piece<'a>) -> Step<'a> {
    ethernet(w, p.after(4)?)
}

/// Cisco FabricPath: two bytes of tree and time to live, then the frame.
fn fabric_path<'a>(w: &mut Walk, p: Piece<'a>) -> Step<'a> {
    ethernet(w, p.after(2)?)
}

/// TRILL (RFC 6325): options in words counted by five bits, then the frame.
fn trill<'a>(w: &mut Walk, p: Piece<'a>) -> Step<'a> {
    let words = usize::from(p.be16(0)? >> 6 & 0x1f);
    ethernet(w, p.after(6 + words * 4)?)
}

/// B.A.T.M.A.N. advanced, unicast (0x40 in version 15): ten bytes, then the frame.
fn batman<'a>(w: &mut Walk, p: Piece<'a>) -> Step<'a> {
    match *p.head::<2>()? {
        [0x40, 15] => ethernet(w, p.after(10)?),
        _ => Err(Skip::NotIp),
    }
}

/// 802.2: SNAP, IP by its own service access point, NLPID; all else is no IP.
pub(super) fn llc<'a>(w: &mut Walk, p: Piece<'a>) -> Step<'a> {
    w.deeper()?;
    match *p.head::<3>()? {
        [0xaa | 0xab, 0xaa | 0xab, 3] => snap(w, p.after(3)?),
        [6, 6, 3] => ip::v4(w, p.after(3)?),
        [0xfe, 0xfe, 3] => wan::nlpid(w, p.after(3)?),
        _ => Err(Skip::NotIp),
    }
}

/// SNAP (RFC 1042): organization and type. 00-80-C2 is bridged Ethernet, with checksum below 7; ATM puts two bytes of
/// padding before it (RFC 2684), frame relay none (RFC 2427).
pub(super) fn snap<'a>(w: &mut Walk, p: Piece<'a>) -> Step<'a> {
    let [o0, o1, o2, k0, k1] = p.chunk::<5>(0)?;
    let (kind, rest) = (u16::from_be_bytes([k0, k1]), p.after(5)?);
    match ([o0, o1, o2], kind) {
        ([0, 0, 0 | 0xf8], _) => ethertype(w, kind, rest),
        ([0, 0x80, 0xc2], 1 | 7) => {
            let padded = rest.bytes().starts_with(&[0, 0]) && plausible(rest.beyond(2));
            let frame = if padded { rest.after(2)? } else { rest };
            ethernet(w, if kind == 1 { frame.without_tail(4) } else { frame })
        }
        _ => Err(Skip::NotIp),
    }
}
