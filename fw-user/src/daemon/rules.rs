//! The daemon's rulesets: what it starts with, what it is asked for, and the clock of `--confirm`.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Notify;
use tracing::{error, info, warn};

use super::running::Running;
use crate::control::rules::{Applied, Apply, Listing, Names, Style, Text};
use crate::control::sets::{Answer, Change};
use crate::error::Error;
use crate::life::{
    self, Begun, Candidate, Cycle, Engine as _, InForce, LifeError, Live, Programs, Saved,
    SetError, Store,
};
use crate::rules::failsafe::Failsafe;
use crate::rules::{Loaded, Options, load_file, print_ruleset};
use crate::settings::{Settings, duration};
use crate::sys::heap;

/// Longest the clock sleeps while something awaits confirmation: a machine that was suspended shall
/// not oversleep.
const LOOK: Duration = Duration::from_millis(500);
/// Pause after a roll-back that failed.
const AGAIN: Duration = Duration::from_secs(1);

/// The rulesets of the running firewall.
#[derive(Debug)]
pub(super) struct Rules {
    cycle: Cycle<Programs>,
    /// Something awaits confirmation, or does no more.
    changed: Notify,
}

/// Reads the ruleset that the settings name.
///
/// # Errors
/// [`Error::Rules`]: it has mistakes.
pub(super) fn wanted(settings: &Settings, store: &Store) -> Result<Option<Candidate>, Error> {
    match &settings.rules {
        Some(path) => read(path, settings.observe).map(Some),
        // What is kept is loaded as it was, unless observing is asked for now.
        None if settings.observe => {
            let kept = store.current().map_err(LifeError::from)?;
            let kept = kept.filter(Saved::has_rules).map(Candidate::from);
            Ok(kept.map(|kept| Candidate {
                observe: true,
                ..kept
            }))
        }
        None => Ok(None),
    }
}

fn read(path: &Path, observe: bool) -> Result<Candidate, Error> {
    let Loaded { ruleset, report } = load_file(path, &Options::default());
    let text = report.render(false);
    let Some(ruleset) = ruleset else {
        return Err(Error::Rules {
            file: path.into(),
            messages: text,
        });
    };
    for line in text.lines().filter(|line| line.contains(": Warning: ")) {
        warn!("{line}");
    }
    Ok(Candidate {
        text: print_ruleset(&ruleset, crate::rules::Style::default()),
        file: Some(path.display().to_string()),
        observe,
    })
}

impl Rules {
    /// Goes on with what an earlier run left, or with `wanted`.
    ///
    /// # Errors
    /// The ruleset cannot be loaded.
    pub(super) fn begin(
        programs: Programs,
        store: Store,
        wanted: Option<&Candidate>,
    ) -> Result<Self, Error> {
        let file = wanted.and_then(|wanted| wanted.file.clone());
        let begun = Cycle::begin(programs, store, wanted);
        let (cycle, begun) = begun.map_err(|error| match (error, file) {
            (LifeError::Refused(messages), Some(file)) => Error::Rules {
                file: file.into(),
                messages,
            },
            (error, _) => error.into(),
        })?;
        heap::give_back();
        say(&begun);
        if cycle.in_force().is_some_and(|rules| rules.saved.observe) {
            warn!("observing only: what the rules would drop is counted, and passes");
        }
        Ok(Self {
            cycle,
            changed: Notify::new(),
        })
    }

    /// Puts a ruleset in force.
    pub(super) fn apply(&self, apply: Apply) -> Result<Applied, Error> {
        let Apply {
            text,
            file,
            observe,
            confirm,
        } = apply;
        let candidate = Candidate {
            text,
            file,
            observe,
        };
        let applied = self
            .cycle
            .apply(candidate, confirm.map(Duration::from_millis));
        heap::give_back();
        self.changed.notify_one();
        let applied = applied?;
        info!("rules: generation {}", applied.saved.generation);
        Ok(Applied {
            generation: applied.saved.generation,
            confirm,
        })
    }

    /// Removes all rules.
    pub(super) fn flush(&self) -> Result<Applied, Error> {
        self.apply(Apply::default())
    }

    /// Keeps the ruleset that awaits that.
    pub(super) fn confirm(&self) -> Result<Applied, Error> {
        let generation = self.cycle.confirm()?;
        self.changed.notify_one();
        info!("rules: generation {generation} is confirmed");
        Ok(Applied {
            generation,
            confirm: None,
        })
    }

    /// Goes back to the ruleset before.
    pub(super) fn roll_back(&self) -> Result<Applied, Error> {
        let back = self.cycle.roll_back();
        heap::give_back();
        let back = back?;
        self.changed.notify_one();
        let generation = back.saved.generation;
        info!("rules: generation {generation} is the one before the last");
        Ok(Applied {
            generation,
            confirm: None,
        })
    }

    /// The ruleset in force with its counters.
    pub(super) fn listing(&self) -> Result<Listing, Error> {
        let left = self.cycle.time_left();
        let failsafe = self.cycle.failsafe();
        self.live(|live| live.listing(&failsafe, left))
    }

    /// The same in short: see [`Live::outline`].
    pub(super) fn outline(&self) -> Result<Listing, Error> {
        let Some(InForce { saved, ready }) = self.cycle.in_force() else {
            // Nothing was loaded, or nobody knows what.
            return Ok(Listing {
                generation: self.generation()?,
                ..Listing::default()
            });
        };
        let (failsafe, left) = (self.cycle.failsafe(), self.cycle.time_left());
        let maps = self.cycle.engine().maps();
        Ok(Live::outline(&saved, &ready, &maps, &failsafe, left)?)
    }

    /// Names of what can let a flow in.
    pub(super) fn names(&self) -> Result<Names, Error> {
        match self.cycle.in_force() {
            Some(InForce { saved, ready }) => Ok(Names::of(&saved, &ready)),
            // Nothing was loaded, or nobody knows what: so it is not asked for again.
            None => Ok(Names {
                generation: self.generation()?,
                ..Names::default()
            }),
        }
    }

    /// The ruleset in force as text.
    pub(super) fn text(&self, style: Style) -> Result<Text, Error> {
        self.live(|live| Text {
            text: live.text(style),
        })
    }

    /// `look`s at the ruleset in force; what an empty one shows if there is none.
    fn live<T: Default>(&self, look: impl FnOnce(&Live<'_>) -> T) -> Result<T, Error> {
        let Some(InForce { saved, ready }) = self.cycle.in_force() else {
            return match self.cycle.generation()? {
                0 => Ok(T::default()),
                _ => Err(LifeError::Unknown.into()),
            };
        };
        let programs = self.cycle.engine();
        let maps = programs.maps();
        let seen = Live::read(&saved, &ready, &maps, *programs.clock()).map(|live| look(&live));
        heap::give_back();
        Ok(seen?)
    }

    /// The number of the ruleset in force.
    pub(super) fn generation(&self) -> Result<u32, Error> {
        Ok(self.cycle.generation()?)
    }

    /// Changes a set of the ruleset in force, or shows it.
    pub(super) fn change_set(&self, change: &Change) -> Result<Answer, Error> {
        let Some(InForce { ready, .. }) = self.cycle.in_force() else {
            let none = format!("there is no set {}: there are no rules", change.set);
            return Err(SetError::Wrong(none).into());
        };
        let programs = self.cycle.engine();
        let mut maps = programs.maps();
        Ok(life::sets::change(
            &ready,
            &mut maps,
            programs.clock(),
            change,
        )?)
    }

    /// Whether a ruleset could be loaded.
    pub(super) fn check(&self, wanted: &Candidate) -> Result<(), Error> {
        let ready = self.cycle.engine().prepare(&wanted.text, wanted.observe);
        Ok(ready.map(drop)?)
    }

    /// Takes up changed settings: the file is read again, failsafe ports hold from now on. While a
    /// ruleset awaits its confirmation the file has to wait, too.
    pub(super) fn reload(
        &self,
        wanted: Option<Candidate>,
        failsafe: Vec<Failsafe>,
    ) -> Result<(), Error> {
        self.cycle.engine().set_failsafe(failsafe);
        self.cycle.renew()?;
        let in_force = self.cycle.in_force();
        let Some(wanted) = wanted else {
            return Ok(());
        };
        if in_force.is_some_and(|rules| Candidate::from(rules.saved) == wanted) {
            return Ok(());
        }
        match self.cycle.apply(wanted, None) {
            Ok(applied) => info!("rules: generation {}", applied.saved.generation),
            Err(error @ LifeError::Awaiting(_)) => warn!("the rules' file is left alone: {error}"),
            Err(error) => return Err(error.into()),
        }
        Ok(())
    }
}

fn say(begun: &Begun) {
    match begun {
        Begun::NoRules => {}
        Begun::Kept(generation) => info!("rules: generation {generation} goes on"),
        Begun::Loaded(generation) => info!("rules: generation {generation} loaded"),
        Begun::Awaiting(generation, left) => warn!(
            "rules: generation {generation} goes on, and is rolled back in {} unless it is confirmed",
            duration::show(Duration::from_secs(left.as_secs()))
        ),
        Begun::RolledBack(generation) => warn!(
            "rules: nobody confirmed them in time; generation {generation} is what was there before"
        ),
        Begun::Unknown(generation) => warn!(
            "rules: generation {generation} goes on, but what it says is not in the state directory"
        ),
    }
}

/// Rolls back what nobody confirms in time.
pub(super) async fn keep_time(running: Arc<Running>) {
    loop {
        let rules = running.rules();
        match rules.cycle.time_left() {
            None => rules.changed.notified().await,
            Some(left) if !left.is_zero() => {
                let sleep = tokio::time::sleep(left.min(LOOK));
                tokio::select! {
                    () = sleep => {}
                    () = rules.changed.notified() => {}
                }
            }
            Some(_) => go_back(&running).await,
        }
    }
}

async fn go_back(running: &Arc<Running>) {
    let running = Arc::clone(running);
    let back = tokio::task::spawn_blocking(move || {
        let back = running.rules().cycle.roll_back_if_due();
        heap::give_back();
        back
    });
    match back.await {
        Ok(Ok(Some(generation))) => warn!(
            "rules: nobody confirmed them in time; generation {generation} is what was there before"
        ),
        Ok(Ok(None)) => {}
        Ok(Err(e)) => {
            error!("going back to the rules before: {e}");
            tokio::time::sleep(AGAIN).await;
        }
        Err(e) => {
            error!("going back to the rules before: {e}");
            tokio::time::sleep(AGAIN).await;
        }
    }
}
