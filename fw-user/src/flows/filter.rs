//! Which flows a command means.

use std::net::IpAddr;

use fw_common::wire::Family;
use ipnet::IpNet;

use super::{FlowEntry, Service};

/// Conditions that a flow must meet; all of them, and none by default.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Filter {
    /// Address family.
    pub family: Option<Family>,
    /// IP protocol number.
    pub proto: Option<u8>,
    /// Source of the original direction.
    pub src: Option<Prefix>,
    /// Destination of the original direction.
    pub dst: Option<Prefix>,
    /// Source of the reply direction.
    pub reply_src: Option<Prefix>,
    /// Destination of the reply direction.
    pub reply_dst: Option<Prefix>,
    /// Source port of the original direction.
    pub sport: Option<u16>,
    /// Destination port of the original direction.
    pub dport: Option<u16>,
    /// Source port of the reply direction.
    pub reply_sport: Option<u16>,
    /// Destination port of the reply direction.
    pub reply_dport: Option<u16>,
    /// ICMP type of the original direction.
    pub icmp_type: Option<u8>,
    /// ICMP code.
    pub icmp_code: Option<u8>,
    /// ICMP identifier.
    pub icmp_id: Option<u16>,
    /// State of the connection, one of [`super::state_names`].
    pub state: Option<&'static str>,
    /// Status bits that matter, and what they must be.
    pub status: Masked,
    /// Bits of the mark that matter, and what they must be.
    pub mark: Masked,
    /// Interface that packets of one of the directions came in by.
    pub ifindex: Option<u32>,
    /// Conntrack zone.
    pub zone: Option<u16>,
}

/// A value compared under a mask; the default matches everything.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Masked {
    /// What the bits must be.
    pub value: u32,
    /// Which bits matter.
    pub mask: u32,
}

impl Masked {
    const fn matches(self, value: u32) -> bool {
        value & self.mask == self.value & self.mask
    }
}

/// A range of addresses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Prefix {
    /// Address family.
    pub family: Family,
    network: u128,
    mask: u128,
}

impl Prefix {
    /// Whether `address` (in the maps' form) is within; its family must have been compared.
    fn contains(&self, address: &[u8; 16]) -> bool {
        u128::from_be_bytes(*address) & self.mask == self.network
    }
}

impl From<IpNet> for Prefix {
    fn from(net: IpNet) -> Self {
        let mut wide = [0; 16];
        let family = match net.addr() {
            IpAddr::V4(address) => {
                wide[..4].copy_from_slice(&address.octets());
                Family::V4
            }
            IpAddr::V6(address) => {
                wide = address.octets();
                Family::V6
            }
        };
        let mask = u128::MAX
            .checked_shl(128 - u32::from(net.prefix_len()))
            .unwrap_or(0);
        Self {
            family,
            network: u128::from_be_bytes(wide) & mask,
            mask,
        }
    }
}

impl Filter {
    /// Whether `entry` meets every condition.
    #[must_use]
    pub fn matches(&self, entry: &FlowEntry) -> bool {
        same(self.family, entry.family)
            && same(self.proto, entry.proto)
            && same(self.zone, entry.zone)
            && self.state.is_none_or(|state| entry.state == Some(state))
            && self.status.matches(entry.status)
            && self.mark.matches(entry.mark)
            && self.addresses(entry)
            && self.service(entry)
            && self
                .ifindex
                .is_none_or(|index| index == entry.original.ifindex || index == entry.reply.ifindex)
    }

    fn addresses(&self, entry: &FlowEntry) -> bool {
        let (there, back) = (&entry.original.tuple, &entry.reply.tuple);
        [
            (self.src, &there.src),
            (self.dst, &there.dst),
            (self.reply_src, &back.src),
            (self.reply_dst, &back.dst),
        ]
        .into_iter()
        .all(|(prefix, address)| {
            prefix.is_none_or(|p| p.family == entry.family && p.contains(address))
        })
    }

    fn service(&self, entry: &FlowEntry) -> bool {
        if !self.asks_service() {
            return true;
        }
        match (entry.service(&entry.original), entry.service(&entry.reply)) {
            (
                Service::Ports { sport, dport },
                Service::Ports {
                    sport: rs,
                    dport: rd,
                },
            ) => {
                same(self.sport, sport)
                    && same(self.dport, dport)
                    && same(self.reply_sport, rs)
                    && same(self.reply_dport, rd)
                    && !self.asks_query()
            }
            (Service::Query { kind, code, id }, _) => {
                same(self.icmp_type, kind)
                    && same(self.icmp_code, code)
                    && same(self.icmp_id, id)
                    && !self.asks_ports()
            }
            // No port and no type is any port or type.
            _ => false,
        }
    }

    fn asks_service(&self) -> bool {
        self.asks_ports() || self.asks_query()
    }

    fn asks_ports(&self) -> bool {
        [self.sport, self.dport, self.reply_sport, self.reply_dport]
            .iter()
            .any(Option::is_some)
    }

    fn asks_query(&self) -> bool {
        self.icmp_type.is_some() || self.icmp_code.is_some() || self.icmp_id.is_some()
    }
}

fn same<T: Copy + PartialEq>(wanted: Option<T>, found: T) -> bool {
    wanted.is_none_or(|wanted| wanted == found)
}

#[cfg(test)]
mod tests {
    use super::super::fixtures::*;
    use super::*;
    use fw_common::status;

    fn net(text: &str) -> Option<Prefix> {
        Some(text.parse::<IpNet>().unwrap().into())
    }

    #[track_caller]
    fn check(filter: &Filter, matching: &Spec, other: &Spec) {
        assert!(filter.matches(&matching.build()), "{filter:?}");
        assert!(!filter.matches(&other.build()), "{filter:?}");
    }

    #[test]
    fn empty_filter_matches_everything() {
        for flow in [ssh(), ping(), Spec::default()] {
            assert!(Filter::default().matches(&flow.build()));
        }
    }

    #[test]
    fn addresses_by_direction_and_prefix() {
        let turned = Spec {
            src: "172.16.255.131",
            dst: "172.16.255.130",
            ..ssh()
        };
        let src = net("172.16.255.130/32");
        check(
            &Filter {
                src,
                ..Filter::default()
            },
            &ssh(),
            &turned,
        );
        check(
            &Filter {
                dst: src,
                ..Filter::default()
            },
            &turned,
            &ssh(),
        );
        check(
            &Filter {
                reply_src: src,
                ..Filter::default()
            },
            &turned,
            &ssh(),
        );
        check(
            &Filter {
                reply_dst: src,
                ..Filter::default()
            },
            &ssh(),
            &turned,
        );
        let wide = net("172.16.0.0/12");
        check(
            &Filter {
                src: wide,
                ..Filter::default()
            },
            &ssh(),
            &ping(),
        );
    }

    #[test]
    fn a_prefix_of_length_zero_keeps_to_its_family() {
        let v6 = Spec {
            src: "fd91:1::2",
            dst: "fd91:2::2",
            ..Spec::default()
        };
        check(
            &Filter {
                src: net("0.0.0.0/0"),
                ..Filter::default()
            },
            &ssh(),
            &v6,
        );
        check(
            &Filter {
                src: net("::/0"),
                ..Filter::default()
            },
            &v6,
            &ssh(),
        );
        check(
            &Filter {
                dst: net("fd91:2::/32"),
                ..Filter::default()
            },
            &v6,
            &ssh(),
        );
    }

    #[test]
    fn ports_only_where_there_are_ports() {
        let port = Filter {
            sport: Some(42),
            ..Filter::default()
        };
        let tcp = Spec { sport: 42, ..ssh() };
        // 42 is the ping's id.
        check(&port, &tcp, &ping());
        let query = Filter {
            icmp_type: Some(8),
            icmp_id: Some(42),
            ..Filter::default()
        };
        check(&query, &ping(), &tcp);
    }

    #[test]
    fn reply_ports_are_the_other_way_round() {
        let filter = Filter {
            reply_sport: Some(22),
            ..Filter::default()
        };
        let other = Spec {
            sport: 22,
            dport: 41102,
            ..ssh()
        };
        check(&filter, &ssh(), &other);
    }

    #[test]
    fn status_and_mark_under_a_mask() {
        let bits = |value, mask| Filter {
            status: Masked { value, mask },
            ..Filter::default()
        };
        check(&bits(status::ASSURED, status::ASSURED), &ssh(), &ping());
        check(&bits(0, status::SEEN_REPLY), &Spec::default(), &ssh());
        let marked = Spec {
            mark: 0x1f,
            ..ssh()
        };
        let filter = Filter {
            mark: Masked {
                value: 0x0f,
                mask: 0xff0f,
            },
            ..Filter::default()
        };
        check(&filter, &marked, &ssh());
    }

    #[test]
    fn state_protocol_family_zone() {
        let filter = |f: fn(&mut Filter)| {
            let mut filter = Filter::default();
            f(&mut filter);
            filter
        };
        check(&filter(|f| f.state = Some("ESTABLISHED")), &ssh(), &ping());
        check(&filter(|f| f.proto = Some(1)), &ping(), &ssh());
        check(
            &filter(|f| f.zone = Some(3)),
            &Spec { zone: 3, ..ssh() },
            &ssh(),
        );
        check(
            &filter(|f| f.family = Some(Family::V6)),
            &Spec {
                src: "::2",
                dst: "::3",
                ..ssh()
            },
            &ssh(),
        );
    }
}
