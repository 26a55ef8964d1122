//! What is due when: the next minute sorted, all later ones by the minute as they came. A day of connections in one
//! sorted heap would cost a cache miss at every step of every sift.

use crate::units::Timestamp;
use serde::{Deserialize, Serialize};
use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap};

/// Length of a minute.
const MINUTE: i64 = 60_000_000_000;
/// Bits of a slot's number.
const SLOT_BITS: u32 = 24;
/// Slots that can be told apart.
pub(super) const SLOTS: usize = 1 << SLOT_BITS;

/// When something is due, its turn among equals, and the slot it lies in: one number, so that comparing is cheap.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize, Deserialize)]
pub(super) struct Due(u128);

impl Due {
    pub(super) const fn new(at: Timestamp, turn: u64, slot: u32) -> Self {
        let at = at.nanos().wrapping_sub(i64::MIN) as u64;
        Self((at as u128) << 64 | (turn << SLOT_BITS) as u128 | (slot & (SLOTS as u32 - 1)) as u128)
    }

    pub(super) const fn at(self) -> Timestamp {
        Timestamp::from_nanos(((self.0 >> 64) as u64 as i64).wrapping_add(i64::MIN))
    }

    pub(super) const fn slot(self) -> usize {
        self.0 as usize & (SLOTS - 1)
    }

    fn minute(self) -> i64 {
        self.at().nanos().div_euclid(MINUTE)
    }
}

/// See the module.
#[derive(Debug)]
pub(super) struct Agenda {
    /// Everything before this minute.
    near: BinaryHeap<Reverse<Due>>,
    until: i64,
    far: BTreeMap<i64, Vec<Reverse<Due>>>,
    len: usize,
}

impl Default for Agenda {
    fn default() -> Self {
        Self { near: BinaryHeap::new(), until: i64::MIN, far: BTreeMap::new(), len: 0 }
    }
}

impl Agenda {
    pub(super) fn push(&mut self, due: Due) {
        self.len += 1;
        let minute = due.minute();
        if minute < self.until {
            self.near.push(Reverse(due));
        } else {
            self.far.entry(minute).or_default().push(Reverse(due));
        }
    }

    /// What is due first.
    pub(super) fn peek(&mut self) -> Option<Due> {
        if self.near.is_empty() {
            let (minute, dues) = self.far.pop_first()?;
            self.until = minute + 1;
            self.near = BinaryHeap::from(dues);
        }
        self.near.peek().map(|Reverse(due)| *due)
    }

    /// Takes what [`Agenda::peek`] has shown.
    pub(super) fn pop(&mut self) {
        self.len -= usize::from(self.near.pop().is_some());
    }

    /// All, in no order.
    pub(super) fn iter(&self) -> impl Iterator<Item = Due> {
        let far = self.far.values().flatten();
        self.near.iter().chain(far).map(|Reverse(due)| *due)
    }

    pub(super) fn len(&self) -> usize {
        self.len
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn comes_out_in_order(steps in proptest::collection::vec((0i64..500, 0u8..3), 1..300)) {
            let (mut agenda, mut plain, mut now) = (Agenda::default(), BinaryHeap::new(), 0);
            for (turn, (secs, pops)) in steps.into_iter().enumerate() {
                let due = Due::new(Timestamp::new(now + secs, -7), turn as u64, turn as u32);
                prop_assert_eq!((due.at(), due.slot()), (Timestamp::new(now + secs, -7), turn));
                agenda.push(due);
                plain.push(Reverse(due));
                for _ in 0..pops {
                    let got = agenda.peek();
                    prop_assert_eq!(got, plain.pop().map(|Reverse(due)| due));
                    agenda.pop();
                    now = got.map_or(now, |due| due.at().secs());
                }
                prop_assert_eq!(agenda.len(), plain.len());
            }
        }
    }
}
