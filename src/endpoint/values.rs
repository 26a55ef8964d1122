//! Values as vendors write them, into the types of the model. What cannot be read is `None`, never a guess.

use super::event::{ConnectState, Direction, FileOp, ProcessKind};
use crate::decode::Transport;
use std::hash::BuildHasher;
use std::net::{IpAddr, Ipv6Addr};

/// An address: plain, in brackets, with a zone or a prefix length. IPv4 in IPv6 is IPv4.
pub(super) fn ip(text: &str) -> Option<IpAddr> {
    let text = text.trim();
    let text = text.strip_prefix('[').map_or(text, |inner| inner.strip_suffix(']').unwrap_or(inner));
    let text = text.split(['%', '/']).next().unwrap_or(text);
    text.parse().ok().map(|ip: IpAddr| ip.to_canonical())
}

/// A port. 0 stands for none.
pub(super) fn port(text: &str) -> Option<u16> {
    text.trim().parse().ok().filter(|port| *port != 0)
}

/// A whole number, decimal or with `0x`. A fraction is cut.
pub(super) fn number(text: &str) -> Option<u64> {
    let text = text.trim();
    match text.strip_prefix("0x").or_else(|| text.strip_prefix("0X")) {
        Some(hex) => u64::from_str_radix(hex, 16).ok(),
        None => {
            let (whole, fraction) = text.split_once('.').unwrap_or((text, "0"));
            fraction.bytes().all(|b| b.is_ascii_digit()).then(|| whole.parse().ok())?
        }
    }
}

/// An address and a port in one: `1.2.3.4:443`, `[::1]:443`, `:::443` of old tools.
pub(super) fn end(text: &str) -> Option<(IpAddr, Option<u16>)> {
    let (address, number) = text.trim().rsplit_once(':')?;
    Some((ip(address)?, port(number)))
}

/// A port in network order that was written as the host reads it: the other way round, where that is a port that is
/// well known and what is written is not.
pub(super) fn network_port(text: &str) -> Option<u16> {
    const WELL_KNOWN: [u16; 12] = [21, 22, 25, 53, 80, 110, 143, 443, 587, 993, 8080, 8443];
    let written = port(text)?;
    let turned = written.swap_bytes();
    Some(if WELL_KNOWN.contains(&turned) && !WELL_KNOWN.contains(&written) { turned } else { written })
}

/// A `sockaddr` of Linux in hexadecimal or with `%XX`: the family in either byte order, port and address.
pub(super) fn sockaddr(text: &str) -> Option<(IpAddr, u16)> {
    let bytes = if text.contains('%') { percent(text)? } else { hex(text)? };
    let mut reader = crate::bytes::Reader::new(&bytes);
    let family = reader.array::<2>()?;
    let port = reader.u16()?;
    let ip = match family {
        [2, 0] | [0, 2] => IpAddr::from(reader.array::<4>()?),
        [10, 0] | [0, 10] => {
            reader.skip(4)?;
            IpAddr::from(reader.array::<16>()?)
        }
        _ => return None,
    };
    Some((ip.to_canonical(), port))
}

/// Bytes in hexadecimal.
pub(super) fn hex(text: &str) -> Option<Vec<u8>> {
    let digits = text.as_bytes();
    if !digits.len().is_multiple_of(2) || digits.is_empty() {
        return None;
    }
    let digit = |b: &u8| char::from(*b).to_digit(16);
    digits
        .chunks_exact(2)
        .map(|pair| Some((digit(pair.first()?)? << 4 | digit(pair.get(1)?)?) as u8))
        .collect()
}

/// Bytes of which some are written `%XX`.
pub(super) fn percent(text: &str) -> Option<Vec<u8>> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find('%') {
        bytes.extend_from_slice(rest.get(..at)?.as_bytes());
        bytes.extend(hex(rest.get(at + 1..at + 3)?)?);
        rest = rest.get(at + 3..)?;
    }
    bytes.extend_from_slice(rest.as_bytes());
    Some(bytes)
}

/// A process id.
pub(super) fn pid(text: &str) -> Option<u32> {
    number(text).and_then(|pid| u32::try_from(pid).ok())
}

/// A link address with `:`, `-`, `.` or nothing between its digits. Zeros stand for none.
pub(super) fn mac(text: &str) -> Option<[u8; 6]> {
    let mut mac = [0u8; 6];
    let mut digits = 0;
    for byte in text.trim().bytes() {
        if matches!(byte, b':' | b'-' | b'.') {
            continue;
        }
        let digit = char::from(byte).to_digit(16)? as u8;
        let place = mac.get_mut(digits / 2)?;
        *place = *place << 4 | digit;
        digits += 1;
    }
    (digits == 12 && mac != [0; 6]).then_some(mac)
}

/// A SHA-256: 64 digits, alone or in a list such as `SHA1=…,SHA256=…`.
pub(super) fn sha256(text: &str) -> Option<[u8; 32]> {
    let digits = match text.find("SHA256=").or_else(|| text.find("sha256=")) {
        Some(at) => text.get(at + 7..)?.split(',').next()?,
        None => text.strip_prefix("sha256:").unwrap_or(text),
    };
    let digits = digits.trim().as_bytes();
    if digits.len() != 64 {
        return None;
    }
    let mut hash = [0u8; 32];
    for (place, pair) in hash.iter_mut().zip(digits.chunks_exact(2)) {
        let high = char::from(*pair.first()?).to_digit(16)?;
        let low = char::from(*pair.get(1)?).to_digit(16)?;
        *place = (high << 4 | low) as u8;
    }
    Some(hash)
}

/// TCP or UDP by name or number: `tcp`, `PROTO_TCP`, `IPPROTO_UDP`, `TcpV4`, `17`.
pub(super) fn transport(text: &str) -> Option<Transport> {
    let text = text.trim();
    let last = text.rsplit('_').next().unwrap_or(text);
    let starts =
        |name: &str| last.get(..3).is_some_and(|head| head.eq_ignore_ascii_case(name)) && last.len() <= 5;
    match last {
        "6" => Some(Transport::Tcp),
        "17" => Some(Transport::Udp),
        _ if starts("tcp") => Some(Transport::Tcp),
        _ if starts("udp") => Some(Transport::Udp),
        _ => None,
    }
}

/// The words that products have for directions.
pub(super) fn direction(text: &str) -> Option<Direction> {
    match text.to_ascii_lowercase().as_str() {
        "out" | "outbound" | "outgoing" | "egress" | "outbound_connection" | "%%14593" | "connect" => {
            Some(Direction::Out)
        }
        "in" | "inbound" | "incoming" | "ingress" | "%%14592" | "accept" => Some(Direction::In),
        "unknown" => Some(Direction::Unknown),
        _ => None,
    }
}

/// A state of a connection by its name in mappings.
pub(super) fn state(text: &str) -> Option<ConnectState> {
    match text {
        "attempt" => Some(ConnectState::Attempt),
        "established" => Some(ConnectState::Established),
        "closed" => Some(ConnectState::Closed),
        "failed" => Some(ConnectState::Failed),
        "snapshot" => Some(ConnectState::Snapshot),
        _ => None,
    }
}

/// What was done to a file by its name in mappings.
pub(super) fn op(text: &str) -> Option<FileOp> {
    match text {
        "create" => Some(FileOp::Create),
        "write" => Some(FileOp::Write),
        "read" => Some(FileOp::Read),
        "rename" => Some(FileOp::Rename),
        "delete" => Some(FileOp::Delete),
        "attribute_removed" => Some(FileOp::AttributeRemoved),
        "attribute_set" => Some(FileOp::AttributeSet),
        "archive_write" => Some(FileOp::ArchiveWrite),
        _ => None,
    }
}

/// What happened to a process by its name in mappings.
pub(super) fn process_kind(text: &str) -> Option<ProcessKind> {
    match text {
        "start" => Some(ProcessKind::Start),
        "exit" => Some(ProcessKind::Exit),
        "existing" => Some(ProcessKind::Existing),
        _ => None,
    }
}

/// A name of a host or domain: lower case, without the last dot. An address is no name.
pub(super) fn domain(text: &str) -> Option<String> {
    let text = text.trim().trim_end_matches('.');
    let fits = !text.is_empty() && text.len() <= 255 && !text.contains([' ', '/']) && ip(text).is_none();
    fits.then(|| text.to_lowercase())
}

/// The host of a URL or of `host:port`, else the text itself.
pub(super) fn host_of(text: &str) -> Option<String> {
    let rest = text.split_once("://").map_or(text, |(_, rest)| rest);
    let host = rest.split(['/', '?', '#']).next()?;
    let host = host.rsplit_once('@').map_or(host, |(_, host)| host);
    let host = match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|b| b.is_ascii_digit()) && !name.contains(':') => name,
        _ => host,
    };
    domain(host)
}

/// An identity that no other process has. Case and braces say nothing in the ids that products write, and an id of
/// zeros is none.
pub(super) fn entity(host: &str, parts: &[&str]) -> Option<u64> {
    let mut joined = String::with_capacity(96);
    joined.push_str(host);
    for part in parts {
        let part = part.trim_matches(['{', '}', ' ']);
        if part.is_empty() || part.bytes().all(|b| matches!(b, b'0' | b'-')) {
            return None;
        }
        joined.push('\u{1f}');
        joined.extend(part.chars().map(|c| c.to_ascii_lowercase()));
    }
    Some(hash(joined.as_bytes()))
}

/// A hash that is the same within one build of the program.
pub(super) fn hash(bytes: &[u8]) -> u64 {
    foldhash::quality::FixedState::with_seed(0x656e_6470_6f69_6e74).hash_one(bytes)
}

/// Whether an address is one that many listen to.
pub(super) fn is_multicast(ip: IpAddr) -> bool {
    match ip {
        IpAddr::V4(ip) => ip.is_multicast() || ip.is_broadcast(),
        IpAddr::V6(ip) => ip.is_multicast(),
    }
}

/// Whether an address is left out or zeros.
pub(super) fn some_ip(ip: Option<IpAddr>) -> Option<IpAddr> {
    ip.filter(|ip| !ip.is_unspecified() && *ip != IpAddr::V6(Ipv6Addr::UNSPECIFIED))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_as_vendors_write_them() {
        assert_eq!(ip("fe80:0:0:0:5d91:ea18:e2b5:9755"), ip("[fe80::5d91:ea18:e2b5:9755%3]"));
        assert_eq!(ip("::ffff:1.2.3.4"), ip("1.2.3.4"));
        assert_eq!((ip("1.2.3"), ip("")), (None, None));
        assert_eq!(
            (pid("0x1d18"), pid("7448"), pid("-1"), pid("5.0")),
            (Some(7448), Some(7448), None, Some(5))
        );
        assert_eq!((port("0"), port("443"), port("65536")), (None, Some(443), None));
        assert_eq!(mac("00-00-5E-00-53-23"), mac("00005e005323"));
        assert_eq!((mac("000000000000"), mac("00:11"), mac("zz")), (None, None, None));
        let hash = "ab".repeat(32);
        assert_eq!(sha256(&format!("SHA1=00,SHA256={hash},IMPHASH=1")), Some([0xab; 32]));
        assert_eq!((sha256(&hash), sha256("ab")), (Some([0xab; 32]), None));
        for tcp in ["tcp", "TCP", "6", "PROTO_TCP", "TcpV4", "TCPV6", "IPPROTO_TCP"] {
            assert_eq!(transport(tcp), Some(Transport::Tcp), "{tcp}");
        }
        assert_eq!((transport("icmp"), transport("")), (None, None));
        assert_eq!(domain("Api.Example.COM.").as_deref(), Some("api.example.com"));
        assert_eq!((domain("1.2.3.4"), domain("")), (None, None));
        assert_eq!(host_of("https://u@Api.example.com:443/x").as_deref(), Some("api.example.com"));
    }

    #[test]
    fn ends_of_connections() {
        let one = ip("127.0.0.1").expect("an address");
        assert_eq!(end("127.0.0.1:443"), Some((one, Some(443))));
        assert_eq!(end("[::1]:0").map(|end| end.1), Some(None));
        assert_eq!((end("1.2.3.4"), end("")), (None, None));
        assert_eq!(sockaddr("02002BCB7F0000010000000000000000"), Some((one, 11211)));
        assert_eq!(sockaddr("%02%00+%cb%7f%00%00%01"), Some((one, 11211)));
        assert_eq!(
            sockaddr("0A002BCB0000000000000000000000000000000000000001").map(|end| end.1),
            Some(11211)
        );
        assert_eq!((sockaddr("01002F"), sockaddr("0200"), sockaddr("é")), (None, None, None));
        assert_eq!(
            (network_port("47873"), network_port("443"), network_port("6468")),
            (Some(443), Some(443), Some(6468))
        );
    }

    #[test]
    fn an_identity_knows_no_case_and_no_braces() {
        let id = entity("h", &["{81056205-565C-64dc-2304-000000000800}"]);
        assert_eq!(id, entity("h", &["81056205-565c-64dc-2304-000000000800"]));
        assert_ne!(id, entity("g", &["81056205-565c-64dc-2304-000000000800"]));
        assert_eq!(entity("h", &["{00000000-0000-0000-0000-000000000000}"]), None);
        assert_eq!(entity("h", &[""]), None);
    }
}
