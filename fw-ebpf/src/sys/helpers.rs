//! The kernel helpers in use, behind safe functions.

use core::ffi::c_void;

use aya_ebpf::bindings::bpf_fib_lookup;
use aya_ebpf::helpers::generated;
use fw_common::route::Fib;

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

/// International Atomic Time, in nanoseconds since 1970.
#[inline(always)]
pub(crate) fn atomic_time() -> u64 {
    // SAFETY: takes no argument, reads a kernel clock.
    unsafe { generated::bpf_ktime_get_tai_ns() }
}

/// Number of this CPU.
#[inline(always)]
pub(crate) fn cpu() -> u32 {
    // SAFETY: takes no argument.
    unsafe { generated::bpf_get_smp_processor_id() }
}

/// Asks the kernel's routing tables; what it returns and what is in `fib` then, [`Fib::answer`] reads.
#[inline(always)]
pub(crate) fn fib_lookup(ctx: *mut c_void, fib: &mut Fib) -> i64 {
    let params: *mut Fib = fib;
    // SAFETY: `ctx` is the program's own context; `Fib` has the layout of the helper's parameters.
    unsafe {
        generated::bpf_fib_lookup(
            ctx,
            params.cast::<bpf_fib_lookup>(),
            size_of::<Fib>() as i32,
            0,
        )
    }
}
