//! The transition matrix as measured on a Linux 6.18 kernel: every state, direction and kind of
//! segment, what class the packet got and what the entry looked like before and after.

mod support;

use fw_common::CtInfo;
use fw_common::wire::TcpSegment;
use support::{Host, Talk};

/// Starting state, direction, flags, entry before, class of the packet, entry after.
type Row = (String, String, String, String, String, String);

fn rows() -> Vec<Row> {
    serde_json::from_str(include_str!("data/tcp-matrix.json")).expect("rows of six strings")
}

/// The shortest conversation that leads to a state. CLOSE is reached after a FIN, as it was measured:
/// it makes a difference to reopening.
fn conversation(state: &str) -> &'static str {
    match state {
        "NONE" => "",
        "SYN_SENT" => "A:S",
        "SYN_SENT2" => "A:S B:S",
        "SYN_RECV" => "A:S B:SA",
        "ESTABLISHED" => "A:S B:SA A:A",
        "FIN_WAIT" => "A:S B:SA A:A A:FA",
        "CLOSE_WAIT" => "A:S B:SA A:A A:FA B:A",
        "LAST_ACK" => "A:S B:SA A:A A:FA B:A B:FA",
        "TIME_WAIT" => "A:S B:SA A:A A:FA B:A B:FA A:A",
        "CLOSE" => "A:S B:SA A:A A:FA B:RA",
        other => panic!("no state {other}"),
    }
}

/// The row's segment, in the window.
fn probe(talk: &Talk, state: &str, from: Host, letters: &str) -> TcpSegment {
    let mut segment = talk.segment(from, letters);
    match (state, from, letters) {
        // A host without a listener answers a SYN with sequence number 0.
        ("SYN_SENT", Host::B, "R" | "RA") => segment.seq = 0,
        // SYNs are repeats of the first one; the SYN/ACK of a simultaneous open has its number too.
        ("SYN_SENT" | "SYN_SENT2" | "SYN_RECV", Host::A, "S" | "SA") => {
            segment.seq = support::ISS_A;
        }
        ("SYN_SENT2" | "SYN_RECV", Host::B, "S" | "SA") => segment.seq = support::ISS_B,
        _ => {}
    }
    segment
}

/// The measured seconds are one below the setting: lists show them rounded down.
fn as_listed(shown: &str) -> String {
    match shown.split_once("t=") {
        None => shown.to_owned(),
        Some((state, rest)) => {
            let (seconds, flags) = rest.split_once(' ').unwrap_or((rest, ""));
            let seconds: u64 = seconds.parse().expect("seconds");
            format!("{state}t={} {flags}", seconds - 1)
                .trim_end()
                .to_owned()
        }
    }
}

fn class(info: CtInfo) -> &'static str {
    info.name()
}

#[test]
fn every_measured_row() {
    let rows = rows();
    assert_eq!(rows.len(), 120);
    let mut wrong = Vec::new();
    for (state, dir, letters, before, expected_class, after) in &rows {
        let mut talk = Talk::new();
        talk.script(conversation(state));
        assert_eq!(as_listed(&talk.lab.show()), *before, "reaching {state}");
        let from = if dir == "orig" { Host::A } else { Host::B };
        let segment = probe(&talk, state, from, letters);
        let got_class = class(talk.lab.tcp(from, segment));
        let got = as_listed(&talk.lab.show());
        if got_class != expected_class || got != *after {
            wrong.push(format!(
                "{state} {dir} {letters}: {got_class}, {got}; measured {expected_class}, {after}"
            ));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
