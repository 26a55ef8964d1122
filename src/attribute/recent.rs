//! Who talked to what of late: processes by host and destination, by host and name, bounded.

use crate::detect::Map;
use std::collections::VecDeque;
use std::hash::{BuildHasher, Hash};

/// Keys remembered; the oldest go.
const MAX_KEYS: usize = 500_000;
/// Processes of one key.
const PER_KEY: usize = 8;

/// A process did it, when, by which clock.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Spoke {
    pub process: u64,
    pub at: i64,
    pub clock: u32,
}

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Recent {
    by_key: Map<u64, Vec<Spoke>>,
    order: VecDeque<u64>,
    hash: foldhash::fast::RandomState,
    pub evicted: u64,
}

impl Recent {
    /// Notes it; the newest stand last.
    pub(super) fn note(&mut self, key: impl Hash, spoke: Spoke) {
        let key = self.hash.hash_one(key);
        if !self.by_key.contains_key(&key) {
            if self.by_key.len() >= MAX_KEYS
                && let Some(oldest) = self.order.pop_front()
            {
                self.by_key.remove(&oldest);
                self.evicted += 1;
            }
            self.order.push_back(key);
        }
        let list = self.by_key.entry(key).or_default();
        list.retain(|s| s.process != spoke.process || s.clock != spoke.clock);
        if list.len() >= PER_KEY {
            list.remove(0);
        }
        list.push(spoke);
    }

    /// Those who did.
    pub(super) fn of(&self, key: impl Hash) -> &[Spoke] {
        self.by_key.get(&self.hash.hash_one(key)).map_or(&[], Vec::as_slice)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_stands_once() {
        let mut recent = Recent::default();
        for at in 0..20 {
            recent.note((1, "a"), Spoke { process: at % 3, at: at as i64, clock: 0 });
        }
        let list = recent.of((1, "a"));
        assert_eq!(list.iter().map(|s| s.at).collect::<Vec<_>>(), [17, 18, 19]);
        assert!(recent.of((2, "a")).is_empty());
        for process in 0..100 {
            recent.note((1, "a"), Spoke { process, at: 0, clock: 0 });
        }
        assert_eq!(recent.of((1, "a")).len(), PER_KEY);
    }
}
