//! Sets: maps in maps, one slot a set.

use aya::maps::lpm_trie::Key;
use aya::maps::of_maps::ArrayOfMaps;
use aya::maps::{HashMap, LpmTrie, Map, MapData};
use aya_obj::generated::BPF_F_NO_PREALLOC;
use fw_common::abi::{Element, SET_SLOTS, Tally, maps};
use fw_common::ruleset::{Insn, SetKind};

use super::{MapsError, failed, names_set, typed};
use crate::rules::compile::{CompiledSet, SetEntry};

pub(super) type Exact = HashMap<MapData, [u32; 4], Element>;
pub(super) type Wide = HashMap<MapData, [u32; 16], Element>;
pub(super) type Prefix = LpmTrie<MapData, [u32; 4], Element>;

/// Sets of a bank; the last slot of the second bank is for waiting.
const BANK: u32 = SET_SLOTS / 2;

/// The outer maps.
#[derive(Debug)]
pub(super) struct Sets {
    exact: ArrayOfMaps<MapData, Exact>,
    wide: ArrayOfMaps<MapData, Wide>,
    prefix: ArrayOfMaps<MapData, Prefix>,
    /// Slots of each bank that hold a set: kind and slot.
    used: [Vec<(SetKind, u32)>; 2],
}

impl Sets {
    pub(super) fn new(
        map: &mut impl FnMut(&'static str) -> Result<Map, MapsError>,
    ) -> Result<Self, MapsError> {
        Ok(Self {
            exact: typed(maps::SETS_EXACT, map(maps::SETS_EXACT)?)?,
            wide: typed(maps::SETS_WIDE, map(maps::SETS_WIDE)?)?,
            prefix: typed(maps::SETS_PREFIX, map(maps::SETS_PREFIX)?)?,
            used: [Vec::new(), Vec::new()],
        })
    }

    /// An instruction with its set's slot in the place of the set's position.
    pub(super) fn located(&self, insn: Insn, bank: u32) -> Insn {
        let mut insn = insn;
        if names_set(&insn) {
            insn.a[0] += bank * BANK;
        }
        insn
    }

    /// Makes the sets of a bank that no packet sees.
    pub(super) fn load(
        &mut self,
        sets: &[CompiledSet],
        bank: u32,
        now: u64,
        hz: u32,
    ) -> Result<(), MapsError> {
        for (slot, set) in (bank * BANK..).zip(sets) {
            self.used[bank as usize & 1].push((set.kind, slot));
            self.make(set, slot, now, hz)?;
        }
        Ok(())
    }

    /// Takes over the sets of a bank that an earlier process has made.
    pub(super) fn adopt(&mut self, sets: &[CompiledSet], bank: u32) {
        let slots = (bank * BANK..).zip(sets);
        self.used[bank as usize & 1] = slots.map(|(slot, set)| (set.kind, slot)).collect();
    }

    /// The map in a slot.
    pub(super) fn exact(&self, slot: u32) -> Result<Exact, MapsError> {
        self.exact.get(&slot, 0).map_err(failed(maps::SETS_EXACT))
    }

    /// The map in a slot.
    pub(super) fn wide(&self, slot: u32) -> Result<Wide, MapsError> {
        self.wide.get(&slot, 0).map_err(failed(maps::SETS_WIDE))
    }

    /// The map in a slot.
    pub(super) fn prefix(&self, slot: u32) -> Result<Prefix, MapsError> {
        self.prefix.get(&slot, 0).map_err(failed(maps::SETS_PREFIX))
    }

    /// Makes one set; what was in its slot is gone at once.
    pub(super) fn make(
        &mut self,
        set: &CompiledSet,
        slot: u32,
        now: u64,
        hz: u32,
    ) -> Result<(), MapsError> {
        let entries = set.entries.iter();
        match set.kind {
            SetKind::Exact => {
                let failed = failed(maps::SETS_EXACT);
                let mut map = Exact::create(set.size, BPF_F_NO_PREALLOC).map_err(&failed)?;
                for entry in entries {
                    let key = four(&entry.key);
                    map.insert(key, element(entry, now, hz), 0)
                        .map_err(&failed)?;
                }
                self.exact.set(slot, &map, 0).map_err(failed)
            }
            SetKind::Wide => {
                let failed = failed(maps::SETS_WIDE);
                let mut map = Wide::create(set.size, BPF_F_NO_PREALLOC).map_err(&failed)?;
                for entry in entries {
                    map.insert(entry.key, element(entry, now, hz), 0)
                        .map_err(&failed)?;
                }
                self.wide.set(slot, &map, 0).map_err(failed)
            }
            SetKind::Prefix => {
                let failed = failed(maps::SETS_PREFIX);
                let mut map = Prefix::create(set.size, BPF_F_NO_PREALLOC).map_err(&failed)?;
                for entry in entries {
                    let key = Key::new(entry.length, four(&entry.key).map(u32::to_be));
                    map.insert(&key, element(entry, now, hz), 0)
                        .map_err(&failed)?;
                }
                self.prefix.set(slot, &map, 0).map_err(failed)
            }
        }
    }

    /// Gives back the memory of the sets of a bank that no packet sees.
    pub(super) fn clear(&mut self, bank: u32) -> Result<(), MapsError> {
        for (kind, slot) in std::mem::take(&mut self.used[bank as usize & 1]) {
            self.empty(kind, slot)?;
        }
        Ok(())
    }

    fn empty(&mut self, kind: SetKind, slot: u32) -> Result<(), MapsError> {
        match kind {
            SetKind::Exact => {
                let failed = failed(maps::SETS_EXACT);
                let map = Exact::create(1, BPF_F_NO_PREALLOC).map_err(&failed)?;
                self.exact.set(slot, &map, 0).map_err(failed)
            }
            SetKind::Wide => {
                let failed = failed(maps::SETS_WIDE);
                let map = Wide::create(1, BPF_F_NO_PREALLOC).map_err(&failed)?;
                self.wide.set(slot, &map, 0).map_err(failed)
            }
            SetKind::Prefix => {
                let failed = failed(maps::SETS_PREFIX);
                let map = Prefix::create(1, BPF_F_NO_PREALLOC).map_err(&failed)?;
                self.prefix.set(slot, &map, 0).map_err(failed)
            }
        }
    }

    /// Returns when every program that runs now has ended: the kernel waits for that whenever a map in a
    /// map is replaced (`maybe_wait_bpf_programs`).
    pub(super) fn wait_for_programs(&mut self) -> Result<(), MapsError> {
        self.empty(SetKind::Exact, SET_SLOTS - 1)
    }
}

/// Slot of the set at position `at` of the ruleset in a bank.
pub(super) fn slot(bank: u32, at: usize) -> u32 {
    bank * BANK + u32::try_from(at).unwrap_or(u32::MAX) % BANK
}

pub(super) fn four(key: &[u32; 16]) -> [u32; 4] {
    let [a, b, c, d, ..] = *key;
    [a, b, c, d]
}

/// An element as it stands in its map, from tick `now` on.
pub(super) fn element(entry: &SetEntry, now: u64, hz: u32) -> Element {
    let ticks = |time: std::time::Duration| {
        let ticks = time.as_millis() * u128::from(hz) / 1000;
        u64::try_from(ticks).unwrap_or(u64::MAX)
    };
    let (packets, bytes) = entry.counted;
    Element {
        expires: entry
            .expires
            .map_or(0, |left| now.saturating_add(ticks(left))),
        timeout: entry.timeout.map_or(0, ticks),
        data: entry.data,
        tally: Tally { packets, bytes },
        meter: 0,
    }
}
