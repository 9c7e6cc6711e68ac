//! `fwctl rules`: the ruleset.

mod check;

use std::process::ExitCode;

use clap::Subcommand;

use crate::args::Globals;

/// Options of `fwctl rules`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  fwctl rules check /etc/fwctl/rules.nft")]
pub(crate) struct Args {
    #[command(subcommand)]
    verb: Verb,
}

/// What is done with rules.
#[derive(Debug, Subcommand)]
enum Verb {
    /// Say what is wrong with files of rules, without loading them
    Check(check::Args),
}

impl Args {
    /// Does it.
    ///
    /// # Errors
    /// What to tell the user.
    pub(crate) fn run(self, globals: &Globals) -> anyhow::Result<ExitCode> {
        match self.verb {
            Verb::Check(args) => args.run(globals),
        }
    }
}
