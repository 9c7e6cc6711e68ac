//! The short way of nearly all packets: plain ones of established flows whose verdict and next hop are kept.
//!
//! It is the same way as that of [`crate::pipeline`], with all turnings left out that such a packet does not
//! take. What does not fit leaves before anything is changed, and takes the long way from its beginning.
//!
//! Nothing is written to memory but the flow, the frame and the counters: what is known of the packet stays in
//! registers.

use fw_common::abi::{
    Active, Config, Counter, Flow, IfaceConfig, IfaceFlags, Key4, Key6, Leg, NextHop, generations,
};
use fw_common::fasttrack::Size;
use fw_common::flow::{self, Tuple};
use fw_common::wire::{self, Address, Family, Glance, Network, Packet, checksum, ethertype, proto};
use fw_common::{CtInfo, Dir, Reason, Verdict, policy, track};

use crate::sys::entry::Table;
use crate::sys::maps;
use crate::sys::packet::Arrival;
use crate::sys::{hops, ruleset, tracing, trails};
use crate::{clock, fast, kept, pipeline, rules};

/// What became of a packet.
#[derive(Clone, Copy)]
pub(crate) enum Ride {
    /// It has left, and is counted: what the program returns for that.
    Sent(u32),
    /// It was accepted, but goes on by way of the stack.
    Stack,
    /// It is not in its connection's window, for which this is the reason: it is INVALID, and has to be judged.
    Invalid(Reason),
    /// It takes the long way.
    Not,
}

/// What holds whatever the flow.
#[derive(Clone, Copy)]
struct Ticket {
    config: &'static Config,
    /// Now, in ticks.
    now: u64,
    /// Generation of the routes, not 0.
    routes: u32,
    /// The ruleset in force.
    rules: Active,
    /// The NIC, or the VLAN on top of it.
    iface: IfaceConfig,
    /// Whether the frame has a tag.
    tagged: bool,
}

impl Ticket {
    /// That of a frame with this tag. `None`: nobody takes it off.
    #[inline(always)]
    fn enter(mut self, tag: u32) -> Option<Self> {
        let (index, flags) = pipeline::vlan(&self.iface, wire::vlan_id(tag)?)?;
        self.iface.index = index;
        self.iface.flags = flags;
        self.tagged = true;
        Some(self)
    }
}

/// Takes a packet without a tag by the short way, if it fits.
#[inline(always)]
pub(crate) fn run<P: Arrival>(packet: &P, ifindex: u32) -> Ride {
    let ride = || {
        let ether_type = wire::untagged(packet)?;
        let ticket = ticket(packet, ifindex)?;
        check_in(packet, packet, ether_type, ticket)
    };
    ride().unwrap_or(Ride::Not)
}

/// Takes a packet with the tag of a VLAN by the short way, if it fits. A function of its own, so that others do not pay
/// for it.
#[inline(always)]
pub(crate) fn run_tagged<P: Arrival>(packet: &P, ifindex: u32) -> Ride {
    let ride = || {
        let ticket = ticket(packet, ifindex)?;
        let beside = packet.tag();
        if beside != 0 {
            let ether_type = wire::ether_type(packet)?;
            return check_in(packet, packet, ether_type, ticket.enter(beside)?);
        }
        if !P::TAG_WITHIN {
            return None;
        }
        let ticket = ticket.enter(wire::tag_within(packet)?)?;
        let headers = wire::Untagged(packet);
        check_in(packet, &headers, wire::ether_type(&headers)?, ticket)
    };
    ride().unwrap_or(Ride::Not)
}

/// All that has to be right whatever flow the packet is of. `None`: something is not.
#[inline(always)]
fn ticket<P: Arrival>(packet: &P, ifindex: u32) -> Option<Ticket> {
    let config = maps::config()?;
    let iface = maps::iface(ifindex)?;
    if config.fasttrack == 0 || !pipeline::is_direct(packet, &iface) {
        return None;
    }
    let now = clock::now();
    let routes = maps::forwarding_generation(now)?;
    if routes == 0 || tracing::is_on(now) {
        return None;
    }
    Some(Ticket {
        config,
        now,
        routes,
        rules: ruleset::active(),
        iface,
        tagged: false,
    })
}

/// Each family has a way of its own. `headers` is the packet as it would be without its tag.
#[inline(always)]
fn check_in<P: Arrival, H: Packet>(
    packet: &P,
    headers: &H,
    ether_type: u16,
    ticket: Ticket,
) -> Option<Ride> {
    if ticket.iface.flags & IfaceFlags::FORWARD == 0 {
        return None;
    }
    match ether_type {
        ethertype::IPV4 if !rules::are_early(ticket.rules, Family::V4) => {
            board::<P, H, Key4>(packet, headers, wire::glance4(headers)?, ticket)
        }
        ethertype::IPV6 if !rules::are_early(ticket.rules, Family::V6) => {
            board::<P, H, Key6>(packet, headers, wire::glance6(headers)?, ticket)
        }
        _ => None,
    }
}

/// Each protocol has a way of its own, on which nothing is asked that only concerns the other.
#[inline(always)]
fn board<P: Arrival, H: Packet, K: Table>(
    packet: &P,
    headers: &H,
    network: Network<K::Address>,
    ticket: Ticket,
) -> Option<Ride> {
    match network.proto {
        proto::UDP => ride::<P, K>(packet, &network.datagram(headers)?, ticket),
        proto::TCP => ride::<P, K>(packet, &network.segment(headers)?, ticket),
        _ => None,
    }
}

/// From the packet's flow to its next hop.
#[inline(always)]
fn ride<P: Arrival, K: Table>(
    packet: &P,
    glance: &Glance<K::Address>,
    ticket: Ticket,
) -> Option<Ride> {
    let (key, from_hi) = K::canonical(&Tuple::at_a_glance(glance), ticket.iface.zone);
    let tag = key.tag();
    let mut entry = key.look_up_assured()?;
    if !entry.try_lock(tag) {
        return None;
    }
    let flow = entry.flow();
    let dir = flow::direction(flow, from_hi);
    let info = CtInfo::of_flow(dir, true);
    let leg = &flow.legs[dir.index() & 1];
    let path = leg.path;
    let mut hop = NextHop::default();
    let size = Size::at_a_glance(glance);
    let unfinished = || checksum::is_left(glance);
    let ready = track::is_lasting(flow, glance.network.proto, ticket.now)
        && passes(leg, info, ticket)
        && knows(leg, &mut hop, ticket)
        && fast::fits(packet, (size, unfinished), ticket.iface.flags, &hop).is_ok();
    if !ready {
        entry.unlock();
        return None;
    }
    let outcome = prolong(flow, dir, glance, ticket);
    entry.unlock();
    if let Err(reason) = outcome {
        return Some(Ride::Invalid(reason));
    }
    if ticket.rules.epoch() != 0 {
        trails::count_path(ticket.rules, path, glance.network.l3_len, ticket.now);
    }
    let kind = (K::FAMILY, glance.network.ttl);
    Some(match fast::forward(packet, kind, &hop, ticket.tagged) {
        Some(action) => {
            maps::count(match dir {
                Dir::Original => Counter::SHORT,
                Dir::Reply => Counter::SHORT_REPLY,
            });
            Ride::Sent(action)
        }
        None => {
            maps::count(Counter::of_state(info));
            Ride::Stack
        }
    })
}

/// Whether packets like this one are accepted, as far as is known, and the next hop was found since the routes changed:
/// accepted by the ruleset if its verdict is kept, by the built-in policy if there are no rules.
#[inline(always)]
fn passes(leg: &Leg, info: CtInfo, ticket: Ticket) -> bool {
    let Ticket { iface, routes, .. } = ticket;
    match ticket.rules.epoch() {
        0 => {
            let (verdict, _) = policy::decide(info, Reason::Accepted, ticket.config);
            verdict == Verdict::Pass && leg.ifindex == iface.index && leg.route_gen == routes
        }
        epoch => {
            leg.generations() == generations(routes, epoch)
                && leg.verdict == Verdict::Pass as u8
                && kept::is_found_for(leg, info, routes, iface.index)
        }
    }
}

/// Whether the next hop is known, and need not be confirmed now: it is in `hop`.
///
/// It was asked for by a packet that the stack could forward (`fasttrack::suits`), so neither end is a group, and
/// all that [`wire::sanity`] wants of addresses is true of these.
#[inline(always)]
fn knows(leg: &Leg, hop: &mut NextHop, ticket: Ticket) -> bool {
    hops::get(leg.nexthop, ticket.routes, hop) && hop.confirm_at > ticket.now
}

/// Advances the flow, which can only be prolonged by this packet.
///
/// # Errors
/// Why the packet is INVALID: it is not in the window.
#[inline(always)]
fn prolong<A: Address>(
    flow: &mut Flow,
    dir: Dir,
    glance: &Glance<A>,
    Ticket { config, now, .. }: Ticket,
) -> Result<(), Reason> {
    if glance.network.proto == proto::UDP {
        track::prolong_udp(flow, dir, glance.network.l3_len, config, now);
        return Ok(());
    }
    track::prolong_tcp(flow, dir, (&glance.tcp, glance.network.l3_len), config, now)
}
