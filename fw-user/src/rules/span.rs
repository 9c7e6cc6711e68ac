//! The texts of a ruleset and places in them.

use std::path::PathBuf;
use std::sync::Arc;

/// Which of the [`Sources`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct FileId(pub u32);

/// A stretch of a text, in bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Span {
    /// Of which text.
    pub file: FileId,
    /// First byte.
    pub start: u32,
    /// Byte after the last one.
    pub end: u32,
}

impl Span {
    /// From the begin of one to the end of the other; the first, if they are of different texts.
    #[must_use]
    pub fn to(self, end: Self) -> Self {
        if self.file != end.file || end.end < self.start {
            return self;
        }
        Self {
            end: end.end,
            ..self
        }
    }

    /// The byte after it.
    #[must_use]
    pub fn after(self) -> Self {
        Self {
            start: self.end,
            ..self
        }
    }
}

/// One text.
#[derive(Clone, Debug)]
pub struct Source {
    /// What messages call it: its path, `<stdin>`, `-D name`.
    pub name: String,
    /// Where `include` looks for relative names.
    pub path: Option<PathBuf>,
    /// The text itself.
    pub text: Arc<str>,
    /// Offset of each line's first byte.
    lines: Vec<u32>,
}

/// All texts of a ruleset, in the order in which they were read.
#[derive(Clone, Debug, Default)]
pub struct Sources {
    files: Vec<Source>,
}

impl Sources {
    /// Takes a text in.
    pub fn add(&mut self, name: impl Into<String>, path: Option<PathBuf>, text: String) -> FileId {
        let starts = text.bytes().enumerate().filter(|(_, byte)| *byte == b'\n');
        let lines = std::iter::once(0)
            .chain(starts.map(|(offset, _)| narrow(offset + 1)))
            .collect();
        let id = FileId(narrow(self.files.len()));
        self.files.push(Source {
            name: name.into(),
            path,
            text: text.into(),
            lines,
        });
        id
    }

    /// How many texts there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.files.len()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.files.is_empty()
    }

    /// All of them, in order.
    pub fn iter(&self) -> impl Iterator<Item = &Source> {
        self.files.iter()
    }

    /// The text that a span is of.
    #[must_use]
    pub fn get(&self, file: FileId) -> Option<&Source> {
        self.files.get(file.0 as usize)
    }

    /// What stands there; nothing for a span that is of none of these texts.
    #[must_use]
    pub fn text(&self, span: Span) -> &str {
        let text = self.get(span.file).map_or("", |source| &*source.text);
        text.get(span.start as usize..span.end as usize)
            .unwrap_or("")
    }

    /// The rest of a line from that column on, both from 1.
    #[must_use]
    pub fn rest_of_line(&self, file: FileId, line: u32, column: u32) -> Span {
        let Some(source) = self.get(file) else {
            return Span::default();
        };
        let line = line.saturating_sub(1) as usize;
        let start = source.lines.get(line).map_or(0, |start| *start as usize);
        let text = source
            .text
            .get(start..)
            .and_then(|rest| rest.lines().next());
        let text = text.unwrap_or("");
        let skipped = text.char_indices().nth(column.saturating_sub(1) as usize);
        let skipped = skipped.map_or(text.len(), |(offset, _)| offset);
        Span {
            file,
            start: narrow(start + skipped),
            end: narrow(start + text.len()),
        }
    }

    /// Line and column of a span's begin, both from 1, the column in characters.
    #[must_use]
    pub fn position(&self, span: Span) -> (u32, u32) {
        let Some(source) = self.get(span.file) else {
            return (1, 1);
        };
        let line = source.lines.partition_point(|start| *start <= span.start);
        let start = line.checked_sub(1).and_then(|line| source.lines.get(line));
        let start = start.copied().unwrap_or(0);
        let before = source.text.get(start as usize..span.start as usize);
        (
            narrow(line),
            narrow(before.unwrap_or("").chars().count()) + 1,
        )
    }

    /// Column of a span's last character, if it ends on its first line; else the line's last.
    #[must_use]
    pub fn last_column(&self, span: Span) -> u32 {
        let (_, first) = self.position(span);
        let line = self.text(span).lines().next().unwrap_or("");
        first + narrow(line.chars().count()).saturating_sub(1)
    }

    /// The lines from the one that a span begins on to the one it ends on, whole, with the offset
    /// of their first byte.
    #[must_use]
    pub fn lines_of(&self, span: Span) -> (u32, &str) {
        let Some(source) = self.get(span.file) else {
            return (0, "");
        };
        let line = source.lines.partition_point(|start| *start <= span.start);
        let start = line.checked_sub(1).and_then(|line| source.lines.get(line));
        let start = start.copied().unwrap_or(0) as usize;
        let rest = source.text.get(span.end as usize..).unwrap_or("");
        let end = span.end as usize + rest.find('\n').unwrap_or(rest.len());
        (
            narrow(start),
            source.text.get(start..end).unwrap_or_default(),
        )
    }
}

/// Texts are shorter than 4 GiB: [`super::load`] sees to that.
fn narrow(number: usize) -> u32 {
    u32::try_from(number).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn positions_count_characters() {
        let mut sources = Sources::default();
        let file = sources.add("x", None, "äb\nüöß x\n".into());
        let at = |start, end| Span { file, start, end };
        assert_eq!(sources.position(at(0, 1)), (1, 1));
        assert_eq!(sources.position(at(2, 3)), (1, 2));
        assert_eq!(sources.position(at(11, 12)), (2, 5));
        assert_eq!(sources.text(at(11, 12)), "x");
        assert_eq!(sources.last_column(at(4, 10)), 3);
        assert_eq!(sources.lines_of(at(6, 8)), (4, "üöß x"));
        assert_eq!(sources.rest_of_line(file, 2, 2), at(6, 12));
    }
}
