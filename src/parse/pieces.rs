//! A byte stream put together from pieces in any order, within bounds. For CRYPTO frames and DTLS fragments.

/// Longest stream kept.
const MAX_BYTES: usize = 16 * 1024;

/// Disjoint pieces kept.
const MAX_PIECES: usize = 64;

/// What has come so far.
#[derive(Clone, Debug, Default)]
pub(super) struct Pieces {
    bytes: Vec<u8>,
    /// Sorted, disjoint, not touching.
    ranges: Vec<(usize, usize)>,
}

impl Pieces {
    /// Adds a piece. What lies beyond the bounds is left out.
    pub(super) fn insert(&mut self, offset: u64, piece: &[u8]) {
        let from = usize::try_from(offset).unwrap_or(usize::MAX);
        let to = from.saturating_add(piece.len());
        if piece.is_empty() || to > MAX_BYTES {
            return;
        }
        // Ranges that touch [from, to) melt into one.
        let first = self.ranges.partition_point(|r| r.1 < from);
        let touching = self.ranges.iter().skip(first).take_while(|r| r.0 <= to).count();
        if touching == 0 && self.ranges.len() >= MAX_PIECES {
            return;
        }
        let melted = self.ranges.iter().skip(first).take(touching);
        let whole = melted.fold((from, to), |w, r| (w.0.min(r.0), w.1.max(r.1)));
        self.ranges.splice(first..first + touching, [whole]);
        if self.bytes.len() < to {
            self.bytes.resize(to, 0);
        }
        if let Some(place) = self.bytes.get_mut(from..to) {
            place.copy_from_slice(piece);
        }
    }

    /// Memory on the heap.
    pub(super) fn held(&self) -> usize {
        self.bytes.capacity() + self.ranges.capacity() * size_of::<(usize, usize)>()
    }

    /// The contiguous beginning.
    pub(super) fn start(&self) -> &[u8] {
        let end = self.ranges.first().filter(|r| r.0 == 0).map_or(0, |r| r.1);
        self.bytes.get(..end).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_order_gives_the_same_stream() {
        let whole: Vec<u8> = (0..=255).collect();
        let mut pieces = Pieces::default();
        for (from, to) in [(200, 256), (10, 20), (15, 40), (100, 200), (0, 5), (41, 100), (5, 10), (30, 41)] {
            assert_ne!(pieces.start(), whole);
            pieces.insert(from as u64, &whole[from..to]);
        }
        assert_eq!(pieces.start(), whole);
        assert_eq!(pieces.ranges, [(0, 256)]);
    }

    #[test]
    fn bounds_hold() {
        let mut pieces = Pieces::default();
        pieces.insert(u64::MAX, b"x");
        pieces.insert(MAX_BYTES as u64, b"x");
        for at in 0..1000 {
            pieces.insert(at * 2, b"x");
        }
        assert_eq!(pieces.ranges.len(), MAX_PIECES);
        assert!(pieces.bytes.len() <= MAX_BYTES);
    }
}
