//! What is at each place of a compiled ruleset that can let a flow in: a rule, the end of a base chain, a failsafe port.

use fw_common::ruleset::op;

use super::programs::Ready;
use super::store::Saved;
use crate::control::rules::{Names, Place};
use crate::rules::compile::{Compiled, Owner};
use crate::rules::ir::Ruleset;

impl Names {
    /// Those of a ruleset in force.
    #[must_use]
    pub fn of(saved: &Saved, ready: &Ready) -> Self {
        let failsafe: Vec<String> = saved.failsafe.iter().map(ToString::to_string).collect();
        Self {
            generation: saved.generation,
            places: places(&ready.ruleset, &ready.compiled, &failsafe),
        }
    }
}

/// In ascending order, none within another.
fn places(ruleset: &Ruleset, compiled: &Compiled, failsafe: &[String]) -> Vec<Place> {
    let rules = compiled.spans.iter().map(|span| {
        let chain = ruleset.tables[span.rule.table].chain(span.rule.chain);
        let handle = chain.rules[span.rule.rule].handle;
        let name = chain.shown();
        Place {
            from: span.start,
            to: span.end,
            name: format!("{name}#{handle}"),
        }
    });
    let mut places: Vec<Place> = rules.collect();
    places.extend(guards(compiled, failsafe));
    places.extend(policies(ruleset, compiled));
    places.sort_by_key(|place| place.from);
    places
}

/// The accepting instruction behind each failsafe port's counter.
fn guards<'a>(
    compiled: &'a Compiled,
    failsafe: &'a [String],
) -> impl Iterator<Item = Place> + use<'a> {
    let counts = (0..).zip(&compiled.program);
    counts.filter_map(move |(at, insn)| {
        let counter = (insn.op == op::COUNT).then(|| insn.a[0].checked_sub(1))??;
        match compiled.counters.get(counter as usize)?.owner {
            Owner::Failsafe(port) => Some(Place {
                from: at,
                to: at + 2,
                name: format!("failsafe {}", failsafe.get(port)?),
            }),
            _ => None,
        }
    })
}

/// What is behind the last rule of each base chain.
fn policies<'a>(
    ruleset: &'a Ruleset,
    compiled: &'a Compiled,
) -> impl Iterator<Item = Place> + use<'a> {
    let chains = &compiled.chains;
    let end = compiled.program.len() as u32;
    chains.iter().enumerate().filter_map(move |(at, place)| {
        let (start, table, id) = *place;
        let chain = ruleset.tables[table].chain(id);
        chain.base.as_ref()?;
        let to = chains.get(at + 1).map_or(end, |(next, ..)| *next);
        let before = compiled.spans.partition_point(|span| span.start < to);
        let last = before.checked_sub(1).map(|last| compiled.spans[last]);
        let from = last.map_or(start, |last| last.end.max(start));
        let name = chain.shown();
        (from < to).then(|| Place {
            from,
            to,
            name: format!("{name} policy"),
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::life::prepare;
    use crate::rules::System;
    use crate::rules::failsafe::Failsafe;

    const RULES: &str = "table inet fw {
        chain web { tcp dport { 80, 443 } accept; }
        chain input { type filter hook input priority 0; policy drop; iif lo accept; }
        chain forward {
            type filter hook forward priority 0;
            ct state vmap { established : accept, invalid : drop }
            jump web
            ip saddr 10.0.0.0/8 jump { udp dport 53 accept; }
        }
    }";

    /// What the instructions are of that accept, one after the other.
    fn accepting(rules: &str, failsafe: &[&str]) -> Vec<String> {
        let ports: Vec<Failsafe> = failsafe
            .iter()
            .map(|port| port.parse().expect("a port"))
            .collect();
        let ready = prepare(rules, false, &System::offline(ports, 100)).expect("rules");
        let texts: Vec<String> = failsafe.iter().map(|port| (*port).to_owned()).collect();
        let places = places(&ready.ruleset, &ready.compiled, &texts);
        assert!(places.is_sorted_by(|a, b| a.to <= b.from), "{places:?}");
        let program = (0..).zip(&ready.compiled.program);
        let accepting = program.filter(|(_, insn)| {
            matches!(
                insn.op,
                op::ACCEPT | op::VERDICT_MAP | op::RETURN | op::PASS
            )
        });
        let name = |at: u32| {
            let place = places
                .iter()
                .find(|place| (place.from..place.to).contains(&at));
            place.map_or_else(|| "-".to_owned(), |place| place.name.clone())
        };
        accepting.map(|(at, _)| name(at)).collect()
    }

    #[test]
    fn whatever_accepts_has_a_name() {
        let named: Vec<String> = accepting(RULES, &["tcp:22"])
            .into_iter()
            .filter(|name| name != "-")
            .collect();
        // The port has a guard for each family; what has no name are the ends of chains that others jump to, and of hooks.
        let expected = [
            "web#4",
            "input#5",
            "input policy",
            "forward#6",
            "forward policy",
            "__chain8#9",
            "failsafe tcp:22",
            "failsafe tcp:22",
        ];
        assert_eq!(named, expected);
    }
}
