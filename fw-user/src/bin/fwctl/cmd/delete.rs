//! `fwctl delete`: removes the flows that match.

use std::process::ExitCode;

use fw_user::flows::FilterArgs;

use super::{Output, TableName};
use crate::args::Globals;
use crate::term;

/// Options of `fwctl delete`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  fwctl delete -s 192.168.1.2                  cut off what this host has opened
  fwctl delete -p udp --dport 53 -u UNREPLIED

A flow whose packets the rules still accept comes back with its next packet. Exit status 1 if no flow
matched.")]
pub(crate) struct Args {
    #[arg(hide = true)]
    table: Option<TableName>,
    #[command(flatten)]
    output: Output,
    #[command(flatten)]
    filter: FilterArgs,
}

impl Args {
    /// Removes and prints the flows that match.
    ///
    /// # Errors
    /// What to tell the user.
    pub(crate) fn run(self, globals: &Globals) -> anyhow::Result<ExitCode> {
        let filter = self.filter.filter()?;
        let table = globals.maps()?.flows()?;
        let mut printer = self.output.printer(&table, globals);
        let mut remover = table.remover()?;
        table.visit(filter.family, |entry| -> anyhow::Result<()> {
            if filter.matches(entry) && remover.delete(entry)? {
                printer.flow(entry)?;
            }
            Ok(())
        })?;
        remover.finish()?;
        let count = printer.finish()?;
        term::note(format_args!("{count} flow entries have been deleted."));
        Ok(if count == 0 {
            ExitCode::FAILURE
        } else {
            ExitCode::SUCCESS
        })
    }
}
