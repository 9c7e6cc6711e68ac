//! Debian's and Ubuntu's packages.

use std::process::Stdio;

use anyhow::{Context as _, Result, bail};

use super::run;
use crate::privilege;
use xtask::paths;

/// Installs `packages`.
///
/// # Errors
/// Where apt is not the package manager, or we may not use it: says what to install.
pub(super) fn install(packages: &[&str]) -> Result<()> {
    let list = packages.join(" ");
    if paths::executables("apt-get").next().is_none() {
        bail!(
            "there is no apt-get here; install with your package manager what Debian calls: {list}"
        );
    }
    let by_hand = || format!("run as root: apt-get update && apt-get install {list}");
    // A fresh image has no package lists, an old one has stale ones: only then fetch them.
    if apt(&["install", "--no-install-recommends"], packages).is_err() {
        apt(&["update"], &[]).with_context(by_hand)?;
        apt(&["install", "--no-install-recommends"], packages).with_context(by_hand)?;
    }
    Ok(())
}

fn apt(verb: &[&str], packages: &[&str]) -> Result<()> {
    let mut command = privilege::command("env")?;
    command
        .args(["DEBIAN_FRONTEND=noninteractive", "apt-get", "-y", "-q"])
        // Another installation may be running, as right after boot.
        .args(["-o", "DPkg::Lock::Timeout=300"])
        .args(verb)
        .args(packages)
        .stdin(Stdio::null());
    run(&mut command)
}
