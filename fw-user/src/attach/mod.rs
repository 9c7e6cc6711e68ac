//! The interfaces: attached all or none, taken over without a gap, followed when they come and go.

mod cleanup;
mod error;
mod followers;
mod forwarding;
mod ifaces;
mod ingress;
pub(crate) mod links;
mod manager;
mod memory;
mod scene;
mod table;
mod targets;
mod tc;
mod vlan;
mod xdp;

use std::fmt;

use serde::{Deserialize, Serialize};

pub use cleanup::remove_everything;
pub use error::AttachError;
pub(crate) use ingress::prefers_tc;
pub use manager::Manager;
pub(crate) use scene::Scene;
pub use scene::check;

/// The hooks by the names that their links are pinned under.
const HOOKS: [&str; 3] = [XDP, TC_INGRESS, TC_EGRESS];
const XDP: &str = "xdp";
pub(crate) const TC_INGRESS: &str = "tci";
const TC_EGRESS: &str = "tc";

/// Where the program runs, as the kernel says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Mode {
    /// In the driver.
    Native,
    /// In the kernel's stack.
    Generic,
    /// In the NIC.
    Offload,
    /// At TC ingress, in the kernel's stack.
    Tc,
}

impl fmt::Display for Mode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Native => "native",
            Self::Generic => "generic",
            Self::Offload => "offload",
            Self::Tc => "tc",
        })
    }
}

/// One interface that is filtered.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Attachment {
    /// Its name now.
    pub name: String,
    /// Its number.
    pub index: u32,
    /// Where the program runs.
    pub mode: Mode,
    /// Why there, or not in a better place, if that is known.
    pub reason: Option<String>,
    /// Whether an earlier run's link was taken over.
    pub taken_over: bool,
    /// The name it was configured by.
    pub configured: String,
    /// Conntrack zone.
    pub zone: u16,
    /// Why established flows are left to the kernel here, each with what to do; empty if they are
    /// fast-tracked in and out.
    #[serde(default)]
    pub left: Vec<String>,
    /// VLANs on top of it, whose packets are forwarded as well.
    #[serde(default)]
    pub vlans: Vec<Vlan>,
}

/// A VLAN on top of an interface that is filtered.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Vlan {
    /// Its name now.
    pub name: String,
    /// Its number.
    pub index: u32,
    /// What its tags say.
    pub id: u16,
}

impl Attachment {
    /// Numbers and names of the VLANs.
    pub fn vlans(&self) -> impl Iterator<Item = (u32, String)> {
        self.vlans
            .iter()
            .map(|vlan| (vlan.index, vlan.name.clone()))
    }
}

impl fmt::Display for Attachment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({}", shown(&self.name), self.mode)?;
        if let Some(reason) = &self.reason {
            write!(f, ": {reason}")?;
        }
        f.write_str(")")
    }
}

/// One interface that should be filtered and is not.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Missing {
    /// The name it was configured by.
    pub name: String,
    /// Why it is not filtered.
    pub reason: String,
}

/// A name for the log: the kernel allows escape sequences in names of interfaces.
#[must_use]
pub fn shown(name: &str) -> String {
    name.escape_debug().to_string()
}
