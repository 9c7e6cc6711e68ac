//! Rulesets as the resolver would make them, in few words.

use fw_user::rules::compile::{Compiled, NoInterfaces, compile};
use fw_user::rules::ir::{
    BaseChain, Chain, CounterRef, CtField, Expr, Family, Field, Header, Hook, Match, Meta, Op,
    Pattern, Policy, Right, Rule, Ruleset, Set, Source, Statement, Table, Verdict,
};

pub(crate) fn equals(field: Field, value: u128) -> Statement {
    compares(field, Op::Eq, Right::Patterns(vec![Pattern::Exact(value)]))
}

pub(crate) fn compares(field: Field, op: Op, right: Right) -> Statement {
    Statement::Match(Match {
        left: Expr::Field(field),
        op,
        right,
        implied: false,
    })
}

pub(crate) fn counter() -> Statement {
    Statement::Counter(CounterRef::Own {
        packets: 0,
        bytes: 0,
    })
}

pub(crate) const ACCEPT: Statement = Statement::Verdict(Verdict::Accept);

pub(crate) fn rule(statements: Vec<Statement>) -> Rule {
    Rule {
        handle: 0,
        source: Source::default(),
        text: String::new(),
        comment: None,
        statements,
    }
}

pub(crate) fn base(hook: Hook, policy: Policy, rules: Vec<Rule>) -> Chain {
    Chain {
        base: Some(BaseChain {
            hook,
            priority: 0,
            policy,
            devices: Vec::new(),
        }),
        ..regular(rules)
    }
}

pub(crate) fn regular(rules: Vec<Rule>) -> Chain {
    Chain {
        name: None,
        handle: 0,
        base: None,
        comment: None,
        rules,
    }
}

pub(crate) fn ruleset(chains: Vec<Chain>, sets: Vec<Set>) -> Ruleset {
    let mut table = Table::new(Family::Inet, "t");
    table.chains = chains;
    table.sets = sets;
    Ruleset {
        tables: vec![table],
        files: Vec::new(),
    }
}

pub(crate) fn compiled(ruleset: &Ruleset) -> Compiled {
    compile(ruleset, &NoInterfaces).expect("a ruleset that compiles")
}

pub(crate) const STATE: Field = Field::Ct(CtField::State, None);
pub(crate) const PROTOCOL: Field = Field::Meta(Meta::L4proto);
pub(crate) const DPORT: Field = Field::Header(Header::TcpDport);

/// Established flows, new ones to port 22, nothing else; each counted.
pub(crate) fn ssh_only() -> Ruleset {
    let rules = vec![
        rule(vec![equals(STATE, 2), counter(), ACCEPT]),
        rule(vec![
            equals(PROTOCOL, 6),
            equals(DPORT, 22),
            equals(STATE, 8),
            counter(),
            ACCEPT,
        ]),
        rule(vec![counter()]),
    ];
    ruleset(vec![base(Hook::Input, Policy::Drop, rules)], Vec::new())
}
