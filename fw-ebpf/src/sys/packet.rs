//! Packet memory: the only place that follows pointers into packets. Those of TC are in [`super::skb`].

use core::mem::MaybeUninit;

use aya_ebpf::bindings::{xdp_action, xdp_md};
use aya_ebpf::helpers::generated::{bpf_xdp_adjust_head, bpf_xdp_get_buff_len, bpf_xdp_load_bytes};
use aya_ebpf::programs::XdpContext;
use fw_common::abi::{Edit, IfaceFlags, NextHop};
use fw_common::fasttrack::{self, at};
use fw_common::wire::{self, Family, Packet, TAG_LEN as TAG, ethertype};

use super::answer;
use super::maps;
use super::scratch::Scratch;
use super::subprogram::Frame;

/// Offsets beyond this are refused: the verifier wants a bound on what is added to a packet pointer,
/// and no header starts here.
const MAX_OFFSET: usize = 0x3fff;

/// A packet in an XDP program.
#[derive(Clone, Copy)]
pub(crate) struct XdpPacket(pub(super) *mut xdp_md);

impl XdpPacket {
    /// The packet that the program runs for.
    #[inline(always)]
    pub(crate) const fn new(ctx: &XdpContext) -> Self {
        Self(ctx.ctx)
    }
}

impl XdpPacket {
    /// Writes hardware addresses, tag and TTL or hop limit of a frame for the next hop, in which a tag takes `TAGS`
    /// bytes. `None`: it is too short, and nothing is changed.
    #[inline(always)]
    fn rewrite<const TAGS: usize>(&self, family: Family, hop: &NextHop) -> Option<()> {
        // SAFETY: the context is the program's own.
        let (data, end) = unsafe { ((*self.0).data as usize, (*self.0).data_end as usize) };
        if data + at::END + TAGS > end {
            return None;
        }
        let frame = data as *mut u8;
        // SAFETY: all of it is within the first `at::END + TAGS` bytes, compared with `data_end` just above.
        // Unaligned access as in `load`.
        unsafe {
            let words = frame.cast::<u32>();
            let [first, second, third] = hop.macs;
            words.write(first);
            words.add(1).write(second);
            words.add(2).write(third);
            if TAGS != 0 {
                let tag = u32::from(ethertype::C_TAG) << 16 | u32::from(hop.vlan);
                words.add(3).write(tag.to_be());
            }
            match family {
                Family::V4 => {
                    let ttl = frame.add(at::TTL4 + TAGS);
                    ttl.write(ttl.read().wrapping_sub(1));
                    let sum = frame.add(at::CHECKSUM4 + TAGS).cast::<u16>();
                    let before = u16::from_be(sum.read());
                    sum.write(fasttrack::checksum_after_hop(before).to_be());
                }
                Family::V6 => {
                    let limit = frame.add(at::HOP_LIMIT6 + TAGS);
                    limit.write(limit.read().wrapping_sub(1));
                }
            }
        }
        Some(())
    }
}

/// A packet that came in, with what its hook can do to it.
pub(crate) trait Arrival: Frame {
    /// What the program returns for a packet that goes on to the stack.
    const PASS: u32;
    /// What it returns for one that ends here.
    const DROP: u32;
    /// Whether a checksum that is left to the NIC still is when the packet leaves by [`Self::send`].
    const KEEPS_CHECKSUM: bool;
    /// Whether a tag is in the frame, and not beside it.
    const TAG_WITHIN: bool;

    /// Whether the frame is in several buffers of the driver's.
    fn is_scattered(&self) -> bool;
    /// Bytes of payload in each piece, if a NIC is to cut the packet up; else 0.
    fn gso_size(&self) -> u32;
    /// Turns an untagged frame into one for the next hop: hardware addresses, TTL or hop limit, which is `ttl`,
    /// one less.
    /// `None` if it can't be; then the kernel can still forward it.
    fn readdress(&self, kind: (Family, u8), hop: &NextHop) -> Option<()>;
    /// [`Self::readdress`] and [`Self::send`] for a frame that has a tag, if `tagged`, or is to get one.
    /// `None`: nothing is changed, the kernel can still forward it.
    fn send_tagged(&self, kind: (Family, u8), hop: &NextHop, tagged: bool) -> Option<u32>;
    /// Sends it out by interface `ifindex`; what the program returns for that.
    fn send(&self, ifindex: u32) -> u32;
    /// Sends the answer to a packet that is rejected back; what the program returns for that, if there
    /// is an answer.
    fn answer(&self, scratch: &mut Scratch) -> Option<u32>;
}

impl Arrival for XdpPacket {
    const PASS: u32 = xdp_action::XDP_PASS;
    const DROP: u32 = xdp_action::XDP_DROP;
    const KEEPS_CHECKSUM: bool = false;
    const TAG_WITHIN: bool = true;

    #[inline(always)]
    fn is_scattered(&self) -> bool {
        self.len() > self.linear_len()
    }

    #[inline(always)]
    fn gso_size(&self) -> u32 {
        0
    }

    #[inline(always)]
    fn readdress(&self, (family, _): (Family, u8), hop: &NextHop) -> Option<()> {
        self.rewrite::<0>(family, hop)
    }

    #[inline(always)]
    fn send_tagged(&self, (family, _): (Family, u8), hop: &NextHop, tagged: bool) -> Option<u32> {
        // A frame that is too short for that is left alone.
        let headers = at::END + TAG * usize::from(tagged);
        if self.linear_len() < headers {
            return None;
        }
        let grows = i32::from(hop.vlan != 0) - i32::from(tagged);
        // SAFETY: the context is the program's own; no pointer into the packet is kept.
        if grows != 0 && unsafe { bpf_xdp_adjust_head(self.0, -(TAG as i32) * grows) } != 0 {
            return None;
        }
        let done = if hop.vlan == 0 {
            self.rewrite::<0>(family, hop)
        } else {
            self.rewrite::<TAG>(family, hop)
        };
        // It was long enough above; the verifier does not know.
        Some(done.map_or(Self::DROP, |()| self.send(hop.oif)))
    }

    #[inline(always)]
    fn send(&self, ifindex: u32) -> u32 {
        maps::redirect(ifindex)
    }

    #[inline(always)]
    fn answer(&self, scratch: &mut Scratch) -> Option<u32> {
        if !answer::replace_xdp(self, scratch) {
            return None;
        }
        // `XDP_TX` of a veth wakes a far end that has an XDP program, and no other (`veth_xdp_flush`).
        const REDIRECTED: u32 = IfaceFlags::TARGET | IfaceFlags::XMIT;
        let flags = u32::from(scratch.job.iface) & (REDIRECTED | IfaceFlags::GENERIC);
        Some(if flags == REDIRECTED {
            maps::redirect(scratch.job.port)
        } else {
            xdp_action::XDP_TX
        })
    }
}

impl Packet for XdpPacket {
    #[inline(always)]
    fn read<const N: usize>(&self, offset: usize) -> Option<[u8; N]> {
        if offset > MAX_OFFSET {
            return None;
        }
        // SAFETY: the context is the program's own.
        let (data, end) = unsafe { ((*self.0).data as usize, (*self.0).data_end as usize) };
        let start = data + offset;
        if start + N > end {
            return None;
        }
        // SAFETY: `start..start + N` is inside the packet: compared with `data_end` just above, in
        // the form that the verifier recognises.
        Some(unsafe { load(start as *const u8) })
    }

    /// A frame of more than a page (jumbo, or joined by GRO before generic XDP) comes in several
    /// buffers, of which the program sees the first.
    #[inline(always)]
    fn read_deep<const N: usize>(&self, offset: usize) -> Option<[u8; N]> {
        if let Some(bytes) = self.read(offset) {
            return Some(bytes);
        }
        if offset > MAX_OFFSET {
            return None;
        }
        let mut bytes = MaybeUninit::<[u8; N]>::uninit();
        // SAFETY: the helper checks the range in the packet; `bytes` has room for `N`, and is all
        // written if the helper succeeds.
        unsafe {
            let failed =
                bpf_xdp_load_bytes(self.0, offset as u32, bytes.as_mut_ptr().cast(), N as u32);
            if failed == 0 {
                Some(bytes.assume_init())
            } else {
                None
            }
        }
    }

    #[inline(always)]
    fn crc32c(&self, offset: usize, crc: u32) -> Option<u32> {
        u32::try_from(fw_crc32c_xdp(self.0, offset as u32, crc)).ok()
    }

    #[inline(always)]
    fn linear_len(&self) -> usize {
        // SAFETY: the context is the program's own.
        unsafe { (*self.0).data_end as usize - (*self.0).data as usize }
    }

    /// With all fragments of a multi-buffer frame, of which `read` reaches only the first.
    #[inline(always)]
    fn len(&self) -> usize {
        // SAFETY: the context is the program's own.
        unsafe { bpf_xdp_get_buff_len(self.0) as usize }
    }
}

/// A step of SCTP's checksum; beyond 32 bits if the packet ends before.
#[unsafe(no_mangle)]
#[inline(never)]
extern "C" fn fw_crc32c_xdp(ctx: *mut xdp_md, offset: u32, crc: u32) -> u64 {
    wire::crc32c_block(&XdpPacket(ctx), offset as usize, crc).map_or(u64::MAX, u64::from)
}

/// `N` bytes at `from`, in the widest loads there are: packet memory has no alignment, and byte by
/// byte (which is what a `[u8; N]` read compiles to) costs a load and a shift each.
///
/// # Safety
/// `from..from + N` must be readable.
#[inline(always)]
pub(super) unsafe fn load<const N: usize>(from: *const u8) -> [u8; N] {
    let mut bytes = [0u8; N];
    let to = bytes.as_mut_ptr();
    let mut i = 0;
    while i + 4 <= N {
        // SAFETY: inside both ranges; BPF allows unaligned access to packets on every architecture
        // with cheap unaligned loads, and the verifier refuses the program on the others.
        unsafe {
            to.add(i)
                .cast::<u32>()
                .write_unaligned(from.add(i).cast::<u32>().read());
        };
        i += 4;
    }
    while i + 2 <= N {
        // SAFETY: as above.
        unsafe {
            to.add(i)
                .cast::<u16>()
                .write_unaligned(from.add(i).cast::<u16>().read());
        };
        i += 2;
    }
    while i < N {
        // SAFETY: as above.
        unsafe { to.add(i).write(from.add(i).read()) };
        i += 1;
    }
    bytes
}

/// Copies the request in the packet of `fw_edit` to `edit`, word by word: the stack has no room for it.
/// False if the packet is shorter.
#[inline(always)]
pub(crate) fn read_edit(ctx: &XdpContext, edit: &mut Edit) -> bool {
    let start = ctx.data();
    if start + size_of::<Edit>() > ctx.data_end() {
        return false;
    }
    let to = core::ptr::from_mut(edit).cast::<u64>();
    let mut i = 0;
    while i < size_of::<Edit>() / size_of::<u64>() {
        // SAFETY: the bytes are inside the packet, as compared just above, and those written inside
        // `edit`, whose alignment is that of `u64`; any bytes are a value.
        unsafe {
            to.add(i)
                .write_volatile((start as *const u64).add(i).read_unaligned());
        };
        i += 1;
    }
    true
}

/// Stores `value` in the packet's first eight bytes, little-endian; false if it is shorter.
#[inline(always)]
pub(crate) fn write_u64(ctx: &XdpContext, value: u64) -> bool {
    let start = ctx.data();
    if start + size_of::<u64>() > ctx.data_end() {
        return false;
    }
    // SAFETY: eight bytes are inside the packet, as compared just above.
    unsafe { (start as *mut u64).write_unaligned(value.to_le()) };
    true
}
