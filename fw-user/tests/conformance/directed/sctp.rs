//! SCTP: every chunk in every state, and what associations go through.

use fw_common::wire::Family;

use super::Case;
use crate::script::{Body, Chunk, Oddity, Packet, Sctp, Step, Who};
use crate::settings::Settings;

const FAMILIES: [Family; 2] = [Family::V4, Family::V6];

/// The tags that A and B want to see.
const TAGS: [u32; 2] = [0xaaaa_aaaa, 0xbbbb_bbbb];
/// One that nobody has asked for.
const STRANGE: u32 = 0x7777_7777;

/// The way to each state.
const STATES: [(&str, &str); 10] = [
    ("none", ""),
    ("CLOSED", "A:init"),
    ("COOKIE_WAIT", "A:init B:init-ack"),
    ("COOKIE_ECHOED", "A:init B:init-ack A:cookie-echo"),
    ("ESTABLISHED", ESTABLISHED),
    (
        "SHUTDOWN_SENT",
        "A:init B:init-ack A:cookie-echo B:cookie-ack A:shutdown",
    ),
    (
        "SHUTDOWN_RECD",
        "A:init B:init-ack A:cookie-echo B:cookie-ack B:shutdown",
    ),
    (
        "SHUTDOWN_ACK_SENT",
        "A:init B:init-ack A:cookie-echo B:cookie-ack A:shutdown B:shutdown-ack",
    ),
    (
        "CLOSED again",
        "A:init B:init-ack A:cookie-echo B:cookie-ack A:shutdown B:shutdown-ack A:complete",
    ),
    ("HEARTBEAT_SENT", "A:heartbeat"),
];

const ESTABLISHED: &str = "A:init B:init-ack A:cookie-echo B:cookie-ack";

/// Chunk types by name. `!` behind a name sets the flag T.
const NAMES: [(&str, u8); 17] = [
    ("data", 0),
    ("init", 1),
    ("init-ack", 2),
    ("sack", 3),
    ("heartbeat", 4),
    ("heartbeat-ack", 5),
    ("abort", 6),
    ("shutdown", 7),
    ("shutdown-ack", 8),
    ("error", 9),
    ("cookie-echo", 10),
    ("cookie-ack", 11),
    ("ecne", 12),
    ("complete", 14),
    ("auth", 15),
    ("i-data", 64),
    ("asconf", 193),
];

pub(super) fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    for family in FAMILIES {
        cases.extend(matrix(family));
        cases.extend(sequences(family));
        cases.extend(malformed(family));
    }
    cases
}

/// Each chunk from each side in each state, with the right tag and with others.
fn matrix(family: Family) -> Vec<Case> {
    let mut cases = Vec::new();
    for (state, way) in STATES {
        for (name, _) in NAMES {
            for tag in ["", "#0", "#a", "#b", "#x"] {
                for who in ["A", "B"] {
                    let marks: &[&str] = match name {
                        "abort" | "complete" => &["", "!"],
                        _ => &[""],
                    };
                    for mark in marks {
                        let text = format!("{way} {who}:{name}{mark}{tag}");
                        let name = format!("{family:?} {state}, then {who}:{name}{mark}{tag}");
                        cases.push(Case::of_steps(name, family, steps(&text)));
                    }
                }
            }
        }
    }
    cases
}

fn sequences(family: Family) -> Vec<Case> {
    let short = Settings {
        short: true,
        ..Settings::DEFAULT
    };
    let of = |text: &str| {
        let text = text.replace("EST", ESTABLISHED);
        Case::of_steps(format!("{family:?} {text}"), family, steps(&text))
    };
    let mut cases: Vec<Case> = [
        // INVALID, but for its first chunk it is ASSURED.
        "A:init B:init-ack A:cookie-echo B:cookie-ack+abort! A:data B:sack",
        // Both ways, to the end.
        "EST A:data B:sack B:data A:sack A:shutdown B:shutdown-ack A:complete A:init B:init-ack",
        "EST B:shutdown A:shutdown-ack B:complete",
        "EST A:shutdown B:shutdown A:shutdown-ack B:complete",
        // Begun again, by one and by both.
        "A:init A:init A:init~x B:init-ack A:cookie-echo B:cookie-ack",
        "A:init B:init A:init-ack B:init-ack A:cookie-echo B:cookie-ack",
        "A:init B:init B:init-ack~x A:init-ack~x A:cookie-echo",
        "EST A:init~x B:init-ack~x A:cookie-echo B:cookie-ack",
        "EST A:init B:init-ack~x",
        "EST B:init~x A:init-ack A:data B:data",
        // Said again, and answered with another tag.
        "A:init A:init B:init B:init-ack~x A:init-ack~x",
        "A:init B:init-ack A:init B:init-ack~x A:cookie-echo",
        "A:init B:init-ack A:cookie-echo A:init B:init-ack~x",
        "EST A:init~x B:init-ack~b A:init~x B:init-ack~0",
        "EST A:init~x A:init~x B:init-ack~0",
        "EST A:init~x B:init~0 B:init-ack A:init-ack",
        "A:init B:init A:init B:init-ack~x A:init-ack~x B:cookie-ack A:init-ack~x",
        "A:init B:init A:cookie-echo B:cookie-ack B:init-ack~x",
        "A:init B:init-ack A:cookie-echo+error B:cookie-ack B:init A:init-ack~x",
        "A:heartbeat-ack+heartbeat#a A:init-ack#a",
        "A:heartbeat+error A:init-ack B:init-ack~x",
        "A:shutdown-ack+heartbeat A:init-ack B:init-ack~x B:init-ack#b",
        // Ended at once.
        "A:init B:abort A:init",
        "A:init B:abort! A:init",
        "EST A:abort A:data B:data",
        "EST B:abort! B:abort!#b A:data",
        "A:init B:init-ack A:cookie-echo B:error A:init",
        // Bundled.
        "A:init B:init-ack A:cookie-echo+data B:cookie-ack+sack A:data+sack",
        "EST A:sack+shutdown B:shutdown-ack A:complete",
        "EST A:shutdown+abort! B:data",
        "EST A:data+abort B:data",
        "EST A:abort+data A:data",
        "A:cookie-ack+data",
        "A:heartbeat+data",
        "A:heartbeat+sack",
        "A:error+cookie-echo",
        "EST A:error+heartbeat+heartbeat-ack+shutdown-ack",
        "EST A:heartbeat+heartbeat+heartbeat+heartbeat+heartbeat+heartbeat+heartbeat+heartbeat",
        // Further paths.
        "A:heartbeat#x B:heartbeat-ack#a A:data#x B:data#a A:heartbeat#x",
        "A:heartbeat#x A:heartbeat#x B:heartbeat-ack#a A:heartbeat#b",
        "EST A:heartbeat#x B:heartbeat-ack#x A:data A:data#x A:heartbeat#x A:data#x",
        "EST A:heartbeat#x A:heartbeat-ack#x B:heartbeat-ack",
        "EST A:heartbeat#x A:heartbeat B:heartbeat-ack#x",
        "EST A:heartbeat#x+data",
        "EST A:heartbeat#x+heartbeat",
        "EST A:heartbeat#x+heartbeat-ack",
        "EST B:heartbeat-ack#x",
        "EST A:heartbeat#x B:heartbeat-ack#x+data",
        "EST B:heartbeat#x A:heartbeat-ack#a B:data#x A:data",
        // Out of the blue.
        "A:shutdown-ack#x B:complete!#x",
        "A:shutdown-ack#x B:complete#x",
        "B:data A:init",
        "A:cookie-echo#0 B:cookie-ack#x",
        "A:error#0 B:data#0 A:data#0",
        "A:shutdown#0 B:shutdown#0",
        "A:init-ack#0 A:init",
        "A:init#x A:init",
    ]
    .into_iter()
    .map(of)
    .collect();
    for text in [
        "A:init 2300 B:init-ack",
        "EST A:data 2300 B:sack",
        "EST A:shutdown 2300 A:init",
    ] {
        cases.push(of(text).with(short));
    }
    cases
}

fn malformed(family: Family) -> Vec<Case> {
    let init = || packet("A:init");
    let chunk = |kind, length, value: usize| Chunk {
        kind,
        flags: 0,
        value: vec![9; value],
        length,
    };
    let of = |chunks: Vec<Chunk>| {
        let (ports, tag) = ([5000, 80], 0);
        Packet::new(Who::A, Body::Sctp(Sctp { ports, tag, chunks }))
    };
    let mut packets = vec![
        init().with(Oddity::BadChecksum),
        init().with(Oddity::NoChecksum),
        init().with(Oddity::Padding(6)),
        of(vec![]),
        of(vec![chunk(1, Some(0), 16)]),
        of(vec![chunk(1, Some(3), 16)]),
        of(vec![chunk(1, Some(4), 16)]),
        of(vec![chunk(1, Some(60_000), 16)]),
        of(vec![chunk(1, None, 15)]),
        of(vec![chunk(1, None, 17)]),
        of(vec![chunk(7, Some(1), 0), chunk(8, None, 0)]),
        of(vec![chunk(7, None, 0), chunk(8, Some(0), 0)]),
        of(vec![chunk(9, None, 3), chunk(4, None, 0)]),
        of(vec![chunk(4, Some(3), 0), chunk(9, None, 0)]),
    ];
    packets.extend((0..40).map(|len| init().with(Oddity::Cut(len))));
    let mut cases: Vec<Case> = packets
        .into_iter()
        .map(|packet| Case::new(format!("{family:?} {packet}"), family, vec![packet]))
        .collect();
    for text in [
        "A:data",
        "A:sack+data",
        "A:shutdown",
        "A:heartbeat",
        "A:abort",
    ] {
        let mut script = steps(&format!("{ESTABLISHED} {text}"));
        if let Some(Step::Send(packet)) = script.last_mut() {
            packet.oddities.push(Oddity::BadChecksum);
        }
        let name = format!("{family:?} {text} with a wrong checksum");
        cases.push(Case::of_steps(name, family, script));
    }
    cases
}

/// Packets in a line of text: `A:init B:init-ack~x A:data+sack#b`. `+` bundles, `#` sets the tag of the
/// packet, `~` the tag that an INIT asks for: `a` and `b` for those of the two ends, `0`, or `x` for
/// another. A number waits so many milliseconds.
pub(crate) fn steps(text: &str) -> Vec<Step> {
    text.split_whitespace()
        .map(|word| match word.parse() {
            Ok(ms) => Step::Wait(ms),
            Err(_) => Step::Send(packet(word)),
        })
        .collect()
}

fn packet(word: &str) -> Packet {
    let (who, what) = word.split_once(':').expect("WHO:CHUNKS");
    let src = if who == "A" { Who::A } else { Who::B };
    let (mut tag, mut init_tag) = (TAGS[1 - src.side()], TAGS[src.side()]);
    let mut chunks = Vec::new();
    for part in what.split('+') {
        let name = part.split(['#', '~']).next().unwrap_or_default();
        let flags = u8::from(name.ends_with('!'));
        let kind = NAMES
            .iter()
            .find(|(known, _)| *known == name.trim_end_matches('!'))
            .unwrap_or_else(|| panic!("no chunk `{name}`"))
            .1;
        match (kind, flags) {
            (1, _) => tag = 0,
            // Reflected: the sender's own.
            (6 | 14, 1) => tag = TAGS[src.side()],
            _ => {}
        }
        let set = |mark| part.split_once(mark).map(|(_, rest)| named(&rest[..1]));
        tag = set('#').unwrap_or(tag);
        init_tag = set('~').unwrap_or(init_tag);
        let value = match kind {
            1 | 2 => [
                &init_tag.to_be_bytes()[..],
                &[0, 1, 0, 0, 0, 1, 0, 1, 0, 0, 0, 1],
            ]
            .concat(),
            0 => vec![1; 15],
            _ => vec![1; 4],
        };
        chunks.push(Chunk {
            kind,
            flags,
            value,
            length: None,
        });
    }
    let ports = if src == Who::A {
        [5000, 80]
    } else {
        [80, 5000]
    };
    Packet::new(src, Body::Sctp(Sctp { ports, tag, chunks }))
}

fn named(name: &str) -> u32 {
    match name {
        "a" => TAGS[0],
        "b" => TAGS[1],
        "0" => 0,
        _ => STRANGE,
    }
}
