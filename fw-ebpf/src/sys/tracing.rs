//! Packets that somebody follows through the rules.

use aya_ebpf::btf_maps::{Array, RingBuf};
use aya_ebpf::helpers::generated::{bpf_get_prandom_u32, bpf_ringbuf_output};
use aya_ebpf::macros::btf_map;
use fw_common::abi::{ANY, Counter, TRACES_BYTES, TURNS, TraceOrder, TraceRecord, TraceTurn};
use fw_common::ruleset::{Insn, Machine, Outcome, op};

use super::atomic;
use super::maps;
use super::ruleset;
use super::scratch::{Job, Scratch};

#[btf_map]
static TRACE: Array<TraceOrder, 1> = Array::new();
#[btf_map]
static TRACES: RingBuf<(), { TRACES_BYTES as usize }> = RingBuf::new();

/// What is told of this packet, if it is followed.
#[repr(C)]
pub(crate) struct Trace {
    pub(crate) record: TraceRecord,
    /// Not 0 if it is.
    pub(crate) on: u32,
    /// Zero.
    pub(crate) pad: u32,
}

/// Whether somebody follows packets at tick `now`.
#[inline(always)]
pub(crate) fn is_on(now: u64) -> bool {
    TRACE.get_ptr(0).is_none_or(|order| {
        // SAFETY: an aligned word of an array map, read whole.
        unsafe { (&raw const (*order).until).read_volatile() > now }
    })
}

/// Whether the packet is one that somebody follows; then all its rules are run, and it is told of.
#[inline(always)]
pub(crate) fn begin(scratch: &mut Scratch) {
    scratch.trace.on = 0;
    let Job { now, port, .. } = scratch.job;
    let Some(order) = TRACE.get_ptr_mut(0) else {
        return;
    };
    // SAFETY: an aligned word of an array map, read whole.
    if unsafe { (&raw const (*order).until).read_volatile() } <= now {
        return;
    }
    // SAFETY: a value of an array map; only `left` is written by several.
    let (wants, left) = unsafe {
        (
            (*order).wants(&scratch.meta, port),
            (&raw const (*order).left).read_volatile(),
        )
    };
    if !wants || left == 0 || left > u64::MAX / 2 {
        return;
    }
    // SAFETY: as above. Two CPUs may take the last one; below zero none is left.
    unsafe { atomic::add(&raw mut (*order).left, u64::MAX) };
    scratch.trace.on = 1;
    scratch.job.odd = 1;
    // SAFETY: takes no argument.
    scratch.trace.record.id = unsafe { bpf_get_prandom_u32() };
}

/// Notes an instruction that has decided or done something: it was `insn`, at `at`, `depth` jumps deep.
#[inline(always)]
pub(crate) fn note(trace: &mut Trace, insn: &Insn, (at, depth): (u32, u32), machine: &Machine) {
    if insn.op < op::ACCEPT && !matches!(insn.op, op::VERDICT_MAP | op::UPDATE) {
        return;
    }
    let record = &mut trace.record;
    let next = if machine.outcome == Outcome::Running as u32 {
        machine.pc
    } else {
        ANY
    };
    let count = record.count as usize;
    if count < TURNS
        && let Some(turn) = record.turns.get_mut(count)
    {
        *turn = TraceTurn {
            at: at | depth << 24,
            next,
        };
    }
    record.count = record.count.wrapping_add(1);
}

/// Tells of the packet, which has come to the end of a hook.
#[inline(always)]
pub(crate) fn send(scratch: &mut Scratch) {
    let generation =
        ruleset::head(fw_common::abi::Active(scratch.job.rules)).map_or(0, |head| head.generation);
    let record = &mut scratch.trace.record;
    record.generation = generation;
    record.outcome = scratch.machine.outcome;
    let facts = scratch.machine.facts.record();
    let mut i = 0;
    while i < record.facts.len() {
        if let (Some(to), Some(from)) = (record.facts.get_mut(i), facts.get(i)) {
            *to = *from;
        }
        i += 1;
    }
    // SAFETY: the record is that long.
    let failed = unsafe {
        bpf_ringbuf_output(
            (&raw const TRACES).cast_mut().cast(),
            core::ptr::from_mut(record).cast(),
            size_of::<TraceRecord>() as u64,
            0,
        )
    };
    // Full: whoever reads is not quick enough.
    if failed != 0 {
        maps::count(Counter::TRACES_LOST);
    }
}
