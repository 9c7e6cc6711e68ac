//! Telling listeners what happened to a flow.

use aya_ebpf::helpers::generated::bpf_ktime_get_ns;
use fw_common::abi::{Counter, Edit, Event, Flow, Key4, Key6, UNLOCKED};
use fw_common::flow::FlowKey;

use super::maps::{self, EVENTS};

/// [`Event::kind`], [`Event::changed`] and [`Event::cause`] of one event.
#[derive(Clone, Copy)]
pub(crate) struct What {
    pub(crate) kind: u8,
    pub(crate) changed: u8,
    pub(crate) cause: u8,
}

impl What {
    const fn pack(self) -> u32 {
        u32::from_le_bytes([self.kind, self.changed, self.cause, 0])
    }

    const fn unpack(packed: u32) -> Self {
        let [kind, changed, cause, _] = packed.to_le_bytes();
        Self {
            kind,
            changed,
            cause,
        }
    }
}

/// Keys whose flows can be reported.
pub(crate) trait Report: FlowKey {
    /// Tells listeners that `what` happened to `flow` at tick `now`, because of `edit` if somebody
    /// asked for it. The caller has made sure that there are any, and that nobody else changes `flow`.
    fn report(&self, flow: &Flow, what: What, now: u64, edit: Option<&Edit>);
}

// Global functions, see [`super::subprogram`]: the way to the flow and what becomes of it are long, and
// few packets report anything.
macro_rules! report {
    ($key:ty, $name:ident, $wide:expr) => {
        #[unsafe(no_mangle)]
        #[inline(never)]
        extern "C" fn $name(
            key: *const $key,
            flow: *const Flow,
            what: u32,
            now: u64,
            edit: *const Edit,
        ) -> u64 {
            // SAFETY: the verifier makes callers pass null or valid memory of the type's size; of the
            // flow and the edit the callers promise that nobody writes to them.
            let (key, flow, edit) = unsafe { (key.as_ref(), flow.as_ref(), edit.as_ref()) };
            let (Some(key), Some(flow)) = (key, flow) else {
                return 0;
            };
            let wide: fn(&$key) -> Key6 = $wide;
            write(
                <$key>::FAMILY as u8,
                &wide(key),
                flow,
                What::unpack(what),
                now,
                edit,
            );
            0
        }

        impl Report for $key {
            #[inline(always)]
            fn report(&self, flow: &Flow, what: What, now: u64, edit: Option<&Edit>) {
                let edit = edit.map_or(core::ptr::null(), core::ptr::from_ref);
                $name(self, flow, what.pack(), now, edit);
            }
        }
    };
}

report!(Key4, fw_report4, Key4::wide);
report!(Key6, fw_report6, |key| *key);

#[inline(always)]
fn write(family: u8, key: &Key6, flow: &Flow, what: What, now: u64, edit: Option<&Edit>) {
    let Some(mut entry) = EVENTS.reserve_untyped::<Event>(0) else {
        maps::count(Counter::EVENTS_LOST);
        return;
    };
    let event = entry.as_mut_ptr();
    // SAFETY: the reservation has room for an `Event`, aligned to eight bytes, and every field is
    // written before it is submitted.
    unsafe {
        (&raw mut (*event).now).write(now);
        (&raw mut (*event).at).write(bpf_ktime_get_ns());
        (&raw mut (*event).kind).write(what.kind);
        (&raw mut (*event).changed).write(what.changed);
        (&raw mut (*event).family).write(family);
        (&raw mut (*event).cause).write(what.cause);
        (&raw mut (*event).key).write(*key);
        let (pid, comm) = edit.map_or((0, [0; 16]), |edit| (edit.pid, edit.comm));
        (&raw mut (*event).pid).write(pid);
        (&raw mut (*event).comm).write(comm);
        maps::copy(&mut (*event).flow, flow);
        // It is the entry's lock, not the listener's.
        (&raw mut (*event).flow.lock).write(UNLOCKED);
    }
    entry.submit(0);
    maps::count(Counter::EVENTS);
}
