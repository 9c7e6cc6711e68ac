//! The verdict on a packet whose state is known.
//!
//! This is the built-in part: accept everything, and drop what is INVALID if asked to
//! (`--drop-invalid`). What it accepts goes on to the ruleset, if there is one.

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
