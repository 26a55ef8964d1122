//! TCP sequence space of one direction: what is new, what is a repetition, what is missing (RFC 9293 §3.4).

/// Holes kept per direction. When a further one opens, the oldest is written off as a gap.
const MAX_HOLES: usize = 16;

/// A jump further than this is no hole but another numbering (half the space is ambiguous, a quarter is not).
const FAR: u32 = 1 << 30;

/// What one segment meant.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct Segment {
    /// Bytes never seen before.
    pub new: u32,
    /// Bytes seen before.
    pub repeated: u32,
    /// The segment came exactly where it was expected, and nothing is missing.
    pub in_order: bool,
}

/// Parts of the sequence space that have been jumped over; boxed on first disorder.
#[derive(Clone, Default, Debug)]
pub struct Holes {
    /// Ranges `[start, end)` in sequence numbers, oldest first; all lie before `next`.
    ranges: Vec<(u32, u32)>,
    /// Bytes of holes written off.
    pub lost: u64,
}

impl Holes {
    /// Bytes that are missing now.
    pub fn missing(&self) -> u64 {
        self.ranges.iter().map(|&(s, e)| u64::from(e.wrapping_sub(s))).sum::<u64>() + self.lost
    }

    /// No hole is open.
    pub fn is_whole(&self) -> bool {
        self.ranges.is_empty()
    }

    fn write_off(&mut self) {
        self.lost = self.missing();
        self.ranges.clear();
    }

    fn open(&mut self, start: u32, end: u32) {
        if self.ranges.len() == MAX_HOLES {
            let (s, e) = self.ranges.remove(0);
            self.lost += u64::from(e.wrapping_sub(s));
        }
        self.ranges.push((start, end));
    }

    /// Fills what lies in `[start, end)` and tells how many bytes that was.
    fn fill(&mut self, start: u32, end: u32) -> u32 {
        let mut filled = 0;
        let mut i = 0;
        while let Some(&(s, e)) = self.ranges.get(i) {
            // Distances from the hole's start: all ranges are shorter than FAR, so signed arithmetic is safe.
            let from = (start.wrapping_sub(s) as i32).max(0);
            let to = (end.wrapping_sub(s) as i32).min(e.wrapping_sub(s) as i32);
            if from >= to {
                i += 1;
                continue;
            }
            filled += (to - from) as u32;
            let (left, right) = ((s, s.wrapping_add(from as u32)), (s.wrapping_add(to as u32), e));
            self.ranges.remove(i);
            if right.0 != right.1 {
                self.ranges.insert(i, right);
            }
            if left.0 != left.1 {
                self.ranges.insert(i, left);
                i += 1;
            }
        }
        // A hole cut in two may exceed the bound by one.
        if self.ranges.len() > MAX_HOLES {
            let (s, e) = self.ranges.remove(0);
            self.lost += u64::from(e.wrapping_sub(s));
        }
        filled
    }
}

/// Where a direction stands.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct Position {
    /// Lowest sequence number that counts.
    pub base: u32,
    /// One past the highest seen.
    pub next: u32,
    /// `base` is certain, because the SYN was seen: nothing before it is data.
    pub anchored: bool,
}

/// Books `len` payload bytes at `seq`.
pub fn book(pos: &mut Position, holes: &mut Option<Box<Holes>>, seq: u32, len: u32) -> Segment {
    if len == 0 {
        return Segment { in_order: seq == pos.next && holes.is_none(), ..Segment::default() };
    }
    let end = seq.wrapping_add(len);
    let ahead = seq.wrapping_sub(pos.next);
    if ahead == 0 {
        pos.next = end;
        return Segment { new: len, repeated: 0, in_order: holes.is_none() };
    }
    if ahead < FAR {
        holes.get_or_insert_default().open(pos.next, seq);
        pos.next = end;
        return Segment { new: len, repeated: 0, in_order: false };
    }
    let behind = pos.next.wrapping_sub(seq);
    if behind > FAR {
        // Another numbering altogether: count the bytes, follow from there.
        if let Some(h) = holes {
            h.write_off();
        }
        *pos = Position { base: seq, next: end, anchored: false };
        return Segment { new: len, repeated: 0, in_order: false };
    }
    Segment { in_order: false, ..behind_next(pos, holes, seq, end, len) }
}

/// A segment that begins before `next`: partly or wholly a repetition, a filled hole, or older than the base.
fn behind_next(pos: &mut Position, holes: &mut Option<Box<Holes>>, seq: u32, end: u32, len: u32) -> Segment {
    let mut new = 0;
    let beyond = end.wrapping_sub(pos.next) as i32;
    if beyond > 0 {
        new += beyond as u32;
        pos.next = end;
    }
    let before = pos.base.wrapping_sub(seq) as i32;
    if before > 0 && !pos.anchored {
        new += (before as u32).min(len);
        if (before as u32) > len {
            // Older than all we know, and not adjoining: what lies between is a hole.
            holes.get_or_insert_default().open(end, pos.base);
        }
        pos.base = seq;
    }
    if let Some(h) = holes {
        new += h.fill(seq, end);
        if h.is_whole() && h.lost == 0 {
            *holes = None;
        }
    }
    let new = new.min(len);
    Segment { new, repeated: len - new, in_order: false }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::HashSet;

    fn start(at: u32) -> (Position, Option<Box<Holes>>) {
        (Position { base: at, next: at, anchored: false }, None)
    }

    #[test]
    fn wraps_around() {
        let (mut p, mut h) = start(u32::MAX - 9);
        assert_eq!(book(&mut p, &mut h, u32::MAX - 9, 20).new, 20);
        assert_eq!(p.next, 10);
        assert_eq!(
            book(&mut p, &mut h, u32::MAX - 9, 30),
            Segment { new: 10, repeated: 20, in_order: false }
        );
    }

    #[test]
    fn keep_alive_counts_nothing_new() {
        let (mut p, mut h) = start(100);
        p.anchored = true;
        book(&mut p, &mut h, 100, 50);
        assert_eq!(book(&mut p, &mut h, 149, 1), Segment { new: 0, repeated: 1, in_order: false });
        assert_eq!(book(&mut p, &mut h, 99, 1), Segment { new: 0, repeated: 1, in_order: false });
    }

    #[test]
    fn a_hole_opens_and_is_filled() {
        let (mut p, mut h) = start(0);
        book(&mut p, &mut h, 0, 10);
        book(&mut p, &mut h, 30, 10);
        assert_eq!(h.as_ref().map(|h| h.missing()), Some(20));
        assert_eq!(book(&mut p, &mut h, 15, 5).new, 5);
        assert_eq!(book(&mut p, &mut h, 10, 25), Segment { new: 15, repeated: 10, in_order: false });
        assert!(h.is_none());
    }

    #[test]
    fn too_many_holes_become_a_gap() {
        let (mut p, mut h) = start(0);
        for i in 0..40u32 {
            book(&mut p, &mut h, i * 20 + 10, 10);
        }
        let h = h.expect("holes");
        assert_eq!(h.missing(), 400);
        assert_eq!(h.lost, (40 - MAX_HOLES as u64) * 10);
    }

    #[test]
    fn earlier_data_without_a_syn_counts() {
        let (mut p, mut h) = start(1000);
        book(&mut p, &mut h, 1000, 10);
        assert_eq!(book(&mut p, &mut h, 900, 50).new, 50);
        assert_eq!(h.as_ref().map(|h| h.missing()), Some(50));
        assert_eq!(book(&mut p, &mut h, 950, 50).new, 50);
        assert!(h.is_none());
    }

    proptest! {
        /// Any order, overlap and repetition of few segments gives the size of the union.
        #[test]
        fn union_of_ranges(base in any::<u32>(), parts in prop::collection::vec((0u32..400, 1u32..60), 1..20)) {
            let first = parts[0].0;
            let (mut p, mut h) = start(base.wrapping_add(first));
            let mut union = HashSet::new();
            let mut new = 0u64;
            for (at, len) in parts {
                let before = union.len();
                union.extend(at..at + len);
                let s = book(&mut p, &mut h, base.wrapping_add(at), len);
                prop_assert_eq!(s.new as usize, union.len() - before);
                prop_assert_eq!(s.new + s.repeated, len);
                new += u64::from(s.new);
            }
            let span = u64::from(p.next.wrapping_sub(p.base));
            prop_assert_eq!(new, union.len() as u64);
            prop_assert_eq!(span - h.map_or(0, |h| h.missing()), new);
        }
    }
}
