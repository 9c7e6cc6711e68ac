//! Which LLVM bpf-linker is to load.
//!
//! bpf-linker opens the first file called `libLLVM*` that it meets in `LD_LIBRARY_PATH` and whose
//! symbols it happens to find. Which that is on a given machine can't be told from names: there are
//! linker scripts among them, and versions too old to read the compiler's bitcode. So try: compile
//! a function, link it, and take the first library with which that works.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use super::toolchain::{Compiler, entries, named, rustup_home};
use crate::paths;

/// Every LLVM library on this machine: rustup's toolchains bring one, distributions have packages.
pub(super) fn candidates() -> Vec<PathBuf> {
    let mut dirs: Vec<PathBuf> = entries(&rustup_home().join("toolchains"))
        .map(|toolchain| toolchain.join("lib"))
        .collect();
    let system = [
        Path::new("/usr/lib"),
        Path::new("/usr/lib64"),
        Path::new("/usr/local/lib"),
    ];
    for base in system {
        let versions = entries(base).filter(|dir| named(dir, "llvm") || named(dir, "rust-"));
        dirs.extend(versions.map(|dir| dir.join("lib")));
        dirs.extend(entries(base).filter(|dir| dir.to_string_lossy().ends_with("-linux-gnu")));
        dirs.push(base.into());
    }
    let libraries = dirs
        .iter()
        .flat_map(|dir| entries(dir))
        .filter(|file| named(file, "libLLVM"));
    libraries.filter(|file| is_shared_library(file)).collect()
}

/// Not one of the linker scripts, archives and directories that share the name: by its magic.
fn is_shared_library(path: &Path) -> bool {
    let is_elf = || {
        let mut magic = [0; 4];
        let mut file = fs::File::open(path).ok()?;
        std::io::Read::read_exact(&mut file, &mut magic).ok()?;
        Some(magic == *b"\x7fELF")
    };
    path.to_string_lossy().contains(".so") && path.is_file() && is_elf().unwrap_or(false)
}

/// A link, alone in its directory, to the first of `libraries` that links what `compiler` compiles.
pub(super) fn fitting(
    compiler: &Compiler,
    linker: &Path,
    libraries: &[PathBuf],
) -> Option<PathBuf> {
    let work = paths::tools().join(format!("probe-{}", std::process::id()));
    let found = probe(&work, compiler, linker, libraries);
    // What is left behind is only in the way, never wrong.
    let _ = fs::remove_dir_all(&work);
    found
}

fn probe(
    work: &Path,
    compiler: &Compiler,
    linker: &Path,
    libraries: &[PathBuf],
) -> Option<PathBuf> {
    fs::create_dir_all(work).ok()?;
    let bitcode = compile(work, compiler)?;
    // The compiler's own library first: it is the one that surely reads this bitcode.
    let sysroot = compiler.rustc.parent()?.parent()?;
    let (own, others): (Vec<_>, Vec<_>) =
        libraries.iter().partition(|path| path.starts_with(sysroot));
    let works = |library: &&&PathBuf| links(work, linker, &bitcode, library);
    let library = own.iter().chain(&others).find(works)?;
    publish(work, library)
}

fn compile(work: &Path, compiler: &Compiler) -> Option<PathBuf> {
    let (source, bitcode) = (work.join("probe.rs"), work.join("probe.bc"));
    let text = "#![no_std]\n#[unsafe(no_mangle)] pub extern \"C\" fn probe(x: u64) -> u64 { !x }\n";
    fs::write(&source, text).ok()?;
    let mut rustc = Command::new(&compiler.rustc);
    rustc.args([
        "--edition=2024",
        "--crate-type=lib",
        "--emit=llvm-bc",
        "-Cpanic=abort",
        "-O",
        "-o",
    ]);
    run(rustc.arg(&bitcode).arg(&source)).then_some(bitcode)
}

/// Whether `linker` makes a BPF object of `bitcode` when it loads `library`.
fn links(work: &Path, linker: &Path, bitcode: &Path, library: &Path) -> bool {
    let (dir, object) = (work.join("llvm"), work.join("probe.o"));
    let _ = fs::remove_dir_all(&dir);
    if fs::create_dir(&dir)
        .and_then(|()| symlink(library, dir.join(NAME)))
        .is_err()
    {
        return false;
    }
    let mut command = Command::new(linker);
    command
        .args(["--target=bpfel", "--btf", "--export=probe", "-o"])
        .arg(&object)
        .arg(bitcode);
    // No PATH: bpf-linker looks for LLVM beside its directories too. It asks no `rustc` for this
    // target.
    run(command.env("LD_LIBRARY_PATH", &dir).env("PATH", ""))
}

/// bpf-linker takes any file whose name begins with `libLLVM`. It must not be called what a
/// compiler's own LLVM is: the compiler would load it too.
const NAME: &str = "libLLVM-of-bpf-linker.so";

/// Moves the link into its final place in one step: another build may be reading it.
fn publish(work: &Path, library: &Path) -> Option<PathBuf> {
    let (link, new) = (paths::tools().join("llvm").join(NAME), work.join("new"));
    fs::create_dir_all(link.parent()?).ok()?;
    symlink(library, &new).ok()?;
    fs::rename(&new, &link).ok()?;
    Some(link)
}

fn run(command: &mut Command) -> bool {
    let quiet = command
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    quiet.status().is_ok_and(|status| status.success())
}
