//! Whether the kernel answers rules that ask its routing tables (`fib`).
//!
//! `bpf_fib_lookup` answers only for an interface that forwards. `fib` asks for the loopback device, which
//! does where the whole host does.

use std::fs;

use fw_common::abi::needs;

use crate::rules::compile::Compiled;

/// Families by their position in [`Compiled::entries`], with the directory of their switches.
const FAMILIES: [&str; 2] = ["ipv4", "ipv6"];

/// The switches that have to be on for these rules, and are not: names of sysctls.
#[must_use]
pub fn missing(compiled: &Compiled) -> Vec<String> {
    missing_of(compiled, |family| {
        let path = format!("/proc/sys/net/{family}/conf/lo/forwarding");
        fs::read_to_string(path).ok()
    })
}

fn missing_of(compiled: &Compiled, read: impl Fn(&str) -> Option<String>) -> Vec<String> {
    let ways = compiled.needs & (needs::SADDR_OIF | needs::DADDR_OIF) != 0;
    let types = compiled.needs & (needs::SADDR_TYPE | needs::DADDR_TYPE) != 0;
    let asks = [ways, ways || types];
    let mut missing = Vec::new();
    for (position, family) in FAMILIES.into_iter().enumerate() {
        let sees = compiled.entries.iter().any(|entry| entry[position] != 0);
        // No such file: the family is switched off.
        let off = || read(family).is_some_and(|text| text.trim() == "0");
        if asks[position] && sees && off() {
            missing.push(format!("net.{family}.conf.lo.forwarding"));
        }
    }
    missing
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_asked_has_to_be_answered() {
        let missing = |needs, entries, text: Option<&str>| {
            let mut compiled = Compiled {
                needs,
                ..Compiled::default()
            };
            compiled.entries[0] = entries;
            missing_of(&compiled, |_| text.map(str::to_owned)).len()
        };
        let off = Some("0\n");
        assert_eq!(missing(needs::SADDR_OIF, [1, 1], off), 2);
        assert_eq!(missing(needs::SADDR_OIF, [1, 0], off), 1);
        assert_eq!(
            missing(needs::DADDR_TYPE, [1, 1], off),
            1,
            "IPv4 needs no route"
        );
        assert_eq!(missing(needs::DADDR_OIF, [1, 1], Some("1\n")), 0);
        assert_eq!(missing(needs::DADDR_OIF, [1, 1], None), 0, "switched off");
        assert_eq!(missing(needs::TIME, [1, 1], off), 0);
    }
}
