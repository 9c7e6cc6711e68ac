//! SCTP's state machine (RFC 9260), with nf_conntrack's idea of it: one state for both ends, driven by
//! the chunks of each packet in their order, and the verification tags that prove that a packet is of
//! this association and no blind guess (RFC 9260 §8.5).
//!
//! The chunks have been read by then: [`crate::wire::SctpPacket`] has those that matter. A flow keeps
//! its tags in [`ProtoState::last_seq`] and [`ProtoState::last_ack`]: what packets of the original
//! and of the reply direction have to carry.

mod state;

pub use state::{Event, State, transition};

use crate::abi::{Config, Flow, ProtoState};
use crate::ctinfo::Dir;
use crate::status;
use crate::track::Step;
use crate::verdict::Reason;
use crate::wire::{SctpPacket, sctp_flags};

/// Bits of [`ProtoState::last_flags`].
mod memory {
    /// A HEARTBEAT with a strange tag passed in direction `last_dir`: if it is answered, the path has
    /// failed over to another association of the two hosts, whose tags are learnt.
    pub(super) const STRANGE_HEARTBEAT: u8 = 1 << 0;
    /// The originator has sent an INIT.
    pub(super) const INIT_ORIGINAL: u8 = 1 << 1;
    /// The responder has sent an INIT.
    pub(super) const INIT_REPLY: u8 = 1 << 2;
}

/// Fills a fresh entry for its first packet (`sctp_new`): an INIT; or something of an association whose
/// beginning was not seen, such as a HEARTBEAT. [`step`] is next.
///
/// # Errors
/// [`Reason::BadSctpState`]: such a packet begins nothing.
#[inline(always)]
pub fn begin(flow: &mut Flow, packet: &SctpPacket) -> Result<(), Reason> {
    // Answers to nothing (RFC 9260 §8.4), and data of nobody.
    if packet.flags & (sctp_flags::ANSWER | sctp_flags::NEUTRAL) != 0 {
        return Err(Reason::BadSctpState);
    }
    flow.proto = ProtoState::default();
    let mut events = packet.events;
    while events != 0 {
        match Event::first_of(events) {
            Event::Init => learn(&mut flow.proto, Dir::Reply, packet.init_tag),
            Event::Heartbeat => learn(&mut flow.proto, Dir::Original, packet.tag),
            // Out of the blue: it is answered with the tag that it has (RFC 9260 §8.4).
            Event::ShutdownAck => learn(&mut flow.proto, Dir::Reply, packet.tag),
            _ => {}
        }
        events >>= Event::BITS;
    }
    Ok(())
}

/// Most events in a packet.
const MAX_EVENTS: u32 = u32::BITS / Event::BITS;

/// What a chunk is, if it is acceptable.
enum Chunk {
    /// The association goes on to this state.
    To(State),
    /// It changes nothing, and the packet refreshes nothing.
    Quiet,
}

/// Advances an association by one packet in direction `dir` (`nf_conntrack_sctp_packet`), chunk after
/// chunk. What the first ones have done stays done when a later one is refused, as in the kernel. `fresh`:
/// the entry is not in the table yet.
#[inline(always)]
pub fn step(flow: &mut Flow, dir: Dir, packet: &SctpPacket, config: &Config, fresh: bool) -> Step {
    let common_rule = packet.flags & sctp_flags::OWN_TAG_RULE == 0;
    if common_rule && packet.tag != tag(&flow.proto, dir) {
        return Step::invalid(Reason::BadSctpTag);
    }
    flow.proto.last_end = packet.events;
    flow.proto.retrans = 0;
    for _ in 0..MAX_EVENTS {
        forget(flow);
        if let Err(reason) = next_chunk(flow, dir, packet, fresh) {
            return Step::invalid(reason);
        }
    }
    forget(flow);
    if flow.proto.retrans != 0 {
        return Step::Ignore;
    }
    Step::Accept {
        timeout: config.timeout(State::of(flow.proto.state).timeout()),
        assured: false,
    }
}

/// Makes the compiler read `flow` back from memory, as [`crate::wire`] does with what it parses, and for
/// the same reason: for BPF's verifier the many ways through a chunk meet again before the next.
#[inline(always)]
fn forget(flow: &mut Flow) {
    core::hint::black_box(flow);
}

/// Takes the next chunk of those in `last_end`, if there is one; `retrans` says whether the packet
/// refreshes nothing. Both mean nothing between two packets.
#[inline(always)]
fn next_chunk(flow: &mut Flow, dir: Dir, packet: &SctpPacket, fresh: bool) -> Result<(), Reason> {
    let event = Event::first_of(flow.proto.last_end);
    flow.proto.last_end >>= Event::BITS;
    if event == Event::None {
        return Ok(());
    }
    let before = State::of(flow.proto.state);
    let quiet = flow.proto.retrans != 0;
    let Chunk::To(state) = chunk(&mut flow.proto, dir, packet, event, quiet)? else {
        flow.proto.retrans = 1;
        return Ok(());
    };
    // A repeated INIT does not keep alive what is dead: the port may be used anew.
    let dead = state == State::Closed && before == State::Closed;
    if event == Event::Init && dead && !fresh {
        flow.proto.retrans = 1;
    }
    flow.proto.state = state as u8;
    if state == State::Established && before != State::Established {
        flow.status |= status::ASSURED;
    }
    Ok(())
}

/// Judges one chunk: its tag, then the state; and remembers what it says of tags.
#[inline(always)]
fn chunk(
    proto: &mut ProtoState,
    dir: Dir,
    packet: &SctpPacket,
    event: Event,
    quiet: bool,
) -> Result<Chunk, Reason> {
    match event {
        Event::Heartbeat => {
            if heartbeat(proto, dir, packet, quiet)? {
                return Ok(Chunk::Quiet);
            }
        }
        Event::HeartbeatAck => heartbeat_ack(proto, dir, packet, quiet)?,
        _ => {
            if packet.tag != wanted(proto, dir, packet, event) {
                return Err(Reason::BadSctpTag);
            }
        }
    }
    let state = State::of(proto.state);
    let next = transition(dir, state, event).ok_or(Reason::BadSctpState)?;
    match event {
        Event::Init => note_init(proto, dir, packet),
        Event::InitAck => note_init_ack(proto, dir, packet)?,
        // Both ends know each other: what was said in INITs is settled.
        Event::CookieAck => proto.last_flags &= !(memory::INIT_ORIGINAL | memory::INIT_REPLY),
        _ => {}
    }
    Ok(Chunk::To(next))
}

/// The tag that the chunk's own rule wants (RFC 9260 §8.5.1); the packet's own where it has none.
#[inline(always)]
const fn wanted(proto: &ProtoState, dir: Dir, packet: &SctpPacket, event: Event) -> u32 {
    match event {
        Event::Init => 0,
        Event::Abort | Event::ShutdownComplete | Event::CookieEcho => tag(proto, dir),
        Event::ReflectedAbort | Event::ReflectedComplete => tag(proto, dir.flip()),
        _ => packet.tag,
    }
}

/// The tag that packets of direction `dir` carry; 0 if it is not known.
#[inline(always)]
const fn tag(proto: &ProtoState, dir: Dir) -> u32 {
    match dir {
        Dir::Original => proto.last_seq,
        Dir::Reply => proto.last_ack,
    }
}

#[inline(always)]
const fn learn(proto: &mut ProtoState, dir: Dir, tag: u32) {
    match dir {
        Dir::Original => proto.last_seq = tag,
        Dir::Reply => proto.last_ack = tag,
    }
}

#[inline(always)]
const fn init_flag(dir: Dir) -> u8 {
    match dir {
        Dir::Original => memory::INIT_ORIGINAL,
        Dir::Reply => memory::INIT_REPLY,
    }
}

/// An INIT says which tag its sender wants to see. Both sides may have sent one (RFC 9260 §5.2.1); a
/// further one begins anew. One that says what is known already says nothing: it is an old one, or forged.
#[inline(always)]
const fn note_init(proto: &mut ProtoState, dir: Dir, packet: &SctpPacket) {
    let (own, peer) = (init_flag(dir), init_flag(dir.flip()));
    let known = proto.state != State::None as u8 && tag(proto, dir.flip()) == packet.init_tag;
    if known {
        return;
    }
    if proto.last_flags & (own | peer) == own | peer {
        proto.last_flags &= !peer;
    }
    proto.last_flags |= own;
    learn(proto, dir.flip(), packet.init_tag);
}

/// So does an INIT ACK; where both have sent an INIT it must name the same tag as that did, and so it
/// must if its receiver has never sent one.
#[inline(always)]
fn note_init_ack(proto: &mut ProtoState, dir: Dir, packet: &SctpPacket) -> Result<(), Reason> {
    let (own, peer) = (init_flag(dir), init_flag(dir.flip()));
    let known = tag(proto, dir.flip());
    let differs = known != packet.init_tag;
    let unasked = proto.last_flags & peer == 0 && known != 0 && differs;
    let collision = proto.last_flags & (own | peer) == own | peer && differs;
    if unasked || collision {
        return Err(Reason::BadSctpTag);
    }
    learn(proto, dir.flip(), packet.init_tag);
    Ok(())
}

/// Whether a HEARTBEAT has a strange tag, and passes once all the same: multi-homed hosts change paths.
#[inline(always)]
fn heartbeat(
    proto: &mut ProtoState,
    dir: Dir,
    packet: &SctpPacket,
    quiet: bool,
) -> Result<bool, Reason> {
    let own = tag(proto, dir);
    if own == 0 {
        learn(proto, dir, packet.tag);
    } else if packet.tag == own {
        proto.last_flags &= !memory::STRANGE_HEARTBEAT;
    } else if quiet || packet.flags & sctp_flags::DATA != 0 {
        return Err(Reason::BadSctpTag);
    } else {
        proto.last_flags |= memory::STRANGE_HEARTBEAT;
        proto.last_dir = dir as u8;
        return Ok(true);
    }
    Ok(false)
}

/// The answer to a strange HEARTBEAT proves that both ends know the new tags.
#[inline(always)]
fn heartbeat_ack(
    proto: &mut ProtoState,
    dir: Dir,
    packet: &SctpPacket,
    quiet: bool,
) -> Result<(), Reason> {
    let own = tag(proto, dir);
    if own == 0 {
        learn(proto, dir, packet.tag);
        return Ok(());
    }
    if packet.tag != own {
        let expected =
            proto.last_flags & memory::STRANGE_HEARTBEAT != 0 && proto.last_dir != dir as u8;
        if quiet || !expected || packet.flags & sctp_flags::DATA != 0 {
            return Err(Reason::BadSctpTag);
        }
        learn(proto, dir, packet.tag);
        learn(proto, dir.flip(), 0);
    }
    proto.last_flags &= !memory::STRANGE_HEARTBEAT;
    Ok(())
}
