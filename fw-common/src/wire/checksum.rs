//! The Internet checksum (RFC 1071).
//!
//! Sums are taken over 32-bit words in the machine's own byte order: the one's complement sum does
//! not care, as long as all words are read alike and the result is only compared with zero.

use network_types::udp::UdpHdr;

use super::layout::be16;
use super::{Family, Fragment, Meta, Packet, meta_flags, proto};
use crate::Reason;

/// Bytes summed up at a time.
const BLOCK: usize = 32;

/// Verifies the transport checksum of a parsed packet: TCP, UDP, UDP-Lite, ICMP, ICMPv6. Correct by
/// definition are all other protocols, fragments, UDP without a checksum, and whatever has more
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

/// How many bytes from the transport header on the checksum covers, and the sum of the
/// pseudo-header before them. `None` if there is no checksum.
#[inline(always)]
fn coverage<P: Packet + ?Sized>(packet: &P, meta: &Meta) -> Option<(usize, u64)> {
    let all = usize::from(meta.l4_len);
    match (meta.family, meta.proto) {
        (_, proto::TCP) | (Family::V6, proto::ICMPV6) => Some((all, pseudo_header(meta, all))),
        (Family::V4, proto::ICMP) => Some((all, 0)),
        (_, proto::UDP) if meta.flags & meta_flags::NO_CHECKSUM != 0 => None,
        (_, proto::UDP) => {
            let len = length_field(packet, meta)?;
            Some((len, pseudo_header(meta, len)))
        }
        (_, proto::UDPLITE) => {
            let len = length_field(packet, meta)?;
            let covered = if len == 0 { all } else { len };
            Some((covered, pseudo_header(meta, all)))
        }
        _ => None,
    }
}

/// UDP's length or UDP-Lite's coverage. Parsing has found it to be within the packet; the minimum
/// keeps to that, whatever else was in `meta`.
#[inline(always)]
fn length_field<P: Packet + ?Sized>(packet: &P, meta: &Meta) -> Option<usize> {
    let raw: [u8; UdpHdr::LEN] = packet.read(meta.l4_start())?;
    Some(usize::from(be16!(raw, UdpHdr, len).min(meta.l4_len)))
}

/// Sum of addresses, protocol and length. IPv4 addresses are followed by zeros, which add nothing.
#[inline(always)]
fn pseudo_header(meta: &Meta, len: usize) -> u64 {
    words(&meta.src)
        + words(&meta.dst)
        + u64::from(u16::from(meta.proto).to_be())
        + u64::from((len as u16).to_be())
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
        sum += words(&packet.read::<16>(offset)?);
    }
    if len & 8 != 0 {
        sum += words(&packet.read::<8>(offset + (len & 16))?);
    }
    if len & 4 != 0 {
        sum += words(&packet.read::<4>(offset + (len & 24))?);
    }
    if len & 2 != 0 {
        sum += u64::from(u16::from_ne_bytes(packet.read(offset + (len & 28))?));
    }
    let blocks = offset + (len & 30);
    for i in 0..MAX.div_ceil(BLOCK) {
        if (i + 1) * BLOCK > len & !1 {
            break;
        }
        sum += words(&packet.read::<BLOCK>(blocks + i * BLOCK)?);
    }
    if len & 1 != 0 {
        // Together with its neighbour: the comparison of a single byte's address with the packet's
        // end compiles to a form that proves nothing to the verifier. The mask keeps the difference
        // a difference; as a negative displacement it would prove nothing either.
        let pair = len.wrapping_sub(2) & 0xffff;
        let [_, last] = packet.read(offset + pair)?;
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
