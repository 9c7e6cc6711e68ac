//! What a ruleset declares and deletes: tables, chains, rules, objects.

use super::{Draft, Failed, Resolve, Resolver, prune};
use crate::rules::ast::{self, Name, Position, Thing};
use crate::rules::diag::Diagnostic;
use crate::rules::ir::{ChainId, CounterObject, Flowtable, LimitObject, QuotaObject, Rule};
use crate::rules::span::Span;

impl Resolver<'_> {
    /// As in nft, what a block declares is known in all of it: first the names, then the rules.
    pub(super) fn add_table(&mut self, block: ast::Table, create: bool) -> Resolve<()> {
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

    pub(super) fn declare_chain(
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

    pub(super) fn add_rules(
        &mut self,
        table: usize,
        chain: ChainId,
        rules: Vec<ast::Rule>,
    ) -> Resolve<()> {
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

    pub(super) fn place_rule(
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

    pub(super) fn add_object(
        &mut self,
        table: usize,
        object: ast::Object,
        create: bool,
    ) -> Resolve<()> {
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

    pub(super) fn delete(
        &mut self,
        table: usize,
        thing: Thing,
        name: &Name,
        maybe: bool,
    ) -> Resolve<()> {
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

pub(super) fn check_name(resolver: &mut Resolver<'_>, name: &Name) -> Resolve<()> {
    if name.text.len() >= LONGEST_NAME {
        return resolver.error(name.span, "name is too long: 255 bytes at most");
    }
    Ok(())
}
