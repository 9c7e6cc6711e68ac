//! Sets that rules add elements to, with statements. The kernel keeps those with each element, and runs them
//! whenever it is found, by whatever rule (`nft_set_elem_update_expr`); here they are the whole set's.

use std::collections::HashMap;

use super::super::ir::{Ruleset, Set, SetId, Stateful, Statement, UpdateOp};
use super::chains::Compiler;

/// What is done to the elements of a set that rules add to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Growing {
    /// The same to each.
    Alike(Vec<Stateful>),
    /// It depends on who has added it.
    Unlike,
}

/// All sets that rules add to.
pub(super) fn sets(ruleset: &Ruleset) -> HashMap<(usize, SetId), Growing> {
    let mut growing = HashMap::new();
    for (number, table) in ruleset.tables.iter().enumerate() {
        let rules = table.chains.iter().flat_map(|chain| &chain.rules);
        for statement in rules.flat_map(|rule| &rule.statements) {
            let Statement::SetUpdate {
                op: UpdateOp::Add | UpdateOp::Update,
                set: id,
                statements,
                ..
            } = statement
            else {
                continue;
            };
            let set = table.set(*id);
            let found = growing
                .entry((number, *id))
                .or_insert_with(|| of_elements(set, own(set, statements)));
            if *found != Growing::Alike(own(set, statements)) {
                *found = Growing::Unlike;
            }
        }
    }
    growing
}

/// What a rule's elements have: its statements, or the set's.
fn own(set: &Set, statements: &[Stateful]) -> Vec<Stateful> {
    let from = if statements.is_empty() {
        &set.statements
    } else {
        statements
    };
    from.iter().map(|one| begun(*one)).collect()
}

/// Whatever it has counted so far.
const fn begun(statement: Stateful) -> Stateful {
    match statement {
        Stateful::Counter { .. } => Stateful::Counter {
            packets: 0,
            bytes: 0,
        },
        other => other,
    }
}

/// Whether the elements that the file has are like those that a rule adds with `statements`.
fn of_elements(set: &Set, statements: Vec<Stateful>) -> Growing {
    let alike = set.elements.iter().all(|element| {
        let extras = element.extras.as_deref();
        own(set, extras.map_or(&[], |extras| &extras.statements)) == statements
    });
    if alike {
        Growing::Alike(statements)
    } else {
        Growing::Unlike
    }
}

impl Compiler<'_> {
    /// What is done to an element of a set that rules add to when it is found; `None` for another set.
    pub(super) fn kept_with_elements(&mut self, id: SetId) -> Option<Vec<Stateful>> {
        let found = self.growing.get(&(self.at.table, id))?.clone();
        let name = self.ruleset.tables[self.at.table].set(id).name.as_deref();
        let name = name.unwrap_or("(anonymous)");
        match found {
            Growing::Alike(statements) => Some(statements),
            Growing::Unlike => {
                self.error(format!(
                    "elements of {name} have different statements, depending on which rule adds them: use a set \
                     for each"
                ));
                None
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::{NoInterfaces, compile};
    use crate::rules::load_text;

    fn mistakes(rules: &str) -> Vec<String> {
        let text = format!(
            "table ip t {{\nset s {{ type ipv4_addr; size 9; flags dynamic; }}\n\
             chain c {{ type filter hook input priority 0;\n{rules}\n}}\n}}\n"
        );
        let ruleset = load_text("test", &text).ruleset.expect("a ruleset");
        match compile(&ruleset, &NoInterfaces) {
            Ok(_) => Vec::new(),
            Err(errors) => errors.iter().map(ToString::to_string).collect(),
        }
    }

    #[test]
    fn elements_of_one_set_are_alike() {
        let with = |statement| format!("add @s {{ ip saddr {statement} }} accept");
        let one = with("limit rate over 1/second");
        assert_eq!(
            mistakes(&format!("{one}\n{one}\nip saddr @s drop")),
            [""; 0]
        );
        for other in ["", "counter", "limit rate over 2/second"] {
            let found = mistakes(&format!("{one}\n{}", with(other)));
            assert_eq!(found.len(), 2, "{found:?}");
            assert!(found[0].contains("elements of s have different statements"));
        }
    }

    #[test]
    fn no_look_up_of_elements_that_count_connections() {
        let counted = "add @s { ip saddr ct count over 2 } drop";
        assert_eq!(mistakes(counted), [""; 0]);
        let found = mistakes(&format!("{counted}\nip saddr @s drop"));
        assert!(found[0].contains("ct count"), "{found:?}");
    }
}
