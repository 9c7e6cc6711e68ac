//! The map of fragmented datagrams, and what is done with it, as global functions: see
//! [`super::subprogram`].

use aya_ebpf::btf_maps::LruHashMap;
use aya_ebpf::macros::btf_map;
use fw_common::abi::{Datagram, FragmentKey, Progress};
use fw_common::{Reason, Verdict};

use crate::counters::End;
use crate::fragments;
use crate::pipeline::Next;

use super::packed::{pack_next, result, unpack_next, unresult};
use super::scratch::Scratch;

#[btf_map]
static FRAGMENTS: LruHashMap<FragmentKey, Datagram, 16384> = LruHashMap::new();

/// A datagram in the map.
pub(crate) struct Remembered(*mut Datagram);

/// What is remembered under `key`, copied to `into`. It may be another datagram of the same source.
#[inline(always)]
pub(crate) fn recall(key: &FragmentKey, into: &mut Datagram) -> Option<Remembered> {
    let ptr = FRAGMENTS.get_ptr_mut(key)?;
    // SAFETY: a pointer from a look-up stays readable while the program runs. Another CPU may write its
    // `progress`, or recycle it for another datagram, in between: `into` then holds an identification or
    // a destination that does not fit, or sums that are off by a fragment.
    *into = unsafe { ptr.read_volatile() };
    Some(Remembered(ptr))
}

impl Remembered {
    /// Writes down how much of the datagram was seen. Verdict and identity are never written in place, so
    /// that nobody reads one datagram's verdict as another's.
    #[inline(always)]
    pub(crate) fn store(&self, progress: Progress) {
        // SAFETY: as above; the memory stays writable as long.
        unsafe { (&raw mut (*self.0).progress).write_volatile(progress) };
    }
}

/// Remembers a datagram in the place of what was there. If that fails, its later fragments find nothing.
#[inline(always)]
pub(crate) fn insert(key: &FragmentKey, datagram: &Datagram) {
    let _ = FRAGMENTS.insert(key, datagram, 0);
}

/// [`fragments::first`]. Returns 0, or 1 + the number of the [`Reason`] why not.
#[unsafe(no_mangle)]
#[inline(never)]
extern "C" fn fw_first(scratch: *mut Scratch) -> u64 {
    match Scratch::again(scratch) {
        Some(scratch) => result(fragments::first(scratch)),
        None => u64::MAX,
    }
}

/// [`fragments::remember`]; `verdict` is a [`Verdict`] as a number.
#[unsafe(no_mangle)]
#[inline(never)]
extern "C" fn fw_remember(scratch: *mut Scratch, verdict: u32) -> u64 {
    if let Some(scratch) = Scratch::again(scratch) {
        let verdict = if verdict == 0 {
            Verdict::Pass
        } else {
            Verdict::Drop
        };
        fragments::remember(scratch, verdict);
    }
    0
}

/// [`fragments::later`].
#[unsafe(no_mangle)]
#[inline(never)]
extern "C" fn fw_later(scratch: *mut Scratch) -> u64 {
    match Scratch::again(scratch) {
        Some(scratch) => pack_next(Next::End(fragments::later(scratch))),
        None => u64::MAX,
    }
}

/// Looks at a first fragment before anything else does.
///
/// # Errors
/// The [`Reason`] why it is dropped.
#[inline(always)]
pub(crate) fn first(scratch: &mut Scratch) -> Result<(), Reason> {
    unresult(fw_first(scratch))
}

/// Remembers what became of a first fragment.
#[inline(always)]
pub(crate) fn remember(scratch: &mut Scratch, verdict: Verdict) {
    fw_remember(scratch, verdict as u32);
}

/// The end of a later fragment.
#[inline(always)]
pub(crate) fn later(scratch: &mut Scratch) -> End {
    match unpack_next(fw_later(scratch)) {
        Next::End(end) => end,
        _ => End::drop(Reason::NoConfig),
    }
}
