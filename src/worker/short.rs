//! The short way of a packet: one that is simply next in order, on a flow with nothing special about it, touches the hot
//! half of the flow and nothing else.

use super::{ACK, FIN, RST, SYN, TELL_BYTES, TELL_SOON_BYTES};
use crate::capture::Slot;
use crate::decode::{Lean, Packet, Tcp, Transport};
use crate::flow::follow::{Followed, Follower};
use crate::flow::key::{Key, Side};
use crate::flow::record::{Flag, Flow, Hot};
use crate::flow::table::Table;
use crate::flow::uploads;
use crate::observe::Uploads;
use crate::units::{Span, Timestamp};

/// What the short way has to know of a packet: 24 bytes.
#[derive(Clone, Copy, Debug)]
pub(super) struct Step {
    at: Timestamp,
    seq: u32,
    ack: u32,
    payload_len: u16,
    /// Bytes of the IP packet that are no payload.
    head_len: u16,
    /// Bytes on the wire that are not of the IP packet.
    over: u16,
    /// Where the payload begins in the frame.
    payload_at: u8,
    kind: u8,
}

const SIDE_B: u8 = 1;
const UDP: u8 = 2;
/// The key is one of IPv6.
const WIDE: u8 = 4;
/// Not for the short way, whatever its flow.
const LONG: u8 = 8;

/// A silence after which the flow may have timed out.
const QUIET: u64 = 30_000_000_000;

impl Step {
    /// Of an ordinary packet of its frame; the side is still to be set.
    #[allow(clippy::inline_always)] // see `Lean`
    #[inline(always)]
    pub(super) fn of_lean(lean: &Lean, slot: &Slot) -> Self {
        let Lean { transport, tcp, ip_len, payload_len, payload_at, .. } = *lean;
        Self::new(slot.at, transport, tcp, [payload_len, ip_len, slot.wire_len], payload_at as u8)
    }

    /// Of any packet. One of several frames never takes the short way.
    pub(super) fn of(packet: &Packet<'_>, side: Side) -> Self {
        let Packet { at, transport, tcp, payload_len, ip_len, wire_len, frames, .. } = *packet;
        let step = Self::new(at, transport, tcp, [payload_len, ip_len, wire_len], 0).by(side);
        if frames == 1 { step } else { Self { kind: step.kind | LONG, ..step } }
    }

    #[allow(clippy::inline_always)] // see `Lean`
    #[allow(clippy::needless_bitwise_bool)] // no branch
    #[inline(always)]
    fn new(at: Timestamp, transport: Transport, tcp: Tcp, lengths: [u32; 3], payload_at: u8) -> Self {
        let [payload_len, ip_len, wire_len] = lengths;
        // A frame that claims more than was on the wire wraps here, and goes the long way.
        let (head_len, over) = (ip_len.wrapping_sub(payload_len), wire_len.wrapping_sub(ip_len));
        let udp = transport == Transport::Udp;
        let odd = !udp & (tcp.flags & (SYN | FIN | RST | ACK) != ACK);
        let long = odd | ((payload_len | head_len | over) >> 16 != 0);
        Self {
            at,
            seq: tcp.seq,
            ack: tcp.ack,
            payload_len: payload_len as u16,
            head_len: head_len as u16,
            over: over as u16,
            payload_at,
            kind: (u8::from(udp) * UDP) | (u8::from(long) * LONG),
        }
    }

    /// The side that sent it.
    #[inline]
    pub(super) const fn by(self, side: Side) -> Self {
        Self { kind: self.kind | side as u8, ..self }
    }

    /// Its key is one of IPv6.
    #[inline]
    pub(super) const fn with_wide_key(self) -> Self {
        Self { kind: self.kind | WIDE, ..self }
    }

    pub(super) const fn is_wide(&self) -> bool {
        self.kind & WIDE != 0
    }

    pub(super) const fn side(&self) -> Side {
        if self.kind & SIDE_B == 0 { Side::A } else { Side::B }
    }

    /// Where the payload begins in the frame.
    pub(super) const fn payload_at(&self) -> usize {
        self.payload_at as usize
    }

    pub(super) const fn payload_len(&self) -> u32 {
        self.payload_len as u32
    }
}

/// Which road a packet takes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Way {
    /// It has been counted.
    Short,
    /// Nothing has been changed: a TLS record ends in it, see [`follow`].
    Follow,
    /// Nothing has been changed: the long road.
    Long,
}

/// Counts a packet that is simply next in order, on a flow with nothing special about it. Not inlined: what it holds
/// needs all registers there are.
#[inline(never)]
pub(super) fn plain<K: Key>(flow: &mut Flow<K>, step: &Step) -> Way {
    let (hot, side) = (&mut flow.hot, step.side());
    let (mine, other) = (&hot.sides[side.index()], &hot.sides[side.other().index()]);
    let quiet = step.at.nanos().wrapping_sub(hot.last.nanos());
    // One comparison refuses both stamps that go back and long silence, after which the flow may have timed out.
    if !hot.is_plain(side) || step.kind & LONG != 0 || quiet as u64 > QUIET {
        return Way::Long;
    }
    let ahead = step.ack.wrapping_sub(other.next) as i32;
    if step.kind & UDP == 0 && (step.seq != mine.next || ahead > 0) {
        return Way::Long;
    }
    // A little waits for the next tick, once the flow is queued for it.
    let most = if hot.has(Flag::QUEUED) { TELL_BYTES } else { TELL_SOON_BYTES };
    let (packets, over) = (u32::from(mine.packets) + 1, u32::from(mine.over) + u32::from(step.over));
    if mine.payload + step.payload_len() >= most || (packets | over) >> 16 | mine.ip >> 31 != 0 {
        return Way::Long;
    }
    if hot.has(Flag::TLS) && step.payload_len > 0 && !hot.follow[side.index()].pass(step.payload_len()) {
        return Way::Follow;
    }
    count(flow, step);
    Way::Short
}

/// Books a packet that may be booked.
#[inline]
fn count<K: Key>(flow: &mut Flow<K>, step: &Step) {
    let mine = &mut flow.hot.sides[step.side().index()];
    mine.ip += step.payload_len() + u32::from(step.head_len);
    mine.payload += step.payload_len();
    mine.next = mine.next.wrapping_add(step.payload_len());
    mine.packets += 1;
    mine.over += step.over;
    flow.hot.last = step.at;
}

/// Where [`plain`] found nothing but the end of a TLS record in the way: walks the records and books their length. False:
/// nothing has been changed, since the place is lost or found again. A follower that is lost and stays lost costs no more
/// than this: what passes meanwhile is found by the payload counter.
#[inline(never)]
pub(super) fn follow<K: Key>(table: &mut Table<K>, hash: u64, key: &K, step: &Step, payload: &[u8]) -> bool {
    let side = step.side();
    let Some(flow) = table.find(hash, key) else { return false };
    if step.kind & UDP != 0 {
        let quiet = step.at.since(flow.hot.last);
        let done = datagram(&mut flow.hot, side, step.payload_len(), quiet);
        count(flow, step);
        let number = flow.hot.cold();
        if done && let Some(cold) = table.cold(number) {
            uploads::silence(cold, side);
        }
        return true;
    }
    let follower = &mut flow.hot.follow[side.index()];
    let done = if follower.is_lost() {
        (!Follower::may_begin(payload)).then(|| follower.pass_lost(step.payload_len()))
    } else {
        follower.walk_on(payload, step.payload_len())
    };
    let Some(done) = done else { return false };
    let done = heard(&mut flow.hot, side, done);
    count(flow, step);
    let hot = flow.hot;
    if done.largest > 0
        && let Some(cold) = table.cold(hot.cold())
    {
        cold.booked(&hot, side, done, step.ack);
    }
    true
}

/// Where no record was followed, a longer segment answers what the other side has sent: worth a look at the cold half
/// if that was an upload.
pub(super) fn heard(hot: &mut Hot, side: Side, mut done: Followed) -> Followed {
    if done.unknown >= uploads::ANSWER_ON_WIRE {
        let other = &mut hot.follow[side.other().index()];
        let upload = other.sent().is_none_or(|sent| sent >= Uploads::LEAST);
        other.answered(upload);
        if upload || done.fresh {
            done.largest = done.unknown;
        }
    }
    done
}

/// Where datagrams are all there is to see, silence ends what a side has sent. True: it has ended an upload.
pub(super) fn datagram(hot: &mut Hot, side: Side, payload_len: u32, quiet: Span) -> bool {
    let mut ended = false;
    if payload_len >= uploads::DATAGRAM {
        let own = &mut hot.follow[side.index()];
        if quiet >= uploads::SILENCE {
            ended = own.sent().is_some_and(|sent| sent >= Uploads::LEAST);
            own.answered(false);
        }
        own.send(payload_len);
    }
    ended
}
