//! Follows TLS records (RFC 8446 §5.1) by their lengths alone, two bytes of state per direction.
//!
//! Gives the application bytes of a direction without decrypting: record length less what the cipher adds. A gap or a
//! header cut by the end of a segment loses the place; a segment that begins with a plausible header finds it again.

/// Bytes left of the current record; or the place is lost, and what the side has sent since the other one answered, in
/// units of 64 bytes. Fits the hot flow record.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Follower(u16);

/// What a segment held.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct Followed {
    /// Application bytes of records that began in it.
    pub app: u32,
    /// Records of application data that began in it.
    pub records: u32,
    /// Payload bytes passed while the place was lost.
    pub unknown: u32,
    /// The longest of the records; where the place is lost, of a segment that answers an upload.
    pub largest: u32,
    /// The place is lost, and the side goes on after an answer.
    pub fresh: bool,
}

/// The bit of a lost place; no record is so long.
const LOST: u16 = 1 << 15;
/// The rest of it: what was sent.
const SENT: u16 = LOST - 2;
/// An upload has just been answered.
const FRESH: u16 = u16::MAX;
/// Unit of what was sent, as a shift.
const UNIT: u32 = 6;
/// Bytes of a record header.
const HEADER: u32 = 5;
/// Content type of application data.
const APPLICATION: u8 = 23;
/// Type and version of a record of application data since TLS 1.2.
const USUAL: u64 = 0x17_0303;
/// RFC 5246 allows 2^14 + 2048, RFC 8446 2^14 + 256.
const MAX_RECORD: u16 = 16_384 + 2_048;

impl Follower {
    /// The place is not known.
    pub const LOST: Self = Self(LOST);
    /// A record header comes next.
    pub const START: Self = Self(0);

    /// The place is not known.
    #[inline]
    pub const fn is_lost(self) -> bool {
        self.0 & LOST != 0
    }

    /// Bytes sent while the place was lost, since the other side answered; `None`: the place is known.
    pub fn sent(self) -> Option<u64> {
        let sent = if self.0 == FRESH { 0 } else { self.0 & !LOST };
        self.is_lost().then(|| u64::from(sent) << UNIT)
    }

    /// The other side has answered; `upload`: what is worth to be told when this one goes on.
    pub const fn answered(&mut self, upload: bool) {
        if self.is_lost() {
            self.0 = if upload { FRESH } else { LOST };
        }
    }

    /// The side goes on after an answer.
    pub const fn is_fresh(self) -> bool {
        self.0 == FRESH
    }

    /// Counts what was sent while the place is lost.
    pub fn send(&mut self, bytes: u32) {
        let before = if self.0 == FRESH { 0 } else { u32::from(self.0 & !LOST) };
        let sent = before.saturating_add(bytes.saturating_add(32) >> UNIT);
        self.0 = LOST | sent.min(u32::from(SENT)) as u16;
    }

    /// Walks over the next bytes of the direction. `whole` is the payload length, more than `bytes` in a cut capture.
    #[inline]
    pub fn walk(&mut self, bytes: &[u8], whole: u32, overhead: u16) -> Followed {
        let mut done = Followed::default();
        if self.is_lost() {
            if !Self::may_begin(bytes) {
                return self.pass_lost(whole);
            }
            self.0 = 0;
        }
        self.records(bytes, whole, overhead, &mut done);
        done
    }

    /// Passes bytes that lie wholly inside the current record: nobody has to look at them. False: they do not, or the
    /// place is lost, and nothing has changed.
    #[inline]
    pub fn pass(&mut self, whole: u32) -> bool {
        let inside = !self.is_lost() && u32::from(self.0) >= whole;
        if inside {
            self.0 -= whole as u16;
        }
        inside
    }

    /// Passes bytes while the place is lost.
    pub fn pass_lost(&mut self, whole: u32) -> Followed {
        let fresh = self.is_fresh();
        self.send(whole);
        Followed { unknown: whole, fresh, ..Followed::default() }
    }

    /// Walks on from a place that is known; what the cipher adds is still in what it gives. `None`: the place would be
    /// lost, and nothing has changed.
    #[inline]
    pub fn walk_on(&mut self, bytes: &[u8], whole: u32) -> Option<Followed> {
        let mut at = u32::from(self.0);
        let mut done = Followed::default();
        while at < whole {
            let (data, len) = next(bytes.get(at as usize..)?)?;
            done.app += if data { u32::from(len) } else { 0 };
            done.records += u32::from(data);
            done.largest = done.largest.max(if data { u32::from(len) } else { 0 });
            at += HEADER + u32::from(len);
        }
        self.0 = (at - whole) as u16;
        Some(done)
    }

    /// Whether bytes begin with a record of application data: there a lost place is found again.
    #[inline]
    pub fn may_begin(bytes: &[u8]) -> bool {
        next(bytes).is_some_and(|(data, _)| data)
    }

    fn records(&mut self, bytes: &[u8], whole: u32, overhead: u16, done: &mut Followed) {
        // Where the next header stands.
        let mut at = u32::from(self.0);
        while at < whole {
            let Some((data, len)) = bytes.get(at as usize..).and_then(next) else {
                self.0 = LOST;
                done.unknown += whole - at;
                return;
            };
            if data {
                done.app += u32::from(len.saturating_sub(overhead));
                done.records += 1;
                done.largest = done.largest.max(u32::from(len));
            }
            at += HEADER + u32::from(len);
        }
        self.0 = (at - whole) as u16;
    }
}

/// Whether a plausible record header begins one of application data, and its length.
#[inline]
fn next(bytes: &[u8]) -> Option<(bool, u16)> {
    // One comparison for what nearly every header says.
    if let Some(head) = bytes.first_chunk::<8>().map(|head| u64::from_be_bytes(*head)) {
        let len = (head >> 24) as u16;
        if head >> 40 == USUAL && len <= MAX_RECORD {
            return Some((true, len));
        }
    }
    unusual(bytes)
}

#[cold]
fn unusual(bytes: &[u8]) -> Option<(bool, u16)> {
    let &[kind, major, minor, hi, lo] = bytes.first_chunk::<5>()?;
    let len = u16::from_be_bytes([hi, lo]);
    let plausible = (20..=24).contains(&kind) && major == 3 && minor <= 4 && len <= MAX_RECORD;
    plausible.then_some((kind == APPLICATION, len))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(kind: u8, len: u16) -> Vec<u8> {
        let mut v = vec![kind, 3, 3, (len >> 8) as u8, len as u8];
        v.resize(5 + len as usize, 0xaa);
        v
    }

    #[test]
    fn counts_application_bytes_however_cut() {
        let stream = [record(22, 300), record(23, 1017), record(23, 2017), record(21, 19)].concat();
        for cut in [1usize, 4, 5, 6, 100, 1000, 5000] {
            let mut f = Follower::START;
            let mut sum = Followed::default();
            for piece in stream.chunks(cut) {
                let d = f.walk(piece, piece.len() as u32, 17);
                sum.app += d.app;
                sum.records += d.records;
                sum.unknown += d.unknown;
            }
            // A header that is cut loses the place; nothing is counted twice or invented.
            assert!(sum.app <= 3000, "{cut}: {sum:?}");
            if cut >= 5000 {
                assert_eq!((sum.app, sum.records, sum.unknown), (3000, 2, 0));
            }
        }
    }

    #[test]
    fn both_ways_of_walking_agree() {
        let mut stream =
            [record(22, 300), record(23, 1017), record(23, 5), record(21, 19), record(23, 0)].concat();
        stream.extend([23, 3, 1, 0, 2, 0, 0, 23, 3, 3, 0xff, 0xff]);
        for cut in 1..200 {
            let mut follower = Follower::START;
            for piece in stream.chunks(cut) {
                let (mut walked, mut on) = (follower, follower);
                let done = walked.walk(piece, cut.min(piece.len()) as u32, 0);
                if follower.is_lost() {
                    assert_eq!(Follower::may_begin(piece), done.records > 0);
                } else if walked.is_lost() {
                    assert_eq!((on.walk_on(piece, piece.len() as u32), on), (None, follower));
                } else {
                    assert_eq!((on.walk_on(piece, piece.len() as u32), on), (Some(done), walked));
                }
                follower = walked;
            }
        }
    }

    #[test]
    fn what_lies_inside_a_record_is_passed() {
        let mut f = Follower::START;
        assert!(!f.pass(1) && f.pass(0) && f == Follower::START);
        f.walk(&record(23, 1000)[..105], 105, 17);
        let mut walked = f;
        assert!(!f.pass(901) && f == walked);
        walked.walk(&[0xaa; 900], 900, 17);
        assert!(f.pass(900) && f == walked && f == Follower::START);
        let mut lost = Follower::LOST;
        assert!(!lost.pass(0) && lost.is_lost());
    }

    #[test]
    fn finds_its_place_again() {
        let mut f = Follower::LOST;
        assert_eq!(f.walk(b"rubbish", 7, 17).unknown, 7);
        let next = record(23, 117);
        let done = f.walk(&next, next.len() as u32, 17);
        assert_eq!(done, Followed { app: 100, records: 1, largest: 117, ..Followed::default() });
        assert_eq!(f, Follower::START);
    }

    #[test]
    fn counts_what_was_sent_while_lost() {
        let mut f = Follower::LOST;
        for _ in 0..100 {
            f.walk(&[0; 8], 1_448, 17);
        }
        let sent = f.sent().unwrap_or_default();
        assert!((140_000..150_000).contains(&sent), "{sent}");
        f.walk(&[0; 8], u32::MAX, 17);
        assert_eq!(f.sent(), Some(u64::from(SENT) << UNIT));
        f.answered(false);
        assert_eq!((f, f.sent()), (Follower::LOST, Some(0)));
        f.answered(true);
        assert_eq!((f.is_lost(), f.sent(), f.is_fresh()), (true, Some(0), true));
        assert!(f.walk(&[0; 8], 640, 17).fresh && !f.is_fresh());
        assert_eq!(f.sent(), Some(640));
        let mut f = Follower::START;
        f.answered(true);
        assert_eq!((f, f.sent()), (Follower::START, None));
    }

    #[test]
    fn cut_captures_keep_the_place_inside_a_record() {
        let full = record(23, 1000);
        let mut f = Follower::START;
        f.walk(&full[..20], 1005, 17);
        assert_eq!(f, Follower::START);
    }
}
