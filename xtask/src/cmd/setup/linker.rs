//! bpf-linker, into the project's own `target/tools`.

use std::env;
use std::process::Command;

use anyhow::{Context as _, Result};

use super::run;
use crate::say;
use xtask::ebpf::{self, toolchain::LINKER_VERSION};
use xtask::paths;

/// Compiles and installs the pinned version.
pub(super) fn install() -> Result<()> {
    say::note("bpf-linker is compiled from source: about a minute on two cores");
    let mut cargo = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    ebpf::clean_environment(&mut cargo);
    // Without it rustup's rustc looks for a `rust-toolchain.toml` in the directory of each dependency, and installs what
    // that asks for: a new version of the user's toolchain, in the middle of the build.
    if let Some(toolchain) = env::var_os("RUSTUP_TOOLCHAIN") {
        cargo.env("RUSTUP_TOOLCHAIN", toolchain);
    }
    cargo
        .args([
            "install",
            "bpf-linker",
            "--version",
            LINKER_VERSION,
            "--locked",
            "--force",
            "--root",
        ])
        .arg(paths::tools());
    run(&mut cargo).context("bpf-linker comes from crates.io: is the network there?")
}
