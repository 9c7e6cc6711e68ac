//! What the pins tell when no daemon is running.

use std::path::Path;

use aya::maps::MapInfo;
use fw_common::abi::{ABI_VERSION, Flow, Key4, Key6, maps};
use tokio::runtime::Builder;

use super::{Family, Flows, Rules, Status, buckets};
use crate::attach::{Attachment, Mode};
use crate::error::Error;
use crate::maps::Maps;
use crate::paths::Paths;
use crate::settings::Tunables;
use crate::settings::sysctl::TableFacts;
use crate::sys::batch::HashTable;
use crate::sys::link::{self, Kind};
use crate::sys::netlink::{Interface, Netlink};

/// Entries read at a time when counting.
const PAGE: usize = 4096;

/// Timeouts and knobs of the pinned firewall, and the facts of its table.
///
/// # Errors
/// No firewall is pinned, or its maps cannot be read.
pub fn tunables(paths: &Paths) -> Result<(Tunables, TableFacts), Error> {
    let maps = Maps::find(paths)?;
    let tunables = Tunables::load(&maps.config()?);
    let flows = flows(paths, &tunables)?;
    let facts = TableFacts {
        count: flows.total(),
        buckets: buckets(capacity(paths, maps::ASSURED4)?),
    };
    Ok((tunables, facts))
}

/// What `fwctl status` shows without a daemon.
///
/// # Errors
/// No firewall is pinned, or its maps cannot be read.
pub fn status(paths: &Paths) -> Result<Status, Error> {
    let config = Maps::find(paths)?.config()?;
    let tunables = Tunables::load(&config);
    Ok(Status {
        version: env!("CARGO_PKG_VERSION").into(),
        abi: ABI_VERSION,
        daemon: None,
        interfaces: interfaces(paths)?.into_iter().map(Into::into).collect(),
        flows: flows(paths, &tunables)?,
        rules: Rules {
            generation: config.rule_gen,
            drop_invalid: tunables.drop_invalid,
            ..Rules::default()
        },
    })
}

fn flows(paths: &Paths, tunables: &Tunables) -> Result<Flows, Error> {
    let capacity = tunables.max_flows.into();
    Ok(Flows {
        ipv4: Family {
            assured: count::<Key4>(paths, maps::ASSURED4)?,
            capacity,
            embryonic: count::<Key4>(paths, maps::EMBRYO4)?,
            embryonic_capacity: self::capacity(paths, maps::EMBRYO4)?.into(),
        },
        ipv6: Family {
            assured: count::<Key6>(paths, maps::ASSURED6)?,
            capacity,
            embryonic: count::<Key6>(paths, maps::EMBRYO6)?,
            embryonic_capacity: self::capacity(paths, maps::EMBRYO6)?.into(),
        },
    })
}

fn capacity(paths: &Paths, name: &str) -> Result<u32, Error> {
    let info = MapInfo::from_pin(paths.map(name));
    Ok(info.map_err(unreadable)?.max_entries())
}

/// Entries of a flow map, expired ones too.
fn count<K: aya::Pod>(paths: &Paths, name: &str) -> Result<u64, Error> {
    let data = aya::maps::MapData::from_pin(paths.map(name)).map_err(unreadable)?;
    let table = HashTable::<K, Flow>::new(data).map_err(unreadable)?;
    let mut pages = table.pages(PAGE);
    let mut count = 0;
    while let Some((keys, _)) = pages.next_page().map_err(unreadable)? {
        count += keys.len() as u64;
    }
    Ok(count)
}

fn unreadable(error: impl std::error::Error + Send + Sync + 'static) -> Error {
    Error::Io {
        what: "reading the pinned maps",
        cause: std::io::Error::other(crate::error::chain(&error)),
    }
}

/// The interfaces of all pinned XDP links.
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
    if link.kind != Kind::Xdp {
        return None;
    }
    let interface = all.iter().find(|i| i.index == link.ifindex)?;
    Some(Attachment {
        name: interface.name.clone(),
        index: interface.index,
        mode: Mode::try_from(interface.xdp.mode).ok()?,
        reason: None,
        taken_over: false,
        configured: interface.name.clone(),
        zone: 0,
    })
}
