//! HTTP/1 (RFC 9112): the first request of a connection, the status of its answer, and what a CONNECT tunnel carries.
//!
//! Lines are read by hand rather than by a strict parser: one odd header must not hide the rest.

use super::text::{find, is_name, printable, starts_any_case};
use super::{AppProto, Facts, GiveUp, HttpFacts, NameSource, Outcome, Talk, tls, user_agent};
use std::net::IpAddr;

/// Longest method name (RFC 9110 has none above seven; WebDAV's longest has seventeen).
const MAX_METHOD: usize = 20;

/// Header lines looked at.
const MAX_HEADERS: usize = 200;

/// Answers to CONNECT that are walked through (authentication in several steps).
const MAX_ROUNDS: usize = 6;

const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// Reads the request on whichever side it is.
pub fn parse(talk: &Talk<'_>) -> Outcome {
    match one_way(talk) {
        Outcome::Nothing(GiveUp::Unknown) if begins_request(talk.down) => {
            super::turn(one_way(&super::swapped(talk)))
        }
        other => other,
    }
}

fn one_way(talk: &Talk<'_>) -> Outcome {
    if !begins_request(talk.up) {
        return Outcome::Nothing(GiveUp::Unknown);
    }
    if PREFACE.starts_with(talk.up.get(..PREFACE.len()).unwrap_or(talk.up)) {
        return match (talk.up.len() >= PREFACE.len(), talk.done.up) {
            (true, _) => Outcome::Done(Box::new(Facts { app: AppProto::Http2, ..Facts::default() })),
            (false, false) => Outcome::More,
            (false, true) => Outcome::Nothing(GiveUp::Unknown),
        };
    }
    let head = match Head::read(talk.up, talk.done.up) {
        Ok(head) => head,
        Err(outcome) => return outcome,
    };
    let Some(request) = Request::read(&head) else { return Outcome::Nothing(GiveUp::Unknown) };
    if request.method == b"CONNECT" { tunnel(talk, &request, head.len) } else { plain(talk, &request) }
}

/// A request that is not to be tunnelled, as it may also stand within a tunnel.
pub(super) fn within(talk: &Talk<'_>) -> Outcome {
    if !begins_request(talk.up) {
        return Outcome::Nothing(GiveUp::Unknown);
    }
    match Head::read(talk.up, talk.done.up) {
        Ok(head) => match Request::read(&head).filter(|r| r.method != b"CONNECT") {
            Some(request) => plain(talk, &request),
            None => Outcome::Nothing(GiveUp::Unknown),
        },
        Err(outcome) => outcome,
    }
}

/// Whether bytes may begin a request: capitals, then a space. Says yes to a prefix, no to nothing.
fn begins_request(start: &[u8]) -> bool {
    let window = start.get(..MAX_METHOD).unwrap_or(start);
    let letters = window.iter().take_while(|b| b.is_ascii_uppercase() || matches!(b, b'-' | b'_')).count();
    letters > 0 && (letters == start.len() || (letters >= 3 && window.get(letters) == Some(&b' ')))
}

/// The head of a message: its lines, without the empty one that ends it.
struct Head<'a> {
    lines: &'a [u8],
    /// Length with the empty line.
    len: usize,
}

impl<'a> Head<'a> {
    /// The head at the beginning of `start`; the outcome to give where there is none (yet).
    fn read(start: &'a [u8], done: bool) -> Result<Self, Outcome> {
        if let Some(end) = start.iter().position(|b| *b == b'\n') {
            let line = start.get(..end).unwrap_or_default().trim_ascii_end();
            if !is_request_line(line) && !line.starts_with(b"HTTP/1.") {
                return Err(Outcome::Nothing(GiveUp::Unknown));
            }
        } else if done || start.len() > 8192 {
            return Err(Outcome::Nothing(GiveUp::Unknown));
        }
        match end_of_head(start) {
            Some(len) => Ok(Self { lines: start.get(..len).unwrap_or_default(), len }),
            None if done => Ok(Self { lines: start, len: start.len() }),
            None => Err(Outcome::More),
        }
    }

    fn headers(&self) -> impl Iterator<Item = (&'a [u8], &'a [u8])> {
        let lines = self.lines.split(|b| *b == b'\n').skip(1).take(MAX_HEADERS);
        lines.filter_map(|line| {
            let colon = line.iter().position(|b| *b == b':')?;
            let (name, value) = line.split_at_checked(colon)?;
            Some((name.trim_ascii(), value.get(1..)?.trim_ascii()))
        })
    }

    fn header(&self, name: &[u8]) -> Option<&'a [u8]> {
        self.headers().find(|(n, _)| n.eq_ignore_ascii_case(name)).map(|(_, v)| v)
    }
}

fn is_request_line(line: &[u8]) -> bool {
    let version = line.rsplit(|b| *b == b' ').next().unwrap_or_default();
    version.starts_with(b"HTTP/1.") && line.len() > version.len() + 4
}

/// Length up to and with the first empty line; bare line feeds are taken too.
fn end_of_head(start: &[u8]) -> Option<usize> {
    let mut at = 0;
    for line in start.split_inclusive(|b| *b == b'\n') {
        at += line.len();
        if matches!(line, b"\r\n" | b"\n") {
            return Some(at);
        }
    }
    None
}

struct Request<'a> {
    method: &'a [u8],
    target: &'a [u8],
    /// Authority of the target, where it has one, else the Host header.
    host: &'a [u8],
    /// The target itself names the host.
    to_proxy: bool,
    agent: Option<&'a [u8]>,
    length: Option<u64>,
    client: Option<IpAddr>,
    websocket: bool,
}

impl<'a> Request<'a> {
    fn read(head: &Head<'a>) -> Option<Self> {
        let line = head.lines.split(|b| *b == b'\n').next()?.trim_ascii_end();
        let (method, rest) = line.split_at_checked(line.iter().position(|b| *b == b' ')?)?;
        let rest = rest.trim_ascii_start();
        let target = rest.split(|b| *b == b' ').next()?;
        let connect = method == b"CONNECT" && target.contains(&b':');
        let named = if connect { Some(target) } else { authority(target) };
        let host = named.or_else(|| head.header(b"host")).unwrap_or_default();
        let number = |v: &[u8]| std::str::from_utf8(v).ok()?.parse().ok();
        Some(Self {
            method,
            target,
            host,
            to_proxy: named.is_some(),
            agent: head.header(b"user-agent"),
            length: head.header(b"content-length").and_then(number),
            client: head.header(b"x-forwarded-for").and_then(first_address).or_else(|| {
                let forwarded = head.header(b"forwarded")?;
                first_address(forwarded.get(find(forwarded, b"for=")? + 4..)?)
            }),
            websocket: head.header(b"upgrade").is_some_and(|v| starts_any_case(v, b"websocket")),
        })
    }

    fn facts(&self, status: Option<u16>) -> Facts {
        let http = HttpFacts {
            method: printable(self.method),
            host: printable(self.host),
            url: printable(self.target),
            user_agent: self.agent.map(printable),
            status,
            request_bytes: self.length,
            client: self.client,
            websocket: self.websocket,
            agent_malformed: self.agent.is_some_and(user_agent::is_malformed),
            agent_carries_data: self.agent.is_some_and(user_agent::carries_data),
        };
        let source = if self.to_proxy { NameSource::Connect } else { NameSource::HttpHost };
        Facts {
            app: AppProto::Http,
            name: host_of(self.host).map(|h| (h, source)),
            target: self.to_proxy.then(|| printable(self.host)),
            client: self.client,
            http: Some(Box::new(http)),
            ..Facts::default()
        }
    }
}

/// Host and port of an absolute-form target.
fn authority(target: &[u8]) -> Option<&[u8]> {
    let after = find(target.get(..16).unwrap_or(target), b"://")?;
    if target.first() == Some(&b'/') {
        return None;
    }
    let rest = target.get(after + 3..)?;
    let end = rest.iter().position(|b| matches!(b, b'/' | b'?' | b'#')).unwrap_or(rest.len());
    let all = rest.get(..end)?;
    // Credentials before the host.
    Some(all.rsplit(|b| *b == b'@').next().unwrap_or(all))
}

/// The host of `host[:port]` where it is a name. An address names nothing that the flow does not know already.
pub(super) fn host_of(authority: &[u8]) -> Option<Box<str>> {
    if authority.first() == Some(&b'[') {
        return None;
    }
    let host = authority.split(|b| *b == b':').next()?.trim_ascii();
    let is_address = std::str::from_utf8(host).is_ok_and(|h| h.parse::<IpAddr>().is_ok());
    (is_name(host) && !is_address).then(|| printable(host))
}

fn first_address(value: &[u8]) -> Option<IpAddr> {
    let end = value.iter().position(|b| matches!(b, b',' | b';' | b' ')).unwrap_or(value.len());
    let text = std::str::from_utf8(value.get(..end)?).ok()?.trim_matches('"');
    if let Some(v6) = text.strip_prefix('[') {
        return v6.split(']').next()?.parse().ok();
    }
    text.parse().ok().or_else(|| text.split(':').next()?.parse().ok())
}

/// A status line and its head at the beginning of `start`: status, length of the head, body length.
fn answer(start: &[u8]) -> Option<(u16, usize, u64)> {
    let rest = start.strip_prefix(b"HTTP/1.")?;
    let digits = rest.get(2..5).filter(|d| d.iter().all(u8::is_ascii_digit))?;
    let status = digits.iter().fold(0, |s, d| s * 10 + u16::from(d - b'0'));
    let len = end_of_head(start)?;
    let head = Head { lines: start.get(..len)?, len };
    let number = |v: &[u8]| std::str::from_utf8(v).ok()?.parse().ok();
    let body = head.header(b"content-length").and_then(number).unwrap_or(0);
    Some((status, len, body))
}

/// The first final status; interim ones (1xx but 101) are passed over.
fn final_status(down: &[u8]) -> Option<u16> {
    let mut rest = down;
    for _ in 0..MAX_ROUNDS {
        let (status, len, _) = answer(rest)?;
        if status >= 200 || status == 101 {
            return Some(status);
        }
        rest = rest.get(len..)?;
    }
    None
}

fn plain(talk: &Talk<'_>, request: &Request<'_>) -> Outcome {
    let status = final_status(talk.down);
    let facts = Box::new(request.facts(status));
    let foreign = !b"HTTP/1.".starts_with(talk.down.get(..7).unwrap_or(talk.down));
    if status.is_some() || foreign || talk.done.down || (talk.done.up && talk.down.is_empty()) {
        Outcome::Done(facts)
    } else {
        Outcome::Partly(facts)
    }
}

/// Walks CONNECT requests and answers until one is granted, then reads what goes through.
fn tunnel(talk: &Talk<'_>, first: &Request<'_>, first_len: usize) -> Outcome {
    let mut facts = first.facts(None);
    let (mut up, mut down) = (first_len, 0);
    let mut status = None;
    for _ in 0..MAX_ROUNDS {
        let rest = talk.down.get(down..).unwrap_or_default();
        if let Some((code, len, body)) = answer(rest) {
            status = Some(code);
            down += len;
            if (200..300).contains(&code) {
                break;
            }
            if code >= 200 {
                down = down.saturating_add(usize::try_from(body).unwrap_or(usize::MAX));
            }
        }
        // Refused, for want of credentials perhaps: the client asks again.
        let Ok(head) = Head::read(talk.up.get(up..).unwrap_or_default(), false) else { break };
        let Some(request) = Request::read(&head).filter(|r| r.method == b"CONNECT") else { break };
        facts = request.facts(None);
        up += head.len;
    }
    if let Some(http) = &mut facts.http {
        http.status = status;
    }
    let refused = status.is_some_and(|s| s >= 300);
    let carried = super::slice(talk, up, down);
    if carried.up.is_empty() && carried.down.is_empty() {
        let over = talk.done.up || (refused && talk.done.down);
        return if over { Outcome::Done(Box::new(facts)) } else { Outcome::Partly(Box::new(facts)) };
    }
    super::carry(facts, inner(&carried))
}

/// TLS or a clear request inside a tunnel.
pub(super) fn inner(carried: &Talk<'_>) -> Outcome {
    match tls::parse(carried) {
        Outcome::Nothing(GiveUp::Unknown) => within(carried),
        other => other,
    }
}
