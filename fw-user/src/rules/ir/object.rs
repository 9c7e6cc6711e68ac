//! Named counters, limits, quotas and flowtables, and what limits and quotas say.

/// Position in [`Table::counters`](super::Table::counters).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct CounterId(pub usize);

/// Position in [`Table::limits`](super::Table::limits).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct LimitId(pub usize);

/// Position in [`Table::quotas`](super::Table::quotas).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct QuotaId(pub usize);

/// Position in [`Table::flowtables`](super::Table::flowtables).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct FlowtableId(pub usize);

/// `counter NAME { … }`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CounterObject {
    /// Its name.
    pub name: String,
    /// Unique within the table.
    pub handle: u64,
    /// `comment "…"`.
    pub comment: Option<String>,
    /// Start value.
    pub packets: u64,
    /// Start value.
    pub bytes: u64,
}

/// `limit NAME { … }`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LimitObject {
    /// Its name.
    pub name: String,
    /// Unique within the table.
    pub handle: u64,
    /// `comment "…"`.
    pub comment: Option<String>,
    /// What it says.
    pub limit: Limit,
}

/// `quota NAME { … }`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct QuotaObject {
    /// Its name.
    pub name: String,
    /// Unique within the table.
    pub handle: u64,
    /// `comment "…"`.
    pub comment: Option<String>,
    /// What it says.
    pub quota: Quota,
}

/// A token bucket, one for the machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Limit {
    /// Packets or bytes a unit of time.
    pub rate: u64,
    /// The unit of time.
    pub per: TimeUnit,
    /// What is counted.
    pub unit: LimitUnit,
    /// What the bucket holds beyond the rate: nftables' default is 5 packets, 0 bytes.
    pub burst: u64,
    /// Matches what exceeds the rate, instead of what keeps to it.
    pub over: bool,
}

/// What a limit counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum LimitUnit {
    /// Packets.
    Packets,
    /// Bytes, from the network header on.
    Bytes,
}

/// The time that a limit's rate is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[expect(missing_docs, reason = "they are what they say")]
pub enum TimeUnit {
    Second,
    Minute,
    Hour,
    Day,
    Week,
}

impl TimeUnit {
    /// Its length.
    #[must_use]
    pub fn seconds(self) -> u64 {
        match self {
            Self::Second => 1,
            Self::Minute => 60,
            Self::Hour => 60 * 60,
            Self::Day => 24 * 60 * 60,
            Self::Week => 7 * 24 * 60 * 60,
        }
    }

    /// nftables' word.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Second => "second",
            Self::Minute => "minute",
            Self::Hour => "hour",
            Self::Day => "day",
            Self::Week => "week",
        }
    }
}

/// An amount of bytes, counted once.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Quota {
    /// The amount.
    pub bytes: u64,
    /// What counts as used from the start.
    pub used: u64,
    /// Matches once the amount is used up, instead of until then.
    pub over: bool,
}

/// `flowtable NAME { hook ingress priority …; devices = { … }; }`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Flowtable {
    /// Its name.
    pub name: String,
    /// Unique within the table.
    pub handle: u64,
    /// As of a base chain.
    pub priority: i32,
    /// Interfaces whose traffic takes the short cut.
    pub devices: Vec<String>,
    /// `counter`: the flows' counters go on.
    pub counter: bool,
    /// `flags offload`: to the hardware where it can.
    pub offload: bool,
}
