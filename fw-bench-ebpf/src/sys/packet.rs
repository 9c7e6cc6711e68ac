//! Packet memory.

use aya_ebpf::helpers::generated::bpf_xdp_adjust_tail;
use aya_ebpf::programs::XdpContext;

use crate::abi::HEADER_WORDS;
use crate::layout::Layout;

/// The shortest packet: a TCP segment over IPv4 without data. A router cuts off what fills the frame.
const SHORTEST: usize = 54;
/// The most that is written: all headers.
const MOST: usize = HEADER_WORDS * 4;

/// The first bytes of a frame. The methods take offsets that the compiler knows.
pub(crate) struct Front {
    start: usize,
    end: usize,
}

impl Front {
    /// The front of this packet, which is first cut from its present length to another,
    /// `(wanted, present)`, if so demanded. `None` if it is too short.
    #[inline(always)]
    pub(crate) fn of(ctx: &XdpContext, resize: Option<(u32, u32)>) -> Option<Self> {
        if let Some((wanted, present)) = resize {
            // SAFETY: the context is the program's own; no pointer into the packet is kept.
            let failed =
                unsafe { bpf_xdp_adjust_tail(ctx.ctx, wanted.wrapping_sub(present).cast_signed()) };
            if failed != 0 {
                return None;
            }
        }
        let (start, end) = (ctx.data(), ctx.data_end());
        if start + SHORTEST > end {
            return None;
        }
        Some(Self { start, end })
    }

    /// Writes the layout's headers.
    #[inline(always)]
    pub(crate) fn copy<L: Layout>(&mut self, header: &[u32; HEADER_WORDS]) {
        if L::WORDS * 4 > SHORTEST && self.start + L::WORDS * 4 > self.end {
            return;
        }
        let mut i = 0;
        while i < L::WORDS && i < HEADER_WORDS {
            // SAFETY: inside the frame, compared with `data_end` above or in `of`. Words, not bytes:
            // BPF has no wide copy, and loads and stores need no alignment here.
            unsafe { (self.start as *mut u32).add(i).write(header[i]) };
            i += 1;
        }
    }

    /// Writes two bytes as they are in memory.
    #[inline(always)]
    pub(crate) fn put(&mut self, at: usize, value: u16) {
        if at + 2 > SHORTEST && (at + 2 > MOST || self.start + at + 2 > self.end) {
            return;
        }
        // SAFETY: as in `copy`.
        unsafe { ((self.start + at) as *mut u16).write(value) };
    }

    /// Two bytes as they are in memory; 0 beyond the shortest packet.
    #[inline(always)]
    pub(crate) fn get(&self, at: usize) -> u16 {
        if at + 2 > SHORTEST {
            return 0;
        }
        // SAFETY: inside the frame, compared with `data_end` in `of`.
        unsafe { ((self.start + at) as *const u16).read() }
    }
}
