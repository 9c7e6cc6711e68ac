//! The summary: cases, packets, differences, explained differences, for each source of scripts.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use super::outcome::Outcome;
use super::script::Script;

/// What has been found.
#[derive(Debug, Default)]
pub(crate) struct Report {
    sources: BTreeMap<&'static str, Row>,
    /// How often each intended difference was met.
    explained: BTreeMap<&'static str, usize>,
    /// Directed cases of intended differences that are none.
    vanished: Vec<String>,
    /// Rulesets that differ.
    broken: usize,
    /// Differences that did not come back.
    accidents: usize,
}

/// A line of the table.
#[derive(Debug, Default)]
struct Row {
    cases: usize,
    packets: usize,
    /// Of them, sent straight from XDP.
    straight: usize,
    different: usize,
    explained: usize,
    took: Duration,
}

/// Unexplained differences that are printed in full; the others are only counted.
const SHOWN: usize = 12;

impl Report {
    /// Counts one script; whether it shows a difference that nothing explains.
    pub(crate) fn count(&mut self, source: &'static str, outcome: &Outcome) -> bool {
        let row = self.sources.entry(source).or_default();
        row.cases += 1;
        row.packets += outcome.packets;
        row.straight += outcome.straight;
        let Some(difference) = &outcome.difference else {
            return false;
        };
        if let Some(name) = difference.explained {
            row.explained += 1;
            *self.explained.entry(name).or_default() += 1;
        } else {
            row.different += 1;
        }
        difference.explained.is_none()
    }

    /// Adds to the time that `source` has taken.
    pub(crate) fn took(&mut self, source: &'static str, time: Duration) {
        self.sources.entry(source).or_default().took += time;
    }

    /// Prints an unexplained difference.
    pub(crate) fn show(&self, name: &str, script: &Script, outcome: &Outcome) {
        if let Some(difference) = outcome.unexplained()
            && self.unexplained() <= SHOWN
        {
            println!("DIFFERENT {name}\n{script}     {difference}");
        }
    }

    /// A difference that did not come back when the script was run again: it is none, but many of them
    /// would be.
    pub(crate) fn accident(&mut self, name: &str, script: &Script, outcome: &Outcome) {
        self.accidents += 1;
        if self.accidents <= SHOWN
            && let Some(difference) = &outcome.difference
        {
            println!("did not come back: {name}\n{script}     {difference}");
        }
    }

    /// Likewise, of a ruleset.
    pub(crate) fn passing(&mut self, what: &str) {
        self.accidents += 1;
        if self.accidents <= SHOWN {
            println!("did not come back: {what}");
        }
    }

    /// An intended difference whose case shows none: the document is wrong.
    pub(crate) fn vanished(&mut self, name: &str, wanted: &str) {
        let line = format!("{name}: no difference `{wanted}` here");
        println!("{line}");
        self.vanished.push(line);
    }

    /// Prints a ruleset that does not the same on both sides.
    pub(crate) fn broken(&mut self, what: &str) {
        self.broken += 1;
        if self.broken <= SHOWN {
            println!("DIFFERENT {what}");
        }
    }

    /// Packets compared in scripts of `source`.
    pub(crate) fn packets(&self, source: &str) -> usize {
        self.sources.get(source).map_or(0, |row| row.packets)
    }

    /// Packets that we sent straight from XDP.
    pub(crate) fn straight(&self) -> usize {
        self.sources.values().map(|row| row.straight).sum()
    }

    /// How often the intended difference `name` was met.
    pub(crate) fn met(&self, name: &str) -> usize {
        self.explained.get(name).copied().unwrap_or(0)
    }

    /// Everything that should not be.
    pub(crate) fn unexplained(&self) -> usize {
        let different: usize = self.sources.values().map(|row| row.different).sum();
        different + self.vanished.len() + self.broken
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut total = Row::default();
        writeln!(
            f,
            "{:<24} {:>8} {:>9} {:>9} {:>11} {:>9} {:>8}",
            "source", "cases", "packets", "straight", "differences", "explained", "seconds"
        )?;
        for (source, row) in &self.sources {
            writeln!(f, "{source:<24} {row}")?;
            total.cases += row.cases;
            total.packets += row.packets;
            total.straight += row.straight;
            total.different += row.different;
            total.explained += row.explained;
            total.took += row.took;
        }
        writeln!(f, "{:<24} {total}", "total")?;
        for (name, times) in &self.explained {
            writeln!(f, "explained by docs/differences.md, {name}: {times}")?;
        }
        write!(f, "differences that did not come back: {}", self.accidents)
    }
}

impl fmt::Display for Row {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            cases,
            packets,
            straight,
            different,
            explained,
            took,
        } = self;
        let (all, took) = (different + explained, took.as_secs_f32());
        write!(
            f,
            "{cases:>8} {packets:>9} {straight:>9} {all:>11} {explained:>9} {took:>8.1}"
        )
    }
}
