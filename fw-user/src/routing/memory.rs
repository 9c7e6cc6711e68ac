//! What the kernel has said before, so that what it says again is no news.

use std::collections::HashMap;
use std::io;

use netlink_sys::protocols::NETLINK_ROUTE;

use crate::sys::netlink_raw::{Message, attribute, dump, messages, number};

/// `RTM_NEWLINK`, `RTM_DELLINK`, `RTM_NEWNEIGH`, `RTM_DELNEIGH`, `RTM_GETNEIGH`.
const NEW_LINK: u16 = 16;
const DEL_LINK: u16 = 17;
const NEW_NEIGHBOUR: u16 = 28;
const DEL_NEIGHBOUR: u16 = 29;
const GET_NEIGHBOUR: u16 = 30;
/// `RTM_NEWROUTE`.
const NEW_ROUTE: u16 = 24;

/// `NUD_*` of a neighbour whose hardware address counts: permanent, noarp, reachable, probe, stale, delay.
const VALID: u16 = 0x80 | 0x40 | 0x02 | 0x10 | 0x04 | 0x08;
/// `AF_BRIDGE`: what bridges have learnt; no next hops.
const BRIDGE: u8 = 7;
/// `NDA_DST`, `NDA_LLADDR`.
const ADDRESS: u16 = 1;
const HARDWARE: u16 = 2;
/// Lengths of `struct ndmsg` and `struct ifinfomsg`.
const NEIGHBOUR_HEADER: usize = 12;
const LINK_HEADER: usize = 16;
/// `IFLA_ADDRESS`, `IFLA_MTU`, `IFLA_MASTER`.
const LINK_FACTS: [u16; 3] = [1, 4, 10];

/// Neighbours that are remembered beyond those that the kernel had: whoever is on a network may make new ones without end.
const REMEMBERED: usize = 1 << 16;

/// Neighbours and links. The kernel tells of them all the time, as neighbours are confirmed and grow stale again; what
/// counts is only whether there is a hardware address, and which.
///
/// A neighbour that gets one is no news: it is no next hop before, and nobody remembers that it was none
/// (`Left::Neighbour`). What counts is that one with which a next hop may have been found is another now, or none.
#[derive(Debug)]
pub(super) struct Memory {
    /// The hardware addresses with which next hops may have been found.
    neighbours: HashMap<Vec<u8>, Vec<u8>>,
    /// How many of them are too many.
    room: usize,
    /// Something was missed.
    missed: bool,
    links: HashMap<u32, Vec<u8>>,
    /// A route for one type of service may have come.
    services: bool,
}

impl Memory {
    /// One that has missed everything.
    pub(super) fn new() -> Self {
        Self {
            neighbours: HashMap::new(),
            room: REMEMBERED,
            missed: true,
            links: HashMap::new(),
            services: true,
        }
    }

    /// Takes in a datagram, or that one was missed: whether it says something new.
    pub(super) fn hear(&mut self, datagram: Option<&[u8]>) -> bool {
        let Some(datagram) = datagram else {
            self.missed = true;
            self.services = true;
            return true;
        };
        let mut changed = false;
        for message in messages(datagram) {
            changed |= self.is_news(&message);
        }
        changed
    }

    /// Whether a route for one type of service may have come since this was asked last.
    pub(super) fn services_may_have_come(&mut self) -> bool {
        std::mem::take(&mut self.services)
    }

    /// Asks the kernel for its neighbours, if something was missed or there are too many: whether it was so. What holds
    /// for the next hops that were found until then has to end afterwards.
    pub(super) fn renew(&mut self) -> bool {
        self.renew_from(|| {
            // `struct ndmsg` may be all zero.
            dump(NETLINK_ROUTE, GET_NEIGHBOUR, &[0; NEIGHBOUR_HEADER])
        })
    }

    fn renew_from(&mut self, ask: impl FnOnce() -> io::Result<Vec<Message>>) -> bool {
        let full = self.neighbours.len() > self.room;
        if !self.missed && !full {
            return false;
        }
        let answer = ask();
        // Without an answer everything is news until there is one.
        self.missed = answer.is_err();
        // What is known stays otherwise: while its table changes, the kernel may leave one out.
        if full {
            self.neighbours.clear();
        }
        for message in answer.unwrap_or_default() {
            self.is_news(&message);
        }
        if full {
            self.room = self.neighbours.len() + REMEMBERED;
        }
        true
    }

    /// Whether the message says something new.
    fn is_news(&mut self, message: &Message) -> bool {
        let body = &message.body;
        match message.kind {
            NEW_NEIGHBOUR | DEL_NEIGHBOUR if body.first() == Some(&BRIDGE) => false,
            NEW_NEIGHBOUR => neighbour(body).is_none_or(|heard| self.is_another(heard)),
            // The kernel has made room. One that is taken away by hand, or does not answer, has failed before.
            DEL_NEIGHBOUR => false,
            NEW_LINK => link(body).is_none_or(|(index, facts)| {
                let before = self.links.insert(index, facts.clone());
                before != Some(facts)
            }),
            DEL_LINK => {
                if let Some((index, _)) = link(body) {
                    self.links.remove(&index);
                }
                true
            }
            NEW_ROUTE => {
                self.services |= has_service(body);
                true
            }
            _ => true,
        }
    }

    /// Whether next hops that were found with this neighbour are no longer right.
    fn is_another(&mut self, (key, hardware): (Vec<u8>, Option<Vec<u8>>)) -> bool {
        match hardware {
            Some(hardware) => {
                let before = self.neighbours.insert(key, hardware.clone());
                before.is_some_and(|before| before != hardware)
            }
            None => self.neighbours.remove(&key).is_some(),
        }
    }
}

/// Whether a route is for one type of service. Of IPv6's routes none is.
pub(super) fn has_service(body: &[u8]) -> bool {
    /// `AF_INET`.
    const IPV4: u8 = 2;
    // `struct rtmsg`: family, two lengths, type of service.
    matches!(body, [IPV4, _, _, service, ..] if *service != 0)
}

/// A neighbour, and its hardware address if that counts.
fn neighbour(body: &[u8]) -> Option<(Vec<u8>, Option<Vec<u8>>)> {
    let index = body.get(4..8)?;
    let state = u16::from_ne_bytes(*body.get(8..10)?.first_chunk()?);
    let attributes = body.get(NEIGHBOUR_HEADER..)?;
    let key = [index, attribute(attributes, ADDRESS)?].concat();
    let hardware = || attribute(attributes, HARDWARE).unwrap_or(&[]).to_vec();
    Some((key, (state & VALID != 0).then(hardware)))
}

/// A link, and what of it decides where packets go.
fn link(body: &[u8]) -> Option<(u32, Vec<u8>)> {
    // `struct ifinfomsg`: family, padding, type, index, flags, change mask.
    let (index, flags) = (body.get(4..8)?, number(body.get(8..12)?));
    /// `IFF_UP`, `IFF_RUNNING`.
    const UP: u32 = 0x41;
    let attributes = body.get(LINK_HEADER..)?;
    let mut facts = (flags & UP).to_ne_bytes().to_vec();
    for wanted in LINK_FACTS {
        facts.extend(attribute(attributes, wanted).unwrap_or(&[]));
        facts.push(0);
    }
    Some((number(index), facts))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sys::netlink_raw::make_attribute;

    const REACHABLE: u16 = 2;
    const STALE: u16 = 4;
    const FAILED: u16 = 0x20;

    fn about(kind: u16, state: u16, mac: u8) -> Message {
        let mut body = vec![2, 0, 0, 0, 7, 0, 0, 0];
        body.extend(state.to_ne_bytes());
        body.extend([0, 1]);
        body.extend(make_attribute(ADDRESS, &[10, 0, 0, 2]));
        body.extend(make_attribute(HARDWARE, &[2, 0, 0, 0, 0, mac]));
        Message { kind, body }
    }

    fn datagram(message: &Message) -> Vec<u8> {
        let length = 16 + message.body.len() as u32;
        let header = [
            &length.to_ne_bytes()[..],
            &message.kind.to_ne_bytes(),
            &[0; 10],
        ]
        .concat();
        [header, message.body.clone()].concat()
    }

    /// A memory of a kernel with these neighbours.
    fn knowing(neighbours: Vec<Message>) -> Memory {
        let mut memory = Memory::new();
        assert!(memory.renew_from(|| Ok(neighbours)));
        memory
    }

    #[test]
    fn a_neighbour_is_news_when_its_address_is_another() {
        let mut memory = knowing(Vec::new());
        assert!(!memory.is_news(&about(NEW_NEIGHBOUR, REACHABLE, 1)));
        assert!(!memory.is_news(&about(NEW_NEIGHBOUR, STALE, 1)));
        assert!(memory.is_news(&about(NEW_NEIGHBOUR, STALE, 2)));
        assert!(memory.is_news(&about(NEW_NEIGHBOUR, FAILED, 2)));
        assert!(!memory.is_news(&about(DEL_NEIGHBOUR, FAILED, 2)));
        assert!(!memory.is_news(&about(NEW_NEIGHBOUR, FAILED, 2)));
        assert!(!memory.is_news(&about(NEW_NEIGHBOUR, REACHABLE, 2)));
    }

    /// The kernel has made room; next hops go on with the address.
    #[test]
    fn one_that_is_forgotten_by_the_kernel_is_not_by_us() {
        let mut memory = knowing(vec![about(NEW_NEIGHBOUR, REACHABLE, 1)]);
        assert!(!memory.is_news(&about(DEL_NEIGHBOUR, STALE, 1)));
        assert!(!memory.is_news(&about(NEW_NEIGHBOUR, REACHABLE, 1)));
        assert!(!memory.is_news(&about(DEL_NEIGHBOUR, STALE, 1)));
        assert!(memory.is_news(&about(NEW_NEIGHBOUR, REACHABLE, 2)));
        assert!(!memory.is_news(&about(DEL_NEIGHBOUR, STALE, 2)));
        assert!(memory.is_news(&about(NEW_NEIGHBOUR, FAILED, 2)));
    }

    #[test]
    fn neighbours_from_before_are_known() {
        let before = [REACHABLE, FAILED].map(|state| {
            let mut memory = knowing(vec![about(NEW_NEIGHBOUR, state, 1)]);
            memory.is_news(&about(NEW_NEIGHBOUR, STALE, 2))
        });
        assert_eq!(before, [true, false]);
    }

    #[test]
    fn nothing_is_remembered_without_end_and_forgetting_is_news() {
        let mut memory = knowing(vec![about(NEW_NEIGHBOUR, REACHABLE, 1)]);
        let stranger = |number: u32| {
            let mut message = about(NEW_NEIGHBOUR, STALE, 7);
            message.body[4..8].copy_from_slice(&(number + 100).to_ne_bytes());
            message
        };
        let mut renewed = 0;
        for number in 0..2 * REMEMBERED as u32 {
            assert!(!memory.is_news(&stranger(number)));
            renewed += u32::from(memory.renew_from(|| Ok(vec![about(NEW_NEIGHBOUR, STALE, 1)])));
            assert!(memory.neighbours.len() <= REMEMBERED + 1);
        }
        assert_eq!(renewed, 1);
        assert!(memory.is_news(&about(NEW_NEIGHBOUR, STALE, 2)));
    }

    #[test]
    fn what_was_missed_is_asked_for_until_the_kernel_says_it() {
        let mut memory = knowing(vec![about(NEW_NEIGHBOUR, REACHABLE, 1)]);
        assert!(!memory.renew_from(|| panic!("nothing was missed")));
        assert!(memory.hear(None));
        for _ in 0..2 {
            let failed = || Err(io::Error::from_raw_os_error(libc::EMFILE));
            assert!(memory.renew_from(failed));
        }
        assert!(memory.renew_from(|| Ok(vec![about(NEW_NEIGHBOUR, REACHABLE, 2)])));
        assert!(!memory.renew_from(|| panic!("all is there")));
        assert!(!memory.hear(Some(&datagram(&about(NEW_NEIGHBOUR, STALE, 2)))));
        assert!(memory.hear(Some(&datagram(&about(NEW_NEIGHBOUR, STALE, 3)))));
    }

    #[test]
    fn a_route_for_one_type_of_service_is_not_overheard() {
        let mut memory = knowing(Vec::new());
        let mut come = |kind, body: &[u8]| {
            let body = body.to_vec();
            memory.is_news(&Message { kind, body });
            memory.services_may_have_come()
        };
        assert!(come(NEW_LINK, &[]), "nobody has looked yet");
        assert!(!come(NEW_ROUTE, &[2, 24, 0, 0, 254]));
        assert!(come(NEW_ROUTE, &[2, 24, 0, 8, 254]));
        assert!(!come(NEW_ROUTE, &[10, 64, 0, 8, 254]), "IPv6");
        memory.hear(None);
        assert!(memory.services_may_have_come());
    }

    #[test]
    fn what_bridges_learn_is_no_news() {
        let mut message = about(NEW_NEIGHBOUR, REACHABLE, 1);
        message.body[0] = BRIDGE;
        assert!(!Memory::new().is_news(&message));
    }

    #[test]
    fn a_link_is_news_when_something_of_it_counts() {
        let link = |flags: u32, mtu: u32| {
            let mut body = vec![0, 0, 1, 0, 7, 0, 0, 0];
            body.extend(flags.to_ne_bytes());
            body.extend([0; 4]);
            body.extend(make_attribute(4, &mtu.to_ne_bytes()));
            Message {
                kind: NEW_LINK,
                body,
            }
        };
        let mut memory = Memory::new();
        assert!(memory.is_news(&link(0x41, 1500)));
        assert!(!memory.is_news(&link(0x141, 1500)));
        assert!(memory.is_news(&link(0x41, 1400)));
        assert!(memory.is_news(&link(0x01, 1400)));
    }

    #[test]
    fn everything_else_is_news() {
        for kind in [17, 20, 24, 25, 32, 80, 104] {
            let message = Message {
                kind,
                body: Vec::new(),
            };
            assert!(Memory::new().is_news(&message));
        }
    }
}
