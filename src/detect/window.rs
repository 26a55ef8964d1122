//! Bytes of a trailing window, kept in 24 slots.

use crate::units::{Span, Timestamp};
use serde::{Deserialize, Serialize};

/// Number of slots. The window forgets in steps of a 24th of its length.
const SLOTS: usize = 24;

/// A sliding sum of bytes out and in.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Window {
    /// Bytes (out, in) per slot.
    #[serde(with = "crate::state::forms::array")]
    slots: [(u64, u64); SLOTS],
    sum: (u64, u64),
    /// Number of the newest slot.
    newest: i64,
}

impl Window {
    /// An empty window that ends now.
    pub fn new(now: Timestamp, length: Span) -> Self {
        Self { slots: [(0, 0); SLOTS], sum: (0, 0), newest: number(now, length) }
    }

    /// Forgets what is older than the window.
    pub fn advance(&mut self, now: Timestamp, length: Span) {
        let number = number(now, length);
        let steps = number.saturating_sub(self.newest);
        if steps <= 0 {
            return;
        }
        for step in 1..=steps.min(SLOTS as i64) {
            let slot = &mut self.slots[place(self.newest.saturating_add(step))];
            self.sum.0 -= slot.0;
            self.sum.1 -= slot.1;
            *slot = (0, 0);
        }
        self.newest = number;
    }

    /// Adds bytes to the newest slot. Call [`Window::advance`] first.
    pub fn add(&mut self, out: u64, into: u64) {
        let slot = &mut self.slots[place(self.newest)];
        // Sums of 64-bit byte counts cannot be reached by traffic; saturating keeps a forged capture from panicking.
        let (a, b) = (slot.0.saturating_add(out), slot.1.saturating_add(into));
        self.sum.0 = self.sum.0.saturating_add(a - slot.0);
        self.sum.1 = self.sum.1.saturating_add(b - slot.1);
        *slot = (a, b);
    }

    /// Takes bytes out again that were booked here by mistake; never more than there are.
    pub fn withdraw(&mut self, mut out: u64, mut into: u64) {
        for back in 0..SLOTS as i64 {
            let slot = &mut self.slots[place(self.newest.saturating_sub(back))];
            let part = (slot.0.min(out), slot.1.min(into));
            (slot.0, slot.1) = (slot.0 - part.0, slot.1 - part.1);
            self.sum = (self.sum.0 - part.0, self.sum.1 - part.1);
            (out, into) = (out - part.0, into - part.1);
        }
    }

    /// Bytes out within the window.
    pub const fn out(&self) -> u64 {
        self.sum.0
    }

    /// Bytes in within the window.
    pub const fn inward(&self) -> u64 {
        self.sum.1
    }
}

fn number(now: Timestamp, length: Span) -> i64 {
    now.nanos().div_euclid((length.nanos() / SLOTS as i64).max(1))
}

fn place(number: i64) -> usize {
    number.rem_euclid(SLOTS as i64) as usize
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAY: Span = Span::from_secs(86_400);

    #[test]
    fn forgets_after_its_length() {
        let at = |h: i64| Timestamp::new(h * 3_600, 0);
        let mut w = Window::new(at(0), DAY);
        w.add(10, 1);
        for h in 1..24 {
            w.advance(at(h), DAY);
            w.add(10, 1);
        }
        assert_eq!((w.out(), w.inward()), (240, 24));
        w.advance(at(24), DAY);
        assert_eq!(w.out(), 230);
        w.advance(at(1_000_000), DAY);
        assert_eq!((w.out(), w.inward()), (0, 0));
        w.add(5, 0);
        w.add(0, 3);
        w.withdraw(9, 2);
        assert_eq!((w.out(), w.inward()), (0, 1));
    }

    #[test]
    fn time_that_goes_back_is_booked_now() {
        let mut w = Window::new(Timestamp::new(1_000_000, 0), DAY);
        w.advance(Timestamp::MIN, DAY);
        w.add(7, 0);
        assert_eq!(w.out(), 7);
    }
}
