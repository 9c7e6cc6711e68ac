//! SCTP (RFC 9260): the common header, and the chunks that matter to an association's state.

use network_types::sctp::SctpHdr;

use super::layout::be16;
use super::{Fragment, Meta, Packet, forget, transport};
use crate::Reason;
use crate::index::masked;
use crate::sctp::Event;

/// What SCTP's state machine needs of a packet.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C)]
pub struct SctpPacket {
    /// The chunks that may change a state, in their order, [`Event::BITS`] each, the first lowest.
    pub events: u32,
    /// Verification tag of the common header.
    pub tag: u32,
    /// The tag that an INIT or INIT ACK asks for.
    pub init_tag: u32,
    /// How far the chunks are read, from the transport header on.
    pub cursor: u16,
    /// Bits of [`sctp_flags`].
    pub flags: u8,
    /// Number of [`Self::events`].
    pub count: u8,
}

/// Bits of [`SctpPacket::flags`].
pub mod sctp_flags {
    /// There is a DATA chunk.
    pub const DATA: u8 = 1 << 0;
    /// There is an ABORT, SHUTDOWN COMPLETE or COOKIE ACK: they answer something (RFC 9260 §8.4).
    pub const ANSWER: u8 = 1 << 1;
    /// There is a chunk that has its own rule for the verification tag (RFC 9260 §8.5.1).
    pub const OWN_TAG_RULE: u8 = 1 << 2;
    /// There is a chunk that changes no state.
    pub const NEUTRAL: u8 = 1 << 3;
    /// There is a chunk that must be the only one.
    pub(super) const ALONE: u8 = 1 << 4;
    /// A chunk of the kind that must be the first.
    pub(super) const FIRST: u8 = 1 << 5;
    /// What is kept of a packet's chunks: all but [`FIRST`].
    pub(super) const KEPT: u8 = !FIRST;
}

use sctp_flags::{ALONE, ANSWER, DATA, FIRST, KEPT, NEUTRAL, OWN_TAG_RULE};

/// Chunks that are looked at. Control chunks come before data (RFC 9260 §6.10), and more of them than
/// [`MAX_EVENTS`] no honest packet has; so what is not looked at is data.
const MAX_CHUNKS: usize = 32;
/// Most chunks in a packet that may change the state.
const MAX_EVENTS: u8 = 8;
/// Type, flags and length of a chunk.
const CHUNK: usize = 4;
/// An INIT or INIT ACK up to its parameters: tag, window, streams, first TSN (RFC 9260 §3.3.2).
const INIT: usize = CHUNK + 16;

const _: () = assert!(u32::BITS == Event::BITS * MAX_EVENTS as u32);

/// What is to know of each type of chunk below 16.
static KINDS: [u8; 16] = {
    let mut table = [NEUTRAL; 16];
    table[0] = NEUTRAL | DATA;
    table[1] = OWN_TAG_RULE | ALONE; // INIT
    table[2] = ALONE; // INIT ACK
    table[4] = OWN_TAG_RULE; // HEARTBEAT
    table[5] = OWN_TAG_RULE; // HEARTBEAT ACK
    table[6] = OWN_TAG_RULE | ANSWER; // ABORT
    table[7] = 0; // SHUTDOWN
    table[8] = OWN_TAG_RULE; // SHUTDOWN ACK
    table[9] = 0; // ERROR
    table[10] = OWN_TAG_RULE | FIRST; // COOKIE ECHO
    table[11] = ANSWER | FIRST; // COOKIE ACK
    table[14] = OWN_TAG_RULE | ANSWER | ALONE; // SHUTDOWN COMPLETE
    table
};

/// The event of each type of chunk below 16, without and with the flag T.
static EVENTS: [[u8; 16]; 2] = {
    let mut table = [[0; 16]; 2];
    let mut kind = 0;
    while kind < 16 {
        table[0][kind] = Event::of_chunk(kind as u8, 0) as u8;
        table[1][kind] = Event::of_chunk(kind as u8, 1) as u8;
        kind += 1;
    }
    table
};

/// Reads ports, tag and chunks (`do_basic_checks` in `nf_conntrack_proto_sctp.c`).
#[inline(always)]
pub(super) fn parse<P: Packet + ?Sized>(packet: &P, meta: &mut Meta) -> Result<(), Reason> {
    let raw: [u8; SctpHdr::LEN] = transport::header(packet, meta)?;
    meta.sport = be16!(raw, SctpHdr, src);
    meta.dport = be16!(raw, SctpHdr, dst);
    let [_, _, _, _, t0, t1, t2, t3, ..] = raw;
    meta.sctp = SctpPacket {
        tag: u32::from_be_bytes([t0, t1, t2, t3]),
        cursor: SctpHdr::LEN as u16,
        ..SctpPacket::default()
    };
    for index in 0..MAX_CHUNKS {
        forget(meta);
        if !chunk(packet, meta, index)? {
            break;
        }
    }
    Ok(())
}

/// Reads the next chunk; false if there is none.
#[inline(always)]
fn chunk<P: Packet + ?Sized>(packet: &P, meta: &mut Meta, index: usize) -> Result<bool, Reason> {
    let at = usize::from(meta.sctp.cursor);
    let header = if at + CHUNK > usize::from(meta.l4_len) {
        None
    } else {
        packet.read_deep::<CHUNK>(meta.l4_start() + at)
    };
    let Some([kind, flags, len @ ..]) = header else {
        // A packet without chunks says nothing.
        return match (index, meta.fragment) {
            (0, Fragment::First) => Err(Reason::TinyFragment),
            (0, _) => Err(Reason::BadTransportHeader),
            _ => Ok(false),
        };
    };
    let len = usize::from(u16::from_be_bytes(len));
    let known = kind < 16;
    let nature = if known {
        KINDS[masked::<16>(kind as usize & 15)]
    } else {
        NEUTRAL
    };
    let crowded = (nature | meta.sctp.flags & ALONE) & (ALONE | FIRST) != 0 && index != 0;
    if crowded || len == 0 {
        return Err(Reason::BadTransportHeader);
    }
    meta.sctp.flags |= nature & KEPT;
    if nature & NEUTRAL == 0 {
        let reflected = flags as usize & 1;
        let event = EVENTS[masked::<2>(reflected)][masked::<16>(kind as usize & 15)];
        note(meta, event)?;
        if kind <= 2 {
            meta.sctp.init_tag = init_tag(packet, meta, at)?;
        }
    }
    // Chunks are padded to four bytes.
    let next = at + len.next_multiple_of(4);
    meta.sctp.cursor = next.min(usize::from(u16::MAX)) as u16;
    Ok(true)
}

/// Appends an event.
#[inline(always)]
fn note(meta: &mut Meta, event: u8) -> Result<(), Reason> {
    let count = meta.sctp.count;
    if count >= MAX_EVENTS {
        return Err(Reason::BadTransportHeader);
    }
    meta.sctp.events |= u32::from(event) << (Event::BITS * u32::from(count & (MAX_EVENTS - 1)));
    meta.sctp.count = count + 1;
    Ok(())
}

/// The tag in the INIT or INIT ACK at `at`.
#[inline(always)]
fn init_tag<P: Packet + ?Sized>(packet: &P, meta: &Meta, at: usize) -> Result<u32, Reason> {
    if at + INIT > usize::from(meta.l4_len) {
        return Err(Reason::BadTransportHeader);
    }
    let tag = packet.read_deep(meta.l4_start() + at + CHUNK);
    Ok(u32::from_be_bytes(tag.ok_or(Reason::BadTransportHeader)?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::testing::{accept, refuse, v4, v4_fragment};

    const HEADER: [u8; 12] = [0x12, 0x34, 0x56, 0x78, 0, 0, 0, 1, 0, 0, 0, 2];

    /// A chunk of `kind` with `len` bytes of value.
    fn chunk(kind: u8, flags: u8, len: usize) -> Vec<u8> {
        let mut chunk = vec![kind, flags];
        chunk.extend((4 + len as u16).to_be_bytes());
        chunk.resize(4 + len.next_multiple_of(4), 7);
        chunk
    }

    fn packet(chunks: &[Vec<u8>]) -> Vec<u8> {
        v4(132, &[&HEADER[..], &chunks.concat()].concat())
    }

    fn events(meta: &Meta) -> Vec<Event> {
        let all = (0..8).map(|i| Event::first_of(meta.sctp.events >> (4 * i)));
        all.take(meta.sctp.count.into()).collect()
    }

    #[test]
    fn ports_and_tag() {
        let meta = accept(&packet(&[chunk(0, 3, 13)]));
        assert_eq!((meta.sport, meta.dport), (0x1234, 0x5678));
        assert_eq!((meta.sctp.tag, meta.sctp.events), (1, 0));
        assert_eq!(meta.sctp.flags, DATA | NEUTRAL);
    }

    #[test]
    fn header_cut_short() {
        for len in 0..12 {
            let frame = v4(132, &HEADER[..len]);
            assert_eq!(refuse(&frame), Reason::TruncatedTransport);
        }
        for rest in 0..4 {
            let frame = v4(132, &[&HEADER[..], &[1; 4][..rest]].concat());
            assert_eq!(refuse(&frame), Reason::BadTransportHeader, "{rest}");
        }
    }

    #[test]
    fn first_fragment_must_hold_a_chunk_header() {
        let bytes = [&HEADER[..], &chunk(3, 0, 12)].concat();
        for len in 0..16 {
            let frame = v4_fragment(132, 0x2000, &bytes[..len]);
            assert_eq!(refuse(&frame), Reason::TinyFragment, "{len}");
        }
        accept(&v4_fragment(132, 0x2000, &bytes[..16]));
    }

    #[test]
    fn chunks_in_their_order() {
        use Event::{Heartbeat, HeartbeatAck, ReflectedAbort};
        let meta = accept(&packet(&[
            chunk(4, 0, 5),
            chunk(3, 0, 12),
            chunk(5, 0, 0),
            chunk(192, 0, 4),
            chunk(6, 1, 0),
        ]));
        assert_eq!(events(&meta), [Heartbeat, HeartbeatAck, ReflectedAbort]);
        assert_eq!(meta.sctp.flags, OWN_TAG_RULE | ANSWER | NEUTRAL);
    }

    #[test]
    fn init_has_its_tag_and_stands_alone() {
        for (kind, event) in [(1, Event::Init), (2, Event::InitAck)] {
            let meta = accept(&packet(&[chunk(kind, 0, 16)]));
            assert_eq!(events(&meta), [event]);
            assert_eq!(meta.sctp.init_tag, 0x0707_0707);
            for len in 0..16 {
                let frame = packet(&[chunk(kind, 0, len & !3)]);
                assert_eq!(refuse(&frame), Reason::BadTransportHeader, "{len}");
            }
        }
        for alone in [1, 2, 14] {
            for pair in [[alone, 0], [0, alone]] {
                let frame = packet(&pair.map(|kind| chunk(kind, 0, 16)));
                assert_eq!(refuse(&frame), Reason::BadTransportHeader, "{pair:?}");
            }
        }
    }

    #[test]
    fn cookies_come_first() {
        for cookie in [10, 11] {
            accept(&packet(&[chunk(cookie, 0, 0), chunk(0, 3, 13)]));
            let frame = packet(&[chunk(0, 3, 13), chunk(cookie, 0, 0)]);
            assert_eq!(refuse(&frame), Reason::BadTransportHeader);
        }
    }

    #[test]
    fn lengths_that_lead_nowhere() {
        let frame = packet(&[vec![0, 3, 0, 0]]);
        assert_eq!(refuse(&frame), Reason::BadTransportHeader);
        // Shorter than its own header, as the kernel takes it: on to the next word.
        let meta = accept(&packet(&[vec![7, 0, 0, 1], chunk(8, 0, 0)]));
        assert_eq!(events(&meta), [Event::Shutdown, Event::ShutdownAck]);
        // Beyond the packet: it was the last.
        let meta = accept(&packet(&[vec![7, 0, 0xff, 0xff], chunk(8, 0, 0)]));
        assert_eq!(events(&meta), [Event::Shutdown]);
    }

    #[test]
    fn no_more_control_chunks_than_eight_and_any_number_of_others() {
        accept(&packet(&vec![chunk(4, 0, 0); 8]));
        let frame = packet(&vec![chunk(4, 0, 0); 9]);
        assert_eq!(refuse(&frame), Reason::BadTransportHeader);
        accept(&packet(&vec![chunk(0, 3, 1); 200]));
    }
}
