//! What is configured in the kernel that packets would not meet if they left straight from XDP.

use std::fs;
use std::io;

use netlink_sys::protocols::{NETLINK_NETFILTER, NETLINK_ROUTE, NETLINK_XFRM};
use serde::{Deserialize, Serialize};

use super::memory::has_service;
use crate::sys::netlink_raw::{attribute, dump, dump_has, number};

/// One thing that is bypassed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Bypass {
    /// One sentence.
    pub what: String,
    /// What to do about it.
    pub mend: String,
    /// Packets would leave that must not leave so: nothing is forwarded in XDP as long as it is there.
    pub harmful: bool,
}

impl Bypass {
    /// Nobody sees whether there is something that packets must not bypass: it counts as there.
    #[must_use]
    pub fn unseen(why: &str, mend: &str) -> Self {
        Self {
            what: format!("{why}, the kernel forwards everything"),
            mend: mend.into(),
            harmful: true,
        }
    }
}

/// `XFRM_MSG_GETPOLICY`, `RTM_GETROUTE`, `RTM_GETRULE`, `RTM_GETQDISC`.
const GET_POLICY: u16 = 0x15;
const GET_ROUTE: u16 = 26;
const GET_RULE: u16 = 34;
const GET_QDISC: u16 = 38;
/// `NFNL_SUBSYS_NFTABLES << 8 | NFT_MSG_GETCHAIN`.
pub(super) const GET_CHAIN: u16 = 0x0a04;
/// `NF_INET_FORWARD`, `NF_INET_POST_ROUTING`.
const FORWARD: u32 = 2;
const POSTROUTING: u32 = 4;

/// Looks at this network namespace. `ports` are the numbers and names of the filtered interfaces.
#[must_use]
pub fn look(ports: &[(u32, String)]) -> Vec<Bypass> {
    let mut found = Vec::new();
    found.extend(ipsec());
    found.extend(marks());
    found.extend(nftables());
    found.extend(iptables());
    found.extend(ports.iter().filter_map(|(index, name)| qdisc(*index, name)));
    found
}

/// What must not be bypassed.
struct Harm {
    /// Its name.
    name: &'static str,
    /// Why not.
    why: &'static str,
    /// What shows it.
    mend: &'static str,
}

impl Harm {
    /// Whether it is there, as the kernel says. What it doesn't say counts as there, unless it knows nothing of the kind.
    fn judge(&self, is_there: io::Result<bool>) -> Option<Bypass> {
        let Self { name, why, mend } = self;
        match is_there {
            Ok(false) => None,
            Ok(true) => Some(Bypass {
                what: format!("there are {name}, {why}: the kernel forwards everything"),
                mend: (*mend).into(),
                harmful: true,
            }),
            Err(e) if is_unknown(&e) => None,
            Err(e) => {
                let what = format!("it can't be found out whether there are {name} ({e})");
                Some(Bypass::unseen(&what, mend))
            }
        }
    }
}

/// Whether an error says that the kernel knows nothing of what it was asked for.
pub(super) fn is_unknown(error: &io::Error) -> bool {
    let unknown = [libc::EPROTONOSUPPORT, libc::EOPNOTSUPP];
    error
        .raw_os_error()
        .is_some_and(|code| unknown.contains(&code))
}

fn ipsec() -> Option<Bypass> {
    const POLICIES: Harm = Harm {
        name: "IPsec policies",
        why: "which packets forwarded in XDP would bypass",
        mend: "ip xfrm policy",
    };
    // `struct xfrm_userpolicy_id` may be all zero.
    POLICIES.judge(dump_has(NETLINK_XFRM, GET_POLICY, &[0; 64], |_| true))
}

/// Length of `struct fib_rule_hdr`.
const RULE_HEADER: usize = 12;

fn marks() -> Option<Bypass> {
    const RULES: Harm = Harm {
        name: "routing rules on marks, types of service or flow labels",
        why: "which XDP cannot know",
        mend: "ip rule",
    };
    let body = [0; RULE_HEADER];
    RULES.judge(dump_has(NETLINK_ROUTE, GET_RULE, &body, |rule| {
        differs_within_flows(&rule.body)
    }))
}

/// Whether a policy rule is on a mark, which is set by the kernel's own rules that XDP comes before, or on what may
/// be another in each packet of a flow: type of service, flow label.
fn differs_within_flows(rule: &[u8]) -> bool {
    /// `FRA_FWMASK`, `FRA_DSCP`, `FRA_FLOWLABEL`: the kernel tells of them only if they are asked for.
    const SELECTORS: [u16; 3] = [16, 25, 26];
    /// `FRA_FWMARK`.
    const FWMARK: u16 = 10;
    let attributes = rule.get(RULE_HEADER..).unwrap_or(&[]);
    let has = |kind| attribute(attributes, kind).is_some();
    let tos = rule.get(3).is_some_and(|tos| *tos != 0);
    let mark = attribute(attributes, FWMARK).is_some_and(|mark| number(mark) != 0);
    tos || mark || SELECTORS.into_iter().any(has)
}

/// Routes for one type of service, which may be another in each packet of a flow. Looks at all routes of IPv4, of which
/// there may be a million; IPv6 has no such ones.
#[must_use]
pub fn look_for_services() -> Option<Bypass> {
    const ROUTES: Harm = Harm {
        name: "routes for one type of service",
        why: "which XDP does not look for in each packet",
        mend: "ip route show table all",
    };
    /// Length of `struct rtmsg`, which begins with `AF_INET`.
    const HEADER: usize = 12;
    let mut body = [0; HEADER];
    body[0] = 2;
    ROUTES.judge(dump_has(NETLINK_ROUTE, GET_ROUTE, &body, |route| {
        has_service(&route.body)
    }))
}

fn nftables() -> Option<Bypass> {
    let chains = dump(NETLINK_NETFILTER, GET_CHAIN, &[0; 4]).ok()?;
    let names: Vec<String> = chains
        .iter()
        .filter_map(|chain| forwarding_chain(&chain.body))
        .collect();
    (!names.is_empty()).then(|| Bypass {
        what: format!(
            "fast-tracked packets bypass the kernel's nftables chains {}",
            names.join(", ")
        ),
        mend: "nft list ruleset; or leave all to the kernel with `fwctl run --fasttrack off`"
            .into(),
        harmful: false,
    })
}

/// `TABLE CHAIN` of a base chain that forwarded packets meet.
fn forwarding_chain(body: &[u8]) -> Option<String> {
    let BaseChain {
        hook, table, name, ..
    } = base_chain(body)?;
    [FORWARD, POSTROUTING]
        .contains(&hook)
        .then(|| format!("{table} {name}"))
}

/// A chain that packets meet at one of IP's hooks.
pub(super) struct BaseChain {
    pub(super) family: &'static str,
    pub(super) table: String,
    pub(super) name: String,
    /// `NF_INET_*`.
    pub(super) hook: u32,
}

/// Reads a message about a chain; `None` if it is no base chain, or one of another family.
pub(super) fn base_chain(body: &[u8]) -> Option<BaseChain> {
    /// `NFTA_CHAIN_TABLE`, `NFTA_CHAIN_NAME`, `NFTA_CHAIN_HOOK`, `NFTA_HOOK_HOOKNUM`.
    const TABLE: u16 = 1;
    const NAME: u16 = 3;
    const HOOK: u16 = 4;
    const NUMBER: u16 = 1;
    // `NFPROTO_INET`, `NFPROTO_IPV4`, `NFPROTO_IPV6`: other families have other hooks.
    let family = match body.first()? {
        1 => "inet",
        2 => "ip",
        10 => "ip6",
        _ => return None,
    };
    let attributes = body.get(4..)?;
    let hook = attribute(attribute(attributes, HOOK)?, NUMBER)?.first_chunk()?;
    let text = |kind| {
        let bytes = attribute(attributes, kind)?.strip_suffix(&[0])?;
        Some(String::from_utf8_lossy(bytes).escape_debug().to_string())
    };
    Some(BaseChain {
        family,
        table: text(TABLE)?,
        name: text(NAME)?,
        hook: u32::from_be_bytes(*hook),
    })
}

fn iptables() -> Option<Bypass> {
    let used = |file: &str| {
        fs::read_to_string(format!("/proc/net/{file}")).is_ok_and(|text| !text.trim().is_empty())
    };
    let any = used("ip_tables_names") || used("ip6_tables_names");
    any.then(|| Bypass {
        what: "fast-tracked packets bypass the kernel's iptables rules".into(),
        mend: "iptables-save; or leave all to the kernel with `fwctl run --fasttrack off`".into(),
        harmful: false,
    })
}

fn qdisc(index: u32, name: &str) -> Option<Bypass> {
    /// What does not shape: defaults, and hooks.
    const PLAIN: [&str; 7] = [
        "noqueue",
        "mq",
        "pfifo_fast",
        "fq_codel",
        "fq",
        "clsact",
        "ingress",
    ];
    /// `TCA_KIND`; length of `struct tcmsg`.
    const KIND: u16 = 1;
    const HEADER: usize = 20;
    let qdiscs = dump(NETLINK_ROUTE, GET_QDISC, &[0; HEADER]).ok()?;
    let kind = qdiscs.iter().find_map(|qdisc| {
        if number(qdisc.body.get(4..8)?) != index {
            return None;
        }
        let kind = attribute(qdisc.body.get(HEADER..)?, KIND)?.strip_suffix(&[0])?;
        let kind = String::from_utf8_lossy(kind).into_owned();
        (!PLAIN.contains(&kind.as_str())).then_some(kind)
    })?;
    let name = name.escape_debug();
    Some(Bypass {
        what: format!("fast-tracked packets bypass the queueing discipline {kind} of {name}"),
        mend: format!(
            "tc qdisc show dev {name}; or leave all to the kernel with `fwctl run --fasttrack off`"
        ),
        harmful: false,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sys::netlink_raw::make_attribute;

    #[test]
    fn what_the_kernel_does_not_say_counts_as_there() {
        const GHOSTS: Harm = Harm {
            name: "ghosts",
            why: "which walk through walls",
            mend: "ip ghost",
        };
        let failed = |code| GHOSTS.judge(Err(io::Error::from_raw_os_error(code)));
        assert_eq!(GHOSTS.judge(Ok(false)), None);
        let there = GHOSTS.judge(Ok(true)).unwrap();
        assert!(there.harmful && there.what.contains("there are ghosts, which"));
        for code in [libc::EMFILE, libc::ENOBUFS, libc::EPERM, libc::EINVAL] {
            let unseen = failed(code).unwrap();
            assert!(unseen.harmful && unseen.what.contains("whether there are ghosts ("));
            assert!(unseen.what.ends_with("the kernel forwards everything"));
        }
        assert_eq!(failed(libc::EPROTONOSUPPORT), None);
        assert_eq!(failed(libc::EOPNOTSUPP), None);
    }

    #[test]
    fn rules_that_part_the_packets_of_a_flow_are_known() {
        let rule = |tos: u8, attributes: &[u8]| {
            let header = [2, 0, 0, tos, 0, 0, 0, 0, 0, 0, 0, 0];
            differs_within_flows(&[&header[..], attributes].concat())
        };
        assert!(!rule(0, &[]));
        assert!(!rule(0, &make_attribute(10, &[0; 4])), "no mark");
        assert!(!rule(0, &make_attribute(15, &[254, 0, 0, 0])), "a table");
        assert!(rule(8, &[]));
        assert!(rule(0, &make_attribute(10, &[7, 0, 0, 0])));
        assert!(
            rule(0, &make_attribute(16, &[255, 0, 0, 0])),
            "no mark, only"
        );
        assert!(rule(0, &make_attribute(25, &[0])), "DSCP");
        assert!(rule(0, &make_attribute(26, &[0, 0, 0, 1])), "flow label");
    }

    #[test]
    fn only_chains_that_forwarded_packets_meet() {
        let chain = |family: u8, hook: u32| {
            let number = make_attribute(1, &hook.to_be_bytes());
            let parts = [
                vec![family, 0, 0, 0],
                make_attribute(1, b"fw\0"),
                make_attribute(3, b"fwd\0"),
                make_attribute(4, &number),
            ];
            forwarding_chain(&parts.concat())
        };
        assert_eq!(chain(1, FORWARD).as_deref(), Some("fw fwd"));
        assert_eq!(chain(2, POSTROUTING).as_deref(), Some("fw fwd"));
        assert_eq!(chain(2, 1), None, "input");
        assert_eq!(chain(7, FORWARD), None, "bridge");
        assert_eq!(forwarding_chain(&[1, 0, 0, 0]), None, "no base chain");
    }
}
