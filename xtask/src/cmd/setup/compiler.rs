//! A Rust compiler with the source of `core`, which BPF needs because there is no compiled one; and
//! rustfmt and clippy.

use std::process::{Command, Stdio};

use anyhow::{Context as _, Result};

use super::{apt, run};
use crate::say;
use xtask::paths;

/// The release that rustup installs if the user's own does not do: its LLVM (22) is the one that
/// the pinned bpf-linker knows.
const RELEASE: &str = "1.96.0";

/// Gets the source for a compiler that is there, or else another compiler.
pub(super) fn install() -> Result<()> {
    if has_rustup() {
        // A few megabytes; a whole toolchain is hundreds.
        if rustup(&["component", "add", "rust-src"]).is_ok() || install_release().is_ok() {
            return Ok(());
        }
        say::note("rustup can't fetch it; trying the distribution's compiler");
    }
    from_distribution()
}

/// Gets a compiler whose LLVM the pinned bpf-linker knows.
pub(super) fn install_with_known_llvm() -> Result<()> {
    if has_rustup() && install_release().is_ok() {
        Ok(())
    } else {
        from_distribution()
    }
}

fn install_release() -> Result<()> {
    rustup(&[
        "toolchain",
        "install",
        RELEASE,
        "--profile=minimal",
        "--component=rust-src",
    ])
}

/// Debian backports a current compiler to its stable releases, to build browsers with.
fn from_distribution() -> Result<()> {
    apt::install(&["rustc-web", "cargo-web", "rust-web-src"]).with_context(|| {
        format!(
            "install rustup (https://rustup.rs), then: \
             rustup toolchain install {RELEASE} --profile=minimal --component=rust-src"
        )
    })
}

/// Of rustfmt and clippy, what cargo does not know.
pub(super) fn missing_components() -> Vec<&'static str> {
    ["fmt", "clippy"]
        .into_iter()
        .filter(|verb| !cargo_has(verb))
        .collect()
}

/// Installs the cargo subcommands `verbs`.
pub(super) fn install_components(verbs: &[&str]) -> Result<()> {
    if has_rustup() {
        let by_hand = "run: rustup component add rustfmt clippy";
        return rustup(&["component", "add", "rustfmt", "clippy"]).context(by_hand);
    }
    let package = |verb: &&str| {
        if *verb == "fmt" {
            "rustfmt-web"
        } else {
            "rust-web-clippy"
        }
    };
    apt::install(&verbs.iter().map(package).collect::<Vec<_>>())
}

fn cargo_has(verb: &str) -> bool {
    let mut cargo = Command::new("cargo");
    cargo
        .args([verb, "--version"])
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    cargo.status().is_ok_and(|status| status.success())
}

fn has_rustup() -> bool {
    paths::executables("rustup").next().is_some()
}

fn rustup(args: &[&str]) -> Result<()> {
    run(Command::new("rustup").args(args))
}
