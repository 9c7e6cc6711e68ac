//! Where packets that come in are filtered on one interface: by XDP, or at TC.

use std::path::Path;

use super::memory::{Changes, Memory};
use super::tc::{self, Side};
use super::xdp::{self, Origin};
use super::{AttachError, TC_INGRESS, XDP};
use crate::object::Firewall;
use crate::paths::Paths;
use crate::settings::{Hook, XdpMode};
use crate::sys::ethtool::Features;
use crate::sys::link;
use crate::sys::netlink::Interface;

/// How the hook was got.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Place {
    /// The name of the hook's pin.
    pub(super) hook: &'static str,
    /// An attachment of an earlier run now carries our program; no packet passed between.
    pub(super) taken_over: bool,
    /// Why there.
    pub(super) reason: Option<String>,
}

/// Attaches the program to `interface` where `wanted` says. An attachment that an earlier run has left at the
/// other hook stays for now: see [`leave_other`].
pub(super) fn attach(
    firewall: &mut Firewall,
    interface: &Interface,
    (hook, mode): (Hook, XdpMode),
    (paths, memory): (&Paths, &mut Memory),
) -> Result<Place, AttachError> {
    let by_xdp = |firewall: &mut Firewall, mode| {
        let pin = paths.link(XDP, interface.index);
        xdp::attach(firewall.ingress()?, interface, mode, &pin).map(of_xdp)
    };
    match (hook, mode) {
        (Hook::Tc, _) => at_tc(firewall, interface, None, (paths, memory)),
        (Hook::Auto, XdpMode::Auto) => {
            let reason = match prefers_tc(interface) {
                Some(reason) => reason.into(),
                None => match by_xdp(firewall, XdpMode::Native) {
                    Err(AttachError::Refused { reason, .. }) => format!("XDP: {reason}"),
                    Err(AttachError::OtherMode { .. }) => "XDP: not in the driver".into(),
                    other => return other,
                },
            };
            at_tc(firewall, interface, Some(reason), (paths, memory))
        }
        _ => by_xdp(firewall, mode),
    }
}

fn of_xdp(origin: Origin) -> Place {
    let (taken_over, reason) = match origin {
        Origin::New { fallback } => (false, fallback),
        Origin::TakenOver => (true, None),
    };
    Place {
        hook: XDP,
        taken_over,
        reason,
    }
}

fn at_tc(
    firewall: &mut Firewall,
    interface: &Interface,
    reason: Option<String>,
    (paths, memory): (&Paths, &mut Memory),
) -> Result<Place, AttachError> {
    let pin = paths.link(TC_INGRESS, interface.index);
    let program = firewall.ingress_tc(paths)?;
    let attached = tc::attach(program, interface, Side::Ingress, &pin)?;
    if attached == tc::Attached::Clsact {
        let changes = Changes {
            name: interface.name.clone(),
            clsact_in: true,
            ..Changes::default()
        };
        memory.add(interface.index, changes)?;
    }
    Ok(Place {
        hook: TC_INGRESS,
        taken_over: attached == tc::Attached::TakenOver,
        reason,
    })
}

/// Why TC is better than XDP in the driver, if it is. A virtual interface is a copy in memory: it carries up
/// to 64 kB of a TCP stream at once, but not to XDP, for which the sender has to cut it up.
pub(crate) fn prefers_tc(interface: &Interface) -> Option<&'static str> {
    const TSO: &str = "tx-tcp-segmentation";
    if !interface.local_peer {
        return None;
    }
    let features = Features::of(&interface.name).ok()?;
    let tso = features.get(TSO).ok().flatten()?;
    tso.active
        .then_some("virtual, with TSO: TCP segments stay whole")
}

/// Removes what an earlier run has left at the hook that is no longer used.
pub(super) fn leave_other(
    place: &Place,
    interface: &Interface,
    (paths, memory): (&Paths, &mut Memory),
) -> Result<(), AttachError> {
    let other = if place.hook == XDP { TC_INGRESS } else { XDP };
    remove(&paths.link(other, interface.index))?;
    if other == TC_INGRESS && memory.forget_clsact_in(interface.index)? {
        tc::detach_clsact(&interface.name, Side::Ingress)?;
    }
    Ok(())
}

/// Removes a new attachment again.
pub(super) fn undo(place: &Place, interface: &Interface, paths: &Paths) -> Result<(), AttachError> {
    remove(&paths.link(place.hook, interface.index))
}

fn remove(pin: &Path) -> Result<(), AttachError> {
    link::remove(pin).map_err(|cause| AttachError::Pin {
        path: pin.into(),
        cause,
    })
}
