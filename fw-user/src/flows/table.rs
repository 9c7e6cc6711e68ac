//! `-o table`: aligned columns with rates, busiest flow first; for people.

use std::cmp::Ordering;
use std::collections::HashMap;
use std::io::{self, Write};
use std::net::IpAddr;
use std::time::Instant;

use fw_common::status;

use super::interfaces::Interfaces;
use super::line::flag;
use super::names::proto_name;
use super::{FlowEntry, Key, Layout, Service, Side};

/// Titles of the columns, and whether they hold numbers.
const COLUMNS: [(&str, bool); 12] = [
    ("PROTO", false),
    ("STATE", false),
    ("SOURCE", false),
    ("DESTINATION", false),
    ("IN", false),
    ("OUT", false),
    ("EXPIRES", true),
    ("SENT", true),
    ("RECEIVED", true),
    ("UP", true),
    ("DOWN", true),
    ("FLAGS", false),
];
const WIDTH: usize = COLUMNS.len();

/// The byte counters of some flows at one moment. A rate is what was added between two readings.
#[derive(Debug)]
pub struct Reading {
    at: Instant,
    bytes: HashMap<Key, [u64; 2]>,
}

impl Default for Reading {
    fn default() -> Self {
        Self {
            at: Instant::now(),
            bytes: HashMap::new(),
        }
    }
}

impl Reading {
    /// Remembers the counters of `entry`.
    pub fn add(&mut self, entry: &FlowEntry) {
        let bytes = [entry.original.bytes, entry.reply.bytes];
        self.bytes.insert(entry.key, bytes);
    }

    /// Bits a second in each direction since this reading. What was not there then is new.
    fn rates(&self, entry: &FlowEntry, now: Instant) -> [f64; 2] {
        let before = self.bytes.get(&entry.key).copied().unwrap_or_default();
        let seconds = now.duration_since(self.at).as_secs_f64().max(1e-3);
        let rate = |after: u64, before: u64| after.saturating_sub(before) as f64 * 8.0 / seconds;
        [
            rate(entry.original.bytes, before[0]),
            rate(entry.reply.bytes, before[1]),
        ]
    }
}

/// Not yet text, which would take several times the memory.
#[derive(Debug)]
struct Row {
    entry: FlowEntry,
    /// Bits a second in each direction.
    rates: Option<[f64; 2]>,
}

impl Row {
    /// What the table is sorted by: bits a second, then bytes.
    fn weight(&self) -> (f64, u64) {
        let rate = self.rates.map_or(0.0, |[up, down]| up + down);
        let bytes = self.entry.original.bytes + self.entry.reply.bytes;
        (rate, bytes)
    }

    fn cells(&self, accounting: bool, interfaces: &mut Interfaces) -> [String; WIDTH] {
        let entry = &self.entry;
        let counted = |side: &Side| {
            if accounting {
                scaled(side.bytes as f64, "B")
            } else {
                "-".into()
            }
        };
        let rate = |i: usize| self.rates.map_or("-".into(), |r| scaled(r[i], "b/s"));
        let mut name = |side: &Side| {
            let name = interfaces.name(side.ifindex);
            name.map_or("-".into(), |name| name.to_string())
        };
        [
            protocol(entry),
            state(entry),
            endpoint(entry, &entry.original),
            endpoint(entry, &entry.reply),
            name(&entry.original),
            name(&entry.reply),
            duration(entry.timeout),
            counted(&entry.original),
            counted(&entry.reply),
            rate(0),
            rate(1),
            flags(entry),
        ]
    }
}

/// Escape sequence in which a row's state is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Color {
    Plain,
    Good,
    Fresh,
    Closing,
}

impl Color {
    const RESET: &str = "\x1b[0m";
    const BOLD: &str = "\x1b[1m";

    fn of(entry: &FlowEntry) -> Self {
        match entry.state {
            Some("ESTABLISHED") => Self::Good,
            Some("SYN_SENT" | "SYN_RECV" | "SYN_SENT2" | "NONE") => Self::Fresh,
            Some(_) => Self::Closing,
            None if !entry.has(status::SEEN_REPLY) => Self::Fresh,
            None if entry.has(status::ASSURED) => Self::Good,
            None => Self::Plain,
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

/// Rows waiting for the widest value of each column.
#[derive(Debug)]
pub(super) struct Table {
    layout: Layout,
    color: bool,
    earlier: Option<Reading>,
    rows: Vec<Row>,
}

impl Table {
    pub(super) const fn new(layout: Layout, color: bool) -> Self {
        Self {
            layout,
            color,
            earlier: None,
            rows: Vec::new(),
        }
    }

    pub(super) fn compare_with(&mut self, earlier: Reading) {
        self.earlier = Some(earlier);
    }

    pub(super) fn push(&mut self, entry: &FlowEntry) {
        let earlier = self.earlier.as_ref();
        self.rows.push(Row {
            entry: entry.clone(),
            rates: earlier.map(|earlier| earlier.rates(entry, Instant::now())),
        });
    }

    pub(super) fn write(
        &mut self,
        out: &mut impl Write,
        interfaces: &mut Interfaces,
    ) -> io::Result<()> {
        let busier = |a: &Row, b: &Row| b.weight().partial_cmp(&a.weight());
        self.rows
            .sort_by(|a, b| busier(a, b).unwrap_or(Ordering::Equal));
        let accounting = self.layout.accounting;
        let mut widths = COLUMNS.map(|(title, _)| title.len());
        for row in &self.rows {
            let cells = row.cells(accounting, interfaces);
            for (width, cell) in widths.iter_mut().zip(&cells) {
                *width = (*width).max(cell.len());
            }
        }
        let titles = COLUMNS.map(|(title, _)| title.to_owned());
        self.line(out, &titles, &widths, Color::BOLD, None)?;
        for row in &self.rows {
            let cells = row.cells(accounting, interfaces);
            let color = Color::of(&row.entry);
            self.line(out, &cells, &widths, "", Some(color))?;
        }
        Ok(())
    }

    /// One line; `whole` colours all of it, `state` the second cell.
    fn line(
        &self,
        out: &mut impl Write,
        cells: &[String; WIDTH],
        widths: &[usize; WIDTH],
        whole: &str,
        state: Option<Color>,
    ) -> io::Result<()> {
        let mut line = String::new();
        for (i, ((cell, width), (_, right))) in cells.iter().zip(widths).zip(COLUMNS).enumerate() {
            let last = i + 1 == WIDTH;
            let code = match state {
                Some(color) if self.color && i == 1 => color.code(),
                _ => "",
            };
            let reset = if code.is_empty() { "" } else { Color::RESET };
            line.push_str(&if right {
                format!("{code}{cell:>width$}{reset}")
            } else if last {
                format!("{code}{cell}{reset}")
            } else {
                format!("{code}{cell:<width$}{reset}")
            });
            line.push_str(if last { "" } else { "  " });
        }
        let line = line.trim_end();
        if self.color && !whole.is_empty() {
            writeln!(out, "{whole}{line}{}", Color::RESET)
        } else {
            writeln!(out, "{line}")
        }
    }
}

fn protocol(entry: &FlowEntry) -> String {
    match proto_name(entry.proto) {
        "unknown" => entry.proto.to_string(),
        name => name.into(),
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
fn scaled(value: f64, unit: &str) -> String {
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

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::super::fixtures::*;
    use super::*;

    fn table(flows: &[Spec], color: bool, earlier: Option<Reading>) -> Vec<String> {
        let layout = Layout {
            accounting: true,
            ..Layout::default()
        };
        let mut table = Table::new(layout, color);
        if let Some(earlier) = earlier {
            table.compare_with(earlier);
        }
        for flow in flows {
            table.push(&flow.build());
        }
        let mut out = Vec::new();
        table.write(&mut out, &mut Interfaces::default()).unwrap();
        let text = String::from_utf8(out).unwrap();
        text.lines().map(str::to_owned).collect()
    }

    #[test]
    fn columns_are_aligned_and_busiest_first() {
        let lines = table(&[Spec::default(), ping(), ssh()], false, None);
        let column = lines[0].find("DESTINATION").unwrap();
        assert_eq!(&lines[1][column..column + 17], "172.16.255.131:22");
        assert_eq!(&lines[2][column..column + 9], "10.0.0.2 ");
        assert_eq!(&lines[3][column..column + 16], "192.168.1.5:1025");
        assert!(lines[1].contains("ESTABLISHED") && lines[1].contains("4d23h"));
        assert!(lines[1].ends_with("ASSURED") && lines[3].ends_with("UNREPLIED"));
    }

    #[test]
    fn colour_only_where_wanted() {
        assert!(!table(&[ssh()], false, None).concat().contains('\x1b'));
        let lines = table(&[ssh()], true, None);
        assert!(lines[0].starts_with(Color::BOLD));
        assert!(lines[1].contains("\x1b[32mESTABLISHED\x1b[0m"));
    }

    #[test]
    fn rate_is_what_was_added_since() {
        let then = Instant::now();
        let mut earlier = Reading {
            at: then,
            bytes: HashMap::new(),
        };
        earlier.add(&ssh().build());
        let now = Spec {
            counted: [(9, 702 + 1000), (6, 811)],
            ..ssh()
        };
        let rates = earlier.rates(&now.build(), then + Duration::from_secs(2));
        assert_eq!(rates, [4000.0, 0.0]);
    }

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
    }
}
