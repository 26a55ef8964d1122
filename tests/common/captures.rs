//! A small reader of classic pcap and pcapng, independent of the one under test.

use egret::capture::LinkType;

/// A frame with its time in nanoseconds.
#[derive(Clone, Debug)]
pub struct Recorded {
    /// Nanoseconds since the epoch.
    pub at: i64,
    /// Captured bytes.
    pub bytes: Vec<u8>,
    /// Length on the wire.
    pub wire_len: u32,
    /// Link type.
    pub link: LinkType,
}

/// Reads what can be read.
pub fn read(file: &[u8]) -> Vec<Recorded> {
    let mut out = Vec::new();
    match file.get(..4) {
        Some(b"\x0a\x0d\x0d\x0a") => drop(pcapng(file, &mut out)),
        Some(_) => drop(pcap(file, &mut out)),
        None => {}
    }
    out
}

fn num(bytes: &[u8], at: usize, len: usize, big: bool) -> Option<u64> {
    let b = bytes.get(at..at + len)?;
    let fold = |acc: u64, x: &u8| acc << 8 | u64::from(*x);
    Some(if big { b.iter().fold(0, fold) } else { b.iter().rev().fold(0, fold) })
}

fn pcap(file: &[u8], out: &mut Vec<Recorded>) -> Option<()> {
    let (big, nanos, modified) = match file.get(..4)? {
        [0xd4, 0xc3, 0xb2, 0xa1] => (false, false, false),
        [0xa1, 0xb2, 0xc3, 0xd4] => (true, false, false),
        [0x4d, 0x3c, 0xb2, 0xa1] => (false, true, false),
        [0xa1, 0xb2, 0x3c, 0x4d] => (true, true, false),
        [0x34, 0xcd, 0xb2, 0xa1] => (false, false, true),
        _ => return None,
    };
    let link = LinkType(num(file, 20, 4, big)? as u16);
    let mut at = 24;
    loop {
        let (secs, part) = (num(file, at, 4, big)?, num(file, at + 4, 4, big)?);
        let (captured, wire_len) = (num(file, at + 8, 4, big)? as usize, num(file, at + 12, 4, big)? as u32);
        at += if modified { 24 } else { 16 };
        let bytes = file.get(at..at + captured)?.to_vec();
        at += captured;
        let at = secs as i64 * 1_000_000_000 + part as i64 * if nanos { 1 } else { 1_000 };
        out.push(Recorded { at, bytes, wire_len, link });
    }
}

#[derive(Clone, Copy)]
struct Interface {
    link: LinkType,
    snap: u32,
    per_sec: u64,
    offset: i64,
}

fn pcapng(file: &[u8], out: &mut Vec<Recorded>) -> Option<()> {
    let (mut at, mut big) = (0, false);
    let mut faces: Vec<Interface> = Vec::new();
    loop {
        let section = file.get(at..at + 4)? == b"\x0a\x0d\x0d\x0a";
        if section {
            big = file.get(at + 8..at + 12)? == [0x1a, 0x2b, 0x3c, 0x4d];
            faces.clear();
        }
        let (kind, len) = (num(file, at, 4, big)?, num(file, at + 4, 4, big)? as usize);
        let body = file.get(at + 8..at + len.checked_sub(4)?)?;
        at += len;
        match kind {
            1 => faces.push(interface(body, big)?),
            2 | 6 => {
                let face = if kind == 6 { num(body, 0, 4, big)? } else { num(body, 0, 2, big)? };
                let face = *faces.get(face as usize)?;
                let stamp = num(body, 4, 4, big)? << 32 | num(body, 8, 4, big)?;
                let (captured, wire_len) = (num(body, 12, 4, big)? as usize, num(body, 16, 4, big)? as u32);
                let nanos = (u128::from(stamp) * 1_000_000_000 / u128::from(face.per_sec)) as i64;
                let at = nanos + face.offset * 1_000_000_000;
                out.push(Recorded {
                    at,
                    bytes: body.get(20..20 + captured)?.to_vec(),
                    wire_len,
                    link: face.link,
                });
            }
            3 => {
                let face = *faces.first()?;
                let wire_len = num(body, 0, 4, big)? as u32;
                let captured = if face.snap == 0 { wire_len } else { wire_len.min(face.snap) } as usize;
                let bytes = body.get(4..4 + captured.min(body.len() - 4))?.to_vec();
                out.push(Recorded { at: 0, bytes, wire_len, link: face.link });
            }
            _ => {}
        }
    }
}

fn interface(body: &[u8], big: bool) -> Option<Interface> {
    let mut face = Interface {
        link: LinkType(num(body, 0, 2, big)? as u16),
        snap: num(body, 4, 4, big)? as u32,
        per_sec: 1_000_000,
        offset: 0,
    };
    let mut at = 8;
    while let (Some(code), Some(len)) = (num(body, at, 2, big), num(body, at + 2, 2, big)) {
        let len = len as usize;
        match code {
            0 => break,
            9 => {
                let value = *body.get(at + 4)?;
                let power = u32::from(value & 0x7f);
                face.per_sec = if value & 0x80 != 0 { 1 << power } else { 10_u64.pow(power) };
            }
            14 => face.offset = num(body, at + 4, 8, big)? as i64,
            _ => {}
        }
        at += 4 + len.next_multiple_of(4);
    }
    Some(face)
}
