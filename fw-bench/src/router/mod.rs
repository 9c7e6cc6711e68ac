//! The router under test.

mod fwctl;
mod kernel;

use std::fmt;

use anyhow::Result;
use serde::{Deserialize, Serialize};
use xtask::lab::Lab;

use crate::traffic::Traffic;

pub use fwctl::{Fwctl, supports};
pub use kernel::Kernel;

/// What is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Subject {
    /// Nothing: the router drops all at its door. What generator and harness cost.
    Ceiling,
    /// The kernel forwards; no rules, no tracking.
    Forward,
    /// nftables and nf_conntrack as the machine has them.
    Nft,
    /// The same with a hash table for two million entries.
    NftTuned,
    /// fwctl in the driver.
    Native,
    /// fwctl behind the driver, where the kernel has built its packet.
    Generic,
    /// fwctl at tc.
    Tc,
}

impl Subject {
    /// In a table.
    #[must_use]
    pub const fn label(self) -> &'static str {
        match self {
            Self::Ceiling => "generator alone",
            Self::Forward => "kernel forwarding, nothing else",
            Self::Nft => "nft + conntrack",
            Self::NftTuned => "nft + conntrack, hash tuned",
            Self::Native => "fwctl, XDP native",
            Self::Generic => "fwctl, XDP generic",
            Self::Tc => "fwctl, tc",
        }
    }

    /// Whether it is fwctl.
    #[must_use]
    pub const fn is_ours(self) -> bool {
        matches!(self, Self::Native | Self::Generic | Self::Tc)
    }

    /// Whether it is the kernel's connection tracking.
    #[must_use]
    pub const fn is_conntrack(self) -> bool {
        matches!(self, Self::Nft | Self::NftTuned)
    }
}

impl fmt::Display for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.label())
    }
}

/// How a router is to be set up.
#[derive(Clone, Copy, Debug)]
pub struct Setup<'a> {
    /// Room in the flow table.
    pub max_flows: u32,
    /// The ruleset's text.
    pub rules: &'a str,
    /// How many flows may begin.
    pub limits: Limits,
}

/// Limits on new flows that fwctl has and the kernel has not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Limits {
    /// As by default.
    Stock,
    /// None: what a flow costs is measured, not how many are let in.
    Lifted,
}

/// A router that is up.
#[derive(Debug)]
pub enum Router {
    /// Nothing but what the lab is.
    Bare,
    /// nftables and nf_conntrack.
    Kernel(Kernel),
    /// Ours.
    Fwctl(Fwctl),
}

impl Router {
    /// Flows of this family, protocol and port in its table that are assured.
    ///
    /// # Errors
    /// When they can't be counted.
    pub fn assured(&self, traffic: &Traffic) -> Result<u64> {
        match self {
            Self::Bare => Ok(0),
            Self::Kernel(kernel) => kernel.assured(traffic),
            Self::Fwctl(fwctl) => fwctl.assured(traffic),
        }
    }

    /// All flows in its table.
    ///
    /// # Errors
    /// When they can't be counted.
    pub fn flows(&self) -> Result<u64> {
        match self {
            Self::Bare => Ok(0),
            Self::Kernel(kernel) => kernel.flows(),
            Self::Fwctl(fwctl) => fwctl.flows(),
        }
    }

    /// Forgets all flows.
    ///
    /// # Errors
    /// When it refuses.
    pub fn flush(&self) -> Result<()> {
        match self {
            Self::Bare => Ok(()),
            Self::Kernel(kernel) => kernel.flush(),
            Self::Fwctl(fwctl) => fwctl.flush(),
        }
    }

    /// Replaces the ruleset.
    ///
    /// # Errors
    /// When it refuses.
    pub fn load(&self, rules: &str) -> Result<()> {
        match self {
            Self::Bare => Ok(()),
            Self::Kernel(kernel) => kernel.load(rules),
            Self::Fwctl(fwctl) => fwctl.load(rules),
        }
    }

    /// What is not as it should be for a fair comparison.
    #[must_use]
    pub fn caveat(&self) -> Option<&str> {
        match self {
            Self::Fwctl(fwctl) => fwctl.caveat(),
            _ => None,
        }
    }
}

/// Sets the lab's router up as `subject`.
///
/// # Errors
/// When it does not start.
pub fn start(
    lab: &Lab,
    subject: Subject,
    setup: &Setup<'_>,
    fwctl: &std::path::Path,
) -> Result<Router> {
    Ok(match subject {
        Subject::Ceiling | Subject::Forward => Router::Bare,
        Subject::Nft | Subject::NftTuned => Router::Kernel(Kernel::start(lab, setup)?),
        Subject::Native | Subject::Generic | Subject::Tc => {
            Router::Fwctl(Fwctl::start(lab, subject, setup, fwctl)?)
        }
    })
}
