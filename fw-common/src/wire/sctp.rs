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
