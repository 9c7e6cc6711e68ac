//! ICMP errors: what they may quote, and where they may go.

use fw_common::wire::{Family, proto};

use super::{Case, dialogue, icmp};
use crate::script::{Body, Oddity, Packet, Step, Who};
use crate::settings::Settings;

const FAMILIES: [Family; 2] = [Family::V4, Family::V6];

/// Types of errors, with those that are none.
fn kinds(family: Family) -> Vec<u8> {
    match family {
        Family::V4 => vec![3, 4, 5, 11, 12],
        Family::V6 => vec![1, 2, 3, 4, 0, 5, 100, 127],
    }
}

pub(super) fn udp(src: Who) -> Packet {
    let ports = if src == Who::A {
        [1000, 53]
    } else {
        [53, 1000]
    };
    Packet::new(src, Body::Udp { ports, payload: 20 })
}

/// The usual error about `quote`, from the host it was sent to.
pub(super) fn about(family: Family, quote: &Packet, keep: u16) -> Packet {
    let kind = if family == Family::V4 { 3 } else { 1 };
    error(kind, 3, quote, keep)
}

fn error(kind: u8, code: u8, quote: &Packet, keep: u16) -> Packet {
    let body = Body::Error {
        kind,
        code,
        keep,
        quote: Box::new(quote.clone()),
    };
    Packet::new(quote.dst, body)
}

pub(super) fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    for family in FAMILIES {
        let mut case = |name: &str, packets| {
            cases.push(Case::new(format!("{family:?} {name}"), family, packets));
        };
        for kind in kinds(family) {
            for code in [0, 1, 4, 200] {
                let error = error(kind, code, &udp(Who::A), 1000);
                case(
                    &format!("type {kind} code {code}"),
                    vec![udp(Who::A), error],
                );
            }
        }
        let header = if family == Family::V4 { 20 } else { 40 };
        for keep in (0..=header + 9).filter(|keep| *keep < 2 || *keep + 2 > header) {
            let error = about(family, &udp(Who::A), keep);
            case(
                &format!("quoting {keep} bytes of UDP"),
                vec![udp(Who::A), error],
            );
        }
        directions(family, &mut case);
        protocols(family, header, &mut case);
    }
    cases.extend(FAMILIES.into_iter().flat_map(of_udp_lite));
    cases.extend(of_connections());
    cases.extend(odd_quotes());
    cases
}

fn directions(family: Family, case: &mut impl FnMut(&str, Vec<Packet>)) {
    use Who::{A, B, C, D};
    let (out, back) = (udp(A), udp(B));
    let to_a = about(family, &out, 1000);
    let to_b = about(family, &back, 1000);
    let from = |src, error: &Packet| Packet {
        src,
        ..error.clone()
    };
    case("about nothing known", vec![to_a.clone()]);
    case(
        "to the asker and back",
        vec![
            out.clone(),
            to_a.clone(),
            back.clone(),
            to_b.clone(),
            to_a.clone(),
        ],
    );
    case("from a router", vec![out.clone(), from(D, &to_a)]);
    case("to another host", vec![out.clone(), to_a.clone().to(C)]);
    case(
        "about an answer never given",
        vec![out.clone(), to_b.clone()],
    );
    case(
        "to the wrong end",
        vec![out.clone(), about(family, &out, 1000).to(B).clone_from(A)],
    );
    let nested = about(family, &to_a, 1000);
    case("about an error", vec![out.clone(), to_a, nested]);
    let bad = about(family, &out, 1000).with(Oddity::BadChecksum);
    case("with a wrong checksum", vec![out, bad]);
}

impl Packet {
    /// The same from another host.
    fn clone_from(&self, src: Who) -> Self {
        Self {
            src,
            ..self.clone()
        }
    }
}

fn protocols(family: Family, header: u16, case: &mut impl FnMut(&str, Vec<Packet>)) {
    let query = if family == Family::V4 { 8 } else { 128 };
    let raw = |proto, payload: &[u8]| {
        Packet::new(
            Who::A,
            Body::Raw {
                proto,
                payload: payload.to_vec(),
            },
        )
    };
    for (name, quote) in [
        ("an echo", icmp::message(Who::A, query, 0, 7)),
        ("GRE", raw(proto::GRE, &[0, 0, 8, 0])),
        ("PPTP", raw(proto::GRE, &[0x30, 1, 0x88, 0x0b, 0, 0, 0, 7])),
        ("ESP", raw(proto::ESP, &[0; 16])),
        ("OSPF", raw(89, &[2; 24])),
        ("nothing", raw(253, &[])),
    ] {
        for keep in [header, header + 3, header + 4, header + 7, header + 8, 1000] {
            let packets = vec![quote.clone(), about(family, &quote, keep)];
            case(&format!("quoting {keep} bytes of {name}"), packets);
        }
    }
}

/// Checksums are not verified: of UDP-Lite the kernel refuses the right ones.
fn of_udp_lite(family: Family) -> Vec<Case> {
    let unchecked = Settings {
        checksum: 0,
        ..Settings::DEFAULT
    };
    let quote = Packet::new(
        Who::A,
        Body::UdpLite {
            ports: [1000, 53],
            payload: 4,
        },
    );
    let header = if family == Family::V4 { 20 } else { 40 };
    let of = |keep| {
        let packets = vec![quote.clone(), about(family, &quote, keep)];
        let name = format!("{family:?} quoting {keep} bytes of UDP-Lite");
        Case::new(name, family, packets).with(unchecked)
    };
    [header, header + 3, header + 4, header + 8, 1000]
        .map(of)
        .into()
}

/// Errors about TCP connections, in whatever state.
fn of_connections() -> Vec<Case> {
    let mut cases = Vec::new();
    for family in FAMILIES {
        for (state, way) in super::tcp_flags::STATES {
            let mut steps = dialogue::steps(&format!("{way} A:A"));
            let quote = match steps.pop() {
                Some(Step::Send(packet)) => packet,
                _ => continue,
            };
            steps.push(Step::Send(about(family, &quote, 68)));
            cases.push(Case::of_steps(
                format!("{family:?} about a connection in {state}"),
                family,
                steps,
            ));
        }
    }
    cases
}

/// Quotes with options, extension headers, and fragments.
fn odd_quotes() -> Vec<Case> {
    let v4 = |name: &str, oddity: Oddity| {
        let quote = udp(Who::A).with(oddity);
        let packets = vec![udp(Who::A), about(Family::V4, &quote, 1000)];
        Case::new(format!("quoting {name}"), Family::V4, packets)
    };
    let v6 = |name: &str, first: u8, headers: &[u8]| {
        let quote = udp(Who::A).with(Oddity::Headers(first, headers.to_vec()));
        let packets = vec![udp(Who::A), about(Family::V6, &quote, 1000)];
        Case::new(format!("quoting {name}"), Family::V6, packets)
    };
    vec![
        v4("IP options", Oddity::Options(vec![1; 8])),
        v4("a first fragment", Oddity::Fragment(0x2000)),
        v4("a later fragment", Oddity::Fragment(0x0010)),
        v4("a wrong header checksum", Oddity::BadHeaderChecksum),
        v4("TTL 0", Oddity::Ttl(0)),
        v4("a wrong UDP checksum", Oddity::BadChecksum),
        v4("a wrong UDP length", Oddity::UdpLength(3)),
        v6("destination options", 60, &[17, 0, 1, 4, 0, 0, 0, 0]),
        v6("hop-by-hop options", 0, &[17, 0, 1, 4, 0, 0, 0, 0]),
        v6("a first fragment", 44, &[17, 0, 0, 1, 0, 0, 0, 1]),
        v6("a later fragment", 44, &[17, 0, 0, 8, 0, 0, 0, 1]),
        v6("an atomic fragment", 44, &[17, 0, 0, 0, 0, 0, 0, 1]),
        v6("no next header", 60, &[59, 0, 1, 4, 0, 0, 0, 0]),
    ]
}
