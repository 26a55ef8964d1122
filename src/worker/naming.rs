//! Keeps the starts of flows for the parsers, within one pool, and passes on what they find.

use super::{AnyKey, CROWD, CROWD_MAX, Context, Waiting};
use crate::decode::Packet;
use crate::flow::follow::Follower;
use crate::flow::key::{Key, Side};
use crate::flow::record::{Cold, Flag, Flow};
use crate::flow::starts::{MAX_DOWN, MAX_UP, Starts};
use crate::flow::table::Table;
use crate::observe::Telling;
use crate::parse::{self, AppProto, Facts, Outcome, Talk, datagrams};
use crate::units::{Both, Timestamp};
use std::hash::BuildHasher;
use std::sync::Arc;

use super::tell::Turn;

impl Context {
    /// A TCP segment of a flow that has no name yet.
    pub(crate) fn learn<K: Key + Into<AnyKey>>(
        &mut self,
        flow: &mut Flow<K>,
        cold: &mut Cold,
        side: Side,
        seq: u32,
        packet: &Packet<'_>,
    ) {
        let mut first = None;
        if cold.starts().is_none() {
            first = first_look(flow, cold, side, seq, packet);
            if first.as_ref().is_none_or(|outcome| !matches!(outcome, Outcome::Nothing(_))) {
                if !self.hold(flow, cold) {
                    return;
                }
                cold.more().starts = Some(Box::new(begin(cold)));
                self.pool += size_of::<Starts>();
            }
        }
        let mut news = first.is_some();
        let limit = if side == cold.originator { MAX_UP } else { MAX_DOWN };
        if let Some(starts) = cold.starts_mut() {
            let start = &mut starts.sides[side.index()];
            let before = start.held();
            let grown = start.add(seq, packet.payload, packet.payload_len, limit);
            self.pool = (self.pool + start.held()).saturating_sub(before);
            // A segment longer than what is kept: there is no more to wait for, and the parsers must know.
            first = first.filter(|_| !start.ended());
            news = grown || start.ended();
        }
        if !news {
            return;
        }
        let mut turn = self.turn(packet.ordinal, cold.ordinal());
        if is_dns(cold) {
            self.dns_stream(flow, cold, packet);
        } else if cold.starts_mut().is_none_or(Starts::worth_asking) {
            match first {
                Some(outcome) => self.heard(flow, cold, outcome, packet.now, false, &mut turn),
                None => self.ask(flow, cold, packet.now, false, &mut turn),
            }
        }
    }

    /// Takes note that a flow begins to hold bytes for the parsers. False: its client has too many such flows, and this
    /// one goes without a name.
    pub(crate) fn hold<K: Key + Into<AnyKey>>(&mut self, flow: &mut Flow<K>, cold: &mut Cold) -> bool {
        let (client, _) = flow.key.end(cold.originator);
        let place = foldhash::fast::FixedState::with_seed(self.config.seed).hash_one(client) as usize % CROWD;
        if self.crowd[place] >= CROWD_MAX {
            if let Some(n) = self.counters.given_up.get_mut(parse::GiveUp::TooLong as usize) {
                *n += 1;
            }
            flow.hot.set(Flag::NAMING, false);
            return false;
        }
        self.crowd[place] += 1;
        cold.more().crowd = place as u16;
        self.holders += 1;
        self.naming.push_back(Waiting { key: flow.key.into(), ordinal: cold.ordinal() });
        true
    }

    /// Frees what a flow holds for the parsers.
    pub(crate) fn let_go(&mut self, cold: &mut Cold) {
        let Some(more) = cold.has_more_mut() else { return };
        let starts = more.starts.take().map(|s| s.held());
        let Some(held) = starts.or_else(|| more.datagrams.take().map(|d| d.held())) else { return };
        self.pool = self.pool.saturating_sub(held);
        self.holders = self.holders.saturating_sub(1);
        if let Some(n) = self.crowd.get_mut(usize::from(more.crowd)) {
            *n = n.saturating_sub(1);
        }
        cold.tidy();
    }

    /// Called when a flow ends: what the parsers make of what there is.
    pub(crate) fn last_words<K: Key>(
        &mut self,
        flow: &mut Flow<K>,
        cold: &mut Cold,
        now: Timestamp,
        turn: &mut Turn,
    ) {
        if !flow.hot.has(Flag::NAMING) {
            return;
        }
        if cold.starts().is_some() {
            if !is_dns(cold) {
                self.ask(flow, cold, now, true, turn);
            }
            self.release(flow, cold);
        } else if let Some(outcome) = cold.datagrams_mut().map(datagrams::Starts::finish) {
            self.heard(flow, cold, outcome, now, true, turn);
            self.release(flow, cold);
        }
    }

    fn ask<K: Key>(
        &mut self,
        flow: &mut Flow<K>,
        cold: &mut Cold,
        now: Timestamp,
        last: bool,
        turn: &mut Turn,
    ) {
        let Some(starts) = cold.starts() else { return };
        let (up, down) = (cold.originator.index(), cold.originator.other().index());
        let ends = flow.key.ends(cold.originator);
        let talk = Talk {
            up: starts.sides[up].bytes(),
            down: starts.sides[down].bytes(),
            done: Both { up: last || starts.sides[up].ended(), down: last || starts.sides[down].ended() },
            transport: flow.key.transport(),
            ports: Both { up: ends.originator_port, down: ends.responder_port },
            told: Both { up: starts.told()[up], down: starts.told()[down] },
        };
        let outcome = parse::parse(&talk);
        self.heard(flow, cold, outcome, now, last, turn);
    }

    /// What the parsers said.
    pub(crate) fn heard<K: Key>(
        &mut self,
        flow: &mut Flow<K>,
        cold: &mut Cold,
        outcome: Outcome,
        now: Timestamp,
        last: bool,
        turn: &mut Turn,
    ) {
        match outcome {
            Outcome::More if last => self.settle_facts(flow, cold, now, turn),
            Outcome::More => {}
            Outcome::Partly(facts) => {
                cold.starts_mut().into_iter().for_each(Starts::note_told);
                self.found(flow, cold, facts, now, last, turn);
            }
            Outcome::Done(facts) => {
                let app = facts.app;
                self.found(flow, cold, facts, now, true, turn);
                match app {
                    // The messages of DNS over TCP are read one by one as they come.
                    AppProto::Dns if !last => {}
                    // The id that the server chooses comes next.
                    AppProto::Quic if !last => self.let_go(cold),
                    _ => self.release(flow, cold),
                }
            }
            Outcome::Nothing(why) => {
                if let Some(n) = self.counters.given_up.get_mut(why as usize) {
                    *n += 1;
                }
                self.settle_facts(flow, cold, now, turn);
                self.release(flow, cold);
            }
        }
    }

    /// Passes facts on, once for each time they grew.
    pub(crate) fn found<K: Key>(
        &mut self,
        flow: &mut Flow<K>,
        cold: &mut Cold,
        mut facts: Box<Facts>,
        now: Timestamp,
        complete: bool,
        turn: &mut Turn,
    ) {
        if !complete && cold.facts().map(|facts| &**facts) == Some(&*facts) {
            return;
        }
        if let Some((_, source)) = &facts.name
            && cold.facts().is_none_or(|f| f.name.is_none())
            && let Some(n) = self.counters.names.get_mut(*source as usize)
        {
            *n += 1;
        }
        let without_syn = cold.isn(Side::A).is_none() && cold.isn(Side::B).is_none();
        if facts.client_is_responder && without_syn && cold.facts().is_none() {
            cold.turn_round();
        }
        if facts.app == AppProto::Tls && facts.tls.is_some() && !flow.hot.has(Flag::TLS) {
            follow(flow, cold, &facts);
        }
        if facts.app == AppProto::Quic {
            flow.hot.set(Flag::TLS, true);
        }
        self.certificates.share(&mut facts);
        let facts = Arc::new(*facts);
        cold.more().facts = Some(Arc::clone(&facts));
        self.name(flow, cold, facts, complete, now, turn);
    }

    /// The parsers will say no more: what they said before becomes final.
    fn settle_facts<K: Key>(&mut self, flow: &mut Flow<K>, cold: &mut Cold, now: Timestamp, turn: &mut Turn) {
        if let Some(facts) = cold.facts().cloned() {
            self.name(flow, cold, facts, true, now, turn);
        }
    }

    fn name<K: Key>(
        &mut self,
        flow: &mut Flow<K>,
        cold: &mut Cold,
        facts: Arc<Facts>,
        complete: bool,
        now: Timestamp,
        turn: &mut Turn,
    ) {
        let named = Telling::Named {
            flow: flow.key.flow_id(cold.ordinal(), self.config.seed),
            ends: flow.key.ends(cold.originator),
            at: flow.hot.last,
            facts,
            complete,
            path: cold.path(&self.paths),
        };
        self.say(turn, now, named);
    }

    /// Gives the starts of a flow up to make room, if it still holds them. `ordinal`: the packet that needs it.
    pub(crate) fn give_up<K: Key>(
        &mut self,
        table: &mut Table<K>,
        key: &K,
        flow_ordinal: u64,
        now: Timestamp,
        ordinal: u64,
    ) {
        let hash = table.hash(key);
        let Some((flow, cold)) = table.find_both(hash, key) else { return };
        if cold.ordinal() != flow_ordinal || !cold.holds_starts() {
            return;
        }
        let mut turn = self.turn(ordinal, flow_ordinal);
        self.settle_facts(flow, cold, now, &mut turn);
        if let Some(n) = self.counters.given_up.get_mut(parse::GiveUp::TooLong as usize) {
            *n += 1;
        }
        self.release(flow, cold);
    }

    /// The parsers are through with this flow.
    pub(crate) fn release<K: Key>(&mut self, flow: &mut Flow<K>, cold: &mut Cold) {
        self.let_go(cold);
        flow.hot.set(Flag::NAMING, false);
    }
}

/// Asks the parsers about the first segment where it lies: what no parser knows is told by it, and then nothing has to
/// be kept; most hellos are whole. `None` where more may come before it, or it is cut.
fn first_look<K: Key>(
    flow: &Flow<K>,
    cold: &Cold,
    side: Side,
    seq: u32,
    packet: &Packet<'_>,
) -> Option<Outcome> {
    let begins = cold.anchored(side) && cold.sides[side.index()].base == seq;
    if !begins || packet.payload.len() != packet.payload_len as usize {
        return None;
    }
    let ends = flow.key.ends(cold.originator);
    let from_originator = side == cold.originator;
    let talk = Talk {
        up: if from_originator { packet.payload } else { &[] },
        down: if from_originator { &[] } else { packet.payload },
        done: Both::default(),
        transport: flow.key.transport(),
        ports: Both { up: ends.originator_port, down: ends.responder_port },
        told: Both::default(),
    };
    Some(parse::parse(&talk))
}

/// Empty starts that know where the data of each side begins, as far as a SYN told.
fn begin(cold: &Cold) -> Starts {
    let mut starts = Starts::default();
    for side in [Side::A, Side::B] {
        if cold.anchored(side) {
            starts.sides[side.index()].anchor(cold.sides[side.index()].base);
        }
    }
    starts
}

/// The flow is DNS over TCP, as far as is known.
fn is_dns(cold: &Cold) -> bool {
    cold.facts().is_some_and(|f| f.app == AppProto::Dns)
}

/// Begins to follow TLS records: walks over what is there, so that the place after it is known.
fn follow<K: Key>(flow: &mut Flow<K>, cold: &mut Cold, facts: &Facts) {
    flow.hot.set(Flag::TLS, true);
    let version = facts.tls.as_ref().map_or(0, |t| t.version);
    // RFC 8446 §5.2: one byte of type and a tag of 16; RFC 5288: explicit nonce of 8 and a tag of 16.
    cold.more().tls_overhead = if version >= 0x0304 { 17 } else { 24 };
    let more = cold.more();
    let Some(starts) = more.starts.as_ref() else { return };
    let (overhead, mut app) = (more.tls_overhead, [0; 2]);
    for (i, start) in starts.sides.iter().enumerate() {
        let mut follower = Follower::START;
        let done = follower.walk(start.bytes(), start.bytes().len() as u32, overhead);
        app[i] = done.app;
        more.lost_at[i] = (start.bytes().len() as u64).saturating_sub(u64::from(done.unknown));
        flow.hot.follow[i] = follower;
    }
    cold.add_app(Side::A, app[0]);
    cold.add_app(Side::B, app[1]);
}
