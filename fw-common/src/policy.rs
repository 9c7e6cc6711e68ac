//! The verdict on a packet whose state is known.
//!
//! Until the ruleset is compiled in, the policy is built in: accept everything, and drop what is
//! INVALID if asked to. This is the place where the ruleset will be evaluated.

use crate::abi::Config;
use crate::ctinfo::CtInfo;
use crate::verdict::{Reason, Verdict};

/// Decides on a packet in state `info`; `reason` says why it is INVALID, if it is.
#[must_use]
#[inline(always)]
pub fn decide(info: CtInfo, reason: Reason, config: &Config) -> (Verdict, Reason) {
    match info {
        CtInfo::Invalid if config.drop_invalid != 0 => (Verdict::Drop, reason),
        _ => (Verdict::Pass, reason),
    }
}
