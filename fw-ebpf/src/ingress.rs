//! The hooks of what comes in: XDP, or TC where that does better.

use aya_ebpf::programs::{TcContext, XdpContext};
use fw_common::{Reason, Verdict};

use crate::counters::End;
use crate::express::Ride;
use crate::sys::maps::{self, Hook};
use crate::sys::packet::{Arrival, XdpPacket};
use crate::sys::skb::{self, TcArrival};
use crate::{fast, pipeline};

/// At XDP.
#[inline(always)]
pub(crate) fn xdp(ctx: &XdpContext) -> u32 {
    let ifindex = ctx.ingress_ifindex() as u32;
    let (end, action) = run(&XdpPacket::new(ctx), ifindex);
    end.record();
    #[cfg(feature = "debug-log")]
    aya_log_ebpf::debug!(ctx, "in by {}: reason {}", ifindex, end.reason as u8);
    action
}

/// At TC.
#[inline(always)]
pub(crate) fn tc(ctx: &TcContext) -> i32 {
    let ifindex = skb::port(ctx);
    let (end, action) = run(&TcArrival::new(ctx), ifindex);
    end.record();
    #[cfg(feature = "debug-log")]
    aya_log_ebpf::debug!(ctx, "in by {}: reason {}", ifindex, end.reason as u8);
    action as i32
}

/// Filters one packet that came in. One that passes goes to its next hop, or to the kernel's stack.
#[inline(always)]
fn run<P: Arrival>(packet: &P, ifindex: u32) -> (End, u32) {
    let Some(scratch) = maps::scratch(Hook::Ingress) else {
        return (End::drop(Reason::NoConfig), P::DROP);
    };
    let told = match packet.express(scratch, ifindex) {
        Ride::Sent(sent) => return (End::pass(Reason::FastTracked), sent),
        Ride::Stack => return (End::pass(Reason::Accepted), P::PASS),
        Ride::Told(told) => Some(told),
        Ride::Not => None,
    };
    let end = pipeline::filter(packet, scratch, ifindex, told);
    match end.verdict {
        Verdict::Pass => match fast::send(packet, scratch) {
            Some(sent) => (End::pass(Reason::FastTracked), sent),
            None => (end, P::PASS),
        },
        Verdict::Drop if end.reason == Reason::Rejected => {
            (end, packet.answer(scratch).unwrap_or(P::DROP))
        }
        Verdict::Drop => (end, P::DROP),
    }
}
