//! What is left to do once a packet has its verdict, as global functions: see [`super::subprogram`].

use fw_common::wire::Family;
use fw_common::{Reason, Verdict};

use crate::conntrack::{self, Inserted};
use crate::kept;

use super::packed::reason;
use super::scratch::Scratch;

/// [`Inserted`] as a scalar; from the last one on, a [`Reason`].
const YES: u64 = 0;
const CLASH: u64 = 1;
const REFUSED: u64 = 2;

/// Inserts the flow that `scratch` has ready.
#[unsafe(no_mangle)]
#[inline(never)]
extern "C" fn fw_insert(scratch: *mut Scratch) -> u64 {
    let Some(scratch) = Scratch::again(scratch) else {
        return REFUSED + Reason::NoConfig as u64;
    };
    let Scratch {
        meta,
        machine,
        job,
        fresh,
        place4,
        place6,
        ..
    } = scratch;
    let inserted = match meta.family {
        Family::V4 => conntrack::insert(place4, fresh, machine, job),
        Family::V6 => conntrack::insert(place6, fresh, machine, job),
    };
    match inserted {
        Inserted::Yes => YES,
        Inserted::Clash => CLASH,
        Inserted::No(reason) => REFUSED + reason as u64,
    }
}

/// Keeps what the ruleset said with the flow, which has an entry; 0 if that must not be lost and was. `verdict` is a
/// [`Verdict`] as a number.
#[unsafe(no_mangle)]
#[inline(never)]
extern "C" fn fw_keep(scratch: *mut Scratch, verdict: u32) -> u64 {
    let Some(scratch) = Scratch::again(scratch) else {
        return 0;
    };
    let Scratch {
        meta,
        machine,
        job,
        place4,
        place6,
        ..
    } = scratch;
    let verdict = if verdict == 0 {
        Verdict::Pass
    } else {
        Verdict::Drop
    };
    let kept = match meta.family {
        Family::V4 => kept::keep_known(place4, machine, job, verdict),
        Family::V6 => kept::keep_known(place6, machine, job, verdict),
    };
    kept.into()
}

/// [`conntrack::insert`] of the flow that `scratch` has ready.
#[inline(always)]
pub(crate) fn insert(scratch: &mut Scratch) -> Inserted {
    match fw_insert(scratch) {
        YES => Inserted::Yes,
        CLASH => Inserted::Clash,
        refused => Inserted::No(reason(refused.wrapping_sub(REFUSED))),
    }
}

/// [`kept::keep_known`] of the packet that `scratch` describes.
#[inline(always)]
pub(crate) fn keep(scratch: &mut Scratch, verdict: Verdict) -> bool {
    fw_keep(scratch, verdict as u32) != 0
}
