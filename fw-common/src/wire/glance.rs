//! Headers of the packets that nearly all packets are, read at one glance.
//!
//! [`glance4`] and [`glance6`], then [`Network::datagram`] and [`Network::segment`], take what [`super::parse`] would
//! accept without a second thought and say nothing of anything else: that is parsed. What they read is what `parse`
//! reads, which is what its tests prove, in the numbers that the flow's look-up wants; nothing of it has to be written
//! to memory.

use network_types::eth::EthHdr;
use network_types::ip::{Ipv4Hdr, Ipv6Hdr};
use network_types::tcp::TcpHdr;
use network_types::udp::UdpHdr;

use super::layout::{be16, byte, field};
use super::{Packet, TcpSegment, checksum, fragment, ipv4, ipv6, proto, tcp, udp};

/// Version 4, and a header of five words.
const V4_NO_OPTIONS: u8 = 0x45;

/// An address, in network byte order.
pub trait Address: Copy {
    /// Where the transport header of a packet without options is.
    const L4: usize;
    /// Its bytes as in [`super::Meta`].
    fn octets(self) -> [u8; 16];
    /// Sum of its words for a pseudo-header.
    fn sum(self) -> u64;
}

impl Address for u32 {
    const L4: usize = EthHdr::LEN + Ipv4Hdr::LEN;

    #[inline(always)]
    fn octets(self) -> [u8; 16] {
        u128::from(u32::from_le_bytes(self.to_ne_bytes())).to_le_bytes()
    }

    #[inline(always)]
    fn sum(self) -> u64 {
        u64::from(self)
    }
}

impl Address for u128 {
    const L4: usize = EthHdr::LEN + Ipv6Hdr::LEN;

    #[inline(always)]
    fn octets(self) -> [u8; 16] {
        self.to_ne_bytes()
    }

    #[inline(always)]
    fn sum(self) -> u64 {
        checksum::words(&self.to_ne_bytes())
    }
}

/// The network header of a whole packet: untagged (see [`super::Untagged`]), in one piece of memory, without options or extension headers,
/// with a TTL or hop limit that it survives.
///
/// Whether its addresses make sense is not looked at: it is of a flow that begins with packets of which
/// [`super::parse`] has said so, or it is of none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Network<A> {
    /// Source address.
    pub src: A,
    /// Destination address.
    pub dst: A,
    /// As in [`super::Meta`].
    pub l3_len: u16,
    /// As in [`super::Meta`].
    pub l4_len: u16,
    /// As in [`super::Meta`].
    pub proto: u8,
    /// As in [`super::Meta`].
    pub ttl: u8,
}

/// Such a packet, which is either UDP or a TCP segment that only goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Glance<A> {
    /// What the network header says.
    pub network: Network<A>,
    /// As in [`super::Meta`].
    pub sport: u16,
    /// As in [`super::Meta`].
    pub dport: u16,
    /// The checksum field of the transport header, as it is in memory.
    pub check: u16,
    /// As in [`super::Meta`], of TCP.
    pub tcp: TcpSegment,
}

/// An IPv4 packet's header. `None`: it has to be parsed.
#[inline(always)]
pub fn glance4<P: Packet + ?Sized>(packet: &P) -> Option<Network<u32>> {
    const PARTS: u16 = fragment::V4_OFFSET | fragment::V4_MORE;
    let raw: [u8; Ipv4Hdr::LEN] = packet.read(EthHdr::LEN)?;
    let l3_len = be16!(raw, Ipv4Hdr, tot_len);
    if byte!(raw, Ipv4Hdr, vihl) != V4_NO_OPTIONS
        || be16!(raw, Ipv4Hdr, frags) & PARTS != 0
        || byte!(raw, Ipv4Hdr, ttl) <= 1
        || usize::from(l3_len) < Ipv4Hdr::LEN
        || EthHdr::LEN + usize::from(l3_len) > packet.linear_len()
    {
        return None;
    }
    ipv4::verify_checksum(packet, EthHdr::LEN, &raw, Ipv4Hdr::LEN).ok()?;
    Some(Network {
        src: u32::from_ne_bytes(field!(raw, Ipv4Hdr, src_addr)),
        dst: u32::from_ne_bytes(field!(raw, Ipv4Hdr, dst_addr)),
        l3_len,
        l4_len: l3_len.wrapping_sub(Ipv4Hdr::LEN as u16),
        proto: byte!(raw, Ipv4Hdr, proto),
        ttl: byte!(raw, Ipv4Hdr, ttl),
    })
}

/// An IPv6 packet's header. An extension header is a protocol that is neither TCP nor UDP.
#[inline(always)]
pub fn glance6<P: Packet + ?Sized>(packet: &P) -> Option<Network<u128>> {
    let raw: [u8; Ipv6Hdr::LEN] = packet.read(EthHdr::LEN)?;
    let l4_len = be16!(raw, Ipv6Hdr, payload_len);
    let end = EthHdr::LEN + Ipv6Hdr::LEN + usize::from(l4_len);
    ipv6::check_version(&raw).ok()?;
    if byte!(raw, Ipv6Hdr, hop_limit) <= 1 || end > packet.linear_len() {
        return None;
    }
    Some(Network {
        src: u128::from_ne_bytes(field!(raw, Ipv6Hdr, src_addr)),
        dst: u128::from_ne_bytes(field!(raw, Ipv6Hdr, dst_addr)),
        l3_len: l4_len.saturating_add(Ipv6Hdr::LEN as u16),
        l4_len,
        proto: byte!(raw, Ipv6Hdr, next_hdr),
        ttl: byte!(raw, Ipv6Hdr, hop_limit),
    })
}

impl<A: Address> Network<A> {
    /// The packet with its UDP header.
    #[inline(always)]
    pub fn datagram<P: Packet + ?Sized>(self, packet: &P) -> Option<Glance<A>> {
        let raw: [u8; UdpHdr::LEN] = packet.read(A::L4)?;
        if !udp::is_length(be16!(raw, UdpHdr, len), self.l4_len) {
            return None;
        }
        Some(Glance {
            network: self.of(proto::UDP),
            sport: be16!(raw, UdpHdr, src),
            dport: be16!(raw, UdpHdr, dst),
            check: u16::from_ne_bytes(field!(raw, UdpHdr, check)),
            tcp: TcpSegment::default(),
        })
    }

    /// The packet with its TCP header.
    #[inline(always)]
    pub fn segment<P: Packet + ?Sized>(self, packet: &P) -> Option<Glance<A>> {
        let raw: [u8; TcpHdr::LEN] = packet.read(A::L4)?;
        // From the lengths the compiler knows that options are in the frame, and leaves out the comparison with the
        // frame's end that the verifier wants to see.
        let len = core::hint::black_box(self.l4_len);
        Some(Glance {
            network: self.of(proto::TCP),
            sport: be16!(raw, TcpHdr, source),
            dport: be16!(raw, TcpHdr, dest),
            check: u16::from_ne_bytes(field!(raw, TcpHdr, check)),
            tcp: tcp::plain(packet, &raw, A::L4, len)?,
        })
    }

    /// The same, of a protocol that the compiler knows: what is not done with it falls away.
    #[inline(always)]
    const fn of(self, proto: u8) -> Self {
        Self { proto, ..self }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::testing::{L3, L4, fix_ipv4, tcp, udp, v4, v6};

    fn datagram4(frame: &[u8]) -> Option<Glance<u32>> {
        glance4(frame)?.datagram(frame)
    }

    fn datagram6(frame: &[u8]) -> Option<Glance<u128>> {
        glance6(frame)?.datagram(frame)
    }

    #[test]
    fn udp_is_as_long_as_its_packet_at_most() {
        let frame = v4(proto::UDP, &udp(b"data"));
        for (len, seen) in [(0, false), (7, false), (8, true), (12, true), (13, false)] {
            let mut frame = frame.clone();
            frame[L4 + 5] = len;
            assert_eq!(datagram4(&frame).is_some(), seen, "{len}");
        }
    }

    #[test]
    fn packet_is_as_long_as_its_frame_at_most() {
        let frame = v4(proto::UDP, &udp(b"data"));
        for (total, seen) in [(19, false), (27, false), (32, true), (33, false)] {
            let mut frame = frame.clone();
            frame[L3 + 3] = total;
            fix_ipv4(&mut frame);
            assert_eq!(datagram4(&frame).is_some(), seen, "{total}");
        }
        let frame = v6(proto::UDP, &udp(b"data"));
        for (len, seen) in [(7, false), (12, true), (13, false)] {
            let mut frame = frame.clone();
            frame[L3 + 5] = len;
            assert_eq!(datagram6(&frame).is_some(), seen, "{len}");
        }
    }

    #[test]
    fn segment_only_goes_on() {
        let stamp = [1, 1, 8, 10, 0, 0, 0, 1, 0, 0, 0, 2];
        let other = [1, 1, 5, 10, 0, 0, 0, 1, 0, 0, 0, 2];
        for (flags, options, seen) in [
            (0x10, &[][..], true),
            (0x18, &stamp, true),
            (0xd0, &stamp, true),
            (0x10, &other, false),
            (0x10, &stamp[..4], false),
            (0x00, &[], false),
            (0x11, &[], false),
            (0x12, &[], false),
            (0x14, &[], false),
            (0x30, &[], false),
        ] {
            let frame = v4(proto::TCP, &tcp(flags, options, b"data"));
            let glance = glance4(&frame[..]).and_then(|network| network.segment(&frame[..]));
            assert_eq!(glance.is_some(), seen, "{flags:#x} {options:?}");
            if let Some(Glance { tcp, .. }) = glance {
                assert_eq!((tcp.flags, tcp.payload), (flags, 4));
            }
        }
    }
}
