//! `fwctl top`: the busiest flows, and what the firewall does meanwhile.
//!
//! A [`Watch`] reads the maps again and again and makes a [`Page`] each time; [`text`] and [`json`] say how one
//! looks.

mod census;
#[cfg(test)]
mod fixtures;
pub mod json;
pub mod text;
mod traffic;
mod watch;

use std::time::{Duration, SystemTime};

pub use census::{Census, Room};
pub use traffic::Traffic;
pub use watch::Watch;

use crate::flows::{Row, Sort};

/// The firewall between two readings of its maps.
#[derive(Clone, Debug)]
pub struct Page {
    /// When the second reading began.
    pub time: SystemTime,
    /// The time between the two in seconds; `None` if there was no first: then nothing is known of rates.
    pub seconds: Option<f64>,
    /// For how long the daemon has been there; `None` without one.
    pub uptime: Option<Duration>,
    /// Whether packets and bytes of flows are counted: else their rates stay unknown.
    pub accounting: bool,
    /// How full the flow table is.
    pub room: Room,
    /// Whether flows were selected by a filter.
    pub filtered: bool,
    /// The flows that were selected.
    pub census: Census,
    /// All packets, whatever the filter; `None` with the first reading.
    pub traffic: Option<Traffic>,
    /// What stands first.
    pub sort: Sort,
    /// The first of the flows that were selected, in order.
    pub rows: Vec<Row>,
}

impl Page {
    /// Puts the flows that it has in another order. Which ones those are the next reading decides.
    pub fn sort_by(&mut self, sort: Sort) {
        self.sort = sort;
        sort.sort(&mut self.rows);
    }
}
