//! `cargo xtask build-ebpf`.

use std::process::ExitCode;

use anyhow::Result;

use super::setup::{self, Consent, Scope};
use xtask::ebpf;

/// Build the BPF object and print where it is
///
/// `cargo build` does the same by itself and puts the object into `fwctl`; this is for looking at
/// the object, and for its variants.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Cargo features of fw-ebpf, separated by commas (each set has a target directory of its own)
    #[arg(long, value_delimiter = ',', value_name = "FEATURES")]
    features: Vec<String>,
}

impl Args {
    pub(crate) fn run(&self) -> Result<ExitCode> {
        setup::ensure(Scope::Build, Consent::Ask)?;
        let options = ebpf::Options {
            features: self.features.clone(),
            ..Default::default()
        };
        let object = ebpf::build(&ebpf::toolchain::find()?, &options)?;
        println!("{}", object.display());
        Ok(ExitCode::SUCCESS)
    }
}
