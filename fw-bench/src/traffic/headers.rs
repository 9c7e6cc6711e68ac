//! The headers that packets of one plan have in common, with zeroes in the fields that vary.

use std::net::IpAddr;

use super::segment::{SCALING, SYN, Segment};
use super::{Family, Traffic};
use crate::abi::HEADER_WORDS;

/// Length of the Ethernet header.
const ETHER: usize = 14;
/// Length of the IPv4 header.
const IPV4: u16 = 20;
const TCP: u8 = 6;
const UDP: u8 = 17;

/// Headers from Ethernet on.
pub(super) struct Headers {
    bytes: Vec<u8>,
    /// Sum of the IPv4 header; of IPv6 without a meaning.
    pub(super) ip_sum: u32,
    /// Sum of the transport header and its pseudo-header; 0 if there is no checksum.
    pub(super) l4_sum: u32,
}

impl Headers {
    /// The headers of `traffic`, whose packets are `segment` if it is TCP.
    pub(super) fn of(traffic: &Traffic, segment: &Segment) -> Self {
        let udp = traffic.kind.is_udp();
        let payload = if udp {
            udp_payload(traffic.family)
        } else {
            segment.payload as u16
        };
        let header = if udp { 8 } else { tcp_header(segment) };
        // Of a mix the generator writes the lengths.
        let length = if traffic.is_mix() {
            0
        } else {
            header + payload
        };
        let transport = if udp {
            datagram(traffic, length)
        } else {
            tcp(traffic, segment)
        };
        let mut bytes = ethernet(traffic);
        let proto = if udp { UDP } else { TCP };
        bytes.extend(ip(traffic, proto, length));
        let ip_sum = sum(&bytes[ETHER..ETHER + usize::from(IPV4)]);
        bytes.extend(&transport);
        // IPv4's UDP goes without a checksum, as if a NIC had verified it: the kernel would otherwise
        // walk through the payload, and we would not. IPv6 demands one (RFC 8200 §8.1).
        let bare = udp && traffic.family == Family::V4;
        let pseudo = || pseudo_header(traffic, proto, length);
        let l4_sum = if bare {
            0
        } else {
            sum(&pseudo()) + sum(&transport)
        };
        Self {
            bytes,
            ip_sum,
            l4_sum,
        }
    }

    /// As the generator writes them: words, in the machine's byte order.
    pub(super) fn words(&self) -> [u32; HEADER_WORDS] {
        let mut words = [0; HEADER_WORDS];
        for (word, bytes) in words.iter_mut().zip(self.bytes.chunks(4)) {
            let mut whole = [0; 4];
            whole[..bytes.len()].copy_from_slice(bytes);
            *word = u32::from_ne_bytes(whole);
        }
        words
    }
}

/// What fills the shortest frame.
fn udp_payload(family: Family) -> u16 {
    match family {
        Family::V4 => 18,
        Family::V6 => 2,
    }
}

fn options(segment: &Segment) -> &'static [u8] {
    if segment.flags & SYN != 0 {
        &SCALING
    } else {
        &[]
    }
}

fn tcp_header(segment: &Segment) -> u16 {
    20 + options(segment).len() as u16
}

/// The hosts of the lab have fixed hardware addresses.
fn ethernet(traffic: &Traffic) -> Vec<u8> {
    let side = if traffic.reply { 2 } else { 1 };
    let (router, host) = ([2, 0, 0, 0, side, 1], [2, 0, 0, 0, side, 2]);
    let proto = match traffic.family {
        Family::V4 => [0x08, 0x00],
        Family::V6 => [0x86, 0xdd],
    };
    [&router[..], &host, &proto].concat()
}

/// Time to live 64, not to be fragmented.
fn ip(traffic: &Traffic, proto: u8, length: u16) -> Vec<u8> {
    match traffic.family {
        Family::V4 => {
            let total = if length == 0 { 0 } else { length + IPV4 };
            let [high, low] = total.to_be_bytes();
            let fixed = [0x45, 0, high, low, 0, 0, 0x40, 0, 64, proto, 0, 0];
            [&fixed[..], &addresses(traffic)].concat()
        }
        Family::V6 => {
            let [high, low] = length.to_be_bytes();
            let fixed = [0x60, 0, 0, 0, high, low, proto, 64];
            [&fixed[..], &addresses(traffic)].concat()
        }
    }
}

/// Source and destination.
fn addresses(traffic: &Traffic) -> Vec<u8> {
    let (client, server) = traffic.addresses();
    let octets = |address| match address {
        IpAddr::V4(address) => address.octets().to_vec(),
        IpAddr::V6(address) => address.octets().to_vec(),
    };
    let (from, to) = if traffic.reply {
        (server, client)
    } else {
        (client, server)
    };
    [octets(from), octets(to)].concat()
}

/// The client's port is the generator's.
fn ports(traffic: &Traffic) -> Vec<u8> {
    let server = traffic.port.to_be_bytes();
    if traffic.reply {
        [server, [0; 2]].concat()
    } else {
        [[0; 2], server].concat()
    }
}

fn datagram(traffic: &Traffic, length: u16) -> Vec<u8> {
    [ports(traffic), length.to_be_bytes().to_vec(), vec![0; 2]].concat()
}

/// Both numbers and the checksum are the generator's.
fn tcp(traffic: &Traffic, segment: &Segment) -> Vec<u8> {
    let words = tcp_header(segment) as u8 / 4;
    let fixed = [words << 4, segment.flags, 0xff, 0xff, 0, 0, 0, 0];
    [&ports(traffic)[..], &[0; 8], &fixed, options(segment)].concat()
}

fn pseudo_header(traffic: &Traffic, proto: u8, length: u16) -> Vec<u8> {
    [
        addresses(traffic),
        length.to_be_bytes().to_vec(),
        vec![0, proto],
    ]
    .concat()
}

/// The sum of 16-bit words as they are in memory (RFC 1071 §2 (B)).
fn sum(bytes: &[u8]) -> u32 {
    let words = bytes.chunks_exact(2);
    words
        .map(|word| u32::from(u16::from_ne_bytes([word[0], word[1]])))
        .sum()
}
