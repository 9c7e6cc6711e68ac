//! ICMP (RFC 792) and ICMPv6 (RFC 4443), whose headers are alike.

use network_types::icmp::{IcmpIdSequence, Icmpv4Hdr};

use super::layout::{be16, byte, field};
use super::{Meta, Packet, transport};
use crate::Reason;

/// Bytes of the header, of which the last four mean something else in every type.
pub(super) const LEN: usize = Icmpv4Hdr::LEN;

/// Reads type, code and identifier. Which types make sense is the flow's business.
#[inline(always)]
pub(super) fn parse<P: Packet + ?Sized>(packet: &P, meta: &mut Meta) -> Result<(), Reason> {
    let raw = transport::header(packet, meta)?;
    fill(meta, &raw);
    Ok(())
}

/// Writes down type, code and identifier.
#[inline(always)]
pub(super) fn fill(meta: &mut Meta, raw: &[u8; LEN]) {
    meta.icmp_type = byte!(*raw, Icmpv4Hdr, type_);
    meta.icmp_code = byte!(*raw, Icmpv4Hdr, code);
    let data: [u8; 4] = field!(*raw, Icmpv4Hdr, data);
    meta.sport = be16!(data, IcmpIdSequence, id);
}

#[cfg(test)]
mod tests {
    use crate::Reason;
    use crate::wire::testing::{accept, refuse, v4, v6};

    const ECHO: [u8; 8] = [8, 1, 0, 0, 0x08, 0x00, 0, 7];

    #[test]
    fn type_code_and_identifier() {
        for frame in [v4(1, &ECHO), v6(58, &ECHO)] {
            let meta = accept(&frame);
            assert_eq!((meta.icmp_type, meta.icmp_code), (8, 1));
            assert_eq!((meta.sport, meta.dport), (0x0800, 0));
        }
    }

    #[test]
    fn header_cut_short() {
        for len in 0..8 {
            assert_eq!(refuse(&v4(1, &ECHO[..len])), Reason::TruncatedTransport);
            assert_eq!(refuse(&v6(58, &ECHO[..len])), Reason::TruncatedTransport);
        }
    }

    #[test]
    fn the_other_familys_icmp_is_no_transport() {
        assert_eq!(refuse(&v4(58, &ECHO)), Reason::NoTransport);
        assert_eq!(refuse(&v6(1, &ECHO)), Reason::NoTransport);
    }
}
