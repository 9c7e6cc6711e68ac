//! Scripts written by hand: every row and special case of conntrack's behaviour that is known.

mod dialogue;
mod fragments;
mod icmp;
mod intended;
mod quotes;
pub(crate) mod sctp;
mod tcp;
mod tcp_flags;
mod udp;

use std::time::Instant;

use anyhow::Result;

use super::differences;
use super::outcome::Outcome;
use super::report::Report;
use super::run::{Arena, SIDE_BY_SIDE};
use super::script::{Packet, Script, Step};
use super::settings::Settings;
use fw_common::wire::Family;

/// A script with a name.
pub(crate) struct Case {
    name: String,
    script: Script,
    settings: Settings,
    /// The intended difference that it shows.
    intended: Option<&'static str>,
}

impl Case {
    /// With default settings, and no difference.
    fn new(name: impl Into<String>, family: Family, packets: Vec<Packet>) -> Self {
        let steps = packets.into_iter().map(Step::Send).collect();
        Self::of_steps(name, family, steps)
    }

    fn of_steps(name: impl Into<String>, family: Family, steps: Vec<Step>) -> Self {
        Self {
            name: name.into(),
            script: Script { family, steps },
            settings: Settings::DEFAULT,
            intended: None,
        }
    }

    const fn with(mut self, settings: Settings) -> Self {
        self.settings = settings;
        self
    }

    const fn differs(mut self, name: &'static str) -> Self {
        self.intended = Some(name);
        self
    }

    /// Whether the outcome shows the difference that is intended, and no other.
    fn is_met_by(&self, outcome: &Outcome) -> bool {
        let explained = outcome
            .difference
            .as_ref()
            .map(|difference| difference.explained);
        match self.intended {
            Some(name) => explained == Some(Some(name)),
            None => explained != Some(None),
        }
    }
}

/// Runs them all.
pub(crate) fn run(arena: &mut Arena, report: &mut Report) -> Result<()> {
    for (source, cases) in [
        ("ICMP types", icmp::cases()),
        ("ICMP errors", quotes::cases()),
        ("TCP flags", tcp_flags::cases()),
        ("TCP sequences", tcp::cases()),
        ("UDP and others", udp::cases()),
        ("SCTP", sctp::cases()),
        ("fragments", fragments::cases()),
        ("intended differences", intended::cases()),
    ] {
        let start = Instant::now();
        run_group(arena, report, source, &cases)?;
        report.took(source, start.elapsed());
    }
    for name in differences::NAMES {
        if report.met(name) == 0 {
            report.vanished("all directed cases", name);
        }
    }
    Ok(())
}

fn run_group(
    arena: &mut Arena,
    report: &mut Report,
    source: &'static str,
    cases: &[Case],
) -> Result<()> {
    let mut rest: Vec<&Case> = cases.iter().collect();
    while let Some(first) = rest.first() {
        let settings = first.settings;
        // Only those under the same settings run side by side.
        let (same, others): (Vec<&Case>, Vec<&Case>) =
            rest.into_iter().partition(|case| case.settings == settings);
        for batch in same.chunks(SIDE_BY_SIDE) {
            run_batch(arena, report, source, batch)?;
        }
        rest = others;
    }
    Ok(())
}

/// Times that a case is run again before its difference counts.
const TRIES: usize = 4;

fn run_batch(
    arena: &mut Arena,
    report: &mut Report,
    source: &'static str,
    batch: &[&Case],
) -> Result<()> {
    let mut outcomes = outcomes(arena, batch)?;
    let mut odd: Vec<usize> = (0..batch.len()).collect();
    odd.retain(|at| !batch[*at].is_met_by(&outcomes[*at]));
    for _ in 0..TRIES {
        if odd.is_empty() {
            break;
        }
        // Once more: the machine may have been slow, or its table resized while it was read.
        let again: Vec<&Case> = odd.iter().map(|at| batch[*at]).collect();
        for (at, outcome) in odd.iter().zip(self::outcomes(arena, &again)?) {
            if batch[*at].is_met_by(&outcome) {
                report.accident(&batch[*at].name, &batch[*at].script, &outcomes[*at]);
            }
            outcomes[*at] = outcome;
        }
        odd.retain(|at| !batch[*at].is_met_by(&outcomes[*at]));
    }
    for (case, outcome) in batch.iter().zip(outcomes) {
        report.count(source, &outcome);
        report.show(&format!("{source}, {}", case.name), &case.script, &outcome);
        if let Some(name) = case.intended.filter(|_| !case.is_met_by(&outcome)) {
            report.vanished(&case.name, name);
        }
    }
    Ok(())
}

fn outcomes(arena: &mut Arena, batch: &[&Case]) -> Result<Vec<Outcome>> {
    let scripts: Vec<Script> = batch.iter().map(|case| case.script.clone()).collect();
    arena.run(&scripts, batch[0].settings)
}
