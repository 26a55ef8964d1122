//! Decoding, layer by layer: every stack that is followed, what is skipped and why, what hostile bytes do, and the
//! short cut against the long way and against `etherparse`.

mod common;

use common::build::*;
use egret::capture::{Frame, LinkType};
use egret::decode::{self, Decoded, Packet, Pair, Skip, Transport};
use egret::units::Timestamp;
use proptest::prelude::*;

fn frame(link: u16, bytes: &[u8]) -> Frame<'_> {
    let at = Timestamp::from_nanos(1);
    Frame { at, now: at, ordinal: 0, bytes, wire_len: bytes.len() as u32, link: LinkType(link), vlan: None }
}

fn packet(link: u16, bytes: &[u8]) -> Packet<'_> {
    match decode::decode(&frame(link, bytes)) {
        Decoded::Packet(packet) => packet,
        other => panic!("{other:?}"),
    }
}

fn skip(link: u16, bytes: &[u8]) -> Option<Skip> {
    match decode::decode(&frame(link, bytes)) {
        Decoded::Skip(skip) => Some(skip),
        _ => None,
    }
}

const V4: Pair = Pair::V4 { src: 0x0a00_0001, dst: 0x0a00_0002 };
const V6: Pair = Pair::V6 {
    src: 0x2001_0db8_0000_0000_0000_0000_0000_0001,
    dst: 0x2001_0db8_0000_0000_0000_0000_0000_0002,
};

#[test]
fn every_stack_is_followed_to_its_innermost_packet() {
    for (name, link, bytes, tunnels) in stacks() {
        let Decoded::Packet(p) = decode::decode(&frame(link, &bytes)) else {
            panic!("{name}: {:?}", decode::decode(&frame(link, &bytes)));
        };
        assert!(p.pair == V4 || p.pair == V6, "{name}: {p:?}");
        assert_eq!((p.src_port, p.dst_port, p.transport), (40_000, 443, Transport::Tcp), "{name}");
        assert_eq!((p.tcp.seq, p.tcp.ack, p.tcp.flags), (1, 2, 0x18), "{name}");
        assert_eq!((p.payload, p.payload_len), (HELLO, 5), "{name}");
        assert_eq!((p.path.tunnels, p.ttl, p.frames), (tunnels, 64, 1), "{name}");
        assert_eq!(p.wire_len as usize, bytes.len(), "{name}");
        if !name.starts_with("AH") && !name.starts_with("IPv6,") && !name.starts_with("IPv6 ext") {
            assert_eq!(p.ip_len, if p.pair == V4 { 45 } else { 65 }, "{name}");
        }
    }
}

#[test]
fn the_path_names_tags_and_the_nearest_link_addresses() {
    let vxlan = |p: &[u8]| udp(1, 4789, &cat(&[&[8, 0, 0, 0, 0, 0, 1, 0], p]));
    let bytes = eth(0x8100, &tag(5, 0x0800, &outer4(17, &vxlan(&eth(0x8100, &tag(6, 0x0800, &inner4()))))));
    let path = packet(1, &bytes).path;
    assert_eq!((path.vlan, path.vlans, path.tunnels), ([5, 6, 0], 2, 1));
    assert_eq!(path.mac, Some(([2, 0, 0, 0, 0, 1], [2, 0, 0, 0, 0, 2])));
    let gre = eth(0x0800, &outer4(47, &gre([0, 0], 0, 0x0800, &inner4())));
    assert_eq!(packet(1, &gre).path.mac, None, "those are the tunnel's");
    let four = eth(0x8100, &tag(1, 0x8100, &tag(2, 0x8100, &tag(3, 0x8100, &tag(4, 0x0800, &inner4())))));
    assert_eq!((packet(1, &four).path.vlan, packet(1, &four).path.vlans), ([1, 2, 3], 3));
    let plain = eth(0x0800, &inner4());
    let tagged = Frame { vlan: Some(9), ..frame(1, &plain) };
    let Decoded::Packet(p) = decode::decode(&tagged) else { panic!() };
    assert_eq!((p.path.vlan, p.path.vlans), ([9, 0, 0], 1));
}

#[test]
fn what_is_no_packet_is_skipped_for_a_reason() {
    let cases: [(u16, Vec<u8>, Skip); 14] = [
        (220, vec![0; 80], Skip::LinkType),
        (1, eth(0x0806, &[0; 28]), Skip::Arp),
        (1, eth(0x0800, &ip4(1, &[8; 8])), Skip::Icmp),
        (1, eth(0x86dd, &ip6(58, &[128; 8])), Skip::Icmp),
        (1, eth(0x0800, &ip4(132, &[0; 12])), Skip::IpProtocol),
        (1, eth(0x88cc, &[0; 20]), Skip::NotIp),
        (1, eth(0x0800, &[0x44; 30]), Skip::Malformed),
        (1, eth(0x0800, &[0x45; 19]), Skip::Cut),
        (1, eth(0x88e5, &cat(&[&[0x2c, 0], &[0; 40]])), Skip::Encrypted),
        (1, eth(0x88cc, &[0; 20])[..13].to_vec(), Skip::Cut),
        (105, vec![0x80, 0, 0, 0, 1, 2, 3, 4], Skip::NotIp),
        (105, cat(&[&[0x08, 0x41], &[0; 40]]), Skip::Encrypted),
        (1, eth(0x0800, &outer4(47, &gre([0, 0], 0, 0x0800, &ip4(1, &[8; 8])))), Skip::Icmp),
        (1, (0..80).fold(inner4(), |p, _| eth(0x88e7, &cat(&[&[0, 0, 0, 1], &p]))), Skip::TooDeep),
    ];
    for (link, bytes, want) in cases {
        assert_eq!(skip(link, &bytes), Some(want), "{bytes:02x?}");
    }
}

#[test]
fn a_tunnel_without_a_packet_inside_is_a_flow_itself() {
    let on = |port: u16, p: &[u8]| eth(0x0800, &outer4(17, &udp(50_000, port, p)));
    let arp = cat(&[&[8, 0, 0, 0, 0, 0, 1, 0], &eth(0x0806, &[0; 28])]);
    let icmp = cat(&[&[8, 0, 0, 0, 0, 0, 1, 0], &eth(0x0800, &ip4(1, &[8; 8]))]);
    assert_eq!(packet(1, &on(4789, &arp)).dst_port, 4789);
    assert_eq!(skip(1, &on(4789, &icmp)), Some(Skip::Icmp), "as TShark, whose last IP layer has no ports");
    assert_eq!(packet(1, &on(8472, &icmp)).dst_port, 8472, "not certain to be VXLAN");
    assert_eq!(packet(1, &on(2152, &[0x32, 1, 0, 4, 0, 0, 0, 0, 0, 0, 0, 0])).dst_port, 2152, "echo request");
    assert_eq!(packet(1, &on(3544, b"not teredo")).path.tunnels, 0);
    assert_eq!(packet(1, &on(5247, &[1, 0, 0, 0, 9, 9, 9])).payload_len, 7, "DTLS");
    let lie = cat(&[&[8, 0, 0, 0, 0, 0, 1, 0], &eth(0x0800, &[0x41; 24])]);
    assert_eq!(packet(1, &on(4789, &lie)).dst_port, 4789, "a broken inner header hides no upload");
}

#[test]
fn padding_and_lies_do_not_count() {
    let padded = cat(&[&eth(0x0800, &ip4(17, &udp(1, 2, b"hi"))), &[0; 16]]);
    assert_eq!((packet(1, &padded).payload, packet(1, &padded).ip_len), (&b"hi"[..], 30));
    let mut lie = eth(0x0800, &ip4(17, &udp(1, 2, b"hi")));
    lie[38..40].copy_from_slice(&60_000_u16.to_be_bytes());
    assert_eq!(packet(1, &lie).payload_len, 2, "the UDP length goes beyond the packet");
    let mut short = eth(0x0800, &inner4());
    short[46] = 0x40;
    let p = packet(1, &short);
    assert_eq!((p.dst_port, p.payload_len, p.tcp.flags), (443, 0, 0), "data offset 4");
    let cut = eth(0x0800, &inner4());
    let ports = packet(1, &cut[..38]);
    assert_eq!((ports.src_port, ports.payload_len, ports.ip_len), (40_000, 0, 45), "cut behind the ports");
    assert_eq!(skip(1, &cut[..37]), Some(Skip::Cut));
}

#[test]
fn cut_captures_count_by_their_headers() {
    let whole = eth(0x0800, &ip4(6, &tcp(&[7; 1_000])));
    let cut = Frame { wire_len: whole.len() as u32, ..frame(1, &whole[..68]) };
    let Decoded::Packet(p) = decode::decode(&cut) else { panic!() };
    assert_eq!((p.payload.len(), p.payload_len, p.ip_len, p.wire_len), (14, 1_000, 1_040, 1_054));
    let flags = Frame { wire_len: whole.len() as u32, ..frame(1, &whole[..48]) };
    let Decoded::Packet(p) = decode::decode(&flags) else { panic!() };
    assert_eq!((p.payload.len(), p.payload_len, p.tcp.flags), (0, 1_000, 0x18), "cut behind the flags");
}

#[test]
fn offloaded_packets_are_as_long_as_their_frame() {
    let mut big = eth(0x0800, &ip4(6, &tcp(&[7; 100])));
    big.extend([7; 79_900]);
    big[16..18].fill(0);
    let p = packet(1, &big);
    assert_eq!((p.payload_len, p.ip_len), (80_000, 80_040));
    let mut big = eth(0x86dd, &ip6(6, &tcp(&[7; 100])));
    big.extend([7; 79_900]);
    big[18..20].fill(0);
    assert_eq!(packet(1, &big).payload_len, 80_000);
    let jumbo = cat(&[&[6, 0, 0xc2, 4], &80_028_u32.to_be_bytes(), &tcp(&vec![7; 80_000])]);
    let mut bytes = eth(0x86dd, &ip6(0, &jumbo));
    bytes[18..20].fill(0);
    bytes.extend([0; 50]);
    let p = packet(1, &bytes);
    assert_eq!((p.payload_len, p.ip_len), (80_000, 80_068));
}

/// Small and fast, and the same on every run (xorshift).
fn random(state: &mut u64) -> u64 {
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    *state
}

fn never_beyond(name: &str, bytes: &[u8], link: u16) {
    for wire in [bytes.len() as u32, u32::MAX, 0] {
        let f = Frame { wire_len: wire, ..frame(link, bytes) };
        if let Decoded::Packet(p) = decode::decode(&f) {
            assert!(p.payload.len() <= p.payload_len as usize, "{name}");
            assert!(p.payload.len() <= bytes.len(), "{name}");
        }
    }
}

#[test]
fn no_truncation_and_no_flipped_bit_is_too_much() {
    let mut state = 0x1234_5678_9abc_def0;
    for (name, link, bytes, _) in stacks() {
        for n in 0..bytes.len() {
            never_beyond(name, &bytes[..n], link);
        }
        for _ in 0..1_000 {
            let mut bytes = bytes.clone();
            for _ in 0..1 + random(&mut state) % 6 {
                let bit = random(&mut state) as usize % (bytes.len() * 8);
                bytes[bit / 8] ^= 1 << (bit % 8);
            }
            never_beyond(name, &bytes, link);
        }
    }
    for link in 0..300 {
        for _ in 0..200 {
            let n = random(&mut state) as usize % 100;
            let bytes: Vec<u8> = (0..n).map(|_| random(&mut state) as u8).collect();
            never_beyond("noise", &bytes, link);
        }
    }
}

fn same(a: &Decoded<'_>, b: &Decoded<'_>) -> bool {
    format!("{a:?}") == format!("{b:?}")
}

/// Ethernet frames with everything that the short cut decides on, right and wrong.
fn ordinary() -> impl Strategy<Value = (Vec<u8>, u32)> {
    let transport =
        (any::<bool>(), prop::collection::vec(any::<u8>(), 0..40), 3_u8..8, -2_i32..60, any::<u16>());
    let frame = (any::<bool>(), 0_usize..4, transport, -3_i32..3, 0_usize..20, any::<bool>());
    (frame, 0_u32..200, any::<bool>()).prop_map(|((six, tags, transport, lie, padding, whole), cut, odd)| {
        let (is_tcp, payload, offset, udp_lie, port) = transport;
        let mut segment = if is_tcp { tcp(&payload) } else { udp(port, 53, &payload) };
        if is_tcp {
            segment[12] = offset << 4;
        } else if odd {
            segment[5] = segment[5].wrapping_add(udp_lie as u8);
        }
        let protocol = if is_tcp { 6 } else { 17 };
        let mut p = if six { ip6(protocol, &segment) } else { ip4(protocol, &segment) };
        let length = if six { 5 } else { 3 };
        p[length] = p[length].wrapping_add(lie as u8);
        let mut kind = if six { 0x86dd } else { 0x0800 };
        for i in 0..tags {
            p = tag(i as u16 + 100, kind, &p);
            kind = if odd { 0x8100 } else { 0x88a8 };
        }
        let mut bytes = cat(&[&eth(kind, &p), &vec![0; padding]]);
        let wire = bytes.len() as u32;
        if !whole {
            bytes.truncate(cut as usize);
        }
        (bytes, wire)
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 4_000, ..ProptestConfig::default() })]

    #[test]
    fn the_short_cut_gives_what_the_long_way_gives((bytes, wire_len) in ordinary()) {
        let f = Frame { wire_len, ..frame(1, &bytes) };
        prop_assert!(same(&decode::decode(&f), &decode::walk(&f)), "{:?}\n{:?}", decode::decode(&f), decode::walk(&f));
    }

    #[test]
    fn etherparse_says_the_same((bytes, _) in ordinary()) {
        use etherparse::{NetSlice, SlicedPacket, TransportSlice};
        let Ok(theirs) = SlicedPacket::from_ethernet(&bytes) else { return Ok(()) };
        let (Some(net), Some(transport)) = (&theirs.net, &theirs.transport) else { return Ok(()) };
        let ours = decode::decode(&frame(1, &bytes));
        let Decoded::Packet(p) = ours else { return Err(TestCaseError::fail(format!("{ours:?}"))) };
        let pair = match net {
            NetSlice::Ipv4(ip) => Pair::V4 {
                src: u32::from_be_bytes(ip.header().source()),
                dst: u32::from_be_bytes(ip.header().destination()),
            },
            NetSlice::Ipv6(ip) => Pair::V6 {
                src: u128::from_be_bytes(ip.header().source()),
                dst: u128::from_be_bytes(ip.header().destination()),
            },
            NetSlice::Arp(_) => return Ok(()),
        };
        prop_assert_eq!(p.pair, pair);
        match transport {
            TransportSlice::Tcp(t) => {
                prop_assert_eq!((p.src_port, p.dst_port), (t.source_port(), t.destination_port()));
                prop_assert_eq!((p.tcp.seq, p.tcp.ack), (t.sequence_number(), t.acknowledgment_number()));
                prop_assert_eq!(p.payload, t.payload());
            }
            TransportSlice::Udp(u) => {
                prop_assert_eq!((p.src_port, p.dst_port), (u.source_port(), u.destination_port()));
                prop_assert_eq!(p.payload, u.payload());
            }
            _ => {}
        }
    }
}
