//! The state machines as BPF *global functions*.
//!
//! The verifier follows an ordinary function anew for each way that leads to it, and the TCP machine
//! has many ways through: inlined, it does not end within a million instructions. A global function is
//! verified once, by itself, whatever its callers know. Its arguments are scalars and pointers to
//! memory of a known size that may be null; it returns a scalar.

use fw_common::abi::{Config, Flow};
use fw_common::track::{self, Fate, Outcome};
use fw_common::wire::Meta;
use fw_common::{CtInfo, Dir, Reason};

/// [`track::advance`].
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
    // SAFETY: the verifier makes callers pass null or valid memory of the type's size; `flow` is
    // locked by the caller, `meta` is this CPU's own, `config` is only written by the daemon.
    let (flow, meta, config) = unsafe { (flow.as_mut(), meta.as_ref(), config.as_ref()) };
    let (Some(flow), Some(meta), Some(config)) = (flow, meta, config) else { return u64::MAX };
    let dir = if dir == 0 { Dir::Original } else { Dir::Reply };
    pack(track::advance(flow, dir, meta, config, now))
}

/// [`track::open`]. Returns 0, or 1 + the number of the [`Reason`] why not.
#[unsafe(no_mangle)]
#[inline(never)]
extern "C" fn fw_open(
    flow: *mut Flow,
    meta: *const Meta,
    config: *const Config,
    now: u64,
) -> u64 {
    // SAFETY: as above; `flow` is this CPU's own.
    let (flow, meta, config) = unsafe { (flow.as_mut(), meta.as_ref(), config.as_ref()) };
    let (Some(flow), Some(meta), Some(config)) = (flow, meta, config) else { return u64::MAX };
    match track::open(flow, meta, config, now) {
        Ok(()) => 0,
        Err(reason) => 1 + reason as u64,
    }
}

/// Advances a locked entry by one packet.
#[inline(always)]
pub(crate) fn advance(
    flow: &mut Flow,
    dir: Dir,
    meta: &Meta,
    config: &Config,
    now: u64,
) -> Packed {
    Packed(fw_advance(flow, meta, config, dir as u32, now))
}

/// Fills a fresh entry for its first packet; the counter index of the [`Reason`] why not.
#[inline(always)]
pub(crate) fn open(flow: &mut Flow, meta: &Meta, config: &Config, now: u64) -> Result<(), u8> {
    match fw_open(flow, meta, config, now) {
        0 => Ok(()),
        refused => Err((refused - 1) as u8),
    }
}

fn pack(outcome: Outcome) -> u64 {
    u64::from(outcome.info as u8)
        | u64::from(outcome.fate as u8) << 8
        | u64::from(outcome.reason as u8) << 16
        | u64::from(outcome.changed) << 24
}

/// An [`Outcome`] as one scalar.
#[derive(Clone, Copy)]
pub(crate) struct Packed(u64);
