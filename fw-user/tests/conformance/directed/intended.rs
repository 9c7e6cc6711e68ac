//! The intended differences, each shown by a script, and what the stack drops before either of the two
//! makes a flow of it.

use fw_common::wire::{Family, proto};

use super::quotes::{about, udp};
use super::{Case, dialogue};
use crate::script::{Body, Oddity, Packet, Step, Who};
use crate::settings::Settings;

pub(super) fn cases() -> Vec<Case> {
    let mut cases = vec![
        checksum(),
        syn_sent2(),
        lite(),
        quoted_version(),
        quoted_headers(),
        sctp_chunks(),
        first_fragment(),
    ];
    cases.extend(extension_headers());
    cases.extend(addresses());
    cases.extend(lost());
    cases.extend(same_after_all());
    cases
}

/// Of packets that only refresh a flow.
fn checksum() -> Case {
    let mut steps = dialogue::steps("A:S B:SA A:A A:PA+10");
    if let Some(Step::Send(packet)) = steps.last_mut() {
        packet.oddities.push(Oddity::BadChecksum);
    }
    Case::of_steps("a segment with a wrong checksum", Family::V4, steps)
        .differs("unverified-checksums")
}

fn syn_sent2() -> Case {
    let short = Settings {
        short: true,
        ..Settings::DEFAULT
    };
    let steps = dialogue::steps("A:S B:A B:S");
    Case::of_steps("SYN_SENT2 outlives SYN_SENT", Family::V4, steps)
        .with(short)
        .differs("syn-sent2-timeout")
}

fn lite() -> Case {
    let packet = Packet::new(
        Who::A,
        Body::UdpLite {
            ports: [1000, 53],
            payload: 20,
        },
    );
    Case::new("UDP-Lite with a right checksum", Family::V4, vec![packet])
        .differs("udplite-checksums")
}

fn quoted_version() -> Case {
    let quote = udp(Who::A).with(Oddity::Version(6));
    let packets = vec![udp(Who::A), about(Family::V4, &quote, 1000)];
    Case::new("an error about IP version 6 in IPv4", Family::V4, packets).differs("quoted-version")
}

fn quoted_headers() -> Case {
    let gre = || {
        let payload = vec![0, 0, 8, 0];
        Packet::new(
            Who::A,
            Body::Raw {
                proto: proto::GRE,
                payload,
            },
        )
    };
    let quote = gre().with(Oddity::Headers(60, vec![proto::GRE, 0, 1, 4, 0, 0, 0, 0]));
    let packets = vec![gre(), about(Family::V6, &quote, 47)];
    Case::new(
        "an error that cuts an extension header",
        Family::V6,
        packets,
    )
    .differs("quoted-headers")
}

fn sctp_chunks() -> Case {
    let steps = super::sctp::steps(&format!("A:heartbeat{}", "+heartbeat".repeat(8)));
    Case::of_steps("nine chunks that may change a state", Family::V4, steps).differs("sctp-chunks")
}

fn fragment(field: u16) -> Vec<Packet> {
    vec![udp(Who::A).with(Oddity::Fragment(field))]
}

fn first_fragment() -> Case {
    Case::new("a first fragment alone", Family::V4, fragment(0x2000)).differs("fragments")
}

/// A chain of `kinds`, each of eight bytes, before UDP.
fn chain(kinds: &[u8]) -> Packet {
    let next = kinds.iter().skip(1).copied().chain([proto::UDP]);
    let bytes = next.flat_map(|next| [next, 0, 1, 4, 0, 0, 0, 0]).collect();
    udp(Who::A).with(Oddity::Headers(kinds[0], bytes))
}

fn extension_headers() -> [Case; 2] {
    let case = |name, kinds: &[u8]| {
        Case::new(name, Family::V6, vec![chain(kinds)]).differs("extension-headers")
    };
    [
        case("seven extension headers", &[60; 7]),
        case("hop-by-hop options twice", &[0, 0]),
    ]
}

fn addresses() -> [Case; 3] {
    let from = |source| udp(Who::A).with(Oddity::Source(source));
    let number = |text: [u8; 4]| {
        let mut wide = [0; 16];
        wide[..4].copy_from_slice(&text);
        wide
    };
    let mut mapped = [0; 16];
    mapped[10..].copy_from_slice(&[0xff, 0xff, 10, 0, 0, 1]);
    [
        Case::new("IPv4-mapped source", Family::V6, vec![from(mapped)]).differs("martians"),
        Case::new(
            "source of class E",
            Family::V4,
            vec![from(number([240, 0, 0, 1]))],
        )
        .differs("martians"),
        Case::new(
            "source is destination",
            Family::V4,
            vec![udp(Who::A).with(Oddity::Land)],
        )
        .differs("land"),
    ]
}

/// Dropped by the stack after conntrack, before it keeps the flow: no route at all.
fn lost() -> [Case; 2] {
    let mut nowhere = [0; 16];
    nowhere[..4].copy_from_slice(&[10, 200, 0, 1]);
    let mut nowhere6 = [0; 16];
    nowhere6[..4].copy_from_slice(&[0x20, 0x01, 0x0d, 0xb9]);
    [(Family::V4, nowhere), (Family::V6, nowhere6)].map(|(family, address)| {
        let packets = vec![udp(Who::A).with(Oddity::Destination(address))];
        Case::new(format!("{family:?} no route"), family, packets).differs("lost-after-conntrack")
    })
}

/// What the stack drops before conntrack sees it, or before it keeps what it has seen: nothing is
/// forwarded, nothing is kept.
fn same_after_all() -> Vec<Case> {
    let v6 = |name: &str, packets| Case::new(name, Family::V6, packets);
    let v4 = |name: &str, oddity| Case::new(name, Family::V4, vec![udp(Who::A).with(oddity)]);
    let mut loopback = [0; 16];
    loopback[..4].copy_from_slice(&[127, 0, 0, 1]);
    let mut forbidden = [0; 16];
    forbidden[..4].copy_from_slice(&[10, 105, 0, 1]);
    vec![
        v4("wrong header checksum", Oddity::BadHeaderChecksum),
        v4("wrong version", Oddity::Version(5)),
        v4("TTL 0", Oddity::Ttl(0)),
        Case::new("a later fragment alone", Family::V4, fragment(0x0002)),
        v4("TTL 1", Oddity::Ttl(1)),
        v6("hop limit 1", vec![udp(Who::A).with(Oddity::Ttl(1))]),
        v6(
            "hop limit 1 in a known flow",
            vec![udp(Who::A), udp(Who::B), udp(Who::A).with(Oddity::Ttl(1))],
        ),
        v4("prohibited destination", Oddity::Destination(forbidden)),
        v4("source on the loopback", Oddity::Source(loopback)),
    ]
}
