//! TCP as a middle box sees it: nf_conntrack's state machine.
//!
//! A segment goes through these steps, each of which may be the last:
//!
//! 1. Its flags make sense ([`valid_flags`]).
//! 2. The table ([`transition`]) says what it would make of the connection's state.
//! 3. The cases the table is too simple for: reopened connections, segments that are ignored because
//!    the two ends may know better (`memory`), RSTs (`reset`).
//! 4. It is in the window (`window`).
//! 5. The state moves on, and the timeout is chosen.
//!
//! The behaviour is that of `net/netfilter/nf_conntrack_proto_tcp.c` in Linux 6.12 to 6.19; the code
//! is our own. Nothing here has an effect but on the entry: what becomes of an INVALID segment is up
//! to the policy.

mod memory;
mod reset;
mod state;
mod window;

#[cfg(test)]
mod tests;

pub use state::{Event, Next, State, transition, valid_flags};

/// Bits of [`crate::abi::Leg::flags`] and [`crate::wire::TcpSegment::options`], with the kernel's
/// numbers (`IP_CT_TCP_FLAG_*`).
pub mod flags {
    /// This side sent a window scale option.
    pub const WINDOW_SCALE: u8 = 0x01;
    /// This side allows selective acknowledgements.
    pub const SACK_PERM: u8 = 0x02;
    /// This side sent the first FIN.
    pub const CLOSE_INIT: u8 = 0x04;
    /// Window checks are off for this side: the connection was picked up in mid-stream.
    pub const BE_LIBERAL: u8 = 0x08;
    /// This side has sent data that is not acknowledged.
    pub const DATA_UNACKNOWLEDGED: u8 = 0x10;
    /// [`crate::abi::Leg::maxack`] is valid.
    pub const MAXACK_SET: u8 = 0x20;
    /// A challenge ACK is expected (in [`crate::abi::ProtoState::last_flags`] only).
    pub const EXP_CHALLENGE_ACK: u8 = 0x40;
    /// Both sides sent a SYN before any SYN/ACK.
    pub const SIMULTANEOUS_OPEN: u8 = 0x80;
}

/// Flag bits of the TCP header.
pub mod header {
    /// No more data from sender.
    pub const FIN: u8 = 0x01;
    /// Synchronise sequence numbers.
    pub const SYN: u8 = 0x02;
    /// Reset the connection.
    pub const RST: u8 = 0x04;
    /// Push.
    pub const PSH: u8 = 0x08;
    /// The acknowledgement number is valid.
    pub const ACK: u8 = 0x10;
    /// The urgent pointer is valid.
    pub const URG: u8 = 0x20;
    /// ECN echo.
    pub const ECE: u8 = 0x40;
    /// Congestion window reduced.
    pub const CWR: u8 = 0x80;
}

use crate::abi::{Config, Flow, Leg, ProtoState};
use crate::ctinfo::Dir;
use crate::status;
use crate::timeout::Timeout;
use crate::track::Step;
use crate::verdict::Reason;
use crate::wire::TcpSegment;
use reset::Belief;
use window::Fit;

/// The first segment of an unknown connection (`tcp_new`): fills the fresh entry `flow`.
///
/// Always [`Step::Accept`], with a timeout in ticks.
///
/// # Errors
/// The [`Reason`] why this segment may not open a connection: [`Reason::BadTcpFlags`], or
/// [`Reason::NotSyn`] for anything but a SYN or, with `tcp_loose`, an ACK.
#[inline(always)]
pub fn open(flow: &mut Flow, segment: &TcpSegment, config: &Config) -> Result<Step, Reason> {
    if !valid_flags(segment.flags) {
        return Err(Reason::BadTcpFlags);
    }
    let syn = match transition(Dir::Original, Event::of(segment.flags), State::None) {
        Next::To(State::SynSent) => true,
        Next::To(_) if config.tcp_loose != 0 => false,
        _ => return Err(Reason::NotSyn),
    };
    flow.proto = ProtoState {
        last_index: Event::None as u8,
        ..ProtoState::default()
    };
    let [original, reply] = &mut flow.legs;
    original.end = end_of(segment);
    original.maxwin = window::at_least_one(u32::from(segment.window));
    original.maxend = original.end;
    if syn {
        window::take_options(original, segment);
    } else {
        // In mid-stream the window scale is unknown, so neither side can be held to its window.
        original.maxend = original.end.wrapping_add(original.maxwin);
        original.flags = flags::SACK_PERM | flags::BE_LIBERAL;
        reply.flags = original.flags;
    }
    Ok(step(flow, Dir::Original, segment, config))
}

/// One segment of a known connection (`nf_conntrack_tcp_packet`).
#[inline(always)]
pub fn step(flow: &mut Flow, dir: Dir, segment: &TcpSegment, config: &Config) -> Step {
    if !valid_flags(segment.flags) {
        return Step::invalid(Reason::BadTcpFlags);
    }
    let event = Event::of(segment.flags);
    let now = State::of(flow.proto.state);
    let (old, new) = match course(flow, dir, event, segment, config) {
        Course::End(step) => return step,
        Course::Blind(old) => (old, State::Close),
        Course::Check(old, new) => match window::check(flow, (dir, now), event, segment, config) {
            Fit::Inside => (old, new),
            Fit::Ignore => return Step::Ignore,
            Fit::Outside(reason) => {
                let cut = memory::doubt(flow, dir, event, config);
                return Step::Invalid { reason, cut };
            }
        },
    };
    commit(flow, dir, event, old, new);
    conclude(flow, event, old, new, config)
}

/// [`step`] of an ACK without SYN, FIN, RST or URG in an established connection, of which the table says that it
/// stays established, whoever sends.
#[inline(always)]
pub fn prolong(flow: &mut Flow, dir: Dir, segment: &TcpSegment, config: &Config) -> Step {
    const EVENT: Event = Event::Ack;
    const STATE: State = State::Established;
    match window::check(flow, (dir, STATE), EVENT, segment, config) {
        Fit::Inside => {
            commit(flow, dir, EVENT, STATE, STATE);
            conclude(flow, EVENT, STATE, STATE, config)
        }
        Fit::Ignore => Step::Ignore,
        // It ends nothing, so nobody doubts that the connection lives (`memory::doubt`).
        Fit::Outside(reason) => Step::invalid(reason),
    }
}

/// A later fragment of a segment whose end had been `from` moves it to `to`.
#[inline(always)]
pub fn extend(flow: &mut Flow, dir: Dir, from: u32, to: u32) {
    window::extend(flow, dir, from, to);
}

/// Closes a connection that the firewall itself resets (`nf_conntrack_tcp_set_closing`); whether it was not
/// yet. `now` and the timeouts are in ticks.
#[inline(always)]
pub fn close(flow: &mut Flow, config: &Config, now: u64) -> bool {
    let before = flow.proto.state;
    flow.proto.state = State::Close as u8;
    if before == State::Close as u8 {
        return false;
    }
    if flow.status & status::FIXED_TIMEOUT == 0 {
        flow.deadline = now.wrapping_add(config.timeout(Timeout::TcpClose));
    }
    true
}

/// The timeout in ticks that the connection's last segment gave it, as far as the entry tells.
#[must_use]
pub fn lifetime(flow: &Flow, config: &Config) -> u64 {
    let event = if flow.proto.last_index == Event::Rst as u8 {
        Event::Rst
    } else {
        Event::None
    };
    let state = State::of(flow.proto.state);
    let timeout = timeout(flow, event, state, config);
    // Not ASSURED and yet established is one of which the last segment was the first answer, at most.
    if flow.status & status::ASSURED == 0 {
        unanswered(timeout, state, config)
    } else {
        timeout
    }
}

/// How a segment goes on after the table.
enum Course {
    /// Not at all.
    End(Step),
    /// If it is in the window, from the first state to the second.
    Check(State, State),
    /// From this state to CLOSE, in the window or not.
    Blind(State),
}

/// The table, and the cases that it is too simple for.
#[inline(always)]
fn course(
    flow: &mut Flow,
    dir: Dir,
    event: Event,
    segment: &TcpSegment,
    config: &Config,
) -> Course {
    let old = State::of(flow.proto.state);
    let new = match transition(dir, event, old) {
        Next::Invalid => return Course::End(Step::invalid(Reason::BadTcpState)),
        Next::Ignore => return ignore(flow, dir, event, segment, old),
        Next::To(new) => new,
    };
    match new {
        State::SynSent if old.is_closing() => {
            if memory::reopens(flow, dir) {
                return Course::End(Step::Reopen);
            }
            ignore(flow, dir, event, segment, old)
        }
        State::TimeWait if memory::is_challenge(&mut flow.proto, dir, event, old) => {
            Course::End(Step::Ignore)
        }
        State::SynSent2 => {
            flow.proto.last_flags |= flags::SIMULTANEOUS_OPEN;
            Course::Check(old, new)
        }
        State::SynRecv if ends_simultaneous_open(&flow.proto, dir, event) => {
            Course::Check(old, State::Established)
        }
        State::Close if event == Event::Rst => {
            match reset::judge(flow, dir, segment, config, old) {
                Belief::Blind => Course::Blind(old),
                Belief::Checked(new) => Course::Check(old, new),
                Belief::Never => Course::End(Step::invalid(Reason::BadRst)),
            }
        }
        _ => Course::Check(old, new),
    }
}

/// A segment to let pass without believing it, unless it proves that the one before was meant.
#[inline(always)]
fn ignore(flow: &mut Flow, dir: Dir, event: Event, segment: &TcpSegment, old: State) -> Course {
    if memory::answers_ignored_syn(&flow.proto, dir, event, segment) {
        memory::resync(flow, dir);
        return Course::Check(State::SynSent, State::SynRecv);
    }
    memory::remember(&mut flow.proto, dir, event, segment, old);
    Course::End(Step::Ignore)
}

/// The table takes the originator's ACK for the end of a handshake; in a simultaneous open either
/// side's may come first.
#[inline(always)]
fn ends_simultaneous_open(proto: &ProtoState, dir: Dir, event: Event) -> bool {
    dir == Dir::Reply && event == Event::Ack && proto.last_flags & flags::SIMULTANEOUS_OPEN != 0
}

#[inline(always)]
fn commit(flow: &mut Flow, dir: Dir, event: Event, old: State, new: State) {
    flow.proto.last_index = event as u8;
    flow.proto.last_dir = dir as u8;
    flow.proto.state = new as u8;
    if new == State::FinWait && old != new {
        flow.legs[dir.index() & 1].flags |= flags::CLOSE_INIT;
    }
}

/// The timeout, and what it takes to be ASSURED.
#[inline(always)]
fn conclude(flow: &Flow, event: Event, old: State, new: State, config: &Config) -> Step {
    let timeout = timeout(flow, event, new, config);
    let established = new == State::Established;
    if flow.status & status::SEEN_REPLY == 0 {
        if event == Event::Rst {
            return Step::Remove;
        }
        // A client that keeps trying from one port must not keep a dead entry alive.
        if event == Event::Syn && old == State::SynSent {
            return Step::Ignore;
        }
        return Step::Accept {
            timeout: unanswered(timeout, new, config),
            assured: false,
        };
    }
    let answered = matches!(old, State::SynRecv | State::Established);
    Step::Accept {
        timeout,
        assured: answered && established,
    }
}

/// `timeout`, or less for a connection picked up in mid-stream that nobody has answered.
#[inline(always)]
fn unanswered(timeout: u64, state: State, config: &Config) -> u64 {
    let most = config.timeout(Timeout::TcpUnacknowledged);
    if state == State::Established && timeout > most {
        most
    } else {
        timeout
    }
}

/// The timeout in ticks after a segment of class `event` led to `state`: the state's own, or a shorter
/// one while there is doubt whether both ends are still there. The first reason counts.
#[inline(always)]
fn timeout(flow: &Flow, event: Event, state: State, config: &Config) -> u64 {
    let own = config.timeout(state.timeout());
    let repeated = config.timeout(Timeout::TcpMaxRetrans);
    let unacknowledged = config.timeout(Timeout::TcpUnacknowledged);
    let either = flow.legs[0].flags | flow.legs[1].flags;
    if flow.proto.retrans >= config.tcp_max_retrans && own > repeated {
        repeated
    } else if event == Event::Rst {
        config.timeout(Timeout::TcpClose)
    } else if either & flags::DATA_UNACKNOWLEDGED != 0 && own > unacknowledged {
        unacknowledged
    } else if flow.proto.last_win == 0 && own > repeated {
        repeated
    } else {
        own
    }
}

/// Sequence number after the segment's last byte; SYN and FIN count as one each (RFC 9293 §3.4).
#[inline(always)]
fn end_of(segment: &TcpSegment) -> u32 {
    let syn = u32::from(segment.flags & header::SYN != 0);
    let fin = u32::from(segment.flags & header::FIN != 0);
    segment
        .seq
        .wrapping_add(u32::from(segment.payload))
        .wrapping_add(syn + fin)
}

/// The sending and the receiving side of a segment in direction `dir`.
#[inline(always)]
fn sides(legs: &mut [Leg; 2], dir: Dir) -> (&mut Leg, &mut Leg) {
    let [original, reply] = legs;
    match dir {
        Dir::Original => (original, reply),
        Dir::Reply => (reply, original),
    }
}
