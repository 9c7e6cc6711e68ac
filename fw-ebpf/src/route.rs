//! The routing phase: where a packet that came in will go, asked of the kernel before it has to know.

use fw_common::abi::IfaceFlags;
use fw_common::route::{self, Kind, Route};
use fw_common::ruleset::fib::{Answer, Side, rtn};
use fw_common::wire::{Meta, meta_flags};

use crate::sys::maps;
use crate::sys::scratch::Way;
use crate::sys::subprogram::Frame;

/// Asks for the way of a packet that came in by `ifindex`. The answer is in `way.route`.
#[inline(always)]
pub(crate) fn find<P: Frame>(packet: &P, meta: &Meta, way: &mut Way, ifindex: u32) {
    let iface = maps::iface_flags(ifindex);
    way.route = if route::is_unicast(meta) {
        ask(packet, meta, way, (ifindex, iface))
    } else {
        Route {
            kind: route::kind_of_group(meta, iface),
            ..Route::default()
        }
    };
}

#[inline(always)]
fn ask<P: Frame>(packet: &P, meta: &Meta, way: &mut Way, (ifindex, iface): (u32, u32)) -> Route {
    // An interface on top of this one has a say, whose number is not known here; or its headers have.
    if meta.flags & meta_flags::FOREIGN_TAG != 0 || route::may_go_on(meta, iface) {
        return Route::default();
    }
    way.fib.ask(meta, ifindex);
    let returned = packet.fib_lookup(&mut way.fib);
    if !route::is_doubtful(returned, meta.family, iface) {
        return way.fib.answer(returned);
    }
    // A VRF has a table of its own.
    let own = iface & IfaceFlags::VRF == 0
        && maps::local_by(meta.family, &meta.dst)
            .is_some_and(|local| matches!(local.kind, rtn::LOCAL | rtn::ANYCAST));
    Route {
        kind: if own { Kind::Local } else { Kind::Unknown },
        ..Route::default()
    }
}

/// The interface by which the way back to a packet's source leads, from interface `ifindex`.
#[inline(always)]
pub(crate) fn ask_back<P: Frame>(
    packet: &P,
    meta: &Meta,
    way: &mut Way,
    ifindex: u32,
) -> Option<u32> {
    way.fib.ask_back(meta, ifindex);
    let returned = packet.fib_lookup(&mut way.fib);
    way.fib.leads_to(returned)
}

/// What the routing tables say of one of a packet's addresses.
#[inline(always)]
pub(crate) fn ask_of<P: Frame>(packet: &P, meta: &Meta, way: &mut Way, end: Side) -> Answer {
    way.fib.ask_of(meta, end);
    let returned = packet.fib_lookup(&mut way.fib);
    way.fib.answer_of(returned)
}
