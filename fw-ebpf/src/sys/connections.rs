//! `ct count`: the connections of a list, in slots of a map.

use core::ffi::c_void;

use aya_ebpf::bindings::BPF_ANY;
use aya_ebpf::btf_maps::HashMap;
use aya_ebpf::helpers::generated::bpf_loop;
use aya_ebpf::macros::btf_map;
use fw_common::abi::{Active, Member, MemberKey, maps};
use fw_common::ruleset::connections::{MAX_SLOTS, is_closed, list, may_come};
use fw_common::ruleset::field;
use fw_common::status;
use fw_common::wire::Family;

use super::entry::Table;
use super::scratch::Scratch;
use super::{helpers, ruleset};

/// Connections that were counted. None is forgotten while it lives: a limit would be open then. The sweep
/// frees those that have ended, from the ends of lists.
#[btf_map]
static MEMBERS: HashMap<MemberKey, Member, { maps::MEMBERS_SLOTS as usize }> = HashMap::new();

/// No slot.
const NONE: u32 = u32::MAX;

/// What is known after some slots of a list.
#[repr(C)]
struct Search {
    key: MemberKey,
    now: u64,
    /// Connections that live.
    live: u32,
    /// The first slot that is free.
    free: u32,
}

/// Looks at one slot. A callback of `bpf_loop`: the verifier follows it once, not once a turn.
unsafe extern "C" fn look(slot: u64, search: *mut Search) -> i64 {
    // SAFETY: `bpf_loop` hands on what `fw_connections` gave it.
    let search = unsafe { &mut *search };
    search.key.slot = slot as u32;
    let key = &search.key;
    let Some(member) = MEMBERS.get_ptr_mut(key) else {
        // There are none behind it.
        if search.free == NONE {
            search.free = slot as u32;
        }
        return 1;
    };
    // SAFETY: an element from a look-up stays readable while the program runs; at worst the sweep has freed
    // it, and it has become another connection's, which lives or does not.
    let member = unsafe { &*member };
    if !lives(member, search.now) {
        if search.free == NONE {
            search.free = slot as u32;
        }
        return 0;
    }
    search.live = search.live.wrapping_add(1);
    0
}

/// Whether a connection that was counted is still one.
#[inline(always)]
fn lives(member: &Member, now: u64) -> bool {
    if member.v6 == 0 {
        has_entry(&member.key4, member, (member.key4.proto, now))
    } else {
        has_entry(&member.key6, member, (member.key6.proto, now))
    }
}

#[inline(always)]
fn has_entry<K: Table>(key: &K, member: &Member, (protocol, now): (u8, u64)) -> bool {
    match key.find().and_then(|entry| entry.glimpse(key.tag())) {
        Some(seen) if seen.id == member.id => {
            seen.deadline > now && !is_closed(protocol, seen.state)
        }
        Some(_) => false,
        None => may_come(member.cpu, helpers::cpu(), now.wrapping_sub(member.since)),
    }
}

/// How many connections are in a list, with that which the packet begins; beyond 32 bits if there is no room for it.
/// `number` and `words`: see [`list`].
#[unsafe(no_mangle)]
#[inline(never)]
extern "C" fn fw_connections(scratch: *mut Scratch, number: u32, words: u32) -> u64 {
    let Some(scratch) = Scratch::again(scratch) else {
        return u64::MAX;
    };
    let ruleset = ruleset::head(Active(scratch.job.rules))
        .map_or((0, 0), |head| (head.generation, head.secret));
    let facts = &scratch.machine.facts;
    // A known connection was counted when it began, or will never be (`nf_conncount_add_skb`).
    let is_known = facts.get(field::CT_STATUS) & status::CONFIRMED != 0;
    let is_tracked = scratch.job.leg != 0;
    let mut search = Search {
        key: MemberKey {
            list: list(ruleset, number, facts.registers(), words),
            slot: 0,
            pad: 0,
        },
        now: scratch.job.now,
        live: 0,
        free: NONE,
    };
    // SAFETY: the callback takes what it is given here, and both live through the call.
    unsafe { bpf_loop(MAX_SLOTS, look as *mut c_void, (&raw mut search).cast(), 0) };
    if is_tracked && is_known {
        return u64::from(search.live);
    }
    if search.free == NONE {
        return u64::MAX;
    }
    // What is not tracked is counted, but is no connection.
    search.key.slot = search.free;
    if is_tracked && !join(scratch, &search) {
        return u64::MAX;
    }
    u64::from(search.live) + 1
}

/// Counts the packet's connection from now on; false if there is no room for it.
#[inline(always)]
fn join(scratch: &mut Scratch, search: &Search) -> bool {
    let (key, member) = (&search.key, &mut scratch.member);
    member.v6 = u32::from(matches!(scratch.meta.family, Family::V6));
    member.key4 = scratch.place4.key;
    member.key6 = scratch.place6.key;
    member.since = search.now;
    member.id = scratch.machine.facts.get(field::CT_ID);
    member.cpu = helpers::cpu();
    let member: &Member = member;
    MEMBERS.insert(key, member, u64::from(BPF_ANY)).is_ok()
}

/// [`fw_connections`], for the packet that `scratch` describes.
#[inline(always)]
pub(super) fn count(scratch: *mut Scratch, number: u32, words: u32) -> Option<u32> {
    u32::try_from(fw_connections(scratch, number, words)).ok()
}
