//! What listeners are told of flows: the records of the `EVENTS` ring buffer.

use super::{Flow, Key6};

/// Something that happened to a flow. Carries the whole entry, so that a listener can show it, export
/// it, or make it again on another machine.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C)]
pub struct Event {
    /// The tick of the event. The entry's own ticks make sense only relative to it: clocks differ
    /// between machines, and a listener may read late.
    pub now: u64,
    /// The same moment in nanoseconds of `CLOCK_MONOTONIC`.
    pub at: u64,
    /// [`Event::NEW`], [`Event::UPDATE`] or [`Event::DESTROY`].
    pub kind: u8,
    /// Bits of [`crate::track::changed`], of an update.
    pub changed: u8,
    /// [`crate::wire::Family`] as a number.
    pub family: u8,
    /// [`Event::PACKET`], [`Event::EXPIRY`] or [`Event::USER`].
    pub cause: u8,
    /// Process that asked for it, if the cause is [`Event::USER`].
    pub pid: u32,
    /// Key of the flow; of IPv4 as [`super::Key4::wide`] gives it.
    pub key: Key6,
    /// Name of that process, as the kernel knows it, padded with zeroes.
    pub comm: [u8; 16],
    /// The entry after the event; of a flow that is gone, as it was last.
    pub flow: Flow,
}

impl Event {
    /// [`Event::kind`]: a flow has begun.
    pub const NEW: u8 = 0;
    /// [`Event::kind`]: a flow's state, status or mark is another.
    pub const UPDATE: u8 = 1;
    /// [`Event::kind`]: a flow has ended.
    pub const DESTROY: u8 = 2;

    /// [`Event::cause`]: a packet.
    pub const PACKET: u8 = 0;
    /// [`Event::cause`]: the flow had been idle too long.
    pub const EXPIRY: u8 = 1;
    /// [`Event::cause`]: somebody asked for it ([`super::Edit`]).
    pub const USER: u8 = 2;
}

const _: () = assert!(size_of::<Event>() == 272 && core::mem::offset_of!(Event, flow) == 80);
