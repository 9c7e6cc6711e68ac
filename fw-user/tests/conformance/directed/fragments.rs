//! Datagrams in fragments. Those that arrive, first fragment first, leave both tables the same; what else
//! may happen to them is the intended difference.

use fw_common::tcp::header::{ACK, PSH};
use fw_common::wire::{Family, proto};

use super::{Case, dialogue};
use crate::script::{Body, Oddity, Packet, Split, Step, Tcp, Who};

const FAMILIES: [Family; 2] = [Family::V4, Family::V6];

pub(super) fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    for family in FAMILIES {
        cases.extend(orderly(family));
        cases.push(segment(family));
        cases.extend(others(family));
    }
    cases
}

/// `packet` cut at 48 and 96 bytes.
fn split(packet: Packet, id: u16, order: &[usize]) -> Packet {
    packet.with(Oddity::Split(Split {
        id,
        cuts: vec![48, 96],
        order: order.to_vec(),
        overlap: 0,
    }))
}

/// Makes the datagram that a host sends.
type Make = fn(Who, Family) -> Packet;

fn datagrams() -> [(&'static str, Make); 4] {
    let udp = |src, _| {
        let ports = if src == Who::A {
            [1000, 53]
        } else {
            [53, 1000]
        };
        Packet::new(
            src,
            Body::Udp {
                ports,
                payload: 200,
            },
        )
    };
    let ping = |src, family| {
        let (request, answer) = if family == Family::V4 {
            (8, 0)
        } else {
            (128, 129)
        };
        let kind = if src == Who::A { request } else { answer };
        let payload = vec![b'p'; 300];
        Packet::new(
            src,
            Body::Icmp {
                kind,
                code: 0,
                id: 7,
                payload,
            },
        )
    };
    let esp = |src, _| {
        let payload = vec![5; 101];
        Packet::new(
            src,
            Body::Raw {
                proto: proto::ESP,
                payload,
            },
        )
    };
    let gre = |src, _| {
        let payload = [&[0x30, 1, 0x88, 0x0b, 0, 0, 0, 7][..], &[5; 101]].concat();
        Packet::new(
            src,
            Body::Raw {
                proto: proto::GRE,
                payload,
            },
        )
    };
    [("UDP", udp), ("ping", ping), ("ESP", esp), ("PPTP", gre)]
}

/// In any order but for the first fragment, and some of them more than once.
fn orderly(family: Family) -> Vec<Case> {
    let mut cases = Vec::new();
    for (name, make) in datagrams() {
        for order in [&[0, 1, 2][..], &[0, 2, 1], &[0, 1, 1, 2], &[0, 0, 1, 2]] {
            let packets = [Who::A, Who::B, Who::A, Who::A]
                .into_iter()
                .zip(1..)
                .map(|(src, id)| split(make(src, family), id, order));
            let name = format!("{family:?} {name} in the order {order:?}");
            cases.push(Case::new(name, family, packets.collect()));
        }
        // The same number again once it is complete, and whole datagrams of the same flow between.
        let again = |src| split(make(src, family), 9, &[0, 1, 2]);
        let packets = vec![
            again(Who::A),
            make(Who::B, family),
            again(Who::A),
            again(Who::B),
        ];
        cases.push(Case::new(
            format!("{family:?} {name} numbered alike"),
            family,
            packets,
        ));
    }
    cases
}

/// The acknowledgement of all of a segment is in the window, and of a byte more is not.
fn segment(family: Family) -> Case {
    let mut steps = dialogue::steps("A:S B:SA A:A A:PA+500 B:A B:A#1 B:PA+10");
    for step in &mut steps {
        if let Step::Send(packet) = step
            && let Body::Tcp(Tcp { flags, payload, .. }) = packet.body
            && flags == ACK | PSH
            && payload == 500
        {
            *packet = split(packet.clone(), 3, &[0, 1, 2]);
        }
    }
    Case::of_steps(format!("{family:?} a segment in fragments"), family, steps)
}

/// What XDP can't do as the kernel does.
fn others(family: Family) -> Vec<Case> {
    let (_, udp) = datagrams()[0];
    let case = |name: &str, packets| {
        Case::new(format!("{family:?} {name}"), family, packets).differs("fragments")
    };
    let of = |order: &[usize]| split(udp(Who::A, family), 1, order);
    let mut overlapping = of(&[0, 1, 2]);
    if let Some(Oddity::Split(split)) = overlapping.oddities.last_mut() {
        split.overlap = 8;
    }
    let mut empty = of(&[0, 1, 2, 3]);
    if let Some(Oddity::Split(split)) = empty.oddities.last_mut() {
        split.cuts = vec![48, 96, 96];
    }
    vec![
        case("an empty fragment", vec![empty]),
        case("first fragment last", vec![of(&[1, 2, 0])]),
        case("last fragment lost", vec![of(&[0, 1])]),
        case("overlapping fragments", vec![overlapping]),
    ]
}
