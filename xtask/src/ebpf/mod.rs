//! Builds the BPF object.
//!
//! aya's own builder runs cargo through rustup and takes the linker from `PATH`; a machine that has
//! its Rust from a distribution is out of luck there. This one takes what [`toolchain`] found.

mod cache;
mod llvm;
pub mod toolchain;

use std::env;
use std::ffi::OsStr;
use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context as _, Result, bail};

use crate::paths;
use toolchain::Toolchain;

/// The package with the firewall's programs.
pub const FIREWALL: &str = "fw-ebpf";
/// The package with those of the benchmarks.
pub const BENCHMARKS: &str = "fw-bench-ebpf";

/// What to build.
#[derive(Clone, Debug)]
pub struct Options {
    /// The package.
    pub package: &'static str,
    /// Cargo features of it. Each combination has a target directory of its own, so that
    /// switching between two does not rebuild both each time.
    pub features: Vec<String>,
    /// Architecture of the machine that will load the object, by rustc's name: it selects the
    /// layout of `struct pt_regs` and the like in aya's bindings.
    pub arch: String,
    /// Byte order of that machine.
    pub big_endian: bool,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            package: FIREWALL,
            features: Vec::new(),
            arch: env::consts::ARCH.to_owned(),
            big_endian: cfg!(target_endian = "big"),
        }
    }
}

impl Options {
    fn target(&self) -> &'static str {
        if self.big_endian {
            "bpfeb-unknown-none"
        } else {
            "bpfel-unknown-none"
        }
    }

    fn target_dir(&self) -> PathBuf {
        let mut name = String::from("ebpf");
        for feature in &self.features {
            name.push('-');
            name.push_str(feature);
        }
        paths::target().join(name)
    }

    /// aya's bindings know 64-bit RISC-V as `riscv64`; rustc tells its extensions apart.
    fn bpf_target_arch(&self) -> &str {
        if self.arch.starts_with("riscv64") {
            "riscv64"
        } else {
            &self.arch
        }
    }

    fn rustflags(&self) -> String {
        [
            &format!("--cfg=bpf_target_arch=\"{}\"", self.bpf_target_arch()),
            // Line information: the verifier's log then quotes our source.
            "-Cdebuginfo=2",
            "-Clink-arg=--btf",
            "-Clink-arg=--disable-expand-memcpy-in-order",
            // v3 has 32-bit jumps and the atomic exchange and compare-and-exchange instructions;
            // every kernel since 5.12 runs it.
            "-Ctarget-cpu=v3",
        ]
        .join("\u{1f}")
    }
}

/// Builds a BPF package with `tools` and returns the path of the ELF object.
///
/// # Errors
/// When cargo can't be started or the build fails; the compiler's own messages are on standard
/// error.
pub fn build(tools: &Toolchain, options: &Options) -> Result<PathBuf> {
    let status = command(tools, options)
        .status()
        .with_context(|| format!("can't run {}", tools.cargo.display()))?;
    if !status.success() {
        bail!("the BPF object does not build ({status}); the compiler's messages are above");
    }
    Ok(options
        .target_dir()
        .join(options.target())
        .join("release")
        .join(options.package))
}

/// What the BPF object is made of, and with: when one of these changes it must be built again. The
/// last is the record of the toolchain that was found; as long as none was, it does not exist.
#[must_use]
pub fn inputs(package: &str) -> Vec<PathBuf> {
    let crates = [package, "fw-common"];
    let inside = crates
        .into_iter()
        .flat_map(|name| [format!("{name}/Cargo.toml"), format!("{name}/src")]);
    let shared = ["Cargo.lock", "Cargo.toml"].map(str::to_owned);
    let files = inside.chain(shared);
    files
        .map(|path| paths::workspace().join(path))
        .chain([cache::file()])
        .collect()
}

fn command(tools: &Toolchain, options: &Options) -> Command {
    let mut cargo = Command::new(&tools.cargo);
    clean_environment(&mut cargo);
    cargo
        .current_dir(paths::workspace())
        .args([
            "build",
            "--locked",
            "--release",
            "-Zbuild-std=core",
            "--package",
            options.package,
        ])
        .args(["--target", options.target()])
        .arg("--target-dir")
        .arg(options.target_dir())
        .env("RUSTC", &tools.rustc)
        // build-std is unstable; the stable compilers of distributions need this to accept it.
        .env("RUSTC_BOOTSTRAP", "1")
        .env("CARGO_ENCODED_RUSTFLAGS", options.rustflags())
        .env("CARGO_TARGET_BPFEL_UNKNOWN_NONE_LINKER", &tools.linker)
        .env("CARGO_TARGET_BPFEB_UNKNOWN_NONE_LINKER", &tools.linker)
        .env(
            "LD_LIBRARY_PATH",
            tools.llvm.parent().unwrap_or(&tools.llvm),
        );
    if !options.features.is_empty() {
        cargo.arg("--features").arg(options.features.join(","));
    }
    cargo
}

/// Makes `command`, a nested cargo, forget the cargo that runs us: its toolchain, flags, profile,
/// package variables and jobserver. What tells it how to reach the registry stays.
pub fn clean_environment(command: &mut Command) {
    const BUILD_SCRIPT: &[&str] = &[
        "HOST",
        "TARGET",
        "OUT_DIR",
        "PROFILE",
        "OPT_LEVEL",
        "DEBUG",
        "NUM_JOBS",
        "MAKEFLAGS",
    ];
    const KEPT: &[&str] = &[
        "CARGO_HOME",
        "CARGO_HTTP_",
        "CARGO_NET_",
        "CARGO_REGISTR",
        "CARGO_SOURCE_",
        "CARGO_TERM_",
    ];
    let ours = |name: &str| {
        let cargo = name.starts_with("CARGO") && !KEPT.iter().any(|kept| name.starts_with(kept));
        let rust = name.starts_with("RUSTC") || name.starts_with("RUSTFLAGS");
        cargo || rust || BUILD_SCRIPT.contains(&name) || name == "RUSTUP_TOOLCHAIN"
    };
    for (name, _) in env::vars_os() {
        if name.to_str().is_some_and(ours) {
            command.env_remove(name);
        }
    }
    // An empty wrapper also overrides one from the user's cargo configuration.
    command
        .env_remove("LD_LIBRARY_PATH")
        .env("RUSTC_WRAPPER", OsStr::new(""));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn features_get_a_target_directory_of_their_own() {
        let plain = Options::default();
        let debug = Options {
            features: vec!["debug-log".into()],
            ..Options::default()
        };
        assert!(plain.target_dir().ends_with("ebpf"));
        assert!(debug.target_dir().ends_with("ebpf-debug-log"));
    }

    #[test]
    fn rustflags_name_the_loading_machine() {
        let options = Options {
            arch: "riscv64gc".into(),
            ..Options::default()
        };
        let flags = options.rustflags();
        assert!(
            flags
                .split('\u{1f}')
                .any(|flag| flag == "--cfg=bpf_target_arch=\"riscv64\"")
        );
    }
}
