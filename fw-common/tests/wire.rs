//! Properties of the header parser: it never panics, never points outside the frame, and agrees with
//! `etherparse` about every frame that both accept.

mod frames;
mod oracle;

use frames::{Shape, Transport, shapes, tcp_options};
use fw_common::Reason;
use fw_common::wire::{self, Family, Fragment, Meta, Packet, checksum, proto};
use oracle::{
    check_agreement, check_bounds, check_glance, has_network, has_tcp, leftovers, options_slowly,
    parse,
};
use proptest::collection::vec;
use proptest::prelude::*;

/// Single bytes changed, bytes cut off: what a hostile or broken sender makes of a good frame.
fn mutate(mut frame: Vec<u8>, edits: &[(prop::sample::Index, u8)], cut: usize) -> Vec<u8> {
    for (at, value) in edits {
        // Headers are at the front; that is where changes hurt.
        let headers = frame.len().min(120);
        frame[at.index(headers)] = *value;
    }
    frame.truncate(frame.len() - cut.min(frame.len()));
    frame
}

/// Makes the IPv4 header checksum right again, if there is such a header.
fn fix(frame: &mut [u8], l3: usize) {
    if frame.get(l3).is_none_or(|first| first >> 4 != 4) {
        return;
    }
    let end = l3 + usize::from(frame[l3] & 0xf) * 4;
    if end < l3 + 20 || end > frame.len() {
        return;
    }
    frame[l3 + 10..l3 + 12].fill(0);
    let words = frame[l3..end]
        .chunks(2)
        .map(|w| u32::from(w[0]) << 8 | u32::from(w[1]));
    let sum: u32 = words.sum();
    let sum = (sum & 0xffff) + (sum >> 16);
    let sum = !((sum & 0xffff) + (sum >> 16)) as u16;
    frame[l3 + 10..l3 + 12].copy_from_slice(&sum.to_be_bytes());
}

/// Leaves the checksum of a plain TCP or UDP packet as Linux leaves it to the NIC: the sum of the pseudo-header.
fn leave_to_nic(frame: &mut [u8]) {
    let (result, meta) = parse(frame);
    let field = match meta.proto {
        proto::TCP => 16,
        proto::UDP => 6,
        _ => return,
    };
    assert_eq!(result, Ok(()));
    let addresses = meta.src.into_iter().chain(meta.dst);
    let rest = [0, meta.proto].into_iter().chain(meta.l4_len.to_be_bytes());
    let bytes: Vec<u8> = addresses.chain(rest).collect();
    let words = bytes
        .chunks(2)
        .map(|w| u32::from(w[0]) << 8 | u32::from(w[1]));
    let sum: u32 = words.sum();
    let sum = (sum & 0xffff) + (sum >> 16);
    let sum = ((sum & 0xffff) + (sum >> 16)) as u16;
    let at = usize::from(meta.l4_offset) + field;
    frame[at..at + 2].copy_from_slice(&sum.to_be_bytes());
    assert!(checksum::is_left_to_nic(frame, &meta));
}

fn edits() -> impl Strategy<Value = Vec<(prop::sample::Index, u8)>> {
    vec((any::<prop::sample::Index>(), any::<u8>()), 1..4)
}

proptest! {
    #[test]
    fn any_bytes_stay_within_bounds(frame in vec(any::<u8>(), 0..300)) {
        check_bounds(&frame);
    }

    #[test]
    fn good_frames_are_read_as_built(shape in shapes()) {
        let frame = shape.build();
        let (result, meta) = parse(&frame);
        prop_assert_eq!(result, Ok(()));
        check_bounds(&frame);
        check_agreement(&frame, &meta);
        check_shape(&shape, &meta);
        prop_assert_eq!(checksum::verify::<65535, _>(&frame[..], &meta), Ok(()));
    }

    #[test]
    fn changed_frames_agree_wherever_both_accept(
        shape in shapes(),
        edits in edits(),
        cut in prop_oneof![3 => Just(0), 1 => 0..80usize],
    ) {
        let l3 = 14 + 4 * shape.tags.len();
        let mut frame = mutate(shape.build(), &edits, cut);
        fix(&mut frame, l3);
        check_bounds(&frame);
        let (result, meta) = parse(&frame);
        if result.is_ok() {
            check_agreement(&frame, &meta);
        }
    }

    #[test]
    fn nothing_is_left_of_what_was_in_the_memory(shape in shapes(), edits in edits()) {
        for frame in [shape.build(), mutate(shape.build(), &edits, 0)] {
            let (mut one, mut two) = (leftovers(0x00), leftovers(0xff));
            let (first, second) = (wire::parse(&frame[..], &mut one), wire::parse(&frame[..], &mut two));
            prop_assert_eq!(first, second);
            if has_network(first) {
                if !has_tcp(first, &one) {
                    (one.tcp, two.tcp) = Default::default();
                }
                prop_assert_eq!(one, two);
            }
        }
    }

    #[test]
    fn what_is_read_at_one_glance_is_what_is_parsed(
        shape in shapes(),
        plain in any::<bool>(),
        (edits, cut) in (edits(), 0..8usize),
        (broken, mended) in any::<(bool, bool)>(),
        (dying, unfinished) in any::<(bool, bool)>(),
    ) {
        let shape = if plain { shape.plain() } else { shape };
        let mut frame = shape.build();
        if plain && unfinished {
            leave_to_nic(&mut frame);
        }
        if plain && dying {
            // TTL or hop limit.
            let l3 = 14 + 4 * shape.tags.len();
            let at = if frame[l3] >> 4 == 4 { 8 } else { 7 };
            frame[l3 + at] = 1;
            fix(&mut frame, l3);
            prop_assert!(!check_glance(&frame));
            return Ok(());
        }
        if broken {
            frame = mutate(frame, &edits, cut);
        }
        if broken && mended {
            fix(&mut frame, 14 + 4 * shape.tags.len());
        }
        let seen = check_glance(&frame);
        let other = matches!(shape.transport, Transport::Other(_) | Transport::Echo { .. });
        prop_assert!(seen || broken || !plain || other);
    }

    #[test]
    fn starting_at_the_ip_header_gives_the_same(shape in shapes()) {
        let frame = shape.build();
        let (result, meta) = parse(&frame);
        let offset = usize::from(meta.l3_offset);
        let ethertype = u16::from_be_bytes(frame[offset - 2..offset].try_into().unwrap());
        let mut again = leftovers(0xff);
        prop_assert_eq!(wire::parse_l3(&frame[..], offset, ethertype, &mut again), result);
        prop_assert_eq!(again.vlan, [0; 2]);
        again.vlan = meta.vlan;
        if !has_tcp(result, &meta) {
            again.tcp = meta.tcp;
        }
        prop_assert_eq!(again, meta);
    }

    #[test]
    fn tcp_options_are_read_as_the_kernel_does(
        mut shape in shapes(),
        options in tcp_options(),
        flags in prop_oneof![Just(0x02), Just(0x12), Just(0x10), Just(0x04), any::<u8>()],
        ack in any::<u32>(),
    ) {
        shape.transport = Transport::Tcp {
            ports: (1, 2), seq: 3, ack, flags, window: 4, options: options.clone(),
        };
        let (result, meta) = parse(&shape.build());
        prop_assert_eq!(result, Ok(()));
        let expected = options_slowly(&meta.tcp, &options);
        prop_assert_eq!((meta.tcp.wscale, meta.tcp.options, meta.tcp.sack), expected);
        if flags & 0x02 != 0 {
            prop_assert_eq!(meta.tcp.cursor == 0, options.is_empty());
        }
    }

    #[test]
    fn errors_quote_what_they_were_sent_for(shape in shapes(), keep in 0..2000usize) {
        let frame = shape.build();
        let (_, sent) = parse(&frame);
        let packet = &frame[usize::from(sent.l3_offset)..][..usize::from(sent.l3_len)];
        let error = error_about(&sent, &packet[..keep.min(packet.len())]);
        let (result, outer) = parse(&error);
        prop_assert_eq!(result, Ok(()));
        let mut inner = leftovers(0xff);
        let needed = usize::from(sent.l4_offset - sent.l3_offset) + bytes_needed(sent.proto);
        let quoted = wire::inner(&error[..], &outer, &mut inner);
        if keep < needed {
            prop_assert_eq!(quoted, Err(Reason::UnrelatedIcmpError));
        } else {
            prop_assert_eq!(quoted, Ok(()));
            prop_assert_eq!((inner.src, inner.dst), (sent.src, sent.dst));
            prop_assert_eq!((inner.proto, inner.family), (sent.proto, sent.family));
            prop_assert_eq!((inner.sport, inner.dport), (sent.sport, sent.dport));
            prop_assert_eq!((inner.icmp_type, inner.icmp_code), (sent.icmp_type, sent.icmp_code));
            prop_assert_eq!((inner.l3_len, inner.frag_id), (sent.l3_len, sent.frag_id));
        }
    }
}

/// Bytes of the transport header that a quote must have.
fn bytes_needed(protocol: u8) -> usize {
    match protocol {
        proto::TCP | proto::UDP => 4,
        proto::ICMP | proto::ICMPV6 => 8,
        _ => 0,
    }
}

/// "Packet too big" and its like, sent to the source of `sent` by its destination.
fn error_about(sent: &Meta, quote: &[u8]) -> Vec<u8> {
    let mut message = vec![0; 8];
    message[0] = if sent.family == Family::V4 { 3 } else { 2 };
    message.extend(quote);
    let shape = Shape {
        tags: Vec::new(),
        network: match sent.family {
            Family::V4 => frames::Network::V4 {
                src: sent.dst[..4].try_into().unwrap(),
                dst: sent.src[..4].try_into().unwrap(),
                ttl: 64,
                options: Vec::new(),
                id: 0,
                more: false,
            },
            Family::V6 => frames::Network::V6 {
                src: sent.dst,
                dst: sent.src,
                hop_limit: 64,
                chain: [None; 6],
                id: 0,
                more: false,
            },
        },
        transport: Transport::Other(if sent.family == Family::V4 { 1 } else { 58 }),
        payload: message,
        padding: 0,
    };
    shape.build()
}

/// What only the builder knows.
fn check_shape(shape: &Shape, meta: &Meta) {
    assert_eq!(meta.fragment == Fragment::First, shape.is_first_fragment());
    match &shape.transport {
        Transport::Tcp { ports, .. } | Transport::Udp { ports } => {
            assert_eq!((meta.sport, meta.dport), *ports);
        }
        Transport::Echo { id, .. } => {
            assert_eq!((meta.icmp_type, meta.icmp_code), (shape.echo_type(), 0));
            assert_eq!((meta.sport, meta.dport), (*id, 0));
        }
        Transport::Other(number) => {
            assert_eq!(meta.proto, *number);
            assert_eq!((meta.sport, meta.dport), (0, 0));
        }
    }
    let frame = shape.build();
    assert_eq!(
        Packet::len(&frame[..]) - shape.padding,
        usize::from(meta.l3_offset) + usize::from(meta.l3_len)
    );
}
