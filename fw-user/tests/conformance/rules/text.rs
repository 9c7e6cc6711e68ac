//! A ruleset as text, in pieces that can be left out.

use std::fmt;

/// The tables of a ruleset.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Text {
    pub(crate) tables: Vec<Table>,
}

/// A table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Table {
    /// Family and name.
    pub(crate) head: String,
    /// Sets, maps and objects.
    pub(crate) objects: Vec<String>,
    pub(crate) chains: Vec<Chain>,
}

/// A chain.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Chain {
    pub(crate) name: String,
    /// Hook, priority and policy; empty if it is entered by jumps.
    pub(crate) hook: String,
    pub(crate) rules: Vec<String>,
}

impl Text {
    /// How many pieces can be left out.
    pub(crate) fn pieces(&self) -> usize {
        let in_table = |table: &Table| {
            let in_chains: usize = table.chains.iter().map(|c| c.rules.len() + 1).sum();
            table.objects.len() + in_chains + 1
        };
        self.tables.iter().map(in_table).sum()
    }

    /// The same without piece number `left_out`.
    pub(crate) fn without(&self, left_out: usize) -> Self {
        let mut number = 0..;
        let mut stays = || number.next() != Some(left_out);
        let mut text = self.clone();
        text.tables.retain_mut(|table| {
            table.objects.retain(|_| stays());
            table.chains.retain_mut(|chain| {
                chain.rules.retain(|_| stays());
                stays()
            });
            stays()
        });
        text
    }
}

impl fmt::Display for Text {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for table in &self.tables {
            writeln!(f, "table {} {{", table.head)?;
            for object in &table.objects {
                writeln!(f, "\t{object}")?;
            }
            // Chains that are jumped to stand before those that jump to them.
            for chain in table.chains.iter().rev() {
                writeln!(f, "\tchain {} {{", chain.name)?;
                if !chain.hook.is_empty() {
                    writeln!(f, "\t\t{}", chain.hook)?;
                }
                for rule in &chain.rules {
                    writeln!(f, "\t\t{rule}")?;
                }
                writeln!(f, "\t}}")?;
            }
            writeln!(f, "}}")?;
        }
        Ok(())
    }
}
