//! Datagrams: QUIC and DTLS hellos and tunnels by the first few, DNS and DHCP in every one of their flows.

use super::short::datagram;
use super::{AnyKey, Context};
use crate::decode::Packet;
use crate::flow::key::{Key, Side};
use crate::flow::record::{Cold, DATAGRAMS_MAX, Flag, Flow, Seen};
use crate::flow::uploads;
use crate::observe::{Lease, Telling};
use crate::parse::{AppProto, Facts, GiveUp, Outcome, datagrams, dhcp, tunnel};
use crate::units::{Direction, Span, Timestamp};
use std::sync::Arc;

/// Datagrams of each side that are looked at before the short way is good enough.
const LOOKED_AT_FOR_COPIES: u64 = 4;
/// Datagrams of hellos that may lead to no name within a second of the clock before a flood is supposed.
const VAIN_MAX: u32 = 1 << 14;
/// In a flood one new hello in so many is opened: keys and ciphers cost more than all else that a packet does.
const ONE_IN: u64 = 16;
/// The port of DNS (RFC 1035 §4.2.1).
const DNS_PORT: u16 = 53;

impl Context {
    /// A UDP datagram; `before`: when the last one came.
    pub(crate) fn udp<K: Key + Into<AnyKey>>(
        &mut self,
        flow: &mut Flow<K>,
        cold: &mut Cold,
        side: Side,
        packet: &Packet<'_>,
        before: Timestamp,
    ) {
        flow.hot.sides[side.index()].payload += packet.payload_len;
        cold.note(side, Seen::DATA);
        if flow.hot.has(Flag::TLS) {
            burst(flow, cold, side, packet, before);
        }
        // The first few take the long road, where a span port's copies are found out.
        let plain = cold.packets(side) >= LOOKED_AT_FOR_COPIES;
        flow.hot.set(Flag::PLAIN[side.index()], plain);
        if !flow.hot.has(Flag::NAMING) || packet.payload.is_empty() {
            return;
        }
        if packet.src_port == DNS_PORT || packet.dst_port == DNS_PORT {
            self.dns(flow, cold, packet);
            return;
        }
        if dhcp::is_port(packet.src_port, packet.dst_port) {
            self.dhcp(flow, cold, packet);
            return;
        }
        if cold.facts().is_some_and(|f| f.app == AppProto::Quic) {
            self.server_id(flow, cold, side, packet);
            return;
        }
        let from = if side == cold.originator { Direction::Up } else { Direction::Down };
        let mut turn = self.turn(packet.ordinal, cold.ordinal());
        if let Some(starts) = cold.datagrams_mut() {
            let before = starts.held();
            let outcome = starts.datagram(from, packet.payload);
            self.vain = in_vain(self.vain, &outcome);
            self.pool = (self.pool + starts.held()).saturating_sub(before);
            self.heard(flow, cold, outcome, packet.now, false, &mut turn);
            return;
        }
        if self.vain >= VAIN_MAX
            && !packet.ordinal.is_multiple_of(ONE_IN)
            && datagrams::is_hello(packet.payload)
        {
            if let Some(n) = self.counters.given_up.get_mut(GiveUp::TooLong as usize) {
                *n += 1;
            }
            self.release(flow, cold);
            return;
        }
        if let Some(mut starts) = datagrams::Starts::begin(packet.payload) {
            let outcome = starts.datagram(from, packet.payload);
            self.vain = in_vain(self.vain, &outcome);
            // Most hellos are whole with their first datagram, and nothing has to be kept.
            if outcome == Outcome::More {
                if self.hold(flow, cold) {
                    self.pool += starts.held();
                    cold.more().datagrams = Some(starts);
                }
            } else {
                self.heard(flow, cold, outcome, packet.now, false, &mut turn);
            }
            return;
        }
        if cold.datagrams_seen() == 0 && !self.rebound(flow, cold, side, packet) {
            self.tunnel(flow, cold, packet);
        }
        look_on(flow, cold);
    }

    /// Labels a tunnel by its first datagram. After STUN a hello of DTLS may still come over the same ports.
    fn tunnel<K: Key>(&mut self, flow: &mut Flow<K>, cold: &mut Cold, packet: &Packet<'_>) {
        let Some(app) = tunnel::label(packet.payload) else { return };
        let mut turn = self.turn(packet.ordinal, cold.ordinal());
        let facts = Box::new(Facts { app, ..Facts::default() });
        self.found(flow, cold, facts, packet.now, false, &mut turn);
        if app != AppProto::Stun {
            self.release(flow, cold);
        }
    }

    /// Every datagram of a DHCP flow is read: it tells who has which address, and names no flow.
    fn dhcp<K: Key>(&mut self, flow: &mut Flow<K>, cold: &mut Cold, packet: &Packet<'_>) {
        let Some(given) = dhcp::message(packet.payload) else {
            if cold.facts().is_none() {
                look_on(flow, cold);
            }
            return;
        };
        let mut turn = self.turn(packet.ordinal, cold.ordinal());
        if cold.facts().is_none() {
            cold.more().facts = Some(Arc::new(Facts { app: AppProto::Dhcp, ..Facts::default() }));
        }
        let until = packet.at.plus(Span::from_secs(i64::from(given.secs)));
        let lease = Lease { ip: given.ip, mac: given.mac, name: given.name, at: packet.at, until };
        self.say(&mut turn, packet.now, Telling::Lease(Box::new(lease)));
    }
}

/// A datagram of QUIC: its length is all there is to see of uploads.
fn burst<K: Key>(flow: &mut Flow<K>, cold: &mut Cold, side: Side, packet: &Packet<'_>, before: Timestamp) {
    let quiet = packet.at.since(before);
    if datagram(&mut flow.hot, side, packet.payload_len, quiet) {
        uploads::silence(cold, side);
    }
}

/// The count of datagrams of hellos that led to no name. One that does makes up for two: the first of a hello in two
/// datagrams tells nothing either.
fn in_vain(count: u32, outcome: &Outcome) -> u32 {
    match outcome {
        Outcome::Done(facts) if facts.name.is_some() => count.saturating_sub(2),
        _ => count + 1,
    }
}

/// One more datagram that told nothing: the parsers lose patience.
pub(crate) fn look_on<K: Key>(flow: &mut Flow<K>, cold: &mut Cold) {
    if cold.datagrams_seen() >= DATAGRAMS_MAX {
        flow.hot.set(Flag::NAMING, false);
    } else {
        cold.count_datagram();
    }
}
