//! Finds what builds a BPF object: a rustc with the source of `core`, bpf-linker, and an LLVM that
//! bpf-linker can load and that reads this rustc's bitcode.

use std::collections::HashSet;
use std::env;
use std::fmt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use super::{cache, llvm};
use crate::paths;

/// The version of bpf-linker that this project builds with: the last whose LLVM is loaded at run
/// time. From 0.11 on it is linked to a system LLVM, whose headers few machines have.
pub const LINKER_VERSION: &str = "0.10.3";

/// A set of tools that was tried and works together.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Toolchain {
    /// The compiler: itself, never rustup's proxy.
    pub rustc: PathBuf,
    /// The cargo that belongs to it.
    pub cargo: PathBuf,
    /// bpf-linker.
    pub linker: PathBuf,
    /// The LLVM library that bpf-linker is to load: a link, the only file of its directory.
    pub llvm: PathBuf,
}

impl Toolchain {
    /// Every file that it needs.
    pub(super) fn files(&self) -> [PathBuf; 5] {
        let Self {
            rustc,
            cargo,
            linker,
            llvm,
        } = self;
        let sysroot = rustc.ancestors().nth(2).unwrap_or(rustc);
        [
            rustc.clone(),
            cargo.clone(),
            linker.clone(),
            llvm.clone(),
            core_source(sysroot),
        ]
    }
}

/// What is missing to build the BPF object.
#[derive(Clone, Debug)]
pub enum Missing {
    /// No usable compiler; each that was found, and why not.
    Compiler(Vec<String>),
    /// No bpf-linker of version [`LINKER_VERSION`].
    Linker,
    /// No LLVM that fits; the compilers that were tried.
    Llvm(Vec<PathBuf>),
}

impl std::error::Error for Missing {}

impl fmt::Display for Missing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Compiler(seen) if seen.is_empty() => write!(f, "no Rust compiler found"),
            Self::Compiler(seen) => {
                write!(
                    f,
                    "no Rust compiler that can build for BPF ({})",
                    seen.join("; ")
                )
            }
            Self::Linker => write!(f, "no bpf-linker {LINKER_VERSION}"),
            Self::Llvm(compilers) => {
                let compilers: Vec<_> = compilers
                    .iter()
                    .map(|path| path.display().to_string())
                    .collect();
                write!(
                    f,
                    "no LLVM with which bpf-linker reads what {} writes",
                    compilers.join(" or ")
                )
            }
        }
    }
}

/// Finds a working toolchain; the answer is remembered until one of its files changes.
///
/// # Errors
/// What is missing, the compiler before the linker before LLVM.
pub fn find() -> Result<Toolchain, Missing> {
    if let Some(known) = cache::load() {
        return Ok(known);
    }
    let compilers = compilers()?;
    let linker = linker().ok_or(Missing::Linker)?;
    let libraries = llvm::candidates();
    let found = compilers.iter().find_map(|compiler| {
        let llvm = llvm::fitting(compiler, &linker, &libraries)?;
        let (rustc, cargo) = (compiler.rustc.clone(), compiler.cargo.clone());
        Some(Toolchain {
            rustc,
            cargo,
            linker: linker.clone(),
            llvm,
        })
    });
    let tools = found.ok_or_else(|| {
        Missing::Llvm(
            compilers
                .into_iter()
                .map(|compiler| compiler.rustc)
                .collect(),
        )
    })?;
    cache::store(&tools);
    Ok(tools)
}

/// A compiler that has the source of `core` and a cargo beside it.
pub(super) struct Compiler {
    pub(super) rustc: PathBuf,
    cargo: PathBuf,
}

/// All usable compilers, the user's own first.
fn compilers() -> Result<Vec<Compiler>, Missing> {
    let (mut usable, mut refused) = (Vec::new(), Vec::new());
    let mut seen = HashSet::new();
    for sysroot in sysroots() {
        if seen.insert(sysroot.canonicalize().unwrap_or_else(|_| sysroot.clone())) {
            match compiler(&sysroot) {
                Ok(compiler) => usable.push(compiler),
                Err(why) => refused.push(format!("{}: {why}", sysroot.join("bin/rustc").display())),
            }
        }
    }
    if usable.is_empty() {
        Err(Missing::Compiler(refused))
    } else {
        Ok(usable)
    }
}

/// The installations of Rust on this machine: behind the `rustc` in `PATH`, rustup's, and those of
/// distributions.
fn sysroots() -> Vec<PathBuf> {
    let mut found: Vec<PathBuf> = paths::executables("rustc")
        .filter_map(|rustc| output(&rustc, &["--print", "sysroot"]))
        .map(|text| PathBuf::from(text.trim()))
        .collect();
    found.extend(entries(&rustup_home().join("toolchains")));
    found.push("/usr".into());
    found.extend(entries(Path::new("/usr/lib")).filter(|dir| named(dir, "rust-")));
    found.retain(|sysroot| sysroot.join("bin/rustc").is_file());
    found
}

/// `RUSTUP_HOME`, or where rustup puts it.
pub(super) fn rustup_home() -> PathBuf {
    let home = || PathBuf::from(env::var_os("HOME").unwrap_or_default()).join(".rustup");
    env::var_os("RUSTUP_HOME").map_or_else(home, PathBuf::from)
}

fn compiler(sysroot: &Path) -> Result<Compiler, String> {
    let (rustc, cargo) = (sysroot.join("bin/rustc"), sysroot.join("bin/cargo"));
    let version = output(&rustc, &["--version"]).ok_or("does not run")?;
    let wanted = env!("CARGO_PKG_RUST_VERSION");
    if release(&version) < release(wanted) {
        return Err(format!("is older than {wanted}"));
    }
    if !sysroot
        .join("lib/rustlib/src/rust/library/core/Cargo.toml")
        .is_file()
    {
        return Err("has no source of the core library (rust-src)".into());
    }
    if !cargo.is_file() {
        return Err("has no cargo beside it".into());
    }
    Ok(Compiler { rustc, cargo })
}

/// A file of the source of `core`: it comes and goes apart from the compiler.
fn core_source(sysroot: &Path) -> PathBuf {
    sysroot.join("lib/rustlib/src/rust/library/core/Cargo.toml")
}

/// Major and minor version in a text like `rustc 1.96.0-nightly (…)` or `1.95`.
fn release(text: &str) -> Option<(u32, u32)> {
    let numbers = text
        .split_whitespace()
        .find(|word| word.starts_with(|c: char| c.is_ascii_digit()))?;
    let mut numbers = numbers.split(['.', '-']);
    Some((numbers.next()?.parse().ok()?, numbers.next()?.parse().ok()?))
}

/// bpf-linker of the pinned version: ours, or one that the user has anyway.
fn linker() -> Option<PathBuf> {
    let ours = paths::tools().join("bin/bpf-linker");
    let wanted = format!("bpf-linker {LINKER_VERSION}");
    [ours]
        .into_iter()
        .chain(paths::executables("bpf-linker"))
        .find(|path| output(path, &["--version"]).is_some_and(|text| text.trim() == wanted))
}

/// What `program` prints, if it runs and succeeds.
pub(super) fn output(program: &Path, args: &[&str]) -> Option<String> {
    let done = Command::new(program)
        .args(args)
        .current_dir(paths::workspace())
        .stdin(Stdio::null())
        .output()
        .ok()?;
    done.status
        .success()
        .then(|| String::from_utf8_lossy(&done.stdout).into_owned())
}

/// The entries of a directory in order of their names; none if there is no such directory.
pub(super) fn entries(dir: &Path) -> impl Iterator<Item = PathBuf> + use<> {
    let read = dir.read_dir().into_iter().flatten().flatten();
    let mut found: Vec<_> = read.map(|entry| entry.path()).collect();
    found.sort();
    found.into_iter()
}

/// Whether the last component of `path` begins with `prefix`.
pub(super) fn named(path: &Path, prefix: &str) -> bool {
    path.file_name()
        .is_some_and(|name| name.to_string_lossy().starts_with(prefix))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn release_reads_what_compilers_print() {
        assert_eq!(
            release("rustc 1.96.0 (ac68faa20 2026-05-25) (built from source)"),
            Some((1, 96))
        );
        assert_eq!(
            release("rustc 1.97.0-nightly (0b9d9d2c1 2026-06-01)"),
            Some((1, 97))
        );
        assert_eq!(release("1.95"), Some((1, 95)));
        assert!(release("rustc 1.85.1") < release("1.95"));
        assert_eq!(release("no number"), None);
    }
}
