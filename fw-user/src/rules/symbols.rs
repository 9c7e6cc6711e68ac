//! Names of values: what nftables reads and prints for each type.

use super::ir::DataType;

mod services;

use services::service;
pub(super) use services::service_names;

/// The names of a type's values. Where a value has two, the first one is printed.
#[must_use]
pub(super) fn names(datatype: DataType) -> &'static [(&'static str, u128)] {
    match datatype {
        DataType::Boolean => &[("exists", 1), ("missing", 0)],
        DataType::EtherType => ETHER_TYPES,
        DataType::InetProto => PROTOCOLS,
        DataType::IfType => IF_TYPES,
        DataType::DevGroup => &[("default", 0)],
        DataType::NfProto => &[("ipv4", 2), ("ipv6", 10)],
        DataType::PktType => &[
            ("host", 0),
            ("unicast", 0),
            ("broadcast", 1),
            ("multicast", 2),
            ("other", 3),
        ],
        DataType::IcmpType => ICMP_TYPES,
        DataType::IcmpCode => ICMP_CODES,
        DataType::Icmpv6Type => ICMPV6_TYPES,
        DataType::Icmpv6Code => ICMPV6_CODES,
        DataType::IcmpxCode => ICMPX_CODES,
        DataType::IgmpType => IGMP_TYPES,
        DataType::TcpFlag => TCP_FLAGS,
        DataType::CtState => CT_STATES,
        DataType::CtStatus => CT_STATUS,
        DataType::CtDir => &[("original", 0), ("reply", 1)],
        DataType::Dscp => DSCP,
        DataType::Ecn => &[("not-ect", 0), ("ect1", 1), ("ect0", 2), ("ce", 3)],
        DataType::FibAddrType => FIB_TYPES,
        DataType::Day => DAYS,
        _ => &[],
    }
}

/// The name that is printed for a value.
#[must_use]
pub(super) fn name_of(datatype: DataType, value: u128) -> Option<&'static str> {
    let found = names(datatype).iter().find(|(_, known)| *known == value);
    found.map(|(name, _)| *name)
}

/// The value of a name.
#[must_use]
pub(super) fn value_of(datatype: DataType, name: &str) -> Option<u128> {
    let found = names(datatype).iter().find(|(known, _)| *known == name);
    if let Some((_, value)) = found {
        return Some(*value);
    }
    match datatype {
        DataType::InetService => service(name).map(u128::from),
        // Words of the rule language that /etc/protocols does not have.
        DataType::InetProto => match name {
            "icmpv6" => Some(58),
            "comp" => Some(108),
            _ => None,
        },
        _ => None,
    }
}

const ETHER_TYPES: &[(&str, u128)] = &[
    ("ip", 0x0800),
    ("arp", 0x0806),
    ("ip6", 0x86dd),
    ("8021q", 0x8100),
    ("8021ad", 0x88a8),
    ("vlan", 0x8100),
];

/// IANA's assigned protocol numbers, by the names of Debian's `/etc/protocols`.
const PROTOCOLS: &[(&str, u128)] = &[
    ("ip", 0),
    ("hopopt", 0),
    ("icmp", 1),
    ("igmp", 2),
    ("ggp", 3),
    ("ipencap", 4),
    ("st", 5),
    ("tcp", 6),
    ("egp", 8),
    ("igp", 9),
    ("pup", 12),
    ("udp", 17),
    ("hmp", 20),
    ("xns-idp", 22),
    ("rdp", 27),
    ("iso-tp4", 29),
    ("dccp", 33),
    ("xtp", 36),
    ("ddp", 37),
    ("idpr-cmtp", 38),
    ("ipv6", 41),
    ("ipv6-route", 43),
    ("ipv6-frag", 44),
    ("idrp", 45),
    ("rsvp", 46),
    ("gre", 47),
    ("esp", 50),
    ("ah", 51),
    ("skip", 57),
    ("ipv6-icmp", 58),
    ("ipv6-nonxt", 59),
    ("ipv6-opts", 60),
    ("rspf", 73),
    ("vmtp", 81),
    ("eigrp", 88),
    ("ospf", 89),
    ("ipip", 94),
    ("etherip", 97),
    ("encap", 98),
    ("pim", 103),
    ("ipcomp", 108),
    ("vrrp", 112),
    ("l2tp", 115),
    ("isis", 124),
    ("sctp", 132),
    ("fc", 133),
    ("mobility-header", 135),
    ("udplite", 136),
    ("mpls-in-ip", 137),
    ("manet", 138),
    ("hip", 139),
    ("shim6", 140),
    ("wesp", 141),
    ("rohc", 142),
    ("ethernet", 143),
];

const IF_TYPES: &[(&str, u128)] = &[
    ("ether", 1),
    ("ppp", 0x200),
    ("ipip", 0x300),
    ("ipip6", 0x301),
    ("loopback", 0x304),
    ("sit", 0x308),
    ("ipgre", 0x30a),
];

const ICMP_TYPES: &[(&str, u128)] = &[
    ("echo-reply", 0),
    ("destination-unreachable", 3),
    ("source-quench", 4),
    ("redirect", 5),
    ("echo-request", 8),
    ("router-advertisement", 9),
    ("router-solicitation", 10),
    ("time-exceeded", 11),
    ("parameter-problem", 12),
    ("timestamp-request", 13),
    ("timestamp-reply", 14),
    ("info-request", 15),
    ("info-reply", 16),
    ("address-mask-request", 17),
    ("address-mask-reply", 18),
];

const ICMP_CODES: &[(&str, u128)] = &[
    ("net-unreachable", 0),
    ("host-unreachable", 1),
    ("prot-unreachable", 2),
    ("port-unreachable", 3),
    ("frag-needed", 4),
    ("net-prohibited", 9),
    ("host-prohibited", 10),
    ("admin-prohibited", 13),
];

const ICMPV6_TYPES: &[(&str, u128)] = &[
    ("destination-unreachable", 1),
    ("packet-too-big", 2),
    ("time-exceeded", 3),
    ("parameter-problem", 4),
    ("echo-request", 128),
    ("echo-reply", 129),
    ("mld-listener-query", 130),
    ("mld-listener-report", 131),
    ("mld-listener-done", 132),
    ("mld-listener-reduction", 132),
    ("nd-router-solicit", 133),
    ("nd-router-advert", 134),
    ("nd-neighbor-solicit", 135),
    ("nd-neighbor-advert", 136),
    ("nd-redirect", 137),
    ("router-renumbering", 138),
    ("ind-neighbor-solicit", 141),
    ("ind-neighbor-advert", 142),
    ("mld2-listener-report", 143),
];

const ICMPV6_CODES: &[(&str, u128)] = &[
    ("no-route", 0),
    ("admin-prohibited", 1),
    ("addr-unreachable", 3),
    ("port-unreachable", 4),
    ("policy-fail", 5),
    ("reject-route", 6),
];

const ICMPX_CODES: &[(&str, u128)] = &[
    ("no-route", 0),
    ("port-unreachable", 1),
    ("host-unreachable", 2),
    ("admin-prohibited", 3),
];

const IGMP_TYPES: &[(&str, u128)] = &[
    ("membership-query", 0x11),
    ("membership-report-v1", 0x12),
    ("membership-report-v2", 0x16),
    ("membership-report-v3", 0x22),
    ("leave-group", 0x17),
];

const TCP_FLAGS: &[(&str, u128)] = &[
    ("fin", 0x01),
    ("syn", 0x02),
    ("rst", 0x04),
    ("psh", 0x08),
    ("ack", 0x10),
    ("urg", 0x20),
    ("ecn", 0x40),
    ("cwr", 0x80),
];

/// In the order in which nft prints several of them.
const CT_STATES: &[(&str, u128)] = &[
    ("invalid", 1),
    ("established", 2),
    ("related", 4),
    ("new", 8),
    ("untracked", 64),
];

const CT_STATUS: &[(&str, u128)] = &[
    ("expected", 0x001),
    ("seen-reply", 0x002),
    ("assured", 0x004),
    ("confirmed", 0x008),
    ("snat", 0x010),
    ("dnat", 0x020),
    ("dying", 0x200),
];

const DSCP: &[(&str, u128)] = &[
    ("cs0", 0x00),
    ("cs1", 0x08),
    ("cs2", 0x10),
    ("cs3", 0x18),
    ("cs4", 0x20),
    ("cs5", 0x28),
    ("cs6", 0x30),
    ("cs7", 0x38),
    ("df", 0x00),
    ("be", 0x00),
    ("lephb", 0x01),
    ("af11", 0x0a),
    ("af12", 0x0c),
    ("af13", 0x0e),
    ("af21", 0x12),
    ("af22", 0x14),
    ("af23", 0x16),
    ("af31", 0x1a),
    ("af32", 0x1c),
    ("af33", 0x1e),
    ("af41", 0x22),
    ("af42", 0x24),
    ("af43", 0x26),
    ("va", 0x2c),
    ("ef", 0x2e),
];

const FIB_TYPES: &[(&str, u128)] = &[
    ("unspec", 0),
    ("unicast", 1),
    ("local", 2),
    ("broadcast", 3),
    ("anycast", 4),
    ("multicast", 5),
    ("blackhole", 6),
    ("unreachable", 7),
    ("prohibit", 8),
];

const DAYS: &[(&str, u128)] = &[
    ("Sunday", 0),
    ("Monday", 1),
    ("Tuesday", 2),
    ("Wednesday", 3),
    ("Thursday", 4),
    ("Friday", 5),
    ("Saturday", 6),
];
