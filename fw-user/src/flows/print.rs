//! `-o`: which format, and the stream of flows through it.

use std::io::{self, Write};
use std::str::FromStr;

use super::interfaces::Interfaces;
use super::rates::Meter;
use super::rule_names::RuleNames;
use super::table::Table;
use super::{FlowEntry, FlowEvent, json, line, save, xml};

/// The form of a listing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Format {
    /// One line a flow, as conntrack(8) prints it.
    #[default]
    Line,
    /// One JSON array.
    Json,
    /// One JSON object a line.
    Ndjson,
    /// Aligned columns, for people.
    Table,
    /// The XML of `conntrack -o xml`.
    Xml,
    /// Options that make the same flow with `conntrack -R`.
    Save,
}

/// Format and details of a listing: the value of `-o`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Layout {
    /// The form.
    pub format: Format,
    /// Family name and number in front of the line.
    pub extended: bool,
    /// The flow's id behind the line.
    pub id: bool,
    /// When the flow began, and how long ago.
    pub ktimestamp: bool,
    /// When an event happened; for streams of events only.
    pub timestamp: bool,
    /// Packets and bytes of each direction: the firewall counts them. Not part of `-o`.
    pub accounting: bool,
    /// How long ago the flow began: `nf_conntrack_timestamp` is on. Not part of `-o`.
    pub age: bool,
}

impl Layout {
    /// The words that [`Layout::from_str`] takes.
    pub const WORDS: [&str; 9] = [
        "extended",
        "id",
        "timestamp",
        "ktimestamp",
        "json",
        "ndjson",
        "table",
        "xml",
        "save",
    ];

    /// Adds what another layout asks for, as if both had been written with a comma.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        Self {
            format: if other.format == Format::Line {
                self.format
            } else {
                other.format
            },
            extended: self.extended || other.extended,
            id: self.id || other.id,
            ktimestamp: self.ktimestamp || other.ktimestamp,
            timestamp: self.timestamp || other.timestamp,
            accounting: self.accounting || other.accounting,
            age: self.age || other.age,
        }
    }
}

impl FromStr for Layout {
    type Err = String;

    fn from_str(list: &str) -> Result<Self, String> {
        let mut layout = Self::default();
        for word in list.split(',') {
            match word {
                "extended" => layout.extended = true,
                "id" => layout.id = true,
                "ktimestamp" => layout.ktimestamp = true,
                "timestamp" => layout.timestamp = true,
                "json" => layout.format = Format::Json,
                "ndjson" => layout.format = Format::Ndjson,
                "table" => layout.format = Format::Table,
                "xml" => layout.format = Format::Xml,
                "save" => layout.format = Format::Save,
                _ => return Err(format!("`{word}` is none of {}", Self::WORDS.join(", "))),
            }
        }
        Ok(layout)
    }
}

/// Writes flows one by one, so that a listing of a million needs no more memory than one of ten.
/// Only the table, which has to know the widest value of each column, is held back to the end.
#[derive(Debug)]
pub struct Printer<W> {
    out: W,
    layout: Layout,
    interfaces: Interfaces,
    rules: RuleNames,
    table: Table,
    buffer: Vec<u8>,
    count: u64,
}

impl<W: Write> Printer<W> {
    /// A printer to `out`; `color` is for the table only.
    pub fn new(out: W, layout: Layout, color: bool) -> Self {
        Self {
            out,
            layout,
            interfaces: Interfaces::default(),
            rules: RuleNames::default(),
            table: Table::new(layout, color),
            buffer: Vec::with_capacity(512),
            count: 0,
        }
    }

    /// Gives JSON the names of rules.
    #[must_use]
    pub fn with_rules(self, rules: RuleNames) -> Self {
        Self { rules, ..self }
    }

    /// Gives the table what measures rates: it has read the flows before, and begun to read them again.
    pub fn measure_by(&mut self, meter: Meter) {
        self.table.measure_by(meter);
    }

    /// Writes one flow.
    ///
    /// # Errors
    /// What the output says.
    pub fn flow(&mut self, entry: &FlowEntry) -> io::Result<()> {
        let first = self.count == 0;
        self.count += 1;
        self.buffer.clear();
        let (out, layout) = (&mut self.buffer, &self.layout);
        match layout.format {
            Format::Line => line::write(out, entry, layout),
            Format::Save => save::write(out, entry),
            Format::Xml if first => {
                out.extend_from_slice(xml::HEAD.as_bytes());
                xml::write(out, entry, layout);
            }
            Format::Xml => xml::write(out, entry, layout),
            Format::Json => {
                out.extend_from_slice(if first { b"[\n" } else { b",\n" });
                json::write(out, entry, layout, (&mut self.interfaces, &mut self.rules))?;
            }
            Format::Ndjson => {
                json::write(out, entry, layout, (&mut self.interfaces, &mut self.rules))?;
                out.push(b'\n');
            }
            Format::Table => self.table.push(entry),
        }
        self.out.write_all(&self.buffer)
    }

    /// Writes what closes the listing; returns how many flows it had.
    ///
    /// # Errors
    /// What the output says.
    pub fn finish(mut self) -> io::Result<u64> {
        match (self.layout.format, self.count) {
            (Format::Json, 0) => self.out.write_all(b"[]\n")?,
            (Format::Json, _) => self.out.write_all(b"\n]\n")?,
            (Format::Xml, 0) => write!(self.out, "{}{}", xml::HEAD, xml::TAIL)?,
            (Format::Xml, _) => self.out.write_all(xml::TAIL.as_bytes())?,
            (Format::Table, _) => self.table.write(&mut self.out, &mut self.interfaces)?,
            _ => {}
        }
        self.out.flush()?;
        Ok(self.count)
    }
}

/// Writes events one by one: lines, or JSON objects a line each.
#[derive(Debug)]
pub struct EventPrinter<W> {
    out: W,
    layout: Layout,
    interfaces: Interfaces,
    rules: RuleNames,
    buffer: Vec<u8>,
}

impl<W: Write> EventPrinter<W> {
    /// A printer to `out`.
    pub fn new(out: W, layout: Layout) -> Self {
        Self {
            out,
            layout,
            interfaces: Interfaces::default(),
            rules: RuleNames::default(),
            buffer: Vec::with_capacity(512),
        }
    }

    /// Gives JSON the names of rules.
    #[must_use]
    pub fn with_rules(self, rules: RuleNames) -> Self {
        Self { rules, ..self }
    }

    /// Writes one event.
    ///
    /// # Errors
    /// What the output says.
    pub fn event(&mut self, event: &FlowEvent) -> io::Result<()> {
        self.buffer.clear();
        match self.layout.format {
            Format::Json | Format::Ndjson => {
                let names = (&mut self.interfaces, &mut self.rules);
                json::write_event(&mut self.buffer, event, &self.layout, names)?;
                self.buffer.push(b'\n');
            }
            _ => line::write_event(&mut self.buffer, event, &self.layout),
        }
        self.out.write_all(&self.buffer)
    }

    /// Hands everything on that was written.
    ///
    /// # Errors
    /// What the output says.
    pub fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}

#[cfg(test)]
mod tests {
    use super::super::fixtures::*;
    use super::*;

    fn print(layout: &str, flows: &[Spec]) -> String {
        let mut out = Vec::new();
        let mut layout: Layout = layout.parse().unwrap();
        layout.accounting = true;
        let mut printer = Printer::new(&mut out, layout, false);
        for flow in flows {
            printer.flow(&flow.build()).unwrap();
        }
        assert_eq!(printer.finish().unwrap(), flows.len() as u64);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn json_is_one_valid_array_whatever_its_length() {
        for flows in [&[][..], &[ssh()], &[ssh(), ping(), Spec::default()]] {
            let text = print("json", flows);
            let value: serde_json::Value = serde_json::from_str(&text).unwrap();
            assert_eq!(value.as_array().unwrap().len(), flows.len());
        }
    }

    #[test]
    fn ndjson_is_one_object_a_line() {
        let text = print("ndjson", &[ssh(), ping()]);
        assert_eq!(text.lines().count(), 2);
        for line in text.lines() {
            assert!(
                serde_json::from_str::<serde_json::Value>(line)
                    .unwrap()
                    .is_object()
            );
        }
    }

    #[test]
    fn xml_is_closed_even_when_empty() {
        for flows in [&[][..], &[ssh()]] {
            let text = print("xml", flows);
            assert!(text.starts_with("<?xml"), "{text}");
            assert!(text.ends_with("</conntrack>\n"), "{text}");
        }
    }

    #[test]
    fn unknown_words_are_named() {
        let error = "extended,jsno".parse::<Layout>().unwrap_err();
        assert!(
            error.contains("`jsno`") && error.contains("json"),
            "{error}"
        );
    }

    #[test]
    fn lists_and_repeats_add_up() {
        let a: Layout = "extended,json".parse().unwrap();
        let b: Layout = "id".parse().unwrap();
        let both = a.and(b);
        assert!(both.extended && both.id && both.format == Format::Json);
    }
}
