//! What nftables can do and we can't do faithfully: by name, with the reason and a way out.

/// Why something is refused, and what to do instead.
#[derive(Clone, Copy, Debug)]
pub(super) struct Refusal {
    /// How the message calls it.
    pub(super) what: &'static str,
    /// Why.
    pub(super) why: &'static str,
    /// What to do.
    pub(super) instead: &'static str,
}

const KERNEL: &str = "keep that rule in a file of its own and load it with nft: the kernel runs it \
                      after fwctl";
const NAT: &str = "leave the ports on both sides of the translation to nftables: fwctl has no NAT yet, \
                   and beside the kernel's answers to translated packets belong to no flow that it knows";
const LOCAL: &str = "at the NIC no process or socket of this host is known";

/// Words at which a statement or match begins.
const STATEMENTS: &[(&str, &str, &str)] = &[
    (
        "dnat",
        "addresses are translated after routing and tracking",
        NAT,
    ),
    (
        "snat",
        "addresses are translated after routing and tracking",
        NAT,
    ),
    (
        "masquerade",
        "addresses are translated after routing and tracking",
        NAT,
    ),
    (
        "redirect",
        "addresses are translated after routing and tracking",
        NAT,
    ),
    ("tproxy", LOCAL, KERNEL),
    ("socket", LOCAL, KERNEL),
    (
        "synproxy",
        "answering SYNs for a server is not built yet",
        KERNEL,
    ),
    (
        "queue",
        "a packet at the NIC can't wait for a program's answer",
        KERNEL,
    ),
    ("dup", "copying packets is not built", KERNEL),
    (
        "fwd",
        "redirecting frames past the rules is not built",
        "see `--fasttrack` of fwctl run",
    ),
    ("osf", "fingerprints of systems are not built", KERNEL),
    (
        "rt",
        "the route's own data are not known at the NIC",
        KERNEL,
    ),
    (
        "ipsec",
        "packets are decrypted and encrypted after fwctl",
        KERNEL,
    ),
    (
        "secmark",
        "security marks belong to the kernel's packet",
        KERNEL,
    ),
    (
        "numgen",
        "numbers that change from packet to packet are not built",
        KERNEL,
    ),
    ("jhash", "hashes of packets are not built", KERNEL),
    ("symhash", "hashes of packets are not built", KERNEL),
    (
        "arp",
        "ARP is not filtered: it passes to the kernel",
        "use a table of family arp with nft",
    ),
    (
        "dccp",
        "DCCP's header is not read",
        "match it by `meta l4proto dccp`",
    ),
    (
        "comp",
        "IPComp's header is not read",
        "match it by `meta l4proto comp`",
    ),
    ("reset", "removing TCP options is not built", KERNEL),
    ("xt", "iptables' extensions live in the kernel", KERNEL),
    (
        "last",
        "fwctl shows each rule's last hit without it",
        "leave it out",
    ),
];

/// Words behind `meta`.
const META: &[(&str, &str, &str)] = &[
    ("skuid", LOCAL, KERNEL),
    ("skgid", LOCAL, KERNEL),
    ("cgroup", LOCAL, KERNEL),
    ("nftrace", "tracing needs no rule here", "use `fwctl trace`"),
    ("priority", "traffic classes are chosen after fwctl", KERNEL),
    (
        "rtclassid",
        "the route's own data are not known at the NIC",
        KERNEL,
    ),
    (
        "random",
        "numbers that change from packet to packet are not built",
        KERNEL,
    ),
    (
        "ibrname",
        "bridges are not filtered",
        "use a table of family bridge with nft",
    ),
    (
        "obrname",
        "bridges are not filtered",
        "use a table of family bridge with nft",
    ),
    (
        "ibrpvid",
        "bridges are not filtered",
        "use a table of family bridge with nft",
    ),
    (
        "ibrvproto",
        "bridges are not filtered",
        "use a table of family bridge with nft",
    ),
    (
        "ibridgename",
        "bridges are not filtered",
        "use a table of family bridge with nft",
    ),
    (
        "obridgename",
        "bridges are not filtered",
        "use a table of family bridge with nft",
    ),
    (
        "iifkind",
        "the kind of an interface is not kept",
        "match its name: `iifname`",
    ),
    (
        "oifkind",
        "the kind of an interface is not kept",
        "match its name: `oifname`",
    ),
    (
        "sdif",
        "interfaces behind a VRF are not known at the NIC",
        KERNEL,
    ),
    (
        "sdifname",
        "interfaces behind a VRF are not known at the NIC",
        KERNEL,
    ),
    (
        "ipsec",
        "packets are decrypted and encrypted after fwctl",
        KERNEL,
    ),
    (
        "secmark",
        "security marks belong to the kernel's packet",
        KERNEL,
    ),
];

/// Words behind `ct`.
const CT: &[(&str, &str, &str)] = &[
    (
        "helper",
        "protocols with a second connection are not followed",
        "the kernel's helpers work \
      with its own tracking; allow the second connection by address and port",
    ),
    (
        "timeout",
        "timeouts are set for all flows",
        "use `fwctl timeouts set`",
    ),
    (
        "expectation",
        "protocols with a second connection are not followed",
        KERNEL,
    ),
    ("label", "labels of flows are not kept", "use `ct mark`"),
    (
        "event",
        "what `fwctl events` shows is chosen there",
        "leave it out",
    ),
    (
        "secmark",
        "security marks belong to the kernel's packet",
        KERNEL,
    ),
    (
        "src",
        "the old spelling is not read",
        "write `ct original ip saddr`",
    ),
    (
        "dst",
        "the old spelling is not read",
        "write `ct original ip daddr`",
    ),
];

/// Objects of a table.
const OBJECTS: &[(&str, &str, &str)] = &[
    (
        "ct",
        "helpers, timeouts and expectations of single flows are not kept",
        KERNEL,
    ),
    (
        "secmark",
        "security marks belong to the kernel's packet",
        KERNEL,
    ),
    (
        "synproxy",
        "answering SYNs for a server is not built yet",
        KERNEL,
    ),
];

/// Families of tables.
const FAMILIES: &[(&str, &str, &str)] = &[
    (
        "arp",
        "ARP is not filtered: it passes to the kernel",
        "load that table with nft",
    ),
    (
        "bridge",
        "bridged frames are the kernel's",
        "load that table with nft",
    ),
];

/// Chain types.
const CHAIN_TYPES: &[(&str, &str, &str)] = &[
    (
        "nat",
        "addresses are translated after routing and tracking",
        NAT,
    ),
    (
        "route",
        "marks that route again what the host sends are not built",
        KERNEL,
    ),
];

/// Hooks.
const HOOKS: &[(&str, &str, &str)] = &[
    (
        "postrouting",
        "fwctl decides before routing and, for the host's own packets, at the exit",
        "match in `forward` or `output`, or keep the chain in a file for nft",
    ),
    (
        "egress",
        "fwctl decides before routing and, for the host's own packets, at the exit",
        "match in `forward` or `output`, or keep the chain in a file for nft",
    ),
];

/// Commands.
const COMMANDS: &[(&str, &str, &str)] = &[
    (
        "list",
        "a file of rules shows nothing",
        "use `fwctl rules list`",
    ),
    ("reset", "a file of rules resets nothing", "leave it out"),
    (
        "monitor",
        "a file of rules shows nothing",
        "use `fwctl trace` or `fwctl events`",
    ),
    (
        "export",
        "a file of rules shows nothing",
        "use `fwctl rules list -o json`",
    ),
    ("import", "JSON is not read", "write the rules as text"),
    ("describe", "a file of rules shows nothing", "leave it out"),
    (
        "rename",
        "a file is loaded as a whole",
        "give the chain its name at once",
    ),
    (
        "replace",
        "there is no handle in a file that is loaded as a whole",
        "write the rule itself",
    ),
];

/// Where a word stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    Statement,
    Meta,
    Ct,
    Object,
    Family,
    ChainType,
    Hook,
    Command,
}

/// Why the word is refused in that place, if nftables knows it there and we don't.
#[must_use]
pub(super) fn refusal(place: Place, word: &str) -> Option<Refusal> {
    let list = match place {
        Place::Statement => STATEMENTS,
        Place::Meta => META,
        Place::Ct => CT,
        Place::Object => OBJECTS,
        Place::Family => FAMILIES,
        Place::ChainType => CHAIN_TYPES,
        Place::Hook => HOOKS,
        Place::Command => COMMANDS,
    };
    list.iter()
        .find(|(name, ..)| *name == word)
        .map(|(what, why, instead)| Refusal { what, why, instead })
}
