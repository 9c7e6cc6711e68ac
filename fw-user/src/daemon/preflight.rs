//! What has to be true before anything is touched: root, a kernel that can, a BPF file system that
//! nobody else can write to.

use std::fs::{self, Metadata};
use std::io;
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _};
use std::path::{Path, PathBuf};

use aya::programs::ProgramType;
use rustix::fs::statfs;
use tracing::warn;

use crate::paths::Paths;

/// Oldest kernel that the programs are tested on.
const OLDEST_KERNEL: (u32, u32) = (6, 1);
/// `BPF_FS_MAGIC`
const BPF_FS: u32 = 0xcafe_4a11;
/// Write permission for group and others.
const OTHERS_WRITE: u32 = 0o022;
/// The sticky bit: entries can be replaced by their owners only.
const STICKY: u32 = 0o1000;

/// Why the daemon cannot run here.
#[derive(Debug, thiserror::Error)]
pub enum PreflightError {
    /// Not root.
    #[error("the firewall needs root: run `sudo fwctl run …`")]
    NotRoot,
    /// The kernel is too old.
    #[error(
        "Linux {release} is too old: fwctl needs 6.1 or newer; install a newer kernel and reboot"
    )]
    OldKernel {
        /// `uname -r`
        release: String,
    },
    /// No XDP or no BPF at all.
    #[error(
        "this kernel has no {what}: use one with CONFIG_BPF_SYSCALL=y and CONFIG_NET=y, such as your \
         distribution's own"
    )]
    NoBpf {
        /// What is missing.
        what: &'static str,
    },
    /// The system call is refused.
    #[error(
        "the kernel refuses bpf(2): {0}; give this process CAP_BPF, CAP_NET_ADMIN and CAP_PERFMON"
    )]
    Refused(String),
    /// The pin directory is on an ordinary file system.
    #[error(
        "there is no BPF file system at {}: mount one with `{}`", mount_point.display(),
        mount_command(mount_point)
    )]
    NoBpffs {
        /// Where it should be mounted.
        mount_point: PathBuf,
    },
    /// A name that BPF file systems do not allow.
    #[error("--bpffs {}: names on a BPF file system cannot have a dot; choose another", path.display())]
    Dot {
        /// The directory.
        path: PathBuf,
    },
    /// Somebody else could change what is pinned.
    #[error("{}: {why}; remove it or give it to root: `chown root: {0} && chmod go-w {0}`", path.display())]
    Insecure {
        /// The directory.
        path: PathBuf,
        /// What is wrong with it.
        why: &'static str,
    },
    /// A directory cannot be made or read.
    #[error("cannot use the directory {}: {cause}", path.display())]
    Directory {
        /// The directory.
        path: PathBuf,
        /// Why.
        cause: io::Error,
    },
}

/// What keeps the firewall from running on this machine, without touching anything.
#[must_use]
pub fn problems(paths: &Paths) -> Vec<PreflightError> {
    let checks = [
        check_machine(),
        check_name(&paths.bpffs),
        check_bpffs(&paths.bpffs),
    ];
    checks.into_iter().filter_map(Result::err).collect()
}

/// Where a BPF file system is to be mounted so that `dir` is on one: nothing else may stand there.
fn mount_point(dir: &Path) -> PathBuf {
    let usual = Path::new("/sys/fs/bpf");
    if dir.starts_with(usual) {
        return usual.into();
    }
    std::path::absolute(dir).unwrap_or_else(|_| dir.into())
}

/// The command that mounts a BPF file system there.
pub(crate) fn mount_command(mount_point: &Path) -> String {
    let dir = mount_point.display();
    if mount_point.exists() {
        format!("mount -t bpf bpf {dir}")
    } else {
        format!("mkdir -p {dir} && mount -t bpf bpf {dir}")
    }
}

/// Checks who we are and what the kernel can.
///
/// # Errors
/// The first thing that is missing.
pub(super) fn check_machine() -> Result<(), PreflightError> {
    if !rustix::process::geteuid().is_root() {
        return Err(PreflightError::NotRoot);
    }
    check_release(&rustix::system::uname().release().to_string_lossy())?;
    check_bpf()?;
    warn_if_unprivileged_bpf();
    Ok(())
}

/// Checks the places, and makes the directories.
///
/// # Errors
/// The first that is not fit.
pub(super) fn make_directories(paths: &Paths) -> Result<(), PreflightError> {
    check_name(&paths.bpffs)?;
    check_bpffs(&paths.bpffs)?;
    make_directory(&paths.state_dir, 0o700)?;
    make_directory(socket_dir(paths), 0o750)?;
    let mut dirs = ["maps", "programs", "links"].iter();
    dirs.try_for_each(|dir| make_private(&paths.pins().join(dir)))
}

/// `bpf_lookup` in the kernel keeps names with a dot for itself.
fn check_name(dir: &Path) -> Result<(), PreflightError> {
    let last = dir.file_name().unwrap_or_default();
    if last.to_string_lossy().contains('.') && !dir.exists() {
        return Err(PreflightError::Dot { path: dir.into() });
    }
    Ok(())
}

/// The directory of the control socket.
pub(super) fn socket_dir(paths: &Paths) -> &Path {
    paths.socket.parent().unwrap_or(Path::new("/"))
}

/// Whether the kernel `release` (`6.18.44-generic`) is new enough; one that cannot be read is.
fn check_release(release: &str) -> Result<(), PreflightError> {
    let mut numbers = release.split(|c: char| !c.is_ascii_digit()).map(str::parse);
    let (Some(Ok(major)), Some(Ok(minor))) = (numbers.next(), numbers.next()) else {
        return Ok(());
    };
    if (major, minor) < OLDEST_KERNEL {
        return Err(PreflightError::OldKernel {
            release: release.into(),
        });
    }
    Ok(())
}

fn check_bpf() -> Result<(), PreflightError> {
    let programs = [
        (ProgramType::Xdp, "XDP"),
        (ProgramType::SchedClassifier, "BPF classifiers for TC"),
    ];
    for (program, what) in programs {
        match aya::sys::is_program_supported(program) {
            Ok(true) => {}
            Ok(false) => return Err(PreflightError::NoBpf { what }),
            Err(e) => return Err(refused(&e)),
        }
    }
    Ok(())
}

fn refused(error: &(dyn std::error::Error + 'static)) -> PreflightError {
    let cause = error.source().and_then(|e| e.downcast_ref::<io::Error>());
    match cause {
        Some(e) if e.raw_os_error() == Some(libc::ENOSYS) => PreflightError::NoBpf { what: "BPF" },
        Some(e) => PreflightError::Refused(e.to_string()),
        None => PreflightError::Refused(error.to_string()),
    }
}

/// Walks up to the root of the BPF file system that holds `dir`, and checks what is there: the only
/// lock on pinned maps is who may write to these directories.
fn check_bpffs(dir: &Path) -> Result<(), PreflightError> {
    let existing = dir.ancestors().find(|a| a.exists()).unwrap_or(dir);
    let is_bpffs = statfs(existing).is_ok_and(|fs| fs.f_type as u32 == BPF_FS);
    if !is_bpffs {
        return Err(PreflightError::NoBpffs {
            mount_point: mount_point(dir),
        });
    }
    let device = metadata(existing)?.dev();
    for part in existing.ancestors() {
        let parent = part.parent().map(metadata).transpose()?;
        let is_root = parent.is_none_or(|parent| parent.dev() != device);
        check_owner(part, &metadata(part)?, is_root)?;
        if is_root {
            break;
        }
    }
    Ok(())
}

/// A directory that nobody but root can change. The root of the file system may be open to all if it
/// is sticky, as `mount -t bpf` makes it: what stands there belongs to who made it.
fn check_owner(path: &Path, meta: &Metadata, is_root: bool) -> Result<(), PreflightError> {
    let insecure = |why| {
        Err(PreflightError::Insecure {
            path: path.into(),
            why,
        })
    };
    if !meta.is_dir() {
        return insecure("it is no directory");
    }
    if meta.uid() != 0 {
        return insecure(
            "it does not belong to root, so somebody else controls what is pinned there",
        );
    }
    let open = meta.mode() & OTHERS_WRITE != 0;
    if open && !(is_root && meta.mode() & STICKY != 0) {
        return insecure("others than root may write to it");
    }
    Ok(())
}

/// Without following a symbolic link, which somebody else may have put there.
fn metadata(path: &Path) -> Result<Metadata, PreflightError> {
    fs::symlink_metadata(path).map_err(|cause| PreflightError::Directory {
        path: path.into(),
        cause,
    })
}

/// Makes a directory below the BPF file system, part by part, each private to root.
fn make_private(dir: &Path) -> Result<(), PreflightError> {
    make_directory(dir, 0o700)?;
    check_bpffs(dir)
}

fn make_directory(dir: &Path, mode: u32) -> Result<(), PreflightError> {
    let mut builder = fs::DirBuilder::new();
    let made = builder.recursive(true).mode(mode).create(dir);
    made.map_err(|cause| PreflightError::Directory {
        path: dir.into(),
        cause,
    })
}

/// Kernel bugs that need `bpf(2)` are everybody's then.
fn warn_if_unprivileged_bpf() {
    let path = "/proc/sys/kernel/unprivileged_bpf_disabled";
    if fs::read_to_string(path).is_ok_and(|value| value.trim() == "0") {
        warn!("any user may load BPF programs: `sysctl -w kernel.unprivileged_bpf_disabled=1`");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_system_is_mounted_where_nothing_else_stands() {
        let point = |dir: &str| mount_point(Path::new(dir));
        assert_eq!(point("/sys/fs/bpf/fwctl"), Path::new("/sys/fs/bpf"));
        assert_eq!(point("/foo"), Path::new("/foo"));
        assert_eq!(point("/tmp/some/bpf"), Path::new("/tmp/some/bpf"));
        assert!(point("foo").is_absolute() && point("foo").ends_with("foo"));
    }

    #[test]
    fn old_kernels_are_refused() {
        for release in ["5.10.0-28-amd64", "6.0.19", "4.19"] {
            let error = check_release(release).expect_err(release);
            assert!(error.to_string().contains(release), "{error}");
        }
        for release in ["6.1.0", "6.18.44-fc", "7.0-rc1", "10.2", "weird"] {
            assert!(check_release(release).is_ok(), "{release}");
        }
    }

    #[test]
    fn ordinary_file_system_is_refused_with_the_command() {
        let error = check_bpffs(Path::new("/proc")).expect_err("proc");
        assert!(
            error.to_string().contains("`mount -t bpf bpf /proc`"),
            "{error}"
        );
        let error = check_bpffs(Path::new("/no/such/dir/fwctl")).expect_err("missing");
        let expected = "`mkdir -p /no/such/dir/fwctl && mount -t bpf bpf /no/such/dir/fwctl`";
        assert!(error.to_string().contains(expected), "{error}");
    }

    #[test]
    fn only_root_may_write() {
        let tmp = Path::new("/tmp");
        let meta = metadata(tmp).expect("/tmp");
        if meta.uid() == 0 && meta.mode() & OTHERS_WRITE != 0 {
            assert!(check_owner(tmp, &meta, true).is_ok() == (meta.mode() & STICKY != 0));
            assert!(check_owner(tmp, &meta, false).is_err());
        }
        let file = Path::new("/proc/self/status");
        assert!(check_owner(file, &metadata(file).expect("status"), false).is_err());
    }
}
