//! Elements that are added to a set of intervals, beside those that are in it.

use std::collections::HashSet;

use super::compile::{CompiledSet, SetEntry, prefixes};
use super::elements::{Range, range, ranges};
use super::ir::{Element, ElementKey, Set, Stateful};

/// An element that would overlap with one that is there.
#[derive(Clone, Debug, PartialEq)]
pub struct Overlap {
    /// The element that is to be added.
    pub element: Element,
    /// The interval that is there.
    pub there: Element,
}

/// What has to be written for elements to be in a set.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Joined {
    /// The keys to be added.
    pub add: Vec<SetEntry>,
    /// Keys that are part of larger ones then.
    pub remove: Vec<SetEntry>,
}

/// Whether elements become one with those that they overlap with or touch. What has a life or a count of its
/// own stays alone.
#[must_use]
pub fn merges(set: &Set) -> bool {
    let counts = |statement: &Stateful| matches!(statement, Stateful::Counter { .. });
    set.auto_merge
        && set.key.len() == 1
        && !set.flags.timeout
        && set.timeout.is_none()
        && !set.statements.iter().any(counts)
}

/// Finds an element of `set` that overlaps with one that is `there`, as the kernel does: the same one again
/// is none. `entries` are the keys of the set's elements.
#[must_use]
pub fn overlap(
    set: &Set,
    compiled: &CompiledSet,
    entries: &[SetEntry],
    there: &[SetEntry],
) -> Option<Overlap> {
    let mut known: Vec<Range> = there.iter().map(|entry| range(compiled, entry)).collect();
    known.sort();
    let mut rest = entries;
    for count in prefixes_of_each(set, compiled) {
        let (keys, after) = rest.split_at_checked(count)?;
        rest = after;
        let new: Vec<Range> = keys.iter().map(|key| range(compiled, key)).collect();
        let same = |range: &&Range| known.binary_search(range).is_ok();
        if new.iter().filter(same).count() == count {
            continue;
        }
        if let Some(found) = new.iter().find_map(|range| first_within(&known, range)) {
            let runs = ranges(compiled, there);
            let there = runs.iter().find(|run| run.overlaps(found)).unwrap_or(found);
            let element = ranges(compiled, keys).into_iter().next()?;
            return Some(Overlap {
                element: element.element(set, compiled),
                there: there.element(set, compiled),
            });
        }
    }
    None
}

/// The first of sorted ranges, none of which overlap, that overlaps with that one.
fn first_within<'a>(known: &'a [Range], range: &Range) -> Option<&'a Range> {
    let at = known.partition_point(|one| (&one.head, one.last) < (&range.head, range.first));
    known.get(at).filter(|one| one.overlaps(range))
}

/// How many prefixes each element of a set is.
fn prefixes_of_each(set: &Set, compiled: &CompiledSet) -> impl Iterator<Item = usize> {
    let part = compiled.order.last().copied().unwrap_or(0);
    let bits = set.key.get(part).map_or(0, |datatype| datatype.bits());
    let width = compiled.widths.get(part).copied().unwrap_or(1);
    let elements = set.elements.iter().filter(|e| e.key != ElementKey::Any);
    elements.map(move |element| {
        let pattern = element.key.patterns().get(part);
        let bounds = pattern.and_then(|pattern| pattern.bounds(bits));
        bounds.map_or(1, |(first, last)| prefixes(first, last, width).len())
    })
}

/// Makes one of elements that overlap or touch, old ones and new ones.
#[must_use]
pub fn join(compiled: &CompiledSet, entries: &[SetEntry], there: &[SetEntry]) -> Joined {
    let place = |entry: &SetEntry| (entry.key, entry.length);
    let all: Vec<SetEntry> = there.iter().chain(entries).cloned().collect();
    let runs = ranges(compiled, &all);
    let run_of = |entry: &SetEntry| {
        let range = range(compiled, entry);
        runs.partition_point(|run| run.first <= range.first) - 1
    };
    let changed: HashSet<usize> = entries.iter().map(run_of).collect();
    let affected = there
        .iter()
        .filter(|entry| changed.contains(&run_of(entry)));
    let old: Vec<&SetEntry> = affected.collect();
    let width = compiled.widths.first().copied().unwrap_or(1);
    let mut joined = Joined::default();
    let mut kept = HashSet::new();
    let before: HashSet<_> = old.iter().map(|entry| place(entry)).collect();
    let Some(sample) = entries.first() else {
        return joined;
    };
    for run in changed.iter().filter_map(|at| runs.get(*at)) {
        for (key, length) in prefixes(run.first, run.last, width) {
            kept.insert((key, length));
            if !before.contains(&(key, length)) {
                joined.add.push(SetEntry {
                    key,
                    length,
                    ..sample.clone()
                });
            }
        }
    }
    let gone = old
        .into_iter()
        .filter(|entry| !kept.contains(&place(entry)));
    joined.remove = gone.cloned().collect();
    joined
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rules::compile::compile;
    use crate::rules::{Loaded, System, load_text};

    /// A set of ports and the keys of its elements.
    fn ports(elements: &str) -> (Set, CompiledSet) {
        let elements = match elements {
            "" => String::new(),
            some => format!("elements = {{ {some} }}"),
        };
        let text = format!(
            "table inet t {{\n set s {{\n type inet_service\n flags interval\n {elements}\n }}\n}}\n"
        );
        let Loaded { ruleset, report } = load_text("set", &text);
        let ruleset = ruleset.unwrap_or_else(|| panic!("{}", report.render(false)));
        let compiled = compile(&ruleset, &System::new(Vec::new(), 1000)).expect("it compiles");
        let set = ruleset.tables[0].sets[0].clone();
        (set, compiled.sets.into_iter().next().expect("the set"))
    }

    #[test]
    fn what_overlaps_is_found() {
        for (there, new, clash) in [
            ("10-20", "15-30", true),
            ("10-20", "5-10", true),
            ("10-20", "15", true),
            ("10-20", "0-65535", true),
            ("10-11", "10-15", true),
            ("10-11, 30", "12-15, 30-31", true),
            ("10-20", "10-20", false),
            ("10-20", "21", false),
            ("10-20", "0-9, 22, 10-20", false),
            ("10, 12", "11, 12, 10, 13-14", false),
            ("", "1-5", false),
        ] {
            let (_, known) = ports(there);
            let (set, compiled) = ports(new);
            let found = overlap(&set, &compiled, &compiled.entries, &known.entries);
            assert_eq!(found.is_some(), clash, "{new} to {there}: {found:?}");
        }
    }

    #[test]
    fn what_touches_becomes_one() {
        for (there, new, after) in [
            ("10-20", "15-30", "10-30"),
            ("10-20, 40", "21", "10-21, 40"),
            ("10-20", "11", "10-20"),
            ("1, 3, 5-9", "2, 4", "1-9"),
            ("1-3, 70", "0-65535", "0-65535"),
        ] {
            let (_, known) = ports(there);
            let (_, added) = ports(new);
            let (_, expected) = ports(after);
            let joined = join(&added, &added.entries, &known.entries);
            let place = |entry: &SetEntry| (entry.key, entry.length);
            let gone: Vec<_> = joined.remove.iter().map(place).collect();
            let mut found: Vec<_> = known.entries.iter().map(place).collect();
            found.retain(|key| !gone.contains(key));
            found.extend(joined.add.iter().map(place));
            found.sort_unstable();
            let mut expected: Vec<_> = expected.entries.iter().map(place).collect();
            expected.sort_unstable();
            assert_eq!(found, expected, "{new} to {there}");
        }
    }
}
