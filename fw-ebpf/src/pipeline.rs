//! The way of one packet, the same at both hooks: parse, find the flow, advance it, decide.

use fw_common::abi::{Config, Counter, IfaceConfig, IfaceFlags, MacKey};
use fw_common::route::Route;
use fw_common::verdict::Kind;
use fw_common::wire::{Family, Fragment, Meta, inner};
use fw_common::{CtInfo, Reason, Verdict, icmp, policy, track};

use crate::clock;
use crate::counters::End;
use crate::related;
use crate::sys::maps::{self, Hook, Job, Scratch};
use crate::sys::subprogram::Frame;

/// Takes a packet from its first byte to its verdict. `ifindex` is the NIC of the hook.
#[inline(always)]
pub(crate) fn filter<P: Frame>(packet: &P, hook: Hook, ifindex: u32) -> End {
    let Some(scratch) = maps::scratch(hook) else {
        return End::drop(Reason::NoConfig);
    };
    let end = match packet.prepare(scratch, ifindex) {
        Next::End(end) => end,
        Next::Track4 => packet.track4(scratch),
        Next::Track6 => packet.track6(scratch),
    };
    // The kernel throws it away, and answers: it passes, but for this reason.
    match scratch.way.route.lost(scratch.meta.ttl) {
        Some(reason) if end.verdict == Verdict::Pass => End::pass(reason),
        _ => end,
    }
}

/// How a packet goes on after its headers.
pub(crate) enum Next {
    /// Not at all.
    End(End),
    /// To the IPv4 flows.
    Track4,
    /// To the IPv6 flows.
    Track6,
}

/// Everything before the flow table: parsing, and what needs no entry of its own.
#[inline(always)]
pub(crate) fn prepare<P: Frame>(packet: &P, scratch: &mut Scratch, ifindex: u32) -> Next {
    scratch.way.route = Route::default();
    let Some(config) = maps::config() else {
        return Next::End(End::drop(Reason::NoConfig));
    };
    let Some(iface) = maps::iface(ifindex) else {
        return Next::End(End::drop(Reason::UnknownInterface));
    };
    if let Err(reason) = packet.parse(&mut scratch.meta) {
        return Next::End(refused(reason, P::HOOK, &scratch.meta, config));
    }
    let came_in_by = match P::HOOK {
        Hook::Ingress if !is_for_us(packet, &iface, ifindex) => {
            return Next::End(End::drop(Reason::OtherHost));
        }
        Hook::Ingress => ifindex,
        Hook::Egress => 0,
    };
    let local_peer = u16::from(iface.flags & IfaceFlags::LOCAL_PEER != 0);
    scratch.job = Job {
        now: clock::now(),
        came_in_by,
        zone: iface.zone,
        local_peer,
    };
    if scratch.meta.ttl <= 1 {
        packet.route(&scratch.meta, &mut scratch.way, came_in_by);
    }
    exempt_or_related(packet, scratch, config)
}

/// The end of a packet whose headers make no sense.
#[inline(always)]
fn refused(reason: Reason, hook: Hook, meta: &Meta, config: &Config) -> End {
    match (reason.kind(), hook) {
        (Kind::Pass, _) => End {
            verdict: Verdict::Pass,
            reason,
        },
        (Kind::Drop, Hook::Ingress) => End::drop(reason),
        (Kind::Invalid, _) if icmp::is_icmp(meta.family, meta.proto) => judge_error(reason, config),
        // The host's own: its stack made it, the policy decides.
        (Kind::Drop, Hook::Egress) | (Kind::Invalid, _) => judge(CtInfo::Invalid, reason, config),
    }
}

/// Whether the frame is addressed to the router, as `ip_rcv` demands (`PACKET_OTHERHOST`).
#[inline(always)]
fn is_for_us<P: Frame>(packet: &P, iface: &IfaceConfig, ifindex: u32) -> bool {
    if iface.flags & IfaceFlags::CHECK_MAC == 0 {
        return true;
    }
    let Some(mac) = packet.read::<6>(0) else {
        return false;
    };
    let group = mac[0] & 1 != 0;
    let further = iface.flags & IfaceFlags::MORE_MACS != 0;
    group
        || mac == iface.mac
        || (further
            && maps::is_own_mac(&MacKey {
                ifindex,
                mac,
                pad: [0; 2],
            }))
}

/// Picks out the packets that have no flow of their own.
#[inline(always)]
fn exempt_or_related<P: Frame>(packet: &P, scratch: &mut Scratch, config: &Config) -> Next {
    let meta = &scratch.meta;
    if meta.fragment == Fragment::Later {
        return Next::End(End {
            verdict: Verdict::Pass,
            reason: Reason::Fragment,
        });
    }
    if let Err((info, reason)) = track::admit(meta) {
        return Next::End(judge(info, reason, config));
    }
    if config.checksum != 0
        && icmp::is_icmp(meta.family, meta.proto)
        && let Err(reason) = packet.verify(meta, &scratch.job)
    {
        return Next::End(judge_error(reason, config));
    }
    if icmp::is_icmp(meta.family, meta.proto) && inner::quotes(meta) {
        return Next::End(related::judge(packet, scratch, config));
    }
    match meta.family {
        Family::V4 => Next::Track4,
        Family::V6 => Next::Track6,
    }
}

/// The end of a packet in state `info`: counted, and judged by the policy.
#[inline(always)]
pub(crate) fn judge(info: CtInfo, reason: Reason, config: &Config) -> End {
    if info == CtInfo::Invalid {
        maps::count(Counter::INVALID);
    }
    conclude(info, reason, config)
}

/// The end of an ICMP or ICMPv6 message that conntrack refuses to look at. It is INVALID, but
/// `conntrack -S` counts it as `error`.
#[inline(always)]
pub(crate) fn judge_error(reason: Reason, config: &Config) -> End {
    maps::count(Counter::ERROR);
    conclude(CtInfo::Invalid, reason, config)
}

#[inline(always)]
fn conclude(info: CtInfo, reason: Reason, config: &Config) -> End {
    maps::count(Counter::of_state(info));
    decide(info, reason, config)
}

/// The policy's answer alone: for a packet whose state may yet turn out to be another.
#[inline(always)]
pub(crate) fn decide(info: CtInfo, reason: Reason, config: &Config) -> End {
    let (verdict, reason) = policy::decide(info, reason, config);
    End { verdict, reason }
}
