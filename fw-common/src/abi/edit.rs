//! What user space asks of `fw_edit`: a change of one flow, made under the flow's lock.

use super::Key6;

/// A request, the content of the program's packet.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C)]
pub struct Edit {
    /// New time to live, in ticks, with [`Edit::SET_TIMEOUT`].
    pub timeout: u64,
    /// Key of the flow; of IPv4 as [`super::Key4::wide`] gives it.
    pub key: Key6,
    /// What to do: [`Edit::REMOVE`], or any of the `SET_` bits.
    pub op: u32,
    /// [`super::Flow::id`] of the flow that is meant: another may have taken its place since the
    /// caller looked.
    pub id: u32,
    /// Bits that are turned over in the mark, once those of `mark_mask` are cleared.
    pub mark: u32,
    /// Bits of the mark that are cleared first.
    pub mark_mask: u32,
    /// Bits of [`crate::status`] to set.
    pub status: u32,
    /// [`crate::wire::Family`] as a number.
    pub family: u32,
    /// Process that asks.
    pub pid: u32,
    /// Zero.
    pub pad: u32,
    /// Its name, padded with zeroes.
    pub comm: [u8; 16],
}

impl Edit {
    /// [`Edit::op`]: remove the flow.
    pub const REMOVE: u32 = 1 << 0;
    /// [`Edit::op`]: change the mark.
    pub const SET_MARK: u32 = 1 << 1;
    /// [`Edit::op`]: change the time to live.
    pub const SET_TIMEOUT: u32 = 1 << 2;
    /// [`Edit::op`]: set status bits.
    pub const SET_STATUS: u32 = 1 << 3;
}

/// How an [`Edit`] ended: what `fw_edit` returns. Values of `enum xdp_action`, which are the only ones
/// that an XDP program may give.
pub mod edited {
    /// No request at all.
    pub const BAD: u32 = 0;
    /// There is no such flow (any more).
    pub const ABSENT: u32 = 1;
    /// Done.
    pub const DONE: u32 = 2;
    /// Another CPU held the flow all the time.
    pub const BUSY: u32 = 3;
}

const _: () = assert!(size_of::<Edit>() == 96);
