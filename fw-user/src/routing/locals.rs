//! The routing table `local`: the host's own addresses and those of broadcasts, for `fib … type`.

use std::collections::BTreeMap;
use std::io;

use fw_common::ruleset::fib::{LOCAL_LINKS, Local, local_key, rtn};
use fw_common::wire::Family;

use crate::sys::netlink_raw::{attribute, dump_checked, make_attribute, number};

/// `RTM_GETROUTE`; length of `struct rtmsg`.
const GET_ROUTE: u16 = 26;
const HEADER: usize = 12;
/// `RTA_DST`, `RTA_OIF`, `RTA_TABLE`.
const DESTINATION: u16 = 1;
const LINK: u16 = 4;
const TABLE: u16 = 15;
/// `RT_TABLE_LOCAL`.
const LOCAL: u32 = 255;
/// `AF_INET`, `AF_INET6`.
const FAMILIES: [u8; 2] = [2, 10];

/// A prefix of IPv6 addresses, of which IPv4's are mapped ones, in network byte order.
pub type Prefix = (u32, [u32; 4]);

/// What this network namespace has in the table.
///
/// # Errors
/// What the kernel says.
pub fn read() -> io::Result<BTreeMap<Prefix, Local>> {
    let mut found = BTreeMap::new();
    for family in FAMILIES {
        let mut body = vec![0; HEADER];
        body[0] = family;
        body.extend(make_attribute(TABLE, &LOCAL.to_ne_bytes()));
        match dump_checked(GET_ROUTE, &body) {
            Ok(routes) => routes.iter().for_each(|route| add(&mut found, &route.body)),
            // The family has no such table: it is switched off.
            Err(e) if e.raw_os_error() == Some(libc::ENOENT) => {}
            Err(e) if e.raw_os_error() == Some(libc::EOPNOTSUPP) => {}
            Err(e) => return Err(e),
        }
    }
    Ok(found)
}

/// The entry of an address: that of the longest prefix.
#[must_use]
pub fn find<'a>(
    locals: &'a BTreeMap<Prefix, Local>,
    family: Family,
    address: &[u8; 16],
) -> Option<&'a Local> {
    let key = local_key(family, address);
    (0..=128).rev().find_map(|length: u32| {
        let mut at = 0;
        let cut = key.map(|word| {
            let bits = length.saturating_sub(at).min(32);
            at += 32;
            (u32::from_be(word) & u32::MAX.checked_shl(32 - bits).unwrap_or(0)).to_be()
        });
        locals.get(&(length, cut))
    })
}

fn add(found: &mut BTreeMap<Prefix, Local>, body: &[u8]) {
    let Some((prefix, kind, link)) = route(body) else {
        return;
    };
    let entry = found.entry(prefix).or_insert(Local {
        kind,
        links: [0; LOCAL_LINKS],
    });
    // Two entries for one prefix: the address of one interface is another's anycast address.
    if kind == rtn::LOCAL {
        entry.kind = kind;
    }
    if entry.is_on(link) {
        return;
    }
    match entry.links.iter_mut().find(|slot| **slot == 0) {
        Some(slot) => *slot = link,
        None => entry.links = [u32::MAX; LOCAL_LINKS],
    }
}

/// Prefix, type and interface of an entry. Groups are known by their addresses.
fn route(body: &[u8]) -> Option<(Prefix, u32, u32)> {
    let [family, length, _, _, _, _, _, kind, ..] = *body else {
        return None;
    };
    let kind = u32::from(kind);
    if ![rtn::LOCAL, rtn::BROADCAST, rtn::ANYCAST].contains(&kind) {
        return None;
    }
    let attributes = body.get(HEADER..)?;
    let address = attribute(attributes, DESTINATION).unwrap_or(&[]);
    let link = attribute(attributes, LINK).map_or(0, number);
    let (mut bytes, length) = match family {
        2 => ([0; 16], u32::from(length) + 96),
        _ => ([0; 16], u32::from(length)),
    };
    let start = if family == 2 {
        bytes[10..12].fill(0xff);
        12
    } else {
        0
    };
    for (to, from) in bytes[start..].iter_mut().zip(address) {
        *to = *from;
    }
    let mut words = [0; 4];
    for (word, bytes) in words.iter_mut().zip(bytes.as_chunks().0) {
        *word = u32::from_ne_bytes(*bytes);
    }
    Some(((length, words), kind, link))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(family: u8, length: u8, kind: u32, address: &[u8], link: u32) -> Vec<u8> {
        let header = [family, length, 0, 0, 255, 2, 0, kind as u8, 0, 0, 0, 0];
        let parts = [
            header.to_vec(),
            make_attribute(DESTINATION, address),
            make_attribute(LINK, &link.to_ne_bytes()),
        ];
        parts.concat()
    }

    fn all(bodies: &[Vec<u8>]) -> BTreeMap<Prefix, Local> {
        let mut found = BTreeMap::new();
        bodies.iter().for_each(|body| add(&mut found, body));
        found
    }

    #[test]
    fn an_address_of_two_interfaces_is_one_entry() {
        let one = entry(2, 32, rtn::LOCAL, &[10, 0, 0, 1], 2);
        let other = entry(2, 32, rtn::LOCAL, &[10, 0, 0, 1], 3);
        let found = all(&[one.clone(), other, one]);
        let words = [0, 0, 0xffff, 0x0a00_0001].map(u32::to_be);
        let entry = found[&(128, words)];
        assert_eq!(entry.kind, rtn::LOCAL);
        assert_eq!(entry.links, [2, 3, 0, 0, 0, 0, 0]);
    }

    #[test]
    fn too_many_interfaces_are_all() {
        let bodies: Vec<_> = (1..=8)
            .map(|link| entry(10, 128, rtn::LOCAL, &[0xfe; 16], link))
            .collect();
        let found = all(&bodies);
        assert!(found.values().all(|entry| entry.is_on(77)));
    }

    #[test]
    fn groups_are_left_out_and_prefixes_kept() {
        let found = all(&[
            entry(10, 8, rtn::MULTICAST, &[0xff], 2),
            entry(2, 8, rtn::LOCAL, &[127, 0, 0, 0], 1),
            vec![2, 32],
        ]);
        let lengths: Vec<u32> = found.keys().map(|(length, _)| *length).collect();
        assert_eq!(lengths, [104]);
    }

    #[test]
    fn this_machine_has_a_loopback_device() {
        let found = read().unwrap();
        let words = [0, 0, 0xffff, 0x7f00_0001].map(u32::to_be);
        assert_eq!(found.get(&(128, words)).map(|entry| entry.kind), Some(2));
        let mut address = [0; 16];
        address[..4].copy_from_slice(&[127, 9, 9, 9]);
        assert!(find(&found, Family::V4, &address).is_some_and(|entry| entry.is_on(1)));
        assert_eq!(find(&found, Family::V6, &address), None);
    }
}
