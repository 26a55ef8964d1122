//! Traffic made by hand: connections that are opened, used and broken in every way, at random but repeatably.

use super::pipeline::Frame;
use egret::units::Timestamp;
use std::net::IpAddr;

pub(crate) const FIN: u8 = 1;
pub(crate) const SYN: u8 = 2;
pub(crate) const RST: u8 = 4;
pub(crate) const ACK: u8 = 16;

/// SplitMix64.
pub(crate) struct Random(pub(crate) u64);

impl Random {
    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    pub(crate) fn below(&mut self, n: u64) -> u64 {
        self.next() % n
    }

    pub(crate) fn in_hundred(&mut self, n: u64) -> bool {
        self.below(100) < n
    }
}

/// One end of a connection.
#[derive(Clone, Copy, Debug)]
pub(crate) struct End {
    pub(crate) ip: IpAddr,
    pub(crate) port: u16,
    /// Next sequence number.
    pub(crate) seq: u32,
}

/// A TCP connection, client first.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Conn {
    pub(crate) ends: [End; 2],
}

impl Conn {
    pub(crate) fn new(client: IpAddr, port: u16, server: IpAddr, server_port: u16, isn: [u32; 2]) -> Self {
        let end = |ip, port, seq| End { ip, port, seq };
        Self { ends: [end(client, port, isn[0]), end(server, server_port, isn[1])] }
    }

    /// The next segment from end `from` with `len` payload bytes, of which `bytes` are captured.
    pub(crate) fn segment(&mut self, at: i64, from: usize, flags: u8, bytes: &[u8], len: u32) -> Frame {
        let frame = self.segment_at(at, from, flags, self.ends[from].seq, bytes, len);
        let takes = len + u32::from(flags & (SYN | FIN) != 0);
        self.ends[from].seq = self.ends[from].seq.wrapping_add(takes);
        frame
    }

    /// A segment at a sequence number of choice; the connection stays where it is.
    pub(crate) fn segment_at(
        &self,
        at: i64,
        from: usize,
        flags: u8,
        seq: u32,
        bytes: &[u8],
        len: u32,
    ) -> Frame {
        let (mine, other) = (self.ends[from], self.ends[1 - from]);
        let mut tcp = [mine.port.to_be_bytes(), other.port.to_be_bytes()].concat();
        tcp.extend(seq.to_be_bytes());
        tcp.extend(if flags & ACK == 0 { 0 } else { other.seq }.to_be_bytes());
        tcp.extend([0x50, flags, 0xff, 0xff, 0, 0, 0, 0]);
        tcp.extend(bytes);
        let missing = len as usize - bytes.len();
        ip_frame(at, mine.ip, other.ip, 6, &tcp, missing)
    }

    /// SYN, SYN-ACK, ACK.
    pub(crate) fn handshake(&mut self, at: i64) -> Vec<Frame> {
        [(0, SYN), (1, SYN | ACK), (0, ACK)]
            .into_iter()
            .map(|(from, flags)| self.segment(at, from, flags, &[], 0))
            .collect()
    }
}

/// An Ethernet frame with an IP packet whose last `missing` bytes were not captured.
pub(crate) fn ip_frame(
    at: i64,
    src: IpAddr,
    dst: IpAddr,
    protocol: u8,
    payload: &[u8],
    missing: usize,
) -> Frame {
    let len = payload.len() + missing;
    let (kind, header) = match (src, dst) {
        (IpAddr::V4(s), IpAddr::V4(d)) => {
            (0x0800_u16, ip4_header(s.octets(), d.octets(), protocol, 7, 0, len))
        }
        (IpAddr::V6(s), IpAddr::V6(d)) => {
            let mut h = vec![0x60, 0, 0, 0];
            h.extend((len as u16).to_be_bytes());
            h.extend([protocol, 64]);
            h.extend(s.octets());
            h.extend(d.octets());
            (0x86dd, h)
        }
        _ => panic!("two families in one packet"),
    };
    let mut bytes = vec![2, 0, 0, 0, 0, 2, 2, 0, 0, 0, 0, 1];
    bytes.extend(kind.to_be_bytes());
    bytes.extend(header);
    bytes.extend(payload);
    let wire_len = (bytes.len() + missing) as u32;
    Frame { wire_len, ..Frame::ethernet(Timestamp::from_nanos(at), bytes) }
}

fn ip4_header(src: [u8; 4], dst: [u8; 4], protocol: u8, id: u16, fragment: u16, len: usize) -> Vec<u8> {
    let mut h = vec![0x45, 0];
    h.extend((len as u16 + 20).to_be_bytes());
    h.extend(id.to_be_bytes());
    h.extend(fragment.to_be_bytes());
    h.extend([64, protocol, 0, 0]);
    h.extend(src);
    h.extend(dst);
    h
}

/// A UDP datagram in two IPv4 fragments, cut at `cut` (a multiple of 8).
pub(crate) fn fragments(
    at: i64,
    src: [u8; 4],
    dst: [u8; 4],
    id: u16,
    datagram: &[u8],
    cut: usize,
) -> [Frame; 2] {
    let (head, tail) = datagram.split_at(cut);
    [(head, 0x2000), (tail, cut as u16 / 8)].map(|(part, fragment)| {
        let mut bytes = vec![2, 0, 0, 0, 0, 2, 2, 0, 0, 0, 0, 1, 8, 0];
        bytes.extend(ip4_header(src, dst, 17, id, fragment, part.len()));
        bytes.extend(part);
        Frame::ethernet(Timestamp::from_nanos(at), bytes)
    })
}

/// A UDP datagram.
pub(crate) fn udp(src: u16, dst: u16, payload: &[u8]) -> Vec<u8> {
    let len = (payload.len() + 8) as u16;
    [&src.to_be_bytes(), &dst.to_be_bytes(), &len.to_be_bytes(), &[0, 0], payload].concat()
}

/// A DNS answer: `name` has `address`. Behind it, as many bytes of padding as wanted.
pub(crate) fn dns_answer(name: &str, address: [u8; 4], padding: usize) -> Vec<u8> {
    let mut m = vec![0, 9, 0x81, 0x80, 0, 1, 0, 1, 0, 0, 0, 0];
    for label in name.split('.') {
        m.push(label.len() as u8);
        m.extend(label.bytes());
    }
    m.extend([0, 0, 1, 0, 1, 0xc0, 12, 0, 1, 0, 1, 0, 0, 1, 0x2c, 0, 4]);
    m.extend(address);
    m.resize(m.len() + padding, 0);
    m
}

/// A TLS 1.2 ClientHello in one record that says `name`.
pub(crate) fn hello(name: &str) -> Vec<u8> {
    hello_offering(name, &[])
}

/// The same with application protocols.
pub(crate) fn hello_offering(name: &str, protocols: &[&str]) -> Vec<u8> {
    let sized = |bytes: &[u8]| [&(bytes.len() as u16).to_be_bytes(), bytes].concat();
    let entry = [&[0][..], &sized(name.as_bytes())].concat();
    let mut extension = [&[0, 0][..], &sized(&sized(&entry))].concat();
    if !protocols.is_empty() {
        let list: Vec<u8> =
            protocols.iter().flat_map(|p| [&[p.len() as u8][..], p.as_bytes()].concat()).collect();
        extension.extend([&[0, 16][..], &sized(&sized(&list))].concat());
    }
    let mut body = vec![3, 3];
    body.extend([7; 32]);
    body.push(0);
    body.extend(sized(&[0x13, 1]));
    body.extend([1, 0]);
    body.extend(sized(&extension));
    let handshake = [&[1, 0][..], &sized(&body)].concat();
    [&[22, 3, 1][..], &sized(&handshake)].concat()
}

/// Frames of a wild afternoon: some thousand, of many connections, with all that can go wrong.
pub(crate) fn wild(seed: u64, events: usize) -> Vec<Frame> {
    let now = 1_700_000_000_000_000_000;
    let comes_back = seed.is_multiple_of(2);
    let mut scene = Scene { random: Random(seed), now, frames: Vec::new(), conns: Vec::new(), comes_back };
    for n in 0..40 {
        let conn = scene.fresh(n);
        scene.conns.push(conn);
        scene.open(n as usize);
    }
    for event in 0..events {
        scene.step(event);
    }
    scene.frames
}

/// Connections that are each opened, named, used a little and left alone: nothing but new flows, hosts and pairs.
pub(crate) fn many(seed: u64, connections: usize) -> Vec<Frame> {
    let (mut random, mut frames) = (Random(seed), Vec::new());
    for n in 0..connections as u64 {
        let at = 1_700_000_000_000_000_000 + n as i64 * 3_000_000;
        let client = [10, (n >> 16) as u8, (n >> 8) as u8, n as u8];
        let server = [203, 0, 113, random.below(250) as u8];
        let isn = [random.next() as u32, random.next() as u32];
        let mut conn = Conn::new(client.into(), 1_024 + (n % 60_000) as u16, server.into(), 443, isn);
        frames.extend(conn.handshake(at));
        let hello = hello("upload.box.com");
        frames.push(conn.segment(at, 0, ACK, &hello, hello.len() as u32));
        frames.push(conn.segment(at, 0, ACK, &[23, 3, 3, 4, 0], 1_400));
    }
    frames
}

struct Scene {
    random: Random,
    now: i64,
    frames: Vec<Frame>,
    conns: Vec<Conn>,
    /// The leap of two hours is taken back: from then on every stamp lies before the clock.
    comes_back: bool,
}

impl Scene {
    /// A connection of pair number `n`, every third of them by IPv6.
    fn fresh(&mut self, n: u64) -> Conn {
        let isn = [self.random.next() as u32, self.random.next() as u32];
        let (client, server): (IpAddr, IpAddr) = if n % 3 == 2 {
            let ip = |head: u16, tail: u64| IpAddr::from([head, 0xdb8, 0, 0, 0, 0, 0, tail as u16]);
            (ip(0xfd20, n % 7 + 1), ip(0x2001, n % 5 + 1))
        } else {
            ([10, 0, 0, (n % 11) as u8 + 1].into(), [203, 0, 113, (n % 6) as u8 + 1].into())
        };
        Conn::new(client, 40_000 + n as u16, server, 443, isn)
    }

    /// Opens a connection and says a name that is watched, or not.
    fn open(&mut self, i: usize) {
        const NAMES: [&str; 5] = [
            "content.dropboxapi.com",
            "upload.box.com",
            "pastebin.com",
            "www.wikipedia.org",
            "hooks.slack.com",
        ];
        let frames = self.conns[i].handshake(self.now);
        self.frames.extend(frames);
        let hello = hello(NAMES[i % NAMES.len()]);
        let (first, second) = hello.split_at(self.random.below(hello.len() as u64) as usize);
        let mut parts = Vec::new();
        for part in [first, second] {
            if !part.is_empty() {
                parts.push(self.conns[i].segment(self.now, 0, ACK, part, part.len() as u32));
            }
        }
        if self.random.in_hundred(30) {
            parts.reverse();
        }
        self.frames.extend(parts);
    }

    fn step(&mut self, event: usize) {
        self.now += self.random.below(200_000_000) as i64;
        if self.random.in_hundred(1) {
            self.now += self.random.below(400_000_000_000) as i64;
        }
        let from = self.frames.len();
        match self.random.below(20) {
            0 => self.end(),
            1 | 2 => self.answer(),
            _ => self.data(event),
        }
        // Now and then a stamp goes back, or far ahead; once so many that the clock believes them.
        let ahead = if event / 50 == 20 && self.comes_back { 7_200_000_000_000 } else { 0 };
        if event == 1_200 && !self.comes_back {
            self.now += 7_200_000_000_000;
        }
        let slip = match self.random.below(25) {
            0 => -(self.random.below(5_000_000_000) as i64),
            1 => 4_000_000_000_000 + self.random.below(9_000_000_000_000) as i64,
            _ => 0,
        };
        for frame in &mut self.frames[from..] {
            frame.at = Timestamp::from_nanos(frame.at.nanos() + slip + ahead);
        }
    }

    /// FIN, RST or nothing at all, and often the same ports again.
    fn end(&mut self) {
        let i = self.random.below(self.conns.len() as u64 - 2) as usize;
        match self.random.below(3) {
            0 => {
                for from in [0, 1] {
                    let fin = self.conns[i].segment(self.now, from, FIN | ACK, &[], 0);
                    self.frames.push(fin);
                }
            }
            1 => {
                let reset = self.conns[i].segment(self.now, 1, RST, &[], 0);
                self.frames.push(reset);
            }
            _ => {}
        }
        if self.random.in_hundred(70) {
            self.conns[i] = self.fresh(i as u64);
            self.open(i);
        }
    }

    /// DNS over UDP, mostly in two fragments of which one may come early or never.
    fn answer(&mut self) {
        let client = [10, 0, 0, self.random.below(11) as u8 + 1];
        let server = [203, 0, 113, 53 + self.random.below(6) as u8];
        let message = dns_answer("upload.box.com", [203, 0, 113, 3], 900);
        let datagram = udp(53, 5_000 + self.random.below(3) as u16, &message);
        let id = self.random.next() as u16;
        let mut both = Vec::from(fragments(self.now, server, client, id, &datagram, 512));
        match self.random.below(4) {
            0 => both.reverse(),
            1 => drop(both.pop()),
            2 => drop(both.remove(0)),
            _ => {}
        }
        self.frames.extend(both);
    }

    /// Bytes one way: in order, lost, repeated or late. The last two connections stay open to the end.
    fn data(&mut self, event: usize) {
        let quiet = event.is_multiple_of(7);
        let i = if quiet {
            self.conns.len() - 1 - event % 2
        } else {
            self.random.below(self.conns.len() as u64) as usize
        };
        let from = usize::from(self.random.in_hundred(30));
        let len = self.random.below(30_000) as u32 + 1;
        let body = [23, 3, 3, (len >> 8) as u8, len as u8];
        let bytes = &body[..body.len().min(len as usize)];
        let at = self.conns[i].ends[from].seq;
        let frame = self.conns[i].segment(self.now, from, ACK, bytes, len);
        match self.random.below(12) {
            0 => {}
            1 => self.frames.extend([frame.clone(), frame]),
            2 => {
                let later = self.conns[i].segment(self.now, from, ACK, bytes, len);
                self.frames.extend([later, frame]);
            }
            3 => {
                let early =
                    self.conns[i].segment_at(self.now, from, ACK, at.wrapping_sub(700), bytes, 900.max(len));
                self.frames.extend([early, frame]);
            }
            _ => self.frames.push(frame),
        }
        let ack = self.conns[i].segment(self.now, 1 - from, ACK, &[], 0);
        self.frames.push(ack);
    }
}
