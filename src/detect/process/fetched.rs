//! What hosts fetched from hypervisors: known from the bytes alone.

use crate::detect::Map;

/// Hosts remembered; few fetch from hypervisors.
const MAX_HOSTS: usize = 4_096;
/// Forgotten after so long.
const HOLDS_SECS: i64 = 86_400;

/// See the module.
#[derive(Debug, Default)]
pub struct Fetched {
    /// Newest byte of a run, and how many.
    hosts: Map<u32, (i64, u64)>,
}

impl Fetched {
    /// A host fetched bytes.
    pub fn note(&mut self, host: u32, secs: i64, bytes: u64) {
        if self.hosts.len() >= MAX_HOSTS && !self.hosts.contains_key(&host) {
            self.hosts.retain(|_, (at, _)| secs - *at < HOLDS_SECS);
            if self.hosts.len() >= MAX_HOSTS {
                return;
            }
        }
        let (at, sum) = self.hosts.entry(host).or_insert((secs, 0));
        if secs - *at >= HOLDS_SECS {
            *sum = 0;
        }
        (*at, *sum) = (secs, sum.saturating_add(bytes));
    }

    /// Bytes that a host has fetched, if the last of them not longer than a day ago.
    pub fn recent(&self, host: u32, secs: i64) -> u64 {
        self.hosts.get(&host).filter(|(at, _)| secs - at < HOLDS_SECS).map_or(0, |(_, sum)| *sum)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_day_later_it_is_forgotten() {
        let mut fetched = Fetched::default();
        fetched.note(1, 0, 10);
        fetched.note(1, 100, 5);
        assert_eq!((fetched.recent(1, 200), fetched.recent(2, 200)), (15, 0));
        assert_eq!(fetched.recent(1, 100_000), 0);
        for host in 0..10_000 {
            fetched.note(host, 0, 1);
        }
        assert_eq!(fetched.hosts.len(), MAX_HOSTS);
    }
}
