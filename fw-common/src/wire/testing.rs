//! Frames for the tests beside the headers: built byte by byte, so that every byte can be wrong.

use super::{Family, Fragment, Meta, Packet, SctpPacket, TcpSegment, parse};
use crate::Reason;

/// Offset of the IP header in frames of [`v4`] and [`v6`].
pub(crate) const L3: usize = 14;
/// Offset of the transport header in frames of [`v4`].
pub(crate) const L4: usize = L3 + 20;
/// Offset of what follows the IPv6 header in frames of [`v6`].
pub(crate) const L4_V6: usize = L3 + 40;

/// Source address of [`v4`].
pub(crate) const V4_SRC: [u8; 4] = [192, 0, 2, 1];
/// Destination address of [`v4`].
pub(crate) const V4_DST: [u8; 4] = [198, 51, 100, 2];
/// Source address of [`v6`].
pub(crate) const V6_SRC: [u8; 16] = [0x20, 1, 0xd, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1];
/// Destination address of [`v6`].
pub(crate) const V6_DST: [u8; 16] = [0x20, 1, 0xd, 0xb8, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 2];

/// What memory holds before a packet is read into it: leftovers everywhere.
pub(crate) const LEFTOVERS: Meta = Meta {
    src: [0xa5; 16],
    dst: [0xa5; 16],
    tcp: TcpSegment {
        seq: 0xa5a5_a5a5,
        ack: 0xa5a5_a5a5,
        sack: 0xa5a5_a5a5,
        payload: 0xa5a5,
        window: 0xa5a5,
        flags: 0xa5,
        wscale: 0xa5,
        options: 0xa5,
        cursor: 0xa5,
    },
    sctp: SctpPacket {
        events: 0xa5a5_a5a5,
        tag: 0xa5a5_a5a5,
        init_tag: 0xa5a5_a5a5,
        cursor: 0xa5a5,
        flags: 0xa5,
        count: 0xa5,
    },
    l3_offset: 0xa5a5,
    l4_offset: 0xa5a5,
    l3_len: 0xa5a5,
    l4_len: 0xa5a5,
    sport: 0xa5a5,
    dport: 0xa5a5,
    vlan: [0xa5a5; 2],
    first_word: 0xa5a5_a5a5,
    frag_id: 0xa5a5_a5a5,
    frag_offset: 0xa5a5,
    frag_len: 0xa5a5,
    proto: 0xa5,
    ttl: 0xa5,
    icmp_type: 0xa5,
    icmp_code: 0xa5,
    family: Family::V6,
    fragment: Fragment::Later,
    flags: 0xff,
    gre_version: 0xa5,
};

/// Parses `frame` over [`LEFTOVERS`].
pub(crate) fn read(frame: &[u8]) -> (Result<(), Reason>, Meta) {
    let mut meta = LEFTOVERS;
    (parse(frame, &mut meta), meta)
}

/// Parses a frame that has nothing wrong.
#[track_caller]
pub(crate) fn accept(frame: &[u8]) -> Meta {
    let (result, meta) = read(frame);
    assert_eq!(result, Ok(()));
    meta
}

/// Why a frame is refused.
#[track_caller]
pub(crate) fn refuse(frame: &[u8]) -> Reason {
    read(frame).0.expect_err("the frame must be refused")
}

/// An Ethernet frame.
pub(crate) fn ethernet(ethertype: u16, payload: &[u8]) -> Vec<u8> {
    let mut frame = vec![2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2];
    frame.extend(ethertype.to_be_bytes());
    frame.extend(payload);
    frame
}

/// The Internet checksum, word by word as in RFC 1071's own words.
pub(crate) fn checksum(parts: &[&[u8]]) -> u16 {
    let mut sum = 0u32;
    for word in parts.concat().chunks(2) {
        let low = word.get(1).copied().unwrap_or(0);
        sum += u32::from(u16::from_be_bytes([word[0], low]));
        sum = (sum & 0xffff) + (sum >> 16);
    }
    !(sum as u16)
}

/// Writes the right checksum into the IPv4 header of a frame without tags.
pub(crate) fn fix_ipv4(frame: &mut [u8]) {
    let end = L3 + usize::from(frame[L3] & 0xf) * 4;
    frame[L3 + 10..L3 + 12].fill(0);
    let sum = checksum(&[&frame[L3..end]]);
    frame[L3 + 10..L3 + 12].copy_from_slice(&sum.to_be_bytes());
}

/// IPv4 with `options`, a multiple of four bytes.
pub(crate) fn v4_options(proto: u8, options: &[u8], payload: &[u8]) -> Vec<u8> {
    let total = (20 + options.len() + payload.len()) as u16;
    let mut packet = vec![0x40 | (5 + options.len() / 4) as u8, 0];
    packet.extend(total.to_be_bytes());
    packet.extend([0x12, 0x34, 0x40, 0, 64, proto, 0, 0]);
    packet.extend(V4_SRC);
    packet.extend(V4_DST);
    packet.extend(options);
    packet.extend(payload);
    let mut frame = ethernet(0x0800, &packet);
    fix_ipv4(&mut frame);
    frame
}

/// IPv4 without options.
pub(crate) fn v4(proto: u8, payload: &[u8]) -> Vec<u8> {
    v4_options(proto, &[], payload)
}

/// A fragment: IPv4 with this flags and offset field.
pub(crate) fn v4_fragment(proto: u8, field: u16, payload: &[u8]) -> Vec<u8> {
    let mut frame = v4(proto, payload);
    frame[L3 + 6..L3 + 8].copy_from_slice(&field.to_be_bytes());
    fix_ipv4(&mut frame);
    frame
}

/// IPv6, the first of whose next headers is `next`.
pub(crate) fn v6(next: u8, payload: &[u8]) -> Vec<u8> {
    let mut packet = vec![0x60, 0, 0, 0];
    packet.extend((payload.len() as u16).to_be_bytes());
    packet.extend([next, 64]);
    packet.extend(V6_SRC);
    packet.extend(V6_DST);
    packet.extend(payload);
    ethernet(0x86dd, &packet)
}

/// An extension header whose last six bytes are zero.
pub(crate) const fn extension(next: u8) -> [u8; 8] {
    [next, 0, 0, 0, 0, 0, 0, 0]
}

/// An IPv6 fragment header with this offset and flags field.
pub(crate) const fn fragment(next: u8, field: u16) -> [u8; 8] {
    let [a, b] = field.to_be_bytes();
    [next, 0, a, b, 0xde, 0xad, 0xbe, 0xef]
}

/// A TCP segment from port 1000 to 80 with sequence number 1, acknowledgement number 2.
pub(crate) fn tcp(flags: u8, options: &[u8], payload: &[u8]) -> Vec<u8> {
    let mut segment = vec![0x03, 0xe8, 0, 80, 0, 0, 0, 1, 0, 0, 0, 2];
    segment.extend([
        (5 + options.len() / 4) as u8 * 16,
        flags,
        0x10,
        0,
        0,
        0,
        0,
        0,
    ]);
    segment.extend(options);
    segment.extend(payload);
    segment
}

/// A UDP datagram from port 1000 to 53.
pub(crate) fn udp(payload: &[u8]) -> Vec<u8> {
    let len = (8 + payload.len()) as u16;
    let mut datagram = vec![0x03, 0xe8, 0, 53];
    datagram.extend(len.to_be_bytes());
    datagram.extend([0x12, 0x34]);
    datagram.extend(payload);
    datagram
}

/// A frame whose outer VLAN tag stands beside it: TPID and control information.
pub(crate) struct Stripped(pub(crate) Vec<u8>, pub(crate) u32);

impl Packet for Stripped {
    fn read<const N: usize>(&self, offset: usize) -> Option<[u8; N]> {
        self.0.as_slice().read(offset)
    }
    fn len(&self) -> usize {
        self.0.len()
    }
    fn tag(&self) -> u32 {
        self.1
    }
}
