//! Tables in Markdown, with columns that are aligned: the terminal and the document show the same.

use super::{Cell, Table};
use crate::stats::Summary;

/// Behind a figure whose measurements differ too much.
const NOISY: &str = " ~";

impl Table {
    /// The table, its caption above.
    #[must_use]
    pub fn to_markdown(&self) -> String {
        let mut lines = vec![self.columns.clone()];
        lines.extend(self.rows.iter().map(|row| {
            let cells = row.cells.iter().map(Cell::text);
            std::iter::once(row.name.clone()).chain(cells).collect()
        }));
        let widths: Vec<usize> = (0..self.columns.len())
            .map(|i| {
                lines
                    .iter()
                    .filter_map(move |line| line.get(i))
                    .map(|cell| cell.chars().count())
            })
            .map(|lengths| lengths.max().unwrap_or(0).max(3))
            .collect();
        let mut text = self.caption.clone();
        if !text.is_empty() {
            text.push_str("\n\n");
        }
        for (i, line) in lines.iter().enumerate() {
            text.push_str(&aligned(line, &widths));
            if i == 0 {
                text.push_str(&rule(&widths));
            }
        }
        text
    }
}

/// Names to the left, figures to the right.
fn aligned(line: &[String], widths: &[usize]) -> String {
    let mut text = String::from("|");
    for (i, width) in widths.iter().copied().enumerate() {
        let cell = line.get(i).map_or("", String::as_str);
        let padded = if i == 0 {
            format!(" {cell:<width$} |")
        } else {
            format!(" {cell:>width$} |")
        };
        text.push_str(&padded);
    }
    text + "\n"
}

fn rule(widths: &[usize]) -> String {
    let mut text = String::from("|");
    for (i, width) in widths.iter().enumerate() {
        let dashes = "-".repeat(width + 1);
        text.push_str(&if i == 0 {
            format!("{dashes}-|")
        } else {
            format!("{dashes}:|")
        });
    }
    text + "\n"
}

impl Cell {
    /// As it stands in a table.
    #[must_use]
    pub fn text(&self) -> String {
        match self {
            Self::None => "–".to_owned(),
            Self::Text(text) => text.clone(),
            Self::Number(number) => figure(*number),
            Self::Summary(summary) => with_bounds(summary, figure),
            Self::Ratio(summary) => with_bounds(summary, |ratio| format!("{ratio:.1}")),
            Self::Ratios(whole, part) => format!("{:.1} / {:.1}", whole.median, part.median),
        }
    }
}

fn with_bounds(summary: &Summary, show: impl Fn(f64) -> String) -> String {
    let Summary {
        median, min, max, ..
    } = summary;
    let noisy = if summary.is_noisy() { NOISY } else { "" };
    format!("{} ({}–{}){noisy}", show(*median), show(*min), show(*max))
}

/// Three digits or more, with a separator between thousands.
fn figure(number: f64) -> String {
    match number.abs() {
        size if size < 10.0 && number.fract() != 0.0 => format!("{number:.2}"),
        size if size < 100.0 && number.fract() != 0.0 => format!("{number:.1}"),
        _ => thousands(number.round() as i64),
    }
}

fn thousands(number: i64) -> String {
    let digits = number.unsigned_abs().to_string();
    let mut text = String::new();
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    if number < 0 { format!("-{text}") } else { text }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn summary(median: f64, min: f64, max: f64) -> Summary {
        Summary {
            median,
            min,
            max,
            count: 5,
        }
    }

    #[test]
    fn figures_have_three_digits_and_separators() {
        assert_eq!(figure(0.256), "0.26");
        assert_eq!(figure(12.345), "12.3");
        assert_eq!(figure(639.6), "640");
        assert_eq!(figure(1_234_567.0), "1,234,567");
        assert_eq!(figure(-1500.0), "-1,500");
        assert_eq!(figure(0.0), "0");
        assert_eq!(figure(3.0), "3");
    }

    #[test]
    fn noise_is_marked() {
        let calm = Cell::Summary(summary(640.0, 630.0, 660.0));
        assert_eq!(calm.text(), "640 (630–660)");
        let noisy = Cell::Ratio(summary(4.0, 3.0, 5.0));
        assert_eq!(noisy.text(), "4.0 (3.0–5.0) ~");
    }

    #[test]
    fn columns_are_aligned_and_missing_cells_empty() {
        let mut table = Table::new("ns a packet", ["", "1", "100 k"]);
        table.push("nft", vec![Cell::Number(638.0), Cell::Number(1564.0)]);
        table.push("fwctl", vec![Cell::None]);
        assert_eq!(
            table.to_markdown(),
            "ns a packet\n\n\
             |       |   1 | 100 k |\n\
             |-------|----:|------:|\n\
             | nft   | 638 | 1,564 |\n\
             | fwctl |   – |       |\n"
        );
    }
}
