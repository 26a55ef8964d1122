//! The layout of a TPACKET_V3 block: bytes to slots, checked at every step.

use super::{LinkType, Slot};
use crate::units::Timestamp;

/// Length of a block's header.
pub(super) const HEADER: usize = 48;
/// Length of the tag that the kernel took out of a frame.
const TAG_LEN: u32 = 4;
/// `TP_STATUS_VLAN_VALID`.
const VLAN_VALID: u32 = 0x10;

/// Appends the frames of a block. `bytes` is what lies behind its header, `first` the place of its first frame.
///
/// A tag that the kernel took out goes into the slot, and counts in the length on the wire: there it was.
pub(super) fn list(bytes: &[u8], first: usize, frames: u32, link: LinkType, slots: &mut Vec<Slot>) {
    let mut at = first;
    for _ in 0..frames {
        let Some(header) = bytes.get(at..).and_then(|b| b.first_chunk::<HEADER>()) else { return };
        let word = |i: usize| u32::from_ne_bytes([header[i], header[i + 1], header[i + 2], header[i + 3]]);
        let half = |i: usize| u16::from_ne_bytes([header[i], header[i + 1]]);
        let (offset, captured) = (at + usize::from(half(24)), word(12));
        let tagged = word(20) & VLAN_VALID != 0;
        if bytes.get(offset..offset + captured as usize).is_some() {
            slots.push(Slot {
                at: Timestamp::new(i64::from(word(4)), i64::from(word(8))),
                offset: offset as u32,
                captured,
                wire_len: word(16).max(captured) + if tagged { TAG_LEN } else { 0 },
                link,
                vlan: if tagged { word(32) as u16 & 0x0fff } else { u16::MAX },
            });
        }
        let step = word(0) as usize;
        if step < HEADER {
            return; // The last one.
        }
        at += step;
    }
}

/// The link type of the frames that a packet socket gives for a kind of hardware (`ARPHRD_*`).
pub(super) const fn link_type(hardware: u16) -> Option<LinkType> {
    Some(match hardware {
        1 | 772 => LinkType::ETHERNET,    // Ethernet, loopback
        519 | 65_534 => LinkType(101),    // raw IP: rmnet, tun, WireGuard
        768 | 769 | 776 => LinkType(101), // IP-in-IP, IPv6 tunnels, 6in4
        801 => LinkType(105),             // 802.11
        803 => LinkType(127),             // radiotap
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A block as the kernel would lay it out: frames with their tags.
    fn block(frames: &[(&[u8], Option<u16>)]) -> Vec<u8> {
        let mut out = Vec::new();
        for (i, (bytes, tag)) in frames.iter().enumerate() {
            let len = (HEADER + 34 + bytes.len()).next_multiple_of(8);
            let step = if i + 1 == frames.len() { 0 } else { len };
            let status = if tag.is_some() { 1 | VLAN_VALID } else { 1 };
            let mut frame = Vec::new();
            for word in [step as u32, 7, i as u32, bytes.len() as u32, bytes.len() as u32, status] {
                frame.extend(word.to_ne_bytes());
            }
            frame.extend((HEADER as u16 + 34).to_ne_bytes());
            frame.extend((HEADER as u16 + 48).to_ne_bytes());
            frame.extend(0u32.to_ne_bytes());
            frame.extend(u32::from(tag.unwrap_or(0)).to_ne_bytes());
            frame.resize(HEADER + 34, 0);
            frame.extend_from_slice(bytes);
            frame.resize(len, 0);
            out.extend(frame);
        }
        out
    }

    fn listed(bytes: &[u8], frames: u32) -> Vec<Slot> {
        let mut slots = Vec::new();
        list(bytes, 0, frames, LinkType::ETHERNET, &mut slots);
        slots
    }

    #[test]
    fn lists_frames_and_puts_tags_back() {
        let bytes = block(&[(b"first", None), (b"second one", Some(0xa005)), (b"", None)]);
        let slots = listed(&bytes, 3);
        let of = |s: &Slot| &bytes[s.offset as usize..][..s.captured as usize];
        assert_eq!(slots.iter().map(of).collect::<Vec<_>>(), [&b"first"[..], b"second one", b""]);
        assert_eq!(slots.iter().map(|s| s.wire_len).collect::<Vec<_>>(), [5, 14, 0]);
        assert_eq!(slots.iter().map(|s| s.vlan).collect::<Vec<_>>(), [0xffff, 5, 0xffff]);
        assert_eq!(slots[1].at, Timestamp::new(7, 1));
    }

    #[test]
    fn damage_never_leads_outside() {
        let good = block(&[(b"first", None), (b"second", Some(7)), (b"third", None)]);
        for at in 0..good.len() {
            for value in [0, 1, 0x7f, 0xff] {
                let mut bad = good.clone();
                bad[at] = value;
                for slot in listed(&bad, 1000) {
                    assert!((slot.offset + slot.captured) as usize <= bad.len());
                }
            }
            listed(&good[..at], 3);
        }
    }
}
