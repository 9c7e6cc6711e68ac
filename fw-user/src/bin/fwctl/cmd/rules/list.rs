//! `fwctl rules list`: the ruleset in force.

use std::io::Write as _;
use std::process::ExitCode;

use fw_user::control::client::{Client, ClientError};
use fw_user::control::rules::{self, Listing, Style, Text};
use fw_user::life::offline;

use crate::args::Globals;
use crate::cmd::Format;
use crate::term;

/// Options of `fwctl rules list`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  fwctl rules list
  fwctl rules list -a
  fwctl rules list -o json | jq '.tables[].chains[].rules[] | select(.packets == 0)'

The text is what `nft list ruleset` prints, and both read it back.")]
pub(super) struct Args {
    /// Show the handle of each rule
    #[arg(short = 'a', long)]
    handle: bool,
    /// Leave out what was counted
    #[arg(short, long)]
    stateless: bool,
    /// Leave out the elements of sets
    #[arg(short, long)]
    terse: bool,
    /// json: one object, with counters and last hit of every rule
    #[arg(short, long, value_name = "FORMAT")]
    output: Option<Format>,
}

impl Args {
    /// Prints the ruleset.
    ///
    /// # Errors
    /// What to tell the user.
    pub(super) fn run(self, globals: &Globals) -> anyhow::Result<ExitCode> {
        let mut out = term::output();
        match self.output {
            Some(Format::Json) => {
                serde_json::to_writer(&mut out, &listing(globals)?)?;
                writeln!(out)?;
            }
            None => {
                let style = Style {
                    handles: self.handle,
                    stateless: self.stateless,
                    terse: self.terse,
                };
                write!(out, "{}", text(globals, style)?)?;
            }
        }
        out.flush()?;
        Ok(ExitCode::SUCCESS)
    }
}

fn listing(globals: &Globals) -> anyhow::Result<Listing> {
    match Client::connect(&globals.socket) {
        Ok(client) => Ok(client.get(rules::RULES)?),
        Err(ClientError::NoDaemon(_)) => Ok(offline::listing(&globals.paths())?),
        Err(e) => Err(e.into()),
    }
}

/// The ruleset in force as text.
pub(super) fn text(globals: &Globals, style: Style) -> anyhow::Result<String> {
    match Client::connect(&globals.socket) {
        Ok(client) => Ok(client.get::<Text>(&style.path())?.text),
        Err(ClientError::NoDaemon(_)) => Ok(offline::text(&globals.paths(), style)?),
        Err(e) => Err(e.into()),
    }
}
