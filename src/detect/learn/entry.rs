//! What one host sends to one destination: the trailing hours and days, and what was usual before. Two cache lines,
//! because there may be millions: what moves is exact, what is over is kept on a logarithmic scale of 9 % steps.

use super::ring::{Peaks, Ring, quantise, value};
use serde::{Deserialize, Serialize};

/// Length of a slot in seconds; days begin with one.
pub const SLOT_SECS: i64 = 3 * 3_600;
/// Slots of the trailing day before the newest.
const PAST: usize = 7;
/// Slots of a day.
const A_DAY: u32 = 8;
/// Unit of volumes that are over.
pub const VOLUME_UNIT: u64 = 64;
/// Connections of an hour that are worth a first look, however small.
const BUSY: u16 = 12;
/// Intervals of a rhythm differ from their mean by less than this share of it.
const STEADY: f32 = 0.2;

/// State of a (host, destination).
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Entry {
    /// Place of the host.
    pub host: u32,
    /// Place of the destination.
    pub target: u32,
    /// Bytes of the newest slot: out and in of all connections; out and in of those that send more than they fetch, so
    /// that a download beside an upload is left out.
    newest: [f32; 4],
    /// The same of the slots before, at their numbers modulo seven.
    past: [[u8; 4]; PAST],
    /// Connections of those.
    past_opened: [u8; PAST],
    /// It has been used since the last day was ended.
    pub touched: bool,
    /// Volumes of earlier days.
    pub days: Ring,
    /// Connections of earlier days.
    pub counts: Peaks,
    /// Largest hours of earlier days, in connections.
    pub hours: Peaks,
    /// First day seen.
    first_day: u16,
    /// Number of the newest hour: of the newest slot and day as well.
    hour: u32,
    /// Connections of the newest slot, of the newest hour, of the largest hour of that day.
    opened: u16,
    hour_opened: u16,
    largest_hour: u16,
    /// Bytes out in the newest hour, and in the one before.
    hour_bytes: f32,
    last_hour_bytes: u8,
    /// When a connection was opened last; mean of the intervals in seconds since the rhythm began; how many there were.
    beat: u32,
    beat_mean: u16,
    beats: u8,
    /// Nothing is judged below so many bytes out in the newest slot: the level of the trailing day without what its
    /// other slots have. Who moves bytes only adds and compares.
    alert_at: f32,
    /// Nor below so many connections in the newest hour.
    alert_count: u16,
}

const _: () = assert!(size_of::<Entry>() <= 128);

impl Entry {
    /// Nothing yet. `floor`: bytes of a day that are worth a first look.
    pub fn new(host: u32, target: u32, secs: i64, floor: u64) -> Self {
        let hour = hour_of(secs);
        Self {
            host,
            target,
            newest: [0.0; 4],
            past: [[0; 4]; PAST],
            past_opened: [0; PAST],
            touched: false,
            days: Ring::new(),
            counts: Peaks::default(),
            hours: Peaks::default(),
            first_day: (hour / 24) as u16,
            hour,
            opened: 0,
            hour_opened: 0,
            largest_hour: 0,
            hour_bytes: 0.0,
            last_hour_bytes: 0,
            beat: secs_of(secs),
            beat_mean: 0,
            beats: 0,
            alert_at: floor as f32,
            alert_count: BUSY,
        }
    }

    /// First day seen.
    pub const fn first_day(&self) -> u32 {
        self.first_day as u32
    }

    /// Newest day seen.
    pub const fn day(&self) -> u32 {
        self.hour / 24
    }

    const fn slot(&self) -> u32 {
        self.hour / 3
    }

    /// Bytes out of the newest day so far.
    pub fn today(&self) -> u64 {
        self.of_today(|e, at| value(e.past[at][0], VOLUME_UNIT), self.newest[0] as u64)
    }

    /// Connections of the newest day so far.
    pub fn today_count(&self) -> u64 {
        self.of_today(|e, at| value(e.past_opened[at], 1), u64::from(self.opened))
    }

    /// Connections of the largest hour of the newest day.
    pub const fn today_hour(&self) -> u32 {
        self.largest_hour as u32
    }

    fn of_today(&self, past: impl Fn(&Self, usize) -> u64, newest: u64) -> u64 {
        let slot = self.slot();
        let before = (slot - slot % A_DAY..slot).map(|n| past(self, place(n)));
        before.fold(newest, u64::saturating_add)
    }

    /// Ends the day if a new one has begun. True: it has.
    pub fn roll(&mut self, secs: i64, floor: u64) -> bool {
        let (day, now) = (self.day(), hour_of(secs));
        if now / 24 <= day {
            return false;
        }
        let known = self.days.next();
        self.counts.store(known, day, self.today_count());
        self.hours.store(known, day, u64::from(self.largest_hour));
        self.days.store(day, self.today().max(1), VOLUME_UNIT);
        self.advance(now);
        (self.largest_hour, self.alert_count) = (0, BUSY);
        self.alert_at = floor as f32 - self.past_out();
        true
    }

    /// Time goes on to an hour.
    fn advance(&mut self, hour: u32) {
        if hour <= self.hour {
            return;
        }
        let (old, new) = (self.slot(), hour / 3);
        if new > old {
            self.alert_at += self.past_out();
            let q = |bytes: f32| quantise(bytes as u64, VOLUME_UNIT);
            self.past[place(old)] = self.newest.map(q);
            self.past_opened[place(old)] = quantise(u64::from(self.opened), 1);
            (self.newest, self.opened) = ([0.0; 4], 0);
            // Slots between were empty.
            for empty in (old + 1..new).take(PAST) {
                (self.past[place(empty)], self.past_opened[place(empty)]) = ([0; 4], 0);
            }
            self.alert_at -= self.past_out();
        }
        let last = if hour == self.hour + 1 { self.hour_bytes as u64 } else { 0 };
        self.last_hour_bytes = quantise(last, VOLUME_UNIT);
        (self.hour_bytes, self.hour_opened, self.hour) = (0.0, 0, hour);
    }

    /// Books bytes. The day must have been rolled.
    pub fn add(&mut self, secs: i64, up: u64, down: u64, push: bool, opened: u32) {
        self.advance(hour_of(secs));
        let (up, down) = (up as f32, down as f32);
        self.newest[0] += up;
        self.newest[1] += down;
        if push {
            self.newest[2] += up;
            self.newest[3] += down;
        }
        self.hour_bytes += up;
        if opened > 0 {
            let opened = opened.min(0xffff) as u16;
            self.opened = self.opened.saturating_add(opened);
            self.hour_opened = self.hour_opened.saturating_add(opened);
            self.largest_hour = self.largest_hour.max(self.hour_opened);
            self.keep_time(secs_of(secs));
        }
    }

    /// An interval that is not like those before begins the rhythm anew.
    fn keep_time(&mut self, secs: u32) {
        let interval = secs.saturating_sub(self.beat) as f32;
        let mean = f32::from(self.beat_mean);
        let like = self.beats > 0 && (interval - mean).abs() <= STEADY * mean;
        self.beats = if like { self.beats.saturating_add(1) } else { 1 };
        let mean = if like { mean + (interval - mean) / f32::from(self.beats) } else { interval };
        (self.beat, self.beat_mean) = (secs, mean.round() as u16);
    }

    /// Intervals between connections that were alike: how many, and their mean in seconds.
    pub fn rhythm(&self) -> (u32, f64) {
        (u32::from(self.beats), f64::from(self.beat_mean))
    }

    /// Takes back bytes that were booked by mistake, the newest first; never more than there are.
    pub fn withdraw(&mut self, bytes: (u64, u64)) {
        for (row, bytes) in [bytes.0, bytes.1, bytes.0, bytes.1].into_iter().enumerate() {
            let part = (bytes as f32).min(self.newest[row]);
            self.newest[row] -= part;
            let mut left = bytes.saturating_sub(part as u64);
            for back in 1..=PAST as u32 {
                let at = place(self.slot().saturating_sub(back));
                let was = value(self.past[at][row], VOLUME_UNIT);
                let part = was.min(left);
                if part > 0 {
                    self.past[at][row] = quantise(was - part, VOLUME_UNIT);
                    left -= part;
                }
            }
        }
        self.opened = self.opened.saturating_sub(1);
    }

    fn past_out(&self) -> f32 {
        self.past.iter().map(|slot| value(slot[0], VOLUME_UNIT) as f32).sum()
    }

    fn sum(&self, row: usize) -> u64 {
        let past = self.past.iter().map(|slot| value(slot[row], VOLUME_UNIT));
        past.fold(self.newest[row] as u64, u64::saturating_add)
    }

    /// Bytes out of the trailing day.
    pub fn day_out(&self) -> u64 {
        self.sum(0)
    }

    /// Bytes out and in of the trailing day.
    pub fn day_bytes(&self) -> (u64, u64) {
        (self.sum(0), self.sum(1))
    }

    /// The same of connections that send more than they fetch.
    pub fn push_bytes(&self) -> (u64, u64) {
        (self.sum(2), self.sum(3))
    }

    /// Connections of the trailing day.
    pub fn day_count(&self) -> u32 {
        let past = self.past_opened.iter().map(|n| value(*n, 1) as u32);
        past.fold(u32::from(self.opened), u32::saturating_add)
    }

    /// Connections of the newest hour.
    pub fn hour_count(&self) -> u32 {
        u32::from(self.hour_opened)
    }

    /// Bytes of the newest hour and the one before.
    pub fn hour_bytes(&self) -> u64 {
        (self.hour_bytes as u64).saturating_add(value(self.last_hour_bytes, VOLUME_UNIT))
    }

    /// Bytes or connections have come to where a look is worth it.
    pub fn is_due(&self) -> bool {
        self.newest[0] >= self.alert_at || self.hour_opened >= self.alert_count
    }

    /// It has been judged: a tenth more bytes, the next of `levels`, or an eighth more connections, are worth another
    /// look.
    pub fn judged(&mut self, levels: &[u64]) {
        let past = self.past_out();
        let now = past + self.newest[0];
        let above = levels.iter().map(|level| *level as f32).filter(|level| *level > now);
        self.alert_at = above.fold(now * 1.1, f32::min) - past;
        self.alert_count = self.hour_opened.saturating_add(self.hour_opened / 8 + 1);
    }

    /// Worth keeping above others when memory is short: what has ever moved a material volume stays.
    pub fn is_light(&self, now_day: u32) -> bool {
        let (day, today) = (self.day(), self.today());
        let heaviest = self.days.stats(day.saturating_sub(28), day).max;
        today < 100_000 && heaviest < 3.2 && (now_day > day || today < 10_000)
    }
}

/// The day of a time in seconds; time ends in the year 2149.
pub fn day_of(secs: i64) -> u32 {
    hour_of(secs) / 24
}

fn secs_of(secs: i64) -> u32 {
    secs.clamp(0, i64::from(u32::MAX)) as u32
}

fn hour_of(secs: i64) -> u32 {
    secs.div_euclid(3_600).clamp(0, i64::from(u16::MAX) * 24) as u32
}

const fn place(slot: u32) -> usize {
    slot as usize % PAST
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: i64 = 3_600;

    #[test]
    fn a_trailing_day() {
        let mut e = Entry::new(1, 2, 0, 1_000);
        for hour in 0..48 {
            e.roll(hour * HOUR, 1_000);
            e.add(hour * HOUR, 1_000_000, 10_000, true, 1);
            e.add(hour * HOUR, 1_000, 50_000, false, 0);
        }
        let near = |a: u64, b: f64| assert!((a as f64 / b - 1.0).abs() < 0.05, "{a} {b}");
        near(e.day_out(), 24.0 * 1_001_000.0);
        near(e.push_bytes().1, 24.0 * 10_000.0);
        near(u64::from(e.day_count()), 24.0);
        near(e.today(), 24.0 * 1_001_000.0);
        assert_eq!(e.days.stats(0, 2).n, 1);
        near(e.hour_bytes(), 2.0 * 1_001_000.0);
        // A day of silence, and the trailing day is empty.
        e.roll(73 * HOUR, 1_000);
        e.add(73 * HOUR, 0, 0, false, 0);
        assert_eq!((e.day_out(), e.day_count(), e.today()), (0, 0, 0));
        assert_eq!(e.days.stats(0, 4).n, 2);
    }

    #[test]
    fn what_is_taken_back_is_gone_and_no_more() {
        let mut e = Entry::new(1, 2, 0, 1_000);
        e.add(0, 1_000_000, 0, true, 1);
        e.add(4 * HOUR, 500_000, 0, true, 1);
        e.withdraw((600_000, 0));
        let left = e.day_out();
        assert!((850_000..950_000).contains(&left), "{left}");
        e.withdraw((u64::MAX, u64::MAX));
        assert_eq!((e.day_out(), e.push_bytes()), (0, (0, 0)));
    }

    #[test]
    fn a_rhythm_and_its_end() {
        let mut e = Entry::new(1, 2, 0, 1_000);
        for beat in 1..=20 {
            e.add(beat * 60 + beat % 3, 100, 100, true, 1);
        }
        assert!(e.rhythm().0 >= 15 && (e.rhythm().1 - 60.0).abs() < 3.0, "{:?}", e.rhythm());
        e.add(3_000, 100, 100, true, 1);
        assert_eq!(e.rhythm().0, 1);
    }

    #[test]
    fn looked_at_when_there_is_a_tenth_more() {
        let mut e = Entry::new(1, 2, 0, 1_000);
        let mut looks = Vec::new();
        for step in 0..200 {
            let secs = step * 600;
            e.roll(secs, 1_000);
            e.add(secs, 400, 0, true, 0);
            if e.is_due() {
                looks.push(e.day_out());
                e.judged(&[]);
            }
        }
        assert_eq!(looks[0], 1_200);
        assert!(looks.len() < 60, "{looks:?}");
        // Never more than a tenth (and a step of the scale) behind.
        let behind = |w: &[u64]| w[1] as f64 <= w[0] as f64 * 1.25 + 400.0;
        assert!(looks.windows(2).all(behind), "{looks:?}");
    }

    #[test]
    fn any_time_is_survived() {
        let mut e = Entry::new(1, 2, i64::MIN, 1_000);
        for secs in [i64::MIN, 0, i64::MAX, -1, 86_400, i64::MAX - 1] {
            e.roll(secs, 1_000);
            e.add(secs, u64::MAX, u64::MAX, true, u32::MAX);
            e.withdraw((1, 1));
        }
        assert!(e.day_out() > 0);
    }
}
