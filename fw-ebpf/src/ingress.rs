//! The hooks of what comes in: XDP, or TC where that does better.

use aya_ebpf::programs::{TcContext, XdpContext};
use fw_common::wire;
use fw_common::{Reason, Verdict};

use crate::counters::End;
use crate::express::Ride;
use crate::sys::packet::{Arrival, XdpPacket};
use crate::sys::scratch::{Hook, Scratch};
use crate::sys::skb::{self, TcArrival};
use crate::{fast, pipeline};

/// At XDP.
#[inline(always)]
pub(crate) fn xdp(ctx: &XdpContext) -> u32 {
    let ifindex = ctx.ingress_ifindex() as u32;
    let (end, action) = match run(&XdpPacket::new(ctx), ifindex) {
        Done::Sent(action) => return action,
        Done::Ended(end, action) => (end, action),
    };
    end.record();
    #[cfg(feature = "debug-log")]
    aya_log_ebpf::debug!(ctx, "in by {}: reason {}", ifindex, end.reason as u8);
    action
}

/// At TC.
#[inline(always)]
pub(crate) fn tc(ctx: &TcContext) -> i32 {
    let ifindex = skb::port(ctx);
    let (end, action) = match run(&TcArrival::new(ctx), ifindex) {
        Done::Sent(action) => return action as i32,
        Done::Ended(end, action) => (end, action),
    };
    end.record();
    #[cfg(feature = "debug-log")]
    aya_log_ebpf::debug!(ctx, "in by {}: reason {}", ifindex, end.reason as u8);
    action as i32
}

/// What became of a packet, with what the program returns for it.
enum Done {
    /// It has left by the short way, and is counted.
    Sent(u32),
    /// It has come to this end.
    Ended(End, u32),
}

/// Filters one packet that came in. One that passes goes to its next hop, or to the kernel's stack.
#[inline(always)]
fn run<P: Arrival>(packet: &P, ifindex: u32) -> Done {
    let ride = match packet.express(ifindex) {
        Ride::Not if wire::has_tag(packet) => packet.express_tagged(ifindex),
        ride => ride,
    };
    let invalid = match ride {
        Ride::Sent(action) => return Done::Sent(action),
        Ride::Stack => return Done::Ended(End::pass(Reason::Accepted), P::PASS),
        Ride::Invalid(reason) => Some(reason),
        Ride::Not => None,
    };
    let Some(scratch) = Scratch::of(Hook::Ingress) else {
        return Done::Ended(End::drop(Reason::NoConfig), P::DROP);
    };
    let end = pipeline::filter(packet, scratch, ifindex, invalid);
    match end.verdict {
        Verdict::Pass => match fast::send(packet, scratch) {
            Some(sent) => Done::Ended(End::pass(Reason::FastTracked), sent),
            None => Done::Ended(end, P::PASS),
        },
        Verdict::Drop if end.reason == Reason::Rejected => {
            Done::Ended(end, packet.answer(scratch).unwrap_or(P::DROP))
        }
        Verdict::Drop => Done::Ended(end, P::DROP),
    }
}
