//! `cargo xtask lint`.

use std::process::{Command, ExitCode};

use anyhow::Result;

use super::setup::{self, Consent, Scope};
use crate::say;
use crate::steps::{Steps, succeed};
use xtask::{ebpf, paths};

/// Check the format and the lints
#[derive(Debug, clap::Args)]
pub(crate) struct Args {}

impl Args {
    pub(crate) fn run(&self) -> Result<ExitCode> {
        let Self {} = self;
        setup::ensure(Scope::Everything, Consent::Ask)?;
        let mut steps = Steps::default();
        lint(&mut steps);
        check_dependencies(&mut steps);
        Ok(steps.finish())
    }
}

/// Adds the lints to `steps`.
pub(super) fn lint(steps: &mut Steps) {
    steps.run("format", || {
        succeed(cargo().args(["fmt", "--all", "--check"]))
    });
    steps.run("clippy", || {
        succeed(cargo().args(["clippy", "--all-targets", "--", "-D", "warnings"]))
    });
    // For this machine, not for BPF: clippy has no core for that. `panic=abort` as BPF has it, or
    // the crate's panic handler would collide with std's unwinding.
    steps.run("clippy of the BPF programs", || {
        succeed(
            cargo()
                .env("RUSTC_BOOTSTRAP", "1")
                .env("RUSTFLAGS", "-Cpanic=abort")
                .args(["clippy", "--package", ebpf::FIREWALL])
                .args(["--package", ebpf::BENCHMARKS, "--target-dir"])
                .arg(paths::target().join("lint"))
                .args(["--", "-D", "warnings"]),
        )
    });
}

/// Licences, sources and advisories of what we link, where cargo-deny is installed. It fetches the
/// advisories: not for every machine, so not a need of the set-up.
fn check_dependencies(steps: &mut Steps) {
    if paths::executables("cargo-deny").next().is_some() {
        steps.run("dependencies", || succeed(cargo().args(["deny", "check"])));
    } else {
        say::note("cargo-deny is not installed: the licences of dependencies are not checked");
    }
}

/// The user's cargo, in the workspace.
pub(super) fn cargo() -> Command {
    let mut cargo = Command::new("cargo");
    cargo.current_dir(paths::workspace());
    cargo
}
