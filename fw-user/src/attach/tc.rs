//! The TC hooks of one interface: `tcx` where the kernel has it (6.6), `clsact` and `cls_bpf`
//! elsewhere.
//!
//! A `tcx` link is pinned and dies with its pin. A `cls_bpf` filter belongs to nobody: it outlives us
//! by itself, and is found again by its fixed priority and handle.

use std::io;
use std::path::Path;

use aya::programs::links::{FdLink, PinnedLink};
use aya::programs::tc::{self, NlOptions, SchedClassifierLink, TcAttachOptions, TcError, TcHandle};
use aya::programs::{LinkOrder, ProgramError, SchedClassifier, TcAttachType};

use super::AttachError;
use crate::sys::link::{self, Kind};
use crate::sys::netlink::Interface;

/// Our `cls_bpf` filters.
const HANDLE: TcHandle = TcHandle::new(0, 1);

/// Which of the two hooks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Side {
    /// What comes in.
    Ingress,
    /// What leaves.
    Egress,
}

impl Side {
    const fn name(self) -> &'static str {
        match self {
            Self::Ingress => "ingress",
            Self::Egress => "egress",
        }
    }

    const fn attach_type(self) -> TcAttachType {
        match self {
            Self::Ingress => TcAttachType::Ingress,
            Self::Egress => TcAttachType::Egress,
        }
    }

    /// Before others see what comes in; behind what marks or mangles what leaves.
    fn order(self) -> LinkOrder {
        match self {
            Self::Ingress => LinkOrder::first(),
            Self::Egress => LinkOrder::last(),
        }
    }

    /// The same among `cls_bpf` filters.
    const fn priority(self) -> u16 {
        match self {
            Self::Ingress => 0xf3,
            Self::Egress => 0xf3c0,
        }
    }
}

/// How the program was attached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Attached {
    /// By a new `tcx` link.
    Tcx,
    /// By the `tcx` link of an earlier run.
    TakenOver,
    /// By a `cls_bpf` filter.
    Clsact,
}

/// Attaches `program` to a hook of `interface`; a link is pinned at `pin`. An attachment of an
/// earlier run is taken over.
pub(super) fn attach(
    program: &mut SchedClassifier,
    interface: &Interface,
    side: Side,
    pin: &Path,
) -> Result<Attached, AttachError> {
    if take_over(program, interface, side, pin)? {
        return Ok(Attached::TakenOver);
    }
    let refused = |reason: &str| refused(&interface.name, side, reason);
    let options = TcAttachOptions::TcxOrder(side.order());
    let attached = program.attach_with_options(&interface.name, side.attach_type(), options);
    match attached.and_then(|id| program.take_link(id)) {
        Ok(link) => {
            let link = FdLink::try_from(link).map_err(|e| refused(&e.to_string()))?;
            link.pin(pin)
                .map_err(|e| pin_failed(pin, io::Error::other(e)))?;
            Ok(Attached::Tcx)
        }
        Err(e) if lacks_tcx(&e) => {
            attach_clsact(program, &interface.name, side)?;
            Ok(Attached::Clsact)
        }
        Err(e) => Err(refused(&reason(&e))),
    }
}

/// Whether the program with number `id` is attached to a hook by a `tcx` link.
pub(super) fn has(interface: &str, side: Side, id: u32) -> bool {
    SchedClassifier::query_tcx(interface, side.attach_type())
        .is_ok_and(|(_, programs)| programs.iter().any(|p| p.id() == id))
}

fn take_over(
    program: &mut SchedClassifier,
    interface: &Interface,
    side: Side,
    pin: &Path,
) -> Result<bool, AttachError> {
    let info = match link::info(pin) {
        Ok(info) => info,
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(false),
        Err(e) => return Err(pin_failed(pin, e)),
    };
    // An interface of another network namespace may have the same number.
    let here = info.kind == Kind::Tcx
        && info.ifindex == interface.index
        && has(&interface.name, side, info.program_id);
    if !here {
        link::remove(pin).map_err(|e| pin_failed(pin, e))?;
        return Ok(false);
    }
    let pinned = PinnedLink::from_pin(pin).map_err(|e| pin_failed(pin, io::Error::other(e)))?;
    let link = SchedClassifierLink::try_from(FdLink::from(pinned));
    let link = link.map_err(|e| pin_failed(pin, io::Error::other(e)))?;
    let id = program.attach_to_link(link);
    let replaced = id.and_then(|id| program.take_link(id));
    replaced.map_err(|e| refused(&interface.name, side, &reason(&e)))?;
    Ok(true)
}

/// The answers of a kernel without `tcx`: an attach type or program type that it does not know.
fn lacks_tcx(error: &ProgramError) -> bool {
    let ProgramError::SyscallError(e) = error else {
        return false;
    };
    matches!(
        e.io_error.raw_os_error(),
        Some(libc::EINVAL | libc::EOPNOTSUPP)
    )
}

/// Attaches by a `cls_bpf` filter, replacing the one of an earlier run in place.
fn attach_clsact(
    program: &mut SchedClassifier,
    interface: &str,
    side: Side,
) -> Result<(), AttachError> {
    let failed = |e: &ProgramError| refused(interface, side, &reason(e));
    if let Err(e) = tc::qdisc_add_clsact(interface)
        && !is_there_already(&e)
    {
        return Err(refused(interface, side, &e.to_string()));
    }
    let old = clsact_link(interface, side);
    let old = old.map_err(|e| refused(interface, side, &e.to_string()))?;
    let id = match program.attach_to_link(old) {
        Ok(id) => id,
        Err(_) => {
            let options = TcAttachOptions::Netlink(NlOptions {
                priority: side.priority(),
                handle: HANDLE,
                classid: None,
            });
            let attached = program.attach_with_options(interface, side.attach_type(), options);
            attached.map_err(|e| failed(&e))?
        }
    };
    let link = program.take_link(id).map_err(|e| failed(&e))?;
    // Dropped, it would remove the filter.
    std::mem::forget(link);
    Ok(())
}

/// Removes our `cls_bpf` filter. The qdisc stays: others may have filters there too.
pub(super) fn detach_clsact(interface: &str, side: Side) -> Result<(), AttachError> {
    let link = clsact_link(interface, side);
    let link = link.map_err(|e| refused(interface, side, &e.to_string()))?;
    // Its drop is what detaches.
    drop(link);
    Ok(())
}

fn clsact_link(interface: &str, side: Side) -> io::Result<SchedClassifierLink> {
    let (hook, priority) = (side.attach_type(), side.priority());
    SchedClassifierLink::attached(interface, hook, priority, HANDLE, None)
}

fn is_there_already(error: &TcError) -> bool {
    match error {
        TcError::AlreadyAttached => true,
        TcError::NetlinkError(e) => e.raw_os_error() == Some(libc::EEXIST),
        _ => false,
    }
}

fn refused(interface: &str, side: Side, reason: &str) -> AttachError {
    AttachError::Tc {
        name: interface.into(),
        side: side.name(),
        reason: reason.into(),
    }
}

fn pin_failed(pin: &Path, cause: io::Error) -> AttachError {
    AttachError::Pin {
        path: pin.into(),
        cause,
    }
}

fn reason(error: &ProgramError) -> String {
    match error {
        ProgramError::SyscallError(e) => e.io_error.to_string(),
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use xtask::lab::{Host, Lab, root_or_skip};

    use super::*;
    use crate::object::Firewall;
    use crate::paths::Paths;

    fn filters(host: &Host, side: Side) -> usize {
        let mut tc = host.command("tc");
        let shown = tc.args(["filter", "show", "dev", "eth0", side.name()]);
        let shown = shown.output().expect("tc").stdout;
        let shown = String::from_utf8(shown).expect("UTF-8");
        shown.matches(" handle ").count()
    }

    /// What kernels before 6.6 do; this one can still.
    #[test]
    fn cls_bpf_filters_are_replaced_in_place_and_outlive_us() {
        if !root_or_skip() {
            return;
        }
        let lab = Lab::up("u-clsact").expect("a lab");
        let router = lab.router();
        let paths = Paths {
            bpffs: lab.bpffs(),
            socket: lab.run_dir().join("s"),
            state_dir: lab.run_dir(),
        };
        for dir in ["maps", "programs"] {
            std::fs::create_dir_all(paths.pins().join(dir)).expect("directories");
        }
        let sides = [Side::Ingress, Side::Egress];
        for _ in 0..2 {
            let mut firewall = Firewall::load(&paths, 1024).expect("loaded");
            for side in sides {
                let attach = || {
                    let program = match side {
                        Side::Ingress => firewall.ingress_tc(&paths)?,
                        Side::Egress => firewall.egress()?,
                    };
                    attach_clsact(program, "eth0", side)
                };
                router
                    .enter(attach)
                    .expect("the namespace")
                    .expect("attached");
            }
            drop(firewall);
            for side in sides {
                assert_eq!(filters(router, side), 1, "one filter, and it stays");
            }
        }
        for side in sides {
            let detach = || detach_clsact("eth0", side);
            router
                .enter(detach)
                .expect("the namespace")
                .expect("detached");
            assert_eq!(filters(router, side), 0);
        }
    }
}
