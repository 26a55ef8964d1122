//! Tunnels that carry no name but should be labelled: STUN (RFC 8489), WireGuard, OpenVPN. By the form of their
//! first message alone.

use super::{AppProto, Facts, GiveUp, Outcome, Talk};
use crate::bytes::Reader;

/// RFC 8489, 5.
const STUN_COOKIE: u32 = 0x2112_a442;

/// Opcodes of OpenVPN in the upper five bits: hard reset of a client (versions 2 and 3), of a server.
const CLIENT_RESETS: [u8; 2] = [7 << 3, 10 << 3];
const SERVER_RESET: u8 = 8 << 3;

/// Lengths of a client's reset: bare, and with an HMAC of 16, 20, 32, 48 or 64 bytes and a time stamp before it.
const RESET_LENGTHS: [usize; 6] = [14, 38, 42, 54, 70, 86];

/// The label of a UDP flow by its first datagram.
pub fn label(datagram: &[u8]) -> Option<AppProto> {
    match *datagram.first()? {
        1 | 2 if is_wireguard(datagram) => Some(AppProto::WireGuard),
        0..=3 if is_stun(datagram) => Some(AppProto::Stun),
        _ if is_openvpn_reset(datagram) => Some(AppProto::OpenVpn),
        _ => None,
    }
}

/// OpenVPN over TCP puts two bytes of length before each message.
pub fn parse(talk: &Talk<'_>) -> Outcome {
    let mut r = Reader::new(talk.up);
    let fits = match r.u16() {
        Some(len) if !RESET_LENGTHS.contains(&usize::from(len)) => false,
        Some(len) => match r.take(usize::from(len)) {
            Some(message) => is_openvpn_reset(message),
            None if talk.done.up || r.rest().first().is_some_and(|b| !CLIENT_RESETS.contains(b)) => false,
            None => return Outcome::More,
        },
        None => false,
    };
    if fits {
        Outcome::Done(Box::new(Facts { app: AppProto::OpenVpn, ..Facts::default() }))
    } else {
        Outcome::Nothing(GiveUp::Unknown)
    }
}

/// A type, three zero bytes, and the only length that the type has.
fn is_wireguard(datagram: &[u8]) -> bool {
    match datagram {
        [1, 0, 0, 0, ..] => datagram.len() == 148,
        [2, 0, 0, 0, ..] => datagram.len() == 92,
        _ => false,
    }
}

fn is_stun(datagram: &[u8]) -> bool {
    let mut r = Reader::new(datagram);
    let (Some(_), Some(len), Some(cookie)) = (r.u16(), r.u16(), r.u32()) else { return false };
    cookie == STUN_COOKIE && len % 4 == 0 && datagram.len() == usize::from(len) + 20
}

/// A reset ends in an empty list of acknowledgements and packet id 0.
fn is_openvpn_reset(datagram: &[u8]) -> bool {
    let Some((first, rest)) = datagram.split_first() else { return false };
    let client = CLIENT_RESETS.contains(first) && rest.ends_with(&[0; 5]);
    let server = *first == SERVER_RESET && datagram.len() == 26 && rest.get(8) == Some(&1);
    let session = rest.get(..8).is_some_and(|id| id.iter().any(|b| *b != 0));
    session && ((client && RESET_LENGTHS.contains(&datagram.len())) || server)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn first_messages_are_told() {
        let mut wireguard = vec![0; 148];
        wireguard[0] = 1;
        assert_eq!(label(&wireguard), Some(AppProto::WireGuard));
        wireguard.pop();
        assert_eq!(label(&wireguard), None);
        let stun = b"\0\x01\0\0\x21\x12\xa4\x42abcdefghijkl";
        assert_eq!(label(stun), Some(AppProto::Stun));
        let reset = b"\x38session1\0\0\0\0\0";
        assert_eq!(label(reset), Some(AppProto::OpenVpn));
        assert_eq!(label(b"\x38session1\0\0\0\0\x01"), None);
        crate::parse::hostile::all(reset, |bad| {
            label(bad);
        });
    }
}
