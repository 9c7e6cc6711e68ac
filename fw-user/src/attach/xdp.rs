//! The XDP hook of one interface: taken over from an earlier run, or attached anew.

use std::io;
use std::path::Path;

use aya::programs::links::{FdLink, PinnedLink};
use aya::programs::xdp::{XdpError, XdpLink};
use aya::programs::{self, ProgramError, Xdp, loaded_programs};

use super::{AttachError, Mode};
use crate::settings::XdpMode;
use crate::sys::link::{self, Kind};
use crate::sys::netlink::{Attached, Interface};

/// How the hook was got.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Origin {
    /// The link of an earlier run now carries our program; no packet passed between.
    TakenOver,
    /// Attached and pinned; with the reason why it is not native, if `auto` fell back.
    New {
        /// What the driver said to native mode.
        fallback: Option<String>,
    },
}

/// Attaches `program` to `interface` and pins the link at `pin`.
pub(super) fn attach(
    program: &mut Xdp,
    interface: &Interface,
    mode: XdpMode,
    pin: &Path,
) -> Result<Origin, AttachError> {
    if take_over(program, interface, mode, pin)? {
        return Ok(Origin::TakenOver);
    }
    if interface.xdp.program_id != 0 {
        return Err(busy(interface));
    }
    let (link, fallback) = first_possible(program, interface, mode)?;
    // If this fails the link is dropped, and with it the attachment.
    link.pin(pin).map_err(|e| AttachError::Pin {
        path: pin.into(),
        cause: io::Error::other(e),
    })?;
    Ok(Origin::New { fallback })
}

/// Puts `program` into the link that is pinned at `pin`, if that is on `interface`.
fn take_over(
    program: &mut Xdp,
    interface: &Interface,
    mode: XdpMode,
    pin: &Path,
) -> Result<bool, AttachError> {
    let failed = |cause| AttachError::Pin {
        path: pin.into(),
        cause,
    };
    let info = match link::info(pin) {
        Ok(info) => info,
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(false),
        Err(e) => return Err(failed(e)),
    };
    if info.kind != Kind::Xdp || info.ifindex != interface.index {
        // Its interface has gone, and the number was given out again.
        link::remove(pin).map_err(failed)?;
        return Ok(false);
    }
    check_mode(interface, mode)?;
    // The pin stays, so a failed update leaves the old program where it is.
    let pinned = PinnedLink::from_pin(pin).map_err(|e| failed(io::Error::other(e)))?;
    let link = XdpLink::try_from(FdLink::from(pinned));
    let link = link.map_err(|e| failed(io::Error::other(e)))?;
    let id = program.attach_to_link(link);
    let replaced = id.and_then(|id| program.take_link(id));
    replaced.map_err(|e| refused(interface, "its present", &reason(&e), ""))?;
    Ok(true)
}

/// A link cannot change its mode.
fn check_mode(interface: &Interface, wanted: XdpMode) -> Result<(), AttachError> {
    let has = Mode::try_from(interface.xdp.mode).ok();
    let fits = match (wanted, has) {
        (XdpMode::Auto, _) => true,
        (XdpMode::Native, has) => has == Some(Mode::Native),
        (XdpMode::Generic, has) => has == Some(Mode::Generic),
        (XdpMode::Offload, has) => has == Some(Mode::Offload),
    };
    if fits {
        return Ok(());
    }
    Err(AttachError::OtherMode {
        name: interface.name.clone(),
        has: has.unwrap_or(Mode::Native),
    })
}

/// The link in the wanted mode; for `auto` in the best that works, with the reason why not native.
fn first_possible(
    program: &mut Xdp,
    interface: &Interface,
    mode: XdpMode,
) -> Result<(FdLink, Option<String>), AttachError> {
    let mut attach = |mode| attach_as(program, interface, mode);
    let result = match mode {
        XdpMode::Auto => match attach(programs::XdpMode::Driver) {
            Ok(link) => Ok((link, None)),
            Err(why) => attach(programs::XdpMode::Skb).map(|link| (link, Some(why))),
        },
        XdpMode::Native => attach(programs::XdpMode::Driver).map(|link| (link, None)),
        XdpMode::Generic => attach(programs::XdpMode::Skb).map(|link| (link, None)),
        XdpMode::Offload => attach(programs::XdpMode::Hardware).map(|link| (link, None)),
    };
    result.map_err(|why| {
        let (mode, advice) = match mode {
            XdpMode::Auto | XdpMode::Generic => ("generic", ""),
            XdpMode::Native => ("native", "; `--xdp-mode auto` falls back to generic"),
            XdpMode::Offload => ("offload", "; `--xdp-mode auto` takes the best that works"),
        };
        refused(interface, mode, &why, advice)
    })
}

fn attach_as(
    program: &mut Xdp,
    interface: &Interface,
    mode: programs::XdpMode,
) -> Result<FdLink, String> {
    let attached = program.attach_to_if_index(interface.index, mode);
    let link = attached.and_then(|id| program.take_link(id));
    let link = link.map_err(|e| {
        let why = reason(&e);
        // Drivers answer with a bare errno when a frame does not fit their buffers.
        if interface.mtu > 1500 {
            format!("{why} (MTU {})", interface.mtu)
        } else {
            why
        }
    })?;
    FdLink::try_from(link).map_err(|_| "this kernel has no BPF links for XDP".into())
}

fn refused(
    interface: &Interface,
    mode: &'static str,
    reason: &str,
    advice: &'static str,
) -> AttachError {
    AttachError::Refused {
        name: interface.name.clone(),
        mode,
        reason: reason.into(),
        advice,
    }
}

fn busy(interface: &Interface) -> AttachError {
    let id = interface.xdp.program_id;
    let mut programs = loaded_programs().filter_map(Result::ok);
    let program = programs.find(|p| p.id() == id);
    let name = program.and_then(|p| p.name_as_str().map(str::to_owned));
    AttachError::Busy {
        name: interface.name.clone(),
        program: name.unwrap_or_else(|| "without a name".into()),
        id,
    }
}

/// What the kernel says, without aya's wrapping.
pub(super) fn reason(error: &ProgramError) -> String {
    match error {
        ProgramError::SyscallError(e) => match e.io_error.raw_os_error() {
            Some(libc::EOPNOTSUPP) => "the driver cannot do it".into(),
            Some(libc::EBUSY | libc::EEXIST) => "another XDP program is attached".into(),
            _ => e.io_error.to_string(),
        },
        ProgramError::XdpError(XdpError::NetlinkError(e)) => extack(&e.to_string())
            .or_else(|| {
                e.raw_os_error()
                    .map(|n| io::Error::from_raw_os_error(n).to_string())
            })
            .unwrap_or_else(|| e.to_string()),
        other => other.to_string(),
    }
}

/// The driver's own words within `netlink error: ["…"]`, if it has any.
fn extack(text: &str) -> Option<String> {
    let (_, rest) = text.split_once('"')?;
    let (words, _) = rest.rsplit_once('"')?;
    (!words.is_empty()).then(|| words.into())
}

impl TryFrom<Attached> for Mode {
    type Error = ();

    fn try_from(attached: Attached) -> Result<Self, ()> {
        match attached {
            Attached::None => Err(()),
            // With a program in the NIC beside it, ours is the native one.
            Attached::Native | Attached::Several => Ok(Self::Native),
            Attached::Generic => Ok(Self::Generic),
            Attached::Offload => Ok(Self::Offload),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_drivers_words_are_taken_out_of_the_wrapping() {
        assert_eq!(
            extack("netlink error: [\"Peer MTU is too large to set XDP\"]").as_deref(),
            Some("Peer MTU is too large to set XDP")
        );
        assert_eq!(extack("netlink error: []"), None);
    }
}
