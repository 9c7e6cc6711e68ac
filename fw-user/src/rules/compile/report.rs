//! The compiler's messages among those of the language.

use super::super::diag::{Diagnostic, Report};
use super::super::ir::{Ruleset, Source};
use super::super::span::{FileId, Span};
use super::{Compiled, Lookup, compile};

/// Compiles a ruleset; what can't be done is added to the report of its text, and there is no result.
pub fn compile_reported(
    ruleset: &Ruleset,
    lookup: &dyn Lookup,
    report: &mut Report,
) -> Option<Compiled> {
    match compile(ruleset, lookup) {
        Ok(compiled) => Some(compiled),
        Err(errors) => {
            for error in errors {
                let span = place(report, error.source);
                report.push(Diagnostic::error(span, error.message));
            }
            None
        }
    }
}

/// The rule that begins there, to the end of its line.
fn place(report: &Report, source: Source) -> Span {
    let file = FileId(u32::try_from(source.file).unwrap_or(u32::MAX));
    let nowhere = Span {
        file,
        ..Span::default()
    };
    let Some(text) = report.sources.get(file) else {
        return nowhere;
    };
    let before = source.line.saturating_sub(1) as usize;
    let start: usize = text
        .text
        .split_inclusive('\n')
        .take(before)
        .map(str::len)
        .sum();
    let line = text
        .text
        .get(start..)
        .unwrap_or_default()
        .lines()
        .next()
        .unwrap_or_default();
    let column = source.column.saturating_sub(1) as usize;
    let column = line
        .char_indices()
        .nth(column)
        .map_or(line.len(), |(at, _)| at);
    let narrow = |offset: usize| u32::try_from(offset).unwrap_or(u32::MAX);
    Span {
        file,
        start: narrow(start + column),
        end: narrow(start + line.trim_end().len().max(column)),
    }
}
