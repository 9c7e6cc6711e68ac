//! The rulesets of one firewall, one after the other.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use jiff::Timestamp;

use super::boot::{Deadline, Now};
use super::engine::Engine;
use super::error::LifeError;
use super::recover::{Decision, Found, decide};
use super::store::{Saved, Store};
use crate::rules::failsafe::Failsafe;

/// A ruleset that is to come into force.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Candidate {
    /// The rules, complete in themselves; empty: accept everything.
    pub text: String,
    /// Where they came from.
    pub file: Option<String>,
    /// What they would drop passes, and is counted.
    pub observe: bool,
}

/// The ruleset in force.
#[derive(Debug)]
pub struct InForce<R> {
    /// What it is.
    pub saved: Saved,
    /// The rules as the engine has them.
    pub ready: Arc<R>,
}

impl<R> Clone for InForce<R> {
    fn clone(&self) -> Self {
        Self {
            saved: self.saved.clone(),
            ready: Arc::clone(&self.ready),
        }
    }
}

/// The rulesets of one firewall.
#[derive(Debug)]
pub struct Cycle<E: Engine> {
    engine: E,
    store: Store,
    state: Mutex<State<E::Ready>>,
}

#[derive(Debug)]
struct State<R> {
    /// None before the first ruleset, or if nobody knows what it is.
    in_force: Option<InForce<R>>,
    /// By when it must be confirmed.
    deadline: Option<Deadline>,
}

/// What the start found, to be told to the user.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Begun {
    /// There are no rules.
    NoRules,
    /// The rules of an earlier run go on.
    Kept(u32),
    /// Rules were loaded.
    Loaded(u32),
    /// Rules of an earlier run go on and wait for confirmation.
    Awaiting(u32, Duration),
    /// The rules before those that nobody confirmed were loaded.
    RolledBack(u32),
    /// There are rules, but what they are is lost.
    Unknown(u32),
}

impl<E: Engine> Cycle<E> {
    /// Goes on from what an earlier run left; `wanted` replaces that, unless something waits for its
    /// confirmation.
    ///
    /// # Errors
    /// A ruleset that is refused, or cannot be loaded or kept.
    pub fn begin(
        engine: E,
        store: Store,
        wanted: Option<&Candidate>,
    ) -> Result<(Self, Begun), LifeError> {
        let cycle = Self {
            engine,
            store,
            state: Mutex::new(State {
                in_force: None,
                deadline: None,
            }),
        };
        let begun = cycle.recover(wanted, &Now::get())?;
        Ok((cycle, begun))
    }

    fn recover(&self, wanted: Option<&Candidate>, now: &Now) -> Result<Begun, LifeError> {
        let found = Found {
            in_force: self.engine.generation()?,
            current: self.store.current()?,
            next: self.store.next()?,
        };
        let in_force = found.in_force;
        let decision = decide(found, now);
        let mut state = self.state();
        if let Decision::Await(saved, left) = &decision {
            let ready = self.adopt(&mut state, saved)?;
            let generation = ready.saved.generation;
            state.deadline = saved.confirm.clone();
            return Ok(Begun::Awaiting(generation, *left));
        }
        if let Decision::Promote(_) = &decision {
            self.store.promote_next()?;
        } else {
            self.store.remove_next()?;
        }
        if let Some(wanted) = wanted {
            return self.begin_with(&mut state, wanted, decision);
        }
        match decision {
            Decision::Keep(saved) | Decision::Promote(saved) => {
                let kept = self.adopt(&mut state, &saved)?.saved;
                Ok(match (kept.has_rules(), kept.generation == in_force) {
                    (false, _) => Begun::NoRules,
                    (true, true) => Begun::Kept(kept.generation),
                    (true, false) => Begun::Loaded(kept.generation),
                })
            }
            Decision::Load(saved) => {
                let has_rules = saved.has_rules();
                let generation = self.put(&mut state, saved.into(), None)?;
                Ok(if has_rules {
                    Begun::Loaded(generation)
                } else {
                    Begun::NoRules
                })
            }
            Decision::RollBack(saved) => {
                let before = saved.map(Candidate::from).unwrap_or_default();
                Ok(Begun::RolledBack(self.put(&mut state, before, None)?))
            }
            Decision::Nothing => Ok(Begun::NoRules),
            Decision::Unknown | Decision::Await(..) => Ok(Begun::Unknown(in_force)),
        }
    }

    /// The wanted ruleset, which may be at work already.
    fn begin_with(
        &self,
        state: &mut State<E::Ready>,
        wanted: &Candidate,
        decision: Decision,
    ) -> Result<Begun, LifeError> {
        if let Decision::Keep(saved) | Decision::Promote(saved) = decision
            && Candidate::from(saved.clone()) == *wanted
        {
            let in_force = saved.generation;
            let kept = self.adopt(state, &saved)?.saved.generation;
            return Ok(if kept == in_force {
                Begun::Kept(kept)
            } else {
                Begun::Loaded(kept)
            });
        }
        let generation = self.put(state, wanted.clone(), None)?;
        Ok(Begun::Loaded(generation))
    }

    /// Takes over what the programs have of `saved`; loads it anew if they have it otherwise than this
    /// version would.
    fn adopt(
        &self,
        state: &mut State<E::Ready>,
        saved: &Saved,
    ) -> Result<InForce<E::Ready>, LifeError> {
        let mut ready = self.engine.prepare(&saved.text, saved.observe)?;
        if self.engine.is_at_work(&ready)? {
            self.engine.settle(&mut ready);
            let kept = InForce {
                saved: saved.clone(),
                ready: Arc::new(ready),
            };
            state.in_force = Some(kept.clone());
            return Ok(kept);
        }
        let candidate = saved.clone().into();
        self.put(state, candidate, saved.confirm.clone())?;
        state.in_force.clone().ok_or(LifeError::Unknown)
    }

    fn state(&self) -> MutexGuard<'_, State<E::Ready>> {
        // No invariant spans a panic: what is on disk and in the programs counts.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What loads the rulesets.
    pub const fn engine(&self) -> &E {
        &self.engine
    }

    /// The ports that no ruleset closes.
    pub fn failsafe(&self) -> Vec<Failsafe> {
        self.engine.failsafe()
    }

    /// The number of the ruleset in force; 0: none.
    ///
    /// # Errors
    /// The maps cannot be read.
    pub fn generation(&self) -> Result<u32, LifeError> {
        self.engine.generation()
    }

    /// The ruleset in force.
    pub fn in_force(&self) -> Option<InForce<E::Ready>> {
        self.state().in_force.clone()
    }

    /// By when the ruleset in force must be confirmed, if it must.
    pub fn time_left(&self) -> Option<Duration> {
        let deadline = self.state().deadline.clone()?;
        Some(deadline.left(&Now::get()).unwrap_or_default())
    }

    /// Puts a ruleset in force: its generation. With `confirm`, the one before comes back after that
    /// time, unless [`Cycle::confirm`] is called.
    ///
    /// # Errors
    /// The ruleset is refused, cannot be loaded or kept, or another one waits for its confirmation:
    /// the running rules stay.
    pub fn apply(
        &self,
        candidate: Candidate,
        confirm: Option<Duration>,
    ) -> Result<InForce<E::Ready>, LifeError> {
        let mut state = self.state();
        if let Some(deadline) = &state.deadline {
            let left = deadline.left(&Now::get()).unwrap_or_default();
            return Err(LifeError::Awaiting(left));
        }
        let ready = self.engine.prepare(&candidate.text, candidate.observe)?;
        self.engine.check(&ready)?;
        let deadline = confirm.map(|time| Deadline::after(&Now::get(), time));
        self.put_ready(&mut state, ready, candidate, deadline)?;
        state.in_force.clone().ok_or(LifeError::Unknown)
    }

    /// Keeps the ruleset that waits for that: its generation.
    ///
    /// # Errors
    /// None waits, or it cannot be kept on disk: then it will be rolled back.
    pub fn confirm(&self) -> Result<u32, LifeError> {
        let mut state = self.state();
        let deadline = state.deadline.as_ref().ok_or(LifeError::NothingAwaits)?;
        if deadline.left(&Now::get()).is_none() {
            return Err(LifeError::TooLate);
        }
        self.store.promote_next()?;
        state.deadline = None;
        state
            .in_force
            .as_ref()
            .map(|rules| rules.saved.generation)
            .ok_or(LifeError::Unknown)
    }

    /// Goes back to the ruleset before the one that waits for its confirmation: its new generation.
    ///
    /// # Errors
    /// None waits, or the one before cannot be loaded.
    pub fn roll_back(&self) -> Result<InForce<E::Ready>, LifeError> {
        let mut state = self.state();
        if state.deadline.is_none() {
            return Err(LifeError::NothingAwaits);
        }
        self.back(&mut state)?;
        state.in_force.clone().ok_or(LifeError::Unknown)
    }

    /// Goes back if the time for the confirmation is over: the new generation.
    ///
    /// # Errors
    /// The ruleset before cannot be loaded; the next call tries again.
    pub fn roll_back_if_due(&self) -> Result<Option<u32>, LifeError> {
        let mut state = self.state();
        let due = |deadline: &Deadline| deadline.left(&Now::get()).is_none();
        if !state.deadline.as_ref().is_some_and(due) {
            return Ok(None);
        }
        self.back(&mut state).map(Some)
    }

    fn back(&self, state: &mut State<E::Ready>) -> Result<u32, LifeError> {
        let before = self.store.current()?;
        let before = before.map(Candidate::from).unwrap_or_default();
        let generation = self.put(state, before, None)?;
        state.deadline = None;
        Ok(generation)
    }

    /// Compiles the ruleset in force again, after a change of what it is compiled for.
    ///
    /// # Errors
    /// It cannot be loaded.
    pub fn renew(&self) -> Result<(), LifeError> {
        let mut state = self.state();
        let Some(in_force) = state.in_force.clone() else {
            return Ok(());
        };
        self.adopt(&mut state, &in_force.saved).map(drop)
    }

    /// Written, loaded, kept. Until the flip a failure leaves everything as it was.
    fn put(
        &self,
        state: &mut State<E::Ready>,
        candidate: Candidate,
        confirm: Option<Deadline>,
    ) -> Result<u32, LifeError> {
        let ready = self.engine.prepare(&candidate.text, candidate.observe)?;
        self.put_ready(state, ready, candidate, confirm)
    }

    fn put_ready(
        &self,
        state: &mut State<E::Ready>,
        mut ready: E::Ready,
        candidate: Candidate,
        confirm: Option<Deadline>,
    ) -> Result<u32, LifeError> {
        let saved = Saved {
            generation: self.next_generation(state)?,
            loaded: Timestamp::now(),
            file: candidate.file,
            observe: candidate.observe,
            failsafe: self.engine.failsafe(),
            confirm,
            text: candidate.text,
        };
        let before = self.store.next()?;
        self.store.write_next(&saved)?;
        if let Err(error) = self.engine.load(&ready, saved.generation) {
            // What is not in force must not look as if it was about to be.
            let undone = match &before {
                Some(before) => self.store.write_next(before),
                None => self.store.remove_next(),
            };
            return Err(undone.map_or_else(LifeError::from, |()| error));
        }
        self.engine.settle(&mut ready);
        let generation = saved.generation;
        let awaits = saved.confirm.is_some();
        state.deadline = saved.confirm.clone();
        state.in_force = Some(InForce {
            saved,
            ready: Arc::new(ready),
        });
        if !awaits {
            self.store.promote_next()?;
        }
        Ok(generation)
    }

    /// Higher than any number that was ever used.
    fn next_generation(&self, state: &State<E::Ready>) -> Result<u32, LifeError> {
        let known = state.in_force.as_ref().map(|r| r.saved.generation);
        let kept = self.store.current()?.map(|saved| saved.generation);
        let last = self.engine.last_number()?;
        let highest = last.max(known.unwrap_or(0)).max(kept.unwrap_or(0));
        highest.checked_add(1).ok_or(LifeError::Exhausted)
    }
}

impl From<Saved> for Candidate {
    fn from(saved: Saved) -> Self {
        Self {
            text: saved.text,
            file: saved.file,
            observe: saved.observe,
        }
    }
}

#[cfg(test)]
#[path = "cycle_tests.rs"]
mod tests;
