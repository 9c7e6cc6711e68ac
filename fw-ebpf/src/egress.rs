//! The TC egress hook: what the host itself sends.

use aya_ebpf::bindings::{TC_ACT_SHOT, TC_ACT_UNSPEC};
use aya_ebpf::programs::TcContext;
use fw_common::{Reason, Verdict};

use crate::counters::End;
use crate::pipeline;
use crate::sys::scratch::{Hook, Scratch};
use crate::sys::skb::{self, TcPacket};

/// "Go on": to the next program of the chain, which `TC_ACT_OK` would skip.
const NEXT: i32 = TC_ACT_UNSPEC;

/// Filters one packet that leaves. Forwarded packets were judged when they came in.
#[inline(always)]
pub(crate) fn run(ctx: &TcContext) -> i32 {
    if skb::came_in_by(ctx) != 0 {
        return NEXT;
    }
    let ifindex = skb::port(ctx);
    let Some(scratch) = Scratch::of(Hook::Egress) else {
        End::drop(Reason::NoConfig).record();
        return TC_ACT_SHOT;
    };
    let end = pipeline::filter(&TcPacket::new(ctx), scratch, ifindex, None).record();
    #[cfg(feature = "debug-log")]
    aya_log_ebpf::debug!(ctx, "out by {}: reason {}", ifindex, end.reason as u8);
    match end.verdict {
        Verdict::Pass => NEXT,
        Verdict::Drop => TC_ACT_SHOT,
    }
}
