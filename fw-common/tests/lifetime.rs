//! What an entry tells of its timeout, for the sweep that shrinks timeouts: the one that its last packet
//! gave it.

mod support;

use fw_common::track;
use fw_common::wire::{Family, proto};
use support::Host::{A, B};
use support::{Lab, Talk, packet};

#[track_caller]
fn tells(lab: &Lab, family: Family, protocol: u8) {
    let flow = lab.flow();
    let told = track::lifetime(flow, family, protocol, &lab.config);
    assert_eq!(told, flow.deadline - lab.now, "{}", lab.show());
}

#[test]
fn protocols_without_states() {
    for (family, protocol) in [
        (Family::V4, proto::UDP),
        (Family::V6, proto::UDPLITE),
        (Family::V4, proto::GRE),
        (Family::V4, 89),
    ] {
        let meta = packet(family, protocol);
        let mut lab = Lab::new();
        // New, answered, a stream.
        for (from, seconds) in [(A, 0), (A, 1), (B, 0), (A, 3), (B, 1), (A, 1)] {
            lab.wait(seconds);
            lab.send(from, &meta);
            tells(&lab, family, protocol);
        }
    }
}

#[test]
fn connections_from_the_first_segment_to_the_last() {
    for script in [
        "A:S B:SA A:A A:PA B:A B:FA A:A A:FA B:A",
        "A:S B:SA A:A A:PA A:PA A:PA",
        "A:S B:SA A:A B:RA",
        "A:S B:S B:SA A:SA",
        // Picked up in mid-stream, unanswered and answered.
        "A:A A:PA",
        "A:A B:A A:A B:PA",
    ] {
        let mut talk = Talk::new();
        for step in script.split_whitespace() {
            talk.script(step);
            tells(&talk.lab, Family::V4, proto::TCP);
        }
    }
}

#[test]
fn segment_repeated_too_often() {
    let mut talk = Talk::new();
    talk.script("A:S B:SA A:A");
    let data = talk.segment(A, "PA");
    for _ in 0..6 {
        talk.lab.tcp(A, data);
        tells(&talk.lab, Family::V4, proto::TCP);
    }
}
