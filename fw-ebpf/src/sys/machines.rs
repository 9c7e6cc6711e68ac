//! The state machines as global functions: see [`super::subprogram`].

use fw_common::abi::{Config, Flow};
use fw_common::track::{self, Fate, Outcome};
use fw_common::wire::{Meta, proto};
use fw_common::{CtInfo, Dir, Reason};

use super::packed::{pack, result, unpack, unresult};

/// What these functions are given; `None` if something is missing, which it never is.
///
/// # Safety
/// Each is null or memory of the type's size, as the verifier makes callers pass it: `flow` is the caller's
/// for the time of the call, `meta` this CPU's own, `config` only written by the daemon.
#[inline(always)]
unsafe fn arguments<'a>(
    flow: *mut Flow,
    meta: *const Meta,
    config: *const Config,
) -> Option<(&'a mut Flow, &'a Meta, &'a Config)> {
    // SAFETY: the caller's promise.
    unsafe { Some((flow.as_mut()?, meta.as_ref()?, config.as_ref()?)) }
}

/// [`track::advance_other`].
///
/// `dir` is 0 for original, else reply; `now` is in ticks. The result is [`pack`]ed.
#[unsafe(no_mangle)]
#[inline(never)]
extern "C" fn fw_advance(
    flow: *mut Flow,
    meta: *const Meta,
    config: *const Config,
    dir: u32,
    now: u64,
) -> u64 {
    // SAFETY: see `arguments`; `flow` is locked by the caller.
    let Some((flow, meta, config)) = (unsafe { arguments(flow, meta, config) }) else {
        return pack(Outcome {
            info: CtInfo::Invalid,
            fate: Fate::Keep,
            reason: Reason::Contended,
            changed: 0,
            counted: false,
        });
    };
    let dir = if dir == 0 { Dir::Original } else { Dir::Reply };
    pack(track::advance_other(flow, dir, meta, config, now))
}

/// [`track::open_other`]. Returns 0, or 1 + the number of the [`Reason`] why not.
#[unsafe(no_mangle)]
#[inline(never)]
extern "C" fn fw_open(flow: *mut Flow, meta: *const Meta, config: *const Config, now: u64) -> u64 {
    // SAFETY: as above; `flow` is this CPU's own.
    let Some((flow, meta, config)) = (unsafe { arguments(flow, meta, config) }) else {
        return u64::MAX;
    };
    result(track::open_other(flow, meta, config, now))
}

/// [`track::advance_sctp`] if `dir` is a direction; else [`track::open_sctp`], whose result is as that of
/// `fw_open`.
#[unsafe(no_mangle)]
#[inline(never)]
extern "C" fn fw_sctp(
    flow: *mut Flow,
    meta: *const Meta,
    config: *const Config,
    dir: u32,
    now: u64,
) -> u64 {
    // SAFETY: as above.
    let Some((flow, meta, config)) = (unsafe { arguments(flow, meta, config) }) else {
        return u64::MAX;
    };
    if dir == FRESH {
        return result(track::open_sctp(flow, meta, config, now));
    }
    let dir = if dir == 0 { Dir::Original } else { Dir::Reply };
    pack(track::advance_sctp(flow, dir, meta, config, now))
}

/// `dir` of a flow that begins.
const FRESH: u32 = 2;

/// Advances a locked entry by one packet.
#[inline(always)]
pub(crate) fn advance(
    flow: &mut Flow,
    dir: Dir,
    meta: &Meta,
    config: &Config,
    now: u64,
) -> Outcome {
    unpack(match meta.proto {
        proto::SCTP => fw_sctp(flow, meta, config, dir as u32, now),
        _ => fw_advance(flow, meta, config, dir as u32, now),
    })
}

/// Fills a fresh entry for its first packet.
///
/// # Errors
/// The [`Reason`] why this packet may not begin a flow.
#[inline(always)]
pub(crate) fn open(flow: &mut Flow, meta: &Meta, config: &Config, now: u64) -> Result<(), Reason> {
    unresult(match meta.proto {
        proto::SCTP => fw_sctp(flow, meta, config, FRESH, now),
        _ => fw_open(flow, meta, config, now),
    })
}
