//! The way of one packet through a compiled ruleset: the rules that it met, in nft's words.

use fw_common::ruleset::{Entry, Facts, Insn, Machine, Outcome, op};

use crate::rules::compile::{Compiled, Owner, RuleId, Span};
use crate::rules::host::Host;
use crate::rules::ir::{ChainId, Policy, Ruleset};

/// One line of the way.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Step {
    /// Family and name of the table; empty for what stands before all tables.
    pub table: String,
    /// The chain.
    pub chain: String,
    /// What was met there.
    pub what: What,
    /// `accept`, `drop`, `continue`, `jump chain`, …
    pub verdict: String,
}

/// What a packet met.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum What {
    /// A rule that matched.
    Rule {
        /// Its handle.
        handle: u64,
        /// Its text.
        text: String,
        /// Its comment.
        comment: Option<String>,
    },
    /// The end of a base chain.
    Policy,
    /// A failsafe port.
    Failsafe(String),
}

impl std::fmt::Display for Step {
    /// The line that `nft monitor trace` prints behind the id.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self {
            table,
            chain,
            what,
            verdict,
        } = self;
        match what {
            What::Rule { text, comment, .. } => {
                write!(f, "{table} {chain} rule {text}")?;
                if let Some(comment) = comment {
                    write!(f, " comment \"{comment}\"")?;
                }
                write!(f, " (verdict {verdict})")
            }
            What::Policy => write!(f, "{table} {chain} policy {verdict}"),
            What::Failsafe(port) => write!(f, "failsafe {port} (verdict {verdict})"),
        }
    }
}

/// A ruleset that packets are sent through one after the other.
pub struct Walker<'a> {
    ruleset: &'a Ruleset,
    compiled: &'a Compiled,
    /// Texts of the failsafe ports.
    failsafe: Vec<String>,
}

impl<'a> Walker<'a> {
    /// For packets through `compiled`, which was made of `ruleset`.
    #[must_use]
    pub fn new(ruleset: &'a Ruleset, compiled: &'a Compiled, failsafe: Vec<String>) -> Self {
        Self {
            ruleset,
            compiled,
            failsafe,
        }
    }

    /// Sends a packet through the chains of a hook; notes what it meets.
    pub fn walk(
        &self,
        host: &mut Host<'_>,
        entry: Entry,
        v6: bool,
        facts: Facts,
        steps: &mut Vec<Step>,
    ) -> Machine {
        let mut turns: Vec<Turn> = Vec::new();
        let machine = host.evaluate(entry, v6, facts, |pc, machine| {
            if let Some(before) = turns.last_mut() {
                before.next = Some(pc);
            }
            turns.push(Turn {
                pc,
                depth: machine.depth,
                next: None,
            });
        });
        self.read(&turns, machine.outcome(), steps);
        machine
    }

    /// Finds the rules in a row of instructions. Those that neither decide nor do anything may be missing.
    pub fn read(&self, turns: &[Turn], outcome: Outcome, steps: &mut Vec<Step>) {
        let mut base = None;
        for turn in turns {
            let Some(insn) = self.compiled.program.get(turn.pc as usize) else {
                continue;
            };
            let next = turn.next;
            if insn.op == op::BASE {
                base = self.chain_at(insn.a[0]);
            }
            if let Some(span) = self.span_at(turn.pc) {
                if let Some(verdict) = self.matched(insn, turn.pc, next, &span, outcome) {
                    steps.push(self.rule(span.rule, verdict));
                    if insn.op == op::RETURN && turn.depth == 0 {
                        steps.extend(base.map(|base| self.policy(base)));
                    }
                }
                continue;
            }
            match insn.op {
                op::RETURN if turn.depth == 0 => steps.extend(base.map(|base| self.policy(base))),
                op::COUNT => steps.extend(self.failsafe(insn.a[0])),
                _ => {}
            }
        }
    }

    /// The verdict of a rule whose instruction at `pc` was run, if that is what ended it.
    fn matched(
        &self,
        insn: &Insn,
        pc: u32,
        next: Option<u32>,
        span: &Span,
        outcome: Outcome,
    ) -> Option<String> {
        let plain = match insn.op {
            op::ACCEPT => "accept",
            op::DROP => "drop",
            op::RETURN => "return",
            op::CONTINUE => "continue",
            op::REJECT => "drop",
            op::JUMP | op::GOTO => return self.led(insn, span),
            op::VERDICT_MAP => return self.mapped(insn, pc, next, outcome),
            op::COUNT | op::LOG | op::NOTRACK | op::SET_MARK | op::SET_CT_MARK | op::UPDATE
                if pc + 1 == span.end && next == Some(span.end) =>
            {
                "continue"
            }
            _ => return None,
        };
        Some(plain.into())
    }

    fn led(&self, insn: &Insn, span: &Span) -> Option<String> {
        let target = insn.a[0];
        // Within the rule it is a step of its own, not of the ruleset.
        if (span.start..=span.end).contains(&target) {
            return None;
        }
        let word = if insn.op == op::JUMP { "jump" } else { "goto" };
        Some(self.to_chain(word, target))
    }

    fn to_chain(&self, word: &str, target: u32) -> String {
        match self.chain_at(target) {
            Some((table, chain)) => format!("{word} {}", self.chain_name(table, chain)),
            None => word.into(),
        }
    }

    /// What the element of a verdict map said: seen from where the packet went.
    fn mapped(&self, insn: &Insn, pc: u32, next: Option<u32>, outcome: Outcome) -> Option<String> {
        match next {
            None if outcome == Outcome::Drop => Some("drop".into()),
            None => Some("accept".into()),
            Some(next) if next == insn.next => None,
            Some(next) if next == pc + 1 => Some("continue".into()),
            Some(next) if self.chain_at(next).is_some() => Some(self.to_chain("jump", next)),
            Some(_) => Some("accept".into()),
        }
    }

    fn span_at(&self, pc: u32) -> Option<Span> {
        let spans = &self.compiled.spans;
        let next = spans.partition_point(|span| span.start <= pc);
        let span = spans.get(next.checked_sub(1)?)?;
        (pc < span.end).then_some(*span)
    }

    /// The chain that begins at an address.
    fn chain_at(&self, address: u32) -> Option<(usize, ChainId)> {
        let chains = &self.compiled.chains;
        // Chains without rules still have an end, so no two begin at one address.
        let at = chains.binary_search_by_key(&address, |(start, ..)| *start);
        chains
            .get(at.ok()?)
            .map(|(_, table, chain)| (*table, *chain))
    }

    fn rule(&self, id: RuleId, verdict: String) -> Step {
        let rule = &self.ruleset.tables[id.table].chains[id.chain.0].rules[id.rule];
        Step {
            table: self.table_name(id.table),
            chain: self.chain_name(id.table, id.chain),
            what: What::Rule {
                handle: rule.handle,
                text: rule.text.clone(),
                comment: rule.comment.clone(),
            },
            verdict,
        }
    }

    fn policy(&self, (table, chain): (usize, ChainId)) -> Step {
        let base = self.ruleset.tables[table].chain(chain).base.as_ref();
        let policy = base.map_or(Policy::Accept, |base| base.policy);
        Step {
            table: self.table_name(table),
            chain: self.chain_name(table, chain),
            what: What::Policy,
            verdict: policy.name().into(),
        }
    }

    /// The failsafe port whose counter that is.
    fn failsafe(&self, counter: u32) -> Option<Step> {
        let counter = self
            .compiled
            .counters
            .get(counter.checked_sub(1)? as usize)?;
        let Owner::Failsafe(at) = counter.owner else {
            return None;
        };
        Some(Step {
            table: String::new(),
            chain: String::new(),
            what: What::Failsafe(self.failsafe.get(at)?.clone()),
            verdict: "accept".into(),
        })
    }

    fn table_name(&self, table: usize) -> String {
        let table = &self.ruleset.tables[table];
        format!("{} {}", table.family.name(), table.name)
    }

    fn chain_name(&self, table: usize, chain: ChainId) -> String {
        self.ruleset.tables[table].chain(chain).shown()
    }
}

/// An instruction that was run.
#[derive(Clone, Copy, Debug)]
pub struct Turn {
    /// Its index.
    pub pc: u32,
    /// How many jumps led to it.
    pub depth: u32,
    /// The one that was run next, if it was not the last.
    pub next: Option<u32>,
}
