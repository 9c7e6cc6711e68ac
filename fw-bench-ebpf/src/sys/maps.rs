//! The maps, and access to their memory.

use aya_ebpf::btf_maps::{Array, PerCpuArray};
use aya_ebpf::macros::btf_map;

use crate::abi::{Plan, Walk};

#[btf_map]
static PLAN: Array<Plan, 1> = Array::new();
#[btf_map]
static WALK: Array<Walk, 1> = Array::new();
/// Packets that the sink has dropped.
#[btf_map]
static ARRIVED: PerCpuArray<u64, 1> = PerCpuArray::new();

/// What to generate.
#[inline(always)]
pub(crate) fn plan() -> Option<&'static Plan> {
    let plan = PLAN.get_ptr(0)?;
    // SAFETY: a value of an array map lives as long as the map. User space changes it only while no
    // generator runs.
    Some(unsafe { &*plan })
}

/// Where the generator is.
#[inline(always)]
pub(crate) fn walk() -> Option<&'static mut Walk> {
    let walk = WALK.get_ptr_mut(0)?;
    // SAFETY: as above; one generator runs at a time, on one CPU.
    Some(unsafe { &mut *walk })
}

/// One more packet has arrived.
#[inline(always)]
pub(crate) fn count() {
    if let Some(arrived) = ARRIVED.get_ptr_mut(0) {
        // SAFETY: this CPU's own value, and XDP programs of one CPU do not interrupt each other.
        unsafe { *arrived += 1 };
    }
}
