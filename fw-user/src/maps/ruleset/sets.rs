//! Sets: maps in maps, one slot a set.

use std::os::fd::{AsFd as _, OwnedFd};

use aya::maps::of_maps::ArrayOfMaps;
use aya::maps::{Map, MapData, MapError};
use fw_common::abi::{SET_SLOTS, maps};
use fw_common::ruleset::{Insn, SetKind};

use super::inner::{Exact, Inner, Prefix, Wide, name};
use super::{MapsError, failed, names_set, typed};
use crate::rules::compile::CompiledSet;
use crate::sys::batch::place_maps;

/// Sets of a bank; the last slot of the second bank is for waiting.
const BANK: u32 = SET_SLOTS / 2;

/// Every kind, in the order of its number.
const KINDS: [SetKind; 3] = [SetKind::Exact, SetKind::Wide, SetKind::Prefix];

/// The outer maps.
#[derive(Debug)]
pub(super) struct Sets {
    exact: ArrayOfMaps<MapData, Exact>,
    wide: ArrayOfMaps<MapData, Wide>,
    prefix: ArrayOfMaps<MapData, Prefix>,
    /// The same three, by the number of the kind.
    outer: [OwnedFd; 3],
    /// Slots of each bank that hold a set: kind and slot.
    used: [Vec<(SetKind, u32)>; 2],
}

impl Sets {
    pub(super) fn new(
        map: &mut impl FnMut(&'static str) -> Result<Map, MapsError>,
    ) -> Result<Self, MapsError> {
        let mut descriptor = |kind| {
            let name = name(kind);
            let Map::ArrayOfMaps(data) = map(name)? else {
                return Err(failed(name)(MapError::InvalidMapType { map_type: 0 }));
            };
            let fd = data.fd().as_fd().try_clone_to_owned();
            fd.map_err(|source| MapsError::Io { name, source })
        };
        let outer = [
            descriptor(SetKind::Exact)?,
            descriptor(SetKind::Wide)?,
            descriptor(SetKind::Prefix)?,
        ];
        Ok(Self {
            exact: typed(maps::SETS_EXACT, map(maps::SETS_EXACT)?)?,
            wide: typed(maps::SETS_WIDE, map(maps::SETS_WIDE)?)?,
            prefix: typed(maps::SETS_PREFIX, map(maps::SETS_PREFIX)?)?,
            outer,
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
        let mut made = Vec::new();
        for (slot, set) in (bank * BANK..).zip(sets) {
            self.used[bank as usize & 1].push((set.kind, slot));
            made.push((slot, make(set, now, hz)?));
        }
        self.place(&made)
    }

    /// Takes over the sets of a bank that an earlier process has made.
    pub(super) fn adopt(&mut self, sets: &[CompiledSet], bank: u32) {
        let slots = (bank * BANK..).zip(sets);
        self.used[bank as usize & 1] = slots.map(|(slot, set)| (set.kind, slot)).collect();
    }

    /// The map in a slot.
    pub(super) fn get(&self, kind: SetKind, slot: u32) -> Result<Inner, MapsError> {
        let found = match kind {
            SetKind::Exact => self.exact.get(&slot, 0).map(Inner::Exact),
            SetKind::Wide => self.wide.get(&slot, 0).map(Inner::Wide),
            SetKind::Prefix => self.prefix.get(&slot, 0).map(Inner::Prefix),
        };
        found.map_err(failed(name(kind)))
    }

    /// Makes one set; what was in its slot is gone at once.
    pub(super) fn make(
        &mut self,
        set: &CompiledSet,
        slot: u32,
        now: u64,
        hz: u32,
    ) -> Result<(), MapsError> {
        self.place(&[(slot, make(set, now, hz)?)])
    }

    /// Puts maps into their slots, with one call for each outer map: after each the kernel waits for all
    /// running programs.
    fn place(&self, made: &[(u32, Inner)]) -> Result<(), MapsError> {
        for kind in KINDS {
            let these = made.iter().filter(|(_, inner)| inner.kind() == kind);
            let these: Vec<_> = these.map(|(slot, inner)| (*slot, inner.fd())).collect();
            let outer = self.outer[kind as usize].as_fd();
            place_maps(outer, &these).map_err(|source| MapsError::Io {
                name: name(kind),
                source,
            })?;
        }
        Ok(())
    }

    /// Gives back the memory of the sets of a bank that no packet sees.
    pub(super) fn clear(&mut self, bank: u32) -> Result<(), MapsError> {
        let used = std::mem::take(&mut self.used[bank as usize & 1]);
        let empty: Result<Vec<_>, MapsError> = used
            .into_iter()
            .map(|(kind, slot)| Ok((slot, Inner::create(kind, 1)?)))
            .collect();
        self.place(&empty?)
    }

    /// Returns when every program that runs now has ended: the kernel waits for that whenever a map in a
    /// map is replaced (`maybe_wait_bpf_programs`).
    pub(super) fn wait_for_programs(&mut self) -> Result<(), MapsError> {
        let failed = failed(maps::SETS_EXACT);
        let Inner::Exact(map) = Inner::create(SetKind::Exact, 1)? else {
            return Ok(());
        };
        // A single update: before Linux 6.8 the kernel does not wait after a batch.
        self.exact.set(SET_SLOTS - 1, &map, 0).map_err(failed)
    }
}

/// A map with the elements of a set.
fn make(set: &CompiledSet, now: u64, hz: u32) -> Result<Inner, MapsError> {
    let mut made = Inner::create(set.kind, set.size)?;
    made.fill(&set.entries, now, hz)
        .map_err(|source| MapsError::Io {
            name: name(set.kind),
            source,
        })?;
    Ok(made)
}

/// Slot of the set at position `at` of the ruleset in a bank.
pub(super) fn slot(bank: u32, at: usize) -> u32 {
    bank * BANK + u32::try_from(at).unwrap_or(u32::MAX) % BANK
}
