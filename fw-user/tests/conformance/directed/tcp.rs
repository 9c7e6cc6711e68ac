//! TCP: special sequences.

use fw_common::wire::Family;

use super::{Case, dialogue};
use crate::script::{Body, Step};
use crate::settings::Settings;

/// Name and conversation, under default settings.
const SEQUENCES: [(&str, &str); 48] = [
    (
        "a whole life",
        "A:S B:SA A:A A:PA+100 B:A B:PA+50 A:A A:FA B:A B:FA A:A",
    ),
    ("closed by the server", "A:S B:SA A:A B:FA A:A A:FA B:A"),
    ("closed by both at once", "A:S B:SA A:A A:FA B:FA A:A B:A"),
    ("FIN as third segment", "A:S B:SA A:FA B:A"),
    ("data as third segment", "A:S B:SA A:PA+10 B:A"),
    ("data in the SYN", "A:S+10 B:SA A:A"),
    ("SYN again and again", "A:S = = = 1100 ="),
    ("SYN with a new number", "A:S A:S@5000 B:SA#5000"),
    ("SYN/ACK again", "A:S B:SA = 1100 = A:A"),
    ("SYN/ACK of the client", "A:S B:SA A:SA A:A"),
    ("split handshake", "A:S B:A B:S A:SA B:A"),
    ("simultaneous open", "A:S B:S A:SA B:SA A:A B:A"),
    ("simultaneous open, ACK only", "A:S B:S A:SA B:A A:A"),
    ("SYN refused", "A:S B:RA@-500000"),
    ("SYN refused, wrong number", "A:S B:RA@-500000#7 B:SA"),
    ("SYN refused without ACK", "A:S B:R@-500000"),
    ("SYN taken back", "A:S A:R"),
    ("SYN taken back with ACK 0", "A:S A:RA#-500000"),
    ("SYN taken back with an ACK", "A:S A:RA"),
    ("challenge ACK to a SYN, then RST", "A:S B:A#77 A:R@77 A:S"),
    ("RST, exact", "A:S B:SA A:A B:R A:A"),
    ("RST, exact, of the client", "A:S B:SA A:A A:PA+10 B:A A:R"),
    ("RST in the window", "A:S B:SA A:A B:R@5 A:A B:A"),
    ("RST below the window", "A:S B:SA A:A B:R@-5 A:A"),
    ("RST above the window", "A:S B:SA A:A B:R@100000 A:A"),
    ("RST train", "A:S B:SA A:A B:PA+10 B:PA+10 B:R B:R@100"),
    ("RST with number 0", "A:S B:SA B:R@-500001 A:A"),
    ("RST in TIME_WAIT", "A:S B:SA A:A A:FA B:FA A:A B:R@12345"),
    ("SYN on ESTABLISHED", "A:S B:SA A:A A:S@999 B:A A:R@0 A:S"),
    (
        "SYN on ESTABLISHED, answered by a SYN/ACK",
        "A:S B:SA A:A A:S@70000 B:SA@90000#70000 A:A@70001#90001",
    ),
    ("SYN of the server on ESTABLISHED", "A:S B:SA A:A B:S"),
    (
        "SYN on LAST_ACK",
        "A:S B:SA A:A A:FA B:FA A:S@100 B:A B:A A:A",
    ),
    (
        "reopened in TIME_WAIT",
        "A:S B:SA A:A A:FA B:FA A:A A:S@500 B:SA A:A",
    ),
    (
        "reopened in TIME_WAIT by the server",
        "A:S B:SA A:A A:FA B:FA A:A B:S@500",
    ),
    ("reopened after own RST", "A:S B:SA A:A A:R A:S@500"),
    (
        "not reopened after the peer's RST",
        "A:S B:SA A:A B:R A:S@500 B:SA@9#500 A:A",
    ),
    (
        "reopened after FIN and RST",
        "A:S B:SA A:A A:FA B:R A:S@500",
    ),
    (
        "duplicate ACKs",
        "A:S B:SA A:A A:PA+100 B:A = = = = A:PA+10",
    ),
    ("data repeated", "A:S B:SA A:A A:PA+100 = = = = B:A"),
    ("zero window", "A:S B:SA A:A A:PA+100 B:Aw0 A:PA+1 B:A"),
    ("keepalive", "A:S B:SA A:A A:A@-1 B:A A:A@-1+1 B:A"),
    ("old data", "A:S B:SA A:A A:PA+1000 B:A A:PA@-1000+1000 B:A"),
    (
        "far below the window",
        "A:S B:SA A:A A:A@-100000 A:A#-100000",
    ),
    (
        "above the window",
        "A:S B:SA A:A A:PA@8192+1 A:PA@100000+1 A:A#5",
    ),
    ("ACK picked up, then answered", "A:A B:A A:A A:PA+10 B:A"),
    ("picked up from the server", "B:PA+10 A:A B:A"),
    ("picked up, then reset", "A:A B:R@5 B:R A:A"),
    (
        "FIN and RST both invalid",
        "A:S B:SA A:A A:FA@900000 B:FA@900000 A:A",
    ),
];

/// Those under other settings: loose, liberal, retransmissions, ignored RSTs.
const SETTINGS: [Settings; 5] = [
    Settings {
        loose: 0,
        ..DEFAULT
    },
    Settings {
        liberal: 1,
        ..DEFAULT
    },
    Settings {
        max_retrans: 0,
        ..DEFAULT
    },
    Settings {
        ignore_invalid_rst: 1,
        ..DEFAULT
    },
    Settings {
        checksum: 0,
        ..DEFAULT
    },
];
const DEFAULT: Settings = Settings::DEFAULT;

pub(super) fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    for (name, text) in SEQUENCES {
        let of = |family| Case::of_steps(name, family, dialogue::steps(text));
        cases.extend([of(Family::V4), of(Family::V6)]);
        // Waiting is the same under all of them.
        if !text.contains("1100") {
            cases.extend(SETTINGS.map(|settings| of(Family::V4).with(settings)));
        }
    }
    cases.extend(sack(Family::V4));
    cases.extend(sack(Family::V6));
    cases
}

/// Selective acknowledgement (RFC 2018) of data that was sent and of data that never was, permitted by
/// nobody, one side, both.
fn sack(family: Family) -> Vec<Case> {
    let mut cases = Vec::new();
    for permitted in [[false, false], [true, false], [false, true], [true, true]] {
        for right in [500_001_u32, 600_000] {
            let mut steps = dialogue::steps("A:S B:SA A:A B:PA+100 A:A");
            let edges = [(right - 1).to_be_bytes(), right.to_be_bytes()].concat();
            let permission = |given| if given { vec![4, 2] } else { vec![] };
            let options = [
                permission(permitted[0]),
                permission(permitted[1]),
                [&[1, 1, 5, 10][..], &edges].concat(),
            ];
            for (step, options) in steps.iter_mut().zip(options) {
                if let Step::Send(packet) = step
                    && let Body::Tcp(segment) = &mut packet.body
                {
                    segment.options = options;
                }
            }
            let name = format!("{family:?} SACK up to {right}, permitted {permitted:?}");
            cases.push(Case::of_steps(name, family, steps));
        }
    }
    cases
}
