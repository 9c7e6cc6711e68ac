//! `chain NAME { … }` and the rules in it.

use super::{Parse, Parser, innermost};
use crate::rules::ast::{Chain, ExprKind, HookSpec, Name, Rule};
use crate::rules::diag::Diagnostic;
use crate::rules::ir::Policy;
use crate::rules::lex::{Kind, Punct};
use crate::rules::refuse::Place;
use crate::rules::span::Span;

/// A priority as it is written: a name, and what is added to it.
pub(super) type Priority = (Option<Name>, i64, Span);

impl Parser<'_> {
    /// What follows `chain` and its name.
    pub(super) fn chain_block(&mut self, name: Name) -> Parse<Chain> {
        let mut chain = Chain {
            name,
            hook: None,
            policy: None,
            comment: None,
            rules: Vec::new(),
        };
        self.expect(Punct::OpenBrace)?;
        self.block_items(|parser| parser.chain_item(&mut chain));
        Ok(chain)
    }

    fn chain_item(&mut self, chain: &mut Chain) -> Parse<()> {
        match self.word().as_deref() {
            Some("type") => {
                chain.hook = Some(self.hook()?);
                Ok(())
            }
            Some("policy") => {
                chain.policy = Some(self.policy()?);
                Ok(())
            }
            // A table's family and a chain's devices can be changed so; rules begin otherwise.
            Some("comment") => {
                self.advance();
                chain.comment = Some(self.comment()?);
                Ok(())
            }
            Some("flags") => {
                let message =
                    Diagnostic::error(self.peek().span, "hardware offload of chains is not built")
                        .help("leave `flags offload` out");
                self.fail(message)
            }
            _ => {
                chain.rules.push(self.rule()?);
                Ok(())
            }
        }
    }

    /// `type T hook H [device D] priority P`.
    fn hook(&mut self) -> Parse<HookSpec> {
        let start = self.advance().span;
        self.refuse_word(Place::ChainType)?;
        let kind = self.any_word("`filter`")?;
        self.expect_word("hook")?;
        self.refuse_word(Place::Hook)?;
        let hook = self.any_word("a hook")?;
        let devices = self.devices()?;
        let (priority_name, priority, priority_span) = self.priority()?;
        Ok(HookSpec {
            span: start.to(self.last),
            kind,
            hook,
            devices,
            priority_name,
            priority,
            priority_span,
        })
    }

    /// `device NAME` or `devices = { NAME, … }`, if they are there.
    pub(super) fn devices(&mut self) -> Parse<Vec<Name>> {
        if self.take_word("device") {
            return Ok(vec![self.name("an interface's name")?]);
        }
        if !self.take_word("devices") {
            return Ok(Vec::new());
        }
        self.expect(Punct::Equals)?;
        let set = self.set_or_reference()?;
        let ExprKind::Set(elements) = &innermost(&set).kind else {
            return Ok(vec![self.name_of(&set, "an interface's name")?]);
        };
        let mut names = Vec::new();
        for element in elements {
            names.push(self.name_of(&element.key, "an interface's name")?);
        }
        Ok(names)
    }

    /// `priority filter + 5`.
    pub(super) fn priority(&mut self) -> Parse<Priority> {
        self.expect_word("priority")?;
        let start = self.peek().span;
        let name = match self.peek().kind {
            Kind::Word => Some(self.any_word("a priority")?),
            Kind::Punct(Punct::Dollar) => return self.priority_of_variable(start),
            _ => None,
        };
        let sign = if self.take(Punct::Dash) {
            -1
        } else if name.is_none() || self.take(Punct::Plus) {
            1
        } else {
            return Ok((name, 0, start.to(self.last)));
        };
        let number: u32 = self.number("a priority")?;
        Ok((name, sign * i64::from(number), start.to(self.last)))
    }

    fn priority_of_variable(&mut self, start: Span) -> Parse<Priority> {
        let variable = self.variable()?;
        let text = self.name_of(&variable, "a priority")?;
        let span = start.to(self.last);
        match text.text.parse() {
            Ok(number) => Ok((None, number, span)),
            Err(_) => Ok((Some(text), 0, span)),
        }
    }

    fn policy(&mut self) -> Parse<(Policy, Span)> {
        let start = self.advance().span;
        let name = self.any_word("`accept` or `drop`")?;
        let policy = match name.text.as_str() {
            "accept" => Policy::Accept,
            "drop" => Policy::Drop,
            _ => {
                let message = Diagnostic::error(name.span, "a policy is `accept` or `drop`");
                return self.fail(message);
            }
        };
        Ok((policy, start.to(self.last)))
    }

    /// One rule, up to its end.
    pub(super) fn rule(&mut self) -> Parse<Rule> {
        let start = self.peek().span;
        let mut rule = Rule {
            span: start,
            statements: Vec::new(),
            comment: None,
        };
        loop {
            let token = self.peek();
            match token.kind {
                Kind::Newline | Kind::End => break,
                Kind::Punct(Punct::Semicolon | Punct::CloseBrace) => break,
                _ => {}
            }
            if self.take_word("comment") {
                rule.comment = Some(self.comment()?);
                break;
            }
            rule.statements.push(self.statement()?);
        }
        rule.span = start.to(self.last);
        if rule.statements.is_empty() {
            return self.unexpected("a rule");
        }
        Ok(rule)
    }

    /// `{ rule; … }` behind `jump` and `goto`.
    pub(super) fn rule_block(&mut self) -> Parse<Vec<Rule>> {
        self.expect(Punct::OpenBrace)?;
        let mut rules = Vec::new();
        self.nested(|parser| {
            parser.block_items(|parser| {
                rules.push(parser.rule()?);
                Ok(())
            });
            Ok(())
        })?;
        Ok(rules)
    }
}
