//! Flows begin, time out, are reused, evicted and closed.

use super::{ACK, AnyKey, Context, SYN};
use crate::decode::{Packet, Transport};
use crate::flow::key::{Key, Side};
use crate::flow::record::{Cold, Flag, Flow, Paths, Seen};
use crate::flow::table::Table;
use crate::observe::EndReason;
use crate::units::{Span, Timestamp};

impl Context {
    /// How long this flow may be silent.
    pub(crate) fn timeout<K: Key>(&self, flow: &Flow<K>, cold: &Cold) -> Span {
        let times = self.config.timeouts;
        let spoke = |side| cold.seen(side) & (Seen::DATA | Seen::ACK | Seen::SYN_ACK) != 0;
        let both = spoke(Side::A) && spoke(Side::B);
        match flow.key.transport() {
            Transport::Udp => times.udp,
            Transport::Tcp if flow.hot.has(Flag::CLOSING) => times.tcp_closed,
            Transport::Tcp if both || cold.midstream() => times.tcp,
            Transport::Tcp => times.tcp_closed,
        }
    }

    /// There is no room for another flow.
    fn is_full(&self) -> bool {
        self.counters.open_now() >= self.config.flows as u64
    }

    /// Ends the flow that is missed least.
    pub(crate) fn evict<K: Key + Into<AnyKey>>(
        &mut self,
        table: &mut Table<K>,
        now: Timestamp,
        ordinal: u64,
    ) {
        if let Some(victim) = table.victim() {
            self.counters.evicted += 1;
            self.close(table, &victim, EndReason::Evicted, now, ordinal);
        }
    }

    /// Begins a flow with its first packet.
    pub(crate) fn open<'t, K: Key + Into<AnyKey>>(
        &mut self,
        table: &'t mut Table<K>,
        key: K,
        side: Side,
        hash: u64,
        packet: &Packet<'_>,
    ) -> Option<(&'t mut Flow<K>, &'t mut Cold)> {
        if self.is_full() {
            if table.len() > self.config.flows * K::QUARTERS / 4
                || self.counters.open_now() == table.len() as u64
            {
                self.evict(table, packet.now, packet.ordinal);
            } else {
                self.crowded += 1;
            }
        }
        self.counters.opened += 1;
        let doubled = self.copies.declared();
        let (flow, cold) = table.insert(hash, key, packet.at, cold_of(side, packet, &mut self.paths))?;
        if doubled {
            flow.hot.set(Flag::DOUBLED, true);
        }
        if packet.transport == Transport::Udp {
            // Datagrams have no order to keep: the short way needs no position.
            flow.hot.set(Flag::PLACED[0], true);
            flow.hot.set(Flag::PLACED[1], true);
        }
        Some((flow, cold))
    }

    /// Ends a flow: last words of the parsers, last delta, summary.
    pub(crate) fn close<K: Key + Into<AnyKey>>(
        &mut self,
        table: &mut Table<K>,
        key: &K,
        reason: EndReason,
        now: Timestamp,
        ordinal: u64,
    ) {
        let Some((mut flow, mut cold)) = table.remove(key) else { return };
        self.counters.closed += 1;
        flow.fold(&mut cold);
        let mut turn = self.turn(ordinal, cold.ordinal());
        self.last_words(&mut flow, &mut cold, now, &mut turn);
        self.tell_delta(&mut flow, &mut cold, now, &mut turn, true);
        self.tell_summary(&flow, &cold, Some(reason), now, &mut turn);
    }

    /// Ends a flow at the end of the input.
    pub(crate) fn close_last<K: Key + Into<AnyKey>>(
        &mut self,
        table: &mut Table<K>,
        key: &K,
        now: Timestamp,
        ordinal: u64,
    ) {
        self.close(table, key, EndReason::Shutdown, now, ordinal);
    }

    /// Visits every flow: ends the silent ones, tells what moved, reports the long ones.
    pub(crate) fn sweep<K: Key + Into<AnyKey>>(
        &mut self,
        table: &mut Table<K>,
        now: Timestamp,
        ordinal: u64,
    ) {
        let mut silent = Vec::new();
        let report_every = self.config.report_every;
        table.each(|flow, cold| {
            if now.since(flow.hot.last) > self.timeout(flow, cold) {
                silent.push(flow.key);
                return;
            }
            let acked = cold.has_more().is_some_and(|more| more.acked != [None; 2]);
            let moved = flow.hot.sides.iter().any(|s| s.payload > 0) || acked;
            let mut turn = self.turn(ordinal, cold.ordinal());
            if moved {
                flow.fold(cold);
                self.tell_delta(flow, cold, now, &mut turn, false);
            }
            let reported = cold.has_more().and_then(|more| more.reported.as_ref());
            if now.since(reported.map_or(cold.first, |(at, _)| *at)) >= report_every {
                flow.fold(cold);
                self.report(flow, cold, now, &mut turn);
            }
        });
        for key in silent {
            self.close(table, &key, EndReason::Timeout, now, ordinal);
        }
    }
}

/// The cold half of a flow that begins with `packet`, sent by `side`.
fn cold_of(side: Side, packet: &Packet<'_>, paths: &mut Paths) -> Cold {
    let tcp = packet.transport == Transport::Tcp;
    let syn = tcp && packet.tcp.flags & SYN != 0;
    let answer = syn && packet.tcp.flags & ACK != 0;
    // Without a SYN the side that spoke first is the originator, unless it speaks from a service's port.
    let from_service = packet.src_port < 1024 && packet.dst_port >= 1024;
    let flipped = answer || (!syn && from_service);
    let originator = if flipped { side.other() } else { side };
    Cold::new(packet.since, packet.ordinal, originator, tcp && !syn, &packet.path, paths)
}
