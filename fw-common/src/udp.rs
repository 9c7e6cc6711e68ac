//! UDP and UDP-Lite: no states of their own, only "answered" and "lasting".

use crate::abi::{Config, Flow};
use crate::status;
use crate::timeout::Timeout;
use crate::track::Step;

/// One UDP packet (`nf_conntrack_udp_packet`).
///
/// A flow that was answered and is older than [`Config::udp_stream_after`] (two seconds in the
/// kernel since 5.0) is a stream: longer timeout, ASSURED. A DNS exchange never gets there. With 0 any
/// answer makes a stream, as before 5.0.
#[inline(always)]
pub fn step(flow: &Flow, config: &Config, now: u64) -> Step {
    let after = config.udp_stream_after;
    let lasting = after == 0 || now > flow.start.wrapping_add(after);
    stream_or_not(flow.status & status::SEEN_REPLY != 0 && lasting, config)
}

/// One UDP-Lite packet (`nf_conntrack_udplite_packet`): any answer makes a stream.
#[inline(always)]
pub fn lite_step(flow: &Flow, config: &Config) -> Step {
    stream_or_not(flow.status & status::SEEN_REPLY != 0, config)
}

#[inline(always)]
fn stream_or_not(stream: bool, config: &Config) -> Step {
    let which = if stream {
        Timeout::UdpStream
    } else {
        Timeout::Udp
    };
    Step::Accept {
        timeout: config.timeout(which),
        assured: stream,
    }
}
