//! Counting the flows: what is in the pinned maps at this moment.

use std::io;

use aya::Pod;
use aya::maps::{MapData, MapInfo};
use fw_common::Reason;
use fw_common::abi::{Counter, Flow, Key4, Key6, MOVED, maps};

use super::{Family, Flows, Pressure, Refused, buckets};
use crate::clock::TickClock;
use crate::error::{Error, chain};
use crate::maps::Maps;
use crate::paths::Paths;
use crate::settings::Tunables;
use crate::settings::sysctl::TableFacts;
use crate::sys::batch::HashTable;

/// Entries read at a time.
const PAGE: usize = 4096;

/// The live flows below `paths`, and how many there may be. Some ten milliseconds of system calls.
///
/// # Errors
/// A map cannot be read.
pub fn flows(paths: &Paths) -> Result<Flows, Error> {
    let config = Maps::find(paths)?.config()?;
    let now = TickClock::new(&config)
        .map_err(crate::maps::MapsError::from)?
        .now();
    let (embryo4, embryonic_capacity) = count::<Key4>(paths, maps::EMBRYO4, now)?;
    let (embryo6, _) = count::<Key6>(paths, maps::EMBRYO6, now)?;
    let family = |assured, embryonic| Family {
        assured,
        embryonic,
        embryonic_capacity: embryonic_capacity.into(),
    };
    let ipv4 = family(count::<Key4>(paths, maps::ASSURED4, now)?.0, embryo4);
    let ipv6 = family(count::<Key6>(paths, maps::ASSURED6, now)?.0, embryo6);
    Ok(Flows {
        count: ipv4.assured + ipv4.embryonic + ipv6.assured + ipv6.embryonic,
        capacity: Tunables::load(&config).max_flows.into(),
        ipv4,
        ipv6,
    })
}

/// What the flow table had to refuse or give up, as far as the counters tell.
///
/// # Errors
/// The counters cannot be read.
pub fn pressure(maps: &Maps) -> Result<Pressure, Error> {
    let counters = maps.counters()?;
    let of = |reason| counters.total(Counter::of_reason(reason));
    Ok(Pressure {
        inserts_refused: Refused {
            rate: of(Reason::InsertLimit)?,
            source_flows: of(Reason::SourceFlows)?,
            source_half_open: of(Reason::SourceHalfOpen)?,
            full: of(Reason::TableFull)?,
        },
        promotions_refused: counters.total(Counter::PROMOTE_FAILED)?,
        evicted: counters.total(Counter::EARLY_DROP)?,
        timeouts: None,
    })
}

/// What the read-only sysctls show.
///
/// # Errors
/// A map cannot be read.
pub fn facts(paths: &Paths) -> Result<TableFacts, Error> {
    let info = MapInfo::from_pin(paths.map(maps::ASSURED4)).map_err(unreadable)?;
    Ok(TableFacts {
        count: flows(paths)?.count,
        buckets: buckets(info.max_entries()),
    })
}

/// Live entries of a flow map, and how many it can hold.
fn count<K: Pod>(paths: &Paths, name: &str, now: u64) -> Result<(u64, u32), Error> {
    let data = MapData::from_pin(paths.map(name)).map_err(unreadable)?;
    let size = data.info().map_err(unreadable)?.max_entries();
    let table = HashTable::<K, Flow>::new(data).map_err(unreadable)?;
    let mut pages = table.pages(PAGE);
    let mut count = 0;
    while let Some((_, flows)) = pages.next_page().map_err(unreadable)? {
        let live = |flow: &&Flow| flow.deadline > now && flow.lock != MOVED;
        count += flows.iter().filter(live).count() as u64;
    }
    Ok((count, size))
}

fn unreadable(error: impl std::error::Error + 'static) -> Error {
    Error::Io {
        what: "reading the pinned maps",
        cause: io::Error::other(chain(&error)),
    }
}
