//! What one host sends to one destination: the trailing hours and days, and what was usual before.

use super::ring::Ring;
use serde::{Deserialize, Serialize};

/// Length of a slot in seconds.
pub const SLOT_SECS: i64 = 3 * 3_600;
/// Slots of the trailing day.
const SLOTS: usize = 8;
/// Unit of daily volumes in rings.
pub const VOLUME_UNIT: u64 = 64;

/// State of a (host, destination).
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Entry {
    /// Place of the host.
    pub host: u32,
    /// Place of the destination.
    pub target: u32,
    /// Bytes out and in per slot: of all connections.
    slots: [(u64, u64); SLOTS],
    /// Bytes in of connections that send more than they fetch, per slot: a download beside an upload is left out.
    /// Out of them likewise.
    push: [(u64, u64); SLOTS],
    /// Connections per slot.
    opened: [u16; SLOTS],
    newest: i64,
    /// Volumes of earlier days.
    pub days: Ring,
    /// Connections of earlier days.
    pub counts: Ring,
    /// Largest hours of earlier days, in connections.
    pub hours: Ring,
    /// First day seen.
    pub first_day: u32,
    /// Newest day seen.
    pub day: u32,
    /// It has been used since the last day was ended.
    pub touched: bool,
    /// Bytes out of that day so far.
    pub today: u64,
    /// Connections of that day so far.
    pub today_count: u32,
    /// Largest hour of that day.
    pub today_hour: u32,
    /// Number of the newest hour.
    hour: i64,
    /// Its connections, and those of the hour before.
    hour_counts: (u32, u32),
    /// Bytes out in the newest hour and the one before.
    hour_bytes: (u64, u64),
    /// When a connection was opened last; intervals since the rhythm began: number, mean, sum of squares.
    rhythm: (i64, u32, f64, f64),
    /// Nothing is judged below so many bytes in the trailing day.
    pub alert_at: u64,
    /// Nor below so many connections in the trailing hour.
    pub alert_count: u32,
}

impl Entry {
    /// Nothing yet.
    pub fn new(host: u32, target: u32, secs: i64) -> Self {
        let day = day_of(secs);
        Self {
            host,
            target,
            slots: [(0, 0); SLOTS],
            push: [(0, 0); SLOTS],
            opened: [0; SLOTS],
            newest: secs.div_euclid(SLOT_SECS),
            days: Ring::new(),
            counts: Ring::new(),
            hours: Ring::new(),
            first_day: day,
            day,
            touched: false,
            today: 0,
            today_count: 0,
            today_hour: 0,
            hour: secs.div_euclid(3_600),
            hour_counts: (0, 0),
            hour_bytes: (0, 0),
            rhythm: (secs, 0, 0.0, 0.0),
            alert_at: 0,
            alert_count: 0,
        }
    }

    /// Ends the day if a new one has begun. True: it has.
    pub fn roll(&mut self, day: u32) -> bool {
        if day <= self.day {
            return false;
        }
        self.days.store(self.day, self.today.max(1), VOLUME_UNIT);
        self.counts.store(self.day, u64::from(self.today_count), 1);
        self.hours.store(self.day, u64::from(self.today_hour), 1);
        (self.day, self.today, self.today_count, self.today_hour) = (day, 0, 0, 0);
        (self.alert_at, self.alert_count) = (0, 0);
        true
    }

    /// Books bytes. The day must have been rolled.
    pub fn add(&mut self, secs: i64, up: u64, down: u64, push: bool, opened: u32) {
        let number = secs.div_euclid(SLOT_SECS);
        for step in 1..=number.saturating_sub(self.newest).clamp(0, SLOTS as i64) {
            let i = place(self.newest.saturating_add(step));
            (self.slots[i], self.push[i], self.opened[i]) = ((0, 0), (0, 0), 0);
        }
        self.newest = self.newest.max(number);
        let i = place(self.newest);
        add(&mut self.slots[i], up, down);
        if push {
            add(&mut self.push[i], up, down);
        }
        self.opened[i] = self.opened[i].saturating_add(opened.min(0xffff) as u16);
        self.today = self.today.saturating_add(up);
        self.today_count = self.today_count.saturating_add(opened);
        let hour = secs.div_euclid(3_600);
        if hour > self.hour {
            let old = if hour == self.hour + 1 { (self.hour_counts.0, self.hour_bytes.0) } else { (0, 0) };
            (self.hour_counts, self.hour_bytes) = ((0, old.0), (0, old.1));
            self.hour = hour;
        }
        if opened > 0 {
            self.beat(secs);
        }
        self.hour_counts.0 = self.hour_counts.0.saturating_add(opened);
        self.hour_bytes.0 = self.hour_bytes.0.saturating_add(up);
        self.today_hour = self.today_hour.max(self.hour_counts.0);
    }

    /// Welford's running mean and variance of the intervals; a pause of more than a day begins anew.
    fn beat(&mut self, secs: i64) {
        let (last, n, mean, squares) = self.rhythm;
        let interval = (secs - last).max(0);
        if interval > 86_400 {
            self.rhythm = (secs, 0, 0.0, 0.0);
            return;
        }
        let x = interval as f64;
        let n = n.saturating_add(1);
        let step = x - mean;
        let mean = mean + step / f64::from(n);
        self.rhythm = (secs, n, mean, squares + step * (x - mean));
    }

    /// Intervals between connections: number, mean in seconds, spread over mean.
    pub fn rhythm(&self) -> (u32, f64, f64) {
        let (_, n, mean, squares) = self.rhythm;
        let spread = if n > 1 { (squares / f64::from(n - 1)).sqrt() } else { 0.0 };
        (n, mean, if mean > 0.0 { spread / mean } else { f64::MAX })
    }

    /// Takes back bytes that were booked by mistake, the newest first; never more than there are.
    pub fn withdraw(&mut self, bytes: (u64, u64)) {
        for slots in [&mut self.slots, &mut self.push] {
            let mut left = bytes;
            for back in 0..SLOTS as i64 {
                let slot = &mut slots[place(self.newest.saturating_sub(back))];
                let part = (slot.0.min(left.0), slot.1.min(left.1));
                *slot = (slot.0 - part.0, slot.1 - part.1);
                left = (left.0 - part.0, left.1 - part.1);
            }
        }
        self.today = self.today.saturating_sub(bytes.0);
        self.today_count = self.today_count.saturating_sub(1);
    }

    /// Bytes out and in of the trailing day.
    pub fn day_bytes(&self) -> (u64, u64) {
        sum(&self.slots)
    }

    /// The same of connections that send more than they fetch.
    pub fn push_bytes(&self) -> (u64, u64) {
        sum(&self.push)
    }

    /// Connections of the trailing day.
    pub fn day_count(&self) -> u32 {
        self.opened.iter().map(|n| u32::from(*n)).sum()
    }

    /// Connections of the newest hour.
    pub fn hour_count(&self) -> u32 {
        self.hour_counts.0
    }

    /// Bytes of the newest hour and the one before.
    pub fn hour_bytes(&self) -> u64 {
        self.hour_bytes.0.saturating_add(self.hour_bytes.1)
    }

    /// Worth keeping above others when memory is short: what has ever moved a material volume stays.
    pub fn is_light(&self, now_day: u32) -> bool {
        let heaviest = self.days.stats(self.day.saturating_sub(28), self.day).max;
        self.today < 100_000 && heaviest < 3.2 && (now_day > self.day || self.today < 10_000)
    }
}

/// The day of a time in seconds.
pub fn day_of(secs: i64) -> u32 {
    secs.div_euclid(86_400).clamp(0, i64::from(u32::MAX >> 1)) as u32
}

fn place(number: i64) -> usize {
    number.rem_euclid(SLOTS as i64) as usize
}

fn add(to: &mut (u64, u64), up: u64, down: u64) {
    *to = (to.0.saturating_add(up), to.1.saturating_add(down));
}

fn sum(slots: &[(u64, u64); SLOTS]) -> (u64, u64) {
    slots.iter().fold((0, 0), |a, s| (a.0.saturating_add(s.0), a.1.saturating_add(s.1)))
}
