//! When listeners are told of a flow, and how a flow is removed so that they hear of it once.

use fw_common::abi::{Counter, Edit, Event, Flow};
use fw_common::track::Outcome;

use crate::sys::entry::{Entry, Table};
use crate::sys::maps;
use crate::sys::report::What;

/// A flow has begun.
#[inline(always)]
pub(crate) fn begun<K: Table>(key: &K, flow: &Flow, now: u64) {
    if maps::is_heard(now) {
        let what = What {
            kind: Event::NEW,
            changed: 0,
            cause: Event::PACKET,
        };
        key.report(flow, what, now, None);
    }
}

/// A packet advanced a flow, whose lock the caller holds. Refreshes are not worth an event.
#[inline(always)]
pub(crate) fn advanced<K: Table>(key: &K, flow: &Flow, outcome: &Outcome, now: u64) {
    if outcome.changed != 0 && maps::is_heard(now) {
        let what = What {
            kind: Event::UPDATE,
            changed: outcome.changed,
            cause: Event::PACKET,
        };
        key.report(flow, what, now, None);
    }
}

/// The rules have changed `changed` of a flow, whose lock the caller holds.
#[inline(always)]
pub(crate) fn ruled<K: Table>(key: &K, flow: &Flow, changed: u8, now: u64) {
    if changed != 0 && maps::is_heard(now) {
        let what = What {
            kind: Event::UPDATE,
            changed,
            cause: Event::PACKET,
        };
        key.report(flow, what, now, None);
    }
}

/// Why a flow is removed.
#[derive(Clone, Copy)]
pub(crate) struct Removal<'a> {
    /// [`Event::cause`].
    pub(crate) cause: u8,
    /// Who asked for it, if somebody did.
    pub(crate) edit: Option<&'a Edit>,
    /// Now, in ticks.
    pub(crate) now: u64,
}

/// Gives a locked entry back for good and removes it. False if another had removed it meanwhile (the
/// daemon's sweep, or an eviction): whoever removes a flow reports it, so that it ends once. The entry
/// may be another flow's as soon as it is removed, so it is reported from a copy in `room`.
#[inline(always)]
pub(crate) fn remove<K: Table>(
    key: &K,
    entry: &mut Entry,
    room: &mut Flow,
    removal: Removal<'_>,
) -> bool {
    let heard = maps::is_heard(removal.now);
    if heard {
        maps::copy(room, entry.flow());
    }
    entry.retire();
    if !key.remove(entry.assured) {
        return false;
    }
    if removal.cause != Event::USER {
        // What is removed by hand is counted by who asked for it.
        maps::count(Counter::REMOVED);
    }
    if entry.assured {
        maps::assured_add(K::SLOT, u64::MAX);
    }
    if heard {
        let what = What {
            kind: Event::DESTROY,
            changed: 0,
            cause: removal.cause,
        };
        key.report(room, what, removal.now, removal.edit);
    }
    true
}
