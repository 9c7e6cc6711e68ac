//! Connections that `ct count` has counted.

use super::{Key4, Key6};

/// Key of the `MEMBERS` map. A list of connections is that of a rule, or of an element of a set; its members
/// stand in slots from 0 on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[repr(C)]
pub struct MemberKey {
    /// Number of the list, with the element it belongs to: [`crate::ruleset::connections::list`].
    pub list: u64,
    /// The slot.
    pub slot: u32,
    /// Zero.
    pub pad: u32,
}

/// A connection in a list.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C)]
pub struct Member {
    /// Its key, if it is an IPv6 flow.
    pub key6: Key6,
    /// Its key, if it is an IPv4 flow.
    pub key4: Key4,
    /// Tick at which it was counted.
    pub since: u64,
    /// [`super::Flow::id`].
    pub id: u32,
    /// The CPU that counted it.
    pub cpu: u32,
    /// 1 for IPv6.
    pub v6: u32,
    /// Zero.
    pub pad: u32,
}

const _: () = assert!(size_of::<MemberKey>() == 16);
const _: () = assert!(size_of::<Member>() == 80);
