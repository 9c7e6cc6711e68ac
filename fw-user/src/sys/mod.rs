//! The fence: the only modules of this crate that may hold `unsafe`.

pub mod batch;
mod call;
pub mod ethtool;
pub mod heap;
pub mod link;
pub mod netdev;
pub mod netlink;
pub mod netlink_raw;
pub mod peer;
pub mod ready;
pub mod record;
pub mod typed;
pub mod verify;
pub mod zone;
