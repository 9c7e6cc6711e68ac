//! The answer to a packet that is rejected, sent back by where it came in.

use aya_ebpf::bindings::{__sk_buff, bpf_adj_room_mode, xdp_md};
use aya_ebpf::btf_maps::Array;
use aya_ebpf::helpers::generated::{
    bpf_ktime_get_ns, bpf_skb_adjust_room, bpf_skb_change_tail, bpf_skb_store_bytes,
    bpf_xdp_adjust_head, bpf_xdp_adjust_tail, bpf_xdp_get_buff_len, bpf_xdp_store_bytes,
};
use aya_ebpf::macros::btf_map;
use fw_common::ruleset::Rate;
use fw_common::ruleset::reject::{self, MAX_ANSWER};
use fw_common::wire::Packet;

use super::atomic;
use super::packet::XdpPacket;
use super::scratch::Scratch;
use super::skb::TcArrival;

/// [`Rate::empty_at`] of the answers.
#[btf_map]
static ANSWERS: Array<u64, 1> = Array::new();

/// Answers a second and in a burst, of the whole machine: as the kernel's ICMP errors
/// (`icmp_msgs_per_sec`, `icmp_msgs_burst`).
const RATE: Rate = Rate::packets(1000, 1_000_000_000, 50);

/// Puts the answer in the place of the packet that `scratch` describes; 1 if there is one.
#[unsafe(no_mangle)]
#[inline(never)]
extern "C" fn fw_answer_xdp(ctx: *mut xdp_md, scratch: *mut Scratch) -> u64 {
    let Some(scratch) = Scratch::again(scratch) else {
        return 0;
    };
    let Some(len) = write(&XdpPacket(ctx), scratch) else {
        return 0;
    };
    let Scratch { answer, .. } = scratch;
    // SAFETY: the helpers check what they are given; `len` bytes of `answer` are there.
    let failed = unsafe {
        let longer = len as i32 - bpf_xdp_get_buff_len(ctx) as i32;
        // There is always room before a frame, but often none behind it.
        let fitted = if longer > 0 {
            bpf_xdp_adjust_head(ctx, -longer)
        } else {
            bpf_xdp_adjust_tail(ctx, longer)
        };
        fitted != 0 || bpf_xdp_store_bytes(ctx, 0, answer.as_mut_ptr().cast(), len as u32) != 0
    };
    u64::from(!failed)
}

/// Writes the answer to a packet into `scratch.answer`; its length, if there is one and it may be sent.
#[inline(always)]
fn write<P: Packet>(packet: &P, scratch: &mut Scratch) -> Option<usize> {
    let Scratch {
        meta,
        machine,
        answer,
        ..
    } = scratch;
    let len = reject::answer(packet, meta, machine.code, answer)?;
    let fits = len != 0 && len <= MAX_ANSWER;
    (fits && is_allowed()).then_some(len)
}

/// Whether another answer may be sent now.
#[inline(always)]
fn is_allowed() -> bool {
    let Some(empty_at) = ANSWERS.get_ptr_mut(0) else {
        return false;
    };
    // SAFETY: takes no argument, reads a kernel clock.
    let now = unsafe { bpf_ktime_get_ns() };
    // SAFETY: an aligned word of an array map, read whole.
    let before = unsafe { empty_at.read_volatile() };
    let Some(after) = Rate::take(before, RATE.depth, RATE.cost, now) else {
        return false;
    };
    // Of two at once one may lose, and is dropped without an answer.
    // SAFETY: as above.
    unsafe { atomic::exchange_if(empty_at, before, after) == before }
}

/// [`fw_answer_xdp`] at TC.
#[unsafe(no_mangle)]
#[inline(never)]
extern "C" fn fw_answer_tc(ctx: *mut __sk_buff, scratch: *mut Scratch) -> u64 {
    let Some(scratch) = Scratch::again(scratch) else {
        return 0;
    };
    let Some(len) = write(&TcArrival(ctx), scratch) else {
        return 0;
    };
    let Scratch { meta, answer, .. } = scratch;
    // A byte beyond where the transport header begins.
    let headers = u32::from(meta.l4_offset) + 1;
    // SAFETY: the helpers check what they are given; `len` bytes of `answer` are there.
    let failed = unsafe {
        // A checksum that the packet left to the NIC would be put into the answer: the note that it is
        // to be is lost when the place where it begins is cut off (`skb_postpull_rcsum`).
        bpf_skb_change_tail(ctx, 2 * headers + 2 * MAX_ANSWER as u32, 0) != 0
            || bpf_skb_adjust_room(
                ctx,
                -(headers as i32),
                bpf_adj_room_mode::BPF_ADJ_ROOM_MAC,
                0,
            ) != 0
            || bpf_skb_change_tail(ctx, len as u32, 0) != 0
            || bpf_skb_store_bytes(ctx, 0, answer.as_mut_ptr().cast(), len as u32, 0) != 0
    };
    u64::from(!failed)
}

/// [`fw_answer_tc`]: whether the packet is its own answer now.
#[inline(always)]
pub(crate) fn replace_tc(packet: &TcArrival, scratch: &mut Scratch) -> bool {
    fw_answer_tc(packet.0, scratch) != 0
}

/// [`fw_answer_xdp`]: whether the packet is its own answer now.
#[inline(always)]
pub(crate) fn replace_xdp(packet: &XdpPacket, scratch: &mut Scratch) -> bool {
    fw_answer_xdp(packet.0, scratch) != 0
}
