//! Connection tracking in the flow maps: find, lock, advance, promote, insert.

use fw_common::abi::{Active, Config, Counter, Event, Flow};
use fw_common::flow::{self, Tuple};
use fw_common::ruleset::Machine;
use fw_common::track::{self, Fate, Outcome};
use fw_common::wire::{Family, Meta, proto};
use fw_common::{CtInfo, Dir, Reason, Verdict, icmp, source, status};

use crate::counters::End;
use crate::events::{self, Removal};
use crate::kept;
use crate::pipeline::{self, Next, judge, judge_error};
use crate::sys::entry::{Entry, Lock, Table};
use crate::sys::maps;
use crate::sys::scratch::{Job, Place, Scratch, Way};
use crate::sys::settling;
use crate::sys::sources::{Change, Counted};
use crate::sys::subprogram::Frame;
use crate::sys::{helpers, machines};

/// How often a packet is tried anew when its entry moves, is recycled or reopened under its hands.
const ATTEMPTS: u32 = 3;

/// `bpf_map_update_elem`: the key exists already.
const EEXIST: i32 = -17;

/// A packet on its way to its flow.
pub(crate) struct Parcel<'a> {
    pub(crate) meta: &'a Meta,
    pub(crate) job: &'a mut Job,
    /// Where facts of the flow are noted for the ruleset.
    pub(crate) machine: &'a mut Machine,
    /// Room for the entry of a flow that may begin.
    pub(crate) fresh: &'a mut Flow,
    /// Where it goes.
    pub(crate) way: &'a mut Way,
}

/// Tracks one packet and decides on it. `place` is working memory.
#[inline(always)]
pub(crate) fn track<P: Frame, K: Table + Counted>(
    packet: &P,
    place: &mut Place<K>,
    mut parcel: Parcel<'_>,
) -> Next {
    let Some(config) = maps::config() else {
        return Next::End(End::drop(Reason::NoConfig));
    };
    let tuple = match Tuple::of(parcel.meta) {
        Ok(tuple) => tuple,
        Err(reason) if icmp::is_unknown(parcel.meta.family, parcel.meta.icmp_type) => {
            return judge_error(reason);
        }
        Err(reason) => return judge(CtInfo::Invalid, reason),
    };
    let (key, from_hi) = K::canonical(&tuple, parcel.job.zone);
    place.key = key;
    place.from_hi = u8::from(from_hi);
    let mut attempt = 0;
    while attempt < ATTEMPTS {
        attempt += 1;
        let next = match place.key.find() {
            Some(entry) => known(packet, place, entry, &mut parcel, config),
            None => Some(begin(packet, place, &mut parcel, config)),
        };
        if let Some(next) = next {
            return next;
        }
    }
    Next::End(End::drop(Reason::Contended))
}

/// A packet of a flow that has an entry. `None`: the entry is gone, try again.
#[inline(always)]
fn known<P: Frame, K: Table + Counted>(
    packet: &P,
    place: &mut Place<K>,
    mut entry: Entry,
    parcel: &mut Parcel<'_>,
    config: &Config,
) -> Option<Next> {
    let Parcel {
        meta,
        job,
        machine,
        way,
        ..
    } = parcel;
    if config.checksum != 0
        && track::changes_state(meta)
        && let Err(reason) = packet.verify(meta, job)
    {
        return Some(judge(CtInfo::Invalid, reason));
    }
    match entry.lock(place.key.tag()) {
        Lock::Taken => {}
        Lock::Gone => {
            maps::count(Counter::SEARCH_RESTART);
            return None;
        }
        Lock::Busy => return busy(place, &entry, meta, job),
    }
    if entry.flow().deadline <= job.now {
        // Expiry is decided here; the daemon's sweep only frees memory. Under the lock, so that of two
        // CPUs that see it only one removes the entry, and none the flow that then begins.
        remove(place, &mut entry, parcel, Event::EXPIRY, config);
        return None;
    }
    let flow = entry.flow();
    let dir = flow::direction(flow, place.from_hi != 0);
    let outcome = machines::advance(flow, dir, meta, config, job.now);
    let mut kept = None;
    // An INVALID packet belongs to no flow, and one that begins a new flow not to this one.
    if outcome.info != CtInfo::Invalid && outcome.fate != Fate::Reopen {
        note_interface(flow, dir, job.came_in_by);
        packet.choose(flow, (dir, outcome.info), meta, job, way);
        kept = kept::recall(flow, dir, outcome.info, job, meta);
        if kept.is_none() {
            kept::note_flow(flow, dir, outcome.info, meta, (machine, job), config.hz);
            if outcome.fate == Fate::Remove {
                machine.facts.ends(dir);
            }
        }
    }
    if source::has_settled(&outcome, meta.proto) {
        note(place, &mut entry, Change::Settled, config);
    }
    events::advanced(&place.key, entry.flow(), &outcome, job.now);
    job.counted = u8::from(outcome.counted);
    let wants_promotion = !entry.assured && entry.flow().status & status::ASSURED != 0;
    match outcome.fate {
        Fate::Keep | Fate::Promote if wants_promotion => {
            promote(place, &mut entry, &outcome, config);
        }
        Fate::Keep | Fate::Promote => entry.unlock(),
        Fate::Remove => remove(place, &mut entry, parcel, Event::PACKET, config),
        Fate::Reopen => {
            remove(place, &mut entry, parcel, Event::PACKET, config);
            return None;
        }
    }
    if let Some(end) = kept {
        maps::count(Counter::of_state(outcome.info));
        return Some(Next::End(end));
    }
    Some(judge(outcome.info, outcome.reason))
}

/// Another CPU held the entry all the time. What TCP says depends on the order of segments, so an
/// unordered one is dropped (and sent again). Elsewhere the state of a packet depends only on what
/// never changes once a reply was seen, so it is judged without the lock; it refreshes nothing. Where
/// rules may ask for more than that it is dropped, too.
#[inline(always)]
fn busy<K: Table>(place: &Place<K>, entry: &Entry, meta: &Meta, job: &Job) -> Option<Next> {
    let seen = entry.glimpse(place.key.tag())?;
    let ruled = Active(job.rules).epoch() != 0;
    if ruled || meta.proto == proto::TCP || seen.status & status::SEEN_REPLY == 0 {
        return Some(Next::End(End::drop(Reason::Contended)));
    }
    let dir = flow::direction_from(seen.origin, place.from_hi != 0);
    Some(judge(CtInfo::of_flow(dir, true), Reason::Accepted))
}

#[inline(always)]
fn note_interface(flow: &mut Flow, dir: Dir, ifindex: u32) {
    let leg = match dir {
        Dir::Original => &mut flow.legs[0],
        Dir::Reply => &mut flow.legs[1],
    };
    if leg.ifindex != ifindex {
        leg.ifindex = ifindex;
        // Where it goes may depend on where it came from, and what the rules say of it, too.
        leg.route_gen = 0;
        leg.rule_gen = 0;
    }
}

/// Moves a flow that is ASSURED to the map where no flood can push it out, unless that one is full: it
/// then stays where it is, and is tried again with its next packet.
#[inline(always)]
fn promote<K: Table>(place: &Place<K>, entry: &mut Entry, outcome: &Outcome, config: &Config) {
    if config.evict == 0 && maps::assured_used(K::SLOT) >= config.assured_limit {
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

/// Removes a flow whose entry is locked.
#[inline(always)]
fn remove<K: Table + Counted>(
    place: &mut Place<K>,
    entry: &mut Entry,
    parcel: &mut Parcel<'_>,
    cause: u8,
    config: &Config,
) {
    let change = if source::is_half_open(entry.flow(), parcel.meta.proto) {
        Change::GoneHalfOpen
    } else {
        Change::Gone
    };
    // Before it is removed, and may become another flow's. If it is in no map any more the sweep corrects
    // what is counted here.
    note(place, entry, change, config);
    let removal = Removal {
        cause,
        edit: None,
        now: parcel.job.now,
    };
    events::remove(&place.key, entry, parcel.fresh, removal);
}

/// Counts what becomes of a flow under its source; not those that the host itself began.
#[inline(always)]
fn note<K: Counted>(place: &mut Place<K>, entry: &mut Entry, change: Change, config: &Config) {
    let flow = entry.flow();
    if source::are_counted(config) && flow.legs[0].ifindex != 0 {
        K::note(place, flow.origin, change);
    }
}

/// A packet of no known flow: its entry is made ready, and inserted only if the packet passes.
#[inline(always)]
fn begin<P: Frame, K: Table>(
    packet: &P,
    place: &Place<K>,
    parcel: &mut Parcel<'_>,
    config: &Config,
) -> Next {
    let Parcel {
        meta,
        job,
        machine,
        fresh: flow,
        ..
    } = parcel;
    if config.checksum != 0
        && let Err(reason) = packet.verify(meta, job)
    {
        return judge(CtInfo::Invalid, reason);
    }
    maps::blank(flow);
    flow.origin = place.from_hi;
    flow.tag = place.key.tag();
    flow.id = helpers::random();
    if let Err(reason) = machines::open(flow, meta, config, job.now) {
        return judge(CtInfo::Invalid, reason);
    }
    note_interface(flow, Dir::Original, job.came_in_by);
    kept::note_flow(
        flow,
        Dir::Original,
        CtInfo::New,
        meta,
        (machine, job),
        config.hz,
    );
    machine.facts.unconfirmed();
    Next::Begin
}

/// Inserts the flow that `scratch` has ready, if its first packet passes.
#[inline(always)]
pub(crate) fn settle<P: Frame>(packet: &P, scratch: &mut Scratch, end: End) -> End {
    let mut end = end;
    // Of what the kernel will throw away no flow is kept.
    if end.verdict == Verdict::Pass && scratch.way.route.lost(scratch.meta.ttl).is_none() {
        match settling::insert(scratch) {
            Inserted::Yes => {
                scratch.job.counted = 1;
                maps::count(Counter::CREATED);
            }
            Inserted::Clash => {
                maps::count(Counter::CLASH_RESOLVE);
                return join(packet, scratch, end);
            }
            Inserted::No(reason) => {
                // As the kernel counts a packet for whose flow there is no room.
                maps::count(Counter::DROP);
                end = End::drop(reason);
            }
        }
    }
    maps::count(Counter::of_state(CtInfo::New));
    end
}

/// Another packet of the new flow was quicker: this one, which has been judged, belongs to its entry.
/// Not counted as NEW: what it is, the winner's entry tells.
#[inline(always)]
fn join<P: Frame>(packet: &P, scratch: &mut Scratch, end: End) -> End {
    // That flow knows its own way.
    scratch.way.hop.oif = 0;
    let next = table(scratch.meta.family);
    match pipeline::track(packet, scratch, next) {
        Next::End(other) if other.verdict == Verdict::Drop => other,
        Next::Judge(info, _) => {
            maps::count(Counter::of_state(info));
            end
        }
        _ => end,
    }
}

/// The flow table of a family.
#[inline(always)]
const fn table(family: Family) -> Next {
    match family {
        Family::V4 => Next::Track4,
        Family::V6 => Next::Track6,
    }
}

/// What came of inserting a flow.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Inserted {
    /// It is there.
    Yes,
    /// It was there already.
    Clash,
    /// The table, or a limit, refused it.
    No(Reason),
}

/// Inserts the flow that is ready, if it may begin, with what the ruleset said of its first packet.
#[inline(always)]
pub(crate) fn insert<K: Table + Counted>(
    place: &mut Place<K>,
    flow: &mut Flow,
    machine: &Machine,
    job: &Job,
) -> Inserted {
    let Some(config) = maps::config() else {
        return Inserted::No(Reason::NoConfig);
    };
    if let Err(reason) = K::admit(place, job, config) {
        return Inserted::No(reason);
    }
    if Active(job.rules).epoch() != 0 {
        kept::note_rule(flow, machine, job);
        kept::keep(flow, machine, job, Verdict::Pass);
    }
    let Err(failure) = place.key.insert(flow) else {
        events::begun(&place.key, flow, job.now);
        return Inserted::Yes;
    };
    if source::are_counted(config) && job.came_in_by != 0 {
        K::note(place, flow.origin, Change::GoneHalfOpen);
    }
    if failure == EEXIST {
        return Inserted::Clash;
    }
    maps::count(Counter::INSERT_FAILED);
    Inserted::No(Reason::TableFull)
}
