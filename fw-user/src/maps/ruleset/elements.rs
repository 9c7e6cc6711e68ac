//! What is in a set now, and changes to it by hand.

use aya::maps::MapError;
use fw_common::abi::Element;
use fw_common::ruleset::SetKind;

use super::inner::{Inner, element};
use super::order;
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

    /// Whether elements may have keys in common with some that are there or, if they are `to_touch`, be next to one. The
    /// answer takes no walk through the map, and errs on the side of yes: always, of intervals of a set that an
    /// earlier process has loaded, until it was walked through ([`Self::walk`]).
    ///
    /// # Errors
    /// A map can't be read.
    pub fn may_overlap(
        &self,
        at: usize,
        set: &CompiledSet,
        entries: &[SetEntry],
        to_touch: bool,
    ) -> Result<bool, MapsError> {
        let inner = self.inner(at, set.kind)?;
        let place = (at, inner.id()?);
        let words: usize = set.widths.iter().sum();
        let bits = 32 * words;
        // From one value of the key to the next.
        let step = 1_u128 << (128 - bits.min(128));
        for entry in entries {
            if inner.find(entry)?.is_some() {
                return Ok(true);
            }
            let is_whole = entry.length as usize >= bits;
            let margin = if to_touch { step } else { 0 };
            if (to_touch || !is_whole) && self.orders.may_begin_within(place, entry, margin) {
                return Ok(true);
            }
            if to_touch
                && let Some(before) = order::before(entry, step)
                && inner.find(&before)?.is_some()
            {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// [`Self::living_and_dead`], remembering where they are for [`Self::may_overlap`].
    ///
    /// # Errors
    /// A map can't be read.
    pub fn walk(
        &mut self,
        at: usize,
        set: &CompiledSet,
        clock: &TickClock,
    ) -> Result<(Vec<SetEntry>, Vec<SetEntry>), MapsError> {
        let place = (at, self.inner(at, set.kind)?.id()?);
        let (living, dead) = self.living_and_dead(at, set, clock)?;
        self.orders.remember(place, living.iter().chain(&dead));
        Ok((living, dead))
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
        let place = (at, inner.id()?);
        self.orders.add(place, entries);
        let done = insert_all(&mut inner, set, entries, clock).and_then(|()| {
            for entry in replaced {
                inner.remove(entry)?;
            }
            Ok::<(), ChangeError>(())
        });
        if done.is_ok() {
            self.orders.remove(place, replaced.iter());
        }
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
        let place = (at, inner.id()?);
        let (mut removed, mut missing) = (Vec::new(), Vec::new());
        let done = entries
            .iter()
            .enumerate()
            .try_for_each(|(position, entry)| {
                if inner.remove(entry)? {
                    removed.push(entry);
                } else {
                    missing.push(position);
                }
                Ok::<(), MapsError>(())
            });
        let renewed = self.renew();
        self.orders.remove(place, removed.into_iter());
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
        // First of all: what packets found in the old one holds no longer.
        self.renew()?;
        self.order_one(at, &fresh, bank)?;
        Ok(())
    }

    /// Notes where the intervals are of sets that were just loaded into a bank.
    pub(super) fn order(&mut self, sets: &[CompiledSet], bank: u32) -> Result<(), MapsError> {
        self.orders.clear();
        let mut sets = sets.iter().enumerate();
        sets.try_for_each(|(at, set)| self.order_one(at, set, bank))
    }

    fn order_one(&mut self, at: usize, set: &CompiledSet, bank: u32) -> Result<(), MapsError> {
        if set.kind == SetKind::Prefix {
            let map = self.sets.get(set.kind, slot(bank, at))?.id()?;
            self.orders.remember((at, map), set.entries.iter());
        }
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
