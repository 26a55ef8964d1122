//! Asks the processor for a cache line ahead of its use. One of the few files that may say `unsafe`.
#![allow(unsafe_code)]

/// Starts to load the line at `place`. A hint: never fails, never reads.
#[inline]
pub fn prefetch<T>(place: &T) {
    #[cfg(target_arch = "x86_64")]
    {
        use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
        // SAFETY: a prefetch has no architectural effect, and the pointer comes from a live reference.
        unsafe { _mm_prefetch::<_MM_HINT_T0>(std::ptr::from_ref(place).cast()) }
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = place;
}

/// Starts to load every line of `place`.
#[inline]
pub fn prefetch_whole<T>(place: &T) {
    #[cfg(target_arch = "x86_64")]
    {
        use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
        let start = std::ptr::from_ref(place).cast::<i8>();
        for line in (0..size_of::<T>()).step_by(64) {
            // SAFETY: as above; every address lies within the referenced value.
            unsafe { _mm_prefetch::<_MM_HINT_T0>(start.add(line)) }
        }
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = place;
}
