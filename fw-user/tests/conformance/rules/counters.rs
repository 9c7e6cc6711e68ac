//! What each rule has counted, on both sides, under names that both have.

use std::collections::BTreeMap;

use anyhow::{Context as _, Result};
use fw_common::abi::Tally;
use fw_user::rules::compile::{Compiled, Owner};
use fw_user::rules::ir::{Ruleset, Statement};
use serde_json::Value;

/// Packets and bytes by family, table, chain, position of the rule and of the counter in it.
pub(crate) type Counts = BTreeMap<String, (u64, u64)>;

/// What `nft -j list ruleset` says.
pub(crate) fn of_kernel(listing: &Value) -> Result<Counts> {
    let mut counts = Counts::new();
    let mut rules: BTreeMap<String, usize> = BTreeMap::new();
    let items = listing["nftables"].as_array().context("a listing")?;
    for item in items {
        let text = |object: &Value, name: &str| object[name].as_str().unwrap_or("").to_owned();
        if let Some(rule) = item.get("rule") {
            let chain = ["family", "table", "chain"]
                .map(|name| text(rule, name))
                .join(" ");
            let position = rules.entry(chain.clone()).or_default();
            let own = rule["expr"].as_array().into_iter().flatten();
            let own = own.filter_map(|e| e.get("counter").filter(|c| c.is_object()));
            for (nth, counter) in own.enumerate() {
                counts.insert(
                    format!("{chain} rule {position} counter {nth}"),
                    tally(counter),
                );
            }
            *position += 1;
        } else if let Some(counter) = item.get("counter") {
            let name = ["family", "table", "name"]
                .map(|name| text(counter, name))
                .join(" ");
            counts.insert(name, tally(counter));
        }
    }
    Ok(counts)
}

fn tally(counter: &Value) -> (u64, u64) {
    let number = |name: &str| counter[name].as_u64().unwrap_or(u64::MAX);
    (number("packets"), number("bytes"))
}

/// What our maps say. Rules in chains without a name, which the kernel numbers, have no counters here.
pub(crate) fn of_ours(ruleset: &Ruleset, compiled: &Compiled, tallies: &[Tally]) -> Counts {
    let named = |owner: Owner| match owner {
        Owner::Statement(at, statement) => {
            let table = &ruleset.tables[at.table];
            let chain = table.chain(at.chain);
            let before = chain.rules[at.rule].statements[..statement].iter();
            let nth = before
                .filter(|s| matches!(s, Statement::Counter(_)))
                .count();
            let name = chain.name.as_deref()?;
            let (family, position) = (table.family.name(), at.rule);
            Some(format!(
                "{family} {} {name} rule {position} counter {nth}",
                table.name
            ))
        }
        Owner::Named(table, counter) => {
            let table = &ruleset.tables[table];
            let name = &table.counters[counter].name;
            Some(format!("{} {} {name}", table.family.name(), table.name))
        }
        // The kernel counts none of these by itself.
        Owner::Rule(_) | Owner::Policy(..) | Owner::Failsafe(_) => None,
    };
    let counters = compiled.counters.iter().zip(tallies);
    counters
        .filter_map(|(counter, tally)| Some((named(counter.owner)?, (tally.packets, tally.bytes))))
        .collect()
}

/// The counters that differ, as lines. One that only the kernel has must have counted nothing: a rule that
/// we have left out because no packet gets there.
pub(crate) fn different(kernel: &Counts, ours: &Counts) -> Vec<String> {
    let tested = |name: &&String| !name.contains(" oracle ") && !name.contains(" quiet ");
    let names: std::collections::BTreeSet<&String> = kernel.keys().chain(ours.keys()).collect();
    names
        .into_iter()
        .filter(tested)
        .filter_map(|name| {
            let theirs = kernel.get(name).copied().unwrap_or_default();
            let mine = ours.get(name).copied().unwrap_or_default();
            let line = format!("{name}: kernel {theirs:?}, ours {mine:?} (packets, bytes)");
            (theirs != mine).then_some(line)
        })
        .collect()
}
