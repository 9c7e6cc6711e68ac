//! What the matches of a rule say about its packets so far.

use crate::rules::ir::{Family, Field, Header, Match, Meta, Statement};

/// The protocol above the link that a rule is known to be about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Network {
    Ip,
    Ip6,
}

impl Network {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Ip => "ip",
            Self::Ip6 => "ip6",
        }
    }

    /// Ethernet type.
    pub(super) fn ether_type(self) -> u128 {
        match self {
            Self::Ip => 0x0800,
            Self::Ip6 => 0x86dd,
        }
    }

    fn of_ether_type(value: u128) -> Option<Self> {
        [Self::Ip, Self::Ip6]
            .into_iter()
            .find(|network| network.ether_type() == value)
    }

    /// NFPROTO_….
    pub(super) fn nfproto(self) -> u128 {
        match self {
            Self::Ip => 2,
            Self::Ip6 => 10,
        }
    }
}

/// What is known, and the statement that said so, if the rule itself did.
#[derive(Clone, Copy, Debug)]
pub(super) struct Known<T> {
    pub(super) what: T,
    pub(super) said: Option<usize>,
}

/// What the matches so far say about the packet.
#[derive(Clone, Debug)]
pub(super) struct Deps {
    pub(super) family: Family,
    pub(super) network: Option<Known<Network>>,
    /// Compared with a set of several: no single protocol is known, and none can be implied.
    pub(super) several_networks: bool,
    pub(super) transport: Option<Known<u8>>,
    pub(super) several_transports: bool,
    pub(super) ethernet: bool,
    /// Known to be tagged, and the statement that said so.
    pub(super) vlan: Option<Known<()>>,
    /// Types of ICMP that are known.
    pub(super) icmp: Vec<u128>,
    /// First statement after the last one that is no match: only what was said since then is left
    /// out when the rule is printed.
    fence: usize,
}

impl Deps {
    pub(super) fn new(family: Family) -> Self {
        let network = match family {
            Family::Ip => Some(Network::Ip),
            Family::Ip6 => Some(Network::Ip6),
            Family::Inet | Family::Netdev => None,
        };
        Self {
            family,
            network: network.map(|what| Known { what, said: None }),
            several_networks: false,
            transport: None,
            several_transports: false,
            ethernet: false,
            vlan: None,
            icmp: Vec::new(),
            fence: 0,
        }
    }

    pub(super) fn network(&self) -> Option<Network> {
        self.network.map(|known| known.what)
    }

    pub(super) fn transport(&self) -> Option<u8> {
        self.transport.map(|known| known.what)
    }

    /// Whether the link's header has been matched.
    pub(super) fn knows_link(&self) -> bool {
        self.ethernet || self.vlan.is_some()
    }

    /// Whether there is no other statement yet.
    pub(super) fn only_matches(&self) -> bool {
        self.fence == 0
    }

    /// A statement that is no match ends what can be left out.
    pub(super) fn fence(&mut self, statements: usize) {
        self.fence = statements;
    }
}

/// A rule that is being put together.
pub(super) struct Rule {
    pub(super) table: usize,
    pub(super) deps: Deps,
    pub(super) statements: Vec<Statement>,
}

impl Rule {
    pub(super) fn push(&mut self, one: Match) {
        self.statements.push(Statement::Match(one));
    }

    /// What the rule said itself and would be implied is not printed.
    pub(super) fn leave_out(&mut self, said: Option<usize>) {
        let Some(index) = said.filter(|index| *index >= self.deps.fence) else {
            return;
        };
        if let Some(Statement::Match(one)) = self.statements.get_mut(index) {
            one.implied = true;
        }
    }

    /// Takes note of what a match says. `values`: what the field can be after it.
    pub(super) fn learn(&mut self, field: Field, values: &[u128]) {
        let said = self.statements.len().checked_sub(1);
        let deps = &mut self.deps;
        let network = match field {
            Field::Meta(Meta::Nfproto) => values.first().and_then(|value| {
                [Network::Ip, Network::Ip6]
                    .into_iter()
                    .find(|network| network.nfproto() == *value)
            }),
            Field::Meta(Meta::Protocol) | Field::Header(Header::EtherType | Header::VlanType) => {
                values
                    .first()
                    .and_then(|value| Network::of_ether_type(*value))
            }
            _ => None,
        };
        match field {
            Field::Meta(Meta::Nfproto | Meta::Protocol)
            | Field::Header(Header::EtherType | Header::VlanType) => {
                if values.len() > 1 {
                    deps.several_networks = true;
                    deps.network = None;
                } else if let Some(what) = network.filter(|what| deps.network() != Some(*what)) {
                    // In inet, nft goes on printing `meta protocol`.
                    let prints =
                        deps.family == Family::Inet && field == Field::Meta(Meta::Protocol);
                    // What contradicts the rest of the rule is nothing that could be implied.
                    let said = said.filter(|_| !prints && deps.network.is_none());
                    deps.network = Some(Known { what, said });
                } else if values == [0x8100] && field == Field::Header(Header::EtherType) {
                    deps.vlan = Some(Known { what: (), said });
                }
            }
            Field::Meta(Meta::L4proto) | Field::Header(Header::IpProtocol | Header::Ip6Nexthdr) => {
                let value = values.first().and_then(|value| u8::try_from(*value).ok());
                if values.len() > 1 {
                    deps.several_transports = true;
                    deps.transport = None;
                } else if let Some(what) = value.filter(|what| deps.transport() != Some(*what)) {
                    // In inet, nft goes on printing `ip protocol`.
                    let prints = deps.family == Family::Inet && field != Field::Meta(Meta::L4proto);
                    let said = said.filter(|_| !prints && deps.transport.is_none());
                    deps.transport = Some(Known { what, said });
                }
            }
            Field::Header(Header::IcmpType | Header::Icmpv6Type) if deps.icmp.is_empty() => {
                deps.icmp = values.to_vec();
            }
            _ => {}
        }
    }
}
