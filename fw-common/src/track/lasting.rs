//! Flows that last, and packets that do nothing to them but prolong them: the short way's part of [`super::advance`].

use super::{Step, count, refresh};
use crate::abi::{Config, Flow};
use crate::ctinfo::Dir;
use crate::verdict::Reason;
use crate::wire::{TcpSegment, proto};
use crate::{status, tcp, udp};

/// Whether a packet that is read [at a glance](crate::wire::Glance) can do no more to the flow than to prolong it: both
/// sides have been heard, it is ASSURED, and a TCP connection is established.
#[must_use]
#[inline(always)]
pub const fn is_lasting(flow: &Flow, protocol: u8, now: u64) -> bool {
    const LASTING: u32 = status::SEEN_REPLY | status::ASSURED;
    flow.deadline > now
        && flow.status & LASTING == LASTING
        && (protocol == proto::UDP || flow.proto.state == tcp::State::Established as u8)
}

/// [`advance`](super::advance) of a flow that [`is_lasting`] by a datagram of `len` bytes with its IP header: it is prolonged, and
/// nothing else happens.
#[inline(always)]
pub fn prolong_udp(flow: &mut Flow, dir: Dir, len: u16, config: &Config, now: u64) {
    if let Step::Accept { timeout, .. } = udp::step(flow, config, now) {
        refresh(flow, now.wrapping_add(timeout));
        count(flow, dir, len.into(), config);
    }
}

/// [`advance`](super::advance) of a flow that [`is_lasting`] by a packet of `len` bytes with a segment that only goes on: see
/// [`tcp::prolong`].
///
/// # Errors
/// The reason if the segment is INVALID, since it is not in the window.
#[inline(always)]
pub fn prolong_tcp(
    flow: &mut Flow,
    dir: Dir,
    (segment, len): (&TcpSegment, u16),
    config: &Config,
    now: u64,
) -> Result<(), Reason> {
    match tcp::prolong(flow, dir, segment, config) {
        Step::Accept { timeout, .. } => {
            refresh(flow, now.wrapping_add(timeout));
            count(flow, dir, len.into(), config);
        }
        Step::Invalid { reason, .. } => return Err(reason),
        // It may pass, and neither counts nor prolongs.
        Step::Ignore | Step::Remove | Step::Reopen => {}
    }
    Ok(())
}
