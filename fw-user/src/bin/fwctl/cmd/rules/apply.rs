//! `fwctl rules apply`: puts a ruleset in force.

use std::process::ExitCode;
use std::time::Duration;

use fw_user::control::client::Client;
use fw_user::control::rules::{self, Applied, Apply};
use fw_user::rules::{Style, print_ruleset};
use fw_user::settings::duration;

use super::Source;
use crate::args::{Globals, Usage};

/// Options of `fwctl rules apply`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  fwctl rules apply /etc/fwctl/rules.nft
  fwctl rules apply /etc/fwctl/rules.nft --confirm 60s
  generate-rules | fwctl rules apply -

The file replaces the whole ruleset at once: every packet is judged by the one before or by this one,
and flows that are there are judged anew with their next packet. With a mistake in it (exit status 1)
the running rules stay. What is applied is kept and comes back after a restart.")]
pub(super) struct Args {
    #[command(flatten)]
    source: Source,
    /// Go back to the rules before after this time, unless `fwctl rules confirm` is said
    ///
    /// The daemon keeps the time, whatever becomes of this terminal; after a restart of the machine
    /// the rules before are back.
    #[arg(long, value_name = "TIME")]
    confirm: Option<String>,
    /// Count what the rules would drop, and drop nothing
    #[arg(long)]
    observe: bool,
}

/// Shortest and longest time for a confirmation.
const CONFIRM: std::ops::RangeInclusive<Duration> =
    Duration::from_secs(1)..=Duration::from_secs(24 * 60 * 60);

impl Args {
    /// Applies the ruleset.
    ///
    /// # Errors
    /// What to tell the user.
    pub(super) fn run(self, globals: &Globals) -> anyhow::Result<ExitCode> {
        let confirm = self.confirm.as_deref().map(time).transpose()?;
        let Some(ready) = self.source.read(globals) else {
            return Ok(ExitCode::FAILURE);
        };
        let apply = Apply {
            text: print_ruleset(&ready.ruleset, Style::default()),
            file: self.source.name(),
            observe: self.observe,
            confirm,
        };
        let client = Client::connect(&globals.socket)?;
        let applied: Applied = client.put(rules::RULES, &apply).map_err(super::refused)?;
        super::say(&applied);
        Ok(ExitCode::SUCCESS)
    }
}

/// A time for the confirmation, in milliseconds.
fn time(text: &str) -> Result<u64, Usage> {
    let time = duration::parse(text)
        .ok()
        .filter(|time| CONFIRM.contains(time));
    let millis = time.and_then(|time| u64::try_from(time.as_millis()).ok());
    millis.ok_or_else(|| {
        Usage(format!(
            "--confirm `{text}`: 1s to 1d is expected, as in `60s`"
        ))
    })
}
