//! Writes one packet of the plan and sends it out.
//!
//! Every header is written anew each time: the kernel hands out frames that have been through the
//! router before, with another MAC and a lower TTL.

use aya_ebpf::bindings::xdp_action;
use aya_ebpf::programs::XdpContext;

use crate::abi::{Plan, Walk};
use crate::layout::Layout;
use crate::sys::maps;
use crate::sys::packet::Front;

/// Makes the next packet of the plan out of this frame.
#[inline(always)]
pub(crate) fn run<L: Layout>(ctx: &XdpContext) -> u32 {
    match send::<L>(ctx) {
        Some(()) => xdp_action::XDP_TX,
        // All sent, or there is no plan.
        None => xdp_action::XDP_DROP,
    }
}

#[inline(always)]
fn send<L: Layout>(ctx: &XdpContext) -> Option<()> {
    let plan = maps::plan()?;
    let walk = maps::walk()?;
    if walk.left == 0 {
        return None;
    }
    walk.left -= 1;
    let round = walk.round;
    let flow = plan.first.wrapping_add(advance(plan, walk));
    let size = if plan.mix != 0 {
        Some(next_size(plan, walk))
    } else {
        None
    };
    let mut front = Front::of(ctx, size.map(|size| (size, plan.frame)))?;
    front.copy::<L>(&plan.header);

    let low = (flow as u16).to_be();
    let port = (plan.port.wrapping_add(flow >> 16) as u16).to_be();
    let mut ip = plan.ip_sum + u32::from(low);
    let mut l4 = plan.l4_sum + u32::from(low) + u32::from(port);
    if plan.reply == 0 {
        front.put(L::SOURCE, low);
        front.put(L::PORTS, port);
    } else {
        front.put(L::DESTINATION, low);
        front.put(L::PORTS + 2, port);
    }
    if let Some(at) = L::SEQUENCE {
        let seq = plan.seq.wrapping_add(round.wrapping_mul(plan.seq_step));
        let ack = plan.ack.wrapping_add(round.wrapping_mul(plan.ack_step));
        l4 += put_u32(&mut front, at, seq) + put_u32(&mut front, at + 4, ack);
    }
    if let (Some(size), Some((at, outside))) = (size, L::UDP_LENGTH) {
        let length = (size.wrapping_sub(L::IP_LENGTH.1) as u16).to_be();
        front.put(L::IP_LENGTH.0, length);
        ip += u32::from(length);
        let length = (size.wrapping_sub(outside) as u16).to_be();
        front.put(at, length);
        // In the header, and in the pseudo-header.
        l4 += 2 * u32::from(length);
    }
    if let Some(at) = L::IP_SUM {
        front.put(at, folded(ip));
    }
    if plan.l4_sum != 0 {
        front.put(L::L4_SUM, folded(l4));
    }
    Some(())
}

/// The next packet's flow. Strides of about 0.6 times the number of flows: neighbours in time are far
/// from each other in memory, and no prefetcher follows.
#[inline(always)]
fn advance(plan: &Plan, walk: &mut Walk) -> u32 {
    let at = walk.at;
    let next = at.wrapping_add(plan.stride);
    walk.at = if next >= plan.flows {
        next.wrapping_sub(plan.flows)
    } else {
        next
    };
    walk.visited += 1;
    if walk.visited >= plan.flows {
        walk.visited = 0;
        walk.round = walk.round.wrapping_add(1);
    }
    at
}

#[inline(always)]
fn next_size(plan: &Plan, walk: &mut Walk) -> u32 {
    let at = walk.size as usize % plan.sizes.len();
    walk.size = if walk.size + 1 >= plan.mix {
        0
    } else {
        walk.size + 1
    };
    plan.sizes[at]
}

/// Writes a number in network byte order; its part in a checksum.
#[inline(always)]
fn put_u32(front: &mut Front, at: usize, value: u32) -> u32 {
    let value = value.to_be();
    front.put(at, value as u16);
    front.put(at + 2, (value >> 16) as u16);
    (value & 0xffff) + (value >> 16)
}

/// The checksum field of this sum.
#[inline(always)]
fn folded(sum: u32) -> u16 {
    let sum = (sum & 0xffff) + (sum >> 16);
    let sum = (sum & 0xffff) + (sum >> 16);
    let field = !(sum as u16);
    // For UDP 0 is "none"; both are zero in one's complement.
    if field == 0 { u16::MAX } else { field }
}
