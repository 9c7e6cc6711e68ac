//! ICMP and ICMPv6: every type as first packet and as an answer to every request.

use fw_common::wire::{Family, proto};

use super::Case;
use crate::script::{Body, Oddity, Packet, Who};
use crate::settings::Settings;

/// Request and answer.
const QUERIES: [(Family, u8, u8); 6] = [
    (Family::V4, 8, 0),
    (Family::V4, 13, 14),
    (Family::V4, 15, 16),
    (Family::V4, 17, 18),
    (Family::V6, 128, 129),
    (Family::V6, 139, 140),
];

/// A message with a payload that quotes nothing.
pub(super) fn message(src: Who, kind: u8, code: u8, id: u16) -> Packet {
    Packet::new(
        src,
        Body::Icmp {
            kind,
            code,
            id,
            payload: b"twelve bytes".to_vec(),
        },
    )
}

pub(super) fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    for family in [Family::V4, Family::V6] {
        for kind in 0..=255 {
            let packets = vec![message(Who::A, kind, 0, 7)];
            cases.push(Case::new(
                format!("{family:?} type {kind} first"),
                family,
                packets,
            ));
        }
    }
    for kind in [128, 130, 135, 136, 143, 200] {
        let bad = message(Who::A, kind, 0, 7).with(Oddity::BadChecksum);
        let name = format!("V6 type {kind}, wrong checksum");
        cases.push(Case::new(name, Family::V6, vec![bad]));
    }
    for (family, request, answer) in QUERIES {
        cases.extend(exchanges(family, request, answer));
    }
    cases.extend(malformed());
    cases
}

fn exchanges(family: Family, request: u8, answer: u8) -> Vec<Case> {
    use Who::{A, B};
    let name = |what| format!("{family:?} {request}/{answer}, {what}");
    let ask = |who, id| message(who, request, 0, id);
    let reply = |who, code, id| message(who, answer, code, id);
    [
        (
            "answered",
            vec![ask(A, 7), reply(B, 0, 7), ask(A, 7), reply(B, 0, 7)],
        ),
        (
            "asked again and again",
            vec![ask(A, 7), ask(A, 7), ask(A, 7)],
        ),
        ("answer with another code", vec![ask(A, 7), reply(B, 1, 7)]),
        ("answer with another id", vec![ask(A, 7), reply(B, 0, 8)]),
        ("answer from the asker", vec![ask(A, 7), reply(A, 0, 7)]),
        (
            "both ask with one id",
            vec![ask(A, 7), ask(B, 7), reply(A, 0, 7), reply(B, 0, 7)],
        ),
        ("id 0", vec![ask(A, 0), reply(B, 0, 0)]),
        (
            "other types at once",
            vec![ask(A, 7), message(A, request ^ 5, 0, 7), reply(B, 0, 7)],
        ),
    ]
    .into_iter()
    .map(|(what, packets)| Case::new(name(what), family, packets))
    .collect()
}

fn malformed() -> Vec<Case> {
    let mut cases = Vec::new();
    for (family, request, answer) in [(Family::V4, 8, 0), (Family::V6, 128, 129)] {
        let first = message(Who::A, request, 0, 7);
        for len in 0..9 {
            let packets = vec![first.clone().with(Oddity::Cut(len))];
            cases.push(Case::new(
                format!("{family:?} echo of {len} bytes"),
                family,
                packets,
            ));
        }
        let bad = first.clone().with(Oddity::BadChecksum);
        let name = format!("{family:?} echo, wrong checksum");
        cases.push(Case::new(name.clone(), family, vec![bad.clone()]));
        let unchecked = Settings {
            checksum: 0,
            ..Settings::DEFAULT
        };
        cases.push(Case::new(name, family, vec![bad]).with(unchecked));
        let answer = message(Who::B, answer, 0, 7).with(Oddity::Padding(6));
        cases.push(Case::new(
            "padded",
            family,
            vec![first.with(Oddity::Padding(40)), answer],
        ));
    }
    let foreign = |proto| {
        Packet::new(
            Who::A,
            Body::Raw {
                proto,
                payload: vec![8, 0, 0, 0, 0, 1, 0, 1],
            },
        )
    };
    cases.push(Case::new(
        "ICMP in IPv6",
        Family::V6,
        vec![foreign(proto::ICMP)],
    ));
    cases.push(Case::new(
        "ICMPv6 in IPv4",
        Family::V4,
        vec![foreign(proto::ICMPV6)],
    ));
    cases
}
