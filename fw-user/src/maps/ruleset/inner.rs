//! The map that holds one set.

use std::io;
use std::os::fd::{AsFd as _, BorrowedFd};

use aya::Pod;
use aya::maps::lpm_trie::Key;
use aya::maps::{HashMap, IterableMap as _, LpmTrie, Map, MapData, MapError};
use aya_obj::generated::{BPF_ANY, BPF_F_NO_PREALLOC, BPF_NOEXIST, bpf_map_type};
use fw_common::abi::{Element, Tally, maps};
use fw_common::ruleset::SetKind;

use super::{MapsError, failed};
use crate::rules::compile::SetEntry;
use crate::sys::batch::insert_many;
use crate::sys::typed;

pub(super) type Exact = HashMap<MapData, [u32; 4], Element>;
pub(super) type Wide = HashMap<MapData, [u32; 16], Element>;
pub(super) type Prefix = LpmTrie<MapData, [u32; 4], Element>;

const HASH: bpf_map_type = bpf_map_type::BPF_MAP_TYPE_HASH;
const TRIE: bpf_map_type = bpf_map_type::BPF_MAP_TYPE_LPM_TRIE;

/// Elements that are written with one system call: with a thousand, a call's price is below a hundredth of
/// what the elements themselves cost.
const CHUNK: usize = 1024;

/// The map of one set.
#[derive(Debug)]
pub(super) enum Inner {
    Exact(Exact),
    Wide(Wide),
    Prefix(Prefix),
}

/// The name of the outer map of this kind.
pub(super) const fn name(kind: SetKind) -> &'static str {
    match kind {
        SetKind::Exact => maps::SETS_EXACT,
        SetKind::Wide => maps::SETS_WIDE,
        SetKind::Prefix => maps::SETS_PREFIX,
    }
}

impl Inner {
    /// An empty map with room for `size` elements. Memory is taken as elements come.
    pub(super) fn create(kind: SetKind, size: u32) -> Result<Self, MapsError> {
        let made = match kind {
            SetKind::Exact => made::<[u32; 4], _>(HASH, size).map(Self::Exact),
            SetKind::Wide => made::<[u32; 16], _>(HASH, size).map(Self::Wide),
            SetKind::Prefix => made::<Key<[u32; 4]>, _>(TRIE, size).map(Self::Prefix),
        };
        made.map_err(failed(name(kind)))
    }

    pub(super) const fn kind(&self) -> SetKind {
        match self {
            Self::Exact(_) => SetKind::Exact,
            Self::Wide(_) => SetKind::Wide,
            Self::Prefix(_) => SetKind::Prefix,
        }
    }

    pub(super) const fn name(&self) -> &'static str {
        name(self.kind())
    }

    pub(super) fn fd(&self) -> BorrowedFd<'_> {
        self.data().fd().as_fd()
    }

    /// The kernel's number of this map, which no other has or will have for long.
    pub(super) fn id(&self) -> Result<u32, MapsError> {
        let info = self.data().info().map_err(failed(self.name()))?;
        Ok(info.id())
    }

    fn data(&self) -> &MapData {
        match self {
            Self::Exact(map) => map.map(),
            Self::Wide(map) => map.map(),
            Self::Prefix(map) => map.map(),
        }
    }

    /// Adds elements of which none is there, many with one call.
    pub(super) fn fill(&mut self, entries: &[SetEntry], now: u64, hz: u32) -> io::Result<()> {
        let mut values = Vec::with_capacity(CHUNK.min(entries.len()));
        for chunk in entries.chunks(CHUNK) {
            values.clear();
            values.extend(chunk.iter().map(|entry| element(entry, now, hz)));
            match self {
                Self::Exact(map) => {
                    let keys: Vec<_> = chunk.iter().map(|entry| four(&entry.key)).collect();
                    insert_many(map.map(), &keys, &values)?;
                }
                Self::Wide(map) => {
                    let keys: Vec<_> = chunk.iter().map(|entry| entry.key).collect();
                    insert_many(map.map(), &keys, &values)?;
                }
                Self::Prefix(map) => {
                    let keys: Vec<_> = chunk.iter().map(prefix_key).collect();
                    insert_many(map.map(), &keys, &values)?;
                }
            }
        }
        Ok(())
    }

    /// What a look-up of this key finds: of prefixes the longest that it is in, which is itself if it is there.
    pub(super) fn find(&self, entry: &SetEntry) -> Result<Option<Element>, MapsError> {
        let found = match self {
            Self::Exact(map) => map.get(&four(&entry.key), 0),
            Self::Wide(map) => map.get(&entry.key, 0),
            Self::Prefix(map) => map.get(&prefix_key(entry), 0),
        };
        absent(found).map_err(failed(self.name()))
    }

    pub(super) fn insert(&mut self, entry: &SetEntry, value: Element) -> Result<(), MapError> {
        self.update(entry, value, BPF_ANY)
    }

    /// Adds an element, unless it is there: then `false`, and nothing is changed.
    pub(super) fn insert_new(
        &mut self,
        entry: &SetEntry,
        value: Element,
    ) -> Result<bool, MapError> {
        match self.update(entry, value, BPF_NOEXIST) {
            Err(MapError::SyscallError(call))
                if call.io_error.kind() == io::ErrorKind::AlreadyExists =>
            {
                Ok(false)
            }
            done => done.map(|()| true),
        }
    }

    fn update(&mut self, entry: &SetEntry, value: Element, flags: u32) -> Result<(), MapError> {
        let flags = flags.into();
        match self {
            Self::Exact(map) => map.insert(four(&entry.key), value, flags),
            Self::Wide(map) => map.insert(entry.key, value, flags),
            Self::Prefix(map) => map.insert(&prefix_key(entry), value, flags),
        }
    }

    /// Whether it was there.
    pub(super) fn remove(&mut self, entry: &SetEntry) -> Result<bool, MapsError> {
        let removed = match self {
            Self::Exact(map) => map.remove(&four(&entry.key)),
            Self::Wide(map) => map.remove(&entry.key),
            Self::Prefix(map) => map.remove(&prefix_key(entry)),
        };
        let removed = absent(removed).map_err(failed(self.name()))?;
        Ok(removed.is_some())
    }

    pub(super) fn all(&self) -> Result<Vec<(SetEntry, Element)>, MapsError> {
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

/// A map of this kind with keys of type `K`.
fn made<K: Pod, M: TryFrom<Map, Error = MapError>>(
    kind: bpf_map_type,
    size: u32,
) -> Result<M, MapError> {
    typed::create::<K, Element>(kind, size, BPF_F_NO_PREALLOC)?.try_into()
}

/// Key and length of an element in its map.
fn prefix_key(entry: &SetEntry) -> Key<[u32; 4]> {
    Key::new(entry.length, four(&entry.key).map(u32::to_be))
}

fn four(key: &[u32; 16]) -> [u32; 4] {
    let [a, b, c, d, ..] = *key;
    [a, b, c, d]
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
