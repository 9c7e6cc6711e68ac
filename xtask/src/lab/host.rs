//! One host of a lab: running things in its network namespace.
//!
//! Only the network namespace is joined. `ip netns exec` would also give the process its own mount
//! of `/sys`, on which the BPF file system is not mounted: the firewall would find no pins.

use std::fs::File;
use std::panic::resume_unwind;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread::{self, JoinHandle};

use anyhow::{Context as _, Result};
use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};
use std::os::fd::AsFd as _;

/// A host of a lab.
#[derive(Clone, Debug)]
pub struct Host {
    role: &'static str,
    netns: String,
}

impl Host {
    pub(super) fn new(lab: &str, role: &'static str) -> Self {
        Self {
            role,
            netns: format!("fw-{lab}-{role}"),
        }
    }

    /// `client`, `router` or `server`.
    #[must_use]
    pub fn role(&self) -> &str {
        self.role
    }

    /// The namespace's name, as `ip netns list` shows it.
    #[must_use]
    pub fn netns(&self) -> &str {
        &self.netns
    }

    /// The file that stands for the namespace, for `setns(2)` and `nsenter --net=`.
    #[must_use]
    pub fn path(&self) -> PathBuf {
        Path::new("/run/netns").join(&self.netns)
    }

    /// Runs `work` in a thread that is in this host's network namespace, and waits for it. Sockets
    /// opened there stay in the namespace and may be used from any thread; so do processes started
    /// there.
    ///
    /// # Errors
    /// When the namespace can't be joined. A panic of `work` goes on in the caller.
    pub fn enter<T: Send>(&self, work: impl FnOnce() -> T + Send) -> Result<T> {
        thread::scope(|scope| {
            let inside = scope.spawn(|| self.join().map(|()| work()));
            inside.join().unwrap_or_else(|panic| resume_unwind(panic))
        })
    }

    /// As [`Host::enter`], without waiting.
    pub fn spawn<T, F>(&self, work: F) -> JoinHandle<Result<T>>
    where
        T: Send + 'static,
        F: FnOnce() -> T + Send + 'static,
    {
        let host = self.clone();
        thread::spawn(move || host.join().map(|()| work()))
    }

    /// The number of one of this host's interfaces.
    ///
    /// # Errors
    /// When there is none of that name.
    pub fn interface(&self, name: &str) -> Result<u32> {
        // Not from /sys, which shows the interfaces of the namespace it was mounted in.
        let mut command = self.command("ip");
        let shown = command.args(["-o", "link", "show", "dev", name]).output()?;
        let text = String::from_utf8(shown.stdout)?;
        let number = text.split(':').next().and_then(|first| first.parse().ok());
        number.with_context(|| format!("no interface {name} on {}", self.role))
    }

    /// A command that will run `program` in this host's network namespace. Its process is `program`
    /// itself, so that signals and exit statuses are its own.
    pub fn command(&self, program: impl AsRef<std::ffi::OsStr>) -> Command {
        let mut command = Command::new("nsenter");
        command
            .arg(format!("--net={}", self.path().display()))
            .arg("--")
            .arg(program);
        command
    }

    /// Moves the calling thread into the namespace, for good.
    fn join(&self) -> Result<()> {
        let path = self.path();
        let file = File::open(&path).with_context(|| format!("can't open {}", path.display()))?;
        move_into_link_name_space(file.as_fd(), Some(LinkNameSpaceType::Network))
            .with_context(|| format!("can't join {}", path.display()))
    }
}
