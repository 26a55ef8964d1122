//! DNS messages, from datagrams and from streams: observations, not names of the flow that carries them.

use super::udp::look_on;
use super::{AnyKey, Context};
use crate::decode::Packet;
use crate::flow::key::Key;
use crate::flow::record::{Cold, Flow};
use crate::flow::starts::Start;
use crate::observe::{DnsAnswer, Telling};
use crate::parse::dns::{self, DnsData, DnsMessage};
use crate::parse::{AppProto, Facts};
use std::net::IpAddr;
use std::sync::Arc;

impl Context {
    /// Every datagram of a DNS flow is read.
    pub(crate) fn dns<K: Key + Into<AnyKey>>(
        &mut self,
        flow: &mut Flow<K>,
        cold: &mut Cold,
        packet: &Packet<'_>,
    ) {
        let Some(message) = dns::message(packet.payload) else {
            look_on(flow, cold);
            return;
        };
        if cold.facts().is_none() {
            cold.more().facts = Some(Arc::new(Facts { app: AppProto::Dns, ..Facts::default() }));
        }
        self.tell_dns(flow, cold, message, packet);
    }

    /// Whole messages of DNS over TCP are read and their bytes let go, so that a connection of any length needs room
    /// for one message only.
    pub(crate) fn dns_stream<K: Key>(&mut self, flow: &mut Flow<K>, cold: &mut Cold, packet: &Packet<'_>) {
        let Some(starts) = cold.starts_mut() else { return };
        let before = starts.held();
        let mut messages = Vec::new();
        for start in &mut starts.sides {
            let mut read = 0;
            for bytes in dns::messages(start.bytes()) {
                read += 2 + bytes.len();
                messages.extend(dns::message(bytes));
            }
            start.consume(read);
        }
        self.pool = (self.pool + starts.held()).saturating_sub(before);
        if starts.sides.iter().all(Start::ended) {
            self.release(flow, cold);
        }
        for message in messages {
            self.tell_dns(flow, cold, message, packet);
        }
    }

    fn tell_dns<K: Key>(&mut self, flow: &Flow<K>, cold: &Cold, message: DnsMessage, packet: &Packet<'_>) {
        let mut answer = DnsAnswer {
            flow: flow.key.flow_id(cold.ordinal(), self.config.seed),
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
        let mut turn = self.turn(packet.ordinal, cold.ordinal());
        self.say(&mut turn, packet.now, Telling::Dns(Box::new(answer)));
    }
}
