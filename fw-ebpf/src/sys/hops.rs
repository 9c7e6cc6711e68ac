//! Cached next hops, shared by all flows that go the same way.
//!
//! A slot belongs to one generation of the routing tables. Within it, it is written once: so flows may
//! remember its number for as long as the generation lasts.

use fw_common::abi::{FILLING, NO_EGRESS, NOT_ASKED, NextHop, THE_KERNELS};
use fw_common::fasttrack;

use super::atomic::Word;
use super::maps::NEXTHOPS;

/// How many slots a next hop may be in.
const PROBES: u32 = 8;

/// Copies slot `index` to `hop`, if it is one of `generation`.
#[inline(always)]
pub(crate) fn get(index: u16, generation: u32, hop: &mut NextHop) -> bool {
    let Some(slot) = NEXTHOPS.get_ptr_mut(u32::from(index)) else {
        return false;
    };
    // SAFETY: a slot of an array map is always there. It may be taken for a later generation while it is
    // read: then its generation is another at the end.
    unsafe {
        let there = (&raw const (*slot).generation).read_volatile() == generation;
        hop.oif = (&raw const (*slot).oif).read_volatile();
        hop.macs = (*slot).macs;
        hop.mtu = (*slot).mtu;
        hop.egress = (*slot).egress;
        hop.vlan = (*slot).vlan;
        hop.confirm_at = (*slot).confirm_at;
        if there && (&raw const (*slot).generation).read_volatile() == generation {
            return true;
        }
    }
    hop.oif = 0;
    false
}

/// Whether the neighbour of slot `index` is to be looked at at tick `now`.
#[inline(always)]
pub(crate) fn is_due(index: u16, now: u64) -> bool {
    NEXTHOPS.get_ptr(u32::from(index)).is_some_and(|slot| {
        // SAFETY: as above; an aligned word, read whole.
        unsafe { (&raw const (*slot).confirm_at).read_volatile() <= now }
    })
}

/// Lets slot `index` be used without a look at the neighbour until tick `until`.
#[inline(always)]
pub(crate) fn put_off(index: u16, until: u64) {
    if let Some(slot) = NEXTHOPS.get_ptr_mut(u32::from(index)) {
        // SAFETY: as above; an aligned word, written whole.
        unsafe { (&raw mut (*slot).confirm_at).write_volatile(until) };
    }
}

/// The number of the slot that holds `hop` in `generation`, which may be a new one; [`NOT_ASKED`] if there
/// is no room.
#[inline(always)]
pub(crate) fn intern(hop: &NextHop, generation: u32) -> u16 {
    fw_intern(hop, generation) as u16
}

/// A global function, see [`super::subprogram`].
#[unsafe(no_mangle)]
#[inline(never)]
extern "C" fn fw_intern(hop: *const NextHop, generation: u32) -> u64 {
    // SAFETY: null or memory of the type's size, this CPU's own.
    match unsafe { hop.as_ref() } {
        Some(hop) => u64::from(find_or_claim(hop, generation)),
        None => u64::from(NOT_ASKED),
    }
}

#[inline(always)]
fn find_or_claim(hop: &NextHop, generation: u32) -> u16 {
    let first = fasttrack::slot_of(hop);
    let mut probe = 0;
    while probe < PROBES {
        let index = (first + probe) as u16;
        probe += 1;
        let is_a_slot = index != THE_KERNELS && index < NO_EGRESS;
        if is_a_slot && claim(index, hop, generation) {
            return index;
        }
    }
    NOT_ASKED
}

/// Whether slot `index` holds `hop`, now if not before.
#[inline(always)]
fn claim(index: u16, hop: &NextHop, generation: u32) -> bool {
    let Some(slot) = NEXTHOPS.get_ptr_mut(u32::from(index)) else {
        return false;
    };
    // SAFETY: a slot of an array map is always there, and aligned.
    let word = unsafe { Word::new(&raw mut (*slot).generation) };
    // SAFETY: as above.
    let seen = unsafe { (&raw const (*slot).generation).read_volatile() };
    if seen == generation {
        // SAFETY: as above; written once before its generation was.
        let there = unsafe { &*slot };
        let same_way = (there.oif, there.vlan, there.mtu) == (hop.oif, hop.vlan, hop.mtu);
        return same_way && there.macs == hop.macs;
    }
    let is_later = seen.wrapping_sub(generation) < u32::MAX / 2;
    if seen == FILLING || (seen != 0 && is_later) || word.exchange_if(seen, FILLING) != seen {
        return false;
    }
    // SAFETY: as above; the slot is ours until its generation stands.
    unsafe {
        (&raw mut (*slot).oif).write_volatile(hop.oif);
        (&raw mut (*slot).macs).write(hop.macs);
        (&raw mut (*slot).mtu).write(hop.mtu);
        (&raw mut (*slot).egress).write(hop.egress);
        (&raw mut (*slot).vlan).write(hop.vlan);
        (&raw mut (*slot).confirm_at).write_volatile(hop.confirm_at);
    }
    word.release(generation);
    true
}
