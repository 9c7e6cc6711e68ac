//! The one exit: every packet is counted by state and by reason. Those of the short way are counted there, for both
//! at once.

use fw_common::abi::Counter;
use fw_common::{Reason, Verdict};

use crate::sys::maps;

/// How a packet ended.
#[derive(Clone, Copy)]
pub(crate) struct End {
    pub(crate) verdict: Verdict,
    pub(crate) reason: Reason,
}

impl End {
    /// Passes for `reason`.
    #[inline(always)]
    pub(crate) const fn pass(reason: Reason) -> Self {
        Self {
            verdict: Verdict::Pass,
            reason,
        }
    }

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
