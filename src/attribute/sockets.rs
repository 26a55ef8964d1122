//! Connections that logs told of, for flows that are still to come.
//!
//! Two ways lead to one: by the ports and the far end (whatever address its own end has, so that a translated address is
//! found too), and by host, far end and minute of its own clock, for logs that leave the port out. Both are chains
//! through one slab; the oldest goes when there are too many.

use super::MILLI;
use crate::detect::Map;
use crate::endpoint::ConnectState;
use std::hash::BuildHasher;

/// No socket.
const NONE: u32 = u32::MAX;
/// Length of the piece of time that a chain by host covers.
const BUCKET: i64 = 60_000 * MILLI;
/// A chain is followed so far; who fills one beyond that only hides his own connections.
const CHAIN_MAX: usize = 512;

/// Far ends whose connections are kept longest: where data can be carried out.
const PORTS: [u16; 9] = [443, 80, 22, 853, 8_080, 3_128, 8_443, 990, 21];

/// A connection as a log gives it.
#[derive(Clone, Debug)]
pub(super) struct Socket {
    /// When, by `clock`.
    pub at: i64,
    /// How much later the time that it is about ends, in milliseconds.
    pub lasts_ms: u32,
    /// The clock; it tells host and source too.
    pub clock: u32,
    /// Host, as the clock has it.
    pub host: u32,
    pub process: u64,
    /// Far end.
    pub remote: u128,
    /// Own end; 0: not said.
    pub local: u128,
    pub remote_port: u16,
    /// 0: not said.
    pub local_port: u16,
    /// Stamps are cut to so many milliseconds.
    pub grain_ms: u16,
    /// 6, 17, or 0: not said.
    pub proto: u8,
    pub state: ConnectState,
    pub inbound: bool,
    /// It was joined to a flow by its ports.
    pub taken: bool,
    pub links: [Link; 2],
}

const _: () = assert!(size_of::<Socket>() <= 104);

#[derive(Clone, Copy, Debug)]
pub(super) struct Link {
    before: u32,
    after: u32,
}

const FREE: Link = Link { before: NONE, after: NONE };

/// What a chain is about.
#[derive(Clone, Copy)]
enum By {
    Ports = 0,
    Host = 1,
}

/// See the module.
#[derive(Debug)]
pub(super) struct Sockets {
    slab: Vec<Socket>,
    free: Vec<u32>,
    heads: [Map<u64, u32>; 2],
    /// In the order in which they came; places that were freed early stand here until they are reached.
    order: std::collections::VecDeque<(u32, i64)>,
    hash: foldhash::fast::RandomState,
    room: usize,
    /// Given up for want of room.
    pub evicted: u64,
    /// Not taken for want of room: where data is not carried out.
    pub refused: u64,
}

impl Sockets {
    pub(super) fn new(room: usize) -> Self {
        Self {
            slab: Vec::new(),
            free: Vec::new(),
            heads: [Map::default(), Map::default()],
            order: std::collections::VecDeque::new(),
            hash: foldhash::fast::RandomState::default(),
            room: room.max(16),
            evicted: 0,
            refused: 0,
        }
    }

    /// A socket from its parts, in no chain yet.
    pub(super) fn plain(at: i64, clock: u32, host: u32, process: u64) -> Socket {
        Socket {
            at,
            lasts_ms: 0,
            clock,
            host,
            process,
            remote: 0,
            local: 0,
            remote_port: 0,
            local_port: 0,
            grain_ms: 0,
            proto: 0,
            state: ConnectState::Established,
            inbound: false,
            taken: false,
            links: [FREE; 2],
        }
    }

    /// Keeps a socket; `now` orders them. `None`: there is no room for one of its kind.
    pub(super) fn keep(&mut self, socket: Socket, now: i64) -> Option<u32> {
        if self.len() >= self.room {
            if socket.inbound || !PORTS.contains(&socket.remote_port) {
                self.refused += 1;
                return None;
            }
            self.drop_oldest();
            self.evicted += 1;
        }
        let (ports, host) = (self.port_key(&socket), self.host_key(&socket));
        let id = if let Some(id) = self.free.pop() {
            if let Some(place) = self.slab.get_mut(id as usize) {
                *place = socket;
            }
            id
        } else {
            self.slab.push(socket);
            self.slab.len() as u32 - 1
        };
        self.order.push_back((id, now));
        if let Some(key) = ports {
            self.link(By::Ports, key, id);
        }
        if let Some(key) = host {
            self.link(By::Host, key, id);
        }
        Some(id)
    }

    fn port_key(&self, s: &Socket) -> Option<u64> {
        (s.local_port != 0).then(|| self.ports(s.local_port, s.remote, s.remote_port))
    }

    /// Connections with a port are found by it alone: another port is another connection.
    fn host_key(&self, s: &Socket) -> Option<u64> {
        let portless = s.local_port == 0 && !s.inbound;
        portless.then(|| self.by_host(s.host, s.remote, s.remote_port, s.at.div_euclid(BUCKET)))
    }

    fn ports(&self, near: u16, remote: u128, far: u16) -> u64 {
        self.hash.hash_one((near, remote, far))
    }

    fn by_host(&self, host: u32, remote: u128, port: u16, bucket: i64) -> u64 {
        self.hash.hash_one((host, remote, port, bucket))
    }

    fn link(&mut self, by: By, key: u64, id: u32) {
        let after = self.heads[by as usize].insert(key, id).unwrap_or(NONE);
        if let Some(next) = self.slab.get_mut(after as usize) {
            next.links[by as usize].before = id;
        }
        if let Some(own) = self.slab.get_mut(id as usize) {
            own.links[by as usize] = Link { before: NONE, after };
        }
    }

    fn unlink(&mut self, by: By, key: u64, id: u32) {
        let Some(link) = self.slab.get(id as usize).map(|s| s.links[by as usize]) else { return };
        if let Some(next) = self.slab.get_mut(link.after as usize) {
            next.links[by as usize].before = link.before;
        }
        if let Some(last) = self.slab.get_mut(link.before as usize) {
            last.links[by as usize].after = link.after;
        } else if link.after == NONE {
            self.heads[by as usize].remove(&key);
        } else {
            self.heads[by as usize].insert(key, link.after);
        }
    }

    fn drop_oldest(&mut self) {
        let Some((id, _)) = self.order.pop_front() else { return };
        let Some(socket) = self.slab.get(id as usize) else { return };
        let (ports, host) = (self.port_key(socket), self.host_key(socket));
        if let Some(key) = ports {
            self.unlink(By::Ports, key, id);
        }
        if let Some(key) = host {
            self.unlink(By::Host, key, id);
        }
        self.free.push(id);
    }

    /// Forgets what came before `long`, and of what came before `since` all that `is_over` says is over; oldest first, as
    /// far as that holds.
    pub(super) fn expire(&mut self, long: i64, since: i64, is_over: impl Fn(&Socket) -> bool) {
        while let Some((id, came)) = self.order.front() {
            let over = *came < since && self.slab.get(*id as usize).is_none_or(&is_over);
            if *came >= long && !over {
                return;
            }
            self.drop_oldest();
        }
    }

    /// Those with these ports and this far end, the newest first.
    pub(super) fn with_ports(
        &self,
        near: u16,
        remote: u128,
        far: u16,
    ) -> impl Iterator<Item = (u32, &Socket)> {
        self.chain(By::Ports, self.ports(near, remote, far))
            .filter(move |(_, s)| s.local_port == near && s.remote == remote && s.remote_port == far)
    }

    /// Those of a host to this far end, without a port, between two times of their clock.
    pub(super) fn of_host(
        &self,
        host: u32,
        remote: u128,
        port: u16,
        (from, to): (i64, i64),
    ) -> impl Iterator<Item = (u32, &Socket)> {
        let first = from.div_euclid(BUCKET);
        let last = to.div_euclid(BUCKET).min(first.saturating_add(8));
        (first..=last)
            .flat_map(move |bucket| self.chain(By::Host, self.by_host(host, remote, port, bucket)))
            .filter(move |(_, s)| s.host == host && s.remote == remote && s.remote_port == port)
            .filter(move |(_, s)| from <= s.at && s.at <= to)
    }

    fn chain(&self, by: By, key: u64) -> impl Iterator<Item = (u32, &Socket)> {
        let mut at = self.heads[by as usize].get(&key).copied().unwrap_or(NONE);
        std::iter::from_fn(move || {
            let id = at;
            let socket = self.slab.get(id as usize)?;
            at = socket.links[by as usize].after;
            Some((id, socket))
        })
        .take(CHAIN_MAX)
    }

    pub(super) fn at_mut(&mut self, id: u32) -> Option<&mut Socket> {
        self.slab.get_mut(id as usize)
    }

    pub(super) fn len(&self) -> usize {
        self.slab.len() - self.free.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn socket(at: i64, port: u16, remote: u128) -> Socket {
        Socket { remote, remote_port: 443, local_port: port, ..Sockets::plain(at, 0, 0, 0) }
    }

    fn ports(sockets: &Sockets, port: u16) -> Vec<i64> {
        sockets.with_ports(port, 9, 443).map(|(_, s)| s.at).collect()
    }

    #[test]
    fn chains_survive_what_leaves_them() {
        let mut sockets = Sockets { room: 4, ..Sockets::new(0) };
        for at in 0..4 {
            sockets.keep(socket(at, 7, 9), at);
        }
        assert_eq!(ports(&sockets, 7), [3, 2, 1, 0]);
        sockets.keep(socket(4, 8, 9), 4);
        sockets.keep(socket(5, 7, 9), 5);
        assert_eq!(ports(&sockets, 7), [5, 3, 2]);
        assert_eq!(sockets.evicted, 2);
        sockets.expire(4, i64::MIN, |_| false);
        assert_eq!((ports(&sockets, 7), ports(&sockets, 8)), (vec![5], vec![4]));
        sockets.expire(9, i64::MIN, |_| false);
        assert!(sockets.len() == 0 && sockets.heads.iter().all(Map::is_empty));
    }

    #[test]
    fn what_carries_nothing_out_is_refused_first() {
        let mut sockets = Sockets::new(16);
        for at in 0..16 {
            assert!(sockets.keep(socket(at, 7, 9), at).is_some());
        }
        assert!(sockets.keep(Socket { remote_port: 88, ..socket(20, 7, 9) }, 20).is_none());
        assert!(sockets.keep(Socket { inbound: true, ..socket(20, 7, 9) }, 20).is_none());
        assert!(sockets.keep(socket(20, 7, 9), 20).is_some());
        assert_eq!((sockets.refused, sockets.evicted), (2, 1));
    }

    #[test]
    fn by_host_over_the_edge_of_a_minute() {
        let mut sockets = Sockets::new(100);
        for at in [59_500, 60_200, 61_900, 125_000] {
            sockets.keep(socket(at * MILLI, 0, 9), 0);
        }
        let found: Vec<i64> =
            sockets.of_host(0, 9, 443, (59_000 * MILLI, 61_000 * MILLI)).map(|(_, s)| s.at / MILLI).collect();
        assert_eq!(found, [59_500, 60_200]);
        assert_eq!(sockets.of_host(1, 9, 443, (0, i64::MAX)).count(), 0);
    }
}
