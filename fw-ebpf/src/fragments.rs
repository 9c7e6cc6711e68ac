//! Datagrams in fragments: the first is judged, and the others share its verdict.

use fw_common::abi::{Config, Datagram, FragmentKey};
use fw_common::flow::{self, Tuple};
use fw_common::fragments::First;
use fw_common::wire::Family;
use fw_common::{Reason, Verdict};

use crate::counters::End;
use crate::sys::entry::{Lock, Table};
use crate::sys::fragments::{insert, recall};
use crate::sys::maps;
use crate::sys::scratch::{Job, Place, Scratch};

/// Where the datagram of the fragment in `scratch` is to be found.
#[inline(always)]
fn locate(scratch: &mut Scratch) {
    let Job {
        zone, came_in_by, ..
    } = scratch.job;
    scratch.fragment_key = FragmentKey::of(&scratch.meta, zone, came_in_by == 0);
}

/// Looks at a first fragment before anything else does.
///
/// # Errors
/// [`Reason::OverlappingFragment`]: there has been one, and its datagram is not complete.
#[inline(always)]
pub(crate) fn first(scratch: &mut Scratch) -> Result<(), Reason> {
    locate(scratch);
    let Scratch {
        meta,
        job,
        fragment_key,
        datagram,
        ..
    } = scratch;
    let Some(remembered) = recall(fragment_key, datagram) else {
        return Ok(());
    };
    if !datagram.is_of(meta, job.now) {
        return Ok(());
    }
    let result = datagram.begin_again(meta);
    remembered.store(datagram.progress);
    result
}

/// Remembers what became of a first fragment.
#[inline(always)]
pub(crate) fn remember(scratch: &mut Scratch, verdict: Verdict) {
    let Some(config) = maps::config() else {
        return;
    };
    let Scratch {
        meta,
        job,
        fragment_key,
        datagram,
        ..
    } = scratch;
    let first = First {
        verdict,
        counted: job.counted != 0,
    };
    datagram.remember(meta, first, config, job.now);
    insert(fragment_key, datagram);
}

/// The end of a later fragment.
#[inline(always)]
pub(crate) fn later(scratch: &mut Scratch) -> End {
    let Some(config) = maps::config() else {
        return End::drop(Reason::NoConfig);
    };
    locate(scratch);
    let Scratch {
        meta,
        job,
        fragment_key,
        datagram,
        place4,
        place6,
        ..
    } = scratch;
    let Some(remembered) = recall(fragment_key, datagram) else {
        return unknown(config);
    };
    if !datagram.is_of(meta, job.now) {
        return unknown(config);
    }
    let taken = datagram.take(meta);
    if let Ok(bytes @ 1..) = taken
        && let Some(tuple) = datagram.tuple(meta)
    {
        match meta.family {
            Family::V4 => add(place4, &tuple, datagram, bytes, (job, config)),
            Family::V6 => add(place6, &tuple, datagram, bytes, (job, config)),
        }
    }
    remembered.store(datagram.progress);
    match taken {
        Ok(_) => PASSED,
        Err(reason) => End::drop(reason),
    }
}

/// The end of a later fragment that passes.
const PASSED: End = End {
    verdict: Verdict::Pass,
    reason: Reason::Fragment,
};

/// The end of a fragment whose first one was not seen.
#[inline(always)]
fn unknown(config: &Config) -> End {
    if config.fragments_pass != 0 {
        PASSED
    } else {
        End::drop(Reason::FragmentWithoutFirst)
    }
}

/// Adds what a later fragment brought to its datagram's flow, unless that is gone or busy.
#[inline(always)]
fn add<K: Table>(
    place: &mut Place<K>,
    tuple: &Tuple,
    datagram: &mut Datagram,
    bytes: u16,
    (job, config): (&Job, &Config),
) {
    let (key, from_hi) = K::canonical(tuple, job.zone);
    place.key = key;
    place.from_hi = u8::from(from_hi);
    let Some(mut entry) = place.key.find() else {
        return;
    };
    if entry.lock(place.key.tag()) != Lock::Taken {
        return;
    }
    let flow = entry.flow();
    if flow.deadline > job.now {
        let dir = flow::direction(flow, place.from_hi != 0);
        datagram.add_to(flow, dir, bytes, config);
    }
    entry.unlock();
}
