//! The parsers that keep state over the datagrams of a UDP flow, behind one face for the worker.

use super::Outcome;
use super::dtls::Fragments;
use super::quic::Initials;
use crate::units::Direction;

/// What is kept of a UDP flow while its hello is incomplete. Drop it at [`Outcome::Done`] or `Nothing`.
pub enum Starts {
    /// QUIC.
    Quic(Box<Initials>),
    /// DTLS.
    Dtls(Box<Fragments>),
}

/// Whether a datagram looks like one of a hello, of a protocol that [`Starts::begin`] knows.
pub fn is_hello(datagram: &[u8]) -> bool {
    is_dtls(datagram) || Initials::looks_like(datagram)
}

fn is_dtls(datagram: &[u8]) -> bool {
    datagram.first() == Some(&22) && Fragments::looks_like(datagram)
}

impl Starts {
    /// State for a flow whose first bytes look like a protocol that carries a name; `None`, in a few nanoseconds,
    /// for all other UDP. Then call [`Self::datagram`] with this same datagram.
    pub fn begin(datagram: &[u8]) -> Option<Self> {
        if is_dtls(datagram) {
            return Some(Self::Dtls(Box::default()));
        }
        Initials::looks_like(datagram).then(|| Self::Quic(Box::default()))
    }

    /// Takes the next datagram of the flow, in whichever direction it went.
    pub fn datagram(&mut self, from: Direction, datagram: &[u8]) -> Outcome {
        match self {
            Self::Quic(initials) => initials.datagram(from, datagram),
            Self::Dtls(fragments) => fragments.datagram(from, datagram),
        }
    }

    /// The best there is, when the flow ends or room is needed.
    pub fn finish(&mut self) -> Outcome {
        match self {
            Self::Quic(initials) => initials.finish(),
            Self::Dtls(fragments) => fragments.finish(),
        }
    }

    /// Memory held, about.
    pub fn held(&self) -> usize {
        match self {
            Self::Quic(initials) => initials.held(),
            Self::Dtls(fragments) => fragments.held(),
        }
    }
}
