//! Frames that a span port sends twice: the same packet seen on another VLAN, by other link addresses or after a
//! router took one from its time to live, within a millisecond. A second copy counts as a frame and moves nothing.
//!
//! Only packets on the long road come by here. The first of each direction of a flow do; when a copy is proven, all
//! further ones of that flow do too. A site where nothing is sent twice pays for the first few packets of a flow only.

use crate::decode::{Packet, Path, Transport};
use crate::flow::key::Side;
use crate::units::Span;

/// A second copy comes within this time of the first.
const WITHIN: Span = Span::from_millis(1);
/// Sets of places: 256 KiB, of which a quiet network touches little. At a million packets a second, four in five sets
/// hold at most one packet younger than [`WITHIN`].
const SETS: usize = 4_096;
/// Packets remembered in each set; the oldest goes.
const WAYS: usize = 4;

/// Packets of the last moment.
#[derive(Debug)]
pub(super) struct Copies {
    sets: Vec<[Seen; WAYS]>,
    /// The site says that frames come twice: equal packets are copies without further proof.
    declared: bool,
}

/// A packet that passed.
#[derive(Clone, Copy, Default, Debug)]
struct Seen {
    /// Nanoseconds; 0: nothing here.
    at: i64,
    /// What it was: the same for a copy.
    what: u32,
    /// Which way it came: not the same for a copy.
    way: u32,
}

impl Copies {
    pub(super) fn new(declared: bool) -> Self {
        Self { sets: vec![[Seen::default(); WAYS]; SETS], declared }
    }

    pub(super) const fn declared(&self) -> bool {
        self.declared
    }

    /// Whether `packet` of the flow that began with packet `flow` has passed a moment ago; remembers it if not.
    pub(super) fn is_second(&mut self, flow: u64, side: Side, packet: &Packet<'_>) -> bool {
        let what = what(flow, side, packet, self.declared);
        let now = Seen { at: packet.at.nanos(), what: what as u32, way: way(packet) };
        // A datagram without an identification may be another one of the same size.
        let tells = packet.transport == Transport::Tcp || packet.ip_id != 0;
        let Some(set) = self.sets.get_mut((what >> 32) as usize % SETS) else { return false };
        let same = |seen: &&Seen| {
            seen.what == now.what && seen.at.abs_diff(now.at) <= WITHIN.nanos().unsigned_abs() && seen.at != 0
        };
        if set.iter().filter(same).any(|seen| self.declared || tells && seen.way != now.way) {
            return true;
        }
        if let Some(oldest) = set.iter_mut().min_by_key(|seen| seen.at) {
            *oldest = now;
        }
        false
    }
}

fn mix(state: u64, word: u64) -> u64 {
    (state ^ word).wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(29)
}

/// A digest of what a copy has in common with its first.
fn what(flow: u64, side: Side, packet: &Packet<'_>, declared: bool) -> u64 {
    let tcp = packet.tcp;
    let words = [
        flow << 1 | side.index() as u64,
        u64::from(packet.ip_id) << 40 | u64::from(packet.payload_len) << 8 | u64::from(tcp.flags),
        u64::from(tcp.seq) << 32 | u64::from(tcp.ack),
    ];
    let digest = words.into_iter().fold(0, mix);
    if !declared || packet.transport == Transport::Tcp {
        return mix(digest, 0);
    }
    // Without further proof the payload itself must be the same.
    packet.payload.chunks(8).fold(mix(digest, 0), |digest, piece| {
        let mut word = [0; 8];
        word[..piece.len()].copy_from_slice(piece);
        mix(digest, u64::from_le_bytes(word))
    })
}

/// A digest of the way that a frame took: time to live, VLANs, tunnel, link addresses.
fn way(packet: &Packet<'_>) -> u32 {
    let Path { mac, vlan, vlans, tunnels } = packet.path;
    let six = |m: [u8; 6]| m.iter().fold(0u64, |n, b| n << 8 | u64::from(*b));
    let (from, to) = mac.map_or((0, 0), |(from, to)| (six(from), six(to)));
    let tags =
        vlan.iter().take(usize::from(vlans)).fold(u64::from(vlans), |n, tag| n << 12 ^ u64::from(*tag));
    let words = [u64::from(packet.ttl) << 8 | u64::from(tunnels), tags, from, to];
    (words.into_iter().fold(0, mix) >> 16) as u32
}
