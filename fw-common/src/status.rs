//! Status bits of a flow, with the kernel's numbers (`enum ip_conntrack_status`).

/// Created through an expectation of a helper.
pub const EXPECTED: u32 = 1 << 0;
/// A packet in reply direction was accepted by the state machine.
pub const SEEN_REPLY: u32 = 1 << 1;
/// Never dropped early: both sides have proved that they take part.
pub const ASSURED: u32 = 1 << 2;
/// In the table. Always set here: a flow is inserted after its verdict, or never.
pub const CONFIRMED: u32 = 1 << 3;
/// Source NAT rewrites the flow (reserved).
pub const SRC_NAT: u32 = 1 << 4;
/// Destination NAT rewrites the flow (reserved).
pub const DST_NAT: u32 = 1 << 5;
/// A helper changed the payload's length (reserved).
pub const SEQ_ADJUST: u32 = 1 << 6;
/// Source NAT was evaluated (reserved).
pub const SRC_NAT_DONE: u32 = 1 << 7;
/// Destination NAT was evaluated (reserved).
pub const DST_NAT_DONE: u32 = 1 << 8;
/// Being removed.
pub const DYING: u32 = 1 << 9;
/// The timeout is not refreshed by packets.
pub const FIXED_TIMEOUT: u32 = 1 << 10;
/// A helper was assigned explicitly (reserved).
pub const HELPER: u32 = 1 << 13;
/// Fast-tracked: forwarded in XDP.
pub const OFFLOAD: u32 = 1 << 14;
/// Forwarded by the NIC's own hardware (reserved).
pub const HW_OFFLOAD: u32 = 1 << 15;

/// Every bit with the name that `conntrack -u` and the JSON output use, in bit order.
pub const NAMES: [(u32, &str); 14] = [
    (EXPECTED, "EXPECTED"),
    (SEEN_REPLY, "SEEN_REPLY"),
    (ASSURED, "ASSURED"),
    (CONFIRMED, "CONFIRMED"),
    (SRC_NAT, "SRC_NAT"),
    (DST_NAT, "DST_NAT"),
    (SEQ_ADJUST, "SEQ_ADJUST"),
    (SRC_NAT_DONE, "SRC_NAT_DONE"),
    (DST_NAT_DONE, "DST_NAT_DONE"),
    (DYING, "DYING"),
    (FIXED_TIMEOUT, "FIXED_TIMEOUT"),
    (HELPER, "HELPER"),
    (OFFLOAD, "OFFLOAD"),
    (HW_OFFLOAD, "HW_OFFLOAD"),
];
