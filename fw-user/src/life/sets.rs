//! Elements added to and removed from the sets of the ruleset in force, in time that hardly depends on what else is in
//! them; but all are walked through with an interval that overlaps with others or becomes one with them, and with the
//! first one after a restart.

use std::collections::HashSet;

use fw_common::ruleset::SetKind;

use super::error::LifeError;
use super::programs::Ready;
use crate::clock::TickClock;
use crate::control::sets::{Answer, Change, Op};
use crate::maps::{ChangeError, RulesetMaps};
use crate::rules::compile::{Compiled, CompiledSet, SetEntry, compile};
use crate::rules::diag::nearest;
use crate::rules::intervals::{self, Joined, Overlap};
use crate::rules::ir::{Ruleset, Set, Table};
use crate::rules::span::{Sources, Span};
use crate::rules::{Loaded, Style, System, elements, load_text, print_element, print_ruleset};

/// Why a set cannot be changed or shown.
#[derive(Debug, thiserror::Error)]
pub enum SetError {
    /// What was asked for makes no sense.
    #[error("{0}")]
    Wrong(String),
    /// It cannot be done now.
    #[error("set {set}: {cause}")]
    Change {
        /// The set.
        set: String,
        /// Why not.
        cause: Box<ChangeError>,
    },
    /// Some of the elements to be removed are not there; the others are removed.
    #[error("set {set}: {}", not_in_it(missing, *asked))]
    Missing {
        /// The set.
        set: String,
        /// The elements.
        missing: Vec<String>,
        /// How many were to be removed.
        asked: usize,
    },
    /// An element has keys in common with an interval that is there.
    #[error("set {set}: interval {element} overlaps with an existing one, {there}")]
    Overlap {
        /// The set.
        set: String,
        /// The element.
        element: String,
        /// What is there.
        there: String,
    },
    /// The ruleset.
    #[error(transparent)]
    Life(Box<LifeError>),
}

/// Elements that a message names.
const MOST_NAMED: usize = 5;

fn not_in_it(missing: &[String], asked: usize) -> String {
    if let ([one], 1) = (missing, asked) {
        return format!("element {one} is not in it");
    }
    let named = missing.iter().take(MOST_NAMED).map(String::as_str);
    let mut named = named.collect::<Vec<_>>().join(", ");
    if missing.len() > MOST_NAMED {
        named.push_str(", …");
    }
    let (count, rest) = (missing.len(), asked - missing.len());
    format!("{count} of {asked} elements are not in it: {named}; the other {rest} are removed")
}

impl<E: Into<LifeError>> From<E> for SetError {
    fn from(error: E) -> Self {
        Self::Life(Box::new(error.into()))
    }
}

fn wrong<T>(text: impl Into<String>) -> Result<T, SetError> {
    Err(SetError::Wrong(text.into()))
}

/// A set of the ruleset in force.
struct Place<'a> {
    table: &'a Table,
    set: &'a Set,
    name: &'a str,
    compiled: &'a CompiledSet,
    /// Position among the compiled sets.
    at: usize,
}

/// Does what is asked for.
///
/// # Errors
/// See [`SetError`]; then nothing has changed, unless it is [`SetError::Missing`].
pub fn change(
    ready: &Ready,
    maps: &mut RulesetMaps,
    clock: &TickClock,
    asked: &Change,
) -> Result<Answer, SetError> {
    let place = find(ready, asked)?;
    let failed = |cause| SetError::Change {
        set: place.name.into(),
        cause: Box::new(cause),
    };
    let (at, compiled) = (place.at, place.compiled);
    if asked.op != Op::List {
        place.may_change()?;
    }
    let count = match asked.op {
        Op::List => return place.list(maps, clock),
        Op::Add => {
            let (entries, set) = place.entries(&asked.elements)?;
            let Joined { add, remove } = place.join(maps, clock, &entries, &set)?;
            maps.add_entries(at, compiled, &add, &remove, clock)
                .map_err(failed)?;
            entries.len()
        }
        Op::Delete => {
            let (entries, _) = place.entries(&asked.elements)?;
            let missing = maps.remove_entries(at, compiled, &entries)?;
            if !missing.is_empty() {
                return Err(place.missing(&entries, &missing));
            }
            entries.len()
        }
        Op::Flush => {
            let none = Vec::new();
            maps.replace_entries(at, compiled, none, clock)
                .map_err(failed)?;
            0
        }
        Op::Load => {
            let (entries, _) = place.entries(&asked.elements)?;
            let count = entries.len();
            maps.replace_entries(at, compiled, entries, clock)
                .map_err(failed)?;
            count
        }
    };
    Ok(Answer {
        changed: count,
        ..Answer::default()
    })
}

/// The set that is meant.
fn find<'a>(ready: &'a Ready, asked: &Change) -> Result<Place<'a>, SetError> {
    let title = |table: &Table| format!("{} {}", table.family.name(), table.name);
    let tables = ready.ruleset.tables.iter().enumerate();
    let meant = |table: &Table| {
        asked
            .table
            .as_ref()
            .is_none_or(|wanted| *wanted == title(table))
    };
    let tables: Vec<_> = tables.filter(|(_, table)| meant(table)).collect();
    if let (true, Some(wanted)) = (tables.is_empty(), &asked.table) {
        let known: Vec<String> = ready.ruleset.tables.iter().map(title).collect();
        let hint = hint(wanted, known.iter().map(String::as_str));
        return wrong(format!("there is no table {wanted}{hint}"));
    }
    let named = |table: &'a Table| {
        let sets = table.sets.iter().enumerate();
        sets.filter_map(|(at, set)| Some((at, set, set.name.as_deref()?)))
    };
    let mut found = tables.iter().flat_map(|(position, table)| {
        let sets = named(table).filter(|(_, _, name)| *name == asked.set);
        sets.map(move |(id, set, name)| (*position, *table, id, set, name))
    });
    let Some((position, table, id, set, name)) = found.next() else {
        let known = tables.iter().flat_map(|(_, table)| named(table));
        let hint = hint(&asked.set, known.map(|(_, _, name)| name));
        return wrong(format!("there is no set {}{hint}", asked.set));
    };
    if let Some((_, other, ..)) = found.next() {
        let (one, other) = (title(table), title(other));
        return wrong(format!(
            "there is a set {name} in {one} and in {other}: say which, as in `{one} {name}`"
        ));
    }
    let mut compiled = ready.compiled.sets.iter().enumerate();
    let compiled = compiled.find(|(_, set)| (set.table, set.id.0) == (position, id));
    match compiled {
        Some((at, compiled)) => Ok(Place {
            table,
            set,
            name,
            compiled,
            at,
        }),
        None => wrong(format!(
            "set {name} has ranges in more than one component: change its file and use `fwctl rules apply`"
        )),
    }
}

fn hint<'a>(word: &str, known: impl IntoIterator<Item = &'a str>) -> String {
    match nearest(word, known) {
        Some(name) => format!("; did you mean `{name}`?"),
        None => String::new(),
    }
}

impl Place<'_> {
    fn may_change(&self) -> Result<(), SetError> {
        let name = self.name;
        if self.set.flags.constant {
            return wrong(format!(
                "set {name} is constant: leave `flags constant` out of its definition"
            ));
        }
        if self.set.data.is_some() {
            return wrong(format!(
                "{name} is a map: change its file and use `fwctl rules apply`"
            ));
        }
        Ok(())
    }

    /// The set's definition, with these elements.
    fn definition(&self, elements: &str) -> String {
        let Set { name, .. } = self.set;
        let empty = Set {
            name: name.clone(),
            handle: 0,
            key: self.set.key.clone(),
            key_typeof: self.set.key_typeof.clone(),
            data: self.set.data,
            data_typeof: self.set.data_typeof.clone(),
            flags: self.set.flags,
            timeout: self.set.timeout,
            gc_interval: self.set.gc_interval,
            meter: false,
            size: None,
            auto_merge: self.set.auto_merge,
            statements: self.set.statements.clone(),
            comment: None,
            elements: Vec::new(),
        };
        let mut table = Table::new(self.table.family, self.table.name.clone());
        table.sets.push(empty);
        let ruleset = Ruleset {
            tables: vec![table],
            files: Vec::new(),
        };
        let text = print_ruleset(&ruleset, Style::default());
        // Before the end of the set.
        match text.rfind("\t}\n") {
            Some(end) => format!(
                "{}\t\telements = {{ {elements} }}\n{}",
                &text[..end],
                &text[end..]
            ),
            None => text,
        }
    }

    /// Reads elements as the language has them, for this set: their keys, and the set with only them in it.
    fn entries(&self, elements: &str) -> Result<(Vec<SetEntry>, Set), SetError> {
        let elements = elements.trim();
        let inner = elements.strip_prefix('{').and_then(|e| e.strip_suffix('}'));
        let Loaded { ruleset, report } =
            load_text("elements", &self.definition(inner.unwrap_or(elements)));
        let Some(ruleset) = ruleset else {
            let first = report.messages().first().map(|message| {
                let element = around(&report.sources, message.span);
                format!("element `{element}`: {}", message.message)
            });
            return wrong(first.unwrap_or_else(|| "these are no elements".into()));
        };
        let Compiled { sets, .. } = match compile(&ruleset, &System::new(Vec::new(), HZ)) {
            Ok(compiled) => compiled,
            Err(errors) => {
                let text: Vec<&str> = errors.iter().map(|error| error.message.as_str()).collect();
                return wrong(text.join("; "));
            }
        };
        let tables = ruleset.tables.into_iter();
        let read = tables.flat_map(|table| table.sets).next();
        match sets.into_iter().next().zip(read) {
            Some((set, read))
                if set.kind == self.compiled.kind && set.order == self.compiled.order =>
            {
                Ok((set.entries, read))
            }
            _ => wrong(format!(
                "set {} was loaded without ranges in that component: change its file and use \
                 `fwctl rules apply`",
                self.name
            )),
        }
    }

    /// What is to be written so that elements are in the set beside those that are there; the elements are
    /// those of `set`.
    fn join(
        &self,
        maps: &mut RulesetMaps,
        clock: &TickClock,
        entries: &[SetEntry],
        set: &Set,
    ) -> Result<Joined, SetError> {
        let (at, compiled) = (self.at, self.compiled);
        let merges = intervals::merges(self.set);
        let alone =
            compiled.kind != SetKind::Prefix || !maps.may_overlap(at, compiled, entries, merges)?;
        if alone {
            return Ok(Joined {
                add: entries.to_vec(),
                remove: Vec::new(),
            });
        }
        let (there, dead) = maps.walk(at, compiled, clock)?;
        if merges {
            return Ok(intervals::join(compiled, entries, &there));
        }
        if let Some(Overlap { element, there }) = intervals::overlap(set, compiled, entries, &there)
        {
            let text = |element| print_element(self.table, self.set, element);
            return Err(SetError::Overlap {
                set: self.name.into(),
                element: text(&element),
                there: text(&there),
            });
        }
        // One that is within the new element would be found before it.
        let again: HashSet<_> = entries.iter().map(|one| (one.key, one.length)).collect();
        let remove = dead
            .into_iter()
            .filter(|one| !again.contains(&(one.key, one.length)));
        Ok(Joined {
            add: entries.to_vec(),
            remove: remove.collect(),
        })
    }

    /// Elements of which some were not there.
    fn missing(&self, entries: &[SetEntry], missing: &[usize]) -> SetError {
        let text = |at: &usize| {
            let element = elements::element(self.set, self.compiled, &entries[*at]);
            print_element(self.table, self.set, &element)
        };
        SetError::Missing {
            set: self.name.into(),
            missing: missing.iter().map(text).collect(),
            asked: entries.len(),
        }
    }

    fn list(&self, maps: &RulesetMaps, clock: &TickClock) -> Result<Answer, SetError> {
        let mut table = Table::new(self.table.family, self.table.name.clone());
        let mut set = self.set.clone();
        if set.data.is_none() {
            let entries = maps.entries(self.at, self.compiled, clock)?;
            elements::refresh(&mut set, self.compiled, &entries);
        }
        let printed = set
            .elements
            .iter()
            .map(|element| print_element(self.table, &set, element));
        let elements = printed.collect();
        table.sets.push(set);
        let ruleset = Ruleset {
            tables: vec![table],
            files: Vec::new(),
        };
        Ok(Answer {
            changed: 0,
            text: print_ruleset(&ruleset, Style::default()),
            elements,
        })
    }
}

/// The element that a place is in.
fn around(sources: &Sources, place: Span) -> String {
    let Some(source) = sources.get(place.file) else {
        return String::new();
    };
    let (before, after) = source.text.split_at(place.start as usize);
    let start = before.rfind([',', '{']).map_or(0, |at| at + 1);
    let end = after.find([',', '}']).unwrap_or(after.len());
    let element = format!("{}{}", &before[start..], &after[..end]);
    element.trim().into()
}

/// Ticks a second, which no element depends on.
const HZ: u32 = 1000;
