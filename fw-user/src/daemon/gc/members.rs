//! The connections that `ct count` has counted: those that have ended make room for others.
//!
//! A program that looks at a list stops at its first empty slot, so only the last slots of a list are
//! freed. And only those that were over at the sweep before, too: a program that found one alive, or is
//! about to use it again, has done so long ago.

use std::collections::{BTreeMap, HashMap};
use std::io;

use aya::maps::MapData;
use fw_common::abi::{Flow, Member, MemberKey, maps};
use fw_common::ruleset::connections::is_closed;

use crate::paths::Paths;
use crate::sys::batch::HashTable;

/// Connections read at a time.
const PAGE: usize = 4096;

/// The map of counted connections.
pub(super) struct Members {
    map: HashTable<MemberKey, Member>,
    /// Those that were over at the last sweep.
    over: HashMap<MemberKey, Member>,
}

impl Members {
    pub(super) fn open(paths: &Paths) -> io::Result<Self> {
        let data = MapData::from_pin(paths.map(maps::MEMBERS)).map_err(io::Error::other)?;
        Ok(Self {
            map: HashTable::new(data).map_err(io::Error::other)?,
            over: HashMap::new(),
        })
    }

    /// Frees what can be freed; whether there were any. `is_over` says whether a connection is one no more.
    pub(super) fn sweep(
        &mut self,
        is_over: impl Fn(&Member) -> io::Result<bool>,
    ) -> io::Result<bool> {
        let mut lists = Lists::new();
        let mut over = HashMap::new();
        let mut pages = self.map.pages(PAGE);
        while let Some((keys, members)) = pages.next_page()? {
            for (key, member) in keys.iter().zip(members) {
                lists.entry(key.list).or_default().insert(key.slot, *member);
                if is_over(member)? {
                    over.insert(*key, *member);
                }
            }
        }
        let before = std::mem::replace(&mut self.over, over);
        for (list, slots) in &lists {
            let both = |key: &MemberKey, member: &Member| {
                self.over.contains_key(key) && before.get(key) == Some(member)
            };
            for (key, member) in last(*list, slots, both) {
                if !self.free(key, &member)? {
                    break;
                }
            }
        }
        Ok(!lists.is_empty())
    }

    /// Frees a slot; false if another connection has come into it, which stays.
    fn free(&self, mut key: MemberKey, member: &Member) -> io::Result<bool> {
        let Some(found) = self.map.take(&key)? else {
            return Ok(true);
        };
        if found == *member {
            return Ok(true);
        }
        // Another one may be in its slot by now: then it is next.
        while !self.map.insert_new(&key, &found)? {
            key.slot += 1;
        }
        Ok(false)
    }
}

/// Lists by number, their members by slot.
type Lists = HashMap<u64, BTreeMap<u32, Member>>;

/// The last members of a list that `are_over`, from the end on.
fn last(
    list: u64,
    slots: &BTreeMap<u32, Member>,
    are_over: impl Fn(&MemberKey, &Member) -> bool,
) -> Vec<(MemberKey, Member)> {
    let from_the_end = slots.iter().rev().map(|(slot, member)| {
        let key = MemberKey {
            list,
            slot: *slot,
            pad: 0,
        };
        (key, *member)
    });
    from_the_end
        .take_while(|(key, member)| are_over(key, member))
        .collect()
}

/// Whether a connection that was counted is one no more; `flow` is what its key leads to.
pub(super) fn is_over(member: &Member, flow: Option<&Flow>, now: u64) -> bool {
    let protocol = if member.v6 == 0 {
        member.key4.proto
    } else {
        member.key6.proto
    };
    flow.is_none_or(|flow| {
        flow.id != member.id || flow.deadline <= now || is_closed(protocol, flow.proto.state)
    })
}

#[cfg(test)]
mod tests {
    use fw_common::abi::Key4;
    use fw_common::tcp::State;
    use fw_common::wire::proto;

    use super::*;

    fn member(id: u32) -> Member {
        Member {
            id,
            ..Member::default()
        }
    }

    #[test]
    fn only_the_end_of_a_list_is_freed() {
        let slots: BTreeMap<u32, Member> = (0..5).map(|slot| (slot, member(slot))).collect();
        let freed = |over: &[u32]| -> Vec<u32> {
            let list = last(7, &slots, |key, _| over.contains(&key.slot));
            list.iter().map(|(key, _)| key.slot).collect()
        };
        assert!(freed(&[]).is_empty());
        assert!(freed(&[0, 1, 3]).is_empty(), "the last one lives");
        assert_eq!(
            freed(&[0, 1, 3, 4]),
            [4, 3],
            "0 and 1 stand before one that lives"
        );
        assert_eq!(freed(&[0, 1, 2, 3, 4]), [4, 3, 2, 1, 0]);
    }

    #[test]
    fn a_connection_is_over_with_its_flow() {
        let tcp = Member {
            key4: Key4 {
                proto: proto::TCP,
                ..Key4::default()
            },
            ..member(9)
        };
        let flow = |id, deadline, state: State| {
            let mut flow = Flow {
                id,
                deadline,
                ..Flow::default()
            };
            flow.proto.state = state as u8;
            flow
        };
        let over = |flow| is_over(&tcp, Some(&flow), 100);
        assert!(!over(flow(9, 101, State::Established)));
        assert!(over(flow(9, 100, State::Established)), "expired");
        assert!(over(flow(8, 101, State::Established)), "another one");
        assert!(over(flow(9, 101, State::TimeWait)), "closed");
        assert!(is_over(&tcp, None, 100), "gone");
    }
}
