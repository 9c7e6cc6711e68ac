//! `fwctl flush`: empties the flow table.

use std::process::ExitCode;

use super::TableName;
use crate::args::Globals;
use crate::term;

/// Options of `fwctl flush`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:
  fwctl flush

Every connection has to be accepted by the rules again, with its next packet.")]
pub(crate) struct Args {
    #[arg(hide = true)]
    table: Option<TableName>,
}

impl Args {
    /// Removes every flow.
    ///
    /// # Errors
    /// What to tell the user.
    pub(crate) fn run(self, globals: &Globals) -> anyhow::Result<ExitCode> {
        let table = globals.maps()?.flows()?;
        let mut remover = table.remover()?;
        remover.flush()?;
        remover.finish()?;
        term::note(format_args!("connection tracking table has been emptied."));
        Ok(ExitCode::SUCCESS)
    }
}
