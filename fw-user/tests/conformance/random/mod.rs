//! Random scripts, the same for the same seed.

mod icmp;
mod sctp;
mod tcp;

use std::time::Instant;

use anyhow::Result;
use fw_common::wire::{Family, proto};

use super::extent::Extent;
use super::report::Report;
use super::rng::Rng;
use super::run::{Arena, SIDE_BY_SIDE};
use super::script::{Body, Oddity, Packet, Script, Split, Step, Who};
use super::settings::Settings;
use super::shrink;

/// Their line in the report.
const SOURCE: &str = "random";

/// Milliseconds that a script waits, with short timeouts: half-way between those and twice those.
const PAUSE: u16 = 2000;

/// Steps of a script.
const LENGTHS: [usize; 6] = [4, 6, 8, 10, 14, 20];

/// Script number `n` of `seed`. With short timeouts it waits, twice if it is long.
pub(crate) fn script(seed: u64, n: u64, settings: Settings) -> Script {
    let mut rng = Rng::new(seed ^ n.wrapping_mul(0x5851_f42d_4c95_7f2d));
    let family = rng.pick(&[Family::V4, Family::V6]);
    let mut maker = Maker::new(&mut rng, family, settings);
    let length = rng.pick(&LENGTHS);
    let mut steps = Vec::new();
    for step in 0..length {
        // All scripts of a batch wait at the same time.
        if settings.short && matches!(step, 4 | 9) {
            steps.push(Step::Wait(PAUSE));
        }
        steps.push(Step::Send(maker.packet(&mut rng)));
    }
    Script { family, steps }
}

/// A script of well-formed packets between the hosts, and some to the router itself.
pub(crate) fn plain_script(rng: &mut Rng) -> Script {
    let family = rng.pick(&[Family::V4, Family::V6]);
    let mut maker = Maker::new(rng, family, Settings::DEFAULT);
    maker.plain = true;
    let local = rng.chance(20);
    let length = rng.pick(&LENGTHS);
    let steps = (0..length).map(|_| {
        let packet = maker.packet(rng);
        Step::Send(if local { with_router(packet) } else { packet })
    });
    Script {
        family,
        steps: steps.collect(),
    }
}

/// A packet of a conversation across the router as one with the router itself: it stands for all hosts on its
/// far side.
fn with_router(mut packet: Packet) -> Packet {
    if let Body::Error { quote, .. } = &mut packet.body {
        **quote = with_router((**quote).clone());
    }
    match (packet.src.side(), packet.dst.side()) {
        (0, 1) => packet.with(Oddity::ToRouter),
        (1, 0) => packet.with(Oddity::FromRouter),
        _ => packet,
    }
}

/// The settings of batch number `n`: mostly the defaults.
pub(crate) fn settings(rng: &mut Rng) -> Settings {
    let mut settings = Settings::DEFAULT;
    match rng.below(8) {
        0 => settings.loose = 0,
        1 => settings.liberal = 1,
        2 => settings.max_retrans = rng.pick(&[0, 1, 2]),
        3 => settings.ignore_invalid_rst = 1,
        4 => settings.checksum = 0,
        5 => settings.short = true,
        _ => {}
    }
    settings
}

/// What a script is mostly about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Theme {
    Tcp,
    Sctp,
    Udp,
    UdpLite,
    Query,
    Other,
}

/// Makes the packets of one script.
struct Maker {
    family: Family,
    theme: Theme,
    talk: tcp::Talk,
    association: sctp::Talk,
    /// No datagram gets lost on the way: with short timeouts the flow that it leaves here, and not in the
    /// kernel, would pass for one that has just expired there.
    orderly: bool,
    /// No packet is malformed or sent in fragments.
    plain: bool,
    /// What was sent so far: errors quote it.
    sent: Vec<Packet>,
    /// A protocol without ports, and its payload.
    other: (u8, Vec<u8>),
}

impl Maker {
    fn new(rng: &mut Rng, family: Family, settings: Settings) -> Self {
        use Theme::{Other, Query, Sctp, Tcp, Udp, UdpLite};
        // The kernel takes every right checksum of UDP-Lite for a wrong one.
        let lite = if settings.checksum == 0 { UdpLite } else { Udp };
        let theme = rng.pick(&[
            Tcp, Tcp, Tcp, Tcp, Tcp, Tcp, Udp, Udp, lite, Query, Query, Other, Other, Sctp, Sctp,
            Sctp,
        ]);
        let others = [
            (proto::GRE, vec![0, 0, 8, 0]),
            (proto::GRE, vec![0x20, 0, 8, 0, 1, 2, 3, 4]),
            (proto::GRE, vec![0x30, 1, 0x88, 0x0b, 0, 0, 0, 7]),
            (proto::GRE, vec![0x30, 1, 8, 0, 0, 0, 0, 7]),
            (proto::ESP, vec![0; 16]),
            (proto::IGMP, vec![0x16; 8]),
            (89, vec![2; 24]),
            (4, vec![]),
            (253, vec![1]),
        ];
        let other = rng.pick(&others);
        Self {
            family,
            theme,
            talk: tcp::Talk::new(rng),
            association: sctp::Talk::default(),
            orderly: settings.short,
            plain: false,
            sent: Vec::new(),
            other,
        }
    }

    fn packet(&mut self, rng: &mut Rng) -> Packet {
        if rng.chance(12)
            && let Some(error) = icmp::error(rng, self.family, &self.sent)
        {
            return error;
        }
        let packet = match self.theme {
            Theme::Tcp if rng.chance(95) => self.talk.packet(rng),
            Theme::Sctp if rng.chance(95) => self.association.packet(rng),
            _ => self.datagram(rng),
        };
        if self.plain {
            // Errors quote it as it would be without: cut in the middle of its headers it is another matter.
            self.sent.push(packet.clone());
            return unusual(rng, self.family, packet);
        }
        let packet = match split(rng, &packet, self.sent.len(), self.orderly) {
            Some(oddity) => packet.with(oddity),
            None => odd(rng, self.family, packet),
        };
        self.sent.push(packet.clone());
        packet
    }

    /// A packet of a protocol with little state.
    fn datagram(&mut self, rng: &mut Rng) -> Packet {
        let src = rng.pick(&[Who::A, Who::A, Who::B]);
        // Few numbers, so that packets meet.
        let port = rng.pick(&[53, 53, 53, 54]);
        let ports = if src == Who::A {
            [1000, port]
        } else {
            [port, 1000]
        };
        let payload = rng.pick(&[0, 1, 100, 400]);
        let body = match self.theme {
            Theme::Udp | Theme::Tcp | Theme::Sctp => Body::Udp { ports, payload },
            Theme::UdpLite => Body::UdpLite { ports, payload },
            Theme::Query => icmp::query(rng, self.family),
            Theme::Other => {
                let (proto, payload) = self.other.clone();
                Body::Raw { proto, payload }
            }
        };
        Packet::new(src, body)
    }
}

/// Sends some datagrams that are long enough in fragments, mostly as a host would.
fn split(rng: &mut Rng, packet: &Packet, number: usize, orderly: bool) -> Option<Oddity> {
    let long = match &packet.body {
        Body::Udp { payload, .. } => *payload >= 100,
        Body::Icmp { payload, .. } => payload.len() >= 48,
        _ => false,
    };
    if !long || !rng.chance(40) {
        return None;
    }
    let order: &[usize] = match rng.below(20) {
        0 => &[1, 0, 2],
        1 => &[0, 1],
        2 => &[0, 2],
        3 => &[1, 2],
        4 => &[0, 0, 1, 2],
        5 => &[0, 1, 1, 2],
        6 | 7 => &[0, 2, 1],
        _ => &[0, 1, 2],
    };
    let split = Split {
        id: number as u16,
        cuts: rng.pick(&[vec![16, 48], vec![24, 32], vec![40, 48]]),
        order: order.to_vec(),
        overlap: if rng.chance(5) { 8 } else { 0 },
    };
    (split.is_orderly() || !orderly).then_some(Oddity::Split(split))
}

/// Gives a few packets extension headers, or another source.
fn unusual(rng: &mut Rng, family: Family, packet: Packet) -> Packet {
    if rng.chance(5) {
        return packet.with(Oddity::Spoofed);
    }
    if family == Family::V4 || !rng.chance(8) {
        return packet;
    }
    let next = packet.proto(family);
    let (first, bytes) = rng.pick(&[
        (60, vec![next, 0, 1, 4, 0, 0, 0, 0]),
        (0, vec![60, 0, 1, 4, 0, 0, 0, 0, next, 0, 1, 4, 0, 0, 0, 0]),
        (43, vec![next, 0, 2, 0, 0, 0, 0, 0]),
        (43, vec![60, 0, 4, 0, 0, 0, 0, 0, next, 0, 1, 4, 0, 0, 0, 0]),
    ]);
    packet.with(Oddity::Headers(first, bytes))
}

/// Makes a few packets malformed.
fn odd(rng: &mut Rng, family: Family, packet: Packet) -> Packet {
    if !rng.chance(4) {
        return packet;
    }
    let cut = rng.pick(&[0, 1, 4, 7, 8, 12, 19, 20, 21]);
    let length = rng.pick(&[0, 7, 8, 9, 2000]);
    let oddity = match (rng.below(6), &packet.body) {
        (0, Body::Raw { .. }) | (1, _) => Oddity::Padding(rng.pick(&[1, 6, 40])),
        (0, _) => Oddity::BadChecksum,
        (2, Body::Tcp(_)) => Oddity::DataOffset(rng.pick(&[0, 4, 6, 10, 15])),
        (2, Body::Udp { .. } | Body::UdpLite { .. }) => Oddity::UdpLength(length),
        (3, Body::Udp { .. } | Body::UdpLite { .. }) => Oddity::NoChecksum,
        (4, _) if family == Family::V4 => Oddity::Options(vec![1; rng.pick(&[4, 12, 40])]),
        (4, _) => headers(rng, packet.proto(family)),
        _ => Oddity::Cut(cut),
    };
    packet.with(oddity)
}

/// IPv6 extension headers before a header of type `next`.
fn headers(rng: &mut Rng, next: u8) -> Oddity {
    let (first, bytes) = rng.pick(&[
        (60, vec![next, 0, 1, 4, 0, 0, 0, 0]),
        (0, vec![60, 0, 1, 4, 0, 0, 0, 0, next, 0, 1, 4, 0, 0, 0, 0]),
        (44, vec![next, 0, 0, 0, 0, 0, 0, 1]),
        (51, vec![next, 2, 0, 0, 0, 0, 0, 1, 0, 0, 0, 1, 0, 0, 0, 0]),
    ]);
    Oddity::Headers(first, bytes)
}

/// Runs random scripts until there are enough packets, or no time.
pub(crate) fn run(arena: &mut Arena, report: &mut Report, extent: Extent) -> Result<()> {
    let seed = extent.seed;
    println!("random scripts from seed {seed}");
    let start = Instant::now();
    for batch in 0.. {
        if extent.is_reached(report.packets(SOURCE)) {
            break;
        }
        let settings = settings(&mut Rng::new(seed.wrapping_add(batch)));
        let number = |i| batch * SIDE_BY_SIDE as u64 + i;
        let scripts: Vec<Script> = (0..SIDE_BY_SIDE as u64)
            .map(|i| script(seed, number(i), settings))
            .collect();
        let outcomes = arena.run(&scripts, settings)?;
        for ((script, mut outcome), i) in scripts.iter().zip(outcomes).zip(0..) {
            if outcome.unexplained().is_none() {
                report.count(SOURCE, &outcome);
                continue;
            }
            let name = format!("seed {seed} script {} with {settings:?}", number(i));
            let shrunk = shrink::shrink(arena, script, settings)?;
            if shrunk.is_none() {
                report.accident(&name, script, &outcome);
                outcome.difference = None;
            }
            report.count(SOURCE, &outcome);
            if let Some((script, outcome)) = shrunk {
                report.show(&name, &script, &outcome);
            }
        }
    }
    report.took(SOURCE, start.elapsed());
    Ok(())
}
