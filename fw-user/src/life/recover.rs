//! What a daemon does with what an earlier one left.

use std::time::Duration;

use super::boot::Now;
use super::store::Saved;

/// What was found at the start.
#[derive(Clone, Debug)]
pub struct Found {
    /// Generation of the ruleset in the programs; 0: none.
    pub in_force: u32,
    /// `current.nft`.
    pub current: Option<Saved>,
    /// `next.nft`.
    pub next: Option<Saved>,
}

/// What is to be done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Decision {
    /// Nothing was ever loaded.
    Nothing,
    /// This ruleset is at work and stays.
    Keep(Saved),
    /// This one was at work before the machine was restarted: it is loaded.
    Load(Saved),
    /// The flip was the last that the earlier daemon did: this one is at work, and becomes the current.
    Promote(Saved),
    /// This one is at work and waits for its confirmation.
    Await(Saved, Duration),
    /// The time for the confirmation of another is over: back to this one, or to none.
    RollBack(Option<Saved>),
    /// Something is at work, but what it was is not on the disk: it stays.
    Unknown,
}

/// Decides. `next.nft` counts only if it is what the programs work by: otherwise the earlier daemon
/// died before the flip, or the machine was restarted, and it has never been, or is no longer, in force.
#[must_use]
pub fn decide(found: Found, now: &Now) -> Decision {
    let Found {
        in_force,
        current,
        next,
    } = found;
    if let Some(next) = next.filter(|next| in_force != 0 && next.generation == in_force) {
        return match &next.confirm {
            None => Decision::Promote(next),
            Some(deadline) => match deadline.left(now) {
                Some(left) => Decision::Await(next, left),
                None => Decision::RollBack(current),
            },
        };
    }
    match current {
        Some(current) if current.generation == in_force => Decision::Keep(current),
        Some(current) => Decision::Load(current),
        None if in_force == 0 => Decision::Nothing,
        None => Decision::Unknown,
    }
}

#[cfg(test)]
mod tests {
    use super::super::boot::Deadline;
    use super::*;

    fn saved(generation: u32) -> Saved {
        Saved {
            generation,
            loaded: "2026-11-27T09:00:00Z".parse().unwrap(),
            file: None,
            observe: false,
            failsafe: Vec::new(),
            confirm: None,
            text: "table ip t {\n}\n".into(),
        }
    }

    fn at(uptime: u64) -> Now {
        Now {
            boot: "this".into(),
            uptime: Duration::from_secs(uptime),
        }
    }

    fn unconfirmed(generation: u32) -> Saved {
        Saved {
            confirm: Some(Deadline::after(&at(0), Duration::from_secs(60))),
            ..saved(generation)
        }
    }

    #[track_caller]
    fn check(in_force: u32, current: Option<Saved>, next: Option<Saved>, expected: &Decision) {
        let found = Found {
            in_force,
            current,
            next,
        };
        assert_eq!(decide(found, &at(10)), *expected);
    }

    #[test]
    fn first_start_has_nothing() {
        check(0, None, None, &Decision::Nothing);
    }

    #[test]
    fn restart_of_the_daemon_keeps_what_is_at_work() {
        check(6, Some(saved(6)), None, &Decision::Keep(saved(6)));
    }

    #[test]
    fn restart_of_the_machine_loads_the_last_good_one() {
        check(0, Some(saved(6)), None, &Decision::Load(saved(6)));
        check(
            0,
            Some(saved(6)),
            Some(unconfirmed(7)),
            &Decision::Load(saved(6)),
        );
        check(0, None, Some(unconfirmed(7)), &Decision::Nothing);
    }

    #[test]
    fn every_moment_of_a_reload_is_old_or_new() {
        // Killed before the flip, and after it.
        check(6, Some(saved(6)), Some(saved(7)), &Decision::Keep(saved(6)));
        check(
            7,
            Some(saved(6)),
            Some(saved(7)),
            &Decision::Promote(saved(7)),
        );
        check(7, Some(saved(7)), None, &Decision::Keep(saved(7)));
        // The first ruleset ever.
        check(0, None, Some(saved(1)), &Decision::Nothing);
        check(1, None, Some(saved(1)), &Decision::Promote(saved(1)));
    }

    #[test]
    fn confirmation_is_awaited_until_its_time_is_over() {
        let left = Duration::from_secs(50);
        check(
            7,
            Some(saved(6)),
            Some(unconfirmed(7)),
            &Decision::Await(unconfirmed(7), left),
        );
        let found = |current| Found {
            in_force: 7,
            current,
            next: Some(unconfirmed(7)),
        };
        let late = decide(found(Some(saved(6))), &at(61));
        assert_eq!(late, Decision::RollBack(Some(saved(6))));
        assert_eq!(decide(found(None), &at(61)), Decision::RollBack(None));
    }

    #[test]
    fn roll_back_that_was_broken_off_is_done_again() {
        // `next.nft` is the old ruleset under a new number, the programs still work by the unconfirmed.
        check(7, Some(saved(6)), Some(saved(8)), &Decision::Load(saved(6)));
        check(
            8,
            Some(saved(6)),
            Some(saved(8)),
            &Decision::Promote(saved(8)),
        );
    }

    #[test]
    fn lost_state_directory_opens_nothing() {
        check(7, None, None, &Decision::Unknown);
    }
}
