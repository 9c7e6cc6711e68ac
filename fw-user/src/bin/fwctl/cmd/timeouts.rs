//! `fwctl timeouts`: the timeouts of the running firewall.

use std::io::Write as _;
use std::process::ExitCode;

use fw_common::timeout::Timeout;
use fw_user::control::client::{Client, ClientError};
use fw_user::control::{self, Changes, Timeouts, offline};
use fw_user::settings::{sysctl, timeouts};
use serde_json::json;

use crate::args::{Globals, Usage};
use crate::cmd::Format;
use crate::term;

/// Options of `fwctl timeouts`.
#[derive(Debug, clap::Args)]
#[command(args_conflicts_with_subcommands = true)]
#[command(after_help = "Examples:
  fwctl timeouts
  fwctl timeouts set udp_stream=180 tcp_established=1d
  fwctl timeouts -o json

udp_stream_after is how old an answered UDP flow must be to count as a stream; 0: none.

What is set holds for packets from now on, until the daemon is restarted or reads its configuration
again. Without a daemon they can be read only.")]
pub(crate) struct Args {
    #[command(subcommand)]
    action: Option<Action>,
    /// json: one array
    #[arg(short, long, value_name = "FORMAT")]
    output: Option<Format>,
}

#[derive(Debug, clap::Subcommand)]
enum Action {
    /// Change timeouts: all of those named, or none
    #[command(after_help = "Example:\n  fwctl timeouts set udp_stream=180 tcp_established=1d")]
    Set {
        /// Such as udp_stream=180, or udp_stream=3m
        #[arg(required = true, value_name = "NAME=DURATION")]
        changes: Vec<String>,
    },
}

impl Args {
    /// Shows or sets timeouts.
    ///
    /// # Errors
    /// What to tell the user.
    pub(crate) fn run(self, globals: &Globals) -> anyhow::Result<ExitCode> {
        match self.action {
            Some(Action::Set { changes }) => set(globals, &changes)?,
            None => show(&read(globals)?, self.output)?,
        }
        Ok(ExitCode::SUCCESS)
    }
}

fn set(globals: &Globals, changes: &[String]) -> anyhow::Result<()> {
    let changes: Changes = split(changes)?.into_iter().collect();
    let client = Client::connect(&globals.socket)?;
    let _: Timeouts = client
        .put(control::TIMEOUTS, &changes)
        .map_err(usage_error)?;
    Ok(())
}

/// From the daemon, or from the pinned settings if there is none.
fn read(globals: &Globals) -> anyhow::Result<Timeouts> {
    match Client::connect(&globals.socket) {
        Ok(client) => Ok(client.get(control::TIMEOUTS)?),
        Err(ClientError::NoDaemon(_)) => {
            let (tunables, _) = offline::tunables(&globals.paths())?;
            Ok(control::timeouts(&tunables))
        }
        Err(e) => Err(e.into()),
    }
}

fn show(all: &Timeouts, output: Option<Format>) -> anyhow::Result<()> {
    let mut out = term::output();
    // In the order of the table: by protocol and state, not by letter.
    let mut all: Vec<_> = all.iter().collect();
    all.sort_by_key(|(name, _)| timeouts::names().position(|known| known == *name));
    match output {
        None => {
            for (name, secs) in all {
                writeln!(out, "{name} = {secs}")?;
            }
        }
        Some(Format::Json) => {
            let all: Vec<_> = all
                .into_iter()
                .map(|(name, secs)| entry(name, *secs))
                .collect();
            serde_json::to_writer(&mut out, &all)?;
            writeln!(out)?;
        }
    }
    Ok(out.flush()?)
}

fn entry(name: &str, secs: u32) -> serde_json::Value {
    let sysctl = Timeout::from_name(name)
        .map(|which| format!("{}nf_conntrack_{}", sysctl::PREFIX, which.info().sysctl));
    json!({ "name": name, "timeout": secs, "sysctl": sysctl })
}

/// `NAME=VALUE`s as the daemon takes them.
pub(super) fn split(changes: &[String]) -> Result<Vec<(String, String)>, Usage> {
    let pairs = changes.iter().map(|change| {
        let (name, value) = sysctl::split(change).map_err(|e| Usage(e.to_string()))?;
        Ok((name.into(), value.into()))
    });
    pairs.collect()
}

/// What the daemon calls a bad request is a bad argument: exit status 2.
pub(super) fn usage_error(error: ClientError) -> anyhow::Error {
    match error {
        ClientError::BadRequest(text) => Usage(text).into(),
        other => other.into(),
    }
}
