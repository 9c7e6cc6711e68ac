//! What was measured, as people and programs read it.

mod document;
mod plot;
mod table;

use serde::{Deserialize, Serialize};

use crate::machine::Machine;
use crate::stats::Summary;

pub use document::{Report, publish};

/// One workload's results.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Section {
    /// The workload's name, as `--only` takes it.
    pub name: String,
    /// Its heading.
    pub title: String,
    /// What is done, in a sentence or two.
    pub what: String,
    /// The figures.
    pub tables: Vec<Table>,
    /// What is to be known about them.
    pub notes: Vec<String>,
    /// When and how.
    pub run: Run,
}

/// When and how a workload was measured.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Run {
    /// The day and time, RFC 3339.
    pub date: String,
    /// The command.
    pub command: String,
    /// The version of the source, as git names it.
    pub version: String,
    /// The machine's load before.
    pub load: f64,
    /// Rounds.
    pub rounds: usize,
    /// The machine.
    pub machine: Machine,
}

/// Figures in rows and columns.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Table {
    /// What the figures are, with their unit.
    pub caption: String,
    /// Headings; the first is of the rows' names.
    pub columns: Vec<String>,
    /// The rows.
    pub rows: Vec<Row>,
}

/// A row of a table.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Row {
    /// Its name.
    pub name: String,
    /// Its figures.
    pub cells: Vec<Cell>,
}

/// A place in a table.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Cell {
    /// Not measured.
    None,
    /// Measured several times.
    Summary(Summary),
    /// How many times as much.
    Ratio(Summary),
    /// How many times as much, the whole and the part that matters.
    Ratios(Summary, Summary),
    /// Counted, or measured once.
    Number(f64),
    /// In words.
    Text(String),
}

impl Table {
    /// A table without rows.
    #[must_use]
    pub fn new<'a>(caption: &str, columns: impl IntoIterator<Item = &'a str>) -> Self {
        Self {
            caption: caption.to_owned(),
            columns: columns.into_iter().map(str::to_owned).collect(),
            rows: Vec::new(),
        }
    }

    /// Adds a row.
    pub fn push(&mut self, name: &str, cells: Vec<Cell>) {
        self.rows.push(Row {
            name: name.to_owned(),
            cells,
        });
    }
}

impl Section {
    /// Whether a figure is not to be relied on.
    #[must_use]
    pub fn is_noisy(&self) -> bool {
        let cells = self
            .tables
            .iter()
            .flat_map(|table| &table.rows)
            .flat_map(|row| &row.cells);
        cells
            .into_iter()
            .any(|cell| matches!(cell, Cell::Summary(summary) if summary.is_noisy()))
    }
}
