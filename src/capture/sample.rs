//! A capture that needs no file: one host uploads to a drive. For `egret selftest`.

use super::{Batch, Fault, LinkType, Slot, Source};
use crate::units::Timestamp;
use std::net::{IpAddr, Ipv4Addr};

/// Name of the destination, in the hello.
pub const NAME: &str = "content.dropboxapi.com";
/// Payload of a data frame, as offloading network cards hand it over.
const PIECE: usize = 40_000;
/// Data frames.
const PIECES: u64 = 500;
/// Bytes of payload that leave, the hello not counted.
pub const UPLOADED: u64 = PIECES * PIECE as u64;
/// Frames in all: handshake, hello, data, end.
pub const FRAMES: u64 = 4 + PIECES + 3;
/// When it begins: 1 January 2026.
const BEGINS: i64 = 1_767_225_600;

/// See the module.
pub struct Sample {
    frames: Vec<Vec<u8>>,
    next: usize,
}

impl Sample {
    /// The host is the second address of `home`, 10.20.30.40 where home is not IPv4 or not given.
    pub fn new(home: Option<IpAddr>) -> Self {
        let host = match home {
            Some(IpAddr::V4(net)) => Ipv4Addr::from_bits(net.to_bits().saturating_add(1)),
            _ => Ipv4Addr::new(10, 20, 30, 40),
        };
        let far = Ipv4Addr::new(203, 0, 113, 67);
        let mut talk = Talk { ends: (host, far), up: 1_000, down: 9_000, frames: Vec::new() };
        talk.say(true, SYN, &[]);
        talk.say(false, SYN | ACK, &[]);
        talk.say(true, ACK, &[]);
        talk.say(true, ACK | PUSH, &hello(NAME));
        let data = record();
        (0..PIECES).for_each(|_| talk.say(true, ACK, &data));
        talk.say(false, ACK | FIN, &[]);
        talk.say(true, ACK | FIN, &[]);
        talk.say(false, ACK, &[]);
        Self { frames: talk.frames, next: 0 }
    }
}

impl Source for Sample {
    fn fill(&mut self, batch: &mut Batch) -> bool {
        batch.clear();
        batch.bytes.clear();
        while let Some(frame) = self.frames.get(self.next).filter(|_| batch.slots.len() < 64) {
            let (offset, captured) = (batch.bytes.len() as u32, frame.len() as u32);
            // 50 ms apart: the upload takes 25 s, and is seen while it lasts.
            let at = Timestamp::new(BEGINS, self.next as i64 * 50_000_000);
            let link = LinkType::ETHERNET;
            batch.slots.push(Slot { at, offset, captured, wire_len: captured, link, vlan: 0xffff });
            batch.bytes.extend_from_slice(frame);
            self.next += 1;
        }
        !batch.slots.is_empty()
    }

    fn faults(&self) -> &[Fault] {
        &[]
    }

    fn progress(&self) -> (u64, Option<u64>) {
        (self.next as u64, Some(self.frames.len() as u64))
    }
}

const FIN: u8 = 0x01;
const SYN: u8 = 0x02;
const PUSH: u8 = 0x08;
const ACK: u8 = 0x10;

/// One TCP connection being written down.
struct Talk {
    ends: (Ipv4Addr, Ipv4Addr),
    up: u32,
    down: u32,
    frames: Vec<Vec<u8>>,
}

impl Talk {
    fn say(&mut self, up: bool, flags: u8, payload: &[u8]) {
        let (mine, theirs) = if up { (&mut self.up, self.down) } else { (&mut self.down, self.up) };
        let sequence = *mine;
        let counts = u32::from(flags & (SYN | FIN) != 0);
        *mine = mine.wrapping_add(payload.len() as u32).wrapping_add(counts);
        let (host, far) = self.ends;
        let (from, to, ports) =
            if up { (host, far, (50_123u16, 443u16)) } else { (far, host, (443, 50_123)) };
        let mut f = Vec::with_capacity(54 + payload.len());
        let (a, b) = ([2, 0, 0, 0, 0, 1], [2, 0, 0, 0, 0, 2]);
        let (destination, source): ([u8; 6], [u8; 6]) = if up { (b, a) } else { (a, b) };
        f.extend(destination);
        f.extend(source);
        f.extend([8, 0, 0x45, 0]);
        f.extend((40 + payload.len() as u16).to_be_bytes());
        f.extend([0, 1, 0x40, 0, 64, 6, 0, 0]);
        f.extend(from.octets());
        f.extend(to.octets());
        f.extend(ports.0.to_be_bytes());
        f.extend(ports.1.to_be_bytes());
        f.extend(sequence.to_be_bytes());
        f.extend(if flags & ACK != 0 { theirs } else { 0 }.to_be_bytes());
        f.extend([0x50, flags, 0xff, 0xff, 0, 0, 0, 0]);
        f.extend_from_slice(payload);
        self.frames.push(f);
    }
}

/// A length before what it counts.
fn counted(bytes: usize, body: &[u8]) -> Vec<u8> {
    let length = (body.len() as u32).to_be_bytes();
    [length.get(4 - bytes..).unwrap_or_default(), body].concat()
}

/// A TLS 1.3 ClientHello with a server name.
fn hello(name: &str) -> Vec<u8> {
    let server = [&[0u8][..], &counted(2, name.as_bytes())].concat();
    let extension = |kind: u16, body: &[u8]| [&kind.to_be_bytes()[..], &counted(2, body)].concat();
    let extensions = [
        extension(0, &counted(2, &server)),
        extension(43, &[2, 3, 4]),
        extension(16, &counted(2, &counted(1, b"h2"))),
    ]
    .concat();
    let body =
        [&[3u8, 3][..], &[7; 32], &[0, 0, 4, 0x13, 1, 0x13, 2, 1, 0], &counted(2, &extensions)].concat();
    let handshake = [&[1u8][..], &counted(3, &body)].concat();
    [&[22u8, 3, 1][..], &counted(2, &handshake)].concat()
}

/// One data frame: TLS records of application data.
fn record() -> Vec<u8> {
    let mut data = Vec::with_capacity(PIECE);
    while data.len() + 5 < PIECE {
        let length = (PIECE - data.len() - 5).min(16_384);
        data.extend([23, 3, 3]);
        data.extend((length as u16).to_be_bytes());
        data.resize(data.len() + length, 0x5a);
    }
    data.resize(PIECE, 0);
    data
}
