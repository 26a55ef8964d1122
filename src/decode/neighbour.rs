//! Who has which address: ARP (RFC 826) and IPv6 neighbour discovery (RFC 4861), read from frames that give no packet.
//!
//! Asked only after a frame has been skipped for one of these reasons, so that the ordinary road pays nothing. Plain
//! Ethernet with at most two VLAN tags: a neighbour within a tunnel is none of this network's.

use crate::bytes::Reader;
use crate::capture::{Frame, LinkType};
use crate::units::Timestamp;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// A machine that was seen to use an address.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Neighbour {
    /// The address.
    pub ip: IpAddr,
    /// Link address of the machine.
    pub mac: [u8; 6],
    /// When.
    pub at: Timestamp,
    /// The pipeline's clock.
    pub now: Timestamp,
    /// Number of the frame.
    pub ordinal: u64,
}

const ARP: u16 = 0x0806;
const IPV6: u16 = 0x86dd;
const ICMPV6: u8 = 58;
const SOLICITATION: u8 = 135;
const ADVERTISEMENT: u8 = 136;
/// Options with a link address: of the sender, of the target.
const SOURCE_OPTION: u8 = 1;
const TARGET_OPTION: u8 = 2;

/// What the frame says, if it is one that says so.
pub fn neighbour(frame: &Frame<'_>) -> Option<Neighbour> {
    if frame.link != LinkType::ETHERNET {
        return None;
    }
    let mut r = Reader::new(frame.bytes);
    r.skip(12)?;
    let mut kind = r.u16()?;
    for _ in 0..2 {
        if matches!(kind, 0x8100 | 0x88a8) {
            r.skip(2)?;
            kind = r.u16()?;
        }
    }
    let (ip, mac) = match kind {
        ARP => arp(&mut r)?,
        IPV6 => discovery(&mut r)?,
        _ => return None,
    };
    let good = !ip.is_unspecified() && !ip.is_multicast() && !ip.is_loopback();
    // Group addresses and the empty one are nobody's.
    let own = mac[0] & 1 == 0 && mac != [0; 6];
    (good && own).then_some(Neighbour { ip, mac, at: frame.at, now: frame.now, ordinal: frame.ordinal })
}

/// Ethernet and IPv4, request or reply: both tell the sender.
fn arp(r: &mut Reader<'_>) -> Option<(IpAddr, [u8; 6])> {
    let (hardware, protocol, lengths, operation) = (r.u16()?, r.u16()?, r.u16()?, r.u16()?);
    if (hardware, protocol, lengths) != (1, 0x0800, 0x0604) || !(1..=2).contains(&operation) {
        return None;
    }
    let mac = r.array::<6>()?;
    Some((IpAddr::V4(Ipv4Addr::from(r.array::<4>()?)), mac))
}

/// Without extension headers, and with the hop limit that no router lets through.
fn discovery(r: &mut Reader<'_>) -> Option<(IpAddr, [u8; 6])> {
    r.skip(6)?;
    if (r.u8()?, r.u8()?) != (ICMPV6, 255) {
        return None;
    }
    let source = Ipv6Addr::from(r.array::<16>()?);
    r.skip(16)?;
    let kind = r.u8()?;
    r.skip(7)?;
    let target = Ipv6Addr::from(r.array::<16>()?);
    let (ip, wanted) = match kind {
        SOLICITATION => (source, SOURCE_OPTION),
        ADVERTISEMENT => (target, TARGET_OPTION),
        _ => return None,
    };
    // Options of eight bytes each; more than a few has no such message.
    for _ in 0..8 {
        let (option, units) = (r.u8()?, r.u8()?);
        let body = r.take((usize::from(units) * 8).checked_sub(2)?)?;
        if option == wanted {
            return Some((IpAddr::V6(ip), body.first_chunk::<6>().copied()?));
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(bytes: &[u8]) -> Option<(String, u8)> {
        let frame = Frame {
            at: Timestamp::default(),
            now: Timestamp::default(),
            ordinal: 0,
            bytes,
            wire_len: bytes.len() as u32,
            link: LinkType::ETHERNET,
            vlan: None,
        };
        neighbour(&frame).map(|n| (n.ip.to_string(), n.mac[5]))
    }

    #[test]
    fn arp_and_discovery_tell_the_sender() {
        let mut arp = vec![0xff; 12];
        arp.extend([0x81, 0, 0, 5, 8, 6, 0, 1, 8, 0, 6, 4, 0, 1, 2, 0, 0, 0, 0, 9, 10, 0, 0, 9]);
        assert_eq!(of(&arp), Some(("10.0.0.9".into(), 9)));
        let mut advertisement = vec![0; 12];
        advertisement.extend([0x86, 0xdd, 0x60, 0, 0, 0, 0, 32, 58, 255]);
        advertisement.extend([0xfe; 32]);
        advertisement.extend([136, 0, 0, 0, 0x60, 0, 0, 0]);
        advertisement.extend(Ipv6Addr::from([0xfd, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 7]).octets());
        advertisement.extend([2, 1, 2, 0, 0, 0, 0, 7]);
        assert_eq!(of(&advertisement), Some(("fd00::7".into(), 7)));
        for bytes in [&arp, &advertisement] {
            for cut in 0..bytes.len() {
                assert_eq!(of(&bytes[..cut]), None);
            }
            for at in 0..bytes.len() {
                let mut bad = bytes.clone();
                bad[at] ^= 0xff;
                let _ = of(&bad);
            }
        }
    }
}
