//! DNS messages (RFC 1035, RFC 9460): what was asked and which addresses, aliases and service bindings were told.

use super::{AppProto, Facts, GiveUp, Outcome, Talk};
use crate::bytes::Reader;
use std::fmt::Write;
use std::net::{Ipv4Addr, Ipv6Addr};

/// Records read of one message, in all sections.
const MAX_RECORDS: usize = 256;

/// Compression pointers followed in one name; each must go back, so this only bounds the work.
const MAX_JUMPS: usize = 16;

/// Longest name on the wire.
const MAX_WIRE_NAME: usize = 255;

/// Address, alias and service types.
const A: u16 = 1;
const CNAME: u16 = 5;
const AAAA: u16 = 28;
const SVCB: u16 = 64;
const HTTPS: u16 = 65;

/// One message.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct DnsMessage {
    /// Number that joins question and answer.
    pub id: u16,
    /// An answer rather than a question.
    pub response: bool,
    /// 0 for success, 3 for "no such name" …
    pub rcode: u8,
    /// Cut by the server; the client will ask again over TCP.
    pub truncated: bool,
    /// Name of the first question, escaped where not printable; without a closing dot.
    pub name: Box<str>,
    /// Type of the first question.
    pub kind: u16,
    /// Answers of the types that [`DnsData`] knows, in order.
    pub answers: Vec<DnsAnswer>,
}

/// One resource record of the answer section.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct DnsAnswer {
    /// Owner name.
    pub name: Box<str>,
    /// Time to live in seconds.
    pub ttl: u32,
    /// Its content.
    pub data: DnsData,
}

/// Content of a resource record.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum DnsData {
    /// IPv4 address.
    A(Ipv4Addr),
    /// IPv6 address.
    Aaaa(Ipv6Addr),
    /// Alias.
    Cname(Box<str>),
    /// HTTPS or SVCB.
    Service(Service),
}

/// Service binding.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Service {
    /// Zero: an alias only.
    pub priority: u16,
    /// The name to go to; empty: the owner itself.
    pub target: Box<str>,
    /// Carries a configuration for encrypted hellos: this client can hide the names it asks for.
    pub ech: bool,
    /// IPv4 hints.
    pub v4: Vec<Ipv4Addr>,
    /// IPv6 hints.
    pub v6: Vec<Ipv6Addr>,
}

/// Whether bytes have the header of a plain query or answer. A few nanoseconds; [`message`] decides.
pub fn looks_like(bytes: &[u8]) -> bool {
    let mut r = Reader::new(bytes);
    let (Some(_), Some(flags), Some(questions)) = (r.u16(), r.u16(), r.u16()) else { return false };
    let (Some(answers), Some(authority), Some(_)) = (r.u16(), r.u16(), r.u16()) else { return false };
    let response = flags & 0x8000 != 0;
    // Opcode QUERY, the reserved bit clear; a question has neither code nor answers.
    let quiet = flags % 16 == 0 && answers == 0 && authority == 0;
    flags & 0x7840 == 0 && questions == 1 && (response || quiet)
}

/// Reads a message. `None` where the header or the question is wrong; answers are read as far as they make sense.
pub fn message(bytes: &[u8]) -> Option<DnsMessage> {
    if !looks_like(bytes) {
        return None;
    }
    let mut r = Reader::new(bytes);
    let (id, flags) = (r.u16()?, r.u16()?);
    r.skip(2)?;
    let answers = usize::from(r.u16()?);
    r.skip(4)?;
    let mut message = DnsMessage {
        id,
        response: flags & 0x8000 != 0,
        rcode: (flags & 15) as u8,
        truncated: flags & 0x0200 != 0,
        name: name(bytes, &mut r)?,
        kind: r.u16()?,
        answers: Vec::new(),
    };
    r.skip(2)?;
    for _ in 0..answers.min(MAX_RECORDS) {
        let Some((owner, kind, ttl, data)) = record(bytes, &mut r) else { break };
        if let Some(data) = content(bytes, kind, data) {
            message.answers.push(DnsAnswer { name: owner, ttl, data });
        }
    }
    Some(message)
}

/// Whole messages of a TCP stream, which have their length in front (RFC 1035, 4.2.2).
pub fn messages(stream: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut r = Reader::new(stream);
    std::iter::from_fn(move || r.vec16())
}

/// DNS over TCP is recognised, so that the worker hands its messages on; the flow gets no name.
pub fn parse(talk: &Talk<'_>) -> Outcome {
    let found = Outcome::Done(Box::new(Facts { app: AppProto::Dns, ..Facts::default() }));
    let mut r = Reader::new(talk.up);
    let Some(len) = r.u16() else {
        // One byte of length is still possible; the other parsers wait for the silent side.
        return if talk.up.is_empty() || talk.done.up {
            Outcome::Nothing(GiveUp::Unknown)
        } else {
            Outcome::More
        };
    };
    // No query is longer, padded or not.
    if !(17..=4096).contains(&len) || (r.len() >= 12 && !looks_like(r.rest())) {
        return Outcome::Nothing(GiveUp::Unknown);
    }
    match r.take(usize::from(len)) {
        Some(whole) if message(whole).is_some() => found,
        Some(_) => Outcome::Nothing(GiveUp::Unknown),
        None if talk.done.up || r.len() >= 12 + MAX_WIRE_NAME => Outcome::Nothing(GiveUp::Unknown),
        None => Outcome::More,
    }
}

type Record<'a> = (Box<str>, u16, u32, Data<'a>);

/// Content of a record, and where it begins in the message: names in it may point back.
type Data<'a> = (&'a [u8], usize);

fn record<'a>(whole: &'a [u8], r: &mut Reader<'a>) -> Option<Record<'a>> {
    let owner = name(whole, r)?;
    let (kind, _, ttl) = (r.u16()?, r.u16()?, r.u32()?);
    let data = r.vec16()?;
    let at = whole.len() - r.len() - data.len();
    Some((owner, kind, ttl, (data, at)))
}

fn content<'a>(whole: &'a [u8], kind: u16, (data, at): Data<'a>) -> Option<DnsData> {
    let mut r = Reader::new(data);
    Some(match kind {
        A => DnsData::A(r.array::<4>()?.into()),
        AAAA => DnsData::Aaaa(r.array::<16>()?.into()),
        CNAME => {
            // The alias may end in a pointer, which counts from the start of the message.
            let mut r = Reader::new(whole.get(at..at + data.len())?);
            DnsData::Cname(name_at(whole, at, &mut r)?)
        }
        SVCB | HTTPS => DnsData::Service(service(whole, at, r)?),
        _ => return None,
    })
}

fn service<'a>(whole: &'a [u8], at: usize, mut r: Reader<'a>) -> Option<Service> {
    let mut service = Service { priority: r.u16()?, ..Service::default() };
    service.target = name_at(whole, at + 2, &mut r)?;
    while let (Some(key), Some(value)) = (r.u16(), r.vec16()) {
        match key {
            4 => service.v4 = value.as_chunks::<4>().0.iter().map(|a| Ipv4Addr::from(*a)).collect(),
            5 => service.ech = !value.is_empty(),
            6 => service.v6 = value.as_chunks::<16>().0.iter().map(|a| Ipv6Addr::from(*a)).collect(),
            _ => {}
        }
    }
    Some(service)
}

fn name<'a>(whole: &'a [u8], r: &mut Reader<'a>) -> Option<Box<str>> {
    let at = whole.len() - r.len();
    name_at(whole, at, r)
}

/// Reads a name that begins at `at` in `whole`; `r` stands there and is moved behind it. A pointer must go back
/// before everything read so far, so no loop is possible.
fn name_at<'a>(whole: &'a [u8], at: usize, r: &mut Reader<'a>) -> Option<Box<str>> {
    let mut out = String::new();
    let mut lowest = at;
    let mut far = None::<Reader<'a>>;
    let mut wire = 0;
    let mut jumps = 0;
    loop {
        let here = far.as_mut().unwrap_or(r);
        let len = here.u8()?;
        match len {
            0 => return Some(out.into()),
            1..=63 => {
                let label = here.take(usize::from(len))?;
                wire += label.len() + 1;
                if wire > MAX_WIRE_NAME {
                    return None;
                }
                push_label(&mut out, label);
            }
            0xc0.. => {
                let to = usize::from(u16::from_be_bytes([len & 0x3f, here.u8()?]));
                jumps += 1;
                if to >= lowest || jumps > MAX_JUMPS {
                    return None;
                }
                lowest = to;
                far = Some(Reader::new(whole.get(to..)?));
            }
            _ => return None,
        }
    }
}

fn push_label(out: &mut String, label: &[u8]) {
    if !out.is_empty() {
        out.push('.');
    }
    for &b in label {
        // A dot or backslash within a label must not look like a border or an escape.
        if b.is_ascii_graphic() && !matches!(b, b'.' | b'\\') {
            out.push(b as char);
        } else {
            let _ = write!(out, "\\x{b:02x}");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn header(flags: u16, answers: u16) -> Vec<u8> {
        let mut m = vec![0x12, 0x34];
        for v in [flags, 1, answers, 0, 0] {
            m.extend(v.to_be_bytes());
        }
        m
    }

    fn answer() -> Vec<u8> {
        let mut m = header(0x8180, 4);
        m.extend(b"\x03www\x07Example\x03com\0\0\x41\0\x01");
        m.extend(b"\xc0\x0c\0\x05\0\x01\0\0\0\x3c\0\x06\x03cdn\xc0\x10");
        m.extend(b"\xc0\x2d\0\x01\0\x01\0\0\0\x1e\0\x04\xc0\0\x02\x01");
        m.extend(b"\xc0\x2d\0\x1c\0\x01\0\0\0\x1e\0\x10\x20\x01\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\x01");
        m.extend(b"\xc0\x2d\0\x41\0\x01\0\0\0\x1e\0\x13\0\x01\0\0\x04\0\x04\xc0\0\x02\x01\0\x05\0\x04\xde\xad\xbe\xef");
        m
    }

    #[test]
    fn answers_are_read_through_compression() {
        let m = message(&answer()).unwrap();
        assert_eq!((&*m.name, m.kind, m.response, m.rcode), ("www.Example.com", 65, true, 0));
        assert_eq!(m.answers.len(), 4);
        assert_eq!(m.answers[0].data, DnsData::Cname("cdn.Example.com".into()));
        assert_eq!(m.answers[1].name, "cdn.Example.com".into());
        assert_eq!(m.answers[1].data, DnsData::A([192, 0, 2, 1].into()));
        assert_eq!(m.answers[2].data, DnsData::Aaaa("2001:db8::1".parse().unwrap()));
        let DnsData::Service(s) = &m.answers[3].data else { panic!() };
        assert!(s.ech && s.priority == 1 && s.target.is_empty());
        assert_eq!(s.v4, [Ipv4Addr::new(192, 0, 2, 1)]);
    }

    #[test]
    fn a_question_has_neither_answers_nor_a_code() {
        let question = |flags: u16, answers: u16, authority: u8| {
            let mut m = header(flags, answers);
            m[9] = authority;
            m.extend(b"\x03www\x07example\x03com\0\0\x01\0\x01");
            m
        };
        assert!(message(&question(0x0100, 0, 0)).is_some_and(|m| !m.response && m.kind == 1));
        for wrong in [question(0x0100, 1, 0), question(0x0100, 0, 1), question(0x0103, 0, 0)] {
            assert_eq!(message(&wrong), None, "{wrong:x?}");
        }
        assert!(message(&question(0x8183, 1, 1)).is_some_and(|m| m.response && m.rcode == 3));
    }

    #[test]
    fn loops_and_lies_end() {
        for tail in [&b"\xc0\x0c"[..], b"\x01a\xc0\x0c", b"\xc0\xff", b"\x40aaaa", b"\x3f"] {
            let mut m = header(0x0100, 0);
            m.extend(tail);
            m.extend(b"\0\x01\0\x01");
            assert_eq!(message(&m), None);
        }
        let mut long = header(0x0100, 0);
        for _ in 0..5 {
            long.push(63);
            long.extend([b'a'; 63]);
        }
        long.extend(b"\0\0\x01\0\x01");
        assert_eq!(message(&long), None);
    }

    #[test]
    fn cut_and_flipped_answers_do_no_harm() {
        let whole = answer();
        crate::parse::hostile::all(&whole, |bytes| {
            message(bytes);
        });
    }

    #[test]
    fn tcp_frames() {
        let one = answer();
        let mut stream = Vec::new();
        for _ in 0..2 {
            stream.extend((one.len() as u16).to_be_bytes());
            stream.extend(&one);
        }
        stream.extend(b"\x01\x00half");
        assert_eq!(messages(&stream).filter_map(message).count(), 2);
    }
}
