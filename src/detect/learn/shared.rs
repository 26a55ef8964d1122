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
    names: Map<IpAddr, Shown>,
    /// Addresses at which several hosts met the same name.
    shared: Map<Arc<str>, u8>,
    order: VecDeque<IpAddr>,
}

/// What one address has shown.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Shown {
    /// `None`: it has gone by several names.
    name: Option<Arc<str>>,
    /// `None`: several hosts have been there.
    host: Option<IpAddr>,
}

impl SharedNames {
    /// A connection of `host` to `ip` showed this name.
    pub fn note(&mut self, ip: IpAddr, name: &Arc<str>, host: IpAddr) {
        if let Some(known) = self.names.get_mut(&ip) {
            known.name.take_if(|k| k != name);
            let met = known.host.take_if(|k| *k != host).is_some() && known.name.is_some();
            if met && (self.shared.len() < MAX || self.shared.contains_key(name)) {
                let places = self.shared.entry(Arc::clone(name)).or_default();
                *places = places.saturating_add(1);
            }
            return;
        }
        if self.names.len() >= MAX
            && let Some(oldest) = self.order.pop_front()
        {
            self.names.remove(&oldest);
        }
        self.order.push_back(ip);
        self.names.insert(ip, Shown { name: Some(Arc::clone(name)), host: Some(host) });
    }

    /// The only name that the address has ever shown.
    pub fn only(&self, ip: IpAddr) -> Option<Arc<str>> {
        self.names.get(&ip)?.name.clone()
    }

    /// Addresses of this name at which several hosts have been.
    pub fn places(&self, name: &str) -> u32 {
        self.shared.get(name).copied().map_or(0, u32::from)
    }

    /// Nobody else has been there, as far as is remembered.
    pub fn is_alone(&self, ip: IpAddr, host: IpAddr) -> bool {
        self.names.get(&ip).is_some_and(|shown| shown.host == Some(host))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_while_it_is_the_only_one() {
        let mut names = SharedNames::default();
        let ip = IpAddr::from([203, 0, 113, 9]);
        let (one, two) = (IpAddr::from([10, 0, 0, 1]), IpAddr::from([10, 0, 0, 2]));
        names.note(ip, &"a.example".into(), one);
        names.note(ip, &"a.example".into(), one);
        assert!(names.is_alone(ip, one) && !names.is_alone(ip, two));
        assert_eq!(names.only(ip).as_deref(), Some("a.example"));
        names.note(ip, &"a.example".into(), two);
        assert_eq!((names.places("a.example"), names.places("b.example")), (1, 0));
        names.note(ip, &"b.example".into(), two);
        names.note(ip, &"a.example".into(), one);
        assert!(!names.is_alone(ip, one) && !names.is_alone(ip, two));
        assert_eq!(names.only(ip), None);
    }
}
