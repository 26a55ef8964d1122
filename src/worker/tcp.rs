//! The long road of a packet: everything that is not simply next in order.

use super::short::heard;
use super::{ACK, AnyKey, Context, FIN, RST, SYN};
use crate::decode::{Packet, Transport};
use crate::flow::key::{Key, Side};
use crate::flow::record::{Cold, Flag, Flow, Seen};
use crate::flow::sequence::{Position, Segment, book};
use crate::flow::table::Table;
use crate::flow::uploads::{self, Glance};
use crate::observe::EndReason;

/// An acknowledgement further ahead than this is no proof of anything.
const FAR: u32 = 1 << 30;

impl Context {
    /// Books one packet, opening and closing flows as needed.
    pub(crate) fn packet<K: Key + Into<AnyKey>>(
        &mut self,
        table: &mut Table<K>,
        key: K,
        side: Side,
        hash: u64,
        packet: &Packet<'_>,
    ) {
        let ended = match table.find_both(hash, &key) {
            Some((flow, cold)) => match self.has_ended(flow, cold, side, packet) {
                Some(reason) => Some(reason),
                None => return self.book(flow, cold, side, packet),
            },
            None => None,
        };
        if let Some(reason) = ended {
            self.close(table, &key, reason, packet.now, packet.ordinal);
        }
        if let Some((flow, cold)) = self.open(table, key, side, hash, packet) {
            self.book(flow, cold, side, packet);
        }
    }

    fn book<K: Key + Into<AnyKey>>(
        &mut self,
        flow: &mut Flow<K>,
        cold: &mut Cold,
        side: Side,
        packet: &Packet<'_>,
    ) {
        let before = flow.hot.last;
        count(flow, cold, side, packet);
        if self.copies.is_second(cold.ordinal(), side, packet) {
            flow.hot.set(Flag::DOUBLED, true);
            self.counters.duplicates += u64::from(packet.frames);
        } else if packet.transport == Transport::Tcp {
            self.tcp(flow, cold, side, packet);
        } else {
            self.udp(flow, cold, side, packet, before);
        }
        self.tell_if_due(flow, cold, packet);
    }

    /// Whether this packet belongs to a new flow with the same ends.
    fn has_ended<K: Key>(
        &self,
        flow: &Flow<K>,
        cold: &Cold,
        side: Side,
        packet: &Packet<'_>,
    ) -> Option<EndReason> {
        // A stamp that the clock does not believe (yet) says nothing about silence.
        if packet.at.min(packet.now).since(flow.hot.last) > self.timeout(flow, cold) {
            return Some(EndReason::Timeout);
        }
        let syn = packet.transport == Transport::Tcp && packet.tcp.flags & (SYN | ACK | RST) == SYN;
        if !syn || cold.isn(side) == Some(packet.tcp.seq) {
            return None;
        }
        let data = (cold.seen(Side::A) | cold.seen(Side::B)) & Seen::DATA != 0;
        let known = cold.isn(side).is_some();
        let reset = flow.hot.has(Flag::CLOSING);
        // A SYN that comes late, of a connection whose first frames were captured out of order, opens nothing new.
        let late = !known && packet.tcp.seq.wrapping_add(1) == cold.sides[side.index()].base;
        (!late && (data || reset)).then_some(EndReason::Reused)
    }

    fn tcp<K: Key + Into<AnyKey>>(
        &mut self,
        flow: &mut Flow<K>,
        cold: &mut Cold,
        side: Side,
        packet: &Packet<'_>,
    ) {
        let (i, tcp) = (side.index(), packet.tcp);
        if tcp.flags & SYN != 0 {
            synchronise(flow, cold, side, packet);
        }
        if tcp.flags & ACK != 0 && tcp.flags & RST == 0 {
            acknowledge(flow, cold, side.other(), tcp.ack);
        }
        let seq = if tcp.flags & SYN != 0 { tcp.seq.wrapping_add(1) } else { tcp.seq };
        if !flow.hot.has(Flag::PLACED[i]) && (tcp.flags & RST == 0 || packet.payload_len > 0) {
            place(flow, cold, side, seq);
        }
        if packet.payload_len > 0 {
            self.payload(flow, cold, side, seq, packet);
        } else if tcp.flags & (RST | SYN) == 0 && flow.hot.has(Flag::PLACED[i]) {
            // An empty segment further ahead proves bytes that were not seen.
            acknowledge(flow, cold, side, seq);
        }
        if tcp.flags & FIN != 0 {
            cold.note(side, Seen::FIN);
            let end = seq.wrapping_add(packet.payload_len);
            if flow.hot.sides[i].next == end {
                flow.hot.sides[i].next = end.wrapping_add(1);
            }
        }
        if tcp.flags & RST != 0 {
            cold.note(side, Seen::RST);
        }
        if tcp.flags & (SYN | FIN | RST) == 0 && packet.payload_len == 0 {
            cold.note(side, Seen::ACK);
        }
        settle(flow, cold, side);
    }

    fn payload<K: Key + Into<AnyKey>>(
        &mut self,
        flow: &mut Flow<K>,
        cold: &mut Cold,
        side: Side,
        seq: u32,
        packet: &Packet<'_>,
    ) {
        let i = side.index();
        cold.note(side, Seen::DATA);
        let (base, next) = (cold.sides[i].base, flow.hot.sides[i].next);
        let mut position = Position { base, next, anchored: cold.anchored(side) };
        let segment = if seq == next && cold.has_more().is_none() {
            position.next = seq.wrapping_add(packet.payload_len);
            Segment { new: packet.payload_len, repeated: 0, in_order: true }
        } else {
            book(&mut position, &mut cold.more().holes[i], seq, packet.payload_len)
        };
        flow.hot.sides[i].next = position.next;
        cold.set_base(side, position.base);
        // What is untold is told long before this could overflow.
        let payload = &mut flow.hot.sides[i].payload;
        *payload = payload.saturating_add(segment.new);
        if segment.repeated > 0 {
            cold.add_retransmitted(side, segment.repeated);
            cold.note(side, Seen::REPEATED);
        }
        if flow.hot.has(Flag::TLS) {
            let in_order = segment.new == packet.payload_len && segment.in_order;
            records(flow, cold, side, packet, in_order, segment.new);
        }
        if flow.hot.has(Flag::NAMING) {
            self.learn(flow, cold, side, seq, packet);
        }
    }
}

/// Follows the TLS records of a segment whose bytes have been booked.
fn records<K: Key>(
    flow: &mut Flow<K>,
    cold: &mut Cold,
    side: Side,
    packet: &Packet<'_>,
    in_order: bool,
    new: u32,
) {
    let i = side.index();
    let was_lost = flow.hot.follow[i].is_lost();
    if !in_order {
        if !was_lost {
            flow.lose(cold, side, new);
        }
        return;
    }
    let mut follower = flow.hot.follow[i];
    let overhead = cold.has_more().map_or(0, |more| more.tls_overhead);
    let done = follower.walk(packet.payload, packet.payload_len, overhead);
    cold.add_app(side, done.app);
    if was_lost && (done.app > 0 || !follower.is_lost()) {
        let before = flow.payload(cold, side).saturating_sub(u64::from(new));
        let more = cold.more();
        more.unfollowed[i] += before.saturating_sub(more.lost_at[i]);
        flow.lose(cold, side, done.unknown);
    } else if !was_lost && follower.is_lost() {
        flow.lose(cold, side, done.unknown);
    }
    flow.hot.follow[i] = follower;
    let done = heard(&mut flow.hot, side, done);
    if done.largest > 0 {
        let followed = done.records > 0;
        let cipher = if followed { u32::from(overhead) } else { 0 };
        let largest = done.largest.saturating_sub(cipher);
        let ack = (packet.tcp.flags & ACK != 0).then_some(packet.tcp.ack);
        uploads::glance(&flow.hot, cold, Glance { side, largest, followed, ack });
    }
}

/// Counts the frame; never overflows, because the counters are folded first.
fn count<K: Key>(flow: &mut Flow<K>, cold: &mut Cold, side: Side, packet: &Packet<'_>) {
    flow.fold(cold);
    flow.hot.last = flow.hot.last.max(packet.at);
    // Tunnels with a frame shorter than its packet do not exist; a capture that says so is believed for the wire.
    let over = i64::from(packet.wire_len) - i64::from(packet.ip_len);
    cold.add(side, packet.frames, packet.ip_len, over);
}

/// A SYN or SYN-ACK: fixes where the data of its side begins.
fn synchronise<K: Key>(flow: &mut Flow<K>, cold: &mut Cold, side: Side, packet: &Packet<'_>) {
    let i = side.index();
    let with_ack = packet.tcp.flags & ACK != 0;
    cold.note(side, if with_ack { Seen::SYN_ACK } else { Seen::SYN });
    if cold.seen(side) & Seen::DATA != 0 && flow.hot.has(Flag::PLACED[i]) {
        return;
    }
    let base = packet.tcp.seq.wrapping_add(1);
    cold.anchor(side, packet.tcp.seq);
    flow.hot.sides[i].next = base;
    flow.hot.set(Flag::PLACED[i], true);
    if let Some(starts) = cold.starts_mut() {
        starts.sides[i].anchor(base);
    }
}

/// Gives a side its position where no SYN was seen.
fn place<K: Key>(flow: &mut Flow<K>, cold: &mut Cold, side: Side, seq: u32) {
    let i = side.index();
    flow.hot.sides[i].next = seq;
    cold.set_base(side, seq);
    flow.hot.set(Flag::PLACED[i], true);
}

/// The other end has `side`'s bytes up to `ack`: proof for what was never seen.
fn acknowledge<K: Key>(flow: &mut Flow<K>, cold: &mut Cold, side: Side, ack: u32) {
    let i = side.index();
    if !flow.hot.has(Flag::PLACED[i]) {
        place(flow, cold, side, ack);
        return;
    }
    let ahead = ack.wrapping_sub(flow.hot.sides[i].next);
    if ahead == 0 || ahead >= FAR {
        return;
    }
    let known = &mut cold.more().acked[i];
    if known.is_none_or(|known| (ack.wrapping_sub(known) as i32) > 0) {
        *known = Some(ack);
    }
}

/// Sets the flags that decide whether the next packet may take the short way.
fn settle<K: Key>(flow: &mut Flow<K>, cold: &Cold, side: Side) {
    let disorder = cold.has_more().is_some_and(|m| m.holes.iter().flatten().any(|h| !h.is_whole()));
    flow.hot.set(Flag::DISORDER, disorder);
    let seen = cold.seen(side);
    flow.hot.set(Flag::PLAIN[side.index()], seen & (Seen::ACK | Seen::DATA) == Seen::ACK | Seen::DATA);
    let (a, b) = (cold.seen(Side::A), cold.seen(Side::B));
    if a & b & Seen::FIN != 0 || (a | b) & Seen::RST != 0 {
        flow.hot.set(Flag::CLOSING, true);
    }
}
