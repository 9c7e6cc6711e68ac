//! Tokens to [`ast`](super::ast): what stands where, not yet whether it makes sense.
//!
//! A mistake is reported where it is found; the parser then skips to the end of the statement, at
//! the nesting that the statement began at, and goes on. So one run finds all mistakes.

mod block;
mod chain;
mod command;
mod expr;
mod field;
mod names;
mod number;
mod set;
mod statement;
mod words;

pub(super) use number::{parse_number, parse_time};

use std::collections::HashMap;
use std::rc::Rc;
use std::sync::Arc;

use super::ast::{Command, Expr, ExprKind};
use super::diag::{Diagnostic, Report, did_you_mean};
use super::files::Files;
use super::lex::{Kind, Lexer, Punct, Token};
use super::span::{FileId, Span};

/// A mistake was found and reported.
#[derive(Clone, Copy, Debug)]
pub(super) struct Failed;

/// What a part of the parser found.
type Parse<T> = Result<T, Failed>;

/// Braces, parentheses and blocks within each other.
const DEEPEST: usize = 32;

/// A text that is being read: the ruleset, or a file that it includes.
struct Frame {
    lexer: Lexer,
    text: Arc<str>,
    /// Read ahead.
    next: Vec<Token>,
}

impl Frame {
    fn new(file: FileId, text: Arc<str>) -> Self {
        Self {
            lexer: Lexer::new(file),
            text,
            next: Vec::new(),
        }
    }

    fn peek(&mut self, ahead: usize) -> Token {
        while self.next.len() <= ahead {
            let token = self.lexer.next(&self.text);
            self.next.push(token);
        }
        self.next[ahead]
    }

    fn advance(&mut self) -> Token {
        let token = self.peek(0);
        if token.kind != Kind::End {
            self.next.remove(0);
        }
        token
    }
}

/// What a name stands for.
struct Variable {
    value: Rc<Expr>,
    /// Elements in it, those of variables within it too.
    elements: usize,
}

/// Elements of all sets together: a variable within a variable within a variable makes many of few.
pub(super) const MOST_ELEMENTS: usize = 8 << 20;

/// Reads a ruleset.
pub(super) struct Parser<'a> {
    report: &'a mut Report,
    files: &'a mut Files,
    /// The text at hand is the last one; those that include it stand before it.
    frames: Vec<Frame>,
    /// Variables; a block's own are the last ones.
    scopes: Vec<HashMap<String, Variable>>,
    /// Elements of sets up to here, those of variables counted each time they are used.
    elements: usize,
    /// Open braces at this place.
    depth: usize,
    /// Nested expressions and blocks at this place.
    nesting: usize,
    /// In a block whose last item may stand right before `}`.
    lenient: bool,
    /// The last token that was taken.
    last: Span,
    /// It was said that the text ends too early: once is enough, however many braces are open.
    ended: bool,
    /// Rules in blocks of `jump { … }` and chains are commands' parts; these are the commands.
    commands: Vec<Command>,
}

impl<'a> Parser<'a> {
    pub(super) fn new(report: &'a mut Report, files: &'a mut Files) -> Self {
        Self {
            report,
            files,
            frames: Vec::new(),
            scopes: vec![HashMap::new()],
            elements: 0,
            depth: 0,
            nesting: 0,
            lenient: false,
            last: Span::default(),
            ended: false,
            commands: Vec::new(),
        }
    }

    /// Reads a whole text.
    pub(super) fn run(mut self, file: FileId, defines: &[(String, String)]) -> Vec<Command> {
        for (name, value) in defines {
            self.define_from_outside(name, value);
        }
        self.enter(file);
        self.commands_until_end();
        self.commands
    }

    fn define_from_outside(&mut self, name: &str, value: &str) {
        let text = value.to_owned();
        let file = self.report.sources.add(format!("-D {name}"), None, text);
        self.enter(file);
        let before = self.elements;
        if let Ok(value) = self.definition_value() {
            let end = self.peek();
            if end.kind == Kind::End {
                self.define(name.to_owned(), value, before);
            } else {
                let _: Parse<()> = self.unexpected("the end of the value");
            }
        }
        self.frames.clear();
        self.depth = 0;
        self.ended = false;
    }

    fn enter(&mut self, file: FileId) {
        let Some(source) = self.report.sources.get(file) else {
            return;
        };
        let text = source.text.clone();
        // nft refuses them. Once is enough, and the file's other mistakes are looked for all the same.
        if let Some(span) = Lexer::dos_line_end(file, &text) {
            let message = Diagnostic::error(span, "lines end as those of DOS do")
                .label("a carriage return, as at the end of other lines")
                .help("remove them: `dos2unix FILE` or `sed -i 's/\\r$//' FILE`");
            self.report.push(message);
        }
        self.frames.push(Frame::new(file, text));
    }

    // Tokens.

    fn peek_at(&mut self, ahead: usize) -> Token {
        self.frames
            .last_mut()
            .map_or(end_of(self.last), |frame| frame.peek(ahead))
    }

    fn peek(&mut self) -> Token {
        // At its end an included file is left for the one that includes it.
        while self.frames.len() > 1 && self.peek_at(0).kind == Kind::End {
            self.frames.pop();
        }
        self.peek_at(0)
    }

    fn advance(&mut self) -> Token {
        self.peek();
        let Some(frame) = self.frames.last_mut() else {
            return end_of(self.last);
        };
        let token = frame.advance();
        match token.kind {
            Kind::Punct(Punct::OpenBrace) => self.depth += 1,
            Kind::Punct(Punct::CloseBrace) => self.depth = self.depth.saturating_sub(1),
            _ => {}
        }
        if token.kind != Kind::Newline {
            self.last = token.span;
        }
        token
    }

    fn text(&self, span: Span) -> &str {
        self.report.sources.text(span)
    }

    fn is(&mut self, punct: Punct) -> bool {
        self.peek().kind == Kind::Punct(punct)
    }

    fn is_word(&mut self, word: &str) -> bool {
        let token = self.peek();
        token.kind == Kind::Word && self.text(token.span) == word
    }

    /// The word that comes next, if one does.
    fn word(&mut self) -> Option<String> {
        let token = self.peek();
        (token.kind == Kind::Word).then(|| self.text(token.span).to_owned())
    }

    fn take(&mut self, punct: Punct) -> bool {
        let there = self.is(punct);
        if there {
            self.advance();
        }
        there
    }

    fn take_word(&mut self, word: &str) -> bool {
        let there = self.is_word(word);
        if there {
            self.advance();
        }
        there
    }

    fn expect(&mut self, punct: Punct) -> Parse<Token> {
        if self.is(punct) {
            return Ok(self.advance());
        }
        self.unexpected(&format!("`{}`", punct.text()))
    }

    fn expect_word(&mut self, word: &str) -> Parse<()> {
        if self.take_word(word) {
            return Ok(());
        }
        self.unexpected(&format!("`{word}`"))
    }

    fn skip_newlines(&mut self) {
        while self.peek().kind == Kind::Newline {
            self.advance();
        }
    }

    fn is_separator(&mut self) -> bool {
        matches!(
            self.peek().kind,
            Kind::Newline | Kind::Punct(Punct::Semicolon)
        )
    }

    fn skip_separators(&mut self) {
        while self.is_separator() {
            self.advance();
        }
    }

    /// The end of a statement: nft wants a newline or `;` even in front of `}`.
    fn expect_separator(&mut self) -> Parse<()> {
        if self.is_separator() {
            self.advance();
            return Ok(());
        }
        if self.peek().kind == Kind::End && self.depth == 0 {
            return Ok(());
        }
        self.unexpected("a new line or `;`")
    }

    // Mistakes.

    fn fail<T>(&mut self, message: Diagnostic) -> Parse<T> {
        self.report.push(message);
        Err(Failed)
    }

    /// Says what stands there and what was expected.
    fn unexpected<T>(&mut self, expected: &str) -> Parse<T> {
        self.unexpected_of(expected, &[])
    }

    /// The same where one of some words was expected.
    fn unexpected_of<T>(&mut self, expected: &str, words: &[&str]) -> Parse<T> {
        let token = self.peek();
        let text: String = self.text(token.span).chars().take(40).collect();
        if token.kind == Kind::Octal {
            return self.octal(token.span, &text);
        }
        if token.kind == Kind::End && std::mem::replace(&mut self.ended, true) {
            return Err(Failed);
        }
        let found = match token.kind {
            Kind::End => "end of file".to_owned(),
            Kind::Newline => "end of line".to_owned(),
            Kind::Junk if text.starts_with('"') => "string without an end".to_owned(),
            Kind::Junk if text == "." => "`.` without blanks around it".to_owned(),
            Kind::Junk => format!("character {:?}", text.chars().next().unwrap_or(' ')),
            _ => format!("`{text}`"),
        };
        let span = match token.kind {
            Kind::End | Kind::Newline => self.last.after(),
            _ => token.span,
        };
        let help = did_you_mean(&text, words.iter().copied());
        let message = Diagnostic::error(span, format!("syntax error, unexpected {found}"))
            .label(format!("expected {expected}"))
            .maybe_help(help);
        self.fail(message)
    }

    /// Skips to the end of the statement that began at that depth.
    fn recover(&mut self, depth: usize) {
        loop {
            let token = self.peek();
            match token.kind {
                Kind::End => return,
                Kind::Newline | Kind::Punct(Punct::Semicolon) if self.depth <= depth => return,
                Kind::Punct(Punct::CloseBrace) if self.depth <= depth => return,
                _ => {
                    self.advance();
                }
            }
        }
    }

    /// Runs a part that may nest within itself.
    fn nested<T>(&mut self, part: impl FnOnce(&mut Self) -> Parse<T>) -> Parse<T> {
        if self.nesting >= DEEPEST {
            let span = self.peek().span;
            return self.fail(
                Diagnostic::error(span, "nested too deeply")
                    .label(format!("more than {DEEPEST} levels")),
            );
        }
        self.nesting += 1;
        let result = part(self);
        self.nesting -= 1;
        result
    }

    // Names and variables.
}

/// What is meant by an expression that may be a variable.
pub(super) fn innermost(expr: &Expr) -> &Expr {
    let mut inner = expr;
    while let ExprKind::Shared(value) = &inner.kind {
        inner = value;
    }
    inner
}

fn end_of(last: Span) -> Token {
    Token {
        kind: Kind::End,
        span: last.after(),
    }
}
