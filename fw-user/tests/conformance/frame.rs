//! From a packet of a script to the bytes of its frame.

use std::net::IpAddr;

use fw_common::wire::{Family, proto};
use xtask::lab;

use super::script::{Body, Oddity, Packet, Sctp, Split, Tcp, Who};

/// Hardware addresses of a frame's two ends, in the lab's own numbers, for the side it comes from.
const MACS: [[[u8; 6]; 2]; 2] = [
    [[2, 0, 0, 0, 1, 1], [2, 0, 0, 0, 1, 2]],
    [[2, 0, 0, 0, 2, 1], [2, 0, 0, 0, 2, 2]],
];

/// Ethernet header, of a frame without a VLAN tag.
pub(crate) const ETHERNET: usize = 14;

/// The address of `who` in the script that runs as number `case`, IPv4 in the first four bytes.
pub(crate) fn address(family: Family, who: Who, case: u16) -> [u8; 16] {
    let net = 1 + who as u8;
    let [hi, lo] = case.to_be_bytes();
    let mut address = [0; 16];
    match family {
        Family::V4 => address[..4].copy_from_slice(&[10, 100 + net, hi, lo]),
        Family::V6 => {
            address[..4].copy_from_slice(&[0x20, 0x01, 0x0d, 0xb8]);
            [address[4], address[14], address[15]] = [net, hi, lo];
        }
    }
    address
}

/// The router's address on a side, IPv4 in the first four bytes.
fn router(family: Family, side: usize) -> [u8; 16] {
    let address = match (family, side) {
        (Family::V4, 0) => lab::ROUTER_ETH0_V4,
        (Family::V4, _) => lab::ROUTER_ETH1_V4,
        (Family::V6, 0) => lab::ROUTER_ETH0_V6,
        (Family::V6, _) => lab::ROUTER_ETH1_V6,
    };
    let mut bytes = [0; 16];
    match address {
        IpAddr::V4(address) => bytes[..4].copy_from_slice(&address.octets()),
        IpAddr::V6(address) => bytes = address.octets(),
    }
    bytes
}

/// The family of an address of the lab.
pub(crate) const fn family_of(address: &[u8; 16]) -> Family {
    if address[0] == 0x20 && address[1] == 1 {
        Family::V6
    } else {
        Family::V4
    }
}

/// The number of the script that an address belongs to, if it is of one.
pub(crate) fn case_of(family: Family, address: &[u8; 16]) -> Option<u16> {
    let numbered = match family {
        Family::V4 => address[0] == 10 && (101..=104).contains(&address[1]),
        Family::V6 => address[..4] == [0x20, 0x01, 0x0d, 0xb8] && (1..=4).contains(&address[4]),
    };
    let [hi, lo] = match family {
        Family::V4 => [address[2], address[3]],
        Family::V6 => [address[14], address[15]],
    };
    numbered.then_some(u16::from_be_bytes([hi, lo]))
}

/// Numbers of datagrams that one run of a script may use.
const NUMBERS: u32 = 32;

/// The frames of `packet`, each with the number of the fragment that it is. `turn` is the number of the
/// run: datagrams of different runs have different numbers, since the kernel waits up to a minute for what
/// is missing of one, and would put it together with fragments of another.
pub(crate) fn build(
    packet: &Packet,
    family: Family,
    case: u16,
    turn: u32,
) -> Vec<(usize, Vec<u8>)> {
    let whole = ip(packet, family, case);
    match packet.split() {
        None => vec![(0, frame(packet, family, &whole))],
        Some(split) => split
            .order
            .iter()
            .map(|piece| {
                (
                    *piece,
                    frame(
                        packet,
                        family,
                        &fragment(split, (*piece, turn), family, &whole),
                    ),
                )
            })
            .collect(),
    }
}

/// A frame that ends where its packet does. The kernel does not pass on what a sender has padded it with;
/// XDP does, and nobody reads it.
pub(crate) fn unpadded(family: Family, mut frame: Vec<u8>) -> Vec<u8> {
    let length = |at: usize| usize::from(u16::from_be_bytes([frame[at], frame[at + 1]]));
    let end = ETHERNET
        + match family {
            Family::V4 => length(ETHERNET + 2),
            Family::V6 => length(ETHERNET + 4) + 40,
        };
    frame.truncate(end);
    frame
}

fn frame(packet: &Packet, family: Family, ip: &[u8]) -> Vec<u8> {
    let [dst, src] = if packet.has(&Oddity::FromRouter) {
        let [router, host] = MACS[packet.dst.side()];
        [host, router]
    } else {
        MACS[packet.src.side()]
    };
    let ethertype: u16 = if family == Family::V4 { 0x0800 } else { 0x86dd };
    let mut frame = [&dst[..], &src, &ethertype.to_be_bytes(), ip].concat();
    for oddity in &packet.oddities {
        if let Oddity::Padding(bytes) = oddity {
            frame.resize(frame.len() + usize::from(*bytes), 0xee);
        }
    }
    frame
}

/// The fragment number `piece` of an IP packet without options or extension headers.
fn fragment(split: &Split, (piece, turn): (usize, u32), family: Family, whole: &[u8]) -> Vec<u8> {
    let (header, data) = whole.split_at(if family == Family::V4 { 20 } else { 40 });
    let mut header = header.to_vec();
    let cut = |n: usize| split.cuts.get(n).map(|at| usize::from(*at));
    let start = piece
        .checked_sub(1)
        .and_then(cut)
        .unwrap_or(0)
        .min(data.len());
    let end = cut(piece).map_or(data.len(), |at| at + usize::from(split.overlap));
    let more = cut(piece).is_some();
    let data = &data[start..end.clamp(start, data.len())];
    assert!(u32::from(split.id) < NUMBERS, "{split:?}");
    let id = turn.wrapping_mul(NUMBERS).wrapping_add(split.id.into());
    if family == Family::V4 {
        header[2..4].copy_from_slice(&(20 + data.len() as u16).to_be_bytes());
        header[4..6].copy_from_slice(&(id as u16).to_be_bytes());
        let field = (start / 8) as u16 | u16::from(more) << 13;
        header[6..8].copy_from_slice(&field.to_be_bytes());
        header[10..12].fill(0);
        let sum = checksum(&[&header]);
        header[10..12].copy_from_slice(&sum.to_be_bytes());
    } else {
        header[4..6].copy_from_slice(&(8 + data.len() as u16).to_be_bytes());
        let next = std::mem::replace(&mut header[6], 44);
        header.extend([next, 0]);
        header.extend((start as u16 | u16::from(more)).to_be_bytes());
        header.extend(id.to_be_bytes());
    }
    [&header, data].concat()
}

/// The IP packet.
fn ip(packet: &Packet, family: Family, case: u16) -> Vec<u8> {
    let mut src = address(family, packet.src, case);
    let mut dst = address(family, packet.dst, case);
    for oddity in &packet.oddities {
        match oddity {
            Oddity::Source(address) => src = *address,
            Oddity::Destination(address) => dst = *address,
            Oddity::Land => src = dst,
            Oddity::Spoofed => src = address(family, packet.dst.neighbour(), case),
            Oddity::ToRouter => dst = router(family, packet.src.side()),
            Oddity::FromRouter => src = router(family, packet.dst.side()),
            _ => {}
        }
    }
    let transport = transport(packet, family, case, &src, &dst);
    match family {
        Family::V4 => v4(packet, &src, &dst, &transport),
        Family::V6 => v6(packet, &src, &dst, &transport),
    }
}

fn v4(packet: &Packet, src: &[u8; 16], dst: &[u8; 16], transport: &[u8]) -> Vec<u8> {
    let (mut ttl, mut field, mut options, mut version) = (64, 0x4000u16, &[][..], 4);
    for oddity in &packet.oddities {
        match oddity {
            Oddity::Ttl(value) => ttl = *value,
            Oddity::Fragment(value) => field = *value,
            Oddity::Options(bytes) => options = bytes,
            Oddity::Version(value) => version = *value,
            _ => {}
        }
    }
    let ihl = 20 + options.len();
    let mut header = vec![version << 4 | (ihl / 4) as u8, 0];
    header.extend(((ihl + transport.len()) as u16).to_be_bytes());
    header.extend([0x12, 0x34]);
    header.extend(field.to_be_bytes());
    header.extend([ttl, packet.proto(Family::V4), 0, 0]);
    header.extend([&src[..4], &dst[..4], options].concat());
    let sum = checksum(&[&header]) ^ u16::from(packet.has(&Oddity::BadHeaderChecksum));
    header[10..12].copy_from_slice(&sum.to_be_bytes());
    [&header, transport].concat()
}

fn v6(packet: &Packet, src: &[u8; 16], dst: &[u8; 16], transport: &[u8]) -> Vec<u8> {
    let (mut hops, mut next, mut between, mut version) = (64, packet.proto(Family::V6), &[][..], 6);
    for oddity in &packet.oddities {
        match oddity {
            Oddity::Ttl(value) => hops = *value,
            Oddity::Headers(first, bytes) => (next, between) = (*first, bytes),
            Oddity::Version(value) => version = *value,
            _ => {}
        }
    }
    let mut packet = vec![version << 4, 0, 0, 0];
    packet.extend(((between.len() + transport.len()) as u16).to_be_bytes());
    packet.extend([next, hops]);
    packet.extend([&src[..], dst, between, transport].concat());
    packet
}

/// Transport header and payload.
fn transport(p: &Packet, family: Family, case: u16, src: &[u8; 16], dst: &[u8; 16]) -> Vec<u8> {
    let (mut bytes, sum_at) = match &p.body {
        Body::Tcp(segment) => (tcp(segment), Some(16)),
        Body::Udp { ports, payload } => (udp(*ports, *payload, 8 + payload), Some(6)),
        Body::UdpLite { ports, payload } => (udp(*ports, *payload, 0), Some(6)),
        Body::Sctp(packet) => (sctp(packet), None),
        Body::Icmp {
            kind,
            code,
            id,
            payload,
        } => (icmp(*kind, *code, *id, payload), Some(2)),
        Body::Error {
            kind,
            code,
            quote,
            keep,
        } => {
            let mut quoted = ip(quote, family, case);
            quoted.truncate(usize::from(*keep));
            (icmp(*kind, *code, 0, &quoted), Some(2))
        }
        Body::Raw { payload, .. } => (payload.clone(), None),
    };
    for oddity in &p.oddities {
        match oddity {
            Oddity::UdpLength(value) => bytes[4..6].copy_from_slice(&value.to_be_bytes()),
            Oddity::DataOffset(words) => bytes[12] = words << 4,
            _ => {}
        }
    }
    for oddity in &p.oddities {
        if let Oddity::Cut(len) = oddity {
            bytes.truncate(usize::from(*len));
        }
    }
    if let Body::Sctp(_) = p.body
        && bytes.len() >= 12
        && !p.has(&Oddity::NoChecksum)
    {
        let crc = crc32c(&bytes) ^ u32::from(p.has(&Oddity::BadChecksum));
        bytes[8..12].copy_from_slice(&crc.to_le_bytes());
    }
    if let Some(at) = sum_at.filter(|at| at + 2 <= bytes.len()) {
        let sum = transport_checksum(p, family, &bytes, src, dst);
        bytes[at..at + 2].copy_from_slice(&sum.to_be_bytes());
    }
    bytes
}

fn transport_checksum(
    p: &Packet,
    family: Family,
    bytes: &[u8],
    src: &[u8; 16],
    dst: &[u8; 16],
) -> u16 {
    if p.has(&Oddity::NoChecksum) {
        return 0;
    }
    let pseudo_proto = p.oddities.iter().find_map(|oddity| match oddity {
        Oddity::PseudoProto(proto) => Some(*proto),
        _ => None,
    });
    let proto = pseudo_proto.unwrap_or(p.proto(family));
    let pseudo = [
        &src[..],
        dst,
        &[0, proto],
        &(bytes.len() as u16).to_be_bytes(),
    ]
    .concat();
    let with_pseudo = proto != proto::ICMP;
    // UDP-Lite's own length is not in it where the coverage is shorter; the sum covers the header.
    let covered = match (&p.body, coverage(p)) {
        (Body::UdpLite { .. }, Some(covered @ 8..)) => covered.min(bytes.len()),
        _ => bytes.len(),
    };
    let sum = checksum(&[if with_pseudo { &pseudo } else { &[] }, &bytes[..covered]]);
    match sum {
        sum if p.has(&Oddity::BadChecksum) => sum ^ 0x0101,
        0 if with_pseudo => 0xffff,
        sum => sum,
    }
}

fn coverage(p: &Packet) -> Option<usize> {
    p.oddities.iter().find_map(|oddity| match oddity {
        Oddity::UdpLength(value) => Some(usize::from(*value)),
        _ => None,
    })
}

fn tcp(segment: &Tcp) -> Vec<u8> {
    let mut options = segment.options.clone();
    options.resize(options.len().next_multiple_of(4), 0);
    let mut bytes = ports(segment.ports);
    bytes.extend(segment.seq.to_be_bytes());
    bytes.extend(segment.ack.to_be_bytes());
    bytes.extend([(((20 + options.len()) / 4) << 4) as u8, segment.flags]);
    bytes.extend(segment.window.to_be_bytes());
    bytes.extend([0; 4]);
    bytes.extend(options);
    bytes.resize(bytes.len() + usize::from(segment.payload), b'x');
    bytes
}

fn udp(numbers: [u16; 2], payload: u16, length: u16) -> Vec<u8> {
    let mut bytes = ports(numbers);
    bytes.extend(length.to_be_bytes());
    bytes.extend([0, 0]);
    bytes.resize(8 + usize::from(payload), b'x');
    bytes
}

fn sctp(packet: &Sctp) -> Vec<u8> {
    let mut bytes = ports(packet.ports);
    bytes.extend(packet.tag.to_be_bytes());
    bytes.extend([0; 4]);
    for chunk in &packet.chunks {
        let length = chunk.length.unwrap_or(4 + chunk.value.len() as u16);
        bytes.extend([chunk.kind, chunk.flags]);
        bytes.extend(length.to_be_bytes());
        bytes.extend(&chunk.value);
        bytes.resize(bytes.len().next_multiple_of(4), 0);
    }
    bytes
}

/// SCTP's checksum (RFC 9260, appendix A), bit by bit.
fn crc32c(bytes: &[u8]) -> u32 {
    let bit = |crc: u32, _| crc >> 1 ^ (0x82f6_3b78 & 0u32.wrapping_sub(crc & 1));
    let byte = |crc: u32, byte: &u8| (0..8).fold(crc ^ u32::from(*byte), bit);
    !bytes.iter().fold(u32::MAX, byte)
}

fn icmp(kind: u8, code: u8, id: u16, payload: &[u8]) -> Vec<u8> {
    let [hi, lo] = id.to_be_bytes();
    [&[kind, code, 0, 0, hi, lo, 0, 1][..], payload].concat()
}

fn ports(ports: [u16; 2]) -> Vec<u8> {
    ports.iter().flat_map(|port| port.to_be_bytes()).collect()
}

/// The Internet checksum (RFC 1071) of some parts, each but the last of an even length.
pub(crate) fn checksum(parts: &[&[u8]]) -> u16 {
    let word = |pair: &[u8]| u32::from(pair[0]) << 8 | u32::from(*pair.get(1).unwrap_or(&0));
    let sum: u32 = parts.iter().flat_map(|part| part.chunks(2)).map(word).sum();
    let folded = (sum >> 16) + (sum & 0xffff);
    !((folded >> 16) + folded) as u16
}
