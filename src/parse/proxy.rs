//! What stands in front of the real conversation: SOCKS 4, 4a and 5 (RFC 1928, RFC 1929, RFC 1961) and the PROXY
//! protocol of HAProxy, versions 1 and 2.

use super::text::{find, is_name, printable};
use super::{AppProto, Facts, GiveUp, NameSource, Outcome, Talk, http, tls};
use crate::bytes::Reader;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Messages of a GSSAPI negotiation that are walked through.
const MAX_ROUNDS: usize = 16;

/// Longest user id in SOCKS 4.
const MAX_USER: usize = 512;

const SIGNATURE: &[u8] = b"\r\n\r\n\0\r\nQUIT\n";

/// SOCKS on whichever side it begins.
pub fn socks(talk: &Talk<'_>) -> Outcome {
    match socks_up(talk) {
        Outcome::Nothing(GiveUp::Unknown) if matches!(talk.down, [4 | 5, ..]) => {
            super::turn(socks_up(&super::swapped(talk)))
        }
        other => other,
    }
}

fn socks_up(talk: &Talk<'_>) -> Outcome {
    let step = match talk.up.first() {
        Some(5) => socks5(talk),
        Some(4) => socks4(talk),
        _ => return Outcome::Nothing(GiveUp::Unknown),
    };
    match step {
        Step::Foreign => Outcome::Nothing(GiveUp::Unknown),
        Step::Wait if talk.done.up => Outcome::Nothing(GiveUp::NoName),
        Step::Wait => Outcome::More,
        Step::Asked { target, up, down } => {
            let facts = target.facts();
            let Some(down) = down else {
                let over = talk.done.down && talk.done.up;
                return if over { Outcome::Done(Box::new(facts)) } else { Outcome::Partly(Box::new(facts)) };
            };
            let carried = super::slice(talk, up, down);
            if carried.up.is_empty() && !talk.done.up {
                return Outcome::Partly(Box::new(facts));
            }
            super::carry(facts, http::inner(&carried))
        }
    }
}

/// How far a SOCKS conversation has come.
enum Step<'a> {
    Foreign,
    Wait,
    /// A connection was asked for: what follows begins at `up`, and at `down` once it was answered.
    Asked {
        target: Target<'a>,
        up: usize,
        down: Option<usize>,
    },
}

struct Target<'a> {
    name: &'a [u8],
    address: Option<IpAddr>,
    port: u16,
}

impl Target<'_> {
    fn facts(&self) -> Facts {
        let host = match self.address {
            Some(IpAddr::V6(a)) => format!("[{a}]"),
            Some(a) => a.to_string(),
            None => printable(self.name).into(),
        };
        Facts {
            app: AppProto::Socks,
            name: http::host_of(self.name).filter(|_| is_name(self.name)).map(|n| (n, NameSource::Connect)),
            target: Some(format!("{host}:{}", self.port).into()),
            ..Facts::default()
        }
    }
}

fn socks4<'a>(talk: &Talk<'a>) -> Step<'a> {
    if matches!(talk.down, [first, ..] if *first != 0) {
        return Step::Foreign;
    }
    let mut r = Reader::new(talk.up);
    let (_, Some(command)) = (r.u8(), r.u8()) else { return Step::Wait };
    if !matches!(command, 1 | 2) {
        return Step::Foreign;
    }
    let (Some(port), Some(address)) = (r.u16(), r.array::<4>()) else { return Step::Wait };
    let mut text = || {
        let window = r.rest().get(..MAX_USER).unwrap_or(r.rest());
        match window.iter().position(|b| *b == 0) {
            Some(end) => r.take(end + 1).and_then(|t| t.get(..end)).ok_or(Step::Wait),
            None if window.len() < MAX_USER => Err(Step::Wait),
            None => Err(Step::Foreign),
        }
    };
    if let Err(step) = text() {
        return step;
    }
    // 4a: an address 0.0.0.x says that a name follows.
    let named = matches!(address, [0, 0, 0, x] if x != 0);
    let name = match named.then(text) {
        Some(Err(step)) => return step,
        Some(Ok(name)) => name,
        None => &[],
    };
    let address = (!named).then(|| IpAddr::from(Ipv4Addr::from(address)));
    let up = talk.up.len() - r.len();
    let down = if talk.down.len() >= 8 { Some(8) } else { unanswered(talk, up) };
    Step::Asked { target: Target { name, address, port }, up, down }
}

/// Where only the client is seen, its next bytes say that it was granted.
fn unanswered(talk: &Talk<'_>, up: usize) -> Option<usize> {
    (talk.down.is_empty() && talk.up.len() > up).then_some(0)
}

fn socks5<'a>(talk: &Talk<'a>) -> Step<'a> {
    if matches!(talk.down, [first, ..] if *first != 5) {
        return Step::Foreign;
    }
    let mut up = Reader::new(talk.up);
    let mut down = Reader::new(talk.down);
    up.u8();
    let methods = match up.vec8() {
        Some([]) => return Step::Foreign,
        Some(methods) => methods,
        None if talk.up.get(1) == Some(&0) => return Step::Foreign,
        None => return Step::Wait,
    };
    let method = down.array::<2>().map(|[_, m]| m);
    if method.is_some_and(|m| m != 0xff && !methods.contains(&m)) {
        return Step::Foreign;
    }
    // A request that follows at once needs no answer to be understood.
    if up.rest().first() == Some(&1) {
        let walked = match method {
            Some(1) => gssapi(&mut up).and_then(|()| gssapi(&mut down)),
            _ => password(&mut up).map(|()| down.skip(2).unwrap_or_default()),
        };
        if walked.is_none() {
            return Step::Wait;
        }
    }
    let at = talk.up.len() - up.len();
    let (target, request) = match up.rest() {
        [] => return Step::Wait,
        [5, ..] => match request(&mut up) {
            Some(target) => (target, talk.up.len() - up.len()),
            None => return Step::Wait,
        },
        // Another authentication: look for the request behind it.
        rest => match find(rest.get(..1024).unwrap_or(rest), &[5, 1, 0]) {
            Some(skip) => {
                let mut r = Reader::new(rest.get(skip..).unwrap_or_default());
                let Some(target) = request(&mut r) else { return Step::Wait };
                (target, at + rest.len() - r.len())
            }
            None if rest.len() < 1024 => return Step::Wait,
            None => return Step::Foreign,
        },
    };
    let answered = request_end(&mut down).map(|()| talk.down.len() - down.len());
    Step::Asked { target, up: request, down: answered.or_else(|| unanswered(talk, request)) }
}

/// `05 command 00 address port`.
fn request<'a>(r: &mut Reader<'a>) -> Option<Target<'a>> {
    r.skip(3)?;
    let (mut name, mut address) = (&[][..], None);
    match r.u8()? {
        1 => address = Some(IpAddr::from(Ipv4Addr::from(r.array::<4>()?))),
        4 => address = Some(IpAddr::from(Ipv6Addr::from(r.array::<16>()?))),
        _ => name = r.vec8()?,
    }
    Some(Target { name, address, port: r.u16()? })
}

/// The answer has the form of a request.
fn request_end(r: &mut Reader<'_>) -> Option<()> {
    request(r).map(|_| ())
}

fn password(r: &mut Reader<'_>) -> Option<()> {
    let mut p = *r;
    p.u8()?;
    p.vec8()?;
    p.vec8()?;
    *r = p;
    Some(())
}

fn gssapi(r: &mut Reader<'_>) -> Option<()> {
    for _ in 0..MAX_ROUNDS {
        let mut p = *r;
        if p.u8()? != 1 {
            return Some(());
        }
        p.skip(1)?;
        p.vec16()?;
        *r = p;
    }
    None
}

/// The PROXY line or block, then whatever it precedes.
pub fn proxy_protocol(talk: &Talk<'_>) -> Outcome {
    let up = talk.up;
    let begins = |whole: &[u8]| whole.starts_with(up.get(..whole.len()).unwrap_or(up));
    if up.is_empty() || !(begins(b"PROXY ") || begins(SIGNATURE)) {
        return Outcome::Nothing(GiveUp::Unknown);
    }
    let (client, len) = match if up.first() == Some(&b'P') { version_1(up) } else { version_2(up) } {
        Some(found) => found,
        None if talk.done.up || up.len() > 2048 => return Outcome::Nothing(GiveUp::Malformed),
        None => return Outcome::More,
    };
    let carried = super::slice(talk, len, 0);
    if carried.up.is_empty() && !talk.done.up {
        return Outcome::More;
    }
    let mut outcome = Outcome::Nothing(GiveUp::Unknown);
    for read in [tls::parse, http::parse, socks] {
        outcome = read(&carried);
        if outcome != Outcome::Nothing(GiveUp::Unknown) {
            break;
        }
    }
    if let Outcome::Partly(facts) | Outcome::Done(facts) = &mut outcome {
        facts.client = facts.client.or(client);
    }
    outcome
}

fn version_1(up: &[u8]) -> Option<(Option<IpAddr>, usize)> {
    let window = up.get(..107).unwrap_or(up);
    let len = find(window, b"\r\n")? + 2;
    let line = std::str::from_utf8(window.get(..len)?).ok()?;
    Some((line.split(' ').nth(2).and_then(|a| a.parse().ok()), len))
}

fn version_2(up: &[u8]) -> Option<(Option<IpAddr>, usize)> {
    let mut r = Reader::new(up);
    r.skip(13)?;
    let family = r.u8()? >> 4;
    let mut block = Reader::new(r.vec16()?);
    let client = match family {
        1 => block.array::<4>().map(|a| IpAddr::from(Ipv4Addr::from(a))),
        2 => block.array::<16>().map(|a| IpAddr::from(Ipv6Addr::from(a))),
        _ => None,
    };
    Some((client, up.len() - r.len()))
}
