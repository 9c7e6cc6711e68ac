//! Remembers which toolchain works: the search takes seconds, and each build needs the answer.
//!
//! One line a file: its modification time in nanoseconds since 1970, and its path. The answer
//! holds as long as no file has another time than then.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::UNIX_EPOCH;

use super::toolchain::{LINKER_VERSION, Toolchain};
use crate::paths;

/// The file with the answer; a build script watches it.
pub(super) fn file() -> PathBuf {
    paths::tools().join("toolchain.txt")
}

pub(super) fn load() -> Option<Toolchain> {
    let text = fs::read_to_string(file()).ok()?;
    let mut lines = text.lines();
    if lines.next()? != header() {
        return None;
    }
    let files: Option<Vec<PathBuf>> = lines.map(unchanged).collect();
    let [rustc, cargo, linker, llvm, _] = <[PathBuf; 5]>::try_from(files?).ok()?;
    Some(Toolchain {
        rustc,
        cargo,
        linker,
        llvm,
    })
}

/// A cache that can't be written costs time, nothing else: no error.
pub(super) fn store(tools: &Toolchain) {
    let mut text = header() + "\n";
    for path in tools.files() {
        let Some(stamp) = stamp(&path) else { return };
        text.push_str(&format!("{stamp} {}\n", path.display()));
    }
    let new = file().with_extension(std::process::id().to_string());
    if fs::write(&new, text).is_ok() {
        let _ = fs::rename(&new, file());
    }
}

fn header() -> String {
    format!("bpf-linker {LINKER_VERSION}")
}

fn unchanged(line: &str) -> Option<PathBuf> {
    let (then, path) = line.split_once(' ')?;
    let path = PathBuf::from(path);
    (stamp(&path)?.to_string() == then).then_some(path)
}

fn stamp(path: &Path) -> Option<u128> {
    let modified = path.metadata().ok()?.modified().ok()?;
    Some(modified.duration_since(UNIX_EPOCH).ok()?.as_nanos())
}
