//! Rules.

use super::known::Rule as Draft;
use super::{Failed, Resolve, Resolver};
use crate::rules::ast::{self, StatementKind as K, Target};
use crate::rules::diag::Diagnostic;
use crate::rules::ir::{ChainId, Rule, Statement, Verdict};
use crate::rules::print;

impl Resolver<'_> {
    pub(super) fn rule(&mut self, table: usize, chain: ChainId, rule: &ast::Rule) -> Resolve<Rule> {
        if self.rules_left == 0 {
            return self.error(rule.span, "too many rules");
        }
        self.rules_left -= 1;
        let family = self.drafts[table].table.family;
        let mut draft = Draft::new(table, family);
        let mut end = None;
        let mut failed = false;
        for statement in &rule.statements {
            if let Some(end) = end {
                let message = "Statement after terminal statement has no effect";
                let message =
                    Diagnostic::error(statement.span, message).and(end, "the rule ends here");
                return self.fail(message);
            }
            if is_terminal(&statement.kind) {
                end = Some(statement.span);
            }
            failed |= self.statement(&mut draft, chain, statement).is_err();
        }
        if failed {
            return Err(Failed);
        }
        let source = self.source(rule.span);
        let draft_table = &mut self.drafts[table];
        let handle = draft_table.handle();
        draft_table.rule_spans.insert(handle, rule.span);
        let text = print::rule_text(&draft_table.table, &draft.statements);
        Ok(Rule {
            handle,
            source,
            text,
            comment: rule.comment.clone(),
            statements: draft.statements,
        })
    }

    pub(super) fn verdict(&mut self, table: usize, verdict: &ast::Verdict) -> Resolve<Verdict> {
        match verdict {
            ast::Verdict::Accept => Ok(Verdict::Accept),
            ast::Verdict::Drop => Ok(Verdict::Drop),
            ast::Verdict::Return => Ok(Verdict::Return),
            ast::Verdict::Continue => Ok(Verdict::Continue),
            ast::Verdict::Jump(target) => self.target(table, target).map(Verdict::Jump),
            ast::Verdict::Goto(target) => self.target(table, target).map(Verdict::Goto),
        }
    }

    fn target(&mut self, table: usize, target: &Target) -> Resolve<ChainId> {
        match target {
            Target::Chain(name) => {
                let id = self.chain(table, name)?;
                if self.drafts[table].table.chains[id.0].base.is_some() {
                    let message =
                        Diagnostic::error(name.span, format!("`{}` is a base chain", name.text))
                            .label("packets enter it by its hook; nothing can jump to it");
                    return self.fail(message);
                }
                Ok(id)
            }
            Target::Block(rules) => {
                let span = rules.first().map(|rule| rule.span).unwrap_or_default();
                let id = self.drafts[table].add_chain(None, span);
                self.add_rules(table, id, rules.to_vec())?;
                Ok(id)
            }
        }
    }
}

/// Whether nothing behind it is ever reached.
fn is_terminal(kind: &K) -> bool {
    match kind {
        K::Verdict(verdict) => !matches!(verdict, ast::Verdict::Continue),
        K::Reject(_) => true,
        _ => false,
    }
}

/// Whether the rule ends with each packet that gets to its end.
pub(super) fn ends_packet(statement: &Statement) -> bool {
    match statement {
        // A jump comes back where its chain ends without a verdict.
        Statement::Verdict(verdict) => !matches!(verdict, Verdict::Continue | Verdict::Jump(_)),
        Statement::Reject(_) => true,
        _ => false,
    }
}
