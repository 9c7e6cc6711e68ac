//! Any bytes as a conversation of two SCTP endpoints.

use etherparse::{IpNumber, PacketBuilder};
use fw_common::sctp::Event;
use fw_common::wire::{SctpPacket, proto, sctp_flags};

use crate::oracle;
use crate::packets::World;

/// Addresses and ports of the two ends.
const ENDS: [([u8; 4], [u8; 2]); 2] = [([10, 0, 0, 1], [0x13, 0x88]), ([10, 0, 0, 2], [0, 80])];

/// Verification tags that packets may carry: of nobody, of each end, and another.
const TAGS: [u32; 4] = [0, 0xaaaa_aaaa, 0xbbbb_bbbb, 0x0102_0304];

/// Chunks that are looked at, and of those, such as may change a state: as documented in
/// `docs/differences.md`.
const CHUNKS: usize = 32;
const EVENTS: usize = 8;

/// What the state machine reads of a packet's chunks; other bits are the parser's own.
const TOLD: u8 =
    sctp_flags::DATA | sctp_flags::ANSWER | sctp_flags::OWN_TAG_RULE | sctp_flags::NEUTRAL;

/// Sends the packets that `data` describes: who and when, tag, bytes of chunks, and so many bytes, again
/// and again. Each is compared with chunks read slowly, and goes through the state machine.
///
/// # Panics
/// If something is not as it must be.
pub fn sctp(mut data: &[u8]) {
    let mut world = World::new();
    while let Some((&[control, tag, length], rest)) = data.split_first_chunk() {
        let (chunks, next) = rest.split_at(usize::from(length).min(rest.len()));
        data = next;
        let from = usize::from(control & 1);
        world.wait(control >> 1);
        let frame = packet(from, TAGS[usize::from(tag & 3)], chunks);
        let (result, meta) = oracle::parse(&frame);
        match slowly(chunks) {
            None => assert!(result.is_err(), "{chunks:02x?}"),
            Some(expected) => {
                assert_eq!(result, Ok(()), "{chunks:02x?}");
                let SctpPacket { cursor, flags, .. } = meta.sctp;
                let found = SctpPacket {
                    flags: flags & TOLD,
                    ..meta.sctp
                };
                let tag = TAGS[usize::from(tag & 3)];
                assert_eq!(
                    found,
                    SctpPacket {
                        cursor,
                        tag,
                        ..expected
                    }
                );
            }
        }
        world.receive(&frame);
    }
}

fn packet(from: usize, tag: u32, chunks: &[u8]) -> Vec<u8> {
    let [source, target] = [ENDS[from], ENDS[1 - from]];
    let header = [&source.1[..], &target.1, &tag.to_be_bytes(), &[0; 4]].concat();
    let mut frame = Vec::new();
    PacketBuilder::ethernet2([2; 6], [4; 6])
        .ipv4(source.0, target.0, 64)
        .write(
            &mut frame,
            IpNumber(proto::SCTP),
            &[&header, chunks].concat(),
        )
        .expect("a short packet");
    frame
}

/// What is to know of a packet with these chunks (RFC 9260 §3.2); `None` if it makes no sense.
fn slowly(chunks: &[u8]) -> Option<SctpPacket> {
    let (mut events, mut kinds) = (Vec::new(), Vec::new());
    let mut packet = SctpPacket::default();
    let mut at = 0;
    while kinds.len() < CHUNKS
        && let Some([kind, flags, high, low, ..]) = chunks.get(at..)
    {
        let length = usize::from(u16::from_be_bytes([*high, *low]));
        if length == 0 {
            return None;
        }
        if matches!(kind, 1 | 2 | 4..=11 | 14) {
            events.push(Event::of_chunk(*kind, *flags));
        } else {
            packet.flags |= sctp_flags::NEUTRAL;
        }
        // INIT and INIT ACK up to their parameters.
        if matches!(kind, 1 | 2) {
            let init = chunks.get(at..at + 20)?;
            packet.init_tag = u32::from_be_bytes([init[4], init[5], init[6], init[7]]);
        }
        packet.flags |= match kind {
            0 => sctp_flags::DATA,
            1 | 4 | 5 | 8 | 10 => sctp_flags::OWN_TAG_RULE,
            6 | 14 => sctp_flags::OWN_TAG_RULE | sctp_flags::ANSWER,
            11 => sctp_flags::ANSWER,
            _ => 0,
        };
        kinds.push(*kind);
        at += length.next_multiple_of(4);
    }
    // INIT, INIT ACK and SHUTDOWN COMPLETE stand alone; cookies come first.
    let alone = kinds.len() > 1 && kinds.iter().any(|kind| matches!(kind, 1 | 2 | 14));
    let late = kinds.iter().skip(1).any(|kind| matches!(kind, 10 | 11));
    if kinds.is_empty() || alone || late || events.len() > EVENTS {
        return None;
    }
    packet.count = events.len() as u8;
    for event in events.into_iter().rev() {
        packet.events = packet.events << Event::BITS | event as u32;
    }
    Some(packet)
}
