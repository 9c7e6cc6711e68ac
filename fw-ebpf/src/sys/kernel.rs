//! The kernel's own memory, read where user space says.

use core::ffi::c_void;

use aya_ebpf::helpers::generated::{
    bpf_probe_read_kernel, bpf_skb_load_bytes, bpf_skb_store_bytes,
};
use aya_ebpf::programs::TcContext;
use fw_common::abi::{HookEntry, HookList};

/// Copies the question in the packet to `list`; false if there is none.
#[inline(always)]
pub(crate) fn question(ctx: &TcContext, list: &mut HookList) -> bool {
    // SAFETY: the context is the program's own; any bytes are a `HookList`.
    let read = unsafe {
        bpf_skb_load_bytes(
            ctx.skb.skb.cast(),
            0,
            core::ptr::from_mut(list).cast(),
            size_of::<HookList>() as u32,
        )
    };
    read == 0
}

/// Puts the answer where the question was.
#[inline(always)]
pub(crate) fn answer(ctx: &TcContext, list: &HookList) -> bool {
    // SAFETY: the context is the program's own; a `HookList` has no padding.
    let written = unsafe {
        bpf_skb_store_bytes(
            ctx.skb.skb.cast(),
            0,
            core::ptr::from_ref(list).cast(),
            size_of::<HookList>() as u32,
            0,
        )
    };
    written == 0
}

/// The `sk_buff` that the context stands for.
#[inline(always)]
pub(crate) fn address(ctx: &TcContext) -> u64 {
    ctx.skb.skb as u64
}

/// The pointer at `base + offset`; `None` if there is none or it can't be read.
#[inline(always)]
pub(crate) fn pointer(base: u64, offset: u32) -> Option<u64> {
    word(base, offset).filter(|word| *word != 0)
}

/// The word at `base + offset`.
#[inline(always)]
pub(crate) fn word(base: u64, offset: u32) -> Option<u64> {
    let mut word = 0_u64;
    read(
        base,
        offset,
        (&raw mut word).cast(),
        size_of::<u64>() as u32,
    )
    .then_some(word)
}

/// The half-word there.
#[inline(always)]
pub(crate) fn half(base: u64, offset: u32) -> Option<u16> {
    let mut half = 0_u16;
    read(
        base,
        offset,
        (&raw mut half).cast(),
        size_of::<u16>() as u32,
    )
    .then_some(half)
}

/// The first of `count` hooks there.
#[inline(always)]
pub(crate) fn entries(
    base: u64,
    offset: u32,
    count: u32,
    to: &mut [HookEntry; HookList::ENTRIES],
) -> bool {
    let len = count.min(HookList::ENTRIES as u32) * size_of::<HookEntry>() as u32;
    // The verifier of older kernels does not see from the minimum that there is room: it wants a comparison of the very
    // number that it is handed.
    let len = core::hint::black_box(len);
    len <= size_of_val(to) as u32 && read(base, offset, to.as_mut_ptr().cast(), len)
}

#[inline(always)]
fn read(base: u64, offset: u32, to: *mut c_void, len: u32) -> bool {
    // Structures are smaller than that; the verifier wants to know how far a pointer may be moved.
    let from = base.wrapping_add(u64::from(offset & 0xffff));
    // SAFETY: the helper checks the address it reads from; `to` has room for `len` bytes.
    unsafe { bpf_probe_read_kernel(to, len, from as *const c_void) == 0 }
}
