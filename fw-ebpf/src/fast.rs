//! The fast path: packets leave without the stack.
//!
//! [`choose`] finds the next hop of a flow's packet, under the flow's lock, before the packet is judged; [`begin`]
//! that of a first packet, before its flow is inserted. [`send`] is the one place where a packet that was accepted
//! leaves by it.

use fw_common::abi::{
    Counter, Flow, IfaceFlags, NO_EGRESS, NOT_ASKED, NextHop, Routing, THE_KERNELS,
};
use fw_common::fasttrack::{self, Left, Size};
use fw_common::wire::{Family, Meta, checksum};
use fw_common::{Dir, status};

use crate::route;
use crate::sys::hops;
use crate::sys::maps;
use crate::sys::packet::Arrival;
use crate::sys::scratch::{Job, Scratch, Way};
use crate::sys::subprogram::Frame;

/// The loopback's number, in every network namespace: the stack asks for the way back to a source as if
/// from there.
const LOOPBACK: u32 = 1;

/// Bits of [`Way::question`].
pub(crate) const ESTABLISHED: u32 = 1 << 1;
pub(crate) const NEW: u32 = 1 << 2;

/// Seconds for which a next hop is used without a look at the neighbour.
const CONFIRM_AFTER: u64 = 5;

/// Finds out whether a packet of `flow` may leave straight from XDP, and to where: then `way.hop` says so.
#[inline(always)]
pub(crate) fn choose<P: Frame>(
    packet: &P,
    flow: &mut Flow,
    dir: Dir,
    meta: &Meta,
    job: &Job,
    way: &mut Way,
) {
    let (generation, enabled) = maps::routing(job.now);
    let leg = &mut flow.legs[dir.index() & 1];
    if leg.route_gen != generation {
        leg.route_gen = generation;
        leg.nexthop = NOT_ASKED;
    }
    let Some(config) = maps::config() else {
        return;
    };
    if config.fasttrack == 0 || enabled & Routing::ESTABLISHED == 0 {
        if flow.status & status::OFFLOAD != 0 {
            flow.status &= !status::OFFLOAD;
        }
        return;
    }
    let allowed = if enabled & Routing::FIRST == 0 {
        ESTABLISHED
    } else {
        ESTABLISHED | NEW
    };
    if way.question & allowed == 0 {
        return;
    }
    if !fasttrack::suits(meta, job.iface.into()) {
        maps::count(Counter::of_left(Left::Special));
        return;
    }
    let confirm_at = job.now + CONFIRM_AFTER * u64::from(config.hz);
    let known = leg.nexthop;
    if known == THE_KERNELS {
        maps::count(Counter::of_left(Left::Route));
    } else if known == NO_EGRESS {
        maps::count(Counter::of_left(Left::Egress));
    } else if known != NOT_ASKED && hops::get(known, generation, &mut way.hop) {
        // Its first packet may have found the next hop, before there was an answer.
        call_offloaded(flow);
        if way.hop.confirm_at <= job.now {
            hops::put_off(known, confirm_at);
            leave(way, Left::Confirm);
        }
    } else {
        let left = packet.next_hop(
            meta,
            way,
            u64::from(job.iface) << 32 | u64::from(job.came_in_by),
        );
        way.hop.confirm_at = confirm_at;
        remember(flow, dir, way, left, generation);
    }
}

/// Finds out whether the first packet of `flow`, whose way was asked for, may leave straight from XDP, and to
/// where: then `way.hop` says so.
#[inline(always)]
pub(crate) fn begin<P: Frame>(packet: &P, flow: &mut Flow, meta: &Meta, job: &Job, way: &mut Way) {
    const NEEDED: u32 = Routing::ESTABLISHED | Routing::FIRST;
    let (generation, enabled) = maps::routing(job.now);
    let Some(config) = maps::config() else {
        return;
    };
    // Its way was asked for before the rules were: it may be that of routes which are no more.
    if config.fasttrack == 0 || enabled & NEEDED != NEEDED || generation != job.routes {
        return;
    }
    if !fasttrack::suits(meta, job.iface.into()) {
        maps::count(Counter::of_left(Left::Special));
        return;
    }
    let left = look_ahead(packet, meta, way, (job.iface.into(), job.came_in_by));
    let confirm_at = job.now + CONFIRM_AFTER * u64::from(config.hz);
    way.hop.confirm_at = confirm_at;
    flow.legs[0].route_gen = generation;
    remember(flow, Dir::Original, way, left, generation);
    let known = flow.legs[0].nexthop;
    if way.hop.oif != 0 && known != NOT_ASKED && hops::is_due(known, job.now) {
        // There may be none but first packets.
        hops::put_off(known, confirm_at);
        leave(way, Left::Confirm);
    }
}

/// Notes in the flow what was found; `left` is the number of the cause if the packet is the kernel's.
#[inline(always)]
fn remember(flow: &mut Flow, dir: Dir, way: &mut Way, left: u32, generation: u32) {
    if way.hop.oif == 0 {
        flow.status &= !status::OFFLOAD;
    } else {
        call_offloaded(flow);
    }
    let leg = &mut flow.legs[dir.index() & 1];
    leg.nexthop = if way.hop.oif != 0 {
        hops::intern(&way.hop, generation)
    } else if left == Left::Neighbour as u32 {
        // The kernel is about to find it.
        NOT_ASKED
    } else if left == Left::Egress as u32 {
        NO_EGRESS
    } else {
        THE_KERNELS
    };
}

/// Notes that packets of the flow leave straight from XDP; as the kernel does, of no flow that nobody has answered.
#[inline(always)]
fn call_offloaded(flow: &mut Flow) {
    if flow.status & status::SEEN_REPLY != 0 {
        flow.status |= status::OFFLOAD;
    }
}

/// Leaves a packet to the kernel, and counts why.
#[inline(always)]
fn leave(way: &mut Way, left: Left) {
    way.hop.oif = 0;
    maps::count(Counter::of_left(left));
}

/// Looks up the next hop of a packet, and whether it can be reached from XDP: `way.hop`, whose interface
/// is 0 if not. Returns the number of the cause then. `from` is the interface by which it came in, with
/// its flags in the upper half.
#[inline(always)]
pub(crate) fn look_up<P: Frame>(packet: &P, meta: &Meta, way: &mut Way, from: u64) -> u32 {
    let (iface, came_in_by) = ((from >> 32) as u32, from as u32);
    packet.route(meta, way, came_in_by);
    look_ahead(packet, meta, way, (iface, came_in_by))
}

/// [`look_up`] of a packet whose way is known; `from` are the flags and the number of the interface by which it came
/// in.
#[inline(always)]
fn look_ahead<P: Frame>(packet: &P, meta: &Meta, way: &mut Way, from: (u32, u32)) -> u32 {
    way.hop.oif = 0;
    match reach(packet, meta, way, from) {
        Ok(()) => u32::MAX,
        Err(left) => {
            maps::count(Counter::of_left(left));
            left as u32
        }
    }
}

#[inline(always)]
fn reach<P: Frame>(
    packet: &P,
    meta: &Meta,
    way: &mut Way,
    (iface, came_in_by): (u32, u32),
) -> Result<(), Left> {
    let outlet = maps::outlet(way.route.oif);
    fasttrack::is_next_hop(&way.route, iface, outlet.flags, came_in_by)?;
    if !fasttrack::may_be_forwarded(meta) {
        return Err(Left::Route);
    }
    if fasttrack::checks_source(meta) {
        let from = if iface & IfaceFlags::VRF != 0 {
            came_in_by
        } else {
            LOOPBACK
        };
        let back = route::ask_back(packet, meta, way, from);
        if !fasttrack::source_is_valid(back, iface, came_in_by) {
            return Err(Left::Route);
        }
    }
    fasttrack::fill(&mut way.hop, &way.route, outlet);
    Ok(())
}

/// Sends an accepted packet to its next hop, if it has one and fits; what the program returns for that.
/// `None`: it goes to the kernel.
#[inline(always)]
pub(crate) fn send<P: Arrival>(packet: &P, scratch: &mut Scratch) -> Option<u32> {
    let Scratch { meta, job, way, .. } = scratch;
    if way.hop.oif == 0 {
        return None;
    }
    let unfinished = || checksum::is_left_to_nic(packet, meta);
    if let Err(left) = fits(
        packet,
        (Size::of(meta), unfinished),
        job.iface.into(),
        &way.hop,
    ) {
        maps::count(Counter::of_left(left));
        return None;
    }
    let [tag, _] = meta.vlan;
    forward(packet, (meta.family, meta.ttl), &way.hop, tag != 0)
}

/// Sends a packet of this family and TTL or hop limit to its next hop; what the program returns for that. `None`: nothing
/// is changed, and the kernel has to.
#[inline(always)]
pub(crate) fn forward<P: Arrival>(
    packet: &P,
    kind: (Family, u8),
    hop: &NextHop,
    tagged: bool,
) -> Option<u32> {
    if tagged || hop.vlan != 0 {
        return packet.depart(kind, hop, tagged);
    }
    // Nothing is changed if the headers are not where they were.
    packet.readdress(kind, hop)?;
    Some(packet.send(hop.oif))
}

/// Whether a packet of this size can take the way that its flow has; `unfinished` says whether its checksum is left to
/// a NIC.
#[inline(always)]
pub(crate) fn fits<P: Arrival>(
    packet: &P,
    (size, unfinished): (Size, impl FnOnce() -> bool),
    iface: u32,
    hop: &NextHop,
) -> Result<(), Left> {
    let longest = size.longest(packet.gso_size());
    if longest.is_none_or(|longest| longest > hop.mtu) {
        return Err(Left::Mtu);
    }
    let native = iface & IfaceFlags::GENERIC == 0;
    if native && u32::from(hop.egress) & IfaceFlags::XMIT_BUFFERS == 0 && packet.is_scattered() {
        return Err(Left::Egress);
    }
    if iface & IfaceFlags::LOCAL_PEER != 0 && !P::KEEPS_CHECKSUM && unfinished() {
        return Err(Left::Checksum);
    }
    Ok(())
}
