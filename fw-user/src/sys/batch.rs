//! Hash maps read and emptied in pages: `BPF_MAP_LOOKUP_BATCH`, `BPF_MAP_DELETE_BATCH`.
//!
//! aya walks a map with two system calls an element, and starts again from the first key whenever
//! the element it stands on is deleted. The batch commands (Linux 5.6) walk by hash bucket: a few
//! system calls for thousands of elements, and no element twice.

use std::io;
use std::marker::PhantomData;
use std::mem::size_of;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};

use aya::Pod;
use aya::maps::{MapData, MapError, MapInfo, MapType};
use aya_obj::generated::{BPF_ANY, BPF_NOEXIST, bpf_attr, bpf_cmd};

use super::call::{no_attributes, run};

/// Room for the kernel's cursor. Hash maps use four bytes of it, other maps a whole key.
const CURSOR_WORDS: usize = 8;

/// What is wrong with a map.
#[derive(Debug, thiserror::Error)]
pub enum LayoutError {
    /// The map is not an ordinary hash map.
    #[error("it is a {0:?} map, not a hash map")]
    Type(MapType),
    /// Keys or values are of another size, in bytes.
    #[error("its keys and values have {found:?} bytes, not {expected:?}")]
    Size {
        /// What the kernel says.
        found: (u32, u32),
        /// What this build expects.
        expected: (usize, usize),
    },
    /// The kernel did not say.
    #[error(transparent)]
    Info(#[from] MapError),
}

/// A hash map (LRU or not) whose key and value sizes are those of `K` and `V`.
///
/// aya compares with the ELF file, not with the map that the pin leads to: the kernel would write
/// *its* value size into our memory.
#[derive(Debug)]
pub struct HashTable<K, V> {
    data: MapData,
    layout: PhantomData<fn() -> (K, V)>,
}

impl<K: Pod, V: Pod> HashTable<K, V> {
    /// Takes a map, if its layout is the expected one.
    ///
    /// # Errors
    /// [`LayoutError`] if it is another kind of map or has other sizes.
    pub fn new(data: MapData) -> Result<Self, LayoutError> {
        let info = data.info()?;
        check(&info, size_of::<K>(), size_of::<V>())?;
        Ok(Self {
            data,
            layout: PhantomData,
        })
    }

    /// The value of `key`, if there is one.
    ///
    /// # Errors
    /// What the kernel says, other than that there is no such key.
    pub fn get(&self, key: &K) -> io::Result<Option<V>> {
        let mut value = Vec::<V>::with_capacity(1);
        let mut attr = self.element(key);
        attr.__bindgen_anon_2.__bindgen_anon_1.value = value.as_mut_ptr() as u64;
        let found = absent_is_none(run(bpf_cmd::BPF_MAP_LOOKUP_ELEM, &mut attr))?;
        if found.is_some() {
            // SAFETY: the call succeeded, so the kernel wrote `value_size` bytes, which `new`
            // compared with the size of `V`; `V: Pod` holds for any bytes.
            unsafe { value.set_len(1) };
        }
        Ok(value.pop())
    }

    /// Removes `key`; `false` if it was not there.
    ///
    /// # Errors
    /// What the kernel says, other than that there is no such key.
    pub fn delete(&self, key: &K) -> io::Result<bool> {
        let mut attr = self.element(key);
        let done = absent_is_none(run(bpf_cmd::BPF_MAP_DELETE_ELEM, &mut attr))?;
        Ok(done.is_some())
    }

    /// Removes `key` and returns its value, in one step; `None` if it was not there.
    ///
    /// # Errors
    /// What the kernel says, other than that there is no such key. Hash maps can since Linux 5.14.
    pub fn take(&self, key: &K) -> io::Result<Option<V>> {
        let mut value = Vec::<V>::with_capacity(1);
        let mut attr = self.element(key);
        attr.__bindgen_anon_2.__bindgen_anon_1.value = value.as_mut_ptr() as u64;
        let call = run(bpf_cmd::BPF_MAP_LOOKUP_AND_DELETE_ELEM, &mut attr);
        if absent_is_none(call)?.is_some() {
            // SAFETY: as in `get`.
            unsafe { value.set_len(1) };
        }
        Ok(value.pop())
    }

    /// Inserts `value` under `key`; `false` if there is a value already, which stays.
    ///
    /// # Errors
    /// What the kernel says, other than that the key is there.
    pub fn insert_new(&self, key: &K, value: &V) -> io::Result<bool> {
        match self.update(key, value, BPF_NOEXIST) {
            Err(e) if e.kind() == io::ErrorKind::AlreadyExists => Ok(false),
            other => other.map(|()| true),
        }
    }

    /// Sets `value` under `key`, whether there is one already or not.
    ///
    /// # Errors
    /// What the kernel says.
    pub fn set(&self, key: &K, value: &V) -> io::Result<()> {
        self.update(key, value, BPF_ANY)
    }

    fn update(&self, key: &K, value: &V, flags: u32) -> io::Result<()> {
        let mut attr = self.element(key);
        attr.__bindgen_anon_2.__bindgen_anon_1.value = std::ptr::from_ref(value) as u64;
        attr.__bindgen_anon_2.flags = flags.into();
        run(bpf_cmd::BPF_MAP_UPDATE_ELEM, &mut attr)
    }

    /// Removes all of `keys` that are there; returns how many were.
    ///
    /// # Errors
    /// What the kernel says, other than that a key is not there.
    pub fn delete_many(&self, keys: &[K]) -> io::Result<usize> {
        let (mut rest, mut deleted) = (keys, 0);
        while !rest.is_empty() {
            let mut attr = self.batch(rest.len());
            attr.batch.keys = rest.as_ptr() as u64;
            let result = absent_is_none(run(bpf_cmd::BPF_MAP_DELETE_BATCH, &mut attr))?;
            // SAFETY: `batch` is the member that the kernel has just written back.
            let done = unsafe { attr.batch.count } as usize;
            deleted += done;
            // The kernel stops at the first key that is not there: go on behind it.
            let skipped = usize::from(result.is_none());
            rest = rest.get(done + skipped..).unwrap_or_default();
        }
        Ok(deleted)
    }

    /// Walks the map in pages of about `size` elements (at least one).
    #[must_use]
    pub fn pages(&self, size: usize) -> Pages<'_, K, V> {
        let size = size.max(1);
        Pages {
            table: self,
            keys: Vec::with_capacity(size),
            values: Vec::with_capacity(size),
            size,
            cursor: [0; CURSOR_WORDS],
            place: Place::Start,
        }
    }

    fn element(&self, key: &K) -> bpf_attr {
        let mut attr = no_attributes();
        attr.__bindgen_anon_2.map_fd = self.fd();
        attr.__bindgen_anon_2.key = std::ptr::from_ref(key) as u64;
        attr
    }

    fn batch(&self, count: usize) -> bpf_attr {
        let mut attr = no_attributes();
        attr.batch.map_fd = self.fd();
        attr.batch.count = u32::try_from(count).unwrap_or(u32::MAX);
        attr
    }

    fn fd(&self) -> u32 {
        self.data.fd().as_fd().as_raw_fd().cast_unsigned()
    }
}

/// A walk over a map. Elements that others insert or remove meanwhile may be seen or not; no element
/// is seen twice.
#[derive(Debug)]
pub struct Pages<'a, K, V> {
    table: &'a HashTable<K, V>,
    keys: Vec<K>,
    values: Vec<V>,
    size: usize,
    cursor: [u64; CURSOR_WORDS],
    place: Place,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    Start,
    Middle,
    End,
}

impl<K: Pod, V: Pod> Pages<'_, K, V> {
    /// The next page, which may be empty; `None` after the last.
    ///
    /// Not an [`Iterator`]: each page reuses the memory of the one before.
    ///
    /// # Errors
    /// What the kernel says.
    pub fn next_page(&mut self) -> io::Result<Option<(&[K], &[V])>> {
        while self.place != Place::End {
            match self.read() {
                // One hash bucket has more elements than fit: nothing was read, take a bigger page.
                Err(e) if e.raw_os_error() == Some(libc::ENOSPC) => self.grow(),
                Err(e) => return Err(e),
                Ok(()) => return Ok(Some((&self.keys, &self.values))),
            }
        }
        Ok(None)
    }

    fn grow(&mut self) {
        self.size *= 2;
        self.keys.reserve(self.size);
        self.values.reserve(self.size);
    }

    fn read(&mut self) -> io::Result<()> {
        self.keys.clear();
        self.values.clear();
        let cursor = self.cursor.as_mut_ptr() as u64;
        let mut attr = self.table.batch(self.size);
        attr.batch.in_batch = if self.place == Place::Start {
            0
        } else {
            cursor
        };
        attr.batch.out_batch = cursor;
        attr.batch.keys = self.keys.as_mut_ptr() as u64;
        attr.batch.values = self.values.as_mut_ptr() as u64;
        // ENOENT marks the last page, which still carries data.
        let more = absent_is_none(run(bpf_cmd::BPF_MAP_LOOKUP_BATCH, &mut attr))?;
        self.place = if more.is_some() {
            Place::Middle
        } else {
            Place::End
        };
        // SAFETY: the kernel wrote `count` ≤ `size` elements of the sizes that `HashTable::new`
        // checked, and `size` is within both capacities; `Pod` types hold for any bytes.
        unsafe {
            let count = attr.batch.count as usize;
            debug_assert!(count <= self.size);
            self.keys.set_len(count);
            self.values.set_len(count);
        }
        Ok(())
    }
}

/// Sets `values[i]` under `keys[i]` for all of them, with one call. What the kernel has refused is the
/// first that is not there; those before it are.
///
/// # Errors
/// What the kernel says; a map with other sizes is [`io::ErrorKind::InvalidInput`].
pub fn insert_many<K: Pod, V: Pod>(map: &MapData, keys: &[K], values: &[V]) -> io::Result<()> {
    let info = map.info().map_err(io::Error::other)?;
    let found = (info.key_size() as usize, info.value_size() as usize);
    if found != (size_of::<K>(), size_of::<V>()) || keys.len() != values.len() {
        return Err(io::ErrorKind::InvalidInput.into());
    }
    if keys.is_empty() {
        return Ok(());
    }
    let mut attr = no_attributes();
    attr.batch.map_fd = map.fd().as_fd().as_raw_fd().cast_unsigned();
    attr.batch.count = u32::try_from(keys.len()).unwrap_or(u32::MAX);
    attr.batch.keys = keys.as_ptr() as u64;
    attr.batch.values = values.as_ptr() as u64;
    run(bpf_cmd::BPF_MAP_UPDATE_BATCH, &mut attr)
}

/// Puts maps into the slots of an array of maps, in one call.
///
/// # Errors
/// What the kernel says.
pub fn place_maps(array: BorrowedFd<'_>, maps: &[(u32, BorrowedFd<'_>)]) -> io::Result<()> {
    if maps.is_empty() {
        return Ok(());
    }
    let slots: Vec<u32> = maps.iter().map(|(slot, _)| *slot).collect();
    let inner: Vec<u32> = maps
        .iter()
        .map(|(_, map)| map.as_raw_fd().cast_unsigned())
        .collect();
    let mut attr = no_attributes();
    attr.batch.map_fd = array.as_raw_fd().cast_unsigned();
    attr.batch.count = u32::try_from(maps.len()).unwrap_or(u32::MAX);
    // Keys and values of such an array have four bytes each: slot and descriptor.
    attr.batch.keys = slots.as_ptr() as u64;
    attr.batch.values = inner.as_ptr() as u64;
    run(bpf_cmd::BPF_MAP_UPDATE_BATCH, &mut attr)
}

fn check(info: &MapInfo, key: usize, value: usize) -> Result<(), LayoutError> {
    let kind = info.map_type()?;
    // Per-CPU maps copy out one value for every CPU.
    if !matches!(kind, MapType::Hash | MapType::LruHash) {
        return Err(LayoutError::Type(kind));
    }
    let found = (info.key_size(), info.value_size());
    if (found.0 as usize, found.1 as usize) != (key, value) {
        return Err(LayoutError::Size {
            found,
            expected: (key, value),
        });
    }
    Ok(())
}

fn absent_is_none(result: io::Result<()>) -> io::Result<Option<()>> {
    match result {
        Err(e) if e.raw_os_error() == Some(libc::ENOENT) => Ok(None),
        other => other.map(Some),
    }
}
