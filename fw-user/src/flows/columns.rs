//! Lines of columns that are as wide as their widest cell.

use super::cells::{Field, Tint};

/// Space between two columns.
const GAP: &str = "  ";

/// The columns of one table, and how wide they have to be.
#[derive(Debug)]
pub(crate) struct Columns {
    columns: Vec<(Field, usize)>,
    color: bool,
    /// Characters that a line may have.
    limit: usize,
}

impl Columns {
    /// These columns, as wide as their titles. Lines are cut off at `limit` characters.
    pub(crate) fn new(fields: &[Field], color: bool, limit: usize) -> Self {
        let titled = |field: &Field| (*field, length(field.title()));
        Self {
            columns: fields.iter().map(titled).collect(),
            color,
            limit,
        }
    }

    /// Makes room for a row.
    pub(crate) fn widen(&mut self, cells: &[String]) {
        for ((_, width), cell) in self.columns.iter_mut().zip(cells) {
            *width = (*width).max(length(cell));
        }
    }

    /// How wide all of them are together.
    pub(crate) fn width(&self) -> usize {
        let widths: usize = self.columns.iter().map(|(_, width)| width).sum();
        widths + GAP.len() * self.columns.len().saturating_sub(1)
    }

    /// The line above all others.
    pub(crate) fn titles(&self) -> String {
        let titles = self.columns.iter().map(|(field, _)| field.title().into());
        let line = self.line(&titles.collect::<Vec<String>>(), Tint::Plain);
        if self.color {
            format!("{}{line}{}", Tint::BOLD, Tint::RESET)
        } else {
            line
        }
    }

    /// A row, its state in the colour `tint`.
    pub(crate) fn line(&self, cells: &[String], tint: Tint) -> String {
        let mut line = String::new();
        let mut room = self.limit;
        for (i, ((field, width), cell)) in self.columns.iter().zip(cells).enumerate() {
            let gap = if i == 0 { "" } else { GAP };
            let padded = if field.is_number() {
                format!("{gap}{cell:>width$}")
            } else {
                format!("{gap}{cell:<width$}")
            };
            let mut padded: String = padded.chars().take(room).collect();
            room -= length(&padded);
            if i + 1 == self.columns.len() {
                padded.truncate(padded.trim_end().len());
            }
            if self.color && *field == Field::State {
                let (gap, word) = padded.split_at(gap.len().min(padded.len()));
                line.extend([gap, &tint.paint(word)]);
            } else {
                line.push_str(&padded);
            }
        }
        line.truncate(line.trim_end().len());
        line
    }
}

/// In characters: a name of an interface may be of any.
fn length(text: &str) -> usize {
    text.chars().count()
}

#[cfg(test)]
mod tests {
    use super::*;

    const FIELDS: [Field; 3] = [Field::Proto, Field::State, Field::Up];

    fn row(words: [&str; 3]) -> Vec<String> {
        words.map(str::to_owned).into()
    }

    #[test]
    fn numbers_stand_to_the_right_and_nothing_trails() {
        let mut columns = Columns::new(&FIELDS, false, usize::MAX);
        columns.widen(&row(["icmpv6", "-", "1.2kb/s"]));
        assert_eq!(columns.titles(), "PROTO   STATE       UP");
        assert_eq!(columns.width(), 6 + 2 + 5 + 2 + 7);
        let line = columns.line(&row(["tcp", "NONE", "0b/s"]), Tint::Good);
        assert_eq!(line, "tcp     NONE      0b/s");
        let line = columns.line(&row(["tcp", "NONE", ""]), Tint::Good);
        assert_eq!(line, "tcp     NONE");
    }

    #[test]
    fn a_line_is_cut_off_by_what_is_seen_of_it() {
        let seen = |limit| {
            let columns = Columns::new(&FIELDS, true, limit);
            columns.line(&row(["grün0", "CLOSE", "0b/s"]), Tint::Closing)
        };
        assert_eq!(seen(100), "grün0  \x1b[90mCLOSE\x1b[0m  0b/s");
        assert_eq!(seen(10), "grün0  \x1b[90mCLO\x1b[0m");
        assert_eq!(seen(6), "grün0");
        assert_eq!(seen(3), "grü");
    }
}
