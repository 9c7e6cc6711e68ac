//! The ruleset in force when no daemon is running: what the programs go on with.

use super::boot::Now;
use super::error::LifeError;
use super::listing::Live;
use super::programs::{Ready, prepare};
use super::store::{Saved, Store};
use crate::clock::TickClock;
use crate::control::rules::{Listing, Names, Style};
use crate::maps::{Maps, MapsError, RulesetMaps};
use crate::paths::Paths;
use crate::rules::System;

/// The ruleset in force for programs.
///
/// # Errors
/// Nothing is pinned, or what is in force is not on the disk.
pub fn listing(paths: &Paths) -> Result<Listing, LifeError> {
    let Some(found) = Found::open(paths)? else {
        return Ok(Listing::default());
    };
    let left = found.saved.confirm.as_ref();
    let left = left.map(|deadline| deadline.left(&Now::get()).unwrap_or_default());
    Ok(found.live()?.listing(&found.saved.failsafe, left))
}

/// Names of what can let a flow in.
///
/// # Errors
/// See [`listing`].
pub fn names(paths: &Paths) -> Result<Names, LifeError> {
    let found = Found::open(paths)?;
    Ok(found.map_or_else(Names::default, |found| {
        Names::of(&found.saved, &found.ready)
    }))
}

/// The ruleset in force as text.
///
/// # Errors
/// See [`listing`].
pub fn text(paths: &Paths, style: Style) -> Result<String, LifeError> {
    match Found::open(paths)? {
        Some(found) => Ok(found.live()?.text(style)),
        None => Ok(String::new()),
    }
}

/// What there is of a ruleset without a daemon.
pub struct Found {
    /// What it is.
    pub saved: Saved,
    /// As it was read and compiled.
    pub ready: Ready,
    /// Its maps.
    pub maps: RulesetMaps,
    clock: TickClock,
}

impl Found {
    /// The ruleset that the pinned programs work by; `None` if there is none.
    ///
    /// # Errors
    /// Nothing is pinned, or what is in force is not on the disk.
    pub fn open(paths: &Paths) -> Result<Option<Self>, LifeError> {
        let pinned = Maps::find(paths)?;
        let maps = RulesetMaps::open(&pinned)?;
        let clock = TickClock::new(&pinned.config()?).map_err(MapsError::from)?;
        let generation = maps.generation()?;
        if generation == 0 {
            return Ok(None);
        }
        let store = Store::new(&paths.state_dir);
        let kept = [store.next()?, store.current()?].into_iter().flatten();
        let mut kept = kept.filter(|saved| saved.generation == generation);
        let saved = kept.next().ok_or(LifeError::Unknown)?;
        let system = System::new(saved.failsafe.clone(), clock.hz());
        let ready = prepare(&saved.text, saved.observe, &system)?;
        Ok(Some(Self {
            saved,
            ready,
            maps,
            clock,
        }))
    }

    /// The ruleset with the elements that its sets have now.
    ///
    /// # Errors
    /// A map cannot be read.
    pub fn with_elements(&self) -> Result<Ready, LifeError> {
        let mut ready = self.ready.clone();
        for (at, set) in ready.compiled.sets.iter_mut().enumerate() {
            set.entries = self.maps.entries(at, set, &self.clock)?;
            set.forgotten = None;
        }
        Ok(ready)
    }

    fn live(&self) -> Result<Live<'_>, LifeError> {
        Live::read(&self.saved, &self.ready, &self.maps, self.clock)
    }
}
