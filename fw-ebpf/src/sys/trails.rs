//! Paths of packets through the counters: numbers, and what is counted on each.

use aya_ebpf::bindings::BPF_NOEXIST;
use aya_ebpf::btf_maps::{HashMap, PerCpuArray};
use aya_ebpf::macros::btf_map;
use fw_common::abi::{Active, Hits, PATH_SLOTS, PathKey};

use super::ruleset::{add, next_path, slot};

#[btf_map]
static PATHS: HashMap<PathKey, u32, { 2 * PATH_SLOTS as usize }> = HashMap::new();
#[btf_map]
static PATH_TALLIES: PerCpuArray<Hits, { 2 * PATH_SLOTS as usize }> = PerCpuArray::new();

#[btf_map]
static LAST_PATHS: PerCpuArray<LastPath, 2> = PerCpuArray::new();

/// The path that this CPU has looked up last: first packets of many flows go the same way.
#[repr(C)]
struct LastPath {
    /// The ruleset that it is of.
    active: u64,
    key: PathKey,
    number: u32,
}

/// [`find`], if it is not the same path as the last time at this hook (0 or 1).
#[inline(always)]
pub(crate) fn path(active: Active, key: &PathKey, hook: u32) -> Option<u32> {
    let last = LAST_PATHS.get_ptr_mut(hook)?;
    // SAFETY: the slot belongs to this CPU and this hook.
    let last = unsafe { &mut *last };
    if last.active == active.0 && last.key == *key {
        return Some(last.number);
    }
    let number = find(active, key)?;
    last.active = active.0;
    last.key = *key;
    last.number = number;
    Some(number)
}

/// The number of the way that a packet took through the counters: 0 if it met none, `None` if there are
/// no more numbers.
#[inline(always)]
fn find(active: Active, key: &PathKey) -> Option<u32> {
    if key.trail[0] == 0 {
        return Some(0);
    }
    // SAFETY: the number of a path never changes while its bank is in force.
    if let Some(number) = unsafe { PATHS.get(key) } {
        return Some(*number);
    }
    let number = next_path(active)?;
    if number >= PATH_SLOTS {
        return None;
    }
    // Another CPU may have found the same path: its number holds then.
    if PATHS.insert(key, number, u64::from(BPF_NOEXIST)).is_err() {
        // SAFETY: as above.
        return unsafe { PATHS.get(key) }.copied();
    }
    Some(number)
}

/// Counts a packet that went path `number`.
#[inline(always)]
pub(crate) fn count_path(active: Active, number: u16, bytes: u16, now: u64) {
    if number == 0 {
        return;
    }
    if let Some(tally) = PATH_TALLIES.get_ptr_mut(slot(active, u32::from(number), PATH_SLOTS)) {
        add(tally, u32::from(bytes), now);
    }
}
