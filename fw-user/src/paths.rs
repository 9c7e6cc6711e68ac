//! Where the firewall keeps its things: pins, socket, state.

use std::path::{Path, PathBuf};

use fw_common::abi::ABI_VERSION;

/// The three places, from the global flags `--bpffs`, `--socket` and `--state-dir`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Paths {
    /// Directory on a BPF file system below which everything is pinned.
    pub bpffs: PathBuf,
    /// The daemon's control socket.
    pub socket: PathBuf,
    /// Files that survive a reboot.
    pub state_dir: PathBuf,
}

impl Paths {
    /// Default of `--bpffs`.
    pub const BPFFS: &str = "/sys/fs/bpf/fwctl";
    /// Default of `--socket`.
    pub const SOCKET: &str = "/run/fwctl/fwctl.sock";
    /// Default of `--state-dir`.
    pub const STATE_DIR: &str = "/var/lib/fwctl";

    /// The pin directory of this ABI: an unknown layout is never opened by accident.
    #[must_use]
    pub fn pins(&self) -> PathBuf {
        self.bpffs.join(format!("v{ABI_VERSION}"))
    }

    /// The pin of map `name`.
    #[must_use]
    pub fn map(&self, name: &str) -> PathBuf {
        self.pins().join("maps").join(name)
    }

    /// The pin of program `name`.
    #[must_use]
    pub fn program(&self, name: &str) -> PathBuf {
        self.pins().join("programs").join(name)
    }

    /// The pin of the link of `hook` (`xdp`, `tc`) on the interface with index `ifindex`. By index,
    /// not by name: a renamed interface keeps its link.
    #[must_use]
    pub fn link(&self, hook: &str, ifindex: u32) -> PathBuf {
        self.pins().join("links").join(format!("{hook}-{ifindex}"))
    }

    /// The same paths as seen through another process' mount namespace: the daemon may have a BPF
    /// file system that this process does not see (`ip netns exec` hides it).
    #[must_use]
    pub fn through(&self, pid: u32) -> Self {
        let root = PathBuf::from(format!("/proc/{pid}/root"));
        let inside = |path: &Path| root.join(path.strip_prefix("/").unwrap_or(path));
        Self {
            bpffs: inside(&self.bpffs),
            socket: self.socket.clone(),
            state_dir: inside(&self.state_dir),
        }
    }
}

impl Default for Paths {
    fn default() -> Self {
        Self {
            bpffs: Self::BPFFS.into(),
            socket: Self::SOCKET.into(),
            state_dir: Self::STATE_DIR.into(),
        }
    }
}
