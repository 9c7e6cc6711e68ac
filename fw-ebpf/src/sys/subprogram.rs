//! Parsing and the state machines as BPF *global functions*.
//!
//! The verifier follows an ordinary function anew for each way that leads to it, and the TCP machine
//! has so many ways through that it does not come to an end within a million instructions. A global
//! function is verified once, by itself, whatever its callers know. Its arguments are scalars and
//! pointers to memory of a known size that may be null; it returns a scalar.

use aya_ebpf::bindings::{__sk_buff, xdp_md};
use fw_common::abi::{Config, Flow, IfaceFlags, NOT_ASKED, NextHop, needs};
use fw_common::route::Fib;
use fw_common::ruleset::fib::Side;
use fw_common::track::{self, Fate, Outcome};
use fw_common::wire::{self, Meta, Packet, checksum, proto};
use fw_common::{CtInfo, Dir, Reason, fasttrack};

use crate::conntrack::{self, Parcel};
use crate::fast;
use crate::pipeline::{self, Next};
use crate::{asked, route, rules};

use super::maps::{Hook, Job, Scratch, Way};
use super::packed::{pack, pack_next, result, unpack, unpack_next, unresult};
use super::packet::XdpPacket;
use super::skb::{TcArrival, TcPacket};
use super::{helpers, hops};

/// [`track::advance_other`].
///
/// `dir` is 0 for original, else reply; `now` is in ticks. The result is [`pack`]ed.
#[unsafe(no_mangle)]
#[inline(never)]
extern "C" fn fw_advance(
    flow: *mut Flow,
    meta: *const Meta,
    config: *const Config,
    dir: u32,
    now: u64,
) -> u64 {
    // SAFETY: the verifier makes callers pass null or valid memory of the type's size; `flow` is
    // locked by the caller, `meta` is this CPU's own, `config` is only written by the daemon.
    let (flow, meta, config) = unsafe { (flow.as_mut(), meta.as_ref(), config.as_ref()) };
    let (Some(flow), Some(meta), Some(config)) = (flow, meta, config) else {
        return pack(Outcome {
            info: CtInfo::Invalid,
            fate: Fate::Keep,
            reason: Reason::Contended,
            changed: 0,
            counted: false,
        });
    };
    let dir = if dir == 0 { Dir::Original } else { Dir::Reply };
    pack(track::advance_other(flow, dir, meta, config, now))
}

/// [`track::open_other`]. Returns 0, or 1 + the number of the [`Reason`] why not.
#[unsafe(no_mangle)]
#[inline(never)]
extern "C" fn fw_open(flow: *mut Flow, meta: *const Meta, config: *const Config, now: u64) -> u64 {
    // SAFETY: as above; `flow` is this CPU's own.
    let (flow, meta, config) = unsafe { (flow.as_mut(), meta.as_ref(), config.as_ref()) };
    let (Some(flow), Some(meta), Some(config)) = (flow, meta, config) else {
        return u64::MAX;
    };
    result(track::open_other(flow, meta, config, now))
}

/// [`track::advance_sctp`] if `dir` is a direction; else [`track::open_sctp`], whose result is as that of
/// `fw_open`.
#[unsafe(no_mangle)]
#[inline(never)]
extern "C" fn fw_sctp(
    flow: *mut Flow,
    meta: *const Meta,
    config: *const Config,
    dir: u32,
    now: u64,
) -> u64 {
    // SAFETY: as above.
    let (flow, meta, config) = unsafe { (flow.as_mut(), meta.as_ref(), config.as_ref()) };
    let (Some(flow), Some(meta), Some(config)) = (flow, meta, config) else {
        return u64::MAX;
    };
    if dir == FRESH {
        return result(track::open_sctp(flow, meta, config, now));
    }
    let dir = if dir == 0 { Dir::Original } else { Dir::Reply };
    pack(track::advance_sctp(flow, dir, meta, config, now))
}

/// `dir` of a flow that begins.
const FRESH: u32 = 2;

/// [`hops::intern`].
#[unsafe(no_mangle)]
#[inline(never)]
extern "C" fn fw_intern(hop: *const NextHop, generation: u32) -> u64 {
    // SAFETY: null or memory of the type's size, this CPU's own.
    match unsafe { hop.as_ref() } {
        Some(hop) => u64::from(hops::intern(hop, generation)),
        None => u64::from(NOT_ASKED),
    }
}

/// [`hops::intern`].
#[inline(always)]
pub(crate) fn intern(hop: &NextHop, generation: u32) -> u16 {
    fw_intern(hop, generation) as u16
}

/// A packet of one of the two hooks, with what is done to it in functions of its own.
pub(crate) trait Frame: Packet {
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
    /// [`checksum::verify`], as far as it makes sense at this hook.
    fn verify(&self, meta: &Meta, job: &Job) -> Result<(), Reason>;
    /// [`route::find`] of the packet that `meta` describes, if it came in: the answer stands in `way`.
    fn route(&self, meta: &Meta, way: &mut Way, ifindex: u32);
    /// Asks the kernel's routing tables: see [`fw_common::route::Fib`].
    fn fib_lookup(&self, fib: &mut Fib) -> i64;
    /// [`fast::choose`].
    fn choose(&self, flow: &mut Flow, packet: (Dir, CtInfo), meta: &Meta, job: &Job, way: &mut Way);
    /// [`fast::look_up`].
    fn next_hop(&self, meta: &Meta, way: &mut Way, from: u64) -> u32;
    /// [`wire::inner::inner`].
    fn quoted(&self, outer: &Meta, inner: &mut Meta) -> Result<(), Reason>;
}

macro_rules! frame {
    (
        $packet:ident, $ctx:ty, $hook:ident,
        $prepare:ident, $classify:ident, $note:ident, $ask:ident, $fib:ident, $parse:ident, $quoted:ident, $verify:ident,
        $route:ident, $hop:ident, $choose:ident, $track4:ident, $track6:ident
    ) => {
        #[unsafe(no_mangle)]
        #[inline(never)]
        extern "C" fn $prepare(ctx: *mut $ctx, scratch: *mut Scratch, ifindex: u32) -> u64 {
            // SAFETY: null or memory of the type's size, this CPU's own.
            let Some(scratch) = (unsafe { scratch.as_mut() }) else {
                return u64::MAX;
            };
            pack_next(pipeline::prepare(&$packet(ctx), scratch, ifindex))
        }

        #[unsafe(no_mangle)]
        #[inline(never)]
        extern "C" fn $classify(ctx: *mut $ctx, scratch: *mut Scratch) -> u64 {
            // SAFETY: null or memory of the type's size, this CPU's own.
            let Some(scratch) = (unsafe { scratch.as_mut() }) else {
                return u64::MAX;
            };
            pack_next(pipeline::classify(&$packet(ctx), scratch))
        }

        #[unsafe(no_mangle)]
        #[inline(never)]
        extern "C" fn $note(ctx: *mut $ctx, scratch: *mut Scratch) -> u64 {
            // SAFETY: null or memory of the type's size, this CPU's own.
            if let Some(scratch) = unsafe { scratch.as_mut() } {
                rules::note(&$packet(ctx), scratch);
            }
            0
        }

        #[unsafe(no_mangle)]
        #[inline(never)]
        extern "C" fn $ask(ctx: *mut $ctx, scratch: *mut Scratch, needed: u32) -> u64 {
            // SAFETY: null or memory of the type's size, this CPU's own.
            if let Some(scratch) = unsafe { scratch.as_mut() } {
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
            // SAFETY: null or memory of the type's size, this CPU's own.
            if let Some(scratch) = unsafe { scratch.as_mut() } {
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
        extern "C" fn $verify(ctx: *mut $ctx, meta: *const Meta, local_peer: u32) -> u64 {
            // SAFETY: null or memory of the type's size, this CPU's own.
            let Some(meta) = (unsafe { meta.as_ref() }) else {
                return u64::MAX;
            };
            result(verify(&$packet(ctx), meta, local_peer != 0))
        }

        #[unsafe(no_mangle)]
        #[inline(never)]
        extern "C" fn $route(
            ctx: *mut $ctx,
            meta: *const Meta,
            way: *mut Way,
            ifindex: u32,
        ) -> u64 {
            // SAFETY: null or memory of the type's size, this CPU's own; the two do not overlap.
            let (meta, way) = unsafe { (meta.as_ref(), way.as_mut()) };
            let (Some(meta), Some(way)) = (meta, way) else {
                return 0;
            };
            route::find(&$packet(ctx), meta, way, ifindex);
            0
        }

        #[unsafe(no_mangle)]
        #[inline(never)]
        extern "C" fn $hop(ctx: *mut $ctx, meta: *const Meta, way: *mut Way, from: u64) -> u64 {
            // SAFETY: null or memory of the type's size, this CPU's own; the two do not overlap.
            let (meta, way) = unsafe { (meta.as_ref(), way.as_mut()) };
            let (Some(meta), Some(way)) = (meta, way) else {
                return 0;
            };
            u64::from(fast::look_up(&$packet(ctx), meta, way, from))
        }

        #[unsafe(no_mangle)]
        #[inline(never)]
        extern "C" fn $choose(
            ctx: *mut $ctx,
            flow: *mut Flow,
            meta: *const Meta,
            job: *const Job,
            way: *mut Way,
        ) -> u64 {
            // SAFETY: null or memory of the type's size; `flow` is locked by the caller, `way` is this
            // CPU's own.
            let (flow, way) = unsafe { (flow.as_mut(), way.as_mut()) };
            // SAFETY: null or memory of the type's size, this CPU's own, and neither of the two above.
            let (meta, job) = unsafe { (meta.as_ref(), job.as_ref()) };
            let (Some(flow), Some(meta), Some(job), Some(way)) = (flow, meta, job, way) else {
                return 0;
            };
            let dir = if way.question & 1 == 0 {
                Dir::Original
            } else {
                Dir::Reply
            };
            fast::choose(&$packet(ctx), flow, dir, meta, job, way);
            0
        }

        #[unsafe(no_mangle)]
        #[inline(never)]
        extern "C" fn $track4(ctx: *mut $ctx, scratch: *mut Scratch) -> u64 {
            // SAFETY: null or memory of the type's size, this CPU's own.
            let Some(scratch) = (unsafe { scratch.as_mut() }) else {
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
            // SAFETY: null or memory of the type's size, this CPU's own.
            let Some(scratch) = (unsafe { scratch.as_mut() }) else {
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
            fn verify(&self, meta: &Meta, job: &Job) -> Result<(), Reason> {
                match Self::HOOK {
                    Hook::Ingress => unresult($verify(
                        self.0,
                        meta,
                        u32::from(job.iface) & IfaceFlags::LOCAL_PEER,
                    )),
                    // What the host sends gets its checksum later; the kernel does not look either.
                    Hook::Egress => Ok(()),
                }
            }

            #[inline(always)]
            fn route(&self, meta: &Meta, way: &mut Way, ifindex: u32) {
                // What the host sends was routed before it got here.
                if let Hook::Ingress = Self::HOOK {
                    $route(self.0, meta, way, ifindex);
                }
            }

            #[inline(always)]
            fn choose(
                &self,
                flow: &mut Flow,
                (dir, info): (Dir, CtInfo),
                meta: &Meta,
                job: &Job,
                way: &mut Way,
            ) {
                // Of arguments there may be five.
                way.question = dir as u32 | u32::from(fasttrack::is_established(info)) << 1;
                $choose(self.0, flow, meta, job, way);
            }

            #[inline(always)]
            fn next_hop(&self, meta: &Meta, way: &mut Way, from: u64) -> u32 {
                $hop(self.0, meta, way, from) as u32
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
    fw_verify_xdp,
    fw_route_xdp,
    fw_hop_xdp,
    fw_choose_xdp,
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
    fw_verify_in,
    fw_route_in,
    fw_hop_in,
    fw_choose_in,
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
    fw_verify_tc,
    fw_route_tc,
    fw_hop_tc,
    fw_choose_tc,
    fw_track4_tc,
    fw_track6_tc
);

/// `ctx`, which the compiler may not drop even where the hook has no use for it: the verifier wants
/// every argument that the function's type names.
#[inline(always)]
fn used<T>(ctx: *mut T) -> *mut T {
    core::hint::black_box(ctx)
}

/// Most bytes of a transport header with payload whose checksum is verified: a jumbo frame's.
const MAX_VERIFIED: usize = 9216;

#[inline(always)]
fn verify<P: Packet>(packet: &P, meta: &Meta, local_peer: bool) -> Result<(), Reason> {
    match checksum::verify::<MAX_VERIFIED, P>(packet, meta) {
        Err(_) if local_peer && checksum::is_left_to_nic(packet, meta) => Ok(()),
        result => result,
    }
}

/// Advances a locked entry by one packet.
#[inline(always)]
pub(crate) fn advance(
    flow: &mut Flow,
    dir: Dir,
    meta: &Meta,
    config: &Config,
    now: u64,
) -> Outcome {
    unpack(match meta.proto {
        proto::SCTP => fw_sctp(flow, meta, config, dir as u32, now),
        _ => fw_advance(flow, meta, config, dir as u32, now),
    })
}

/// Fills a fresh entry for its first packet.
///
/// # Errors
/// The [`Reason`] why this packet may not begin a flow.
#[inline(always)]
pub(crate) fn open(flow: &mut Flow, meta: &Meta, config: &Config, now: u64) -> Result<(), Reason> {
    unresult(match meta.proto {
        proto::SCTP => fw_sctp(flow, meta, config, FRESH, now),
        _ => fw_open(flow, meta, config, now),
    })
}
