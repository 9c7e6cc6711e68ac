//! `benchmarks.json`, and the document and the plot that are made of it.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use anyhow::{Context as _, Result};
use serde::{Deserialize, Serialize};

use super::{Run, Section, plot};

/// The latest results of every workload.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Report(BTreeMap<String, Section>);

const RECORD: &str = "benchmarks.json";
const DOCUMENT: &str = "benchmarks.md";
const PLOT: &str = "benchmarks.svg";

const PREFACE: &str = "\
# Benchmarks

Written by `cargo xtask bench`; the figures behind it are in [benchmarks.json](benchmarks.json).

A client, a router and a server in network namespaces, connected by veth pairs. A BPF program on the
client makes the packets (`BPF_PROG_TEST_RUN` with live frames, 64 at a time), the server counts and drops
them in XDP. Generator, router and server run one after the other in one thread, which has real-time
priority on one CPU; **a figure is the CPU time of that thread for a packet that has arrived**, softirqs
included. It is no throughput of a NIC, and what differs between two rows is the router. All contestants take turns in every round; a figure
is the median with the least and the greatest in brackets, a ratio is taken within each round. `~` marks
figures that differ by more than a third: something else was going on.

Both firewalls have the same ruleset, which accepts what is established first; counters of flows are on in both.
In the kernel's favour: checksums are not verified (`nf_conntrack_checksum=0`), as if a NIC had done so, and
UDP over IPv4 goes without.
";

impl Report {
    /// The record in `dir`; an empty one if there is none.
    ///
    /// # Errors
    /// When there is one that can't be read.
    pub fn load(dir: &Path) -> Result<Self> {
        let path = dir.join(RECORD);
        if !path.exists() {
            return Ok(Self::default());
        }
        let text = fs::read_to_string(&path)?;
        serde_json::from_str(&text).with_context(|| format!("can't read {}", path.display()))
    }

    /// Puts these results in the place of older ones.
    pub fn update(&mut self, sections: Vec<Section>) {
        for section in sections {
            self.0.insert(section.name.clone(), section);
        }
    }

    /// The document. `order` has the names of all workloads.
    fn to_markdown(&self, order: &[&str]) -> String {
        let mut text = PREFACE.to_owned();
        if order
            .iter()
            .any(|name| self.0.get(*name).is_some_and(plot::is_shown))
        {
            let _ = write!(text, "\n![CPU time by number of flows]({PLOT})\n");
        }
        for section in order.iter().filter_map(|name| self.0.get(*name)) {
            let _ = write!(text, "\n## {}\n\n{}\n", section.title, section.what);
            for table in &section.tables {
                let _ = write!(text, "\n{}", table.to_markdown());
            }
            if !section.notes.is_empty() {
                text.push('\n');
            }
            for note in &section.notes {
                let _ = writeln!(text, "- {note}");
            }
            let _ = write!(text, "\n{}\n", small_print(&section.run));
        }
        text
    }
}

fn small_print(run: &Run) -> String {
    let Run {
        date,
        command,
        version,
        load,
        rounds,
        machine,
    } = run;
    let day = date.get(..10).unwrap_or(date);
    format!(
        "<sub>`{command}`, {day}, {rounds} rounds, version {version}; load {load:.1} before; {}</sub>",
        machine.describe()
    )
}

/// Writes record, document and plot to `dir`.
///
/// # Errors
/// When they can't be written.
pub fn publish(dir: &Path, sections: Vec<Section>, order: &[&str]) -> Result<()> {
    fs::create_dir_all(dir)?;
    let mut report = Report::load(dir)?;
    report.update(sections);
    write(
        dir,
        RECORD,
        &(serde_json::to_string_pretty(&report)? + "\n"),
    )?;
    write(dir, DOCUMENT, &report.to_markdown(order))?;
    match order
        .iter()
        .filter_map(|name| report.0.get(*name))
        .find(|s| plot::is_shown(s))
    {
        Some(section) => write(dir, PLOT, &plot::svg(section)?),
        None => Ok(()),
    }
}

fn write(dir: &Path, name: &str, text: &str) -> Result<()> {
    let path = dir.join(name);
    fs::write(&path, text).with_context(|| format!("can't write {}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::{Cell, Table};

    fn section(name: &str) -> Section {
        let mut table = Table::new("ns", ["", "1"]);
        table.push("fwctl", vec![Cell::Number(1.0)]);
        Section {
            name: name.to_owned(),
            title: format!("About {name}"),
            tables: vec![table],
            notes: vec!["A note.".to_owned()],
            ..Section::default()
        }
    }

    #[test]
    fn a_later_run_replaces_its_workload_only() {
        let mut report = Report::default();
        report.update(vec![section("one"), section("two")]);
        let mut again = section("two");
        again.title = "Anew".to_owned();
        report.update(vec![again]);
        let text = report.to_markdown(&["two", "one", "three"]);
        let anew = text.find("## Anew").unwrap();
        assert!(anew < text.find("## About one").unwrap(), "{text}");
        assert!(!text.contains("About two"));
    }

    #[test]
    fn the_record_reads_back() {
        let mut report = Report::default();
        report.update(vec![section("one")]);
        let text = serde_json::to_string(&report).unwrap();
        assert_eq!(serde_json::from_str::<Report>(&text).unwrap(), report);
    }
}
