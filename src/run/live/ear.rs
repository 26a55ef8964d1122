//! The detector's thread: hears the workers in the order of time, judges, and hands records on.

use super::super::keep::{Checkpoints, Keep};
use super::feeds::Feeds;
use super::merge::Merge;
use super::pending::Pending;
use super::{BEAT, Counts, Message, WARN_EVERY};
use crate::capture::live::Notice;
use crate::counters::{FrontCounters, Stats};
use crate::detect::Detector;
use crate::detect::blind::Blind;
use crate::output::Record;
use crate::state::Batch;
use crate::units::Timestamp;
use crossbeam_channel::{Receiver, RecvTimeoutError, Sender};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// See the module.
pub(super) struct Ear {
    pub(super) workers: usize,
    pub(super) stats_every: Duration,
    pub(super) pending: Pending,
    pub(super) show: Sender<Notice>,
    /// The end has been asked for.
    pub(super) stop: Arc<AtomicBool>,
    /// How long a writer that takes nothing is waited for at the end.
    pub(super) last_lines: Duration,
    /// Checkpoints go to the writer by a way of their own: logs that wait hold up no alert.
    pub(super) to_state: Sender<Keep>,
    pub(super) checkpoints: Checkpoints,
    /// Endpoint logs.
    pub(super) feeds: Feeds,
}

impl Ear {
    /// Hears until the workers are gone. Gives the detector, and how many records were left out.
    pub(super) fn detect(mut self, mut detector: Detector, hear: &Receiver<Message>) -> (Detector, u64) {
        let mut merge = Merge::new(self.workers);
        let mut counts = vec![Counts::default(); self.workers];
        let mut watch = Watch::default();
        let mut told_stats = Instant::now();
        loop {
            let message = hear.recv_timeout(BEAT);
            let at = Instant::now();
            match message {
                Ok(message) => {
                    if let (Some(new), Some(old)) = (message.counts, counts.get_mut(message.worker)) {
                        *old = *new;
                    }
                    if let Some(sums) = message.sums {
                        self.pending.add_sums(sums);
                    }
                    merge.push(message.worker, message.told, message.mark, at);
                }
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => break,
            }
            while let Some(told) = merge.pop(at) {
                detector.observe(told);
            }
            detector.count_late(merge.take_late());
            self.feeds.pass_on(&mut detector, merge.now());
            if let Some(now) = merge.now() {
                detector.idle(now);
            }
            self.pass_on(&mut detector, &merge, at);
            if at.duration_since(told_stats) >= self.stats_every {
                told_stats = at;
                let stats = self.stats(&counts, &detector, at);
                watch.look(&stats, at, &self.show);
                let now = merge.now().unwrap_or_default();
                self.pending.push(Record::Stats(Box::new(stats), now), now, None);
            }
        }
        while let Some(told) = merge.pop_last() {
            detector.observe(told);
        }
        detector.count_late(merge.take_late());
        self.feeds.finish(&mut detector, merge.now());
        detector.finish(merge.now().unwrap_or_default());
        let end = Instant::now();
        self.pass_on(&mut detector, &merge, end);
        if let Some(now) = merge.now().filter(|_| detector.is_kept()) {
            let more = |batch: &mut Batch| self.feeds.freeze(batch);
            for keep in self.checkpoints.at_once(&mut detector, &more, now, true, Vec::new()) {
                // A writer that takes nothing any more leaves the state as it was.
                let _ = self.to_state.send_timeout(keep, self.last_lines);
            }
        }
        self.pending.finish(self.last_lines);
        (detector, self.pending.left_out())
    }

    fn pass_on(&mut self, detector: &mut Detector, merge: &Merge, at: Instant) {
        let now = merge.now();
        // At the end nothing is lost by waiting; before, a worker would be held up, and then the ring.
        let patience = self.stop.load(Ordering::Relaxed).then_some(self.last_lines);
        let (incidents, records): (Vec<Record>, Vec<Record>) = detector
            .take_records()
            .into_iter()
            .partition(|record| detector.is_kept() && matches!(record, Record::Incident(_)));
        for record in records {
            self.pending.push(record, now.unwrap_or_default(), patience);
        }
        if let Some(now) = now.filter(|_| detector.is_kept()) {
            self.keep(detector, incidents, now, at);
        }
        self.pending.pass_on(now);
    }

    /// A slice of a checkpoint; a whole one at once when there are incidents: neither is to be without the other.
    fn keep(&mut self, detector: &mut Detector, incidents: Vec<Record>, now: Timestamp, at: Instant) {
        let more = |batch: &mut Batch| self.feeds.freeze(batch);
        if incidents.is_empty() {
            if !self.to_state.is_full()
                && let Some(keep) = self.checkpoints.turn(detector, &more, now, at)
            {
                let _ = self.to_state.try_send(keep);
            }
        } else if self.to_state.is_empty() {
            for keep in self.checkpoints.at_once(detector, &more, now, false, incidents) {
                let _ = self.to_state.try_send(keep);
            }
        } else {
            // The writer is behind: alerts first, the state with the next checkpoint.
            incidents.into_iter().for_each(|record| self.pending.push(record, now, None));
        }
    }

    fn stats(&self, counts: &[Counts], detector: &Detector, at: Instant) -> Stats {
        let mut front = FrontCounters::default();
        counts.iter().for_each(|c| front.add(&c.front));
        let spans = counts.iter().filter_map(|c| c.span);
        let span = spans.reduce(|a, b| (a.0.min(b.0), a.1.max(b.1)));
        Stats {
            logs: None,
            uptime_secs: span.map_or(0, |(first, last)| last.since(first).secs() as u64),
            front,
            fronts: counts.iter().map(|c| c.front.clone()).collect(),
            workers: counts.iter().map(|c| c.worker.clone()).collect(),
            detect: detector.counters(),
            feeds: self.feeds.look(at, &self.show),
            // The writer adds what it knows.
            lines: 0,
            dropped: self.pending.left_out(),
        }
    }
}

/// Warns of losses, of each kind once a minute at most.
#[derive(Default)]
struct Watch {
    kinds: [Warned; 4],
    blind: [Warned; Blind::COUNT],
}

/// One kind of loss: when it was warned of, and what had been lost by then.
#[derive(Clone, Copy, Default)]
struct Warned {
    at: Option<Instant>,
    lost: u64,
    of: u64,
}

impl Watch {
    fn look(&mut self, stats: &Stats, at: Instant, show: &Sender<Notice>) {
        for ((warned, hours), blind) in self.blind.iter_mut().zip(stats.detect.blind).zip(Blind::ALL) {
            if hours > warned.lost {
                let _ = show.try_send(Notice::Blind(blind.text()));
                *warned = Warned { at: Some(at), lost: hours, of: 0 };
            }
        }
        let total = stats.total();
        let kinds: [(u64, u64, fn(u64, u64) -> Notice); 4] = [
            (stats.front.kernel_drops, stats.front.kernel_frames, Notice::Drops),
            (total.thinned, 0, |lost, _| Notice::Behind(lost)),
            (stats.dropped, 0, |lost, _| Notice::LogsBehind(lost)),
            (total.evicted, total.opened, Notice::TableFull),
        ];
        for (warned, (lost, of, notice)) in self.kinds.iter_mut().zip(kinds) {
            let quiet = warned.at.is_some_and(|then| at.duration_since(then) < WARN_EVERY);
            if lost > warned.lost && !quiet {
                let _ = show.try_send(notice(lost - warned.lost, of.saturating_sub(warned.of)));
                *warned = Warned { at: Some(at), lost, of };
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::counters::WorkerCounters;
    use crossbeam_channel::unbounded;

    #[test]
    fn each_loss_is_warned_of_once_a_minute_with_all_that_was_lost_since() {
        let (show, shown) = unbounded();
        let mut watch = Watch::default();
        let start = Instant::now();
        for second in 0..=120u64 {
            let front = FrontCounters {
                kernel_drops: second,
                kernel_frames: second * 10,
                ..FrontCounters::default()
            };
            let worker =
                WorkerCounters { evicted: u64::from(second > 0), opened: 7, ..WorkerCounters::default() };
            let stats = Stats { front, workers: vec![worker], ..Stats::default() };
            watch.look(&stats, start + Duration::from_secs(second), &show);
        }
        let all: Vec<Notice> = shown.try_iter().collect();
        assert_eq!(all, [Notice::Drops(1, 10), Notice::TableFull(1, 7), Notice::Drops(60, 600)]);
    }
}
