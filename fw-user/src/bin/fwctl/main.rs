//! `fwctl`: the firewall's daemon and its command line.

mod args;
mod cmd;
mod letters;
mod screen;
mod term;

use std::io;
use std::process::ExitCode;

use clap::Parser;
use fw_user::flows::SelectError;

use args::{Cli, Usage};

fn main() -> ExitCode {
    let cli = Cli::parse_from(letters::to_commands(std::env::args_os()));
    let result = cli.command.run(&cli.globals);
    result.unwrap_or_else(|error| report(&error))
}

/// Says what went wrong, once, on one line; returns conntrack's exit status for it.
fn report(error: &anyhow::Error) -> ExitCode {
    if is_closed_pipe(error) {
        // Somebody like head(1) has seen enough.
        return ExitCode::SUCCESS;
    }
    term::note(format_args!("{error:#}"));
    if error.is::<Usage>() || error.is::<SelectError>() {
        return ExitCode::from(2);
    }
    ExitCode::FAILURE
}

fn is_closed_pipe(error: &anyhow::Error) -> bool {
    error.chain().any(|cause| {
        cause
            .downcast_ref::<io::Error>()
            .is_some_and(|e| e.kind() == io::ErrorKind::BrokenPipe)
    })
}
