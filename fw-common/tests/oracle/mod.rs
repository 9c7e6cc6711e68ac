//! What must hold of the header parser whatever it reads, for the property tests and the fuzzers.

use etherparse::{NetSlice, SlicedPacket, TransportSlice};
use fw_common::Reason;
use fw_common::abi::IfaceFlags;
use fw_common::fasttrack::{Size, suits};
use fw_common::flow::Tuple;
use fw_common::tcp::flags::{SACK_PERM, WINDOW_SCALE};
use fw_common::verdict::Kind;
use fw_common::wire::{
    self, Family, Fragment, MAX_OFFSET, Meta, Packet, TcpSegment, checksum, ethertype, meta_flags,
    proto,
};

/// What was in the memory before.
pub(crate) fn leftovers(byte: u8) -> Meta {
    let word = u16::from(byte) * 0x0101;
    Meta {
        src: [byte; 16],
        dst: [byte; 16],
        l3_offset: word,
        l4_offset: word,
        l3_len: word,
        l4_len: word,
        sport: word,
        dport: word,
        vlan: [word; 2],
        frag_id: u32::from(word),
        frag_offset: word,
        proto: byte,
        ttl: byte,
        icmp_type: byte,
        icmp_code: byte,
        flags: byte,
        gre_version: byte,
        fragment: Fragment::Later,
        tcp: TcpSegment {
            cursor: byte,
            options: byte,
            wscale: byte,
            ..TcpSegment::default()
        },
        ..Meta::default()
    }
}

pub(crate) fn parse(frame: &[u8]) -> (Result<(), Reason>, Meta) {
    let mut meta = leftovers(0xa5);
    (wire::parse(frame, &mut meta), meta)
}

/// Whether `meta` was filled in at least up to the IP header.
pub(crate) fn has_network(result: Result<(), Reason>) -> bool {
    result.is_ok_and(|()| true) || result.is_err_and(|reason| reason.kind() == Kind::Invalid)
}

pub(crate) fn has_tcp(result: Result<(), Reason>, meta: &Meta) -> bool {
    result.is_ok() && meta.proto == proto::TCP && meta.fragment != Fragment::Later
}

/// Everything that must hold for whatever bytes come in.
pub(crate) fn check_bounds(frame: &[u8]) {
    let (result, meta) = parse(frame);
    if !has_network(result) {
        return;
    }
    let (l3, l4) = (usize::from(meta.l3_offset), usize::from(meta.l4_offset));
    let end = l4 + usize::from(meta.l4_len);
    assert!(l3 < l4 && l4 <= MAX_OFFSET && end <= frame.len());
    assert_eq!(end, l3 + usize::from(meta.l3_len));
    assert!(meta.vlan.iter().all(|vid| *vid < 4096));
    if has_tcp(result, &meta) {
        assert!(meta.tcp.wscale <= 14);
        assert!(usize::from(meta.tcp.payload) + 20 <= usize::from(meta.l4_len));
    }
    if result.is_ok() {
        let _ = checksum::verify::<65535, _>(frame, &meta);
        check_quote(frame, &meta);
    }
}

/// What is read at one glance must be what parsing finds, but for addresses that no packet may have. Whether it was
/// read.
pub(crate) fn check_glance(frame: &[u8]) -> bool {
    match wire::tag_within(frame).and_then(wire::vlan_id) {
        None => is_seen(frame, frame, 0),
        Some(id) => is_seen(frame, &wire::Untagged(frame), id),
    }
}

/// `headers` is the frame without the tag of this VLAN.
fn is_seen<H: Packet + ?Sized>(frame: &[u8], headers: &H, vlan: u16) -> bool {
    let tagged = (frame, vlan);
    match wire::ether_type(headers) {
        Some(ethertype::IPV4) => {
            wire::glance4(headers).is_some_and(|ends| is_read(tagged, headers, ends))
        }
        Some(ethertype::IPV6) => {
            wire::glance6(headers).is_some_and(|ends| is_read(tagged, headers, ends))
        }
        _ => false,
    }
}

fn is_read<H: Packet + ?Sized, A: wire::Address>(
    tagged: (&[u8], u16),
    headers: &H,
    network: wire::Network<A>,
) -> bool {
    let glance = match network.proto {
        proto::UDP => network.datagram(headers),
        proto::TCP => network.segment(headers),
        _ => None,
    };
    glance.is_some_and(|glance| agrees(tagged, &glance))
}

fn agrees<A: wire::Address>((frame, vlan): (&[u8], u16), glance: &wire::Glance<A>) -> bool {
    let (result, parsed) = parse(frame);
    if let Err(reason) = result {
        let martian = [
            Reason::MartianSource,
            Reason::MartianDestination,
            Reason::SourceIsDestination,
        ];
        assert!(martian.contains(&reason), "{reason:?}");
        return true;
    }
    // A group has no flow with an answer, so it is not looked for.
    let flags = parsed.flags & !meta_flags::MULTICAST;
    assert!(suits(&Meta { flags, ..parsed }, IfaceFlags::FORWARD));
    let tag = if vlan == 0 { 0 } else { wire::TAG_LEN };
    let offsets = (parsed.l3_offset.into(), parsed.l4_offset.into());
    assert_eq!(offsets, (14 + tag, A::L4 + tag));
    assert_eq!(parsed.vlan, [vlan, 0]);
    assert_eq!(Tuple::at_a_glance(glance), Tuple::of_ports(&parsed));
    let lengths = (glance.network.l3_len, glance.network.l4_len);
    assert_eq!(lengths, (parsed.l3_len, parsed.l4_len));
    assert_eq!(glance.network.ttl, parsed.ttl);
    assert_eq!(Size::at_a_glance(glance), Size::of(&parsed));
    if glance.network.proto == proto::TCP {
        assert_eq!(glance.tcp, parsed.tcp);
    }
    let left = checksum::is_left_to_nic(frame, &parsed);
    assert_eq!(checksum::is_left(glance), left);
    true
}

fn check_quote(frame: &[u8], outer: &Meta) {
    let mut inner = leftovers(0x5a);
    if !matches!(outer.proto, proto::ICMP | proto::ICMPV6) || !wire::quotes(outer) {
        return;
    }
    if wire::inner(frame, outer, &mut inner).is_ok() {
        let end = usize::from(outer.l4_offset) + usize::from(outer.l4_len);
        assert!(inner.l3_offset >= outer.l4_offset + 8);
        assert!(inner.l4_offset > inner.l3_offset);
        assert_eq!(
            usize::from(inner.l4_offset) + usize::from(inner.l4_len),
            end
        );
        assert_eq!(inner.family, outer.family);
        assert_ne!(inner.fragment, Fragment::Later);
    }
}

/// What `etherparse` found in a frame has to be what we found.
pub(crate) fn check_agreement(frame: &[u8], meta: &Meta) {
    let Ok(sliced) = SlicedPacket::from_ethernet(frame) else {
        return;
    };
    let ids: Vec<u16> = sliced.vlan_ids().iter().map(|id| id.value()).collect();
    let mut vlan = [0; 2];
    vlan[..ids.len()].copy_from_slice(&ids);
    assert_eq!(meta.vlan, vlan);
    match sliced.net.expect("we found IP") {
        NetSlice::Ipv4(ip) => {
            let header = ip.header();
            assert_eq!(meta.family, Family::V4);
            assert_eq!(meta.src[..4], header.source());
            assert_eq!(meta.dst[..4], header.destination());
            assert_eq!((meta.ttl, meta.l3_len), (header.ttl(), header.total_len()));
            assert_eq!(meta.flags & meta_flags::OPTIONS != 0, header.ihl() > 5);
            assert_eq!(meta.fragment != Fragment::Whole, ip.is_payload_fragmented());
            assert_eq!(meta.proto, header.protocol().0);
            // The authentication header is skipped there, not here.
            if meta.proto == proto::AH {
                return;
            }
            check_payload(frame, meta, ip.payload().payload);
        }
        NetSlice::Ipv6(ip) => {
            let header = ip.header();
            assert_eq!(meta.family, Family::V6);
            assert_eq!(
                (meta.src, meta.dst),
                (header.source(), header.destination())
            );
            assert_eq!(meta.ttl, header.hop_limit());
            assert_eq!(meta.fragment != Fragment::Whole, ip.is_payload_fragmented());
            // Length 0 means "to the end of the frame" there and nothing here; and there a later
            // fragment is taken to begin with the headers that only the first one has.
            if header.payload_length() != 0 && meta.fragment != Fragment::Later {
                assert_eq!(meta.proto, ip.payload().ip_number.0);
                check_payload(frame, meta, ip.payload().payload);
            }
        }
        NetSlice::Arp(_) => panic!("we found IP"),
    }
    if let Some(transport) = sliced.transport {
        check_transport(meta, &transport);
    }
}

fn check_payload(frame: &[u8], meta: &Meta, payload: &[u8]) {
    let start = usize::from(meta.l4_offset);
    assert_eq!(&frame[start..start + usize::from(meta.l4_len)], payload);
}

fn check_transport(meta: &Meta, transport: &TransportSlice<'_>) {
    match transport {
        TransportSlice::Tcp(tcp) => {
            let segment = &meta.tcp;
            assert_eq!(meta.sport, tcp.source_port());
            assert_eq!(meta.dport, tcp.destination_port());
            assert_eq!(segment.seq, tcp.sequence_number());
            assert_eq!(segment.ack, tcp.acknowledgment_number());
            assert_eq!(segment.window, tcp.window_size());
            assert_eq!(usize::from(segment.payload), tcp.payload().len());
            assert_eq!(segment.flags, tcp.header_slice()[13]);
        }
        TransportSlice::Udp(udp) => {
            assert_eq!(meta.sport, udp.source_port());
            assert_eq!(meta.dport, udp.destination_port());
        }
        TransportSlice::Icmpv4(icmp) => {
            assert_eq!(
                (meta.icmp_type, meta.icmp_code),
                (icmp.type_u8(), icmp.code_u8())
            );
            assert_eq!(meta.sport.to_be_bytes(), icmp.bytes5to8()[..2]);
        }
        TransportSlice::Icmpv6(icmp) => {
            assert_eq!(
                (meta.icmp_type, meta.icmp_code),
                (icmp.type_u8(), icmp.code_u8())
            );
            assert_eq!(meta.sport.to_be_bytes(), icmp.bytes5to8()[..2]);
        }
        TransportSlice::Igmp(_) => assert_eq!(meta.proto, proto::IGMP),
    }
}

/// The options by the kernel's rules (`tcp_options`, `tcp_sack`), as plainly as they can be said:
/// window scale, flags, highest right edge.
pub(crate) fn options_slowly(segment: &TcpSegment, options: &[u8]) -> (u8, u8, u32) {
    let (syn, ack) = (segment.flags & 0x02 != 0, segment.flags & 0x10 != 0);
    let (mut wscale, mut found, mut sack) = (0, 0, segment.ack);
    let mut rest = options;
    while let [kind, tail @ ..] = rest {
        match (kind, tail) {
            (0, _) => break,
            (1, _) => {
                rest = tail;
                continue;
            }
            (_, [size, ..]) if *size >= 2 && usize::from(*size) <= rest.len() => {}
            _ => break,
        }
        let (option, after) = rest.split_at(usize::from(tail[0]));
        match option {
            [3, 3, scale] if syn => (wscale, found) = ((*scale).min(14), found | WINDOW_SCALE),
            [4, 2] if syn => found |= SACK_PERM,
            [5, _, blocks @ ..]
                if ack && !syn && !blocks.is_empty() && blocks.len().is_multiple_of(8) =>
            {
                for block in blocks.chunks(8) {
                    let right = u32::from_be_bytes(block[4..].try_into().unwrap());
                    if right.wrapping_sub(sack).cast_signed() > 0 {
                        sack = right;
                    }
                }
                break;
            }
            _ => {}
        }
        rest = after;
    }
    (wscale, found, sack)
}
