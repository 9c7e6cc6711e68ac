//! `fwctl sysctl`: settings by the kernel's names, as sysctl(8).

use std::collections::HashSet;
use std::io::{Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context as _;
use fw_user::control::client::{Client, ClientError};
use fw_user::control::{self, Changes, Sysctls, offline};
use fw_user::settings::sysctl;
use serde_json::json;

use super::timeouts::{split, usage_error};
use crate::args::{Globals, Usage};
use crate::cmd::Format;
use crate::term;

/// Options of `fwctl sysctl`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  fwctl sysctl net.netfilter.nf_conntrack_udp_timeout
  fwctl sysctl -w nf_conntrack_udp_timeout=60
  fwctl sysctl -p /etc/sysctl.d/90-conntrack.conf
  fwctl sysctl -a

Of a file, only net.netfilter.* is read: what else stands there is the kernel's. Without a daemon
settings can be read only.")]
pub(crate) struct Args {
    /// Names to show; with -w, assignments
    #[arg(value_name = "NAME[=VALUE]", required_unless_present_any = ["all", "load"])]
    names: Vec<String>,
    /// Set: all that is named, or nothing
    #[arg(short, long, conflicts_with_all = ["all", "load"])]
    write: bool,
    /// Set from files in the form of sysctl.conf(5), later ones win; - is standard input
    #[arg(short = 'p', long, value_name = "FILE", num_args = 0.., default_missing_value = "/etc/sysctl.conf", conflicts_with_all = ["all", "names"])]
    load: Vec<PathBuf>,
    /// Show everything that there is
    #[arg(short, long, conflicts_with = "names")]
    all: bool,
    /// Show values only
    #[arg(short = 'n', long)]
    values: bool,
    /// Skip unknown names instead of refusing them
    #[arg(short = 'e', long)]
    ignore: bool,
    /// Do not print what was set
    #[arg(short, long, conflicts_with = "output")]
    quiet: bool,
    /// json: one array
    #[arg(short, long, value_name = "FORMAT")]
    output: Option<Format>,
}

impl Args {
    /// Shows or sets.
    ///
    /// # Errors
    /// What to tell the user.
    pub(crate) fn run(self, globals: &Globals) -> anyhow::Result<ExitCode> {
        if !self.load.is_empty() {
            let mut assignments = Vec::new();
            for path in &self.load {
                self.read_file(path, &mut assignments)?;
            }
            return self.set(globals, assignments);
        }
        // As sysctl(8): an assignment is meant to be set, with -w or without.
        if self.write || self.names.iter().any(|name| name.contains('=')) {
            let mut assignments = split(&self.names)?;
            if self.ignore {
                assignments.retain(|(name, _)| sysctl::find(name).is_ok());
            }
            return self.set(globals, assignments);
        }
        let mut names = self.known_names()?;
        let values = read(globals)?;
        if self.all {
            names.extend(values.keys().cloned());
        }
        self.show(&values, &names)?;
        Ok(ExitCode::SUCCESS)
    }

    fn known_names(&self) -> Result<Vec<String>, Usage> {
        let mut known = Vec::new();
        for name in &self.names {
            match sysctl::find(name) {
                Ok(_) => known.push(sysctl::canonical(name)),
                Err(_) if self.ignore => {}
                Err(e) => return Err(Usage(e.to_string())),
            }
        }
        Ok(known)
    }

    /// Sets all, and shows them in the order in which they were said.
    fn set(
        &self,
        globals: &Globals,
        assignments: Vec<(String, String)>,
    ) -> anyhow::Result<ExitCode> {
        let mut names: Vec<_> = assignments
            .iter()
            .map(|(name, _)| sysctl::canonical(name))
            .collect();
        let changes: Changes = assignments.into_iter().collect();
        if changes.is_empty() {
            return Ok(ExitCode::SUCCESS);
        }
        let client = Client::connect(&globals.socket)?;
        let values: Sysctls = client.put(control::SYSCTL, &changes).map_err(usage_error)?;
        if !self.quiet {
            let mut shown = HashSet::new();
            names.retain(|name| shown.insert(name.clone()));
            self.show(&values, &names)?;
        }
        Ok(ExitCode::SUCCESS)
    }

    fn show(&self, values: &Sysctls, names: &[String]) -> anyhow::Result<()> {
        let mut out = term::output();
        let shown = names
            .iter()
            .filter_map(|name| Some((name, values.get(name)?)));
        if self.output.is_some() {
            let all: Vec<_> = shown
                .map(|(name, value)| json!({ "name": name, "value": value }))
                .collect();
            serde_json::to_writer(&mut out, &all)?;
            writeln!(out)?;
            return Ok(out.flush()?);
        }
        for (name, value) in shown {
            if self.values {
                writeln!(out, "{value}")?;
            } else {
                writeln!(out, "{name} = {value}")?;
            }
        }
        Ok(out.flush()?)
    }

    /// Adds the assignments of a file that are ours.
    fn read_file(
        &self,
        path: &Path,
        assignments: &mut Vec<(String, String)>,
    ) -> anyhow::Result<()> {
        let text = read_text(path).with_context(|| path.display().to_string())?;
        for (number, line) in text.lines().enumerate() {
            let place = || format!("{}:{}", path.display(), number + 1);
            let Some((name, value, optional)) =
                assignment(line).map_err(|e| Usage(format!("{}: {e}", place())))?
            else {
                continue;
            };
            match sysctl::find(name) {
                Ok(_) => {
                    assignments.push((sysctl::canonical(name), value.into()));
                }
                Err(_) if optional || self.ignore => {}
                Err(e) => return Err(Usage(format!("{}: {e}", place())).into()),
            }
        }
        Ok(())
    }
}

/// From the daemon, or from the pinned settings if there is none.
fn read(globals: &Globals) -> anyhow::Result<Sysctls> {
    match Client::connect(&globals.socket) {
        Ok(client) => Ok(client.get(control::SYSCTL)?),
        Err(ClientError::NoDaemon(_)) => {
            let (tunables, facts) = offline::tunables(&globals.paths())?;
            Ok(control::sysctls(&tunables, &facts))
        }
        Err(e) => Err(e.into()),
    }
}

fn read_text(path: &Path) -> std::io::Result<String> {
    if path == Path::new("-") {
        let mut text = String::new();
        std::io::stdin().read_to_string(&mut text)?;
        return Ok(text);
    }
    std::fs::read_to_string(path)
}

/// One line of a sysctl.conf(5): name, value, and whether a leading `-` makes it optional. `None` for
/// comments, empty lines and what is none of ours.
fn assignment(line: &str) -> Result<Option<(&str, &str, bool)>, sysctl::SysctlError> {
    let line = line.trim();
    if line.is_empty() || line.starts_with(['#', ';']) {
        return Ok(None);
    }
    let (line, optional) = match line.strip_prefix('-') {
        Some(rest) => (rest, true),
        None => (line, false),
    };
    let (name, value) = sysctl::split(line)?;
    if !is_conntrack(name) {
        return Ok(None);
    }
    Ok(Some((name, value, optional)))
}

fn is_conntrack(name: &str) -> bool {
    let dotted = name.replace('/', ".");
    dotted.starts_with("net.netfilter.nf_conntrack_")
        || dotted.starts_with("net.nf_conntrack_")
        || dotted.starts_with("nf_conntrack_")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_of_sysctl_conf_are_read_as_sysctl_reads_them() {
        let read = |line| assignment(line).unwrap();
        assert_eq!(read(""), None);
        assert_eq!(read("  # comment"), None);
        assert_eq!(read("; comment"), None);
        assert_eq!(read("net.ipv4.ip_forward = 1"), None);
        assert_eq!(
            read(" net.netfilter.nf_conntrack_udp_timeout = 60 "),
            Some(("net.netfilter.nf_conntrack_udp_timeout", "60", false))
        );
        assert_eq!(
            read("-net/netfilter/nf_conntrack_max=5"),
            Some(("net/netfilter/nf_conntrack_max", "5", true))
        );
        assert!(assignment("nonsense").is_err());
    }
}
