//! UDP (RFC 768) and UDP-Lite (RFC 3828).

use network_types::udp::UdpHdr;

use super::layout::be16;
use super::{Fragment, Meta, Packet, meta_flags, transport};
use crate::Reason;

/// Reads a UDP header (`udp_error`). Bytes behind the datagram's own length are let through: the
/// receiver does not look at them.
#[inline(always)]
pub(super) fn parse<P: Packet + ?Sized>(packet: &P, meta: &mut Meta) -> Result<(), Reason> {
    let raw = header(packet, meta)?;
    let len = be16!(raw, UdpHdr, len);
    if !is_length(len, there(meta)) {
        return Err(Reason::BadUdpLength);
    }
    if be16!(raw, UdpHdr, check) == 0 {
        meta.flags |= meta_flags::NO_CHECKSUM;
    }
    Ok(())
}

/// Reads a UDP-Lite header (`udplite_error`): where UDP has its length, this has how much of the
/// datagram the checksum covers, 0 for all of it. There is always a checksum.
#[inline(always)]
pub(super) fn parse_lite<P: Packet + ?Sized>(packet: &P, meta: &mut Meta) -> Result<(), Reason> {
    let raw = header(packet, meta)?;
    let coverage = be16!(raw, UdpHdr, len);
    if coverage != 0 && !is_length(coverage, there(meta)) {
        return Err(Reason::BadUdpLength);
    }
    if be16!(raw, UdpHdr, check) == 0 {
        return Err(Reason::BadTransportChecksum);
    }
    Ok(())
}

#[inline(always)]
fn header<P: Packet + ?Sized>(packet: &P, meta: &mut Meta) -> Result<[u8; UdpHdr::LEN], Reason> {
    let raw = transport::header(packet, meta)?;
    meta.sport = be16!(raw, UdpHdr, src);
    meta.dport = be16!(raw, UdpHdr, dst);
    Ok(raw)
}

/// Whether `len` can be the length of a datagram, or of a part with its header, of which there are `most` bytes.
#[inline(always)]
pub(super) fn is_length(len: u16, most: u16) -> bool {
    usize::from(len) >= UdpHdr::LEN && len <= most
}

/// How many bytes there are; of a first fragment nobody knows yet.
#[inline(always)]
fn there(meta: &Meta) -> u16 {
    match meta.fragment {
        Fragment::Whole => meta.l4_len,
        _ => u16::MAX,
    }
}

#[cfg(test)]
mod tests {
    use crate::Reason;
    use crate::wire::meta_flags::NO_CHECKSUM;
    use crate::wire::testing::{accept, refuse, udp, v4, v4_fragment, v6};

    const UDP: u8 = 17;
    const LITE: u8 = 136;

    /// A datagram whose length (or coverage) field says `len`.
    fn with_length(len: u16) -> Vec<u8> {
        let mut datagram = udp(b"data");
        datagram[4..6].copy_from_slice(&len.to_be_bytes());
        datagram
    }

    #[test]
    fn ports() {
        for proto in [UDP, LITE] {
            let meta = accept(&v4(proto, &udp(b"data")));
            assert_eq!((meta.sport, meta.dport, meta.flags), (1000, 53, 0));
        }
    }

    #[test]
    fn header_cut_short() {
        for len in 0..8 {
            for proto in [UDP, LITE] {
                let frame = v4(proto, &udp(&[])[..len]);
                assert_eq!(refuse(&frame), Reason::TruncatedTransport);
            }
        }
    }

    #[test]
    fn length_is_at_least_the_header_and_at_most_the_packet() {
        for len in [0, 7, 13, 0xffff] {
            assert_eq!(refuse(&v4(UDP, &with_length(len))), Reason::BadUdpLength);
        }
        // The rest is not the datagram's: the receiver cuts it off.
        for len in 8..=12 {
            accept(&v4(UDP, &with_length(len)));
        }
    }

    #[test]
    fn length_of_a_first_fragment_goes_beyond_it() {
        accept(&v4_fragment(UDP, 0x2000, &with_length(3000)));
        let short = v4_fragment(UDP, 0x2000, &with_length(7));
        assert_eq!(refuse(&short), Reason::BadUdpLength);
    }

    #[test]
    fn missing_checksum_is_noted() {
        let mut datagram = udp(&[]);
        datagram[6..8].fill(0);
        assert_eq!(accept(&v4(UDP, &datagram)).flags, NO_CHECKSUM);
        assert_eq!(accept(&v6(UDP, &datagram)).flags, NO_CHECKSUM);
        assert_eq!(refuse(&v4(LITE, &datagram)), Reason::BadTransportChecksum);
    }

    #[test]
    fn coverage_is_nothing_or_at_least_the_header() {
        for coverage in [0, 8, 9, 12] {
            accept(&v4(LITE, &with_length(coverage)));
        }
        for coverage in [1, 7, 13, 0xffff] {
            let frame = v4(LITE, &with_length(coverage));
            assert_eq!(refuse(&frame), Reason::BadUdpLength);
        }
    }
}
