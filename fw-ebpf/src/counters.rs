//! The one exit: every packet is counted by state and by reason.

use fw_common::abi::Counter;
use fw_common::{CtInfo, Reason, Verdict};

use crate::sys::maps;

/// How a packet ended.
#[derive(Clone, Copy)]
pub(crate) struct End {
    pub(crate) verdict: Verdict,
    pub(crate) reason: Reason,
}

impl End {
    /// Dropped for `reason`.
    #[inline(always)]
    pub(crate) const fn drop(reason: Reason) -> Self {
        Self {
            verdict: Verdict::Drop,
            reason,
        }
    }

    /// Counts the packet under its reason.
    #[inline(always)]
    pub(crate) fn record(self) -> Self {
        maps::count(Counter::of_reason(self.reason));
        self
    }
}

/// Counts a packet under its state, and INVALID ones as `conntrack -S` does.
#[inline(always)]
pub(crate) fn state(info: CtInfo) {
    maps::count(Counter::of_state(info));
    if info == CtInfo::Invalid {
        maps::count(Counter::INVALID);
    }
}
