//! The verbs, one module each.

mod bench;
mod build_ebpf;
mod conformance;
mod demo;
mod fuzz;
mod lab;
mod lint;
mod setup;
mod test;

use std::process::ExitCode;

use anyhow::Result;
use clap::{Parser, Subcommand};

/// The project's chores: set-up, BPF build, network lab, demo, tests.
#[derive(Debug, Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask", max_term_width = 100)]
pub(crate) struct Xtask {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    Setup(setup::Args),
    BuildEbpf(build_ebpf::Args),
    Lab(lab::Args),
    Demo(demo::Args),
    Conformance(conformance::Args),
    Fuzz(fuzz::Args),
    Bench(bench::Args),
    Lint(lint::Args),
    Test(test::Args),
}

impl Xtask {
    /// Runs the verb.
    pub(crate) fn run(&self) -> Result<ExitCode> {
        match &self.verb {
            Verb::Setup(args) => args.run(),
            Verb::BuildEbpf(args) => args.run(),
            Verb::Lab(args) => args.run(),
            Verb::Demo(args) => args.run(),
            Verb::Conformance(args) => args.run(),
            Verb::Fuzz(args) => args.run(),
            Verb::Bench(args) => args.run(),
            Verb::Lint(args) => args.run(),
            Verb::Test(args) => args.run(),
        }
    }
}
