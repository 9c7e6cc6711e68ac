//! From a parsed packet and its flow, if there is one, to the packet's state and what becomes of the
//! flow: the heart of conntrack (`nf_conntrack_in`), without maps and without a clock.

mod lasting;

pub use lasting::{is_lasting, prolong_tcp, prolong_udp};

use crate::abi::{Config, Flow};
use crate::ctinfo::{CtInfo, Dir};
use crate::timeout::Timeout;
use crate::verdict::Reason;
use crate::wire::{Family, Meta, meta_flags, proto};
use crate::{generic, gre, icmp, sctp, status, tcp, udp};

/// What a packet did to its flow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Outcome {
    /// The packet's state.
    pub info: CtInfo,
    /// What becomes of the entry.
    pub fate: Fate,
    /// Why, if the packet is INVALID; [`Reason::Accepted`] otherwise.
    pub reason: Reason,
    /// Bits of [`changed`]: what listeners want to hear of.
    pub changed: u8,
    /// The packet was counted (if flows are) and moved the state machine on: so will the rest of its
    /// datagram, if it is the first fragment of one.
    pub counted: bool,
}

/// Bits of [`Outcome::changed`], the causes of conntrack's UPDATE events. That an entry was made, and
/// that it was removed, is known from [`open`] and from [`Fate`].
pub mod changed {
    /// First packet in reply direction (`IPCT_REPLY`).
    pub const REPLY: u8 = 1 << 0;
    /// The flow became ASSURED (`IPCT_ASSURED`).
    pub const ASSURED: u8 = 1 << 1;
    /// The protocol's state is another (`IPCT_PROTOINFO`).
    pub const STATE: u8 = 1 << 2;
    /// The mark is another (`IPCT_MARK`).
    pub const MARK: u8 = 1 << 3;
    /// All of these: a change by hand says what the flow now is, not what of it is new.
    pub const ALL: u8 = REPLY | ASSURED | STATE | MARK;
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
    /// Accepted: the timeout is refreshed, the packet counted.
    Accept {
        /// New timeout in ticks.
        timeout: u64,
        /// The flow is ASSURED from now on, if it was not before.
        assured: bool,
    },
    /// Accepted, and it may be the first reply; but no refresh, no accounting.
    Ignore,
    /// Accepted and counted; the entry is removed.
    Remove,
    /// The packet reopens a dead connection: remove the entry and begin anew.
    Reopen,
    /// Not acceptable in this state.
    Invalid {
        /// Why.
        reason: Reason,
        /// Ticks that the entry may live on at most, if it has long to live; `u64::MAX`: no limit.
        cut: u64,
    },
}

impl Step {
    /// Not acceptable, and without effect on the entry.
    #[must_use]
    #[inline(always)]
    pub const fn invalid(reason: Reason) -> Self {
        Self::Invalid {
            reason,
            cut: u64::MAX,
        }
    }
}

/// Next header 59: nothing follows (RFC 8200 §4.7).
const NO_NEXT_HEADER: u8 = 59;

/// Length of IPv6's fragment header (RFC 8200 §4.5).
const FRAGMENT_HEADER_LEN: u16 = 8;

/// An entry with less than this to live, seconds, is not cut short (`nf_tcp_handle_invalid`).
const LONG_LIFE: u64 = 120;

/// Whether a packet may be tracked at all.
///
/// # Errors
/// `Err(CtInfo::Untracked, _)` for neighbour discovery and MLD; `Err(CtInfo::Invalid, _)` for what
/// has no business in a flow: IPv6 without a payload, the other family's ICMP. What happens to later
/// fragments, whose ports are unknown, is up to the caller.
#[inline(always)]
pub fn admit(meta: &Meta) -> Result<(), (CtInfo, Reason)> {
    let v6 = meta.family == Family::V6;
    if v6 && meta.proto == proto::ICMPV6 && icmp::is_exempt(meta.icmp_type) {
        return Err((CtInfo::Untracked, Reason::Untracked));
    }
    let foreign = if v6 { proto::ICMP } else { proto::ICMPV6 };
    if meta.proto == foreign || (v6 && meta.proto == NO_NEXT_HEADER) {
        return Err((CtInfo::Invalid, Reason::NoTransport));
    }
    Ok(())
}

/// Fills a fresh entry for the first packet of a flow. The caller inserts it once the rules have
/// accepted the packet, and has set `origin`, `id` and the leg's interface. The packet is NEW.
///
/// # Errors
/// The [`Reason`] why this packet may not start a flow: it is INVALID.
#[inline(always)]
pub fn open(flow: &mut Flow, meta: &Meta, config: &Config, now: u64) -> Result<(), Reason> {
    match meta.proto {
        proto::SCTP => open_sctp(flow, meta, config, now),
        _ => open_other(flow, meta, config, now),
    }
}

/// [`open`], of a packet that is no SCTP. A BPF program has the two in functions of their own.
///
/// # Errors
/// As [`open`].
#[inline(always)]
pub fn open_other(flow: &mut Flow, meta: &Meta, config: &Config, now: u64) -> Result<(), Reason> {
    create(flow, now);
    let step = first_step(flow, meta, config)?;
    complete(flow, meta, config, step)
}

/// [`open`], of an SCTP packet.
///
/// # Errors
/// As [`open`].
#[inline(always)]
pub fn open_sctp(flow: &mut Flow, meta: &Meta, config: &Config, now: u64) -> Result<(), Reason> {
    create(flow, now);
    sctp::begin(flow, &meta.sctp)?;
    let step = sctp::step(flow, Dir::Original, &meta.sctp, config, true);
    complete(flow, meta, config, step)
}

#[inline(always)]
const fn create(flow: &mut Flow, now: u64) {
    flow.start = now;
    flow.status = status::CONFIRMED;
}

/// What the state machine's `step` makes of a fresh entry.
#[inline(always)]
fn complete(flow: &mut Flow, meta: &Meta, config: &Config, step: Step) -> Result<(), Reason> {
    match step {
        Step::Accept { timeout, .. } => flow.deadline = flow.start.wrapping_add(timeout),
        Step::Invalid { reason, .. } => return Err(reason),
        // No state machine says this of a first packet.
        Step::Ignore | Step::Remove | Step::Reopen => return Err(Reason::BadTcpState),
    }
    count(flow, Dir::Original, counted_length(meta), config);
    Ok(())
}

#[inline(always)]
fn first_step(flow: &mut Flow, meta: &Meta, config: &Config) -> Result<Step, Reason> {
    if meta.proto == proto::TCP {
        return tcp::open(flow, &meta.tcp, config);
    }
    if icmp::is_icmp(meta.family, meta.proto) {
        icmp::may_open(meta.family, meta.icmp_type)?;
    }
    Ok(step(flow, Dir::Original, meta, config, flow.start))
}

/// Advances an existing, live entry by one packet in direction `dir`.
#[inline(always)]
pub fn advance(flow: &mut Flow, dir: Dir, meta: &Meta, config: &Config, now: u64) -> Outcome {
    match meta.proto {
        proto::SCTP => advance_sctp(flow, dir, meta, config, now),
        _ => advance_other(flow, dir, meta, config, now),
    }
}

/// [`advance`], of a flow that is no SCTP association.
#[inline(always)]
pub fn advance_other(flow: &mut Flow, dir: Dir, meta: &Meta, config: &Config, now: u64) -> Outcome {
    move_on(flow, dir, meta, config, now, |flow| {
        step(flow, dir, meta, config, now)
    })
}

/// [`advance`], of an SCTP association.
#[inline(always)]
pub fn advance_sctp(flow: &mut Flow, dir: Dir, meta: &Meta, config: &Config, now: u64) -> Outcome {
    move_on(flow, dir, meta, config, now, |flow| {
        sctp::step(flow, dir, &meta.sctp, config, false)
    })
}

#[inline(always)]
fn move_on(
    flow: &mut Flow,
    dir: Dir,
    meta: &Meta,
    config: &Config,
    now: u64,
    step: impl FnOnce(&mut Flow) -> Step,
) -> Outcome {
    let before = flow.status;
    let state = flow.proto.state;
    let mut outcome = Outcome {
        info: CtInfo::of_flow(dir, before & status::SEEN_REPLY != 0),
        fate: Fate::Keep,
        reason: Reason::Accepted,
        changed: 0,
        counted: false,
    };
    match step(flow) {
        // SCTP's state may have changed all the same: by the chunks before the wrong one.
        Step::Invalid { reason, cut } => {
            cut_short(flow, config, now, cut);
            outcome.info = CtInfo::Invalid;
            outcome.reason = reason;
        }
        Step::Reopen => {
            outcome.fate = Fate::Reopen;
            return outcome;
        }
        // Its reply, if it is one, ends the flow unanswered.
        Step::Remove => {
            count(flow, dir, counted_length(meta), config);
            outcome.fate = Fate::Remove;
            return outcome;
        }
        Step::Ignore => {}
        Step::Accept { timeout, assured } => {
            refresh(flow, now.wrapping_add(timeout));
            count(flow, dir, counted_length(meta), config);
            outcome.counted = true;
            if assured && before & status::ASSURED == 0 {
                flow.status |= status::ASSURED;
            }
        }
    }
    if flow.status & !before & status::ASSURED != 0 {
        outcome.fate = Fate::Promote;
        outcome.changed = changed::ASSURED;
    }
    // After the state machine: it must still see the first reply as the first.
    let accepted = outcome.info != CtInfo::Invalid;
    if accepted && dir == Dir::Reply && before & status::SEEN_REPLY == 0 {
        flow.status |= status::SEEN_REPLY;
        outcome.changed |= changed::REPLY;
    }
    if flow.proto.state != state {
        outcome.changed |= changed::STATE;
    }
    outcome
}

#[inline(always)]
fn step(flow: &mut Flow, dir: Dir, meta: &Meta, config: &Config, now: u64) -> Step {
    match meta.proto {
        proto::TCP => tcp::step(flow, dir, &meta.tcp, config),
        proto::UDP => udp::step(flow, config, now),
        proto::UDPLITE => udp::lite_step(flow, config),
        proto::GRE => gre::step(flow, config),
        p if icmp::is_icmp(meta.family, p) => icmp::step(meta.family, config),
        _ => generic::step(config),
    }
}

/// The timeout in ticks that a flow's last packet gave it, as far as the entry tells: at its deadline,
/// nothing was heard of it for so long.
#[must_use]
pub fn lifetime(flow: &Flow, family: Family, protocol: u8, config: &Config) -> u64 {
    let stream = flow.status & status::ASSURED != 0;
    let pick = |short, long| config.timeout(if stream { long } else { short });
    match protocol {
        proto::TCP => tcp::lifetime(flow, config),
        proto::UDP | proto::UDPLITE => pick(Timeout::Udp, Timeout::UdpStream),
        proto::SCTP => {
            let state = sctp::State::from_u8(flow.proto.state).unwrap_or_default();
            config.timeout(state.timeout())
        }
        proto::GRE => pick(Timeout::Gre, Timeout::GreStream),
        p if icmp::is_icmp(family, p) => match family {
            Family::V4 => config.timeout(Timeout::Icmp),
            Family::V6 => config.timeout(Timeout::Icmpv6),
        },
        _ => config.timeout(Timeout::Generic),
    }
}

/// Whether the packet is of the kind that begins, ends or reopens a connection: a forged one with a
/// wrong checksum would do so here, but not at its destination. Others only refresh what is there, and
/// are not worth a walk through all their bytes.
#[must_use]
#[inline(always)]
pub const fn changes_state(meta: &Meta) -> bool {
    use tcp::header::{FIN, RST, SYN};
    match meta.proto {
        proto::TCP => meta.tcp.flags & (SYN | FIN | RST) != 0,
        proto::SCTP => meta.sctp.events != 0,
        _ => false,
    }
}

/// Sets a new deadline, in ticks.
#[inline(always)]
fn refresh(flow: &mut Flow, deadline: u64) {
    // A line that is not written stays shared between the CPUs.
    if flow.deadline != deadline && flow.status & status::FIXED_TIMEOUT == 0 {
        flow.deadline = deadline;
    }
}

/// Leaves an entry that has long to live at most `cut` ticks.
#[inline(always)]
fn cut_short(flow: &mut Flow, config: &Config, now: u64, cut: u64) {
    let left = flow.deadline.saturating_sub(now);
    if left > cut && left >= LONG_LIFE * u64::from(config.hz) {
        flow.deadline = now.wrapping_add(cut);
    }
}

#[inline(always)]
fn count(flow: &mut Flow, dir: Dir, len: u64, config: &Config) {
    if config.accounting != 0 {
        let leg = &mut flow.legs[dir.index() & 1];
        leg.packets = leg.packets.wrapping_add(1);
        leg.bytes = leg.bytes.wrapping_add(len);
    }
}

/// Bytes that a packet counts for. The kernel puts datagrams together before it counts, even if there is
/// but one fragment (`nf_ct_frag6_gather`): IPv6's fragment header is no part of them, unless nothing
/// follows it.
#[inline(always)]
fn counted_length(meta: &Meta) -> u64 {
    let header = if meta.flags & meta_flags::FRAGMENT_HEADER != 0 && meta.l4_len != 0 {
        FRAGMENT_HEADER_LEN
    } else {
        0
    };
    u64::from(meta.l3_len.wrapping_sub(header))
}
