//! The typed ruleset as text, in the style that `nft list ruleset` prints: both read it back.

mod expr;
mod set;
mod statement;

use super::ir::{BaseChain, Chain, Family, Flowtable, Rule, Ruleset, Statement, Table};
use super::resolve::priorities;

pub(super) use expr::field;
pub use set::print_element;

/// What is printed besides the rules.
#[derive(Clone, Copy, Debug, Default)]
pub struct Style {
    /// `# handle N`, as nft's -a.
    pub handles: bool,
    /// No packets and bytes, as nft's -s.
    pub stateless: bool,
    /// No elements of named sets, as nft's -t.
    pub terse: bool,
}

/// A whole ruleset.
#[must_use]
pub fn print_ruleset(ruleset: &Ruleset, style: Style) -> String {
    let mut out = String::new();
    for table in &ruleset.tables {
        print_table(&mut out, table, style);
    }
    out
}

/// One rule in one line, without counts, comment and handle.
#[must_use]
pub(super) fn rule_text(table: &Table, statements: &[Statement]) -> String {
    let style = Style {
        stateless: true,
        ..Style::default()
    };
    statement::statements(table, statements, style, 2)
}

fn handle(out: &mut String, handle: u64, style: Style) {
    if style.handles {
        out.push_str(&format!(" # handle {handle}"));
    }
}

fn line(out: &mut String, tabs: usize, text: &str) {
    for _ in 0..tabs {
        out.push('\t');
    }
    out.push_str(text);
    out.push('\n');
}

fn print_table(out: &mut String, table: &Table, style: Style) {
    out.push_str(&format!(
        "table {} {} {{\n",
        table.family.name(),
        table.name
    ));
    if table.dormant {
        line(out, 1, "flags dormant");
    }
    if let Some(comment) = &table.comment {
        line(out, 1, &format!("comment \"{comment}\""));
    }
    let mut blocks = objects(table, style);
    let named = table.sets.iter().filter(|one| one.name.is_some());
    for one in named.filter(|one| !one.meter) {
        blocks.push(set::print_set(table, one, style));
    }
    for one in &table.flowtables {
        blocks.push(flowtable(one, style));
    }
    for one in table.chains.iter().filter(|one| one.name.is_some()) {
        blocks.push(chain(table, one, style));
    }
    if table.dormant && !blocks.is_empty() {
        out.push('\n');
    }
    out.push_str(&blocks.join("\n"));
    out.push_str("}\n");
}

/// Named objects, in the order in which they were declared.
fn objects(table: &Table, style: Style) -> Vec<String> {
    let counters = table.counters.iter().map(|one| {
        let counts = if style.stateless {
            String::new()
        } else {
            format!("packets {} bytes {}", one.packets, one.bytes)
        };
        let comment = one.comment.as_ref();
        let text = object("counter", &one.name, one.handle, comment, &counts, style);
        (one.handle, text)
    });
    let quotas = table.quotas.iter().map(|one| {
        let says = statement::quota_bytes(&one.quota, style);
        let comment = one.comment.as_ref();
        let text = object("quota", &one.name, one.handle, comment, &says, style);
        (one.handle, text)
    });
    let limits = table.limits.iter().map(|one| {
        let says = statement::limit_rate(&one.limit);
        let comment = one.comment.as_ref();
        let text = object("limit", &one.name, one.handle, comment, &says, style);
        (one.handle, text)
    });
    let mut all: Vec<(u64, String)> = counters.chain(quotas).chain(limits).collect();
    all.sort_by_key(|(handle, _)| *handle);
    all.into_iter().map(|(_, text)| text).collect()
}

fn object(
    kind: &str,
    name: &str,
    number: u64,
    comment: Option<&String>,
    text: &str,
    style: Style,
) -> String {
    let mut out = format!("\t{kind} {name} {{");
    handle(&mut out, number, style);
    out.push('\n');
    if let Some(comment) = comment {
        line(&mut out, 2, &format!("comment \"{comment}\""));
    }
    if !text.is_empty() {
        line(&mut out, 2, text);
    }
    line(&mut out, 1, "}");
    out
}

fn flowtable(one: &Flowtable, style: Style) -> String {
    let mut out = format!("\tflowtable {} {{", one.name);
    handle(&mut out, one.handle, style);
    out.push('\n');
    let priority = priority_text(Family::Netdev, super::ir::Hook::Ingress, one.priority);
    line(&mut out, 2, &format!("hook ingress priority {priority}"));
    if !one.devices.is_empty() {
        line(
            &mut out,
            2,
            &format!("devices = {{ {} }}", one.devices.join(", ")),
        );
    }
    if one.offload {
        line(&mut out, 2, "flags offload");
    }
    if one.counter {
        line(&mut out, 2, "counter");
    }
    line(&mut out, 1, "}");
    out
}

fn chain(table: &Table, chain: &Chain, style: Style) -> String {
    let mut out = format!("\tchain {} {{", chain.name.as_deref().unwrap_or(""));
    handle(&mut out, chain.handle, style);
    out.push('\n');
    if let Some(comment) = &chain.comment {
        line(&mut out, 2, &format!("comment \"{comment}\""));
    }
    if let Some(base) = &chain.base {
        line(&mut out, 2, &hook(table.family, base));
    }
    for one in &chain.rules {
        line(&mut out, 2, &rule(table, one, style, 2));
    }
    line(&mut out, 1, "}");
    out
}

fn hook(family: Family, base: &BaseChain) -> String {
    let devices = match base.devices.as_slice() {
        [] => String::new(),
        [one] => format!(" device \"{one}\""),
        many => {
            let names: Vec<String> = many.iter().map(|name| format!("\"{name}\"")).collect();
            format!(" devices = {{ {} }}", names.join(", "))
        }
    };
    format!(
        "type filter hook {}{devices} priority {}; policy {};",
        base.hook.name(),
        priority_text(family, base.hook, base.priority),
        base.policy.name()
    )
}

/// The nearest name within 10, and what is missing to the number.
fn priority_text(family: Family, hook: super::ir::Hook, priority: i32) -> String {
    const NEAR: i32 = 10;
    let names = priorities(family, hook).iter();
    let near = names
        .filter(|(_, base)| priority.abs_diff(*base) <= NEAR.unsigned_abs())
        .min_by_key(|(_, base)| priority.abs_diff(*base));
    match near {
        Some((name, base)) if *base == priority => (*name).to_owned(),
        Some((name, base)) => {
            let sign = if priority < *base { '-' } else { '+' };
            format!("{name} {sign} {}", priority.abs_diff(*base))
        }
        None => priority.to_string(),
    }
}

/// One rule, as it stands in a chain.
pub(super) fn rule(table: &Table, rule: &Rule, style: Style, tabs: usize) -> String {
    let mut text = statement::statements(table, &rule.statements, style, tabs);
    if let Some(comment) = &rule.comment {
        text.push_str(&format!(" comment \"{comment}\""));
    }
    handle(&mut text, rule.handle, style);
    text
}
