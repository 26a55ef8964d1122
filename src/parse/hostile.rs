//! For tests: what an enemy may make of a good message.

/// Calls `read` with every truncation, and with 1,000 copies in which seeded bits are flipped.
pub(crate) fn all(good: &[u8], mut read: impl FnMut(&[u8])) {
    for len in 0..=good.len() {
        read(&good[..len]);
    }
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let mut random = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state as usize
    };
    for _ in 0..1_000 {
        let mut bad = good.to_vec();
        for _ in 0..=random() % 8 {
            let at = random() % bad.len().max(1);
            if let Some(byte) = bad.get_mut(at) {
                *byte ^= 1 << (random() % 8);
            }
        }
        read(&bad);
    }
}
