//! `cargo xtask demo`: the firewall at work, in a lab, with real traffic.

mod firewall;
mod scenes;
mod stage;

use std::ffi::OsString;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Result;

use super::lint::cargo;
use super::setup::{self, Consent, Scope};
use crate::steps::succeed;
use crate::{interrupt, privilege, say};
use firewall::Firewall;
use xtask::lab::Lab;
use xtask::paths;

/// Show the firewall at work: ping, UDP, TCP through a router in network namespaces
///
/// Builds everything, then needs root (asks sudo) for the namespaces and for BPF. Touches nothing
/// outside the namespaces it makes, and removes them again.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The same traffic through the kernel's own connection tracking, to compare
    #[arg(long)]
    kernel: bool,
    /// Set when this program runs itself as root
    #[arg(long, hide = true)]
    built: bool,
}

impl Args {
    pub(crate) fn run(&self) -> Result<ExitCode> {
        if !self.built {
            let scope = if self.kernel { Scope::Lab } else { Scope::Run };
            setup::ensure(scope, Consent::Ask)?;
            self.build()?;
        }
        if !privilege::is_root() {
            let kernel = self.kernel.then_some("--kernel");
            let args = ["demo", "--built"].into_iter().chain(kernel);
            return privilege::again(args.map(OsString::from));
        }
        self.show()?;
        Ok(ExitCode::SUCCESS)
    }

    fn build(&self) -> Result<()> {
        if self.kernel {
            return Ok(());
        }
        say::heading("building fwctl");
        succeed(cargo().args(["build", "--release", "--package=fw-user", "--bin=fwctl"]))
    }

    fn show(&self) -> Result<()> {
        interrupt::tear_down_labs()?;
        let lab = Lab::up("demo")?;
        stage::heading("A router between two hosts");
        stage::say(
            "client 192.168.1.2 -- eth0 router eth1 -- server 10.0.0.2; IPv6 2001:db8:1::2 and 2001:db8:2::2",
        );
        let firewall = if self.kernel {
            Firewall::kernel(&lab)?
        } else {
            Firewall::fwctl(&lab, &fwctl())?
        };
        scenes::play(&lab, &firewall)?;
        firewall.stop()
    }
}

fn fwctl() -> PathBuf {
    paths::target().join("release/fwctl")
}
