//! The Internet checksum (RFC 1071).
//!
//! Sums are taken over 32-bit words in the machine's own byte order: the one's complement sum does
//! not care, as long as all words are read alike and the result is only compared with zero.

use network_types::tcp::TcpHdr;
use network_types::udp::UdpHdr;

use super::layout::be16;
use super::{Address, Family, Fragment, Glance, Meta, Packet, crc32c, meta_flags, proto};
use crate::Reason;

/// Bytes summed up at a time.
const BLOCK: usize = 32;

/// Longest SCTP packet that is verified: CRC32c takes ten times as long a byte as the other checksum,
/// and what opens, ends or moves an association is short.
const MAX_SCTP: usize = 2048;

/// Verifies the transport checksum of a parsed packet: TCP, UDP, UDP-Lite, ICMP, ICMPv6, SCTP. Correct
/// by definition are all other protocols, fragments, UDP without a checksum, and whatever has more
/// than `MAX` bytes to be summed up: BPF needs a bound, user space passes 65535.
///
/// # Errors
/// [`Reason::BadTransportChecksum`].
#[inline(always)]
pub fn verify<const MAX: usize, P: Packet + ?Sized>(packet: &P, meta: &Meta) -> Result<(), Reason> {
    // No path is remembered by which the caller got here.
    let meta = core::hint::black_box(meta);
    if meta.fragment != Fragment::Whole {
        return Ok(());
    }
    if meta.proto == proto::SCTP {
        return crc32c::verify::<MAX_SCTP, P>(packet, meta);
    }
    let Some((covered, pseudo)) = coverage(packet, meta) else {
        return Ok(());
    };
    if covered > MAX {
        return Ok(());
    }
    match sum::<MAX, P>(packet, meta.l4_start(), covered, pseudo) {
        Some(sum) if is_valid(sum) => Ok(()),
        _ => Err(Reason::BadTransportChecksum),
    }
}

/// Whether the checksum field of a TCP, UDP or SCTP packet holds no checksum but what Linux leaves there for
/// the NIC to finish (`CHECKSUM_PARTIAL`): the folded sum of the pseudo-header, of SCTP nothing.
///
/// Such frames are seen on interfaces whose other end is on this machine (veth, virtio, tun): the
/// sender's stack trusts memory and computes nothing. On a wire it would be a wrong checksum.
#[inline(always)]
pub fn is_left_to_nic<P: Packet + ?Sized>(packet: &P, meta: &Meta) -> bool {
    let field = match meta.proto {
        proto::TCP => core::mem::offset_of!(TcpHdr, check),
        proto::UDP => core::mem::offset_of!(UdpHdr, check),
        proto::SCTP => return crc32c::is_left_to_nic(packet, meta),
        _ => return false,
    };
    let Some(field) = packet.read(meta.l4_start() + field) else {
        return false;
    };
    let pseudo = pseudo_header(meta, usize::from(meta.l4_len));
    is_unfinished(u16::from_ne_bytes(field), pseudo)
}

/// [`is_left_to_nic`], of a packet that was read at one glance.
#[inline(always)]
pub fn is_left<A: Address>(Glance { network, check, .. }: &Glance<A>) -> bool {
    let addresses = network.src.sum() + network.dst.sum();
    is_unfinished(*check, addresses + rest(network.proto, network.l4_len))
}

/// Whether a checksum field, as it is in memory, holds the folded sum of the pseudo-header.
#[inline(always)]
const fn is_unfinished(field: u16, pseudo: u64) -> bool {
    is_valid(pseudo + !field as u64)
}

/// How many bytes from the transport header on the checksum covers, and the sum of the
/// pseudo-header before them. `None` if there is no checksum.
#[inline(always)]
fn coverage<P: Packet + ?Sized>(packet: &P, meta: &Meta) -> Option<(usize, u64)> {
    let all = usize::from(meta.l4_len);
    match (meta.family, meta.proto) {
        (_, proto::UDP) if meta.flags & meta_flags::NO_CHECKSUM != 0 => None,
        // UDP: also what follows the datagram, if its own length is shorter than the packet. The
        // receiver does not look at that, conntrack does (`nf_checksum`).
        (_, proto::TCP | proto::UDP) | (Family::V6, proto::ICMPV6) => {
            Some((all, pseudo_header(meta, all)))
        }
        (Family::V4, proto::ICMP) => Some((all, 0)),
        (_, proto::UDPLITE) => {
            let len = coverage_field(packet, meta)?;
            let covered = if len == 0 { all } else { len };
            Some((covered, pseudo_header(meta, all)))
        }
        _ => None,
    }
}

/// UDP-Lite's coverage. Parsing has found it to be within the packet; the minimum keeps to that,
/// whatever else was in `meta`.
#[inline(always)]
fn coverage_field<P: Packet + ?Sized>(packet: &P, meta: &Meta) -> Option<usize> {
    let raw: [u8; UdpHdr::LEN] = packet.read(meta.l4_start())?;
    Some(usize::from(be16!(raw, UdpHdr, len).min(meta.l4_len)))
}

/// Sum of addresses, protocol and length. IPv4 addresses are followed by zeros, which add nothing.
#[inline(always)]
fn pseudo_header(meta: &Meta, len: usize) -> u64 {
    words(&meta.src) + words(&meta.dst) + rest(meta.proto, len as u16)
}

/// Sum of what follows the addresses.
#[inline(always)]
const fn rest(protocol: u8, len: u16) -> u64 {
    (protocol as u16).to_be() as u64 + len.to_be() as u64
}

/// Adds `len` bytes from `offset` on to `sum`.
///
/// The odd pieces come first, each at an offset that is computed from `len` alone: so the many
/// lengths do not make as many paths for BPF's verifier, and the loop has nothing but whole blocks.
#[inline(always)]
fn sum<const MAX: usize, P: Packet + ?Sized>(
    packet: &P,
    offset: usize,
    len: usize,
    mut sum: u64,
) -> Option<u64> {
    if len & 16 != 0 {
        sum += words(&packet.read_deep::<16>(offset)?);
    }
    if len & 8 != 0 {
        sum += words(&packet.read_deep::<8>(offset + (len & 16))?);
    }
    if len & 4 != 0 {
        sum += words(&packet.read_deep::<4>(offset + (len & 24))?);
    }
    if len & 2 != 0 {
        sum += u64::from(u16::from_ne_bytes(packet.read_deep(offset + (len & 28))?));
    }
    let blocks = offset + (len & 30);
    for i in 0..MAX.div_ceil(BLOCK) {
        if (i + 1) * BLOCK > len & !1 {
            break;
        }
        sum += words(&packet.read_deep::<BLOCK>(blocks + i * BLOCK)?);
    }
    if len & 1 != 0 {
        // Together with its neighbour: the comparison of a single byte's address with the packet's
        // end compiles to a form that proves nothing to the verifier. The mask keeps the difference
        // a difference; as a negative displacement it would prove nothing either.
        let pair = len.wrapping_sub(2) & 0xffff;
        let [_, last] = packet.read_deep(offset + pair)?;
        sum += u64::from(u16::from_ne_bytes([last, 0]));
    }
    Some(sum)
}

/// Sum of the 32-bit words of `bytes`, whose number is a multiple of four.
#[inline(always)]
pub(super) fn words<const N: usize>(bytes: &[u8; N]) -> u64 {
    const { assert!(N.is_multiple_of(4)) };
    let (words, _) = bytes.as_chunks::<4>();
    words
        .iter()
        .map(|word| u64::from(u32::from_ne_bytes(*word)))
        .sum()
}

/// Whether a sum that includes the checksum is that of undamaged data: all ones when folded.
///
/// Each step keeps the sum modulo 0xffff. A sum below 2^48 (of 65536 words) is below 2^33 after the
/// first, below 0x3_0000 after the second and below 0x1_0002 after the third, where 0xffff is the
/// only multiple of 0xffff that is left.
#[inline(always)]
pub(super) const fn is_valid(sum: u64) -> bool {
    let sum = (sum & 0xffff_ffff) + (sum >> 32);
    let sum = (sum & 0xffff) + (sum >> 16);
    let sum = (sum & 0xffff) + (sum >> 16);
    sum == 0xffff
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::testing::{
        L3, L4, L4_V6, LEFTOVERS, accept, checksum, fragment, tcp, udp, v4, v4_fragment, v6,
    };

    const ICMP: u8 = 1;
    const ICMPV6: u8 = 58;

    /// Where the checksum is in a transport header.
    fn field(proto: u8) -> usize {
        match proto {
            proto::TCP => 16,
            ICMP | ICMPV6 => 2,
            _ => 6,
        }
    }

    /// The pseudo-header of a frame that [`v4`] or [`v6`] built, for `len` bytes of `proto`.
    fn pseudo(frame: &[u8], proto: u8, len: usize) -> Vec<u8> {
        let addresses = match frame[L3] >> 4 {
            _ if proto == ICMP => return Vec::new(),
            4 => &frame[L3 + 12..L3 + 20],
            _ => &frame[L3 + 8..L3 + 40],
        };
        let len = (len as u32).to_be_bytes();
        [addresses, &len, &[0, 0, 0, proto]].concat()
    }

    /// A frame with the right checksum over the first `covered` bytes of `payload`.
    fn signed(mut frame: Vec<u8>, l4: usize, proto: u8, covered: usize, len: usize) -> Vec<u8> {
        let at = l4 + field(proto);
        frame[at..at + 2].fill(0);
        let pseudo = pseudo(&frame, proto, len);
        let sum = checksum(&[&pseudo, &frame[l4..l4 + covered]]);
        frame[at..at + 2].copy_from_slice(&sum.to_be_bytes());
        frame
    }

    /// Frames of every protocol that has a checksum, with `data` bytes of payload; where their
    /// transport header is, and how much of them is covered.
    fn frames(data: usize) -> Vec<(Vec<u8>, usize, usize)> {
        let data: Vec<u8> = (0..data).map(|i| (i * 7 + 3) as u8).collect();
        let echo = [&[8, 0, 0, 0, 0, 1, 0, 1][..], &data].concat();
        [
            (proto::TCP, tcp(2, &[2, 4, 5, 0xb4], &data)),
            (proto::UDP, udp(&data)),
            (proto::UDPLITE, udp(&data)),
            (ICMP, echo.clone()),
            (ICMPV6, echo),
        ]
        .into_iter()
        .flat_map(|(proto, segment)| {
            let len = segment.len();
            let four = (proto != ICMPV6)
                .then(|| (signed(v4(proto, &segment), L4, proto, len, len), L4, len));
            let six = (proto != ICMP).then(|| {
                (
                    signed(v6(proto, &segment), L4_V6, proto, len, len),
                    L4_V6,
                    len,
                )
            });
            [four, six]
        })
        .flatten()
        .collect()
    }

    fn judge(frame: &[u8]) -> Result<(), Reason> {
        verify::<65535, [u8]>(frame, &accept(frame))
    }

    #[test]
    fn right_checksums_of_every_length() {
        for data in (0..140).chain([1459, 1460, 8191]) {
            for (frame, l4, _) in frames(data) {
                assert_eq!(judge(&frame), Ok(()), "{data} {l4} {}", frame[23]);
            }
        }
    }

    #[test]
    fn any_wrong_bit_is_seen() {
        for data in [0, 1, 2, 31, 32, 37, 63] {
            for (frame, l4, len) in frames(data) {
                for at in l4..l4 + len {
                    let mut frame = frame.clone();
                    frame[at] ^= 0x10;
                    let mut meta = LEFTOVERS;
                    // A bit in a length or offset field makes the header itself wrong.
                    if crate::wire::parse(&frame[..], &mut meta).is_ok() {
                        let verdict = verify::<65535, [u8]>(&frame, &meta);
                        let expected = Err(Reason::BadTransportChecksum);
                        assert_eq!(verdict, expected, "byte {}", at - l4);
                    }
                }
            }
        }
    }

    #[test]
    fn addresses_are_covered_except_by_icmp() {
        for (frame, l4, _) in frames(4) {
            let icmp = frame[L3 + 9] == ICMP && l4 == L4;
            let mut meta = accept(&frame);
            meta.src[1] ^= 1;
            let expected = if icmp {
                Ok(())
            } else {
                Err(Reason::BadTransportChecksum)
            };
            assert_eq!(verify::<65535, [u8]>(&frame, &meta), expected);
        }
    }

    #[test]
    fn udp_without_checksum_and_other_protocols_pass() {
        let mut datagram = udp(b"data");
        datagram[6..8].fill(0);
        assert_eq!(judge(&v4(proto::UDP, &datagram)), Ok(()));
        assert_eq!(judge(&v4(50, &[0xff; 32])), Ok(()));
    }

    #[test]
    fn udp_checksum_ends_with_the_packet() {
        let mut datagram = udp(b"datagram");
        datagram[4..6].copy_from_slice(&12u16.to_be_bytes());
        for (len, expected) in [(16, Ok(())), (12, Err(Reason::BadTransportChecksum))] {
            let frame = signed(v4(proto::UDP, &datagram), L4, proto::UDP, len, len);
            assert_eq!(judge(&frame), expected, "{len}");
        }
    }

    #[test]
    fn udp_lite_covers_what_it_says() {
        let mut datagram = udp(b"datagram");
        for (coverage, covered) in [(0u16, 16), (8, 8), (11, 11), (16, 16)] {
            datagram[4..6].copy_from_slice(&coverage.to_be_bytes());
            let frame = v4(proto::UDPLITE, &datagram);
            let mut frame = signed(frame, L4, proto::UDPLITE, covered, 16);
            assert_eq!(judge(&frame), Ok(()), "{coverage}");
            frame[L4 + 15] ^= 1;
            let expected = match covered {
                16 => Err(Reason::BadTransportChecksum),
                _ => Ok(()),
            };
            assert_eq!(judge(&frame), expected, "{coverage}");
        }
    }

    #[test]
    fn pseudo_header_sum_is_left_to_the_nic_and_nothing_else_is() {
        for (proto, segment) in [
            (proto::TCP, tcp(0, &[], b"data")),
            (proto::UDP, udp(b"data")),
        ] {
            for (frame, l4) in [(v4(proto, &segment), L4), (v6(proto, &segment), L4_V6)] {
                let at = l4 + field(proto);
                let pseudo = pseudo(&frame, proto, segment.len());
                let mut partial = frame.clone();
                partial[at..at + 2].copy_from_slice(&(!checksum(&[&pseudo])).to_be_bytes());
                assert!(
                    is_left_to_nic(&partial[..], &accept(&partial)),
                    "{proto} {l4}"
                );
                partial[at] ^= 1;
                assert!(
                    !is_left_to_nic(&partial[..], &accept(&partial)),
                    "{proto} {l4}"
                );
                let whole = signed(frame, l4, proto, segment.len(), segment.len());
                assert!(!is_left_to_nic(&whole[..], &accept(&whole)), "{proto} {l4}");
            }
        }
    }

    #[test]
    fn fragments_cannot_be_verified() {
        assert_eq!(
            judge(&v4_fragment(proto::UDP, 0x2000, &udp(&[0; 8]))),
            Ok(())
        );
        assert_eq!(judge(&v4_fragment(proto::UDP, 0x0004, &[0; 8])), Ok(()));
        let payload = [&fragment(proto::UDP, 1)[..], &udp(&[0; 8])].concat();
        assert_eq!(judge(&v6(44, &payload)), Ok(()));
    }

    #[test]
    fn longer_than_the_bound_is_not_verified() {
        let mut frame = v4(proto::UDP, &udp(&[0; 92]));
        let meta = accept(&frame);
        let wrong = Err(Reason::BadTransportChecksum);
        assert_eq!(verify::<100, [u8]>(&frame, &meta), wrong);
        assert_eq!(verify::<99, [u8]>(&frame, &meta), Ok(()));
        frame = signed(frame, L4, proto::UDP, 100, 100);
        assert_eq!(verify::<100, [u8]>(&frame, &meta), Ok(()));
    }

    #[test]
    fn folding_agrees_with_the_remainder() {
        for sum in (0..3 * 0xffff_u64)
            .chain((0xffff_0000_u64..0xffff_0000 + 3 * 0xffff).step_by(7))
            .chain(((1 << 48) - 3 * 0xffff..1 << 48).step_by(5))
        {
            assert_eq!(is_valid(sum), sum != 0 && sum % 0xffff == 0, "{sum:#x}");
        }
    }
}
