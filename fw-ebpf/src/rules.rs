//! What the ruleset says of a packet, and keeping it with the packet's flow.
//!
//! A verdict is kept in the flow's leg under the ruleset's number, with the packet state that it was
//! found for, if the evaluation read nothing but what is constant for the flow. See
//! [`fw_common::ruleset`].

use fw_common::abi::{Active, Config, Flow, Leg, PathKey, needs};
use fw_common::route::Kind;
use fw_common::ruleset::{Entry, Machine, Outcome, Track, effect, field, reject};
use fw_common::track::changed;
use fw_common::wire::{Family, Meta, Tags};
use fw_common::{CtInfo, Dir, Reason, Verdict, policy, tcp};

use crate::counters::End;
use crate::events;
use crate::sys::entry::{Lock, Table};
use crate::sys::maps;
use crate::sys::scratch::{Hook, Job, Place, Scratch};
use crate::sys::subprogram::Frame;
use crate::sys::{ruleset, trails};

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

/// The end that is kept for packets like this one, which is counted on its path.
#[inline(always)]
pub(crate) fn recall(flow: &Flow, dir: Dir, info: CtInfo, job: &Job, meta: &Meta) -> Option<End> {
    let leg = &flow.legs[dir.index() & 1];
    let circumstances = (Active(job.rules).epoch(), job.routes, job.came_in_by);
    if job.odd != 0 || !is_kept(leg, info, circumstances) {
        return None;
    }
    trails::count_path(Active(job.rules), leg.path, meta.l3_len, job.now);
    Some(if leg.verdict == 0 {
        End {
            verdict: Verdict::Pass,
            reason: Reason::Accepted,
        }
    } else {
        End::drop(Reason::Policy)
    })
}

/// Whether what is kept in `leg` holds for a packet in state `info`: it was found by the ruleset in force (`epoch`) and
/// [`is_found_for`] such a packet. Nothing is kept without a ruleset, or without a word of the daemon about the routes.
#[inline(always)]
fn is_kept(leg: &Leg, info: CtInfo, (epoch, routes, came_in_by): (u32, u32, u32)) -> bool {
    leg.rule_gen == epoch
        && is_found_for(leg, info, routes, came_in_by)
        && epoch != 0
        && routes != 0
}

/// Whether the verdict in `leg` was found for packets in state `info`, with these routes and on the way in by interface
/// `came_in_by`: the rules may have asked for all of that.
#[inline(always)]
pub(crate) fn is_found_for(leg: &Leg, info: CtInfo, routes: u32, came_in_by: u32) -> bool {
    leg.rule_route == routes && leg.ifindex == came_in_by && leg.state == info as u8
}

/// Notes the flow that a packet belongs to: facts for the rules, and where to keep the verdict.
#[inline(always)]
pub(crate) fn note_flow(
    flow: &Flow,
    dir: Dir,
    info: CtInfo,
    meta: &Meta,
    (machine, job): (&mut Machine, &mut Job),
    hz: u32,
) {
    if Active(job.rules).epoch() == 0 {
        return;
    }
    job.leg = dir.index() as u8 + 1;
    job.info = info as u8;
    let track = Track {
        flow,
        dir,
        zone: job.zone,
        now: job.now,
        hz,
    };
    machine.facts.track(meta, &track);
}

/// What is to be kept of an evaluation.
#[derive(Clone, Copy)]
struct Kept {
    epoch: u32,
    /// The path, if the verdict may be kept.
    path: Option<u16>,
}

#[inline(always)]
fn kept(machine: &Machine, job: &Job) -> Kept {
    let active = Active(job.rules);
    let path = if machine.is_constant() && job.odd == 0 {
        let key = PathKey {
            trail: machine.trail,
            bank: active.bank(),
        };
        trails::path(active, &key, u32::from(job.came_in_by == 0)).map(|number| number as u16)
    } else {
        None
    };
    Kept {
        epoch: active.epoch(),
        path,
    }
}

/// Keeps mark and verdict in an entry that is ours alone.
#[inline(always)]
pub(crate) fn keep(flow: &mut Flow, machine: &Machine, job: &Job, verdict: Verdict) {
    let mark = machine.facts.get(field::CT_MARK);
    if machine.has(effect::CT_MARK) {
        flow.mark = mark;
        // What was concluded from the old mark does not hold.
        flow.legs[0].rule_gen = 0;
        flow.legs[1].rule_gen = 0;
        return;
    }
    let Kept { epoch, path } = kept(machine, job);
    let Some(path) = path else {
        return;
    };
    let index = usize::from(job.leg.wrapping_sub(1)) & 1;
    let leg = &mut flow.legs[index];
    // Another packet may have changed what this one read before it was judged.
    if flow.mark == mark && leg.ifindex == job.came_in_by {
        leg.rule_gen = epoch;
        leg.rule_route = job.routes;
        leg.verdict = verdict as u8;
        leg.state = job.info;
        leg.path = path;
    }
}

/// Notes what let in the flow that is ready, if that was a rule.
#[inline(always)]
pub(crate) fn note_rule(flow: &mut Flow, machine: &Machine, job: &Job) {
    let leg = &mut flow.legs[0];
    if machine.accepted != 0
        && let Some(head) = ruleset::head(Active(job.rules))
    {
        leg.ruled_by = machine.accepted;
        leg.ruled_in = head.generation;
    }
}

/// Whether an evaluation leaves anything to keep with a flow that has an entry.
#[inline(always)]
pub(crate) fn is_to_keep(machine: &Machine, job: &Job) -> bool {
    let changes = machine.has(effect::CT_MARK | effect::RESET);
    job.leg != 0 && (changes || (job.odd == 0 && machine.is_constant()))
}

/// [`keep`] in the entry of a known flow, if it is still there. False: it has a new mark, which could not be noted, and by
/// which rules may judge the packets to come.
#[inline(always)]
pub(crate) fn keep_known<K: Table>(
    place: &Place<K>,
    machine: &Machine,
    job: &Job,
    verdict: Verdict,
) -> bool {
    let Some(mut entry) = place.key.find() else {
        return true;
    };
    let mut lock = entry.lock(place.key.tag());
    if lock == Lock::Gone {
        // It was just moved among the assured.
        let Some(moved) = place.key.find() else {
            return true;
        };
        entry = moved;
        lock = entry.lock(place.key.tag());
    }
    if lock != Lock::Taken {
        return !machine.has(effect::CT_MARK);
    }
    let flow = entry.flow();
    let before = flow.mark;
    keep(flow, machine, job, verdict);
    let mut changed = if flow.mark == before {
        0
    } else {
        changed::MARK
    };
    if machine.has(effect::RESET)
        && let Some(config) = maps::config()
        && tcp::close(flow, config, job.now)
    {
        changed |= changed::STATE;
    }
    events::ruled(&place.key, flow, changed, job.now);
    entry.unlock();
    true
}
