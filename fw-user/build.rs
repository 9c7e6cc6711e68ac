//! Puts the BPF object where `include_bytes_aligned!` finds it: `$OUT_DIR/fw-ebpf.o`.
//!
//! Without a BPF toolchain the file is empty, so that `cargo check`, clippy and the unit tests work
//! on any machine; loading the empty object is an error that says so.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use xtask::ebpf::{self, Options, toolchain};

/// Set to 1 to embed an empty object even where the BPF toolchain is there.
const SKIP: &str = "FW_SKIP_EBPF";
/// Cargo features of the BPF programs, separated by commas: `debug-log`.
const FEATURES: &str = "FW_EBPF_FEATURES";

fn main() -> Result<()> {
    println!("cargo::rerun-if-env-changed={SKIP}");
    println!("cargo::rerun-if-env-changed={FEATURES}");
    let object = PathBuf::from(env::var_os("OUT_DIR").context("no OUT_DIR")?).join("fw-ebpf.o");
    if env::var_os(SKIP).is_some_and(|value| value == "1") {
        println!("cargo::warning={SKIP}=1: fwctl is built without its BPF object");
        return write_empty(&object);
    }
    for input in ebpf::inputs(ebpf::FIREWALL) {
        println!("cargo::rerun-if-changed={}", input.display());
    }
    match toolchain::find() {
        Ok(tools) => embed(&tools, &object),
        Err(missing) => {
            println!("cargo::warning={missing}: fwctl is built without its BPF object");
            println!("cargo::warning=run `cargo xtask setup` to install what is missing");
            write_empty(&object)
        }
    }
}

fn embed(tools: &toolchain::Toolchain, object: &Path) -> Result<()> {
    let features = env::var(FEATURES).unwrap_or_default();
    let options = Options {
        package: ebpf::FIREWALL,
        features: features.split_terminator(',').map(str::to_owned).collect(),
        arch: env::var("CARGO_CFG_TARGET_ARCH")?,
        big_endian: env::var("CARGO_CFG_TARGET_ENDIAN")? == "big",
    };
    let built = ebpf::build(tools, &options)?;
    fs::copy(&built, object).with_context(|| format!("can't copy {}", built.display()))?;
    Ok(())
}

fn write_empty(object: &Path) -> Result<()> {
    fs::write(object, []).with_context(|| format!("can't write {}", object.display()))
}
