//! Names of tables, chains, sets and objects, and what they stand for.

use super::{Resolve, Resolver};
use crate::rules::ast::{Name, TableRef};
use crate::rules::diag::{Diagnostic, did_you_mean};
use crate::rules::ir::{ChainId, CounterId, FlowtableId, LimitId, QuotaId, SetId};

impl Resolver<'_> {
    pub(super) fn find_table(&self, table: &TableRef) -> Option<usize> {
        self.drafts.iter().position(|draft| {
            draft.table.family == table.family && draft.table.name == table.name.text
        })
    }

    pub(super) fn table(&mut self, table: &TableRef) -> Resolve<usize> {
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

    pub(super) fn chain(&mut self, table: usize, name: &Name) -> Resolve<ChainId> {
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

    pub(super) fn set(&mut self, table: usize, name: &Name) -> Resolve<SetId> {
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

    pub(super) fn counter(&mut self, table: usize, name: &Name) -> Resolve<CounterId> {
        let names = &self.drafts[table].table.counters;
        let names: Vec<String> = names.iter().map(|object| object.name.clone()).collect();
        self.object(name, "counter", &names).map(CounterId)
    }

    pub(super) fn limit(&mut self, table: usize, name: &Name) -> Resolve<LimitId> {
        let names = &self.drafts[table].table.limits;
        let names: Vec<String> = names.iter().map(|object| object.name.clone()).collect();
        self.object(name, "limit", &names).map(LimitId)
    }

    pub(super) fn quota(&mut self, table: usize, name: &Name) -> Resolve<QuotaId> {
        let names = &self.drafts[table].table.quotas;
        let names: Vec<String> = names.iter().map(|object| object.name.clone()).collect();
        self.object(name, "quota", &names).map(QuotaId)
    }

    pub(super) fn flowtable(&mut self, table: usize, name: &Name) -> Resolve<FlowtableId> {
        let names = &self.drafts[table].table.flowtables;
        let names: Vec<String> = names.iter().map(|object| object.name.clone()).collect();
        self.object(name, "flowtable", &names).map(FlowtableId)
    }

    pub(super) fn object(&mut self, name: &Name, what: &str, names: &[String]) -> Resolve<usize> {
        if let Some(position) = names.iter().position(|known| *known == name.text) {
            return Ok(position);
        }
        let help = did_you_mean(&name.text, names.iter().map(String::as_str));
        let message = format!("no {what} `{}` in this table", name.text);
        self.fail(Diagnostic::error(name.span, message).maybe_help(help))
    }

    // Commands.
}
