//! What is done only to packets that come in, as global functions: see [`super::subprogram`].

use aya_ebpf::bindings::{__sk_buff, xdp_md};
use fw_common::abi::{Flow, IfaceFlags, NextHop};
use fw_common::fasttrack::{self, Left};
use fw_common::wire::{Family, Meta, Packet, checksum};
use fw_common::{CtInfo, Dir, Reason};

use crate::express::{self, Ride};
use crate::{fast, route};

use super::packed::{pack_ride, result, unpack_ride, unresult};
use super::packet::{Arrival as _, XdpPacket};
use super::scratch::{Job, Scratch, Way};
use super::skb::{TcArrival, TcPacket};

/// Steps of packets that come in; of those that leave, nothing is left to do.
pub(crate) trait Inbound: Packet {
    /// [`checksum::verify`]. What the host sends gets its checksum later; the kernel does not look
    /// either.
    #[inline(always)]
    fn verify(&self, _meta: &Meta, _job: &Job) -> Result<(), Reason> {
        Ok(())
    }

    /// [`route::find`] of the packet that `meta` describes: the answer stands in `way`. What the host
    /// sends was routed before it got here.
    #[inline(always)]
    fn route(&self, _meta: &Meta, _way: &mut Way, _ifindex: u32) {}

    /// [`fast::choose`].
    #[inline(always)]
    fn choose(
        &self,
        _flow: &mut Flow,
        _packet: (Dir, CtInfo),
        _meta: &Meta,
        _job: &Job,
        _way: &mut Way,
    ) {
    }

    /// [`fast::begin`] of the packet that `scratch` describes.
    #[inline(always)]
    fn begin(&self, _scratch: &mut Scratch) {}

    /// [`express::run`].
    #[inline(always)]
    fn express(&self, _ifindex: u32) -> Ride {
        Ride::Not
    }

    /// [`express::run_tagged`].
    #[inline(always)]
    fn express_tagged(&self, _ifindex: u32) -> Ride {
        Ride::Not
    }

    /// [`Arrival::send_tagged`].
    #[inline(always)]
    fn depart(&self, _kind: (Family, u8), _hop: &NextHop, _tagged: bool) -> Option<u32> {
        None
    }

    /// [`fast::look_up`].
    #[inline(always)]
    fn next_hop(&self, _meta: &Meta, _way: &mut Way, _from: u64) -> u32 {
        Left::Egress as u32
    }
}

impl Inbound for TcPacket {}

macro_rules! inbound {
    ($packet:ident, $ctx:ty, $verify:ident, $route:ident, $hop:ident, $choose:ident, $begin:ident, $express:ident,
     $tagged:ident, $depart:ident) => {
        #[unsafe(no_mangle)]
        #[inline(never)]
        extern "C" fn $express(ctx: *mut $ctx, ifindex: u32) -> u64 {
            pack_ride(express::run(&$packet(ctx), ifindex))
        }

        #[unsafe(no_mangle)]
        #[inline(never)]
        extern "C" fn $tagged(ctx: *mut $ctx, ifindex: u32) -> u64 {
            pack_ride(express::run_tagged(&$packet(ctx), ifindex))
        }

        #[unsafe(no_mangle)]
        #[inline(never)]
        extern "C" fn $depart(ctx: *mut $ctx, hop: *const NextHop, how: u32) -> u64 {
            // SAFETY: null or memory of the type's size, this CPU's own.
            let Some(hop) = (unsafe { hop.as_ref() }) else {
                return NOT_SENT;
            };
            let (kind, tagged) = unpack_how(how);
            let sent = $packet(ctx).send_tagged(kind, hop, tagged);
            sent.map_or(NOT_SENT, u64::from)
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
        extern "C" fn $begin(ctx: *mut $ctx, scratch: *mut Scratch) -> u64 {
            if let Some(scratch) = Scratch::again(scratch) {
                let Scratch {
                    meta,
                    fresh,
                    job,
                    way,
                    ..
                } = scratch;
                fast::begin(&$packet(ctx), fresh, meta, job, way);
            }
            0
        }

        impl Inbound for $packet {
            #[inline(always)]
            fn verify(&self, meta: &Meta, job: &Job) -> Result<(), Reason> {
                unresult($verify(
                    self.0,
                    meta,
                    u32::from(job.iface) & IfaceFlags::LOCAL_PEER,
                ))
            }

            #[inline(always)]
            fn route(&self, meta: &Meta, way: &mut Way, ifindex: u32) {
                $route(self.0, meta, way, ifindex);
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
                way.question = dir as u32
                    | match info {
                        CtInfo::New => fast::NEW,
                        info if fasttrack::is_established(info) => fast::ESTABLISHED,
                        _ => 0,
                    };
                $choose(self.0, flow, meta, job, way);
            }

            #[inline(always)]
            fn begin(&self, scratch: &mut Scratch) {
                $begin(self.0, scratch);
            }

            #[inline(always)]
            fn express(&self, ifindex: u32) -> Ride {
                unpack_ride($express(self.0, ifindex))
            }

            #[inline(always)]
            fn express_tagged(&self, ifindex: u32) -> Ride {
                unpack_ride($tagged(self.0, ifindex))
            }

            #[inline(always)]
            fn depart(&self, kind: (Family, u8), hop: &NextHop, tagged: bool) -> Option<u32> {
                u32::try_from($depart(self.0, hop, pack_how(kind, tagged))).ok()
            }

            #[inline(always)]
            fn next_hop(&self, meta: &Meta, way: &mut Way, from: u64) -> u32 {
                $hop(self.0, meta, way, from) as u32
            }
        }
    };
}

inbound!(
    XdpPacket,
    xdp_md,
    fw_verify_xdp,
    fw_route_xdp,
    fw_hop_xdp,
    fw_choose_xdp,
    fw_begin_xdp,
    fw_express_xdp,
    fw_tagged_xdp,
    fw_depart_xdp
);
inbound!(
    TcArrival,
    __sk_buff,
    fw_verify_in,
    fw_route_in,
    fw_hop_in,
    fw_choose_in,
    fw_begin_in,
    fw_express_in,
    fw_tagged_in,
    fw_depart_in
);

/// What `depart` returns for a packet that the kernel has to send.
const NOT_SENT: u64 = u64::MAX;

/// Family, TTL or hop limit, and whether there is a tag, in one number.
#[inline(always)]
const fn pack_how((family, ttl): (Family, u8), tagged: bool) -> u32 {
    ttl as u32 | ((matches!(family, Family::V6)) as u32) << 8 | (tagged as u32) << 9
}

/// What [`pack_how`] has put together.
#[inline(always)]
const fn unpack_how(how: u32) -> ((Family, u8), bool) {
    let family = if how & 1 << 8 == 0 {
        Family::V4
    } else {
        Family::V6
    };
    ((family, how as u8), how & 1 << 9 != 0)
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
