//! Memory for the flow tables in huge pages, where the kernel grants them. One of the few files that may say `unsafe`.
//!
//! A table of a million flows is touched at random: with 4 KiB pages nearly every look-up misses the TLB as well as the
//! cache. The request is a hint; without it everything works, only slower.
#![allow(unsafe_code)]

use allocator_api2::alloc::{AllocError, Allocator, Global, Layout};
use std::ptr::NonNull;

/// A huge page on the machines that matter. Elsewhere only the alignment is wasted.
const HUGE: usize = 2 << 20;

/// Allocates large pieces on huge-page boundaries and asks for huge pages.
#[derive(Clone, Copy, Default, Debug)]
pub struct HugePages;

/// The layout really used: the same for allocation and release.
fn widened(layout: Layout) -> Layout {
    if layout.size() < HUGE {
        return layout;
    }
    layout.align_to(HUGE).unwrap_or(layout)
}

// SAFETY: every call goes to the global allocator with a layout that depends on the caller's layout alone, so memory is
// released as it was allocated; an alignment larger than asked for satisfies the caller's.
unsafe impl Allocator for HugePages {
    fn allocate(&self, layout: Layout) -> Result<NonNull<[u8]>, AllocError> {
        let wide = widened(layout);
        let memory = Global.allocate(wide)?;
        #[cfg(target_os = "linux")]
        if wide.align() == HUGE {
            // SAFETY: the range is the one just allocated; the advice changes no contents, and its failure no promise.
            unsafe { libc::madvise(memory.as_ptr().cast(), wide.size(), libc::MADV_HUGEPAGE) };
        }
        Ok(memory)
    }

    unsafe fn deallocate(&self, memory: NonNull<u8>, layout: Layout) {
        // SAFETY: the caller promises that `memory` came from `allocate` with this layout.
        unsafe { Global.deallocate(memory, widened(layout)) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn large_pieces_are_aligned_and_small_ones_are_not_widened() {
        let table: hashbrown::HashTable<u64, HugePages> =
            hashbrown::HashTable::with_capacity_in(1 << 20, HugePages);
        assert!(table.capacity() >= 1 << 20);
        let small = Layout::new::<u64>();
        assert_eq!(widened(small), small);
        let large = Layout::from_size_align(HUGE * 3, 16).expect("layout");
        assert_eq!(widened(large).align(), HUGE);
    }
}
