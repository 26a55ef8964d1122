//! Merges the tellings of live workers by packet time. Who says nothing is waited for, but not for long.

use crate::observe::Told;
use crate::units::Timestamp;
use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// How long a telling waits for a worker that is behind.
const PATIENCE: Duration = Duration::from_millis(250);

/// Queues of tellings, one per worker, each in order.
#[derive(Debug)]
pub(super) struct Merge {
    lanes: Vec<Lane>,
    /// Time of the newest telling that was let go.
    released: Timestamp,
    late: u64,
}

#[derive(Clone, Default, Debug)]
struct Lane {
    /// Tellings and when they arrived here.
    queue: VecDeque<(Instant, Told)>,
    /// Everything before has been told. `None`: no frame yet, nothing to wait for.
    mark: Option<Timestamp>,
}

impl Merge {
    pub(super) fn new(workers: usize) -> Self {
        Self { lanes: vec![Lane::default(); workers], released: Timestamp::MIN, late: 0 }
    }

    /// Takes what a worker told, and how far its clock has come.
    pub(super) fn push(&mut self, worker: usize, told: Vec<Told>, mark: Option<Timestamp>, at: Instant) {
        if let Some(lane) = self.lanes.get_mut(worker) {
            lane.queue.extend(told.into_iter().map(|t| (at, t)));
            lane.mark = mark.or(lane.mark);
        }
    }

    /// The next telling, unless another worker may still have an earlier one and there is time to wait for it.
    pub(super) fn pop(&mut self, at: Instant) -> Option<Told> {
        let (now, first) = self.first()?;
        let behind = |lane: &Lane| lane.queue.is_empty() && lane.mark.is_some_and(|mark| mark < now);
        if self.lanes.iter().any(behind) {
            let arrived = self.lanes.get(first)?.queue.front()?.0;
            if at.saturating_duration_since(arrived) < PATIENCE {
                return None;
            }
        }
        self.take(first)
    }

    /// The next telling when no worker will tell more.
    pub(super) fn pop_last(&mut self) -> Option<Told> {
        let (_, first) = self.first()?;
        self.take(first)
    }

    /// The time that every worker has reached or will be waited for no longer; `None` before the first frame.
    pub(super) fn now(&self) -> Option<Timestamp> {
        let slowest = self.lanes.iter().filter_map(|lane| lane.mark).min();
        slowest.filter(|m| *m < Timestamp::MAX).into_iter().chain(self.any_released()).max()
    }

    /// Tellings since the last call that came after later ones had been let go.
    pub(super) fn take_late(&mut self) -> u64 {
        std::mem::take(&mut self.late)
    }

    fn any_released(&self) -> Option<Timestamp> {
        (self.released > Timestamp::MIN).then_some(self.released)
    }

    fn first(&self) -> Option<(Timestamp, usize)> {
        let heads = self.lanes.iter().enumerate();
        heads.filter_map(|(i, lane)| lane.queue.front().map(|(_, told)| (told.now, i))).min()
    }

    fn take(&mut self, lane: usize) -> Option<Told> {
        let (_, mut told) = self.lanes.get_mut(lane)?.queue.pop_front()?;
        if told.now < self.released {
            self.late += 1;
            // The detector's time does not go back.
            told.now = self.released;
        }
        self.released = told.now;
        Some(told)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::observe::{FlowId, Place, Telling, tests::delta};

    fn told(now: i64) -> Told {
        let place = Place { ordinal: 0, flow_ordinal: 0, turn: 0 };
        Told { place, now: Timestamp::new(now, 0), what: Telling::Delta(delta(FlowId(now as u64))) }
    }

    const fn secs(now: i64) -> Timestamp {
        Timestamp::new(now, 0)
    }

    #[test]
    fn in_the_order_of_time_and_patient_for_a_while() {
        let start = Instant::now();
        let mut m = Merge::new(3);
        m.push(0, vec![told(5), told(9)], Some(secs(9)), start);
        m.push(1, vec![], Some(secs(4)), start);
        assert!(
            m.pop(start).is_none(),
            "the second may still tell something earlier; the third saw no frame"
        );
        m.push(1, vec![told(4)], Some(secs(6)), start);
        let order =
            |m: &mut Merge, at| std::iter::from_fn(|| m.pop(at)).map(|t| t.now.secs()).collect::<Vec<_>>();
        assert_eq!(order(&mut m, start), [4, 5]);
        assert_eq!(order(&mut m, start + PATIENCE), [9], "waited long enough");
        m.push(1, vec![told(7)], Some(secs(10)), start + PATIENCE);
        assert_eq!(m.pop(start + PATIENCE).map(|t| t.now.secs()), Some(9), "late, and time does not go back");
        assert_eq!((m.take_late(), m.take_late()), (1, 0));
        assert_eq!(m.now(), Some(secs(9)));
    }

    #[test]
    fn the_time_is_that_of_the_slowest() {
        let start = Instant::now();
        let mut m = Merge::new(2);
        assert_eq!(m.now(), None);
        m.push(0, vec![], Some(secs(8)), start);
        m.push(1, vec![], Some(secs(6)), start);
        assert_eq!(m.now(), Some(secs(6)));
        m.push(1, vec![told(30)], Some(Timestamp::MAX), start);
        m.push(0, vec![], Some(Timestamp::MAX), start);
        assert_eq!(m.pop_last().map(|t| t.now.secs()), Some(30));
        assert_eq!(m.now(), Some(secs(30)));
    }
}
