//! `cargo xtask bench`.

use std::ffi::OsString;
use std::path::PathBuf;
use std::process::{Command, ExitCode};

use anyhow::{Context as _, Result};

use super::lint::cargo;
use super::setup::{self, Consent, Scope};
use crate::steps::succeed;
use crate::{interrupt, privilege, say};
use xtask::paths;

/// Measure the firewall beside the kernel's own nftables and conntrack
///
/// Packets made by a BPF program go through a router in network namespaces: the kernel's forwarding, nft with
/// conntrack, fwctl, in turn. Progress is on standard error, tables on standard output. A whole run writes
/// docs/benchmarks.md, .json and .svg; with --only, it replaces these workloads there; --quick writes to
/// target/bench. Needs root (asks sudo) and a machine that does little else.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Few contestants, rounds and packets: three minutes in all
    #[arg(long)]
    quick: bool,
    /// Only this workload (repeat it for more)
    #[arg(long, value_name = "NAME")]
    only: Vec<String>,
    /// Measurements of each kind [default: 5, quick: 3]
    #[arg(long, value_name = "N")]
    rounds: Option<usize>,
    /// What is printed on standard output: table or json
    #[arg(short, long, value_name = "FORMAT", default_value = "table", value_parser = ["table", "json"])]
    output: String,
    /// Where record, document and plot are kept [default: docs, quick: target/bench]
    #[arg(long, value_name = "DIR")]
    dir: Option<PathBuf>,
    /// Show the workloads' names and what they are
    #[arg(long)]
    list: bool,
}

impl Args {
    pub(crate) fn run(&self) -> Result<ExitCode> {
        setup::ensure(Scope::Run, Consent::Ask)?;
        say::heading("building fwctl and the benchmarks");
        succeed(cargo().args(["build", "--release", "--bin=fwctl", "--bin=fw-bench"]))?;
        let mut command = self.command()?;
        say::command(&command);
        interrupt::leave_to_child()?;
        let status = command.status().context("can't run the benchmarks")?;
        let code = status.code().and_then(|code| u8::try_from(code).ok());
        Ok(ExitCode::from(code.unwrap_or(1)))
    }

    /// The benchmarks, as root.
    fn command(&self) -> Result<Command> {
        let release = paths::target().join("release");
        let program = release.join("fw-bench");
        if self.list {
            let mut command = Command::new(program);
            command.args(["--list", "--dir", "", "--fwctl", ""]);
            return Ok(command);
        }
        let environment = privilege::environment();
        let mut command = privilege::command("env")?;
        command
            .args(&environment[1..])
            .arg(program)
            .arg("--fwctl")
            .arg(release.join("fwctl"))
            .arg("--dir")
            .arg(self.directory())
            .args(["--command", &self.typed(), "--source", &source()])
            .args(self.flags());
        Ok(command)
    }

    fn directory(&self) -> PathBuf {
        match &self.dir {
            Some(dir) => std::path::absolute(dir).unwrap_or_else(|_| dir.clone()),
            None if self.quick => paths::target().join("bench"),
            None => paths::workspace().join("docs"),
        }
    }

    fn flags(&self) -> Vec<OsString> {
        let mut flags: Vec<OsString> = vec!["--output".into(), self.output.clone().into()];
        if self.quick {
            flags.push("--quick".into());
        }
        for name in &self.only {
            flags.extend(["--only".into(), name.into()]);
        }
        if let Some(rounds) = self.rounds {
            flags.extend(["--rounds".into(), rounds.to_string().into()]);
        }
        flags
    }

    /// The command as one would type it again.
    fn typed(&self) -> String {
        let mut text = String::from("cargo xtask bench");
        if self.quick {
            text.push_str(" --quick");
        }
        for name in &self.only {
            text.push_str(&format!(" --only {name}"));
        }
        if let Some(rounds) = self.rounds {
            text.push_str(&format!(" --rounds {rounds}"));
        }
        text
    }
}

/// The version of the source.
fn source() -> String {
    let mut git = Command::new("git");
    git.current_dir(paths::workspace());
    let done = git.args(["describe", "--always", "--dirty"]).output();
    let text = done.map(|done| String::from_utf8_lossy(&done.stdout).trim().to_owned());
    text.ok()
        .filter(|text| !text.is_empty())
        .unwrap_or_else(|| "unknown".to_owned())
}
