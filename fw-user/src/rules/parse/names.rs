//! Names, and the variables that stand for values.

use std::collections::HashMap;
use std::rc::Rc;

use super::{MOST_ELEMENTS, Parse, Parser, Variable, innermost, words};
use crate::rules::ast::{Expr, ExprKind, Name};
use crate::rules::diag::{Diagnostic, did_you_mean};
use crate::rules::lex::{Kind, Punct};

impl Parser<'_> {
    /// A name that something gets: a word that is none of the language's.
    pub(super) fn identifier(&mut self, what: &str) -> Parse<Name> {
        let token = self.peek();
        if token.kind == Kind::Word && words::is_keyword(self.text(token.span)) {
            let word = self.text(token.span);
            let message =
                Diagnostic::error(token.span, format!("syntax error, unexpected `{word}`"))
                    .label(format!("expected {what}; this is a word of the language"))
                    .help("choose another name");
            return self.fail(message);
        }
        if token.kind != Kind::Word {
            return self.unexpected(what);
        }
        self.any_word(what)
    }

    /// A word, be it of the language or not.
    pub(super) fn any_word(&mut self, what: &str) -> Parse<Name> {
        let token = self.peek();
        match token.kind {
            Kind::Word => {
                self.advance();
                Ok(Name {
                    text: self.text(token.span).to_owned(),
                    span: token.span,
                })
            }
            Kind::Punct(Punct::Dollar) => {
                let variable = self.variable()?;
                self.name_of(&variable, what)
            }
            _ => self.unexpected(what),
        }
    }

    /// A name that something has: as it is, in quotes, or in a variable.
    pub(super) fn name(&mut self, what: &str) -> Parse<Name> {
        let token = self.peek();
        match token.kind {
            Kind::Quoted => {
                self.advance();
                Ok(Name {
                    text: self.text(token.span).to_owned(),
                    span: token.span,
                })
            }
            Kind::Word => self.identifier(what),
            _ => self.any_word(what),
        }
    }

    /// The same without quotes.
    pub(super) fn chain_name(&mut self) -> Parse<Name> {
        if self.is(Punct::Dollar) {
            return self.any_word("a chain's name");
        }
        self.identifier("a chain's name")
    }

    /// The name that a variable's value is.
    pub(super) fn name_of(&mut self, value: &Expr, what: &str) -> Parse<Name> {
        let inner = innermost(value);
        if let ExprKind::Symbol { .. } = inner.kind {
            return Ok(Name {
                text: self.text(inner.span).to_owned(),
                span: value.span,
            });
        }
        self.fail(Diagnostic::error(value.span, format!("this is not {what}")))
    }

    /// `$name`: what it stands for.
    pub(super) fn variable(&mut self) -> Parse<Expr> {
        let dollar = self.expect(Punct::Dollar)?;
        let token = self.peek();
        if token.kind != Kind::Word {
            return self.unexpected("a variable's name");
        }
        self.advance();
        let span = dollar.span.to(token.span);
        let name = self.text(token.span);
        let found = self.scopes.iter().rev().find_map(|scope| scope.get(name));
        if let Some(Variable { value, elements }) = found {
            let kind = ExprKind::Shared(value.clone());
            self.elements = self.elements.saturating_add(*elements);
            if self.elements > MOST_ELEMENTS {
                let message = "too many elements in all sets together";
                return self.fail(Diagnostic::error(span, message));
            }
            return Ok(Expr { kind, span });
        }
        let known = self.scopes.iter().flat_map(HashMap::keys);
        let help = did_you_mean(name, known.map(String::as_str)).or_else(|| {
            Some(format!(
                "define it before: `define {name} = …`, or -D {name}=…"
            ))
        });
        let message = Diagnostic::error(span, format!("unknown identifier `{name}`"))
            .label("no variable of that name is defined here")
            .maybe_help(help);
        self.fail(message)
    }

    /// Defines a variable; `before`: how many elements there were in front of its value.
    pub(super) fn define(&mut self, name: String, value: Expr, before: usize) {
        let variable = Variable {
            value: Rc::new(value),
            elements: self.elements.saturating_sub(before),
        };
        if let Some(scope) = self.scopes.last_mut() {
            scope.insert(name, variable);
        }
    }
}
