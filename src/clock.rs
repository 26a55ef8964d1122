//! Packet time: never backwards, and forward by more than an hour only when many frames agree.

use crate::units::{Span, Timestamp};

/// A stamp further ahead than this is doubted.
const LEAP: Span = Span::from_secs(3_600);
/// So many frames in a row have to agree before a leap is believed.
const AGREEING: u32 = 32;
/// Length of a tick.
const TICK_NANOS: i64 = 1_000_000_000;

/// The one clock of a run. Its time comes from the stamps of the frames, never from the machine.
#[derive(Clone, Debug)]
pub struct Clock {
    now: Timestamp,
    /// First point of the tick grid not yet told; `None` before the first frame.
    next_tick: Option<i64>,
    /// Latest stamp of the leap that is being doubted.
    leap_to: Timestamp,
    /// Frames in a row that agree with it.
    agreed: u32,
    time_back: u64,
    time_jump: u64,
}

impl Default for Clock {
    fn default() -> Self {
        Self::new()
    }
}

impl Clock {
    /// A clock that takes its time from the first frame.
    pub const fn new() -> Self {
        Self {
            now: Timestamp::MIN,
            next_tick: None,
            leap_to: Timestamp::MIN,
            agreed: 0,
            time_back: 0,
            time_jump: 0,
        }
    }

    /// The time of the frames so far; [`Timestamp::MIN`] before the first.
    pub const fn now(&self) -> Timestamp {
        self.now
    }

    /// Frames whose stamp was earlier than the clock.
    pub const fn time_back(&self) -> u64 {
        self.time_back
    }

    /// Leaps of more than an hour that stamps made, believed or not; frames that agree count as one leap.
    pub const fn time_jump(&self) -> u64 {
        self.time_jump
    }

    /// Takes in a stamp that lies between now and the next point of the grid, as nearly all do: then it is the time to go
    /// by, and no tick is due. False: nothing has been done, and it is for [`Clock::advance`].
    #[inline]
    pub fn step(&mut self, at: Timestamp) -> bool {
        let ordinary = at >= self.now && self.next_tick.is_some_and(|next| at.nanos() < next);
        if ordinary {
            self.now = at;
            self.agreed = 0;
        }
        ordinary
    }

    /// Takes in the stamp of the next frame and gives the time to go by.
    #[inline]
    pub fn advance(&mut self, at: Timestamp) -> Timestamp {
        let ahead = at.nanos().wrapping_sub(self.now.nanos());
        // Both ends of the range in one comparison; a difference that wrapped is negative or judged below.
        if (0..=LEAP.nanos()).contains(&ahead) && at >= self.now && self.next_tick.is_some() {
            self.now = at;
            self.agreed = 0;
            return at;
        }
        self.doubt(at)
    }

    #[cold]
    fn doubt(&mut self, at: Timestamp) -> Timestamp {
        if self.next_tick.is_none() {
            self.now = at;
            self.next_tick = Some(after(at));
        } else if at < self.now {
            self.time_back = self.time_back.saturating_add(1);
            self.agreed = 0;
        } else if self.agreed > 0 && at.since(self.leap_to).max(self.leap_to.since(at)) <= LEAP {
            self.agreed += 1;
            self.leap_to = self.leap_to.max(at);
            if self.agreed >= AGREEING {
                self.now = self.leap_to;
                self.agreed = 0;
            }
        } else {
            self.time_jump = self.time_jump.saturating_add(1);
            self.leap_to = at;
            self.agreed = 1;
        }
        self.now
    }

    /// The newest whole second that has been reached since the last call, if any: one tick, however many seconds
    /// went by. The first frame's own second is no tick.
    #[inline]
    pub fn ticks_due(&mut self) -> Option<Timestamp> {
        let next = self.next_tick?;
        if self.now.nanos() < next || next == i64::MAX {
            return None;
        }
        let following = after(self.now);
        self.next_tick = Some(following);
        Some(Timestamp::from_nanos(self.now.secs().saturating_mul(TICK_NANOS)))
    }
}

/// The first grid point later than `at`.
fn after(at: Timestamp) -> i64 {
    (at.secs() + 1).saturating_mul(TICK_NANOS)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn secs(s: i64) -> Timestamp {
        Timestamp::new(s, 0)
    }

    fn started(at: i64) -> Clock {
        let mut clock = Clock::new();
        assert_eq!(clock.advance(secs(at)), secs(at));
        clock
    }

    #[test]
    fn follows_stamps_and_stays_when_they_go_back() {
        let mut clock = started(100);
        assert_eq!(clock.advance(secs(101)), secs(101));
        assert_eq!(clock.advance(secs(99)), secs(101));
        assert_eq!(clock.advance(secs(i64::MIN)), secs(101));
        assert_eq!(clock.advance(secs(101)), secs(101));
        assert_eq!(clock.advance(secs(3_701)), secs(3_701), "exactly an hour is no leap");
        assert_eq!((clock.time_back(), clock.time_jump()), (2, 0));
    }

    #[test]
    fn a_leap_needs_32_in_a_row() {
        let mut clock = started(0);
        for i in 0..31 {
            assert_eq!(clock.advance(secs(10_000 + i % 7)), secs(0), "{i}");
        }
        assert_eq!(clock.advance(secs(10_001)), secs(10_006), "the latest that was agreed on");
        assert_eq!(clock.time_jump(), 1);
        assert_eq!(clock.advance(secs(10_002)), secs(10_006));
        assert_eq!(clock.time_back(), 1);
    }

    #[test]
    fn whatever_lies_between_breaks_the_row() {
        for between in [0, 1, -5, 90_000] {
            let mut clock = started(0);
            for _ in 0..31 {
                clock.advance(secs(10_000));
            }
            clock.advance(secs(between));
            for i in 0..31 {
                assert!(clock.advance(secs(10_000)) < secs(10), "{between} {i}");
            }
            assert_eq!(clock.advance(secs(10_000)), secs(10_000), "{between}");
        }
    }

    #[test]
    fn wild_stamps_never_wrap() {
        let mut clock = Clock::new();
        for nanos in [i64::MIN, i64::MAX, 0, i64::MIN + 1, -1, i64::MAX - 1, i64::MIN] {
            let before = clock.now();
            assert!(clock.advance(Timestamp::from_nanos(nanos)) >= before);
            assert!(clock.now() <= Timestamp::from_nanos(i64::MIN + 1), "nothing agreed");
            clock.ticks_due();
        }
        for _ in 0..40 {
            clock.advance(Timestamp::from_nanos(i64::MAX));
        }
        assert_eq!(clock.now(), Timestamp::from_nanos(i64::MAX));
        assert!(clock.ticks_due().is_some());
        assert_eq!(clock.ticks_due(), None);
        let mut clock = started(-1);
        clock.advance(secs(0));
        assert_eq!(clock.ticks_due(), Some(secs(0)));
    }

    #[test]
    fn ticks_lie_on_whole_seconds() {
        let mut clock = Clock::new();
        assert_eq!(clock.ticks_due(), None);
        let mut ticks = Vec::new();
        for ms in [10_500, 10_999, 11_000, 11_000, 11_001, 15_250, 14_000, 15_999, 16_000] {
            clock.advance(Timestamp::from_nanos(ms * 1_000_000));
            ticks.extend(clock.ticks_due());
            assert_eq!(clock.ticks_due(), None);
        }
        assert_eq!(ticks, [secs(11), secs(15), secs(16)]);
    }
}
