//! From what was written to what it means: commands run one after the other on an empty ruleset, as
//! in nft's transaction; names become ids, texts become values of their fields' types.

mod compare;
mod deps;
mod elements;
mod expr;
mod hooks;
mod overlap;
mod prune;
mod rule;
mod set;
mod statement;
mod verify;

pub(super) use hooks::priorities;

use std::collections::HashMap;
use std::path::PathBuf;

use super::ast::{self, Command, Command as C, Name, Position, TableRef, Thing};
use super::diag::{Diagnostic, Report, did_you_mean};
use super::ir::{
    Chain, ChainId, CounterId, CounterObject, Family, Flowtable, FlowtableId, LimitId, LimitObject,
    QuotaId, QuotaObject, Rule, Ruleset, SetId, Source, Table,
};
use super::parse::MOST_ELEMENTS;
use super::span::Span;

/// A mistake was found and reported.
#[derive(Clone, Copy, Debug)]
struct Failed;

type Resolve<T> = Result<T, Failed>;

/// Rules of all chains together.
const MOST_RULES: usize = 1 << 20;

/// A table that is being put together.
struct Draft {
    table: Table,
    chains: HashMap<String, ChainId>,
    sets: HashMap<String, SetId>,
    /// Where each chain was first named, and each rule stands, for messages about them.
    chain_spans: Vec<Span>,
    rule_spans: HashMap<u64, Span>,
    next_handle: u64,
}

impl Draft {
    fn new(family: Family, name: &str) -> Self {
        Self {
            table: Table::new(family, name),
            chains: HashMap::new(),
            sets: HashMap::new(),
            chain_spans: Vec::new(),
            rule_spans: HashMap::new(),
            next_handle: 1,
        }
    }

    fn handle(&mut self) -> u64 {
        let handle = self.next_handle;
        self.next_handle += 1;
        handle
    }

    /// A new chain; without a name for the body of `jump { … }`.
    fn add_chain(&mut self, name: Option<&str>, span: Span) -> ChainId {
        let id = ChainId(self.table.chains.len());
        let handle = self.handle();
        self.table.chains.push(Chain {
            name: name.map(str::to_owned),
            handle,
            base: None,
            comment: None,
            rules: Vec::new(),
        });
        self.chain_spans.push(span);
        if let Some(name) = name {
            self.chains.insert(name.to_owned(), id);
        }
        id
    }
}

/// Runs the commands; a ruleset comes out even if there were mistakes, which the report tells.
pub(super) fn run(report: &mut Report, commands: Vec<Command>) -> Ruleset {
    let mut resolver = Resolver {
        report,
        drafts: Vec::new(),
        elements_left: MOST_ELEMENTS,
        rules_left: MOST_RULES,
    };
    for command in commands {
        if resolver.report.is_full() {
            break;
        }
        let _: Resolve<()> = resolver.command(command);
    }
    resolver.finish()
}

struct Resolver<'a> {
    report: &'a mut Report,
    drafts: Vec<Draft>,
    elements_left: usize,
    rules_left: usize,
}

impl Resolver<'_> {
    fn fail<T>(&mut self, message: Diagnostic) -> Resolve<T> {
        self.report.push(message);
        Err(Failed)
    }

    fn error<T>(&mut self, span: Span, message: impl Into<String>) -> Resolve<T> {
        self.fail(Diagnostic::error(span, message))
    }

    fn text(&self, span: Span) -> &str {
        self.report.sources.text(span)
    }

    fn source(&self, span: Span) -> Source {
        let (line, column) = self.report.sources.position(span);
        Source {
            file: span.file.0 as usize,
            line,
            column,
        }
    }

    fn finish(mut self) -> Ruleset {
        for index in 0..self.drafts.len() {
            self.verify(index);
        }
        let mut tables: Vec<Table> = self.drafts.into_iter().map(|draft| draft.table).collect();
        for table in &mut tables {
            prune::prune(table);
        }
        let names = self.report.sources.iter();
        Ruleset {
            tables,
            files: names.map(|file| PathBuf::from(&file.name)).collect(),
        }
    }

    // Names.

    fn find_table(&self, table: &TableRef) -> Option<usize> {
        self.drafts.iter().position(|draft| {
            draft.table.family == table.family && draft.table.name == table.name.text
        })
    }

    fn table(&mut self, table: &TableRef) -> Resolve<usize> {
        if let Some(index) = self.find_table(table) {
            return Ok(index);
        }
        let family = table.family.name();
        let names = self.drafts.iter().map(|draft| draft.table.name.as_str());
        let elsewhere = self
            .drafts
            .iter()
            .find(|draft| draft.table.name == table.name.text);
        let help = match elsewhere {
            Some(draft) => Some(format!(
                "there is a table `{} {}`: say its family",
                draft.table.family.name(),
                draft.table.name
            )),
            None => did_you_mean(&table.name.text, names),
        };
        let message = format!("no table `{family} {}`", table.name.text);
        let message = Diagnostic::error(table.name.span, message).maybe_help(help);
        self.fail(message)
    }

    fn chain(&mut self, table: usize, name: &Name) -> Resolve<ChainId> {
        let draft = &self.drafts[table];
        if let Some(id) = draft.chains.get(&name.text) {
            return Ok(*id);
        }
        let known = draft.chains.keys().map(String::as_str);
        let help = did_you_mean(&name.text, known);
        let message = format!("no chain `{}` in this table", name.text);
        let message = Diagnostic::error(name.span, message).maybe_help(help);
        self.fail(message)
    }

    fn set(&mut self, table: usize, name: &Name) -> Resolve<SetId> {
        let draft = &self.drafts[table];
        if let Some(id) = draft.sets.get(&name.text) {
            return Ok(*id);
        }
        let known = draft.sets.keys().map(String::as_str);
        let help = did_you_mean(&name.text, known);
        let message = format!("no set `{}` in this table", name.text);
        let message = Diagnostic::error(name.span, message).maybe_help(help);
        self.fail(message)
    }

    fn counter(&mut self, table: usize, name: &Name) -> Resolve<CounterId> {
        let names = &self.drafts[table].table.counters;
        let names: Vec<String> = names.iter().map(|object| object.name.clone()).collect();
        self.object(name, "counter", &names).map(CounterId)
    }

    fn limit(&mut self, table: usize, name: &Name) -> Resolve<LimitId> {
        let names = &self.drafts[table].table.limits;
        let names: Vec<String> = names.iter().map(|object| object.name.clone()).collect();
        self.object(name, "limit", &names).map(LimitId)
    }

    fn quota(&mut self, table: usize, name: &Name) -> Resolve<QuotaId> {
        let names = &self.drafts[table].table.quotas;
        let names: Vec<String> = names.iter().map(|object| object.name.clone()).collect();
        self.object(name, "quota", &names).map(QuotaId)
    }

    fn flowtable(&mut self, table: usize, name: &Name) -> Resolve<FlowtableId> {
        let names = &self.drafts[table].table.flowtables;
        let names: Vec<String> = names.iter().map(|object| object.name.clone()).collect();
        self.object(name, "flowtable", &names).map(FlowtableId)
    }

    fn object(&mut self, name: &Name, what: &str, names: &[String]) -> Resolve<usize> {
        if let Some(position) = names.iter().position(|known| *known == name.text) {
            return Ok(position);
        }
        let help = did_you_mean(&name.text, names.iter().map(String::as_str));
        let message = format!("no {what} `{}` in this table", name.text);
        self.fail(Diagnostic::error(name.span, message).maybe_help(help))
    }

    // Commands.

    fn command(&mut self, command: Command) -> Resolve<()> {
        match command {
            C::Table(block, create) => self.add_table(block, create),
            C::Chain(table, chain, create) => {
                let table = self.table(&table)?;
                let id = self.declare_chain(table, &chain, create)?;
                self.add_rules(table, id, chain.rules)
            }
            C::Rule(table, chain, position, rule) => {
                let table = self.table(&table)?;
                let chain = self.chain(table, &chain)?;
                self.place_rule(table, chain, position, &rule)
            }
            C::Set(table, set, create) => {
                let table = self.table(&table)?;
                self.add_set(table, set, create)
            }
            C::Elements(table, name, elements, create) => {
                let table = self.table(&table)?;
                let set = self.set(table, &name)?;
                self.add_elements(table, set, &elements, create)
            }
            C::DeleteElements(table, name, elements) => {
                let table = self.table(&table)?;
                let set = self.set(table, &name)?;
                self.delete_elements(table, set, &elements)
            }
            C::Object(table, object, create) => {
                let table = self.table(&table)?;
                self.add_object(table, object, create)
            }
            C::DeleteTable(table, maybe) => match self.find_table(&table) {
                Some(index) => {
                    self.drafts.remove(index);
                    Ok(())
                }
                None if maybe => Ok(()),
                None => self.table(&table).map(|_| ()),
            },
            C::Delete(table, thing, name, maybe) => {
                if maybe && self.find_table(&table).is_none() {
                    return Ok(());
                }
                let table = self.table(&table)?;
                self.delete(table, thing, &name, maybe)
            }
            C::FlushRuleset(family) => {
                self.drafts
                    .retain(|draft| family.is_some_and(|family| draft.table.family != family));
                Ok(())
            }
            C::FlushTable(table) => {
                let table = self.table(&table)?;
                let chains = &mut self.drafts[table].table.chains;
                chains.iter_mut().for_each(|chain| chain.rules.clear());
                Ok(())
            }
            C::FlushChain(table, name) => {
                let table = self.table(&table)?;
                let chain = self.chain(table, &name)?;
                self.drafts[table].table.chains[chain.0].rules.clear();
                Ok(())
            }
            C::FlushSet(table, name) => {
                let table = self.table(&table)?;
                let set = self.set(table, &name)?;
                self.drafts[table].table.sets[set.0].elements.clear();
                Ok(())
            }
        }
    }

    /// As in nft, what a block declares is known in all of it: first the names, then the rules.
    fn add_table(&mut self, block: ast::Table, create: bool) -> Resolve<()> {
        let found = self.find_table(&block.table);
        if create && found.is_some() {
            let name = &block.table.name;
            return self.error(name.span, format!("table `{}` exists already", name.text));
        }
        check_name(self, &block.table.name)?;
        let table = found.unwrap_or_else(|| {
            let draft = Draft::new(block.table.family, &block.table.name.text);
            self.drafts.push(draft);
            self.drafts.len() - 1
        });
        let draft = &mut self.drafts[table].table;
        draft.dormant |= block.dormant;
        if block.comment.is_some() {
            draft.comment = block.comment;
        }
        let mut declared = Vec::new();
        for chain in block.chains {
            if let Ok(id) = self.declare_chain(table, &chain, false) {
                declared.push((id, chain.rules));
            }
        }
        for object in block.objects {
            let _: Resolve<()> = self.add_object(table, object, false);
        }
        for set in block.sets {
            let _: Resolve<()> = self.add_set(table, set, false);
        }
        for (id, rules) in declared {
            self.add_rules(table, id, rules)?;
        }
        Ok(())
    }

    fn declare_chain(
        &mut self,
        table: usize,
        chain: &ast::Chain,
        create: bool,
    ) -> Resolve<ChainId> {
        let name = &chain.name;
        check_name(self, name)?;
        let known = self.drafts[table].chains.get(&name.text).copied();
        if create && known.is_some() {
            return self.error(name.span, format!("chain `{}` exists already", name.text));
        }
        let id = match known {
            Some(id) => id,
            None => self.drafts[table].add_chain(Some(&name.text), name.span),
        };
        self.hook_in(table, id, chain)?;
        if chain.comment.is_some() {
            self.drafts[table].table.chains[id.0].comment = chain.comment.clone();
        }
        Ok(id)
    }

    fn add_rules(&mut self, table: usize, chain: ChainId, rules: Vec<ast::Rule>) -> Resolve<()> {
        for rule in rules {
            if self.report.is_full() {
                return Err(Failed);
            }
            if let Ok(rule) = self.rule(table, chain, &rule) {
                self.drafts[table].table.chains[chain.0].rules.push(rule);
            }
        }
        Ok(())
    }

    fn place_rule(
        &mut self,
        table: usize,
        chain: ChainId,
        position: Position,
        rule: &ast::Rule,
    ) -> Resolve<()> {
        let resolved = self.rule(table, chain, rule)?;
        let count = self.drafts[table].table.chains[chain.0].rules.len();
        let index = |index: Option<(u64, Span)>| {
            index.map(|(index, span)| (usize::try_from(index).unwrap_or(usize::MAX), span))
        };
        let (place, span) = match position {
            Position::Add(None) => (count, rule.span),
            Position::Insert(None) => (0, rule.span),
            Position::Add(at) => {
                let (at, span) = index(at).unwrap_or((count, rule.span));
                (at.saturating_add(1), span)
            }
            Position::Insert(at) => {
                let (at, span) = index(at).unwrap_or((0, rule.span));
                (if at < count { at } else { usize::MAX }, span)
            }
        };
        if place > count {
            return self.error(
                span,
                format!("no rule of that index: the chain has {count}"),
            );
        }
        let rules: &mut Vec<Rule> = &mut self.drafts[table].table.chains[chain.0].rules;
        rules.insert(place, resolved);
        Ok(())
    }

    fn add_object(&mut self, table: usize, object: ast::Object, create: bool) -> Resolve<()> {
        check_name(self, &object.name)?;
        let priority = match &object.kind {
            ast::ObjectKind::Flowtable {
                priority_name,
                priority,
                ..
            } => self.flowtable_priority(priority_name.as_ref(), *priority, object.name.span)?,
            _ => 0,
        };
        let draft = &mut self.drafts[table];
        let handle = draft.handle();
        let ast::Object {
            name,
            comment,
            kind,
        } = object;
        let table = &mut draft.table;
        let new = match kind {
            ast::ObjectKind::Counter(packets, bytes) => {
                let new = !table.counters.iter().any(|known| known.name == name.text);
                if new {
                    table.counters.push(CounterObject {
                        name: name.text.clone(),
                        handle,
                        comment,
                        packets,
                        bytes,
                    });
                }
                new
            }
            ast::ObjectKind::Limit(limit) => {
                let known = table
                    .limits
                    .iter_mut()
                    .find(|known| known.name == name.text);
                let new = known.is_none();
                if let Some(known) = known {
                    known.limit = limit;
                } else {
                    table.limits.push(LimitObject {
                        name: name.text.clone(),
                        handle,
                        comment,
                        limit,
                    });
                }
                new
            }
            ast::ObjectKind::Quota(quota) => {
                let known = table
                    .quotas
                    .iter_mut()
                    .find(|known| known.name == name.text);
                let new = known.is_none();
                if let Some(known) = known {
                    known.quota = quota;
                } else {
                    table.quotas.push(QuotaObject {
                        name: name.text.clone(),
                        handle,
                        comment,
                        quota,
                    });
                }
                new
            }
            ast::ObjectKind::Flowtable {
                devices,
                counter,
                offload,
                ..
            } => {
                let new = !table.flowtables.iter().any(|known| known.name == name.text);
                if new {
                    table.flowtables.push(Flowtable {
                        name: name.text.clone(),
                        handle,
                        priority,
                        devices: devices.into_iter().map(|device| device.text).collect(),
                        counter,
                        offload,
                    });
                }
                new
            }
        };
        if create && !new {
            return self.error(name.span, format!("`{}` exists already", name.text));
        }
        Ok(())
    }

    fn delete(&mut self, table: usize, thing: Thing, name: &Name, maybe: bool) -> Resolve<()> {
        let draft = &self.drafts[table];
        let there = match thing {
            Thing::Chain => draft.chains.contains_key(&name.text),
            Thing::Set | Thing::Map | Thing::Meter => draft.sets.contains_key(&name.text),
            Thing::Counter => draft.table.counters.iter().any(|one| one.name == name.text),
            Thing::Limit => draft.table.limits.iter().any(|one| one.name == name.text),
            Thing::Quota => draft.table.quotas.iter().any(|one| one.name == name.text),
            Thing::Flowtable => draft
                .table
                .flowtables
                .iter()
                .any(|one| one.name == name.text),
        };
        if !there {
            if maybe {
                return Ok(());
            }
            return self.error(name.span, format!("there is no `{}` to delete", name.text));
        }
        match prune::delete(&mut self.drafts[table], thing, &name.text) {
            Ok(()) => Ok(()),
            Err(prune::InUse) => {
                let message = Diagnostic::error(name.span, format!("`{}` is in use", name.text))
                    .help("flush the chains that use it first");
                self.fail(message)
            }
        }
    }
}

/// NFT_NAME_MAXLEN, with the terminating zero.
const LONGEST_NAME: usize = 256;

fn check_name(resolver: &mut Resolver<'_>, name: &Name) -> Resolve<()> {
    if name.text.len() >= LONGEST_NAME {
        return resolver.error(name.span, "name is too long: 255 bytes at most");
    }
    Ok(())
}
