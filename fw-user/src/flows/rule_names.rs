//! Names of the rules that let flows in.

use std::fmt;

use crate::control::rules::Names;

/// What let a flow in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ruled {
    /// The instruction, counted from 0.
    pub by: u32,
    /// The ruleset that it is of, by the number under which that was loaded.
    pub generation: u32,
}

/// Asks for names when the first is wanted, and whenever a flow is of a later ruleset.
#[derive(Default)]
pub struct RuleNames {
    ask: Option<Box<dyn FnMut() -> Option<Names>>>,
    known: Names,
}

impl RuleNames {
    /// Those that `ask` answers with.
    pub fn new(ask: impl FnMut() -> Option<Names> + 'static) -> Self {
        Self {
            ask: Some(Box::new(ask)),
            known: Names::default(),
        }
    }

    /// `chain#handle`, `chain policy` or `failsafe port`; `None` if no rule was asked, or a ruleset that is no longer there.
    pub fn name(&mut self, ruled: Option<Ruled>) -> Option<&str> {
        let Ruled { by, generation } = ruled?;
        if generation > self.known.generation {
            let answer = self.ask.as_mut().and_then(|ask| ask());
            // Who does not answer is not asked again. Who answers with an older ruleset is about to load this one.
            self.known = answer.unwrap_or(Names {
                generation,
                places: Vec::new(),
            });
        }
        if generation != self.known.generation {
            return None;
        }
        let places = &self.known.places;
        let behind = places.partition_point(|place| place.from <= by);
        let place = places.get(behind.checked_sub(1)?)?;
        (by < place.to).then_some(&place.name)
    }
}

impl fmt::Debug for RuleNames {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RuleNames")
            .field("known", &self.known)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;
    use std::rc::Rc;

    use super::*;
    use crate::control::rules::Place;

    const fn ruled(by: u32, generation: u32) -> Option<Ruled> {
        Some(Ruled { by, generation })
    }

    fn names(generation: u32) -> Names {
        let place = |from, to, name: &str| Place {
            from,
            to,
            name: name.into(),
        };
        Names {
            generation,
            places: vec![place(2, 5, "forward#3"), place(5, 6, "forward policy")],
        }
    }

    #[test]
    fn places_are_found_by_the_instruction() {
        let mut rules = RuleNames::new(|| Some(names(7)));
        assert_eq!(rules.name(None), None);
        let found = [1, 2, 4, 5, 6].map(|by| rules.name(ruled(by, 7)).map(str::to_owned));
        let expected = [
            None,
            Some("forward#3"),
            Some("forward#3"),
            Some("forward policy"),
            None,
        ];
        assert_eq!(found, expected.map(|name| name.map(str::to_owned)));
    }

    #[test]
    fn a_ruleset_is_asked_for_once_and_one_that_has_gone_never() {
        let (asked, answer) = (Rc::new(Cell::new(0)), Rc::new(Cell::new(Some(2))));
        let mut rules = {
            let (asked, answer) = (Rc::clone(&asked), Rc::clone(&answer));
            RuleNames::new(move || {
                asked.set(asked.get() + 1);
                answer.get().map(names)
            })
        };
        for (generation, known) in [(1, false), (2, true), (1, false), (2, true)] {
            assert_eq!(
                rules.name(ruled(3, generation)).is_some(),
                known,
                "{generation}"
            );
        }
        assert_eq!(asked.get(), 1);
        // The next one is about to be loaded.
        assert_eq!(rules.name(ruled(3, 3)), None);
        answer.set(Some(3));
        assert!(rules.name(ruled(3, 3)).is_some());
        assert_eq!(asked.get(), 3);
        answer.set(None);
        for _ in 0..2 {
            assert_eq!(rules.name(ruled(3, 4)), None);
        }
        assert_eq!(asked.get(), 4);
    }
}
