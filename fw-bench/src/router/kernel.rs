//! nftables and nf_conntrack.

use std::fs;
use std::io::Write as _;
use std::process::{Command, Stdio};

use anyhow::{Context as _, Result, ensure};
use xtask::lab::{Host, Lab};

use super::Setup;
use crate::traffic::Traffic;

/// The kernel's firewall on a lab's router.
#[derive(Debug)]
pub struct Kernel(Host);

/// No flow may expire while it is measured. Checksums: a NIC verifies them, a veth pair leaves them to
/// the kernel, which would walk through every packet here as it does not elsewhere.
const SETTINGS: [(&str, &str); 7] = [
    ("nf_conntrack_udp_timeout", "3600"),
    ("nf_conntrack_udp_timeout_stream", "3600"),
    ("nf_conntrack_tcp_timeout_established", "3600"),
    ("nf_conntrack_tcp_timeout_unacknowledged", "3600"),
    ("nf_conntrack_tcp_timeout_max_retrans", "3600"),
    ("nf_conntrack_checksum", "0"),
    ("nf_conntrack_acct", "1"),
];

impl Kernel {
    pub(super) fn start(lab: &Lab, setup: &Setup<'_>) -> Result<Self> {
        let host = lab.router().clone();
        host.enter(|| {
            SETTINGS.iter().try_for_each(|(name, value)| {
                let path = format!("/proc/sys/net/netfilter/{name}");
                fs::write(&path, value).with_context(|| format!("can't write {value} to {path}"))
            })
        })??;
        let kernel = Self(host);
        kernel.load(setup.rules)?;
        Ok(kernel)
    }

    /// Replaces the ruleset.
    ///
    /// # Errors
    /// When nft refuses it.
    pub fn load(&self, rules: &str) -> Result<()> {
        let mut command = self.0.command("nft");
        command.args(["-f", "-"]);
        feed(&mut command, &format!("flush ruleset\n{rules}"))
    }

    /// Runs nft.
    ///
    /// # Errors
    /// When it fails.
    pub fn nft(&self, args: &[&str]) -> Result<()> {
        let status = self.0.command("nft").args(args).status()?;
        ensure!(status.success(), "nft {}: {status}", args.join(" "));
        Ok(())
    }

    pub(super) fn assured(&self, traffic: &Traffic) -> Result<u64> {
        let mut command = self.list();
        command.args(traffic.filter()).stderr(Stdio::null());
        let lines = command.output()?.stdout;
        Ok(lines.iter().filter(|byte| **byte == b'\n').count() as u64)
    }

    pub(super) fn flows(&self) -> Result<u64> {
        let path = "/proc/sys/net/netfilter/nf_conntrack_count";
        let text = self.0.enter(|| fs::read_to_string(path))??;
        text.trim().parse().context("no number of flows")
    }

    pub(super) fn flush(&self) -> Result<()> {
        let mut command = self.0.command("conntrack");
        let status = command.arg("-F").stderr(Stdio::null()).status()?;
        ensure!(status.success(), "conntrack -F: {status}");
        Ok(())
    }

    /// The command that lists all flows.
    #[must_use]
    pub fn list(&self) -> Command {
        let mut command = self.0.command("conntrack");
        command.arg("-L");
        command
    }
}

/// Runs a command with `text` on its standard input; it must succeed.
fn feed(command: &mut Command, text: &str) -> Result<()> {
    let mut child = command.stdin(Stdio::piped()).spawn()?;
    if let Some(mut stdin) = child.stdin.take() {
        stdin.write_all(text.as_bytes())?;
    }
    let status = child.wait()?;
    ensure!(status.success(), "{:?}: {status}", command.get_program());
    Ok(())
}
