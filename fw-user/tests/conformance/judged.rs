//! What our programs make of the frames of one packet.

use std::collections::BTreeSet;

use fw_common::CtInfo;
use fw_common::wire::Family;

use super::frame::unpadded;
use super::harness::{Program, XDP_PASS, XDP_REDIRECT, XDP_TX};

/// What we made of a packet.
#[derive(Clone, Debug)]
pub(super) struct Judged {
    /// Its state; `None` if it was dropped.
    pub(super) class: Option<&'static str>,
    /// Its state, whatever became of it; `None` if it was not tracked.
    pub(super) state: Option<&'static str>,
    /// The frame that leaves straight from XDP, if it does.
    pub(super) left: Option<Vec<u8>>,
    /// The frame that goes back instead.
    pub(super) answer: Option<Vec<u8>>,
}

/// What we make of a packet that comes in.
pub(super) fn judge(program: &mut Program, family: Family, frames: &[(usize, Vec<u8>)]) -> Judged {
    let before = program.left_to_die();
    let (mut state, mut wanted, mut passed) = (None, BTreeSet::new(), BTreeSet::new());
    let (mut left, mut answer) = (None, None);
    for (piece, frame) in frames {
        program.allow_answers();
        let (info, action, after) = program.examine(frame);
        wanted.insert(piece);
        if action == XDP_REDIRECT {
            passed.insert(piece);
            left = Some(unpadded(family, after));
        } else if action == XDP_TX {
            answer = answer.or(Some(after));
        } else if action == XDP_PASS && program.left_to_die() == before {
            passed.insert(piece);
        }
        // A later fragment has no state.
        state = state.or(info.map(CtInfo::name));
    }
    // A datagram has passed if all of it has, be it at the second time.
    Judged {
        class: (passed == wanted).then(|| state.unwrap_or("none")),
        state,
        left,
        answer,
    }
}

/// What we make of one that the router itself sends.
pub(super) fn judge_own(program: &Program, frames: &[(usize, Vec<u8>)]) -> Judged {
    let seen = frames.iter().map(|(_, frame)| program.examine_own(frame));
    let (states, passed): (Vec<_>, Vec<_>) = seen.unzip();
    let state = states.into_iter().flatten().next().map(CtInfo::name);
    Judged {
        class: passed
            .into_iter()
            .all(|passed| passed)
            .then(|| state.unwrap_or("none")),
        state,
        left: None,
        answer: None,
    }
}
