//! What is listed of a ruleset: its text and its counters.

use std::time::{Duration, SystemTime};

use fw_common::abi::Hits;
use jiff::Timestamp;

use super::error::LifeError;
use super::programs::Ready;
use super::store::Saved;
use crate::clock::TickClock;
use crate::control::rules::{Chain, Counted, Listing, Rule, Set, Style, Table};
use crate::maps::RulesetMaps;
use crate::rules::compile::{Owner, RuleId};
use crate::rules::failsafe::Failsafe;
use crate::rules::ir::{self, CounterRef, ObjectRef, Quota, Ruleset, Statement};
use crate::rules::{elements, print_ruleset};

/// A ruleset in force, and what it has counted up to now.
pub struct Live<'a> {
    saved: &'a Saved,
    ready: &'a Ready,
    hits: Vec<Hits>,
    /// The ruleset with the counts and elements of this moment.
    ruleset: Ruleset,
    clock: TickClock,
}

impl<'a> Live<'a> {
    /// Reads the counters.
    ///
    /// # Errors
    /// A map cannot be read.
    pub fn read(
        saved: &'a Saved,
        ready: &'a Ready,
        maps: &RulesetMaps,
        clock: TickClock,
    ) -> Result<Self, LifeError> {
        let hits = maps.hits(ready.compiled.counters.len())?;
        let mut ruleset = ready.ruleset.clone();
        for (counter, hits) in ready.compiled.counters.iter().zip(&hits) {
            note(&mut ruleset, counter.owner, hits);
        }
        let quotas = &ready.compiled.quotas;
        for (quota, used) in quotas.iter().zip(maps.quotas(quotas.len())?) {
            if let Some(quota) = quota_of(&mut ruleset, quota.owner) {
                // As `nft_quota_do_dump`: no more can be used up than there was.
                quota.used = used.min(quota.bytes);
            }
        }
        for (at, compiled) in ready.compiled.sets.iter().enumerate() {
            let set = &mut ruleset.tables[compiled.table].sets[compiled.id.0];
            // An anonymous set never changes; a map's data are not read back.
            if set.name.is_some() && set.data.is_none() {
                let entries = maps.entries(at, compiled, &clock)?;
                elements::refresh(set, compiled, &entries);
            }
        }
        Ok(Self {
            saved,
            ready,
            hits,
            ruleset,
            clock,
        })
    }

    /// What there is to say of it in short: of its tables the names only. Reads no set, which takes a while
    /// for large ones.
    ///
    /// # Errors
    /// A map cannot be read.
    pub fn outline(
        saved: &Saved,
        ready: &Ready,
        maps: &RulesetMaps,
        failsafe: &[Failsafe],
        left: Option<Duration>,
    ) -> Result<Listing, LifeError> {
        let hits = maps.hits(ready.compiled.counters.len())?;
        let tables = ready.ruleset.tables.iter().map(|table| Table {
            family: table.family.name().into(),
            name: table.name.clone(),
            ..Table::default()
        });
        Ok(Listing {
            generation: saved.generation,
            loaded: Some(saved.loaded),
            file: saved.file.clone(),
            observe: saved.observe,
            confirm: left.map(|left| left.as_secs()),
            failsafe: guarded(failsafe, ready, &hits),
            tables: tables.collect(),
        })
    }

    /// The ruleset as text.
    #[must_use]
    pub fn text(&self, style: Style) -> String {
        let style = crate::rules::Style {
            handles: style.handles,
            stateless: style.stateless,
            terse: style.terse,
        };
        print_ruleset(&self.ruleset, style)
    }

    /// The ruleset for programs.
    #[must_use]
    pub fn listing(&self, failsafe: &[Failsafe], left: Option<Duration>) -> Listing {
        Listing {
            generation: self.saved.generation,
            loaded: Some(self.saved.loaded),
            file: self.saved.file.clone(),
            observe: self.saved.observe,
            confirm: left.map(|left| left.as_secs()),
            failsafe: guarded(failsafe, self.ready, &self.hits),
            tables: (0..self.ruleset.tables.len())
                .map(|at| self.table(at))
                .collect(),
        }
    }

    fn table(&self, at: usize) -> Table {
        let table = &self.ruleset.tables[at];
        let named = table.chains.iter().enumerate();
        let chains =
            named.filter_map(|(chain, body)| Some(self.chain(at, chain, body, body.name.clone()?)));
        let sets = table.sets.iter().filter_map(|set| {
            Some(Set {
                name: set.name.clone()?,
                kind: key_type(set),
                size: set.elements.len() as u64,
            })
        });
        let counters = table.counters.iter().map(|counter| Counted {
            name: counter.name.clone(),
            packets: counter.packets,
            bytes: counter.bytes,
        });
        Table {
            family: table.family.name().into(),
            name: table.name.clone(),
            chains: chains.collect(),
            sets: sets.collect(),
            counters: counters.collect(),
        }
    }

    fn chain(&self, table: usize, at: usize, chain: &ir::Chain, name: String) -> Chain {
        let id = ir::ChainId(at);
        let policy = sum(self.ready, &self.hits, Owner::Policy(table, id));
        let rules = chain.rules.iter().enumerate().map(|(position, rule)| {
            let place = RuleId {
                table,
                chain: id,
                rule: position,
            };
            let hits = self.rule_hits(place);
            Rule {
                handle: rule.handle,
                text: rule.text.clone(),
                comment: rule.comment.clone(),
                packets: hits.tally.packets,
                bytes: hits.tally.bytes,
                last: self.moment(hits.last),
            }
        });
        let base = chain.base.as_ref();
        Chain {
            name,
            hook: base.map(|base| base.hook.name().into()),
            priority: base.map(|base| base.priority),
            policy: base.map(|base| base.policy.name().into()),
            packets: policy.tally.packets,
            bytes: policy.tally.bytes,
            rules: rules.collect(),
        }
    }

    /// What its first counter says, be it its own or one for listings.
    fn rule_hits(&self, place: RuleId) -> Hits {
        let counters = self.ready.compiled.counters.iter().zip(&self.hits);
        let mut of_rule = counters.filter(|(counter, _)| match counter.owner {
            Owner::Rule(rule) | Owner::Statement(rule, _) => rule == place,
            Owner::Named(..) | Owner::Policy(..) | Owner::Failsafe(_) => false,
        });
        of_rule.next().map_or(Hits::default(), |(_, hits)| *hits)
    }

    /// The time of a tick; none for never.
    fn moment(&self, tick: u64) -> Option<Timestamp> {
        let ago = self.clock.elapsed(tick, self.clock.now());
        let then = SystemTime::now().checked_sub(ago)?;
        Timestamp::try_from(then).ok().filter(|_| tick != 0)
    }
}

fn counted(name: String, hits: Hits) -> Counted {
    Counted {
        name,
        packets: hits.tally.packets,
        bytes: hits.tally.bytes,
    }
}

/// Puts what was counted where the ruleset's text shows it.
fn note(ruleset: &mut Ruleset, owner: Owner, hits: &Hits) {
    match owner {
        Owner::Statement(RuleId { table, chain, rule }, at) => {
            let rule = &mut ruleset.tables[table].chains[chain.0].rules[rule];
            if let Some(Statement::Counter(CounterRef::Own { packets, bytes })) =
                rule.statements.get_mut(at)
            {
                (*packets, *bytes) = (hits.tally.packets, hits.tally.bytes);
            }
        }
        Owner::Named(table, at) => {
            let counter = &mut ruleset.tables[table].counters[at];
            (counter.packets, counter.bytes) = (hits.tally.packets, hits.tally.bytes);
        }
        Owner::Rule(_) | Owner::Policy(..) | Owner::Failsafe(_) => {}
    }
}

/// Where the ruleset's text shows a quota.
fn quota_of(ruleset: &mut Ruleset, owner: Owner) -> Option<&mut Quota> {
    match owner {
        Owner::Statement(RuleId { table, chain, rule }, at) => {
            let rule = &mut ruleset.tables[table].chains[chain.0].rules[rule];
            match rule.statements.get_mut(at)? {
                Statement::Quota(ObjectRef::Own(quota)) => Some(quota),
                _ => None,
            }
        }
        Owner::Named(table, at) => Some(&mut ruleset.tables[table].quotas[at].quota),
        Owner::Rule(_) | Owner::Policy(..) | Owner::Failsafe(_) => None,
    }
}

/// The type of a set's keys, as `type …` says it.
fn key_type(set: &ir::Set) -> String {
    let parts: Vec<&str> = set.key.iter().map(|part| part.name()).collect();
    parts.join(" . ")
}

/// What was counted for each failsafe port.
fn guarded(ports: &[Failsafe], ready: &Ready, hits: &[Hits]) -> Vec<Counted> {
    let ports = ports.iter().enumerate();
    ports
        .map(|(at, port)| counted(port.to_string(), sum(ready, hits, Owner::Failsafe(at))))
        .collect()
}

/// What was counted for one.
fn sum(ready: &Ready, hits: &[Hits], owner: Owner) -> Hits {
    let counters = ready.compiled.counters.iter().zip(hits);
    let found = counters.filter(|(counter, _)| counter.owner == owner);
    found.fold(Hits::default(), |sum, (_, hits)| sum.and(hits))
}
