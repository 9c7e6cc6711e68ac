//! Packets as the stack has them, in TC programs.
//!
//! One may be a long piece of a TCP stream that a NIC is to cut up, or that was put together from what came off
//! the wire. Its bytes may be spread over pages, so they are copied by helpers; its outer VLAN tag stands
//! beside it.

use core::mem::MaybeUninit;

use aya_ebpf::bindings::{__sk_buff, BPF_F_RECOMPUTE_CSUM, TC_ACT_SHOT, TC_ACT_UNSPEC};
use aya_ebpf::helpers::generated::{
    bpf_redirect, bpf_skb_load_bytes, bpf_skb_store_bytes, bpf_skb_vlan_pop, bpf_skb_vlan_push,
};
use aya_ebpf::programs::TcContext;
use fw_common::abi::NextHop;
use fw_common::fasttrack::{self, at};
use fw_common::wire::{self, Family, Packet, ethertype};

use super::answer;
use super::maps::{self, COPY_MAX};
use super::packet::{self, Arrival};
use super::scratch::Scratch;

/// Offsets beyond this are refused: no header starts here.
const MAX_OFFSET: usize = 0x3fff;

/// A packet that leaves.
#[derive(Clone, Copy)]
pub(crate) struct TcPacket(pub(super) *mut __sk_buff);

/// A packet that came in.
#[derive(Clone, Copy)]
pub(crate) struct TcArrival(pub(super) *mut __sk_buff);

impl TcPacket {
    /// The packet that the program runs for.
    #[inline(always)]
    pub(crate) const fn new(ctx: &TcContext) -> Self {
        Self(ctx.skb.skb)
    }
}

impl TcArrival {
    /// The packet that the program runs for.
    #[inline(always)]
    pub(crate) const fn new(ctx: &TcContext) -> Self {
        Self(ctx.skb.skb)
    }
}

/// The `N` bytes at `offset` of a packet.
#[inline(always)]
fn load<const N: usize>(skb: *mut __sk_buff, offset: usize) -> Option<[u8; N]> {
    if offset > MAX_OFFSET {
        return None;
    }
    // Not zeroed: the helper writes all of it.
    let mut bytes = MaybeUninit::<[u8; N]>::uninit();
    // SAFETY: the helper checks the range in the packet; `bytes` has room for `N`, and is all
    // written whether the helper succeeds or not.
    unsafe {
        let to = bytes.as_mut_ptr().cast();
        if bpf_skb_load_bytes(skb.cast(), offset as u32, to, N as u32) == 0 {
            Some(bytes.assume_init())
        } else {
            None
        }
    }
}

/// The same by way of a map and not of the stack, of which arrivals have none to spare.
///
/// Straight from memory where that is in one piece, as in XDP, would save a call; but then each read is two
/// ways for the verifier, and all of them together four times as many instructions.
#[inline(always)]
fn look<const N: usize>(skb: *mut __sk_buff, offset: usize) -> Option<[u8; N]> {
    const { assert!(N <= COPY_MAX) };
    if offset > MAX_OFFSET {
        return None;
    }
    let room = maps::copy_room()?;
    // SAFETY: the helper checks the range in the packet; `room` is this CPU's own and has room for `N`.
    unsafe {
        if bpf_skb_load_bytes(skb.cast(), offset as u32, room.cast(), N as u32) == 0 {
            Some(packet::load(room.cast_const().cast()))
        } else {
            None
        }
    }
}

/// Writes rows of `bytes` at `offset` of a packet, in memory that is its own.
#[inline(always)]
fn store<const ROWS: usize, const N: usize>(
    skb: *mut __sk_buff,
    offset: usize,
    bytes: &[[u8; N]; ROWS],
    flags: u32,
) -> Option<()> {
    let from = bytes.as_ptr().cast_mut().cast();
    let (offset, len) = (offset as u32, (ROWS * N) as u32);
    // SAFETY: the helper checks the range in the packet; `bytes` has `len` bytes.
    let failed = unsafe { bpf_skb_store_bytes(skb, offset, from, len, u64::from(flags)) };
    (failed == 0).then_some(())
}

/// See [`Packet::len`].
#[inline(always)]
fn len(skb: *mut __sk_buff) -> usize {
    // SAFETY: the context is the program's own.
    unsafe { (*skb).len as usize }
}

/// See [`Packet::tag`].
#[inline(always)]
fn tag(skb: *mut __sk_buff) -> u32 {
    // SAFETY: the context is the program's own.
    unsafe {
        if (*skb).vlan_present == 0 {
            return 0;
        }
        u32::from(u16::from_be((*skb).vlan_proto as u16)) << 16 | (*skb).vlan_tci & 0xffff
    }
}

impl Packet for TcPacket {
    #[inline(always)]
    fn read<const N: usize>(&self, offset: usize) -> Option<[u8; N]> {
        load(self.0, offset)
    }

    #[inline(always)]
    fn len(&self) -> usize {
        len(self.0)
    }

    #[inline(always)]
    fn tag(&self) -> u32 {
        tag(self.0)
    }
}

impl Packet for TcArrival {
    #[inline(always)]
    fn read<const N: usize>(&self, offset: usize) -> Option<[u8; N]> {
        look(self.0, offset)
    }

    #[inline(always)]
    fn crc32c(&self, offset: usize, crc: u32) -> Option<u32> {
        u32::try_from(fw_crc32c_in(self.0, offset as u32, crc)).ok()
    }

    #[inline(always)]
    fn len(&self) -> usize {
        len(self.0)
    }

    #[inline(always)]
    fn tag(&self) -> u32 {
        tag(self.0)
    }
}

/// A step of SCTP's checksum; beyond 32 bits if the packet ends before.
#[unsafe(no_mangle)]
#[inline(never)]
extern "C" fn fw_crc32c_in(ctx: *mut __sk_buff, offset: u32, crc: u32) -> u64 {
    wire::crc32c_block(&TcArrival(ctx), offset as usize, crc).map_or(u64::MAX, u64::from)
}

impl Arrival for TcArrival {
    /// "Go on": to the next program of the chain, which `TC_ACT_OK` would skip.
    const PASS: u32 = TC_ACT_UNSPEC as u32;
    const DROP: u32 = TC_ACT_SHOT as u32;
    const KEEPS_CHECKSUM: bool = true;
    const TAG_WITHIN: bool = false;

    /// The stack copes.
    #[inline(always)]
    fn is_scattered(&self) -> bool {
        false
    }

    #[inline(always)]
    fn gso_size(&self) -> u32 {
        // SAFETY: the context is the program's own.
        unsafe { (*self.0).gso_size }
    }

    /// Only the last step changes what the stack reads once more: if it fails, the kernel forwards the
    /// packet, which it has recognised as ours by its old hardware address.
    #[inline(always)]
    fn readdress(&self, (family, ttl): (Family, u8), hop: &NextHop) -> Option<()> {
        // A checksum that the NIC has taken does not cover this header yet.
        store(self.0, 0, &hop.macs.map(u32::to_ne_bytes), 0)?;
        match family {
            Family::V4 => {
                let [ttl, proto, high, low] = look(self.0, at::TTL4)?;
                let sum = fasttrack::checksum_after_hop(u16::from_be_bytes([high, low]));
                let [high, low] = sum.to_be_bytes();
                // What the TTL loses the header's checksum gains.
                store(
                    self.0,
                    at::TTL4,
                    &[[ttl.wrapping_sub(1), proto, high, low]],
                    0,
                )
            }
            Family::V6 => {
                let limit = [ttl.wrapping_sub(1)];
                store(self.0, at::HOP_LIMIT6, &[limit], BPF_F_RECOMPUTE_CSUM)
            }
        }
    }

    #[inline(always)]
    fn send_tagged(&self, kind: (Family, u8), hop: &NextHop, tagged: bool) -> Option<u32> {
        // A tag that is not beside the frame is in the way of its headers.
        if tagged && tag(self.0) == 0 {
            return None;
        }
        self.readdress(kind, hop)?;
        // SAFETY: the context is the program's own; no pointer into the packet is kept.
        let failed = unsafe {
            (tagged && bpf_skb_vlan_pop(self.0) != 0)
                || (hop.vlan != 0
                    && bpf_skb_vlan_push(self.0, ethertype::C_TAG.to_be(), hop.vlan) != 0)
        };
        // Nobody is to have it with another tag.
        Some(if failed {
            Self::DROP
        } else {
            self.send(hop.oif)
        })
    }

    #[inline(always)]
    fn send(&self, ifindex: u32) -> u32 {
        // SAFETY: takes numbers only.
        unsafe { bpf_redirect(ifindex, 0) as u32 }
    }

    #[inline(always)]
    fn answer(&self, scratch: &mut Scratch) -> Option<u32> {
        answer::replace_tc(self, scratch).then(|| self.send(at_port(self.0)))
    }
}

/// Interface of the hook.
#[inline(always)]
fn at_port(skb: *mut __sk_buff) -> u32 {
    // SAFETY: the context is the program's own.
    unsafe { (*skb).ifindex }
}

/// Interface by which the packet came in; 0 if the host itself sent it.
#[inline(always)]
pub(crate) fn came_in_by(ctx: &TcContext) -> u32 {
    // SAFETY: the context is the program's own.
    unsafe { (*ctx.skb.skb).ingress_ifindex }
}

/// Interface of the hook.
#[inline(always)]
pub(crate) fn port(ctx: &TcContext) -> u32 {
    at_port(ctx.skb.skb)
}
