//! Every protocol without a state machine of its own: one flow for each pair of addresses.

use crate::abi::Config;
use crate::timeout::Timeout;
use crate::track::Step;

/// One packet (`generic_packet`): a fixed timeout, never ASSURED.
#[inline(always)]
pub fn step(config: &Config) -> Step {
    Step::Accept {
        timeout: config.timeout(Timeout::Generic),
        assured: false,
    }
}
