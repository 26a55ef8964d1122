//! The program is run by a small interpreter, over frames as the kernel would show them.

use super::*;
use crate::capture::{Frame, LinkType};
use crate::decode::{Decoded, decode};
use crate::units::Timestamp;

/// Runs a program over a received frame: data from the network header on, the protocol beside it.
fn run(program: &[Instruction], protocol: u16, outgoing: bool, data: &[u8]) -> u32 {
    let (mut a, mut x, mut m, mut pc) = (0u32, 0u32, [0u32; 16], 0usize);
    let load = |at: u32, len: usize| -> Option<u32> {
        match at {
            AD_PROTOCOL => return Some(u32::from(protocol)),
            AD_PKTTYPE => return Some(if outgoing { OUTGOING } else { 0 }),
            _ => {}
        }
        let bytes = data.get(at as usize..at as usize + len)?;
        Some(bytes.iter().fold(0, |n, b| n << 8 | u32::from(*b)))
    };
    loop {
        let i = program[pc];
        pc += 1;
        let k = i.k;
        let size = match i.code & 0x18 {
            0x08 => 2,
            0x10 => 1,
            _ => 4,
        };
        let operand = if i.code & 8 != 0 { x } else { k };
        match i.code & 7 {
            0 => {
                let value = match i.code & 0xe0 {
                    0x00 => Some(k),
                    0x20 => load(k, size),
                    0x40 => load(x.wrapping_add(k), size),
                    0x60 => Some(m[k as usize]),
                    _ => Some(data.len() as u32),
                };
                let Some(value) = value else { return 0 };
                a = value;
            }
            1 => x = if i.code & 0xe0 == 0x60 { m[k as usize] } else { k },
            2 => m[k as usize] = a,
            3 => m[k as usize] = x,
            4 => {
                a = match i.code & 0xf0 {
                    0x00 => a.wrapping_add(operand),
                    0x20 => a.wrapping_mul(operand),
                    0x50 => a & operand,
                    0x60 => a << operand,
                    0x70 => a >> operand,
                    _ => a ^ operand,
                }
            }
            5 => {
                let holds = match i.code & 0xf0 {
                    0x00 => {
                        pc += k as usize;
                        continue;
                    }
                    0x10 => a == operand,
                    0x30 => a >= operand,
                    _ => a & operand != 0,
                };
                pc += usize::from(if holds { i.jt } else { i.jf });
            }
            6 => return a,
            _ => {
                if i.code & 0x80 != 0 {
                    a = x;
                } else {
                    x = a;
                }
            }
        }
    }
}

fn cat(parts: &[&[u8]]) -> Vec<u8> {
    parts.concat()
}

fn v4(src: u32, dst: u32, protocol: u8, fragment: u16, body: &[u8]) -> Vec<u8> {
    let total = (body.len() as u16 + 20).to_be_bytes();
    let head = [&[0x45, 0][..], &total, &[0, 7], &fragment.to_be_bytes(), &[64, protocol, 0, 0]].concat();
    cat(&[&head, &src.to_be_bytes(), &dst.to_be_bytes(), body])
}

fn v6(src: u128, dst: u128, next: u8, body: &[u8]) -> Vec<u8> {
    let len = (body.len() as u16).to_be_bytes();
    cat(&[&[0x60, 0, 0, 0], &len, &[next, 64], &src.to_be_bytes(), &dst.to_be_bytes(), body])
}

fn tcp(src: u16, dst: u16) -> Vec<u8> {
    let rest = [0, 0, 0, 1, 0, 0, 0, 2, 0x50, 0x18, 0xff, 0xff, 0, 0, 0, 0, 9, 9];
    cat(&[&src.to_be_bytes(), &dst.to_be_bytes(), &rest])
}

fn udp(src: u16, dst: u16, body: &[u8]) -> Vec<u8> {
    let len = (body.len() as u16 + 8).to_be_bytes();
    cat(&[&src.to_be_bytes(), &dst.to_be_bytes(), &len, &[0, 0], body])
}

fn ethernet(kind: u16, body: &[u8]) -> Vec<u8> {
    cat(&[&[2, 0, 0, 0, 0, 2, 2, 0, 0, 0, 0, 1], &kind.to_be_bytes(), body])
}

/// One packet of a pair, wrapped in every way that the program knows; ways differ by direction where real ones do.
fn wrapped(pair: Pair, there: bool) -> Vec<(&'static str, Vec<u8>)> {
    let (ports, near, far) = if there { ((40_000, 443), 1, 2) } else { ((443, 40_000), 2, 1) };
    let segment = tcp(ports.0, ports.1);
    let (kind, inner) = match pair {
        Pair::V4 { src, dst } => (0x0800, v4(src, dst, 6, 0, &segment)),
        Pair::V6 { src, dst } => (0x86dd, v6(src, dst, 6, &segment)),
    };
    let ip = |protocol: u8, body: &[u8]| {
        ethernet(0x0800, &v4(0xc000_0200 + near, 0xc000_0200 + far, protocol, 0, body))
    };
    let on =
        |port: u16, head: &[u8], body: &[u8]| ip(17, &udp(50_000 + near as u16, port, &cat(&[head, body])));
    let frame = ethernet(kind, &inner);
    let tagged = ethernet(0x8100, &cat(&[&[0, 5], &kind.to_be_bytes(), &inner]));
    let k = kind.to_be_bytes();
    let gre = |flags: u8, kind: &[u8], pad: usize, body: &[u8]| {
        ip(47, &cat(&[&[flags, 0], kind, &vec![0; pad], body]))
    };
    let erspan = cat(&[&[0x10, 0, 0, 0, 0, 0, 0, 0], &frame]);
    let ppp: &[u8] = if kind == 0x0800 { &[0, 0x21] } else { &[0, 0x57] };
    let pppoe = cat(&[&[0x11, 0, 0, 1], &(inner.len() as u16 + 2).to_be_bytes(), ppp, &inner]);
    let six = |body: &[u8]| ethernet(0x86dd, &v6(u128::from(near) << 64, u128::from(far) << 64, 17, body));
    let gtp = [0x30, 255, 0, 99, 0, 0, 0, 1];
    let mut gtp_extended = [0x34, 255, 0, 99, 0, 0, 0, 1, 0, 0, 0, 0x85].to_vec();
    gtp_extended.extend([1, 0, 9, 0xc0, 1, 0, 0, 0]);
    vec![
        ("plain", frame.clone()),
        ("VLAN", tagged.clone()),
        ("QinQ", ethernet(0x88a8, &cat(&[&[0, 9, 0x81, 0, 0, 5], &k, &inner]))),
        ("PPPoE", ethernet(0x8864, &pppoe)),
        ("IP in IP", ip(if kind == 0x0800 { 4 } else { 41 }, &inner)),
        ("GRE", gre(0, &k, 0, &inner)),
        ("GRE, key and sequence", gre(0x30, &k, 8, &inner)),
        ("GRE, all fields", gre(0xb0, &[0x65, 0x58], 12, &frame)),
        ("ERSPAN I", gre(0, &[0x88, 0xbe], 0, &frame)),
        ("ERSPAN II", gre(0x10, &[0x88, 0xbe], 4, &erspan)),
        ("VXLAN", on(4789, &[8, 0, 0, 0, 0, 0, 9, 0], &frame)),
        ("VXLAN, tagged within", on(4789, &[8, 0, 0, 0, 0, 0, 9, 0], &tagged)),
        (
            "VXLAN over IPv6",
            six(&udp(50_000 + near as u16, 4789, &cat(&[&[8, 0, 0, 0, 0, 0, 9, 0], &frame]))),
        ),
        ("Geneve, options", on(6081, &[1, 0, 0x65, 0x58, 0, 0, 9, 0, 0, 0, 0, 0], &frame)),
        ("Geneve, IP", on(6081, &[0, 0, k[0], k[1], 0, 0, 9, 0], &inner)),
        ("GTP-U", on(2152, &gtp, &inner)),
        ("GTP-U, sequence", on(2152, &[0x32, 255, 0, 99, 0, 0, 0, 1, 0, 7, 0, 0], &inner)),
        ("GTP-U, extensions", on(2152, &gtp_extended, &inner)),
    ]
}

/// How the kernel shows a received frame to the program: the first tag taken out.
fn shown(frame: &[u8]) -> (u16, &[u8]) {
    let kind = u16::from_be_bytes([frame[12], frame[13]]);
    if matches!(kind, 0x8100 | 0x88a8) {
        return (u16::from_be_bytes([frame[16], frame[17]]), &frame[18..]);
    }
    (kind, &frame[14..])
}

fn pairs() -> Vec<(Pair, Pair)> {
    let mut pairs = Vec::new();
    for i in 0..60u32 {
        let (a, b) = (0x0a00_0001 + i, 0xc633_6400 + (i * 7) % 251);
        pairs.push((Pair::V4 { src: a, dst: b }, Pair::V4 { src: b, dst: a }));
        let (a, b) =
            (0x2001_0db8_u128 << 96 | u128::from(i), 0x2600_u128 << 112 | u128::from(i * 3) << 64 | 1);
        pairs.push((Pair::V6 { src: a, dst: b }, Pair::V6 { src: b, dst: a }));
    }
    pairs
}

fn decoded_pair(frame: &[u8]) -> Option<Pair> {
    let frame = Frame {
        at: Timestamp::default(),
        now: Timestamp::default(),
        ordinal: 0,
        bytes: frame,
        wire_len: frame.len() as u32,
        link: LinkType::ETHERNET,
        vlan: None,
    };
    match decode(&frame) {
        Decoded::Packet(packet) => Some(packet.pair),
        Decoded::Fragment(fragment) => Some(fragment.pair),
        Decoded::Skip(_) => None,
    }
}

#[test]
fn both_directions_of_every_pair_in_every_wrapping_go_to_the_owner() {
    let shards = Shards::from_seed(7);
    let program = shards.program(14);
    assert!(program.len() <= 4096, "{}", program.len());
    for (there, back) in pairs() {
        for workers in [2, 3, 4] {
            let owner = shards.owner(&there, workers);
            for (pair, direction) in [(there, true), (back, false)] {
                assert_eq!(shards.owner(&pair, workers), owner);
                for (what, frame) in wrapped(pair, direction) {
                    assert_eq!(decoded_pair(&frame), Some(pair), "{what}");
                    let (protocol, data) = shown(&frame);
                    let got = run(&program, protocol, false, data) as usize % workers;
                    assert_eq!(got, owner, "{what} of {pair:?}");
                    let kind = u16::from_be_bytes([frame[12], frame[13]]);
                    assert_eq!(run(&program, kind, true, &frame) as usize % workers, owner, "sent {what}");
                }
            }
        }
    }
}

#[test]
fn fragments_stay_together() {
    let shards = Shards::from_seed(8);
    let program = shards.program(14);
    for i in 0..60 {
        let (a, b) = (0x0a01_0000 + i, 0x0808_0000 + i * 5);
        let pair = Pair::V4 { src: a, dst: b };
        for fragment in [0x2000, 0x2005, 0x0009] {
            // Later fragments hold anything: here what looks like a tunnel's port.
            let body = udp(4789, 4789, &[8; 90]);
            let data = v4(a, b, 17, fragment, &body);
            assert_eq!(run(&program, 0x0800, false, &data) as usize % 4, shards.owner(&pair, 4));
        }
    }
}

#[test]
fn spreads_neighbours_evenly() {
    for seed in 0..4 {
        let shards = Shards::from_seed(seed);
        for workers in [2, 3, 4] {
            let mut load = vec![0; workers];
            for host in 0..250u32 {
                for server in 0..40u32 {
                    let pair = Pair::V4 { src: 0x0a00_0000 + host, dst: 0x0d00_0000 + server * 256 };
                    load[shards.owner(&pair, workers)] += 1;
                }
            }
            let fair = 10_000 / workers;
            assert!(load.iter().all(|l| *l > fair * 3 / 4 && *l < fair * 5 / 4), "{seed} {load:?}");
        }
    }
}

#[test]
fn what_cannot_be_walked_goes_by_what_was_found_and_never_runs_away() {
    let shards = Shards::from_seed(9);
    let program = shards.program(14);
    for (what, frame) in wrapped(pairs()[3].0, true) {
        let (protocol, data) = shown(&frame);
        for len in 0..data.len() {
            run(&program, protocol, false, &data[..len]);
        }
        for at in 0..data.len().min(90) {
            for value in [0, 0x40, 0x7f, 0xff] {
                let mut damaged = data.to_vec();
                damaged[at] = value;
                run(&program, protocol, false, &damaged);
            }
        }
        let _ = what;
    }
    // ARP in VXLAN belongs to the tunnel's ends.
    let arp = ethernet(0x0806, &[0; 46]);
    let data = v4(1, 2, 17, 0, &udp(5, 4789, &cat(&[&[8, 0, 0, 0, 0, 0, 9, 0], &arp])));
    assert_eq!(
        run(&program, 0x0800, false, &data) as usize % 4,
        shards.owner(&Pair::V4 { src: 1, dst: 2 }, 4)
    );
}
