//! TLS over TCP (RFC 8446, RFC 5246): names and facts from both directions' first records.

use super::fingerprint::ServerPrint;
use super::hello::{self, Carrier, ClientHello, ServerHello};
use super::{AppProto, Facts, GiveUp, NameSource, Outcome, Talk, TlsFacts, certificate};
use crate::bytes::Reader;
use std::borrow::Cow;
use std::sync::Arc;

/// Longest ClientHello believed.
const MAX_HELLO: usize = 64 * 1024;

/// Largest record: 2^14 and what encryption may add (RFC 5246, 6.2.3).
const MAX_RECORD: usize = (1 << 14) + 2048;

const CHANGE_CIPHER: u8 = 20;
const HANDSHAKE: u8 = 22;
const APPLICATION: u8 = 23;
const HEARTBEAT: u8 = 24;

const CLIENT_HELLO: u8 = 1;
const SERVER_HELLO: u8 = 2;
const CERTIFICATE: u8 = 11;
const SERVER_HELLO_DONE: u8 = 14;

/// Finds the ClientHello on whichever side it is, then reads what the other side answers.
pub fn parse(talk: &Talk<'_>) -> Outcome {
    let (up, down) = (Side::of(talk.up, talk.done.up), Side::of(talk.down, talk.done.down));
    let turned = match (&up, &down) {
        (Side::Client(_), _) => false,
        (_, Side::Client(_)) => true,
        (Side::Server(_), other) => !matches!(other, Side::Server(_)),
        _ => false,
    };
    let (client, server) = if turned { (down, up) } else { (up, down) };
    let (client_done, server_done) =
        if turned { (talk.done.down, talk.done.up) } else { (talk.done.up, talk.done.down) };
    // The hello has been told of, and there is no more of it.
    let told = if turned { talk.told.down == talk.down.len() } else { talk.told.up == talk.up.len() };
    match (&client, &server) {
        // What stands in front of TLS is for other parsers; [`answer`] comes after them.
        (Side::Foreign, _) => Outcome::Nothing(GiveUp::Unknown),
        (Side::Client(flight), _) => {
            let Some(hello) = flight.client_hello() else { return Outcome::Nothing(GiveUp::Malformed) };
            if !hello.whole && !client_done && !flight.ended {
                return Outcome::More;
            }
            // A client that has sent its fill and never got a byte back: the answer is not on this tap.
            let unseen = client_done && matches!(server, Side::Short);
            let outcome = conclude(Some(&hello), &server, server_done || unseen, turned, told);
            with_second(outcome, flight)
        }
        // Its cipher list is of another form, so the fingerprint is that of empty lists, as in tshark.
        (Side::Old(version), _) => {
            let hello = ClientHello { version: *version, whole: true, ..ClientHello::default() };
            conclude(Some(&hello), &server, server_done, turned, told)
        }
        (Side::Short, Side::Short) if client_done && server_done => Outcome::Nothing(GiveUp::Unknown),
        (Side::Short, Side::Short) => Outcome::More,
        // The server speaks first, and no TLS: whoever knows that protocol waits for the client.
        (Side::Short, Side::Foreign) => Outcome::Nothing(GiveUp::Unknown),
        // A hello may still come on the silent side, until it closes.
        (Side::Short, _) => match conclude(None, &server, server_done, turned, false) {
            Outcome::Done(facts) if !client_done => Outcome::Partly(facts),
            other => other,
        },
        _ => conclude(None, &server, server_done, turned, false),
    }
}

/// A server's handshake facing bytes that nobody knows: what the client said before was lost.
pub fn answer(talk: &Talk<'_>) -> Outcome {
    if !looks_like(talk.up) && !talk.up.is_empty() {
        let down = Side::of(talk.down, talk.done.down);
        if matches!(down, Side::Server(_)) {
            return conclude(None, &down, talk.done.down, false, false);
        }
    }
    Outcome::Nothing(GiveUp::Unknown)
}

/// Whether `start` may be the beginning of a TLS record stream. Says yes to a prefix that is too short to tell.
pub fn looks_like(start: &[u8]) -> bool {
    let mut r = Reader::new(start);
    let Some(kind) = r.u8() else { return true };
    (CHANGE_CIPHER..=HEARTBEAT).contains(&kind)
        && r.u8().is_none_or(|major| major == 3)
        && r.u8().is_none_or(|minor| minor <= 4)
        && r.u16().is_none_or(|len| len as usize <= MAX_RECORD)
}

fn with_second(outcome: Outcome, client: &Flight<'_>) -> Outcome {
    let Outcome::Done(mut facts) = outcome else { return outcome };
    if let (Some(tls), Some(hello)) = (&mut facts.tls, client.second_hello()) {
        let again = hello.facts(&hello.read_extensions(), Carrier::Tcp, true);
        tls.retried = Some(Box::new(again));
    }
    Outcome::Done(facts)
}

/// What one direction begins with.
enum Side<'a> {
    /// Nothing yet, or too little to tell.
    Short,
    /// Not TLS.
    Foreign,
    /// TLS, but no hello begins it: picked up in mid-stream.
    Other,
    /// A hello of this version in the frame of SSL 2.
    Old(u16),
    /// A ClientHello.
    Client(Flight<'a>),
    /// A ServerHello with what follows it.
    Server(Flight<'a>),
}

impl<'a> Side<'a> {
    fn of(start: &'a [u8], done: bool) -> Self {
        if start.is_empty() {
            return Self::Short;
        }
        if !looks_like(start) {
            return ssl2_hello(start).map_or(Self::Foreign, Self::Old);
        }
        let flight = Flight::read(start);
        match flight.first_kind() {
            Some(CLIENT_HELLO) if flight.client_hello().is_some() => Self::Client(flight),
            Some(CLIENT_HELLO) => Self::Foreign,
            Some(SERVER_HELLO) => Self::Server(flight),
            Some(_) => Self::Other,
            None if flight.ended => Self::Other,
            None if done && start.len() < 5 => Self::Foreign,
            None => Self::Short,
        }
    }
}

/// Handshake bytes of one direction with the record framing taken off.
struct Flight<'a> {
    bytes: Cow<'a, [u8]>,
    /// Where in `bytes` the first ChangeCipherSpec stood.
    cipher_change: Option<usize>,
    /// Nothing readable comes after: application data, or no record at all.
    ended: bool,
}

impl<'a> Flight<'a> {
    fn read(start: &'a [u8]) -> Self {
        let mut flight = Self { bytes: Cow::Borrowed(&[]), cipher_change: None, ended: false };
        let mut r = Reader::new(start);
        while !r.is_empty() {
            if !looks_like(r.rest()) {
                flight.ended = true;
                break;
            }
            let (Some(kind), Some(_), Some(len)) = (r.u8(), r.u16(), r.u16()) else { break };
            let body = r.take_up_to(len as usize);
            match kind {
                HANDSHAKE if flight.bytes.is_empty() => flight.bytes = Cow::Borrowed(body),
                HANDSHAKE => flight.bytes.to_mut().extend_from_slice(body),
                CHANGE_CIPHER => flight.cipher_change = flight.cipher_change.or(Some(flight.bytes.len())),
                APPLICATION => {
                    flight.ended = true;
                    break;
                }
                // Alerts (a warning may precede the hello) and heartbeats.
                _ => {}
            }
        }
        flight
    }

    /// Handshake messages in order: kind, announced length, the body as far as it is there.
    fn messages(&self) -> impl Iterator<Item = Message<'_>> {
        let mut r = Reader::new(&self.bytes);
        std::iter::from_fn(move || {
            let at = self.bytes.len() - r.len();
            let mut probe = r;
            let (kind, len) = (probe.u8()?, probe.u24()? as usize);
            let body = probe.take_up_to(len);
            r = probe;
            Some(Message { kind, len, body, at })
        })
    }

    /// Kind of the first message that is not a HelloRequest (which is empty and may come at any time).
    fn first_kind(&self) -> Option<u8> {
        let mut r = Reader::new(&self.bytes);
        while r.rest().starts_with(&[0, 0, 0, 0]) {
            r.skip(4)?;
        }
        r.u8()
    }

    /// The hello that answers a request to try again. Renegotiation is encrypted and never looks like one.
    fn second_hello(&self) -> Option<ClientHello<'_>> {
        let second = self.messages().skip_while(|m| m.kind != CLIENT_HELLO).nth(1)?;
        let whole = second.kind == CLIENT_HELLO && second.body.len() == second.len;
        ClientHello::read(second.body, second.len, Carrier::Tcp).filter(|_| whole)
    }

    fn client_hello(&self) -> Option<ClientHello<'_>> {
        let message = self.messages().find(|m| m.kind != 0);
        let Some(message) = message else { return Some(ClientHello::default()) };
        if message.len > MAX_HELLO {
            return None;
        }
        ClientHello::read(message.body, message.len, Carrier::Tcp)
    }
}

struct Message<'a> {
    kind: u8,
    len: usize,
    body: &'a [u8],
    at: usize,
}

/// What the server said in the clear.
#[derive(Default)]
struct Reply<'a> {
    hello: Option<ServerHello<'a>>,
    certificate: Option<Certificate<'a>>,
    resumed: bool,
    /// No more can be learned by waiting.
    complete: bool,
}

/// DER of the leaf.
type Certificate<'a> = &'a [u8];

impl<'a> Reply<'a> {
    fn read(flight: &'a Flight<'_>, asked: Option<&ClientHello<'_>>) -> Self {
        let mut reply = Self::default();
        for message in flight.messages() {
            // Up to TLS 1.2 all is encrypted from here on; without a certificate before it, a session goes on.
            let settled = reply.hello.is_some_and(|h| !h.retry);
            if settled && flight.cipher_change.is_some_and(|at| at <= message.at) {
                reply.complete = true;
                break;
            }
            match message.kind {
                SERVER_HELLO if message.body.len() == message.len => reply.greet(message.body, asked),
                CERTIFICATE => reply.certificate = leaf(message.body),
                _ => {}
            }
            if reply.certificate.is_some() || message.kind == SERVER_HELLO_DONE {
                reply.complete = true;
            }
            if reply.complete {
                break;
            }
        }
        let settled = reply.hello.is_some_and(|h| !h.retry);
        if settled && reply.certificate.is_none() && flight.cipher_change.is_some() {
            reply.resumed |= reply.hello.is_some_and(|h| !h.is_13());
            reply.complete = true;
        }
        reply.complete |= flight.ended;
        reply
    }

    fn greet(&mut self, body: &'a [u8], asked: Option<&ClientHello<'_>>) {
        let Some(hello) = ServerHello::read(body) else { return };
        if hello.is_13() {
            self.resumed = hello.read_extensions().psk;
        } else {
            let echoed = |a: &ClientHello<'_>| !a.session_id.is_empty() && a.session_id == hello.session_id;
            self.resumed = asked.is_some_and(echoed);
        }
        self.complete = !hello.retry && (hello.is_13() || self.resumed);
        self.hello = Some(hello);
    }

    fn note(&self, facts: &mut TlsFacts, prints: bool) {
        let Some(hello) = &self.hello else { return };
        let extensions = hello.read_extensions();
        facts.version = hello.version;
        facts.negotiated = true;
        facts.cipher = Some(hello.cipher);
        facts.server_alpn = hello::alpns(extensions.alpns).into_iter().next();
        facts.resumed = self.resumed;
        if prints {
            facts.server_print = Some(Box::new(ServerPrint::of(hello, &extensions)));
        }
    }
}

/// The first certificate of the message, which is the server's own; the chain behind it need not be there.
fn leaf(body: &[u8]) -> Option<Certificate<'_>> {
    let mut r = Reader::new(body);
    r.u24()?;
    let len = r.u24()? as usize;
    r.take(len)
}

/// Facts of both sides. Certificate and what fingerprints are made of are taken once, when nothing more is waited for.
/// `told`: what the client says is known, and only the end of the server's answer adds to it.
fn conclude(
    client: Option<&ClientHello<'_>>,
    server: &Side<'_>,
    server_done: bool,
    turned: bool,
    told: bool,
) -> Outcome {
    let reply = match server {
        Side::Server(flight) => Reply::read(flight, client),
        Side::Short => Reply::default(),
        _ => Reply { complete: true, ..Reply::default() },
    };
    let last = reply.complete || server_done;
    if told && !last {
        return Outcome::More;
    }
    let mut facts = Facts { app: AppProto::Tls, client_is_responder: turned, ..Facts::default() };
    let mut tls = TlsFacts::default();
    if let Some(hello) = client {
        let extensions = hello.read_extensions();
        tls = hello.facts(&extensions, Carrier::Tcp, last);
        facts.name = hello::name_of(&extensions, tls.ech, Carrier::Tcp);
    }
    reply.note(&mut tls, last);
    if last {
        tls.certificate = reply.certificate.and_then(certificate::Leaf::keep).map(Arc::new);
        // Only a flow without a better name has its certificate read here.
        if facts.name.is_none()
            && let Some(certificate) = tls.certificate()
        {
            facts.name = certificate::host_name(certificate).map(|n| (n, NameSource::Certificate));
        }
    }
    if client.is_some() || reply.hello.is_some() {
        facts.tls = Some(Box::new(tls));
    }
    match (last, client) {
        (true, _) => Outcome::Done(Box::new(facts)),
        (false, Some(_)) => Outcome::Partly(Box::new(facts)),
        (false, None) => Outcome::More,
    }
}

/// A hello of SSL 3 or TLS in the two-byte frame of SSL 2 (RFC 5246, E.2), by its version. It cannot carry a name.
fn ssl2_hello(start: &[u8]) -> Option<u16> {
    let mut r = Reader::new(start);
    let (len, kind, version) = (r.u16()?, r.u8()?, r.u16()?);
    let (ciphers, session, challenge) = (r.u16()?, r.u16()?, r.u16()?);
    let lengths = 9 + u32::from(ciphers) + u32::from(session) + u32::from(challenge);
    let form = len & 0x8000 != 0 && kind == CLIENT_HELLO && u32::from(len & 0x7fff) == lengths;
    let known = version == 0x0002 || (0x0300..=0x0304).contains(&version);
    (form && known && ciphers % 3 == 0).then_some(version)
}
