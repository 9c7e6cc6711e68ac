//! `fw_edit`: a change of one flow that user space asks for, made under the flow's lock. User space
//! cannot take that lock itself, and a whole value written from there would undo what a packet changes
//! at the same time.

use aya_ebpf::programs::XdpContext;
use fw_common::abi::{Edit, Event, Flow, edited};
use fw_common::wire::Family;
use fw_common::{edit, track::changed};

use crate::clock;
use crate::events::{self, Removal};
use crate::sys::entry::{Lock, Table};
use crate::sys::maps::{self, EditRoom};
use crate::sys::packet;
use crate::sys::report::What;

/// How often an entry that moves under our hands is looked up anew.
const ATTEMPTS: u32 = 3;

/// Does what the packet asks for; one of [`edited`].
pub(crate) fn run(ctx: &XdpContext) -> u32 {
    let Some(EditRoom { edit, key4, flow }) = maps::edit_room() else {
        return edited::BAD;
    };
    if !packet::read_edit(ctx, edit) {
        return edited::BAD;
    }
    if edit.family == Family::V4 as u32 {
        *key4 = edit.key.narrow();
        change(key4, edit, flow)
    } else if edit.family == Family::V6 as u32 {
        change(&edit.key, edit, flow)
    } else {
        edited::BAD
    }
}

#[inline(always)]
fn change<K: Table>(key: &K, edit: &Edit, room: &mut Flow) -> u32 {
    let mut attempt = 0;
    while attempt < ATTEMPTS {
        attempt += 1;
        if let Some(end) = attempt_change(key, edit, room) {
            return end;
        }
    }
    edited::BUSY
}

/// `None`: the entry moved, try again.
#[inline(always)]
fn attempt_change<K: Table>(key: &K, edit: &Edit, room: &mut Flow) -> Option<u32> {
    let Some(mut entry) = key.find() else {
        return Some(edited::ABSENT);
    };
    match entry.lock(key.tag()) {
        Lock::Taken => {}
        Lock::Gone => return None,
        Lock::Busy => return Some(edited::BUSY),
    }
    if entry.flow().id != edit.id {
        entry.unlock();
        return Some(edited::ABSENT);
    }
    let now = clock::now();
    if edit.op & Edit::REMOVE != 0 {
        let removal = Removal {
            cause: Event::USER,
            edit: Some(edit),
            now,
        };
        let removed = events::remove(key, &mut entry, room, removal);
        return Some(if removed {
            edited::DONE
        } else {
            edited::ABSENT
        });
    }
    edit::apply(entry.flow(), edit, now);
    if maps::is_heard(now) {
        let what = What {
            kind: Event::UPDATE,
            changed: changed::ALL,
            cause: Event::USER,
        };
        key.report(entry.flow(), what, now, Some(edit));
    }
    entry.unlock();
    Some(edited::DONE)
}
