//! UDP, UDP-Lite, GRE, and the protocols without state; and what the headers before them may be.

use fw_common::wire::{Family, proto};

use super::Case;
use crate::script::{Body, Oddity, Packet, Step, Who};
use crate::settings::Settings;

const FAMILIES: [Family; 2] = [Family::V4, Family::V6];

/// Milliseconds: more than the two seconds after which UDP is a stream, and less.
const LONG: u16 = 2300;
const SHORT: u16 = 1500;

pub(super) fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    for family in FAMILIES {
        cases.extend(lasting(family));
        cases.extend(lengths(family));
        cases.extend(others(family));
    }
    cases.extend(headers());
    cases
}

fn datagram(src: Who) -> Packet {
    super::quotes::udp(src)
}

fn lite(src: Who) -> Packet {
    let ports = if src == Who::A {
        [1000, 53]
    } else {
        [53, 1000]
    };
    Packet::new(src, Body::UdpLite { ports, payload: 20 })
}

/// What time does: `A`, `B` send, a digit waits.
fn lasting(family: Family) -> Vec<Case> {
    let mut cases = Vec::new();
    for (name, script) in [
        ("answered", "ABABA"),
        ("one way", "AAAA"),
        ("one way for long", "A2A2A"),
        ("answered late", "A2BAB"),
        ("answered at once, late again", "AB2AB"),
        ("answered at once, late answer", "AB2BA"),
        ("not quite two seconds", "AB1AB"),
        ("begun by the server", "BA2AB"),
        ("begun by the server, at once", "BABA"),
    ] {
        let of = |protocol, packet: fn(Who) -> Packet| {
            let name = format!("{family:?} {protocol} {name}");
            Case::of_steps(name, family, steps(script, packet))
        };
        cases.push(of("UDP", datagram));
        if !script.contains(['1', '2']) {
            let unchecked = Settings {
                checksum: 0,
                ..Settings::DEFAULT
            };
            cases.push(of("UDP-Lite", lite).with(unchecked));
        }
        if script.starts_with("AB2") {
            let short = Settings {
                short: true,
                ..Settings::DEFAULT
            };
            cases.push(of("expired UDP", datagram).with(short));
        }
    }
    cases
}

fn steps(script: &str, packet: impl Fn(Who) -> Packet) -> Vec<Step> {
    let step = |letter| match letter {
        'A' => Step::Send(packet(Who::A)),
        'B' => Step::Send(packet(Who::B)),
        '1' => Step::Wait(SHORT),
        _ => Step::Wait(LONG),
    };
    script.chars().map(step).collect()
}

/// Lengths and checksums.
fn lengths(family: Family) -> Vec<Case> {
    let mut cases = Vec::new();
    let mut oddities = vec![
        Oddity::BadChecksum,
        Oddity::NoChecksum,
        Oddity::Padding(1),
        Oddity::Padding(18),
        Oddity::PseudoProto(17),
    ];
    oddities.extend([0, 1, 7, 8, 9, 27, 28, 29, 5000].map(Oddity::UdpLength));
    oddities.extend((0..10).map(Oddity::Cut));
    for oddity in oddities {
        let of = |packet: Packet, settings: Settings| {
            let name = format!("{family:?} {packet}");
            Case::new(name, family, vec![packet]).with(settings)
        };
        let unchecked = Settings {
            checksum: 0,
            ..Settings::DEFAULT
        };
        cases.push(of(datagram(Who::A).with(oddity.clone()), Settings::DEFAULT));
        cases.push(of(datagram(Who::A).with(oddity.clone()), unchecked));
        cases.push(of(lite(Who::A).with(oddity), unchecked));
    }
    cases
}

/// Protocols without ports.
fn others(family: Family) -> Vec<Case> {
    let mut cases = Vec::new();
    for (name, proto, payload) in [
        ("GRE", proto::GRE, &[0, 0, 8, 0][..]),
        ("GRE with a key", proto::GRE, &[0x20, 0, 8, 0, 1, 2, 3, 4]),
        ("GRE version 2", proto::GRE, &[0, 2, 8, 0]),
        ("GRE cut short", proto::GRE, &[0, 0, 8]),
        ("PPTP", proto::GRE, &[0x30, 1, 0x88, 0x0b, 0, 0, 0, 7]),
        ("PPTP without PPP", proto::GRE, &[0x30, 1, 8, 0, 0, 0, 0, 7]),
        (
            "PPTP cut short",
            proto::GRE,
            &[0x30, 1, 0x88, 0x0b, 0, 0, 0],
        ),
        ("ESP", proto::ESP, &[0; 16]),
        ("IGMP", proto::IGMP, &[0x16; 8]),
        ("IPIP", 4, &[]),
        ("DCCP", 33, &[0; 16]),
        ("OSPF", 89, &[2; 24]),
        ("VRRP", 112, &[0; 8]),
        ("mobility", 135, &[59, 0, 0, 0, 0, 0, 0, 0]),
        ("nothing", 59, &[]),
        ("253", 253, &[]),
    ] {
        let packet = |src| {
            Packet::new(
                src,
                Body::Raw {
                    proto,
                    payload: payload.to_vec(),
                },
            )
        };
        let of = |script| {
            Case::of_steps(
                format!("{family:?} {name} {script}"),
                family,
                steps(script, packet),
            )
        };
        cases.extend([of("ABAB"), of("AAB"), of("BA1A")]);
    }
    if family == Family::V4 {
        let packet = |src| {
            Packet::new(
                src,
                Body::Raw {
                    proto: proto::AH,
                    payload: vec![17, 4, 0, 0],
                },
            )
        };
        cases.push(Case::of_steps("AH", family, steps("ABA", packet)));
    }
    cases
}

/// Options and extension headers.
fn headers() -> Vec<Case> {
    let v6 = |name: &str, first: u8, bytes: &[u8]| {
        let packet = |src| datagram(src).with(Oddity::Headers(first, bytes.to_vec()));
        Case::new(name, Family::V6, vec![packet(Who::A), packet(Who::B)])
    };
    let v4 = |name: &str, options: &[u8]| {
        let packet = |src| datagram(src).with(Oddity::Options(options.to_vec()));
        Case::new(name, Family::V4, vec![packet(Who::A), packet(Who::B)])
    };
    vec![
        v4("no-operation options", &[1; 8]),
        v4("most options", &[1; 40]),
        v6("destination options", 60, &[17, 0, 1, 4, 0, 0, 0, 0]),
        v6(
            "two of them",
            60,
            &[60, 0, 1, 4, 0, 0, 0, 0, 17, 0, 1, 4, 0, 0, 0, 0],
        ),
        v6("hop-by-hop options", 0, &[17, 0, 1, 4, 0, 0, 0, 0]),
        v6(
            "authentication",
            51,
            &[17, 2, 0, 0, 0, 0, 0, 1, 0, 0, 0, 1, 0, 0, 0, 0],
        ),
        v6("an atomic fragment", 44, &[17, 0, 0, 0, 0, 0, 0, 1]),
        v6(
            "no next header after options",
            60,
            &[59, 0, 1, 4, 0, 0, 0, 0],
        ),
    ]
}
