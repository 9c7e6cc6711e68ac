//! The counts of flows by their source, and whether a flow may begin: BPF global functions, see
//! [`super::subprogram`].

use aya_ebpf::bindings::BPF_NOEXIST;
use fw_common::Reason;
use fw_common::abi::{Config, Key4, Key6, SourceCount, SourceKey};
use fw_common::flow::FlowKey;
use fw_common::source;

use super::atomic;
use super::maps::{self, SOURCES, SOURCES_GONE};
use super::packed::{result, unresult};
use super::scratch::{Job, Place};

/// What becomes of a flow that was counted.
#[derive(Clone, Copy, PartialEq, Eq)]
#[repr(u32)]
pub(crate) enum Change {
    /// It is half open no more.
    Settled = 0,
    /// It is gone; it was not half open.
    Gone = 1,
    /// It is gone, and was half open.
    GoneHalfOpen = 2,
}

/// A key whose flows are counted by their source.
pub(crate) trait Counted: FlowKey {
    /// Whether the flow of `place`, whose first packet this is, may begin; counts it then.
    ///
    /// # Errors
    /// The limit that is reached.
    fn admit(place: &Place<Self>, job: &Job, config: &Config) -> Result<(), Reason>;

    /// Counts what becomes of the flow of `place`, whose originator is (`origin` not 0) the higher
    /// endpoint.
    fn note(place: &Place<Self>, origin: u8, change: Change);
}

macro_rules! counted {
    ($key:ty, $admit:ident, $note:ident) => {
        #[unsafe(no_mangle)]
        #[inline(never)]
        extern "C" fn $admit(
            place: *const Place<$key>,
            job: *const Job,
            config: *const Config,
        ) -> u64 {
            // SAFETY: null or memory of the type's size; `place` and `job` are this CPU's own, `config` is
            // only written by the daemon.
            let (place, job, config) = unsafe { (place.as_ref(), job.as_ref(), config.as_ref()) };
            let (Some(place), Some(job), Some(config)) = (place, job, config) else {
                return u64::MAX;
            };
            result(admit(place, job, config))
        }

        #[unsafe(no_mangle)]
        #[inline(never)]
        extern "C" fn $note(place: *const Place<$key>, origin: u32, change: u32) -> u64 {
            // SAFETY: null or memory of the type's size, this CPU's own.
            if let Some(place) = unsafe { place.as_ref() } {
                let source = source_of(&place.key, origin != 0);
                match change {
                    SETTLED => settle(&source),
                    _ => leave(&source, u64::from(change == GONE_HALF_OPEN)),
                }
            }
            0
        }

        impl Counted for $key {
            #[inline(always)]
            fn admit(place: &Place<Self>, job: &Job, config: &Config) -> Result<(), Reason> {
                unresult($admit(place, job, config))
            }

            #[inline(always)]
            fn note(place: &Place<Self>, origin: u8, change: Change) {
                $note(place, u32::from(origin), change as u32);
            }
        }
    };
}

counted!(Key4, fw_admit4, fw_note4);
counted!(Key6, fw_admit6, fw_note6);

const SETTLED: u32 = Change::Settled as u32;
const GONE_HALF_OPEN: u32 = Change::GoneHalfOpen as u32;

#[inline(always)]
fn source_of<K: FlowKey>(key: &K, from_hi: bool) -> SourceKey {
    SourceKey::of(&key.tuple(from_hi).src, K::FAMILY, key.zone())
}

#[inline(always)]
fn admit<K: FlowKey>(place: &Place<K>, job: &Job, config: &Config) -> Result<(), Reason> {
    // The source first: one that has reached its cap takes no token from the others.
    if source::are_counted(config) && job.came_in_by != 0 {
        enter(&source_of(&place.key, place.from_hi != 0), config)?;
    }
    if maps::may_insert(config, job.now) {
        return Ok(());
    }
    if source::are_counted(config) && job.came_in_by != 0 {
        leave(&source_of(&place.key, place.from_hi != 0), 1);
    }
    Err(Reason::InsertLimit)
}

/// Subtracts one from a counter that is added to.
const LESS_ONE: u64 = u64::MAX;

/// Counts a half-open flow that begins.
///
/// # Errors
/// The cap that its source has reached; then it is not counted.
#[inline(always)]
fn enter(key: &SourceKey, config: &Config) -> Result<(), Reason> {
    // SAFETY: only the sweep writes the map, whole values at a time; the copy is used.
    let gone = unsafe { SOURCES_GONE.get(key) }
        .copied()
        .unwrap_or_default();
    let Some(count) = SOURCES.get_ptr_mut(key) else {
        source::admit(SourceCount::default(), gone, config)?;
        let first = SourceCount {
            flows: 1,
            half_open: 1,
        };
        // Another CPU may have been first: then this one flow is not counted before the next sweep.
        let _ = SOURCES.insert(key, first, u64::from(BPF_NOEXIST));
        return Ok(());
    };
    // SAFETY: a value of an LRU map stays readable and writable while the program runs, at worst it is
    // another source's by now; aligned words, each read whole.
    let come = unsafe {
        SourceCount {
            flows: (&raw const (*count).flows).read_volatile(),
            half_open: (&raw const (*count).half_open).read_volatile(),
        }
    };
    source::admit(come, gone, config)?;
    add(count, 1, 1);
    Ok(())
}

/// Counts a flow that is gone: it was half open (`half` is 1) or not (0).
#[inline(always)]
fn leave(key: &SourceKey, half: u64) {
    if let Some(count) = SOURCES.get_ptr_mut(key) {
        add(count, LESS_ONE, half.wrapping_neg());
    }
}

/// Counts a flow that is half open no more.
#[inline(always)]
fn settle(key: &SourceKey) {
    if let Some(count) = SOURCES.get_ptr_mut(key) {
        add(count, 0, LESS_ONE);
    }
}

#[inline(always)]
fn add(count: *mut SourceCount, flows: u64, half_open: u64) {
    // SAFETY: aligned words of a map value, as above.
    unsafe {
        atomic::add(&raw mut (*count).flows, flows);
        atomic::add(&raw mut (*count).half_open, half_open);
    }
}
