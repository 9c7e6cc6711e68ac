//! The kernel helpers in use, behind safe functions.

use aya_ebpf::helpers::generated;

/// The kernel's tick. Inlined by the verifier: costs next to nothing, where `bpf_ktime_get_ns` costs
/// 33 ns.
#[inline(always)]
pub(crate) fn jiffies() -> u64 {
    // SAFETY: takes no argument, reads a kernel variable.
    unsafe { generated::bpf_jiffies64() }
}

/// A pseudo-random number.
#[inline(always)]
pub(crate) fn random() -> u32 {
    // SAFETY: takes no argument.
    unsafe { generated::bpf_get_prandom_u32() }
}
