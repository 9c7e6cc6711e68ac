//! The flow maps as the sweep needs them.

use std::io;

use aya::Pod;
use aya::maps::{Array, Map, MapData, MapError};
use fw_common::abi::{Counter, Flow, Key4, Key6, maps};

use super::members::{self, Members};
use super::occupancy::{Count, removed};
use super::sources::Sources;
use super::{promoted_slot, removed_slot};
use crate::maps::CounterTable;
use crate::paths::Paths;
use crate::sys::batch::HashTable;

/// Entries in a page: about a megabyte, half a millisecond.
const PAGE: usize = 4096;

/// One flow map.
pub(super) trait Table {
    /// Its keys.
    type Key;

    /// Calls `page` for the map's entries, some at a time, until it returns `true`.
    fn walk(&self, page: impl FnMut(&[Self::Key], &[Flow]) -> io::Result<bool>) -> io::Result<()>;

    /// Removes and returns an entry.
    fn take(&self, key: &Self::Key) -> io::Result<Option<Flow>>;

    /// Inserts an entry, unless another has come into its place.
    fn put_back(&self, key: &Self::Key, flow: &Flow) -> io::Result<()>;
}

impl<K: Pod> Table for HashTable<K, Flow> {
    type Key = K;

    fn walk(&self, mut page: impl FnMut(&[K], &[Flow]) -> io::Result<bool>) -> io::Result<()> {
        let mut pages = self.pages(PAGE);
        while let Some((keys, flows)) = pages.next_page()? {
            if page(keys, flows)? {
                break;
            }
        }
        Ok(())
    }

    fn take(&self, key: &K) -> io::Result<Option<Flow>> {
        Self::take(self, key)
    }

    fn put_back(&self, key: &K, flow: &Flow) -> io::Result<()> {
        self.insert_new(key, flow).map(drop)
    }
}

/// All maps that a sweep touches.
pub(super) struct Maps {
    pub(super) assured4: HashTable<Key4, Flow>,
    pub(super) assured6: HashTable<Key6, Flow>,
    pub(super) embryo4: HashTable<Key4, Flow>,
    pub(super) embryo6: HashTable<Key6, Flow>,
    pub(super) counters: CounterTable,
    pub(super) sources: Sources,
    members: Members,
    occupancy: Array<MapData, u64>,
}

impl Maps {
    /// Opens the pinned maps.
    pub(super) fn open(paths: &Paths) -> io::Result<Self> {
        let occupancy = MapData::from_pin(paths.map(maps::OCCUPANCY)).and_then(Map::from_map_data);
        Ok(Self {
            assured4: open(paths, maps::ASSURED4)?,
            assured6: open(paths, maps::ASSURED6)?,
            embryo4: open(paths, maps::EMBRYO4)?,
            embryo6: open(paths, maps::EMBRYO6)?,
            counters: crate::maps::Maps::find(paths)
                .and_then(|maps| maps.counters())
                .map_err(io::Error::other)?,
            sources: Sources::open(paths)?,
            members: Members::open(paths)?,
            occupancy: occupancy.and_then(Array::try_from).map_err(other)?,
        })
    }

    /// Frees counted connections that have ended by tick `now`; whether there were any.
    pub(super) fn sweep_members(&mut self, now: u64) -> io::Result<bool> {
        let Self {
            assured4,
            assured6,
            embryo4,
            embryo6,
            members,
            ..
        } = self;
        members.sweep(|member| {
            let flow = if member.v6 == 0 {
                find(assured4, embryo4, &member.key4)?
            } else {
                find(assured6, embryo6, &member.key6)?
            };
            Ok(members::is_over(member, flow.as_ref(), now))
        })
    }

    /// Flows of a family (0: IPv4, 1: IPv6) promoted minus flows removed, as the programs count them.
    fn promoted(&self, family: usize) -> io::Result<u64> {
        self.occupancy.get(&promoted_slot(family), 0).map_err(other)
    }

    /// Places that the programs believe to be taken in the map of a family's assured flows.
    pub(super) fn used(&self, family: usize) -> io::Result<u64> {
        let removed = self
            .occupancy
            .get(&removed_slot(family), 0)
            .map_err(other)?;
        Ok(self.promoted(family)?.saturating_sub(removed))
    }

    /// What the programs have counted of a family.
    pub(super) fn count(&self, family: usize) -> io::Result<Count> {
        let promoted = self.counters.total(Counter::PROMOTED);
        Ok(Count {
            there: self.promoted(family)?,
            promoted: promoted.map_err(io::Error::other)?,
        })
    }

    /// Says how many of a family's flows user space has removed, after a walk that began with the count `before` and found
    /// `left` alive.
    pub(super) fn book(&mut self, family: usize, before: Count, left: u64) -> io::Result<()> {
        let count = removed(before, self.count(family)?, left);
        let slot = removed_slot(family);
        self.occupancy.set(slot, count, 0).map_err(other)
    }
}

/// The flow of a key, as the programs find it.
fn find<K: Pod>(
    assured: &HashTable<K, Flow>,
    embryo: &HashTable<K, Flow>,
    key: &K,
) -> io::Result<Option<Flow>> {
    match assured.get(key)? {
        None => embryo.get(key),
        found => Ok(found),
    }
}

fn open<K: Pod>(paths: &Paths, name: &str) -> io::Result<HashTable<K, Flow>> {
    let data = MapData::from_pin(paths.map(name)).map_err(other)?;
    HashTable::new(data).map_err(io::Error::other)
}

fn other(error: MapError) -> io::Error {
    io::Error::other(error)
}
