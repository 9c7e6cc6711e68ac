//! Keeping with a flow what the ruleset said of it, and knowing when that holds for another packet.
//!
//! A verdict is kept in the flow's leg under the ruleset's number, with the packet state that it was
//! found for, if the evaluation read nothing but what is constant for the flow. See
//! [`fw_common::ruleset`].

use fw_common::abi::{Active, Flow, Leg, PathKey};
use fw_common::ruleset::{Machine, Track, effect, field};
use fw_common::track::changed;
use fw_common::wire::Meta;
use fw_common::{CtInfo, Dir, Reason, Verdict, tcp};

use crate::counters::End;
use crate::events;
use crate::sys::entry::{Lock, Table};
use crate::sys::scratch::{Job, Place};
use crate::sys::{maps, ruleset, trails};

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
