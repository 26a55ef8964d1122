//! The bounded table of flows: swept and evicted, grown up to its bound and never beyond.

use super::huge::HugePages;
use super::key::{Key, Seeds, Side};
use super::prefetch::prefetch_whole;
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

/// Flows of one address family: in one segment while they are few, so that they lie in few pages; in so many beyond it
/// that the bound fills them well, where one large power of two would be half empty.
pub struct Table<K> {
    segments: Vec<HashTable<Flow<K>, HugePages>>,
    cold: Slab,
    seeds: Seeds,
    bound: usize,
    /// Segments at the bound.
    most_segments: usize,
    /// Buckets of a segment at most.
    most_buckets: usize,
    len: usize,
    /// Segment and bucket at which the next victim is looked for.
    hand: (usize, usize),
}

/// Flows in one segment at the bound: so many parts in 16 of its buckets that by chance none overflows and erasing rarely
/// costs a rehash.
const SEGMENT: usize = (1 << 17) / 16 * FILLED;
const FILLED: usize = 13;

impl<K: Key> Table<K> {
    /// A table for at most `bound` flows.
    pub fn new(bound: usize, seeds: Seeds) -> Self {
        let bound = bound.clamp(1, MAX_FLOWS);
        let most_segments = bound.div_ceil(SEGMENT);
        let in_each = bound.div_ceil(most_segments);
        Self {
            segments: vec![HashTable::new_in(HugePages)],
            cold: Slab::default(),
            seeds,
            bound,
            most_segments,
            most_buckets: (in_each * 16).div_ceil(FILLED).next_power_of_two().max(4),
            len: 0,
            hand: (0, 0),
        }
    }

    /// Moves the flows of the one segment, which is full, to as many as the bound needs. Once in a run: some
    /// milliseconds.
    #[cold]
    fn spread(&mut self) {
        let (seeds, count, room) = (self.seeds, self.most_segments, self.most_buckets * 7 / 8);
        let full = std::mem::take(&mut self.segments);
        self.segments = (0..count).map(|_| HashTable::with_capacity_in(room, HugePages)).collect();
        for flow in full.into_iter().flatten() {
            let hash = flow.key.hash(&seeds);
            if let Some(segment) = self.segment_mut(hash) {
                segment.insert_unique(hash, flow, |f| f.key.hash(&seeds));
            }
        }
        self.hand = (0, 0);
    }

    /// Number of flows.
    pub fn len(&self) -> usize {
        self.len
    }

    /// No flow at all.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Most flows that fit.
    pub const fn bound(&self) -> usize {
        self.bound
    }

    #[inline]
    fn segment(&self, hash: u64) -> Option<&HashTable<Flow<K>, HugePages>> {
        self.segments.get(segment_of(hash, self.segments.len()))
    }

    #[inline]
    fn segment_mut(&mut self, hash: u64) -> Option<&mut HashTable<Flow<K>, HugePages>> {
        let segments = self.segments.len();
        self.segments.get_mut(segment_of(hash, segments))
    }

    /// The hash of a key in this table.
    #[inline]
    pub fn hash(&self, key: &K) -> u64 {
        key.hash(&self.seeds)
    }

    /// Begins to load the marks by which a flow is found, without waiting for them: call it for many flows in a row.
    /// The result says nothing; using it keeps the load.
    #[inline]
    pub fn touch(&self, hash: u64) -> bool {
        let Some(segment) = self.segment(hash) else { return false };
        segment.get_bucket(hash as usize & segment.num_buckets().wrapping_sub(1)).is_some()
    }

    /// Begins to load what [`Table::find`] will want, and says where that lies in all likelihood.
    #[inline]
    pub fn prefetch(&self, hash: u64) -> Spot {
        let nth = segment_of(hash, self.segments.len());
        // The closure sees the first candidate whose tag fits, before its line is needed: take its address, stop.
        let bucket = self.segments.get(nth).and_then(|segment| {
            segment.find_bucket_index(hash, |flow| {
                prefetch_whole(flow);
                true
            })
        });
        bucket.map_or(Spot::NONE, |bucket| Spot { segment: nth as u32, bucket: bucket as u32 })
    }

    /// As [`Table::find`], where [`Table::prefetch`] said that the flow might lie. Flows that have come or gone since do
    /// no harm: it is looked at, and looked for if it is not there.
    #[inline]
    pub fn find_near(&mut self, spot: Spot, hash: u64, key: &K) -> Option<&mut Flow<K>> {
        let (nth, bucket) = (spot.segment as usize, spot.bucket as usize);
        if self.segments.get(nth).and_then(|s| s.get_bucket(bucket)).is_some_and(|flow| flow.key == *key) {
            return self.segments.get_mut(nth)?.get_bucket_mut(bucket);
        }
        self.find(hash, key)
    }

    /// Begins to load the cold part of a flow whose packet will not take the short way. The hot part has been asked
    /// for before.
    #[inline]
    pub fn prefetch_cold(&self, hash: u64, key: &K, side: Side) {
        if let Some(flow) = self.segment(hash).and_then(|s| s.find(hash, |f| f.key == *key))
            && !flow.hot.is_plain(side)
            && let Some(cold) = self.cold.get(flow.hot.cold())
        {
            prefetch_whole(cold);
        }
    }

    /// The flow of a key.
    #[inline]
    pub fn find(&mut self, hash: u64, key: &K) -> Option<&mut Flow<K>> {
        self.segment_mut(hash)?.find_mut(hash, |f| f.key == *key)
    }

    /// The flow of a key with its cold part.
    pub fn find_both(&mut self, hash: u64, key: &K) -> Option<(&mut Flow<K>, &mut Cold)> {
        let segments = self.segments.len();
        let segment = self.segments.get_mut(segment_of(hash, segments))?;
        let flow = segment.find_mut(hash, |f| f.key == *key)?;
        let cold = self.cold.get_mut(flow.hot.cold())?;
        Some((flow, cold))
    }

    /// The cold part of a flow by its number ([`Hot::cold`]).
    #[inline]
    pub fn cold(&mut self, number: u32) -> Option<&mut Cold> {
        self.cold.get_mut(number)
    }

    /// Adds a flow that is not there yet. The caller makes room with [`Table::victim`].
    pub fn insert(
        &mut self,
        hash: u64,
        key: K,
        at: Timestamp,
        cold: Cold,
    ) -> Option<(&mut Flow<K>, &mut Cold)> {
        if self.len >= SEGMENT && self.segments.len() < self.most_segments {
            self.spread();
        }
        let (seeds, most_buckets, segments) = (self.seeds, self.most_buckets, self.segments.len());
        let segment = self.segments.get_mut(segment_of(hash, segments))?;
        let index = self.cold.insert(cold);
        // What went has left marks that take up room; without any the segment would double itself.
        if segment.capacity() == segment.len() && segment.num_buckets() >= most_buckets {
            sweep_marks(segment, &seeds);
        }
        self.len += 1;
        let flow = Flow { key, hot: Hot::new(at, index) };
        let place = segment.insert_unique(hash, flow, |f| f.key.hash(&seeds));
        Some((place.into_mut(), self.cold.get_mut(index)?))
    }

    /// Takes a flow out.
    pub fn remove(&mut self, key: &K) -> Option<(Flow<K>, Cold)> {
        let hash = self.hash(key);
        let (flow, _) = self.segment_mut(hash)?.find_entry(hash, |f| f.key == *key).ok()?.remove();
        self.len -= 1;
        let cold = self.cold.remove(flow.hot.cold())?;
        Some((flow, cold))
    }

    /// True when the next flow needs room.
    pub fn is_full(&self) -> bool {
        self.len >= self.bound
    }

    /// Who goes when the table is full: among 16 flows at a moving hand, first a closed one, then one that has moved
    /// no payload, then the idlest.
    pub fn victim(&mut self) -> Option<K> {
        let mut best: Option<(u8, Timestamp, K)> = None;
        let (mut seen, mut turned) = (0, 0);
        while seen < 16 && turned <= self.segments.len() {
            let (nth, bucket) = self.hand;
            let segment = self.segments.get(nth)?;
            if bucket >= segment.num_buckets() {
                self.hand = ((nth + 1) % self.segments.len(), 0);
                turned += 1;
                continue;
            }
            self.hand.1 = bucket + 1;
            let Some(flow) = segment.get_bucket(bucket) else { continue };
            let cold = self.cold.get(flow.hot.cold());
            let payload = cold.map_or(0, |c| flow.payload(c, Side::A) + flow.payload(c, Side::B));
            let rank = if flow.hot.has(Flag::CLOSING) { 0 } else { 1 + u8::from(payload > 0) };
            if best.as_ref().is_none_or(|b| (rank, flow.hot.last) < (b.0, b.1)) {
                best = Some((rank, flow.hot.last, flow.key));
            }
            seen += 1;
        }
        best.map(|(_, _, key)| key)
    }

    /// Every flow with its cold part, in no particular order.
    pub fn each(&mut self, mut visit: impl FnMut(&mut Flow<K>, &mut Cold)) {
        for flow in self.segments.iter_mut().flatten() {
            if let Some(cold) = self.cold.get_mut(flow.hot.cold()) {
                visit(flow, cold);
            }
        }
    }

    /// Number of the first frame and place in the table of every flow, in no particular order.
    pub fn numbers(&self, mut take: impl FnMut(u64, Place)) {
        for (nth, segment) in self.segments.iter().enumerate() {
            for bucket in 0..segment.num_buckets() {
                if let Some(flow) = segment.get_bucket(bucket)
                    && let Some(cold) = self.cold.get(flow.hot.cold())
                {
                    take(cold.ordinal(), Place { segment: nth as u32, bucket: bucket as u32 });
                }
            }
        }
    }

    fn at(&self, place: Place) -> Option<&Flow<K>> {
        self.segments.get(place.segment as usize)?.get_bucket(place.bucket as usize)
    }

    /// The key of the flow at a place. Removing others moves nothing.
    pub fn key_at(&self, place: Place) -> Option<K> {
        self.at(place).map(|flow| flow.key)
    }

    /// Begins to load both halves of the flow at a place.
    pub fn prefetch_place(&self, place: Place) {
        if let Some(flow) = self.at(place)
            && let Some(cold) = self.cold.get(flow.hot.cold())
        {
            prefetch_whole(cold);
        }
    }
}

/// The segment of a hash: by bits in its middle, since the lowest pick the bucket and the highest are its mark there.
#[inline]
const fn segment_of(hash: u64, segments: usize) -> usize {
    (((hash >> 20 & 0xffff_ffff) * segments as u64) >> 32) as usize
}

/// Where a flow was when it was asked for.
#[derive(Clone, Copy, Debug)]
pub struct Spot {
    segment: u32,
    bucket: u32,
}

impl Spot {
    /// Nowhere.
    pub const NONE: Self = Self { segment: u32::MAX, bucket: 0 };
}

/// Where a flow stands in its table, until one is added.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Place {
    segment: u32,
    bucket: u32,
}

/// Puts every flow of a segment in again, so that no mark of an erased one is left. Rare: once in about as many
/// evictions as a tenth of it.
#[cold]
fn sweep_marks<K: Key>(segment: &mut HashTable<Flow<K>, HugePages>, seeds: &Seeds) {
    let flows: Vec<Flow<K>> = segment.drain().collect();
    for flow in flows {
        segment.insert_unique(flow.key.hash(seeds), flow, |f| f.key.hash(seeds));
    }
}

#[cfg(test)]
mod tests {
    use super::super::key::KeyV4;
    use super::super::record::Paths;
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
        Cold::new(Timestamp::default(), 0, Side::A, false, &Path::default(), &mut Paths::default())
    }

    /// Flows come and go for ever; beyond its bound the table never grows.
    #[test]
    fn a_full_table_never_grows() {
        for bound in [1, 7, 1_592, 120_000] {
            let mut table = Table::<KeyV4>::new(bound, Seeds::from_seed(3));
            for n in 0..(3 * bound as u32).max(300_000) {
                if table.is_full()
                    && let Some(victim) = table.victim()
                {
                    assert!(table.remove(&victim).is_some());
                }
                let key = key(n.wrapping_mul(2_654_435_761));
                table.insert(table.hash(&key), key, Timestamp::default(), cold());
                assert!(table.len() <= table.bound());
            }
            assert_eq!(table.len(), bound);
            let buckets: usize = table.segments.iter().map(HashTable::num_buckets).sum();
            assert!(buckets <= table.most_buckets * table.most_segments, "{bound}: {buckets}");
            assert_eq!(table.segments.iter().flatten().count(), bound);
        }
    }

    /// What a flow takes at the bound that is there without configuration, both halves.
    #[test]
    fn a_flow_takes_at_most_150_bytes() {
        let table = Table::<KeyV4>::new(1 << 20, Seeds::from_seed(3));
        let hot = table.most_segments * table.most_buckets * (size_of::<Flow<KeyV4>>() + 1);
        let each = hot.div_ceil(table.bound()) + size_of::<Option<Cold>>();
        assert!(each <= 150, "{each}");
    }
}
