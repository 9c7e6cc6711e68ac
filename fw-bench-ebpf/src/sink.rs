//! Counts the generator's packets and drops them. All else passes: hosts go on talking.

use aya_ebpf::bindings::xdp_action;
use aya_ebpf::programs::XdpContext;

use crate::sys::maps;
use crate::sys::packet::Front;

/// EtherType of IPv4.
const IPV4: u16 = 0x0800;
/// EtherType of IPv6.
const IPV6: u16 = 0x86dd;
/// First half of the addresses 198.18.0.0/15 (RFC 2544): the lowest bit says which side.
const BENCH4: u16 = 0xc612;
/// Third group of the addresses 2001:db8:18::/48 and 2001:db8:19::/48.
const BENCH6: u16 = 0x0018;

/// Counts this packet if its destination is one of the benchmarks' addresses.
#[inline(always)]
pub(crate) fn run(ctx: &XdpContext) -> u32 {
    let ours = match Front::of(ctx, None) {
        Some(front) => match u16::from_be(front.get(12)) {
            IPV4 => u16::from_be(front.get(30)) & !1 == BENCH4,
            IPV6 => u16::from_be(front.get(42)) & !1 == BENCH6,
            _ => false,
        },
        None => false,
    };
    if !ours {
        return xdp_action::XDP_PASS;
    }
    maps::count();
    xdp_action::XDP_DROP
}
