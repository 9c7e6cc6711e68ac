//! Connection tracking in the flow maps: find, lock, advance, promote, insert.

use fw_common::abi::{Config, Counter, Flow};
use fw_common::flow::{self, Tuple};
use fw_common::tcp::header;
use fw_common::track::{Fate, Outcome};
use fw_common::wire::{Meta, proto};
use fw_common::{CtInfo, Dir, Reason, Verdict, icmp, status};

use crate::counters::End;
use crate::pipeline::{decide, judge, judge_error};
use crate::sys::entry::{Entry, Lock, Table};
use crate::sys::helpers;
use crate::sys::maps::{self, Job, Place, Way};
use crate::sys::subprogram::{self, Frame};

/// How often a packet is tried anew when its entry moves, is recycled or reopened under its hands.
const ATTEMPTS: u32 = 3;

/// `bpf_map_update_elem`: the key exists already.
const EEXIST: i32 = -17;

/// A packet on its way to its flow.
pub(crate) struct Parcel<'a> {
    pub(crate) meta: &'a Meta,
    pub(crate) job: &'a Job,
    /// Room for the entry of a flow that may begin.
    pub(crate) fresh: &'a mut Flow,
    /// Where it goes, once [`Frame::route`] was called for it.
    pub(crate) way: &'a mut Way,
}

/// Tracks one packet and decides on it. `place` is working memory.
#[inline(always)]
pub(crate) fn track<P: Frame, K: Table>(
    packet: &P,
    place: &mut Place<K>,
    mut parcel: Parcel<'_>,
) -> End {
    let Some(config) = maps::config() else {
        return End::drop(Reason::NoConfig);
    };
    let tuple = match Tuple::of(parcel.meta) {
        Ok(tuple) => tuple,
        Err(reason) if icmp::is_unknown(parcel.meta.family, parcel.meta.icmp_type) => {
            return judge_error(reason, config);
        }
        Err(reason) => return judge(CtInfo::Invalid, reason, config),
    };
    let (key, from_hi) = K::canonical(&tuple, parcel.job.zone);
    *place = Place {
        key,
        from_hi: u8::from(from_hi),
        pad: 0,
    };
    let mut attempt = 0;
    while attempt < ATTEMPTS {
        attempt += 1;
        let end = match place.key.find() {
            Some(entry) => known(packet, place, entry, &parcel, config),
            None => begin(packet, place, &mut parcel, config),
        };
        if let Some(end) = end {
            return end;
        }
    }
    End::drop(Reason::Contended)
}

/// A packet of a flow that has an entry. `None`: the entry is gone, try again.
#[inline(always)]
fn known<P: Frame, K: Table>(
    packet: &P,
    place: &Place<K>,
    mut entry: Entry,
    parcel: &Parcel<'_>,
    config: &Config,
) -> Option<End> {
    let Parcel { meta, job, .. } = *parcel;
    if config.checksum != 0
        && changes_state(meta)
        && let Err(reason) = packet.verify(meta, job)
    {
        return Some(judge(CtInfo::Invalid, reason, config));
    }
    match entry.lock(place.key.tag()) {
        Lock::Taken => {}
        Lock::Gone => {
            maps::count(Counter::SEARCH_RESTART);
            return None;
        }
        Lock::Busy => return busy(place, &entry, meta, config),
    }
    if entry.flow().deadline <= job.now {
        // Expiry is decided here; the daemon's sweep only frees memory. Under the lock, so that of two
        // CPUs that see it only one removes the entry, and none the flow that then begins.
        entry.retire();
        remove(place, &entry);
        return None;
    }
    let flow = entry.flow();
    let dir = flow::direction(flow, place.from_hi != 0);
    let outcome = subprogram::advance(flow, dir, meta, config, job.now);
    if outcome.info != CtInfo::Invalid {
        note_interface(flow, dir, job.came_in_by);
    }
    let wants_promotion = !entry.assured && entry.flow().status & status::ASSURED != 0;
    match outcome.fate {
        Fate::Keep | Fate::Promote if wants_promotion => {
            promote(place, &mut entry, &outcome, config);
        }
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
    Some(judge(outcome.info, outcome.reason, config))
}

/// Whether the packet is of the kind that ends or reopens a connection: a forged one with a wrong
/// checksum would do so here, but not at its destination. Others only refresh what is there, and are
/// not worth a walk through all their bytes.
#[inline(always)]
fn changes_state(meta: &Meta) -> bool {
    meta.proto == proto::TCP && meta.tcp.flags & (header::SYN | header::FIN | header::RST) != 0
}

/// Another CPU held the entry all the time. What TCP says depends on the order of segments, so an
/// unordered one is dropped (and sent again). Elsewhere the state of a packet depends only on what
/// never changes once a reply was seen, so it is judged without the lock; it refreshes nothing.
#[inline(always)]
fn busy<K: Table>(place: &Place<K>, entry: &Entry, meta: &Meta, config: &Config) -> Option<End> {
    let seen = entry.glimpse(place.key.tag())?;
    if meta.proto == proto::TCP || seen.status & status::SEEN_REPLY == 0 {
        return Some(End::drop(Reason::Contended));
    }
    let dir = flow::direction_from(seen.origin, place.from_hi != 0);
    Some(judge(CtInfo::of_flow(dir, true), Reason::Accepted, config))
}

#[inline(always)]
fn note_interface(flow: &mut Flow, dir: Dir, ifindex: u32) {
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
fn promote<K: Table>(place: &Place<K>, entry: &mut Entry, outcome: &Outcome, config: &Config) {
    if maps::assured_used(K::SLOT) >= config.assured_limit {
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
fn begin<P: Frame, K: Table>(
    packet: &P,
    place: &Place<K>,
    parcel: &mut Parcel<'_>,
    config: &Config,
) -> Option<End> {
    let Parcel {
        meta,
        job,
        fresh: flow,
        way,
    } = parcel;
    if config.checksum != 0
        && let Err(reason) = packet.verify(meta, job)
    {
        return Some(judge(CtInfo::Invalid, reason, config));
    }
    maps::blank(flow);
    flow.origin = place.from_hi;
    flow.tag = place.key.tag();
    flow.id = helpers::random();
    if let Err(reason) = subprogram::open(flow, meta, config, job.now) {
        return Some(judge(CtInfo::Invalid, reason, config));
    }
    note_interface(flow, Dir::Original, job.came_in_by);
    packet.route(meta, way, job.came_in_by);
    let end = match way.route.lost(meta.ttl) {
        None => keep(place, flow, config)?,
        // The kernel answers before its forward hook: no rule is asked.
        Some(Reason::TtlExpired) => End::pass(Reason::TtlExpired),
        Some(reason) => match decide(CtInfo::New, reason, config) {
            judged if judged.verdict == Verdict::Drop => judged,
            _ => End::pass(reason),
        },
    };
    maps::count(Counter::of_state(CtInfo::New));
    Some(end)
}

/// Judges the first packet of a flow, and inserts the flow if it passes. `None`: another CPU has just
/// inserted the same flow, join it.
#[inline(always)]
fn keep<K: Table>(place: &Place<K>, flow: &Flow, config: &Config) -> Option<End> {
    let end = decide(CtInfo::New, Reason::Accepted, config);
    if end.verdict == Verdict::Drop {
        return Some(end);
    }
    match place.key.insert(flow) {
        Ok(()) => {
            maps::count(Counter::CREATED);
            Some(end)
        }
        // Not counted as NEW: what it is, the winner's entry will tell.
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
