//! TCP segments of which only flags and numbers matter.

use crate::frames::Segment;

/// A segment without data, and a window of 1000.
pub(crate) fn segment(flags: &str, seq: u32, ack: u32) -> Segment<'_> {
    Segment {
        flags,
        seq,
        ack,
        window: 1000,
        payload: b"",
    }
}
