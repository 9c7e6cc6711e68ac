//! What a program asks of packets that costs something to find out.

use fw_common::abi::needs;
use fw_common::ruleset::field::{self, have};
use fw_common::ruleset::{Entry, Insn, op};

use super::Compiled;

/// Facts that a program asks for and that cost something to find out.
pub(super) fn needed(compiled: &Compiled) -> u32 {
    const BITS: [(u8, u32); 13] = [
        (have::TIME, needs::TIME),
        (have::CPU, needs::TIME),
        (have::ROUTE, needs::ROUTE),
        (have::OPTIONS, needs::OPTIONS),
        (have::EXTENSIONS, needs::EXTENSIONS),
        (have::SADDR_TYPE, needs::SADDR_TYPE),
        (have::DADDR_TYPE, needs::DADDR_TYPE),
        (have::SADDR_TYPE_OUT, needs::SADDR_TYPE | needs::TYPE_OUT),
        (have::DADDR_TYPE_OUT, needs::DADDR_TYPE | needs::TYPE_OUT),
        (have::SADDR_OIF, needs::SADDR_OIF),
        (have::DADDR_OIF, needs::DADDR_OIF),
        (have::SADDR_NAME, needs::SADDR_OIF),
        (have::DADDR_NAME, needs::DADDR_OIF),
    ];
    let asked = |bit: u8| compiled.program.iter().any(|i| i.need() == u32::from(bit));
    let bits = BITS.into_iter().filter(|(bit, _)| asked(*bit));
    let needed = bits.fold(0, |all, (_, need)| all | need);
    let any = |asks: fn(&Insn) -> bool| compiled.program.iter().any(asks);
    let without = needed & needs::FIB == 0 && !any(asks_of_links);
    let early = [Entry::Early, Entry::EarlyOutput]
        .iter()
        .any(|entry| compiled.entries[*entry as usize] != [0; 2]);
    [
        (without && !any(|insn| insn.op == op::LOG), needs::NO_LINKS),
        (without, needs::NO_WAYS),
        (
            early && any(|insn| insn.op == op::SET_MARK),
            needs::EARLY_MARK,
        ),
    ]
    .into_iter()
    .filter(|(holds, _)| *holds)
    .fold(needed, |all, (_, need)| all | need)
}

/// Whether an instruction may decide by what is known of an interface. That the way out is published at the forward
/// hook (`Compiler::forward`) reads nothing, unless others read what was published.
fn asks_of_links(insn: &Insn) -> bool {
    const PUBLISHED: [(u8, u8); 2] = [
        (field::ROUTED, field::OIF),
        (field::ROUTED + 4, field::OIFNAME),
    ];
    const FACTS: [(u8, u8); 4] = [
        (field::IIF, field::IIF),
        (field::IIFNAME, field::IIFGROUP),
        (field::OIF, field::OIFNAME + 3),
        (field::ROUTED, field::ROUTED + 7),
    ];
    if insn.op == op::COPY4 && PUBLISHED.contains(&(insn.field, insn.to)) {
        return false;
    }
    let is_of_link = |at: u8| {
        FACTS
            .iter()
            .any(|(first, last)| (*first..=*last).contains(&at))
    };
    [have::IIF, have::OIF].map(u32::from).contains(&insn.need())
        || is_of_link(insn.field)
        || (insn.op == op::AVERAGE && is_of_link(insn.a[0] as u8))
}

#[cfg(test)]
mod tests {
    use super::super::{NoInterfaces, compile};
    use super::*;
    use crate::rules::load_text;

    #[test]
    fn interfaces_are_asked_for_where_a_rule_does() {
        let needed = |rule: &str| needed_by("forward", 0, rule);
        for rule in [
            "iifname \"eth0\" accept",
            "oifname != \"eth*\" drop",
            "iifgroup 3 accept",
            "oiftype ether accept",
            "meta iifname . tcp dport { \"eth0\" . 22 } accept",
            "log prefix \"x\" accept",
            "fib saddr oif exists accept",
        ] {
            assert_eq!(needed(rule) & needs::NO_LINKS, 0, "{rule}");
            // A log names them, and decides nothing.
            let decides = needed(rule) & needs::NO_WAYS == 0;
            assert_eq!(decides, !rule.starts_with("log"), "{rule}");
        }
        for rule in ["tcp dport 22 accept", "ct state new counter accept", "drop"] {
            assert_ne!(needed(rule) & needs::NO_LINKS, 0, "{rule}");
            assert_ne!(needed(rule) & needs::NO_WAYS, 0, "{rule}");
        }
    }

    #[test]
    fn marks_matter_where_chains_run_before_conntrack() {
        let marks = |hook, priority, rule| needed_by(hook, priority, rule) & needs::EARLY_MARK != 0;
        for hook in ["prerouting", "output"] {
            assert!(marks(hook, -300, "meta mark set 1"), "{hook}");
            assert!(!marks(hook, -300, "tcp dport 22 accept"), "{hook}");
            assert!(!marks(hook, 0, "meta mark set 1"), "{hook}");
        }
    }

    fn needed_by(hook: &str, priority: i32, rule: &str) -> u32 {
        let text = format!(
            "table inet t {{ chain c {{ type filter hook {hook} priority {priority}; {rule}; }}\n}}\n"
        );
        let loaded = load_text("t", &text);
        let ruleset = loaded.ruleset;
        let ruleset = ruleset.unwrap_or_else(|| panic!("{}", loaded.report.render(false)));
        let compiled = compile(&ruleset, &NoInterfaces).expect("instructions");
        compiled.needs
    }
}
