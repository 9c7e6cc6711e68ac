//! Messages about a ruleset: where, what, and what to do.

use annotate_snippets::{AnnotationKind, Group, Level, Renderer, Snippet};
use serde_json::json;

use super::span::{Sources, Span};

/// How bad it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Severity {
    /// The ruleset works, but surely not as it was meant.
    Warning,
    /// The ruleset is refused.
    Error,
}

/// One message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Diagnostic {
    /// How bad it is.
    pub severity: Severity,
    /// What is wrong, in one sentence without a full stop.
    pub message: String,
    /// Where.
    pub span: Span,
    /// What stands under the place.
    pub label: String,
    /// Other places that belong to it.
    pub related: Vec<(Span, String)>,
    /// What to do.
    pub help: Option<String>,
}

impl Diagnostic {
    /// A mistake.
    #[must_use]
    pub fn error(span: Span, message: impl Into<String>) -> Self {
        Self {
            severity: Severity::Error,
            message: message.into(),
            span,
            label: String::new(),
            related: Vec::new(),
            help: None,
        }
    }

    /// A doubt.
    #[must_use]
    pub fn warning(span: Span, message: impl Into<String>) -> Self {
        Self {
            severity: Severity::Warning,
            ..Self::error(span, message)
        }
    }

    /// Says more under the place itself.
    #[must_use]
    pub fn label(mut self, label: impl Into<String>) -> Self {
        self.label = label.into();
        self
    }

    /// Points at another place.
    #[must_use]
    pub fn and(mut self, span: Span, label: impl Into<String>) -> Self {
        self.related.push((span, label.into()));
        self
    }

    /// Says what to do.
    #[must_use]
    pub fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }

    /// Says what to do, if there is something to say.
    #[must_use]
    pub fn maybe_help(self, help: Option<String>) -> Self {
        Self { help, ..self }
    }
}

/// So many messages are kept; of a file that is no ruleset at all, nobody reads more.
const MOST: usize = 100;

/// The texts of a ruleset and what is to say about them.
#[derive(Clone, Debug, Default)]
pub struct Report {
    /// The texts.
    pub sources: Sources,
    messages: Vec<Diagnostic>,
    errors: usize,
    dropped: usize,
}

impl Report {
    /// Takes a message in.
    pub fn push(&mut self, message: Diagnostic) {
        let is_error = message.severity == Severity::Error;
        self.errors += usize::from(is_error);
        if self.messages.len() < MOST {
            self.messages.push(message);
        } else {
            self.dropped += 1;
        }
    }

    /// Whether the ruleset is refused.
    #[must_use]
    pub fn has_errors(&self) -> bool {
        self.errors > 0
    }

    /// Whether there are so many messages that going on helps nobody.
    #[must_use]
    pub fn is_full(&self) -> bool {
        self.dropped > 0 && self.has_errors()
    }

    /// The messages, in the order of the text.
    #[must_use]
    pub fn messages(&self) -> Vec<&Diagnostic> {
        let mut sorted: Vec<&Diagnostic> = self.messages.iter().collect();
        sorted.sort_by_key(|message| (message.span.file, message.span.start));
        sorted
    }

    /// The messages for people: of each, a line in nft's form (`file:line:col-col: Error: …`), then
    /// the place in its text.
    #[must_use]
    pub fn render(&self, color: bool) -> String {
        let renderer = if color {
            Renderer::styled()
        } else {
            Renderer::plain()
        };
        let mut text = String::new();
        for message in self.messages() {
            text.push_str(&self.headline(message));
            text.push('\n');
            text.push_str(&self.snippet(message, &renderer));
            text.push('\n');
        }
        if self.dropped > 0 {
            text.push_str(&format!("… and {} more\n", self.dropped));
        }
        text
    }

    /// `file:line:col-col: Error: …`.
    #[must_use]
    pub fn headline(&self, message: &Diagnostic) -> String {
        let (line, first) = self.sources.position(message.span);
        let last = self.sources.last_column(message.span);
        let name = self.name(message.span);
        let severity = match message.severity {
            Severity::Error => "Error",
            Severity::Warning => "Warning",
        };
        format!(
            "{name}:{line}:{first}-{last}: {severity}: {}",
            message.message
        )
    }

    fn name(&self, span: Span) -> &str {
        self.sources
            .get(span.file)
            .map_or("<ruleset>", |source| &source.name)
    }

    fn snippet(&self, message: &Diagnostic, renderer: &Renderer) -> String {
        let level = match message.severity {
            Severity::Error => Level::ERROR,
            Severity::Warning => Level::WARNING,
        };
        let mut group = Group::with_title(level.primary_title(&message.message))
            .element(self.quote(message.span, &message.label, AnnotationKind::Primary));
        for (span, label) in &message.related {
            group = group.element(self.quote(*span, label, AnnotationKind::Context));
        }
        let mut groups = vec![group];
        if let Some(help) = &message.help {
            groups.push(Group::with_title(
                Level::HELP.secondary_title(help.as_str()),
            ));
        }
        // The title is the headline that is there already.
        let text = renderer.render(&groups);
        let body = text.split_once('\n').map_or("", |(_, body)| body);
        format!("{body}\n")
    }

    fn quote<'a>(
        &'a self,
        span: Span,
        label: &'a str,
        kind: AnnotationKind,
    ) -> Snippet<'a, annotate_snippets::Annotation<'a>> {
        // Only the lines concerned: the whole text may be large. A line may be, too.
        let (offset, lines) = self.sources.lines_of(span);
        let (line, _) = self.sources.position(span);
        let start = (span.start - offset) as usize;
        let first_line_end = lines[start..]
            .find('\n')
            .map_or(lines.len(), |end| start + end);
        let end = ((span.end - offset) as usize)
            .min(first_line_end)
            .max(start);
        let (text, start, end) = shorten(lines, start, end, first_line_end);
        let mut annotation = kind.span(start..end);
        if !label.is_empty() {
            annotation = annotation.label(label);
        }
        Snippet::source(text)
            .line_start(line as usize)
            .path(self.name(span))
            .annotation(annotation)
    }

    /// The messages for programs.
    #[must_use]
    pub fn to_json(&self) -> serde_json::Value {
        let place = |span: Span| {
            let (line, column) = self.sources.position(span);
            json!({
                "file": self.name(span), "line": line, "column": column,
                "end_column": self.sources.last_column(span),
            })
        };
        let messages = self.messages().into_iter().map(|message| {
            let related: Vec<_> = message
                .related
                .iter()
                .map(|(span, label)| json!({"place": place(*span), "label": label}))
                .collect();
            let mut object = place(message.span);
            object["severity"] = json!(match message.severity {
                Severity::Error => "error",
                Severity::Warning => "warning",
            });
            object["message"] = json!(message.message);
            if !message.label.is_empty() {
                object["label"] = json!(message.label);
            }
            if let Some(help) = &message.help {
                object["help"] = json!(help);
            }
            if !related.is_empty() {
                object["related"] = json!(related);
            }
            object
        });
        serde_json::Value::Array(messages.collect())
    }
}

/// So much of a line is shown on either side of the place.
const CONTEXT: usize = 200;

/// One line with the place in it, cut where it is far longer than a terminal.
fn shorten(lines: &str, start: usize, end: usize, line_end: usize) -> (&str, usize, usize) {
    let floor = |mut offset: usize| {
        while !lines.is_char_boundary(offset) {
            offset -= 1;
        }
        offset
    };
    let from = if start > CONTEXT {
        floor(start - CONTEXT)
    } else {
        0
    };
    let end = floor(end.min(start + CONTEXT)).max(start);
    let to = floor(line_end.min(end + CONTEXT)).max(end);
    (&lines[from..to], start - from, end - from)
}

/// The candidate that is written most like `word`, if one is near enough to be meant.
#[must_use]
pub fn nearest<'a>(word: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let most = word.chars().count().div_ceil(3).min(3);
    candidates
        .into_iter()
        .filter(|candidate| *candidate != word)
        .map(|candidate| (distance(word, candidate), candidate))
        .filter(|(distance, _)| *distance <= most)
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate)
}

/// `did you mean …?`, if something is near.
#[must_use]
pub fn did_you_mean<'a>(
    word: &str,
    candidates: impl IntoIterator<Item = &'a str>,
) -> Option<String> {
    nearest(word, candidates).map(|name| format!("did you mean `{name}`?"))
}

/// Optimal string alignment: insertions, deletions, replacements, neighbours swapped.
fn distance(one: &str, other: &str) -> usize {
    let one: Vec<char> = one.chars().take(64).collect();
    let other: Vec<char> = other.chars().take(64).collect();
    let mut rows = [
        vec![0; other.len() + 1],
        (0..=other.len()).collect::<Vec<usize>>(),
        vec![0; other.len() + 1],
    ];
    for (i, a) in one.iter().enumerate() {
        rows[2][0] = i + 1;
        for (j, b) in other.iter().enumerate() {
            let replaced = rows[1][j] + usize::from(a != b);
            let mut best = replaced.min(rows[1][j + 1] + 1).min(rows[2][j] + 1);
            if i > 0 && j > 0 && *a == other[j - 1] && one[i - 1] == *b {
                best = best.min(rows[0][j - 1] + 1);
            }
            rows[2][j + 1] = best;
        }
        rows.rotate_left(1);
    }
    rows[1][other.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_near() {
        assert_eq!(nearest("acept", ["drop", "accept"]), Some("accept"));
        assert_eq!(nearest("forwrad", ["forward", "input"]), Some("forward"));
        assert_eq!(nearest("xyz", ["drop", "accept"]), None);
    }

    #[test]
    fn a_message_shows_its_place() {
        let mut report = Report::default();
        let text = "table inet t {\n\ttcp dprot 22\n}\n";
        let file = report.sources.add("fw.nft", None, text.into());
        let span = Span {
            file,
            start: 20,
            end: 25,
        };
        report.push(
            Diagnostic::error(span, "no such field")
                .label("of tcp")
                .help("look"),
        );
        let said = report.render(false);
        assert!(
            said.starts_with("fw.nft:2:6-10: Error: no such field\n"),
            "{said}"
        );
        assert!(
            said.contains("^^^^^ of tcp") && said.contains("help: look"),
            "{said}"
        );
        assert_eq!(report.to_json()[0]["column"], 6);
    }
}
