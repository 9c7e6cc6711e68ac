//! Properties of flow keys: both directions of a flow share one, and nothing else does.

use fw_common::abi::{Flow, Key4, Key6};
use fw_common::flow::{FlowKey, Tuple, direction, tuple_of};
use fw_common::wire::{Family, Meta, proto};
use fw_common::{Dir, Reason};
use proptest::prelude::*;

/// Few values, so that two tuples often have something in common.
fn small() -> impl Strategy<Value = u16> {
    prop_oneof![0..3u16, Just(0x0800), Just(0x8000), any::<u16>()]
}

fn address(family: Family) -> BoxedStrategy<[u8; 16]> {
    let byte = prop_oneof![Just(0), Just(1), Just(255), any::<u8>()];
    match family {
        Family::V4 => prop::array::uniform4(byte)
            .prop_map(|four| {
                let mut wide = [0; 16];
                wide[..4].copy_from_slice(&four);
                wide
            })
            .boxed(),
        Family::V6 => prop::array::uniform16(byte).boxed(),
    }
}

/// Tuples of packets that [`Tuple::of`] could have made.
fn tuple(family: Family) -> impl Strategy<Value = Tuple> {
    let icmp = match family {
        Family::V4 => proto::ICMP,
        Family::V6 => proto::ICMPV6,
    };
    let proto = prop_oneof![Just(proto::TCP), Just(proto::UDP), Just(icmp)];
    (
        address(family),
        address(family),
        small(),
        small(),
        proto,
        any::<bool>(),
    )
        .prop_filter("nobody talks to himself", |(src, dst, ..)| src != dst)
        .prop_map(move |(src, dst, sport, dport, proto, request)| Tuple {
            src,
            dst,
            sport,
            dport,
            proto,
            request: request && proto == icmp,
        })
}

fn check_directions<K: FlowKey + PartialEq + core::fmt::Debug>(tuple: &Tuple, zone: u16) {
    let (key, from_hi) = K::canonical(tuple, zone);
    let (back, back_from_hi) = K::canonical(&tuple.invert(), zone);
    assert_eq!(key, back, "both directions have one key");
    assert_ne!(from_hi, back_from_hi, "from different ends");
    assert_eq!(tuple.invert().invert(), *tuple);
    assert_eq!(key.tuple(from_hi), *tuple, "the key says it all");
    assert_eq!(key.tuple(!from_hi), tuple.invert());
    assert_eq!(key.zone(), zone);
}

fn check_distinct<K: FlowKey + PartialEq>(one: &Tuple, two: &Tuple) {
    let same_flow = one == two || *one == two.invert();
    let (first, second) = (K::canonical(one, 0).0, K::canonical(two, 0).0);
    assert_eq!(first == second, same_flow, "{one:?} {two:?}");
}

/// Another tuple that differs from `tuple` in few things.
fn variants(tuple: Tuple) -> Vec<Tuple> {
    let swap_ports = Tuple {
        sport: tuple.dport,
        dport: tuple.sport,
        ..tuple
    };
    let swap_addresses = Tuple {
        src: tuple.dst,
        dst: tuple.src,
        ..tuple
    };
    let other_side = Tuple {
        request: matches!(tuple.proto, proto::ICMP | proto::ICMPV6) && !tuple.request,
        ..tuple
    };
    let other_port = Tuple {
        sport: tuple.sport ^ 1,
        ..tuple
    };
    let mut variants = vec![swap_ports, swap_addresses, other_side, other_port];
    variants.extend(variants.clone().iter().map(Tuple::invert));
    variants
}

proptest! {
    #[test]
    fn both_directions_share_a_key(
        four in tuple(Family::V4), six in tuple(Family::V6), zone in any::<u16>(),
    ) {
        check_directions::<Key4>(&four, zone);
        check_directions::<Key6>(&six, zone);
    }

    #[test]
    fn different_flows_have_different_keys(
        four in (tuple(Family::V4), tuple(Family::V4)),
        six in (tuple(Family::V6), tuple(Family::V6)),
    ) {
        check_distinct::<Key4>(&four.0, &four.1);
        check_distinct::<Key6>(&six.0, &six.1);
        for variant in variants(four.0) {
            check_distinct::<Key4>(&four.0, &variant);
        }
        for variant in variants(six.0) {
            check_distinct::<Key6>(&six.0, &variant);
        }
    }

    #[test]
    fn zones_are_apart(tuple in tuple(Family::V4), zones in any::<(u16, u16)>()) {
        let (one, two) = (Key4::canonical(&tuple, zones.0).0, Key4::canonical(&tuple, zones.1).0);
        prop_assert_eq!(one == two, zones.0 == zones.1);
    }

    #[test]
    fn who_sent_first_is_the_originator(tuple in tuple(Family::V6)) {
        let (key, from_hi) = Key6::canonical(&tuple, 0);
        let flow = Flow { origin: u8::from(from_hi), ..Flow::default() };
        prop_assert_eq!(direction(&flow, from_hi), Dir::Original);
        prop_assert_eq!(direction(&flow, !from_hi), Dir::Reply);
        prop_assert_eq!(tuple_of(&key, &flow, Dir::Original), tuple);
        prop_assert_eq!(tuple_of(&key, &flow, Dir::Reply), tuple.invert());
    }
}

const A: [u8; 16] = [10, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
const B: [u8; 16] = [10, 0, 0, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];

fn key(tuple: &Tuple) -> Key4 {
    Key4::canonical(tuple, 0).0
}

fn udp(src: [u8; 16], sport: u16, dst: [u8; 16], dport: u16) -> Tuple {
    Tuple {
        src,
        dst,
        sport,
        dport,
        proto: proto::UDP,
        request: false,
    }
}

#[test]
fn pairs_are_sorted_not_addresses_and_ports() {
    assert_ne!(key(&udp(A, 1, B, 2)), key(&udp(A, 2, B, 1)));
    assert_eq!(key(&udp(A, 1, B, 2)), key(&udp(B, 2, A, 1)));
}

/// The tuple of an ICMP message as it was parsed.
fn icmp(src: [u8; 16], dst: [u8; 16], kind: u8, code: u8, id: u16) -> Result<Tuple, Reason> {
    Tuple::of(&Meta {
        src,
        dst,
        proto: proto::ICMP,
        icmp_type: kind,
        icmp_code: code,
        sport: id,
        ..Meta::default()
    })
}

#[test]
fn answer_finds_the_flow_of_its_query() {
    for (request, answer) in [(8, 0), (13, 14), (15, 16), (17, 18)] {
        for id in [0, 1, 0x0800, 0xffff] {
            let query = icmp(A, B, request, 0, id).unwrap();
            let reply = icmp(B, A, answer, 0, id).unwrap();
            assert_eq!(reply, query.invert());
            assert_eq!(key(&query), key(&reply));
        }
    }
}

#[test]
fn answer_with_another_code_or_identifier_is_of_another_flow() {
    let query = key(&icmp(A, B, 8, 0, 7).unwrap());
    assert_ne!(query, key(&icmp(B, A, 0, 1, 7).unwrap()));
    assert_ne!(query, key(&icmp(B, A, 0, 0, 8).unwrap()));
    assert_ne!(query, key(&icmp(B, A, 14, 0, 7).unwrap()));
}

#[test]
fn hosts_that_ping_each_other_have_two_flows() {
    // 0x0800 is what stands for "echo request, code 0" at the other end.
    for id in [0, 7, 0x0800, 0xffff] {
        let there = icmp(A, B, 8, 0, id).unwrap();
        let back = icmp(B, A, 8, 0, id).unwrap();
        assert_ne!(key(&there), key(&back), "{id:#x}");
        assert_eq!(key(&there), key(&icmp(B, A, 0, 0, id).unwrap()));
        assert_eq!(key(&back), key(&icmp(A, B, 0, 0, id).unwrap()));
    }
}

#[test]
fn types_without_an_inverse_have_no_tuple() {
    for kind in 0..=255 {
        let queries = [0, 8, 13, 14, 15, 16, 17, 18];
        let expected = queries.contains(&kind);
        assert_eq!(icmp(A, B, kind, 0, 1).is_ok(), expected, "{kind}");
        let six = Meta {
            family: Family::V6,
            proto: proto::ICMPV6,
            icmp_type: kind,
            ..Meta::default()
        };
        let expected = [128, 129, 139, 140].contains(&kind);
        assert_eq!(Tuple::of(&six).is_ok(), expected, "{kind}");
    }
    assert_eq!(icmp(A, B, 3, 0, 1), Err(Reason::BadIcmpType));
}

#[test]
fn pptp_calls_do_not_pair_up() {
    let call = |src, dst, id| {
        Tuple::of(&Meta {
            src,
            dst,
            proto: proto::GRE,
            dport: id,
            gre_version: 1,
            ..Meta::default()
        })
        .unwrap()
    };
    assert_ne!(key(&call(A, B, 1)), key(&call(B, A, 1)));
    // Version 0 has nothing but the addresses.
    assert_eq!(key(&call(A, B, 0)), key(&call(B, A, 0)));
}
