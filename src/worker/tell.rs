//! What a worker tells, and when: at close, at 64 KiB untold, at 1 KiB within a second, when a name is found, and on
//! the sweep. Telling clears the hot counters.

use super::{AnyKey, Context, TELL_BYTES, TELL_SOON_BYTES, Waiting};
use crate::decode::{Packet, Path, Transport};
use crate::flow::key::{Key, Side};
use crate::flow::record::{Cold, Flag, Flow, Seen};
use crate::flow::table::Table;
use crate::flow::uploads;
use crate::observe::{Counts, EndReason, FlowDelta, FlowState, FlowSummary, Place, TcpSeen, Telling, Told};
use crate::parse::AppProto;
use crate::units::{Both, Timestamp};

/// A flow in which one side says less than this, to no answer, is told at its end.
const MUTE_BYTES: u64 = 16 * 1024;

/// Places of the tellings of one flow at one frame or tick.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Turn(Place);

impl Turn {
    fn next(&mut self) -> Place {
        let place = self.0;
        self.0.turn = self.0.turn.saturating_add(1);
        place
    }
}

impl Context {
    pub(crate) fn turn(&self, ordinal: u64, flow_ordinal: u64) -> Turn {
        // A flow may be told twice at one frame (name, then delta): go on where the last telling of it stood.
        let turn = match self.told.last() {
            Some(t) if (t.place.ordinal, t.place.flow_ordinal) == (ordinal, flow_ordinal) => {
                t.place.turn.saturating_add(1)
            }
            _ => 0,
        };
        Turn(Place { ordinal, flow_ordinal, turn })
    }

    pub(crate) fn say(&mut self, turn: &mut Turn, now: Timestamp, what: Telling) {
        self.counters.told += 1;
        self.told.push(Told { place: turn.next(), now, what });
    }

    /// After a packet on the long road: tells a lot at once, queues a little.
    pub(crate) fn tell_if_due<K: Key + Into<AnyKey>>(
        &mut self,
        flow: &mut Flow<K>,
        cold: &mut Cold,
        packet: &Packet<'_>,
    ) {
        let most = flow.untold(cold, Side::A).max(flow.untold(cold, Side::B));
        if most >= u64::from(TELL_BYTES) {
            flow.fold(cold);
            let mut turn = self.turn(packet.ordinal, cold.ordinal());
            self.tell_delta(flow, cold, packet.now, &mut turn, false);
            return;
        }
        if most >= u64::from(TELL_SOON_BYTES) && !flow.hot.has(Flag::QUEUED) {
            flow.hot.set(Flag::QUEUED, true);
            self.soon.push(Waiting { key: flow.key.into(), ordinal: cold.ordinal() });
        }
    }

    /// A flow of the queue, at the tick.
    pub(crate) fn tell_one<K: Key + Into<AnyKey>>(
        &mut self,
        table: &mut Table<K>,
        key: K,
        flow_ordinal: u64,
        now: Timestamp,
        ordinal: u64,
    ) {
        let hash = table.hash(&key);
        let Some((flow, cold)) = table.find_both(hash, &key) else { return };
        if cold.ordinal() != flow_ordinal {
            return;
        }
        flow.hot.set(Flag::QUEUED, false);
        flow.fold(cold);
        let mut turn = self.turn(ordinal, flow_ordinal);
        self.tell_delta(flow, cold, now, &mut turn, false);
    }

    /// Tells what has not been told. Call after [`Flow::fold`].
    pub(crate) fn tell_delta<K: Key>(
        &mut self,
        flow: &mut Flow<K>,
        cold: &mut Cold,
        now: Timestamp,
        turn: &mut Turn,
        closed: bool,
    ) {
        if !closed && is_mute(flow, cold) {
            return;
        }
        let up = cold.originator;
        let bytes = Both { up: flow.tell(cold, up), down: flow.tell(cold, up.other()) };
        if bytes == Both::default() && !closed {
            return;
        }
        let delta = FlowDelta {
            flow: flow.key.flow_id(cold.ordinal(), self.config.seed),
            ends: flow.key.ends(cold.originator),
            first: cold.first,
            last: flow.hot.last,
            bytes,
            gap: Both { up: flow.gap(cold, up), down: flow.gap(cold, up.other()) },
            closed,
            midstream: cold.midstream(),
            one_way: is_one_way(cold),
            uploads: uploads::found(&flow.hot, cold, flow.key.transport() == Transport::Udp),
        };
        self.say(turn, now, Telling::Delta(delta));
    }

    /// Reports a flow that is open for long.
    pub(crate) fn report<K: Key>(
        &mut self,
        flow: &mut Flow<K>,
        cold: &mut Cold,
        now: Timestamp,
        turn: &mut Turn,
    ) {
        let totals = [Side::A, Side::B].map(|side| flow.counts(cold, side));
        let old = cold.has_more().and_then(|more| more.reported.as_ref());
        let moved = old.is_none_or(|(_, old)| *old != totals);
        if moved {
            self.tell_summary(flow, cold, None, now, turn);
        }
        cold.more().reported = Some((now, totals));
    }

    /// Tells the totals. Call after [`Flow::fold`].
    pub(crate) fn tell_summary<K: Key>(
        &mut self,
        flow: &Flow<K>,
        cold: &Cold,
        end: Option<EndReason>,
        now: Timestamp,
        turn: &mut Turn,
    ) {
        let summary = summary(flow, cold, end, self.config.seed, cold.path(&self.paths));
        self.say(turn, now, Telling::Summary(Box::new(summary)));
    }
}

fn summary<K: Key>(
    flow: &Flow<K>,
    cold: &Cold,
    end: Option<EndReason>,
    seed: u64,
    path: Path,
) -> FlowSummary {
    let (up, down) = (cold.originator, cold.originator.other());
    let tls = cold.facts().is_some_and(|f| f.app == AppProto::Tls);
    let counts = |side: Side| {
        let c = flow.counts(cold, side);
        let app = if tls { c.app + flow.unfollowed(cold, side) } else { 0 };
        Counts { gap: flow.gap(cold, side), app, ..c }
    };
    let old = cold.has_more().and_then(|more| more.reported.as_ref());
    let since = old.filter(|_| end.is_none()).map(|(_, old)| Both {
        up: less(&counts(up), &old[up.index()]),
        down: less(&counts(down), &old[down.index()]),
    });
    let since = since.or_else(|| end.is_none().then(|| Both { up: counts(up), down: counts(down) }));
    FlowSummary {
        flow: flow.key.flow_id(cold.ordinal(), seed),
        ordinal: cold.ordinal(),
        ends: flow.key.ends(up),
        first: cold.first,
        last: flow.hot.last,
        counts: Both { up: counts(up), down: counts(down) },
        app_followed: tls.then_some(flow.unfollowed(cold, up) + flow.unfollowed(cold, down) == 0),
        seen: Both { up: seen(cold, up), down: seen(cold, down) },
        history: cold.history_text(),
        midstream: cold.midstream(),
        one_way: is_one_way(cold),
        state: state(flow, cold),
        end,
        path,
        facts: cold.facts().cloned(),
        since,
    }
}

/// One side has said a little, the other nothing, and no parser knows what: so look scans and floods of hellos. What
/// moved is told when the flow ends or has more to say; until then nobody needs to remember it but the table.
fn is_mute<K: Key>(flow: &Flow<K>, cold: &Cold) -> bool {
    let sides = [Side::A, Side::B];
    let [a, b] = sides.map(|side| flow.payload(cold, side) + flow.gap(cold, side));
    let told = sides.iter().any(|side| cold.payload_told(*side) > 0);
    !told && a.min(b) == 0 && a.max(b) < MUTE_BYTES && cold.facts().is_none()
}

/// Call after [`Flow::fold`].
fn is_one_way(cold: &Cold) -> bool {
    [Side::A, Side::B].iter().any(|side| cold.packets(*side) == 0)
}

fn less(new: &Counts, old: &Counts) -> Counts {
    Counts {
        packets: new.packets.saturating_sub(old.packets),
        wire: new.wire.saturating_sub(old.wire),
        ip: new.ip.saturating_sub(old.ip),
        payload: new.payload.saturating_sub(old.payload),
        retransmitted: new.retransmitted.saturating_sub(old.retransmitted),
        gap: new.gap.saturating_sub(old.gap),
        app: new.app.saturating_sub(old.app),
    }
}

fn seen(cold: &Cold, side: Side) -> TcpSeen {
    let bits = cold.seen(side);
    TcpSeen {
        syn: bits & Seen::SYN != 0,
        syn_ack: bits & Seen::SYN_ACK != 0,
        fin: bits & Seen::FIN != 0,
        rst: bits & Seen::RST != 0,
        ack: bits & Seen::ACK != 0,
        data: bits & Seen::DATA != 0,
        retransmitted: bits & Seen::REPEATED != 0,
        gap: bits & Seen::GAP != 0,
    }
}

fn state<K: Key>(flow: &Flow<K>, cold: &Cold) -> FlowState {
    if flow.hot.has(Flag::CLOSING) {
        FlowState::Closed
    } else if !is_one_way(cold) {
        FlowState::Established
    } else {
        FlowState::New
    }
}
