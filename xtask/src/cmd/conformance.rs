//! `cargo xtask conformance`.

use std::process::ExitCode;

use anyhow::{Context as _, Result};

use super::lint::cargo;
use super::setup::{self, Consent, Scope};
use super::test::root_runner;
use crate::{interrupt, privilege, say};

/// Compare every packet with the kernel's own connection tracking
///
/// The same frames go through nf_conntrack, in a network namespace, and through the XDP program; state
/// of packet and flows are compared after each. First the directed cases, then random scripts. What
/// differs is printed, shrunk to the fewest packets that show it; docs/differences.md has the
/// differences that are intended. Twice more with the fast path, where each frame that leaves straight
/// from XDP or from TC has to be the one that the kernel sends. Then the same for rules: the examples and random
/// rulesets, read by nft and by us, must give every packet the same verdict and every rule the same
/// counters. A difference that does not come back when its packets are sent again is counted, but is
/// none. A short run is part of `cargo xtask test`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Where the random scripts begin; the same number gives the same scripts
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Random packets at least
    #[arg(long, default_value_t = 100_000)]
    packets: u64,
    /// Time for them at most
    #[arg(long, default_value_t = 600)]
    seconds: u64,
}

impl Args {
    pub(crate) fn run(&self) -> Result<ExitCode> {
        setup::ensure(Scope::Everything, Consent::Ask)?;
        interrupt::tear_down_labs()?;
        let mut command = cargo();
        command.args(["test", "--package", "fw-user", "--test", "conformance"]);
        if !privilege::is_root() {
            let (variable, runner) = root_runner()?;
            // `sudo env …`: what follows is assigned too.
            let assigned = self
                .environment()
                .map(|(name, value)| format!("{name}={value}"));
            command.env(variable, format!("{runner} {}", assigned.join(" ")));
        }
        command.envs(self.environment());
        command.args(["--", "--nocapture"]);
        say::command(&command);
        let status = command.status().context("can't run cargo")?;
        Ok(if status.success() {
            ExitCode::SUCCESS
        } else {
            ExitCode::FAILURE
        })
    }

    /// What the test reads from its environment.
    fn environment(&self) -> [(&'static str, String); 4] {
        [
            // Skipped, the test would look as if it had passed.
            ("FW_REQUIRE_ROOT", "1".to_owned()),
            ("FW_CONFORMANCE_SEED", self.seed.to_string()),
            ("FW_CONFORMANCE_PACKETS", self.packets.to_string()),
            ("FW_CONFORMANCE_SECONDS", self.seconds.to_string()),
        ]
    }
}
