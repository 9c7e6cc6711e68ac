//! Rows and pages for the tests.

use std::time::{Duration, SystemTime};

use fw_common::Reason;

use super::census::Census;
use super::traffic::Traffic;
use super::{Page, Room};
use crate::flows::Sort;
use crate::flows::fixtures::{dns6, netbios, ping, ssh};

/// What the first page says, and each later one.
pub(super) fn page() -> Page {
    let rows = vec![
        ssh().row(Some((1200.0, 1_500_000.0))),
        dns6().row(Some((0.5, 24.5))),
        ping().row(Some((0.0, 0.0))),
        netbios().row(None),
    ];
    let mut census = Census::default();
    let mut room = Room::default();
    for row in &rows {
        census.add(&row.entry, row.rates);
        room.add(&row.entry);
    }
    Page {
        time: SystemTime::UNIX_EPOCH + Duration::from_millis(1_800_000_000_250),
        seconds: Some(2.0),
        uptime: Some(Duration::from_secs(3725)),
        accounting: true,
        room: Room {
            capacity: 262_144,
            ..room
        },
        filtered: false,
        census,
        traffic: Some(Traffic {
            packets: 1802.25,
            created: 0.5,
            drops: vec![(Reason::Policy, 20.0), (Reason::BadIpChecksum, 0.5)],
        }),
        sort: Sort::Bytes,
        rows,
    }
}
