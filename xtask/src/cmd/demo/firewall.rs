//! What filters on the router: `fwctl`, or the kernel's own connection tracking to compare with.

use std::ffi::OsString;
use std::os::unix::net::UnixDatagram;
use std::path::{Path, PathBuf};
use std::process::{Child, Command};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use rustix::process::{Pid, Signal, kill_process};

use super::stage;
use xtask::lab::{Host, Lab};

/// A running firewall, and how to look into it.
#[derive(Debug)]
pub(super) struct Firewall {
    router: Host,
    /// Where the daemon's things are, for the commands that talk to it.
    environment: Vec<(&'static str, OsString)>,
    /// The `fwctl` program; none for the kernel's own.
    program: Option<PathBuf>,
    daemon: Option<Daemon>,
}

#[derive(Debug)]
struct Daemon {
    child: Child,
    /// The socket that a service manager would listen on, for as long as the daemon runs.
    notify: UnixDatagram,
}

/// How long `fwctl run` may take to be ready; loading and verifying BPF programs takes a second.
const PATIENCE: Duration = Duration::from_secs(60);

impl Firewall {
    /// Starts `program run` on the router's two ports and waits until it filters.
    pub(super) fn fwctl(lab: &Lab, program: &Path) -> Result<Self> {
        let dir = lab.run_dir();
        let mut firewall = Self {
            router: lab.router().clone(),
            environment: vec![
                ("FWCTL_BPFFS", lab.bpffs().into()),
                ("FWCTL_SOCKET", dir.join("fwctl.sock").into()),
                ("FWCTL_STATE_DIR", dir.join("state").into()),
            ],
            program: Some(program.to_owned()),
            daemon: None,
        };
        let notify = dir.join("notify");
        let socket = UnixDatagram::bind(&notify)?;
        stage::prompt("router", "fwctl run --interface eth0 --interface eth1 &");
        let child = firewall
            .command(
                "fwctl",
                &["run", "--interface", "eth0", "--interface", "eth1"],
            )
            .env("NOTIFY_SOCKET", &notify)
            .spawn()
            .context("can't start fwctl")?;
        firewall
            .daemon
            .insert(Daemon {
                child,
                notify: socket,
            })
            .await_ready()?;
        Ok(firewall)
    }

    /// Switches on the kernel's tracking in the router: it sleeps in a namespace without a rule
    /// that asks for the state.
    pub(super) fn kernel(lab: &Lab) -> Result<Self> {
        let rules = "table inet demo { chain forward { \
                     type filter hook forward priority 0; policy accept; \
                     ct state vmap { invalid : drop, new : accept, established : accept }; }; }";
        stage::prompt("router", &format!("nft '{rules}'"));
        let status = lab.router().command("nft").arg(rules).status()?;
        anyhow::ensure!(status.success(), "nft: {status}");
        let router = lab.router().clone();
        Ok(Self {
            router,
            environment: Vec::new(),
            program: None,
            daemon: None,
        })
    }

    /// Shows the flows that `filter`, in the words of conntrack(8), selects.
    pub(super) fn list(&self, filter: &[&str]) -> Result<()> {
        let (program, verb) = self.either(("fwctl", "list"), ("conntrack", "-L"));
        self.show(program, &[&[verb], filter].concat())
    }

    /// Shows what is attached where, and how full the flow table is.
    pub(super) fn status(&self) -> Result<()> {
        let (program, verb) = self.either(("fwctl", "status"), ("conntrack", "-C"));
        self.show(program, &[verb])
    }

    /// Shows the counters.
    pub(super) fn stats(&self) -> Result<()> {
        let (program, verb) = self.either(("fwctl", "stats"), ("conntrack", "-S"));
        self.show(program, &[verb])
    }

    fn either<T>(&self, fwctl: T, kernel: T) -> T {
        if self.program.is_some() {
            fwctl
        } else {
            kernel
        }
    }

    fn show(&self, program: &str, args: &[&str]) -> Result<()> {
        stage::prompt("router", &format!("{program} {}", args.join(" ")));
        let status = self.command(program, args).status()?;
        anyhow::ensure!(status.success(), "{program} {}: {status}", args.join(" "));
        Ok(())
    }

    fn command(&self, program: &str, args: &[&str]) -> Command {
        let path = self.program.clone().unwrap_or_else(|| program.into());
        let mut command = self.router.command(path);
        command
            .args(args)
            .envs(self.environment.iter().map(|(name, value)| (name, value)));
        command
    }

    /// Ends the daemon as systemd would, and waits until it has detached.
    pub(super) fn stop(mut self) -> Result<()> {
        let Some(mut daemon) = self.daemon.take() else {
            return Ok(());
        };
        stage::prompt("router", "kill %1");
        daemon.terminate()?;
        let status = daemon.child.wait()?;
        anyhow::ensure!(status.success(), "fwctl run: {status}");
        Ok(())
    }
}

impl Drop for Firewall {
    fn drop(&mut self) {
        if let Some(daemon) = &mut self.daemon {
            // After a failed scene; the lab's end would kill it anyway.
            let _ = daemon.terminate();
            let _ = daemon.child.wait();
        }
    }
}

impl Daemon {
    fn terminate(&self) -> Result<()> {
        let pid = i32::try_from(self.child.id()).ok().and_then(Pid::from_raw);
        kill_process(pid.context("no such process")?, Signal::TERM).context("can't signal fwctl")
    }

    /// Waits for the `READY=1` of sd_notify(3).
    fn await_ready(&mut self) -> Result<()> {
        let deadline = Instant::now() + PATIENCE;
        // Short waits, to see in between whether it is still there.
        self.notify
            .set_read_timeout(Some(Duration::from_millis(200)))?;
        let mut text = [0; 4096];
        while Instant::now() < deadline {
            if let Ok(length) = self.notify.recv(&mut text)
                && text[..length]
                    .split(|byte| *byte == b'\n')
                    .any(|line| line == b"READY=1")
            {
                return Ok(());
            }
            if let Some(status) = self.child.try_wait()? {
                bail!("fwctl run ended before it was ready ({status})");
            }
        }
        bail!(
            "fwctl run was not ready after {} seconds",
            PATIENCE.as_secs()
        )
    }
}
