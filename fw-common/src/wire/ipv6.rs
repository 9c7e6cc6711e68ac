//! IPv6 (RFC 8200) and its chain of extension headers.

use network_types::ip::{IpProto, Ipv6Hdr};

use super::layout::{be16, byte, field};
use super::{Family, Fragment, MAX_OFFSET, Meta, Packet, forget, fragment, meta_flags};
use crate::Reason;

const HOP_BY_HOP: u8 = IpProto::HopOpt as u8;
const ROUTING: u8 = IpProto::Ipv6Route as u8;
const FRAGMENT: u8 = IpProto::Ipv6Frag as u8;
const AUTHENTICATION: u8 = IpProto::Ah as u8;
const DESTINATION_OPTIONS: u8 = IpProto::Ipv6Opts as u8;

/// Extension headers that are followed. RFC 8200 §4.1 recommends an order in which six is all that
/// a packet can have.
const MAX_HEADERS: usize = 6;
/// The part of an extension header that says how long it is; all of a fragment header.
const MIN_EXTENSION: usize = 8;

/// Reads the header at `meta.l3_offset` and the extension headers behind it (`ip6_rcv_core`,
/// `ipv6_skip_exthdr`); `meta` is right up to the start of the transport header.
#[inline(always)]
pub(super) fn parse<P: Packet + ?Sized>(packet: &P, meta: &mut Meta) -> Result<(), Reason> {
    let frame = packet.len();
    let offset = meta.l3_start();
    let raw: [u8; Ipv6Hdr::LEN] = packet.read(offset).ok_or(Reason::TruncatedIp)?;
    check_version(&raw)?;
    let payload = usize::from(be16!(raw, Ipv6Hdr, payload_len));
    let jumbo = payload == 0 && byte!(raw, Ipv6Hdr, next_hdr) == HOP_BY_HOP;
    // A jumbogram (RFC 2675) is longer than any frame here.
    if jumbo || offset + Ipv6Hdr::LEN + payload > frame {
        return Err(Reason::BadTotalLength);
    }
    if byte!(raw, Ipv6Hdr, hop_limit) == 0 {
        return Err(Reason::TtlZero);
    }
    fill(meta, &raw, offset);
    meta.l4_len = payload as u16;
    walk(packet, meta)
}

/// Whether the version field says 6.
#[inline(always)]
pub(super) fn check_version(raw: &[u8; Ipv6Hdr::LEN]) -> Result<(), Reason> {
    let [first, ..]: [u8; 4] = field!(*raw, Ipv6Hdr, vcf);
    if first >> 4 == 6 {
        Ok(())
    } else {
        Err(Reason::BadVersion)
    }
}

/// Writes down what is the same for a packet and for one quoted in an ICMPv6 error. The transport
/// header, for now, is what follows the IPv6 header.
#[inline(always)]
pub(super) fn fill(meta: &mut Meta, raw: &[u8; Ipv6Hdr::LEN], offset: usize) {
    meta.family = Family::V6;
    meta.flags = 0;
    fragment::none(meta);
    meta.l4_offset = (offset + Ipv6Hdr::LEN) as u16;
    // Longer than 65535 by at most the header itself; only loopback could carry that.
    meta.first_word = u32::from_be_bytes(field!(*raw, Ipv6Hdr, vcf));
    meta.l3_len = be16!(*raw, Ipv6Hdr, payload_len).saturating_add(Ipv6Hdr::LEN as u16);
    meta.proto = byte!(*raw, Ipv6Hdr, next_hdr);
    meta.ttl = byte!(*raw, Ipv6Hdr, hop_limit);
    meta.src = field!(*raw, Ipv6Hdr, src_addr);
    meta.dst = field!(*raw, Ipv6Hdr, dst_addr);
}

/// Follows the chain that starts with a header of type `proto` at `l4_offset`, of which `l4_len`
/// bytes are left; these three move on with it. Sets all about fragments.
#[inline(always)]
pub(super) fn walk<P: Packet + ?Sized>(packet: &P, meta: &mut Meta) -> Result<(), Reason> {
    for index in 0..=MAX_HEADERS {
        forget(meta);
        let kind = meta.proto;
        if !is_extension(kind) || meta.fragment == Fragment::Later {
            return Ok(());
        }
        if index == MAX_HEADERS || (kind == HOP_BY_HOP && index != 0) {
            break;
        }
        step(packet, meta, kind)?;
    }
    Err(Reason::BadExtensionHeaders)
}

/// Goes over the extension header of type `kind` at `l4_offset`.
#[inline(always)]
fn step<P: Packet + ?Sized>(packet: &P, meta: &mut Meta, kind: u8) -> Result<(), Reason> {
    let (offset, left) = (meta.l4_start(), usize::from(meta.l4_len));
    if left < MIN_EXTENSION {
        return Err(truncated(meta));
    }
    let raw: [u8; MIN_EXTENSION] = packet.read(offset).ok_or(Reason::BadExtensionHeaders)?;
    let len = extension(meta, kind, &raw, left)?;
    if len > left {
        return Err(truncated(meta));
    }
    if offset + len > MAX_OFFSET {
        return Err(Reason::BadExtensionHeaders);
    }
    [meta.proto, ..] = raw;
    meta.l4_offset = (offset + len) as u16;
    meta.l4_len = (left - len) as u16;
    Ok(())
}

/// Mobility, HIP and shim6 are protocols of their own here, as they are to conntrack.
#[inline(always)]
const fn is_extension(next: u8) -> bool {
    matches!(
        next,
        HOP_BY_HOP | ROUTING | FRAGMENT | AUTHENTICATION | DESTINATION_OPTIONS
    )
}

/// RFC 7112: the whole chain has to be in the first fragment.
#[inline(always)]
fn truncated(meta: &Meta) -> Reason {
    match meta.fragment {
        Fragment::First => Reason::TinyFragment,
        _ => Reason::BadExtensionHeaders,
    }
}

/// Length of one extension header of type `kind`, of which `raw` is the start; `left` bytes of the
/// packet start with it.
#[inline(always)]
fn extension(
    meta: &mut Meta,
    kind: u8,
    raw: &[u8; MIN_EXTENSION],
    left: usize,
) -> Result<usize, Reason> {
    let [_, len, a, b, id @ ..] = *raw;
    let units = usize::from(len);
    match kind {
        FRAGMENT => {
            // A second one would hide what the first was checked for.
            if meta.flags & meta_flags::FRAGMENT_HEADER != 0 {
                return Err(Reason::BadExtensionHeaders);
            }
            let field = u16::from_be_bytes([a, b]);
            let (at, more) = (field & fragment::V6_OFFSET, field & fragment::V6_MORE != 0);
            let data = left - MIN_EXTENSION;
            fragment::classify(meta, u32::from_be_bytes(id), at, more, data)?;
            meta.flags |= meta_flags::FRAGMENT_HEADER;
            Ok(MIN_EXTENSION)
        }
        // The first header's length is in units of 4 bytes, unlike all others (RFC 4302 §2.2).
        AUTHENTICATION => Ok((units + 2) * 4),
        ROUTING if a == 0 => Err(Reason::RoutingHeader0),
        _ => {
            meta.flags |= meta_flags::OPTIONS;
            Ok((units + 1) * 8)
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::Reason;
    use crate::wire::testing::{
        L3, L4_V6, V6_DST, V6_SRC, accept, extension, fragment, read, refuse, tcp, udp, v6,
    };
    use crate::wire::{Family, Fragment, MAX_OFFSET, meta_flags};

    const HOP: u8 = super::HOP_BY_HOP;
    const ROUTING: u8 = super::ROUTING;
    const FRAGMENT: u8 = super::FRAGMENT;
    const AH: u8 = super::AUTHENTICATION;
    const DEST: u8 = super::DESTINATION_OPTIONS;
    const UDP: u8 = 17;

    /// A frame whose chain is `kinds`, each of eight bytes (AH of 16), before a UDP datagram.
    fn chain(kinds: &[u8]) -> Vec<u8> {
        let mut payload = Vec::new();
        for (i, kind) in kinds.iter().enumerate() {
            let next = kinds.get(i + 1).copied().unwrap_or(UDP);
            let mut header = extension(next).to_vec();
            match *kind {
                ROUTING => header[2] = 2,
                AH => {
                    header[1] = 2;
                    header.extend([0; 8]);
                }
                _ => {}
            }
            payload.extend(header);
        }
        payload.extend(udp(&[]));
        v6(kinds.first().copied().unwrap_or(UDP), &payload)
    }

    #[test]
    fn header_alone() {
        let meta = accept(&v6(UDP, &udp(b"data")));
        assert_eq!(
            (meta.family, meta.src, meta.dst),
            (Family::V6, V6_SRC, V6_DST)
        );
        assert_eq!((meta.l3_offset, meta.l4_offset), (14, 54));
        assert_eq!((meta.l3_len, meta.l4_len), (52, 12));
        assert_eq!((meta.proto, meta.ttl, meta.flags), (17, 64, 0));
        assert_eq!((meta.fragment, meta.frag_id), (Fragment::Whole, 0));
    }

    #[test]
    fn every_kind_of_header_is_followed() {
        let options = meta_flags::OPTIONS;
        for (kinds, len, flags) in [
            (&[HOP][..], 8, options),
            (&[DEST], 8, options),
            (&[ROUTING], 8, options),
            (&[AH], 16, 0),
            (&[FRAGMENT], 8, meta_flags::FRAGMENT_HEADER),
            (&[HOP, DEST, ROUTING, AH, DEST], 48, options),
        ] {
            let meta = accept(&chain(kinds));
            assert_eq!(usize::from(meta.l4_offset), L4_V6 + len, "{kinds:?}");
            assert_eq!((meta.proto, meta.dport, meta.l4_len), (17, 53, 8));
            assert_eq!(meta.flags, flags, "{kinds:?}");
        }
    }

    #[test]
    fn header_lengths_count() {
        let mut payload = vec![UDP, 5];
        payload.resize(48, 0);
        payload.extend(udp(&[]));
        let meta = accept(&v6(DEST, &payload));
        assert_eq!(usize::from(meta.l4_offset), L4_V6 + 48);
    }

    #[test]
    fn six_headers_are_followed_and_no_more() {
        assert_eq!(accept(&chain(&[DEST; 6])).dport, 53);
        assert_eq!(refuse(&chain(&[DEST; 7])), Reason::BadExtensionHeaders);
    }

    #[test]
    fn hop_by_hop_is_first_or_wrong() {
        for kinds in [&[HOP, HOP][..], &[DEST, HOP], &[FRAGMENT, HOP]] {
            assert_eq!(refuse(&chain(kinds)), Reason::BadExtensionHeaders);
        }
    }

    #[test]
    fn routing_header_type_0_is_refused() {
        let mut frame = chain(&[ROUTING]);
        frame[L4_V6 + 2] = 0;
        assert_eq!(refuse(&frame), Reason::RoutingHeader0);
    }

    #[test]
    fn no_header_starts_beyond_the_bound() {
        let long = |units: u8| {
            let mut payload = vec![UDP, units];
            payload.resize((usize::from(units) + 1) * 8, 0);
            payload.extend(udp(&[]));
            v6(DEST, &payload)
        };
        let most = (MAX_OFFSET - L4_V6) / 8 - 1;
        accept(&long(most as u8));
        assert_eq!(refuse(&long(most as u8 + 1)), Reason::BadExtensionHeaders);
    }

    #[test]
    fn chain_cut_short() {
        let frame = chain(&[HOP, DEST]);
        for len in 0..16u16 {
            let mut frame = frame[..L4_V6 + usize::from(len)].to_vec();
            frame[L3 + 4..L3 + 6].copy_from_slice(&len.to_be_bytes());
            let expected = match len {
                0 => Reason::BadTotalLength,
                _ => Reason::BadExtensionHeaders,
            };
            assert_eq!(refuse(&frame), expected, "{len}");
        }
    }

    #[test]
    fn truncated_at_every_byte() {
        let frame = v6(UDP, &udp(b"data"));
        for len in L3..frame.len() {
            let expected = match len - L3 {
                0..40 => Reason::TruncatedIp,
                _ => Reason::BadTotalLength,
            };
            assert_eq!(refuse(&frame[..len]), expected, "{len}");
        }
    }

    #[test]
    fn version_hop_limit_and_jumbogram() {
        let mut frame = v6(UDP, &udp(&[]));
        frame[L3] = 0x45;
        assert_eq!(refuse(&frame), Reason::BadVersion);
        frame[L3] = 0x6f;
        frame[L3 + 7] = 0;
        assert_eq!(refuse(&frame), Reason::TtlZero);
        let mut jumbo = chain(&[HOP]);
        jumbo[L3 + 4..L3 + 6].fill(0);
        assert_eq!(refuse(&jumbo), Reason::BadTotalLength);
    }

    #[test]
    fn nothing_follows() {
        let (result, meta) = read(&v6(59, &[]));
        assert_eq!(result, Err(Reason::NoTransport));
        assert_eq!((meta.src, meta.proto), (V6_SRC, 59));
        let payload = extension(59);
        assert_eq!(refuse(&v6(DEST, &payload)), Reason::NoTransport);
    }

    #[test]
    fn atomic_fragment_is_whole() {
        let payload = [&fragment(UDP, 0)[..], &udp(&[])].concat();
        let meta = accept(&v6(FRAGMENT, &payload));
        assert_eq!((meta.fragment, meta.frag_id), (Fragment::Whole, 0));
        assert_eq!((meta.dport, meta.flags), (53, meta_flags::FRAGMENT_HEADER));
    }

    #[test]
    fn first_fragment_has_ports() {
        let payload = [&fragment(UDP, 1)[..], &udp(&[0; 8])].concat();
        let meta = accept(&v6(FRAGMENT, &payload));
        assert_eq!(meta.fragment, Fragment::First);
        assert_eq!((meta.frag_id, meta.frag_offset), (0xdead_beef, 0));
        assert_eq!((meta.dport, meta.l4_len), (53, 16));
    }

    #[test]
    fn later_fragment_is_read_no_further() {
        // What would be a broken chain if these were headers.
        let payload = [&fragment(HOP, 0x0fff)[..], &[0xff; 8]].concat();
        let meta = accept(&v6(FRAGMENT, &payload));
        assert_eq!(meta.fragment, Fragment::Later);
        assert_eq!((meta.frag_offset, meta.proto), (0x0ff8, HOP));
        assert_eq!((meta.sport, meta.dport, meta.l4_len), (0, 0, 8));
    }

    #[test]
    fn fragment_over_the_tcp_flags() {
        let payload = [&fragment(6, 8)[..], &[0; 16]].concat();
        assert_eq!(refuse(&v6(FRAGMENT, &payload)), Reason::TinyFragment);
    }

    #[test]
    fn first_fragment_must_hold_the_whole_chain() {
        let segment = tcp(0x02, &[], &[]);
        let rest = [&extension(6)[..], &segment].concat();
        for len in 0..rest.len() {
            let payload = [&fragment(DEST, 1)[..], &rest[..len]].concat();
            assert_eq!(refuse(&v6(FRAGMENT, &payload)), Reason::TinyFragment);
        }
        accept(&v6(FRAGMENT, &[&fragment(DEST, 1)[..], &rest].concat()));
    }

    #[test]
    fn second_fragment_header_is_refused() {
        for field in [0, 1, 8] {
            let payload = [&fragment(FRAGMENT, 0)[..], &fragment(UDP, field), &udp(&[])].concat();
            assert_eq!(refuse(&v6(FRAGMENT, &payload)), Reason::BadExtensionHeaders);
        }
    }

    #[test]
    fn mobility_is_a_protocol() {
        let meta = accept(&v6(135, &[59, 0, 0, 0, 0, 0, 0, 0]));
        assert_eq!((meta.proto, meta.l4_len), (135, 8));
    }
}
