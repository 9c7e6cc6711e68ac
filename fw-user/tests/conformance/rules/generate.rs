//! Random rulesets, the same for the same seed: about the hosts, ports and states of random scripts, so
//! that most rules match some packets and not others.

use crate::rng::Rng;

use super::effects;
use super::matches::Rule;
use super::sets::Set;
use super::text::{Chain, Table, Text};

/// Where base chains stand: hook and priorities.
const HOOKS: [(&str, &[&str]); 6] = [
    ("forward", &["filter", "-10", "filter + 5", "security"]),
    ("input", &["filter", "10"]),
    ("prerouting", &["mangle", "dstnat", "0"]),
    ("prerouting", &["raw", "-301"]),
    ("output", &["filter", "-10", "100"]),
    ("output", &["raw", "-301"]),
];

/// Those whose packets conntrack has not seen, and those of packets that the router sends.
const EARLY: [usize; 2] = [3, 5];
const OWN: [usize; 2] = [4, 5];
/// Where chains stand that are entered by jumps.
const REGULAR: usize = 9;

/// Ruleset number `n` of `seed`.
pub(crate) fn ruleset(seed: u64, n: u64) -> Text {
    let mut rng = Rng::new(seed ^ n.wrapping_mul(0x9e6c_63d0_876a_68ee) ^ 0x72_756c_6573);
    let way = if rng.chance(40) {
        Way::Out
    } else {
        Way::Answered
    };
    let mut tables = vec![table(&mut rng, ("inet", "one"), way)];
    if rng.chance(30) {
        let family = rng.pick(&["ip", "ip6", "inet"]);
        tables.push(table(&mut rng, (family, "two"), way));
    }
    Text { tables }
}

/// What a ruleset is about besides what goes through. Not both: the kernel sends what it says to a rejected
/// packet through the output hook, we do not.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Way {
    /// The router's own packets.
    Out,
    /// Rejecting packets.
    Answered,
}

fn table(rng: &mut Rng, (family, name): (&'static str, &str), way: Way) -> Table {
    let sets: Vec<Set> = (0..rng.below(5))
        .map(|n| Set::new(rng, family, n))
        .collect();
    let mut objects: Vec<String> = sets.iter().map(|set| set.text.clone()).collect();
    objects.push("counter named { }".to_owned());
    objects.push("limit scarce { rate 1/day burst 5 packets; }".to_owned());
    let regular = rng.below(4);
    let mut chains = Vec::new();
    for (position, (hook, priorities)) in HOOKS.iter().enumerate() {
        // Most packets go through; few rulesets have anything to say before conntrack.
        let own = OWN.contains(&position);
        if !rng.chance([100, 60, 25, 12, 90, 25][position]) || (own && way != Way::Out) {
            continue;
        }
        let policy = match position {
            0 | 1 | 4 => rng.pick(&["accept", "accept", "drop"]),
            _ => "accept",
        };
        let priority = rng.pick(priorities);
        chains.push(Chain {
            name: format!("base{position}"),
            hook: format!("type filter hook {hook} priority {priority}; policy {policy};"),
            rules: rules(rng, (family, way), &sets, (position, 0..regular)),
        });
    }
    for number in 0..regular {
        // Jumps lead forward: no loops.
        chains.push(Chain {
            name: format!("c{number}"),
            hook: String::new(),
            rules: rules(rng, (family, way), &sets, (REGULAR, number + 1..regular)),
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
    (family, way): (&str, Way),
    sets: &[Set],
    (position, next): (usize, std::ops::Range<usize>),
) -> Vec<String> {
    let mut rules = Vec::new();
    if matches!(position, 0 | 1 | 4) && rng.chance(50) {
        rules.push("ct state established,related counter accept".to_owned());
    }
    for _ in 0..rng.pick(&[1, 2, 3, 4, 6, 10]) {
        let mut rule = Rule::new(rng, family);
        // What is before conntrack knows no flow; only what leaves knows its way out.
        rule.tracked = !EARLY.contains(&position);
        rule.routed = matches!(position, 0 | 4);
        rule.arrived = !OWN.contains(&position) && (position != REGULAR || way == Way::Answered);
        for _ in 0..rng.pick(&[0, 1, 1, 1, 2, 2, 3]) {
            rule.add(rng, sets);
        }
        rules.push(finished(rng, (&rule, sets, way), (position, next.clone())));
    }
    rules
}

/// The rule with what it does.
fn finished(
    rng: &mut Rng,
    (rule, sets, way): (&Rule, &[Set], Way),
    (position, next): (usize, std::ops::Range<usize>),
) -> String {
    let jump = |rng: &mut Rng| format!("c{}", next.start + rng.below(next.len()));
    let mut does = match rng.below(27) {
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
        16 if EARLY.contains(&position) => "notrack".to_owned(),
        17 => "counter name named".to_owned(),
        18 => format!(
            "quota {}{} bytes",
            rng.pick(&["", "over "]),
            rng.pick(&["200", "3000"])
        ),
        19..=21 if way == Way::Answered => effects::reject(rng, rule),
        22 => effects::log(rng),
        23 => effects::limit(rng),
        24..=26 => effects::update(rng, rule, sets).unwrap_or_default(),
        _ => String::new(),
    };
    // Whether what comes before it lets a packet through is seen by a counter behind it.
    if ["limit", "quota", "add", "update"]
        .iter()
        .any(|word| does.starts_with(word))
    {
        does += rng.pick(&[" counter", " counter drop", " counter accept"]);
    }
    if rng.chance(20) {
        does += " # kept apart by a comment";
    }
    format!("{} counter {does}", rule.text()).trim().to_owned()
}
