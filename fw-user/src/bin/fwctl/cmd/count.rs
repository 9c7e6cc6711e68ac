//! `fwctl count`: how many flows there are.

use std::io::Write;
use std::process::ExitCode;

use fw_user::flows::FilterArgs;
use fw_user::maps::MapsError;

use super::TableName;
use crate::args::Globals;
use crate::term;

/// Options of `fwctl count`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  fwctl count
  fwctl count -p tcp --state SYN_SENT

Unlike `conntrack -C`, it leaves out flows that have expired and are not swept up yet.")]
pub(crate) struct Args {
    #[arg(hide = true)]
    table: Option<TableName>,
    #[command(flatten)]
    filter: FilterArgs,
}

impl Args {
    /// Prints the number of flows that match.
    ///
    /// # Errors
    /// What to tell the user.
    pub(crate) fn run(self, globals: &Globals) -> anyhow::Result<ExitCode> {
        let filter = self.filter.filter()?;
        let table = globals.maps()?.flows()?;
        let mut count = 0_u64;
        table.visit(filter.family, |entry| {
            count += u64::from(filter.matches(entry));
            Ok::<_, MapsError>(())
        })?;
        let mut out = term::output();
        writeln!(out, "{count}")?;
        out.flush()?;
        Ok(ExitCode::SUCCESS)
    }
}
