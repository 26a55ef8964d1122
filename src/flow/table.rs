//! The bounded table of flows: allocated at its bound, swept and evicted, never grown.

use super::huge::HugePages;
use super::key::{Key, Seeds, Side};
use super::prefetch::{prefetch, prefetch_whole};
use super::record::{Cold, Flag, Flow, Hot, MAX_FLOWS};
use super::slab::Slab;
use crate::units::{Span, Timestamp};
use hashbrown::HashTable;

/// How long flows may be silent.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Timeouts {
    /// TCP connections that both sides keep up.
    pub tcp: Span,
    /// TCP connections that are closed or never were opened.
    pub tcp_closed: Span,
    /// UDP.
    pub udp: Span,
}

impl Default for Timeouts {
    fn default() -> Self {
        Self { tcp: Span::from_secs(300), tcp_closed: Span::from_secs(60), udp: Span::from_secs(180) }
    }
}

/// Flows of one address family.
pub struct Table<K> {
    flows: HashTable<Flow<K>, HugePages>,
    cold: Slab,
    seeds: Seeds,
    bound: usize,
    hand: usize,
}

impl<K: Key> Table<K> {
    /// A table for at most `bound` flows.
    pub fn new(bound: usize, seeds: Seeds) -> Self {
        let bound = bound.clamp(1, MAX_FLOWS);
        // An eighth more than the bound leaves room for tombstones, so that erasing rarely costs a rehash.
        Self {
            flows: HashTable::with_capacity_in(bound + bound / 8, HugePages),
            cold: Slab::default(),
            seeds,
            bound,
            hand: 0,
        }
    }

    /// Number of flows.
    pub fn len(&self) -> usize {
        self.flows.len()
    }

    /// No flow at all.
    pub fn is_empty(&self) -> bool {
        self.flows.is_empty()
    }

    /// Most flows that fit.
    pub const fn bound(&self) -> usize {
        self.bound
    }

    /// The hash of a key in this table.
    #[inline]
    pub fn hash(&self, key: &K) -> u64 {
        key.hash(&self.seeds)
    }

    /// Begins to load what [`Table::find`] will want.
    #[inline]
    pub fn prefetch(&self, hash: u64) {
        // The closure sees the first candidate whose tag fits, before its line is needed: take its address, stop.
        let _ = self.flows.find(hash, |flow| {
            prefetch(flow);
            true
        });
    }

    /// Begins to load the cold part of a flow whose packet will not take the short way. The hot part has been asked
    /// for before.
    #[inline]
    pub fn prefetch_cold(&self, hash: u64, key: &K, side: Side) {
        if let Some(flow) = self.flows.find(hash, |f| f.key == *key)
            && !flow.hot.is_plain(side)
            && let Some(cold) = self.cold.get(flow.hot.cold())
        {
            prefetch_whole(cold);
        }
    }

    /// The flow of a key.
    #[inline]
    pub fn find(&mut self, hash: u64, key: &K) -> Option<&mut Flow<K>> {
        self.flows.find_mut(hash, |f| f.key == *key)
    }

    /// The flow of a key with its cold part.
    pub fn find_both(&mut self, hash: u64, key: &K) -> Option<(&mut Flow<K>, &mut Cold)> {
        let flow = self.flows.find_mut(hash, |f| f.key == *key)?;
        let cold = self.cold.get_mut(flow.hot.cold())?;
        Some((flow, cold))
    }

    /// The cold part of a flow by its number ([`Hot::cold`]).
    #[inline]
    pub fn cold(&mut self, number: u32) -> Option<&mut Cold> {
        self.cold.get_mut(number)
    }

    /// Adds a flow that is not there yet. The caller has made room with [`Table::victim`].
    pub fn insert(&mut self, hash: u64, key: K, at: Timestamp, cold: Cold) {
        let index = self.cold.insert(cold);
        // What went has left marks that take up room; without any the hash table would double itself.
        if self.flows.capacity() == self.flows.len() {
            self.sweep_marks();
        }
        let seeds = self.seeds;
        self.flows.insert_unique(hash, Flow { key, hot: Hot::new(at, index) }, |f| f.key.hash(&seeds));
    }

    /// Puts every flow in again, so that no mark of an erased one is left. Rare: once in about as many evictions as an
    /// eighth of the bound.
    #[cold]
    fn sweep_marks(&mut self) {
        let seeds = self.seeds;
        let flows: Vec<Flow<K>> = self.flows.drain().collect();
        for flow in flows {
            self.flows.insert_unique(flow.key.hash(&seeds), flow, |f| f.key.hash(&seeds));
        }
    }

    /// Takes a flow out.
    pub fn remove(&mut self, key: &K) -> Option<(Flow<K>, Cold)> {
        let hash = self.hash(key);
        let (flow, _) = self.flows.find_entry(hash, |f| f.key == *key).ok()?.remove();
        let cold = self.cold.remove(flow.hot.cold())?;
        Some((flow, cold))
    }

    /// True when the next flow needs room.
    pub fn is_full(&self) -> bool {
        self.flows.len() >= self.bound
    }

    /// Who goes when the table is full: among 16 flows at a moving hand, first a closed one, then one that has moved
    /// no payload, then the idlest.
    pub fn victim(&mut self) -> Option<K> {
        let buckets = self.flows.num_buckets();
        let mut best: Option<(u8, Timestamp, K)> = None;
        let mut seen = 0;
        for _ in 0..buckets {
            self.hand = (self.hand + 1) % buckets.max(1);
            let Some(flow) = self.flows.get_bucket(self.hand) else { continue };
            let payload: u64 = self.cold.get(flow.hot.cold()).map_or(0, |c| {
                c.sides
                    .iter()
                    .zip(&flow.hot.sides)
                    .map(|(s, h)| s.counts.payload + u64::from(h.payload))
                    .sum()
            });
            let rank = if flow.hot.has(Flag::CLOSING) { 0 } else { 1 + u8::from(payload > 0) };
            if best.as_ref().is_none_or(|b| (rank, flow.hot.last) < (b.0, b.1)) {
                best = Some((rank, flow.hot.last, flow.key));
            }
            seen += 1;
            if seen == 16 {
                break;
            }
        }
        best.map(|(_, _, key)| key)
    }

    /// Every flow with its cold part, in no particular order.
    pub fn each(&mut self, mut visit: impl FnMut(&mut Flow<K>, &mut Cold)) {
        for flow in &mut self.flows {
            if let Some(cold) = self.cold.get_mut(flow.hot.cold()) {
                visit(flow, cold);
            }
        }
    }

    /// Keys of the flows that `wanted` picks.
    pub fn keys(&self, mut wanted: impl FnMut(&Flow<K>) -> bool) -> Vec<K> {
        self.flows.iter().filter(|f| wanted(f)).map(|f| f.key).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::super::key::{KeyV4, Side};
    use super::*;
    use crate::decode::{Packet, Pair, Path, Tcp, Transport};

    fn key(n: u32) -> KeyV4 {
        let packet = Packet {
            pair: Pair::V4 { src: n, dst: 1 },
            src_port: n as u16,
            dst_port: 443,
            transport: Transport::Tcp,
            tcp: Tcp::default(),
            at: Timestamp::default(),
            since: Timestamp::default(),
            frames: 1,
            now: Timestamp::default(),
            ordinal: 0,
            payload: &[],
            payload_len: 0,
            wire_len: 0,
            ip_len: 0,
            ip_id: 0,
            ttl: 0,
            path: Path::default(),
        };
        KeyV4::new(n, 1, &packet).0
    }

    fn cold() -> Cold {
        Cold {
            first: Timestamp::default(),
            ordinal: 0,
            reported: Timestamp::default(),
            sides: Default::default(),
            holes: [None, None],
            starts: None,
            datagrams: None,
            datagrams_seen: 0,
            crowd: 0,
            facts: None,
            at_report: None,
            history: 0,
            originator: Side::A,
            midstream: false,
            isn: [None, None],
            path: Path::default(),
            tls_overhead: 0,
            unfollowed: [0, 0],
            lost_at: [0, 0],
        }
    }

    /// Flows come and go for ever; the memory was asked for once.
    #[test]
    fn a_full_table_never_grows() {
        // The fullest that the hash table can get for its number of buckets.
        let mut table = Table::<KeyV4>::new(1_592, Seeds::from_seed(3));
        let buckets = table.flows.num_buckets();
        for n in 0..300_000u32 {
            if table.is_full()
                && let Some(victim) = table.victim()
            {
                assert!(table.remove(&victim).is_some());
            }
            let key = key(n.wrapping_mul(2_654_435_761));
            table.insert(table.hash(&key), key, Timestamp::default(), cold());
            assert!(table.len() <= table.bound());
        }
        assert_eq!(table.flows.num_buckets(), buckets);
    }
}
