//! SCTP's checksum: CRC32c (RFC 9260 §6.8, appendix A).

use network_types::sctp::SctpHdr;

use super::{Meta, Packet};
use crate::Reason;
use crate::index::masked;

/// Castagnoli's polynomial, lowest bit first.
const POLYNOMIAL: u32 = 0x82f6_3b78;

/// What each value of a byte adds.
static TABLE: [u32; 256] = {
    let mut table = [0; 256];
    let mut byte = 0;
    while byte < 256 {
        let mut crc = byte as u32;
        let mut bit = 0;
        while bit < 8 {
            let carry = if crc & 1 != 0 { POLYNOMIAL } else { 0 };
            crc = crc >> 1 ^ carry;
            bit += 1;
        }
        table[byte] = crc;
        byte += 1;
    }
    table
};

/// Bytes taken at a time: no more than a BPF function holds in registers.
const BLOCK: usize = 8;

/// Goes on with `crc` over the block at `offset`.
#[must_use]
#[inline(always)]
pub fn block<P: Packet + ?Sized>(packet: &P, offset: usize, crc: u32) -> Option<u32> {
    Some(add(crc, &packet.read_deep::<BLOCK>(offset)?))
}

/// Verifies the checksum of an SCTP packet that has at most `MAX` bytes; a longer one is correct by
/// definition.
///
/// # Errors
/// [`Reason::BadTransportChecksum`].
#[inline(always)]
pub(super) fn verify<const MAX: usize, P: Packet + ?Sized>(
    packet: &P,
    meta: &Meta,
) -> Result<(), Reason> {
    let (start, len) = (meta.l4_start(), usize::from(meta.l4_len));
    if len > MAX {
        return Ok(());
    }
    match compute::<MAX, P>(packet, start, len) {
        Some((found, right)) if found == right => Ok(()),
        _ => Err(Reason::BadTransportChecksum),
    }
}

/// Whether the field is empty, as Linux leaves it for the NIC to fill in.
#[inline(always)]
pub(super) fn is_left_to_nic<P: Packet + ?Sized>(packet: &P, meta: &Meta) -> bool {
    packet.read(meta.l4_start() + core::mem::offset_of!(SctpHdr, checksum)) == Some([0; 4])
}

/// The checksum in the packet, and the one that it should have. The odd bytes at the end of a packet
/// would make a path of their own for each length, so they are taken right after the header, and whole
/// blocks follow.
#[inline(always)]
fn compute<const MAX: usize, P: Packet + ?Sized>(
    packet: &P,
    start: usize,
    len: usize,
) -> Option<(u32, u32)> {
    let [header @ .., c0, c1, c2, c3] = packet.read::<{ SctpHdr::LEN }>(start)?;
    let header: [u8; SctpHdr::LEN - 4] = header;
    let mut crc = add(add(u32::MAX, &header), &[0; 4]);
    let (data, rest) = (start + SctpHdr::LEN, len.checked_sub(SctpHdr::LEN)?);
    if rest & 4 != 0 {
        crc = add(crc, &packet.read_deep::<4>(data)?);
    }
    if rest & 2 != 0 {
        crc = add(crc, &packet.read_deep::<2>(data + (rest & 4))?);
    }
    if rest & 1 != 0 {
        // Together with its neighbour: see the other checksum.
        let pair = data + (rest & 6) - 1;
        let [_, last] = packet.read_deep(pair)?;
        crc = add(crc, &[last]);
    }
    let blocks = data + (rest & (BLOCK - 1));
    for i in 0..MAX / BLOCK {
        if (i + 1) * BLOCK > rest {
            break;
        }
        crc = packet.crc32c(blocks + i * BLOCK, crc)?;
    }
    Some((u32::from_le_bytes([c0, c1, c2, c3]), !crc))
}

#[inline(always)]
fn add<const N: usize>(mut crc: u32, bytes: &[u8; N]) -> u32 {
    for byte in bytes {
        crc = crc >> 8 ^ TABLE[masked::<256>((crc as u8 ^ byte) as usize)];
    }
    crc
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::testing::{L4, accept, v4};

    fn plain(bytes: &[u8]) -> u32 {
        !bytes.iter().fold(u32::MAX, |crc, byte| add(crc, &[*byte]))
    }

    /// RFC 3720, appendix B.4: 32 bytes of zeroes, of ones, of ascending and of descending numbers.
    #[test]
    fn published_examples() {
        assert_eq!(plain(&[0; 32]), 0x8a91_36aa);
        assert_eq!(plain(&[0xff; 32]), 0x62a8_ab43);
        assert_eq!(
            plain(&core::array::from_fn::<u8, 32, _>(|i| i as u8)),
            0x46dd_794e
        );
        assert_eq!(
            plain(&core::array::from_fn::<u8, 32, _>(|i| 31 - i as u8)),
            0x113f_db5c
        );
    }

    /// A DATA chunk with `len` bytes and the right checksum.
    fn packet(len: usize) -> Vec<u8> {
        let mut bytes = vec![0x12, 0x34, 0x56, 0x78, 0, 0, 0, 1, 0, 0, 0, 0, 0, 3];
        bytes.extend((len as u16 + 4).to_be_bytes());
        bytes.extend((0..len).map(|i| i as u8));
        let crc = plain(&bytes);
        bytes[8..12].copy_from_slice(&crc.to_le_bytes());
        v4(132, &bytes)
    }

    #[test]
    fn every_length_and_every_wrong_bit() {
        for len in 0..70 {
            let frame = packet(len);
            let meta = accept(&frame);
            assert_eq!(verify::<2048, _>(&frame[..], &meta), Ok(()), "{len}");
            for byte in L4 + 8..frame.len() {
                let mut frame = frame.clone();
                frame[byte] ^= 0x10;
                assert_eq!(
                    verify::<2048, _>(&frame[..], &meta),
                    Err(Reason::BadTransportChecksum),
                    "{len}, byte {byte}"
                );
            }
        }
    }

    #[test]
    fn beyond_the_bound_nothing_is_verified() {
        let mut frame = packet(100);
        frame[L4 + 8] ^= 1;
        let meta = accept(&frame);
        assert_eq!(verify::<115, _>(&frame[..], &meta), Ok(()));
        assert!(verify::<116, _>(&frame[..], &meta).is_err());
    }

    #[test]
    fn left_to_the_nic_is_an_empty_field() {
        let mut frame = packet(4);
        assert!(!is_left_to_nic(&frame[..], &accept(&frame)));
        frame[L4 + 8..L4 + 12].fill(0);
        assert!(is_left_to_nic(&frame[..], &accept(&frame)));
    }
}
