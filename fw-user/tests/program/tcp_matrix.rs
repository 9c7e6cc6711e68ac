//! The 120 measured rows of nf_conntrack's TCP matrix, through the loaded program.

use fw_common::tcp::State;
use fw_common::{CtInfo, status};
use serde_json::Value;
use xtask::lab::root_or_skip;

use crate::frames::{self, Segment, end};
use crate::harness::{Program, Seen};

const MATRIX: &str = include_str!("../../../fw-common/tests/data/tcp-matrix.json");

const CLIENT: &str = "192.168.1.2:41080";
const SERVER: &str = "10.0.0.2:22";

/// Who sends a segment, and its flags.
type Sent = (Side, &'static str);

/// An ordinary connection, opened and closed by the client.
const LIFE: [Sent; 7] = [
    (Side::Client, "S"),
    (Side::Server, "SA"),
    (Side::Client, "A"),
    (Side::Client, "FA"),
    (Side::Server, "A"),
    (Side::Server, "FA"),
    (Side::Client, "A"),
];

/// The shortest way into each state: how far into [`LIFE`], and what then.
const WAYS: [(&str, usize, &[Sent]); 10] = [
    ("NONE", 0, &[]),
    ("SYN_SENT", 1, &[]),
    ("SYN_SENT2", 1, &[(Side::Server, "S")]),
    ("SYN_RECV", 2, &[]),
    ("ESTABLISHED", 3, &[]),
    ("FIN_WAIT", 4, &[]),
    ("CLOSE_WAIT", 5, &[]),
    ("LAST_ACK", 6, &[]),
    ("TIME_WAIT", 7, &[]),
    ("CLOSE", 4, &[(Side::Server, "RA")]),
];

#[derive(Clone, Copy, PartialEq, Eq)]
enum Side {
    Client = 0,
    Server = 1,
}

/// Two ends that number their segments as real ones would.
struct Talk {
    /// What each side will send next.
    next: [u32; 2],
}

impl Talk {
    fn new() -> Self {
        Self { next: [1000, 5000] }
    }

    /// The next frame of `side`.
    fn frame(&mut self, side: Side, flags: &str) -> Vec<u8> {
        let (me, peer) = (side as usize, 1 - side as usize);
        let segment = Segment {
            flags,
            seq: self.next[me],
            ack: self.next[peer],
            window: 64240,
            payload: &[],
        };
        let length = u32::from(flags.contains('S')) + u32::from(flags.contains('F'));
        self.next[me] += length;
        let (client, server) = (end(CLIENT), end(SERVER));
        match side {
            Side::Client => frames::tcp(client, server, &segment),
            Side::Server => frames::tcp(server, client, &segment),
        }
    }
}

/// The one flow in the words of the matrix: `SYN_SENT t=119 UNREPLIED`, or `gone`.
fn entry(flows: &[Seen]) -> String {
    let [seen] = flows else {
        assert!(flows.is_empty(), "more than one flow: {flows:?}");
        return "gone".into();
    };
    let state = State::from_u8(seen.flow.proto.state)
        .expect("a state")
        .name();
    // The matrix was read a moment after the packet: one second less, rounded down.
    let mut text = format!("{state} t={}", seen.timeout - 1);
    if seen.flow.status & status::SEEN_REPLY == 0 {
        text.push_str(" UNREPLIED");
    }
    if seen.flow.status & status::ASSURED != 0 {
        text.push_str(" ASSURED");
    }
    text
}

#[test]
fn every_row_of_the_measured_matrix() {
    if !root_or_skip() {
        return;
    }
    let rows: Vec<[String; 6]> = serde_json::from_str(MATRIX).expect("the matrix");
    assert_eq!(rows.len(), 120);
    let mut program = Program::load(|_| {});
    let wrong: Vec<String> = rows
        .iter()
        .filter_map(|row| check(&mut program, row).err())
        .collect();
    assert!(
        wrong.is_empty(),
        "{} of 120 rows differ:\n{}",
        wrong.len(),
        wrong.join("\n")
    );
}

fn check(program: &mut Program, row: &[String; 6]) -> Result<(), String> {
    let [state, dir, flags, before, class, after] = row;
    program.clear();
    let mut talk = Talk::new();
    let (_, far, then) = WAYS
        .iter()
        .find(|(name, ..)| name == state)
        .expect("a known state");
    for (side, flags) in LIFE.iter().take(*far).chain(*then) {
        program.run(&talk.frame(*side, flags));
    }
    let is_before = entry(&program.flows());
    let side = if dir == "orig" {
        Side::Client
    } else {
        Side::Server
    };
    let (info, _) = program.classify(&talk.frame(side, flags));
    let is_class = info.map_or("none", CtInfo::name);
    let is_after = entry(&program.flows());
    if (&is_before, is_class, &is_after) == (before, class.as_str(), after) {
        return Ok(());
    }
    Err(format!(
        "{state} {dir} {flags}: expected {before} -> {class}, {after}; \
         got {is_before} -> {is_class}, {is_after}"
    ))
}

/// The matrix file itself is what was measured: every state, both directions, six kinds of segment.
#[test]
fn matrix_covers_every_state_and_direction() {
    let rows: Vec<Value> = serde_json::from_str(MATRIX).expect("the matrix");
    for (state, ..) in WAYS {
        for dir in ["orig", "repl"] {
            let of = |row: &&Value| row[0] == state && row[1] == dir;
            assert_eq!(rows.iter().filter(of).count(), 6, "{state} {dir}");
        }
    }
}
