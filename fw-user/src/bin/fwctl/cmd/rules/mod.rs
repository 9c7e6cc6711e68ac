//! `fwctl rules`: the ruleset.

mod apply;
mod check;
mod diff;
mod list;

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use fw_user::control::client::{Client, ClientError};
use fw_user::control::rules::{self, Applied};
use fw_user::control::{self, Status};
use fw_user::explain::Login;
use fw_user::life::Ready;
use fw_user::rules::compile::compile_reported;
use fw_user::rules::failsafe::Failsafe;
use fw_user::rules::{Loaded, System, load_file};
use fw_user::settings::duration;

use crate::args::Globals;
use crate::term;

/// Options of `fwctl rules`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  fwctl rules check /etc/fwctl/rules.nft
  fwctl rules apply /etc/fwctl/rules.nft
  fwctl rules apply new.nft --confirm 60s && fwctl rules confirm
  fwctl rules list -a
  fwctl rules diff /etc/fwctl/rules.nft

The language is nftables' own. A file is applied as a whole or not at all; what is not in it is gone.")]
pub(crate) struct Args {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, clap::Subcommand)]
enum Action {
    /// Show the ruleset in force with its counters
    List(list::Args),
    /// Say what is wrong with files of rules, without loading them
    Check(check::Args),
    /// Put a ruleset in force in place of the one before
    Apply(apply::Args),
    /// Keep the ruleset that was applied with --confirm
    #[command(after_help = "Example:\n  fwctl rules confirm")]
    Confirm,
    /// Go back to the ruleset before the one that was applied with --confirm
    #[command(after_help = "Example:\n  fwctl rules rollback")]
    Rollback,
    /// Compare a file with the ruleset in force: exit status 1 if they differ
    Diff(diff::Args),
    /// Remove all rules: everything is tracked and accepted
    #[command(after_help = "Example:\n  fwctl rules flush")]
    Flush,
}

impl Args {
    /// Does it.
    ///
    /// # Errors
    /// What to tell the user.
    pub(crate) fn run(self, globals: &Globals) -> anyhow::Result<ExitCode> {
        match self.action {
            Action::List(args) => args.run(globals),
            Action::Check(args) => args.run(globals),
            Action::Apply(args) => args.run(globals),
            Action::Diff(args) => args.run(globals),
            Action::Confirm => tell(globals, |client| client.post(rules::CONFIRM)),
            Action::Rollback => tell(globals, |client| client.post(rules::ROLLBACK)),
            Action::Flush => tell(globals, |client| client.delete(rules::RULES)),
        }
    }
}

/// Asks the daemon for a change, and says what came of it.
fn tell(
    globals: &Globals,
    ask: impl FnOnce(Client) -> Result<Applied, ClientError>,
) -> anyhow::Result<ExitCode> {
    let applied = ask(Client::connect(&globals.socket)?).map_err(refused)?;
    say(&applied);
    Ok(ExitCode::SUCCESS)
}

/// What `nft monitor` says of a new ruleset.
fn say(applied: &Applied) {
    let pid = std::process::id();
    println!(
        "# new generation {} by process {pid} (fwctl)",
        applied.generation
    );
    if let Some(left) = applied.confirm {
        let left = duration::show(Duration::from_millis(left));
        term::note(format_args!(
            "the rules before come back in {left} unless you say `fwctl rules confirm`"
        ));
    }
}

/// A ruleset that the daemon refuses is no bad argument, whatever the status of its answer.
fn refused(error: ClientError) -> anyhow::Error {
    match error {
        ClientError::BadRequest(text) => anyhow::Error::msg(text),
        other => other.into(),
    }
}

/// The ports that the daemon keeps open whatever the rules say; none if there is no daemon to ask.
fn failsafe(globals: &Globals) -> Vec<Failsafe> {
    let status = Client::connect(&globals.socket).and_then(|c| c.get::<Status>(control::STATUS));
    let ports = status
        .map(|status| status.rules.failsafe)
        .unwrap_or_default();
    ports
        .iter()
        .filter_map(|port| port.name.parse().ok())
        .collect()
}

/// Says so if the rules would cut the SSH connection that they come from.
pub(super) fn warn_of_lock_out(rules: &Ready, failsafe: &[Failsafe]) {
    let connection = std::env::var("SSH_CONNECTION").unwrap_or_default();
    let Some(login) = Login::parse(&connection) else {
        return;
    };
    if let Some(what) = login.cut_by(rules, failsafe) {
        term::note(format_args!(
            "warning: you are here by SSH from {}, and these rules drop {what}: `--confirm 60s` comes \
             back by itself, `fwctl run --failsafe tcp:{}` keeps it open",
            login.client.ip(),
            login.server.port()
        ));
    }
}

/// Ticks a second, where it only matters that there are some.
const HZ: u32 = 250;

/// The file of a command, and what stands outside of it.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct Source {
    /// Ruleset in nftables' language; - reads standard input
    #[arg(value_name = "FILE")]
    file: PathBuf,
    #[command(flatten)]
    source: check::SourceArgs,
}

impl Source {
    /// Reads the ruleset; `None` if it has mistakes, which have been shown.
    fn read(&self, globals: &Globals) -> Option<Ready> {
        let Loaded {
            ruleset,
            mut report,
        } = load_file(&self.file, &self.source.options());
        let failsafe = failsafe(globals);
        let system = System::offline(failsafe.clone(), HZ);
        // What only the compiler finds is told with its place, too.
        let compiled = ruleset
            .as_ref()
            .and_then(|ruleset| compile_reported(ruleset, &system, &mut report));
        term::text(format_args!("{}", report.render(globals.color.on_stderr())));
        let ready = Ready {
            ruleset: ruleset?,
            compiled: compiled?,
        };
        warn_of_lock_out(&ready, &failsafe);
        Some(ready)
    }

    /// The file as the daemon shall remember it.
    fn name(&self) -> Option<String> {
        if self.file == Path::new("-") {
            return None;
        }
        let full = std::path::absolute(&self.file);
        Some(
            full.unwrap_or_else(|_| self.file.clone())
                .display()
                .to_string(),
        )
    }
}
