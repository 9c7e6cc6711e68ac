//! From a parsed packet and its flow, if there is one, to the packet's state and what becomes of the
//! flow: the heart of conntrack (`nf_conntrack_in`), without maps and without a clock.

use crate::abi::{Config, Flow};
use crate::ctinfo::{CtInfo, Dir};
use crate::verdict::Reason;
use crate::wire::{Family, Meta, proto};
use crate::{generic, gre, icmp, status, tcp, udp};

/// What a packet did to its flow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Outcome {
    /// The packet's state.
    pub info: CtInfo,
    /// What becomes of the entry.
    pub fate: Fate,
    /// Why, if the packet is INVALID; [`Reason::Accepted`] otherwise.
    pub reason: Reason,
}

/// What becomes of a flow's entry after a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Fate {
    /// It stays where it is.
    Keep = 0,
    /// It has just become ASSURED: it moves to the assured map.
    Promote = 1,
    /// It is removed (an unanswered connection was reset).
    Remove = 2,
    /// It is removed, and the packet starts a new flow (a connection is reopened).
    Reopen = 3,
}

/// What a protocol's state machine says of a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// Accepted: refresh the timeout to `ticks`, count the packet.
    Accept {
        /// New timeout in ticks.
        timeout: u64,
        /// The flow is ASSURED from now on (or was already).
        assured: bool,
    },
    /// Accepted, but nothing else changes: no refresh, no accounting.
    Ignore,
    /// Accepted; the entry is removed.
    Remove,
    /// The packet reopens a dead connection: remove the entry and begin anew.
    Reopen,
    /// Not acceptable in this state.
    Invalid(Reason),
}

/// Whether a packet may be tracked at all.
///
/// # Errors
/// `Err(CtInfo::Untracked, _)` for neighbour discovery and MLD; `Err(CtInfo::Invalid, _)` for what
/// has no business in a flow.
#[inline(always)]
pub fn admit(meta: &Meta) -> Result<(), (CtInfo, Reason)> {
    if meta.family == Family::V6 && meta.proto == proto::ICMPV6 && icmp::is_exempt(meta.icmp_type) {
        return Err((CtInfo::Untracked, Reason::Untracked));
    }
    Ok(())
}

/// Fills a fresh entry for the first packet of a flow. The caller inserts it once the rules have
/// accepted the packet, and has set `origin`, `id` and the leg's interface.
///
/// # Errors
/// The [`Reason`] why this packet may not start a flow: it is INVALID.
#[inline(always)]
pub fn open(flow: &mut Flow, meta: &Meta, config: &Config, now: u64) -> Result<(), Reason> {
    flow.start = now;
    flow.status = status::CONFIRMED;
    let step = first_step(flow, meta, config)?;
    if let Step::Accept { timeout, .. } = step {
        flow.deadline = now + timeout;
    }
    count(flow, Dir::Original, meta, config);
    Ok(())
}

#[inline(always)]
fn first_step(flow: &mut Flow, meta: &Meta, config: &Config) -> Result<Step, Reason> {
    match meta.proto {
        proto::TCP => tcp::open(flow, &meta.tcp, config),
        _ => Ok(step(flow, Dir::Original, meta, config, flow.start)),
    }
}

/// Advances an existing, live entry by one packet in direction `dir`.
#[inline(always)]
pub fn advance(flow: &mut Flow, dir: Dir, meta: &Meta, config: &Config, now: u64) -> Outcome {
    let info = CtInfo::of_flow(dir, flow.status & status::SEEN_REPLY != 0);
    let was_assured = flow.status & status::ASSURED != 0;
    let fate = match step(flow, dir, meta, config, now) {
        Step::Invalid(reason) => {
            return Outcome {
                info: CtInfo::Invalid,
                fate: Fate::Keep,
                reason,
            };
        }
        Step::Reopen => {
            return Outcome {
                info,
                fate: Fate::Reopen,
                reason: Reason::Accepted,
            };
        }
        Step::Remove => Fate::Remove,
        Step::Ignore => Fate::Keep,
        Step::Accept { timeout, assured } => {
            let deadline = now + timeout;
            // A line that is not written stays shared between the CPUs.
            if flow.deadline != deadline && flow.status & status::FIXED_TIMEOUT == 0 {
                flow.deadline = deadline;
            }
            count(flow, dir, meta, config);
            if assured && !was_assured {
                flow.status |= status::ASSURED;
                Fate::Promote
            } else {
                Fate::Keep
            }
        }
    };
    // After the state machine: it must still see the first reply as the first.
    if dir == Dir::Reply && flow.status & status::SEEN_REPLY == 0 {
        flow.status |= status::SEEN_REPLY;
    }
    Outcome {
        info,
        fate,
        reason: Reason::Accepted,
    }
}

#[inline(always)]
fn step(flow: &mut Flow, dir: Dir, meta: &Meta, config: &Config, now: u64) -> Step {
    match (meta.family, meta.proto) {
        (_, proto::TCP) => tcp::step(flow, dir, &meta.tcp, config),
        (_, proto::UDP) => udp::step(flow, config, now),
        (_, proto::UDPLITE) => udp::lite_step(flow, config),
        (_, proto::GRE) => gre::step(flow, config),
        (family, p) if icmp::is_icmp(family, p) => icmp::step(family, config),
        _ => generic::step(config),
    }
}

#[inline(always)]
fn count(flow: &mut Flow, dir: Dir, meta: &Meta, config: &Config) {
    if config.accounting != 0 {
        let leg = &mut flow.legs[dir.index()];
        leg.packets += 1;
        leg.bytes += u64::from(meta.l3_len);
    }
}
