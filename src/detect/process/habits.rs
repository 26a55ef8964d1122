//! Which programs a host uses, which programs a service is used by, since when and for how much.

use crate::detect::Map;
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// (host, service, program) remembered.
const MAX_PAIRS: usize = 1 << 18;
/// (service, program) remembered.
const MAX_PROGRAMS: usize = 1 << 16;
/// Entries looked at to find one to give up.
const LOOKED_AT: usize = 64;
/// Slots of a trailing day.
const SLOTS: usize = 8;
const SLOT_SECS: i64 = 86_400 / SLOTS as i64;
/// A day counts as one of use from so many bytes.
const USED_FROM: u64 = 4_000;

/// A host, a destination and a program.
pub(super) type Key = (u32, u32, u64);

/// Bytes that one program sent from a host to a service.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Sent {
    slots: [u64; SLOTS],
    newest: i64,
    first_day: u32,
    last_day: u32,
    /// Days before the last on which it sent.
    days: u32,
    today: u64,
    /// Largest day before.
    most: u64,
    /// Bytes at which it is worth a look again.
    look_at: u64,
}

/// What is usual for a program at a service.
#[derive(Clone, Copy, Default, PartialEq, Eq, Debug)]
pub struct Habit {
    /// Bytes out of the trailing day.
    pub out: u64,
    /// Days before today on which the host sent to the service by this program.
    pub days: u32,
    /// The largest of them.
    pub most: u64,
    /// Days before today on which the host sent anything anywhere by this program.
    pub host_days: u32,
    /// Other hosts that send to the service by this program.
    pub others: u32,
}

/// Hosts that use a program with a service: the first few by place, then counted.
#[derive(Clone, Default, Debug, Serialize, Deserialize)]
struct Users {
    known: Vec<u32>,
    more: u32,
}

/// Days on which a host sent by a program.
#[derive(Clone, Copy, Default, Debug, Serialize, Deserialize)]
struct Days {
    last: u32,
    before: u32,
}

/// See the module.
#[derive(Debug, Default, Serialize, Deserialize)]
pub struct Habits {
    sent: Map<Key, Sent>,
    users: Map<(Arc<str>, u64), Users>,
    hosts: Map<(u32, u64), Days>,
    /// Given up for want of room.
    pub evicted: u64,
}

/// Hosts of a program and service told apart.
const KNOWN_USERS: usize = 8;

impl Sent {
    fn new(secs: i64) -> Self {
        let day = day_of(secs);
        let slots = [0; SLOTS];
        Self {
            slots,
            newest: secs / SLOT_SECS,
            first_day: day,
            last_day: day,
            days: 0,
            today: 0,
            most: 0,
            look_at: 0,
        }
    }

    fn advance(&mut self, secs: i64) {
        let slot = secs / SLOT_SECS;
        for step in 1..=(slot - self.newest).clamp(0, SLOTS as i64) {
            self.slots[(self.newest + step).rem_euclid(SLOTS as i64) as usize] = 0;
        }
        self.newest = self.newest.max(slot);
        let day = day_of(secs);
        if day > self.last_day {
            self.days += u32::from(self.today >= USED_FROM);
            self.most = self.most.max(self.today);
            (self.last_day, self.today) = (day, 0);
        }
    }

    fn out(&self) -> u64 {
        self.slots.iter().sum()
    }
}

fn day_of(secs: i64) -> u32 {
    (secs / 86_400).max(0) as u32
}

/// Makes room: of some, the one used longest ago.
fn give_up<K: Copy + Eq + std::hash::Hash, V>(map: &mut Map<K, V>, last: impl Fn(&V) -> u32) {
    let victim = map.iter().take(LOOKED_AT).min_by_key(|(_, v)| last(v)).map(|(k, _)| *k);
    if let Some(victim) = victim {
        map.remove(&victim);
    }
}

impl Habits {
    /// A program sent. Whether it is worth a look: it is when the bytes have grown by a tenth since the last.
    pub fn sent(&mut self, key: Key, service: &Arc<str>, secs: i64, bytes: u64) -> bool {
        if !self.sent.contains_key(&key) && self.sent.len() >= MAX_PAIRS {
            give_up(&mut self.sent, |s| s.last_day);
            self.evicted += 1;
        }
        let new = !self.sent.contains_key(&key);
        let sent = self.sent.entry(key).or_insert_with(|| Sent::new(secs));
        sent.advance(secs);
        let slot = &mut sent.slots[sent.newest.rem_euclid(SLOTS as i64) as usize];
        *slot = slot.saturating_add(bytes);
        sent.today = sent.today.saturating_add(bytes);
        let worth = sent.out() >= sent.look_at;
        if worth {
            sent.look_at = sent.out() + sent.out() / 10 + 1;
        }
        let (host, _, program) = key;
        if new
            && (self.users.len() < MAX_PROGRAMS || self.users.contains_key(&(Arc::clone(service), program)))
        {
            let users = self.users.entry((Arc::clone(service), program)).or_default();
            if !users.known.contains(&host) {
                if users.known.len() < KNOWN_USERS { users.known.push(host) } else { users.more += 1 }
            }
        }
        if !self.hosts.contains_key(&(host, program)) && self.hosts.len() >= MAX_PAIRS {
            give_up(&mut self.hosts, |d| d.last);
            self.evicted += 1;
        }
        let day = day_of(secs);
        let days = self.hosts.entry((host, program)).or_insert(Days { last: day, before: 0 });
        if day > days.last {
            *days = Days { last: day, before: days.before + 1 };
        }
        worth
    }

    /// Bytes turn out to be another's.
    pub fn withdraw(&mut self, key: Key, mut bytes: u64) {
        let Some(sent) = self.sent.get_mut(&key) else { return };
        sent.today = sent.today.saturating_sub(bytes);
        for back in 0..SLOTS as i64 {
            let slot = &mut sent.slots[(sent.newest - back).rem_euclid(SLOTS as i64) as usize];
            let part = bytes.min(*slot);
            *slot -= part;
            bytes -= part;
        }
    }

    /// What is usual.
    pub fn habit(&self, key: Key, service: &Arc<str>) -> Habit {
        let (host, _, program) = key;
        let sent = self.sent.get(&key);
        let users = self.users.get(&(Arc::clone(service), program));
        let others = users.map_or(0, |u| u.known.iter().filter(|h| **h != host).count() as u32 + u.more);
        Habit {
            out: sent.map_or(0, Sent::out),
            days: sent.map_or(0, |s| s.days),
            most: sent.map_or(0, |s| s.most),
            host_days: self.hosts.get(&(host, program)).map_or(0, |d| d.before),
            others,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_and_users() {
        let mut habits = Habits::default();
        let service: Arc<str> = "mega".into();
        for day in 0..5 {
            habits.sent((1, 2, 3), &service, day * 86_400 + 100, 10_000);
            habits.sent((1, 9, 3), &service, day * 86_400 + 100, 10_000);
        }
        habits.sent((7, 2, 3), &service, 0, 1);
        let habit = habits.habit((1, 2, 3), &service);
        assert_eq!((habit.days, habit.most, habit.host_days, habit.others), (4, 10_000, 4, 1));
        assert_eq!(habit.out, 10_000);
    }

    #[test]
    fn a_day_is_trailing_and_bytes_can_move() {
        let mut habits = Habits::default();
        let service: Arc<str> = "mega".into();
        habits.sent((1, 2, 3), &service, 80_000, 500);
        habits.sent((1, 2, 3), &service, 90_000, 700);
        assert_eq!(habits.habit((1, 2, 3), &service).out, 1_200);
        habits.withdraw((1, 2, 3), 800);
        assert_eq!(habits.habit((1, 2, 3), &service).out, 400);
        habits.sent((1, 2, 3), &service, 300_000, 1);
        assert_eq!(habits.habit((1, 2, 3), &service).out, 1);
    }

    #[test]
    fn a_look_is_worth_it_when_bytes_have_grown() {
        let mut habits = Habits::default();
        let service: Arc<str> = "mega".into();
        let looks = (0..10_000).filter(|_| habits.sent((1, 2, 3), &service, 5, 1_000)).count();
        assert!((20..150).contains(&looks), "{looks}");
    }
}
