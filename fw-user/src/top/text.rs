//! A page as lines of text, as wide and as long as the terminal.

use std::fmt::Display;
use std::time::SystemTime;

use jiff::Timestamp;

use super::{Page, Traffic};
use crate::flows::{Columns, Field, Interfaces, Row, Sort, Tint, few, scaled};
use crate::settings::duration;

/// Reasons of drops that the header has room for.
const REASONS: usize = 4;

/// Columns in their order, and how dear each is: where not all have room, those with the highest number are left out
/// first.
const FIELDS: [(Field, u8); 15] = [
    (Field::Proto, 0),
    (Field::State, 2),
    (Field::Source, 0),
    (Field::Destination, 0),
    (Field::Up, 1),
    (Field::Down, 1),
    (Field::UpPackets, 3),
    (Field::DownPackets, 3),
    (Field::Age, 5),
    (Field::Expires, 4),
    (Field::Sent, 8),
    (Field::Received, 8),
    (Field::In, 7),
    (Field::Out, 7),
    (Field::Flags, 6),
];

/// What there is room for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct View {
    /// Characters in a line.
    pub width: usize,
    /// Lines.
    pub height: usize,
    /// Whether colours are wanted.
    pub color: bool,
}

/// The page, a string a line.
#[must_use]
pub fn lines(page: &Page, view: &View, interfaces: &mut Interfaces) -> Vec<String> {
    let cut = |line: String| line.chars().take(view.width).collect();
    let mut lines: Vec<String> = header(page).into_iter().map(cut).collect();
    lines.push(String::new());
    // The titles take a line as well.
    let room = view.height.saturating_sub(lines.len() + 1);
    let shown = page.rows.len().min(room);
    lines.extend(table(page, &page.rows[..shown], view, interfaces));
    lines.truncate(view.height);
    lines
}

/// What is known of the whole firewall.
fn header(page: &Page) -> Vec<String> {
    let up = match page.uptime {
        Some(time) => format!("up {}", duration::show(time)),
        None => "no daemon is running".into(),
    };
    let (version, time) = (env!("CARGO_PKG_VERSION"), second(page.time));
    let first = format!("fwctl {version}, {up}; {time}, by {}", page.sort.name());
    let mut lines = vec![first, flows(page)];
    lines.extend(traffic(page));
    if page.filtered {
        lines.push(format!("selected: {} flows", page.census.count));
    }
    lines.push(format!("protocols: {}", list(&page.census.protocols())));
    lines.push(format!("TCP states: {}", list(&page.census.states())));
    lines
}

/// The time of day in UTC, as wide at any moment.
fn second(time: SystemTime) -> Timestamp {
    let time = Timestamp::try_from(time).unwrap_or_default();
    Timestamp::from_second(time.as_second()).unwrap_or_default()
}

fn flows(page: &Page) -> String {
    let room = &page.room;
    let (count, capacity) = (room.ipv4 + room.ipv6, room.capacity);
    let mut line = format!(
        "flows: {count} (ipv4 {}, ipv6 {}), {} assured, room for {capacity} a family",
        room.ipv4, room.ipv6, room.assured
    );
    if let Some(traffic) = &page.traffic {
        line.push_str(&format!("; {} new/s", few(traffic.created)));
    }
    line
}

fn traffic(page: &Page) -> Vec<String> {
    let unknown = "rates of flows are unknown: accounting is off (`fwctl sysctl -w net.netfilter.nf_conntrack_acct=1`)";
    let Some(traffic) = &page.traffic else {
        return vec![
            "packets: being measured".into(),
            "drops: being measured".into(),
        ];
    };
    let packets = few(traffic.packets);
    let of_flows = match page.accounting {
        true => format!("{} in flows", scaled(page.census.speed.bits(), "b/s")),
        false => unknown.into(),
    };
    let packets = format!("packets: {packets}/s, {of_flows}");
    vec![packets, drops(traffic)]
}

fn drops(traffic: &Traffic) -> String {
    let reasons = traffic.drops.iter().take(REASONS);
    let reasons = reasons.map(|(reason, rate)| format!("{} {}/s", reason.name(), few(*rate)));
    let reasons: Vec<_> = reasons.collect();
    let total = few(traffic.dropped());
    match traffic.drops.len() {
        0 => "drops: none".into(),
        n if n > REASONS => format!("drops: {total}/s ({}, …)", reasons.join(", ")),
        _ => format!("drops: {total}/s ({})", reasons.join(", ")),
    }
}

fn list(counts: &[(String, impl Display)]) -> String {
    let each = counts.iter().map(|(name, count)| format!("{name} {count}"));
    match counts {
        [] => "none".into(),
        _ => each.collect::<Vec<_>>().join(", "),
    }
}

/// Titles and flows, of as many columns as there is room for.
fn table(page: &Page, rows: &[Row], view: &View, interfaces: &mut Interfaces) -> Vec<String> {
    let dearest = FIELDS.iter().map(|(_, dear)| *dear).max().unwrap_or(0);
    let mut lines = Vec::new();
    for dear in (0..=dearest).rev() {
        let kept = |(field, its): &(Field, u8)| {
            (*its <= dear || names(page.sort, *field)).then_some(*field)
        };
        let fields: Vec<Field> = FIELDS.iter().filter_map(kept).collect();
        let mut cells = |row| {
            let cell = |field: &Field| field.cell(row, page.accounting, interfaces);
            fields.iter().map(cell).collect::<Vec<_>>()
        };
        let cells: Vec<_> = rows.iter().map(&mut cells).collect();
        let mut columns = Columns::new(&fields, view.color, view.width);
        cells.iter().for_each(|cells| columns.widen(cells));
        if columns.width() > view.width && dear > 0 {
            continue;
        }
        lines.push(columns.titles());
        let rows = rows.iter().zip(&cells);
        lines.extend(rows.map(|(row, cells)| columns.line(cells, Tint::of(&row.entry))));
        break;
    }
    lines
}

/// What the flows are sorted by is never left out.
const fn names(sort: Sort, field: Field) -> bool {
    match sort {
        Sort::Bytes => matches!(field, Field::Up | Field::Down),
        Sort::Packets => matches!(field, Field::UpPackets | Field::DownPackets),
        Sort::Age => matches!(field, Field::Age),
        Sort::Timeout => matches!(field, Field::Expires),
    }
}

#[cfg(test)]
mod tests {
    use super::super::fixtures::page;
    use super::*;

    const WHOLE: View = View {
        width: usize::MAX,
        height: usize::MAX,
        color: false,
    };

    fn show(page: &Page, view: View) -> Vec<String> {
        lines(page, &view, &mut Interfaces::default())
    }

    #[test]
    fn a_whole_page() {
        let version = env!("CARGO_PKG_VERSION");
        let expected = format!(
            "fwctl {version}, up 1h2m5s; 2027-01-15T08:00:00Z, by bytes
flows: 4 (ipv4 3, ipv6 1), 1 assured, room for 262144 a family; 0.5 new/s
packets: 1.8k/s, 18Mb/s in flows
drops: 20/s (policy 20/s, bad-ip-checksum 0.5/s)
protocols: udp 2, icmp 1, tcp 1
TCP states: ESTABLISHED 1
"
        );
        let lines = show(&page(), WHOLE);
        assert_eq!(lines[..7].join("\n"), expected);
        assert_eq!(lines.len(), 7 + 1 + 4);
        let words = |line: &str| {
            line.split_whitespace()
                .map(str::to_owned)
                .collect::<Vec<_>>()
        };
        let titles = words(&lines[7]);
        assert_eq!(titles.len(), FIELDS.len());
        for (title, cells) in [
            ("UP", ["12Mb/s", "196b/s", "0b/s", "-"]),
            ("DOWN", ["6.0Mb/s", "98b/s", "0b/s", "-"]),
            ("PPS-UP", ["1.2k", "0.5", "0", "-"]),
            ("AGE", ["7s"; 4]),
        ] {
            // The end of a number is below that of its title.
            let end = lines[7].find(&format!(" {title} ")).expect(title) + 1 + title.len();
            let found = lines[8..].iter().map(|line| line[..end].rsplit(' ').next());
            let found: Vec<_> = found.flatten().collect();
            assert_eq!(found, cells, "{title}: {lines:#?}");
        }
    }

    #[test]
    fn as_much_as_fits() {
        for width in [0, 1, 20, 40, 60, 80, 100, 132, 200] {
            for height in [0, 1, 3, 8, 9, 24] {
                let view = View {
                    width,
                    height,
                    ..WHOLE
                };
                let lines = show(&page(), view);
                assert!(lines.len() <= height, "{view:?}");
                let longest = lines.iter().map(|line| line.chars().count()).max();
                assert!(longest.unwrap_or(0) <= width, "{view:?}: {lines:#?}");
            }
        }
    }

    #[test]
    fn what_is_sorted_by_is_shown_however_narrow() {
        let titles = |sort, width| {
            let mut page = page();
            page.sort_by(sort);
            show(&page, View { width, ..WHOLE })[7].clone()
        };
        let narrow = titles(Sort::Bytes, 80);
        assert!(narrow.ends_with("UP     DOWN"), "{narrow}");
        let narrow = titles(Sort::Timeout, 75);
        assert!(
            narrow.ends_with("EXPIRES") && !narrow.contains("PPS"),
            "{narrow}"
        );
        let wide = titles(Sort::Bytes, 120);
        assert!(
            wide.contains("STATE") && wide.contains("PPS-UP") && !wide.contains("SENT"),
            "{wide}"
        );
    }

    #[test]
    fn nothing_is_said_of_what_is_not_known() {
        let first = Page {
            seconds: None,
            traffic: None,
            uptime: None,
            ..page()
        };
        let lines = show(&first, WHOLE);
        assert!(lines[0].contains("no daemon is running"), "{}", lines[0]);
        assert_eq!(
            lines[2..4],
            ["packets: being measured", "drops: being measured"]
        );
        let off = Page {
            accounting: false,
            ..page()
        };
        let text = show(&off, WHOLE).join("\n");
        assert!(
            text.contains("rates of flows are unknown: accounting is off"),
            "{text}"
        );
        let mut quiet = Page {
            filtered: true,
            ..page()
        };
        quiet.traffic = Some(Traffic::default());
        let text = show(&quiet, WHOLE).join("\n");
        assert!(
            text.contains("\ndrops: none\nselected: 4 flows\n"),
            "{text}"
        );
    }
}
