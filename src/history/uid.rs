//! Uids of our own Zeek output, read back as the flow ids that they were made of.

use crate::observe::FlowId;

/// The flow id of a uid that is one, or that [`crate::output::ids::uid`] has made; `None` for those of others.
pub(super) fn flow(uid: &[u8]) -> Option<FlowId> {
    // Suricata's, and ours in EVE.
    if let Some(id) = super::value::number(uid).filter(|id| *id < 1 << 53) {
        return Some(FlowId(id));
    }
    let letters = uid.strip_prefix(b"C").filter(|l| l.len() == 11)?;
    let mut mixed = 0u64;
    for letter in letters.iter().rev() {
        let digit = match letter {
            b'0'..=b'9' => letter - b'0',
            b'A'..=b'Z' => letter - b'A' + 10,
            b'a'..=b'z' => letter - b'a' + 36,
            _ => return None,
        };
        mixed = mixed.checked_mul(62)?.checked_add(u64::from(digit))?;
    }
    // Every step of the mixing, backwards: the multipliers are the inverses modulo 2^64.
    mixed = unshift(mixed, 31).wrapping_mul(0x3196_42b2_d24d_8ec3);
    mixed = unshift(mixed, 27).wrapping_mul(0x96de_1b17_3f11_9089);
    let id = unshift(mixed, 30);
    // Ids are below 2^53; a uid of another tool lands there by chance once in two thousand.
    (id < 1 << 53).then_some(FlowId(id))
}

/// Undoes `value ^ value >> by`, for `by` from 22 to 31.
const fn unshift(value: u64, by: u32) -> u64 {
    value ^ (value >> by) ^ (value >> (2 * by))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn our_own_uids_come_back() {
        for id in (0..64).map(|i| (1u64 << 53) - 1 - i * 0x0001_2345_6789) {
            let mut uid = Vec::new();
            crate::output::ids::uid(FlowId(id), &mut uid);
            assert_eq!(flow(&uid), Some(FlowId(id)));
        }
        assert_eq!(flow(b"4503599627370497"), Some(FlowId(4_503_599_627_370_497)));
        assert_eq!(flow(b"9007199254740993"), None);
        assert_eq!((flow(b"CHhAvVGS1DHFjwGM9"), flow(b""), flow(b"C---")), (None, None, None));
        assert_eq!(flow(b"Czzzzzzzzzzz"), None);
    }
}
