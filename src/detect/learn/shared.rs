//! Names that addresses go by in this network, whoever asked: for connections that show none and were told none.

use crate::detect::Map;
use serde::{Deserialize, Serialize};
use std::collections::VecDeque;
use std::net::IpAddr;
use std::sync::Arc;

/// Addresses remembered; the oldest go first.
const MAX: usize = 1 << 18;

/// See the module.
#[derive(Debug, Default, Serialize, Deserialize)]
pub struct SharedNames {
    /// `None`: it has gone by several.
    names: Map<IpAddr, Option<Arc<str>>>,
    order: VecDeque<IpAddr>,
}

impl SharedNames {
    /// A connection to `ip` showed this name.
    pub fn note(&mut self, ip: IpAddr, name: &Arc<str>) {
        if let Some(known) = self.names.get_mut(&ip) {
            if known.as_ref().is_some_and(|k| k != name) {
                *known = None;
            }
            return;
        }
        if self.names.len() >= MAX
            && let Some(oldest) = self.order.pop_front()
        {
            self.names.remove(&oldest);
        }
        self.order.push_back(ip);
        self.names.insert(ip, Some(Arc::clone(name)));
    }

    /// The only name that the address has ever shown.
    pub fn only(&self, ip: IpAddr) -> Option<Arc<str>> {
        self.names.get(&ip)?.clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_while_it_is_the_only_one() {
        let mut names = SharedNames::default();
        let ip = IpAddr::from([203, 0, 113, 9]);
        names.note(ip, &"a.example".into());
        names.note(ip, &"a.example".into());
        assert_eq!(names.only(ip).as_deref(), Some("a.example"));
        names.note(ip, &"b.example".into());
        names.note(ip, &"a.example".into());
        assert_eq!(names.only(ip), None);
    }
}
