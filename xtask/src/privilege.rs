//! Root, and how to become it.
//!
//! What is compiled is compiled as the user: root-owned files in `target/` would spoil the next
//! build. Only what needs root runs through `sudo`.

use std::env;
use std::ffi::OsString;
use std::io::{IsTerminal as _, stdin};
use std::process::{Command, ExitCode};

use anyhow::{Context as _, Result, bail};

use crate::{interrupt, say};
use xtask::paths;

/// Whether this process is root.
pub(crate) fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

/// `program`, run as root: itself if we are, else through `sudo`.
///
/// # Errors
/// When we are not root and there is no `sudo`.
pub(crate) fn command(program: &str) -> Result<Command> {
    if is_root() {
        return Ok(Command::new(program));
    }
    let Some(sudo) = paths::executables("sudo").next() else {
        bail!("`{program}` needs root, and there is no sudo here");
    };
    let mut command = Command::new(sudo);
    if !stdin().is_terminal() {
        // Nobody is there to type a password: fail instead of waiting for one.
        command.arg("-n");
    }
    command.arg(program);
    Ok(command)
}

/// Environment that the chores read and that `sudo` would drop.
const PASSED: [&str; 6] = [
    "CARGO_TARGET_DIR",
    "NO_COLOR",
    "RUST_BACKTRACE",
    "RUST_LOG",
    "FW_REQUIRE_ROOT",
    "TERM",
];

/// `env` with what the chores read from the environment, for use after `sudo`, which clears it.
pub(crate) fn environment() -> Vec<String> {
    let set = PASSED
        .iter()
        .filter_map(|name| Some(format!("{name}={}", env::var(name).ok()?)));
    std::iter::once("env".to_owned()).chain(set).collect()
}

/// Runs this program again as root with `args`, and returns its exit status.
///
/// # Errors
/// When there is no `sudo`, or it can't be started.
pub(crate) fn again(args: impl IntoIterator<Item = OsString>) -> Result<ExitCode> {
    let environment = environment();
    let mut command = command("env")?;
    command
        .args(&environment[1..])
        .arg(env::current_exe()?)
        .args(args);
    say::command(&command);
    interrupt::leave_to_child()?;
    let status = command.status().context("can't run sudo")?;
    let code = status
        .code()
        .and_then(|code| u8::try_from(code).ok())
        .unwrap_or(1);
    Ok(ExitCode::from(code))
}
