//! Flows begin, time out, are reused, evicted and closed.

use super::{ACK, AnyKey, Context, SYN};
use crate::decode::{Packet, Transport};
use crate::flow::key::{Key, Side};
use crate::flow::record::{Cold, ColdSide, Flag, Flow, Seen};
use crate::flow::table::Table;
use crate::observe::EndReason;
use crate::units::{Span, Timestamp};

impl Context {
    /// How long this flow may be silent.
    pub(crate) fn timeout<K: Key>(&self, flow: &Flow<K>, cold: &Cold) -> Span {
        let times = self.config.timeouts;
        let both = cold.sides.iter().all(|s| s.seen & (Seen::DATA | Seen::ACK | Seen::SYN_ACK) != 0);
        match flow.key.transport() {
            Transport::Udp => times.udp,
            Transport::Tcp if flow.hot.has(Flag::CLOSING) => times.tcp_closed,
            Transport::Tcp if both || cold.midstream => times.tcp,
            Transport::Tcp => times.tcp_closed,
        }
    }

    /// Begins a flow with its first packet.
    pub(crate) fn open<K: Key + Into<AnyKey>>(
        &mut self,
        table: &mut Table<K>,
        key: K,
        side: Side,
        hash: u64,
        packet: &Packet<'_>,
    ) {
        if table.is_full()
            && let Some(victim) = table.victim()
        {
            self.counters.evicted += 1;
            self.close(table, &victim, EndReason::Evicted, packet.now, packet.ordinal);
        }
        self.counters.opened += 1;
        table.insert(hash, key, packet.at, cold_of(side, packet));
        if packet.transport == Transport::Udp
            && let Some(flow) = table.find(hash, &key)
        {
            // Datagrams have no order to keep: the short way needs no position.
            flow.hot.set(Flag::PLACED[0], true);
            flow.hot.set(Flag::PLACED[1], true);
        }
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
        let mut turn = self.turn(ordinal, cold.ordinal);
        self.last_words(&mut flow, &mut cold, now, &mut turn);
        self.tell_delta(&mut flow, &mut cold, now, &mut turn, true);
        self.tell_summary(&flow, &cold, Some(reason), now, &mut turn);
    }

    /// Ends every flow.
    pub(crate) fn close_all<K: Key + Into<AnyKey>>(
        &mut self,
        table: &mut Table<K>,
        now: Timestamp,
        ordinal: u64,
    ) {
        for key in table.keys(|_| true) {
            self.close(table, &key, EndReason::Shutdown, now, ordinal);
        }
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
            let moved = flow.hot.sides.iter().any(|s| s.payload > 0) || cold.sides.iter().any(|s| s.has_ack);
            let mut turn = self.turn(ordinal, cold.ordinal);
            if moved {
                flow.fold(cold);
                self.tell_delta(flow, cold, now, &mut turn, false);
            }
            if now.since(cold.reported) >= report_every {
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
fn cold_of(side: Side, packet: &Packet<'_>) -> Cold {
    let tcp = packet.transport == Transport::Tcp;
    let syn = tcp && packet.tcp.flags & SYN != 0;
    let answer = syn && packet.tcp.flags & ACK != 0;
    // Without a SYN the side that spoke first is the originator, unless it speaks from a service's port.
    let from_service = packet.src_port < 1024 && packet.dst_port >= 1024;
    let flipped = answer || (!syn && from_service);
    Cold {
        first: packet.since,
        ordinal: packet.ordinal,
        reported: packet.now,
        sides: [ColdSide::default(); 2],
        holes: [None, None],
        starts: None,
        datagrams: None,
        datagrams_seen: 0,
        crowd: 0,
        facts: None,
        at_report: None,
        history: 0,
        originator: if flipped { side.other() } else { side },
        midstream: tcp && !syn,
        isn: [None, None],
        path: packet.path,
        tls_overhead: 0,
        unfollowed: [0, 0],
        lost_at: [0, 0],
    }
}
