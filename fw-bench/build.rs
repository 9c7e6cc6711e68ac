//! Puts the generator's BPF object where `include_bytes_aligned!` finds it. Without a BPF toolchain
//! the file is empty, as that of `fw-user` is, and running the benchmarks is an error that says so.

use std::env;
use std::fs;
use std::path::PathBuf;

use anyhow::{Context as _, Result};
use xtask::ebpf::{self, Options, toolchain};

/// Set to 1 to embed an empty object even where the BPF toolchain is there.
const SKIP: &str = "FW_SKIP_EBPF";

fn main() -> Result<()> {
    println!("cargo::rerun-if-env-changed={SKIP}");
    let out = env::var_os("OUT_DIR").context("no OUT_DIR")?;
    let object = PathBuf::from(out).join("generator.o");
    let skip = env::var_os(SKIP).is_some_and(|value| value == "1");
    for input in ebpf::inputs(ebpf::BENCHMARKS) {
        println!("cargo::rerun-if-changed={}", input.display());
    }
    let built = match toolchain::find() {
        Ok(tools) if !skip => fs::read(ebpf::build(&tools, &options()?)?)?,
        _ => Vec::new(),
    };
    fs::write(&object, built).with_context(|| format!("can't write {}", object.display()))
}

fn options() -> Result<Options> {
    Ok(Options {
        package: ebpf::BENCHMARKS,
        features: Vec::new(),
        arch: env::var("CARGO_CFG_TARGET_ARCH")?,
        big_endian: env::var("CARGO_CFG_TARGET_ENDIAN")? == "big",
    })
}
