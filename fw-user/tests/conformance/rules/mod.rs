//! Parity of rules: the same text is loaded by nft in the kernel's router and by our compiler into our
//! maps, the same packets go through both, and each packet's verdict and at the end each rule's counters
//! are compared. Rulesets: those of `rules/`, and random ones.

mod asked;
mod counters;
pub(crate) mod directed;
mod effects;
mod flows;
mod generate;
pub(crate) mod limits;
mod matches;
mod sets;
mod shrink;
mod text;

use std::fmt;
use std::path::Path;
use std::time::Instant;

use anyhow::Result;
use fw_user::rules::compile::{Compiled, Lookup, compile};
use fw_user::rules::ir::Ruleset;
use fw_user::rules::load_text;

use crate::extent::Extent;
use crate::harness::HZ;
use crate::outcome::Outcome;
use crate::random;
use crate::report::Report;
use crate::rng::Rng;
use crate::run::{Arena, RUNS};
use crate::script::Script;
use crate::settings::Settings;

use text::Text;

/// Scripts that one ruleset is shown.
const SCRIPTS: usize = 60;

/// Times that a directed one is run again before its difference counts: on a loaded machine rates and lists that
/// are looked at once a tick may fall on either side several times in a row.
const AGAIN: usize = 8;

/// Random rulesets at least, however slow the machine is.
const LEAST: u64 = 10;

/// Their lines in the report.
const RANDOM: &str = "rules, random";
const EXAMPLES: &str = "rules, examples";

/// A ruleset and what it is shown.
#[derive(Clone, Debug)]
pub(crate) struct Pair {
    pub(crate) text: Text,
    pub(crate) scripts: Vec<Script>,
}

/// What the two do not agree on.
#[derive(Clone, Debug)]
pub(crate) enum Finding {
    /// We refuse what nft takes.
    Refused(String),
    /// We take what nft refuses.
    Taken(String),
    /// Neither takes it: the generator is wrong.
    Nonsense(String),
    /// A packet's verdict or state.
    Packet(String),
    /// What a rule has counted.
    Counters(Vec<String>),
}

impl Finding {
    /// Whether it is of the same kind.
    pub(crate) const fn is_like(&self, other: &Self) -> bool {
        matches!(
            (self, other),
            (Self::Refused(_), Self::Refused(_))
                | (Self::Taken(_), Self::Taken(_))
                | (Self::Nonsense(_), Self::Nonsense(_))
                | (
                    Self::Packet(_) | Self::Counters(_),
                    Self::Packet(_) | Self::Counters(_)
                )
        )
    }
}

/// What became of a pair.
#[derive(Debug, Default)]
pub(crate) struct Tried {
    pub(crate) outcomes: Vec<Outcome>,
    pub(crate) finding: Option<Finding>,
    /// Packets that passed on both sides.
    pub(crate) passed: usize,
}

/// The router's interfaces.
struct Ports([u32; 2]);

impl Lookup for Ports {
    fn ifindex(&self, name: &str) -> Option<u32> {
        match name {
            "lo" => Some(1),
            "eth0" => Some(self.0[0]),
            "eth1" => Some(self.0[1]),
            _ => None,
        }
    }

    fn hz(&self) -> u32 {
        HZ
    }
}

/// Our reading of a text, or what we have against it.
fn understood(text: &str, ports: [u32; 2]) -> Result<(Ruleset, Compiled), String> {
    let loaded = load_text("generated", text);
    let Some(ruleset) = loaded.ruleset else {
        return Err(loaded.report.render(false));
    };
    match compile(&ruleset, &Ports(ports)) {
        Ok(compiled) => Ok((ruleset, compiled)),
        Err(errors) => Err(errors.iter().map(|error| format!("{error}\n")).collect()),
    }
}

/// Runs the scripts under a ruleset.
pub(crate) fn try_pair(arena: &mut Arena, pair: &Pair) -> Result<Tried> {
    try_text(arena, &pair.text.to_string(), &pair.scripts)
}

/// Runs them until there is nothing to be found, or it was found while the machine did not stand still.
fn try_text(arena: &mut Arena, text: &str, scripts: &[Script]) -> Result<Tried> {
    let mut tried = try_once(arena, text, scripts)?;
    for _ in 1..RUNS {
        if tried.finding.is_none() || !arena.has_stalled() {
            break;
        }
        tried = try_once(arena, text, scripts)?;
    }
    Ok(tried)
}

/// [`try_text`], and once more if it does not come out even: what comes back each time is a difference.
fn try_again(
    arena: &mut Arena,
    report: &mut Report,
    text: &str,
    scripts: &[Script],
) -> Result<Tried> {
    let mut tried = try_text(arena, text, scripts)?;
    for _ in 0..AGAIN {
        let Some(finding) = &tried.finding else {
            break;
        };
        report.passing(&format!("{text}{finding}"));
        tried = try_text(arena, text, scripts)?;
    }
    Ok(tried)
}

fn try_once(arena: &mut Arena, text: &str, scripts: &[Script]) -> Result<Tried> {
    let found = |finding| Tried {
        finding: Some(finding),
        ..Tried::default()
    };
    let (ruleset, compiled) = match (understood(text, arena.ports()), arena.nft(text)) {
        (Ok(understood), Ok(())) => understood,
        (Err(message), Ok(())) => return Ok(found(Finding::Refused(message))),
        (Ok(_), Err(error)) => return Ok(found(Finding::Taken(error.to_string()))),
        (Err(message), Err(_)) => return Ok(found(Finding::Nonsense(message))),
    };
    arena.rule(&compiled)?;
    let outcomes = arena.run(scripts, Settings::DEFAULT)?;
    let explained =
        |outcome: &Outcome| outcome.unexplained().is_none() && outcome.difference.is_some();
    if outcomes.iter().any(explained) {
        // An intended difference changes the counters: without it.
        let all = scripts.iter().zip(&outcomes);
        let others: Vec<Script> = all
            .filter(|(_, outcome)| !explained(outcome))
            .map(|(script, _)| script.clone())
            .collect();
        return try_once(arena, text, &others);
    }
    let different = outcomes.iter().zip(scripts).find_map(|(outcome, script)| {
        let difference = outcome.unexplained()?;
        Some(Finding::Packet(format!("{script}     {difference}")))
    });
    let kernel = counters::of_kernel(&arena.kernel_ruleset()?)?;
    let tallies = arena.counters(compiled.counters.len())?;
    let ours = counters::of_ours(&ruleset, &compiled, &tallies);
    let counted = counters::different(&kernel, &ours);
    let counted = (!counted.is_empty()).then_some(Finding::Counters(counted));
    Ok(Tried {
        passed: outcomes.iter().map(|outcome| outcome.passed).sum(),
        finding: different.or(counted),
        outcomes,
    })
}

/// Scripts number `n` of `seed`.
fn scripts(seed: u64, n: u64) -> Vec<Script> {
    let mut rng = Rng::new(seed ^ n.wrapping_mul(0x2545_f491_4f6c_dd1d));
    (0..SCRIPTS)
        .map(|_| random::plain_script(&mut rng))
        .collect()
}

/// The examples, and random rulesets.
pub(crate) fn run(arena: &mut Arena, report: &mut Report, extent: Extent) -> Result<()> {
    let seed = extent.seed;
    let start = Instant::now();
    examples(arena, report, seed)?;
    report.took(EXAMPLES, start.elapsed());
    let start = Instant::now();
    let (mut rulesets, mut passed) = (0, 0);
    while rulesets < LEAST || !extent.is_reached(report.packets(RANDOM)) {
        let pair = Pair {
            text: generate::ruleset(seed, rulesets),
            scripts: scripts(seed, rulesets),
        };
        let mut tried = try_pair(arena, &pair)?;
        if let Some(Finding::Nonsense(message)) = &tried.finding {
            report.broken(&format!(
                "seed {seed} ruleset {rulesets}, taken by neither:\n{message}"
            ));
            tried.finding = None;
        }
        passed += tried.passed;
        let mut shown = None;
        if tried.finding.is_some() {
            shown = shrink::shrink(arena, &pair)?;
            if let (None, Some(finding)) = (&shown, &tried.finding) {
                report.passing(&format!("seed {seed} ruleset {rulesets}\n{finding}"));
            }
            // Counted once, as a ruleset.
            tried
                .outcomes
                .iter_mut()
                .for_each(|outcome| outcome.difference = None);
        }
        for outcome in &tried.outcomes {
            report.count(RANDOM, outcome);
        }
        if let Some((pair, finding)) = shown {
            report.broken(&format!("seed {seed} ruleset {rulesets}\n{pair}{finding}"));
        }
        rulesets += 1;
    }
    report.took(RANDOM, start.elapsed());
    println!("{rulesets} random rulesets from seed {seed}; {passed} packets passed both");
    arena.no_rules()
}

fn examples(arena: &mut Arena, report: &mut Report, seed: u64) -> Result<()> {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("../rules");
    let mut files: Vec<_> = std::fs::read_dir(directory)?
        .map(|entry| Ok(entry?.path()))
        .collect::<Result<_>>()?;
    files.retain(|path| path.extension().is_some_and(|extension| extension == "nft"));
    files.sort();
    for (path, n) in files.iter().zip(1..) {
        let text = std::fs::read_to_string(path)?;
        let scripts = scripts(seed, n << 32);
        let mut tried = try_text(arena, &text, &scripts)?;
        if let Some(finding @ (Finding::Packet(_) | Finding::Counters(_))) = tried.finding.take() {
            for _ in 0..shrink::TRIES {
                tried = try_text(arena, &text, &scripts)?;
                if tried.finding.is_some() {
                    break;
                }
            }
            if tried.finding.is_none() {
                report.passing(&format!("{}\n{finding}", path.display()));
            }
        }
        for outcome in &tried.outcomes {
            report.count(EXAMPLES, outcome);
        }
        match tried.finding {
            // By name, and with a way out: no difference, but nothing to compare either.
            Some(Finding::Refused(why)) => println!("NOT COMPARED {}\n{why}", path.display()),
            Some(finding) => report.broken(&format!("{}\n{finding}", path.display())),
            None => {}
        }
    }
    Ok(())
}

impl fmt::Display for Pair {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.text)?;
        self.scripts
            .iter()
            .take(4)
            .try_for_each(|script| write!(f, "{script}"))
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Refused(message) => write!(f, "refused by us, and not by nft: {message}"),
            Self::Taken(message) => write!(f, "taken by us, and not by nft: {message}"),
            Self::Nonsense(message) => write!(f, "taken by neither: {message}"),
            Self::Packet(message) => f.write_str(message),
            Self::Counters(lines) => lines.iter().try_for_each(|line| writeln!(f, "     {line}")),
        }
    }
}
