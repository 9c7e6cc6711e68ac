//! From a script on which the two differ to the shortest part of it on which they still do.

use anyhow::Result;

use super::outcome::Outcome;
use super::run::{Arena, SIDE_BY_SIDE};
use super::script::Script;
use super::settings::Settings;

/// Times that a script is run again before its difference counts as an accident of timing.
const TRIES: usize = 4;

/// The shortest script found and its outcome; `None` if the difference did not come back.
pub(crate) fn shrink(
    arena: &mut Arena,
    script: &Script,
    settings: Settings,
) -> Result<Option<(Script, Outcome)>> {
    let copies = vec![script.clone(); TRIES];
    let Some(mut found) = first_different(arena, &copies, settings)? else {
        return Ok(None);
    };
    while let Some(shorter) = first_different(arena, &shorter(&found), settings)? {
        found = shorter;
    }
    Ok(Some(found))
}

/// The script up to the difference, with each of its steps left out in turn.
fn shorter((script, outcome): &(Script, Outcome)) -> Vec<Script> {
    let last = outcome
        .difference
        .as_ref()
        .map_or(0, |difference| difference.step);
    let without = |left_out: usize| {
        let mut steps = script.steps.clone();
        steps.truncate(last + 1);
        steps.remove(left_out);
        Script {
            family: script.family,
            steps,
        }
    };
    (0..last).rev().map(without).take(SIDE_BY_SIDE).collect()
}

fn first_different(
    arena: &mut Arena,
    scripts: &[Script],
    settings: Settings,
) -> Result<Option<(Script, Outcome)>> {
    let outcomes = arena.run(scripts, settings)?;
    let found = outcomes
        .into_iter()
        .zip(scripts)
        .find(|(o, _)| o.unexplained().is_some());
    Ok(found.map(|(outcome, script)| (script.clone(), outcome)))
}
