//! QUIC Initial packets (RFC 9000, 17.2.2; RFC 9369): opened, put in order, and handed to the hello scanner.
//!
//! Recognised by form, never by port. State lives only while a hello is incomplete.

use super::hello::{self, Carrier, ClientHello};
use super::pieces::Pieces;
use super::quic_keys::{self, Keys, VERSION_2};
use super::{AppProto, Facts, GiveUp, Outcome, gquic, text};
use crate::bytes::Reader;
use crate::units::Direction;

/// Datagrams of one flow that are looked at.
const MAX_DATAGRAMS: u8 = 64;

/// Packets that no key opened before the flow is given up.
const MAX_FAILURES: u8 = 8;

/// Frames looked at in one packet: a hello may come in single bytes, with padding between.
const MAX_FRAMES: usize = 2048;

/// QUIC connection ids have at most 20 bytes.
pub const MAX_CID: usize = 20;

/// What is kept of the first packets of one UDP flow. Box it, and drop it at [`Outcome::Done`] or `Nothing`.
#[derive(Default)]
pub struct Initials {
    attempts: [Option<Attempt>; 2],
    version: u32,
    datagrams: u8,
    failures: u8,
    client: Option<Direction>,
}

impl Initials {
    /// Whether a datagram begins like QUIC of a version that we can read. A few nanoseconds.
    pub fn looks_like(datagram: &[u8]) -> bool {
        let Some((first, rest)) = datagram.split_first() else { return false };
        if first & 0x80 == 0 {
            return first & 0x09 == 0x09 && gquic::version(datagram).is_some();
        }
        let Some(version) = Reader::new(rest).u32() else { return false };
        datagram.len() > 20 && (quic_keys::is_known(version) || gquic::is_version(version))
    }

    /// Takes the next datagram of the flow, in whichever direction it went.
    pub fn datagram(&mut self, from: Direction, datagram: &[u8]) -> Outcome {
        self.datagrams = self.datagrams.saturating_add(1);
        if self.datagrams > MAX_DATAGRAMS {
            return self.finish();
        }
        let found = match gquic::version(datagram) {
            Some(version) => {
                self.version = version;
                gquic::client_hello(datagram, version)
            }
            None => self.packets(from, datagram),
        };
        match found {
            Some(mut facts) => {
                facts.client_is_responder = from == Direction::Down;
                Outcome::Done(Box::new(facts))
            }
            None if self.failures >= MAX_FAILURES => self.finish(),
            None => Outcome::More,
        }
    }

    /// Memory held.
    pub fn held(&self) -> usize {
        let streams = self.attempts.iter().flatten().map(|a| a.cid.len() + a.stream.held());
        size_of::<Self>() + streams.sum::<usize>()
    }

    /// The best there is, when no more will come or nobody wants to wait: a cut hello may hold the name.
    pub fn finish(&mut self) -> Outcome {
        let cut = self.attempts.iter().flatten().find_map(|a| a.facts(true));
        let facts = match cut {
            Some(facts) => Facts { client_is_responder: self.client == Some(Direction::Down), ..facts },
            None if self.version != 0 => {
                Facts { app: AppProto::Quic, quic_version: Some(self.version), ..Facts::default() }
            }
            None => return Outcome::Nothing(GiveUp::Unknown),
        };
        Outcome::Done(Box::new(facts))
    }

    /// Walks the packets that share a datagram.
    fn packets(&mut self, from: Direction, datagram: &[u8]) -> Option<Facts> {
        let mut r = Reader::new(datagram);
        while let Some(packet) = Long::read(&mut r) {
            self.version = packet.version;
            if gquic::is_version(packet.version) && !quic_keys::is_known(packet.version) {
                return gquic::client_hello(datagram, packet.version);
            }
            let from_server = self.client.is_some_and(|c| c != from);
            if packet.initial && !from_server && self.failures < MAX_FAILURES {
                let found = self.initial(from, &packet);
                if found.is_some() {
                    return found;
                }
            }
        }
        None
    }

    fn initial(&mut self, from: Direction, packet: &Long<'_>) -> Option<Facts> {
        let mut scratch = packet.bytes.to_vec();
        // Keys stay those of the client's first id, also when it has taken up the one that the server chose.
        for attempt in self.attempts.iter_mut().flatten().filter(|a| a.version == packet.version) {
            if let Some(plain) = attempt.keys.open(&mut scratch, packet.number_at) {
                return attempt.take(plain);
            }
        }
        if self.attempts.iter().flatten().any(|a| a.is_for(packet)) {
            self.failures = self.failures.saturating_add(1);
            return None;
        }
        let mut attempt = Attempt::new(packet)?;
        let Some(plain) = attempt.keys.open(&mut scratch, packet.number_at) else {
            self.failures = self.failures.saturating_add(1);
            return None;
        };
        self.client = Some(from);
        let found = attempt.take(plain);
        // Another first id: after Retry, or another connection over the same ports.
        self.attempts.rotate_right(1);
        if let Some(slot) = self.attempts.first_mut() {
            *slot = Some(attempt);
        }
        found
    }
}

/// One connection's keys and what has come of its CRYPTO stream.
struct Attempt {
    version: u32,
    cid: Box<[u8]>,
    keys: Keys,
    stream: Pieces,
}

impl Attempt {
    fn new(packet: &Long<'_>) -> Option<Self> {
        Some(Self {
            version: packet.version,
            cid: packet.dcid.into(),
            keys: Keys::derive(packet.version, packet.dcid)?,
            stream: Pieces::default(),
        })
    }

    fn is_for(&self, packet: &Long<'_>) -> bool {
        self.version == packet.version && *self.cid == *packet.dcid
    }

    /// Reads the frames of an opened packet; facts when the hello has become whole.
    fn take(&mut self, plain: &[u8]) -> Option<Facts> {
        if gquic::is_version(self.version) {
            return gquic::client_hello(plain, self.version);
        }
        let mut r = Reader::new(plain);
        for _ in 0..MAX_FRAMES {
            match r.u8() {
                // PADDING: usually to the end, in one run.
                Some(0) => {
                    let run = r.rest().iter().take_while(|b| **b == 0).count();
                    r.skip(run)?;
                }
                Some(1) => {}
                Some(kind @ (2 | 3)) => {
                    if skip_ack(&mut r, kind == 3).is_none() {
                        break;
                    }
                }
                // 8 is CRYPTO in Google's T05x.
                Some(6 | 8) => {
                    let (Some(offset), Some(len)) = (varint(&mut r), varint(&mut r)) else { break };
                    self.stream.insert(offset, r.take_up_to(len as usize));
                }
                _ => break,
            }
        }
        self.facts(false)
    }

    fn facts(&self, cut: bool) -> Option<Facts> {
        let mut r = Reader::new(self.stream.start());
        let (kind, len) = (r.u8()?, r.u24()? as usize);
        if kind != 1 || (!cut && r.len() < len) {
            return None;
        }
        let hello = ClientHello::read(r.rest(), len, Carrier::Quic)?;
        let extensions = hello.read_extensions();
        let tls = hello.facts(&extensions, Carrier::Quic, true);
        Some(Facts {
            app: AppProto::Quic,
            name: hello::name_of(&extensions, tls.ech, Carrier::Quic),
            tls: Some(Box::new(tls)),
            quic_version: Some(self.version),
            user_agent: user_agent(extensions.quic).map(text::printable),
            ..Facts::default()
        })
    }
}

/// The connection id that the sender of a datagram chose for itself: stands in its long headers (RFC 9000, 7.2).
/// `None` for other datagrams, and for Retry, whose id is good for the next Initial only.
pub fn chosen_id(datagram: &[u8]) -> Option<&[u8]> {
    Long::read(&mut Reader::new(datagram)).map(|packet| packet.scid)
}

/// What follows the first byte of a datagram that may have a short header (RFC 9000, 17.3): a connection id, whose
/// length only the one who chose it knows.
pub fn short_header(datagram: &[u8]) -> Option<&[u8]> {
    let (first, rest) = datagram.split_first()?;
    (first & 0xc0 == 0x40).then_some(rest)
}

/// A packet with a long header.
struct Long<'a> {
    version: u32,
    initial: bool,
    dcid: &'a [u8],
    scid: &'a [u8],
    /// Where the packet number stands in `bytes`.
    number_at: usize,
    /// The whole packet.
    bytes: &'a [u8],
}

impl<'a> Long<'a> {
    /// Reads the next packet of a datagram. `None` at its end, at padding, short headers, Retry and negotiation.
    fn read(r: &mut Reader<'a>) -> Option<Self> {
        let all = r.rest();
        let mut p = *r;
        let first = p.u8().filter(|f| f & 0x80 != 0)?;
        let version = p.u32().filter(|v| *v != 0)?;
        if gquic::is_version(version) && !quic_keys::is_known(version) {
            p.skip(p.len())?;
            *r = p;
            return Some(Self { version, initial: false, dcid: &[], scid: &[], number_at: 0, bytes: all });
        }
        if !quic_keys::is_known(version) {
            return None;
        }
        let dcid = p.vec8().filter(|c| c.len() <= MAX_CID)?;
        let scid = p.vec8().filter(|c| c.len() <= MAX_CID)?;
        // Version 2 moved the types on by one.
        let kind = ((first >> 4) + if version == VERSION_2 { 3 } else { 0 }) & 3;
        if kind == 3 {
            return None;
        }
        if kind == 0 {
            let token = varint(&mut p)?;
            p.skip(usize::try_from(token).ok()?)?;
        }
        let len = usize::try_from(varint(&mut p)?).ok()?;
        let number_at = all.len() - p.len();
        p.skip(len)?;
        let bytes = all.get(..number_at.checked_add(len)?)?;
        *r = p;
        Some(Self { version, initial: kind == 0, dcid, scid, number_at, bytes })
    }
}

/// Variable-length integer (RFC 9000, 16).
fn varint(r: &mut Reader<'_>) -> Option<u64> {
    let first = r.u8()?;
    let more = (1usize << (first >> 6)) - 1;
    let tail = r.take(more)?;
    Some(tail.iter().fold(u64::from(first & 0x3f), |v, b| (v << 8) | u64::from(*b)))
}

fn skip_ack(r: &mut Reader<'_>, ecn: bool) -> Option<()> {
    varint(r)?;
    varint(r)?;
    let ranges = varint(r)?;
    varint(r)?;
    // Every range takes two bytes at least, so the reader ends a count that lies.
    for _ in 0..ranges {
        varint(r)?;
        varint(r)?;
    }
    if ecn {
        varint(r)?;
        varint(r)?;
        varint(r)?;
    }
    Some(())
}

/// The user agent that Chromium used to send as a transport parameter (0x3129).
fn user_agent(parameters: &[u8]) -> Option<&[u8]> {
    let mut r = Reader::new(parameters);
    loop {
        let (id, len) = (varint(&mut r)?, varint(&mut r)?);
        let value = r.take(usize::try_from(len).ok()?)?;
        if id == 0x3129 {
            return Some(value);
        }
    }
}
