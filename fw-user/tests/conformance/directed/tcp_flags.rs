//! TCP: what each kind of segment does in each state.

use fw_common::tcp::header::{ACK, FIN, RST, SYN, URG};
use fw_common::wire::Family;

use super::{Case, dialogue};
use crate::script::{Body, Packet, Step, Tcp, Who};

/// A way into each state.
pub(super) const STATES: [(&str, &str); 10] = [
    ("NONE", ""),
    ("SYN_SENT", "A:S"),
    ("SYN_SENT2", "A:S B:S"),
    ("SYN_RECV", "A:S B:SA"),
    ("ESTABLISHED", "A:S B:SA A:A"),
    ("FIN_WAIT", "A:S B:SA A:A A:FA"),
    ("CLOSE_WAIT", "A:S B:SA A:A A:FA B:A"),
    ("LAST_ACK", "A:S B:SA A:A A:FA B:A B:FA"),
    ("TIME_WAIT", "A:S B:SA A:A A:FA B:A B:FA A:A"),
    ("CLOSE", "A:S B:SA A:A B:R"),
];

/// The flags that conntrack looks at in all combinations, from both ends, in every state; and all 256
/// as first packet.
pub(super) fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    for (state, way) in STATES {
        for bits in 0..32u8 {
            let one = |bit: u8, flag| if bits & bit != 0 { flag } else { 0 };
            let flags = one(1, SYN) | one(2, ACK) | one(4, FIN) | one(8, RST) | one(16, URG);
            for who in [Who::A, Who::B] {
                cases.push(case(state, way, who, flags));
            }
        }
    }
    cases.extend((0..=255).map(|flags| case("NONE", "", Who::A, flags)));
    cases
}

/// A segment that fits the conversation so far, but for its flags; then the client goes on.
fn case(state: &str, way: &str, who: Who, flags: u8) -> Case {
    let letter = if who == Who::A { "A" } else { "B" };
    // The dialogue finds the numbers; the flags are put in afterwards.
    let mut steps = dialogue::steps(&format!("{way} {letter}:A A:A"));
    let last = steps.len() - 2;
    if let Step::Send(Packet {
        body: Body::Tcp(Tcp {
            flags: bits, ack, ..
        }),
        ..
    }) = &mut steps[last]
    {
        *bits = flags;
        if flags & ACK == 0 {
            *ack = 0;
        }
    }
    Case::of_steps(
        format!("{state}, {letter} sends {flags:#04x}"),
        Family::V4,
        steps,
    )
}
