//! QUIC connections whose client comes back from another port, because a translator of addresses forgot it: the id that
//! the server chose goes on, and with it the name.
//!
//! A client that moves on purpose takes a fresh id, which was given to it encrypted: that nobody can follow.

use super::udp::look_on;
use super::{AnyKey, Context};
use crate::decode::Packet;
use crate::flow::key::{Key, Side};
use crate::flow::record::{Cold, Flag, Flow};
use crate::observe::Ends;
use crate::parse::quic::{self, MAX_CID};
use crate::parse::{AppProto, Facts, NameSource};
use std::collections::{HashMap, VecDeque};
use std::net::IpAddr;

/// Ids remembered by one worker; then the oldest goes.
const MAX_IDS: usize = 1 << 14;
/// A shorter id is too easily met by chance.
const MIN_ID: usize = 4;

/// What a later flow is known by: the two addresses, the port of the server, and the id that it chose.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
struct Id {
    client: IpAddr,
    server: IpAddr,
    port: u16,
    len: u8,
    bytes: [u8; MAX_CID],
}

impl Id {
    fn new(ends: &Ends, id: &[u8]) -> Option<Self> {
        let mut bytes = [0; MAX_CID];
        bytes.get_mut(..id.len())?.copy_from_slice(id);
        let (client, server, port) = (ends.originator, ends.responder, ends.responder_port);
        Some(Self { client, server, port, len: id.len() as u8, bytes })
    }
}

/// What is remembered of a connection.
#[derive(Debug)]
struct Connection {
    name: Box<str>,
    version: Option<u32>,
}

/// The connections of a worker by id.
#[derive(Default, Debug)]
pub(crate) struct ServerIds {
    by_id: HashMap<Id, Connection, foldhash::fast::RandomState>,
    /// Oldest first.
    order: VecDeque<Id>,
    /// How many of the ids have each length: a short header does not say it.
    lengths: [u32; MAX_CID + 1],
}

impl ServerIds {
    fn remember(&mut self, id: Id, connection: Connection) {
        if self.by_id.insert(id, connection).is_some() {
            return;
        }
        self.order.push_back(id);
        self.lengths[usize::from(id.len) % (MAX_CID + 1)] += 1;
        if self.order.len() > MAX_IDS
            && let Some(oldest) = self.order.pop_front()
        {
            self.by_id.remove(&oldest);
            self.lengths[usize::from(oldest.len) % (MAX_CID + 1)] -= 1;
        }
    }

    /// The connection that a datagram with a short header from a new port goes on with.
    fn find(&self, ends: &Ends, datagram: &[u8]) -> Option<&Connection> {
        let rest = quic::short_header(datagram)?;
        let lengths = (MIN_ID..=MAX_CID).rev().filter(|len| self.lengths[*len] > 0);
        let mut ids = lengths.filter_map(|len| Id::new(ends, rest.get(..len)?));
        ids.find_map(|id| self.by_id.get(&id))
    }
}

impl Context {
    /// A datagram of a QUIC flow whose hello has been read: the first of the server's says which id it chose.
    pub(crate) fn server_id<K: Key + Into<AnyKey>>(
        &mut self,
        flow: &mut Flow<K>,
        cold: &mut Cold,
        side: Side,
        packet: &Packet<'_>,
    ) {
        let chosen = if side == cold.originator { None } else { quic::chosen_id(packet.payload) };
        let Some(chosen) = chosen else {
            look_on(flow, cold);
            return;
        };
        flow.hot.set(Flag::NAMING, false);
        let facts = cold.facts().map(|facts| &**facts);
        let name = facts.and_then(|f| f.name.as_ref()).filter(|(_, s)| *s == NameSource::QuicSni);
        if let (Some((name, _)), true) = (name, chosen.len() >= MIN_ID)
            && let Some(id) = Id::new(&flow.key.ends(cold.originator), chosen)
        {
            let version = facts.and_then(|f| f.quic_version);
            self.server_ids.remember(id, Connection { name: name.clone(), version });
        }
    }

    /// Names a flow that goes on with the connection of another one. False: it does not.
    pub(crate) fn rebound<K: Key + Into<AnyKey>>(
        &mut self,
        flow: &mut Flow<K>,
        cold: &mut Cold,
        side: Side,
        packet: &Packet<'_>,
    ) -> bool {
        if side != cold.originator || self.server_ids.order.is_empty() {
            return false;
        }
        let found = self.server_ids.find(&flow.key.ends(cold.originator), packet.payload);
        let Some(Connection { name, version }) = found else { return false };
        let facts = Facts {
            app: AppProto::Quic,
            name: Some((name.clone(), NameSource::QuicSni)),
            quic_version: *version,
            inferred: true,
            ..Facts::default()
        };
        let mut turn = self.turn(packet.ordinal, cold.ordinal());
        // Not complete: there is no hello to log.
        self.found(flow, cold, Box::new(facts), packet.now, false, &mut turn);
        self.release(flow, cold);
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::decode::Transport;

    fn ends(client_port: u16) -> Ends {
        Ends {
            originator: [10, 0, 0, 1].into(),
            responder: [203, 0, 113, 9].into(),
            originator_port: client_port,
            responder_port: 443,
            transport: Transport::Udp,
        }
    }

    fn connection(name: &str) -> Connection {
        Connection { name: name.into(), version: Some(1) }
    }

    #[test]
    fn the_longest_id_that_fits_names() {
        let mut ids = ServerIds::default();
        ids.remember(Id::new(&ends(1), b"abcd").unwrap(), connection("short.example"));
        ids.remember(Id::new(&ends(1), b"abcdefgh").unwrap(), connection("long.example"));
        let find = |bytes: &[u8]| ids.find(&ends(2), bytes).map(|c| &*c.name);
        assert_eq!(find(b"\x40abcdefghij"), Some("long.example"));
        assert_eq!(find(b"\x5fabcdxxxx"), Some("short.example"));
        assert_eq!(find(b"\x40abc"), None);
        assert_eq!(find(b"\xc0abcdefgh"), None, "a long header");
        assert_eq!(
            ids.find(&Ends { originator: [10, 0, 0, 2].into(), ..ends(1) }, b"\x40abcdefgh").map(|_| ()),
            None
        );
        assert_eq!(ids.find(&Ends { responder_port: 8443, ..ends(1) }, b"\x40abcdefgh").map(|_| ()), None);
    }

    #[test]
    fn bounded() {
        let mut ids = ServerIds::default();
        for n in 0..3 * MAX_IDS as u32 {
            ids.remember(Id::new(&ends(1), &n.to_be_bytes()).unwrap(), connection("a.example"));
            ids.remember(Id::new(&ends(1), &n.to_be_bytes()).unwrap(), connection("b.example"));
        }
        assert_eq!((ids.by_id.len(), ids.order.len(), ids.lengths[4]), (MAX_IDS, MAX_IDS, MAX_IDS as u32));
        let last = (3 * MAX_IDS as u32 - 1).to_be_bytes();
        let datagram = [&[0x40], &last[..], &[0; 20]].concat();
        assert_eq!(ids.find(&ends(9), &datagram).map(|c| &*c.name), Some("b.example"));
        assert!(ids.find(&ends(9), &[0x40, 0, 0, 0, 0, 0]).is_none(), "the oldest has gone");
    }
}
