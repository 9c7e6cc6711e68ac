//! What is measured, one idea a file.

mod established;

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
];
