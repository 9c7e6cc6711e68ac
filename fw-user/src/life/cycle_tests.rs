//! A firewall's rulesets, with programs that are only pretended.

use std::cell::{Cell, RefCell};
use std::rc::Rc;

use tempfile::TempDir;

use super::*;
use crate::rules::failsafe::Failsafe;

/// What survives the daemon: the programs' word.
#[derive(Clone, Default)]
struct Programs {
    generation: Rc<Cell<u32>>,
    text: Rc<RefCell<String>>,
    broken: Rc<Cell<bool>>,
}

impl Engine for Programs {
    type Ready = String;

    fn prepare(&self, text: &str, _observe: bool) -> Result<String, LifeError> {
        if text.contains("mistake") {
            return Err(LifeError::Refused("1:1-7: Error: mistake".into()));
        }
        Ok(text.into())
    }

    fn load(&self, ready: &String, generation: u32) -> Result<(), LifeError> {
        if self.broken.get() {
            return Err(LifeError::Exhausted);
        }
        assert!(generation > self.generation.get(), "numbers only rise");
        self.generation.set(generation);
        self.text.replace(ready.clone());
        Ok(())
    }

    fn generation(&self) -> Result<u32, LifeError> {
        Ok(self.generation.get())
    }

    fn last_number(&self) -> Result<u32, LifeError> {
        Ok(self.generation.get())
    }

    fn failsafe(&self) -> Vec<Failsafe> {
        Vec::new()
    }

    fn is_at_work(&self, ready: &String) -> Result<bool, LifeError> {
        Ok(*self.text.borrow() == *ready)
    }
}

struct Machine {
    programs: Programs,
    disk: TempDir,
}

impl Machine {
    fn new() -> Self {
        Self {
            programs: Programs::default(),
            disk: tempfile::tempdir().unwrap(),
        }
    }

    #[expect(clippy::needless_pass_by_value, reason = "each test makes its own")]
    fn start(&self, wanted: Option<Candidate>) -> (Cycle<Programs>, Begun) {
        Cycle::begin(self.programs.clone(), self.store(), wanted.as_ref()).unwrap()
    }

    fn store(&self) -> Store {
        Store::new(self.disk.path())
    }

    /// The power goes: the programs forget everything.
    fn reboot(&mut self) {
        self.programs = Programs::default();
    }

    fn at_work(&self) -> String {
        self.programs.text.borrow().clone()
    }
}

fn rules(text: &str) -> Candidate {
    Candidate {
        text: text.into(),
        ..Candidate::default()
    }
}

const MINUTE: Option<Duration> = Some(Duration::from_secs(60));
const NOW: Option<Duration> = Some(Duration::ZERO);

#[test]
fn a_ruleset_lives_through_restarts() {
    let mut machine = Machine::new();
    let (cycle, begun) = machine.start(None);
    assert_eq!(begun, Begun::NoRules);
    assert_eq!(cycle.apply(rules("a"), None).unwrap().saved.generation, 1);
    assert_eq!(cycle.apply(rules("b"), None).unwrap().saved.generation, 2);
    let (cycle, begun) = machine.start(None);
    assert_eq!(begun, Begun::Kept(2));
    assert_eq!(cycle.in_force().unwrap().saved.text, "b");
    machine.reboot();
    let (_, begun) = machine.start(None);
    assert_eq!((begun, machine.at_work()), (Begun::Loaded(3), "b".into()));
}

#[test]
fn flushed_rules_stay_away() {
    let mut machine = Machine::new();
    let (cycle, _) = machine.start(Some(rules("a")));
    assert_eq!(cycle.apply(rules(""), None).unwrap().saved.generation, 2);
    assert_eq!(machine.start(None).1, Begun::NoRules);
    machine.reboot();
    assert_eq!(machine.start(None).1, Begun::NoRules);
    assert_eq!(machine.at_work(), "");
}

#[test]
fn a_mistake_leaves_everything_as_it_was() {
    let machine = Machine::new();
    let (cycle, _) = machine.start(Some(rules("a")));
    let error = cycle.apply(rules("a mistake"), None).unwrap_err();
    assert!(matches!(error, LifeError::Refused(_)), "{error}");
    machine.programs.broken.set(true);
    cycle.apply(rules("b"), None).unwrap_err();
    assert_eq!(machine.at_work(), "a");
    assert_eq!(cycle.in_force().unwrap().saved.generation, 1);
    assert_eq!(machine.store().next().unwrap(), None);
    assert_eq!(machine.store().current().unwrap().unwrap().text, "a");
}

#[test]
fn confirmed_rules_stay() {
    let machine = Machine::new();
    let (cycle, _) = machine.start(Some(rules("a")));
    cycle.apply(rules("b"), MINUTE).unwrap();
    assert!(cycle.time_left() > Some(Duration::from_secs(50)));
    assert_eq!(cycle.roll_back_if_due().unwrap(), None);
    let second = cycle.apply(rules("c"), None).unwrap_err().to_string();
    assert!(
        second.contains("rules confirm") && second.contains("1m more"),
        "{second}"
    );
    assert_eq!(cycle.confirm().unwrap(), 2);
    assert_eq!(cycle.time_left(), None);
    assert!(matches!(cycle.confirm(), Err(LifeError::NothingAwaits)));
    assert!(matches!(cycle.roll_back(), Err(LifeError::NothingAwaits)));
    assert_eq!(machine.start(None).1, Begun::Kept(2));
    cycle.apply(rules("c"), None).unwrap();
}

#[test]
fn unconfirmed_rules_go() {
    let machine = Machine::new();
    let (cycle, _) = machine.start(Some(rules("a")));
    cycle.apply(rules("b"), NOW).unwrap();
    assert_eq!(machine.at_work(), "b");
    assert!(matches!(cycle.confirm(), Err(LifeError::TooLate)));
    assert_eq!(cycle.roll_back_if_due().unwrap(), Some(3));
    assert_eq!(machine.at_work(), "a");
    assert_eq!(machine.start(None).1, Begun::Kept(3));
    // By hand, and from none at all.
    let machine = Machine::new();
    let (cycle, _) = machine.start(None);
    cycle.apply(rules("b"), MINUTE).unwrap();
    assert_eq!(cycle.roll_back().unwrap().saved.text, "");
    assert_eq!(machine.at_work(), "");
}

#[test]
fn the_next_daemon_waits_on_and_rolls_back() {
    let machine = Machine::new();
    let (cycle, _) = machine.start(Some(rules("a")));
    cycle.apply(rules("b"), MINUTE).unwrap();
    // Rules that are named at the start do not end the waiting either.
    let (next, begun) = machine.start(Some(rules("a")));
    assert!(matches!(begun, Begun::Awaiting(2, left) if left > Duration::from_secs(50)));
    assert_eq!(next.confirm().unwrap(), 2);

    let (cycle, _) = machine.start(None);
    cycle.apply(rules("c"), NOW).unwrap();
    let (_, begun) = machine.start(None);
    assert_eq!(
        (begun, machine.at_work()),
        (Begun::RolledBack(4), "b".into())
    );
}

#[test]
fn a_restart_of_the_machine_is_no_confirmation() {
    let mut machine = Machine::new();
    let (cycle, _) = machine.start(Some(rules("a")));
    cycle.apply(rules("b"), MINUTE).unwrap();
    machine.reboot();
    assert_eq!(machine.start(None).1, Begun::Loaded(2));
    assert_eq!(machine.at_work(), "a");
}

#[test]
fn a_roll_back_that_fails_is_tried_again() {
    let machine = Machine::new();
    let (cycle, _) = machine.start(Some(rules("a")));
    cycle.apply(rules("b"), NOW).unwrap();
    machine.programs.broken.set(true);
    cycle.roll_back_if_due().unwrap_err();
    assert_eq!(machine.at_work(), "b");
    // A daemon that dies now leaves the next one as wise.
    let next = machine.store().next().unwrap().unwrap();
    assert!(next.confirm.is_some() && next.generation == 2, "{next:?}");
    machine.programs.broken.set(false);
    assert_eq!(cycle.roll_back_if_due().unwrap(), Some(3));
    assert_eq!(machine.at_work(), "a");
}

#[test]
fn rules_named_at_the_start_win_and_keep_their_number_if_they_are_the_same() {
    let machine = Machine::new();
    assert_eq!(machine.start(Some(rules("a"))).1, Begun::Loaded(1));
    assert_eq!(machine.start(Some(rules("a"))).1, Begun::Kept(1));
    assert_eq!(machine.start(Some(rules("b"))).1, Begun::Loaded(2));
    assert_eq!(machine.start(None).1, Begun::Kept(2));
}

#[test]
fn rules_that_this_version_compiles_otherwise_are_loaded_anew() {
    let machine = Machine::new();
    machine.start(Some(rules("a")));
    machine
        .programs
        .text
        .replace("as another version has it".into());
    assert_eq!(machine.start(None).1, Begun::Loaded(2));
    assert_eq!(machine.at_work(), "a");
}

#[test]
fn lost_state_keeps_what_is_at_work() {
    let mut machine = Machine::new();
    machine.start(Some(rules("a")));
    machine.disk = tempfile::tempdir().unwrap();
    let (cycle, begun) = machine.start(None);
    assert_eq!((begun, machine.at_work()), (Begun::Unknown(1), "a".into()));
    assert_eq!(cycle.apply(rules("b"), None).unwrap().saved.generation, 2);
}
