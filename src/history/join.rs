//! Names that wait for their connection, by the hash of the uid.

use super::facts::Names;
use crate::detect::Map;
use crate::parse::{AppProto, Facts};
use crate::units::{Span, Timestamp};
use serde::{Deserialize, Serialize};
use std::collections::VecDeque;
use std::sync::Arc;

/// Names that wait, at most; the oldest is given up for a new one.
pub(super) const WAITING_MAX: usize = 1 << 20;
/// Longest wait. A name is written at the handshake, its connection when that ends: days later, if it lasts days.
const LONGEST: Span = Span::from_secs(7 * 86_400);

/// See the module.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(super) struct Waiting {
    names: Map<u64, (Arc<Facts>, Timestamp)>,
    /// In the order of coming; some have been taken.
    order: VecDeque<(u64, Timestamp)>,
    /// Names that no connection came for.
    pub(super) unclaimed: u64,
}

impl Waiting {
    /// A name has come. The better one of several stays: a proxy's target before a server name before a host header.
    pub(super) fn add(&mut self, key: u64, at: Timestamp, facts: Arc<Facts>) {
        self.forget(at);
        let rank = |facts: &Facts| facts.name.as_ref().map(|(_, source)| *source);
        match self.names.get_mut(&key) {
            Some(old) if rank(&facts) < rank(&old.0) => old.0 = facts,
            Some(_) => {}
            None => {
                self.names.insert(key, (facts, at));
                self.order.push_back((key, at));
            }
        }
    }

    /// Takes the name of a connection.
    pub(super) fn take(&mut self, key: u64) -> Option<Arc<Facts>> {
        self.names.remove(&key).map(|(facts, _)| facts)
    }

    /// Names that are waiting.
    pub(super) fn len(&self) -> usize {
        self.names.len()
    }

    fn forget(&mut self, now: Timestamp) {
        while let Some(&(key, at)) = self.order.front() {
            let held = self.names.get(&key).is_some_and(|(_, since)| *since == at);
            let full = self.order.len() >= WAITING_MAX;
            if held && !full && now.since(at) <= LONGEST {
                break;
            }
            if held {
                self.names.remove(&key);
                self.unclaimed += 1;
            }
            self.order.pop_front();
        }
    }
}

/// What a connection turned out to be: its own name, the one that waited for it, or only its protocol.
pub(super) fn facts_of(
    own: Option<Arc<Facts>>,
    waited: Option<Arc<Facts>>,
    app: AppProto,
    names: &mut Names,
) -> Option<Arc<Facts>> {
    let facts = own.or(waited)?;
    Some(if app == AppProto::Quic { names.over_quic(facts) } else { facts })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_better_name_stays_and_old_ones_go() {
        let (mut names, mut waiting) = (Names::default(), Waiting::default());
        let at = |s| Timestamp::new(s, 0);
        let hello = |n: &mut Names, name: &[u8]| n.hello(name, false).expect("a name");
        waiting.add(1, at(0), hello(&mut names, b"inner.example"));
        waiting.add(1, at(1), names.destination(b"target.example").expect("a name"));
        waiting.add(1, at(2), hello(&mut names, b"later.example"));
        let name = waiting.take(1).and_then(|f| f.name.clone()).map(|(n, _)| n);
        assert_eq!(name.as_deref(), Some("target.example"));
        waiting.add(2, at(3), hello(&mut names, b"lost.example"));
        waiting.add(3, at(8 * 86_400), hello(&mut names, b"new.example"));
        assert_eq!((waiting.len(), waiting.unclaimed, waiting.take(2)), (1, 1, None));
        for key in 0..WAITING_MAX as u64 + 10 {
            waiting.add(key, at(9 * 86_400), hello(&mut names, b"x.example"));
        }
        assert!(waiting.len() <= WAITING_MAX && waiting.order.len() <= WAITING_MAX);
    }
}
