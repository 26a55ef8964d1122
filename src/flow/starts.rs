//! The contiguous beginnings of both directions of a TCP flow, put in order for the parsers.

/// Originator bytes kept.
pub const MAX_UP: usize = 16 * 1024;
/// Responder bytes kept.
pub const MAX_DOWN: usize = 64 * 1024;
/// Pieces that may wait for an earlier one.
const MAX_PIECES: usize = 32;

/// Bytes read by the parsers before they are asked more rarely.
const EAGER: usize = 32 * 1024;

/// One direction.
#[derive(Clone, Default, Debug)]
pub struct Start {
    /// Sequence number of the first byte wanted.
    base: Option<u32>,
    /// The base comes from a SYN: nothing earlier will come.
    anchored: bool,
    /// From `base` on without a hole.
    bytes: Vec<u8>,
    /// Later pieces by sequence number, not adjoining `bytes`.
    pieces: Vec<(u32, Vec<u8>)>,
    /// Bytes that the capture cut off follow, or the limit is reached: no more will be added.
    ended: bool,
}

/// Both directions of a flow that is being named.
#[derive(Clone, Default, Debug)]
pub struct Starts {
    /// By side.
    pub sides: [Start; 2],
    /// Bytes of each side when a parser said something of them last.
    told: [usize; 2],
    /// Bytes of both sides, and sides that had ended, when the parsers were asked last.
    asked: (usize, usize),
    /// Bytes that the parsers have been given so far, over all times that they were asked.
    work: usize,
}

impl Starts {
    /// Memory held.
    pub fn held(&self) -> usize {
        size_of::<Self>() + self.sides.iter().map(Start::held).sum::<usize>()
    }

    /// A parser has said something of what is there.
    pub fn note_told(&mut self) {
        self.told = [0, 1].map(|i| self.sides[i].bytes.len());
    }

    /// Bytes of each side when a parser said something of them last.
    pub fn told(&self) -> [usize; 2] {
        self.told
    }

    /// Whether the parsers should be asked again. While they have read little, always; later only when an eighth has
    /// been added or a side has ended, so that a hello in single bytes costs as much as a few whole ones. What they
    /// are asked at the end of the flow is all there is: nothing is lost, it is only found later.
    pub fn worth_asking(&mut self) -> bool {
        let held: usize = self.sides.iter().map(|s| s.bytes.len()).sum();
        let ended = self.sides.iter().filter(|s| s.ended).count();
        let grown = held.saturating_sub(self.asked.0) >= held / 8;
        if self.work >= EAGER && !grown && ended == self.asked.1 {
            return false;
        }
        self.asked = (held, ended);
        self.work = self.work.saturating_add(held);
        true
    }
}

impl Start {
    /// The beginning as far as it is known.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// No more will be added.
    pub fn ended(&self) -> bool {
        self.ended
    }

    /// Where the first payload byte stands, from a SYN.
    pub fn anchor(&mut self, seq: u32) {
        if self.bytes.is_empty() && self.pieces.is_empty() {
            (self.base, self.anchored) = (Some(seq), true);
        }
    }

    /// Memory held beside the struct itself.
    pub fn held(&self) -> usize {
        let pieces = self.pieces.iter().map(|(_, p)| p.capacity()).sum::<usize>();
        self.bytes.capacity() + pieces + self.pieces.capacity() * size_of::<(u32, Vec<u8>)>()
    }

    /// Adds a segment. `whole` is its length by the headers: more than `bytes` where the capture cut it.
    /// True when the beginning grew.
    pub fn add(&mut self, seq: u32, bytes: &[u8], whole: u32, limit: usize) -> bool {
        if self.ended || whole == 0 {
            return false;
        }
        let base = *self.base.get_or_insert(seq);
        let at = seq.wrapping_sub(base) as i32;
        if at < 0 && !self.anchored && at > -(limit as i32) && !bytes.is_empty() {
            self.rebase(seq);
            return self.add(seq, bytes, whole, limit);
        }
        let grown = self.place(i64::from(at), bytes, limit);
        let grown = self.join(limit) || grown;
        let cut =
            (bytes.len() as u32) < whole && i64::from(at) + bytes.len() as i64 == self.bytes.len() as i64;
        if cut || self.bytes.len() >= limit {
            self.end();
        }
        grown
    }

    /// Drops the first `n` bytes: a message that has been read.
    pub fn consume(&mut self, n: usize) {
        let n = n.min(self.bytes.len());
        self.bytes.drain(..n);
        self.base = self.base.map(|base| base.wrapping_add(n as u32));
    }

    /// Gives the waiting pieces up; what is contiguous stays.
    pub fn end(&mut self) {
        self.ended = true;
        self.pieces = Vec::new();
    }

    fn rebase(&mut self, seq: u32) {
        let bytes = std::mem::take(&mut self.bytes);
        if let Some(base) = self.base.filter(|_| !bytes.is_empty()) {
            self.keep(base, bytes);
        }
        self.base = Some(seq);
    }

    fn place(&mut self, at: i64, bytes: &[u8], limit: usize) -> bool {
        let have = self.bytes.len() as i64;
        if at > have {
            if at < limit as i64
                && let Some(base) = self.base
            {
                self.keep(base.wrapping_add(at as u32), bytes.to_vec());
            }
            return false;
        }
        let skip = (have - at) as usize;
        let Some(new) = bytes.get(skip..).filter(|n| !n.is_empty()) else { return false };
        let room = limit.saturating_sub(self.bytes.len());
        self.bytes.extend_from_slice(new.get(..room).unwrap_or(new));
        true
    }

    fn keep(&mut self, seq: u32, bytes: Vec<u8>) {
        if bytes.is_empty() || self.pieces.len() >= MAX_PIECES {
            return;
        }
        match self.pieces.iter_mut().find(|(s, _)| *s == seq) {
            Some((_, have)) if have.len() < bytes.len() => *have = bytes,
            Some(_) => {}
            None => self.pieces.push((seq, bytes)),
        }
    }

    fn join(&mut self, limit: usize) -> bool {
        let mut grown = false;
        while let Some(base) = self.base {
            let have = self.bytes.len() as i32;
            let next = self.pieces.iter().position(|(s, _)| s.wrapping_sub(base) as i32 <= have);
            let Some(i) = next else { break };
            let (seq, piece) = self.pieces.swap_remove(i);
            grown |= self.place(i64::from(seq.wrapping_sub(base) as i32), &piece, limit);
        }
        grown
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn whole(order: &[(u32, &[u8])], anchored: Option<u32>) -> Vec<u8> {
        let mut s = Start::default();
        if let Some(seq) = anchored {
            s.anchor(seq);
        }
        for (seq, b) in order {
            s.add(*seq, b, b.len() as u32, MAX_UP);
        }
        s.bytes().to_vec()
    }

    #[test]
    fn any_order_gives_the_same() {
        let parts: [(u32, &[u8]); 3] = [(u32::MAX - 1, b"abcd"), (2, b"efgh"), (6, b"ij")];
        for order in [[0, 1, 2], [0, 2, 1], [1, 0, 2], [1, 2, 0], [2, 0, 1], [2, 1, 0]] {
            let seq: Vec<_> = order.iter().map(|&i| parts[i]).collect();
            assert_eq!(whole(&seq, None), b"abcdefghij", "{order:?}");
            assert_eq!(whole(&seq, Some(u32::MAX - 1)), b"abcdefghij", "{order:?}");
        }
    }

    #[test]
    fn repeated_and_overlapping_bytes_count_once() {
        assert_eq!(whole(&[(0, b"abc"), (0, b"abc"), (1, b"bcd"), (4, b"e")], Some(0)), b"abcde");
    }

    #[test]
    fn a_cut_segment_ends_the_start() {
        let mut s = Start::default();
        assert!(s.add(0, b"abc", 10, MAX_UP));
        assert!(s.ended());
        assert!(!s.add(10, b"klm", 3, MAX_UP));
        assert_eq!(s.bytes(), b"abc");
    }

    #[test]
    fn single_bytes_do_not_ask_for_every_one() {
        let mut starts = Starts::default();
        let asked = (0..MAX_UP as u32).filter(|i| {
            starts.sides[0].add(*i, b"x", 1, MAX_UP);
            starts.worth_asking()
        });
        let asked = asked.count();
        assert!((250..350).contains(&asked), "{asked}");
        assert!(starts.work < EAGER + 10 * MAX_UP, "{}", starts.work);
    }

    #[test]
    fn consumed_messages_make_room() {
        let mut s = Start::default();
        s.anchor(5);
        s.add(5, b"abcd", 4, MAX_UP);
        s.consume(3);
        s.add(9, b"ef", 2, MAX_UP);
        assert_eq!(s.bytes(), b"def");
    }

    #[test]
    fn bounded() {
        let mut s = Start::default();
        s.anchor(0);
        for i in 0..1000u32 {
            s.add(i * 20 + 10, &[0; 10], 10, MAX_UP);
        }
        assert!(s.pieces.len() <= MAX_PIECES);
        assert!(s.held() <= MAX_PIECES * (10 + 2 * size_of::<(u32, Vec<u8>)>()), "{}", s.held());
        s.add(0, &vec![1; 100_000], 100_000, MAX_UP);
        assert_eq!(s.bytes().len(), MAX_UP);
        assert!(s.ended());
    }
}
