//! The long road of a packet: everything that is not simply next in order.

use super::{ACK, AnyKey, Context, FIN, RST, SYN};
use crate::decode::{Packet, Transport};
use crate::flow::key::{Key, Side};
use crate::flow::record::{Cold, Flag, Flow, Seen};
use crate::flow::sequence::{Position, book};
use crate::flow::table::Table;
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
        if let Some((flow, cold)) = table.find_both(hash, &key)
            && let Some(reason) = self.has_ended(flow, cold, side, packet)
        {
            self.close(table, &key, reason, packet.now, packet.ordinal);
        }
        if table.find(hash, &key).is_none() {
            self.open(table, key, side, hash, packet);
        }
        let Some((flow, cold)) = table.find_both(hash, &key) else { return };
        count(flow, cold, side, packet);
        if self.copies.is_second(cold.ordinal, side, packet) {
            flow.hot.set(Flag::DOUBLED, true);
            self.counters.duplicates += u64::from(packet.frames);
        } else if packet.transport == Transport::Tcp {
            self.tcp(flow, cold, side, packet);
        } else {
            self.udp(flow, cold, side, packet);
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
        if !syn || cold.isn[side.index()] == Some(packet.tcp.seq) {
            return None;
        }
        let data = cold.sides.iter().any(|s| s.seen & Seen::DATA != 0);
        let known = cold.isn[side.index()].is_some();
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
        let anchored = cold.sides[i].anchored;
        let mut position = Position { base: cold.sides[i].base, next: flow.hot.sides[i].next, anchored };
        let segment = book(&mut position, &mut cold.holes[i], seq, packet.payload_len);
        flow.hot.sides[i].next = position.next;
        cold.sides[i].base = position.base;
        // Folded by `count` before, so this cannot overflow.
        flow.hot.sides[i].payload += segment.new;
        if segment.repeated > 0 {
            cold.sides[i].counts.retransmitted += u64::from(segment.repeated);
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
    let done = follower.walk(packet.payload, packet.payload_len, cold.tls_overhead);
    cold.sides[i].counts.app += u64::from(done.app);
    if was_lost && (done.app > 0 || !follower.is_lost()) {
        let before = flow.payload(cold, side).saturating_sub(u64::from(new));
        cold.unfollowed[i] += before.saturating_sub(cold.lost_at[i]);
        flow.lose(cold, side, done.unknown);
    } else if !was_lost && follower.is_lost() {
        flow.lose(cold, side, done.unknown);
    }
    flow.hot.follow[i] = follower;
}

/// Counts the frame; never overflows, because the counters are folded first.
fn count<K: Key>(flow: &mut Flow<K>, cold: &mut Cold, side: Side, packet: &Packet<'_>) {
    flow.fold(cold);
    flow.hot.last = flow.hot.last.max(packet.at);
    // Tunnels with a frame shorter than its packet do not exist; a capture that says so is believed for the wire.
    let counts = &mut cold.sides[side.index()].counts;
    counts.packets += u64::from(packet.frames);
    counts.ip += u64::from(packet.ip_len);
    counts.wire += u64::from(packet.wire_len);
}

/// A SYN or SYN-ACK: fixes where the data of its side begins.
fn synchronise<K: Key>(flow: &mut Flow<K>, cold: &mut Cold, side: Side, packet: &Packet<'_>) {
    let i = side.index();
    let with_ack = packet.tcp.flags & ACK != 0;
    cold.note(side, if with_ack { Seen::SYN_ACK } else { Seen::SYN });
    if cold.sides[i].seen & Seen::DATA != 0 && flow.hot.has(Flag::PLACED[i]) {
        return;
    }
    let base = packet.tcp.seq.wrapping_add(1);
    cold.isn[i] = Some(packet.tcp.seq);
    cold.sides[i].base = base;
    cold.sides[i].anchored = true;
    cold.sides[i].has_ack = false;
    flow.hot.sides[i].next = base;
    flow.hot.set(Flag::PLACED[i], true);
    if let Some(starts) = &mut cold.starts {
        starts.sides[i].anchor(base);
    }
}

/// Gives a side its position where no SYN was seen.
fn place<K: Key>(flow: &mut Flow<K>, cold: &mut Cold, side: Side, seq: u32) {
    let i = side.index();
    flow.hot.sides[i].next = seq;
    cold.sides[i].base = seq;
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
    let known = &mut cold.sides[i];
    if !known.has_ack || (ack.wrapping_sub(known.acked) as i32) > 0 {
        (known.acked, known.has_ack) = (ack, true);
    }
}

/// Sets the flags that decide whether the next packet may take the short way.
fn settle<K: Key>(flow: &mut Flow<K>, cold: &Cold, side: Side) {
    let disorder = cold.holes.iter().flatten().any(|h| !h.is_whole());
    flow.hot.set(Flag::DISORDER, disorder);
    let seen = cold.sides[side.index()].seen;
    flow.hot.set(Flag::PLAIN[side.index()], seen & (Seen::ACK | Seen::DATA) == Seen::ACK | Seen::DATA);
    let [a, b] = &cold.sides;
    let fins = a.seen & b.seen & Seen::FIN != 0;
    if fins || (a.seen | b.seen) & Seen::RST != 0 {
        flow.hot.set(Flag::CLOSING, true);
    }
}
