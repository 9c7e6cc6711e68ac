//! SCTP (RFC 9260): the common header.

use network_types::sctp::SctpHdr;

use super::layout::be16;
use super::{Meta, Packet, transport};
use crate::Reason;

/// Reads the ports.
#[inline(always)]
pub(super) fn parse<P: Packet + ?Sized>(packet: &P, meta: &mut Meta) -> Result<(), Reason> {
    let raw: [u8; SctpHdr::LEN] = transport::header(packet, meta)?;
    meta.sport = be16!(raw, SctpHdr, src);
    meta.dport = be16!(raw, SctpHdr, dst);
    Ok(())
}

#[cfg(test)]
mod tests {
    use crate::Reason;
    use crate::wire::testing::{accept, refuse, v4};

    const HEADER: [u8; 12] = [0x12, 0x34, 0x56, 0x78, 0, 0, 0, 1, 0, 0, 0, 2];

    #[test]
    fn ports() {
        let meta = accept(&v4(132, &HEADER));
        assert_eq!((meta.sport, meta.dport), (0x1234, 0x5678));
    }

    #[test]
    fn header_cut_short() {
        for len in 0..12 {
            let frame = v4(132, &HEADER[..len]);
            assert_eq!(refuse(&frame), Reason::TruncatedTransport);
        }
    }
}
