//! Atomic instructions on map memory. The only user of `core::intrinsics`.
//!
//! `core::sync::atomic` offers no read-modify-write for this target; the intrinsics compile to BPF's
//! own instructions (`-Ctarget-cpu=v3`).

use core::intrinsics::{AtomicOrdering, atomic_cxchg, atomic_xadd};

/// A shared 32-bit word in a map value.
#[derive(Clone, Copy)]
pub(crate) struct Word(*mut u32);

impl Word {
    /// Wraps a word.
    ///
    /// # Safety
    /// `ptr` must point to an aligned word of map memory that lives as long as the program runs.
    #[inline(always)]
    pub(crate) const unsafe fn new(ptr: *mut u32) -> Self {
        Self(ptr)
    }

    /// Replaces `old` by `new`; the word's value before. Full barrier, as every BPF exchange.
    #[inline(always)]
    pub(crate) fn exchange_if(self, old: u32, new: u32) -> u32 {
        // SAFETY: `new` demands a valid, aligned word.
        let (before, _) = unsafe {
            atomic_cxchg::<u32, { AtomicOrdering::SeqCst }, { AtomicOrdering::SeqCst }>(
                self.0, old, new,
            )
        };
        before
    }

    /// Stores `new` so that everything written before is seen by who reads it.
    #[inline(always)]
    pub(crate) fn release(self, new: u32) {
        // The compiler must not move a store across, either (its own fence has no BPF form).
        core::hint::black_box(());
        #[cfg(bpf_target_arch = "x86_64")]
        // SAFETY: `new` demands a valid, aligned word. A plain store is a release store on x86.
        unsafe {
            self.0.write_volatile(new);
        }
        #[cfg(not(bpf_target_arch = "x86_64"))]
        // SAFETY: as above; BPF v3 has no release store, an exchange is a full barrier.
        unsafe {
            core::intrinsics::atomic_xchg::<u32, { AtomicOrdering::SeqCst }>(self.0, new);
        }
    }
}

/// Adds to a shared 64-bit counter in a map value.
///
/// # Safety
/// `ptr` must point to an aligned double word of map memory.
#[inline(always)]
pub(crate) unsafe fn add(ptr: *mut u64, n: u64) {
    // SAFETY: the caller's promise.
    unsafe { atomic_xadd::<u64, u64, { AtomicOrdering::Relaxed }>(ptr, n) };
}

/// Adds to a shared 64-bit word; its value before.
///
/// # Safety
/// `ptr` must point to an aligned double word of map memory.
#[inline(always)]
pub(crate) unsafe fn fetch_add(ptr: *mut u64, n: u64) -> u64 {
    // SAFETY: the caller's promise.
    unsafe { atomic_xadd::<u64, u64, { AtomicOrdering::SeqCst }>(ptr, n) }
}

/// Adds to a shared 32-bit word; its value before.
///
/// # Safety
/// `ptr` must point to an aligned word of map memory.
#[inline(always)]
pub(crate) unsafe fn fetch_add32(ptr: *mut u32, n: u32) -> u32 {
    // SAFETY: the caller's promise.
    unsafe { atomic_xadd::<u32, u32, { AtomicOrdering::SeqCst }>(ptr, n) }
}

/// Replaces `old` by `new` in a shared 64-bit word; its value before.
///
/// # Safety
/// `ptr` must point to an aligned double word of map memory.
#[inline(always)]
pub(crate) unsafe fn exchange_if(ptr: *mut u64, old: u64, new: u64) -> u64 {
    // SAFETY: the caller's promise.
    let (before, _) = unsafe {
        atomic_cxchg::<u64, { AtomicOrdering::SeqCst }, { AtomicOrdering::SeqCst }>(ptr, old, new)
    };
    before
}
