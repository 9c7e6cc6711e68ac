//! Removing what a table no longer needs: ids are positions, so all that refer to later ones move.

use super::{Draft, Thing};
use crate::rules::ir::{CounterRef, Data, Expr, ObjectRef, Right, Statement, Table, Verdict};

/// Something still refers to what should go.
#[derive(Clone, Copy, Debug)]
pub(super) struct InUse;

/// What an id is of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Chain,
    Set,
    Counter,
    Limit,
    Quota,
    Flowtable,
}

impl From<Thing> for Kind {
    fn from(thing: Thing) -> Self {
        match thing {
            Thing::Chain => Self::Chain,
            Thing::Set | Thing::Map | Thing::Meter => Self::Set,
            Thing::Counter => Self::Counter,
            Thing::Limit => Self::Limit,
            Thing::Quota => Self::Quota,
            Thing::Flowtable => Self::Flowtable,
        }
    }
}

type Visit<'a> = &'a mut dyn FnMut(Kind, &mut usize);

/// Calls back for each id that something in the table refers to.
fn each_id(table: &mut Table, visit: Visit<'_>) {
    for rule in table.chains.iter_mut().flat_map(|chain| &mut chain.rules) {
        for statement in &mut rule.statements {
            statement_ids(statement, visit);
        }
    }
    for element in table.sets.iter_mut().flat_map(|set| &mut set.elements) {
        match &mut element.data {
            Some(Data::Verdict(verdict)) => verdict_ids(verdict, visit),
            Some(Data::Counter(id)) => visit(Kind::Counter, &mut id.0),
            Some(Data::Limit(id)) => visit(Kind::Limit, &mut id.0),
            Some(Data::Quota(id)) => visit(Kind::Quota, &mut id.0),
            Some(Data::Value(_)) | None => {}
        }
    }
}

fn verdict_ids(verdict: &mut Verdict, visit: Visit<'_>) {
    if let Verdict::Jump(id) | Verdict::Goto(id) = verdict {
        visit(Kind::Chain, &mut id.0);
    }
}

fn expr_ids(expr: &mut Expr, visit: Visit<'_>) {
    match expr {
        Expr::Map { key, map } => {
            expr_ids(key, visit);
            visit(Kind::Set, &mut map.0);
        }
        Expr::Bitwise { expr, .. } | Expr::Shift { expr, .. } => expr_ids(expr, visit),
        Expr::Concat(parts) => parts.iter_mut().for_each(|part| expr_ids(part, visit)),
        Expr::Field(_) | Expr::Constant(..) => {}
    }
}

fn statement_ids(statement: &mut Statement, visit: Visit<'_>) {
    match statement {
        Statement::Match(one) => {
            expr_ids(&mut one.left, visit);
            if let Right::Set(id) = &mut one.right {
                visit(Kind::Set, &mut id.0);
            }
        }
        Statement::Verdict(verdict) => verdict_ids(verdict, visit),
        Statement::VerdictMap { key, map } => {
            expr_ids(key, visit);
            visit(Kind::Set, &mut map.0);
        }
        Statement::Counter(CounterRef::Named(id)) => visit(Kind::Counter, &mut id.0),
        Statement::Limit(ObjectRef::Named(id)) => visit(Kind::Limit, &mut id.0),
        Statement::Quota(ObjectRef::Named(id)) => visit(Kind::Quota, &mut id.0),
        Statement::Counter(CounterRef::Map { key, map })
        | Statement::Limit(ObjectRef::Map { key, map })
        | Statement::Quota(ObjectRef::Map { key, map }) => {
            expr_ids(key, visit);
            visit(Kind::Set, &mut map.0);
        }
        Statement::SetCtMark(expr) | Statement::SetMark(expr) => expr_ids(expr, visit),
        Statement::SetUpdate { set, key, data, .. } => {
            visit(Kind::Set, &mut set.0);
            expr_ids(key, visit);
            if let Some(data) = data {
                expr_ids(data, visit);
            }
        }
        Statement::FlowOffload(id) => visit(Kind::Flowtable, &mut id.0),
        Statement::Reject(_)
        | Statement::Counter(CounterRef::Own { .. })
        | Statement::Limit(ObjectRef::Own(_))
        | Statement::Quota(ObjectRef::Own(_))
        | Statement::CtCount(_)
        | Statement::Log(_)
        | Statement::Notrack => {}
    }
}

/// Removes one thing by its name, if it is there.
pub(super) fn delete(draft: &mut Draft, thing: Thing, name: &str) -> Result<(), InUse> {
    let table = &mut draft.table;
    let position = match thing {
        Thing::Chain => draft.chains.get(name).map(|id| id.0),
        Thing::Set | Thing::Map | Thing::Meter => draft.sets.get(name).map(|id| id.0),
        Thing::Counter => table.counters.iter().position(|one| one.name == name),
        Thing::Limit => table.limits.iter().position(|one| one.name == name),
        Thing::Quota => table.quotas.iter().position(|one| one.name == name),
        Thing::Flowtable => table.flowtables.iter().position(|one| one.name == name),
    };
    let Some(position) = position else {
        return Ok(());
    };
    let wanted = Kind::from(thing);
    let mut used = false;
    each_id(table, &mut |kind, id| {
        used |= kind == wanted && *id == position;
    });
    if used {
        return Err(InUse);
    }
    match wanted {
        Kind::Chain => {
            table.chains.remove(position);
            draft.chain_spans.remove(position);
            draft.chains.remove(name);
            draft
                .chains
                .values_mut()
                .for_each(|id| close_gap(&mut id.0, position));
        }
        Kind::Set => {
            table.sets.remove(position);
            draft.sets.remove(name);
            draft
                .sets
                .values_mut()
                .for_each(|id| close_gap(&mut id.0, position));
        }
        Kind::Counter => drop(table.counters.remove(position)),
        Kind::Limit => drop(table.limits.remove(position)),
        Kind::Quota => drop(table.quotas.remove(position)),
        Kind::Flowtable => drop(table.flowtables.remove(position)),
    }
    each_id(table, &mut |kind, id| {
        if kind == wanted {
            close_gap(id, position);
        }
    });
    Ok(())
}

fn close_gap(id: &mut usize, gap: usize) {
    if *id > gap {
        *id -= 1;
    }
}

/// Removes sets and chains without a name that no rule uses (any more): rules may have been
/// flushed, and a set may have stood in a rule with a mistake.
pub(super) fn prune(table: &mut Table) {
    loop {
        let mut chains: Vec<bool> = table.chains.iter().map(|one| one.name.is_some()).collect();
        let mut sets: Vec<bool> = table.sets.iter().map(|one| one.name.is_some()).collect();
        each_id(table, &mut |kind, id| {
            let used = match kind {
                Kind::Chain => chains.get_mut(*id),
                Kind::Set => sets.get_mut(*id),
                _ => None,
            };
            if let Some(used) = used {
                *used = true;
            }
        });
        if chains.iter().chain(&sets).all(|used| *used) {
            return;
        }
        let chain_ids = new_ids(&chains);
        let set_ids = new_ids(&sets);
        let mut used = chains.into_iter();
        table.chains.retain(|_| used.next().unwrap_or(true));
        let mut used = sets.into_iter();
        table.sets.retain(|_| used.next().unwrap_or(true));
        each_id(table, &mut |kind, id| {
            let new = match kind {
                Kind::Chain => chain_ids.get(*id),
                Kind::Set => set_ids.get(*id),
                _ => None,
            };
            *id = new.copied().unwrap_or(*id);
        });
    }
}

/// Each position's place after those that are not used have gone.
fn new_ids(used: &[bool]) -> Vec<usize> {
    let mut next = 0;
    used.iter()
        .map(|used| {
            let id = next;
            next += usize::from(*used);
            id
        })
        .collect()
}
