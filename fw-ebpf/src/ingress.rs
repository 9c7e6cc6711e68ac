//! The XDP hook.

use aya_ebpf::bindings::xdp_action;
use aya_ebpf::programs::XdpContext;
use fw_common::{Reason, Verdict};

use crate::counters::End;
use crate::sys::answer;
use crate::sys::maps::{self, Hook};
use crate::sys::packet::XdpPacket;
use crate::{fast, pipeline};

/// Filters one packet that came in. One that passes goes to its next hop, or to the kernel's stack.
#[inline(always)]
pub(crate) fn run(ctx: &XdpContext) -> u32 {
    let ifindex = ctx.ingress_ifindex() as u32;
    let packet = XdpPacket::new(ctx);
    let Some(scratch) = maps::scratch(Hook::Ingress) else {
        End::drop(Reason::NoConfig).record();
        return xdp_action::XDP_DROP;
    };
    let mut end = pipeline::filter(&packet, scratch, ifindex);
    let mut action = match end.verdict {
        Verdict::Pass => xdp_action::XDP_PASS,
        Verdict::Drop if end.reason == Reason::Rejected && answer::replace(&packet, scratch) => {
            xdp_action::XDP_TX
        }
        Verdict::Drop => xdp_action::XDP_DROP,
    };
    if end.verdict == Verdict::Pass
        && let Some(sent) = fast::send(&packet, scratch)
    {
        end = End::pass(Reason::FastTracked);
        action = sent;
    }
    end.record();
    #[cfg(feature = "debug-log")]
    aya_log_ebpf::debug!(ctx, "in by {}: reason {}", ifindex, end.reason as u8);
    action
}
