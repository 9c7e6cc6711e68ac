//! What is in a set now, and changes to it by hand.

use aya::maps::MapError;
use fw_common::abi::Element;
use fw_common::ruleset::SetKind;

use super::inner::{Inner, element};
use super::sets::slot;
use super::{MapsError, RulesetMaps, failed};
use crate::clock::TickClock;
use crate::rules::compile::{CompiledSet, SetEntry};

/// A change that is not possible.
#[derive(Debug, thiserror::Error)]
pub enum ChangeError {
    /// There is no more room.
    #[error("it is full: there is room for {0} elements; say `size` in its definition")]
    Full(u32),
    /// The maps.
    #[error("{}", crate::error::chain(.0))]
    Maps(#[from] MapsError),
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
        Ok(self.living_and_dead(at, set, clock)?.0)
    }

    /// [`Self::entries`], and those whose time is over and which are not removed yet.
    ///
    /// # Errors
    /// A map can't be read.
    pub fn living_and_dead(
        &self,
        at: usize,
        set: &CompiledSet,
        clock: &TickClock,
    ) -> Result<(Vec<SetEntry>, Vec<SetEntry>), MapsError> {
        let now = clock.now();
        let ticks = |ticks: u64| clock.elapsed(0, ticks);
        let (mut living, mut dead) = (Vec::new(), Vec::new());
        for (entry, value) in self.inner(at, set.kind)?.all()? {
            if lives(&value, now) {
                living.push(SetEntry {
                    timeout: (value.timeout != 0).then(|| ticks(value.timeout)),
                    expires: (value.expires != 0).then(|| clock.elapsed(now, value.expires)),
                    ..entry
                });
            } else {
                dead.push(entry);
            }
        }
        Ok((living, dead))
    }

    /// Whether elements may have keys in common with some that are there, in time that does not depend on how
    /// many there are; of an interval it is always said.
    ///
    /// # Errors
    /// A map can't be read.
    pub fn may_overlap(
        &self,
        at: usize,
        set: &CompiledSet,
        entries: &[SetEntry],
    ) -> Result<bool, MapsError> {
        let inner = self.inner(at, set.kind)?;
        let bits = 32 * set.widths.iter().sum::<usize>();
        for entry in entries {
            if (entry.length as usize) < bits || inner.find(entry)?.is_some() {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Adds elements: all of them or none. One that is there stays as it is. Then `replaced` are removed.
    ///
    /// # Errors
    /// See [`ChangeError`].
    pub fn add_entries(
        &mut self,
        at: usize,
        set: &CompiledSet,
        entries: &[SetEntry],
        replaced: &[SetEntry],
        clock: &TickClock,
    ) -> Result<(), ChangeError> {
        let mut inner = self.inner(at, set.kind)?;
        let done = insert_all(&mut inner, set, entries, clock).and_then(|()| {
            for entry in replaced {
                inner.remove(entry)?;
            }
            Ok::<(), ChangeError>(())
        });
        // Elements that are taken out again were seen by packets, too: what these found holds no longer.
        let renewed = self.renew();
        done?;
        renewed?;
        Ok(())
    }

    /// Removes elements; the positions of those that were not there.
    ///
    /// # Errors
    /// A map can't be written.
    pub fn remove_entries(
        &mut self,
        at: usize,
        set: &CompiledSet,
        entries: &[SetEntry],
    ) -> Result<Vec<usize>, MapsError> {
        let mut inner = self.inner(at, set.kind)?;
        let mut missing = Vec::new();
        let done = entries
            .iter()
            .enumerate()
            .try_for_each(|(position, entry)| {
                if !inner.remove(entry)? {
                    missing.push(position);
                }
                Ok::<(), MapsError>(())
            });
        let renewed = self.renew();
        done?;
        renewed?;
        Ok(missing)
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
        self.sets.get(kind, slot(self.active()?.bank(), at))
    }
}

fn lives(value: &Element, now: u64) -> bool {
    value.expires == 0 || value.expires > now
}

/// Adds elements that are not there: all of them or none.
fn insert_all(
    inner: &mut Inner,
    set: &CompiledSet,
    entries: &[SetEntry],
    clock: &TickClock,
) -> Result<(), ChangeError> {
    let mut added = Vec::new();
    for entry in entries {
        let fresh = element(entry, clock.now(), clock.hz());
        let done = match inner.insert_new(entry, fresh) {
            Ok(false) => match inner.find(entry)? {
                Some(there) if lives(&there, clock.now()) => continue,
                // Its time is over: it is none any more, nor will it be if the others do not fit.
                _ => inner.insert(entry, fresh),
            },
            other => other.map(drop),
        };
        if let Err(error) = done {
            for entry in added {
                inner.remove(entry)?;
            }
            return Err(refused(error, inner.name(), set.size));
        }
        added.push(entry);
    }
    Ok(())
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
