//! What is measured, one idea a file.

mod bulk;
mod disturbances;
mod established;
mod floods;
mod lists;
mod new_flows;
mod rules;
mod sets;

use anyhow::Result;

use crate::bench::Bench;
use crate::report::Section;

/// A workload.
#[derive(Clone, Copy)]
pub struct Workload {
    /// What `--only` takes.
    pub name: &'static str,
    /// Heading of its section.
    pub title: &'static str,
    /// Whether `--quick` has it.
    pub quick: bool,
    /// Measures it.
    pub run: fn(&Bench) -> Result<Section>,
}

/// All, in the order of the document.
pub const ALL: &[Workload] = &[
    Workload {
        name: "udp4",
        title: "Established flows, UDP over IPv4, shortest frames",
        quick: true,
        run: established::udp4,
    },
    Workload {
        name: "udp6",
        title: "Established flows, UDP over IPv6, shortest frames",
        quick: false,
        run: established::udp6,
    },
    Workload {
        name: "tcp4",
        title: "Established flows, TCP data over IPv4, shortest frames",
        quick: false,
        run: established::tcp4,
    },
    Workload {
        name: "tcp6",
        title: "Established flows, TCP data over IPv6",
        quick: false,
        run: established::tcp6,
    },
    Workload {
        name: "acks",
        title: "Established flows, TCP acknowledgements over IPv4",
        quick: false,
        run: established::acks,
    },
    Workload {
        name: "imix",
        title: "Established flows, UDP over IPv4, IMIX",
        quick: false,
        run: established::imix,
    },
    Workload {
        name: "new",
        title: "New flows, accepted",
        quick: true,
        run: new_flows::accepted,
    },
    Workload {
        name: "refused",
        title: "New flows, dropped by a rule",
        quick: false,
        run: new_flows::refused,
    },
    Workload {
        name: "floods",
        title: "Floods through a table that is 40 % full",
        quick: true,
        run: floods::run,
    },
    Workload {
        name: "rules",
        title: "Long rulesets",
        quick: true,
        run: rules::run,
    },
    Workload {
        name: "sets",
        title: "A set of a million prefixes",
        quick: false,
        run: sets::run,
    },
    Workload {
        name: "lists",
        title: "Listing and sweeping a full table",
        quick: false,
        run: lists::run,
    },
    Workload {
        name: "bulk",
        title: "TCP throughput",
        quick: false,
        run: bulk::run,
    },
    Workload {
        name: "disturbances",
        title: "Packets lost while something else happens",
        quick: false,
        run: disturbances::run,
    },
];
