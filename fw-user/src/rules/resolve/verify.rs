//! What only shows when a table is complete: jumps that never end, statements that a hook does not
//! have, rules that nothing reaches.

use std::collections::{HashMap, HashSet};

use super::Resolver;
use super::rule::ends_packet;
use crate::rules::diag::Diagnostic;
use crate::rules::ir::{
    ChainId, Data, Expr, FibResult, Field, Hook, Rule, Statement, Table, Verdict,
};

/// NFT_JUMP_STACK_SIZE.
const DEEPEST_JUMP: usize = 16;

/// Chains that a rule leads to, and whether by `jump`.
fn targets(table: &Table, rule: &Rule) -> Vec<(ChainId, bool)> {
    let mut found = Vec::new();
    let mut take = |verdict: &Verdict| match verdict {
        Verdict::Jump(id) => found.push((*id, true)),
        Verdict::Goto(id) => found.push((*id, false)),
        _ => {}
    };
    for statement in &rule.statements {
        match statement {
            Statement::Verdict(verdict) => take(verdict),
            Statement::VerdictMap { map, .. } => {
                for element in &table.set(*map).elements {
                    if let Some(Data::Verdict(verdict)) = &element.data {
                        take(verdict);
                    }
                }
            }
            _ => {}
        }
    }
    found
}

/// How far a chain has been looked at.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Seen {
    Not,
    Open,
    /// Longest way of jumps from here.
    Done(usize),
}

/// A chain, the rules that lead on from it (by handle) and have not been followed, and the depth
/// below it so far.
type Step = (usize, Vec<(u64, ChainId)>, usize);

impl Resolver<'_> {
    pub(super) fn verify(&mut self, index: usize) {
        if self.report.has_errors() {
            // Chains without their faulty rules would raise doubts that are none.
            return;
        }
        if self.jumps_end(index) {
            self.hooks_fit(index);
            self.rules_are_reached(index);
        }
    }

    /// Refuses circles and ways that are too long. Depth first, without recursion.
    fn jumps_end(&mut self, index: usize) -> bool {
        let count = self.drafts[index].table.chains.len();
        let mut seen = vec![Seen::Not; count];
        let mut good = true;
        for start in 0..count {
            let mut stack: Vec<Step> = Vec::new();
            if seen[start] == Seen::Not {
                seen[start] = Seen::Open;
                stack.push((start, self.ways(index, start), 0));
            }
            while let Some((chain, ways, depth)) = stack.last_mut() {
                let Some((handle, next)) = ways.pop() else {
                    let (chain, depth) = (*chain, *depth);
                    seen[chain] = Seen::Done(depth);
                    stack.pop();
                    if let Some((_, _, above)) = stack.last_mut() {
                        *above = (*above).max(depth + 1);
                    }
                    continue;
                };
                match seen[next.0] {
                    Seen::Done(below) => *depth = (*depth).max(below + 1),
                    Seen::Open => {
                        self.circle(index, handle);
                        good = false;
                    }
                    Seen::Not => {
                        seen[next.0] = Seen::Open;
                        let ways = self.ways(index, next.0);
                        stack.push((next.0, ways, 0));
                    }
                }
            }
            if let Seen::Done(depth) = seen[start]
                && depth >= DEEPEST_JUMP
                && self.drafts[index].table.chains[start].base.is_some()
            {
                let span = self.drafts[index].chain_spans[start];
                let message = Diagnostic::error(span, "too many jumps within each other")
                    .label(format!("{depth} from here; {} at most", DEEPEST_JUMP - 1));
                self.report.push(message);
                good = false;
            }
        }
        good
    }

    fn ways(&self, index: usize, chain: usize) -> Vec<(u64, ChainId)> {
        let table = &self.drafts[index].table;
        let rules = table.chains[chain].rules.iter();
        let mut known = HashSet::new();
        rules
            .flat_map(|rule| {
                targets(table, rule)
                    .into_iter()
                    .map(|(id, _)| (rule.handle, id))
            })
            .filter(|(_, id)| known.insert(*id))
            .collect()
    }

    fn circle(&mut self, index: usize, handle: u64) {
        let span = self.drafts[index].rule_spans.get(&handle).copied();
        let message = Diagnostic::error(span.unwrap_or_default(), "jumps in a circle")
            .label("this leads back to a chain that leads here")
            .help("end the way with `return`, or leave one of the jumps out");
        self.report.push(message);
    }

    /// Hooks that each chain is reached from.
    fn reached_from(&self, index: usize) -> Vec<Vec<Hook>> {
        let table = &self.drafts[index].table;
        let mut hooks: Vec<Vec<Hook>> = vec![Vec::new(); table.chains.len()];
        for (start, chain) in table.chains.iter().enumerate() {
            let Some(base) = &chain.base else {
                continue;
            };
            let mut todo = vec![start];
            while let Some(next) = todo.pop() {
                if hooks[next].contains(&base.hook) {
                    continue;
                }
                hooks[next].push(base.hook);
                todo.extend(self.ways(index, next).into_iter().map(|(_, id)| id.0));
            }
        }
        hooks
    }

    /// Statements that the kernel refuses in a hook when the ruleset is loaded.
    fn hooks_fit(&mut self, index: usize) {
        let hooks = self.reached_from(index);
        let draft = &self.drafts[index];
        let mut messages = Vec::new();
        for (chain, hooks) in draft.table.chains.iter().zip(&hooks) {
            for rule in &chain.rules {
                let span = draft
                    .rule_spans
                    .get(&rule.handle)
                    .copied()
                    .unwrap_or_default();
                for hook in hooks {
                    for statement in &rule.statements {
                        if let Some(why) = misfit(statement, *hook) {
                            let message = format!("{why} in hook {}", hook.name());
                            messages.push(Diagnostic::error(span, message));
                        }
                    }
                }
            }
        }
        for message in messages {
            self.report.push(message);
        }
    }

    /// Warns about rules behind one that takes everything, or that takes the same.
    fn rules_are_reached(&mut self, index: usize) {
        let draft = &self.drafts[index];
        let mut messages = Vec::new();
        for chain in &draft.table.chains {
            let mut end: Option<u64> = None;
            let mut known: HashMap<String, u64> = HashMap::new();
            for rule in &chain.rules {
                let span = |handle| draft.rule_spans.get(&handle).copied().unwrap_or_default();
                if let Some(end) = end {
                    let message = Diagnostic::warning(span(rule.handle), "no packet gets here")
                        .and(span(end), "this rule ends every packet");
                    messages.push(message);
                    // One doubt a chain is enough.
                    break;
                }
                let Some(condition) = condition(rule) else {
                    continue;
                };
                if condition.is_empty() {
                    end = rule
                        .statements
                        .last()
                        .filter(|one| ends_packet(one))
                        .map(|_| rule.handle);
                    continue;
                }
                if let Some(earlier) = known.get(&condition) {
                    let message = Diagnostic::warning(span(rule.handle), "no packet gets here")
                        .and(span(*earlier), "this rule ends all packets that match");
                    messages.push(message);
                } else if rule.statements.last().is_some_and(ends_packet) {
                    known.insert(condition, rule.handle);
                }
            }
        }
        for message in messages {
            self.report.push(message);
        }
    }
}

/// What a packet must be for the rule, as text; nothing if it depends on more than the packet.
fn condition(rule: &Rule) -> Option<String> {
    let mut text = String::new();
    for statement in &rule.statements {
        match statement {
            Statement::Match(one) => {
                if let crate::rules::ir::Right::Set(_) = one.right {
                    return None;
                }
                text.push_str(&format!("{:?}{:?}{:?};", one.left, one.op, one.right));
            }
            Statement::Verdict(_)
            | Statement::Reject(_)
            | Statement::Counter(_)
            | Statement::Log(_)
            | Statement::Notrack
            | Statement::SetCtMark(_)
            | Statement::SetMark(_) => {}
            _ => return None,
        }
        if matches!(statement, Statement::SetCtMark(_) | Statement::SetMark(_)) {
            // Marks may be what is matched.
            return None;
        }
    }
    Some(text)
}

/// Why the kernel refuses a statement in a hook.
fn misfit(statement: &Statement, hook: Hook) -> Option<&'static str> {
    let fields = |expr: &Expr| -> Vec<Field> {
        expr.parts()
            .iter()
            .filter_map(|part| match part {
                Expr::Field(field) => Some(*field),
                _ => None,
            })
            .collect()
    };
    let expr = match statement {
        Statement::Match(one) => &one.left,
        Statement::VerdictMap { key, .. } | Statement::SetUpdate { key, .. } => key,
        Statement::FlowOffload(_) if hook != Hook::Forward => {
            return Some("flows can't be offloaded");
        }
        Statement::Reject(_) if hook == Hook::Ingress => return None,
        _ => return None,
    };
    fields(expr)
        .into_iter()
        .find_map(|field| fib_misfit(field, hook))
}

/// `nft_fib_validate`: which lookups there are before and after routing.
fn fib_misfit(field: Field, hook: Hook) -> Option<&'static str> {
    let Field::Fib { key, result } = field else {
        return None;
    };
    let incoming = matches!(hook, Hook::Prerouting | Hook::Input | Hook::Forward);
    match result {
        FibResult::Oif | FibResult::OifExists | FibResult::Oifname if !incoming => {
            Some("there is no lookup of interfaces")
        }
        FibResult::Type if key.iif && !incoming => Some("`fib … iif type` has no interface"),
        FibResult::Type if key.oif && !matches!(hook, Hook::Output | Hook::Forward) => {
            Some("`fib … oif type` has no interface")
        }
        _ if hook == Hook::Ingress => Some("there is no `fib`"),
        _ => None,
    }
}
