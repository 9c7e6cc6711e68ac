//! The clock of all programs: ticks.

use aya_ebpf::bindings::xdp_action;
use aya_ebpf::programs::XdpContext;

use crate::sys::{helpers, maps, packet};

/// Now, in ticks.
#[inline(always)]
pub(crate) fn now() -> u64 {
    match maps::virtual_now() {
        Some(now) => now,
        None => helpers::jiffies(),
    }
}

/// `fw_clock`: answers with the tick in the first eight bytes of the packet, little-endian.
pub(crate) fn run(ctx: &XdpContext) -> u32 {
    if packet::write_u64(ctx, now()) {
        xdp_action::XDP_PASS
    } else {
        xdp_action::XDP_ABORTED
    }
}
