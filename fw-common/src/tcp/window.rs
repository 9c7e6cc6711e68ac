//! Window tracking: is a segment one that the sender may send and the receiver will take?
//!
//! The method is Guido van Rooij's, "Real stateful TCP packet filtering in IP Filter" (2000), as
//! `tcp_in_window` of the kernel applies it. From what passed we know bounds for what may come:
//!
//! | rule | must hold | keeps out |
//! |---|---|---|
//! | I | `seq <= sender.maxend` | data beyond what the receiver has offered to take |
//! | II | `end >= sender.end - receiver.maxwin` | data that was acknowledged long ago |
//! | III | `sack <= receiver.end` | acknowledgement of data that was never sent |
//! | IV | `sack >= receiver.end - MAX_ACK_WINDOW` | acknowledgement from long ago |

use super::header::{ACK, RST, SYN};
use super::{Event, State, end_of, flags, sides};
use crate::abi::{Config, Flow, Leg, ProtoState};
use crate::ctinfo::Dir;
use crate::verdict::Reason;
use crate::wire::TcpSegment;

/// How far an acknowledgement may lag behind: the largest unscaled window and a little more
/// (`MAXACKWINCONST`).
const MAX_ACK_WINDOW: u32 = 66_000;

/// Largest shift of a window (RFC 7323 §2.3).
const MAX_SCALE: u8 = 14;

/// Learns of more of a segment whose end had been `from`: it is `to`. Nothing if the segment was not
/// learnt from in the first place, or is an old one.
#[inline(always)]
pub(super) fn extend(flow: &mut Flow, dir: Dir, from: u32, to: u32) {
    let (sender, receiver) = sides(&mut flow.legs, dir);
    if before(sender.end, from) || !after(to, sender.end) {
        return;
    }
    sender.end = to;
    if receiver.maxwin != 0 && after(to, sender.maxend) {
        let known = if after(from, sender.maxend) {
            from
        } else {
            sender.maxend
        };
        receiver.maxwin = receiver.maxwin.wrapping_add(to.wrapping_sub(known));
    }
}

/// Whether `a` comes before `b` in sequence space (RFC 9293 §3.4).
#[inline(always)]
pub(super) const fn before(a: u32, b: u32) -> bool {
    (a.wrapping_sub(b) as i32) < 0
}

/// Whether `a` comes after `b` in sequence space.
#[inline(always)]
pub(super) const fn after(a: u32, b: u32) -> bool {
    before(b, a)
}

/// What the rules say of a segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fit {
    /// All four hold.
    Inside,
    /// Old, or a little too much: harmless, but nothing to learn from.
    Ignore,
    /// Not from this conversation.
    Outside(Reason),
}

/// The numbers of one segment, after the excuses that broken stacks need.
struct Span {
    seq: u32,
    end: u32,
    ack: u32,
    sack: u32,
}

/// Checks a segment and, if it fits, learns from it.
#[inline(always)]
pub(super) fn check(
    flow: &mut Flow,
    (dir, state): (Dir, State),
    event: Event,
    segment: &TcpSegment,
    config: &Config,
) -> Fit {
    let (sender, receiver) = sides(&mut flow.legs, dir);
    let mut span = Span {
        seq: segment.seq,
        end: end_of(segment),
        ack: segment.ack,
        sack: if receiver.flags & flags::SACK_PERM != 0 {
            segment.sack
        } else {
            segment.ack
        },
    };
    if meet(sender, receiver, &span, segment, (dir, state)) {
        return Fit::Inside;
    }
    excuse(&mut span, sender, receiver, segment.flags, state);
    let fit = judge(sender, receiver, &span);
    if fit == Fit::Inside {
        learn(sender, receiver, &span, segment);
        if event == Event::Ack {
            count_repeats(&mut flow.proto, dir, &span, segment.window);
        }
        return fit;
    }
    if config.tcp_be_liberal != 0 || sender.flags & flags::BE_LIBERAL != 0 {
        return Fit::Inside;
    }
    fit
}

/// Takes the first bounds from a side's first segment. True if there is nothing left to check: the
/// bare SYN of a simultaneous open.
#[inline(always)]
fn meet(
    sender: &mut Leg,
    receiver: &mut Leg,
    span: &Span,
    segment: &TcpSegment,
    (dir, state): (Dir, State),
) -> bool {
    let syn = segment.flags & SYN != 0;
    let bare = segment.flags & ACK == 0;
    if sender.maxwin == 0 {
        if syn {
            introduce(sender, receiver, span.end, segment, dir);
            return bare;
        }
        adopt(sender, receiver, span, segment.window);
        return false;
    }
    // A client that gives up a SYN and tries again may choose another initial sequence number.
    let retried = matches!(state, State::SynSent | State::SynRecv);
    if syn && retried && after(span.end, sender.end) {
        introduce(sender, receiver, span.end, segment, dir);
        return bare && dir == Dir::Reply;
    }
    false
}

/// A side's SYN or SYN/ACK (`tcp_init_sender`).
#[inline(always)]
fn introduce(sender: &mut Leg, receiver: &mut Leg, end: u32, segment: &TcpSegment, dir: Dir) {
    sender.end = end;
    sender.maxend = end;
    sender.maxwin = at_least_one(u32::from(segment.window));
    take_options(sender, segment);
    // RFC 7323 §2.2: only if both sides offer it. The originator's SYN alone decides nothing.
    let both = sender.flags & receiver.flags & flags::WINDOW_SCALE != 0;
    if dir == Dir::Reply && !both {
        sender.scale = 0;
        receiver.scale = 0;
    }
}

/// Replaces what was known of a side by the options of its SYN. That the side is not to be checked
/// outlives it; and so do the options of an earlier SYN if this one, with another sequence number, has
/// not a single option (`tcp_options`).
#[inline(always)]
pub(super) fn take_options(leg: &mut Leg, segment: &TcpSegment) {
    const PARSED: u8 = flags::WINDOW_SCALE | flags::SACK_PERM;
    if segment.cursor == 0 && segment.options == 0 {
        return;
    }
    leg.scale = scale_of(segment);
    leg.flags = leg.flags & flags::BE_LIBERAL | segment.options & PARSED;
}

/// The window scale that a SYN offers; 0 if none.
#[inline(always)]
pub(super) fn scale_of(segment: &TcpSegment) -> u8 {
    if segment.options & flags::WINDOW_SCALE == 0 {
        0
    } else if segment.wscale > MAX_SCALE {
        MAX_SCALE
    } else {
        segment.wscale
    }
}

/// A side whose beginning we have not seen: its first segment is believed.
#[inline(always)]
fn adopt(sender: &mut Leg, receiver: &mut Leg, span: &Span, window: u16) {
    sender.end = span.end;
    sender.maxwin = at_least_one(scaled(window, sender.scale));
    sender.maxend = span.end.wrapping_add(sender.maxwin);
    if receiver.maxwin == 0 {
        // Nothing seen from there either: rules III and IV must have something to hold on to.
        receiver.end = span.sack;
        receiver.maxend = span.sack;
    } else if span.sack == receiver.end.wrapping_add(1) {
        // The answer to a keepalive, which is sent with the last sequence number - 1.
        receiver.end = span.sack;
    }
}

/// Puts right what broken stacks send.
#[inline(always)]
fn excuse(span: &mut Span, sender: &Leg, receiver: &Leg, header: u8, state: State) {
    let zero_ack_reset = header & (RST | ACK) == RST | ACK && span.ack == 0;
    if header & ACK == 0 || zero_ack_reset {
        span.ack = receiver.end;
        span.sack = receiver.end;
    }
    // A RST that answers a SYN has the sequence number 0 (RFC 9293 §3.5.2).
    if header & RST != 0 && span.seq == 0 && state == State::SynSent {
        span.seq = sender.end;
        span.end = sender.end;
    }
}

/// Rules I to IV.
#[inline(always)]
fn judge(sender: &mut Leg, receiver: &Leg, span: &Span) -> Fit {
    let lag = if sender.maxwin > MAX_ACK_WINDOW {
        sender.maxwin
    } else {
        MAX_ACK_WINDOW
    };
    let fresh = !before(span.end, sender.end.wrapping_sub(receiver.maxwin));
    let acks_sent_data = !after(span.sack, receiver.end);
    let acks_in_time = !before(span.sack, receiver.end.wrapping_sub(lag));
    if after(span.seq, sender.maxend) {
        let excess = span.end.wrapping_sub(sender.maxend).wrapping_add(1);
        let small = receiver.maxwin != 0 && excess <= receiver.maxwin;
        if !(small && fresh && acks_sent_data && acks_in_time) {
            return Fit::Outside(Reason::SeqOverWindow);
        }
        // Some stacks send a little more than was offered. If the receiver takes it, its
        // acknowledgement must not break rule III.
        sender.end = span.end;
        sender.flags |= flags::DATA_UNACKNOWLEDGED;
        return Fit::Ignore;
    }
    if !acks_sent_data {
        return Fit::Outside(Reason::AckOverWindow);
    }
    if (fresh || receiver.maxwin == 0) && acks_in_time {
        Fit::Inside
    } else {
        Fit::Ignore
    }
}

/// Moves the bounds on.
#[inline(always)]
fn learn(sender: &mut Leg, receiver: &mut Leg, span: &Span, segment: &TcpSegment) {
    // RFC 7323 §2.2: the window of a SYN is never scaled.
    let window = if segment.flags & SYN == 0 {
        scaled(segment.window, sender.scale)
    } else {
        u32::from(segment.window)
    };
    let offered = window.wrapping_add(span.sack.wrapping_sub(span.ack));
    if sender.maxwin < offered {
        sender.maxwin = offered;
    }
    if after(span.end, sender.end) {
        sender.end = span.end;
        sender.flags |= flags::DATA_UNACKNOWLEDGED;
    }
    if segment.flags & ACK != 0 {
        if sender.flags & flags::MAXACK_SET == 0 || after(span.ack, sender.maxack) {
            sender.maxack = span.ack;
        }
        sender.flags |= flags::MAXACK_SET;
    }
    if receiver.maxwin != 0 && after(span.end, sender.maxend) {
        let beyond = span.end.wrapping_sub(sender.maxend);
        receiver.maxwin = receiver.maxwin.wrapping_add(beyond);
    }
    let limit = span.sack.wrapping_add(window);
    if !before(limit, receiver.maxend) {
        // A closed window still takes one byte: the probe (RFC 9293 §3.8.6.1).
        receiver.maxend = limit.wrapping_add(u32::from(window == 0));
    }
    if span.ack == receiver.end {
        receiver.flags &= !flags::DATA_UNACKNOWLEDGED;
    }
}

/// Counts identical segments in a row: a peer that repeats itself may be talking to nobody.
#[inline(always)]
fn count_repeats(proto: &mut ProtoState, dir: Dir, span: &Span, window: u16) {
    let same = proto.last_dir == dir as u8
        && proto.last_seq == span.seq
        && proto.last_ack == span.ack
        && proto.last_end == span.end
        && proto.last_win == window;
    if same {
        // Eight bits that wrap, as in the kernel.
        proto.retrans = proto.retrans.wrapping_add(1);
        return;
    }
    proto.last_dir = dir as u8;
    proto.last_seq = span.seq;
    proto.last_ack = span.ack;
    proto.last_end = span.end;
    proto.last_win = window;
    proto.retrans = 0;
}

#[inline(always)]
const fn scaled(window: u16, scale: u8) -> u32 {
    (window as u32) << (scale & 15)
}

#[inline(always)]
pub(super) const fn at_least_one(window: u32) -> u32 {
    if window == 0 { 1 } else { window }
}
