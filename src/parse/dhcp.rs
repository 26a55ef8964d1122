//! DHCP for IPv4 (RFC 2131) and IPv6 (RFC 8415): which machine was given which address, and what it calls itself.

use super::text::printable;
use crate::bytes::Reader;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Ports of server and client, IPv4 and IPv6.
const PORTS: [u16; 4] = [67, 68, 546, 547];
/// RFC 2131, 3.
const COOKIE: u32 = 0x6382_5363;
/// Options read of one message.
const MAX_OPTIONS: usize = 64;
/// Relays followed (RFC 8415, 9: 8 at most).
const MAX_RELAYS: usize = 8;
/// Longest name kept.
const MAX_NAME: usize = 63;

/// What a message says of a machine.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Given {
    /// The address that a server gave; the unspecified one where only the machine's name is told.
    pub ip: IpAddr,
    /// Link address of the machine.
    pub mac: [u8; 6],
    /// What it calls itself.
    pub name: Option<Box<str>>,
    /// How long the lease lasts.
    pub secs: u32,
}

/// Whether a datagram between these ports may be DHCP.
pub const fn is_port(a: u16, b: u16) -> bool {
    let mut i = 0;
    let (mut first, mut second) = (false, false);
    while i < PORTS.len() {
        first |= a == PORTS[i];
        second |= b == PORTS[i];
        i += 1;
    }
    first && second
}

/// What a datagram says; nothing where it is no acknowledgement and names no machine.
pub fn message(datagram: &[u8]) -> Option<Given> {
    match datagram.first()? {
        1 | 2 if datagram.len() > 240 => v4(datagram),
        1..=13 => v6(datagram, 0),
        _ => None,
    }
}

fn v4(datagram: &[u8]) -> Option<Given> {
    let mut r = Reader::new(datagram);
    let (operation, hardware, len) = (r.u8()?, r.u8()?, r.u8()?);
    if (hardware, len) != (1, 6) {
        return None;
    }
    r.skip(13)?;
    let yours = Ipv4Addr::from(r.array::<4>()?);
    r.skip(8)?;
    let mac = r.array::<6>()?;
    r.skip(10 + 64 + 128)?;
    if r.u32()? != COOKIE {
        return None;
    }
    let (mut kind, mut secs, mut name) = (0, 0, None);
    for _ in 0..MAX_OPTIONS {
        let Some(option) = r.u8() else { break };
        match option {
            0 => continue,
            255 => break,
            _ => {}
        }
        let Some(value) = r.vec8() else { break };
        match option {
            12 => name = name.or_else(|| host_name(value)),
            51 => secs = Reader::new(value).u32().unwrap_or(0),
            53 => kind = value.first().copied().unwrap_or(0),
            // Flags and two codes that are no longer used stand before the name.
            81 => {
                let encoded = value.first().is_some_and(|flags| flags & 4 != 0);
                let rest = value.get(3..).unwrap_or_default();
                name = name.or_else(|| if encoded { first_label(rest) } else { host_name(rest) });
            }
            _ => {}
        }
    }
    let acknowledged = operation == 2 && kind == 5 && !yours.is_unspecified();
    // DISCOVER and REQUEST come from the machine itself.
    let own = operation == 1 && matches!(kind, 1 | 3 | 8) && name.is_some();
    let ip = IpAddr::V4(if acknowledged { yours } else { Ipv4Addr::UNSPECIFIED });
    (acknowledged || own).then_some(Given { ip, mac, name, secs: if acknowledged { secs } else { 0 } })
}

fn v6(datagram: &[u8], relays: usize) -> Option<Given> {
    let mut r = Reader::new(datagram);
    let kind = r.u8()?;
    if matches!(kind, 12 | 13) {
        r.skip(33)?;
        let inner = options(&mut r).find(|(option, _)| *option == 9)?.1;
        return if relays < MAX_RELAYS { v6(inner, relays + 1) } else { None };
    }
    r.skip(3)?;
    let (mut mac, mut name, mut address) = (None, None, None);
    for (option, value) in options(&mut r) {
        match option {
            1 => mac = mac.or_else(|| link_address(value)),
            3 => address = address.or_else(|| leased(value)),
            39 => name = name.or_else(|| first_label(value.get(1..).unwrap_or_default())),
            _ => {}
        }
    }
    let mac = mac?;
    match (kind, address) {
        // REPLY
        (7, Some((ip, secs))) => Some(Given { ip: IpAddr::V6(ip), mac, name, secs }),
        // SOLICIT, REQUEST, RENEW, REBIND
        (1 | 3 | 5 | 6, _) if name.is_some() => {
            Some(Given { ip: IpAddr::V6(Ipv6Addr::UNSPECIFIED), mac, name, secs: 0 })
        }
        _ => None,
    }
}

fn options<'a>(r: &mut Reader<'a>) -> impl Iterator<Item = (u16, &'a [u8])> {
    std::iter::from_fn(move || Some((r.u16()?, r.vec16()?))).take(MAX_OPTIONS)
}

/// The link address in a DUID of the kinds that have one (RFC 8415, 11.2 and 11.4), Ethernet.
fn link_address(duid: &[u8]) -> Option<[u8; 6]> {
    let mut r = Reader::new(duid);
    let (kind, hardware) = (r.u16()?, r.u16()?);
    match (kind, hardware) {
        (1, 1) => r.skip(4)?,
        (3, 1) => {}
        _ => return None,
    }
    r.array::<6>()
}

/// The first address of an IA_NA and its valid lifetime.
fn leased(value: &[u8]) -> Option<(Ipv6Addr, u32)> {
    let mut r = Reader::new(value);
    r.skip(12)?;
    let address = options(&mut r).find(|(option, _)| *option == 5)?.1;
    let mut r = Reader::new(address);
    let ip = Ipv6Addr::from(r.array::<16>()?);
    r.skip(4)?;
    Some((ip, r.u32()?)).filter(|(ip, _)| !ip.is_unspecified())
}

/// A name in text; the host's part of it.
fn host_name(value: &[u8]) -> Option<Box<str>> {
    let end = value.iter().position(|b| matches!(b, 0 | b'.')).unwrap_or(value.len());
    let host = value.get(..end.min(MAX_NAME))?;
    (!host.is_empty()).then(|| printable(host))
}

/// The first label of a name in the form of DNS.
fn first_label(value: &[u8]) -> Option<Box<str>> {
    let label = Reader::new(value).vec8()?;
    (!label.is_empty() && label.len() <= MAX_NAME).then(|| printable(label))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::parse::hostile;

    fn packet(operation: u8, kind: u8, yours: [u8; 4], options: &[u8]) -> Vec<u8> {
        let mut p = vec![operation, 1, 6, 0];
        p.extend([0; 12]);
        p.extend(yours);
        p.extend([0; 8]);
        p.extend([2, 0, 0, 0, 0, 7]);
        p.extend([0; 10 + 64 + 128]);
        p.extend(COOKIE.to_be_bytes());
        p.extend([53, 1, kind]);
        p.extend(options);
        p.push(255);
        p
    }

    #[test]
    fn requests_name_and_acknowledgements_lease() {
        let request = packet(1, 3, [0; 4], b"\x0c\x03pc7\x32\x04\x0a\0\0\x07");
        let given = message(&request).expect("request");
        assert_eq!((given.ip, given.name.as_deref()), (Ipv4Addr::UNSPECIFIED.into(), Some("pc7")));
        let ack = packet(2, 5, [10, 0, 0, 7], b"\x33\x04\0\0\x0e\x10\x51\x0b\x04\0\0\x03pc7\x03lan");
        let given = message(&ack).expect("acknowledged");
        assert_eq!(given.ip, IpAddr::from([10, 0, 0, 7]));
        assert_eq!((given.mac[5], given.secs, given.name.as_deref()), (7, 3600, Some("pc7")));
        assert_eq!(message(&packet(2, 6, [0; 4], b"")), None);
        hostile::all(&ack, |bad| drop(message(bad)));
        hostile::all(&request, |bad| drop(message(bad)));
    }

    #[test]
    fn version_six_through_a_relay() {
        let mut reply = vec![7, 1, 2, 3];
        reply.extend([0, 1, 0, 10, 0, 3, 0, 1, 2, 0, 0, 0, 0, 9]);
        reply.extend([0, 3, 0, 40, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 5, 0, 24]);
        reply.extend([0xfd, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 9]);
        reply.extend([0, 0, 0, 0, 0, 0, 0x0e, 0x10]);
        reply.extend(b"\0\x27\0\x06\0\x04pc9\0"[..4].iter());
        reply.extend(b"\0\x03pc9\0");
        let given = message(&reply).expect("reply");
        assert_eq!((given.ip.to_string().as_str(), given.secs, given.mac[5]), ("fd00::9", 3600, 9));
        assert_eq!(given.name.as_deref(), Some("pc9"));
        let mut relayed = vec![13];
        relayed.extend([0; 33]);
        relayed.extend([0, 9, 0, reply.len() as u8]);
        relayed.extend(&reply);
        assert_eq!(message(&relayed), Some(given));
        hostile::all(&relayed, |bad| drop(message(bad)));
    }

    #[test]
    fn ports() {
        assert!(is_port(68, 67) && is_port(67, 67) && is_port(546, 547));
        assert!(!is_port(68, 1067) && !is_port(50_000, 67));
    }
}
