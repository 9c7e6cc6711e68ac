//! `-o table`: aligned columns with rates, busiest flow first; for people.

use std::io::{self, Write};
use std::time::Instant;

use super::cells::{Field, Row, Tint};
use super::columns::Columns;
use super::interfaces::Interfaces;
use super::order::Sort;
use super::rates::Meter;
use super::{FlowEntry, Layout};

const FIELDS: [Field; 12] = [
    Field::Proto,
    Field::State,
    Field::Source,
    Field::Destination,
    Field::In,
    Field::Out,
    Field::Expires,
    Field::Sent,
    Field::Received,
    Field::Up,
    Field::Down,
    Field::Flags,
];

/// Rows waiting for the widest value of each column.
#[derive(Debug)]
pub(super) struct Table {
    layout: Layout,
    color: bool,
    meter: Option<Meter>,
    rows: Vec<Row>,
}

impl Table {
    pub(super) const fn new(layout: Layout, color: bool) -> Self {
        Self {
            layout,
            color,
            meter: None,
            rows: Vec::new(),
        }
    }

    pub(super) fn measure_by(&mut self, meter: Meter) {
        self.meter = Some(meter);
    }

    pub(super) fn push(&mut self, entry: &FlowEntry) {
        let meter = self.meter.as_mut();
        self.rows.push(Row {
            entry: entry.clone(),
            rates: meter.and_then(|meter| meter.measure(entry, Instant::now())),
        });
    }

    pub(super) fn write(
        &mut self,
        out: &mut impl Write,
        interfaces: &mut Interfaces,
    ) -> io::Result<()> {
        Sort::Bytes.sort(&mut self.rows);
        let accounting = self.layout.accounting;
        let mut cells = |row| FIELDS.map(|field| field.cell(row, accounting, interfaces));
        let mut columns = Columns::new(&FIELDS, self.color, usize::MAX);
        for row in &self.rows {
            columns.widen(&cells(row));
        }
        writeln!(out, "{}", columns.titles())?;
        for row in &self.rows {
            writeln!(out, "{}", columns.line(&cells(row), Tint::of(&row.entry)))?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::super::fixtures::*;
    use super::*;

    fn table(flows: &[Spec], color: bool) -> Vec<String> {
        let layout = Layout {
            accounting: true,
            ..Layout::default()
        };
        let mut table = Table::new(layout, color);
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
        let lines = table(&[Spec::default(), ping(), ssh()], false);
        let column = lines[0].find("DESTINATION").unwrap();
        assert_eq!(&lines[1][column..column + 17], "172.16.255.131:22");
        assert_eq!(&lines[2][column..column + 9], "10.0.0.2 ");
        assert_eq!(&lines[3][column..column + 16], "192.168.1.5:1025");
        assert!(lines[1].contains("ESTABLISHED") && lines[1].contains("4d23h"));
        assert!(lines[1].ends_with("ASSURED") && lines[3].ends_with("UNREPLIED"));
    }

    #[test]
    fn colour_only_where_wanted() {
        assert!(!table(&[ssh()], false).concat().contains('\x1b'));
        let lines = table(&[ssh()], true);
        assert!(lines[0].starts_with(Tint::BOLD));
        assert!(lines[1].contains("\x1b[32mESTABLISHED\x1b[0m"));
    }
}
