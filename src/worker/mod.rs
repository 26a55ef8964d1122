//! One worker: packets in, tellings out. Plain `&mut self` calls; no clock, no thread, no I/O.
//!
//! Packets come in batches, so that the table's cache lines are asked for well before they are needed. A packet of an
//! established flow that is just next in order touches one line (`short`); everything else takes the road in `tcp`.

mod brief;
mod certificates;
mod copies;
mod direct;
mod dns;
mod life;
mod naming;
mod rebound;
mod short;
mod tcp;
mod tell;
mod udp;

pub use brief::Briefs;
pub use direct::{Direct, Share};

use crate::counters::WorkerCounters;
use crate::decode::{Neighbour, Packet, Pair};
use crate::flow::key::{Key, KeyV4, KeyV6, Seeds, Side};
use crate::flow::record::Paths;
use crate::flow::table::{Place, Table, Timeouts};
use crate::observe::{Lease, Telling, Told};
use crate::units::{Span, Timestamp};
use rebound::ServerIds;
use short::{Step, Way, follow, plain};
use std::collections::VecDeque;

/// What a worker has to know.
#[derive(Clone, Copy, Debug)]
pub struct WorkerConfig {
    /// Seed of hashes and identities.
    pub seed: u64,
    /// Most flows at a time, both address families together.
    pub flows: usize,
    /// Idle times.
    pub timeouts: Timeouts,
    /// How often an open flow is reported.
    pub report_every: Span,
    /// The site says that frames come twice.
    pub sent_twice: bool,
}

impl Default for WorkerConfig {
    fn default() -> Self {
        Self {
            seed: 1567,
            flows: 1 << 20,
            timeouts: Timeouts::default(),
            report_every: Span::from_secs(300),
            sent_twice: false,
        }
    }
}

/// Tell at once from this much untold payload or gap.
const TELL_BYTES: u32 = 64 * 1024;
/// Tell within a second from this much.
const TELL_SOON_BYTES: u32 = 1024;
/// How far ahead of their use cache lines are asked for.
const AHEAD: usize = 32;
/// Memory for the starts of all flows that are being named: ten thousand hellos at a time.
const START_POOL_BYTES: usize = 16 << 20;
/// Places in which the flows that hold starts are counted by client.
const CROWD: usize = 1 << 12;
/// Flows of one client that may hold starts at a time: further ones are not named until others have been.
const CROWD_MAX: u16 = 8192;
/// Time between two sweeps over the whole table.
const SWEEP: Span = Span::from_secs(30);

/// TCP flag bits.
pub(crate) const FIN: u8 = 1;
pub(crate) const SYN: u8 = 2;
pub(crate) const RST: u8 = 4;
pub(crate) const ACK: u8 = 16;

/// A key of either family, for the queues.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum AnyKey {
    V4(KeyV4),
    V6(KeyV6),
}

impl From<KeyV4> for AnyKey {
    fn from(key: KeyV4) -> Self {
        Self::V4(key)
    }
}

impl From<KeyV6> for AnyKey {
    fn from(key: KeyV6) -> Self {
        Self::V6(key)
    }
}

/// A flow that somebody waits for; `ordinal` tells it from a later one with the same key.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Waiting {
    key: AnyKey,
    ordinal: u64,
}

/// Everything but the tables, so that a flow can be borrowed beside it.
#[derive(Debug)]
pub(crate) struct Context {
    config: WorkerConfig,
    counters: WorkerCounters,
    told: Vec<Told>,
    /// Outer facts of flows, by number.
    paths: Paths,
    /// Flows with more than [`TELL_SOON_BYTES`] untold: told at the next tick.
    soon: Vec<Waiting>,
    /// Flows that hold starts, oldest first; some have let go of them since.
    naming: VecDeque<Waiting>,
    /// Flows that hold starts.
    holders: usize,
    /// Bytes of starts held.
    pool: usize,
    /// Flows that hold starts, by client; clients share a place by chance.
    crowd: Box<[u16; CROWD]>,
    /// Names of QUIC connections by the ids that their servers chose.
    server_ids: ServerIds,
    certificates: certificates::Certificates,
    /// Datagrams of hellos since the last tick that led to no name, less twice those that did.
    vain: u32,
    /// Packets of the current chunk that needed the cold half of their flow.
    long_ways: usize,
    /// Flows too many in one table that the other has to make room for.
    crowded: usize,
    /// Marks of the tables that were loaded ahead. Nobody reads it; it keeps the loads.
    touched: usize,
    copies: copies::Copies,
}

/// The flows that are left at the end; see [`Worker::closing`].
#[derive(Debug)]
pub struct Closing {
    /// Number of the first packet, IPv6, place in the table.
    order: Vec<(u64, bool, Place)>,
    next: usize,
}

/// Flows closed at a time, so that what is told of them is still in the cache where it is judged and written.
const CLOSED_AT_A_TIME: usize = 256;
/// Flows whose halves are asked for ahead.
const CLOSE_AHEAD: usize = 8;

/// Flow tables of one shard and all that happens to them.
pub struct Worker {
    v4: Table<KeyV4>,
    v6: Table<KeyV6>,
    context: Context,
    swept: Timestamp,
    hashes: Vec<u64>,
    seeds: Seeds,
    /// Kept for [`Direct`] between batches.
    briefs: Briefs,
}

impl Worker {
    /// A worker with empty tables.
    pub fn new(config: WorkerConfig) -> Self {
        let seeds = Seeds::from_seed(config.seed);
        let counters = WorkerCounters { table: config.flows as u64, ..WorkerCounters::default() };
        Self {
            v4: Table::new(config.flows, seeds),
            v6: Table::new(config.flows, seeds),
            context: Context {
                config,
                counters,
                told: Vec::new(),
                paths: Paths::default(),
                soon: Vec::new(),
                naming: VecDeque::new(),
                holders: 0,
                crowd: Box::new([0; CROWD]),
                server_ids: ServerIds::default(),
                certificates: certificates::Certificates::new(config.seed),
                vain: 0,
                long_ways: 0,
                touched: 0,
                crowded: 0,
                pool: 0,
                copies: copies::Copies::new(config.sent_twice),
            },
            swept: Timestamp::MIN,
            hashes: Vec::new(),
            seeds,
            briefs: Briefs::new(seeds),
        }
    }

    /// Takes a batch of packets in the order of their frames.
    pub fn packets(&mut self, packets: &[Packet<'_>]) {
        for chunk in packets.chunks(AHEAD) {
            self.hashes.clear();
            for packet in chunk {
                let hash = match packet.pair {
                    Pair::V4 { src, dst } => {
                        let hash = self.v4.hash(&KeyV4::new(src, dst, packet).0);
                        self.v4.prefetch(hash);
                        hash
                    }
                    Pair::V6 { src, dst } => {
                        let hash = self.v6.hash(&KeyV6::new(src, dst, packet).0);
                        self.v6.prefetch(hash);
                        hash
                    }
                };
                self.hashes.push(hash);
            }
            // When many of the last packets needed the cold halves, the next ones will: ask for those too.
            if self.context.long_ways * 8 >= AHEAD {
                self.prefetch_cold(chunk);
            }
            self.context.long_ways = 0;
            for (packet, &hash) in chunk.iter().zip(&self.hashes) {
                match packet.pair {
                    Pair::V4 { src, dst } => {
                        let (key, side) = KeyV4::new(src, dst, packet);
                        packet_of(&mut self.v4, &mut self.context, key, side, hash, packet);
                    }
                    Pair::V6 { src, dst } => {
                        let (key, side) = KeyV6::new(src, dst, packet);
                        packet_of(&mut self.v6, &mut self.context, key, side, hash, packet);
                    }
                }
            }
            if let Some(last) = chunk.last() {
                self.make_room(last.now, last.ordinal);
            }
            if self.context.naming.len() > 4096 + 4 * self.context.holders {
                self.tidy_naming();
            }
        }
    }

    fn prefetch_cold(&self, chunk: &[Packet<'_>]) {
        for (packet, &hash) in chunk.iter().zip(&self.hashes) {
            match packet.pair {
                Pair::V4 { src, dst } => {
                    let (key, side) = KeyV4::new(src, dst, packet);
                    self.v4.prefetch_cold(hash, &key, side);
                }
                Pair::V6 { src, dst } => {
                    let (key, side) = KeyV6::new(src, dst, packet);
                    self.v6.prefetch_cold(hash, &key, side);
                }
            }
        }
    }

    /// Passes on that a machine was seen to use an address.
    pub fn neighbour(&mut self, seen: &Neighbour) {
        let lease = Lease { ip: seen.ip, mac: seen.mac, name: None, at: seen.at, until: seen.at };
        let mut turn = self.context.turn(seen.ordinal, seen.ordinal);
        self.context.say(&mut turn, seen.now, Telling::Lease(Box::new(lease)));
    }

    /// The clock has passed a second of its grid, at place `ordinal` of the order of all frames and ticks.
    pub fn tick(&mut self, now: Timestamp, ordinal: u64) {
        let from = self.context.told.len();
        self.tell_waiting(now, ordinal);
        self.tidy_naming();
        self.context.vain = 0;
        if self.swept == Timestamp::MIN {
            self.swept = now;
        }
        if now.since(self.swept) >= SWEEP {
            self.swept = now;
            self.context.sweep(&mut self.v4, now, ordinal);
            self.context.sweep(&mut self.v6, now, ordinal);
        }
        self.order(from);
    }

    /// The end of the input: closes every flow.
    pub fn finish(&mut self, now: Timestamp, ordinal: u64) {
        let mut closing = self.closing();
        while self.close_some(&mut closing, now, ordinal).is_some() {}
    }

    /// The flows that the end of the input will close, in the order in which they began.
    pub fn closing(&self) -> Closing {
        let mut order = Vec::with_capacity(self.v4.len() + self.v6.len());
        self.v4.numbers(|ordinal, bucket| order.push((ordinal, false, bucket)));
        self.v6.numbers(|ordinal, bucket| order.push((ordinal, true, bucket)));
        order.sort_unstable();
        Closing { order, next: 0 }
    }

    /// Closes the next few of them. Gives the number of the last one's first packet; `None`: all are closed.
    pub fn close_some(&mut self, closing: &mut Closing, now: Timestamp, ordinal: u64) -> Option<u64> {
        let rest = closing.order.get(closing.next..).unwrap_or(&[]);
        let some = rest.get(..CLOSED_AT_A_TIME).unwrap_or(rest);
        for (i, (_, wide, bucket)) in some.iter().enumerate() {
            match rest.get(i + CLOSE_AHEAD) {
                Some((_, false, next)) => self.v4.prefetch_place(*next),
                Some((_, true, next)) => self.v6.prefetch_place(*next),
                None => {}
            }
            if *wide {
                let key = self.v6.key_at(*bucket);
                key.into_iter().for_each(|key| self.context.close_last(&mut self.v6, &key, now, ordinal));
            } else {
                let key = self.v4.key_at(*bucket);
                key.into_iter().for_each(|key| self.context.close_last(&mut self.v4, &key, now, ordinal));
            }
        }
        closing.next += some.len();
        some.last().map(|(ordinal, ..)| *ordinal)
    }

    /// Takes what has been told since the last call, in order.
    pub fn take_told(&mut self) -> Vec<Told> {
        let room = Vec::with_capacity(self.context.told.len());
        std::mem::replace(&mut self.context.told, room)
    }

    /// As [`Worker::take_told`], into a list that is kept; what was in it is forgotten.
    pub fn swap_told(&mut self, told: &mut Vec<Told>) {
        told.clear();
        std::mem::swap(&mut self.context.told, told);
    }

    /// Something has been told since the last [`Worker::take_told`].
    pub fn has_told(&self) -> bool {
        !self.context.told.is_empty()
    }

    /// What was counted so far.
    pub fn counters(&self) -> WorkerCounters {
        let open = (self.v4.len() + self.v6.len()) as u64;
        WorkerCounters { open, ..self.context.counters.clone() }
    }

    /// A sweep visits the table in its own order; records must not depend on that.
    fn order(&mut self, from: usize) {
        if let Some(told) = self.context.told.get_mut(from..) {
            told.sort_by_key(|t| t.place);
        }
    }

    /// After a block of packets: keeps the bounds that concern both tables.
    fn make_room(&mut self, now: Timestamp, ordinal: u64) {
        let crowded = std::mem::take(&mut self.context.crowded);
        if crowded == 0 && self.context.pool <= START_POOL_BYTES {
            return;
        }
        self.relieve_pool(now, ordinal);
        for _ in 0..crowded {
            if self.v4.len() > self.context.config.flows * KeyV4::QUARTERS / 4 {
                self.context.evict(&mut self.v4, now, ordinal);
            } else {
                self.context.evict(&mut self.v6, now, ordinal);
            }
        }
        self.order(0);
    }

    /// Too much is held for the parsers: the oldest starts are given up first.
    fn relieve_pool(&mut self, now: Timestamp, ordinal: u64) {
        while self.context.pool > START_POOL_BYTES
            && let Some(oldest) = self.context.naming.pop_front()
        {
            match oldest.key {
                AnyKey::V4(key) => self.context.give_up(&mut self.v4, &key, oldest.ordinal, now, ordinal),
                AnyKey::V6(key) => self.context.give_up(&mut self.v6, &key, oldest.ordinal, now, ordinal),
            }
        }
    }

    /// Drops flows that hold nothing any more once they are the larger part of the queue, so that it stays in
    /// proportion.
    fn tidy_naming(&mut self) {
        if self.context.naming.len() <= 64 + 2 * self.context.holders {
            return;
        }
        let (v4, v6) = (&mut self.v4, &mut self.v6);
        self.context.naming.retain(|w| match &w.key {
            AnyKey::V4(key) => holds_starts(v4, key, w.ordinal),
            AnyKey::V6(key) => holds_starts(v6, key, w.ordinal),
        });
    }

    fn tell_waiting(&mut self, now: Timestamp, ordinal: u64) {
        for waiting in std::mem::take(&mut self.context.soon) {
            match waiting.key {
                AnyKey::V4(key) => self.context.tell_one(&mut self.v4, key, waiting.ordinal, now, ordinal),
                AnyKey::V6(key) => self.context.tell_one(&mut self.v6, key, waiting.ordinal, now, ordinal),
            }
        }
    }
}

/// Whether a flow still holds starts.
fn holds_starts<K: Key>(table: &mut Table<K>, key: &K, ordinal: u64) -> bool {
    let hash = table.hash(key);
    table.find_both(hash, key).is_some_and(|(_, cold)| cold.ordinal() == ordinal && cold.holds_starts())
}

/// One packet of a flow: the short way where it will do.
#[inline]
fn packet_of<K: Key + Into<AnyKey>>(
    table: &mut Table<K>,
    context: &mut Context,
    key: K,
    side: Side,
    hash: u64,
    packet: &Packet<'_>,
) {
    let step = Step::of(packet, side);
    let way = table.find(hash, &key).map_or(Way::Long, |flow| plain(flow, &step));
    if way == Way::Short || way == Way::Follow && follow(table, hash, &key, &step, packet.payload) {
        return;
    }
    context.long_ways += 1;
    context.packet(table, key, side, hash, packet);
}
