//! The egress hook of one interface: `tcx` where the kernel has it (6.6), `clsact` and `cls_bpf`
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

/// Our `cls_bpf` filter: late, behind what marks or mangles.
const PRIORITY: u16 = 0xf3c0;
const HANDLE: TcHandle = TcHandle::new(0, 1);

/// How the program is attached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Hook {
    /// By a `tcx` link.
    Tcx,
    /// By a `cls_bpf` filter.
    Clsact,
}

/// Attaches `program` to the egress of `interface`; a link is pinned at `pin`. An attachment of an
/// earlier run is taken over.
pub(super) fn attach(
    program: &mut SchedClassifier,
    interface: &Interface,
    pin: &Path,
) -> Result<Hook, AttachError> {
    if take_over(program, interface, pin)? {
        return Ok(Hook::Tcx);
    }
    let options = TcAttachOptions::TcxOrder(LinkOrder::last());
    let attached = program.attach_with_options(&interface.name, TcAttachType::Egress, options);
    match attached.and_then(|id| program.take_link(id)) {
        Ok(link) => {
            let link = FdLink::try_from(link).map_err(|e| refused(interface, &e.to_string()))?;
            link.pin(pin)
                .map_err(|e| pin_failed(pin, io::Error::other(e)))?;
            Ok(Hook::Tcx)
        }
        Err(e) if lacks_tcx(&e) => {
            attach_clsact(program, interface)?;
            Ok(Hook::Clsact)
        }
        Err(e) => Err(refused(interface, &reason(&e))),
    }
}

fn take_over(
    program: &mut SchedClassifier,
    interface: &Interface,
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
        && SchedClassifier::query_tcx(&interface.name, TcAttachType::Egress)
            .is_ok_and(|(_, programs)| programs.iter().any(|p| p.id() == info.program_id));
    if !here {
        link::remove(pin).map_err(|e| pin_failed(pin, e))?;
        return Ok(false);
    }
    let pinned = PinnedLink::from_pin(pin).map_err(|e| pin_failed(pin, io::Error::other(e)))?;
    let link = SchedClassifierLink::try_from(FdLink::from(pinned));
    let link = link.map_err(|e| pin_failed(pin, io::Error::other(e)))?;
    let id = program.attach_to_link(link);
    let replaced = id.and_then(|id| program.take_link(id));
    replaced.map_err(|e| refused(interface, &reason(&e)))?;
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
fn attach_clsact(program: &mut SchedClassifier, interface: &Interface) -> Result<(), AttachError> {
    let failed = |e: &ProgramError| refused(interface, &reason(e));
    if let Err(e) = tc::qdisc_add_clsact(&interface.name)
        && !is_there_already(&e)
    {
        return Err(refused(interface, &e.to_string()));
    }
    let old = clsact_link(&interface.name).map_err(|e| refused(interface, &e.to_string()))?;
    let id = match program.attach_to_link(old) {
        Ok(id) => id,
        Err(_) => {
            let options = TcAttachOptions::Netlink(NlOptions {
                priority: PRIORITY,
                handle: HANDLE,
                classid: None,
            });
            let name = &interface.name;
            let attached = program.attach_with_options(name, TcAttachType::Egress, options);
            attached.map_err(|e| failed(&e))?
        }
    };
    let link = program.take_link(id).map_err(|e| failed(&e))?;
    // Dropped, it would remove the filter.
    std::mem::forget(link);
    Ok(())
}

/// Removes our `cls_bpf` filter. The qdisc stays: others may have filters there too.
pub(super) fn detach_clsact(interface: &str) -> Result<(), AttachError> {
    let failed = |reason: String| AttachError::Egress {
        name: interface.into(),
        reason,
    };
    let link = clsact_link(interface).map_err(|e| failed(e.to_string()))?;
    // Its drop is what detaches.
    drop(link);
    Ok(())
}

fn clsact_link(interface: &str) -> io::Result<SchedClassifierLink> {
    SchedClassifierLink::attached(interface, TcAttachType::Egress, PRIORITY, HANDLE, None)
}

fn is_there_already(error: &TcError) -> bool {
    match error {
        TcError::AlreadyAttached => true,
        TcError::NetlinkError(e) => e.raw_os_error() == Some(libc::EEXIST),
        _ => false,
    }
}

fn refused(interface: &Interface, reason: &str) -> AttachError {
    AttachError::Egress {
        name: interface.name.clone(),
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

    fn filters(host: &Host) -> usize {
        let mut tc = host.command("tc");
        let shown = tc
            .args(["filter", "show", "dev", "eth0", "egress"])
            .output();
        let shown = shown.expect("tc").stdout;
        let shown = String::from_utf8(shown).expect("UTF-8");
        shown.matches(" handle ").count()
    }

    /// What kernels before 6.6 do; this one can still.
    #[test]
    fn cls_bpf_filter_is_replaced_in_place_and_outlives_us() {
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
        std::fs::create_dir_all(paths.pins().join("maps")).expect("directories");
        let interface = Interface {
            name: "eth0".into(),
            ..Interface::default()
        };
        for _ in 0..2 {
            let mut firewall = Firewall::load(&paths, 1024).expect("loaded");
            let attach = || attach_clsact(firewall.egress()?, &interface);
            router
                .enter(attach)
                .expect("the namespace")
                .expect("attached");
            drop(firewall);
            assert_eq!(filters(router), 1, "one filter, and it stays");
        }
        let detach = || detach_clsact("eth0");
        router
            .enter(detach)
            .expect("the namespace")
            .expect("detached");
        assert_eq!(filters(router), 0);
    }
}
