//! One daemon for each pin directory, socket and interface; a second one is told who was first.
//!
//! Nothing here outlives its process: after a `kill -9` there is no stale lock to clear.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::fd::AsFd as _;
use std::os::linux::net::SocketAddrExt as _;
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::os::unix::net::{SocketAddr, UnixListener};
use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::fs::{FlockOperation, OFlags, flock};
use rustix::net::{AddressFamily, SocketAddrUnix, SocketFlags, SocketType, connect, socket_with};
use tracing::warn;

use crate::attach::shown;
use crate::life::boot::Now;
use crate::paths::Paths;
use crate::sys::peer::{self, Peer};

/// Kernel's list of file locks.
const LOCKS: &str = "/proc/locks";

/// Units a second of times in `/proc`, whatever the kernel's own clock.
const USER_HZ: u64 = 100;

/// What another process has.
#[derive(Debug, thiserror::Error)]
pub enum LockError {
    /// A directory or socket is in use.
    #[error(
        "{} is in use by {owner}: stop that one, or give this one its own --bpffs, --socket and \
         --state-dir", path.display()
    )]
    InUse {
        /// What is in use.
        path: PathBuf,
        /// Process id and command of who has it.
        owner: String,
    },
    /// An interface is in use.
    #[error("{interface} is already filtered by {owner}: stop that one first")]
    Interface {
        /// The interface.
        interface: String,
        /// Process id and command of who has it.
        owner: String,
    },
    /// Packets are followed already.
    #[error("somebody else traces packets, {owner}: end that one first")]
    Traces {
        /// Process id and command of who does.
        owner: String,
    },
    /// The lock cannot be taken for another reason.
    #[error("cannot lock {}: {cause}", path.display())]
    Io {
        /// What is to be locked.
        path: PathBuf,
        /// Why not.
        cause: io::Error,
    },
}

/// The locks of one daemon, held until it is dropped.
#[derive(Debug)]
pub(super) struct Locks {
    files: [File; 2],
}

/// Closing would do where nobody else has the descriptors. A child has them from its fork to its exec.
impl Drop for Locks {
    fn drop(&mut self) {
        for file in &self.files {
            if let Err(e) = flock(file.as_fd(), FlockOperation::Unlock) {
                warn!("unlocking: {e}");
            }
        }
    }
}

impl Locks {
    /// Locks the pin directory and the socket's place. Both directories exist already.
    ///
    /// # Errors
    /// [`LockError`]: who has it.
    pub(super) fn take(paths: &Paths) -> Result<Self, LockError> {
        let bpffs = lock(&paths.bpffs, OpenOptions::new().read(true))?;
        let mut beside = paths.socket.clone().into_os_string();
        beside.push(".lock");
        let socket = lock(
            Path::new(&beside),
            OpenOptions::new()
                .write(true)
                .create(true)
                .truncate(false)
                .mode(0o600)
                .custom_flags(OFlags::NOFOLLOW.bits().cast_signed()),
        )?;
        Ok(Self {
            files: [bpffs, socket],
        })
    }
}

fn lock(path: &Path, options: &OpenOptions) -> Result<File, LockError> {
    let failed = |cause| LockError::Io {
        path: path.into(),
        cause,
    };
    let file = options.open(path).map_err(failed)?;
    match flock(file.as_fd(), FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => Ok(file),
        Err(rustix::io::Errno::WOULDBLOCK) => Err(LockError::InUse {
            path: path.into(),
            owner: lock_owner(&file).unwrap_or_else(|| "another process".into()),
        }),
        Err(e) => Err(failed(e.into())),
    }
}

/// The daemon at work on the pins of `paths`, by its number and command line; `None` if there is none.
#[must_use]
pub fn owner(paths: &Paths) -> Option<String> {
    lock_owner(&File::open(&paths.bpffs).ok()?)
}

/// For how long the daemon at work on the pins of `paths` has been there; `None` if there is none. It is not asked:
/// one that is busy, or stopped, would not answer.
#[must_use]
pub fn uptime(paths: &Paths) -> Option<Duration> {
    let pid = lock_holder(&File::open(&paths.bpffs).ok()?)?;
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    Now::get().uptime.checked_sub(began(&stat)?)
}

/// When a process began, from its line in `/proc`, since the start of the machine: the 22nd field. The second is its
/// name, which may hold anything.
fn began(stat: &str) -> Option<Duration> {
    let (_, fields) = stat.rsplit_once(") ")?;
    let ticks: u64 = fields.split(' ').nth(19)?.parse().ok()?;
    Some(Duration::from_millis(ticks.checked_mul(1000 / USER_HZ)?))
}

/// The right to say which packets are followed, until it is dropped or the process ends.
#[derive(Debug)]
pub struct TraceLock(#[expect(dead_code, reason = "it is held")] File);

impl TraceLock {
    /// Takes it; the pins must be there.
    ///
    /// # Errors
    /// [`LockError::Traces`]: who has it.
    pub fn take(paths: &Paths) -> Result<Self, LockError> {
        match lock(&paths.pins(), OpenOptions::new().read(true)) {
            Ok(file) => Ok(Self(file)),
            Err(LockError::InUse { owner, .. }) => Err(LockError::Traces { owner }),
            Err(other) => Err(other),
        }
    }
}

/// Who holds the lock on `file`, from the kernel's list: `1: FLOCK ADVISORY WRITE 4711 00:2f:13 …`.
fn lock_owner(file: &File) -> Option<String> {
    lock_holder(file).map(describe)
}

fn lock_holder(file: &File) -> Option<u32> {
    let inode = file.metadata().ok()?.ino();
    let list = fs::read_to_string(LOCKS).ok()?;
    owner_in(&list, inode)
}

fn owner_in(list: &str, inode: u64) -> Option<u32> {
    let of_inode = |line: &&str| {
        let place = line.split_whitespace().nth(5).unwrap_or_default();
        let found = place.rsplit(':').next().and_then(|n| n.parse().ok());
        line.contains(" FLOCK ") && found == Some(inode)
    };
    let line = list.lines().find(of_inode)?;
    line.split_whitespace().nth(4)?.parse().ok()
}

/// A process by its number and its command line.
fn describe(pid: u32) -> String {
    let bytes = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
    let command = String::from_utf8_lossy(&bytes).replace('\0', " ");
    let command = shown(command.trim());
    if command.is_empty() {
        return format!("process {pid}");
    }
    format!("process {pid} (`{command}`)")
}

/// Claims on interfaces: an abstract socket for each, a name space that is as wide as the interfaces'
/// own, the network namespace.
#[derive(Debug, Default)]
pub(super) struct Claims {
    held: Vec<(String, UnixListener)>,
}

impl Claims {
    /// Claims `interface`; claiming it twice is once.
    ///
    /// # Errors
    /// [`LockError::Interface`] if another daemon has it.
    pub(super) fn add(&mut self, interface: &str) -> Result<(), LockError> {
        if self.held.iter().any(|(name, _)| name == interface) {
            return Ok(());
        }
        let failed = |cause| LockError::Io {
            path: interface.into(),
            cause,
        };
        let address = SocketAddr::from_abstract_name(name(interface)).map_err(failed)?;
        match UnixListener::bind_addr(&address) {
            Ok(listener) => {
                self.held.push((interface.into(), listener));
                Ok(())
            }
            Err(e) if e.kind() == io::ErrorKind::AddrInUse => refuse(interface),
            Err(e) => Err(failed(e)),
        }
    }

    /// Keeps only the claims on `interfaces`.
    pub(super) fn retain(&mut self, interfaces: &[&str]) {
        self.held
            .retain(|(name, _)| interfaces.contains(&name.as_str()));
    }
}

fn name(interface: &str) -> Vec<u8> {
    format!("fwctl/{interface}").into_bytes()
}

/// Names the process that has the claim. Any user can bind such a name; only root's counts.
fn refuse(interface: &str) -> Result<(), LockError> {
    let owner = match claimant(interface) {
        Ok(peer) if peer.uid != 0 => {
            warn!("user {} pretends to filter {}", peer.uid, shown(interface));
            return Ok(());
        }
        Ok(peer) => peer.pid.map(describe),
        Err(_) => None,
    };
    Err(LockError::Interface {
        interface: shown(interface),
        owner: owner.unwrap_or_else(|| "another process".into()),
    })
}

/// Who listens on the claim's name. Without waiting: its queue may be full, nobody ever accepts.
fn claimant(interface: &str) -> io::Result<Peer> {
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    let socket = socket_with(AddressFamily::UNIX, SocketType::STREAM, flags, None)?;
    connect(
        &socket,
        &SocketAddrUnix::new_abstract_name(&name(interface))?,
    )?;
    peer::of(&socket)
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use super::*;

    #[test]
    fn second_lock_names_this_process() {
        let dir = std::env::temp_dir().join(format!("fwctl-lock-{}", std::process::id()));
        fs::create_dir_all(&dir).expect("directory");
        let paths = Paths {
            bpffs: dir.clone(),
            socket: dir.join("sock"),
            state_dir: dir.clone(),
        };
        let locks = Locks::take(&paths).expect("free");
        let text = Locks::take(&paths).expect_err("taken").to_string();
        let me = format!("process {}", std::process::id());
        assert!(text.contains(&me) && text.contains("fw_user"), "{text}");
        assert!(owner(&paths).is_some_and(|owner| owner.contains(&me)));
        assert!(uptime(&paths).is_some_and(|time| time < Duration::from_secs(86_400)));
        drop(locks);
        assert_eq!((owner(&paths), uptime(&paths)), (None, None));
        drop(Locks::take(&paths).expect("free again"));
        fs::remove_dir_all(&dir).expect("removed");
    }

    #[test]
    fn second_claim_on_an_interface_names_this_process() {
        let name = format!("t{}", std::process::id());
        let mut first = Claims::default();
        first.add(&name).expect("free");
        first.add(&name).expect("ours");
        let text = Claims::default().add(&name).expect_err("taken").to_string();
        assert!(
            text.contains(&format!("process {}", std::process::id())),
            "{text}"
        );
        first.retain(&["other"]);
        // A process that another test is just starting has the socket, until its exec; and there is no
        // way to unbind it but to close it everywhere.
        let end = Instant::now() + Duration::from_secs(60);
        while let Err(error) = Claims::default().add(&name) {
            assert!(Instant::now() < end, "free again: {error}");
            std::thread::yield_now();
        }
    }

    #[test]
    fn a_process_is_as_old_as_its_line_says() {
        let stat = "4711 (a) b (c) S 1 4711 4711 0 -1 4194560 1 0 0 0 5 6 0 0 20 0 3 0 12345 1 2";
        assert_eq!(began(stat), Some(Duration::from_millis(123_450)));
        assert_eq!(began("4711 (fwctl) S 1"), None);
    }

    #[test]
    fn owner_is_found_by_inode() {
        let list = "1: POSIX  ADVISORY  WRITE 10 00:2f:77 0 EOF\n\
                    2: FLOCK  ADVISORY  WRITE 11 00:2f:78 0 EOF\n\
                    2: -> FLOCK  ADVISORY  WRITE 12 00:2f:77 0 EOF\n";
        assert_eq!(owner_in(list, 78), Some(11));
        assert_eq!(owner_in(list, 79), None);
    }
}
