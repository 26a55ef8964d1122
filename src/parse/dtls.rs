//! DTLS ClientHello (RFC 6347, RFC 9147): handshake messages cut into fragments, over datagrams in any order.

use super::hello::{self, Carrier, ClientHello};
use super::pieces::Pieces;
use super::{AppProto, Facts, GiveUp, Outcome};
use crate::bytes::Reader;
use crate::units::Direction;

/// Datagrams of one flow that are looked at.
const MAX_DATAGRAMS: u8 = 32;

const HANDSHAKE: u8 = 22;

/// The hello of one UDP flow while it is incomplete.
#[derive(Default)]
pub struct Fragments {
    pieces: Pieces,
    /// Number of the message that the pieces belong to, and its announced length.
    message: Option<(u16, usize)>,
    datagrams: u8,
    client: Option<Direction>,
}

impl Fragments {
    /// Whether a datagram begins like an unencrypted DTLS handshake record.
    pub fn looks_like(datagram: &[u8]) -> bool {
        let mut r = Reader::new(datagram);
        r.u8() == Some(HANDSHAKE)
            && r.u16().is_some_and(is_version)
            && r.u16() == Some(0)
            && r.skip(6).is_some()
            && r.u16().is_some_and(|len| len >= 12)
    }

    /// Memory held.
    pub fn held(&self) -> usize {
        size_of::<Self>() + self.pieces.held()
    }

    /// Takes the next datagram of the flow, in whichever direction it went.
    pub fn datagram(&mut self, from: Direction, datagram: &[u8]) -> Outcome {
        self.datagrams = self.datagrams.saturating_add(1);
        if self.datagrams > MAX_DATAGRAMS {
            return self.finish();
        }
        let mut r = Reader::new(datagram);
        while let (Some(kind), Some(version), Some(epoch)) = (r.u8(), r.u16(), r.u16()) {
            if r.skip(6).is_none() || !is_version(version) {
                break;
            }
            let Some(body) = r.vec16() else { break };
            if kind == HANDSHAKE && epoch == 0 {
                self.record(from, body);
            }
        }
        match self.facts(false) {
            Some(facts) => Outcome::Done(Box::new(facts)),
            None => Outcome::More,
        }
    }

    /// The best there is when no more will come.
    pub fn finish(&mut self) -> Outcome {
        match self.facts(true) {
            Some(facts) => Outcome::Done(Box::new(facts)),
            None if self.datagrams > 0 => {
                Outcome::Done(Box::new(Facts { app: AppProto::Dtls, ..Facts::default() }))
            }
            None => Outcome::Nothing(GiveUp::Unknown),
        }
    }

    fn record(&mut self, from: Direction, body: &[u8]) {
        let mut r = Reader::new(body);
        let mut next = || {
            let (kind, len, number) = (r.u8()?, r.u24()?, r.u16()?);
            let (offset, part) = (r.u24()?, r.u24()? as usize);
            Some((kind, len as usize, number, offset, r.take(part)?))
        };
        while let Some((kind, len, number, offset, part)) = next() {
            if kind != 1 {
                continue;
            }
            // The hello with a cookie is another message; the first one that becomes whole will do.
            if self.message != Some((number, len)) {
                self.pieces = Pieces::default();
                self.message = Some((number, len));
            }
            self.client = Some(from);
            self.pieces.insert(u64::from(offset), part);
        }
    }

    fn facts(&self, cut: bool) -> Option<Facts> {
        let (_, len) = self.message?;
        let body = self.pieces.start();
        if body.is_empty() || (body.len() < len && !cut) {
            return None;
        }
        let hello = ClientHello::read(body, len, Carrier::Datagram)?;
        let extensions = hello.read_extensions();
        let tls = hello.facts(&extensions, Carrier::Datagram, true);
        Some(Facts {
            app: AppProto::Dtls,
            name: hello::name_of(&extensions, tls.ech, Carrier::Datagram),
            tls: Some(Box::new(tls)),
            client_is_responder: self.client == Some(Direction::Down),
            ..Facts::default()
        })
    }
}

/// DTLS 1.0 to 1.3, and what OpenSSL sent before there was a standard.
const fn is_version(version: u16) -> bool {
    matches!(version, 0xfeff | 0xfefd | 0xfefc | 0x0100)
}
