//! Which RSTs are believed.
//!
//! A forged RST must not close a connection, and a true one must not be missed. Its receiver is
//! stricter than the window: it closes at once only if the sequence number is exactly the one that it
//! expects, and else asks back with a challenge ACK (RFC 5961 §3.2). So the highest acknowledgement
//! of the receiver (`maxack`) is the measure here (`nf_conntrack_tcp_packet`, case `CLOSE`).

use super::window::before;
use super::{Event, State, flags};
use crate::abi::{Config, Flow, ProtoState};
use crate::ctinfo::Dir;
use crate::status;
use crate::wire::TcpSegment;

/// What is to be done with a RST.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Belief {
    /// Close without a look at the window.
    Blind,
    /// If it is in the window, go to this state.
    Checked(State),
    /// Its sequence number was acknowledged before: it comes too late, or from a stranger.
    Never,
}

/// Judges a RST in direction `dir` to a connection in state `old`.
#[inline(always)]
pub(super) fn judge(
    flow: &Flow,
    dir: Dir,
    segment: &TcpSegment,
    config: &Config,
    old: State,
) -> Belief {
    // The ends may be using the ports for the next connection already: the bounds mean nothing.
    if old.is_closing() {
        return Belief::Blind;
    }
    let receiver = &flow.legs[dir.flip().index() & 1];
    let last_is_syn = flow.proto.last_index == Event::Syn as u8;
    // A SYN that was let through may have changed what the receiver expects.
    if receiver.flags & flags::MAXACK_SET != 0 && !last_is_syn {
        return by_maxack(flow, dir, segment, config, receiver.maxack);
    }
    if answers_ignored(flow, dir, segment) || answers_challenge(&flow.proto, segment, old) {
        return Belief::Blind;
    }
    Belief::Checked(State::Close)
}

/// The receiver has acknowledged something: that is where the RST belongs.
#[inline(always)]
fn by_maxack(
    flow: &Flow,
    dir: Dir,
    segment: &TcpSegment,
    config: &Config,
    expected: u32,
) -> Belief {
    let settled =
        flow.proto.state == State::Established as u8 && flow.status & status::ASSURED != 0;
    // Sequence number 0 answers a SYN that was let through.
    if segment.seq == 0 && !settled {
        return Belief::Checked(State::Close);
    }
    if before(segment.seq, expected) && config.tcp_ignore_invalid_rst == 0 {
        return Belief::Never;
    }
    let exact = segment.seq == expected;
    if settled && !exact && !follows_own_data(&flow.proto, dir, segment) {
        // The receiver asks back: only its answer, or its silence, tells.
        return Belief::Checked(State::Established);
    }
    Belief::Checked(State::Close)
}

/// Data and the RST behind it, sent in one go: the receiver has had no time to acknowledge.
#[inline(always)]
fn follows_own_data(proto: &ProtoState, dir: Dir, segment: &TcpSegment) -> bool {
    proto.last_index == Event::Ack as u8
        && proto.last_dir == dir as u8
        && proto.last_end == segment.seq
}

/// The RST that a SYN or an ACK provoked which we ignored. The SYN must be the other side's: else a
/// host could close what it likes by sending both (Linux 7.1 and its stable branches).
#[inline(always)]
fn answers_ignored(flow: &Flow, dir: Dir, segment: &TcpSegment) -> bool {
    let replied = flow.status & status::SEEN_REPLY != 0;
    let assured = flow.status & status::ASSURED != 0;
    let last = flow.proto.last_index;
    let syn = replied && last == Event::Syn as u8 && flow.proto.last_dir != dir as u8;
    let ack = !assured && last == Event::Ack as u8;
    (syn || ack) && segment.ack == flow.proto.last_end
}

/// The RST with which a client answers the challenge ACK of a half-open server (RFC 9293 §3.5.1).
#[inline(always)]
fn answers_challenge(proto: &ProtoState, segment: &TcpSegment, old: State) -> bool {
    old == State::SynSent
        && proto.last_index == Event::Ack as u8
        && proto.last_dir == Dir::Reply as u8
        && proto.last_ack == segment.seq
}
