//! Why an interface is not filtered, in one sentence each.

use std::io;
use std::path::PathBuf;

use super::Mode;
use crate::maps::MapsError;
use crate::object::ObjectError;

/// Why an interface cannot be filtered.
#[derive(Debug, thiserror::Error)]
pub enum AttachError {
    /// No interface of that name.
    #[error("there is no interface `{name}`; {hint}")]
    UnknownInterface {
        /// As configured.
        name: String,
        /// The nearest name, and all there are.
        hint: String,
    },
    /// What rules know of interfaces can't be written.
    #[error("telling the programs of the interfaces: {0}")]
    Links(#[source] MapsError),
    /// The interface's frames have no Ethernet header.
    #[error(
        "{name} is not an Ethernet interface: XDP sees no packets there that fwctl could read; \
         filter on the port below it instead"
    )]
    NotEthernet {
        /// The interface.
        name: String,
    },
    /// Somebody else's program is there.
    #[error(
        "{name} already runs the XDP program {program} (id {id}): detach that first, \
         with `ip link set dev {name} xdp off` or by stopping what attached it, or filter behind it with `--hook tc`"
    )]
    Busy {
        /// The interface.
        name: String,
        /// Name of the program.
        program: String,
        /// Its id.
        id: u32,
    },
    /// The kernel or the driver refuses.
    #[error("cannot attach to {name} in {mode} mode: {reason}{advice}")]
    Refused {
        /// The interface.
        name: String,
        /// The mode asked for.
        mode: &'static str,
        /// What the kernel says.
        reason: String,
        /// What to do about it.
        advice: &'static str,
    },
    /// The link of an earlier run is in another mode than asked for.
    #[error(
        "{name} is still filtered from an earlier run, in {has} mode; another mode needs a moment \
         without filtering: allow that with `fwctl run --fresh`, or leave out --hook and --xdp-mode"
    )]
    OtherMode {
        /// The interface.
        name: String,
        /// The mode it is in.
        has: Mode,
    },
    /// The pinned link is on an interface elsewhere.
    #[error(
        "{}: the link pinned there is on an interface of another network namespace, which it filters: \
         give each namespace a directory of its own with --bpffs, or end that one with \
         `fwctl run --fresh`", pin.display()
    )]
    Elsewhere {
        /// The pin.
        pin: PathBuf,
    },
    /// After attaching, the kernel shows another program.
    #[error("{name}: the kernel does not show our XDP program after attaching it")]
    NotThere {
        /// The interface.
        name: String,
    },
    /// A TC hook refuses.
    #[error("cannot attach to the {side} of {name}: {reason}")]
    Tc {
        /// The interface.
        name: String,
        /// `ingress` or `egress`.
        side: &'static str,
        /// What the kernel says.
        reason: String,
    },
    /// A link cannot be pinned, opened or removed.
    #[error("{}: {cause}", path.display())]
    Pin {
        /// The pin.
        path: PathBuf,
        /// Why.
        cause: io::Error,
    },
    /// The memory of what was changed cannot be written.
    #[error("cannot write {}: {cause}", path.display())]
    Memory {
        /// The file.
        path: PathBuf,
        /// Why.
        cause: io::Error,
    },
    /// A map of interface settings cannot be changed.
    #[error("map {map}: {cause}")]
    Map {
        /// Its name.
        map: &'static str,
        /// Why.
        cause: aya::maps::MapError,
    },
    /// The kernel does not list its interfaces.
    #[error("cannot list the network interfaces: {0}")]
    Netlink(io::Error),
    /// The object is not usable.
    #[error(transparent)]
    Object(#[from] ObjectError),
}
