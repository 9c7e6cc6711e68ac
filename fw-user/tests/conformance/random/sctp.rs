//! SCTP: associations that mostly go well, with chunks and tags out of place between.

use crate::directed::sctp::steps;
use crate::rng::Rng;
use crate::script::{Packet, Step};

/// An association's life when all goes well.
const LIFE: [&str; 10] = [
    "A:init",
    "B:init-ack",
    "A:cookie-echo",
    "B:cookie-ack",
    "A:data",
    "B:sack",
    "B:heartbeat",
    "A:heartbeat-ack",
    "A:shutdown",
    "B:shutdown-ack",
];

const CHUNKS: [&str; 20] = [
    "init",
    "init-ack",
    "cookie-echo",
    "cookie-ack",
    "data",
    "data",
    "sack",
    "heartbeat",
    "heartbeat",
    "heartbeat-ack",
    "heartbeat-ack",
    "abort",
    "abort!",
    "shutdown",
    "shutdown-ack",
    "error",
    "complete",
    "complete!",
    "auth",
    "i-data",
];

const TAGS: [&str; 12] = ["", "", "", "", "", "", "", "#0", "#a", "#b", "#x", "~x"];

/// How far an association has come.
#[derive(Default)]
pub(super) struct Talk(usize);

impl Talk {
    pub(super) fn packet(&mut self, rng: &mut Rng) -> Packet {
        if rng.chance(55) {
            let word = LIFE[self.0 % LIFE.len()];
            self.0 += 1;
            return one(word);
        }
        let who = rng.pick(&["A", "B"]);
        let mut word = format!("{who}:{}", rng.pick(&CHUNKS));
        for _ in 0..rng.pick(&[0, 0, 0, 1, 1, 2]) {
            word += &format!("+{}", rng.pick(&CHUNKS));
        }
        one(&(word + rng.pick(&TAGS)))
    }
}

fn one(word: &str) -> Packet {
    match steps(word).pop() {
        Some(Step::Send(packet)) => packet,
        other => unreachable!("`{word}` is a packet, not {other:?}"),
    }
}
