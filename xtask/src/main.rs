//! The project's chores: `cargo xtask help`.

mod cmd;
mod interrupt;
mod privilege;
mod say;
mod steps;
mod tally;

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
