//! The routing phase: where a packet that came in will go, asked of the kernel before it has to know.

use fw_common::route::{self, Kind, Route};
use fw_common::ruleset::fib::{Answer, Side};
use fw_common::wire::{Meta, meta_flags};

use crate::sys::scratch::Way;
use crate::sys::subprogram::Frame;

/// Asks for the way of a packet that came in by `ifindex`. The answer is in `way.route`.
#[inline(always)]
pub(crate) fn find<P: Frame>(packet: &P, meta: &Meta, way: &mut Way, ifindex: u32) {
    way.route = if route::is_unicast(meta) {
        ask(packet, meta, way, ifindex)
    } else {
        Route {
            kind: Kind::Local,
            ..Route::default()
        }
    };
}

#[inline(always)]
fn ask<P: Frame>(packet: &P, meta: &Meta, way: &mut Way, ifindex: u32) -> Route {
    // An interface on top of this one has a say, whose number is not known here.
    if meta.flags & meta_flags::FOREIGN_TAG != 0 {
        return Route::default();
    }
    way.fib.ask(meta, ifindex);
    let returned = packet.fib_lookup(&mut way.fib);
    way.fib.answer(returned)
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
