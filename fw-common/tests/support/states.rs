//! Conversations in each state, and what to expect of them.

use fw_common::wire::TcpSegment;
use fw_common::{CtInfo, Reason};

use super::{Host, ISS_A, ISS_B, Talk};

/// What A has to send next once its SYN is acknowledged; likewise B.
pub(crate) const A1: u32 = ISS_A + 1;
pub(crate) const B1: u32 = ISS_B + 1;

/// A conversation that has run through a script.
pub(crate) fn after(script: &str) -> Talk {
    let mut talk = Talk::new();
    talk.script(script);
    talk
}

pub(crate) fn syn_sent() -> Talk {
    after("A:S")
}

pub(crate) fn syn_recv() -> Talk {
    after("A:S B:SA")
}

/// A has 1001 to send next, B 500001; both windows are 8192.
pub(crate) fn established() -> Talk {
    after("A:S B:SA A:A")
}

pub(crate) fn fin_wait() -> Talk {
    after("A:S B:SA A:A A:FA")
}

pub(crate) fn last_ack() -> Talk {
    after("A:S B:SA A:A A:FA B:A B:FA")
}

pub(crate) fn time_wait() -> Talk {
    after("A:S B:SA A:A A:FA B:A B:FA A:A")
}

#[track_caller]
pub(crate) fn expect(talk: &Talk, shown: &str) {
    assert_eq!(talk.lab.show(), shown);
}

/// The segment is INVALID because of `why`, and changes nothing that a listing shows.
#[track_caller]
pub(crate) fn invalid(talk: &mut Talk, from: Host, segment: TcpSegment, why: Reason) {
    let before = talk.lab.show();
    assert_eq!(talk.lab.tcp(from, segment), CtInfo::Invalid);
    assert_eq!(talk.lab.reason(), why);
    expect(talk, &before);
}
