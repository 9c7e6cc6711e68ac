//! The project's chores: `cargo xtask help`.

mod cmd;
mod privilege;
mod say;

use std::process::ExitCode;

use clap::Parser as _;

fn main() -> ExitCode {
    match cmd::Xtask::parse().run() {
        Ok(code) => code,
        Err(error) => {
            eprintln!("xtask: {error:#}");
            ExitCode::FAILURE
        }
    }
}
