//! What daemon and command line say to each other: HTTP and JSON over the control socket.
//!
//! | method, path | body | answer |
//! |---|---|---|
//! | `GET /v1/status` | | [`Status`] |
//! | `GET /v1/timeouts` | | [`Timeouts`] |
//! | `PUT /v1/timeouts` | [`Changes`]: names of timeouts to durations | [`Timeouts`], all of them |
//! | `GET /v1/sysctl` | | [`Sysctls`] |
//! | `PUT /v1/sysctl` | [`Changes`]: sysctl names to values | [`Sysctls`], all of them |
//! | `POST /v1/reload` | | [`Reloaded`] |
//! | `GET /v1/events` | | [`stream::Frame`]s, without end |
//! | `GET /v1/rules` | | [`rules::Listing`] |
//! | `PUT /v1/rules` | [`rules::Apply`] | [`rules::Applied`] |
//! | `DELETE /v1/rules` | | [`rules::Applied`] |
//! | `GET /v1/rules/text` | | [`rules::Text`] |
//! | `GET /v1/rules/names` | | [`rules::Names`] |
//! | `PUT /v1/sets` | [`sets::Change`] | [`sets::Answer`] |
//! | `POST /v1/rules/confirm`, `/v1/rules/rollback` | | [`rules::Applied`] |
//!
//! A change is made in full or not at all. Refusals are [`Refusal`] with status 400 (the request is
//! wrong) or 500 (it cannot be done now).

pub mod client;
pub mod offline;
pub mod rule_names;
pub mod rules;
pub mod sets;
pub mod stream;
pub mod survey;

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::attach::{Attachment, Missing};
use crate::routing::Bypass;
use crate::settings::Tunables;
use crate::settings::sysctl::{self, TableFacts};
use crate::settings::timeouts;

/// Path of [`Status`].
pub const STATUS: &str = "/v1/status";
/// Path of [`Timeouts`].
pub const TIMEOUTS: &str = "/v1/timeouts";
/// Path of [`Sysctls`].
pub const SYSCTL: &str = "/v1/sysctl";
/// Path of [`Reloaded`].
pub const RELOAD: &str = "/v1/reload";

/// Timeouts in seconds by name, as `fwctl timeouts` shows them.
pub type Timeouts = BTreeMap<String, u32>;
/// Values by full sysctl name.
pub type Sysctls = BTreeMap<String, u64>;
/// What to change: names and values as the user typed them.
pub type Changes = BTreeMap<String, String>;

/// Why a request was refused: one sentence.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Refusal {
    /// The sentence.
    pub error: String,
}

/// What a reload did.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reloaded {
    /// Changed settings that only a restart takes up.
    pub needs_restart: Vec<String>,
}

/// The firewall's state.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Status {
    /// Version of fwctl.
    pub version: String,
    /// Version of the map layout.
    pub abi: u32,
    /// Process id of the daemon, in its own PID namespace; none if no daemon is running.
    pub pid: Option<u32>,
    /// Who filters, if a daemon runs and does not answer at the socket.
    #[serde(default)]
    pub silent: Option<String>,
    /// Seconds since the daemon said that it was ready.
    pub uptime: Option<u64>,
    /// How long the last sweep for expired flows took, seconds; absent before the first.
    pub last_sweep: Option<f64>,
    /// Every interface that is filtered.
    pub interfaces: Vec<Interface>,
    /// Every interface that should be filtered and is not.
    pub missing: Vec<Missing>,
    /// The flow table.
    pub flows: Flows,
    /// What the flow table had to refuse or give up.
    pub pressure: Pressure,
    /// How many follow events.
    #[serde(default)]
    pub listeners: usize,
    /// The rules.
    pub rules: Rules,
    /// Whether established flows leave straight from XDP.
    #[serde(default)]
    pub fast_path: FastPath,
    /// What in the kernel translates addresses of forwarded packets, whose answers belong to no known flow.
    #[serde(default)]
    pub nat: Vec<String>,
}

/// Forwarding in XDP.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct FastPath {
    /// Whether it is wanted (`--fasttrack`).
    pub wanted: bool,
    /// What is configured in the kernel that fast-tracked packets bypass.
    pub bypassed: Vec<Bypass>,
    /// Why the first packet of each flow goes by way of the kernel; absent if it need not.
    #[serde(default)]
    pub first_packets: Option<String>,
}

impl FastPath {
    /// Whether it is at work: wanted, and nothing is there that it must not bypass.
    #[must_use]
    pub fn is_on(&self) -> bool {
        self.wanted && !self.bypassed.iter().any(|bypass| bypass.harmful)
    }
}

/// One interface.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Interface {
    /// What is known of its attachment.
    #[serde(flatten)]
    pub attachment: Attachment,
    /// Whether a program or flows of ours run in the NIC's own hardware.
    pub hardware_offload: bool,
}

impl From<Attachment> for Interface {
    fn from(attachment: Attachment) -> Self {
        Self {
            hardware_offload: attachment.mode == crate::attach::Mode::Offload,
            attachment,
        }
    }
}

/// The flow table.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Flows {
    /// Flows there are, of both families.
    pub count: u64,
    /// ASSURED flows that there may be, of each family: `--max-flows`.
    pub capacity: u64,
    /// IPv4.
    pub ipv4: Family,
    /// IPv6.
    pub ipv6: Family,
}

/// The flow table of one family, in flows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Family {
    /// ASSURED ones there are.
    pub assured: u64,
    /// Others there are.
    pub embryonic: u64,
    /// Others there may be before the least recently used is pushed out.
    pub embryonic_capacity: u64,
}

/// What the flow table had to refuse or give up, since it was made.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Pressure {
    /// New flows dropped: there was no room, or one of the limits was reached.
    pub inserts_refused: Refused,
    /// Flows that became ASSURED and had to stay among the embryonic; each counts once.
    pub promotions_refused: u64,
    /// Flows pushed out by newer ones: `early_drop`.
    pub evicted: u64,
    /// What `--adaptive` leaves of each timeout, 1 for all; absent without a daemon.
    pub timeouts: Option<f64>,
}

/// New flows dropped, by what refused them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Refused {
    /// `--max-inserts-per-second`.
    pub rate: u64,
    /// `--max-flows-per-source`.
    pub source_flows: u64,
    /// `--max-half-open-per-source`.
    pub source_half_open: u64,
    /// The map.
    pub full: u64,
}

/// The ruleset.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rules {
    /// The file it came from; none: accept everything, track everything.
    pub file: Option<String>,
    /// Raised by every load.
    pub generation: u32,
    /// Seconds since it was loaded.
    pub age: Option<u64>,
    /// Nothing is dropped, only counted.
    #[serde(default)]
    pub observe: bool,
    /// Seconds until it is rolled back, unless it is confirmed.
    #[serde(default)]
    pub confirm: Option<u64>,
    /// Ports that no ruleset closes, with what came in by them.
    #[serde(default)]
    pub failsafe: Vec<rules::Counted>,
    /// How many tables it has; 0: accept everything.
    #[serde(default)]
    pub tables: usize,
    /// Whether what conntrack calls INVALID is dropped.
    pub drop_invalid: bool,
}

impl Rules {
    /// What the status shows of a ruleset.
    #[must_use]
    pub fn of(listing: &rules::Listing, drop_invalid: bool) -> Self {
        let age = listing
            .loaded
            .map(|then| Timestamp::now().duration_since(then).as_secs());
        Self {
            file: listing.file.clone(),
            generation: listing.generation,
            age: age.and_then(|age| u64::try_from(age).ok()),
            observe: listing.observe,
            confirm: listing.confirm,
            failsafe: listing.failsafe.clone(),
            drop_invalid,
            tables: listing.tables.len(),
        }
    }
}

/// All timeouts of `tunables`.
#[must_use]
pub fn timeouts(tunables: &Tunables) -> Timeouts {
    timeouts::names()
        .filter_map(|name| Some((name.into(), timeouts::get(tunables, name)?)))
        .collect()
}

/// All sysctls of `tunables` and `facts`.
#[must_use]
pub fn sysctls(tunables: &Tunables, facts: &TableFacts) -> Sysctls {
    let all = sysctl::all().into_iter();
    all.map(|(name, knob)| (name, knob.read(tunables, facts)))
        .collect()
}

/// Hash buckets of a map with `entries`, as the kernel makes them (`htab_map_alloc`).
#[must_use]
pub const fn buckets(entries: u32) -> u64 {
    (entries as u64).next_power_of_two()
}
