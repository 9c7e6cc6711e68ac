//! From what was written to what it means: commands run one after the other on an empty ruleset, as
//! in nft's transaction; names become ids, texts become values of their fields' types.

mod compare;
mod declare;
mod deps;
mod elements;
mod expr;
mod hooks;
mod known;
mod names;
mod overlap;
mod prune;
mod rule;
mod set;
mod statement;
mod verify;

pub(super) use hooks::priorities;

use std::collections::HashMap;
use std::path::PathBuf;

use super::ast::{self, Command, Command as C, Thing};
use super::diag::{Diagnostic, Report};
use super::ir::{Chain, ChainId, Family, Ruleset, SetId, Source, Table};
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
}
