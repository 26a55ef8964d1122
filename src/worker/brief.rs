//! The short form of an ordinary packet: one cache line, without a lifetime, made once where the frame is decoded.
//!
//! It holds what a packet that is simply next in order has to be booked with. Whoever needs more reads the frame again.

use super::{AHEAD, AnyKey, Context, Step, Worker, short};
use crate::capture::{Frame, Lent};
use crate::decode::{self, Packet, Pair, Tcp, Transport};
use crate::flow::key::{Key, KeyV4, KeyV6, Seeds, Side};
use crate::flow::table::Table;
use crate::units::Timestamp;
use std::ops::Range;

/// See the module.
#[derive(Clone, Copy, Debug)]
struct Brief {
    /// Hash of the key.
    hash: u64,
    /// The two IPv4 addresses, sorted; for IPv6 the place of the key in [`Briefs::wide`].
    addr: u64,
    at: Timestamp,
    ordinal: u64,
    seq: u32,
    ack: u32,
    ports: [u16; 2],
    /// Where the payload begins in the batch.
    payload: u32,
    wire_len: u32,
    /// The frame within its batch.
    slot: u32,
    payload_len: u16,
    /// Bytes of the IP packet that are no payload.
    head_len: u16,
    flags: u8,
    kind: u8,
}

const _: () = assert!(size_of::<Brief>() == 64);

/// No payload was captured.
const NOWHERE: usize = u32::MAX as usize;
const SIDE_B: u8 = 1;
const UDP: u8 = 2;
const V6: u8 = 4;

/// Packets in their short form, in order, of one batch.
#[derive(Clone, Default, Debug)]
pub struct Briefs {
    list: Vec<Brief>,
    /// The keys that are too long for a [`Brief`].
    wide: Vec<KeyV6>,
}

impl Briefs {
    /// Number of packets.
    pub fn len(&self) -> usize {
        self.list.len()
    }

    /// No packet.
    pub fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    /// Room for so many packets, whatever their addresses.
    pub fn reserve(&mut self, packets: usize) {
        self.list.reserve(packets);
        self.wide.reserve(packets);
    }

    /// Forgets the packets, keeps the memory.
    pub fn clear(&mut self) {
        self.list.clear();
        self.wide.clear();
    }

    /// Takes a packet that [`decode::lean`] made of frame `slot`, whose batch begins at address `base`. False: it has
    /// no short form.
    #[allow(clippy::inline_always)] // the packet is never written as a whole
    #[inline(always)]
    pub fn push(&mut self, packet: &Packet<'_>, slot: usize, base: usize, seeds: &Seeds) -> bool {
        let head_len = packet.ip_len.wrapping_sub(packet.payload_len);
        if packet.now != packet.at
            || head_len > u32::from(u16::MAX)
            || packet.payload_len > u32::from(u16::MAX)
        {
            return false;
        }
        let mut kind = if packet.transport == Transport::Udp { UDP } else { 0 };
        let (hash, addr, ports) = match packet.pair {
            Pair::V4 { src, dst } => {
                let (key, side) = KeyV4::new(src, dst, packet);
                kind |= side as u8;
                (key.hash(seeds), key.addresses(), key.ports())
            }
            Pair::V6 { src, dst } => {
                let (key, side) = KeyV6::new(src, dst, packet);
                kind |= V6 | side as u8;
                self.wide.push(key);
                (key.hash(seeds), self.wide.len() as u64 - 1, [0; 2])
            }
        };
        let payload =
            if packet.payload.is_empty() { NOWHERE } else { packet.payload.as_ptr() as usize - base };
        self.list.push(Brief {
            hash,
            addr,
            at: packet.at,
            ordinal: packet.ordinal,
            seq: packet.tcp.seq,
            ack: packet.tcp.ack,
            ports,
            payload: payload as u32,
            wire_len: packet.wire_len,
            slot: slot as u32,
            payload_len: packet.payload_len as u16,
            head_len: head_len as u16,
            flags: packet.tcp.flags,
            kind,
        });
        true
    }
}

impl Brief {
    const fn side(&self) -> Side {
        if self.kind & SIDE_B == 0 { Side::A } else { Side::B }
    }

    const fn transport(&self) -> Transport {
        if self.kind & UDP == 0 { Transport::Tcp } else { Transport::Udp }
    }

    const fn is_v4(&self) -> bool {
        self.kind & V6 == 0
    }

    const fn v4(&self) -> KeyV4 {
        KeyV4::of(self.addr, self.ports, self.transport())
    }

    fn step(&self) -> Step {
        Step {
            at: self.at,
            transport: self.transport(),
            tcp: Tcp { seq: self.seq, ack: self.ack, flags: self.flags },
            payload_len: u32::from(self.payload_len),
            wire_len: self.wire_len,
            ip_len: u32::from(self.payload_len) + u32::from(self.head_len),
        }
    }

    /// The captured payload.
    fn payload<'b>(&self, lent: &Lent<'b>) -> &'b [u8] {
        let Some(slot) = lent.slots.get(self.slot as usize) else { return &[] };
        let (at, end) = (self.payload as usize, slot.offset as usize + slot.captured as usize);
        let end = end.min(at.saturating_add(usize::from(self.payload_len)));
        lent.bytes.get(at..end).unwrap_or(&[])
    }

    /// The whole packet, read again from its frame.
    fn packet<'b>(&self, lent: &Lent<'b>) -> Option<Packet<'b>> {
        let slot = lent.slots.get(self.slot as usize)?;
        decode::lean(&Frame {
            at: slot.at,
            now: slot.at,
            ordinal: self.ordinal,
            bytes: lent.frame_bytes(slot),
            wire_len: slot.wire_len,
            link: slot.link,
            vlan: slot.tag(),
        })
    }
}

impl Worker {
    /// Takes packets in their short form, in the order of their frames: those of `range`. `lent`: the batch that they
    /// were made of.
    pub fn take(&mut self, briefs: &Briefs, range: Range<usize>, lent: &Lent<'_>) {
        let list = briefs.list.get(range).unwrap_or(&[]);
        let mut blocks = list.chunks(AHEAD);
        self.touch(list.get(..2 * AHEAD).unwrap_or(list));
        self.ask_for(blocks.next().unwrap_or(&[]));
        for (i, block) in list.chunks(AHEAD).enumerate() {
            self.touch(list.get((i + 2) * AHEAD..).map_or(&[], |rest| rest.get(..AHEAD).unwrap_or(rest)));
            self.ask_for(blocks.next().unwrap_or(&[]));
            self.look_ahead(block, &briefs.wide);
            for brief in block {
                if brief.is_v4() {
                    self.context.brief(&mut self.v4, brief.v4(), brief, lent);
                } else if let Some(&key) = briefs.wide.get(brief.addr as usize) {
                    self.context.brief(&mut self.v6, key, brief, lent);
                }
            }
            if let Some(last) = block.last() {
                self.make_room(last.at, last.ordinal);
            }
        }
    }

    /// First step: begins to load where the flows are looked up.
    fn touch(&mut self, block: &[Brief]) {
        let mut found = 0;
        for brief in block {
            let there = if brief.is_v4() { self.v4.touch(brief.hash) } else { self.v6.touch(brief.hash) };
            found += usize::from(there);
        }
        self.context.touched = self.context.touched.wrapping_add(found);
    }

    /// Second step: begins to load the flows.
    fn ask_for(&self, block: &[Brief]) {
        for brief in block {
            if brief.is_v4() { self.v4.prefetch(brief.hash) } else { self.v6.prefetch(brief.hash) }
        }
    }

    /// Once in [`AHEAD`] packets. When many of the last ones needed the cold halves, the next ones will: asks for
    /// those too.
    fn look_ahead(&mut self, next: &[Brief], wide: &[KeyV6]) {
        if self.context.long_ways * 8 >= AHEAD {
            for brief in next {
                if brief.is_v4() {
                    self.v4.prefetch_cold(brief.hash, &brief.v4(), brief.side());
                } else if let Some(key) = wide.get(brief.addr as usize) {
                    self.v6.prefetch_cold(brief.hash, key, brief.side());
                }
            }
        }
        self.context.long_ways = 0;
    }
}

impl Context {
    #[inline]
    fn brief<K: Key + Into<AnyKey>>(&mut self, table: &mut Table<K>, key: K, brief: &Brief, lent: &Lent<'_>) {
        if short(table, &key, brief.side(), brief.hash, &brief.step(), || brief.payload(lent)) {
            return;
        }
        self.long_ways += 1;
        if let Some(packet) = brief.packet(lent) {
            self.packet(table, key, brief.side(), brief.hash, &packet);
        }
    }
}
