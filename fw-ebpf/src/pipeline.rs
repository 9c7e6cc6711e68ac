//! The way of one packet, the same at both hooks: parse, find the flow, advance it, decide.

use fw_common::abi::{Active, Config, Counter, IfaceConfig, IfaceFlags, MacKey, Routing};
use fw_common::route::{self, Route};
use fw_common::verdict::Kind;
use fw_common::wire::{Family, Fragment, Tags, inner, meta_flags};
use fw_common::{CtInfo, Reason, Verdict, icmp, policy, track};

use crate::clock;
use crate::counters::End;
use crate::sys::maps;
use crate::sys::scratch::{Hook, Job, Scratch};
use crate::sys::subprogram::Frame;
use crate::sys::{fragments, ruleset, settling, tracing};
use crate::{conntrack, kept, related, rules};

/// Takes a packet from its first byte to its verdict. `ifindex` is the NIC of the hook.
///
/// The steps are functions one after the other, not one in the other: the stack is 512 bytes for all
/// nested frames together.
///
/// `invalid` is why it is INVALID, if its flow has said so already.
#[inline(always)]
pub(crate) fn filter<P: Frame>(
    packet: &P,
    scratch: &mut Scratch,
    ifindex: u32,
    invalid: Option<Reason>,
) -> End {
    let Some(config) = maps::config() else {
        return End::drop(Reason::NoConfig);
    };
    let end = match find(packet, scratch, ifindex, invalid) {
        Next::Judge(info, reason) => {
            maps::count(Counter::of_state(info));
            let end = decide(packet, scratch, (info, reason), config);
            let kept = !kept::is_to_keep(&scratch.machine, &scratch.job)
                || settling::keep(scratch, end.verdict);
            match end.verdict {
                Verdict::Pass if !kept => End::drop(Reason::Contended),
                _ => end,
            }
        }
        Next::Begin => {
            packet.route(&scratch.meta, &mut scratch.way, scratch.job.came_in_by);
            let end = decide(packet, scratch, (CtInfo::New, Reason::Accepted), config);
            if end.verdict == Verdict::Pass && scratch.way.route.is_forwarded() {
                packet.begin(scratch);
            }
            conntrack::settle(packet, scratch, end)
        }
        Next::End(end) => end,
        Next::Later => fragments::later(scratch),
        // The steps before leave nothing else.
        Next::Classify | Next::Track4 | Next::Track6 => End::drop(Reason::NoConfig),
    };
    if scratch.job.first != 0 {
        fragments::remember(scratch, end.verdict);
    }
    // The kernel throws it away, and answers: it passes, but for this reason.
    match scratch.way.route.lost(scratch.meta.ttl) {
        Some(reason) if end.verdict == Verdict::Pass => End::pass(reason),
        _ => end,
    }
}

/// Everything up to the packet's state: its headers, the rules before conntrack, its flow.
#[inline(always)]
fn find<P: Frame>(
    packet: &P,
    scratch: &mut Scratch,
    ifindex: u32,
    invalid: Option<Reason>,
) -> Next {
    let mut next = packet.prepare(scratch, ifindex);
    // The rules have been asked about a later fragment's first one.
    if let Next::End(_) | Next::Later = next {
        return next;
    }
    match rules::early(packet, scratch) {
        Err(end) => return Next::End(end),
        Ok(true) => {}
        Ok(false) => next = Next::Judge(CtInfo::Untracked, Reason::Untracked),
    }
    if let Next::Classify = next {
        next = match invalid {
            Some(reason) => judge(CtInfo::Invalid, reason),
            None => packet.classify(scratch),
        };
    }
    track(packet, scratch, next)
}

/// The verdict of the rules, for which the packet's way has to be known.
#[inline(always)]
fn decide<P: Frame>(
    packet: &P,
    scratch: &mut Scratch,
    (info, reason): (CtInfo, Reason),
    config: &Config,
) -> End {
    if Active(scratch.job.rules).epoch() != 0 && scratch.way.route.kind == route::Kind::Unknown {
        packet.route(&scratch.meta, &mut scratch.way, scratch.job.came_in_by);
    }
    rules::judge(packet, scratch, (info, reason), config)
}

/// To the flow table of the packet's family, if `next` says so.
#[inline(always)]
pub(crate) fn track<P: Frame>(packet: &P, scratch: &mut Scratch, next: Next) -> Next {
    match next {
        Next::Track4 => packet.track4(scratch),
        Next::Track6 => packet.track6(scratch),
        other => other,
    }
}

/// How a packet goes on after a step.
#[derive(Clone, Copy)]
pub(crate) enum Next {
    /// Not at all.
    End(End),
    /// To [`classify`].
    Classify,
    /// To the IPv4 flows.
    Track4,
    /// To the IPv6 flows.
    Track6,
    /// To the ruleset, in this state; the reason says why it is INVALID, if it is.
    Judge(CtInfo, Reason),
    /// To the ruleset, as the first of a flow that is inserted if it passes.
    Begin,
    /// To the first fragment of its datagram.
    Later,
}

/// Everything before the flow table: parsing, and what needs no entry of its own.
#[inline(always)]
pub(crate) fn prepare<P: Frame>(packet: &P, scratch: &mut Scratch, ifindex: u32) -> Next {
    scratch.way.route = Route::default();
    scratch.way.hop.oif = 0;
    let Some(config) = maps::config() else {
        return Next::End(End::drop(Reason::NoConfig));
    };
    let Some(iface) = maps::iface(ifindex) else {
        return Next::End(End::drop(Reason::UnknownInterface));
    };
    scratch.machine.reset();
    let now = clock::now();
    let (routes, enabled) = maps::routing(now);
    scratch.job = job((now, routes), &iface);
    let parsed = packet.parse(&mut scratch.meta);
    if let Err(reason) = parsed
        && reason.kind() != Kind::Invalid
    {
        return refused(reason, P::HOOK, scratch, config);
    }
    scratch.job.came_in_by = match P::HOOK {
        Hook::Ingress => iface.index,
        Hook::Egress => 0,
    };
    tracing::begin(scratch);
    enter(packet, scratch, &iface);
    if let Hook::Ingress = P::HOOK {
        match addressed(packet, &iface) {
            Some(flags) => scratch.job.iface |= flags,
            None => return Next::End(End::drop(Reason::OtherHost)),
        }
    }
    if scratch.meta.ttl <= 1 {
        // It may not get as far as the hook that others of its flow are judged at.
        scratch.job.odd = 1;
        packet.route(&scratch.meta, &mut scratch.way, scratch.job.came_in_by);
    }
    if is_odd::<P>(scratch, enabled) {
        scratch.job.odd = 1;
    }
    match scratch.meta.fragment {
        Fragment::Whole => {}
        Fragment::First => {
            if let Err(reason) = fragments::first(scratch) {
                return Next::End(End::drop(reason));
            }
            scratch.job.first = 1;
        }
        Fragment::Later => return Next::Later,
    }
    match parsed {
        Ok(()) => Next::Classify,
        Err(reason) => refused(reason, P::HOOK, scratch, config),
    }
}

/// Whether a packet may be judged otherwise than the other ones of its flow, for a reason that no verdict is kept under:
///
/// * the kernel may forward it though it is for the router (source routes);
/// * it has no ports to be routed by, as the whole datagram has;
/// * its way is not as constant as the generation of the routes: the host's own leave by whatever socket options and
///   marks say, and where the tables ask of more than addresses (`enabled` says they do), others do as well.
#[inline(always)]
fn is_odd<P: Frame>(scratch: &Scratch, enabled: u32) -> bool {
    let meta = &scratch.meta;
    let varies = matches!(P::HOOK, Hook::Egress) || enabled & Routing::ESTABLISHED == 0;
    meta.flags & meta_flags::OPTIONS != 0
        || matches!(meta.fragment, Fragment::First)
        || (varies && rules::ask_of_ways(scratch))
}

/// Takes the packet to the VLAN that its tag names. One whose tag nobody takes off here is the stack's, and what
/// is kept of its flow is not for it. Its interface is not known if the daemon has not heard of the VLAN, or if the frame has two
/// tags or one of a provider.
#[inline(always)]
fn enter<P: Frame>(packet: &P, scratch: &mut Scratch, iface: &IfaceConfig) {
    let tags = Tags::of(packet, &scratch.meta);
    let vlan = match (P::HOOK, tags) {
        (_, Tags::None) => return,
        (_, Tags::Priority) => {
            scratch.meta.flags |= meta_flags::PRIORITY_TAG;
            return;
        }
        (Hook::Ingress, Tags::One(id)) => vlan(iface, id),
        _ => None,
    };
    match vlan {
        Some((index, flags)) => {
            scratch.job.came_in_by = index;
            scratch.job.iface = flags as u16;
        }
        None => {
            let is_known = match tags {
                Tags::One(id) => ruleset::link(iface.index, id).is_some(),
                _ => false,
            };
            if !is_known && matches!(P::HOOK, Hook::Ingress) && rules::ask_of_ways(scratch) {
                scratch.job.unknown = 1;
            }
            scratch.meta.flags |= meta_flags::FOREIGN_TAG;
            scratch.job.odd = 1;
        }
    }
}

/// Number and flags of the interface for frames with tag `id` on top of a port.
#[inline(always)]
pub(crate) fn vlan(port: &IfaceConfig, id: u16) -> Option<(u32, u32)> {
    let link = ruleset::link(port.index, id)?;
    let flags = maps::vlan(link.index, (port.index, id))?;
    Some((link.index, flags))
}

/// What holds for a packet at a port before anything is known of it, at tick `now` with `routes` as the generation of
/// the routes.
#[inline(always)]
fn job((now, routes): (u64, u32), iface: &IfaceConfig) -> Job {
    Job {
        now,
        rules: ruleset::active().0,
        came_in_by: 0,
        zone: iface.zone,
        iface: iface.flags as u16,
        port: iface.index,
        routes,
        leg: 0,
        info: 0,
        odd: 0,
        first: 0,
        counted: 0,
        unknown: 0,
        pad: [0; 2],
    }
}

/// What becomes of a packet whose headers make no sense.
#[inline(always)]
fn refused(reason: Reason, hook: Hook, scratch: &Scratch, config: &Config) -> Next {
    let meta = &scratch.meta;
    match (reason.kind(), hook) {
        (Kind::Pass, _) => Next::End(End {
            verdict: Verdict::Pass,
            reason,
        }),
        (Kind::Drop, Hook::Ingress) => Next::End(End::drop(reason)),
        (Kind::Invalid, _) if icmp::is_icmp(meta.family, meta.proto) => judge_error(reason),
        (Kind::Invalid, _) => judge(CtInfo::Invalid, reason),
        // The host's own: its stack made it, the built-in policy decides. Rules can't ask what is in
        // it, so what has to obey rules does not leave.
        (Kind::Drop, Hook::Egress) => {
            maps::count(Counter::INVALID);
            maps::count(Counter::of_state(CtInfo::Invalid));
            let (verdict, reason) = policy::decide(CtInfo::Invalid, reason, config);
            Next::End(if Active(scratch.job.rules).epoch() == 0 {
                End { verdict, reason }
            } else {
                End::drop(reason)
            })
        }
    }
}

/// Whether the frame is for the NIC's own address, as far as that has to be looked at.
#[inline(always)]
pub(crate) fn is_direct<P: Frame>(packet: &P, iface: &IfaceConfig) -> bool {
    iface.flags & IfaceFlags::CHECK_MAC == 0 || packet.read::<6>(0) == Some(iface.mac)
}

/// What the frame's destination address says, as flags of the interface; `None` if it is another host's,
/// which `ip_rcv` would throw away (`PACKET_OTHERHOST`).
#[inline(always)]
fn addressed<P: Frame>(packet: &P, iface: &IfaceConfig) -> Option<u16> {
    const NOT_DIRECT: u16 = IfaceFlags::NOT_DIRECT as u16;
    if is_direct(packet, iface) {
        return Some(0);
    }
    let mac = packet.read::<6>(0)?;
    let further = iface.flags & IfaceFlags::MORE_MACS != 0;
    let is_own = mac[0] & 1 != 0
        || (further
            && maps::is_own_mac(&MacKey {
                ifindex: iface.index,
                mac,
                pad: [0; 2],
            }));
    is_own.then_some(NOT_DIRECT)
}

/// Picks out the packets that have no flow of their own.
#[inline(always)]
pub(crate) fn classify<P: Frame>(packet: &P, scratch: &mut Scratch) -> Next {
    let Some(config) = maps::config() else {
        return Next::End(End::drop(Reason::NoConfig));
    };
    let meta = &scratch.meta;
    // Also of neighbour discovery, before it is exempt (`nf_conntrack_icmpv6_error`).
    if config.checksum != 0
        && icmp::is_icmp(meta.family, meta.proto)
        && let Err(reason) = packet.verify(meta, &scratch.job)
    {
        return judge_error(reason);
    }
    if let Err((info, reason)) = track::admit(meta) {
        return judge(info, reason);
    }
    if icmp::is_icmp(meta.family, meta.proto) && inner::quotes(meta) {
        return related::judge(packet, scratch, config);
    }
    match meta.family {
        Family::V4 => Next::Track4,
        Family::V6 => Next::Track6,
    }
}

/// A packet in state `info` goes on to the ruleset.
#[inline(always)]
pub(crate) fn judge(info: CtInfo, reason: Reason) -> Next {
    if info == CtInfo::Invalid {
        maps::count(Counter::INVALID);
    }
    Next::Judge(info, reason)
}

/// So does an ICMP or ICMPv6 message that conntrack refuses to look at. It is INVALID, but
/// `conntrack -S` counts it as `error`.
#[inline(always)]
pub(crate) fn judge_error(reason: Reason) -> Next {
    maps::count(Counter::ERROR);
    Next::Judge(CtInfo::Invalid, reason)
}
