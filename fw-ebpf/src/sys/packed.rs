//! What global functions return: scalars that stand for more.

use fw_common::index::masked;
use fw_common::track::{Fate, Outcome};
use fw_common::{CtInfo, Reason, Verdict};

use crate::counters::End;
use crate::express::Ride;
use crate::pipeline::Next;

/// What a [`Next`] is, above its operands: the lower half has two bytes of them.
mod kind {
    pub(super) const END: u64 = 0;
    pub(super) const CLASSIFY: u64 = 1 << 16;
    pub(super) const TRACK4: u64 = 2 << 16;
    pub(super) const TRACK6: u64 = 3 << 16;
    pub(super) const JUDGE: u64 = 4 << 16;
    pub(super) const BEGIN: u64 = 5 << 16;
    pub(super) const LATER: u64 = 6 << 16;
    pub(super) const MASK: u64 = 0xffff << 16;
}

pub(super) fn pack_next(next: Next) -> u64 {
    match next {
        Next::End(end) => {
            kind::END | u64::from(end.verdict as u8) | u64::from(end.reason as u8) << 8
        }
        Next::Classify => kind::CLASSIFY,
        Next::Track4 => kind::TRACK4,
        Next::Track6 => kind::TRACK6,
        Next::Judge(info, reason) => {
            kind::JUDGE | u64::from(info as u8) | u64::from(reason as u8) << 8
        }
        Next::Begin => kind::BEGIN,
        Next::Later => kind::LATER,
    }
}

#[inline(always)]
pub(super) fn unpack_next(packed: u64) -> Next {
    match packed & kind::MASK {
        kind::CLASSIFY => Next::Classify,
        kind::TRACK4 => Next::Track4,
        kind::TRACK6 => Next::Track6,
        kind::JUDGE => Next::Judge(
            INFOS[masked::<8>(packed as usize & 0xff)],
            reason(packed >> 8),
        ),
        kind::BEGIN => Next::Begin,
        kind::LATER => Next::Later,
        _ => Next::End(End {
            verdict: if packed & 0xff == 0 {
                Verdict::Pass
            } else {
                Verdict::Drop
            },
            reason: reason(packed >> 8),
        }),
    }
}

/// What a [`Ride`] is, above its operands.
mod ride {
    pub(super) const NOT: u64 = 0;
    pub(super) const SENT: u64 = 1 << 32;
    pub(super) const STACK: u64 = 2 << 32;
    pub(super) const INVALID: u64 = 3 << 32;
    pub(super) const MASK: u64 = 3 << 32;
}

pub(super) fn pack_ride(ride: Ride) -> u64 {
    match ride {
        Ride::Not => ride::NOT,
        Ride::Sent(action) => ride::SENT | u64::from(action),
        Ride::Stack => ride::STACK,
        Ride::Invalid(reason) => ride::INVALID | u64::from(reason as u8),
    }
}

#[inline(always)]
pub(super) fn unpack_ride(packed: u64) -> Ride {
    match packed & ride::MASK {
        ride::SENT => Ride::Sent(packed as u32),
        ride::STACK => Ride::Stack,
        ride::INVALID => Ride::Invalid(reason(packed)),
        _ => Ride::Not,
    }
}

/// Every [`CtInfo`] at its own number; the gap and what lies beyond is INVALID.
const INFOS: [CtInfo; 8] = [
    CtInfo::Established,
    CtInfo::Related,
    CtInfo::New,
    CtInfo::EstablishedReply,
    CtInfo::RelatedReply,
    CtInfo::Invalid,
    CtInfo::Invalid,
    CtInfo::Untracked,
];

/// Every [`Fate`] at its own number.
const FATES: [Fate; 4] = [Fate::Keep, Fate::Promote, Fate::Remove, Fate::Reopen];

pub(super) fn pack(outcome: Outcome) -> u64 {
    u64::from(outcome.info as u8)
        | u64::from(outcome.fate as u8) << 8
        | u64::from(outcome.reason as u8) << 16
        | u64::from(outcome.changed) << 24
        | u64::from(outcome.counted) << 32
}

/// By tables, not by matches: one way for the verifier to follow, whatever the number.
#[inline(always)]
pub(super) fn unpack(packed: u64) -> Outcome {
    Outcome {
        info: INFOS[masked::<8>(packed as usize & 0xff)],
        fate: FATES[masked::<4>((packed >> 8) as usize & 0xff)],
        reason: reason(packed >> 16),
        changed: (packed >> 24) as u8,
        counted: packed >> 32 != 0,
    }
}

/// A result as a scalar: 0, or 1 + the reason's number.
pub(super) fn result(result: Result<(), Reason>) -> u64 {
    match result {
        Ok(()) => 0,
        Err(reason) => 1 + reason as u64,
    }
}

#[inline(always)]
pub(super) fn unresult(scalar: u64) -> Result<(), Reason> {
    match scalar {
        0 => Ok(()),
        refused => Err(reason(refused.wrapping_sub(1))),
    }
}

#[inline(always)]
pub(super) fn reason(number: u64) -> Reason {
    Reason::from_u8(number as u8).unwrap_or(Reason::Contended)
}
