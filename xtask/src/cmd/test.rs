//! `cargo xtask test`.

use std::io::{BufRead as _, BufReader, IsTerminal as _, stdin};
use std::process::{Command, ExitCode, Stdio};

use anyhow::{Context as _, Result, bail};

use super::fuzz;
use super::lint::{self, cargo};
use super::setup::{self, Consent, Scope};
use crate::steps::Steps;
use crate::tally::Tally;
use crate::{interrupt, privilege, say};
use xtask::ebpf;

/// Run the lints, all tests and a little fuzzing
///
/// The last line says how many tests passed, failed and were skipped. Everything is compiled as
/// you; the tests run as root, through sudo, since most need network namespaces and BPF. Tests that
/// miss something they need are skipped, and counted as such; with FW_REQUIRE_ROOT=1 they fail.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Leave out the tests that need root, and fuzzing
    #[arg(long)]
    quick: bool,
    /// Only tests whose name contains this, and no lints
    filter: Option<String>,
}

/// Time for each fuzz target: enough to notice one that broke. `cargo xtask fuzz` takes more.
const FUZZ_SECONDS: u64 = 10;

/// Minutes after which an unattended run is hanging.
const PATIENCE_MINUTES: u32 = 40;

impl Args {
    pub(crate) fn run(&self) -> Result<ExitCode> {
        setup::ensure(Scope::Everything, Consent::Ask)?;
        interrupt::tear_down_labs()?;
        let mut steps = Steps::default();
        steps.run("BPF object", build_object);
        if self.filter.is_none() {
            lint::lint(&mut steps);
        }
        steps.run_tests("tests", |tally| self.test(tally));
        if self.filter.is_none() && !self.quick {
            fuzz::fuzz_all(&mut steps, FUZZ_SECONDS);
        }
        Ok(steps.finish())
    }

    fn test(&self, tally: &mut Tally) -> Result<()> {
        let mut command = self.command()?;
        say::command(&command);
        // Both streams through one pipe: what a test program says stays under its name.
        let (reader, writer) = std::io::pipe()?;
        command
            .stdin(Stdio::null())
            .stdout(writer.try_clone()?)
            .stderr(writer);
        let mut child = command.spawn().context("can't run cargo")?;
        // It holds the pipe's writing ends: drop them, or the reader never sees the end.
        drop(command);
        for line in BufReader::new(reader).split(b'\n') {
            let line = String::from_utf8_lossy(&line?).into_owned();
            if tally.read(&line) {
                eprintln!("{line}");
            }
        }
        let status = child.wait()?;
        if status.code() == Some(124) {
            bail!("not through after {PATIENCE_MINUTES} minutes");
        }
        anyhow::ensure!(status.success(), "{status}");
        Ok(())
    }

    fn command(&self) -> Result<Command> {
        let mut command = patient_cargo();
        command.args(["test", "--no-fail-fast"]);
        if self.quick {
            command
                .env("FW_SKIP_ROOT", "1")
                .env_remove("FW_REQUIRE_ROOT");
        } else if !privilege::is_root() {
            let (variable, runner) = root_runner()?;
            command.env(variable, runner);
        }
        command.arg("--").arg("--show-output").args(&self.filter);
        Ok(command)
    }
}

fn build_object() -> Result<()> {
    ebpf::build(&ebpf::toolchain::find()?, &ebpf::Options::default()).map(drop)
}

/// Cargo, ended if it hangs where nobody is there to interrupt it.
fn patient_cargo() -> Command {
    if stdin().is_terminal() {
        return cargo();
    }
    let cargo = cargo();
    let mut command = Command::new("timeout");
    command
        .args(["--kill-after=30", &format!("{PATIENCE_MINUTES}m")])
        .arg(cargo.get_program());
    if let Some(dir) = cargo.get_current_dir() {
        command.current_dir(dir);
    }
    command
}

/// The setting that makes cargo start test programs through sudo. Asks for the password now, before
/// the tests' output.
pub(super) fn root_runner() -> Result<(String, String)> {
    let asked = privilege::command("true")?
        .status()
        .context("can't run sudo")?;
    anyhow::ensure!(
        asked.success(),
        "sudo refuses; `cargo xtask test --quick` needs no root"
    );
    let environment = privilege::environment().join(" ");
    let variable = host_triple()?.to_uppercase().replace(['-', '.'], "_");
    Ok((
        format!("CARGO_TARGET_{variable}_RUNNER"),
        format!("sudo {environment}"),
    ))
}

pub(super) fn host_triple() -> Result<String> {
    let done = Command::new("rustc")
        .arg("-vV")
        .output()
        .context("can't run rustc")?;
    let text = String::from_utf8_lossy(&done.stdout).into_owned();
    let host = text.lines().find_map(|line| line.strip_prefix("host: "));
    host.map(str::to_owned).context("rustc -vV names no host")
}
