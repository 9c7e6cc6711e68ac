//! The XDP hook.

use aya_ebpf::bindings::xdp_action;
use aya_ebpf::programs::XdpContext;
use fw_common::{Reason, Verdict};

use crate::pipeline;
use crate::sys::answer;
use crate::sys::maps::{self, Hook};
use crate::sys::packet::XdpPacket;

/// Filters one packet that came in.
#[inline(always)]
pub(crate) fn run(ctx: &XdpContext) -> u32 {
    let ifindex = ctx.ingress_ifindex() as u32;
    let end = pipeline::filter(&XdpPacket::new(ctx), Hook::Ingress, ifindex).record();
    #[cfg(feature = "debug-log")]
    aya_log_ebpf::debug!(ctx, "in by {}: reason {}", ifindex, end.reason as u8);
    match end.verdict {
        Verdict::Pass => xdp_action::XDP_PASS,
        Verdict::Drop if end.reason == Reason::Rejected && answer(ctx) => xdp_action::XDP_TX,
        Verdict::Drop => xdp_action::XDP_DROP,
    }
}

/// Turns a rejected packet into the answer to it; false if there is none.
#[inline(always)]
fn answer(ctx: &XdpContext) -> bool {
    match maps::scratch(Hook::Ingress) {
        Some(scratch) => answer::replace(&XdpPacket::new(ctx), scratch),
        None => false,
    }
}
