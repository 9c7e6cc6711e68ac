//! What stands in the cells of tables for people, and its colour.

use std::net::IpAddr;

use fw_common::status;

use super::interfaces::Interfaces;
use super::line::flag;
use super::names::proto_word;
use super::rates::Rates;
use super::{FlowEntry, Service, Side};
use crate::attach::shown;

/// A column of such a table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Field {
    Proto,
    State,
    Source,
    Destination,
    /// Interfaces that packets come in by, of both directions.
    In,
    Out,
    Age,
    Expires,
    /// Bytes so far.
    Sent,
    Received,
    /// Bits a second.
    Up,
    Down,
    /// Packets a second.
    UpPackets,
    DownPackets,
    Flags,
}

impl Field {
    /// What stands above it.
    pub(crate) const fn title(self) -> &'static str {
        match self {
            Self::Proto => "PROTO",
            Self::State => "STATE",
            Self::Source => "SOURCE",
            Self::Destination => "DESTINATION",
            Self::In => "IN",
            Self::Out => "OUT",
            Self::Age => "AGE",
            Self::Expires => "EXPIRES",
            Self::Sent => "SENT",
            Self::Received => "RECEIVED",
            Self::Up => "UP",
            Self::Down => "DOWN",
            Self::UpPackets => "PPS-UP",
            Self::DownPackets => "PPS-DOWN",
            Self::Flags => "FLAGS",
        }
    }

    /// Numbers stand to the right.
    pub(crate) const fn is_number(self) -> bool {
        match self {
            Self::Age | Self::Expires | Self::Sent | Self::Received => true,
            Self::Up | Self::Down | Self::UpPackets | Self::DownPackets => true,
            Self::Proto | Self::State | Self::Source | Self::Destination => false,
            Self::In | Self::Out | Self::Flags => false,
        }
    }

    /// What it says of a flow; `accounting`: packets and bytes are counted.
    pub(crate) fn cell(self, row: &Row, accounting: bool, names: &mut Interfaces) -> String {
        let entry = &row.entry;
        let counted = |side: &Side| match accounting {
            true => scaled(side.bytes as f64, "B"),
            false => "-".into(),
        };
        let rate = |of: &dyn Fn(&Rates) -> String| row.rates.as_ref().map_or("-".into(), of);
        let mut name = |side: &Side| {
            let name = names.name(side.ifindex);
            name.map_or("-".into(), |name| shown(&name))
        };
        match self {
            Self::Proto => proto_word(entry.proto),
            Self::State => state(entry),
            Self::Source => endpoint(entry, &entry.original),
            Self::Destination => endpoint(entry, &entry.reply),
            Self::In => name(&entry.original),
            Self::Out => name(&entry.reply),
            Self::Age => duration(entry.age.as_secs()),
            Self::Expires => duration(entry.timeout),
            Self::Sent => counted(&entry.original),
            Self::Received => counted(&entry.reply),
            Self::Up => rate(&|rates| scaled(rates[0].bits(), "b/s")),
            Self::Down => rate(&|rates| scaled(rates[1].bits(), "b/s")),
            Self::UpPackets => rate(&|rates| few(rates[0].packets)),
            Self::DownPackets => rate(&|rates| few(rates[1].packets)),
            Self::Flags => flags(entry),
        }
    }
}

/// A flow, not yet as text, which would take several times the memory.
#[derive(Clone, Debug)]
pub struct Row {
    /// The flow.
    pub entry: FlowEntry,
    /// How fast it is; `None` if that has not been measured.
    pub rates: Option<Rates>,
}

impl Row {
    /// Bytes a second in both directions together; 0 if that has not been measured.
    pub(crate) fn speed(&self) -> f64 {
        self.rates.map_or(0.0, |[up, down]| up.bytes + down.bytes)
    }

    /// Packets a second, likewise.
    pub(crate) fn packets(&self) -> f64 {
        self.rates
            .map_or(0.0, |[up, down]| up.packets + down.packets)
    }

    /// Bytes of both directions so far.
    pub(crate) const fn bytes(&self) -> u64 {
        self.entry
            .original
            .bytes
            .saturating_add(self.entry.reply.bytes)
    }
}

/// Escape sequence in which a row's state is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Tint {
    Plain,
    Good,
    Fresh,
    Closing,
}

impl Tint {
    pub(crate) const RESET: &str = "\x1b[0m";
    pub(crate) const BOLD: &str = "\x1b[1m";

    pub(crate) fn of(entry: &FlowEntry) -> Self {
        match entry.state {
            Some("ESTABLISHED") => Self::Good,
            Some("SYN_SENT" | "SYN_RECV" | "SYN_SENT2" | "NONE") => Self::Fresh,
            Some(_) => Self::Closing,
            None if !entry.has(status::SEEN_REPLY) => Self::Fresh,
            None if entry.has(status::ASSURED) => Self::Good,
            None => Self::Plain,
        }
    }

    /// `text` in this colour.
    pub(crate) fn paint(self, text: &str) -> String {
        match self.code() {
            code if code.is_empty() || text.is_empty() => text.into(),
            code => format!("{code}{text}{}", Self::RESET),
        }
    }

    const fn code(self) -> &'static str {
        match self {
            Self::Plain => "",
            Self::Good => "\x1b[32m",
            Self::Fresh => "\x1b[33m",
            Self::Closing => "\x1b[90m",
        }
    }
}

fn state(entry: &FlowEntry) -> String {
    match (entry.state, entry.service(&entry.original)) {
        (Some(state), _) => state.into(),
        (None, Service::Query { kind, id, .. }) => format!("type {kind} id {id}"),
        _ => "-".into(),
    }
}

/// The sender of a direction.
fn endpoint(entry: &FlowEntry, side: &Side) -> String {
    let address = entry.endpoints(side).src;
    match (entry.service(side), address) {
        (Service::Ports { sport, .. }, IpAddr::V6(address)) => format!("[{address}]:{sport}"),
        (Service::Ports { sport, .. }, address) => format!("{address}:{sport}"),
        (_, address) => address.to_string(),
    }
}

fn flags(entry: &FlowEntry) -> String {
    if !entry.has(status::SEEN_REPLY) {
        return "UNREPLIED".into();
    }
    flag(entry).unwrap_or_default().into()
}

/// The two largest units: `4d23h`, `1m59s`, `20s`.
fn duration(seconds: u64) -> String {
    let (m, h, d) = (60, 3600, 86400);
    match seconds {
        s if s >= d => format!("{}d{}h", s / d, s % d / h),
        s if s >= h => format!("{}h{}m", s / h, s % h / m),
        s if s >= m => format!("{}m{}s", s / m, s % m),
        s => format!("{s}s"),
    }
}

/// Three digits and a decimal prefix: `702B`, `1.2kB`, `34Mb/s`.
pub(crate) fn scaled(value: f64, unit: &str) -> String {
    let prefixes = ["", "k", "M", "G", "T", "P", "E"];
    let mut value = value;
    let mut step = 0;
    // 999.5 would be rounded to four digits.
    while value >= 999.5 && step + 1 < prefixes.len() {
        value /= 1000.0;
        step += 1;
    }
    let digits = usize::from(step > 0 && value < 9.95);
    format!("{value:.digits$}{}{unit}", prefixes[step])
}

/// As [`scaled`], with a digit behind the point where a whole number would say little: `0.2`.
pub(crate) fn few(value: f64) -> String {
    if 0.0 < value && value < 9.95 {
        return format!("{value:.1}");
    }
    scaled(value, "")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn short_numbers() {
        for (value, text) in [
            (0.0, "0B"),
            (999.0, "999B"),
            (999.6, "1.0kB"),
            (1234.0, "1.2kB"),
            (34_000_000.0, "34MB"),
            (999_600_000.0, "1.0GB"),
        ] {
            assert_eq!(scaled(value, "B"), text);
        }
        assert_eq!(duration(431_984), "4d23h");
        assert_eq!(duration(119), "1m59s");
        assert_eq!(duration(20), "20s");
        for (value, text) in [
            (0.0, "0"),
            (0.25, "0.2"),
            (9.9, "9.9"),
            (28.4, "28"),
            (1234.0, "1.2k"),
        ] {
            assert_eq!(few(value), text);
        }
    }
}
