//! Rulesets in the programs' maps.

use std::sync::{Mutex, MutexGuard, PoisonError};

use tracing::warn;

use super::engine::Engine;
use super::error::LifeError;
use crate::clock::TickClock;
use crate::maps::{Maps, MapsError, RulesetMaps};
use crate::routing::missing;
use crate::rules::compile::{Compiled, CompiledSet, Lookup as _, compile_reported};
use crate::rules::failsafe::Failsafe;
use crate::rules::ir::Ruleset;
use crate::rules::{Loaded, System, load_text};

/// Loads rulesets into the pinned maps. There is one at a time: in the daemon.
#[derive(Debug)]
pub struct Programs {
    maps: Mutex<RulesetMaps>,
    system: Mutex<System>,
    clock: TickClock,
}

/// A ruleset that was read and compiled.
#[derive(Clone, Debug)]
pub struct Ready {
    /// As it was read.
    pub ruleset: Ruleset,
    /// As the programs run it.
    pub compiled: Compiled,
}

impl Programs {
    /// Opens the pinned maps. No ruleset closes the `failsafe` ports.
    ///
    /// # Errors
    /// See [`MapsError`].
    pub fn open(maps: &Maps, failsafe: Vec<Failsafe>, clock: TickClock) -> Result<Self, MapsError> {
        Ok(Self {
            maps: Mutex::new(RulesetMaps::open(maps)?),
            system: Mutex::new(System::new(failsafe, clock.hz())),
            clock,
        })
    }

    /// The maps, for as long as nobody else has them.
    pub fn maps(&self) -> MutexGuard<'_, RulesetMaps> {
        self.maps.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What the entries' ticks mean.
    pub const fn clock(&self) -> &TickClock {
        &self.clock
    }

    /// No ruleset that is compiled from now on closes these ports.
    pub fn set_failsafe(&self, failsafe: Vec<Failsafe>) {
        let mut system = self.system.lock().unwrap_or_else(PoisonError::into_inner);
        *system = System::new(failsafe, self.clock.hz());
    }

    fn system(&self) -> System {
        let system = self.system.lock().unwrap_or_else(PoisonError::into_inner);
        system.clone()
    }
}

/// Reads and compiles a ruleset.
///
/// # Errors
/// [`LifeError::Refused`]: the messages.
pub fn prepare(text: &str, observe: bool, system: &System) -> Result<Ready, LifeError> {
    prepare_loaded(load_text("rules", text), observe, system)
}

/// Compiles what was read.
///
/// # Errors
/// [`LifeError::Refused`]: the messages.
pub fn prepare_loaded(loaded: Loaded, observe: bool, system: &System) -> Result<Ready, LifeError> {
    let Loaded {
        ruleset,
        mut report,
    } = loaded;
    let refused = |report: &crate::rules::diag::Report| LifeError::Refused(report.render(false));
    let Some(ruleset) = ruleset else {
        return Err(refused(&report));
    };
    let Some(mut compiled) = compile_reported(&ruleset, system, &mut report) else {
        return Err(refused(&report));
    };
    compiled.observe = observe;
    Ok(Ready { ruleset, compiled })
}

impl Engine for Programs {
    type Ready = Ready;

    fn prepare(&self, text: &str, observe: bool) -> Result<Ready, LifeError> {
        prepare(text, observe, &self.system())
    }

    fn check(&self, ready: &Ready) -> Result<(), LifeError> {
        let missing = missing(&ready.compiled);
        if missing.is_empty() {
            return Ok(());
        }
        let switches: Vec<String> = missing.iter().map(|name| format!("{name}=1")).collect();
        Err(LifeError::Refused(format!(
            "error: `fib` asks the routing tables, which answer only where forwarding is on: say\n  \
             sysctl -w {}\nor leave `fib` out",
            switches.join(" ")
        )))
    }

    fn load(&self, ready: &Ready, generation: u32) -> Result<(), LifeError> {
        if let Err(unanswered) = self.check(ready) {
            warn!("packets that the rules ask the routing tables about are dropped: {unanswered}");
        }
        let (now, hz) = (self.clock.now(), self.clock.hz());
        Ok(self.maps().load_as(&ready.compiled, generation, now, hz)?)
    }

    fn settle(&self, ready: &mut Ready) {
        ready.compiled.sets.iter_mut().for_each(CompiledSet::forget);
    }

    fn generation(&self) -> Result<u32, LifeError> {
        Ok(self.maps().generation()?)
    }

    fn last_number(&self) -> Result<u32, LifeError> {
        Ok(self.maps().active()?.epoch())
    }

    fn failsafe(&self) -> Vec<Failsafe> {
        self.system().failsafe().to_vec()
    }

    fn is_at_work(&self, ready: &Ready) -> Result<bool, LifeError> {
        Ok(self.maps().adopt(&ready.compiled)?)
    }
}
