//! GRE, versions 0 and 1.

use crate::abi::{Config, Flow};
use crate::status;
use crate::timeout::Timeout;
use crate::track::Step;

/// One GRE packet (`nf_conntrack_gre_packet`): a stream, and ASSURED, from the first packet after the
/// first answer. The keys of version 0 are not looked at: one flow for each pair of hosts.
///
/// The kernel copies both timeouts into the entry when it is made; here a new setting counts from the
/// next packet, as for every other protocol.
#[inline(always)]
pub fn step(flow: &Flow, config: &Config) -> Step {
    let stream = flow.status & status::SEEN_REPLY != 0;
    let which = if stream {
        Timeout::GreStream
    } else {
        Timeout::Gre
    };
    Step::Accept {
        timeout: config.timeout(which),
        assured: stream,
    }
}
