//! GRE: version 0 (RFC 2784), and version 1, which PPTP uses (RFC 2637).

use super::{Meta, Packet, transport};
use crate::Reason;

/// What both versions begin with: flags and version, protocol type.
const BASE: usize = 4;
/// Version 1 up to the call id.
const PPTP: usize = 8;
/// The version, in the second byte.
const VERSION_MASK: u8 = 0x07;
/// PPTP carries PPP and nothing else.
const PPP: u16 = 0x880b;

/// Reads version and call id (`gre_pkt_to_tuple`). Conntrack takes everything but version 1 for
/// version 0, whose header, key included, it does not look at: even one cut short.
#[inline(always)]
pub(super) fn parse<P: Packet + ?Sized>(packet: &P, meta: &mut Meta) -> Result<(), Reason> {
    let Ok([_, bits, ..]) = transport::header::<BASE, P>(packet, meta) else {
        return Ok(());
    };
    meta.gre_version = bits & VERSION_MASK;
    if meta.gre_version == 1 {
        let raw = transport::header(packet, meta)?;
        return fill(meta, &raw);
    }
    Ok(())
}

/// Writes down the call id.
#[inline(always)]
fn fill(meta: &mut Meta, raw: &[u8; PPTP]) -> Result<(), Reason> {
    let [_, _, p0, p1, _, _, c0, c1] = *raw;
    if u16::from_be_bytes([p0, p1]) != PPP {
        return Err(Reason::BadTransportHeader);
    }
    meta.dport = u16::from_be_bytes([c0, c1]);
    Ok(())
}
