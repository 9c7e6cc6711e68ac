//! Connection tracking in the flow maps: find, lock, advance, promote, insert.

use fw_common::abi::{Counter, Flow};
use fw_common::flow::{self, Tuple};
use fw_common::track::{Fate, Outcome};
use fw_common::wire::{Meta, proto};
use fw_common::{CtInfo, Dir, Reason, Verdict, status};

use crate::counters::End;
use crate::pipeline::Job;
use crate::sys::entry::{Entry, Lock, Table};
use crate::sys::helpers;
use crate::sys::maps::{self, Scratch};
use crate::sys::subprogram;

/// How often a packet is tried anew when its entry moves, is recycled or reopened under its hands.
const ATTEMPTS: u32 = 3;

/// `bpf_map_update_elem`: the key exists already.
const EEXIST: i32 = -17;

/// The flow of a packet: the key of its maps, and which end of it the packet came from.
struct Place<K> {
    key: K,
    from_hi: bool,
}

/// Tracks one packet and decides on it.
#[inline(always)]
pub(crate) fn track<K: Table>(tuple: &Tuple, scratch: &mut Scratch, job: &Job) -> End {
    let (key, from_hi) = K::canonical(tuple, job.iface.zone);
    let place = Place { key, from_hi };
    let mut attempt = 0;
    while attempt < ATTEMPTS {
        attempt += 1;
        let end = match place.key.find() {
            Some(entry) => known(&place, entry, &scratch.meta, job),
            None => begin(&place, scratch, job),
        };
        if let Some(end) = end {
            return end;
        }
    }
    End::drop(Reason::Contended)
}

/// A packet of a flow that has an entry. `None`: the entry is gone, try again.
#[inline(always)]
fn known<K: Table>(place: &Place<K>, mut entry: Entry, meta: &Meta, job: &Job) -> Option<End> {
    let (deadline, bits) = entry.peek();
    if deadline <= job.now {
        // Expiry is decided here; the daemon's sweep only frees memory.
        remove(place, &entry);
        return None;
    }
    match entry.lock(place.key.tag()) {
        Lock::Taken => {}
        Lock::Gone => {
            maps::count(Counter::SEARCH_RESTART);
            return None;
        }
        Lock::Busy => return Some(busy(bits, meta, job)),
    }
    let flow = entry.flow();
    let dir = flow::direction(flow, place.from_hi);
    let outcome = subprogram::advance(flow, dir, meta, job.config, job.now);
    note_interface(flow, dir, job);
    let wants_promotion = !entry.assured && entry.flow().status & status::ASSURED != 0;
    match outcome.fate {
        Fate::Keep | Fate::Promote if wants_promotion => promote(place, &mut entry, &outcome, job),
        Fate::Keep | Fate::Promote => entry.unlock(),
        Fate::Remove => {
            entry.retire();
            remove(place, &entry);
        }
        Fate::Reopen => {
            entry.retire();
            remove(place, &entry);
            return None;
        }
    }
    Some(job.judge(outcome.info, outcome.reason))
}

/// Another CPU held the entry all the time. What TCP says depends on the order of segments, so an
/// unordered one is dropped (and sent again); elsewhere a packet more or less changes nothing.
#[inline(always)]
fn busy(bits: u32, meta: &Meta, job: &Job) -> End {
    if meta.proto == proto::TCP || bits & status::SEEN_REPLY == 0 {
        return End::drop(Reason::Contended);
    }
    job.judge(CtInfo::Established, Reason::Accepted)
}

#[inline(always)]
fn note_interface(flow: &mut Flow, dir: Dir, job: &Job) {
    let ifindex = job.came_in_by();
    let leg = match dir {
        Dir::Original => &mut flow.legs[0],
        Dir::Reply => &mut flow.legs[1],
    };
    if leg.ifindex != ifindex {
        leg.ifindex = ifindex;
    }
}

/// Moves a flow that is ASSURED to the map where no flood can push it out, unless that one is full: it
/// then stays where it is, and is tried again with its next packet.
#[inline(always)]
fn promote<K: Table>(place: &Place<K>, entry: &mut Entry, outcome: &Outcome, job: &Job) {
    if maps::assured_used(K::SLOT) >= job.config.assured_limit {
        if outcome.fate == Fate::Promote {
            maps::count(Counter::PROMOTE_FAILED);
        }
        entry.unlock();
        return;
    }
    // The copy is locked as the original is, so nobody advances it before the original is retired.
    match place.key.insert_assured(entry.flow()) {
        Some(copy) => {
            entry.retire();
            place.key.remove(false);
            copy.unlock();
            maps::assured_add(K::SLOT, 1);
            maps::count(Counter::PROMOTED);
        }
        None => {
            maps::count(Counter::PROMOTE_FAILED);
            entry.unlock();
        }
    }
}

#[inline(always)]
fn remove<K: Table>(place: &Place<K>, entry: &Entry) {
    if place.key.remove(entry.assured) {
        maps::count(Counter::REMOVED);
        if entry.assured {
            maps::assured_add(K::SLOT, u64::MAX);
        }
    }
}

/// A packet of no known flow: judged first, inserted only if it passes. `None`: another CPU has just
/// inserted the same flow, join it.
#[inline(always)]
fn begin<K: Table>(place: &Place<K>, scratch: &mut Scratch, job: &Job) -> Option<End> {
    let flow = &mut scratch.fresh;
    maps::blank(flow);
    flow.origin = u8::from(place.from_hi);
    flow.tag = place.key.tag();
    flow.id = helpers::random();
    if let Err(reason) = subprogram::open(flow, &scratch.meta, job.config, job.now) {
        return Some(job.judge(CtInfo::Invalid, reason));
    }
    note_interface(flow, Dir::Original, job);
    let end = job.judge(CtInfo::New, Reason::Accepted);
    if end.verdict == Verdict::Drop {
        return Some(end);
    }
    match place.key.insert(flow) {
        Ok(()) => {
            maps::count(Counter::CREATED);
            Some(end)
        }
        Err(EEXIST) => {
            maps::count(Counter::CLASH_RESOLVE);
            None
        }
        Err(_) => {
            maps::count(Counter::INSERT_FAILED);
            maps::count(Counter::DROP);
            Some(End::drop(Reason::TableFull))
        }
    }
}
