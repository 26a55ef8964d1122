//! User-Agents that one host shows to one name: many distinct ones carry data, or hide who speaks.

use super::Map;
use serde::{Deserialize, Serialize};
use std::collections::VecDeque;
use std::hash::{BuildHasher, Hasher};
use std::net::IpAddr;

/// (host, name) pairs remembered; the oldest go first.
const MAX_PAIRS: usize = 1 << 14;
/// So many distinct values for one name are no longer the programs of one host. Also the number remembered.
const MANY: usize = 24;

/// See the module. The hash has no secret: what is remembered must mean the same after a restart, and who makes two
/// values collide only hides one of them. Names and values are kept as hashes: 24 × 8 bytes a pair at most.
#[derive(Debug, Default, Serialize, Deserialize)]
pub struct Agents {
    seen: Map<u64, Vec<u64>>,
    order: VecDeque<u64>,
    #[serde(skip)]
    hash: foldhash::quality::FixedState,
}

impl Agents {
    /// Notes a value; true when the host has shown many of them to this name.
    pub fn note(&mut self, host: IpAddr, name: &str, agent: &str) -> bool {
        let pair = self.hash.hash_one((host, name));
        let mut hasher = self.hash.build_hasher();
        hasher.write(agent.as_bytes());
        let value = hasher.finish();
        if !self.seen.contains_key(&pair) {
            if self.seen.len() >= MAX_PAIRS
                && let Some(oldest) = self.order.pop_front()
            {
                self.seen.remove(&oldest);
            }
            self.order.push_back(pair);
        }
        let seen = self.seen.entry(pair).or_default();
        if seen.len() < MANY && !seen.contains(&value) {
            seen.push(value);
        }
        seen.len() >= MANY
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn many_values_are_told_and_one_value_never() {
        let mut agents = Agents::default();
        let host = IpAddr::from([10, 0, 0, 1]);
        assert!((0..1000).all(|_| !agents.note(host, "a.example", "curl/8")));
        let told = (0..100).filter(|i| agents.note(host, "a.example", &format!("x{i}"))).count();
        assert_eq!(told, 100 - (MANY - 2));
        assert!(!agents.note(host, "b.example", "x1"));
    }

    #[test]
    fn bounded() {
        let mut agents = Agents::default();
        for i in 0..MAX_PAIRS + 100 {
            agents.note(IpAddr::from([10, 0, 0, 1]), &format!("{i}.example"), "curl/8");
        }
        assert_eq!((agents.seen.len(), agents.order.len()), (MAX_PAIRS, MAX_PAIRS));
    }
}
