//! Random rulesets, the same for the same seed: about the hosts, ports and states of random scripts, so
//! that most rules match some packets and not others.

use crate::rng::Rng;

use super::matches::{Rule, Set};
use super::text::{Chain, Table, Text};

/// Where base chains stand: hook and priorities.
const HOOKS: [(&str, &[&str]); 4] = [
    ("forward", &["filter", "-10", "filter + 5", "security"]),
    ("input", &["filter", "10"]),
    ("prerouting", &["mangle", "dstnat", "0"]),
    ("prerouting", &["raw", "-301"]),
];

/// Ruleset number `n` of `seed`.
pub(crate) fn ruleset(seed: u64, n: u64) -> Text {
    let mut rng = Rng::new(seed ^ n.wrapping_mul(0x9e6c_63d0_876a_68ee) ^ 0x72_756c_6573);
    let mut tables = vec![table(&mut rng, "inet", "one")];
    if rng.chance(30) {
        let family = rng.pick(&["ip", "ip6", "inet"]);
        tables.push(table(&mut rng, family, "two"));
    }
    Text { tables }
}

fn table(rng: &mut Rng, family: &'static str, name: &str) -> Table {
    let sets: Vec<Set> = (0..rng.below(5))
        .map(|n| Set::new(rng, family, n))
        .collect();
    let mut objects: Vec<String> = sets.iter().map(|set| set.text.clone()).collect();
    objects.push("counter named { }".to_owned());
    let regular = rng.below(4);
    let mut chains = Vec::new();
    for (position, (hook, priorities)) in HOOKS.iter().enumerate() {
        // Most packets go through; few rulesets have anything to say before conntrack.
        if !rng.chance([100, 60, 25, 12][position]) {
            continue;
        }
        let policy = match position {
            0 | 1 => rng.pick(&["accept", "accept", "drop"]),
            _ => "accept",
        };
        let priority = rng.pick(priorities);
        chains.push(Chain {
            name: format!("base{position}"),
            hook: format!("type filter hook {hook} priority {priority}; policy {policy};"),
            rules: rules(rng, family, &sets, (position, 0..regular)),
        });
    }
    for number in 0..regular {
        // Jumps lead forward: no loops.
        chains.push(Chain {
            name: format!("c{number}"),
            hook: String::new(),
            rules: rules(rng, family, &sets, (9, number + 1..regular)),
        });
    }
    Table {
        head: format!("{family} {name}"),
        objects,
        chains,
    }
}

/// The rules of a chain of which `next` are the chains that it may jump to.
fn rules(
    rng: &mut Rng,
    family: &str,
    sets: &[Set],
    (position, next): (usize, std::ops::Range<usize>),
) -> Vec<String> {
    let mut rules = Vec::new();
    if position == 0 && rng.chance(50) {
        rules.push("ct state established,related counter accept".to_owned());
    }
    for _ in 0..rng.pick(&[1, 2, 3, 4, 6, 10]) {
        let mut rule = Rule::new(rng, family);
        // What is before conntrack knows no flow; only what is forwarded knows its way out.
        rule.tracked = position != 3;
        rule.routed = position == 0;
        for _ in 0..rng.pick(&[0, 1, 1, 1, 2, 2, 3]) {
            rule.add(rng, sets);
        }
        rules.push(finished(rng, &rule, (position, next.clone())));
    }
    rules
}

/// The rule with what it does.
fn finished(
    rng: &mut Rng,
    rule: &Rule,
    (position, next): (usize, std::ops::Range<usize>),
) -> String {
    let jump = |rng: &mut Rng| format!("c{}", next.start + rng.below(next.len()));
    let mut does = match rng.below(20) {
        0..=4 => "accept".to_owned(),
        5 | 6 => "drop".to_owned(),
        7..=9 if !next.is_empty() => format!("jump {}", jump(rng)),
        10 if !next.is_empty() => format!("goto {}", jump(rng)),
        11 => "return".to_owned(),
        12 => "continue".to_owned(),
        13 if rule.tracked => format!("ct mark set {}", rng.pick(&["1", "0x12", "0x100"])),
        14 => format!("meta mark set {}", rng.pick(&["1", "0x12", "0x100"])),
        15 => {
            let to = if next.is_empty() {
                "drop".to_owned()
            } else {
                format!("jump {}", jump(rng))
            };
            rule.verdict_map(rng, &to)
        }
        16 if position == 3 => "notrack".to_owned(),
        17 => "counter name named".to_owned(),
        18 => format!(
            "quota {}{} bytes",
            rng.pick(&["", "over "]),
            rng.pick(&["200", "3000"])
        ),
        _ => String::new(),
    };
    if rng.chance(20) {
        does += " # kept apart by a comment";
    }
    format!("{} counter {does}", rule.text()).trim().to_owned()
}
