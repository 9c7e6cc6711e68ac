//! From a ruleset and scripts on which the two differ to the least of both on which they still do.

use anyhow::Result;

use crate::run::Arena;
use crate::script::Script;

use super::text::Text;
use super::{Finding, Pair, try_pair};

/// Times that a pair is run again before its difference counts as an accident of timing.
pub(super) const TRIES: usize = 3;

/// Runs that a shrinking may take.
const BUDGET: usize = 250;

/// The least pair found, and what differs; `None` if the difference did not come back.
pub(crate) fn shrink(arena: &mut Arena, pair: &Pair) -> Result<Option<(Pair, Finding)>> {
    let mut best = None;
    for _ in 0..TRIES {
        if let Some(finding) = try_pair(arena, pair)?.finding {
            best = Some((pair.clone(), finding));
            break;
        }
    }
    let Some(mut best) = best else {
        return Ok(None);
    };
    let mut runs = 0;
    halves(arena, &mut best, &mut runs)?;
    loop {
        let before = runs;
        let smaller = pieces(arena, &mut best, &mut runs)? | steps(arena, &mut best, &mut runs)?;
        if !smaller || runs >= BUDGET || before == runs {
            return Ok(Some(best));
        }
    }
}

/// Takes `candidate` if the two differ on it too.
fn accept(
    arena: &mut Arena,
    best: &mut (Pair, Finding),
    candidate: Pair,
    runs: &mut usize,
) -> Result<bool> {
    if *runs >= BUDGET {
        return Ok(false);
    }
    *runs += 1;
    let found = try_pair(arena, &candidate)?.finding;
    Ok(match found.filter(|finding| finding.is_like(&best.1)) {
        Some(finding) => {
            *best = (candidate, finding);
            true
        }
        None => false,
    })
}

/// Half of the scripts, as often as it goes.
fn halves(arena: &mut Arena, best: &mut (Pair, Finding), runs: &mut usize) -> Result<()> {
    while best.0.scripts.len() > 1 {
        let (front, back) = best.0.scripts.split_at(best.0.scripts.len() / 2);
        let mut shorter = false;
        for scripts in [front.to_vec(), back.to_vec()] {
            let candidate = Pair {
                text: best.0.text.clone(),
                scripts,
            };
            if accept(arena, best, candidate, runs)? {
                shorter = true;
                break;
            }
        }
        if !shorter {
            break;
        }
    }
    Ok(())
}

/// Pieces of the rules left out in turn.
fn pieces(arena: &mut Arena, best: &mut (Pair, Finding), runs: &mut usize) -> Result<bool> {
    let (mut smaller, mut at) = (false, best.0.text.pieces());
    while at > 0 {
        // A table takes its pieces along.
        at = at.min(best.0.text.pieces()).saturating_sub(1);
        let text: Text = best.0.text.without(at);
        let candidate = Pair {
            text,
            scripts: best.0.scripts.clone(),
        };
        smaller |= accept(arena, best, candidate, runs)?;
    }
    Ok(smaller)
}

/// Scripts without one of their steps, from the last on.
fn steps(arena: &mut Arena, best: &mut (Pair, Finding), runs: &mut usize) -> Result<bool> {
    let mut smaller = false;
    for number in 0..best.0.scripts.len() {
        let mut at = best.0.scripts[number].steps.len();
        while at > 0 {
            at -= 1;
            let mut scripts: Vec<Script> = best.0.scripts.clone();
            scripts[number].steps.remove(at);
            let candidate = Pair {
                text: best.0.text.clone(),
                scripts,
            };
            smaller |= accept(arena, best, candidate, runs)?;
        }
    }
    Ok(smaller)
}
