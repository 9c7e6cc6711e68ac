//! What the ruleset says of a packet. What of it holds for others of its flow is kept by [`crate::kept`].

use fw_common::abi::{Active, Config, needs};
use fw_common::route::Kind;
use fw_common::ruleset::{Entry, Outcome, effect, field, reject};
use fw_common::wire::{Family, Tags};
use fw_common::{CtInfo, Reason, Verdict, policy};

use crate::counters::End;
use crate::sys::ruleset;
use crate::sys::scratch::{Hook, Scratch};
use crate::sys::subprogram::Frame;

/// What the chains before conntrack say: the packet's end, or whether conntrack is to look at it.
#[inline(always)]
pub(crate) fn early<P: Frame>(packet: &P, scratch: &mut Scratch) -> Result<bool, End> {
    let entry = match P::HOOK {
        Hook::Ingress => Entry::Early,
        Hook::Egress => Entry::EarlyOutput,
    };
    let Some(pc) = begin(scratch, entry) else {
        return Ok(true);
    };
    inform(packet, scratch);
    if asks(scratch, needs::ROUTE) {
        packet.route(&scratch.meta, &mut scratch.way, scratch.job.came_in_by);
        scratch.machine.facts.goes(scratch.way.route.kind);
    }
    let end = walk(scratch, pc, Reason::Accepted);
    let marks = asks(scratch, needs::EARLY_MARK);
    scratch.machine.end_early(marks);
    match end.verdict {
        Verdict::Pass => Ok(!scratch.machine.has(effect::NOTRACK)),
        Verdict::Drop => Err(end),
    }
}

/// Whether there are rules for packets like this one before conntrack.
#[inline(always)]
pub(crate) fn are_early(active: Active, family: Family) -> bool {
    active.is_early(family == Family::V6)
}

/// The verdict on a packet in state `info`; `reason` says why it is INVALID, if it is.
#[inline(always)]
pub(crate) fn judge<P: Frame>(
    packet: &P,
    scratch: &mut Scratch,
    (info, reason): (CtInfo, Reason),
    config: &Config,
) -> End {
    let (verdict, reason) = policy::decide(info, reason, config);
    if verdict == Verdict::Drop || Active(scratch.job.rules).epoch() == 0 {
        return End { verdict, reason };
    }
    inform(packet, scratch);
    scratch.machine.facts.state(info);
    if scratch.way.route.is_forwarded()
        && are_links_asked(scratch)
        && let Some(link) = ruleset::link(scratch.way.route.oif, 0)
    {
        scratch.machine.facts.routed_to(link);
        let needed = ruleset::head(Active(scratch.job.rules)).map_or(0, |head| head.needs);
        if needed & needs::TYPE_OUT != 0 {
            packet.ask(scratch, needed & (needs::SADDR_TYPE | needs::DADDR_TYPE));
        }
    }
    match hook(P::HOOK, scratch) {
        Some(entry) => enter(scratch, entry, reason),
        // Nobody knows whether it is for the router or goes through: it has to pass as either.
        None => match enter(scratch, Entry::Input, reason) {
            end if end.verdict == Verdict::Pass => enter(scratch, Entry::Forward, reason),
            end => end,
        },
    }
}

/// Facts of the packet, as far as the ruleset asks for them.
#[inline(always)]
fn inform<P: Frame>(packet: &P, scratch: &mut Scratch) {
    packet.note(scratch);
    let needed = ruleset::head(Active(scratch.job.rules)).map_or(0, |head| head.needs);
    if needed & needs::ASKED != 0 && !scratch.machine.facts.is_asked() {
        packet.ask(scratch, needed);
    }
}

/// The hook that the packet gets to after conntrack; `None` if that is not known.
#[inline(always)]
fn hook(hook: Hook, scratch: &Scratch) -> Option<Entry> {
    let route = &scratch.way.route;
    match (hook, route.kind) {
        (Hook::Egress, _) => Some(Entry::Output),
        _ if route.lost(scratch.meta.ttl).is_some() => Some(Entry::Prerouting),
        (_, Kind::Local) => Some(Entry::Input),
        (_, Kind::Unknown) => None,
        _ => Some(Entry::Forward),
    }
}

/// Evaluates the chains of a hook.
#[inline(always)]
fn enter(scratch: &mut Scratch, entry: Entry, reason: Reason) -> End {
    match begin(scratch, entry) {
        Some(pc) => walk(scratch, pc, reason),
        None => End {
            verdict: Verdict::Pass,
            reason,
        },
    }
}

/// The instruction at which a packet enters; `None` if there are no chains for it.
#[inline(always)]
fn begin(scratch: &Scratch, entry: Entry) -> Option<u32> {
    let active = Active(scratch.job.rules);
    if active.epoch() == 0 {
        return None;
    }
    ruleset::entry(active, entry, scratch.meta.family == Family::V6)
}

/// Evaluates from instruction `pc` to the end.
#[inline(always)]
fn walk(scratch: &mut Scratch, pc: u32, reason: Reason) -> End {
    const ACCEPT: u64 = Outcome::Accept as u64;
    const DROP: u64 = Outcome::Drop as u64;
    const REJECT: u64 = Outcome::Reject as u64;
    const UNANSWERED: u64 = Outcome::Unanswered as u64;
    scratch.machine.enter(pc);
    match ruleset::walk(scratch) {
        // Of rules that asked for its interface none may have got an answer.
        ACCEPT if scratch.job.unknown != 0 && !ruleset::is_guarded(scratch) => {
            refuse(scratch, Reason::UnknownInterface)
        }
        ACCEPT => End {
            verdict: Verdict::Pass,
            reason,
        },
        DROP => refuse(scratch, Reason::Policy),
        REJECT => refuse(scratch, Reason::Rejected),
        UNANSWERED => End::drop(Reason::RouteUnknown),
        _ => End::drop(Reason::BrokenRuleset),
    }
}

/// Whether the ruleset asks for that ([`needs`]).
#[inline(always)]
fn asks(scratch: &Scratch, need: u32) -> bool {
    ruleset::head(Active(scratch.job.rules)).is_some_and(|head| head.needs & need != 0)
}

/// Whether rules decide by which interfaces packets come in and leave, or by what the routing tables say of them.
#[inline(always)]
pub(crate) fn ask_of_ways(scratch: &Scratch) -> bool {
    Active(scratch.job.rules).epoch() != 0 && !asks(scratch, needs::NO_WAYS)
}

/// Whether anybody asks of the interfaces.
#[inline(always)]
fn are_links_asked(scratch: &Scratch) -> bool {
    scratch.trace.on != 0 || !asks(scratch, needs::NO_LINKS)
}

/// The end of a packet that the ruleset drops, unless that is only to be observed: then each packet is
/// judged anew, so that each is counted as what it is.
#[inline(always)]
fn refuse(scratch: &mut Scratch, reason: Reason) -> End {
    if asks(scratch, needs::OBSERVE) {
        scratch.machine.effects |= effect::VOLATILE;
        return End {
            verdict: Verdict::Pass,
            reason: Reason::Observed,
        };
    }
    if let Reason::Rejected = reason
        && reject::resets(&scratch.meta, scratch.machine.code)
    {
        scratch.machine.effects |= effect::RESET;
    }
    End::drop(reason)
}

/// Facts of every packet, whatever conntrack says of it. (Once, for all hooks.)
#[inline(always)]
pub(crate) fn note<P: Frame>(packet: &P, scratch: &mut Scratch) {
    let are_links_asked = are_links_asked(scratch);
    let Scratch {
        meta, machine, job, ..
    } = scratch;
    if machine.facts.is_read() {
        return;
    }
    let ingress = matches!(P::HOOK, Hook::Ingress);
    machine.facts.read(packet, meta, ingress);
    // Before conntrack: what has no flow yet is what `ct state invalid` matches (`nft_ct_get_eval`).
    machine.facts.state(CtInfo::Invalid);
    machine.facts.set(field::PORT, job.port);
    machine.facts.set(field::BANK, Active(job.rules).bank());
    if !are_links_asked {
        return;
    }
    // Of frames with another tag or a second one nobody knows the interface.
    let vlan = match Tags::of(packet, meta) {
        Tags::None | Tags::Priority => 0,
        Tags::One(id) => id,
        _ => return,
    };
    let Some(link) = ruleset::link(job.port, vlan) else {
        return;
    };
    if ingress {
        machine.facts.came_in_by(link);
    } else {
        machine.facts.leaves_by(link);
    }
}
