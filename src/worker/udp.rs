//! Datagrams: QUIC and DTLS hellos of the first few, DNS in every one of a DNS flow.

use super::{AnyKey, Context};
use crate::decode::Packet;
use crate::flow::key::{Key, Side};
use crate::flow::record::{Cold, Flag, Flow, Seen};
use crate::observe::{DnsAnswer, Telling};
use crate::parse::dns::{self, DnsData};
use crate::parse::{AppProto, Facts, datagrams};
use crate::units::Direction;
use std::net::IpAddr;
use std::sync::Arc;

/// Datagrams looked at before a UDP flow counts as nothing that carries a name.
const LOOKED_AT: u8 = 8;
/// The port of DNS (RFC 1035 §4.2.1).
const DNS_PORT: u16 = 53;

impl Context {
    /// A UDP datagram.
    pub(crate) fn udp<K: Key + Into<AnyKey>>(
        &mut self,
        flow: &mut Flow<K>,
        cold: &mut Cold,
        side: Side,
        packet: &Packet<'_>,
    ) {
        flow.hot.sides[side.index()].payload += packet.payload_len;
        cold.note(side, Seen::DATA);
        flow.hot.set(Flag::PLAIN[side.index()], true);
        if !flow.hot.has(Flag::NAMING) || packet.payload.is_empty() {
            return;
        }
        if packet.src_port == DNS_PORT || packet.dst_port == DNS_PORT {
            self.dns(flow, cold, packet);
            return;
        }
        if cold.datagrams.is_none() {
            cold.datagrams = datagrams::Starts::begin(packet.payload);
        }
        let from = if side == cold.originator { Direction::Up } else { Direction::Down };
        if let Some(mut starts) = cold.datagrams.take() {
            let outcome = starts.datagram(from, packet.payload);
            cold.datagrams = Some(starts);
            let mut turn = self.turn(packet.ordinal, cold.ordinal);
            self.heard(flow, cold, outcome, packet.now, false, &mut turn);
            return;
        }
        cold.datagrams_seen = cold.datagrams_seen.saturating_add(1);
        if cold.datagrams_seen >= LOOKED_AT {
            flow.hot.set(Flag::NAMING, false);
        }
    }

    /// Every datagram of a DNS flow is read: an observation, not a name of this flow.
    fn dns<K: Key>(&mut self, flow: &mut Flow<K>, cold: &mut Cold, packet: &Packet<'_>) {
        let Some(message) = dns::message(packet.payload) else {
            cold.datagrams_seen = cold.datagrams_seen.saturating_add(1);
            if cold.datagrams_seen >= LOOKED_AT {
                flow.hot.set(Flag::NAMING, false);
            }
            return;
        };
        if cold.facts.is_none() {
            cold.facts = Some(Arc::new(Facts { app: AppProto::Dns, ..Facts::default() }));
        }
        let mut answer = DnsAnswer {
            flow: flow.key.flow_id(cold.ordinal, self.config.seed),
            ends: flow.key.ends(cold.originator),
            at: packet.at,
            id: message.id,
            response: message.response,
            query: message.name.to_ascii_lowercase().into(),
            qtype: message.kind,
            rcode: message.rcode,
            addresses: Vec::new(),
            cnames: Vec::new(),
            ech: false,
        };
        for record in message.answers {
            match record.data {
                DnsData::A(ip) => answer.addresses.push((IpAddr::V4(ip), record.ttl)),
                DnsData::Aaaa(ip) => answer.addresses.push((IpAddr::V6(ip), record.ttl)),
                DnsData::Cname(name) => answer.cnames.push(name),
                DnsData::Service(service) => {
                    answer.ech |= service.ech;
                    let v4 = service.v4.into_iter().map(IpAddr::V4);
                    let hints = v4.chain(service.v6.into_iter().map(IpAddr::V6));
                    answer.addresses.extend(hints.map(|ip| (ip, record.ttl)));
                }
            }
        }
        let mut turn = self.turn(packet.ordinal, cold.ordinal);
        self.say(&mut turn, packet.now, Telling::Dns(Box::new(answer)));
    }
}
