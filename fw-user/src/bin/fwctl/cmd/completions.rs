//! `fwctl completions`: what a shell needs to complete our options.

use std::io::Write;
use std::process::ExitCode;

use clap::CommandFactory;
use clap_complete::Shell;

use crate::args::{Cli, Globals};
use crate::term;

/// Options of `fwctl completions`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:
  fwctl completions bash > /etc/bash_completion.d/fwctl")]
pub(crate) struct Args {
    /// The shell
    shell: Shell,
}

impl Args {
    /// Prints the script.
    ///
    /// # Errors
    /// What to tell the user.
    pub(crate) fn run(self, _globals: &Globals) -> anyhow::Result<ExitCode> {
        // clap_complete panics when a write fails: it writes to memory.
        let mut script = Vec::new();
        clap_complete::generate(self.shell, &mut Cli::command(), "fwctl", &mut script);
        let mut out = term::output();
        out.write_all(&script)?;
        out.flush()?;
        Ok(ExitCode::SUCCESS)
    }
}
