//! Identifiers that other tools join on: Community ID v1 and Zeek-like connection uids.

use super::json::decimal;
use crate::observe::{Ends, FlowId};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use sha1::{Digest as _, Sha1};
use std::net::IpAddr;

/// Appends the Community ID v1 of a connection (Corelight's specification), the same for both directions.
pub fn community_id(ends: &Ends, seed: u16, out: &mut Vec<u8>) {
    let one = (ends.originator, ends.originator_port);
    let two = (ends.responder, ends.responder_port);
    let (low, high) = if one <= two { (one, two) } else { (two, one) };
    let mut input = [0u8; 40];
    let mut len = 0;
    let mut put = |bytes: &[u8]| {
        if let Some(room) = input.get_mut(len..len + bytes.len()) {
            room.copy_from_slice(bytes);
            len += bytes.len();
        }
    };
    put(&seed.to_be_bytes());
    for (ip, _) in [low, high] {
        match ip {
            IpAddr::V4(v4) => put(&v4.octets()),
            IpAddr::V6(v6) => put(&v6.octets()),
        }
    }
    put(&[ends.transport as u8, 0]);
    put(&low.1.to_be_bytes());
    put(&high.1.to_be_bytes());
    let hash = Sha1::digest(&input[..len]);
    let mut text = [0u8; 28];
    out.extend_from_slice(b"1:");
    if STANDARD.encode_slice(hash.as_slice(), &mut text).is_ok() {
        out.extend_from_slice(&text);
    }
}

/// Appends the uid of a flow: `C` and eleven letters or digits, different for every flow id, the same in all logs.
pub fn uid(flow: FlowId, out: &mut Vec<u8>) {
    const LETTERS: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
    // Every step can be undone, so that no two flows share a uid; without them neighbours would look alike.
    let mut mixed = flow.0 ^ (flow.0 >> 30);
    mixed = mixed.wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed ^= mixed >> 27;
    mixed = mixed.wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^= mixed >> 31;
    out.push(b'C');
    for _ in 0..11 {
        out.push(LETTERS[(mixed % 62) as usize]);
        mixed /= 62;
    }
}

/// Appends `address:port`, with brackets around IPv6 addresses.
pub fn endpoint(ip: IpAddr, port: u16, out: &mut Vec<u8>) {
    let brackets = ip.is_ipv6();
    out.extend(brackets.then_some(b'['));
    super::json::address(ip, out);
    out.extend(brackets.then_some(b']'));
    out.push(b':');
    decimal(u64::from(port), out);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::decode::Transport;

    fn ends(a: &str, ap: u16, b: &str, bp: u16, transport: Transport) -> Option<Ends> {
        let (originator, responder) = (a.parse().ok()?, b.parse().ok()?);
        Some(Ends { originator, responder, originator_port: ap, responder_port: bp, transport })
    }

    fn of(ends: Option<Ends>, seed: u16) -> String {
        let mut out = Vec::new();
        if let Some(ends) = ends {
            community_id(&ends, seed, &mut out);
        }
        String::from_utf8(out).unwrap_or_default()
    }

    #[test]
    fn vectors_of_the_specification() {
        // Computed with Python's hashlib from the text of the specification.
        let tcp = |a, ap, b, bp| ends(a, ap, b, bp, Transport::Tcp);
        let forth = tcp("128.232.110.120", 34855, "66.35.250.204", 80);
        let back = tcp("66.35.250.204", 80, "128.232.110.120", 34855);
        assert_eq!(of(forth, 0), "1:LQU9qZlK+B5F3KDmev6m5PMibrg=");
        assert_eq!(of(back, 0), of(forth, 0));
        assert_eq!(of(forth, 1), "1:3V71V58M3Ksw/yuFALMcW0LAHvc=");
        let same_host = tcp("10.0.0.1", 9, "10.0.0.1", 7);
        assert_eq!(of(same_host, 0), of(tcp("10.0.0.1", 7, "10.0.0.1", 9), 0));
    }

    /// Corelight's own baseline, where it lies beside the checkout.
    #[test]
    fn corelight_baseline() {
        let folder = std::path::Path::new("../shared/data/community-id-baseline");
        for (file, seed) in [("baseline_deflt.json", 0), ("baseline_seed1.json", 1)] {
            let Ok(text) = std::fs::read_to_string(folder.join(file)) else { continue };
            let rows: Vec<serde_json::Value> = serde_json::from_str(&text).unwrap_or_default();
            let mut compared = 0;
            for row in rows {
                let transport = match row["proto"].as_u64() {
                    Some(6) => Transport::Tcp,
                    Some(17) => Transport::Udp,
                    _ => continue,
                };
                let port = |key: &str| row[key].as_u64().unwrap_or(0) as u16;
                let ip = |key: &str| row[key].as_str().unwrap_or_default().to_string();
                let ends = ends(&ip("saddr"), port("sport"), &ip("daddr"), port("dport"), transport);
                assert_eq!(row["communityid"].as_str(), Some(of(ends, seed).as_str()), "{row}");
                compared += 1;
            }
            assert!(compared > 0);
        }
    }

    #[test]
    fn uids_look_like_zeeks() {
        let of = |id| {
            let mut out = Vec::new();
            uid(FlowId(id), &mut out);
            String::from_utf8(out).unwrap_or_default()
        };
        let all: std::collections::BTreeSet<String> = (0..1_000).map(of).collect();
        assert_eq!(all.len(), 1_000);
        assert!(all.iter().all(|u| u.len() == 12 && u.starts_with('C')));
    }
}
