//! What can be typed: the commands and the options that all of them share.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand};
use fw_user::maps::{Maps, MapsError};
use fw_user::paths::Paths;

use crate::cmd;
use crate::term::Color;

/// A stateful firewall on the NIC's fast path: nf_conntrack's semantics in XDP
///
/// `fwctl run` is the daemon; the other commands talk to it, and read the pinned maps even when no
/// daemon is running. conntrack(8)'s letters work in place of the commands: `fwctl -L -p tcp`.
#[derive(Debug, Parser)]
#[command(name = "fwctl", version, max_term_width = 100)]
#[command(
    after_help = "Environment: FWCTL_SOCKET, FWCTL_BPFFS and FWCTL_STATE_DIR stand for the \
                        options of those names.
Exit status: 0 done, 1 nothing matched or failed, 2 bad arguments."
)]
pub(crate) struct Cli {
    /// Options that every command takes.
    #[command(flatten)]
    pub(crate) globals: Globals,
    /// What to do.
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// Options that every command takes, before or after its name.
#[derive(Clone, Debug, clap::Args)]
#[command(next_help_heading = "Global options")]
pub(crate) struct Globals {
    /// The daemon's control socket [env: FWCTL_SOCKET] [default: /run/fwctl/fwctl.sock]
    #[arg(long, global = true, hide_default_value = true, default_value_os_t = place("FWCTL_SOCKET", Paths::SOCKET), value_name = "PATH")]
    pub(crate) socket: PathBuf,
    /// Where programs, links and maps are pinned [env: FWCTL_BPFFS] [default: /sys/fs/bpf/fwctl]
    #[arg(long, global = true, hide_default_value = true, default_value_os_t = place("FWCTL_BPFFS", Paths::BPFFS), value_name = "DIR")]
    pub(crate) bpffs: PathBuf,
    /// Files that survive a reboot [env: FWCTL_STATE_DIR] [default: /var/lib/fwctl]
    #[arg(long, global = true, hide_default_value = true, default_value_os_t = place("FWCTL_STATE_DIR", Paths::STATE_DIR), value_name = "DIR")]
    pub(crate) state_dir: PathBuf,
    /// When to colour what is for people: auto looks at the terminal and NO_COLOR
    #[arg(long, global = true, default_value = "auto", value_name = "WHEN")]
    pub(crate) color: Color,
}

/// What the environment says, or else the default. Clap would take it for an argument that was given, and name it
/// in each usage line.
fn place(variable: &str, default: &str) -> PathBuf {
    let said = std::env::var_os(variable).filter(|said| !said.is_empty());
    said.map_or_else(|| default.into(), PathBuf::from)
}

impl Globals {
    /// Where the firewall keeps its things.
    #[must_use]
    pub(crate) fn paths(&self) -> Paths {
        Paths {
            bpffs: self.bpffs.clone(),
            socket: self.socket.clone(),
            state_dir: self.state_dir.clone(),
        }
    }

    /// The pinned maps.
    ///
    /// # Errors
    /// See [`Maps::find`].
    pub(crate) fn maps(&self) -> Result<Maps, MapsError> {
        Maps::find(&self.paths())
    }
}

/// Every command. The flags are conntrack(8)'s.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Attach to interfaces and filter: the daemon
    Run(Box<cmd::run::Args>),
    /// What is running: interfaces, modes, flows, rules
    Status(cmd::status::Args),
    /// Show the flow table
    #[command(visible_alias = "flows", short_flag = 'L', long_flag = "dump")]
    List(cmd::list::Args),
    /// Show one flow
    #[command(short_flag = 'G', long_flag = "get")]
    Get(cmd::get::Args),
    /// Remove flows
    #[command(short_flag = 'D', long_flag = "delete")]
    Delete(cmd::delete::Args),
    /// Remove all flows
    #[command(short_flag = 'F', long_flag = "flush")]
    Flush(cmd::flush::Args),
    /// Count flows
    #[command(short_flag = 'C', long_flag = "count")]
    Count(cmd::count::Args),
    /// Change flows: mark, time to live, status
    #[command(short_flag = 'U', long_flag = "update")]
    Update(cmd::update::Args),
    /// Follow what happens to flows
    #[command(short_flag = 'E', long_flag = "event")]
    Events(cmd::events::Args),
    /// Show the counters, per CPU and summed
    #[command(short_flag = 'S', long_flag = "stats")]
    Stats(cmd::stats::Args),
    /// Show and change the ruleset
    Rules(cmd::rules::Args),
    /// Show and change sets of the ruleset in force
    Set(cmd::set::Args),
    /// Say which rule decides on a packet, and why, without sending it
    Explain(Box<cmd::explain::Args>),
    /// Find what is in the way on this machine, and what mends it
    Doctor(cmd::doctor::Args),
    /// Follow real packets through the rules
    Trace(Box<cmd::trace::Args>),
    /// Watch the busiest flows, rates, drops and states
    Top(cmd::top::Args),
    /// Read and write the timeouts
    Timeouts(cmd::timeouts::Args),
    /// Read and write settings by the kernel's names
    Sysctl(cmd::sysctl::Args),
    /// Print completions for a shell
    Completions(cmd::completions::Args),
    /// Print the manual page, or write all of them to a directory
    Man(cmd::man::Args),
}

impl Command {
    /// Does it.
    ///
    /// # Errors
    /// What to tell the user.
    pub(crate) fn run(self, globals: &Globals) -> anyhow::Result<ExitCode> {
        match self {
            Self::Run(args) => args.run(globals),
            Self::Status(args) => args.run(globals),
            Self::List(args) => args.run(globals),
            Self::Get(args) => args.run(globals),
            Self::Delete(args) => args.run(globals),
            Self::Flush(args) => args.run(globals),
            Self::Count(args) => args.run(globals),
            Self::Update(args) => args.run(globals),
            Self::Events(args) => args.run(globals),
            Self::Stats(args) => args.run(globals),
            Self::Doctor(args) => args.run(globals),
            Self::Timeouts(args) => args.run(globals),
            Self::Sysctl(args) => args.run(globals),
            Self::Rules(args) => args.run(globals),
            Self::Explain(args) => args.run(globals),
            Self::Trace(args) => args.run(globals),
            Self::Set(args) => args.run(globals),
            Self::Top(args) => args.run(globals),
            Self::Completions(args) => args.run(globals),
            Self::Man(args) => args.run(globals),
        }
    }
}

/// Arguments that clap accepts one by one, and that make no sense together: exit status 2.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub(crate) struct Usage(pub String);

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn definition_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn every_command_shows_an_example() {
        for command in Cli::command().get_subcommands() {
            let help = command.get_after_help().map(ToString::to_string);
            let help = help.unwrap_or_default();
            assert!(help.contains("  fwctl "), "{}: {help}", command.get_name());
        }
    }

    #[test]
    fn the_environment_is_no_argument() {
        let said = std::env::var_os("PATH").expect("a variable that is there");
        assert_eq!(place("PATH", "/a"), PathBuf::from(said));
        assert_eq!(place("FWCTL_NO_SUCH_VARIABLE", "/a"), PathBuf::from("/a"));
        for id in ["socket", "bpffs", "state_dir"] {
            let cli = Cli::command();
            let mut arguments = cli.get_arguments();
            let argument = arguments.find(|argument| argument.get_id() == id);
            assert_eq!(argument.expect("a global option").get_env(), None, "{id}");
        }
    }

    #[test]
    fn globals_stand_on_either_side() {
        for line in ["fwctl --bpffs /a count", "fwctl count --bpffs /a"] {
            let cli = Cli::try_parse_from(line.split(' ')).unwrap();
            assert_eq!(cli.globals.paths().bpffs, PathBuf::from("/a"), "{line}");
            assert_eq!(cli.globals.paths().socket, PathBuf::from(Paths::SOCKET));
        }
    }
}
