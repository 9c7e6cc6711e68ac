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
/// version 0, whose header, key included, it does not look at: even one cut short. So it does with a
/// version 1 that ends before its call id, whatever it carries.
#[inline(always)]
pub(super) fn parse<P: Packet + ?Sized>(packet: &P, meta: &mut Meta) -> Result<(), Reason> {
    let Ok([_, bits, ..]) = transport::header::<BASE, P>(packet, meta) else {
        return Ok(());
    };
    meta.gre_version = bits & VERSION_MASK;
    if meta.gre_version == 1 {
        return match transport::header(packet, meta) {
            Ok(raw) => fill(meta, &raw),
            Err(_) => Ok(()),
        };
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

#[cfg(test)]
mod tests {
    use crate::Reason;
    use crate::wire::testing::{accept, refuse, v4};

    const GRE: u8 = 47;
    const PPTP: [u8; 8] = [0x30, 0x01, 0x88, 0x0b, 0, 0, 0x12, 0x34];

    #[test]
    fn version_0_has_no_ports_not_even_its_key() {
        let meta = accept(&v4(GRE, &[0x20, 0, 8, 0, 0xde, 0xad, 0xbe, 0xef]));
        assert_eq!((meta.sport, meta.dport, meta.gre_version), (0, 0, 0));
    }

    #[test]
    fn version_1_has_its_call_id() {
        let meta = accept(&v4(GRE, &PPTP));
        assert_eq!((meta.sport, meta.dport), (0, 0x1234));
        assert_eq!(meta.gre_version, 1);
    }

    #[test]
    fn version_1_carries_ppp_or_nothing_that_is_seen() {
        let mut other = PPTP;
        other[3] = 0;
        assert_eq!(refuse(&v4(GRE, &other)), Reason::BadTransportHeader);
        for len in 4..8 {
            let meta = accept(&v4(GRE, &other[..len]));
            assert_eq!((meta.sport, meta.dport), (0, 0), "{len}");
        }
    }

    #[test]
    fn other_versions_and_stumps_count_as_version_0() {
        assert_eq!(accept(&v4(GRE, &[0, 7, 8, 0])).gre_version, 7);
        for len in 0..4 {
            let meta = accept(&v4(GRE, &PPTP[..len]));
            assert_eq!((meta.dport, meta.gre_version), (0, 0));
        }
    }
}
