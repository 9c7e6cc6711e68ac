//! Whether the kernel translates addresses of forwarded packets (NAT). The programs see answers before they are
//! translated back, so those belong to no flow that is known here.

use std::fs;

use netlink_sys::protocols::NETLINK_NETFILTER;

use super::bypass::{GET_CHAIN, base_chain};
use crate::sys::netlink_raw::{attribute, dump};

/// What to do where the kernel translates addresses.
pub const MEND: &str = "fwctl has no NAT yet: leave the ports on both sides of the translation to nftables, or \
                        remove it";

/// `NF_INET_PRE_ROUTING`, `NF_INET_POST_ROUTING`: where forwarded packets are translated.
const HOOKS: [u32; 2] = [0, 4];

/// What translates addresses in this network namespace, by name: chains of nftables, tables of iptables.
#[must_use]
pub fn translators() -> Vec<String> {
    let chains = dump(NETLINK_NETFILTER, GET_CHAIN, &[0; 4]).unwrap_or_default();
    let chains = chains.iter().filter_map(|chain| nat_chain(&chain.body));
    let tables = [
        ("iptables", "ip_tables_names"),
        ("ip6tables", "ip6_tables_names"),
    ];
    let tables = tables.into_iter().filter_map(|(tool, file)| {
        let names = fs::read_to_string(format!("/proc/net/{file}")).ok()?;
        has_nat(&names).then(|| format!("table nat of {tool}"))
    });
    chains.chain(tables).collect()
}

/// One sentence about these; `None` if there are none.
#[must_use]
pub fn sentence(translators: &[String]) -> Option<String> {
    (!translators.is_empty()).then(|| {
        format!(
            "the kernel translates addresses ({}): answers to translated packets belong to no flow that fwctl \
             knows, and are judged as new or invalid ones for the router itself",
            translators.join("; ")
        )
    })
}

/// `table FAMILY TABLE, chain CHAIN` of a chain of type `nat` that forwarded packets meet.
fn nat_chain(body: &[u8]) -> Option<String> {
    /// `NFTA_CHAIN_TYPE`.
    const TYPE: u16 = 7;
    let chain = base_chain(body)?;
    let nat = attribute(body.get(4..)?, TYPE)? == b"nat\0";
    (nat && HOOKS.contains(&chain.hook)).then(|| {
        let (family, table, name) = (chain.family, chain.table, chain.name);
        format!("table {family} {table}, chain {name}")
    })
}

/// Whether a list of iptables' tables names `nat`: the kernel makes that table when it is first used.
fn has_nat(names: &str) -> bool {
    names.lines().any(|name| name.trim() == "nat")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sys::netlink_raw::make_attribute;

    #[test]
    fn only_nat_that_forwarded_packets_meet() {
        let chain = |family: u8, kind: &[u8], hook: u32| {
            let number = make_attribute(1, &hook.to_be_bytes());
            let parts = [
                vec![family, 0, 0, 0],
                make_attribute(1, b"knat\0"),
                make_attribute(3, b"post\0"),
                make_attribute(4, &number),
                make_attribute(7, kind),
            ];
            nat_chain(&parts.concat())
        };
        let post = chain(2, b"nat\0", 4);
        assert_eq!(post.as_deref(), Some("table ip knat, chain post"));
        assert!(chain(1, b"nat\0", 0).is_some(), "prerouting");
        assert_eq!(chain(2, b"nat\0", 3), None, "output");
        assert_eq!(chain(2, b"filter\0", 4), None);
    }

    #[test]
    fn iptables_says_which_tables_it_has() {
        assert!(has_nat("filter\nnat\n"));
        assert!(!has_nat("filter\nmangle\n") && !has_nat(""));
    }

    #[test]
    fn all_are_named_in_one_sentence() {
        assert_eq!(sentence(&[]), None);
        let all = ["table ip a, chain b", "table nat of iptables"].map(str::to_owned);
        let said = sentence(&all).expect("a sentence");
        assert!(
            said.contains("(table ip a, chain b; table nat of iptables)"),
            "{said}"
        );
    }
}
