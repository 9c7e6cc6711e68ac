//! Rows and pages for the tests.

use std::time::{Duration, SystemTime};

use fw_common::Reason;

use super::census::Census;
use super::traffic::Traffic;
use super::{Page, Room, Sort};
use crate::flows::fixtures::{Spec, dns6, netbios, ping, ssh};
use crate::flows::{Rate, Row};

/// A flow: its number, packets and bytes a second (up, and half of each down), age and timeout in seconds.
pub(super) fn row(id: u32, speed: Option<(f64, f64)>, age: u64, timeout: u64) -> Row {
    let spec = Spec {
        id,
        age,
        timeout,
        ..ssh()
    };
    of(&spec, speed)
}

fn of(spec: &Spec, speed: Option<(f64, f64)>) -> Row {
    let rate = |part: f64| {
        speed.map(|(packets, bytes)| Rate {
            packets: packets * part,
            bytes: bytes * part,
        })
    };
    Row {
        entry: spec.build(),
        rates: rate(1.0).zip(rate(0.5)).map(|(up, down)| [up, down]),
    }
}

/// What the first page says, and each later one.
pub(super) fn page() -> Page {
    let rows = vec![
        of(&ssh(), Some((1200.0, 1_500_000.0))),
        of(&dns6(), Some((0.5, 24.5))),
        of(&ping(), Some((0.0, 0.0))),
        of(&netbios(), None),
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
