//! The short way of nearly all packets: plain ones of established flows whose verdict and next hop are kept.
//!
//! It is the same way as that of [`crate::pipeline`], with all turnings left out that such a packet does not
//! take. What does not fit leaves before anything is changed, and takes the long way from its beginning.

use fw_common::abi::{Active, Config, Counter, Flow, Leg};
use fw_common::flow::{self, Tuple};
use fw_common::wire::{self, Family, Meta, proto};
use fw_common::{CtInfo, Dir, Reason, Verdict, fasttrack, policy, track};

use crate::pipeline::{self, Told};
use crate::sys::entry::Table;
use crate::sys::maps::{self, Job, Place, Scratch, Way};
use crate::sys::packet::Arrival;
use crate::sys::{hops, machines, tracing, trails};
use crate::{clock, fast, rules};

/// What became of a packet.
#[derive(Clone, Copy)]
pub(crate) enum Ride {
    /// It has left: what the program returns for that.
    Sent(u32),
    /// It was accepted, but goes on by way of the stack.
    Stack,
    /// Its flow has advanced and says that it is in this state: it has to be judged.
    Told(Told),
    /// It takes the long way.
    Not,
}

/// What holds whatever the flow.
#[derive(Clone, Copy)]
struct Ticket {
    config: &'static Config,
    /// Generation of the routes, not 0.
    routes: u32,
}

/// Takes a packet by the short way, if it fits.
#[inline(always)]
pub(crate) fn run<P: Arrival>(packet: &P, scratch: &mut Scratch, ifindex: u32) -> Ride {
    let Some(ticket) = prepare(packet, scratch, ifindex) else {
        return Ride::Not;
    };
    let Scratch {
        meta,
        job,
        way,
        place4,
        place6,
        ..
    } = scratch;
    match meta.family {
        Family::V4 => ride(packet, place4, (meta, job, way), ticket),
        Family::V6 => ride(packet, place6, (meta, job, way), ticket),
    }
    .unwrap_or(Ride::Not)
}

/// All that has to be right whatever the flow. `None`: something is not.
#[inline(always)]
fn prepare<P: Arrival>(packet: &P, scratch: &mut Scratch, ifindex: u32) -> Option<Ticket> {
    let config = maps::config()?;
    let iface = maps::iface(ifindex)?;
    let now = clock::now();
    let routes = maps::forwarding_generation(now)?;
    if config.fasttrack == 0
        || routes == 0
        || tracing::is_on(now)
        || !wire::plain(packet, &mut scratch.meta)
    {
        return None;
    }
    scratch.job = pipeline::job((now, routes), &iface, ifindex);
    scratch.job.came_in_by = ifindex;
    scratch.job.iface |= pipeline::addressed(packet, &iface, ifindex)?;
    let fits = fasttrack::suits(&scratch.meta, scratch.job.iface.into())
        && !rules::are_early(Active(scratch.job.rules), scratch.meta.family);
    fits.then_some(Ticket { config, routes })
}

/// From the packet's flow to its next hop.
#[inline(always)]
fn ride<P: Arrival, K: Table>(
    packet: &P,
    place: &mut Place<K>,
    (meta, job, way): (&Meta, &Job, &mut Way),
    ticket: Ticket,
) -> Option<Ride> {
    let (key, from_hi) = K::canonical(&Tuple::of_ports(meta), job.zone);
    let tag = key.tag();
    place.key = key;
    let mut entry = place.key.find_assured()?;
    if !entry.try_lock(tag) {
        return None;
    }
    let flow = entry.flow();
    let dir = flow::direction(flow, from_hi);
    let info = CtInfo::of_flow(dir, true);
    let leg = &flow.legs[dir.index() & 1];
    let path = leg.path;
    let ready = track::is_lasting(flow, meta, job.now)
        && passes(leg, info, job, ticket.config)
        && knows(leg, job, way, ticket)
        && fast::fits(packet, meta, job.iface.into(), &way.hop).is_ok();
    if !ready {
        entry.unlock();
        return None;
    }
    let outcome = prolong(flow, (dir, info), meta, job, ticket.config);
    entry.unlock();
    if let Err(told) = outcome {
        return Some(Ride::Told(told));
    }
    maps::count(Counter::of_state(info));
    if Active(job.rules).epoch() != 0 {
        trails::count_path(Active(job.rules), path, meta.l3_len, job.now);
    }
    Some(match packet.readdress(meta, &way.hop) {
        Some(()) => Ride::Sent(packet.send(way.hop.oif)),
        None => Ride::Stack,
    })
}

/// Whether packets like this one are accepted, as far as is known: by the ruleset if its verdict is kept, by the
/// built-in policy if there are no rules.
#[inline(always)]
fn passes(leg: &Leg, info: CtInfo, job: &Job, config: &Config) -> bool {
    if leg.ifindex != job.came_in_by {
        return false;
    }
    if Active(job.rules).epoch() == 0 {
        policy::decide(info, Reason::Accepted, config).0 == Verdict::Pass
    } else {
        leg.verdict == Verdict::Pass as u8 && rules::is_kept(leg, info, job)
    }
}

/// Whether the next hop is known, and need not be confirmed now: it is in `way`.
#[inline(always)]
fn knows(leg: &Leg, job: &Job, way: &mut Way, ticket: Ticket) -> bool {
    leg.route_gen == ticket.routes
        && hops::get(leg.nexthop, ticket.routes, &mut way.hop)
        && way.hop.confirm_at > job.now
}

/// Advances the flow, which can only be prolonged by this packet.
///
/// # Errors
/// The packet's state if it is another than `info`: INVALID, since it is not in the window.
#[inline(always)]
fn prolong(
    flow: &mut Flow,
    (dir, info): (Dir, CtInfo),
    meta: &Meta,
    job: &Job,
    config: &Config,
) -> Result<(), Told> {
    if meta.proto == proto::UDP {
        track::prolong_udp(flow, dir, meta, config, job.now);
        return Ok(());
    }
    machines::prolong_tcp(flow, (dir, info), meta, config, job.now)
        .map_err(|outcome| (outcome.info, outcome.reason))
}
