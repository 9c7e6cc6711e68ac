//! Sets and maps of the compiled ruleset: look-ups, and what rules change in them.

use aya_ebpf::bindings::{BPF_ANY, BPF_F_NO_PREALLOC};
use aya_ebpf::btf_maps::{ArrayOfMaps, HashMap, LpmTrie, lpm_trie};
use aya_ebpf::macros::btf_map;
use fw_common::abi::{Element, METER_SLOTS, SET_SLOTS, Tally, touch};
use fw_common::ruleset::{Facts, Insn, SetKind, field};

use super::atomic;
use super::ruleset::{RATES, Shared, slot, take};

type Exact = HashMap<[u32; 4], Element, 1, { BPF_F_NO_PREALLOC as usize }>;
type Wide = HashMap<[u32; 16], Element, 1, { BPF_F_NO_PREALLOC as usize }>;
type Prefix = LpmTrie<[u32; 4], Element, 1, { BPF_F_NO_PREALLOC as usize }>;

#[btf_map]
static SETS_EXACT: ArrayOfMaps<Exact, { SET_SLOTS as usize }> = ArrayOfMaps::new();
#[btf_map]
static SETS_WIDE: ArrayOfMaps<Wide, { SET_SLOTS as usize }> = ArrayOfMaps::new();
#[btf_map]
static SETS_PREFIX: ArrayOfMaps<Prefix, { SET_SLOTS as usize }> = ArrayOfMaps::new();

const EXACT: u32 = SetKind::Exact as u32;
const WIDE: u32 = SetKind::Wide as u32;

/// [`fw_common::ruleset::op::UPDATE`]: an element that is there lives anew.
pub(super) const UPDATE: u32 = 1;
/// Likewise: the element is removed.
pub(super) const DELETE: u32 = 2;

#[inline(always)]
fn exact(facts: &Facts) -> &[u32; 4] {
    // SAFETY: the registers are sixteen words.
    unsafe { &*facts.registers().as_ptr().cast() }
}

#[inline(always)]
fn wide(facts: &Facts) -> &[u32; 16] {
    // SAFETY: the registers are sixteen words.
    unsafe { &*facts.registers().as_ptr().cast() }
}

/// The registers, and the length in the word before them.
#[inline(always)]
fn prefix(facts: &Facts) -> &lpm_trie::Key<[u32; 4]> {
    // SAFETY: `field::PREFIX` is the word before the registers, which are sixteen words.
    unsafe { &*facts.registers().as_ptr().sub(1).cast() }
}

impl Shared {
    /// The element of the registers, if it is there and has not expired.
    #[inline(always)]
    pub(super) fn look_up(&self, insn: &Insn, facts: &Facts) -> Option<*mut Element> {
        let set = insn.a[0];
        let element: *mut Element = match insn.a[1] {
            EXACT => SETS_EXACT.get(set)?.get_ptr_mut(exact(facts))?,
            WIDE => SETS_WIDE.get(set)?.get_ptr_mut(wide(facts))?,
            _ => core::ptr::from_ref(SETS_PREFIX.get(set)?.get(prefix(facts))?).cast_mut(),
        };
        // SAFETY: an element from a look-up stays readable and writable while the program runs.
        let expires = unsafe { (&raw const (*element).expires).read_volatile() };
        (expires == 0 || expires > self.now).then_some(element)
    }

    /// Does to an element what `what` ([`touch`]) says; false if that does not match.
    #[inline(always)]
    pub(super) fn touch(
        &self,
        element: *mut Element,
        insn: &Insn,
        what: u32,
        facts: &Facts,
    ) -> bool {
        let bytes = facts.get(field::LENGTH);
        if what & touch::COUNT != 0 {
            // SAFETY: see `look_up`; aligned words that every CPU adds to atomically.
            unsafe {
                atomic::add(&raw mut (*element).tally.packets, 1);
                atomic::add(&raw mut (*element).tally.bytes, u64::from(bytes));
            }
        }
        if what & (touch::LIMIT | touch::QUOTA) == 0 {
            return true;
        }
        // SAFETY: see `look_up`.
        let meter = unsafe { &raw mut (*element).meter };
        let within = if what & touch::LIMIT != 0 {
            match RATES.get(slot(self.active, insn.b[2], METER_SLOTS)) {
                Some(rate) => take(meter, rate, bytes),
                None => false,
            }
        } else {
            // SAFETY: an aligned word of a map element.
            let before = unsafe { atomic::fetch_add(meter, u64::from(bytes)) };
            let most = u64::from(insn.b[2]) << 32 | u64::from(insn.b[3]);
            before.wrapping_add(u64::from(bytes)) <= most
        };
        within != (what & touch::OVER != 0)
    }

    /// Adds an element, or finds it; `refresh`: it lives anew.
    #[inline(always)]
    pub(super) fn put(&self, insn: &Insn, facts: &Facts, refresh: bool) -> bool {
        let element = match self.look_up(insn, facts) {
            Some(element) => {
                // SAFETY: see `look_up`.
                let timeout = unsafe { (*element).timeout };
                if refresh && timeout != 0 {
                    // SAFETY: an aligned word, written whole.
                    unsafe {
                        (&raw mut (*element).expires)
                            .write_volatile(self.now.wrapping_add(timeout));
                    }
                }
                Some(element)
            }
            None => self.insert(insn, facts),
        };
        element.is_some_and(|element| self.touch(element, insn, insn.a[3], facts))
    }

    #[inline(always)]
    fn insert(&self, insn: &Insn, facts: &Facts) -> Option<*mut Element> {
        let timeout = u64::from(insn.b[0]) << 32 | u64::from(insn.b[1]);
        let expires = if timeout == 0 {
            0
        } else {
            self.now.wrapping_add(timeout)
        };
        let fresh = Element {
            expires,
            timeout,
            data: if insn.field == 0 {
                [0; 4]
            } else {
                facts.four(insn.field)
            },
            tally: Tally {
                packets: 0,
                bytes: 0,
            },
            meter: 0,
        };
        let set = insn.a[0];
        // An expired element may be in its place: it is replaced.
        if insn.a[1] == EXACT {
            let map = SETS_EXACT.get(set)?;
            map.insert(exact(facts), fresh, u64::from(BPF_ANY)).ok()?;
            map.get_ptr_mut(exact(facts))
        } else {
            let map = SETS_WIDE.get(set)?;
            map.insert(wide(facts), fresh, u64::from(BPF_ANY)).ok()?;
            map.get_ptr_mut(wide(facts))
        }
    }

    #[inline(always)]
    pub(super) fn delete(&self, insn: &Insn, facts: &Facts) -> bool {
        let set = insn.a[0];
        let removed = if insn.a[1] == EXACT {
            SETS_EXACT.get(set).map(|map| map.remove(exact(facts)))
        } else {
            SETS_WIDE.get(set).map(|map| map.remove(wide(facts)))
        };
        matches!(removed, Some(Ok(())))
    }
}
