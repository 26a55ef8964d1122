//! Names and facts from the bounded starts of a flow: pure functions from bytes to [`Outcome`].
//!
//! A parser never keeps state and never sees a clock. It is called again with longer starts while it says
//! [`Outcome::More`] or [`Outcome::Partly`]; a last time with [`Talk::done`] set, when no more will come.

pub mod certificate;
pub mod datagrams;
pub mod dhcp;
pub mod dns;
pub mod dtls;
pub mod fingerprint;
pub mod gquic;
pub mod hello;
pub mod http;
mod once;
mod pieces;
pub mod proxy;
pub mod quic;
mod quic_keys;
pub mod starttls;
pub mod text;
pub mod tls;
pub mod tunnel;
pub mod user_agent;

#[cfg(test)]
pub(crate) mod hostile;
#[cfg(test)]
mod tests;

use crate::decode::Transport;
use crate::units::Both;
use certificate::Leaf;
use fingerprint::{ClientPrint, ServerPrint};
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// The contiguous starts of both directions of a flow as far as they have been seen.
#[derive(Clone, Copy, Debug)]
pub struct Talk<'a> {
    /// First bytes from the originator (at most 16 KiB).
    pub up: &'a [u8],
    /// First bytes from the responder (at most 64 KiB).
    pub down: &'a [u8],
    /// No further byte of this direction will come: closed, limit reached, or a hole that stays.
    pub done: Both<bool>,
    /// TCP or UDP.
    pub transport: Transport,
    /// Port of the originator and of the responder.
    pub ports: Both<u16>,
    /// How much of each direction was there when a parser last said [`Outcome::Partly`]: who has nothing to add before
    /// all is there may say [`Outcome::More`].
    pub told: Both<usize>,
}

/// Where a name came from, in the words of the records.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
pub enum NameSource {
    /// Target of an HTTP CONNECT, SOCKS or absolute-form request.
    Connect,
    /// TLS server name indication (RFC 6066) over TCP.
    Sni,
    /// Server name in a QUIC hello.
    QuicSni,
    /// Outer name of an encrypted ClientHello: the front, not the destination.
    EchOuterSni,
    /// Host header of clear HTTP.
    HttpHost,
    /// What this client was told by DNS for the address.
    Dns,
    /// Subject of a certificate in the clear (TLS 1.2 and before).
    Certificate,
    /// Address range that belongs to one service alone.
    Address,
}

impl NameSource {
    /// Number of sources.
    pub const COUNT: usize = 8;

    /// Every source, in the order of their numbers.
    pub const ALL: [Self; Self::COUNT] = [
        Self::Connect,
        Self::Sni,
        Self::QuicSni,
        Self::EchOuterSni,
        Self::HttpHost,
        Self::Dns,
        Self::Certificate,
        Self::Address,
    ];

    /// The word for records.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Connect => "connect",
            Self::Sni => "sni",
            Self::QuicSni => "quic-sni",
            Self::EchOuterSni => "ech-outer-sni",
            Self::HttpHost => "http-host",
            Self::Dns => "dns",
            Self::Certificate => "certificate",
            Self::Address => "address",
        }
    }
}

/// Encrypted ClientHello as far as it can be told from outside.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default, Serialize, Deserialize)]
pub enum Ech {
    /// No such extension.
    #[default]
    None,
    /// The extension is there; real or greased cannot be told.
    GreaseOrReal,
    /// Probably real.
    RealLikely,
    /// Probably grease.
    GreaseLikely,
}

impl Ech {
    /// The word for records.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::GreaseOrReal => "grease-or-real",
            Self::RealLikely => "real-likely",
            Self::GreaseLikely => "grease-likely",
        }
    }
}

/// Facts of one TLS (or QUIC/DTLS) handshake, as visible.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct TlsFacts {
    /// Server name as sent (case kept).
    pub sni: Option<Box<str>>,
    /// Negotiated version (0x0303, 0x0304 …) from the ServerHello, else the highest one offered.
    pub version: u16,
    /// Whether `version` is the negotiated one.
    pub negotiated: bool,
    /// Cipher suite chosen by the server.
    pub cipher: Option<u16>,
    /// Application protocols offered by the client.
    pub client_alpns: Vec<Box<str>>,
    /// The one that the server chose, where it is in the clear.
    pub server_alpn: Option<Box<str>>,
    /// JA3 and JA4 of the ClientHello, made when they are asked for.
    pub client_print: Option<Box<ClientPrint>>,
    /// JA3S of the ServerHello, made when it is asked for.
    pub server_print: Option<Box<ServerPrint>>,
    /// Encrypted ClientHello.
    pub ech: Ech,
    /// The server accepted a session that the client wanted to resume.
    pub resumed: bool,
    /// Leaf certificate, where it is in the clear. Flows with the same one share it.
    pub certificate: Option<Arc<Leaf>>,
    /// The ClientHello was cut; what was there has been used.
    pub cut: bool,
    /// The second ClientHello, after the server had asked for another (RFC 8446, 4.1.4): its own record.
    pub retried: Option<Box<TlsFacts>>,
}

impl TlsFacts {
    /// JA3 of the ClientHello: 32 hex digits.
    pub fn ja3(&self) -> Option<&str> {
        self.client_print.as_deref().map(ClientPrint::ja3)
    }

    /// JA3S of the ServerHello: 32 hex digits.
    pub fn ja3s(&self) -> Option<&str> {
        self.server_print.as_deref().map(ServerPrint::ja3s)
    }

    /// What the leaf certificate says.
    pub fn certificate(&self) -> Option<&Certificate> {
        self.certificate.as_deref().map(Leaf::read)
    }

    /// JA4 of the ClientHello.
    pub fn ja4(&self) -> Option<&str> {
        self.client_print.as_deref().map(ClientPrint::ja4)
    }
}

/// What a certificate in the clear says.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct Certificate {
    /// Subject, RFC 4514-like, as Suricata prints it.
    pub subject: Box<str>,
    /// Issuer.
    pub issuer: Box<str>,
    /// DNS names among the subject alternative names.
    pub names: Vec<Box<str>>,
    /// Serial number, hex with colons.
    pub serial: Box<str>,
    /// SHA-1 of the certificate, hex with colons.
    pub fingerprint: Box<str>,
    /// Not before, seconds since the epoch.
    pub not_before: i64,
    /// Not after, seconds since the epoch.
    pub not_after: i64,
}

/// Facts of one clear HTTP request.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct HttpFacts {
    /// GET, POST, CONNECT …
    pub method: Box<str>,
    /// Host header, or the authority of an absolute-form or CONNECT target (port kept).
    pub host: Box<str>,
    /// Request target.
    pub url: Box<str>,
    /// User-Agent.
    pub user_agent: Option<Box<str>>,
    /// Status code of the answer, where seen.
    pub status: Option<u16>,
    /// Content-Length of the request.
    pub request_bytes: Option<u64>,
    /// Client behind the proxy (X-Forwarded-For, Forwarded, PROXY protocol).
    pub client: Option<std::net::IpAddr>,
    /// The request asks for a WebSocket.
    pub websocket: bool,
    /// The User-Agent was written by hand ([`user_agent::is_malformed`]).
    pub agent_malformed: bool,
    /// The User-Agent carries data ([`user_agent::carries_data`]).
    pub agent_carries_data: bool,
}

/// What a flow turned out to be.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default, Serialize, Deserialize)]
pub enum AppProto {
    /// Not recognised.
    #[default]
    Unknown,
    /// TLS over TCP.
    Tls,
    /// QUIC.
    Quic,
    /// HTTP/1.
    Http,
    /// HTTP/2 in the clear.
    Http2,
    /// DNS.
    Dns,
    /// SSH.
    Ssh,
    /// SOCKS.
    Socks,
    /// DTLS.
    Dtls,
    /// STUN and TURN.
    Stun,
    /// WireGuard.
    WireGuard,
    /// OpenVPN.
    OpenVpn,
    /// DHCP, IPv4 and IPv6.
    Dhcp,
}

/// All that the parsers found out about a flow so far. Small when little is known: details are boxed.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct Facts {
    /// What it is.
    pub app: AppProto,
    /// The best name of the destination and where it came from.
    pub name: Option<(Box<str>, NameSource)>,
    /// TLS details.
    pub tls: Option<Box<TlsFacts>>,
    /// QUIC version, for QUIC.
    pub quic_version: Option<u32>,
    /// HTTP details of the first request.
    pub http: Option<Box<HttpFacts>>,
    /// The client spoke in the direction taken for the responder's: turn the flow round.
    pub client_is_responder: bool,
    /// What a QUIC client calls itself.
    pub user_agent: Option<Box<str>>,
    /// `host:port` that a proxy was asked for (CONNECT, SOCKS, absolute form), as sent.
    pub target: Option<Box<str>>,
    /// The client behind a proxy (PROXY protocol, X-Forwarded-For, Forwarded).
    pub client: Option<std::net::IpAddr>,
    /// The name is that of an earlier flow: this one goes on with its QUIC connection from another port.
    pub inferred: bool,
}

impl Facts {
    /// HTTP handed the connection over to a WebSocket.
    pub fn is_websocket(&self) -> bool {
        self.http.as_ref().is_some_and(|h| h.websocket && h.status == Some(101))
    }
}

/// Why the parsers gave a flow up. Counted.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[repr(u8)]
pub enum GiveUp {
    /// No parser knows these bytes.
    Unknown,
    /// The protocol is known, but carries no name here.
    NoName,
    /// The hello never became whole within the limits.
    TooLong,
    /// Bytes contradict the protocol.
    Malformed,
}

impl GiveUp {
    /// Number of reasons.
    pub const COUNT: usize = 4;

    /// Every reason, in the order of their numbers.
    pub const ALL: [Self; Self::COUNT] = [Self::Unknown, Self::NoName, Self::TooLong, Self::Malformed];

    /// The word for records.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Unknown => "unknown",
            Self::NoName => "no_name",
            Self::TooLong => "too_long",
            Self::Malformed => "malformed",
        }
    }
}

/// What a parser says of a talk.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Outcome {
    /// Cannot tell yet.
    More,
    /// This much is known; call again when there is more.
    Partly(Box<Facts>),
    /// All there is to know; the starts may be freed.
    Done(Box<Facts>),
    /// Nothing here.
    Nothing(GiveUp),
}

/// One protocol that may name a flow.
#[derive(Clone, Copy)]
pub struct Parser {
    /// Name for help texts and counters.
    pub name: &'static str,
    /// Which transport it reads.
    pub transport: Transport,
    /// The parser itself.
    pub parse: fn(&Talk<'_>) -> Outcome,
}

/// Every parser, most common first. A new protocol is one file and one line here.
pub static PARSERS: &[Parser] = &[
    Parser { name: "tls", transport: Transport::Tcp, parse: tls::parse },
    Parser { name: "http", transport: Transport::Tcp, parse: http::parse },
    Parser { name: "socks", transport: Transport::Tcp, parse: proxy::socks },
    Parser { name: "proxy-protocol", transport: Transport::Tcp, parse: proxy::proxy_protocol },
    Parser { name: "dns", transport: Transport::Tcp, parse: dns::parse },
    Parser { name: "openvpn", transport: Transport::Tcp, parse: tunnel::parse },
    Parser { name: "starttls", transport: Transport::Tcp, parse: starttls::parse },
    Parser { name: "tls-answer", transport: Transport::Tcp, parse: tls::answer },
];

/// Asks every parser in turn. Cheap when the first bytes fit none.
pub fn parse(talk: &Talk<'_>) -> Outcome {
    let mut waiting = false;
    for parser in PARSERS.iter().filter(|p| p.transport == talk.transport) {
        match (parser.parse)(talk) {
            Outcome::Nothing(GiveUp::Unknown) => {}
            Outcome::More => waiting = true,
            other => return other,
        }
    }
    if waiting { Outcome::More } else { Outcome::Nothing(GiveUp::Unknown) }
}

/// Every parser on the same bytes, whole and cut in two: what fuzz targets call.
pub fn exercise(bytes: &[u8]) {
    let (head, rest) = bytes.split_first().map_or((0, bytes), |(h, r)| (*h, r));
    let (up, down) = rest.split_at(rest.len() * usize::from(head) / 256);
    for (up, down) in [(rest, &[][..]), (up, down), (down, up)] {
        for end in [false, true] {
            let (done, ports) = (Both { up: end, down: end }, Both::default());
            for told in [Both::default(), Both { up: up.len(), down: 0 }] {
                let _ = parse(&Talk { up, down, done, transport: Transport::Tcp, ports, told });
            }
        }
    }
    let _ = (
        tunnel::label(rest),
        dhcp::message(rest),
        dns::message(rest),
        certificate::read(rest),
        Leaf::keep(rest).map(|leaf| leaf.read().not_after),
        gquic::client_hello(rest, 0),
        quic::chosen_id(rest),
    );
    dns::messages(rest).for_each(|m| drop(dns::message(m)));
    for carrier in [hello::Carrier::Tcp, hello::Carrier::Quic, hello::Carrier::Datagram] {
        if let Some(hello) = hello::ClientHello::read(rest, rest.len(), carrier) {
            let _ = hello.facts(&hello.read_extensions(), carrier, true);
        }
    }
    if let Some(mut starts) = datagrams::Starts::begin(rest) {
        let _ = starts.datagram(crate::units::Direction::Up, up);
        let _ = (starts.datagram(crate::units::Direction::Down, down), starts.finish());
    }
}

/// What is left of a talk behind a prefix of each direction.
fn slice<'a>(talk: &Talk<'a>, up_from: usize, down_from: usize) -> Talk<'a> {
    Talk {
        up: talk.up.get(up_from..).unwrap_or_default(),
        down: talk.down.get(down_from..).unwrap_or_default(),
        told: Both::default(),
        ..*talk
    }
}

/// The same talk with the directions changed over.
fn swapped<'a>(talk: &Talk<'a>) -> Talk<'a> {
    Talk {
        up: talk.down,
        down: talk.up,
        done: Both { up: talk.done.down, down: talk.done.up },
        ports: Both { up: talk.ports.down, down: talk.ports.up },
        told: Both { up: talk.told.down, down: talk.told.up },
        transport: talk.transport,
    }
}

/// Marks what was found in a [`swapped`] talk.
fn turn(mut outcome: Outcome) -> Outcome {
    if let Outcome::Partly(facts) | Outcome::Done(facts) = &mut outcome {
        facts.client_is_responder = !facts.client_is_responder;
    }
    outcome
}

/// Puts what a tunnel carries under the name that the tunnel was asked for. The outer name stands; where the client
/// asked for an address, the inner one does.
fn carry(outer: Facts, inner: Outcome) -> Outcome {
    let join = |inner: Facts| {
        Box::new(Facts {
            app: outer.app,
            name: outer.name.clone().or(inner.name),
            tls: inner.tls,
            http: outer.http.clone().or(inner.http),
            target: outer.target.clone().or(inner.target),
            client: outer.client.or(inner.client),
            ..inner
        })
    };
    match inner {
        Outcome::More => Outcome::Partly(Box::new(outer)),
        Outcome::Partly(facts) => Outcome::Partly(join(*facts)),
        Outcome::Done(facts) => Outcome::Done(join(*facts)),
        Outcome::Nothing(_) => Outcome::Done(Box::new(outer)),
    }
}
