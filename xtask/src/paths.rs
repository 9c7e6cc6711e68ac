//! Where the project and its build products are.

use std::env;
use std::path::{Path, PathBuf};

/// The workspace's root directory.
#[must_use]
pub fn workspace() -> PathBuf {
    let manifest = Path::new(env!("CARGO_MANIFEST_DIR"));
    manifest.parent().unwrap_or(manifest).to_path_buf()
}

/// Cargo's target directory: `CARGO_TARGET_DIR`, or `target/` in the workspace.
#[must_use]
pub fn target() -> PathBuf {
    match env::var_os("CARGO_TARGET_DIR") {
        Some(dir) if !dir.is_empty() => workspace().join(dir),
        _ => workspace().join("target"),
    }
}

/// Where `cargo xtask setup` puts tools. Always in the workspace, whatever `CARGO_TARGET_DIR` says,
/// so that a build with another target directory finds them.
#[must_use]
pub fn tools() -> PathBuf {
    workspace().join("target/tools")
}

/// The executable files called `name` in `PATH` and in the directories of administrators, which an
/// ordinary user's `PATH` leaves out on Debian.
pub fn executables(name: &str) -> impl Iterator<Item = PathBuf> {
    let path = env::var_os("PATH").unwrap_or_default();
    let mut dirs: Vec<PathBuf> = env::split_paths(&path).collect();
    dirs.extend(["/usr/local/sbin", "/usr/sbin", "/sbin"].map(PathBuf::from));
    let name = name.to_owned();
    dirs.into_iter()
        .map(move |dir| dir.join(&name))
        .filter(|path| is_executable(path))
}

fn is_executable(path: &Path) -> bool {
    use std::os::unix::fs::PermissionsExt as _;
    path.metadata()
        .is_ok_and(|meta| meta.is_file() && meta.permissions().mode() & 0o111 != 0)
}
