//! The flow table: two maps for each address family, seen as one.

use std::collections::HashSet;
use std::collections::hash_map::RandomState;
use std::hash::{BuildHasher, Hash};
use std::io;

use aya::Pod;
use aya::maps::{Array, Map};
use fw_common::abi::{Config, Counter, Flow, Key4, Key6, MOVED, maps};
use fw_common::flow::FlowKey;
use fw_common::wire::Family;

use super::{Editor, Maps, MapsError, failed};
use crate::clock::TickClock;
use crate::flows::{FlowEntry, Key};
use crate::sys::batch::HashTable;

/// Elements in one page: some hundred kilobytes, so that a walk costs a few system calls and no
/// memory to speak of.
const PAGE: usize = 4096;

/// All flows, of both families, assured or not.
#[derive(Debug)]
pub struct FlowTable {
    v4: Half<Key4>,
    v6: Half<Key6>,
    maps: Maps,
    config: Config,
    clock: TickClock,
}

/// Removes flows so that listeners hear of it, and keeps the occupancy right, by which the programs know
/// how full the assured maps are. What is flushed in one go is accounted for when the remover is done or
/// dropped.
#[derive(Debug)]
pub struct Remover<'a> {
    table: &'a FlowTable,
    editor: Editor,
    /// Entries removed from the assured maps of IPv4 and IPv6.
    assured: [u64; 2],
    /// Entries removed from any map.
    deleted: u64,
}

/// The first slot of `OCCUPANCY` that counts what user space removed.
const REMOVED_SLOT: u32 = maps::OCCUPANCY_SLOTS / 2;

impl Remover<'_> {
    /// Removes one flow; `false` if it had gone already.
    ///
    /// # Errors
    /// [`MapsError`] if it cannot be removed.
    pub fn delete(&mut self, entry: &FlowEntry) -> Result<bool, MapsError> {
        let removed = self.editor.remove(entry)?;
        self.deleted += u64::from(removed);
        Ok(removed)
    }

    /// Removes every flow, expired ones too.
    ///
    /// # Errors
    /// [`MapsError`] if a map cannot be changed.
    pub fn flush(&mut self) -> Result<(), MapsError> {
        let table = self.table;
        if table.maps.lease()?.is_heard(table.clock.now())? {
            // One by one: whole pages are quicker, but go unreported.
            table.visit(None, |entry| self.delete(entry).map(drop))?;
        }
        let halves = [table.v4.flush()?, table.v6.flush()?];
        for (sum, (embryo, assured)) in self.assured.iter_mut().zip(halves) {
            *sum += assured;
            self.deleted += embryo + assured;
        }
        Ok(())
    }

    /// Accounts for what was removed.
    ///
    /// # Errors
    /// [`MapsError`] if a map cannot be changed.
    pub fn finish(mut self) -> Result<(), MapsError> {
        self.account()
    }

    fn account(&mut self) -> Result<(), MapsError> {
        let deleted = std::mem::take(&mut self.deleted);
        if deleted != 0 {
            let mut counters = self.table.maps.counters()?;
            let before = counters.total(Counter::DELETED)?;
            counters.put(Counter::DELETED, before.wrapping_add(deleted))?;
        }
        let counts = std::mem::take(&mut self.assured);
        if counts == [0, 0] {
            return Ok(());
        }
        let failed = failed(maps::OCCUPANCY);
        let map = self.table.maps.data(maps::OCCUPANCY)?;
        let map = Map::from_map_data(map).map_err(&failed)?;
        let mut slots = Array::<_, u64>::try_from(map).map_err(&failed)?;
        for (slot, count) in (REMOVED_SLOT..).zip(counts) {
            let removed = slots.get(&slot, 0).map_err(&failed)?;
            let removed = removed.wrapping_add(count);
            slots.set(slot, removed, 0).map_err(&failed)?;
        }
        Ok(())
    }
}

impl Drop for Remover<'_> {
    fn drop(&mut self) {
        // Cut short by an error that is being reported already.
        let _ = self.account();
    }
}

/// The two maps of one family.
#[derive(Debug)]
struct Half<K> {
    embryo: Named<K>,
    assured: Named<K>,
}

#[derive(Debug)]
struct Named<K> {
    name: &'static str,
    table: HashTable<K, Flow>,
}

impl FlowTable {
    pub(super) fn open(maps: &Maps) -> Result<Self, MapsError> {
        let config = maps.config()?;
        Ok(Self {
            v4: Half::open(maps, maps::EMBRYO4, maps::ASSURED4)?,
            v6: Half::open(maps, maps::EMBRYO6, maps::ASSURED6)?,
            maps: maps.clone(),
            clock: TickClock::new(&config)?,
            config,
        })
    }

    /// The settings as they were when the table was opened.
    #[must_use]
    pub const fn config(&self) -> &Config {
        &self.config
    }

    /// What the entries' ticks mean.
    #[must_use]
    pub const fn clock(&self) -> &TickClock {
        &self.clock
    }

    /// Calls `each` for every live flow of `family` (`None`: of both), in no particular order.
    ///
    /// A flow that is promoted during the walk moves from one map to the other. The embryonic map
    /// is read first, so that no such flow is missed, and what was seen there (eight bytes each) is
    /// remembered, so that none is seen twice.
    ///
    /// # Errors
    /// [`MapsError`] if a map cannot be read; whatever `each` returns.
    pub fn visit<E: From<MapsError>>(
        &self,
        family: Option<Family>,
        mut each: impl FnMut(&FlowEntry) -> Result<(), E>,
    ) -> Result<(), E> {
        if family != Some(Family::V6) {
            self.visit_half(&self.v4, &mut each)?;
        }
        if family != Some(Family::V4) {
            self.visit_half(&self.v6, &mut each)?;
        }
        Ok(())
    }

    /// The live flow with exactly this key.
    ///
    /// # Errors
    /// [`MapsError`] if a map cannot be read.
    pub fn get(&self, key: &Key) -> Result<Option<FlowEntry>, MapsError> {
        match key {
            Key::V4(key) => self.get_in(&self.v4, key),
            Key::V6(key) => self.get_in(&self.v6, key),
        }
    }

    /// The live flow with exactly this key, as it lies in its map.
    ///
    /// # Errors
    /// [`MapsError`] if a map cannot be read.
    pub fn raw(&self, key: &Key) -> Result<Option<Flow>, MapsError> {
        let now = self.clock.now();
        let found = match key {
            Key::V4(key) => self.v4.find(key)?,
            Key::V6(key) => self.v6.find(key)?,
        };
        Ok(found.filter(|flow| flow.deadline > now && flow.lock != MOVED))
    }

    /// What removes flows.
    ///
    /// # Errors
    /// [`MapsError`] if the program that does it is not there.
    pub fn remover(&self) -> Result<Remover<'_>, MapsError> {
        Ok(Remover {
            table: self,
            editor: self.maps.editor()?,
            assured: [0; 2],
            deleted: 0,
        })
    }

    /// What changes flows.
    ///
    /// # Errors
    /// [`MapsError`] if the program that does it is not there.
    pub fn editor(&self) -> Result<Editor, MapsError> {
        self.maps.editor()
    }

    fn visit_half<K, E>(
        &self,
        half: &Half<K>,
        each: &mut impl FnMut(&FlowEntry) -> Result<(), E>,
    ) -> Result<(), E>
    where
        K: FlowKey + Pod + Hash,
        Key: From<K>,
        E: From<MapsError>,
    {
        let hasher = RandomState::new();
        let mut seen = HashSet::new();
        half.embryo.visit(|key, flow| match self.live(key, flow) {
            Some(entry) => {
                seen.insert(hasher.hash_one(key));
                each(&entry)
            }
            None => Ok(()),
        })?;
        half.assured.visit(|key, flow| match self.live(key, flow) {
            Some(entry) if !seen.contains(&hasher.hash_one(key)) => each(&entry),
            _ => Ok(()),
        })
    }

    fn live<K>(&self, key: &K, flow: &Flow) -> Option<FlowEntry>
    where
        K: FlowKey,
        Key: From<K>,
    {
        FlowEntry::live(key, flow, &self.clock, self.clock.now())
    }

    fn get_in<K>(&self, half: &Half<K>, key: &K) -> Result<Option<FlowEntry>, MapsError>
    where
        K: FlowKey + Pod,
        Key: From<K>,
    {
        // The embryonic map first, for the same reason as in `visit`.
        for map in [&half.embryo, &half.assured] {
            let found = map.table.get(key).map_err(map.failed())?;
            let live = found.and_then(|flow| self.live(key, &flow));
            if live.is_some() {
                return Ok(live);
            }
        }
        Ok(None)
    }
}

impl<K: Pod> Half<K> {
    fn open(maps: &Maps, embryo: &'static str, assured: &'static str) -> Result<Self, MapsError> {
        Ok(Self {
            embryo: Named::open(maps, embryo)?,
            assured: Named::open(maps, assured)?,
        })
    }

    /// The embryonic map first, for the same reason as in [`FlowTable::visit`].
    fn find(&self, key: &K) -> Result<Option<Flow>, MapsError> {
        for map in [&self.embryo, &self.assured] {
            let found = map.table.get(key).map_err(map.failed())?;
            if found.is_some_and(|flow| flow.lock != MOVED) {
                return Ok(found);
            }
        }
        Ok(None)
    }

    /// How many embryonic and how many assured entries went.
    fn flush(&self) -> Result<(u64, u64), MapsError> {
        Ok((self.embryo.flush()?, self.assured.flush()?))
    }
}

impl<K: Pod> Named<K> {
    fn open(maps: &Maps, name: &'static str) -> Result<Self, MapsError> {
        let table = maps.hash(name)?;
        Ok(Self { name, table })
    }

    fn failed(&self) -> impl Fn(io::Error) -> MapsError + use<K> {
        let name = self.name;
        move |source| MapsError::Io { name, source }
    }

    /// Every entry, dead or alive.
    fn visit<E: From<MapsError>>(
        &self,
        mut each: impl FnMut(&K, &Flow) -> Result<(), E>,
    ) -> Result<(), E> {
        let mut pages = self.table.pages(PAGE);
        while let Some((keys, flows)) = pages.next_page().map_err(self.failed())? {
            for (key, flow) in keys.iter().zip(flows) {
                each(key, flow)?;
            }
        }
        Ok(())
    }

    fn flush(&self) -> Result<u64, MapsError> {
        let mut removed = 0;
        let mut pages = self.table.pages(PAGE);
        while let Some((keys, _)) = pages.next_page().map_err(self.failed())? {
            removed += self.table.delete_many(keys).map_err(self.failed())? as u64;
        }
        Ok(removed)
    }
}
