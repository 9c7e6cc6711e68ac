//! `fwctl run` on a lab's router.

use std::ffi::OsString;
use std::fs::{self, File};
use std::os::unix::net::UnixDatagram;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail, ensure};
use rustix::process::{Pid, Signal, kill_process};
use xtask::lab::{Host, Lab};

use super::{Limits, Setup, Subject};
use crate::traffic::Traffic;

/// How long `fwctl run` may take to be ready: a million rules' elements are read, maps for a million
/// flows are filled.
const PATIENCE: Duration = Duration::from_secs(120);

/// A running daemon.
#[derive(Debug)]
pub struct Fwctl {
    router: Host,
    program: PathBuf,
    environment: Vec<(&'static str, OsString)>,
    child: Child,
    /// The rules' file, if it was loaded.
    rules: PathBuf,
    caveat: Option<String>,
}

impl Fwctl {
    pub(super) fn start(
        lab: &Lab,
        subject: Subject,
        setup: &Setup<'_>,
        program: &Path,
    ) -> Result<Self> {
        let rules = lab.run_dir().join("rules.nft");
        fs::write(&rules, setup.rules)?;
        let with_rules = ["--rules".into(), rules.clone().into()];
        match Self::launch(lab, subject, setup, program, &with_rules) {
            Ok(fwctl) => Ok(fwctl),
            // What it can't do yet must not go unsaid.
            Err(error) => {
                let mut fwctl = Self::launch(lab, subject, setup, program, &[])?;
                fwctl.caveat = Some(format!(
                    "fwctl ran without the rules, accepting all. It said: {}",
                    said(&error, &rules)
                ));
                Ok(fwctl)
            }
        }
    }

    fn launch(
        lab: &Lab,
        subject: Subject,
        setup: &Setup<'_>,
        program: &Path,
        more: &[OsString],
    ) -> Result<Self> {
        let dir = lab.run_dir();
        let environment = vec![
            ("FWCTL_BPFFS", lab.bpffs().into()),
            ("FWCTL_SOCKET", dir.join("fwctl.sock").into()),
            ("FWCTL_STATE_DIR", dir.join("state").into()),
        ];
        let (notify, log) = (dir.join("notify"), dir.join("fwctl.log"));
        let _ = fs::remove_file(&notify);
        let socket = UnixDatagram::bind(&notify)?;
        let mut command = lab.router().command(program);
        command
            .args(["run", "-i", "eth0", "-i", "eth1"])
            .args(mode(subject, supports(program, "--hook")))
            .args(limits(program, setup))
            .args(["--max-flows", &setup.max_flows.to_string()])
            .args(TIMEOUTS)
            .args(more)
            .envs(environment.iter().map(|(name, value)| (name, value)))
            .env("NOTIFY_SOCKET", &notify)
            .stderr(File::create(&log)?);
        let mut child = command.spawn().context("can't start fwctl")?;
        if let Err(error) = await_ready(&socket, &mut child) {
            end(&mut child);
            let said = fs::read_to_string(&log).unwrap_or_default();
            let said = said.lines().last().unwrap_or_default().to_owned();
            return Err(error.context(said));
        }
        Ok(Self {
            router: lab.router().clone(),
            program: program.to_owned(),
            environment,
            child,
            rules: dir.join("rules.nft"),
            caveat: None,
        })
    }

    pub(super) fn caveat(&self) -> Option<&str> {
        self.caveat.as_deref()
    }

    pub(super) fn assured(&self, traffic: &Traffic) -> Result<u64> {
        let filter = traffic.filter();
        self.count(&filter.iter().map(String::as_str).collect::<Vec<_>>())
    }

    pub(super) fn flows(&self) -> Result<u64> {
        self.count(&[])
    }

    fn count(&self, filter: &[&str]) -> Result<u64> {
        let done = self.command(&[&["count"], filter].concat()).output()?;
        let said = String::from_utf8_lossy(&done.stderr).into_owned();
        ensure!(
            done.status.code().is_some_and(|code| code < 2),
            "fwctl count: {said}"
        );
        let text = String::from_utf8_lossy(&done.stdout).into_owned();
        text.trim()
            .parse()
            .with_context(|| format!("fwctl count: {text:?} {said}"))
    }

    pub(super) fn flush(&self) -> Result<()> {
        let status = self.command(&["flush"]).stderr(Stdio::null()).status()?;
        ensure!(status.success(), "fwctl flush: {status}");
        Ok(())
    }

    /// A command that talks to this daemon.
    #[must_use]
    pub fn command(&self, args: &[&str]) -> Command {
        let mut command = self.router.command(&self.program);
        command
            .args(args)
            .envs(self.environment.iter().map(|(name, value)| (name, value)));
        command
    }

    /// Replaces the ruleset of the running daemon.
    ///
    /// # Errors
    /// When it refuses.
    pub fn load(&self, rules: &str) -> Result<()> {
        fs::write(&self.rules, rules)?;
        let path = self.rules.display().to_string();
        let done = self.command(&["rules", "apply", &path]).output()?;
        let said = String::from_utf8_lossy(&done.stderr).into_owned();
        let said = said.lines().next().unwrap_or_default();
        ensure!(done.status.success(), "fwctl rules apply: {said}");
        Ok(())
    }

    /// CPU time that the daemon has used, in user and kernel mode.
    ///
    /// # Errors
    /// When it is gone.
    pub fn cpu_time(&self) -> Result<Duration> {
        let text = fs::read_to_string(format!("/proc/{}/stat", self.child.id()))?;
        // The name may hold blanks; utime and stime are the 14th and 15th field (proc(5)).
        let (_, rest) = text.rsplit_once(')').context("no process state")?;
        let fields = rest.split_whitespace().skip(11).take(2);
        let ticks: u64 = fields.filter_map(|field| field.parse::<u64>().ok()).sum();
        Ok(Duration::from_millis(
            ticks * 1000 / rustix::param::clock_ticks_per_second(),
        ))
    }
}

impl Drop for Fwctl {
    fn drop(&mut self) {
        end(&mut self.child);
    }
}

/// As the kernel's, so that no flow expires while it is measured.
const TIMEOUTS: [&str; 10] = [
    "--udp-timeout=3600",
    "--udp-timeout-stream=3600",
    "--tcp-timeout-established=3600",
    "--tcp-timeout-unacknowledged=3600",
    "--tcp-timeout-max-retrans=3600",
    "--fasttrack=on",
    "--accounting=on",
    "--on-exit=detach",
    "--config=/dev/null",
    "--fresh",
];

/// Flags that choose the hook. Versions that know only one have no `--hook`.
fn mode(subject: Subject, hooks: bool) -> Vec<&'static str> {
    match (subject, hooks) {
        (Subject::Tc, _) => vec!["--hook", "tc"],
        (Subject::Generic, true) => vec!["--hook", "xdp", "--xdp-mode", "generic"],
        (Subject::Generic, false) => vec!["--xdp-mode", "generic"],
        (_, true) => vec!["--hook", "xdp", "--xdp-mode", "native"],
        (_, false) => vec!["--xdp-mode", "native"],
    }
}

/// The flag that lifts the limit on new flows, if it is to be lifted and there is one.
fn limits(program: &Path, setup: &Setup<'_>) -> Option<&'static str> {
    let flag = "--max-inserts-per-second";
    let lifted = setup.limits == Limits::Lifted && supports(program, flag);
    lifted.then_some("--max-inserts-per-second=0")
}

/// Whether this version of `fwctl run` has the flag.
#[must_use]
pub fn supports(program: &Path, flag: &str) -> bool {
    let done = Command::new(program).args(["run", "--help"]).output();
    done.is_ok_and(|done| String::from_utf8_lossy(&done.stdout).contains(flag))
}

/// The first line of what fwctl said, without the name of the lab's file.
fn said(error: &anyhow::Error, rules: &Path) -> String {
    let text = error.to_string();
    let line = text.lines().next().unwrap_or_default();
    line.replace(&rules.display().to_string(), "FILE")
}

/// Waits for the `READY=1` of sd_notify(3).
fn await_ready(socket: &UnixDatagram, child: &mut Child) -> Result<()> {
    let deadline = Instant::now() + PATIENCE;
    // Short waits, to see in between whether it is still there.
    socket.set_read_timeout(Some(Duration::from_millis(100)))?;
    let mut text = [0; 4096];
    while Instant::now() < deadline {
        if let Ok(length) = socket.recv(&mut text)
            && text[..length]
                .split(|byte| *byte == b'\n')
                .any(|line| line == b"READY=1")
        {
            return Ok(());
        }
        if let Some(status) = child.try_wait()? {
            bail!("fwctl run ended before it was ready ({status})");
        }
    }
    bail!(
        "fwctl run was not ready after {} seconds",
        PATIENCE.as_secs()
    )
}

/// Ends the daemon as systemd would, and waits until it has detached.
fn end(child: &mut Child) {
    if let Some(pid) = i32::try_from(child.id()).ok().and_then(Pid::from_raw) {
        let _ = kill_process(pid, Signal::TERM);
    }
    let _ = child.wait();
}
