//! What is in a set now, and changes to it by hand.

use std::io;

use aya::maps::MapError;
use aya::maps::lpm_trie::Key;
use fw_common::abi::{Element, maps};
use fw_common::ruleset::SetKind;

use super::sets::{Exact, Prefix, Wide, element, four, slot};
use super::{MapsError, RulesetMaps, failed};
use crate::clock::TickClock;
use crate::rules::compile::{CompiledSet, SetEntry};

/// A change that is not possible.
#[derive(Debug, thiserror::Error)]
pub enum ChangeError {
    /// There is no more room.
    #[error("it is full: there is room for {0} elements; say `size` in its definition")]
    Full(u32),
    /// Nothing was removed.
    #[error("element {0} is not in it")]
    Missing(usize),
    /// The maps.
    #[error("{}", crate::error::chain(.0))]
    Maps(#[from] MapsError),
}

/// The inner map of one set.
enum Inner {
    Exact(Exact),
    Wide(Wide),
    Prefix(Prefix),
}

/// Key and length of an element in its map.
fn prefix_key(entry: &SetEntry) -> Key<[u32; 4]> {
    Key::new(entry.length, four(&entry.key).map(u32::to_be))
}

impl Inner {
    const fn name(&self) -> &'static str {
        match self {
            Self::Exact(_) => maps::SETS_EXACT,
            Self::Wide(_) => maps::SETS_WIDE,
            Self::Prefix(_) => maps::SETS_PREFIX,
        }
    }

    fn get(&self, entry: &SetEntry) -> Result<Option<Element>, MapsError> {
        let found = match self {
            Self::Exact(map) => map.get(&four(&entry.key), 0),
            Self::Wide(map) => map.get(&entry.key, 0),
            // A look-up finds the longest prefix that the address is in, be it another one: an element
            // that is there is written anew.
            Self::Prefix(_) => return Ok(None),
        };
        absent(found).map_err(failed(self.name()))
    }

    fn insert(&mut self, entry: &SetEntry, value: Element) -> Result<(), MapError> {
        match self {
            Self::Exact(map) => map.insert(four(&entry.key), value, 0),
            Self::Wide(map) => map.insert(entry.key, value, 0),
            Self::Prefix(map) => map.insert(&prefix_key(entry), value, 0),
        }
    }

    /// Whether it was there.
    fn remove(&mut self, entry: &SetEntry) -> Result<bool, MapsError> {
        let removed = match self {
            Self::Exact(map) => map.remove(&four(&entry.key)),
            Self::Wide(map) => map.remove(&entry.key),
            Self::Prefix(map) => map.remove(&prefix_key(entry)),
        };
        let removed = absent(removed).map_err(failed(self.name()))?;
        Ok(removed.is_some())
    }

    fn all(&self) -> Result<Vec<(SetEntry, Element)>, MapsError> {
        let failed = failed(self.name());
        match self {
            Self::Exact(map) => {
                let all = map
                    .iter()
                    .map(|item| item.map(|(key, value)| read(&key, 0, value)));
                all.collect::<Result<_, _>>().map_err(failed)
            }
            Self::Wide(map) => {
                let all = map
                    .iter()
                    .map(|item| item.map(|(key, value)| read(&key, 0, value)));
                all.collect::<Result<_, _>>().map_err(failed)
            }
            Self::Prefix(map) => {
                let all = map.iter().map(|item| {
                    item.map(|(key, value)| {
                        let words = key.data().map(u32::from_be);
                        read(&words, key.prefix_len(), value)
                    })
                });
                all.collect::<Result<_, _>>().map_err(failed)
            }
        }
    }
}

fn read(words: &[u32], length: u32, value: Element) -> (SetEntry, Element) {
    let mut key = [0; 16];
    for (to, from) in key.iter_mut().zip(words) {
        *to = *from;
    }
    let entry = SetEntry {
        key,
        length,
        data: value.data,
        timeout: None,
        expires: None,
        counted: (value.tally.packets, value.tally.bytes),
    };
    (entry, value)
}

/// What is not there is no failure.
fn absent<T>(result: Result<T, MapError>) -> Result<Option<T>, MapError> {
    match result {
        Ok(found) => Ok(Some(found)),
        Err(MapError::KeyNotFound) => Ok(None),
        Err(error) if super::super::io_kind(&error) == Some(io::ErrorKind::NotFound) => Ok(None),
        Err(error) => Err(error),
    }
}

impl RulesetMaps {
    /// The elements of the set at position `at` of the ruleset in force, as far as they live.
    ///
    /// # Errors
    /// A map can't be read.
    pub fn entries(
        &self,
        at: usize,
        set: &CompiledSet,
        clock: &TickClock,
    ) -> Result<Vec<SetEntry>, MapsError> {
        let now = clock.now();
        let ticks = |ticks: u64| clock.elapsed(0, ticks);
        let all = self.inner(at, set.kind)?.all()?;
        let living = all
            .into_iter()
            .filter(|(_, value)| value.expires == 0 || value.expires > now);
        Ok(living
            .map(|(entry, value)| SetEntry {
                timeout: (value.timeout != 0).then(|| ticks(value.timeout)),
                expires: (value.expires != 0).then(|| clock.elapsed(now, value.expires)),
                ..entry
            })
            .collect())
    }

    /// Adds elements: all of them or none. One that is there stays as it is.
    ///
    /// # Errors
    /// See [`ChangeError`].
    pub fn add_entries(
        &mut self,
        at: usize,
        set: &CompiledSet,
        entries: &[SetEntry],
        clock: &TickClock,
    ) -> Result<(), ChangeError> {
        let mut inner = self.inner(at, set.kind)?;
        let mut added = Vec::new();
        for entry in entries {
            if self.lives(&inner, entry, clock)? {
                continue;
            }
            let fresh = element(entry, clock.now(), clock.hz());
            if let Err(error) = inner.insert(entry, fresh) {
                for entry in added {
                    inner.remove(entry)?;
                }
                return Err(refused(error, inner.name(), set.size));
            }
            added.push(entry);
        }
        self.renew()?;
        Ok(())
    }

    fn lives(&self, inner: &Inner, entry: &SetEntry, clock: &TickClock) -> Result<bool, MapsError> {
        let found = inner.get(entry)?;
        Ok(found.is_some_and(|value| value.expires == 0 || value.expires > clock.now()))
    }

    /// Removes elements.
    ///
    /// # Errors
    /// [`ChangeError::Missing`]: those before it are removed.
    pub fn remove_entries(
        &mut self,
        at: usize,
        set: &CompiledSet,
        entries: &[SetEntry],
    ) -> Result<(), ChangeError> {
        let mut inner = self.inner(at, set.kind)?;
        let mut result = Ok(());
        for (position, entry) in entries.iter().enumerate() {
            if !inner.remove(entry)? {
                result = Err(ChangeError::Missing(position));
                break;
            }
        }
        self.renew()?;
        result
    }

    /// Replaces all elements at once.
    ///
    /// # Errors
    /// See [`ChangeError`].
    pub fn replace_entries(
        &mut self,
        at: usize,
        set: &CompiledSet,
        entries: Vec<SetEntry>,
        clock: &TickClock,
    ) -> Result<(), ChangeError> {
        if entries.len() > set.size as usize {
            return Err(ChangeError::Full(set.size));
        }
        let bank = self.active()?.bank();
        let fresh = CompiledSet {
            entries,
            ..set.clone()
        };
        self.sets
            .make(&fresh, slot(bank, at), clock.now(), clock.hz())?;
        self.renew()?;
        Ok(())
    }

    fn inner(&self, at: usize, kind: SetKind) -> Result<Inner, MapsError> {
        let slot = slot(self.active()?.bank(), at);
        Ok(match kind {
            SetKind::Exact => Inner::Exact(self.sets.exact(slot)?),
            SetKind::Wide => Inner::Wide(self.sets.wide(slot)?),
            SetKind::Prefix => Inner::Prefix(self.sets.prefix(slot)?),
        })
    }
}

fn refused(error: MapError, name: &'static str, size: u32) -> ChangeError {
    let code = match &error {
        MapError::SyscallError(call) => call.io_error.raw_os_error(),
        _ => None,
    };
    match code {
        Some(libc::E2BIG | libc::ENOSPC) => ChangeError::Full(size),
        _ => ChangeError::Maps(failed(name)(error)),
    }
}
