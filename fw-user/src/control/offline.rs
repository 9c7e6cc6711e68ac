//! What the pins tell when no daemon is running.

use std::path::Path;

use fw_common::abi::ABI_VERSION;
use tokio::runtime::Builder;

use super::rules::Listing;
use super::{FastPath, Rules, Status, survey};
use crate::attach::{Attachment, Mode, TC_INGRESS};
use crate::daemon;
use crate::error::Error;
use crate::life::{self, LifeError};
use crate::maps::Maps;
use crate::paths::Paths;
use crate::routing::{Bypass, nat};
use crate::settings::Tunables;
use crate::settings::sysctl::TableFacts;
use crate::sys::link::{self, Kind};
use crate::sys::netlink::{Interface, Netlink};

/// Timeouts and knobs of the pinned firewall, and the facts of its table.
///
/// # Errors
/// No firewall is pinned, or its maps cannot be read.
pub fn tunables(paths: &Paths) -> Result<(Tunables, TableFacts), Error> {
    let config = Maps::find(paths)?.config()?;
    Ok((Tunables::load(&config), survey::facts(paths)?))
}

/// What `fwctl status` shows without a daemon.
///
/// # Errors
/// No firewall is pinned, or its maps cannot be read.
pub fn status(paths: &Paths) -> Result<Status, Error> {
    let config = Maps::find(paths)?.config()?;
    let tunables = Tunables::load(&config);
    let silent = daemon::owner(paths);
    let unknown = match silent {
        Some(_) => "or not: its daemon knows, and does not answer here",
        None => "no daemon looks after that",
    };
    let unseen = silent.is_none().then(|| {
        Bypass::unseen(
            "no daemon looks for what packets would bypass: but for the first three seconds after its end",
            "fwctl run",
        )
    });
    Ok(Status {
        fast_path: FastPath {
            wanted: config.fasttrack != 0,
            bypassed: unseen.into_iter().collect(),
            first_packets: Some(unknown.into()),
        },
        nat: nat::translators(),
        version: env!("CARGO_PKG_VERSION").into(),
        abi: ABI_VERSION,
        pid: None,
        silent,
        uptime: None,
        last_sweep: None,
        missing: Vec::new(),
        interfaces: interfaces(paths)?.into_iter().map(Into::into).collect(),
        flows: survey::flows(paths)?,
        pressure: survey::pressure(&Maps::find(paths)?)?,
        listeners: 0,
        rules: rules(paths, tunables.drop_invalid)?,
    })
}

fn rules(paths: &Paths, drop_invalid: bool) -> Result<Rules, Error> {
    let listing = match life::offline::listing(paths) {
        Err(LifeError::Unknown) => Listing::default(),
        other => other?,
    };
    Ok(Rules::of(&listing, drop_invalid))
}

/// The interfaces of all pinned links that filter what comes in.
fn interfaces(paths: &Paths) -> Result<Vec<Attachment>, Error> {
    let failed = |cause| Error::Io {
        what: "listing the network interfaces",
        cause,
    };
    let runtime = Builder::new_current_thread().enable_all().build();
    let all = runtime
        .map_err(failed)?
        .block_on(async { Netlink::connect()?.interfaces().await })
        .map_err(failed)?;
    let dir = paths.pins().join("links");
    let pins = std::fs::read_dir(dir).into_iter().flatten();
    let mut found: Vec<_> = pins
        .filter_map(|pin| attachment(&pin.ok()?.path(), &all))
        .collect();
    found.sort_by_key(|attachment| attachment.index);
    Ok(found)
}

fn attachment(pin: &Path, all: &[Interface]) -> Option<Attachment> {
    let link = link::info(pin).ok()?;
    let interface = all.iter().find(|i| i.index == link.ifindex)?;
    let name = pin.file_name()?.to_str()?;
    let mode = match link.kind {
        Kind::Xdp => Mode::try_from(interface.xdp.mode).ok()?,
        Kind::Tcx if name.split('-').next() == Some(TC_INGRESS) => Mode::Tc,
        _ => return None,
    };
    Some(Attachment {
        name: interface.name.clone(),
        index: interface.index,
        mode,
        reason: None,
        taken_over: false,
        configured: interface.name.clone(),
        zone: 0,
        left: Vec::new(),
        vlans: Vec::new(),
    })
}
