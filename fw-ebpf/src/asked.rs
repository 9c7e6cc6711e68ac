//! What only some rulesets ask of a packet: the time, options, what the routing tables say of its addresses.

use fw_common::abi::needs;
use fw_common::ruleset::Facts;
use fw_common::ruleset::fib::{Answer, Side};

use crate::route;
use crate::sys::helpers;
use crate::sys::maps;
use crate::sys::ruleset;
use crate::sys::scratch::Scratch;
use crate::sys::subprogram::Frame;

/// Notes what `needed` ([`needs`]) names.
#[inline(always)]
pub(crate) fn ask<P: Frame>(packet: &P, scratch: &mut Scratch, needed: u32) {
    let facts = &mut scratch.machine.facts;
    facts.asked();
    if needed & needs::TIME != 0 {
        let wall = maps::wall_clock();
        let now = helpers::atomic_time().wrapping_add_signed(wall.offset);
        facts.time(now, wall.zone);
        facts.cpu(helpers::cpu());
    }
    if needed & needs::OPTIONS != 0 {
        facts.options(packet, &scratch.meta);
    }
    if needed & needs::EXTENSIONS != 0 {
        facts.extensions(packet, &scratch.meta);
    }
}

/// Notes what the routing tables say of one of a packet's addresses: its `kind`, and the `way` to it.
#[inline(always)]
pub(crate) fn fib<P: Frame>(
    packet: &P,
    scratch: &mut Scratch,
    end: Side,
    (kind, way): (bool, bool),
) {
    let Scratch {
        meta,
        machine,
        way: room,
        ..
    } = scratch;
    let facts = &mut machine.facts;
    let local = maps::local(meta.family, end.of(meta));
    let answer = if Facts::fib_needs_route(meta, end, local, way) {
        route::ask_of(packet, meta, room, end)
    } else {
        Answer::NotAsked
    };
    if kind {
        facts.fib_type(meta, end, local, answer);
    }
    if way && let Some(index) = facts.fib_way(meta, end, local, answer) {
        facts.fib_by(end, index, local, ruleset::link(index, 0));
    }
}
