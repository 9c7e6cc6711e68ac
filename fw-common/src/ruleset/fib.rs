//! `fib`: what the routing tables say of a packet's addresses.
//!
//! The kernel's own look-up (`nft_fib4_eval`, `nft_fib6_eval`) is not to be had in XDP. What there is: the
//! addresses of the routing table `local`, which the daemon keeps in a map ([`Local`]), and
//! `bpf_fib_lookup` for all other routes. What neither tells is not vouched for, and a rule that asks for
//! it drops the packet.

use super::facts::{Facts, Link, words};
use super::field::{self, fib, have};
use crate::wire::{Family, Meta, proto};

mod local;

pub use local::{LOCAL_LINKS, Local, local_key, rtn};

/// One of a packet's two addresses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Side {
    /// Its source.
    Source = 0,
    /// Its destination.
    Destination = 1,
}

impl Side {
    /// Its address.
    #[must_use]
    #[inline(always)]
    pub const fn of(self, meta: &Meta) -> &[u8; 16] {
        match self {
            Self::Source => &meta.src,
            Self::Destination => &meta.dst,
        }
    }

    const fn base(self) -> u8 {
        match self {
            Self::Source => field::FIB_SADDR,
            Self::Destination => field::FIB_DADDR,
        }
    }
}

/// What `bpf_fib_lookup` has answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answer {
    /// It was not asked.
    NotAsked,
    /// The way leads out by that interface.
    By(u32),
    /// There is none, and this is the type of it ([`rtn`]).
    None(u32),
    /// It can't say.
    Unknown,
}

impl Answer {
    /// What the helper's return value means; `index` is the interface in its answer.
    #[must_use]
    #[inline(always)]
    pub const fn of(returned: i64, index: u32) -> Self {
        match returned {
            // Also where the neighbour is not known, or the packet is too long.
            0 | 7 | 8 => Self::By(index),
            1 => Self::None(rtn::BLACKHOLE),
            2 | 4 => Self::None(rtn::UNREACHABLE),
            3 => Self::None(rtn::PROHIBIT),
            _ => Self::Unknown,
        }
    }
}

/// The interface that counts as the way back of a packet whose source is none yet: questions for an
/// address (DHCP, duplicate address detection) come from where they come from (`nft_fib4_eval`,
/// `nft_fib_v6_skip_icmpv6`). So does what a link-local address sends.
#[inline(always)]
fn is_exempt(meta: &Meta, end: Side) -> bool {
    let (src, dst) = (words(&meta.src), words(&meta.dst));
    match meta.family {
        Family::V4 => {
            src[0] >> 24 == 0 && (dst[0] == u32::MAX || dst[0] & 0xffff_ff00 == 0xe000_0000)
        }
        Family::V6 => {
            let questions = meta.proto == proto::ICMPV6 && src == [0; 4] && is_link_scope(dst[0]);
            questions || is_link_scope(words(end.of(meta))[0])
        }
    }
}

/// `fe80::/10`, `ff02::/16`.
const fn is_link_scope(first: u32) -> bool {
    first & 0xffc0_0000 == 0xfe80_0000 || first >> 16 & 0xff0f == 0xff02
}

/// What the address alone says of its type.
#[inline(always)]
const fn type_of(family: Family, first: u32) -> Option<u32> {
    match family {
        Family::V4 if first >> 24 == 0 || first == u32::MAX => Some(rtn::BROADCAST),
        Family::V4 if first >> 28 == 0xe => Some(rtn::MULTICAST),
        Family::V6 if first >> 24 == 0xff => Some(rtn::MULTICAST),
        _ => None,
    }
}

impl Facts {
    /// Notes the type of an address. `local`: its entry in the routing table `local`, if it has one. Noted
    /// again once it is known by which interface the packet leaves, it has one on that.
    #[inline(always)]
    pub fn fib_type(&mut self, meta: &Meta, end: Side, local: Option<&Local>, answer: Answer) {
        let first = words(end.of(meta))[0];
        let found = match (type_of(meta.family, first), local) {
            (Some(kind), _) => Some(kind),
            (None, Some(local)) => Some(local.kind),
            (None, None) if is_exempt(meta, end) => Some(rtn::UNICAST),
            (None, None) => match (meta.family, answer) {
                (Family::V4, _) | (Family::V6, Answer::By(_)) => Some(rtn::UNICAST),
                (Family::V6, Answer::None(kind)) => Some(kind),
                (Family::V6, _) => None,
            },
        };
        let Some(kind) = found else {
            return;
        };
        let on = |link: u32| match local {
            // On another interface it is an address like any other.
            Some(local) if kind != rtn::ANYCAST && !local.is_on(link) => rtn::UNICAST,
            _ => kind,
        };
        let (iif, oif) = (self.get(field::IIF), self.way_out());
        let of_group = type_of(meta.family, first).is_some();
        self.set(end.base() + fib::TYPE, kind);
        self.set(
            end.base() + fib::TYPE_IIF,
            if of_group { kind } else { on(iif) },
        );
        self.vouch(have::SADDR_TYPE + end as u8);
        if oif != 0 {
            self.set(
                end.base() + fib::TYPE_OUT,
                if of_group { kind } else { on(oif) },
            );
            self.vouch(have::SADDR_TYPE_OUT + end as u8);
        }
    }

    /// The interface that the packet leaves by; 0 if that is not known yet.
    #[inline(always)]
    fn way_out(&self) -> u32 {
        match self.get(field::ROUTED) {
            0 => self.get(field::OIF),
            routed => routed,
        }
    }

    /// Whether what is asked of an address is a matter of routes.
    #[must_use]
    #[inline(always)]
    pub fn fib_needs_route(meta: &Meta, end: Side, local: Option<&Local>, way: bool) -> bool {
        // IPv4's types are those of the table `local` (`inet_dev_addr_type`).
        let asks = way || matches!(meta.family, Family::V6);
        asks && local.is_none() && !is_exempt(meta, end)
    }

    /// The interface by which an address is reached: 0 if by none, `None` if nobody knows.
    #[must_use]
    #[inline(always)]
    pub fn fib_way(
        &self,
        meta: &Meta,
        end: Side,
        local: Option<&Local>,
        answer: Answer,
    ) -> Option<u32> {
        if is_exempt(meta, end) {
            return Some(self.get(field::IIF));
        }
        match (local, answer) {
            (Some(local), _) if local.kind == rtn::BROADCAST => Some(local.links[0]),
            // The host itself is reached by no interface.
            (Some(_), _) => Some(0),
            (None, Answer::By(index)) => Some(index),
            (None, Answer::None(_)) => Some(0),
            (None, _) => None,
        }
    }

    /// Notes by which interface an address is reached. `link`: what is known of it.
    #[inline(always)]
    pub fn fib_by(&mut self, end: Side, index: u32, local: Option<&Local>, link: Option<&Link>) {
        let base = end.base();
        let iif = self.get(field::IIF);
        // A broadcast address may be that of several interfaces.
        let broadcast = local.is_some_and(|local| local.kind == rtn::BROADCAST && local.is_on(iif));
        let back = (index == iif || broadcast) && iif != 0;
        self.set(base + fib::OIF, index);
        self.set(base + fib::OIF_IIF, if back { iif } else { 0 });
        self.set(base + fib::EXISTS, u32::from(index != 0));
        self.set(base + fib::EXISTS_IIF, u32::from(back));
        self.vouch(have::SADDR_OIF + end as u8);
        let name = match (index, link) {
            (0, _) => [0; 4],
            (_, Some(link)) => link.name,
            (_, None) => return,
        };
        let own = self.four(field::IIFNAME);
        self.set_four(base + fib::NAME, name);
        self.set_four(base + fib::NAME_IIF, if back { own } else { [0; 4] });
        self.vouch(have::SADDR_NAME + end as u8);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn v4(src: [u8; 4], dst: [u8; 4]) -> Meta {
        let mut meta = Meta {
            family: Family::V4,
            proto: proto::UDP,
            ..Meta::default()
        };
        meta.src[..4].copy_from_slice(&src);
        meta.dst[..4].copy_from_slice(&dst);
        meta
    }

    fn v6(src: &str, dst: &str) -> Meta {
        let bytes = |text: &str| text.parse::<core::net::Ipv6Addr>().unwrap().octets();
        Meta {
            family: Family::V6,
            proto: proto::UDP,
            src: bytes(src),
            dst: bytes(dst),
            ..Meta::default()
        }
    }

    /// Facts of a packet that came in by interface 2, `eth0`.
    fn facts() -> Facts {
        let mut facts = Facts::default();
        facts.came_in_by(&Link {
            index: 2,
            kind: 1,
            group: 0,
            name: [7, 0, 0, 0],
        });
        facts
    }

    fn local(kind: u32, link: u32) -> Local {
        Local {
            kind,
            links: [link, 0, 0, 0, 0, 0, 0],
        }
    }

    fn types(meta: &Meta, entry: Option<Local>, answer: Answer) -> Option<(u32, u32)> {
        let mut facts = facts();
        facts.fib_type(meta, Side::Destination, entry.as_ref(), answer);
        let base = field::FIB_DADDR;
        let known = facts.has(u32::from(have::DADDR_TYPE));
        known.then(|| (facts.get(base + fib::TYPE), facts.get(base + fib::TYPE_IIF)))
    }

    #[test]
    fn types_of_ipv4_need_no_route() {
        use Answer::NotAsked as N;
        let to = |dst| v4([10, 0, 0, 9], dst);
        assert_eq!(types(&to([8, 8, 8, 8]), None, N), Some((1, 1)));
        assert_eq!(types(&to([255; 4]), None, N), Some((3, 3)));
        assert_eq!(types(&to([224, 0, 0, 5]), None, N), Some((5, 5)));
        let here = types(&to([10, 0, 0, 1]), Some(local(rtn::LOCAL, 2)), N);
        assert_eq!(here, Some((2, 2)));
        let there = types(&to([10, 0, 0, 1]), Some(local(rtn::LOCAL, 3)), N);
        assert_eq!(there, Some((2, 1)), "that of another interface");
    }

    #[test]
    fn types_on_the_way_out_are_known_with_it() {
        let meta = v4([10, 0, 0, 1], [10, 0, 0, 9]);
        let base = field::FIB_SADDR;
        let mut facts = facts();
        let note = |facts: &mut Facts, link| {
            let entry = local(rtn::LOCAL, link);
            facts.fib_type(&meta, Side::Source, Some(&entry), Answer::NotAsked);
            let known = facts.has(u32::from(have::SADDR_TYPE_OUT));
            known.then(|| facts.get(base + fib::TYPE_OUT))
        };
        assert_eq!(note(&mut facts, 3), None);
        facts.routed_to(&Link {
            index: 3,
            kind: 1,
            group: 0,
            name: [8, 0, 0, 0],
        });
        assert_eq!(note(&mut facts, 3), Some(rtn::LOCAL));
        assert_eq!(note(&mut facts, 2), Some(rtn::UNICAST));
        assert_eq!(facts.get(base + fib::TYPE_IIF), rtn::LOCAL);
    }

    #[test]
    fn types_of_ipv6_are_those_of_routes() {
        let to = |dst| v6("2001:db8::1", dst);
        let far = to("2001:db8:1::1");
        assert_eq!(types(&far, None, Answer::By(3)), Some((1, 1)));
        let none = Answer::of(4, 0);
        assert_eq!(types(&far, None, none), Some((7, 7)));
        assert_eq!(types(&far, None, Answer::of(1, 0)), Some((6, 6)));
        assert_eq!(types(&far, None, Answer::of(5, 0)), None, "no forwarding");
        let all = to("ff02::1");
        assert_eq!(types(&all, None, Answer::NotAsked), Some((5, 5)));
        let any = types(&far, Some(local(rtn::ANYCAST, 3)), Answer::NotAsked);
        assert_eq!(any, Some((4, 4)));
    }

    #[test]
    fn who_has_no_address_yet_comes_from_where_it_comes() {
        let facts = facts();
        let way = |meta: &Meta| facts.fib_way(meta, Side::Source, None, Answer::Unknown);
        assert_eq!(way(&v4([0; 4], [255; 4])), Some(2));
        assert_eq!(way(&v4([0; 4], [224, 0, 0, 1])), Some(2));
        assert_eq!(way(&v4([0; 4], [10, 0, 0, 1])), None);
        assert_eq!(way(&v6("fe80::1", "ff02::1")), Some(2));
        let mut question = v6("::", "ff02::1:ff00:1");
        assert_eq!(way(&question), None);
        question.proto = proto::ICMPV6;
        assert_eq!(way(&question), Some(2));
    }

    #[test]
    fn a_way_back_is_one_by_the_same_interface() {
        let back = |index| {
            let mut facts = facts();
            facts.fib_by(Side::Source, index, None, None);
            facts.get(field::FIB_SADDR + fib::OIF_IIF)
        };
        assert_eq!((back(2), back(3), back(0)), (2, 0, 0));
    }

    #[test]
    fn the_host_itself_is_reached_by_none() {
        let meta = v4([10, 0, 0, 1], [10, 0, 0, 2]);
        let entry = local(rtn::LOCAL, 2);
        let way = facts().fib_way(&meta, Side::Source, Some(&entry), Answer::By(2));
        assert_eq!(way, Some(0));
        let all = local(rtn::BROADCAST, 2);
        let way = facts().fib_way(&meta, Side::Source, Some(&all), Answer::NotAsked);
        assert_eq!(way, Some(2));
    }
}
