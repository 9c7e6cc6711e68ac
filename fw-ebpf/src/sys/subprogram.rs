//! The steps of a packet as BPF *global functions*.
//!
//! The verifier follows an ordinary function anew for each way that leads to it, and the TCP machine
//! has so many ways through that it does not come to an end within a million instructions. A global
//! function is verified once, by itself, whatever its callers know. Its arguments are scalars and
//! pointers to memory of a known size that may be null; it returns a scalar.

use aya_ebpf::bindings::{__sk_buff, xdp_md};
use fw_common::Reason;
use fw_common::abi::needs;
use fw_common::route::Fib;
use fw_common::ruleset::fib::Side;
use fw_common::wire::{self, Meta};

use crate::conntrack::{self, Parcel};
use crate::pipeline::{self, Next};
use crate::{asked, rules};

use super::helpers;
use super::inbound::Inbound;
use super::packed::{pack_next, result, unpack_next, unresult};
use super::packet::XdpPacket;
use super::scratch::{Hook, Scratch};
use super::skb::{TcArrival, TcPacket};

/// A packet of one of the two hooks, with what is done to it in functions of its own.
pub(crate) trait Frame: Inbound {
    /// The hook at which such packets are seen.
    const HOOK: Hook;
    /// [`pipeline::prepare`]. A function of its own also for the stack: its frame is gone when the
    /// flow is looked up, and 512 bytes have to do for all frames together.
    fn prepare(&self, scratch: &mut Scratch, ifindex: u32) -> Next;
    /// [`pipeline::classify`], likewise.
    fn classify(&self, scratch: &mut Scratch) -> Next;
    /// [`rules::note`].
    fn note(&self, scratch: &mut Scratch);
    /// [`asked::ask`] and [`asked::fib`].
    fn ask(&self, scratch: &mut Scratch, needed: u32);
    /// [`wire::parse`].
    fn parse(&self, meta: &mut Meta) -> Result<(), Reason>;
    /// [`conntrack::track`] of the IPv4 packet that `scratch` describes.
    fn track4(&self, scratch: &mut Scratch) -> Next;
    /// [`conntrack::track`] of the IPv6 packet that `scratch` describes.
    fn track6(&self, scratch: &mut Scratch) -> Next;
    /// Asks the kernel's routing tables: see [`fw_common::route::Fib`].
    fn fib_lookup(&self, fib: &mut Fib) -> i64;
    /// [`wire::inner::inner`].
    fn quoted(&self, outer: &Meta, inner: &mut Meta) -> Result<(), Reason>;
}

macro_rules! frame {
    (
        $packet:ident, $ctx:ty, $hook:ident,
        $prepare:ident, $classify:ident, $note:ident, $ask:ident, $fib:ident, $parse:ident, $quoted:ident,
        $track4:ident, $track6:ident
    ) => {
        #[unsafe(no_mangle)]
        #[inline(never)]
        extern "C" fn $prepare(ctx: *mut $ctx, scratch: *mut Scratch, ifindex: u32) -> u64 {
            let Some(scratch) = Scratch::again(scratch) else {
                return u64::MAX;
            };
            pack_next(pipeline::prepare(&$packet(ctx), scratch, ifindex))
        }

        #[unsafe(no_mangle)]
        #[inline(never)]
        extern "C" fn $classify(ctx: *mut $ctx, scratch: *mut Scratch) -> u64 {
            let Some(scratch) = Scratch::again(scratch) else {
                return u64::MAX;
            };
            pack_next(pipeline::classify(&$packet(ctx), scratch))
        }

        #[unsafe(no_mangle)]
        #[inline(never)]
        extern "C" fn $note(ctx: *mut $ctx, scratch: *mut Scratch) -> u64 {
            if let Some(scratch) = Scratch::again(scratch) {
                rules::note(&$packet(ctx), scratch);
            }
            0
        }

        #[unsafe(no_mangle)]
        #[inline(never)]
        extern "C" fn $ask(ctx: *mut $ctx, scratch: *mut Scratch, needed: u32) -> u64 {
            if let Some(scratch) = Scratch::again(scratch) {
                asked::ask(&$packet(ctx), scratch, needed);
            }
            0
        }

        /// `end`: 0 source, else destination. `what`: bit 0 the address's type, bit 1 the way to it.
        #[unsafe(no_mangle)]
        #[inline(never)]
        extern "C" fn $fib(ctx: *mut $ctx, scratch: *mut Scratch, end: u32, what: u32) -> u64 {
            let end = if end == 0 {
                Side::Source
            } else {
                Side::Destination
            };
            if let Some(scratch) = Scratch::again(scratch) {
                asked::fib(&$packet(ctx), scratch, end, (what & 1 != 0, what & 2 != 0));
            }
            0
        }

        #[unsafe(no_mangle)]
        #[inline(never)]
        extern "C" fn $parse(ctx: *mut $ctx, meta: *mut Meta) -> u64 {
            // SAFETY: null or memory of the type's size, this CPU's own.
            let Some(meta) = (unsafe { meta.as_mut() }) else {
                return u64::MAX;
            };
            result(wire::parse(&$packet(ctx), meta))
        }

        #[unsafe(no_mangle)]
        #[inline(never)]
        extern "C" fn $quoted(ctx: *mut $ctx, outer: *const Meta, inner: *mut Meta) -> u64 {
            // SAFETY: null or memory of the type's size, this CPU's own; the two do not overlap.
            let (outer, inner) = unsafe { (outer.as_ref(), inner.as_mut()) };
            let (Some(outer), Some(inner)) = (outer, inner) else {
                return u64::MAX;
            };
            result(wire::inner::inner(&$packet(ctx), outer, inner))
        }

        #[unsafe(no_mangle)]
        #[inline(never)]
        extern "C" fn $track4(ctx: *mut $ctx, scratch: *mut Scratch) -> u64 {
            let Some(scratch) = Scratch::again(scratch) else {
                return u64::MAX;
            };
            let Scratch {
                meta,
                machine,
                job,
                fresh,
                way,
                place4,
                ..
            } = scratch;
            let parcel = Parcel {
                meta,
                job,
                machine,
                fresh,
                way,
            };
            pack_next(conntrack::track(&$packet(used(ctx)), place4, parcel))
        }

        #[unsafe(no_mangle)]
        #[inline(never)]
        extern "C" fn $track6(ctx: *mut $ctx, scratch: *mut Scratch) -> u64 {
            let Some(scratch) = Scratch::again(scratch) else {
                return u64::MAX;
            };
            let Scratch {
                meta,
                machine,
                job,
                fresh,
                way,
                place6,
                ..
            } = scratch;
            let parcel = Parcel {
                meta,
                job,
                machine,
                fresh,
                way,
            };
            pack_next(conntrack::track(&$packet(used(ctx)), place6, parcel))
        }

        impl Frame for $packet {
            const HOOK: Hook = Hook::$hook;

            #[inline(always)]
            fn prepare(&self, scratch: &mut Scratch, ifindex: u32) -> Next {
                unpack_next($prepare(self.0, scratch, ifindex))
            }

            #[inline(always)]
            fn classify(&self, scratch: &mut Scratch) -> Next {
                unpack_next($classify(self.0, scratch))
            }

            #[inline(always)]
            fn note(&self, scratch: &mut Scratch) {
                $note(self.0, scratch);
            }

            #[inline(always)]
            fn ask(&self, scratch: &mut Scratch, needed: u32) {
                let what =
                    |kind, way| u32::from(needed & kind != 0) | u32::from(needed & way != 0) << 1;
                $ask(self.0, scratch, needed);
                let source = what(needs::SADDR_TYPE, needs::SADDR_OIF);
                if source != 0 {
                    $fib(self.0, scratch, 0, source);
                }
                let destination = what(needs::DADDR_TYPE, needs::DADDR_OIF);
                if destination != 0 {
                    $fib(self.0, scratch, 1, destination);
                }
            }

            #[inline(always)]
            fn parse(&self, meta: &mut Meta) -> Result<(), Reason> {
                unresult($parse(self.0, meta))
            }

            #[inline(always)]
            fn track4(&self, scratch: &mut Scratch) -> Next {
                unpack_next($track4(self.0, scratch))
            }

            #[inline(always)]
            fn track6(&self, scratch: &mut Scratch) -> Next {
                unpack_next($track6(self.0, scratch))
            }

            #[inline(always)]
            fn fib_lookup(&self, fib: &mut Fib) -> i64 {
                helpers::fib_lookup(self.0.cast(), fib)
            }

            #[inline(always)]
            fn quoted(&self, outer: &Meta, inner: &mut Meta) -> Result<(), Reason> {
                unresult($quoted(self.0, outer, inner))
            }
        }
    };
}

frame!(
    XdpPacket,
    xdp_md,
    Ingress,
    fw_prepare_xdp,
    fw_classify_xdp,
    fw_note_xdp,
    fw_ask_xdp,
    fw_fib_xdp,
    fw_parse_xdp,
    fw_quoted_xdp,
    fw_track4_xdp,
    fw_track6_xdp
);
frame!(
    TcArrival,
    __sk_buff,
    Ingress,
    fw_prepare_in,
    fw_classify_in,
    fw_note_in,
    fw_ask_in,
    fw_fib_in,
    fw_parse_in,
    fw_quoted_in,
    fw_track4_in,
    fw_track6_in
);
frame!(
    TcPacket,
    __sk_buff,
    Egress,
    fw_prepare_tc,
    fw_classify_tc,
    fw_note_tc,
    fw_ask_tc,
    fw_fib_tc,
    fw_parse_tc,
    fw_quoted_tc,
    fw_track4_tc,
    fw_track6_tc
);

/// `ctx`, which the compiler may not drop even where the hook has no use for it: the verifier wants
/// every argument that the function's type names.
#[inline(always)]
fn used<T>(ctx: *mut T) -> *mut T {
    core::hint::black_box(ctx)
}
