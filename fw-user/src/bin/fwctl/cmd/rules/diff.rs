//! `fwctl rules diff`: a file beside the ruleset in force.

use std::io::Write as _;
use std::process::ExitCode;

use fw_user::control::rules;
use fw_user::rules::{Style, print_ruleset};
use similar::TextDiff;

use super::{Source, list};
use crate::args::Globals;
use crate::term;

/// Options of `fwctl rules diff`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:
  fwctl rules diff /etc/fwctl/rules.nft

What `fwctl rules apply` of the file would change, as a unified diff of both in nft's style, without
counts. Exit status as diff(1): 0 they are the same, 1 they differ, 2 bad arguments; 1, too, if the file
has mistakes.")]
pub(super) struct Args {
    #[command(flatten)]
    source: Source,
}

impl Args {
    /// Prints the difference.
    ///
    /// # Errors
    /// What to tell the user.
    pub(super) fn run(self, globals: &Globals) -> anyhow::Result<ExitCode> {
        let Some(ready) = self.source.read(globals) else {
            return Ok(ExitCode::FAILURE);
        };
        let new = print_ruleset(
            &ready.ruleset,
            Style {
                stateless: true,
                ..Style::default()
            },
        );
        let stateless = rules::Style {
            stateless: true,
            ..rules::Style::default()
        };
        let old = list::text(globals, stateless)?;
        if old == new {
            return Ok(ExitCode::SUCCESS);
        }
        let name = self.source.name().unwrap_or_else(|| "-".into());
        let diff = TextDiff::from_lines(&old, &new);
        let mut out = term::output();
        write!(out, "{}", diff.unified_diff().header("in force", &name))?;
        out.flush()?;
        Ok(ExitCode::FAILURE)
    }
}
