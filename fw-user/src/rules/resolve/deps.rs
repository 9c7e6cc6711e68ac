//! What a match needs to be true first, and nftables adds by itself.
//!
//! `tcp dport 22` reads two bytes of whatever stands behind the network header; that it is TCP is a
//! match of its own in front of it. The rules here are those that `nft --debug=netlink` shows.

use super::{Resolve, Resolver};
use crate::rules::diag::Diagnostic;
use crate::rules::ir::{
    DataType, Expr, Family, Field, Header, Match, Meta, Op, Pattern, Protocol, Right, Statement,
};
use crate::rules::span::Span;

/// The protocol above the link that a rule is known to be about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Network {
    Ip,
    Ip6,
}

impl Network {
    fn name(self) -> &'static str {
        match self {
            Self::Ip => "ip",
            Self::Ip6 => "ip6",
        }
    }

    /// Ethernet type.
    fn ether_type(self) -> u128 {
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
    fn nfproto(self) -> u128 {
        match self {
            Self::Ip => 2,
            Self::Ip6 => 10,
        }
    }
}

/// What is known, and the statement that said so, if the rule itself did.
#[derive(Clone, Copy, Debug)]
struct Known<T> {
    what: T,
    said: Option<usize>,
}

/// What the matches so far say about the packet.
#[derive(Clone, Debug)]
pub(super) struct Deps {
    family: Family,
    network: Option<Known<Network>>,
    /// Compared with a set of several: no single protocol is known, and none can be implied.
    several_networks: bool,
    transport: Option<Known<u8>>,
    several_transports: bool,
    ethernet: bool,
    /// Known to be tagged, and the statement that said so.
    vlan: Option<Known<()>>,
    /// Types of ICMP that are known.
    icmp: Vec<u128>,
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

    pub(super) fn family(&self) -> Family {
        self.family
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

fn implied(field: Field, value: u128) -> Match {
    Match {
        left: Expr::Field(field),
        op: Op::Eq,
        right: Right::Patterns(vec![Pattern::Exact(value)]),
        implied: true,
    }
}

/// A rule that is being put together.
pub(super) struct Rule {
    pub(super) table: usize,
    pub(super) deps: Deps,
    pub(super) statements: Vec<Statement>,
}

impl Rule {
    fn push(&mut self, one: Match) {
        self.statements.push(Statement::Match(one));
    }

    /// What the rule said itself and would be implied is not printed.
    fn leave_out(&mut self, said: Option<usize>) {
        let Some(index) = said.filter(|index| *index >= self.deps.fence) else {
            return;
        };
        if let Some(Statement::Match(one)) = self.statements.get_mut(index) {
            one.implied = true;
        }
    }
}

impl Resolver<'_> {
    /// Adds what a field needs.
    pub(super) fn need(&mut self, rule: &mut Rule, field: Field, span: Span) -> Resolve<()> {
        match field {
            Field::Header(header) => self.need_header(rule, header, span),
            Field::ExtHeader(..) | Field::ExtHeaderExists(_) => {
                self.need_network(rule, Network::Ip6, span)
            }
            Field::Ct(ct, _) => self.need_tracking(rule, ct, span),
            Field::Meta(Meta::Nfproto) if rule.deps.family != Family::Inet => {
                self.error(span, "meta nfproto is only useful in the inet family")
            }
            Field::Fib { .. } if rule.deps.family == Family::Netdev => {
                self.error(span, "fib is not supported in the netdev family")
            }
            _ => Ok(()),
        }
    }

    fn need_tracking(
        &mut self,
        rule: &mut Rule,
        ct: crate::rules::ir::CtField,
        span: Span,
    ) -> Resolve<()> {
        use crate::rules::ir::CtField as C;
        if rule.deps.family == Family::Netdev {
            let message = Diagnostic::error(span, "ct is not supported in the netdev family")
                .label("frames come here before they are tracked")
                .help("match it in a table of family inet");
            return self.fail(message);
        }
        let network = match ct {
            C::IpSaddr | C::IpDaddr => Some(Network::Ip),
            C::Ip6Saddr | C::Ip6Daddr => Some(Network::Ip6),
            _ => None,
        };
        if let (Some(needed), Some(known)) = (network, rule.deps.network())
            && needed != known
        {
            return self.conflict(span, known.name(), needed.name());
        }
        if matches!(ct, C::ProtoSrc | C::ProtoDst)
            && rule.deps.transport.is_none()
            && !rule.deps.several_transports
        {
            let message = Diagnostic::error(span, "the protocol is not known here")
                .help("match it before: `meta l4proto tcp ct original proto-dst 22`");
            return self.fail(message);
        }
        Ok(())
    }

    fn conflict<T>(&mut self, span: Span, known: &str, needed: &str) -> Resolve<T> {
        let message = format!("conflicting protocols specified: {known} vs. {needed}");
        let message = Diagnostic::error(span, message).label(format!(
            "the rule is about {known} by now: this never matches"
        ));
        self.fail(message)
    }

    fn need_header(&mut self, rule: &mut Rule, header: Header, span: Span) -> Resolve<()> {
        let protocol = header.protocol();
        match protocol {
            Protocol::Ether => self.need_ethernet(rule),
            Protocol::Vlan if rule.deps.vlan.is_none() && rule.deps.network.is_some() => {
                let message = "conflicting protocols specified: ether vs. vlan";
                let message = Diagnostic::error(span, message)
                    .label("the rule is about IP by now, and IP stands behind the tag")
                    .help("match the tag first, in a table of family inet or netdev");
                return self.fail(message);
            }
            Protocol::Vlan => {
                self.need_ethernet(rule);
                self.need_vlan(rule, header);
            }
            Protocol::Ip => return self.need_network(rule, Network::Ip, span),
            Protocol::Ip6 => return self.need_network(rule, Network::Ip6, span),
            Protocol::Th => {}
            _ => {
                let number = protocol.number().unwrap_or(0);
                self.need_transport(rule, protocol.name(), number, span)?;
                return self.need_icmp_type(rule, header, span);
            }
        }
        Ok(())
    }

    fn need_ethernet(&self, rule: &mut Rule) {
        if !rule.deps.ethernet {
            rule.push(implied(Field::Meta(Meta::Iiftype), 1));
            rule.deps.ethernet = true;
        }
    }

    fn need_vlan(&self, rule: &mut Rule, header: Header) {
        if let Some(known) = rule.deps.vlan {
            if header != Header::VlanType {
                rule.leave_out(known.said);
            }
            return;
        }
        let mut needed = implied(Field::Header(Header::EtherType), 0x8100);
        // nft prints it there.
        needed.implied = header != Header::VlanType;
        rule.push(needed);
        rule.deps.vlan = Some(Known {
            what: (),
            said: None,
        });
    }

    pub(super) fn need_network(
        &mut self,
        rule: &mut Rule,
        network: Network,
        span: Span,
    ) -> Resolve<()> {
        if let Some(known) = rule.deps.network {
            if known.what != network {
                return self.conflict(span, known.what.name(), network.name());
            }
            rule.leave_out(known.said);
            return Ok(());
        }
        if rule.deps.several_networks {
            return self.conflict(span, "ip and ip6", network.name());
        }
        let needed = if rule.deps.vlan.is_some() {
            implied(Field::Header(Header::VlanType), network.ether_type())
        } else if rule.deps.ethernet {
            implied(Field::Header(Header::EtherType), network.ether_type())
        } else if rule.deps.family == Family::Netdev {
            implied(Field::Meta(Meta::Protocol), network.ether_type())
        } else {
            implied(Field::Meta(Meta::Nfproto), network.nfproto())
        };
        rule.push(needed);
        rule.deps.network = Some(Known {
            what: network,
            said: None,
        });
        Ok(())
    }

    pub(super) fn need_transport(
        &mut self,
        rule: &mut Rule,
        name: &str,
        number: u8,
        span: Span,
    ) -> Resolve<()> {
        let known = rule.deps.transport;
        if let Some(known) = known {
            if known.what != number {
                let known = crate::rules::value::print(DataType::InetProto, known.what.into());
                return self.conflict(span, &known, name);
            }
            rule.leave_out(known.said);
        } else if rule.deps.several_transports {
            return self.conflict(span, "several protocols", name);
        }
        if rule.deps.network.is_none() && !rule.deps.several_networks {
            match number {
                1 => self.need_network(rule, Network::Ip, span)?,
                58 => self.need_network(rule, Network::Ip6, span)?,
                // nft prints this one.
                2 => {
                    self.need_network(rule, Network::Ip, span)?;
                    if let Some(Statement::Match(one)) = rule.statements.last_mut() {
                        one.implied = false;
                    }
                }
                _ => {}
            }
        }
        if known.is_none() {
            rule.push(implied(Field::Meta(Meta::L4proto), number.into()));
            rule.deps.transport = Some(Known {
                what: number,
                said: None,
            });
        }
        Ok(())
    }

    /// Some fields are there only in messages of certain types.
    fn need_icmp_type(&mut self, rule: &mut Rule, header: Header, span: Span) -> Resolve<()> {
        let (field, types): (Header, &[u128]) = match header {
            Header::IcmpId | Header::IcmpSequence => (Header::IcmpType, &[0, 8]),
            Header::IcmpGateway => (Header::IcmpType, &[5]),
            Header::IcmpMtu => (Header::IcmpType, &[3]),
            Header::Icmpv6Id | Header::Icmpv6Sequence => (Header::Icmpv6Type, &[128, 129]),
            Header::Icmpv6Mtu => (Header::Icmpv6Type, &[2]),
            Header::Icmpv6MaxDelay => (Header::Icmpv6Type, &[130]),
            _ => return Ok(()),
        };
        if let Some(other) = rule.deps.icmp.iter().find(|one| !types.contains(one)) {
            let name = crate::rules::value::print(field.datatype(), *other);
            let message = format!("incompatible {} match", header.protocol().name());
            let message = Diagnostic::error(span, message)
                .label(format!("messages of type {name} don't have this field"));
            return self.fail(message);
        }
        if !rule.deps.icmp.is_empty() {
            return Ok(());
        }
        rule.deps.icmp = types.to_vec();
        if let [one] = types {
            rule.push(implied(Field::Header(field), *one));
            return Ok(());
        }
        let patterns = types.iter().map(|one| Pattern::Exact(*one));
        let set = self.set_of_patterns(rule.table, field.datatype(), patterns.collect());
        rule.push(Match {
            left: Expr::Field(Field::Header(field)),
            op: Op::Eq,
            right: Right::Set(set),
            implied: false,
        });
        Ok(())
    }

    /// Takes note of what a match says. `values`: what the field can be after it.
    pub(super) fn learn(rule: &mut Rule, field: Field, values: &[u128]) {
        let said = rule.statements.len().checked_sub(1);
        let deps = &mut rule.deps;
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
