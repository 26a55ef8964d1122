//! Events that have come before: collectors deliver again after a break, and two feeds may carry one log.

use crate::endpoint::{EndpointEvent, Proc};
use std::collections::{HashSet, VecDeque};
use std::hash::{BuildHasher, Hash, Hasher};

/// Events remembered.
const REMEMBERED: usize = 1 << 17;

/// See the module.
#[derive(Debug, Default)]
pub struct Seen {
    hashes: HashSet<u64, foldhash::fast::RandomState>,
    order: VecDeque<u64>,
    hash: foldhash::fast::FixedState,
}

impl Seen {
    /// True when the event is new.
    pub fn is_new(&mut self, event: &EndpointEvent) -> bool {
        let hash = self.hash_of(event);
        if !self.hashes.insert(hash) {
            return false;
        }
        self.order.push_back(hash);
        if self.order.len() > REMEMBERED
            && let Some(oldest) = self.order.pop_front()
        {
            self.hashes.remove(&oldest);
        }
        true
    }

    fn hash_of(&self, event: &EndpointEvent) -> u64 {
        let mut h = self.hash.build_hasher();
        let common = event.common();
        (common.source, &common.host.id, common.at, common.record).hash(&mut h);
        match event {
            EndpointEvent::Process(e) => {
                (1, e.kind).hash(&mut h);
                process(&e.proc, &mut h);
            }
            EndpointEvent::Connect(e) => {
                (2, e.local, e.local_port, e.remote, e.remote_port, e.state, e.direction).hash(&mut h);
                (e.bytes_out, e.repeat, e.until).hash(&mut h);
                process(&e.proc, &mut h);
            }
            EndpointEvent::File(e) => {
                (3, e.op, &e.path, &e.destination, e.size).hash(&mut h);
                process(&e.proc, &mut h);
            }
            EndpointEvent::Dns(e) => {
                (4, &e.query, &e.answers).hash(&mut h);
                e.proc.iter().for_each(|proc| process(proc, &mut h));
            }
            EndpointEvent::Address(e) => (5, e.ip, e.mac, e.kind).hash(&mut h),
        }
        h.finish()
    }
}

fn process(proc: &Proc, h: &mut impl Hasher) {
    (proc.entity, proc.pid, &proc.name, &proc.command_line).hash(h);
}
