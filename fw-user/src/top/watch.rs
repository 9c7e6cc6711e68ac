//! Reading the maps, again and again.

use std::time::{Instant, SystemTime};

use super::Page;
use super::census::{Census, Room};
use super::traffic::Traffic;
use crate::daemon;
use crate::flows::{Filter, First, Meter, Sort};
use crate::maps::{Counters, Maps, MapsError};
use crate::paths::Paths;
use crate::settings::Tunables;

/// What is watched, and what the last look saw.
#[derive(Debug)]
pub struct Watch {
    paths: Paths,
    filter: Filter,
    keep: usize,
    meter: Meter,
    counters: Option<Counters>,
    /// What stands first in the next page.
    pub sort: Sort,
}

impl Watch {
    /// Watches the flows that `filter` selects; a page has the first `keep` of them.
    #[must_use]
    pub fn new(paths: Paths, filter: Filter, keep: usize, sort: Sort) -> Self {
        Self {
            paths,
            filter,
            keep,
            meter: Meter::default(),
            counters: None,
            sort,
        }
    }

    /// Reads everything once. The maps are opened anew each time: a daemon that was started again may have made
    /// others, and nothing would ever change in these.
    ///
    /// # Errors
    /// See [`Maps::find`]; a map cannot be read.
    pub fn look(&mut self) -> Result<Page, MapsError> {
        let maps = Maps::find(&self.paths)?;
        let table = maps.flows()?;
        let tunables = Tunables::load(table.config());
        let time = SystemTime::now();
        self.meter.begin(Instant::now());
        let counters = Counters::sum(&maps.counters()?.per_cpu()?);
        let mut room = Room {
            capacity: tunables.max_flows.into(),
            ..Room::default()
        };
        let mut census = Census::default();
        let mut first = First::new(self.keep, self.sort);
        table.visit(None, |entry| {
            room.add(entry);
            if self.filter.matches(entry) {
                let measured = tunables.accounting.then(Instant::now);
                let rates = measured.and_then(|now| self.meter.measure(entry, now));
                census.add(entry, rates);
                first.offer(entry, rates);
            }
            Ok::<_, MapsError>(())
        })?;
        self.meter.end();
        let seconds = self.meter.seconds();
        let before = self.counters.replace(counters.clone());
        let compare = |(before, seconds): (Counters, f64)| {
            Traffic::between(&before, &counters, seconds, tunables.drop_invalid)
        };
        Ok(Page {
            time,
            seconds,
            uptime: daemon::uptime(maps.paths()),
            accounting: tunables.accounting,
            room,
            filtered: self.filter != Filter::default(),
            census,
            traffic: before.zip(seconds).map(compare),
            sort: self.sort,
            rows: first.rows(),
        })
    }
}
