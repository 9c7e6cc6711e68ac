//! What a match needs to be true first, and nftables adds by itself.
//!
//! `tcp dport 22` reads two bytes of whatever stands behind the network header; that it is TCP is a
//! match of its own in front of it. The rules here are those that `nft --debug=netlink` shows.

use super::known::{Known, Network, Rule};
use super::{Resolve, Resolver};
use crate::rules::diag::Diagnostic;
use crate::rules::ir::{
    DataType, Expr, Family, Field, Header, Match, Meta, Op, Pattern, Protocol, Right, Statement,
};
use crate::rules::span::Span;

fn implied(field: Field, value: u128) -> Match {
    Match {
        left: Expr::Field(field),
        op: Op::Eq,
        right: Right::Patterns(vec![Pattern::Exact(value)]),
        implied: true,
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
}
