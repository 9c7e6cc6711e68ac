//! What is remembered of segments that passed but were not believed.
//!
//! Our entry may be out of step with the two ends: one of them crashed, or a part of the
//! conversation went another way. So a SYN on a live connection is let through and remembered; the
//! answer of the other end tells whether it was meant.

use super::window::{at_least_one, scale_of};
use super::{Event, State, end_of, flags};
use crate::abi::{Config, Flow, ProtoState};
use crate::ctinfo::Dir;
use crate::status;
use crate::timeout::Timeout;
use crate::wire::TcpSegment;

/// Whether a SYN may take over the entry of a dead connection: it was closed in good order, or this
/// very side has aborted it. A RST from the other side alone proves nothing about this one.
#[inline(always)]
pub(super) fn reopens(flow: &Flow, dir: Dir) -> bool {
    let either = flow.legs[0].flags | flow.legs[1].flags;
    let aborted = flow.proto.last_dir == dir as u8 && flow.proto.last_index == Event::Rst as u8;
    either & flags::CLOSE_INIT != 0 || aborted
}

/// Whether a segment is the SYN/ACK to the SYN that was ignored just before.
#[inline(always)]
pub(super) fn answers_ignored_syn(
    proto: &ProtoState,
    dir: Dir,
    event: Event,
    segment: &TcpSegment,
) -> bool {
    event == Event::SynAck
        && proto.last_index == Event::Syn as u8
        && proto.last_dir != dir as u8
        && proto.last_end == segment.ack
}

/// The SYN was meant: takes its side's bounds from memory, and forgets those of the side `dir`, whose
/// SYN/ACK will set them anew.
#[inline(always)]
pub(super) fn resync(flow: &mut Flow, dir: Dir) {
    flow.proto.last_flags &= !flags::EXP_CHALLENGE_ACK;
    let proto = flow.proto;
    let began = &mut flow.legs[proto.last_dir as usize & 1];
    began.end = proto.last_end;
    began.maxend = proto.last_end;
    began.maxwin = at_least_one(u32::from(proto.last_win));
    began.scale = proto.last_wscale;
    began.flags = proto.last_flags;
    let answers = &mut flow.legs[dir.index() & 1];
    answers.end = 0;
    answers.maxend = 0;
    answers.maxwin = 0;
    answers.maxack = 0;
    answers.scale = 0;
    answers.flags &= flags::BE_LIBERAL;
}

/// Remembers an ignored segment.
#[inline(always)]
pub(super) fn remember(
    proto: &mut ProtoState,
    dir: Dir,
    event: Event,
    segment: &TcpSegment,
    old: State,
) {
    proto.last_index = event as u8;
    proto.last_dir = dir as u8;
    proto.last_seq = segment.seq;
    proto.last_end = end_of(segment);
    proto.last_win = segment.window;
    if event == Event::Syn && dir == Dir::Original {
        proto.last_wscale = scale_of(segment);
        proto.last_flags = segment.options & (flags::WINDOW_SCALE | flags::SACK_PERM);
        // RFC 5961 §4: the peer may answer with an ACK that does not acknowledge its FIN.
        if old == State::LastAck {
            proto.last_flags |= flags::EXP_CHALLENGE_ACK;
        }
    }
    let challenge = event == Event::Ack && dir == Dir::Reply;
    if challenge && old == State::SynSent {
        proto.last_ack = segment.ack;
    }
}

/// Whether an ACK that would end LAST_ACK is the expected challenge. It is expected once.
#[inline(always)]
pub(super) fn is_challenge(proto: &mut ProtoState, dir: Dir, event: Event, old: State) -> bool {
    let challenge = old == State::LastAck
        && event == Event::Ack
        && proto.last_dir != dir as u8
        && proto.last_index == Event::Syn as u8
        && proto.last_flags & flags::EXP_CHALLENGE_ACK != 0;
    if challenge {
        proto.last_flags &= !flags::EXP_CHALLENGE_ACK;
    }
    challenge
}

/// A segment outside the window. If both sides in turn end the connection outside the window, then we
/// are out of step, and a dead connection must not stay for days (`nf_tcp_handle_invalid`).
///
/// Returns the timeout, ticks, that the entry may have at most from now on; `u64::MAX`: as it is.
#[inline(always)]
pub(super) fn doubt(flow: &mut Flow, dir: Dir, event: Event, config: &Config) -> u64 {
    let ends = event == Event::Fin || event == Event::Rst;
    let lasting = flow.status & (status::ASSURED | status::FIXED_TIMEOUT) == status::ASSURED;
    if !ends || !lasting {
        return u64::MAX;
    }
    let proto = &mut flow.proto;
    let last = proto.last_index;
    let other_ended = last == Event::Fin as u8 || last == Event::Rst as u8;
    if other_ended && proto.last_dir != dir as u8 {
        return config.timeout(Timeout::TcpUnacknowledged);
    }
    proto.last_index = event as u8;
    proto.last_dir = dir as u8;
    u64::MAX
}
